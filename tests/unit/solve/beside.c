/* SPDX-License-Identifier: MIT */
/* tests/unit/solve/beside.c: what is hidden from the solver, and packages of another arch beside a
 * set that stands. */
#include "tests/unit/solve/scene.h"
#include "tests/unit/test.h"

static void expect(struct solve_pool *pool, const char *names, const char *want)
{
	_cleanup_(freep) char *got = scene_solve(pool, names);

	CHECK_STR(got, want);
}

/* A hidden package is nobody's: not by name, not as a provider, not with everything */
static void test_hidden(void)
{
	_cleanup_(solve_pool_freep) struct solve_pool *pool = NULL;
	struct error err = { 0 };

	CHECK_INT(solve_pool_new("x86_64", &pool, &err), 0);
	scene_load(pool, "a 0 1 1 noarch r:b\nb 0 2 1 noarch\nb 0 1 1 noarch\nc 0 1 1 noarch",
		   false, NULL, 0);
	CHECK_INT(solve_pool_hide(pool, 0, 1, &err), 0);
	CHECK_INT(solve_pool_hide(pool, 0, 3, &err), 0);
	CHECK_INT(solve_pool_hide(pool, 0, 4, &err), -EINVAL);
	CHECK_INT(solve_pool_hide(pool, 1, 0, &err), -EINVAL);
	CHECK_INT(solve_pool_prepare(pool, &err), 0);
	CHECK_INT(solve_pool_hide(pool, 0, 0, &err), -EINVAL); /* too late */
	expect(pool, "a", "0:0 0:2");
	expect(pool, "c b-2-1.noarch", " -b-2-1.noarch -c");
	expect(pool, NULL, "0:0 0:2");
}

/* ---- another arch beside ------------------------------------------------- */

static char *beside(struct solve_pool *pool, const char *set, const char *wanted, bool no_deps,
		    bool check_deps, struct error *err)
{
	struct solve_place place[2][16];
	struct solve_beside_request request = {
		.set = place[0], .wanted = place[1], .no_deps = no_deps, .check_deps = check_deps
	};
	_cleanup_(solve_answer_freep) struct solve_answer *answer = NULL;

	for (; *set; set++)
		place[0][request.set_count++] = (struct solve_place){ 0, (uint32_t)(*set - '0') };
	for (; *wanted; wanted++)
		place[1][request.wanted_count++] =
			(struct solve_place){ 0, (uint32_t)(*wanted - '0') };
	if (solve_beside(pool, &request, &answer, err) < 0)
		return strdup("");
	for (size_t i = 0; i < answer->count; i++)
		if (!strcmp(answer->choice[i].reason, "requested"))
			CHECK(strchr(wanted - request.wanted_count,
				     (int)('0' + answer->choice[i].index)));
	return scene_choices(answer);
}

static void test_beside(void)
{
	static const struct {
		const char *set, *wanted;
		bool no_deps;
		const char *want;
	} cases[] = {
		{ "035", "4", false, "0:1 0:2 0:4 0:7" }, /* what the set has is not taken twice */
		{ "035", "4", true, "0:4" },
		{ "0358", "4", false,
		  "0:1 0:2 0:4" }, /* of two that would do the one that is there */
		{ "0358", "44", false, "0:1 0:2 0:4" },
		{ "03", "1", false, "0:1 0:2" },
		{ "0123", "1", false, "" },
		{ "", "6", false, "0:6" },
		{ "03", "9", false,
		  "0:9" }, /* of another arch all the same: asked for by its place */
	};
	_cleanup_(solve_pool_freep) struct solve_pool *pool = NULL;
	struct error err = { 0 };

	CHECK_INT(solve_pool_new_beside("x86_64", &pool, &err), 0);
	scene_load(pool,
		   "libc 0 1 1 x86_64 p:libc64 c:old\n"
		   "libc 0 1 1 i686 p:libc32 r:libc-common=1 c:old\n"
		   "libc-common 0 1 1 noarch p:libc-common=1\n"
		   "app 0 1 1 x86_64 r:libc64\n"
		   "app 0 1 1 i686 r:libc32 r:sh r:helper\n"
		   "sh 0 1 1 x86_64 p:sh\n"
		   "sh 0 1 1 i686 p:sh\n"
		   "a-helper 0 1 1 x86_64 p:helper\n"
		   "b-helper 0 1 1 x86_64 p:helper\n"
		   "odd 0 1 1 i386\n"
		   "gone 0 1 1 i686 r:nothing",
		   false, NULL, 0);
	CHECK_INT(solve_pool_prepare(pool, &err), 0);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_(freep) char *got = beside(pool, cases[i].set, cases[i].wanted,
						    cases[i].no_deps, !cases[i].no_deps, &err);

		CHECK_STR(got, cases[i].want);
		CHECK_STR(err.message, "");
	}
	free(beside(pool, "03", ":", false, true, &err)); /* the one behind 9 */
	CHECK_INT(err.code, -ENOPKG);
	CHECK(strstr(err.message, "gone-1-1.i686 requires nothing") != NULL);
	free(beside(pool, "03", ";", false, false, &err)); /* there is none */
	CHECK_INT(err.code, -EINVAL);
}

int main(void)
{
	test_hidden();
	test_beside();
	TEST_END();
}
