/* SPDX-License-Identifier: MIT */
/* fs/notify.c: news from the catalogue, to those who wait for them and to the kernel's caches.
 *
 *   catalogue ─► fs_changed() ─┬─► blocked reads of wait and events: answered at once, any thread
 *                              └─► notices ─► fs_notify_run(): poll wake-ups, forgotten names
 *
 * A blocked read keeps its fuse_req_t in the list of waiters and no thread. A waiter belongs to who
 * takes it off the list; while it is being put there (`arming`) it may only be marked, since
 * libfuse must not be told about its interrupt function after somebody else has replied. */
#include "fs/internal.h"

#include <unistd.h>

#define MISSED_SECONDS 60 /* between a change and the word to the kernel, at most */

struct waiter {
	struct waiter *next;
	fuse_req_t req;
	bool events;
	int64_t request, compose; /* of wait */
	uint64_t handle;
	size_t size;
	bool arming, ready, interrupted;
};

struct notice {
	struct notice *next;
	struct fuse_pollhandle *poll; /* or a name: */
	uint64_t parent;
	char name[];
};

void news_init(struct news *news)
{
	pthread_mutex_init(&news->lock, NULL);
	news->next_serial = news->first_serial = 1;
	news->last = &news->first;
	news->closed = true;
}

static void notices_free(struct notice *notice)
{
	while (notice) {
		struct notice *next = notice->next;

		if (notice->poll)
			fuse_pollhandle_destroy(notice->poll);
		free(notice);
		notice = next;
	}
}

void news_done(struct news *news)
{
	notices_free(news->first);
	for (size_t i = 0; i < EVENTS_KEPT; i++)
		free(news->event[i].text);
	pthread_mutex_destroy(&news->lock);
}

/* ---- the stream of events ------------------------------------------------ */

uint64_t news_serial(struct fs *fs)
{
	uint64_t serial;

	pthread_mutex_lock(&fs->news.lock);
	serial = fs->news.next_serial;
	pthread_mutex_unlock(&fs->news.lock);
	return serial;
}

static char *event_text(struct fs *fs, const struct catalogue_event *event)
{
	const struct compose *compose = event->compose;
	struct request request = { 0 };
	struct error err = { 0 };
	char *line = NULL;
	json_t *json;

	(void)catalogue_request_get(fs->options.catalogue, compose->request, &request, &err);
	json = json_pack("{s:s, s:I, s:s?, s:s?, s:s?, s:i, s:i, s:s, s:s, s:s?, s:I, s:I}",
			 "event", "state-changed", "id", (json_int_t)compose->id, "request",
			 request.name, "owner", compose->owner, "source", compose->source,
			 "source_type", compose->spec->source_type, "state", compose->state,
			 "state_name", state_name(compose->state), "old_state_name",
			 state_name(event->old_state), "state_reason", compose->state_reason,
			 "time", (json_int_t)time_now(), "time_to_expire",
			 (json_int_t)compose->time_to_expire);
	request_done(&request);
	if (json)
		line = json_line(json);
	json_decref(json);
	return line;
}

/* Under the lock */
static void drop_oldest(struct news *news)
{
	struct event_line *line = &news->event[news->first_serial++ % EVENTS_KEPT];

	news->event_bytes -= line->length;
	free(line->text);
	*line = (struct event_line){ 0 };
}

static void event_add(struct fs *fs, const struct catalogue_event *event)
{
	struct news *news = &fs->news;
	char *line = event_text(fs, event);

	if (!line)
		return; /* out of memory, or text that is not UTF-8: readers see the state itself */
	pthread_mutex_lock(&news->lock);
	struct event_line *slot = &news->event[news->next_serial % EVENTS_KEPT];
	if (news->next_serial - news->first_serial == EVENTS_KEPT)
		drop_oldest(news);
	slot->text = line;
	slot->length = strlen(line);
	news->event_bytes += slot->length;
	news->next_serial++;
	while (news->event_bytes > EVENTS_BYTES && news->first_serial + 1 < news->next_serial)
		drop_oldest(news);
	pthread_mutex_unlock(&news->lock);
}

