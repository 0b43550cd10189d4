/* SPDX-License-Identifier: MIT */
/* core/daemon/state.c: who uses the state directory: the lock that one process holds. */
#include "core/daemon/daemon.h"

#include <fcntl.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#define NAME "lock"
#define TRIES 6 /* somebody who asks who holds it has it himself for a moment */
#define PAUSE_MS 50

/* What the holder wrote into it */
static void read_holder(int fd, char ret[static 32])
{
	memset(ret, 0, 32);
	(void)io_pread(fd, ret, 31, 0);
	ret[strcspn(ret, "\n")] = '\0';
}

static int take(int fd)
{
	static const struct timespec pause = { .tv_nsec = PAUSE_MS * 1000000 };
	int tries = TRIES;

	while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno != EWOULDBLOCK || !--tries)
			return -errno;
		(void)nanosleep(&pause, NULL);
	}
	return 0;
}

int state_lock(int state_dirfd, const char *path, int *ret_fd, struct error *err)
{
	_cleanup_(closep) int fd =
		openat(state_dirfd, NAME, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
	char text[32];
	int r;

	if (fd < 0)
		return error_errno(err, -errno, "%s/" NAME, path);
	r = take(fd);
	if (r == -EWOULDBLOCK) {
		read_holder(fd, text);
		return error_set(err, -EBUSY, BLAME_US, path,
				 "another odcsfs (process %s) uses the state directory %s",
				 text[0] ? text : "unknown", path);
	}
	if (r < 0)
		return error_errno(err, r, "%s/" NAME, path);
	(void)snprintf(text, sizeof(text), "%ld\n", (long)getpid());
	if (ftruncate(fd, 0) < 0 || pwrite(fd, text, strlen(text), 0) != (ssize_t)strlen(text))
		return error_errno(err, errno ? -errno : -EIO, "%s/" NAME, path);
	*ret_fd = steal_fd(&fd);
	return 0;
}

int state_holder(int state_dirfd, char ret[static 32])
{
	_cleanup_(closep) int fd = openat(state_dirfd, NAME, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	if (flock(fd, LOCK_SH | LOCK_NB) == 0)
		return 0;
	if (errno != EWOULDBLOCK)
		return -errno;
	read_holder(fd, ret);
	return 1;
}
