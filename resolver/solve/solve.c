/* SPDX-License-Identifier: MIT */
/* resolver/solve/solve.c: from a request to an answer: names, closure, checks, reasons.
 *
 * Wanted packages are put in the order of the pool before they are solved, so the answer does not
 * depend on the order of the names in the request. Called by resolver/sources. Never opens, waits
 * or logs. */
#include "resolver/solve/pool.h"

#include "core/model/model.h"

/* Provider lists of boolean requirements are made anew in each run and stay in the pool: past this
 * many ids beyond twice the first size the lists are rebuilt. */
#define PROVIDES_GROWTH (256 * 1024)

static void closure_done(struct closure *closure)
{
	free(closure->wanted);
	map_free(&closure->chosen);
}

void solve_answer_free(struct solve_answer *answer)
{
	if (!answer)
		return;
	for (size_t i = 0; i < answer->count; i++)
		free(answer->choice[i].reason);
	free(answer->choice);
	strings_done(&answer->missing);
	strings_done(&answer->unresolved);
	strings_done(&answer->conflicts);
	free(answer);
}

static int compare_wanted(const void *a, const void *b)
{
	const struct wanted *wa = a, *wb = b;

	if (wa->package != wb->package)
		return wa->package < wb->package ? -1 : 1;
	return wa->name < wb->name ? -1 : wa->name > wb->name;
}

static int find_wanted(struct closure *closure, struct error *err)
{
	_cleanup_(queue_done) Queue matches;
	size_t kept = 0;

	queue_init(&matches);
	closure->wanted = calloc(closure->names->count + 1, sizeof(*closure->wanted));
	if (!closure->wanted)
		return error_oom(err);
	for (size_t i = 0; i < closure->names->count; i++) {
		const char *name = closure->names->item[i];

		solve_match(closure->pool, name, &matches);
		if (matches.count)
			closure->wanted[closure->count++] =
				(struct wanted){ .package = matches.elements[0], .name = i };
		else if (strings_add(&closure->answer->missing, name) < 0)
			return error_oom(err);
	}
	qsort(closure->wanted, closure->count, sizeof(*closure->wanted), compare_wanted);
	for (size_t i = 0; i < closure->count; i++)
		if (!kept || closure->wanted[kept - 1].package != closure->wanted[i].package)
			closure->wanted[kept++] = closure->wanted[i];
	closure->count = kept;
	return 0;
}

/* every candidate that is no debug package; @wanted stays empty, which makes the reason */
static void choose_everything(struct closure *closure)
{
	const Pool *pool = closure->pool->pool;

	for (Id p = 1; p < pool->nsolvables; p++)
		if (MAPTST(&closure->pool->considered, p) &&
		    !solve_is_lookaside(closure->pool, p) &&
		    !package_is_debug(pool_id2str(pool, pool_id2solvable(pool, p)->name)))
			MAPSET(&closure->chosen, p);
}

/* each requirement of the set that nothing in the set or the lookaside repositories provides */
static int check_set(struct closure *closure, struct error *err)
{
	const struct solve_pool *pool = closure->pool;

	for (Id p = 1; p < pool->pool->nsolvables; p++) {
		const Id *requires;
		Id dep;

		if (!MAPTST(&closure->chosen, p))
			continue;
		requires = solve_requires(pool, p);
		while ((dep = next_requirement(&requires))) {
			_cleanup_(text_done) struct text line = { 0 };

			if (solve_can_provide(pool, dep, &closure->chosen))
				continue;
			text_addf(&line, "%s requires ", solve_nevra(pool, p));
			text_addf(&line, "%s: nothing provides it", pool_dep2str(pool->pool, dep));
			if (line.failed || strings_add(&closure->answer->unresolved, line.data) < 0)
				return error_oom(err);
		}
	}
	return 0;
}

static int fail_unresolved(const struct strings *unresolved, struct error *err)
{
	_cleanup_(text_done) struct text words = { 0 };
	size_t i;

	for (i = 0; i < unresolved->count; i++) {
		if (words.length + strlen(unresolved->item[i]) > ERROR_MESSAGE_SIZE - 128)
			break;
		text_addf(&words, "\n%s", unresolved->item[i]);
	}
	if (i < unresolved->count)
		text_addf(&words, "\nand %zu more", unresolved->count - i);
	if (words.failed)
		return error_oom(err);
	return error_set(err, -ENOPKG, BLAME_SOURCE, "packages", "broken dependencies:%s",
			 words.data);
}

