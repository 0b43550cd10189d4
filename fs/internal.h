/* SPDX-License-Identifier: MIT */
/* fs/internal.h: what the files of this room share.
 *
 * Every operation of the kernel arrives in ops.c, which takes the inode number apart, calls the
 * file that knows that kind of node and replies once with what it returned: 0 or a negative errno,
 * or HELD when the request is kept and answered later (notify.c).
 *
 * Locks: each table below has one of its own; none is held while another one is taken, over a
 * catalogue call that writes, a reply or a notification. */
#pragma once

#define FUSE_USE_VERSION 312

#include "fs/fs.h"
#include "fs/inode.h"
#include "fs/words.h"

#include <fuse_lowlevel.h>

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/stat.h>

#define HELD 1 /* the request is kept: do not reply */

#define LOOP_THREADS 10		 /* that answer the kernel */
#define HANDLES_MAX (1u << 20)	 /* open descriptors of control files */
#define WAITERS_MAX 65536	 /* blocked reads of wait and events */
#define EVENTS_BYTES (4 << 20)	 /* of those lines together; the newest is kept whatever it has */
#define EVENTS_KEPT 4096	 /* lines that a slow reader of events may lag behind */
#define DRAFT_TEMPORARIES_MAX 8	 /* editors' files in one draft */
#define TREES_KEPT 512		 /* mapped trees without an open file */
#define SETTLE_MS 100		 /* how long an open waits for a close that is on its way */
#define TIMEOUT_FOREVER 3600.0	 /* seconds; what is told to the kernel never changes sooner */
#define BACKGROUND_MAX 8192 /* requests that the kernel has under way by itself; every read through the page cache is one */
#define HELD_PART 2	    /* of them may be reads that wait for packages … */
#define HELD_USER_PART 8    /* … and of one user's */
#define BLOCK_SIZE 131072	 /* st_blksize: cp then keeps its buffer */
#define MAX_READ (512u << 10)	 /* of one request: more does not fit a pipe with its header */
#define EXPORT_FILES_MAX 1024	 /* that the export keeps open */
#define REMOTE_SECONDS 1.0 /* a package of a server takes up blocks, or none any more */
#define EXPORT_LOOK_SECONDS 10.0 /* how often the kernel asks for compose/ in the export */

struct caller {
	uint32_t uid, gid;
};

/* ---- handles.c: per-open state of control files ------------------------ */

/**
 * struct handle - one open of a control file or of a temporary
 *
 * The kernel holds its @number only; a number from before a restart finds nothing, and then the
 * operation goes by the inode number. */
struct handle {
	uint64_t number;
	struct handle *next; /* adopted */
	unsigned int references; /* under handles.lock */
	struct inode node;
	uint32_t uid, gid; /* of the opener */
	int flags;	   /* of the open */
	_Atomic int64_t compose;
	struct temporary *temporary;  /* constant; its contents under drafts.lock */
	struct fuse_pollhandle *poll; /* under handles.lock */

	pthread_mutex_t lock; /* for the rest */
	struct text content;  /* as made at the first read */
	bool filled;
	bool read_once;
	uint64_t seen;	 /* digest of what was last read; log: offset behind it; events: serial */
	size_t position; /* new: in @content; events: in the line @seen */
	struct text in;	 /* new: what was written */
	bool judging;	 /* new: @in is with the catalogue */
	int log_fd;
};

struct handles {
	pthread_mutex_t lock;
	struct handle **slot;
	uint32_t *generation;
	size_t room, count, pollers;
	size_t first_free; /* no free slot below it */
	uint32_t seed;
	struct handle *adopted; /* list */
};

void handles_init(struct handles *handles);
void handles_clear(struct fs *fs); /* at the end of a mount */
void handles_done(struct handles *handles);
/** handle_new() - registered, with a reference for the caller as well; -EMFILE, -ENOMEM */
int handle_new(struct fs *fs, const struct inode *node, const struct caller *who, int flags,
	       struct handle **ret);
/** handle_get() - NULL when the number means nothing; handle_put() the reference */
struct handle *handle_get(struct fs *fs, uint64_t number);
void handle_put(struct fs *fs, struct handle *handle);
struct handle_reference { /* for _cleanup_ */
	struct fs *fs;
	struct handle *handle;
};
void handle_reference_done(struct handle_reference *reference);
/** handle_held_text() - what was written under that number is in the memory of the server that gave it out */
bool handle_held_text(uint64_t number);
/** handle_adopt() - state for a number that another server gave out; with a reference, or NULL */
struct handle *handle_adopt(struct fs *fs, uint64_t number, const struct inode *node,
			    const struct caller *who, int flags);
