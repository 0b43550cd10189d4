/* SPDX-License-Identifier: MIT */
/* tests/unit/catalogue/durable.c: nothing accepted is lost: killed writers, full disks, other
 * programs in the file, files that are older, newer, foreign or hurt.
 *
 * promises = 1 */
#include "tests/unit/catalogue/common.h"

#include <pthread.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

/* ---- waits for the disk ------------------------------------------------ */

static _Atomic int64_t sync_count;

/* These stand before the C library's, so SQLite's waits for the disk can be counted. */
int fdatasync(int fd);
int fsync(int fd);

int fdatasync(int fd)
{
	atomic_fetch_add(&sync_count, 1);
	return (int)syscall(SYS_fdatasync, fd);
}

int fsync(int fd)
{
	atomic_fetch_add(&sync_count, 1);
	return (int)syscall(SYS_fsync, fd);
}

/* Waits since the last call. */
static int64_t waits(void)
{
	return atomic_exchange(&sync_count, 0);
}

static void test_waits(void)
{
	_cleanup_(catalogue_closep) struct catalogue *catalogue = test_open(test_path("waits"));
	int64_t number, id, expires;

	id = test_submit(catalogue,
			 "alice"); /* the first one makes the log and its directory entry */
	CHECK(waits() > 0);
	CHECK_INT(catalogue_request_new(catalogue, "d", "al", 1, 1, 0755, &number, NULL), 0);
	CHECK_INT(catalogue_request_drop(catalogue, number, NULL), 0);
	CHECK_INT(waits(), 0);
	CHECK_INT(test_claim(catalogue), id);
	CHECK_INT(waits(), 0);
	CHECK_INT(test_finish_compose(catalogue, id, NULL), 0);
	CHECK_INT(waits(), 1);
	CHECK_INT(catalogue_renew(catalogue, id, 2000, RENEW_SET, &expires, NULL), 0);
	CHECK_INT(waits(), 1);
	CHECK_INT(test_finish_compose(catalogue, id, NULL),
		  -ESTALE); /* refused: nothing to write */
	CHECK_INT(waits(), 0);
	CHECK(test_submit(catalogue, "alice") > 0);
	CHECK_INT(waits(), 1);
}

/* ---- killed ------------------------------------------------------------ */

#define KILL_THREADS 4

struct child {
	struct catalogue *catalogue;
	int fd;
};

static void *child_submit(void *data)
{
	struct child *child = data;

	for (;;) {
		int64_t id = test_submit(child->catalogue, "alice");

		if (id < 0 || write(child->fd, &id, sizeof(id)) != sizeof(id))
			_exit(3);
	}
	return NULL;
}

/* Submits and tells each id the moment it has it, until it is killed. */
static void child_run(const char *path, int fd, int threads)
{
	struct child child = { .catalogue = test_open(path), .fd = fd };
	pthread_t thread;

	for (int i = 1; i < threads; i++)
		(void)pthread_create(&thread, NULL, child_submit, &child);
	(void)child_submit(&child);
}

