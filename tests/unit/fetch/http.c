/* SPDX-License-Identifier: MIT */
/* tests/unit/fetch/http.c: answers of a server that behaves, and of one that does not. */
#include "resolver/fetch/fetch.h"
#include "tests/unit/fetch/origin.h"
#include "tests/unit/test.h"

#include <pthread.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

static struct origin origin;
static const struct transport_network quick = { .connect_ms = 2000, .stall_ms = 1000 };

/* struct got - what came; refuses with -ENOMSG once there is more than @limit */
struct got {
	struct text text;
	size_t limit, calls;
};

static int take(void *data, const void *bytes, size_t length, struct error *err)
{
	struct got *got = data;

	got->calls++;
	(void)text_add(&got->text, bytes, length);
	if (got->limit && got->text.length > got->limit)
		return error_set(err, -ENOMSG, BLAME_SOURCE, NULL, "that is enough");
	return 0;
}

static struct transport *make(const struct transport_network *network)
{
	struct transport *transport = NULL;
	struct error err = { 0 };

	CHECK_INT(transport_http(network, &transport, &err), 0);
	return transport;
}

static const char *url_of(const char *path)
{
	static _Thread_local char url[4][512];
	static _Thread_local int next;
	char *place = url[next++ % 4];

	(void)snprintf(place, 512, "http://127.0.0.1:%d%s", origin.port, path);
	return place;
}

static int get(struct transport *transport, const char *path, struct got *got, struct error *err)
{
	struct transport_sink sink = { take, got };
	struct transport_options options = { .deadline_ms = time_monotonic_ms() + 10000,
					     .size_max = 1 << 20 };

	text_clear(&got->text);
	(void)text_reserve(&got->text, 0); /* "" rather than NULL */
	*err = (struct error){ 0 };
	return transport_get(transport, *path == '/' ? url_of(path) : path, 0, -1, &sink, &options,
			     NULL, err);
}

/* ---- what works ---- */

static void test_get(void)
{
	_cleanup_(transport_freep) struct transport *transport = make(&quick);
	_cleanup_(text_done) struct text words = { 0 };
	unsigned int connections = origin.seen->connections;
	struct got got = { 0 };
	struct error err;

	/* one connection serves them all */
	for (int i = 0; i < 5; i++) {
		CHECK_INT(get(transport, "/ok", &got, &err), 0);
		CHECK_STR(got.text.data, "hello");
	}
	CHECK_INT(get(transport, "/status/404", &got, &err), -ENOENT);
	CHECK_INT(get(transport, "/hop/5", &got, &err), 0);
	CHECK_STR(got.text.data, "hello");
	CHECK_INT(get(transport, "/chunks", &got, &err), 0);
	CHECK_STR(got.text.data, "hello");
	CHECK_INT(get(transport, "/gzip", &got, &err), 0);
	CHECK_STR(got.text.data, "hello");
	CHECK_INT(origin.seen->connections - connections, 1);
	CHECK_INT(get(transport, "/long", &got, &err), 0); /* what is too much is not read */
	CHECK_STR(got.text.data, "hello");
	CHECK_INT(get(transport, "/echo", &got, &err), 0);
	text_addf(&words, "\r\nHost: 127.0.0.1:%d\r\nUser-Agent: odcsfs/" ODCSFS_VERSION "\r\n",
		  origin.port);
	CHECK(strstr(got.text.data, words.data) != NULL);
	CHECK(strstr(got.text.data, "\r\nAccept-Encoding: gzip, deflate\r\n") != NULL);
	CHECK(strstr(got.text.data, "Authorization") == NULL);
	text_done(&got.text);
}

