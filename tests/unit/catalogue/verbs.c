/* SPDX-License-Identifier: MIT */
/* tests/unit/catalogue/verbs.c: what each verb does: states, reasons, times, requests, news. */
#include "tests/unit/catalogue/common.h"

#include <limits.h>

/* ---- states ------------------------------------------------------------ */

/* A new compose, brought into @state. */
static int64_t make(struct catalogue *catalogue, enum compose_state state)
{
	int64_t id = test_submit(catalogue, "alice"), count;

	CHECK(id > 0);
	if (state == STATE_WAIT)
		return id;
	CHECK_INT(test_claim(catalogue), id);
	if (state == STATE_GENERATING)
		return id;
	if (state == STATE_FAILED)
		CHECK_INT(catalogue_fail(catalogue, id, "Error while generating compose: x", NULL),
			  0);
	else
		CHECK_INT(test_finish_compose(catalogue, id, NULL), 0);
	if (state == STATE_REMOVED) {
		CHECK_INT(catalogue_delete(catalogue, id, "root", NULL), 0);
		CHECK_INT(catalogue_expire(catalogue, test_now(), &count, NULL), 0);
		CHECK(count >= 1); /* and what an earlier case deleted */
	}
	return id;
}

static int do_finish(struct catalogue *catalogue, int64_t id, struct error *err)
{
	return test_finish_compose(catalogue, id, err);
}

static int do_fail(struct catalogue *catalogue, int64_t id, struct error *err)
{
	return catalogue_fail(catalogue, id, "Error while generating compose: y", err);
}

static int do_cancel(struct catalogue *catalogue, int64_t id, struct error *err)
{
	return catalogue_cancel(catalogue, id, "bob", err);
}

static int do_delete(struct catalogue *catalogue, int64_t id, struct error *err)
{
	return catalogue_delete(catalogue, id, "bob", err);
}

static int do_renew(struct catalogue *catalogue, int64_t id, struct error *err)
{
	return catalogue_renew(catalogue, id, 5000, RENEW_EXTEND, NULL, err);
}

static int do_reuse(struct catalogue *catalogue, int64_t id, struct error *err)
{
	return catalogue_reuse(catalogue, id, 1, err);
}

struct state_case {
	const char *verb;
	int (*run)(struct catalogue *catalogue, int64_t id, struct error *err);
	int want[5];		  /* by state: wait, generating, done, removed, failed */
	enum compose_state state; /* after success; STATE_DRAFT: as before */
	const char *reason;	  /* after success; NULL: as before */
};

#define NO (-ESTALE)
static const struct state_case state_cases[] = {
	{ "finish",
	  do_finish,
	  { NO, 0, NO, NO, NO },
	  STATE_DONE,
	  "Compose is generated successfully" },
	{ "reuse",
	  do_reuse,
	  { NO, 0, NO, NO, NO },
	  STATE_DONE,
	  "Compose is generated successfully" },
	{ "fail",
	  do_fail,
	  { 0, 0, NO, NO, NO },
	  STATE_FAILED,
	  "Error while generating compose: y" },
	{ "cancel", do_cancel, { 0, 0, NO, NO, NO }, STATE_FAILED, "Canceled by bob" },
	{ "delete", do_delete, { NO, NO, 0, NO, 0 }, STATE_DRAFT, NULL },
	{ "renew", do_renew, { NO, NO, 0, NO, NO }, STATE_DRAFT, NULL },
};

static void check_case(struct catalogue *catalogue, const struct state_case *state_case, int state)
{
	int64_t id = make(catalogue, (enum compose_state)state);
	_cleanup_(compose_freep) struct compose *before = test_get(catalogue, id), *after = NULL;
	struct error err = { 0 };
	int r = state_case->run(catalogue, id, &err), want = state_case->want[state];

	if (r != want)
		fprintf(stderr, "%s in %s: %s\n", state_case->verb, state_name(state), err.message);
	CHECK_INT(r, want);
	after = test_get(catalogue, id);
	if (want < 0) {
		CHECK_INT(err.blame, BLAME_REQUEST);
		CHECK(strstr(err.message, state_name(state)));
		CHECK_INT(after->state, before->state);
		CHECK_INT(after->time_to_expire, before->time_to_expire);
		CHECK_STR(after->state_reason, before->state_reason);
	} else {
		CHECK_INT(after->state,
			  state_case->state == STATE_DRAFT ? before->state : state_case->state);
		CHECK_STR(after->state_reason,
			  state_case->reason ? state_case->reason : before->state_reason);
	}
	/* nothing may be left that the next case would claim */
	if (after->state == STATE_WAIT || after->state == STATE_GENERATING)
		CHECK_INT(catalogue_fail(catalogue, id, "end of case", NULL), 0);
}