static size_t kill_round(const char *path, int threads, size_t answers, int64_t *ids, size_t room)
{
	size_t count = 0;
	int fds[2], status;
	pid_t pid;

	CHECK_INT(pipe2(fds, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		(void)close(fds[0]);
		child_run(path, fds[1], threads);
		_exit(1);
	}
	(void)close(fds[1]);
	while (count < room && io_read(fds[0], &ids[count], sizeof(*ids)) == sizeof(*ids))
		if (++count == answers)
			CHECK_INT(kill(pid, SIGKILL), 0); /* what is in the pipe still counts */
	CHECK_INT(waitpid(pid, &status, 0), pid);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	(void)close(fds[0]);
	return count;
}

static void test_killed(void)
{
	const char *wanted = getenv("ODCSFS_TEST_ROUNDS");
	int rounds = wanted ? atoi(wanted) : 200;
	char path[128];
	int64_t ids[4096], total = 0, stored = 0;
	unsigned int seed = 1;

	(void)snprintf(path, sizeof(path), "%s", test_path("killed"));
	for (int round = 0; round < rounds; round++) {
		size_t count = kill_round(path, round % 2 ? KILL_THREADS : 1,
					  1 + rand_r(&seed) % 12, ids, ARRAY_SIZE(ids));
		_cleanup_(catalogue_closep) struct catalogue *catalogue = test_open(path);
		struct error err = { 0 };

		CHECK(count > 0);
		total += (int64_t)count;
		for (size_t i = 0; i < count; i++) {
			_cleanup_(compose_freep) struct compose *compose = NULL;

			CHECK_INT(catalogue_get(catalogue, ids[i], &compose, &err), 0);
			CHECK(compose && compose->state == STATE_WAIT);
		}
		CHECK_INT(catalogue_integrity(catalogue, &err), 0);
		CHECK_INT(catalogue_query(catalogue, &COMPOSE_QUERY_ALL, NULL, NULL, &stored, NULL),
			  0);
		CHECK(stored >= total); /* more: committed, killed before the answer */
	}
	printf("killed %d times, %" PRId64 " ids handed out, %" PRId64 " rows\n", rounds, total,
	       stored);
}

/* ---- full disk --------------------------------------------------------- */

static int filler(const char *path, size_t bytes)
{
	_cleanup_(closep) int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	static const char zeros[65536];

	if (fd < 0)
		return -errno;
	for (size_t done = 0; done < bytes; done += sizeof(zeros)) {
		int r = io_write(fd, zeros, sizeof(zeros));

		if (r < 0)
			return r;
	}
	return 0;
}

/* Submits until the disk is full; the number of rows that were accepted. */
static int64_t submit_until_full(struct catalogue *catalogue, const char *text, struct error *err)
{
	int64_t count = 0, id;

	while ((id = test_submit_text(catalogue, "alice", text, err)) > 0)
		count++;
	CHECK_INT(id, -ENOSPC);
	return count;
}

static int64_t rows(struct catalogue *catalogue)
{
	int64_t total = -1, seen = 0;

	CHECK_INT(catalogue_query(catalogue, &COMPOSE_QUERY_ALL, test_count, &seen, &total, NULL),
		  0);
	CHECK_INT(seen, total);
	return total;
}

struct crowd {
	struct catalogue *catalogue;
	const char *text;
	int64_t result;
	pthread_t thread;
};

static void *crowd_run(void *data)
{
	struct crowd *crowd = data;

	crowd->result = test_submit_text(crowd->catalogue, "bob", crowd->text, NULL);
	return NULL;
}

/* One that is too big among small ones, in one commit or not: the small ones get through. */
static void check_crowd(struct catalogue *catalogue, const char *big)
{
	struct crowd crowd[9] = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(crowd); i++) {
		crowd[i] =
			(struct crowd){ .catalogue = catalogue, .text = i == 4 ? big : TEST_TEXT };
		CHECK_INT(pthread_create(&crowd[i].thread, NULL, crowd_run, &crowd[i]), 0);
	}
	for (size_t i = 0; i < ARRAY_SIZE(crowd); i++) {
		CHECK_INT(pthread_join(crowd[i].thread, NULL), 0);
		if (i == 4)
			CHECK_INT(crowd[i].result, -ENOSPC);
		else
			CHECK(crowd[i].result > 0);
	}
}

static char *big_text(void)
{
	struct text text = { 0 };

	(void)text_adds(&text, "{\"source\":{\"type\":\"tag\",\"source\":\"f26\",\"packages\":[");
	for (int i = 0; i < 45000; i++)
		(void)text_addf(&text, "%s\"package%05d\"", i ? "," : "", i);
	(void)text_adds(&text, "]}}");
	return text_steal(&text);
}