/** handle_drop() - RELEASE came: the number means nothing any more */
void handle_drop(struct fs *fs, uint64_t number);
size_t handles_count(struct fs *fs, uint32_t uid, const struct inode *node);
/** handle_poll_set() - remember whom to wake; takes @poll over */
void handle_poll_set(struct fs *fs, struct handle *handle, struct fuse_pollhandle *poll);
/** handles_wake() - queue a wake-up for pollers of @files (bits 1 << file) of a request or compose
 */
void handles_wake(struct fs *fs, int64_t request, int64_t compose, uint32_t files);
void handles_wake_events(struct fs *fs);
/** handle_word_said() - the descriptor has got its word from `wait`: reads that go on get the rest of it */
int handle_word_said(struct handle *handle, const struct text *word);
void handles_accepted(struct fs *fs, int64_t request, int64_t compose);

/* ---- drafts.c: text and temporary files of requests not yet accepted ---- */

struct temporary {
	struct temporary *next;
	int64_t request;
	uint32_t number; /* file part of the inode number */
	char *name;
	bool linked; /* still has its name */
	unsigned int opens;
	struct text data;
	uint32_t mode;
	int64_t mtime;
};

struct draft {
	struct draft *next;
	int64_t request;
	struct text buffer;
	char *error;
	int64_t time_written;
	uint64_t writer;	 /* handle number; 0: none */
	bool flushed;		 /* the writer's last operation was a FLUSH */
	bool dirty;		 /* the writer wrote or cut */
	bool judging;		 /* the text is with the catalogue */
	uint32_t next_temporary; /* 0: none was made */
};

struct drafts {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct draft *bucket[256];
	struct temporary *temporaries;
	unsigned int settlers;
};

void drafts_init(struct drafts *drafts);
void drafts_done(struct drafts *drafts);
/** draft_drop() - the request was accepted or is gone: forget its text, unlink its temporaries */
void draft_drop(struct fs *fs, int64_t request);
/** draft_text(), draft_error() - append to @ret; return time of the last write, 0 when none */
int64_t draft_text(struct fs *fs, int64_t request, struct text *ret);
void draft_error(struct fs *fs, int64_t request, struct text *ret);
/** draft_lost() - what was written to it was lost with another server: say so in `error`; -ESTALE */
int draft_lost(struct fs *fs, int64_t request);
/** drafts_quiet() - nobody is in the middle of writing one */
bool drafts_quiet(struct fs *fs);
/** draft_settle() - wait a moment for the RELEASE of a writer that has closed already */
void draft_settle(struct fs *fs, int64_t request);
int draft_open(struct fs *fs, int64_t request, uint64_t writer, bool truncate); /* -EBUSY */
int draft_write(struct fs *fs, struct handle *handle, const char *bytes, size_t length,
		uint64_t offset);
int draft_truncate(struct fs *fs, int64_t request, uint64_t writer, uint64_t length);
/** draft_unfinished() - 1 with the text: the writer that closes now left no complete object behind
 */
int draft_unfinished(struct fs *fs, int64_t request, uint64_t writer, struct text *ret);
/** draft_close() - RELEASE of the writer; @words NULL: `error` stays as it is */
void draft_close(struct fs *fs, int64_t request, uint64_t writer, const char *words);
/** draft_judge_begin() - copy the text out for a verdict: 1; 0: nothing to judge (not written, or
 * accepted). @flush: a FLUSH asks, not an fsync */
int draft_judge_begin(struct fs *fs, int64_t request, uint64_t writer, bool flush,
		      struct text *ret);
/** draft_judge_other() - begin the verdict over a text from elsewhere; -EBUSY: not a draft any more
 */
int draft_judge_other(struct fs *fs, int64_t request);
void draft_judge_end(struct fs *fs, int64_t request, const char *words);
/* for temporaries.c, under the lock */
struct draft *draft_find(struct drafts *drafts, int64_t request);
struct draft *draft_make(struct drafts *drafts, int64_t request);

/* ---- temporaries.c: editors' files beside spec.json ---------------------- */

void temporaries_unlink(struct drafts *drafts, int64_t request); /* under the lock */
void temporaries_done(struct drafts *drafts);

struct temporary_view {
	uint32_t number, mode;
	char name[NAME_LENGTH_MAX + 1];
	uint64_t size;
	int64_t mtime;
};
int temporary_create(struct fs *fs, int64_t request, const char *name, uint32_t mode,
		     struct temporary **ret); /* opened; -EEXIST, -EDQUOT */
int temporary_open(struct fs *fs, int64_t request, uint32_t number, bool truncate,
		   struct temporary **ret);
