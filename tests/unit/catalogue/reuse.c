/* SPDX-License-Identifier: MIT */
/* tests/unit/catalogue/reuse.c: composes that show the tree of another one: who is a candidate,
 * what becomes of the trees of removed ones, and that a look-up among many rows is as fast as among
 * few. */
#include "tests/unit/catalogue/common.h"

#include <pthread.h>
#include <sqlite3.h>
#include <time.h>

#define INPUTS "aa112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define OTHER_INPUTS "bb112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define REPO(more)                                                                                 \
	"{\"source\":{\"type\":\"repo\",\"source\":\"/r\",\"packages\":[\"a\",\"b\"]}" more "}"
#define GENERATING "Compose is generating"

/* ---- composes in the making ---------------------------------------------- */

static int64_t claimed(struct catalogue *catalogue, const char *text)
{
	int64_t id = test_submit_text(catalogue, "alice", text, NULL);

	CHECK(id > 0);
	CHECK_INT(test_claim(catalogue), id);
	return id;
}

static struct resolution resolution(const char *inputs, int64_t event)
{
	struct resolution resolution = { .koji_event = event };

	(void)snprintf(resolution.inputs, sizeof(resolution.inputs), "%s", inputs);
	return resolution;
}

static int resolved_as(struct catalogue *catalogue, int64_t id, const char *inputs, int64_t event)
{
	_cleanup_(compose_freep) struct compose *compose = test_get(catalogue, id);
	struct resolution what = resolution(inputs, event);

	return catalogue_resolved(catalogue, id, compose->spec, &what, NULL);
}

static int64_t resolved(struct catalogue *catalogue, const char *text)
{
	int64_t id = claimed(catalogue, text);

	CHECK_INT(resolved_as(catalogue, id, INPUTS, 7), 0);
	return id;
}

static int64_t done(struct catalogue *catalogue, const char *text)
{
	int64_t id = resolved(catalogue, text);

	CHECK_INT(test_finish_compose(catalogue, id, NULL), 0);
	return id;
}

static bool list_visit(void *data, const struct compose *candidate)
{
	return text_addf(data, "%s%" PRId64 " ", candidate->state == STATE_DONE ? "" : "+",
			 candidate->id) < 0;
}

/* "3 1 +2 ": candidates for compose @id, should it have resolved to that */
static const char *candidates(struct catalogue *catalogue, int64_t id, const char *inputs,
			      int64_t event)
{
	_cleanup_(compose_freep) struct compose *compose = test_get(catalogue, id);
	struct resolution what = resolution(inputs, event);
	static char list[512];
	struct text text = { 0 };

	CHECK_INT(
		catalogue_candidates(catalogue, id, compose->spec, &what, list_visit, &text, NULL),
		0);
	(void)snprintf(list, sizeof(list), "%s", text.length ? text.data : "");
	text_done(&text);
	return list;
}

/* for a new compose of @text, which is over then */
static const char *found(struct catalogue *catalogue, const char *text)
{
	int64_t id = claimed(catalogue, text);
	const char *list = candidates(catalogue, id, INPUTS, 7);

	CHECK_INT(catalogue_fail(catalogue, id, "end of case", NULL), 0);
	return list;
}

/* ---- resolved -------------------------------------------------------------- */

struct watched {
	int events;
	enum compose_state old_state, state;
	char reason[64];
	int64_t id, event;
	bool kept;
};

static void watch(void *data, const struct catalogue_event *event)
{
	struct watched *watched = data;

	if (event->request_only)
		return;
	watched->events++;
	watched->old_state = event->old_state;
	watched->state = event->compose->state;
	watched->id = event->compose->id;
	watched->event = event->compose->koji_event;
	watched->kept = event->compose->tree_kept;
	(void)snprintf(watched->reason, sizeof(watched->reason), "%s",
		       event->compose->state_reason ? event->compose->state_reason : "");
}

