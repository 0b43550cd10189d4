/* SPDX-License-Identifier: MIT */
/* tests/unit/sources/worker.c: the worker as a process: results, failures, its end, its sandbox.
 *
 * promises = 17 */
#include "tests/unit/sources/drive.h"
#include "tests/unit/sources/made.h"
#include "tests/unit/test.h"

#include "resolver/worker/cage.h"
#include "resolver/worker/worker.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CALL_YOUNG 451 /* the first that the filter does not know */

static const struct made packages[] = {
	{ .name = "a",
	  .version = "1",
	  .arch = "x86_64",
	  .source = "a",
	  .words = "r:b",
	  .size = 10 },
	{ .name = "b", .version = "1", .arch = "noarch", .source = "a", .size = 11 },
	{ .name = "a", .version = "1", .arch = "src", .size = 12 },
};

static char top[] = "/tmp/odcsfs-worker-XXXXXX";

static const char *below(const char *name)
{
	static char path[2][128];
	static int which;

	which = !which;
	(void)snprintf(path[which], sizeof(path[which]), "%s/%s", top, name);
	return path[which];
}

/* The next message of job @id that is no line of the log and no progress. */
static enum pipe_type next(struct drive *drive, int64_t id, struct message *ret)
{
	int r;

	while ((r = drive_next(drive, ret)) == 1) {
		CHECK_INT(ret->id, id);
		if (ret->type != PIPE_LOG && ret->type != PIPE_PROGRESS)
			return ret->type;
		message_done(ret);
	}
	CHECK_INT(r, 1);
	return PIPE_FAILED;
}

/* Let job @id go on and wait for its end; true: a result */
static bool finish(struct drive *drive, int64_t id, struct message *ret)
{
	enum pipe_type type = next(drive, id, ret);

	if (type != PIPE_RESOLVED) {
		CHECK_INT(type, PIPE_FAILED);
		return false;
	}
	CHECK(hex_is_digest(ret->resolution.inputs));
	message_done(ret);
	CHECK_INT(drive_answer(drive, id, PIPE_GO, NULL), 0);
	type = next(drive, id, ret);
	CHECK(type == PIPE_RESULT || type == PIPE_FAILED);
	return type == PIPE_RESULT;
}

static size_t count_files(int dirfd, const char *name, const struct strings *want)
{
	size_t found = 0;

	for (size_t i = 0; i < want->count; i++) {
		char path[128];

		(void)snprintf(path, sizeof(path), "%s/%s", name, want->item[i]);
		found += faccessat(dirfd, path, F_OK, 0) == 0;
	}
	return found;
}

static char *request(const char *packages_json)
{
	_cleanup_(text_done) struct text text = { 0 };

	text_addf(&text, "{\"source\":{\"type\":\"repo\",\"source\":\"%s\",\"packages\":%s}}",
		  below("r"), packages_json);
	return text_steal(&text);
}

