/* SPDX-License-Identifier: MIT */
/* core/daemon/fetch_queue.c: whose turn it is among the packages that are wanted.
 *
 * Readers come before what is fetched ahead of time; of those the party for whom least is fetched
 * now; of its servers the one that is asked least; there small packages before large ones, by
 * powers of two, unless one has waited for long. */
#include "core/daemon/fetch_queue.h"

#define LINES 40     /* the last one: of 2^39 bytes and more */
#define RETRY_MS 100 /* what there was no memory for */

/** struct fetch_lane - what a party wants from a server and can have in the same way; lives as long
 * as there is something in it
 * @filled: a bit for each line with something in it */
struct fetch_lane {
	struct fetch_lane *next; /* of the party */
	struct fetch_party *party;
	struct fetch_place *place;
	bool ahead, there;
	uint64_t filled;
	struct {
		struct fetch_claim *first, *last;
	} line[LINES];
};

/* ---- parties ------------------------------------------------------------ */

static struct fetch_party **party_bucket(struct fetches *table, const char *name)
{
	uint32_t hash = 0;

	for (; *name; name++)
		hash = (hash ^ (unsigned char)*name) * UINT32_C(16777619);
	return &table->parties[(hash >> 8) % FETCHES_PARTIES];
}

static struct fetch_party *party_get(struct fetches *table, const char *name)
{
	struct fetch_party **bucket = party_bucket(table, name), *party = *bucket;

	while (party && strcmp(party->name, name) != 0)
		party = party->next;
	if (party)
		return party;
	party = calloc(1, sizeof(*party));
	if (!party || !(party->name = strdup(name))) {
		free(party);
		return NULL;
	}
	party->next = *bucket;
	*bucket = party;
	return party;
}

static void party_put(struct fetches *table, struct fetch_party *party)
{
	struct fetch_party **link = party_bucket(table, party->name);

	if (party->claims || party->running)
		return;
	while (*link != party)
		link = &(*link)->next;
	*link = party->next;
	free(party->name);
	free(party);
}

/* ---- lanes and lines ---------------------------------------------------- */

static unsigned int line_of(uint64_t size)
{
	unsigned int bits = size ? 64 - (unsigned int)__builtin_clzll(size) : 0;

	return bits < LINES ? bits : LINES - 1;
}

static struct fetch_lane *lane_get(const struct fetch_claim *claim)
{
	const struct fetch *fetch = claim->fetch;
	struct fetch_lane *lane = claim->party->lanes;

	while (lane && (lane->place != fetch->place || lane->ahead != claim->ahead ||
			lane->there != fetch->there))
		lane = lane->next;
	if (lane)
		return lane;
	lane = calloc(1, sizeof(*lane));
	if (!lane)
		return NULL;
	lane->party = claim->party;
	lane->place = fetch->place;
	lane->ahead = claim->ahead;
	lane->there = fetch->there;
	lane->next = claim->party->lanes;
	claim->party->lanes = lane;
	return lane;
}

static void lane_free(struct fetch_lane *lane)
{
	struct fetch_lane **link = &lane->party->lanes;

	while (*link != lane)
		link = &(*link)->next;
	*link = lane->next;
	free(lane);
}

/* false: out of memory */
static bool line_add(struct fetch_claim *claim)
{
	struct fetch_lane *lane = lane_get(claim);
	unsigned int line = line_of(claim->fetch->size);

	if (!lane)
		return false;
	claim->lane = lane;
	claim->line = line;
	claim->after = NULL;
	claim->before = lane->line[line].last;
	*(claim->before ? &claim->before->after : &lane->line[line].first) = claim;
	lane->line[line].last = claim;
	lane->filled |= UINT64_C(1) << line;
	return true;
}

static void line_remove(struct fetch_claim *claim)
{
	struct fetch_lane *lane = claim->lane;
	unsigned int line = claim->line;

	if (!lane)
		return;
	*(claim->before ? &claim->before->after : &lane->line[line].first) = claim->after;
	*(claim->after ? &claim->after->before : &lane->line[line].last) = claim->before;
	claim->before = claim->after = NULL;
	claim->lane = NULL;
	if (!lane->line[line].first)
		lane->filled &= ~(UINT64_C(1) << line);
	if (!lane->filled)
		lane_free(lane);
}

/* ---- the queue ---------------------------------------------------------- */

static void later_add(struct fetches *table, struct fetch *fetch, int64_t later_ms)
{
	fetch->later_ms = later_ms;
	fetch->before = NULL;
	fetch->after = table->later;
	if (table->later)
		table->later->before = fetch;
	if (!table->later || later_ms < table->due_ms)
		table->due_ms = later_ms;
	table->later = fetch;
	table->delayed++;
}

static void later_remove(struct fetches *table, struct fetch *fetch)
{
	*(fetch->before ? &fetch->before->after : &table->later) = fetch->after;
	if (fetch->after)
		fetch->after->before = fetch->before;
	fetch->before = fetch->after = NULL;
	fetch->later_ms = 0;
	table->delayed--;
}

/* Into the lanes; without memory for them, some other time. */
static void enter(struct fetches *table, struct fetch *fetch, int64_t now_ms)
{
	for (struct fetch_claim *claim = fetch->claims; claim; claim = claim->next)
		if (!claim->lane && !line_add(claim)) {
			for (claim = fetch->claims; claim; claim = claim->next)
				line_remove(claim);
			later_add(table, fetch, now_ms + RETRY_MS);
			return;
		}
}

void queue_add(struct fetches *table, struct fetch *fetch, int64_t later_ms)
{
	fetch->state = FETCH_QUEUED;
	table->queued++;
	if (later_ms)
		later_add(table, fetch, later_ms);
	else
		enter(table, fetch, fetch->asked_ms);
}

