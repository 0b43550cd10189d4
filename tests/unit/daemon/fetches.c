/* SPDX-License-Identifier: MIT */
/* tests/unit/daemon/fetches.c: one download for all who wait, turns between servers, what is
 * remembered of failures. */
#include "core/daemon/fetches.h"

#include "tests/unit/test.h"

#include <malloc.h>

#define SERVERS 10000

static struct tree_want want_of(int number, const char *base, uint64_t size)
{
	struct tree_want want = { .size = size, .base = base, .path = "p/x.rpm" };
	char text[16];

	(void)snprintf(text, sizeof(text), "%d", number);
	sha256_hex(text, strlen(text), want.sha256);
	return want;
}

static int ask(struct fetches *table, int number, const char *base, uint64_t size,
	       struct tree_waiter *waiter, int64_t now_ms, struct error *err)
{
	const struct tree_want want = want_of(number, base, size);

	return fetches_ask(table, &want, waiter, waiter ? waiter->party : "owner", now_ms, err);
}

static struct fetch *start(struct fetches *table, size_t most, int64_t now_ms)
{
	struct fetch *fetch = fetches_next(table, most, now_ms);

	if (fetch)
		fetches_start(table, fetch, now_ms);
	return fetch;
}

static size_t length_of(const struct tree_waiter *list)
{
	size_t length = 0;

	for (; list; list = list->next)
		length++;
	return length;
}

/* Bytes that may be handed out early: told to whom they are enough; the others' time begins anew.
 */
static void test_as_they_come(void)
{
	struct tree_waiter early = { .need = 100 }, later = { .need = 5000 }, all = { 0 };
	struct error err = { 0 };
	struct fetches table;
	struct tree_waiter *told;
	struct tree_want want;
	struct fetch *fetch;

	CHECK_INT(fetches_init(&table, 1000), 0);
	CHECK_INT(ask(&table, 1, "http://a/x", 10000, &early, 0, &err), 0);
	CHECK_INT(ask(&table, 1, "http://a/x", 10000, &later, 0, &err), 0);
	CHECK_INT(ask(&table, 1, "http://a/x", 10000, &all, 0, &err), 0);
	fetch = start(&table, 4, 0);
	want = want_of(1, "http://b/y", 10000);
	CHECK(fetch && fetches_find(&table, &want) == fetch);
	CHECK(!fetches_came(&table, fetch, 99, 500));
	told = fetches_came(&table, fetch, 100, 700);
	CHECK(told == &early && !told->next);
	CHECK(!fetches_late(&table, 1600)); /* they would have been at 1000 */
	CHECK(!fetches_came(&table, fetch, 100, 1650));
	CHECK_INT(length_of(fetches_late(&table, 1700)), 2); /* nothing more has come */
	CHECK_INT(ask(&table, 1, "http://a/x", 10000, &all, 1700, &err), 0);
	CHECK_INT(length_of(fetches_came(&table, fetch, 9000, 1800)), 0); /* he wants all */
	CHECK_INT(length_of(fetches_end(&table, fetch, NULL, 1900)), 1);
	fetches_done(&table);
}

static void test_of_one_server(void)
{
	struct tree_waiter waiter[5] = { 0 };
	struct error err = { 0 };
	struct fetches table;

	CHECK_INT(fetches_init(&table, 1000), 0);
	table.most_of_one = 2;
	table.strict = true;
	for (int i = 0; i < 3; i++)
		CHECK_INT(ask(&table, i, "http://a/x", 10, &waiter[i], 0, &err), 0);
	CHECK(start(&table, 3, 0) && start(&table, 3, 0));
	CHECK(!start(&table, 3, 0));
	for (int i = 3; i < 5; i++)
		CHECK_INT(ask(&table, i, i == 3 ? "http://b/x" : "http://c/x", 10, &waiter[i], 0,
			      &err),
			  0);
	CHECK(start(&table, 3, 0));
	CHECK(!start(&table, 3, 0)); /* nor one beyond them for a server that has none */
	table.strict = false;
	CHECK(start(&table, 3, 0));
	fetches_done(&table);
}

