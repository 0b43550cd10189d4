/* SPDX-License-Identifier: MIT */
/* core/tree/signed.c: which of the packages here were held against which keys.
 *
 *   not marked with the keys of now ─► not handed out ─► lent to a worker, which judges the
 * signature ─► marked
 *
 * A mark is the digest of the keys, an attribute of the file: it is there with the file or not at
 * all, whenever the service ends. A file system without attributes has them in memory only, so
 * there a package is judged once after each start. */
#include "core/tree/private.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/xattr.h>
#include <unistd.h>

#define MARK "user.odcs.signed"
#define LEND_MAX                                                                                   \
	(64 << 20) /* bytes that are copied where files cannot share them; larger ones are fetched \
		      anew */

int tree_store_signed(struct tree_store *store, const char *keys, const char *own,
		      struct error *err)
{
	char *copy = strdup(own);

	if (!copy)
		return error_oom(err);
	(void)pthread_mutex_lock(&store->lock);
	(void)snprintf(store->keys, sizeof(store->keys), "%s", keys);
	free(store->own);
	store->own = copy;
	(void)pthread_mutex_unlock(&store->lock);
	return 0;
}

bool store_keys_for(struct tree_store *store, const char *base, char ret[static DIGEST_HEX_SIZE])
{
	bool needed;

	(void)pthread_mutex_lock(&store->lock);
	needed = store->keys[0] && strcmp(base, store->own) != 0;
	if (needed)
		memcpy(ret, store->keys, DIGEST_HEX_SIZE);
	(void)pthread_mutex_unlock(&store->lock);
	return needed;
}

bool tree_store_checks(struct tree_store *store)
{
	bool checks;

	(void)pthread_mutex_lock(&store->lock);
	checks = store->keys[0];
	(void)pthread_mutex_unlock(&store->lock);
	return checks;
}

/* Enough of it to tell keys apart, and never 0 */
static uint64_t number_of(const char *keys)
{
	char head[16] = { 0 };

	memcpy(head, keys, 15);
	return strtoull(head, NULL, 16) + 1;
}

void store_mark(struct tree_store *store, const uint8_t digest[DIGEST_SIZE], const char *keys)
{
	cache_mark(store, digest, number_of(keys));
}

void store_mark_file(int fd, const char *keys)
{
	(void)fsetxattr(fd, MARK, keys, DIGEST_HEX_SIZE - 1, 0);
}

bool store_is_signed(struct tree_store *store, const char *base, const uint8_t digest[DIGEST_SIZE],
		     int fd)
{
	char keys[DIGEST_HEX_SIZE], mark[DIGEST_HEX_SIZE];

	if (!store_keys_for(store, base, keys) || cache_marked(store, digest) == number_of(keys))
		return true;
	if (fgetxattr(fd, MARK, mark, sizeof(mark)) != DIGEST_HEX_SIZE - 1 ||
	    memcmp(mark, keys, DIGEST_HEX_SIZE - 1) != 0)
		return false;
	store_mark(store, digest, keys);
	return true;
}

static bool copy(int from, int to, uint64_t size)
{
	if (ioctl(to, FICLONE, from) == 0)
		return true;
	if (size > LEND_MAX)
		return false;
	while (size) {
		ssize_t n = copy_file_range(from, NULL, to, NULL, size, 0);

		if (n <= 0 && errno != EINTR)
			return false;
		size -= n > 0 ? (uint64_t)n : 0;
	}
	return true;
}

bool tree_package_lend(struct tree_store *store, int work_dirfd, const struct tree_want *want)
{
	_cleanup_(closep) int from = -1, folder = -1, to = -1;
	char keys[DIGEST_HEX_SIZE], part[FETCH_PART_SIZE];
	struct stat st;

	if (!store_keys_for(store, want->base, keys))
		return false;
	from = openat(store->packages, want->sha256,
		      O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (from < 0 || fstat(from, &st) < 0 || !S_ISREG(st.st_mode) ||
	    (uint64_t)st.st_size != want->size)
		return false;
	fetch_part_name(want->sha256, part);
	folder = directory_open(work_dirfd, "packages");
	if (folder >= 0)
		to = openat(folder, part, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
			    0644);
	if (to < 0)
		return false;
	if (copy(from, to, want->size))
		return true;
	(void)unlinkat(folder, part, 0);
	return false;
}
