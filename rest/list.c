/* SPDX-License-Identifier: MIT */
/* rest/list.c: GET of the list: its items, and the links between pages (odcs-api.md 2.4).
 *
 * meta tells the per_page that was used. Finished pages are kept until anything changes. */
#include "rest/filter.h"
#include "rest/work.h"

#define PAGE_KEPT_MAX ((size_t)60 * 1024)
#define PAGE_BYTES_MAX ((size_t)64 << 20)

struct page {
	struct kept kept;
	uint64_t seen; /* rest->generation before the catalogue was read */
	struct MHD_Response *response;
	char name[]; /* what was asked for, in full */
};

/* ---- the links --------------------------------------------------------- */

struct links {
	struct text head, tail;
	int64_t per_page;
};

/* Nothing in a link needs an escape in JSON: every byte of it has passed percent_encode() or
 * exchange_base(). */
static void link_print(struct text *ret, const struct links *links, const char *name, int64_t page)
{
	if (page < 0)
		(void)text_addf(ret, "\"%s\":null,", name);
	else
		(void)text_addf(ret, "\"%s\":\"%s?page=%" PRId64 "&per_page=%" PRId64 "%s\",", name,
				links->head.data, page, links->per_page,
				links->tail.data ? links->tail.data : "");
}

static void meta_print(const struct exchange *ex, const struct filter *filter, int64_t total,
		       struct text *ret)
{
	int64_t per_page = filter->per_page, page = filter->page;
	int64_t pages = per_page ? (total + per_page - 1) / per_page : 0;
	struct links links = { .per_page = per_page };

	exchange_base(ex, &links.head);
	(void)text_adds(&links.head, ex->route->path);
	filter_tail(ex, &links.tail);
	(void)text_adds(ret, "],\"meta\":{");
	if (links.head.failed || links.tail.failed) {
		ret->failed = true;
	} else {
		link_print(ret, &links, "first", 1);
		link_print(ret, &links, "last", pages);
		link_print(ret, &links, "next", page < pages ? page + 1 : -1);
		(void)text_addf(
			ret, "\"page\":%" PRId64 ",\"pages\":%" PRId64 ",\"per_page\":%" PRId64 ",",
			page, pages, per_page);
		link_print(ret, &links, "prev", page > 1 ? page - 1 : -1);
		(void)text_addf(ret, "\"total\":%" PRId64 "}}\n", total);
	}
	text_done(&links.head);
	text_done(&links.tail);
}

/* ---- the items --------------------------------------------------------- */

struct filling {
	struct exchange *ex;
	struct text text;
	uint64_t seen;
	size_t most; /* bytes of the page */
	bool more;
};

static bool fill(void *data, const struct compose *compose)
{
	struct filling *filling = data;
	struct exchange *ex = filling->ex;
	size_t length, before = filling->text.length;
	const char *text;

	if (filling->more)
		(void)text_adds(&filling->text, ",");
	filling->more = true;
	if (ex->route->seed) {
		json_auto_t *json =
			compose_to_json(compose, ex->rest->public_url, JSON_SEED, false);
		_cleanup_(freep) char *line = json ? json_line(json) : NULL;

		if (line)
			(void)text_add(&filling->text, line, strlen(line) - 1);
		else
			filling->text.failed = true;
	} else {
		_cleanup_(record_unrefp) struct record *record =
			record_item(ex->rest, compose, filling->seen);

		if (record) {
			text = record_text(record, &length);
			(void)text_add(&filling->text, text, length);
		} else {
			filling->text.failed = true;
		}
	}
	return filling->text.failed || filling->text.length > filling->most ||
	       exchange_charge(ex, filling->text.length - before) < 0;
}

static int list_print(struct exchange *ex, const struct filter *filter, uint64_t seen,
		      struct text *ret, struct error *err)
{
	struct filling filling = { .ex = ex, .seen = seen, .most = PAGE_BYTES_MAX };
	int64_t total = 0;
	int r = 0;

	if (filling.most > ex->rest->limits.client_bytes) /* else it could never be given */
		filling.most = ex->rest->limits.client_bytes;
	(void)text_adds(&filling.text, "{\"items\":[");
	if (!filter->nothing)
		r = catalogue_query(ex->rest->options.catalogue, &filter->query,
				    filter->query.limit ? fill : NULL, &filling, &total, err);
	if (r >= 0 && ex->overdrawn)
		r = -EDQUOT;
	if (r >= 0 && filling.text.length > filling.most)
		r = error_set(err, -EINVAL, BLAME_REQUEST, "per_page",
			      "The page would be longer than %zu bytes, ask for fewer per_page.",
			      filling.most);
	if (r >= 0)
		meta_print(ex, filter, total, &filling.text);
	if (r >= 0 && filling.text.failed)
		r = error_oom(err);
	if (r < 0) {
		text_done(&filling.text);
		return r;
	}
	*ret = filling.text;
	return 0;
}

