/* SPDX-License-Identifier: MIT */
/* core/daemon/prefetch.h: which packages of a compose are fetched ahead of time (prefetch.c). */
#pragma once

#include "core/daemon/daemon.h"

struct prefetch; /* used by one thread at a time */

/** prefetch_new() - @packages: by name or NEVRA; NULL or none: all. 0 or -ENOMEM */
int prefetch_new(int64_t id, const struct strings *packages, struct prefetch **ret);
void prefetch_free(struct prefetch *prefetch);
DEFINE_FREEP(struct prefetch, prefetch_free)
/** prefetch_for() - it is for whoever has @compose; prefetch_open() says so as well */
void prefetch_for(struct prefetch *prefetch, const struct compose *compose);
/** prefetch_open() - find its tree, and now and then whether it is over; waits for a disk. -ENOENT; -EINVAL: it is not
 * done, or over */
int prefetch_open(struct prefetch *prefetch, const struct store *store, struct error *err);
/** prefetch_count() - what there is to do; -ENOENT: none of the names is in it */
int prefetch_count(const struct prefetch *prefetch, struct prefetch_count *ret, struct error *err);

#define PREFETCH_PARTY_SIZE 256

/** struct prefetches - those that are wanted: owners in turn, of one of them one compose after
 * another */
struct prefetches {
	pthread_mutex_t lock;
	struct prefetch_owner *first, *last; /* under lock */
};
void prefetches_init(struct prefetches *prefetches);
void prefetches_done(struct prefetches *prefetches);
/** prefetches_add() - @prefetch, whose owner is known, is taken over, if it fails as well; one that
 * waits and brings the same is enough. -EDQUOT: too many of his wait, -ENOMEM. Any thread */
int prefetches_add(struct prefetches *prefetches, struct prefetch *prefetch, struct error *err);
/** prefetches_next() - the next package that is not here; borrowed until the next call, but for
 * @party, for whom it is. One thread. false: there is none */
bool prefetches_next(struct prefetches *prefetches, const struct store *store,
		     char party[static PREFETCH_PARTY_SIZE], struct tree_want *ret);
