/* SPDX-License-Identifier: MIT */
/* resolver/snapshot/scan.h: primary, filelists or other, read once as it streams by. */
#pragma once

#include "resolver/snapshot/format.h"

#define SCAN_MAX_DEPTH 32
#define SCAN_MAX_TOKEN (4u << 20) /* bytes of one tag, comment … */

enum scan_field {
	SCAN_NAME,
	SCAN_ARCH,
	SCAN_EPOCH,
	SCAN_VERSION,
	SCAN_RELEASE,
	SCAN_CHECKSUM, /* the one with pkgid="YES" */
	SCAN_CHECKSUM_TYPE,
	SCAN_HREF,
	SCAN_BASE,
	SCAN_SOURCERPM,
	SCAN_SIZE,
	SCAN_TIME,
	SCAN_PKGID, /* filelists and other; they fill no other field */
	SCAN_FIELDS
};

/**
 * struct scan_package - one <package> element, as text
 * @start, @end: bytes of the element in the document
 * @location, @location_end: of its <location> tag
 * @field: NUL-terminated; void when not @given */
struct scan_package {
	uint64_t number;
	uint64_t start, end;
	uint64_t location, location_end;
	struct text field[SCAN_FIELDS];
	bool given[SCAN_FIELDS];
};

/**
 * struct scan_sink - who is told; a negative return value ends the scan
 * @package: an element is complete
 * @require: primary: some package requires the file @path; may be NULL
 * @file:    filelists: @package, which is not complete yet, owns @path; may be NULL */
struct scan_sink {
	int (*package)(void *data, const struct scan_package *package, struct error *err);
	int (*require)(void *data, const char *path, struct error *err);
	int (*file)(void *data, const struct scan_package *package, const char *path,
		    struct error *err);
	void *data;
};

struct scan;

int scan_new(enum snapshot_stream stream, const struct scan_sink *sink, struct scan **ret,
	     struct error *err);
void scan_free(struct scan *scan);
DEFINE_FREEP(struct scan, scan_free)
/** scan_feed() - the next bytes; -EBADMSG, BLAME_SOURCE: not well-formed or not what it should be
 */
int scan_feed(struct scan *scan, const char *bytes, size_t length, struct error *err);
/** scan_finish() - that was all of them */
int scan_finish(struct scan *scan, struct error *err);
/** scan_position() - offset up to which the document has been judged */
uint64_t scan_position(const struct scan *scan);
/** scan_plain() - no comment, CDATA or processing instruction so far */
bool scan_plain(const struct scan *scan);
