/* SPDX-License-Identifier: MIT */
/* rest/page_compose.c: the page at /compose/ID: how the compose stands, and its parts in order. */
#include "rest/files.h"
#include "rest/page.h"
#include "rest/wait.h"

const char *view_word(const struct view *view, const char *name)
{
	const char *word = json_string_value(json_object_get(view->record, name));

	return word ? word : "";
}

/* ---- how it stands ----------------------------------------------------- */

static void waiting_print(const struct view *view)
{
	struct text *ret = view->body;
	struct compose_query query = COMPOSE_QUERY_ALL;
	struct error err = { 0 };
	int64_t waiting = 0;

	query.state = STATE_WAIT;
	(void)text_adds(ret, "<div class=\"card note busy\"><p>Waiting for a worker");
	if (catalogue_query(view->ex->rest->options.catalogue, &query, NULL, NULL, &waiting,
			    &err) >= 0 &&
	    waiting > 1) {
		(void)text_adds(ret, "; ");
		html_count(ret, waiting);
		(void)text_adds(ret, " composes wait in all");
	}
	(void)text_adds(ret, ".</p></div>\n");
}

static void generating_print(const struct view *view)
{
	struct text *ret = view->body;
	struct progress progress = { 0 };

	catalogue_progress_get(view->ex->rest->options.catalogue, view->compose->id, &progress);
	(void)text_adds(ret, "<div class=\"card note busy\"><p>Being made; begun ");
	html_age(ret, view->compose->time_started, view->now);
	(void)text_adds(ret, ".</p>\n");
	if (progress.total > 0)
		(void)text_addf(ret,
				"<progress aria-label=\"Steps done\" max=\"%" PRId64
				"\" value=\"%" PRId64 "\"></progress>\n",
				progress.total, progress.done);
	if (progress.phase[0]) {
		(void)text_adds(ret, "<p class=\"foreign\"><b>");
		html_escape(ret, progress.phase);
		(void)text_adds(ret, "</b> ");
		html_escape(ret, progress.text);
		(void)text_addf(ret,
				" <span class=\"quiet keep\">(%" PRId64 " of %" PRId64
				" done)</span></p>\n",
				progress.done, progress.total);
	}
	(void)text_adds(ret, "</div>\n");
}

static void failed_print(const struct view *view)
{
	struct text *ret = view->body;

	(void)text_adds(ret, "<div class=\"card note bad\"><h2>Why it failed</h2>\n<pre>");
	html_escape(ret, view->compose->state_reason ? view->compose->state_reason : "");
	(void)text_adds(ret, "</pre></div>\n");
}

static void removed_print(const struct view *view)
{
	const struct compose *compose = view->compose;
	struct text *ret = view->body;

	(void)text_addf(ret, "<div class=\"card note\"><p>%s Removed ",
			view->tree ? "Its time is over; its files stay while others show them."
				   : "Its files are gone; the record stays.");
	html_time(ret, compose->time_removed, view->now);
	if (compose->removed_by) {
		(void)text_adds(ret, " by ");
		html_escape(ret, compose->removed_by);
	}
	(void)text_adds(ret, ".</p>\n");
	if (compose->state_reason) {
		(void)text_adds(ret, "<pre>");
		html_escape(ret, compose->state_reason);
		(void)text_adds(ret, "</pre>");
	}
	(void)text_adds(ret, "</div>\n");
}

static void trouble_print(const struct view *view)
{
	if (!view->trouble)
		return;
	(void)text_adds(view->body,
			"<div class=\"card note bad\"><h2>Its files cannot be shown</h2>\n"
			"<pre>");
	html_escape(view->body, view->trouble);
	(void)text_adds(view->body, "</pre></div>\n");
}

static void standing_print(const struct view *view)
{
	switch (view->compose->state) {
	case STATE_WAIT:
		waiting_print(view);
		break;
	case STATE_GENERATING:
		generating_print(view);
		break;
	case STATE_FAILED:
		failed_print(view);
		break;
	case STATE_REMOVED:
		removed_print(view);
		break;
	case STATE_DONE:
		trouble_print(view);
		break;
	case STATE_DRAFT:
		break;
	}
}

/* ---- the page ---------------------------------------------------------- */

