/* SPDX-License-Identifier: MIT */
/* tests/unit/catalogue/query.c: lists: every order and filter against a plain sort of everything,
 * and that SQLite answers the frequent questions from an index. Looks into the room for its
 * connections. */
#include "core/catalogue/internal.h"
#include "tests/unit/catalogue/common.h"

#define ROWS 700 /* several pages; few owners, so that pages end within equal values */

struct list_of_composes {
	struct compose *item[ROWS];
	size_t count;
};

static bool keep_visit(void *data, const struct compose *compose)
{
	struct list_of_composes *all = data;

	if (all->count < ROWS && compose_copy(compose, &all->item[all->count], NULL) >= 0)
		all->count++;
	return false;
}

static void free_all(struct list_of_composes *all)
{
	for (size_t i = 0; i < all->count; i++)
		compose_free(all->item[i]);
	all->count = 0;
}

/* ---- the rows ---------------------------------------------------------- */

static const char *const owners[] = { "alice", "bob", "carol" };

/* The @i-th request: three kinds, events that repeat. */
static int64_t submit_kind(struct catalogue *catalogue, int i)
{
	const char *owner = owners[i * 7 % 11 % 3];
	char text[256];

	if (i % 3 == 0)
		return test_submit(catalogue, owner);
	if (i % 3 == 1)
		return test_submit_text(
			catalogue, owner,
			"{\"source\":{\"type\":\"module\",\"source\":\"perl:5.24\"},"
			"\"label\":\"RC-1.0\"}",
			NULL);
	(void)snprintf(text, sizeof(text),
		       "{\"source\":{\"type\":\"tag\",\"source\":\"f27\",\"koji_event\":%d},"
		       "\"compose_type\":\"nightly\",\"seconds_to_live\":500}",
		       100 + i % 7);
	return test_submit_text(catalogue, owner, text, NULL);
}

static void fill(struct catalogue *catalogue)
{
	int64_t id, count;

	for (int i = 0; i < ROWS; i++) {
		CHECK(submit_kind(catalogue, i) > 0);
		if (i % 10 == 0)
			test_advance(1 + i % 4);
		if (i % 6 == 0)
			continue; /* one more that waits */
		id = test_claim(catalogue);
		CHECK(id > 0);
		if (i % 6 == 1)
			CHECK_INT(catalogue_fail(catalogue, id, "x", NULL), 0);
		else if (i % 6 <= 4)
			CHECK_INT(test_finish_compose(catalogue, id, NULL), 0);
		if (i % 6 == 4)
			CHECK_INT(catalogue_delete(catalogue, id, "root", NULL), 0);
		if (i % 20 == 0)
			CHECK_INT(catalogue_expire(catalogue, test_now(), &count, NULL), 0);
	}
}

/* ---- every order ------------------------------------------------------- */

static enum compose_order sort_order; /* for qsort */
static bool sort_descending;

static int64_t key_of(const struct compose *compose)
{
	switch (sort_order) {
	case ORDER_KOJI_EVENT:
		return compose->koji_event;
	case ORDER_STATE:
		return compose->state;
	case ORDER_TIME_TO_EXPIRE:
		return compose->time_to_expire;
	case ORDER_TIME_SUBMITTED:
		return compose->time_submitted;
	case ORDER_TIME_DONE:
		return compose->time_done;
	case ORDER_TIME_REMOVED:
		return compose->time_removed;
	case ORDER_ID:
	case ORDER_OWNER:
		break;
	}
	return 0;
}

static int compare(const void *a, const void *b)
{
	const struct compose *one = *(struct compose *const *)a, *two = *(struct compose *const *)b;
	int order = sort_order == ORDER_OWNER ? strcmp(one->owner, two->owner) : 0;
	int64_t x = key_of(one), y = key_of(two);

	if (!order)
		order = (x > y) - (x < y);
	if (!order)
		order = (one->id > two->id) - (one->id < two->id);
	return sort_descending ? -order : order;
}

/* What the list must be: the sorted ones from offset on, at most limit. */
struct expected {
	const struct list_of_composes *all;
	const struct compose_query *query;
	size_t at;
	int64_t seen;
	int wrong;
};

