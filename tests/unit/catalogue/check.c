/* SPDX-License-Identifier: MIT */
/* tests/unit/catalogue/check.c: looking at a catalogue without changing it; everything that is
 * wrong told; a compose whose files are lost. */
#include "tests/unit/catalogue/common.h"

#include <sqlite3.h>

struct told {
	int count, files;
	char rows[256];
};

static void tell(void *data, const char *row, const char *words)
{
	struct told *told = data;

	told->count++;
	told->files += !row[0];
	(void)strncat(told->rows, row, sizeof(told->rows) - strlen(told->rows) - 1);
	(void)strncat(told->rows, ";", sizeof(told->rows) - strlen(told->rows) - 1);
	CHECK(words[0]);
}

static void edit(const char *path, const char *sql)
{
	sqlite3 *guest = NULL;

	CHECK_INT(sqlite3_open(path, &guest), SQLITE_OK);
	CHECK_INT(sqlite3_exec(guest, sql, NULL, NULL, NULL), SQLITE_OK);
	CHECK_INT(sqlite3_close(guest), SQLITE_OK);
}

static bool exists(const char *path, const char *suffix)
{
	char name[160];

	(void)snprintf(name, sizeof(name), "%s%s", path, suffix);
	return access(name, F_OK) == 0;
}

/* Three composes: done, failed, waiting */
static void make(const char *path)
{
	_cleanup_(catalogue_closep) struct catalogue *catalogue = test_open(path);

	CHECK_INT(test_submit(catalogue, "alice"), 1);
	CHECK_INT(test_claim(catalogue), 1);
	CHECK_INT(test_finish_compose(catalogue, 1, NULL), 0);
	CHECK_INT(test_submit(catalogue, "bob"), 2);
	CHECK_INT(catalogue_fail(catalogue, 2, "reason", NULL), 0);
	CHECK_INT(test_submit(catalogue, "carol"), 3);
}

static int examine(const char *path, struct told *ret)
{
	_cleanup_(catalogue_closep) struct catalogue *catalogue = NULL;
	struct error err = { 0 };
	int r = catalogue_look(path, &catalogue, &err);

	*ret = (struct told){ 0 };
	return r < 0 ? r : catalogue_examine(catalogue, tell, ret, &err);
}

static void test_look(void)
{
	char path[128];
	struct catalogue *catalogue = NULL;
	struct told told;

	(void)snprintf(path, sizeof(path), "%s", test_path("a%20b?c=d#look"));
	CHECK_INT(catalogue_look(path, &catalogue, NULL), -ENOENT);
	CHECK(!exists(path, ""));
	make(path);
	CHECK(!exists(path, "-wal"));
	CHECK_INT(examine(path, &told), 0);
	CHECK(!exists(path, "-wal") && !exists(path, "-shm"));
	catalogue = test_open(path); /* somebody is writing */
	CHECK_INT(test_submit(catalogue, "dave"), 4);
	CHECK_INT(examine(path, &told), 0);
	CHECK_INT(test_submit(catalogue, "dave"), 5);
	catalogue_close(catalogue);
	edit(path, "PRAGMA user_version = 4");
	CHECK_INT(examine(path, &told), -ESTALE);
	edit(path, "PRAGMA user_version = 1000");
	CHECK_INT(examine(path, &told), -EBUSY);
}

static void test_rows(void)
{
	char path[128];
	struct told told;
	int fd;

	(void)snprintf(path, sizeof(path), "%s", test_path("rows"));
	make(path);
	edit(path, "UPDATE composes SET owner = x'ff' WHERE id = 2;"
		   "UPDATE specs SET spec = 'x' WHERE compose = 3;"
		   "UPDATE composes SET manifest = NULL WHERE id = 1;"
		   "INSERT INTO specs VALUES (77, '{}', '{}');");
	CHECK_INT(examine(path, &told), 4);
	CHECK_STR(told.rows, "compose 77;compose 1;compose 2;compose 3;");
	CHECK_INT(told.files, 0);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	CHECK_INT(pwrite(fd, path, sizeof(path), 4096), sizeof(path)); /* a page's head */
	closep(&fd);
	CHECK_INT(examine(path, &told), -EUCLEAN);
}

static void test_lose(void)
{
	_cleanup_(catalogue_closep) struct catalogue *catalogue = NULL;
	_cleanup_(compose_freep) struct compose *compose = NULL;
	int64_t reused;

	make(test_path("lose"));
	catalogue = test_open(test_path("lose"));
	CHECK_INT(test_claim(catalogue), 3);
	CHECK_INT(catalogue_reuse(catalogue, 3, 1, NULL), 0);
	test_advance(10);
	CHECK_INT(catalogue_lose(catalogue, 2, "lost", NULL), -ESTALE);
	CHECK_INT(catalogue_lose(catalogue, 99, "lost", NULL), -ENOENT);
	CHECK_INT(catalogue_lose(catalogue, 1, "lost.", NULL), 0);
	CHECK_INT(catalogue_lose(catalogue, 1, "lost.", NULL), -ESTALE);
	compose = test_get(catalogue, 1);
	CHECK_INT(compose->state, STATE_REMOVED);
	CHECK_INT(compose->time_removed, test_now());
	CHECK_INT(compose->time_to_expire, test_now());
	CHECK(strstr(compose->state_reason, "\nlost."));
	CHECK(!compose->removed_by && compose->tree_kept); /* 3 shows it, until that is lost, too */
	compose_free(steal(compose));
	reused = 3;
	CHECK_INT(catalogue_lose(catalogue, reused, "lost.", NULL), 0);
	compose = test_get(catalogue, 1);
	CHECK(compose_is_gone(compose));
	CHECK_INT(catalogue_integrity(catalogue, NULL), 0);
}

int main(void)
{
	test_begin();
	test_look();
	test_rows();
	test_lose();
	test_finish();
	TEST_END();
}
