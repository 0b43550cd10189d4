/* SPDX-License-Identifier: MIT */
/* resolver/fetch/asked.h: files of this machine, opened by another process.
 *
 *   worker: transport_asked() ═► opener: transport_local(), for whom and where the server says
 *
 * One request is one packet of a SOCK_SEQPACKET pair, answered by one: struct open_reply, what it
 * counts, and text; with a descriptor (SCM_RIGHTS) where one was asked for. The opener believes
 * nothing of a request; the worker believes the opener. */
#pragma once

#include "resolver/fetch/fetch.h"

#include <pthread.h>

#define OPEN_REQUEST_MAX (48 * 1024) /* bytes of one request */
#define OPEN_PATHS_MAX 256	     /* paths in it */

enum open_kind {
	OPEN_BASE,  /* the real path of word @base; no path */
	OPEN_FILE,  /* a descriptor; one path, as the next */
	OPEN_NAMES, /* a descriptor, to read the names from, each with a NUL behind it */
	OPEN_STAT,  /* as many struct transport_file as are there, up to the first that is not */
};

/**
 * struct open_request - what a packet says; its strings point into it
 * @id: of the compose
 * @site: the site's own place, not one of the request's
 * @path: @count strings, one behind the other */
struct open_request {
	int64_t id;
	enum open_kind kind;
	bool site;
	const char *base, *path;
	uint32_t count;
};

/** open_request_parse() - -EBADMSG: it makes no sense */
int open_request_parse(const void *bytes, size_t length, struct open_request *ret);
/** open_request_print() - append the packet; -EMSGSIZE: too long */
int open_request_print(const struct open_request *request, struct text *ret);

/**
 * open_answer() - do what @request says, through @transport
 * @refused: NULL, or why it is not to be done
 * @ret_fd: -1, or to be sent along; the caller's. -ENOMEM: there is no answer */
int open_answer(const struct open_request *request, struct transport *transport,
		const struct error *refused, struct text *ret, int *ret_fd);

/** open_answer_base() - the real path in an answer to OPEN_BASE, or NULL */
const char *open_answer_base(const struct text *answer);

/** struct asking - the worker's end, for all its transports; any thread
 * @id: of the compose at hand
 * @lost: the opener is gone */
struct asking {
	int fd;
	pthread_mutex_t lock;
	int64_t id;
	bool lost; /* under lock */
};

/**
 * transport_asked() - files of this machine that the opener opens
 * @asking: borrowed
 * @site: below the site's own places. What this process may open itself it does */
int transport_asked(struct asking *asking, bool site, struct transport **ret, struct error *err);
