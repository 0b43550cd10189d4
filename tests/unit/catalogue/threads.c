/* SPDX-License-Identifier: MIT */
/* tests/unit/catalogue/threads.c: many callers at once: nothing lost or doubled, news in order, a
 * log that does not grow without end, renewals that race with the end. To be run under
 * -Db_sanitize=thread too. */
#include "tests/unit/catalogue/common.h"

#include <pthread.h>
#include <sys/stat.h>

#define THREADS 16
#define IDS 8192

/* ---- news, in order ---------------------------------------------------- */

/* What the watcher has been told; its own lock, as a front door would have. */
struct told {
	pthread_mutex_t lock;
	enum compose_state state[IDS]; /* under lock */
	int64_t expires[IDS];	       /* under lock */
	bool known[IDS];	       /* under lock */
	int events, wrong;	       /* under lock */
};

static _Thread_local int verbs_under_way; /* 1 within a verb of this thread */

static void told_watch(void *data, const struct catalogue_event *event)
{
	struct told *told = data;
	int64_t id;

	pthread_mutex_lock(&told->lock);
	told->events++;
	if (verbs_under_way != 1)
		told->wrong++; /* not in the thread of the verb */
	if (!event->request_only) {
		id = event->compose->id;
		if (event->old_state == STATE_DRAFT ? told->known[id]
						    : told->state[id] != event->old_state)
			told->wrong++; /* not in the order of the commits */
		told->known[id] = true;
		told->state[id] = event->compose->state;
		told->expires[id] = event->compose->time_to_expire;
	}
	pthread_mutex_unlock(&told->lock);
}

/* ---- the crowd --------------------------------------------------------- */

struct crowd {
	struct catalogue *catalogue;
	atomic_int submitted, claimed, finished, failed, bad;
	atomic_int claims[IDS]; /* how often each was handed out */
	atomic_bool stop;
	int rounds;
};

struct member {
	struct crowd *crowd;
	int number;
	pthread_t thread;
};

static void expect(struct crowd *crowd, bool good)
{
	if (!good)
		atomic_fetch_add(&crowd->bad, 1);
}

static void member_write(struct crowd *crowd, unsigned int *seed)
{
	static const char *const owners[] = { "a", "b", "c" };
	struct catalogue *catalogue = crowd->catalogue;
	int64_t id = test_submit(catalogue, owners[rand_r(seed) % 3]), claimed, expires;
	int r;

	expect(crowd, id > 0 && id < IDS);
	atomic_fetch_add(&crowd->submitted, 1);
	if (rand_r(seed) % 8 == 0) {
		r = catalogue_cancel(catalogue, id, "x", NULL);
		expect(crowd, r == 0 || r == -ESTALE); /* done by somebody meanwhile */
		if (r == 0)
			atomic_fetch_add(&crowd->failed, 1);
	}
	claimed = test_claim(catalogue);
	expect(crowd, claimed >= 0);
	if (claimed <= 0)
		return;
	atomic_fetch_add(&crowd->claimed, 1);
	atomic_fetch_add(&crowd->claims[claimed], 1);
	if (rand_r(seed) % 4 == 0) {
		r = catalogue_fail(catalogue, claimed, "x", NULL);
		expect(crowd, r == 0 || r == -ESTALE); /* cancelled by who submitted it */
		if (r == 0)
			atomic_fetch_add(&crowd->failed, 1);
		return;
	}
	r = test_finish_compose(catalogue, claimed, NULL);
	expect(crowd, r == 0 || r == -ESTALE);
	if (r < 0)
		return;
	atomic_fetch_add(&crowd->finished, 1);
	r = catalogue_renew(catalogue, claimed, 5000 + claimed, RENEW_SET, &expires, NULL);
	expect(crowd, r == 0 && expires == TEST_START + 5000 + claimed);
}

static void *writer_run(void *data)
{
	struct member *member = data;
	unsigned int seed = (unsigned int)member->number;

	verbs_under_way = 1;
	for (int i = 0; i < member->crowd->rounds; i++)
		member_write(member->crowd, &seed);
	return NULL;
}

static bool sane_visit(void *data, const struct compose *compose)
{
	expect(data, compose->id > 0 && compose->spec && compose->owner[0] >= 'a');
	return false;
}

static bool request_visit(void *data, const struct request *request)
{
	expect(data, request->number > 0);
	return false;
}