static void test_one_for_all(void)
{
	struct tree_waiter waiter[3] = { 0 };
	struct error err = { 0 };
	struct fetches table;
	struct fetch *fetch;

	CHECK_INT(fetches_init(&table, 1000), 0);
	for (int i = 0; i < 3; i++)
		CHECK_INT(ask(&table, 1, "http://a/x", 10, &waiter[i], 0, &err), 0);
	CHECK_INT(table.count, 1);
	fetch = start(&table, 4, 0);
	CHECK(fetch && fetch->size == 10);
	CHECK(!start(&table, 4, 0));
	CHECK(fetches_forget(&table, &waiter[1], 0));
	CHECK(!fetches_forget(&table, &waiter[1], 0));
	CHECK_INT(length_of(fetches_end(&table, fetch, NULL, 5)), 2);
	CHECK(!fetches_forget(&table, &waiter[0], 0)); /* he is being told */
	CHECK_INT(table.count + table.waiting + table.running, 0);
	fetches_done(&table);
}

/* Who is told a wrong size by his repository takes nothing from those who know the right one. */
static void test_sizes(void)
{
	const struct tree_want small = want_of(1, "http://b/x", 10);
	struct tree_waiter liars = { 0 }, honest = { 0 }, again = { 0 };
	struct error err = { 0 };
	struct fetches table;
	struct fetch *lie, *fetch;

	CHECK_INT(fetches_init(&table, 1000), 0);
	CHECK_INT(ask(&table, 1, "http://a/x", 90, &liars, 0, &err), 0);
	CHECK_INT(ask(&table, 1, "http://b/x", 10, &honest, 0, &err), 0);
	fetch = start(&table, 4, 0);
	lie = start(&table, 4, 0);
	CHECK(fetch && lie && fetch->size == 10 && lie->size == 90);
	CHECK(fetches_find(&table, &small) == fetch);
	CHECK(!lie->other_base && !fetch->other_base);
	(void)error_set(&err, -EBADMSG, BLAME_SOURCE, NULL, "90 bytes");
	CHECK(fetches_end(&table, lie, &err, 1) == &liars);
	CHECK_INT(ask(&table, 1, "http://a/x", 90, &again, 2, &err), -EBADMSG);
	CHECK_INT(ask(&table, 1, "http://a/x", 10, &again, 2, &err), 0);
	CHECK_INT(length_of(fetches_end(&table, fetch, NULL, 3)), 2);
	fetches_done(&table);
}

/* One server that never answers has all places but one for each of the others. */
static void test_turns(void)
{
	struct tree_waiter waiter[40] = { 0 };
	struct error err = { 0 };
	struct fetches table;
	struct fetch *fetch, *other;

	CHECK_INT(fetches_init(&table, 1000), 0);
	for (int i = 0; i < 20; i++)
		CHECK_INT(ask(&table, i, "http://slow/x", 10, &waiter[i], 0, &err), 0);
	for (int i = 0; i < 4; i++)
		CHECK(start(&table, 4, 0));
	CHECK(!start(&table, 4, 0));
	CHECK_INT(ask(&table, 30, "http://good/x", 500, &waiter[30], 0, &err), 0);
	CHECK_INT(ask(&table, 31, "http://good/y", 50, &waiter[31], 0, &err), 0);
	fetch = start(&table, 4, 1);
	CHECK(fetch && !strcmp(fetch->place->name, "http://good"));
	CHECK_INT(fetch ? (long long)fetch->size : 0, 50); /* the small one first */
	CHECK(!start(&table, 4, 1));
	CHECK_INT(length_of(fetches_end(&table, fetch, NULL, 2)), 1);
	other = start(&table, 4, 2);
	CHECK(other && other->size == 500);
	/* in turn when there is room for both */
	CHECK_INT(ask(&table, 32, "http://good/y", 50, &waiter[32], 2, &err), 0);
	CHECK_INT(ask(&table, 33, "http://third", 5000, &waiter[33], 2, &err), 0);
	fetch = start(&table, 9, 3);
	CHECK(fetch && !strcmp(fetch->place->name, "http://third"));
	fetch = start(&table, 9, 3);
	CHECK(fetch && !strcmp(fetch->place->name, "http://good"));
	for (int i = 0; i < 40; i++)
		(void)fetches_forget(&table, &waiter[i], 3);
	fetches_tidy(&table, 3);
	CHECK(!table.queued && table.count == 7); /* those that run */
	fetches_done(&table);
}

