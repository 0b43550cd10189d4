/* SPDX-License-Identifier: MIT */
/* core/tree/sweep.c: removing manifests, blobs, packages and logs that belong to nothing any more.
 *
 * A file goes when no live manifest leads to it, no tree that somebody holds shows it, and it is
 * old enough. That no sweep runs between a publication and its row is the caller's to see to. */
#include "core/tree/private.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#define PARTIAL_SECONDS 3600 /* so long what broke off is kept */

/** struct digests - a set in the making: sorted and without doubles from time to time */
struct digests {
	uint8_t (*item)[DIGEST_SIZE];
	size_t count, room;
};

struct sweep {
	struct tree_store *store;
	const struct strings *live;
	struct digests blobs, packages; /* that live and held manifests name */
	int64_t before;			/* files older than this may go */
	bool (*log_live)(void *data, int64_t id);
	void *data;
	int64_t files, bytes;
};

static int compare_digests(const void *a, const void *b)
{
	return memcmp(a, b, DIGEST_SIZE);
}

static void digests_sort(struct digests *set)
{
	size_t kept = 0;

	if (!set->count)
		return;
	qsort(set->item, set->count, DIGEST_SIZE, compare_digests);
	for (size_t i = 1; i < set->count; i++)
		if (memcmp(set->item[i], set->item[kept], DIGEST_SIZE) != 0)
			memmove(set->item[++kept], set->item[i], DIGEST_SIZE);
	set->count = kept + 1;
}

static int digests_add(struct digests *set, const uint8_t digest[DIGEST_SIZE])
{
	if (set->count == set->room) {
		digests_sort(set);
		if (set->count >= set->room / 2) {
			size_t room = set->room ? set->room * 2 : 1024;
			uint8_t(*item)[DIGEST_SIZE] = reallocarray(set->item, room, sizeof(*item));

			if (!item)
				return -ENOMEM;
			set->item = item;
			set->room = room;
		}
	}
	memcpy(set->item[set->count++], digest, DIGEST_SIZE);
	return 0;
}

/* A manifest that is missing or damaged leads to nothing: its compose cannot be read, and what it
 * shares with others is kept by them. */
