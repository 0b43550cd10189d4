/* SPDX-License-Identifier: MIT */
/* core/daemon/verifier.c: one file after another, in the order in which they came. */
#include "core/daemon/verifier.h"

#include <pthread.h>

struct verifier {
	struct tree_store *trees;
	void (*done)(void *data);
	void *data;
	pthread_t thread;
	bool running;
	pthread_mutex_t lock; /* for the rest; nothing else is locked under it */
	pthread_cond_t more;
	bool stop;
	struct verification *todo, **last, *over;
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
	verifier->last = &verifier->todo;
	(void)pthread_mutex_init(&verifier->lock, NULL);
	(void)pthread_cond_init(&verifier->more, NULL);
	*ret = verifier;
	return 0;
}

static void verify(struct verifier *verifier, struct verification *item)
{
	item->r = item->work_dirfd >= 0
			  ? tree_package_take(verifier->trees, item->work_dirfd, item->want.sha256,
					      item->reserved, &item->err)
			  : tree_package_verify(verifier->trees, &item->want, &item->err);
}

static void *run(void *data)
{
	struct verifier *verifier = data;

	(void)pthread_mutex_lock(&verifier->lock);
	while (!verifier->stop) {
		struct verification *item = verifier->todo;

		if (!item) {
			(void)pthread_cond_wait(&verifier->more, &verifier->lock);
			continue;
		}
		verifier->todo = item->next;
		if (!verifier->todo)
			verifier->last = &verifier->todo;
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
	int r = pthread_create(&verifier->thread, NULL, run, verifier);

	verifier->running = r == 0;
	return r == 0 ? 0 : error_errno(err, -r, "cannot start the verifier of packages");
}

void verifier_add(struct verifier *verifier, struct verification *item)
{
	item->next = NULL;
	(void)pthread_mutex_lock(&verifier->lock);
	*verifier->last = item;
	verifier->last = &item->next;
	(void)pthread_cond_signal(&verifier->more);
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
	(void)pthread_cond_signal(&verifier->more);
	(void)pthread_mutex_unlock(&verifier->lock);
	if (verifier->running)
		(void)pthread_join(verifier->thread, NULL);
	verifier->running = false;
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
	list_free(verifier->todo);
	list_free(verifier->over);
	(void)pthread_cond_destroy(&verifier->more);
	(void)pthread_mutex_destroy(&verifier->lock);
	free(verifier);
}
