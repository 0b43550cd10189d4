/* SPDX-License-Identifier: MIT */
/* core/daemon/prefetch.h: which packages of a compose are fetched ahead of time (prefetch.c). */
#pragma once

#include "core/daemon/daemon.h"

struct prefetch; /* used by one thread at a time */

/** prefetch_new() - @packages: by name or NEVRA; NULL or none: all. 0 or -ENOMEM */
int prefetch_new(int64_t id, const struct strings *packages, struct prefetch **ret);
void prefetch_free(struct prefetch *prefetch);
DEFINE_FREEP(struct prefetch, prefetch_free)
enum prefetch_why {
	PREFETCH_ASKED, /* by somebody who was told how much it is */
	PREFETCH_DONE,	/* by the request of a compose that is done now: nothing of it if it is too
			   much, which its log  says */
	PREFETCH_AGAIN, /* by one that was done when the service started: as long as nothing has to
			   make room */
};
/** prefetch_for() - it is for whoever has @compose; prefetch_open() says so as well */
void prefetch_for(struct prefetch *prefetch, const struct compose *compose, enum prefetch_why why);
/** prefetch_open() - find its tree, and now and then whether it is over; waits for a disk. -ENOENT;
 * -EINVAL: it is not done, or over */
int prefetch_open(struct prefetch *prefetch, const struct store *store, struct error *err);
/** prefetch_count() - what there is to do; -ENOENT: none of the names is in it */
int prefetch_count(const struct prefetch *prefetch, struct prefetch_count *ret, struct error *err);
/** prefetch_fits() - -ENOSPC: it is more than the cache holds */
int prefetch_fits(const struct config *config, const struct prefetch_count *count,
		  struct error *err);

#define PREFETCH_PARTY_SIZE 256

/** struct prefetches - those that are wanted: owners in turn, of one of them one compose after
 * another */
struct prefetches {
	pthread_mutex_t lock;
	const struct config *config;
	struct prefetch_owner *first, *last; /* under lock */
	struct prefetch *asked; /* of whose packages one came last; of prefetches_next()'s thread */
};
void prefetches_init(struct prefetches *prefetches, const struct config *config);
void prefetches_done(struct prefetches *prefetches);
/** prefetches_add() - @prefetch, whose owner is known, is taken over, if it fails as well; one that
 * waits and brings the same is enough. -EDQUOT: too many of his wait, -ENOMEM. Any thread */
int prefetches_add(struct prefetches *prefetches, struct prefetch *prefetch, struct error *err);
/** prefetches_wait() - is there anything left, whenever its time is? */
bool prefetches_wait(struct prefetches *prefetches);
/** prefetches_back() - the package that came last cannot be had before @until_ms; others of its
 * compose are not tried before either. After FETCHES_AHEAD_TRIES at the same one the compose's log
 * says that it is given up */
void prefetches_back(struct prefetches *prefetches, int64_t until_ms);
/** prefetches_next() - the next package that is not here; borrowed until the next call, but for
 * @party, for whom it is. One thread. false: there is none */
bool prefetches_next(struct prefetches *prefetches, const struct store *store,
		     char party[static PREFETCH_PARTY_SIZE], struct tree_want *ret);
