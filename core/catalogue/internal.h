/* SPDX-License-Identifier: MIT */
/* core/catalogue/internal.h: what the files of this room share; no other room includes it.
 *
 * connection.c  one SQLite connection: statements, errors, the pool of readers
 * write.c       the one writer: many callers, one commit; news after it
 * row.c         a row of composes as struct compose
 * reuse.c       composes that show the tree of another one
 * latest.c      composes that one name leads to, one after another
 * check.c       what must not be in the file
 *
 * Locks: catalogue.lock (queue and news), pool_lock (idle readers), progress_lock; none is held
 * while another is taken, over SQL, or over a callback. */
#pragma once

#include "core/catalogue/catalogue.h"

#include <pthread.h>
#include <sqlite3.h>

#define READERS_MAX 32		 /* connections for reading; more callers wait for one */
#define STATEMENTS_MAX 96	 /* prepared statements kept per connection */
#define BATCH_VERBS_MAX 128	 /* verbs that share one commit */
#define PAGE_ROWS_MAX 128	 /* rows fetched before the visits begin */
#define PAGE_BYTES_MAX (4 << 20) /* spec text fetched before the visits begin */
#define SWEEP_ROWS_MAX 100	 /* rows per transaction of expire, history and reap */
#define BUSY_MS 30000		 /* patience with another program's lock */
#define LOG_FRAMES 1000		 /* pages in the log from which on it is copied back */
#define RESTART_FRAMES 4000	 /* ... and readers are waited for: 16 MiB */
#define RESTART_MS 100		 /* ... for how long */
#define WATCHERS_MAX 8
#define PROGRESS_MAX 256       /* composes whose progress is remembered, the latest ones */
#define TIME_LAST 253402300799 /* 9999-12-31T23:59:59Z */

/* ---- connection.c ------------------------------------------------------ */

struct statement;

struct connection {
	sqlite3 *db;
	const char *path;	       /* for messages; the catalogue's */
	uint64_t hash[STATEMENTS_MAX]; /* of their texts */
	struct statement *statement[STATEMENTS_MAX];
	size_t count;
	uint64_t uses;
	struct connection *next; /* in the pool */
};

/** struct value - one parameter of a statement; texts and blobs are borrowed until it is done */
struct value {
	enum { VALUE_INTEGER, VALUE_TEXT, VALUE_BLOB, VALUE_COPY } type;
	int64_t number;
	const void *bytes; /* NULL text: NULL */
	size_t length;	   /* of a blob */
	sqlite3_value *copy;
};

#define INTEGER(value_) ((struct value){ .type = VALUE_INTEGER, .number = (value_) })
#define TEXT(value_) ((struct value){ .type = VALUE_TEXT, .bytes = (value_) })
#define BLOB(value_, length_)                                                                      \
	((struct value){ .type = VALUE_BLOB, .bytes = (value_), .length = (length_) })
/** VALUES() - the two arguments "values, count" of the functions below */
#define VALUES(...)                                                                                \
	(const struct value[]){ __VA_ARGS__ },                                                     \
		sizeof((const struct value[]){ __VA_ARGS__ }) / sizeof(struct value)
#define NO_VALUES NULL, 0

/** connection_open() - @flags: SQLite's; with SQLITE_OPEN_URI (@path is none all the same) the file is one that
 * nobody changes meanwhile */
int connection_open(const char *path, int flags, struct connection **ret, struct error *err);
void connection_close(struct connection *connection);
DEFINE_FREEP(struct connection, connection_close)
/** connection_error() - what SQLite said (@rc) as our error; BLAME_US */
int connection_error(struct connection *connection, int rc, struct error *err);
/** connection_exec() - statements without parameters and rows, not kept */
int connection_exec(struct connection *connection, const char *sql, struct error *err);

/** sql_start() - a kept statement with its parameters; ends with sql_done() */
int sql_start(struct connection *connection, const char *sql, const struct value *values,
	      size_t count, struct statement **ret, struct error *err);