static void test_jobs(void)
{
	_cleanup_(freep) char *good = request("[\"a\"]"), *bad = request("[\"x\"]");
	struct message message = { 0 };
	struct drive drive;
	char first[DIGEST_HEX_SIZE] = "";
	int status;

	made_repository(below("r"), packages, ARRAY_SIZE(packages), "3", 4, NULL);
	CHECK_INT(drive_start(&drive, below("state"), below("work")), 0);
	for (int64_t id = 7; id < 10; id++) {
		CHECK_INT(drive_send(&drive, id, good, true), 0);
		CHECK(finish(&drive, id, &message));
		if (!message.outcome)
			break;
		CHECK_INT(message.outcome->packages_count, 3);
		CHECK_INT(message.outcome->koji_event, 3);
		CHECK(message.outcome->manifest_new);
		CHECK(message.outcome->source == NULL);
		CHECK(message.outcome->blobs.count > 0);
		CHECK_INT(count_files(drive.work_dirfd, "blobs", &message.outcome->blobs),
			  message.outcome->blobs.count);
		if (id == 7)
			strcpy(first, message.outcome->manifest);
		CHECK_STR(message.outcome->manifest, first);
		message_done(&message);

		CHECK_INT(drive_send(&drive, id, bad, true), 0);
		CHECK(!finish(&drive, id, &message));
		CHECK_STR(message.text, "The following requested packages are not present in the "
					"generated compose: x.");
		CHECK_INT(message.blame, BLAME_REQUEST);
		CHECK(message.field == NULL);
		message_done(&message);
	}
	CHECK_INT(
		drive_send(&drive, 11, "{\"source\":{\"type\":\"pulp\",\"source\":\"f26\"}}", true),
		0);
	CHECK(!finish(&drive, 11, &message));
	CHECK_STR(message.text, "Source type \"pulp\" is not supported by this service");
	message_done(&message);
	status = drive_stop(&drive);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* What the service has already is not written again */
static void test_known(void)
{
	_cleanup_(freep) char *good = request("[\"a\"]");
	struct message message = { 0 };
	struct drive drive;

	CHECK_INT(drive_start(&drive, below("state"), below("work")), 0);
	CHECK_INT(drive_send(&drive, 1, good, true), 0);
	CHECK(finish(&drive, 1, &message));
	drive_publish(&drive);
	message_done(&message);
	CHECK_INT(drive_send(&drive, 2, good, true), 0);
	CHECK(finish(&drive, 2, &message));
	CHECK(message.outcome && message.outcome->blobs.count == 0);
	CHECK(message.outcome && !message.outcome->manifest_new);
	CHECK(message.outcome && message.outcome->bytes_written == 0);
	message_done(&message);
	CHECK_INT(drive_stop(&drive), 0);
}

/* Send @text as job @id and take what it resolves to. */
static struct resolution resolve(struct drive *drive, int64_t id, const char *text)
{
	struct resolution resolution = { 0 };
	struct message message = { 0 };

	CHECK_INT(drive_send(drive, id, text, true), 0);
	if (next(drive, id, &message) == PIPE_RESOLVED)
		resolution = message.resolution;
	else
		CHECK(!"resolved");
	message_done(&message);
	return resolution;
}

static void stop(struct drive *drive, int64_t id)
{
	CHECK_INT(drive_answer(drive, id, PIPE_STOP, NULL), 0);
}

static char *lookaside(const char *first, const char *second)
{
	_cleanup_(text_done) struct text text = { 0 };

	text_addf(&text,
		  "{\"source\":{\"type\":\"repo\",\"source\":\"%s/r\",\"packages\":[\"a\"]},"
		  "\"lookaside_repos\":[\"%s/%s\",\"%s/%s\"]}",
		  top, top, first, top, second);
	return text_steal(&text);
}

/* What a request resolves to: nothing is indexed for it, and what is not wanted is not made. */
static void test_resolved(void)
{
	static const struct made other[] = {
		{ .name = "c", .version = "1", .arch = "x86_64", .size = 10 },
	};
	_cleanup_(freep) char *good = request("[\"a\"]"), *more = request("[\"a\",\"b\"]");
	_cleanup_(freep) char *one = lookaside("l1", "l2"), *two = lookaside("l2", "l1");
	struct resolution first, again;
	struct message message = { 0 };
	struct drive drive;

	made_repository(below("l1"), other, 1, "7", 4, NULL);
	made_repository(below("l2"), packages, 1, "8", 4, NULL);
	CHECK_INT(drive_start(&drive, below("fresh"), below("work")), 0);
	first = resolve(&drive, 1, good);
	stop(&drive, 1);
	CHECK_INT(first.koji_event, 3);
	again = resolve(&drive, 2, more); /* also: the worker takes the next job after a stop */
	stop(&drive, 2);
	CHECK_STR(again.inputs, first.inputs); /* the question is not part of it */
	CHECK_INT(faccessat(drive.state_dirfd, "snapshots", F_OK, 0), 0);
	CHECK_INT(unlinkat(drive.state_dirfd, "snapshots", AT_REMOVEDIR), 0); /* empty */
	CHECK_INT(drive_stop(&drive), 0);

	CHECK_INT(drive_start(&drive, below("state"), below("work")), 0);
	again = resolve(&drive, 3, one);
	stop(&drive, 3);
	CHECK(strcmp(again.inputs, first.inputs) != 0);
	CHECK_INT(again.koji_event, 3);
	first = resolve(&drive, 4, two);
	stop(&drive, 4);
	CHECK_STR(again.inputs, first.inputs);
	/* another repository with the same revision, and the same bytes at another place */
	first = resolve(&drive, 5, good);
	stop(&drive, 5);
	made_repository(below("r"), packages, ARRAY_SIZE(packages) - 1, "3", 4, NULL);
	again = resolve(&drive, 6, good);
	stop(&drive, 6);
	CHECK_INT(again.koji_event, 3);
	CHECK(strcmp(again.inputs, first.inputs) != 0);
	CHECK_INT(rename(below("r"), below("moved")), 0);
	CHECK_INT(symlink("moved", below("r")), 0);
	first = resolve(&drive, 7, good);
	stop(&drive, 7);
	CHECK(strcmp(again.inputs, first.inputs) != 0);
	CHECK_INT(unlink(below("r")), 0);
	made_repository(below("r"), packages, ARRAY_SIZE(packages), "3", 4, NULL);
	/* what is broken fails before the question */
	CHECK_INT(drive_send(&drive, 8,
			     "{\"source\":{\"type\":\"repo\",\"source\":\"/nowhere/at/all\"}}",
			     true),
		  0);
	CHECK_INT(next(&drive, 8, &message), PIPE_FAILED);
	message_done(&message);
	CHECK_INT(drive_stop(&drive), 0);
}

static void check(struct drive *drive, int64_t id, const char *manifest, const char *words)
{
	struct message message = { 0 };

	CHECK_INT(drive_answer(drive, id, PIPE_CHECK, manifest), 0);
	CHECK_INT(next(drive, id, &message), PIPE_CHECKED);
	CHECK_INT(message.sound, words == NULL);
	if (!message.text || !strstr(message.text, words ? words : ""))
		fprintf(stderr, "checked: %s\n", message.text);
	CHECK(message.text && strstr(message.text, words ? words : ""));
	message_done(&message);
}

/* Is a compose that was made before still whole? */
static void test_check(void)
{
	_cleanup_(freep) char *good = request("[\"a\"]");
	char manifest[DIGEST_HEX_SIZE] = "", blob[128] = "", path[160];
	struct message message = { 0 };
	struct drive drive;

	CHECK_INT(drive_start(&drive, below("checked"), below("work")), 0);
	CHECK_INT(drive_send(&drive, 1, good, true), 0);
	CHECK(finish(&drive, 1, &message));
	if (!message.outcome)
		return;
	strcpy(manifest, message.outcome->manifest);
	(void)snprintf(blob, sizeof(blob), "blobs/%s", message.outcome->blobs.item[0]);
	message_done(&message);
	(void)resolve(&drive, 2, good);
	check(&drive, 2, manifest, "is not there"); /* the service has published nothing yet */
	drive_publish(&drive);
	check(&drive, 2, manifest, NULL);
	check(&drive, 2, "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff",
	      "is not there");
	/* a blob that is gone, one that was cut */
	CHECK_INT(renameat(drive.state_dirfd, blob, drive.state_dirfd, "kept"), 0);
	check(&drive, 2, manifest, "No such file");
	CHECK_INT(file_publish(drive.state_dirfd, blob, "x", 1), 0);
	check(&drive, 2, manifest, "has another size");
	CHECK_INT(renameat(drive.state_dirfd, "kept", drive.state_dirfd, blob), 0);
	check(&drive, 2, manifest, NULL);
	/* a package that is gone, and another file with the same bytes in its place */
	(void)snprintf(path, sizeof(path), "%s", below("r/b-1-1.noarch.rpm"));
	CHECK_INT(rename(path, below("kept")), 0);
	check(&drive, 2, manifest, "b-1-1.noarch.rpm");
	made_repository(below("r"), packages, ARRAY_SIZE(packages), "3", 4, NULL);
	check(&drive, 2, manifest, "is another file now");
	/* a damaged manifest */
	(void)snprintf(path, sizeof(path), "manifests/%s", manifest);
	CHECK_INT(file_publish(drive.state_dirfd, path, "ODCSFSm1", 8), 0);
	check(&drive, 2, manifest, "is damaged");
	/* and the compose is made all the same */
	CHECK_INT(drive_answer(&drive, 2, PIPE_GO, NULL), 0);
	CHECK_INT(next(&drive, 2, &message), PIPE_RESULT);
	message_done(&message);
	CHECK_INT(drive_stop(&drive), 0);
}

static void test_nonsense(void)
{
	static const char *const lines[] = { "{\"type\":\"ready\"}\n",
					     "{\"type\":\"go\",\"id\":1}\n", "nonsense\n", "\n" };

	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		struct message message = { 0 };
		struct drive drive;
		int status;

		CHECK_INT(drive_start(&drive, below("state"), below("work")), 0);
		CHECK_INT(drive_send_bytes(&drive, lines[i], strlen(lines[i])), 0);
		CHECK_INT(drive_next(&drive, &message), 0);
		status = drive_stop(&drive);
		CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 1);
	}
}

