/* SPDX-License-Identifier: MIT */
/* resolver/header/parts.h: what the files of this room hand to each other.
 *
 *   input.c      bytes of a file, none too many    check.c   are they a header at all
 *   tags.c       values of tags, by librpm         xml.c     text that every reader takes
 *   relations.c  provides, requires, …             boolean.c how large a boolean one is
 *   elements.c   the three elements                files.c   lists of files
 *   batch.c      many files, several threads       read.c    all of it, for one file
 *   store.c      records on disk */
#pragma once

#include "resolver/header/header.h"
#include "resolver/header/store.h"

#include <rpm/header.h>
#include <rpm/rpmtd.h>

/* ---- check.c: bytes of a header, before anybody trusts them ------------- */

#define INTRO_BYTES 16 /* magic, four bytes reserved, two counts */
#define ENTRY_BYTES 16

/** struct blob - index and data of a header as it lies in a file; borrowed bytes */
struct blob {
	const unsigned char *index, *data;
	uint32_t count, bytes;
};
struct blob_entry {
	uint32_t tag, type, offset, count;
};
/** blob_intro() - the two counts out of INTRO_BYTES bytes; false: no header begins here, or it is
 * beyond the limits */
bool blob_intro(const unsigned char *bytes, uint32_t max_tags, uint32_t max_bytes,
		struct blob *ret);
/** blob_check() - every value lies inside the data and is whole; -EBADMSG */
int blob_check(const struct blob *blob, const char *field, struct error *err);
struct blob_entry blob_entry(const struct blob *blob, uint32_t index);
/** blob_number() - of a checked blob: value of a tag that holds exactly one number */
bool blob_number(const struct blob *blob, uint32_t tag, uint64_t *ret);
/** blob_bytes() - of a checked blob: value of a binary tag of exactly @length bytes, or NULL */
const unsigned char *blob_bytes(const struct blob *blob, uint32_t tag, uint32_t length);

/* ---- input.c ------------------------------------------------------------ */

/** struct input - one file being read; initialise with { reader, file }, input_done() frees */
struct input {
	const struct header_reader *reader;
	const struct header_file *file;
	struct text front; /* what was read from the beginning of the file */
	uint64_t bytes_read;
	uint64_t start, end;	/* of the header */
	struct blob blob;	/* its size; its bytes are input_header()'s */
	uint64_t archive_bytes; /* of the payload unpacked, says the signature; 0 not given */
	char md5[HEADER_MD5_HEX_SIZE];
	char sha256[DIGEST_HEX_SIZE]; /* input_header()'s: as header.front */
};
/** input_front() - lead, signature and the header's intro; sets all of the above */
int input_front(struct input *input, struct error *err);
/** input_header() - the header without its magic, as headerImport() takes it; malloc'ed */
int input_header(struct input *input, unsigned char **ret, size_t *ret_length, struct error *err);
void input_done(struct input *input);

/* ---- tags.c ------------------------------------------------------------- */

struct tags {
	Header header;
};
/** tags_open() - @bytes: of input_header(); taken over, also on failure */
int tags_open(unsigned char *bytes, size_t length, struct tags *ret, struct error *err);
/** tags_make() - of a package of which nothing else is known */
int tags_make(const struct nevra *nevra, struct tags *ret, struct error *err);
void tags_close(struct tags *tags);
/** tags_string() - "" when there is none, or more than one; valid until tags_close() */
const char *tags_string(const struct tags *tags, rpmTagVal tag);
/** tags_number() - 0 when there is none, or more than one */
uint64_t tags_number(const struct tags *tags, rpmTagVal tag);
bool tags_has(const struct tags *tags, rpmTagVal tag);

/** struct tag_values - all values of one tag; initialise with { 0 }, tag_values_done() frees */
struct tag_values {
	struct rpmtd_s td;
	uint32_t count;
};
/** tags_strings(), tags_numbers() - 1; 0: there is no such tag; -EBADMSG: it holds something else,
 * or not @count of them
 * @count: UINT32_MAX: any */
