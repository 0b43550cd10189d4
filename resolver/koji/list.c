/* SPDX-License-Identifier: MIT */
/* resolver/koji/list.c: the builds and RPMs of a tag, or of builds by name: answers of any length,
 * read as they come. */
#include "resolver/koji/call.h"
#include "resolver/koji/listing.h"

#define BATCH 200 /* calls inside one multiCall */

/* ---- a tag: [[rpm, ...], [build, ...]] ---- */

struct listing_reader {
	struct gathering gathering;
	struct rows rows[2]; /* RPMs, builds */
	uint64_t lists;	     /* so many have begun */
};

static void reader_restart(void *data)
{
	struct listing_reader *reader = data;

	gathering_done(&reader->gathering);
	for (size_t i = 0; i < ARRAY_SIZE(reader->rows); i++)
		rows_done(&reader->rows[i]);
	reader->rows[0] = gathering_rpms(&reader->gathering, 2);
	reader->rows[1] = gathering_builds(&reader->gathering, 2);
	reader->lists = 0;
}

static void reader_done(struct listing_reader *reader)
{
	reader_restart(reader);
}

static int reader_event(void *data, const struct xmlrpc_event *event, struct error *err)
{
	struct listing_reader *reader = data;

	if (event->depth >= 2)
		return rows_event(&reader->rows[reader->lists - 1], event, err);
	if (event->type == XMLRPC_ARRAY && event->depth == 1 && !event->end)
		reader->lists++;
	if (event->type == XMLRPC_ARRAY && reader->lists <= 2 &&
	    (event->depth == 1 || !event->end || reader->lists == 2))
		return 0;
	return error_set(err, -EBADMSG, BLAME_SOURCE, NULL,
			 "the answer is not an array of two arrays");
}

static void add_listing_arguments(struct xmlrpc_call *request, const char *tag, bool no_extra,
				  const struct hub_listing_options *options)
{
	const struct strings *arches = options->arches;

	xmlrpc_add_text(request, tag);
	xmlrpc_open_keywords(request);
	if (options->event != HUB_NOW) {
		xmlrpc_member(request, "event");
		xmlrpc_add_int(request, options->event);
	}
	xmlrpc_member(request, "inherit");
	xmlrpc_add_bool(request, options->inherit);
	xmlrpc_member(request, "latest");
	xmlrpc_add_bool(request, options->latest);
	if (options->signatures) {
		xmlrpc_member(request, "rpmsigs");
		xmlrpc_add_bool(request, true);
	}
	if (arches && arches->count) {
		xmlrpc_member(request, "arch");
		xmlrpc_open_array(request);
		for (size_t i = 0; i < arches->count; i++)
			xmlrpc_add_text(request, arches->item[i]);
		xmlrpc_close_array(request);
	}
	if (options->no_drafts) {
		xmlrpc_member(request, "draft");
		xmlrpc_add_bool(request, false);
	}
	if (!no_extra) { /* one text of any size less in each row */
		xmlrpc_member(request, "extra");
		xmlrpc_add_bool(request, false);
	}
	xmlrpc_close_struct(request);
}

static int list_once(struct hub *hub, const char *tag, const struct hub_listing_options *options,
		     struct listing_reader *reader, struct xmlrpc_fault *ret_fault,
		     struct error *err)
{
	_cleanup_(hub_call_done) struct hub_call call = {
		.handler = { reader_event, reader },
		.restart = reader_restart,
	};
	int r;

	hub_call_start(&call, "listTaggedRPMS");
	hub_call_name(&call, "listTaggedRPMS", tag);
	add_listing_arguments(&call.request, tag, hub->no_extra, options);
	r = hub_do(hub, &call, err);
	*ret_fault = call.fault;
	return r;
}

/* Does the fault say that the hub is too old for extra=False? */
static bool is_about_extra(const struct xmlrpc_fault *fault)
{
	return (fault->code == KOJI_FAULT_PARAMETERS || fault->code == KOJI_FAULT_SERVER) &&
	       strstr(fault->words, "'extra'") != NULL;
}

int hub_list(struct hub *hub, const char *tag, const struct hub_listing_options *options,
	     struct koji_listing **ret, struct error *err)
{
	_cleanup_(reader_done) struct listing_reader reader = { 0 };
	struct xmlrpc_fault fault;
	int r = list_once(hub, tag, options, &reader, &fault, err);

	if (r == -EREMOTEIO && !hub->no_extra && is_about_extra(&fault)) {
		hub->no_extra = true;
		r = list_once(hub, tag, options, &reader, &fault, err);
	}
	if (r == 0) {
		r = gathering_finish(&reader.gathering, ret, err);
		if (r < 0)
			return error_prefix(err, "Koji hub, listTaggedRPMS of %.128s", tag);
		(*ret)->signatures = options->signatures;
	}
	return r;
}

