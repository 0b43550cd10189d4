/* SPDX-License-Identifier: MIT */
/* core/daemon/verifier.h: whole packages are read and held against their SHA-256, by threads of
 * their own, since that takes time (verifier.c). */
#pragma once

#include "core/tree/tree.h"

struct verifier;

/** struct verification - a file to be read
 * @data: of who asks
 * @work_dirfd: where it was fetched into, as packages/SHA256; -1: it is in packages/
 * @reserved: bytes that are set aside for it; free again when it is done
 * @r, @err: what came of it: tree_package_take(), tree_package_verify() */
struct verification {
	struct verification *next;
	void *data;
	struct tree_want want;
	int work_dirfd;
	uint64_t reserved;
	int r;
	struct error err;
};

/** verifier_new() - @done: called by its threads when there is something for verifier_collect() */
int verifier_new(struct tree_store *trees, void (*done)(void *data), void *data,
		 struct verifier **ret);
int verifier_start(struct verifier *verifier, struct error *err);
void verifier_add(struct verifier *verifier, struct verification *item); /* taken over */
/** verifier_collect() - those that are done; the caller frees them */
struct verification *verifier_collect(struct verifier *verifier);
void verifier_stop(struct verifier *verifier); /* what they are at is finished, the rest left */
void verifier_free(struct verifier *verifier);
DEFINE_FREEP(struct verifier, verifier_free)