/* Who has waited long is not overtaken by small ones for ever. */
static void test_age(void)
{
	struct tree_waiter waiter[2] = { 0 };
	struct error err = { 0 };
	struct fetches table;

	CHECK_INT(fetches_init(&table, 100000), 0);
	CHECK_INT(ask(&table, 1, "http://a", 1000, &waiter[0], 0, &err), 0);
	CHECK_INT(ask(&table, 2, "http://a", 1, &waiter[1], 1, &err), 0);
	CHECK_INT(fetches_next(&table, 4, 2)->size, 1);
	CHECK_INT(fetches_next(&table, 4, FETCHES_AGED_MS)->size, 1000);
	fetches_done(&table);
}

static void test_failing(void)
{
	struct error gone = { .code = -ECONNREFUSED, .blame = BLAME_SOURCE, .message = "refused" };
	struct error wrong = { .code = -EBADMSG, .blame = BLAME_SOURCE, .message = "wrong sum" };
	struct error slow = { .code = -ETIMEDOUT, .blame = BLAME_SOURCE, .message = "slow" };
	struct tree_waiter waiter[8] = { 0 };
	struct error err = { 0 };
	struct fetches table;
	struct fetch *fetch;

	CHECK_INT(fetches_init(&table, 1000), 0);
	/* one package */
	CHECK_INT(ask(&table, 1, "http://a/x", 10, &waiter[0], 0, &err), 0);
	CHECK_INT(length_of(fetches_end(&table, start(&table, 4, 0), &wrong, 0)), 1);
	CHECK_INT(ask(&table, 1, "http://a/x", 10, &waiter[0], 10, &err), -EBADMSG);
	CHECK_STR(err.message, "wrong sum");
	CHECK_INT(ask(&table, 2, "http://a/x", 10, &waiter[1], 10, &err), 0); /* only that one */
	CHECK_INT(ask(&table, 1, "http://a/x", 10, &waiter[0], FETCHES_FAILED_MS, &err), 0);
	/* a server: who waits for it, and who comes now */
	fetch = start(&table, 1, FETCHES_FAILED_MS);
	CHECK_INT(length_of(fetches_end(&table, fetch, &gone, 6000)), 1);
	fetch = fetches_bad(&table, 6000, &err);
	CHECK(fetch && err.code == -ECONNREFUSED);
	CHECK_INT(length_of(fetches_end(&table, fetch, &err, 6000)), 1);
	CHECK(!fetches_bad(&table, 6000, &err));
	CHECK_INT(ask(&table, 3, "http://a/z", 10, &waiter[2], 6001, &err), -ECONNREFUSED);
	CHECK(strstr(err.message, "refused"));
	CHECK_INT(ask(&table, 4, "http://b/z", 10, &waiter[3], 6001, &err), 0);
	CHECK_INT(ask(&table, 3, "http://a/z", 10, &waiter[2], 6000 + FETCHES_PLACE_MS, &err), 0);
	/* one that is slow once may be so with one file */
	fetch = start(&table, 1, 20000);
	CHECK_INT(length_of(fetches_end(&table, fetch, &slow, 20000)), 1);
	CHECK(!fetches_bad(&table, 20000, &err));
	fetches_tidy(&table, 1000000);
	CHECK_INT(table.count, 1);
	fetches_done(&table);
}

