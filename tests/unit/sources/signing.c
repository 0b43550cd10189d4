/* SPDX-License-Identifier: MIT */
/* tests/unit/sources/signing.c: which keys count, and which copy of an RPM they lead to, over
 * folders made for each case. */
#include "tests/unit/test.h"

#include "resolver/sources/tagged.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static struct strings list_of(const char *words)
{
	_cleanup_(strings_done) struct strings split = { 0 };
	struct strings list = { 0 };

	strings_split(&split, words, ' ');
	for (size_t i = 0; i < split.count; i++)
		(void)strings_add(&list, strcmp(split.item[i], "''") ? split.item[i] : "");
	return list;
}

/* "a b ''", or what is wrong */
static char *keys_of(const char *asked, const char *fallback)
{
	_cleanup_(strings_done) struct strings request = list_of(asked), site = list_of(fallback);
	struct signing signing = { 0 };
	struct error err = { 0 };
	char *joined, *got = NULL;

	if (signing_keys(&request, &site, &signing, &err) < 0) {
		CHECK_INT(err.blame, BLAME_REQUEST);
		CHECK_STR(err.field, "sigkeys");
		return strdup(err.message);
	}
	joined = strings_join(&signing.keys, " ");
	CHECK(asprintf(&got, "%s%s", joined, signing.with_unsigned ? " ''" : "") > 0);
	free(joined);
	strings_done(&signing.keys);
	return got;
}

static void test_keys(void)
{
	static const struct {
		const char *asked, *fallback, *want;
	} cases[] = {
		{ "", "", " ''" },
		{ "''", "", " ''" },
		{ "''", "7ec1b334", " ''" },
		{ "7ec1b334", "", "7ec1b334" },
		{ "A4F1CD23 7ec1b334", "", "a4f1cd23 7ec1b334" },
		{ "'' 7EC1B334 a4f1cd23 7ec1b334 ''", "", "7ec1b334 a4f1cd23 ''" },
		{ "", "A4F1CD23 ''", "a4f1cd23 ''" },
		{ "7ec1b334", "a4f1cd23 ''", "7ec1b334" },
		{ "0123456789abcdefABCDEF", "", "0123456789abcdefabcdef" },
		{ "7ec1b334 none", "", "\"none\" is no signing key: those are hexadecimal digits" },
		{ "../..", "", "\"../..\" is no signing key: those are hexadecimal digits" },
	};
	_cleanup_(text_done) struct text many = { 0 };
	char *got;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		got = keys_of(cases[i].asked, cases[i].fallback);
		CHECK_STR(got, cases[i].want);
		free(got);
	}
	for (int i = 0; i < SIGNING_MAX_KEYS; i++)
		text_addf(&many, "%08x %08X '' ", i, i);
	got = keys_of(many.data, "");
	CHECK_INT(strlen(got), SIGNING_MAX_KEYS * 9 - 1 + 3);
	free(got);
	text_adds(&many, "ffffffff");
	got = keys_of(many.data, "");
	CHECK_STR(got, "more than 100 signing keys");
	free(got);
}

/* ---- copies ------------------------------------------------------------ */

/** struct field - one build of a package "p" with RPMs a (x86_64), b (noarch) and its source */
struct field {
	char top[64];
	int fd;
	struct koji_listing listing;
	struct koji_build build;
	struct koji_rpm rpm[3];
	char text[128];
	struct source_context context;
	struct load load;
};

static uint32_t word(struct field *field, const char *text)
{
	size_t at = field->listing.text_bytes;

	memcpy(field->text + at, text, strlen(text) + 1);
	field->listing.text_bytes += strlen(text) + 1;
	return (uint32_t)at;
}

static void field_start(struct field *field)
{
	static const char *const names[][2] = { { "a", "x86_64" },
						{ "b", "noarch" },
						{ "p", "src" } };

	*field = (struct field){ 0 };
	field->load.context = &field->context;
	(void)snprintf(field->top, sizeof(field->top), "/tmp/odcsfs-signing-XXXXXX");
	CHECK(mkdtemp(field->top));
	field->fd = open(field->top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	field->listing = (struct koji_listing){ .build = &field->build,
						.build_count = 1,
						.rpm = field->rpm,
						.rpm_count = 3,
						.text = field->text };
	(void)word(field, "");
	field->build = (struct koji_build){ .id = 1 };
	field->build.package = word(field, "p");
	field->build.version = field->build.release = word(field, "1");
	field->build.volume = word(field, "DEFAULT");
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		field->rpm[i] = (struct koji_rpm){ .id = (int64_t)i,
						   .size = 3,
						   .epoch = KOJI_NO_EPOCH,
						   .version = field->build.version,
						   .release = field->build.release };
		field->rpm[i].name = word(field, names[i][0]);
		field->rpm[i].arch = word(field, names[i][1]);
	}
}

