/* SPDX-License-Identifier: MIT */
/* tests/unit/catalogue/lease.c: who reads a tree keeps what shows it, and one name leads from
 * generation to generation. */
#include "tests/unit/catalogue/common.h"

#include <sqlite3.h>

#define DAY 86400
#define MOST (3 * DAY)
#define OTHER_DIGEST "11112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define THIRD_DIGEST "22112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define TAG(more)                                                                                  \
	"{\"source\":{\"type\":\"tag\",\"source\":\"f26\"},\"seconds_to_live\":1000" more "}"

static int finish(struct catalogue *catalogue, int64_t id, int64_t timestamp, const char *manifest)
{
	_cleanup_(freep) char *digest = strdup(manifest);
	struct outcome outcome = { .manifest = digest, .koji_event = -1, .timestamp = timestamp };

	return catalogue_finish(catalogue, id, &outcome, NULL);
}

static int64_t claimed(struct catalogue *catalogue, const char *owner, const char *text)
{
	int64_t id = test_submit_text(catalogue, owner, text, NULL);

	CHECK_INT(test_claim(catalogue), id);
	return id;
}

static int64_t done(struct catalogue *catalogue, const char *text)
{
	int64_t id = claimed(catalogue, "alice", text);

	CHECK_INT(test_finish_compose(catalogue, id, NULL), 0);
	return id;
}

static int64_t reusing(struct catalogue *catalogue, const char *text, int64_t other)
{
	int64_t id = claimed(catalogue, "bob", text);

	CHECK_INT(catalogue_reuse(catalogue, id, other, NULL), 0);
	return id;
}

/* seconds to live, counted from the start of the test's clock */
static int64_t left(struct catalogue *catalogue, int64_t id)
{
	_cleanup_(compose_freep) struct compose *compose = test_get(catalogue, id);

	return compose->time_to_expire - TEST_START;
}

static void watch(void *data, const struct catalogue_event *event)
{
	*(int *)data += !event->request_only;
}

static void read_at(struct catalogue *catalogue, int64_t id, int64_t when, int64_t seconds)
{
	struct lease lease = { .id = id, .time_read = TEST_START + when };
	struct lease_terms terms = { .seconds = seconds, .most = MOST, .expiring = INT64_MAX };

	CHECK_INT(catalogue_lease(catalogue, &lease, 1, &terms, NULL), 0);
}

static void test_lease(void)
{
	_cleanup_(catalogue_closep) struct catalogue *catalogue = test_open(test_path("lease"));
	int64_t plain, own, none, count = 0;
	int events = 0;

	atomic_store(&test_clock, TEST_START);
	CHECK_INT(catalogue_watch(catalogue, watch, &events), 0);
	plain = done(catalogue, TAG(""));
	own = done(catalogue, TAG(",\"lease\":5000"));
	none = done(catalogue, TAG(",\"lease\":0"));
	events = 0;
	read_at(catalogue, plain, 500, 0); /* the site has no lease, nor has it one of its own */
	read_at(catalogue, plain, 500, 400);
	CHECK_INT(left(catalogue, plain), 1000); /* never shorter */
	CHECK_INT(events, 0);
	read_at(catalogue, plain, 500, 600);
	CHECK_INT(left(catalogue, plain), 1100);
	CHECK_INT(events, 1);
	read_at(catalogue, plain, 500, 600);
	CHECK_INT(events, 1);
	read_at(catalogue, own, 500, 600);
	CHECK_INT(left(catalogue, own), 5500);
	read_at(catalogue, own, 600, 0);
	CHECK_INT(left(catalogue, own), 5600);
	read_at(catalogue, none, 600, 600);
	CHECK_INT(left(catalogue, none), 1000);
	/* the ceiling, counted from the moment it was done */
	read_at(catalogue, own, MOST - 4000, 0);
	CHECK_INT(left(catalogue, own), MOST);
	read_at(catalogue, own, MOST + 4000, 0);
	CHECK_INT(left(catalogue, own), MOST);
	/* over, but not yet met by expire: it was read before */
	test_advance(2000);
	read_at(catalogue, plain, 1050, 1000);
	CHECK_INT(left(catalogue, plain), 2050);
	CHECK_INT(catalogue_expire(catalogue, TEST_START + 2000, &count, NULL), 0);
	CHECK_INT(count, 1); /* none */
	/* who deletes it wins, and so does who asks for less until the next read */
	CHECK_INT(catalogue_delete(catalogue, own, "root", NULL), 0);
	read_at(catalogue, own, 2000, 600);
	CHECK_INT(left(catalogue, own), 2000);
	CHECK_INT(catalogue_expire(catalogue, TEST_START + 2000, &count, NULL), 0);
	CHECK_INT(count, 1);
	read_at(catalogue, own, 2000, 600);
	CHECK_INT(left(catalogue, own), 2000);
	read_at(catalogue, 99, 2000, 600); /* nobody */
	CHECK_INT(catalogue_integrity(catalogue, NULL), 0);
}