static void test_post(void)
{
	_cleanup_(transport_freep) struct transport *transport = make(&quick);
	_cleanup_(text_done) struct text body = { 0 };
	struct got got = { 0 };
	struct transport_sink sink = { take, &got };
	struct transport_options options = { .type = "text/xml" };
	struct error err = { 0 };
	char to[600];

	for (int i = 0; i < 200000; i++) /* large enough for curl to ask first, if it may */
		text_addf(&body, "%07d\n", i);
	CHECK_INT(transport_post(transport, url_of("/echo"), body.data, body.length, &sink,
				 &options, &err),
		  0);
	CHECK(strncmp(got.text.data, "POST /echo HTTP/1.1\r\n", 21) == 0);
	CHECK(strstr(got.text.data, "\r\nContent-Type: text/xml\r\n") != NULL);
	CHECK(strstr(got.text.data, "Expect") == NULL);
	CHECK(got.text.length > body.length &&
	      memcmp(got.text.data + got.text.length - body.length, body.data, body.length) == 0);
	/* stays a POST on its way */
	text_clear(&got.text);
	(void)snprintf(to, sizeof(to), "/to/%s", url_of("/echo"));
	CHECK_INT(transport_post(transport, url_of(to), "abc", 3, &sink, &options, &err), 0);
	CHECK(strncmp(got.text.data, "POST ", 5) == 0 && strstr(got.text.data, "\r\n\r\nabc"));
	/* the sink may refuse */
	text_clear(&got.text);
	got.limit = 1000;
	CHECK_INT(transport_post(transport, url_of("/echo"), body.data, body.length, &sink, NULL,
				 &err),
		  -ENOMSG);
	CHECK_STR(err.message, "that is enough");
	text_done(&got.text);
}

static void check_range(struct transport *transport, const char *path, int64_t offset,
			int64_t length, int64_t want, bool sized)
{
	struct got got = { 0 };
	struct transport_sink sink = { take, &got };
	struct error err = { 0 };
	int64_t size = -7;
	size_t wrong = 0;
	int r = transport_get(transport, url_of(path), offset, length, &sink, NULL, &size, &err);

	CHECK_INT(r, 0);
	if (r < 0)
		fprintf(stderr, "%s: %s\n", path, err.message);
	CHECK_INT(got.text.length, want);
	CHECK_INT(size, sized ? ORIGIN_DATA_SIZE : -1);
	for (size_t i = 0; i < got.text.length; i++)
		wrong += (uint8_t)got.text.data[i] != (offset + (int64_t)i) % 251;
	CHECK_INT(wrong, 0);
	text_done(&got.text);
}

static void test_ranges(void)
{
	static const struct {
		const char *path;
		int64_t offset, length;
		int r;
	} bad[] = {
		{ "/data", 1000, 10, -ERANGE },		{ "/data", 5000, -1, -ERANGE },
		{ "/data-norange", 1000, 10, -ERANGE }, { "/data-norange", 5000, -1, -ERANGE },
		{ "/data-other", 10, 10, -EBADMSG },	{ "/data-silent", 10, 10, -EBADMSG },
		{ "/data-cut", 10, 100, -ECONNRESET },	{ "/nothing", 10, 10, -ENOENT },
		{ "/data", -1, 10, -EINVAL },		{ "/data", 0, 0, -EINVAL },
		{ "/data", 10, INT64_MAX, -EINVAL },
	};
	_cleanup_(transport_freep) struct transport *transport = make(&quick);
	struct got got = { 0 };
	struct transport_sink sink = { take, &got };

	for (int i = 0; i < 2; i++) {
		const char *path = i ? "/data-norange" : "/data";

		check_range(transport, path, 0, -1, 1000, true);
		check_range(transport, path, 0, 96, 96, true);
		check_range(transport, path, 0, 1, 1, true);
		check_range(transport, path, 100, 200, 200, true);
		check_range(transport, path, 100, -1, 900, true);
		check_range(transport, path, 990, 200, 10, true);
		check_range(transport, path, 999, 1, 1, true);
		check_range(transport, path, 0, 1000, 1000, true);
		check_range(transport, path, 0, 2000, 1000, true);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct error err = { 0 };
		int r = transport_get(transport, url_of(bad[i].path), bad[i].offset, bad[i].length,
				      &sink, NULL, NULL, &err);

		CHECK_INT(r, bad[i].r);
		CHECK(err.message[0]);
	}
	text_done(&got.text);
}

