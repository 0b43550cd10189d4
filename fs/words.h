/* SPDX-License-Identifier: MIT */
/* fs/words.h: what a name or a line written to a control file may look like (tree.md 2.7, 3). Pure.
 */
#pragma once

#include "core/catalogue/catalogue.h"

#define NAME_LENGTH_MAX 255 /* what statfs says */
#define NOTE_MAX 1024	    /* bytes of user.odcs.note */

/** request_name_check() - 0, -EINVAL or -ENAMETOOLONG */
int request_name_check(const char *name);

/** temporary_name() - may an editor or mv make a file of that name in a draft? */
bool temporary_name(const char *name);

/**
 * ttl_parse() - seconds written to `ttl`, white space around them allowed
 * -EINVAL: not a positive integer; -ERANGE: above @maximum */
int ttl_parse(const char *bytes, size_t length, int64_t maximum, int64_t *ret);

enum command { COMMAND_CANCEL, COMMAND_EXPIRE, COMMAND_RENEW, COMMAND_RESUBMIT };

/**
 * command_parse() - one line written to `ctl`
 * @ret_seconds: of renew; 0 when none were given
 * -EINVAL: unknown word or wrong number; -ERANGE: above @maximum */
int command_parse(const char *bytes, size_t length, int64_t maximum, enum command *ret,
		  int64_t *ret_seconds);

/** blank() - nothing but white space JSON allows */
bool blank(const char *bytes, size_t length);

/**
 * buffer_write() - what a write at @offset makes of the text of a draft
 * A gap is filled with NUL. -EFBIG beyond @limit, with nothing changed; -ENOMEM */
int buffer_write(struct text *buffer, const char *bytes, size_t length, uint64_t offset,
		 size_t limit);
int buffer_truncate(struct text *buffer, uint64_t length, size_t limit);

/**
 * name_escape() - any string as one file name: "/" is %2F, "%" is %25
 * Too long ones are cut and end in "~" and part of their digest; "." and ".." are escaped; "" stays
 */
int name_escape(const char *string, struct text *ret);

/** name_key() - 52 bits of the digest of a name: the key of a view's directory */
int64_t name_key(const char *name);
