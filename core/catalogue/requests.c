/* SPDX-License-Identifier: MIT */
/* core/catalogue/requests.c: request directories. A draft is a row without a compose; what happens
 * to it is not worth a wait for the disk. */
#include "core/catalogue/internal.h"

#include <limits.h>

#define REQUEST_COLUMNS                                                                            \
	"number, name, owner, uid, gid, mode, time_created, compose_id, note FROM requests "

void request_done(struct request *request)
{
	free(request->name);
	free(request->owner);
	free(request->note);
	*request = (struct request){ 0 };
}

/* ---- reading ----------------------------------------------------------- */

/* The note is the user's bytes, not our words: any text will do. */
static char *read_note(struct damage *damage)
{
	const char *note = (const char *)sqlite3_column_text(damage->row, 8);
	char *copy = note ? strdup(note) : NULL;

	if (note && !copy)
		damage->oom = true;
	return copy;
}

static int request_read(struct statement *statement, struct request *ret, struct error *err)
{
	struct damage damage = { .row = sql_row(statement) };
	_cleanup_(request_done) struct request request = { 0 };
	int r;

	request.number = damage_number(&damage, 0, 1, INT64_MAX);
	request.name = damage_copy(&damage, 1, false);
	request.owner = damage_copy(&damage, 2, false);
	request.uid = (uint32_t)damage_number(&damage, 3, 0, UINT32_MAX);
	request.gid = (uint32_t)damage_number(&damage, 4, 0, UINT32_MAX);
	request.mode = (uint32_t)damage_number(&damage, 5, 0, 07777);
	request.time_created = damage_number(&damage, 6, 0, TIME_LAST);
	request.compose_id = damage_number(&damage, 7, 0, INT64_MAX);
	request.note = read_note(&damage);
	r = damage_error(&damage, "request", sqlite3_column_int64(damage.row, 0), err);
	if (r < 0)
		return r;
	*ret = request;
	request = (struct request){ 0 };
	return 0;
}

static int request_one(struct catalogue *catalogue, const char *sql, const struct value *value,
		       struct request *ret, struct error *err)
{
	struct statement *statement = NULL;
	struct connection *reader;
	int r = reader_get(catalogue, &reader, err);

	if (r < 0)
		return r;
	r = sql_start(reader, sql, value, 1, &statement, err);
	if (r >= 0)
		r = sql_next(statement, err);
	if (r > 0)
		r = request_read(statement, ret, err);
	else if (r == 0)
		r = error_set(err, -ENOENT, BLAME_REQUEST, NULL, "no such request");
	sql_done(statement);
	reader_put(catalogue, reader);
	return r;
}

int catalogue_request_get(struct catalogue *catalogue, int64_t number, struct request *ret,
			  struct error *err)
{
	return request_one(catalogue, "SELECT " REQUEST_COLUMNS "WHERE number = ?1",
			   &INTEGER(number), ret, err);
}

int catalogue_request_find(struct catalogue *catalogue, const char *name, struct request *ret,
			   struct error *err)
{
	return request_one(catalogue, "SELECT " REQUEST_COLUMNS "WHERE name = ?1", &TEXT(name), ret,
			   err);
}

/* At most PAGE_ROWS_MAX requests behind *after; damaged ones are left out and counted. 1: there may
 * be more. */
static int request_page(struct catalogue *catalogue, int64_t *after, struct request *page,
			size_t *ret_count, int *damaged, struct error *err)
{
	struct statement *statement = NULL;
	struct connection *reader;
	size_t rows = 0;
	int r = reader_get(catalogue, &reader, err);

	if (r < 0)
		return r;
	r = sql_start(reader,
		      "SELECT " REQUEST_COLUMNS "WHERE number > ?1 ORDER BY number LIMIT ?2",
		      VALUES(INTEGER(*after), INTEGER(PAGE_ROWS_MAX)), &statement, err);
	while (r >= 0 && rows < PAGE_ROWS_MAX && (r = sql_next(statement, err)) > 0) {
		*after = sqlite3_column_int64(sql_row(statement), 0);
		rows++;
		r = request_read(statement, &page[*ret_count], *damaged ? NULL : err);
		if (r == -EUCLEAN) {
			(*damaged)++;
			r = 0;
		} else if (r >= 0) {
			(*ret_count)++;
		}
	}
	sql_done(statement);
	reader_put(catalogue, reader);
	return r < 0 ? r : rows == PAGE_ROWS_MAX;
}

int catalogue_request_list(struct catalogue *catalogue, int64_t after,
			   bool (*visit)(void *data, const struct request *request), void *data,
			   struct error *err)
{
	int damaged = 0, r;
	bool stop = false;

