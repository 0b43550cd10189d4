/* SPDX-License-Identifier: MIT */
/* core/daemon/fetcher.c: packages of servers, brought when somebody reads them.
 *
 *   reader ─tree_ask()─► fetches ─► worker process ─► work/fetch-N/packages/SHA256
 *     ▲                  (table)                        │ the verifier hashes it again
 *     └──── told: open it, or why not ◄── packages/ ◄───┘
 *
 * Two threads. One owns the workers and the table's progress and tells those who wait; the other
 * reads whole files, which takes time: what was fetched, and what was there when the service
 * started. Whoever asks waits in neither: he leaves a struct tree_waiter. Workers are started when
 * there is something to fetch, and end when there was nothing for a while. */
#include "core/daemon/fetch_keys.h"
#include "core/daemon/fetch_slots.h"
#include "core/daemon/prefetch.h"
#include "core/daemon/verifier.h"

#include <poll.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define TICK_MS 200	      /* between looks at time, while there is something to do */
#define IDLE_MS 30000	      /* a worker without work ends after this */
#define LATE_MS 100	      /* between looks at all who wait */
#define READY_MS 30000	      /* from a worker's start to its first word */
#define TRIES 3		      /* of workers that die, and of full disks */
#define AGAIN_MS 200	      /* before the next one, times the number */
#define ROOM_MS 100	      /* between looks whether there is room now */
#define ROOM_PATIENCE_MS 1000 /* what is open may be closed soon */

struct fetcher {
	const struct config *config;
	struct store *store;
	struct verifier *verifier;
	pthread_t thread;
	bool running;
	int event_fd;
	_Atomic bool stop;
	_Atomic int64_t fetched, fetched_bytes, failures, deaths;
	struct fetch_slots slots; /* of the thread, as the next */
	struct fetch_keys keys;
	int64_t looked_ms; /* at all who wait */
	struct prefetches prefetches;
	pthread_mutex_t lock; /* for the rest; nothing else is locked under it */
	struct fetches table;
};

static void kick(void *data)
{
	struct fetcher *fetcher = data;
	uint64_t one = 1;

	(void)!write(fetcher->event_fd, &one, sizeof(one));
}

/* What a reader is told: he knows four things that may go wrong (tree.md 3). */
static void simplify(struct error *err)
{
	if (err->code == -EDQUOT)
		err->code = -ENOSPC;
	if (err->code && err->code != -ETIMEDOUT && err->code != -ENOSPC)
		err->code = -EIO;
}

/* ---- the door of core/tree ------------------------------------------------ */

static int ask(void *data, const struct tree_want *want, struct tree_waiter *waiter,
	       struct error *err)
{
	struct fetcher *fetcher = data;
	int r;

	(void)pthread_mutex_lock(&fetcher->lock);
	r = fetches_ask(&fetcher->table, want, waiter, waiter->party, time_monotonic_ms(), err);
	(void)pthread_mutex_unlock(&fetcher->lock);
	if (r == 0)
		kick(fetcher);
	if (r < 0 && err)
		simplify(err);
	return r < 0 && err ? err->code : r;
}

static struct tree_arrival *arriving(void *data, const struct tree_want *want)
{
	struct fetcher *fetcher = data;
	struct tree_arrival *arrival = NULL;
	struct fetch *fetch;

	(void)pthread_mutex_lock(&fetcher->lock);
	fetch = fetches_find(&fetcher->table, want);
	if (fetch)
		arrival = tree_arrival_ref(fetch->arrival);
	(void)pthread_mutex_unlock(&fetcher->lock);
	return arrival;
}

static bool forget(void *data, struct tree_waiter *waiter)
{
	struct fetcher *fetcher = data;
	bool forgotten;

	(void)pthread_mutex_lock(&fetcher->lock);
	forgotten = fetches_forget(&fetcher->table, waiter, time_monotonic_ms());
	(void)pthread_mutex_unlock(&fetcher->lock);
	return forgotten;
}

/* Strings borrowed: the source of a fetch does not change while it runs. */
static struct tree_want want_of(const struct fetch *fetch)
{
	struct tree_want want = { .size = fetch->size, .base = fetch->base, .path = fetch->path };

	memcpy(want.sha256, fetch->sha256, sizeof(want.sha256));
	return want;
}

