/* SPDX-License-Identifier: MIT */
/* resolver/fetch/http.h: one exchange with a server: asked in http.c, heard in http_answer.c. Of
 * this room only. */
#pragma once

#include "resolver/fetch/transport.h"

#include <curl/curl.h>
#include <strings.h>

#define HTTP_REDIRECTS_MAX 5

/** struct exchange - one transfer while it goes on, or one hop of it */
struct exchange {
	CURL *curl;
	struct transfer *transfer;
	const char *url;   /* of this hop */
	const char *proxy; /* what the configuration calls it; NULL: there is none */
	bool places;	   /* addresses are judged */
	bool listed;	   /* the URL is below a prefix */
	bool strayed;	   /* it has an address that it may not have */
	uint64_t headers;  /* bytes */
	bool judged, refused;
	bool anew;	  /* all of it comes where a part was asked for */
	bool enough;	  /* everything that was asked for has come: the rest is cut off */
	int64_t skip;	  /* bytes to drop first: the server does not know ranges */
	int64_t wanted;	  /* bytes that the sink still wants; -1: all */
	int64_t got;	  /* bytes of the body so far, inflated */
	int64_t part;	  /* bytes that the server said the range has; -1: not said */
	int64_t whole;	  /* size of the file; -1: not said */
	int socket_errno; /* why there is no socket, which libcurl does not tell */
	char words[CURL_ERROR_SIZE];
	int r;
	struct error *err;
};

/** http_hear() - have libcurl, set anew, give it all that comes */
void http_hear(struct exchange *exchange);
/** http_finish() - libcurl ended with @code: 0, or negative errno with words. A status that is none
 * to take the body of is a failure with @refused */
int http_finish(struct exchange *exchange, CURLcode code);
/** http_fail() - @code, with words behind the place that the answer came from; BLAME_SOURCE */
int http_fail(struct exchange *exchange, int code, const char *format, ...) _printf_(3, 4);

bool http_is_ranged(const struct transfer *transfer);
/** http_if_range() - what tells one state of a file from another without a doubt; NULL: nothing
 * does */
const char *http_if_range(const struct transfer *transfer);

static inline bool starts_with(const char *text, const char *word)
{
	return strncasecmp(text, word, strlen(word)) == 0;
}