/* After "resolved" the server answers about this job, or the worker is not ours any more. */
static void test_bad_answers(void)
{
	static const struct {
		int64_t id;
		enum pipe_type type;
	} answers[] = { { 2, PIPE_GO }, { 2, PIPE_STOP }, { 1, PIPE_READY }, { 1, PIPE_RESOLVED } };
	_cleanup_(freep) char *good = request("[\"a\"]");

	for (size_t i = 0; i <= ARRAY_SIZE(answers); i++) {
		struct message message = { 0 };
		struct drive drive;
		int status;

		CHECK_INT(drive_start(&drive, below("state"), below("work")), 0);
		(void)resolve(&drive, 1, good);
		if (i < ARRAY_SIZE(answers)) {
			CHECK_INT(drive_answer(&drive, answers[i].id, answers[i].type, NULL), 0);
			CHECK_INT(drive_next(&drive, &message), 0);
		} /* else: the server is gone */
		status = drive_stop(&drive);
		CHECK(WIFEXITED(status));
		CHECK_INT(WEXITSTATUS(status), i < ARRAY_SIZE(answers));
	}
}

/* Processor time: each job gets the limit anew, on top of what went before */
static void test_cpu_limit(void)
{
	_cleanup_(freep) char *good = request("[\"a\"]");
	struct message message = { 0 };
	struct rlimit limit = { 0 };
	struct drive drive;

	CHECK_INT(drive_start_limited(&drive, below("state"), below("work"), 50), 0);
	CHECK_INT(prlimit(drive.pid, RLIMIT_CPU, NULL, &limit), 0);
	CHECK(limit.rlim_cur == RLIM_INFINITY);
	CHECK_INT(drive_send(&drive, 1, good, true), 0);
	CHECK(finish(&drive, 1, &message));
	message_done(&message);
	CHECK_INT(prlimit(drive.pid, RLIMIT_CPU, NULL, &limit), 0);
	CHECK(limit.rlim_cur > 50 && limit.rlim_cur < 60);
	CHECK(limit.rlim_max == RLIM_INFINITY);
	CHECK_INT(drive_stop(&drive), 0);

	CHECK_INT(drive_start(&drive, below("state"), below("work")), 0);
	CHECK_INT(drive_send(&drive, 1, good, true), 0);
	CHECK(finish(&drive, 1, &message));
	message_done(&message);
	CHECK_INT(prlimit(drive.pid, RLIMIT_CPU, NULL, &limit), 0);
	CHECK(limit.rlim_cur == RLIM_INFINITY);
	CHECK_INT(drive_stop(&drive), 0);
}

