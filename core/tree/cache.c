/* SPDX-License-Identifier: MIT */
/* core/tree/cache.c: packages/: what is in it, within its limit, and what goes first.
 *
 *   room is reserved ─► fetched elsewhere, verified ─► here ─► read ─► longest not read: removed
 *
 * Every package that is here has an entry, and every one that somebody has open (a hold), here or
 * not. Only what nobody holds is removed, so the limit counts what the disk really holds. When a
 * package was last read stands in its file's atime, which a restart starts from; it is written once
 * in a while. Whatever is removed can be fetched again by base and path of the manifest. */
#include "core/tree/private.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define STAMP_SECONDS 60      /* atime is not older than the last read by more than this */
#define DISK_SPARED (8 << 20) /* bytes of the file system that packages leave to the rest */
#define ENTRIES_AT_FIRST 1024

struct tree_hold {
	struct tree_hold *next;		 /* bucket */
	struct tree_hold *newer, *older; /* by use, while it is here */
	struct tree_store *store;
	uint8_t digest[DIGEST_SIZE];
	uint64_t size;
	unsigned int holders;
	bool here;
	int64_t stamp;	/* atime of the file */
	ino_t verified; /* inode that was held against the digest; 0: none */
	uint64_t mark;
};

/* ---- the table, under the lock ------------------------------------------ */

static struct tree_hold **bucket_of(struct cache *cache, const uint8_t *digest)
{
	uint64_t number;

	memcpy(&number, digest, sizeof(number));
	return &cache->bucket[number & (cache->buckets - 1)];
}

static struct tree_hold *find(struct cache *cache, const uint8_t *digest)
{
	struct tree_hold *entry = *bucket_of(cache, digest);

	while (entry && memcmp(entry->digest, digest, DIGEST_SIZE) != 0)
		entry = entry->next;
	return entry;
}

/* Longer chains are no error, so neither is a table that cannot grow. */
static void grow(struct cache *cache)
{
	struct tree_hold **old = cache->bucket, **bucket;
	size_t count = cache->buckets;

	if (cache->entries < count)
		return;
	bucket = calloc(count * 4, sizeof(struct tree_hold *));
	if (!bucket)
		return;
	cache->bucket = bucket;
	cache->buckets = count * 4;
	for (size_t i = 0; i < count; i++)
		while (old[i]) {
			struct tree_hold *entry = old[i], **place;

			old[i] = entry->next;
			place = bucket_of(cache, entry->digest);
			entry->next = *place;
			*place = entry;
		}
	free(old);
}

static struct tree_hold *make(struct tree_store *store, const uint8_t *digest)
{
	struct cache *cache = &store->cache;
	struct tree_hold *entry = find(cache, digest);

	if (entry)
		return entry;
	entry = calloc(1, sizeof(*entry));
	if (!entry)
		return NULL;
	grow(cache);
	entry->store = store;
	memcpy(entry->digest, digest, DIGEST_SIZE);
	entry->next = *bucket_of(cache, digest);
	*bucket_of(cache, digest) = entry;
	cache->entries++;
	return entry;
}

/* Nobody needs an entry that is neither here nor held. */
static void drop_unneeded(struct cache *cache, struct tree_hold *entry)
{
	struct tree_hold **link = bucket_of(cache, entry->digest);

	if (entry->here || entry->holders)
		return;
	while (*link != entry)
		link = &(*link)->next;
	*link = entry->next;
	cache->entries--;
	free(entry);
}

static void use_remove(struct cache *cache, struct tree_hold *entry)
{
	*(entry->newer ? &entry->newer->older : &cache->newest) = entry->older;
	*(entry->older ? &entry->older->newer : &cache->oldest) = entry->newer;
	entry->newer = entry->older = NULL;
}

static void use_first(struct cache *cache, struct tree_hold *entry)
{
	entry->older = cache->newest;
	*(cache->newest ? &cache->newest->newer : &cache->oldest) = entry;
	cache->newest = entry;
}

static void set_here(struct cache *cache, struct tree_hold *entry, uint64_t size)
{
	if (entry->here) {
		use_remove(cache, entry);
		cache->figures.bytes -= entry->size;
		cache->figures.files--;
	}
	entry->here = true;
	entry->size = size;
	cache->figures.bytes += size;
	cache->figures.files++;
	use_first(cache, entry);
}

static void set_gone(struct cache *cache, struct tree_hold *entry)
{
	entry->verified = 0;
	if (!entry->here)
		return;
	use_remove(cache, entry);
	cache->figures.bytes -= entry->size;
	cache->figures.files--;
	entry->here = false;
}

