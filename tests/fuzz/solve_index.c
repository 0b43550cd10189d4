/* SPDX-License-Identifier: MIT */
/* tests/fuzz/solve_index.c: primary XML through libsolv and back: index, load, everything, one
 * name. */
#include "resolver/solve/solve.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void solve(FILE *solv, uint32_t count)
{
	_cleanup_(solve_pool_freep) struct solve_pool *pool = NULL;
	_cleanup_(solve_answer_freep) struct solve_answer *all = NULL, *some = NULL;
	_cleanup_(strings_done) struct strings names = { 0 }, paths = { 0 };
	struct solve_request request = { 0 };
	struct error err = { 0 };

	if (solve_pool_new("x86_64", &pool, &err) < 0 ||
	    solve_pool_add(pool, solv, count, false, &err) < 0 ||
	    solve_pool_prepare(pool, &err) < 0)
		abort(); /* what we wrote ourselves can be read */
	(void)solve_pool_open_paths(pool, &paths, &err);
	if (solve_run(pool, &request, &all, &err) < 0)
		abort();
	strings_add(&names, "a");
	strings_add(&names, "b");
	request.names = &names;
	if (solve_run(pool, &request, &some, &err) < 0 || some->count > count)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(fclosep) FILE *primary = tmpfile(), *solv = tmpfile();
	struct error err = { 0 };
	uint32_t count;

	if (!primary || !solv || fwrite(data, 1, size, primary) != size)
		return 0;
	rewind(primary);
	if (solve_index(primary, NULL, 0, solv, &count, &err) < 0)
		return 0;
	rewind(solv);
	solve(solv, count);
	return 0;
}
