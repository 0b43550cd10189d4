/* SPDX-License-Identifier: MIT */
/* core/catalogue/query.c: reading composes.
 *
 * Rows are fetched a page at a time, the statement ends and the connection goes back to the pool,
 * and only then the caller sees them: a slow visitor neither holds a lock nor keeps SQLite from
 * starting its log afresh. The next page begins behind the last (value, id) seen. */
#include "core/catalogue/internal.h"

/* ---- one compose ------------------------------------------------------- */

int catalogue_get(struct catalogue *catalogue, int64_t id, struct compose **ret, struct error *err)
{
	_cleanup_(row_done) struct row row = { 0 };
	struct connection *reader;
	int r = reader_get(catalogue, &reader, err);

	if (r < 0)
		return r;
	r = row_load(reader, id, &row, err);
	reader_put(catalogue, reader);
	if (r >= 0)
		r = row_finish(&row, err);
	if (r < 0)
		return r;
	*ret = steal(row.compose);
	return 0;
}

static int text_read(struct connection *reader, int64_t id, char **ret, size_t *ret_length,
		     struct error *err)
{
	_cleanup_(sql_donep) struct statement *statement = NULL;
	const void *bytes;
	size_t length;
	char *copy;
	int r = sql_start(reader, "SELECT written FROM specs WHERE compose = ?1",
			  VALUES(INTEGER(id)), &statement, err);

	if (r < 0)
		return r;
	r = sql_next(statement, err);
	if (r < 0)
		return r;
	if (r == 0)
		return error_set(err, -ENOENT, BLAME_REQUEST, NULL, "no compose %" PRId64, id);
	bytes = sqlite3_column_blob(sql_row(statement), 0);
	length = (size_t)sqlite3_column_bytes(sql_row(statement), 0);
	copy = malloc(length + 1);
	if (!copy)
		return error_oom(err);
	if (length)
		memcpy(copy, bytes, length);
	copy[length] = '\0';
	*ret = copy;
	*ret_length = length;
	return 0;
}

int catalogue_text(struct catalogue *catalogue, int64_t id, char **ret, size_t *ret_length,
		   struct error *err)
{
	struct connection *reader;
	int r = reader_get(catalogue, &reader, err);

	if (r < 0)
		return r;
	r = text_read(reader, id, ret, ret_length, err);
	reader_put(catalogue, reader);
	return r;
}

static int tally_read(struct connection *reader, struct compose_tally *ret, struct error *err)
{
	_cleanup_(sql_donep) struct statement *statement = NULL;
	int r = sql_start(reader, "SELECT source_type, state, count FROM tallies", NO_VALUES,
			  &statement, err);

	while (r >= 0 && (r = sql_next(statement, err)) > 0) {
		int64_t type = sqlite3_column_int64(sql_row(statement), 0);
		int64_t state = sqlite3_column_int64(sql_row(statement), 1);

		if (type >= SOURCE_TAG && type <= SOURCE_PUNGI_COMPOSE && state >= STATE_WAIT &&
		    state <= STATE_FAILED)
			ret->count[type][state] = sqlite3_column_int64(sql_row(statement), 2);
	}
	return r;
}

int catalogue_tally(struct catalogue *catalogue, struct compose_tally *ret, struct error *err)
{
	struct compose_tally tally = { 0 };
	struct connection *reader;
	int r = reader_get(catalogue, &reader, err);

	if (r < 0)
		return r;
	r = tally_read(reader, &tally, err);
	reader_put(catalogue, reader);
	if (r >= 0)
		*ret = tally;
	return r;
}

/* ---- lists of composes ------------------------------------------------- */

#define QUERY_VALUES_MAX 15

static const char *const order_columns[] = {
	[ORDER_ID] = "id",
	[ORDER_OWNER] = "owner",
	[ORDER_KOJI_EVENT] = "koji_event",
	[ORDER_STATE] = "state",
	[ORDER_TIME_TO_EXPIRE] = "time_to_expire",
	[ORDER_TIME_SUBMITTED] = "time_submitted",
	[ORDER_TIME_DONE] = "time_done",
	[ORDER_TIME_REMOVED] = "time_removed",
};

/* Where the next page begins. */
enum place {
	PLACE_START,  /* at query->offset */
	PLACE_WITHIN, /* behind last_id among the rows with the value last_key */
	PLACE_BEHIND, /* behind the rows with the value last_key */
	PLACE_END,
};

/* One listing on its way. */
struct list {
	const struct compose_query *query;
	enum place place;
	sqlite3_value *last_key;
	int64_t last_id;
	int64_t wanted; /* rows still to visit; -1: all */
	int damaged;
	/* the page at hand */
	int64_t ids[PAGE_ROWS_MAX];
	size_t id_count, id_next; /* found; of those, already fetched */
	struct row rows[PAGE_ROWS_MAX];
	size_t row_count;
	/* the statement in the making */
	struct text sql;
	struct value values[QUERY_VALUES_MAX];
	size_t value_count;
};

