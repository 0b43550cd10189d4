/* SPDX-License-Identifier: MIT */
/* core/catalogue/write.c: the one writer.
 *
 *   verb_write ─► queue ─► leader: BEGIN, each verb in its SAVEPOINT, COMMIT ─► news ─► returns
 *
 * A commit costs a write to the disk however many rows it holds. So the first caller in becomes
 * the leader and runs, in one transaction, what all who came meanwhile want; they sleep until it is
 * committed. There is no thread of our own. When a shared commit fails (disk full), each of its
 * verbs is tried alone, so that one which is too big takes no other with it.
 *
 * News: committed verbs stand in a list in commit order, and each gives its news in its own
 * caller's thread when it is the first of the list. */
#include "core/catalogue/internal.h"

/* ---- changes ----------------------------------------------------------- */

static struct change *change_new(struct verb *verb, struct error *err)
{
	if (verb->change_count == verb->change_room) {
		size_t room = verb->change_room ? verb->change_room * 2 : 4;
		struct change *changes = reallocarray(verb->changes, room, sizeof(*changes));

		if (!changes) {
			(void)error_oom(err);
			return NULL;
		}
		verb->changes = changes;
		verb->change_room = room;
	}
	verb->changes[verb->change_count] = (struct change){ 0 };
	return &verb->changes[verb->change_count];
}

int change_compose(struct catalogue *catalogue, struct verb *verb, int64_t id,
		   enum compose_state old_state, struct error *err)
{
	struct change *change;
	int r;

	if (!catalogue->watcher_count && !verb->wants_record)
		return 0;
	change = change_new(verb, err);
	if (!change)
		return -ENOMEM;
	change->old_state = old_state;
	r = row_load(catalogue->writer, id, &change->row, err);
	if (r == -EUCLEAN && !verb->wants_record)
		return 0; /* the change stands; there is no record to show */
	if (r < 0)
		return r;
	change->request = change->row.compose->request;
	verb->change_count++;
	return 0;
}

int change_request(struct catalogue *catalogue, struct verb *verb, int64_t request,
		   struct error *err)
{
	struct change *change;

	if (!catalogue->watcher_count)
		return 0;
	change = change_new(verb, err);
	if (!change)
		return -ENOMEM;
	change->old_state = STATE_DRAFT;
	change->request = request;
	change->request_only = true;
	verb->change_count++;
	return 0;
}

static void changes_clear(struct verb *verb)
{
	for (size_t i = 0; i < verb->change_count; i++)
		row_done(&verb->changes[i].row);
	verb->change_count = 0;
}

void verb_done(struct verb *verb)
{
	changes_clear(verb);
	free(verb->changes);
	verb->changes = NULL;
	verb->change_room = 0;
}

/* ---- one transaction --------------------------------------------------- */

static int command(struct catalogue *catalogue, const char *sql, struct error *err)
{
	return sql_run(catalogue->writer, sql, NO_VALUES, err);
}

static void verb_failed(struct verb *verb, int result, const struct error *err)
{
	verb->result = result;
	changes_clear(verb);
	if (verb->err && verb->err != err)
		*verb->err = *err;
}

