/* SPDX-License-Identifier: MIT */
/* tests/unit/sources/opener.c: the process that opens files for a worker, asked by one that has
 * been taken over: it hands out what the server said, and nothing else.
 *
 * promises = 17 */
#include "resolver/fetch/asked.h"
#include "resolver/worker/worker.h"
#include "tests/unit/test.h"

#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define USER 4711

static char top[] = "/tmp/odcsfs-opener-XXXXXX";

struct scene {
	pid_t pid;
	int server_fd;
	struct asking asking;
	struct transport *request, *site;
	struct error err;
};

static const char *below(const char *name)
{
	static char path[4][160];
	static int which;

	which = (which + 1) % 4;
	(void)snprintf(path[which], sizeof(path[which]), "%s/%s", top, name);
	return path[which];
}

static void put(const char *name, const char *text, mode_t mode)
{
	CHECK_INT(file_publish(AT_FDCWD, below(name), text, strlen(text)), 0);
	CHECK_INT(chmod(below(name), mode), 0);
}

static void folder(const char *name, mode_t mode)
{
	int fd = directory_open(AT_FDCWD, below(name));

	CHECK(fd >= 0 && fchmod(fd, mode) == 0);
	closep(&fd);
}

static void scene_start(struct scene *scene)
{
	int pipe[2], ask[2];

	*scene = (struct scene){ .asking = { .lock = PTHREAD_MUTEX_INITIALIZER } };
	CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pipe), 0);
	CHECK_INT(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ask), 0);
	scene->pid = fork();
	if (scene->pid == 0) {
		char options[2][64];
		char *argv[] = { options[0], (char[]){ "--open" }, options[0], options[1], NULL };

		(void)close(pipe[0]);
		(void)close(ask[0]);
		(void)snprintf(options[0], sizeof(options[0]), "--pipe-fd=%d", pipe[1]);
		(void)snprintf(options[1], sizeof(options[1]), "--opener-fd=%d", ask[1]);
		_exit(worker_main(4, argv));
	}
	(void)close(pipe[1]);
	(void)close(ask[1]);
	scene->server_fd = pipe[0];
	scene->asking.fd = ask[0];
	CHECK_INT(transport_asked(&scene->asking, false, &scene->request, &scene->err), 0);
	CHECK_INT(transport_asked(&scene->asking, true, &scene->site, &scene->err), 0);
}

