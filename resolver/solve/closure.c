/* SPDX-License-Identifier: MIT */
/* resolver/solve/closure.c: from wanted packages to a closed set.
 *
 * All wanted packages go into one run of the solver, each as a weak job: where some cannot stand
 * together libsolv lets the later ones go instead of failing. Those go into a run of their own, and
 * so on, and the answers are united: the result is a repository, not an installation. What cannot
 * be installed even alone is taken as it is (an older version that can be installed comes first),
 * and each of its requirements is then wanted in turn:
 *
 *   pending ─ run together ─► satisfied: into the set      left over: pending again
 *                └ nothing gained ─► one by one ─► installable: into the set
 *                                                  else: itself into the set, its requirements
 * pending
 *
 * Packages that can never be installed are known beforehand (broken.c) and never handed to the
 * solver. What the solver does is bounded, by counting and not by the clock, so that the answer
 * stays the same: what comes after EFFORT_MAX is taken as it is too.
 *
 * Beside a set that was chosen before, the wanted packages are all taken as they are.
 *
 * Never opens, waits or logs. */
#include "resolver/solve/pool.h"

#include <solv/evr.h>
#include <solv/problems.h>
#include <solv/solver.h>

#define CONFLICT_WORDS_MAX 16	      /* conflicts that are explained; explaining one takes a run */
#define EXPLAIN_RELATIONS_MAX 4096    /* relations of a package whose rules are explained */
#define EFFORT_RUN_MAX (8 << 20)      /* of solve_effort(), for one run */
#define EFFORT_MAX (INT64_C(1) << 26) /* and for all */

#define EFFORT_FAILED 16   /* weak jobs that one failing among them makes as dear as a rule */
#define TOGETHER_MAX 10000 /* requirements in one run; the wanted packages always share one */

enum verdict { UNSOLVABLE, SOLVED, TOO_MUCH };

struct item {
	Id what; /* a package, or a requirement */
	bool dep;
	size_t wanted; /* place in closure->wanted, SIZE_MAX for what came on the way */
};

struct items {
	struct item *item;
	size_t count, room;
};

struct run {
	struct closure *closure;
	Map expanded;	    /* packages taken as they are */
	struct deps seen;   /* requirements that were pending once */
	Queue together;	    /* jobs that the first run satisfied */
	struct items apart; /* wanted packages that it did not */
	bool first_done;
	int64_t effort;	  /* that the solver may still take; below 0: all is used up */
	size_t not_tried; /* pending things when that was used up */
};

static int items_add(struct items *items, struct item item)
{
	if (items->count == items->room) {
		size_t room = items->room ? items->room * 2 : 64;
		struct item *more = realloc(items->item, room * sizeof(*more));

		if (!more)
			return -ENOMEM;
		items->item = more;
		items->room = room;
	}
	items->item[items->count++] = item;
	return 0;
}

static void items_done(struct items *items)
{
	free(items->item);
}

static void solver_freep(Solver **solver)
{
	if (*solver)
		solver_free(*solver);
}

/* The flags are those that dnf sets for an installation. */
static Solver *new_solver(Pool *pool)
{
	Solver *solver = solver_create(pool);

	solver_set_flag(solver, SOLVER_FLAG_IGNORE_RECOMMENDED, 1);
	solver_set_flag(solver, SOLVER_FLAG_ALLOW_VENDORCHANGE, 1);
	solver_set_flag(solver, SOLVER_FLAG_BEST_OBEY_POLICY, 1);
	solver_set_flag(solver, SOLVER_FLAG_YUM_OBSOLETES, 1);
	solver_set_flag(solver, SOLVER_FLAG_URPM_REORDER, 1);
	return solver;
}

static void add_job(Queue *jobs, const struct item *item, Id flags)
{
	Id select = item->dep ? SOLVER_SOLVABLE_PROVIDES : SOLVER_SOLVABLE;

	queue_push2(jobs, SOLVER_INSTALL | select | flags, item->what);
}

static size_t count_relations(const struct solve_pool *pool, Id p)
{
	const Solvable *s = pool_id2solvable(pool->pool, p);
	const Offset lists[] = { s->requires, s->conflicts, s->obsoletes };
	size_t count = 0;

	for (size_t i = 0; i < ARRAY_SIZE(lists) && s->repo; i++)
		for (const Id *id = s->repo->idarraydata + lists[i]; lists[i] && *id; id++)
			count++;
	return count;
}

/* libsolv finds the words for a rule by making all rules of its packages again, which for one with
 * very many relations takes far longer than the run */
