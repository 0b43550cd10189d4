/* SPDX-License-Identifier: MIT */
/* rest/work.c: requests that take longer are done somewhere else, clients in turn.
 *
 * A thread of libmicrohttpd serves many connections: one POST that waits for its commit there, or
 * one long list, makes everybody on that thread wait. So such an exchange is parked, a thread that
 * the daemon lends (rest_work()) runs its handler, and the finished answer goes out from the
 * connection's own thread. The more of them write at a time, the more share one commit.
 *
 * What waits stands in two queues for each client, writes and reads, and the queues stand in a
 * ring: each thread takes from the next one in it. No queue has all threads, so a flood from one
 * client leaves both the next turn and a free thread to the others: of the writes, which mostly
 * wait for the disk, three quarters of them are done at a time, of the reads, which only compute,
 * one quarter. Without lent threads the handler runs where it is. */
#include "rest/work.h"
#include "rest/client.h"

#include <pthread.h>

struct works {
	pthread_mutex_t lock;
	pthread_cond_t more, fewer; /* exchanges to do; threads that left */
	struct queue *first, *last; /* the ring; under lock, as all below */
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

/* ---- the ring (all under lock) ----------------------------------------- */

static struct queue *queue_of(const struct exchange *ex)
{
	return &ex->link->client->queues[ex->method == METHOD_GET];
}

static unsigned int share_of(const struct works *works, bool reads)
{
	unsigned int quarter = works->threads / 4;

	return reads && quarter ? quarter : works->threads - quarter;
}

/* Into the ring, if there is something to do for @queue and it has not its share of threads. */
static void ring_add(struct works *works, struct queue *queue)
{
	if (queue->listed || !queue->first ||
	    (queue->working >= share_of(works, queue->first->method == METHOD_GET) &&
	     !works->ended))
		return;
	queue->listed = true;
	queue->next = NULL;
	if (works->last)
		works->last->next = queue;
	else
		works->first = queue;
	works->last = queue;
	(void)pthread_cond_signal(&works->more);
}

static struct exchange *work_take(struct works *works)
{
	struct queue *queue = works->first;
	struct exchange *ex;

	if (!queue)
		return NULL;
	works->first = queue->next;
	if (!works->first)
		works->last = NULL;
	queue->listed = false;
	ex = queue->first;
	queue->first = ex->work_next;
	if (!queue->first)
		queue->last = NULL;
	queue->working++;
	ring_add(works, queue);
	return ex;
}

/* ---- in and out -------------------------------------------------------- */

bool work_park(struct exchange *ex, exchange_handler *handler)
{
	struct works *works = ex->rest->works;
	struct queue *queue = queue_of(ex);
	bool parked;

	(void)pthread_mutex_lock(&works->lock);
	parked = works->threads && !works->ended;
	if (parked) {
		ex->work = handler;
		ex->work_next = NULL;
		if (queue->last)
			queue->last->work_next = ex;
		else
			queue->first = ex;
		queue->last = ex;
		link_phase(ex->link, PHASE_HELD);
		MHD_suspend_connection(ex->connection);
		ring_add(works, queue);
	}
	(void)pthread_mutex_unlock(&works->lock);
	return parked;
}

void rest_work(struct rest *rest)
{
	struct works *works = rest->works;
	struct exchange *ex;

	(void)pthread_mutex_lock(&works->lock);
	works->threads++;
	while ((ex = work_take(works)) || !works->ended) {
		struct queue *queue;
		bool dropped;

		if (!ex) {
			(void)pthread_cond_wait(&works->more, &works->lock);
			continue;
		}
		queue = queue_of(ex);
		/* the end does not wait for long reads that nobody has begun */
		dropped = works->ended && ex->method == METHOD_GET;
		(void)pthread_mutex_unlock(&works->lock);
		ex->work_result = dropped ? -ECANCELED : ex->work(ex);
		ex->worked = true;
		(void)pthread_mutex_lock(&works->lock);
		queue->working--;
		ring_add(works, queue);
		MHD_resume_connection(ex->connection); /* from here on @ex is not ours */
	}
	works->threads--;
	(void)pthread_cond_signal(&works->fewer);
	(void)pthread_mutex_unlock(&works->lock);
}

int work_answer(struct exchange *ex)
{
	struct kept *kept = steal(ex->answer_kept);
	struct MHD_Response *answer = steal(ex->answer);

	ex->work = NULL;
	if (ex->work_result < 0 || !answer)
		return ex->work_result < 0 ? ex->work_result : -EIO;
	return kept ? answer_kept(ex, ex->answer_status, answer, kept)
		    : answer_queue(ex, ex->answer_status, answer);
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
