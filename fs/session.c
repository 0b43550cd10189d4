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
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MOUNT_TYPE "fuse.odcsfs"
#define LOOP_SIGNAL (SIGRTMIN + 3) /* does nothing but interrupt the loop's sleep */
#define LOOP_WAKE_MS 5
#define LEAVE_TRIES 200 /* of 5 ms */

static void nothing(int number _unused_)
{
}

int fs_new(const struct fs_options *options, struct fs **ret, struct error *err)
{
	struct fs *fs = calloc(1, sizeof(*fs));
	int device;

	if (!fs)
		return error_oom(err);
	fs->options = *options;
	if (!fs->options.threads)
		fs->options.threads = LOOP_THREADS;
	fs->time_started = time_now();
	pthread_mutex_init(&fs->lock, NULL);
	pthread_cond_init(&fs->idle, NULL);
	fs->mount[FS_TREE] = (struct mount){ .fs = fs,
					     .place = FS_TREE,
					     .path = options->mountpoint,
					     .operations = &fs_operations };
	fs->mount[FS_EXPORT] = (struct mount){ .fs = fs,
					       .place = FS_EXPORT,
					       .path = options->export_path,
					       .operations = &export_operations };
	(void)sigaction(LOOP_SIGNAL, &(const struct sigaction){ .sa_handler = nothing },
			&fs->old_action);
	export_files_init(&fs->export_files);
	fetched_init(&fs->fetched);
	streams_init(&fs->streams);
	handles_init(&fs->handles);
	drafts_init(&fs->drafts);
	news_init(&fs->news);
	shown_init(&fs->shown);
	fs->wake_fd = eventfd(0, EFD_CLOEXEC);
	if (fs->wake_fd < 0) {
		int r = -errno;

		fs_free(fs);
		return error_errno(err, r, "mount");
	}
	/* one that is not configured any more is unmounted, not gone on with */
	for (int place = 0; place < FS_PLACES; place++)
		if (options->held && !fs->mount[place].path[0])
			(void)takeover_find(&fs->mount[place], &device);
	*ret = fs;
	return 0;
}

void fs_free(struct fs *fs)
{
	if (!fs)
		return;
	for (int place = 0; place < FS_PLACES; place++)
		if (fs->mount[place].session) {
			fuse_session_unmount(fs->mount[place].session);
			fuse_session_destroy(fs->mount[place].session);
		}
	for (int place = 0; place < FS_PLACES; place++)
		if (fs->mount[place].legacy) /* taken over, and nothing came of it */
			takeover_leave(&fs->mount[place]);
	handles_clear(fs);
	shown_clear(fs);
	export_files_clear(fs);
	handles_done(&fs->handles);
	drafts_done(&fs->drafts);
	shown_done(&fs->shown);
	export_files_done(&fs->export_files);
	fetched_done(&fs->fetched);
	streams_done(&fs->streams);
	news_done(&fs->news);
	closep(&fs->wake_fd);
	(void)sigaction(LOOP_SIGNAL, &fs->old_action, NULL);
	pthread_cond_destroy(&fs->idle);
	pthread_mutex_destroy(&fs->lock);
	free(fs);
}

struct fuse_session *session_enter(struct mount *mount, bool notify)
{
	struct fuse_session *session;

	pthread_mutex_lock(&mount->fs->lock);
	session = notify && mount->quiet ? NULL : mount->session;
	if (session)
		mount->users++;
	pthread_mutex_unlock(&mount->fs->lock);
	return session;
}

void session_leave(struct mount *mount)
{
	pthread_mutex_lock(&mount->fs->lock);
	if (!--mount->users)
		pthread_cond_broadcast(&mount->fs->idle);
	pthread_mutex_unlock(&mount->fs->lock);
}

