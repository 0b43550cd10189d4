/* SPDX-License-Identifier: MIT */
/* resolver/sources/pools.c: what a worker keeps between jobs: open snapshots and loaded solver
 * pools.
 *
 * A pool is named by its arch and the digests of its snapshots, so a repository that changed gets
 * another pool and the old one ages out. Oldest first they go while all of them together are above
 * the limit; the one just asked for always stays. A snapshot stays open while a pool or a package
 * set uses it, and a few more, since they cost only a mapping. One thread. */
#include "resolver/sources/set.h"

#include <fcntl.h>
#include <sys/stat.h>

#define MARK_SECONDS 3600 /* a snapshot in use is marked no more often */
#define SNAPSHOTS_IDLE_MAX 8

struct hot {
	char *key;
	struct solve_pool *pool;
	struct held **held;
	size_t held_count;
	size_t bytes;
	uint64_t used;
};

struct pools {
	int snapshots_dirfd;
	size_t limit_bytes;
	uint64_t clock; /* stamps for "used" */
	struct held **held;
	size_t held_count;
	struct hot **hot;
	size_t hot_count;
};

static void hot_free(struct hot *hot)
{
	if (!hot)
		return;
	for (size_t i = 0; i < hot->held_count; i++)
		pools_release(hot->held[i]);
	solve_pool_free(hot->pool);
	free(hot->held);
	free(hot->key);
	free(hot);
}
DEFINE_FREEP(struct hot, hot_free)

static void held_free(struct held *held)
{
	for (size_t i = 0; i < held->limit_count; i++) {
		free(held->limit[i].only);
		free(held->limit[i].never);
	}
	free(held->limit);
	snapshot_free(held->snapshot);
	free(held->debug);
	free(held->twin);
	free(held);
}

int pools_new(int snapshots_dirfd, size_t limit_bytes, struct pools **ret, struct error *err)
{
	struct pools *pools = calloc(1, sizeof(*pools));

	if (!pools)
		return error_oom(err);
	pools->snapshots_dirfd = snapshots_dirfd;
	pools->limit_bytes = limit_bytes;
	*ret = pools;
	return 0;
}

void pools_free(struct pools *pools)
{
	if (!pools)
		return;
	for (size_t i = 0; i < pools->hot_count; i++)
		hot_free(pools->hot[i]);
	for (size_t i = 0; i < pools->held_count; i++)
		held_free(pools->held[i]);
	free(pools->hot);
	free(pools->held);
	free(pools);
}

/* ---- snapshots --------------------------------------------------------- */

/* Close what nobody has used for longest, until few enough are idle */
static void close_idle(struct pools *pools)
{
	for (;;) {
		size_t idle = 0, oldest = SIZE_MAX;

		for (size_t i = 0; i < pools->held_count; i++) {
			if (pools->held[i]->users)
				continue;
			idle++;
			if (oldest == SIZE_MAX || pools->held[i]->used < pools->held[oldest]->used)
				oldest = i;
		}
		if (idle <= SNAPSHOTS_IDLE_MAX)
			return;
		held_free(pools->held[oldest]);
		pools->held[oldest] = pools->held[--pools->held_count];
	}
}

/* The service removes snapshots that nobody has used for long, judged by the time of their folder.
 */
