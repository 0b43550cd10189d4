/* SPDX-License-Identifier: MIT */
/* tests/unit/fetch/mirrors.c: lists of mirrors, addresses, and files of whichever mirror is right.
 *
 * promises = 8, 19 */
#include "resolver/fetch/mirrors.h"

#include "resolver/fetch/transport.h"
#include "tests/unit/fetch/origin.h"
#include "tests/unit/test.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/mman.h>
#include <unistd.h>

static struct origin origin;

/* ---- addresses --------------------------------------------------------- */

static bool may(const char *url, bool listed, const char *address)
{
	struct sockaddr_in four = { .sin_family = AF_INET };
	struct sockaddr_in6 six = { .sin6_family = AF_INET6 };

	if (inet_pton(AF_INET, address, &four.sin_addr) == 1)
		return places_address(url, listed, (struct sockaddr *)&four);
	CHECK(inet_pton(AF_INET6, address, &six.sin6_addr) == 1);
	return places_address(url, listed, (struct sockaddr *)&six);
}

static void test_addresses(void)
{
	static const struct {
		const char *address;
		bool unlisted, listed, literal;
	} cases[] = {
		{ "93.184.216.34", true, true, true },
		{ "2606:2800:220:1::1", true, true, true },
		{ "10.1.2.3", false, true, true },
		{ "172.16.0.1", false, true, true },
		{ "172.32.0.1", true, true, true },
		{ "192.168.1.1", false, true, true },
		{ "100.64.0.1", false, true, true },
		{ "fd00::1", false, true, true },
		{ "fec0::1", false, true, true },
		{ "127.0.0.1", false, false, true },
		{ "127.255.255.254", false, false, true },
		{ "0.0.0.0", false, false, true },
		{ "169.254.169.254", false, false, true },
		{ "224.0.0.1", false, false, true },
		{ "255.255.255.255", false, false, true },
		{ "::1", false, false, true },
		{ "::", false, false, true },
		{ "fe80::1", false, false, true },
		{ "ff02::1", false, false, true },
		{ "::ffff:127.0.0.1", false, false, true },
		{ "::ffff:10.0.0.1", false, true, true },
		{ "64:ff9b::a9fe:a9fe", false, false, true },
		{ "2002:7f00:1::", false, false, true },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		CHECK_INT(may("http://h/a", false, cases[i].address), cases[i].unlisted);
		CHECK_INT(may("http://h/a", true, cases[i].address), cases[i].listed);
		CHECK_INT(may("http://127.0.0.1:8/a", true, cases[i].address), cases[i].literal);
		CHECK_INT(may("http://127.0.0.1/a", false, cases[i].address), cases[i].unlisted);
		CHECK_INT(may("http://localhost/", true, cases[i].address), cases[i].literal);
		CHECK_INT(may("http://[::1]/", true, cases[i].address), cases[i].literal);
		CHECK_INT(may("http://127.0.0.1.h/a", true, cases[i].address), cases[i].listed);
	}
}

/* ---- lists ------------------------------------------------------------- */

#define SUM "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define FILE_OF(inside)                                                                            \
	"<metalink version=\"3.0\" xmlns=\"http://www.metalinker.org/\" "                          \
	"xmlns:mm0=\"http://fedorahosted.org/mirrormanager\"><files><file "                        \
	"name=\"repomd.xml\">" inside "</file></files></metalink>"
#define VERIFY(type, sum) "<verification><hash type=\"" type "\">" sum "</hash></verification>"
#define AT(preference, url) "<url protocol=\"http\" preference=\"" preference "\">" url "</url>"