static void field_done(struct field *field)
{
	(void)close(field->fd);
	CHECK_INT(directory_remove(AT_FDCWD, field->top), 0);
}

static void put(const struct field *field, const char *folder, const char *file, const char *bytes)
{
	char path[256];
	_cleanup_(closep) int fd = -1;

	(void)snprintf(path, sizeof(path), "packages/p/1/1/%s", folder);
	fd = directory_open(field->fd, path);
	CHECK_INT(file_publish(fd, file, bytes, strlen(bytes)), 0);
}

/* "COPY PATH" of each candidate, without "packages/p/1/1/" */
static char *choose(struct field *field, const char *keys, struct error *err)
{
	_cleanup_(tagged_done) struct tagged tagged = { .base = field->top };
	_cleanup_(strings_done) struct strings words = list_of(keys), arches = { 0 };
	_cleanup_(text_done) struct text text = { 0 };
	char previous[DIGEST_HEX_SIZE] = "";
	int r;

	strings_split(&arches, "x86_64 noarch src", ' ');
	CHECK_INT(signing_keys(&words, &arches, &tagged.signing, err), 0);
	CHECK_INT(transport_local(NULL, true, 0, 0, &tagged.files, err), 0);
	CHECK_INT(tagged_add(&tagged, &field->listing, &arches, NULL, err), 0);
	tagged.listing[0] = NULL; /* it is ours */
	CHECK_INT(tagged.count, 3);
	r = signing_choose(&field->load, &tagged, err);
	for (size_t i = 0; i < tagged.count && r == 0; i++) {
		const struct candidate *candidate = &tagged.item[i];

		text_addf(&text, "%s%c %s%s", i ? ", " : "", "-?+"[candidate->copy],
			  candidate -> path + strlen("packages/p/1/1/"),
			  candidate -> damage ? strrchr(candidate->damage, '/') : "");
		CHECK(hex_is_digest(candidate->key) && strcmp(candidate->key, previous) != 0);
		CHECK((i < tagged.visible) == (candidate->copy != COPY_ABSENT));
		memcpy(previous, candidate->key, sizeof(previous));
	}
	return text_steal(&text);
}

static void expect(struct field *field, const char *keys, const char *want)
{
	struct error err = { 0 };
	_cleanup_(freep) char *got = choose(field, keys, &err);

	CHECK_STR(err.message, "");
	CHECK_STR(got, want);
}

static void test_copies(void)
{
	struct field field;

	field_start(&field);
	expect(&field, "''",
	       "- noarch/b-1-1.noarch.rpm, - src/p-1-1.src.rpm, - x86_64/a-1-1.x86_64.rpm");
	put(&field, "x86_64", "a-1-1.x86_64.rpm", "one");
	put(&field, "noarch", "b-1-1.noarch.rpm", "two");
	put(&field, "src", "p-1-1.src.rpm", "six");
	put(&field, "data/signed/aaaaaaaa/x86_64", "a-1-1.x86_64.rpm", "longer");
	put(&field, "data/signed/bbbbbbbb/x86_64", "a-1-1.x86_64.rpm", "other");
	put(&field, "data/signed/bbbbbbbb/noarch", "b-1-1.noarch.rpm", "more");
	put(&field, "data/signed/cccccccc/src", "elsewhere.rpm", "x");
	expect(&field, "''",
	       "+ noarch/b-1-1.noarch.rpm, + src/p-1-1.src.rpm, + x86_64/a-1-1.x86_64.rpm");
	expect(&field, "AAAAAAAA BBBBBBBB",
	       "+ data/signed/aaaaaaaa/x86_64/a-1-1.x86_64.rpm, "
	       "+ data/signed/bbbbbbbb/noarch/b-1-1.noarch.rpm, ? src/p-1-1.src.rpm");
	expect(&field, "'' bbbbbbbb aaaaaaaa",
	       "+ data/signed/bbbbbbbb/noarch/b-1-1.noarch.rpm, "
	       "+ data/signed/bbbbbbbb/x86_64/a-1-1.x86_64.rpm, + src/p-1-1.src.rpm");
	expect(&field, "cccccccc dddddddd",
	       "? noarch/b-1-1.noarch.rpm, ? src/p-1-1.src.rpm, ? x86_64/a-1-1.x86_64.rpm");
	/* the unsigned file has the size that the hub says, signed ones may have another */
	put(&field, "src", "p-1-1.src.rpm", "seven");
	expect(&field, "''",
	       "+ noarch/b-1-1.noarch.rpm, + src/p-1-1.src.rpm/p-1-1.src.rpm has 5 bytes, the hub "
	       "says 3, "
	       "+ x86_64/a-1-1.x86_64.rpm");
	/* a folder in place of a file */
	put(&field, "src", "p-1-1.src.rpm", "six");
	put(&field, "data/signed/aaaaaaaa/src/p-1-1.src.rpm", "x", "y");
	expect(&field, "aaaaaaaa ''",
	       "+ data/signed/aaaaaaaa/src/p-1-1.src.rpm/p-1-1.src.rpm is not a regular file, "
	       "+ data/signed/aaaaaaaa/x86_64/a-1-1.x86_64.rpm, + noarch/b-1-1.noarch.rpm");
	field_done(&field);
}

