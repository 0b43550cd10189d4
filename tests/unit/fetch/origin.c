/* SPDX-License-Identifier: MIT */
/* tests/unit/fetch/origin.c: a server on a loopback port that does what no server should. */
#include "tests/unit/fetch/origin.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>

struct request {
	const struct origin *origin;
	int fd;
	struct text all; /* head and body */
	size_t head;
	char path[256];
};

static void nap(int ms)
{
	struct timespec time = { .tv_sec = ms / 1000, .tv_nsec = (ms % 1000) * 1000000L };

	(void)nanosleep(&time, NULL);
}

/* false: the client is gone */
static bool put(const struct request *request, const void *bytes, size_t length)
{
	const char *at = bytes;

	while (length > 0) {
		ssize_t n = send(request->fd, at, length, MSG_NOSIGNAL);

		if (n <= 0)
			return false;
		at += n;
		length -= (size_t)n;
	}
	return true;
}

static bool puts_(const struct request *request, const char *words)
{
	return put(request, words, strlen(words));
}

static bool is_head(const struct request *request)
{
	return strncmp(request->all.data, "HEAD ", 5) == 0;
}

static void answer(const struct request *request, const char *head, const void *body, size_t length)
{
	struct text text = { 0 };

	(void)text_addf(&text, "HTTP/1.1 %s\r\nContent-Length: %zu\r\n\r\n", head, length);
	if (!is_head(request))
		(void)text_add(&text, body, length);
	(void)put(request, text.data, text.length);
	text_done(&text);
}

/* 1: a whole request; 0: the client is gone */
static bool read_request(struct request *request)
{
	char *end = NULL, *length;
	size_t want = 0;
	ssize_t n;

	text_clear(&request->all);
	while (!end || request->all.length < request->head + want) {
		(void)text_reserve(&request->all, 65536);
		n = recv(request->fd, request->all.data + request->all.length, 65536, 0);
		if (n <= 0)
			return false;
		request->all.length += (size_t)n;
		request->all.data[request->all.length] = '\0';
		end = end ? end : strstr(request->all.data, "\r\n\r\n");
		if (end && !request->head) {
			request->head = (size_t)(end + 4 - request->all.data);
			length = strcasestr(request->all.data, "\r\nContent-Length: ");
			want = length ? strtoul(length + 18, NULL, 10) : 0;
		}
	}
	return sscanf(request->all.data, "%*s %255[^ ?]", request->path) == 1;
}

/* ---- answers ---- */

static void data_bytes(uint8_t bytes[ORIGIN_DATA_SIZE])
{
	for (int i = 0; i < ORIGIN_DATA_SIZE; i++)
		bytes[i] = (uint8_t)(i % 251);
}

static void answer_data(const struct request *request, const char *kind)
{
	const char *range = strcasestr(request->all.data, "\r\nRange: bytes=");
	long first = 0, last = ORIGIN_DATA_SIZE - 1;
	uint8_t bytes[ORIGIN_DATA_SIZE];
	char head[256];

	data_bytes(bytes);
	if (range)
		(void)sscanf(range + 15, "%ld-%ld", &first, &last);
	if (last >= ORIGIN_DATA_SIZE)
		last = ORIGIN_DATA_SIZE - 1;
	if (!range || !strcmp(kind, "-norange"))
		return answer(request, "200 OK", bytes, sizeof(bytes));
	if (first >= ORIGIN_DATA_SIZE)
		return answer(request, "416 Range Not Satisfiable", "", 0);
	if (!strcmp(kind, "-silent"))
		return answer(request, "206 Partial Content", bytes + first,
			      (size_t)(last - first + 1));
	(void)snprintf(head, sizeof(head), "206 Partial Content\r\nContent-Range: bytes %ld-%ld/%d",
		       first + !strcmp(kind, "-other"), last, ORIGIN_DATA_SIZE);
	if (!strcmp(kind, "-cut"))
		last -= (last - first) / 2;
	answer(request, head, bytes + first, (size_t)(last - first + 1));
}

