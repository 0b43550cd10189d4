/* SPDX-License-Identifier: MIT */
/* resolver/header/header.h: the door to RPM headers: from the first bytes of a package file to the
 * three elements of repodata that tell of it, in the form that createrepo_c gives them; many at
 * once.
 *
 * Nothing but the lead, the signature and the header is read. Everything is judged here before
 * librpm sees it: places, sizes, types, counts. No configuration of rpm is read, no signature
 * verified. Foreign bytes: only in a worker. Safe from several threads. */
#pragma once

#include "core/model/model.h"

/* rpm's own limits for a package file */
#define HEADER_MAX_BYTES ((256u << 20) - 1) /* data of the header */
#define HEADER_MAX_TAGS 65535u
#define HEADER_MAX_SIGNATURE (64u << 20) /* data of the signature */
#define HEADER_MAX_SIGNATURE_TAGS 32u
/* ours */
#define HEADER_MAX_COUNT (4u << 20)	/* values of one tag: files, requirements … */
#define HEADER_MAX_WORD 4096u		/* bytes of a name, version, release, arch, source RPM */
#define HEADER_MAX_ELEMENT (256u << 20) /* what resolver/snapshot takes */
#define HEADER_MAX_RELATION                                                                        \
	(64u * 1024) /* bytes of its entry; and of a boolean one's members …                     \
		      */
#define HEADER_MAX_PARTS 2048u
#define HEADER_MAX_CLAUSES 4096u /* … multiplied out: what resolver/solve takes */
#define HEADER_GROWTH 16u	 /* nor is it longer than 1 MiB and that many times the header */

#define HEADER_CHANGES 10u /* changelog entries that are told of: createrepo_c's default */
#define HEADER_FIRST_RANGE (96u * 1024)
#define HEADER_MD5_HEX_SIZE 33
#define HEADER_SIZE_UNKNOWN UINT64_MAX
#define HEADER_TIME_UNKNOWN INT64_MIN

/**
 * struct header_reader - how the bytes of one file are got
 * @read:  bytes from @offset on into @buffer: as many as asked for, fewer only at the end of the
 * file; negative errno with words on failure
 * @first: what is asked for at first at least; 0 for a file: then no byte behind the header is
 * read. HEADER_FIRST_RANGE where each question costs a round trip: then mostly one is enough
 * @size:  of the file, or HEADER_SIZE_UNKNOWN
 * @time:  of its last change, or HEADER_TIME_UNKNOWN */
struct header_reader {
	ssize_t (*read)(void *data, void *buffer, size_t length, uint64_t offset,
			struct error *err);
	void *data;
	size_t first;
	uint64_t size;
	int64_t time;
};
/** header_reader_fd() - of a regular file, else BLAME_SOURCE; @fd is borrowed */
int header_reader_fd(int fd, struct header_reader *ret, struct error *err);

/**
 * struct header_file - one RPM, and what is known of it before it is read; all borrowed
 * @key:   64 hexadecimal digits: stands in the elements where the SHA-256 of the file belongs, and
 * names its record
 * @path:  for messages, and for header_batch without @open
 * @href:  location in the elements
 * @size:  it must have, or HEADER_SIZE_UNKNOWN
 * @time:  <time file=…>, or HEADER_TIME_UNKNOWN: the reader's, else 0
 * @nevra: its header must say, or NULL; epoch -1 matches any, 0 also none; src and nosrc are one
 * @md5:   hex, of header and payload, as its signature must say ("payloadhash"), or NULL */
struct header_file {
	const char *key, *path, *href;
	uint64_t size;
	int64_t time;
	const struct nevra *nevra;
	const char *md5;
};

enum header_element { HEADER_PRIMARY, HEADER_FILELISTS, HEADER_OTHER, HEADER_ELEMENTS };