static void test_states(void)
{
	_cleanup_(catalogue_closep) struct catalogue *catalogue = test_open(test_path("states"));
	struct error err = { 0 };
	int64_t expires;

	CHECK_INT(make(catalogue, STATE_DONE), 1); /* what reuse takes; outlives them all */
	CHECK_INT(catalogue_renew(catalogue, 1, 90000, RENEW_SET, &expires, NULL), 0);
	for (size_t i = 0; i < ARRAY_SIZE(state_cases); i++) {
		for (int state = STATE_WAIT; state <= STATE_FAILED; state++)
			check_case(catalogue, &state_cases[i], state);
		CHECK_INT(state_cases[i].run(catalogue, 999999, &err), -ENOENT);
		CHECK_INT(err.blame, BLAME_REQUEST);
	}
	CHECK_INT(catalogue_integrity(catalogue, &err), 0);
}

/* ---- times ------------------------------------------------------------- */

static void test_times(void)
{
	_cleanup_(catalogue_closep) struct catalogue *catalogue = test_open(test_path("times"));
	_cleanup_(compose_freep) struct compose *compose = NULL;
	int64_t start = test_now(), id = test_submit(catalogue, "alice"), next = 0, expires = 0;

	CHECK_INT(catalogue_next_expiry(catalogue, &next, NULL), 0);
	CHECK(next == INT64_MAX); /* waiting: nothing to expire yet */
	compose = test_get(catalogue, id);
	CHECK_INT(compose->time_submitted, start);
	CHECK_INT(compose->time_to_expire, start + 1000);
	CHECK_INT(compose->state, STATE_WAIT);
	CHECK_STR(compose->state_reason, NULL);
	CHECK_STR(compose->pungi_compose_id, NULL);
	CHECK_INT(compose->koji_event, -1);
	CHECK_INT(compose->koji_task_id, -1);
	compose_free(steal(compose));
	test_advance(50); /* in the queue */
	CHECK_INT(catalogue_claim(catalogue, &compose, NULL), 1);
	CHECK_INT(compose->time_started, start + 50);
	CHECK_STR(compose->state_reason, "Compose thread started");
	CHECK_STR(compose->pungi_compose_id, "odcs-1-1-20231114.t.0");
	compose_free(steal(compose));
	test_advance(30); /* in the works */
	CHECK_INT(test_finish_compose(catalogue, id, NULL), 0);
	compose = test_get(catalogue, id);
	CHECK_INT(compose->time_done, start + 80);
	CHECK_INT(compose->time_to_expire, start + 80 + 1000);
	CHECK_STR(compose->manifest, TEST_DIGEST);
	CHECK_INT(compose->packages_count, 151);
	CHECK_INT(catalogue_next_expiry(catalogue, &next, NULL), 0);
	CHECK_INT(next, start + 1080);
	/* REST never shortens, the tree's ttl does; both count from now */
	CHECK_INT(catalogue_renew(catalogue, id, 10, RENEW_EXTEND, &expires, NULL), 0);
	CHECK_INT(expires, start + 1080);
	CHECK_INT(catalogue_renew(catalogue, id, 10, RENEW_SET, &expires, NULL), 0);
	CHECK_INT(expires, start + 90);
	CHECK_INT(catalogue_renew(catalogue, id, 2000, RENEW_EXTEND, &expires, NULL), 0);
	CHECK_INT(expires, start + 2080);
	CHECK_INT(catalogue_renew(catalogue, id, 0, RENEW_SET, &expires, NULL), -EINVAL);
	CHECK_INT(catalogue_renew(catalogue, id, -7, RENEW_EXTEND, &expires, NULL), -EINVAL);
	CHECK_INT(catalogue_renew(catalogue, id, INT64_MAX, RENEW_EXTEND, &expires, NULL), 0);
	CHECK_INT(expires, 253402300799); /* the last second of the year 9999, not of 292 billion */
}

