/* SPDX-License-Identifier: MIT */
/* core/catalogue/composes.c: the life of a compose, one transaction per step.
 *
 *   catalogue_submit
 *          ▼
 *        wait ──catalogue_claim──► generating ──catalogue_finish, _reuse──► done ──┐
 *        │  ▲                        │   │                                         │
 *        │  └─catalogue_requeue, _unclaim┘                                         │
 *        └─catalogue_cancel, _fail───────┴──► failed ───────catalogue_expire───────┴──► removed
 *
 * Reasons and times are those of ODCS 0.9.2 (odcs-api.md 3, 4). */
#include "core/catalogue/internal.h"

#define STATES(first, second) (1u << (first) | 1u << (second))

/* ---- what the steps share ---------------------------------------------- */

int current_read(struct catalogue *catalogue, int64_t id, unsigned int allowed, struct current *ret,
		 struct error *err)
{
	_cleanup_(sql_donep) struct statement *statement = NULL;
	struct damage damage, bad_times;
	int r;

	r = sql_start(catalogue->writer,
		      "SELECT state, time_submitted, time_to_expire FROM composes WHERE id = ?1",
		      VALUES(INTEGER(id)), &statement, err);
	if (r >= 0)
		r = sql_next(statement, err);
	if (r < 0)
		return r;
	if (r == 0)
		return error_set(err, -ENOENT, BLAME_REQUEST, NULL, "no compose %" PRId64, id);
	damage = (struct damage){ .row = sql_row(statement) };
	ret->state = (enum compose_state)damage_number(&damage, 0, STATE_WAIT, STATE_FAILED);
	bad_times = damage;
	ret->submitted = damage_number(&bad_times, 1, 0, TIME_LAST);
	ret->expires = damage_number(&bad_times, 2, 0, TIME_LAST);
	if (bad_times.column)
		ret->submitted = ret->expires = 0;
	r = damage_error(&damage, "compose", id, err);
	if (r < 0)
		return r;
	if (!(allowed & 1u << ret->state))
		return error_set(err, -ESTALE, BLAME_REQUEST, NULL,
				 "compose %" PRId64 " is in state %s", id, state_name(ret->state));
	return 0;
}

int64_t time_after(int64_t time, int64_t seconds)
{
	int64_t sum;

	return __builtin_add_overflow(time, seconds, &sum) ? TIME_LAST : time_kept(sum);
}

int64_t moved_expiry(const struct current *current, int64_t now)
{
	return time_after(now, current->expires > current->submitted
				       ? current->expires - current->submitted
				       : 0);
}

int step_write(struct catalogue *catalogue, struct verb *verb, struct error *err)
{
	int r = verb_write(catalogue, verb, err);

	verb_done(verb);
	return r < 0 ? r : 0;
}

/* ---- submit ------------------------------------------------------------ */

struct submit {
	const struct submission *submission;
	char *owner, *spec, *source, *sigkeys, *arches;
	char *party;		/* "UID OWNER" or "UID@CLIENT OWNER": who takes turns */
	struct spec *read_back; /* from what is kept, for the record */
	int64_t id;
};

static void submit_done(struct submit *submit)
{
	free(submit->owner);
	free(submit->party);
	free(submit->spec);
	free(submit->source);
	free(submit->sigkeys);
	free(submit->arches);
	spec_free(submit->read_back);
}

/* Without accounts everybody has one name: those who are known by their uid, or by where they are,
 * must not wait behind one flood. */
static char *party_make(const struct submission *submission, const char *owner)
{
	char *party = NULL;

	if (!owner ||
	    asprintf(&party, "%" PRIu32 "%s%s %s", submission->uid, submission->client ? "@" : "",
		     submission->client ? submission->client : "", owner) < 0)
		return NULL;
	return party;
}