/* ---- several calls in one: [[value] or {fault}, ...] ---- */

/**
 * struct multi - the answers to the calls of one batch
 * @event: events of the value of call @at, from depth 2 on
 * @fault: of call @at; 0: it is no error after all */
struct multi {
	int (*event)(void *data, size_t at, const struct xmlrpc_event *event, struct error *err);
	int (*fault)(void *data, size_t at, const struct xmlrpc_fault *fault, struct error *err);
	void (*restart)(void *data);
	void *data;
	struct hub_call *call;
	size_t count; /* of calls */
	size_t at;
	uint64_t answers;
	bool is_fault, has_value;
	struct xmlrpc_fault now;
};

static int bad_multi(const struct multi *multi, const char *why, struct error *err)
{
	return error_set(err, -EBADMSG, BLAME_SOURCE, NULL, "answer %zu of %zu %s", multi->at + 1,
			 multi->count, why);
}

static void multi_restart(void *data)
{
	struct multi *multi = data;

	multi->answers = 0;
	multi->restart(multi->data);
}

static int multi_item(struct multi *multi, const struct xmlrpc_event *event, struct error *err)
{
	int r;

	if (!event->end) {
		multi->at = event->index;
		multi->answers++;
		multi->is_fault = event->type == XMLRPC_STRUCT;
		multi->has_value = false;
		multi->now = (struct xmlrpc_fault){ 0 };
		if (multi->at >= multi->count)
			return bad_multi(multi, "was not asked for", err);
		return event->type == XMLRPC_STRUCT || event->type == XMLRPC_ARRAY
			       ? 0
			       : bad_multi(multi, "is neither a value nor a fault", err);
	}
	if (!multi->is_fault)
		return multi->has_value ? 0 : bad_multi(multi, "holds no value", err);
	r = multi->fault(multi->data, multi->at, &multi->now, err);
	if (r == -EREMOTEIO)
		multi->call->fault = multi->now;
	return r;
}

static int multi_event(void *data, const struct xmlrpc_event *event, struct error *err)
{
	struct multi *multi = data;

	if (event->depth == 0) {
		if (event->type != XMLRPC_ARRAY)
			return error_set(err, -EBADMSG, BLAME_SOURCE, NULL,
					 "the answer is not an array");
		if (event->end && multi->answers != multi->count)
			return error_set(err, -EBADMSG, BLAME_SOURCE, NULL,
					 "%" PRIu64 " answers to %zu calls", multi->answers,
					 multi->count);
		return 0;
	}
	if (event->depth == 1)
		return multi_item(multi, event, err);
	if (multi->is_fault) {
		xmlrpc_fault_event(&multi->now, event, 1);
		return 0;
	}
	if (event->depth == 2 && !event->end) {
		if (multi->has_value)
			return bad_multi(multi, "holds two values", err);
		multi->has_value = true;
	}
	return multi->event(multi->data, multi->at, event, err);
}

/* ---- builds by name ---- */

/**
 * struct builds_reader - first all builds, then the RPMs of those that are complete, then their
 * signatures
 * @id:       for each of @nvrs its build's, or -1
 * @complete: places in @nvrs
 * @place:    of the calls of the batch that is being read, in @nvrs; @at: the call whose answer it
 * is
 * @rpm:      ids of RPMs in place of @place, when their signatures are asked for
 * @before:   what was there when the batch began */
struct builds_reader {
	const struct strings *nvrs;
	struct gathering gathering;
	struct rows builds, rpms, signatures;
	int (*put_build)(void *data, struct row_cell *cell, struct error *err);
	int64_t *id;
	size_t *complete, complete_count;
	size_t place[BATCH], at;
	int64_t rpm[BATCH];
	struct {
		size_t rpms, builds, keys, complete;
	} before;
};

static void builds_reader_done(struct builds_reader *reader)
{
	gathering_done(&reader->gathering);
	rows_done(&reader->builds);
	rows_done(&reader->rpms);
	rows_done(&reader->signatures);
	free(reader->id);
	free(reader->complete);
}

static void batch_restart(void *data)
{
	struct builds_reader *reader = data;

	reader->gathering.rpm_count = reader->before.rpms;
	reader->gathering.build_count = reader->before.builds;
	reader->gathering.key_count = reader->before.keys;
	reader->complete_count = reader->before.complete;
}

static const char *nvr_of(const struct builds_reader *reader, size_t at)
{
	return reader->nvrs->item[reader->place[at]];
}