static void test_expiry(void)
{
	_cleanup_(catalogue_closep) struct catalogue *catalogue = test_open(test_path("expiry"));
	_cleanup_(compose_freep) struct compose *compose = NULL;
	int64_t done = make(catalogue, STATE_DONE), failed = make(catalogue, STATE_FAILED);
	int64_t deleted = make(catalogue, STATE_FAILED), waiting = make(catalogue, STATE_WAIT);
	int64_t count = -1, expires, start = test_now();

	CHECK_INT(catalogue_delete(catalogue, deleted, "root", NULL), 0);
	CHECK_INT(catalogue_delete(catalogue, deleted, "admin", NULL), 0); /* again: fine (2.9) */
	CHECK_INT(catalogue_renew(catalogue, deleted, 10, RENEW_EXTEND, &expires, NULL), -ESTALE);
	CHECK_INT(catalogue_expire(catalogue, start - 1, &count, NULL), 0);
	CHECK_INT(count, 0);
	CHECK_INT(catalogue_expire(catalogue, start, &count, NULL), 0);
	CHECK_INT(count, 1);
	compose = test_get(catalogue, deleted);
	CHECK_INT(compose->state, STATE_REMOVED);
	CHECK_STR(compose->state_reason, "Error while generating compose: x\nRemoved by admin.");
	CHECK_STR(compose->removed_by, "admin");
	CHECK_INT(compose->time_removed, start);
	CHECK_INT(catalogue_expire(catalogue, start + 999, &count, NULL), 0);
	CHECK_INT(count, 0);
	CHECK_INT(catalogue_expire(catalogue, start + 1000, &count, NULL), 0); /* at its second */
	CHECK_INT(count, 2);
	compose_free(steal(compose));
	compose = test_get(catalogue, done);
	CHECK_STR(compose->state_reason, "Compose is generated successfully\nCompose is expired.");
	CHECK_STR(compose->manifest, TEST_DIGEST);
	CHECK_INT(compose->time_removed, start + 1000);
	compose_free(steal(compose));
	compose = test_get(catalogue, failed);
	CHECK_INT(compose->state, STATE_REMOVED);
	compose_free(steal(compose));
	compose = test_get(catalogue, waiting); /* waits beyond its time without end */
	CHECK_INT(compose->state, STATE_WAIT);
	/* a deleted done one cannot be called back, an expired one only until it is removed */
	CHECK_INT(test_claim(catalogue), waiting);
	CHECK_INT(test_finish_compose(catalogue, waiting, NULL), 0);
	test_advance(5000);
	CHECK_INT(catalogue_renew(catalogue, waiting, 10, RENEW_EXTEND, &expires, NULL), 0);
	CHECK_INT(catalogue_delete(catalogue, waiting, "root", NULL), 0);
	CHECK_INT(catalogue_renew(catalogue, waiting, 10, RENEW_EXTEND, &expires, NULL), -ESTALE);
}

static void test_expiry_of_many(void)
{
	_cleanup_(catalogue_closep) struct catalogue *catalogue = test_open(test_path("many"));
	int64_t count, next;
	int calls = 0;

	for (int i = 0; i < 250; i++)
		(void)make(catalogue, i % 2 ? STATE_DONE : STATE_FAILED);
	test_advance(2000);
	do {
		CHECK_INT(catalogue_expire(catalogue, test_now(), &count, NULL), 0);
		CHECK(count <= 100);
		calls++;
	} while (count);
	CHECK_INT(calls, 4);
	CHECK_INT(catalogue_next_expiry(catalogue, &next, NULL), 0);
	CHECK(next == INT64_MAX);
	/* their directories go later, in one call, their rows never */
	CHECK_INT(catalogue_history(catalogue, test_now(), &count, NULL), 0);
	CHECK_INT(count, 0);
	CHECK_INT(catalogue_history(catalogue, test_now() + 1, &count, NULL), 0);
	CHECK_INT(count, 250);
	CHECK_INT(catalogue_query(catalogue, &COMPOSE_QUERY_ALL, NULL, NULL, &count, NULL), 0);
	CHECK_INT(count, 250);
}

/* ---- submit ------------------------------------------------------------ */

