/* SPDX-License-Identifier: MIT */
/* rest/local.c: the unix socket: no address, but a file whose permissions say who may connect.
 *
 * A file that a dead service left is told from a live one by connecting to it. Between that and
 * taking its place the folder is locked, so that of two services that start at once one is told. */
#include "rest/listen.h"

#include <fcntl.h>
#include <grp.h>
#include <libgen.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define LOCK_TRIES 100 /* of 10 ms */

static int lock_folder(const char *path)
{
	_cleanup_(freep) char *copy = strdup(path);
	_cleanup_(closep) int fd = -1;

	if (!copy)
		return -ENOMEM;
	fd = directory_open(AT_FDCWD, dirname(copy));
	if (fd < 0)
		return fd;
	for (int try = 0; flock(fd, LOCK_EX | LOCK_NB) < 0; try++) {
		if (errno != EWOULDBLOCK || try == LOCK_TRIES)
			return -errno;
		(void)poll(NULL, 0, 10);
	}
	return steal_fd(&fd);
}

/* Is it a socket that nobody listens on? 0: nothing is there (any more). */
static int clear_stale(const struct sockaddr_un *address, struct error *err)
{
	const char *path = address->sun_path;
	_cleanup_(closep) int fd = -1;
	struct stat st;

	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0 : error_errno(err, -errno, "http.socket: %s", path);
	if (!S_ISSOCK(st.st_mode))
		return error_set(err, -EEXIST, BLAME_REQUEST, "http.socket",
				 "http.socket: %s is there and is no socket", path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return error_errno(err, -errno, "http.socket: %s", path);
	if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0 ||
	    errno != ECONNREFUSED)
		return error_set(err, -EADDRINUSE, BLAME_US, "http.socket",
				 "http.socket: another service listens on %s", path);
	return unlink(path) < 0 && errno != ENOENT
		       ? error_errno(err, -errno, "http.socket: cannot replace %s", path)
		       : 0;
}

/* Until the last step nobody but the service's own user can connect. */
static int make_public(const char *path, uint32_t mode, const char *group, struct error *err)
{
	struct group entry, *found = NULL;
	_cleanup_(freep) char *buffer = malloc(64 * 1024);

	if (group && *group) {
		if (!buffer || getgrnam_r(group, &entry, buffer, 64 * 1024, &found) != 0 || !found)
			return error_set(err, -EINVAL, BLAME_REQUEST, "http.socket_group",
					 "http.socket_group: this machine has no group \"%s\"",
					 group);
		if (lchown(path, (uid_t)-1, found->gr_gid) < 0)
			return error_errno(err, -errno, "http.socket_group: %s", path);
	}
	return chmod(path, mode) < 0 ? error_errno(err, -errno, "http.socket_mode: %s", path) : 0;
}

static void local_undo(struct local_socket *socket)
{
	local_close(socket, true);
}

/* Where is it bound? false: it is no socket with a path */
static bool path_of(int fd, struct sockaddr_un *ret)
{
	socklen_t length = sizeof(*ret);

	*ret = (struct sockaddr_un){ 0 };
	return fd >= 0 && !getsockname(fd, (struct sockaddr *)ret, &length) &&
	       ret->sun_family == AF_UNIX && ret->sun_path[0];
}

void local_forget(int fd)
{
	struct sockaddr_un address;

	if (path_of(fd, &address))
		(void)unlink(address.sun_path);
	closep(&fd);
}

/* A descriptor of that path: @before (taken over), or bound now. */
static int local_bind(const struct sockaddr_un *address, int before, struct error *err)
{
	_cleanup_(closep) int fd = -1;
	struct sockaddr_un there;
	struct stat st;
	int r;

	if (path_of(before, &there) && !strcmp(there.sun_path, address->sun_path) &&
	    !lstat(address->sun_path, &st) && S_ISSOCK(st.st_mode))
		return before;
	local_forget(before);
	r = clear_stale(address, err);
	if (r < 0)
		return r;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || bind(fd, (const struct sockaddr *)address, sizeof(*address)) < 0)
		return error_errno(err, -errno, "http.socket: %s", address->sun_path);
	return steal_fd(&fd);
}

int local_open(const char *path, uint32_t mode, const char *group, int given,
	       struct local_socket *ret, struct error *err)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	_cleanup_(closep) int fd = -1, folder = -1, before = given;
	_cleanup_(local_undo) struct local_socket made = { 0 };
	struct stat st;
	int r;

	if (strlen(path) >= sizeof(address.sun_path))
		return error_set(err, -ENAMETOOLONG, BLAME_REQUEST, "http.socket",
				 "http.socket: %s is longer than %zu bytes", path,
				 sizeof(address.sun_path) - 1);
	memcpy(address.sun_path, path, strlen(path) + 1);
	folder = lock_folder(path);
	if (folder < 0)
		return error_errno(err, folder, "http.socket: the folder of %s", path);
	fd = local_bind(&address, steal_fd(&before), err);
	if (fd < 0)
		return fd;
	if (lstat(path, &st) < 0)
		return error_errno(err, -errno, "http.socket: %s", path);
	made.device = st.st_dev;
	made.inode = st.st_ino;
	made.path = strdup(path);
	if (!made.path)
		return error_oom(err);
	r = make_public(path, mode, group, err);
	if (r < 0)
		return r;
	if (listen(fd, SOMAXCONN) < 0)
		return error_errno(err, -errno, "http.socket: %s", path);
	*ret = made;
	made = (struct local_socket){ 0 };
	return steal_fd(&fd);
}

void local_close(struct local_socket *socket, bool remove)
{
	struct stat st;

	if (remove && socket->path && lstat(socket->path, &st) == 0 &&
	    st.st_dev == socket->device && st.st_ino == socket->inode)
		(void)unlink(socket->path);
	free(socket->path);
	*socket = (struct local_socket){ 0 };
}
