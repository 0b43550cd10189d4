/* SPDX-License-Identifier: MIT */
/* core/daemon/expiry.c: the clock: expires rows, drops old drafts and directories, sweeps files.
 *
 * One thread sleeps until the next expiry time, no longer than CHECK_MS; a change of the catalogue
 * wakes it. Rows go first, files later (STYLE: the catalogue is the truth). Needs no mount.
 * A clock that jumps is time_now()'s to see to. */
#include "core/daemon/daemon.h"

#include <dirent.h>
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHECK_MS 5000	    /* longest sleep: how soon a jump of the clock is seen */
#define STUCK_MS 2000	    /* between tries when expiry cannot be written */
#define SWEEP_DELAY_MS 3000 /* after the last expiry: many that end together are swept once */
#define AGED_MS ((SWEEP_MIN_AGE + 5) * 1000)
#define SWEEP_MIN_AGE 60      /* seconds: files of a result that is being published are young */
#define SWEEP_MS 3600000      /* between sweeps when nothing has expired: snapshots age */
#define TIDY_MS 60000	      /* between looks for old drafts and history */
#define LEFTOVER_SECONDS 3600 /* a record of a header is written in no time */
#define MARK_SECONDS 3600     /* workers mark what they use no more often */

struct expiry {
	const struct config *config;
	struct store *store;
	struct leases *leases;
	pthread_t thread;
	bool running;
	int event_fd; /* wakes the thread */
	_Atomic bool stop;
	/* the thread's own */
	int64_t sweep_at_ms, sweep_not_before_ms;
	int64_t expired_ms; /* when something ended last, or the start: orphans may come of it */
	bool stuck;	    /* the last expiry could not be written */
	int64_t tidy_at_ms;
};

/* ---- one sweep --------------------------------------------------------------- */

static bool add_manifest(void *data, const char *manifest)
{
	return strings_add(data, manifest) < 0;
}

/* struct log_rule - a log stays as long as its request directory: it tells why a compose failed */
struct log_rule {
	struct catalogue *catalogue;
	int64_t removed_before;
};

static bool log_live(void *data, int64_t id)
{
	_cleanup_(compose_freep) struct compose *compose = NULL;
	const struct log_rule *rule = data;
	struct error err = { 0 };
	int r = catalogue_get(rule->catalogue, id, &compose, &err);

	if (r < 0)
		return r != -ENOENT;
	return !compose_is_gone(compose) || compose->time_removed >= rule->removed_before;
}

/* .SHA.PID is being built by that worker. Another process that got its number spares it for now. */
static bool is_being_built(const char *name)
{
	const char *dot = strrchr(name, '.');
	int64_t pid = 0;

	return dot && parse_int64(dot + 1, &pid) == 0 && pid > 0 &&
	       (kill((pid_t)pid, 0) == 0 || errno != ESRCH);
}

static bool is_left_snapshot(const char *name, const struct stat *st)
{
	return !is_being_built(name);
}

static bool is_left_record(const char *name, const struct stat *st)
{
	return st->st_mtime < time_now() - LEFTOVER_SECONDS;
}

/* What a job under way has used is kept, however short lifetime.snapshot is: it was marked then, or
 * at most MARK_SECONDS before; records that are marked through their snapshot at most twice that.
 * No job takes longer than limits.worker_seconds. */
static int64_t unused_seconds(const struct expiry *expiry)
{
	int64_t job = 2 * MARK_SECONDS + expiry->config->worker_seconds;

	return expiry->store->snapshot_seconds > job ? expiry->store->snapshot_seconds : job;
}

/* What a killed worker left half made (its name begins with a dot), and what nobody has used for
 * long */