/* ---- files to be verified ------------------------------------------------------ */

/* @slot: whose worker has fetched it; NULL: it was there. false: out of memory */
static bool hand_to_verifier(struct fetcher *fetcher, struct fetch *fetch, struct fetch_slot *slot)
{
	struct verification *item = calloc(1, sizeof(*item));

	if (!item)
		return false;
	item->data = fetch;
	item->want = want_of(fetch);
	item->work_dirfd = slot ? child_work_dirfd(slot->child) : -1;
	if (slot) {
		item->reserved = slot->reserved;
		slot->reserved = 0;
		slot->taking = true;
	}
	verifier_add(fetcher->verifier, item);
	return true;
}

/* NULL: none fetches it */
static struct fetch_slot *slot_of(struct fetcher *fetcher, const struct fetch *fetch)
{
	for (size_t i = 0; i < FETCH_SLOTS; i++)
		if (fetcher->slots.slot[i].fetch == fetch)
			return &fetcher->slots.slot[i];
	return NULL;
}

/* ---- who waits -------------------------------------------------------------- */

static void tell(struct tree_waiter *waiters, const struct error *failure)
{
	const struct error none = { 0 };
	struct error told = failure ? *failure : none;

	simplify(&told);
	while (waiters) {
		struct tree_waiter *next = waiters->next;

		waiters->done(waiters, &told);
		waiters = next;
	}
}

/* ---- bytes on their way ------------------------------------------------------- */

/* Who was handed bytes of it gets no more of them from there. */
static void arrival_over(struct fetcher *fetcher, struct fetch *fetch, bool good)
{
	struct tree_arrival *arrival = fetch->arrival;
	struct tree_waiter *waiters = NULL;

	fetch->told = 0;
	if (!arrival)
		return;
	tree_arrival_end(arrival, good);
	(void)pthread_mutex_lock(&fetcher->lock);
	fetch->arrival = NULL;
	if (!good) /* those who wait for more of it look again */
		waiters = fetches_came(&fetcher->table, fetch, UINT64_MAX, time_monotonic_ms());
	fetch->came = 0;
	(void)pthread_mutex_unlock(&fetcher->lock);
	tree_arrival_unref(arrival);
	tell(waiters, NULL);
}

static void look_at_arrival(struct fetcher *fetcher, struct fetch *fetch)
{
	struct tree_waiter *waiters;
	uint64_t came;

	if (!fetch->arrival)
		return;
	came = tree_arrival_look(fetch->arrival);
	(void)pthread_mutex_lock(&fetcher->lock);
	waiters = fetches_came(&fetcher->table, fetch, came, time_monotonic_ms());
	(void)pthread_mutex_unlock(&fetcher->lock);
	tell(waiters, NULL);
}

/* Fewer bytes than were told before: it has begun anew, maybe with another file. */
static void on_comes(struct fetcher *fetcher, struct fetch_slot *slot, int64_t bytes)
{
	struct tree_arrival *arrival = NULL;
	struct fetch *fetch = slot->fetch;

	if (bytes < fetch->told)
		arrival_over(fetcher, fetch, false);
	fetch->told = bytes;
	if (!fetch->arrival && bytes && tree_arrival_early(fetch->size) &&
	    tree_arrival_open(child_work_dirfd(slot->child), fetch->sha256, fetch->size,
			      &arrival) == 0) {
		(void)pthread_mutex_lock(&fetcher->lock);
		fetch->arrival = arrival;
		(void)pthread_mutex_unlock(&fetcher->lock);
	}
	look_at_arrival(fetcher, fetch);
}

static void look_at_arrivals(struct fetcher *fetcher)
{
	for (size_t i = 0; i < FETCH_SLOTS; i++)
		if (fetcher->slots.slot[i].fetch)
			look_at_arrival(fetcher, fetcher->slots.slot[i].fetch);
}

/* ---- how it ends --------------------------------------------------------------- */

