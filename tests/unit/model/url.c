/* SPDX-License-Identifier: MIT */
/* tests/unit/model/url.c: spellings of URLs, and what lies below what. */
#include "core/model/model.h"
#include "tests/unit/test.h"

static void test_normal(void)
{
	static const struct {
		const char *url;
		bool query;
		const char *want; /* or NULL: @words */
		const char *words;
	} cases[] = {
		{ "http://h", false, "http://h", NULL },
		{ "HTTP://H.Example.:80//", false, "http://h.example", NULL },
		{ "https://h:443/a/b/", false, "https://h/a/b", NULL },
		{ "https://h:80/a", false, "https://h:80/a", NULL },
		{ "ftp://h:21/a", false, "ftp://h/a", NULL },
		{ "http://h:/a", false, "http://h/a", NULL },
		{ "http://[::1]:8080/a", false, "http://[::1]:8080/a", NULL },
		{ "http://h/%7e%41%2b%c3%a4", false, "http://h/~A%2B%C3%A4", NULL },
		{ "http://h/a+b~c^d", false, NULL, "must be written as %XX" },
		{ "http://h/a+b~c", false, "http://h/a+b~c", NULL },
		{ "http://h/a?b=c&d=e/", true, "http://h/a?b=c&d=e/", NULL },
		{ "http://h?b", true, "http://h/?b", NULL },
		{ "http://h/a?b", false, NULL, "must not hold ? or #" },
		{ "http://h/a?s3cret", false, NULL, "http://h/a?...: a URL that must not" },
		{ "http://u:p@h/a?s3cret", true, NULL, "http://h/a?...: a URL that must not" },
		{ "http://h/a?b#c", true, NULL, "must not hold a #" },
		{ "http://u@h/a", false, NULL, "a user or a password" },
		{ "http://u:p@h/a", false, NULL, "a user or a password" },
		{ "http://good@evil/a", false, NULL, "a user or a password" },
		{ "http://h\\@evil/a", false, NULL, "a user or a password" },
		{ "http://h\\evil/a", false, NULL, "strange" },
		{ "http:///a", false, NULL, "strange" },
		{ "http://.h/a", false, NULL, "strange" },
		{ "http://h:0/a", false, NULL, "port" },
		{ "http://h:65536/a", false, NULL, "port" },
		{ "http://h:80x/a", false, NULL, "strange" },
		{ "http://h:999999999999/a", false, NULL, "port" },
		{ "http://[::1/a", false, NULL, "strange" },
		{ "http://[g::]/a", false, NULL, "strange" },
		{ "http://%68/a", false, NULL, "strange" },
		{ "http://h/a/../b", false, NULL, "in its path" },
		{ "http://h/a/..", false, NULL, "in its path" },
		{ "http://h/./b", false, NULL, "in its path" },
		{ "http://h/a/%2e%2E/b", false, NULL, "in its path" },
		{ "http://h/..?b", true, NULL, "in its path" },
		{ "http://h/a...b/..c", false, "http://h/a...b/..c", NULL },
		{ "http://h/a%2fb", false, NULL, "has a %" },
		{ "http://h/a%5cb", false, NULL, "has a %" },
		{ "http://h/a%00b", false, NULL, "has a %" },
		{ "http://h/a%0ab", false, NULL, "has a %" },
		{ "http://h/a%", false, NULL, "has a %" },
		{ "http://h/a%4", false, NULL, "has a %" },
		{ "http://h/a%zz", false, NULL, "has a %" },
		{ "http://h/a b", false, NULL, "must be written as %XX" },
		{ "http://h/\xc3\xa4", false, NULL, "must be written as %XX" },
		{ "file:///a", false, NULL, "is no http" },
		{ "httpx://h", false, NULL, "is no http" },
		{ "", false, NULL, "is no http" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_(freep) char *normal = NULL, *again = NULL;
		struct error err = { 0 };
		int r = url_normal(cases[i].url, cases[i].query, &normal, &err);

		CHECK_INT(r, cases[i].want ? 0 : -EINVAL);
		if (!cases[i].want) {
			CHECK(strstr(err.message, cases[i].words) != NULL);
			CHECK(!strstr(err.message, "u:p") && !strstr(err.message, "s3cret"));
			CHECK_INT(err.blame, BLAME_REQUEST);
			continue;
		}
		CHECK_STR(normal, cases[i].want);
		if (normal)
			CHECK_INT(url_normal(normal, cases[i].query, &again, &err), 0);
		CHECK_STR(again, cases[i].want);
	}
}

static void test_long(void)
{
	_cleanup_(freep) char *url = malloc(URL_MAX_LENGTH + 2), *normal = NULL;
	struct error err = { 0 };

	memset(url, 'a', URL_MAX_LENGTH + 1);
	memcpy(url, "http://h/", 9);
	url[URL_MAX_LENGTH + 1] = '\0';
	CHECK_INT(url_normal(url, false, &normal, &err), -EINVAL);
	CHECK(strstr(err.message, "too long") != NULL);
	url[URL_MAX_LENGTH] = '\0';
	CHECK_INT(url_normal(url, false, &normal, &err), 0);
}

static void test_below(void)
{
	static const struct {
		const char *url, *prefix;
		bool below;
	} cases[] = {
		{ "http://mirror/a", "http://mirror", true },
		{ "http://mirror", "http://mirror", true },
		{ "http://mirror.evil/a", "http://mirror", false },
		{ "http://mirror:81/a", "http://mirror", false },
		{ "http://mirrors/a", "http://mirror", false },
		{ "https://mirror/a", "http://mirror", false },
		{ "http://mirror/pub/x", "http://mirror/pub", true },
		{ "http://mirror/public", "http://mirror/pub", false },
		{ "http://mirror/pub?x", "http://mirror/pub", true },
		{ "http://mirror", "http://mirror/pub", false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		CHECK_INT(url_below(cases[i].url, cases[i].prefix), cases[i].below);
}

static void test_words(void)
{
	static const struct {
		const char *word;
		enum url_kind kind;
		const char *url, *normal;
	} cases[] = {
		{ "/srv/repo", URL_NONE, NULL, NULL },
		{ "file:///srv", URL_NONE, NULL, NULL },
		{ "metalink:/srv", URL_NONE, NULL, NULL },
		{ "Metalink:http://h", URL_NONE, NULL, NULL },
		{ "http://h/", URL_BASE, "http://h/", "http://h" },
		{ "metalink:HTTP://h/a?b", URL_METALINK, "HTTP://h/a?b", "metalink:http://h/a?b" },
		{ "mirrorlist:ftp://h/a/", URL_MIRRORLIST, "ftp://h/a/", "mirrorlist:ftp://h/a/" },
		{ "repo:f39", URL_NAMED, "f39", NULL },
	};
	struct strings names = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_(freep) char *normal = NULL;
		const char *url = NULL;

		CHECK_INT(url_kind(cases[i].word, &url), cases[i].kind);
		CHECK_STR(url, cases[i].url);
		CHECK_INT(url_word_normal(cases[i].word, &normal, NULL),
			  cases[i].normal ? 0 : -EINVAL);
		CHECK_STR(normal, cases[i].normal);
	}
	strings_split(&names, "f=http://a f39=http://b", ' ');
	CHECK_STR(url_named(&names, "f39"), "http://b");
	CHECK_STR(url_named(&names, "f"), "http://a");
	CHECK(!url_named(&names, "f3") && !url_named(&names, ""));
	CHECK(url_name_check("f39-x.y_z") && !url_name_check("") && !url_name_check("a/b") &&
	      !url_name_check(".a"));
	strings_done(&names);
}

static void test_bare(void)
{
	static const struct {
		const char *url;
		int r;
		const char *bare;
	} cases[] = {
		{ "http://h/a", 0, "http://h/a" },
		{ "https://user:pass@h:8443/a//", 0, "https://h:8443/a" },
		{ "ftp://user@h", 0, "ftp://h" },
		{ "http://u:p@w@h/", 0, "http://h" },
		{ "http://h/a@b/", 0, "http://h/a@b" },
		{ "h/a", -EINVAL, NULL },
		{ "", -EINVAL, NULL },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_(freep) char *bare = NULL;

		CHECK_INT(url_bare(cases[i].url, &bare), cases[i].r);
		CHECK_STR(bare, cases[i].bare);
	}
}

int main(void)
{
	test_normal();
	test_bare();
	test_long();
	test_below();
	test_words();
	TEST_END();
}