void temporary_close(struct fs *fs, struct temporary *temporary);
int temporary_find(struct fs *fs, int64_t request, const char *name, struct temporary_view *ret);
int temporary_get(struct fs *fs, int64_t request, uint32_t number, struct temporary_view *ret);
/** temporary_next() - the linked one with the smallest number >= @number; -ENOENT */
int temporary_next(struct fs *fs, int64_t request, uint32_t number, struct temporary_view *ret);
int temporary_unlink(struct fs *fs, int64_t request, const char *name);
int temporary_rename(struct fs *fs, int64_t request, const char *name, const char *to,
		     bool replace);
int temporary_read(struct fs *fs, struct temporary *temporary, size_t size, uint64_t offset,
		   struct text *ret);
int temporary_write(struct fs *fs, struct temporary *temporary, const char *bytes, size_t length,
		    uint64_t offset, bool append);
int temporary_change(struct fs *fs, int64_t request, uint32_t number, const struct stat *want,
		     int valid);
int temporary_text(struct fs *fs, int64_t request, const char *name, struct text *ret);

/* ---- shown.c: composes as the kernel sees them ------------------------- */

struct mount;
struct shown; /* private */
struct backing;

#define SHOWN_BUCKETS 1024
struct shown_table {
	pthread_mutex_t lock;
	struct shown *bucket[SHOWN_BUCKETS];
	struct shown *newest, *oldest; /* those that hold a tree, by use */
	size_t trees;
	uint32_t changes[SHOWN_BUCKETS]; /* grows with each news of a compose of that bucket */
	struct backing *backing[SHOWN_BUCKETS];
};

void shown_init(struct shown_table *table);
void shown_clear(struct fs *fs);
void shown_done(struct shown_table *table);
/**
 * shown_tree() - the tree of a compose, counted
 * @opened: true: also that of a removed one with an open descriptor
 * @ret_final: may be NULL; done or failed: what was said stays true */
int shown_tree(struct fs *fs, int64_t id, bool opened, struct tree **ret, bool *ret_final);
/** shown_open() / shown_close() - count an open file or directory; -ENOENT when just removed */
int shown_open(struct fs *fs, int64_t id);
void shown_close(struct fs *fs, int64_t id);
int64_t shown_time_read(struct fs *fs, int64_t id);
/** shown_changed() - news of the catalogue */
void shown_changed(struct fs *fs, int64_t id, bool removed);

/** shown_read() - a file of it was read: its atime */
void shown_read(struct fs *fs, int64_t id);

/* ---- files.c: bytes of a compose ---------------------------------------- */

/** struct bytes - an open file of a tree; counted, so that none is closed under a reader */
struct bytes {
	struct tree_file file;
	struct tree *tree;
	bool live;		 /* grows: not cut at the size it had */
	unsigned int references; /* under the lock of the table that it is in */
};
/** bytes_open() - judged anew; -EAGAIN: a package that is not here (fetched_hold()). @opened: also of a removed compose with an open descriptor */
int bytes_open(struct fs *fs, const struct inode *node, bool opened, struct bytes **ret);
void bytes_free(struct bytes *bytes);
/** bytes_reply() - @copied: by a thread that is not libfuse's, which keeps a pipe for each that splices and
 * frees that of its own only */
void bytes_reply(struct fs *fs, fuse_req_t req, const struct bytes *bytes, size_t size,
		 uint64_t offset, bool copied);

/** compose_open() - @ret_backing_id: > 0: answer by passthrough_reply_open() */
int compose_open(struct fs *fs, fuse_req_t req, const struct inode *node,
		 struct fuse_file_info *fi, int32_t *ret_backing_id);
/** compose_read() - replies, now or later; @times: how often its package was brought for it already */
void compose_read(struct fs *fs, fuse_req_t req, const struct inode *node, size_t size,
		  uint64_t offset, unsigned int times);
/** compose_release() - @req: the RELEASE; NULL: an open that nobody got */
void compose_release(struct fs *fs, fuse_req_t req, const struct inode *node);
int compose_opendir(struct fs *fs, const struct inode *node, struct fuse_file_info *fi);
/** file_failed() - words for a file that cannot be read: its user.odcs.error, and the compose's log */
void file_failed(struct fs *fs, const struct inode *node, const struct error *err);
struct kept_open;
/** backing_inherit() - it was opened under another server */
void backing_inherit(struct fs *fs, struct kept_open *kept);
void backing_outdate(struct fs *fs, int64_t compose);
void backing_clear(struct fs *fs);

/* ---- fetched.c: reads of packages that are not here yet ------------------- */

struct held_read;

#define LATE_KEPT 64
struct late_read {
	uint64_t ino;
	pid_t pid;
	int64_t until_ms;
};

