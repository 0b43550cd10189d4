/* SPDX-License-Identifier: MIT */
/* core/daemon/daemon.h: what the parts of the server share: one context, its threads, its children.
 *
 * Threads: main waits for signals; the scheduler owns the workers; expiry owns the clock; fs and
 * rest bring their own. Lock order: store, then the parts' own locks. No lock is held over a
 * callback. */
#pragma once

#include "core/catalogue/catalogue.h"
#include "core/daemon/config.h"
#include "core/tree/tree.h"
#include "fs/fs.h"
#include "rest/rest.h"

#include <pthread.h>

/** struct store - the files that composes refer to, and the rule that keeps them together with the
 * catalogue: a sweep never meets a result between its check and its row. The check runs under
 * @lock, and what was checked stands in @in_flight, which a sweep spares, until the row is there */
struct store {
	int state_dirfd;
	struct catalogue *catalogue;
	struct tree_store *trees;
	int64_t history_seconds;  /* logs of removed composes stay that long */
	int64_t snapshot_seconds; /* snapshots that nobody uses stay that long */
	_Atomic bool full;	  /* too little room for new requests (reserve.c) */
	pthread_mutex_t lock;	  /* held over a check and over a sweep, not over a verb's news */
	struct strings in_flight; /* digests of manifests; under lock */
};

/* ---- state.c: who uses the state directory ------------------------------- */

/** state_lock() - for as long as *ret_fd is open, no other process gets it, and all are told who has it: the directory
 * itself is locked, its file `lock` names the holder.
 * @path: of @state_dirfd, for messages. -EBUSY names the holder
 * @pid: whom others are told of. @patient: one that ends may have it still: it is waited for, some seconds
 * @ret_lost: the machine was started anew since the last one: files that were not synced may be lost. It is said
 * again until state_recovered() */
int state_lock(int state_dirfd, const char *path, pid_t pid, bool patient, int *ret_fd,
	       bool *ret_lost, struct error *err);
int state_recovered(int state_dirfd, struct error *err);
/** state_holder() - 1, and the number of the process that holds it; 0: nobody; or negative errno */
int state_holder(int state_dirfd, char ret[static 32]);
/** state_control() - a socket in it that listens: who connects asks the keeper for a reload. By who has the lock.
 * The descriptor, or negative errno */
int state_control(int state_dirfd);
bool state_control_there(int state_dirfd);
void state_control_remove(int state_dirfd);
/** state_control_ask() - connect to it; -ENOENT, -ECONNREFUSED: no keeper there */
int state_control_ask(int state_dirfd);

/* ---- child.c: one worker process ---------------------------------------- */

struct child;

enum child_kind {
	CHILD_COMPOSES,
	CHILD_FETCHES, /* packages, and has no rights on anything but its work directory */
};
/** cage_describe() - append the line of version that says what workers cannot be kept from here, if there
 * is something; said in the log, too. -EOPNOTSUPP with odcsfs.cage=require */
int cage_describe(const struct config *config, struct text *ret, struct error *err);
/** child_start() - spawn "odcsfs worker" with its own work directory work/@number or work/fetch-@number. It
 * dies with the thread that started it */
int child_start(const struct config *config, enum child_kind kind, int state_dirfd,
		unsigned int number, struct child **ret, struct error *err);
/** child_kill() - nothing it does matters now; child_ended() tells whether it is gone */
void child_kill(struct child *child);
/** child_ended() - was it reaped, at the latest when time_monotonic_ms() is @limit_ms (0: look once)?
 * false: it hangs in the kernel, which has to let go of it first */
bool child_ended(struct child *child, int64_t limit_ms);
/** child_free() - forget it. The work directory of one that has ended is emptied; of one that hangs
 * it is left to the next start */
void child_free(struct child *child);
int child_fd(const struct child *child); /* for poll */
bool child_wants_write(const struct child *child);
int child_work_dirfd(const struct child *child);
int64_t child_pid(const struct child *child);
/** child_send() - queue a line; -ENOMEM */
int child_send(struct child *child, const struct message *message);
/** child_flush() / child_receive() - after poll said so. receive gives the next whole message: 1,
 * or 0 for none yet, or -EPIPE when the process is gone, -EBADMSG when it does not speak our
 * language */