int events_take(struct fs *fs, struct handle *handle, size_t size, struct text *ret)
{
	struct news *news = &fs->news;
	int r = 0;

	pthread_mutex_lock(&handle->lock);
	pthread_mutex_lock(&news->lock); /* the one place with two: handle before news */
	if (handle->seen < news->first_serial) {
		handle->seen = news->first_serial; /* too slow: the oldest are gone */
		handle->position = 0;
	}
	while (!r && handle->seen < news->next_serial && ret->length < size) {
		const struct event_line *line = &news->event[handle->seen % EVENTS_KEPT];
		size_t rest = line->length - handle->position, room = size - ret->length;

		if (rest > room && ret->length)
			break; /* whole lines as long as there is one */
		if (rest > room)
			rest = room;
		r = text_add(ret, line->text + handle->position, rest);
		handle->position += rest;
		if (handle->position == line->length) {
			handle->seen++;
			handle->position = 0;
		}
	}
	pthread_mutex_unlock(&news->lock);
	pthread_mutex_unlock(&handle->lock);
	return r;
}

/* ---- waiters ------------------------------------------------------------- */

/* Take @waiter off the list; false when somebody else did; under the lock. */
static bool take(struct news *news, struct waiter *waiter)
{
	for (struct waiter **link = &news->waiters; *link; link = &(*link)->next)
		if (*link == waiter) {
			*link = waiter->next;
			news->waiting--;
			return true;
		}
	return false;
}

static void interrupted(fuse_req_t req, void *data)
{
	struct fs *fs = data;
	struct waiter *waiter;
	bool ours = false;

	pthread_mutex_lock(&fs->news.lock);
	for (waiter = fs->news.waiters; waiter && waiter->req != req;)
		waiter = waiter->next;
	if (waiter) {
		waiter->interrupted = true;
		ours = !waiter->arming && take(&fs->news, waiter);
	}
	pthread_mutex_unlock(&fs->news.lock);
	if (ours) {
		reply_interrupted(fs, req);
		free(waiter);
	}
}

static int waiter_add(struct fs *fs, struct waiter *waiter)
{
	struct news *news = &fs->news;
	int r = 0;

	waiter->arming = true;
	pthread_mutex_lock(&news->lock);
	if (news->closed) {
		r = -EINTR;
	} else if (news->waiting >= WAITERS_MAX) {
		r = -EAGAIN;
	} else {
		waiter->next = news->waiters;
		news->waiters = waiter;
		news->waiting++;
	}
	pthread_mutex_unlock(&news->lock);
	return r;
}

/* The second half of holding: HELD, or 0 when news came, or -EINTR; not HELD: @waiter is freed. */
static int waiter_arm(struct fs *fs, struct waiter *waiter)
{
	struct news *news = &fs->news;
	int r = HELD;

	fuse_req_interrupt_func(waiter->req, interrupted, fs);
	pthread_mutex_lock(&news->lock);
	waiter->arming = false;
	if (waiter->ready || waiter->interrupted || news->closed) {
		r = waiter->ready ? 0 : -EINTR;
		(void)take(news, waiter);
	}
	pthread_mutex_unlock(&news->lock);
	if (r != HELD)
		free(waiter);
	return r;
}

static void waiter_drop(struct fs *fs, struct waiter *waiter)
{
	pthread_mutex_lock(&fs->news.lock);
	(void)take(&fs->news, waiter);
	pthread_mutex_unlock(&fs->news.lock);
	free(waiter);
}

/* What a waiter waits for, as far as it has come; nothing in @ret: not yet. @handle: of events */
static int look(struct fs *fs, const struct waiter *asked, struct handle *handle, struct text *ret)
{
	return asked->events ? events_take(fs, handle, asked->size, ret)
			     : wait_word(fs, asked->request, asked->compose, ret);
}

static int hold(struct fs *fs, const struct waiter *asked, struct handle *handle, struct text *ret)
{
	struct waiter *waiter = malloc(sizeof(*waiter));
	int r;

	if (!waiter)
		return -ENOMEM;
	*waiter = *asked;
	r = waiter_add(fs, waiter);
	if (r < 0) {
		free(waiter);
		return r;
	}
	/* On the list now: what happens from here on is not missed. What happened before: */
	r = look(fs, asked, handle, ret);
	if (r < 0 || ret->length) {
		waiter_drop(fs, waiter);
		return r;
	}
	r = waiter_arm(fs, waiter);
	return r ? r : look(fs, asked, handle, ret);
}

int news_hold_wait(struct fs *fs, fuse_req_t req, int64_t request, int64_t compose, uint64_t handle,
		   size_t size, struct text *ret)
{
	const struct waiter asked = {
		.req = req, .request = request, .compose = compose, .handle = handle, .size = size
	};

	return hold(fs, &asked, NULL, ret);
}

int news_hold_events(struct fs *fs, fuse_req_t req, struct handle *handle, size_t size,
		     struct text *ret)
{
	const struct waiter asked = {
		.req = req, .events = true, .handle = handle->number, .size = size
	};