static void test_resolved(void)
{
	_cleanup_(catalogue_closep) struct catalogue *catalogue = test_open(test_path("resolved"));
	struct watched watched = { 0 };
	int64_t id, count = 0;

	CHECK_INT(catalogue_watch(catalogue, watch, &watched), 0);
	id = test_submit_text(catalogue, "alice", REPO(""), NULL);
	CHECK_INT(resolved_as(catalogue, id, INPUTS, 7), -ESTALE);
	CHECK_INT(resolved_as(catalogue, id, INPUTS, 7), -ESTALE);
	CHECK_INT(test_claim(catalogue), id);
	watched.events = 0;
	CHECK_INT(resolved_as(catalogue, id, INPUTS, 7), 0);
	CHECK_INT(watched.events, 1); /* one change, no new state */
	CHECK_INT(watched.old_state, STATE_GENERATING);
	CHECK_INT(watched.state, STATE_GENERATING);
	CHECK_STR(watched.reason, GENERATING);
	CHECK_INT(watched.event, 7);
	/* taken up again, it is not resolved any more */
	CHECK_INT(catalogue_requeue(catalogue, &count, NULL), 0);
	CHECK_INT(count, 1);
	CHECK_INT(watched.state, STATE_WAIT);
	CHECK_INT(test_claim(catalogue), id);
	CHECK_STR(found(catalogue, REPO("")), "");
	CHECK_INT(resolved_as(catalogue, id, INPUTS, 9), 0);
	CHECK_INT(watched.event, 9);
	CHECK_INT(resolved_as(catalogue, id, INPUTS, -1), 0);
	CHECK_INT(watched.event, 9); /* none: as it was asked */
	CHECK_STR(watched.reason, GENERATING);
	/* and so is one that is put back alone */
	CHECK_INT(catalogue_unclaim(catalogue, id, NULL), 0);
	CHECK_INT(watched.old_state, STATE_GENERATING);
	CHECK_INT(watched.state, STATE_WAIT);
	CHECK_STR(watched.reason, "");
	CHECK_INT(catalogue_unclaim(catalogue, id, NULL), -ESTALE);
	CHECK_INT(catalogue_unclaim(catalogue, 99, NULL), -ENOENT);
	CHECK_INT(test_claim(catalogue), id);
	CHECK_INT(catalogue_cancel(catalogue, id, "bob", NULL), 0);
	CHECK_INT(resolved_as(catalogue, id, INPUTS, 7), -ESTALE);
	CHECK_INT(catalogue_integrity(catalogue, NULL), 0);
}

/* ---- candidates ------------------------------------------------------------ */

/* Each attribute of the table of odcs-api.md 5: does it keep two composes apart? */
static void test_questions(void)
{
	static const struct {
		const char *text;
		bool same;
	} cases[] = {
		{ REPO(""), true },
		{ "{\"source\":{\"type\":\"repo\",\"source\":\"/r\",\"packages\":[\"b\",\"a\"]}}",
		  true },
		{ "{\"source\":{\"type\":\"repo\",\"source\":\"/r\",\"packages\":[\"a\"]}}",
		  false },
		{ "{\"source\":{\"type\":\"repo\",\"source\":\"/r\"}}", false },
		{ "{\"source\":{\"type\":\"repo\",\"source\":\"/s\",\"packages\":[\"a\",\"b\"]}}",
		  false },
		{ "{\"source\":{\"type\":\"tag\",\"source\":\"/r\",\"packages\":[\"a\",\"b\"]}}",
		  false },
		{ REPO(",\"flags\":[\"no_deps\"]"), false },
		{ REPO(",\"flags\":[\"no_reuse\"]"), false },
		{ REPO(",\"flags\":[\"check_deps\"]"), false },
		{ REPO(",\"results\":[\"iso\"]"), false },
		{ REPO(",\"results\":[\"repository\"]"), true },
		{ REPO(",\"arches\":[\"s390x\"]"), false },
		{ REPO(",\"arches\":[\"x86_64\"]"), true },
		{ REPO(",\"multilib_arches\":[\"x86_64\"]"), false },
		{ REPO(",\"multilib_method\":[\"devel\"]"), false },
		{ REPO(",\"lookaside_repos\":[\"/l\"]"), false },
		{ REPO(",\"label\":\"RC-1.0\""), true },
		{ REPO(",\"compose_type\":\"nightly\""), true },
		{ REPO(",\"seconds_to_live\":7"), true },
	};
	_cleanup_(catalogue_closep) struct catalogue *catalogue = test_open(test_path("questions"));

	CHECK_INT(done(catalogue, REPO("")), 1);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *list = found(catalogue, cases[i].text);

		if (strcmp(list, cases[i].same ? "1 " : "") != 0)
			fprintf(stderr, "for %s: \"%s\"\n", cases[i].text, list);
		CHECK_STR(list, cases[i].same ? "1 " : "");
	}
	CHECK_INT(catalogue_integrity(catalogue, NULL), 0);
}

