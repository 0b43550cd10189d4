/* SPDX-License-Identifier: MIT */
/* tests/unit/base/base.c: core/base by tables of cases. */
#include "tests/unit/test.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static void test_error(void)
{
	struct error err = { 0 };

	CHECK_INT(error_set(&err, EINVAL, BLAME_REQUEST, "ttl", "must be %d", 3), -EINVAL);
	CHECK_INT(error_prefix(&err, "compose %d", 7), -EINVAL);
	CHECK_STR(err.message, "compose 7: must be 3");
	CHECK_STR(err.field, "ttl");
	CHECK_INT(err.blame, BLAME_REQUEST);
	CHECK_INT(error_errno(&err, -ENOENT, "open %s", "x"), -ENOENT);
	CHECK_STR(err.message, "open x: No such file or directory");
	CHECK_INT(error_set(NULL, -EIO, BLAME_US, NULL, "x"), -EIO);
	memset(err.message, 'a', sizeof(err.message) - 1);
	CHECK_INT(error_prefix(&err, "long"), -ENOENT);
	CHECK(strlen(err.message) < sizeof(err.message) && strlen(err.message) > 4000);
}

static void test_paths(void)
{
	static const struct {
		const char *path, *prefix, *rest;
	} cases[] = { { "/a/b", "/a", "/b" }, { "/a/b", "/a/", "/b" },
		      { "/a", "/a//", "" },   { "/ab", "/a", NULL },
		      { "/a", "/a/b", NULL }, { "/", "/", "/" },
		      { "/a", "/", "/a" },    { "/a/../b", "/a/..", "/b" },
		      { "a", "/", NULL },     { "/a..b/c", "/a..b", "/c" } };
	static const char *const dots[] = { "/..", "/.", "/a/../b", "/a/.", "/./a", "x/.." };
	static const char *const none[] = { "", "/", "/a..b", "/..b", "/a..", "/.a/...", "a.." };

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *rest = path_rest(cases[i].path, cases[i].prefix);

		CHECK_STR(rest ? rest : "none", cases[i].rest ? cases[i].rest : "none");
	}
	for (size_t i = 0; i < ARRAY_SIZE(dots); i++)
		CHECK(path_has_dots(dots[i]));
	for (size_t i = 0; i < ARRAY_SIZE(none); i++)
		CHECK(!path_has_dots(none[i]));
}

static void test_text(void)
{
	struct text text = { 0 };
	struct strings list = { 0 };
	char *string;

	CHECK_INT(text_addf(&text, "%s-%d", "a", 1), 0);
	CHECK_INT(text_add(&text, "\0b", 2), 0);
	CHECK_INT(text.length, 5);
	CHECK(!memcmp(text.data, "a-1\0b", 6));
	CHECK_INT(text_reserve(&text, SIZE_MAX), -ENOMEM);
	CHECK_INT(text_adds(&text, "x"), -ENOMEM); /* failed once, failed for ever */
	string = text_steal(&text);
	CHECK(!string);
	string = text_steal(&text);
	CHECK_STR(string, "");
	free(string);

	CHECK_INT(strings_split(&list, "  b a  c ", ' '), 0);
	CHECK_INT(list.count, 3);
	strings_sort(&list);
	string = strings_join(&list, "+");
	CHECK_STR(string, "a+b+c");
	free(string);
	CHECK(strings_has(&list, "c") && !strings_has(&list, "d"));
	CHECK(strings_has_sorted(&list, "a") && strings_has_sorted(&list, "b"));
	CHECK(strings_has_sorted(&list, "c") && !strings_has_sorted(&list, "bb"));
	strings_done(&list);
	CHECK(!strings_has_sorted(&list, "a"));
}