struct fetched {
	pthread_mutex_t lock; /* the bringer's may be taken under it (tree_forget()) */
	struct held_read *reads;
	bool closed[FS_PLACES]; /* nobody waits any more: the mount ends */
	unsigned int background; /* constant */
	unsigned int count[FS_PLACES]; /* of reads */
	struct late_read late[LATE_KEPT];
	size_t next_late;
};

void fetched_init(struct fetched *fetched);
/** fetched_background() - requests that the kernel may have under way by itself; those that are held leave it room */
unsigned int fetched_background(const struct fs *fs);
void fetched_done(struct fetched *fetched);
void fetched_open(struct mount *mount);
/** fetched_close() - answer those who wait with EINTR, and nobody waits from now on */
void fetched_close(struct mount *mount);
/** fetched_hold() - have it brought, then the same read again with @times one more; HELD, or a negative errno
 * @stream: of an open that is handed bytes as they come: its streamed_read(); 0: compose_read(), or the export's */
int fetched_hold(struct mount *mount, fuse_req_t req, const struct inode *node, uint64_t stream,
		 size_t size, uint64_t offset, unsigned int times);

/* ---- streamed.c: opens that are handed bytes as they come ------------------ */

struct stream;

#define STREAM_BUCKETS 256
struct streams {
	pthread_mutex_t lock;
	struct stream *bucket[STREAM_BUCKETS];
	uint64_t last; /* number that was given */
};
void streams_init(struct streams *streams);
void streams_done(struct streams *streams);
/** streamed_open() - after compose_open(): does it want bytes of a package that is not here, and may have them as they
 * come? Then fi->fh is a number for the calls below, else 0. -ENOMEM */
int streamed_open(struct fs *fs, const struct inode *node, struct fuse_file_info *fi);
void streamed_release(struct fs *fs, uint64_t stream); /* 0: nothing */
/** streamed_read() - compose_read() of such an open; 0 as well: then it is compose_read() */
void streamed_read(struct fs *fs, fuse_req_t req, const struct inode *node, uint64_t stream,
		   size_t size, uint64_t offset, unsigned int times);

/* ---- export.c: files of the second mount, which are never opened --------- */

struct export_file;

#define EXPORT_BUCKETS 1024
struct export_files {
	pthread_mutex_t lock;
	struct export_file *bucket[EXPORT_BUCKETS];
	struct export_file *newest, *oldest; /* by use */
	size_t count, limit;
	_Atomic uint64_t opened; /* since the start */
};

void export_files_init(struct export_files *files);
void export_files_clear(struct fs *fs);
void export_files_done(struct export_files *files);
size_t export_files_count(struct fs *fs);
void export_read(struct fs *fs, fuse_req_t req, const struct inode *node, size_t size,
		 uint64_t offset, unsigned int times);
/** export_forget() - the kernel knows the inode no more, so nobody has it open */
void export_forget(struct fs *fs, uint64_t ino);
/** export_limit() - compose/ is asked for again soon: that is how reads from the kernel's memory,
 * of which we hear nothing, are noticed (leases). true: it is that. export_looked(): and note the
 * read */
bool export_limit(const struct inode *parent, const char *name, struct fuse_entry_param *entry);
void export_looked(struct fs *fs, const struct inode *parent, const char *name,
		   struct fuse_entry_param *entry);

/* ---- passthrough.c: reads that the kernel answers itself ---------------- */

struct mount;
/** passthrough_offer() - before libfuse sees @init: ask for passthrough, if it is offered there and
 * libfuse does not know it. passthrough_init(): when it does, and the decision where nothing is
 * asked for */
/** passthrough_taken() - the same for a session that began under another server */
void passthrough_taken(struct mount *mount);
void passthrough_offer(struct mount *mount, const struct fuse_buf *init);
void passthrough_init(struct mount *mount, struct fuse_conn_info *conn);
/** reads_text() - lines of /version: how files are read, and why so */
void reads_text(struct fs *fs, struct text *ret);
/** passthrough_open() - give the kernel a file; its id, 0: not for this one */
int32_t passthrough_open(struct fs *fs, int fd);
void passthrough_close(struct fs *fs, int32_t id); /* 0 is none */
int passthrough_reply_open(fuse_req_t req, struct fuse_file_info *fi, int32_t id);

/* ---- nodes ---------------------------------------------------------------- */

/** struct listing - one READDIR or READDIRPLUS answer being filled */
struct listing {
	fuse_req_t req;
	char *buffer;
	size_t size, used;
	bool plus, export;
};
/** listing_add() - false when full. @entry with ino 0: the name only, to be looked up when wanted
 */
