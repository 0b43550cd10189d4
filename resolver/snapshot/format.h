/* SPDX-License-Identifier: MIT */
/* resolver/snapshot/format.h: what stands in packages.idx, and in which order.
 *
 *   struct index_header
 *   struct index_package × package_count       in the order of primary
 *   struct index_frame × (frame_count + 1)     for each stream; the last only ends the others
 *   uint32_t × source_slots                    hash table: file of a source package → index
 *   struct index_path × path_count             file paths that packages here require, sorted,
 *   uint32_t × owner_count                     and who owns them, says filelists
 *   strings                                    each with its NUL; offset 0 is ""
 *
 * Each part starts at a multiple of 8. Numbers as this machine keeps them: a snapshot is made again
 * rather than carried to another. Nothing here is trusted at open (open.c): sums and bounds first.
 */
#pragma once

#include "resolver/snapshot/snapshot.h"

#define INDEX_MAGIC UINT64_C(0x31307864692d736f) /* "os-idx01" on a little-endian machine */
#define INDEX_NO_PLACE UINT64_MAX
#define INDEX_NO_PACKAGE UINT32_MAX

#define SNAPSHOT_MAX_PACKAGES 2000000u
#define SNAPSHOT_MAX_STRING 4096u		   /* of one name, version, location … */
#define SNAPSHOT_MAX_PACKAGE (INT64_C(1) << 38)	   /* bytes of one, exclusive; as in manifests */
#define SNAPSHOT_MAX_STRINGS (1u << 30)		   /* of all of them together */
#define SNAPSHOT_MAX_PATHS (64u << 20)		   /* bytes of required paths that are kept */
#define SNAPSHOT_MAX_OWNERS (4u << 20)		   /* owners of required paths */
#define SNAPSHOT_MAX_MODULES (UINT64_C(128) << 20) /* bytes of the modules record, decompressed */

/* Measured on 236 MB of XML: level 1 stores it in 52 MB and reads a frame in 7.7 µs, level -1 in 65
 * MB and 5.3 µs; half the size makes frames quicker still, but the gain is eaten by more of them.
 */
#define FRAME_TARGET (8u << 10) /* raw bytes after which a frame ends with the next package */
#define FRAME_MAX (1u << 20)	/* raw bytes after which it ends anywhere */
#define FRAME_LEVEL -1

enum index_flag {
	INDEX_PATHS_COMPLETE =
		1,	       /* every path that is required here is in the table, owned or not */
	INDEX_MODULES = 2,     /* there is a modules record */
	INDEX_PLAIN_FILES = 4, /* filelists without comments, CDATA and processing instructions */
};

enum index_package_flag { INDEX_SOURCE = 1, INDEX_DEBUG = 2 };

struct index_package {
	uint64_t start[SNAPSHOT_STREAMS]; /* of the element in the document, or INDEX_NO_PLACE */
	uint32_t length[SNAPSHOT_STREAMS];
	uint32_t location, location_length; /* of the <location> tag within the primary element */
	uint32_t name, version, release, arch, href, sourcerpm, base, checksum_type, checksum;
	uint32_t epoch, flags;
	uint64_t size;
	int64_t time_file;
};

struct index_frame {
	uint64_t raw; /* offset in the document */
	uint64_t at;  /* offset in the file of frames */
};

struct index_path {
	uint32_t path;	       /* string */
	uint32_t first, count; /* owners */
};

struct index_header {
	uint64_t magic;
	uint64_t bytes;	     /* of packages.idx */
	uint64_t header_sum; /* of this header with 0 here */
	uint64_t body_sum;   /* of everything behind it */
	uint8_t repomd[DIGEST_SIZE];
	int64_t revision, timestamp;
	uint32_t flags, package_count;
	uint32_t source_slots; /* a power of two, or 0 */
	uint32_t path_count, owner_count;
	uint32_t frame_count[SNAPSHOT_STREAMS]; /* 0: the stream is empty or not there */
	uint64_t string_bytes;
	uint64_t solv_bytes, solv_sum;
	uint64_t modules_bytes, modules_sum;
};

/** struct index_layout - where each part starts */
struct index_layout {
	uint64_t packages, frames[SNAPSHOT_STREAMS], sources, paths, owners, strings, bytes;
};

/** index_layout() - false when the counts cannot be those of any file */
bool index_layout(const struct index_header *header, struct index_layout *ret);

/**
 * index_sum() - 64 bits over @bytes, in chain with @seed
 *
 * Finds pages that a stopped machine never wrote, at the speed of memory; it is no defence against
 * somebody who writes into the state directory. */
uint64_t index_sum(uint64_t seed, const void *bytes, size_t length);

/** index_file_sum() - of all that @fd holds, in one sum with seed 0; 0 or negative errno */
int index_file_sum(int fd, uint64_t *ret_bytes, uint64_t *ret_sum);

/** index_hash() - place of a string in a hash table, before masking
 * @seed: index_seed() of the repomd, so that nobody can choose strings that meet in one place */
uint64_t index_hash(uint64_t seed, const char *bytes, size_t length);

uint64_t index_seed(const uint8_t repomd[DIGEST_SIZE]);

extern const char *const index_stream_file[SNAPSHOT_STREAMS];  /* "primary.zst" … */
extern const char *const index_stream_field[SNAPSHOT_STREAMS]; /* "primary.xml" … */
