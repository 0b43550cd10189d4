/* SPDX-License-Identifier: MIT */
/* rest/bring.c: GETs of packages that are not here yet.
 *
 *   file_send() ─ -EAGAIN ─► bring_park() ─► suspended ─► told (any thread) ─► resumed ─►
 * file_send() ├► client gone: resumed, closed
 *             └► service stops: resumed, 503, or closed when the answer has begun
 *
 * No thread waits. One lock guards the list; the bringer's is taken under it (tree_ask(),
 * tree_forget()), and so is libmicrohttpd's (suspend, resume). */
#include "rest/bring.h"
#include "rest/client.h"

#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>

#define STREAM_BLOCK ((size_t)64 * 1024)
#define PARTY_SIZE 256
#define AGAIN_MAX 16 /* times that a package may be gone again before it was sent */

struct bring {
	struct tree_waiter waiter;	/* first: the bringer's handle */
	struct bring *next, **previous; /* in the list while @suspended */
	struct exchange *ex;
	bool suspended;
	bool gone;     /* the client */
	bool ended;    /* the service ends */
	bool begun;    /* the answer has */
	bool heard_of; /* he sends no more, and was sent something to see whether he listens */
	unsigned int times;
	char party[PARTY_SIZE];
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
static int park(struct brings *brings, struct bring *bring, const struct tree *tree, uint32_t index,
		uint64_t need)
{
	struct exchange *ex = bring->ex;

	bring->waiter.until_ms = 0;
	bring->waiter.need = need;
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

/* For whom it is: a user of this machine is the same one as through the mount. */
static void party_of(const struct exchange *ex, char ret[static PARTY_SIZE])
{
	char client[CLIENT_TEXT_SIZE];

	if (ex->account.asker.name && !ex->account.asker.local) {
		(void)snprintf(ret, PARTY_SIZE, "name:%s", ex->account.asker.name);
		return;
	}
	if (!account_client(ex, client))
		client_text(&ex->link->client->key, client);
	(void)snprintf(ret, PARTY_SIZE, "%s", client);
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
	bring->waiter.party = bring->party;
	party_of(ex, bring->party);
	bring->ex = ex;
	ex->bring = bring;
	return 0;
}

/* As who reads it through the mount is told (fs/fetched.c) */
static void note(const struct exchange *ex, const struct tree *tree, uint32_t index)
{
	struct error words = ex->bring->err;
	struct tree_node node;

	if (tree_get(tree, index, &node) == 0)
		(void)error_prefix(&words, "%s", node.name);
	(void)tree_failed(ex->rest->options.trees, tree_id(tree), index, words.message);
}

static int fail(struct exchange *ex, const struct tree *tree, uint32_t index)
{
	note(ex, tree, index);
	return answer_failure(ex, &ex->bring->err);
}

static int answer_ended(struct exchange *ex)
{
	return answer_error(ex, MHD_HTTP_SERVICE_UNAVAILABLE,
			    "The service ends, or begins anew; the package was not here yet.");
}

int bring_park(struct exchange *ex, const struct tree *tree, uint32_t index, uint64_t need)
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
	if (bring->ended)
		return answer_ended(ex);
	if (bring->err.code)
		return fail(ex, tree, index);
	if (bring->times++ == AGAIN_MAX)
		return answer_error(ex, MHD_HTTP_INSUFFICIENT_STORAGE,
				    "The package cache is too small for what is read at a time.");
	(void)pthread_mutex_lock(&brings->lock);
	r = park(brings, bring, tree, index, need);
	(void)pthread_mutex_unlock(&brings->lock);
	if (r == -ECANCELED)
		return answer_ended(ex);
	return r == 0 ? 0 : fail(ex, tree, index);
}

/* ---- while it comes ------------------------------------------------------- */

/** struct streaming - an answer whose bytes go out as they come; the last ones when they were
 * verified
 * @file: the package, once it is whole */
struct streaming {
	struct exchange *ex;
	struct tree *tree;
	uint32_t index;
	uint64_t start;
	struct tree_arrival *arrival;
	uint64_t waited; /* last at this byte, so many times */
	unsigned int times;
	struct tree_file file;
};

static void streaming_free(void *data)
{
	struct streaming *streaming = data;

	tree_file_done(&streaming->file);
	tree_arrival_unref(streaming->arrival);
	tree_unref(streaming->tree);
	free(streaming);
}

static ssize_t wait_for_more(struct streaming *streaming, uint64_t offset)
{
	struct exchange *ex = streaming->ex;
	struct brings *brings = ex->rest->brings;
	struct bring *bring = ex->bring;
	int r;

	bring->begun = true;
	if (!bring->gone && bring->err.code)
		note(ex, streaming->tree, streaming->index);
	if (offset != streaming->waited)
		streaming->times = 0;
	streaming->waited = offset;
	if (bring->gone || bring->ended || bring->err.code || streaming->times++ == AGAIN_MAX)
		return MHD_CONTENT_READER_END_WITH_ERROR;
	(void)pthread_mutex_lock(&brings->lock);
	r = park(brings, bring, streaming->tree, streaming->index, offset + 1);
	(void)pthread_mutex_unlock(&brings->lock);
	if (r < 0 && r != -ECANCELED)
		note(ex, streaming->tree, streaming->index);
	return r < 0 ? MHD_CONTENT_READER_END_WITH_ERROR : 0;
}

/* It was verified: the rest comes from packages/. */
static bool is_whole(struct streaming *streaming)
{
	struct error err = { 0 };

	if (streaming->file.fd < 0 &&
	    tree_file_open(streaming->tree, streaming->index, &streaming->file, &err) < 0)
		return false;
	return true;
}

/* With an error libmicrohttpd closes the connection: who counts bytes sees that some are missing.
 */
static ssize_t streaming_read(void *data, uint64_t position, char *to, size_t room)
{
	struct streaming *streaming = data;
	uint64_t offset = streaming->start + position;
	ssize_t n;

	link_phase(streaming->ex->link, PHASE_ANSWER);
	n = tree_arrival_read(streaming->arrival, to, room, 1, offset);
	if (n == -EAGAIN)
		return wait_for_more(streaming, offset);
	if (n == -ENODATA && is_whole(streaming))
		n = tree_file_read(&streaming->file, to, room, offset);
	return n > 0 ? n : MHD_CONTENT_READER_END_WITH_ERROR;
}

struct MHD_Response *bring_stream(struct exchange *ex, struct tree *tree, uint32_t index,
				  uint64_t start, uint64_t length)
{
	_cleanup_(tree_arrival_unrefp) struct tree_arrival *arrival = tree_arriving(tree, index);
	struct MHD_Response *response;
	struct streaming *streaming;

	if (!arrival || tree_arrival_look(arrival) <= start || (!ex->bring && make(ex) < 0))
		return NULL;
	streaming = calloc(1, sizeof(*streaming));
	if (!streaming)
		return NULL;
	*streaming = (struct streaming){ .ex = ex,
					 .tree = tree_ref(tree),
					 .index = index,
					 .start = start,
					 .arrival = steal(arrival),
					 .file = { .fd = -1 } };
	if (!ex->hold) /* that it stays from when it is verified until it is opened */
		ex->hold = tree_hold(tree, index);
	response = MHD_create_response_from_callback(length, STREAM_BLOCK, streaming_read,
						     streaming, streaming_free);
	if (!response)
		streaming_free(streaming);
	return response;
}

void bring_done(struct exchange *ex)
{
	if (!ex->bring)
		return;
	client_wait_done(ex->link->client);
	free(ex->bring);
	ex->bring = NULL;
}

/* He sends no more. Whether he listens shows when something is sent to him: the answer, once it has
 * begun, else an interim one, which changes nothing. Who takes none, or ended his TLS, is believed
 * to be gone. */
static bool may_listen(struct bring *bring)
{
	static const char interim[] = "HTTP/1.1 100 Continue\r\n\r\n";
	const struct exchange *ex = bring->ex;
	int family = 0;

	if (bring->begun || bring->heard_of)
		return true;
	if (getsockopt(ex->link->fd, SOL_SOCKET, SO_DOMAIN, &family,
		       &(socklen_t){ sizeof(family) }) == 0 &&
	    family == AF_UNIX)
		return true; /* its end is told from that of what he sends */
	if (!ex->interim ||
	    MHD_get_connection_info(ex->connection, MHD_CONNECTION_INFO_GNUTLS_SESSION))
		return false;
	bring->heard_of = true;
	return send(ex->link->fd, interim, strlen(interim), MSG_DONTWAIT | MSG_NOSIGNAL) > 0;
}

/* Nothing comes from a client that waits but the end of what he sends. */
static bool is_gone(struct bring *bring)
{
	struct pollfd end = { .fd = bring->ex->link->fd, .events = POLLRDHUP };

	if (end.fd < 0)
		return true;
	if (poll(&end, 1, 0) <= 0 || !end.revents)
		return false;
	return end.revents & (POLLHUP | POLLERR | POLLNVAL) || !may_listen(bring);
}

/* Under the lock; one that is being told is resumed by that. */
static void let_go(struct rest *rest, struct bring *bring, bool *why)
{
	if (!tree_forget(rest->options.trees, &bring->waiter))
		return;
	*why = true;
	resume(rest->brings, bring);
}

void bring_tick(struct rest *rest)
{
	struct brings *brings = rest->brings;

	(void)pthread_mutex_lock(&brings->lock);
	for (struct bring *bring = brings->list, *next; bring; bring = next) {
		next = bring->next;
		if (is_gone(bring))
			let_go(rest, bring, &bring->gone);
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
		let_go(rest, bring, &bring->ended);
	}
	while (brings->list)
		(void)pthread_cond_wait(&brings->fewer, &brings->lock);
	(void)pthread_mutex_unlock(&brings->lock);
}