static bool matches(const struct compose *compose, const struct compose_query *query)
{
	if (query->owner && strcmp(compose->owner, query->owner))
		return false;
	if (query->source && strcmp(compose->source, query->source))
		return false;
	if (query->compose_type && strcmp(compose->spec->compose_type, query->compose_type))
		return false;
	if (query->label && (!compose->spec->label || strcmp(compose->spec->label, query->label)))
		return false;
	if (query->pungi_compose_id && (!compose->pungi_compose_id ||
					strcmp(compose->pungi_compose_id, query->pungi_compose_id)))
		return false;
	if (query->koji_task_id != -1)
		return false; /* none has one */
	if (query->reused_id > 0 && compose->reused_id != query->reused_id)
		return false;
	return (query->state == -1 || query->state == compose->state) &&
	       (query->source_type == -1 || query->source_type == compose->spec->source_type) &&
	       compose->id > query->after_id;
}

static bool expect_visit(void *data, const struct compose *compose)
{
	struct expected *expected = data;
	const struct list_of_composes *all = expected->all;

	while (expected->at < all->count && !matches(all->item[expected->at], expected->query))
		expected->at++;
	if (expected->at == all->count || all->item[expected->at]->id != compose->id)
		expected->wrong++;
	expected->at++;
	expected->seen++;
	return false;
}

static void check_query(struct catalogue *catalogue, struct list_of_composes *all,
			const struct compose_query *query)
{
	struct expected expected = { .all = all, .query = query };
	int64_t matching = 0, total = -1, skip = query->offset, want;

	sort_order = query->order;
	sort_descending = query->descending;
	qsort(all->item, all->count, sizeof(all->item[0]), compare);
	for (size_t i = 0; i < all->count; i++) {
		if (!matches(all->item[i], query))
			continue;
		matching++;
		if (skip > 0 && skip--)
			expected.at = i + 1;
	}
	want = matching > query->offset ? matching - query->offset : 0;
	if (query->limit >= 0 && want > query->limit)
		want = query->limit;
	CHECK_INT(catalogue_query(catalogue, query, expect_visit, &expected, &total, NULL), 0);
	CHECK_INT(total, matching);
	CHECK_INT(expected.seen, want);
	CHECK_INT(expected.wrong, 0);
}

static void test_orders(struct catalogue *catalogue, struct list_of_composes *all)
{
	static const struct {
		int64_t offset, limit;
	} pages[] = { { 0, -1 },  { 0, 10 },	{ 10, 10 }, { 690, 20 }, { 5000, 10 },
		      { 3, 300 }, { 127, 129 }, { 0, 128 }, { 0, 0 },	 { 1, -1 } };

	for (int order = ORDER_ID; order <= ORDER_TIME_REMOVED; order++)
		for (size_t page = 0; page < ARRAY_SIZE(pages); page++)
			for (int way = 0; way < 4; way++) {
				struct compose_query query = COMPOSE_QUERY_ALL;

				query.order = (enum compose_order)order;
				query.descending = way & 1;
				query.owner = way & 2 ? "bob" : NULL;
				query.offset = pages[page].offset;
				query.limit = pages[page].limit;
				check_query(catalogue, all, &query);
			}
}

static void test_filters(struct catalogue *catalogue, struct list_of_composes *all)
{
	const struct compose_query none = COMPOSE_QUERY_ALL;
	struct compose_query query;
	const char *id_text = NULL;

	for (size_t i = 0; i < all->count; i++)
		if (all->item[i]->pungi_compose_id)
			id_text = all->item[i]->pungi_compose_id;
	for (unsigned int set = 0; set < 1u << 9; set++) {
		query = none;
		query.order = (enum compose_order)(set % 8);
		query.descending = set & 1;
		query.owner = set & 1 ? "alice" : NULL;
		query.source = set & 2 ? "f27" : NULL;
		query.compose_type = set & 4 ? "nightly" : NULL;
		query.label = set & 8 ? "RC-1.0" : NULL;
		query.state = set & 16 ? STATE_DONE : -1;
		query.source_type = set & 32 ? SOURCE_TAG : -1;
		query.after_id = set & 64 ? 300 : 0;
		query.pungi_compose_id = set & 128 ? id_text : NULL;
		query.koji_task_id = set & 256 ? 12 : -1;
		check_query(catalogue, all, &query);
	}
	query = none;
	query.owner = "nobody";
	check_query(catalogue, all, &query);
	query = none;
	query.state = STATE_REMOVED;
	check_query(catalogue, all, &query);
}

