/* SPDX-License-Identifier: MIT */
/* resolver/compose/check.c: a compose that was made before: is every file of it still there?
 *
 * The service asks before another request is answered with the same tree. The manifest was checked
 * when it was published, so that its digest is right is enough to believe its structure. */
#include "resolver/compose/composer.h"

#include "core/tree/manifest.h"

#include <fcntl.h>
#include <sys/stat.h>

struct check {
	int state_dirfd;
	const char *digest;
	const struct composer_look *look;
	char *bytes;
	size_t length;
	const struct manifest_header *header;
	const struct manifest_record *record;
	const char *strings;
	/* packages of one base that were not looked at yet */
	const char *base, *path[COMPOSER_LOOK_MAX];
	const struct manifest_record *package[COMPOSER_LOOK_MAX];
	size_t waiting;
};

static int stale(struct error *err, const char *what, const char *name, const char *why)
{
	return error_set(err, -ESTALE, BLAME_US, NULL, "%s %s %s", what, name, why);
}

static int load(struct check *check, struct error *err)
{
	char path[sizeof("manifests/") + DIGEST_HEX_SIZE], digest[DIGEST_HEX_SIZE];
	int r;

	(void)snprintf(path, sizeof(path), "manifests/%s", check->digest);
	r = file_read(check->state_dirfd, path, MANIFEST_MAX_BYTES, &check->bytes, &check->length);
	if (r == -ENOENT)
		return stale(err, "manifest", check->digest, "is not there");
	if (r < 0)
		return error_errno(err, r, "manifest %s", check->digest);
	sha256_hex(check->bytes, check->length, digest);
	check->header = (const struct manifest_header *)(const void *)check->bytes;
	if (strcmp(digest, check->digest) != 0 || check->length < sizeof(*check->header) ||
	    check->header->file_size != check->length ||
	    check->header->strings_offset > check->length ||
	    sizeof(*check->header) +
			    (uint64_t)check->header->record_count * sizeof(struct manifest_record) >
		    check->header->strings_offset)
		return stale(err, "manifest", check->digest, "is damaged");
	check->record = (const struct manifest_record *)(check->header + 1);
	check->strings = check->bytes + check->header->strings_offset;
	return 0;
}

/* @folder: of the state directory */
static int look_at_ours(const struct check *check, const char *folder,
			const struct manifest_record *record, struct error *err)
{
	char path[32 + DIGEST_HEX_SIZE], digest[DIGEST_HEX_SIZE];
	struct stat st;

	hex_print(record->digest, sizeof(record->digest), digest);
	(void)snprintf(path, sizeof(path), "%s/%s", folder, digest);
	if (fstatat(check->state_dirfd, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT && record->type == MANIFEST_PACKAGE
			       ? 0 /* fetched when it is read */
			       : stale(err, "file", path, strerror(errno));
	if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size != record->size)
		return stale(err, "file", path, "has another size");
	return 0;
}

static int look_at_waiting(struct check *check, struct error *err)
{
	struct composer_file file[COMPOSER_LOOK_MAX];
	size_t count = check->waiting;
	int r;

	if (!count)
		return 0;
	check->waiting = 0;
	r = check->look->stat(check->look->data, check->base, check->path, count, file, err);
	for (size_t i = 0; i < count && r == 0; i++) {
		const struct manifest_record *record = check->package[i];

		if (file[i].size != record->size || file[i].mtime_ns != record->source_mtime_ns ||
		    file[i].ino != record->source_ino)
			r = error_set(err, -ESTALE, BLAME_SOURCE, NULL, "%s/%s is another file now",
				      check->base, check->path[i]);
	}
	return r;
}

static int look_at_package(struct check *check, const struct manifest_record *record,
			   struct error *err)
{
	const char *base = check->strings + record->count;
	int r = 0;

	if (record->flags & MANIFEST_REMOTE)
		return look_at_ours(check, "packages", record, err);
	if (check->waiting == COMPOSER_LOOK_MAX || (check->waiting && strcmp(check->base, base)))
		r = look_at_waiting(check, err);
	check->base = base;
	check->path[check->waiting] = check->strings + record->first;
	check->package[check->waiting++] = record;
	return r;
}

static int look_at_all(struct check *check, struct error *err)
{
	uint64_t strings = check->length - check->header->strings_offset;
	int r = 0;

	for (uint32_t i = 0; i < check->header->record_count && r == 0; i++) {
		const struct manifest_record *record = &check->record[i];

		if (record->type >= MANIFEST_BLOB)
			r = look_at_ours(check, "blobs", record, err);
		else if (record->type == MANIFEST_PACKAGE)
			r = record->first < strings && record->count < strings
				    ? look_at_package(check, record, err)
				    : stale(err, "manifest", check->digest, "is damaged");
	}
	return r < 0 ? r : look_at_waiting(check, err);
}

int composer_check(int state_dirfd, const char *manifest, const struct composer_look *look,
		   struct error *err)
{
	struct check check = { .state_dirfd = state_dirfd, .digest = manifest, .look = look };
	int r = load(&check, err);

	if (r == 0)
		r = look_at_all(&check, err);
	free(check.bytes);
	return r;
}
