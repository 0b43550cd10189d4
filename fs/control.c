/* SPDX-License-Identifier: MIT */
/* fs/control.c: open, read, write, close and poll of control files (tree.md 2, 3, 5).
 *
 * The kernel caches nothing of them (direct_io). What a descriptor reads is made when it reads from
 * offset 0 and kept for the rest of that pass, so one pass never mixes two states. */
#include "fs/internal.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#define POLL_READ (POLLIN | POLLRDNORM)
#define POLL_ALWAYS (POLL_READ | POLLOUT | POLLWRNORM)

static bool writes(int flags)
{
	return (flags & O_ACCMODE) != O_RDONLY;
}

static uint64_t digest_of(const struct text *text)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325); /* FNV-1a: only to see whether it changed */

	for (size_t i = 0; i < text->length; i++)
		hash = (hash ^ (uint8_t)text->data[i]) * UINT64_C(0x100000001b3);
	return hash;
}

/* ---- open ---------------------------------------------------------------- */

static int fixed_open_check(struct fs *fs, const struct inode *node, const struct caller *who,
			    int flags)
{
	int64_t limit = fs->options.drafts_per_user;

	if (node->part != FIXED_NEW)
		return writes(flags) ? -EACCES : 0;
	if (limit > 0 && handles_count(fs, who->uid, node) >= (size_t)limit)
		return -EDQUOT; /* each open of `new` is a draft of its own */
	return 0;
}

static int request_open_check(struct fs *fs, const struct inode *node,
			      const struct request_view *view, const struct caller *who, int flags)
{
	if ((node->part == REQUEST_TTL || node->part == REQUEST_CTL) && writes(flags) &&
	    !may_command(fs, &view->request, who))
		return -EACCES;
	switch (node->part) {
	case REQUEST_SPEC:
		return writes(flags) && view->compose ? -EBUSY : 0;
	case REQUEST_TTL:
		return 0;
	case REQUEST_CTL:
		return (flags & O_ACCMODE) == O_WRONLY ? 0 : -EACCES;
	default:
		return writes(flags) ? -EACCES : 0;
	}
}

/* Take the writer's place. Acceptance may have come between the look and the deed: look again. */
static int spec_open(struct fs *fs, const struct handle *handle)
{
	_cleanup_(request_view_done) struct request_view view = { 0 };
	int r = draft_open(fs, handle->node.id, handle->number, handle->flags & O_TRUNC);

	if (r < 0)
		return r;
	r = request_view_load(fs, handle->node.id, 0, &view);
	if (!r && view.compose)
		r = -EBUSY;
	if (r == -EBUSY || r == -ENOENT)
		draft_drop(fs, handle->node.id);
	else if (r < 0)
		draft_close(fs, handle->node.id, handle->number, NULL);
	return r;
}

static int request_open(struct fs *fs, const struct inode *node, const struct caller *who,
			struct fuse_file_info *fi, struct handle **ret)
{
	_cleanup_(request_view_done) struct request_view view = { 0 };
	struct handle *handle;
	int r;

	if (node->part >= REQUEST_TEMPORARY_FIRST) {
		struct temporary *temporary;

		r = temporary_open(fs, node->id, node->part, fi->flags & O_TRUNC, &temporary);
		if (r < 0)
			return r;
		r = handle_new(fs, node, who, fi->flags, ret);
		if (r < 0)
			temporary_close(fs, temporary);
		else
			(*ret)->temporary = temporary;
		return r;
	}
	r = request_view_load(fs, node->id, 0, &view);
	if (!r)
		r = request_open_check(fs, node, &view, who, fi->flags);
	if (!r)
		r = handle_new(fs, node, who, fi->flags, &handle);
	if (r < 0)
		return r;
	handle->compose = view.request.compose_id;
	if (node->part == REQUEST_SPEC && writes(fi->flags)) {
		r = spec_open(fs, handle);
		if (r < 0) {
			handle_drop(fs, handle->number);
			handle_put(fs, handle);
			return r;
		}
	}
	*ret = handle;
	return 0;
}

int control_open(struct fs *fs, const struct inode *node, const struct caller *who,
		 struct fuse_file_info *fi)
{
	struct handle *handle;
	int r;

	if (node->kind == INODE_REQUEST) {
		r = request_open(fs, node, who, fi, &handle);
	} else {
		r = fixed_open_check(fs, node, who, fi->flags);
		if (!r)
			r = handle_new(fs, node, who, fi->flags, &handle);
		if (!r && node->part == FIXED_EVENTS)
			handle->seen = news_serial(fs);
		fi->nonseekable = node->part == FIXED_NEW || node->part == FIXED_EVENTS;
	}
	if (r < 0)
		return r;
	fi->fh = handle->number;
	fi->direct_io = 1;
	handle_put(fs, handle);
	return 0;
}

