/* SPDX-License-Identifier: MIT */
/* resolver/compose/parts.h: what the files of this room share; no other room includes it.
 *
 *   composer.c  the order of one compose     repodata.c   XML of one tree, repomd.xml, comps
 *   elements.c  pieces out of snapshots      productmd.c  rpms.json
 *   compress.c  gz and zstd                  blob.c       files named by their digest
 *   manifest.c  the manifest's bytes
 *
 * One struct composing per composer_write(); nothing outlives it. */
#pragma once

#include "core/tree/manifest.h"
#include "resolver/compose/composer.h"

/* ---- blob.c ------------------------------------------------------------ */

struct blob {
	char hex[DIGEST_HEX_SIZE];
	uint8_t digest[DIGEST_SIZE];
	uint64_t size;
};

/**
 * struct blob_store - where blobs go
 * @dirfd: WORK/blobs
 * @written: gets the digest of each new file
 * @have: as composition.have_blob; may be NULL */
struct blob_store {
	int dirfd;
	bool (*have)(void *data, const char *digest);
	void *have_data;
	struct strings written;
	int64_t bytes_written;
};

/** blob_put() - make sure that the service will have these bytes; written at most once */
int blob_put(struct blob_store *store, const void *bytes, size_t length, struct blob *ret,
	     struct error *err);
/** blob_file() - one new file in a directory of the work directory, which nobody else sees yet */
int blob_file(int dirfd, const char *name, const void *bytes, size_t length, struct error *err);

/* ---- compress.c -------------------------------------------------------- */

struct compressor;

int compressor_new(enum composer_compression compression, struct compressor **ret,
		   struct error *err);
void compressor_free(struct compressor *compressor);
DEFINE_FREEP(struct compressor, compressor_free)
const char *compressor_suffix(const struct compressor *compressor); /* ".gz" or ".zst" */
/** compressor_run() - one complete file; @ret is borrowed until the next call */
int compressor_run(struct compressor *compressor, const void *bytes, size_t length,
		   const void **ret, size_t *ret_length, struct error *err);

/* ---- what one compose is made of --------------------------------------- */

#define NO_ITEM SIZE_MAX

/** struct place - one repository of the compose
 * @modules: name of the modules record in repodata/, or NULL
 * @path, @also: below compose/Temporary: "x86_64/os"; @also: where it is shown once more (arch_also()), or NULL */
struct place {
	char *path, *also, *modules;
	enum composer_tree tree;
	size_t first, count; /* its items */
};

/**
 * struct item - one package at one place
 * @about: as in the snapshot, but for the checksum of a package whose @stand_in is not NULL
 * @stand_in: what its elements have where the checksum belongs, or NULL
 * @file: last part of its href
 * @nevra: NAME-[EPOCH:]VERSION-RELEASE.ARCH, without control characters
 * @twin: the same package of the same snapshot at an earlier place, or NO_ITEM
 * @twins: a later item has this one as its twin
 * @kept: where elements.c keeps this item's element (offset + 1; 0: not kept) and its length */
struct item {
	const struct composer_package *package;
	struct snapshot_package about;
	const char *stand_in;
	const char *file;
	char *nevra;
	size_t place;
	size_t twin;
	bool twins;
	struct {
		size_t offset, length;
	} kept[SNAPSHOT_STREAMS];
};

struct manifest_writer;

struct composing {
	const struct composition *composition;
	struct place *place;
	size_t place_count;
	struct item *item; /* by place, then by NEVRA and checksum */
	size_t count;
	struct text elements; /* kept for twins */
	struct text log;      /* logs/global/depsolve.log */
	struct blob_store blobs;
	struct compressor *compressor;
	struct manifest_writer *manifest;
};

/** file_letter() - name of the directory below Packages/ for a file: its first character in lower
 * case, or '_' where that is more than one byte */
char file_letter(const char *file);
/** line_adds() - append @string with each control character as a blank */
void line_adds(struct text *text, const char *string);

/* ---- elements.c -------------------------------------------------------- */

/** elements_link() - find twins among the items */
int elements_link(struct composing *composing, struct error *err);
/** element_add() - append the item's element of one stream, ready for this compose, and a newline
 */
int element_add(struct composing *composing, struct item *item, enum snapshot_stream stream,
		struct text *ret, struct error *err);
/** xml_adds() - append @string as content of an element or of an attribute in double quotes */
void xml_adds(struct text *text, const char *string);

/* ---- repodata.c, productmd.c ------------------------------------------- */

/** repodata_write() - blobs and manifest entries of PLACE/repodata/ */
int repodata_write(struct composing *composing, struct place *place, struct error *err);
/** productmd_rpms() - append the body of rpms.json, from `"rpms": {` to the end of the document */
int productmd_rpms(const struct composing *composing, struct text *ret, struct error *err);
/** productmd_modules() - the same of modules.json, from `"modules": {` on; after repodata_write() */
int productmd_modules(const struct composing *composing, struct text *ret, struct error *err);

/* ---- manifest.c -------------------------------------------------------- */

/** manifest_writer_new() - with nothing but the root, which is node 0 */
int manifest_writer_new(struct manifest_writer **ret, struct error *err);
void manifest_writer_free(struct manifest_writer *writer);
DEFINE_FREEP(struct manifest_writer, manifest_writer_free)
/** manifest_writer_directory() - the node of @path ("a/b") below @parent, made when missing */
int manifest_writer_directory(struct manifest_writer *writer, uint32_t parent, const char *path,
			      uint32_t *ret, struct error *err);
int manifest_writer_blob(struct manifest_writer *writer, uint32_t directory, const char *name,
			 enum manifest_type type, const struct blob *blob, struct error *err);
int manifest_writer_package(struct manifest_writer *writer, uint32_t directory,
			    const struct item *item, struct error *err);
/** manifest_writer_finish() - append the whole manifest; the writer can then only be freed
 * @ret_bytes: sizes of all files together */
int manifest_writer_finish(struct manifest_writer *writer, int64_t time_source, struct text *ret,
			   int64_t *ret_bytes, struct error *err);
