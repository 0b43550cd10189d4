/* SPDX-License-Identifier: MIT */
/* core/catalogue/check.c: what must not be in the file.
 *
 * SQLite looks at the pages, our rules at rows against each other, and each row is read as every
 * verb would read it. Works on a catalogue that somebody else is writing to: a rule is one
 * statement, so it sees one moment. */
#include "core/catalogue/internal.h"

#define ROWS_MAX 20 /* of one rule, and words of SQLite, that are told */

struct examination {
	struct catalogue *catalogue;
	void (*found)(void *data, const char *row, const char *words);
	void *data;
	int count;
};

static void tell(struct examination *examination, const char *what, int64_t id, const char *words)
{
	char row[64] = "";

	if (what)
		(void)snprintf(row, sizeof(row), "%s %" PRId64, what, id);
	examination->count++;
	if (examination->found)
		examination->found(examination->data, row, words);
}

/* Each finds rows that must not be: numbers of @what. */
static const struct {
	const char *what, *words, *sql;
} rules[] = {
	{ "compose", "a compose without its request's text",
	  "SELECT id FROM composes WHERE id NOT IN (SELECT compose FROM specs)" },
	{ "compose", "a request's text without its compose",
	  "SELECT compose FROM specs WHERE compose NOT IN (SELECT id FROM composes)" },
	{ "request", "a request directory without its compose",
	  "SELECT number FROM requests WHERE compose_id <> 0 "
	  "AND compose_id NOT IN (SELECT id FROM composes)" },
	{ "compose", "a state that does not exist",
	  "SELECT id FROM composes WHERE typeof(state) <> 'integer' "
	  "OR state NOT BETWEEN 0 AND 4" },
	{ "compose", "a done compose without a manifest",
	  "SELECT id FROM composes WHERE state = 2 AND (manifest IS NULL OR time_done = 0)" },
	{ "compose", "a generating compose that never started",
	  "SELECT id FROM composes WHERE state = 1 AND time_started = 0" },
	{ "source type", "a wrong count of composes of a source type",
	  "SELECT t.source_type FROM tallies t WHERE t.count <> (SELECT count(*) FROM composes c "
	  "WHERE c.source_type = t.source_type AND c.state = t.state) "
	  "UNION ALL SELECT source_type FROM composes GROUP BY source_type, state "
	  "HAVING NOT EXISTS (SELECT 1 FROM tallies t WHERE t.source_type = composes.source_type "
	  "AND t.state = composes.state)" },
	{ "compose", "a compose that shows the tree of none, or of one that shows another's",
	  "SELECT c.id FROM composes c LEFT JOIN composes o ON o.id = c.reused_id "
	  "WHERE c.reused_id > 0 AND (o.id IS NULL OR o.reused_id <> 0 OR o.id >= c.id "
	  "OR c.manifest IS NOT o.manifest)" },
	{ "compose", "a removed compose without the time of it",
	  "SELECT id FROM composes WHERE state = 3 AND time_removed = 0" },
	{ "compose", "a compose of a latest-… name no later than an earlier one of another content",
	  "SELECT c.id FROM composes c WHERE c.latest IS NOT NULL AND c.timestamp >= 0 "
	  "AND EXISTS (SELECT 1 FROM composes o WHERE o.owner = c.owner AND o.latest = c.latest "
	  "AND o.timestamp = c.timestamp AND o.id < c.id AND o.manifest IS NOT c.manifest)" },
};

/* -EUCLEAN: damaged; its words are told */
static int file_check(struct examination *examination, struct connection *reader, struct error *err)
{
	_cleanup_(sql_donep) struct statement *statement = NULL;
	char first[256] = "";
	int r = sql_start(reader, "PRAGMA integrity_check(20)", NO_VALUES, &statement, err);

	while (r >= 0 && (r = sql_next(statement, err)) > 0) {
		const char *words = (const char *)sqlite3_column_text(sql_row(statement), 0);

		if (words && !strcmp(words, "ok"))
			return 0;
		if (!first[0])
			(void)snprintf(first, sizeof(first), "%s", words ? words : "no answer");
		tell(examination, NULL, 0, words ? words : "no answer");
	}
	if (r == -EUCLEAN)
		tell(examination, NULL, 0, err->message);
	if (r < 0)
		return r;
	return error_set(err, -EUCLEAN, BLAME_US, NULL, "%s is damaged: %s", reader->path,
			 first[0] ? first : "no answer");
}

static int rules_check(struct examination *examination, struct connection *reader,
		       struct error *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(rules); i++) {
		int64_t id[ROWS_MAX];
		int r = sql_numbers(reader, rules[i].sql, NO_VALUES, id, ROWS_MAX, err);

		if (r < 0)
			return r;
		for (int k = 0; k < r; k++)
			tell(examination, rules[i].what, id[k], rules[i].words);
	}
	return 0;
}

static int row_check(struct connection *reader, int64_t id, struct error *err)
{
	_cleanup_(row_done) struct row row = { 0 };
	int r = row_load(reader, id, &row, err);

	return r < 0 ? r : row_finish(&row, err);
}

/* One row at a time, so that a writer's log is never kept from starting afresh for long. */
static int rows_check(struct examination *examination, struct connection *reader, struct error *err)
{
	int64_t id[PAGE_ROWS_MAX], after = 0;
	int count, r;

	do {
		count = sql_numbers(
			reader, "SELECT id FROM composes WHERE id > ?1 ORDER BY id LIMIT ?2",
			VALUES(INTEGER(after), INTEGER(PAGE_ROWS_MAX)), id, PAGE_ROWS_MAX, err);
		for (int i = 0; i < count; i++) {
			r = row_check(reader, id[i], err);
			if (r == -EUCLEAN && err->field[0])
				tell(examination, "compose", id[i], err->message);
			else if (r < 0)
				return r;
		}
		after = count > 0 ? id[count - 1] : after;
	} while (count == PAGE_ROWS_MAX);
	return count < 0 ? count : 0;
}

static bool request_pass(void *data _unused_, const struct request *request _unused_)
{
	return false;
}

int catalogue_examine(struct catalogue *catalogue,
		      void (*found)(void *data, const char *row, const char *words), void *data,
		      struct error *err)
{
	struct examination examination = { .catalogue = catalogue, .found = found, .data = data };
	struct connection *reader;
	struct error words = { 0 };
	int r = reader_get(catalogue, &reader, &words);

	if (r >= 0) {
		r = file_check(&examination, reader, &words);
		if (r >= 0)
			r = rules_check(&examination, reader, &words);
		if (r >= 0)
			r = rows_check(&examination, reader, &words);
		reader_put(catalogue, reader);
	}
	if (r >= 0)
		r = catalogue_request_list(catalogue, 0, request_pass, NULL, &words);
	if (r > 0)
		tell(&examination, NULL, 0, words.message);
	if (r < 0 && err)
		*err = words;
	return r < 0 ? r : examination.count;
}

struct first {
	const char *path;
	struct error *err;
	bool told;
};

static void keep_first(void *data, const char *row, const char *words)
{
	struct first *first = data;

	if (!first->told)
		(void)error_set(first->err, -EUCLEAN, BLAME_US, NULL, "%s is damaged: %s%s%s",
				first->path, row, row[0] ? ": " : "", words);
	first->told = true;
}

int catalogue_integrity(struct catalogue *catalogue, struct error *err)
{
	struct error words = { 0 };
	struct first first = { .path = catalogue->path, .err = err };
	int r = catalogue_examine(catalogue, keep_first, &first, &words);

	if (r < 0 && !first.told && err)
		*err = words;
	return r > 0 ? -EUCLEAN : r;
}