/* ---- kept pages -------------------------------------------------------- */

static void page_free(struct kept *kept)
{
	struct page *page = (struct page *)kept;

	if (page->response)
		MHD_destroy_response(page->response);
	free(page);
}

/* A page is named by all that it depends on beside the catalogue. */
static int page_name(const struct exchange *ex, struct text *ret)
{
	exchange_base(ex, ret);
	(void)text_adds(ret, ex->route->path);
	(void)text_adds(ret, "?");
	(void)text_adds(ret, ex->query);
	return ret->failed ? -ENOMEM : 0;
}

static int64_t page_key(const struct text *name)
{
	uint64_t hash = UINT64_C(14695981039346656037);

	for (size_t i = 0; i < name->length; i++)
		hash = (hash ^ (unsigned char)name->data[i]) * UINT64_C(1099511628211);
	return (int64_t)(hash >> 1);
}

static struct page *page_get(struct rest *rest, const struct text *name)
{
	struct page *page = (struct page *)cache_get(rest->pages, rest, page_key(name));

	if (page && page->seen == atomic_load(&rest->generation) && !strcmp(page->name, name->data))
		return page;
	if (page)
		kept_unref(&page->kept);
	return NULL;
}

/* Takes @response; the page, which the cache holds as well, or NULL: no memory. */
static struct page *page_keep(struct rest *rest, const struct text *name, uint64_t seen,
			      struct MHD_Response *response, size_t length)
{
	struct page *page = calloc(1, sizeof(*page) + name->length + 1);

	if (!page) {
		MHD_destroy_response(response);
		return NULL;
	}
	memcpy(page->name, name->data, name->length);
	page->seen = seen;
	page->response = response;
	kept_init(&page->kept, page_key(name), sizeof(*page) + name->length + length, page_free);
	cache_put(rest->pages, rest, seen, &page->kept);
	return page;
}

static int list_make(struct exchange *ex, const struct text *name)
{
	uint64_t seen = atomic_load(&ex->rest->generation);
	struct MHD_Response *response;
	struct error err = { 0 };
	struct text text = { 0 };
	struct filter filter;
	struct page *page;
	size_t length;
	int r;

	if (filter_read(ex, &filter) < 0)
		return answer_error(ex, MHD_HTTP_BAD_REQUEST,
				    "An invalid order_by key was suplied, allowed keys are: ['id', "
				    "'owner', 'source_Type', 'koji_event', 'state', "
				    "'time_to_expire', 'time_submitted', 'time_done', "
				    "'time_removed']");
	r = list_print(ex, &filter, seen, &text, &err);
	if (r < 0) /* -EDQUOT: answer_queue() knows the words */
		return r == -EDQUOT ? answer_queue(ex, 0, NULL) : answer_failure(ex, &err);
	length = text.length;
	response = answer_bytes(text_steal(&text), length, TYPE_JSON);
	response_header(response, MHD_HTTP_HEADER_ACCESS_CONTROL_ALLOW_ORIGIN, "*");
	if (!response || length > PAGE_KEPT_MAX)
		return answer_queue(ex, MHD_HTTP_OK, response);
	page = page_keep(ex->rest, name, seen, response, length);
	return page ? answer_kept(ex, MHD_HTTP_OK, page->response, &page->kept) : -ENOMEM;
}

/* 1: answered; 0: it has to be made */
static int list_again(struct exchange *ex, const struct text *name)
{
	struct page *page = page_get(ex->rest, name);
	int r = page ? answer_kept(ex, MHD_HTTP_OK, page->response, &page->kept) : 0;

	return r < 0 ? r : page != NULL;
}

/* In a lent thread: the catalogue is asked, and the page may be long. Of those who came for one
 * page at the same time, the later ones find what the first one made. */
static int list_work(struct exchange *ex)
{
	struct text name = { 0 };
	int r = page_name(ex, &name);

	if (r >= 0)
		r = list_again(ex, &name);
	if (r == 0)
		r = list_make(ex, &name);
	text_done(&name);
	return r < 0 ? r : 0;
}

int list_get(struct exchange *ex)
{
	struct text name = { 0 };
	int r = page_name(ex, &name);

	if (r >= 0)
		r = list_again(ex, &name);
	if (r == 0 && !work_park(ex, list_work))
		r = list_make(ex, &name);
	text_done(&name);
	return r < 0 ? r : 0;
}
