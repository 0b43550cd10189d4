/* SPDX-License-Identifier: MIT */
/* resolver/fetch/fetch.h: the door to what lies outside: files of this machine by path, and
 * answers of servers by URL.
 *
 * Sources get their bytes through a struct transport handed in by the worker, so tests can hand in
 * others. A transport is used by one thread at a time; several threads make one each. Only a
 * trusted transport_local() may be used by any number of them. */
#pragma once

#include "core/model/model.h"

#include <pthread.h>

struct transport;

/**
 * transport_local() - files of this machine
 * @allowed: prefixes that a trusted job may read below; NULL or empty: anywhere
 * @trusted: false: opens happen with the file-system rights of @uid and @gid (setfsuid(2), this
 *           thread), so nobody reads through the service what he could not read himself. Of his
 *           groups only @gid counts; this thread gives up its own supplementary groups for good
 *
 * -EPERM, BLAME_US: this process may not take those rights (CAP_SETUID and CAP_SETGID are needed)
 */
int transport_local(const struct strings *allowed, bool trusted, uint32_t uid, uint32_t gid,
		    struct transport **ret, struct error *err);
void transport_free(struct transport *transport);
DEFINE_FREEP(struct transport, transport_free)

#define TRANSPORTS_IDLE TOGETHER_THREADS_MAX

/** struct transports - of one kind, for many threads: who needs one takes it for a while; in between each keeps its
 * connection open */
struct transports {
	int (*connect)(void *data, struct transport **ret, struct error *err);
	void *data;
	pthread_mutex_t lock;
	struct transport *idle[TRANSPORTS_IDLE]; /* under lock, like the count */
	size_t count;
};
/** transports_init() - @connect makes one more */
void transports_init(struct transports *transports,
		     int (*connect)(void *data, struct transport **ret, struct error *err),
		     void *data);
void transports_done(struct transports *transports); /* nobody has one any more */
int transports_take(struct transports *transports, struct transport **ret, struct error *err);
/** transports_give() - back; NULL: nothing. One too many is freed */
void transports_give(struct transports *transports, struct transport *transport);

/**
 * transport_base() - resolve the place of a repository: absolute path or file:// URL → real path
 * -EACCES (BLAME_REQUEST): not below an allowed prefix; -ENOENT, -ENOTDIR: words name the path as
 * given */
int transport_base(struct transport *transport, const char *source, char **ret_path,
		   struct error *err);
/** transport_open() - @path below @base, which it must not leave: links that lead out are followed
 * only to an allowed prefix or, for an untrusted job, to what its user may read. Regular files
 * only; descriptor */
int transport_open(struct transport *transport, const char *base, const char *path,
		   struct error *err);

/** struct transport_file - identity of a package file, as recorded in the manifest; there without
 * @ctime_ns, which changes with links and rights, too */
struct transport_file {
	uint64_t size, ino;
	int64_t mtime_ns, ctime_ns;
};
int transport_stat(struct transport *transport, const char *base, const char *path,
		   struct transport_file *ret, struct error *err);
/** transport_stat_all() - the same of many, up to the first that cannot be read
 * @ret_count: files of which @ret tells, also when that one's error is returned */
int transport_stat_all(struct transport *transport, const char *base, const char *const *path,
		       size_t count, struct transport_file *ret, size_t *ret_count,
		       struct error *err);

/** transport_names() - append the names in directory @path below @base, sorted; one that is not
 * there has none. More than TRANSPORT_NAMES_MAX: -EFBIG */
#define TRANSPORT_NAMES_MAX 10000
int transport_names(struct transport *transport, const char *base, const char *path,
		    struct strings *ret, struct error *err);

/* ---- over the network -------------------------------------------------- */

/**
 * struct transport_places - where URLs may lead (docs/security.md)
 * @allowed: prefixes, as url_normal() gives them
 * @any: elsewhere, too, but to public addresses only
 * @own: the URL of a call is the configuration's: it and its server are not judged, where that
 * leads is */
struct transport_places {
	const struct strings *allowed;
	bool any, own;
};

/**
 * struct transport_network - how the network may be used; strings are copied
 * @ca: file of the certificates to trust in place of the system's, or NULL
 * @proxy: URL of an HTTP proxy, or NULL: none. The environment is never asked
 * @proxy_key: how the configuration calls it; not copied
 * @connect_ms: time to get a connection; 0: 30 s
 * @stall_ms: an answer that does not move for so long is given up; 0: 60 s. Full seconds count
 * @rate_max: bytes a second of one answer, no faster; 0: any
 * @places: NULL, or what every URL asked for and every redirect is judged by, and what addresses
 * they may have, unless a proxy connects; borrowed. Then ftp:// URLs may be asked for, too */
struct transport_network {
	const char *ca, *proxy, *proxy_key;
	int64_t connect_ms, stall_ms, rate_max;
	const struct transport_places *places;
};

/**
 * transport_http() - servers by http:// and https:// URL; no files
 *
 * Holds one connection, kept open between calls. Certificates are checked. Redirects are followed
 * up to 5 times, to http and https only and never from https to http. What a URL holds of user and
 * password is sent, but shown nowhere. Needs no start-up, also not before threads. */
int transport_http(const struct transport_network *network, struct transport **ret,
		   struct error *err);

/** struct transport_sink - takes the bytes of an answer as they come
 * @take: 0, or negative errno with words: the transfer ends, and that is what the call returns */
struct transport_sink {
	int (*take)(void *data, const void *bytes, size_t length, struct error *err);
	void *data;
};

