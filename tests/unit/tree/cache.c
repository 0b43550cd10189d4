/* SPDX-License-Identifier: MIT */
/* tests/unit/tree/cache.c: the limit of packages/, what goes first, and what stays while it is
 * open. */
#include "core/tree/private.h"
#include "tests/unit/test.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define PACKAGES 8
#define SIZE 1000

static uint8_t digest[PACKAGES][DIGEST_SIZE];
static char name[PACKAGES][DIGEST_HEX_SIZE];

static void name_all(void)
{
	for (int i = 0; i < PACKAGES; i++) {
		char text[32];

		(void)snprintf(text, sizeof(text), "package %d", i);
		sha256_hex(text, strlen(text), name[i]);
		(void)hex_parse(name[i], digest[i], DIGEST_SIZE);
	}
}

static struct tree_store *open_store(int dirfd)
{
	struct tree_store *store = NULL;
	struct error err = { 0 };

	CHECK_INT(tree_store_open(dirfd, "http://host", "/odcs/composes", &store, &err), 0);
	return store;
}

static void put_file(int dirfd, int i, int64_t read)
{
	char path[DIGEST_HEX_SIZE + 16];
	struct timespec times[2] = { { .tv_sec = read }, { .tv_sec = 1000 } };
	int fd;

	(void)snprintf(path, sizeof(path), "packages/%s", name[i]);
	fd = openat(dirfd, path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	CHECK(fd >= 0 && ftruncate(fd, SIZE) == 0 && futimens(fd, times) == 0);
	(void)close(fd);
}

static bool is_there(int dirfd, int i)
{
	char path[DIGEST_HEX_SIZE + 16];

	(void)snprintf(path, sizeof(path), "packages/%s", name[i]);
	return faccessat(dirfd, path, F_OK, 0) == 0;
}

static void arrive(struct tree_store *store, int dirfd, int i)
{
	put_file(dirfd, i, time_now());
	cache_arrived(store, digest[i], SIZE, 0);
}

static uint64_t bytes_of(struct tree_store *store)
{
	struct tree_cache_figures figures;

	tree_cache_figures(store, &figures);
	return figures.bytes;
}

/* As it was left: by the time of the last read, whatever order the names have. */
static void test_restart(int dirfd)
{
	struct tree_cache_figures figures;
	struct tree_store *store = open_store(dirfd);
	int fd;

	for (int i = 0; i < 4; i++)
		put_file(dirfd, i, 100 + (i * 7) % 4); /* read in the order 0 3 2 1 */
	fd = openat(dirfd, "packages/.new-1", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	(void)close(fd);
	tree_store_close(store);
	store = open_store(dirfd);
	CHECK(faccessat(dirfd, "packages/.new-1", F_OK, 0) < 0);
	tree_cache_figures(store, &figures);
	CHECK_INT(figures.bytes, 4 * SIZE);
	CHECK_INT(figures.files, 4);
	tree_cache_limit(store, 2 * SIZE, NULL);
	CHECK(!is_there(dirfd, 0) && !is_there(dirfd, 3));
	CHECK(is_there(dirfd, 2) && is_there(dirfd, 1));
	tree_cache_trim(store, 0);
	CHECK(!is_there(dirfd, 1) && !bytes_of(store));
	tree_store_close(store);
}

static void test_use(int dirfd)
{
	struct tree_store *store = open_store(dirfd);
	struct tree_hold *hold;
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	tree_cache_limit(store, 3 * SIZE, "somebody");
	for (int i = 0; i < 3; i++)
		arrive(store, dirfd, i);
	hold = cache_hold(store, digest[0]);
	cache_used(hold, fd, SIZE);
	tree_hold_release(hold);
	arrive(store, dirfd, 3); /* 1 was not read for longest */
	CHECK(is_there(dirfd, 0) && !is_there(dirfd, 1) && is_there(dirfd, 2));
	CHECK_INT(bytes_of(store), 3 * SIZE);
	hold = cache_hold(store, digest[2]); /* the next one, but open */
	arrive(store, dirfd, 4);
	CHECK(is_there(dirfd, 2) && !is_there(dirfd, 0));
	tree_cache_trim(store, 0);
	CHECK(is_there(dirfd, 2) && !is_there(dirfd, 3) && !is_there(dirfd, 4));
	CHECK(cache_has(store, digest[2], SIZE) && !cache_has(store, digest[2], SIZE + 1));
	tree_hold_release(hold);
	tree_cache_trim(store, 0);
	CHECK_INT(bytes_of(store), 0);
	CHECK_INT(store->cache.entries, 0);
	(void)close(fd);
	tree_store_close(store);
}

static void test_reserve(int dirfd)
{
	struct tree_store *store = open_store(dirfd);
	struct tree_hold *hold[2];
	struct error err = { 0 };

	tree_cache_limit(store, 3 * SIZE, "somebody");
	arrive(store, dirfd, 0);
	arrive(store, dirfd, 1);
	CHECK_INT(tree_cache_reserve(store, 2 * SIZE, &err), 0); /* one goes */
	CHECK(!is_there(dirfd, 0) && is_there(dirfd, 1));
	hold[0] = cache_hold(store, digest[1]);
	CHECK_INT(tree_cache_reserve(store, SIZE, &err), -EBUSY); /* others are on their way */
	cache_arrived(store, digest[2], 2 * SIZE, 2 * SIZE);
	hold[1] = cache_hold(store, digest[2]);
	CHECK_INT(tree_cache_reserve(store, SIZE, &err), -ENOSPC);
	CHECK(strstr(err.message, "(cache.size=") &&
	      strstr(err.message, "; for more ask somebody)"));
	CHECK_INT(tree_cache_reserve(store, 4 * SIZE, &err), -ENOSPC);
	tree_hold_release(hold[0]);
	CHECK_INT(tree_cache_reserve(store, SIZE, &err), 0);
	tree_cache_unreserve(store, SIZE);
	tree_hold_release(hold[1]);
	tree_cache_trim(store, 0);
	tree_cache_limit(store, 0, NULL);
	CHECK_INT(tree_cache_reserve(store, 100 * SIZE, &err), 0);
	tree_cache_unreserve(store, 100 * SIZE);
	err = (struct error){ 0 };
	CHECK_INT(tree_cache_reserve(store, UINT64_C(1) << 60, &err), -ENOSPC); /* no such disk */
	CHECK(strstr(err.message, "disk"));
	tree_store_close(store);
}

/* Many, and gone again in another order */
static void test_many(int dirfd)
{
	struct tree_store *store = open_store(dirfd);
	char hex[DIGEST_HEX_SIZE];
	uint8_t one[DIGEST_SIZE];

	for (int round = 0; round < 2; round++)
		for (int i = 0; i < 5000; i++) {
			int n = i * 37 % 5000;
			const struct stat st = { .st_ino = (ino_t)n + 1, .st_size = 1 };

			sha256_hex(&n, sizeof(n), hex);
			(void)hex_parse(hex, one, sizeof(one));
			if (round) {
				CHECK(cache_is_verified(store, one, &st)); /* of all of them */
				cache_gone(store, one);
			} else {
				cache_arrived(store, one, 1, 0);
				CHECK(!cache_is_verified(store, one, &st));
				cache_verified(store, one, &st);
			}
			if (!round && i == 4999)
				CHECK_INT(bytes_of(store), 5000);
		}
	CHECK_INT(bytes_of(store), 0);
	CHECK_INT(store->cache.entries, 0);
	tree_store_close(store);
}

int main(void)
{
	char folder[] = "/tmp/odcsfs-test-XXXXXX";
	int dirfd;

	if (!mkdtemp(folder) || (dirfd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
		return 1;
	name_all();
	test_restart(dirfd);
	test_use(dirfd);
	test_reserve(dirfd);
	test_many(dirfd);
	(void)close(dirfd);
	(void)directory_remove(AT_FDCWD, folder);
	TEST_END();
}
