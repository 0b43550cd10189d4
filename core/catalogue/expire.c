/* SPDX-License-Identifier: MIT */
/* core/catalogue/expire.c: the end of a compose: its time is moved, or it has come.
 *
 * Renewing and expiring are transactions of the one writer, so a renewal that meets the end is
 * either first, and then the compose lives on, or is told -ESTALE. */
#include "core/catalogue/internal.h"

/* ---- renew ------------------------------------------------------------- */

struct renew {
	int64_t id, seconds, expires;
	enum renew_rule rule;
	bool more; /* kin whose time is still to be moved */
};

/* The compose whose tree this one shows, and those that show this one's, live as long (3.2), but
 * for one that was deleted: it ends as its client was told, and its tree stays while others show
 * it. Of many only some at a time, since what is told of each is in memory until it is committed.
 */
static int renew_kin(struct catalogue *catalogue, struct verb *verb, struct error *err)
{
	struct renew *renew = verb->arguments;
	int64_t kin[SWEEP_ROWS_MAX];
	int count = sql_numbers(
		catalogue->writer,
		"SELECT id FROM composes WHERE reused_id > 0 "
		"AND reused_id = ?1 AND state = 2 AND time_to_expire < ?2 "
		"AND removed_by IS NULL "
		"UNION ALL SELECT id FROM composes WHERE id = "
		"(SELECT reused_id FROM composes WHERE id = ?1) "
		"AND state = 2 AND time_to_expire < ?2 "
		"AND removed_by IS NULL LIMIT ?3",
		VALUES(INTEGER(renew->id), INTEGER(renew->expires), INTEGER(SWEEP_ROWS_MAX)), kin,
		SWEEP_ROWS_MAX, err);

	renew->more = count == SWEEP_ROWS_MAX;
	for (int i = 0; i < count; i++) {
		int r = sql_run(catalogue->writer,
				"UPDATE composes SET time_to_expire = ?2 WHERE id = ?1",
				VALUES(INTEGER(kin[i]), INTEGER(renew->expires)), err);

		if (r >= 0)
			r = change_compose(catalogue, verb, kin[i], STATE_DONE, err);
		if (r < 0)
			return r;
	}
	return count;
}

static int renew_run(struct catalogue *catalogue, struct verb *verb, struct error *err)
{
	struct renew *renew = verb->arguments;
	int64_t now = now_of(catalogue);
	struct current current;
	int64_t deleted = 0, expires;
	int r = current_read(catalogue, renew->id, 1u << STATE_DONE, &current, err);

	if (r >= 0) /* its time may be over: it lives while expire has not met it */
		r = sql_number(catalogue->writer,
			       "SELECT 1 FROM composes WHERE id = ?1 AND removed_by IS NOT NULL",
			       VALUES(INTEGER(renew->id)), &deleted, err);
	if (r >= 0 && deleted)
		r = error_set(err, -ESTALE, BLAME_REQUEST, NULL, "compose %" PRId64 " was deleted",
			      renew->id);
	if (r < 0)
		return r;
	expires = current.expires;
	renew->expires = time_after(now, renew->seconds);
	if (renew->rule == RENEW_EXTEND && renew->expires < expires)
		renew->expires = expires;
	if (renew->expires != expires) {
		r = sql_run(catalogue->writer,
			    "UPDATE composes SET time_to_expire = ?2 WHERE id = ?1",
			    VALUES(INTEGER(renew->id), INTEGER(renew->expires)), err);
		if (r >= 0)
			r = change_compose(catalogue, verb, renew->id, STATE_DONE, err);
		if (r < 0)
			return r;
	}
	return renew_kin(catalogue, verb, err);
}

int catalogue_renew(struct catalogue *catalogue, int64_t id, int64_t seconds, enum renew_rule rule,
		    int64_t *ret_expires, struct error *err)
{
	struct renew renew = { .id = id, .seconds = seconds, .rule = rule };
	struct verb verb = { .run = renew_run, .arguments = &renew, .durable = true };
	int r;

	if (seconds < 1)
		return error_set(err, -EINVAL, BLAME_REQUEST, "seconds_to_live",
				 "a lifetime must be a positive number of seconds");
	r = verb_write(catalogue, &verb, err);
	verb_done(&verb);
	while (r >= 0 && renew.more) {
		struct verb rest = { .run = renew_kin, .arguments = &renew, .durable = true };

		r = verb_write(catalogue, &rest, err);
		verb_done(&rest);
	}
	if (r < 0)
		return r;
	if (ret_expires)
		*ret_expires = renew.expires;
	return 0;
}

/* ---- expire ------------------------------------------------------------ */

/* Was @id the last one that showed the tree of a compose removed before? That one is told of again:
 * its names lead nowhere from now on. */
