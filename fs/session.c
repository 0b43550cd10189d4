/* SPDX-License-Identifier: MIT */
/* fs/session.c: mounting, the loop, stopping.
 *
 *   fs_mount ─► fs_run ═ threads of libfuse answer the kernel ═► unmounted by hand ─► returns
 *                 ▲                                                       ▲
 *   fs_stop ─► eventfd ─► fs_notify_run: waiters get EINTR, the loop is told to end and woken by a
 * signal
 *
 * Only the thread of fs_notify_run() speaks to the kernel unasked; it ends the loop too, so no
 * notification can be under way when the loop is gone (it would wait for an answer for ever). */
#include "fs/internal.h"

#include <fcntl.h>
#include <mntent.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/mount.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MOUNT_TYPE "fuse.odcsfs"
#define LOOP_SIGNAL (SIGRTMIN + 3) /* does nothing but interrupt the loop's sleep */
#define LOOP_WAKE_MS 5

int fs_new(const struct fs_options *options, struct fs **ret, struct error *err)
{
	struct fs *fs = calloc(1, sizeof(*fs));

	if (!fs)
		return error_oom(err);
	fs->options = *options;
	if (!fs->options.threads)
		fs->options.threads = LOOP_THREADS;
	fs->time_started = time_now();
	pthread_mutex_init(&fs->lock, NULL);
	pthread_cond_init(&fs->idle, NULL);
	handles_init(&fs->handles);
	drafts_init(&fs->drafts);
	news_init(&fs->news);
	fs->wake_fd = eventfd(0, EFD_CLOEXEC);
	if (shown_init(&fs->shown) < 0 || fs->wake_fd < 0) {
		int r = fs->wake_fd < 0 ? -errno : -ENOMEM;

		fs_free(fs);
		return error_errno(err, r, "mount");
	}
	*ret = fs;
	return 0;
}

void fs_free(struct fs *fs)
{
	if (!fs)
		return;
	if (fs->session) {
		fuse_session_unmount(fs->session);
		fuse_session_destroy(fs->session);
	}
	handles_clear(fs);
	shown_clear(fs);
	handles_done(&fs->handles);
	drafts_done(&fs->drafts);
	shown_done(&fs->shown);
	news_done(&fs->news);
	closep(&fs->wake_fd);
	pthread_cond_destroy(&fs->idle);
	pthread_mutex_destroy(&fs->lock);
	free(fs);
}

struct fuse_session *session_enter(struct fs *fs, bool notify)
{
	struct fuse_session *session;

	pthread_mutex_lock(&fs->lock);
	session = notify && fs->quiet ? NULL : fs->session;
	if (session)
		fs->session_users++;
	pthread_mutex_unlock(&fs->lock);
	return session;
}

void session_leave(struct fs *fs)
{
	pthread_mutex_lock(&fs->lock);
	if (!--fs->session_users)
		pthread_cond_broadcast(&fs->idle);
	pthread_mutex_unlock(&fs->lock);
}

bool fs_mounted(const struct fs *fs)
{
	return fs->mounted;
}

void fs_drain(struct fs *fs, bool draining)
{
	fs->draining = draining;
}

/* ---- mounting ----------------------------------------------------------------- */

static bool others_allowed(void)
{
	_cleanup_(fclosep) FILE *file = NULL;
	char line[256];

	if (!geteuid())
		return true;
	file = fopen("/etc/fuse.conf", "re");
	while (file && fgets(line, sizeof(line), file)) {
		size_t length = strcspn(line, " \t\r\n#");

		if (length == strlen("user_allow_other") &&
		    !strncmp(line, "user_allow_other", length))
			return true;
	}
	return false;
}

