/* SPDX-License-Identifier: MIT */
/* core/daemon/scheduler.c: waiting rows to idle workers, and what becomes of them.
 *
 * One thread owns every child. A compose ends in exactly one way: the worker's result is checked
 * and published, the worker says why not, or the worker dies, is too slow or too hungry, and the
 * compose fails with those words; or another compose turns out to be the same (reuse.c). A dead
 * worker is replaced; one that dies at once is replaced more and more slowly. The store's lock is
 * held from the check of a result to its row, so that a sweep cannot take away a file that the
 * result relies on. */
#include "core/daemon/scheduler.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define WATCH_INTERVAL_MS 50  /* between looks at memory and time of busy workers */
#define IDLE_INTERVAL_MS 2000 /* and at the memory of idle ones */
#define RESPAWN_MIN_MS 50
#define RESPAWN_MAX_MS 10000
#define RESPAWN_SAID_MS 1000
#define STEADY_MS 2000	  /* a worker that lived that long starts anew with RESPAWN_MIN_MS */
#define READY_MS 30000	  /* from a worker's start to its first word */
#define END_MS 1000	  /* from SIGKILL to its end; else it is taken to hang in the kernel */
#define CORPSES_MS 250	  /* between looks at those that hang */
#define TURN_MESSAGES 256 /* of one worker; then it is the turn of the others */
#define TURN_MS 20
#define LOG_MAX_BYTES (4 << 20) /* that a worker may say of one compose */

static void kick(struct scheduler *scheduler)
{
	uint64_t one = 1;

	(void)!write(scheduler->event_fd, &one, sizeof(one));
}

void scheduler_changed(void *data, const struct catalogue_event *event)
{
	struct scheduler *scheduler = data;

	if (event->request_only)
		return;
	if (event->compose->state == STATE_WAIT) {
		atomic_store(&scheduler->work, true);
		kick(scheduler);
	}
	if (event->compose->state != STATE_FAILED || event->old_state != STATE_GENERATING)
		return;
	for (size_t i = 0; i < scheduler->slots; i++)
		if (atomic_load(&scheduler->slot[i].job) == event->compose->id) {
			atomic_store(&scheduler->slot[i].cancelled, event->compose->id);
			kick(scheduler);
		}
}

bool is_cancelled(struct slot *slot)
{
	int64_t id = atomic_load(&slot->job);

	return id && atomic_load(&slot->cancelled) == id;
}

void log_line(struct slot *slot, const char *text)
{
	_cleanup_(text_done) struct text line = { 0 };
	char now[TIME_ISO_SIZE];

	if (slot->log_fd < 0)
		return;
	(void)text_addf(&line, "%s %s\n", time_iso(time_now(), now), text);
	if (!line.failed)
		(void)io_write(slot->log_fd, line.data, line.length);
}

void progressed(struct scheduler *scheduler, int64_t id)
{
	if (scheduler->options->progressed)
		scheduler->options->progressed(scheduler->options->progressed_data, id);
}

void job_over(struct scheduler *scheduler, struct slot *slot)
{
	int64_t id = atomic_exchange(&slot->job, 0);

	closep(&slot->log_fd);
	slot->log_fd = -1;
	job_free(slot->work);
	slot->work = NULL;
	outcome_free(slot->part);
	slot->part = NULL;
	free(slot->asked);
	slot->asked = NULL;
	slot->retried = false;
	slot->overtaken = 0;
	slot->logged = 0;
	progressed(scheduler, id);
}

/* @ending: what it means for composes that wait for this one */
static void fail_job(struct scheduler *scheduler, struct slot *slot, const char *text,
		     enum ending ending)
{
	_cleanup_(text_done) struct text words = { 0 };
	int64_t id = atomic_load(&slot->job);
	const char *reason;

	(void)text_addf(&words, FAILURE_PREFIX "%s", text);
	reason = words.failed ? text : words.data;
	log_line(slot, reason);
	/* out of the slot first: the news of this failure is no cancellation of a running job */
	atomic_store(&slot->job, 0);
	fail_compose(scheduler, id, reason);
	atomic_store(&slot->job, id);
	reuse_settle(scheduler, slot, ending, reason);
	job_over(scheduler, slot);
}

