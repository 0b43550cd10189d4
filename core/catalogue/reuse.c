/* SPDX-License-Identifier: MIT */
/* core/catalogue/reuse.c: composes that show the tree of another one (odcs-api.md 5).
 *
 * A row that was resolved carries the digests of its question and of its inputs, and one index
 * finds those that have the same; spec_same_question() has the last word. A chain cannot come
 * about: who shows another's tree is no candidate, and a candidate is done or being made itself. */
#include "core/catalogue/internal.h"

#define CANDIDATES_MAX 16 /* of each kind: more are not worth the look */

/* ---- resolved ---------------------------------------------------------- */

struct resolve {
	int64_t id;
	const struct resolution *resolution;
	const char *question; /* NULL: never to be reused */
};

static int resolve_run(struct catalogue *catalogue, struct verb *verb, struct error *err)
{
	const struct resolve *resolve = verb->arguments;
	const struct resolution *resolution = resolve->resolution;
	struct current current;
	int r = current_read(catalogue, resolve->id, 1u << STATE_GENERATING, &current, err);

	if (r >= 0)
		r = sql_run(catalogue->writer,
			    "UPDATE composes SET state_reason = 'Compose is generating', "
			    "koji_event = coalesce(?2, koji_event), question = ?3, inputs = ?4 "
			    "WHERE id = ?1",
			    VALUES(INTEGER(resolve->id),
				   resolution->koji_event >= 0 ? INTEGER(resolution->koji_event)
							       : TEXT(NULL),
				   TEXT(resolve->question), TEXT(resolution->inputs)),
			    err);
	return r < 0 ? r : change_compose(catalogue, verb, resolve->id, current.state, err);
}

int catalogue_resolved(struct catalogue *catalogue, int64_t id, const struct spec *spec,
		       const struct resolution *resolution, struct error *err)
{
	char question[DIGEST_HEX_SIZE];
	bool reusable = spec_reusable(spec);
	struct resolve resolve = { .id = id,
				   .resolution = resolution,
				   .question = reusable ? question : NULL };
	struct verb verb = { .run = resolve_run, .arguments = &resolve };

	if (reusable && spec_question(spec, question) < 0)
		return error_oom(err);
	return step_write(catalogue, &verb, err);
}

/* ---- candidates -------------------------------------------------------- */

/* Equal inputs make most of the event rules true already; a tag may have the same content at a
 * later event, but nobody is given newer content than he asked for. */
#define CANDIDATES_SQL                                                                             \
	"SELECT c.id FROM composes c INDEXED BY composes_question "                                \
	"WHERE c.question IS NOT NULL AND c.reused_id = 0 AND c.state IN (1, 2) "                  \
	"AND c.question = ?2 AND c.inputs = ?3 AND c.id < ?1 "                                     \
	"AND c.respin_of IS (SELECT respin_of FROM composes WHERE id = ?1) "                       \
	"AND (c.koji_event = ?4 OR (c.source_type = 1 AND (?4 < 0 OR c.koji_event < ?4))) "

static const char *const candidates_sql[] = {
	CANDIDATES_SQL "AND c.state = 2 AND c.removed_by IS NULL AND c.time_to_expire > ?5 "
		       "ORDER BY c.id DESC LIMIT ?6",
	CANDIDATES_SQL "AND c.state = 1 AND c.state_reason = 'Compose is generating' "
		       "ORDER BY c.id LIMIT ?6",
};

struct candidates {
	const struct value *values;
	size_t value_count;
	struct row rows[ARRAY_SIZE(candidates_sql) * CANDIDATES_MAX];
	size_t count;
};

static void candidates_done(struct candidates *candidates)
{
	for (size_t i = 0; i < candidates->count; i++)
		row_done(&candidates->rows[i]);
}

/* Rows that are damaged are nobody's candidates. */
static int candidates_read(struct candidates *candidates, struct connection *reader,
			   struct error *err)
{
	for (size_t kind = 0; kind < ARRAY_SIZE(candidates_sql); kind++) {
		int64_t ids[CANDIDATES_MAX];
		int found = sql_numbers(reader, candidates_sql[kind], candidates->values,
					candidates->value_count, ids, CANDIDATES_MAX, err);

		if (found < 0)
			return found;
		for (int i = 0; i < found; i++) {
			int r = row_load(reader, ids[i], &candidates->rows[candidates->count], err);

			if (r >= 0)
				candidates->count++;
			else if (r != -EUCLEAN)
				return r;
		}
	}
	return 0;
}