/* Neither side of a compose that is never reused is a candidate. */
static void test_never(void)
{
	static const char *const texts[] = {
		REPO(",\"flags\":[\"no_reuse\"]"),
		"{\"source\":{\"type\":\"pulp\",\"source\":\"set\"}}",
	};
	_cleanup_(catalogue_closep) struct catalogue *catalogue = test_open(test_path("never"));

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		(void)done(catalogue, texts[i]);
		CHECK_STR(found(catalogue, texts[i]), "");
	}
}

static void test_inputs_and_events(void)
{
	static const char tag[] = "{\"source\":{\"type\":\"tag\",\"source\":\"f26\"}}";
	_cleanup_(catalogue_closep) struct catalogue *catalogue = test_open(test_path("events"));
	int64_t id, count = 0;

	CHECK_INT(done(catalogue, REPO("")), 1);
	id = claimed(catalogue, REPO(""));
	CHECK_STR(candidates(catalogue, id, INPUTS, 7), "1 ");
	CHECK_STR(candidates(catalogue, id, INPUTS, 8), "");
	CHECK_STR(candidates(catalogue, id, INPUTS, 6), "");
	CHECK_STR(candidates(catalogue, id, INPUTS, -1), "");
	CHECK_STR(candidates(catalogue, id, OTHER_INPUTS, 7), "");
	CHECK_INT(test_finish_compose(catalogue, id, NULL),
		  0); /* never resolved: nobody's candidate */
	CHECK_STR(found(catalogue, REPO("")), "1 ");
	/* a tag may be the same at a later event, but nobody gets newer content than he asked for
	 */
	id = done(catalogue, tag);
	CHECK_INT(id, 4);
	id = claimed(catalogue, tag);
	CHECK_STR(candidates(catalogue, id, INPUTS, 7), "4 ");
	CHECK_STR(candidates(catalogue, id, INPUTS, 9), "4 ");
	CHECK_STR(candidates(catalogue, id, INPUTS, 6), "");
	CHECK_STR(candidates(catalogue, id, INPUTS, -1), "4 ");
	CHECK_INT(catalogue_fail(catalogue, id, "end of case", NULL), 0);
	/* a renewal of another compose is another question */
	id = 0;
	{
		_cleanup_(spec_freep) struct spec *spec = test_spec(REPO(""));
		struct submission submission = { .owner = "alice",
						 .spec = spec,
						 .text = "{}",
						 .text_length = 2,
						 .respin_of = "odcs-1-1-20231114.t.0" };

		CHECK_INT(catalogue_submit(catalogue, &submission, &id, NULL, NULL), 0);
		CHECK_INT(test_claim(catalogue), id);
		CHECK_STR(candidates(catalogue, id, INPUTS, 7), "");
		CHECK_INT(resolved_as(catalogue, id, INPUTS, 7), 0);
		CHECK_INT(catalogue_submit(catalogue, &submission, &count, NULL, NULL), 0);
		CHECK_INT(test_claim(catalogue), count);
		CHECK_STR(candidates(catalogue, count, INPUTS, 7), "+6 ");
	}
}

