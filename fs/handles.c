/* SPDX-License-Identifier: MIT */
/* fs/handles.c: per-open state of control files, behind numbers.
 *
 * fi->fh holds a number: slot and generation. A number that was given out before a restart, or for
 * a descriptor that is closed, finds nothing instead of somebody else's state. One bit of it says
 * that what is written there is in our memory: it is lost with the process, and who closes such a
 * descriptor in another one is told (handle_held_text()). */
#include "fs/internal.h"

#include <fcntl.h>
#include <unistd.h>

#define HOLDS_TEXT (UINT64_C(1) << 63)

static bool holds_text(const struct inode *node, int flags)
{
	if ((flags & O_ACCMODE) == O_RDONLY)
		return false;
	if (node->kind == INODE_FIXED)
		return node->part == FIXED_NEW;
	return node->part == REQUEST_SPEC || node->part >= REQUEST_TEMPORARY_FIRST;
}

bool handle_held_text(uint64_t number)
{
	return number & HOLDS_TEXT;
}

static uint64_t number_of(size_t slot, uint32_t generation)
{
	return ((uint64_t)generation << 32 & ~HOLDS_TEXT) | (slot + 1);
}

void handles_init(struct handles *handles)
{
	pthread_mutex_init(&handles->lock, NULL);
	handles->seed = (uint32_t)time_monotonic_ms() << 8 | (uint32_t)(getpid() & 0xff);
}

static void handle_free(struct fs *fs, struct handle *handle)
{
	if (handle->temporary)
		temporary_close(fs, handle->temporary);
	if (handle->poll)
		fuse_pollhandle_destroy(handle->poll);
	closep(&handle->log_fd);
	text_done(&handle->content);
	text_done(&handle->in);
	pthread_mutex_destroy(&handle->lock);
	free(handle);
}

/* Find a free slot, growing the table; under the lock. */
static int slot_take(struct handles *handles, size_t *ret)
{
	for (size_t i = handles->first_free; i < handles->room; i++)
		if (!handles->slot[i]) {
			handles->first_free = i + 1;
			*ret = i;
			return 0;
		}
	if (handles->room >= HANDLES_MAX)
		return -EMFILE;

	size_t room = handles->room ? handles->room * 2 : 64;
	struct handle **slot = realloc(handles->slot, room * sizeof(*slot));
	if (!slot)
		return -ENOMEM;
	handles->slot = slot;
	uint32_t *generation = realloc(handles->generation, room * sizeof(*generation));
	if (!generation)
		return -ENOMEM;
	handles->generation = generation;
	for (size_t i = handles->room; i < room; i++) {
		slot[i] = NULL;
		generation[i] = handles->seed;
	}
	*ret = handles->room;
	handles->first_free = handles->room + 1;
	handles->room = room;
	return 0;
}

/* The handle of a number, or NULL; under the lock. */
static struct handle *find(struct handles *handles, uint64_t number)
{
	struct handle *handle = handles->adopted;
	size_t slot = (uint32_t)number;

	while (handle && handle->number != number)
		handle = handle->next;
	if (handle || !slot || slot > handles->room)
		return handle;
	handle = handles->slot[slot - 1];
	return handle && handle->number == number ? handle : NULL;
}

static struct handle *handle_make(const struct inode *node, const struct caller *who, int flags)
{
	struct handle *handle = calloc(1, sizeof(*handle));

	if (!handle)
		return NULL;
	pthread_mutex_init(&handle->lock, NULL);
	handle->references = 2;
	handle->node = *node;
	handle->uid = who->uid;
	handle->gid = who->gid;
	handle->flags = flags;
	handle->log_fd = -1;
	return handle;
}

struct handle *handle_adopt(struct fs *fs, uint64_t number, const struct inode *node,
			    const struct caller *who, int flags)
{
	struct handle *handle = handle_make(node, who, flags), *other;

	if (!handle)
		return NULL;
	handle->number = number;
	pthread_mutex_lock(&fs->handles.lock);
	other = find(&fs->handles, number);
	if (other) {
		other->references++; /* another thread was first */
	} else {
		handle->next = fs->handles.adopted;
		fs->handles.adopted = handle;
		fs->handles.count++;
	}
	pthread_mutex_unlock(&fs->handles.lock);
	if (!other)
		return handle;
	handle_free(fs, handle);
	return other;
}

static void adopted_remove(struct handles *handles, struct handle *handle)
{
	struct handle **link = &handles->adopted;

	while (*link != handle)
		link = &(*link)->next;
	*link = handle->next;
}

int handle_new(struct fs *fs, const struct inode *node, const struct caller *who, int flags,
	       struct handle **ret)
{
	struct handles *handles = &fs->handles;
	struct handle *handle = handle_make(node, who, flags);
	size_t slot;
	int r;

	if (!handle)
		return -ENOMEM;
	pthread_mutex_lock(&handles->lock);
	r = slot_take(handles, &slot);
	if (!r) {
		handle->number = number_of(slot, handles->generation[slot]) |
				 (holds_text(node, flags) ? HOLDS_TEXT : 0);
		handles->slot[slot] = handle;
		handles->count++;
	}
	pthread_mutex_unlock(&handles->lock);
	if (r < 0) {
		handle_free(fs, handle);
		return r;
	}
	*ret = handle;
	return 0;
}

struct handle *handle_get(struct fs *fs, uint64_t number)
{
	struct handle *handle;

	pthread_mutex_lock(&fs->handles.lock);
	handle = find(&fs->handles, number);
	if (handle)
		handle->references++;
	pthread_mutex_unlock(&fs->handles.lock);
	return handle;
}

