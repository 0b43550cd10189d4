/* SPDX-License-Identifier: MIT */
/* rest/records.c: a compose as JSON, rendered once per change.
 *
 * A record changes a handful of times in its life and is asked for all the time (clients poll), so
 * the finished answer is kept: for GET of one compose as a response that libmicrohttpd can send to
 * many at once, for lists as the piece of text that goes between the commas. */
#include "rest/exchange.h"

#define RECORD_KEPT_MAX ((size_t)32 * 1024) /* a longer one is rendered each time */

struct record {
	struct kept kept;
	enum compose_state state;
	struct MHD_Response *response; /* then it owns the text */
	char *text;
	size_t length;
};

static void record_free(struct kept *kept)
{
	struct record *record = (struct record *)kept;

	if (record->response)
		MHD_destroy_response(record->response);
	else
		free(record->text);
	free(record);
}

void record_unref(struct record *record)
{
	if (record)
		kept_unref(&record->kept);
}

const char *record_text(const struct record *record, size_t *ret_length)
{
	*ret_length = record->length;
	return record->text;
}

enum compose_state record_state(const struct record *record)
{
	return record->state;
}

static struct record *record_render(struct rest *rest, const struct compose *compose, bool one,
				    enum json_form form)
{
	json_auto_t *json = compose_to_json(compose, rest->public_url, form, one);
	_cleanup_(freep) char *text = json ? json_line(json) : NULL;
	struct record *record = text ? calloc(1, sizeof(*record)) : NULL;

	if (!record)
		return NULL;
	record->state = compose->state;
	record->length = strlen(text);
	kept_init(&record->kept, compose->id, sizeof(*record) + record->length, record_free);
	if (one) {
		record->text = text;
		record->response = answer_bytes(steal(text), record->length, TYPE_JSON);
		if (!record->response) {
			free(record);
			return NULL;
		}
		response_header(record->response, MHD_HTTP_HEADER_ACCESS_CONTROL_ALLOW_ORIGIN, "*");
	} else {
		text[--record->length] = '\0'; /* the newline */
		record->text = steal(text);
	}
	return record;
}

static void record_keep(struct rest *rest, struct cache *cache, uint64_t seen,
			struct record *record)
{
	if (record->kept.bytes <= RECORD_KEPT_MAX)
		cache_put(cache, rest, seen, &record->kept);
}

int record_of(struct rest *rest, int64_t id, bool fresh, struct record **ret, struct error *err)
{
	struct record *record = fresh ? NULL : (struct record *)cache_get(rest->records, rest, id);
	uint64_t seen = atomic_load(&rest->generation);
	_cleanup_(compose_freep) struct compose *compose = NULL;
	int r;

	if (!record) {
		r = catalogue_get(rest->options.catalogue, id, &compose, err);
		if (r < 0)
			return r;
		record = record_render(rest, compose, true, JSON_CURRENT);
		if (!record)
			return error_oom(err);
		record_keep(rest, rest->records, seen, record);
	}
	*ret = record;
	return 0;
}

struct record *record_item(struct rest *rest, const struct compose *compose, uint64_t seen)
{
	struct record *record = (struct record *)cache_get(rest->items, rest, compose->id);

	if (record)
		return record;
	record = record_render(rest, compose, false, JSON_CURRENT);
	if (record)
		record_keep(rest, rest->items, seen, record);
	return record;
}

int record_answer(struct exchange *ex, struct record *record)
{
	return answer_kept(ex, MHD_HTTP_OK, record->response, &record->kept);
}