static int64_t known(struct catalogue *catalogue, const char *text)
{
	int64_t id = claimed(catalogue, text), event = -2;
	_cleanup_(compose_freep) struct compose *compose = test_get(catalogue, id);

	CHECK_INT(catalogue_known_event(catalogue, compose->spec, &event, NULL), 0);
	CHECK_INT(catalogue_fail(catalogue, id, "end of case", NULL), 0);
	return event;
}

#define TAG(more) "{\"source\":{\"type\":\"tag\",\"source\":\"f26\"" more "}}"

static void test_known_event(void)
{
	_cleanup_(catalogue_closep) struct catalogue *catalogue = test_open(test_path("known"));
	static const int64_t events[] = { 536, 354, 540 };
	int64_t id[ARRAY_SIZE(events)];

	CHECK_INT(known(catalogue, TAG("")), -1);
	for (size_t i = 0; i < ARRAY_SIZE(events); i++) {
		id[i] = claimed(catalogue, TAG(""));
		CHECK_INT(known(catalogue, TAG("")), i ? 536 : -1); /* not resolved yet */
		CHECK_INT(resolved_as(catalogue, id[i], INPUTS, events[i]), 0);
		CHECK_INT(known(catalogue, TAG("")), i == 2 ? 540 : 536);
		CHECK_INT(test_finish_compose(catalogue, id[i], NULL), 0);
	}
	CHECK_INT(known(catalogue, TAG("")), 540);
	CHECK_INT(known(catalogue, TAG(",\"koji_event\":539")), 536);
	CHECK_INT(known(catalogue, TAG(",\"koji_event\":354")), 354);
	CHECK_INT(known(catalogue, TAG(",\"koji_event\":353")), -1);
	CHECK_INT(known(catalogue, TAG(",\"packages\":[\"a\"]")), -1);
	CHECK_INT(catalogue_delete(catalogue, id[2], "who", NULL), 0);
	CHECK_INT(known(catalogue, TAG("")), 536);
}

static void test_order(void)
{
	_cleanup_(catalogue_closep) struct catalogue *catalogue = test_open(test_path("order"));
	int64_t last, expires, count;

	atomic_store(&test_clock, TEST_START);
	CHECK_INT(done(catalogue, REPO("")), 1);
	CHECK_INT(resolved(catalogue, REPO("")), 2);
	CHECK_INT(done(catalogue, REPO("")), 3);
	CHECK_INT(claimed(catalogue, REPO("")), 4); /* not resolved */
	CHECK_INT(resolved(catalogue, REPO("")), 5);
	CHECK_INT(done(catalogue, REPO("")), 6);
	last = claimed(catalogue, REPO(""));
	CHECK_STR(candidates(catalogue, last, INPUTS, 7), "6 3 1 +2 +5 ");
	CHECK_STR(candidates(catalogue, 4, INPUTS, 7), "3 1 +2 "); /* lower ids only */
	/* deleted, expired, failed, and one that shows another's tree: none of them */
	CHECK_INT(catalogue_delete(catalogue, 6, "bob", NULL), 0);
	CHECK_STR(candidates(catalogue, last, INPUTS, 7), "3 1 +2 +5 ");
	CHECK_INT(catalogue_renew(catalogue, 3, 10, RENEW_SET, &expires, NULL), 0);
	test_advance(10);
	CHECK_STR(candidates(catalogue, last, INPUTS, 7), "1 +2 +5 ");
	CHECK_INT(catalogue_fail(catalogue, 2, "no", NULL), 0);
	CHECK_INT(catalogue_reuse(catalogue, 5, 1, NULL), 0);
	CHECK_STR(candidates(catalogue, last, INPUTS, 7), "1 ");
	CHECK_INT(catalogue_reuse(catalogue, last, 5, NULL), -ESTALE); /* no chains */
	CHECK_INT(catalogue_reuse(catalogue, last, 6, NULL),
		  -ESTALE); /* deleted, not expired yet */
	CHECK_INT(catalogue_reuse(catalogue, last, 3, NULL), -ESTALE);
	CHECK_INT(catalogue_expire(catalogue, test_now(), &count, NULL), 0);
	CHECK_INT(catalogue_reuse(catalogue, last, 6, NULL), -ESTALE);
	CHECK_INT(catalogue_reuse(catalogue, last, 1, NULL), 0);
	CHECK_INT(catalogue_integrity(catalogue, NULL), 0);
}

