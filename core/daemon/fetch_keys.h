/* SPDX-License-Identifier: MIT */
/* core/daemon/fetch_keys.h: the keys that packages must be signed with, known by the digest of
 * their files (fetch_keys.c); what they are is a worker's to read. Of one thread. */
#pragma once

#include "core/daemon/config.h"
#include "core/tree/tree.h"

/** struct fetch_keys - @digest: "" where signatures do not matter; @own: base of the site's Koji */
struct fetch_keys {
	const struct config *config;
	struct tree_store *trees;
	char digest[DIGEST_HEX_SIZE];
	char *own;
};

/** fetch_keys_init() - as they are now; @trees hand out nothing that was held against others */
int fetch_keys_init(struct fetch_keys *keys, const struct config *config, struct tree_store *trees,
		    struct error *err);
/** fetch_keys_agree() - are those that a worker has used for a package of @base (by digest) the
 * ones that there are? Files may be others since the start: then those count from now on */
bool fetch_keys_agree(struct fetch_keys *keys, const char *base, const char *used);
void fetch_keys_done(struct fetch_keys *keys);
