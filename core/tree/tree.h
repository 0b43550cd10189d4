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
/** tree_store_signed() - from here on packages of servers, but those of base @own, are handed out once a worker has
 * held them against the keys that @keys is the digest of: tree_package_take() says so. What was held against others
 * before is as if nobody had */
int tree_store_signed(struct tree_store *store, const char *keys, const char *own,
		      struct error *err);
bool tree_store_checks(struct tree_store *store); /* was that called? */
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

/** tree_store_end() - from here on a sweep ends with -ECANCELED, at once: what is left waits for the next start */
void tree_store_end(struct tree_store *store);
/** tree_store_sweep() - remove manifests, blobs and packages that no digest of @live (sorted, hex) leads to, and that
 * are older than @min_age_seconds; counts returned. Logs of ids for which @log_live says false go too.
 * Must not run between tree_store_publish() and the commit of the row that names the manifest: a result may
 * rely on files that were orphans until then. */
int tree_store_sweep(struct tree_store *store, const struct strings *live,
		     bool (*log_live)(void *data, int64_t id), void *data, int64_t min_age_seconds,
		     int64_t *ret_files, int64_t *ret_bytes, struct error *err);

enum tree_problem {
	TREE_ORPHAN,  /* no compose needs it, or it is half written */
	TREE_STRANGE, /* not a name of ours */
	TREE_DAMAGED, /* a compose needs it, and it is not what it should be */
};
/** struct tree_finding - file @name in @folder of the state directory; borrowed for the call */
struct tree_finding {
	enum tree_problem problem;
	const char *folder, *name, *words;
};
/**
 * struct tree_check - of tree_check()
 * @live: sorted digests of the manifests that composes name
 * @deep: blobs and packages are held against their digests, too; manifests always are
 * @min_age_seconds: what nobody needs is told of when it is older
 * @found: a file; it may be moved or removed meanwhile
 * @lost: what @manifest shows cannot be read in whole, and why; negative errno ends the check
 * @ret_files: may be NULL; files that were looked at */
struct tree_check {
	const struct strings *live;
	bool deep;
	int64_t min_age_seconds;
	void (*found)(void *data, const struct tree_finding *finding);
	int (*lost)(void *data, const char *manifest, const char *words, struct error *err);
	void *data;
	int64_t *ret_files;
};
/** tree_check() - look through manifests/, blobs/ and packages/; nothing is made, changed or removed, and
 * a service may be at work there. A missing folder is an empty one */
int tree_check(int state_dirfd, const struct tree_check *check, struct error *err);

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
	bool remote;	   /* package: of a server: @cached may change */
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

struct tree_hold; /* keeps a package in packages/ while somebody has it open */

/** struct tree_file - an open file: @head, then bytes of @fd from offset 0 up to @size in all */
struct tree_file {
	int fd;		  /* -1: everything is in @head */
	struct tree_hold *hold; /* or NULL; who takes @fd for longer takes it, too */
	char *head;	  /* malloc'ed or NULL */
	size_t head_length;
	uint64_t size;
	char etag[DIGEST_HEX_SIZE + 24]; /* without quotes; "" for live files */
};

/**
 * tree_file_open() - open a file's bytes
 * A package's source file is opened below its base directory and must still have the size, mtime and inode
 * it had when the compose was made; else -EIO with words naming the file (reliability.md 7).
 * -EISDIR, -ENOENT
 * -EAGAIN: a package that tree_ask() must bring first; @ret has @size and @etag then, and is otherwise empty */
int tree_file_open(const struct tree *tree, uint32_t index, struct tree_file *ret,
		   struct error *err);
void tree_file_done(struct tree_file *file);
/** tree_file_read() - at most @length bytes at @offset; bytes got (0 at the end) or negative errno */
ssize_t tree_file_read(const struct tree_file *file, void *buffer, size_t length, uint64_t offset);

/** tree_hold() - a package of a server stays from when it comes on; NULL: it is none, or no memory */
struct tree_hold *tree_hold(const struct tree *tree, uint32_t index);
void tree_hold_release(struct tree_hold *hold); /* NULL: nothing */

/* ---- what could not be read (failed.c) -------------------------------------- */

/** tree_id() - the id of the compose whose tree it is, which another one may show, too */
int64_t tree_id(const struct tree *tree);
/** tree_failed() - node @index of compose @id (tree_id()) cannot be read, whoever tried it: the words are in the
 * compose's log, once. true: they are new */
