/* SPDX-License-Identifier: MIT */
/* resolver/header/keys.h: the door to public keys: who signed a file, and who signed an RPM.
 *
 * librpm's keyring, in memory alone: no database of rpm, no program is started. What signs by MD5
 * or SHA-1 signs nothing. Foreign bytes: only in a worker. One thread per object. */
#pragma once

#include "core/model/model.h"

#define KEYS_MAX_BYTES (1u << 20) /* of one file */

struct header_keys;

/**
 * header_keys_read() - the public keys in @files: one or more ASCII-armored blocks in each
 * BLAME_US: a file cannot be read, or holds no key that librpm knows; it is the configuration's */
int header_keys_read(const struct strings *files, struct header_keys **ret, struct error *err);
void header_keys_free(struct header_keys *keys);
DEFINE_FREEP(struct header_keys, header_keys_free)
/** header_keys_digest() - SHA-256 over the files: other keys, another one */
const char *header_keys_digest(const struct header_keys *keys);

/**
 * header_keys_verify() - is @signature, detached, armored or not, by one of the keys over @bytes?
 * -EBADMSG, BLAME_SOURCE: no signature, a wrong one, or by another key, whose id the words name */
int header_keys_verify(const struct header_keys *keys, const void *bytes, size_t length,
		       const void *signature, size_t signature_length, struct error *err);
/**
 * header_keys_package() - is the RPM in @fd signed by one of the keys?
 *
 * Its header must be, and name the digest of the payload, which is compared; in packages of before
 * rpm 4.14 both together are. -EBADMSG, BLAME_SOURCE, as above; other errors as header_read() */
int header_keys_package(const struct header_keys *keys, int fd, struct error *err);