static void explain(const struct solve_pool *pool, Solver *solver, struct text *words)
{
	Id rule = solver_findproblemrule(solver, 1), source, target, dep;
	_cleanup_(queue_done) Queue literals;
	SolverRuleinfo type;

	queue_init(&literals);
	solver_ruleliterals(solver, rule, &literals);
	for (int i = 0; i < literals.count; i++) {
		Id p = literals.elements[i];

		if (p < 0 && count_relations(pool, -p) > EXPLAIN_RELATIONS_MAX) {
			text_addf(words, "%s has too many requirements and conflicts to tell why",
				  solve_nevra(pool, -p));
			return;
		}
	}
	type = solver_ruleinfo(solver, rule, &source, &target, &dep);
	text_adds(words, solver_problemruleinfo2str(solver, type, source, target, dep));
}

/* What was chosen before is taken where something else would do as well. These jobs want nothing.
 */
static int solve_favouring(const struct closure *closure, Solver *solver, const Queue *jobs)
{
	_cleanup_(queue_done) Queue all;

	queue_init_clone(&all, jobs);
	for (Id p = 1; p < closure->pool->pool->nsolvables; p++)
		if (MAPTST(&closure->chosen, p))
			queue_push2(&all, SOLVER_FAVOR | SOLVER_SOLVABLE, p);
	return solver_solve(solver, &all);
}

/* Solve @jobs. SOLVED: @ret_decided holds what gets installed. UNSOLVABLE: @words (may be NULL) say
 * why */
static enum verdict run_solver(struct run *run, Queue *jobs, Queue *ret_decided, struct text *words)
{
	struct solve_pool *pool = run->closure->pool;
	int64_t most = run->effort < EFFORT_RUN_MAX ? run->effort : EFFORT_RUN_MAX;
	_cleanup_(solver_freep) Solver *solver = NULL;
	_cleanup_(queue_done) Queue shown;
	enum verdict verdict = TOO_MUCH;
	int64_t effort;

	queue_init(&shown);
	queue_empty(ret_decided);
	if (most <= 0)
		return TOO_MUCH;
	solve_weak_show(pool, jobs, &shown);
	effort = solve_effort(pool, &shown, most);
	run->effort -= effort;
	if (effort < most) {
		int problems;

		solver = new_solver(pool->pool);
		/* a package of the other arch may be there without its sibling */
		solver_set_flag(solver, SOLVER_FLAG_NO_INFARCHCHECK, run->closure->before != NULL);
		problems = run->closure->before ? solve_favouring(run->closure, solver, jobs)
						: solver_solve(solver, jobs);
		verdict = problems ? UNSOLVABLE : SOLVED;
	}
	solve_weak_unshow(pool, &shown);
	if (verdict == SOLVED)
		solver_get_decisionqueue(solver, ret_decided);
	if (verdict == UNSOLVABLE && words)
		explain(pool, solver, words);
	return verdict;
}

static void accept(struct closure *closure, const Queue *decided)
{
	for (int i = 0; i < decided->count; i++)
		if (decided->elements[i] > SYSTEMSOLVABLE)
			MAPSET(&closure->chosen, decided->elements[i]);
}

static bool has_provider_in(const struct solve_pool *solve_pool, Id dep, const Map *set)
{
	Pool *pool = solve_pool->pool;
	Id p, pp;

	FOR_PROVIDES(p, pp, dep)
	{
		if (MAPTST(set, p))
			return true;
	}
	return false;
}

static bool is_satisfied(const struct solve_pool *pool, const struct item *item, const Map *set)
{
	return item->dep ? has_provider_in(pool, item->what, set) : MAPTST(set, item->what) != 0;
}

/* ---- what cannot be installed ------------------------------------------ */

/* One of the providers of @dep: lookaside first, then by name, newest, first listed */
static Id best_provider(const struct solve_pool *solve_pool, Id dep)
{
	Pool *pool = solve_pool->pool;
	Id p, pp, best = 0;

	FOR_PROVIDES(p, pp, dep)
	{
		const Solvable *s = pool_id2solvable(pool, p), *b = pool_id2solvable(pool, best);
		int r;

		if (!best) {
			best = p;
			continue;
		}
		r = solve_is_lookaside(solve_pool, p) - solve_is_lookaside(solve_pool, best);
		if (!r && s->name != b->name)
			r = strcmp(pool_id2str(pool, b->name), pool_id2str(pool, s->name));
		else if (!r)
			r = pool_evrcmp(pool, s->evr, b->evr, EVRCMP_COMPARE);
		if (r > 0)
			best = p;
	}
	return best;
}

/* Put the parts of @dep that are to be looked for in @next. Of a conditional one the first part:
 * too much in a repository does no harm, too little does. */