/* @failure: NULL, or code 0: it is here */
static void end(struct fetcher *fetcher, struct fetch *fetch, struct error *failure)
{
	bool failed = failure && failure->code, ours;
	struct tree_waiter *waiters;

	if (failed) {
		atomic_fetch_add(&fetcher->failures, 1);
		(void)error_prefix(failure, "%s", fetch->path);
		ours = failure->blame == BLAME_US;
		log_write(ours		       ? LOG_LEVEL_ERROR
			  : fetch->ahead_tries ? LOG_LEVEL_DEBUG /* it was said before */
					       : LOG_LEVEL_WARNING,
			  "fetch: %s", failure->message);
	}
	arrival_over(fetcher, fetch, !failed);
	(void)pthread_mutex_lock(&fetcher->lock);
	waiters = fetches_end(&fetcher->table, fetch, failure, time_monotonic_ms());
	(void)pthread_mutex_unlock(&fetcher->lock);
	tell(waiters, failure);
}

static void again(struct fetcher *fetcher, struct fetch *fetch, int64_t pause_ms)
{
	(void)pthread_mutex_lock(&fetcher->lock);
	fetches_again(&fetcher->table, fetch, time_monotonic_ms() + pause_ms);
	(void)pthread_mutex_unlock(&fetcher->lock);
}

/* The slot has nothing to do any more. */
static struct fetch *slot_free(struct fetcher *fetcher, struct fetch_slot *slot)
{
	struct fetch *fetch = slot->fetch;

	tree_cache_unreserve(fetcher->store->trees, slot->reserved);
	slot->reserved = 0;
	slot->fetch = NULL;
	slot->taking = false;
	slot->idle_ms = time_monotonic_ms();
	return fetch;
}

/* Once more, when that may help and was not tried too often; else the end.
 * @kept: what has come is gone on with */
static void fail(struct fetcher *fetcher, struct fetch *fetch, bool may_help, bool kept,
		 struct error *failure)
{
	if (!kept)
		arrival_over(fetcher, fetch, false);
	if (may_help && ++fetch->tries < TRIES)
		again(fetcher, fetch, AGAIN_MS * fetch->tries);
	else
		end(fetcher, fetch, failure);
}

/* ---- workers -------------------------------------------------------------------- */

static bool keep_part(struct fetcher *fetcher, const struct fetch_slot *slot)
{
	return slot->fetch && tree_partial_keep(fetcher->store->trees,
						child_work_dirfd(slot->child), slot->fetch->sha256);
}

static void bury(struct fetcher *fetcher, struct fetch_slot *slot, const char *why)
{
	_cleanup_(text_done) struct text words = { 0 };
	struct error failure = { 0 };
	struct fetch *fetch;
	bool ended = fetch_slot_kill(slot), kept;
	int64_t peak;

	(void)text_adds(&words, "the worker that fetched it ");
	child_death(slot->child, &words, &peak);
	if (why) {
		text_clear(&words);
		(void)text_adds(&words, why);
	}
	(void)error_set(&failure, -EIO, BLAME_US, NULL, "%s", words.failed ? "died" : words.data);
	atomic_fetch_add(&fetcher->deaths, 1);
	log_warning("fetch: %s", failure.message);
	kept = ended && keep_part(fetcher, slot);
	fetch_slot_leave(slot, ended);
	fetch = slot_free(fetcher, slot);
	if (fetch)
		fail(fetcher, fetch, true, kept, &failure);
}

static void on_fetched(struct fetcher *fetcher, struct fetch_slot *slot,
		       const struct message *message)
{
	struct error failure = { .code = message->code, .blame = BLAME_SOURCE };
	struct fetch *fetch;

	if (!message->code && !fetch_keys_agree(&fetcher->keys, slot->fetch->base,
						message->text ? message->text : "")) {
		bury(fetcher, slot, "the files of repo.gpg_keys are others than those it has read");
		return;
	}
	if (!message->code) {
		if (hand_to_verifier(fetcher, slot->fetch, slot))
			return;
		(void)error_oom(&failure);
	} else {
		(void)snprintf(failure.message, sizeof(failure.message), "%s",
			       message->text ? message->text : "");
	}
	if (failure.code != -EBADMSG && failure.code != -ENOSPC)
		(void)keep_part(fetcher, slot);
	fetch = slot_free(fetcher, slot);
	if (failure.code == -ENOSPC) { /* others have filled the disk since room was made */
		struct tree_cache_figures figures;

		failure.blame = BLAME_US;
		tree_cache_figures(fetcher->store->trees, &figures);
		tree_cache_trim(fetcher->store->trees,
				figures.bytes > fetch->size ? figures.bytes - fetch->size : 0);
	}
	(void)child_clean(slot->child, NULL);
	fail(fetcher, fetch, failure.code == -ENOSPC, false, &failure);
}