/* Is one of ours mounted there, as the kernel says? @path has no links in it. */
static bool is_mounted(const char *path)
{
	FILE *table = setmntent("/proc/self/mounts", "re");
	struct mntent entry;
	char buffer[8192];
	bool found = false;

	while (table && getmntent_r(table, &entry, buffer, sizeof(buffer)))
		found = found ||
			(!strcmp(entry.mnt_dir, path) && !strcmp(entry.mnt_type, MOUNT_TYPE));
	if (table)
		endmntent(table);
	return found;
}

static int unmount(const char *path)
{
	pid_t child;
	int status = -1;

	if (!umount2(path, MNT_DETACH))
		return 0;
	if (errno != EPERM)
		return -errno;
	child = fork();
	if (!child) {
		execlp("fusermount3", "fusermount3", "-u", "-q", "-z", "--", path, (char *)NULL);
		_exit(127);
	}
	if (child < 0)
		return -errno;
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	return WIFEXITED(status) && !WEXITSTATUS(status) ? 0 : -EPERM;
}

/* Make the mount point usable: present, and free of what a killed predecessor left. */
static int prepare(const char *path, struct error *err)
{
	_cleanup_(freep) char *real = NULL;
	struct statfs st;
	int fd, r;

	/* Not stat(): the kernel may remember the root's attributes. */
	if (statfs(path, &st) < 0 && (errno == ENOTCONN || errno == ECONNABORTED)) {
		r = unmount(path);
		if (r < 0)
			return error_errno(err, r, "%s: stale mount", path);
		log_info("%s: cleared the stale mount of an earlier run", path);
	}
	fd = directory_open(AT_FDCWD, path);
	if (fd < 0)
		return error_errno(err, fd, "%s", path);
	closep(&fd);
	real = realpath(path, NULL);
	if (real && is_mounted(real))
		return error_set(err, -EBUSY, BLAME_US, "mountpoint", "%s: mounted already", path);
	return 0;
}

static int session_open(struct fs *fs, struct error *err)
{
	char options[128], program[] = "odcsfs", flag[] = "-o";
	char *arguments[] = { program, flag, options, NULL };
	struct fuse_args args = FUSE_ARGS_INIT(3, arguments);
	struct fuse_session *session;

	(void)snprintf(options, sizeof(options),
		       "fsname=odcsfs,subtype=odcsfs,default_permissions%s",
		       others_allowed() ? ",allow_other" : "");
	session = fuse_session_new(&args, &fs_operations, sizeof(fs_operations), fs);
	fuse_opt_free_args(&args);
	if (!session)
		return error_set(err, -EIO, BLAME_US, "mountpoint", "libfuse gives no session");
	if (fuse_session_mount(session, fs->options.mountpoint) < 0) {
		fuse_session_destroy(session);
		return error_set(err, -EIO, BLAME_US, "mountpoint", "%s: cannot be mounted",
				 fs->options.mountpoint);
	}
	pthread_mutex_lock(&fs->lock);
	fs->session = session;
	fs->quiet = false;
	pthread_mutex_unlock(&fs->lock);
	return 0;
}

int fs_mount(struct fs *fs, struct error *err)
{
	int r;

	if (fs->mounted)
		return error_set(err, -EBUSY, BLAME_US, "mountpoint", "%s: mounted already",
				 fs->options.mountpoint);
	r = prepare(fs->options.mountpoint, err);
	if (!r)
		r = session_open(fs, err);
	if (r < 0)
		return r;
	fs->stop_wanted = false;
	fs->mounted = true;
	news_open(fs);
	return 0;
}

/* ---- the loop ------------------------------------------------------------------- */

static void nothing(int number _unused_)
{
}

static void looping_set(struct fs *fs, bool looping)
{
	pthread_mutex_lock(&fs->lock);
	fs->loop_thread = pthread_self();
	fs->looping = looping;
	pthread_mutex_unlock(&fs->lock);
}

