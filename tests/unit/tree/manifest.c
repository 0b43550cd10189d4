/* SPDX-License-Identifier: MIT */
/* tests/unit/tree/manifest.c: sound manifests are accepted, and each kind of lie is refused by
 * name.
 *
 * With an argument it writes seeds for tests/fuzz/manifest.c into that folder and checks nothing.
 *
 * promises = 20 */
#include "tests/unit/test.h"
#include "tests/unit/tree/writer.h"

#define A64 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B64 "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define OS "compose/Temporary/x86_64/os/"

static const struct entry entries[] = {
	{ OS "Packages/b/bash-5-1.x86_64.rpm", MANIFEST_PACKAGE, MANIFEST_SHA256, 100, 1600000000,
	  A64, "/srv/repo", "b/bash-5-1.x86_64.rpm", "bash-5-1.x86_64", "requested", "sha256:" A64,
	  "file:///srv/repo/b/bash-5-1.x86_64.rpm", 1600000000123456789, 42 },
	{ OS "Packages/z/zsh-5-1.x86_64.rpm", MANIFEST_PACKAGE, 0, 7, -1, NULL, "/srv/repo",
	  "z/zsh-5-1.x86_64.rpm", "zsh-5-1.x86_64", "required by bash: sh", "sha1:0123", "", 5,
	  43 },
	{ OS "Packages/z/zz-5-1.noarch.rpm", MANIFEST_PACKAGE, MANIFEST_SHA256 | MANIFEST_REMOTE, 7,
	  0, B64, "https://mirror.example/repo", "z/zz-5-1.noarch.rpm", "zz-5-1.noarch", "",
	  "sha256:" B64, "https://mirror.example/repo/z/zz-5-1.noarch.rpm", 0, 0 },
	{ OS "repodata/repomd.xml", MANIFEST_BLOB, .size = 3000, .digest = A64 },
	{ "compose/Temporary/empty", MANIFEST_DIRECTORY },
	{ "compose/metadata/rpms.json", MANIFEST_RPMS_JSON, .size = 10, .digest = B64 },
	{ "logs/global/depsolve.log", MANIFEST_BLOB, .size = 0, .digest = A64 },
	{ "logs/x86_64/why", MANIFEST_BLOB, .size = 12, .digest = B64 },
};

struct bytes {
	struct text text;
	struct manifest_header *header;
	struct manifest_record *record;
	char *strings;
};

static void made(struct bytes *bytes, const struct entry *list, size_t count)
{
	*bytes = (struct bytes){ 0 };
	write_manifest(list, count, &bytes->text);
	bytes->header = (struct manifest_header *)(void *)bytes->text.data;
	bytes->record = (struct manifest_record *)(bytes->header + 1);
	bytes->strings = bytes->text.data + bytes->header->strings_offset;
}

/* The record named @name; aborts when there is none, so that no case below spoils nothing. */
static struct manifest_record *record(const struct bytes *bytes, const char *name)
{
	for (uint32_t i = 0; i < bytes->header->record_count; i++)
		if (!strcmp(bytes->strings + bytes->record[i].name, name))
			return &bytes->record[i];
	abort();
}

static char *name_of(const struct bytes *bytes, const char *name)
{
	return bytes->strings + record(bytes, name)->name;
}

#define SPOIL(name, ...)                                                                           \
	static void spoil_##name(struct bytes *b)                                                  \
	{                                                                                          \
		__VA_ARGS__;                                                                       \
	}

