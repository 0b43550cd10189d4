/* SPDX-License-Identifier: MIT */
/* core/daemon/reuse.c: is there a compose that is the same? Then another one needs not be made.
 *
 * A worker that has resolved its job waits for our word. A done compose of the same question and
 * inputs is looked at by the worker, since the files of its sources may hang: we must not. One that
 * is being made is joined: the new one waits without a worker, in memory only, and shares its end
 * unless that end says nothing about the question. Two that are taken up at once decide in the
 * order of their numbers. architecture.md, Reuse, draws it.
 *
 * A question that has killed several workers while others waited for its answer is not tried by
 * each of those in turn: they share the failure. Who asks later tries again. */
#include "core/daemon/scheduler.h"

#define REUSE_AT_ONCE 64 /* rows of one commit */
#define AWAIT_MS 10000	 /* for an older one to say what becomes of it */
#define LOSSES_MAX 3	 /* workers that died of one question */
#define LOSSES_KEPT 64	 /* questions; the oldest is forgotten */

/**
 * struct joined - a generating compose that waits for another one
 * @step: what is to be written once the other one has ended */
struct joined {
	struct joined *next;
	int64_t id, other;
	uint32_t uid, gid;
	bool trusted;
	enum { STEP_WAIT, STEP_REUSE, STEP_UNCLAIM, STEP_OVER } step;
};

/**
 * struct loss - a question whose worker died while others waited for the answer
 * @key: of the question, the inputs and the rights to them
 * @last: the youngest compose that has waited */
struct loss {
	struct loss *next;
	char key[DIGEST_HEX_SIZE];
	unsigned int count;
	int64_t last;
	char *reason;
};

static struct catalogue *catalogue_of(const struct scheduler *scheduler)
{
	return scheduler->options->store->catalogue;
}

/* ---- words ----------------------------------------------------------------- */

/* A line in the log of a compose that has no slot. */
static void log_late(struct scheduler *scheduler, int64_t id, const char *text)
{
	struct error err = { 0 };
	struct slot none = { .log_fd = tree_store_log_open(scheduler->options->store->trees, id,
							   true, &err) };

	log_line(&none, text);
	closep(&none.log_fd);
	progressed(scheduler, id);
}

static void say_waiting(struct scheduler *scheduler, int64_t id, const char *text)
{
	struct progress now = { .total = 1, .phase = "reuse" };

	(void)snprintf(now.text, sizeof(now.text), "%s", text);
	catalogue_progress_set(catalogue_of(scheduler), id, &now);
	progressed(scheduler, id);
}

static void done_words(int64_t other, char *ret, size_t size)
{
	(void)snprintf(ret, size, "compose %" PRId64 " is the same: its tree is shown", other);
}

/* ---- the answer to the worker ---------------------------------------------- */

static int answer(struct slot *slot, enum pipe_type type)
{
	return child_send(slot->child,
			  &(struct message){ .type = type, .id = atomic_load(&slot->job) });
}

/* The row says already what became of it. */
static int stop_job(struct scheduler *scheduler, struct slot *slot)
{
	int r = answer(slot, PIPE_STOP);

	job_over(scheduler, slot);
	return r;
}

static int stop_cancelled(struct scheduler *scheduler, struct slot *slot)
{
	reuse_settle(scheduler, slot, ENDING_LOST, NULL);
	return stop_job(scheduler, slot);
}

static int ask_worker(struct slot *slot, const struct compose *candidate)
{
	struct message message = { .type = PIPE_CHECK, .id = atomic_load(&slot->job) };

	(void)snprintf(message.manifest, sizeof(message.manifest), "%s", candidate->manifest);
	slot->phase = PHASE_CHECK;
	slot->candidate = candidate->id;
	return child_send(slot->child, &message);
}

/* Nobody else: it is made here. That it could not be written down hurts nothing but those who would
 * join it. */
static int make(struct scheduler *scheduler, struct slot *slot)
{
	int64_t id = atomic_load(&slot->job);
	struct error err = { 0 };
	int r = catalogue_resolved(catalogue_of(scheduler), id, slot->work->spec, &slot->resolution,
				   &err);

	if (r == -ESTALE) /* cancelled meanwhile */
		return stop_cancelled(scheduler, slot);
	if (r < 0)
		log_warning("compose %" PRId64 ": %s", id, err.message);
	slot->phase = PHASE_MAKE;
	if (slot->asked) {
		free(slot->source);
		slot->source = steal(slot->asked);
	}
	return answer(slot, PIPE_GO);
}

