/* SPDX-License-Identifier: MIT */
/* tests/unit/sources/sources.c: from a request to rows, over repositories made for each case. */
#include "tests/unit/sources/made.h"
#include "tests/unit/test.h"

#include "resolver/sources/source.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

struct fixture {
	char top[64];
	int state_dirfd;
	struct pools *pools;
	struct text log;
	struct error err;
	int r; /* of the last load */
};

static void fixture_start(struct fixture *fixture, size_t limit)
{
	struct error err = { 0 };

	*fixture = (struct fixture){ .state_dirfd = -1 };
	strcpy(fixture->top, "/tmp/odcsfs-sources-XXXXXX");
	CHECK(mkdtemp(fixture->top) != NULL);
	fixture->state_dirfd = open(fixture->top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CHECK_INT(pools_new(directory_open(fixture->state_dirfd, "snapshots"), limit,
			    &fixture->pools, &err),
		  0);
}

static void fixture_done(struct fixture *fixture)
{
	pools_free(fixture->pools);
	text_done(&fixture->log);
	closep(&fixture->state_dirfd);
	CHECK_INT(directory_remove(AT_FDCWD, fixture->top), 0);
}

static void make(struct fixture *fixture, const char *name, const struct made *package,
		 size_t count)
{
	char path[128];

	(void)snprintf(path, sizeof(path), "%s/%s", fixture->top, name);
	made_repository(path, package, count, "1234", 5678, NULL);
}

static void make_repomd(struct fixture *fixture, const char *name, const char *bytes)
{
	char path[64];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/repodata", name);
	fd = directory_open(fixture->state_dirfd, path);
	CHECK_INT(file_publish(fd, "repomd.xml", bytes, strlen(bytes)), 0);
	(void)close(fd);
}

static void on_log(void *data, const char *text)
{
	struct fixture *fixture = data;

	text_addf(&fixture->log, "%s\n", text);
}

/* @words: members of the request beside source.source and .packages; @from: names of repositories
 */
static struct package_set *load(struct fixture *fixture, const char *from, const char *packages,
				const char *words)
{
	_cleanup_(strings_done) struct strings arches = { 0 }, none = { 0 }, sources = { 0 };
	_cleanup_(text_done) struct text request = { 0 };
	_cleanup_(transport_freep) struct transport *transport = NULL;
	struct spec_rules rules = { .default_seconds_to_live = 9,
				    .maximum_seconds_to_live = 9,
				    .default_arches = &arches,
				    .base_module_names = &none,
				    .target_dirs = &none,
				    .raw_configs = &none,
				    .maximum_packages = SPEC_MAX_PACKAGES };
	struct job job = { .id = 1, .trusted = true, .known_event = -1 };
	struct package_set *set = NULL;
	struct source_context context = {
		.job = &job, .pools = fixture->pools, .log = on_log, .data = fixture
	};

	strings_add(&arches, "x86_64");
	strings_split(&sources, from, ' ');
	text_adds(&request, "{\"source\":{\"type\":\"repo\",\"source\":\"");
	for (size_t i = 0; i < sources.count; i++)
		text_addf(&request, "%s%s/%s", i ? " " : "", fixture->top, sources.item[i]);
	text_addf(&request, "\"%s%s}%s}", packages ? ",\"packages\":" : "",
		  packages ? packages : "", words);
	text_clear(&fixture->log);
	fixture->err = (struct error){ 0 };
	fixture->r = spec_parse(request.data, request.length, &rules, &job.spec, NULL, NULL,
				&fixture->err);
	CHECK_INT(fixture->r, 0);
	CHECK_STR(fixture->err.message, "");
	CHECK_INT(transport_local(NULL, true, getuid(), getgid(), &transport, &fixture->err), 0);
	context.transport = transport;
	context.snapshots_dirfd = directory_open(fixture->state_dirfd, "snapshots");
	fixture->r = source_load(&context, &set, &fixture->err);
	(void)close(context.snapshots_dirfd);
	spec_free(job.spec);
	return set;
}

/* "os:x86_64:FILE debug:… source:FILE", in the order of the set */
static char *rows(struct package_set *set, bool with_reason)
{
	static const char *const trees[] = { "os", "debug", "source" };
	_cleanup_(text_done) struct text text = { 0 };
	const struct composition *composition = set ? package_set_composition(set) : NULL;

	for (size_t i = 0; composition && i < composition->count; i++) {
		const struct composer_package *row = &composition->package[i];

		text_addf(&text, "%s%s", text.length ? " " : "", trees[row->tree]);
		if (row->tree != COMPOSER_SOURCE)
			text_addf(&text, ":%s", composition->arches->item[row->arch]);
		text_addf(&text, ":%s", row->path);
		if (with_reason)
			text_addf(&text, " (%s)", row->reason);
	}
	return text_steal(&text);
}

static void expect(struct fixture *fixture, const char *from, const char *packages,
		   const char *words, const char *want)
{
	_cleanup_(package_set_freep) struct package_set *set = load(fixture, from, packages, words);
	_cleanup_(freep) char *got = rows(set, false);

	CHECK_STR(fixture->err.message, "");
	CHECK_STR(got, want);
}

static void expect_failure(struct fixture *fixture, const char *from, const char *packages,
			   const char *words, int code, enum blame blame, const char *message)
{
	_cleanup_(package_set_freep) struct package_set *set = load(fixture, from, packages, words);
	_cleanup_(freep) char *got = strdup(fixture->err.message);
	char *top;

	CHECK(set == NULL);
	CHECK_INT(fixture->r, code);
	CHECK_INT(fixture->err.blame, blame);
	while ((top = strstr(got, fixture->top))) /* the name of the directory changes */
		memmove(top, top + strlen(fixture->top), strlen(top + strlen(fixture->top)) + 1);
	CHECK_STR(got, message);
}

#define MAKE(fixture, name, ...)                                                                   \
	do {                                                                                       \
		const struct made packages_[] = { __VA_ARGS__ };                                   \
		make(fixture, name, packages_, ARRAY_SIZE(packages_));                             \
	} while (0)

static void test_trees(void)
{
	struct fixture fixture;
	struct package_set *set;
	_cleanup_(freep) char *got = NULL;

	fixture_start(&fixture, 1 << 20);
	MAKE(&fixture, "r",
	     { .name = "a",
	       .version = "1",
	       .arch = "x86_64",
	       .source = "asrc",
	       .words = "r:b",
	       .size = 10 },
	     { .name = "a-debuginfo",
	       .version = "1",
	       .arch = "x86_64",
	       .source = "asrc",
	       .size = 11 },
	     { .name = "a-debugsource",
	       .version = "1",
	       .arch = "x86_64",
	       .source = "asrc",
	       .size = 12 },
	     { .name = "a-debuginfo",
	       .version = "1",
	       .arch = "i686",
	       .source = "asrc",
	       .size = 13 },
	     { .name = "b", .version = "1", .arch = "noarch", .source = "bsrc", .size = 14 },
	     { .name = "b-debuginfo",
	       .version = "1",
	       .arch = "x86_64",
	       .source = "bsrc",
	       .size = 15 },
	     { .name = "c", .version = "1", .arch = "s390x", .source = "asrc", .size = 16 },
	     { .name = "asrc", .version = "1", .arch = "src", .size = 17 });
	MAKE(&fixture, "sources", { .name = "bsrc", .version = "1", .arch = "src", .size = 20 },
	     { .name = "asrc", .version = "1", .arch = "src", .size = 21 });

	set = load(&fixture, "r sources", "[\"a\"]", "");
	got = rows(set, true);
	CHECK_STR(got,
		  "os:x86_64:a-1-1.x86_64.rpm (requested) "
		  "os:x86_64:b-1-1.noarch.rpm (required by a-1-1.x86_64: b) "
		  "debug:x86_64:a-debuginfo-1-1.x86_64.rpm (debug package of asrc-1-1.src.rpm) "
		  "debug:x86_64:a-debugsource-1-1.x86_64.rpm (debug package of "
		  "asrc-1-1.src.rpm) "
		  "source:asrc-1-1.src.rpm (source of a-1-1.x86_64) "
		  "source:bsrc-1-1.src.rpm (source of b-1-1.noarch)");
	CHECK_INT(package_set_event(set), 1234);
	CHECK(package_set_bytes_written(set) > 0);
	CHECK_INT(package_set_composition(set)->timestamp, 5678);
	CHECK_INT(package_set_composition(set)->revision, 5678);
	CHECK_INT(package_set_composition(set)->comps_names->count, 1);
	CHECK_STR(package_set_composition(set)->depsolve_log,
		  "x86_64: 1 names requested, 2 packages chosen, 4 with debug\n");
	CHECK(package_set_composition(set)->modules == NULL);
	CHECK_INT(package_set_composition(set)->package[0].ino > 0, 1);
	package_set_free(set);

	expect(&fixture, "r", "[\"a\"]", ",\"flags\":[\"no_deps\"]",
	       "os:x86_64:a-1-1.x86_64.rpm debug:x86_64:a-debuginfo-1-1.x86_64.rpm "
	       "debug:x86_64:a-debugsource-1-1.x86_64.rpm source:asrc-1-1.src.rpm");
	expect(&fixture, "r", "[\"b-debuginfo\"]", "", "debug:x86_64:b-debuginfo-1-1.x86_64.rpm");
	/* a name must be there for one arch */
	expect(&fixture, "r", "[\"b\",\"c\"]", ",\"arches\":[\"x86_64\",\"s390x\"]",
	       "os:x86_64:b-1-1.noarch.rpm os:s390x:b-1-1.noarch.rpm os:s390x:c-1-1.s390x.rpm "
	       "source:asrc-1-1.src.rpm");
	expect(&fixture, "r sources", "[]", "",
	       "os:x86_64:a-1-1.x86_64.rpm os:x86_64:b-1-1.noarch.rpm "
	       "debug:x86_64:a-debuginfo-1-1.x86_64.rpm debug:x86_64:a-debugsource-1-1.x86_64.rpm "
	       "debug:x86_64:b-debuginfo-1-1.x86_64.rpm source:asrc-1-1.src.rpm "
	       "source:bsrc-1-1.src.rpm");
	expect(&fixture, "r", NULL, ",\"arches\":[\"s390x\"]",
	       "os:s390x:b-1-1.noarch.rpm os:s390x:c-1-1.s390x.rpm source:asrc-1-1.src.rpm");
	fixture_done(&fixture);
}

#define BUILT(name_, arch_, words_)                                                                \
	{                                                                                          \
		.name = name_, .version = "1", .arch = arch_, .source = "src", .words = words_,    \
		.size = 9                                                                          \
	}

/* Packages of i686 beside those of x86_64, of the same build, by what the methods say */
static void test_multilib(void)
{
	struct fixture fixture;
	struct package_set *set;
	char *got;

	fixture_start(&fixture, 1 << 20);
	MAKE(&fixture, "r", BUILT("lib", "x86_64", "p:lib64 l:/usr/lib64/liba.so.1"),
	     BUILT("lib", "i686", "p:lib32 r:base32 r:shared l:/usr/lib/liba.so.1"),
	     BUILT("lib-devel", "x86_64", "r:lib64"), BUILT("lib-devel", "i686", "r:lib32"),
	     BUILT("base", "i686", "p:base32"), BUILT("base", "i386", "p:base32"),
	     BUILT("base", "x86_64", NULL), BUILT("shared", "noarch", NULL),
	     BUILT("tool", "x86_64", NULL),
	     BUILT("tool", "i686", "l:/usr/lib/tool/x.so.1 l:/etc/a"),
	     BUILT("lib-debuginfo", "i686", NULL), BUILT("lib-debuginfo", "x86_64", NULL),
	     { .name = "lib", .version = "2", .arch = "i686", .source = "src", .size = 9 },
	     { .name = "src", .version = "1", .arch = "src", .size = 9 });
#define ASK(method) ",\"multilib_arches\":[\"x86_64\"],\"multilib_method\":[" method "]"
	set = load(&fixture, "r", "[\"lib\"]", ASK("\"runtime\""));
	got = rows(set, true);
	CHECK_STR(got,
		  "os:x86_64:lib-1-1.x86_64.rpm (requested) "
		  "os:x86_64:lib-1-1.i686.rpm (multilib of lib-1-1.x86_64) "
		  "os:x86_64:base-1-1.i686.rpm (required by lib-1-1.i686: base32) "
		  "os:x86_64:shared-1-1.noarch.rpm (required by lib-1-1.i686: shared) "
		  "debug:x86_64:lib-debuginfo-1-1.i686.rpm (debug package of src-1-1.src.rpm) "
		  "debug:x86_64:lib-debuginfo-1-1.x86_64.rpm (debug package of src-1-1.src.rpm) "
		  "source:src-1-1.src.rpm (source of lib-1-1.x86_64)");
	free(got);
	CHECK_STR(package_set_composition(set)->depsolve_log,
		  "x86_64: 3 packages beside for multilib, 1 for themselves\n"
		  "x86_64: 1 names requested, 1 packages chosen, 6 with debug\n");
	package_set_free(set);
	expect(&fixture, "r", "[\"lib-devel\",\"tool\"]", ASK("\"devel\""),
	       "os:x86_64:lib-1-1.x86_64.rpm os:x86_64:lib-devel-1-1.x86_64.rpm "
	       "os:x86_64:tool-1-1.x86_64.rpm os:x86_64:lib-1-1.i686.rpm "
	       "os:x86_64:lib-devel-1-1.i686.rpm os:x86_64:base-1-1.i686.rpm "
	       "os:x86_64:shared-1-1.noarch.rpm debug:x86_64:lib-debuginfo-1-1.i686.rpm "
	       "debug:x86_64:lib-debuginfo-1-1.x86_64.rpm source:src-1-1.src.rpm");
	expect(&fixture, "r", "[\"tool\"]", ASK("\"runtime\",\"devel\""),
	       "os:x86_64:tool-1-1.x86_64.rpm debug:x86_64:lib-debuginfo-1-1.x86_64.rpm "
	       "source:src-1-1.src.rpm");
	expect(&fixture, "r", "[\"tool\",\"base\"]", ASK("\"all\"") ",\"flags\":[\"no_deps\"]",
	       "os:x86_64:base-1-1.x86_64.rpm os:x86_64:tool-1-1.x86_64.rpm "
	       "os:x86_64:base-1-1.i686.rpm os:x86_64:tool-1-1.i686.rpm "
	       "debug:x86_64:lib-debuginfo-1-1.i686.rpm debug:x86_64:lib-debuginfo-1-1.x86_64.rpm "
	       "source:src-1-1.src.rpm");
	expect(&fixture, "r", NULL, ASK("\"runtime\""),
	       "os:x86_64:lib-1-1.x86_64.rpm os:x86_64:lib-devel-1-1.x86_64.rpm "
	       "os:x86_64:base-1-1.x86_64.rpm os:x86_64:shared-1-1.noarch.rpm "
	       "os:x86_64:tool-1-1.x86_64.rpm os:x86_64:lib-1-1.i686.rpm "
	       "os:x86_64:base-1-1.i686.rpm debug:x86_64:lib-debuginfo-1-1.i686.rpm "
	       "debug:x86_64:lib-debuginfo-1-1.x86_64.rpm source:src-1-1.src.rpm");
	/* one of the two members alone asks for nothing, and where there is no other arch neither
	 */
	expect(&fixture, "r", "[\"tool\"]", ",\"multilib_arches\":[\"x86_64\"]",
	       "os:x86_64:tool-1-1.x86_64.rpm debug:x86_64:lib-debuginfo-1-1.x86_64.rpm "
	       "source:src-1-1.src.rpm");
	expect(&fixture, "r", "[\"shared\"]",
	       ",\"arches\":[\"aarch64\"],\"multilib_arches\":[\"aarch64\"],\"multilib_method\":["
	       "\"all\"]",
	       "os:aarch64:shared-1-1.noarch.rpm source:src-1-1.src.rpm");
	MAKE(&fixture, "broken", BUILT("a-devel", "x86_64", NULL),
	     BUILT("a-devel", "i686", "r:gone"));
	expect(&fixture, "broken", "[\"a-devel\"]", ASK("\"devel\""),
	       "os:x86_64:a-devel-1-1.x86_64.rpm os:x86_64:a-devel-1-1.i686.rpm");
	expect_failure(&fixture, "broken", "[\"a-devel\"]",
		       ASK("\"devel\"") ",\"flags\":[\"check_deps\"]", -ENOPKG, BLAME_SOURCE,
		       "x86_64, multilib: broken dependencies:\n"
		       "a-devel-1-1.i686 requires gone: nothing provides it");
	fixture_done(&fixture);
}

static void test_refusals(void)
{
	struct fixture fixture;

	fixture_start(&fixture, 1 << 20);
	MAKE(&fixture, "r",
	     { .name = "a", .version = "1", .arch = "x86_64", .words = "r:gone", .size = 10 });
	expect_failure(&fixture, "r", "[\"zz\",\"a\",\"b-1-1.noarch\"]", "", -ENOENT, BLAME_REQUEST,
		       "The following requested packages are not present in the generated "
		       "compose: b-1-1.noarch zz.");
	expect_failure(
		&fixture, "r", "[\"a\"]", ",\"flags\":[\"check_deps\"]", -ENOPKG, BLAME_SOURCE,
		"x86_64: broken dependencies:\na-1-1.x86_64 requires gone: nothing provides it");
	expect_failure(&fixture, "r", "[\"a\"]", ",\"arches\":[\"vax\"]", -EINVAL, BLAME_REQUEST,
		       "Unknown arch \"vax\"");
	CHECK_INT(mkdirat(fixture.state_dirfd, "empty", 0755), 0);
	expect_failure(&fixture, "empty", "[\"a\"]", "", -ENOENT, BLAME_SOURCE,
		       "/empty/repodata/repomd.xml: No such file or directory");
	make_repomd(&fixture, "empty", "<repomd/>");
	CHECK(load(&fixture, "empty", "[\"a\"]", "") == NULL);
	CHECK_INT(fixture.err.blame, BLAME_SOURCE);
	CHECK(strstr(fixture.err.message, "/empty: ") != NULL);
	expect(&fixture, "r", "[\"a\"]", "", "os:x86_64:a-1-1.x86_64.rpm");
	CHECK(strstr(fixture.log.data,
		     "x86_64: unresolved: a-1-1.x86_64 requires gone: nothing provides it\n"));
	fixture_done(&fixture);
}

static void test_repositories(void)
{
	struct fixture fixture;
	char words[256];

	fixture_start(&fixture, 1 << 20);
	MAKE(&fixture, "one",
	     { .name = "a",
	       .version = "1",
	       .arch = "x86_64",
	       .words = "r:/opt/x/tool r:lib",
	       .size = 10 },
	     { .name = "same", .version = "1", .arch = "x86_64", .size = 11 },
	     { .name = "lib", .version = "2", .arch = "x86_64", .size = 12 });
	MAKE(&fixture, "two",
	     { .name = "same", .version = "1", .arch = "x86_64", .size = 21, .directory = "two" },
	     { .name = "owner",
	       .version = "1",
	       .arch = "x86_64",
	       .words = "l:/opt/x/tool",
	       .size = 22 });
	MAKE(&fixture, "aside", { .name = "lib", .version = "1", .arch = "x86_64", .size = 30 });

	/* only the file lists of another repository know who owns /opt/x/tool */
	expect(&fixture, "one two", "[\"a\",\"same\"]", "",
	       "os:x86_64:a-1-1.x86_64.rpm os:x86_64:same-1-1.x86_64.rpm "
	       "os:x86_64:lib-2-1.x86_64.rpm os:x86_64:owner-1-1.x86_64.rpm");
	expect(&fixture, "two one", "[\"same\"]", "", "os:x86_64:two/same-1-1.x86_64.rpm");
	(void)snprintf(words, sizeof(words), ",\"lookaside_repos\":[\"%s/aside\"]", fixture.top);
	expect(&fixture, "one two", "[\"a\"]", words,
	       "os:x86_64:a-1-1.x86_64.rpm os:x86_64:owner-1-1.x86_64.rpm");
	(void)snprintf(words, sizeof(words), ",\"lookaside_repos\":[\"%s/none\"]", fixture.top);
	CHECK(load(&fixture, "one", "[\"same\"]", words) == NULL);
	CHECK(fixture.r < 0 && strstr(fixture.err.message, "/none"));
	fixture_done(&fixture);
}

static void test_files(void)
{
	struct fixture fixture;
	char base[128];

	fixture_start(&fixture, 1 << 20);
	MAKE(&fixture, "r", /* the first place of "twice" does not exist */
	     { .name = "twice",
	       .version = "1",
	       .arch = "x86_64",
	       .directory = "gone",
	       .listed_size = 10 },
	     { .name = "twice", .version = "1", .arch = "x86_64", .directory = "here", .size = 10 },
	     { .name = "gone", .version = "1", .arch = "x86_64", .listed_size = 11 },
	     { .name = "short", .version = "1", .arch = "x86_64", .size = 12, .listed_size = 13 },
	     { .name = "good", .version = "1", .arch = "x86_64", .size = 14 });
	expect(&fixture, "r", "[\"twice\",\"good\"]", "",
	       "os:x86_64:here/twice-1-1.x86_64.rpm os:x86_64:good-1-1.x86_64.rpm");
	expect_failure(&fixture, "r", "[\"short\"]", "", -ESTALE, BLAME_SOURCE,
		       "/r/short-1-1.x86_64.rpm has 12 bytes, not the 13 that the metadata gives");
	CHECK(load(&fixture, "r", "[\"gone\"]", "") == NULL);
	CHECK_INT(fixture.r, -ENOENT);
	CHECK_INT(fixture.err.blame, BLAME_SOURCE);
	CHECK(strstr(fixture.err.message, "gone-1-1.x86_64.rpm"));

	(void)snprintf(base, sizeof(base), "file://%s/based/sub", fixture.top);
	MAKE(&fixture, "based",
	     { .name = "relative", .version = "1", .arch = "x86_64", .base = "sub", .size = 1 },
	     { .name = "absolute", .version = "1", .arch = "x86_64", .base = base, .size = 2 },
	     { .name = "up", .version = "1", .arch = "x86_64", .base = "../r", .size = 3 },
	     { .name = "away", .version = "1", .arch = "x86_64", .base = "/etc", .size = 4 },
	     { .name = "host", .version = "1", .arch = "x86_64", .base = "http://h/x", .size = 5 });
	MAKE(&fixture, "based/sub",
	     { .name = "relative", .version = "1", .arch = "x86_64", .size = 1 },
	     { .name = "absolute", .version = "1", .arch = "x86_64", .size = 2 });
	expect(&fixture, "based", "[\"relative\",\"absolute\"]", "",
	       "os:x86_64:sub/relative-1-1.x86_64.rpm os:x86_64:sub/absolute-1-1.x86_64.rpm");
	expect_failure(&fixture, "based", "[\"away\"]", "", -EACCES, BLAME_SOURCE,
		       "xml:base \"/etc\" leads out of the repository");
	expect_failure(&fixture, "based", "[\"host\"]", "", -EACCES, BLAME_SOURCE,
		       "xml:base \"http://h/x\" leads out of the repository");
	CHECK(load(&fixture, "based", "[\"up\"]", "") == NULL);
	CHECK_INT(fixture.err.blame, BLAME_SOURCE);
	fixture_done(&fixture);
}

/* Another job on a loaded pool, then on a repository that changed */
static void test_hot(void)
{
	static const struct made old = { .name = "a", .version = "1", .arch = "x86_64", .size = 9 };
	static const struct made more[] = {
		{ .name = "a", .version = "1", .arch = "x86_64", .size = 9 },
		{ .name = "a", .version = "2", .arch = "x86_64", .size = 9 },
	};

	for (int limited = 0; limited < 2; limited++) {
		struct fixture fixture;

		fixture_start(&fixture, limited ? 0 : 1 << 30);
		make(&fixture, "r", &old, 1);
		make(&fixture, "s", more, 2);
		expect(&fixture, "r", "[\"a\"]", "", "os:x86_64:a-1-1.x86_64.rpm");
		CHECK(strstr(fixture.log.data, "metadata loaded") != NULL);
		expect(&fixture, "r", "[\"a\"]", "", "os:x86_64:a-1-1.x86_64.rpm");
		CHECK(strstr(fixture.log.data, "metadata was in memory") != NULL);
		expect(&fixture, "s", "[\"a\"]", "", "os:x86_64:a-2-1.x86_64.rpm");
		expect(&fixture, "r", "[\"a\"]", "", "os:x86_64:a-1-1.x86_64.rpm");
		/* without a limit both pools stay, with one of 0 bytes only the last used */
		CHECK((strstr(fixture.log.data, "metadata was in memory") != NULL) == !limited);
		make(&fixture, "r", more, 2);
		expect(&fixture, "r", "[\"a\"]", "", "os:x86_64:a-2-1.x86_64.rpm");
		expect(&fixture, "r", "[\"a-1-1.x86_64\"]", "", "os:x86_64:a-1-1.x86_64.rpm");
		for (int i = 0; i < 20; i++) { /* more snapshots than stay open */
			char name[32];
			struct made one = old;

			(void)snprintf(name, sizeof(name), "n%d", i);
			one.version = name;
			make(&fixture, name, &one, 1);
			CHECK(fixture.r == 0);
			package_set_free(load(&fixture, name, "[\"a\"]", ""));
			CHECK_INT(fixture.r, 0);
		}
		fixture_done(&fixture);
	}
}

static void test_modules(void)
{
	static const struct made package = {
		.name = "a", .version = "1", .arch = "x86_64", .size = 9
	};
	struct fixture fixture;
	struct package_set *set;
	char path[128];

	fixture_start(&fixture, 1 << 20);
	(void)snprintf(path, sizeof(path), "%s/m", fixture.top);
	made_repository(path, &package, 1, "not-a-number", 100, "---\ndocument: one");
	(void)snprintf(path, sizeof(path), "%s/n", fixture.top);
	made_repository(path, &package, 1, "77", 200, "---\ndocument: two\n");
	set = load(&fixture, "m n", NULL, "");
	CHECK(set != NULL);
	CHECK_INT(package_set_event(set), -1);
	CHECK_INT(package_set_composition(set)->timestamp, 200);
	CHECK_STR(package_set_composition(set)->modules,
		  "---\ndocument: one\n---\ndocument: two\n");
	package_set_free(set);
	fixture_done(&fixture);
}

/* Real data: 300 packages and their updates */
static void test_universe(const char *data)
{
	struct fixture fixture;
	struct package_set *set;
	_cleanup_(freep) char *got = NULL;
	char link[128], target[512];

	fixture_start(&fixture, 1 << 20);
	for (int i = 0; i < 2; i++) {
		const char *name = i ? "updates" : "base";

		(void)snprintf(link, sizeof(link), "%s/%s", fixture.top, name);
		(void)snprintf(target, sizeof(target), "%s/%s", data, name);
		CHECK_INT(symlink(target, link), 0);
	}
	set = load(&fixture, "base updates", "[\"nginx\"]", "");
	CHECK_STR(fixture.err.message, "");
	got = rows(set, false);
	CHECK(strstr(got, "nginx-1.22.1-9+deb12u9.up1.x86_64.rpm") != NULL);
	CHECK(strstr(got, "os:x86_64:Packages/n/nginx-common-1.22.1-9+deb12u9.up1.noarch.rpm"));
	package_set_free(set);
	set = load(&fixture, "base", NULL, "");
	CHECK_INT(set ? package_set_composition(set)->count : 0, 300);
	package_set_free(set);
	fixture_done(&fixture);
}

int main(int argc, char **argv)
{
	test_trees();
	test_multilib();
	test_refusals();
	test_repositories();
	test_files();
	test_hot();
	test_modules();
	if (argc > 1)
		test_universe(argv[1]);
	TEST_END();
}
