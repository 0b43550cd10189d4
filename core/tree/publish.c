/* SPDX-License-Identifier: MIT */
/* core/tree/publish.c: taking over what a worker left.
 *
 * The worker read foreign bytes, so nothing it says is believed: names are digests or refused,
 * files are taken out of its reach before they are looked at, and a manifest, which this process
 * will map, is copied into a file that no worker ever had open. Packages that it fetched may be
 * large: they are held against their digests at first use (store.c) rather than here. */
#include "core/tree/private.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#define MANIFEST_MAX_BLOBS 65536 /* records of repodata and the like in one manifest */
#define TEMPORARY_SIZE (sizeof(STORE_TEMPORARY) + DIGEST_HEX_SIZE + 12)

static int lie(struct error *err, const char *kind, const char *name, const char *words)
{
	return error_set(err, -EBADMSG, BLAME_US, NULL, "worker: %s %s: %s", kind, name, words);
}

static void temporary_name(struct tree_store *store, const char *digest,
			   char ret[static TEMPORARY_SIZE])
{
	(void)snprintf(ret, TEMPORARY_SIZE, STORE_TEMPORARY "%s-%u", digest,
		       atomic_fetch_add(&store->serial, 1));
}

/* Under the lock, since a damaged file of that name may be on its way out (store.c). */
static int put_in_place(struct tree_store *store, int dirfd, const char *temporary,
			const char *digest, struct error *err)
{
	int r = 0;

	(void)pthread_mutex_lock(&store->lock);
	if (renameat(dirfd, temporary, dirfd, digest) < 0)
		r = error_errno(err, -errno, "%s", digest);
	(void)pthread_mutex_unlock(&store->lock);
	return r;
}

/* ---- blobs and packages ------------------------------------------------- */

/* A lease for reading is given only while nobody has the file open for writing. Where there are no
 * leases (some file systems) a worker that lies could still change what it handed over, but only
 * repodata, which it could have made wrong in the first place. SIGURG, which nobody handles, would
 * come if somebody opened the file between the two calls; the default SIGIO would end the process.
 */
bool store_has_writer(int fd)
{
	(void)fcntl(fd, F_SETSIG, SIGURG);
	if (fcntl(fd, F_SETLEASE, F_RDLCK) < 0)
		return errno == EAGAIN;
	(void)fcntl(fd, F_SETLEASE, F_UNLCK);
	return false;
}

/** struct kind - of files that are named by their digest
 * @hashed: at once
 * @reserved: bytes that are set aside for one, and 0 once it is there; NULL: none */
struct kind {
	const char *word;
	int dirfd;
	bool hashed;
	uint64_t *reserved;
	const char *keys; /* that the worker has held it against; NULL: none */
};

static uint64_t take_reserved(const struct kind *kind)
{
	uint64_t bytes = kind->reserved ? *kind->reserved : 0;

	if (kind->reserved)
		*kind->reserved = 0;
	return bytes;
}

static int judge_file(int fd, const struct kind *kind, const char *digest, struct error *err)
{
	char hex[DIGEST_HEX_SIZE];
	struct stat st;
	int r;

	if (kind->keys) /* while its owner may write to it */
		store_mark_file(fd, kind->keys);
	if (fstat(fd, &st) < 0 || fchmod(fd, 0444) < 0)
		return error_errno(err, -errno, "worker: %s %s", kind->word, digest);
	if (!S_ISREG(st.st_mode) || st.st_nlink != 1)
		return lie(err, kind->word, digest, "not a plain file");
	if (store_has_writer(fd))
		return lie(err, kind->word, digest, "still open for writing");
	if (!kind->hashed)
		return 0;
	r = sha256_file(fd, hex, NULL);
	if (r < 0)
		return error_errno(err, r, "worker: %s %s", kind->word, digest);
	return strcmp(hex, digest) ? lie(err, kind->word, digest, "holds other bytes") : 0;
}

/* Is there one already? Its bytes are held against the digest at first use; here only what an
 * unclean stop leaves behind, a file of another length, is told apart. */
static bool file_exists(const struct kind *kind, int work_dirfd, const char *digest)
{
	struct stat there, offered;

	return fstatat(kind->dirfd, digest, &there, AT_SYMLINK_NOFOLLOW) == 0 &&
	       S_ISREG(there.st_mode) &&
	       (fstatat(work_dirfd, digest, &offered, AT_SYMLINK_NOFOLLOW) < 0 ||
		there.st_size == offered.st_size);
}

