/* SPDX-License-Identifier: MIT */
/* tests/unit/catalogue/rows.c: rows hurt by hand or disk: each column of a row gets each kind of
 * nonsense. Every verb must answer with an error of that row or leave it out; its neighbours stay
 * as they are. */
#include "tests/unit/catalogue/common.h"

#include <sqlite3.h>

#define NEIGHBOUR_BEFORE 1
#define HURT 2
#define NEIGHBOUR_AFTER 3

/* Nonsense as SQL; NULL as its own kind, refused by most columns. */
static const char *const nonsense[] = {
	"NULL",
	"''",
	"'garbage'",
	"-1",
	"-9223372036854775808",
	"9223372036854775807",
	"4294967296",
	"7",
	"99",
	"1.5",
	"1e300",
	"x''",
	"x'00ff'",
	"CAST(x'61ff62' AS TEXT)",
	"CAST(x'610062' AS TEXT)",
	"CAST(zeroblob(100000) AS TEXT)",
	"'[]'",
	"'{}'",
	"'{\"source_type\":1}'",
	"'{\"source_type\":99,\"source\":[\"x\"],\"arches\":[\"x\"]}'",
	"'null'",
	"replace(hex(zeroblob(20000)), '00', '[')",
	"'../../../etc/passwd'",
	"'00112233445566778899AABBCCDDEEFF00112233445566778899aabbccddeeff'",
};

static const struct {
	const char *table, *key;
	const char *columns[26];
} tables[] = {
	{ "composes", "id", { "request",
			      "owner",
			      "uid",
			      "gid",
			      "state",
			      "state_reason",
			      "source_type",
			      "source",
			      "compose_type",
			      "label",
			      "time_submitted",
			      "time_to_expire",
			      "time_started",
			      "time_done",
			      "time_removed",
			      "removed_by",
			      "koji_event",
			      "koji_task_id",
			      "pungi_compose_id",
			      "respin_of",
			      "sigkeys",
			      "arches",
			      "reused_id",
			      "manifest",
			      "packages_count",
			      "size_bytes" } },
	{ "specs", "compose", { "spec", "written" } },
	{ "requests",
	  "number",
	  { "name", "owner", "uid", "gid", "mode", "time_created", "compose_id", "time_removed",
	    "note" } },
	{ "turns", "number", { "party" } },
	{ "tallies", "source_type = 1 AND 2", { "count" } },
};

struct seen {
	bool before, hurt, after;
	int count;
};

static void note(struct seen *seen, int64_t id)
{
	seen->count++;
	seen->before = seen->before || id == NEIGHBOUR_BEFORE;
	seen->hurt = seen->hurt || id == HURT;
	seen->after = seen->after || id == NEIGHBOUR_AFTER;
}

static bool compose_visit(void *data, const struct compose *compose)
{
	json_t *json = compose_to_json(compose, "http://localhost/composes", JSON_CURRENT, true);
	char *line = json ? json_line(json) : NULL;

	CHECK(line); /* what is handed out can be shown */
	free(line);
	json_decref(json);
	note(data, compose->id);
	return false;
}

static bool brief_visit(void *data, const struct compose_brief *brief)
{
	json_t *owner = json_string(brief->owner), *source = json_string(brief->source);

	CHECK(owner && source);
	json_decref(owner);
	json_decref(source);
	note(data, brief->id);
	return false;
}

static bool request_visit(void *data, const struct request *request)
{
	note(data, request->number);
	return false;
}

static bool manifest_visit(void *data, const char *manifest)
{
	CHECK(hex_is_digest(manifest));
	(*(int *)data)++;
	return false;
}

/* ---- one hurt row ------------------------------------------------------ */

