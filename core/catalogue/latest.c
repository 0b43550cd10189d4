/* SPDX-License-Identifier: MIT */
/* core/catalogue/latest.c: composes that one owner gave one name: generations.
 *
 * The timestamp in their repodata grows from one to the next: who follows the name sees a change in
 * nothing else (koji.md 8). Two with one timestamp have one content. Removed ones count: what was
 * seen of them is not forgotten elsewhere. */
#include "core/catalogue/internal.h"

#define NEWEST(what_)                                                                              \
	"SELECT " what_ " FROM composes l INDEXED BY composes_latest WHERE l.latest IS NOT NULL "  \
	"AND l.timestamp >= 0 AND l.owner = ?1 AND l.latest = ?2 "                                 \
	"ORDER BY l.timestamp DESC, l.id DESC LIMIT 1"

int generation_newest(struct connection *connection, const char *owner, const char *latest,
		      struct generation *ret, struct error *err)
{
	_cleanup_(sql_donep) struct statement *statement = NULL;
	struct damage damage;
	const char *manifest;
	int r = sql_start(connection, NEWEST("l.timestamp, l.manifest"),
			  VALUES(TEXT(owner), TEXT(latest)), &statement, err);

	*ret = (struct generation){ 0 };
	if (r >= 0)
		r = sql_next(statement, err);
	if (r <= 0)
		return r;
	damage = (struct damage){ .row = sql_row(statement) };
	ret->timestamp = damage_number(&damage, 0, 0, INT64_MAX);
	manifest = damage_text(&damage, 1, false);
	r = damage_error(&damage, "the newest of a latest-… name", 0, err);
	if (r >= 0)
		(void)snprintf(ret->manifest, sizeof(ret->manifest), "%s", manifest);
	return r;
}

int generation_judge(struct connection *connection, int64_t id, int64_t timestamp,
		     const char *manifest, struct error *err)
{
	_cleanup_(sql_donep) struct statement *statement = NULL;
	_cleanup_(freep) char *owner = NULL, *latest = NULL;
	struct generation newest;
	struct damage damage;
	int r = sql_start(connection, "SELECT owner, latest FROM composes WHERE id = ?1",
			  VALUES(INTEGER(id)), &statement, err);

	if (r >= 0)
		r = sql_next(statement, err);
	if (r <= 0)
		return r;
	damage = (struct damage){ .row = sql_row(statement) };
	owner = damage_copy(&damage, 0, false);
	latest = damage_copy(&damage, 1, true);
	r = damage_error(&damage, "compose", id, err);
	if (r < 0 || !latest)
		return r;
	r = generation_newest(connection, owner, latest, &newest, err);
	if (r < 0)
		return r;
	if (timestamp < 0 || (newest.manifest[0] && timestamp <= newest.timestamp &&
			      strcmp(manifest, newest.manifest) != 0))
		return error_set(err, -EAGAIN, BLAME_REQUEST, "latest",
				 "its repodata is not later than that which latest-%s-%s leads to",
				 owner, latest);
	return 0;
}

int catalogue_generation(struct catalogue *catalogue, const char *owner, const char *latest,
			 struct generation *ret, struct error *err)
{
	struct connection *reader;
	int r = reader_get(catalogue, &reader, err);

	if (r < 0)
		return r;
	r = generation_newest(reader, owner, latest, ret, err);
	reader_put(catalogue, reader);
	return r < 0 ? r : 0;
}

int catalogue_latest(struct catalogue *catalogue, const char *owner, const char *latest,
		     int64_t *ret_ids, int room, struct error *err)
{
	struct connection *reader;
	int64_t newest = -1;
	int r = reader_get(catalogue, &reader, err), count = 0;

	if (r < 0)
		return r;
	/* the newest generation is there, if only by an equal compose: else the name leads nowhere
	 */
	r = sql_number(reader,
		       "SELECT c.id FROM composes c INDEXED BY composes_latest "
		       "WHERE c.latest IS NOT NULL AND c.timestamp >= 0 AND c.owner = ?1 "
		       "AND c.latest = ?2 AND c.state = 2 "
		       "AND c.timestamp = (" NEWEST("l.timestamp") ") ORDER BY c.id DESC LIMIT 1",
		       VALUES(TEXT(owner), TEXT(latest)), &newest, err);
	if (r >= 0 && newest > 0)
		r = count = sql_numbers(
			reader,
			"SELECT max(id) FROM composes INDEXED BY composes_latest "
			"WHERE latest IS NOT NULL AND timestamp >= 0 AND owner = ?1 "
			"AND latest = ?2 AND state = 2 GROUP BY timestamp "
			"ORDER BY timestamp DESC LIMIT ?3",
			VALUES(TEXT(owner), TEXT(latest), INTEGER(room)), ret_ids, room, err);
	reader_put(catalogue, reader);
	return r < 0 ? r : count;
}