static int loop(struct fs *fs, struct error *err)
{
	const struct sigaction action = { .sa_handler = nothing };
	struct fuse_loop_config *config = fuse_loop_cfg_create();
	struct sigaction old_action;
	sigset_t set, old_set;
	int r;

	if (!config)
		return error_oom(err);
	/* One descriptor for all threads: a cloned one loses requests when the process is replaced.
	 */
	fuse_loop_cfg_set_clone_fd(config, 0);
	fuse_loop_cfg_set_max_threads(config, fs->options.threads);
	fuse_loop_cfg_set_idle_threads(config, fs->options.threads);
	sigemptyset(&set);
	sigaddset(&set, LOOP_SIGNAL);
	(void)sigaction(LOOP_SIGNAL, &action, &old_action);
	(void)pthread_sigmask(SIG_UNBLOCK, &set, &old_set);
	looping_set(fs, true);
	r = passthrough_start(fs, fs->session);
	if (r >= 0)
		r = fuse_session_loop_mt(fs->session, config);
	looping_set(fs, false);
	(void)pthread_sigmask(SIG_SETMASK, &old_set, NULL);
	(void)sigaction(LOOP_SIGNAL, &old_action, NULL);
	fuse_loop_cfg_destroy(config);
	return r < 0 ? error_errno(err, r, "reading from the kernel") : 0;
}

/* The session goes when nobody else is in it. */
static void session_close(struct fs *fs)
{
	struct fuse_session *session;

	news_close(fs);
	pthread_mutex_lock(&fs->lock);
	session = fs->session;
	fs->session = NULL;
	while (fs->session_users)
		pthread_cond_wait(&fs->idle, &fs->lock);
	pthread_mutex_unlock(&fs->lock);
	handles_clear(fs);
	shown_clear(fs);
	fuse_session_unmount(session);
	fuse_session_destroy(session);
	fs->mounted = false;
}

int fs_run(struct fs *fs, struct error *err)
{
	int r;

	if (!fs->mounted)
		return error_set(err, -EINVAL, BLAME_US, "mountpoint", "not mounted");
	r = loop(fs, err);
	session_close(fs);
	return r;
}

/* ---- stopping and notifying -------------------------------------------------------- */

void notify_wake(struct fs *fs)
{
	const uint64_t one = 1;

	/* Async-signal-safe; a full counter means that the wake-up is on its way already. */
	if (write(fs->wake_fd, &one, sizeof(one)) < 0)
		return;
}

void fs_stop(struct fs *fs)
{
	fs->stop_wanted = true;
	notify_wake(fs);
}

/* libfuse's loop sleeps until one of its threads ends, and those sleep in read(): a signal to the
 * loop's own thread makes it look. It may come just before the sleep, hence again. */
static void loop_wake(struct fs *fs)
{
	const struct timespec pause = { .tv_nsec = LOOP_WAKE_MS * 1000000 };
	bool looping = true;

	while (looping) {
		pthread_mutex_lock(&fs->lock);
		looping = fs->looping;
		if (looping)
			(void)pthread_kill(fs->loop_thread, LOOP_SIGNAL);
		pthread_mutex_unlock(&fs->lock);
		if (looping)
			(void)nanosleep(&pause, NULL);
	}
}

static void stop(struct fs *fs)
{
	struct fuse_session *session = session_enter(fs, false);

	if (!session)
		return;
	pthread_mutex_lock(&fs->lock);
	fs->quiet = true;
	pthread_mutex_unlock(&fs->lock);
	news_close(fs);
	fuse_session_exit(session);
	session_leave(fs);
	loop_wake(fs);
}

void fs_notify_run(struct fs *fs)
{
	uint64_t count;

	while (!fs->notify_stop) {
		if (read(fs->wake_fd, &count, sizeof(count)) < 0 && errno != EINTR)
			return;
		notices_send(fs);
		if (fs->stop_wanted)
			stop(fs);
	}
}

void fs_notify_stop(struct fs *fs)
{
	fs->notify_stop = true;
	notify_wake(fs);
}