/**
 * struct header - what a header said; initialise with { 0 }, header_done() frees
 * @sourcerpm: "" for a source package; arch is "src" then, also of a nosrc package
 * @only, @never: of a source package its ExclusiveArch and ExcludeArch, joined by blanks; else ""
 * @start, @end: where the header lies in the file
 * @md5:       as above; "" when there is none
 * @front:     SHA-256 of the file up to @end, when it was read by range; else ""
 * @sha256:    of the whole file; "" until header_store_digest() was told
 * @element:   <package …>…</package> and a newline: well-formed UTF-8 whatever the header held
 *
 * Name, version, release and arch have no control character, blank or slash. */
struct header {
	char *name, *version, *release, *arch, *sourcerpm, *only, *never;
	uint32_t epoch;
	uint64_t size, start, end;
	int64_t time;
	char md5[HEADER_MD5_HEX_SIZE];
	char front[DIGEST_HEX_SIZE], sha256[DIGEST_HEX_SIZE];
	struct text element[HEADER_ELEMENTS];
};
void header_done(struct header *header);

/**
 * header_read() - read one
 * @ret_bytes_read: may be NULL; set on failure, too
 *
 * BLAME_SOURCE, -EBADMSG: no RPM, cut short, damaged, other than @file says. Words begin with the
 * path and name the part; the field is that part: "lead", "signature", "header", "size", or rpm's
 * name of a tag ("Name"). */
int header_read(const struct header_reader *reader, const struct header_file *file,
		struct header *ret, uint64_t *ret_bytes_read, struct error *err);

/**
 * header_stub() - what stands for a package whose file cannot be read
 * @file: with @nevra
 *
 * It has its name, version and place, provides its name, and needs nothing. */
int header_stub(const struct header_file *file, struct header *ret, struct error *err);

/* ---- many at once ------------------------------------------------------ */

#define HEADER_MAX_THREADS TOGETHER_THREADS_MAX
#define HEADER_MEMORY (UINT64_C(512) << 20) /* for those under way; what needs more is alone */

/** struct header_totals - how far it has got */
struct header_totals {
	uint64_t files;	  /* looked at, of header_batch.count */
	uint64_t present; /* had a record already (or a digest): not opened */
	uint64_t read, failed;
	uint64_t bytes_read;	/* of RPM files */
	uint64_t bytes_written; /* of records */
};

/**
 * struct header_batch - files and what to do on the way
 * @threads: 0: as many as there are processors, at most HEADER_MAX_THREADS
 * @dirfd:   directory below which paths are opened when @open is NULL
 * @open, @close: a reader for a file; called in the threads, several at a time; @close is called
 * once for each reader
 * @progress: may be NULL; now and then, and at the end; a negative answer (with words) ends
 * everything
 * @failed:  one file could not be read: 0 goes on, a negative answer (with words) ends everything.
 * NULL: the first failure ends everything, and is the answer
 * @progress is called in the caller's thread; @failed in any, but one at a time, and it must not
 * wait for another one. */
struct header_batch {
	const struct header_file *file;
	size_t count;
	unsigned int threads;
	int dirfd;
	int (*open)(void *data, size_t index, struct header_reader *ret, struct error *err);
	void (*close)(void *data, size_t index, struct header_reader *reader);
	int (*progress)(void *data, const struct header_totals *totals, struct error *err);
	int (*failed)(void *data, size_t index, const struct error *failure, struct error *err);
	void *data;
};

/** header_read_all() - see to it that each file has a record below @headers_dirfd; those that have
 * one are not opened
 * @ret: may be NULL; set on failure, too */
int header_read_all(int headers_dirfd, const struct header_batch *batch, struct header_totals *ret,
		    struct error *err);

/** header_digest_all() - SHA-256 of whole files, those that records know and the rest, which they
 * are told
 * @ret_sha256: @batch->count of them; "" for a file that failed
 * @ret:        may be NULL; set on failure, too
 * A file without a record is hashed all the same. A wrong size is a failure; nothing else is looked
 * at. */
int header_digest_all(int headers_dirfd, const struct header_batch *batch,
		      char (*ret_sha256)[DIGEST_HEX_SIZE], struct header_totals *ret,
		      struct error *err);