static int want_dep(struct run *run, Id dep, struct items *next)
{
	const struct solve_pool *pool = run->closure->pool;
	struct item item = { .what = dep, .dep = true, .wanted = SIZE_MAX };
	if (ISRELDEP(dep)) {
		const Reldep *rel = GETRELDEP(pool->pool, dep);
		Id name = rel->name, evr = rel->evr;

		if (rel->flags == REL_COND || rel->flags == REL_UNLESS)
			return want_dep(run, name, next);
		if (rel->flags == REL_AND) {
			int r = want_dep(run, name, next);

			return r < 0 ? r : want_dep(run, evr, next);
		}
	}
	if (!solve_can_provide(pool, dep, NULL) ||
	    is_satisfied(pool, &item, &run->closure->chosen) || !deps_add(&run->seen, dep))
		return 0;
	return items_add(next, item);
}

static int report(struct strings *list, const char *a, const char *b, const char *c, const char *d)
{
	_cleanup_(text_done) struct text line = { 0 };

	text_addf(&line, "%s%s%s%s", a, b, c, d);
	return line.failed ? -ENOMEM : strings_add(list, line.data);
}

/* Take package @p as it is; @words say why the solver would not */
static int expand(struct run *run, Id p, const char *words, bool requested, struct items *next)
{
	const struct solve_pool *pool = run->closure->pool;
	struct strings *unresolved = &run->closure->answer->unresolved;
	const Id *requires = solve_requires(pool, p);
	bool told = false;
	Id dep;
	int r;

	if (MAPTST(&run->expanded, p))
		return 0;
	MAPSET(&run->expanded, p);
	MAPSET(&run->closure->chosen, p);
	while ((dep = next_requirement(&requires))) {
		if (!solve_can_provide(pool, dep, NULL)) {
			told = true;
			r = report(unresolved, solve_nevra(pool, p), " requires ",
				   pool_dep2str(pool->pool, dep), ": nothing provides it");
			if (r < 0)
				return r;
		}
		r = want_dep(run, dep, next);
		if (r < 0)
			return r;
	}
	if (requested && !told)
		return report(unresolved, solve_nevra(pool, p), " cannot be installed: ", words,
			      "");
	return 0;
}

/* The newest version under the name of @item failed: 1 when an older one went into the set, else 0
 */
static int try_older(struct run *run, const struct item *item, const char *words)
{
	struct closure *closure = run->closure;
	struct wanted *wanted = &closure->wanted[item->wanted];
	_cleanup_(queue_done) Queue matches, jobs, decided;

	queue_init(&matches);
	queue_init(&jobs);
	queue_init(&decided);
	solve_match(closure->pool, closure->names->item[wanted->name], &matches);
	for (int i = 1; i < matches.count; i++) {
		struct item older = { .what = matches.elements[i], .wanted = item->wanted };
		_cleanup_(text_done) struct text line = { 0 };

		queue_empty(&jobs);
		add_job(&jobs, &older, 0);
		if (solve_is_broken(closure->pool, older.what, false) ||
		    run_solver(run, &jobs, &decided, NULL) != SOLVED)
			continue;
		accept(closure, &decided);
		wanted->package = older.what;
		text_addf(&line, "%s cannot be installed: %s; ",
			  solve_nevra(closure->pool, item->what), words);
		text_addf(&line, "%s is taken instead", solve_nevra(closure->pool, older.what));
		if (line.failed || strings_add(&closure->answer->conflicts, line.data) < 0)
			return -ENOMEM;
		return 1;
	}
	return 0;
}

static int solve_alone(struct run *run, const struct item *item, struct items *next)
{
	struct solve_pool *pool = run->closure->pool;
	_cleanup_(queue_done) Queue jobs, decided;
	_cleanup_(text_done) struct text words = { 0 };
	enum verdict verdict = UNSOLVABLE;
	int r;

	queue_init(&jobs);
	queue_init(&decided);
	if (is_satisfied(pool, item, &run->closure->chosen) &&
	    (item->dep || !MAPTST(&run->expanded, item->what)))
		return 0;
	if (!solve_is_broken(pool, item->what, item->dep)) {
		add_job(&jobs, item, 0);
		verdict = run_solver(run, &jobs, &decided, &words);
	} else if (!item->dep) {
		solve_broken_words(pool, item->what, &words);
	}
	if (verdict == SOLVED) {
		accept(run->closure, &decided);
		return 0;
	}
	run->not_tried += verdict == TOO_MUCH;
	if (words.failed)
		return -ENOMEM;
	if (item->dep || verdict == TOO_MUCH)
		return expand(run, item->dep ? best_provider(pool, item->what) : item->what, "",
			      false, next);
	r = try_older(run, item, words.data);
	return r ? (r < 0 ? r : 0) : expand(run, item->what, words.data, true, next);
}

/* ---- rounds ------------------------------------------------------------ */

