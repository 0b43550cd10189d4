/* SPDX-License-Identifier: MIT */
/* tests/unit/fs/fs.c: the parts of fs/ that need no mount: inode numbers, names, lines written to
 * control files, the text of a draft. */
#include "core/tree/tree.h"
#include "fs/inode.h"
#include "fs/words.h"
#include "tests/unit/test.h"

/* ---- inode numbers ----------------------------------------------------- */

static void check_inode(enum inode_kind kind, int64_t id, uint32_t part)
{
	uint64_t ino = inode_pack(kind, id, part);
	struct inode node = { 0 };

	CHECK(ino != 0);
	CHECK(ino < UINT64_C(1) << 63);
	CHECK(inode_parse(ino, &node));
	CHECK_INT(node.kind, kind);
	CHECK_INT(node.id, id);
	CHECK_INT(node.part, part);
}

static void test_inodes(void)
{
	static const uint64_t strangers[] = {
		0,
		256,
		UINT64_C(4) << 60,
		UINT64_C(7) << 60,
		UINT64_MAX,
		UINT64_C(3) << 60,
		(UINT64_C(3) << 60) | ((uint64_t)VIEW_END << 52),
		UINT64_C(8) << 60,
		(UINT64_C(9) << 60) | (1 << 24),
	};
	struct inode node;

	check_inode(INODE_FIXED, 0, FIXED_ROOT);
	check_inode(INODE_FIXED, 0, 255);
	CHECK_INT(FIXED_INO(FIXED_ROOT), 1);
	check_inode(INODE_REQUEST, 1, REQUEST_DIRECTORY);
	check_inode(INODE_REQUEST, INODE_REQUEST_MAX - 1, INODE_REQUEST_FILE_MAX - 1);
	check_inode(INODE_COMPOSE, 1, TREE_ROOT);
	check_inode(INODE_COMPOSE, INODE_COMPOSE_MAX - 1, UINT32_MAX);
	check_inode(INODE_VIEW, INODE_VIEW_KEY_MAX - 1, VIEW_SOURCE_LINK);
	check_inode(INODE_VIEW,
		    (int64_t)STATE_FAILED << INODE_STATE_SHIFT | (INODE_COMPOSE_MAX - 1),
		    VIEW_STATE_LINK);
	CHECK_INT(inode_pack(INODE_REQUEST, INODE_REQUEST_MAX, 0), 0);
	CHECK_INT(inode_pack(INODE_REQUEST, 1, INODE_REQUEST_FILE_MAX), 0);
	CHECK_INT(inode_pack(INODE_COMPOSE, INODE_COMPOSE_MAX, 0), 0);
	CHECK_INT(inode_pack(INODE_COMPOSE, -1, 0), 0);
	CHECK_INT(inode_pack(INODE_VIEW, INODE_VIEW_KEY_MAX, VIEW_ODCS), 0);
	CHECK_INT(inode_pack(INODE_VIEW, 1, 0), 0);
	CHECK_INT(inode_pack(INODE_FIXED, 0, 0), 0);
	for (size_t i = 0; i < ARRAY_SIZE(strangers); i++)
		CHECK(!inode_parse(strangers[i], &node));
	/* The documented layout: programs and old mounts know these numbers. */
	CHECK(REQUEST_INO(5, REQUEST_STATUS) == ((UINT64_C(1) << 60) | (5 << 24) | 2));
	CHECK(COMPOSE_INO(7, 70) == ((UINT64_C(2) << 60) | (UINT64_C(7) << 32) | 70));
}

/* ---- names ------------------------------------------------------------- */