static void test_download(void)
{
	_cleanup_(transport_freep) struct transport *transport = make(&quick);
	_cleanup_(closep) int fd = memfd_create("download", MFD_CLOEXEC);
	char sha[DIGEST_HEX_SIZE] = "", want[DIGEST_HEX_SIZE];
	struct transport_options small = { .size_max = 999 };
	uint8_t bytes[ORIGIN_DATA_SIZE], read_back[ORIGIN_DATA_SIZE + 1];
	struct error err = { 0 };

	for (int i = 0; i < ORIGIN_DATA_SIZE; i++)
		bytes[i] = (uint8_t)(i % 251);
	sha256_hex(bytes, sizeof(bytes), want);
	CHECK(fd >= 0 && io_write(fd, "old bytes", 9) == 0);
	for (int i = 0; i < 2; i++) {
		strcpy(sha, "");
		CHECK_INT(transport_download(transport, url_of("/data"), fd, i ? 1000 : -1, NULL,
					     sha, &err),
			  0);
		CHECK_STR(sha, want);
		CHECK_INT(io_pread(fd, read_back, sizeof(read_back), 0), 1000);
		CHECK(memcmp(read_back, bytes, 1000) == 0);
	}
	strcpy(sha, "untouched");
	CHECK_INT(transport_download(transport, url_of("/data"), fd, 999, NULL, sha, &err),
		  -EBADMSG);
	CHECK(strstr(err.message, "/data is larger than the 999 bytes") != NULL);
	CHECK_INT(transport_download(transport, url_of("/data"), fd, 1001, NULL, sha, &err),
		  -EBADMSG);
	CHECK_INT(transport_download(transport, url_of("/huge"), fd, 1000, NULL, sha, &err),
		  -EBADMSG);
	CHECK_INT(transport_download(transport, url_of("/data"), fd, -1, &small, sha, &err),
		  -EMSGSIZE);
	CHECK_INT(transport_download(transport, url_of("/short"), fd, -1, NULL, sha, &err),
		  -ECONNRESET);
	CHECK_INT(transport_download(transport, url_of("/no"), fd, -1, NULL, sha, &err), -ENOENT);
	CHECK_STR(sha, "untouched");
}

static void test_head(void)
{
	static const struct {
		const char *path;
		int r;
		int64_t size;
		const char *mark;
	} cases[] = {
		{ "/ok", 0, 5, "" },
		{ "/marked", 0, 5, "Mon, 23 Nov 2026 06:19:22 GMT" },
		{ "/tagged", 0, 5, "\"5f\"" },
		{ "/data", 0, ORIGIN_DATA_SIZE, "" },
		{ "/data-nohead", 0, ORIGIN_DATA_SIZE, "" },
		{ "/nothing", -ENOENT, -7, "untouched" },
		{ "/status/405", -EOPNOTSUPP, -7, "untouched" },
		{ "/status/503", -EIO, -7, "untouched" },
		{ "/huge", 0, INT64_C(1099511627776), "" },
	};
	_cleanup_(transport_freep) struct transport *transport = make(&quick);

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char mark[TRANSPORT_MARK_SIZE] = "untouched";
		struct error err = { 0 };
		int64_t size = -7;

		CHECK_INT(transport_head(transport, url_of(cases[i].path), NULL, &size, mark, &err),
			  cases[i].r);
		CHECK_INT(size, cases[i].size);
		CHECK_STR(mark, cases[i].mark);
		CHECK_INT(err.code, cases[i].r);
	}
}

/* ---- what does not ---- */

/* The URL is the configuration's, and leads to its own server, or to what is listed; a redirect to
 * elsewhere is not followed, and nothing is sent there. */
