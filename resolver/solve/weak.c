/* SPDX-License-Identifier: MIT */
/* resolver/solve/weak.c: weak dependencies, shown to the solver only where they can decide
 * something.
 *
 * Weak dependencies install nothing here, but of several equal providers libsolv prefers one that
 * something in the set recommends, and so does dnf. Left in the pool they cost far more than that
 * is worth: libsolv makes rules for all that could be recommended, and what that recommends in turn
 * (16 ms instead of 2 for one name among 63,000 packages). So they are taken out when the pool is
 * made, and for a run only those come back that lie wholly within what its jobs can reach by
 * requirements: nothing else can be chosen, hence nothing else can change a choice. The lists shown
 * are copies in a place reserved once per repository: a run leaves nothing behind. */
#include "resolver/solve/pool.h"

#include <solv/solver.h>

#define EFFORT_MAPS 16 /* packages in the pool that cost a run as much as one rule */

static size_t list_length(const Repo *repo, Offset list)
{
	const Id *ids = repo->idarraydata + list;
	size_t length = 0;

	while (list && ids[length])
		length++;
	return length;
}

int solve_weak_hide(struct solve_pool *pool, struct error *err)
{
	pool->weak = calloc((size_t)pool->pool->nsolvables, sizeof(*pool->weak));
	if (!pool->weak)
		return error_oom(err);
	for (size_t i = 0; i < pool->repo_count; i++) {
		Repo *repo = pool->repo[i].repo;
		size_t room = 0;

		for (Id p = repo->start; p < repo->end; p++) {
			Solvable *s = pool_id2solvable(pool->pool, p);

			pool->weak[p] = (struct weak){ s->recommends, s->suggests, s->supplements,
						       s->enhances };
			room += list_length(repo, s->recommends) + 1;
			room += list_length(repo, s->suggests) + 1;
			s->recommends = s->suggests = s->supplements = s->enhances = 0;
		}
		for (size_t k = 0; k < room; k++)
			pool->repo[i].scratch = repo_addid(repo, pool->repo[i].scratch, ID_EMPTY);
	}
	return 0;
}

/* ---- one run ----------------------------------------------------------- */

static void reach(Map *reached, Queue *queue, Id p)
{
	if (!MAPTST(reached, p)) {
		MAPSET(reached, p);
		queue_push(queue, p);
	}
}

static void reach_jobs(Pool *pool, const Queue *jobs, Map *reached, Queue *queue)
{
	for (int i = 0; i < jobs->count; i += 2) {
		Id what = jobs->elements[i + 1], p, pp;

		if ((jobs->elements[i] & SOLVER_SELECTMASK) == SOLVER_SOLVABLE)
			reach(reached, queue, what);
		else
			FOR_PROVIDES(p, pp, what)
		reach(reached, queue, p);
	}
}

static bool has_reached(Pool *pool, Id dep, const Map *reached)
{
	Id p, pp;

	FOR_PROVIDES(p, pp, dep)
	{
		if (MAPTST(reached, p))
			return true;
	}
	return false;
}

/* Copy the members of @list that lead to reached packages to *@place; their offset, or 0 for none
 */
static Offset show_list(Pool *pool, Repo *repo, Offset list, const Map *reached, Offset *place)
{
	Offset start = *place;
	Id dep;

	if (!list)
		return 0;
	for (; (dep = repo->idarraydata[list]); list++)
		if (has_reached(pool, dep, reached))
			repo->idarraydata[(*place)++] = dep;
	if (*place == start)
		return 0;
	repo->idarraydata[(*place)++] = 0;
	return start;
}

void solve_weak_show(struct solve_pool *solve_pool, const Queue *jobs, Queue *ret_shown)
{
	Pool *pool = solve_pool->pool; /* FOR_PROVIDES() wants this name */
	_cleanup_(deps_done) struct deps seen;
	_cleanup_(map_done) Map reached;

	deps_init(&seen, pool);
	map_init(&reached, pool->nsolvables);
	queue_empty(ret_shown);
	reach_jobs(pool, jobs, &reached, ret_shown);
	for (int i = 0; i < ret_shown->count; i++) {
		const Id *requires = solve_requires(solve_pool, ret_shown->elements[i]);
		Id dep, p, pp;

		while ((dep = next_requirement(&requires))) {
			if (!deps_add(&seen, dep))
				continue;
			FOR_PROVIDES(p, pp, dep)
			reach(&reached, ret_shown, p);
		}
	}
	for (size_t i = 0; i < solve_pool->repo_count; i++)
		solve_pool->repo[i].place = solve_pool->repo[i].scratch;
	for (int i = 0; i < ret_shown->count; i++) {
		Id p = ret_shown->elements[i];
		Solvable *s = pool_id2solvable(pool, p);
		const struct weak *weak = &solve_pool->weak[p];
		struct solve_repo *repo = solve_repo_of(solve_pool, p);

		s->recommends = show_list(pool, s->repo, weak->recommends, &reached, &repo->place);
		s->suggests = show_list(pool, s->repo, weak->suggests, &reached, &repo->place);
		s->supplements = weak->supplements;
		s->enhances = weak->enhances;
	}
}

/* the lengths of the provider lists of @list, up to @most */
static int64_t count_pairs(Pool *pool, const Repo *repo, Offset list, int64_t most)
{
	const Id *ids = list ? repo->idarraydata + list : NULL;
	int64_t count = 0;
	Id p, pp;

	for (; ids && *ids && count < most; ids++)
		FOR_PROVIDES(p, pp, *ids)
		{
			if (++count >= most)
				break;
		}
	return count;
}

int64_t solve_effort(const struct solve_pool *solve_pool, const Queue *reached, int64_t most)
{
	Pool *pool = solve_pool->pool; /* FOR_PROVIDES() wants this name */
	int64_t effort = pool->nsolvables / EFFORT_MAPS;
	Id p, pp;

	for (int i = 0; i < reached->count && effort < most; i++) {
		const Solvable *s = pool_id2solvable(pool, reached->elements[i]);

		if (!s->repo)
			continue; /* the system's own */
		effort += 1 + (int64_t)list_length(s->repo, s->requires);
		effort += count_pairs(pool, s->repo, s->conflicts, most - effort);
		effort += count_pairs(pool, s->repo, s->obsoletes, most - effort);
		FOR_PROVIDES(p, pp, s->name)
		{
			if (++effort >= most)
				break;
		}
	}
	return effort;
}

void solve_weak_unshow(struct solve_pool *pool, const Queue *shown)
{
	for (int i = 0; i < shown->count; i++) {
		Solvable *s = pool_id2solvable(pool->pool, shown->elements[i]);

		s->recommends = s->suggests = s->supplements = s->enhances = 0;
	}
}