static void receive(struct fetcher *fetcher, struct fetch_slot *slot)
{
	struct error err = { 0 };

	while (slot->child) {
		struct message message = { 0 };
		int r = child_receive(slot->child, &message, &err);

		if (r == 0)
			return;
		if (r > 0 && message.type == PIPE_READY)
			slot->ready = true;
		else if (r > 0 && message.type == PIPE_FETCHED && slot->fetch && !slot->taking &&
			 message.id == slot->number)
			on_fetched(fetcher, slot, &message);
		else if (r > 0 && message.type == PIPE_COMES && slot->fetch && !slot->taking &&
			 message.id == slot->number && config_streams(fetcher->config))
			on_comes(fetcher, slot, message.done);
		else if (r > 0)
			r = -EBADMSG;
		message_done(&message);
		/* one that dies while its file is with the verifier is buried afterwards */
		if (r < 0 && slot->taking)
			return;
		if (r < 0)
			bury(fetcher, slot,
			     r == -EBADMSG ? "the worker that fetched it does not speak the "
					     "language of the pipe"
					   : NULL);
	}
}

/* What somebody wants may take as long as the worker gives it; what nobody does, not. */
static void judge(struct fetcher *fetcher, struct fetch_slot *slot, int64_t now)
{
	const char *why = NULL;
	bool alone;

	if (!slot->ready && now - slot->started_ms > READY_MS)
		why = "the worker that was to fetch it does not get ready";
	if (slot->fetch && !slot->taking) {
		(void)pthread_mutex_lock(&fetcher->lock);
		alone = fetches_alone(&fetcher->table, slot->fetch, now);
		(void)pthread_mutex_unlock(&fetcher->lock);
		if (alone)
			why = "it takes too long, and nobody wants it any more";
		else if (child_memory(slot->child) > fetcher->config->worker_memory)
			why = "the worker that fetched it exceeded its memory limit";
	}
	if (why) {
		if (slot->fetch)
			slot->fetch->tries = TRIES;
		bury(fetcher, slot, why);
	} else if (!slot->fetch && now - slot->idle_ms > IDLE_MS) {
		fetch_slot_end(slot);
	}
}

/* ---- the next one ----------------------------------------------------------------- */

/* No room: it waits a moment for files to be closed, or for others that are on their way. */
static void wait_for_room(struct fetcher *fetcher, struct fetch *fetch, struct error *failure)
{
	int64_t now = time_monotonic_ms();

	(void)pthread_mutex_lock(&fetcher->lock);
	fetches_delay(&fetcher->table, fetch, now + ROOM_MS);
	(void)pthread_mutex_unlock(&fetcher->lock);
	if (!failure->code) {
		fetch->full_ms = 0;
		return;
	}
	if (!fetch->full_ms)
		fetch->full_ms = now;
	if (now - fetch->full_ms >= ROOM_PATIENCE_MS)
		end(fetcher, fetch, failure);
}

static void start(struct fetcher *fetcher, struct fetch *fetch)
{
	struct error failure = { 0 };
	struct fetch_slot *slot = NULL;
	int r = fetch->there ? 0 : tree_cache_reserve(fetcher->store->trees, fetch->size, &failure);

	if (r < 0) {
		wait_for_room(fetcher, fetch, &failure);
		return;
	}
	(void)pthread_mutex_lock(&fetcher->lock);
	fetches_start(&fetcher->table, fetch, time_monotonic_ms());
	(void)pthread_mutex_unlock(&fetcher->lock);
	if (!fetch->there)
		slot = fetch_slots_take(&fetcher->slots, &failure);
	else if (hand_to_verifier(fetcher, fetch, NULL))
		return;
	else
		(void)error_oom(&failure);
	const struct tree_want want = want_of(fetch);
	if (slot && !tree_package_lend(fetcher->store->trees, child_work_dirfd(slot->child), &want))
		tree_partial_give(fetcher->store->trees, child_work_dirfd(slot->child),
				  fetch->sha256);
	if (slot && fetch_slot_send(&fetcher->slots, slot, fetch, &failure) == 0)
		return;
	if (!fetch->there)
		tree_cache_unreserve(fetcher->store->trees, fetch->size);
	fail(fetcher, fetch, true, false, &failure);
}

