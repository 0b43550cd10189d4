/* SPDX-License-Identifier: MIT */
/* tests/unit/sources/drive.c: a worker and its opener in child processes, and the server's side of
 * their pipes. */
#include "tests/unit/sources/drive.h"

#include "resolver/worker/worker.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static int run_opener(int pipe_fd, int ask_fd)
{
	char options[2][64];
	char *argv[] = { options[0], (char[]){ "--open" }, options[0], options[1], NULL };

	(void)snprintf(options[0], sizeof(options[0]), "--pipe-fd=%d", pipe_fd);
	(void)snprintf(options[1], sizeof(options[1]), "--opener-fd=%d", ask_fd);
	return worker_main(4, argv);
}

static int run_worker(const struct drive *drive, int pipe_fd, int ask_fd, int cpu_limit)
{
	char options[6][64];
	char *argv[8];

	(void)snprintf(options[0], sizeof(options[0]), "--pipe-fd=%d", pipe_fd);
	(void)snprintf(options[1], sizeof(options[1]), "--state-dir-fd=%d", drive->state_dirfd);
	(void)snprintf(options[2], sizeof(options[2]), "--work-dir-fd=%d", drive->work_dirfd);
	(void)snprintf(options[3], sizeof(options[3]), "--memory-limit=%lld", 2LL << 30);
	(void)snprintf(options[4], sizeof(options[4]), "--cpu-limit=%d", cpu_limit);
	(void)snprintf(options[5], sizeof(options[5]), "--opener-fd=%d", ask_fd);
	argv[0] = options[0]; /* not read */
	for (int i = 0; i < 6; i++)
		argv[i + 1] = options[i];
	argv[7] = NULL;
	return worker_main(7, argv);
}

int drive_start_limited(struct drive *drive, const char *state_dir, const char *work_dir,
			int cpu_limit)
{
	struct message message = { 0 };
	int pair[2], ask[2], opener[2], r;

	*drive = (struct drive){ .pipe_fd = -1, .opener_fd = -1 };
	drive->state_dirfd = directory_open(AT_FDCWD, state_dir);
	drive->work_dirfd = directory_open(AT_FDCWD, work_dir);
	if (drive->state_dirfd < 0 || drive->work_dirfd < 0 ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0 ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, opener) < 0 ||
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ask) < 0)
		return -EIO;
	drive->opener_pid = fork();
	if (drive->opener_pid < 0)
		return -errno;
	if (drive->opener_pid == 0) {
		(void)close(pair[0]);
		(void)close(pair[1]);
		(void)close(opener[0]);
		(void)close(ask[1]);
		_exit(run_opener(opener[1], ask[0]));
	}
	(void)close(opener[1]);
	(void)close(ask[0]);
	drive->opener_fd = opener[0];
	drive->pid = fork();
	if (drive->pid < 0)
		return -errno;
	if (drive->pid == 0) {
		(void)close(pair[0]);
		(void)close(opener[0]);
		_exit(run_worker(drive, pair[1], ask[1], cpu_limit));
	}
	(void)close(pair[1]);
	(void)close(ask[1]);
	drive->pipe_fd = pair[0];
	r = drive_next(drive, &message);
	r = r == 1 && message.type == PIPE_READY ? 0 : -EPROTO;
	message_done(&message);
	return r;
}

int drive_start(struct drive *drive, const char *state_dir, const char *work_dir)
{
	return drive_start_limited(drive, state_dir, work_dir, 0);
}

int drive_send_bytes(struct drive *drive, const char *bytes, size_t length)
{
	return io_write(drive->pipe_fd, bytes, length);
}