int child_flush(struct child *child);
int child_receive(struct child *child, struct message *ret, struct error *err);
/** child_memory() - bytes of private memory now, from /proc; 0 when unknown */
int64_t child_memory(const struct child *child);
/** child_death() - words for how it ended ("was killed by signal 9 (Killed)"), or that it has not */
void child_death(struct child *child, struct text *ret, int64_t *ret_peak_bytes);
#define DEATH_SIZE 96
/** death_text() - the same of what waitpid() says */
void death_text(int status, char ret[static DEATH_SIZE]);
/** child_overran() - did it die of its limit of processor time? */
bool child_overran(const struct child *child);
/** child_stale() - is a file that it may read another one by now? What took its place it may not */
bool child_stale(const struct child *child);
/** child_clean() - empty the work directory */
int child_clean(struct child *child, struct error *err);

/* ---- scheduler.c: waiting rows to idle workers --------------------------- */

struct scheduler;

/** struct scheduler_options - borrowed until scheduler_free() */
struct scheduler_options {
	const struct config *config;
	struct store *store;
	void (*progressed)(void *data, int64_t id); /* may be NULL; any thread */
	void *progressed_data;
};

int scheduler_new(const struct scheduler_options *options, struct scheduler **ret,
		  struct error *err);
/** scheduler_start() - its thread and the workers */
int scheduler_start(struct scheduler *scheduler, struct error *err);
/** scheduler_changed() - for catalogue_watch(): new work, or a cancelled compose; never blocks */
void scheduler_changed(void *scheduler, const struct catalogue_event *event);
/** scheduler_figures() - for the metrics; any thread */
struct scheduler_figures {
	size_t workers; /* that there should be */
	bool alive[CONFIG_MAX_WORKERS];
	size_t busy;
	int64_t deaths;
};
void scheduler_figures(struct scheduler *scheduler, struct scheduler_figures *ret);
/** scheduler_free() - stops the workers; a compose that was under way is taken up at the next start
 */
void scheduler_free(struct scheduler *scheduler);
DEFINE_FREEP(struct scheduler, scheduler_free)

/* ---- order.c: what of the configuration goes to workers; 0 or -ENOMEM --------- */

int order_koji(const struct config *config, struct job_koji *koji);
/** order_repo() - @ret_paths gets those of repo.allowed that are paths */
int order_repo(const struct config *config, struct job_repo *repo, struct strings *ret_paths);
/** order_ports() - TCP ports that workers may connect to, in digits; none: any, since nobody knows which. -ENOMEM */
int order_ports(const struct config *config, struct strings *ret);

/* ---- fetcher.c: packages of servers are brought when they are read ----------- */

struct fetcher;

/** fetcher_new() - registers with @store's trees, and sets their limit; fetcher_start(): its threads */
int fetcher_new(const struct config *config, struct store *store, struct fetcher **ret,
		struct error *err);
int fetcher_start(struct fetcher *fetcher, struct error *err);
/** fetcher_free() - when nobody waits any more, or asks */
void fetcher_free(struct fetcher *fetcher);
DEFINE_FREEP(struct fetcher, fetcher_free)

/** struct prefetch_count - @packages of servers that are wanted, of which @cached are here; @bytes of the others */
struct prefetch_count {
	int64_t packages, cached, bytes;
};
/** fetcher_prefetch() - these packages (names or NEVRAs; none: all) of compose @id: with @now they are fetched before
 * anybody reads them, behind what is read. Waits for a disk. -ENOENT; -EINVAL: it is not done; -ENOSPC: more than the
 * cache holds */
int fetcher_prefetch(struct fetcher *fetcher, int64_t id, const struct strings *packages, bool now,
		     struct prefetch_count *ret, struct error *err);
/** fetcher_changed() - for catalogue_watch(): a compose is done that asked for it; never blocks */
void fetcher_changed(struct fetcher *fetcher, const struct catalogue_event *event);

/** struct fetcher_figures - since the start, but for @running and @waiting (readers) */
struct fetcher_figures {
	int64_t fetched, fetched_bytes, failures, deaths;
	size_t running, waiting;
};
void fetcher_figures(struct fetcher *fetcher, struct fetcher_figures *ret);