static void burn(int64_t limit_ms)
{
	struct timespec now;
	int64_t start = -1, at;

	do {
		clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
		at = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
		start = start < 0 ? at : start;
	} while (at - start < limit_ms);
}

/* Below the limit again and again, then beyond it */
static void test_cpu_burnt(void)
{
	pid_t pid = fork();
	struct rusage used = { 0 };
	int status = 0;

	if (pid == 0) {
		struct error err = { 0 };

		for (int i = 0; i < 3; i++) {
			if (sandbox_limit_cpu(1, &err) < 0)
				_exit(1);
			burn(900);
		}
		if (sandbox_limit_cpu(1, &err) < 0)
			_exit(1);
		burn(60000);
		_exit(2);
	}
	CHECK_INT(wait4(pid, &status, 0, &used), pid);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGXCPU);
	CHECK(used.ru_utime.tv_sec + used.ru_stime.tv_sec < 6);
}

/* ---- in a child: exit code = number of the first thing that should have failed, or 0 ---- */

static int try_escapes(const char *inside)
{
	char *const argv[] = { (char[]){ "false" }, NULL };
	struct rlimit core;
	struct error err = { 0 };
	int dirfd = open(inside, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int good;

	const struct sandbox sandbox = { .writable = &dirfd,
					 .writable_count = 1,
					 .memory_bytes = UINT64_C(1) << 30 };

	if (dirfd < 0 || sandbox_enter(&sandbox, &err) < 0) {
		fprintf(stderr, "%s\n", err.message);
		return 1;
	}
	good = openat(dirfd, "file", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (good < 0 || write(good, "x", 1) != 1 || renameat(dirfd, "file", dirfd, "other") < 0 ||
	    unlinkat(dirfd, "other", 0) < 0)
		return 2;
	if (getrlimit(RLIMIT_CORE, &core) < 0 || core.rlim_max != 0)
		return 3;
	if (read(STDIN_FILENO, argv[0], 1) != 0)
		return 4;
	if (execv("/bin/false", argv) < 0 && !SANITIZED && errno != EPERM) /* if it ran: 1 */
		return 10;
	if (syscall(SYS_landlock_create_ruleset, NULL, 0, 1) > 0 && /* else: not in this kernel */
	    open(below("outside"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600) >= 0)
		return 5;
	if (open(below("r/repodata/repomd.xml"), O_RDONLY | O_CLOEXEC) < 0)
		return 6;
	if (sched_getscheduler(0) != SCHED_IDLE)
		return 9;
#if !defined(__SANITIZE_ADDRESS__)
	if (socket(AF_INET, SOCK_STREAM, 0) >= 0 || kill(getppid(), 0) == 0)
		return 7;
	if (mmap(NULL, (size_t)2 << 30, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		 0) != MAP_FAILED)
		return 8;
#endif
	return 0;
}

static void test_sandbox(void)
{
	pid_t pid;
	int status = 0;

	CHECK(directory_open(AT_FDCWD, below("inside")) >= 0);
	pid = fork();
	if (pid == 0)
		_exit(try_escapes(below("inside")));
	CHECK_INT(waitpid(pid, &status, 0), pid);
	CHECK(WIFEXITED(status));
	CHECK_INT(WEXITSTATUS(status), 0);
}

/* ---- one that composes, taken over ------------------------------------------------------ */

static bool fails(long r, int number)
{
	return r < 0 && errno == number;
}

/* Into the cage of what composes, as worker_main() does it. The descriptor of the state directory
 */
static int enter(bool network, uint16_t port)
{
	struct sandbox_ports ports = { .item = { port }, .count = port != 0 };
	struct strings none = { 0 }, site = { 0 };
	int state = directory_open(AT_FDCWD, below("caged")), folder[CAGE_PACKAGES + 1];
	struct error err = { 0 };

	MUST(state >= 0 && flock(state, LOCK_EX | LOCK_NB) == 0);
	MUST(strings_add(&site, below("shown")) == 0);
	if (cage_enter(&(const struct cage){ .state_dirfd = state,
					     .work_dirfd = directory_open(state, "work"),
					     .read = &none,
					     .site = &site,
					     .ports = &ports,
					     .memory_bytes = UINT64_C(1) << 30,
					     .network = network },
		       folder, &err) < 0) {
		fprintf(stderr, "%s\n", err.message);
		_exit(1);
	}
	return state;
}

/* The state directory: only names are looked up by it */
static void state_directory(int state, long landlock)
{
	MUST(faccessat(state, "catalogue.sqlite", F_OK, 0) == 0);
	MUST(fails(flock(state, LOCK_UN), EBADF));
	MUST(fails(flock(state, LOCK_EX | LOCK_NB), EBADF));
	MUST(openat(state, "snapshots/x", O_WRONLY | O_CREAT | O_EXCL, 0600) >= 0);
	MUST(unlinkat(state, "snapshots/x", 0) == 0);
	if (landlock < 1)
		return;
	MUST(fails(openat(state, ".", O_RDONLY | O_DIRECTORY), EACCES));
	MUST(fails(openat(state, "catalogue.sqlite", O_RDONLY), EACCES));
	MUST(fails(openat(state, "blobs/x", O_WRONLY | O_CREAT, 0600), EACCES));
	MUST(fails(unlinkat(state, "catalogue.sqlite", 0), EACCES));
}

static void reads(long landlock)
{
	char path[64];

	MUST(open("/etc/hosts", O_RDONLY) >= 0 || errno == ENOENT);
	MUST(open(below("shown/file"), O_RDONLY) >= 0);
	(void)snprintf(path, sizeof(path), "/proc/%d/environ", getppid());
	if (landlock >= 1) {
		MUST(fails(open("/etc/shadow", O_RDONLY), EACCES));
		MUST(fails(open("/", O_RDONLY | O_DIRECTORY), EACCES));
		MUST(fails(open(below("r/repodata/repomd.xml"), O_RDONLY), EACCES));
		MUST(fails(open(path, O_RDONLY), EACCES));
		MUST(fails(open(below("shown/file"), O_WRONLY), EACCES));
		MUST(fails(open(below("outside"), O_WRONLY | O_CREAT, 0600), EACCES));
		MUST(fails(link(below("r/repodata/repomd.xml"), below("caged/work/link")), EXDEV) ||
		     errno == EACCES);
		MUST(fails(symlink("/etc/shadow", below("caged/work/link")), EACCES));
	}
	if (landlock >= 3)
		MUST(fails(truncate(below("shown/file"), 0), EACCES));
}

static void *nothing(void *data)
{
	return data;
}

/* Every one of these is refused by the filter, so whatever they are called with */
static void calls(void)
{
	static const long numbers[] = {
		SYS_execve,
		SYS_execveat,
		SYS_ptrace,
		SYS_process_vm_readv,
		SYS_process_vm_writev,
		SYS_kill,
		SYS_tkill,
		SYS_pidfd_open,
		SYS_mount,
		SYS_umount2,
		SYS_pivot_root,
		SYS_chroot,
		SYS_unshare,
		SYS_setns,
		SYS_move_mount,
		SYS_fsopen,
		SYS_bpf,
		SYS_perf_event_open,
		SYS_userfaultfd,
		SYS_io_uring_setup,
		SYS_io_uring_enter,
		SYS_keyctl,
		SYS_add_key,
		SYS_request_key,
		SYS_init_module,
		SYS_finit_module,
		SYS_kexec_load,
		SYS_reboot,
		SYS_fchmodat,
		SYS_fchownat,
		SYS_setxattr,
		SYS_shmget,
		SYS_socket,
		SYS_socketpair,
		SYS_connect,
		SYS_bind,
		SYS_listen,
		SYS_accept4,
		SYS_sched_setaffinity,
		SYS_inotify_add_watch,
		SYS_fanotify_mark,
		SYS_sync,
		SYS_syncfs,
#ifdef SYS_utime
		SYS_utime,
		SYS_utimes,
		SYS_futimesat,
#endif
	};
	struct rlimit limit = { 1, 1 };
	pthread_t thread;

	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
		if (!fails(syscall(numbers[i], 0, 0, 0, 0, 0), EPERM)) {
			fprintf(stderr, "system call %ld is not refused (errno %d)\n", numbers[i],
				errno);
			_exit(1);
		}
	MUST(fails(fork(), EPERM));
	MUST(fails(syscall(SYS_clone3, NULL, 0), ENOSYS));
	MUST(fails(syscall(SYS_tgkill, getppid(), getppid(), 0), EPERM));
	MUST(fails(prlimit(getppid(), RLIMIT_NOFILE, &limit, NULL), EPERM));
	/* threads are its own affair, and so is its end */
	MUST(pthread_create(&thread, NULL, nothing, NULL) == 0);
	MUST(pthread_join(thread, NULL) == 0);
	MUST(syscall(SYS_tgkill, getpid(), getpid(), 0) == 0);
	MUST(prlimit(0, RLIMIT_NOFILE, NULL, &limit) == 0 && limit.rlim_max <= 4096);
}

/* Calls that are there for one thing and not for another; descriptors of its own and of others */
static void choices(void)
{
	static const struct timespec times[2] = { { 1, 0 }, { 1, 0 } };
	int fd = open(below("shown/file"), O_RDONLY | O_CLOEXEC), flags = 0, copy, left = 0;

	MUST(fd >= 0 && (copy = fcntl(fd, F_DUPFD_CLOEXEC, 0)) >= 0);
	MUST(fcntl(copy, F_SETFD, FD_CLOEXEC) == 0 && fcntl(copy, F_GETFD) == FD_CLOEXEC);
	MUST((flags = fcntl(copy, F_GETFL)) >= 0 && fcntl(copy, F_SETFL, flags | O_NONBLOCK) == 0);
	/* a lease holds up whoever opens the file, a lock whoever wants it */
	MUST(fails(fcntl(fd, F_SETLEASE, F_RDLCK), EPERM));
	MUST(fails(fcntl(fd, F_NOTIFY, 0), EPERM));
	MUST(fails(fcntl(fd, F_SETLK, &(struct flock){ .l_type = F_RDLCK }), EPERM));
	/* signals to others of the same user, by way of a descriptor */
	MUST(fails(fcntl(fd, F_SETOWN, getppid()), EPERM));
	MUST(fails(fcntl(fd, F_SETSIG, SIGKILL), EPERM));
	MUST(fails(fcntl(fd, F_SETFL, flags | O_ASYNC), EPERM));
	MUST(fails(ioctl(fd, FIOASYNC, &flags), ENOTTY));
	MUST(fails(ioctl(fd, FIOSETOWN, &flags), ENOTTY));
	MUST(ioctl(fd, FIONREAD, &left) == 0 && left == 1);
	MUST(fails(ioctl(fd, FS_IOC_GETFLAGS, &flags), ENOTTY));
	MUST(fails(ioctl(fd, FS_IOC_SETFLAGS, &flags), ENOTTY));
	/* its end, and who looks into it */
	MUST(fails(prctl(PR_SET_PDEATHSIG, 0), EPERM));
	MUST(fails(prctl(PR_SET_DUMPABLE, 1), EPERM));
	MUST(fails(prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY), EPERM));
	MUST(prctl(PR_SET_NAME, "worker") == 0);
	/* when a file was changed */
	MUST(fails(utimensat(AT_FDCWD, below("shown/file"), NULL, 0), EPERM));
	MUST(fails(utimensat(AT_FDCWD, below("shown/file"), times, 0), EPERM));
	MUST(fails(futimens(fd, times), EPERM));
	MUST(futimens(fd, NULL) == 0);
	/* what is younger than the list of what is denied, and what will come */
	for (long number = CALL_YOUNG; number < CALL_YOUNG + 64; number++)
		MUST(fails(syscall(number, -1, "", 0, 0, 0, 0), ENOSYS));
	closep(&copy);
	closep(&fd);
}

static bool has_capabilities(void)
{
	_cleanup_(freep) char *text = NULL;

	MUST(file_read(AT_FDCWD, "/proc/self/status", 65536, &text, NULL) == 0);
	return !strstr(text, "CapPrm:\t0000000000000000\n") ||
	       !strstr(text, "CapEff:\t0000000000000000\n");
}

static void taken_over(long landlock)
{
	state_directory(enter(false, 0), landlock);
	reads(landlock);
	MUST(!has_capabilities());
	if (!SANITIZED) {
		calls();
		choices();
	} else if (landlock >= 4) { /* where there is no filter, TCP is refused all the same */
		struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(1) };

		MUST(fails(connect(socket(AF_INET, SOCK_STREAM, 0), (struct sockaddr *)&address,
				   sizeof(address)),
			   EACCES));
	}
}

/* With the network, to one port only: refused is another thing than that nobody answers */
static void network(long landlock)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
				       .sin_port = htons(9) };
	int number = landlock >= 4 ? EACCES : ECONNREFUSED;
	int fd, pair[2];

	(void)enter(true, 1);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	MUST(fd >= 0);
	MUST(fails(connect(fd, (struct sockaddr *)&address, sizeof(address)), number));
	address.sin_port = htons(1);
	MUST(fails(connect(fd, (struct sockaddr *)&address, sizeof(address)), ECONNREFUSED));
	if (!SANITIZED) {
		MUST(fails(socket(AF_INET, SOCK_STREAM, IPPROTO_SCTP), EPERM));
		MUST(fails(socket(AF_INET, SOCK_STREAM, 262 /* MPTCP */), EPERM));
		MUST(fails(socket(AF_UNIX, SOCK_STREAM, 0), EPERM));
		MUST(fails(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair), EPERM));
		MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
	}
}

