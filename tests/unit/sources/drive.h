/* SPDX-License-Identifier: MIT */
/* tests/unit/sources/drive.h: a worker in a child process and the server's side of its pipe. */
#pragma once

#include "core/model/model.h"

struct drive {
	int pipe_fd, state_dirfd, work_dirfd;
	int opener_fd; /* the opener's pipe */
	pid_t pid, opener_pid;
	struct text in;
	struct outcome *part; /* files of the result that is to come */
};

/** drive_start() - fork a worker, and its opener, over two directories (made when missing); says
 * "ready" already */
int drive_start_limited(struct drive *drive, const char *state_dir, const char *work_dir,
			int cpu_limit); /* seconds for a job, 0: none */
int drive_start(struct drive *drive, const char *state_dir, const char *work_dir);
/** drive_send() - a job from the text of a request; -EINVAL with words on stderr */
int drive_send(struct drive *drive, int64_t id, const char *request, bool trusted);
/** drive_answer() - PIPE_GO, PIPE_STOP or, with @manifest, PIPE_CHECK */
int drive_answer(struct drive *drive, int64_t id, enum pipe_type type, const char *manifest);
int drive_send_bytes(struct drive *drive, const char *bytes, size_t length);
/** drive_next() - 1: a message, a result with the files that were named before it; 0: the worker
 * closed the pipe */
int drive_next(struct drive *drive, struct message *ret);
/** drive_publish() - move what the worker made into the state directory, as the service does */
void drive_publish(const struct drive *drive);
/** drive_stop() - close the pipe; the worker's exit status as waitpid(2) has it */
int drive_stop(struct drive *drive);
