/* SPDX-License-Identifier: MIT */
/* resolver/solve/pool.h: what the files of this room share: the loaded pool, names in it, a
 * closure. */
#pragma once

#include "resolver/solve/solve.h"

#include <solv/bitmap.h>
#include <solv/pool.h>
#include <solv/queue.h>
#include <solv/repo.h>

struct solve_repo {
	Repo *repo; /* solvables repo->start … in a row, in the order of primary */
	bool lookaside;
	Offset scratch; /* place for shown weak lists, as long as all of them */
	Offset place;	/* next free in it, during a run */
	Map hidden;	/* by index; size 0: none */
};

/* lists of weak dependencies, taken out of the solvable (weak.c) */
struct weak {
	Offset recommends, suggests, supplements, enhances;
};

/* why a package can never be installed (broken.c); package 0: it may be */
struct cause {
	Id package, dep; /* this package requires this, which nothing provides */
};

struct solve_pool {
	Pool *pool;
	Id *accepted; /* arches whose packages are candidates, 0-terminated */
	struct solve_repo *repo;
	size_t repo_count, repo_room;
	struct weak *weak;    /* by solvable */
	struct cause *broken; /* by solvable; NULL: not looked for yet */
	Map considered;	      /* the candidates, lookaside packages too */
	bool files_added;     /* pool_addfileprovides() has run */
	bool prepared;
	Offset provides_base; /* size of the provider lists right after preparing */
};

static inline void queue_done(Queue *queue)
{
	queue_free(queue);
}

static inline void map_done(Map *map)
{
	map_free(map);
}

/* a set of dependencies */
struct deps {
	Map strings, rels;
};

static inline void deps_init(struct deps *deps, const Pool *pool)
{
	map_init(&deps->strings, pool->ss.nstrings);
	map_init(&deps->rels, pool->nrels);
}

static inline void deps_done(struct deps *deps)
{
	map_free(&deps->strings);
	map_free(&deps->rels);
}

/** deps_add() - false when it was in there already */
static inline bool deps_add(struct deps *deps, Id dep)
{
	Map *map = ISRELDEP(dep) ? &deps->rels : &deps->strings;

	dep = ISRELDEP(dep) ? (Id)GETRELID(dep) : dep;
	if (dep >= map->size * 8)
		map_grow(map, 2 * dep + 1);
	if (MAPTST(map, dep))
		return false;
	MAPSET(map, dep);
	return true;
}

/** next_requirement() - step through solve_requires(); 0 at the end */
static inline Id next_requirement(const Id **ids)
{
	while (**ids == SOLVABLE_PREREQMARKER)
		(*ids)++;
	return **ids ? *(*ids)++ : 0;
}

const Id *solve_requires(const struct solve_pool *pool, Id p);
bool solve_is_lookaside(const struct solve_pool *pool, Id p);
const char *solve_nevra(const struct solve_pool *pool, Id p); /* in libsolv's temporary space */

struct solve_repo *solve_repo_of(const struct solve_pool *pool, Id p);

/** solve_weak_hide() - take the weak dependencies out of all solvables, once */
int solve_weak_hide(struct solve_pool *pool, struct error *err);
/** solve_weak_show() - show those that can matter for @jobs; @ret_shown, all packages that the jobs
 * can reach, goes to solve_weak_unshow() */
void solve_weak_show(struct solve_pool *pool, const Queue *jobs, Queue *ret_shown);
void solve_weak_unshow(struct solve_pool *pool, const Queue *shown);

/** solve_effort() - roughly how many rules a run with @reached packages needs, in steps of counting
 * @most: to stop counting at */
int64_t solve_effort(const struct solve_pool *pool, const Queue *reached, int64_t most);

/** solve_find_broken() - find the packages that can never be installed (broken.c), once for each
 * pool; 0 or -ENOMEM */
int solve_find_broken(struct solve_pool *pool);
/** solve_is_broken() - is package @what, or each provider of dependency @what, one of them? */
bool solve_is_broken(const struct solve_pool *pool, Id what, bool dep);
void solve_broken_words(const struct solve_pool *pool, Id p, struct text *words);

/** solve_can_provide() - could candidates satisfy @dep? Rich ones part by part
 * @set: NULL, or only these and the lookaside packages count */
bool solve_can_provide(const struct solve_pool *pool, Id dep, const Map *set);

/** solve_match() - not-lookaside candidates that @name means, best first: newest, native, first
 * listed */
void solve_match(const struct solve_pool *pool, const char *name, Queue *ret);

/**
 * struct closure - a package set while it grows
 * @wanted: packages to start from, each with the place of its name in the request; sorted, no
 * doubles. An older version stands here afterwards where the newest cannot be installed
 * @chosen: the set, with the lookaside packages that it leans on
 * @before: NULL, or what was chosen before: part of @chosen from the start, preferred by the
 * solver, and not in the answer; then nothing is tried out with @wanted, they are taken as they are
 */
struct wanted {
	Id package;
	size_t name;
};
struct closure {
	struct solve_pool *pool;
	const struct strings *names;
	struct wanted *wanted;
	size_t count;
	Map chosen;
	const Map *before;
	struct solve_answer *answer; /* gets unresolved and conflicts */
};

/** solve_close() - from @wanted to @chosen (closure.c); 0 or -ENOMEM */
int solve_close(struct closure *closure, struct error *err);

/** solve_explain() - fill the answer's choices from @chosen, each with its reason (reason.c) */
int solve_explain(const struct closure *closure, struct error *err);