static void test_submissions(void)
{
	static const char written[] =
		"\n{ \"source\": {\"type\": \"repo\", \"source\": \"/srv/r\\u00e9po\", "
		"\"packages\": []}, \"label\": \"RC-1.0\"}\n";
	_cleanup_(catalogue_closep) struct catalogue *catalogue = test_open(test_path("submit"));
	_cleanup_(compose_freep) struct compose *compose = NULL;
	_cleanup_(spec_freep) struct spec *spec = test_spec(written);
	_cleanup_(freep) char *text = NULL;
	struct submission submission = {
		.owner = "alice",
		.uid = 1000,
		.gid = 100,
		.spec = spec,
		.text = written,
		.text_length = sizeof(written) - 1,
		.respin_of = "odcs-7-1-20231113.t.0",
		.live_limit = 2,
	};
	struct request request = { 0 };
	struct error err = { 0 };
	int64_t number = 0, id = 0;
	size_t length = 0;

	CHECK_INT(catalogue_request_new(catalogue, "mine", "alice", 1000, 100, 0700, &number, NULL),
		  0);
	submission.request = number;
	CHECK_INT(catalogue_submit(catalogue, &submission, &id, &compose, &err), 0);
	CHECK_INT(compose->id, id);
	CHECK_INT(compose->request, number);
	CHECK_STR(compose->owner, "alice");
	CHECK_STR(compose->source, "/srv/r\xc3\xa9po");
	CHECK_STR(compose->respin_of, "odcs-7-1-20231113.t.0");
	CHECK_STR(compose->arches, "x86_64");
	CHECK_STR(compose->sigkeys, "");
	CHECK(compose->spec->has_packages && !compose->spec->packages.count);
	CHECK_STR(compose->spec->label, "RC-1.0");
	CHECK_INT(catalogue_text(catalogue, id, &text, &length, NULL), 0);
	CHECK_INT(length, sizeof(written) - 1);
	CHECK_STR(text, written);
	CHECK_INT(catalogue_submit(catalogue, &submission, &id, NULL, &err), -EBUSY);
	submission.request = 777;
	CHECK_INT(catalogue_submit(catalogue, &submission, &id, NULL, &err), -ENOENT);
	submission.request = 0; /* a directory is made for it */
	CHECK_INT(catalogue_request_new(catalogue, "auto-2", "eve", 6, 6, 0755, &number, NULL), 0);
	compose_free(steal(compose));
	CHECK_INT(catalogue_submit(catalogue, &submission, &id, &compose, &err), 0);
	CHECK_INT(catalogue_request_get(catalogue, compose->request, &request, NULL), 0);
	CHECK_STR(request.name, "auto-2.2"); /* somebody took auto-2 */
	CHECK_INT(request.compose_id, id);
	CHECK_INT(request.mode, 0755);
	request_done(&request);
	CHECK_INT(catalogue_submit(catalogue, &submission, &id, NULL, &err), -EDQUOT);
	CHECK(strstr(err.message, "alice has 2"));
	submission.owner = "bob";
	CHECK_INT(catalogue_submit(catalogue, &submission, &id, NULL, &err), 0);
	CHECK_INT(catalogue_cancel(catalogue, 1, "alice", NULL),
		  0); /* a failed one does not count */
	submission.owner = "alice";
	CHECK_INT(catalogue_submit(catalogue, &submission, &id, NULL, &err), 0);
	CHECK_INT(catalogue_get(catalogue, 555, &compose, &err), -ENOENT);
	CHECK_INT(catalogue_text(catalogue, 555, &text, &length, &err), -ENOENT);
	CHECK_INT(catalogue_integrity(catalogue, &err), 0);
}

/* Text that is not UTF-8 must not make a row that no JSON can show. */
static void test_foreign_letters(void)
{
	_cleanup_(catalogue_closep) struct catalogue *catalogue = test_open(test_path("letters"));
	_cleanup_(compose_freep) struct compose *compose = NULL;
	int64_t id = test_submit(catalogue, "J\xf6rg"), number;

	CHECK_INT(catalogue_fail(catalogue, id, "caf\xc3\xa9 \xff\xc3", NULL), 0);
	compose = test_get(catalogue, id);
	CHECK_STR(compose->owner, "J?rg");
	CHECK_STR(compose->state_reason, "caf\xc3\xa9 ??");
	CHECK_INT(catalogue_request_new(catalogue, "\xff", "a", 1, 1, 0755, &number, NULL),
		  -EINVAL);
}

/* ---- claim ------------------------------------------------------------- */

