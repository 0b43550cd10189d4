/* SPDX-License-Identifier: MIT */
/* core/catalogue/row.c: a row of composes as struct compose.
 *
 * The file may have been edited by hand or hurt by its disk, so each column is looked at before it
 * is believed: a row that is not sound is an error of that row (-EUCLEAN, naming compose and
 * column), and the others are not touched by it. */
#include "core/catalogue/internal.h"

/* ---- text -------------------------------------------------------------- */

/* Length of the UTF-8 character at @at, 0 when there is none (RFC 3629; also no surrogates). */
static size_t character_length(const unsigned char *at)
{
	static const struct {
		unsigned char first, last, second_least, second_most;
		size_t length;
	} forms[] = {
		{ 0xc2, 0xdf, 0x80, 0xbf, 2 }, { 0xe0, 0xe0, 0xa0, 0xbf, 3 },
		{ 0xe1, 0xec, 0x80, 0xbf, 3 }, { 0xed, 0xed, 0x80, 0x9f, 3 },
		{ 0xee, 0xef, 0x80, 0xbf, 3 }, { 0xf0, 0xf0, 0x90, 0xbf, 4 },
		{ 0xf1, 0xf3, 0x80, 0xbf, 4 }, { 0xf4, 0xf4, 0x80, 0x8f, 4 },
	};

	if (at[0] < 0x80)
		return 1;
	for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
		if (at[0] < forms[i].first || at[0] > forms[i].last)
			continue;
		if (at[1] < forms[i].second_least || at[1] > forms[i].second_most)
			return 0;
		for (size_t k = 2; k < forms[i].length; k++)
			if ((at[k] & 0xc0) != 0x80)
				return 0;
		return forms[i].length;
	}
	return 0;
}

bool text_is_utf8(const char *text)
{
	const unsigned char *at = (const unsigned char *)text;

	while (*at) {
		size_t length = character_length(at);

		if (!length)
			return false;
		at += length;
	}
	return true;
}

char *text_clean(const char *text)
{
	char *copy = strdup(text);

	for (char *at = copy; at && *at;) {
		size_t length = character_length((const unsigned char *)at);

		if (!length)
			*at = '?';
		at += length ? length : 1;
	}
	return copy;
}

/* ---- columns ----------------------------------------------------------- */

static void damage_found(struct damage *damage, int column)
{
	if (!damage->column)
		damage->column = sqlite3_column_name(damage->row, column);
	if (!damage->column)
		damage->oom = true;
}

int64_t damage_number(struct damage *damage, int column, int64_t least, int64_t most)
{
	int64_t value = sqlite3_column_int64(damage->row, column);

	if (sqlite3_column_type(damage->row, column) == SQLITE_INTEGER && value >= least &&
	    value <= most)
		return value;
	damage_found(damage, column);
	return least;
}

const char *damage_text(struct damage *damage, int column, bool may_be_null)
{
	int type = sqlite3_column_type(damage->row, column);
	const char *text;

	if (type == SQLITE_NULL && may_be_null)
		return NULL;
	text = type == SQLITE_TEXT ? (const char *)sqlite3_column_text(damage->row, column) : NULL;
	if (type == SQLITE_TEXT && !text) {
		damage->oom = true;
		return NULL;
	}
	if (text && strlen(text) == (size_t)sqlite3_column_bytes(damage->row, column) &&
	    text_is_utf8(text))
		return text;
	damage_found(damage, column);
	return NULL;
}

char *damage_copy(struct damage *damage, int column, bool may_be_null)
{
	const char *text = damage_text(damage, column, may_be_null);
	char *copy = text ? strdup(text) : NULL;

	if (text && !copy)
		damage->oom = true;
	return copy;
}

int damage_error(const struct damage *damage, const char *what, int64_t id, struct error *err)
{
	if (damage->oom)
		return error_oom(err);
	if (!damage->column)
		return 0;
	return error_set(err, -EUCLEAN, BLAME_US, damage->column,
			 "%s %" PRId64 ": its row in the catalogue is damaged: bad %s", what, id,
			 damage->column);
}

/* ---- rows -------------------------------------------------------------- */