bool fs_mounted(const struct fs *fs, enum fs_place place)
{
	return fs->mount[place].mounted;
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

int fs_mounted_at(const char *path)
{
	_cleanup_(freep) char *real = realpath(path, NULL);
	struct mntent entry;
	char buffer[8192];
	bool found = false;
	FILE *table;

	if (!real)
		return -errno;
	table = setmntent("/proc/self/mounts", "re");
	if (!table)
		return -errno;
	while (getmntent_r(table, &entry, buffer, sizeof(buffer)))
		found = found ||
			(!strcmp(entry.mnt_dir, real) && !strcmp(entry.mnt_type, MOUNT_TYPE));
	endmntent(table);
	return found;
}

int fs_unmount(const char *path)
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

int place_clear(const char *path)
{
	struct statfs st;
	int r;

	/* Not stat(): the kernel may remember the root's attributes. */
	if (statfs(path, &st) == 0 || (errno != ENOTCONN && errno != ECONNABORTED))
		return 0;
	r = fs_unmount(path);
	if (r == 0)
		log_info("%s: cleared the stale mount of an earlier run", path);
	return r;
}

/* Make the mount point usable: present, and free of what a killed predecessor left. */
static int prepare(const char *path, struct error *err)
{
	int fd, r;

	r = place_clear(path);
	if (r < 0)
		return error_errno(err, r, "%s: stale mount", path);
	fd = directory_open(AT_FDCWD, path);
	if (fd < 0)
		return error_errno(err, fd, "%s", path);
	closep(&fd);
	if (fs_mounted_at(path) > 0)
		return error_set(err, -EBUSY, BLAME_US, "mountpoint", "%s: mounted already", path);
	return 0;
}

/* @device: of a mount that is there already; -1: none, taken over by libfuse */
static int session_open(struct mount *mount, int device, struct error *err)
{
	char options[160], program[] = "odcsfs", flag[] = "-o";
	char *arguments[] = { program, flag, options, NULL };
	struct fuse_args args = FUSE_ARGS_INIT(3, arguments);
	struct fuse_session *session;
	char place[32];

	(void)snprintf(place, sizeof(place), "/dev/fd/%d", device);
	(void)snprintf(options, sizeof(options),
		       "fsname=odcsfs,subtype=odcsfs,default_permissions,max_read=%u%s%s", MAX_READ,
		       others_allowed() ? ",allow_other" : "",
		       mount->place == FS_EXPORT ? ",ro" : "");
	session = fuse_session_new(&args, mount->operations, sizeof(*mount->operations), mount);
	fuse_opt_free_args(&args);
	if (!session) {
		closep(&device);
		return error_set(err, -EIO, BLAME_US, "mountpoint", "libfuse gives no session");
	}
	if (fuse_session_mount(session, device < 0 ? mount->path : place) < 0) {
		fuse_session_destroy(session);
		return error_set(err, -EIO, BLAME_US, "mountpoint", "%s: cannot be mounted",
				 mount->path);
	}
	pthread_mutex_lock(&mount->fs->lock);
	mount->session = session;
	mount->taken = device >= 0;
	mount->quiet = false;
	pthread_mutex_unlock(&mount->fs->lock);
	return 0;
}

int fs_mount(struct fs *fs, enum fs_place place, struct error *err)
{
	struct mount *mount = &fs->mount[place];
	int device = -1, r;

	if (mount->mounted)
		return error_set(err, -EBUSY, BLAME_US, "mountpoint", "%s: mounted already",
				 mount->path);
	r = takeover_find(mount, &device);
	if (!r)
		r = prepare(mount->path, err);
	if (r >= 0)
		r = session_open(mount, device, err);
	if (r < 0)
		return r;
	fs->stop_wanted = fs->leaving = false;
	mount->mounted = true;
	fetched_open(mount);
	if (place == FS_TREE)
		news_open(fs);
	if (mount->taken) {
		fs->catch_up = true;
		notify_wake(fs);
	}
	return 0;
}

/* ---- the loop ------------------------------------------------------------------- */

static void looping_set(struct mount *mount, bool looping)
{
	pthread_mutex_lock(&mount->fs->lock);
	mount->loop_thread = pthread_self();
	mount->looping = looping;
	pthread_mutex_unlock(&mount->fs->lock);
}

/* How far the kernel reads ahead of sequential readers. Not a reason to do without the mount. */
static void read_ahead_set(struct mount *mount)
{
	int64_t bytes = mount->fs->options.read_ahead_bytes;
	_cleanup_(closep) int fd = -1;
	char path[64], text[24];
	struct statx st;
	int r;

	mount->read_ahead = 0;
	if (!bytes)
		return;
	/* Which device: the kernel knows. Attributes it would ask of us, and nobody answers yet. */
	r = statx(AT_FDCWD, mount->path, AT_STATX_DONT_SYNC, 0, &st) < 0 ? -errno : 0;
	if (!r) {
		(void)snprintf(path, sizeof(path), "/sys/class/bdi/%u:%u/read_ahead_kb",
			       st.stx_dev_major, st.stx_dev_minor);
		(void)snprintf(text, sizeof(text), "%" PRId64 "\n", bytes >> 10);
		fd = open(path, O_WRONLY | O_CLOEXEC);
		r = fd < 0 || write(fd, text, strlen(text)) < 0 ? -errno : 0;
	}
	mount->read_ahead = r < 0 ? r : bytes;
	if (r < 0)
		log_info("%s: the read-ahead stays as it is: %s", mount->path, strerror(-r));
}

/* The session began under another server: libfuse is shown the request that it began with. The
 * answer finds no question any more, which libfuse expects (interrupted). */
static void greet_again(struct mount *mount)
{
	char bytes[512] = { 0 };
	struct fuse_buf buffer = { .mem = bytes };

	buffer.size = takeover_init(mount, bytes, sizeof(bytes));
	passthrough_taken(mount);
	fuse_session_process_buf(mount->session, &buffer);
	read_ahead_set(mount);
}

/* The first request, which agrees on terms; what they fix can be changed only afterwards. */
static int greet(struct mount *mount)
{
	struct fuse_session *session = mount->session;
	struct fuse_buf buffer = { 0 };
	int r;

	if (mount->taken) {
		greet_again(mount);
		return 0;
	}
	do
		r = fuse_session_receive_buf(session, &buffer);
	while (r == -EINTR && !fuse_session_exited(session));
	if (r > 0) {
		_cleanup_(freep) void *init = malloc(buffer.size);

		if (init)
			memcpy(init, buffer.mem, buffer.size);
		passthrough_offer(mount, &buffer);
		fuse_session_process_buf(session, &buffer);
		read_ahead_set(mount);
		if (init)
			takeover_keep(mount, init, buffer.size);
		r = 0;
	}
	free(buffer.mem);
	return r == -EINTR ? 0 : r;
}

static int loop(struct mount *mount, struct error *err)
{
	const struct fs_options *options = &mount->fs->options;
	struct fuse_loop_config *config = fuse_loop_cfg_create();
	sigset_t set, old_set;
	int r;

	if (!config)
		return error_oom(err);
	/* One descriptor for all threads: a cloned one loses requests when the process is replaced.
	 */
	fuse_loop_cfg_set_clone_fd(config, 0);
	fuse_loop_cfg_set_max_threads(config, options->threads);
	fuse_loop_cfg_set_idle_threads(config, options->threads);
	sigemptyset(&set);
	sigaddset(&set, LOOP_SIGNAL);
	(void)pthread_sigmask(SIG_UNBLOCK, &set, &old_set);
	looping_set(mount, true);
	r = greet(mount);
	if (r >= 0)
		r = fuse_session_loop_mt(mount->session, config);
	looping_set(mount, false);
	(void)pthread_sigmask(SIG_SETMASK, &old_set, NULL);
	fuse_loop_cfg_destroy(config);
	return r < 0 ? error_errno(err, r, "reading from the kernel") : 0;
}

/* What belongs to the opens of the mount that ends. */
static void forget_opens(struct mount *mount)
{
	struct fs *fs = mount->fs;

	if (mount->place == FS_EXPORT) {
		export_files_clear(fs);
		return;
	}
	handles_clear(fs);
	shown_clear(fs);
	fs->reads_why = WHY_NOT_MOUNTED;
	fs->backing_ids = 0; /* the kernel closed what was left of them */
}

/* libfuse unmounts what it has mounted, or keeps its name for ever. Of a device that is hung up it
 * thinks that there is nothing left to unmount: so it is shown one. */
static void session_leave_mounted(const struct mount *mount, struct fuse_session *session)
{
	int pair[2];

	if (mount->taken || pipe2(pair, O_CLOEXEC) < 0)
		return;
	(void)close(pair[0]);
	if (dup3(pair[1], fuse_session_fd(session), O_CLOEXEC) >= 0)
		fuse_session_unmount(session);
	(void)close(pair[1]);
}

/* The session goes when nobody else is in it. */
static void session_close(struct mount *mount)
{
	struct fs *fs = mount->fs;
	struct fuse_session *session;

	if (mount->place == FS_TREE)
		news_close(fs);
	fetched_close(mount);
	pthread_mutex_lock(&fs->lock);
	session = mount->session;
	mount->session = NULL;
	while (mount->users)
		pthread_cond_wait(&fs->idle, &fs->lock);
	pthread_mutex_unlock(&fs->lock);
	if (fs->leaving && mount->legacy) {
		takeover_leave(mount);
		session_leave_mounted(mount, session);
	} else {
		bool ours = mount->taken && takeover_visible(mount, fuse_session_fd(session));

		takeover_drop(mount);
		if (ours)
			(void)fs_unmount(mount->path);
		fuse_session_unmount(session);
	}
	forget_opens(mount);
	fuse_session_destroy(session);
	mount->mounted = false;
}

int fs_run(struct fs *fs, enum fs_place place, struct error *err)
{
	struct mount *mount = &fs->mount[place];
	int r;

	if (!mount->mounted)
		return error_set(err, -EINVAL, BLAME_US, "mountpoint", "not mounted");
	r = loop(mount, err);
	session_close(mount);
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

/* Who is in the middle of writing a request gets a moment: its text is in our memory. */
void fs_leave(struct fs *fs)
{
	const struct timespec pause = { .tv_nsec = 5000000 };
	bool silent = true;

	for (int i = 0; i < LEAVE_TRIES && !drafts_quiet(fs); i++)
		(void)nanosleep(&pause, NULL);
	pthread_mutex_lock(&fs->shown.lock);
	for (int place = 0; place < FS_PLACES; place++)
		silent =
			silent && (!fs->mount[place].legacy || takeover_resends(&fs->mount[place]));
	pthread_mutex_unlock(&fs->shown.lock);
	fs->silent = silent;
	fs->leaving = true;
	fs_stop(fs);
}

void reply_interrupted(struct fs *fs, fuse_req_t req)
{
	if (fs->leaving && fs->silent)
		fuse_reply_none(req);
	else
		fuse_reply_err(req, EINTR);
}

/* libfuse's loop sleeps until one of its threads ends, and those sleep in read(): a signal to the
 * loop's own thread makes it look. It may come just before the sleep, hence again. */
static void loop_wake(struct mount *mount)
{
	const struct timespec pause = { .tv_nsec = LOOP_WAKE_MS * 1000000 };
	pthread_mutex_t *lock = &mount->fs->lock;
	bool looping = true;

	while (looping) {
		pthread_mutex_lock(lock);
		looping = mount->looping;
		if (looping)
			(void)pthread_kill(mount->loop_thread, LOOP_SIGNAL);
		pthread_mutex_unlock(lock);
		if (looping)
			(void)nanosleep(&pause, NULL);
	}
}

static void stop(struct mount *mount)
{
	struct fuse_session *session = session_enter(mount, false);
	struct fs *fs = mount->fs;

	if (!session)
		return;
	pthread_mutex_lock(&fs->lock);
	mount->quiet = true;
	pthread_mutex_unlock(&fs->lock);
	if (mount->place == FS_TREE)
		news_close(fs);
	fetched_close(mount);
	fuse_session_exit(session);
	session_leave(mount);
	loop_wake(mount);
}

void fs_notify_run(struct fs *fs)
{
	uint64_t count;

	while (!fs->notify_stop) {
		if (fs->catch_up) {
			fs->catch_up = false;
			takeover_catch_up(fs);
		}
		if (read(fs->wake_fd, &count, sizeof(count)) < 0 && errno != EINTR)
			return;
		notices_send(fs);
		for (int place = 0; fs->stop_wanted && place < FS_PLACES; place++)
			stop(&fs->mount[place]);
	}
}

void fs_notify_stop(struct fs *fs)
{
	fs->notify_stop = true;
	notify_wake(fs);
}