/* ---- read ---------------------------------------------------------------- */

static int log_read(struct fs *fs, struct handle *handle, int64_t compose, size_t size,
		    uint64_t offset, struct text *ret)
{
	_cleanup_(closep) int own = -1;
	struct error err = { 0 };
	ssize_t n;
	int fd;

	if (handle)
		pthread_mutex_lock(&handle->lock);
	fd = handle ? handle->log_fd : -1;
	if (fd < 0 && compose) {
		fd = tree_store_log_open(fs->options.trees, compose, false, &err);
		if (handle)
			handle->log_fd = fd < 0 ? -1 : fd;
		else
			own = fd;
	}
	if (handle)
		pthread_mutex_unlock(&handle->lock);
	if (fd < 0)
		return 0; /* no line yet */
	if (text_reserve(ret, size) < 0)
		return -ENOMEM;
	n = io_pread(fd, ret->data, size, (off_t)offset);
	if (n < 0)
		return -EIO;
	ret->length = (size_t)n;
	if (handle) {
		pthread_mutex_lock(&handle->lock);
		if (offset + (size_t)n > handle->seen)
			handle->seen = offset + (size_t)n;
		pthread_mutex_unlock(&handle->lock);
	}
	return 0;
}

static int content_make(struct fs *fs, const struct inode *node, int64_t compose, struct text *ret)
{
	_cleanup_(request_view_done) struct request_view view = { 0 };
	int r;

	if (node->kind == INODE_FIXED)
		return fixed_content(fs, node->part, ret);
	r = request_view_load(fs, node->id, compose, &view);
	if (r < 0)
		return r;
	if (node->part == REQUEST_ERROR && !view.compose)
		draft_settle(fs, node->id);
	return control_content(fs, &view, node->part, ret);
}

static int slice(const struct text *text, size_t size, uint64_t offset, struct text *ret)
{
	if (offset >= text->length)
		return 0;
	size_t rest = text->length - offset;
	return text_add(ret, text->data + offset, size < rest ? size : rest);
}

/* A read that goes on where the last one ended sees the same text, whatever changed meanwhile: 1.
 */
static int continued(struct handle *handle, size_t size, uint64_t offset, struct text *ret)
{
	int r = 0;

	if (!handle || !offset)
		return 0;
	pthread_mutex_lock(&handle->lock);
	if (handle->filled) {
		r = slice(&handle->content, size, offset, ret);
		r = r < 0 ? r : 1;
	}
	pthread_mutex_unlock(&handle->lock);
	return r;
}

static int content_read(struct fs *fs, const struct inode *node, struct handle *handle, size_t size,
			uint64_t offset, struct text *ret)
{
	struct text fresh = { 0 };
	int r = continued(handle, size, offset, ret);

	if (r)
		return r < 0 ? r : 0;
	r = content_make(fs, node, handle ? handle->compose : 0, &fresh);
	if (!r)
		r = slice(&fresh, size, offset, ret);
	if (!r && handle) {
		pthread_mutex_lock(&handle->lock);
		struct text old = handle->content;
		handle->content = fresh;
		fresh = old;
		handle->filled = true;
		handle->read_once = true;
		handle->seen = digest_of(&handle->content);
		pthread_mutex_unlock(&handle->lock);
	}
	text_done(&fresh);
	return r;
}

static int wait_read(struct fs *fs, fuse_req_t req, const struct inode *node, struct handle *handle,
		     int flags, size_t size, uint64_t offset, struct text *ret)
{
	int64_t compose = handle ? handle->compose : 0;
	struct text word = { 0 };
	int r = continued(handle, size, offset, ret);

	if (r)
		return r < 0 ? r : 0;
	r = wait_word(fs, node->id, compose, &word);
	if (!r && !word.length && !offset && flags & O_NONBLOCK)
		r = -EAGAIN;
	else if (!r && !word.length && !offset)
		r = news_hold_wait(fs, req, node->id, compose, handle ? handle->number : 0, size,
				   &word);
	if (!r)
		r = slice(&word, size, offset, ret);
	if (!r && word.length && handle)
		r = handle_word_said(handle, &word);
	text_done(&word);
	return r;
}

int wait_word(struct fs *fs, int64_t request, int64_t compose, struct text *ret)
{
	_cleanup_(request_view_done) struct request_view view = { 0 };
	int r = request_view_load(fs, request, compose, &view);

	if (r == -ENOENT) /* a draft that was dropped: nothing will come of it */
		return text_addf(ret, "%s\n", state_name(STATE_REMOVED));
	return r < 0 ? r : control_content(fs, &view, REQUEST_WAIT, ret);
}