static void read_numbers(struct damage *damage, struct compose *compose)
{
	compose->id = damage_number(damage, 0, 1, INT64_MAX);
	compose->request = damage_number(damage, 1, 1, INT64_MAX);
	compose->uid = (uint32_t)damage_number(damage, 3, 0, UINT32_MAX);
	compose->gid = (uint32_t)damage_number(damage, 4, 0, UINT32_MAX);
	compose->state = (enum compose_state)damage_number(damage, 5, STATE_WAIT, STATE_FAILED);
	(void)damage_number(damage, 7, SOURCE_TAG, SOURCE_PUNGI_COMPOSE);
	compose->time_submitted = damage_number(damage, 9, 0, TIME_LAST);
	compose->time_to_expire = damage_number(damage, 10, 0, TIME_LAST);
	compose->time_started = damage_number(damage, 11, 0, TIME_LAST);
	compose->time_done = damage_number(damage, 12, 0, TIME_LAST);
	compose->time_removed = damage_number(damage, 13, 0, TIME_LAST);
	compose->koji_event = damage_number(damage, 15, -1, INT64_MAX);
	compose->koji_task_id = -1;
	if (sqlite3_column_type(damage->row, 16) != SQLITE_NULL)
		compose->koji_task_id = damage_number(damage, 16, 0, INT64_MAX);
	compose->reused_id = damage_number(damage, 21, 0, INT64_MAX);
	compose->tree_kept = sqlite3_column_int(damage->row, 26);
	compose->packages_count = damage_number(damage, 23, 0, INT64_MAX);
	compose->size_bytes = damage_number(damage, 24, 0, INT64_MAX);
}

static void read_texts(struct damage *damage, struct compose *compose)
{
	compose->owner = damage_copy(damage, 2, false);
	compose->state_reason = damage_copy(damage, 6, true);
	compose->source = damage_copy(damage, 8, false);
	compose->removed_by = damage_copy(damage, 14, true);
	compose->pungi_compose_id = damage_copy(damage, 17, true);
	compose->respin_of = damage_copy(damage, 18, true);
	compose->sigkeys = damage_copy(damage, 19, false);
	compose->arches = damage_copy(damage, 20, false);
	compose->manifest = damage_copy(damage, 22, true);
	if (compose->manifest && !hex_is_digest(compose->manifest))
		damage_found(damage, 22);
}

int row_read(struct statement *statement, struct row *ret, struct error *err)
{
	struct damage damage = { .row = sql_row(statement) };
	_cleanup_(row_done) struct row row = { .compose = calloc(1, sizeof(*row.compose)) };
	int r;

	if (!row.compose)
		return error_oom(err);
	read_numbers(&damage, row.compose);
	read_texts(&damage, row.compose);
	row.spec = damage_copy(&damage, 25, false);
	r = damage_error(&damage, "compose", sqlite3_column_int64(damage.row, 0), err);
	if (r < 0)
		return r;
	row.spec_length = strlen(row.spec);
	*ret = row;
	row = (struct row){ 0 };
	return 0;
}

int row_finish(struct row *row, struct error *err)
{
	struct error words = { 0 };
	json_t *json;
	int r = -EINVAL;

	if (row->compose->spec)
		return 0;
	json = json_loadb(row->spec, row->spec_length, JSON_REJECT_DUPLICATES, NULL);
	if (json)
		r = spec_from_json(json, &row->compose->spec, &words);
	json_decref(json);
	if (r == -ENOMEM)
		return error_oom(err);
	if (r < 0)
		return error_set(err, -EUCLEAN, BLAME_US, "spec",
				 "compose %" PRId64 ": its row in the catalogue is damaged: bad "
				 "spec: %s",
				 row->compose->id, json ? words.message : "not JSON");
	free(row->spec);
	row->spec = NULL;
	return 0;
}

int row_load(struct connection *connection, int64_t id, struct row *ret, struct error *err)
{
	_cleanup_(sql_donep) struct statement *statement = NULL;
	int r = sql_start(connection, "SELECT " ROW_COLUMNS ROW_FROM "WHERE c.id = ?1",
			  VALUES(INTEGER(id)), &statement, err);

	if (r < 0)
		return r;
	r = sql_next(statement, err);
	if (r == 0)
		return error_set(err, -ENOENT, BLAME_REQUEST, NULL, "no compose %" PRId64, id);
	return r < 0 ? r : row_read(statement, ret, err);
}

void row_done(struct row *row)
{
	compose_free(row->compose);
	free(row->spec);
	*row = (struct row){ 0 };
}
