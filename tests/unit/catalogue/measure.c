/* SPDX-License-Identifier: MIT */
/* tests/unit/catalogue/measure.c: how many verbs a second. Not a test: prints figures.
 *
 * usage: measure-catalogue DIRECTORY [SECONDS]; makes DIRECTORY/measure.sqlite and removes it. */
#include "core/catalogue/catalogue.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

static const char written[] =
	"{\"source\": {\"type\": \"repo\", \"source\": \"/srv/repo\", \"packages\": [\"apache2\", "
	"\"nginx\", \"openssl\", \"git\", \"postgresql\", \"python3-flask\", \"redis-server\", "
	"\"curl\"]}}";

struct bench {
	struct catalogue *catalogue;
	struct spec *spec;
	int64_t rows;
	atomic_bool stop;
	int (*step)(struct bench *bench, unsigned int *seed);
	enum compose_order order;
	bool descending;
	const char *owner;
};

struct runner {
	struct bench *bench;
	pthread_t thread;
	unsigned int seed;
	int64_t count;
	int result;
};

static int submit_step(struct bench *bench, unsigned int *seed)
{
	static const char *const owners[] = { "alice", "bob", "carol", "dave" };
	struct submission submission = {
		.owner = owners[rand_r(seed) % 4],
		.uid = 1000,
		.gid = 1000,
		.spec = bench->spec,
		.text = written,
		.text_length = sizeof(written) - 1,
	};
	_cleanup_(compose_freep) struct compose *compose = NULL;

	return catalogue_submit(bench->catalogue, &submission, NULL, &compose, NULL);
}

static int get_step(struct bench *bench, unsigned int *seed)
{
	_cleanup_(compose_freep) struct compose *compose = NULL;

	return catalogue_get(bench->catalogue, 1 + rand_r(seed) % bench->rows, &compose, NULL);
}

static bool count_visit(void *data, const struct compose *compose)
{
	*(int64_t *)data += compose->id > 0;
	return false;
}

static int page_step(struct bench *bench, unsigned int *seed _unused_)
{
	struct compose_query query = COMPOSE_QUERY_ALL;
	int64_t total = 0, count = 0;
	int r;

	query.order = bench->order;
	query.descending = bench->descending;
	query.owner = bench->owner;
	query.limit = 10;
	r = catalogue_query(bench->catalogue, &query, count_visit, &count, &total, NULL);
	return r < 0 ? r : count == 10 ? 0 : -EIO;
}

static void *run(void *data)
{
	struct runner *runner = data;

	while (!atomic_load(&runner->bench->stop) && runner->result >= 0) {
		runner->result = runner->bench->step(runner->bench, &runner->seed);
		runner->count++;
	}
	return NULL;
}

static void measure(struct bench *bench, const char *what, int threads, double seconds,
		    int (*step)(struct bench *bench, unsigned int *seed))
{
	struct runner runners[64] = { 0 };
	int64_t start, count = 0;
	clock_t used = clock();
	int r = 0;

	bench->step = step;
	atomic_store(&bench->stop, false);
	start = time_monotonic_ms();
	for (int i = 0; i < threads; i++) {
		runners[i] = (struct runner){ .bench = bench, .seed = (unsigned int)i + 1 };
		pthread_create(&runners[i].thread, NULL, run, &runners[i]);
	}
	usleep((useconds_t)(seconds * 1e6));
	atomic_store(&bench->stop, true);
	for (int i = 0; i < threads; i++) {
		pthread_join(runners[i].thread, NULL);
		count += runners[i].count;
		r = runners[i].result < 0 ? runners[i].result : r;
	}
	used = clock() - used;
	printf("%-28s %2d threads %9.0f /s, %7.1f us of processor each%s\n", what, threads,
	       (double)count * 1000 / (double)(time_monotonic_ms() - start),
	       (double)used * 1e6 / CLOCKS_PER_SEC / (double)count, r < 0 ? " FAILED" : "");
}

static int spec_make(struct spec **ret)
{
	struct strings arches = { 0 }, none = { 0 };
	struct spec_rules rules = {
		.default_seconds_to_live = 86400,
		.maximum_seconds_to_live = 259200,
		.default_arches = &arches,
		.base_module_names = &none,
		.target_dirs = &none,
		.raw_configs = &none,
		.maximum_packages = 100,
	};
	int r = strings_add(&arches, "x86_64");

	if (r >= 0)
		r = spec_parse(written, sizeof(written) - 1, &rules, ret, NULL, NULL, NULL);
	strings_done(&arches);
	return r;
}

int main(int argc, char **argv)
{
	static const char *const orders[] = { "id",	   "owner",	     "koji_event",
					      "state",	   "time_to_expire", "time_submitted",
					      "time_done", "time_removed" };
	double seconds = argc > 2 ? atof(argv[2]) : 2;
	struct bench bench = { 0 };
	struct error err = { 0 };
	char path[4096], words[64];
	unsigned int seed = 1;

	(void)snprintf(path, sizeof(path), "%s/measure.sqlite", argc > 1 ? argv[1] : ".");
	(void)unlink(path);
	if (spec_make(&bench.spec) < 0 || catalogue_open(path, NULL, &bench.catalogue, &err) < 0) {
		fprintf(stderr, "%s\n", err.message);
		return 1;
	}
	for (; bench.rows < 5000; bench.rows++)
		if (submit_step(&bench, &seed) < 0)
			return 1;
	measure(&bench, "get, 5,000 rows", 1, seconds, get_step);
	measure(&bench, "get, 5,000 rows", 2, seconds, get_step);
	measure(&bench, "get, 5,000 rows", 8, seconds, get_step);
	for (size_t i = 0; i < ARRAY_SIZE(orders); i++) {
		bench.order = (enum compose_order)i;
		bench.descending = i == 0;
		(void)snprintf(words, sizeof(words), "page of 10 by %s", orders[i]);
		measure(&bench, words, 1, seconds / 4, page_step);
	}
	bench.order = ORDER_ID;
	bench.descending = true;
	measure(&bench, "page of 10 by id", 2, seconds, page_step);
	bench.owner = "alice";
	measure(&bench, "page of 10 of one owner", 1, seconds, page_step);
	measure(&bench, "submit", 1, seconds, submit_step);
	measure(&bench, "submit", 8, seconds, submit_step);
	measure(&bench, "submit", 32, seconds, submit_step);
	catalogue_close(bench.catalogue);
	spec_free(bench.spec);
	(void)unlink(path);
	return 0;
}