/* Its exit code */
static int scene_done(struct scene *scene)
{
	int status = -1;

	closep(&scene->asking.fd);
	closep(&scene->server_fd);
	transport_free(scene->request);
	transport_free(scene->site);
	CHECK_INT(waitpid(scene->pid, &status, 0), scene->pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* What the server says: compose @id, of @uid, of repository @source; @topdir: NULL, or the site's
 */
static void say(struct scene *scene, int64_t id, uint32_t uid, const char *source,
		const char *topdir)
{
	_cleanup_(job_freep) struct job *job = calloc(1, sizeof(*job));
	_cleanup_(strings_done) struct strings arches = { 0 }, none = { 0 };
	_cleanup_(text_done) struct text line = { 0 }, spec = { 0 };
	const struct spec_rules rules = { .default_seconds_to_live = 3600,
					  .maximum_seconds_to_live = 3600,
					  .default_arches = &arches,
					  .base_module_names = &none,
					  .target_dirs = &none,
					  .raw_configs = &none,
					  .maximum_packages = 10 };
	struct message message = { .type = PIPE_COMPOSE, .id = id, .job = job };

	(void)strings_add(&arches, "x86_64");
	(void)text_addf(&spec,
			"{\"source\":{\"type\":\"repo\",\"source\":\"%s\",\"packages\":[\"a\"]}}",
			source);
	*job = (struct job){ .id = id, .uid = uid, .gid = uid, .known_event = -1 };
	if (topdir) {
		job->koji.hub = strdup("http://hub");
		job->koji.topdir = strdup(topdir);
	}
	CHECK_INT(spec_parse(spec.data, spec.length, &rules, &job->spec, NULL, NULL, &scene->err),
		  0);
	CHECK_INT(message_print(&message, &line), 0);
	CHECK_INT(io_write(scene->server_fd, line.data, line.length), 0);
	scene->asking.id = id;
}

/* Errno of opening @path below @base; 0: it holds @text */
static int try(struct scene *scene, const char *base, const char *path, const char *text)
{
	char bytes[64] = "";
	int fd;

	scene->err = (struct error){ 0 };
	fd = transport_open(scene->request, base, path, &scene->err);
	if (fd < 0)
		return fd;
	CHECK(io_pread(fd, bytes, sizeof(bytes) - 1, 0) >= 0);
	CHECK_STR(bytes, text);
	CHECK(!(fcntl(fd, F_GETFL) & (O_WRONLY | O_RDWR)));
	closep(&fd);
	return 0;
}

static int try_base(struct scene *scene, const char *word)
{
	char *base = NULL;
	int r;

	scene->err = (struct error){ 0 };
	r = transport_base(scene->request, word, &base, &scene->err);
	if (r == 0)
		CHECK_STR(base, word);
	free(base);
	return r;
}

/* ---- what is handed out ---------------------------------------------------- */

static void test_places(void)
{
	const char *const two[] = { "one", "two", "gone", "one" };
	struct transport_file file[4];
	struct strings names = { 0 };
	struct scene scene;
	size_t count;

	scene_start(&scene);
	say(&scene, 1, getuid(), below("mine"), NULL);
	CHECK_INT(try(&scene, below("mine"), "one", ""), -EACCES); /* nobody asked where it is */
	CHECK_INT(try_base(&scene, below("other")), -EACCES);
	CHECK(strstr(scene.err.message, "is not among the places of this compose"));
	CHECK_INT(try_base(&scene, "/etc"), -EACCES);
	CHECK_INT(try_base(&scene, "/"), -EACCES);
	CHECK_INT(try_base(&scene, below("mine/../other")), -EACCES);
	CHECK_INT(try_base(&scene, below("mine")), 0);
	CHECK_INT(try(&scene, below("mine"), "one", "1"), 0);
	CHECK_INT(try(&scene, below("other"), "one", ""), -EACCES);
	CHECK_INT(try(&scene, "/etc", "shadow", ""), -EACCES);
	CHECK_INT(try(&scene, below("mine"), "../other/one", ""), -EINVAL);
	CHECK_INT(try(&scene, below("mine"), "/etc/shadow", ""), -EINVAL);
	CHECK_INT(try(&scene, below("mine"), "gone", ""), -ENOENT);
	CHECK(strstr(scene.err.message, "mine/gone: No such file"));
	CHECK_INT(try(&scene, below("mine"), "fifo", ""), -EINVAL);
	CHECK_INT(try(&scene, below("mine"), "folder", ""), -EINVAL);
	CHECK_INT(
		transport_stat_all(scene.request, below("mine"), two, 4, file, &count, &scene.err),
		-ENOENT);
	CHECK_INT(count, 2);
	CHECK(file[0].size == 1 && file[1].size == 2 && file[0].ino != file[1].ino);
	CHECK_INT(transport_names(scene.request, below("mine"), "folder", &names, &scene.err), 0);
	CHECK_INT(names.count, 2);
	CHECK(names.count == 2 && !strcmp(names.item[0], "a") && !strcmp(names.item[1], "b"));
	strings_done(&names);
	CHECK_INT(scene_done(&scene), 0);
}

/* More than go into one packet */
static void test_many(void)
{
	enum { MANY = 1000 };
	static struct transport_file file[MANY];
	static const char *path[MANY];
	struct scene scene;
	size_t count = 0;

	scene_start(&scene);
	say(&scene, 1, getuid(), below("mine"), NULL);
	CHECK_INT(try_base(&scene, below("mine")), 0);
	for (size_t i = 0; i < MANY; i++)
		path[i] = i % 2 ? "two" : "one";
	CHECK_INT(transport_stat_all(scene.request, below("mine"), path, MANY, file, &count,
				     &scene.err),
		  0);
	CHECK_INT(count, MANY);
	for (size_t i = 0; i < count; i++)
		CHECK_INT(file[i].size, i % 2 ? 2 : 1);
	CHECK_INT(scene_done(&scene), 0);
}

/* The next compose is another's: what the last one might read is not to be had any more */
static void test_next(void)
{
	struct scene scene;

	scene_start(&scene);
	say(&scene, 1, getuid(), below("mine"), NULL);
	CHECK_INT(try_base(&scene, below("mine")), 0);
	say(&scene, 2, getuid(), below("other"), NULL);
	CHECK_INT(try(&scene, below("mine"), "one", ""), -EACCES);
	CHECK_INT(try_base(&scene, below("mine")), -EACCES);
	CHECK_INT(try_base(&scene, below("other")), 0);
	CHECK_INT(try(&scene, below("other"), "one", "other"), 0);
	/* both at once, before it was asked anything: the last one counts */
	say(&scene, 3, getuid(), below("mine"), NULL);
	say(&scene, 4, getuid(), below("other"), NULL);
	CHECK_INT(try_base(&scene, below("mine")), -EACCES);
	CHECK_INT(scene_done(&scene), 0);
}

static void test_site(void)
{
	struct strings names = { 0 };
	struct scene scene;
	char *base = NULL;
	int fd;

	scene_start(&scene);
	say(&scene, 1, getuid(), below("mine"), below("site"));
	fd = transport_open(scene.site, below("site"), "packages/one", &scene.err);
	CHECK(fd >= 0);
	closep(&fd);
	CHECK_INT(try(&scene, below("site"), "packages/one", ""), -EACCES); /* not his source */
	CHECK_INT(transport_base(scene.site, below("site"), &base, &scene.err), 0);
	free(base);
	CHECK_INT(transport_names(scene.site, below("site"), "packages", &names, &scene.err), 0);
	CHECK_INT(names.count, 1);
	strings_done(&names);
	CHECK_INT(scene_done(&scene), 0);
}

/* Errno of asking what @word of the site leads to */
static int try_site(struct scene *scene, const char *word)
{
	char *base = NULL;
	int r = transport_base(scene->site, word, &base, &scene->err);

	free(base);
	return r;
}

/* A path of the site as it is configured, by a worker that cannot look there itself. */
static void test_site_words(void)
{
	static const char *const spelled[] = { "site",	    "site/",	"mine/../site",
					       "site/a..b", "site/..b", "site/packages/.." };
	struct scene scene;

	if (getuid() != 0) {
		printf("not root: words of the site are not looked at\n");
		return;
	}
	scene_start(&scene);
	CHECK_INT(seteuid(USER), 0);
	for (size_t i = 0; i < ARRAY_SIZE(spelled); i++) {
		char word[200];

		say(&scene, (int64_t)i + 1, 0, below("mine"), below(spelled[i]));
		CHECK_INT(try_site(&scene, below(spelled[i])), 0);
		(void)snprintf(word, sizeof(word), "%s/..b/x", below(spelled[i]));
		CHECK_INT(try_site(&scene, word), 0);
		(void)snprintf(word, sizeof(word), "%s/../closed", below(spelled[i]));
		CHECK_INT(try_site(&scene, word), -EACCES);
		CHECK_INT(try_site(&scene, below("closed")), -EACCES);
		CHECK_INT(try_site(&scene, below("site-not")), -EACCES);
		(void)snprintf(word, sizeof(word), "%s/../site-not", below(spelled[i]));
		CHECK_INT(try_site(&scene, word), -EACCES);
	}
	CHECK_INT(seteuid(0), 0);
	CHECK_INT(scene_done(&scene), 0);
}

/* As another user: what he may not read is not handed out, whoever asks */
static void test_rights(void)
{
	struct scene scene;

	if (getuid() != 0) {
		printf("not root: rights of other users are not looked at\n");
		return;
	}
	scene_start(&scene);
	say(&scene, 1, USER, below("mine"), NULL);
	CHECK_INT(try_base(&scene, below("mine")), 0);
	CHECK_INT(try(&scene, below("mine"), "one", "1"), 0);
	CHECK_INT(try(&scene, below("mine"), "secret", ""), -EACCES);
	CHECK_INT(try(&scene, below("mine"), "to-secret", ""), -EACCES); /* a link */
	say(&scene, 2, USER, below("closed"), NULL);
	CHECK_INT(try_base(&scene, below("closed")), -EACCES);
	say(&scene, 3, 0, below("mine"), NULL);
	CHECK_INT(try_base(&scene, below("mine")), 0);
	CHECK_INT(try(&scene, below("mine"), "secret", "secret"), 0);
	CHECK_INT(scene_done(&scene), 0);
}

/* ---- what makes no sense ----------------------------------------------------- */

static void test_nonsense(void)
{
	static const struct {
		const char *bytes;
		size_t length;
	} packets[] = {
		{ "x", 1 },
		{ "nonsense that is longer than the head of a request", 51 },
		{ "\1\0\0\0\0\0\0\0\7\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0a\0b", 28 },
		{ "\1\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0a\0b", 27 },
		{ "\1\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\2\0\0\0\0\0\0\0a\0b", 28 },
		{ "\1\0\0\0\0\0\0\0\3\0\0\0\0\0\0\0\377\377\377\377\0\0\0\0a\0b", 28 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(packets); i++) {
		struct scene scene;
		char byte;

		scene_start(&scene);
		say(&scene, 1, getuid(), below("mine"), NULL);
		CHECK_INT(send(scene.asking.fd, packets[i].bytes, packets[i].length, MSG_NOSIGNAL),
			  packets[i].length);
		CHECK(recv(scene.asking.fd, &byte, 1, 0) <= 0); /* it has ended */
		scene.err = (struct error){ 0 };
		CHECK_INT(try_base(&scene, below("mine")), -EPIPE);
		CHECK_INT(scene.err.blame, BLAME_US);
		CHECK_INT(scene_done(&scene), 1);
	}
}

/* It ends with its worker, and with the server */
static void test_end(void)
{
	struct scene scene;

	scene_start(&scene);
	closep(&scene.asking.fd);
	scene.asking.fd = -1;
	CHECK_INT(waitpid(scene.pid, &(int){ 0 }, 0), scene.pid);
	closep(&scene.server_fd);
	transport_free(scene.request);
	transport_free(scene.site);
	scene_start(&scene);
	closep(&scene.server_fd);
	scene.server_fd = -1;
	CHECK_INT(scene_done(&scene), 0);
}

int main(void)
{
	CHECK(mkdtemp(top) != NULL);
	CHECK_INT(chmod(top, 0755), 0);
	folder("mine", 0755);
	folder("mine/folder", 0755);
	folder("other", 0755);
	folder("closed", 0700);
	folder("site", 0700);
	folder("site-not", 0700);
	folder("site/packages", 0755);
	put("mine/one", "1", 0644);
	put("mine/two", "22", 0644);
	put("mine/secret", "secret", 0600);
	put("mine/folder/a", "", 0644);
	put("mine/folder/b", "", 0644);
	put("other/one", "other", 0644);
	put("site/packages/one", "site", 0600);
	folder("site/..b/x", 0700);
	folder("site/a..b/..b/x", 0700);
	folder("site/..b/..b/x", 0700);
	CHECK_INT(mkfifo(below("mine/fifo"), 0644), 0);
	CHECK_INT(symlink("secret", below("mine/to-secret")), 0);
	test_places();
	test_many();
	test_next();
	test_site();
	test_site_words();
	test_rights();
	test_nonsense();
	test_end();
	CHECK_INT(directory_remove(AT_FDCWD, top), 0);
	TEST_END();
}