static int join(struct scheduler *scheduler, struct slot *slot, int64_t other)
{
	struct joined *joined = calloc(1, sizeof(*joined)), **end = &scheduler->joined;
	char words[96];

	if (!joined)
		return make(scheduler, slot);
	*joined = (struct joined){
		.id = atomic_load(&slot->job),
		.other = other,
		.uid = slot->work->uid,
		.gid = slot->work->gid,
		.trusted = slot->work->trusted,
	};
	while (*end) /* oldest first: who is put back first is taken up first */
		end = &(*end)->next;
	*end = joined;
	(void)snprintf(words, sizeof(words), "waits for compose %" PRId64, other);
	log_line(slot, words);
	say_waiting(scheduler, joined->id, words);
	return stop_job(scheduler, slot);
}

/* ---- workers that died of it ------------------------------------------------ */

static bool loss_key(const struct slot *slot, char ret[static DIGEST_HEX_SIZE])
{
	const struct job *job = slot->work;
	char question[DIGEST_HEX_SIZE], words[3 * DIGEST_HEX_SIZE];

	if (!job || !spec_reusable(job->spec) || spec_question(job->spec, question) < 0)
		return false;
	(void)snprintf(words, sizeof(words), "%s %s %d %" PRIu32 " %" PRIu32, question,
		       slot->resolution.inputs, job->trusted, job->trusted ? 0 : job->uid,
		       job->trusted ? 0 : job->gid);
	sha256_hex(words, strlen(words), ret);
	return true;
}

static struct loss **loss_place(struct scheduler *scheduler, const char *key)
{
	struct loss **place = &scheduler->losses;

	while (*place && strcmp((*place)->key, key) != 0)
		place = &(*place)->next;
	return place;
}

static void loss_drop(struct loss **place)
{
	struct loss *loss = *place;

	if (!loss)
		return;
	*place = loss->next;
	free(loss->reason);
	free(loss);
}

static struct loss *loss_new(struct scheduler *scheduler, const char *key)
{
	struct loss *loss = calloc(1, sizeof(*loss)), **place = &scheduler->losses;

	if (!loss)
		return NULL;
	(void)snprintf(loss->key, sizeof(loss->key), "%s", key);
	loss->next = scheduler->losses;
	scheduler->losses = loss;
	for (size_t i = 0; *place && i < LOSSES_KEPT; i++)
		place = &(*place)->next;
	loss_drop(place);
	return loss;
}

/* The youngest that waits for @id; 0: nobody does */
static int64_t last_joined(const struct scheduler *scheduler, int64_t id)
{
	int64_t last = 0;

	for (const struct joined *joined = scheduler->joined; joined; joined = joined->next)
		if (joined->other == id && joined->step == STEP_WAIT && joined->id > last)
			last = joined->id;
	return last;
}

/* One more worker has died: what does that say to those who wait? */
static enum ending loss_count(struct scheduler *scheduler, const struct slot *slot,
			      const char *reason)
{
	int64_t last = last_joined(scheduler, atomic_load(&slot->job));
	char key[DIGEST_HEX_SIZE];
	struct loss *loss;

	if (!reason || slot->phase != PHASE_MAKE || !loss_key(slot, key))
		return ENDING_LOST;
	loss = *loss_place(scheduler, key);
	if (!loss && last)
		loss = loss_new(scheduler, key);
	if (!loss)
		return ENDING_LOST;
	loss->last = last > loss->last ? last : loss->last;
	free(loss->reason);
	loss->reason = strdup(reason);
	return ++loss->count < LOSSES_MAX ? ENDING_LOST : ENDING_FAILED;
}

/* Why a compose that has waited before is not tried again, or NULL */
static const char *loss_reason(struct scheduler *scheduler, const struct slot *slot)
{
	char key[DIGEST_HEX_SIZE];
	const struct loss *loss = loss_key(slot, key) ? *loss_place(scheduler, key) : NULL;

	return loss && loss->count >= LOSSES_MAX && atomic_load(&slot->job) <= loss->last
		       ? loss->reason
		       : NULL;
}

static int give_up(struct scheduler *scheduler, struct slot *slot, const char *reason)
{
	int64_t id = atomic_load(&slot->job);

	log_line(slot, reason);
	job_over(scheduler, slot); /* first: the news of this failure is no cancellation of a job */
	fail_compose(scheduler, id, reason);
	return child_send(slot->child, &(struct message){ .type = PIPE_STOP, .id = id });
}

/* ---- candidates ------------------------------------------------------------ */

struct look {
	struct scheduler *scheduler;
	const struct slot *slot;
	struct compose *found;
};

static bool was_refused(const struct slot *slot, int64_t id)
{
	for (size_t i = 0; i < slot->refused_count; i++)
		if (slot->refused[i] == id)
			return true;
	return false;
}