static void mark_used(struct pools *pools, const char *digest)
{
	struct stat st;

	if (fstatat(pools->snapshots_dirfd, digest, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    st.st_mtime < time_now() - MARK_SECONDS)
		file_touch(pools->snapshots_dirfd, digest);
}

int pools_open(struct pools *pools, const char *digest, struct held **ret, struct error *err)
{
	struct held *held = NULL, **more;
	int r;

	for (size_t i = 0; i < pools->held_count && !held; i++)
		if (!strcmp(snapshot_digest(pools->held[i]->snapshot), digest))
			held = pools->held[i];
	if (!held) {
		close_idle(pools);
		more = realloc(pools->held, (pools->held_count + 1) * sizeof(struct held *));
		if (!more)
			return error_oom(err);
		pools->held = more;
		held = calloc(1, sizeof(*held));
		if (!held)
			return error_oom(err);
		r = snapshot_open(pools->snapshots_dirfd, digest, &held->snapshot, err);
		if (r < 0) {
			free(held);
			return r;
		}
		pools->held[pools->held_count++] = held;
	}
	mark_used(pools, digest);
	held->users++;
	held->used = ++pools->clock;
	*ret = held;
	return 0;
}

void pools_release(struct held *held)
{
	held->users--;
}

/* ---- solver pools ------------------------------------------------------ */

static char *key_of(const char *arch, bool beside, struct held *const *held, size_t count,
		    size_t lookaside)
{
	_cleanup_(text_done) struct text key = { 0 };

	text_addf(&key, "%s%s", arch, beside ? " beside" : "");
	for (size_t i = 0; i < count; i++)
		text_addf(&key, " %s%s", i >= count - lookaside ? "lookaside:" : "",
			  snapshot_digest(held[i]->snapshot));
	return text_steal(&key);
}

/* Drop the pools used longest ago until the rest, all but the last, is within the limit with it */
static void make_room(struct pools *pools)
{
	for (;;) {
		size_t bytes = 0, oldest = 0;

		for (size_t i = 0; i < pools->hot_count; i++) {
			bytes += pools->hot[i]->bytes;
			if (pools->hot[i]->used < pools->hot[oldest]->used)
				oldest = i;
		}
		if (bytes <= pools->limit_bytes || pools->hot_count <= 1)
			return;
		hot_free(pools->hot[oldest]);
		pools->hot[oldest] = pools->hot[--pools->hot_count];
	}
}

struct path_adder {
	struct solve_pool *pool;
	uint32_t repository;
	size_t added;
	struct error *err;
};

static int add_path(void *data, uint32_t index, const char *path)
{
	struct path_adder *adder = data;

	adder->added++;
	return solve_pool_add_path(adder->pool, adder->repository, index, path, adder->err);
}

/* 1: @words name one of @arches, 0: none, or -ENOMEM */
static int names_one(const char *words, const struct strings *arches)
{
	_cleanup_(strings_done) struct strings list = { 0 };

	if (strings_split(&list, words, ' ') < 0)
		return -ENOMEM;
	for (size_t i = 0; i < list.count; i++)
		if (strcmp(list.item[i], "noarch") != 0 && strings_has(arches, list.item[i]))
			return 1;
	return 0;
}

/* 1: it keeps its package from all of @arches */
static int keeps(const struct limit *limit, const struct strings *arches, struct error *err)
{
	int never = names_one(limit->never, arches);
	int only = *limit->only ? names_one(limit->only, arches) : 1;

	return never < 0 || only < 0 ? error_oom(err) : never || !only;
}

int held_limits(const struct held *held, uint32_t index, const char *arch, struct error *err)
{
	_cleanup_(strings_done) struct strings arches = { 0 };
	int r = held->limit_count ? solve_arch_list(arch, &arches, err) : 0;

	for (size_t i = 0; i < held->limit_count && r == 0; i++)
		if (held->limit[i].index == index)
			r = keeps(&held->limit[i], &arches, err);
	return r;
}

/* Packages that may not be in composes of @arch */
static int hide_limited(struct solve_pool *pool, uint32_t number, const struct held *held,
			const char *arch, struct error *err)
{
	_cleanup_(strings_done) struct strings arches = { 0 };
	int r = held->limit_count ? solve_arch_list(arch, &arches, err) : 0;

	for (size_t i = 0; i < held->limit_count && r == 0; i++) {
		r = keeps(&held->limit[i], &arches, err);
		if (r > 0)
			r = solve_pool_hide(pool, number, held->limit[i].index, err);
	}
	return r;
}

static int load_one(struct solve_pool *pool, const char *arch, uint32_t number,
		    const struct held *held, bool lookaside, struct error *err)
{
	struct path_adder adder = { .pool = pool, .repository = number, .err = err };
	_cleanup_(fclosep) FILE *solv = NULL;
	int r = snapshot_solv(held->snapshot, &solv, err);

	if (r == 0)
		r = solve_pool_add(pool, solv, snapshot_count(held->snapshot), lookaside, err);
	if (r == 0)
		r = hide_limited(pool, number, held, arch, err);
	return r < 0 ? r : snapshot_paths(held->snapshot, add_path, &adder);
}

/* Paths that one repository requires and only the file lists of another answer */
static int find_open_paths(struct solve_pool *pool, struct held *const *held, size_t count,
			   struct error *err)
{
	_cleanup_(strings_done) struct strings paths = { 0 };
	struct path_adder adder = { .pool = pool, .err = err };
	int r = solve_pool_open_paths(pool, &paths, err);

	for (size_t i = 0; i < count && r == 0 && paths.count; i++) {
		adder.repository = (uint32_t)i;
		r = snapshot_find_paths(held[i]->snapshot, &paths, add_path, &adder, err);
	}
	return r < 0 || !adder.added ? r : solve_pool_prepare(pool, err);
}

static int load_pool(struct hot *hot, const char *arch, bool beside, struct held *const *held,
		     size_t count, size_t lookaside, struct error *err)
{
	int r = beside ? solve_pool_new_beside(arch, &hot->pool, err)
		       : solve_pool_new(arch, &hot->pool, err);

	for (size_t i = 0; i < count && r == 0; i++)
		r = load_one(hot->pool, arch, (uint32_t)i, held[i], i >= count - lookaside, err);
	if (r == 0)
		r = solve_pool_prepare(hot->pool, err);
	if (r == 0 && count > 1)
		r = find_open_paths(hot->pool, held, count, err);
	return r;
}

int pools_solver(struct pools *pools, const char *arch, bool beside, struct held *const *held,
		 size_t count, size_t lookaside, struct solve_pool **ret, bool *ret_loaded,
		 struct error *err)
{
	_cleanup_(hot_freep) struct hot *hot = calloc(1, sizeof(*hot));
	struct hot **more;
	int r;

	if (!hot || !(hot->key = key_of(arch, beside, held, count, lookaside)) ||
	    !(hot->held = calloc(count, sizeof(struct held *))))
		return error_oom(err);
	for (size_t i = 0; i < pools->hot_count; i++)
		if (!strcmp(pools->hot[i]->key, hot->key)) {
			pools->hot[i]->used = ++pools->clock;
			*ret = pools->hot[i]->pool;
			*ret_loaded = false;
			return 0;
		}
	r = load_pool(hot, arch, beside, held, count, lookaside, err);
	if (r < 0)
		return r;
	more = realloc(pools->hot, (pools->hot_count + 1) * sizeof(struct hot *));
	if (!more)
		return error_oom(err);
	pools->hot = more;
	for (; hot->held_count < count; hot->held_count++) {
		hot->held[hot->held_count] = held[hot->held_count];
		held[hot->held_count]->users++;
	}
	hot->bytes = solve_pool_memory(hot->pool);
	hot->used = ++pools->clock;
	*ret = hot->pool;
	*ret_loaded = true;
	pools->hot[pools->hot_count++] = steal(hot);
	make_room(pools);
	return 0;
}

int held_limit(struct held *held, uint32_t index, const char *only, const char *never)
{
	struct limit *more = reallocarray(held->limit, held->limit_count + 1, sizeof(*held->limit));
	struct limit *limit;

	if (!more)
		return -ENOMEM;
	held->limit = more;
	limit = &held->limit[held->limit_count++];
	*limit = (struct limit){ .index = index, .only = strdup(only), .never = strdup(never) };
	return limit->only && limit->never ? 0 : -ENOMEM;
}

/* ---- packages by what is written in them ------------------------------- */

static int compare_debug(const void *a, const void *b, void *data)
{
	struct snapshot_package pa, pb;
	uint32_t ia = *(const uint32_t *)a, ib = *(const uint32_t *)b;
	int r;

	snapshot_package_get(data, ia, &pa);
	snapshot_package_get(data, ib, &pb);
	r = strcmp(pa.sourcerpm, pb.sourcerpm);
	return r ? r : ia < ib ? -1 : ia > ib;
}

int held_debug_all(struct held *held)
{
	uint32_t count = snapshot_count(held->snapshot);

	if (held->debug)
		return 0;
	held->debug = calloc((size_t)count + 1, sizeof(*held->debug));
	if (!held->debug)
		return -ENOMEM;
	for (uint32_t i = 0; i < count; i++) {
		struct snapshot_package package;

		snapshot_package_get(held->snapshot, i, &package);
		if (package.debug && !package.source)
			held->debug[held->debug_count++] = i;
	}
	qsort_r(held->debug, held->debug_count, sizeof(*held->debug), compare_debug,
		held->snapshot);
	return 0;
}

int held_debug(struct held *held, const char *sourcerpm, size_t *ret_first, size_t *ret_count)
{
	size_t low = 0, high, end;
	struct snapshot_package package;

	if (held_debug_all(held) < 0)
		return -ENOMEM;
	for (high = held->debug_count; low < high;) {
		size_t middle = low + (high - low) / 2;

		snapshot_package_get(held->snapshot, held->debug[middle], &package);
		if (strcmp(package.sourcerpm, sourcerpm) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	for (end = low; end < held->debug_count; end++) {
		snapshot_package_get(held->snapshot, held->debug[end], &package);
		if (strcmp(package.sourcerpm, sourcerpm) != 0)
			break;
	}
	*ret_first = low;
	*ret_count = end - low;
	return 0;
}

static int compare_checksums(const struct snapshot *snapshot, uint32_t a, uint32_t b)
{
	struct snapshot_package pa, pb;

	snapshot_package_get(snapshot, a, &pa);
	snapshot_package_get(snapshot, b, &pb);
	return strcmp(pa.checksum, pb.checksum);
}

static int compare_twins(const void *a, const void *b, void *data)
{
	uint32_t ia = *(const uint32_t *)a, ib = *(const uint32_t *)b;
	int r = compare_checksums(data, ia, ib);

	return r ? r : ia < ib ? -1 : ia > ib;
}

int held_twins(struct held *held, uint32_t index, const uint32_t **ret, size_t *ret_count)
{
	uint32_t count = snapshot_count(held->snapshot);
	size_t low = 0, high = count, end;

	if (!held->twin) {
		held->twin = calloc((size_t)count + 1, sizeof(*held->twin));
		if (!held->twin)
			return -ENOMEM;
		for (uint32_t i = 0; i < count; i++)
			held->twin[i] = i;
		qsort_r(held->twin, count, sizeof(*held->twin), compare_twins, held->snapshot);
	}
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (compare_checksums(held->snapshot, held->twin[middle], index) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	end = low;
	while (end < count && compare_checksums(held->snapshot, held->twin[end], index) == 0)
		end++;
	*ret = held->twin + low;
	*ret_count = end - low;
	return 0;
}