/* ---- visits ------------------------------------------------------------ */

struct nested {
	struct catalogue *catalogue;
	int64_t seen, last;
};

/* Verbs within a visit: reading, and writing too, since nothing is held. */
static bool nested_visit(void *data, const struct compose *compose)
{
	struct nested *nested = data;
	_cleanup_(compose_freep) struct compose *again = test_get(nested->catalogue, compose->id);
	struct compose_query query = COMPOSE_QUERY_ALL;
	int64_t count;

	CHECK_INT(again->id, compose->id);
	CHECK(compose->id > nested->last);
	nested->last = compose->id;
	query.state = STATE_WAIT;
	if (++nested->seen % 100 == 0) {
		CHECK_INT(catalogue_query(nested->catalogue, &query, NULL, NULL, &count, NULL), 0);
		CHECK_INT(catalogue_request_new(nested->catalogue, compose->owner, "x", 1, 1, 0755,
						&count, NULL),
			  0);
		CHECK_INT(catalogue_request_drop(nested->catalogue, count, NULL), 0);
	}
	return nested->seen == 450;
}

static void test_visits(struct catalogue *catalogue)
{
	struct nested nested = { .catalogue = catalogue };

	CHECK_INT(catalogue_query(catalogue, &COMPOSE_QUERY_ALL, nested_visit, &nested, NULL, NULL),
		  0);
	CHECK_INT(nested.seen, 450); /* it stopped when told to, in the middle of a page */
}

struct brief_check {
	const struct list_of_composes *all;
	bool with_removed;
	int64_t after, seen;
	int wrong;
};

static bool brief_visit(void *data, const struct compose_brief *brief)
{
	struct brief_check *check = data;
	const struct compose *compose = check->all->item[brief->id - 1];

	if (brief->id <= check->after || compose->id != brief->id ||
	    brief->state != compose->state || brief->time_done != compose->time_done ||
	    brief->time_to_expire != compose->time_to_expire ||
	    brief->time_submitted != compose->time_submitted || brief->uid != compose->uid ||
	    brief->source_type != compose->spec->source_type || brief->reused_id ||
	    strcmp(brief->owner, compose->owner) || strcmp(brief->source, compose->source) ||
	    (!check->with_removed && brief->state == STATE_REMOVED))
		check->wrong++;
	check->after = brief->id;
	check->seen++;
	return false;
}

static void test_briefs(struct catalogue *catalogue, struct list_of_composes *all)
{
	int64_t removed = 0;

	sort_order = ORDER_ID;
	sort_descending = false;
	qsort(all->item, all->count, sizeof(all->item[0]), compare);
	for (size_t i = 0; i < all->count; i++)
		removed += all->item[i]->state == STATE_REMOVED;
	CHECK(removed > 0);
	for (int with = 0; with < 2; with++) {
		struct brief_check check = { .all = all, .with_removed = with };

		CHECK_INT(catalogue_briefs(catalogue, 0, with, brief_visit, &check, NULL), 0);
		CHECK_INT(check.wrong, 0);
		CHECK_INT(check.seen, with ? ROWS : ROWS - removed);
		check.seen = 0;
		check.after = ROWS - 10;
		CHECK_INT(catalogue_briefs(catalogue, ROWS - 10, with, brief_visit, &check, NULL),
			  0);
		CHECK(check.seen <= 10 && check.wrong == 0);
	}
}

static void test_tally(struct catalogue *catalogue, const struct list_of_composes *all)
{
	struct compose_tally tally = { 0 }, want = { 0 };

	for (size_t i = 0; i < all->count; i++)
		want.count[all->item[i]->spec->source_type][all->item[i]->state]++;
	CHECK_INT(catalogue_tally(catalogue, &tally, NULL), 0);
	CHECK(!memcmp(&tally, &want, sizeof(want)));
	CHECK(tally.count[SOURCE_TAG][STATE_DONE] > 0);
}

static bool digest_visit(void *data, const char *manifest)
{
	struct strings *list = data;

	return strings_add(list, manifest) < 0;
}

