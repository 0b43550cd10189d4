/* SPDX-License-Identifier: MIT */
/* core/tree/store.c: the state directory's manifests, blobs and logs, and the manifests now mapped.
 *
 * Files are not synced when they are made (DESIGN 4), so each is held against its digest once in
 * the life of this process, at first use. Equal composes share one mapping. */
#include "core/tree/private.h"

#include <ctype.h>
#include <fcntl.h>
#include <unistd.h>

#define HASHED_AT_ONCE (1u << 20) /* bytes of a package that an open may take the time to hash */

/* ---- open and close ---------------------------------------------------- */

/* "file://" and @path with what is not plain in a URL as %XX. */
static char *file_url(const char *path)
{
	struct text url = { 0 };

	(void)text_adds(&url, "file://");
	for (; *path; path++) {
		if (isalnum((unsigned char)*path) || strchr("/-._~+:@,=", *path))
			(void)text_add(&url, path, 1);
		else
			(void)text_addf(&url, "%%%02X", (unsigned int)(unsigned char)*path);
	}
	return text_steal(&url);
}

static void trim_slashes(char *text)
{
	for (size_t n = strlen(text); n && text[n - 1] == '/'; n--)
		text[n - 1] = '\0';
}

int tree_store_open(int state_dirfd, const char *public_url, const char *local_path,
		    struct tree_store **ret, struct error *err)
{
	_cleanup_(tree_store_closep) struct tree_store *store = calloc(1, sizeof(*store));
	const char *const names[] = { "manifests", "blobs", "packages", "logs", "partial" };
	int r;

	if (!store)
		return error_oom(err);
	store->manifests = store->blobs = store->packages = store->logs = store->partial = -1;
	(void)pthread_mutex_init(&store->lock, NULL);
	store->public_url = strdup(public_url);
	store->local_url = file_url(local_path);
	store->verified = calloc(STORE_VERIFIED, sizeof(*store->verified));
	store->bucket_count = 256;
	store->bucket = calloc(store->bucket_count, sizeof(struct manifest *));
	if (!store->public_url || !store->local_url || !store->verified || !store->bucket)
		return error_oom(err);
	trim_slashes(store->public_url);
	trim_slashes(store->local_url);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		int *const place[] = { &store->manifests, &store->blobs, &store->packages,
				       &store->logs, &store->partial };

		*place[i] = directory_open(state_dirfd, names[i]);
		if (*place[i] < 0)
			return error_errno(err, *place[i], "state directory: %s", names[i]);
	}
	r = cache_init(store, err);
	if (r < 0)
		return r;
	if (failures_init(&store->failures) < 0)
		return error_oom(err);
	*ret = steal(store);
	return 0;
}

void tree_store_bringer(struct tree_store *store, const struct tree_bringer *bringer)
{
	store->bringer = *bringer;
}

int tree_store_public_url(struct tree_store *store, const char *public_url, struct error *err)
{
	char *copy = strdup(public_url);

	if (!copy)
		return error_oom(err);
	trim_slashes(copy);
	free(store->public_url);
	store->public_url = copy;
	return 0;
}

int tree_store_site(struct tree_store *store, const char *directory, struct error *err)
{
	return strings_add(&store->sites, directory) < 0 ? error_oom(err) : 0;
}

/* Every tree has been given back before: each holds the store. */
void tree_store_close(struct tree_store *store)
{
	if (!store)
		return;
	closep(&store->manifests);
	closep(&store->blobs);
	closep(&store->packages);
	closep(&store->logs);
	closep(&store->partial);
	cache_done(&store->cache);
	failures_done(&store->failures);
	(void)pthread_mutex_destroy(&store->lock);
	free(store->public_url);
	free(store->local_url);
	free(store->own);
	strings_done(&store->sites);
	free(store->bucket);
	free(store->verified);
	free(store);
}

/* Who has a lease on a file makes those wait who open it; they don't, so they don't get it now. */
static int leased(const char *name, struct error *err)
{
	return error_set(err, -EIO, BLAME_US, NULL,
			 "%s: another process has a lease on it; try again later", name);
}

