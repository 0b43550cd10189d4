/* SPDX-License-Identifier: MIT */
/* core/daemon/verifier.c: one file after another, in the order in which they came; large ones by a
 * thread of their own, so that nobody who wants a small one waits for gigabytes to be read. */
#include "core/daemon/verifier.h"

#include <pthread.h>

#define LARGE (16u << 20) /* bytes; that much is read in a few hundredths of a second */

enum { LANE_SMALL, LANE_LARGE, LANES };

/** struct verifier_lane - a queue, and the thread that works it off */
struct verifier_lane {
	struct verifier *verifier;
	pthread_t thread;
	bool running;
	pthread_cond_t more;
	struct verification *todo, **last; /* under lock */
};

struct verifier {
	struct tree_store *trees;
	void (*done)(void *data);
	void *data;
	struct verifier_lane lane[LANES];
	pthread_mutex_t lock; /* for the rest; nothing else is locked under it */
	bool stop;
	struct verification *over;
};

int verifier_new(struct tree_store *trees, void (*done)(void *data), void *data,
		 struct verifier **ret)
{
	struct verifier *verifier = calloc(1, sizeof(*verifier));

	if (!verifier)
		return -ENOMEM;
	verifier->trees = trees;
	verifier->done = done;
	verifier->data = data;
	(void)pthread_mutex_init(&verifier->lock, NULL);
	for (size_t i = 0; i < LANES; i++) {
		struct verifier_lane *lane = &verifier->lane[i];

		lane->verifier = verifier;
		lane->last = &lane->todo;
		(void)pthread_cond_init(&lane->more, NULL);
	}
	*ret = verifier;
	return 0;
}

static void verify(struct verifier *verifier, struct verification *item)
{
	item->r = item->work_dirfd >= 0
			  ? tree_package_take(verifier->trees, item->work_dirfd, &item->want,
					      item->reserved, &item->err)
			  : tree_package_verify(verifier->trees, &item->want, &item->err);
}

static void *run(void *data)
{
	struct verifier_lane *lane = data;
	struct verifier *verifier = lane->verifier;

	(void)pthread_mutex_lock(&verifier->lock);
	while (!verifier->stop) {
		struct verification *item = lane->todo;

		if (!item) {
			(void)pthread_cond_wait(&lane->more, &verifier->lock);
			continue;
		}
		lane->todo = item->next;
		if (!lane->todo)
			lane->last = &lane->todo;
		(void)pthread_mutex_unlock(&verifier->lock);
		verify(verifier, item);
		(void)pthread_mutex_lock(&verifier->lock);
		item->next = verifier->over;
		verifier->over = item;
		verifier->done(verifier->data);
	}
	(void)pthread_mutex_unlock(&verifier->lock);
	return NULL;
}

int verifier_start(struct verifier *verifier, struct error *err)
{
	int r = 0;

	for (size_t i = 0; i < LANES && r == 0; i++) {
		r = pthread_create(&verifier->lane[i].thread, NULL, run, &verifier->lane[i]);
		verifier->lane[i].running = r == 0;
	}
	if (r == 0)
		return 0;
	verifier_stop(verifier);
	return error_errno(err, -r, "cannot start the verifier of packages");
}

void verifier_add(struct verifier *verifier, struct verification *item)
{
	struct verifier_lane *lane =
		&verifier->lane[item->want.size > LARGE ? LANE_LARGE : LANE_SMALL];

	item->next = NULL;
	(void)pthread_mutex_lock(&verifier->lock);
	*lane->last = item;
	lane->last = &item->next;
	(void)pthread_cond_signal(&lane->more);
	(void)pthread_mutex_unlock(&verifier->lock);
}

struct verification *verifier_collect(struct verifier *verifier)
{
	struct verification *list;

	(void)pthread_mutex_lock(&verifier->lock);
	list = verifier->over;
	verifier->over = NULL;
	(void)pthread_mutex_unlock(&verifier->lock);
	return list;
}

void verifier_stop(struct verifier *verifier)
{
	(void)pthread_mutex_lock(&verifier->lock);
	verifier->stop = true;
	for (size_t i = 0; i < LANES; i++)
		(void)pthread_cond_signal(&verifier->lane[i].more);
	(void)pthread_mutex_unlock(&verifier->lock);
	for (size_t i = 0; i < LANES; i++) {
		if (verifier->lane[i].running)
			(void)pthread_join(verifier->lane[i].thread, NULL);
		verifier->lane[i].running = false;
	}
}

static void list_free(struct verification *list)
{
	while (list) {
		struct verification *next = list->next;

		free(list);
		list = next;
	}
}

void verifier_free(struct verifier *verifier)
{
	if (!verifier)
		return;
	verifier_stop(verifier);
	for (size_t i = 0; i < LANES; i++) {
		list_free(verifier->lane[i].todo);
		(void)pthread_cond_destroy(&verifier->lane[i].more);
	}
	list_free(verifier->over);
	(void)pthread_mutex_destroy(&verifier->lock);
	free(verifier);
}
