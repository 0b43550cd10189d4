/* SPDX-License-Identifier: MIT */
/* fs/drafts.c: what users write before a request is accepted: the text of spec.json and the
 * temporary files that editors, mv and sed make beside it. In memory only: a draft's row is in the
 * catalogue, its text is lost with the process (nothing was promised yet).
 *
 * Drafts are found by request number under one lock each time and never held across it, so that
 * acceptance, rmdir and the reaper may take one away at any moment. */
#include "fs/internal.h"

#include <fcntl.h>
#include <time.h>

void drafts_init(struct drafts *drafts)
{
	pthread_condattr_t attributes;

	pthread_mutex_init(&drafts->lock, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&drafts->changed, &attributes);
	pthread_condattr_destroy(&attributes);
}

static void draft_free(struct draft *draft)
{
	text_done(&draft->buffer);
	free(draft->error);
	free(draft);
}

void drafts_done(struct drafts *drafts)
{
	for (size_t i = 0; i < ARRAY_SIZE(drafts->bucket); i++)
		while (drafts->bucket[i]) {
			struct draft *draft = drafts->bucket[i];

			drafts->bucket[i] = draft->next;
			draft_free(draft);
		}
	temporaries_done(drafts);
	pthread_cond_destroy(&drafts->changed);
	pthread_mutex_destroy(&drafts->lock);
}

/* ---- text of spec.json --------------------------------------------------- */

static struct draft **bucket_of(struct drafts *drafts, int64_t request)
{
	return &drafts->bucket[(uint64_t)request % ARRAY_SIZE(drafts->bucket)];
}

struct draft *draft_find(struct drafts *drafts, int64_t request)
{
	struct draft *draft = *bucket_of(drafts, request);

	while (draft && draft->request != request)
		draft = draft->next;
	return draft;
}

struct draft *draft_make(struct drafts *drafts, int64_t request)
{
	struct draft *draft = draft_find(drafts, request);

	if (draft)
		return draft;
	draft = calloc(1, sizeof(*draft));
	if (!draft)
		return NULL;
	draft->request = request;
	draft->next = *bucket_of(drafts, request);
	*bucket_of(drafts, request) = draft;
	return draft;
}

static void draft_remove(struct drafts *drafts, int64_t request)
{
	for (struct draft **link = bucket_of(drafts, request); *link; link = &(*link)->next)
		if ((*link)->request == request) {
			struct draft *draft = *link;

			*link = draft->next;
			draft_free(draft);
			return;
		}
}

void draft_drop(struct fs *fs, int64_t request)
{
	struct drafts *drafts = &fs->drafts;

	pthread_mutex_lock(&drafts->lock);
	draft_remove(drafts, request);
	temporaries_unlink(drafts, request);
	pthread_cond_broadcast(&drafts->changed);
	pthread_mutex_unlock(&drafts->lock);
}

int64_t draft_text(struct fs *fs, int64_t request, struct text *ret)
{
	int64_t time = 0;

	pthread_mutex_lock(&fs->drafts.lock);
	const struct draft *draft = draft_find(&fs->drafts, request);
	if (draft) {
		time = draft->time_written;
		if (ret && draft->buffer.length)
			text_add(ret, draft->buffer.data, draft->buffer.length);
	}
	pthread_mutex_unlock(&fs->drafts.lock);
	return time;
}

void draft_error(struct fs *fs, int64_t request, struct text *ret)
{
	pthread_mutex_lock(&fs->drafts.lock);
	const struct draft *draft = draft_find(&fs->drafts, request);
	if (draft && draft->error)
		text_adds(ret, draft->error);
	pthread_mutex_unlock(&fs->drafts.lock);
}

/* under the lock */
static void error_replace(struct draft *draft, const char *words)
{
	free(draft->error);
	draft->error = words && *words ? strdup(words) : NULL;
}

int draft_lost(struct fs *fs, int64_t request)
{
	struct drafts *drafts = &fs->drafts;
	bool written;

	pthread_mutex_lock(&drafts->lock);
	struct draft *draft = draft_make(drafts, request);
	written = draft && (draft->writer || draft->time_written);
	if (draft && !written)
		error_replace(draft,
			      "spec.json: the service was started anew while this was written, and "
			      "what came before is lost: write it again\n");
	pthread_mutex_unlock(&drafts->lock);
	return -ESTALE;
}

bool drafts_quiet(struct fs *fs)
{
	bool quiet = true;

	pthread_mutex_lock(&fs->drafts.lock);
	for (size_t i = 0; i < ARRAY_SIZE(fs->drafts.bucket); i++)
		for (const struct draft *draft = fs->drafts.bucket[i]; draft; draft = draft->next)
			quiet = quiet && !draft->writer && !draft->judging;
	for (const struct temporary *t = fs->drafts.temporaries; t; t = t->next)
		quiet = quiet && !t->linked;
	pthread_mutex_unlock(&fs->drafts.lock);
	return quiet;
}

/* Wait until no writer stands between its FLUSH and its RELEASE; under the lock. The kernel sends
 * RELEASE by itself after close() has returned, so the next open or read of `error` may overtake
 * it. Who cannot have a place to wait in goes on at once: the threads are for everybody. */
static void settle(struct fs *fs, int64_t request)
{
	struct drafts *drafts = &fs->drafts;
	struct timespec until;

	if (drafts->settlers >= fs->options.threads / 2)
		return;
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += SETTLE_MS * INT64_C(1000000);
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	drafts->settlers++;
	for (;;) {
		const struct draft *draft = draft_find(drafts, request);

		if (!draft || !draft->writer || !draft->flushed)
			break;
		if (pthread_cond_timedwait(&drafts->changed, &drafts->lock, &until) == ETIMEDOUT)
			break;
	}
	drafts->settlers--;
}