/* Is it really being made? Its row may say so although its failure is owed still. */
static bool is_under_way(struct scheduler *scheduler, int64_t id)
{
	for (size_t i = 0; i < scheduler->slots; i++) {
		struct slot *slot = &scheduler->slot[i];

		if (atomic_load(&slot->job) == id)
			return slot->phase == PHASE_MAKE && !is_cancelled(slot);
	}
	return false;
}

static bool look_at(void *data, const struct compose *candidate)
{
	struct look *look = data;
	struct error err = { 0 };

	if (was_refused(look->slot, candidate->id) ||
	    (candidate->state == STATE_DONE ? !candidate->manifest
					    : !is_under_way(look->scheduler, candidate->id)))
		return false;
	(void)compose_copy(candidate, &look->found, &err);
	return true;
}

static bool has_joined(const struct scheduler *scheduler, int64_t id)
{
	for (const struct joined *joined = scheduler->joined; joined; joined = joined->next)
		if (joined->other == id)
			return true;
	return false;
}

/* An older compose that asks the same has not yet said whether it is made. Only older ones can be
 * joined: who went ahead of it would leave two to be made. One that hangs is not waited for. */
static bool awaits_older(struct scheduler *scheduler, struct slot *slot)
{
	int64_t id = atomic_load(&slot->job);

	if (!spec_reusable(slot->work->spec))
		return false;
	if (slot->phase != PHASE_AWAIT)
		slot->await_ms = time_monotonic_ms() + AWAIT_MS;
	for (size_t i = 0; i < scheduler->slots; i++) {
		struct slot *other = &scheduler->slot[i];
		int64_t job = atomic_load(&other->job);

		if (job && job < id && other->work && other->phase != PHASE_MAKE &&
		    !is_cancelled(other) && time_monotonic_ms() < slot->await_ms &&
		    spec_same_question(other->work->spec, slot->work->spec))
			return true;
	}
	return false;
}

/* The next candidate, or none. A compose that is made once more while others wait for it is made.
 */
static int go_on(struct scheduler *scheduler, struct slot *slot)
{
	struct look look = { .scheduler = scheduler, .slot = slot };
	int64_t id = atomic_load(&slot->job);
	_cleanup_(compose_freep) struct compose *found = NULL;
	struct error err = { 0 };

	if (slot->refused_count < REFUSED_MAX && !has_joined(scheduler, id) &&
	    catalogue_candidates(catalogue_of(scheduler), id, slot->work->spec, &slot->resolution,
				 look_at, &look, &err) < 0)
		log_warning("compose %" PRId64 ": %s", id, err.message);
	found = look.found;
	if (!found) {
		const char *reason =
			has_joined(scheduler, id) ? NULL : loss_reason(scheduler, slot);

		if (!reason && !has_joined(scheduler, id) && awaits_older(scheduler, slot)) {
			slot->phase = PHASE_AWAIT;
			return 0;
		}
		return reason ? give_up(scheduler, slot, reason) : make(scheduler, slot);
	}
	return found->state == STATE_DONE ? ask_worker(slot, found)
					  : join(scheduler, slot, found->id);
}

int reuse_resolved(struct scheduler *scheduler, struct slot *slot,
		   const struct resolution *resolution)
{
	if (slot->phase != PHASE_RESOLVE)
		return -EBADMSG;
	/* made once more, and the source has changed: who waits asked for something else */
	if ((slot->retried || slot->overtaken) &&
	    strcmp(slot->resolution.inputs, resolution->inputs) != 0)
		reuse_settle(scheduler, slot, ENDING_LOST, NULL);
	slot->resolution = *resolution;
	return go_on(scheduler, slot);
}

int reuse_again(struct scheduler *scheduler, struct slot *slot)
{
	return atomic_load(&slot->job) && slot->phase == PHASE_AWAIT &&
			       !awaits_older(scheduler, slot)
		       ? go_on(scheduler, slot)
		       : 0;
}

static void refuse(struct slot *slot, const char *words)
{
	_cleanup_(text_done) struct text line = { 0 };

	slot->refused[slot->refused_count++] = slot->candidate;
	(void)text_addf(&line, "compose %" PRId64 " would be the same, but cannot be reused: %s",
			slot->candidate, words);
	if (!line.failed)
		log_line(slot, line.data);
}

int reuse_checked(struct scheduler *scheduler, struct slot *slot, bool sound, const char *words)
{
	struct error err = { 0 };
	char line[96];
	int r;

	if (slot->phase != PHASE_CHECK)
		return -EBADMSG;
	if (!sound) {
		refuse(slot, words);
		return go_on(scheduler, slot);
	}
	r = catalogue_reuse(catalogue_of(scheduler), atomic_load(&slot->job), slot->candidate,
			    &err);
	if (r < 0 && no_longer_wanted(scheduler, atomic_load(&slot->job)))
		return stop_cancelled(scheduler, slot);
	if (r < 0) {
		refuse(slot, err.message);
		return go_on(scheduler, slot);
	}
	done_words(slot->candidate, line, sizeof(line));
	log_line(slot, line);
	return stop_job(scheduler, slot);
}