static void test_numbers(void)
{
	static const struct {
		const char *text;
		int r;
		int64_t value;
	} cases[] = {
		{ "0", 0, 0 },
		{ "-5", 0, -5 },
		{ "86400", 0, 86400 },
		{ "", -EINVAL, 0 },
		{ "-", -EINVAL, 0 },
		{ " 1", -EINVAL, 0 },
		{ "1x", -EINVAL, 0 },
		{ "1.5", -EINVAL, 0 },
		{ "+1", -EINVAL, 0 },
		{ "9223372036854775807", 0, INT64_MAX },
		{ "9223372036854775808", -ERANGE, 0 },
	}, sizes[] = {
		{ "0", 0, 0 },
		{ "1000", 0, 1000 },
		{ "1k", 0, 1024 },
		{ "3M", 0, 3145728 },
		{ "-2G", 0, -2147483648 },
		{ "1T", 0, 1099511627776 },
		{ "", -EINVAL, 0 },
		{ "M", -EINVAL, 0 },
		{ "1KB", -EINVAL, 0 },
		{ "1 K", -EINVAL, 0 },
		{ "1P", -EINVAL, 0 },
		{ "8388607T", 0, 9223370937343148032 },
		{ "8388608T", -ERANGE, 0 },
	};
	char buffer[TIME_ISO_SIZE];

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		int64_t value = 0;

		CHECK_INT(parse_int64(cases[i].text, &value), cases[i].r);
		CHECK_INT(value, cases[i].value);
	}
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		int64_t value = 0;

		CHECK_INT(parse_size(sizes[i].text, &value), sizes[i].r);
		CHECK_INT(value, sizes[i].value);
	}
	CHECK_STR(time_iso(1700000000, buffer), "2023-11-14T22:13:20Z");
	CHECK_STR(time_date(1700000000, buffer), "20231114");
	CHECK_STR(time_iso(INT64_MAX, buffer), "9999-12-31T00:00:00Z");
}

static void test_files(void)
{
	char path[] = "/tmp/odcsfs-test-XXXXXX", hex[DIGEST_HEX_SIZE];
	_cleanup_(closep) int dirfd = -1;
	uint64_t size = 0;
	char *content = NULL;
	struct stat st;
	int fd;

	CHECK(mkdtemp(path));
	dirfd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CHECK(dirfd >= 0);
	CHECK_INT(file_publish(dirfd, "a", "hello", 5), 0);
	CHECK_INT(file_publish(dirfd, "a", "hello world", 11), 0);
	CHECK_INT(file_read(dirfd, "a", 11, &content, NULL), 0);
	CHECK_STR(content, "hello world");
	free(content);
	CHECK_INT(file_read(dirfd, "a", 10, &content, NULL), -EFBIG);
	CHECK_INT(file_read(dirfd, "b", 10, &content, NULL), -ENOENT);
	fd = openat(dirfd, "a", O_RDONLY | O_CLOEXEC);
	CHECK_INT(sha256_file(fd, hex, &size), 0);
	CHECK_INT(size, 11);
	CHECK_STR(hex, "b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9");
	CHECK(futimens(fd, (struct timespec[2]){ { 1, 0 }, { 1, 0 } }) == 0);
	CHECK_INT(symlinkat("a", dirfd, "to-a"), 0);
	file_touch(dirfd, "to-a");
	CHECK(fstat(fd, &st) == 0 && st.st_mtime == 1);
	file_touch(dirfd, "nothing");
	file_touch(dirfd, "a");
	CHECK(fstat(fd, &st) == 0 && st.st_mtime >= time_now() - 60);
	CHECK_INT(unlinkat(dirfd, "to-a", 0), 0);
	CHECK(hex_is_digest(hex) && !hex_is_digest("b94d") && !hex_is_digest("B9"));
	(void)close(fd);

	fd = directory_open(dirfd, "x/y/z");
	CHECK(fd >= 0);
	CHECK_INT(file_publish(fd, "f", "", 0), 0);
	(void)close(fd);
	CHECK_INT(symlinkat("../a", dirfd, "x/link"), 0);
	CHECK_INT(directory_remove(dirfd, "x"), 0);
	CHECK_INT(faccessat(dirfd, "a", R_OK, 0), 0); /* a link is removed, not followed */
	CHECK_INT(directory_remove(dirfd, "x"), 0);
	CHECK_INT(unlinkat(dirfd, "a", 0), 0);
	CHECK_INT(rmdir(path), 0);
}

/* One message with the descriptors of @fd[0..count) (at most 3), as a stranger would send it. */
static void send_some(int socket, const int *fd, size_t count)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(3 * sizeof(int))];
	} control = { 0 };
	struct iovec part = { (char[]){ "x" }, 1 };
	struct msghdr message = { .msg_iov = &part,
				  .msg_iovlen = 1,
				  .msg_control = control.bytes,
				  .msg_controllen = CMSG_SPACE(count * sizeof(int)) };

	control.header = (struct cmsghdr){ .cmsg_len = CMSG_LEN(count * sizeof(int)),
					   .cmsg_level = SOL_SOCKET,
					   .cmsg_type = SCM_RIGHTS };
	memcpy(CMSG_DATA(&control.header), fd, count * sizeof(int));
	CHECK_INT(sendmsg(socket, &message, MSG_NOSIGNAL), 1);
}

/* the number that the next descriptor gets: the same again when none was left open */
static int next_fd(void)
{
	int fd = dup(STDERR_FILENO);

	(void)close(fd);
	return fd;
}

