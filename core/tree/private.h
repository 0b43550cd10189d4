/* SPDX-License-Identifier: MIT */
/* core/tree/private.h: what the files of this room share; nobody else includes it but its tests. */
#pragma once

#include "core/tree/manifest.h"
#include "core/tree/tree.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>

/* ---- the overlay's own nodes (overlay.c) ------------------------------- */

/* The numbers are part of inode numbers: they stay for ever, new ones go to the end. */
enum overlay_index {
	OVERLAY_ROOT = TREE_ROOT,
	OVERLAY_STATUS,
	OVERLAY_COMPOSE_ID,
	OVERLAY_STDERR,
	OVERLAY_LOGS,
	OVERLAY_GLOBAL,
	OVERLAY_LOG,
	OVERLAY_COMPOSE,
	OVERLAY_METADATA,
	OVERLAY_COMPOSEINFO,
	OVERLAY_IMAGES,
	OVERLAY_TEMPORARY,
	OVERLAY_REPO,
	OVERLAY_LOCAL_REPO,
	OVERLAY_COUNT,
	OVERLAY_RPMS_HEAD = OVERLAY_COUNT, /* no nodes: the text before the blob of rpms.json */
	OVERLAY_MODULES_HEAD,		   /* and before that of modules.json */
	OVERLAY_TEXTS,
};

/**
 * struct overlay_entry - one row of the table
 * @name: NULL where it carries the compose's id
 * @done: only there once the compose is done */
struct overlay_entry {
	const char *name;
	uint8_t parent;
	bool directory, done;
};
extern const struct overlay_entry overlay_entries[OVERLAY_COUNT];

/* ---- manifest.c -------------------------------------------------------- */

#define MANIFEST_NONE UINT32_MAX

/**
 * struct manifest - a mapped manifest whose bytes were found sound, shared by all trees that show
 * it
 * @overlaid: record of the directory that the overlay shows under its own index, or MANIFEST_NONE
 * @directories: one bit per record, so that link counts need no walk over the children */
struct manifest {
	const struct manifest_header *header;
	const struct manifest_record *record;
	const char *strings;
	size_t length;
	uint32_t count;
	uint32_t overlaid[OVERLAY_COUNT];
	uint64_t *directories;
	unsigned int references; /* under the store's lock, as next is */
	struct manifest *next;
	bool mapped;
	char digest[DIGEST_HEX_SIZE]; /* "" until the store has set it */
};

/** manifest_over() - over bytes that tree_check_bytes() accepted; borrowed. NULL: out of memory */
struct manifest *manifest_over(const void *bytes, size_t length);
/** manifest_map() - map the file at @fd (which may be closed then) and check it; -EBADMSG */
int manifest_map(int fd, struct manifest **ret, struct error *err);
void manifest_free(struct manifest *manifest);
DEFINE_FREEP(struct manifest, manifest_free)

static inline const char *manifest_name(const struct manifest *manifest, uint32_t record)
{
	return manifest->strings + manifest->record[record].name;
}

/** manifest_find() - binary search among the children of @directory; MANIFEST_NONE */
uint32_t manifest_find(const struct manifest *manifest, uint32_t directory, const char *name,
		       size_t length);
/** manifest_subdirectories() - how many of the children of @directory are directories */
uint32_t manifest_subdirectories(const struct manifest *manifest, uint32_t directory);

static inline bool manifest_is_blob(const struct manifest_record *record)
{
	return record->type >= MANIFEST_BLOB;
}

/* ---- store.c ----------------------------------------------------------- */

#define STORE_VERIFIED 65536 /* digests of blobs remembered as verified; a forgotten one is hashed again */
#define STORE_TEMPORARY ".new-" /* prefix of what is being published; swept when left behind */

/** struct cache - what packages/ holds (cache.c) */
struct cache {
	pthread_mutex_t lock; /* may be taken while the store's is held, never the other way round */
	/* under lock */
	struct tree_hold **bucket;
	size_t buckets, entries;
	struct tree_hold *newest, *oldest; /* those that are here, by use */
	struct tree_cache_figures figures;
	const char *contact;
};

#define FAILURES_KEPT 256

/** struct failures - files that could not be read (failed.c); a ring */
struct failures {
	pthread_mutex_t lock; /* nothing is called under it */
	_Atomic int count;
	struct failure {
		int64_t id;
		uint32_t index;
		char *words; /* NULL: free */
	} *last;
	size_t next;
};

struct tree_store {
	int manifests, blobs, packages, logs, partial; /* descriptors of the directories */
	char *public_url, *local_url;
	struct strings sites; /* directories that are the site's own */
	struct tree_bringer bringer; /* .ask NULL: none */
	_Atomic bool said_partial;   /* that partial/ cannot be trimmed */
	struct cache cache;
	struct failures failures;
	_Atomic bool ending;	     /* a sweep stops where it is */
	_Atomic unsigned int serial; /* makes temporary names differ */
	pthread_mutex_t lock;	     /* the rest is under it */
	struct manifest **bucket;
	size_t bucket_count, manifest_count;
	char keys[DIGEST_HEX_SIZE]; /* that packages are held against; "": none */
	char *own;		    /* base of those that are not; NULL while there are no keys */
	uint8_t (*verified)[DIGEST_SIZE];
};

/** store_manifest_get() - mapped, verified and counted; -EIO when missing or damaged (then removed)
 */
int store_manifest_get(struct tree_store *store, const char *digest, struct manifest **ret,
		       struct error *err);
void store_manifest_put(struct tree_store *store, struct manifest *manifest); /* NULL: nothing */
/** store_manifest_held() - is there a tree that shows it? */
bool store_manifest_held(struct tree_store *store, const char *digest);