void handle_put(struct fs *fs, struct handle *handle)
{
	bool last;

	if (!handle)
		return;
	pthread_mutex_lock(&fs->handles.lock);
	last = !--handle->references;
	pthread_mutex_unlock(&fs->handles.lock);
	if (last)
		handle_free(fs, handle);
}

void handle_reference_done(struct handle_reference *reference)
{
	handle_put(reference->fs, reference->handle);
}

void handle_drop(struct fs *fs, uint64_t number)
{
	struct handles *handles = &fs->handles;
	struct handle *handle;

	pthread_mutex_lock(&handles->lock);
	handle = find(handles, number);
	if (handle) {
		size_t slot = (uint32_t)number - 1;
		bool adopted = slot >= handles->room || handles->slot[slot] != handle;

		if (adopted) {
			adopted_remove(handles, handle);
		} else {
			handles->slot[slot] = NULL;
			handles->generation[slot]++;
			if (slot < handles->first_free)
				handles->first_free = slot;
		}
		handles->count--;
		if (handle->poll)
			handles->pollers--;
	}
	pthread_mutex_unlock(&handles->lock);
	handle_put(fs, handle);
}

void handles_clear(struct fs *fs)
{
	while (fs->handles.adopted)
		handle_drop(fs, fs->handles.adopted->number);
	for (size_t i = 0; i < fs->handles.room; i++) {
		uint64_t number = 0;

		pthread_mutex_lock(&fs->handles.lock);
		if (fs->handles.slot[i])
			number = fs->handles.slot[i]->number;
		pthread_mutex_unlock(&fs->handles.lock);
		if (number)
			handle_drop(fs, number);
	}
}

void handles_done(struct handles *handles)
{
	free(handles->slot);
	free(handles->generation);
	pthread_mutex_destroy(&handles->lock);
}

size_t handles_count(struct fs *fs, uint32_t uid, const struct inode *node)
{
	size_t count = 0;

	pthread_mutex_lock(&fs->handles.lock);
	for (size_t i = 0; i < fs->handles.room; i++) {
		const struct handle *handle = fs->handles.slot[i];

		if (handle && handle->uid == uid && handle->node.kind == node->kind &&
		    handle->node.part == node->part && handle->node.id == node->id)
			count++;
	}
	pthread_mutex_unlock(&fs->handles.lock);
	return count;
}

void handle_poll_set(struct fs *fs, struct handle *handle, struct fuse_pollhandle *poll)
{
	struct fuse_pollhandle *old;

	takeover_polls(fs, poll);
	pthread_mutex_lock(&fs->handles.lock);
	old = handle->poll;
	handle->poll = poll;
	if (!old)
		fs->handles.pollers++;
	pthread_mutex_unlock(&fs->handles.lock);
	if (old)
		fuse_pollhandle_destroy(old);
}

/* That of @handle, when @match likes it; under the lock. */
static struct fuse_pollhandle *
poll_take(struct handles *handles, struct handle *handle,
	  bool (*match)(const struct handle *handle, const int64_t *what), const int64_t *what)
{
	struct fuse_pollhandle *poll = handle && match(handle, what) ? handle->poll : NULL;

	if (poll) {
		handle->poll = NULL;
		handles->pollers--;
	}
	return poll;
}

/* Hand the poll handles of those that @match likes over to the notifying thread. */
static void wake(struct fs *fs, bool (*match)(const struct handle *handle, const int64_t *what),
		 const int64_t *what)
{
	struct handles *handles = &fs->handles;

	for (size_t i = 0;;) {
		struct fuse_pollhandle *poll = NULL;

		pthread_mutex_lock(&handles->lock);
		if (!handles->pollers)
			i = handles->room;
		for (; i < handles->room && !poll; i++)
			poll = poll_take(handles, handles->slot[i], match, what);
		for (struct handle *h = handles->adopted; h && !poll; h = h->next)
			poll = poll_take(handles, h, match, what);
		pthread_mutex_unlock(&handles->lock);
		if (!poll)
			return;
		takeover_polled(fs, poll);
		notice_poll(fs, poll);
	}
}

static bool match_file(const struct handle *handle, const int64_t *what)
{
	if (handle->node.kind != INODE_REQUEST || handle->node.part >= REQUEST_FILES ||
	    !(what[2] >> handle->node.part & 1))
		return false;
	return (what[0] && handle->node.id == what[0]) || (what[1] && handle->compose == what[1]);
}

static bool match_events(const struct handle *handle, const int64_t *what _unused_)
{
	return handle->node.kind == INODE_FIXED && handle->node.part == FIXED_EVENTS;
}

void handles_wake(struct fs *fs, int64_t request, int64_t compose, uint32_t files)
{
	const int64_t what[] = { request, compose, files };

	wake(fs, match_file, what);
}

void handles_wake_events(struct fs *fs)
{
	wake(fs, match_events, NULL);
}

int handle_word_said(struct handle *handle, const struct text *word)
{
	int r;

	pthread_mutex_lock(&handle->lock);
	text_clear(&handle->content);
	r = text_add(&handle->content, word->data, word->length);
	handle->filled = r == 0;
	handle->read_once = true;
	pthread_mutex_unlock(&handle->lock);
	return r;
}

void handles_accepted(struct fs *fs, int64_t request, int64_t compose)
{
	pthread_mutex_lock(&fs->handles.lock);
	for (size_t i = 0; i < fs->handles.room; i++) {
		struct handle *handle = fs->handles.slot[i];

		if (handle && handle->node.kind == INODE_REQUEST && handle->node.id == request)
			handle->compose = compose;
	}
	pthread_mutex_unlock(&fs->handles.lock);
}
