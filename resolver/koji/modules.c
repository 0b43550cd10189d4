/* SPDX-License-Identifier: MIT */
/* resolver/koji/modules.c: builds of modules: which are tagged, which have a name, what they say of
 * themselves. */
#include "resolver/koji/builds.h"
#include "resolver/koji/call.h"
#include "resolver/koji/rows.h"

#define NAMES_MAX 1000000u
#define BATCH 20		 /* documents of some 100 KiB each */
#define BATCH_BYTES (256u << 20) /* of memory for the answer to one */

/* ---- names of builds ---- */

void koji_names_done(struct koji_names *names)
{
	for (size_t i = 0; i < names->count; i++) {
		struct koji_name *one = &names->item[i];

		free(one->nvr);
		free(one->name);
		free(one->version);
		free(one->release);
		free(one->tag);
	}
	free(names->item);
	*names = (struct koji_names){ 0 };
}

/**
 * struct names_reader - an array of rows
 * @cell: place of the build's nvr, name, version, release and tag among the fields, or -1 */
struct names_reader {
	struct koji_names names;
	struct rows rows;
	int cell[5];
};

static int put_name(void *data, struct row_cell *cell, struct error *err)
{
	struct names_reader *reader = data;
	struct koji_names *names = &reader->names;
	struct koji_name *one;
	char **text[5];

	if (names->count == NAMES_MAX)
		return error_set(err, -EMSGSIZE, BLAME_SOURCE, NULL, "more than %u builds",
				 NAMES_MAX);
	if (names->count == names->room) {
		size_t room = names->room ? names->room * 2 : 64;
		struct koji_name *item = reallocarray(names->item, room, sizeof(*item));

		if (!item)
			return error_oom(err);
		names->item = item;
		names->room = room;
	}
	one = &names->item[names->count++];
	*one = (struct koji_name){ 0 };
	memcpy(text, (char **[]){ &one->nvr, &one->name, &one->version, &one->release, &one->tag },
	       sizeof(text));
	for (size_t i = 0; i < ARRAY_SIZE(text); i++) {
		*text[i] = strdup(reader->cell[i] < 0 ? "" : cell[reader->cell[i]].text.data);
		if (!*text[i])
			return error_oom(err);
	}
	return 0;
}

static void names_restart(void *data)
{
	struct names_reader *reader = data;
	struct rows fresh = { .what = reader->rows.what,
			      .field = reader->rows.field,
			      .field_count = reader->rows.field_count,
			      .depth = 1,
			      .row = put_name,
			      .data = reader };

	koji_names_done(&reader->names);
	rows_done(&reader->rows);
	reader->rows = fresh;
}

static void names_reader_done(struct names_reader *reader)
{
	koji_names_done(&reader->names);
	rows_done(&reader->rows);
}

static int names_event(void *data, const struct xmlrpc_event *event, struct error *err)
{
	struct names_reader *reader = data;

	if (event->depth > 0)
		return rows_event(&reader->rows, event, err);
	if (event->type == XMLRPC_ARRAY)
		return 0;
	return error_set(err, -EBADMSG, BLAME_SOURCE, NULL, "the answer is %s, not an array",
			 xmlrpc_type_name(event->type));
}

static int ask_names(struct hub *hub, struct hub_call *call, struct names_reader *reader,
		     struct koji_names *ret, struct error *err)
{
	int r;

	call->handler = (struct xmlrpc_handler){ names_event, reader };
	call->restart = names_restart;
	r = hub_do(hub, call, err);
	if (r < 0)
		return r;
	*ret = reader->names;
	reader->names = (struct koji_names){ 0 };
	return 0;
}

int hub_tagged_modules(struct hub *hub, const char *tag, int64_t event, bool inherit,
		       struct koji_names *ret, struct error *err)
{
	static const struct row_field fields[] = {
		{ "name", XMLRPC_TEXT },     { "nvr", XMLRPC_TEXT },	 { "release", XMLRPC_TEXT },
		{ "tag_name", XMLRPC_TEXT }, { "version", XMLRPC_TEXT },
	};
	_cleanup_(names_reader_done) struct names_reader reader = {
		.rows = { .what = "builds", .field = fields, .field_count = ARRAY_SIZE(fields) },
		.cell = { 1, 0, 4, 2, 3 },
	};
	_cleanup_(hub_call_done) struct hub_call call = { 0 };

	hub_call_start(&call, "listTagged");
	hub_call_name(&call, "listTagged", tag);
	xmlrpc_add_text(&call.request, tag);
	xmlrpc_open_keywords(&call.request);
	if (event != HUB_NOW) {
		xmlrpc_member(&call.request, "event");
		xmlrpc_add_int(&call.request, event);
	}
	xmlrpc_member(&call.request, "inherit");
	xmlrpc_add_bool(&call.request, inherit);
	xmlrpc_member(&call.request, "type");
	xmlrpc_add_text(&call.request, "module");
	xmlrpc_close_struct(&call.request);
	return ask_names(hub, &call, &reader, ret, err);
}