	do {
		struct request page[PAGE_ROWS_MAX];
		size_t count = 0;

		r = request_page(catalogue, &after, page, &count, &damaged, err);
		for (size_t i = 0; i < count; i++) {
			stop = stop || r < 0 || visit(data, &page[i]);
			request_done(&page[i]);
		}
	} while (r > 0 && !stop);
	return r < 0 ? r : damaged;
}

int catalogue_request_drafts(struct catalogue *catalogue, uint32_t uid, int64_t *ret_count,
			     struct error *err)
{
	struct connection *reader;
	int r = reader_get(catalogue, &reader, err);

	if (r < 0)
		return r;
	r = sql_number(reader, "SELECT count(*) FROM requests WHERE uid = ?1 AND compose_id = 0",
		       VALUES(INTEGER(uid)), ret_count, err);
	reader_put(catalogue, reader);
	return r;
}

/* ---- writing ----------------------------------------------------------- */

struct request_arguments {
	int64_t number;
	const char *name; /* or the note */
	const char *owner;
	uint32_t uid, gid, mode;
};

static int name_check(struct catalogue *catalogue, const char *name, struct error *err)
{
	int64_t number = 0;
	int r;

	if (!name[0] || strlen(name) > REQUEST_NAME_MAX || !text_is_utf8(name))
		return error_set(err, -EINVAL, BLAME_REQUEST, NULL,
				 "a request's name has 1 to %d bytes of UTF-8", REQUEST_NAME_MAX);
	r = sql_number(catalogue->writer, "SELECT number FROM requests WHERE name = ?1",
		       VALUES(TEXT(name)), &number, err);
	if (r >= 0 && number)
		r = error_set(err, -EEXIST, BLAME_REQUEST, NULL,
			      "there is a request named %s already", name);
	return r;
}

static int request_missing(int64_t number, struct error *err)
{
	return error_set(err, -ENOENT, BLAME_REQUEST, NULL, "no request %" PRId64, number);
}

static int new_run(struct catalogue *catalogue, struct verb *verb, struct error *err)
{
	struct request_arguments *arguments = verb->arguments;
	int r = name_check(catalogue, arguments->name, err);

	if (r < 0)
		return r;
	r = sql_run(catalogue->writer,
		    "INSERT INTO requests (name, owner, uid, gid, mode, time_created) "
		    "VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
		    VALUES(TEXT(arguments->name), TEXT(arguments->owner), INTEGER(arguments->uid),
			   INTEGER(arguments->gid), INTEGER(arguments->mode),
			   INTEGER(now_of(catalogue))),
		    err);
	if (r < 0)
		return r;
	arguments->number = sqlite3_last_insert_rowid(catalogue->writer->db);
	return change_request(catalogue, verb, arguments->number, err);
}

int catalogue_request_new(struct catalogue *catalogue, const char *name, const char *owner,
			  uint32_t uid, uint32_t gid, uint32_t mode, int64_t *ret_number,
			  struct error *err)
{
	_cleanup_(freep) char *clean = text_clean(owner);
	struct request_arguments arguments = {
		.name = name, .owner = clean, .uid = uid, .gid = gid, .mode = mode & 07777
	};
	struct verb verb = { .run = new_run, .arguments = &arguments };
	int r;

	if (!clean)
		return error_oom(err);
	r = verb_write(catalogue, &verb, err);
	verb_done(&verb);
	if (r >= 0)
		*ret_number = arguments.number;
	return r < 0 ? r : 0;
}

static int rename_run(struct catalogue *catalogue, struct verb *verb, struct error *err)
{
	const struct request_arguments *arguments = verb->arguments;
	int64_t compose_id = -1;
	int r = sql_number(catalogue->writer, "SELECT compose_id FROM requests WHERE number = ?1",
			   VALUES(INTEGER(arguments->number)), &compose_id, err);

	if (r < 0)
		return r;
	if (compose_id < 0)
		return request_missing(arguments->number, err);
	if (compose_id > 0)
		return error_set(err, -EBUSY, BLAME_REQUEST, NULL,
				 "the request was accepted as compose %" PRId64
				 " and keeps its name",
				 compose_id);
	r = name_check(catalogue, arguments->name, err);
	if (r < 0)
		return r;
	r = sql_run(catalogue->writer,
		    "UPDATE requests SET name = ?2, time_created = ?3 WHERE number = ?1",
		    VALUES(INTEGER(arguments->number), TEXT(arguments->name),
			   INTEGER(now_of(catalogue))),
		    err);
	return r < 0 ? r : change_request(catalogue, verb, arguments->number, err);
}

int catalogue_request_rename(struct catalogue *catalogue, int64_t number, const char *name,
			     struct error *err)
{
	struct request_arguments arguments = { .number = number, .name = name };
	struct verb verb = { .run = rename_run, .arguments = &arguments };
	int r = verb_write(catalogue, &verb, err);