/* ---- ahead of time ------------------------------------------------------------------ */

/* The next package that nobody waits for; false: there is none, or no place for it. */
static bool ask_ahead(struct fetcher *fetcher)
{
	struct error err = { 0 };
	char party[PREFETCH_PARTY_SIZE];
	struct tree_want want;
	int64_t now = time_monotonic_ms(), until = 0;
	bool room;

	(void)pthread_mutex_lock(&fetcher->lock);
	room = fetcher->table.running < (size_t)fetcher->config->cache_fetchers &&
	       fetcher->table.queued == fetcher->table.delayed;
	(void)pthread_mutex_unlock(&fetcher->lock);
	if (!room || !prefetches_next(&fetcher->prefetches, fetcher->store, party, &want))
		return false;
	(void)pthread_mutex_lock(&fetcher->lock);
	if (fetches_ask(&fetcher->table, &want, NULL, party, now, &err) < 0)
		until = fetches_bad_until(&fetcher->table, want.base, now);
	(void)pthread_mutex_unlock(&fetcher->lock);
	if (until)
		prefetches_back(&fetcher->prefetches, until);
	return true; /* what else cannot be had is left to who reads it */
}

int fetcher_prefetch(struct fetcher *fetcher, int64_t id, const struct strings *packages, bool now,
		     struct prefetch_count *ret, struct error *err)
{
	_cleanup_(prefetch_freep) struct prefetch *prefetch = NULL;
	int r = prefetch_new(id, packages, &prefetch);

	if (r < 0)
		return error_oom(err);
	r = prefetch_open(prefetch, fetcher->store, err);
	if (r == 0)
		r = prefetch_count(prefetch, ret, err);
	if (r < 0 || !now)
		return r;
	r = prefetch_fits(fetcher->config, ret, err);
	if (r < 0)
		return r;
	r = prefetches_add(&fetcher->prefetches, steal(prefetch), err);
	if (r == 0)
		kick(fetcher);
	return r;
}

void fetcher_changed(struct fetcher *fetcher, const struct catalogue_event *event)
{
	struct prefetch *prefetch;

	if (event->request_only || event->compose->state != STATE_DONE ||
	    event->old_state == STATE_DONE || event->compose->spec->prefetch != 1 ||
	    prefetch_new(event->compose->id, NULL, &prefetch) < 0)
		return;
	prefetch_for(prefetch, event->compose, PREFETCH_DONE);
	if (prefetches_add(&fetcher->prefetches, prefetch, NULL) == 0)
		kick(fetcher);
}

static bool begin_again(void *data, const struct compose *compose)
{
	struct fetcher *fetcher = data;
	struct prefetch *prefetch;

	if (compose->spec->prefetch == 1 && prefetch_new(compose->id, NULL, &prefetch) == 0) {
		prefetch_for(prefetch, compose, PREFETCH_AGAIN);
		(void)prefetches_add(&fetcher->prefetches, prefetch, NULL);
	}
	return atomic_load(&fetcher->stop);
}

/* What the service before this one was asked to fetch ahead of time, and has not. */
static void begin_all_again(struct fetcher *fetcher)
{
	struct compose_query query = COMPOSE_QUERY_ALL;
	struct error err = { 0 };

	query.state = STATE_DONE;
	if (catalogue_query(fetcher->store->catalogue, &query, begin_again, fetcher, NULL, &err) <
	    0)
		log_warning("fetch: what is to be fetched ahead of time: %s", err.message);
}

static void start_all(struct fetcher *fetcher)
{
	for (;;) {
		struct error failure = { 0 };
		struct fetch *bad, *next = NULL;
		int64_t now = time_monotonic_ms();

		(void)pthread_mutex_lock(&fetcher->lock);
		bad = fetches_bad(&fetcher->table, now, &failure);
		if (!bad)
			next = fetches_next(&fetcher->table,
					    (size_t)fetcher->config->cache_fetchers, now);
		(void)pthread_mutex_unlock(&fetcher->lock);
		if (bad)
			end(fetcher, bad, &failure);
		else if (next)
			start(fetcher, next);
		else if (!ask_ahead(fetcher))
			return;
	}
}