#define RPM "bash-5-1.x86_64.rpm"
SPOIL(magic, b->text.data[7] = '2')
SPOIL(record_size, b->header->record_size = 80)
SPOIL(no_records, b->header->record_count = 0)
SPOIL(more_records, b->header->record_count++)
SPOIL(fewer_records, b->header->record_count--)
SPOIL(huge_count, b->header->record_count = UINT32_MAX)
SPOIL(offset, b->header->strings_offset += 88)
SPOIL(strings_size, b->header->strings_size++)
SPOIL(file_size, b->header->file_size++)
SPOIL(reserved, b->header->reserved[1] = 1)
SPOIL(first_byte, b->strings[0] = 'x')
SPOIL(last_byte, b->text.data[b->text.length - 1] = 'x')
SPOIL(root_type, b->record[0].type = MANIFEST_BLOB)
SPOIL(root_parent, b->record[0].parent = 1)
SPOIL(root_name, (b->record[0].name = record(b, RPM)->name, b->record[0].name_length = strlen(RPM)))
SPOIL(type_0, record(b, RPM)->type = 0)
SPOIL(type_6, record(b, RPM)->type = 6)
SPOIL(name_offset, record(b, RPM)->name = UINT32_MAX)
SPOIL(name_long, record(b, RPM)->name_length++)
SPOIL(name_short, record(b, RPM)->name_length--)
SPOIL(name_empty, {
	struct manifest_record *a = record(b, RPM);
	a->name = 0;
	a->name_length = 0;
})
SPOIL(name_256, record(b, RPM)->name_length = 256)
SPOIL(slash, name_of(b, RPM)[4] = '/')
SPOIL(newline, name_of(b, RPM)[4] = '\n')
SPOIL(dot, (strcpy(name_of(b, "z"), "."), record(b, ".")->name_length = 1))
SPOIL(dots, (strcpy(name_of(b, "why"), ".."), record(b, "..")->name_length = 2))
SPOIL(same_name, {
	struct manifest_record *a = record(b, "zsh-5-1.x86_64.rpm");
	a[1].name = a[0].name;
	a[1].name_length = a[0].name_length;
})
SPOIL(order, {
	struct manifest_record *a = record(b, "zsh-5-1.x86_64.rpm"), swap = a[0];
	a[0] = a[1];
	a[1] = swap;
})
SPOIL(size, record(b, RPM)->size = UINT64_C(1) << 62)
SPOIL(directory_size, record(b, "os")->size = 1)
SPOIL(directory_digest, record(b, "os")->digest[31] = 1)
SPOIL(first_back, record(b, "os")->first--)
SPOIL(first_on, record(b, "os")->first++)
SPOIL(first_self, record(b, "Packages")->first = (uint32_t)(record(b, "Packages") - b->record))
SPOIL(count_more, record(b, "os")->count++)
SPOIL(count_less, record(b, "os")->count--)
SPOIL(count_max, record(b, "os")->count = UINT32_MAX)
SPOIL(parent, record(b, RPM)->parent++)
SPOIL(parent_max, record(b, RPM)->parent = UINT32_MAX)
SPOIL(blob_mtime, record(b, "repomd.xml")->mtime = 1)
SPOIL(blob_flags, record(b, "repomd.xml")->flags = MANIFEST_SHA256)
SPOIL(blob_detail, record(b, "repomd.xml")->detail = 1)
SPOIL(blob_ino, record(b, "repomd.xml")->source_ino = 1)
SPOIL(flags, record(b, RPM)->flags |= 4)
SPOIL(remote_without, record(b, "zsh-5-1.x86_64.rpm")->flags = MANIFEST_REMOTE)
SPOIL(digest_without, record(b, RPM)->flags = 0)
SPOIL(digest_other, record(b, RPM)->digest[0]++)
SPOIL(path_offset, record(b, RPM)->first = (uint32_t)b->header->strings_size)
SPOIL(path_up, memcpy(b->strings + record(b, RPM)->first, "../", 3))
SPOIL(path_absolute, b->strings[record(b, RPM)->first] = '/')
SPOIL(path_newline, b->strings[record(b, RPM)->first] = '\n')
SPOIL(path_empty, record(b, RPM)->first = 0)
SPOIL(base_offset, record(b, RPM)->count = UINT32_MAX)
SPOIL(base_relative, b->strings[record(b, RPM)->count] = 's')
SPOIL(base_up, memcpy(b->strings + record(b, RPM)->count, "/../", 4))
SPOIL(base_double, memcpy(b->strings + record(b, RPM)->count, "//", 2))
SPOIL(base_slash, memcpy(b->strings + record(b, RPM)->count, "/srv/rep/", 9))
SPOIL(base_url, record(b, RPM)->count = record(b, "zz-5-1.noarch.rpm")->count)
SPOIL(url_path, record(b, "zz-5-1.noarch.rpm")->count = record(b, RPM)->count)
SPOIL(url_file, memcpy(b->strings + record(b, "zz-5-1.noarch.rpm")->count, "file:", 5))
SPOIL(detail_offset, record(b, RPM)->detail = (uint32_t)b->header->strings_size - 2)
SPOIL(detail_max, record(b, RPM)->detail = UINT32_MAX)
SPOIL(taken_file, memcpy(name_of(b, "depsolve.log"), "odcsfs.log\0\0", 12);
      record(b, "odcsfs.log")->name_length = 10)