	return hold(fs, &asked, handle, ret);
}

static void answer(struct fs *fs, struct waiter *waiter)
{
	_cleanup_(handle_reference_done) struct handle_reference reference = {
		fs, handle_get(fs, waiter->handle)
	};
	struct text text = { 0 };
	int r;

	if (waiter->events)
		r = reference.handle ? events_take(fs, reference.handle, waiter->size, &text)
				     : -ESTALE;
	else
		r = wait_word(fs, waiter->request, waiter->compose, &text);
	if (!r && !waiter->events && reference.handle)
		r = handle_word_said(reference.handle, &text);
	if (r < 0)
		fuse_reply_err(waiter->req, -r);
	else
		fuse_reply_buf(waiter->req, text.data,
			       text.length < waiter->size ? text.length : waiter->size);
	text_done(&text);
	free(waiter);
}

/* Answer those who wait for events (@request 0) or for that request. A mount that is about to end
 * answers them itself. */
static void answer_all(struct fs *fs, int64_t request, int64_t compose)
{
	struct news *news = &fs->news;
	struct waiter *mine = NULL;

	if (!session_enter(&fs->mount[FS_TREE], false))
		return;
	pthread_mutex_lock(&news->lock);
	for (struct waiter **link = &news->waiters; *link;) {
		struct waiter *waiter = *link;
		bool match = request || compose
				     ? !waiter->events && (waiter->request == request ||
							   (compose && waiter->compose == compose))
				     : waiter->events;

		if (!match || waiter->arming) {
			waiter->ready = waiter->ready || match;
			link = &waiter->next;
			continue;
		}
		*link = waiter->next;
		news->waiting--;
		waiter->next = mine;
		mine = waiter;
	}
	pthread_mutex_unlock(&news->lock);
	while (mine) {
		struct waiter *waiter = mine;

		mine = waiter->next;
		answer(fs, waiter);
	}
	session_leave(&fs->mount[FS_TREE]);
}

void news_open(struct fs *fs)
{
	pthread_mutex_lock(&fs->news.lock);
	fs->news.closed = false;
	pthread_mutex_unlock(&fs->news.lock);
}

void news_close(struct fs *fs)
{
	struct news *news = &fs->news;
	struct waiter *mine = NULL;

	pthread_mutex_lock(&news->lock);
	news->closed = true;
	for (struct waiter **link = &news->waiters; *link;) {
		struct waiter *waiter = *link;

		if (waiter->arming) { /* its own thread sees `closed` */
			link = &waiter->next;
			continue;
		}
		*link = waiter->next;
		news->waiting--;
		waiter->next = mine;
		mine = waiter;
	}
	pthread_mutex_unlock(&news->lock);
	while (mine) {
		struct waiter *waiter = mine;

		mine = waiter->next;
		reply_interrupted(fs, waiter->req);
		free(waiter);
	}
}

/* ---- notices to the kernel ----------------------------------------------- */

static void notice_add(struct fs *fs, struct notice *notice)
{
	pthread_mutex_lock(&fs->news.lock);
	*fs->news.last = notice;
	fs->news.last = &notice->next;
	pthread_mutex_unlock(&fs->news.lock);
	notify_wake(fs);
}

void notice_poll(struct fs *fs, struct fuse_pollhandle *poll)
{
	struct notice *notice = calloc(1, sizeof(*notice));

	if (!notice) {
		fuse_pollhandle_destroy(poll);
		return;
	}
	notice->poll = poll;
	notice_add(fs, notice);
}

void notice_entry(struct fs *fs, uint64_t parent, const char *name)
{
	size_t length = strlen(name);
	struct notice *notice = calloc(1, sizeof(*notice) + length + 1);

	if (!notice)
		return;
	notice->parent = parent;
	memcpy(notice->name, name, length + 1);
	notice_add(fs, notice);
}

void notice_composes(struct fs *fs)
{
	pthread_mutex_lock(&fs->news.lock);
	fs->news.composes_changed = true;
	pthread_mutex_unlock(&fs->news.lock);
	notify_wake(fs);
}

/* The kernel looks at the attributes of composes/ whenever a path leads through it. */
static void composes_send(struct mount *mount)
{
	struct fuse_session *session = session_enter(mount, true);

	if (!session)
		return;
	(void)fuse_lowlevel_notify_inval_inode(session, ino_there(mount, FIXED_INO(FIXED_COMPOSES)),
					       -1, 0);
	session_leave(mount);
}

