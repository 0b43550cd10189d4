/* SPDX-License-Identifier: MIT */
/* core/daemon/prefetch.c: packages of a compose, one after another, before anybody reads them.
 *
 * A place in a manifest for each compose that is wanted, no list of packages: the fetcher takes the
 * next one whenever nobody who waits could use its place. */
#include "core/daemon/prefetch.h"

struct prefetch {
	struct prefetch *next;
	int64_t id;
	struct tree *tree;	 /* NULL: not opened yet */
	struct strings packages; /* none: all */
	uint32_t position;
};

void prefetch_free(struct prefetch *prefetch)
{
	if (!prefetch)
		return;
	tree_unref(prefetch->tree);
	strings_done(&prefetch->packages);
	free(prefetch);
}

struct prefetch *prefetch_new(int64_t id)
{
	struct prefetch *prefetch = calloc(1, sizeof(*prefetch));

	if (prefetch)
		prefetch->id = id;
	return prefetch;
}

int prefetch_packages(struct prefetch *prefetch, const struct strings *packages)
{
	return strings_copy(&prefetch->packages, packages);
}

int prefetch_open(struct prefetch *prefetch, const struct store *store, struct error *err)
{
	_cleanup_(compose_freep) struct compose *compose = NULL;
	int r = prefetch->tree ? 0 : catalogue_get(store->catalogue, prefetch->id, &compose, err);

	if (r < 0 || prefetch->tree)
		return r;
	if (compose->state != STATE_DONE)
		return error_set(err, -EINVAL, BLAME_REQUEST, "id",
				 "compose %" PRId64 " is not done, or over", prefetch->id);
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

bool prefetch_next(struct prefetch *prefetch, struct tree_want *ret)
{
	_cleanup_(freep) char *buffer = NULL;
	uint32_t index;

	while (tree_want_next(prefetch->tree, &prefetch->position, ret, &index) > 0)
		if (!ret->there && is_wanted(prefetch, index, &buffer))
			return true;
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

void prefetches_add(struct prefetch **list, struct prefetch *prefetch)
{
	while (*list)
		list = &(*list)->next;
	*list = prefetch;
}

struct prefetch *prefetches_take(struct prefetch **list)
{
	struct prefetch *first = *list;

	if (first)
		*list = first->next;
	return first;
}
