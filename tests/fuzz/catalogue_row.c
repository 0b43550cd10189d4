/* SPDX-License-Identifier: MIT */
/* tests/fuzz/catalogue_row.c: a row of composes with any values in its columns.
 *
 * The input changes columns of a sound row; each change is: column ('a' for the first), type (n
 * null, i integer, f real, t text, T text of 257 times the length, b blob), length in one byte,
 * bytes. Beyond not crashing: a row that is believed can be shown, and its spec survives being kept
 * again. */
#include "core/catalogue/internal.h"

#define COLUMNS 27
#define COLUMN_SPEC 25

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct column {
	char type;
	const uint8_t *bytes;
	size_t length;
};

static const char sound_spec[] =
	"{\"arches\":[\"x86_64\"],\"compose_type\":\"test\",\"flags\":0,\"lookaside_repos\":[],"
	"\"multilib_arches\":[],\"multilib_method\":0,\"packages\":[\"httpd\"],\"results\":1,"
	"\"seconds_to_live\":1000,\"sigkeys\":[],\"source\":[\"f26\"],\"source_type\":1,"
	"\"target_dir\":\"default\"}";

static const char *const sound[COLUMNS] = {
	"1",	"1",  "'al'",	  "0", "0",    "2",    "'ok'", "1",    "'f26'",
	"1",	"1",  "1",	  "1", "0",    "NULL", "-1",   "NULL", "'odcs-1-1-20231114.t.0'",
	"NULL", "''", "'x86_64'", "0", "NULL", "1",    "1",    NULL,   NULL,
};

static void require(bool truth)
{
	if (!truth)
		abort();
}

/* The bytes of an integer or real, little end first, missing ones 0. */
static uint64_t number_of(const struct column *column)
{
	uint64_t number = 0;

	for (size_t i = 0; i < column->length && i < 8; i++)
		number |= (uint64_t)column->bytes[i] << (8 * i);
	return number;
}

static void read_changes(const uint8_t *data, size_t size, struct column *columns)
{
	while (size >= 3) {
		unsigned int place = data[0] - 'a';
		struct column column = { .type = (char)data[1],
					 .bytes = data + 3,
					 .length = data[2] };

		data += 3;
		size -= 3;
		if (column.type == 'T') {
			column.type = 't';
			column.length *= 257;
		}
		if (column.length > size)
			column.length = size;
		if (place < COLUMNS)
			columns[place] = column;
		data += column.length;
		size -= column.length;
	}
}

/* "SELECT …" with the sound value, or a parameter of the type wanted, in each column. */
static void make_sql(const struct column *columns, struct text *sql)
{
	(void)text_adds(sql, "SELECT ");
	for (int i = 0; i < COLUMNS; i++) {
		const char *comma = i ? ", " : "";

		if (columns[i].type == 't')
			(void)text_addf(sql, "%sCAST(?%d AS TEXT) AS c%d", comma, i + 1, i);
		else if (columns[i].type == 'f')
			(void)text_addf(sql, "%s(?%d + 0.0) AS c%d", comma, i + 1, i);
		else if (columns[i].type || !sound[i])
			(void)text_addf(sql, "%s?%d AS c%d", comma, i + 1, i);
		else
			(void)text_addf(sql, "%s%s AS c%d", comma, sound[i], i);
	}
}

static void make_values(const struct column *columns, struct value *values)
{
	for (int i = 0; i < COLUMNS; i++) {
		switch (columns[i].type) {
		case 'i':
		case 'f':
			values[i] = INTEGER((int64_t)number_of(&columns[i]));
			break;
		case 't':
		case 'b':
			values[i] = BLOB(columns[i].bytes, columns[i].length);
			break;
		default:
			values[i] = TEXT(i == COLUMN_SPEC && !columns[i].type ? sound_spec : NULL);
		}
	}
}

static void check_row(struct row *row)
{
	struct spec *again = NULL;
	struct error err = { 0 };
	json_t *json;
	char *line;
	int r = row_finish(row, &err);

	require(r == 0 || (r == -EUCLEAN && *err.message));
	if (r < 0)
		return;
	json = compose_to_json(row->compose, "http://localhost/composes", JSON_CURRENT, true);
	line = json ? json_line(json) : NULL;
	require(line);
	free(line);
	json_decref(json);
	json = spec_to_json(row->compose->spec);
	require(json);
	require(spec_from_json(json, &again, &err) == 0);
	require(spec_same_question(row->compose->spec, again));
	spec_free(again);
	json_decref(json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct connection *connection; /* opening one costs more than the rest */
	struct column columns[COLUMNS] = { 0 };
	struct value values[COLUMNS];
	struct statement *statement = NULL;
	struct text sql = { 0 };
	struct row row = { 0 };
	struct error err = { 0 };
	int r;

	if (!connection)
		require(connection_open(":memory:", SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE,
					&connection, &err) == 0);
	read_changes(data, size, columns);
	make_sql(columns, &sql);
	make_values(columns, values);
	require(sql_start(connection, sql.data, values, COLUMNS, &statement, &err) == 0);
	require(sql_next(statement, &err) == 1);
	r = row_read(statement, &row, &err);
	require(r == 0 || (r == -EUCLEAN && *err.message));
	sql_done(statement);
	if (r == 0)
		check_row(&row);
	row_done(&row);
	text_done(&sql);
	return 0;
}
