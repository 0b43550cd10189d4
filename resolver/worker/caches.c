/* SPDX-License-Identifier: MIT */
/* resolver/worker/caches.c: are the snapshots and the records of headers what they were written as?
 *
 * They can be made again from the sources, so whoever is told of a damaged one removes it. */
#include "resolver/header/store.h"
#include "resolver/snapshot/snapshot.h"
#include "resolver/worker/worker.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

struct look {
	const struct worker_caches *check;
	struct header_unpacker *unpacker;
	int64_t count;
};

static int check_snapshot(struct look *look, int dirfd, const char *name, struct error *err)
{
	return snapshot_check(dirfd, name, err);
}

static int check_header(struct look *look, int dirfd, const char *name, struct error *err)
{
	return header_store_check(dirfd, name, look->unpacker, err);
}

/* What cannot be opened for another reason than being gone is as good as damaged. */
static int check_folder(struct look *look, int state_dirfd, const char *folder,
			int (*one)(struct look *look, int dirfd, const char *name,
				   struct error *err),
			struct error *err)
{
	int fd = openat(state_dirfd, folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC), r = 0;
	DIR *list = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;

	if (!list) {
		r = fd < 0 && errno == ENOENT ? 0 : error_errno(err, -errno, "%s", folder);
		closep(&fd);
		return r;
	}
	while (r == 0 && (errno = 0, entry = readdir(list))) {
		int one_r;

		if (entry->d_name[0] == '.')
			continue;
		look->count++;
		one_r = hex_is_digest(entry->d_name) ? one(look, fd, entry->d_name, NULL)
						     : -EBADMSG;
		if (one_r == -ENOMEM)
			r = error_oom(err);
		else if (one_r < 0 && one_r != -ENOENT)
			look->check->damaged(look->check->data, folder, entry->d_name);
	}
	if (r == 0 && errno)
		r = error_errno(err, -errno, "%s", folder);
	(void)closedir(list);
	return r;
}

int worker_caches_check(int state_dirfd, const struct worker_caches *check, struct error *err)
{
	struct look look = { .check = check };
	int r;

	if (check->deep && !(look.unpacker = header_unpacker_new()))
		return error_oom(err);
	r = check_folder(&look, state_dirfd, "snapshots", check_snapshot, err);
	if (r == 0)
		r = check_folder(&look, state_dirfd, "headers", check_header, err);
	header_unpacker_free(look.unpacker);
	if (r == 0 && check->ret_count)
		*check->ret_count = look.count;
	return r;
}