/* All of @pending in one run; what it leaves over goes to @left */
static int solve_together(struct run *run, const struct items *pending, struct items *left)
{
	struct solve_pool *pool = run->closure->pool;
	_cleanup_(queue_done) Queue jobs, decided;
	_cleanup_(map_done) Map set;
	int failed;

	queue_init(&jobs);
	queue_init(&decided);
	map_init(&set, pool->pool->nsolvables);
	queue_prealloc(&jobs, 2 * (int)pending->count);
	for (size_t i = 0; i < pending->count; i++)
		if (!solve_is_broken(pool, pending->item[i].what, pending->item[i].dep))
			add_job(&jobs, &pending->item[i], SOLVER_WEAK);
	failed = jobs.count / 2;
	if (jobs.count)
		(void)run_solver(run, &jobs, &decided, NULL);
	for (int i = 0; i < decided.count; i++)
		if (decided.elements[i] > SYSTEMSOLVABLE)
			MAPSET(&set, decided.elements[i]);
	for (size_t i = 0; i < pending->count; i++) {
		const struct item *item = &pending->item[i];
		bool satisfied = is_satisfied(pool, item, &set);

		failed -= satisfied;
		if (!satisfied && items_add(left, *item) < 0)
			return -ENOMEM;
		if (!run->first_done && satisfied)
			add_job(&run->together, item, 0);
		if (!run->first_done && !satisfied && items_add(&run->apart, *item) < 0)
			return -ENOMEM;
	}
	run->effort -= (int64_t)failed * (jobs.count / 2) / EFFORT_FAILED;
	accept(run->closure, &decided);
	return 0;
}

static int round_of(struct run *run, const struct items *pending, struct items *ret_next)
{
	_cleanup_(items_done) struct items left = { 0 };
	size_t most = run->first_done ? TOGETHER_MAX : pending->count;
	int r = 0;

	for (size_t i = 0; pending->count > 1 && i < pending->count; i += most) {
		size_t rest = pending->count - i;
		struct items part = { .item = pending->item + i,
				      .count = rest < most ? rest : most };

		r = solve_together(run, &part, &left);
		if (r < 0)
			return r;
	}
	if (pending->count > 1 && left.count < pending->count) {
		*ret_next = left;
		left = (struct items){ 0 };
		return 0;
	}
	for (size_t i = 0; i < pending->count && r >= 0; i++)
		r = solve_alone(run, &pending->item[i], ret_next);
	return r;
}

/* Words for the wanted packages that the first run let go though they can be installed by
 * themselves */
static int tell_conflicts(struct run *run)
{
	struct closure *closure = run->closure;
	_cleanup_(queue_done) Queue decided;
	size_t told = 0;

	queue_init(&decided);
	for (size_t i = 0; i < run->apart.count; i++) {
		const struct item *item = &run->apart.item[i];
		_cleanup_(text_done) struct text words = { 0 };

		if (MAPTST(&run->expanded, item->what) ||
		    closure->wanted[item->wanted].package != item->what)
			continue;
		if (told++ < CONFLICT_WORDS_MAX) {
			add_job(&run->together, item, 0);
			(void)run_solver(run, &run->together, &decided, &words);
			queue_truncate(&run->together, run->together.count - 2);
		}
		if (words.failed ||
		    report(&closure->answer->conflicts, solve_nevra(closure->pool, item->what),
			   " was solved apart", words.length ? ": " : "",
			   words.length ? words.data : "") < 0)
			return -ENOMEM;
	}
	return 0;
}

static int tell_not_tried(struct run *run)
{
	char count[24];

	if (!run->not_tried)
		return 0;
	(void)snprintf(count, sizeof(count), "%zu", run->not_tried);
	return report(&run->closure->answer->conflicts, "too much to solve: ", count,
		      " packages and requirements were taken as they are", "");
}

static void run_done(struct run *run)
{
	map_free(&run->expanded);
	deps_done(&run->seen);
	queue_free(&run->together);
	items_done(&run->apart);
}

int solve_close(struct closure *closure, struct error *err)
{
	_cleanup_(run_done) struct run run = { .closure = closure, .effort = EFFORT_MAX };
	_cleanup_(items_done) struct items pending = { 0 };

	map_init(&run.expanded, closure->pool->pool->nsolvables);
	deps_init(&run.seen, closure->pool->pool);
	queue_init(&run.together);
	if (solve_find_broken(closure->pool) < 0)
		return error_oom(err);
	for (size_t i = 0; i < closure->count; i++) {
		struct item item = { .what = closure->wanted[i].package, .wanted = i };
		int r = closure->before ? expand(&run, item.what, "", false, &pending)
					: items_add(&pending, item);

		if (r < 0)
			return error_oom(err);
	}
	run.first_done = closure->before != NULL;
	while (pending.count) {
		struct items next = { 0 };
		int r = round_of(&run, &pending, &next);

		run.first_done = true;
		items_done(&pending);
		pending = next;
		if (r < 0)
			return error_oom(err);
	}
	return tell_conflicts(&run) < 0 || tell_not_tried(&run) < 0 ? error_oom(err) : 0;
}
