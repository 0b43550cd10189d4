/* SPDX-License-Identifier: MIT */
/* resolver/fetch/http.c: exchanges with servers, by libcurl.
 *
 * Each exchange sets every option anew; what stays in the handle between them is the connection.
 * What comes is judged in http_answer.c.
 *
 * Where places are given each hop of a redirect is an exchange of its own, judged before it; else
 * libcurl follows. */
#include "resolver/fetch/http.h"

#define CONNECT_MS 30000
#define STALL_MS 60000
#define STALL_BYTES 64 /* a second; slower is standing still */
#define BUFFER_BYTES (64 * 1024)
#define BUFFER_LEAST 1024 /* that libcurl takes */
#define USER_AGENT "odcsfs/" ODCSFS_VERSION

struct http {
	struct transport transport;
	CURL *curl;
	char *ca, *proxy;
	const char *proxy_key;
	int64_t connect_ms, stall_ms, rate_max;
	const struct transport_places *places;
};

/* ---- one exchange ---- */

/* A rate is kept over what libcurl reads at a time: up to a hundred buffers. */
static long buffer_bytes(const struct http *http)
{
	const int64_t wanted = http->rate_max / 100;

	if (!http->rate_max || wanted > BUFFER_BYTES)
		return BUFFER_BYTES;
	return wanted > BUFFER_LEAST ? (long)wanted : BUFFER_LEAST;
}

/* Is each redirect looked at before it is followed? */
static bool by_hops(const struct http *http, const struct transfer *transfer)
{
	return http->places || transfer->options.same_host;
}

static bool takes_ftp(const struct http *http)
{
	return http->places && !http->places->own;
}

static void set_connection(const struct http *http, struct exchange *exchange)
{
	const struct transport_options *options = &exchange->transfer->options;
	int64_t stall_ms = options->stall_ms ? options->stall_ms : http->stall_ms;
	const char *url = exchange->url;
	CURL *curl = http->curl;

	(void)curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR,
			       takes_ftp(http) ? "http,https,ftp" : "http,https");
	(void)curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR,
			       starts_with(url, "https:") ? "https" : "http,https");
	(void)curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION,
			       by_hops(http, exchange->transfer) ? 0L : 1L);
	/* a connection that is kept was allowed for another URL */
	(void)curl_easy_setopt(curl, CURLOPT_FRESH_CONNECT,
			       exchange->places && !exchange->listed ? 1L : 0L);
	(void)curl_easy_setopt(curl, CURLOPT_MAX_RECV_SPEED_LARGE, (curl_off_t)http->rate_max);
	(void)curl_easy_setopt(curl, CURLOPT_MAXREDIRS, (long)HTTP_REDIRECTS_MAX);
	(void)curl_easy_setopt(curl, CURLOPT_POSTREDIR, CURL_REDIR_POST_ALL);
	(void)curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	(void)curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
	(void)curl_easy_setopt(curl, CURLOPT_TCP_KEEPALIVE, 1L);
	(void)curl_easy_setopt(curl, CURLOPT_MAXCONNECTS, 1L);
	(void)curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)http->connect_ms);
	(void)curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT,
			       (long)(options->rate ? options->rate : STALL_BYTES));
	(void)curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, (long)((stall_ms + 999) / 1000));
	(void)curl_easy_setopt(curl, CURLOPT_BUFFERSIZE, buffer_bytes(http));
	(void)curl_easy_setopt(curl, CURLOPT_USERAGENT, USER_AGENT);
	(void)curl_easy_setopt(curl, CURLOPT_NOBODY, exchange->transfer->head ? 1L : 0L);
	(void)curl_easy_setopt(curl, CURLOPT_MAXFILESIZE_LARGE,
			       http_is_ranged(exchange->transfer) || exchange->transfer->head
				       ? (curl_off_t)0
				       : (curl_off_t)options->size_max);
}

