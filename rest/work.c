/* SPDX-License-Identifier: MIT */
/* rest/work.c: requests that write wait for a disk, so they wait somewhere else.
 *
 * A thread of libmicrohttpd serves many connections: one POST that waits for its commit there makes
 * everybody on that thread wait. So an exchange that writes is parked, a thread that the daemon
 * lends (rest_work()) runs its handler, and the finished answer goes out from the connection's own
 * thread. The more of them write at a time, the more share one commit. Without lent threads the
 * handler runs where it is. */
#include "rest/work.h"

#include <pthread.h>

struct works {
	pthread_mutex_t lock;
	pthread_cond_t more, fewer;    /* exchanges to do; threads that left */
	struct exchange *first, *last; /* under lock, as all below */
	unsigned int threads;
	bool ended;
};

int works_new(struct works **ret)
{
	struct works *works = calloc(1, sizeof(*works));

	if (!works)
		return -ENOMEM;
	(void)pthread_mutex_init(&works->lock, NULL);
	(void)pthread_cond_init(&works->more, NULL);
	(void)pthread_cond_init(&works->fewer, NULL);
	*ret = works;
	return 0;
}

void works_free(struct works *works)
{
	if (!works)
		return;
	(void)pthread_cond_destroy(&works->more);
	(void)pthread_cond_destroy(&works->fewer);
	(void)pthread_mutex_destroy(&works->lock);
	free(works);
}

bool work_park(struct exchange *ex, exchange_handler *handler)
{
	struct works *works = ex->rest->works;
	bool parked;

	(void)pthread_mutex_lock(&works->lock);
	parked = works->threads && !works->ended;
	if (parked) {
		ex->work = handler;
		ex->work_next = NULL;
		if (works->last)
			works->last->work_next = ex;
		else
			works->first = ex;
		works->last = ex;
		MHD_suspend_connection(ex->connection);
		(void)pthread_cond_signal(&works->more);
	}
	(void)pthread_mutex_unlock(&works->lock);
	return parked;
}

static struct exchange *work_take(struct works *works) /* under lock */
{
	struct exchange *ex = works->first;

	if (ex) {
		works->first = ex->work_next;
		if (!works->first)
			works->last = NULL;
	}
	return ex;
}

void rest_work(struct rest *rest)
{
	struct works *works = rest->works;
	struct exchange *ex;

	(void)pthread_mutex_lock(&works->lock);
	works->threads++;
	while ((ex = work_take(works)) || !works->ended) {
		if (!ex) {
			(void)pthread_cond_wait(&works->more, &works->lock);
			continue;
		}
		(void)pthread_mutex_unlock(&works->lock);
		ex->work_result = ex->work(ex);
		ex->worked = true;
		MHD_resume_connection(ex->connection); /* from here on @ex is not ours */
		(void)pthread_mutex_lock(&works->lock);
	}
	works->threads--;
	(void)pthread_cond_signal(&works->fewer);
	(void)pthread_mutex_unlock(&works->lock);
}

int work_answer(struct exchange *ex)
{
	struct MHD_Response *answer = steal(ex->answer);

	ex->work = NULL;
	if (ex->work_result < 0 || !answer)
		return ex->work_result < 0 ? ex->work_result : -EIO;
	return answer_queue(ex, ex->answer_status, answer);
}

void works_end(struct works *works)
{
	(void)pthread_mutex_lock(&works->lock);
	works->ended = true;
	(void)pthread_cond_broadcast(&works->more);
	while (works->threads)
		(void)pthread_cond_wait(&works->fewer, &works->lock);
	(void)pthread_mutex_unlock(&works->lock);
}