static const struct {
	const char *words; /* in the message */
	void (*spoil)(struct bytes *bytes);
} cases[] = {
	{ "not a manifest", spoil_magic },
	{ "another size", spoil_record_size },
	{ "number of records", spoil_no_records },
	{ "not where they belong", spoil_more_records },
	{ "not where they belong", spoil_fewer_records },
	{ "number of records", spoil_huge_count },
	{ "not where they belong", spoil_offset },
	{ "do not end with the file", spoil_strings_size },
	{ "length", spoil_file_size },
	{ "reserved", spoil_reserved },
	{ "begin and end", spoil_first_byte },
	{ "begin and end", spoil_last_byte },
	{ "root", spoil_root_type },
	{ "root", spoil_root_parent },
	{ "root", spoil_root_name },
	{ "unknown type", spoil_type_0 },
	{ "unknown type", spoil_type_6 },
	{ "outside the strings", spoil_name_offset },
	{ "outside the strings", spoil_name_long },
	{ "outside the strings", spoil_name_short },
	{ "name empty", spoil_name_empty },
	{ "name", spoil_name_256 },
	{ "slash", spoil_slash },
	{ "control character", spoil_newline },
	{ "named .", spoil_dot },
	{ "named .", spoil_dots },
	{ "not sorted", spoil_same_name },
	{ "not sorted", spoil_order },
	{ "size out of bounds", spoil_size },
	{ "directory with a size", spoil_directory_size },
	{ "digest where none", spoil_directory_digest },
	{ "children", spoil_first_back },
	{ "children", spoil_first_on },
	{ "children", spoil_first_self },
	{ "another parent", spoil_count_more },
	{ "children", spoil_count_less },
	{ "children", spoil_count_max },
	{ "another parent", spoil_parent },
	{ "another parent", spoil_parent_max },
	{ "fields of a package", spoil_blob_mtime },
	{ "fields of a package", spoil_blob_flags },
	{ "fields of a package", spoil_blob_detail },
	{ "fields of a package", spoil_blob_ino },
	{ "unknown flags", spoil_flags },
	{ "without SHA-256", spoil_remote_without },
	{ "digest where none", spoil_digest_without },
	{ "differ", spoil_digest_other },
	{ "outside the strings", spoil_path_offset },
	{ "leads out", spoil_path_up },
	{ "leads out", spoil_path_absolute },
	{ "leads out", spoil_path_newline },
	{ "leads out", spoil_path_empty },
	{ "outside the strings", spoil_base_offset },
	{ "base", spoil_base_relative },
	{ "base", spoil_base_up },
	{ "base", spoil_base_double },
	{ "base", spoil_base_slash },
	{ "base", spoil_base_url },
	{ "base", spoil_url_path },
	{ "base", spoil_url_file },
	{ "outside the strings", spoil_detail_offset },
	{ "outside the strings", spoil_detail_max },
	{ "uses itself", spoil_taken_file },
};

static void test_refused(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct error err = { 0 };
		struct bytes bytes;
		int r;

		made(&bytes, entries, ARRAY_SIZE(entries));
		cases[i].spoil(&bytes);
		r = tree_check_bytes(bytes.text.data, bytes.text.length, &err);
		CHECK_INT(r, -EBADMSG);
		CHECK_INT(err.blame, BLAME_US);
		if (!strstr(err.message, cases[i].words)) {
			fprintf(stderr, "case %zu: «%s», want «%s»\n", i, err.message,
				cases[i].words);
			CHECK(!"words");
		}
		text_done(&bytes.text);
	}
}

