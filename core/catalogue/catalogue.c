/* SPDX-License-Identifier: MIT */
/* core/catalogue/catalogue.c: opening the catalogue, and bringing an older one to this version.
 *
 * A file that is not ours is recognised before a byte of it is changed. */
#include "core/catalogue/internal.h"

#include <fcntl.h>
#include <unistd.h>

#define APPLICATION_ID 1868849011 /* as in schema.sql */

/* The table of migrations: member N brings the schema from version N - 1 to N, 0 being the empty
 * file (member 0 is the comment at the head of schema.sql). */
static const char *const migrations[] = {
#include "schema.inc"
};
#define SCHEMA_VERSION ((int64_t)ARRAY_SIZE(migrations) - 1)

/* ---- open -------------------------------------------------------------- */

/* Create the file for our eyes only; the requests in it can be private. */
static int file_create(const char *path, struct error *err)
{
	_cleanup_(closep) int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	/* an existing one is not opened here: closing it would drop SQLite's locks on it */
	if (fd < 0 && errno != EEXIST)
		return error_errno(err, errno, "cannot create %s", path);
	return 0;
}

/* What the file says of itself; -EUCLEAN when it is somebody else's, -EBUSY when it is too new. */
static int version_read(struct connection *writer, int64_t *ret, struct error *err)
{
	int64_t application = 0, version = 0, tables = 0;
	int r;

	r = sql_number(writer, "PRAGMA application_id", NO_VALUES, &application, err);
	if (r < 0)
		return r;
	r = sql_number(writer, "PRAGMA user_version", NO_VALUES, &version, err);
	if (r < 0)
		return r;
	r = sql_number(writer, "SELECT count(*) FROM sqlite_schema", NO_VALUES, &tables, err);
	if (r < 0)
		return r;
	if (application != APPLICATION_ID && (application || version || tables))
		return error_set(err, -EUCLEAN, BLAME_US, NULL,
				 "%s is a database of another program, not a catalogue",
				 writer->path);
	if (version < 0 || (application && !version))
		return error_set(err, -EUCLEAN, BLAME_US, NULL,
				 "%s is damaged: version %" PRId64 " of the catalogue",
				 writer->path, version);
	if (version > SCHEMA_VERSION)
		return error_set(err, -EBUSY, BLAME_US, NULL,
				 "%s was written by a newer odcsfs (version %" PRId64
				 " of the catalogue, this one knows %" PRId64 ")",
				 writer->path, version, SCHEMA_VERSION);
	*ret = version;
	return 0;
}

static int log_mode(struct connection *writer, struct error *err)
{
	_cleanup_(sql_donep) struct statement *statement = NULL;
	const char *mode;
	int r = sql_start(writer, "PRAGMA journal_mode = WAL", NO_VALUES, &statement, err);

	if (r < 0)
		return r;
	r = sql_next(statement, err);
	if (r < 0)
		return r;
	mode = r ? (const char *)sqlite3_column_text(sql_row(statement), 0) : NULL;
	if (mode && !strcmp(mode, "wal"))
		return 0;
	return error_set(err, -EIO, BLAME_US, NULL,
			 "%s: its file system cannot share memory between readers (is it a network "
			 "one?)",
			 writer->path);
}

static int migrate(struct connection *writer, struct error *err)
{
	int64_t version = 0;
	char sql[64];
	int r;

	r = connection_exec(writer, "BEGIN IMMEDIATE", err);
	if (r < 0)
		return r;
	r = version_read(writer, &version, err); /* again: another process may have been first */
	while (r >= 0 && version < SCHEMA_VERSION) {
		r = connection_exec(writer, migrations[++version], err);
		(void)snprintf(sql, sizeof(sql), "PRAGMA user_version = %" PRId64, version);
		if (r >= 0)
			r = connection_exec(writer, sql, err);
	}
	if (r >= 0)
		r = connection_exec(writer, "COMMIT", err);
	if (r < 0 && !sqlite3_get_autocommit(writer->db))
		(void)sqlite3_exec(writer->db, "ROLLBACK", NULL, NULL, NULL);
	return r;
}

/* A file can say that it is a catalogue and lack its tables: find out now, not in the first verb.
 */
