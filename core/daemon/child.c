/* SPDX-License-Identifier: MIT */
/* core/daemon/child.c: one worker process: spawn, talk, watch its memory, bury.
 *
 * The thread that started a child is the only one that uses it. Nothing here knows what a compose
 * is. */
#include "core/daemon/daemon.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* where the worker finds what it was handed */
#define CHILD_PIPE_FD 3
#define CHILD_STATE_FD 4
#define CHILD_WORK_FD 5
#define FIRST_SAFE_FD 16

#define PROBE_MS 2 /* between looks whether a killed one has ended */

struct child {
	pid_t pid; /* 0: reaped */
	int fd;
	int work_dirfd;
	struct text out, in;
	size_t out_done;
	int status;
	struct rusage usage;
};

static int move_up(int *fd)
{
	int up = fcntl(*fd, F_DUPFD_CLOEXEC, FIRST_SAFE_FD);

	if (up < 0)
		return -errno;
	(void)close(*fd);
	*fd = up;
	return 0;
}

static int add_argument(struct strings *list, const char *format, ...) _printf_(2, 3);
static int add_argument(struct strings *list, const char *format, ...)
{
	char argument[4096];
	va_list values;
	int n;

	va_start(values, format);
	n = vsnprintf(argument, sizeof(argument), format, values);
	va_end(values);
	return n < 0 || (size_t)n >= sizeof(argument) ? -ENAMETOOLONG : strings_add(list, argument);
}

/* One that fetches may read these beside files of the system. */
static int add_readable(const struct config *config, struct strings *list)
{
	int r = *config->repo_ca ? add_argument(list, "--read=%s", config->repo_ca) : 0;

	if (r == 0 && *config->koji_ca)
		r = add_argument(list, "--read=%s", config->koji_ca);
	for (size_t i = 0; i < config->repo_gpg_keys.count && r == 0; i++)
		r = add_argument(list, "--read=%s", config->repo_gpg_keys.item[i]);
	return r;
}

static int make_arguments(const struct config *config, enum child_kind kind, struct strings *list)
{
	/* the scheduler ends a worker beyond its limit, and says so; what grows too fast for it to
	 * see runs into twice as much */
	int64_t memory =
		config->worker_memory > INT64_MAX / 2 ? INT64_MAX : 2 * config->worker_memory;
	int r = 0;

	r |= add_argument(list, "odcsfs");
	r |= add_argument(list, "worker");
	r |= add_argument(list, "--pipe-fd=%d", CHILD_PIPE_FD);
	r |= add_argument(list, "--state-dir-fd=%d", CHILD_STATE_FD);
	r |= add_argument(list, "--work-dir-fd=%d", CHILD_WORK_FD);
	r |= add_argument(list, "--memory-limit=%" PRId64, memory);
	r |= add_argument(list, "--pools-limit=%" PRId64, config->worker_pools);
	r |= add_argument(list, "--cpu-limit=%" PRId64, config->worker_cpu_seconds);
	if (config_network(config))
		r |= add_argument(list, "--network");
	if (kind == CHILD_FETCHES)
		r |= add_argument(list, "--fetch");
	if (r == 0 && kind == CHILD_FETCHES)
		r = add_readable(config, list);
	return r < 0 ? -ENOMEM : 0;
}