bool listing_add(struct listing *listing, const char *name, const struct fuse_entry_param *entry,
		 off_t next);
bool listing_name(struct listing *listing, const char *name, uint64_t ino, uint32_t mode,
		  off_t next);

/* All return 0 or a negative errno. _entry: number, attributes and timeouts of a node. _lookup: the
 * same by name; -ENOENT with entry_timeout > 0 may be remembered by the kernel. _list: names from
 * the cookie @offset on, where 0 is the start and "." and ".." have the cookies 1 and 2. */
#define COOKIE_FIRST 2

static inline bool is_request_directory(const struct inode *node)
{
	return node->kind == INODE_REQUEST && node->part == REQUEST_DIRECTORY;
}

int node_entry(struct fs *fs, const struct inode *node, struct fuse_entry_param *ret);
/** ino_there() - the number that a node has in that mount: the root is 1 in both */
uint64_t ino_there(const struct mount *mount, uint64_t ino);
int node_parent(struct fs *fs, const struct inode *node, uint64_t *ret);
/** node_lookup() - also of "." and "..", which are asked for by number when a file handle is resolved */
int node_lookup(struct fs *fs, const struct inode *parent, const char *name,
		struct fuse_entry_param *ret);
/** node_list() - @ino: the number that @node has in @mount */
int node_list(const struct mount *mount, uint64_t ino, const struct inode *node,
	      struct listing *listing, off_t offset);
void entry_set(struct fuse_entry_param *ret, uint64_t ino, uint32_t mode, uint64_t size,
	       int64_t time);

int fixed_entry(struct fs *fs, const struct inode *node, struct fuse_entry_param *ret);
int fixed_lookup(struct fs *fs, const char *name, struct fuse_entry_param *ret);
int fixed_list(struct fs *fs, struct listing *listing, off_t offset);
int fixed_content(struct fs *fs, uint32_t part, struct text *ret);

int requests_lookup(struct fs *fs, const char *name, struct fuse_entry_param *ret);
int requests_list(struct fs *fs, struct listing *listing, off_t offset);
int requests_mkdir(struct fs *fs, const char *name, uint32_t mode, const struct caller *who,
		   struct fuse_entry_param *ret);
/** requests_obstacle() - what keeps @who from making a request now, in a line of words; -ENODATA: nothing */
int requests_obstacle(struct fs *fs, const struct caller *who, struct text *ret);
int requests_rmdir(struct fs *fs, const char *name, const struct caller *who);
int requests_rename(struct fs *fs, const char *name, const char *to, const struct caller *who);
int64_t requests_count(struct fs *fs);
int request_entry(struct fs *fs, const struct inode *node, struct fuse_entry_param *ret);
int request_lookup(struct fs *fs, int64_t request, const char *name, struct fuse_entry_param *ret);
int request_list(struct fs *fs, int64_t request, struct listing *listing, off_t offset);
int request_readlink(struct fs *fs, const struct inode *node, struct text *ret);
int request_create(struct fs *fs, int64_t request, const char *name, uint32_t mode,
		   const struct caller *who, int flags, struct fuse_entry_param *ret,
		   struct handle **ret_handle);
int request_unlink(struct fs *fs, int64_t request, const char *name);
int request_file_rename(struct fs *fs, int64_t request, const char *name, const char *to,
			bool replace);
int request_setattr(struct fs *fs, const struct inode *node, const struct stat *want, int valid,
		    const struct caller *who, uint64_t writer);

int composes_lookup(struct fs *fs, const char *name, struct fuse_entry_param *ret);
int composes_list(struct fs *fs, struct listing *listing, off_t offset);
int64_t composes_count(struct fs *fs);
int compose_entry(struct fs *fs, const struct inode *node, struct fuse_entry_param *ret);
int compose_lookup(struct fs *fs, const struct inode *node, const char *name,
		   struct fuse_entry_param *ret);
int compose_list(struct fs *fs, const struct inode *node, struct listing *listing, off_t offset);
/** compose_names() - every name that composes/ shows a compose by (for invalidation) */
int compose_names(const struct compose *compose, struct strings *ret);

int view_entry(struct fs *fs, const struct inode *node, struct fuse_entry_param *ret);
int view_lookup(struct fs *fs, const struct inode *node, const char *name,
		struct fuse_entry_param *ret);
int view_list(struct fs *fs, const struct inode *node, struct listing *listing, off_t offset);
int view_readlink(struct fs *fs, const struct inode *node, struct text *ret);
int64_t view_count(struct fs *fs, uint32_t part); /* subdirectories of by-... */
/** type_number() - of a word of raw_config composes, which has a directory in composes/; -1 */
int type_number(const char *word);
const char *type_word(int number); /* NULL past the end */
bool type_shown(struct fs *fs, int number);
uint64_t type_ino(int number);

