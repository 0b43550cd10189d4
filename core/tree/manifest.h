/* SPDX-License-Identifier: MIT */
/* core/tree/manifest.h: the bytes of a manifest: written by resolver/compose, read by core/tree.
 *
 * manifests/SHA is one file, named by the SHA-256 of its bytes, little endian, mapped read-only:
 *
 *   header | records (breadth first) | strings (NUL-terminated, offset 0 is "")
 *
 * Record 0 is the root (what composes/ID shows). The children of a directory are contiguous and sorted by
 * the bytes of their names, so lookup is a binary search and readdir a range. A child's index is always
 * greater than its parent's. Equal composes give equal bytes: nothing here depends on the clock, on
 * an id or on the order in which anything was found. */
#pragma once

#include <stdint.h>

#define MANIFEST_MAGIC "ODCSFSm1"
#define MANIFEST_MAX_SIZE (UINT64_C(1) << 38) /* bytes of one file, so that all together are a number */
#define MANIFEST_MAX_RECORDS (16u << 20)
#define MANIFEST_MAX_BYTES (UINT64_C(4) << 30)
#define MANIFEST_MAX_DEPTH 16
#define MANIFEST_MAX_NAME 255

struct manifest_header {
	char magic[8];
	uint32_t record_size;  /* sizeof(struct manifest_record) */
	uint32_t record_count; /* >= 1 */
	uint64_t strings_offset; /* = header + records */
	uint64_t strings_size;	 /* >= 1; last byte is NUL */
	uint64_t file_size;	 /* = strings_offset + strings_size */
	int64_t time_source;	 /* seconds since 1970 UTC; largest timestamp of the sources */
	uint64_t reserved[2];	 /* 0 */
};

enum manifest_type {
	MANIFEST_DIRECTORY = 1,
	MANIFEST_PACKAGE = 2, /* bytes are the source's file: base + "/" + path */
	MANIFEST_BLOB = 3,    /* bytes are blobs/DIGEST */
	MANIFEST_RPMS_JSON = 4, /* compose_text_rpms_head(), then blobs/DIGEST; size is the blob's */
	MANIFEST_MODULES_JSON = 5, /* compose_text_modules_head(), and so on */
};

enum manifest_flag {
	MANIFEST_SHA256 = 1, /* PACKAGE: digest[] holds the package's SHA-256; else it is zero */
	MANIFEST_REMOTE = 2, /* PACKAGE: base is a URL; bytes come from packages/DIGEST */
};

struct manifest_record {
	uint32_t name;	      /* offset into strings */
	uint32_t parent;      /* index; of the root: 0 */
	uint32_t first;	      /* directory: index of the first child; package: offset of path */
	uint32_t count;	      /* directory: children; package: offset of base */
	uint64_t size;	      /* bytes; directory: 0 */
	int64_t mtime;	      /* package: file time in the source's metadata, seconds; else 0 */
	uint8_t type;	      /* enum manifest_type */
	uint8_t flags;	      /* enum manifest_flag, or-ed */
	uint16_t name_length; /* bytes, without NUL; of the root: 0 */
	uint32_t detail;      /* package: offset of four strings in a row: NEVRA, reason,
			       * "TYPE:HEX" checksum, origin URL; else 0 */
	uint8_t digest[32];
	int64_t source_mtime_ns; /* package: of the source file when the compose was made; else 0 */
	uint64_t source_ino;
};

_Static_assert(sizeof(struct manifest_header) == 64, "manifest header");
_Static_assert(sizeof(struct manifest_record) == 88, "manifest record");
