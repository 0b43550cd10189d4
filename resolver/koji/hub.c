/* SPDX-License-Identifier: MIT */
/* resolver/koji/hub.c: a call with its repetitions, and the calls about tags and events.
 *
 *   request ─► transport_post() ─► xmlrpc_feed() ─► handler
 *       ▲            │ connection, time-out, 408, 429, 5xx, fault 1014
 *       └── pause ◄──┘ until the call's time is up */
#include "resolver/koji/call.h"

#define CALL_MS (300 * 1000)
#define PAUSE_MS 500
#define PAUSE_GROWTH_MAX 32
#define EVENT_LIMIT (INT64_C(1) << 53)
#define EVENT_LEAST 946684800.0		/* 2000: no hub is older */
#define EVENT_AHEAD (24 * 3600)		/* that a hub's clock may be ahead of ours */
#define CLOCK_LEAST INT64_C(1798761600) /* 2027: a clock that says less is wrong itself */
#define SMALL_ANSWER (16 << 20)		/* bytes of memory for one that is kept as a tree */

int hub_new(const struct hub_settings *settings, struct hub **ret, struct error *err)
{
	_cleanup_(hub_freep) struct hub *hub = calloc(1, sizeof(*hub));

	if (!hub)
		return error_oom(err);
	*hub = (struct hub){ .url = strdup(settings->url),
			     .transport = settings->transport,
			     .call_ms = settings->call_ms ? settings->call_ms : CALL_MS,
			     .deadline_ms = settings->deadline_ms,
			     .pause_ms = settings->pause_ms ? settings->pause_ms : PAUSE_MS,
			     .notice = settings->notice,
			     .notice_data = settings->data };
	if (!hub->url)
		return error_oom(err);
	*ret = steal(hub);
	return 0;
}

void hub_free(struct hub *hub)
{
	if (!hub)
		return;
	free(hub->url);
	free(hub);
}

/* ---- a call ---- */

void hub_call_start(struct hub_call *call, const char *method)
{
	hub_call_name(call, method, NULL);
	xmlrpc_call_start(&call->request, method);
}

void hub_call_name(struct hub_call *call, const char *method, const char *about)
{
	(void)snprintf(call->name, sizeof(call->name), "%s%s%.128s", method, about ? " of " : "",
		       about ? about : "");
}

void hub_call_done(struct hub_call *call)
{
	text_done(&call->request.text);
}

static int take_answer(void *data, const void *bytes, size_t length, struct error *err)
{
	return xmlrpc_feed(data, bytes, length, err);
}

static int call_once(struct hub *hub, struct hub_call *call, int64_t limit_ms, struct error *err)
{
	_cleanup_(xmlrpc_decoder_freep) struct xmlrpc_decoder *decoder = NULL;
	const struct text *body = &call->request.text;
	/* a hub may think for long before its first byte: standing still is bounded by the limit */
	struct transport_options options = { .deadline_ms = limit_ms,
					     .stall_ms = hub->call_ms,
					     .size_max = XMLRPC_MAX_BYTES,
					     .type = "text/xml" };
	struct transport_sink sink = { .take = take_answer };
	int r = xmlrpc_decoder_new(&call->handler, &decoder, err);

	if (r < 0)
		return r;
	sink.data = decoder;
	call->restart(call->handler.data);
	call->fault = (struct xmlrpc_fault){ 0 };
	r = transport_post(hub->transport, hub->url, body->data, body->length, &sink, &options,
			   err);
	return r < 0 ? r : xmlrpc_finish(decoder, &call->fault, err);
}

static bool may_repeat(const struct hub_call *call, int r, const struct error *err)
{
	return r == -EREMOTEIO ? call->fault.code == KOJI_FAULT_OFFLINE
			       : transport_may_pass(r, err);
}

/* Before the next try; false: there is none. */
static bool rest(struct hub *hub, const char *method, struct transport_tries *tries,
		 const struct error *failure)
{
	int64_t pause_ms = transport_pause(tries);
	char words[ERROR_MESSAGE_SIZE + CALL_NAME_SIZE + 64];

	if (pause_ms < 0)
		return false;
	(void)snprintf(words, sizeof(words),
		       "Koji hub, %s: %s; trying again in %" PRId64 ".%" PRId64 " s", method,
		       failure->message, pause_ms / 1000, pause_ms % 1000 / 100);
	if (hub->notice)
		hub->notice(hub->notice_data, words);
	return transport_rest(tries, pause_ms);
}