static void full_disk(const char *folder)
{
	char path[160], fill[160];
	_cleanup_(freep) char *big = big_text();
	struct catalogue *catalogue, *again = NULL;
	struct error err = { 0 };
	int64_t accepted;
	int r;

	(void)snprintf(path, sizeof(path), "%s/catalogue.sqlite", folder);
	(void)snprintf(fill, sizeof(fill), "%s/filler", folder);
	CHECK_INT(filler(fill, 1 << 20), 0);
	catalogue = test_open(path);
	accepted = submit_until_full(catalogue, TEST_TEXT, &err);
	CHECK(accepted > 10);
	CHECK_INT(err.blame, BLAME_US);
	CHECK(strstr(err.message, "no room"));
	CHECK_INT(rows(catalogue), accepted);
	CHECK_INT(test_submit_text(catalogue, "alice", TEST_TEXT, &err), -ENOSPC); /* and again */
	CHECK_INT(catalogue_integrity(catalogue, &err), 0);
	CHECK_INT(unlink(fill), 0);
	CHECK(test_submit(catalogue, "alice") > 0); /* usable without opening it again */
	CHECK_INT(rows(catalogue), accepted + 1);
	check_crowd(catalogue, big);
	accepted += 9;
	CHECK_INT(rows(catalogue), accepted);
	accepted += submit_until_full(catalogue, TEST_TEXT, &err);
	CHECK_INT(catalogue_integrity(catalogue, &err), 0);
	catalogue_close(catalogue);
	r = catalogue_open(path, test_now, &again, &err); /* may need room for its own files */
	CHECK(r == 0 || r == -ENOSPC);
	catalogue_close(again);
	CHECK_INT(mount(NULL, folder, NULL, MS_REMOUNT, "size=8m"), 0);
	catalogue = test_open(path);
	CHECK_INT(rows(catalogue), accepted);
	CHECK(test_submit(catalogue, "alice") > 0);
	CHECK_INT(catalogue_integrity(catalogue, &err), 0);
	catalogue_close(catalogue);
}

static void test_full_disk(void)
{
	char folder[128];

	(void)snprintf(folder, sizeof(folder), "%s", test_path("full"));
	CHECK_INT(mkdir(folder, 0700), 0);
	if (mount("tmpfs", folder, "tmpfs", 0, "size=3m") < 0) {
		printf("full disk: not tried, mounting a tmpfs: %s\n", strerror(errno));
		return;
	}
	full_disk(folder);
	CHECK_INT(umount(folder), 0);
}

/* ---- other programs in the file ---------------------------------------- */

struct shell {
	pid_t pid;
	int in, out;
};

static bool shell_start(struct shell *shell, const char *path)
{
	int in[2], out[2];

	if (access("/usr/bin/sqlite3", X_OK) < 0)
		return false;
	CHECK_INT(pipe2(in, O_CLOEXEC), 0);
	CHECK_INT(pipe2(out, O_CLOEXEC), 0);
	shell->pid = fork();
	if (shell->pid == 0) {
		(void)dup2(in[0], STDIN_FILENO);
		(void)dup2(out[1], STDOUT_FILENO);
		(void)close(STDERR_FILENO); /* one statement below is refused on purpose */
		(void)execl("/usr/bin/sqlite3", "sqlite3", "-batch", path, NULL);
		_exit(127);
	}
	(void)close(in[0]);
	(void)close(out[1]);
	shell->in = in[1];
	shell->out = out[0];
	return true;
}

/* Type @sql and wait until it was done. */
static void shell_type(struct shell *shell, const char *sql)
{
	char answer[4096] = { 0 };
	size_t length = 0;

	CHECK_INT(io_write(shell->in, sql, strlen(sql)), 0);
	CHECK_INT(io_write(shell->in, "\n.print typed\n", 14), 0);
	while (length < sizeof(answer) - 1 && !strstr(answer, "typed\n")) {
		ssize_t got = read(shell->out, answer + length, sizeof(answer) - 1 - length);

		if (got <= 0)
			break;
		length += (size_t)got;
	}
	CHECK(strstr(answer, "typed\n"));
}

static void shell_end(struct shell *shell)
{
	int status = -1;

	(void)close(shell->in);
	(void)close(shell->out);
	CHECK_INT(waitpid(shell->pid, &status, 0), shell->pid);
	CHECK(WIFEXITED(status));
}

static int64_t log_size(const char *path)
{
	char name[160];
	struct stat status = { 0 };

	(void)snprintf(name, sizeof(name), "%s-wal", path);
	CHECK_INT(stat(name, &status), 0);
	return status.st_size;
}

