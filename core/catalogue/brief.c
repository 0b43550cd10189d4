/* SPDX-License-Identifier: MIT */
/* core/catalogue/brief.c: cheap listings of all composes, for directories and for cleaning up; and
 * the check of the whole file. As in query.c, nothing is held over a visit. */
#include "core/catalogue/internal.h"

/* ---- briefs ------------------------------------------------------------ */

struct brief_page {
	struct compose_brief briefs[PAGE_ROWS_MAX];
	size_t count;
	int64_t after;
	int damaged;
};

static void brief_done(struct compose_brief *brief)
{
	union {
		const char *given;
		char *owned;
	} owner = { .given = brief->owner }, source = { .given = brief->source };

	free(owner.owned);
	free(source.owned);
	*brief = (struct compose_brief){ 0 };
}

static int brief_read(struct statement *statement, struct compose_brief *ret, struct error *err)
{
	struct damage damage = { .row = sql_row(statement) };
	int r;

	ret->id = damage_number(&damage, 0, 1, INT64_MAX);
	ret->reused_id = damage_number(&damage, 1, 0, INT64_MAX);
	ret->time_done = damage_number(&damage, 2, 0, TIME_LAST);
	ret->time_to_expire = damage_number(&damage, 3, 0, TIME_LAST);
	ret->time_submitted = damage_number(&damage, 4, 0, TIME_LAST);
	ret->state = (enum compose_state)damage_number(&damage, 5, STATE_WAIT, STATE_FAILED);
	ret->source_type =
		(enum source_type)damage_number(&damage, 6, SOURCE_TAG, SOURCE_PUNGI_COMPOSE);
	ret->uid = (uint32_t)damage_number(&damage, 7, 0, UINT32_MAX);
	ret->owner = damage_copy(&damage, 8, false);
	ret->source = damage_copy(&damage, 9, false);
	r = damage_error(&damage, "compose", sqlite3_column_int64(damage.row, 0), err);
	if (r < 0)
		brief_done(ret);
	return r;
}

#define BRIEF_COLUMNS                                                                              \
	"SELECT id, reused_id, time_done, time_to_expire, time_submitted, state, source_type, "    \
	"uid, owner, source FROM composes "

/* 1: there may be more */
static int brief_page(struct catalogue *catalogue, bool with_removed, struct brief_page *page,
		      struct error *err)
{
	struct statement *statement = NULL;
	struct connection *reader;
	int rows = 0, r = reader_get(catalogue, &reader, err);

	if (r < 0)
		return r;
	r = sql_start(reader,
		      with_removed ? BRIEF_COLUMNS "WHERE id > ?1 ORDER BY id LIMIT ?2"
				   : BRIEF_COLUMNS "INDEXED BY composes_present "
						   "WHERE state <> 3 AND id > ?1 "
						   "ORDER BY id LIMIT ?2",
		      VALUES(INTEGER(page->after), INTEGER(PAGE_ROWS_MAX)), &statement, err);
	while (r >= 0 && rows < PAGE_ROWS_MAX && (r = sql_next(statement, err)) > 0) {
		rows++;
		page->after = sqlite3_column_int64(sql_row(statement), 0);
		r = brief_read(statement, &page->briefs[page->count], page->damaged ? NULL : err);
		if (r == -EUCLEAN) {
			page->damaged++;
			r = 0;
		} else if (r >= 0) {
			page->count++;
		}
	}
	sql_done(statement);
	reader_put(catalogue, reader);
	return r < 0 ? r : rows == PAGE_ROWS_MAX;
}

int catalogue_briefs(struct catalogue *catalogue, int64_t after_id, bool with_removed,
		     bool (*visit)(void *data, const struct compose_brief *brief), void *data,
		     struct error *err)
{
	struct brief_page page = { .after = after_id };
	bool stop = false;
	int r;

	do {
		r = brief_page(catalogue, with_removed, &page, err);
		for (size_t i = 0; i < page.count; i++) {
			stop = stop || r < 0 || visit(data, &page.briefs[i]);
			brief_done(&page.briefs[i]);
		}
		page.count = 0;
	} while (r > 0 && !stop);
	return r < 0 ? r : page.damaged;
}

/* ---- manifests --------------------------------------------------------- */

struct manifest_page {
	char digests[PAGE_ROWS_MAX][DIGEST_HEX_SIZE];
	size_t count;
	char after[DIGEST_HEX_SIZE];
	bool damaged;
};

static int manifest_page(struct catalogue *catalogue, struct manifest_page *page, struct error *err)
{
	struct statement *statement = NULL;
	struct connection *reader;
	int r = reader_get(catalogue, &reader, err);

	if (r < 0)
		return r;
	r = sql_start(reader,
		      "SELECT DISTINCT manifest FROM composes INDEXED BY composes_manifest "
		      "WHERE state <> 3 AND manifest IS NOT NULL AND manifest > ?1 "
		      "ORDER BY manifest LIMIT ?2",
		      VALUES(TEXT(page->after), INTEGER(PAGE_ROWS_MAX)), &statement, err);
	while (r >= 0 && page->count < PAGE_ROWS_MAX && (r = sql_next(statement, err)) > 0) {
		const char *digest = (const char *)sqlite3_column_text(sql_row(statement), 0);

		if (digest && hex_is_digest(digest))
			memcpy(page->digests[page->count++], digest, DIGEST_HEX_SIZE);
		else
			page->damaged = true;
	}
	if (page->count)
		memcpy(page->after, page->digests[page->count - 1], DIGEST_HEX_SIZE);
	sql_done(statement);
	reader_put(catalogue, reader);
	return r < 0 ? r : page->count == PAGE_ROWS_MAX;
}

