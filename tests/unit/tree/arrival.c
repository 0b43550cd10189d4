/* SPDX-License-Identifier: MIT */
/* tests/unit/tree/arrival.c: a package while it comes: how much of it may be read, and what its end
 * means; packages that broke off, kept and given back. */
#include "core/tree/private.h"
#include "tests/unit/test.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define SIZE (200u << 10)

static char sha256[DIGEST_HEX_SIZE];

static int folder(char path[static 32])
{
	int fd;

	(void)snprintf(path, 32, "/tmp/odcsfs-arrival-XXXXXX");
	fd = mkdtemp(path) ? open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;

	CHECK(fd >= 0);
	return fd;
}

static void write_bytes(int dirfd, const char *name, size_t length)
{
	static char bytes[SIZE * 2];
	_cleanup_(closep) int packages = directory_open(dirfd, "packages");
	int fd = openat(packages, name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);

	CHECK(fd >= 0 && write(fd, bytes, length) == (ssize_t)length);
	(void)close(fd);
}

static void test_arrival(void)
{
	char path[32];
	int dirfd = folder(path);
	struct tree_arrival *arrival = NULL;
	char part[FETCH_PART_SIZE], buffer[1000];

	fetch_part_name(sha256, part);
	CHECK_INT(tree_arrival_open(dirfd, sha256, SIZE, &arrival), -ENOENT);
	write_bytes(dirfd, part, 5000);
	CHECK_INT(tree_arrival_open(dirfd, sha256, SIZE, &arrival), 0);
	CHECK_INT(tree_arrival_read(arrival, buffer, 1000, 1, 0), -EAGAIN); /* nobody has looked */
	CHECK_INT(tree_arrival_look(arrival), 5000);
	CHECK_INT(tree_arrival_read(arrival, buffer, 1000, 1000, 4000), 1000);
	CHECK_INT(tree_arrival_read(arrival, buffer, 1000, 1000, 4500), -EAGAIN);
	CHECK_INT(tree_arrival_read(arrival, buffer, 1000, 1, 4500), 500);
	write_bytes(dirfd, part, SIZE); /* more than there should be */
	CHECK_INT(tree_arrival_look(arrival), SIZE - TREE_WITHHELD);
	CHECK_INT(tree_arrival_read(arrival, buffer, 1000, 1000, SIZE - TREE_WITHHELD - 999),
		  -EAGAIN);
	CHECK_INT(tree_arrival_read(arrival, buffer, 1000, 1, UINT64_MAX), -EAGAIN);
	CHECK_INT(tree_arrival_state(arrival), ARRIVAL_COMING);
	tree_arrival_end(arrival, true);
	CHECK_INT(tree_arrival_read(arrival, buffer, 1000, 1, 0), -ENODATA);
	tree_arrival_end(arrival, false); /* what was good stays so */
	CHECK_INT(tree_arrival_state(arrival), ARRIVAL_GOOD);
	tree_arrival_unref(arrival);

	CHECK_INT(tree_arrival_open(dirfd, sha256, SIZE, &arrival), 0);
	(void)tree_arrival_look(arrival);
	tree_arrival_end(arrival, false);
	CHECK_INT(tree_arrival_read(arrival, buffer, 1000, 1, 0), -EIO);
	CHECK_INT(tree_arrival_look(arrival), SIZE - TREE_WITHHELD);
	tree_arrival_unref(arrival);
	CHECK_INT(tree_arrival_early(TREE_WITHHELD), 0);
	(void)close(dirfd);
	(void)directory_remove(AT_FDCWD, path);
}