/* cancelled: its row says so already */
static void drop_job(struct scheduler *scheduler, struct slot *slot)
{
	reuse_settle(scheduler, slot, ENDING_LOST, NULL);
	job_over(scheduler, slot);
}

/* ---- a result -------------------------------------------------------------- */

static void in_flight_remove(struct strings *list, const char *digest)
{
	for (size_t i = 0; i < list->count; i++)
		if (!strcmp(list->item[i], digest)) {
			free(list->item[i]);
			list->item[i] = list->item[--list->count];
			return;
		}
}

static int publish(struct scheduler *scheduler, struct slot *slot, const struct outcome *outcome,
		   struct error *err)
{
	struct store *store = scheduler->options->store;
	int r;

	(void)pthread_mutex_lock(&store->lock);
	r = tree_store_publish(store->trees, child_work_dirfd(slot->child), outcome, err);
	if (r >= 0 && strings_add(&store->in_flight, outcome->manifest) < 0)
		r = error_oom(err);
	(void)pthread_mutex_unlock(&store->lock);
	if (r < 0)
		return r;
	r = catalogue_finish(store->catalogue, outcome->id, outcome, err);
	(void)pthread_mutex_lock(&store->lock);
	in_flight_remove(&store->in_flight, outcome->manifest);
	(void)pthread_mutex_unlock(&store->lock);
	return r;
}

static int send_job(struct slot *slot)
{
	struct message message = { .type = PIPE_COMPOSE, .id = slot->work->id, .job = slot->work };

	slot->phase = PHASE_RESOLVE;
	slot->refused_count = 0;
	return child_send(slot->child, &message);
}

/* Another one of that name was done since the job was given. */
static int overtaken(struct scheduler *scheduler, struct slot *slot, struct error *err)
{
	_cleanup_(compose_freep) struct compose *compose = NULL;
	int r = catalogue_get(scheduler->options->store->catalogue, slot->work->id, &compose, err);

	if (r < 0)
		return r;
	slot->overtaken++;
	log_line(slot,
		 "another compose of its latest name was done meanwhile: made after that one");
	order_after(scheduler, compose->owner, slot->work);
	return 0;
}

static int make_again(struct scheduler *scheduler, struct slot *slot, bool was_overtaken,
		      struct error *err)
{
	int r = was_overtaken ? overtaken(scheduler, slot, err) : 0;

	if (r >= 0)
		r = child_clean(slot->child, err);
	return r < 0 ? r : send_job(slot);
}

static void on_result(struct scheduler *scheduler, struct slot *slot, const struct outcome *outcome)
{
	struct error err = { 0 };
	int r;

	r = publish(scheduler, slot, outcome, &err);
	if (r == -ESTALE) { /* cancelled while it was being made */
		drop_job(scheduler, slot);
		return;
	}
	if (r == -EAGAIN && slot->overtaken < OVERTAKEN_MAX &&
	    make_again(scheduler, slot, true, &err) >= 0)
		return;
	if (r < 0 && !slot->retried) {
		log_warning("compose %" PRId64 ": %s; made once more", outcome->id, err.message);
		slot->retried = true;
		r = make_again(scheduler, slot, false, &err);
		if (r == 0)
			return;
	}
	if (r < 0) {
		log_error("compose %" PRId64 ": %s", outcome->id, err.message);
		fail_job(scheduler, slot, err.message, ENDING_FAILED);
		return;
	}
	log_line(slot, "done");
	reuse_settle(scheduler, slot, ENDING_DONE, NULL);
	job_over(scheduler, slot);
}

/* 0 or negative errno */
static int on_files(struct slot *slot, struct outcome *part)
{
	if (!slot->part && !(slot->part = calloc(1, sizeof(*slot->part))))
		return -ENOMEM;
	return outcome_join(slot->part, part);
}

