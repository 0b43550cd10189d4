/* SPDX-License-Identifier: MIT */
/* tests/unit/model/package.c: names, order and places of packages, by tables. */
#include "tests/unit/test.h"

#include "core/model/model.h"

static void test_nevra(void)
{
	static const struct {
		const char *text, *name;
		int64_t epoch;
		const char *version, *release, *arch;
	} cases[] = {
		{ "bash-5.2.15-3.fc38.x86_64", "bash", -1, "5.2.15", "3.fc38", "x86_64" },
		{ "bind-libs-32:9.18-1.el9.i686", "bind-libs", 32, "9.18", "1.el9", "i686" },
		{ "32:bind-libs-9.18-1.el9.i686", "bind-libs", 32, "9.18", "1.el9", "i686" },
		{ "a-0:1~rc1^git2-0.1.src", "a", 0, "1~rc1^git2", "0.1", "src" },
		{ "gtk+-v1-r2.noarch", "gtk+", -1, "v1", "r2", "noarch" },
		{ "bash", NULL },
		{ "bash.x86_64", NULL },
		{ "bash-completion.noarch", NULL },
		{ "java-11-openjdk.x86_64", NULL },
		{ "python3-zope-interface.x86_64", NULL },
		{ "-5-3.x86_64", NULL },
		{ "bash-5-.x86_64", NULL },
		{ "bash--3.x86_64", NULL },
		{ "bash-5-3.", NULL },
		{ "bash-5-3.x86 64", NULL },
		{ "bash-5-3.x86-64", NULL },
		{ "1:bash-2:5-3.x86_64", NULL },
		{ "bash-x:5-3.x86_64", NULL },
		{ "bash-:5-3.x86_64", NULL },
		{ "bash-1:2:5-3.x86_64", NULL },
		{ "bash-99999999999:5-3.x86_64", NULL },
		{ "bash-5-1:3.x86_64", NULL },
		{ "a/b-5-3.x86_64", NULL },
		{ "", NULL },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct nevra nevra = { .epoch = -7 };
		char buffer[64];

		CHECK_INT(nevra_parse(cases[i].text, buffer, &nevra), cases[i].name ? 0 : -EINVAL);
		CHECK_STR(nevra.name, cases[i].name);
		CHECK_STR(nevra.version, cases[i].version);
		CHECK_STR(nevra.release, cases[i].release);
		CHECK_STR(nevra.arch, cases[i].arch);
		CHECK_INT(nevra.epoch, cases[i].name ? cases[i].epoch : -7);
	}
}

