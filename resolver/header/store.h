/* SPDX-License-Identifier: MIT */
/* resolver/header/store.h: the door to what is remembered of RPM files: one record below headers/
 * for each, named by its key (64 hexadecimal digits).
 *
 * A record is replaced by rename, and changed only to add a SHA-256 (store.c), so readers need no
 * lock and several processes may write. It carries sums: a damaged one is removed as soon as it is
 * seen, and is as if there were none. Reading one marks it as used (its time, once an hour); the
 * service removes those that nobody used for lifetime.snapshot. */
#pragma once

#include "resolver/header/header.h"

/**
 * header_store_get() - read a record
 * @elements: which to unpack: 1 << HEADER_PRIMARY | …; the others stay empty. With 0 only its
 *            beginning is read
 * 1: got it, @ret is to be freed by header_done(); 0: there is none, @ret is untouched */
int header_store_get(int headers_dirfd, const char *key, unsigned int elements, struct header *ret,
		     struct error *err);

/** struct header_unpacker - what a thread keeps for many readings; making one costs more than using
 * it */
struct header_unpacker;
struct header_unpacker *header_unpacker_new(void); /* NULL: out of memory */
void header_unpacker_free(struct header_unpacker *unpacker);
/** header_store_read() - as header_store_get() */
int header_store_read(int headers_dirfd, const char *key, unsigned int elements,
		      struct header_unpacker *unpacker, struct header *ret, struct error *err);

/** header_store_check() - is it sound? It is neither marked nor removed. 0, -ENOENT or -EBADMSG (no
 * words)
 * @unpacker: NULL: its elements are not looked at */
int header_store_check(int headers_dirfd, const char *key, struct header_unpacker *unpacker,
		       struct error *err);

/** header_store_put() - write a record, replacing one that is there
 * @ret_bytes: of it; may be NULL */
int header_store_put(int headers_dirfd, const char *key, const struct header *header,
		     uint64_t *ret_bytes, struct error *err);

/** header_store_digest() - remember the file's SHA-256 from now on; 1: done, 0: no record */
int header_store_digest(int headers_dirfd, const char *key, const char *sha256, struct error *err);

/** header_store_mark() - say that a record is in use without reading it */
void header_store_mark(int headers_dirfd, const char *key);