static void test_descriptors(void)
{
	int pair[2], fd = 0, many[] = { STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO }, next;
	char text[] = "two parts", got[sizeof(text)] = "";
	struct iovec out[] = { { text, 4 }, { text + 4, 5 } }, in = { got, sizeof(got) };
	struct msghdr message = { .msg_iov = out, .msg_iovlen = 2 };
	struct stat ours, theirs;

	CHECK_INT(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	CHECK_INT(fd_send(pair[0], &message, pair[0]), 0);
	CHECK_INT(fd_send(pair[0], &message, -1), 0);
	next = next_fd();
	message = (struct msghdr){ .msg_iov = &in, .msg_iovlen = 1 };
	CHECK_INT(fd_receive(pair[1], &message, 0, &fd), 9);
	CHECK_STR(got, text);
	CHECK_INT(fd, next);
	CHECK_INT(fcntl(fd, F_GETFD), FD_CLOEXEC);
	CHECK(fstat(fd, &ours) == 0 && fstat(pair[0], &theirs) == 0);
	CHECK_INT(ours.st_ino, theirs.st_ino);
	(void)close(fd);
	CHECK_INT(fd_receive(pair[1], &message, 0, &fd), 9);
	CHECK_INT(fd, -1);
	for (size_t count = 2; count <= ARRAY_SIZE(many); count++) {
		fd = 0;
		send_some(pair[0], many, count);
		CHECK_INT(fd_receive(pair[1], &message, 0, &fd), -EBADMSG);
		CHECK_INT(fd, -1);
		CHECK_INT(next_fd(), next);
	}
	in.iov_len = 4;
	CHECK_INT(fd_send(pair[0], &(struct msghdr){ .msg_iov = out, .msg_iovlen = 2 }, -1), 0);
	CHECK_INT(fd_receive(pair[1], &message, 0, &fd), 4);
	CHECK(message.msg_flags & MSG_TRUNC);
	fd = 0;
	CHECK_INT(fd_receive(pair[1], &message, MSG_DONTWAIT, &fd), -EAGAIN);
	CHECK_INT(fd, -1);
	(void)close(pair[0]);
	CHECK_INT(fd_receive(pair[1], &message, 0, &fd), 0);
	CHECK_INT(fd_send(pair[1], &message, STDERR_FILENO), -EPIPE); /* and no signal */
	(void)close(pair[1]);
}

static void test_digests(void)
{
	struct digest *digest = digest_new("md5");
	char hex[DIGEST_MAX_HEX_SIZE];
	uint8_t bytes[2];

	digest_add(digest, "a", 1);
	digest_hex(digest, hex);
	CHECK_STR(hex, "0cc175b9c0f1b6a831c399e269772661");
	digest_free(digest);
	CHECK(!digest_new("crc32"));
	CHECK_INT(hex_parse("0aFf", bytes, 2), 0);
	CHECK_INT(bytes[0] << 8 | bytes[1], 0x0aff);
	CHECK_INT(hex_parse("0aF", bytes, 2), -EINVAL);
	CHECK_INT(hex_parse("0aFf1", bytes, 2), -EINVAL);
}

/* What a stranger has chosen stands in messages: no line of its own, no command to the terminal. */
static void test_log(void)
{
	_cleanup_(closep) int fd = memfd_create("log", MFD_CLOEXEC), kept = dup(STDERR_FILENO);
	char text[ERROR_MESSAGE_SIZE * 3] = "", *end;

	CHECK(fd >= 0 && kept >= 0);
	(void)unsetenv("JOURNAL_STREAM");
	CHECK(dup2(fd, STDERR_FILENO) >= 0);
	log_error("%s", "a\nodcsfs: b\r\x1b[31m\x7f\tc \xc3\xa9");
	log_error("%*s", ERROR_MESSAGE_SIZE * 2, "x"); /* cut, and a line all the same */
	CHECK(dup2(kept, STDERR_FILENO) >= 0);
	CHECK(pread(fd, text, sizeof(text) - 1, 0) > 0);
	end = strchrnul(text, '\n');
	CHECK_INT(*end, '\n');
	*end = '\0';
	CHECK_STR(text, "odcsfs: a odcsfs: b  [31m  c \xc3\xa9");
	CHECK_INT(strcspn(end + 1, "\n") + 2, strlen(end + 1) + 1);
	CHECK(end[strlen(end + 1)] == '\n');
}

int main(void)
{
	test_error();
	test_log();
	test_paths();
	test_text();
	test_numbers();
	test_files();
	test_descriptors();
	test_digests();
	TEST_END();
}