static int expire_kept(struct catalogue *catalogue, struct verb *verb, int64_t id,
		       struct error *err)
{
	int64_t kept = 0;
	int r = sql_number(catalogue->writer,
			   "SELECT o.id FROM composes c JOIN composes o ON o.id = c.reused_id "
			   "WHERE c.id = ?1 AND c.reused_id > 0 AND o.state = 3 "
			   "AND NOT " ROW_IS_SHOWN("o.id"),
			   VALUES(INTEGER(id)), &kept, err);

	return r < 0 || !kept ? r : change_compose(catalogue, verb, kept, STATE_REMOVED, err);
}

/* @reason: NULL: its time is over, or somebody removed it */
static int expire_one(struct catalogue *catalogue, struct verb *verb, int64_t id, int64_t now,
		      const char *reason, struct error *err)
{
	int64_t state = STATE_FAILED;
	int r = sql_number(catalogue->writer, "SELECT state FROM composes WHERE id = ?1",
			   VALUES(INTEGER(id)), &state, err);

	if (r >= 0)
		r = sql_run(
			catalogue->writer,
			"UPDATE composes SET state = 3, time_removed = ?2, "
			"time_to_expire = min(time_to_expire, ?2), state_reason = "
			"CASE WHEN state_reason <> '' THEN state_reason || char(10) ELSE '' END "
			"|| CASE WHEN ?3 IS NOT NULL THEN ?3 WHEN removed_by <> '' THEN 'Removed "
			"by ' || removed_by || '.' "
			"ELSE 'Compose is expired.' END WHERE id = ?1",
			VALUES(INTEGER(id), INTEGER(now), TEXT(reason)), err);
	if (r >= 0)
		r = sql_run(catalogue->writer,
			    "UPDATE requests SET time_removed = ?2 WHERE number = "
			    "(SELECT request FROM composes WHERE id = ?1) AND compose_id = ?1",
			    VALUES(INTEGER(id), INTEGER(now)), err);
	if (r >= 0)
		r = change_compose(catalogue, verb, id, (enum compose_state)state, err);
	return r < 0 ? r : expire_kept(catalogue, verb, id, err);
}

struct expire {
	int64_t now;
	int count;
};

static int expire_run(struct catalogue *catalogue, struct verb *verb, struct error *err)
{
	struct expire *expire = verb->arguments;
	int64_t due[SWEEP_ROWS_MAX];
	int r = sql_numbers(catalogue->writer,
			    "SELECT id FROM composes INDEXED BY composes_expiry "
			    "WHERE state IN (2, 4) AND time_to_expire <= ?1 "
			    "ORDER BY time_to_expire LIMIT ?2",
			    VALUES(INTEGER(expire->now), INTEGER(SWEEP_ROWS_MAX)), due,
			    SWEEP_ROWS_MAX, err);

	expire->count = r;
	for (int i = 0; i < expire->count && r >= 0; i++)
		r = expire_one(catalogue, verb, due[i], expire->now, NULL, err);
	return r;
}

int catalogue_expire(struct catalogue *catalogue, int64_t now, int64_t *ret_count,
		     struct error *err)
{
	struct expire expire = { .now = time_kept(now) };
	struct verb verb = { .run = expire_run, .arguments = &expire };
	int r = verb_write(catalogue, &verb, err);

	verb_done(&verb);
	if (r < 0)
		return r;
	*ret_count = expire.count;
	return 0;
}

static int lose_run(struct catalogue *catalogue, struct verb *verb, struct error *err)
{
	const struct step *step = verb->arguments;
	struct current current;
	int r = current_read(catalogue, step->id, 1u << STATE_DONE, &current, err);

	return r < 0 ? r
		     : expire_one(catalogue, verb, step->id, now_of(catalogue), step->words, err);
}

int catalogue_lose(struct catalogue *catalogue, int64_t id, const char *reason, struct error *err)
{
	_cleanup_(freep) char *words = text_clean(reason);
	struct step step = { .id = id, .words = words };
	struct verb verb = { .run = lose_run, .arguments = &step };

	return words ? step_write(catalogue, &verb, err) : error_oom(err);
}

int catalogue_next_expiry(struct catalogue *catalogue, int64_t *ret_time, struct error *err)
{
	struct connection *reader;
	int64_t next = INT64_MAX;
	int r = reader_get(catalogue, &reader, err);

	if (r < 0)
		return r;
	r = sql_number(reader,
		       "SELECT min(time_to_expire) FROM composes INDEXED BY composes_expiry "
		       "WHERE state IN (2, 4)",
		       NO_VALUES, &next, err);
	reader_put(catalogue, reader);
	if (r >= 0)
		*ret_time = next;
	return r;
}
