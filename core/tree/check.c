/* SPDX-License-Identifier: MIT */
/* core/tree/check.c: are the files there that composes name, and nobody else's?
 *
 * Looks, and changes nothing: who asks is told of each file and does what he wants. The folders are
 * listed before the manifests are read, so that what a running service publishes meanwhile is not
 * missed, and what it sweeps is asked about again by the caller. */
#include "core/tree/private.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

enum file_state {
	FILE_UNKNOWN, /* nobody has named it yet */
	FILE_SOUND,
	FILE_DAMAGED,
};

/** struct file - one that is named by a digest */
struct file {
	uint8_t digest[DIGEST_SIZE];
	uint64_t size;
	int64_t mtime;
	bool plain;
	enum file_state state;
};

struct folder {
	const char *name;
	int fd; /* -1: not there, so it is empty */
	struct file *file;
	size_t count, room;
};

struct look {
	const struct tree_check *check;
	int64_t before; /* what nobody needs is told of when it is older than this */
	struct folder manifests, blobs, packages;
};

static void look_done(struct look *look)
{
	struct folder *const folders[] = { &look->manifests, &look->blobs, &look->packages };

	for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
		free(folders[i]->file);
		closep(&folders[i]->fd);
	}
}

static void tell(const struct look *look, enum tree_problem problem, const struct folder *folder,
		 const char *name, const char *words)
{
	look->check->found(look->check->data, &(struct tree_finding){ .problem = problem,
								      .folder = folder->name,
								      .name = name,
								      .words = words });
}

/* ---- what is there ------------------------------------------------------- */

static int folder_add(struct folder *folder, const char *name, const struct stat *st)
{
	struct file file = { .size = (uint64_t)st->st_size,
			     .mtime = st->st_mtim.tv_sec,
			     .plain = S_ISREG(st->st_mode) };

	if (hex_parse(name, file.digest, sizeof(file.digest)) < 0)
		return -EINVAL;
	if (folder->count == folder->room) {
		size_t room = folder->room ? folder->room * 2 : 256;
		struct file *larger = reallocarray(folder->file, room, sizeof(*larger));

		if (!larger)
			return -ENOMEM;
		folder->file = larger;
		folder->room = room;
	}
	folder->file[folder->count++] = file;
	return 0;
}

static int compare_files(const void *a, const void *b)
{
	const struct file *one = a, *other = b;

	return memcmp(one->digest, other->digest, DIGEST_SIZE);
}

