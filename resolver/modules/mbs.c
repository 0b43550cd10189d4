/* SPDX-License-Identifier: MIT */
/* resolver/modules/mbs.c: modules out of a Module Build Service, over its REST API
 * (odcs-api.md 6.2).
 *
 * Of each answer the first page counts; "next" is never followed. Questions change nothing, so they
 * are repeated when they fail on the way. */
#include "resolver/modules/parts.h"

#include <jansson.h>

#define CALL_MS (120 * 1000)
#define PAUSE_MS 500
#define PAUSE_GROWTH_MAX 32
#define ITEMS_MAX 10000u
#define STATE_DONE 3
#define STATE_READY 5

struct mbs {
	struct module_supplier supplier;
	struct module_mbs settings;
	char *url;
};

static void mbs_free(struct module_supplier *supplier)
{
	struct mbs *mbs = (struct mbs *)supplier;

	free(mbs->url);
	free(mbs);
}

/* ---- the question ---- */

static void add_quoted(struct text *text, const char *value)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				    "0123456789-._~";

	for (; *value; value++)
		if (strchr(plain, *value))
			(void)text_add(text, value, 1);
		else
			(void)text_addf(text, "%%%02X", (unsigned char)*value);
}

static void add_parameter(struct text *text, const char *name, const char *value)
{
	(void)text_addf(text, "&%s=", name);
	add_quoted(text, value);
}

static void add_number(struct text *text, const char *name, int64_t value)
{
	if (value >= 0)
		(void)text_addf(text, "&%s=%" PRId64, name, value);
}

static int make_url(const struct mbs *mbs, const struct module_query *query, struct text *ret,
		    struct error *err)
{
	char words[SPEC_MAX_STRING * 2];

	(void)text_addf(ret, "%s/1/module-builds/?nsvc=", mbs->url);
	add_quoted(ret, module_word_print(&query->word, words, sizeof(words)));
	(void)text_addf(ret, "&state=%d", STATE_READY);
	if (query->done || query->scratch)
		(void)text_addf(ret, "&state=%d", STATE_DONE);
	if (query->scratch)
		(void)text_adds(ret, "&scratch=True");
	(void)text_adds(ret, "&verbose=True&order_desc_by=version");
	if (query->base_name)
		add_parameter(ret, "base_module_br_name", query->base_name);
	if (query->base_stream)
		add_parameter(ret, "base_module_br_stream", query->base_stream);
	add_number(ret, "base_module_br_stream_version_lte", query->base_lte);
	add_number(ret, "base_module_br_stream_version_gte", query->base_gte);
	return ret->failed ? error_oom(err) : 0;
}

static int take(void *data, const void *bytes, size_t length, struct error *err)
{
	return text_add(data, bytes, length) < 0 ? error_oom(err) : 0;
}

static bool rest(const struct mbs *mbs, struct transport_tries *tries, const struct error *failure)
{
	int64_t pause_ms = transport_pause(tries);

	if (pause_ms < 0)
		return false;
	module_say(&mbs->settings.log, "MBS: %s; trying again in %" PRId64 ".%" PRId64 " s",
		   failure->message, pause_ms / 1000, pause_ms % 1000 / 100);
	return transport_rest(tries, pause_ms);
}

static int ask(struct mbs *mbs, const char *url, struct text *answer, struct error *err)
{
	const struct module_mbs *settings = &mbs->settings;
	int64_t call_ms = settings->call_ms ? settings->call_ms : CALL_MS;
	int64_t pause_ms = settings->pause_ms ? settings->pause_ms : PAUSE_MS;
	struct transport_tries tries = { .limit_ms = time_monotonic_ms() + call_ms,
					 .pause_ms = pause_ms,
					 .pause_max_ms = pause_ms * PAUSE_GROWTH_MAX };
	struct transport_options options = { .size_max = MODULES_MAX_TEXT,
					     .stall_ms = call_ms,
					     .same_host = true };
	struct transport_sink sink = { .take = take, .data = answer };
	struct error failure = { 0 };
	int r;

	if (settings->deadline_ms && settings->deadline_ms < tries.limit_ms)
		tries.limit_ms = settings->deadline_ms;
	options.deadline_ms = tries.limit_ms;
	do {
		text_clear(answer);
		failure = (struct error){ 0 };
		tries.made++;
		r = transport_get(settings->transport, url, 0, -1, &sink, &options, NULL, &failure);
		if (r == 0)
			return 0;
	} while (transport_may_pass(r, &failure) && rest(mbs, &tries, &failure));
	if (err)
		*err = failure;
	if (tries.made > 1)
		return error_prefix(err, "MBS (tried %u times)", tries.made);
	return error_prefix(err, "MBS");
}

