/* SPDX-License-Identifier: MIT */
/* fs/command.c: what an owner or root may do to an accepted request: renew, cancel, expire, submit
 * again.
 *
 * May write to the catalogue: called without a lock. */
#include "fs/internal.h"

#include <pwd.h>
#include <unistd.h>

char *owner_name(uint32_t uid)
{
	struct passwd entry, *found = NULL;
	char buffer[16384], *name = NULL;

	if (!getpwuid_r(uid, &entry, buffer, sizeof(buffer), &found) && found)
		return strdup(found->pw_name);
	return asprintf(&name, "%" PRIu32, uid) < 0 ? NULL : name;
}

bool may_command(const struct request *request, uint32_t uid)
{
	return !uid || uid == request->uid;
}

static int64_t ttl_maximum(const struct fs *fs)
{
	return fs->options.rules->maximum_seconds_to_live;
}

/* The catalogue's word for "not in that state" is ESTALE; a program that wrote to a control file
 * looks for EBUSY. */
static int wrong_state(int r)
{
	if (r == -ESTALE)
		return -EBUSY;
	return r == -ENOENT || r == -ENOSPC || r == -ENOMEM || r == -EDQUOT || !r ? r : -EIO;
}

int request_renew(struct fs *fs, const struct request_view *view, int64_t seconds)
{
	struct error err = { 0 };
	int64_t expires;
	enum renew_rule rule = seconds ? RENEW_SET : RENEW_EXTEND;

	if (!view->compose || view->compose->state != STATE_DONE)
		return -EBUSY;
	if (!seconds)
		seconds = fs->options.rules->default_seconds_to_live;
	return wrong_state(catalogue_renew(fs->options.catalogue, view->compose->id, seconds, rule,
					   &expires, &err));
}

int request_ttl_write(struct fs *fs, const struct request_view *view, const char *bytes,
		      size_t length)
{
	int64_t seconds;
	int r = ttl_parse(bytes, length, ttl_maximum(fs), &seconds);

	return r < 0 ? r : request_renew(fs, view, seconds);
}

static int cancel(struct fs *fs, const struct request_view *view, uint32_t uid)
{
	_cleanup_(freep) char *who = owner_name(uid);
	struct error err = { 0 };

	return who ? wrong_state(
			     catalogue_cancel(fs->options.catalogue, view->compose->id, who, &err))
		   : -ENOMEM;
}

static int expire(struct fs *fs, const struct request_view *view, uint32_t uid)
{
	_cleanup_(freep) char *who = NULL;
	struct error err = { 0 };

	if (uid && !fs->options.owner_may_expire)
		return -EPERM;
	who = owner_name(uid);
	return who ? wrong_state(
			     catalogue_delete(fs->options.catalogue, view->compose->id, who, &err))
		   : -ENOMEM;
}

static int resubmit(struct fs *fs, const struct request_view *view)
{
	const struct compose *compose = view->compose;
	_cleanup_(freep) char *bytes = NULL;
	struct text text = { 0 }, words = { 0 };
	struct error err = { 0 };
	size_t length;
	int r;

	if (!state_final(compose->state))
		return -EBUSY;
	r = catalogue_text(fs->options.catalogue, compose->id, &bytes, &length, &err);
	if (r == -ENOENT) {
		/* Came by REST without a text of its own: the normal form says the same. */
		json_t *json = spec_to_json(compose->spec);

		bytes = json ? json_line(json) : NULL;
		json_decref(json);
		length = bytes ? strlen(bytes) : 0;
	} else if (r < 0) {
		return -EIO;
	}
	if (!bytes || text_add(&text, bytes, length) < 0)
		return -ENOMEM;

	struct submitter who = {
		.owner = compose->owner,
		.uid = compose->uid,
		.gid = compose->gid,
		.respin_of = compose->pungi_compose_id,
	};
	r = submit_text(fs, &who, &text, &words, NULL);
	text_done(&text);
	text_done(&words);
	return r == -EAGAIN ? -EINVAL : r;
}

int request_command(struct fs *fs, const struct request_view *view, uint32_t uid, const char *bytes,
		    size_t length)
{
	enum command command;
	int64_t seconds;
	int r = command_parse(bytes, length, ttl_maximum(fs), &command, &seconds);

	if (r < 0)
		return r;
	if (!view->compose)
		return -EBUSY;
	switch (command) {
	case COMMAND_CANCEL:
		return cancel(fs, view, uid);
	case COMMAND_EXPIRE:
		return expire(fs, view, uid);
	case COMMAND_RENEW:
		return request_renew(fs, view, seconds);
	case COMMAND_RESUBMIT:
		return resubmit(fs, view);
	}
	return -EINVAL;
}

int request_end(struct fs *fs, const struct request_view *view, uint32_t uid)
{
	int r;

	if (!view->compose)
		return 0;
	/* The state may change between look and deed: try again with what is true now. */
	r = cancel(fs, view, uid);
	if (r == -EBUSY)
		r = expire(fs, view, uid);
	if (r == -EBUSY)
		r = cancel(fs, view, uid);
	return r == -EBUSY ? 0 : r; /* removed meanwhile: nothing to end */
}