/* The digest of @spec, and somebody who reads; 1, or 0: it is never reused. */
static int question_begin(struct catalogue *catalogue, const struct spec *spec,
			  char question[static DIGEST_HEX_SIZE], struct connection **ret,
			  struct error *err)
{
	int r;

	if (!spec_reusable(spec))
		return 0;
	if (spec_question(spec, question) < 0)
		return error_oom(err);
	r = reader_get(catalogue, ret, err);
	return r < 0 ? r : 1;
}

int catalogue_candidates(struct catalogue *catalogue, int64_t id, const struct spec *spec,
			 const struct resolution *resolution,
			 bool (*visit)(void *data, const struct compose *candidate), void *data,
			 struct error *err)
{
	_cleanup_(candidates_done) struct candidates found = { 0 };
	char question[DIGEST_HEX_SIZE];
	struct connection *reader;
	int r;

	r = question_begin(catalogue, spec, question, &reader, err);
	if (r <= 0)
		return r;
	const struct value values[] = { INTEGER(id),
					TEXT(question),
					TEXT(resolution->inputs),
					INTEGER(resolution->koji_event),
					INTEGER(now_of(catalogue)),
					INTEGER(CANDIDATES_MAX) };
	found.values = values;
	found.value_count = ARRAY_SIZE(values);
	r = candidates_read(&found, reader, err);
	reader_put(catalogue, reader);
	for (size_t i = 0; i < found.count && r >= 0; i++) {
		if (row_finish(&found.rows[i], NULL) < 0 ||
		    !spec_same_question(found.rows[i].compose->spec, spec))
			continue;
		if (visit(data, found.rows[i].compose))
			return 1;
	}
	return r < 0 ? r : 0;
}

int catalogue_known_event(struct catalogue *catalogue, const struct spec *spec, int64_t *ret,
			  struct error *err)
{
	char question[DIGEST_HEX_SIZE];
	struct connection *reader;
	int64_t event = -1;
	int r;

	*ret = -1;
	r = question_begin(catalogue, spec, question, &reader, err);
	if (r <= 0)
		return r;
	r = sql_number(
		reader,
		"SELECT max(koji_event) FROM composes INDEXED BY composes_question "
		"WHERE question IS NOT NULL AND reused_id = 0 AND state IN (1, 2) "
		"AND question = ?1 AND inputs IS NOT NULL AND (?3 < 0 OR koji_event <= ?3) "
		"AND (state = 1 OR (removed_by IS NULL AND time_to_expire > ?2))",
		VALUES(TEXT(question), INTEGER(now_of(catalogue)), INTEGER(spec->koji_event)),
		&event, err);
	reader_put(catalogue, reader);
	if (r >= 0)
		*ret = event;
	return r < 0 ? r : 0;
}

/* ---- reuse ------------------------------------------------------------- */

struct reuse {
	const int64_t *ids;
	size_t count;
	int64_t reused_id;
	int *results;
};

/* May compose @id show the tree of compose @reused_id? */
static int reuse_judge(struct catalogue *catalogue, int64_t id, int64_t reused_id,
		       struct current *ret, struct error *err)
{
	int64_t bad = 0;
	int r = current_read(catalogue, reused_id, 1u << STATE_DONE, ret, err);

	if (r >= 0)
		r = sql_number(catalogue->writer,
			       "SELECT 1 FROM composes WHERE id = ?1 "
			       "AND (removed_by IS NOT NULL OR reused_id > 0)",
			       VALUES(INTEGER(reused_id)), &bad, err);
	if (r < 0)
		return r;
	if (bad || ret->expires <= now_of(catalogue) || id <= reused_id)
		return error_set(err, -ESTALE, BLAME_REQUEST, NULL,
				 "compose %" PRId64 " cannot be reused any more", reused_id);
	return 0;
}

