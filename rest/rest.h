/* SPDX-License-Identifier: MIT */
/* rest/rest.h: the door to HTTP: ODCS's API (odcs-api.md is its contract) and the tree under
 * /composes/. */
#pragma once

#include "core/catalogue/catalogue.h"
#include "core/tree/tree.h"

struct rest;

/**
 * struct rest_limits - what one client may hold, so that the others are served; 0: the default
 *
 * A client is a user of this machine (loopback, unix socket), else an address (of IPv6 a /64). */
struct rest_limits {
	unsigned int connections;	 /* of all clients together: 1024 */
	unsigned int client_connections; /* at most three quarters; more are closed at once: 256 */
	unsigned int client_requests;	 /* under way; more are answered 429: 64 */
	unsigned int client_waits;	 /* long polls and followers of events: 128 */
	size_t client_bytes; /* of bodies and answers in memory; more: 429: 64 MiB */
	int64_t client_rate; /* bytes a second, over ten seconds; who sends or takes less is dropped:
				1024; -1: nobody is */
};

/** struct rest_prefetch - packages of servers that are wanted; of these, @cached are here; @bytes of the others */
struct rest_prefetch {
	int64_t packages, cached, bytes;
};

/** struct rest_cache - of packages of servers; bytes and files now, @fetching and @waiting (readers), the rest
 * counted since the start */
struct rest_cache {
	int64_t limit, bytes, files, hits, evictions, fetched, fetched_bytes, failures, fetching,
		waiting;
};

/** struct rest_options - borrowed until rest_stop() */
struct rest_options {
	struct catalogue *catalogue;
	struct tree_store *trees;
	const struct spec_rules *rules; /* not strict */
	const char *listen; /* "127.0.0.1:5005", "[::1]:5005", "localhost:0": port 0 picks one */
	const char *public_url;	  /* of the tree, no trailing slash; NULL: http://HOST:PORT/composes
				     of the listener */
	const char *mountpoint;	  /* of the tree, for the words on pages; NULL or "": not mounted */
	const char *auth_backend; /* "noauth", "proxy" or "ssl" (odcsfs(8), ACCOUNTS) */
	const struct strings *proxies; /* "proxy": whose headers count, see rest_proxies_check() */
	/* files; tls_cert NULL or "": listen speaks HTTP; tls_client_ca: of "ssl" */
	const char *tls_cert, *tls_key, *tls_client_ca;
	const char *tls_client_crl; /* what these authorities withdrew, PEM; NULL or "": none */
	const char *socket;	  /* path of the unix socket; NULL or "": none */
	uint32_t socket_mode;	  /* permissions of it */
	const char *socket_group; /* NULL or "": that of the service */
	/* name of a user of this machine, malloc'ed; NULL: his number */
	int (*user_name)(void *data, uint32_t uid, uint32_t gid, char **ret, struct error *err);
	void *user_name_data;
	const struct gate *gate; /* roles and limits; NULL: everybody may everything */
	/* shown by about: new reference, or NULL when out of memory; itself NULL: nobody */
	json_t *(*allowed_clients)(void *data);
	void *allowed_clients_data;
	const struct strings *default_sigkeys; /* shown by about */
	size_t body_limit;		       /* bytes of a request body */
	int64_t live_composes_per_user;	       /* 0: no limit */
	/* may this client use this source? -EACCES with words → 403 */
	int (*authorise)(void *data, const struct asker *asker, const struct spec *spec,
			 struct error *err);
	void *authorise_data;
	int (*metrics)(void *data, struct text *ret);
	void *metrics_data;
	/* a file below compose/ of the tree of compose @id is read; NULL: nobody wants to know. Must not
	 * block */
	void (*read)(void *data, int64_t id);
	void *read_data;
	/* packages of servers; NULL: there are none. prefetch: of compose @id, by names or NEVRAs (none: all), to be
	 * fetched with @start; may wait for a disk. -ENOENT, -EINVAL, -ENOSPC with words */
	int (*prefetch)(void *data, int64_t id, const struct strings *packages, bool start,
			struct rest_prefetch *ret, struct error *err);
	void (*cache)(void *data, struct rest_cache *ret);
	void *cache_data;
	struct rest_limits limits;
	const char *contact; /* whom to ask for more, in the words of limits; NULL: nobody is named */
	/* listening sockets that outlive this process. held: what a service before us left under that name, now
	 * ours; -1: nothing. keep: leave a copy of @fd to the next one; -1: nothing any more. NULL: nobody keeps any */
	int (*held)(void *data, const char *name);
	void (*keep)(void *data, const char *name, int fd, const char *path);
	void *keep_data;
};

/** rest_proxies_check() - are these addresses, networks ("10.0.0.0/8") or local users ("unix:USER")?
 * -EINVAL, BLAME_REQUEST, with words */
int rest_proxies_check(const struct strings *words, struct error *err);
/** rest_check() - would it start? Of authentication, proxies and files of TLS; nothing is opened for others */
int rest_check(const struct rest_options *options, struct error *err);
/** rest_listen_check() - is it an address of http.listen? */
int rest_listen_check(const char *listen, struct error *err);
/** rest_start() - listen, and answer in threads of libmicrohttpd's own those whom rest_accept() lets in.
 * -EADDRINUSE names the address */
int rest_start(const struct rest_options *options, struct rest **ret, struct error *err);
/** rest_reload() - read tls_client_crl again; any thread. On failure the old lists stay */
int rest_reload(struct rest *rest, struct error *err);
/** rest_url() - "http://127.0.0.1:5005": where it really listens; borrowed */
const char *rest_url(const struct rest *rest);
/** rest_changed() - for catalogue_watch(): forgets rendered answers, wakes long polls; never
 * blocks. Must be registered: answers are kept until it says that they are stale */
void rest_changed(void *rest, const struct catalogue_event *event);
/** rest_watched() - from now on rest_changed() is called for each change; until then, or its first call,
 * nothing is kept */
void rest_watched(struct rest *rest);
/** rest_tick() - about once a second, any thread: ends long polls whose time is over, keeps
 * followers of /api/1/events alive, drops clients that never finish their request's headers */
void rest_tick(struct rest *rest);
/** rest_work() - lend this thread to what takes longer, until rest_end(): requests that write, each
 * of which waits for a commit (those that come together share one), and long lists. No client has all
 * of the threads, and clients take turns. 8 are enough; with none everything works, slower */
void rest_work(struct rest *rest);
/** rest_accept() - lend this thread, and no other, to letting in who connects, until rest_end(). Without it they
 * all wait */
void rest_accept(struct rest *rest);
/** rest_drain() - before rest_changed() is called no more: from here on nothing kept is used, and nobody
 * is left waiting */
void rest_drain(struct rest *rest);
/** rest_leave() - before rest_end(): who connects from now on waits for the next service, which has the same
 * sockets; running answers may take 5 s */
void rest_leave(struct rest *rest);
/** rest_end() - no new connections; rest_accept() and each rest_work() return, also one that has yet to begin. Join the
 * threads that were lent, then rest_stop() */
void rest_end(struct rest *rest);
/** rest_stop() - rest_end() if it was not called; running answers end, at most 2 s; frees */
void rest_stop(struct rest *rest);
/** rest_figures() - append what was counted, in Prometheus' text format; any thread */
void rest_figures(struct rest *rest, struct text *ret);
DEFINE_FREEP(struct rest, rest_stop)