static void on_log(struct scheduler *scheduler, struct slot *slot, const struct message *message)
{
	bool had_room = slot->logged <= LOG_MAX_BYTES;

	slot->logged += (int64_t)strlen(message->text);
	if (!had_room)
		return;
	log_line(slot, slot->logged <= LOG_MAX_BYTES
			       ? message->text
			       : "the worker says too much: the rest of its lines is left out");
	progressed(scheduler, message->id);
}

static void on_progress(struct scheduler *scheduler, const struct message *message)
{
	struct progress now = { .done = message->done, .total = message->total };

	(void)snprintf(now.phase, sizeof(now.phase), "%s", message->phase ? message->phase : "");
	(void)snprintf(now.text, sizeof(now.text), "%s", message->text ? message->text : "");
	catalogue_progress_set(scheduler->options->store->catalogue, message->id, &now);
	progressed(scheduler, message->id);
}

static void on_failed(struct scheduler *scheduler, struct slot *slot, const struct message *message)
{
	_cleanup_(text_done) struct text text = { 0 };

	if (message->field && message->field[0])
		(void)text_addf(&text, "%s: ", message->field);
	(void)text_adds(&text, message->text ? message->text : "no reason given");
	if (message->blame == BLAME_US)
		log_error("compose %" PRId64 ": %s", message->id, message->text);
	fail_job(scheduler, slot, text.failed ? "out of memory" : text.data, ENDING_FAILED);
}

/* 0, or a negative errno: the worker cannot go on; -EBADMSG: it speaks out of turn */
static int on_message(struct scheduler *scheduler, struct slot *slot, struct message *message)
{
	int r = 0;

	if (message->type == PIPE_READY && !slot->ready) {
		slot->ready = true;
		return 0;
	}
	if (!message->id || message->id != atomic_load(&slot->job) ||
	    ((message->type == PIPE_FILES || message->type == PIPE_RESULT) &&
	     (message->outcome->id != message->id || slot->phase != PHASE_MAKE)))
		return -EBADMSG;
	switch (message->type) {
	case PIPE_PROGRESS:
		on_progress(scheduler, message);
		break;
	case PIPE_LOG:
		on_log(scheduler, slot, message);
		break;
	case PIPE_FILES:
		r = on_files(slot, message->outcome);
		break;
	case PIPE_RESULT:
		if (slot->part)
			r = outcome_join(message->outcome, slot->part);
		outcome_free(slot->part);
		slot->part = NULL;
		if (r == 0)
			on_result(scheduler, slot, message->outcome);
		break;
	case PIPE_RESOLVED:
		return reuse_resolved(scheduler, slot, &message->resolution);
	case PIPE_CHECKED:
		return reuse_checked(scheduler, slot, message->sound, message->text);
	case PIPE_FAILED:
		on_failed(scheduler, slot, message);
		break;
	default:
		return -EBADMSG; /* what only the server says */
	}
	return r == -E2BIG ? -EBADMSG : r;
}

/* ---- life and death of a worker --------------------------------------------- */

/* What killed it, and how it ended. */
static void death_words(const struct config *config, struct slot *slot, bool ended,
			struct text *ret)
{
	char suffix[LIMIT_SUFFIX_SIZE];
	int64_t peak = 0;

	if (slot->reason[0] && ended) {
		(void)text_adds(ret, slot->reason);
		return;
	}
	if (slot->reason[0])
		(void)text_addf(ret, "%s; ", slot->reason);
	(void)text_adds(ret, "the worker ");
	child_death(slot->child, ret, &peak);
	if (peak > config->worker_memory / 10 * 9)
		(void)text_addf(ret, ": it had reached its memory limit of %" PRId64 " MiB%s",
				config->worker_memory >> 20,
				limit_suffix(config->contact, "limits.worker_memory",
					     config->worker_memory, suffix));
	else if (child_overran(slot->child))
		(void)text_adds(ret, limit_suffix(config->contact, "limits.worker_cpu_seconds",
						  config->worker_cpu_seconds, suffix));
}