static bool stop_visit(void *data, const struct compose *candidate)
{
	*(int64_t *)data = candidate->id;
	return true;
}

static void test_many_at_once(void)
{
	_cleanup_(catalogue_closep) struct catalogue *catalogue = test_open(test_path("many"));
	_cleanup_(compose_freep) struct compose *compose = NULL;
	struct resolution what = resolution(INPUTS, 7);
	int64_t ids[6], found_id = 0;
	int results[6];

	CHECK_INT(done(catalogue, REPO("")), 1);
	for (int i = 0; i < 4; i++)
		ids[i] = claimed(catalogue, REPO(""));
	ids[4] = 99;
	ids[5] = 1;
	compose = test_get(catalogue, ids[0]);
	CHECK_INT(catalogue_candidates(catalogue, ids[0], compose->spec, &what, stop_visit,
				       &found_id, NULL),
		  1);
	CHECK_INT(found_id, 1);
	CHECK_INT(catalogue_cancel(catalogue, ids[2], "bob", NULL), 0);
	CHECK_INT(catalogue_reuse_many(catalogue, ids, 6, 1, results, NULL), 0);
	for (int i = 0; i < 6; i++)
		CHECK_INT(results[i], i == 2 || i == 5 ? -ESTALE : i == 4 ? -ENOENT : 0);
	compose_free(steal(compose));
	compose = test_get(catalogue, ids[3]);
	CHECK_INT(compose->state, STATE_DONE);
	CHECK_INT(compose->reused_id, 1);
	CHECK_INT(catalogue_integrity(catalogue, NULL), 0);
}

/* ---- trees that stay --------------------------------------------------------- */

static bool is_kept(struct catalogue *catalogue, int64_t id)
{
	_cleanup_(compose_freep) struct compose *compose = test_get(catalogue, id);

	return compose->tree_kept;
}

static bool is_gone(struct catalogue *catalogue, int64_t id)
{
	_cleanup_(compose_freep) struct compose *compose = test_get(catalogue, id);

	return compose_is_gone(compose);
}

static void end(struct catalogue *catalogue, int64_t id)
{
	int64_t count = 0;

	CHECK_INT(catalogue_delete(catalogue, id, "bob", NULL), 0);
	CHECK_INT(catalogue_expire(catalogue, test_now(), &count, NULL), 0);
	CHECK_INT(count, 1);
}

static int64_t expires_of(struct catalogue *catalogue, int64_t id)
{
	_cleanup_(compose_freep) struct compose *compose = test_get(catalogue, id);

	return compose->time_to_expire;
}

static bool manifest_visit(void *data, const char *manifest _unused_)
{
	(*(int *)data)++;
	return false;
}

static int manifests(struct catalogue *catalogue)
{
	int count = 0;

	CHECK_INT(catalogue_manifests(catalogue, manifest_visit, &count, NULL), 0);
	return count;
}

