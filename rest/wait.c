/* SPDX-License-Identifier: MIT */
/* rest/wait.c: what waits: parked long polls and followers of events.
 *
 * Nobody here owns a thread or a clock: rest_changed() and rest_tick() come from outside. One lock
 * guards all lists; it may be held while libmicrohttpd's own lock is taken (suspend, resume), never
 * the other way round, since libmicrohttpd calls back with no lock held. */
#include "rest/wait.h"
#include "rest/client.h"

#include <pthread.h>

#define EVENTS_KEPT 1024 /* for followers that come back with Last-Event-ID */
#define EVENTS_BYTES ((size_t)8 << 20)
#define EVENTS_PING_MS 15000 /* a comment, so that a dead follower is noticed */

/* A parked long poll (owned by its exchange) or a follower (owned by its response). */
struct waiter {
	struct waiter *next, **previous; /* in waits->waiters while linked */
	struct MHD_Connection *connection;
	struct rest *rest;
	struct client *client;
	bool linked, suspended;
	bool follower;
	int64_t id; /* compose; of a follower: 0 for all */
	int64_t until_ms;
	/* follower: where it stands */
	uint64_t serial;
	size_t offset;
	bool greeted, lost, ping, pinging; /* pinging: in the middle of one */
};

struct event {
	char *text;
	size_t length;
	int64_t id;
};

struct waits {
	pthread_mutex_t lock;
	struct waiter *waiters; /* under lock, as all below */
	size_t waiter_count, follower_count;
	struct event events[EVENTS_KEPT]; /* event n is at n % EVENTS_KEPT */
	uint64_t first, next;		  /* serials kept: first <= n < next */
	size_t event_bytes;
	int64_t ping_ms;
};

bool state_is_final(enum compose_state state)
{
	return state == STATE_DONE || state == STATE_FAILED || state == STATE_REMOVED;
}

int waits_new(struct waits **ret)
{
	struct waits *waits = calloc(1, sizeof(*waits));

	if (!waits)
		return -ENOMEM;
	(void)pthread_mutex_init(&waits->lock, NULL);
	/* Serials start anew with the process: a number out of the clock keeps an old Last-Event-ID
	 * from meaning something else. */
	waits->first = waits->next = (uint64_t)time_now() << 20;
	*ret = waits;
	return 0;
}

void waits_free(struct waits *waits)
{
	if (!waits)
		return;
	for (size_t i = 0; i < EVENTS_KEPT; i++)
		free(waits->events[i].text);
	(void)pthread_mutex_destroy(&waits->lock);
	free(waits);
}

size_t waits_count(struct waits *waits)
{
	size_t count;

	(void)pthread_mutex_lock(&waits->lock);
	count = waits->waiter_count;
	(void)pthread_mutex_unlock(&waits->lock);
	return count;
}

/* ---- the list of waiters (all under lock) ------------------------------ */

static void waiter_link(struct waits *waits, struct waiter *waiter)
{
	waiter->next = waits->waiters;
	waiter->previous = &waits->waiters;
	if (waiter->next)
		waiter->next->previous = &waiter->next;
	waits->waiters = waiter;
	waiter->linked = true;
	waits->waiter_count++;
	waits->follower_count += waiter->follower;
}

static void waiter_unlink(struct waits *waits, struct waiter *waiter)
{
	if (!waiter->linked)
		return;
	*waiter->previous = waiter->next;
	if (waiter->next)
		waiter->next->previous = waiter->previous;
	waiter->linked = false;
	waits->waiter_count--;
	waits->follower_count -= waiter->follower;
}

static void waiter_resume(struct waits *waits, struct waiter *waiter)
{
	if (!waiter->follower) /* a long poll is answered now; a follower stays */
		waiter_unlink(waits, waiter);
	if (!waiter->suspended)
		return;
	waiter->suspended = false;
	MHD_resume_connection(waiter->connection);
}

/* ---- long polls -------------------------------------------------------- */

