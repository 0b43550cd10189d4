/* SPDX-License-Identifier: MIT */
/* core/daemon/lease.c: who reads a compose keeps it ([lifetime] read_lease, `lease` of a request).
 *
 *   reader ─► leases_read(): a note in a table        any thread, never waits for a disk
 *   expiry ─► leases_write(): catalogue_lease()       once a minute, and before anything expires
 *
 * Each compose costs one write a minute, however often it is read. When something is due to expire,
 * the notes about it are written first: a read that came in time always counts. */
#include "core/daemon/daemon.h"

#define WRITE_MS 60000	  /* between writes for one compose */
#define BATCH 128	  /* of one commit */
#define ENTRIES_MIN 256	  /* of the table: a power of two */
#define NEVER (-WRITE_MS) /* before the clock began */

/** struct entry - a compose whose tree was read; @id 0: free */
struct entry {
	int64_t id;
	int64_t time_read;
	int64_t written_ms;
	bool noted; /* read since it was written */
};

struct leases {
	const struct config *config;
	struct catalogue *catalogue;
	pthread_mutex_t lock; /* for the rest; held for the table only */
	struct entry *entry;
	size_t room, count; /* at most half of them are in use */
	unsigned int rebuilt;
	bool failed; /* the last write: said once. The expiry thread's own */
};

/* ---- the table, under the lock ---------------------------------------------- */

static struct entry *place_of(struct entry *entry, size_t room, int64_t id)
{
	size_t at = (uint64_t)id * UINT64_C(0x9e3779b97f4a7c15) >> 40 & (room - 1);

	while (entry[at].id && entry[at].id != id)
		at = (at + 1) & (room - 1);
	return &entry[at];
}

static bool is_kept(const struct entry *entry, int64_t now_ms)
{
	return entry->id && (entry->noted || now_ms - entry->written_ms < WRITE_MS);
}

/* Make room, or give it back: what was not read for a minute is forgotten. */
static int rebuild(struct leases *leases, int64_t now_ms)
{
	size_t count = 0, room = ENTRIES_MIN;
	struct entry *fresh;

	for (size_t i = 0; i < leases->room; i++)
		count += is_kept(&leases->entry[i], now_ms);
	while (room < 4 * (count + 1))
		room *= 2;
	fresh = calloc(room, sizeof(*fresh));
	if (!fresh)
		return -ENOMEM;
	for (size_t i = 0; i < leases->room; i++)
		if (is_kept(&leases->entry[i], now_ms))
			*place_of(fresh, room, leases->entry[i].id) = leases->entry[i];
	free(leases->entry);
	leases->entry = fresh;
	leases->room = room;
	leases->count = count;
	leases->rebuilt++;
	return 0;
}

void leases_read(void *data, int64_t id)
{
	struct leases *leases = data;
	int64_t now = time_now();
	struct entry *entry;

	(void)pthread_mutex_lock(&leases->lock);
	if (2 * (leases->count + 1) <= leases->room || rebuild(leases, time_monotonic_ms()) == 0) {
		entry = place_of(leases->entry, leases->room, id);
		if (!entry->id) {
			*entry = (struct entry){ .id = id, .written_ms = NEVER };
			leases->count++;
		}
		entry->time_read = now > entry->time_read ? now : entry->time_read;
		entry->noted = true;
	}
	(void)pthread_mutex_unlock(&leases->lock);
}

/* ---- writing ------------------------------------------------------------------ */

/** struct round - one look through the table, in batches */
struct round {
	enum lease_round kind;
	size_t at;
	unsigned int rebuilt;
	struct lease lease[BATCH];
	size_t count;
};

static bool is_meant(const struct round *round, const struct entry *entry, int64_t now_ms)
{
	return entry->noted &&
	       (round->kind != LEASE_ROUND_MINUTE || now_ms - entry->written_ms >= WRITE_MS);
}

/* The next notes; false: there are no more. A table that was built anew is looked through anew. */
static bool take(struct leases *leases, struct round *round)
{
	int64_t now_ms = time_monotonic_ms();

	round->count = 0;
	(void)pthread_mutex_lock(&leases->lock);
	if (round->rebuilt != leases->rebuilt)
		round->at = 0;
	round->rebuilt = leases->rebuilt;
	for (; round->at < leases->room && round->count < BATCH; round->at++) {
		struct entry *entry = &leases->entry[round->at];

		if (!is_meant(round, entry, now_ms))
			continue;
		round->lease[round->count++] =
			(struct lease){ .id = entry->id, .time_read = entry->time_read };
		if (round->kind == LEASE_ROUND_DUE)
			continue; /* not all of them are written: they stay noted */
		entry->noted = false;
		entry->written_ms = now_ms;
	}
	(void)pthread_mutex_unlock(&leases->lock);
	return round->count;
}

static void give_back(struct leases *leases, const struct round *round)
{
	(void)pthread_mutex_lock(&leases->lock);
	for (size_t i = 0; i < round->count; i++) {
		struct entry *entry = place_of(leases->entry, leases->room, round->lease[i].id);

		if (entry->id)
			entry->noted = true;
	}
	(void)pthread_mutex_unlock(&leases->lock);
}

void leases_write(struct leases *leases, enum lease_round kind, int64_t now)
{
	const struct lease_terms terms = {
		.seconds = leases->config->lifetime_read_lease,
		.most = leases->config->lifetime_maximum,
		.expiring = kind == LEASE_ROUND_DUE ? now : INT64_MAX,
	};
	struct round round = { .kind = kind };
	struct error err = { 0 };
	int r = 0;

	while (r >= 0 && take(leases, &round)) {
		r = catalogue_lease(leases->catalogue, round.lease, round.count, &terms, &err);
		if (r < 0)
			give_back(leases, &round);
	}
	if (r < 0 && !leases->failed)
		log_error("leases of composes that were read: %s", err.message);
	leases->failed = r < 0;
}

int leases_new(const struct config *config, struct catalogue *catalogue, struct leases **ret)
{
	struct leases *leases = calloc(1, sizeof(*leases));

	if (!leases)
		return -ENOMEM;
	leases->config = config;
	leases->catalogue = catalogue;
	(void)pthread_mutex_init(&leases->lock, NULL);
	*ret = leases;
	return 0;
}

void leases_free(struct leases *leases)
{
	if (!leases)
		return;
	(void)pthread_mutex_destroy(&leases->lock);
	free(leases->entry);
	free(leases);
}
