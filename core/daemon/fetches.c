/* SPDX-License-Identifier: MIT */
/* core/daemon/fetches.c: the table of packages that are wanted. */
#include "core/daemon/fetch_queue.h"

#define BUCKETS 256 /* at first */

/* ---- the table --------------------------------------------------------- */

int fetches_init(struct fetches *table, int64_t timeout_ms)
{
	*table = (struct fetches){ .buckets = BUCKETS, .timeout_ms = timeout_ms };
	table->bucket = calloc(table->buckets, sizeof(struct fetch *));
	return table->bucket ? 0 : -ENOMEM;
}

static void fetch_free(struct fetch *fetch)
{
	if (fetch->arrival) /* nobody is to wait for more of it */
		tree_arrival_end(fetch->arrival, false);
	tree_arrival_unref(fetch->arrival);
	free(fetch->base);
	free(fetch->path);
	free(fetch->other_base);
	free(fetch->other_path);
	free(fetch->words);
	free(fetch);
}

static void place_free(struct fetch_place **link)
{
	struct fetch_place *place = *link;

	*link = place->next;
	free(place->name);
	free(place->words);
	free(place);
}

void fetches_done(struct fetches *table)
{
	for (size_t i = 0; table->bucket && i < table->buckets; i++)
		while (table->bucket[i]) {
			struct fetch *fetch = table->bucket[i];

			table->bucket[i] = fetch->next;
			queue_discharge(table, fetch);
			while (fetch->claims)
				fetch_claim_drop(table, fetch->claims);
			fetch_free(fetch);
		}
	while (table->places)
		place_free(&table->places);
	free(table->bucket);
}

static struct fetch **bucket_of(struct fetches *table, const char *sha256)
{
	char head[9] = { 0 };

	memcpy(head, sha256, 8);
	return &table->bucket[strtoul(head, NULL, 16) % table->buckets];
}

/* A size is part of what is wanted: who is told a wrong one by his repository takes nothing from
 * those who know the right one. */
static bool is_of(const struct fetch *fetch, const struct tree_want *want)
{
	return fetch->size == want->size && !strcmp(fetch->sha256, want->sha256);
}

struct fetch *fetches_find(struct fetches *table, const struct tree_want *want)
{
	struct fetch *fetch = *bucket_of(table, want->sha256);

	while (fetch && (fetch->state == FETCH_OVER || !is_of(fetch, want)))
		fetch = fetch->next;
	return fetch;
}

static bool is_from(const struct fetch *fetch, const struct tree_want *want)
{
	return !strcmp(fetch->base, want->base) && !strcmp(fetch->path, want->path);
}

/* What is known of this source of it */
static struct fetch *find_failed(struct fetches *table, const struct tree_want *want)
{
	struct fetch *fetch = *bucket_of(table, want->sha256);

	while (fetch &&
	       (fetch->state != FETCH_OVER || !is_of(fetch, want) || !is_from(fetch, want)))
		fetch = fetch->next;
	return fetch;
}

/* Nothing is to come from there any more; what is wrong with it is remembered (fetches_tidy()). */
static void place_put(struct fetches *table, struct fetch_place *place)
{
	struct fetch_place **link = &table->places;

	if (--place->fetches || place->failures)
		return;
	while (*link != place)
		link = &(*link)->next;
	place_free(link);
}

static void drop(struct fetches *table, struct fetch *fetch)
{
	struct fetch **link = bucket_of(table, fetch->sha256);

	while (*link != fetch)
		link = &(*link)->next;
	*link = fetch->next;
	table->count--;
	place_put(table, fetch->place);
	fetch_free(fetch);
}

/* Longer chains are no error, so neither is a table that cannot grow. */
static void grow(struct fetches *table)
{
	struct fetch **old = table->bucket, **bucket;
	size_t count = table->buckets;

	if (table->count < count)
		return;
	bucket = calloc(count * 4, sizeof(struct fetch *));
	if (!bucket)
		return;
	table->bucket = bucket;
	table->buckets = count * 4;
	for (size_t i = 0; i < count; i++)
		while (old[i]) {
			struct fetch *fetch = old[i], **place;

			old[i] = fetch->next;
			place = bucket_of(table, fetch->sha256);
			fetch->next = *place;
			*place = fetch;
		}
	free(old);
}

/* ---- places ------------------------------------------------------------ */