/* Many in one commit, and what waits, generates or failed is left alone. */
static void test_many(void)
{
	_cleanup_(catalogue_closep) struct catalogue *catalogue = test_open(test_path("many"));
	struct lease_terms terms = { .seconds = 2000, .most = MOST, .expiring = INT64_MAX };
	struct lease leases[150];
	int64_t id;

	atomic_store(&test_clock, TEST_START);
	for (size_t i = 0; i < ARRAY_SIZE(leases); i++)
		leases[i] = (struct lease){ .id = done(catalogue, TAG("")),
					    .time_read = TEST_START + (int64_t)i };
	id = claimed(catalogue, "alice", TAG(",\"lease\":5000"));
	leases[3].id = id;
	CHECK_INT(catalogue_lease(catalogue, leases, ARRAY_SIZE(leases), &terms, NULL), 0);
	CHECK_INT(left(catalogue, id), 1000);
	CHECK_INT(left(catalogue, leases[2].id), 2002);
	CHECK_INT(left(catalogue, leases[149].id), 2149);
	CHECK_INT(catalogue_fail(catalogue, id, "no", NULL), 0);
	read_at(catalogue, id, 0, 5000);
	CHECK_INT(left(catalogue, id), 1000);
	/* only those that would end */
	CHECK_INT(catalogue_renew(catalogue, leases[7].id, 10, RENEW_SET, NULL, NULL), 0);
	terms = (struct lease_terms){ .seconds = 9000, .most = MOST, .expiring = TEST_START + 10 };
	CHECK_INT(catalogue_lease(catalogue, leases, ARRAY_SIZE(leases), &terms, NULL), 0);
	CHECK_INT(left(catalogue, leases[7].id), 9007);
	CHECK_INT(left(catalogue, leases[8].id), 2008);
}

/* The files are one compose's, the readers those of all that show it. */
static void test_kin(void)
{
	_cleanup_(catalogue_closep) struct catalogue *catalogue = test_open(test_path("kin"));
	int64_t first, second, third, count = 0;

	atomic_store(&test_clock, TEST_START);
	first = done(catalogue, TAG(""));
	second = reusing(catalogue, TAG(",\"lease\":5000"), first);
	test_advance(100);
	third = reusing(catalogue, TAG(",\"lease\":0"), first);
	read_at(catalogue, first, 500, 0);
	CHECK_INT(left(catalogue, first), 5500);
	CHECK_INT(left(catalogue, second), 5500);
	CHECK_INT(left(catalogue, third), 5500);
	/* the ceiling is that of the one who was done last and has a lease */
	read_at(catalogue, first, MOST, 0);
	CHECK_INT(left(catalogue, first), MOST);
	read_at(catalogue, first, MOST, 600);
	CHECK_INT(left(catalogue, third), MOST);
	/* the first one is deleted, and its tree is read for those that are left */
	test_advance(MOST - 1000);
	CHECK_INT(catalogue_renew(catalogue, third, 10, RENEW_SET, NULL, NULL), 0);
	CHECK_INT(catalogue_delete(catalogue, first, "alice", NULL), 0);
	CHECK_INT(catalogue_expire(catalogue, test_now(), &count, NULL), 0);
	CHECK_INT(count, 1);
	CHECK_INT(left(catalogue, third), MOST - 890);
	read_at(catalogue, first, MOST - 900, 600);
	CHECK_INT(left(catalogue, third), MOST);
	CHECK_INT(left(catalogue, second), MOST);
	CHECK_INT(catalogue_integrity(catalogue, NULL), 0);
}

/* ---- generations --------------------------------------------------------- */

#define F26 TAG(",\"latest\":\"f26\"")

/* "4 3 2": where the name leads, and the contents before, each once */
static const char *latest(struct catalogue *catalogue, const char *owner, const char *name)
{
	static char list[64];
	int64_t ids[3];
	int count = catalogue_latest(catalogue, owner, name, ids, 3, NULL), length = 0;

	CHECK(count >= 0);
	list[0] = '\0';
	for (int i = 0; i < count; i++)
		length += snprintf(list + length, sizeof(list) - (size_t)length, "%s%" PRId64,
				   i ? " " : "", ids[i]);
	return list;
}

static int64_t generation(struct catalogue *catalogue, const char *name)
{
	struct generation newest = { .timestamp = 77 };

	CHECK_INT(catalogue_generation(catalogue, "alice", name, &newest, NULL), 0);
	return newest.manifest[0] ? newest.timestamp : -1;
}