/* ---- lease.c: who reads a compose keeps it ---------------------------------- */

struct leases;

int leases_new(const struct config *config, struct catalogue *catalogue, struct leases **ret);
void leases_free(struct leases *leases);
/** leases_read() - the tree of compose @id was read; any thread, never waits for a disk */
void leases_read(void *leases, int64_t id);

enum lease_round {
	LEASE_ROUND_MINUTE, /* what was not written for a minute */
	LEASE_ROUND_DUE,    /* what keeps from ending what would end now */
	LEASE_ROUND_LAST,   /* everything: the service stops */
};
/** leases_write() - one thread at a time */
void leases_write(struct leases *leases, enum lease_round kind, int64_t now);

/* ---- expiry.c: the clock -------------------------------------------------- */

struct expiry;

/** expiry_start() - @leases: borrowed until expiry_free() */
int expiry_start(const struct config *config, struct store *store, struct leases *leases,
		 struct expiry **ret, struct error *err);
void expiry_changed(void *expiry, const struct catalogue_event *event); /* for catalogue_watch() */
void expiry_free(struct expiry *expiry);
DEFINE_FREEP(struct expiry, expiry_free)

/* ---- reserve.c: room that is kept for freeing room --------------------------- */

/** reserve_check() - take the reserve when there is room for it. Any thread, about once a second.
 * false: so little room is left that new requests must be refused */
bool reserve_check(struct store *store);
/** reserve_give_up() - make room for writes that free more; true when there was something to give
 * up */
bool reserve_give_up(int state_dirfd);

/* ---- access.c: who may ask for what --------------------------------------- */

/** access_repo() - may he ask for the repositories of @spec? odcsfs(8), [repo] allowed. -EACCES with
 * words.
 * @known: he is a user of this machine */
int access_repo(const struct config *config, bool known, const struct spec *spec,
		struct error *err);
/** access_trusted() - are all its repositories, should it name any, below an allowed prefix (then the
 * service's rights apply)? */
bool access_trusted(const struct config *config, const struct spec *spec);

struct access;

/** access_new() - reads [auth] roles. BLAME_REQUEST: "auth.roles: FILE: …" */
int access_new(const struct config *config, struct access **ret, struct error *err);
void access_free(struct access *access);
DEFINE_FREEP(struct access, access_free)
/** access_reload() - read the file again and forget what was known of users; on failure the old roles
 * stay. All others: any thread */
int access_reload(struct access *access, struct error *err);
/** access_gate() - the judge of roles and limits for the rooms; lives as long as @access */
struct gate access_gate(struct access *access);
json_t *access_clients(void *access); /* allowed_clients as the file has it */
/** access_user_name() - of a user of this machine; malloc'ed */
int access_user_name(void *access, uint32_t uid, uint32_t gid, char **ret, struct error *err);
/** access_admit() - may @uid make requests in the tree ([fs] allowed_groups)? 0 or -EACCES */
int access_admit(struct access *access, uint32_t uid, uint32_t gid);

/* ---- metrics.c -------------------------------------------------------------- */

struct metrics;

/** struct metrics_sources - whom to ask; @scheduler, @rest and @fs may be NULL */
struct metrics_sources {
	const struct store *store;
	struct fetcher *fetcher;
	struct scheduler *scheduler;
	struct rest *rest;
	struct fs *fs;
};
int metrics_new(struct metrics **ret);
void metrics_free(struct metrics *metrics);
/** metrics_changed() - for catalogue_watch(): how long composes take, how many are reused */
void metrics_changed(struct metrics *metrics, const struct catalogue_event *event);
/** metrics_print() - append the text; any thread; -ENOMEM, -EIO */
int metrics_print(struct metrics *metrics, const struct metrics_sources *sources, struct text *ret);

/* ---- serve.c --------------------------------------------------------------- */

/** serve() - `odcsfs serve` from the checked configuration to the exit code. @keeper_fd: keeper.h; -1: alone */
int serve(const struct config *config, int keeper_fd);
/** serve_check() - would it start? What can be said without touching anything; 0 or the exit code */
int serve_check(const struct config *config);
