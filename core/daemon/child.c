/* SPDX-License-Identifier: MIT */
/* core/daemon/child.c: one worker process, and the one that opens files for it: spawn, talk, watch
 * its memory, bury.
 *
 * The thread that started a child is the only one that uses it. Nothing here knows what a compose
 * is. */
#include "core/daemon/daemon.h"

#include "resolver/worker/worker.h"

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
#define CHILD_OPENER_FD 6
#define FIRST_SAFE_FD 16

#define START_MS 1000 /* for an opener whose worker could not be started to end */
#define PROBE_MS 2    /* between looks whether a killed one has ended */

/* struct end - what is to be written to one process */
struct end {
	pid_t pid; /* 0: reaped, or never there */
	int fd;
	struct text out;
	size_t done;
	int status;
	struct rusage usage;
};

/* struct child - @opener opens files for one that composes: each job goes to it first */
struct child {
	struct end worker, opener;
	int work_dirfd;
	struct text in;
	struct strings files; /* that it may read, with the network */
	struct identity {
		dev_t dev;
		ino_t ino;
	} * identity; /* of each when it was started */
};

int cage_describe(const struct config *config, struct text *ret, struct error *err)
{
	_cleanup_(text_done) struct text missing = { 0 };

	if (worker_missing(&missing) < 0)
		return error_oom(err);
	if (!missing.length)
		return 0;
	if (!strcmp(config->cage, "require"))
		return error_set(err, -EOPNOTSUPP, BLAME_US, NULL,
				 "odcsfs.cage=require, and here workers cannot be kept from: %s",
				 missing.data);
	log_warning("workers cannot be kept from: %s", missing.data);
	return text_addf(ret, "workers are not kept from: %s\n", missing.data) < 0 ? error_oom(err)
										   : 0;
}

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

/* Files that a worker may read beside those of the system: appended; 0 or -ENOMEM */
static int configured_files(const struct config *config, struct strings *ret)
{
	int r = *config->repo_ca ? strings_add(ret, config->repo_ca) : 0;

	if (r == 0 && *config->koji_ca)
		r = strings_add(ret, config->koji_ca);
	return r < 0 ? r : strings_copy(ret, &config->repo_gpg_keys);
}

/* These, and the site's places */
static int add_readable(const struct config *config, enum child_kind kind, struct strings *list)
{
	_cleanup_(strings_done) struct strings files = { 0 };
	int r = configured_files(config, &files);

	for (size_t i = 0; i < files.count && r == 0; i++)
		r = add_argument(list, "--read=%s", files.item[i]);
	if (r < 0 || kind == CHILD_FETCHES)
		return r;
	if (*config->koji_topdir)
		r = add_argument(list, "--site=%s", config->koji_topdir);
	for (size_t i = 0; i < config->module_repos.count && r == 0; i++)
		r = add_argument(list, "--site=%s", config->module_repos.item[i]);
	return r;
}

static int add_network(const struct config *config, struct strings *list)
{
	_cleanup_(strings_done) struct strings ports = { 0 };
	int r = order_ports(config, &ports);

	if (r == 0)
		r = add_argument(list, "--network");
	for (size_t i = 0; i < ports.count && r == 0; i++)
		r = add_argument(list, "--port=%s", ports.item[i]);
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
		r |= add_network(config, list);
	if (kind == CHILD_FETCHES)
		r |= add_argument(list, "--fetch");
	else
		r |= add_argument(list, "--opener-fd=%d", CHILD_OPENER_FD);
	if (r == 0)
		r = add_readable(config, kind, list);
	return r < 0 ? -ENOMEM : 0;
}

static int make_opener_arguments(struct strings *list)
{
	int r = add_argument(list, "odcsfs");

	r |= add_argument(list, "worker");
	r |= add_argument(list, "--open");
	r |= add_argument(list, "--pipe-fd=%d", CHILD_PIPE_FD);
	r |= add_argument(list, "--opener-fd=%d", CHILD_OPENER_FD);
	return r < 0 ? -ENOMEM : 0;
}

/* @fd: what it finds as CHILD_PIPE_FD and the next ones; -1: nothing */
static int spawn(char *const *argv, const int fd[static 4], pid_t *ret_pid)
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
	for (int i = 0; i < 4; i++)
		if (fd[i] >= 0)
			(void)posix_spawn_file_actions_adddup2(&actions, fd[i], CHILD_PIPE_FD + i);
	r = posix_spawn(ret_pid, "/proc/self/exe", &actions, &attributes, argv, environ);
	(void)posix_spawnattr_destroy(&attributes);
	(void)posix_spawn_file_actions_destroy(&actions);
	return -r;
}