/* What is no file, or nobody may look at, is damaged: the other ones are chosen. */
static void test_places(void)
{
	static const char path[] = "packages/p/1/1/x86_64/a-1-1.x86_64.rpm";
	/* a FIFO, a directory, a link to itself, one through a file */
	static const char *const words[] = { " is not a regular file", " is not a regular file",
					     ": Too many levels of symbolic links", NULL };
	struct field field;

	field_start(&field);
	put(&field, "x86_64", "other", "x");
	put(&field, "noarch", "b-1-1.noarch.rpm", "two");
	put(&field, "src", "p-1-1.src.rpm", "six");
	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		char want[256];

		CHECK_INT(directory_remove(field.fd, path), 0);
		if (i == 0)
			CHECK_INT(mkfifoat(field.fd, path, 0600), 0);
		else if (i == 1)
			CHECK_INT(mkdirat(field.fd, path, 0700), 0);
		else
			CHECK_INT(
				symlinkat(i == 2 ? "a-1-1.x86_64.rpm" : "other/x", field.fd, path),
				0);
		(void)snprintf(want, sizeof(want),
			       "+ noarch/b-1-1.noarch.rpm, + src/p-1-1.src.rpm, "
			       "%c x86_64/a-1-1.x86_64.rpm%s%s",
			       words[i] ? '+' : '-', words[i] ? "/a-1-1.x86_64.rpm" : "",
			       words[i] ? words[i] : "");
		expect(&field, "''", want);
	}
	/* what cannot be listed may hold a copy that is preferred */
	put(&field, "data", "else", "x");
	CHECK_INT(symlinkat("signed", field.fd, "packages/p/1/1/data/signed"), 0);
	expect(&field, "aaaaaaaa ''",
	       "+ noarch/b-1-1.noarch.rpm/signed: Too many levels of symbolic links, "
	       "+ src/p-1-1.src.rpm/signed: Too many levels of symbolic links, "
	       "+ x86_64/a-1-1.x86_64.rpm/signed: Too many levels of symbolic links");
	field_done(&field);
}

static void key_of(struct field *field, char ret[DIGEST_HEX_SIZE])
{
	_cleanup_(tagged_done) struct tagged tagged = { .base = field->top };
	_cleanup_(strings_done) struct strings arches = list_of("x86_64");
	struct error err = { 0 };

	tagged.signing.with_unsigned = true;
	CHECK_INT(transport_local(NULL, true, 0, 0, &tagged.files, &err), 0);
	CHECK_INT(tagged_add(&tagged, &field->listing, &arches, NULL, &err), 0);
	tagged.listing[0] = NULL;
	CHECK_INT(signing_choose(&field->load, &tagged, &err), 0);
	CHECK_INT(tagged.visible, 1);
	memcpy(ret, tagged.item[0].key, DIGEST_HEX_SIZE);
}

/* The key of a record: another time, another file of that time, another word of the hub: another
 * key */
static void test_record_keys(void)
{
	static const char path[] = "packages/p/1/1/x86_64/a-1-1.x86_64.rpm";
	const struct timespec old[2] = { { .tv_sec = 1 }, { .tv_sec = 1 } };
	char key[5][DIGEST_HEX_SIZE];
	struct field field;

	field_start(&field);
	put(&field, "x86_64", "a-1-1.x86_64.rpm", "one");
	key_of(&field, key[0]);
	CHECK_INT(utimensat(field.fd, path, old, 0), 0);
	key_of(&field, key[1]);
	put(&field, "x86_64", "a-1-1.x86_64.rpm", "two");
	CHECK_INT(utimensat(field.fd, path, old, 0), 0);
	key_of(&field, key[2]);
	field.rpm[0].epoch = 2147483647;
	key_of(&field, key[3]);
	for (size_t i = 0; i < 4; i++)
		for (size_t j = 0; j < i; j++)
			CHECK(strcmp(key[i], key[j]) != 0);
	field.rpm[0].epoch = KOJI_NO_EPOCH;
	key_of(&field, key[4]);
	CHECK_STR(key[4], key[2]);
	field_done(&field);
}

int main(void)
{
	test_keys();
	test_copies();
	test_places();
	test_record_keys();
	TEST_END();
}