static void test_fairness(void)
{
	_cleanup_(catalogue_closep) struct catalogue *catalogue = test_open(test_path("fair"));
	int64_t flood[6], polite, third, count = 0;

	CHECK_INT(test_claim(catalogue), 0);
	for (int i = 0; i < 6; i++)
		flood[i] = test_submit(catalogue, "flood");
	CHECK_INT(test_claim(catalogue), flood[0]);
	polite = test_submit(catalogue, "polite");
	third = test_submit(catalogue, "third");
	CHECK_INT(test_claim(catalogue), polite); /* has none generating */
	CHECK_INT(test_finish_compose(catalogue, flood[0], NULL), 0);
	CHECK_INT(test_finish_compose(catalogue, polite, NULL), 0);
	/* all have none generating now: age alone would take the rest of the flood first */
	CHECK_INT(test_claim(catalogue), third);
	CHECK_INT(test_claim(catalogue), flood[1]);
	polite = test_submit(catalogue, "polite");
	CHECK_INT(test_finish_compose(catalogue, third, NULL), 0);
	CHECK_INT(test_finish_compose(catalogue, flood[1], NULL), 0);
	CHECK_INT(test_claim(catalogue), polite);
	CHECK_INT(test_claim(catalogue), flood[2]);
	CHECK_INT(test_claim(catalogue), flood[3]);
	/* after a crash: all three wait again, with their record as new */
	CHECK_INT(catalogue_requeue(catalogue, &count, NULL), 0);
	CHECK_INT(count, 3);
	_cleanup_(compose_freep) struct compose *compose = test_get(catalogue, polite);
	CHECK_INT(compose->state, STATE_WAIT);
	CHECK_STR(compose->state_reason, NULL);
	CHECK_STR(compose->pungi_compose_id, NULL);
	CHECK_INT(compose->time_started, 0);
	CHECK_INT(catalogue_requeue(catalogue, &count, NULL), 0);
	CHECK_INT(count, 0);
	CHECK_INT(test_claim(catalogue), polite);
	CHECK_INT(test_claim(catalogue), flood[2]);
	/* cancelled meanwhile: the worker's result is refused */
	CHECK_INT(catalogue_cancel(catalogue, flood[2], "flood", NULL), 0);
	CHECK_INT(test_finish_compose(catalogue, flood[2], NULL), -ESTALE);
	CHECK_INT(catalogue_fail(catalogue, flood[2], "late", NULL), -ESTALE);
}

static int64_t submit_from(struct catalogue *catalogue, const char *owner, uint32_t uid,
			   const char *client)
{
	_cleanup_(spec_freep) struct spec *spec = test_spec(TEST_TEXT);
	struct submission submission = {
		.owner = owner, .uid = uid, .gid = 1, .client = client
	};
	int64_t id = 0;

	submission.spec = spec;
	submission.text = TEST_TEXT;
	submission.text_length = strlen(TEST_TEXT);
	CHECK_INT(catalogue_submit(catalogue, &submission, &id, NULL, NULL), 0);
	return id;
}

static int64_t submit_as(struct catalogue *catalogue, const char *owner, uint32_t uid)
{
	return submit_from(catalogue, owner, uid, NULL);
}

/* without accounts a flood and a polite client have the same name */
static void test_fairness_uids(void)
{
	_cleanup_(catalogue_closep) struct catalogue *catalogue = test_open(test_path("uids"));
	int64_t flood[4], polite, other;

	for (int i = 0; i < 4; i++)
		flood[i] = submit_as(catalogue, "unknown", 1000);
	CHECK_INT(test_claim(catalogue), flood[0]);
	CHECK_INT(test_finish_compose(catalogue, flood[0], NULL), 0);
	polite = submit_as(catalogue, "unknown", 999);
	other = submit_as(catalogue, "unknown", 4294967294);
	CHECK_INT(test_claim(catalogue), polite);
	CHECK_INT(test_claim(catalogue), other);
	CHECK_INT(test_claim(catalogue), flood[1]); /* nobody else waits */
	polite = submit_as(catalogue, "unknown", 999);
	CHECK_INT(test_claim(catalogue), polite); /* each has one under way */
	CHECK_INT(test_claim(catalogue), flood[2]);
	CHECK_INT(test_claim(catalogue), flood[3]);
	CHECK_INT(test_claim(catalogue), 0);
}

/* nor are those of other machines one, and who has a name is one from wherever he asks */
static void test_fairness_clients(void)
{
	_cleanup_(catalogue_closep) struct catalogue *catalogue = test_open(test_path("clients"));
	int64_t flood[4], polite, named[3];

	for (int i = 0; i < 4; i++)
		flood[i] = submit_from(catalogue, "unknown", 65534, "in:192.0.2.1");
	for (int i = 0; i < 3; i++)
		named[i] = submit_as(catalogue, "alice", 65534);
	polite = submit_from(catalogue, "unknown", 65534, "in6:2001:db8::");
	CHECK_INT(test_claim(catalogue), flood[0]);
	CHECK_INT(test_claim(catalogue), named[0]);
	CHECK_INT(test_claim(catalogue), polite);
	CHECK_INT(test_finish_compose(catalogue, flood[0], NULL), 0);
	CHECK_INT(test_claim(catalogue), flood[1]);
	CHECK_INT(test_claim(catalogue), named[1]);
	CHECK_INT(catalogue_unclaim(catalogue, flood[1], NULL), 0); /* his place is not lost */
	CHECK_INT(test_claim(catalogue), flood[1]);
	CHECK_INT(test_claim(catalogue), flood[2]);
	CHECK_INT(test_claim(catalogue), named[2]);
	CHECK_INT(test_claim(catalogue), flood[3]);
	CHECK_INT(test_claim(catalogue), 0);
}