int catalogue_manifests(struct catalogue *catalogue,
			bool (*visit)(void *data, const char *manifest), void *data,
			struct error *err)
{
	struct manifest_page page = { 0 };
	bool stop = false;
	int r;

	do {
		page.count = 0;
		r = manifest_page(catalogue, &page, err);
		for (size_t i = 0; i < page.count && !stop && r >= 0; i++)
			stop = visit(data, page.digests[i]);
	} while (r > 0 && !stop);
	if (r >= 0 && page.damaged)
		return error_set(err, -EUCLEAN, BLAME_US, "manifest",
				 "%s is damaged: the manifest of a compose cannot be read",
				 catalogue->path);
	return r < 0 ? r : 0;
}

/* ---- the whole file ---------------------------------------------------- */

/* Each finds a row that must not be. */
static const struct {
	const char *words, *sql;
} rules[] = {
	{ "a compose without its request's text",
	  "SELECT id FROM composes WHERE id NOT IN (SELECT compose FROM specs) LIMIT 1" },
	{ "a request's text without its compose",
	  "SELECT compose FROM specs WHERE compose NOT IN (SELECT id FROM composes) LIMIT 1" },
	{ "a request directory without its compose",
	  "SELECT number FROM requests WHERE compose_id <> 0 "
	  "AND compose_id NOT IN (SELECT id FROM composes) LIMIT 1" },
	{ "a state that does not exist", "SELECT id FROM composes WHERE typeof(state) <> 'integer' "
					 "OR state NOT BETWEEN 0 AND 4 LIMIT 1" },
	{ "a done compose without a manifest",
	  "SELECT id FROM composes WHERE state = 2 AND (manifest IS NULL OR time_done = 0) "
	  "LIMIT 1" },
	{ "a generating compose that never started",
	  "SELECT id FROM composes WHERE state = 1 AND time_started = 0 LIMIT 1" },
	{ "a wrong count of composes of a source type",
	  "SELECT t.source_type FROM tallies t WHERE t.count <> (SELECT count(*) FROM composes c "
	  "WHERE c.source_type = t.source_type AND c.state = t.state) "
	  "UNION ALL SELECT source_type FROM composes GROUP BY source_type, state "
	  "HAVING NOT EXISTS (SELECT 1 FROM tallies t WHERE t.source_type = composes.source_type "
	  "AND t.state = composes.state) LIMIT 1" },
	{ "a compose that shows the tree of none, or of one that shows another's",
	  "SELECT c.id FROM composes c LEFT JOIN composes o ON o.id = c.reused_id "
	  "WHERE c.reused_id > 0 AND (o.id IS NULL OR o.reused_id <> 0 OR o.id >= c.id "
	  "OR c.manifest IS NOT o.manifest) LIMIT 1" },
	{ "a removed compose without the time of it",
	  "SELECT id FROM composes WHERE state = 3 AND time_removed = 0 LIMIT 1" },
};

static int file_check(struct connection *reader, struct error *err)
{
	_cleanup_(sql_donep) struct statement *statement = NULL;
	const char *words;
	int r = sql_start(reader, "PRAGMA integrity_check(1)", NO_VALUES, &statement, err);

	if (r >= 0)
		r = sql_next(statement, err);
	if (r < 0)
		return r;
	words = r ? (const char *)sqlite3_column_text(sql_row(statement), 0) : NULL;
	if (words && !strcmp(words, "ok"))
		return 0;
	return error_set(err, -EUCLEAN, BLAME_US, NULL, "%s is damaged: %s", reader->path,
			 words ? words : "no answer");
}

static int rules_check(struct connection *reader, struct error *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(rules); i++) {
		int64_t id = 0;
		int r = sql_numbers(reader, rules[i].sql, NO_VALUES, &id, 1, err);

		if (r < 0)
			return r;
		if (r > 0)
			return error_set(err, -EUCLEAN, BLAME_US, NULL,
					 "%s is damaged: %s (%" PRId64 ")", reader->path,
					 rules[i].words, id);
	}
	return 0;
}

static bool compose_pass(void *data _unused_, const struct compose *compose _unused_)
{
	return false;
}

static bool request_pass(void *data _unused_, const struct request *request _unused_)
{
	return false;
}

int catalogue_integrity(struct catalogue *catalogue, struct error *err)
{
	struct connection *reader;
	int r = reader_get(catalogue, &reader, err);

	if (r < 0)
		return r;
	r = file_check(reader, err);
	if (r >= 0)
		r = rules_check(reader, err);
	reader_put(catalogue, reader);
	if (r >= 0)
		r = catalogue_query(catalogue, &COMPOSE_QUERY_ALL, compose_pass, NULL, NULL, err);
	if (r == 0)
		r = catalogue_request_list(catalogue, 0, request_pass, NULL, err);
	return r > 0 ? -EUCLEAN : r; /* the words of the first damaged row are in @err */
}
