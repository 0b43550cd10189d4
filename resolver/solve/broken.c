/* SPDX-License-Identifier: MIT */
/* resolver/solve/broken.c: which packages can never be installed, found without the solver.
 *
 * A package is broken when nothing provides one of its requirements, or when all that provide it
 * are broken. The solver finds that too, but anew in each run, and one broken package is enough to
 * need a run for each thing that it requires: a repository full of them would take hours. Here it
 * is one pass over the pool, made when the first run fails and kept with the pool.
 *
 * Each requirement watches one provider that is not broken. When that breaks, the next one in the
 * list is watched; at the end of the list all who require it break:
 *
 *   package ─breaks─► requirements that watch it ─► next provider, or none: packages break
 *
 * Boolean requirements are left to the solver. Never opens, waits or logs. */
#include "resolver/solve/pool.h"

struct need {
	Id dep;
	const Id *provider; /* the one that is watched */
	uint32_t next;	    /* that watches the same provider; 0: none */
	uint32_t user;	    /* first of those who require it; 0: none */
};

struct user {
	Id package;
	uint32_t next;
};

struct spread {
	struct solve_pool *pool;
	struct need *need; /* from 1 on */
	struct user *user; /* from 1 on */
	uint32_t need_count, user_count;
	uint32_t *of_string, *of_rel; /* need by dependency */
	uint32_t *watch;	      /* first need by package */
	Queue broken;		      /* in the order of breaking; those before @done are spread */
	int done;
};

static void spread_done(struct spread *spread)
{
	free(spread->need);
	free(spread->user);
	free(spread->of_string);
	free(spread->of_rel);
	free(spread->watch);
	queue_free(&spread->broken);
}

static bool is_boolean(const Pool *pool, Id dep)
{
	return ISRELDEP(dep) && GETRELDEP(pool, dep)->flags > 7;
}

static void break_package(struct spread *spread, Id p, const struct need *need)
{
	struct solve_pool *pool = spread->pool;
	const Id *providers = pool_whatprovides_ptr(pool->pool, need->dep);

	if (pool->broken[p].package)
		return;
	/* all providers broke before: the first has a cause already */
	pool->broken[p] = *providers ? pool->broken[*providers]
				     : (struct cause){ .package = p, .dep = need->dep };
	queue_push(&spread->broken, p);
}

/* Watch the next provider that is not broken, or break who require it */
static void watch_next(struct spread *spread, uint32_t i)
{
	struct need *need = &spread->need[i];

	while (*need->provider && spread->pool->broken[*need->provider].package)
		need->provider++;
	if (*need->provider) {
		need->next = spread->watch[*need->provider];
		spread->watch[*need->provider] = i;
		return;
	}
	for (uint32_t user = need->user; user; user = spread->user[user].next)
		break_package(spread, spread->user[user].package, need);
}

static void add_user(struct spread *spread, Id dep, Id p)
{
	uint32_t *need = ISRELDEP(dep) ? &spread->of_rel[GETRELID(dep)] : &spread->of_string[dep];
	uint32_t user = ++spread->user_count;

	if (!*need) {
		*need = ++spread->need_count;
		spread->need[*need] = (struct need){ .dep = dep };
	}
	spread->user[user] = (struct user){ .package = p, .next = spread->need[*need].user };
	spread->need[*need].user = user;
}

static size_t count_requirements(const struct solve_pool *pool)
{
	size_t count = 0;

	for (Id p = 1; p < pool->pool->nsolvables; p++) {
		const Id *requires = solve_requires(pool, p);

		while (MAPTST(&pool->considered, p) && next_requirement(&requires))
			count++;
	}
	return count;
}

static int collect(struct spread *spread)
{
	struct solve_pool *pool = spread->pool;
	size_t count = count_requirements(pool) + 1;

	if (count > UINT32_MAX)
		return -ENOMEM;
	spread->need = calloc(count, sizeof(*spread->need));
	spread->user = calloc(count, sizeof(*spread->user));
	spread->of_string = calloc((size_t)pool->pool->ss.nstrings, sizeof(uint32_t));
	spread->of_rel = calloc((size_t)pool->pool->nrels + 1, sizeof(uint32_t));
	spread->watch = calloc((size_t)pool->pool->nsolvables, sizeof(uint32_t));
	if (!spread->need || !spread->user || !spread->of_string || !spread->of_rel ||
	    !spread->watch)
		return -ENOMEM;
	queue_prealloc(&spread->broken, pool->pool->nsolvables);
	for (Id p = 1; p < pool->pool->nsolvables; p++) {
		const Id *requires = solve_requires(pool, p);
		Id dep;

		while (MAPTST(&pool->considered, p) && (dep = next_requirement(&requires)))
			if (!is_boolean(pool->pool, dep))
				add_user(spread, dep, p);
	}
	return 0;
}

int solve_find_broken(struct solve_pool *pool)
{
	_cleanup_(spread_done) struct spread spread = { .pool = pool };

	if (pool->broken)
		return 0;
	queue_init(&spread.broken);
	if (collect(&spread) < 0)
		return -ENOMEM;
	/* lists of providers may move while new ones are made */
	for (uint32_t i = 1; i <= spread.need_count; i++)
		(void)pool_whatprovides(pool->pool, spread.need[i].dep);
	pool->broken = calloc((size_t)pool->pool->nsolvables, sizeof(*pool->broken));
	if (!pool->broken)
		return -ENOMEM;
	for (uint32_t i = 1; i <= spread.need_count; i++) {
		spread.need[i].provider = pool_whatprovides_ptr(pool->pool, spread.need[i].dep);
		watch_next(&spread, i);
	}
	for (; spread.done < spread.broken.count; spread.done++) {
		uint32_t *watch = &spread.watch[spread.broken.elements[spread.done]], i, next;

		for (i = *watch, *watch = 0; i; i = next) {
			next = spread.need[i].next;
			watch_next(&spread, i);
		}
	}
	return 0;
}

bool solve_is_broken(const struct solve_pool *solve_pool, Id what, bool dep)
{
	Pool *pool = solve_pool->pool; /* FOR_PROVIDES() wants this name */
	Id p, pp;

	if (!solve_pool->broken || (dep && is_boolean(pool, what)))
		return false;
	if (!dep)
		return solve_pool->broken[what].package != 0;
	FOR_PROVIDES(p, pp, what)
	{
		if (!solve_pool->broken[p].package)
			return false;
	}
	return true;
}

void solve_broken_words(const struct solve_pool *pool, Id p, struct text *words)
{
	const struct cause *cause = &pool->broken[p];

	text_addf(words, "nothing provides %s", pool_dep2str(pool->pool, cause->dep));
	text_addf(words, " needed by %s", solve_nevra(pool, cause->package));
}
