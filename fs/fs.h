/* SPDX-License-Identifier: MIT */
/* fs/fs.h: the door to the mounted tree (tree.md is its contract).
 *
 * Inode numbers (never reused, equal to the FUSE node id, the same after a restart):
 *   1                        the root; 2..255 the fixed names beside it
 *   1 << 60 | request << 24 | file    a request directory (file 0) and its control files
 *   2 << 60 | compose << 32 | index   a node of a compose's tree (core/tree)
 *   3 << 60 | …                       links in composes/ and the views
 * File handles mean nothing across a restart: what an open needs is found again from the inode number. */
#pragma once

#include "core/catalogue/catalogue.h"
#include "core/tree/tree.h"

struct fs;

/** enum fs_place - what is mounted; each may be left out */
enum fs_place {
	FS_TREE,   /* everything */
	FS_EXPORT, /* composes/ alone, read-only, files opened without asking (DESIGN 6) */
	FS_PLACES,
};

/** enum fs_read_mode - how the kernel gets package and repodata files (DESIGN 6) */
enum fs_read_mode {
	FS_READ_AUTO, /* passthrough where kernel, rights and file system allow it, else splice */
	FS_READ_PASSTHROUGH, /* the same, but a warning where it is not to be had */
	FS_READ_SPLICE,
	FS_READ_COPY, /* read and written: for comparison, and where splice misbehaves */
};

/** struct fs_options - borrowed until fs_free() */
struct fs_options {
	struct catalogue *catalogue;
	struct tree_store *trees;
	const struct spec_rules *rules; /* strict */
	const char *mountpoint;		/* of FS_TREE; NULL or "": never mounted */
	const char *export_path;	/* of FS_EXPORT, the same */
	const char *public_url;
	const char *readme;  /* text of /README */
	const char *version; /* first lines of /version; how files are read follows */
	int64_t draft_ttl;   /* seconds */
	int64_t drafts_per_user;
	int64_t live_composes_per_user; /* 0: no limit */
	int64_t cache_size_bytes;	/* what statfs shows as total */
	const char *contact;	  /* whom to ask for more, in the words of limits; NULL: nobody is named */
	bool list_aliases;
	bool owner_may_expire;
	/* may this user use this source? NULL: yes. -EACCES with words */
	int (*authorise)(void *data, const struct asker *asker, const struct spec *spec,
			 struct error *err);
	void *authorise_data;
	/* may this user make requests at all (mkdir, new)? NULL: yes. -EACCES: not in an allowed group */
	int (*admit)(void *data, uint32_t uid, uint32_t gid);
	void *admit_data;
	/* roles and limits; NULL: everybody may ask for anything, root alone is an administrator. With it,
	 * control files that take commands and requests/ are writable by the kernel's rules, and who may
	 * is decided here: the kernel knows no administrators but root */
	const struct gate *gate;
	int64_t history_ttl; /* seconds that by-state/removed shows a compose; 0: for ever */
	/* bytes in the package cache, for statfs; NULL: 0 */
	int64_t (*cache_used)(void *data);
	void *cache_used_data;
	enum fs_read_mode read_mode;
	int64_t read_ahead_bytes; /* of both mounts; 0: as the kernel has it */
	/* a file below compose/ of compose @id was opened, or, in the export, where no open is
	 * seen, read or looked for; NULL: nobody wants to know. Must not block */
	void (*read)(void *data, int64_t id);
	void *read_data;
	int64_t read_lease;   /* seconds, of composes whose request says none; shown */
	unsigned int threads; /* that answer the kernel, in each mount; 0: a sane number */
	/* text of /metrics; NULL: the file is empty */
	int (*metrics)(void *data, struct text *ret);
	void *metrics_data;
	/* descriptors that outlive this process (takeover.c). held: what a server before us left under that
	 * name, now ours; -1: nothing. keep: leave a copy of @fd to the next one, -1: nothing any more; @path: of
	 * a mount. NULL: nobody keeps any, a mount ends with its server */
	int (*held)(void *data, const char *name);
	void (*keep)(void *data, const char *name, int fd, const char *path);
	void *keep_data;
};

int fs_new(const struct fs_options *options, struct fs **ret, struct error *err);
void fs_free(struct fs *fs); /* after fs_run() and fs_notify_run() have returned */
DEFINE_FREEP(struct fs, fs_free)

/** fs_mount() - mount; a stale mount point ("transport endpoint is not connected") is cleared
 * first; a directory that is missing is made. -EBUSY: mounted already */
int fs_mount(struct fs *fs, enum fs_place place, struct error *err);
/** fs_run() - answer the kernel until unmounted or fs_stop(); returns 0 then; call again after
 * fs_mount(). Runs several threads of libfuse's own. A thread for each place */
int fs_run(struct fs *fs, enum fs_place place, struct error *err);
/** fs_stop() - any thread or signal context: make fs_run() of both return and unmount. Blocked
 * reads of `wait` and `events` get EINTR first */
void fs_stop(struct fs *fs);
/** fs_leave() - the same, but the mounts stay for the next server: what waits is not answered, the kernel asks
 * that one again */
void fs_leave(struct fs *fs);
/** fs_notify_run() - send invalidations to the kernel until fs_free() is near (fs_notify_stop()): needs a thread of
 * its own, since a notification from a thread that answers a request deadlocks (tree.md 5) */
void fs_notify_run(struct fs *fs);
void fs_notify_stop(struct fs *fs);
bool fs_mounted(const struct fs *fs, enum fs_place place);
/** fs_mounted_at() - does the kernel show a tree of this program at @path, whoever mounted it? 1, 0, or negative
 * errno when that is unknown */
int fs_mounted_at(const char *path);
/** fs_unmount() - take it away from @path, held open or not, through fusermount3 where there is no right to; 0 or
 * negative errno */
int fs_unmount(const char *path);
/** fs_drain() - while @draining, mkdir and submissions get EROFS; everything else goes on */
void fs_drain(struct fs *fs, bool draining);

/** fs_changed() - a state or expiry changed; for catalogue_watch(). Wakes pollers and readers of `wait` and
 * `events`, queues invalidations; never blocks */
void fs_changed(void *fs, const struct catalogue_event *event);
/** fs_progress() - progress or log of @id grew: wakes pollers */
void fs_progress(struct fs *fs, int64_t id);
/** fs_figures() - append what was counted, in Prometheus' text format; any thread */
void fs_figures(struct fs *fs, struct text *ret);
/** fs_open_files() - open descriptors below composes/@id, but those of the export (expiry may tell)
 */
int64_t fs_open_files(struct fs *fs, int64_t id);