static int tables_check(struct connection *writer, struct error *err)
{
	static const char *const sql[] = {
		"SELECT " ROW_COLUMNS ROW_FROM "LIMIT 1",
		"SELECT question, inputs, lease, latest, timestamp, party FROM composes LIMIT 1",
		"SELECT written FROM specs LIMIT 1",
		("SELECT number, name, owner, uid, gid, mode, time_created, compose_id, "
		 "time_removed, note FROM requests LIMIT 1"),
		"SELECT number, party FROM turns LIMIT 1",
		"SELECT source_type, state, count FROM tallies LIMIT 1",
	};

	for (size_t i = 0; i < ARRAY_SIZE(sql); i++) {
		_cleanup_(sql_donep) struct statement *statement = NULL;
		int r = sql_start(writer, sql[i], NO_VALUES, &statement, err);

		if (r < 0)
			return r;
		r = sql_next(statement, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int writer_open(struct catalogue *catalogue, struct error *err)
{
	int64_t version;
	int r = connection_open(catalogue->path, SQLITE_OPEN_READWRITE, &catalogue->writer, err);

	if (r < 0)
		return r;
	r = version_read(catalogue->writer, &version, err);
	if (r < 0)
		return r;
	r = log_mode(catalogue->writer, err);
	if (r < 0)
		return r;
	/* a log that a guest held up is cut to this size when it starts afresh */
	r = connection_exec(catalogue->writer,
			    "PRAGMA journal_size_limit = 67108864; PRAGMA synchronous = FULL;",
			    err);
	if (r < 0)
		return r;
	catalogue->synchronous_full = true;
	if (version < SCHEMA_VERSION) {
		r = migrate(catalogue->writer, err);
		if (r < 0)
			return r;
	}
	catalogue->copy_back_at = LOG_FRAMES;
	(void)sqlite3_wal_hook(catalogue->writer->db, log_grown, catalogue);
	return tables_check(catalogue->writer, err);
}

/* One reader is always there: later on, a lack of descriptors makes callers wait, not fail. */
static int first_reader_open(struct catalogue *catalogue, struct error *err)
{
	struct connection *reader;
	int r = reader_get(catalogue, &reader, err);

	if (r >= 0)
		reader_put(catalogue, reader);
	return r;
}

static struct catalogue *catalogue_new(int64_t (*now)(void))
{
	struct catalogue *catalogue = calloc(1, sizeof(*catalogue));

	if (!catalogue)
		return NULL;
	pthread_mutex_init(&catalogue->lock, NULL);
	pthread_mutex_init(&catalogue->pool_lock, NULL);
	pthread_mutex_init(&catalogue->progress_lock, NULL);
	pthread_cond_init(&catalogue->pool_free, NULL);
	catalogue->now = now ? now : time_now;
	return catalogue;
}

int catalogue_open(const char *path, int64_t (*now)(void), struct catalogue **ret,
		   struct error *err)
{
	_cleanup_(catalogue_closep) struct catalogue *catalogue = catalogue_new(now);
	int r;

	if (!catalogue)
		return error_oom(err);
	r = file_create(path, err);
	if (r < 0)
		return r;
	catalogue->path = realpath(path, NULL);
	if (!catalogue->path)
		return error_errno(err, errno, "%s", path);
	r = writer_open(catalogue, err);
	if (r >= 0)
		r = first_reader_open(catalogue, err);
	if (r < 0)
		return r;
	*ret = steal(catalogue);
	return 0;
}

/* The log beside the file is part of it: without one there is nobody who could be writing. */
static bool has_log(const char *path)
{
	_cleanup_(freep) char *log = NULL;

	return asprintf(&log, "%s-wal", path) < 0 || access(log, F_OK) == 0 || errno != ENOENT;
}

static int reader_check(struct connection *reader, struct error *err)
{
	int64_t version;
	int r = version_read(reader, &version, err);

	if (r >= 0 && version < SCHEMA_VERSION)
		return error_set(err, -ESTALE, BLAME_US, NULL,
				 "%s was written by an earlier odcsfs (version %" PRId64
				 " of the catalogue, this one keeps %" PRId64 ")",
				 reader->path, version, SCHEMA_VERSION);
	return r < 0 ? r : tables_check(reader, err);
}

int catalogue_look(const char *path, struct catalogue **ret, struct error *err)
{
	_cleanup_(catalogue_closep) struct catalogue *catalogue = catalogue_new(NULL);
	struct connection *reader;
	int r;

	if (!catalogue)
		return error_oom(err);
	catalogue->path = realpath(path, NULL);
	if (!catalogue->path)
		return error_errno(err, -errno, "%s", path);
	catalogue->immutable = !has_log(catalogue->path);
	r = reader_get(catalogue, &reader, err);
	if (r < 0)
		return r;
	r = reader_check(reader, err);
	reader_put(catalogue, reader);
	if (r < 0)
		return r;
	*ret = steal(catalogue);
	return 0;
}

void catalogue_close(struct catalogue *catalogue)
{
	struct connection *reader;

	if (!catalogue)
		return;
	while ((reader = catalogue->idle)) {
		catalogue->idle = reader->next;
		connection_close(reader);
	}
	connection_close(catalogue->writer); /* the last one copies the log back and removes it */
	pthread_mutex_destroy(&catalogue->lock);
	pthread_mutex_destroy(&catalogue->pool_lock);
	pthread_mutex_destroy(&catalogue->progress_lock);
	pthread_cond_destroy(&catalogue->pool_free);
	free(catalogue->path);
	free(catalogue);
}

int catalogue_watch(struct catalogue *catalogue,
		    void (*function)(void *data, const struct catalogue_event *event), void *data)
{
	if (catalogue->watcher_count == WATCHERS_MAX)
		return -E2BIG;
	catalogue->watchers[catalogue->watcher_count++] =
		(struct watcher){ .function = function, .data = data };
	return 0;
}

/* ---- progress ---------------------------------------------------------- */

/* Under progress_lock: the slot of @id, or with @make the one that changed longest ago. */
static struct progress_slot *progress_slot(struct catalogue *catalogue, int64_t id, bool make)
{
	struct progress_slot *oldest = catalogue->progress;

	for (size_t i = 0; i < PROGRESS_MAX; i++) {
		struct progress_slot *slot = &catalogue->progress[i];

		if (slot->id == id)
			return slot;
		if (slot->progress.serial < oldest->progress.serial)
			oldest = slot;
	}
	return make ? oldest : NULL;
}

void catalogue_progress_set(struct catalogue *catalogue, int64_t id,
			    const struct progress *progress)
{
	struct progress_slot *slot;

	pthread_mutex_lock(&catalogue->progress_lock);
	slot = progress_slot(catalogue, id, true);
	slot->id = id;
	slot->progress = *progress;
	slot->progress.serial = ++catalogue->progress_serial;
	pthread_mutex_unlock(&catalogue->progress_lock);
}

void catalogue_progress_get(struct catalogue *catalogue, int64_t id, struct progress *ret)
{
	const struct progress_slot *slot;

	pthread_mutex_lock(&catalogue->progress_lock);
	slot = progress_slot(catalogue, id, false);
	*ret = slot ? slot->progress : (struct progress){ 0 };
	pthread_mutex_unlock(&catalogue->progress_lock);
}
