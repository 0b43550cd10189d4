/* SPDX-License-Identifier: MIT */
/* fs/command.c: what an owner or administrator may do to an accepted request: renew, cancel,
 * expire, submit again.
 *
 * May write to the catalogue: called without a lock. */
#include "fs/internal.h"

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

static int cancel(struct fs *fs, const struct request_view *view, const struct caller *who)
{
	_cleanup_(freep) char *name = owner_name(who->uid);
	struct error err = { 0 };

	return name ? wrong_state(catalogue_cancel(fs->options.catalogue, view->compose->id, name,
						   &err))
		    : -ENOMEM;
}

static int expire(struct fs *fs, const struct request_view *view, const struct caller *who)
{
	_cleanup_(freep) char *name = NULL;
	struct error err = { 0 };

	if (!fs->options.owner_may_expire && !is_admin(fs, who))
		return -EPERM;
	name = owner_name(who->uid);
	return name ? wrong_state(catalogue_delete(fs->options.catalogue, view->compose->id, name,
						   &err))
		    : -ENOMEM;
}

static int resubmit(struct fs *fs, const struct request_view *view, const struct caller *by)
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
		.by = *by,
		.respin_of = compose->pungi_compose_id,
	};
	r = submit_text(fs, &who, &text, &words, NULL);
	text_done(&text);
	text_done(&words);
	return r == -EAGAIN ? -EINVAL : r;
}

int request_command(struct fs *fs, const struct request_view *view, const struct caller *who,
		    const char *bytes, size_t length)
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
		return cancel(fs, view, who);
	case COMMAND_EXPIRE:
		return expire(fs, view, who);
	case COMMAND_RENEW:
		return request_renew(fs, view, seconds);
	case COMMAND_RESUBMIT:
		return resubmit(fs, view, who);
	}
	return -EINVAL;
}

int request_end(struct fs *fs, const struct request_view *view, const struct caller *who)
{
	int r;

	if (!view->compose)
		return 0;
	/* The state may change between look and deed: try again with what is true now. */
	r = cancel(fs, view, who);
	if (r == -EBUSY)
		r = expire(fs, view, who);
	if (r == -EBUSY)
		r = cancel(fs, view, who);
	return r == -EBUSY ? 0 : r; /* removed meanwhile: nothing to end */
}
