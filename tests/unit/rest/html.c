/* SPDX-License-Identifier: MIT */
/* tests/unit/rest/html.c: words, numbers and times of the pages, and words for a shell. */
#include "rest/html.h"
#include "tests/unit/test.h"

#define MADE(want, call)                                                                           \
	do {                                                                                       \
		struct text text = { 0 }, *ret = &text;                                            \
                                                                                                   \
		(void)text_adds(ret, "");                                                          \
		call;                                                                              \
		CHECK_STR(text.data, want);                                                        \
		text_done(&text);                                                                  \
	} while (0)

#define KIB INT64_C(1024)

static void test_escape(void)
{
	MADE("", html_escape(ret, ""));
	MADE("plain \xc3\xa9\ttext\n", html_escape(ret, "plain \xc3\xa9\ttext\n"));
	MADE("&#60;b&#62;&#38;amp;&#34;&#39;", html_escape(ret, "<b>&amp;\"'"));
	MADE("a&#65533;b&#65533;&#65533;", html_escape(ret, "a\x01"
							    "b\x1b\x7f"));
	MADE("ab&#65533;", html_escape_n(ret, "ab\0cd", 3));
	MADE("a&#60;", html_escape_n(ret, "a<<", 2));
}

static void test_numbers(void)
{
	MADE("0", html_count(ret, 0));
	MADE("999", html_count(ret, 999));
	MADE("1,000", html_count(ret, 1000));
	MADE("123,456", html_count(ret, 123456));
	MADE("9,223,372,036,854,775,807", html_count(ret, INT64_MAX));
	MADE("0", html_count(ret, -5));
	MADE("0 bytes", html_size(ret, 0));
	MADE("1 byte", html_size(ret, 1));
	MADE("1023 bytes", html_size(ret, 1023));
	MADE("<span title=\"1,024 bytes\">1.0 KiB</span>", html_size(ret, 1024));
	MADE("<span title=\"102,348 bytes\">99.9 KiB</span>", html_size(ret, 102348));
	MADE("<span title=\"102,400 bytes\">100 KiB</span>", html_size(ret, 100 * KIB));
	MADE("<span title=\"1,048,063 bytes\">1023 KiB</span>", html_size(ret, 1048063));
	MADE("<span title=\"1,048,064 bytes\">1.0 MiB</span>", html_size(ret, 1048064));
	MADE("<span title=\"5,368,709,120 bytes\">5.0 GiB</span>",
	     html_size(ret, 5 * KIB * KIB * KIB));
	MADE("<span title=\"9,223,372,036,854,775,807 bytes\">8.0 EiB</span>",
	     html_size(ret, INT64_MAX));
}

static void test_times(void)
{
	const int64_t noon = 1700049600; /* 2023-11-15 12:00:00 */

	MADE("0 s", html_span(ret, -3));
	MADE("119 s", html_span(ret, 119));
	MADE("2 min", html_span(ret, 120));
	MADE("119 min", html_span(ret, 7199));
	MADE("2 h", html_span(ret, 7200));
	MADE("47 h", html_span(ret, 172799));
	MADE("2 d", html_span(ret, 172800));
	MADE("<time datetime=\"2023-11-15T12:00:00Z\" title=\"2023-11-15 12:00:00 UTC\">5 s "
	     "ago</time>",
	     html_age(ret, noon, noon + 5));
	MADE("<time datetime=\"2023-11-15T12:00:00Z\" title=\"2023-11-15 12:00:00 UTC\">in 3 "
	     "d</time>",
	     html_age(ret, noon, noon - 3 * 86400));
	MADE("<time datetime=\"2023-11-15T12:00:00Z\">2023-11-15 12:00:00 UTC</time> "
	     "<span class=\"quiet keep\">(now)</span>",
	     html_time(ret, noon, noon));
	MADE("<span class=\"state failed\">failed</span>", html_state(ret, STATE_FAILED));
}

static void test_words(void)
{
	MADE("plain-1.0+x@y:/z%,=_", shell_word(ret, "plain-1.0+x@y:/z%,=_"));
	MADE("''", shell_word(ret, ""));
	MADE("'a b'", shell_word(ret, "a b"));
	MADE("'$basearch'", shell_word(ret, "$basearch"));
	MADE("'it'\\''s'", shell_word(ret, "it's"));
	MADE("'\n;`~'", shell_word(ret, "\n;`~"));
	MADE("'\xc3\xa9'", shell_word(ret, "\xc3\xa9"));
	MADE("<option value=\"&#34;\" selected>&#60;</option>", html_option(ret, "\"", "<", true));
}

static void test_pager(void)
{
	struct pager pager = { .name = "things", .page = 1, .pages = 1, .per_page = 10 };

	MADE("", html_pager(ret, &pager));
	pager = (struct pager){
		.name = "things", .page = 2, .pages = 4, .per_page = 5, .tail = "&a=<", .part = "p"
	};
	MADE("<nav class=\"pager\" aria-label=\"Pages of things\">\n"
	     "<a rel=\"prev\" href=\"?page=1&amp;per_page=5&#38;a=&#60;#p\">Previous</a>\n"
	     "<span class=\"quiet\">page 2 of 4</span>\n"
	     "<a rel=\"next\" href=\"?page=3&amp;per_page=5&#38;a=&#60;#p\">Next</a>\n"
	     "<a href=\"?page=4&amp;per_page=5&#38;a=&#60;#p\">Last</a>\n</nav>\n",
	     html_pager(ret, &pager));
	pager = (struct pager){ .name = "things", .page = INT64_MAX, .pages = 2, .per_page = 5 };
	MADE("<nav class=\"pager\" aria-label=\"Pages of things\">\n"
	     "<a href=\"?page=1&amp;per_page=5\">First</a>\n"
	     "<a rel=\"prev\" href=\"?page=2&amp;per_page=5\">Previous</a>\n"
	     "<span class=\"quiet\">page 9,223,372,036,854,775,807 of 2</span>\n</nav>\n",
	     html_pager(ret, &pager));
}

int main(void)
{
	test_escape();
	test_numbers();
	test_times();
	test_words();
	test_pager();
	TEST_END();
}