static void test_request_names(void)
{
	static const struct {
		const char *name;
		int want;
	} cases[] = {
		{ "a", 0 },
		{ "0", 0 },
		{ "A.b_c-d", 0 },
		{ "auto-7", 0 },
		{ "", -EINVAL },
		{ ".a", -EINVAL },
		{ "-a", -EINVAL },
		{ "_a", -EINVAL },
		{ "a b", -EINVAL },
		{ "a/b", -EINVAL },
		{ "a\n", -EINVAL },
		{ "a+b", -EINVAL },
		{ "\xc3\xa4", -EINVAL },
		{ "a\xff", -EINVAL },
		{ "a~", -EINVAL },
	};
	char name[REQUEST_NAME_MAX + 2];

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		CHECK_INT(request_name_check(cases[i].name), cases[i].want);
	memset(name, 'x', sizeof(name));
	name[REQUEST_NAME_MAX] = '\0';
	CHECK_INT(request_name_check(name), 0);
	name[REQUEST_NAME_MAX] = 'x';
	name[REQUEST_NAME_MAX + 1] = '\0';
	CHECK_INT(request_name_check(name), -ENAMETOOLONG);
	name[3] = '/';
	CHECK_INT(request_name_check(name), -EINVAL);
}

static void test_temporary_names(void)
{
	static const char *const good[] = {
		".x",	     "..x",	 "...", "a~", "a.tmp", "spec.json~", ".spec.json.swp",
		"sedAbc123", "sed000000"
	};
	static const char *const bad[] = { "",	       ".",	     "..",	  "a",
					   "~",	       ".tmp~x/",    "tmp",	  "sed",
					   "sedAbc12", "sedAbc1234", "sed.bc123", "Sedabc123",
					   "4913",     "a.tmpx" };
	char longest[NAME_LENGTH_MAX + 2];

	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		CHECK(temporary_name(good[i]));
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		CHECK(!temporary_name(bad[i]) || strchr(bad[i], '/'));
	memset(longest, '.', sizeof(longest));
	longest[NAME_LENGTH_MAX] = '\0';
	CHECK(temporary_name(longest));
	longest[NAME_LENGTH_MAX] = '.';
	longest[NAME_LENGTH_MAX + 1] = '\0';
	CHECK(!temporary_name(longest));
}

static void check_escape(const char *string, const char *want)
{
	struct text name = { 0 };

	CHECK_INT(name_escape(string, &name), 0);
	CHECK_STR(name.data ? name.data : "", want);
	text_done(&name);
}

static void test_escape(void)
{
	struct text name = { 0 }, other = { 0 };
	char path[1000];

	check_escape("f26", "f26");
	check_escape("/srv/repo", "%2Fsrv%2Frepo");
	check_escape("100%/a", "100%25%2Fa");
	check_escape("%2F", "%252F");
	check_escape(".", "%2E");
	check_escape("..", "%2E%2E");
	check_escape("...", "...");
	check_escape("", "");
	memset(path, '/', sizeof(path));
	path[sizeof(path) - 1] = '\0';
	CHECK_INT(name_escape(path, &name), 0);
	CHECK_INT(name.length, NAME_LENGTH_MAX);
	path[sizeof(path) - 2] = 'x';
	CHECK_INT(name_escape(path, &other), 0);
	CHECK_INT(other.length, NAME_LENGTH_MAX);
	CHECK(strcmp(name.data, other.data) != 0); /* cut, yet apart */
	CHECK(name_key(name.data) != name_key(other.data));
	CHECK(name_key("root") >= 0 && name_key("root") < INODE_VIEW_KEY_MAX);
	CHECK_INT(name_key("root"),
		  0x3494d137e1631); /* first bytes of its SHA-256: never changes */
	text_done(&name);
	text_done(&other);
}

/* ---- what is written to control files ------------------------------------ */

static void test_ttl(void)
{
	static const struct {
		const char *text;
		int64_t want;
	} cases[] = {
		{ "1", 1 },
		{ "600\n", 600 },
		{ "  42 \t\r\n", 42 },
		{ "1000", 1000 },
		{ "007", 7 },
		{ "1001", -ERANGE },
		{ "99999999999999999999", -ERANGE },
		{ "9223372036854775807", -ERANGE },
		{ "9223372036854775808", -ERANGE },
		{ "0", -EINVAL },
		{ "000", -EINVAL },
		{ "", -EINVAL },
		{ "\n", -EINVAL },
		{ "-1", -EINVAL },
		{ "+1", -EINVAL },
		{ "1.5", -EINVAL },
		{ "1e3", -EINVAL },
		{ "0x10", -EINVAL },
		{ "1 2", -EINVAL },
		{ "ten", -EINVAL },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		int64_t value = -1;
		int r = ttl_parse(cases[i].text, strlen(cases[i].text), 1000, &value);

		CHECK_INT(r < 0 ? r : value, cases[i].want);
		if (r < 0)
			CHECK_INT(value, -1);
	}
	int64_t value;
	CHECK_INT(ttl_parse("12\0", 3, 1000, &value), -EINVAL);
	CHECK_INT(ttl_parse("12345", 2, 1000, &value), 0);
	CHECK_INT(value, 12);
}