int wait_park(struct exchange *ex, int64_t id, int64_t seconds)
{
	struct waits *waits = ex->rest->waits;
	struct waiter *waiter = calloc(1, sizeof(*waiter));
	int r = 0;

	if (!waiter)
		return -ENOMEM;
	waiter->connection = ex->connection;
	waiter->rest = ex->rest;
	waiter->client = ex->link->client;
	waiter->id = id;
	if (seconds > REST_WAIT_MAX)
		seconds = REST_WAIT_MAX;
	waiter->until_ms = time_monotonic_ms() + seconds * 1000;
	(void)pthread_mutex_lock(&waits->lock);
	if (waits->waiter_count < REST_WAITERS_MAX && !atomic_load(&ex->rest->stopping) &&
	    time_monotonic_ms() - atomic_load(&ex->rest->tick_ms) < REST_TICK_MS &&
	    client_wait(ex->rest, waiter->client)) {
		waiter_link(waits, waiter);
		exchange_uncount(ex);
		link_phase(ex->link, PHASE_HELD);
		waiter->suspended = true;
		MHD_suspend_connection(ex->connection);
		ex->waiter = waiter;
		r = 1;
	}
	(void)pthread_mutex_unlock(&waits->lock);
	if (!r)
		free(waiter);
	return r;
}

void wait_wake(struct exchange *ex)
{
	struct waits *waits = ex->rest->waits;

	(void)pthread_mutex_lock(&waits->lock);
	if (ex->waiter)
		waiter_resume(waits, ex->waiter);
	(void)pthread_mutex_unlock(&waits->lock);
}

void wait_forget(struct exchange *ex)
{
	struct waits *waits = ex->rest->waits;

	if (!ex->waiter)
		return;
	(void)pthread_mutex_lock(&waits->lock);
	waiter_unlink(waits, ex->waiter);
	(void)pthread_mutex_unlock(&waits->lock);
	client_wait_done(ex->waiter->client);
	free(ex->waiter);
	ex->waiter = NULL;
}

/* ---- followers of events ----------------------------------------------- */

static size_t follower_copy(struct waiter *waiter, const char *text, size_t length, char *to,
			    size_t room)
{
	size_t n = length - waiter->offset < room ? length - waiter->offset : room;

	memcpy(to, text + waiter->offset, n);
	waiter->offset += n;
	if (waiter->offset == length)
		waiter->offset = 0;
	return n;
}

/* The next bytes for one follower, 0 when there are none yet, -1 when it fell behind. */
static ssize_t follower_next(struct waits *waits, struct waiter *waiter, char *to, size_t room)
{
	static const char hello[] = "retry: 2000\n\n", ping[] = ":\n\n";
	static const char lost[] = "event: lost\ndata: {}\n\n";
	size_t n;

	if (!waiter->greeted) {
		n = follower_copy(waiter, hello, sizeof(hello) - 1, to, room);
		waiter->greeted = !waiter->offset;
		return (ssize_t)n;
	}
	if (waiter->lost) {
		n = follower_copy(waiter, lost, sizeof(lost) - 1, to, room);
		waiter->lost = waiter->offset != 0;
		return (ssize_t)n;
	}
	if (waiter->serial < waits->first)
		return -1;
	while (!waiter->pinging && waiter->serial < waits->next) {
		const struct event *event = &waits->events[waiter->serial % EVENTS_KEPT];

		if (!waiter->id || waiter->id == event->id) {
			n = follower_copy(waiter, event->text, event->length, to, room);
			waiter->serial += !waiter->offset;
			return (ssize_t)n;
		}
		waiter->serial++;
	}
	if (!waiter->ping)
		return 0;
	n = follower_copy(waiter, ping, sizeof(ping) - 1, to, room);
	waiter->ping = waiter->pinging = waiter->offset != 0;
	return (ssize_t)n;
}

