/* SPDX-License-Identifier: MIT */
/* core/daemon/systemd.c: what the service manager is told (sd_notify(3)), and the descriptors that
 * it keeps (systemd.service(5), FileDescriptorStoreMax). */
#include "core/daemon/keeper.h"

#include <fcntl.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define FIRST_FD 3
#define GIVEN_MAX 64

void systemd_tell(const char *state, int fd)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	const char *path = getenv("NOTIFY_SOCKET");
	size_t length = path ? strlen(path) : 0;
	_cleanup_(closep) int to = -1;
	struct iovec text = { .iov_len = strlen(state) };
	struct msghdr message = { .msg_name = &address, .msg_iov = &text, .msg_iovlen = 1 };
	int r;

	if (!length || length >= sizeof(address.sun_path) || (path[0] != '/' && path[0] != '@'))
		return;
	memcpy(address.sun_path, path, length);
	if (path[0] == '@')
		address.sun_path[0] = '\0';
	memcpy(&text.iov_base, &state, sizeof(state)); /* it is only read */
	message.msg_namelen = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
	to = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	r = to < 0 ? -errno : fd_send(to, &message, fd);
	if (r < 0)
		log_warning("cannot notify the service manager: %s", strerror(-r));
}

bool systemd_stores(void)
{
	const char *room = getenv("FDSTORE");

	return getenv("NOTIFY_SOCKET") && room && *room && strcmp(room, "0") != 0;
}

int systemd_given(const char **ret_names)
{
	const char *pid = getenv("LISTEN_PID"), *count = getenv("LISTEN_FDS");
	int64_t number = 0, whose = 0;

	*ret_names = getenv("LISTEN_FDNAMES");
	if (!pid || !count || !*ret_names || parse_int64(pid, &whose) < 0 ||
	    whose != (int64_t)getpid() || parse_int64(count, &number) < 0 || number < 0 ||
	    number > GIVEN_MAX)
		number = 0;
	for (int i = 0; i < (int)number; i++)
		(void)fcntl(FIRST_FD + i, F_SETFD, FD_CLOEXEC);
	(void)unsetenv("LISTEN_PID"); /* the names live on: the environment's text is not freed */
	(void)unsetenv("LISTEN_FDS");
	(void)unsetenv("LISTEN_FDNAMES");
	return (int)number;
}
