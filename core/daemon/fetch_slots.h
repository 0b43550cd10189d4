/* SPDX-License-Identifier: MIT */
/* core/daemon/fetch_slots.h: the workers that fetch packages, each with the one that it is at
 * (fetch_slots.c). Of one thread. */
#pragma once

#include "core/daemon/daemon.h"
#include "core/daemon/fetches.h"

#define FETCH_SLOTS (2 * CONFIG_MAX_FETCHERS)

/** struct fetch_slot - a worker and the package that it fetches
 * @corpse: was killed, and hangs in the kernel: its work directory is not to be used
 * @taking: its file is with the verifier
 * @number: of this try; answers to another one are late
 * @fetch: NULL: idle */
struct fetch_slot {
	struct child *child, *corpse;
	int64_t started_ms, idle_ms;
	bool ready, taking;
	int64_t number;
	struct fetch *fetch;
	uint64_t reserved;
};

struct fetch_slots {
	const struct config *config;
	int state_dirfd;
	int64_t number; /* of the last try */
	struct fetch_slot slot[FETCH_SLOTS];
};

/** fetch_slots_take() - one that is idle, rather than one that has to be started; -EAGAIN: there is
 * no place for another */
struct fetch_slot *fetch_slots_take(struct fetch_slots *slots, struct error *err);
/** fetch_slot_send() - have @fetch fetched: it is the slot's then, with as many bytes reserved as
 * it has */
int fetch_slot_send(struct fetch_slots *slots, struct fetch_slot *slot, struct fetch *fetch,
		    struct error *err);
/** fetch_slot_kill() - true: it is gone, and can tell how; else it hangs in the kernel.
 * fetch_slot_leave() with that comes next */
bool fetch_slot_kill(struct fetch_slot *slot);
void fetch_slot_leave(struct fetch_slot *slot, bool ended);
void fetch_slot_end(struct fetch_slot *slot); /* both */
void fetch_slots_done(struct fetch_slots *slots);