/* Three composes: a waiting one, the one to hurt in @state, a done one. The bytes of their file. */
static char *make_base(enum compose_state state, size_t *ret_length)
{
	char path[128], *bytes = NULL;
	struct catalogue *catalogue;

	(void)snprintf(path, sizeof(path), "%s/base-%d", test_folder, state);
	catalogue = test_open(path);
	CHECK_INT(test_submit(catalogue, "alice"), NEIGHBOUR_BEFORE);
	CHECK_INT(test_claim(catalogue), NEIGHBOUR_BEFORE);
	CHECK_INT(test_submit(catalogue, "bob"), HURT);
	if (state != STATE_WAIT)
		CHECK_INT(test_claim(catalogue), HURT);
	if (state == STATE_DONE)
		CHECK_INT(test_finish_compose(catalogue, HURT, NULL), 0);
	if (state == STATE_FAILED)
		CHECK_INT(catalogue_fail(catalogue, HURT, "x", NULL), 0);
	CHECK_INT(test_submit(catalogue, "carol"), NEIGHBOUR_AFTER);
	CHECK_INT(catalogue_cancel(catalogue, NEIGHBOUR_AFTER, "carol", NULL), 0);
	CHECK_INT(catalogue_requeue(catalogue, &(int64_t){ 0 }, NULL), 0);
	if (state == STATE_GENERATING)
		while (test_claim(catalogue) > 0)
			;
	catalogue_close(catalogue);
	CHECK_INT(file_read(AT_FDCWD, path, 1 << 24, &bytes, ret_length), 0);
	return bytes;
}

/* false: SQLite refused the nonsense */
static bool hurt(const char *path, const char *table, const char *key, const char *column,
		 const char *value)
{
	_cleanup_(text_done) struct text sql = { 0 };
	sqlite3 *guest = NULL;
	int changed;

	CHECK_INT(sqlite3_open(path, &guest), SQLITE_OK);
	CHECK_INT(text_addf(&sql,
			    "PRAGMA ignore_check_constraints = ON; "
			    "UPDATE OR IGNORE %s SET %s = %s WHERE %s = %d",
			    table, column, value, key, HURT),
		  0);
	CHECK_INT(sqlite3_exec(guest, sql.data, NULL, NULL, NULL), SQLITE_OK);
	changed = sqlite3_changes(guest);
	CHECK_INT(sqlite3_close(guest), SQLITE_OK);
	return changed > 0;
}

static void check_reading(struct catalogue *catalogue)
{
	_cleanup_(compose_freep) struct compose *compose = NULL;
	_cleanup_(freep) char *text = NULL;
	struct compose_query query = COMPOSE_QUERY_ALL;
	struct compose_tally tally;
	struct seen seen = { 0 };
	struct error err = { 0 };
	int64_t total, time;
	int digests = 0;
	size_t length;
	int got, r;

	got = catalogue_get(catalogue, HURT, &compose, &err);
	CHECK(got == 0 || got == -EUCLEAN);
	if (got < 0)
		CHECK(strstr(err.message, "compose 2") && strstr(err.message, "damaged"));
	for (int order = ORDER_ID; order <= ORDER_TIME_REMOVED; order++) {
		seen = (struct seen){ 0 };
		query.order = (enum compose_order)order;
		r = catalogue_query(catalogue, &query, compose_visit, &seen, &total, &err);
		CHECK_INT(r, got < 0 ? 1 : 0); /* left out and counted, or shown */
		CHECK(seen.before && seen.after && seen.hurt == (got == 0));
		CHECK_INT(seen.count, got < 0 ? 2 : 3);
	}
	for (int with = 0; with < 2; with++) {
		seen = (struct seen){ 0 };
		r = catalogue_briefs(catalogue, 0, with, brief_visit, &seen, &err);
		CHECK(r >= 0 && seen.before && seen.after);
	}
	r = catalogue_request_list(catalogue, 0, request_visit, &seen, &err);
	CHECK(r == 0 || r == 1);
	r = catalogue_text(catalogue, HURT, &text, &length, &err);
	CHECK(r == 0);
	r = catalogue_manifests(catalogue, manifest_visit, &digests, &err);
	CHECK(r == 0 || r == -EUCLEAN);
	CHECK_INT(catalogue_tally(catalogue, &tally, &err), 0);
	CHECK_INT(catalogue_next_expiry(catalogue, &time, &err), 0);
	r = catalogue_integrity(catalogue, &err);
	CHECK(r == 0 || r == -EUCLEAN);
	if (got < 0)
		CHECK_INT(r, -EUCLEAN);
}