/* ---- who waits --------------------------------------------------------------- */

static bool same_rights(const struct joined *joined, const struct job *job)
{
	return joined->trusted == job->trusted &&
	       (joined->trusted || (joined->uid == job->uid && joined->gid == job->gid));
}

static void share_failure(struct scheduler *scheduler, struct joined *joined, const char *reason)
{
	if (!no_longer_wanted(scheduler, joined->id)) {
		log_late(scheduler, joined->id, reason);
		fail_compose(scheduler, joined->id, reason);
	}
	free(joined);
}

void reuse_settle(struct scheduler *scheduler, struct slot *slot, enum ending ending,
		  const char *reason)
{
	int64_t other = atomic_load(&slot->job);
	struct joined **place = &scheduler->joined;
	char key[DIGEST_HEX_SIZE];

	if (ending == ENDING_LOST)
		ending = loss_count(scheduler, slot, reason);
	else if (ending == ENDING_DONE && loss_key(slot, key))
		loss_drop(loss_place(scheduler, key));
	while (*place) {
		struct joined *joined = *place;

		if (joined->other == other && joined->step == STEP_WAIT) {
			if (ending == ENDING_FAILED && same_rights(joined, slot->work)) {
				*place = joined->next;
				share_failure(scheduler, joined, reason);
				continue;
			}
			joined->step = ending == ENDING_DONE ? STEP_REUSE : STEP_UNCLAIM;
			scheduler->joined_ms = time_monotonic_ms();
		}
		place = &joined->next;
	}
	reuse_pay(scheduler);
}

/* All that wait for @other in few commits: each waits for the disk. What cannot be reused is to be
 * taken up anew. */
static int pay_reuse(struct scheduler *scheduler, int64_t other, struct error *err)
{
	struct joined *due[REUSE_AT_ONCE], **end = due;
	int64_t ids[REUSE_AT_ONCE];
	int results[REUSE_AT_ONCE], r;
	char words[96];

	for (struct joined *at = scheduler->joined; at && end < due + REUSE_AT_ONCE; at = at->next)
		if (at->step == STEP_REUSE && at->other == other) {
			ids[end - due] = at->id;
			*end++ = at;
		}
	r = catalogue_reuse_many(catalogue_of(scheduler), ids, (size_t)(end - due), other, results,
				 err);
	if (r < 0)
		return r;
	done_words(other, words, sizeof(words));
	for (size_t i = 0; i < (size_t)(end - due); i++) {
		due[i]->step = results[i] < 0 ? STEP_UNCLAIM : STEP_OVER;
		if (results[i] >= 0)
			log_late(scheduler, due[i]->id, words);
	}
	return 0;
}

static int pay_unclaim(struct scheduler *scheduler, struct joined *joined, struct error *err)
{
	char words[96];
	int r = catalogue_unclaim(catalogue_of(scheduler), joined->id, err);

	if (r < 0 && r != -ESTALE) /* cancelled: over already */
		return r;
	if (r >= 0) {
		(void)snprintf(words, sizeof(words),
			       "compose %" PRId64 " cannot be waited for any more", joined->other);
		log_late(scheduler, joined->id, words);
	}
	joined->step = STEP_OVER;
	return 0;
}

static int pay(struct scheduler *scheduler)
{
	struct joined **place = &scheduler->joined;
	struct error err = { 0 };
	int r = 0;

	while (*place) {
		struct joined *joined = *place;

		if (joined->step == STEP_REUSE && r >= 0)
			r = pay_reuse(scheduler, joined->other, &err);
		if (joined->step == STEP_UNCLAIM && r >= 0)
			r = pay_unclaim(scheduler, joined, &err);
		if (joined->step == STEP_OVER) {
			*place = joined->next;
			free(joined);
		} else {
			place = &joined->next;
		}
	}
	if (r < 0)
		log_error("composes that wait for another one: %s", err.message);
	return r;
}

void reuse_pay(struct scheduler *scheduler)
{
	if (!scheduler->joined_ms || time_monotonic_ms() < scheduler->joined_ms)
		return;
	scheduler->joined_ms = pay(scheduler) < 0 ? time_monotonic_ms() + OWED_MS : 0;
}

void reuse_free(struct scheduler *scheduler)
{
	while (scheduler->joined) {
		struct joined *joined = scheduler->joined;

		scheduler->joined = joined->next;
		free(joined);
	}
	while (scheduler->losses)
		loss_drop(&scheduler->losses);
}