static void test_generations(void)
{
	_cleanup_(catalogue_closep) struct catalogue *catalogue = test_open(test_path("latest"));
	struct error err = { 0 };
	int64_t first, second, third, count = 0;

	atomic_store(&test_clock, TEST_START);
	CHECK_STR(latest(catalogue, "alice", "f26"), "");
	CHECK_INT(generation(catalogue, "f26"), -1);
	first = claimed(catalogue, "alice", F26);
	CHECK_STR(latest(catalogue, "alice", "f26"), "");
	CHECK_INT(finish(catalogue, first, 0, TEST_DIGEST), 0); /* a source without times */
	CHECK_STR(latest(catalogue, "alice", "f26"), "1");
	CHECK_STR(latest(catalogue, "bob", "f26"), "");
	CHECK_STR(latest(catalogue, "alice", "f27"), "");
	CHECK_INT(generation(catalogue, "f26"), 0);
	/* other content is not as old; the same is */
	second = claimed(catalogue, "alice", F26);
	CHECK_INT(finish(catalogue, second, 0, OTHER_DIGEST), -EAGAIN);
	CHECK_INT(finish(catalogue, second, 0, TEST_DIGEST), 0);
	CHECK_STR(latest(catalogue, "alice", "f26"), "2");
	third = claimed(catalogue, "alice", F26);
	CHECK_INT(finish(catalogue, third, 100, OTHER_DIGEST), 0);
	CHECK_STR(latest(catalogue, "alice", "f26"), "3 2");
	/* a later compose that took longer is no step back */
	CHECK_INT(finish(catalogue, claimed(catalogue, "alice", F26), 99, THIRD_DIGEST), -EAGAIN);
	CHECK_INT(finish(catalogue, 4, 101, THIRD_DIGEST), 0);
	CHECK_STR(latest(catalogue, "alice", "f26"), "4 3 2");
	/* the newest is gone: nowhere, and what was seen of it counts */
	CHECK_INT(catalogue_delete(catalogue, 4, "alice", &err), 0);
	CHECK_INT(catalogue_expire(catalogue, test_now(), &count, NULL), 0);
	CHECK_STR(latest(catalogue, "alice", "f26"), "");
	CHECK_INT(generation(catalogue, "f26"), 101);
	CHECK_INT(finish(catalogue, claimed(catalogue, "alice", F26), 101, OTHER_DIGEST), -EAGAIN);
	CHECK_INT(finish(catalogue, 5, 101, THIRD_DIGEST), 0); /* the same again */
	CHECK_STR(latest(catalogue, "alice", "f26"), "5 3 2");
	/* without the name nobody asks */
	CHECK_INT(finish(catalogue, claimed(catalogue, "alice", TAG("")), 7, TEST_DIGEST), 0);
	CHECK_STR(latest(catalogue, "alice", "f26"), "5 3 2");
	CHECK_INT(catalogue_integrity(catalogue, &err), 0);
}

/* An equal compose that is older than what the name led to is not shown again under it. */
static void test_generations_reused(void)
{
	_cleanup_(catalogue_closep) struct catalogue *catalogue = test_open(test_path("again"));
	int64_t plain, id, old;

	atomic_store(&test_clock, TEST_START);
	plain = claimed(catalogue, "bob", TAG(""));
	CHECK_INT(finish(catalogue, plain, 100, TEST_DIGEST), 0);
	old = reusing(catalogue, TAG(""), plain);
	id = claimed(catalogue, "alice", F26);
	CHECK_INT(catalogue_reuse(catalogue, id, plain, NULL), 0); /* the first of its name */
	CHECK_STR(latest(catalogue, "alice", "f26"), "3");
	CHECK_INT(generation(catalogue, "f26"), 100);
	CHECK_INT(finish(catalogue, claimed(catalogue, "alice", F26), 101, OTHER_DIGEST), 0);
	id = claimed(catalogue, "alice", F26);
	CHECK_INT(catalogue_reuse(catalogue, id, plain, NULL), -ESTALE);
	CHECK_INT(catalogue_reuse(catalogue, id, 4, NULL), 0);
	CHECK_STR(latest(catalogue, "alice", "f26"), "5 3");
	/* who follows no name takes any */
	CHECK(reusing(catalogue, TAG(""), plain) > old);
	CHECK_INT(catalogue_integrity(catalogue, NULL), 0);
}

int main(void)
{
	test_begin();
	test_lease();
	test_many();
	test_kin();
	test_generations();
	test_generations_reused();
	test_finish();
	TEST_END();
}