static void list_done(struct list *list)
{
	for (size_t i = 0; i < list->row_count; i++)
		row_done(&list->rows[i]);
	sqlite3_value_free(list->last_key);
	text_done(&list->sql);
}

static void add_condition(struct list *list, const char *condition, struct value value)
{
	list->values[list->value_count++] = value;
	(void)text_addf(&list->sql, "%s%s ?%zu", list->value_count == 1 ? " WHERE " : " AND ",
			condition, list->value_count);
}

/* @head and the conditions of the query. */
static void begin_sql(struct list *list, const char *head)
{
	const struct compose_query *query = list->query;
	const struct {
		const char *condition, *text;
		int64_t number;
	} filters[] = {
		{ "c.owner =", query->owner, -1 },
		{ "c.source =", query->source, -1 },
		{ "c.pungi_compose_id =", query->pungi_compose_id, -1 },
		{ "c.compose_type =", query->compose_type, -1 },
		{ "c.label =", query->label, -1 },
		{ "c.state =", NULL, query->state },
		{ "c.source_type =", NULL, query->source_type },
		{ "c.koji_task_id =", NULL, query->koji_task_id },
	};

	list->value_count = 0;
	text_clear(&list->sql);
	(void)text_adds(&list->sql, head);
	for (size_t i = 0; i < ARRAY_SIZE(filters); i++) {
		if (filters[i].text)
			add_condition(list, filters[i].condition, TEXT(filters[i].text));
		else if (filters[i].number != -1)
			add_condition(list, filters[i].condition, INTEGER(filters[i].number));
	}
	if (query->after_id > 0)
		add_condition(list, "c.id >", INTEGER(query->after_id));
	if (query->reused_id > 0) /* the second half is what its index asks for */
		add_condition(list, "c.reused_id > 0 AND c.reused_id =", INTEGER(query->reused_id));
}

static int list_count(struct list *list, struct connection *reader, int64_t *ret, struct error *err)
{
	const struct compose_query *query = list->query;
	bool counted = !query->owner && !query->source && !query->pungi_compose_id &&
		       !query->compose_type && !query->label && query->koji_task_id == -1 &&
		       query->after_id <= 0 && query->reused_id <= 0;

	/* a hurt tally must not make the sum overflow, which would be an error of the whole list */
	begin_sql(list,
		  counted ? "SELECT coalesce(sum(max(0, min(c.count, 1 << 40))), 0) FROM tallies c"
			  : "SELECT count(*) FROM composes c");
	if (list->sql.failed)
		return error_oom(err);
	return sql_number(reader, list->sql.data, list->values, list->value_count, ret, err);
}

static struct value key_value(const struct list *list)
{
	return (struct value){ .type = VALUE_COPY, .copy = list->last_key };
}

/* The statement for ids and keys of the next page of @rows rows. */
static int page_sql(struct list *list, int64_t rows, struct error *err)
{
	const struct compose_query *query = list->query;
	const char *column = order_columns[query->order], *way = query->descending ? " DESC" : "";
	const char *behind = query->descending ? "<" : ">";
	char words[64];

	(void)snprintf(words, sizeof(words), "SELECT c.id, c.%s FROM composes c", column);
	begin_sql(list, words);
	if (list->place == PLACE_BEHIND) {
		(void)snprintf(words, sizeof(words), "c.%s %s", column, behind);
		add_condition(list, words, key_value(list));
	} else if (list->place == PLACE_WITHIN) {
		(void)snprintf(words, sizeof(words), "c.%s =", column);
		add_condition(list, words, key_value(list));
		(void)snprintf(words, sizeof(words), "c.id %s", behind);
		add_condition(list, words, INTEGER(list->last_id));
	}
	(void)text_adds(&list->sql, " ORDER BY ");
	if (query->order != ORDER_ID)
		(void)text_addf(&list->sql, "c.%s%s, ", column, way);
	(void)text_addf(&list->sql, "c.id%s LIMIT ?%zu", way, list->value_count + 1);
	list->values[list->value_count++] = INTEGER(rows);
	if (list->place == PLACE_START && query->offset > 0) {
		(void)text_addf(&list->sql, " OFFSET ?%zu", list->value_count + 1);
		list->values[list->value_count++] = INTEGER(query->offset);
	}
	return list->sql.failed ? error_oom(err) : 0;
}