static void test_own(void)
{
	_cleanup_(strings_done) struct strings allowed = { 0 };
	const struct transport_places places = { .allowed = &allowed, .own = true };
	struct transport_network network = quick;
	_cleanup_(transport_freep) struct transport *transport = NULL;
	struct origin other;
	const struct {
		const char *to;
		int r;
	} cases[] = {
		{ "http://169.254.169.254/latest/meta-data", -EACCES },
		{ "http://127.0.0.1:1/x", -EACCES },
		{ "http://[::1]:1/x", -EACCES },
		{ "http://localhost:1/x", -EACCES },
		{ "http://nowhere.invalid/x", -EACCES },
		{ "ftp://127.0.0.1/x", -EBADMSG },
		{ NULL, 0 }, /* its own */
	};
	unsigned int requests;

	network.places = &places;
	CHECK_INT(transport_http(&network, &transport, NULL), 0);
	origin_start(&other);
	requests = other.seen->requests;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct got got = { 0 };
		struct error err;
		char own[64], path[160];

		(void)snprintf(own, sizeof(own), "http://127.0.0.1:%d/ok", origin.port);
		(void)snprintf(path, sizeof(path), "/to/%s", cases[i].to ? cases[i].to : own);
		CHECK_INT(get(transport, path, &got, &err), cases[i].r);
		if (cases[i].r == -EACCES)
			CHECK(strstr(err.message, "a redirect is not followed") != NULL);
		text_done(&got.text);
	}
	for (int i = 0; i < 2; i++) {
		struct got got = { 0 };
		struct error err;
		char path[160], prefix[64];

		(void)snprintf(path, sizeof(path), "/to/http://127.0.0.1:%d/ok", other.port);
		CHECK_INT(get(transport, path, &got, &err), i ? 0 : -EACCES);
		CHECK_INT(other.seen->requests - requests, i);
		text_done(&got.text);
		(void)snprintf(prefix, sizeof(prefix), "http://127.0.0.1:%d", other.port);
		CHECK_INT(strings_add(&allowed, prefix), 0);
	}
	origin_stop(&other);
}