/* Names that the overlay has for itself, as another kind of node. */
static void test_taken_names(void)
{
	static const struct {
		struct entry entry;
		bool refused;
	} taken[] = {
		{ { "STATUS", MANIFEST_BLOB, .digest = A64 }, true },
		{ { "STATUS", MANIFEST_DIRECTORY }, true },
		{ { "COMPOSE_ID/x", MANIFEST_BLOB, .digest = A64 }, true },
		{ { "logs", MANIFEST_BLOB, .digest = A64 }, true },
		{ { "compose", MANIFEST_BLOB, .digest = A64 }, true },
		{ { "logs/global/odcsfs.log", MANIFEST_BLOB, .digest = A64 }, true },
		{ { "compose/metadata/images.json", MANIFEST_BLOB, .digest = A64 }, true },
		{ { "compose/Temporary/odcs-7.repo", MANIFEST_BLOB, .digest = A64 }, true },
		{ { "compose/Temporary/odcs-7.local.repo", MANIFEST_DIRECTORY }, true },
		{ { "compose/Temporary/odcs-.repo", MANIFEST_BLOB, .digest = A64 }, true },
		{ { "compose/Temporary/other.repo", MANIFEST_BLOB, .digest = A64 }, false },
		{ { "compose/metadata/modules.json", MANIFEST_BLOB, .digest = A64 }, false },
		{ { "compose/STATUS", MANIFEST_BLOB, .digest = A64 }, false },
		{ { "compose", MANIFEST_DIRECTORY }, false },
		{ { "logs/global", MANIFEST_DIRECTORY }, false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(taken); i++) {
		struct error err = { 0 };
		struct bytes bytes;

		made(&bytes, &taken[i].entry, 1);
		CHECK_INT(tree_check_bytes(bytes.text.data, bytes.text.length, &err),
			  taken[i].refused ? -EBADMSG : 0);
		CHECK(!taken[i].refused == !strstr(err.message, "uses itself"));
		text_done(&bytes.text);
	}
}

static int check_depth(int depth, size_t name_length)
{
	struct text path = { 0 }, bytes = { 0 };
	struct entry entry = { .type = MANIFEST_DIRECTORY };
	int r;

	for (int i = 0; i < depth; i++) {
		(void)text_adds(&path, i ? "/" : "");
		for (size_t k = 0; k < name_length; k++)
			(void)text_adds(&path, "n");
	}
	entry.path = path.data;
	write_manifest(&entry, 1, &bytes);
	r = tree_check_bytes(bytes.data, bytes.length, NULL);
	text_done(&path);
	text_done(&bytes);
	return r;
}

static void test_accepted(void)
{
	_cleanup_(freep) char *shifted = NULL;
	struct error err = { 0 };
	struct bytes bytes;

	made(&bytes, entries, ARRAY_SIZE(entries));
	CHECK_INT(tree_check_bytes(bytes.text.data, bytes.text.length, &err), 0);
	CHECK_STR(err.message, "");
	/* any cut is refused, and so is any byte more */
	for (size_t length = 0; length < bytes.text.length; length++)
		if (tree_check_bytes(bytes.text.data, length, NULL) != -EBADMSG)
			CHECK(!"cut");
	shifted = malloc(bytes.text.length + 8);
	if (!shifted)
		abort();
	for (size_t shift = 1; shift < 8; shift++) { /* callers need not align */
		memcpy(shifted + shift, bytes.text.data, bytes.text.length);
		CHECK_INT(tree_check_bytes(shifted + shift, bytes.text.length, NULL), 0);
	}
	(void)text_add(&bytes.text, "", 1);
	CHECK_INT(tree_check_bytes(bytes.text.data, bytes.text.length, NULL), -EBADMSG);
	text_done(&bytes.text);

	made(&bytes, NULL, 0); /* nothing but the root */
	CHECK_INT(tree_check_bytes(bytes.text.data, bytes.text.length, NULL), 0);
	text_done(&bytes.text);
	CHECK_INT(check_depth(MANIFEST_MAX_DEPTH, 1), 0);
	CHECK_INT(check_depth(MANIFEST_MAX_DEPTH + 1, 1), -EBADMSG);
	CHECK_INT(check_depth(1, MANIFEST_MAX_NAME), 0);
}

/* Each byte changed on its own: refused or accepted, but never a step outside (for the sanitisers).
 */
static void test_flips(void)
{
	size_t accepted = 0;
	struct bytes bytes;

	made(&bytes, entries, ARRAY_SIZE(entries));
	for (size_t i = 0; i < bytes.text.length; i++) {
		bytes.text.data[i] = (char)~bytes.text.data[i];
		accepted += tree_check_bytes(bytes.text.data, bytes.text.length, NULL) == 0;
		bytes.text.data[i] = (char)~bytes.text.data[i];
	}
	CHECK(accepted > 0 && accepted < bytes.text.length / 2);
	text_done(&bytes.text);
}

static void write_seeds(const char *folder)
{
	int dirfd = directory_open(AT_FDCWD, folder);
	struct bytes bytes;
	char name[32];

	made(&bytes, entries, ARRAY_SIZE(entries));
	put_file(dirfd, "sound", bytes.text.data, bytes.text.length);
	put_file(dirfd, "cut", bytes.text.data, bytes.text.length - 100);
	text_done(&bytes.text);
	made(&bytes, NULL, 0);
	put_file(dirfd, "root", bytes.text.data, bytes.text.length);
	text_done(&bytes.text);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i += 5) {
		made(&bytes, entries, ARRAY_SIZE(entries));
		cases[i].spoil(&bytes);
		(void)snprintf(name, sizeof(name), "spoilt-%02zu", i);
		put_file(dirfd, name, bytes.text.data, bytes.text.length);
		text_done(&bytes.text);
	}
	(void)close(dirfd);
}

int main(int argc, char **argv)
{
	if (argc > 1) {
		write_seeds(argv[1]);
		return 0;
	}
	test_accepted();
	test_refused();
	test_taken_names();
	test_flips();
	TEST_END();
}
