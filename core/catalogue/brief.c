/* SPDX-License-Identifier: MIT */
/* core/catalogue/brief.c: cheap listings of all composes, for directories and for cleaning up. As
 * in query.c, nothing is held over a visit. */
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