static void test_refusals(void)
{
	static const struct {
		const char *path;
		int r;
		const char *words;
	} cases[] = {
		{ "/status/400", -EBADMSG, "the server answered 400" },
		{ "/status/401", -EACCES, "the server answered 401" },
		{ "/status/403", -EACCES, "the server answered 403" },
		{ "/status/404", -ENOENT, "the server answered 404" },
		{ "/status/407", -EACCES, "the server answered 407" },
		{ "/status/408", -ETIMEDOUT, "the server answered 408" },
		{ "/status/410", -ENOENT, "the server answered 410" },
		{ "/status/429", -EBUSY, "the server answered 429" },
		{ "/status/500", -EIO, "the server answered 500" },
		{ "/status/503", -EIO, "the server answered 503" },
		{ "/nowhere", -EBADMSG, "answered 302 without a place to go to" },
		{ "/hop/6", -ELOOP, "more than 5 redirects" },
		{ "/to/file:///etc/passwd", -EBADMSG,
		  "/to/file:///etc/passwd: a redirect to file:///etc/passwd is not followed" },
		{ "/to/ftp://127.0.0.1/", -EBADMSG,
		  "/to/ftp://127.0.0.1/: a redirect to ftp://127.0.0.1/ is not followed" },
		{ "/to/gopher://127.0.0.1/", -EBADMSG,
		  "/to/gopher://127.0.0.1/: a redirect to gopher://127.0.0.1/ is not followed" },
		{ "/to/http://127.0.0.1:1/x", -ECONNREFUSED,
		  "http://127.0.0.1:1/x: no connection" },
		{ "/reset", -ECONNRESET, "the connection broke" },
		{ "/short", -ECONNRESET, "the connection broke" },
		{ "/stall", -ETIMEDOUT, "does not move" },
		{ "/slow", -ETIMEDOUT, "does not move" },
		{ "/drip", -ETIMEDOUT, "does not move" },
		{ "/bomb", -EMSGSIZE, "larger than 1048576 bytes" },
		{ "/big", -EMSGSIZE, "larger than 1048576 bytes" },
		{ "/huge", -EMSGSIZE, "larger than 1048576 bytes" },
		{ "/headers", -EMSGSIZE, "headers are larger" },
		{ "/hundreds", -EMSGSIZE, "headers are larger" },
		{ "/long-header", -EMSGSIZE, "headers" },
		{ "/old", -EBADMSG, "does not speak HTTP" },
		{ "/garbage", -EBADMSG, "" },
		{ "/bad-chunks", 0, "" },
		{ "http://127.0.0.1:1/x", -ECONNREFUSED, "no connection" },
		{ "http://nowhere.invalid/x", -EHOSTUNREACH, "name of the host is not known" },
		{ "file:///etc/passwd", -EINVAL, "not an http" },
		{ "ok", -EINVAL, "not an http" },
		{ "http://", 0, "" },
		{ "http://[::bad/", 0, "" },
	};
	_cleanup_(transport_freep) struct transport *transport = make(&quick);

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct got got = { 0 };
		struct error err;
		int64_t start = time_monotonic_ms();
		int r = get(transport, cases[i].path, &got, &err);

		if (cases[i].r) /* 0: how libcurl finds out may change */
			CHECK_INT(r, cases[i].r);
		CHECK(r < 0 && err.code == r && err.message[0]);
		if (!strstr(err.message, cases[i].words))
			CHECK_STR(err.message, cases[i].words);
		CHECK(r == -EINVAL || err.blame == BLAME_SOURCE);
		CHECK(time_monotonic_ms() - start < 5000);
		CHECK(strncmp(cases[i].path, "/status", 7) != 0 || !got.calls);
		text_done(&got.text);
		/* and it still works after that */
		if (i % 8 == 0)
			CHECK_INT(get(transport, "/ok", &got, &err), 0);
		text_done(&got.text);
	}
}

static void test_deadline(void)
{
	_cleanup_(transport_freep) struct transport *transport = make(&quick);
	struct got got = { 0 };
	struct transport_sink sink = { take, &got };
	struct transport_options options = { .stall_ms = 60000 };
	struct error err = { 0 };
	static const char *const paths[] = { "/slow", "/drip", "/stall" };

	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		int64_t start = time_monotonic_ms();

		options.deadline_ms = start + 300;
		CHECK_INT(transport_get(transport, url_of(paths[i]), 0, -1, &sink, &options, NULL,
					&err),
			  -ETIMEDOUT);
		CHECK(time_monotonic_ms() - start >= 250 && time_monotonic_ms() - start < 2000);
		CHECK(strstr(err.message, "no complete answer in time") != NULL);
		options.deadline_ms = time_monotonic_ms();
		CHECK_INT(
			transport_get(transport, url_of("/ok"), 0, -1, &sink, &options, NULL, &err),
			-ETIMEDOUT);
		CHECK(strstr(err.message, "/ok: no time left") != NULL);
	}
	text_done(&got.text);
}

/* 50 bytes a second are no standing still, and too little */
static void test_rate(void)
{
	_cleanup_(transport_freep) struct transport *transport = make(&quick);
	struct got got = { 0 };
	struct transport_sink sink = { take, &got };
	struct transport_options options = { .rate = 4096 };
	struct error err = { 0 };
	int64_t start = time_monotonic_ms();

	CHECK_INT(transport_get(transport, url_of("/drip"), 0, -1, &sink, &options, NULL, &err),
		  -ETIMEDOUT);
	CHECK(strstr(err.message, "/drip: the answer comes with less than 4096 bytes a second"));
	CHECK(got.text.length > 0 && time_monotonic_ms() - start < 5000);
	/* what is small is not slow */
	CHECK_INT(transport_get(transport, url_of("/ok"), 0, -1, &sink, &options, NULL, &err), 0);
	CHECK_INT(transport_get(transport, url_of("/stall"), 0, -1, &sink, &options, NULL, &err),
		  -ETIMEDOUT);
	text_done(&got.text);
}