static int add_name(const struct look *look, struct folder *folder, const char *name)
{
	struct stat st;

	if (!strcmp(name, ".") || !strcmp(name, "..") ||
	    fstatat(folder->fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return 0;
	if (hex_is_digest(name))
		return folder_add(folder, name, &st);
	if (!store_is_leftover(name))
		tell(look, TREE_STRANGE, folder, name, "no file of ours has such a name");
	else if (st.st_mtim.tv_sec <= look->before)
		tell(look, TREE_ORPHAN, folder, name, "half written");
	return 0;
}

static int folder_read(const struct look *look, struct folder *folder, const char *name,
		       int state_dirfd, struct error *err)
{
	struct dirent *entry;
	int r = 0, fd;
	DIR *list;

	folder->name = name;
	folder->fd = openat(state_dirfd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (folder->fd < 0)
		return errno == ENOENT ? 0 : error_errno(err, -errno, "%s", name);
	fd = openat(folder->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	list = fd < 0 ? NULL : fdopendir(fd);
	if (!list) {
		r = error_errno(err, -errno, "%s", name);
		closep(&fd);
		return r;
	}
	while (r == 0 && (errno = 0, entry = readdir(list)))
		r = add_name(look, folder, entry->d_name);
	if (r == 0 && errno)
		r = -errno;
	(void)closedir(list);
	if (folder->count)
		qsort(folder->file, folder->count, sizeof(*folder->file), compare_files);
	return r < 0 ? error_errno(err, r, "%s", name) : 0;
}

static struct file *folder_find(const struct folder *folder, const uint8_t digest[DIGEST_SIZE])
{
	struct file key;

	if (!folder->count)
		return NULL;
	memcpy(key.digest, digest, DIGEST_SIZE);
	return bsearch(&key, folder->file, folder->count, sizeof(key), compare_files);
}

/* ---- what is named --------------------------------------------------------- */

/* A package's atime says when it was last read (cache.c): by somebody else than us. */
static int open_untouched(const struct folder *folder, const char *name)
{
	int fd = openat(folder->fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NOATIME);

	return fd < 0 && errno == EPERM /* not ours */
		       ? openat(folder->fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
		       : fd;
}

/* "" when the file at @name is what it is called; else what is wrong */
static void judge_bytes(const struct folder *folder, const char *name, char *words, size_t room)
{
	_cleanup_(closep) int fd = open_untouched(folder, name);
	char hex[DIGEST_HEX_SIZE];
	int r = fd < 0 ? -errno : sha256_file(fd, hex, NULL);

	words[0] = '\0';
	if (r < 0)
		(void)snprintf(words, room, "cannot be read: %s", strerror(-r));
	else if (strcmp(hex, name) != 0)
		(void)snprintf(words, room, "its bytes are not those of its name");
}

/* A file that a manifest names with that size, looked at once */
static bool is_sound(const struct look *look, const struct folder *folder, struct file *file,
		     uint64_t size)
{
	char name[DIGEST_HEX_SIZE], words[128] = "";

	if (file->state != FILE_UNKNOWN)
		return file->state == FILE_SOUND;
	hex_print(file->digest, DIGEST_SIZE, name);
	if (!file->plain)
		(void)snprintf(words, sizeof(words), "no plain file");
	else if (file->size != size)
		(void)snprintf(words, sizeof(words), "%" PRIu64 " bytes instead of %" PRIu64,
			       file->size, size);
	else if (look->check->deep)
		judge_bytes(folder, name, words, sizeof(words));
	file->state = words[0] ? FILE_DAMAGED : FILE_SOUND;
	if (words[0])
		tell(look, TREE_DAMAGED, folder, name, words);
	return !words[0];
}

/* Packages that are missing or damaged are fetched again when they are read. */
static void check_record(const struct look *look, const struct manifest_record *record,
			 struct text *lost, unsigned int *ret_lost)
{
	bool blob = manifest_is_blob(record);
	const struct folder *folder = blob ? &look->blobs : &look->packages;
	char name[DIGEST_HEX_SIZE];
	struct file *file;

	if (!blob && !(record->type == MANIFEST_PACKAGE && record->flags & MANIFEST_REMOTE))
		return;
	file = folder_find(folder, record->digest);
	if ((file && is_sound(look, folder, file, record->size)) || !blob)
		return;
	if (!(*ret_lost)++) {
		hex_print(record->digest, DIGEST_SIZE, name);
		(void)text_addf(lost, "blobs/%s is %s", name, file ? "damaged" : "missing");
	}
}

static int check_named(const struct look *look, const struct manifest *manifest, const char *digest,
		       struct error *err)
{
	_cleanup_(text_done) struct text lost = { 0 };
	unsigned int count = 0;

	for (uint32_t i = 0; i < manifest->count; i++)
		check_record(look, &manifest->record[i], &lost, &count);
	if (!count)
		return 0;
	if (count > 1)
		(void)text_addf(&lost, ", and %u more", count - 1);
	if (lost.failed)
		return error_oom(err);
	return look->check->lost(look->check->data, digest, lost.data, err);
}

static int check_manifest(const struct look *look, const char *digest, struct error *err)
{
	_cleanup_(manifest_freep) struct manifest *manifest = NULL;
	char words[DIGEST_HEX_SIZE + 64], problem[256];
	struct error wrong = { 0 };
	uint8_t bytes[DIGEST_SIZE];
	struct file *file;
	int r, fd;

	if (hex_parse(digest, bytes, sizeof(bytes)) < 0)
		return 0; /* the catalogue's own check tells of it */
	file = folder_find(&look->manifests, bytes);
	(void)snprintf(words, sizeof(words), "manifests/%s is %s", digest,
		       file ? "damaged" : "missing");
	if (!file)
		return look->check->lost(look->check->data, digest, words, err);
	fd = openat(look->manifests.fd, digest, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	r = fd < 0 ? error_errno(&wrong, -errno, "cannot be read")
		   : manifest_map(fd, &manifest, &wrong);
	closep(&fd);
	if (r == -ENOMEM)
		return error_oom(err);
	judge_bytes(&look->manifests, digest, problem, sizeof(problem));
	if (r == 0 && !problem[0]) {
		file->state = FILE_SOUND;
		return check_named(look, manifest, digest, err);
	}
	file->state = FILE_DAMAGED;
	tell(look, TREE_DAMAGED, &look->manifests, digest, r < 0 ? wrong.message : problem);
	return look->check->lost(look->check->data, digest, words, err);
}

/* ---- what nobody names ------------------------------------------------------- */

static void tell_orphans(const struct look *look, const struct folder *folder)
{
	char name[DIGEST_HEX_SIZE], words[64];

	for (size_t i = 0; i < folder->count; i++) {
		const struct file *file = &folder->file[i];

		if (file->state != FILE_UNKNOWN || file->mtime > look->before)
			continue;
		hex_print(file->digest, DIGEST_SIZE, name);
		(void)snprintf(words, sizeof(words), "no compose needs it (%" PRIu64 " bytes)",
			       file->size);
		tell(look, TREE_ORPHAN, folder, name, words);
	}
}

int tree_check(int state_dirfd, const struct tree_check *check, struct error *err)
{
	_cleanup_(look_done) struct look look = { .check = check,
						  .before = time_now() - check->min_age_seconds,
						  .manifests.fd = -1,
						  .blobs.fd = -1,
						  .packages.fd = -1 };
	int r = folder_read(&look, &look.manifests, "manifests", state_dirfd, err);

	if (r == 0)
		r = folder_read(&look, &look.blobs, "blobs", state_dirfd, err);
	if (r == 0)
		r = folder_read(&look, &look.packages, "packages", state_dirfd, err);
	for (size_t i = 0; i < check->live->count && r == 0; i++)
		r = check_manifest(&look, check->live->item[i], err);
	if (r < 0)
		return r;
	tell_orphans(&look, &look.manifests);
	tell_orphans(&look, &look.blobs);
	tell_orphans(&look, &look.packages);
	if (check->ret_files)
		*check->ret_files =
			(int64_t)(look.manifests.count + look.blobs.count + look.packages.count);
	return 0;
}