static int publish_file(struct tree_store *store, const struct kind *kind, int work_dirfd,
			const char *digest, struct error *err)
{
	_cleanup_(closep) int fd = -1;
	uint8_t bytes[DIGEST_SIZE];
	char temporary[TEMPORARY_SIZE];
	struct stat st;
	int r;

	/* one that is there may have no mark: it is replaced */
	if (hex_is_digest(digest) && !kind->keys && file_exists(kind, work_dirfd, digest))
		return 0;
	if (hex_parse(digest, bytes, sizeof(bytes)) < 0 || !hex_is_digest(digest))
		return lie(err, kind->word, digest, "not named by a digest");
	temporary_name(store, digest, temporary);
	if (renameat(work_dirfd, digest, kind->dirfd, temporary) < 0)
		return errno == ENOENT
			       ? lie(err, kind->word, digest, "is not there")
			       : error_errno(err, -errno, "worker: %s %s", kind->word, digest);
	fd = openat(kind->dirfd, temporary, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		r = lie(err, kind->word, digest, "cannot be opened");
	else
		r = judge_file(fd, kind, digest, err);
	if (r == 0)
		r = put_in_place(store, kind->dirfd, temporary, digest, err);
	if (r < 0)
		(void)directory_remove(kind->dirfd, temporary);
	else if (kind->hashed && kind->dirfd == store->blobs)
		store_verified_add(store, bytes);
	if (r == 0 && kind->dirfd == store->packages && fstat(fd, &st) == 0) {
		cache_arrived(store, bytes, (uint64_t)st.st_size, take_reserved(kind));
		if (kind->hashed)
			cache_verified(store, bytes, &st);
	}
	if (r == 0 && kind->keys)
		store_mark(store, bytes, kind->keys);
	return r;
}

static int publish_files(struct tree_store *store, const struct kind *kind, int work_dirfd,
			 const char *folder, const struct strings *digests, struct error *err)
{
	_cleanup_(closep) int from = -1;
	int r = 0;

	if (!digests->count)
		return 0;
	from = openat(work_dirfd, folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (from < 0)
		return error_errno(err, -errno, "worker: %s", folder);
	for (size_t i = 0; r == 0 && i < digests->count; i++)
		r = publish_file(store, kind, from, digests->item[i], err);
	return r;
}

int tree_package_take(struct tree_store *store, int work_dirfd, const struct tree_want *want,
		      uint64_t reserved, struct error *err)
{
	char keys[DIGEST_HEX_SIZE];
	const struct kind kind = { .word = "package",
				   .dirfd = store->packages,
				   .hashed = true,
				   .reserved = &reserved,
				   .keys = store_keys_for(store, want->base, keys) ? keys : NULL };
	struct strings name = { .item = (char *[]){ (char[DIGEST_HEX_SIZE]){ 0 } }, .count = 1 };
	int r;

	(void)snprintf(name.item[0], DIGEST_HEX_SIZE, "%s", want->sha256);
	r = publish_files(store, &kind, work_dirfd, "packages", &name, err);
	tree_cache_unreserve(store, reserved);
	return r;
}

/* A blob of another size than a manifest says: one of the two is wrong, and the blob's own name
 * tells which. A damaged one goes, so that the next try writes it. */
static void judge_size(int dirfd, const char *name)
{
	_cleanup_(closep) int fd =
		openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	char digest[DIGEST_HEX_SIZE];

	if (fd >= 0 && sha256_file(fd, digest, NULL) == 0 && strcmp(digest, name) != 0)
		(void)unlinkat(dirfd, name, 0);
}

/* @word: "blob", or "package" that was fetched */
static int check_file(int dirfd, const char *word, const struct manifest_record *record,
		      struct error *err)
{
	char name[DIGEST_HEX_SIZE];
	struct stat st;
	int r;

	hex_print(record->digest, DIGEST_SIZE, name);
	r = fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
	if (r < 0 && r != -ENOENT)
		return error_errno(err, r, "%s %s", word, name);
	if (r < 0)
		return error_set(err, -EBADMSG, BLAME_US, NULL, "manifest: %s %s: is not there",
				 word, name);
	if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size != record->size) {
		judge_size(dirfd, name);
		return error_set(err, -EBADMSG, BLAME_US, NULL, "manifest: %s %s: has another size",
				 word, name);
	}
	return 0;
}

static int check_package(struct tree_store *store, const struct manifest_record *record,
			 struct error *err)
{
	char name[DIGEST_HEX_SIZE];

	hex_print(record->digest, DIGEST_SIZE, name);
	if (faccessat(store->packages, name, F_OK, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT)
		return 0; /* fetched when it is read */
	return check_file(store->packages, "package", record, err);
}

int store_blobs_check(struct tree_store *store, const struct manifest *manifest, struct error *err)
{
	uint32_t blobs = 0;
	int r = 0;

	for (uint32_t i = 0; r == 0 && i < manifest->count; i++) {
		const struct manifest_record *record = &manifest->record[i];

		if (record->type == MANIFEST_PACKAGE && record->flags & MANIFEST_REMOTE)
			r = check_package(store, record, err);
		if (!manifest_is_blob(record))
			continue;
		if (++blobs > MANIFEST_MAX_BLOBS)
			return error_set(err, -EBADMSG, BLAME_US, NULL,
					 "manifest: more than %d blobs", MANIFEST_MAX_BLOBS);
		r = check_file(store->blobs, "blob", record, err);
	}
	return r;
}

/* ---- the manifest ------------------------------------------------------ */

static int check_store(struct tree_store *store, int fd, struct error *err)
{
	_cleanup_(manifest_freep) struct manifest *manifest = NULL;
	int r = manifest_map(fd, &manifest, err);

	return r < 0 ? r : store_blobs_check(store, manifest, err);
}

static int copy_bytes(int from, int to, struct error *err)
{
	_cleanup_(freep) char *buffer = malloc(256 * 1024);
	uint64_t total = 0;
	ssize_t n;
	int r;

	if (!buffer)
		return error_oom(err);
	while ((n = io_read(from, buffer, 256 * 1024)) > 0) {
		total += (uint64_t)n;
		if (total > MANIFEST_MAX_BYTES)
			return error_set(err, -EBADMSG, BLAME_US, NULL, "longer than a manifest");
		r = io_write(to, buffer, (size_t)n);
		if (r < 0)
			return error_errno(err, r, "cannot be copied");
	}
	return n < 0 ? error_errno(err, (int)n, "cannot be read") : 0;
}

static int judge_manifest(struct tree_store *store, int from, int fd, const char *digest,
			  struct error *err)
{
	char hex[DIGEST_HEX_SIZE];
	struct stat st;
	int r;

	if (fstat(from, &st) < 0 || !S_ISREG(st.st_mode))
		return error_set(err, -EBADMSG, BLAME_US, NULL, "not a plain file");
	r = copy_bytes(from, fd, err);
	if (r < 0)
		return r;
	r = sha256_file(fd, hex, NULL);
	if (r < 0)
		return error_errno(err, r, "cannot be read");
	if (strcmp(hex, digest) != 0)
		return error_set(err, -EBADMSG, BLAME_US, NULL, "holds other bytes");
	return check_store(store, fd, err);
}

static int publish_manifest(struct tree_store *store, int work_dirfd, const char *digest,
			    struct error *err)
{
	_cleanup_(closep) int from = -1, fd = -1;
	char temporary[TEMPORARY_SIZE];
	int r;

	from = openat(work_dirfd, digest, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (from < 0)
		return lie(err, "manifest", digest,
			   errno == ENOENT ? "is not there" : "cannot be opened");
	temporary_name(store, digest, temporary);
	fd = openat(store->manifests, temporary, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0400);
	if (fd < 0)
		return error_errno(err, -errno, "manifest %s", digest);
	r = judge_manifest(store, from, fd, digest, err);
	if (r < 0)
		(void)error_prefix(err, "worker: manifest %s", digest);
	else
		r = put_in_place(store, store->manifests, temporary, digest, err);
	if (r < 0)
		(void)unlinkat(store->manifests, temporary, 0);
	return r;
}

/* The worker says that the service has this manifest already: then it must be sound and complete.
 */
static int republish_manifest(struct tree_store *store, const char *digest, struct error *err)
{
	struct manifest *manifest;
	int r;

	r = store_manifest_get(store, digest, &manifest, err);
	if (r == -EIO)
		return lie(err, "manifest", digest, "is not there, or damaged");
	if (r < 0)
		return r;
	r = store_blobs_check(store, manifest, err);
	store_manifest_put(store, manifest);
	return r;
}

int tree_store_publish(struct tree_store *store, int work_dirfd, const struct outcome *outcome,
		       struct error *err)
{
	const struct kind blobs = { .word = "blob", .dirfd = store->blobs, .hashed = true };
	const struct kind packages = { .word = "package", .dirfd = store->packages };
	_cleanup_(closep) int manifests = -1;
	int r;

	if (!outcome->manifest || !hex_is_digest(outcome->manifest))
		return lie(err, "manifest", outcome->manifest ? outcome->manifest : "(none)",
			   "not named by a digest");
	r = publish_files(store, &blobs, work_dirfd, "blobs", &outcome->blobs, err);
	if (r == 0)
		r = publish_files(store, &packages, work_dirfd, "packages", &outcome->packages,
				  err);
	if (r < 0)
		return r;
	if (!outcome->manifest_new)
		return republish_manifest(store, outcome->manifest, err);
	manifests =
		openat(work_dirfd, "manifests", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (manifests < 0)
		return error_errno(err, -errno, "worker: manifests");
	return publish_manifest(store, manifests, outcome->manifest, err);
}