static void *reader_run(void *data)
{
	struct member *member = data;
	struct crowd *crowd = member->crowd;
	unsigned int seed = (unsigned int)member->number;
	struct compose_query query = COMPOSE_QUERY_ALL;
	int64_t total, time;

	while (!atomic_load(&crowd->stop)) {
		_cleanup_(compose_freep) struct compose *compose = NULL;
		int64_t id = 1 + rand_r(&seed) % 500;
		int r = catalogue_get(crowd->catalogue, id, &compose, NULL);

		expect(crowd, r == -ENOENT || (r == 0 && compose->id == id));
		query.order = (enum compose_order)(rand_r(&seed) % 8);
		query.limit = 10;
		query.owner = rand_r(&seed) % 2 ? "b" : NULL;
		r = catalogue_query(crowd->catalogue, &query, sane_visit, crowd, &total, NULL);
		expect(crowd, r == 0);
		expect(crowd, catalogue_next_expiry(crowd->catalogue, &time, NULL) == 0);
		if (rand_r(&seed) % 16 == 0)
			expect(crowd, catalogue_request_list(crowd->catalogue, 0, request_visit,
							     crowd, NULL) == 0);
	}
	return NULL;
}

static void check_end(struct crowd *crowd, struct told *told)
{
	struct compose_tally tally = { 0 };
	struct error err = { 0 };
	int64_t total = 0, sum[STATE_FAILED + 1] = { 0 };
	int doubled = 0, differ = 0;

	CHECK_INT(catalogue_query(crowd->catalogue, &COMPOSE_QUERY_ALL, NULL, NULL, &total, NULL),
		  0);
	CHECK_INT(total, crowd->submitted);
	CHECK_INT(catalogue_tally(crowd->catalogue, &tally, NULL), 0);
	for (int type = SOURCE_TAG; type <= SOURCE_PUNGI_COMPOSE; type++)
		for (int state = 0; state <= STATE_FAILED; state++)
			sum[state] += tally.count[type][state];
	CHECK_INT(sum[STATE_DONE], crowd->finished);
	CHECK_INT(sum[STATE_FAILED], crowd->failed);
	CHECK_INT(sum[STATE_GENERATING], 0);
	for (int64_t id = 1; id <= total; id++) {
		_cleanup_(compose_freep) struct compose *compose = test_get(crowd->catalogue, id);

		doubled += crowd->claims[id] > 1;
		differ += told->state[id] != compose->state ||
			  told->expires[id] != compose->time_to_expire;
	}
	CHECK_INT(doubled, 0); /* none was handed out twice */
	CHECK_INT(differ, 0);  /* the last news is what stands */
	CHECK_INT(told->wrong, 0);
	CHECK_INT(crowd->bad, 0);
	CHECK_INT(catalogue_integrity(crowd->catalogue, &err), 0);
	printf("%d submitted, %d claimed, %d finished, %d failed, %d news\n", crowd->submitted,
	       crowd->claimed, crowd->finished, crowd->failed, told->events);
}

static void test_crowd(int rounds)
{
	static struct told told = { .lock = PTHREAD_MUTEX_INITIALIZER };
	static struct crowd crowd;
	struct member members[THREADS];
	struct stat status = { 0 };
	char path[160];

	crowd.rounds = rounds;
	crowd.catalogue = test_open(test_path("crowd"));
	CHECK_INT(catalogue_watch(crowd.catalogue, told_watch, &told), 0);
	for (int i = 0; i < THREADS; i++) {
		members[i] = (struct member){ .crowd = &crowd, .number = i + 1 };
		CHECK_INT(pthread_create(&members[i].thread, NULL, i % 2 ? reader_run : writer_run,
					 &members[i]),
			  0);
	}
	for (int i = 0; i < THREADS; i += 2)
		CHECK_INT(pthread_join(members[i].thread, NULL), 0);
	atomic_store(&crowd.stop, true);
	for (int i = 1; i < THREADS; i += 2)
		CHECK_INT(pthread_join(members[i].thread, NULL), 0);
	CHECK_INT(crowd.submitted, THREADS / 2 * rounds);
	check_end(&crowd, &told);
	(void)snprintf(path, sizeof(path), "%s-wal", test_path("crowd"));
	CHECK_INT(stat(path, &status), 0);
	printf("log of %lld KiB\n", (long long)status.st_size / 1024);
	CHECK(status.st_size < 48 << 20); /* readers without a gap have not kept it growing */
	catalogue_close(crowd.catalogue);
}

/* ---- renewals that race with the end ----------------------------------- */