/* ---- control.c: reading and writing control files ---------------------- */

/** struct request_view - a request and, once accepted, its record; request_view_done() */
struct request_view {
	struct request request;
	struct compose *compose; /* NULL: a draft */
	bool dropped;		 /* the directory is gone; a descriptor is still open */
};
/** @compose: what the descriptor remembers, for a directory that is gone; or 0 */
int request_view_load(struct fs *fs, int64_t request, int64_t compose, struct request_view *ret);
void request_view_done(struct request_view *view);
enum compose_state request_view_state(const struct request_view *view);
int64_t compose_time_changed(const struct compose *compose);
bool state_final(enum compose_state state); /* done, failed, removed */

int control_content(struct fs *fs, const struct request_view *view, uint32_t file,
		    struct text *ret);
/** record_line() - the line that REST returns for a compose */
int record_line(struct fs *fs, const struct compose *compose, struct text *ret);
int control_size(struct fs *fs, const struct request_view *view, uint32_t file, uint64_t *ret_size,
		 int64_t *ret_mtime);
int control_open(struct fs *fs, const struct inode *node, const struct caller *who,
		 struct fuse_file_info *fi);
/** control_read() - 0 with the bytes in @ret, a negative errno, or HELD */
int control_read(struct fs *fs, fuse_req_t req, const struct inode *node,
		 const struct fuse_file_info *fi, size_t size, uint64_t offset, struct text *ret);
int control_write(struct fs *fs, const struct inode *node, const struct caller *who,
		  const struct fuse_file_info *fi, const char *bytes, size_t length,
		  uint64_t offset);
int control_flush(struct fs *fs, const struct inode *node, const struct fuse_file_info *fi);
int control_sync(struct fs *fs, const struct inode *node, const struct fuse_file_info *fi);
void control_release(struct fs *fs, const struct inode *node, const struct fuse_file_info *fi);
int control_poll(struct fs *fs, const struct inode *node, const struct caller *who,
		 const struct fuse_file_info *fi, struct fuse_pollhandle *poll,
		 unsigned int *ret_events);

/* ---- command.c: what a user may do to an accepted request -------------- */

/** request_renew() - @seconds 0: by the default, never shorter than now */
int request_renew(struct fs *fs, const struct request_view *view, int64_t seconds);
int request_end(struct fs *fs, const struct request_view *view, const struct caller *who);
int request_command(struct fs *fs, const struct request_view *view, const struct caller *who,
		    const char *bytes, size_t length);
int request_ttl_write(struct fs *fs, const struct request_view *view, const char *bytes,
		      size_t length);

/* ---- rights.c: who may do what ----------------------------------------- */

/** owner_name() - of a uid: its user name or number; malloc'ed or NULL */
char *owner_name(uint32_t uid);
struct asker asker_of(const struct caller *who);
bool is_admin(struct fs *fs, const struct caller *who); /* root, or by role */
/** may_command() - may @who cancel, end, renew @request? Of it uid and owner are looked at */
bool may_command(struct fs *fs, const struct request *request, const struct caller *who);
/** live_limit() - composes that @who may have at a time; 0: any number */
int64_t live_limit(struct fs *fs, const struct caller *who);
/** submission_check() - may @who ask for that? -EACCES with words */
int submission_check(struct fs *fs, const struct caller *who, const struct spec *spec,
		     struct error *err);

/* ---- submit.c, new.c ------------------------------------------------------ */

/** struct submitter - @request 0: no directory yet, one is made and named auto-ID
 * @owner, @uid, @gid: whose it is; @by: who asks, whose rights count */
struct submitter {
	int64_t request;
	const char *owner;
	uint32_t uid, gid;
	struct caller by;
	const char *respin_of;
};
/** submit_text() - the verdict (tree.md 2.4): 0 accepted, or negative errno with lines in @words;
 * -EAGAIN: not yet one complete object. @ret: may be NULL */
int submit_text(struct fs *fs, const struct submitter *who, const struct text *text,
		struct text *words, struct compose **ret);
/** submit_draft() - judge what @writer wrote to spec.json. @flush: at a FLUSH, else at an fsync */
int submit_draft(struct fs *fs, int64_t request, uint64_t writer, bool flush);
int submit_renamed(struct fs *fs, int64_t request, const char *temporary);
/** submit_release() - the writer's last close: say so when its text has no end */
void submit_release(struct fs *fs, int64_t request, uint64_t writer);

