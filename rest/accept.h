/* SPDX-License-Identifier: MIT */
/* rest/accept.h: who connects is given to one of several servers, each of them one thread of
 * libmicrohttpd with connections of its own. */
#pragma once

#include <microhttpd.h>
#include <stdatomic.h>

#define SERVERS 4	/* that share what comes in at one place */
#define ACCEPTED_FROM 3 /* sockets: of localhost two, and the one of this machine's users */

struct acceptor;

/** struct server - @connections: those it has told of and that are not closed yet; @fresh: those
 * given to it that have yet to ask for something */
struct server {
	struct rest *rest;
	struct MHD_Daemon *daemon;
	_Atomic unsigned int connections, fresh;
};

/** struct crew - servers that are equal */
struct crew {
	struct server server[SERVERS];
	unsigned int count;
	unsigned int next; /* the acceptor's own */
};

int acceptor_new(struct acceptor **ret);
void acceptor_free(struct acceptor *acceptor); /* closes the sockets */
/** acceptor_add() - who connects to @fd, which listens and does not block, goes to @crew
 * (borrowed); takes
 * @fd over. Before acceptor_run() */
void acceptor_add(struct acceptor *acceptor, int fd, struct crew *crew);
/** acceptor_run() - one thread, until acceptor_end() */
void acceptor_run(struct acceptor *acceptor);
/** acceptor_end() - any thread; also before acceptor_run(), which then returns at once */
void acceptor_end(struct acceptor *acceptor);
