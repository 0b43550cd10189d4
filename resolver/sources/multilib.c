/* SPDX-License-Identifier: MIT */
/* resolver/sources/multilib.c: packages of the arch that may stand beside one of the request (i686
 * for x86_64), for those arches that multilib_arches names.
 *
 *   chosen package ─► of the same name and build, other arch ─► does a method match? ─► wanted
 *
 * runtime: it ships a shared library (*.so.* in a library directory); devel: it is called *-devel
 * or
 * *-static; all: any. What is wanted comes with what it requires beyond the set. */
#include "resolver/sources/load.h"

/** struct sibling - a package of the other arch, as it is found by its name and build */
struct sibling {
	struct snapshot_package package;
	struct solve_place place;
	size_t rank; /* of its arch: the best of several */
};

struct siblings {
	struct sibling *item;
	size_t count;
};

/** struct match - a sibling that is wanted, and whose it is */
struct match {
	struct solve_place place;
	char *of; /* NEVRA */
};

struct matches {
	struct match *item;
	size_t count;
};

static void siblings_done(struct siblings *siblings)
{
	free(siblings->item);
}

static void matches_done(struct matches *matches)
{
	for (size_t i = 0; i < matches->count; i++)
		free(matches->item[i].of);
	free(matches->item);
}

/* ---- siblings ---------------------------------------------------------- */

static int compare_builds(const struct snapshot_package *a, const struct snapshot_package *b)
{
	int r = strcmp(a->name, b->name);

	if (!r)
		r = a->epoch < b->epoch ? -1 : a->epoch > b->epoch;
	if (!r)
		r = strcmp(a->version, b->version);
	if (!r)
		r = strcmp(a->release, b->release);
	return r ? r : strcmp(a->sourcerpm, b->sourcerpm);
}

static int compare_places(const struct solve_place *a, const struct solve_place *b)
{
	if (a->repository != b->repository)
		return a->repository < b->repository ? -1 : 1;
	return a->index < b->index ? -1 : a->index > b->index;
}

static int compare_siblings(const void *a, const void *b)
{
	const struct sibling *sa = a, *sb = b;
	int r = compare_builds(&sa->package, &sb->package);

	if (!r)
		r = sa->rank < sb->rank ? -1 : sa->rank > sb->rank;
	return r ? r : compare_places(&sa->place, &sb->place);
}

static size_t rank_of(const struct strings *arches, const char *arch)
{
	size_t i = 0;

	while (i < arches->count && strcmp(arches->item[i], arch) != 0)
		i++;
	return i;
}

static int add_siblings(struct siblings *siblings, uint32_t number, const struct snapshot *snapshot,
			const struct strings *arches)
{
	uint32_t count = snapshot_count(snapshot);
	struct sibling *more =
		reallocarray(siblings->item, siblings->count + count + 1, sizeof(*more));

	if (!more)
		return -ENOMEM;
	siblings->item = more;
	for (uint32_t i = 0; i < count; i++) {
		struct sibling *sibling = &siblings->item[siblings->count];

		snapshot_package_get(snapshot, i, &sibling->package);
		sibling->place = (struct solve_place){ .repository = number, .index = i };
		sibling->rank = rank_of(arches, sibling->package.arch);
		if (sibling->rank < arches->count && !sibling->package.debug &&
		    strcmp(sibling->package.arch, "noarch") != 0)
			siblings->count++;
	}
	return 0;
}

static int list_siblings(const struct load *load, const char *arch, struct siblings *ret,
			 struct error *err)
{
	_cleanup_(strings_done) struct strings arches = { 0 };
	int r = solve_arch_list(arch, &arches, err);

	for (size_t i = 0; i < load->sources && r == 0; i++)
		if (add_siblings(ret, (uint32_t)i, load->repository[i].held->snapshot, &arches) < 0)
			r = error_oom(err);
	if (r == 0 && ret->count)
		qsort(ret->item, ret->count, sizeof(*ret->item), compare_siblings);
	return r;
}

/* the best of the same name and build, or NULL */
static const struct sibling *find_sibling(const struct siblings *siblings,
					  const struct snapshot_package *package)
{
	size_t low = 0, high = siblings->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (compare_builds(&siblings->item[middle].package, package) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == siblings->count || compare_builds(&siblings->item[low].package, package) != 0)
		return NULL;
	return &siblings->item[low];
}

/* ---- methods ----------------------------------------------------------- */

static bool ends_in(const char *name, const char *end)
{
	size_t length = strlen(name), more = strlen(end);

	return length > more && !strcmp(name + length - more, end);
}

bool multilib_ships_library(const char *element)
{
	static const char *const folders[] = { "/usr/lib/", "/usr/lib64/", "/lib/", "/lib64/" };

	for (const char *at = element; (at = strstr(at, "<file>")); at++) {
		const char *path = at + strlen("<file>"), *end = strchrnul(path, '<');

		for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
			size_t length = strlen(folders[i]);
			size_t rest = (size_t)(end - path) - length;

			if (!strncmp(path, folders[i], length) &&
			    !memchr(path + length, '/', rest) &&
			    memmem(path + length, rest, ".so.", 4))
				return true;
		}
	}
	return false;
}

/* 1: it goes in, 0: it does not */
static int is_wanted(const struct load *load, const struct sibling *sibling, struct text *scratch,
		     struct error *err)
{
	int methods = load->context->job->spec->multilib_method;
	const char *name = sibling->package.name;
	int r;