/* ---- what the verifier says --------------------------------------------------------- */

static void on_verified(struct fetcher *fetcher, struct verification *item)
{
	struct fetch *fetch = item->data;
	struct fetch_slot *slot = slot_of(fetcher, fetch);

	if (slot) {
		(void)child_clean(slot->child, NULL);
		(void)slot_free(fetcher, slot);
	}
	if (item->r == 0) {
		if (slot) {
			atomic_fetch_add(&fetcher->fetched, 1);
			atomic_fetch_add(&fetcher->fetched_bytes, (int64_t)fetch->size);
		}
		end(fetcher, fetch, NULL);
	} else if (!slot) {
		again(fetcher, fetch, 0); /* it was damaged: fetched anew */
	} else {
		fail(fetcher, fetch, item->r == -EBADMSG, false, &item->err);
	}
}

static void collect(struct fetcher *fetcher)
{
	struct verification *list = verifier_collect(fetcher->verifier);

	while (list) {
		struct verification *next = list->next;

		on_verified(fetcher, list);
		free(list);
		list = next;
	}
}

/* ---- the thread ------------------------------------------------------------------------ */

/* Those whose time is over are told so; the download goes on, others may wait for it. */
static void tell_late(struct fetcher *fetcher)
{
	struct error late = { 0 };
	struct tree_waiter *waiters;
	int64_t now = time_monotonic_ms();

	if (now - fetcher->looked_ms < LATE_MS)
		return;
	fetcher->looked_ms = now;
	(void)pthread_mutex_lock(&fetcher->lock);
	waiters = fetches_late(&fetcher->table, now);
	fetches_tidy(&fetcher->table, now);
	(void)pthread_mutex_unlock(&fetcher->lock);
	if (!waiters)
		return;
	(void)error_set(
		&late, -ETIMEDOUT, BLAME_SOURCE, NULL,
		"the package did not come within %" PRId64
		" seconds (cache.read_timeout); it is fetched on as long as somebody wants it",
		fetcher->config->cache_read_timeout);
	tell(waiters, &late);
}

static int prepare_poll(struct fetcher *fetcher, struct pollfd *polls)
{
	bool busy;

	polls[0] = (struct pollfd){ .fd = fetcher->event_fd, .events = POLLIN };
	for (size_t i = 0; i < FETCH_SLOTS; i++) {
		struct child *child = fetcher->slots.slot[i].child;

		/* what it may say while its file is verified is heard afterwards */
		polls[i + 1] = (struct pollfd){
			.fd = child && !fetcher->slots.slot[i].taking ? child_fd(child) : -1,
			.events =
				(short)(POLLIN | (child && child_wants_write(child) ? POLLOUT : 0))
		};
	}
	(void)pthread_mutex_lock(&fetcher->lock);
	busy = fetcher->table.count;
	(void)pthread_mutex_unlock(&fetcher->lock);
	if (busy || prefetches_wait(&fetcher->prefetches))
		return TICK_MS;
	for (size_t i = 0; i < FETCH_SLOTS; i++)
		if (fetcher->slots.slot[i].child)
			return IDLE_MS / 10;
	return -1;
}

static void serve_slots(struct fetcher *fetcher, const struct pollfd *polls)
{
	int64_t now = time_monotonic_ms();

	for (size_t i = 0; i < FETCH_SLOTS; i++) {
		struct fetch_slot *slot = &fetcher->slots.slot[i];

		if (slot->child && polls[i + 1].fd >= 0 && polls[i + 1].revents & POLLOUT)
			(void)child_flush(slot->child);
		if (slot->child && polls[i + 1].fd >= 0 &&
		    polls[i + 1].revents & (POLLIN | POLLHUP | POLLERR))
			receive(fetcher, slot);
		if (slot->child && !slot->taking)
			judge(fetcher, slot, now);
	}
}

/* Without memory for it nothing is heard for a moment; time goes on. */
static void poll_failed(struct pollfd *polls)
{
	for (size_t i = 0; i < FETCH_SLOTS + 1; i++)
		polls[i].revents = 0;
	if (errno == EINTR)
		return;
	log_warning("fetch: poll: %s; trying again", strerror(errno));
	(void)nanosleep(&(struct timespec){ .tv_nsec = TICK_MS * 1000000L }, NULL);
}