int sql_next(struct statement *statement, struct error *err); /* 1: a row, 0: no more */
void sql_done(struct statement *statement);
DEFINE_FREEP(struct statement, sql_done)
sqlite3_stmt *sql_row(struct statement *statement);
/** sql_run() - a statement that returns no rows; rows changed */
int sql_run(struct connection *connection, const char *sql, const struct value *values,
	    size_t count, struct error *err);
/** sql_number() - the first column of the first row; 0: no row or no integer, *ret untouched */
int sql_number(struct connection *connection, const char *sql, const struct value *values,
	       size_t count, int64_t *ret, struct error *err);
/** sql_numbers() - the first column of at most @room rows; their count */
int sql_numbers(struct connection *connection, const char *sql, const struct value *values,
		size_t count, int64_t *ret, int room, struct error *err);

/** reader_get() - a connection for reading, for the shortest time; reader_put() it back */
int reader_get(struct catalogue *catalogue, struct connection **ret, struct error *err);
void reader_put(struct catalogue *catalogue, struct connection *reader);

/* ---- row.c ------------------------------------------------------------- */

/** struct row - a row of composes; @spec is parsed by row_finish(), after the statement has ended
 */
struct row {
	struct compose *compose;
	char *spec;
	size_t spec_length;
};

/* does a done compose show the tree of compose @id_? */
#define ROW_IS_SHOWN(id_)                                                                          \
	"EXISTS (SELECT 1 FROM composes r INDEXED BY composes_reused "                             \
	"WHERE r.reused_id > 0 AND r.reused_id = " id_ " AND r.state = 2)"
#define ROW_COLUMNS                                                                                \
	"c.id, c.request, c.owner, c.uid, c.gid, c.state, c.state_reason, c.source_type, "         \
	"c.source, c.time_submitted, c.time_to_expire, c.time_started, c.time_done, "              \
	"c.time_removed, c.removed_by, c.koji_event, c.koji_task_id, c.pungi_compose_id, "         \
	"c.respin_of, c.sigkeys, c.arches, c.reused_id, c.manifest, c.packages_count, "            \
	"c.size_bytes, s.spec, c.state = 3 AND " ROW_IS_SHOWN("c.id")
#define ROW_FROM " FROM composes c LEFT JOIN specs s ON s.compose = c.id "

/** row_read() - the current row of a statement that selects ROW_COLUMNS; -EUCLEAN: damaged */
int row_read(struct statement *statement, struct row *ret, struct error *err);
int row_finish(struct row *row, struct error *err); /* -EUCLEAN: damaged */
int row_load(struct connection *connection, int64_t id, struct row *ret, struct error *err);
void row_done(struct row *row);

/** struct damage - checks of columns: remembers the first one that is not what it should be */
struct damage {
	sqlite3_stmt *row;
	const char *column; /* NULL: sound so far */
	bool oom;
};
int64_t damage_number(struct damage *damage, int column, int64_t least, int64_t most);
const char *damage_text(struct damage *damage, int column, bool may_be_null);
char *damage_copy(struct damage *damage, int column, bool may_be_null);
/** damage_error() - 0, or the words for @what number @id */
int damage_error(const struct damage *damage, const char *what, int64_t id, struct error *err);

bool text_is_utf8(const char *text);
/** text_clean() - a copy with '?' for bytes that are not UTF-8; malloc'ed or NULL */
char *text_clean(const char *text);

/* ---- write.c ----------------------------------------------------------- */

/** struct change - news to give once it is committed */
struct change {
	enum compose_state old_state;
	int64_t request;
	bool request_only;
	struct row row;
};

/**
 * struct verb - one verb on its way into a transaction; lives on its caller's stack
 * @run:     called in the transaction, perhaps by another caller's thread and perhaps twice (when
 *           a shared commit failed): it must set its results anew each time
 * @durable: on disk before verb_write() returns
 * @wants_record: the caller reads @changes afterwards, so they are loaded without watchers too */
struct verb {
	int (*run)(struct catalogue *catalogue, struct verb *verb, struct error *err);
	void *arguments;
	bool durable;
	bool wants_record;
	/* set by run() through change_…() */
	struct change *changes;
	size_t change_count, change_room;
	/* the writer's */
	struct error *err;
	int result;
	bool finished;		       /* under lock */
	bool has_news;		       /* under lock */
	struct verb *next, *next_news; /* under lock */
	pthread_cond_t wake;
};

