/* SPDX-License-Identifier: MIT */
/* core/catalogue/connection.c: one connection to SQLite, its statements and its errors; and the
 * pool of connections that read.
 *
 * Statements are kept by their text: a verb writes its SQL where it is used and pays for the
 * parsing once per connection. The pool grows with the number of readers at one moment. */
#include "core/catalogue/internal.h"

struct statement {
	struct connection *connection;
	sqlite3_stmt *handle;
	char *sql;
	uint64_t used; /* connection->uses at the last start: the oldest makes room */
	bool held;     /* between sql_start() and sql_done() */
};

/* ---- errors ------------------------------------------------------------ */

int connection_error(struct connection *connection, int rc, struct error *err)
{
	const char *path = connection->path;
	const char *words = connection->db ? sqlite3_errmsg(connection->db) : sqlite3_errstr(rc);
	int system = connection->db ? sqlite3_system_errno(connection->db) : 0;

	switch (rc & 0xff) {
	case SQLITE_FULL:
		return error_set(err, -ENOSPC, BLAME_US, NULL, "no room left on the disk of %s",
				 path);
	case SQLITE_NOMEM:
		return error_oom(err);
	case SQLITE_NOTADB:
	case SQLITE_CORRUPT:
		return error_set(err, -EUCLEAN, BLAME_US, NULL,
				 "%s is not a catalogue, or damaged: %s", path, words);
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return error_set(err, -EIO, BLAME_US, NULL,
				 "another program has kept %s locked for %d seconds", path,
				 BUSY_MS / 1000);
	case SQLITE_IOERR:
		if (system == ENOSPC || system == EDQUOT)
			return error_set(err, -ENOSPC, BLAME_US, NULL,
					 "no room left on the disk of %s", path);
		return error_set(err, -EIO, BLAME_US, NULL, "%s: %s (%s)", path, words,
				 strerror(system));
	default:
		return error_set(err, -EIO, BLAME_US, NULL, "%s: %s", path, words);
	}
}

/* ---- a connection ------------------------------------------------------ */

static void statement_free(struct statement *statement)
{
	if (!statement)
		return;
	(void)sqlite3_finalize(statement->handle);
	free(statement->sql);
	free(statement);
}
DEFINE_FREEP(struct statement, statement_free)

void connection_close(struct connection *connection)
{
	if (!connection)
		return;
	for (size_t i = 0; i < connection->count; i++)
		statement_free(connection->statement[i]);
	(void)sqlite3_close_v2(connection->db);
	free(connection);
}

/* A table or column is missing: the file is not what it says. */
static int not_ours(struct connection *connection, struct error *err)
{
	return error_set(err, -EUCLEAN, BLAME_US, NULL, "%s is not a catalogue, or damaged: %s",
			 connection->path, sqlite3_errmsg(connection->db));
}

int connection_exec(struct connection *connection, const char *sql, struct error *err)
{
	int rc = sqlite3_exec(connection->db, sql, NULL, NULL, NULL);

	if (rc == SQLITE_ERROR)
		return not_ours(connection, err);
	return rc == SQLITE_OK ? 0 : connection_error(connection, rc, err);
}

/* As a URI that says that nobody changes the file: then SQLite makes no files beside it. */
static char *immutable_uri(const char *path)
{
	struct text uri = { 0 };

	(void)text_adds(&uri, "file:");
	for (; *path; path++)
		if (strchr("%?#", *path))
			(void)text_addf(&uri, "%%%02X", (unsigned int)(unsigned char)*path);
		else
			(void)text_add(&uri, path, 1);
	(void)text_adds(&uri, "?immutable=1");
	return text_steal(&uri);
}