static bool allowed(int r)
{
	return r >= 0 || r == -ESTALE || r == -EUCLEAN || r == -ENOENT;
}

static void news_watch(void *data, const struct catalogue_event *event)
{
	if (!event->request_only)
		(void)compose_visit(data, event->compose);
}

static void check_writing(struct catalogue *catalogue)
{
	struct request request = { 0 };
	struct error err = { 0 };
	struct seen seen = { 0 };
	int64_t count, expires, claimed;
	int claims = 0;

	CHECK_INT(catalogue_watch(catalogue, news_watch, &seen), 0);
	do {
		claimed = test_claim(catalogue);
		CHECK(claimed >= 0);
	} while (claimed > 0 && ++claims < 10);
	CHECK(claims <= 2); /* a row that cannot be read is not handed out again and again */
	CHECK(allowed(test_finish_compose(catalogue, HURT, &err)));
	CHECK(allowed(catalogue_renew(catalogue, HURT, 5, RENEW_SET, &expires, &err)));
	CHECK(allowed(catalogue_cancel(catalogue, HURT, "x", &err)));
	CHECK(allowed(catalogue_delete(catalogue, HURT, "x", &err)));
	CHECK(allowed(catalogue_requeue(catalogue, &count, &err)));
	CHECK(allowed(catalogue_request_get(catalogue, HURT, &request, &err)));
	request_done(&request);
	CHECK(test_submit(catalogue, "dave") > 0);
	CHECK_INT(catalogue_expire(catalogue, INT64_MAX, &count, &err), 0);
	CHECK_INT(catalogue_history(catalogue, INT64_MAX, &count, &err), 0);
	CHECK_INT(catalogue_request_reap(catalogue, INT64_MAX, &count, &err), 0);
}

static void check_neighbours(struct catalogue *catalogue)
{
	_cleanup_(compose_freep) struct compose *before = test_get(catalogue, NEIGHBOUR_BEFORE);
	_cleanup_(compose_freep) struct compose *after = test_get(catalogue, NEIGHBOUR_AFTER);

	CHECK_STR(before->owner, "alice");
	CHECK_STR(after->owner, "carol");
	CHECK_STR(after->source, "f26");
}

static void check_case(const char *bytes, size_t length, size_t table, const char *column,
		       const char *value)
{
	_cleanup_(catalogue_closep) struct catalogue *catalogue = NULL;
	unsigned int before = test_failures;
	char path[128];
	int fd;

	(void)snprintf(path, sizeof(path), "%s", test_path("hurt"));
	fd = open(path, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
	CHECK_INT(io_write(fd, bytes, length), 0);
	closep(&fd);
	if (!hurt(path, tables[table].table, tables[table].key, column, value))
		return;
	catalogue = test_open(path);
	check_reading(catalogue);
	check_writing(catalogue);
	check_neighbours(catalogue);
	if (test_failures != before)
		fprintf(stderr, "  ... with %s.%s = %s\n", tables[table].table, column, value);
}

int main(void)
{
	static const enum compose_state states[] = { STATE_WAIT, STATE_GENERATING, STATE_DONE,
						     STATE_FAILED };
	char *bases[ARRAY_SIZE(states)];
	size_t lengths[ARRAY_SIZE(states)];
	size_t number = 0;

	test_begin();
	for (size_t i = 0; i < ARRAY_SIZE(states); i++)
		bases[i] = make_base(states[i], &lengths[i]);
	for (size_t table = 0; table < ARRAY_SIZE(tables); table++)
		for (size_t i = 0; i < 26 && tables[table].columns[i]; i++)
			for (size_t k = 0; k < ARRAY_SIZE(nonsense); k++) {
				size_t base = number++ % ARRAY_SIZE(states);

				check_case(bases[base], lengths[base], table,
					   tables[table].columns[i], nonsense[k]);
			}
	for (size_t i = 0; i < ARRAY_SIZE(states); i++)
		free(bases[i]);
	printf("%zu kinds of damage\n", number);
	test_finish();
	TEST_END();
}