/* gzip of @size zeros, or of "hello" when 0 */
static void compress_into(struct text *text, uint64_t size)
{
	static uint8_t zeros[1 << 20], out[1 << 16];
	z_stream stream = { 0 };
	int r = Z_OK;

	(void)deflateInit2(&stream, 9, Z_DEFLATED, 15 + 16, 9, Z_DEFAULT_STRATEGY);
	while (r != Z_STREAM_END) {
		if (!stream.avail_in && size) {
			stream.next_in = zeros;
			stream.avail_in = size < sizeof(zeros) ? (unsigned int)size : sizeof(zeros);
			size -= stream.avail_in;
		} else if (!stream.avail_in && !stream.total_in) {
			stream.next_in = (uint8_t *)(uintptr_t) "hello";
			stream.avail_in = 5;
		}
		stream.next_out = out;
		stream.avail_out = sizeof(out);
		r = deflate(&stream, size ? Z_NO_FLUSH : Z_FINISH);
		(void)text_add(text, out, sizeof(out) - stream.avail_out);
	}
	(void)deflateEnd(&stream);
}

static void answer_gzip(const struct request *request, uint64_t size, bool half)
{
	struct text text = { 0 };

	compress_into(&text, size);
	answer(request, "200 OK\r\nContent-Encoding: gzip", text.data,
	       half ? text.length / 2 : text.length);
	text_done(&text);
}

static void redirect(const struct request *request, const char *to)
{
	char head[512];

	(void)snprintf(head, sizeof(head), "302 Found\r\nLocation: %s", to);
	answer(request, head, "moved", 5);
}

static void endless(const struct request *request, const char *words, int pause_ms)
{
	while (puts_(request, words))
		if (pause_ms)
			nap(pause_ms);
}

