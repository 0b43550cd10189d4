/* SPDX-License-Identifier: MIT */
/* rest/cache.c: rendered answers and open trees, kept until something changes.
 *
 * A table with one place per slot: a newer object pushes out an older one, nothing is searched.
 * What is kept is counted, so an answer that is still on its way outlives its place here.
 * Staleness: rest_changed() first counts the change, then drops the object. A thread that read the
 * catalogue before the change and comes to put its object after it finds the count moved on (looked
 * at under the slot's lock) and keeps it out. Once the server stops nobody tells of changes: what
 * is here is not used any more. */
#include "rest/exchange.h"

#include <pthread.h>

#define CACHE_LOCKS 16

struct cache {
	pthread_mutex_t locks[CACHE_LOCKS]; /* slot i is under lock i % CACHE_LOCKS */
	size_t slots, most_bytes;
	_Atomic size_t bytes;
	struct kept *slot[];
};

void kept_init(struct kept *kept, int64_t key, size_t bytes, void (*release)(struct kept *kept))
{
	atomic_init(&kept->references, 1);
	kept->key = key;
	kept->bytes = bytes;
	kept->free = release;
}

struct kept *kept_ref(struct kept *kept)
{
	atomic_fetch_add_explicit(&kept->references, 1, memory_order_relaxed);
	return kept;
}

void kept_unref(struct kept *kept)
{
	if (kept && atomic_fetch_sub_explicit(&kept->references, 1, memory_order_acq_rel) == 1)
		kept->free(kept);
}

int cache_new(size_t slots, size_t most_bytes, struct cache **ret)
{
	struct cache *cache = calloc(1, sizeof(*cache) + slots * sizeof(cache->slot[0]));

	if (!cache)
		return -ENOMEM;
	for (size_t i = 0; i < CACHE_LOCKS; i++)
		(void)pthread_mutex_init(&cache->locks[i], NULL);
	cache->slots = slots;
	cache->most_bytes = most_bytes;
	*ret = cache;
	return 0;
}

void cache_free(struct cache *cache)
{
	if (!cache)
		return;
	for (size_t i = 0; i < cache->slots; i++)
		kept_unref(cache->slot[i]);
	for (size_t i = 0; i < CACHE_LOCKS; i++)
		(void)pthread_mutex_destroy(&cache->locks[i]);
	free(cache);
}

static size_t slot_lock(struct cache *cache, int64_t key)
{
	size_t slot = (uint64_t)key % cache->slots;

	(void)pthread_mutex_lock(&cache->locks[slot % CACHE_LOCKS]);
	return slot;
}

static void slot_unlock(struct cache *cache, size_t slot)
{
	(void)pthread_mutex_unlock(&cache->locks[slot % CACHE_LOCKS]);
}

struct kept *cache_get(struct cache *cache, const struct rest *rest, int64_t key)
{
	struct kept *kept;
	size_t slot;

	if (atomic_load(&rest->stopping))
		return NULL;
	slot = slot_lock(cache, key);
	kept = cache->slot[slot];
	kept = kept && kept->key == key ? kept_ref(kept) : NULL;
	slot_unlock(cache, slot);
	return kept;
}

void cache_put(struct cache *cache, const struct rest *rest, uint64_t seen, struct kept *kept)
{
	struct kept *old = NULL;
	size_t slot;

	slot = slot_lock(cache, kept->key);
	if (atomic_load(&rest->generation) == seen && atomic_load(&rest->watched)) {
		size_t freed = cache->slot[slot] ? cache->slot[slot]->bytes : 0;

		if (atomic_load(&cache->bytes) - freed + kept->bytes <= cache->most_bytes) {
			old = cache->slot[slot];
			cache->slot[slot] = kept_ref(kept);
			atomic_fetch_add(&cache->bytes, kept->bytes);
			atomic_fetch_sub(&cache->bytes, freed);
		}
	}
	slot_unlock(cache, slot);
	kept_unref(old);
}

/* slot_unlock(), but first what is in it goes, if it is to */
static void slot_leave(struct cache *cache, size_t slot, bool clear)
{
	struct kept *old = clear ? cache->slot[slot] : NULL;

	if (old) {
		cache->slot[slot] = NULL;
		atomic_fetch_sub(&cache->bytes, old->bytes);
	}
	slot_unlock(cache, slot);
	kept_unref(old);
}

void cache_sweep(struct cache *cache, bool (*over)(const struct kept *kept, int64_t now_ms),
		 int64_t now_ms)
{
	for (size_t i = 0; i < cache->slots; i++) {
		size_t slot = slot_lock(cache, (int64_t)i);
		const struct kept *kept = cache->slot[slot];

		slot_leave(cache, slot, kept && over(kept, now_ms));
	}
}

void cache_drop(struct cache *cache, int64_t key)
{
	size_t slot = slot_lock(cache, key);
	const struct kept *kept = cache->slot[slot];

	slot_leave(cache, slot, kept && kept->key == key);
}
