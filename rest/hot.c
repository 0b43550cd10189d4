/* SPDX-License-Identifier: MIT */
/* rest/hot.c: whole files that were sent a moment ago, ready to be sent again: open, with their
 * headers.
 *
 * A number in a compose's tree means the same bytes for ever, so nothing has to be taken back; who
 * asks has found the number in a tree that is shown at present. What is kept is the source's own
 * file: one that was changed or removed is noticed by its ctime, which nobody can set. What else
 * tree_file_open() judges, the way that leads there, is judged anew when HOT_MS are over. A file
 * that was changed a moment before is not kept: the change may have come between the judgement and
 * the look at the ctime. Nor are packages of servers, which must be free to go. */
#include "rest/hot.h"
#include "rest/client.h"

#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define HOT_FILES 251 /* a prime: files of the same number in other composes have other places */
#define HOT_BYTES ((size_t)2 << 20)
#define HOT_MS 5000
#define SETTLED_SECONDS 2

struct hot {
	struct kept kept; /* first */
	struct hot_file file;
	struct timespec ctime;
	int64_t until_ms;
	struct MHD_Response *response;
};

/* Not a noticeable part of the descriptors that connections may need. */
int hots_new(struct cache **ret)
{
	struct rlimit limit;
	size_t slots = HOT_FILES;

	if (!getrlimit(RLIMIT_NOFILE, &limit) && limit.rlim_cur / 32 < slots)
		slots = limit.rlim_cur / 32 + 1;
	return cache_new(slots, HOT_BYTES, ret);
}

static int64_t key_of(int64_t id, uint32_t index)
{
	return (int64_t)((uint64_t)id << 32 ^ index);
}

/* Is it asked for as a whole, whatever the client has? */
static bool is_plain(const struct exchange *ex)
{
	static const char *const conditions[] = {
		MHD_HTTP_HEADER_RANGE,
		MHD_HTTP_HEADER_IF_NONE_MATCH,
		MHD_HTTP_HEADER_IF_MODIFIED_SINCE,
		MHD_HTTP_HEADER_IF_MATCH,
		MHD_HTTP_HEADER_IF_UNMODIFIED_SINCE,
	};

	for (size_t i = 0; i < ARRAY_SIZE(conditions); i++)
		if (exchange_header(ex, conditions[i]))
			return false;
	return !ex->head;
}

struct kept *hot_get(const struct exchange *ex, int64_t id, uint32_t index)
{
	struct kept *kept = cache_get(ex->rest->hots, ex->rest, key_of(id, index));
	const struct hot *hot = (struct hot *)kept;
	struct stat st;

	if (!hot)
		return NULL;
	if (hot->file.id == id && hot->file.index == index && is_plain(ex) &&
	    ex->time_begun_ms < hot->until_ms && fstat(hot->file.fd, &st) == 0 &&
	    st.st_ctim.tv_sec == hot->ctime.tv_sec && st.st_ctim.tv_nsec == hot->ctime.tv_nsec)
		return kept;
	kept_unref(kept);
	return NULL;
}

int hot_answer(struct exchange *ex, struct kept *kept)
{
	const struct hot *hot = (struct hot *)kept;

	if (!hot->file.own_fd)
		link_cork(ex->link, ex->connection, true);
	return answer_kept(ex, MHD_HTTP_OK, hot->response, kept);
}

static void hot_free(struct kept *kept)
{
	struct hot *hot = (struct hot *)kept;

	MHD_destroy_response(hot->response);
	if (hot->file.own_fd)
		(void)close(hot->file.fd);
	free(hot);
}

/* NULL: it is not to be kept, or there is no memory; nothing was taken. */
static struct hot *hot_new(const struct hot_file *file, struct MHD_Response *response)
{
	struct timespec now;
	struct stat st;
	struct hot *hot;

	(void)clock_gettime(CLOCK_REALTIME, &now); /* the one that files are stamped with */
	if (!response || fstat(file->fd, &st) < 0 ||
	    st.st_ctim.tv_sec + SETTLED_SECONDS >= now.tv_sec)
		return NULL;
	hot = calloc(1, sizeof(*hot));
	if (!hot)
		return NULL;
	kept_init(&hot->kept, key_of(file->id, file->index),
		  sizeof(*hot) + (file->own_fd ? (size_t)file->length : 0), hot_free);
	hot->file = *file;
	hot->ctime = st.st_ctim;
	hot->response = response;
	return hot;
}

int hot_keep(struct exchange *ex, const struct hot_file *file, struct MHD_Response *response)
{
	struct hot *hot = hot_new(file, response);

	if (!hot) {
		if (file->own_fd)
			(void)close(file->fd);
		return answer_queue(ex, MHD_HTTP_OK, response);
	}
	hot->until_ms = ex->time_begun_ms + HOT_MS;
	cache_put(ex->rest->hots, ex->rest, atomic_load(&ex->rest->generation), &hot->kept);
	return hot_answer(ex, &hot->kept);
}

static bool is_over(const struct kept *kept, int64_t now_ms)
{
	return ((const struct hot *)kept)->until_ms <= now_ms;
}

void hot_tick(struct rest *rest, int64_t now_ms)
{
	cache_sweep(rest->hots, is_over, now_ms);
}
