/* SPDX-License-Identifier: MIT */
/* resolver/fetch/http.c: exchanges with servers, by libcurl.
 *
 * Each exchange sets every option anew; what stays in the handle between them is the connection.
 * The status is judged when the first byte of the body comes, and at the end when none did: what a
 * server says beside a wrong status never comes to the sink.
 *
 * Where places are given each hop of a redirect is an exchange of its own, judged before it; else
 * libcurl follows. */
#include "resolver/fetch/transport.h"

#include <curl/curl.h>
#include <stdarg.h>
#include <strings.h>
#include <sys/socket.h>

#define CONNECT_MS 30000
#define STALL_MS 60000
#define STALL_BYTES 64 /* a second; slower is standing still */
#define BUFFER_BYTES (64 * 1024)
#define BUFFER_LEAST 1024 /* that libcurl takes */
#define REDIRECTS_MAX 5
#define HEADERS_MAX (256 * 1024)
#define REFUSED_MAX (64 * 1024) /* of a body nobody wants, read to keep the connection */
#define USER_AGENT "odcsfs/" ODCSFS_VERSION

struct http {
	struct transport transport;
	CURL *curl;
	char *ca, *proxy;
	int64_t connect_ms, stall_ms, rate_max;
	const struct transport_places *places;
};

/* struct exchange - one transfer while it goes on */
struct exchange {
	CURL *curl;
	struct transfer *transfer;
	const char *url;  /* of this hop */
	bool places;	  /* addresses are judged */
	bool listed;	  /* the URL is below a prefix */
	bool strayed;	  /* it has an address that it may not have */
	uint64_t headers; /* bytes */
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

static bool starts_with(const char *text, const char *word)
{
	return strncasecmp(text, word, strlen(word)) == 0;
}

/* ---- words ---- */

/* Where the answer came from, after redirects. */
static const char *place(const struct exchange *exchange, char ret[static URL_SHOWN_SIZE])
{
	char *url = NULL;

	(void)curl_easy_getinfo(exchange->curl, CURLINFO_EFFECTIVE_URL, &url);
	return url_shown(url && *url ? url : exchange->transfer->url, ret);
}

static int fail(struct exchange *exchange, int code, const char *format, ...) _printf_(3, 4);
static int fail(struct exchange *exchange, int code, const char *format, ...)
{
	char words[CURL_ERROR_SIZE + 128], shown[URL_SHOWN_SIZE];
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(words, sizeof(words), format, arguments);
	va_end(arguments);
	exchange->r = error_set(exchange->err, code, BLAME_SOURCE, NULL, "%s: %s",
				place(exchange, shown), words);
	return exchange->r;
}

/* ---- the status ---- */

static long status_of(const struct exchange *exchange)
{
	long status = 0;

	(void)curl_easy_getinfo(exchange->curl, CURLINFO_RESPONSE_CODE, &status);
	return status;
}

static int fail_status(struct exchange *exchange, long status)
{
	static const struct {
		long status;
		int code;
	} known[] = {
		{ 401, -EACCES },     { 403, -EACCES },	    { 407, -EACCES }, { 404, -ENOENT },
		{ 410, -ENOENT },     { 408, -ETIMEDOUT },  { 416, -ERANGE }, { 429, -EBUSY },
		{ 405, -EOPNOTSUPP }, { 501, -EOPNOTSUPP },
	};

	if (status >= 300 && status < 400)
		return fail(exchange, -EBADMSG, "the server answered %ld without a place to go to",
			    status);
	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (known[i].status == status)
			return fail(exchange, known[i].code, "the server answered %ld", status);
	return fail(exchange, status >= 500 && status < 600 ? -EIO : -EBADMSG,
		    "the server answered %ld", status);
}

static bool is_ranged(const struct transfer *transfer)
{
	return transfer->offset > 0 || transfer->length >= 0;
}

/* Does "bytes A-B/SIZE" lie where it was asked for? SIZE may be "*". */
static int judge_range(struct exchange *exchange)
{
	const struct transfer *transfer = exchange->transfer;
	struct curl_header *header = NULL;
	long long first = -1, last = -1, size = -1;
	int n = 0;

	if (curl_easy_header(exchange->curl, "Content-Range", 0, CURLH_HEADER, -1, &header) !=
		    CURLHE_OK ||
	    strncasecmp(header->value, "bytes ", 6) != 0 ||
	    sscanf(header->value + 6, " %lld-%lld/%n", &first, &last, &n) != 2 || n == 0)
		return fail(exchange, -EBADMSG, "a part came, without saying which");
	if (header->value[6 + n] != '*' && sscanf(header->value + 6 + n, "%lld", &size) != 1)
		size = -1;
	if (first != transfer->offset || last < first || (size >= 0 && last >= size) ||
	    (transfer->length >= 0 && last - first >= transfer->length))
		return fail(exchange, -EBADMSG, "another part came than the one asked for");
	exchange->part = last - first + 1;
	exchange->whole = size;
	return 0;
}

static void take_header(const struct exchange *exchange, const char *name, char *ret, size_t size)
{
	struct curl_header *header;

	ret[0] = '\0';
	if (curl_easy_header(exchange->curl, name, 0, CURLH_HEADER, -1, &header) == CURLHE_OK &&
	    strlen(header->value) < size)
		(void)snprintf(ret, size, "%s", header->value);
}

static void set_version(const struct exchange *exchange, struct transport_version *version)
{
	take_header(exchange, "ETag", version->etag, sizeof(version->etag));
	take_header(exchange, "Last-Modified", version->modified, sizeof(version->modified));
}

/* What tells one state of a file from another without a doubt; NULL: nothing does */
static const char *if_range(const struct transfer *transfer)
{
	const struct transport_version *version = transfer->part ? transfer->part->version : NULL;

	if (!version || !transfer->offset)
		return NULL;
	if (version->etag[0] && !starts_with(version->etag, "W/"))
		return version->etag;
	return version->modified[0] ? version->modified : NULL;
}

/* The first byte is on its way. */
static int begin(struct exchange *exchange, int64_t at)
{
	const struct transport_part *part = exchange->transfer->part;
	struct transport_version version = { 0 };

	if (!part)
		return 0;
	if (!starts_with(exchange->url, "ftp:"))
		set_version(exchange, &version);
	exchange->r = part->begins(part->data, at, &version, exchange->err);
	return exchange->r;
}

/* FTP has no statuses for bytes that come, and no headers. */
static bool is_ftp(const struct exchange *exchange)
{
	return starts_with(exchange->url, "ftp:");
}

static int judge(struct exchange *exchange)
{
	struct transfer *transfer = exchange->transfer;
	long status = status_of(exchange);
	curl_off_t length = -1;
	struct curl_header *header;

	exchange->judged = true;
	if (is_ftp(exchange))
		return begin(exchange, transfer->offset);
	if (status == 304 && transfer->version &&
	    (transfer->version->etag[0] || transfer->version->modified[0])) {
		transfer->ret_same = true;
		return 0;
	}
	if (status < 200 || status >= 300) {
		exchange->refused = true;
		return 0; /* the words come at the end */
	}
	if (status == 206 && is_ranged(transfer))
		return judge_range(exchange) < 0 ? exchange->r : begin(exchange, transfer->offset);
	if (status == 206)
		return fail(exchange, -EBADMSG, "a part came where the whole was asked for");
	exchange->anew = is_ranged(transfer) && if_range(transfer);
	if (is_ranged(transfer) && !exchange->anew)
		exchange->skip = transfer->offset;
	/* the length of a compressed answer is not that of the file */
	if (curl_easy_header(exchange->curl, "Content-Encoding", 0, CURLH_HEADER, -1, &header) !=
		    CURLHE_OK &&
	    curl_easy_getinfo(exchange->curl, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length) ==
		    CURLE_OK)
		exchange->whole = length;
	return begin(exchange, exchange->anew ? 0 : transfer->offset);
}

/* ---- bytes come ---- */

static curl_socket_t on_socket(void *data, curlsocktype purpose, struct curl_sockaddr *address)
{
	struct exchange *exchange = data;
	int fd = -1;

	(void)purpose;
	errno = EACCES;
	if (exchange->places && !places_address(exchange->url, exchange->listed, &address->addr))
		exchange->strayed = true;
	else
		fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
	exchange->socket_errno = fd < 0 ? errno : 0;
	return fd;
}

static size_t on_header(char *bytes, size_t size, size_t count, void *data)
{
	struct exchange *exchange = data;

	exchange->headers += size * count;
	if (exchange->headers <= HEADERS_MAX)
		return size * count;
	(void)fail(exchange, -EMSGSIZE, "the headers are larger than %d bytes", HEADERS_MAX);
	return 0;
}

static int give(struct exchange *exchange, const char *bytes, int64_t length)
{
	const struct transfer *transfer = exchange->transfer;
	int64_t drop = length < exchange->skip ? length : exchange->skip;

	exchange->skip -= drop;
	bytes += drop;
	length -= drop;
	if (exchange->wanted >= 0 && length > exchange->wanted)
		length = exchange->wanted;
	if (length > transfer->options.size_max - exchange->got)
		return fail(exchange, -EMSGSIZE, "the answer is larger than %" PRId64 " bytes",
			    transfer->options.size_max);
	exchange->got += length;
	if (exchange->wanted >= 0)
		exchange->wanted -= length;
	if (length > 0)
		exchange->r = transfer->sink.take(transfer->sink.data, bytes, (size_t)length,
						  exchange->err);
	return exchange->r;
}

static size_t on_body(char *bytes, size_t size, size_t count, void *data)
{
	struct exchange *exchange = data;
	size_t length = size * count;

	if (!exchange->judged && judge(exchange) < 0)
		return 0;
	if (exchange->refused) {
		exchange->got += (int64_t)length;
		return exchange->got <= REFUSED_MAX ? length : 0;
	}
	if (give(exchange, bytes, (int64_t)length) < 0)
		return 0;
	if (exchange->wanted == 0 && status_of(exchange) != 206) {
		exchange->enough = true; /* ranges are not known: do not read on to the end */
		return 0;
	}
	return length;
}

/* ---- how it ended ---- */

static int fail_timeout(struct exchange *exchange)
{
	const struct transport_options *options = &exchange->transfer->options;
	curl_off_t connected = 0, sent = 0;

	/* one that was kept open since the last exchange took no time */
	(void)curl_easy_getinfo(exchange->curl, CURLINFO_CONNECT_TIME_T, &connected);
	(void)curl_easy_getinfo(exchange->curl, CURLINFO_PRETRANSFER_TIME_T, &sent);
	if (connected == 0 && sent == 0)
		return fail(exchange, -ETIMEDOUT, "no connection in time");
	/* its clock and ours may differ by a moment */
	if (options->deadline_ms && time_monotonic_ms() + 50 >= options->deadline_ms)
		return fail(exchange, -ETIMEDOUT,
			    "no complete answer in time, only %" PRId64 " bytes", exchange->got);
	if (options->rate && exchange->got)
		return fail(exchange, -ETIMEDOUT,
			    "the answer comes with less than %" PRId64 " bytes a second",
			    options->rate);
	return fail(exchange, -ETIMEDOUT, "the answer does not move");
}

static int fail_connect(struct exchange *exchange)
{
	long number = 0;

	if (exchange->strayed)
		return fail(
			exchange, -EACCES,
			exchange->listed
				? "the name leads to this machine or this network link, which "
				  "only a URL with the address itself may"
				: "the name leads to an address that is not public, and the URL "
				  "is not below one that [repo] allowed names");
	(void)curl_easy_getinfo(exchange->curl, CURLINFO_OS_ERRNO, &number);
	if (exchange->socket_errno)
		number = exchange->socket_errno;
	if (number == EPERM || number == EACCES) {
		(void)fail(exchange, -EPERM, "this process may not use the network");
		if (exchange->err)
			exchange->err->blame = BLAME_US;
		return exchange->r;
	}
	return fail(exchange,
		    number == ETIMEDOUT				      ? -ETIMEDOUT
		    : number == ENETUNREACH || number == EHOSTUNREACH ? -EHOSTUNREACH
								      : -ECONNREFUSED,
		    "no connection: %s", number ? strerror((int)number) : "refused");
}

/* The connection ended early, or the proxy did not let us have one. */
static int fail_broken(struct exchange *exchange)
{
	long status = 0;

	(void)curl_easy_getinfo(exchange->curl, CURLINFO_HTTP_CONNECTCODE, &status);
	if (status >= 300)
		return fail(exchange, status == 403 || status == 407 ? -EACCES : -ECONNREFUSED,
			    "the proxy answered %ld", status);
	return fail(exchange, -ECONNRESET, "the connection broke before the answer was complete");
}

/* libcurl will not go where it was sent, or what it found there is no HTTP. */
static int fail_protocol(struct exchange *exchange)
{
	const char *url = exchange->url;
	char shown[URL_SHOWN_SIZE], to[URL_SHOWN_SIZE];
	long redirects = 0;
	char *now = NULL;

	(void)curl_easy_getinfo(exchange->curl, CURLINFO_REDIRECT_COUNT, &redirects);
	(void)curl_easy_getinfo(exchange->curl, CURLINFO_EFFECTIVE_URL, &now);
	if (redirects == 0 || !now || starts_with(now, "https://") ||
	    (starts_with(now, "http://") && starts_with(url, "http://")))
		return fail(exchange, -EBADMSG, "the server does not speak HTTP");
	exchange->r = error_set(exchange->err, -EBADMSG, BLAME_SOURCE, NULL,
				"%s: a redirect to %s is not followed", url_shown(url, shown),
				url_shown(now, to));
	return exchange->r;
}

/* A line of the headers beyond its bound, libcurl says, is no memory. */
static int fail_memory(struct exchange *exchange)
{
	curl_off_t begun = 0;

	(void)curl_easy_getinfo(exchange->curl, CURLINFO_STARTTRANSFER_TIME_T, &begun);
	if (begun > 0 && !exchange->judged)
		return fail(exchange, -EMSGSIZE, "a line of the headers is too long");
	return error_oom(exchange->err);
}

static int fail_curl(struct exchange *exchange, CURLcode code)
{
	switch (code) {
	case CURLE_OUT_OF_MEMORY:
		return fail_memory(exchange);
	case CURLE_OPERATION_TIMEDOUT:
		return fail_timeout(exchange);
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_RESOLVE_PROXY:
		return fail(exchange, -EHOSTUNREACH, "the name of the %s is not known",
			    code == CURLE_COULDNT_RESOLVE_HOST ? "host" : "proxy");
	case CURLE_COULDNT_CONNECT:
		return fail_connect(exchange);
	case CURLE_PARTIAL_FILE:
	case CURLE_GOT_NOTHING:
	case CURLE_RECV_ERROR:
	case CURLE_SEND_ERROR:
		return fail_broken(exchange);
	case CURLE_FILESIZE_EXCEEDED:
		return fail(exchange, -EMSGSIZE, "the answer is larger than %" PRId64 " bytes",
			    exchange->transfer->options.size_max);
	case CURLE_TOO_MANY_REDIRECTS:
		return fail(exchange, -ELOOP, "more than %d redirects", REDIRECTS_MAX);
	case CURLE_UNSUPPORTED_PROTOCOL:
		return fail_protocol(exchange);
	case CURLE_REMOTE_FILE_NOT_FOUND:
	case CURLE_FTP_COULDNT_RETR_FILE:
	case CURLE_REMOTE_ACCESS_DENIED:
		return fail(exchange, -ENOENT, "the server does not have it");
	case CURLE_LOGIN_DENIED:
		return fail(exchange, -EACCES, "the server lets nobody in");
	case CURLE_FTP_BAD_DOWNLOAD_RESUME:
	case CURLE_RANGE_ERROR:
		return fail(exchange, -ERANGE, "the server does not know parts of a file");
	case CURLE_SSL_CACERT_BADFILE:
		(void)fail(exchange, -EPROTO, "the file of trusted certificates cannot be used");
		if (exchange->err)
			exchange->err->blame = BLAME_US;
		return exchange->r;
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_PEER_FAILED_VERIFICATION:
		return fail(exchange, -EPROTO, "TLS: %s",
			    exchange->words[0] ? exchange->words : curl_easy_strerror(code));
	default:
		return fail(exchange, -EBADMSG, "%s", curl_easy_strerror(code));
	}
}

static void set_mark(const struct exchange *exchange)
{
	static const char *const names[] = { "Last-Modified", "ETag" };
	struct curl_header *header;

	for (size_t i = 0; i < ARRAY_SIZE(names) && !exchange->transfer->ret_mark[0]; i++)
		if (curl_easy_header(exchange->curl, names[i], 0, CURLH_HEADER, -1, &header) ==
		    CURLHE_OK)
			(void)snprintf(exchange->transfer->ret_mark, TRANSPORT_MARK_SIZE, "%s",
				       header->value);
}

static int finish(struct exchange *exchange, CURLcode code)
{
	struct transfer *transfer = exchange->transfer;

	if (exchange->r == 0 && !exchange->judged && code == CURLE_OK)
		(void)judge(exchange);
	if (exchange->r < 0)
		return exchange->r;
	if (exchange->refused && (code == CURLE_OK || code == CURLE_WRITE_ERROR))
		return fail_status(exchange, status_of(exchange));
	if (code != CURLE_OK && !exchange->enough)
		return fail_curl(exchange, code);
	if (exchange->part >= 0 && exchange->got != exchange->part)
		return fail(exchange, -ECONNRESET,
			    "%" PRId64 " bytes of a part came where %" PRId64 " were said",
			    exchange->got, exchange->part);
	if (transfer->ret_same)
		return 0;
	if (transfer->offset > 0 && !exchange->anew && (exchange->skip > 0 || !exchange->got))
		return fail(exchange, -ERANGE, "ends before byte %" PRId64, transfer->offset);
	transfer->ret_size = exchange->whole;
	if (transfer->version)
		set_version(exchange, transfer->version);
	set_mark(exchange);
	return 0;
}

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
	(void)curl_easy_setopt(curl, CURLOPT_MAXREDIRS, (long)REDIRECTS_MAX);
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
	(void)curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, exchange->words);
	(void)curl_easy_setopt(curl, CURLOPT_OPENSOCKETFUNCTION, on_socket);
	(void)curl_easy_setopt(curl, CURLOPT_OPENSOCKETDATA, exchange);
	(void)curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
	(void)curl_easy_setopt(curl, CURLOPT_HEADERDATA, exchange);
	(void)curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
	(void)curl_easy_setopt(curl, CURLOPT_WRITEDATA, exchange);
	(void)curl_easy_setopt(curl, CURLOPT_NOBODY, exchange->transfer->head ? 1L : 0L);
	(void)curl_easy_setopt(curl, CURLOPT_MAXFILESIZE_LARGE,
			       is_ranged(exchange->transfer) || exchange->transfer->head
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
	if (code == CURLE_OK && is_ranged(transfer)) {
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
		return headers && if_range(transfer)
			       ? add_header(headers, "If-Range", if_range(transfer))
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
			return fail(exchange, -ETIMEDOUT, "no time left to ask");
	}
	curl_easy_reset(http->curl);
	set_connection(http, exchange);
	(void)curl_easy_setopt(http->curl, CURLOPT_TIMEOUT_MS, (long)left); /* 0: none */
	code = set_strings(http, exchange, headers);
	if (code == CURLE_OK)
		code = curl_easy_perform(http->curl);
	return finish(exchange, code);
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
		if (hops >= REDIRECTS_MAX) {
			free(next);
			return fail(&exchange, -ELOOP, "more than %d redirects", REDIRECTS_MAX);
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
