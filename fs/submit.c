/* SPDX-License-Identifier: MIT */
/* fs/submit.c: from text to an accepted request, exactly once (tree.md 2).
 *
 * A draft is judged when a writer closes, syncs, or moves a temporary file onto spec.json. While
 * its text is with the catalogue the draft is marked, so a second close waits for the same verdict;
 * no lock is held meanwhile. Acceptance is durable before the caller gets its answer. */
#include "fs/internal.h"

#include <fcntl.h>

/* What a program sees: shape and values are EINVAL whatever limit they broke (tree.md 2.4). */
static int verdict_errno(const struct error *err, int r)
{
	if (err->blame == BLAME_REQUEST)
		return r == -EFBIG || r == -EAGAIN ? -EINVAL : r;
	return r == -ENOSPC || r == -EDQUOT || r == -EBUSY || r == -ENOENT || r == -ENOMEM ? r
											   : -EIO;
}

static void say(struct text *words, const struct error *err)
{
	text_addf(words, "%s: %s\n", *err->field ? err->field : "request", err->message);
}

int submit_text(struct fs *fs, const struct submitter *who, const struct text *text,
		struct text *words, struct compose **ret)
{
	_cleanup_(spec_freep) struct spec *spec = NULL;
	struct error err = { 0 };
	int r;

	if (fs->draining) {
		text_adds(words, "request: the service takes no requests at the moment\n");
		return -EROFS;
	}
	if (!who->request && fs->options.admit &&
	    fs->options.admit(fs->options.admit_data, who->by.uid, who->by.gid) < 0) {
		text_adds(words, "request: this user may not make requests\n");
		return -EACCES;
	}
	r = spec_parse(text->data ? text->data : "", text->length, fs->options.rules, &spec, NULL,
		       words, &err);
	if (r == -EAGAIN)
		return r;
	if (r < 0) {
		if (!words->length)
			say(words, &err);
		return verdict_errno(&err, r);
	}
	r = submission_check(fs, &who->by, spec, &err);
	if (r < 0) {
		say(words, &err);
		return err.blame == BLAME_REQUEST ? r : verdict_errno(&err, r);
	}

	struct submission submission = {
		.request = who->request,
		.owner = who->owner,
		.uid = who->uid,
		.gid = who->gid,
		.spec = spec,
		.text = text->data,
		.text_length = text->length,
		.respin_of = who->respin_of,
		.live_limit = live_limit(fs, &who->by),
		.contact = fs->options.contact,
	};
	r = catalogue_submit(fs->options.catalogue, &submission, NULL, ret, &err);
	if (r < 0) {
		say(words, &err);
		if (err.blame == BLAME_US && r != -EBUSY && r != -ENOENT)
			log_error("fs: request not accepted: %s", err.message);
		return verdict_errno(&err, r);
	}
	return 0;
}

static int judge_draft(struct fs *fs, int64_t number, const struct text *text, struct text *words)
{
	struct request request = { 0 };
	struct error err = { 0 };
	int r = catalogue_request_get(fs->options.catalogue, number, &request, &err);

	if (r < 0)
		return r == -ENOENT ? r : -EIO;
	if (request.compose_id) {
		r = -EBUSY;
	} else {
		struct submitter who = {
			.request = number,
			.owner = request.owner,
			.uid = request.uid,
			.gid = request.gid,
			.by = { request.uid, request.gid },
		};
		r = submit_text(fs, &who, text, words, NULL);
	}
	request_done(&request);
	return r;
}

static int judged(struct fs *fs, int64_t request, int r, const struct text *words)
{
	if (!r || r == -EBUSY || r == -ENOENT)
		draft_drop(fs, request); /* accepted, now or by somebody else, or gone */
	else
		draft_judge_end(fs, request, r == -EAGAIN ? NULL : words->data);
	return r;
}

int submit_draft(struct fs *fs, int64_t request, uint64_t writer, bool flush)
{
	struct text text = { 0 }, words = { 0 };
	int r = draft_judge_begin(fs, request, writer, flush, &text);

	if (r > 0) {
		r = judge_draft(fs, request, &text, &words);
		r = judged(fs, request, r, &words);
		if (r == -EBUSY)
			r = 0; /* accepted: that is what the caller wanted to know */
		else if (r == -EAGAIN)
			r = -EINVAL;
	}
	text_done(&text);
	text_done(&words);
	return r;
}

static void incomplete(const struct text *text, struct text *words)
{
	text_addf(words, "spec.json: not a complete JSON object: the text ends after %zu bytes\n",
		  text->length);
}

int submit_renamed(struct fs *fs, int64_t request, const char *temporary)
{
	struct text text = { 0 }, words = { 0 };
	int r = temporary_text(fs, request, temporary, &text);

	if (!r)
		r = draft_judge_other(fs, request);
	if (!r) {
		r = judge_draft(fs, request, &text, &words);
		if (r == -EAGAIN) {
			text_clear(&words);
			incomplete(&text, &words);
			r = -EINVAL;
		}
		r = judged(fs, request, r, &words);
	}
	text_done(&text);
	text_done(&words);
	return r;
}

void submit_release(struct fs *fs, int64_t request, uint64_t writer)
{
	struct text text = { 0 }, words = { 0 };

	if (draft_unfinished(fs, request, writer, &text) > 0)
		incomplete(&text, &words);
	draft_close(fs, request, writer, words.data);
	text_done(&text);
	text_done(&words);
}
