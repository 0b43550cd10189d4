/* SPDX-License-Identifier: MIT */
/* tests/unit/fetch/fetch.c: repositories on this machine: what is opened, for whom, and what is
 * not.
 *
 * The parts about other users need root, in children that give it up; they are skipped without. */
#include "resolver/fetch/fetch.h"
#include "tests/unit/test.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#define USER 54321 /* nobody here has these numbers */
#define GROUP 54322
#define OTHER_GROUP 54323

/* Below one folder in /tmp:
 *   open/repo/{file,sub/file,fifo,device,in,in-absolute,out,out-secret,loop,broken}   open/link →
 * open/repo other/file   secret/file (0700)   open2/file */
struct field {
	char top[64];
	int fd;
};

static const char *at(const struct field *field, const char *path)
{
	static char text[128][256];
	static int next;
	char *place = text[next++ % 128];

	(void)snprintf(place, 256, "%s/%s", field->top, path);
	return place;
}

static void make_file(const struct field *field, const char *path, mode_t mode, gid_t gid)
{
	int fd = openat(field->fd, path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	CHECK(fd >= 0 && io_write(fd, path, strlen(path)) == 0 && fchmod(fd, mode) == 0);
	CHECK(geteuid() != 0 || fchown(fd, 0, gid) == 0);
	(void)close(fd);
}

static void field_start(struct field *field)
{
	static const char *const folders[] = { "open",	"open/repo", "open/repo/sub",
					       "other", "secret",    "open2" };

	(void)snprintf(field->top, sizeof(field->top), "/tmp/odcsfs-test-XXXXXX");
	CHECK(mkdtemp(field->top) && chmod(field->top, 0755) == 0);
	field->fd = open(field->top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (size_t i = 0; i < ARRAY_SIZE(folders); i++)
		CHECK(mkdirat(field->fd, folders[i], 0755) == 0);
	make_file(field, "open/repo/file", 0644, 0);
	make_file(field, "open/repo/sub/file", 0644, 0);
	make_file(field, "open/repo/a b%c", 0644, 0);
	make_file(field, "open/repo/private", 0600, 0);
	make_file(field, "open/repo/group", 0640, GROUP);
	make_file(field, "open/repo/other-group", 0640, OTHER_GROUP);
	make_file(field, "other/file", 0644, 0);
	make_file(field, "secret/file", 0644, 0);
	make_file(field, "open2/file", 0644, 0);
	CHECK(fchmodat(field->fd, "secret", 0700, 0) == 0);
	CHECK(mkfifoat(field->fd, "open/repo/fifo", 0666) == 0);
	CHECK(symlinkat("sub/../file", field->fd, "open/repo/in") == 0);
	CHECK(symlinkat(at(field, "open/repo/file"), field->fd, "open/repo/in-absolute") == 0);
	CHECK(symlinkat("../../other/file", field->fd, "open/repo/out") == 0);
	CHECK(symlinkat(at(field, "other"), field->fd, "open/repo/out-folder") == 0);
	CHECK(symlinkat(at(field, "secret/file"), field->fd, "open/repo/out-secret") == 0);
	CHECK(symlinkat("loop", field->fd, "open/repo/loop") == 0);
	CHECK(symlinkat("nowhere", field->fd, "open/repo/broken") == 0);
	CHECK(symlinkat("repo", field->fd, "open/link") == 0);
	CHECK(symlinkat("open", field->fd, "linked") == 0);
	CHECK(symlinkat("../secret", field->fd, "open/to-secret") == 0);
}

static void field_done(struct field *field)
{
	(void)close(field->fd);
	CHECK_INT(directory_remove(AT_FDCWD, field->top), 0);
}

static void expect_base(struct transport *transport, const char *source, const char *want, int r)
{
	struct error err = { 0 };
	char *path = NULL;

	CHECK_INT(transport_base(transport, source, &path, &err), r);
	CHECK_STR(path, want);
	if (r < 0) {
		CHECK_INT(err.blame, BLAME_REQUEST);
		CHECK_STR(err.field, "source");
		if (!strstr(err.message, source))
			CHECK_STR(err.message, source);
	}
	free(path);
}

/* Opens, and the content is the file's own path (see make_file()), or fails with @want. */
static void expect_open(struct transport *transport, const char *base, const char *path,
			const char *content, int want)
{
	struct transport_file file = { 0 };
	struct error err = { 0 };
	char text[256] = "";
	struct stat st;
	int fd = transport_open(transport, base, path, &err);

	CHECK_INT(transport_stat(transport, base, path, &file, NULL), fd < 0 ? fd : 0);
	if (!content) {
		CHECK_INT(fd, want);
		CHECK_INT(err.blame, BLAME_SOURCE);
		CHECK(err.message[0]);
		closep(&fd);
		return;
	}
	CHECK(fd >= 0);
	if (fd < 0) {
		CHECK_STR(err.message, content);
		return;
	}
	CHECK(read(fd, text, sizeof(text) - 1) > 0);
	CHECK_STR(text, content);
	CHECK((fcntl(fd, F_GETFL) & O_NONBLOCK) == 0 && (fcntl(fd, F_GETFD) & FD_CLOEXEC));
	CHECK(fstat(fd, &st) == 0 && file.ino == st.st_ino && file.size == strlen(content));
	CHECK_INT(file.mtime_ns, st.st_mtim.tv_sec * INT64_C(1000000000) + st.st_mtim.tv_nsec);
	(void)close(fd);
}

static struct transport *new_transport(const char *first, const char *second, bool trusted,
				       uint32_t uid, uint32_t gid)
{
	struct transport *transport = NULL;
	struct strings allowed = { 0 };
	struct error err = { 0 };

	if (first)
		CHECK_INT(strings_add(&allowed, first), 0);
	if (second)
		CHECK_INT(strings_add(&allowed, second), 0);
	CHECK_INT(transport_local(&allowed, trusted, uid, gid, &transport, &err), 0);
	CHECK_STR(err.message, "");
	strings_done(&allowed);
	return transport;
}

static void test_names(const struct field *field)
{
	struct transport *transport = new_transport(NULL, NULL, true, 0, 0);
	const char *repo = at(field, "open/repo");
	char url[512], encoded[512];

	expect_base(transport, repo, repo, 0);
	expect_base(transport, at(field, "open//repo/"), repo, 0);
	expect_base(transport, at(field, "open/./sub/../link"), NULL, -ENOENT);
	expect_base(transport, at(field, "open/link"), repo, 0);
	expect_base(transport, at(field, "linked/link/sub/.."), repo, 0);
	(void)snprintf(url, sizeof(url), "file://%s", repo);
	expect_base(transport, url, repo, 0);
	(void)snprintf(url, sizeof(url), "file://localhost%s/", repo);
	expect_base(transport, url, repo, 0);
	(void)snprintf(encoded, sizeof(encoded), "file://%s%%2f%%72ep%%6F", at(field, "open"));
	expect_base(transport, encoded, repo, 0);
	expect_base(transport, at(field, "open/repo/file"), NULL, -ENOTDIR);
	expect_base(transport, at(field, "open/repo/loop"), NULL, -ELOOP);
	expect_base(transport, at(field, "missing"), NULL, -ENOENT);
	expect_base(transport, "", NULL, -EINVAL);
	expect_base(transport, "open/repo", NULL, -EINVAL);
	expect_base(transport, "../etc", NULL, -EINVAL);
	expect_base(transport, "http://example.org/", NULL, -EINVAL);
	expect_base(transport, "file:/etc", NULL, -EINVAL);
	expect_base(transport, "file://host/etc", NULL, -EINVAL);
	expect_base(transport, "file:///etc%00x", NULL, -EINVAL);
	expect_base(transport, "file:///etc%0ax", NULL, -EINVAL);
	expect_base(transport, "file:///etc%2", NULL, -EINVAL);
	expect_base(transport, "file:///etc%zz", NULL, -EINVAL);
	expect_base(transport, "file:///etc?x", NULL, -EINVAL);
	expect_base(transport, "file:///etc#x", NULL, -EINVAL);
	expect_base(transport, "/etc\nx", NULL, -EINVAL);
	transport_free(transport);
}

static void test_allowed(const struct field *field)
{
	struct transport *transport = new_transport(at(field, "open/"), NULL, true, 0, 0);
	const char *repo = at(field, "open/repo");

	expect_base(transport, repo, repo, 0);
	expect_base(transport, at(field, "linked/repo"), repo, 0); /* where it really is counts */
	expect_base(transport, at(field, "open/missing"), NULL, -ENOENT);
	/* elsewhere: the same words for what is there and what is not */
	expect_base(transport, at(field, "other"), NULL, -EACCES);
	expect_base(transport, at(field, "other/missing"), NULL, -EACCES);
	expect_base(transport, at(field, "open/../other"), NULL, -EACCES);
	expect_base(transport, at(field, "open/../missing"), NULL, -EACCES);
	expect_base(transport, at(field, "open2"), NULL, -EACCES);
	expect_base(transport, at(field, "open/to-secret"), NULL, -EACCES);
	expect_base(transport, "/", NULL, -EACCES);
	transport_free(transport);

	/* a prefix that is a link, a URL, and of another kind */
	transport = new_transport(at(field, "linked"), "http://example.org/", true, 0, 0);
	expect_base(transport, repo, repo, 0);
	expect_base(transport, at(field, "linked/missing"), NULL, -ENOENT);
	expect_base(transport, at(field, "other"), NULL, -EACCES);
	transport_free(transport);
	transport = new_transport("http://example.org/", at(field, "missing"), true, 0, 0);
	expect_base(transport, repo, NULL, -EACCES);
	transport_free(transport);
}

static void test_open(const struct field *field)
{
	struct transport *transport =
		new_transport(at(field, "open"), at(field, "other"), true, 0, 0);
	const char *repo = at(field, "open/repo");
	char base[256];

	(void)snprintf(base, sizeof(base), "%s", repo);
	(void)alarm(20); /* the FIFO must not hold us up */
	expect_open(transport, base, "file", "open/repo/file", 0);
	expect_open(transport, base, "sub/file", "open/repo/sub/file", 0);
	expect_open(transport, base, "a b%c", "open/repo/a b%c", 0);
	expect_open(transport, base, "in", "open/repo/file", 0);
	expect_open(transport, base, "in-absolute", "open/repo/file", 0);
	expect_open(transport, base, "out", "other/file", 0);
	expect_open(transport, base, "out-folder/file", "other/file", 0);
	expect_open(transport, base, "out-secret", NULL, -EACCES);
	expect_open(transport, base, "fifo", NULL, -EINVAL);
	expect_open(transport, base, "sub", NULL, -EINVAL);
	expect_open(transport, base, "loop", NULL, -ELOOP);
	expect_open(transport, base, "broken", NULL, -ENOENT);
	expect_open(transport, base, "missing", NULL, -ENOENT);
	expect_open(transport, base, "file/x", NULL, -ENOTDIR);
	expect_open(transport, base, "../repo/file", NULL, -EINVAL);
	expect_open(transport, base, "sub/../file", NULL, -EINVAL);
	expect_open(transport, base, "", NULL, -EINVAL);
	expect_open(transport, base, at(field, "other/file"), NULL, -EINVAL);
	if (geteuid() == 0 &&
	    mknodat(field->fd, "open/repo/device", S_IFCHR | 0666, makedev(1, 3)) == 0)
		expect_open(transport, base, "device", NULL, -EINVAL);
	/* a base is a real path: what has become a link since is not followed */
	(void)snprintf(base, sizeof(base), "%s", at(field, "open/link"));
	expect_open(transport, base, "file", NULL, -ELOOP);
	(void)alarm(0);
	transport_free(transport);

	transport = new_transport(at(field, "open"), NULL, true, 0, 0);
	(void)snprintf(base, sizeof(base), "%s", repo);
	expect_open(transport, base, "out", NULL, -EACCES);
	expect_open(transport, base, "out-folder/file", NULL, -EACCES);
	transport_free(transport);
	transport = new_transport(NULL, NULL, true, 0, 0);
	expect_open(transport, base, "out", "other/file", 0);
	transport_free(transport);
}

/* ---- as other users; each in a child of its own ---- */

static void in_child(const struct field *field, void (*run)(const struct field *field))
{
	pid_t pid = fork();
	int status = -1;

	CHECK(pid >= 0);
	if (pid == 0) {
		test_checks = test_failures = 0;
		run(field);
		_exit(test_failures || !test_checks ? 1 : 0);
	}
	CHECK(waitpid(pid, &status, 0) == pid);
	CHECK_INT(status, 0);
}

/* What USER may read, and what only the service may. */
static void check_as_user(const struct field *field)
{
	struct transport *transport = new_transport(NULL, NULL, false, USER, GROUP);
	char base[256];

	(void)snprintf(base, sizeof(base), "%s", at(field, "open/repo"));
	expect_base(transport, base, base, 0);
	expect_base(transport, at(field, "secret"), NULL, -EACCES);
	expect_base(transport, at(field, "open/to-secret"), NULL, -EACCES);
	expect_open(transport, base, "file", "open/repo/file", 0);
	expect_open(transport, base, "out", "other/file", 0);
	expect_open(transport, base, "out-secret", NULL, -EACCES);
	expect_open(transport, base, "private", NULL, -EACCES);
	expect_open(transport, base, "group", "open/repo/group", 0);
	expect_open(transport, base, "other-group", NULL, -EACCES);
	transport_free(transport);
}

static void run_as_root(const struct field *field)
{
	const gid_t groups[] = { OTHER_GROUP, 0 };
	struct transport *transport;
	char base[256];

	CHECK_INT(setgroups(ARRAY_SIZE(groups), groups), 0);
	check_as_user(field);
	/* and the service's own rights are back */
	transport = new_transport(NULL, NULL, true, 0, 0);
	(void)snprintf(base, sizeof(base), "%s", at(field, "open/repo"));
	expect_open(transport, base, "private", "open/repo/private", 0);
	expect_base(transport, at(field, "secret"), at(field, "secret"), 0);
	transport_free(transport);
}

/* A service that is not root but was given capabilities, among them one that reads everything. */
static void run_with_capabilities(const struct field *field)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = { 0 };
	struct transport *transport;
	char base[256];

	data[0].permitted = data[0].effective =
		1u << CAP_SETUID | 1u << CAP_SETGID | 1u << CAP_DAC_READ_SEARCH;
	CHECK_INT(prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0), 0);
	CHECK_INT(setresuid(USER + 7, USER + 7, USER + 7), 0);
	CHECK_INT(syscall(SYS_capset, &header, data), 0);
	check_as_user(field);
	transport = new_transport(NULL, NULL, true, 0, 0);
	(void)snprintf(base, sizeof(base), "%s", at(field, "open/repo"));
	expect_open(transport, base, "private", "open/repo/private", 0);
	transport_free(transport);
}

/* A service that is an ordinary user serves himself, and nobody else. */
static void run_as_user(const struct field *field)
{
	struct transport *transport = NULL;
	struct error err = { 0 };

	CHECK(setgroups(0, NULL) == 0 && setresgid(GROUP, GROUP, GROUP) == 0);
	CHECK_INT(setresuid(USER, USER, USER), 0);
	check_as_user(field);
	CHECK_INT(transport_local(NULL, false, USER + 1, GROUP, &transport, &err), -EPERM);
	CHECK(!transport && err.blame == BLAME_US && strstr(err.message, "54322"));
	CHECK_INT(transport_local(NULL, false, 0, 0, &transport, &err), -EPERM);
}

int main(void)
{
	struct field field;

	field_start(&field);
	test_names(&field);
	test_allowed(&field);
	test_open(&field);
	if (geteuid() == 0) {
		in_child(&field, run_as_root);
		in_child(&field, run_with_capabilities);
		in_child(&field, run_as_user);
	} else {
		printf("skipped: rights of other users: needs root\n");
	}
	field_done(&field);
	TEST_END();
}