/* Compared with librpm's own order over 40,000 random pairs when this was written. */
static void test_order(void)
{
	static const struct {
		const char *a, *b;
		int order;
	} cases[] = {
		{ "1.0", "1.0", 0 },
		{ "1.0", "2.0", -1 },
		{ "2.0.1", "2.0", 1 },
		{ "10", "9", 1 },
		{ "010", "10", 0 },
		{ "1.fc38", "1.el9", 1 },
		{ "1a", "1b", -1 },
		{ "1.a", "1.1", -1 },
		{ "a", "1", -1 },
		{ "1", "1a", -1 },
		{ "1a", "1", 1 },
		{ "abc", "abcd", -1 },
		{ "A", "a", -1 },
		{ "1_0", "1.0", 0 },
		{ "1..0", "1.0", 0 },
		{ "1.0.", "1.0", 0 },
		{ "", "", 0 },
		{ "", "1", -1 },
		{ ".", "", 0 },
		{ "1~rc1", "1", -1 },
		{ "1~rc1", "1~rc2", -1 },
		{ "1~", "1~~", 1 },
		{ "~", "", -1 },
		{ "1^git1", "1", 1 },
		{ "1^git1", "1.1", -1 },
		{ "1^git1", "1^git2", -1 },
		{ "1^", "1", 1 },
		{ "1^a~b", "1^a", -1 },
		{ "1~rc1^git1", "1~rc1", 1 },
		{ "1^git1~pre", "1^git1", -1 },
		{ "20220101", "20211231", 1 },
		{ "18446744073709551617", "18446744073709551616", 1 },
		{ "1.0\xc3\xa9", "1.0", 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		CHECK_INT(version_compare(cases[i].a, cases[i].b), cases[i].order);
		CHECK_INT(version_compare(cases[i].b, cases[i].a), -cases[i].order);
	}
}

static void test_evr(void)
{
	const struct nevra low = { .epoch = -1, .version = "2", .release = "9" };
	const struct nevra same = { .epoch = 0, .version = "2", .release = "09" };
	const struct nevra high = { .epoch = 1, .version = "1", .release = "1" };
	const struct nevra newer = { .epoch = -1, .version = "2", .release = "10" };

	CHECK_INT(evr_compare(&low, &same), 0);
	CHECK_INT(evr_compare(&low, &high), -1);
	CHECK_INT(evr_compare(&high, &newer), 1);
	CHECK_INT(evr_compare(&low, &newer), -1);
}

static void test_debug(void)
{
	CHECK(package_is_debug("bash-debuginfo"));
	CHECK(package_is_debug("bash-debugsource"));
	CHECK(package_is_debug("kernel-debuginfo-common-x86_64"));
	CHECK(package_is_debug("glibc-debuginfo-common"));
	CHECK(!package_is_debug("bash"));
	CHECK(!package_is_debug("kernel-debug"));
	CHECK(!package_is_debug("-debuginfo"));
	CHECK(!package_is_debug("bash-debugsource-x"));
	CHECK(!package_is_debug("bash-debuginfox"));
	CHECK(!package_is_debug(""));
}

static void test_locations(void)
{
	static const struct {
		const char *location, *message;
	} cases[] = {
		{ "a.rpm", NULL },
		{ "Packages/b/bash-1:5-3.x86_64.rpm", NULL },
		{ "x/..y/...", NULL },
		{ "Packages/a:b/c.rpm", NULL },
		{ "", "location \"\" is empty" },
		{ "/etc/shadow", "location \"/etc/shadow\" is absolute" },
		{ "../a", "location \"../a\" has a part \".\" or \"..\"" },
		{ "a/../b", "location \"a/../b\" has a part \".\" or \"..\"" },
		{ "a/..", "location \"a/..\" has a part \".\" or \"..\"" },
		{ "./a", "location \"./a\" has a part \".\" or \"..\"" },
		{ "a//b", "location \"a//b\" has an empty part" },
		{ "a/", "location \"a/\" has an empty part" },
		{ "a\nb", "location \"a?b\" holds a control character or backslash" },
		{ "a\x7f", "location \"a?\" holds a control character or backslash" },
		{ "a\\b", "location \"a\\b\" holds a control character or backslash" },
		{ "http://h/a", "location \"http://h/a\" has a scheme" },
		{ "file:/etc", "location \"file:/etc\" has a scheme" },
	};
	struct error err = { 0 };
	char *longest = calloc(1, 5001);

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		int r = location_check(cases[i].location, "location", &err);

		CHECK_INT(r, cases[i].message ? -EINVAL : 0);
		if (r < 0) {
			CHECK_STR(err.message, cases[i].message);
			CHECK_INT(err.blame, BLAME_SOURCE);
		}
	}
	CHECK(longest);
	if (longest) {
		memset(longest, 'a', 5000);
		CHECK_INT(location_check(longest, NULL, &err), -EINVAL);
		CHECK(strstr(err.message, "is too long"));
		longest[4095] = '\0';
		CHECK_INT(location_check(longest, NULL, &err), 0);
	}
	free(longest);
}

static void test_also(void)
{
	static const struct {
		const char *arches, *also[4];
	} cases[] = {
		{ "x86_64 s390x ppc64le noarch", { NULL } },
		{ "i686 x86_64", { "i386" } },
		{ "i586 i686", { NULL, "i386" } },
		{ "i686 i586", { "i386", NULL } },
		{ "i586", { "i386" } },
		{ "i386 i686", { NULL } },
		{ "armv6hl aarch64 armv7hl i686", { NULL, NULL, "armhfp", "i386" } },
		{ "armv7hl armhfp", { NULL } },
		{ "armv5tel armv6hl", { "arm", "armhfp" } },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct strings arches = { 0 };

		CHECK_INT(strings_split(&arches, cases[i].arches, ' '), 0);
		for (size_t arch = 0; arch < arches.count; arch++)
			CHECK_STR(arch_also(&arches, arch), cases[i].also[arch]);
		strings_done(&arches);
	}
}

int main(void)
{
	test_also();
	test_nevra();
	test_order();
	test_evr();
	test_debug();
	test_locations();
	TEST_END();
}
