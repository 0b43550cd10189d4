/* SPDX-License-Identifier: MIT */
/* tests/unit/snapshot/hostile.c: repositories that lie, overflow or break off; snapshots that were
 * damaged.
 *
 * promises = 17, 18 */
#include "tests/unit/snapshot/repository.h"

#define METADATA                                                                                   \
	"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"                                             \
	"<metadata xmlns=\"http://linux.duke.edu/metadata/common\" "                               \
	"xmlns:rpm=\"http://linux.duke.edu/metadata/rpm\" packages=\"2\">\n"
#define ZEROS "000000000000000000000000000000" /* with two digits an MD5 */
#define PACKAGE_WITH(name, location, inside, requires)                                             \
	"<package type=\"rpm\">\n  <name>" name "</name>\n  <arch>x86_64</arch>\n"                 \
	"  <version epoch=\"0\" ver=\"1\" rel=\"2\"/>\n"                                           \
	"  <checksum type=\"md5\" pkgid=\"YES\">" ZEROS name "</checksum>\n" inside                \
	"  <size package=\"100\"/>\n  <time file=\"7\"/>\n  " location "\n  <format>\n"            \
	"    <rpm:sourcerpm>x-1-2.src.rpm</rpm:sourcerpm>\n    <rpm:provides><rpm:entry "          \
	"name=\"" name "\"/></rpm:provides>" requires "\n  </format>\n</package>\n"
#define PACKAGE(name) PACKAGE_WITH(name, "<location href=\"" name ".rpm\"/>", "", "")
#define REQUIRES(path) "<rpm:requires><rpm:entry name=\"" path "\"/></rpm:requires>"
#define FILELISTS "<filelists xmlns=\"http://linux.duke.edu/metadata/filelists\" packages=\"2\">\n"
#define FILES(pkgid, files)                                                                        \
	"<package pkgid=\"" ZEROS pkgid "\" name=\"n\" arch=\"a\"><version epoch=\"0\" ver=\"1\" " \
	"rel=\"2\"/>" files "</package>\n"

static const char *without_opening(const char *package)
{
	return package + strlen("<package type=\"rpm\">");
}

/* Build from texts; @filelists may be NULL. Returns the result, and the log in repository->log. */
static int build(struct repository *repository, const char *primary, const char *filelists,
		 struct snapshot **ret, struct error *err)
{
	repository_start(repository, NULL);
	*err = (struct error){ 0 };
	CHECK(repository_add(repository, "primary", primary, strlen(primary), NULL, NULL));
	if (filelists)
		CHECK(repository_add(repository, "filelists", filelists, strlen(filelists), NULL,
				     NULL));
	return repository_build(repository, ret, err);
}

static void expect_refused(const char *primary, const char *filelists, const char *field,
			   const char *words)
{
	struct repository repository;
	struct snapshot *snapshot = NULL;
	struct error err;
	int r = build(&repository, primary, filelists, &snapshot, &err);

	CHECK(r < 0 && !snapshot);
	CHECK_INT(err.blame, BLAME_SOURCE);
	CHECK_STR(err.field, field);
	if (!strstr(err.message, words))
		CHECK_STR(err.message, words);
	repository_check_empty(&repository);
	snapshot_free(snapshot);
	repository_done(&repository);
}