int tree_store_log_open(struct tree_store *store, int64_t id, bool append, struct error *err)
{
	char name[24];
	int fd;

	(void)snprintf(name, sizeof(name), "%" PRId64, id);
	fd = openat(store->logs, name,
		    (append ? O_WRONLY | O_APPEND | O_CREAT : O_RDONLY) | O_CLOEXEC | O_NOFOLLOW |
			    O_NONBLOCK,
		    0644);
	if (fd < 0 && errno == EWOULDBLOCK)
		return leased(name, err);
	return fd < 0 ? error_errno(err, -errno, "logs/%s", name) : fd;
}

/* ---- what was verified ------------------------------------------------- */

/* A digest is random enough to be its own hash; two with one place push each other out, which costs
 * another hashing and nothing else. */
static size_t verified_place(const uint8_t digest[DIGEST_SIZE])
{
	_Static_assert(STORE_VERIFIED == 1 << 16, "two bytes of it");
	return digest[0] | (size_t)digest[1] << 8;
}

void store_verified_add(struct tree_store *store, const uint8_t digest[DIGEST_SIZE])
{
	(void)pthread_mutex_lock(&store->lock);
	memcpy(store->verified[verified_place(digest)], digest, DIGEST_SIZE);
	(void)pthread_mutex_unlock(&store->lock);
}

static bool is_verified(struct tree_store *store, int dirfd, const uint8_t digest[DIGEST_SIZE],
			const struct stat *st)
{
	bool found;

	if (dirfd == store->packages)
		return cache_is_verified(store, digest, st);
	(void)pthread_mutex_lock(&store->lock);
	found = !memcmp(store->verified[verified_place(digest)], digest, DIGEST_SIZE);
	(void)pthread_mutex_unlock(&store->lock);
	return found;
}

static void set_verified(struct tree_store *store, int dirfd, const uint8_t digest[DIGEST_SIZE],
			 const struct stat *st)
{
	if (dirfd == store->packages)
		cache_verified(store, digest, st);
	else
		store_verified_add(store, digest);
}

/* Remove the damaged file that was open at @fd, unless a sound one has taken its place. */
static void discard(struct tree_store *store, int dirfd, const char *name, int fd)
{
	struct stat ours, there;

	(void)pthread_mutex_lock(&store->lock);
	if (fstat(fd, &ours) == 0 && fstatat(dirfd, name, &there, AT_SYMLINK_NOFOLLOW) == 0 &&
	    ours.st_dev == there.st_dev && ours.st_ino == there.st_ino)
		(void)unlinkat(dirfd, name, 0);
	(void)pthread_mutex_unlock(&store->lock);
}

/* Is the package at @fd what its name says, though a manifest says another size? Then that one is
 * wrong, and takes nothing from the others. 1, 0; -EAGAIN: nobody has looked at it yet, and it is
 * larger than @hash_max */
static int is_sound(struct tree_store *store, const uint8_t digest[DIGEST_SIZE], int fd,
		    const struct stat *there, uint64_t hash_max)
{
	char name[DIGEST_HEX_SIZE], hex[DIGEST_HEX_SIZE];
	int r;

	if (cache_is_verified(store, digest, there))
		return 1;
	if ((uint64_t)there->st_size > hash_max)
		return -EAGAIN;
	r = sha256_file(fd, hex, NULL);
	if (r < 0)
		return r;
	hex_print(digest, DIGEST_SIZE, name);
	return !strcmp(hex, name);
}

/* A descriptor; -ENOENT: not there, or damaged and therefore removed, with words; -EAGAIN: nobody
 * has looked at it yet, and it is larger than @hash_max */