static int spawn_worker(char *const *argv, int pipe_fd, int state_fd, int work_fd, pid_t *ret_pid)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t none, defaults;
	int r;

	(void)sigemptyset(&none);
	(void)sigfillset(&defaults);
	r = posix_spawn_file_actions_init(&actions);
	if (r != 0)
		return -r;
	r = posix_spawnattr_init(&attributes);
	if (r != 0) {
		(void)posix_spawn_file_actions_destroy(&actions);
		return -r;
	}
	(void)posix_spawnattr_setsigmask(&attributes, &none);
	(void)posix_spawnattr_setsigdefault(&attributes, &defaults);
	/* a process group of its own: Ctrl-C at the terminal is for the server to act on */
	(void)posix_spawnattr_setpgroup(&attributes, 0);
	(void)posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
							    POSIX_SPAWN_SETPGROUP);
	(void)posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	(void)posix_spawn_file_actions_adddup2(&actions, STDERR_FILENO, STDOUT_FILENO);
	(void)posix_spawn_file_actions_adddup2(&actions, pipe_fd, CHILD_PIPE_FD);
	(void)posix_spawn_file_actions_adddup2(&actions, state_fd, CHILD_STATE_FD);
	(void)posix_spawn_file_actions_adddup2(&actions, work_fd, CHILD_WORK_FD);
	r = posix_spawn(ret_pid, "/proc/self/exe", &actions, &attributes, argv, environ);
	(void)posix_spawnattr_destroy(&attributes);
	(void)posix_spawn_file_actions_destroy(&actions);
	return -r;
}

static int start_worker(const struct config *config, enum child_kind kind, int pipe_fd,
			int state_fd, int work_fd, pid_t *ret_pid)
{
	struct strings arguments = { 0 };
	_cleanup_(freep) char **argv = NULL;
	int r = make_arguments(config, kind, &arguments);

	if (r == 0)
		argv = calloc(arguments.count + 1, sizeof(*argv));
	if (r == 0 && !argv)
		r = -ENOMEM;
	for (size_t i = 0; r == 0 && i < arguments.count; i++)
		argv[i] = arguments.item[i];
	if (r == 0)
		r = spawn_worker(argv, pipe_fd, state_fd, work_fd, ret_pid);
	strings_done(&arguments);
	return r;
}