int tags_strings(const struct tags *tags, rpmTagVal tag, uint32_t count, struct tag_values *ret,
		 struct error *err);
int tags_numbers(const struct tags *tags, rpmTagVal tag, uint32_t count, struct tag_values *ret,
		 struct error *err);
void tag_values_done(struct tag_values *values);
const char *tag_string(const struct tag_values *values, uint32_t index);
uint64_t tag_number(const struct tag_values *values, uint32_t index);
const char *tag_word(rpmTagVal tag); /* rpm's name for it */

/* ---- xml.c -------------------------------------------------------------- */

/** struct sink - XML being written; once it would be longer than @limit, @over is set and nothing
 * more is added */
struct sink {
	struct text text;
	size_t limit;
	bool over;
};
void sink_add(struct sink *sink, const char *bytes, size_t length);
void sink_adds(struct sink *sink, const char *string);
void sink_addf(struct sink *sink, const char *format, ...) _printf_(2, 3);
/** xml_content(), xml_attribute() - foreign bytes as content, or as value of an attribute without
 * its quotes
 *
 * Characters that XML has no form for are left out. What is not UTF-8 is taken for Latin-1 in
 * createrepo_c's way: letters (from 0xC0 on) are kept, the other half of the upper bytes is left
 * out. */
void xml_content(struct sink *sink, const char *bytes, size_t length);
void xml_attribute(struct sink *sink, const char *bytes, size_t length);

/* ---- relations.c, boolean.c, files.c, elements.c ----------------------------------- */

/** struct names - required names that a package does not need to be told of when it has such a
 * file; sorted */
struct names {
	const char **item;
	bool *owned;
	size_t count;
};
/** names_find() - whether that one is owned, or NULL: it is none of them */
bool *names_find(const struct names *names, const char *name);
/** path_is_primary() - does primary list that file? */
bool path_is_primary(const char *path);

/** struct relations - all of a package's; initialise with { 0 }, relations_done() frees; valid
 * until tags_close() */
struct relations;
int relations_load(const struct tags *tags, struct relations **ret, struct error *err);
void relations_free(struct relations *relations);
DEFINE_FREEP(struct relations, relations_free)
/** relations_names() - requirements that may be files of the package itself: files_write() says
 * whether they are */
struct names *relations_names(struct relations *relations);
/** relations_write() - the part of primary, rpm:provides to rpm:supplements. -EBADMSG: one is
 * longer than HEADER_MAX_RELATION */
int relations_write(struct relations *relations, struct sink *primary, struct error *err);

/** boolean_fits() - is it within HEADER_MAX_PARTS and HEADER_MAX_CLAUSES, if it is a boolean one?
 * @conflict: it is multiplied out to an "or" of "and"s, others to an "and" of "or"s */
bool boolean_fits(const char *text, bool conflict);

/** files_write() - <file> elements
 * @names: those found are marked as owned */
int files_write(const struct tags *tags, struct names *names, struct sink *primary,
		struct sink *filelists, struct error *err);

/** elements_write() - the header's strings and its three elements into @ret, whose sizes and times
 * are set already
 * @limit: of each element, in bytes */
int elements_write(const struct tags *tags, const struct input *input, size_t limit,
		   struct header *ret, struct error *err);

/* ---- read.c, store.c: for batch.c ---------------------------------------- */

struct ZSTD_CCtx_s; /* zstd's ZSTD_CCtx */

/** header_make() - what remains to be done once input_front() has said how large the header is */
int header_make(struct input *input, struct header *ret, struct error *err);
/** record_packer() - what a thread packs its records with; freed by record_packer_free() */
struct ZSTD_CCtx_s *record_packer(void);
void record_packer_free(struct ZSTD_CCtx_s *packer);
/** record_put() - header_store_put() for many */
int record_put(int headers_dirfd, const char *key, const struct header *header,
	       struct ZSTD_CCtx_s *packer, uint64_t *ret_bytes, struct error *err);
