/* SPDX-License-Identifier: MIT */
/* tests/unit/daemon/lease.c: reads are noted by any number of threads, and each compose is written
 * once a minute, or when something ends, or when the service does. */
#include "core/daemon/daemon.h"
#include "tests/unit/test.h"

#define MANY 5000
#define READERS 4

/* ---- a catalogue that remembers what it was told --------------------------- */

static size_t calls, told, largest;
static unsigned char times[MANY + 1];
static int64_t last_read, expiring;
static int answer;

int catalogue_lease(struct catalogue *catalogue, const struct lease *leases, size_t count,
		    const struct lease_terms *terms, struct error *err)
{
	CHECK_INT(terms->seconds, 60);
	CHECK_INT(terms->most, 600);
	CHECK(count > 0);
	calls++;
	expiring = terms->expiring;
	largest = count > largest ? count : largest;
	if (answer < 0)
		return error_set(err, answer, BLAME_US, NULL, "no room");
	for (size_t i = 0; i < count; i++) {
		CHECK(leases[i].id > 0 && leases[i].id <= MANY);
		times[leases[i].id]++;
		last_read = leases[i].time_read;
	}
	told += count;
	return 0;
}

static size_t written(struct leases *leases, enum lease_round kind)
{
	calls = told = largest = 0;
	leases_write(leases, kind, 77);
	return told;
}

/* ---- cases ------------------------------------------------------------------- */

static void test_rounds(struct leases *leases)
{
	CHECK_INT(written(leases, LEASE_ROUND_MINUTE), 0);
	CHECK_INT(calls, 0);
	leases_read(leases, 7);
	leases_read(leases, 7);
	leases_read(leases, 9);
	CHECK_INT(written(leases, LEASE_ROUND_MINUTE), 2); /* the first time at once */
	CHECK_INT(calls, 1);
	CHECK_INT(expiring, INT64_MAX);
	CHECK(last_read >= time_now() - 5 && last_read <= time_now());
	leases_read(leases, 7);
	CHECK_INT(written(leases, LEASE_ROUND_MINUTE), 0); /* then once a minute */
	CHECK_INT(written(leases, LEASE_ROUND_DUE), 1);	   /* or when it would end */
	CHECK_INT(expiring, 77);
	CHECK_INT(written(leases, LEASE_ROUND_DUE), 1); /* which is not known to be written */
	CHECK_INT(written(leases, LEASE_ROUND_LAST), 1);
	CHECK_INT(expiring, INT64_MAX);
	CHECK_INT(written(leases, LEASE_ROUND_LAST), 0);
}

static void test_failure(struct leases *leases)
{
	leases_read(leases, 11);
	answer = -ENOSPC;
	CHECK_INT(written(leases, LEASE_ROUND_LAST), 0);
	CHECK_INT(calls, 1);
	answer = 0;
	CHECK_INT(written(leases, LEASE_ROUND_LAST), 1);
}

static void *read_all(void *data)
{
	for (int round = 0; round < 3; round++)
		for (int64_t id = 1; id <= MANY; id++)
			leases_read(data, id);
	return NULL;
}

/* None is forgotten while the table grows. */
static void test_many(struct leases *leases)
{
	pthread_t thread[READERS];
	size_t missing = 0;

	memset(times, 0, sizeof(times));
	for (size_t i = 0; i < READERS; i++)
		CHECK_INT(pthread_create(&thread[i], NULL, read_all, leases), 0);
	for (int i = 0; i < 50; i++)
		leases_write(leases, LEASE_ROUND_MINUTE, 0);
	for (size_t i = 0; i < READERS; i++)
		CHECK_INT(pthread_join(thread[i], NULL), 0);
	(void)written(leases, LEASE_ROUND_LAST);
	CHECK(largest <= 128);
	for (size_t id = 1; id <= MANY; id++)
		missing += !times[id];
	CHECK_INT(missing, 0);
	CHECK_INT(written(leases, LEASE_ROUND_LAST), 0);
}

int main(void)
{
	struct config config = { .lifetime_read_lease = 60, .lifetime_maximum = 600 };
	struct leases *leases = NULL;

	CHECK_INT(leases_new(&config, NULL, &leases), 0);
	test_rounds(leases);
	test_failure(leases);
	test_many(leases);
	leases_free(leases);
	TEST_END();
}
