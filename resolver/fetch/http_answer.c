/* SPDX-License-Identifier: MIT */
/* resolver/fetch/http_answer.c: what a server answers, judged as it comes.
 *
 * The status is judged when the first byte of the body comes, and at the end when none did: what a
 * server says beside a wrong status never comes to the sink. */
#include "resolver/fetch/http.h"

#include <stdarg.h>
#include <sys/socket.h>

#define HEADERS_MAX (256 * 1024)
#define REFUSED_MAX (64 * 1024) /* of a body nobody wants, read to keep the connection */

/* ---- words ---- */

/* Where the answer came from, after redirects. */
static const char *place(const struct exchange *exchange, char ret[static URL_SHOWN_SIZE])
{
	char *url = NULL;

	(void)curl_easy_getinfo(exchange->curl, CURLINFO_EFFECTIVE_URL, &url);
	return url_shown(url && *url ? url : exchange->transfer->url, ret);
}

int http_fail(struct exchange *exchange, int code, const char *format, ...)
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
		return http_fail(exchange, -EBADMSG,
				 "the server answered %ld without a place to go to", status);
	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (known[i].status == status)
			return http_fail(exchange, known[i].code, "the server answered %ld",
					 status);
	return http_fail(exchange, status >= 500 && status < 600 ? -EIO : -EBADMSG,
			 "the server answered %ld", status);
}

bool http_is_ranged(const struct transfer *transfer)
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
		return http_fail(exchange, -EBADMSG, "a part came, without saying which");
	if (header->value[6 + n] != '*' && sscanf(header->value + 6 + n, "%lld", &size) != 1)
		size = -1;
	if (first != transfer->offset || last < first || (size >= 0 && last >= size) ||
	    (transfer->length >= 0 && last - first >= transfer->length))
		return http_fail(exchange, -EBADMSG, "another part came than the one asked for");
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

const char *http_if_range(const struct transfer *transfer)
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
	if (status == 206 && http_is_ranged(transfer))
		return judge_range(exchange) < 0 ? exchange->r : begin(exchange, transfer->offset);
	if (status == 206)
		return http_fail(exchange, -EBADMSG, "a part came where the whole was asked for");
	exchange->anew = http_is_ranged(transfer) && http_if_range(transfer);
	if (http_is_ranged(transfer) && !exchange->anew)
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
	(void)http_fail(exchange, -EMSGSIZE, "the headers are larger than %d bytes", HEADERS_MAX);
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
		return http_fail(exchange, -EMSGSIZE, "the answer is larger than %" PRId64 " bytes",
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

void http_hear(struct exchange *exchange)
{
	CURL *curl = exchange->curl;

	(void)curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, exchange->words);
	(void)curl_easy_setopt(curl, CURLOPT_OPENSOCKETFUNCTION, on_socket);
	(void)curl_easy_setopt(curl, CURLOPT_OPENSOCKETDATA, exchange);
	(void)curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
	(void)curl_easy_setopt(curl, CURLOPT_HEADERDATA, exchange);
	(void)curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
	(void)curl_easy_setopt(curl, CURLOPT_WRITEDATA, exchange);
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
		return exchange->proxy ? http_fail(exchange, -ETIMEDOUT,
						   "no connection to %s in time", exchange->proxy)
				       : http_fail(exchange, -ETIMEDOUT, "no connection in time");
	/* its clock and ours may differ by a moment */
	if (options->deadline_ms && time_monotonic_ms() + 50 >= options->deadline_ms)
		return http_fail(exchange, -ETIMEDOUT,
				 "no complete answer in time, only %" PRId64 " bytes",
				 exchange->got);
	if (options->rate && exchange->got)
		return http_fail(exchange, -ETIMEDOUT,
				 "the answer comes with less than %" PRId64 " bytes a second",
				 options->rate);
	return http_fail(exchange, -ETIMEDOUT, "the answer does not move");
}