static int choose(struct closure *closure, const struct solve_request *request, struct error *err)
{
	int r;

	if (!request->names) {
		choose_everything(closure);
		return request->check_deps ? check_set(closure, err) : 0;
	}
	r = find_wanted(closure, err);
	if (r < 0)
		return r;
	if (!request->no_deps)
		return solve_close(closure, err);
	for (size_t i = 0; i < closure->count; i++)
		MAPSET(&closure->chosen, closure->wanted[i].package);
	return request->check_deps ? check_set(closure, err) : 0;
}

/* The answer, in order and with its reasons */
static int conclude(struct closure *closure, bool check_deps, struct error *err)
{
	struct solve_answer *answer = closure->answer;

	strings_sort(&answer->missing);
	strings_sort(&answer->unresolved);
	strings_sort(&answer->conflicts);
	if (check_deps && answer->unresolved.count)
		return fail_unresolved(&answer->unresolved, err);
	return solve_explain(closure, err);
}

int solve_run(struct solve_pool *pool, const struct solve_request *request,
	      struct solve_answer **ret, struct error *err)
{
	_cleanup_(solve_answer_freep) struct solve_answer *answer = calloc(1, sizeof(*answer));
	_cleanup_(closure_done) struct closure closure = { .pool = pool,
							   .names = request->names,
							   .answer = answer };
	int r;

	if (!answer)
		return error_oom(err);
	if (!pool->prepared)
		return error_set(err, -EINVAL, BLAME_US, NULL, "the pool is not prepared");
	if (pool->pool->whatprovidesdataoff > 2 * pool->provides_base + PROVIDES_GROWTH)
		pool_createwhatprovides(pool->pool);
	map_init(&closure.chosen, pool->pool->nsolvables);
	r = choose(&closure, request, err);
	if (r == 0)
		r = conclude(&closure, request->check_deps, err);
	if (r < 0)
		return r;
	*ret = steal(answer);
	return 0;
}

/* ---- beside a set ------------------------------------------------------ */

static Id package_at(const struct solve_pool *pool, const struct solve_place *place)
{
	const Repo *repo;

	if (place->repository >= pool->repo_count)
		return 0;
	repo = pool->repo[place->repository].repo;
	return place->index < (uint32_t)repo->nsolvables ? repo->start + (Id)place->index : 0;
}

static int take_places(struct closure *closure, const struct solve_beside_request *request,
		       Map *before, struct error *err)
{
	for (size_t i = 0; i < request->set_count + request->wanted_count; i++) {
		bool wanted = i >= request->set_count;
		Id p = package_at(closure->pool, wanted ? &request->wanted[i - request->set_count]
							: &request->set[i]);

		if (!p)
			return error_set(err, -EINVAL, BLAME_US, NULL,
					 "a package of no repository");
		if (wanted && !MAPTST(&closure->chosen, p))
			closure->wanted[closure->count++] = (struct wanted){ .package = p };
		else if (!wanted)
			MAPSET(before, p);
		MAPSET(&closure->chosen, p);
	}
	qsort(closure->wanted, closure->count, sizeof(*closure->wanted), compare_wanted);
	return 0;
}

int solve_beside(struct solve_pool *pool, const struct solve_beside_request *request,
		 struct solve_answer **ret, struct error *err)
{
	_cleanup_(solve_answer_freep) struct solve_answer *answer = calloc(1, sizeof(*answer));
	_cleanup_(map_done) Map before;
	_cleanup_(closure_done) struct closure closure = { .pool = pool,
							   .answer = answer,
							   .before = &before };
	int r;

	map_init(&before, pool->pool->nsolvables);
	map_init(&closure.chosen, pool->pool->nsolvables);
	closure.wanted = calloc(request->wanted_count + 1, sizeof(*closure.wanted));
	if (!answer || !closure.wanted)
		return error_oom(err);
	if (!pool->prepared)
		return error_set(err, -EINVAL, BLAME_US, NULL, "the pool is not prepared");
	r = take_places(&closure, request, &before, err);
	if (r == 0 && !request->no_deps)
		r = solve_close(&closure, err);
	if (r == 0 && request->no_deps && request->check_deps)
		r = check_set(&closure, err);
	if (r == 0)
		r = conclude(&closure, request->check_deps, err);
	if (r < 0)
		return r;
	*ret = steal(answer);
	return 0;
}