/* ---- reuse ------------------------------------------------------------- */

static int64_t expires_of(struct catalogue *catalogue, int64_t id)
{
	_cleanup_(compose_freep) struct compose *compose = test_get(catalogue, id);

	return compose->time_to_expire;
}

static void test_reuse(void)
{
	_cleanup_(catalogue_closep) struct catalogue *catalogue = test_open(test_path("reuse"));
	_cleanup_(compose_freep) struct compose *compose = NULL;
	int64_t owner, first, second, start = TEST_START, expires;

	atomic_store(&test_clock, start);
	owner = make(catalogue, STATE_DONE);
	test_advance(100);
	first = make(catalogue, STATE_GENERATING);
	CHECK_INT(catalogue_reuse(catalogue, first, first, NULL), -ESTALE);
	CHECK_INT(catalogue_reuse(catalogue, first, 99, NULL), -ENOENT);
	test_advance(20);
	CHECK_INT(catalogue_reuse(catalogue, first, owner, NULL), 0);
	compose = test_get(catalogue, first);
	CHECK_INT(compose->state, STATE_DONE);
	CHECK_INT(compose->reused_id, owner);
	CHECK_INT(compose_tree_id(compose), owner);
	CHECK_STR(compose->manifest, TEST_DIGEST);
	CHECK_STR(compose->pungi_compose_id, "odcs-1-1-20231114.t.0");
	CHECK_INT(compose->packages_count, 151);
	CHECK_INT(compose->time_to_expire, start + 120 + 1000);
	CHECK_INT(expires_of(catalogue, owner), start + 1120); /* the files live as long */
	second = make(catalogue, STATE_GENERATING);
	CHECK_INT(catalogue_reuse(catalogue, second, owner, NULL), 0);
	/* renewing one of the family renews the one with the files; those renew all */
	CHECK_INT(catalogue_renew(catalogue, second, 3000, RENEW_EXTEND, &expires, NULL), 0);
	CHECK_INT(expires_of(catalogue, owner), start + 3120);
	CHECK_INT(expires_of(catalogue, first), start + 1120);
	CHECK_INT(catalogue_renew(catalogue, owner, 4000, RENEW_EXTEND, &expires, NULL), 0);
	CHECK_INT(expires_of(catalogue, first), start + 4120);
	CHECK_INT(expires_of(catalogue, second), start + 4120);
	CHECK_INT(catalogue_renew(catalogue, owner, 10, RENEW_SET, &expires, NULL), 0);
	CHECK_INT(expires_of(catalogue, first), start + 4120);
}

/* ---- requests ---------------------------------------------------------- */

struct names {
	char text[256];
	size_t count;
	size_t stop_at;
};

static bool name_visit(void *data, const struct request *request)
{
	struct names *names = data;
	size_t length = strlen(names->text);

	(void)snprintf(names->text + length, sizeof(names->text) - length, "%s ", request->name);
	return ++names->count == names->stop_at;
}