static void test_tries(void)
{
	struct transport_tries few = { .pause_ms = 100, .pause_max_ms = 400, .most = 5 };
	struct transport_tries brief = { .limit_ms = time_monotonic_ms() + 1000, .pause_ms = 4000 };
	static const int64_t most[] = { 100, 200, 400, 400 };
	struct error us = { .blame = BLAME_US }, source = { .blame = BLAME_SOURCE };
	int64_t pause_ms;

	for (size_t i = 0; i < ARRAY_SIZE(most); i++) {
		few.made++;
		pause_ms = transport_pause(&few);
		CHECK(pause_ms >= most[i] / 2 && pause_ms <= most[i]);
	}
	few.made++;
	CHECK_INT(transport_pause(&few), -1);
	brief.made++;
	CHECK_INT(transport_pause(&brief), -1);
	CHECK(transport_may_pass(-EIO, &source) && transport_may_pass(-EBUSY, NULL));
	CHECK(!transport_may_pass(-EIO, &us) && !transport_may_pass(-ENOENT, &source));
	pause_ms = time_monotonic_ms();
	CHECK(transport_rest(&few, 20));
	CHECK(time_monotonic_ms() - pause_ms >= 20);
	brief.limit_ms = pause_ms;
	CHECK(!transport_rest(&brief, 1));
}

/* An address of documentation: nobody answers, or there is no way there */
static void test_nobody(void)
{
	struct transport_network network = { .connect_ms = 300 };
	_cleanup_(transport_freep) struct transport *transport = make(&network);
	struct got got = { 0 };
	struct error err;
	int64_t start = time_monotonic_ms();
	int r = get(transport, "http://192.0.2.1/x", &got, &err);

	CHECK(r == -ETIMEDOUT || r == -ECONNREFUSED || r == -EHOSTUNREACH);
	CHECK(time_monotonic_ms() - start < 3000);
	text_done(&got.text);
}

static void test_secrets(void)
{
	_cleanup_(transport_freep) struct transport *transport = make(&quick);
	char url[256], other[600];
	struct got got = { 0 };
	struct error err;
	static const char *const paths[] = { "/status/404", "/status/500", "/short", "/nowhere",
					     "/hop/6",	    "/bomb",	   "/old" };

	(void)snprintf(url, sizeof(url), "http://us3r:s3cret@127.0.0.1:%d/echo?t0ken", origin.port);
	CHECK_INT(get(transport, url, &got, &err), 0);
	CHECK(strstr(got.text.data, "\r\nAuthorization: Basic dXMzcjpzM2NyZXQ=\r\n") != NULL);
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		(void)snprintf(url, sizeof(url), "http://us3r:s3cret@127.0.0.1:%d%s?t0ken",
			       origin.port, paths[i]);
		CHECK(get(transport, url, &got, &err) < 0);
		CHECK(strstr(err.message, "127.0.0.1") != NULL);
		CHECK(!strstr(err.message, "s3cret") && !strstr(err.message, "us3r") &&
		      !strstr(err.message, "t0ken"));
	}
	/* not for another host */
	(void)snprintf(other, sizeof(other),
		       "http://us3r:s3cret@127.0.0.1:%d/to/http://localhost:%d/echo", origin.port,
		       origin.port);
	CHECK_INT(get(transport, other, &got, &err), 0);
	CHECK(strstr(got.text.data, "Host: localhost") && !strstr(got.text.data, "Authorization"));
	/* a broken URL is not shown at all */
	CHECK(get(transport, "http://us3r:s3cret@127.0.0.1:port/x", &got, &err) < 0);
	CHECK(!strstr(err.message, "s3cret"));
	text_done(&got.text);
}

