/* SPDX-License-Identifier: MIT */
/* rest/accept.c: one thread takes every connection, and gives it to the server that has fewest.
 *
 * Threads of libmicrohttpd that share a listening socket take what each of them finds when it
 * wakes: the one that is awake takes nearly all, answers them all, and the others sleep. */
#include "rest/accept.h"
#include "core/base/base.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define AT_A_TIME 64 /* of one socket, then the others are looked at */
#define PAUSE_MS 100 /* when there is no descriptor or no memory for one more */

struct acceptor {
	int end; /* readable: it is over */
	unsigned int count;
	int fd[ACCEPTED_FROM];
	struct crew *crew[ACCEPTED_FROM];
	bool short_of; /* said once, until all is well again */
};

int acceptor_new(struct acceptor **ret)
{
	struct acceptor *acceptor = calloc(1, sizeof(*acceptor));

	if (!acceptor)
		return -ENOMEM;
	acceptor->end = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (acceptor->end < 0) {
		int r = -errno;

		free(acceptor);
		return r;
	}
	*ret = acceptor;
	return 0;
}

void acceptor_free(struct acceptor *acceptor)
{
	if (!acceptor)
		return;
	for (unsigned int i = 0; i < acceptor->count; i++)
		(void)close(acceptor->fd[i]);
	(void)close(acceptor->end);
	free(acceptor);
}

void acceptor_add(struct acceptor *acceptor, int fd, struct crew *crew)
{
	acceptor->fd[acceptor->count] = fd;
	acceptor->crew[acceptor->count++] = crew;
}

void acceptor_end(struct acceptor *acceptor)
{
	(void)eventfd_write(acceptor->end, 1); /* nobody reads it: it stays readable */
}

/* The one with the fewest connections. What was given to it a moment ago it may not have counted
 * yet: of equal ones the one that was not asked for longest. */
static struct server *crew_next(struct crew *crew)
{
	struct server *best = &crew->server[crew->next % crew->count];
	unsigned int least = atomic_load(&best->connections);

	for (unsigned int i = 1; i < crew->count; i++) {
		struct server *one = &crew->server[(crew->next + i) % crew->count];
		unsigned int has = atomic_load(&one->connections);

		if (has < least) {
			best = one;
			least = has;
		}
	}
	crew->next = (unsigned int)(best - crew->server) + 1;
	return best;
}

static void give(struct server *server, int fd, const struct sockaddr *address, socklen_t length)
{
	atomic_fetch_add(&server->fresh, 1);
	if (MHD_add_connection(server->daemon, fd, address, length) != MHD_YES)
		atomic_fetch_sub(&server->fresh, 1); /* it was closed */
}

/* 0: nobody is waiting (any more); -errno: why nobody can be taken now */
static int take(int listening, struct crew *crew)
{
	for (int i = 0; i < AT_A_TIME; i++) {
		struct sockaddr_storage address = { 0 };
		socklen_t length = sizeof(address);
		int fd = accept4(listening, (struct sockaddr *)&address, &length,
				 SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd < 0 && errno == EAGAIN)
			return 0;
		if (fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOBUFS ||
			       errno == ENOMEM || errno == EBADF || errno == EINVAL))
			return -errno;
		if (fd < 0) /* of that connection alone: it is broken already */
			continue;
		give(crew_next(crew), fd, (struct sockaddr *)&address, length);
	}
	return 0;
}

/* Who waits is still there afterwards: the socket would be ready at once, again and again. */
static void take_breath(struct acceptor *acceptor, int why)
{
	struct pollfd end = { .fd = acceptor->end, .events = POLLIN };

	if (!acceptor->short_of)
		log_warning("HTTP: new connections have to wait: %s", strerror(-why));
	acceptor->short_of = true;
	(void)poll(&end, 1, PAUSE_MS);
}

void acceptor_run(struct acceptor *acceptor)
{
	for (;;) {
		struct pollfd what[ACCEPTED_FROM + 1] = { { .fd = acceptor->end,
							    .events = POLLIN } };
		int r = 0;

		for (unsigned int i = 0; i < acceptor->count; i++)
			what[i + 1] = (struct pollfd){ .fd = acceptor->fd[i], .events = POLLIN };
		if (poll(what, acceptor->count + 1, -1) < 0 && errno != EINTR)
			r = -errno;
		if (what[0].revents)
			return;
		for (unsigned int i = 0; i < acceptor->count && r >= 0; i++)
			if (what[i + 1].revents)
				r = take(acceptor->fd[i], acceptor->crew[i]);
		if (r < 0)
			take_breath(acceptor, r);
		else
			acceptor->short_of = false;
	}
}
