/* SPDX-License-Identifier: MIT */
/* core/tree/partial.c: packages that broke off, to be gone on with: partial/SHA256, and .from
 * beside it.
 *
 *   worker dies ─► work/fetch-N/packages/.part-SHA ─► partial/SHA ─► work/fetch-M/… ─► the next one
 * goes on
 *
 * Names and bytes only: where the bytes came from a worker has written and a worker reads. Whether
 * they are right the SHA-256 of the whole says, as ever. They are few, and do not stay for long. */
#include "core/tree/private.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <unistd.h>

#define FROM ".from"
#define PARTIAL_MIN (64 << 10) /* bytes that are worth it */
#define PARTIALS_MAX 16

/** struct names - of one package: its bytes and what is beside them, there and here */
struct names {
	char part[FETCH_PART_SIZE], from[FETCH_PART_SIZE],
		from_kept[DIGEST_HEX_SIZE + sizeof(FROM)];
};

static struct names names_of(const char *sha256)
{
	struct names names;

	fetch_part_name(sha256, names.part);
	fetch_from_name(sha256, names.from);
	(void)snprintf(names.from_kept, sizeof(names.from_kept), "%.*s" FROM, DIGEST_HEX_SIZE - 1,
		       sha256);
	return names;
}

/* Bytes of a plain file of ours that nobody writes to any more, and a worker may; -1: it is none */
static off_t judge(int dirfd, const char *name)
{
	_cleanup_(closep) int fd =
		openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct stat st;

	return fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_nlink != 1 ||
			       st.st_uid != geteuid() || (st.st_mode & 0600) != 0600 ||
			       store_has_writer(fd)
		       ? -1
		       : st.st_size;
}

/* @from: packages/ of a work directory, @to: partial/ */
static bool keep(int from, int to, const char *sha256)
{
	const struct names names = names_of(sha256);

	if (judge(from, names.part) < PARTIAL_MIN || judge(from, names.from) < 1)
		return false;
	(void)unlinkat(to, names.from_kept, 0);
	if (renameat(from, names.part, to, sha256) < 0)
		return false;
	if (renameat(from, names.from, to, names.from_kept) == 0)
		return true;
	(void)unlinkat(to, sha256, 0);
	return false;
}

bool tree_partial_keep(struct tree_store *store, int work_dirfd, const char *sha256)
{
	_cleanup_(closep) int from =
		openat(work_dirfd, "packages", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

	return from >= 0 && keep(from, store->partial, sha256);
}

/* Nobody can do anything with it. */
static void drop(int dirfd, const struct names *names, const char *sha256)
{
	(void)directory_remove(dirfd, sha256);
	(void)directory_remove(dirfd, names->from_kept);
}

void tree_partial_give(struct tree_store *store, int work_dirfd, const char *sha256)
{
	const struct names names = names_of(sha256);
	_cleanup_(closep) int to = -1;

	if (faccessat(store->partial, sha256, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
		return;
	if (judge(store->partial, sha256) < PARTIAL_MIN ||
	    judge(store->partial, names.from_kept) < 1) {
		drop(store->partial, &names, sha256);
		return;
	}
	to = directory_open(work_dirfd, "packages");
	if (to < 0 || renameat(store->partial, names.from_kept, to, names.from) < 0 ||
	    renameat(store->partial, sha256, to, names.part) < 0)
		drop(store->partial, &names, sha256);
}

static DIR *list_open(int dirfd, const char *name)
{
	int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	DIR *list = fd < 0 ? NULL : fdopendir(fd);

	if (!list)
		closep(&fd);
	return list;
}

static void rescue(int work, const char *name, int to)
{
	char path[NAME_MAX + 16];
	struct dirent *entry;
	DIR *list;

	(void)snprintf(path, sizeof(path), "%s/packages", name);
	list = list_open(work, path);
	while (list && (entry = readdir(list)))
		if (!strncmp(entry->d_name, ".part-", 6) && hex_is_digest(entry->d_name + 6))
			(void)keep(dirfd(list), to, entry->d_name + 6);
	if (list)
		(void)closedir(list);
}

void tree_partials_rescue(int state_dirfd)
{
	_cleanup_(closep) int to = directory_open(state_dirfd, "partial");
	DIR *work = list_open(state_dirfd, "work");
	struct dirent *entry;

	while (work && to >= 0 && (entry = readdir(work)))
		if (!strncmp(entry->d_name, "fetch-", 6))
			rescue(dirfd(work), entry->d_name, to);
	if (work)
		(void)closedir(work);
}

bool tree_partial_name(const char *name, char ret[static DIGEST_HEX_SIZE])
{
	size_t length = strlen(name);

	if (length != DIGEST_HEX_SIZE - 1 && (length != DIGEST_HEX_SIZE - 1 + strlen(FROM) ||
					      strcmp(name + DIGEST_HEX_SIZE - 1, FROM) != 0))
		return false;
	memcpy(ret, name, DIGEST_HEX_SIZE - 1);
	ret[DIGEST_HEX_SIZE - 1] = '\0';
	return hex_is_digest(ret);
}

bool tree_partial_whole(int state_dirfd, const char *sha256)
{
	char path[sizeof("partial/") + DIGEST_HEX_SIZE + sizeof(FROM)];

	(void)snprintf(path, sizeof(path), "partial/%s", sha256);
	if (faccessat(state_dirfd, path, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
		return false;
	(void)snprintf(path, sizeof(path), "partial/%s" FROM, sha256);
	return faccessat(state_dirfd, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* Removes what is too old, or alone; the oldest of the rest in @ret */
static size_t trim_old(int dirfd, int64_t before, char ret[static DIGEST_HEX_SIZE],
		       int64_t *removed)
{
	DIR *list = list_open(dirfd, ".");
	int64_t oldest = INT64_MAX;
	struct dirent *entry;
	size_t count = 0;

	while (list && (entry = readdir(list))) {
		char sha256[DIGEST_HEX_SIZE];
		struct names names;
		struct stat st;

		if (!tree_partial_name(entry->d_name, sha256))
			continue;
		names = names_of(sha256);
		if (fstatat(dirfd, sha256, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
		    faccessat(dirfd, names.from_kept, F_OK, AT_SYMLINK_NOFOLLOW) < 0 ||
		    st.st_mtim.tv_sec < before) {
			*removed += unlinkat(dirfd, entry->d_name, 0) == 0;
		} else if (!entry->d_name[DIGEST_HEX_SIZE - 1]) {
			count++;
			if (st.st_mtim.tv_sec < oldest) {
				memcpy(ret, sha256, DIGEST_HEX_SIZE);
				oldest = st.st_mtim.tv_sec;
			}
		}
	}
	if (list)
		(void)closedir(list);
	return count;
}

int64_t tree_partials_trim(struct tree_store *store, int64_t max_age_seconds)
{
	char oldest[DIGEST_HEX_SIZE];
	int64_t removed = 0, before;

	while (before = removed, trim_old(store->partial, time_now() - max_age_seconds, oldest,
					  &removed) > PARTIALS_MAX) {
		const struct names names = names_of(oldest);

		removed += unlinkat(store->partial, oldest, 0) == 0;
		removed += unlinkat(store->partial, names.from_kept, 0) == 0;
		if (removed > before)
			continue;
		if (!atomic_exchange(&store->said_partial, true))
			log_warning("partial/%s cannot be removed: %s", oldest, strerror(errno));
		break;
	}
	return removed;
}