static void test_proxy(void)
{
	struct transport_network network = quick;
	struct got got = { 0 };
	struct transport *transport;
	struct error err;
	char proxy[128];

	(void)setenv("http_proxy", "http://127.0.0.1:1", 1);
	(void)setenv("ALL_PROXY", "http://127.0.0.1:1", 1);
	transport = make(&network);
	CHECK_INT(get(transport, "/ok", &got, &err), 0);
	transport_free(transport);
	(void)setenv("no_proxy", "*", 1);
	(void)snprintf(proxy, sizeof(proxy), "http://us3r:s3cret@127.0.0.1:%d", origin.port);
	network.proxy = proxy;
	transport = make(&network);
	CHECK_INT(get(transport, "http://nowhere.invalid/x", &got, &err), 0);
	CHECK_STR(got.text.data, "proxied nowhere.invalid");
	CHECK_INT(get(transport, "https://nowhere.invalid/x", &got, &err), -EACCES);
	CHECK_STR(err.message, "https://nowhere.invalid/x: the proxy answered 407");
	transport_free(transport);
	network.proxy = "http://us3r:s3cret@127.0.0.1:1";
	transport = make(&network);
	CHECK_INT(get(transport, "http://nowhere.invalid/x", &got, &err), -ECONNREFUSED);
	CHECK(!strstr(err.message, "s3cret"));
	transport_free(transport);
	(void)unsetenv("http_proxy");
	(void)unsetenv("ALL_PROXY");
	(void)unsetenv("no_proxy");
	text_done(&got.text);
}

static void test_no_permission(void)
{
	struct transport *transport = NULL;
	struct got got = { 0 };
	struct error err = { 0 };
	struct transport_file file;
	char *path = NULL;

	CHECK_INT(transport_local(NULL, true, 0, 0, &transport, &err), 0);
	CHECK_INT(get(transport, "/ok", &got, &err), -EPERM);
	CHECK_INT(err.blame, BLAME_US);
	CHECK_STR(err.message, "the network may not be used: none is configured");
	transport_free(transport);
	transport = make(&quick);
	CHECK_INT(transport_base(transport, "/tmp", &path, &err), -EPERM);
	CHECK_INT(transport_open(transport, "/tmp", "x", &err), -EPERM);
	CHECK_INT(transport_stat(transport, "/tmp", "x", &file, &err), -EPERM);
	transport_free(transport);
	text_done(&got.text);
}

/* One transport for each thread */
static void *fetch_often(void *unused)
{
	struct transport *transport = NULL;
	struct error err = { 0 };
	struct got got = { 0 };
	uintptr_t wrong = 0;

	if (transport_http(&quick, &transport, &err) < 0)
		return (void *)1;
	for (int i = 0; i < 50; i++) {
		struct transport_sink sink = { take, &got };

		text_clear(&got.text);
		wrong += transport_get(transport, url_of("/data"), i, 100, &sink, NULL, NULL,
				       &err) < 0 ||
			 got.text.length != 100 || (uint8_t)got.text.data[0] != i;
	}
	transport_free(transport);
	text_done(&got.text);
	return (void *)wrong;
}

static void test_threads(void)
{
	pthread_t threads[4];

	for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
		CHECK_INT(pthread_create(&threads[i], NULL, fetch_often, NULL), 0);
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++) {
		void *wrong = NULL;

		CHECK_INT(pthread_join(threads[i], &wrong), 0);
		CHECK(!wrong);
	}
}

int main(void)
{
	origin_start(&origin);
	test_get();
	test_post();
	test_ranges();
	test_download();
	test_head();
	test_own();
	test_refusals();
	test_deadline();
	test_rate();
	test_tries();
	test_nobody();
	test_secrets();
	test_proxy();
	test_no_permission();
	test_threads();
	origin_stop(&origin);
	TEST_END();
}