/* The same bytes from two servers: one download, and a bad server harms only who knows no other. */
static void test_two_sources(void)
{
	struct error gone = { .code = -ECONNREFUSED, .blame = BLAME_SOURCE, .message = "refused" };
	struct error wrong = { .code = -EBADMSG, .blame = BLAME_SOURCE, .message = "wrong sum" };
	struct error full = { .code = -ENOSPC, .blame = BLAME_US, .message = "no room" };
	struct tree_waiter waiter[6] = { 0 };
	struct error err = { 0 };
	struct fetches table;
	struct fetch *fetch;

	CHECK_INT(fetches_init(&table, 1000), 0);
	CHECK_INT(ask(&table, 1, "http://bad/x", 10, &waiter[0], 0, &err), 0);
	fetch = start(&table, 4, 0);
	CHECK_INT(ask(&table, 1, "http://good/x", 10, &waiter[1], 0, &err), 0);
	CHECK_INT(table.count, 1);
	CHECK(!fetches_end(&table, fetch, &wrong, 1)); /* both wait on */
	CHECK_INT(table.running, 0);
	fetch = start(&table, 4, 1);
	CHECK(fetch && !strcmp(fetch->base, "http://good/x") &&
	      !strcmp(fetch->place->name, "http://good"));
	CHECK_INT(length_of(fetches_end(&table, fetch, NULL, 2)), 2);
	CHECK_INT(table.count + table.waiting + table.running, 0);
	/* what one source failed to give is asked of the other */
	CHECK_INT(ask(&table, 2, "http://bad/x", 10, &waiter[0], 10, &err), 0);
	CHECK_INT(length_of(fetches_end(&table, start(&table, 4, 10), &wrong, 10)), 1);
	CHECK_INT(ask(&table, 2, "http://bad/x", 10, &waiter[0], 11, &err), -EBADMSG);
	CHECK_INT(ask(&table, 2, "http://good/x", 10, &waiter[1], 11, &err), 0);
	CHECK_INT(ask(&table, 2, "http://bad/x", 10, &waiter[0], 12, &err), 0); /* it comes */
	CHECK_INT(length_of(fetches_end(&table, start(&table, 4, 12), NULL, 12)), 2);
	/* one that is queued for a server that is not there */
	CHECK_INT(ask(&table, 3, "http://gone/x", 10, &waiter[0], 20, &err), 0);
	CHECK_INT(ask(&table, 4, "http://gone/y", 10, &waiter[1], 20, &err), 0);
	CHECK_INT(length_of(fetches_end(&table, start(&table, 1, 20), &gone, 20)), 1);
	CHECK_INT(ask(&table, 4, "http://good/y", 10, &waiter[2], 21, &err), 0);
	CHECK(!fetches_bad(&table, 21, &err));
	fetch = start(&table, 1, 21);
	CHECK(fetch && !strcmp(fetch->base, "http://good/y"));
	/* a disk that is full is so for all */
	CHECK_INT(ask(&table, 4, "http://third/y", 10, &waiter[3], 22, &err), 0);
	CHECK_INT(length_of(fetches_end(&table, fetch, &full, 22)), 3);
	fetches_done(&table);
}

static void test_time(void)
{
	struct tree_waiter waiter[3] = { { .until_ms = 50 }, { 0 }, { .until_ms = 2000 } };
	struct error err = { 0 };
	struct fetches table;
	struct fetch *fetch;

	CHECK_INT(fetches_init(&table, 1000), 0);
	for (int i = 0; i < 3; i++)
		CHECK_INT(ask(&table, 1, "http://a", 10, &waiter[i], 0, &err), 0);
	CHECK(!fetches_late(&table, 49));
	CHECK(fetches_late(&table, 50) == &waiter[0]);
	fetch = start(&table, 4, 60);
	CHECK(fetches_late(&table, 1000) == &waiter[1]); /* it runs on for the third */
	CHECK(!fetch->alone_ms);
	fetches_again(&table, fetch, 1500);
	CHECK(!fetches_next(&table, 4, 1499));
	CHECK(fetches_next(&table, 4, 1500) == fetch);
	CHECK(fetches_late(&table, 5000) == &waiter[2]);
	CHECK_INT(fetch->alone_ms, 5000);
	CHECK(!fetches_next(&table, 4, 5000)); /* nobody wants it now */
	fetches_tidy(&table, 5000);
	CHECK_INT(table.count, 0);
	fetches_done(&table);
}