static void put_away(struct slot *slot, bool ended)
{
	if (ended)
		child_free(slot->child);
	else
		slot->corpse[slot->place] = slot->child;
	slot->child = NULL;
	atomic_store(&slot->alive, false);
	slot->ready = slot->more = false;
	slot->reason[0] = '\0';
	free(slot->source);
	slot->source = NULL;
}

static void bury(struct scheduler *scheduler, struct slot *slot)
{
	const struct config *config = scheduler->options->config;
	_cleanup_(text_done) struct text words = { 0 };
	int64_t lived = time_monotonic_ms() - slot->started_ms;
	int64_t pid = child_pid(slot->child);
	bool ended;

	child_kill(slot->child);
	ended = child_ended(slot->child, time_monotonic_ms() + END_MS);
	death_words(config, slot, ended, &words);
	if (!is_cancelled(slot) || !ended)
		log_warning("worker %" PRId64 ": %s", pid, words.failed ? "died" : words.data);
	if (is_cancelled(slot))
		drop_job(scheduler, slot);
	else if (atomic_load(&slot->job))
		fail_job(scheduler, slot, words.failed ? "the worker died" : words.data,
			 ENDING_LOST);
	put_away(slot, ended);
	atomic_fetch_add(&scheduler->deaths, 1);
	slot->pause_ms =
		lived >= STEADY_MS || !slot->pause_ms ? RESPAWN_MIN_MS : slot->pause_ms * 2;
	if (slot->pause_ms > RESPAWN_MAX_MS)
		slot->pause_ms = RESPAWN_MAX_MS;
	slot->respawn_ms = time_monotonic_ms() + slot->pause_ms;
	if (slot->pause_ms > RESPAWN_SAID_MS)
		log_warning("workers in place %zu die soon after their start: the next one is "
			    "started in %" PRId64 " ms, composes may wait for it",
			    (size_t)(slot - scheduler->slot), slot->pause_ms);
}

/* Those that hang may have been let go meanwhile: true while there are some. */
static bool look_at_corpses(struct slot *slot)
{
	bool some = false;

	for (size_t i = 0; i < CORPSES_MAX; i++) {
		int64_t pid = slot->corpse[i] ? child_pid(slot->corpse[i]) : 0;

		if (pid && child_ended(slot->corpse[i], 0)) {
			log_info("worker %" PRId64 ": has ended after all", pid);
			child_free(steal(slot->corpse[i]));
		}
		some |= slot->corpse[i] != NULL;
	}
	return some;
}

/* A place whose work directory nobody has; each that hangs has all its memory still, so there are
 * few. */
static bool find_place(struct slot *slot, size_t number)
{
	for (slot->place = 0; slot->place < CORPSES_MAX; slot->place++)
		if (!slot->corpse[slot->place])
			break;
	if (slot->place == CORPSES_MAX && !slot->resting)
		log_error("%d workers in place of worker %zu hang in the kernel: no other is "
			  "started before one of them ends",
			  CORPSES_MAX, number);
	slot->resting = slot->place == CORPSES_MAX;
	return !slot->resting;
}

static void respawn(struct scheduler *scheduler, size_t number)
{
	struct slot *slot = &scheduler->slot[number];
	struct error err = { 0 };

	slot->started_ms = time_monotonic_ms();
	if (!find_place(slot, number)) {
		slot->respawn_ms = slot->started_ms + CORPSES_MS;
		return;
	}
	if (child_start(scheduler->options->config, CHILD_COMPOSES,
			scheduler->options->store->state_dirfd,
			(unsigned int)(slot->place * scheduler->slots + number), &slot->child,
			&err) < 0) {
		log_error("%s", err.message);
		slot->pause_ms = RESPAWN_MAX_MS;
		slot->respawn_ms = slot->started_ms + slot->pause_ms;
		return;
	}
	atomic_store(&slot->alive, true);
}

