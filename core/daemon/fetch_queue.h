/* SPDX-License-Identifier: MIT */
/* core/daemon/fetch_queue.h: whose turn it is among the packages that are wanted (fetch_queue.c).
 *
 *   party (a user, an address) ─► lanes, one for each server ─► lines, one for each size: claims
 *   fetch ─► claims, one for each party that wants it
 *
 * Part of the table of fetches.h, under the same lock. What is chosen is found by looking at lanes,
 * of which there are as many as parties that wait and servers that they wait for, never at all
 * fetches. */
#pragma once

#include "core/daemon/fetches.h"

/** struct fetch_claim - a party wants a package
 * @waiters: of this party; of one that is @ahead of time none
 * @lane: NULL: it is not queued */
struct fetch_claim {
	struct fetch_claim *next; /* of the fetch */
	struct fetch *fetch;
	struct fetch_party *party;
	bool ahead;
	size_t waiters;
	int64_t since_ms;
	struct fetch_lane *lane;
	unsigned int line;
	struct fetch_claim *before, *after; /* in the line */
};

/** struct fetch_party - somebody; lives as long as he wants something, or has something fetched
 * @running: what is fetched or looked at for him now */
struct fetch_party {
	struct fetch_party *next; /* in its bucket */
	char *name;
	size_t running, claims;
	struct fetch_lane *lanes;
};

/** fetch_claim_get() - the claim of @party (NULL: nobody in particular) to @fetch, made if there is
 * none; NULL: out of memory */
struct fetch_claim *fetch_claim_get(struct fetches *table, struct fetch *fetch, const char *party,
				    bool ahead, int64_t now_ms);
void fetch_claim_drop(struct fetches *table, struct fetch_claim *claim);

/** queue_add() - @later_ms: it is not chosen before; 0: at once */
void queue_add(struct fetches *table, struct fetch *fetch, int64_t later_ms);
void queue_remove(struct fetches *table, struct fetch *fetch);
/** queue_bad() - one for a server that is not there; NULL: none */
struct fetch *queue_bad(const struct fetches *table, int64_t now_ms);
/** queue_charge() - @fetch is begun: it counts for whoever of its parties is best off */
void queue_charge(struct fetch *fetch);
void queue_discharge(struct fetches *table, struct fetch *fetch);
