/* SPDX-License-Identifier: MIT */
/* core/daemon/prefetch.c: packages of a compose, one after another, before anybody reads them.
 *
 * A place in a manifest for each compose that is wanted, no list of packages: the fetcher takes the
 * next one whenever nobody who waits could use its place, of each owner in turn. */
#include "core/daemon/prefetch.h"
#include "core/daemon/fetches.h"

#define LOOK_MS 250 /* between looks whether a compose is over */

#define WAITING_MAX 1000 /* of one owner */

struct prefetch {
	struct prefetch *next;
	int64_t id;
	struct tree *tree;	   /* NULL: not opened yet */
	struct strings packages;   /* none: all */
	uint32_t position, before; /* @before: where the last one was */
	enum prefetch_why why;
	unsigned int tries; /* there */
	int64_t until_ms;   /* its server is not there */
	int64_t looked_ms;  /* that its compose was not over */
	char party[PREFETCH_PARTY_SIZE];
};

/** struct prefetch_owner - somebody with composes to be fetched, at least one */
struct prefetch_owner {
	struct prefetch_owner *next;
	struct prefetch *first, *last;
	char party[PREFETCH_PARTY_SIZE];
};

void prefetch_free(struct prefetch *prefetch)
{
	if (!prefetch)
		return;
	tree_unref(prefetch->tree);
	strings_done(&prefetch->packages);
	free(prefetch);
}

int prefetch_new(int64_t id, const struct strings *packages, struct prefetch **ret)
{
	_cleanup_(prefetch_freep) struct prefetch *prefetch = calloc(1, sizeof(*prefetch));

	if (!prefetch || (packages && strings_copy(&prefetch->packages, packages) < 0))
		return -ENOMEM;
	prefetch->id = id;
	*ret = steal(prefetch);
	return 0;
}

/* As who reads is told from others: by uid, if there is one. */
void prefetch_for(struct prefetch *prefetch, const struct compose *compose, enum prefetch_why why)
{
	prefetch->why = why;
	if (compose->uid != UID_NOBODY)
		(void)snprintf(prefetch->party, sizeof(prefetch->party), "uid:%" PRIu32,
			       compose->uid);
	else
		(void)snprintf(prefetch->party, sizeof(prefetch->party), "name:%s", compose->owner);
}

int prefetch_open(struct prefetch *prefetch, const struct store *store, struct error *err)
{
	_cleanup_(compose_freep) struct compose *compose = NULL;
	int64_t now = time_monotonic_ms();
	int r;

	if (prefetch->tree && now - prefetch->looked_ms < LOOK_MS)
		return 0;
	r = catalogue_get(store->catalogue, prefetch->id, &compose, err);
	if (r < 0)
		return r;
	if (compose->state != STATE_DONE)
		return error_set(err, -EINVAL, BLAME_REQUEST, "id",
				 "compose %" PRId64 " is not done, or over", prefetch->id);
	prefetch->looked_ms = now;
	if (prefetch->tree)
		return 0;
	prefetch_for(prefetch, compose, prefetch->why);
	if (compose->reused_id) {
		struct compose *base = NULL;

		r = catalogue_get(store->catalogue, compose->reused_id, &base, err);
		if (r < 0)
			return r;
		compose_free(compose);
		compose = base;
	}
	return tree_open(store->trees, compose, &prefetch->tree, err);
}

/* By name or NEVRA */
static bool is_wanted(const struct prefetch *prefetch, uint32_t index, char **buffer)
{
	struct tree_package package;
	struct nevra parts;
	char *larger;

	if (!prefetch->packages.count)
		return true;
	if (tree_package_get(prefetch->tree, index, &package) < 0)
		return false;
	if (strings_has(&prefetch->packages, package.nevra))
		return true;
	larger = realloc(*buffer, strlen(package.nevra) + 1);
	if (!larger)
		return false;
	*buffer = larger;
	return nevra_parse(package.nevra, larger, &parts) == 0 &&
	       strings_has(&prefetch->packages, parts.name);
}

/* The next package that is not here; borrowed. false: there is none */
static bool next_of(struct prefetch *prefetch, struct tree_want *ret)
{
	_cleanup_(freep) char *buffer = NULL;
	uint32_t from = prefetch->position, index;

	while (tree_want_next(prefetch->tree, &prefetch->position, ret, &index) > 0) {
		if (ret->there || !is_wanted(prefetch, index, &buffer))
			continue;
		if (from != prefetch->before)
			prefetch->tries = 0;
		prefetch->before = from;
		return true;
	}
	return false;
}