static int transaction_begin(struct catalogue *catalogue, bool durable, struct error *err)
{
	int r;

	/* synchronous cannot change within a transaction, and takes effect when it is parsed */
	if (durable != catalogue->synchronous_full) {
		r = connection_exec(
			catalogue->writer,
			durable ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = NORMAL", err);
		if (r < 0)
			return r;
		catalogue->synchronous_full = durable;
	}
	return command(catalogue, "BEGIN IMMEDIATE", err);
}

/* A verb in its savepoint: 0 when the transaction still stands, whatever became of the verb. */
static int verb_run(struct catalogue *catalogue, struct verb *verb, struct error *err)
{
	int r = command(catalogue, "SAVEPOINT verb", err);

	if (r < 0)
		return r;
	changes_clear(verb);
	verb->result = verb->run(catalogue, verb, verb->err);
	if (verb->result < 0) {
		changes_clear(verb);
		/* a full disk may have rolled back everything: then all must be done again */
		if (sqlite3_get_autocommit(catalogue->writer->db))
			return error_set(err, verb->result, BLAME_US, NULL, "%s",
					 verb->err ? verb->err->message : "transaction failed");
		r = command(catalogue, "ROLLBACK TO verb", err);
		if (r < 0)
			return r;
	}
	return command(catalogue, "RELEASE verb", err);
}

/* Verbs from @first to before @end in one commit; an error means that nothing was committed.
 * @ret_begun: whether anything was tried at all */
static int transaction(struct catalogue *catalogue, struct verb *first, const struct verb *end,
		       bool *ret_begun, struct error *err)
{
	bool durable = false;
	int r;

	for (const struct verb *verb = first; verb != end; verb = verb->next)
		durable = durable || verb->durable;
	r = transaction_begin(catalogue, durable, err);
	*ret_begun = r >= 0;
	for (struct verb *verb = first; verb != end && r >= 0; verb = verb->next)
		r = verb_run(catalogue, verb, err);
	if (r >= 0)
		r = command(catalogue, "COMMIT", err);
	if (r < 0 && !sqlite3_get_autocommit(catalogue->writer->db))
		(void)sqlite3_exec(catalogue->writer->db, "ROLLBACK", NULL, NULL, NULL);
	return r < 0 ? r : 0;
}

static void batch(struct catalogue *catalogue, struct verb *first)
{
	struct error err = { 0 };
	bool begun;
	int r = transaction(catalogue, first, NULL, &begun, &err);

	if (r >= 0)
		return;
	for (struct verb *verb = first; verb; verb = verb->next) {
		if (begun && first->next)
			r = transaction(catalogue, verb, verb->next, &begun, &err);
		if (r < 0)
			verb_failed(verb, r, &err);
	}
}

/* ---- the log ----------------------------------------------------------- */

int log_grown(void *data, sqlite3 *db _unused_, const char *name _unused_, int frames)
{
	struct catalogue *catalogue = data;

	catalogue->log_frames = frames;
	if (frames < LOG_FRAMES) /* a fresh one */
		catalogue->copy_back_at = LOG_FRAMES;
	return SQLITE_OK;
}

/* Copy the log back into the database when it has grown, after the callers have been answered.
 * SQLite starts the log afresh when all of it was copied and nobody reads from it; readers that
 * overlap without a gap can keep it from that, so beyond RESTART_FRAMES they are waited for, a
 * moment. What cannot be had now is tried again when the log has grown by a quarter of LOG_FRAMES:
 * a guest that reads for an hour costs us one such moment per quarter. */
static void log_copy_back(struct catalogue *catalogue)
{
	sqlite3 *db = catalogue->writer->db;
	bool restart = catalogue->log_frames >= RESTART_FRAMES;

	catalogue->copy_back_at = catalogue->log_frames + LOG_FRAMES / 4;
	(void)sqlite3_busy_timeout(db, RESTART_MS);
	(void)sqlite3_wal_checkpoint_v2(
		db, NULL, restart ? SQLITE_CHECKPOINT_RESTART : SQLITE_CHECKPOINT_PASSIVE, NULL,
		NULL);
	(void)sqlite3_busy_timeout(db, BUSY_MS);
}

/* ---- the queue --------------------------------------------------------- */

/* Under lock: take at most BATCH_VERBS_MAX verbs off the queue. */
static struct verb *queue_take(struct catalogue *catalogue)
{
	struct verb *first = catalogue->first, *last = first;

	for (int i = 1; i < BATCH_VERBS_MAX && last->next; i++)
		last = last->next;
	catalogue->first = last->next;
	if (!catalogue->first)
		catalogue->last = NULL;
	last->next = NULL;
	return first;
}

/* Under lock: hand the results out. A verb's memory is its caller's again once the lock is free. */
static void batch_hand_out(struct catalogue *catalogue, struct verb *first)
{
	struct verb *next;

	for (struct verb *verb = first; verb; verb = next) {
		next = verb->next;
		verb->has_news =
			verb->result >= 0 && verb->change_count && catalogue->watcher_count;
		if (verb->has_news) {
			if (catalogue->last_news)
				catalogue->last_news->next_news = verb;
			else
				catalogue->first_news = verb;
			catalogue->last_news = verb;
		}
		verb->finished = true;
		pthread_cond_signal(&verb->wake);
	}
}

/* Under lock, which is given up meanwhile. */
static void lead(struct catalogue *catalogue)
{
	struct verb *first = queue_take(catalogue);

	catalogue->leading = true;
	pthread_mutex_unlock(&catalogue->lock);
	batch(catalogue, first);
	pthread_mutex_lock(&catalogue->lock);
	batch_hand_out(catalogue, first);
	if (catalogue->log_frames >= catalogue->copy_back_at) {
		pthread_mutex_unlock(&catalogue->lock);
		log_copy_back(catalogue);
		pthread_mutex_lock(&catalogue->lock);
	}
	catalogue->leading = false;
	if (catalogue->first)
		pthread_cond_signal(&catalogue->first->wake);
}

/* ---- news -------------------------------------------------------------- */

static void news_give(struct catalogue *catalogue, struct verb *verb)
{
	for (size_t i = 0; i < verb->change_count; i++) {
		struct change *change = &verb->changes[i];
		struct catalogue_event event = {
			.old_state = change->old_state,
			.compose = change->row.compose,
			.request = change->request,
			.request_only = change->request_only,
		};

		/* a damaged row has no record to show */
		if (!change->request_only && row_finish(&change->row, NULL) < 0)
			continue;
		for (size_t k = 0; k < catalogue->watcher_count; k++)
			catalogue->watchers[k].function(catalogue->watchers[k].data, &event);
	}
}

static void news_wait(struct catalogue *catalogue, struct verb *verb)
{
	pthread_mutex_lock(&catalogue->lock);
	while (catalogue->first_news != verb)
		pthread_cond_wait(&verb->wake, &catalogue->lock);
	pthread_mutex_unlock(&catalogue->lock);
	news_give(catalogue, verb);
	pthread_mutex_lock(&catalogue->lock);
	catalogue->first_news = verb->next_news;
	if (catalogue->first_news)
		pthread_cond_signal(&catalogue->first_news->wake);
	else
		catalogue->last_news = NULL;
	pthread_mutex_unlock(&catalogue->lock);
}

int verb_write(struct catalogue *catalogue, struct verb *verb, struct error *err)
{
	struct error words;

	words.message[0] = '\0';
	verb->err = err ? err : &words;
	pthread_cond_init(&verb->wake, NULL);
	pthread_mutex_lock(&catalogue->lock);
	if (catalogue->last)
		catalogue->last->next = verb;
	else
		catalogue->first = verb;
	catalogue->last = verb;
	while (!verb->finished) {
		if (catalogue->leading)
			pthread_cond_wait(&verb->wake, &catalogue->lock);
		else
			lead(catalogue);
	}
	pthread_mutex_unlock(&catalogue->lock);
	if (verb->has_news)
		news_wait(catalogue, verb);
	pthread_cond_destroy(&verb->wake);
	return verb->result;
}