static bool has(int dirfd, const char *folder_name, const char *name)
{
	char path[200];

	(void)snprintf(path, sizeof(path), "%s/%s", folder_name, name);
	return faccessat(dirfd, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static void test_partial(void)
{
	char path[32];
	int state = folder(path), work = directory_open(state, "work/fetch-3");
	char part[FETCH_PART_SIZE], from[FETCH_PART_SIZE], name[DIGEST_HEX_SIZE];
	struct timespec old[2] = { { .tv_sec = 1000 }, { .tv_sec = 1000 } };
	struct timespec recent[2] = { { .tv_sec = time_now() - 60 },
				      { .tv_sec = time_now() - 60 } };
	struct tree_store *store = NULL;
	struct error err = { 0 };

	fetch_part_name(sha256, part);
	fetch_from_name(sha256, from);
	CHECK_INT(tree_store_open(state, "http://host", "/odcs/composes", &store, &err), 0);
	CHECK(!tree_partial_keep(store, work, sha256));
	write_bytes(work, part, SIZE / 2);
	CHECK(!tree_partial_keep(store, work, sha256)); /* nobody knows where it is from */
	write_bytes(work, from, 10);
	CHECK(tree_partial_keep(store, work, sha256));
	CHECK(tree_partial_whole(state, sha256) && !has(work, "packages", part));
	tree_partial_give(store, work, sha256);
	CHECK(has(work, "packages", part) && has(work, "packages", from));
	CHECK(!tree_partial_whole(state, sha256));

	tree_partials_rescue(state); /* as at a start */
	CHECK(tree_partial_whole(state, sha256) && !has(work, "packages", part));
	CHECK_INT(tree_partials_trim(store, 3600), 0);
	CHECK(!utimensat(store->partial, sha256, old, 0));
	CHECK_INT(tree_partials_trim(store, 3600), 2);
	CHECK(!has(state, "partial", sha256));

	/* what a worker could not go on with is not given to one */
	for (int i = 0; i < 3; i++) {
		write_bytes(work, part, SIZE / 2);
		write_bytes(work, from, 10);
		CHECK(tree_partial_keep(store, work, sha256));
		if (i == 0)
			CHECK(!fchmodat(store->partial, sha256, 0400, 0));
		else
			CHECK(!unlinkat(store->partial, sha256, 0));
		if (i == 1)
			CHECK(!symlinkat("/etc/passwd", store->partial, sha256));
		if (i == 2)
			CHECK(!mkdirat(store->partial, sha256, 0755));
		tree_partial_give(store, work, sha256);
		CHECK(!has(work, "packages", part) && !has(state, "partial", sha256));
	}

	for (int i = 0; i < 20; i++) { /* more than are kept */
		char text[24], other[DIGEST_HEX_SIZE];

		(void)snprintf(text, sizeof(text), "%d", i);
		sha256_hex(text, strlen(text), other);
		fetch_part_name(other, part);
		fetch_from_name(other, from);
		write_bytes(work, part, SIZE / 2);
		write_bytes(work, from, 10);
		CHECK(tree_partial_keep(store, work, other));
	}
	CHECK_INT(tree_partials_trim(store, 3600), 2 * (20 - 16));
	for (int i = 0; i < 40; i++) { /* and none of them can go */
		char text[24], other[2][DIGEST_HEX_SIZE + 8];

		(void)snprintf(text, sizeof(text), "stuck %d", i);
		sha256_hex(text, strlen(text), other[0]);
		(void)snprintf(other[1], sizeof(other[1]), "%.64s.from", other[0]);
		for (int k = 0; k < 2; k++)
			CHECK(!mkdirat(store->partial, other[k], 0755));
		CHECK(!utimensat(store->partial, other[0], recent, 0));
	}
	CHECK_INT(tree_partials_trim(store, 3600), 0);
	CHECK(tree_partial_name(sha256, name) && !strcmp(name, sha256));
	CHECK(!tree_partial_name("x", name) && !tree_partial_name(".from", name));
	tree_store_close(store);
	(void)close(work);
	(void)close(state);
	(void)directory_remove(AT_FDCWD, path);
}

int main(void)
{
	sha256_hex("x", 1, sha256);
	test_arrival();
	test_partial();
	TEST_END();
}
