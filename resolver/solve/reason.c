/* SPDX-License-Identifier: MIT */
/* resolver/solve/reason.c: why each package is in the set.
 *
 * A walk over the set, breadth first from the wanted packages: a package's reason is the first
 * requirement that leads to it. Lookaside packages are walked through but not named in the answer.
 * Never opens, waits or logs. */
#include "resolver/solve/pool.h"

struct origin {
	Id by, dep; /* by == 0: wanted */
};

struct walk {
	const struct closure *closure;
	struct origin *origin; /* by package */
	Map reached;
	struct deps seen;
	Queue queue; /* reached, in order */
};

static void walk_done(struct walk *walk)
{
	free(walk->origin);
	map_free(&walk->reached);
	deps_done(&walk->seen);
	queue_free(&walk->queue);
}

static void reach(struct walk *walk, Id p, Id by, Id dep)
{
	if (!MAPTST(&walk->closure->chosen, p) || MAPTST(&walk->reached, p))
		return;
	MAPSET(&walk->reached, p);
	walk->origin[p] = (struct origin){ .by = by, .dep = dep };
	queue_push(&walk->queue, p);
}

static void walk_set(struct walk *walk)
{
	const struct closure *closure = walk->closure;
	Pool *pool = closure->pool->pool; /* FOR_PROVIDES() wants this name */

	for (size_t i = 0; i < closure->count; i++)
		reach(walk, closure->wanted[i].package, 0, 0);
	for (int i = 0; i < walk->queue.count; i++) {
		Id from = walk->queue.elements[i], dep, p, pp;
		const Id *requires = solve_requires(closure->pool, from);

		while ((dep = next_requirement(&requires))) {
			if (!deps_add(&walk->seen, dep))
				continue;
			FOR_PROVIDES(p, pp, dep)
			reach(walk, p, from, dep);
		}
	}
}

static char *reason_of(const struct walk *walk, Id p)
{
	const struct solve_pool *pool = walk->closure->pool;
	struct origin origin = walk->origin[p];
	_cleanup_(text_done) struct text text = { 0 };

	if (!walk->closure->names && !walk->closure->before)
		return strdup("whole repository");
	if (!MAPTST(&walk->reached, p))
		return strdup("needed by the set"); /* by a conditional part of a requirement */
	if (!origin.by)
		return strdup("requested");
	text_addf(&text, "required by %s: ", solve_nevra(pool, origin.by));
	text_adds(&text, pool_dep2str(pool->pool, origin.dep));
	return text_steal(&text);
}

static size_t count_bits(const Map *map)
{
	size_t count = 0;

	for (int i = 0; i < map->size; i++)
		count += (size_t)__builtin_popcount(map->map[i]);
	return count;
}

static int fill(const struct walk *walk, struct solve_answer *answer)
{
	const struct solve_pool *pool = walk->closure->pool;

	answer->choice = calloc(count_bits(&walk->closure->chosen) + 1, sizeof(*answer->choice));
	if (!answer->choice)
		return -ENOMEM;
	for (size_t i = 0; i < pool->repo_count; i++) {
		const Repo *repo = pool->repo[i].repo;

		for (Id p = repo->start; p < repo->end && !pool->repo[i].lookaside; p++) {
			struct solve_choice *choice = &answer->choice[answer->count];

			if (!MAPTST(&walk->closure->chosen, p) ||
			    (walk->closure->before && MAPTST(walk->closure->before, p)))
				continue;
			choice->repository = (uint32_t)i;
			choice->index = (uint32_t)(p - repo->start);
			choice->reason = reason_of(walk, p);
			if (!choice->reason)
				return -ENOMEM;
			answer->count++;
		}
	}
	return 0;
}

int solve_explain(const struct closure *closure, struct error *err)
{
	_cleanup_(walk_done) struct walk walk = { .closure = closure };

	queue_init(&walk.queue);
	map_init(&walk.reached, closure->pool->pool->nsolvables);
	deps_init(&walk.seen, closure->pool->pool);
	walk.origin = calloc((size_t)closure->pool->pool->nsolvables, sizeof(*walk.origin));
	if (!walk.origin)
		return error_oom(err);
	walk_set(&walk);
	return fill(&walk, closure->answer) < 0 ? error_oom(err) : 0;
}
