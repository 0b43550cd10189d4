/* SPDX-License-Identifier: MIT */
/* rest/client.h: who is at the other end of a connection, and what he holds: connections, requests,
 * waits, bytes.
 *
 * A client is a user of this machine (loopback, unix socket), else an address: one of IPv4, or the
 * 64 bits of IPv6 that a site gives to a machine. Each limit is for one client, so that one who
 * takes all he can get leaves room for the others. */
#pragma once

#include "rest/exchange.h"

struct clients;

/** enum phase - whose turn it is on a connection */
enum phase {
	PHASE_QUIET,  /* between requests, or in the middle of one's headers */
	PHASE_BODY,   /* the client sends */
	PHASE_HELD,   /* ours: parked, or being worked on */
	PHASE_ANSWER, /* the client takes the answer */
};

/** struct client - lives as long as it has connections */
struct client {
	struct client *next; /* in its bucket; under clients->lock */
	struct client_key {
		uint8_t kind; /* address family; AF_UNIX: a uid of this machine; 0: unknown */
		uint8_t bytes[16];
	} key;
	unsigned int connections; /* under clients->lock */
	_Atomic unsigned int requests, waits;
	_Atomic size_t bytes;
	/* rest/work.c, under its lock: what writes, what reads */
	struct queue {
		struct exchange *first, *last;
		struct queue *next; /* in the ring while @listed */
		unsigned int working;
		bool listed;
	} queues[2];
};

/** struct link - one connection */
struct link {
	struct link *next, **previous; /* in clients->links */
	struct client *client;
	int fd;			  /* -1: it was ended */
	struct server *server;	  /* who has it */
	bool heard;		  /* it has asked for something */
	struct exchange *unheard; /* its request line was read, on_request() was not called yet */
	_Atomic enum phase phase;
	_Atomic int64_t since_ms;  /* of the phase */
	_Atomic uint64_t received; /* bytes of bodies */
	bool corked;		   /* the connection's thread's own */
	/* the tick's own: what had been moved when the window began */
	int64_t window_since_ms, window_ms;
	uint64_t window_bytes;
};

int clients_new(struct clients **ret);
void clients_free(struct clients *clients); /* after the last connection has gone */

/** connection_notify() - for MHD_OPTION_NOTIFY_CONNECTION */
void connection_notify(void *rest, struct MHD_Connection *connection, void **context,
		       enum MHD_ConnectionNotificationCode what);
struct link *connection_link(struct MHD_Connection *connection); /* NULL: it is being closed */
void link_phase(struct link *link, enum phase phase);
/** link_cork() - from now on nothing goes out but full packets; when that ends, all that is there.
 * libmicrohttpd sends the header of an answer out of a file at once, which wakes the client for it
 * alone */
void link_cork(struct link *link, struct MHD_Connection *connection, bool corked);
/** clients_tick() - end connections that send or take too slowly */
void clients_tick(struct rest *rest, int64_t now_ms);
unsigned int clients_connections(struct clients *clients); /* now */

/** client_address() - the key of who has @address */
struct client_key client_address(const struct sockaddr *address);
/** client_text() - "in:192.0.2.7", "in6:2001:db8::", "uid:1000" */
void client_text(const struct client_key *key, char ret[static CLIENT_TEXT_SIZE]);
/** client_uid() - of a user of this machine; false: he is elsewhere, or it is not known */
bool client_uid(const struct client *client, uint32_t *ret);
/** client_request() - one more under way; false: too many. client_request_done() in either case */
bool client_request(struct rest *rest, struct client *client);
void client_request_done(struct client *client);
/** client_wait() - one more long poll or follower; false: too many, nothing was counted */
bool client_wait(struct rest *rest, struct client *client);
void client_wait_done(struct client *client);