static ssize_t follower_read(void *data, uint64_t position, char *to, size_t room)
{
	struct waiter *waiter = data;
	struct waits *waits = waiter->rest->waits;
	ssize_t n;

	(void)pthread_mutex_lock(&waits->lock);
	n = follower_next(waits, waiter, to, room);
	if (n < 0 || atomic_load(&waiter->rest->stopping)) {
		n = MHD_CONTENT_READER_END_OF_STREAM;
	} else if (!n) {
		waiter->suspended = true;
		MHD_suspend_connection(waiter->connection);
	}
	(void)pthread_mutex_unlock(&waits->lock);
	return n;
}

static void follower_free(void *data)
{
	struct waiter *waiter = data;
	struct waits *waits = waiter->rest->waits;

	(void)pthread_mutex_lock(&waits->lock);
	waiter_unlink(waits, waiter);
	(void)pthread_mutex_unlock(&waits->lock);
	client_wait_done(waiter->client);
	free(waiter);
}

/* Put @waiter on the list, behind what a client that comes back has seen; false: too many wait. */
static bool follower_link(struct waits *waits, struct waiter *waiter, const char *last)
{
	int64_t serial;
	bool room;

	(void)pthread_mutex_lock(&waits->lock);
	room = waits->waiter_count < REST_WAITERS_MAX;
	waiter->serial = waits->next;
	if (last && parse_int64(last, &serial) >= 0) {
		uint64_t after = (uint64_t)serial + 1;

		waiter->lost = after < waits->first || after > waits->next;
		waiter->serial = waiter->lost ? waits->first : after;
	}
	if (room)
		waiter_link(waits, waiter);
	(void)pthread_mutex_unlock(&waits->lock);
	return room;
}

static void follower_headers(struct MHD_Response *response)
{
	response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, TYPE_EVENTS);
	response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-cache");
	response_header(response, MHD_HTTP_HEADER_ACCESS_CONTROL_ALLOW_ORIGIN, "*");
	response_header(response, "X-Accel-Buffering", "no");
}

/* libmicrohttpd ends a stream with its last chunk even when it has sent no body, and the client
 * would take that for the next answer. */
static int events_head(struct exchange *ex)
{
	struct MHD_Response *response =
		MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);

	follower_headers(response);
	return answer_queue(ex, MHD_HTTP_OK, response);
}

static int follower_answer(struct exchange *ex, struct waiter *waiter)
{
	struct MHD_Response *response = MHD_create_response_from_callback(
		MHD_SIZE_UNKNOWN, 4096, follower_read, waiter, follower_free);
	int r;

	if (!response) {
		follower_free(waiter);
		return -ENOMEM;
	}
	follower_headers(response);
	exchange_uncount(ex);
	r = answer_queue(ex, MHD_HTTP_OK, response);
	link_phase(ex->link, PHASE_HELD); /* nothing to say is not slow */
	return r;
}

const struct parameter event_parameters[] = {
	{ "id", PARAMETER_NUMBER, .most = INT64_MAX, .meaning = "Of one compose only." },
	{ "Last-Event-ID", PARAMETER_HEADER,
	  .meaning = "The last one that was seen: what came after it is sent first." },
	{ NULL },
};

int events_get(struct exchange *ex)
{
	const char *last = exchange_header(ex, event_parameters[1].name);
	const char *id = exchange_argument(ex, event_parameters[0].name, false);
	struct client *client = ex->link->client;
	struct waiter *waiter;
	int64_t number = 0;

	if (ex->head)
		return events_head(ex);
	if (!client_wait(ex->rest, client))
		return answer_waits(ex);
	waiter = calloc(1, sizeof(*waiter));
	if (!waiter) {
		client_wait_done(client);
		return -ENOMEM;
	}
	waiter->connection = ex->connection;
	waiter->rest = ex->rest;
	waiter->client = client;
	waiter->follower = true;
	if (id && parse_int64(id, &number) >= 0)
		waiter->id = number;
	if (follower_link(ex->rest->waits, waiter, last))
		return follower_answer(ex, waiter);
	client_wait_done(client);
	free(waiter);
	return answer_error(ex, MHD_HTTP_SERVICE_UNAVAILABLE,
			    "More than %d clients are waiting already.", REST_WAITERS_MAX);
}