int prefetch_count(const struct prefetch *prefetch, struct prefetch_count *ret, struct error *err)
{
	_cleanup_(freep) char *buffer = NULL;
	struct prefetch_count count = { 0 };
	uint32_t position = 0, index;
	struct tree_want want;

	while (tree_want_next(prefetch->tree, &position, &want, &index) > 0) {
		if (!is_wanted(prefetch, index, &buffer))
			continue;
		count.packages++;
		count.cached += want.there;
		count.bytes += want.there ? 0 : (int64_t)want.size;
	}
	*ret = count;
	if (prefetch->packages.count && !count.packages)
		return error_set(err, -ENOENT, BLAME_REQUEST, "packages",
				 "compose %" PRId64 " has none of these packages from a server",
				 prefetch->id);
	return 0;
}

int prefetch_fits(const struct config *config, const struct prefetch_count *count,
		  struct error *err)
{
	int64_t limit = config->cache_size;
	char suffix[LIMIT_SUFFIX_SIZE];

	if (!limit || count->bytes <= limit)
		return 0;
	return error_set(err, -ENOSPC, BLAME_US, NULL,
			 "these packages have %" PRId64
			 " bytes, the package cache has room for %" PRId64 "%s",
			 count->bytes, limit,
			 limit_suffix(config->contact, "cache.size", limit, suffix));
}

/* In the compose's log */
static void say(const struct prefetch *prefetch, const struct store *store, const char *words)
{
	struct error ignored = { 0 };
	_cleanup_(closep) int fd = tree_store_log_open(store->trees, prefetch->id, true, &ignored);
	char now[TIME_ISO_SIZE];

	if (fd >= 0)
		(void)dprintf(fd, "%s not fetched ahead of time: %s\n", time_iso(time_now(), now),
			      words);
}

/* ---- one after another ---------------------------------------------------- */

void prefetches_init(struct prefetches *prefetches, const struct config *config)
{
	prefetches->config = config;
	(void)pthread_mutex_init(&prefetches->lock, NULL);
}

void prefetches_done(struct prefetches *prefetches)
{
	while (prefetches->first) {
		struct prefetch_owner *owner = prefetches->first;

		prefetches->first = owner->next;
		while (owner->first) {
			struct prefetch *prefetch = owner->first;

			owner->first = prefetch->next;
			prefetch_free(prefetch);
		}
		free(owner);
	}
	(void)pthread_mutex_destroy(&prefetches->lock);
}

static void owner_add(struct prefetches *prefetches, struct prefetch_owner *owner)
{
	owner->next = NULL;
	*(prefetches->first ? &prefetches->last->next : &prefetches->first) = owner;
	prefetches->last = owner;
}

/* Under lock; made if there is none. NULL: out of memory */
static struct prefetch_owner *owner_get(struct prefetches *prefetches, const char *party)
{
	struct prefetch_owner *owner = prefetches->first;

	while (owner && strcmp(owner->party, party) != 0)
		owner = owner->next;
	if (owner)
		return owner;
	owner = calloc(1, sizeof(*owner));
	if (!owner)
		return NULL;
	(void)snprintf(owner->party, sizeof(owner->party), "%s", party);
	owner_add(prefetches, owner);
	return owner;
}

static bool covers(const struct prefetch *one, const struct prefetch *other)
{
	if (one->id != other->id || !one->packages.count)
		return one->id == other->id;
	if (one->packages.count != other->packages.count)
		return false;
	for (size_t i = 0; i < one->packages.count; i++)
		if (strcmp(one->packages.item[i], other->packages.item[i]) != 0)
			return false;
	return true;
}

/* Under lock. 0, -EEXIST: one that waits will bring the same, -EDQUOT */
static int owner_append(struct prefetch_owner *owner, struct prefetch *prefetch)
{
	size_t waiting = 0;

	/* the first may have been begun: it does not look back */
	for (struct prefetch *one = owner->first ? owner->first->next : NULL; one; one = one->next)
		if (covers(one, prefetch))
			return -EEXIST;
		else if (++waiting == WAITING_MAX)
			return -EDQUOT;
	*(owner->first ? &owner->last->next : &owner->first) = prefetch;
	owner->last = prefetch;
	return 0;
}

int prefetches_add(struct prefetches *prefetches, struct prefetch *prefetch, struct error *err)
{
	struct prefetch_owner *owner;
	int r = -ENOMEM;

	(void)pthread_mutex_lock(&prefetches->lock);
	owner = owner_get(prefetches, prefetch->party);
	if (owner)
		r = owner_append(owner, prefetch);
	(void)pthread_mutex_unlock(&prefetches->lock);
	if (r == 0)
		return 0;
	prefetch_free(prefetch);
	if (r == -EEXIST)
		return 0;
	return r == -ENOMEM ? error_oom(err)
			    : error_set(err, r, BLAME_REQUEST, NULL,
					"%d composes of yours wait to be fetched, ask again later",
					WAITING_MAX);
}