struct race {
	struct catalogue *catalogue;
	int64_t id;
	pthread_barrier_t start;
	int renewed[2];
	int64_t expires[2], removed;
	bool stop;
};

struct racer {
	struct race *race;
	int number;
	pthread_t thread;
};

static void *race_run(void *data)
{
	struct racer *racer = data;
	struct race *race = racer->race;
	int number = racer->number;

	for (;;) {
		(void)pthread_barrier_wait(&race->start);
		if (race->stop)
			return NULL;
		if (number < 2)
			race->renewed[number] =
				catalogue_renew(race->catalogue, race->id, 500, RENEW_EXTEND,
						&race->expires[number], NULL);
		else if (catalogue_expire(race->catalogue, test_now(), &race->removed, NULL) < 0)
			race->removed = -1;
		(void)pthread_barrier_wait(&race->start);
	}
}

/* Two renew while one expires: all were first, or all were told no. */
static void test_race(int rounds)
{
	struct race race = { .catalogue = test_open(test_path("race")) };
	struct racer racers[3];
	int won = 0, lost = 0;

	CHECK_INT(pthread_barrier_init(&race.start, NULL, 4), 0);
	for (int i = 0; i < 3; i++) {
		racers[i] = (struct racer){ .race = &race, .number = i };
		CHECK_INT(pthread_create(&racers[i].thread, NULL, race_run, &racers[i]), 0);
	}
	for (int round = 0; round < rounds; round++) {
		_cleanup_(compose_freep) struct compose *compose = NULL;

		race.id = test_submit(race.catalogue, "a");
		CHECK_INT(test_claim(race.catalogue), race.id);
		CHECK_INT(test_finish_compose(race.catalogue, race.id, NULL), 0);
		test_advance(1000); /* its second has come */
		(void)pthread_barrier_wait(&race.start);
		(void)pthread_barrier_wait(&race.start);
		compose = test_get(race.catalogue, race.id);
		if (race.removed) {
			CHECK_INT(race.renewed[0], -ESTALE);
			CHECK_INT(race.renewed[1], -ESTALE);
			CHECK_INT(compose->state, STATE_REMOVED);
			lost++;
		} else {
			CHECK_INT(compose->state, STATE_DONE);
			CHECK_INT(compose->time_to_expire, test_now() + 500);
			for (int i = 0; i < 2; i++) {
				CHECK_INT(race.renewed[i], 0);
				CHECK_INT(race.expires[i], test_now() + 500);
			}
			CHECK_INT(catalogue_delete(race.catalogue, race.id, "x", NULL), 0);
			CHECK_INT(catalogue_expire(race.catalogue, test_now(), &race.removed, NULL),
				  0);
			CHECK_INT(race.removed, 1);
			won++;
		}
	}
	race.stop = true;
	(void)pthread_barrier_wait(&race.start);
	for (int i = 0; i < 3; i++)
		CHECK_INT(pthread_join(racers[i].thread, NULL), 0);
	CHECK_INT(pthread_barrier_destroy(&race.start), 0);
	printf("renewals: %d won, %d told no\n", won, lost);
	catalogue_close(race.catalogue);
}

/* ---- many at the pool's end -------------------------------------------- */

static void *pool_run(void *data)
{
	struct crowd *crowd = data;

	for (int i = 0; i < 50; i++)
		expect(crowd, catalogue_query(crowd->catalogue, &COMPOSE_QUERY_ALL, sane_visit,
					      crowd, NULL, NULL) == 0);
	return NULL;
}

/* More readers than connections: they take turns. */
static void test_pool(void)
{
	static struct crowd crowd;
	pthread_t threads[48];

	crowd.catalogue = test_open(test_path("pool"));
	for (int i = 0; i < 20; i++)
		CHECK(test_submit(crowd.catalogue, "a") > 0);
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
		CHECK_INT(pthread_create(&threads[i], NULL, pool_run, &crowd), 0);
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
		CHECK_INT(pthread_join(threads[i], NULL), 0);
	CHECK_INT(crowd.bad, 0);
	catalogue_close(crowd.catalogue);
}

int main(void)
{
	const char *wanted = getenv("ODCSFS_TEST_ROUNDS");
	int rounds = wanted ? atoi(wanted) : 100;

	test_begin();
	test_crowd(rounds < IDS / THREADS ? rounds : IDS / THREADS);
	test_race(rounds);
	test_pool();
	test_finish();
	TEST_END();
}