/** verb_write() - run @verb in a transaction, alone or with others; its result once committed */
int verb_write(struct catalogue *catalogue, struct verb *verb, struct error *err);
void verb_done(struct verb *verb);
/** log_grown() - for sqlite3_wal_hook() of the writer */
int log_grown(void *catalogue, sqlite3 *db, const char *name, int frames);
/** change_compose() - compose @id was changed by this verb: load it for watchers (and the caller)
 */
int change_compose(struct catalogue *catalogue, struct verb *verb, int64_t id,
		   enum compose_state old_state, struct error *err);
int change_request(struct catalogue *catalogue, struct verb *verb, int64_t request,
		   struct error *err);

/* ---- composes.c -------------------------------------------------------- */

struct current {
	enum compose_state state;
	int64_t submitted, expires;
};

/** current_read() - the state of compose @id, in a verb; -ENOENT, -ESTALE when it is none of
 * @allowed (1 << state, or-ed). A row with bad times has no lifetime left, but can still come to an
 * end. */
int current_read(struct catalogue *catalogue, int64_t id, unsigned int allowed, struct current *ret,
		 struct error *err);

int64_t time_after(int64_t time, int64_t seconds); /* within what can be kept */
/** moved_expiry() - time_to_expire of a compose that ends now: the time in the queue and the build does
 * not eat the lifetime (odcs-api.md 3.2) */
int64_t moved_expiry(const struct current *current, int64_t now);

/** struct step - arguments of a verb that takes one compose from one state to another */
struct step {
	int64_t id;
	const char *words; /* reason, or who */
	const struct outcome *outcome;
	int64_t number; /* reused id; or a count */
};
/** step_write() - verb_write() for who wants no record */
int step_write(struct catalogue *catalogue, struct verb *verb, struct error *err);

/* ---- latest.c ---------------------------------------------------------- */

/** generation_newest() - 1, or 0 with *ret empty: there was none */
int generation_newest(struct connection *connection, const char *owner, const char *latest,
		      struct generation *ret, struct error *err);
/** generation_judge() - may compose @id be done with that repodata, in a verb? -EAGAIN: its latest-… name
 * has led to something as late or later */
int generation_judge(struct connection *connection, int64_t id, int64_t timestamp,
		     const char *manifest, struct error *err);

/* ---- the catalogue ----------------------------------------------------- */

struct watcher {
	void (*function)(void *data, const struct catalogue_event *event);
	void *data;
};

struct progress_slot {
	int64_t id;
	struct progress progress;
};

struct catalogue {
	char *path;	/* absolute */
	bool immutable; /* catalogue_look(): nobody writes to the file */
	int64_t (*now)(void);
	struct watcher watchers[WATCHERS_MAX]; /* constant after the first verb */
	size_t watcher_count;

	pthread_mutex_t lock;
	struct verb *first, *last;	     /* under lock: waiting for a leader */
	struct verb *first_news, *last_news; /* under lock: committed, in commit order */
	bool leading;			     /* under lock: somebody works for all */
	/* the leader's */
	struct connection *writer;
	bool synchronous_full;
	int log_frames;	  /* pages in the log after the last commit */
	int copy_back_at; /* log_frames at which to copy the log back next */

	pthread_mutex_t pool_lock;
	pthread_cond_t pool_free;
	struct connection *idle; /* under pool_lock */
	unsigned int readers;	 /* under pool_lock: idle ones and those in use */

	pthread_mutex_t progress_lock;
	int64_t progress_serial;		     /* under progress_lock */
	struct progress_slot progress[PROGRESS_MAX]; /* under progress_lock */
};

/* A time that can be kept: not "never", and with a year of four digits, whatever the clock says. */
static inline int64_t time_kept(int64_t time)
{
	return time < 1 ? 1 : time > TIME_LAST ? TIME_LAST : time;
}

static inline int64_t now_of(const struct catalogue *catalogue)
{
	return time_kept(catalogue->now());
}