/* A guest that reads for long: we go on; the log grows meanwhile and is used afresh afterwards. */
static void guest_reads(struct catalogue *catalogue, struct shell *shell, const char *path)
{
	int64_t held, number, grown;

	shell_type(shell, "BEGIN; SELECT count(*) FROM composes;");
	for (int i = 0; i < 400; i++)
		CHECK(test_submit(catalogue, "alice") > 0);
	held = log_size(path);
	CHECK(held > 4 << 20);
	shell_type(shell, "COMMIT;");
	for (int i = 0; i < 400; i++) {
		CHECK_INT(catalogue_request_new(catalogue, "x", "al", 1, 1, 0755, &number, NULL),
			  0);
		CHECK_INT(catalogue_request_drop(catalogue, number, NULL), 0);
	}
	grown = log_size(path);
	CHECK(grown < held + (1 << 20)); /* 12 MiB more were written, over its start */
}

static void guest_writes(struct catalogue *catalogue, struct shell *shell)
{
	_cleanup_(compose_freep) struct compose *compose = NULL;
	int64_t start;

	shell_type(shell,
		   "BEGIN IMMEDIATE; UPDATE composes SET state_reason = 'by hand' WHERE id = 1;");
	start = time_monotonic_ms();
	compose = test_get(catalogue, 1); /* readers do not wait */
	CHECK_STR(compose->state_reason, NULL);
	CHECK(time_monotonic_ms() - start < 1000);
	CHECK_INT(io_write(shell->in, ".shell sleep 2\nCOMMIT;\n", 23), 0);
	CHECK(test_submit(catalogue, "alice") > 0);
	CHECK(time_monotonic_ms() - start >= 1500);
	compose_free(steal(compose));
	compose = test_get(catalogue, 1);
	CHECK_STR(compose->state_reason, "by hand");
	shell_type(shell, "DELETE FROM composes WHERE id = 1;"); /* refused */
	compose_free(steal(compose));
	compose = test_get(catalogue, 1);
	CHECK_INT(compose->id, 1);
}

static void test_guests(void)
{
	_cleanup_(catalogue_closep) struct catalogue *catalogue = test_open(test_path("guests"));
	struct shell shell;
	char path[128];

	(void)snprintf(path, sizeof(path), "%s", test_path("guests"));
	CHECK(test_submit(catalogue, "alice") > 0);
	if (!shell_start(&shell, path)) {
		printf("other programs: not tried, there is no sqlite3 shell\n");
		return;
	}
	guest_reads(catalogue, &shell, path);
	guest_writes(catalogue, &shell);
	shell_end(&shell);
	CHECK_INT(catalogue_integrity(catalogue, NULL), 0);
}

/* ---- versions ---------------------------------------------------------- */

static void execute(const char *path, const char *sql)
{
	sqlite3 *db = NULL;
	char *words = NULL;

	CHECK_INT(sqlite3_open(path, &db), SQLITE_OK);
	if (sqlite3_exec(db, sql, NULL, NULL, &words) != SQLITE_OK) {
		fprintf(stderr, "%s\n", words);
		CHECK(!"SQL failed");
	}
	sqlite3_free(words);
	CHECK_INT(sqlite3_close(db), SQLITE_OK);
}

static bool join_visit(void *data, const struct compose *compose)
{
	struct text *text = data;

	return text_addf(text, "%" PRId64 " %s %s %s\n", compose->id, state_name(compose->state),
			 compose->owner, compose->source) < 0;
}

static void test_migration(const char *data)
{
	_cleanup_(catalogue_closep) struct catalogue *catalogue = NULL;
	_cleanup_(text_done) struct text list = { 0 };
	_cleanup_(freep) char *sql = NULL;
	struct compose_tally tally = { 0 };
	struct request request = { 0 };
	struct error err = { 0 };
	char path[512];
	int64_t number = 0;
	size_t length;

	(void)snprintf(path, sizeof(path), "%s/version-1.sql", data);
	CHECK_INT(file_read(AT_FDCWD, path, 1 << 20, &sql, &length), 0);
	if (!sql)
		return;
	execute(test_path("old"), sql);
	catalogue = test_open(test_path("old"));
	CHECK_INT(catalogue_integrity(catalogue, &err), 0);
	CHECK_INT(catalogue_query(catalogue, &COMPOSE_QUERY_ALL, join_visit, &list, NULL, NULL), 0);
	CHECK_STR(list.data, "1 removed alice f26\n2 removed bob testmodule:master perl:5.24\n"
			     "3 failed alice /srv/repo\n4 done bob \n5 generating alice f26\n"
			     "6 wait bob testmodule:master perl:5.24\n7 wait alice /srv/repo\n"
			     "8 failed bob \n");
	CHECK_INT(catalogue_tally(catalogue, &tally, NULL), 0);
	CHECK_INT(tally.count[SOURCE_TAG][STATE_REMOVED], 1);
	CHECK_INT(tally.count[SOURCE_MODULE][STATE_WAIT], 1);
	CHECK_INT(tally.count[SOURCE_MODULE][STATE_GENERATING], 0);
	CHECK_INT(catalogue_request_find(catalogue, "draft", &request, NULL), 0);
	CHECK_INT(request.number, 2);
	CHECK_STR(request.note, "remember me");
	request_done(&request);
	/* the dropped one had number 3, the last one 10 */
	CHECK_INT(catalogue_request_new(catalogue, "new", "al", 1, 1, 0755, &number, NULL), 0);
	CHECK_INT(number, 11);
	CHECK_INT(test_submit(catalogue, "carol"), 9);
	CHECK_INT(test_claim(catalogue),
		  9); /* bob and carol have none generating, carol never had */
	CHECK_INT(test_claim(catalogue), 6);
	CHECK_INT(catalogue_integrity(catalogue, &err), 0);
}

