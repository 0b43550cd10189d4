/* SPDX-License-Identifier: MIT */
/* core/daemon/state.c: who uses the state directory: the lock that one process holds.
 *
 *   PID
 *   BOOT	this run of the machine (/proc/sys/kernel/random/boot_id)
 *
 * Where the last holder was in another run of the machine, a power cut may have ended that one:
 * what was written but not synced may be lost then. A clean stop is not told apart, since only a
 * sync of the whole file system, which can take long, would make it different. */
#include "core/daemon/daemon.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define NAME "lock"
#define CONTROL "reload"  /* the socket of the keeper */
#define TRIES 6		  /* somebody who asks who holds it has it himself for a moment */
#define PATIENT_TRIES 200 /* of a server that ends */
#define PAUSE_MS 50

#define BOOT_SIZE 64

/* What the holder wrote into it; "" where it did not */
static void read_holder(int fd, char ret_pid[static 32], char ret_boot[static BOOT_SIZE])
{
	char text[32 + BOOT_SIZE] = "";
	size_t first;

	(void)io_pread(fd, text, sizeof(text) - 1, 0);
	first = strcspn(text, "\n");
	(void)snprintf(ret_pid, 32, "%.*s", (int)(first < 31 ? first : 31), text);
	ret_boot[0] = '\0';
	if (text[first])
		(void)snprintf(ret_boot, BOOT_SIZE, "%.*s", (int)strcspn(text + first + 1, "\n"),
			       text + first + 1);
}

/* Empty where the kernel does not tell: then no run can be told from another. */
static void read_boot(char ret[static BOOT_SIZE])
{
	_cleanup_(freep) char *text = NULL;

	ret[0] = '\0';
	if (file_read(AT_FDCWD, "/proc/sys/kernel/random/boot_id", 4096, &text, NULL) == 0)
		(void)snprintf(ret, BOOT_SIZE, "%.*s", (int)strcspn(text, "\n"), text);
}

static int write_holder(int fd, const char *pid, const char *boot)
{
	char text[32 + BOOT_SIZE];

	(void)snprintf(text, sizeof(text), "%s\n%s\n", pid, boot);
	if (ftruncate(fd, 0) < 0 || pwrite(fd, text, strlen(text), 0) != (ssize_t)strlen(text) ||
	    fdatasync(fd) < 0)
		return errno ? -errno : -EIO;
	return 0;
}

static int take(int fd, int tries)
{
	static const struct timespec pause = { .tv_nsec = PAUSE_MS * 1000000 };

	while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno != EWOULDBLOCK || !--tries)
			return -errno;
		(void)nanosleep(&pause, NULL);
	}
	return 0;
}

/* The file can be removed, the directory cannot. Where directories are not locked (NFS), *ret_fd is
 * left as it is. */
static int take_directory(int state_dirfd, int tries, int *ret_fd)
{
	_cleanup_(closep) int fd = openat(state_dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r;

	if (fd < 0)
		return -errno;
	r = take(fd, tries);
	if (r == 0)
		*ret_fd = steal_fd(&fd);
	return r == -EWOULDBLOCK ? r : 0;
}

int state_lock(int state_dirfd, const char *path, pid_t pid, bool patient, int *ret_fd,
	       bool *ret_lost, struct error *err)
{
	_cleanup_(closep) int fd =
		openat(state_dirfd, NAME, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
	_cleanup_(closep) int directory = -1;
	char holder[32], before[BOOT_SIZE], boot[BOOT_SIZE];
	int tries = patient ? PATIENT_TRIES : TRIES;
	int r;

	if (fd < 0)
		return error_errno(err, -errno, "%s/" NAME, path);
	r = take(fd, tries);
	if (r == 0)
		r = take_directory(state_dirfd, tries, &directory);
	read_holder(fd, holder, before);
	if (r == -EWOULDBLOCK)
		return error_set(err, -EBUSY, BLAME_US, path,
				 "another odcsfs (process %s) uses the state directory %s",
				 holder[0] ? holder : "unknown", path);
	read_boot(boot);
	*ret_lost = before[0] && boot[0] && strcmp(before, boot) != 0;
	/* the other run's until somebody has looked after what may be lost */
	(void)snprintf(holder, sizeof(holder), "%ld", (long)pid);
	if (r == 0)
		r = write_holder(fd, holder, *ret_lost ? before : boot);
	if (r < 0)
		return error_errno(err, r, "%s/" NAME, path);
	*ret_fd = steal_fd(directory >= 0 ? &directory : &fd);
	return 0;
}

int state_recovered(int state_dirfd, struct error *err)
{
	_cleanup_(closep) int fd =
		openat(state_dirfd, NAME, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
	char boot[BOOT_SIZE], before[BOOT_SIZE], holder[32];
	int r;

	if (fd < 0)
		return error_errno(err, -errno, NAME);
	read_holder(fd, holder, before);
	read_boot(boot);
	r = write_holder(fd, holder, boot);
	return r < 0 ? error_errno(err, r, NAME) : 0;
}

int state_holder(int state_dirfd, char ret[static 32])
{
	_cleanup_(closep) int directory =
		openat(state_dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_(closep) int fd = openat(state_dirfd, NAME, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	char boot[BOOT_SIZE];

	if (fd < 0 && errno != ENOENT)
		return -errno;
	if (directory < 0)
		return -EACCES;
	if (flock(directory, LOCK_SH | LOCK_NB) == 0 || errno != EWOULDBLOCK) {
		if (fd < 0 || flock(fd, LOCK_SH | LOCK_NB) == 0)
			return 0;
		if (errno != EWOULDBLOCK)
			return -errno;
	}
	if (fd >= 0)
		read_holder(fd, ret, boot);
	if (!ret[0])
		(void)snprintf(ret, 32, "unknown");
	return 1;
}

/* By way of the descriptor: a path in an address has little room. */
static struct sockaddr_un control_address(int state_dirfd)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	(void)snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/" CONTROL,
		       state_dirfd);
	return address;
}

int state_control(int state_dirfd)
{
	_cleanup_(closep) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un address = control_address(state_dirfd);

	state_control_remove(state_dirfd);
	/* nobody can connect before it listens */
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    fchmodat(state_dirfd, CONTROL, 0600, 0) < 0 || listen(fd, SOMAXCONN) < 0)
		return -errno;
	return steal_fd(&fd);
}

bool state_control_there(int state_dirfd)
{
	struct stat st;

	return !fstatat(state_dirfd, CONTROL, &st, AT_SYMLINK_NOFOLLOW) && S_ISSOCK(st.st_mode);
}

void state_control_remove(int state_dirfd)
{
	(void)unlinkat(state_dirfd, CONTROL, 0);
}

int state_control_ask(int state_dirfd)
{
	_cleanup_(closep) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un address = control_address(state_dirfd);

	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return -errno;
	return steal_fd(&fd);
}