static int fail_connect(struct exchange *exchange)
{
	long number = 0;

	if (exchange->strayed)
		return http_fail(
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
		(void)http_fail(exchange, -EPERM, "this process may not use the network");
		if (exchange->err)
			exchange->err->blame = BLAME_US;
		return exchange->r;
	}
	return http_fail(exchange,
			 number == ETIMEDOUT				   ? -ETIMEDOUT
			 : number == ENETUNREACH || number == EHOSTUNREACH ? -EHOSTUNREACH
									   : -ECONNREFUSED,
			 "no connection%s%s: %s", exchange->proxy ? " to " : "",
			 exchange->proxy ? exchange->proxy : "",
			 number ? strerror((int)number) : "refused");
}

/* The connection ended early, or the proxy did not let us have one. */
static int fail_broken(struct exchange *exchange)
{
	long status = 0;

	(void)curl_easy_getinfo(exchange->curl, CURLINFO_HTTP_CONNECTCODE, &status);
	if (status >= 300)
		return http_fail(exchange, status == 403 || status == 407 ? -EACCES : -ECONNREFUSED,
				 "%s answered %ld", exchange->proxy ? exchange->proxy : "a proxy",
				 status);
	return http_fail(exchange, -ECONNRESET,
			 "the connection broke before the answer was complete");
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
		return http_fail(exchange, -EBADMSG, "the server does not speak HTTP");
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
		return http_fail(exchange, -EMSGSIZE, "a line of the headers is too long");
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
		return http_fail(exchange, -EHOSTUNREACH, "the name of %s is not known",
				 code == CURLE_COULDNT_RESOLVE_PROXY && exchange->proxy
					 ? exchange->proxy
					 : "the host");
	case CURLE_COULDNT_CONNECT:
		return fail_connect(exchange);
	case CURLE_PARTIAL_FILE:
	case CURLE_GOT_NOTHING:
	case CURLE_RECV_ERROR:
	case CURLE_SEND_ERROR:
		return fail_broken(exchange);
	case CURLE_FILESIZE_EXCEEDED:
		return http_fail(exchange, -EMSGSIZE, "the answer is larger than %" PRId64 " bytes",
				 exchange->transfer->options.size_max);
	case CURLE_TOO_MANY_REDIRECTS:
		return http_fail(exchange, -ELOOP, "more than %d redirects", HTTP_REDIRECTS_MAX);
	case CURLE_UNSUPPORTED_PROTOCOL:
		return fail_protocol(exchange);
	case CURLE_REMOTE_FILE_NOT_FOUND:
	case CURLE_FTP_COULDNT_RETR_FILE:
	case CURLE_REMOTE_ACCESS_DENIED:
		return http_fail(exchange, -ENOENT, "the server does not have it");
	case CURLE_LOGIN_DENIED:
		return http_fail(exchange, -EACCES, "the server lets nobody in");
	case CURLE_FTP_BAD_DOWNLOAD_RESUME:
	case CURLE_RANGE_ERROR:
		return http_fail(exchange, -ERANGE, "the server does not know parts of a file");
	case CURLE_SSL_CACERT_BADFILE:
		(void)http_fail(exchange, -EPROTO,
				"the file of trusted certificates cannot be used");
		if (exchange->err)
			exchange->err->blame = BLAME_US;
		return exchange->r;
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_PEER_FAILED_VERIFICATION:
		return http_fail(exchange, -EPROTO, "TLS: %s",
				 exchange->words[0] ? exchange->words : curl_easy_strerror(code));
	default:
		return http_fail(exchange, -EBADMSG, "%s", curl_easy_strerror(code));
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

int http_finish(struct exchange *exchange, CURLcode code)
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
		return http_fail(exchange, -ECONNRESET,
				 "%" PRId64 " bytes of a part came where %" PRId64 " were said",
				 exchange->got, exchange->part);
	if (transfer->ret_same)
		return 0;
	if (transfer->offset > 0 && !exchange->anew && (exchange->skip > 0 || !exchange->got))
		return http_fail(exchange, -ERANGE, "ends before byte %" PRId64, transfer->offset);
	transfer->ret_size = exchange->whole;
	if (transfer->version)
		set_version(exchange, transfer->version);
	set_mark(exchange);
	return 0;
}