/* What costs time is made before the queue, in the caller's own thread. */
static int submit_prepare(struct submit *submit, struct error *err)
{
	const struct submission *submission = submit->submission;
	json_t *json = spec_to_json(submission->spec);
	int r = json ? spec_from_json(json, &submit->read_back, err) : error_oom(err);

	submit->owner = text_clean(submission->owner);
	submit->party = party_make(submission, submit->owner);
	submit->spec = json ? json_dumps(json, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
	json_decref(json);
	if (r < 0) /* nothing is accepted that could not be read again */
		return error_prefix(err, "the request cannot be kept");
	submit->source = strings_join(&submission->spec->source, " ");
	submit->sigkeys = strings_join(&submission->spec->sigkeys, " ");
	submit->arches = strings_join(&submission->spec->arches, " ");
	if (!submit->owner || !submit->party || !submit->spec || !submit->source ||
	    !submit->sigkeys || !submit->arches)
		return error_oom(err);
	return 0;
}

static int submit_allowed(struct catalogue *catalogue, const struct submit *submit,
			  struct error *err)
{
	const struct submission *submission = submit->submission;
	int64_t compose_id = -1, live = 0;
	char suffix[LIMIT_SUFFIX_SIZE];
	int r;

	if (submission->request) {
		r = sql_number(catalogue->writer,
			       "SELECT compose_id FROM requests WHERE number = ?1",
			       VALUES(INTEGER(submission->request)), &compose_id, err);
		if (r < 0)
			return r;
		if (compose_id < 0)
			return error_set(err, -ENOENT, BLAME_REQUEST, NULL, "no request %" PRId64,
					 submission->request);
		if (compose_id > 0)
			return error_set(err, -EBUSY, BLAME_REQUEST, NULL,
					 "the request was accepted before, as compose %" PRId64,
					 compose_id);
	}
	if (submission->live_limit <= 0)
		return 0;
	r = sql_number(catalogue->writer,
		       "SELECT count(*) FROM (SELECT 1 FROM composes INDEXED BY composes_active "
		       "WHERE state < 3 AND state IN (0, 1, 2) AND owner = ?1 LIMIT ?2)",
		       VALUES(TEXT(submit->owner), INTEGER(submission->live_limit)), &live, err);
	if (r >= 0 && live >= submission->live_limit)
		r = error_set(err, -EDQUOT, BLAME_REQUEST, NULL,
			      "%s has %" PRId64 " composes that are not removed or failed%s",
			      submit->owner, live,
			      limit_suffix(submission->contact, "limits.live_composes_per_user",
					   submission->live_limit, suffix));
	return r;
}

static int submit_insert(struct catalogue *catalogue, struct submit *submit, struct error *err)
{
	const struct submission *submission = submit->submission;
	const struct spec *spec = submission->spec;
	int64_t now = now_of(catalogue);
	int r;

	r = sql_run(
		catalogue->writer,
		"INSERT INTO composes (request, owner, uid, gid, state, source_type, source, "
		"compose_type, label, time_submitted, time_to_expire, koji_event, respin_of, "
		"sigkeys, arches, lease, latest, party) "
		"VALUES (?1, ?2, ?3, ?4, 0, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, "
		"?16, ?17)",
		VALUES(INTEGER(submission->request), TEXT(submit->owner), INTEGER(submission->uid),
		       INTEGER(submission->gid), INTEGER(spec->source_type), TEXT(submit->source),
		       TEXT(spec->compose_type), TEXT(spec->label), INTEGER(now),
		       INTEGER(time_after(now, spec->seconds_to_live)), INTEGER(spec->koji_event),
		       TEXT(submission->respin_of), TEXT(submit->sigkeys), TEXT(submit->arches),
		       INTEGER(spec->lease), TEXT(spec->latest), TEXT(submit->party)),
		err);
	if (r < 0)
		return r;
	submit->id = sqlite3_last_insert_rowid(catalogue->writer->db);
	return sql_run(catalogue->writer,
		       "INSERT INTO specs (compose, spec, written) VALUES (?1, ?2, ?3)",
		       VALUES(INTEGER(submit->id), TEXT(submit->spec),
			      BLOB(submission->text, submission->text_length)),
		       err);
}

/* A directory "auto-ID"; when somebody took that name, "auto-ID.2" and so on. */
static int submit_directory(struct catalogue *catalogue, const struct submit *submit,
			    int64_t *ret_number, struct error *err)
{
	const struct submission *submission = submit->submission;
	char name[REQUEST_NAME_MAX + 1];
	int64_t taken = 1;
	int r;

	(void)snprintf(name, sizeof(name), "auto-%" PRId64, submit->id);
	for (int i = 2; taken; i++) {
		taken = 0;
		r = sql_number(catalogue->writer, "SELECT number FROM requests WHERE name = ?1",
			       VALUES(TEXT(name)), &taken, err);
		if (r < 0)
			return r;
		if (taken)
			(void)snprintf(name, sizeof(name), "auto-%" PRId64 ".%d", submit->id, i);
	}
	r = sql_run(catalogue->writer,
		    "INSERT INTO requests (name, owner, uid, gid, mode, time_created, compose_id) "
		    "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
		    VALUES(TEXT(name), TEXT(submit->owner), INTEGER(submission->uid),
			   INTEGER(submission->gid), INTEGER(0755), INTEGER(now_of(catalogue)),
			   INTEGER(submit->id)),
		    err);
	if (r < 0)
		return r;
	*ret_number = sqlite3_last_insert_rowid(catalogue->writer->db);
	return sql_run(catalogue->writer, "UPDATE composes SET request = ?2 WHERE id = ?1",
		       VALUES(INTEGER(submit->id), INTEGER(*ret_number)), err);
}

static int submit_run(struct catalogue *catalogue, struct verb *verb, struct error *err)
{
	struct submit *submit = verb->arguments;
	int64_t number = submit->submission->request;
	int r;

	r = submit_allowed(catalogue, submit, err);
	if (r >= 0)
		r = submit_insert(catalogue, submit, err);
	if (r < 0)
		return r;
	if (number) {
		r = sql_run(catalogue->writer,
			    "UPDATE requests SET compose_id = ?2 WHERE number = ?1",
			    VALUES(INTEGER(number), INTEGER(submit->id)), err);
	} else {
		r = submit_directory(catalogue, submit, &number, err);
		if (r >= 0)
			r = change_request(catalogue, verb, number, err);
	}
	if (r >= 0)
		r = change_compose(catalogue, verb, submit->id, STATE_DRAFT, err);
	if (r >= 0 && verb->change_count && verb->changes[verb->change_count - 1].row.compose)
		verb->changes[verb->change_count - 1].row.compose->spec = steal(submit->read_back);
	return r;
}

/* The record that the verb has loaded, as the caller's own. */
static int record_take(struct verb *verb, struct compose **ret, struct error *err)
{
	struct change *change = &verb->changes[verb->change_count - 1];
	int r = row_finish(&change->row, err);

	if (r < 0)
		return r;
	*ret = steal(change->row.compose);
	return 0;
}

int catalogue_submit(struct catalogue *catalogue, const struct submission *submission,
		     int64_t *ret_id, struct compose **ret, struct error *err)
{
	_cleanup_(submit_done) struct submit submit = { .submission = submission };
	_cleanup_(verb_done) struct verb verb = {
		.run = submit_run, .arguments = &submit, .durable = true, .wants_record = ret
	};
	int r = submit_prepare(&submit, err);

	if (r < 0)
		return r;
	r = verb_write(catalogue, &verb, err);
	if (r >= 0 && ret)
		r = record_take(&verb, ret, err);
	if (r < 0)
		return r;
	if (ret_id)
		*ret_id = submit.id;
	return 0;
}

/* ---- claim ------------------------------------------------------------- */

/* Turns are taken by party (submit_prepare()). Each with waiting composes is found, by his oldest,
 * by one step in the index, whatever their number. Of those with the fewest generating, the one
 * served longest ago comes first: by age alone, a flood that came before a polite client's only
 * compose would keep it waiting until the flood is done. */
#define WAITING_ROW "composes INDEXED BY composes_party WHERE state < 2 AND state = 0 "
#define CLAIM_SQL                                                                                  \
	"WITH RECURSIVE waiting (id) AS ("                                                         \
	"SELECT (SELECT id FROM " WAITING_ROW "ORDER BY party, id LIMIT 1) "                       \
	"UNION ALL "                                                                               \
	"SELECT (SELECT id FROM " WAITING_ROW                                                      \
	"AND party > known.party ORDER BY party, id LIMIT 1) "                                     \
	"FROM waiting JOIN composes AS known ON known.id = waiting.id) "                           \
	"SELECT oldest.id, "                                                                       \
	"(SELECT count(*) FROM composes INDEXED BY composes_party "                                \
	"WHERE state < 2 AND state = 1 AND party = oldest.party) AS generating, "                  \
	"(SELECT number FROM turns WHERE party = oldest.party) AS turn "                           \
	"FROM waiting JOIN composes AS oldest ON oldest.id = waiting.id "                          \
	"ORDER BY generating, turn, oldest.id LIMIT 1"
#define TURNS_MAX 1000 /* who was not among the last so many is as one who was never served */

/* A waiting row whose record cannot be read would be claimed again and again. */
static int claim_damaged(struct catalogue *catalogue, int64_t id, const char *words,
			 struct error *err)
{
	_cleanup_(freep) char *reason = text_clean(words);

	if (!reason)
		return error_oom(err);
	return sql_run(catalogue->writer,
		       "UPDATE composes SET state = 4, state_reason = ?2, time_to_expire = ?3 "
		       "WHERE id = ?1",
		       VALUES(INTEGER(id), TEXT(reason), INTEGER(now_of(catalogue))), err);
}

static int claim_start(struct catalogue *catalogue, const struct compose *compose,
		       struct error *err)
{
	int64_t now = now_of(catalogue);
	_cleanup_(freep) char *text =
		compose_id_text(compose->id, now, compose->spec->compose_type);
	int r;

	if (!text)
		return error_oom(err);
	r = sql_run(catalogue->writer,
		    "UPDATE composes SET state = 1, state_reason = 'Compose thread started', "
		    "time_started = ?2, pungi_compose_id = ?3 WHERE id = ?1",
		    VALUES(INTEGER(compose->id), INTEGER(now), TEXT(text)), err);
	if (r < 0)
		return r;
	r = sql_run(catalogue->writer,
		    "INSERT OR REPLACE INTO turns (party) SELECT party FROM composes WHERE id = ?1",
		    VALUES(INTEGER(compose->id)), err);
	if (r < 0)
		return r;
	return sql_run(catalogue->writer,
		       "DELETE FROM turns WHERE number <= (SELECT max(number) FROM turns) - ?1",
		       VALUES(INTEGER(TURNS_MAX)), err);
}

static int claim_run(struct catalogue *catalogue, struct verb *verb, struct error *err)
{
	struct step *step = verb->arguments;
	struct error words = { 0 };

	for (;;) {
		_cleanup_(row_done) struct row row = { 0 };
		int64_t id = 0;
		int r = sql_number(catalogue->writer, CLAIM_SQL, NO_VALUES, &id, err);

		step->number = id ? 1 : 0;
		if (r < 0 || !id)
			return r;
		r = row_load(catalogue->writer, id, &row, &words);
		if (r >= 0)
			r = row_finish(&row, &words);
		if (r >= 0) {
			r = claim_start(catalogue, row.compose, err);
			return r < 0 ? r : change_compose(catalogue, verb, id, STATE_WAIT, err);
		}
		if (r == -EUCLEAN)
			r = claim_damaged(catalogue, id, words.message, err);
		else if (err)
			*err = words;
		if (r < 0)
			return r;
	}
}

int catalogue_claim(struct catalogue *catalogue, struct compose **ret, struct error *err)
{
	struct step step = { 0 };
	_cleanup_(verb_done) struct verb verb = { .run = claim_run,
						  .arguments = &step,
						  .wants_record = true };
	int r = verb_write(catalogue, &verb, err);

	if (r < 0 || !step.number)
		return r < 0 ? r : 0;
	r = record_take(&verb, ret, err);
	return r < 0 ? r : 1;
}

/* ---- finish ------------------------------------------------------------ */

static int finish_run(struct catalogue *catalogue, struct verb *verb, struct error *err)
{
	const struct step *step = verb->arguments;
	const struct outcome *outcome = step->outcome;
	int64_t now = now_of(catalogue);
	struct current current;
	int r = current_read(catalogue, step->id, 1u << STATE_GENERATING, &current, err);

	if (r >= 0)
		r = generation_judge(catalogue->writer, step->id, outcome->timestamp,
				     outcome->manifest, err);
	if (r < 0)
		return r;
	r = sql_run(catalogue->writer,
		    "UPDATE composes SET state = 2, "
		    "state_reason = 'Compose is generated successfully', time_done = ?2, "
		    "time_to_expire = ?3, manifest = ?4, koji_event = coalesce(?5, koji_event), "
		    "source = coalesce(?6, source), arches = coalesce(?7, arches), "
		    "sigkeys = coalesce(?8, sigkeys), packages_count = ?9, size_bytes = ?10, "
		    "timestamp = ?11 "
		    "WHERE id = ?1",
		    VALUES(INTEGER(step->id), INTEGER(now), INTEGER(moved_expiry(&current, now)),
			   TEXT(outcome->manifest),
			   outcome->koji_event >= 0 ? INTEGER(outcome->koji_event) : TEXT(NULL),
			   TEXT(outcome->source), TEXT(outcome->arches), TEXT(outcome->sigkeys),
			   INTEGER(outcome->packages_count), INTEGER(outcome->size_bytes),
			   INTEGER(outcome->timestamp)),
		    err);
	return r < 0 ? r : change_compose(catalogue, verb, step->id, current.state, err);
}

int catalogue_finish(struct catalogue *catalogue, int64_t id, const struct outcome *outcome,
		     struct error *err)
{
	struct step step = { .id = id, .outcome = outcome };
	struct verb verb = { .run = finish_run, .arguments = &step, .durable = true };

	if (!outcome->manifest || !hex_is_digest(outcome->manifest) ||
	    outcome->packages_count < 0 || outcome->size_bytes < 0 || outcome->timestamp < 0)
		return error_set(err, -EINVAL, BLAME_US, "manifest",
				 "compose %" PRId64
				 ": a result without a manifest's digest or with "
				 "negative counts",
				 id);
	return step_write(catalogue, &verb, err);
}

/* ---- fail, cancel, requeue, delete ------------------------------------- */

static int fail_run(struct catalogue *catalogue, struct verb *verb, struct error *err)
{
	const struct step *step = verb->arguments;
	struct current current;
	int r = current_read(catalogue, step->id, STATES(STATE_WAIT, STATE_GENERATING), &current,
			     err);

	if (r < 0)
		return r;
	r = sql_run(catalogue->writer,
		    "UPDATE composes SET state = 4, state_reason = ?2, time_to_expire = ?3 "
		    "WHERE id = ?1",
		    VALUES(INTEGER(step->id), TEXT(step->words),
			   INTEGER(moved_expiry(&current, now_of(catalogue)))),
		    err);
	return r < 0 ? r : change_compose(catalogue, verb, step->id, current.state, err);
}

int catalogue_fail(struct catalogue *catalogue, int64_t id, const char *reason, struct error *err)
{
	_cleanup_(freep) char *words = text_clean(reason);
	struct step step = { .id = id, .words = words };
	struct verb verb = { .run = fail_run, .arguments = &step };

	return words ? step_write(catalogue, &verb, err) : error_oom(err);
}

int catalogue_cancel(struct catalogue *catalogue, int64_t id, const char *who, struct error *err)
{
	_cleanup_(text_done) struct text words = { 0 };

	if (text_addf(&words, "Canceled by %s", who) < 0)
		return error_oom(err);
	return catalogue_fail(catalogue, id, words.data, err);
}

/* What it was resolved to may not be true any more when it is taken up again. */
static int requeue_one(struct catalogue *catalogue, struct verb *verb, int64_t id,
		       struct error *err)
{
	int r = sql_run(catalogue->writer,
			"UPDATE composes SET state = 0, state_reason = NULL, time_started = 0, "
			"pungi_compose_id = NULL, question = NULL, inputs = NULL "
			"WHERE id = ?1",
			VALUES(INTEGER(id)), err);

	return r < 0 ? r : change_compose(catalogue, verb, id, STATE_GENERATING, err);
}

static int requeue_run(struct catalogue *catalogue, struct verb *verb, struct error *err)
{
	struct step *step = verb->arguments;

	for (step->number = 0;; step->number++) {
		int64_t id = 0;
		int r = sql_number(catalogue->writer,
				   "SELECT id FROM composes INDEXED BY composes_active "
				   "WHERE state < 3 AND state = 1 LIMIT 1",
				   NO_VALUES, &id, err);

		if (r < 0 || !id)
			return r;
		r = requeue_one(catalogue, verb, id, err);
		if (r < 0)
			return r;
	}
}

int catalogue_requeue(struct catalogue *catalogue, int64_t *ret_count, struct error *err)
{
	struct step step = { 0 };
	struct verb verb = { .run = requeue_run, .arguments = &step };
	int r = step_write(catalogue, &verb, err);

	if (r >= 0)
		*ret_count = step.number;
	return r;
}

static int unclaim_run(struct catalogue *catalogue, struct verb *verb, struct error *err)
{
	const struct step *step = verb->arguments;
	struct current current;
	int r = current_read(catalogue, step->id, 1u << STATE_GENERATING, &current, err);

	return r < 0 ? r : requeue_one(catalogue, verb, step->id, err);
}

int catalogue_unclaim(struct catalogue *catalogue, int64_t id, struct error *err)
{
	struct step step = { .id = id };
	struct verb verb = { .run = unclaim_run, .arguments = &step };

	return step_write(catalogue, &verb, err);
}

static int delete_run(struct catalogue *catalogue, struct verb *verb, struct error *err)
{
	const struct step *step = verb->arguments;
	struct current current;
	int r = current_read(catalogue, step->id, STATES(STATE_DONE, STATE_FAILED), &current, err);

	if (r < 0)
		return r;
	r = sql_run(catalogue->writer,
		    "UPDATE composes SET time_to_expire = ?2, removed_by = ?3 WHERE id = ?1",
		    VALUES(INTEGER(step->id), INTEGER(now_of(catalogue)), TEXT(step->words)), err);
	return r < 0 ? r : change_compose(catalogue, verb, step->id, current.state, err);
}

int catalogue_delete(struct catalogue *catalogue, int64_t id, const char *who, struct error *err)
{
	_cleanup_(freep) char *words = text_clean(who);
	struct step step = { .id = id, .words = words };
	struct verb verb = { .run = delete_run, .arguments = &step };

	return words ? step_write(catalogue, &verb, err) : error_oom(err);
}
