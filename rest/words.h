/* SPDX-License-Identifier: MIT */
/* rest/words.h: what stands in the headers Range, If-None-Match, If-Modified-Since and their like.
 */
#pragma once

#include "core/base/base.h"

#define HTTP_DATE_SIZE 40

/** date_print() - "Sun, 06 Nov 1994 08:49:37 GMT"; "" when there is no such time */
void date_print(int64_t when, char ret[static HTTP_DATE_SIZE]);
bool date_parse(const char *text, int64_t *ret);

/** etag_listed() - is @etag in a list of "a", W/"b", or *? Weak ones count only where @weak says so
 */
bool etag_listed(const char *list, const char *etag, bool weak);

struct range {
	uint64_t start, length;
	bool partial, beyond; /* beyond: nothing of it exists */
};

/** range_parse() - "bytes=FIRST-LAST", "bytes=FIRST-", "bytes=-LAST_BYTES" of @size bytes; anything
 * else is no range at all and leaves @ret alone */
void range_parse(const char *text, uint64_t size, struct range *ret);
