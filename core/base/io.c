/* SPDX-License-Identifier: MIT */
/* core/base/io.c: whole reads and writes, descriptors that pass a socket, publishing by rename,
 * directories made and removed. */
#include "core/base/base.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

ssize_t io_read(int fd, void *buffer, size_t length)
{
	size_t got = 0;

	while (got < length) {
		ssize_t n = read(fd, (char *)buffer + got, length - got);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		got += (size_t)n;
	}
	return (ssize_t)got;
}

ssize_t io_pread(int fd, void *buffer, size_t length, off_t offset)
{
	size_t got = 0;

	while (got < length) {
		ssize_t n = pread(fd, (char *)buffer + got, length - got, offset + (off_t)got);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		got += (size_t)n;
	}
	return (ssize_t)got;
}

int io_write(int fd, const void *bytes, size_t length)
{
	size_t done = 0;

	while (done < length) {
		ssize_t n = write(fd, (const char *)bytes + done, length - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		done += (size_t)n;
	}
	return 0;
}

int fd_send(int socket, const struct msghdr *message, int fd)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct msghdr whole = *message;

	whole.msg_control = NULL;
	whole.msg_controllen = 0;
	if (fd >= 0) {
		whole.msg_control = control.bytes;
		whole.msg_controllen = sizeof(control.bytes);
		control.header = (struct cmsghdr){ .cmsg_len = CMSG_LEN(sizeof(int)),
						   .cmsg_level = SOL_SOCKET,
						   .cmsg_type = SCM_RIGHTS };
		memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
	}
	while (sendmsg(socket, &whole, MSG_NOSIGNAL) < 0)
		if (errno != EINTR)
			return -errno;
	return 0;
}

ssize_t fd_receive(int socket, struct msghdr *message, int flags, int *ret_fd)
{
	/* room for a second one: the kernel fills up what alignment leaves behind the first */
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(2 * sizeof(int))];
	} control = { 0 };
	const struct cmsghdr *header;
	size_t count = 0;
	int fd[2];
	ssize_t n;

	*ret_fd = -1;
	do {
		message->msg_control = control.bytes;
		message->msg_controllen = sizeof(control.bytes);
		n = recvmsg(socket, message, flags | MSG_CMSG_CLOEXEC);
	} while (n < 0 && errno == EINTR);
	header = n < 0 ? NULL : CMSG_FIRSTHDR(message);
	n = n < 0 ? -errno : n;
	if (header && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS)
		count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
	message->msg_control = NULL;
	message->msg_controllen = 0;
	if (!count)
		return n;
	memcpy(fd, CMSG_DATA(header), count * sizeof(int));
	if (count == 1 && !(message->msg_flags & MSG_CTRUNC)) {
		*ret_fd = fd[0];
		return n;
	}
	for (size_t i = 0; i < count; i++)
		closep(&fd[i]);
	return -EBADMSG;
}

int file_read(int dirfd, const char *path, size_t limit, char **ret, size_t *ret_length)
{
	_cleanup_(closep) int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC);
	struct text text = { 0 };
	struct stat st;
	ssize_t n;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (S_ISREG(st.st_mode) && (uint64_t)st.st_size > limit)
		return -EFBIG;
	for (;;) {
		size_t step = S_ISREG(st.st_mode) && text.length < (size_t)st.st_size
				      ? (size_t)st.st_size - text.length
				      : 64 * 1024;

		if (text_reserve(&text, step) < 0)
			return -ENOMEM;
		n = io_read(fd, text.data + text.length, step);
		if (n <= 0)
			break;
		text.length += (size_t)n;
		text.data[text.length] = '\0';
		if (text.length > limit) {
			text_done(&text);
			return -EFBIG;
		}
	}
	if (n < 0) {
		text_done(&text);
		return (int)n;
	}
	if (ret_length)
		*ret_length = text.length;
	*ret = text_steal(&text);
	return *ret ? 0 : -ENOMEM;
}

int file_publish(int dirfd, const char *name, const void *bytes, size_t length)
{
	static _Atomic unsigned int serial; /* only makes temporary names differ */
	_cleanup_(closep) int fd = -1;
	char temporary[64];
	int r;

	(void)snprintf(temporary, sizeof(temporary), ".tmp-%ld-%u", (long)getpid(),
		       atomic_fetch_add(&serial, 1));
	fd = openat(dirfd, temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd < 0)
		return -errno;
	r = io_write(fd, bytes, length);
	if (r == 0 && renameat(dirfd, temporary, dirfd, name) < 0)
		r = -errno;
	if (r < 0)
		(void)unlinkat(dirfd, temporary, 0);
	return r;
}

void file_touch(int dirfd, const char *name)
{
	_cleanup_(closep) int fd =
		openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

	if (fd >= 0)
		(void)futimens(fd, NULL);
}

int directory_open(int dirfd, const char *path)
{
	_cleanup_(freep) char *copy = strdup(path);
	int fd;

	if (!copy)
		return -ENOMEM;
	for (char *slash = strchr(copy + 1, '/');; slash = strchr(slash + 1, '/')) {
		if (slash)
			*slash = '\0';
		if (mkdirat(dirfd, copy, 0755) < 0 && errno != EEXIST)
			return -errno;
		if (!slash)
			break;
		*slash = '/';
	}
	fd = openat(dirfd, copy, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int directory_remove(int dirfd, const char *name)
{
	int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct dirent *entry;
	int r = 0;
	DIR *list;

	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0 && (errno == ENOTDIR || errno == ELOOP))
		return unlinkat(dirfd, name, 0) < 0 && errno != ENOENT ? -errno : 0;
	if (fd < 0)
		return -errno;
	list = fdopendir(fd);
	if (!list) {
		r = -errno;
		(void)close(fd);
		return r;
	}
	while ((entry = readdir(list))) {
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		if (unlinkat(fd, entry->d_name, 0) < 0 && errno != ENOENT) {
			int one = errno == EISDIR || errno == EPERM
					  ? directory_remove(fd, entry->d_name)
					  : -errno;

			r = r < 0 ? r : one;
		}
	}
	(void)closedir(list);
	if (r == 0 && unlinkat(dirfd, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
		r = -errno;
	return r;
}