/* Somebody who never stops must not keep us from the others. */
static void receive(struct scheduler *scheduler, struct slot *slot)
{
	int64_t end_ms = time_monotonic_ms() + TURN_MS;
	struct error err = { 0 };

	slot->more = false;
	for (unsigned int i = 0; i < TURN_MESSAGES && time_monotonic_ms() <= end_ms; i++) {
		struct message message = { 0 };
		int r = child_receive(slot->child, &message, &err);

		if (r == 0)
			return;
		if (r > 0)
			r = on_message(scheduler, slot, &message);
		message_done(&message);
		if (r == -EBADMSG)
			(void)snprintf(slot->reason, sizeof(slot->reason),
				       "the worker does not speak the language of the pipe");
		if (r < 0) {
			bury(scheduler, slot);
			return;
		}
	}
	slot->more = true; /* perhaps: in our buffer, where poll() does not see it */
}

static void judge(struct scheduler *scheduler, struct slot *slot)
{
	const struct config *config = scheduler->options->config;
	bool busy = atomic_load(&slot->job) != 0;
	char suffix[LIMIT_SUFFIX_SIZE];

	if (busy && is_cancelled(slot))
		(void)snprintf(slot->reason, sizeof(slot->reason), "cancelled");
	else if (busy && time_monotonic_ms() > slot->deadline_ms)
		(void)snprintf(slot->reason, sizeof(slot->reason),
			       "Compose has taken more time than allowed by configuration "
			       "(%" PRId64 " seconds)%s",
			       config->worker_seconds,
			       limit_suffix(config->contact, "limits.worker_seconds",
					    config->worker_seconds, suffix));
	else if (child_memory(slot->child) > config->worker_memory)
		(void)snprintf(slot->reason, sizeof(slot->reason),
			       "the worker exceeded its memory limit of %" PRId64 " MiB%s",
			       config->worker_memory >> 20,
			       limit_suffix(config->contact, "limits.worker_memory",
					    config->worker_memory, suffix));
	if (slot->reason[0])
		bury(scheduler, slot);
}

/* ---- work ----------------------------------------------------------------- */

/* an idle worker, rather the one that has this source loaded */
static struct slot *idle_slot(struct scheduler *scheduler, const char *source)
{
	struct slot *any = NULL;

	for (size_t i = 0; i < scheduler->slots; i++) {
		struct slot *slot = &scheduler->slot[i];

		if (!slot->child || !slot->ready || atomic_load(&slot->job))
			continue;
		if (source && slot->source && !strcmp(slot->source, source))
			return slot;
		any = any ? any : slot;
	}
	return any;
}

bool no_longer_wanted(struct scheduler *scheduler, int64_t id)
{
	_cleanup_(compose_freep) struct compose *now = NULL;
	struct error err = { 0 };

	return catalogue_get(scheduler->options->store->catalogue, id, &now, &err) >= 0 &&
	       now->state != STATE_GENERATING;
}

static void give(struct scheduler *scheduler, struct slot *slot, struct compose *compose)
{
	const struct config *config = scheduler->options->config;
	struct error err = { 0 };

	atomic_store(&slot->job, compose->id);
	slot->deadline_ms = time_monotonic_ms() + config->worker_seconds * 1000;
	slot->log_fd =
		tree_store_log_open(scheduler->options->store->trees, compose->id, true, &err);
	slot->asked = steal(compose->source);
	if (slot->log_fd < 0)
		log_warning("compose %" PRId64 ": no log: %s", compose->id, err.message);
	log_line(slot, "Compose thread started");
	if (no_longer_wanted(scheduler, compose->id)) /* cancelled before the slot had its number */
		job_over(scheduler, slot);
	else if (spec_check_late(compose->spec, &err) < 0)
		fail_job(scheduler, slot, err.message, ENDING_FAILED);
	else if (order_make(scheduler, compose, &slot->work) < 0 || send_job(slot) < 0)
		fail_job(scheduler, slot, "out of memory", ENDING_LOST);
}

/* Idle workers for which name servers, certificates or keys are others now make room for new ones,
 * before there is work for them. */
