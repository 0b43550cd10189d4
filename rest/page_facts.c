/* SPDX-License-Identifier: MIT */
/* rest/page_facts.c: what was asked and what became of it, as names and values. What has no value
 * is left out. */
#include "rest/page.h"

#define WORDS_SHOWN 40 /* of a list; the request has them all */
#define REUSERS_SHOWN 20

static void row_open(const struct view *view, const char *name)
{
	(void)text_addf(view->body, "<dt>%s</dt><dd>", name);
}

static void row_close(const struct view *view)
{
	(void)text_adds(view->body, "</dd>\n");
}

static void word_row(const struct view *view, const char *name, const char *word)
{
	if (!word || !*word)
		return;
	row_open(view, name);
	html_escape(view->body, word);
	row_close(view);
}

static void list_row(const struct view *view, const char *name, const struct strings *list)
{
	if (!list->count)
		return;
	row_open(view, name);
	for (size_t i = 0; i < list->count && i < WORDS_SHOWN; i++) {
		(void)text_adds(view->body, i ? ", " : "");
		html_escape(view->body, *list->item[i] ? list->item[i] : "(unsigned)");
	}
	if (list->count > WORDS_SHOWN) {
		(void)text_adds(view->body, " <span class=\"quiet\">and ");
		html_count(view->body, (int64_t)list->count - WORDS_SHOWN);
		(void)text_adds(view->body, " more</span>");
	}
	row_close(view);
}

static void number_row(const struct view *view, const char *name, int64_t number)
{
	if (number < 0)
		return;
	row_open(view, name);
	(void)text_addf(view->body, "%" PRId64, number);
	row_close(view);
}

/* A list of words of the record, without @usual. */
static void record_row(const struct view *view, const char *name, const char *member,
		       const char *usual)
{
	const json_t *list = json_object_get(view->record, member), *word;
	struct strings words = { 0 };
	size_t i;

	json_array_foreach(list, i, word)
	{
		const char *string = json_string_value(word);

		if (string && (!usual || strcmp(string, usual) != 0) &&
		    strings_add(&words, string) < 0)
			view->body->failed = true;
	}
	list_row(view, name, &words);
	strings_done(&words);
}

/* ---- what was asked ---------------------------------------------------- */

static void filter_row(const struct view *view, const char *name, const char *filter,
		       const char *value)
{
	row_open(view, name);
	(void)text_addf(view->body, "<a href=\"../?%s=", filter);
	percent_encode(view->body, value, "/");
	(void)text_adds(view->body, "\">");
	html_escape(view->body, value);
	(void)text_adds(view->body, "</a>");
	row_close(view);
}

static void packages_row(const struct view *view)
{
	const struct spec *spec = view->compose->spec;

	if (spec->packages.count) {
		list_row(view, "Packages", &spec->packages);
		return;
	}
	if (spec->builds.count || spec->modules.count)
		return;
	row_open(view, "Packages");
	(void)text_adds(view->body, "<span class=\"quiet\">everything</span>");
	row_close(view);
}

static void multilib_row(const struct view *view)
{
	const struct spec *spec = view->compose->spec;
	static const struct {
		int bit;
		const char *word;
	} methods[] = { { MULTILIB_RUNTIME, "runtime" },
			{ MULTILIB_DEVEL, "devel" },
			{ MULTILIB_ALL, "all" } };
	struct strings words = { 0 };

	list_row(view, "Multilib", &spec->multilib_arches);
	for (size_t i = 0; i < ARRAY_SIZE(methods); i++)
		if (spec->multilib_method & methods[i].bit &&
		    strings_add(&words, methods[i].word) < 0)
			view->body->failed = true;
	list_row(view, "Multilib method", &words);
	strings_done(&words);
}

static void asked_print(const struct view *view)
{
	const struct compose *compose = view->compose;
	const struct spec *spec = compose->spec;

	(void)text_adds(view->body, "<h2>Asked for</h2>\n<dl>\n");
	filter_row(view, "Owner", "owner", compose->owner);
	row_open(view, "Source type");
	(void)text_addf(view->body, "<a href=\"../?source_type=%d\">%s</a>", (int)spec->source_type,
			source_type_name((int)spec->source_type));
	row_close(view);
	filter_row(view, "Source", "source", compose->source);
	packages_row(view);
	list_row(view, "Builds", &spec->builds);
	list_row(view, "Modules", &spec->modules);
	list_row(view, "Scratch modules", &spec->scratch_modules);
	list_row(view, "Scratch builds", &spec->scratch_build_tasks);
	list_row(view, "Module tags", &spec->modular_koji_tags);
	word_row(view, "Module defaults", spec->module_defaults_url);
	word_row(view, "Arches", compose->arches);
	record_row(view, "Flags", "flags", NULL);
	record_row(view, "Results", "results", "repository");
	list_row(view, "Lookaside", &spec->lookaside_repos);
	list_row(view, "Signing keys", &spec->sigkeys);
	multilib_row(view);
	word_row(view, "Compose type", spec->compose_type);
	word_row(view, "Label", spec->label);
	if (spec->target_dir && strcmp(spec->target_dir, "default") != 0)
		word_row(view, "Target", spec->target_dir);
	(void)text_adds(view->body, "</dl>\n");
}