static void test_requests(void)
{
	_cleanup_(catalogue_closep) struct catalogue *catalogue = test_open(test_path("requests"));
	char long_name[REQUEST_NAME_MAX + 2];
	struct names names = { 0 };
	struct request request = { 0 };
	struct error err = { 0 };
	int64_t a = 0, b = 0, c = 0, count = 0, start = test_now();

	memset(long_name, 'x', sizeof(long_name) - 1);
	long_name[sizeof(long_name) - 1] = '\0';
	CHECK_INT(catalogue_request_new(catalogue, "a", "al", 7, 8, 0755, &a, NULL), 0);
	CHECK_INT(catalogue_request_new(catalogue, "b", "al", 7, 8, 040750, &b, NULL), 0);
	CHECK_INT(catalogue_request_new(catalogue, "a", "bo", 9, 9, 0755, &c, &err), -EEXIST);
	CHECK_INT(err.blame, BLAME_REQUEST);
	CHECK_INT(catalogue_request_new(catalogue, "", "bo", 9, 9, 0755, &c, &err), -EINVAL);
	CHECK_INT(catalogue_request_new(catalogue, long_name, "bo", 9, 9, 0755, &c, &err), -EINVAL);
	CHECK_INT(catalogue_request_find(catalogue, "b", &request, NULL), 0);
	CHECK_INT(request.number, b);
	CHECK_INT(request.mode, 0750);
	CHECK_INT(request.uid, 7);
	CHECK_INT(request.gid, 8);
	CHECK_INT(request.compose_id, 0);
	CHECK_STR(request.note, NULL);
	request_done(&request);
	CHECK_INT(catalogue_request_drafts(catalogue, 7, &count, NULL), 0);
	CHECK_INT(count, 2);
	test_advance(10);
	CHECK_INT(catalogue_request_rename(catalogue, b, "a", &err), -EEXIST);
	CHECK_INT(catalogue_request_rename(catalogue, 99, "z", &err), -ENOENT);
	CHECK_INT(catalogue_request_rename(catalogue, b, "c", &err), 0);
	CHECK_INT(catalogue_request_note(catalogue, b, "hello", &err), 0);
	CHECK_INT(catalogue_request_get(catalogue, b, &request, NULL), 0);
	CHECK_STR(request.name, "c");
	CHECK_STR(request.note, "hello");
	CHECK_INT(request.time_created, start + 10);
	request_done(&request);
	CHECK_INT(catalogue_request_note(catalogue, b, NULL, &err), 0);
	CHECK_INT(catalogue_request_chmod(catalogue, b, 0700, &err), 0);
	CHECK_INT(catalogue_request_get(catalogue, b, &request, NULL), 0);
	CHECK_STR(request.note, NULL);
	CHECK_INT(request.mode, 0700);
	request_done(&request);
	CHECK_INT(catalogue_request_chmod(catalogue, 99, 0700, &err), -ENOENT);
	CHECK_INT(catalogue_request_note(catalogue, 99, "x", &err), -ENOENT);
	CHECK_INT(catalogue_request_find(catalogue, "b", &request, &err), -ENOENT);
	CHECK_INT(catalogue_request_reap(catalogue, start + 10, &count, NULL), 0); /* drops a */
	CHECK_INT(count, 1);
	CHECK_INT(catalogue_request_drop(catalogue, b, &err), 0);
	CHECK_INT(catalogue_request_drop(catalogue, b, &err), -ENOENT);
	CHECK_INT(catalogue_request_new(catalogue, "a", "al", 7, 8, 0755, &c, NULL), 0);
	CHECK(c > b); /* numbers are not used again, even the highest */
	CHECK(test_submit(catalogue, "al") > 0);
	CHECK_INT(catalogue_request_rename(catalogue, c + 1, "z", &err), -EBUSY); /* accepted */
	CHECK_INT(catalogue_request_list(catalogue, 0, name_visit, &names, NULL), 0);
	CHECK_STR(names.text, "a auto-1 ");
	names = (struct names){ .stop_at = 1 };
	CHECK_INT(catalogue_request_list(catalogue, 0, name_visit, &names, NULL), 0);
	CHECK_STR(names.text, "a ");
	CHECK_INT(catalogue_request_reap(catalogue, INT64_MAX, &count, NULL), 0);
	CHECK_INT(count, 1); /* accepted ones are no drafts */
}

static void test_many_requests(void)
{
	_cleanup_(catalogue_closep) struct catalogue *catalogue = test_open(test_path("many2"));
	struct names names = { 0 };
	int64_t number, count;
	char name[32];

	for (int i = 0; i < 300; i++) {
		(void)snprintf(name, sizeof(name), "draft-%d", i);
		CHECK_INT(catalogue_request_new(catalogue, name, "al", 7, 8, 0755, &number, NULL),
			  0);
	}
	CHECK_INT(catalogue_request_list(catalogue, 0, name_visit, &names, NULL), 0);
	CHECK_INT(names.count, 300);
	names = (struct names){ 0 };
	CHECK_INT(catalogue_request_list(catalogue, 290, name_visit, &names, NULL), 0);
	CHECK_INT(names.count, 10);
	CHECK_INT(catalogue_request_reap(catalogue, test_now() + 1, &count, NULL), 0);
	CHECK_INT(count, 300);
}

/* ---- news -------------------------------------------------------------- */

struct news {
	struct catalogue *catalogue;
	char text[4096];
};