/**
 * store_blob_open() - the file named @digest in @dirfd (blobs or packages), with the size it must
 * have Hashed when this process has not done so yet; a damaged one is removed, so that the next
 * compose that needs it makes it again (DESIGN 4). Descriptor; -EIO with words */
int store_blob_open(struct tree_store *store, int dirfd, const uint8_t digest[DIGEST_SIZE],
		    uint64_t size, struct error *err);
/** store_package_open() - the same of a package that a server has. -EAGAIN: it must be brought, or looked at by
 * somebody who has time */
int store_package_open(struct tree_store *store, const uint8_t digest[DIGEST_SIZE], uint64_t size,
		       struct error *err);
/** store_blobs_check() - each blob and each fetched package that @manifest names is there with its size */
int store_blobs_check(struct tree_store *store, const struct manifest *manifest, struct error *err);
/** store_is_leftover() - a name that is given while a file is written */
bool store_is_leftover(const char *name);
/** store_has_writer() - does somebody have the file open for writing? */
bool store_has_writer(int fd);
/** store_verified_add() - a blob; packages: cache_verified() */
void store_verified_add(struct tree_store *store, const uint8_t digest[DIGEST_SIZE]);

/* ---- cache.c ------------------------------------------------------------- */

/** cache_init() - know what is in packages/, oldest first */
int cache_init(struct tree_store *store, struct error *err);
void cache_done(struct cache *cache);
/** cache_hold() - keep it there, if it is; NULL: out of memory */
struct tree_hold *cache_hold(struct tree_store *store, const uint8_t digest[DIGEST_SIZE]);
void cache_used(struct tree_hold *hold, int fd, uint64_t size);
bool cache_has(struct tree_store *store, const uint8_t digest[DIGEST_SIZE], uint64_t size);
/** cache_arrived() - it has been put there, for @reserved bytes; others may have to go */
void cache_arrived(struct tree_store *store, const uint8_t digest[DIGEST_SIZE], uint64_t size,
		   uint64_t reserved);
void cache_gone(struct tree_store *store, const uint8_t digest[DIGEST_SIZE]);
/** cache_verified() - the file of that inode holds what its name says; it is here, and somebody holds it or has put
 * it there. cache_is_verified(): nobody has put another one there since */
void cache_verified(struct tree_store *store, const uint8_t digest[DIGEST_SIZE],
		    const struct stat *st);
bool cache_is_verified(struct tree_store *store, const uint8_t digest[DIGEST_SIZE],
		       const struct stat *st);
/** cache_mark() - a number for what its bytes were held against; 0: nothing is known */
void cache_mark(struct tree_store *store, const uint8_t digest[DIGEST_SIZE], uint64_t mark);
uint64_t cache_marked(struct tree_store *store, const uint8_t digest[DIGEST_SIZE]);

/* ---- failed.c ------------------------------------------------------------ */

int failures_init(struct failures *failures);
void failures_done(struct failures *failures);

/* ---- signed.c ------------------------------------------------------------ */

/** store_keys_for() - what packages of @base must be held against; false: nothing */
bool store_keys_for(struct tree_store *store, const char *base, char ret[static DIGEST_HEX_SIZE]);
/** store_is_signed() - may the package at @fd be handed out as one of @base? */
bool store_is_signed(struct tree_store *store, const char *base,
		     const uint8_t digest[DIGEST_SIZE], int fd);
/** store_mark_file() - on the disk, before it is in its place; store_mark(): afterwards, in memory */
void store_mark_file(int fd, const char *keys);
void store_mark(struct tree_store *store, const uint8_t digest[DIGEST_SIZE], const char *keys);

/* ---- tree.c, overlay.c ------------------------------------------------- */

struct tree {
	_Atomic unsigned int references;
	bool final; /* STATUS and COMPOSE_ID change no more */
	struct tree_store *store;
	struct manifest *manifest; /* NULL before done */
	struct compose *record;	   /* one allocation with all it points to: overlay_record() */
	int64_t mtime;
	char repo_name[36], local_repo_name[40];
	_Atomic uint32_t text_length[OVERLAY_TEXTS]; /* + 1; 0: not rendered yet */
};

/** tree_over() - a tree of @compose that shows @manifest (NULL: none; taken over on success) */
int tree_over(struct tree_store *store, const struct compose *compose, struct manifest *manifest,
	      struct tree **ret, struct error *err);
/** tree_record() - record number of a node, or MANIFEST_NONE (an overlay's own node, or no node) */
uint32_t tree_record(const struct tree *tree, uint32_t index);
bool overlay_visible(const struct tree *tree, uint32_t index);
const char *overlay_name(const struct tree *tree, uint32_t index);
static inline bool overlay_is_log(uint32_t index)
{
	return index == OVERLAY_STDERR || index == OVERLAY_LOG;
}
/** overlay_record() - copy what the texts of a compose are made from; free() frees it all */
int overlay_record(const struct compose *compose, struct compose **ret);
/** overlay_head() - the text before the blob of a record; OVERLAY_TEXTS: none */
static inline uint32_t overlay_head(const struct manifest_record *record)
{
	return record->type == MANIFEST_RPMS_JSON      ? OVERLAY_RPMS_HEAD
	       : record->type == MANIFEST_MODULES_JSON ? OVERLAY_MODULES_HEAD
						       : OVERLAY_TEXTS;
}
/** overlay_text() - append the content of a file of the overlay (no log) or of an overlay_head();
 * -ENOMEM */
int overlay_text(const struct tree *tree, uint32_t index, struct text *ret);
/** overlay_length() - its length, rendered at most once; -ENOMEM */
int overlay_length(const struct tree *tree, uint32_t index, uint64_t *ret);
/** overlay_log_stat() - logs/ID; false when there is none */
bool overlay_log_stat(const struct tree *tree, struct stat *ret);