/* What may fail for want of memory, or because this libcurl does not have it: never left out. */
static CURLcode set_strings(const struct http *http, const struct exchange *exchange,
			    const struct curl_slist *headers)
{
	const struct transfer *transfer = exchange->transfer;
	CURL *curl = http->curl;
	CURLcode code = curl_easy_setopt(curl, CURLOPT_URL, exchange->url);
	char range[64];

	if (code == CURLE_OK) /* "": none; unset would mean the environment's */
		code = curl_easy_setopt(curl, CURLOPT_PROXY, http->proxy ? http->proxy : "");
	if (code == CURLE_OK)
		code = curl_easy_setopt(curl, CURLOPT_NOPROXY, "");
	if (code == CURLE_OK && http->ca)
		code = curl_easy_setopt(curl, CURLOPT_CAINFO, http->ca);
	if (code == CURLE_OK && http->ca)
		code = curl_easy_setopt(curl, CURLOPT_CAPATH, NULL);
	if (code == CURLE_OK && transfer->inflate)
		code = curl_easy_setopt(curl, CURLOPT_ACCEPT_ENCODING, "gzip, deflate");
	if (code == CURLE_OK && http_is_ranged(transfer)) {
		int n = snprintf(range, sizeof(range), "%" PRId64 "-", transfer->offset);

		if (transfer->length >= 0)
			(void)snprintf(range + n, sizeof(range) - (size_t)n, "%" PRId64,
				       transfer->offset + transfer->length - 1);
		code = curl_easy_setopt(curl, CURLOPT_RANGE, range);
	}
	if (code == CURLE_OK && transfer->body) {
		code = curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE,
					(curl_off_t)transfer->body_length);
		if (code == CURLE_OK)
			code = curl_easy_setopt(curl, CURLOPT_POSTFIELDS, transfer->body);
	}
	if (code == CURLE_OK)
		code = curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	return code;
}

/* @headers is freed when there is no memory for one more. */
static struct curl_slist *add_header(struct curl_slist *headers, const char *name,
				     const char *value)
{
	_cleanup_(text_done) struct text line = { 0 };
	struct curl_slist *more;

	(void)text_addf(&line, "%s: %s", name, value);
	more = line.failed ? NULL : curl_slist_append(headers, line.data);
	if (!more)
		curl_slist_free_all(headers);
	return more;
}

static struct curl_slist *make_headers(const struct transfer *transfer)
{
	const struct transport_version *version = transfer->version;
	struct curl_slist *headers;

	if (!transfer->inflate) {
		headers = curl_slist_append(NULL, "Accept-Encoding: identity");
		return headers && http_if_range(transfer)
			       ? add_header(headers, "If-Range", http_if_range(transfer))
			       : headers;
	}
	headers = curl_slist_append(NULL, "Expect:"); /* no question before a large body */
	if (headers && transfer->body)
		headers = add_header(headers, "Content-Type",
				     transfer->options.type ? transfer->options.type
							    : "application/octet-stream");
	if (headers && version && version->etag[0])
		headers = add_header(headers, "If-None-Match", version->etag);
	if (headers && version && version->modified[0])
		headers = add_header(headers, "If-Modified-Since", version->modified);
	return headers;
}

static int one_hop(struct http *http, struct exchange *exchange, const struct curl_slist *headers)
{
	const struct transport_options *options = &exchange->transfer->options;
	int64_t left = 0;
	CURLcode code;

	if (options->deadline_ms) {
		left = options->deadline_ms - time_monotonic_ms();
		if (left <= 0)
			return http_fail(exchange, -ETIMEDOUT, "no time left to ask");
	}
	curl_easy_reset(http->curl);
	set_connection(http, exchange);
	http_hear(exchange);
	(void)curl_easy_setopt(http->curl, CURLOPT_TIMEOUT_MS, (long)left); /* 0: none */
	code = set_strings(http, exchange, headers);
	if (code == CURLE_OK)
		code = curl_easy_perform(http->curl);
	return http_finish(exchange, code);
}

/* Where the answer leads, malloc'ed; NULL: nowhere */
static char *next_hop(const struct http *http)
{
	char *url = NULL;

	(void)curl_easy_getinfo(http->curl, CURLINFO_REDIRECT_URL, &url);
	return url ? strdup(url) : NULL;
}

/* "HOST[:PORT]" of a URL */
static const char *host_of(const char *url, size_t *ret_length)
{
	const char *start = strstr(url, "://"), *at;

	start = start ? start + 3 : url;
	*ret_length = strcspn(start, "/?#\\");
	at = memrchr(start, '@', *ret_length);
	if (at) {
		*ret_length -= (size_t)(at + 1 - start);
		start = at + 1;
	}
	return start;
}

static bool same_host(const char *a, const char *b)
{
	size_t a_length, b_length;
	const char *a_host = host_of(a, &a_length), *b_host = host_of(b, &b_length);

	return a_length == b_length && strncasecmp(a_host, b_host, a_length) == 0;
}

/* Is that a place to go to from @from? */
static int judge_hop(const struct http *http, struct exchange *exchange, const char *from,
		     struct error *err)
{
	char shown[URL_SHOWN_SIZE], to[URL_SHOWN_SIZE];
	int r;

	bool own = http->places && http->places->own &&
		   (!from || same_host(exchange->transfer->url, exchange->url));