static int start_process(const struct strings *arguments, const int fd[static 4], pid_t *ret_pid)
{
	_cleanup_(freep) char **argv = calloc(arguments->count + 1, sizeof(*argv));

	if (!argv)
		return -ENOMEM;
	for (size_t i = 0; i < arguments->count; i++)
		argv[i] = arguments->item[i];
	return spawn(argv, fd, ret_pid);
}

/* A pair of sockets where those of a worker do not get in the way */
static int make_pair(int type, int pair[static 2])
{
	int r = socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, pair) < 0 ? -errno : move_up(&pair[0]);

	return r < 0 ? r : move_up(&pair[1]);
}

/* The pipe to one process: ours into @end, its own is returned, or negative errno */
static int make_pipe(struct end *end)
{
	int pair[2] = { -1, -1 };
	int r = make_pair(SOCK_STREAM, pair);

	end->fd = pair[0];
	if (r == 0 && fcntl(end->fd, F_SETFL, O_NONBLOCK) < 0)
		r = -errno;
	if (r == 0)
		return pair[1];
	closep(&pair[1]);
	return r;
}

static int start_opener(struct child *child, int ask_fd)
{
	_cleanup_(strings_done) struct strings arguments = { 0 };
	_cleanup_(closep) int theirs = make_pipe(&child->opener);
	const int fd[] = { theirs, -1, -1, ask_fd };
	int r = theirs < 0 ? theirs : make_opener_arguments(&arguments);

	return r < 0 ? r : start_process(&arguments, fd, &child->opener.pid);
}

static int start_worker(struct child *child, const struct config *config, enum child_kind kind,
			int state_fd, int ask_fd)
{
	_cleanup_(strings_done) struct strings arguments = { 0 };
	_cleanup_(closep) int theirs = make_pipe(&child->worker);
	const int fd[] = { theirs, state_fd, child->work_dirfd, ask_fd };
	int r = theirs < 0 ? theirs : make_arguments(config, kind, &arguments);

	return r < 0 ? r : start_process(&arguments, fd, &child->worker.pid);
}

/* ---- files that it reads by itself -------------------------------------------- */

static struct identity identify(const char *path)
{
	struct stat st;

	return stat(path, &st) < 0 ? (struct identity){ 0 }
				   : (struct identity){ st.st_dev, st.st_ino };
}

static int watch(struct child *child, const struct config *config)
{
	int r = worker_system_files(&child->files);

	if (r == 0)
		r = configured_files(config, &child->files);
	child->identity = calloc(child->files.count + 1, sizeof(*child->identity));
	if (r < 0 || !child->identity)
		return -ENOMEM;
	for (size_t i = 0; i < child->files.count; i++)
		child->identity[i] = identify(child->files.item[i]);
	return 0;
}

bool child_stale(const struct child *child)
{
	for (size_t i = 0; child->identity && i < child->files.count; i++) {
		struct identity now = identify(child->files.item[i]);

		if (now.dev != child->identity[i].dev || now.ino != child->identity[i].ino)
			return true;
	}
	return false;
}

static int start(struct child *child, const struct config *config, enum child_kind kind,
		 int state_dirfd)
{
	/* one that fetches has no business there but what such ones tell each other of mirrors */
	_cleanup_(closep) int state = kind == CHILD_FETCHES
					      ? directory_open(state_dirfd, "work/mirrors")
					      : fcntl(state_dirfd, F_DUPFD_CLOEXEC, FIRST_SAFE_FD);
	int ask[2] = { -1, -1 };
	int r = state < 0 ? kind == CHILD_FETCHES ? state : -errno : 0;

	if (r == 0 && kind == CHILD_FETCHES)
		r = move_up(&state);

	if (r == 0 && kind == CHILD_COMPOSES && config_network(config))
		r = watch(child, config);
	if (r == 0 && kind == CHILD_COMPOSES)
		r = make_pair(SOCK_SEQPACKET, ask);
	if (r == 0 && kind == CHILD_COMPOSES)
		r = start_opener(child, ask[0]);
	if (r == 0)
		r = start_worker(child, config, kind, state, ask[1]);
	closep(&ask[0]);
	closep(&ask[1]);
	return r;
}

int child_start(const struct config *config, enum child_kind kind, int state_dirfd,
		unsigned int number, struct child **ret, struct error *err)
{
	struct child *child = calloc(1, sizeof(*child));
	char name[32];
	int r;

	if (!child)
		return error_oom(err);
	child->worker.fd = child->opener.fd = child->work_dirfd = -1;
	(void)snprintf(name, sizeof(name), kind == CHILD_FETCHES ? "work/fetch-%u" : "work/%u",
		       number);
	child->work_dirfd = directory_open(state_dirfd, name);
	r = child->work_dirfd < 0 ? child->work_dirfd : move_up(&child->work_dirfd);
	if (r == 0)
		r = child_clean(child, err);
	if (r == 0)
		r = start(child, config, kind, state_dirfd);
	if (r < 0) {
		child_kill(child);
		(void)child_ended(child, time_monotonic_ms() + START_MS);
		child_free(child);
		return error_errno(err, r, "cannot start a worker");
	}
	*ret = child;
	return 0;
}