int hub_search_builds(struct hub *hub, const char *pattern, struct koji_names *ret,
		      struct error *err)
{
	static const struct row_field fields[] = { { "name", XMLRPC_TEXT } };
	_cleanup_(names_reader_done) struct names_reader reader = {
		.rows = { .what = "builds", .field = fields, .field_count = ARRAY_SIZE(fields) },
		.cell = { 0, -1, -1, -1, -1 },
	};
	_cleanup_(hub_call_done) struct hub_call call = { 0 };

	hub_call_start(&call, "search");
	xmlrpc_add_text(&call.request, pattern);
	xmlrpc_add_text(&call.request, "build");
	xmlrpc_add_text(&call.request, "glob");
	return ask_names(hub, &call, &reader, ret, err);
}

/* ---- what builds say ---- */

void koji_module_done(struct koji_module *module)
{
	free(module->nvr);
	free(module->modulemd);
	free(module->name);
	free(module->stream);
	free(module->version);
	free(module->context);
	free(module->content_tag);
	*module = (struct koji_module){ 0 };
}

static int copy_member(char **to, const struct xmlrpc_value *row, const char *member,
		       struct error *err)
{
	const struct xmlrpc_value *value = row ? xmlrpc_find(row, member) : NULL;

	if (!value || value->type != XMLRPC_TEXT)
		return 0;
	*to = strdup(value->text);
	return *to ? 0 : error_oom(err);
}

/* 1: it is set; 0: no such build */
static int read_module(const struct xmlrpc_value *build, struct koji_module *ret, struct error *err)
{
	const struct xmlrpc_value *state, *row = build;
	static const char *const path[] = { "extra", "typeinfo", "module" };
	int r;

	if (build->type == XMLRPC_NIL)
		return 0;
	if (build->type != XMLRPC_STRUCT)
		return error_set(err, -EBADMSG, BLAME_SOURCE, NULL, "a build is %s",
				 xmlrpc_type_name(build->type));
	state = xmlrpc_find(build, "state");
	ret->state = state && state->type == XMLRPC_INT ? state->number : -1;
	for (size_t i = 0; row && i < ARRAY_SIZE(path); i++)
		row = xmlrpc_find(row, path[i]);
	r = copy_member(&ret->nvr, build, "nvr", err);
	if (r == 0)
		r = copy_member(&ret->modulemd, row, "modulemd_str", err);
	if (r == 0)
		r = copy_member(&ret->name, row, "name", err);
	if (r == 0)
		r = copy_member(&ret->stream, row, "stream", err);
	if (r == 0)
		r = copy_member(&ret->version, row, "version", err);
	if (r == 0)
		r = copy_member(&ret->context, row, "context", err);
	if (r == 0)
		r = copy_member(&ret->content_tag, row, "content_koji_tag", err);
	return r < 0 ? r : 1;
}

/* [[build] or {fault}, ...]; the answers to NVRs that are none count as no such build. */
static int read_answers(const struct xmlrpc_value *answers, size_t count, struct koji_module *ret,
			struct error *err)
{
	int r = 0;

	if (answers->type != XMLRPC_ARRAY || answers->count != count)
		return error_set(err, -EBADMSG, BLAME_SOURCE, NULL,
				 "the answer is not an array of %zu", count);
	for (size_t i = 0; i < count && r >= 0; i++) {
		const struct xmlrpc_value *answer = &answers->item[i];
		const struct xmlrpc_value *fault = xmlrpc_find(answer, "faultCode");

		if (fault && fault->number == KOJI_FAULT_GENERIC)
			continue;
		if (answer->type != XMLRPC_ARRAY || answer->count != 1)
			return error_set(err, fault ? -EREMOTEIO : -EBADMSG, BLAME_SOURCE, NULL,
					 "answer %zu of %zu is %s", i + 1, count,
					 fault ? "a fault" : "neither a build nor a fault");
		r = read_module(&answer->item[0], &ret[i], err);
	}
	return r < 0 ? r : 0;
}

static void tree_restart(void *data)
{
	xmlrpc_tree_done(data);
	xmlrpc_tree_init(data, BATCH_BYTES);
}

int hub_module_builds(struct hub *hub, const char *const *nvrs, size_t count,
		      struct koji_module *ret, struct error *err)
{
	int r = 0;

	for (size_t first = 0; first < count && r == 0; first += BATCH) {
		_cleanup_(hub_call_done) struct hub_call call = { 0 };
		_cleanup_(xmlrpc_tree_done) struct xmlrpc_tree tree = { 0 };
		size_t part = count - first < BATCH ? count - first : BATCH;

		call.handler = (struct xmlrpc_handler){ xmlrpc_tree_event, &tree };
		call.restart = tree_restart;
		hub_call_start(&call, "multiCall");
		xmlrpc_open_array(&call.request);
		for (size_t i = 0; i < part; i++) {
			xmlrpc_open_inner(&call.request, "getBuild");
			xmlrpc_add_text(&call.request, nvrs[first + i]);
			xmlrpc_close_inner(&call.request);
		}
		xmlrpc_close_array(&call.request);
		hub_call_name(&call, "getBuild", NULL);
		r = hub_do(hub, &call, err);
		if (r < 0)
			return r;
		r = read_answers(&tree.value, part, ret + first, err);
		if (r < 0)
			return error_prefix(err, "Koji hub, getBuild");
	}
	return r;
}
