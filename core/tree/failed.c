/* SPDX-License-Identifier: MIT */
/* core/tree/failed.c: why files could not be read, whoever tried it: the answer to user.odcs.error,
 * on the page, and once in the compose's log. In memory, the last ones only. */
#include "core/tree/private.h"

#include <unistd.h>

int64_t tree_id(const struct tree *tree)
{
	return compose_tree_id(tree->record);
}

int failures_init(struct failures *failures)
{
	(void)pthread_mutex_init(&failures->lock, NULL);
	failures->last = calloc(FAILURES_KEPT, sizeof(*failures->last));
	return failures->last ? 0 : -ENOMEM;
}

void failures_done(struct failures *failures)
{
	for (size_t i = 0; failures->last && i < FAILURES_KEPT; i++)
		free(failures->last[i].words);
	free(failures->last);
	(void)pthread_mutex_destroy(&failures->lock);
}

/* Under the lock */
static struct failure *find(const struct failures *failures, int64_t id, uint32_t index)
{
	for (size_t i = 0; i < FAILURES_KEPT; i++)
		if (failures->last[i].words && failures->last[i].id == id &&
		    failures->last[i].index == index)
			return &failures->last[i];
	return NULL;
}

static void set(struct failures *failures, struct failure *failure, char *words)
{
	atomic_fetch_add(&failures->count, (words != NULL) - (failure->words != NULL));
	free(failure->words);
	failure->words = words;
}

void tree_reads_well(struct tree_store *store, int64_t id, uint32_t index)
{
	struct failures *failures = &store->failures;
	struct failure *failure;

	if (!atomic_load(&failures->count))
		return;
	(void)pthread_mutex_lock(&failures->lock);
	failure = find(failures, id, index);
	if (failure)
		set(failures, failure, NULL);
	(void)pthread_mutex_unlock(&failures->lock);
}

static void log_failure(struct tree_store *store, int64_t id, const char *words)
{
	struct error ignored = { 0 };
	_cleanup_(closep) int fd = tree_store_log_open(store, id, true, &ignored);
	char now[TIME_ISO_SIZE];

	if (fd >= 0)
		(void)dprintf(fd, "%s %s\n", time_iso(time_now(), now), words);
}

bool tree_failed(struct tree_store *store, int64_t id, uint32_t index, const char *words)
{
	struct failures *failures = &store->failures;
	char *copy = strdup(words);
	struct failure *failure;
	bool news;

	if (!copy)
		return false;
	(void)pthread_mutex_lock(&failures->lock);
	failure = find(failures, id, index);
	news = !failure || strcmp(failure->words, words) != 0;
	if (!failure)
		failure = &failures->last[failures->next++ % FAILURES_KEPT];
	if (news) {
		failure->id = id;
		failure->index = index;
		set(failures, failure, steal(copy));
	}
	(void)pthread_mutex_unlock(&failures->lock);
	free(copy);
	if (news)
		log_failure(store, id, words);
	return news;
}

int tree_failure(struct tree_store *store, int64_t id, uint32_t index, struct text *ret)
{
	struct failures *failures = &store->failures;
	const struct failure *failure;
	int r;

	if (!atomic_load(&failures->count))
		return -ENODATA;
	(void)pthread_mutex_lock(&failures->lock);
	failure = find(failures, id, index);
	r = failure ? text_adds(ret, failure->words) : -ENODATA;
	(void)pthread_mutex_unlock(&failures->lock);
	return r;
}