/**
 * struct transport_options - bounds of one call; NULL is all 0
 * @deadline_ms: time_monotonic_ms() at which it must be over; 0: none
 * @stall_ms: in place of the transport's; 0: that one
 * @rate: bytes a second; what comes slower for @stall_ms is given up, too; 0: 64
 * @size_max: bytes of the answer, after inflating; 0: 1 GiB
 * @same_host: redirects to another server, or another port, are not followed: -EACCES
 * @type: Content-Type of what is posted */
struct transport_options {
	bool same_host;
	int64_t deadline_ms, stall_ms, rate, size_max;
	const char *type;
};

/*
 * Errors of the calls below, BLAME_SOURCE, with words that name server and path:
 *   -EHOSTUNREACH -ECONNREFUSED -ECONNRESET   no such host, no connection, one that broke
 *   -ETIMEDOUT                    connecting, stalled or beyond the deadline; 408
 *   -ENOENT 404 and 410, -EACCES 401, 403 and 407 (also a proxy's), -EBUSY 429, -EIO 5xx
 *   -EOPNOTSUPP                   405 and 501
 *   -ERANGE                       the range begins behind the end; 416
 *   -EMSGSIZE                     larger than @size_max, or headers above 256 KiB
 *   -ELOOP -EPROTO                more than 5 redirects; TLS or certificate
 *   -EACCES                       also: where it leads is not among the places
 *   -EBADMSG                      everything else that makes no sense
 * Nothing of an answer with a wrong status comes to the sink. It may have taken a part when an
 * error is returned. -EPERM (BLAME_US): this transport, or this process, may not use the network.
 */

/** transport_post() - send @body, hand the answer to @sink; gzip and deflate are inflated */
int transport_post(struct transport *transport, const char *url, const void *body, size_t length,
		   const struct transport_sink *sink, const struct transport_options *options,
		   struct error *err);
/**
 * transport_get() - @length bytes from @offset on, or to the end when @length is -1
 * @ret_size: size of the whole file, -1 when the server did not tell; may be NULL
 *
 * A file that ends before gives fewer bytes. From a server that knows no ranges the bytes before
 * are read and dropped. Only whole files (@offset 0, @length -1) may come compressed. */
int transport_get(struct transport *transport, const char *url, int64_t offset, int64_t length,
		  const struct transport_sink *sink, const struct transport_options *options,
		  int64_t *ret_size, struct error *err);
/**
 * struct transport_version - what a server said about one state of a file, to ask later whether it
 * is another; "" each: not said */
struct transport_version {
	char etag[256], modified[64];
};
/**
 * transport_get_newer() - a whole file, unless it is the one that @version tells of
 * @version: set at success; from the same URL, or all ""
 * 1: it is still that one, and nothing came (304) */
int transport_get_newer(struct transport *transport, const char *url,
			const struct transport_sink *sink, const struct transport_options *options,
			struct transport_version *version, struct error *err);
/**
 * struct transport_part - a file of which the beginning may be here already
 * @version: of that beginning, from the same URL; NULL, or what says nothing: it does not matter which
 * @begins: before the first byte: bytes from @at on come. @at is 0 where the server has another file than @version by
 *          now; 0 or negative errno, as of a sink */
struct transport_part {
	const struct transport_version *version;
	int (*begins)(void *data, int64_t at, const struct transport_version *version,
		      struct error *err);
	void *data;
};
/** transport_get_part() - from @offset to the end, if it is still that file (If-Range); else all of it */
int transport_get_part(struct transport *transport, const char *url, int64_t offset,
		       const struct transport_part *part, const struct transport_sink *sink,
		       const struct transport_options *options, struct error *err);
#define TRANSPORT_MARK_SIZE 128
/**
 * transport_head() - is a file there, and which one is it
 * @ret_size: -1 when the server did not tell
 * @ret_mark: what tells it from another of that size, for comparing only: its Last-Modified, else
 * its ETag, which differs between servers of one tree, else ""
 *
 * Where HEAD is not known one byte is asked for. */
int transport_head(struct transport *transport, const char *url,
		   const struct transport_options *options, int64_t *ret_size,
		   char ret_mark[static TRANSPORT_MARK_SIZE], struct error *err);
/**
 * transport_download() - a whole file into @fd, from its start; what was there before is cut off
 * @size: bytes it must have, or -1: not known (then @options->size_max bounds it)
 *
 * -EBADMSG also for another size than @size. -ENOSPC and the like: BLAME_US */
int transport_download(struct transport *transport, const char *url, int fd, int64_t size,
		       const struct transport_options *options, char ret_sha256[DIGEST_HEX_SIZE],
		       struct error *err);

/* ---- once more --------------------------------------------------------- */

/**
 * struct transport_tries - a call that is repeated when it fails on the way
 * @limit_ms: time_monotonic_ms() at which no other try begins; 0: none
 * @pause_ms: before the next one; it doubles up to @pause_max_ms
 * @most: tries; 0: as many as the time allows
 * @made: so many; the caller counts */
struct transport_tries {
	int64_t limit_ms, pause_ms, pause_max_ms;
	unsigned int most, made;
};
/** transport_may_pass() - is @r, of a call above, a failure that may pass by itself? Connection
 * errors, time-outs, 408, 429 and 5xx */
bool transport_may_pass(int r, const struct error *err);
/** transport_pause() - how long to wait before the next try, less a random part of up to half: many
 * who were refused at once do not come back at once. -1: there is none */
int64_t transport_pause(struct transport_tries *tries);
/** transport_rest() - wait that long; false: there is no time left then */
bool transport_rest(const struct transport_tries *tries, int64_t pause_ms);