int new_write(struct fs *fs, struct handle *handle, const char *bytes, size_t length);
int new_read(struct fs *fs, struct handle *handle, size_t size, struct text *ret);
int new_flush(struct fs *fs, struct handle *handle);

/* ---- xattr.c -------------------------------------------------------------- */

int xattr_get(struct fs *fs, const struct inode *node, const struct caller *who, const char *name,
	      struct text *ret);
int xattr_list(struct fs *fs, const struct inode *node, const struct caller *who, struct text *ret);
int xattr_set(struct fs *fs, const struct inode *node, const struct caller *who, const char *name,
	      const char *value, size_t size); /* @value NULL: remove */

/* ---- notify.c: news, those who wait for them, and the kernel's caches --- */

struct waiter;
struct notice;
struct event_line {
	char *text;
	size_t length;
};

struct news {
	pthread_mutex_t lock;
	struct waiter *waiters;
	size_t waiting;
	bool closed; /* no more waiting: the mount ends */
	struct event_line event[EVENTS_KEPT];
	uint64_t next_serial; /* of the next event line; starts at 1 */
	uint64_t first_serial; /* of the oldest that is kept */
	size_t event_bytes;
	struct notice *first, **last;
	bool composes_changed; /* the kernel's attributes of composes/ are old */
};

void news_init(struct news *news);
void news_done(struct news *news);
void news_open(struct fs *fs);
/** news_close() - answer all who wait with EINTR; nobody waits from now on */
void news_close(struct fs *fs);
uint64_t news_serial(struct fs *fs);
/** events_take() - lines from the handle's serial on, at most @size bytes; 0 bytes: none yet */
int events_take(struct fs *fs, struct handle *handle, size_t size, struct text *ret);
/** wait_word() - what a read of `wait` gets: nothing before the state is final (control.c) */
int wait_word(struct fs *fs, int64_t request, int64_t compose, struct text *ret);
/** news_hold_wait(), news_hold_events() - HELD, 0 with @ret filled (news came meanwhile), or
 * negative errno */
int news_hold_wait(struct fs *fs, fuse_req_t req, int64_t request, int64_t compose, uint64_t handle,
		   size_t size, struct text *ret);
int news_hold_events(struct fs *fs, fuse_req_t req, struct handle *handle, size_t size,
		     struct text *ret);
void notice_poll(struct fs *fs, struct fuse_pollhandle *poll);
void notice_entry(struct fs *fs, uint64_t parent, const char *name);
/** notice_composes() - there are other composes than before */
void notice_composes(struct fs *fs);
void notices_send(struct fs *fs); /* the notifying thread only */
/** news_missed() - take back names of composes that were removed since then */
void news_missed(struct fs *fs, int64_t since);

/* ---- takeover.c: what the next server finds -------------------------------- */

struct legacy; /* of one mount: in memory that outlives the process */

/** struct kept_open - an inode that is open; in that memory */
struct kept_open {
	uint64_t ino;
	int32_t backing_id;
	uint32_t opens;
};

/** takeover_find() - a device of a mount at that path that a server before us served: 1 with the descriptor in
 * @ret_fd; 0: none that can be gone on with, the place is clear. Requests that were under way are asked again */
int takeover_find(struct mount *mount, int *ret_fd);
/** takeover_init() - the first request of the session, as it was saved; 0 bytes: none */
size_t takeover_init(const struct mount *mount, void *ret, size_t size);
/** takeover_keep() - the session is agreed on by @init: from here on it can be gone on with */
void takeover_keep(struct mount *mount, const void *init, size_t length);
/** takeover_drop() - it ends: the keeper forgets it. takeover_leave() - it does not: the next one goes on with it */
void takeover_drop(struct mount *mount);
void takeover_leave(struct mount *mount);
/** takeover_visible() - does the path lead to that mount, and to no other that came over it? */
bool takeover_visible(const struct mount *mount, int device);
/** takeover_resends() - does the kernel ask again what a server left unanswered? Under shown.lock */
bool takeover_resends(const struct mount *mount);
bool takeover_passthrough(const struct mount *mount);
/** takeover_resent() - another server had that request in hand, and may have done it */
bool takeover_resent(fuse_req_t req);
/** takeover_seen() - it was counted by that one already; else it is remembered as counted. Under shown.lock, as are
 * takeover_open(): room for an inode that is opened, NULL: there is none; and takeover_incomplete(): some that
 * are open are not known */
