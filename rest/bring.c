/* SPDX-License-Identifier: MIT */
/* rest/bring.c: GETs of packages that are not here yet.
 *
 *   file_send() ─ -EAGAIN ─► bring_park() ─► suspended ─► told (any thread) ─► resumed ─►
 * file_send() └► client gone, service stops: resumed, closed
 *
 * No thread waits. One lock guards the list; the bringer's is taken under it (tree_ask(),
 * tree_forget()), and so is libmicrohttpd's (suspend, resume). */
#include "rest/bring.h"
#include "rest/client.h"

#include <poll.h>
#include <pthread.h>

#define AGAIN_MAX 16 /* times that a package may be gone again before it was sent */

struct bring {
	struct tree_waiter waiter;	/* first: the bringer's handle */
	struct bring *next, **previous; /* in the list while @suspended */
	struct exchange *ex;
	bool suspended, gone;
	unsigned int times;
	struct error err; /* code 0: it is here */
};

struct brings {
	pthread_mutex_t lock;
	pthread_cond_t fewer;
	struct bring *list; /* under lock, as the next */
	bool ended;
};

int brings_new(struct brings **ret)
{
	struct brings *brings = calloc(1, sizeof(*brings));

	if (!brings)
		return -ENOMEM;
	(void)pthread_mutex_init(&brings->lock, NULL);
	(void)pthread_cond_init(&brings->fewer, NULL);
	*ret = brings;
	return 0;
}

void brings_free(struct brings *brings)
{
	if (!brings)
		return;
	(void)pthread_cond_destroy(&brings->fewer);
	(void)pthread_mutex_destroy(&brings->lock);
	free(brings);
}

/* Under the lock; afterwards @bring is its connection's. */
static void resume(struct brings *brings, struct bring *bring)
{
	*bring->previous = bring->next;
	if (bring->next)
		bring->next->previous = bring->previous;
	bring->suspended = false;
	MHD_resume_connection(bring->ex->connection);
	if (!brings->list)
		(void)pthread_cond_broadcast(&brings->fewer);
}

static void told(struct tree_waiter *waiter, const struct error *err)
{
	struct bring *bring = (struct bring *)waiter;
	struct brings *brings = bring->ex->rest->brings;

	(void)pthread_mutex_lock(&brings->lock);
	bring->err = *err;
	resume(brings, bring);
	(void)pthread_mutex_unlock(&brings->lock);
}

/* Under the lock: told() waits for it, so that nobody is resumed before he is suspended. */
static int park(struct brings *brings, struct bring *bring, const struct tree *tree, uint32_t index)
{
	struct exchange *ex = bring->ex;
	int r = brings->ended ? -ECANCELED : tree_ask(tree, index, &bring->waiter, &bring->err);

	if (r < 0)
		return r;
	bring->suspended = true;
	bring->next = brings->list;
	bring->previous = &brings->list;
	if (bring->next)
		bring->next->previous = &bring->next;
	brings->list = bring;
	exchange_uncount(ex);
	link_phase(ex->link, PHASE_HELD);
	MHD_suspend_connection(ex->connection);
	return 0;
}

static int make(struct exchange *ex)
{
	struct bring *bring = calloc(1, sizeof(*bring));

	if (!bring)
		return -ENOMEM;
	if (!client_wait(ex->rest, ex->link->client)) {
		free(bring);
		return -EDQUOT;
	}
	bring->waiter.done = told;
	bring->ex = ex;
	ex->bring = bring;
	return 0;
}

int bring_park(struct exchange *ex, const struct tree *tree, uint32_t index)
{
	struct brings *brings = ex->rest->brings;
	struct bring *bring;
	int r = ex->bring ? 0 : make(ex);

	if (r == -EDQUOT)
		return answer_waits(ex);
	if (r < 0)
		return r;
	bring = ex->bring;
	if (bring->gone)
		return -ECONNABORTED;
	if (bring->err.code)
		return answer_failure(ex, &bring->err);
	if (bring->times++ == AGAIN_MAX)
		return answer_error(ex, MHD_HTTP_INSUFFICIENT_STORAGE,
				    "The package cache is too small for what is read at a time.");
	(void)pthread_mutex_lock(&brings->lock);
	r = park(brings, bring, tree, index);
	(void)pthread_mutex_unlock(&brings->lock);
	return r == 0 || r == -ECANCELED ? r : answer_failure(ex, &bring->err);
}

void bring_done(struct exchange *ex)
{
	if (!ex->bring)
		return;
	client_wait_done(ex->link->client);
	free(ex->bring);
	ex->bring = NULL;
}

/* Nothing comes from a client that waits; what can be read is the end of the connection. */
static bool is_gone(const struct exchange *ex)
{
	struct pollfd end = { .fd = ex->link->fd, .events = POLLRDHUP };

	return end.fd < 0 || (poll(&end, 1, 0) > 0 && end.revents);
}

/* Under the lock; false: he is being told, which resumes him. */
static bool let_go(struct rest *rest, struct bring *bring)
{
	if (!tree_forget(rest->options.trees, &bring->waiter))
		return false;
	bring->gone = true;
	resume(rest->brings, bring);
	return true;
}

void bring_tick(struct rest *rest)
{
	struct brings *brings = rest->brings;

	(void)pthread_mutex_lock(&brings->lock);
	for (struct bring *bring = brings->list, *next; bring; bring = next) {
		next = bring->next;
		if (is_gone(bring->ex))
			(void)let_go(rest, bring);
	}
	(void)pthread_mutex_unlock(&brings->lock);
}

void bring_end_all(struct rest *rest)
{
	struct brings *brings = rest->brings;

	(void)pthread_mutex_lock(&brings->lock);
	brings->ended = true;
	for (struct bring *bring = brings->list, *next; bring; bring = next) {
		next = bring->next;
		(void)let_go(rest, bring);
	}
	while (brings->list)
		(void)pthread_cond_wait(&brings->fewer, &brings->lock);
	(void)pthread_mutex_unlock(&brings->lock);
}