static void test_manifests(struct catalogue *catalogue)
{
	struct strings list = { 0 };
	int64_t id, count;
	char digest[DIGEST_HEX_SIZE];

	CHECK_INT(catalogue_manifests(catalogue, digest_visit, &list, NULL), 0);
	CHECK_INT(list.count, 1); /* all done ones above share one */
	strings_done(&list);
	for (int i = 0; i < 300; i++) {
		struct outcome outcome = { .manifest = digest, .koji_event = -1 };

		CHECK(test_submit(catalogue, "alice") > 0);
		id = test_claim(catalogue);
		CHECK(id > 0);
		sha256_hex(&i, sizeof(i), digest);
		CHECK_INT(catalogue_finish(catalogue, id, &outcome, NULL), 0);
		if (i % 3 == 0)
			CHECK_INT(catalogue_delete(catalogue, id, "root", NULL), 0);
	}
	do
		CHECK_INT(catalogue_expire(catalogue, test_now(), &count, NULL), 0);
	while (count);
	CHECK_INT(catalogue_manifests(catalogue, digest_visit, &list, NULL), 0);
	CHECK_INT(list.count, 201);
	for (size_t i = 1; i < list.count; i++)
		CHECK(strcmp(list.item[i - 1], list.item[i]) < 0);
	strings_done(&list);
}

/* ---- plans ------------------------------------------------------------- */

/* Statements of catalogue_open(). */
static bool may_scan(const char *sql)
{
	const char *from = strstr(sql, "FROM composes c LEFT JOIN"); /* behind the columns */
	size_t length = strlen(sql);

	if (!strncmp(sql, "PRAGMA", 6) || strstr(sql, "sqlite_schema"))
		return true;
	return !strstr(from ? from : sql, "WHERE") && !strstr(sql, "ORDER BY") && length > 8 &&
	       !strcmp(sql + length - 8, " LIMIT 1"); /* tables_check() */
}

/* A scan in the order of an index or of the ids, which LIMIT ends, is what a page wants. */
static bool plan_is_bad(const char *sql, const char *detail)
{
	if (strstr(detail, "TEMP B-TREE"))
		return !strstr(sql, "WITH RECURSIVE"); /* a handful of owners is sorted */
	if (strncmp(detail, "SCAN ", 5) || strstr(detail, "INDEX"))
		return false;
	if (!strcmp(detail, "SCAN CONSTANT ROW") || !strcmp(detail, "SCAN waiting"))
		return false;
	if (strstr(sql, "FROM tallies")) /* at most 35 rows */
		return false;
	return strstr(sql, "WHERE") || !strstr(sql, "ORDER BY c.id");
}

static int check_plan(sqlite3 *db, const char *sql)
{
	_cleanup_(text_done) struct text explain = { 0 };
	sqlite3_stmt *plan = NULL;

	CHECK_INT(text_addf(&explain, "EXPLAIN QUERY PLAN %s", sql), 0);
	CHECK_INT(sqlite3_prepare_v2(db, explain.data, -1, &plan, NULL), SQLITE_OK);
	while (sqlite3_step(plan) == SQLITE_ROW) {
		const char *detail = (const char *)sqlite3_column_text(plan, 3);

		if (plan_is_bad(sql, detail))
			fprintf(stderr, "%s\n  %s\n", sql, detail);
		CHECK(!plan_is_bad(sql, detail));
	}
	sqlite3_finalize(plan);
	return 1;
}

static int check_plans(sqlite3 *db)
{
	struct strings texts = { 0 };
	int checked = 0;

	for (sqlite3_stmt *at = NULL; (at = sqlite3_next_stmt(db, at));)
		if (!may_scan(sqlite3_sql(at)))
			CHECK_INT(strings_add(&texts, sqlite3_sql(at)), 0);
	for (size_t i = 0; i < texts.count; i++)
		checked += check_plan(db, texts.item[i]);
	strings_done(&texts);
	return checked;
}

