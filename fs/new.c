/* SPDX-License-Identifier: MIT */
/* fs/new.c: the conversation file: write a request, read the record on the same descriptor.
 *
 * Each open is a draft of its own that exists in its handle only. A write that completes the object
 * is the submission; one that does not is kept, since a long text arrives in several writes. */
#include "fs/internal.h"

#include <fcntl.h>

/* Words for who is refused: there is no `error` file here, so the answer is read instead. */
static void refusal(struct text *ret, int r, const struct text *words)
{
	char *line = NULL;
	size_t length = words->length;

	while (length && words->data[length - 1] == '\n')
		length--;
	json_t *json = json_pack(
		"{s:s, s:s%, s:i}", "error", r == -EACCES ? "Forbidden" : "Bad Request", "message",
		length ? words->data : "", length, "status", r == -EACCES ? 403 : 400);
	if (json)
		line = json_line(json);
	json_decref(json);
	if (line)
		text_adds(ret, line);
	free(line);
}

static int submit(struct fs *fs, struct handle *handle, const struct text *text,
		  struct text *ret_answer, int64_t *ret_id)
{
	_cleanup_(freep) char *owner = owner_name(handle->uid);
	_cleanup_(compose_freep) struct compose *compose = NULL;
	struct text words = { 0 };
	int r = -ENOMEM;

	if (owner) {
		struct submitter who = { .owner = owner,
					 .uid = handle->uid,
					 .gid = handle->gid,
					 .by = { handle->uid, handle->gid } };

		r = submit_text(fs, &who, text, &words, &compose);
	}
	if (r && r != -EAGAIN)
		refusal(ret_answer, r, &words);
	text_done(&words);
	if (r < 0)
		return r;
	*ret_id = compose->id;
	return record_line(fs, compose, ret_answer);
}

int new_write(struct fs *fs, struct handle *handle, const char *bytes, size_t length)
{
	struct text text = { 0 }, answer = { 0 };
	int64_t id = 0;
	int r = 0;

	pthread_mutex_lock(&handle->lock);
	if (handle->compose || handle->judging)
		r = blank(bytes, length) ? 1 : -EBUSY;
	else if (handle->in.length + length > SPEC_MAX_BYTES)
		r = -EFBIG;
	else if (!(r = text_add(&handle->in, bytes, length)))
		r = text_add(&text, handle->in.data, handle->in.length);
	handle->judging = !r || handle->judging;
	pthread_mutex_unlock(&handle->lock);
	if (r)
		return r < 0 ? r : 0;

	r = submit(fs, handle, &text, &answer, &id);
	text_done(&text);

	pthread_mutex_lock(&handle->lock);
	handle->judging = false;
	handle->compose = id;
	if (r == -EAGAIN) {
		r = 0;
	} else {
		text_clear(&handle->in);
		text_done(&handle->content);
		handle->content = answer;
		answer = (struct text){ 0 };
		handle->position = 0;
	}
	pthread_mutex_unlock(&handle->lock);
	text_done(&answer);
	return id ? 0 : r; /* accepted is accepted, even if the record could not be printed */
}

int new_read(struct fs *fs _unused_, struct handle *handle, size_t size, struct text *ret)
{
	int r = 0;

	pthread_mutex_lock(&handle->lock);
	if (handle->position < handle->content.length) {
		size_t rest = handle->content.length - handle->position;

		r = text_add(ret, handle->content.data + handle->position,
			     size < rest ? size : rest);
		if (!r)
			handle->position += ret->length;
	} else if (!handle->compose &&
		   !blank(handle->in.data ? handle->in.data : "", handle->in.length)) {
		r = -EINVAL; /* asked for the answer in the middle of the question */
	}
	pthread_mutex_unlock(&handle->lock);
	return r;
}

int new_flush(struct fs *fs _unused_, struct handle *handle)
{
	int r;

	pthread_mutex_lock(&handle->lock);
	r = !handle->compose && !handle->judging &&
			    !blank(handle->in.data ? handle->in.data : "", handle->in.length)
		    ? -EINVAL
		    : 0;
	pthread_mutex_unlock(&handle->lock);
	return r;
}
