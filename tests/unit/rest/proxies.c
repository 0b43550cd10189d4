/* SPDX-License-Identifier: MIT */
/* tests/unit/rest/proxies.c: which peers are meant by the words of auth.proxies. */
#include "rest/proxies.h"
#include "tests/unit/test.h"

#include <arpa/inet.h>
#include <netinet/in.h>

static struct proxies *parse(const char *text, struct error *err)
{
	struct proxies *proxies = NULL;
	struct strings words = { 0 };

	CHECK_INT(strings_split(&words, text, ' '), 0);
	(void)proxies_parse(&words, &proxies, err);
	strings_done(&words);
	return proxies;
}

static bool has(const struct proxies *proxies, const char *text)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = 7 };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = 7 };

	if (inet_pton(AF_INET, text, &in.sin_addr) == 1)
		return proxies_have_address(proxies, (struct sockaddr *)&in);
	CHECK_INT(inet_pton(AF_INET6, text, &in6.sin6_addr), 1);
	return proxies_have_address(proxies, (struct sockaddr *)&in6);
}

static void test_addresses(void)
{
	static const struct {
		const char *words, *address;
		bool has;
	} cases[] = {
		{ "", "127.0.0.1", false },
		{ "127.0.0.1", "127.0.0.1", true },
		{ "127.0.0.1", "127.0.0.2", false },
		{ "127.0.0.1", "::ffff:127.0.0.1", true },
		{ "127.0.0.1", "::1", false },
		{ "::1", "::1", true },
		{ "::1", "127.0.0.1", false },
		{ "::1 127.0.0.1", "127.0.0.1", true },
		{ "10.0.0.0/8", "10.255.1.2", true },
		{ "10.0.0.0/8", "11.0.0.0", false },
		{ "10.0.0.0/8", "::ffff:10.1.1.1", true },
		{ "10.64.0.0/10", "10.127.255.255", true },
		{ "10.64.0.0/10", "10.128.0.0", false },
		{ "192.168.1.4/31", "192.168.1.5", true },
		{ "192.168.1.4/31", "192.168.1.6", false },
		{ "0.0.0.0/0", "8.8.8.8", true },
		{ "0.0.0.0/0", "2001:db8::1", false },
		{ "::/0", "2001:db8::1", true },
		{ "::/0", "8.8.8.8", false },
		{ "fd00::/8", "fdff::1", true },
		{ "fd00::/8", "fe00::1", false },
		{ "2001:db8::/33", "2001:db8:7fff::1", true },
		{ "2001:db8::/33", "2001:db8:8000::1", false },
		{ "unix:0", "0.0.0.0", false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct error err = { 0 };
		_cleanup_(proxies_freep) struct proxies *proxies = parse(cases[i].words, &err);

		CHECK_STR(err.message, "");
		CHECK_INT(has(proxies, cases[i].address), cases[i].has);
		if (has(proxies, cases[i].address) != cases[i].has)
			fprintf(stderr, "  %s, %s\n", cases[i].words, cases[i].address);
	}
}

static void test_users(void)
{
	struct error err = { 0 };
	_cleanup_(proxies_freep) struct proxies *proxies =
		parse("unix:root unix:33 10.0.0.1", &err);
	_cleanup_(proxies_freep) struct proxies *none = parse("0.0.0.0/0 ::/0", &err);

	CHECK_STR(err.message, "");
	CHECK(proxies_have_uid(proxies, 0));
	CHECK(proxies_have_uid(proxies, 33));
	CHECK(!proxies_have_uid(proxies, 34));
	CHECK(!proxies_have_uid(none, 0)); /* every address is no user */
}

static void test_refused(void)
{
	static const char *const words[] = {
		"localhost",	   "10.0.0",	  "10.0.0.0.0", "10.0.0.0/33",
		"10.0.0.0/-1",	   "10.0.0.0/",	  "10.0.0.1/8", "::1/129",
		"fd00::1/8",	   "1.2.3.4/8/8", "unix:",	"unix:no-such-user",
		"unix:-1",	   "[::1]",	  "/24",	"127.0.0.1:80",
		"unix:4294967295", "10.0.0.0/8x",
	};

	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		struct error err = { 0 };
		_cleanup_(proxies_freep) struct proxies *proxies = parse(words[i], &err);

		CHECK(!proxies);
		CHECK_INT(err.code, -EINVAL);
		CHECK_INT(err.blame, BLAME_REQUEST);
		CHECK_STR(err.field, "auth.proxies");
	}
}

int main(void)
{
	test_addresses();
	test_users();
	test_refused();
	TEST_END();
}