/* What was asked for ahead of time is wanted also when a reader came and went; else for a while. */
static void test_alone(void)
{
	struct tree_waiter waiter = { 0 };
	struct error err = { 0 };
	struct fetches table;
	struct fetch *fetch;

	CHECK_INT(fetches_init(&table, 1000), 0);
	for (int ahead = 1; ahead >= 0; ahead--) {
		if (ahead)
			CHECK_INT(ask(&table, ahead, "http://a", 10, NULL, 0, &err), 0);
		CHECK_INT(ask(&table, ahead, "http://a", 10, &waiter, 0, &err), 0);
		fetch = start(&table, 4, 1);
		CHECK(fetch && !fetches_alone(&table, fetch, 9000));
		CHECK(fetches_forget(&table, &waiter, 9000));
		CHECK(!fetches_alone(&table, fetch, 10000));
		CHECK_INT(fetches_alone(&table, fetch, 10001), !ahead);
		(void)fetches_end(&table, fetch, NULL, 0);
	}
	CHECK_INT(table.count, 0);
	fetches_done(&table);
}

/* Ahead of time: behind those who wait; one who comes makes it his. */
static void test_prefetch(void)
{
	struct tree_waiter waiter = { 0 };
	struct error err = { 0 };
	struct fetches table;
	struct fetch *fetch;

	CHECK_INT(fetches_init(&table, 1000), 0);
	CHECK_INT(ask(&table, 1, "http://a", 1, NULL, 0, &err), 0);
	CHECK_INT(ask(&table, 2, "http://a", 10, &waiter, 0, &err), 0);
	fetch = start(&table, 1, 0);
	CHECK(fetch && fetch->size == 10);
	CHECK_INT(length_of(fetches_end(&table, fetch, NULL, 0)), 1);
	fetch = start(&table, 1, 0);
	CHECK(fetch && fetch->size == 1);
	CHECK_INT(ask(&table, 1, "http://a", 1, &waiter, 0, &err), 0);
	CHECK_INT(length_of(fetches_end(&table, fetch, NULL, 0)), 1);
	CHECK_INT(table.count, 0);
	fetches_done(&table);
}

/* What is fetched ahead of time waits for its server, so many times; who reads it is told. */
static void test_put_off(void)
{
	struct error gone = { .code = -ECONNREFUSED, .blame = BLAME_SOURCE }, err = { 0 };
	struct tree_waiter waiter = { 0 };
	struct fetches table;
	struct fetch *fetch;
	int64_t now = 1;

	CHECK_INT(fetches_init(&table, 1000), 0);
	CHECK_INT(ask(&table, 1, "http://a", 10, NULL, now, &err), 0);
	CHECK_INT(ask(&table, 1, "http://a", 10, &waiter, now, &err), 0);
	for (int i = 0; i <= FETCHES_AHEAD_TRIES; i++) {
		fetch = start(&table, 4, now);
		CHECK(fetch && !table.delayed);
		CHECK_INT(length_of(fetches_end(&table, fetch, &gone, now)), !i);
		CHECK_INT(table.delayed, i < FETCHES_AHEAD_TRIES);
		CHECK_INT(fetches_bad_until(&table, "http://a/b", now), now + FETCHES_PLACE_MS);
		CHECK_INT(ask(&table, 2, "http://a", 10, NULL, now, &err), -ECONNREFUSED);
		CHECK(!start(&table, 4, now + FETCHES_PLACE_MS - 1));
		now += FETCHES_PLACE_MS;
	}
	CHECK(!start(&table, 4, now)); /* given up */
	CHECK_INT(fetches_bad_until(&table, "http://a/b", now), 0);
	CHECK_INT(table.queued, 0);
	fetches_done(&table);
}