/* Each filter alone, in the order that clients get without asking. */
static void ask_filters(struct catalogue *catalogue)
{
	int64_t count, total;
	const struct compose_query filters[] = {
		{ "alice", .state = -1, .source_type = -1, .koji_task_id = -1 },
		{ .source = "f26", .state = -1, .source_type = -1, .koji_task_id = -1 },
		{ .pungi_compose_id = "x", .state = -1, .source_type = -1, .koji_task_id = -1 },
		{ .compose_type = "test", .state = -1, .source_type = -1, .koji_task_id = -1 },
		{ .label = "x", .state = -1, .source_type = -1, .koji_task_id = -1 },
		{ .state = 2, .source_type = -1, .koji_task_id = -1 },
		{ .state = -1, .source_type = 1, .koji_task_id = -1 },
		{ .state = -1, .source_type = -1, .koji_task_id = 5 },
		{ .state = -1, .source_type = -1, .koji_task_id = -1, .reused_id = 1 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(filters); i++) {
		struct compose_query query = filters[i];

		query.descending = true;
		query.limit = 10;
		CHECK_INT(catalogue_query(catalogue, &query, test_count, &count, &total, NULL), 0);
		if (query.reused_id)
			CHECK_INT(total, 1);
	}
}

/* Ask everything that is asked often, once, and look at the statements left in the connections. */
static void test_plans(void)
{
	_cleanup_(catalogue_closep) struct catalogue *catalogue = test_open(test_path("plans"));
	int64_t number, count, expires, id = test_submit(catalogue, "alice");
	struct brief_check briefs = { 0 };
	struct request request = { 0 };
	struct strings list = { 0 };

	CHECK_INT(test_claim(catalogue), id);
	CHECK_INT(catalogue_requeue(catalogue, &count, NULL), 0);
	CHECK_INT(test_claim(catalogue), id);
	CHECK_INT(test_finish_compose(catalogue, id, NULL), 0);
	CHECK_INT(catalogue_renew(catalogue, id, 2000, RENEW_SET, &expires, NULL), 0);
	CHECK(test_submit(catalogue, "alice") > 0);
	id = test_claim(catalogue);
	CHECK_INT(catalogue_reuse(catalogue, id, 1, NULL), 0);
	CHECK_INT(catalogue_cancel(catalogue, test_submit(catalogue, "bob"), "bob", NULL), 0);
	for (int order = ORDER_ID; order <= ORDER_TIME_REMOVED; order++)
		for (int way = 0; way < 2; way++) {
			struct compose_query query = COMPOSE_QUERY_ALL;

			query.order = (enum compose_order)order;
			query.descending = way;
			query.limit = 10;
			CHECK_INT(catalogue_query(catalogue, &query, test_count, &count, &number,
						  NULL),
				  0);
		}
	ask_filters(catalogue);
	CHECK_INT(catalogue_manifests(catalogue, digest_visit, &list, NULL), 0);
	strings_done(&list);
	CHECK_INT(catalogue_request_find(catalogue, "auto-1", &request, NULL), 0);
	request_done(&request);
	CHECK_INT(catalogue_request_drafts(catalogue, 1, &count, NULL), 0);
	CHECK_INT(catalogue_next_expiry(catalogue, &expires, NULL), 0);
	test_advance(10000);
	CHECK_INT(catalogue_expire(catalogue, test_now(), &count, NULL), 0);
	CHECK_INT(count, 3);
	CHECK_INT(catalogue_history(catalogue, test_now() + 1, &count, NULL), 0);
	CHECK_INT(catalogue_request_reap(catalogue, 1, &count, NULL), 0);
	CHECK_INT(catalogue_briefs(catalogue, 0, false, brief_visit, &briefs, NULL), 0);
	CHECK_INT(catalogue_briefs(catalogue, 100, true, brief_visit, &briefs, NULL), 0);
	CHECK(check_plans(catalogue->writer->db) >= 20);
	CHECK(catalogue->idle && !catalogue->idle->next); /* one thread: one reader */
	CHECK(check_plans(catalogue->idle->db) >= 30);
}

int main(void)
{
	struct list_of_composes all = { 0 };
	struct catalogue *catalogue;
	struct error err = { 0 };

	test_begin();
	catalogue = test_open(test_path("query"));
	fill(catalogue);
	CHECK_INT(catalogue_query(catalogue, &COMPOSE_QUERY_ALL, keep_visit, &all, NULL, NULL), 0);
	CHECK_INT(all.count, ROWS);
	test_orders(catalogue, &all);
	test_filters(catalogue, &all);
	test_visits(catalogue);
	test_briefs(catalogue, &all);
	test_tally(catalogue, &all);
	test_manifests(catalogue);
	CHECK_INT(catalogue_integrity(catalogue, &err), 0);
	catalogue_close(catalogue);
	free_all(&all);
	test_plans();
	test_finish();
	TEST_END();
}