void child_kill(struct child *child)
{
	if (child->worker.pid)
		(void)kill(child->worker.pid, SIGKILL);
	if (child->opener.pid)
		(void)kill(child->opener.pid, SIGKILL);
}

/* A process inside a read that the kernel does not let it leave (a disk, a file server) takes no
 * signal: whoever waited for it without a limit would hang, too. */
static bool end_ended(struct end *end, int64_t limit_ms)
{
	while (end->pid) {
		pid_t pid = wait4(end->pid, &end->status, WNOHANG, &end->usage);

		if (pid < 0 && errno == EINTR)
			continue;
		if (pid != 0)
			end->pid = 0;
		else if (time_monotonic_ms() >= limit_ms)
			return false;
		else
			(void)poll(NULL, 0, PROBE_MS);
	}
	return true;
}

bool child_ended(struct child *child, int64_t limit_ms)
{
	bool worker = end_ended(&child->worker, limit_ms);

	return end_ended(&child->opener, limit_ms) && worker;
}

void child_free(struct child *child)
{
	if (!child)
		return;
	if (child->work_dirfd >= 0 && !child->worker.pid && !child->opener.pid)
		(void)child_clean(child, NULL);
	closep(&child->worker.fd);
	closep(&child->opener.fd);
	closep(&child->work_dirfd);
	text_done(&child->worker.out);
	text_done(&child->opener.out);
	text_done(&child->in);
	strings_done(&child->files);
	free(child->identity);
	free(child);
}

static bool wants_write(const struct end *end)
{
	return end->done < end->out.length;
}

/* The worker hears of a job when its opener has; until then it says nothing that matters. */
int child_fd(const struct child *child)
{
	return wants_write(&child->opener) ? child->opener.fd : child->worker.fd;
}

bool child_wants_write(const struct child *child)
{
	return wants_write(&child->opener) || wants_write(&child->worker);
}

int child_work_dirfd(const struct child *child)
{
	return child->work_dirfd;
}

int64_t child_pid(const struct child *child)
{
	return child->worker.pid ? child->worker.pid : child->opener.pid;
}

int child_send(struct child *child, const struct message *message)
{
	int r = message_print(message, &child->worker.out);

	if (r == 0 && message->type == PIPE_COMPOSE && child->opener.fd >= 0)
		r = message_print(message, &child->opener.out);
	return r < 0 ? r : child_flush(child);
}

static int flush(struct end *end)
{
	while (wants_write(end)) {
		ssize_t n = send(end->fd, end->out.data + end->done, end->out.length - end->done,
				 MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return 0;
		if (n < 0) /* it is gone: child_receive() will see the end */
			n = (ssize_t)(end->out.length - end->done);
		end->done += (size_t)n;
	}
	text_clear(&end->out);
	end->done = 0;
	return 1;
}

int child_flush(struct child *child)
{
	if (flush(&child->opener) > 0)
		(void)flush(&child->worker);
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
		n = recv(child->worker.fd, child->in.data + child->in.length, 64 * 1024, 0);
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

	(void)snprintf(path, sizeof(path), "/proc/%ld/statm", (long)child->worker.pid);
	if (!child->worker.pid || file_read(AT_FDCWD, path, 4096, &text, NULL) < 0 ||
	    sscanf(text, "%ld %ld %ld", &pages[0], &pages[1], &pages[2]) != 3)
		return 0;
	return (int64_t)(pages[1] - pages[2]) * sysconf(_SC_PAGESIZE);
}

void death_text(int status, char ret[static DEATH_SIZE])
{
	if (WIFSIGNALED(status))
		(void)snprintf(ret, DEATH_SIZE, "was killed by signal %d (%s)", WTERMSIG(status),
			       strsignal(WTERMSIG(status)));
	else
		(void)snprintf(ret, DEATH_SIZE, "ended with exit code %d", WEXITSTATUS(status));
}

void child_death(struct child *child, struct text *ret, int64_t *ret_peak_bytes)
{
	const struct end *worker = &child->worker;
	char words[DEATH_SIZE];

	death_text(worker->status, words);
	*ret_peak_bytes = (int64_t)worker->usage.ru_maxrss * 1024;
	if (worker->pid || child->opener.pid)
		(void)text_adds(ret, "hangs in the kernel and cannot be ended");
	else
		(void)text_adds(ret, words);
}

bool child_overran(const struct child *child)
{
	const struct end *worker = &child->worker;

	return !worker->pid && WIFSIGNALED(worker->status) && WTERMSIG(worker->status) == SIGXCPU;
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
