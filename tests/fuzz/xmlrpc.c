/* SPDX-License-Identifier: MIT */
/* tests/fuzz/xmlrpc.c: bytes that a hub may answer with, to each of the calls.
 *
 * The first byte says in what steps they come. Beyond not crashing: events are balanced and told no
 * more after an error, an error has words and somebody to blame, what is in a listing can be used.
 */
#include "resolver/koji/xmlrpc.h"
#include "resolver/fetch/transport.h"
#include "resolver/koji/builds.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(condition)                                                                            \
	do {                                                                                       \
		if (!(condition))                                                                  \
			abort();                                                                   \
	} while (0)

/* ---- events ---- */

struct seen {
	enum xmlrpc_type open[XMLRPC_MAX_DEPTH];
	unsigned int depth;
	uint64_t values; /* at depth 0 */
};

static int see(void *data, const struct xmlrpc_event *event, struct error *err)
{
	struct seen *seen = data;
	bool holds = event->type == XMLRPC_ARRAY || event->type == XMLRPC_STRUCT;

	(void)err;
	if (event->end) {
		MUST(seen->depth > 0 && seen->open[--seen->depth] == event->type);
		MUST(event->depth == seen->depth);
		return 0;
	}
	MUST(event->depth == seen->depth);
	MUST(!event->member == (seen->depth == 0 || seen->open[seen->depth - 1] == XMLRPC_ARRAY));
	MUST(!event->text || strlen(event->text) == event->length);
	seen->values += seen->depth == 0;
	if (holds)
		seen->open[seen->depth++] = event->type;
	return 0;
}

static void check_error(int r, const struct error *err)
{
	MUST(r < 0 && err->code == r && err->message[0] && err->blame == BLAME_SOURCE);
}

static void check_events(const uint8_t *data, size_t size, size_t step)
{
	struct seen seen = { 0 };
	struct xmlrpc_handler handler = { see, &seen };
	_cleanup_(xmlrpc_decoder_freep) struct xmlrpc_decoder *decoder = NULL;
	struct xmlrpc_fault fault = { 0 };
	struct error err = { 0 };
	int r = xmlrpc_decoder_new(&handler, &decoder, &err);

	MUST(r == 0);
	for (size_t at = 0; r == 0 && at < size; at += step)
		r = xmlrpc_feed(decoder, data + at, size - at < step ? size - at : step, &err);
	if (r == 0)
		r = xmlrpc_finish(decoder, &fault, &err);
	if (r == 0)
		MUST(seen.depth == 0 && seen.values == 1);
	else
		check_error(r, &err);
	MUST(r != -EREMOTEIO || seen.values == 0);
	MUST(strncmp(fault.words + strspn(fault.words, " \t"), "File \"", 6) != 0);
}

/* ---- calls ---- */

/* struct canned - a transport that gives the same answer to whatever it is asked */
struct canned {
	struct transport transport;
	const uint8_t *data;
	size_t size, step;
};

static int canned_transfer(struct transport *transport, struct transfer *transfer,
			   struct error *err)
{
	struct canned *canned = (struct canned *)transport;
	int r = 0;

	for (size_t at = 0; r == 0 && at < canned->size; at += canned->step)
		r = transfer->sink.take(
			transfer->sink.data, canned->data + at,
			canned->size - at < canned->step ? canned->size - at : canned->step, err);
	return r;
}

static void check_listing(const struct koji_listing *listing)
{
	for (size_t i = 0; i < listing->rpm_count; i++) {
		_cleanup_(text_done) struct text path = { 0 }, url = { 0 };
		const struct koji_rpm *rpm = &listing->rpm[i];

		MUST(rpm->build < listing->build_count && rpm->size >= 0);
		MUST(i == 0 || listing->rpm[i - 1].id < rpm->id);
		MUST((size_t)rpm->key + rpm->key_count <= listing->key_count);
		if (koji_rpm_path(listing, rpm, "7ec1b334", &path, NULL) < 0)
			continue;
		MUST(!strstr(path.data, "/../") && !strstr(path.data, "//"));
		MUST(koji_url("http://k.example.com", path.data, &url) == 0);
	}
}

static void check_calls(struct hub *hub)
{
	struct hub_listing_options options = { .event = 1, .signatures = true };
	_cleanup_(koji_listing_freep) struct koji_listing *tagged = NULL, *built = NULL;
	_cleanup_(strings_done) struct strings nvrs = { 0 }, arches = { 0 };
	_cleanup_(freep) uint32_t *place = NULL;
	_cleanup_(hub_tag_done) struct hub_tag tag = { 0 };
	struct hub_event event;
	struct error err = { 0 };
	int r;

	MUST(strings_add(&nvrs, "a-1-1") == 0 && strings_add(&nvrs, "b-1-1") == 0 &&
	     strings_split(&arches, "x86_64 noarch src", ' ') == 0);
	r = hub_list(hub, "tag", &options, &tagged, &err);
	r == 0 ? check_listing(tagged) : check_error(r, &err);
	r = hub_builds(hub, &nvrs, &arches, &built, &place, &err);
	r == 0 ? check_listing(built) : check_error(r, &err);
	r = hub_tag(hub, "tag", 1, &tag, &err);
	r >= 0 ? (void)0 : check_error(r, &err);
	MUST(r != 1 || tag.name);
	r = hub_tag_changed(hub, &tag, 1, &err);
	r >= 0 ? (void)0 : check_error(r, &err);
	r = hub_event(hub, 1, &event, &err);
	r >= 0 ? (void)0 : check_error(r, &err);
}

static void check_names(int r, const struct koji_names *names, const struct error *err)
{
	if (r < 0)
		check_error(r, err);
	for (size_t i = 0; i < names->count; i++)
		MUST(names->item[i].nvr && names->item[i].release && names->item[i].tag);
}

static void check_modules(struct hub *hub)
{
	_cleanup_(koji_names_done) struct koji_names tagged = { 0 }, found = { 0 };
	static const char *const nvrs[] = { "a-1-1", "b-1-1" };
	struct koji_module modules[2] = { 0 };
	struct error err = { 0 };
	int r = hub_tagged_modules(hub, "tag", 1, true, &tagged, &err);

	check_names(r, &tagged, &err);
	r = hub_search_builds(hub, "a-1-*", &found, &err);
	check_names(r, &found, &err);
	r = hub_module_builds(hub, nvrs, 2, modules, &err);
	r == 0 ? (void)0 : check_error(r, &err);
	for (size_t i = 0; i < 2; i++)
		koji_module_done(&modules[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct transport_ops ops = { .transfer = canned_transfer };
	struct canned canned = { .transport.ops = &ops };
	struct hub_settings settings = { .url = "http://k.example.com",
					 .transport = &canned.transport,
					 .call_ms = 2,
					 .pause_ms = 4 }; /* no time to ask again */
	_cleanup_(hub_freep) struct hub *hub = NULL;

	if (size == 0)
		return 0;
	canned.step = (size_t)data[0] + 1;
	canned.data = ++data;
	canned.size = --size;
	check_events(data, size, canned.step);
	MUST(hub_new(&settings, &hub, NULL) == 0);
	check_calls(hub);
	check_modules(hub);
	return 0;
}