static void test_kept(void)
{
	_cleanup_(catalogue_closep) struct catalogue *catalogue = test_open(test_path("kept"));
	struct watched watched = { 0 };
	int64_t first, second, count = 0;

	CHECK_INT(catalogue_watch(catalogue, watch, &watched), 0);
	CHECK_INT(done(catalogue, REPO("")), 1);
	first = claimed(catalogue, REPO(""));
	second = claimed(catalogue, REPO(""));
	CHECK_INT(catalogue_reuse(catalogue, first, 1, NULL), 0);
	CHECK_INT(catalogue_reuse(catalogue, second, 1, NULL), 0);
	CHECK(!is_kept(catalogue, 1));
	watched.events = 0;
	end(catalogue, 1);
	CHECK_INT(watched.events, 2); /* deleted, then removed */
	CHECK(watched.kept);
	CHECK(is_kept(catalogue, 1) && !is_gone(catalogue, 1));
	CHECK_INT(manifests(catalogue), 1);
	watched.events = 0;
	end(catalogue, first);
	CHECK_INT(watched.events, 2);
	CHECK_INT(watched.id, first);
	CHECK(is_gone(catalogue, first));
	CHECK(is_kept(catalogue, 1));
	watched.events = 0;
	end(catalogue, second); /* the last one */
	CHECK_INT(watched.events, 3);
	CHECK_INT(watched.id, 1); /* told of again */
	CHECK_INT(watched.old_state, STATE_REMOVED);
	CHECK_INT(watched.state, STATE_REMOVED);
	CHECK(!watched.kept);
	CHECK(is_gone(catalogue, 1));
	CHECK_INT(manifests(catalogue), 0);

	/* all at once, whichever is due first */
	CHECK_INT(done(catalogue, REPO("")), 4);
	first = claimed(catalogue, REPO(""));
	CHECK_INT(catalogue_reuse(catalogue, first, 4, NULL), 0);
	CHECK_INT(catalogue_delete(catalogue, 4, "bob", NULL), 0);
	CHECK_INT(catalogue_delete(catalogue, first, "bob", NULL), 0);
	CHECK_INT(catalogue_expire(catalogue, test_now(), &count, NULL), 0);
	CHECK_INT(count, 2);
	CHECK(is_gone(catalogue, 4) && is_gone(catalogue, first));
	/* who goes first is not kept by those who stay */
	CHECK_INT(done(catalogue, REPO("")), 6);
	first = claimed(catalogue, REPO(""));
	CHECK_INT(catalogue_reuse(catalogue, first, 6, NULL), 0);
	watched.events = 0;
	end(catalogue, first);
	CHECK_INT(watched.events, 2);
	CHECK(is_gone(catalogue, first) && !is_kept(catalogue, 6));
	CHECK_INT(manifests(catalogue), 1);
	CHECK_INT(catalogue_integrity(catalogue, NULL), 0);
}

/* Renewing goes on to who shares the tree, but brings back nobody who was deleted: his client was
 * told that he ends. */
static void test_renewed_kin(void)
{
	_cleanup_(catalogue_closep) struct catalogue *catalogue = test_open(test_path("kin"));
	int64_t first, second, expires, count = 0;

	CHECK_INT(done(catalogue, REPO("")), 1);
	first = claimed(catalogue, REPO(""));
	second = claimed(catalogue, REPO(""));
	CHECK_INT(catalogue_reuse(catalogue, first, 1, NULL), 0);
	CHECK_INT(catalogue_reuse(catalogue, second, 1, NULL), 0);
	CHECK_INT(catalogue_renew(catalogue, first, 100000, RENEW_SET, &expires, NULL), 0);
	CHECK_INT(expires_of(catalogue, 1), expires);
	CHECK(expires_of(catalogue, second) < expires);
	CHECK_INT(catalogue_delete(catalogue, second, "bob", NULL), 0);
	CHECK_INT(catalogue_renew(catalogue, 1, 200000, RENEW_SET, &expires, NULL), 0);
	CHECK_INT(expires_of(catalogue, first), expires);
	CHECK_INT(expires_of(catalogue, second), test_now());
	CHECK_INT(catalogue_delete(catalogue, 1, "bob", NULL), 0);
	CHECK_INT(catalogue_renew(catalogue, first, 250000, RENEW_SET, &expires, NULL), 0);
	CHECK_INT(expires_of(catalogue, first), expires);
	CHECK_INT(expires_of(catalogue, 1), test_now());
	CHECK_INT(catalogue_expire(catalogue, test_now(), &count, NULL), 0);
	CHECK_INT(count, 2);
	CHECK(is_kept(catalogue, 1) && !is_gone(catalogue, 1) && is_gone(catalogue, second));
}