/* ---- when -------------------------------------------------------------- */

static void time_row(const struct view *view, const char *name, int64_t when)
{
	if (!when)
		return;
	row_open(view, name);
	html_time(view->body, when, view->now);
	row_close(view);
}

static void took_row(const struct view *view)
{
	const struct compose *compose = view->compose;

	if (!compose->time_done || !compose->time_started)
		return;
	row_open(view, "Took");
	if (compose->time_done - compose->time_started < 1)
		(void)text_adds(view->body, "less than a second");
	else
		html_span(view->body, compose->time_done - compose->time_started);
	row_close(view);
}

static void times_print(const struct view *view)
{
	const struct compose *compose = view->compose;
	bool ends = compose->state == STATE_DONE || compose->state == STATE_FAILED;

	(void)text_adds(view->body, "<h3>When</h3>\n<dl>\n");
	time_row(view, "Submitted", compose->time_submitted);
	time_row(view, "Started", compose->time_started);
	time_row(view, "Done", compose->time_done);
	took_row(view);
	if (ends)
		time_row(view, "Ends", compose->time_to_expire);
	time_row(view, "Removed", compose->time_removed);
	(void)text_adds(view->body, "</dl>\n");
}

/* ---- what it is -------------------------------------------------------- */

static void compose_link(const struct view *view, int64_t id)
{
	(void)text_addf(view->body, "<a href=\"%" PRId64 "\">odcs-%" PRId64 "</a>", id, id);
}

static void respin_row(const struct view *view)
{
	const char *old = view->compose->respin_of;
	int64_t id = 0;
	char rest;

	if (!old)
		return;
	row_open(view, "Made anew from");
	if (sscanf(old, "odcs-%" SCNd64 "-%c", &id, &rest) == 2 && id > 0) {
		compose_link(view, id);
		(void)text_adds(view->body, " ");
	}
	html_escape(view->body, old);
	row_close(view);
}

struct reusers {
	const struct view *view;
	int count;
};

static bool reuser(void *data, const struct compose *compose)
{
	struct reusers *reusers = data;

	if (reusers->count == REUSERS_SHOWN) {
		(void)text_adds(reusers->view->body, " <span class=\"quiet\">and more</span>");
		return true;
	}
	if (reusers->count++)
		(void)text_adds(reusers->view->body, ", ");
	else
		row_open(reusers->view, "Reused by");
	compose_link(reusers->view, compose->id);
	return false;
}

static void reuse_rows(const struct view *view)
{
	struct compose_query query = COMPOSE_QUERY_ALL;
	struct reusers reusers = { .view = view };
	struct error err = { 0 };

	if (view->compose->reused_id) {
		row_open(view, "Shows");
		(void)text_adds(view->body, "the files of ");
		compose_link(view, view->compose->reused_id);
		row_close(view);
	}
	query.reused_id = view->compose->id;
	query.limit = REUSERS_SHOWN + 1;
	(void)catalogue_query(view->ex->rest->options.catalogue, &query, reuser, &reusers, NULL,
			      &err);
	if (reusers.count)
		row_close(view);
}

static void request_row(const struct view *view)
{
	struct request request = { 0 };
	struct error err = { 0 };

	if (catalogue_request_get(view->ex->rest->options.catalogue, view->compose->request,
				  &request, &err) < 0)
		return;
	row_open(view, "Request");
	(void)text_adds(view->body, "requests/");
	html_escape(view->body, request.name);
	row_close(view);
	request_done(&request);
}

static void made_print(const struct view *view)
{
	const struct compose *compose = view->compose;

	(void)text_adds(view->body, "<h3>What it is</h3>\n<dl>\n");
	if (compose->state == STATE_DONE || compose->packages_count) {
		row_open(view, "Content");
		html_count(view->body, compose->packages_count);
		(void)text_addf(view->body, " %s, ",
				compose->packages_count == 1 ? "package" : "packages");
		html_size(view->body, compose->size_bytes);
		row_close(view);
	}
	word_row(view, "Compose id", compose->pungi_compose_id);
	number_row(view, compose->spec->source_type == SOURCE_REPO ? "Revision" : "Koji event",
		   compose->koji_event);
	number_row(view, "Koji task", compose->koji_task_id);
	reuse_rows(view);
	respin_row(view);
	request_row(view);
	if (compose->state != STATE_FAILED && compose->state != STATE_REMOVED)
		word_row(view, "In words", compose->state_reason);
	if (compose->manifest) {
		row_open(view, "Manifest");
		(void)text_addf(view->body, "<code>%s</code>", compose->manifest);
		row_close(view);
	}
	(void)text_adds(view->body, "</dl>\n");
}

void facts_print(const struct view *view)
{
	(void)text_adds(view->body, "<section class=\"card aside\">\n");
	asked_print(view);
	times_print(view);
	made_print(view);
	(void)text_adds(view->body, "</section>\n");
}
