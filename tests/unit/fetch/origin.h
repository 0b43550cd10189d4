/* SPDX-License-Identifier: MIT */
/* tests/unit/fetch/origin.h: a server on a loopback port that does what no server should. */
#pragma once

#include "core/base/base.h"

#define ORIGIN_DATA_SIZE 1000 /* of /data…: byte i is i % 251 */

/** struct origin - a child process; the counts are shared with it */
struct origin {
	pid_t pid;
	int port;
	struct text bomb;
	struct {
		unsigned int connections, requests;
	} * seen;
};

/* clang-format off */
/** origin_start() - from here on it answers; each connection in a process of its own
 *
 *   /ok /echo             "hello", what was asked (head and body)
 *   /status/N /hop/N      that status with a body; N redirects, then /ok
 *   /to/URL /nowhere      a redirect there; one without a place
 *   /slow /drip /stall    waits 3 s; a byte each 20 ms; a part, then silence
 *   /reset /short /long   breaks midway; less, more than Content-Length says
 *   /data /data-norange /data-other /data-silent /data-cut
 *                         ranges: known; ignored; another one; 206 that says nothing; one that ends early
 *   /data-nohead          HEAD is not known
 *   /marked /tagged       Last-Modified and ETag; an ETag
 *   /gzip /bomb /truncated              compressed; 64 MiB of nothing; half of it
 *   /headers /long-header /hundreds     endless small ones; an endless one; endless 100 Continue
 *   /old /garbage /huge /big /chunks /bad-chunks
 *
 * As a proxy it answers "proxied HOST", and CONNECT with 407. */
/* clang-format on */
void origin_start(struct origin *origin);
void origin_stop(struct origin *origin);