static int events_read(struct fs *fs, fuse_req_t req, struct handle *handle, int flags, size_t size,
		       struct text *ret)
{
	int r;

	if (!handle)
		return -ESTALE; /* opened before a restart: its place in the stream is gone */
	r = events_take(fs, handle, size, ret);
	if (r < 0 || ret->length || !size)
		return r;
	return flags & O_NONBLOCK ? -EAGAIN : news_hold_events(fs, req, handle, size, ret);
}

int control_read(struct fs *fs, fuse_req_t req, const struct inode *node,
		 const struct fuse_file_info *fi, size_t size, uint64_t offset, struct text *ret)
{
	_cleanup_(handle_reference_done) struct handle_reference reference = {
		fs, handle_get(fs, fi->fh)
	};
	struct handle *handle = reference.handle;

	if (node->kind == INODE_FIXED) {
		if (node->part == FIXED_NEW)
			return handle ? new_read(fs, handle, size, ret) : -ESTALE;
		if (node->part == FIXED_EVENTS)
			return events_read(fs, req, handle, fi->flags, size, ret);
		return content_read(fs, node, handle, size, offset, ret);
	}
	if (node->part >= REQUEST_TEMPORARY_FIRST)
		return handle && handle->temporary
			       ? temporary_read(fs, handle->temporary, size, offset, ret)
			       : -ESTALE;
	if (node->part == REQUEST_WAIT)
		return wait_read(fs, req, node, handle, fi->flags, size, offset, ret);
	if (node->part == REQUEST_LOG) {
		_cleanup_(request_view_done) struct request_view view = { 0 };
		int r = request_view_load(fs, node->id, handle ? handle->compose : 0, &view);

		return r < 0 ? r
			     : log_read(fs, handle, view.compose ? view.compose->id : 0, size,
					offset, ret);
	}
	return content_read(fs, node, handle, size, offset, ret);
}

/* ---- write, close -------------------------------------------------------- */

static int command_write(struct fs *fs, const struct inode *node, const struct handle *handle,
			 const struct caller *who, const char *bytes, size_t length)
{
	_cleanup_(request_view_done) struct request_view view = { 0 };
	int r = request_view_load(fs, node->id, handle ? handle->compose : 0, &view);

	if (r < 0)
		return r;
	/* Both must be allowed: who opened it, and who writes now through a descriptor passed on.
	 */
	struct request asked = view.request;
	struct caller opener = handle ? (struct caller){ handle->uid, handle->gid } : *who;

	if (view.dropped) {
		asked.uid = view.compose->uid;
		asked.owner = view.compose->owner;
	}
	if (!may_command(fs, &asked, who) || !may_command(fs, &asked, &opener))
		return -EPERM;
	if (node->part == REQUEST_TTL)
		return request_ttl_write(fs, &view, bytes, length);
	return request_command(fs, &view, who, bytes, length);
}

int control_write(struct fs *fs, const struct inode *node, const struct caller *who,
		  const struct fuse_file_info *fi, const char *bytes, size_t length,
		  uint64_t offset)
{
	_cleanup_(handle_reference_done) struct handle_reference reference = {
		fs, handle_get(fs, fi->fh)
	};
	struct handle *handle = reference.handle;

	if (node->kind == INODE_FIXED) {
		if (node->part != FIXED_NEW)
			return -EACCES;
		return handle ? new_write(fs, handle, bytes, length) : -ESTALE;
	}
	if (node->part == REQUEST_TTL || node->part == REQUEST_CTL)
		return command_write(fs, node, handle, who, bytes, length);
	if (!handle && node->part == REQUEST_SPEC)
		return draft_lost(fs, node->id);
	if (!handle)
		return -ESTALE; /* the text went with the process that held it */
	if (node->part >= REQUEST_TEMPORARY_FIRST)
		return handle->temporary ? temporary_write(fs, handle->temporary, bytes, length,
							   offset, handle->flags & O_APPEND)
					 : -ESTALE;
	return node->part == REQUEST_SPEC ? draft_write(fs, handle, bytes, length, offset)
					  : -EACCES;
}

/* The writer's text went with another server: whoever closes it is told, unless it was accepted. */
static int lost(struct fs *fs, const struct inode *node)
{
	_cleanup_(request_view_done) struct request_view view = { 0 };

	if (node->kind != INODE_REQUEST || node->part != REQUEST_SPEC)
		return -ESTALE;
	return !request_view_load(fs, node->id, 0, &view) && view.compose
		       ? 0
		       : draft_lost(fs, node->id);
}

