/* SPDX-License-Identifier: MIT */
/* resolver/snapshot/index.h: the packages of a snapshot while it is built, and their way into
 * packages.idx. */
#pragma once

#include "resolver/snapshot/frames.h"
#include "resolver/snapshot/scan.h"

/** struct index_owner - a package owns a required path */
struct index_owner {
	uint32_t path, package; /* path: its number in the set */
};

/** struct path_set - required file paths, each once */
struct path_set {
	struct text bytes; /* strings with their NULs */
	uint32_t *path;	   /* offsets into @bytes */
	uint32_t count, room;
	uint32_t *slot; /* number + 1, 0 free */
	uint32_t slots;
	struct index_owner *owner;
	uint32_t owner_count, owner_room;
	bool full; /* a limit was reached: the set does not hold everything */
};

/**
 * struct index_build - grows while the streams are read
 *
 * index_add() and index_require() belong to the scan of primary. After index_close_primary()
 * filelists and other may be scanned at the same time by two threads: each writes only its own
 * places, and owners of paths come from filelists alone. */
struct index_build {
	struct index_package *package;
	uint32_t count, room;
	struct text strings;
	uint64_t seed;		    /* of hash tables */
	uint32_t *slot, *next_same; /* by checksum: first package, and the next one with the same */
	uint32_t slots;
	uint32_t *
		unplaced[SNAPSHOT_STREAMS]; /* by first package: next of its kind without a place */
	uint32_t duplicates;
	uint64_t unknown[SNAPSHOT_STREAMS]; /* elements of no package */
	struct path_set paths;
};

void index_done(struct index_build *index);
int index_add(struct index_build *index, const struct scan_package *package, struct error *err);
int index_require(struct index_build *index, const char *path, struct error *err);
int index_close_primary(struct index_build *index, struct error *err);
/** index_place() - an element of filelists or other was read */
int index_place(struct index_build *index, enum snapshot_stream stream,
		const struct scan_package *package, struct error *err);
/** index_own() - a file of an element of filelists; kept when somebody requires it */
int index_own(struct index_build *index, const struct scan_package *package, const char *path,
	      struct error *err);
/** index_share() - packages without an element get that of another with the same checksum; returns
 * how many remain without */
uint32_t index_share(struct index_build *index, enum snapshot_stream stream);
/** index_write() - @header: all but magic, counts, sizes and sums of the index itself */
int index_write(struct index_build *index, const struct index_header *header,
		const struct frames_writer *writer, int dirfd, int64_t *ret_bytes,
		struct error *err);