static void test_lists(void)
{
	static const struct {
		const char *bytes;
		enum url_kind kind;
		const char *from, *urls; /* or NULL: @words */
		size_t sums;
		const char *words;
	} cases[] = {
		{ "http://a/x/\n# no\n\nftp://b\nrsync://c\nhttp://a/x\n", URL_MIRRORLIST,
		  "http://l/", "http://a/x ftp://b", 0, NULL },
		{ "http://a/x\nhttps://b/y\n", URL_MIRRORLIST, "https://l/", "https://b/y", 0,
		  NULL },
		{ "http://u:p@a/\nhttp://a/../x\n", URL_MIRRORLIST, "http://l/", NULL, 0,
		  "no mirror" },
		{ "<html>\n<body>http://a</body>", URL_MIRRORLIST, "http://l/", NULL, 0,
		  "no mirror" },
		{ "", URL_MIRRORLIST, "http://l/?secret", NULL, 0, "empty" },
		{ FILE_OF(VERIFY("sha256", SUM) "<resources>" AT("1",
								 "http://late/repodata/repomd.xml")
				  AT("100", "http://early/a/repodata/repomd.xml") "</resources>"),
		  URL_METALINK, "https://l/", "http://early/a http://late", 1, NULL },
		{ FILE_OF(VERIFY("md5", "00") "<resources>" AT("1", "http://a") "</resources>"),
		  URL_METALINK, "http://l/", NULL, 0, "no SHA-256" },
		{ FILE_OF(VERIFY("sha256", "12") "<resources>" AT("1", "http://a") "</resources>"),
		  URL_METALINK, "http://l/", NULL, 0, "no SHA-256" },
		{ FILE_OF(VERIFY("sha256", SUM) "<resources></resources>"), URL_METALINK,
		  "http://l/", NULL, 0, "no mirror" },
		{ "<metalink/>", URL_METALINK, "http://l/", NULL, 0, "" },
		{ "<a></b>", URL_METALINK, "http://l/", NULL, 0, "is no metalink" },
		{ "http://a/\n", URL_METALINK, "http://l/", NULL, 0, "no list needs" },
		{ "<?xml version=\"1.0\" encoding=\"UTF-7\"?><metalink/>", URL_METALINK,
		  "http://l/", NULL, 0, "no list needs" },
		{ "<!DOCTYPE a><metalink/>", URL_METALINK, "http://l/", NULL, 0, "no list needs" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct mirrors_list list = { 0 };
		_cleanup_(freep) char *urls = NULL;
		struct error err = { 0 };
		int r = mirrors_parse(cases[i].bytes, strlen(cases[i].bytes), cases[i].kind,
				      cases[i].from, &list, &err);

		CHECK_INT(r, cases[i].urls ? 0 : -EBADMSG);
		urls = strings_join(&list.url, " ");
		CHECK_STR(urls, cases[i].urls ? cases[i].urls : "");
		CHECK_INT(list.sums, cases[i].sums);
		CHECK(!cases[i].words || strstr(err.message, cases[i].words));
		CHECK(!strstr(err.message, "secret"));
		mirrors_list_done(&list);
	}
}

/* ---- files ------------------------------------------------------------- */

struct scene {
	struct strings allowed;
	struct transport_places places;
	struct mirrors_network network;
	struct text log;
};

static int connect_out(void *data, struct transport **ret, struct error *err)
{
	const struct scene *scene = data;
	const struct transport_network network = { .connect_ms = 2000,
						   .stall_ms = 1000,
						   .places = &scene->places };

	return transport_http(&network, ret, err);
}

static void take_log(void *data, const char *text)
{
	(void)text_addf(&((struct scene *)data)->log, "%s\n", text);
}

static void scene_init(struct scene *scene)
{
	char url[64];

	*scene = (struct scene){ 0 };
	(void)snprintf(url, sizeof(url), "http://127.0.0.1:%d", origin.port);
	strings_add(&scene->allowed, url);
	strings_add(&scene->allowed, "http://127.0.0.1:1");
	scene->places.allowed = &scene->allowed;
	scene->network = (struct mirrors_network){ .connect = connect_out,
						   .log = take_log,
						   .data = scene,
						   .places = &scene->places,
						   .call_ms = 3000 };
}

static void scene_done(struct scene *scene)
{
	strings_done(&scene->allowed);
	text_done(&scene->log);
}

static void data_sum(char ret[static DIGEST_HEX_SIZE])
{
	unsigned char data[ORIGIN_DATA_SIZE];

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (unsigned char)(i % 251);
	sha256_hex(data, sizeof(data), ret);
}

static void test_fetch(void)
{
	static const struct {
		const char *path;
		int64_t size;
		int r;
		const char *words;
	} cases[] = {
		{ "data", ORIGIN_DATA_SIZE, 0, NULL },
		{ "data", -1, 0, NULL },
		{ "data-norange", ORIGIN_DATA_SIZE, 0, NULL },
		{ "data", ORIGIN_DATA_SIZE - 1, -EBADMSG, "larger than the 999 bytes" },
		{ "data", ORIGIN_DATA_SIZE + 1, -EBADMSG, "1000 bytes came where 1001" },
		{ "ok", -1, -EBADMSG, "its sha256 is" },
		{ "nothing", -1, -ENOENT, "404" },
		{ "status/503", -1, -EIO, "503" },
		{ "reset", -1, -ECONNRESET, "broke" },
		{ "stall", -1, -ETIMEDOUT, "" },
		{ "hop/7", -1, -ELOOP, "more than 5" },
		{ "a/../ok", -1, -EACCES, "leads out" },
		{ "%2e%2e/ok", -1, -EACCES, "leads out" },
	};
	char sum[DIGEST_HEX_SIZE], sha256[DIGEST_HEX_SIZE];
	struct mirrors *mirrors = NULL;
	struct scene scene;
	struct error err = { 0 };

	scene_init(&scene);
	data_sum(sum);
	CHECK_INT(mirrors_find(&scene.network, scene.allowed.item[0], &mirrors, &err), 0);
	for (size_t i = 0; mirrors && i < ARRAY_SIZE(cases); i++) {
		const struct mirrors_file file = { .path = cases[i].path,
						   .size = cases[i].size,
						   .checksum_type = "sha256",
						   .checksum = sum };
		int fd = memfd_create("file", MFD_CLOEXEC);
		int64_t start = time_monotonic_ms();

		err = (struct error){ 0 };
		CHECK_INT(mirrors_fetch(mirrors, &file, fd, &err), cases[i].r);
		CHECK(!cases[i].words || strstr(err.message, cases[i].words));
		CHECK(time_monotonic_ms() - start < 5000);
		if (cases[i].r == 0 && sha256_file(fd, sha256, NULL) == 0)
			CHECK_STR(sha256, sum);
		else
			CHECK_INT(err.blame, BLAME_SOURCE);
		(void)close(fd);
	}
	mirrors_free(mirrors);
	scene_done(&scene);
}

/* What a mirror may be asked for is not what another address of its name may */
static void test_places(void)
{
	struct scene scene;
	struct mirrors *mirrors = NULL;
	struct text text = { 0 };
	struct error err = { 0 };
	char url[64];

	scene_init(&scene);
	scene.places.any = true;
	(void)snprintf(url, sizeof(url), "http://127.0.0.1:%d/ok", origin.port);
	strings_done(&scene.allowed);
	strings_add(&scene.allowed, url);
	CHECK_INT(mirrors_find(&scene.network, url, &mirrors, &err), 0);
	mirrors_free(mirrors);
	/* beside it: this machine is none of the public ones, also over a connection that is open
	 */
	url[strlen(url) - 3] = '\0';
	CHECK_INT(mirrors_find(&scene.network, url, &mirrors, &err), 0);
	CHECK_INT(mirrors_ask(mirrors, 0, "ok", 100, NULL, &text, &err), 0);
	CHECK_STR(text.data, "hello");
	CHECK_INT(mirrors_ask(mirrors, 0, "marked", 100, NULL, &text, &err), -EACCES);
	CHECK(strstr(err.message, "not public"));
	mirrors_free(mirrors);
	text_done(&text);
	scene_done(&scene);
}

int main(void)
{
	origin_start(&origin);
	test_addresses();
	test_lists();
	test_fetch();
	test_places();
	origin_stop(&origin);
	TEST_END();
}