static void test_commands(void)
{
	static const struct {
		const char *text;
		int want;
		int64_t seconds;
	} cases[] = {
		{ "cancel", COMMAND_CANCEL, 0 },
		{ "expire\n", COMMAND_EXPIRE, 0 },
		{ " renew ", COMMAND_RENEW, 0 },
		{ "renew 60\n", COMMAND_RENEW, 60 },
		{ "renew\t60", COMMAND_RENEW, 60 },
		{ "resubmit", COMMAND_RESUBMIT, 0 },
		{ "renew 0", -EINVAL, 0 },
		{ "renew -1", -EINVAL, 0 },
		{ "renew 1001", -ERANGE, 0 },
		{ "cancel now", -EINVAL, 0 },
		{ "", -EINVAL, 0 },
		{ "\n", -EINVAL, 0 },
		{ "Cancel", -EINVAL, 0 },
		{ "can", -EINVAL, 0 },
		{ "cancelled", -EINVAL, 0 },
		{ "expire cancel", -EINVAL, 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		enum command command = COMMAND_CANCEL;
		int64_t seconds = -1;
		int r = command_parse(cases[i].text, strlen(cases[i].text), 1000, &command,
				      &seconds);

		CHECK_INT(r < 0 ? r : (int)command, cases[i].want);
		if (r >= 0)
			CHECK_INT(seconds, cases[i].seconds);
	}
}

/* ---- the text of a draft --------------------------------------------------- */

static void test_buffer(void)
{
	struct text text = { 0 };

	CHECK_INT(buffer_write(&text, "world", 5, 6, 20), 0);
	CHECK_INT(text.length, 11);
	CHECK(!memcmp(text.data, "\0\0\0\0\0\0world", 12)); /* the gap is NUL, and one follows */
	CHECK_INT(buffer_write(&text, "hello ", 6, 0, 20), 0);
	CHECK_STR(text.data, "hello world");
	CHECK_INT(buffer_write(&text, "123456789", 9, 11, 20), 0);
	CHECK_INT(text.length, 20);
	CHECK_INT(buffer_write(&text, "x", 1, 20, 20), -EFBIG);
	CHECK_INT(buffer_write(&text, "xx", 2, 19, 20), -EFBIG);
	CHECK_INT(buffer_write(&text, "x", 1, UINT64_MAX, 20), -EFBIG);
	CHECK_INT(buffer_write(&text, "", 0, 20, 20), 0);
	CHECK_STR(text.data, "hello world123456789");
	CHECK_INT(buffer_truncate(&text, 5, 20), 0);
	CHECK_STR(text.data, "hello");
	CHECK_INT(buffer_truncate(&text, 8, 20), 0);
	CHECK(!memcmp(text.data, "hello\0\0\0", 9)); /* what was cut does not come back */
	CHECK_INT(buffer_truncate(&text, 21, 20), -EFBIG);
	CHECK_INT(text.length, 8);
	CHECK_INT(buffer_truncate(&text, 0, 20), 0);
	CHECK_INT(text.length, 0);
	text_done(&text);
	text = (struct text){ 0 };
	CHECK_INT(buffer_truncate(&text, 0, 20), 0);
	CHECK_INT(buffer_write(&text, "", 0, 0, 20), 0);
	CHECK(blank("", 0) && blank(" \t\r\n", 4) && !blank(" x", 2) && !blank("\0", 1));
	text_done(&text);
}

int main(void)
{
	test_inodes();
	test_request_names();
	test_temporary_names();
	test_escape();
	test_ttl();
	test_commands();
	test_buffer();
	TEST_END();
}
