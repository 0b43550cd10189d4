/* SPDX-License-Identifier: MIT */
/* tests/unit/solve/strip.c: which bytes of a primary are cut out, wherever a window ends. */
#include "tests/unit/test.h"

#include "resolver/solve/strip.h"

#define WINDOW (256 * 1024)

static char *strip(const char *xml, size_t length)
{
	_cleanup_(text_done) struct text text = { 0 };
	_cleanup_(fclosep) FILE *primary = tmpfile();
	_cleanup_(fclosep) FILE *stripped = strip_open(primary);
	char buffer[1000];
	size_t got;

	CHECK_INT(fwrite(xml, 1, length, primary), length);
	rewind(primary);
	while ((got = fread(buffer, 1, sizeof(buffer), stripped)) > 0)
		text_add(&text, buffer, got);
	CHECK(!ferror(stripped));
	return text_steal(&text);
}

static void test_cases(void)
{
	static const struct {
		const char *xml, *want;
	} cases[] = {
		{ "", "" },
		{ "no markup", "no markup" },
		{ "<a><summary>x</summary><b/></a>", "<a><b/></a>" },
		{ "<a><time file=\"1\" build='2'/><b/></a>", "<a><b/></a>" },
		{ "<a><location href=\"a>b\" x='\">'/>t</a>", "<a>t</a>" },
		{ "<a><checksum type=\"sha256\"\n pkgid=\"YES\">1\n2</checksum >t</a>",
		  "<a>\n\nt</a>" },
		{ "<sizes>1</sizes><size>2</size><timeline/><time/>",
		  "<sizes>1</sizes><timeline/>" },
		{ "<rpm:license>x</rpm:license><license>x</license>", "<license>x</license>" },
		{ "<description/>a<description />b<description\n/>c", "ab\nc" },
		{ "<url><url>a</url>b</url>c", "c" },
		{ "<url><url/>b</url>c", "c" },
		{ "<url><size>b</url>c", "c" },
		{ "<description><![CDATA[</description>]]></description>c", "c" },
		{ "<description><!-- </description> --></description>c", "c" },
		{ "<!-- <summary>x</summary> -->c", "<!-- <summary>x</summary> -->c" },
		{ "<n><![CDATA[<summary>]]></n><summary>]]></summary>",
		  "<n><![CDATA[<summary>]]></n>" },
		{ "<!----><url>x</url>", "<!---->" },
		{ "<!DOCTYPE a><?pi <url?><b/>", "<!DOCTYPE a><?pi <url?><b/>" },
		{ "</summary>x", "</summary>x" },
		{ "<summary>never ended <b/>", "" },
		{ "x<summary", "x<summary" },
		{ "x<summary a=\">", "x<summary a=\">" },
		{ "x<", "x<" },
		{ "x</", "x</" },
		{ "x<!--", "x<!--" },
		{ "<package type=\"rpm\"><name>a</name></package>",
		  "<package type=\"rpm\"><name>a</name></package>" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_(freep) char *got = strip(cases[i].xml, strlen(cases[i].xml));

		CHECK_STR(got, cases[i].want);
	}
}

/* The same document with its parts in all places around the end of a window */
static void test_windows(void)
{
	static const char tail[] =
		"<url>u</url>t<!-- <url> --><description a='>'>x<![CDATA[</"
		"description>]]>\n</description><rpm:header-range start=\"1\"/>e";
	static const char want[] = "t<!-- <url> -->\ne";

	for (size_t shift = 0; shift < sizeof(tail) + 4; shift++) {
		size_t before = WINDOW - shift;
		_cleanup_(freep) char *xml = malloc(before + sizeof(tail)), *got = NULL;

		memset(xml, 'p', before);
		memcpy(xml + before, tail, sizeof(tail));
		got = strip(xml, before + sizeof(tail) - 1);
		CHECK_INT(strlen(got), before + sizeof(want) - 1);
		CHECK_STR(got + before, want);
	}
}

/* Longer than a window: elements are cut all the same, a tag without end is left to the parser */
static void test_long(void)
{
	_cleanup_(text_done) struct text element = { 0 }, tag = { 0 };
	_cleanup_(freep) char *got_element = NULL, *got_tag = NULL;

	text_adds(&element, "a<summary>");
	text_adds(&tag, "a<url>x</url><location href=\"");
	for (int i = 0; i < 2 * WINDOW; i += 8) {
		text_adds(&element, "<x>text\n");
		text_adds(&tag, "/path/of");
	}
	text_adds(&element, "</summary>b");
	text_adds(&tag, "\"/><url>x</url>b");
	got_element = strip(element.data, element.length);
	got_tag = strip(tag.data, tag.length);
	CHECK_INT(strlen(got_element), 2 + 2 * WINDOW / 8);
	CHECK_INT(strlen(got_tag), tag.length - strlen("<url>x</url>"));
	CHECK_STR(got_tag + strlen(got_tag) - 16, "\"/><url>x</url>b");
}

int main(void)
{
	test_cases();
	test_windows();
	test_long();
	TEST_END();
}