int hub_do(struct hub *hub, struct hub_call *call, struct error *err)
{
	struct transport_tries tries = { .limit_ms = time_monotonic_ms() + hub->call_ms,
					 .pause_ms = hub->pause_ms,
					 .pause_max_ms = hub->pause_ms * PAUSE_GROWTH_MAX };
	struct error failure = { 0 };
	int r = xmlrpc_call_end(&call->request, &failure);

	if (hub->deadline_ms && hub->deadline_ms < tries.limit_ms)
		tries.limit_ms = hub->deadline_ms;
	while (r == 0) {
		tries.made++;
		r = call_once(hub, call, tries.limit_ms, &failure);
		if (r == 0)
			return 0;
		if (may_repeat(call, r, &failure) && rest(hub, call->name, &tries, &failure))
			r = 0;
	}
	if (err)
		*err = failure;
	if (tries.made > 1)
		return error_prefix(err, "Koji hub, %s (tried %u times)", call->name, tries.made);
	return error_prefix(err, "Koji hub, %s", call->name);
}

/* ---- small answers ---- */

static void restart_tree(void *data)
{
	xmlrpc_tree_done(data);
	xmlrpc_tree_init(data, SMALL_ANSWER);
}

/* @tree is to be freed whatever comes of it. */
static int do_small(struct hub *hub, struct hub_call *call, struct xmlrpc_tree *tree,
		    struct error *err)
{
	xmlrpc_tree_init(tree, SMALL_ANSWER);
	call->handler = (struct xmlrpc_handler){ xmlrpc_tree_event, tree };
	call->restart = restart_tree;
	return hub_do(hub, call, err);
}

static int bad_answer(struct error *err, const char *call, const char *field, const char *why)
{
	return error_set(err, -EBADMSG, BLAME_SOURCE, field, "Koji hub, %s: %s %s", call,
			 field ? field : "the answer", why);
}

/* A member of @type; NULL, with words, when it is not there or another. */
static const struct xmlrpc_value *want(const struct xmlrpc_value *row, const char *call,
				       const char *member, enum xmlrpc_type type, struct error *err)
{
	const struct xmlrpc_value *value = xmlrpc_find(row, member);
	char why[96];

	if (!value) {
		(void)bad_answer(err, call, member, "is missing");
		return NULL;
	}
	if (value->type == type)
		return value;
	(void)snprintf(why, sizeof(why), "is %s, not %s", xmlrpc_type_name(value->type),
		       xmlrpc_type_name(type));
	(void)bad_answer(err, call, member, why);
	return NULL;
}

/* ---- tags ---- */

void hub_tag_done(struct hub_tag *tag)
{
	free(tag->name);
	strings_done(&tag->arches);
	*tag = (struct hub_tag){ 0 };
}

static int read_tag(const struct xmlrpc_value *row, struct hub_tag *ret, struct error *err)
{
	const struct xmlrpc_value *id = want(row, "getTag", "id", XMLRPC_INT, err);
	const struct xmlrpc_value *name = id ? want(row, "getTag", "name", XMLRPC_TEXT, err) : NULL;
	const struct xmlrpc_value *arches = xmlrpc_find(row, "arches");
	struct hub_tag tag = { 0 };

	if (!id || !name)
		return -EBADMSG;
	if (arches && arches->type == XMLRPC_NIL)
		arches = NULL;
	else if (!want(row, "getTag", "arches", XMLRPC_TEXT, err))
		return -EBADMSG;
	tag.id = id->number;
	tag.name = strdup(name->text);
	if (!tag.name || (arches && strings_split(&tag.arches, arches->text, ' ') < 0)) {
		hub_tag_done(&tag);
		return error_oom(err);
	}
	*ret = tag;
	return 1;
}

int hub_tag(struct hub *hub, const char *name, int64_t event, struct hub_tag *ret,
	    struct error *err)
{
	_cleanup_(hub_call_done) struct hub_call call = { 0 };
	_cleanup_(xmlrpc_tree_done) struct xmlrpc_tree tree = { 0 };
	int r;

	hub_call_start(&call, "getTag");
	xmlrpc_add_text(&call.request, name);
	if (event != HUB_NOW) {
		xmlrpc_open_keywords(&call.request);
		xmlrpc_member(&call.request, "event");
		xmlrpc_add_int(&call.request, event);
		xmlrpc_close_struct(&call.request);
	}
	r = do_small(hub, &call, &tree, err);
	if (r < 0)
		return r;
	if (tree.value.type == XMLRPC_NIL)
		return 0;
	return read_tag(&tree.value, ret, err);
}

/* ---- events ---- */

/* An event names what is shown, and its time orders composes: one that cannot be would have to be
 * outgrown by all that come after it. */