/* Who wants much has no more under way than who wants little. */
static void test_parties(void)
{
	struct tree_waiter flood[20] = { 0 }, polite[2] = { { .party = "b" }, { .party = "b" } };
	struct error err = { 0 };
	struct fetches table;
	struct fetch *fetch = NULL, *other;

	CHECK_INT(fetches_init(&table, 100000), 0);
	for (int i = 0; i < 20; i++) {
		flood[i].party = "a";
		CHECK_INT(ask(&table, i, "http://x", 10, &flood[i], 0, &err), 0);
	}
	CHECK(start(&table, 2, 1) && (fetch = start(&table, 2, 1)));
	CHECK_INT(ask(&table, 30, "http://x", 5000, &polite[0], 2, &err), 0);
	CHECK_INT(ask(&table, 31, "http://x", 6000, &polite[1], 2, &err), 0);
	CHECK_INT(ask(&table, 40, "http://x", 1, NULL, 2, &err),
		  0); /* ahead of time: after them all */
	CHECK(!start(&table, 2, 2));
	CHECK_INT(length_of(fetches_end(&table, fetch, NULL, 3)), 1);
	/* large ones, which came last, and others are old: it is his turn all the same */
	fetch = start(&table, 2, FETCHES_AGED_MS + 1);
	CHECK_INT(fetch ? (long long)fetch->size : 0, 5000);
	/* one and one: then it is the smaller */
	other = start(&table, 3, FETCHES_AGED_MS + 1);
	CHECK_INT(other ? (long long)other->size : 0, 10);
	other = start(&table, 4, FETCHES_AGED_MS + 1); /* two and one */
	CHECK_INT(other ? (long long)other->size : 0, 6000);
	CHECK_INT(length_of(fetches_end(&table, fetch, NULL, 4)), 1);
	CHECK_INT(length_of(fetches_end(&table, other, NULL, 4)), 1);
	for (int i = 0; i < 20; i++)
		(void)fetches_forget(&table, &flood[i], 5);
	fetch = start(&table, 4, 5);
	CHECK_INT(fetch ? (long long)fetch->size : 0, 1);
	fetches_tidy(&table, 5);
	CHECK(!table.queued);
	fetches_done(&table);
}

/* What both want is taken in the turn of the one who has less, and counts for him. */
static void test_shared(void)
{
	struct tree_waiter a[4] = {
		{ .party = "a" }, { .party = "a" }, { .party = "a" }, { .party = "a" }
	};
	struct tree_waiter b[2] = { { .party = "b" }, { .party = "b" } };
	struct error err = { 0 };
	struct fetches table;
	struct fetch *fetch;

	CHECK_INT(fetches_init(&table, 100000), 0);
	CHECK_INT(ask(&table, 1, "http://x", 10, &a[0], 0, &err), 0);
	CHECK(start(&table, 4, 0));
	CHECK_INT(ask(&table, 2, "http://x", 20, &a[1], 0, &err), 0);
	CHECK_INT(ask(&table, 3, "http://x", 3000, &a[2], 0, &err), 0);
	CHECK_INT(ask(&table, 3, "http://x", 3000, &b[0], 1, &err), 0);
	CHECK_INT(ask(&table, 4, "http://x", 4000, &b[1], 1, &err), 0);
	fetch = start(&table, 4, 1);
	CHECK_INT(fetch ? (long long)fetch->size : 0, 3000);
	CHECK(fetches_forget(&table, &b[0], 1)); /* who waits on does not pay for it now */
	fetch = start(&table, 4, 1);
	CHECK_INT(fetch ? (long long)fetch->size : 0, 20);
	fetch = start(&table, 4, 1);
	CHECK_INT(fetch ? (long long)fetch->size : 0, 4000);
	fetches_again(&table, fetch, 100); /* it comes back to its turn */
	CHECK(!start(&table, 4, 99));
	CHECK_INT(ask(&table, 4, "http://x", 4000, &a[3], 99, &err), 0);
	CHECK(!start(&table, 4, 99));
	fetch = start(&table, 4, 100);
	CHECK_INT(length_of(fetches_end(&table, fetch, NULL, 101)), 2);
	fetches_done(&table);
}