static int on_build_row(void *data, struct row_cell *cell, struct error *err)
{
	struct builds_reader *reader = data;
	struct gathering *gathering = &reader->gathering;
	const struct koji_build *build;
	int r = reader->put_build(gathering, cell, err);

	if (r < 0)
		return r;
	build = &gathering->build[gathering->build_count - 1];
	reader->id[reader->place[reader->at]] = build->id;
	if (build->state == KOJI_STATE_COMPLETE)
		reader->complete[reader->complete_count++] = reader->place[reader->at];
	return 0;
}

static int on_build(void *data, size_t at, const struct xmlrpc_event *event, struct error *err)
{
	struct builds_reader *reader = data;

	reader->at = at;
	reader->id[reader->place[at]] = -1; /* stays so for nil */
	if (event->depth == 2 && event->type == XMLRPC_NIL)
		return 0;
	return rows_event(&reader->builds, event, err);
}

static int fail_item(const struct builds_reader *reader, size_t at,
		     const struct xmlrpc_fault *fault, struct error *err)
{
	return error_set(err, -EREMOTEIO, BLAME_SOURCE, NULL, "%.256s: %s (fault %" PRId64 ")",
			 nvr_of(reader, at), fault->words[0] ? fault->words : "no words",
			 fault->code);
}

/* What is no name-version-release is no build either. */
static int on_build_fault(void *data, size_t at, const struct xmlrpc_fault *fault,
			  struct error *err)
{
	struct builds_reader *reader = data;

	reader->id[reader->place[at]] = -1;
	return fault->code == KOJI_FAULT_GENERIC ? 0 : fail_item(reader, at, fault, err);
}

static int on_rpms(void *data, size_t at, const struct xmlrpc_event *event, struct error *err)
{
	struct builds_reader *reader = data;

	if (event->depth > 2)
		return rows_event(&reader->rpms, event, err);
	if (event->type == XMLRPC_ARRAY)
		return 0;
	return error_set(err, -EBADMSG, BLAME_SOURCE, NULL, "%.256s: the list is %s",
			 nvr_of(reader, at), xmlrpc_type_name(event->type));
}

static int on_rpms_fault(void *data, size_t at, const struct xmlrpc_fault *fault, struct error *err)
{
	return fail_item(data, at, fault, err);
}

static const struct row_field signature_field[] = {
	{ "sigkey", XMLRPC_TEXT, .nil = true },
};

static int on_signature_row(void *data, struct row_cell *cell, struct error *err)
{
	struct builds_reader *reader = data;

	return gathering_key(&reader->gathering, reader->rpm[reader->at], &cell[0].text, err);
}

static int on_signatures(void *data, size_t at, const struct xmlrpc_event *event, struct error *err)
{
	struct builds_reader *reader = data;

	reader->at = at;
	if (event->depth > 2)
		return rows_event(&reader->signatures, event, err);
	if (event->type == XMLRPC_ARRAY)
		return 0;
	return error_set(err, -EBADMSG, BLAME_SOURCE, NULL, "RPM %" PRId64 ": the list is %s",
			 reader->rpm[at], xmlrpc_type_name(event->type));
}

static int on_signatures_fault(void *data, size_t at, const struct xmlrpc_fault *fault,
			       struct error *err)
{
	const struct builds_reader *reader = data;

	return error_set(err, -EREMOTEIO, BLAME_SOURCE, NULL,
			 "RPM %" PRId64 ": %s (fault %" PRId64 ")", reader->rpm[at],
			 fault->words[0] ? fault->words : "no words", fault->code);
}

/* One multiCall of @method for each place, or RPM, of the batch. */
static int do_batch(struct hub *hub, struct builds_reader *reader, const char *method,
		    struct multi *multi, struct error *err)
{
	_cleanup_(hub_call_done) struct hub_call call = {
		.handler = { multi_event, multi },
		.restart = multi_restart,
	};

	reader->before.rpms = reader->gathering.rpm_count;
	reader->before.builds = reader->gathering.build_count;
	reader->before.keys = reader->gathering.key_count;
	reader->before.complete = reader->complete_count;
	multi->restart = batch_restart;
	multi->data = reader;
	multi->call = &call;
	hub_call_start(&call, "multiCall");
	xmlrpc_open_array(&call.request);
	for (size_t i = 0; i < multi->count; i++) {
		xmlrpc_open_inner(&call.request, method);
		if (multi->event == on_signatures)
			xmlrpc_add_int(&call.request, reader->rpm[i]);
		else
			xmlrpc_add_text(&call.request, nvr_of(reader, i));
		xmlrpc_close_inner(&call.request);
	}
	xmlrpc_close_array(&call.request);
	hub_call_name(&call, method, NULL);
	return hub_do(hub, &call, err);
}