static int page_ids(struct list *list, struct connection *reader, int64_t rows, struct error *err)
{
	_cleanup_(sql_donep) struct statement *statement = NULL;
	sqlite3_value *key = NULL;
	int r = page_sql(list, rows, err);

	if (r < 0)
		return r;
	r = sql_start(reader, list->sql.data, list->values, list->value_count, &statement, err);
	list->id_count = list->id_next = 0;
	while (r >= 0 && (int64_t)list->id_count < rows && (r = sql_next(statement, err)) > 0) {
		list->ids[list->id_count++] = sqlite3_column_int64(sql_row(statement), 0);
		if ((int64_t)list->id_count < rows)
			continue;
		key = sqlite3_value_dup(sqlite3_column_value(sql_row(statement), 1));
		if (!key)
			return error_oom(err);
	}
	if (r < 0 || !key)
		return r;
	sqlite3_value_free(list->last_key);
	list->last_key = key;
	list->last_id = list->ids[list->id_count - 1];
	return 0;
}

/* What comes after a page of ids that was @full or not. */
static enum place next_place(const struct list *list, bool full)
{
	bool by_id = list->query->order == ORDER_ID;

	if (list->wanted == 0)
		return PLACE_END;
	if (full)
		return by_id ? PLACE_BEHIND : PLACE_WITHIN;
	return list->place == PLACE_WITHIN ? PLACE_BEHIND : PLACE_END;
}

static int list_find(struct list *list, struct connection *reader, struct error *err)
{
	int64_t rows = PAGE_ROWS_MAX;
	int r;

	if (list->wanted >= 0 && list->wanted < rows)
		rows = list->wanted;
	r = page_ids(list, reader, rows, err);
	if (r < 0)
		return r;
	if (list->wanted > 0)
		list->wanted -= (int64_t)list->id_count;
	list->place = next_place(list, (int64_t)list->id_count == rows);
	return 0;
}

/* The records of the ids found, up to PAGE_BYTES_MAX; damaged ones are left out and counted. */
static int list_fetch(struct list *list, struct connection *reader, struct error *err)
{
	size_t bytes = 0;

	while (list->id_next < list->id_count && bytes < PAGE_BYTES_MAX) {
		struct row *row = &list->rows[list->row_count];
		int r = row_load(reader, list->ids[list->id_next++], row,
				 list->damaged ? NULL : err);

		if (r >= 0) {
			list->row_count++;
			bytes += row->spec_length;
		} else if (r == -EUCLEAN) {
			list->damaged++;
		} else {
			return r;
		}
	}
	return 0;
}

/* One page from one state of the catalogue. */
static int list_page(struct list *list, struct catalogue *catalogue, int64_t *ret_total,
		     struct error *err)
{
	struct connection *reader;
	int r = reader_get(catalogue, &reader, err);

	if (r < 0)
		return r;
	r = sql_run(reader, "BEGIN", NO_VALUES, err);
	if (r >= 0 && ret_total)
		r = list_count(list, reader, ret_total, err);
	if (r >= 0 && list->id_next == list->id_count && list->place != PLACE_END)
		r = list_find(list, reader, err);
	if (r >= 0)
		r = list_fetch(list, reader, err);
	if (r >= 0)
		r = sql_run(reader, "COMMIT", NO_VALUES, err);
	reader_put(catalogue, reader);
	return r < 0 ? r : 0;
}

/* 1: the visitor has seen enough */
static int list_visit(struct list *list, bool (*visit)(void *data, const struct compose *compose),
		      void *data, struct error *err)
{
	int stop = 0;

	for (size_t i = 0; i < list->row_count; i++) {
		struct row *row = &list->rows[i];
		int r = stop ? 0 : row_finish(row, list->damaged ? NULL : err);

		if (r == -EUCLEAN)
			list->damaged++;
		else if (r < 0)
			stop = r;
		else
			stop = stop ? stop : visit(data, row->compose);
		row_done(row);
	}
	list->row_count = 0;
	return stop;
}

int catalogue_query(struct catalogue *catalogue, const struct compose_query *query,
		    bool (*visit)(void *data, const struct compose *compose), void *data,
		    int64_t *ret_total, struct error *err)
{
	_cleanup_(list_done) struct list list = { .query = query, .wanted = query->limit };
	int64_t total = 0;
	int r;

	if (!visit || query->limit == 0)
		list.place = PLACE_END;
	r = list_page(&list, catalogue, ret_total ? &total : NULL, err);
	while (r >= 0) {
		r = list_visit(&list, visit, data, err);
		if (r || (list.place == PLACE_END && list.id_next == list.id_count))
			break;
		r = list_page(&list, catalogue, NULL, err);
	}
	if (r < 0)
		return r;
	if (ret_total)
		*ret_total = total;
	return list.damaged;
}
