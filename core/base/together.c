/* SPDX-License-Identifier: MIT */
/* core/base/together.c: many things of one kind, several at a time.
 *
 *   threads: next number ─► one() ─► next …          caller: sleeps ─► progress() ─► … until all
 * left
 *
 * What a thread does is not begun any more once something failed; what is under way is finished. */
#include "core/base/base.h"

#include <pthread.h>
#include <signal.h>
#include <time.h>

#define STACK_BYTES (1u << 20) /* counts against the worker's memory; struct error lies on it */
#define PROGRESS_MS 100

struct crew {
	const struct together *work;
	pthread_mutex_t lock;
	pthread_cond_t news; /* for the caller: the last thread has left */
	/* under lock */
	size_t next, done;
	unsigned int numbered, running;
	size_t failed; /* lowest number that did; SIZE_MAX: none */
	int r;
	struct error error;
};

static void note_failure(struct crew *crew, size_t index, int r, const struct error *error)
{
	if (index >= crew->failed)
		return;
	crew->failed = index;
	crew->r = r;
	crew->error = *error;
}

static void *thread_main(void *data)
{
	struct crew *crew = data;
	unsigned int thread;

	(void)pthread_mutex_lock(&crew->lock);
	thread = crew->numbered++;
	while (crew->failed == SIZE_MAX && crew->next < crew->work->count) {
		struct error error = { 0 };
		size_t index = crew->next++;
		int r;

		(void)pthread_mutex_unlock(&crew->lock);
		r = crew->work->one(crew->work->data, thread, index, &error);
		(void)pthread_mutex_lock(&crew->lock);
		crew->done++;
		if (r < 0)
			note_failure(crew, index, r, &error);
	}
	if (--crew->running == 0)
		(void)pthread_cond_signal(&crew->news);
	(void)pthread_mutex_unlock(&crew->lock);
	return NULL;
}

static unsigned int start(struct crew *crew, pthread_t *thread, unsigned int wanted, int *ret_error)
{
	unsigned int started = 0;
	pthread_attr_t attributes;
	sigset_t all, before;

	*ret_error = pthread_attr_init(&attributes);
	if (*ret_error)
		return 0;
	(void)pthread_attr_setstacksize(&attributes, STACK_BYTES);
	(void)sigfillset(&all); /* signals are for the caller */
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	(void)pthread_mutex_lock(&crew->lock);
	while (started < wanted) {
		*ret_error = pthread_create(&thread[started], &attributes, thread_main, crew);
		if (*ret_error)
			break; /* fewer do it as well */
		started++;
		crew->running++;
	}
	(void)pthread_mutex_unlock(&crew->lock);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	(void)pthread_attr_destroy(&attributes);
	return started;
}

static void attend(struct crew *crew)
{
	const struct together *work = crew->work;
	size_t done;

	(void)pthread_mutex_lock(&crew->lock);
	do {
		struct timespec until;

		(void)clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_nsec += PROGRESS_MS * 1000000L;
		until.tv_sec += until.tv_nsec / 1000000000L;
		until.tv_nsec %= 1000000000L;
		while (crew->running)
			if (pthread_cond_timedwait(&crew->news, &crew->lock, &until))
				break; /* time to tell */
		done = crew->done;
		(void)pthread_mutex_unlock(&crew->lock);
		if (work->progress)
			work->progress(work->data, done);
		(void)pthread_mutex_lock(&crew->lock);
	} while (crew->running || done < crew->done);
	(void)pthread_mutex_unlock(&crew->lock);
}

int together(const struct together *work, struct error *err)
{
	struct crew crew = { .work = work, .failed = SIZE_MAX };
	unsigned int wanted = work->threads, started;
	pthread_t thread[TOGETHER_THREADS_MAX];
	pthread_condattr_t clock;
	int failure = 0;

	if (!work->count)
		return 0;
	if (!wanted || wanted > TOGETHER_THREADS_MAX)
		wanted = TOGETHER_THREADS_MAX;
	if (wanted > work->count)
		wanted = (unsigned int)work->count;
	(void)pthread_mutex_init(&crew.lock, NULL);
	(void)pthread_condattr_init(&clock);
	(void)pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&crew.news, &clock);
	(void)pthread_condattr_destroy(&clock);
	started = start(&crew, thread, wanted, &failure);
	attend(&crew);
	for (unsigned int i = 0; i < started; i++)
		(void)pthread_join(thread[i], NULL);
	(void)pthread_cond_destroy(&crew.news);
	(void)pthread_mutex_destroy(&crew.lock);
	if (!started)
		return error_errno(err, -failure, "cannot start a thread");
	if (crew.r < 0 && err)
		*err = crew.error;
	return crew.r;
}
