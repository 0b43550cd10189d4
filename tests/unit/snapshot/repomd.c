/* SPDX-License-Identifier: MIT */
/* tests/unit/snapshot/repomd.c: repomd.xml by tables of cases. */
#include "resolver/snapshot/snapshot.h"
#include "tests/unit/test.h"

#include <fcntl.h>

#define HEAD "<repomd xmlns=\"http://linux.duke.edu/metadata/repo\">"
#define DATA(inside)                                                                               \
	HEAD "<data type=\"primary\"><checksum type=\"sha256\">ab</checksum>"                      \
	     "<location href=\"repodata/p.xml\"/>" inside "</data></repomd>"

static int parse(const char *text, struct repomd **ret, struct error *err)
{
	return repomd_parse(text, strlen(text), ret, err);
}

static void test_createrepo(void)
{
	struct repomd *repomd = NULL;
	const struct repomd_record *record;
	struct error err = { 0 };
	char *bytes = NULL;
	size_t length;

	CHECK_INT(file_read(AT_FDCWD,
			    SOURCE_ROOT "/tests/data/universe-small/base/repodata/repomd.xml",
			    REPOMD_MAX_BYTES, &bytes, &length),
		  0);
	CHECK_INT(repomd_parse(bytes, length, &repomd, &err), 0);
	CHECK_INT(repomd->count, 3);
	CHECK_INT(repomd->revision, 1700000000);
	CHECK_INT(repomd->timestamp, 1700000000);
	record = repomd_find(repomd, "primary");
	CHECK(record && !record->base);
	CHECK_STR(record->checksum_type, "sha256");
	CHECK_STR(record->checksum,
		  "75e91beefe345bdc8feafb538be90888c994c3c3921746f60f817f8326d7abaa");
	CHECK_STR(record->href,
		  "repodata/75e91beefe345bdc8feafb538be90888c994c3c3921746f60f817f8326"
		  "d7abaa-primary.xml.gz");
	CHECK(record->size > 0 && record->open_size > record->size && record->open_checksum);
	CHECK(!repomd_find(repomd, "modules"));
	CHECK(hex_is_digest(repomd->digest));
	repomd_free(repomd);
	free(bytes);
}