/* ---- the answer ---- */

static int senseless(struct error *err, const char *why, const char *what)
{
	int r = error_set(err, -EBADMSG, BLAME_SOURCE, NULL, "MBS: the answer makes no sense: %s%s",
			  why, what ? what : "");

	if (err)
		module_clean(err->message);
	return r;
}

/* struct build - one item; @number: room for a version that came as a number */
struct build {
	struct module_word word;
	const char *modulemd, *koji_tag;
	char number[24];
};

static int read_build(const json_t *item, const struct module_query *query, struct build *ret,
		      struct error *err)
{
	const json_t *version = json_object_get(item, "version");
	const json_t *state = json_object_get(item, "state");
	const char *context = json_string_value(json_object_get(item, "context"));
	uint64_t number;

	ret->word.name = json_string_value(json_object_get(item, "name"));
	ret->word.stream = json_string_value(json_object_get(item, "stream"));
	ret->word.context = context;
	ret->word.version = json_string_value(version);
	if (json_is_integer(version)) {
		(void)snprintf(ret->number, sizeof(ret->number), "%" JSON_INTEGER_FORMAT,
			       json_integer_value(version));
		ret->word.version = ret->number;
	}
	ret->modulemd = json_string_value(json_object_get(item, "modulemd"));
	ret->koji_tag = json_string_value(json_object_get(item, "koji_tag"));
	if (!ret->word.name || !ret->word.stream || !ret->word.version || !context ||
	    !ret->modulemd)
		return senseless(err, "a build without name, stream, version, context or modulemd",
				 NULL);
	if (!module_is_part(ret->word.name) || !module_is_part(ret->word.stream) ||
	    !module_is_part(ret->word.context))
		return senseless(err, "a build with characters in its name that none may have: ",
				 ret->word.name);
	if (module_version(ret->word.version, &number) < 0)
		return senseless(err, "a version that is no number: ", ret->word.version);
	if (json_is_integer(state) && json_integer_value(state) != STATE_READY &&
	    !(json_integer_value(state) == STATE_DONE && (query->done || query->scratch)))
		return senseless(err,
				 "a build in a state that was not asked for: ", ret->word.name);
	return 0;
}

static bool same(const char *asked, const char *got)
{
	return !asked || strcmp(asked, got) == 0;
}

static int check_asked(const struct build *build, const struct module_query *query,
		       struct error *err)
{
	uint64_t asked = 0, got = 0;
	char words[512];

	if (query->word.version) {
		(void)module_version(query->word.version, &asked);
		(void)module_version(build->word.version, &got);
	}
	if (same(query->word.name, build->word.name) &&
	    same(query->word.stream, build->word.stream) && asked == got &&
	    same(query->word.context, build->word.context))
		return 0;
	return senseless(err, "a module that was not asked for: ",
			 module_word_print(&build->word, words, sizeof(words)));
}

/* The base module as MBS says it, which counts more than the document's. */
static int read_base(const json_t *item, struct module *module, struct error *err)
{
	const json_t *list = json_object_get(item, "base_module_buildrequires");
	const json_t *base = json_array_get(list, 0);
	const char *name = json_string_value(json_object_get(base, "name"));
	const char *stream = json_string_value(json_object_get(base, "stream"));
	const json_t *version = json_object_get(base, "stream_version");

	if (!name || !stream)
		return 0;
	free(module->base_name);
	free(module->base_stream);
	module->base_name = strdup(name);
	module->base_stream = strdup(stream);
	module->base_version = json_is_number(version) && json_number_value(version) >= 0 &&
					       json_number_value(version) < 1e15
				       ? (int64_t)json_number_value(version)
				       : module_base_version(stream);
	return module->base_name && module->base_stream ? 0 : error_oom(err);
}

static int set_koji(struct module *module, const struct build *build, struct error *err)
{
	module->koji_tag = build->koji_tag ? strdup(build->koji_tag) : NULL;
	return build->koji_tag && !module->koji_tag ? error_oom(err) : 0;
}