static void notice_send(struct mount *mount, const struct notice *notice)
{
	struct fuse_session *session;

	if (notice->poll && mount->place != FS_TREE)
		return;
	session = session_enter(mount, true);
	if (!session)
		return;
	if (notice->poll)
		(void)fuse_lowlevel_notify_poll(notice->poll);
	else /* -ENOENT: the kernel did not know the name */
		(void)fuse_lowlevel_notify_inval_entry(session, ino_there(mount, notice->parent),
						       notice->name, strlen(notice->name));
	session_leave(mount);
}

void notices_send(struct fs *fs)
{
	struct notice *all, *notice;
	int64_t now = time_now();
	bool changed;

	pthread_mutex_lock(&fs->news.lock);
	all = fs->news.first;
	fs->news.first = NULL;
	fs->news.last = &fs->news.first;
	changed = fs->news.composes_changed;
	fs->news.composes_changed = false;
	pthread_mutex_unlock(&fs->news.lock);
	for (int place = 0; changed && place < FS_PLACES; place++)
		composes_send(&fs->mount[place]);
	for (notice = all; notice; notice = notice->next)
		for (int place = 0; place < FS_PLACES; place++)
			notice_send(&fs->mount[place], notice);
	notices_free(all);
	takeover_told(fs, now);
}

/* ---- news from the catalogue --------------------------------------------- */

static void request_changed(struct fs *fs, int64_t request)
{
	struct request found = { 0 };
	struct error err = { 0 };

	counts_changed(fs, true);
	/* Made and renamed concern nobody here; dropped: its text goes, who waits for it is told.
	 */
	if (catalogue_request_get(fs->options.catalogue, request, &found, &err) == -ENOENT) {
		draft_drop(fs, request);
		answer_all(fs, request, 0);
		handles_wake(fs, request, 0, ~UINT32_C(0));
	}
	request_done(&found);
}

/* Names that the kernel may remember for an hour are taken back at once. */
static void forget_names(struct fs *fs, const struct compose *compose)
{
	struct strings names = { 0 };

	if (!compose_names(compose, &names))
		for (size_t i = 0; i < names.count; i++)
			notice_entry(fs, FIXED_INO(FIXED_COMPOSES), names.item[i]);
	strings_done(&names);
}

struct missed {
	struct fs *fs;
	int64_t since;
};

static bool missed_one(void *data, const struct compose *compose)
{
	const struct missed *missed = data;

	if (compose->time_removed < missed->since)
		return true;
	if (compose_is_gone(compose))
		forget_names(missed->fs, compose);
	return false;
}

void news_missed(struct fs *fs, int64_t since)
{
	struct missed missed = { fs, since - MISSED_SECONDS };
	struct compose_query query = COMPOSE_QUERY_ALL;
	struct error err = { 0 };

	query.state = STATE_REMOVED;
	query.order = ORDER_TIME_REMOVED;
	query.descending = true;
	if (catalogue_query(fs->options.catalogue, &query, missed_one, &missed, NULL, &err) < 0)
		log_error("fs: names that are gone: %s", err.message);
	notice_composes(fs);
}

void fs_changed(void *data, const struct catalogue_event *event)
{
	const uint32_t files = 1u << REQUEST_STATUS | 1u << REQUEST_PROGRESS | 1u << REQUEST_WAIT |
			       1u << REQUEST_LOG;
	struct fs *fs = data;

	if (event->request_only || !event->compose) {
		request_changed(fs, event->request);
		return;
	}
	const struct compose *compose = event->compose;
	bool moved = event->old_state != compose->state;
	if (event->old_state == STATE_DRAFT) {
		handles_accepted(fs, compose->request, compose->id);
		counts_changed(fs, true);
	}
	if (compose_is_gone(compose)) {
		shown_changed(fs, compose->id, true);
		forget_names(fs, compose);
	} else if (moved && compose->state != STATE_REMOVED) {
		shown_changed(fs, compose->id, false);
	}
	if (!moved)
		return; /* renewed or resolved, or nobody shows its tree any more */
	counts_changed(fs, false);
	notice_composes(fs);
	event_add(fs, event);
	answer_all(fs, 0, 0);
	handles_wake_events(fs);
	if (state_final(compose->state))
		answer_all(fs, compose->request, compose->id);
	handles_wake(fs, compose->request, compose->id, files);
}

void fs_progress(struct fs *fs, int64_t id)
{
	handles_wake(fs, 0, id, 1u << REQUEST_PROGRESS | 1u << REQUEST_LOG);
}