/* Many that wait cost no more to choose from than few. */
static void test_many(void)
{
	enum { MANY = 100000 };
	struct tree_waiter *waiter = calloc(MANY, sizeof(*waiter));
	struct error err = { 0 };
	struct fetches table;
	struct fetch *fetch;
	uint64_t last = 0;
	bool ordered = true;

	CHECK_INT(fetches_init(&table, 1000), 0);
	for (int i = 0; waiter && i < MANY; i++) {
		waiter[i].party = i % 2 ? "a" : "b";
		CHECK_INT(ask(&table, i, "http://a", UINT64_C(1) << (i % 30), &waiter[i], 0, &err),
			  0);
	}
	CHECK_INT(table.count, MANY);
	CHECK_INT(table.queued, MANY);
	while ((fetch = start(&table, 1, 1))) {
		ordered = ordered && fetch->size >= last;
		last = fetch->size;
		(void)fetches_end(&table, fetch, NULL, 1);
	}
	CHECK(ordered);
	CHECK_INT(table.count + table.queued + table.waiting + table.running, 0);
	for (size_t i = 0; i < FETCHES_PARTIES; i++)
		CHECK(!table.parties[i]);
	fetches_done(&table);
	free(waiter);
}

/* One fetch from each of many servers: what came, what was refused, and what nobody answered. */
static void visit(struct fetches *table, int servers, int code, int64_t now_ms)
{
	const struct error failure = { .code = code, .blame = BLAME_SOURCE, .message = "no" };

	for (int i = 0; i < servers; i++) {
		struct tree_waiter waiter = { .party = "reader" };
		struct error err = { 0 };
		char base[32];
		struct fetch *fetch;

		(void)snprintf(base, sizeof(base), "http://h%d/x", i);
		CHECK_INT(ask(table, i, base, 10, &waiter, now_ms, &err), 0);
		fetch = start(table, 1, now_ms);
		CHECK(fetch && fetches_end(table, fetch, &failure, now_ms) == &waiter);
	}
}

static size_t places_of(const struct fetches *table)
{
	size_t count = 0;

	for (const struct fetch_place *place = table->places; place; place = place->next)
		count++;
	return count;
}

/* However many servers there were: what is kept of them goes with what they were asked for. */
static void test_places(void)
{
	struct fetches table;
	size_t bytes;

	CHECK_INT(fetches_init(&table, 1000), 0);
	visit(&table, 1, 0, 0);
	fetches_tidy(&table, 0);
	bytes = mallinfo2().uordblks;
	visit(&table, SERVERS, 0, 0);
	CHECK_INT(places_of(&table), 0); /* at once */
	CHECK_INT(mallinfo2().uordblks, bytes);
	visit(&table, 1000, -EIO, 0); /* a file that is not there says nothing about the server */
	CHECK_INT(places_of(&table), 1000);
	fetches_tidy(&table, FETCHES_FAILED_MS);
	CHECK_INT(places_of(&table), 0);
	visit(&table, 1000, -ECONNREFUSED, 10000);
	fetches_tidy(&table, 10000 + FETCHES_FAILED_MS);
	CHECK_INT(places_of(&table), 1000); /* how often they failed in a row is remembered */
	CHECK_INT(table.count, 0);
	fetches_tidy(&table, 10000 + FETCHES_ROW_MS);
	CHECK_INT(places_of(&table), 0);
	fetches_done(&table);
}

int main(void)
{
	test_one_for_all();
	test_sizes();
	test_as_they_come();
	test_of_one_server();
	test_turns();
	test_age();
	test_failing();
	test_two_sources();
	test_time();
	test_alone();
	test_put_off();
	test_prefetch();
	test_parties();
	test_shared();
	test_many();
	test_places();
	TEST_END();
}