/* ---- removing, under the lock -------------------------------------------- */

/* The one that was not read for the longest time and that nobody has open; false: there is none. */
static bool evict_one(struct tree_store *store)
{
	struct cache *cache = &store->cache;
	struct tree_hold *entry = cache->oldest;
	char name[DIGEST_HEX_SIZE];

	while (entry && entry->holders)
		entry = entry->newer;
	if (!entry)
		return false;
	hex_print(entry->digest, DIGEST_SIZE, name);
	if (unlinkat(store->packages, name, 0) == 0) {
		cache->figures.evictions++;
		cache->figures.evicted_bytes += entry->size;
	} else if (errno != ENOENT) {
		log_warning("packages/%s cannot be removed: %s", name, strerror(errno));
		return false;
	}
	set_gone(cache, entry);
	drop_unneeded(cache, entry);
	return true;
}

static bool within(const struct cache *cache, uint64_t more)
{
	uint64_t taken = cache->figures.bytes + cache->figures.reserved;

	return !cache->figures.limit ||
	       (taken <= cache->figures.limit && more <= cache->figures.limit - taken);
}

static bool disk_has(const struct tree_store *store, uint64_t bytes)
{
	struct statvfs st;

	return fstatvfs(store->packages, &st) < 0 ||
	       (uint64_t)st.f_bavail * st.f_frsize >=
		       bytes + store->cache.figures.reserved + DISK_SPARED;
}

/* Would there be room if all went that may? What does not help is not removed. */
static bool helps_to_evict(const struct tree_store *store, uint64_t bytes)
{
	const struct cache *cache = &store->cache;
	uint64_t held = cache->figures.reserved, loose = 0;

	for (const struct tree_hold *entry = cache->newest; entry; entry = entry->older)
		*(entry->holders ? &held : &loose) += entry->size;
	return (!cache->figures.limit ||
		(held <= cache->figures.limit && bytes <= cache->figures.limit - held)) &&
	       disk_has(store, bytes > loose ? bytes - loose : 0);
}

/* ---- start ----------------------------------------------------------------- */

/** struct found - a file that was there at the start */
struct found {
	uint8_t digest[DIGEST_SIZE];
	uint64_t size;
	int64_t read;
};

static int compare_found(const void *a, const void *b)
{
	const struct found *left = a, *right = b;

	return left->read < right->read ? -1 : left->read > right->read;
}

static int take_found(struct tree_store *store, struct found *list, size_t count)
{
	if (count)
		qsort(list, count, sizeof(*list), compare_found);
	for (size_t i = 0; i < count; i++) {
		struct tree_hold *entry = make(store, list[i].digest);

		if (!entry)
			return -ENOMEM;
		set_here(&store->cache, entry, list[i].size);
		entry->stamp = list[i].read;
	}
	return 0;
}