/* The text of one event, but for its serial, or NULL. */
static char *event_data(struct rest *rest, const struct compose *compose)
{
	json_t *object = compose_to_json(compose, rest->public_url, JSON_CURRENT, false);
	json_auto_t *event = json_pack("{s:o, s:s}", "compose", object, "event", "state-changed");

	return event ? json_line(event) : NULL;
}

static void event_drop(struct waits *waits) /* the oldest; under lock */
{
	struct event *event = &waits->events[waits->first++ % EVENTS_KEPT];

	waits->event_bytes -= event->length;
	free(event->text);
	event->text = NULL;
}

/* @data: NULL: out of memory. Then whoever follows has fallen behind, and is told so when he comes
 * back. Under lock */
static void event_add(struct waits *waits, int64_t id, const char *data)
{
	char *text;
	int length = data ? asprintf(&text, "id: %" PRIu64 "\nevent: state-changed\ndata: %s\n",
				     waits->next, data)
			  : -1;

	if (length < 0) {
		while (waits->next > waits->first)
			event_drop(waits);
		waits->first = ++waits->next;
		return;
	}
	while (waits->next > waits->first && (waits->next - waits->first == EVENTS_KEPT ||
					      waits->event_bytes + (size_t)length > EVENTS_BYTES))
		event_drop(waits);
	waits->event_bytes += (size_t)length;
	waits->events[waits->next++ % EVENTS_KEPT] =
		(struct event){ .text = text, .length = (size_t)length, .id = id };
}

/* ---- what wakes them --------------------------------------------------- */

void wait_changed(struct rest *rest, const struct catalogue_event *event)
{
	struct waits *waits = rest->waits;
	bool changed = event->old_state != event->compose->state, followed;
	_cleanup_(freep) char *data = NULL;

	(void)pthread_mutex_lock(&waits->lock);
	/* Once somebody has followed, events are kept for when he comes back. */
	followed = changed && (waits->follower_count || waits->next != waits->first);
	(void)pthread_mutex_unlock(&waits->lock);
	if (followed)
		data = event_data(rest, event->compose);

	(void)pthread_mutex_lock(&waits->lock);
	if (followed)
		event_add(waits, event->compose->id, data);
	for (struct waiter *waiter = waits->waiters, *next; waiter; waiter = next) {
		next = waiter->next;
		if (waiter->follower ? followed
				     : waiter->id == event->compose->id &&
					       state_is_final(event->compose->state))
			waiter_resume(waits, waiter);
	}
	(void)pthread_mutex_unlock(&waits->lock);
}

void wait_tick(struct rest *rest, int64_t now_ms)
{
	struct waits *waits = rest->waits;
	bool ping;

	(void)pthread_mutex_lock(&waits->lock);
	ping = now_ms - waits->ping_ms >= EVENTS_PING_MS;
	if (ping)
		waits->ping_ms = now_ms;
	for (struct waiter *waiter = waits->waiters, *next; waiter; waiter = next) {
		next = waiter->next;
		waiter->ping |= waiter->follower && ping;
		if (waiter->follower ? ping : waiter->until_ms <= now_ms)
			waiter_resume(waits, waiter);
	}
	(void)pthread_mutex_unlock(&waits->lock);
}

void wait_end_all(struct rest *rest)
{
	struct waits *waits = rest->waits;

	(void)pthread_mutex_lock(&waits->lock);
	for (struct waiter *waiter = waits->waiters, *next; waiter; waiter = next) {
		next = waiter->next;
		waiter_resume(waits, waiter);
	}
	(void)pthread_mutex_unlock(&waits->lock);
}