static bool candidate_visit(void *data, const struct compose *candidate)
{
	return text_addf(data, "%" PRId64 " ", candidate->id) < 0;
}

/* What was made before composes were resolved is not reused; what waited then is resolved now. */
static void test_migration_2(const char *data)
{
	_cleanup_(catalogue_closep) struct catalogue *catalogue = NULL;
	_cleanup_(compose_freep) struct compose *compose = NULL;
	_cleanup_(text_done) struct text list = { 0 };
	_cleanup_(freep) char *sql = NULL;
	struct resolution resolution = { .koji_event = 7, .inputs = TEST_DIGEST };
	struct error err = { 0 };
	int64_t count = 0;
	char path[512];

	(void)snprintf(path, sizeof(path), "%s/version-2.sql", data);
	CHECK_INT(file_read(AT_FDCWD, path, 1 << 20, &sql, NULL), 0);
	if (!sql)
		return;
	execute(test_path("old2"), sql);
	catalogue = test_open(test_path("old2"));
	CHECK_INT(catalogue_integrity(catalogue, &err), 0);
	compose = test_get(catalogue, 10);
	CHECK_INT(compose->reused_id, 9);
	CHECK_INT(catalogue_requeue(catalogue, &count, NULL), 0);
	CHECK_INT(count, 2); /* 5 and 11 */
	do {
		compose_free(steal(compose));
		CHECK_INT(catalogue_claim(catalogue, &compose, NULL), 1);
	} while (compose && compose->id != 11);
	CHECK_INT(catalogue_candidates(catalogue, 11, compose->spec, &resolution, candidate_visit,
				       &list, NULL),
		  0);
	CHECK_STR(list.data ? list.data : "", "");
	CHECK_INT(catalogue_resolved(catalogue, 11, compose->spec, &resolution, NULL), 0);
	CHECK_INT(test_finish_compose(catalogue, 11, NULL), 0);
	CHECK_INT(test_claim(catalogue), 12);
	CHECK_INT(catalogue_candidates(catalogue, 12, compose->spec, &resolution, candidate_visit,
				       &list, NULL),
		  0);
	CHECK_STR(list.data ? list.data : "", "11 ");
	CHECK_INT(catalogue_reuse(catalogue, 12, 11, NULL), 0);
	CHECK_INT(catalogue_integrity(catalogue, &err), 0);
}