/* Would it be a step back for who follows its name? */
static int reuse_generation(struct catalogue *catalogue, int64_t id, int64_t reused_id,
			    struct error *err)
{
	_cleanup_(sql_donep) struct statement *statement = NULL;
	int r = sql_start(catalogue->writer,
			  "SELECT timestamp, manifest FROM composes WHERE id = ?1",
			  VALUES(INTEGER(reused_id)), &statement, err);
	struct damage damage;
	const char *manifest;
	int64_t timestamp;

	if (r >= 0)
		r = sql_next(statement, err);
	if (r <= 0)
		return r;
	damage = (struct damage){ .row = sql_row(statement) };
	timestamp = damage_number(&damage, 0, -1, INT64_MAX);
	manifest = damage_text(&damage, 1, false);
	r = damage_error(&damage, "compose", reused_id, err);
	if (r >= 0)
		r = generation_judge(catalogue->writer, id, timestamp, manifest, err);
	return r == -EAGAIN ? -ESTALE : r;
}

/* Both live until the later of their times (odcs-api.md 3.2). */
static int reuse_one(struct catalogue *catalogue, struct verb *verb, int64_t id, int64_t reused_id,
		     struct error *err)
{
	int64_t now = now_of(catalogue), expires;
	struct current current, reused;
	int r = current_read(catalogue, id, 1u << STATE_GENERATING, &current, err);

	if (r >= 0)
		r = reuse_judge(catalogue, id, reused_id, &reused, err);
	if (r >= 0)
		r = reuse_generation(catalogue, id, reused_id, err);
	if (r < 0)
		return r;
	expires = moved_expiry(&current, now);
	if (expires <= reused.expires) {
		expires = reused.expires;
	} else { /* told first: who hears that @id is done finds the other one as it is now */
		r = sql_run(catalogue->writer,
			    "UPDATE composes SET time_to_expire = ?2 WHERE id = ?1",
			    VALUES(INTEGER(reused_id), INTEGER(expires)), err);
		if (r >= 0)
			r = change_compose(catalogue, verb, reused_id, reused.state, err);
		if (r < 0)
			return r;
	}
	r = sql_run(
		catalogue->writer,
		"UPDATE composes SET state = 2, "
		"state_reason = 'Compose is generated successfully', time_done = ?3, "
		"time_to_expire = ?4, reused_id = ?2, question = NULL, inputs = NULL, "
		"(pungi_compose_id, koji_event, source, arches, sigkeys, manifest, "
		"packages_count, size_bytes, timestamp) = (SELECT pungi_compose_id, koji_event, "
		"source, arches, sigkeys, manifest, packages_count, size_bytes, timestamp "
		"FROM composes "
		"WHERE id = ?2) WHERE id = ?1",
		VALUES(INTEGER(id), INTEGER(reused_id), INTEGER(now), INTEGER(expires)), err);
	if (r >= 0)
		r = change_compose(catalogue, verb, id, current.state, err);
	return r < 0 ? r : 0;
}

static int reuse_run(struct catalogue *catalogue, struct verb *verb, struct error *err)
{
	const struct reuse *reuse = verb->arguments;

	for (size_t i = 0; i < reuse->count; i++) {
		int r = reuse_one(catalogue, verb, reuse->ids[i], reuse->reused_id, err);

		if (r < 0 && r != -ESTALE && r != -ENOENT)
			return r;
		reuse->results[i] = r;
	}
	return 0;
}

int catalogue_reuse_many(struct catalogue *catalogue, const int64_t *ids, size_t count,
			 int64_t reused_id, int *results, struct error *err)
{
	struct reuse reuse = {
		.ids = ids, .count = count, .reused_id = reused_id, .results = results
	};
	struct verb verb = { .run = reuse_run, .arguments = &reuse, .durable = true };

	return step_write(catalogue, &verb, err);
}

int catalogue_reuse(struct catalogue *catalogue, int64_t id, int64_t reused_id, struct error *err)
{
	int result = 0;
	int r = catalogue_reuse_many(catalogue, &id, 1, reused_id, &result, err);

	return r < 0 ? r : result;
}