static int open_verified(struct tree_store *store, int dirfd, const uint8_t digest[DIGEST_SIZE],
			 uint64_t size, uint64_t hash_max, struct error *err)
{
	_cleanup_(closep) int fd = -1;
	char name[DIGEST_HEX_SIZE], hex[DIGEST_HEX_SIZE];
	struct stat st;
	int r;

	hex_print(digest, DIGEST_SIZE, name);
	fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0 && (errno == ENOENT || errno == ELOOP))
		return error_set(err, -ENOENT, BLAME_US, NULL, "%s: not in the state directory",
				 name);
	if (fd < 0 && errno == EWOULDBLOCK)
		return leased(name, err);
	if (fd < 0 || fstat(fd, &st) < 0)
		return error_errno(err, -errno, "%s", name);
	if (S_ISREG(st.st_mode) && (uint64_t)st.st_size == size) {
		if (is_verified(store, dirfd, digest, &st))
			return steal_fd(&fd);
		if (size > hash_max)
			return -EAGAIN;
		r = sha256_file(fd, hex, NULL);
		if (r < 0)
			return error_errno(err, r, "%s", name);
		if (!strcmp(hex, name)) {
			set_verified(store, dirfd, digest, &st);
			return steal_fd(&fd);
		}
	} else if (S_ISREG(st.st_mode) && dirfd == store->packages) {
		r = is_sound(store, digest, fd, &st, hash_max);
		if (r == -EAGAIN)
			return r;
		if (r < 0)
			return error_errno(err, r, "%s", name);
		if (r > 0)
			return error_set(err, -EIO, BLAME_SOURCE, NULL,
					 "the package has %" PRIu64 " bytes, not the %" PRIu64
					 " that the metadata says",
					 (uint64_t)st.st_size, size);
	}
	discard(store, dirfd, name, fd);
	if (dirfd == store->packages)
		cache_gone(store, digest);
	return error_set(err, -ENOENT, BLAME_US, NULL,
			 "%s: damaged in the state directory, removed", name);
}

int store_blob_open(struct tree_store *store, int dirfd, const uint8_t digest[DIGEST_SIZE],
		    uint64_t size, struct error *err)
{
	int r = open_verified(store, dirfd, digest, size, UINT64_MAX, err);

	if (r == -ENOENT && err)
		err->code = -EIO;
	return r == -ENOENT ? -EIO : r;
}

int store_package_open(struct tree_store *store, const uint8_t digest[DIGEST_SIZE], uint64_t size,
		       struct error *err)
{
	int r;

	if (!store->bringer.ask)
		return store_blob_open(store, store->packages, digest, size, err);
	r = open_verified(store, store->packages, digest, size, HASHED_AT_ONCE, err);
	if (r == -ENOENT && err)
		*err = (struct error){ 0 };
	return r == -ENOENT ? -EAGAIN : r;
}

int tree_package_verify(struct tree_store *store, const struct tree_want *want, struct error *err)
{
	uint8_t digest[DIGEST_SIZE];
	struct tree_hold *hold;
	bool is_signed;
	int r = hex_parse(want->sha256, digest, DIGEST_SIZE);

	if (r < 0)
		return r;
	hold = cache_hold(store, digest); /* what is verified stays until that is remembered */
	r = open_verified(store, store->packages, digest, want->size, UINT64_MAX, err);
	tree_hold_release(hold);
	if (r < 0)
		return r;
	is_signed = store_is_signed(store, want->base, digest, r);
	(void)close(r);
	return is_signed ? 0
			 : error_set(err, -ENOKEY, BLAME_US, NULL,
				     "its signature was not held against repo.gpg_keys yet");
}

/* ---- manifests now mapped ---------------------------------------------- */

static struct manifest **bucket_of(struct tree_store *store, const char *digest)
{
	char head[16 + 1] = { 0 };

	memcpy(head, digest, 16);
	return &store->bucket[strtoull(head, NULL, 16) % store->bucket_count];
}

static struct manifest *cache_find(struct tree_store *store, const char *digest)
{
	struct manifest *manifest = *bucket_of(store, digest);

	while (manifest && strcmp(manifest->digest, digest) != 0)
		manifest = manifest->next;
	return manifest;
}