/* Composes of before have no lease of their own, and nobody knows how late their repodata is. */
static void test_migration_3(const char *data)
{
	_cleanup_(catalogue_closep) struct catalogue *catalogue = NULL;
	_cleanup_(compose_freep) struct compose *compose = NULL, *kin = NULL;
	struct lease lease = { .id = 9, .time_read = 1800000000 };
	struct lease_terms terms = { .seconds = 60, .most = INT32_MAX, .expiring = INT64_MAX };
	_cleanup_(freep) char *sql = NULL;
	struct error err = { 0 };
	char path[512];
	int64_t id;

	(void)snprintf(path, sizeof(path), "%s/version-3.sql", data);
	CHECK_INT(file_read(AT_FDCWD, path, 1 << 20, &sql, NULL), 0);
	if (!sql)
		return;
	execute(test_path("old3"), sql);
	catalogue = test_open(test_path("old3"));
	CHECK_INT(catalogue_integrity(catalogue, &err), 0);
	CHECK_INT(catalogue_lease(catalogue, &lease, 1, &terms, &err), 0);
	compose = test_get(catalogue, 9);
	kin = test_get(catalogue, 10);
	CHECK_INT(compose->time_to_expire, 1800000060);
	CHECK_INT(kin->time_to_expire, 1800000060);
	id = test_submit_text(catalogue, "carol",
			      "{\"source\":{\"type\":\"repo\",\"source\":\"/r\"},\"latest\":\"x\"}",
			      &err);
	for (int i = 0; i < 8 && test_claim(catalogue) != id; i++)
		; /* what waited before it */
	CHECK_INT(catalogue_reuse(catalogue, id, 9, &err), -ESTALE);
	CHECK_INT(test_finish_compose(catalogue, id, &err), 0);
	CHECK_INT(catalogue_integrity(catalogue, &err), 0);
}

/* Same tables whichever way they came: what a fresh one has, the migrated one has. */
static int schema_print(void *data, int columns, char **values, char **names)
{
	(void)names;
	return text_addf(data, "%s\n", columns == 1 && values[0] ? values[0] : "?");
}

static void test_same_schema(void)
{
	struct text texts[4] = { 0 };

	catalogue_close(test_open(test_path("fresh")));
	for (int i = 0; i < 4; i++) {
		static const char *const names[] = { "fresh", "old", "old2", "old3" };
		sqlite3 *db = NULL;

		CHECK_INT(sqlite3_open(test_path(names[i]), &db), SQLITE_OK);
		CHECK_INT(
			sqlite3_exec(
				db,
				"SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name",
				schema_print, &texts[i], NULL),
			SQLITE_OK);
		CHECK_INT(sqlite3_close(db), SQLITE_OK);
	}
	CHECK(texts[0].length > 3000);
	CHECK_STR(texts[1].data, texts[0].data);
	CHECK_STR(texts[2].data, texts[0].data);
	CHECK_STR(texts[3].data, texts[0].data);
	for (int i = 0; i < 4; i++)
		text_done(&texts[i]);
}

/* ---- files that are not ours ------------------------------------------- */

static void check_refused(const char *name, int want, const char *words)
{
	_cleanup_(freep) char *before = NULL, *after = NULL;
	struct catalogue *catalogue = NULL;
	size_t before_length = 0, after_length = 1;
	struct error err = { 0 };
	char path[128];

	(void)snprintf(path, sizeof(path), "%s", test_path(name));
	CHECK_INT(file_read(AT_FDCWD, path, 1 << 24, &before, &before_length), 0);
	CHECK_INT(catalogue_open(path, test_now, &catalogue, &err), want);
	CHECK(!catalogue);
	if (!strstr(err.message, path) || !strstr(err.message, words))
		fprintf(stderr, "%s\n", err.message);
	CHECK(strstr(err.message, path));
	CHECK(strstr(err.message, words));
	CHECK_INT(err.blame, BLAME_US);
	CHECK_INT(file_read(AT_FDCWD, path, 1 << 24, &after, &after_length), 0);
	CHECK(before_length == after_length && !memcmp(before, after, after_length));
}

static void write_file(const char *name, const char *bytes, size_t length)
{
	_cleanup_(closep) int fd =
		open(test_path(name), O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);

	CHECK(fd >= 0);
	CHECK_INT(io_write(fd, bytes, length), 0);
}