bool tree_failed(struct tree_store *store, int64_t id, uint32_t index, const char *words);
void tree_reads_well(struct tree_store *store, int64_t id, uint32_t index); /* it was opened since */
/** tree_failure() - the words; -ENODATA: it reads well, or nobody has tried it, or it was long ago */
int tree_failure(struct tree_store *store, int64_t id, uint32_t index, struct text *ret);

/* ---- packages of servers (cache.c) ----------------------------------------- */

/** struct tree_want - a package of a server; strings borrowed from the tree
 * @base: as the source names the place, @path below it
 * @there: it is here; perhaps nobody has looked at it since the start */
struct tree_want {
	char sha256[DIGEST_HEX_SIZE];
	uint64_t size;
	const char *base, *path;
	bool there;
};

/**
 * struct tree_waiter - somebody who waits for a package; his memory
 * @done: called once, from another thread, with no lock held and never from within tree_ask():
 *        @err->code 0: open it (again), else why it cannot be read: -ETIMEDOUT, -ENOSPC, -EIO. The
 *        waiter is his alone again
 * @until_ms: time_monotonic_ms() at which he gives up; 0: by the configuration, and that anew whenever bytes have
 *        come that may be handed out early
 * @party: for whom it is, so that all get their turns: "uid:1000", an address; read in tree_ask() only. NULL: nobody
 *        in particular
 * @need: so many bytes from the start on are enough, where bytes are handed out early; 0: all of it, verified */
struct tree_waiter {
	void (*done)(struct tree_waiter *waiter, const struct error *err);
	int64_t until_ms;
	uint64_t need;
	const char *party;
	struct tree_waiter *next; /* of who brings it, as the next */
	void *claim;
};

/** struct tree_bringer - who brings what is not here; any thread, never waits */
struct tree_bringer {
	void *data;
	int (*ask)(void *data, const struct tree_want *want, struct tree_waiter *waiter,
		   struct error *err);
	bool (*forget)(void *data, struct tree_waiter *waiter);
	/* what comes of it now, counted; NULL: nothing. NULL itself: nothing is handed out early */
	struct tree_arrival *(*arriving)(void *data, const struct tree_want *want);
};
/** tree_store_bringer() - before the first tree_open(); without one such packages are -EIO */
void tree_store_bringer(struct tree_store *store, const struct tree_bringer *bringer);
/** tree_ask() - have a package brought; 0: @waiter will be told; -EIO and so on: that is known already */
int tree_ask(const struct tree *tree, uint32_t index, struct tree_waiter *waiter,
	     struct error *err);
/** tree_forget() - @waiter does not wait any more. false: he is being told just now, or was */
bool tree_forget(struct tree_store *store, struct tree_waiter *waiter);
/** tree_streams() - are bytes handed out before they are verified (cache.verify=stream)? */
bool tree_streams(const struct tree_store *store);
/** tree_arriving() - what has come of a package that is not here, counted; NULL: nothing */
struct tree_arrival *tree_arriving(const struct tree *tree, uint32_t index);
/** tree_want() - what a node needs from a server; -ENODATA: nothing */
int tree_want(const struct tree *tree, uint32_t index, struct tree_want *ret);
/** tree_want_next() - the next package of a server from record *@position on; 1, 0: no more
 * @ret_index: its node */
int tree_want_next(const struct tree *tree, uint32_t *position, struct tree_want *ret,
		   uint32_t *ret_index);

/**
 * tree_package_take() - a package that was fetched as packages/SHA256 in @work_dirfd: verified here and put
 * in its place; @reserved bytes are free again, whatever comes of it
 * -EBADMSG: it is not that one. Reads the whole file */
int tree_package_take(struct tree_store *store, int work_dirfd, const struct tree_want *want,
		      uint64_t reserved, struct error *err);
/** tree_package_lend() - one that is there, but was not held against the keys, for a worker to go on with: false: it
 * has to be fetched */
bool tree_package_lend(struct tree_store *store, int work_dirfd, const struct tree_want *want);
/** tree_package_verify() - one that is there already: 0, or -ENOENT: damaged, and removed; -ENOKEY: not held against the
 * keys. Reads the whole file */
int tree_package_verify(struct tree_store *store, const struct tree_want *want, struct error *err);

/* ---- packages while they come (arrival.c) ------------------------------------ */

#define TREE_WITHHELD (64u << 10) /* of a package's end: handed out when it was verified, never before */