static int check_event(const struct hub_event *event, const char *call, struct error *err)
{
	int64_t now = time_now();
	int64_t latest = (now < CLOCK_LEAST ? CLOCK_LEAST : now) + EVENT_AHEAD;
	char why[128];

	(void)snprintf(why, sizeof(why), "is %" PRId64 ", which no event has", event->id);
	if (event->id <= 0 || event->id >= EVENT_LIMIT)
		return bad_answer(err, call, "id", why);
	(void)snprintf(why, sizeof(why), "is %g: no time of an event (until a day from now)",
		       event->time);
	if (!(event->time >= EVENT_LEAST && event->time <= (double)latest))
		return bad_answer(err, call, "ts", why);
	return 0;
}

static int read_event(const struct xmlrpc_value *row, const char *call, struct hub_event *ret,
		      struct error *err)
{
	struct hub_event event;
	int r;

	const struct xmlrpc_value *id = want(row, call, "id", XMLRPC_INT, err);
	const struct xmlrpc_value *time = xmlrpc_find(row, "ts");
	bool whole = time && time->type == XMLRPC_INT;

	if (!id || (!whole && !want(row, call, "ts", XMLRPC_DOUBLE, err)))
		return -EBADMSG;
	event.id = id->number;
	event.time = whole ? (double)time->number : time->real;
	r = check_event(&event, call, err);
	if (r == 0)
		*ret = event;
	return r;
}

int hub_last_event(struct hub *hub, struct hub_event *ret, struct error *err)
{
	_cleanup_(hub_call_done) struct hub_call call = { 0 };
	_cleanup_(xmlrpc_tree_done) struct xmlrpc_tree tree = { 0 };
	int r;

	hub_call_start(&call, "getLastEvent");
	r = do_small(hub, &call, &tree, err);
	return r < 0 ? r : read_event(&tree.value, call.name, ret, err);
}

int hub_event(struct hub *hub, int64_t id, struct hub_event *ret, struct error *err)
{
	_cleanup_(hub_call_done) struct hub_call call = { 0 };
	_cleanup_(xmlrpc_tree_done) struct xmlrpc_tree tree = { 0 };
	struct hub_event event;
	char why[64];
	int r;

	hub_call_start(&call, "getEvent");
	xmlrpc_add_int(&call.request, id);
	r = do_small(hub, &call, &tree, err);
	if (r == -EREMOTEIO && call.fault.code == KOJI_FAULT_GENERIC)
		return 0;
	if (r < 0)
		return r;
	if (tree.value.type == XMLRPC_NIL)
		return 0;
	r = read_event(&tree.value, call.name, &event, err);
	if (r < 0)
		return r;
	if (event.id != id) {
		(void)snprintf(why, sizeof(why), "is %" PRId64 ", not %" PRId64, event.id, id);
		return bad_answer(err, call.name, "id", why);
	}
	*ret = event;
	return 1;
}

/* ---- has a tag changed? ---- */

/* The array of the tag's own id and those it inherits from, put behind the event. */
static int add_family(struct xmlrpc_call *request, const struct hub_tag *tag, const char *call,
		      const struct xmlrpc_value *parents, struct error *err)
{
	if (parents->type != XMLRPC_ARRAY)
		return bad_answer(err, call, NULL, "is not an array");
	xmlrpc_open_array(request);
	xmlrpc_add_int(request, tag->id);
	for (size_t i = 0; i < parents->count; i++) {
		const struct xmlrpc_value *id;
		char where[CALL_NAME_SIZE + 32];

		(void)snprintf(where, sizeof(where), "%s, row %zu", call, i + 1);
		id = want(&parents->item[i], where, "parent_id", XMLRPC_INT, err);
		if (!id)
			return -EBADMSG;
		xmlrpc_add_int(request, id->number);
	}
	xmlrpc_close_array(request);
	return 0;
}

int hub_tag_changed(struct hub *hub, const struct hub_tag *tag, int64_t since, struct error *err)
{
	_cleanup_(hub_call_done) struct hub_call parents = { 0 }, changed = { 0 };
	_cleanup_(xmlrpc_tree_done) struct xmlrpc_tree rows = { 0 }, answer = { 0 };
	int r;

	hub_call_start(&parents, "getFullInheritance");
	hub_call_name(&parents, "getFullInheritance", tag->name);
	xmlrpc_add_int(&parents.request, tag->id);
	r = do_small(hub, &parents, &rows, err);
	if (r < 0)
		return r;
	hub_call_start(&changed, "tagChangedSinceEvent");
	hub_call_name(&changed, "tagChangedSinceEvent", tag->name);
	xmlrpc_add_int(&changed.request, since);
	r = add_family(&changed.request, tag, parents.name, &rows.value, err);
	if (r == 0)
		r = do_small(hub, &changed, &answer, err);
	if (r < 0)
		return r;
	if (answer.value.type != XMLRPC_BOOLEAN)
		return bad_answer(err, changed.name, NULL, "is not a boolean");
	return answer.value.number != 0;
}