void draft_settle(struct fs *fs, int64_t request)
{
	pthread_mutex_lock(&fs->drafts.lock);
	settle(fs, request);
	pthread_mutex_unlock(&fs->drafts.lock);
}

int draft_open(struct fs *fs, int64_t request, uint64_t writer, bool truncate)
{
	struct drafts *drafts = &fs->drafts;
	int r = 0;

	pthread_mutex_lock(&drafts->lock);
	settle(fs, request);
	struct draft *draft = draft_make(drafts, request);
	if (!draft) {
		r = -ENOMEM;
	} else if (draft->writer) {
		r = -EBUSY;
	} else {
		draft->writer = writer;
		draft->flushed = false;
		draft->dirty = false;
		if (truncate) {
			text_done(&draft->buffer);
			draft->buffer = (struct text){ 0 };
			draft->time_written = time_now();
			error_replace(draft, NULL);
		}
	}
	pthread_mutex_unlock(&drafts->lock);
	return r;
}

int draft_write(struct fs *fs, struct handle *handle, const char *bytes, size_t length,
		uint64_t offset)
{
	int r;

	pthread_mutex_lock(&fs->drafts.lock);
	struct draft *draft = draft_find(&fs->drafts, handle->node.id);
	if (!draft || draft->writer != handle->number) {
		/* Accepted while the descriptor was open: a newline after it does no harm. */
		r = blank(bytes, length) ? 0 : -EBUSY;
	} else {
		if (handle->flags & O_APPEND)
			offset = draft->buffer.length;
		r = buffer_write(&draft->buffer, bytes, length, offset, SPEC_MAX_BYTES);
		draft->flushed = false;
		if (!r) {
			draft->dirty = true;
			draft->time_written = time_now();
		}
	}
	pthread_mutex_unlock(&fs->drafts.lock);
	return r;
}

int draft_truncate(struct fs *fs, int64_t request, uint64_t writer, uint64_t length)
{
	int r;

	pthread_mutex_lock(&fs->drafts.lock);
	if (!writer)
		settle(fs, request);
	struct draft *draft = draft_make(&fs->drafts, request);
	if (!draft) {
		r = -ENOMEM;
	} else if (draft->writer && draft->writer != writer) {
		r = -EBUSY;
	} else {
		r = buffer_truncate(&draft->buffer, length, SPEC_MAX_BYTES);
		if (!r) {
			draft->time_written = time_now();
			draft->dirty = draft->writer != 0;
		}
	}
	pthread_mutex_unlock(&fs->drafts.lock);
	return r;
}

int draft_unfinished(struct fs *fs, int64_t request, uint64_t writer, struct text *ret)
{
	int r = 0;

	pthread_mutex_lock(&fs->drafts.lock);
	const struct draft *draft = draft_find(&fs->drafts, request);
	if (draft && draft->writer == writer && draft->dirty && !draft->error) {
		r = 1;
		if (draft->buffer.length)
			text_add(ret, draft->buffer.data, draft->buffer.length);
	}
	pthread_mutex_unlock(&fs->drafts.lock);
	return r;
}

void draft_close(struct fs *fs, int64_t request, uint64_t writer, const char *words)
{
	struct drafts *drafts = &fs->drafts;

	pthread_mutex_lock(&drafts->lock);
	struct draft *draft = draft_find(drafts, request);
	if (draft && draft->writer == writer) {
		draft->writer = 0;
		draft->dirty = false;
		if (words)
			error_replace(draft, words);
		/* Nothing worth remembering: a draft that was only looked at. */
		if (!draft->buffer.length && !draft->error && !draft->judging &&
		    !draft->next_temporary)
			draft_remove(drafts, request);
	}
	pthread_cond_broadcast(&drafts->changed);
	pthread_mutex_unlock(&drafts->lock);
}

int draft_judge_begin(struct fs *fs, int64_t request, uint64_t writer, bool flush, struct text *ret)
{
	struct drafts *drafts = &fs->drafts;
	struct draft *draft;
	int r = 0;

	pthread_mutex_lock(&drafts->lock);
	while ((draft = draft_find(drafts, request)) && draft->judging)
		pthread_cond_wait(&drafts->changed, &drafts->lock);
	if (draft && draft->writer == writer) {
		draft->flushed = flush;
		if (draft->dirty || !flush) {
			if (draft->buffer.length)
				r = text_add(ret, draft->buffer.data, draft->buffer.length);
			if (!r) {
				draft->judging = true;
				r = 1;
			}
		}
	}
	pthread_mutex_unlock(&drafts->lock);
	return r;
}

int draft_judge_other(struct fs *fs, int64_t request)
{
	struct drafts *drafts = &fs->drafts;
	struct draft *draft;

	pthread_mutex_lock(&drafts->lock);
	while ((draft = draft_find(drafts, request)) && draft->judging)
		pthread_cond_wait(&drafts->changed, &drafts->lock);
	if (draft)
		draft->judging = true;
	pthread_mutex_unlock(&drafts->lock);
	return draft ? 0 : -EBUSY;
}

void draft_judge_end(struct fs *fs, int64_t request, const char *words)
{
	pthread_mutex_lock(&fs->drafts.lock);
	struct draft *draft = draft_find(&fs->drafts, request);
	if (draft) {
		draft->judging = false;
		error_replace(draft, words);
	}
	pthread_cond_broadcast(&fs->drafts.changed);
	pthread_mutex_unlock(&fs->drafts.lock);
}