static void renew(struct scheduler *scheduler)
{
	int64_t now = time_monotonic_ms();

	if (!atomic_load(&scheduler->work) || now < scheduler->renew_ms)
		return;
	scheduler->renew_ms = now + RENEW_MS;
	for (size_t i = 0; i < scheduler->slots; i++) {
		struct slot *slot = &scheduler->slot[i];

		if (!slot->child || !slot->ready || atomic_load(&slot->job) ||
		    !child_stale(slot->child))
			continue;
		log_info("worker %" PRId64 ": is replaced, files that it reads are others now",
			 child_pid(slot->child));
		child_kill(slot->child);
		put_away(slot, child_ended(slot->child, time_monotonic_ms() + END_MS));
		slot->respawn_ms = 0;
		respawn(scheduler, i);
	}
}

static void hand_out(struct scheduler *scheduler)
{
	struct slot *slot;

	if (time_monotonic_ms() < scheduler->claim_ms)
		return;
	renew(scheduler);
	while ((slot = idle_slot(scheduler, NULL)) && atomic_exchange(&scheduler->work, false)) {
		_cleanup_(compose_freep) struct compose *compose = NULL;
		struct slot *loaded;
		struct error err = { 0 };
		int r = catalogue_claim(scheduler->options->store->catalogue, &compose, &err);

		if (r < 0) {
			log_error("cannot take up a compose: %s", err.message);
			atomic_store(&scheduler->work, true);
			scheduler->claim_ms = time_monotonic_ms() + OWED_MS;
		}
		if (r <= 0)
			return;
		atomic_store(&scheduler->work, true); /* until a claim says there is no more */
		loaded = idle_slot(scheduler, compose->source);
		give(scheduler, loaded ? loaded : slot, compose);
	}
}

static int prepare_poll(struct scheduler *scheduler, struct pollfd *polls)
{
	int64_t now = time_monotonic_ms(), timeout = -1;

	polls[0] = (struct pollfd){ .fd = scheduler->event_fd, .events = POLLIN };
	for (size_t i = 0; i < scheduler->slots; i++) {
		struct slot *slot = &scheduler->slot[i];
		int64_t wait = -1;

		polls[i + 1] = (struct pollfd){ .fd = -1 };
		if (slot->child) {
			polls[i + 1].fd = child_fd(slot->child);
			polls[i + 1].events = POLLIN;
			if (child_wants_write(slot->child))
				polls[i + 1].events |= POLLOUT;
			wait = slot->more		 ? 0
			       : atomic_load(&slot->job) ? WATCH_INTERVAL_MS
							 : IDLE_INTERVAL_MS;
		} else {
			wait = slot->respawn_ms > now ? slot->respawn_ms - now : 0;
		}
		if (look_at_corpses(slot) && (wait < 0 || wait > CORPSES_MS))
			wait = CORPSES_MS;
		if (wait >= 0 && (timeout < 0 || wait < timeout))
			timeout = wait;
	}
	if ((scheduler->owed || scheduler->joined_ms || scheduler->claim_ms > now) &&
	    (timeout < 0 || timeout > OWED_MS))
		timeout = OWED_MS;
	return (int)timeout;
}

static void serve_slot(struct scheduler *scheduler, size_t number, short events)
{
	struct slot *slot = &scheduler->slot[number];

	if (!slot->child && time_monotonic_ms() >= slot->respawn_ms)
		respawn(scheduler, number);
	if (slot->child && (events & POLLOUT))
		(void)child_flush(slot->child);
	if (slot->child && (slot->more || (events & (POLLIN | POLLHUP | POLLERR))))
		receive(scheduler, slot);
	if (slot->child && !slot->ready && time_monotonic_ms() - slot->started_ms > READY_MS) {
		(void)snprintf(slot->reason, sizeof(slot->reason), "the worker does not get ready");
		bury(scheduler, slot);
	}
	if (slot->child && reuse_again(scheduler, slot) < 0)
		bury(scheduler, slot);
	if (slot->child)
		judge(scheduler, slot);
}