/* More than are renewed in one transaction. */
static void test_many_kin(void)
{
	_cleanup_(catalogue_closep) struct catalogue *catalogue = test_open(test_path("manykin"));
	int64_t ids[2 * 100 + 50], expires;
	int results[ARRAY_SIZE(ids)];
	struct watched watched = { 0 };

	CHECK_INT(catalogue_watch(catalogue, watch, &watched), 0);
	CHECK_INT(done(catalogue, REPO("")), 1);
	for (size_t i = 0; i < ARRAY_SIZE(ids); i++)
		ids[i] = claimed(catalogue, REPO(""));
	CHECK_INT(catalogue_reuse_many(catalogue, ids, ARRAY_SIZE(ids), 1, results, NULL), 0);
	watched.events = 0;
	CHECK_INT(catalogue_renew(catalogue, 1, 100000, RENEW_EXTEND, &expires, NULL), 0);
	for (size_t i = 0; i < ARRAY_SIZE(ids); i++)
		CHECK_INT(expires_of(catalogue, ids[i]), expires);
	CHECK_INT(watched.events, 1 + ARRAY_SIZE(ids)); /* each is told of, once */
}

/* ---- many callers ------------------------------------------------------------ */

#define CLIENTS 4

struct crowd {
	struct catalogue *catalogue;
	_Atomic int made, reused, bad;
};

/* Claims and resolves one after another; shows what is there, or makes it and removes it now and
 * then. */
static void *crowd_run(void *data)
{
	struct crowd *crowd = data;
	struct resolution what = resolution(INPUTS, 7);

	for (int i = 0; i < 60; i++) {
		_cleanup_(compose_freep) struct compose *compose = NULL;
		int64_t id, other = 0, count;
		int r;

		if (test_submit_text(crowd->catalogue, "alice", REPO(""), NULL) < 0 ||
		    catalogue_claim(crowd->catalogue, &compose, NULL) != 1) {
			atomic_fetch_add(&crowd->bad, 1);
			continue;
		}
		id = compose->id;
		(void)catalogue_candidates(crowd->catalogue, id, compose->spec, &what, stop_visit,
					   &other, NULL);
		r = other ? catalogue_reuse(crowd->catalogue, id, other, NULL) : -ESTALE;
		if (r == 0)
			atomic_fetch_add(&crowd->reused, 1);
		else if (r != -ESTALE)
			atomic_fetch_add(&crowd->bad, 1);
		if (r < 0) {
			if (catalogue_resolved(crowd->catalogue, id, compose->spec, &what, NULL) <
				    0 ||
			    test_finish_compose(crowd->catalogue, id, NULL) < 0)
				atomic_fetch_add(&crowd->bad, 1);
			atomic_fetch_add(&crowd->made, 1);
		}
		if (i % 5 == 0 &&
		    (catalogue_delete(crowd->catalogue, other ? other : id, "x", NULL),
		     catalogue_expire(crowd->catalogue, test_now(), &count, NULL)) < 0)
			atomic_fetch_add(&crowd->bad, 1);
	}
	return NULL;
}

