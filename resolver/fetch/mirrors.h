/* SPDX-License-Identifier: MIT */
/* resolver/fetch/mirrors.h: the door to a repository by URL: which servers have it, and its files
 * out of whichever of them answers rightly (docs/remote.md).
 *
 * A mirror is no identity: whichever it is, a file is the one with the checksum that was asked for.
 * What was found serves any number of threads. */
#pragma once

#include "resolver/fetch/fetch.h"

#define MIRRORS_MAX 64		      /* that are kept of a list */
#define MIRRORS_TRIED_MAX 8	      /* for one file */
#define MIRRORS_LIST_BYTES (1u << 20) /* of a mirrorlist or metalink */
#define MIRRORS_RATE 4096	      /* bytes a second that a large file has to come with */

/**
 * struct mirrors_network - how servers are reached; borrowed, also by what is found
 * @connect: a transport with places; the caller's to free; any thread
 * @call_ms: for one file of one mirror with its repetitions, beside what its bytes take
 * @log: may be NULL; what went wrong on the way to a good answer. Any thread
 * @is_lost, @lost: both or none; what others know of a mirror: was it not there a moment ago, or did not answer?
 * Then it is asked last. Any thread */
struct mirrors_network {
	int (*connect)(void *data, struct transport **ret, struct error *err);
	void (*log)(void *data, const char *text);
	bool (*is_lost)(void *data, const char *base);
	void (*lost)(void *data, const char *base);
	void *data;
	const struct transport_places *places;
	int64_t call_ms;
};

/** struct mirrors_sum - one checksum of repomd.xml that a metalink names */
struct mirrors_sum {
	char type[16], hex[DIGEST_MAX_HEX_SIZE];
	int64_t size; /* -1: not said */
};

/**
 * struct mirrors_list - what a list says, in the order in which it is to be tried
 * @url: bases, without slashes at the end
 * @sum: of a metalink: the strongest of the newest repomd.xml, then those of older ones that count,
 * too */
struct mirrors_list {
	struct strings url;
	struct mirrors_sum *sum;
	size_t sums;
};
void mirrors_list_done(struct mirrors_list *list);
/**
 * mirrors_parse() - the bytes of a mirrorlist or metalink (fuzz target)
 * @from: its URL
 *
 * Kept are http, https and ftp URLs; out of a mirrorlist, whose word alone counts for what a mirror
 * has, only those as safe as its own way here. -EBADMSG, BLAME_SOURCE */
int mirrors_parse(const char *bytes, size_t length, enum url_kind kind, const char *from,
		  struct mirrors_list *ret, struct error *err);

struct mirrors;

/**
 * mirrors_find() - the servers of @word, which url_word_normal() gave: its own, or those that a
 * list names, which is fetched
 *
 * Those that may not be asked are left out; none left: -EACCES, BLAME_SOURCE */
int mirrors_find(const struct mirrors_network *network, const char *word, struct mirrors **ret,
		 struct error *err);
void mirrors_free(struct mirrors *mirrors);
DEFINE_FREEP(struct mirrors, mirrors_free)
const struct mirrors_list *mirrors_list(const struct mirrors *mirrors);

/** struct mirrors_origin - where bytes of a file come from: a URL, and which state of the file it had */
#define MIRRORS_URL_SIZE 4096
struct mirrors_origin {
	char url[MIRRORS_URL_SIZE];
	struct transport_version version;
};
/**
 * struct mirrors_part - a file that may be gone on with, by another process if need be
 * @origin: of what is in the file already; "" url: nothing is
 * @begins: bytes come from @at on (0: what was there is not there any more); 0 or negative errno with words
 * @came: so many are there now. Both may be NULL */
struct mirrors_part {
	struct mirrors_origin origin;
	int (*begins)(void *data, int64_t at, const struct mirrors_origin *origin, struct error *err);
	void (*came)(void *data, int64_t bytes);
	void *data;
};

/**
 * struct mirrors_file - a file that is wanted
 * @path: below the base; location_check() was happy with it
 * @size: bytes, or -1: not known, at most @size_max (0: 1 GiB)
 * @checksum_type, @checksum: as digest_new() knows it, and hex; NULL: not known
 * @part: NULL: it is nobody else's to know what comes */
struct mirrors_file {
	const char *path;
	int64_t size, size_max;
	const char *checksum_type, *checksum;
	const struct mirrors_part *part;
};

/**
 * mirrors_fetch() - the file into @fd, from its start, or with @part on from its end, if the server that it came from
 * still has that file
 *
 * Mirrors are asked in order, one that failed after all others, each up to 3 times (but once, if it
 * does not answer in time and there are others), going on where a transfer broke (the checksum decides whether that was right; then once more from the start).
 * What is too large, or has the wrong checksum, is another mirror's turn. 0: the bytes are those
 * that were asked for. BLAME_SOURCE: what each said, one line; -ENOENT: all say that it is not
 * there; else the code of the first that said something else */
int mirrors_fetch(struct mirrors *mirrors, const struct mirrors_file *file, int fd,
		  struct error *err);

/** mirrors_count(), mirrors_url() - how many there are; the URL of a file on one of them,
 * malloc'ed, -EACCES: it would lead elsewhere */
size_t mirrors_count(const struct mirrors *mirrors);
int mirrors_url(const struct mirrors *mirrors, size_t number, const char *path, char **ret,
		struct error *err);
/**
 * mirrors_ask() - a small file of one mirror, once more when it fails on the way, as above
 * @version: NULL, or as for transport_get_newer(), then 1: it is still that one
 * -EMSGSIZE: more than @size_max */
int mirrors_ask(struct mirrors *mirrors, size_t number, const char *path, int64_t size_max,
		struct transport_version *version, struct text *ret, struct error *err);
/** mirrors_check_path() - can a location be a part of a URL and stay below it? -EACCES */
int mirrors_check_path(const char *path, struct error *err);
/** mirrors_failed() - that one is asked last from now on */
void mirrors_failed(struct mirrors *mirrors, size_t number);