/* Up to the path: what a server may do wrong it does to all that lies on it. */
static size_t place_length(const char *base)
{
	const char *host = strstr(base, "://");

	return host ? (size_t)(host + 3 - base) + strcspn(host + 3, "/?#") : strlen(base);
}

static struct fetch_place *place_find(const struct fetches *table, const char *base)
{
	size_t length = place_length(base);
	struct fetch_place *place = table->places;

	while (place && (strlen(place->name) != length || memcmp(place->name, base, length) != 0))
		place = place->next;
	return place;
}

static struct fetch_place *place_get(struct fetches *table, const char *base)
{
	struct fetch_place *place = place_find(table, base);

	if (place)
		return place;
	place = calloc(1, sizeof(*place));
	if (!place || !(place->name = strndup(base, place_length(base)))) {
		free(place);
		return NULL;
	}
	place->next = table->places;
	table->places = place;
	return place;
}

/* A server that is not there is told by one failure, one that does not answer may do so for one
 * file only. */
static void place_judge(struct fetch_place *place, const struct error *failure, int64_t now_ms)
{
	bool gone, slow;
	int code = failure ? failure->code : 0;
	char *words;

	gone = code == -ECONNREFUSED || code == -EHOSTUNREACH;
	slow = code == -ETIMEDOUT;
	if (!gone && !slow) {
		place->failures = 0;
		return;
	}
	place->failures++;
	place->failed_ms = now_ms;
	if (slow && place->failures < 2)
		return;
	words = strdup(failure->message);
	if (!words)
		return;
	free(place->words);
	place->words = words;
	place->code = code;
	place->bad_ms = now_ms + FETCHES_PLACE_MS;
}

static bool place_is_bad(const struct fetch_place *place, int64_t now_ms)
{
	return place->bad_ms > now_ms;
}

int64_t fetches_bad_until(const struct fetches *table, const char *base, int64_t now_ms)
{
	const struct fetch_place *place = place_find(table, base);

	return place && place_is_bad(place, now_ms) ? place->bad_ms : 0;
}

static int say_bad(const struct fetch_place *place, struct error *err)
{
	return error_set(err, place->code, BLAME_SOURCE, NULL, "%s (a moment ago)", place->words);
}

/* ---- asking ------------------------------------------------------------ */

static struct fetch *make(struct fetches *table, const struct tree_want *want,
			  struct fetch_place *place, int64_t now_ms)
{
	struct fetch *fetch = calloc(1, sizeof(*fetch));

	if (!fetch)
		return NULL;
	memcpy(fetch->sha256, want->sha256, sizeof(fetch->sha256));
	fetch->size = want->size;
	fetch->base = strdup(want->base);
	fetch->path = strdup(want->path);
	fetch->place = place;
	if (!fetch->base || !fetch->path) {
		fetch_free(fetch);
		return NULL;
	}
	place->fetches++;
	fetch->asked_ms = now_ms;
	fetch->there = want->there;
	grow(table);
	fetch->next = *bucket_of(table, fetch->sha256);
	*bucket_of(table, fetch->sha256) = fetch;
	table->count++;
	queue_add(table, fetch, 0);
	return fetch;
}

/* Who asks knows another source of the same bytes: it is next when this one fails. */
static void note_other(struct fetch *fetch, const struct tree_want *want)
{
	_cleanup_(freep) char *base = NULL, *path = NULL;

	if (fetch->other_base || fetch->turned || is_from(fetch, want))
		return;
	base = strdup(want->base);
	path = strdup(want->path);
	if (!base || !path)
		return; /* then there is the one source */
	fetch->other_base = steal(base);
	fetch->other_path = steal(path);
}

/* Once: who waits is to be told some time. False: there is no other source. */
static bool turn_to_other(struct fetches *table, struct fetch *fetch)
{
	struct fetch_place *place = fetch->other_base ? place_get(table, fetch->other_base) : NULL;

	if (!place)
		return false;
	free(fetch->base);
	free(fetch->path);
	fetch->base = steal(fetch->other_base);
	fetch->path = steal(fetch->other_path);
	place->fetches++;
	place_put(table, fetch->place);
	fetch->place = place;
	fetch->turned = true;
	fetch->tries = 0;
	return true;
}

static void turn_queued(struct fetches *table, struct fetch *fetch)
{
	queue_remove(table, fetch);
	(void)turn_to_other(table, fetch);
	queue_add(table, fetch, 0);
}

