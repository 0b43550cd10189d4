/* SPDX-License-Identifier: MIT */
/* fs/content.c: the text behind the control files: one value per file, made when it is read. */
#include "fs/internal.h"

#include <unistd.h>

int request_view_load(struct fs *fs, int64_t number, int64_t compose, struct request_view *ret)
{
	struct request_view view = { 0 };
	struct error err = { 0 };
	int r = catalogue_request_get(fs->options.catalogue, number, &view.request, &err);

	if (r == -ENOENT && compose) {
		view.dropped = true;
		view.request.number = number;
	} else if (r < 0) {
		return r == -ENOENT ? r : -EIO;
	} else {
		compose = view.request.compose_id;
	}
	if (compose) {
		r = catalogue_get(fs->options.catalogue, compose, &view.compose, &err);
		if (r < 0) {
			log_error("fs: request %" PRId64 ": %s", number, err.message);
			request_view_done(&view);
			return -EIO;
		}
	}
	*ret = view;
	return 0;
}

void request_view_done(struct request_view *view)
{
	request_done(&view->request);
	compose_free(view->compose);
	*view = (struct request_view){ 0 };
}

enum compose_state request_view_state(const struct request_view *view)
{
	return view->compose ? view->compose->state : STATE_DRAFT;
}

bool state_final(enum compose_state state)
{
	return state == STATE_DONE || state == STATE_FAILED || state == STATE_REMOVED;
}

int64_t compose_time_changed(const struct compose *compose)
{
	const int64_t times[] = { compose->time_started, compose->time_done,
				  compose->time_removed };
	int64_t latest = compose->time_submitted;

	for (size_t i = 0; i < ARRAY_SIZE(times); i++)
		if (times[i] > latest)
			latest = times[i];
	return latest;
}

/* ---- the files ------------------------------------------------------------ */

int record_line(struct fs *fs, const struct compose *compose, struct text *ret)
{
	json_t *json = compose_to_json(compose, fs->options.public_url, JSON_CURRENT, true);
	_cleanup_(freep) char *line = json ? json_line(json) : NULL;

	json_decref(json);
	return line ? text_adds(ret, line) : -ENOMEM;
}

static int spec_content(struct fs *fs, const struct request_view *view, struct text *ret)
{
	_cleanup_(freep) char *bytes = NULL;
	struct error err = { 0 };
	size_t length;
	int r;

	if (!view->compose) {
		(void)draft_text(fs, view->request.number, ret);
		return ret->failed ? -ENOMEM : 0;
	}
	r = catalogue_text(fs->options.catalogue, view->compose->id, &bytes, &length, &err);
	if (r == -ENOENT)
		return 0;
	return r < 0 ? -EIO : text_add(ret, bytes, length);
}

/* A failed compose tells why in the same file as a refused draft. */
static int error_content(struct fs *fs, const struct request_view *view, struct text *ret)
{
	if (!view->compose) {
		draft_error(fs, view->request.number, ret);
		return ret->failed ? -ENOMEM : 0;
	}
	if (view->compose->state != STATE_FAILED || !view->compose->state_reason)
		return 0;
	text_adds(ret, view->compose->state_reason);
	if (ret->length && ret->data[ret->length - 1] != '\n')
		text_adds(ret, "\n");
	return ret->failed ? -ENOMEM : 0;
}

static int progress_content(struct fs *fs, const struct request_view *view, struct text *ret)
{
	enum compose_state state = request_view_state(view);
	struct progress progress = { 0 };

	if (view->compose)
		catalogue_progress_get(fs->options.catalogue, view->compose->id, &progress);
	if (state == STATE_DONE) {
		int64_t total = progress.total > 0 ? progress.total : 1;

		return text_addf(ret, "%" PRId64 " %" PRId64 " done %" PRId64 " packages\n", total,
				 total, view->compose->packages_count);
	}
	if (state == STATE_GENERATING && *progress.phase)
		return text_addf(ret, "%" PRId64 " %" PRId64 " %s%s%s\n", progress.done,
				 progress.total, progress.phase, *progress.text ? " " : "",
				 progress.text);
	return text_addf(ret, "%" PRId64 " %" PRId64 " %s\n", progress.done, progress.total,
			 state_name(state));
}

static int ttl_content(struct fs *fs, const struct request_view *view, struct text *ret)
{
	int64_t end = view->compose ? view->compose->time_to_expire
				    : view->request.time_created + fs->options.draft_ttl;
	int64_t left = end - time_now();

	if (left < 0 || request_view_state(view) == STATE_REMOVED)
		left = 0;
	return text_addf(ret, "%" PRId64 "\n", left);
}

int control_content(struct fs *fs, const struct request_view *view, uint32_t file, struct text *ret)
{
	enum compose_state state = request_view_state(view);

	switch (file) {
	case REQUEST_SPEC:
		return spec_content(fs, view, ret);
	case REQUEST_STATUS:
		return text_addf(ret, "%s\n", state_name(state));
	case REQUEST_ID:
		return view->compose ? text_addf(ret, "%" PRId64 "\n", view->compose->id) : 0;
	case REQUEST_COMPOSE_JSON:
		return view->compose ? record_line(fs, view->compose, ret) : 0;
	case REQUEST_ERROR:
		return error_content(fs, view, ret);
	case REQUEST_PROGRESS:
		return progress_content(fs, view, ret);
	case REQUEST_WAIT:
		return state_final(state) ? text_addf(ret, "%s\n", state_name(state)) : 0;
	case REQUEST_TTL:
		return ttl_content(fs, view, ret);
	default:
		return 0;
	}
}

/* Size and time of the log file; no log yet is an empty one. */
static void log_size(struct fs *fs, const struct request_view *view, uint64_t *ret_size,
		     int64_t *ret_mtime)
{
	_cleanup_(closep) int fd = -1;
	struct error err = { 0 };
	struct stat st;

	if (!view->compose)
		return;
	fd = tree_store_log_open(fs->options.trees, view->compose->id, false, &err);
	if (fd < 0 || fstat(fd, &st) < 0)
		return;
	*ret_size = (uint64_t)st.st_size;
	*ret_mtime = st.st_mtime;
}

int control_size(struct fs *fs, const struct request_view *view, uint32_t file, uint64_t *ret_size,
		 int64_t *ret_mtime)
{
	struct text text = { 0 };
	int r;

	*ret_mtime =
		view->compose ? compose_time_changed(view->compose) : view->request.time_created;
	*ret_size = 0;
	if (file == REQUEST_LOG) {
		log_size(fs, view, ret_size, ret_mtime);
		return 0;
	}
	if (file == REQUEST_SPEC) {
		int64_t written = view->compose ? view->compose->time_submitted
						: draft_text(fs, view->request.number, NULL);
		if (written)
			*ret_mtime = written;
	}
	if (file == REQUEST_ERROR && !view->compose)
		draft_settle(fs, view->request.number);
	r = control_content(fs, view, file, &text);
	if (!r)
		*ret_size = text.length;
	text_done(&text);
	return r;
}

int fixed_content(struct fs *fs, uint32_t part, struct text *ret)
{
	switch (part) {
	case FIXED_README:
		return fs->options.readme ? text_adds(ret, fs->options.readme) : 0;
	case FIXED_VERSION:
		if (fs->options.version)
			(void)text_adds(ret, fs->options.version);
		reads_text(fs, ret);
		return ret->failed ? -ENOMEM : 0;
	case FIXED_METRICS:
		return fs->options.metrics ? fs->options.metrics(fs->options.metrics_data, ret) : 0;
	default:
		return 0;
	}
}