static void *run(void *data)
{
	struct scheduler *scheduler = data;
	_cleanup_(freep) struct pollfd *polls = calloc(scheduler->slots + 1, sizeof(*polls));
	uint64_t count;

	while (polls && !atomic_load(&scheduler->stop)) {
		int timeout = prepare_poll(scheduler, polls);

		if (poll(polls, scheduler->slots + 1, timeout) < 0 && errno != EINTR)
			break;
		if (polls[0].revents & POLLIN)
			(void)!read(scheduler->event_fd, &count, sizeof(count));
		for (size_t i = 0; i < scheduler->slots; i++)
			serve_slot(scheduler, i, polls[i + 1].revents);
		verdict_pay(scheduler);
		reuse_pay(scheduler);
		hand_out(scheduler);
	}
	return NULL;
}

int scheduler_new(const struct scheduler_options *options, struct scheduler **ret,
		  struct error *err)
{
	_cleanup_(scheduler_freep) struct scheduler *scheduler = calloc(1, sizeof(*scheduler));

	if (!scheduler)
		return error_oom(err);
	scheduler->options = options;
	scheduler->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (scheduler->event_fd < 0)
		return error_errno(err, -errno, "eventfd");
	scheduler->slot = calloc((size_t)options->config->workers, sizeof(*scheduler->slot));
	if (!scheduler->slot)
		return error_oom(err);
	scheduler->slots = (size_t)options->config->workers;
	for (size_t i = 0; i < scheduler->slots; i++)
		scheduler->slot[i].log_fd = -1;
	atomic_store(&scheduler->work, true); /* rows of the last run */
	*ret = steal(scheduler);
	return 0;
}

int scheduler_start(struct scheduler *scheduler, struct error *err)
{
	int r = pthread_create(&scheduler->thread, NULL, run, scheduler);

	if (r != 0)
		return error_errno(err, -r, "cannot start the scheduler");
	scheduler->running = true;
	return 0;
}

void scheduler_figures(struct scheduler *scheduler, struct scheduler_figures *ret)
{
	*ret = (struct scheduler_figures){ .workers = scheduler->slots,
					   .deaths = atomic_load(&scheduler->deaths) };
	for (size_t i = 0; i < scheduler->slots; i++) {
		ret->alive[i] = atomic_load(&scheduler->slot[i].alive);
		ret->busy += atomic_load(&scheduler->slot[i].job) != 0;
	}
}

/* Whoever hangs is left behind: the kernel ends it when it can. */
static void end_workers(struct scheduler *scheduler)
{
	int64_t limit_ms = time_monotonic_ms() + END_MS;

	for (size_t i = 0; i < scheduler->slots; i++)
		if (scheduler->slot[i].child)
			child_kill(scheduler->slot[i].child);
	for (size_t i = 0; i < scheduler->slots; i++) {
		struct slot *slot = &scheduler->slot[i];

		if (slot->child && !child_ended(slot->child, limit_ms))
			log_warning("worker %" PRId64 ": hangs in the kernel; left behind",
				    child_pid(slot->child));
		child_free(steal(slot->child));
		(void)look_at_corpses(slot);
		for (size_t k = 0; k < CORPSES_MAX; k++)
			child_free(slot->corpse[k]);
	}
}

void scheduler_free(struct scheduler *scheduler)
{
	if (!scheduler)
		return;
	atomic_store(&scheduler->stop, true);
	if (scheduler->running) {
		kick(scheduler);
		(void)pthread_join(scheduler->thread, NULL);
	}
	end_workers(scheduler);
	for (size_t i = 0; i < scheduler->slots; i++) {
		struct slot *slot = &scheduler->slot[i];

		closep(&slot->log_fd);
		job_free(slot->work);
		free(slot->source);
		free(slot->asked);
	}
	reuse_free(scheduler);
	verdict_free(scheduler);
	closep(&scheduler->event_fd);
	free(scheduler->slot);
	free(scheduler);
}