void queue_remove(struct fetches *table, struct fetch *fetch)
{
	table->queued--;
	if (fetch->later_ms)
		later_remove(table, fetch);
	for (struct fetch_claim *claim = fetch->claims; claim; claim = claim->next)
		line_remove(claim);
}

/* Those whose pause is over; none is looked at before there is one. */
static void enter_due(struct fetches *table, int64_t now_ms)
{
	struct fetch *fetch = table->later;

	if (!fetch || table->due_ms > now_ms)
		return;
	table->later = NULL;
	table->delayed = 0;
	for (struct fetch *next; fetch; fetch = next) {
		int64_t later_ms = fetch->later_ms;

		next = fetch->after;
		fetch->before = fetch->after = NULL;
		fetch->later_ms = 0;
		if (later_ms > now_ms)
			later_add(table, fetch, later_ms);
		else
			enter(table, fetch, now_ms);
	}
}

/* ---- claims ------------------------------------------------------------- */

struct fetch_claim *fetch_claim_get(struct fetches *table, struct fetch *fetch, const char *name,
				    bool ahead, int64_t now_ms)
{
	struct fetch_party *party = party_get(table, name ? name : "");
	struct fetch_claim *claim = fetch->claims;

	if (!party)
		return NULL;
	while (claim && (claim->party != party || claim->ahead != ahead))
		claim = claim->next;
	if (claim)
		return claim;
	claim = calloc(1, sizeof(*claim));
	if (!claim) {
		party_put(table, party);
		return NULL;
	}
	claim->fetch = fetch;
	claim->party = party;
	claim->ahead = ahead;
	claim->since_ms = now_ms;
	claim->next = fetch->claims;
	fetch->claims = claim;
	party->claims++;
	if (fetch->state == FETCH_QUEUED && !fetch->later_ms)
		enter(table, fetch, now_ms);
	return claim;
}

void fetch_claim_drop(struct fetches *table, struct fetch_claim *claim)
{
	struct fetch_claim **link = &claim->fetch->claims;

	line_remove(claim);
	while (*link != claim)
		link = &(*link)->next;
	*link = claim->next;
	claim->party->claims--;
	party_put(table, claim->party);
	free(claim);
}

/* ---- who is next -------------------------------------------------------- */

static bool has_room(const struct fetches *table, const struct fetch_lane *lane, size_t most)
{
	const struct fetch_place *place = lane->place;

	if (lane->there)
		return table->looking < FETCHES_LOOKING;
	if (table->most_of_one && place->running >= table->most_of_one)
		return false;
	return table->running < most ||
	       (!table->strict && !place->running && table->running < 2 * most);
}

static bool is_aged(const struct fetch_claim *claim, int64_t now_ms)
{
	return now_ms - claim->since_ms >= FETCHES_AGED_MS;
}

/* @lane has something in it */
static struct fetch_claim *lane_next(const struct fetch_lane *lane, int64_t now_ms)
{
	struct fetch_claim *oldest = NULL;

	for (uint64_t filled = lane->filled; filled; filled &= filled - 1) {
		struct fetch_claim *claim = lane->line[__builtin_ctzll(filled)].first;

		if (!oldest || claim->since_ms < oldest->since_ms)
			oldest = claim;
	}
	return is_aged(oldest, now_ms) ? oldest : lane->line[__builtin_ctzll(lane->filled)].first;
}

/* Is @a's fetch to be started before @b's (NULL: anything is)? */
static bool comes_before(const struct fetch_claim *a, const struct fetch_claim *b, int64_t now_ms)
{
	if (!b || a->ahead != b->ahead)
		return !b || b->ahead;
	if (a->party->running != b->party->running)
		return a->party->running < b->party->running;
	if (a->fetch->place->running != b->fetch->place->running)
		return a->fetch->place->running < b->fetch->place->running;
	if (!is_aged(a, now_ms) && !is_aged(b, now_ms) && a->fetch->size != b->fetch->size)
		return a->fetch->size < b->fetch->size;
	return a->since_ms < b->since_ms;
}

struct fetch *fetches_next(struct fetches *table, size_t most, int64_t now_ms)
{
	struct fetch_claim *best = NULL;

	enter_due(table, now_ms);
	for (size_t i = 0; i < FETCHES_PARTIES; i++)
		for (struct fetch_party *party = table->parties[i]; party; party = party->next)
			for (struct fetch_lane *lane = party->lanes; lane; lane = lane->next) {
				struct fetch_claim *claim;

				if (!has_room(table, lane, most))
					continue;
				claim = lane_next(lane, now_ms);
				if (comes_before(claim, best, now_ms))
					best = claim;
			}
	return best ? best->fetch : NULL;
}

struct fetch *queue_bad(const struct fetches *table, int64_t now_ms)
{
	for (size_t i = 0; i < FETCHES_PARTIES; i++)
		for (struct fetch_party *party = table->parties[i]; party; party = party->next)
			for (struct fetch_lane *lane = party->lanes; lane; lane = lane->next)
				if (!lane->there && lane->place->bad_ms > now_ms)
					return lane_next(lane, now_ms)->fetch;
	return NULL;
}

void queue_charge(struct fetch *fetch)
{
	const struct fetch_claim *best = NULL;

	for (const struct fetch_claim *claim = fetch->claims; claim; claim = claim->next)
		if (!best ||
		    (claim->ahead == best->ahead ? claim->party->running < best->party->running
						 : best->ahead))
			best = claim;
	fetch->payer = best ? best->party : NULL;
	if (fetch->payer)
		fetch->payer->running++;
}

void queue_discharge(struct fetches *table, struct fetch *fetch)
{
	if (!fetch->payer)
		return;
	fetch->payer->running--;
	party_put(table, steal(fetch->payer));
}