	verb_done(&verb);
	return r < 0 ? r : 0;
}

static int chmod_run(struct catalogue *catalogue, struct verb *verb, struct error *err)
{
	const struct request_arguments *arguments = verb->arguments;
	int r = sql_run(catalogue->writer,
			"UPDATE requests SET mode = ?2, time_created = ?3 WHERE number = ?1",
			VALUES(INTEGER(arguments->number), INTEGER(arguments->mode),
			       INTEGER(now_of(catalogue))),
			err);

	return r ? r : request_missing(arguments->number, err);
}

int catalogue_request_chmod(struct catalogue *catalogue, int64_t number, uint32_t mode,
			    struct error *err)
{
	struct request_arguments arguments = { .number = number, .mode = mode & 07777 };
	struct verb verb = { .run = chmod_run, .arguments = &arguments };
	int r = verb_write(catalogue, &verb, err);

	verb_done(&verb);
	return r < 0 ? r : 0;
}

static int note_run(struct catalogue *catalogue, struct verb *verb, struct error *err)
{
	const struct request_arguments *arguments = verb->arguments;
	int r = sql_run(catalogue->writer, "UPDATE requests SET note = ?2 WHERE number = ?1",
			VALUES(INTEGER(arguments->number), TEXT(arguments->name)), err);

	return r ? r : request_missing(arguments->number, err);
}

int catalogue_request_note(struct catalogue *catalogue, int64_t number, const char *note,
			   struct error *err)
{
	struct request_arguments arguments = { .number = number, .name = note };
	struct verb verb = { .run = note_run, .arguments = &arguments };
	int r = verb_write(catalogue, &verb, err);

	verb_done(&verb);
	return r < 0 ? r : 0;
}

static int drop_run(struct catalogue *catalogue, struct verb *verb, struct error *err)
{
	const struct request_arguments *arguments = verb->arguments;
	int r = sql_run(catalogue->writer, "DELETE FROM requests WHERE number = ?1",
			VALUES(INTEGER(arguments->number)), err);

	if (r == 0)
		return request_missing(arguments->number, err);
	return r < 0 ? r : change_request(catalogue, verb, arguments->number, err);
}

int catalogue_request_drop(struct catalogue *catalogue, int64_t number, struct error *err)
{
	struct request_arguments arguments = { .number = number };
	struct verb verb = { .run = drop_run, .arguments = &arguments };
	int r = verb_write(catalogue, &verb, err);

	verb_done(&verb);
	return r < 0 ? r : 0;
}

/* ---- clean-up ---------------------------------------------------------- */

struct sweep {
	const char *sql; /* numbers of requests to drop; ?1: before, ?2: how many at most */
	int64_t before;
	int count;
};

static int sweep_run(struct catalogue *catalogue, struct verb *verb, struct error *err)
{
	struct sweep *sweep = verb->arguments;
	int64_t numbers[SWEEP_ROWS_MAX];
	int r = sql_numbers(catalogue->writer, sweep->sql,
			    VALUES(INTEGER(sweep->before), INTEGER(SWEEP_ROWS_MAX)), numbers,
			    SWEEP_ROWS_MAX, err);

	sweep->count = r;
	for (int i = 0; i < sweep->count && r >= 0; i++) {
		r = sql_run(catalogue->writer, "DELETE FROM requests WHERE number = ?1",
			    VALUES(INTEGER(numbers[i])), err);
		if (r >= 0)
			r = change_request(catalogue, verb, numbers[i], err);
	}
	return r;
}

/* In short transactions, so that others get their turn between them. */
static int sweep(struct catalogue *catalogue, const char *sql, int64_t before, int64_t *ret_count,
		 struct error *err)
{
	struct sweep arguments = { .sql = sql, .before = before };
	int64_t count = 0;
	int r;

	do {
		struct verb verb = { .run = sweep_run, .arguments = &arguments };

		r = verb_write(catalogue, &verb, err);
		verb_done(&verb);
		if (r < 0)
			return r;
		count += arguments.count;
	} while (arguments.count == SWEEP_ROWS_MAX);
	*ret_count = count;
	return 0;
}

int catalogue_request_reap(struct catalogue *catalogue, int64_t before, int64_t *ret_count,
			   struct error *err)
{
	return sweep(catalogue,
		     "SELECT number FROM requests WHERE compose_id = 0 AND time_created < ?1 "
		     "ORDER BY time_created LIMIT ?2",
		     before, ret_count, err);
}

int catalogue_history(struct catalogue *catalogue, int64_t before, int64_t *ret_count,
		      struct error *err)
{
	return sweep(catalogue,
		     "SELECT number FROM requests WHERE time_removed > 0 AND time_removed < ?1 "
		     "ORDER BY time_removed LIMIT ?2",
		     before, ret_count, err);
}