static int add_files_of(struct sweep *sweep, const char *digest, struct error *err)
{
	_cleanup_(manifest_freep) struct manifest *manifest = NULL;
	_cleanup_(closep) int fd = -1;
	int r;

	fd = openat(sweep->store->manifests, digest,
		    O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return errno == ENOENT || errno == ELOOP
			       ? 0
			       : error_errno(err, -errno, "manifest %s", digest);
	r = manifest_map(fd, &manifest, err);
	if (r == -EBADMSG)
		return 0;
	if (r < 0)
		return r;
	for (uint32_t i = 0; i < manifest->count; i++) {
		const struct manifest_record *record = &manifest->record[i];
		struct digests *set = manifest_is_blob(record) ? &sweep->blobs : &sweep->packages;

		if ((manifest_is_blob(record) || record->flags & MANIFEST_REMOTE) &&
		    digests_add(set, record->digest) < 0)
			return error_oom(err);
	}
	return 0;
}

/* Remove @name if it is (still) old enough. */
static int remove_old(struct sweep *sweep, int dirfd, const char *name, struct error *err)
{
	struct stat st;
	int r = 0;

	(void)pthread_mutex_lock(&sweep->store->lock);
	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		r = errno == ENOENT ? 0 : error_errno(err, -errno, "%s", name);
	else if (st.st_mtim.tv_sec > sweep->before)
		r = 0;
	else if ((r = directory_remove(dirfd, name)) < 0) /* or a file */
		r = error_errno(err, r, "%s", name);
	else
		r = 1;
	(void)pthread_mutex_unlock(&sweep->store->lock);
	if (r == 1) {
		sweep->files++;
		sweep->bytes += st.st_size;
	}
	return r < 0 ? r : 0;
}

bool store_is_leftover(const char *name)
{
	return !strncmp(name, STORE_TEMPORARY, strlen(STORE_TEMPORARY)) ||
	       !strncmp(name, ".tmp-", 5); /* file_publish() */
}

static int sweep_manifest(struct sweep *sweep, const char *name, struct error *err)
{
	if (hex_is_digest(name)) {
		if (strings_has_sorted(sweep->live, name) ||
		    store_manifest_held(sweep->store, name))
			return add_files_of(sweep, name, err);
	} else if (!store_is_leftover(name)) {
		return 0;
	}
	return remove_old(sweep, sweep->store->manifests, name, err);
}

static int sweep_file(struct sweep *sweep, int dirfd, const struct digests *named, const char *name,
		      struct error *err)
{
	uint8_t digest[DIGEST_SIZE];

	if (hex_is_digest(name) && hex_parse(name, digest, sizeof(digest)) == 0) {
		if (named->count &&
		    bsearch(digest, named->item, named->count, DIGEST_SIZE, compare_digests))
			return 0;
	} else if (!store_is_leftover(name)) {
		return 0;
	}
	return remove_old(sweep, dirfd, name, err);
}

static int sweep_blob(struct sweep *sweep, const char *name, struct error *err)
{
	return sweep_file(sweep, sweep->store->blobs, &sweep->blobs, name, err);
}

static int sweep_package(struct sweep *sweep, const char *name, struct error *err)
{
	uint8_t digest[DIGEST_SIZE];
	int64_t before = sweep->files;
	int r = sweep_file(sweep, sweep->store->packages, &sweep->packages, name, err);

	if (sweep->files > before && hex_parse(name, digest, sizeof(digest)) == 0)
		cache_gone(sweep->store, digest);
	return r;
}

static int sweep_log(struct sweep *sweep, const char *name, struct error *err)
{
	struct stat st;
	int64_t id;

	if (parse_int64(name, &id) < 0 || sweep->log_live(sweep->data, id))
		return 0;
	if (fstatat(sweep->store->logs, name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
	    unlinkat(sweep->store->logs, name, 0) < 0)
		return errno == ENOENT ? 0 : error_errno(err, -errno, "logs/%s", name);
	sweep->files++;
	sweep->bytes += st.st_size;
	return 0;
}

static int each_name(struct sweep *sweep, int dirfd,
		     int (*visit)(struct sweep *sweep, const char *name, struct error *err),
		     struct error *err)
{
	int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), r = 0;
	DIR *list = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;

	if (!list) {
		r = error_errno(err, -errno, "state directory");
		closep(&fd);
		return r;
	}
	while (r == 0 && (errno = 0, entry = readdir(list)))
		if (atomic_load(&sweep->store->ending))
			r = error_set(err, -ECANCELED, BLAME_US, NULL, "the sweep was ended");
		else if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			r = visit(sweep, entry->d_name, err);
	if (r == 0 && errno)
		r = error_errno(err, -errno, "state directory");
	(void)closedir(list);
	return r;
}

void tree_store_end(struct tree_store *store)
{
	atomic_store(&store->ending, true);
}

int tree_store_sweep(struct tree_store *store, const struct strings *live,
		     bool (*log_live)(void *data, int64_t id), void *data, int64_t min_age_seconds,
		     int64_t *ret_files, int64_t *ret_bytes, struct error *err)
{
	struct sweep sweep = { .store = store,
			       .live = live,
			       .before = time_now() - min_age_seconds,
			       .log_live = log_live,
			       .data = data };
	int r = each_name(&sweep, store->manifests, sweep_manifest, err);

	digests_sort(&sweep.blobs);
	digests_sort(&sweep.packages);
	if (r == 0)
		r = each_name(&sweep, store->blobs, sweep_blob, err);
	if (r == 0)
		r = each_name(&sweep, store->packages, sweep_package, err);
	if (r == 0 && log_live)
		r = each_name(&sweep, store->logs, sweep_log, err);
	if (r == 0)
		sweep.files += tree_partials_trim(store, PARTIAL_SECONDS);
	free(sweep.blobs.item);
	free(sweep.packages.item);
	if (r < 0)
		return r;
	if (ret_files)
		*ret_files = sweep.files;
	if (ret_bytes)
		*ret_bytes = sweep.bytes;
	return 0;
}