static void *run(void *data)
{
	struct fetcher *fetcher = data;
	struct pollfd polls[FETCH_SLOTS + 1];
	uint64_t count;

	begin_all_again(fetcher);
	start_all(fetcher);
	while (!atomic_load(&fetcher->stop)) {
		if (poll(polls, FETCH_SLOTS + 1, prepare_poll(fetcher, polls)) < 0)
			poll_failed(polls);
		if (polls[0].revents & POLLIN)
			(void)!read(fetcher->event_fd, &count, sizeof(count));
		serve_slots(fetcher, polls);
		look_at_arrivals(fetcher);
		collect(fetcher);
		tell_late(fetcher);
		start_all(fetcher);
	}
	return NULL;
}

/* ---- start and stop ----------------------------------------------------------------------- */

int fetcher_new(const struct config *config, struct store *store, struct fetcher **ret,
		struct error *err)
{
	_cleanup_(fetcher_freep) struct fetcher *fetcher = calloc(1, sizeof(*fetcher));
	struct tree_bringer bringer = { .ask = ask, .forget = forget };
	int r;

	if (!fetcher)
		return error_oom(err);
	fetcher->config = config;
	fetcher->store = store;
	fetcher->slots.config = config;
	fetcher->slots.state_dirfd = store->state_dirfd;
	(void)pthread_mutex_init(&fetcher->lock, NULL);
	prefetches_init(&fetcher->prefetches, config);
	fetcher->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (fetcher->event_fd < 0)
		return error_errno(err, -errno, "eventfd");
	if (fetches_init(&fetcher->table, config->cache_read_timeout * 1000) < 0 ||
	    verifier_new(store->trees, kick, fetcher, &fetcher->verifier) < 0)
		return error_oom(err);
	fetcher->table.most_of_one = (size_t)config->cache_server_fetchers;
	fetcher->table.strict = config->cache_rate != 0;
	r = fetch_keys_init(&fetcher->keys, config, store->trees, err);
	if (r < 0)
		return r;
	bringer.data = fetcher;
	bringer.arriving = config_streams(config) ? arriving : NULL;
	tree_store_bringer(store->trees, &bringer);
	tree_cache_limit(store->trees, (uint64_t)config->cache_size, config->contact);
	*ret = steal(fetcher);
	return 0;
}

int fetcher_start(struct fetcher *fetcher, struct error *err)
{
	int r = verifier_start(fetcher->verifier, err);

	if (r < 0)
		return r;
	r = pthread_create(&fetcher->thread, NULL, run, fetcher);
	fetcher->running = r == 0;
	if (r == 0)
		return 0;
	verifier_stop(fetcher->verifier);
	return error_errno(err, -r, "cannot start the fetcher of packages");
}

void fetcher_figures(struct fetcher *fetcher, struct fetcher_figures *ret)
{
	*ret = (struct fetcher_figures){ .fetched = atomic_load(&fetcher->fetched),
					 .fetched_bytes = atomic_load(&fetcher->fetched_bytes),
					 .failures = atomic_load(&fetcher->failures),
					 .deaths = atomic_load(&fetcher->deaths) };
	(void)pthread_mutex_lock(&fetcher->lock);
	ret->running = fetcher->table.running;
	ret->waiting = fetcher->table.waiting;
	(void)pthread_mutex_unlock(&fetcher->lock);
}

void fetcher_free(struct fetcher *fetcher)
{
	if (!fetcher)
		return;
	atomic_store(&fetcher->stop, true);
	if (fetcher->running) {
		kick(fetcher);
		(void)pthread_join(fetcher->thread, NULL);
	}
	verifier_free(fetcher->verifier);
	for (size_t i = 0; i < FETCH_SLOTS; i++) {
		struct fetch_slot *slot = &fetcher->slots.slot[i];

		if (slot->child && slot->fetch && fetch_slot_kill(slot))
			(void)keep_part(fetcher, slot);
	}
	fetch_slots_done(&fetcher->slots);
	prefetches_done(&fetcher->prefetches);
	fetch_keys_done(&fetcher->keys);
	fetches_done(&fetcher->table);
	closep(&fetcher->event_fd);
	(void)pthread_mutex_destroy(&fetcher->lock);
	free(fetcher);
}