static void test_primary(void)
{
	static const struct {
		const char *text, *words;
	} cases[] = {
		{ "", "no element found" },
		{ METADATA PACKAGE("aa"), "no element found" }, /* truncated */
		{ METADATA "<package><name>a</metadata>", "mismatched tag" },
		{ "<html></html>", "the root element is <html>" },
		{ "<m:metadata xmlns:m=\"http://linux.duke.edu/metadata/common\"/>",
		  "the root element is <m:metadata>" },
		{ "<metadata xmlns=\"urn:other\"/>", "the default namespace is urn:other" },
		{ "<metadata xmlns:rpm=\"urn:other\"/>", "the prefix rpm means urn:other" },
		{ "<metadata xml:base=\"http://x/\"/>", "xml:base" },
		{ METADATA "<package xml:base=\"x\"/></metadata>", "xml:base" },
		{ "<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?><metadata/>",
		  "its encoding is ISO-8859-1" },
		{ "<!DOCTYPE metadata [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;&a;\">"
		  "<!ENTITY c \"&b;&b;&b;&b;&b;\">]><metadata>&c;</metadata>",
		  "a document type is not accepted" },
		{ METADATA "&lol;</metadata>", "undefined entity" },
		{ METADATA "<package>\xff</package></metadata>", "not well-formed" },
		{ METADATA PACKAGE_WITH("aa", "<location href=\"a.rpm\"/>", PACKAGE("bb"),
					"") "</metadata>",
		  "package 1 (aa), line 8: <package> inside another element" },
		{ METADATA PACKAGE_WITH("aa", "<location href=\"a.rpm\"/>",
					"<location href=\"b.rpm\"/>", "") "</metadata>",
		  "package 1 (aa), line 10: <location> is given twice" },
		{ METADATA PACKAGE_WITH("aa", "", "", "") "</metadata>",
		  "package 1 (aa): it has no location" },
		{ METADATA PACKAGE_WITH("aa", "<location/>", "", "") "</metadata>",
		  "without href" },
		{ METADATA PACKAGE("zz") "</metadata>", "it has no checksum" },
		{ METADATA PACKAGE("abc") "</metadata>", "its checksum is not one of its type" },
		{ METADATA PACKAGE("a/b") "</metadata>", "its name is not one" },
		{ METADATA PACKAGE("a<b/>") "</metadata>", "<b> inside a text" },
		{ METADATA PACKAGE("a&#10;b") "</metadata>", "its name is not one" },
		{ METADATA "<package type=\"rpm\"/></metadata>", "package 1 (): it has no name" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		expect_refused(cases[i].text, NULL, "primary.xml", cases[i].words);
}

static void test_locations(void)
{
	static const char *const bad[] = { "../a.rpm",	 "a/../../b.rpm",  "/etc/passwd",
					   "",		 "http://h/a.rpm", "file:///a.rpm",
					   "a&#0;b.rpm", "a&#10;b.rpm",	   "./a.rpm",
					   "a//b.rpm",	 "a\\b.rpm",	   "a/" };

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct text text = { 0 };

		(void)text_addf(&text,
				METADATA "%s<package type=\"rpm\"><name>bb</name><arch>noarch"
					 "</arch><version epoch=\"0\" ver=\"1\" rel=\"1\"/>"
					 "<checksum type=\"md5\" pkgid=\"YES\">" ZEROS
					 "00</checksum>"
					 "<location href=\"%s\"/></package></metadata>",
				PACKAGE("aa"), bad[i]);
		expect_refused(text.data, NULL, "primary.xml",
			       strstr(bad[i], "&#0;") ? "reference to invalid character number"
						      : "package 2 (bb)");
		text_done(&text);
	}
}

static void test_sizes(void)
{
	struct text text = { 0 }, element = { 0 };
	struct repository repository;
	struct snapshot *snapshot = NULL;
	struct error err;

	/* a name of 1 MB */
	(void)text_adds(&text, METADATA "<package type=\"rpm\"><name>");
	for (int i = 0; i < 1 << 20; i++)
		(void)text_add(&text, "n", 1);
	(void)text_adds(&text, "</name></package></metadata>");
	expect_refused(text.data, NULL, "primary.xml", "a text of more than 4096 bytes");

	/* a location of 1 MB */
	text_clear(&text);
	(void)text_adds(&text, METADATA "<package type=\"rpm\"><name>aa</name><location href=\"");
	for (int i = 0; i < 1 << 20; i++)
		(void)text_add(&text, "n", 1);
	(void)text_adds(&text, "\"/></package></metadata>");
	expect_refused(text.data, NULL, "primary.xml", "more than 4096 bytes");

	/* a tag of 5 MB */
	text_clear(&text);
	(void)text_adds(&text, METADATA "<package type=\"");
	for (int i = 0; i < 5 << 20; i++)
		(void)text_add(&text, "n", 1);
	(void)text_adds(&text, "\"/></metadata>");
	expect_refused(text.data, NULL, "primary.xml", "a tag of more than");

	/* elements inside each other */
	text_clear(&text);
	(void)text_adds(&text, METADATA);
	for (int i = 0; i < 100000; i++)
		(void)text_adds(&text, "<a>");
	expect_refused(text.data, NULL, "primary.xml", "deep");

	/* a description of 3 MB is allowed, and comes back over several frames */
	text_clear(&text);
	(void)text_adds(&text, METADATA PACKAGE("bb") "<package type=\"rpm\"><description>");
	for (int i = 0; i < 3 << 18; i++)
		(void)text_addf(&text, "%c%d\n", 'a' + i * 7 % 26, i % 10);
	(void)text_adds(&text, "</description>");
	(void)text_adds(&text, without_opening(PACKAGE("aa")));
	(void)text_adds(&text, PACKAGE("cc") "</metadata>");
	CHECK_INT(build(&repository, text.data, NULL, &snapshot, &err), 0);
	CHECK_STR(err.message, "");
	for (uint32_t i = 3; i-- > 0;) {
		const char *start = text.data;

		for (uint32_t k = 0; k <= i; k++)
			start = strstr(start + 1, "<package");
		text_clear(&element);
		CHECK_INT(snapshot_element(snapshot, SNAPSHOT_PRIMARY, i, &element, NULL, &err), 0);
		CHECK(element.length > 300 && !strncmp(element.data, start, element.length));
		CHECK_STR(element.data + element.length - 10, "</package>");
	}
	snapshot_free(snapshot);
	repository_done(&repository);
	text_done(&text);
	text_done(&element);
}

static void test_lies(void)
{
	static const struct {
		struct lies lies;
		const char *words;
	} cases[] = {
		{ { .checksum = "00" }, "checksum is" },
		{ { .checksum_type = "crc32" }, "checksum type \"crc32\" is not known" },
		{ { .size = 10 }, "more than the 10 bytes" },
		{ { .size = 100000 }, "repomd.xml says 100000" },
		{ { .open_size = 10 }, "more than the 10 bytes" },
		{ { .open_size = 100000 }, "repomd.xml says 100000" },
	};
	static const char primary[] = METADATA PACKAGE("aa") "</metadata>";
	static const char filelists[] = FILELISTS FILES("aa", "") "</filelists>";

	for (size_t i = 0; i < ARRAY_SIZE(cases) * 2; i++) {
		const struct lies *lies = &cases[i / 2].lies;
		struct repository repository;
		struct snapshot *snapshot = NULL;
		struct error err = { 0 };

		repository_start(&repository, NULL);
		CHECK(repository_add(&repository, "primary", primary, strlen(primary), "gzip -c",
				     i % 2 ? NULL : lies));
		CHECK(repository_add(&repository, "filelists", filelists, strlen(filelists),
				     "gzip -c", i % 2 ? lies : NULL));
		CHECK_INT(repository_build(&repository, &snapshot, &err), -EBADMSG);
		CHECK_STR(err.field, i % 2 ? "filelists.xml" : "primary.xml");
		CHECK_INT(err.blame, BLAME_SOURCE);
		CHECK(strstr(err.message, cases[i / 2].words));
		CHECK(strstr(err.message, i % 2 ? "repodata/filelists-1" : "repodata/primary-0"));
		repository_check_empty(&repository);
		repository_done(&repository);
	}
}

/* Only the open-checksum is wrong: said, not refused, in whichever thread it is met. */
static void test_open_checksum(void)
{
	static const char *const types[] = { "primary", "filelists", "other" };
	static const char *const texts[] = {
		METADATA PACKAGE("aa") "</metadata>",
		FILELISTS FILES("aa", "") "</filelists>",
		"<otherdata>" FILES("aa", "") "</otherdata>",
	};
	struct lies lies = { .open_checksum = "00" };
	struct repository repository;
	struct snapshot *snapshot = NULL;
	struct text want = { 0 };
	struct error err = { 0 };

	repository_start(&repository, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		CHECK(repository_add(&repository, types[i], texts[i], strlen(texts[i]), NULL,
				     &lies));
		(void)text_addf(&want,
				"repodata/%s-%zu: the open-checksum in repomd.xml is not that of "
				"its content\n",
				types[i], i);
	}
	CHECK_INT(repository_build(&repository, &snapshot, &err), 0);
	CHECK_STR(err.message, "");
	CHECK_STR(repository.log.data, want.data);
	snapshot_free(snapshot);
	repository_done(&repository);
	text_done(&want);
}

/* Whatever may stand between and inside packages comes back as it was. */
static void test_bytes(void)
{
	static const char element[] =
		"<package\r\n\ttype='rpm' ><!-- <package> --><name>aa</name><?x <package>?>"
		"<arch>src</arch><version rel='2' ver='1'/><description><![CDATA[</package>]]>"
		"\xc3\xa9&#233;&lt;/package></description><checksum type=\"md5\" pkgid='YES'>" ZEROS
		"AA</checksum>";
	static const char location[] = "<location\thref='a&#x2f;aa&amp;.rpm'\n></location >";
	static const char tail[] = "</package\n>";
	struct repository repository;
	struct snapshot *snapshot = NULL;
	struct snapshot_package package;
	struct text text = { 0 }, want = { 0 };
	size_t place[2] = { 0, 0 };
	struct error err;
	uint32_t index;

	(void)text_addf(&want, "%s%s%s", element, location, tail);
	(void)text_addf(
		&text,
		"\xef\xbb\xbf<?xml version='1.0' encoding='utf-8'?><!-- a -->\r\n"
		"<metadata><other><name/></other>%s<!-- <package/> -->%s</metadata> <!-- -->",
		want.data, PACKAGE("bb"));
	CHECK_INT(build(&repository, text.data, NULL, &snapshot, &err), 0);
	CHECK_STR(err.message, "");
	CHECK_INT(snapshot_count(snapshot), 2);
	text_clear(&text);
	CHECK_INT(snapshot_element(snapshot, SNAPSHOT_PRIMARY, 0, &text, place, &err), 0);
	CHECK_STR(text.data, want.data);
	CHECK_INT(place[0], strlen(element));
	CHECK_INT(place[1], strlen(location));
	snapshot_package_get(snapshot, 0, &package);
	CHECK_STR(package.href, "a/aa&.rpm");
	CHECK_STR(package.checksum, ZEROS "aa");
	CHECK_STR(package.sourcerpm, "");
	CHECK(package.source && package.size == 0 && package.epoch == 0);
	/* found by its NEVRA, and by the name that its file has */
	CHECK_INT(snapshot_find_source(snapshot, "aa-1-2.src.rpm", &index), 0);
	CHECK_INT(snapshot_find_source(snapshot, "aa&.rpm", &index), 0);
	CHECK_INT(snapshot_find_source(snapshot, "bb-1-2.src.rpm", &index), -ENOENT);
	snapshot_free(snapshot);
	repository_done(&repository);
	text_done(&text);
	text_done(&want);
}

/* 100 MB of zeros behind a repomd that says nothing of sizes: stopped by the ratio. */
static void test_bomb(void)
{
	struct lies silent = { .silent = true };
	struct repository repository;
	struct snapshot *snapshot = NULL;
	struct error err = { 0 };

	repository_start(&repository, NULL);
	if (repository_add(&repository, "primary", "", 0,
			   "(printf '<metadata>'; head -c 100000000 /dev/zero | tr '\\0' ' ') | "
			   "gzip -c",
			   &silent)) {
		CHECK_INT(repository_build(&repository, &snapshot, &err), -EBADMSG);
		CHECK(strstr(err.message, "times its size"));
		repository_check_empty(&repository);
	}
	repository_done(&repository);
}

static void test_missing(void)
{
	struct repository repository;
	struct snapshot *snapshot = NULL;
	struct error err = { 0 };

	repository_start(&repository, NULL);
	CHECK_INT(repository_build(&repository, &snapshot, &err), -EBADMSG);
	CHECK(strstr(err.message, "no record \"primary\""));
	repository_check_empty(&repository);
	repository_done(&repository);

	/* a record whose file is not there; other.xml may be missing, filelists.xml may not */
	for (int i = 0; i < 2; i++) {
		repository_start(&repository, NULL);
		CHECK(repository_add(&repository, "primary", METADATA "</metadata>",
				     strlen(METADATA "</metadata>"), NULL, NULL));
		CHECK(repository_add(&repository, i ? "other" : "filelists", "", 0, NULL, NULL));
		repository.file[1].href[0] = 'X';
		CHECK_INT(repository_build(&repository, &snapshot, &err), i ? 0 : -ENOENT);
		CHECK(!i || snapshot_count(snapshot) == 0);
		CHECK(!i || strstr(repository.log.data, "changelogs stay empty"));
		snapshot_free(snapshot);
		snapshot = NULL;
		repository_done(&repository);
	}
}

/* ---- filelists and other ---- */

static int add_found(void *data, uint32_t index, const char *path)
{
	return text_addf(data, "%" PRIu32 " %s\n", index, path);
}

static void find(struct snapshot *snapshot, const char *path, const char *want)
{
	struct strings paths = { 0 };
	struct text found = { 0 };
	struct error err = { 0 };

	(void)text_reserve(&found, 0);
	CHECK_INT(strings_add(&paths, path), 0);
	CHECK_INT(snapshot_find_paths(snapshot, &paths, add_found, &found, &err), 0);
	CHECK_STR(found.data, want);
	text_done(&found);
	/* the same among so many that everything is parsed */
	for (int i = 0; i < 20; i++)
		CHECK_INT(strings_add(&paths, path[0] == '/' ? "/~~~" : ""), 0);
	(void)text_reserve(&found, 0);
	CHECK_INT(snapshot_find_paths(snapshot, &paths, add_found, &found, &err), 0);
	CHECK_STR(found.data, want);
	text_done(&found);
	strings_done(&paths);
}

static void test_filelists(void)
{
	static const char primary[] = METADATA PACKAGE_WITH("aa", "<location href=\"aa.rpm\"/>", "",
							    REQUIRES("/usr/share/known"))
		PACKAGE("bb") PACKAGE("aa") PACKAGE_WITH("cc", "<location href=\"cc.rpm\"/>", "",
							 REQUIRES("/usr/bin/in-primary"))
			PACKAGE_WITH("dd",
				     "<location xml:base=\"http://h/?a&amp;b\" href=\"dd.rpm\" />",
				     "", REQUIRES("(/usr/lib/rich or /no/owner)")) "</metadata>";
	/* another order, one of no package, aa once for two, bb not at all, signs written in all
	 * ways */
	static const char filelists[] = FILELISTS FILES(
		"dd", "<file>/usr/share/known</file><file type=\"dir\">/usr/lib/rich</file>"
		      "<file>/a&amp;b/&lt;c&gt;</file>")
		FILES("ff", "<file>/usr/share/known</file>")
			FILES("AA", "<file>/usr/share/known</file><file>/x&#47;numb&#x65;r</file>"
				    "<file>/usr/bin/in-primary</file>")
				FILES("cc", "<file>/plain/file</file>") "</filelists>";
	struct repository repository;
	struct snapshot *snapshot = NULL;
	struct snapshot_package package;
	struct text text = { 0 };
	struct error err;

	CHECK_INT(build(&repository, primary, filelists, &snapshot, &err), 0);
	CHECK_STR(err.message, "");
	CHECK_STR(repository.log.data,
		  "the repository has no other.xml\n"
		  "1 packages are listed again with a checksum seen before\n"
		  "filelists.xml: 1 elements belong to no package of primary.xml\n"
		  "filelists.xml: 1 packages of primary.xml have no element\n");
	CHECK_INT(snapshot_count(snapshot), 5);
	snapshot_package_get(snapshot, 4, &package);
	CHECK_STR(package.base, "http://h/?a&b");
	find(snapshot, "/usr/share/known",
	     "0 /usr/share/known\n2 /usr/share/known\n"
	     "4 /usr/share/known\n");
	find(snapshot, "/usr/lib/rich", "4 /usr/lib/rich\n");
	find(snapshot, "/no/owner", "");
	find(snapshot, "/plain/file", "3 /plain/file\n");
	find(snapshot, "/a&b/<c>", "4 /a&b/<c>\n");
	find(snapshot, "/x/number", "0 /x/number\n2 /x/number\n");
	find(snapshot, "/x&#47;number", "");
	find(snapshot, "/usr/bin/in-primary", "0 /usr/bin/in-primary\n2 /usr/bin/in-primary\n");
	find(snapshot, "", "");
	(void)text_reserve(&text, 0);
	CHECK_INT(snapshot_paths(snapshot, add_found, &text), 0);
	CHECK_STR(text.data, "4 /usr/lib/rich\n0 /usr/share/known\n2 /usr/share/known\n"
			     "4 /usr/share/known\n");
	for (uint32_t i = 0; i < 3; i += 2) { /* both get the one element */
		text_clear(&text);
		CHECK_INT(snapshot_element(snapshot, SNAPSHOT_FILELISTS, i, &text, NULL, &err), 0);
		CHECK(strncmp(text.data, "<package pkgid=\"" ZEROS "AA\"", 49) == 0);
	}
	text_clear(&text);
	CHECK_INT(snapshot_element(snapshot, SNAPSHOT_OTHER, 1, &text, NULL, &err), 0);
	CHECK_STR(text.data, "<package pkgid=\"" ZEROS "bb\" name=\"bb\" arch=\"x86_64\">\n"
			     "  <version epoch=\"0\" ver=\"1\" rel=\"2\"/>\n</package>");
	text_done(&text);
	snapshot_free(snapshot);
	repository_done(&repository);
}

/* One checksum for everything: quick, and each element where it belongs. */
static void test_one_checksum(void)
{
	struct text primary = { 0 }, filelists = { 0 }, element = { 0 };
	struct repository repository;
	struct snapshot *snapshot = NULL;
	struct error err;
	int64_t start = time_monotonic_ms();
	const uint32_t many = 100000;
	char want[32];

	(void)text_adds(&primary, METADATA);
	(void)text_adds(&filelists, FILELISTS);
	for (uint32_t i = 0; i < many; i++) {
		(void)text_adds(&primary, PACKAGE("aa"));
		(void)text_addf(&filelists, FILES("aa", "<file>/%" PRIu32 "</file>"), i);
	}
	(void)text_adds(&primary, "</metadata>");
	(void)text_adds(&filelists, "</filelists>");
	CHECK_INT(build(&repository, primary.data, filelists.data, &snapshot, &err), 0);
	CHECK_INT(snapshot_count(snapshot), many);
	for (uint32_t i = 0; i < many; i += 997) {
		text_clear(&element);
		CHECK_INT(snapshot_element(snapshot, SNAPSHOT_FILELISTS, i, &element, NULL, &err),
			  0);
		(void)snprintf(want, sizeof(want), "<file>/%" PRIu32 "</file>", i);
		CHECK(strstr(element.data, want));
	}
	CHECK(time_monotonic_ms() - start < 60000); /* quadratic: minutes */
	text_done(&primary);
	text_done(&filelists);
	text_done(&element);
	snapshot_free(snapshot);
	repository_done(&repository);
}

/* Comments and CDATA may stand inside a path: nothing can be told from the bytes alone. */
static void test_odd_filelists(void)
{
	static const char filelists[] = FILELISTS FILES(
		"aa", "<file>/usr<!-- x -->/odd</file><file><![CDATA[/c&d]]></file>")
		FILES("bb", "<file>/usr<?x y?>/odd</file>") "</filelists>";
	struct repository repository;
	struct snapshot *snapshot = NULL;
	struct error err;

	CHECK_INT(build(&repository, METADATA PACKAGE("aa") PACKAGE("bb") "</metadata>", filelists,
			&snapshot, &err),
		  0);
	find(snapshot, "/usr/odd", "0 /usr/odd\n1 /usr/odd\n");
	find(snapshot, "/c&d", "0 /c&d\n");
	snapshot_free(snapshot);
	repository_done(&repository);

	expect_refused(METADATA PACKAGE("aa") "</metadata>", FILELISTS FILES("aa", "<file>"),
		       "filelists.xml", "mismatched tag");
	expect_refused(METADATA PACKAGE("aa") "</metadata>",
		       "<!DOCTYPE x []>" FILELISTS "</filelists>", "filelists.xml",
		       "document type");
	expect_refused(METADATA PACKAGE("aa") "</metadata>", METADATA "</metadata>",
		       "filelists.xml", "<filelists> is wanted");
}

/* Prefixes: what the package says itself is fine, what only the root says is not. */
static void test_prefixes(void)
{
	static const char root[] = "<metadata xmlns=\"http://linux.duke.edu/metadata/common\" "
				   "xmlns:rpm=\"http://linux.duke.edu/metadata/rpm\" "
				   "xmlns:s=\"urn:s\">";
	static const struct {
		const char *inside;
		bool fine;
	} cases[] = {
		{ "", true },
		{ "<s:x/>", false },
		{ "<x s:y=\"1\"/>", false },
		{ "<s:x xmlns:s=\"urn:t\"/>", true },
		{ "<x xmlns:s=\"urn:t\"><s:y s:z=\"1\" xml:lang=\"en\"/></x>", true },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct repository repository;
		struct snapshot *snapshot = NULL;
		struct text text = { 0 };
		struct error err;
		int r;

		(void)text_addf(&text, "%s<package type=\"rpm\">%s%s</metadata>", root,
				cases[i].inside, without_opening(PACKAGE("aa")));
		r = build(&repository, text.data, NULL, &snapshot, &err);
		CHECK_INT(r, cases[i].fine ? 0 : -EBADMSG);
		CHECK(cases[i].fine || strstr(err.message, "declared outside the package"));
		snapshot_free(snapshot);
		repository_done(&repository);
		text_done(&text);
	}
}

int main(void)
{
	test_primary();
	test_locations();
	test_sizes();
	test_lies();
	test_open_checksum();
	test_bytes();
	test_bomb();
	test_missing();
	test_filelists();
	test_one_checksum();
	test_odd_filelists();
	test_prefixes();
	TEST_END();
}
