/* SPDX-License-Identifier: MIT */
/* tests/unit/solve/run.c: solve sets of names from standard input, for compare_dnf.py and for
 * timing.
 *
 * run ARCH PRIMARY... [--lookaside PRIMARY...]: primary files are plain XML. Each input line is one
 * set of blank-separated names; each output line is the set's choices as REPOSITORY:INDEX, then "|"
 * and the missing names. Timings go to stderr with --time. */
#include "resolver/solve/solve.h"

#include <time.h>

static double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static int load(struct solve_pool *pool, const char *path, bool lookaside, struct error *err)
{
	_cleanup_(fclosep) FILE *primary = fopen(path, "re");
	_cleanup_(fclosep) FILE *solv = tmpfile();
	uint32_t count;
	int r;

	if (!primary || !solv)
		return error_errno(err, -errno, "%s", path);
	r = solve_index(primary, NULL, 0, solv, &count, err);
	if (r < 0)
		return r;
	rewind(solv);
	return solve_pool_add(pool, solv, count, lookaside, err);
}

static int solve_line(struct solve_pool *pool, const char *line, bool show_time, struct error *err)
{
	_cleanup_(strings_done) struct strings names = { 0 };
	_cleanup_(solve_answer_freep) struct solve_answer *answer = NULL;
	struct solve_request request = { .names = &names };
	double start = now_ms();
	int r;

	if (strings_split(&names, line, ' ') < 0)
		return error_oom(err);
	r = solve_run(pool, &request, &answer, err);
	if (r < 0)
		return r;
	if (show_time)
		fprintf(stderr, "%zu packages in %.2f ms\n", answer->count, now_ms() - start);
	for (size_t i = 0; i < answer->count; i++)
		printf("%u:%u ", answer->choice[i].repository, answer->choice[i].index);
	printf("|");
	for (size_t i = 0; i < answer->missing.count; i++)
		printf(" %s", answer->missing.item[i]);
	printf("\n");
	fflush(stdout);
	for (size_t i = 0; show_time && i < answer->unresolved.count; i++)
		fprintf(stderr, "unresolved: %s\n", answer->unresolved.item[i]);
	for (size_t i = 0; show_time && i < answer->conflicts.count; i++)
		fprintf(stderr, "conflict: %s\n", answer->conflicts.item[i]);
	return 0;
}

int main(int argc, char **argv)
{
	_cleanup_(solve_pool_freep) struct solve_pool *pool = NULL;
	_cleanup_(freep) char *line = NULL;
	struct error err = { 0 };
	bool lookaside = false, show_time = false;
	size_t room = 0;
	ssize_t length;
	int r = argc < 3 ? -EINVAL : solve_pool_new(argv[1], &pool, &err);

	for (int i = 2; i < argc && r >= 0; i++) {
		if (!strcmp(argv[i], "--lookaside"))
			lookaside = true;
		else if (!strcmp(argv[i], "--time"))
			show_time = true;
		else
			r = load(pool, argv[i], lookaside, &err);
	}
	if (r >= 0)
		r = solve_pool_prepare(pool, &err);
	while (r >= 0 && (length = getline(&line, &room, stdin)) > 0) {
		line[strcspn(line, "\n")] = '\0';
		r = solve_line(pool, line, show_time, &err);
	}
	if (r < 0)
		fprintf(stderr, "run: %s\n", err.message);
	return r < 0;
}