bool takeover_seen(fuse_req_t req);
struct kept_open *takeover_open(struct fs *fs, uint64_t ino);
bool takeover_incomplete(struct fs *fs);
/** takeover_polls(), takeover_polled() - somebody waits in poll(2); he is woken by the next server, too */
void takeover_polls(struct fs *fs, const struct fuse_pollhandle *poll);
void takeover_polled(struct fs *fs, const struct fuse_pollhandle *poll);
/** takeover_catch_up() - tell the kernel what it missed; takeover_told() - it knows all that was news before @time */
void takeover_catch_up(struct fs *fs);
void takeover_told(struct fs *fs, int64_t time);
void takeover_text(struct fs *fs, struct text *ret); /* for /version */

/* ---- session.c ------------------------------------------------------------ */

/** place_clear() - unmount what a dead server left there, if it did: 0 or negative errno */
int place_clear(const char *path);

enum figure { /* kinds of requests that are counted (figures.c) */
	FIGURE_LOOKUP,
	FIGURE_GETATTR,
	FIGURE_SETATTR,
	FIGURE_OPEN,
	FIGURE_CREATE,
	FIGURE_READ,
	FIGURE_WRITE,
	FIGURE_OPENDIR,
	FIGURE_READDIR,
	FIGURE_READDIRPLUS,
	FIGURE_READLINK,
	FIGURE_MKDIR,
	FIGURE_RMDIR,
	FIGURE_UNLINK,
	FIGURE_RENAME,
	FIGURE_POLL,
	FIGURE_STATFS,
	FIGURE_GETXATTR,
	FIGURE_LISTXATTR,
	FIGURE_SETXATTR,
	FIGURES
};

static inline void figure_add(_Atomic uint64_t *figure)
{
	atomic_fetch_add_explicit(figure, 1, memory_order_relaxed);
}

/** struct count - entries of a directory, counted again after news */
struct count {
	_Atomic uint64_t generation; /* grows with news */
	_Atomic int64_t changed;     /* time of the last news: mtime of the directory */
	uint64_t counted_at;	     /* generation; under fs->lock */
	int64_t value;		     /* under fs->lock */
};

/** enum reads_why - what decided between passthrough and the rest */
enum reads_why { WHY_NOT_MOUNTED, WHY_CONFIGURED, WHY_OFFERED, WHY_NOT_OFFERED, WHY_REFUSED };

/** struct mount - one place, its session and its loop (session.c) */
struct mount {
	struct fs *fs;
	enum fs_place place;
	const char *path; /* NULL: never mounted */
	const struct fuse_lowlevel_ops *operations;
	/* under fs->lock */
	struct fuse_session *session; /* NULL: not mounted */
	unsigned int users;	      /* threads outside the loop that use it */
	pthread_t loop_thread;	      /* valid while looping */
	bool looping;
	bool quiet; /* no notification any more: the mount ends */

	struct legacy *legacy; /* NULL: ends with this process */
	bool taken;	       /* the session began under another server */
	atomic_bool mounted;
	_Atomic int64_t read_ahead; /* bytes that were set, or negative errno; 0: nothing was */
};

struct fs {
	struct fs_options options;
	int64_t time_started;
	atomic_bool draining;

	pthread_mutex_t lock; /* for the sessions and the counts below */
	pthread_cond_t idle;
	struct mount mount[FS_PLACES];
	atomic_bool passthrough; /* of FS_TREE */
	_Atomic enum reads_why reads_why;
	_Atomic int reads_refused;   /* errno, of WHY_REFUSED */
	_Atomic int64_t backing_ids; /* that the kernel holds for us */
	struct sigaction old_action; /* of the signal that wakes loops */

	int wake_fd; /* eventfd: something for fs_notify_run() */
	atomic_bool stop_wanted, notify_stop;
	atomic_bool leaving; /* the mounts stay for the next server */
	atomic_bool catch_up; /* the kernel missed news */
	atomic_bool silent;  /* … which is asked again what is not answered */

	_Atomic uint64_t figure[FIGURES], failures[FIGURES], read_bytes;
	struct count requests_count, composes_count, owners_count, sources_count;

	struct handles handles;
	struct drafts drafts;
	struct shown_table shown;
	struct export_files export_files;
	struct fetched fetched;
	struct streams streams;
	struct news news;
};

extern const struct fuse_lowlevel_ops fs_operations, export_operations;

void counts_changed(struct fs *fs, bool requests); /* false: composes */
/** figure_failure() - count @r < 0, but for "not there", which is an answer like another */
void figure_failure(struct fs *fs, enum figure figure, int r);

/** session_enter() - NULL when it is not mounted; else session_leave() soon */
struct fuse_session *session_enter(struct mount *mount, bool notify);
void session_leave(struct mount *mount);
void notify_wake(struct fs *fs);
/** reply_interrupted() - EINTR; or nothing, where the next server will be asked again */
void reply_interrupted(struct fs *fs, fuse_req_t req);
