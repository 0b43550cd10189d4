/* SPDX-License-Identifier: MIT */
/* rest/words.c: what stands in the headers Range, If-None-Match, If-Modified-Since and their like.
 *
 * Bytes of a stranger: each function takes any text and says no to what it does not know. */
#include "rest/words.h"

#include <time.h>

/* ---- dates ------------------------------------------------------------- */

#define HTTP_DATE "%a, %d %b %Y %H:%M:%S GMT"

void date_print(int64_t when, char ret[static HTTP_DATE_SIZE])
{
	time_t seconds = (time_t)when;
	struct tm tm;

	if (!gmtime_r(&seconds, &tm) || !strftime(ret, HTTP_DATE_SIZE, HTTP_DATE, &tm))
		ret[0] = '\0';
}

bool date_parse(const char *text, int64_t *ret)
{
	struct tm tm = { 0 };
	const char *end = strptime(text, HTTP_DATE, &tm);

	if (!end || *end)
		return false;
	*ret = (int64_t)timegm(&tm);
	return true;
}

/* ---- ETags ------------------------------------------------------------- */

bool etag_listed(const char *list, const char *etag, bool weak)
{
	size_t length = strlen(etag);

	for (const char *at = list; *at;) {
		bool is_weak;
		const char *end;

		at += strspn(at, " \t,");
		if (*at == '*')
			return true;
		is_weak = !strncmp(at, "W/", 2);
		at += is_weak ? 2 : 0;
		if (*at != '"')
			return false;
		end = strchr(++at, '"');
		if (!end)
			return false;
		if (length && (size_t)(end - at) == length && !memcmp(at, etag, length) &&
		    (weak || !is_weak))
			return true;
		at = end + 1;
	}
	return false;
}

/* ---- ranges ------------------------------------------------------------ */

static const char *digits(const char *at, uint64_t *ret)
{
	char *end;

	if (*at < '0' || *at > '9')
		return NULL;
	*ret = strtoull(at, &end, 10); /* too large a number becomes the largest: beyond */
	return end;
}

void range_parse(const char *text, uint64_t size, struct range *ret)
{
	uint64_t first = 0, last = UINT64_MAX;
	bool suffix;

	if (strncmp(text, "bytes=", 6) != 0)
		return;
	text += 6;
	suffix = *text == '-';
	if (!suffix)
		text = digits(text, &first);
	if (!text || *text++ != '-')
		return;
	if (*text || suffix)
		text = digits(text, &last);
	if (!text || *text || (!suffix && first > last))
		return;
	if (suffix) {
		ret->beyond = !last || !size;
		first = last < size ? size - last : 0;
		last = UINT64_MAX;
	} else {
		ret->beyond = first >= size;
	}
	if (ret->beyond)
		return;
	ret->start = first;
	ret->length = (last < size ? last + 1 : size) - first;
	ret->partial = true;
}