int drive_send(struct drive *drive, int64_t id, const char *request, bool trusted)
{
	_cleanup_(strings_done) struct strings arches = { 0 }, none = { 0 };
	_cleanup_(text_done) struct text line = { 0 };
	_cleanup_(job_freep) struct job *job = calloc(1, sizeof(*job));
	struct spec_rules rules = { .default_seconds_to_live = 3600,
				    .maximum_seconds_to_live = 3600,
				    .default_arches = &arches,
				    .base_module_names = &none,
				    .target_dirs = &none,
				    .raw_configs = &none,
				    .maximum_packages = SPEC_MAX_PACKAGES };
	struct message message = { .type = PIPE_COMPOSE, .id = id, .job = job };
	struct error err = { 0 };
	int r;

	strings_add(&arches, "x86_64");
	job->id = id;
	job->uid = getuid();
	job->gid = getgid();
	job->known_event = -1;
	job->trusted = trusted;
	r = spec_parse(request, strlen(request), &rules, &job->spec, NULL, NULL, &err);
	if (r < 0) {
		fprintf(stderr, "%s: %s\n", request, err.message);
		return r;
	}
	r = message_print(&message, &line);
	if (r == 0)
		r = io_write(drive->opener_fd, line.data, line.length);
	return r < 0 ? r : drive_send_bytes(drive, line.data, line.length);
}

int drive_answer(struct drive *drive, int64_t id, enum pipe_type type, const char *manifest)
{
	_cleanup_(text_done) struct text line = { 0 };
	struct message message = { .type = type, .id = id };
	int r;

	if (manifest)
		(void)snprintf(message.manifest, sizeof(message.manifest), "%s", manifest);
	r = message_print(&message, &line);
	return r < 0 ? r : drive_send_bytes(drive, line.data, line.length);
}

static int next_line(struct drive *drive, struct message *ret)
{
	struct error err = { 0 };
	char *end;
	ssize_t n;
	int r;

	while (!(end = drive->in.length ? memchr(drive->in.data, '\n', drive->in.length) : NULL)) {
		if (text_reserve(&drive->in, 65536) < 0)
			return -ENOMEM;
		n = read(drive->pipe_fd, drive->in.data + drive->in.length, 65536);
		if (n <= 0)
			return n < 0 ? -errno : 0;
		drive->in.length += (size_t)n;
	}
	r = message_parse(drive->in.data, (size_t)(end - drive->in.data), ret, &err);
	if (r < 0)
		fprintf(stderr, "%s\n", err.message);
	drive->in.length -= (size_t)(end + 1 - drive->in.data);
	memmove(drive->in.data, end + 1, drive->in.length);
	return r < 0 ? r : 1;
}

int drive_next(struct drive *drive, struct message *ret)
{
	int r;

	while ((r = next_line(drive, ret)) == 1 && ret->type == PIPE_FILES) {
		if (!drive->part && !(drive->part = calloc(1, sizeof(*drive->part))))
			return -ENOMEM;
		r = outcome_join(drive->part, ret->outcome);
		message_done(ret);
		if (r < 0)
			return r;
	}
	if (r == 1 && ret->type == PIPE_RESULT && drive->part) {
		r = outcome_join(ret->outcome, drive->part);
		outcome_free(drive->part);
		drive->part = NULL;
		return r < 0 ? r : 1;
	}
	return r;
}

void drive_publish(const struct drive *drive)
{
	static const char *const names[] = { "blobs", "manifests" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		_cleanup_(closep) int to = directory_open(drive->state_dirfd, names[i]);
		int from = directory_open(drive->work_dirfd, names[i]);
		DIR *directory = fdopendir(from);
		struct dirent *entry;

		while (directory && (entry = readdir(directory)))
			if (entry->d_name[0] != '.')
				(void)renameat(from, entry->d_name, to, entry->d_name);
		if (directory)
			(void)closedir(directory);
	}
}

int drive_stop(struct drive *drive)
{
	int status = -1;

	closep(&drive->pipe_fd);
	if (drive->pid > 0)
		(void)waitpid(drive->pid, &status, 0);
	closep(&drive->opener_fd);
	if (drive->opener_pid > 0)
		(void)waitpid(drive->opener_pid, NULL, 0);
	closep(&drive->state_dirfd);
	closep(&drive->work_dirfd);
	text_done(&drive->in);
	outcome_free(drive->part);
	drive->part = NULL;
	return status;
}