	if (methods & MULTILIB_ALL)
		return 1;
	if ((methods & MULTILIB_DEVEL) && (ends_in(name, "-devel") || ends_in(name, "-static")))
		return 1;
	if (!(methods & MULTILIB_RUNTIME))
		return 0;
	text_clear(scratch);
	r = snapshot_element(load->repository[sibling->place.repository].held->snapshot,
			     SNAPSHOT_FILELISTS, sibling->place.index, scratch, NULL, err);
	return r < 0 ? r : multilib_ships_library(scratch->data);
}

static int compare_matches(const void *a, const void *b)
{
	const struct match *ma = a, *mb = b;

	return compare_places(&ma->place, &mb->place);
}

static int match_all(const struct load *load, const struct solve_answer *chosen,
		     const struct siblings *siblings, struct matches *ret, struct error *err)
{
	_cleanup_(text_done) struct text scratch = { 0 };

	ret->item = calloc(chosen->count + 1, sizeof(*ret->item));
	if (!ret->item)
		return error_oom(err);
	for (size_t i = 0; i < chosen->count; i++) {
		const struct solve_choice *choice = &chosen->choice[i];
		const struct sibling *sibling;
		struct snapshot_package package;
		int r;

		snapshot_package_get(load->repository[choice->repository].held->snapshot,
				     choice->index, &package);
		sibling = strcmp(package.arch, "noarch") ? find_sibling(siblings, &package) : NULL;
		r = sibling ? is_wanted(load, sibling, &scratch, err) : 0;
		if (r < 0)
			return r;
		if (r == 0)
			continue;
		ret->item[ret->count].place = sibling->place;
		ret->item[ret->count].of = package_nevra(&package);
		if (!ret->item[ret->count++].of)
			return error_oom(err);
	}
	qsort(ret->item, ret->count, sizeof(*ret->item), compare_matches);
	return 0;
}

/* ---- what comes with them ---------------------------------------------- */

static int solve(struct load *load, const char *arch, const struct solve_answer *chosen,
		 const struct matches *matches, struct solve_answer **ret, struct error *err)
{
	_cleanup_(freep) struct solve_place *place =
		calloc(chosen->count + matches->count + 1, sizeof(*place));
	const int flags = load->context->job->spec->flags;
	struct solve_beside_request request = {
		.set = place,
		.wanted = place + chosen->count,
		.set_count = chosen->count,
		.wanted_count = matches->count,
		.no_deps = flags & FLAG_NO_DEPS,
		.check_deps = flags & FLAG_CHECK_DEPS,
	};
	struct solve_pool *pool;
	bool loaded;
	int r;

	if (!place)
		return error_oom(err);
	for (size_t i = 0; i < chosen->count; i++)
		place[i] = (struct solve_place){ .repository = chosen->choice[i].repository,
						 .index = chosen->choice[i].index };
	for (size_t i = 0; i < matches->count; i++)
		place[chosen->count + i] = matches->item[i].place;
	r = pools_solver(load->context->pools, arch, true, load->set->held, load->count,
			 load->count - load->sources, &pool, &loaded, err);
	if (r == 0)
		r = solve_beside(pool, &request, ret, err);
	return r < 0 ? error_prefix(err, "%s, multilib", arch) : 0;
}

static int take(struct load *load, size_t arch, const struct matches *matches,
		const struct solve_answer *answer, struct error *err)
{
	int r = 0;

	for (size_t i = 0; i < answer->count && r == 0; i++) {
		const struct solve_choice *choice = &answer->choice[i];
		const struct match wanted = { .place = { .repository = choice->repository,
							 .index = choice->index } };
		const struct match *match =
			matches->count ? bsearch(&wanted, matches->item, matches->count,
						 sizeof(wanted), compare_matches)
				       : NULL;
		const char *reason = choice->reason;
		_cleanup_(text_done) struct text words = { 0 };

		if (match) {
			(void)text_addf(&words, "multilib of %s", match->of);
			reason = words.failed ? NULL : package_set_text(load->set, words.data);
		}
		if (!reason)
			return error_oom(err);
		r = rows_add(load, choice->repository, choice->index, arch, COMPOSER_OS, reason,
			     err);
	}
	return r;
}

const char *multilib_arch(const struct spec *spec, const char *arch)
{
	return spec->multilib_method && strings_has(&spec->multilib_arches, arch)
		       ? solve_arch_multilib(arch)
		       : NULL;
}

int multilib_add(struct load *load, size_t arch, const struct solve_answer *chosen,
		 struct error *err)
{
	const char *name = load->set->arches.item[arch];
	const char *other = multilib_arch(load->context->job->spec, name);
	_cleanup_(siblings_done) struct siblings siblings = { 0 };
	_cleanup_(matches_done) struct matches matches = { 0 };
	struct solve_answer *answer = NULL;
	int r;

	if (!other)
		return 0;
	r = list_siblings(load, other, &siblings, err);
	if (r == 0)
		r = match_all(load, chosen, &siblings, &matches, err);
	if (r == 0)
		r = solve(load, name, chosen, &matches, &answer, err);
	if (r < 0)
		return r;
	if (package_set_own(load->set, answer) < 0)
		return error_oom(err);
	load_say(load, "%s: %zu packages of %s beside, %zu of them for themselves", name,
		 answer->count, other, matches.count);
	(void)text_addf(&load->log, "%s: %zu packages beside for multilib, %zu for themselves\n",
			name, answer->count, matches.count);
	load_log(load, name, "multilib, unresolved: ", &answer->unresolved);
	load_log(load, name, "multilib, ", &answer->conflicts);
	return take(load, arch, &matches, answer, err);
}