static void test_refused(void)
{
	_cleanup_(freep) char *bytes = NULL;
	struct catalogue *catalogue = NULL;
	struct error err = { 0 };
	size_t length;

	write_file("text", "this is not a database, whatever its name says\n", 48);
	check_refused("text", -EUCLEAN, "not a catalogue");
	execute(test_path("foreign"), "CREATE TABLE songs (name TEXT); PRAGMA user_version = 1;");
	check_refused("foreign", -EUCLEAN, "another program");
	execute(test_path("foreign2"), "PRAGMA application_id = 7;");
	check_refused("foreign2", -EUCLEAN, "another program");
	execute(test_path("newer"),
		"PRAGMA application_id = 1868849011; PRAGMA user_version = 99;");
	check_refused("newer", -EBUSY, "newer odcsfs");
	for (int version = 1; version < 5; version++) { /* older ones: found out by the migration */
		char sql[160];

		(void)snprintf(sql, sizeof(sql),
			       "PRAGMA application_id = 1868849011; PRAGMA user_version = %d;"
			       "PRAGMA journal_mode = WAL; DROP TABLE IF EXISTS requests;"
			       "CREATE TABLE requests (number);",
			       version);
		execute(test_path("hollow"), sql);
		check_refused("hollow", -EUCLEAN, "no such");
	}
	catalogue = test_open(test_path("cut"));
	for (int i = 0; i < 50; i++)
		CHECK(test_submit(catalogue, "alice") > 0);
	catalogue_close(catalogue);
	CHECK_INT(file_read(AT_FDCWD, test_path("cut"), 1 << 24, &bytes, &length), 0);
	write_file("cut", bytes, length / 2);
	check_refused("cut", -EUCLEAN, "damaged");
	catalogue = NULL;
	CHECK_INT(catalogue_open(test_folder, test_now, &catalogue, &err), -EIO);
	CHECK(strstr(err.message, test_folder));
	CHECK_INT(catalogue_open("/nonexistent/catalogue", test_now, &catalogue, &err), -ENOENT);
	CHECK(!catalogue);
	catalogue = test_open(test_path("mode"));
	{
		struct stat status = { 0 };

		CHECK_INT(stat(test_path("mode"), &status), 0);
		CHECK_INT(status.st_mode & 0777, 0600);
	}
	catalogue_close(catalogue);
}

/* Pages overwritten behind SQLite's back: errors that name the file, never a crash. */
static void test_hurt(void)
{
	_cleanup_(freep) char *bytes = NULL;
	unsigned int seed = 7;
	int noticed = 0;
	size_t length;

	CHECK_INT(file_read(AT_FDCWD, test_path("whole"), 1 << 24, &bytes, &length), 0);
	for (int round = 0; round < 60; round++) {
		_cleanup_(freep) char *copy = malloc(length);
		_cleanup_(catalogue_closep) struct catalogue *catalogue = NULL;
		struct error err = { 0 };
		int64_t seen = 0, count, expires;
		int r;

		memcpy(copy, bytes, length);
		for (int i = 0; i < 40; i++)
			copy[4096 + (size_t)rand_r(&seed) % (length - 4096)] = (char)rand_r(&seed);
		write_file("hurt", copy, length);
		r = catalogue_open(test_path("hurt"), test_now, &catalogue, &err);
		if (r >= 0)
			r = catalogue_integrity(catalogue, &err);
		if (r < 0) {
			CHECK_INT(r, -EUCLEAN);
			CHECK(err.message[0]);
			noticed++;
		}
		if (!catalogue)
			continue;
		(void)catalogue_query(catalogue, &COMPOSE_QUERY_ALL, test_count, &seen, &count,
				      NULL);
		(void)test_submit(catalogue, "alice");
		(void)test_claim(catalogue);
		(void)catalogue_requeue(catalogue, &count, NULL);
		(void)catalogue_renew(catalogue, 3, 100, RENEW_SET, &expires, NULL);
		(void)catalogue_expire(catalogue, INT64_MAX, &count, NULL);
	}
	CHECK(noticed >= 50);
}

static void make_whole(void)
{
	_cleanup_(catalogue_closep) struct catalogue *catalogue = test_open(test_path("whole"));

	for (int i = 0; i < 60; i++) {
		CHECK(test_submit(catalogue, i % 2 ? "alice" : "bob") > 0);
		if (i % 3)
			CHECK_INT(test_finish_compose(catalogue, test_claim(catalogue), NULL), 0);
	}
}

int main(int argc, char **argv)
{
	if (argc != 2) {
		fprintf(stderr, "usage: %s tests/data/catalogue\n", argv[0]);
		return 2;
	}
	test_begin();
	test_waits();
	test_killed();
	test_full_disk();
	test_guests();
	test_migration(argv[1]);
	test_migration_2(argv[1]);
	test_migration_3(argv[1]);
	test_same_schema();
	test_refused();
	make_whole();
	test_hurt();
	test_finish();
	TEST_END();
}