static void news_watch(void *data, const struct catalogue_event *event)
{
	struct news *news = data;
	size_t length = strlen(news->text);
	_cleanup_(compose_freep) struct compose *seen = NULL;

	if (event->request_only) {
		CHECK(!event->compose);
		(void)snprintf(news->text + length, sizeof(news->text) - length,
			       "request %" PRId64 "\n", event->request);
		return;
	}
	(void)snprintf(news->text + length, sizeof(news->text) - length,
		       "%" PRId64 " %s>%s %+" PRId64 "\n", event->compose->id,
		       state_name(event->old_state), state_name(event->compose->state),
		       event->compose->time_to_expire - TEST_START);
	CHECK_INT(event->request, event->compose->request);
	/* committed: a reading verb within the callback sees it */
	seen = test_get(news->catalogue, event->compose->id);
	CHECK_INT(seen->state, event->compose->state);
}

static void test_news(void)
{
	_cleanup_(catalogue_closep) struct catalogue *catalogue = test_open(test_path("news"));
	struct news news = { .catalogue = catalogue };
	int64_t number, count, expires;

	atomic_store(&test_clock, TEST_START);
	CHECK_INT(catalogue_watch(catalogue, news_watch, &news), 0);
	CHECK_INT(catalogue_request_new(catalogue, "d", "al", 1, 1, 0755, &number, NULL), 0);
	CHECK_INT(catalogue_request_new(catalogue, "d", "al", 1, 1, 0755, &number, NULL), -EEXIST);
	CHECK_INT(catalogue_request_rename(catalogue, number, "e", NULL), 0);
	CHECK_INT(catalogue_request_note(catalogue, number, "n", NULL), 0);
	CHECK_INT(catalogue_request_drop(catalogue, number, NULL), 0);
	CHECK_INT(test_submit(catalogue, "al"), 1);
	CHECK_INT(test_claim(catalogue), 1);
	CHECK_INT(catalogue_requeue(catalogue, &count, NULL), 0);
	CHECK_INT(test_claim(catalogue), 1);
	CHECK_INT(test_finish_compose(catalogue, 1, NULL), 0);
	CHECK_INT(catalogue_renew(catalogue, 1, 9, RENEW_EXTEND, &expires, NULL),
		  0); /* no change */
	CHECK_INT(catalogue_renew(catalogue, 1, 2000, RENEW_EXTEND, &expires, NULL), 0);
	CHECK_INT(catalogue_delete(catalogue, 1, "root", NULL), 0);
	CHECK_INT(catalogue_expire(catalogue, test_now(), &count, NULL), 0);
	CHECK_INT(catalogue_history(catalogue, test_now() + 1, &count, NULL), 0);
	CHECK_STR(news.text, "request 1\nrequest 1\nrequest 1\n"
			     "request 2\n1 draft>wait +1000\n1 wait>generating +1000\n"
			     "1 generating>wait +1000\n1 wait>generating +1000\n"
			     "1 generating>done +1000\n1 done>done +2000\n1 done>done +0\n"
			     "1 done>removed +0\nrequest 2\n");
	for (int i = 0; i < 7; i++)
		CHECK_INT(catalogue_watch(catalogue, news_watch, &news), 0);
	CHECK(catalogue_watch(catalogue, news_watch, &news) < 0);
}

/* ---- progress ---------------------------------------------------------- */

static void test_progress(void)
{
	_cleanup_(catalogue_closep) struct catalogue *catalogue = test_open(test_path("progress"));
	struct progress given = { .done = 3, .total = 7, .phase = "depsolve", .text = "x86_64" };
	struct progress got = { .done = 1 };

	catalogue_progress_get(catalogue, 12, &got);
	CHECK_INT(got.done, 0);
	CHECK_INT(got.serial, 0);
	catalogue_progress_set(catalogue, 12, &given);
	catalogue_progress_get(catalogue, 12, &got);
	CHECK_INT(got.total, 7);
	CHECK_STR(got.phase, "depsolve");
	CHECK_INT(got.serial, 1);
	for (int64_t id = 100; id < 1000; id++) { /* others come and go; 12 goes on reporting */
		catalogue_progress_set(catalogue, id, &given);
		given.done = id;
		catalogue_progress_set(catalogue, 12, &given);
	}
	catalogue_progress_get(catalogue, 12, &got);
	CHECK_INT(got.done, 999);
	CHECK_INT(got.serial, 1801);
	catalogue_progress_get(catalogue, 100, &got); /* forgotten */
	CHECK_INT(got.serial, 0);
}

int main(void)
{
	test_begin();
	test_states();
	test_times();
	test_expiry();
	test_expiry_of_many();
	test_submissions();
	test_foreign_letters();
	test_fairness();
	test_fairness_uids();
	test_fairness_clients();
	test_reuse();
	test_requests();
	test_many_requests();
	test_news();
	test_progress();
	test_finish();
	TEST_END();
}