static int read_builds(struct hub *hub, struct builds_reader *reader, struct error *err)
{
	size_t count = reader->nvrs->count;
	int r = 0;

	for (size_t first = 0; first < count && r == 0; first += BATCH) {
		struct multi multi = { .event = on_build, .fault = on_build_fault };

		multi.count = count - first < BATCH ? count - first : BATCH;
		for (size_t i = 0; i < multi.count; i++)
			reader->place[i] = first + i;
		r = do_batch(hub, reader, "getBuild", &multi, err);
	}
	return r;
}

static int read_rpms(struct hub *hub, struct builds_reader *reader, struct error *err)
{
	size_t count = reader->complete_count;
	int r = 0;

	for (size_t first = 0; first < count && r == 0; first += BATCH) {
		struct multi multi = { .event = on_rpms, .fault = on_rpms_fault };

		multi.count = count - first < BATCH ? count - first : BATCH;
		for (size_t i = 0; i < multi.count; i++)
			reader->place[i] = reader->complete[first + i];
		r = do_batch(hub, reader, "listBuildRPMs", &multi, err);
	}
	return r;
}

static int read_signatures(struct hub *hub, struct builds_reader *reader,
			   const struct strings *arches, struct error *err)
{
	size_t i = 0, count = reader->gathering.rpm_count;
	int r = 0;

	while (i < count && r == 0) {
		struct multi multi = { .event = on_signatures, .fault = on_signatures_fault };

		for (; i < count && multi.count < BATCH; i++) {
			const char *arch;
			int64_t id = gathering_rpm(&reader->gathering, i, &arch);

			if (strings_has(arches, arch))
				reader->rpm[multi.count++] = id;
		}
		if (multi.count)
			r = do_batch(hub, reader, "queryRPMSigs", &multi, err);
	}
	return r;
}

/* 1: they are known, 0: the hub does not tell; then any may be there. */
static int find_signatures(struct hub *hub, struct builds_reader *reader,
			   const struct strings *arches, struct error *err)
{
	char words[ERROR_MESSAGE_SIZE + 64];
	struct error failure = { 0 };
	int r = read_signatures(hub, reader, arches, &failure);

	if (r == -EREMOTEIO) {
		reader->gathering.key_count = 0;
		(void)snprintf(words, sizeof(words), "%s; each key is looked for", failure.message);
		if (hub->notice)
			hub->notice(hub->notice_data, words);
		return 0;
	}
	if (r < 0 && err)
		*err = failure;
	return r < 0 ? r : 1;
}

/* Places of the builds, by their ids. */
static int place_builds(const struct builds_reader *reader, const struct koji_listing *listing,
			uint32_t **ret, struct error *err)
{
	size_t count = reader->nvrs->count;
	uint32_t *place = calloc(count + 1, sizeof(*place));

	if (!place)
		return error_oom(err);
	for (size_t i = 0; i < count; i++) {
		const struct koji_build *build =
			reader->id[i] < 0 ? NULL : koji_find_build(listing, reader->id[i]);

		place[i] = build ? (uint32_t)(build - listing->build) : HUB_NO_BUILD;
	}
	*ret = place;
	return 0;
}

static int start_builds(struct builds_reader *reader, struct error *err)
{
	size_t count = reader->nvrs->count;

	reader->builds = gathering_builds(&reader->gathering, 2);
	reader->put_build = reader->builds.row;
	reader->builds.row = on_build_row;
	reader->builds.data = reader;
	reader->rpms = gathering_rpms(&reader->gathering, 3);
	reader->signatures = (struct rows){ .what = "signatures",
					    .field = signature_field,
					    .field_count = ARRAY_SIZE(signature_field),
					    .depth = 3,
					    .row = on_signature_row,
					    .data = reader };
	reader->id = calloc(count + 1, sizeof(*reader->id));
	reader->complete = calloc(count + 1, sizeof(*reader->complete));
	return reader->id && reader->complete ? 0 : error_oom(err);
}

int hub_builds(struct hub *hub, const struct strings *nvrs, const struct strings *signed_arches,
	       struct koji_listing **ret, uint32_t **ret_build, struct error *err)
{
	_cleanup_(builds_reader_done) struct builds_reader reader = { .nvrs = nvrs };
	_cleanup_(koji_listing_freep) struct koji_listing *listing = NULL;
	bool signatures = false;
	int r = start_builds(&reader, err);

	if (r == 0)
		r = read_builds(hub, &reader, err);
	if (r == 0)
		r = read_rpms(hub, &reader, err);
	if (r == 0 && signed_arches) {
		r = find_signatures(hub, &reader, signed_arches, err);
		signatures = r > 0;
	}
	if (r < 0)
		return r;
	r = gathering_finish(&reader.gathering, &listing, err);
	if (r < 0)
		return error_prefix(err, "Koji hub, listBuildRPMs");
	listing->signatures = signatures;
	r = place_builds(&reader, listing, ret_build, err);
	if (r == 0)
		*ret = steal(listing);
	return r;
}
