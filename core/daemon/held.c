/* SPDX-License-Identifier: MIT */
/* core/daemon/held.c: the server's side of the keeper: descriptors that a server before us left,
 * and those that are left to the next one. */
#include "core/daemon/keeper.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

struct held {
	int fd;
	size_t count;
	struct {
		char name[KEEPER_NAME_SIZE];
		int fd; /* -1: taken */
	} item[KEEPER_ITEMS];
};

int keeper_send(int socket, enum keeper_verb verb, const char *name, const char *path, int fd)
{
	struct keeper_message text = { .verb = verb };
	struct iovec bytes = { .iov_base = &text, .iov_len = sizeof(text) };
	struct msghdr message = { .msg_iov = &bytes, .msg_iovlen = 1 };

	(void)snprintf(text.name, sizeof(text.name), "%s", name ? name : "");
	(void)snprintf(text.path, sizeof(text.path), "%s", path ? path : "");
	return fd_send(socket, &message, fd);
}

int keeper_receive(int socket, bool wait, struct keeper_message *ret, int *ret_fd)
{
	struct iovec bytes = { .iov_base = ret, .iov_len = sizeof(*ret) };
	struct msghdr message = { .msg_iov = &bytes, .msg_iovlen = 1 };
	ssize_t n;

	do
		n = fd_receive(socket, &message, wait ? 0 : MSG_DONTWAIT, ret_fd);
	while (n == -ECONNRESET); /* once, before the rest */
	if (n < 0)
		return n == -EAGAIN ? 0 : (int)n;
	if (n != sizeof(*ret)) {
		closep(ret_fd);
		*ret_fd = -1;
		return -EPIPE; /* 0: gone; else no keeper of ours */
	}
	ret->name[sizeof(ret->name) - 1] = ret->path[sizeof(ret->path) - 1] = '\0';
	return 1;
}

int held_open(int fd, struct held **ret, struct error *err)
{
	struct held *held = calloc(1, sizeof(*held));
	struct keeper_message message;
	int r = 1, got;

	if (!held)
		return error_oom(err);
	held->fd = fd;
	while (fd >= 0 && r == 1) {
		r = keeper_receive(fd, true, &message, &got);
		if (r == 1 && message.verb == KEEPER_START)
			break;
		if (r == 1 && got >= 0 && held->count < KEEPER_ITEMS) {
			memcpy(held->item[held->count].name, message.name, KEEPER_NAME_SIZE);
			held->item[held->count++].fd = got;
		} else {
			closep(&got);
		}
	}
	if (r < 0) {
		held_free(held);
		return error_errno(err, r, "the keeper");
	}
	if (fd >= 0)
		(void)fcntl(fd, F_SETFD, FD_CLOEXEC);
	*ret = held;
	return 0;
}

void held_free(struct held *held)
{
	if (!held)
		return;
	for (size_t i = 0; i < held->count; i++)
		closep(&held->item[i].fd);
	closep(&held->fd);
	free(held);
}

bool held_again(const struct held *held)
{
	return held->count;
}

int held_take(void *data, const char *name)
{
	struct held *held = data;

	for (size_t i = 0; i < held->count; i++)
		if (!strcmp(held->item[i].name, name))
			return steal_fd(&held->item[i].fd);
	return -1;
}

void held_keep(void *data, const char *name, int fd, const char *path)
{
	struct held *held = data;
	int r;

	if (held->fd < 0)
		return;
	r = keeper_send(held->fd, fd < 0 ? KEEPER_DROP : KEEPER_STORE, name, path, fd);
	if (r < 0 && r != -EPIPE)
		log_error("the keeper does not take %s: %s", name, strerror(-r));
}

void held_rest(struct held *held)
{
	for (size_t i = 0; i < held->count; i++) {
		if (held->item[i].fd < 0)
			continue;
		held_keep(held, held->item[i].name, -1, NULL);
		closep(&held->item[i].fd);
		held->item[i].fd = -1;
	}
}

void held_ready(struct held *held)
{
	if (held->fd >= 0)
		(void)keeper_send(held->fd, KEEPER_READY, NULL, NULL, -1);
}

int held_fd(const struct held *held)
{
	return held->fd;
}

int held_next(struct held *held)
{
	struct keeper_message message;
	int fd, r;

	if (held->fd < 0)
		return 0;
	r = keeper_receive(held->fd, false, &message, &fd);
	closep(&fd);
	if (r <= 0)
		return r;
	return message.verb == KEEPER_LEAVE ? KEEPER_LEAVE : 0;
}
