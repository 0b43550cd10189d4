/* SPDX-License-Identifier: MIT */
/* core/daemon/prefetch.h: which packages of a compose are fetched ahead of time (prefetch.c). */
#pragma once

#include "core/daemon/daemon.h"

struct prefetch; /* used by one thread at a time */

struct prefetch *prefetch_new(int64_t id); /* all of its packages; NULL: out of memory */
void prefetch_free(struct prefetch *prefetch);
DEFINE_FREEP(struct prefetch, prefetch_free)
/** prefetch_packages() - those of these names or NEVRAs alone; 0 or -ENOMEM */
int prefetch_packages(struct prefetch *prefetch, const struct strings *packages);
/** prefetch_open() - find its tree; waits for a disk. -ENOENT; -EINVAL: it is not done */
int prefetch_open(struct prefetch *prefetch, const struct store *store, struct error *err);
/** prefetch_count() - what there is to do; -ENOENT: none of the names is in it */
int prefetch_count(const struct prefetch *prefetch, struct prefetch_count *ret, struct error *err);
/** prefetch_next() - the next package that is not here; borrowed. false: there is none */
bool prefetch_next(struct prefetch *prefetch, struct tree_want *ret);

void prefetches_add(struct prefetch **list, struct prefetch *prefetch); /* at the end */
struct prefetch *prefetches_take(struct prefetch **list); /* the first; NULL: none */