static int sweep_used(const struct expiry *expiry, const char *directory,
		      bool (*is_left)(const char *name, const struct stat *st), int64_t *ret_files)
{
	int fd = directory_open(expiry->store->state_dirfd, directory);
	int64_t used_before = time_now() - unused_seconds(expiry);
	struct dirent *entry;
	struct stat st;
	DIR *list;

	list = fd < 0 ? NULL : fdopendir(fd);
	if (!list)
		return fd < 0 ? fd : -errno;
	while ((entry = readdir(list))) {
		const char *name = entry->d_name;
		bool over;

		if (!strcmp(name, ".") || !strcmp(name, "..") ||
		    fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		over = name[0] == '.' ? is_left(name, &st) : st.st_mtime < used_before;
		if (over && directory_remove(fd, name) == 0)
			++*ret_files;
	}
	(void)closedir(list);
	return 0;
}

static int sweep_all(const struct expiry *expiry, int64_t *ret_files, int64_t *ret_bytes,
		     struct error *err)
{
	struct store *store = expiry->store;
	struct strings live = { 0 };
	struct log_rule rule = { .catalogue = store->catalogue,
				 .removed_before = time_now() - store->history_seconds };
	int r;

	(void)pthread_mutex_lock(&store->lock);
	r = catalogue_manifests(store->catalogue, add_manifest, &live, err);
	if (r >= 0 && strings_copy(&live, &store->in_flight) < 0)
		r = error_oom(err);
	if (r >= 0) {
		strings_sort(&live);
		r = tree_store_sweep(store->trees, &live, log_live, &rule, SWEEP_MIN_AGE, ret_files,
				     ret_bytes, err);
	}
	(void)pthread_mutex_unlock(&store->lock);
	strings_done(&live);
	if (r >= 0 && (sweep_used(expiry, "snapshots", is_left_snapshot, ret_files) < 0 ||
		       sweep_used(expiry, "headers", is_left_record, ret_files) < 0 ||
		       sweep_used(expiry, "origins", is_left_record, ret_files) < 0))
		log_warning("clean-up: cannot look through snapshots, headers and origins");
	return r;
}

static void sweep(struct expiry *expiry)
{
	int64_t files = 0, bytes = 0, started = time_monotonic_ms(), took, now;
	struct error err = { 0 };

	int r = sweep_all(expiry, &files, &bytes, &err);

	if (r < 0 && r != -ECANCELED)
		log_error("clean-up: %s", err.message);
	else if (files)
		log_info("clean-up: %" PRId64 " files, %" PRId64 " bytes", files, bytes);
	(void)malloc_trim(0); /* lists as long as the store is large, and what was free elsewhere */
	now = time_monotonic_ms();
	took = now - started;
	/* what was too young is looked at again once it has aged; a slow sweep is not repeated soon
	 */
	expiry->sweep_at_ms =
		now - expiry->expired_ms < AGED_MS ? expiry->expired_ms + AGED_MS : now + SWEEP_MS;
	expiry->sweep_not_before_ms = now + took * 20;
	if (expiry->sweep_at_ms < expiry->sweep_not_before_ms)
		expiry->sweep_at_ms = expiry->sweep_not_before_ms;
}

/* ---- the thread --------------------------------------------------------------- */

/* Never later than it was to be: else it would never come while composes end without a pause. */
static void sweep_soon(struct expiry *expiry)
{
	int64_t soon = expiry->expired_ms + SWEEP_DELAY_MS;

	if (soon < expiry->sweep_not_before_ms)
		soon = expiry->sweep_not_before_ms;
	if (expiry->sweep_at_ms > soon)
		expiry->sweep_at_ms = soon;
}

static void expire(struct expiry *expiry, int64_t now)
{
	struct store *store = expiry->store;
	struct error err = { 0 };
	int64_t count;

	do {
		int r = catalogue_expire(store->catalogue, now, &count, &err);

		count = r < 0 ? 0 : count;
		if (r == -ENOSPC && reserve_give_up(store->state_dirfd)) {
			log_warning("the disk of the state directory is full: expiry goes on in "
				    "the reserve");
			r = catalogue_expire(store->catalogue, now, &count, &err);
			expiry->sweep_at_ms = 0; /* what is over makes room at once */
		}
		if (r < 0 && !expiry->stuck)
			log_error("expiry: %s; tried again every %d s", err.message,
				  STUCK_MS / 1000);
		expiry->stuck = r < 0;
		if (count) {
			expiry->expired_ms = time_monotonic_ms();
			sweep_soon(expiry);
		}
	} while (count);
}

/* What was read lives on, before anything ends. */
static void prolong(struct expiry *expiry, int64_t now)
{
	int64_t next = INT64_MAX;
	struct error err = { 0 };

	leases_write(expiry->leases, LEASE_ROUND_MINUTE, now);
	if (catalogue_next_expiry(expiry->store->catalogue, &next, &err) < 0 || next <= now)
		leases_write(expiry->leases, LEASE_ROUND_DUE, now);
}

static void tidy(struct expiry *expiry, int64_t now)
{
	struct catalogue *catalogue = expiry->store->catalogue;
	struct error err = { 0 };
	int64_t count = 0;

	if (time_monotonic_ms() < expiry->tidy_at_ms)
		return;
	if (catalogue_request_reap(catalogue, now - expiry->config->lifetime_draft, &count, &err) <
		    0 ||
	    catalogue_history(catalogue, now - expiry->config->lifetime_history, &count, &err) < 0)
		log_error("clean-up of requests: %s", err.message);
	expiry->tidy_at_ms =
		time_monotonic_ms() + (expiry->config->lifetime_draft < 120 ? 1000 : TIDY_MS);
}

/* milliseconds to sleep */
static int64_t next_pause(struct expiry *expiry, int64_t now)
{
	int64_t next = INT64_MAX, pause = CHECK_MS;
	struct error err = { 0 };

	if (catalogue_next_expiry(expiry->store->catalogue, &next, &err) < 0)
		log_error("expiry: %s", err.message);
	if (next != INT64_MAX && next - now < CHECK_MS / 1000)
		pause = next > now ? (next - now) * 1000 : 200;
	if (expiry->stuck)
		return STUCK_MS;
	/* whole seconds: the time itself may begin anywhere within the second we are in */
	if (pause < CHECK_MS && pause > 200)
		pause -= 200;
	return pause;
}

static void wake(struct expiry *expiry)
{
	uint64_t one = 1;

	(void)!write(expiry->event_fd, &one, sizeof(one));
}

static void *run(void *data)
{
	struct expiry *expiry = data;

	while (!atomic_load(&expiry->stop)) {
		struct pollfd event = { .fd = expiry->event_fd, .events = POLLIN };
		int64_t now = time_now();
		uint64_t count;

		atomic_store(&expiry->store->full, !reserve_check(expiry->store));
		prolong(expiry, now);
		expire(expiry, now);
		tidy(expiry, now);
		if (time_monotonic_ms() >= expiry->sweep_at_ms)
			sweep(expiry);
		if (poll(&event, 1, (int)next_pause(expiry, now)) > 0)
			(void)!read(expiry->event_fd, &count, sizeof(count));
	}
	return NULL;
}

void expiry_changed(void *data, const struct catalogue_event *event)
{
	if (event->request_only || event->compose->state == STATE_WAIT ||
	    event->compose->state == STATE_GENERATING)
		return; /* nothing to expire yet */
	wake(data);
}

int expiry_start(const struct config *config, struct store *store, struct leases *leases,
		 struct expiry **ret, struct error *err)
{
	_cleanup_(expiry_freep) struct expiry *expiry = calloc(1, sizeof(*expiry));
	int r;

	if (!expiry)
		return error_oom(err);
	expiry->config = config;
	expiry->store = store;
	expiry->leases = leases;
	expiry->expired_ms = expiry->sweep_at_ms = time_monotonic_ms(); /* what the last run left */
	expiry->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (expiry->event_fd < 0)
		return error_errno(err, -errno, "eventfd");
	r = pthread_create(&expiry->thread, NULL, run, expiry);
	if (r != 0)
		return error_errno(err, -r, "cannot start the expiry thread");
	expiry->running = true;
	*ret = steal(expiry);
	return 0;
}

void expiry_free(struct expiry *expiry)
{
	if (!expiry)
		return;
	atomic_store(&expiry->stop, true);
	tree_store_end(expiry->store->trees);
	if (expiry->running) {
		wake(expiry);
		(void)pthread_join(expiry->thread, NULL);
	}
	closep(&expiry->event_fd);
	free(expiry);
}