static void headline_print(const struct view *view)
{
	const struct compose *compose = view->compose;
	struct text *ret = view->body;

	(void)text_addf(
		ret,
		"<p class=\"crumbs\"><a class=\"nav\" href=\"../\">Composes</a> / odcs-%" PRId64
		"</p>\n<div class=\"headline\"><h1>Compose %" PRId64 "</h1>",
		compose->id, compose->id);
	html_state(ret, compose->state);
	if (compose->state == STATE_DONE && compose->time_to_expire) {
		(void)text_adds(ret, "<span class=\"quiet\">ends ");
		html_age(ret, compose->time_to_expire, view->now);
		(void)text_adds(ret, "</span>");
	}
	(void)text_adds(ret, "</div>\n<ul class=\"links\">\n");
	if (view->tree)
		(void)text_addf(ret,
				"<li><a href=\"../composes/odcs-%" PRId64
				"/compose/Temporary/\">Repositories</a></li>\n",
				compose->id);
	if (compose->state != STATE_REMOVED || view->tree)
		(void)text_addf(
			ret, "<li><a href=\"../composes/odcs-%" PRId64 "/\">All files</a></li>\n",
			compose->id);
	(void)text_addf(ret,
			"<li><a href=\"../api/1/composes/%" PRId64
			"\">Record (JSON)</a></li>\n</ul>\n",
			compose->id);
}

static int view_print(const struct view *view)
{
	int r = 0;

	headline_print(view);
	(void)text_adds(view->body, "<div class=\"columns\"><div class=\"left\">\n");
	standing_print(view);
	if (view->tree && view->compose->state == STATE_DONE)
		use_print(view);
	if (view->tree)
		r = packages_print(view);
	log_print(view);
	renew_print(view);
	request_print(view);
	(void)text_adds(view->body, "</div>\n");
	facts_print(view);
	(void)text_adds(view->body, "</div>\n");
	return r;
}

static int compose_answer(struct exchange *ex, const struct compose *compose,
			  const struct tree *tree, const char *trouble)
{
	json_auto_t *record = compose_to_json(compose, ex->rest->public_url, JSON_CURRENT, false);
	struct text body = { 0 };
	struct view view = { .ex = ex,
			     .compose = compose,
			     .record = record,
			     .tree = tree,
			     .trouble = trouble,
			     .now = time_now(),
			     .body = &body };
	char title[64], events[64], said[64];
	int r;

	if (!record)
		return -ENOMEM;
	(void)snprintf(title, sizeof(title), "odcs-%" PRId64 " %s", compose->id,
		       state_name(compose->state));
	(void)snprintf(events, sizeof(events), "api/1/events?id=%" PRId64, compose->id);
	(void)snprintf(said, sizeof(said), "Compose %" PRId64 " is %s", compose->id,
		       state_name(compose->state));
	page_open(ex, &body,
		  &(struct page){ .title = title,
				  .events = state_is_final(compose->state) ? NULL : events,
				  .said = said });
	r = view_print(&view);
	if (r < 0) {
		text_done(&body);
		return r;
	}
	return page_answer(ex, MHD_HTTP_OK, &body);
}

/* The tree of a compose that is done, or removed while others still show it; -ENOENT: there is
 * none. */
static int tree_of(struct exchange *ex, const struct compose *compose, struct rest_tree **ret,
		   struct error *err)
{
	int r;

	if (compose->state != STATE_DONE && compose->state != STATE_REMOVED)
		return 0;
	r = rest_tree_open(ex->rest, compose->id, ret, err);
	for (int i = 0; i < 2 && r >= 0 && !tree_manifest_digest(rest_tree_of(*ret)); i++) {
		/* kept from before it was done; the word that it is has not come through yet */
		rest_tree_unref(steal(*ret));
		cache_drop(ex->rest->trees, compose->id);
		r = i ? -ENOENT : rest_tree_open(ex->rest, compose->id, ret, err);
	}
	return r == -ENOENT && compose->state == STATE_REMOVED ? 0 : r;
}

int page_compose_get(struct exchange *ex)
{
	_cleanup_(compose_freep) struct compose *compose = NULL;
	_cleanup_(rest_tree_unrefp) struct rest_tree *shown = NULL;
	struct error err = { 0 };
	int64_t id;
	int r = parse_int64(ex->rest_path, &id);

	if (r >= 0)
		r = catalogue_get(ex->rest->options.catalogue, id, &compose, &err);
	if (r == -ENOENT || r == -EINVAL || r == -ERANGE)
		return answer_error(ex, MHD_HTTP_NOT_FOUND, "There is no compose %s.",
				    ex->rest_path);
	if (r < 0)
		return answer_failure(ex, &err);
	r = tree_of(ex, compose, &shown, &err);
	if (r == -ENOENT) { /* it was done when we looked, and is over now */
		compose_free(steal(compose));
		r = catalogue_get(ex->rest->options.catalogue, id, &compose, &err);
		if (r < 0)
			return answer_failure(ex, &err);
	}
	if (r < 0)
		log_error("http: compose %" PRId64 ": %s", id, err.message);
	return compose_answer(ex, compose, shown ? rest_tree_of(shown) : NULL,
			      r < 0 ? err.message : NULL);
}