static bool whole_visit(void *data, const struct compose *compose)
{
	struct crowd *crowd = data;

	if (compose->state == STATE_DONE && compose->reused_id) {
		_cleanup_(compose_freep) struct compose *other =
			test_get(crowd->catalogue, compose->reused_id);

		if (compose_is_gone(other) || other->reused_id || !other->manifest)
			atomic_fetch_add(&crowd->bad, 1);
	}
	return false;
}

static void test_crowd(void)
{
	_cleanup_(catalogue_closep) struct catalogue *catalogue = test_open(test_path("crowd"));
	struct crowd crowd = { .catalogue = catalogue };
	pthread_t thread[CLIENTS];
	struct error err = { 0 };

	for (int i = 0; i < CLIENTS; i++)
		CHECK_INT(pthread_create(&thread[i], NULL, crowd_run, &crowd), 0);
	for (int i = 0; i < CLIENTS; i++)
		CHECK_INT(pthread_join(thread[i], NULL), 0);
	CHECK_INT(catalogue_query(catalogue, &COMPOSE_QUERY_ALL, whole_visit, &crowd, NULL, NULL),
		  0);
	CHECK_INT(crowd.bad, 0);
	CHECK_INT(crowd.made + crowd.reused, CLIENTS * 60);
	CHECK(crowd.made && crowd.reused);
	CHECK_INT(catalogue_integrity(catalogue, &err), 0);
}

/* ---- many rows ---------------------------------------------------------------- */

static int64_t look_up_us(struct catalogue *catalogue, int64_t id)
{
	struct timespec start, now;

	clock_gettime(CLOCK_MONOTONIC, &start);
	for (int i = 0; i < 50; i++)
		CHECK_STR(candidates(catalogue, id, INPUTS, 7), "1 ");
	clock_gettime(CLOCK_MONOTONIC, &now);
	return ((now.tv_sec - start.tv_sec) * 1000000 + (now.tv_nsec - start.tv_nsec) / 1000) / 50;
}

/* 20,000 rows of the same question at other inputs, and as many removed ones of the very same */
static void test_rows(void)
{
	_cleanup_(catalogue_closep) struct catalogue *catalogue = test_open(test_path("rows"));
	int64_t id, few, many;
	sqlite3 *db = NULL;
	char *words = NULL;

	CHECK_INT(done(catalogue, REPO("")), 1);
	id = claimed(catalogue, REPO(""));
	few = look_up_us(catalogue, id);
	CHECK_INT(sqlite3_open(test_path("rows"), &db), SQLITE_OK);
	CHECK_INT(
		sqlite3_exec(
			db,
			"WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < "
			"40000) "
			"INSERT INTO composes (request, owner, uid, gid, state, source_type, "
			"source, "
			"compose_type, time_submitted, time_to_expire, time_done, sigkeys, arches, "
			"manifest, question, inputs, koji_event) "
			"SELECT 1, owner, 0, 0, 2 + i % 2, source_type, source, compose_type, 1, "
			"time_to_expire, 1, '', arches, manifest, question, "
			"CASE i % 2 WHEN 0 THEN substr(inputs, 1, 58) || printf('%06x', i) "
			"ELSE inputs END, koji_event FROM composes, n WHERE id = 1",
			NULL, NULL, &words),
		SQLITE_OK);
	if (words)
		fprintf(stderr, "%s\n", words);
	CHECK_INT(sqlite3_close(db), SQLITE_OK);
	id = claimed(catalogue, REPO(""));
	many = look_up_us(catalogue, id);
	printf("a look-up takes %" PRId64 " us among few rows, %" PRId64 " us among 40,000\n", few,
	       many);
	CHECK(many < 20 * few + 2000); /* a scan takes 10,000 us and more */
}

int main(void)
{
	test_begin();
	test_resolved();
	test_questions();
	test_never();
	test_inputs_and_events();
	test_known_event();
	test_order();
	test_many_at_once();
	test_kept();
	test_renewed_kin();
	test_many_kin();
	test_crowd();
	test_rows();
	test_finish();
	TEST_END();
}
