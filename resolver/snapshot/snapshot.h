/* SPDX-License-Identifier: MIT */
/* resolver/snapshot/snapshot.h: the door to one source repository at one repomd, indexed.
 *
 * snapshots/SHA/ (SHA-256 of the bytes of repomd.xml) holds
 *   solv          libsolv's format, for resolver/solve
 *   packages.idx  per package: place of its element in each stream, place of <location> in
 *                 it, checksum, sizes, times, strings; plus what repomd said. Mapped read-only
 *   primary.zst, filelists.zst, other.zst
 *                 the XML in small independent zstd frames
 *   modules       the modules record, decompressed
 *
 * Built once in one pass, under a temporary name that begins with a dot (".SHA.PID"), renamed
 * when complete. Independent of where the repository lies: locations stay relative. Source rules:
 * only in a worker; foreign bytes. One thread per object, but building uses a second thread
 * inside. */
#pragma once

#include "core/base/base.h"

enum snapshot_stream { SNAPSHOT_PRIMARY, SNAPSHOT_FILELISTS, SNAPSHOT_OTHER, SNAPSHOT_STREAMS };

#define REPOMD_MAX_BYTES (4 * 1024 * 1024)
#define REPOMD_MAX_RECORDS 1000
#define SNAPSHOT_MAX_OPEN_BYTES (UINT64_C(8) << 30) /* of one decompressed stream */
#define SNAPSHOT_MAX_RATIO 1000 /* decompressed ÷ compressed, beyond the first 64 MiB */
#define SNAPSHOT_MAX_ELEMENT (256 * 1024 * 1024)

/** struct repomd_record - one <data> of repomd.xml; strings owned by the repomd */
struct repomd_record {
	char *type, *href, *base;		  /* base: xml:base or NULL */
	char *checksum_type, *checksum;		  /* of the file as it lies there */
	char *open_checksum_type, *open_checksum; /* or NULL */
	int64_t timestamp, size, open_size;	  /* -1: not given */
};
struct repomd {
	int64_t revision;  /* whole number, or -1 when it is none */
	int64_t timestamp; /* largest of the records, or revision, or 0 */
	struct repomd_record *record;
	size_t count;
	char digest[DIGEST_HEX_SIZE]; /* SHA-256 of the bytes */
};
/** repomd_parse() - BLAME_SOURCE, -EBADMSG; "repomd.xml" in the field; locations are checked */
int repomd_parse(const char *bytes, size_t length, struct repomd **ret, struct error *err);
const struct repomd_record *repomd_find(const struct repomd *repomd, const char *type);
void repomd_free(struct repomd *repomd);
DEFINE_FREEP(struct repomd, repomd_free)

/**
 * struct snapshot_reader - how the builder gets a file of the repository
 * @open: descriptor at offset 0 of the file named by a repomd record, the caller's to close; sizes
 * and checksums are checked by the builder
 * @read: NULL, or in place of @open for the three streams: the next bytes of one, 0 at its end. Called
 * by two threads, but each stream by one of them alone
 * All but @read are called in the caller's thread. */
struct snapshot_reader {
	int (*open)(void *data, const struct repomd_record *record, struct error *err);
	ssize_t (*read)(void *data, enum snapshot_stream stream, void *buffer, size_t length,
			struct error *err);
	void (*progress)(void *data, const char *text); /* may be NULL */
	void (*log)(void *data, const char *text);	/* may be NULL: duplicates, dangling … */
	void *data;
};

/** repomd_modules() - append the modules record decompressed and checked, of a repository that is not
 * indexed yet; -ENOENT (no words): it has none */
int repomd_modules(const struct repomd *repomd, const struct snapshot_reader *reader,
		   struct text *ret, struct error *err);

struct snapshot;

/** snapshot_open() - -ENOENT: not there yet (no words); a damaged one is removed and -ENOENT too */
int snapshot_open(int snapshots_dirfd, const char *digest, struct snapshot **ret,
		  struct error *err);
/** snapshot_check() - as far as snapshot_open() looks, but it stays: 0, -ENOENT or -EBADMSG (no words) */
int snapshot_check(int snapshots_dirfd, const char *digest, struct error *err);
/**
 * snapshot_build() - read primary, filelists, other (the latter two may be absent), modules; then
 * it can be opened
 * @ret_bytes_written: may be NULL
 *
 * BLAME_SOURCE: wrong size, checksum, XML, ratio; the message names the file. Not an error but
 * logged: an other.xml that the reader answers with -ENOENT (it holds changelogs only), and a
 * wrong open-checksum where the checksum is right. */
int snapshot_build(int snapshots_dirfd, const struct repomd *repomd,
		   const struct snapshot_reader *reader, int64_t *ret_bytes_written,
		   struct error *err);
void snapshot_free(struct snapshot *snapshot);
DEFINE_FREEP(struct snapshot, snapshot_free)

/** struct snapshot_package - borrowed from the map */
struct snapshot_package {
	const char *name, *version, *release, *arch, *href, *sourcerpm;
	const char *base; /* xml:base of its location, or "" */
	uint32_t epoch;
	bool source, debug;
	const char *checksum_type, *checksum; /* pkgid, hex */
	uint64_t size;			      /* of the file */
	int64_t time_file;
};
uint32_t snapshot_count(const struct snapshot *snapshot);
const char *snapshot_digest(const struct snapshot *snapshot);
int64_t snapshot_revision(const struct snapshot *snapshot); /* -1 none */
int64_t snapshot_timestamp(const struct snapshot *snapshot);
void snapshot_package_get(const struct snapshot *snapshot, uint32_t index,
			  struct snapshot_package *ret);
/** snapshot_find_source() - index of the source package with file name @sourcerpm; -ENOENT */
int snapshot_find_source(const struct snapshot *snapshot, const char *sourcerpm,
			 uint32_t *ret_index);
/** snapshot_solv() - opened for reading, the caller's to fclose */
int snapshot_solv(const struct snapshot *snapshot, FILE **ret, struct error *err);

/**
 * snapshot_element() - append the <package>…</package> element of one stream as the source wrote it
 * @ret_location: primary only, may be NULL: offset and length of the whole <location …/> tag
 *                within what was added
 *
 * A package without an element in filelists or other adds a minimal one made from its NEVRA. */
int snapshot_element(struct snapshot *snapshot, enum snapshot_stream stream, uint32_t index,
		     struct text *ret, size_t ret_location[2], struct error *err);
/** snapshot_modules() - the modules record decompressed, or -ENOENT */
int snapshot_modules(const struct snapshot *snapshot, struct text *ret, struct error *err);

/** snapshot_paths() - owners of the file paths that packages of this repository require and primary
 * does not list, found in filelists when the snapshot was built. Handing them to
 * solve_pool_add_path() right after solve_pool_add() saves a second solve_pool_prepare() */
int snapshot_paths(const struct snapshot *snapshot,
		   int (*found)(void *data, uint32_t index, const char *path), void *data);
/** snapshot_find_paths() - scan filelists for @paths (sorted); @found is called for each owner
 *
 * Paths that packages of this repository require were answered when it was built and cost nothing.
 */
int snapshot_find_paths(struct snapshot *snapshot, const struct strings *paths,
			int (*found)(void *data, uint32_t index, const char *path), void *data,
			struct error *err);