static int verdict(struct fs *fs, const struct inode *node, uint64_t number, bool flush)
{
	_cleanup_(handle_reference_done) struct handle_reference reference = {
		fs, handle_get(fs, number)
	};
	const struct handle *handle = reference.handle;

	if (!handle && handle_held_text(number))
		return lost(fs, node);
	if (!handle || !writes(handle->flags))
		return 0;
	if (node->kind == INODE_FIXED)
		return node->part == FIXED_NEW ? new_flush(fs, reference.handle) : 0;
	return node->part == REQUEST_SPEC ? submit_draft(fs, node->id, number, flush) : 0;
}

int control_flush(struct fs *fs, const struct inode *node, const struct fuse_file_info *fi)
{
	return verdict(fs, node, fi->fh, true);
}

int control_sync(struct fs *fs, const struct inode *node, const struct fuse_file_info *fi)
{
	return verdict(fs, node, fi->fh, false);
}

void control_release(struct fs *fs, const struct inode *node, const struct fuse_file_info *fi)
{
	_cleanup_(handle_reference_done) struct handle_reference reference = {
		fs, handle_get(fs, fi->fh)
	};

	if (!reference.handle)
		return;
	if (node->kind == INODE_REQUEST && node->part == REQUEST_SPEC &&
	    writes(reference.handle->flags))
		submit_release(fs, node->id, fi->fh);
	handle_drop(fs, fi->fh);
}

/* ---- poll ---------------------------------------------------------------- */

static int poll_wait(struct fs *fs, const struct inode *node, struct handle *handle,
		     unsigned int *ret_events)
{
	struct text word = { 0 };
	int r = wait_word(fs, node->id, handle->compose, &word);

	pthread_mutex_lock(&handle->lock);
	if (!r && word.length)
		*ret_events = handle->read_once ? POLLHUP : POLL_READ;
	pthread_mutex_unlock(&handle->lock);
	text_done(&word);
	return r;
}

static int poll_log(struct fs *fs, const struct inode *node, struct handle *handle,
		    unsigned int *ret_events)
{
	_cleanup_(request_view_done) struct request_view view = { 0 };
	uint64_t size;
	int64_t mtime;
	int r = request_view_load(fs, node->id, handle->compose, &view);

	if (!r)
		r = control_size(fs, &view, REQUEST_LOG, &size, &mtime);
	if (r < 0)
		return r;
	pthread_mutex_lock(&handle->lock);
	if (size > handle->seen)
		*ret_events = POLL_READ;
	pthread_mutex_unlock(&handle->lock);
	return 0;
}

static int poll_content(struct fs *fs, const struct inode *node, struct handle *handle,
			unsigned int *ret_events)
{
	struct text text = { 0 };
	int r = content_make(fs, node, handle->compose, &text);

	pthread_mutex_lock(&handle->lock);
	if (!r && (!handle->read_once || handle->seen != digest_of(&text)))
		*ret_events = node->part == REQUEST_STATUS ? POLL_READ | POLLPRI : POLL_READ;
	pthread_mutex_unlock(&handle->lock);
	text_done(&text);
	return r;
}

int control_poll(struct fs *fs, const struct inode *node, const struct caller *who,
		 const struct fuse_file_info *fi, struct fuse_pollhandle *poll,
		 unsigned int *ret_events)
{
	_cleanup_(handle_reference_done) struct handle_reference reference = {
		fs, handle_get(fs, fi->fh)
	};
	bool events = node->kind == INODE_FIXED && node->part == FIXED_EVENTS;

	/* opened under another server: without state of its own it would be woken all the time */
	if (!reference.handle && node->kind == INODE_REQUEST && !handle_held_text(fi->fh))
		reference.handle = handle_adopt(fs, fi->fh, node, who, fi->flags);
	struct handle *handle = reference.handle;

	*ret_events = 0;
	/* Remembered before the look, so that news between the two is not missed. */
	if (poll && handle)
		handle_poll_set(fs, handle, poll);
	else if (poll)
		fuse_pollhandle_destroy(poll);
	if (handle && events) {
		pthread_mutex_lock(&handle->lock);
		uint64_t seen = handle->seen;
		pthread_mutex_unlock(&handle->lock);
		*ret_events = news_serial(fs) > seen ? POLL_READ : 0;
		return 0;
	}
	if (handle && node->kind == INODE_REQUEST && node->part == REQUEST_WAIT)
		return poll_wait(fs, node, handle, ret_events);
	if (handle && node->kind == INODE_REQUEST && node->part == REQUEST_LOG)
		return poll_log(fs, node, handle, ret_events);
	if (handle && node->kind == INODE_REQUEST &&
	    (node->part == REQUEST_STATUS || node->part == REQUEST_PROGRESS))
		return poll_content(fs, node, handle, ret_events);
	*ret_events = POLL_ALWAYS;
	return 0;
}