int child_start(const struct config *config, enum child_kind kind, int state_dirfd,
		unsigned int number, struct child **ret, struct error *err)
{
	struct child *child = calloc(1, sizeof(*child));
	_cleanup_(closep) int theirs = -1, state = -1;
	int pair[2] = { -1, -1 }, r;
	char name[32];

	if (!child)
		return error_oom(err);
	child->fd = child->work_dirfd = -1;
	(void)snprintf(name, sizeof(name), kind == CHILD_FETCHES ? "work/fetch-%u" : "work/%u",
		       number);
	child->work_dirfd = directory_open(state_dirfd, name);
	r = child->work_dirfd < 0 ? child->work_dirfd : move_up(&child->work_dirfd);
	if (r == 0 && socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		r = -errno;
	child->fd = pair[0];
	theirs = pair[1];
	/* one that fetches has no business there */
	state = fcntl(kind == CHILD_FETCHES ? child->work_dirfd : state_dirfd, F_DUPFD_CLOEXEC,
		      FIRST_SAFE_FD);
	if (r == 0 && state < 0)
		r = -errno;
	if (r == 0)
		r = move_up(&theirs);
	if (r == 0 && fcntl(child->fd, F_SETFL, O_NONBLOCK) < 0)
		r = -errno;
	if (r == 0)
		r = child_clean(child, err);
	if (r == 0)
		r = start_worker(config, kind, theirs, state, child->work_dirfd, &child->pid);
	if (r < 0) {
		child_free(child);
		return error_errno(err, r, "cannot start a worker");
	}
	*ret = child;
	return 0;
}

void child_kill(struct child *child)
{
	if (child->pid)
		(void)kill(child->pid, SIGKILL);
}

/* A process inside a read that the kernel does not let it leave (a disk, a file server) takes no
 * signal: whoever waited for it without a limit would hang, too. */
bool child_ended(struct child *child, int64_t limit_ms)
{
	while (child->pid) {
		pid_t pid = wait4(child->pid, &child->status, WNOHANG, &child->usage);

		if (pid < 0 && errno == EINTR)
			continue;
		if (pid != 0)
			child->pid = 0;
		else if (time_monotonic_ms() >= limit_ms)
			return false;
		else
			(void)poll(NULL, 0, PROBE_MS);
	}
	return true;
}

void child_free(struct child *child)
{
	if (!child)
		return;
	if (child->work_dirfd >= 0 && !child->pid)
		(void)child_clean(child, NULL);
	closep(&child->fd);
	closep(&child->work_dirfd);
	text_done(&child->out);
	text_done(&child->in);
	free(child);
}

int child_fd(const struct child *child)
{
	return child->fd;
}

bool child_wants_write(const struct child *child)
{
	return child->out_done < child->out.length;
}

int child_work_dirfd(const struct child *child)
{
	return child->work_dirfd;
}

int64_t child_pid(const struct child *child)
{
	return child->pid;
}

int child_send(struct child *child, const struct message *message)
{
	int r = message_print(message, &child->out);

	return r < 0 ? r : child_flush(child);
}

int child_flush(struct child *child)
{
	while (child_wants_write(child)) {
		ssize_t n = send(child->fd, child->out.data + child->out_done,
				 child->out.length - child->out_done, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return 0;
		if (n < 0) /* it is gone: child_receive() will see the end */
			n = (ssize_t)(child->out.length - child->out_done);
		child->out_done += (size_t)n;
	}
	text_clear(&child->out);
	child->out_done = 0;
	return 0;
}

/* one line out of the buffer, if there is one */
static int take_line(struct child *child, struct message *ret, struct error *err)
{
	char *end = child->in.length ? memchr(child->in.data, '\n', child->in.length) : NULL;
	size_t length;
	int r;

	if (!end)
		return child->in.length >= PIPE_LINE_MAX
			       ? error_set(err, -EBADMSG, BLAME_US, NULL, "a line without end")
			       : 0;
	length = (size_t)(end - child->in.data);
	r = message_parse(child->in.data, length, ret, err);
	child->in.length -= length + 1;
	memmove(child->in.data, end + 1, child->in.length);
	return r < 0 ? r : 1;
}

int child_receive(struct child *child, struct message *ret, struct error *err)
{
	for (;;) {
		int r = take_line(child, ret, err);
		ssize_t n;

		if (r != 0)
			return r;
		if (text_reserve(&child->in, 64 * 1024) < 0)
			return -EPIPE;
		n = recv(child->fd, child->in.data + child->in.length, 64 * 1024, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return 0;
		if (n <= 0)
			return -EPIPE;
		child->in.length += (size_t)n;
	}
}

int64_t child_memory(const struct child *child)
{
	long pages[6] = { 0 }; /* size resident shared text lib data */
	_cleanup_(freep) char *text = NULL;
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/%ld/statm", (long)child->pid);
	if (!child->pid || file_read(AT_FDCWD, path, 4096, &text, NULL) < 0 ||
	    sscanf(text, "%ld %ld %ld", &pages[0], &pages[1], &pages[2]) != 3)
		return 0;
	return (int64_t)(pages[1] - pages[2]) * sysconf(_SC_PAGESIZE);
}

void child_death(struct child *child, struct text *ret, int64_t *ret_peak_bytes)
{
	*ret_peak_bytes = (int64_t)child->usage.ru_maxrss * 1024;
	if (child->pid)
		(void)text_adds(ret, "hangs in the kernel and cannot be ended");
	else if (WIFSIGNALED(child->status))
		(void)text_addf(ret, "was killed by signal %d (%s)", WTERMSIG(child->status),
				strsignal(WTERMSIG(child->status)));
	else
		(void)text_addf(ret, "ended with exit code %d", WEXITSTATUS(child->status));
}

bool child_overran(const struct child *child)
{
	return !child->pid && WIFSIGNALED(child->status) && WTERMSIG(child->status) == SIGXCPU;
}

int child_clean(struct child *child, struct error *err)
{
	static const char *const names[] = { "blobs", "manifests", "packages", "tmp" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		int r = directory_remove(child->work_dirfd, names[i]);

		if (r < 0)
			return error_errno(err, r, "cannot empty %s of a work directory", names[i]);
	}
	return 0;
}