static void wait_for(struct fetches *table, struct fetch_claim *claim, struct tree_waiter *waiter,
		     int64_t now_ms)
{
	struct fetch *fetch = claim->fetch;

	if (!waiter->until_ms)
		waiter->until_ms = now_ms + table->timeout_ms;
	waiter->claim = claim;
	claim->waiters++;
	waiter->next = fetch->waiters;
	fetch->waiters = waiter;
	fetch->alone_ms = 0;
	table->waiting++;
}

int fetches_ask(struct fetches *table, const struct tree_want *want, struct tree_waiter *waiter,
		const char *party, int64_t now_ms, struct error *err)
{
	struct fetch *fetch = fetches_find(table, want);
	struct fetch *failed = fetch ? NULL : find_failed(table, want);
	struct fetch_claim *claim;
	struct fetch_place *place;

	if (failed && failed->forget_ms > now_ms)
		return error_set(err, failed->code, failed->blame, NULL, "%s", failed->words);
	if (failed)
		drop(table, failed);
	if (fetch)
		note_other(fetch, want);
	if (fetch && fetch->state == FETCH_QUEUED && place_is_bad(fetch->place, now_ms))
		turn_queued(table, fetch);
	place = fetch ? fetch->place : place_get(table, want->base);
	if (!place)
		return error_oom(err);
	if ((fetch ? fetch->state == FETCH_QUEUED && !fetch->there : !want->there) &&
	    place_is_bad(place, now_ms))
		return say_bad(place, err);
	if (!fetch)
		fetch = make(table, want, place, now_ms);
	claim = fetch ? fetch_claim_get(table, fetch, party, !waiter, now_ms) : NULL;
	if (!claim)
		return error_oom(err);
	if (waiter)
		wait_for(table, claim, waiter, now_ms);
	return 0;
}

static void waiter_remove(struct fetches *table, struct tree_waiter *waiter, int64_t now_ms)
{
	struct fetch_claim *claim = waiter->claim;
	struct fetch *fetch = claim->fetch;
	struct tree_waiter **link = &fetch->waiters;

	while (*link != waiter)
		link = &(*link)->next;
	*link = waiter->next;
	waiter->next = NULL;
	waiter->claim = NULL;
	table->waiting--;
	if (!--claim->waiters)
		fetch_claim_drop(table, claim);
	if (!fetch->claims)
		fetch->alone_ms = now_ms;
}

bool fetches_forget(struct fetches *table, struct tree_waiter *waiter, int64_t now_ms)
{
	if (!waiter->claim)
		return false;
	waiter_remove(table, waiter, now_ms);
	return true;
}

/* ---- what runs --------------------------------------------------------- */

void fetches_start(struct fetches *table, struct fetch *fetch, int64_t now_ms)
{
	queue_remove(table, fetch);
	queue_charge(fetch);
	fetch->state = FETCH_RUNNING;
	fetch->started_ms = now_ms;
	if (fetch->there) { /* it costs nobody's connection */
		table->looking++;
		return;
	}
	fetch->place->running++;
	table->running++;
}

static void stop(struct fetches *table, struct fetch *fetch)
{
	if (fetch->state == FETCH_QUEUED)
		queue_remove(table, fetch);
	if (fetch->state != FETCH_RUNNING)
		return;
	queue_discharge(table, fetch);
	if (fetch->there) {
		table->looking--;
		return;
	}
	fetch->place->running--;
	table->running--;
}

void fetches_again(struct fetches *table, struct fetch *fetch, int64_t later_ms)
{
	stop(table, fetch);
	fetch->there = false;
	queue_add(table, fetch, later_ms);
}

void fetches_delay(struct fetches *table, struct fetch *fetch, int64_t later_ms)
{
	queue_remove(table, fetch);
	queue_add(table, fetch, later_ms);
}

static void remember(struct fetches *table, struct fetch *fetch, const struct error *failure,
		     int64_t now_ms)
{
	fetch->state = FETCH_OVER;
	fetch->code = failure->code;
	fetch->blame = failure->blame;
	fetch->words = strdup(failure->message);
	fetch->forget_ms =
		now_ms + (failure->code == -ENOSPC ? FETCHES_FULL_MS : FETCHES_FAILED_MS);
	if (!fetch->words)
		drop(table, fetch);
}

