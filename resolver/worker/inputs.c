/* SPDX-License-Identifier: MIT */
/* resolver/worker/inputs.c: finding the site's places without waiting for one that hangs. */
#include "resolver/worker/inputs.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define LOOK_MS 1000

void inputs_done(struct inputs *inputs)
{
	for (size_t i = 0; i < inputs->count; i++)
		closep(&inputs->fd[i]);
	inputs->count = 0;
}

/* ---- the process that looks ------------------------------------------------ */

static void hand_over(int socket_fd, int fd)
{
	char byte = 0;
	struct iovec part = { &byte, 1 };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };

	(void)fd_send(socket_fd, &message, fd);
}

static void look_at(int socket_fd, const char *place)
{
	int fd = open(place, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int volumes = fd < 0 ? -1 : openat(fd, "vol", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *list = volumes < 0 ? NULL : fdopendir(volumes);
	struct dirent *entry;

	if (fd >= 0)
		hand_over(socket_fd, fd);
	while (list && (entry = readdir(list))) {
		int volume = entry->d_type == DT_LNK
				     ? openat(volumes, entry->d_name, O_PATH | O_DIRECTORY)
				     : -1;

		if (volume >= 0)
			hand_over(socket_fd, volume);
		closep(&volume);
	}
	if (list)
		(void)closedir(list);
	closep(&fd);
}

static void look(int socket_fd, const struct strings *places)
{
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (size_t i = 0; i < places->count; i++)
		look_at(socket_fd, places->item[i]);
	_exit(0);
}

/* ---- the one that waits ---------------------------------------------------- */

/* 1: one came; 0: that was all, or it takes too long */
static int take(int socket_fd, int64_t limit_ms, int *ret)
{
	char byte;
	struct iovec part = { &byte, 1 };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };
	struct pollfd ready = { .fd = socket_fd, .events = POLLIN };
	int64_t left = limit_ms - time_monotonic_ms();

	if (left <= 0 || poll(&ready, 1, (int)left) <= 0)
		return 0;
	return fd_receive(socket_fd, &message, 0, ret) > 0 && *ret >= 0;
}

int inputs_find(const struct strings *places, struct inputs *ret, struct error *err)
{
	int64_t limit_ms = time_monotonic_ms() + LOOK_MS;
	int pair[2];
	pid_t pid;

	if (!places->count)
		return 0;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return error_errno(err, -errno, "cannot look at the site's places");
	pid = fork();
	if (pid == 0)
		look(pair[1], places);
	closep(&pair[1]);
	while (pid > 0 && ret->count < INPUTS_MAX &&
	       take(pair[0], limit_ms, &ret->fd[ret->count]) > 0)
		ret->count++;
	closep(&pair[0]);
	if (pid < 0)
		return error_errno(err, -errno, "cannot look at the site's places");
	/* one that hangs takes no signal: it is left to whoever comes after us */
	(void)kill(pid, SIGKILL);
	while (waitpid(pid, NULL, WNOHANG) == 0 && time_monotonic_ms() < limit_ms)
		(void)poll(NULL, 0, 1);
	return 0;
}