static bool answer_oddly(const struct request *request)
{
	static const char length_100[] = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n";
	const char *path = request->path;
	struct linger linger = { .l_onoff = 1 };

	if (!strcmp(path, "/drip")) {
		(void)puts_(request, "HTTP/1.1 200 OK\r\n\r\n");
		endless(request, "x", 20);
	} else if (!strcmp(path, "/stall")) {
		(void)puts_(request, length_100);
		(void)puts_(request, "ten bytes.");
		nap(20000);
	} else if (!strcmp(path, "/reset")) {
		(void)puts_(request, length_100);
		(void)puts_(request, "ten bytes.");
		nap(50);
		(void)setsockopt(request->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	} else if (!strcmp(path, "/short")) {
		(void)puts_(request, length_100);
		(void)puts_(request, "ten bytes.");
	} else if (!strcmp(path, "/long")) {
		(void)puts_(request, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello and more");
	} else if (!strcmp(path, "/headers")) {
		(void)puts_(request, "HTTP/1.1 200 OK\r\n");
		endless(request, "X-Header: and another one, and then another one\r\n", 0);
	} else if (!strcmp(path, "/long-header")) {
		(void)puts_(request, "HTTP/1.1 200 OK\r\nX-Long: ");
		endless(request, "and on and on and on and on and on ", 0);
	} else if (!strcmp(path, "/hundreds")) {
		endless(request, "HTTP/1.1 100 Continue\r\n\r\n", 0);
	} else if (!strcmp(path, "/old")) {
		(void)puts_(request, "just text\n");
	} else if (!strcmp(path, "/garbage")) {
		(void)puts_(request, "HTTP/1.1 abc def\r\n\x01\x02\x03\r\n\r\n");
	} else if (!strcmp(path, "/huge")) {
		(void)puts_(request, "HTTP/1.1 200 OK\r\nContent-Length: 1099511627776\r\n\r\n");
		endless(request, "and on and on and on and on and on ", 0);
	} else if (!strcmp(path, "/big")) {
		(void)puts_(request, "HTTP/1.1 200 OK\r\n\r\n");
		endless(request, "and on and on and on and on and on ", 0);
	} else if (!strcmp(path, "/bad-chunks")) {
		(void)puts_(request, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
				     "5\r\nhello\r\nxyz\r\n");
	} else {
		return false;
	}
	return true;
}

/* false: the connection is to be closed */
static bool answer_one(const struct request *request)
{
	const char *path = request->path;
	char place[64];

	if (!strncmp(request->all.data, "CONNECT ", 8)) {
		answer(request, "407 Proxy Authentication Required", "", 0);
	} else if (*path != '/') {
		(void)snprintf(place, sizeof(place), "proxied %.40s", path + strlen("http://"));
		answer(request, "200 OK", place, strcspn(place, "/"));
	} else if (!strcmp(path, "/ok") || !strcmp(path, "/hop/0")) {
		answer(request, "200 OK", "hello", 5);
	} else if (!strcmp(path, "/slow")) {
		nap(3000);
		answer(request, "200 OK", "hello", 5);
	} else if (!strcmp(path, "/echo")) {
		answer(request, "200 OK", request->all.data, request->all.length);
	} else if (!strncmp(path, "/status/", 8)) {
		answer(request, path + 8, "unwanted words", 14);
	} else if (!strncmp(path, "/hop/", 5)) {
		(void)snprintf(place, sizeof(place), "/hop/%ld", strtol(path + 5, NULL, 10) - 1);
		redirect(request, place);
	} else if (!strncmp(path, "/to/", 4)) {
		redirect(request, path + 4);
	} else if (!strcmp(path, "/nowhere")) {
		answer(request, "302 Found", "", 0);
	} else if (!strcmp(path, "/marked")) {
		answer(request,
		       "200 OK\r\nETag: \"5f\"\r\nLast-Modified: Mon, 23 Nov 2026 06:19:22 GMT",
		       "hello", 5);
	} else if (!strcmp(path, "/tagged")) {
		answer(request, "200 OK\r\nETag: \"5f\"", "hello", 5);
	} else if (!strcmp(path, "/data-nohead") && is_head(request)) {
		answer(request, "405 Method Not Allowed", "", 0);
	} else if (!strncmp(path, "/data", 5)) {
		answer_data(request, path + 5);
	} else if (!strcmp(path, "/gzip")) {
		answer_gzip(request, 0, false);
	} else if (!strcmp(path, "/bomb")) {
		answer(request, "200 OK\r\nContent-Encoding: gzip", request->origin->bomb.data,
		       request->origin->bomb.length);
	} else if (!strcmp(path, "/truncated")) {
		answer_gzip(request, UINT64_C(1) << 20, true);
	} else if (!strcmp(path, "/chunks")) {
		(void)puts_(request, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
				     "2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n");
	} else if (answer_oddly(request)) {
		return false;
	} else {
		answer(request, "404 Not Found", "no", 2);
	}
	return true;
}

/* ---- the process ---- */

static void serve_one(struct origin *origin, int fd)
{
	struct request request = { .origin = origin, .fd = fd };

	while (read_request(&request)) {
		__atomic_add_fetch(&origin->seen->requests, 1, __ATOMIC_SEQ_CST);
		if (!answer_one(&request))
			break;
		request.head = 0;
	}
	(void)close(fd);
	text_done(&request.all);
}

static void serve(struct origin *origin, int listener)
{
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)signal(SIGCHLD, SIG_IGN);
	for (;;) {
		int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

		if (fd < 0)
			continue;
		__atomic_add_fetch(&origin->seen->connections, 1, __ATOMIC_SEQ_CST);
		if (fork() == 0) {
			(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
			(void)close(listener);
			serve_one(origin, fd);
			_exit(0);
		}
		(void)close(fd);
	}
}

void origin_start(struct origin *origin)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	origin->seen = mmap(NULL, sizeof(*origin->seen), PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (listener < 0 || origin->seen == MAP_FAILED ||
	    bind(listener, (struct sockaddr *)&address, size) < 0 || listen(listener, 64) < 0 ||
	    getsockname(listener, (struct sockaddr *)&address, &size) < 0) {
		perror("origin");
		exit(1);
	}
	origin->port = ntohs(address.sin_port);
	origin->bomb = (struct text){ 0 };
	compress_into(&origin->bomb, UINT64_C(64) << 20); /* now: who asks does not wait for it */
	origin->pid = fork();
	if (origin->pid == 0)
		serve(origin, listener);
	(void)close(listener);
}

void origin_stop(struct origin *origin)
{
	(void)kill(origin->pid, SIGKILL);
	(void)waitpid(origin->pid, NULL, 0);
	(void)munmap(origin->seen, sizeof(*origin->seen));
	text_done(&origin->bomb);
}