static int read_module(const struct mbs *mbs, const json_t *item, const struct build *build,
		       struct module **ret, struct error *err)
{
	struct piece piece = { .bytes = build->modulemd, .length = strlen(build->modulemd) };
	struct module_reading how = { .origin = mbs->url };
	_cleanup_(scanned_done) struct scanned about = { 0 };
	_cleanup_(module_freep) struct module *module = NULL;
	char words[512];
	int r = document_scan(&piece, &about, err);

	if (r == 0)
		r = document_read(&piece, &build->word, &how, &module, err);
	if (r == -EBADMSG)
		return error_prefix(err, "MBS: the document of %s",
				    module_word_print(&build->word, words, sizeof(words)));
	if (r == 0)
		r = read_base(item, module, err);
	if (r == 0)
		r = set_koji(module, build, err);
	if (r == 0)
		*ret = steal(module);
	return r;
}

/* Is there one of its stream with another version, or it itself? The first that came counts. */
static bool is_older(const struct module_list *list, size_t first, const struct build *build)
{
	uint64_t version = 0;

	(void)module_version(build->word.version, &version);
	for (size_t i = first; i < list->count; i++)
		if (strcmp(list->item[i]->stream, build->word.stream) == 0 &&
		    (list->item[i]->version != version ||
		     strcmp(list->item[i]->context, build->word.context) == 0))
			return true;
	return false;
}

static int read_items(const struct mbs *mbs, const json_t *items, const struct module_query *query,
		      struct module_list *list, struct error *err)
{
	size_t first = list->count;
	int r = 0;

	if (!json_is_array(items))
		return senseless(err, "it has no \"items\"", NULL);
	if (json_array_size(items) > ITEMS_MAX)
		return senseless(err, "more than 10000 items on a page", NULL);
	for (size_t i = 0; i < json_array_size(items) && r == 0; i++) {
		const json_t *item = json_array_get(items, i);
		_cleanup_(module_freep) struct module *module = NULL;
		struct build build = { 0 };

		r = read_build(item, query, &build, err);
		if (r == 0)
			r = check_asked(&build, query, err);
		if (r < 0 || is_older(list, first, &build))
			continue;
		r = read_module(mbs, item, &build, &module, err);
		if (r == 0)
			r = module_list_add(list, module, err);
		if (r == 0)
			(void)steal(module);
	}
	return r;
}

static int compare_found(const void *left, const void *right)
{
	const struct module *const *a = left, *const *b = right;
	int order = strcmp((*a)->stream, (*b)->stream);

	return order ? order : strcmp((*a)->context, (*b)->context);
}

static int mbs_find(struct module_supplier *supplier, const struct module_query *query,
		    struct module_list *list, struct error *err)
{
	struct mbs *mbs = (struct mbs *)supplier;
	_cleanup_(text_done) struct text url = { 0 }, answer = { 0 };
	json_auto_t *root = NULL;
	json_error_t where;
	size_t first = list->count;
	int r = make_url(mbs, query, &url, err);

	if (r == 0)
		r = ask(mbs, url.data, &answer, err);
	if (r < 0)
		return r;
	root = json_loadb(answer.data ? answer.data : "", answer.length, 0, &where);
	if (!root)
		return senseless(err, "it is not JSON: ", where.text);
	r = read_items(mbs, json_object_get(root, "items"), query, list, err);
	if (r == 0 && list->count > first) /* streams together */
		qsort(list->item + first, list->count - first, sizeof(struct module *),
		      compare_found);
	return r;
}

static void mbs_lacking(struct module_supplier *supplier, const struct module_query *query,
			const char *words, struct text *ret)
{
	(void)supplier;
	(void)text_addf(ret, "Failed to find %smodule %s in %s state in the MBS.",
			query->scratch ? "scratch " : "", words,
			query->done || query->scratch ? "ready or done" : "ready");
}

int modules_from_mbs(const struct module_mbs *settings, struct module_supplier **ret,
		     struct error *err)
{
	static const struct module_supplier_ops ops = { .find = mbs_find,
							.lacking = mbs_lacking,
							.free = mbs_free,
							.scratch = true,
							.same_base = true,
							.devel = true };
	struct mbs *mbs = calloc(1, sizeof(*mbs));
	size_t length = strlen(settings->url);

	while (length > 0 && settings->url[length - 1] == '/')
		length--;
	if (!mbs)
		return error_oom(err);
	*mbs = (struct mbs){ .supplier.ops = &ops,
			     .settings = *settings,
			     .url = strndup(settings->url, length) };
	if (!mbs->url) {
		free(mbs);
		return error_oom(err);
	}
	*ret = &mbs->supplier;
	return 0;
}