	exchange->places = http->places && !http->proxy && !own;
	if (from &&
	    ((!starts_with(exchange->url, "http://") && !starts_with(exchange->url, "https://")) ||
	     (starts_with(from, "https:") && !starts_with(exchange->url, "https:"))))
		return error_set(err, -EBADMSG, BLAME_SOURCE, NULL,
				 "%s: a redirect to %s is not followed", url_shown(from, shown),
				 url_shown(exchange->url, to));
	if (from && exchange->transfer->options.same_host && !same_host(from, exchange->url))
		return error_set(err, -EACCES, BLAME_SOURCE, NULL,
				 "%s: a redirect to another server, %s, is not followed",
				 url_shown(from, shown), url_shown(exchange->url, to));
	if (!http->places || own)
		return 0;
	r = places_judge(http->places, exchange->url, &exchange->listed, err);
	return r < 0 && from
		       ? error_prefix(err, "%s: a redirect is not followed", url_shown(from, shown))
		       : r;
}

/* With places, or on one host only: from hop to hop, each judged */
static int all_hops(struct http *http, const struct exchange *fresh,
		    const struct curl_slist *headers)
{
	_cleanup_(freep) char *url = strdup(fresh->url), *from = NULL;
	struct error *err = fresh->err;

	for (int hops = 0; url; hops++) {
		struct exchange exchange = *fresh;
		char *next;
		int r;

		exchange.url = url;
		r = judge_hop(http, &exchange, from, err);
		if (r < 0)
			return r;
		r = one_hop(http, &exchange, headers);
		next = r < 0 && exchange.refused ? next_hop(http) : NULL;
		if (!next)
			return r;
		if (hops >= HTTP_REDIRECTS_MAX) {
			free(next);
			return http_fail(&exchange, -ELOOP, "more than %d redirects",
					 HTTP_REDIRECTS_MAX);
		}
		if (err)
			*err = (struct error){ 0 };
		free(from);
		from = url;
		url = next;
	}
	return error_oom(err);
}

static int http_transfer(struct transport *transport, struct transfer *transfer, struct error *err)
{
	struct http *http = (struct http *)transport;
	struct exchange exchange = { .curl = http->curl,
				     .transfer = transfer,
				     .url = transfer->url,
				     .proxy = http->proxy ? http->proxy_key : NULL,
				     .wanted = transfer->length,
				     .part = -1,
				     .whole = -1,
				     .err = err };
	struct curl_slist *headers;
	int r;

	if (!starts_with(transfer->url, "http://") && !starts_with(transfer->url, "https://") &&
	    (!takes_ftp(http) || !starts_with(transfer->url, "ftp://")))
		return error_set(err, -EINVAL, BLAME_US, NULL, "not an http or https URL");
	if (transfer->offset < 0 || transfer->length < -1 || transfer->length == 0 ||
	    transfer->length > INT64_MAX - transfer->offset)
		return error_set(err, -EINVAL, BLAME_US, NULL, "no such range");
	headers = make_headers(transfer);
	if (!headers)
		return error_oom(err);
	r = by_hops(http, transfer) ? all_hops(http, &exchange, headers)
				    : one_hop(http, &exchange, headers);
	curl_easy_reset(http->curl); /* it must not keep pointers to what ends here */
	curl_slist_free_all(headers);
	return r;
}

/* ---- the door ---- */

static void http_free(struct transport *transport)
{
	struct http *http = (struct http *)transport;

	curl_easy_cleanup(http->curl);
	free(http->ca);
	free(http->proxy);
	free(http);
}

static const struct transport_ops http_ops = {
	.transfer = http_transfer,
	.free = http_free,
};

int transport_http(const struct transport_network *network, struct transport **ret,
		   struct error *err)
{
	struct http *http;

	/* counted, and safe from any thread; undone by nobody, since others may be at work */
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return error_set(err, -EIO, BLAME_US, NULL, "libcurl cannot be used");
	http = calloc(1, sizeof(*http));
	if (!http)
		return error_oom(err);
	http->transport.ops = &http_ops;
	http->connect_ms = network->connect_ms ? network->connect_ms : CONNECT_MS;
	http->stall_ms = network->stall_ms ? network->stall_ms : STALL_MS;
	http->rate_max = network->rate_max;
	http->places = network->places;
	http->proxy_key = network->proxy_key ? network->proxy_key : "the proxy";
	http->ca = network->ca ? strdup(network->ca) : NULL;
	http->proxy = network->proxy ? strdup(network->proxy) : NULL;
	http->curl = curl_easy_init();
	if (!http->curl || (network->ca && !http->ca) || (network->proxy && !http->proxy)) {
		http_free(&http->transport);
		return error_oom(err);
	}
	*ret = &http->transport;
	return 0;
}
