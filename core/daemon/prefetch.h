/* SPDX-License-Identifier: MIT */
/* core/daemon/prefetch.h: which packages of a compose are fetched ahead of time (prefetch.c). */
#pragma once

#include "core/daemon/daemon.h"

struct prefetch; /* used by one thread at a time */

/** prefetch_new() - @packages: by name or NEVRA; NULL or none: all. 0 or -ENOMEM */
int prefetch_new(int64_t id, const struct strings *packages, struct prefetch **ret);
void prefetch_free(struct prefetch *prefetch);
DEFINE_FREEP(struct prefetch, prefetch_free)
/** prefetch_open() - find its tree, and now and then whether it is over; waits for a disk. -ENOENT; -EINVAL: it is not
 * done, or over */
int prefetch_open(struct prefetch *prefetch, const struct store *store, struct error *err);
/** prefetch_count() - what there is to do; -ENOENT: none of the names is in it */
int prefetch_count(const struct prefetch *prefetch, struct prefetch_count *ret, struct error *err);

/** struct prefetches - those that are wanted, one after another
 * @ahead: the one at hand; of who calls prefetches_next() */
struct prefetches {
	struct prefetch *ahead;
	pthread_mutex_t lock;
	struct prefetch *list; /* under lock */
};
void prefetches_init(struct prefetches *prefetches);
void prefetches_done(struct prefetches *prefetches);
void prefetches_add(struct prefetches *prefetches,
		    struct prefetch *prefetch); /* taken over; any thread */
/** prefetches_next() - the next package that is not here; borrowed until the next call. One thread.
 * false: there is none */
bool prefetches_next(struct prefetches *prefetches, const struct store *store,
		     struct tree_want *ret);