/* What nobody waits for can wait for the server. Who wanted it at once is told. */
static bool put_off(struct fetches *table, struct fetch *fetch, int64_t now_ms)
{
	bool ahead = false;

	for (struct fetch_claim *claim = fetch->claims, *next; claim; claim = next) {
		next = claim->next;
		ahead = ahead || claim->ahead;
		if (!claim->ahead)
			fetch_claim_drop(table, claim);
	}
	if (!ahead || !place_is_bad(fetch->place, now_ms) ||
	    fetch->ahead_tries == FETCHES_AHEAD_TRIES)
		return false;
	fetch->ahead_tries++;
	fetch->tries = 0;
	queue_add(table, fetch, fetch->place->bad_ms);
	return true;
}

struct tree_waiter *fetches_end(struct fetches *table, struct fetch *fetch,
				const struct error *failure, int64_t now_ms)
{
	struct tree_waiter *waiters = fetch->waiters;
	bool failed = failure && failure->code;

	if (fetch->state == FETCH_RUNNING && !fetch->there)
		place_judge(fetch->place, failure, now_ms);
	stop(table, fetch);
	if (failed && failure->blame == BLAME_SOURCE && turn_to_other(table, fetch)) {
		queue_add(table, fetch, 0);
		return NULL;
	}
	for (struct tree_waiter *waiter = waiters; waiter; waiter = waiter->next) {
		waiter->claim = NULL;
		table->waiting--;
	}
	fetch->waiters = NULL;
	if (failed && put_off(table, fetch, now_ms))
		return waiters;
	while (fetch->claims)
		fetch_claim_drop(table, fetch->claims);
	if (failed)
		remember(table, fetch, failure, now_ms);
	else
		drop(table, fetch);
	return waiters;
}

struct tree_waiter *fetches_came(struct fetches *table, struct fetch *fetch, uint64_t came,
				 int64_t now_ms)
{
	struct tree_waiter *enough = NULL;
	bool more = came > fetch->came;

	fetch->came = came;
	for (struct tree_waiter *waiter = fetch->waiters, *next; waiter; waiter = next) {
		next = waiter->next;
		if (waiter->need && waiter->need <= came) {
			waiter_remove(table, waiter, now_ms);
			waiter->next = enough;
			enough = waiter;
		} else if (more) {
			waiter->until_ms = now_ms + table->timeout_ms;
		}
	}
	return enough;
}

struct fetch *fetches_bad(struct fetches *table, int64_t now_ms, struct error *failure)
{
	struct fetch *fetch = queue_bad(table, now_ms);

	if (fetch)
		(void)say_bad(fetch->place, failure);
	return fetch;
}

/* ---- time -------------------------------------------------------------- */

struct tree_waiter *fetches_late(struct fetches *table, int64_t now_ms)
{
	struct tree_waiter *late = NULL;

	for (size_t i = 0; table->waiting && i < table->buckets; i++)
		for (struct fetch *fetch = table->bucket[i]; fetch; fetch = fetch->next)
			for (struct tree_waiter *waiter = fetch->waiters, *next; waiter;
			     waiter = next) {
				next = waiter->next;
				if (waiter->until_ms > now_ms)
					continue;
				waiter_remove(table, waiter, now_ms);
				waiter->next = late;
				late = waiter;
			}
	return late;
}

static void tidy_places(struct fetches *table, int64_t now_ms)
{
	for (struct fetch_place **link = &table->places; *link;) {
		const struct fetch_place *place = *link;

		if (place->fetches || place_is_bad(place, now_ms) ||
		    (place->failures && now_ms - place->failed_ms < FETCHES_ROW_MS))
			link = &(*link)->next;
		else
			place_free(link);
	}
}

static bool is_wanted(const struct fetch *fetch)
{
	return fetch->claims || tree_arrival_is_read(fetch->arrival);
}

bool fetches_alone(const struct fetches *table, struct fetch *fetch, int64_t now_ms)
{
	if (is_wanted(fetch))
		fetch->alone_ms = 0;
	else if (!fetch->alone_ms)
		fetch->alone_ms = now_ms;
	return fetch->alone_ms && now_ms - fetch->alone_ms > table->timeout_ms;
}

void fetches_tidy(struct fetches *table, int64_t now_ms)
{
	for (size_t i = 0; i < table->buckets; i++)
		for (struct fetch *fetch = table->bucket[i], *next; fetch; fetch = next) {
			bool over = fetch->state == FETCH_OVER && fetch->forget_ms <= now_ms;
			bool unwanted = fetch->state == FETCH_QUEUED && !is_wanted(fetch);

			next = fetch->next;
			if (unwanted)
				queue_remove(table, fetch);
			if (unwanted || over)
				drop(table, fetch);
		}
	tidy_places(table, now_ms);
}