int connection_open(const char *path, int flags, struct connection **ret, struct error *err)
{
	_cleanup_(connection_closep) struct connection *connection = calloc(1, sizeof(*connection));
	_cleanup_(freep) char *uri = flags & SQLITE_OPEN_URI ? immutable_uri(path) : NULL;
	int rc, r;

	if (!connection || (flags & SQLITE_OPEN_URI && !uri))
		return error_oom(err);
	connection->path = path;
	rc = sqlite3_open_v2(uri ? uri : path, &connection->db, flags | SQLITE_OPEN_NOMUTEX, NULL);
	if (rc != SQLITE_OK)
		return connection_error(connection, rc, err);
	(void)sqlite3_extended_result_codes(connection->db, 1);
	(void)sqlite3_busy_timeout(connection->db, BUSY_MS);
	/* The file may have been in other hands: no row of it is to become code or a wild length */
	(void)sqlite3_db_config(connection->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	(void)sqlite3_db_config(connection->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	(void)sqlite3_limit(connection->db, SQLITE_LIMIT_LENGTH, 32 * 1024 * 1024);
	r = connection_exec(connection, "PRAGMA cell_size_check = ON; PRAGMA temp_store = MEMORY;",
			    err);
	if (r >= 0 && flags & SQLITE_OPEN_READONLY) /* there are many; the kernel keeps the file */
		r = connection_exec(connection, "PRAGMA cache_size = -512", err);
	if (r < 0)
		return r;
	*ret = steal(connection);
	return 0;
}

/* ---- statements -------------------------------------------------------- */

static uint64_t text_hash(const char *text)
{
	uint64_t hash = 14695981039346656037u; /* FNV-1a */

	for (; *text; text++)
		hash = (hash ^ (unsigned char)*text) * 1099511628211u;
	return hash;
}

/* The place for one more statement: at the end, or that of the one unused for longest. */
static int statement_room(struct connection *connection, size_t *ret)
{
	size_t oldest = STATEMENTS_MAX;

	if (connection->count < STATEMENTS_MAX) {
		*ret = connection->count++;
		return 0;
	}
	for (size_t i = 0; i < connection->count; i++) {
		const struct statement *statement = connection->statement[i];

		if (!statement->held && (oldest == STATEMENTS_MAX ||
					 statement->used < connection->statement[oldest]->used))
			oldest = i;
	}
	if (oldest == STATEMENTS_MAX)
		return -ENOMEM;
	statement_free(connection->statement[oldest]);
	*ret = oldest;
	return 0;
}

static int statement_new(struct connection *connection, const char *sql, uint64_t hash,
			 struct statement **ret, struct error *err)
{
	_cleanup_(statement_freep) struct statement *statement = calloc(1, sizeof(*statement));
	size_t place;
	int rc;

	if (!statement)
		return error_oom(err);
	statement->connection = connection;

	statement->sql = strdup(sql);
	if (!statement->sql)
		return error_oom(err);
	rc = sqlite3_prepare_v3(connection->db, sql, -1, SQLITE_PREPARE_PERSISTENT,
				&statement->handle, NULL);
	if (rc == SQLITE_ERROR)
		return not_ours(connection, err);
	if (rc != SQLITE_OK)
		return connection_error(connection, rc, err);
	if (statement_room(connection, &place) < 0)
		return error_oom(err);
	connection->hash[place] = hash;
	connection->statement[place] = statement;
	*ret = steal(statement);
	return 0;
}

static int statement_bind(struct statement *statement, const struct value *values, size_t count)
{
	sqlite3_stmt *handle = statement->handle;

	for (size_t i = 0; i < count; i++) {
		const struct value *value = values + i;
		int at = (int)i + 1, rc = SQLITE_OK;

		switch (value->type) {
		case VALUE_INTEGER:
			rc = sqlite3_bind_int64(handle, at, value->number);
			break;
		case VALUE_TEXT: /* NULL binds NULL */
			rc = sqlite3_bind_text(handle, at, value->bytes, -1, SQLITE_STATIC);
			break;
		case VALUE_BLOB:
			rc = sqlite3_bind_blob64(handle, at, value->bytes ? value->bytes : "",
						 value->length, SQLITE_STATIC);
			break;
		case VALUE_COPY:
			rc = sqlite3_bind_value(handle, at, value->copy);
			break;
		}
		if (rc != SQLITE_OK)
			return rc;
	}
	return SQLITE_OK;
}

int sql_start(struct connection *connection, const char *sql, const struct value *values,
	      size_t count, struct statement **ret, struct error *err)
{
	_cleanup_(sql_donep) struct statement *statement = NULL;
	uint64_t hash = text_hash(sql);
	int rc, r;

	for (size_t i = 0; i < connection->count && !statement; i++) {
		struct statement *kept = connection->statement[i];

		if (connection->hash[i] == hash && !kept->held && !strcmp(kept->sql, sql))
			statement = kept;
	}
	if (!statement) {
		r = statement_new(connection, sql, hash, &statement, err);
		if (r < 0)
			return r;
	}
	statement->held = true;
	statement->used = ++connection->uses;
	rc = statement_bind(statement, values, count);
	if (rc != SQLITE_OK)
		return connection_error(connection, rc, err);
	*ret = steal(statement);
	return 0;
}

int sql_next(struct statement *statement, struct error *err)
{
	int rc = sqlite3_step(statement->handle);

	if (rc == SQLITE_ROW)
		return 1;
	return rc == SQLITE_DONE ? 0 : connection_error(statement->connection, rc, err);
}

void sql_done(struct statement *statement)
{
	if (!statement)
		return;
	(void)sqlite3_reset(statement->handle); /* its error was told by sql_next() */
	(void)sqlite3_clear_bindings(statement->handle);
	statement->held = false;
}

sqlite3_stmt *sql_row(struct statement *statement)
{
	return statement->handle;
}

int sql_run(struct connection *connection, const char *sql, const struct value *values,
	    size_t count, struct error *err)
{
	_cleanup_(sql_donep) struct statement *statement = NULL;
	int r = sql_start(connection, sql, values, count, &statement, err);

	if (r < 0)
		return r;
	r = sql_next(statement, err);
	return r < 0 ? r : sqlite3_changes(connection->db);
}

int sql_number(struct connection *connection, const char *sql, const struct value *values,
	       size_t count, int64_t *ret, struct error *err)
{
	int r = sql_numbers(connection, sql, values, count, ret, 1, err);

	return r < 0 ? r : 0;
}

int sql_numbers(struct connection *connection, const char *sql, const struct value *values,
		size_t count, int64_t *ret, int room, struct error *err)
{
	_cleanup_(sql_donep) struct statement *statement = NULL;
	int got = 0, r;

	r = sql_start(connection, sql, values, count, &statement, err);
	if (r < 0)
		return r;
	while (got < room && (r = sql_next(statement, err)) > 0)
		if (sqlite3_column_type(statement->handle, 0) == SQLITE_INTEGER)
			ret[got++] = sqlite3_column_int64(statement->handle, 0);
	return r < 0 ? r : got;
}

/* ---- the pool ---------------------------------------------------------- */

/* An idle one, or NULL when there are fewer than @limit and the caller is to open one. */
static struct connection *idle_take(struct catalogue *catalogue, unsigned int limit)
{
	struct connection *reader;

	pthread_mutex_lock(&catalogue->pool_lock);
	while (!catalogue->idle && catalogue->readers >= limit)
		pthread_cond_wait(&catalogue->pool_free, &catalogue->pool_lock);
	reader = catalogue->idle;
	if (reader)
		catalogue->idle = reader->next;
	else
		catalogue->readers++;
	pthread_mutex_unlock(&catalogue->pool_lock);
	return reader;
}

int reader_get(struct catalogue *catalogue, struct connection **ret, struct error *err)
{
	struct connection *reader = idle_take(catalogue, READERS_MAX);
	unsigned int others;
	int r;

	if (!reader) {
		r = connection_open(catalogue->path,
				    SQLITE_OPEN_READONLY |
					    (catalogue->immutable ? SQLITE_OPEN_URI : 0),
				    &reader, err);
		if (r < 0) {
			pthread_mutex_lock(&catalogue->pool_lock);
			others = --catalogue->readers;
			pthread_mutex_unlock(&catalogue->pool_lock);
			if (!others)
				return r;
			reader = idle_take(catalogue, 1); /* take turns with those that are open */
		}
	}
	*ret = reader;
	return 0;
}

void reader_put(struct catalogue *catalogue, struct connection *reader)
{
	if (!reader)
		return;
	if (!sqlite3_get_autocommit(reader->db)) /* a read that broke off within BEGIN */
		(void)sqlite3_exec(reader->db, "ROLLBACK", NULL, NULL, NULL);
	pthread_mutex_lock(&catalogue->pool_lock);
	reader->next = catalogue->idle;
	catalogue->idle = reader;
	pthread_cond_signal(&catalogue->pool_free);
	pthread_mutex_unlock(&catalogue->pool_lock);
}
