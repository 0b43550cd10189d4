/* SPDX-License-Identifier: MIT */
/* tests/unit/solve/scene.h: small made-up repositories, and what is solved over them, in short
 * words.
 *
 * One package per line: NEVRA fields, then words. r:X requires, p:X provides, c:X conflicts,
 * o:X obsoletes, m:X recommends, f:/PATH a file in primary; "X=1" is X with version 1, "_" a blank.
 * What cannot be set up ends the program. */
#pragma once

#include "resolver/solve/solve.h"

/** scene_primary() - the lines as a primary.xml; malloc'ed */
char *scene_primary(const char *lines);
/** scene_load() - one more repository for @pool */
void scene_load(struct solve_pool *pool, const char *lines, bool lookaside,
		const struct solve_path *paths, size_t path_count);
/** scene_pool() - of x86_64, prepared; @second and @lookaside may be NULL */
struct solve_pool *scene_pool(const char *first, const char *second, const char *lookaside);
/** scene_ask() - @names: separated by blanks; NULL: everything */
struct solve_answer *scene_ask(struct solve_pool *pool, const char *names, bool no_deps);
/** scene_choices() - "0:1 0:2 -missing"; malloc'ed */
char *scene_choices(const struct solve_answer *answer);
/** scene_solve() - the choices of scene_ask() */
char *scene_solve(struct solve_pool *pool, const char *names);