static void test_numbers(void)
{
	static const struct {
		const char *inside;
		int64_t revision, timestamp;
	} cases[] = {
		{ "<revision>9-stream</revision>", -1, 0 },
		{ "<revision> 17 </revision>", 17, 17 },
		{ "<revision>-3</revision>", -1, 0 },
		{ "<revision></revision>", -1, 0 },
		{ "<revision>99999999999999999999</revision>", -1, 0 },
		{ "", -1, 0 },
		{ "<revision>5</revision><data type=\"a\"><location href=\"x\"/>"
		  "<checksum type=\"sha\">00</checksum><timestamp>12.75</timestamp></data>"
		  "<data type=\"b\"><location href=\"y\"/><checksum type=\"sha\">00</checksum>"
		  "<timestamp>11</timestamp></data>",
		  5, 12 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_(repomd_freep) struct repomd *repomd = NULL;
		struct text text = { 0 };
		struct error err = { 0 };

		(void)text_addf(&text, HEAD "%s</repomd>", cases[i].inside);
		CHECK_INT(parse(text.data, &repomd, &err), 0);
		CHECK_INT(repomd->revision, cases[i].revision);
		CHECK_INT(repomd->timestamp, cases[i].timestamp);
		text_done(&text);
	}
}

static void test_forms(void)
{
	/* other prefixes, other encodings, no namespace: all the same document */
	static const char prefix[] =
		"<r:repomd xmlns:r=\"http://linux.duke.edu/metadata/repo\"><r:data type=\"x\">"
		"<r:checksum type=\"sha\">AB</r:checksum>"
		"<r:location xml:base=\"http://example.org/\" href=\"a/b\"/></r:data></r:repomd>";
	static const char latin[] = "<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?><repomd>"
				    "<data type=\"x\"><checksum type=\"sha\">ab</checksum>"
				    "<location href=\"\xe9\"/></data></repomd>";
	static const char foreign[] =
		"<repomd xmlns=\"http://linux.duke.edu/metadata/repo\" xmlns:o=\"urn:o\">"
		"<o:data type=\"x\"/><tags><data/></tags></repomd>";
	struct repomd *repomd = NULL;
	struct error err = { 0 };

	CHECK_INT(parse(prefix, &repomd, &err), 0);
	CHECK_STR(repomd->record[0].base, "http://example.org/");
	CHECK_STR(repomd->record[0].checksum, "ab");
	CHECK_INT(repomd->record[0].size, -1);
	repomd_free(repomd);
	CHECK_INT(parse(latin, &repomd, &err), 0);
	CHECK_STR(repomd->record[0].href, "\xc3\xa9");
	repomd_free(repomd);
	CHECK_INT(parse(foreign, &repomd, &err), 0);
	CHECK_INT(repomd->count, 0);
	repomd_free(repomd);
}

static void test_refused(void)
{
	static const struct {
		const char *text, *words;
	} cases[] = {
		{ "", "no element found" },
		{ "<html/>", "the root element is not repomd" },
		{ "<repomd xmlns=\"urn:other\"/>", "the root element is not repomd" },
		{ HEAD "<data type=\"a\">", "no element found" },
		{ HEAD "<data></data></repomd>", "without type" },
		{ HEAD "<data type=\"a\"><location href=\"x\"/></data></repomd>", "no checksum" },
		{ HEAD "<data type=\"a\"><checksum type=\"sha\">00</checksum></data></repomd>",
		  "no location" },
		{ DATA("<checksum type=\"sha\">00</checksum>"), "given twice" },
		{ DATA("<size>1</size><size>2</size>"), "given twice" },
		{ DATA("<size>-1</size>"), "not a number of bytes" },
		{ DATA("<size>1e9</size>"), "not a number of bytes" },
		{ DATA("<open-size>99999999999999999999</open-size>"), "not a number of bytes" },
		{ DATA("<timestamp>tomorrow</timestamp>"), "not a time" },
		{ DATA("<timestamp>253402300800</timestamp>"), "not a time" },
		{ DATA("<open-checksum type=\"sha\">xyz</open-checksum>"), "hexadecimal" },
		{ DATA("<size>1<b/>2</size>"), "inside a text" },
		{ "<!DOCTYPE repomd [<!ENTITY a \"b\">]><repomd/>", "document type" },
		{ "<repomd>&undefined;</repomd>", "undefined entity" },
	};
	static const char *const locations[] = { "../x",       "/x",	    "a/../x", "",
						 "http://a/x", "file:///x", "a//b",   "a/./b",
						 "a&#10;b",    "a\\b" };

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct repomd *repomd = NULL;
		struct error err = { 0 };

		CHECK_INT(parse(cases[i].text, &repomd, &err), -EBADMSG);
		CHECK(!repomd && strstr(err.message, cases[i].words));
		CHECK_INT(err.blame, BLAME_SOURCE);
		CHECK_STR(err.field, "repomd.xml");
	}
	for (size_t i = 0; i < ARRAY_SIZE(locations); i++) {
		struct repomd *repomd = NULL;
		struct error err = { 0 };
		char text[512];

		(void)snprintf(text, sizeof(text),
			       HEAD "<data type=\"a\"><checksum type=\"sha\">00</checksum>"
				    "<location href=\"%s\"/></data></repomd>",
			       locations[i]);
		CHECK(parse(text, &repomd, &err) < 0 && !repomd);
		CHECK_INT(err.blame, BLAME_SOURCE);
		CHECK(err.message[0]);
	}
}

static void test_limits(void)
{
	struct repomd *repomd = NULL;
	struct text text = { 0 };
	struct error err = { 0 };

	(void)text_adds(&text, HEAD);
	for (int i = 0; i < 10000; i++)
		(void)text_addf(&text,
				"<data type=\"t%d\"><checksum type=\"sha\">00</checksum>"
				"<location href=\"f%d\"/></data>",
				i, i);
	(void)text_adds(&text, "</repomd>");
	CHECK_INT(parse(text.data, &repomd, &err), -EBADMSG);
	CHECK(!repomd && strstr(err.message, "more than 1000 records"));

	text_clear(&text);
	(void)text_adds(&text, HEAD "<data type=\"");
	for (int i = 0; i < 1 << 20; i++)
		(void)text_add(&text, "x", 1);
	(void)text_adds(&text, "\"/></repomd>");
	CHECK_INT(parse(text.data, &repomd, &err), -EBADMSG);
	CHECK(strstr(err.message, "longer than"));

	text_clear(&text);
	(void)text_adds(&text, HEAD);
	for (int i = 0; i < 100000; i++)
		(void)text_adds(&text, "<a>");
	CHECK_INT(parse(text.data, &repomd, &err), -EBADMSG);
	CHECK(strstr(err.message, "deep"));

	text_clear(&text);
	(void)text_reserve(&text, REPOMD_MAX_BYTES + 1);
	memset(text.data, ' ', REPOMD_MAX_BYTES + 1);
	CHECK_INT(repomd_parse(text.data, REPOMD_MAX_BYTES + 1, &repomd, &err), -EBADMSG);
	CHECK(strstr(err.message, "larger than"));
	text_done(&text);
}

int main(void)
{
	test_createrepo();
	test_numbers();
	test_forms();
	test_refused();
	test_limits();
	TEST_END();
}
