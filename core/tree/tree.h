/* SPDX-License-Identifier: MIT */
/* core/tree/tree.h: the door to a compose's tree: what composes/ID shows, for fs/ and rest/ alike.
 *
 * A tree is a mapped manifest with the few files laid over it that carry the compose's id or change
 * while it is made (tree.md 6). Before the compose is done there is no manifest and only those that
 * need none. A node is named by a 32-bit index that never changes for a compose: inode numbers are
 * made from it. Any thread; a struct tree is immutable and counted.
 *
 * Layout (index < TREE_MANIFEST_FIRST are the overlay's own nodes, manifest record i is
 * TREE_MANIFEST_FIRST + i except where the overlay shadows a directory of the manifest, whose children
 * it then shows beside its own):
 *   /STATUS /COMPOSE_ID /pungi-stderr.log /logs/ /logs/global/ /logs/global/odcsfs.log (all always)
 *   /compose/metadata/{composeinfo,images}.json, /compose/Temporary/odcs-ID.repo, odcs-ID.local.repo (done) */
#pragma once

#include "core/model/model.h"

#define TREE_ROOT 0
#define TREE_MANIFEST_FIRST 64

struct tree_store; /* the directories of the state directory that readers need */
struct tree;

/**
 * tree_store_open() - use manifests/, blobs/, packages/ and logs/ below @state_dirfd (borrowed; made when missing)
 * @public_url: base URL in .repo files over HTTP
 * @local_path: path of composes/ as clients see it, for odcs-ID.local.repo ("/odcs/composes") */
int tree_store_open(int state_dirfd, const char *public_url, const char *local_path,
		    struct tree_store **ret, struct error *err);
/** tree_store_public_url() - another base URL; before the first tree_open(). A listener that picks its
 * own port knows it only then */
int tree_store_public_url(struct tree_store *store, const char *public_url, struct error *err);
/** tree_store_site() - @directory (need not be there yet) is the site's own: links in it that lead out of it are
 * followed wherever the service may read, since whoever asks for composes cannot put any there. koji.topdir and each of module.repos; before the
 * first tree_open() */
int tree_store_site(struct tree_store *store, const char *directory, struct error *err);
void tree_store_close(struct tree_store *store);
DEFINE_FREEP(struct tree_store, tree_store_close)

/** tree_check_bytes() - are these the bytes of a sound manifest? Bounds, order, types, names, strings, sizes
 * (fuzz target). BLAME_US, -EBADMSG */
int tree_check_bytes(const void *bytes, size_t length, struct error *err);

/**
 * tree_store_publish() - take over what a worker left in @work_dirfd: verify digest and size of each new
 * blob and of the manifest, rename them into place, and the packages that it fetched; existing ones are
 * left alone.
 * -EBADMSG names the file that lies */
int tree_store_publish(struct tree_store *store, int work_dirfd, const struct outcome *outcome,
		       struct error *err);

/** tree_store_sweep() - remove manifests, blobs and packages that no digest of @live (sorted, hex) leads to, and that
 * are older than @min_age_seconds; counts returned. Logs of ids for which @log_live says false go too.
 * Must not run between tree_store_publish() and the commit of the row that names the manifest: a result may
 * rely on files that were orphans until then. */
int tree_store_sweep(struct tree_store *store, const struct strings *live,
		     bool (*log_live)(void *data, int64_t id), void *data, int64_t min_age_seconds,
		     int64_t *ret_files, int64_t *ret_bytes, struct error *err);

/** tree_store_log_open() - logs/ID for reading, or for appending with @append; descriptor */
int tree_store_log_open(struct tree_store *store, int64_t id, bool append, struct error *err);

/**
 * tree_open() - the tree of @compose as it stands (borrowed for the call; what is needed is copied)
 * A compose that is not done, or that has been removed, has a tree without compose/, but with tree_kept it
 * stays as it was. A reused compose is opened by the record of the one it reuses. -EIO: the manifest is
 * missing or damaged */
int tree_open(struct tree_store *store, const struct compose *compose, struct tree **ret,
	      struct error *err);
struct tree *tree_ref(struct tree *tree);
void tree_unref(struct tree *tree);
DEFINE_FREEP(struct tree, tree_unref)

/** struct tree_node - attributes; @name borrowed from the tree */
struct tree_node {
	uint32_t index, parent;
	const char *name; /* NUL-terminated */
	size_t name_length;
	bool directory, package;
	bool live;	   /* size and content change (log): do not cache */
	uint32_t nlink;	   /* directories: 2 + subdirectories */
	uint64_t size;
	int64_t mtime;	   /* package: metadata's file time; else time_done, or time of the last state change */
	bool cached;	   /* package: bytes are already here or need no fetching */
};

int tree_get(const struct tree *tree, uint32_t index, struct tree_node *ret);	/* -ENOENT */
int tree_lookup(const struct tree *tree, uint32_t directory, const char *name, size_t length,
		struct tree_node *ret);						/* -ENOENT, -ENOTDIR */
/** tree_is_content() - is it compose/ or below it, what the compose is made for, not one of its logs? */
bool tree_is_content(const struct tree *tree, const struct tree_node *node);
/** tree_child() - @position counts from 0 without gaps and never changes; -ENOENT past the end */
int tree_child(const struct tree *tree, uint32_t directory, uint32_t position,
	       struct tree_node *ret);
/** tree_find() - by a path below the compose ("compose/Temporary/x86_64/os"); "" is the root */
int tree_find(const struct tree *tree, const char *path, struct tree_node *ret);

/** struct tree_file - an open file: @head, then bytes of @fd from offset 0 up to @size in all */
struct tree_file {
	int fd;		  /* -1: everything is in @head */
	char *head;	  /* malloc'ed or NULL */
	size_t head_length;
	uint64_t size;
	char etag[DIGEST_HEX_SIZE + 24]; /* without quotes; "" for live files */
};

/**
 * tree_file_open() - open a file's bytes
 * A package's source file is opened below its base directory and must still have the size, mtime and inode
 * it had when the compose was made; else -EIO with words naming the file (reliability.md 7).
 * -EISDIR, -ENOENT */
int tree_file_open(const struct tree *tree, uint32_t index, struct tree_file *ret,
		   struct error *err);
void tree_file_done(struct tree_file *file);
/** tree_file_read() - at most @length bytes at @offset; bytes got (0 at the end) or negative errno */
ssize_t tree_file_read(const struct tree_file *file, void *buffer, size_t length, uint64_t offset);

/** struct tree_package - strings borrowed from the tree */
struct tree_package {
	const char *nevra, *reason, *checksum /* "sha256:HEX" */, *origin;
	const char *sha256; /* hex within @checksum, or NULL */
};
int tree_package_get(const struct tree *tree, uint32_t index, struct tree_package *ret); /* -ENODATA */
const char *tree_manifest_digest(const struct tree *tree); /* hex, or NULL before done */
