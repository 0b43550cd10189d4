/* SPDX-License-Identifier: MIT */
/* rest/linger.c: connections that were answered before their body had come in.
 *
 * libmicrohttpd closes such a connection at once. The kernel then tells a client that is still
 * sending that the connection is broken, and many a client never looks at the answer. So a second
 * descriptor keeps the connection for a moment, and what comes in is thrown away. */
#include "rest/linger.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#define LINGERS_MAX 64
#define LINGER_MS 3000
#define PIECE_BYTES ((size_t)64 * 1024)
#define TICK_BYTES ((size_t)16 << 20) /* of all at a time: the tick has other work as well */

struct lingers {
	pthread_mutex_t lock;
	size_t count; /* under lock, as all below */
	struct linger_one {
		int fd;
		int64_t until_ms;
	} item[LINGERS_MAX];
};

int lingers_new(struct lingers **ret)
{
	struct lingers *lingers = calloc(1, sizeof(*lingers));

	if (!lingers)
		return -ENOMEM;
	(void)pthread_mutex_init(&lingers->lock, NULL);
	*ret = lingers;
	return 0;
}

void lingers_free(struct lingers *lingers)
{
	if (!lingers)
		return;
	for (size_t i = 0; i < lingers->count; i++)
		(void)close(lingers->item[i].fd);
	(void)pthread_mutex_destroy(&lingers->lock);
	free(lingers);
}

void linger_add(struct lingers *lingers, struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
	_cleanup_(closep) int fd = info ? fcntl(info->connect_fd, F_DUPFD_CLOEXEC, 0) : -1;

	if (fd < 0)
		return;
	(void)pthread_mutex_lock(&lingers->lock);
	if (lingers->count < LINGERS_MAX)
		lingers->item[lingers->count++] =
			(struct linger_one){ .fd = steal_fd(&fd),
					     .until_ms = time_monotonic_ms() + LINGER_MS };
	(void)pthread_mutex_unlock(&lingers->lock);
}

/* Throw away what came, at most @limit bytes; false: the other side has closed, or broke off. */
static bool drain(int fd, size_t limit)
{
	char piece[PIECE_BYTES];
	ssize_t n = 1;

	for (size_t got = 0; got < limit && n > 0; got += (size_t)n)
		n = recv(fd, piece, sizeof(piece), MSG_DONTWAIT);
	return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

/* All are taken off the list meanwhile: whoever answers must not wait for us. */
void lingers_tick(struct lingers *lingers, int64_t now_ms)
{
	struct linger_one item[LINGERS_MAX];
	size_t count;

	(void)pthread_mutex_lock(&lingers->lock);
	count = lingers->count;
	memcpy(item, lingers->item, count * sizeof(*item));
	lingers->count = 0;
	(void)pthread_mutex_unlock(&lingers->lock);
	for (size_t i = 0; i < count; i++) {
		bool open = drain(item[i].fd, TICK_BYTES / count) && now_ms < item[i].until_ms;

		(void)pthread_mutex_lock(&lingers->lock);
		if (open && lingers->count < LINGERS_MAX)
			lingers->item[lingers->count++] = item[i];
		else
			(void)close(item[i].fd);
		(void)pthread_mutex_unlock(&lingers->lock);
	}
}