enum tree_arrival_state {
	ARRIVAL_COMING,
	ARRIVAL_GOOD,  /* verified: it is in packages/ */
	ARRIVAL_WRONG, /* what was read of it was of another file, or will never be whole */
};
/** struct tree_arrival - bytes that nobody has verified yet. Counted; any thread */
struct tree_arrival;
/** tree_arrival_open() - of what a worker writes as packages/fetch_part_name(@sha256) in @work_dirfd */
int tree_arrival_open(int work_dirfd, const char *sha256, uint64_t size, struct tree_arrival **ret);
struct tree_arrival *tree_arrival_ref(struct tree_arrival *arrival); /* NULL: NULL */
void tree_arrival_unref(struct tree_arrival *arrival);
DEFINE_FREEP(struct tree_arrival, tree_arrival_unref)
/** tree_arrival_look() - look how much there is now, and let readers have it: so many bytes */
uint64_t tree_arrival_look(struct tree_arrival *arrival);
void tree_arrival_end(struct tree_arrival *arrival, bool good);
enum tree_arrival_state tree_arrival_state(struct tree_arrival *arrival);
/** tree_arrival_is_read() - does anybody hold it but the one who asks? Who was handed bytes of it does */
bool tree_arrival_is_read(const struct tree_arrival *arrival);
/** tree_arrival_early() - so many bytes of a package of @size may be handed out before it is verified */
uint64_t tree_arrival_early(uint64_t size);
/** tree_arrival_read() - at most @length and not less than @least bytes at @offset. -EAGAIN: not there yet; -ENODATA:
 * it is good, open it; -EIO: it is wrong */
ssize_t tree_arrival_read(struct tree_arrival *arrival, void *buffer, size_t length, size_t least,
			  uint64_t offset);

/* ---- what broke off (partial.c) ------------------------------------------------ */

/** tree_partial_keep() - what a worker that is gone has left of a package is kept in partial/, to be gone on with.
 * false: there is nothing, or nothing that is worth it */
bool tree_partial_keep(struct tree_store *store, int work_dirfd, const char *sha256);
/** tree_partial_give() - back into the work directory of the next one; it may have nothing there */
void tree_partial_give(struct tree_store *store, int work_dirfd, const char *sha256);
/** tree_partials_rescue() - before work/ is removed at a start: the same for all that a service left which was killed */
void tree_partials_rescue(int state_dirfd);
/** tree_partial_name() - does a file of that name belong there? Of which package it is */
bool tree_partial_name(const char *name, char ret_sha256[static DIGEST_HEX_SIZE]);
/** tree_partial_whole() - are both files there? */
bool tree_partial_whole(int state_dirfd, const char *sha256);
/** tree_partials_trim() - remove those older than @max_age_seconds, and all but the newest few; files removed */
int64_t tree_partials_trim(struct tree_store *store, int64_t max_age_seconds);

/** struct tree_cache_figures - of packages/
 * @limit: bytes, 0: none; @reserved: of what is on its way
 * @hits: opens of what was here; @evictions: files that had to make room, @evicted_bytes theirs */
struct tree_cache_figures {
	uint64_t limit, bytes, files, reserved, hits, evictions, evicted_bytes;
};
void tree_cache_figures(struct tree_store *store, struct tree_cache_figures *ret);
/** tree_cache_limit() - bytes that packages/ may hold, at most a package more; 0: any number
 * @contact: whom to ask for more, in the words of it; borrowed. NULL: nobody is named */
void tree_cache_limit(struct tree_store *store, uint64_t bytes, const char *contact);
/** tree_cache_trim() - remove what was not read for longest until no more than @bytes are left, or all that is left is
 * open */
void tree_cache_trim(struct tree_store *store, uint64_t bytes);
/** tree_cache_reserve() - make room for @bytes that will come. -ENOSPC with words; -EBUSY: there may be room
 * once others have come */
int tree_cache_reserve(struct tree_store *store, uint64_t bytes, struct error *err);
void tree_cache_unreserve(struct tree_store *store, uint64_t bytes);

/** struct tree_package - strings borrowed from the tree */
struct tree_package {
	const char *nevra, *reason, *checksum /* "sha256:HEX" */, *origin;
	const char *sha256; /* hex within @checksum, or NULL */
};
int tree_package_get(const struct tree *tree, uint32_t index, struct tree_package *ret); /* -ENODATA */
const char *tree_manifest_digest(const struct tree *tree); /* hex, or NULL before done */