/* Longer chains are no error, so neither is a table that cannot grow. */
static void cache_grow(struct tree_store *store)
{
	struct manifest **old = store->bucket, **bucket;
	size_t old_count = store->bucket_count;

	if (store->manifest_count < old_count)
		return;
	bucket = calloc(old_count * 4, sizeof(struct manifest *));
	if (!bucket)
		return;
	store->bucket = bucket;
	store->bucket_count = old_count * 4;
	for (size_t i = 0; i < old_count; i++) {
		while (old[i]) {
			struct manifest *manifest = old[i], **place;

			old[i] = manifest->next;
			place = bucket_of(store, manifest->digest);
			manifest->next = *place;
			*place = manifest;
		}
	}
	free(old);
}

static struct manifest *cache_reference(struct tree_store *store, const char *digest)
{
	struct manifest *manifest;

	(void)pthread_mutex_lock(&store->lock);
	manifest = cache_find(store, digest);
	if (manifest)
		manifest->references++;
	(void)pthread_mutex_unlock(&store->lock);
	return manifest;
}

/* Another thread may have mapped the same one meanwhile: then @manifest is freed. */
static struct manifest *cache_add(struct tree_store *store, struct manifest *manifest)
{
	struct manifest *there, **place;

	(void)pthread_mutex_lock(&store->lock);
	there = cache_find(store, manifest->digest);
	if (there) {
		there->references++;
	} else {
		cache_grow(store);
		place = bucket_of(store, manifest->digest);
		manifest->next = *place;
		manifest->references = 1;
		*place = manifest;
		store->manifest_count++;
	}
	(void)pthread_mutex_unlock(&store->lock);
	if (there)
		manifest_free(manifest);
	return there ? there : manifest;
}

int store_manifest_get(struct tree_store *store, const char *digest, struct manifest **ret,
		       struct error *err)
{
	_cleanup_(manifest_freep) struct manifest *manifest = NULL;
	_cleanup_(closep) int fd = -1;
	char hex[DIGEST_HEX_SIZE];
	int r;

	if (!hex_is_digest(digest))
		return error_set(err, -EIO, BLAME_US, NULL, "no manifest is recorded");
	*ret = cache_reference(store, digest);
	if (*ret)
		return 0;
	fd = openat(store->manifests, digest, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0 && (errno == ENOENT || errno == ELOOP))
		return error_set(err, -EIO, BLAME_US, NULL, "manifest %s: missing", digest);
	if (fd < 0 && errno == EWOULDBLOCK)
		return leased(digest, err);
	if (fd < 0)
		return error_errno(err, -errno, "manifest %s", digest);
	r = manifest_map(fd, &manifest, err);
	if (r == 0) {
		sha256_hex(manifest->header, manifest->length, hex);
		r = strcmp(hex, digest) ? -EBADMSG : 0;
	}
	if (r == -EBADMSG) {
		discard(store, store->manifests, digest, fd);
		return error_set(err, -EIO, BLAME_US, NULL, "manifest %s: damaged, removed",
				 digest);
	}
	if (r < 0)
		return r;
	memcpy(manifest->digest, digest, DIGEST_HEX_SIZE);
	*ret = cache_add(store, steal(manifest));
	return 0;
}

void store_manifest_put(struct tree_store *store, struct manifest *manifest)
{
	struct manifest **place;
	bool last;

	if (!manifest)
		return;
	(void)pthread_mutex_lock(&store->lock);
	last = !--manifest->references;
	if (last) {
		place = bucket_of(store, manifest->digest);
		while (*place != manifest)
			place = &(*place)->next;
		*place = manifest->next;
		store->manifest_count--;
	}
	(void)pthread_mutex_unlock(&store->lock);
	if (last)
		manifest_free(manifest);
}

bool store_manifest_held(struct tree_store *store, const char *digest)
{
	bool held;

	(void)pthread_mutex_lock(&store->lock);
	held = cache_find(store, digest);
	(void)pthread_mutex_unlock(&store->lock);
	return held;
}