bool prefetches_wait(struct prefetches *prefetches)
{
	bool wait;

	(void)pthread_mutex_lock(&prefetches->lock);
	wait = prefetches->first;
	(void)pthread_mutex_unlock(&prefetches->lock);
	return wait;
}

/* The first of the owners that need not wait for a server comes to the front. What comes back stays
 * where it is: others only add behind it. */
static struct prefetch *look(struct prefetches *prefetches, int64_t now_ms)
{
	struct prefetch_owner *owner, *last;
	struct prefetch *found = NULL;

	(void)pthread_mutex_lock(&prefetches->lock);
	last = prefetches->last;
	while ((owner = prefetches->first)) {
		if (owner->first->until_ms <= now_ms) {
			found = owner->first;
			break;
		}
		prefetches->first = owner->next;
		owner_add(prefetches, owner);
		if (owner == last)
			break;
	}
	(void)pthread_mutex_unlock(&prefetches->lock);
	return found;
}

/* Its owner's next one may be from elsewhere. */
void prefetches_back(struct prefetches *prefetches, int64_t until_ms)
{
	struct prefetch *prefetch = prefetches->asked;
	struct prefetch_owner *owner;

	(void)pthread_mutex_lock(&prefetches->lock);
	prefetch->position = prefetch->before;
	prefetch->tries++;
	prefetch->until_ms = until_ms;
	for (owner = prefetches->first; owner->first != prefetch;)
		owner = owner->next;
	if (prefetch->next) {
		owner->first = prefetch->next;
		prefetch->next = NULL;
		owner->last->next = prefetch;
		owner->last = prefetch;
	}
	(void)pthread_mutex_unlock(&prefetches->lock);
}

/* The first owner has had his turn. @over: so has his compose, which comes back */
static struct prefetch *turn(struct prefetches *prefetches, bool over)
{
	struct prefetch_owner *owner;
	struct prefetch *prefetch;

	(void)pthread_mutex_lock(&prefetches->lock);
	owner = prefetches->first;
	prefetch = over ? owner->first : NULL;
	if (over)
		owner->first = prefetch->next;
	if (!owner->first || !over) {
		prefetches->first = owner->next;
		if (owner->first)
			owner_add(prefetches, owner);
		else
			free(owner);
	}
	(void)pthread_mutex_unlock(&prefetches->lock);
	return prefetch;
}

/* Its tree is open, and it is not too much. */
static bool is_open(const struct prefetches *prefetches, struct prefetch *prefetch,
		    const struct store *store)
{
	struct prefetch_count count;
	bool first = !prefetch->tree;
	struct error err = { 0 };

	if (prefetch_open(prefetch, store, &err) < 0)
		return false;
	if (!first || prefetch->why != PREFETCH_DONE)
		return true;
	if (prefetch_count(prefetch, &count, &err) == 0 &&
	    prefetch_fits(prefetches->config, &count, &err) == 0)
		return true;
	say(prefetch, store, err.message);
	return false;
}

/* Another one of it is to be asked for: @want */
static bool goes_on(const struct prefetches *prefetches, const struct prefetch *prefetch,
		    const struct store *store, const struct tree_want *want)
{
	struct tree_cache_figures figures;

	if (prefetch->tries > FETCHES_AHEAD_TRIES) {
		say(prefetch, store, "the server has not been there for minutes");
		return false;
	}
	if (prefetch->why != PREFETCH_AGAIN || !prefetches->config->cache_size)
		return true;
	tree_cache_figures(store->trees, &figures);
	if (figures.bytes + figures.reserved + want->size <=
	    (uint64_t)prefetches->config->cache_size)
		return true;
	say(prefetch, store,
	    "the cache is full, and after a start of the service nothing makes room for it");
	return false;
}

bool prefetches_next(struct prefetches *prefetches, const struct store *store,
		     char party[static PREFETCH_PARTY_SIZE], struct tree_want *ret)
{
	struct prefetch *prefetch;

	while ((prefetch = look(prefetches, time_monotonic_ms()))) {
		if (is_open(prefetches, prefetch, store) && next_of(prefetch, ret) &&
		    goes_on(prefetches, prefetch, store, ret)) {
			prefetches->asked = prefetch;
			(void)snprintf(party, PREFETCH_PARTY_SIZE, "%s", prefetch->party);
			(void)turn(prefetches, false);
			return true;
		}
		prefetch_free(turn(prefetches, true));
	}
	return false;
}