/* What a killed service was about to put there goes; what is no package of ours stays. */
static int look_through(struct tree_store *store, DIR *list)
{
	_cleanup_(freep) struct found *found = NULL;
	size_t count = 0, room = 0;
	struct dirent *entry;
	struct stat st;

	while ((errno = 0, entry = readdir(list))) {
		struct found one;

		if (!strncmp(entry->d_name, STORE_TEMPORARY, strlen(STORE_TEMPORARY)))
			(void)directory_remove(store->packages, entry->d_name);
		if (!hex_is_digest(entry->d_name) ||
		    hex_parse(entry->d_name, one.digest, DIGEST_SIZE) < 0 ||
		    fstatat(store->packages, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
		    !S_ISREG(st.st_mode))
			continue;
		one.size = (uint64_t)st.st_size;
		one.read = st.st_atim.tv_sec;
		if (count == room) {
			size_t more = room ? room * 2 : ENTRIES_AT_FIRST;
			struct found *larger = reallocarray(found, more, sizeof(*found));

			if (!larger)
				return -ENOMEM;
			found = larger;
			room = more;
		}
		found[count++] = one;
	}
	return errno ? -errno : take_found(store, found, count);
}

int cache_init(struct tree_store *store, struct error *err)
{
	struct cache *cache = &store->cache;
	int fd = openat(store->packages, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), r;
	DIR *list = fd < 0 ? NULL : fdopendir(fd);

	(void)pthread_mutex_init(&cache->lock, NULL);
	cache->buckets = ENTRIES_AT_FIRST;
	cache->bucket = calloc(cache->buckets, sizeof(struct tree_hold *));
	if (!list) {
		r = error_errno(err, -errno, "state directory: packages");
		closep(&fd);
		return r;
	}
	r = cache->bucket ? look_through(store, list) : -ENOMEM;
	(void)closedir(list);
	return r < 0 ? error_errno(err, r, "state directory: packages") : 0;
}

void cache_done(struct cache *cache)
{
	for (size_t i = 0; cache->bucket && i < cache->buckets; i++)
		while (cache->bucket[i]) {
			struct tree_hold *entry = cache->bucket[i];

			cache->bucket[i] = entry->next;
			free(entry);
		}
	free(cache->bucket);
	(void)pthread_mutex_destroy(&cache->lock);
}

/* ---- for the rest of this room ------------------------------------------------ */

struct tree_hold *cache_hold(struct tree_store *store, const uint8_t digest[DIGEST_SIZE])
{
	struct cache *cache = &store->cache;
	struct tree_hold *entry;

	(void)pthread_mutex_lock(&cache->lock);
	entry = make(store, digest);
	if (entry)
		entry->holders++;
	(void)pthread_mutex_unlock(&cache->lock);
	return entry;
}

/* An open file of a package: the last to go, for now. It is here, whoever put it there. */
void cache_used(struct tree_hold *hold, int fd, uint64_t size)
{
	struct cache *cache = &hold->store->cache;
	struct timespec times[2] = { { .tv_sec = time_now() }, { .tv_nsec = UTIME_OMIT } };
	bool stamp;

	(void)pthread_mutex_lock(&cache->lock);
	cache->figures.hits++;
	set_here(cache, hold, size);
	stamp = times[0].tv_sec - hold->stamp >= STAMP_SECONDS || times[0].tv_sec < hold->stamp;
	if (stamp)
		hold->stamp = times[0].tv_sec;
	(void)pthread_mutex_unlock(&cache->lock);
	if (stamp)
		(void)futimens(fd, times);
}

void tree_hold_release(struct tree_hold *hold)
{
	struct cache *cache;

	if (!hold)
		return;
	cache = &hold->store->cache;
	(void)pthread_mutex_lock(&cache->lock);
	if (!--hold->holders) {
		if (hold->here) {
			use_remove(cache, hold);
			use_first(cache, hold);
		}
		drop_unneeded(cache, hold);
	}
	(void)pthread_mutex_unlock(&cache->lock);
}

bool cache_has(struct tree_store *store, const uint8_t digest[DIGEST_SIZE], uint64_t size)
{
	struct cache *cache = &store->cache;
	const struct tree_hold *entry;
	bool has;

	(void)pthread_mutex_lock(&cache->lock);
	entry = find(cache, digest);
	has = entry && entry->here && entry->size == size;
	(void)pthread_mutex_unlock(&cache->lock);
	return has;
}

void cache_arrived(struct tree_store *store, const uint8_t digest[DIGEST_SIZE], uint64_t size,
		   uint64_t reserved)
{
	struct cache *cache = &store->cache;
	struct tree_hold *entry;

	(void)pthread_mutex_lock(&cache->lock);
	cache->figures.reserved -= reserved;
	entry = make(store, digest); /* without memory it is counted at the next start */
	if (entry) {
		set_here(cache, entry, size);
		entry->verified = 0;
		entry->stamp = time_now();
		entry->holders++; /* not the one that makes room */
		while (!within(cache, 0) && evict_one(store))
			;
		entry->holders--;
	}
	(void)pthread_mutex_unlock(&cache->lock);
}

void cache_gone(struct tree_store *store, const uint8_t digest[DIGEST_SIZE])
{
	struct cache *cache = &store->cache;
	struct tree_hold *entry;

	(void)pthread_mutex_lock(&cache->lock);
	entry = find(cache, digest);
	if (entry) {
		set_gone(cache, entry);
		drop_unneeded(cache, entry);
	}
	(void)pthread_mutex_unlock(&cache->lock);
}

void cache_verified(struct tree_store *store, const uint8_t digest[DIGEST_SIZE],
		    const struct stat *st)
{
	struct cache *cache = &store->cache;
	struct tree_hold *entry;

	(void)pthread_mutex_lock(&cache->lock);
	entry = find(cache, digest);
	if (entry) {
		set_here(cache, entry, (uint64_t)st->st_size);
		entry->verified = st->st_ino;
	}
	(void)pthread_mutex_unlock(&cache->lock);
}

bool cache_is_verified(struct tree_store *store, const uint8_t digest[DIGEST_SIZE],
		       const struct stat *st)
{
	struct cache *cache = &store->cache;
	const struct tree_hold *entry;
	bool verified;

	(void)pthread_mutex_lock(&cache->lock);
	entry = find(cache, digest);
	verified = entry && entry->verified == st->st_ino;
	(void)pthread_mutex_unlock(&cache->lock);
	return verified;
}

/* It is one of the bytes, so it stays right for as long as there is an entry. */
void cache_mark(struct tree_store *store, const uint8_t digest[DIGEST_SIZE], uint64_t mark)
{
	struct tree_hold *entry;

	(void)pthread_mutex_lock(&store->cache.lock);
	entry = find(&store->cache, digest);
	if (entry)
		entry->mark = mark;
	(void)pthread_mutex_unlock(&store->cache.lock);
}

uint64_t cache_marked(struct tree_store *store, const uint8_t digest[DIGEST_SIZE])
{
	const struct tree_hold *entry;
	uint64_t mark;

	(void)pthread_mutex_lock(&store->cache.lock);
	entry = find(&store->cache, digest);
	mark = entry ? entry->mark : 0;
	(void)pthread_mutex_unlock(&store->cache.lock);
	return mark;
}

/* ---- the door ------------------------------------------------------------------ */

void tree_cache_limit(struct tree_store *store, uint64_t bytes, const char *contact)
{
	(void)pthread_mutex_lock(&store->cache.lock);
	store->cache.figures.limit = bytes;
	store->cache.contact = contact;
	while (!within(&store->cache, 0) && evict_one(store))
		;
	(void)pthread_mutex_unlock(&store->cache.lock);
}

void tree_cache_figures(struct tree_store *store, struct tree_cache_figures *ret)
{
	(void)pthread_mutex_lock(&store->cache.lock);
	*ret = store->cache.figures;
	(void)pthread_mutex_unlock(&store->cache.lock);
}

void tree_cache_trim(struct tree_store *store, uint64_t bytes)
{
	struct cache *cache = &store->cache;

	(void)pthread_mutex_lock(&cache->lock);
	while (cache->figures.bytes > bytes && evict_one(store))
		;
	(void)pthread_mutex_unlock(&cache->lock);
}

/* @room: it is the disk that has none */
static int say_full(uint64_t bytes, uint64_t limit, bool room, const char *contact,
		    struct error *err)
{
	char suffix[LIMIT_SUFFIX_SIZE];

	(void)limit_suffix(contact, "cache.size", (int64_t)limit, suffix);
	if (limit && bytes > limit)
		return error_set(err, -ENOSPC, BLAME_US, NULL,
				 "the package has %" PRIu64
				 " bytes, the package cache has room for %" PRIu64 "%s",
				 bytes, limit, suffix);
	if (room)
		return error_set(err, -ENOSPC, BLAME_US, NULL,
				 "no room left on the disk of the state directory for a package "
				 "of %" PRIu64 " bytes%s%s",
				 bytes, contact ? "; ask " : "", contact ? contact : "");
	return error_set(err, -ENOSPC, BLAME_US, NULL,
			 "the package cache has room for %" PRIu64
			 " bytes, and all that is in it is open; try again later%s",
			 limit, suffix);
}

int tree_cache_reserve(struct tree_store *store, uint64_t bytes, struct error *err)
{
	struct cache *cache = &store->cache;
	uint64_t limit, reserved;
	const char *contact;
	bool room, disk;

	(void)pthread_mutex_lock(&cache->lock);
	limit = cache->figures.limit;
	room = within(cache, bytes) && disk_has(store, bytes);
	if (!room && helps_to_evict(store, bytes))
		while ((!within(cache, bytes) || !disk_has(store, bytes)) && evict_one(store))
			;
	room = within(cache, bytes);
	disk = disk_has(store, bytes);
	reserved = cache->figures.reserved;
	contact = cache->contact;
	if (room && disk)
		cache->figures.reserved += bytes;
	(void)pthread_mutex_unlock(&cache->lock);
	if (room && disk)
		return 0;
	if (reserved && (!limit || bytes <= limit))
		return -EBUSY;
	return say_full(bytes, limit, room, contact, err);
}

void tree_cache_unreserve(struct tree_store *store, uint64_t bytes)
{
	(void)pthread_mutex_lock(&store->cache.lock);
	store->cache.figures.reserved -= bytes;
	(void)pthread_mutex_unlock(&store->cache.lock);
}
