/* SPDX-License-Identifier: MIT */
/* core/catalogue/lease.c: who reads a tree keeps those that show it.
 *
 * All of them live until the latest time that any of them is owed, as a renewal of one renews the
 * others. What nothing would be changed by is found out by a reader, without a transaction. */
#include "core/catalogue/internal.h"

/* Those that show tree ?1 and may live on. A deleted one ends as its client was told. */
#define SHOWING                                                                                    \
	"SELECT id, time_to_expire, CASE WHEN lease < 0 THEN ?3 ELSE lease END AS seconds, "       \
	"time_done + ?4 AS most FROM composes WHERE id = ?1 AND state = 2 "                        \
	"AND removed_by IS NULL UNION ALL "                                                        \
	"SELECT id, time_to_expire, CASE WHEN lease < 0 THEN ?3 ELSE lease END, "                  \
	"time_done + ?4 FROM composes INDEXED BY composes_reused "                                 \
	"WHERE reused_id > 0 AND reused_id = ?1 AND state = 2 AND removed_by IS NULL"

/* Until when; no row when all of them live so long already, or none has a lease. */
#define UNTIL_SQL                                                                                  \
	"WITH showing AS (" SHOWING ") SELECT until FROM "                                         \
	"(SELECT max(min(?2 + seconds, most)) AS until FROM showing WHERE seconds > 0) "           \
	"WHERE until > (SELECT min(time_to_expire) FROM showing) "                                 \
	"AND (SELECT min(time_to_expire) FROM showing) <= ?5"

struct leasing {
	const struct lease *leases;
	size_t count;
	const struct lease_terms *terms;
};

static int until_read(struct connection *connection, const struct leasing *leasing, size_t i,
		      int64_t *ret, struct error *err)
{
	const struct lease *lease = &leasing->leases[i];
	const struct lease_terms *terms = leasing->terms;
	int r;

	*ret = 0;
	r = sql_number(connection, UNTIL_SQL,
		       VALUES(INTEGER(lease->id), INTEGER(lease->time_read),
			      INTEGER(terms->seconds), INTEGER(terms->most),
			      INTEGER(terms->expiring)),
		       ret, err);
	*ret = *ret > TIME_LAST ? TIME_LAST : *ret;
	return r;
}

static int live_until(struct catalogue *catalogue, struct verb *verb, int64_t id, int64_t until,
		      struct error *err)
{
	int64_t ids[SWEEP_ROWS_MAX];
	int count, r;

	do {
		count = sql_numbers(catalogue->writer,
				    "WITH showing AS (" SHOWING ") SELECT id FROM showing "
				    "WHERE time_to_expire < ?2 LIMIT ?5",
				    VALUES(INTEGER(id), INTEGER(until), INTEGER(0), INTEGER(0),
					   INTEGER(SWEEP_ROWS_MAX)),
				    ids, SWEEP_ROWS_MAX, err);
		for (int i = 0; i < count; i++) {
			r = sql_run(catalogue->writer,
				    "UPDATE composes SET time_to_expire = ?2 WHERE id = ?1",
				    VALUES(INTEGER(ids[i]), INTEGER(until)), err);
			if (r >= 0)
				r = change_compose(catalogue, verb, ids[i], STATE_DONE, err);
			if (r < 0)
				return r;
		}
	} while (count == SWEEP_ROWS_MAX);
	return count;
}

static int lease_run(struct catalogue *catalogue, struct verb *verb, struct error *err)
{
	const struct leasing *leasing = verb->arguments;
	int64_t until;
	int r = 0;

	for (size_t i = 0; i < leasing->count && r >= 0; i++) {
		r = until_read(catalogue->writer, leasing, i, &until, err);
		if (r >= 0 && until)
			r = live_until(catalogue, verb, leasing->leases[i].id, until, err);
	}
	return r;
}

/* 1: some time would move */
static int is_owed(struct catalogue *catalogue, const struct leasing *leasing, struct error *err)
{
	struct connection *reader;
	int64_t until = 0;
	int r = reader_get(catalogue, &reader, err);

	if (r < 0)
		return r;
	for (size_t i = 0; i < leasing->count && r >= 0 && !until; i++)
		r = until_read(reader, leasing, i, &until, err);
	reader_put(catalogue, reader);
	return r < 0 ? r : until != 0;
}

int catalogue_lease(struct catalogue *catalogue, const struct lease *leases, size_t count,
		    const struct lease_terms *terms, struct error *err)
{
	struct leasing leasing = { .leases = leases, .count = count, .terms = terms };
	struct verb verb = { .run = lease_run, .arguments = &leasing };
	int r = is_owed(catalogue, &leasing, err);

	return r <= 0 ? r : step_write(catalogue, &verb, err);
}