static void test_cage(void)
{
	static void (*const parts[])(long landlock) = { taken_over, network };
	long landlock = syscall(SYS_landlock_create_ruleset, NULL, 0, 1);

	if (landlock < 1)
		printf("no Landlock in this kernel: what may be opened is not looked at\n");
	if (SANITIZED)
		printf("a build with sanitizers: system calls are not looked at\n");
	CHECK(directory_open(AT_FDCWD, below("shown")) >= 0);
	CHECK_INT(file_publish(AT_FDCWD, below("shown/file"), "x", 1), 0);
	CHECK(directory_open(AT_FDCWD, below("caged/work")) >= 0);
	CHECK_INT(file_publish(AT_FDCWD, below("caged/catalogue.sqlite"), "x", 1), 0);
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		pid_t pid = fork();
		int status = -1;

		if (pid == 0) {
			parts[i](landlock);
			_exit(0);
		}
		CHECK_INT(waitpid(pid, &status, 0), pid);
		CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	}
}

/* The worker itself, as the server starts it: what /proc says of it, and of its opener */
static void test_status(void)
{
	struct drive drive;

	CHECK_INT(drive_start(&drive, below("state"), below("work")), 0);
	for (int i = 0; i < 2; i++) {
		_cleanup_(freep) char *text = NULL;
		char path[64];

		(void)snprintf(path, sizeof(path), "/proc/%d/status",
			       i ? drive.opener_pid : drive.pid);
		CHECK_INT(file_read(AT_FDCWD, path, 65536, &text, NULL), 0);
		CHECK(text && strstr(text, "NoNewPrivs:\t1\n"));
		CHECK(SANITIZED || (text && strstr(text, "Seccomp:\t2\n")));
		CHECK(text && (i || strstr(text, "CapEff:\t0000000000000000\n")));
		/* to look as another user, and at what its own is not shown: nothing more */
		CHECK(text && (!i || getuid() || strstr(text, "CapEff:\t00000000000000ce\n")));
	}
	CHECK_INT(drive_stop(&drive), 0);
}

int main(void)
{
	CHECK(mkdtemp(top) != NULL);
	test_jobs();
	test_known();
	test_resolved();
	test_check();
	test_nonsense();
	test_bad_answers();
	test_cpu_limit();
	test_cpu_burnt();
	test_sandbox();
	test_cage();
	test_status();
	CHECK_INT(directory_remove(AT_FDCWD, top), 0);
	TEST_END();
}
