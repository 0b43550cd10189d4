/* SPDX-License-Identifier: MIT */
/* rest/table.c: what there is: every path, who answers there, and what may be asked and answered.
 */
#include "rest/wait.h"

#define OK_JSON(schema_, meaning_)                                                                 \
	{                                                                                          \
		.status = MHD_HTTP_OK, .type = TYPE_JSON, .schema = (schema_),                     \
		.meaning = (meaning_), .cors = true                                                \
	}
#define DONE_JSON(schema_, meaning_)                                                               \
	{                                                                                          \
		.status = MHD_HTTP_OK, .type = TYPE_JSON, .schema = (schema_),                     \
		.meaning = (meaning_)                                                              \
	}
#define OK_PAGE(meaning_)                                                                          \
	{                                                                                          \
		.status = MHD_HTTP_OK, .type = TYPE_HTML, .meaning = (meaning_)                    \
	}

#define ERRORS_WRITE MHD_HTTP_UNAUTHORIZED, MHD_HTTP_FORBIDDEN, MHD_HTTP_INSUFFICIENT_STORAGE

/* ---- for programs -------------------------------------------------------- */

static const struct operation list_composes = {
	list_get,
	.id = "listComposes",
	.summary = "Composes, newest first, in pages",
	.parameters = { filter_parameters, page_parameters },
	.replies = { OK_JSON("ComposeList", "A page of the list.") },
};
static const struct operation submit_compose = {
	compose_post,
	.lent = true,
	.id = "submitCompose",
	.summary = "Ask for a compose",
	.body = BODY_REQUEST,
	.replies = { DONE_JSON("Compose", "Accepted; it will be made.") },
	.errors = { ERRORS_WRITE },
};
static const struct operation show_compose = {
	compose_get,
	.id = "showCompose",
	.summary = "One compose",
	.parameters = { wait_parameters },
	.replies = { OK_JSON("Compose", "The record.") },
	.errors = { MHD_HTTP_NOT_FOUND },
};
static const struct operation renew_compose = {
	compose_patch,
	.lent = true,
	.id = "renewCompose",
	.summary = "Let a compose live longer, or make it anew when it failed or is over",
	.body = BODY_RENEWAL,
	.replies = { DONE_JSON("Compose", "The compose, or the new one.") },
	.errors = { MHD_HTTP_NOT_FOUND, ERRORS_WRITE },
};
static const struct operation delete_compose = {
	compose_delete,
	.lent = true,
	.id = "deleteCompose",
	.summary = "Cancel a compose that waits, or end one that is done or failed",
	.replies = { { .status = MHD_HTTP_ACCEPTED,
		       .type = TYPE_JSON,
		       .schema = "ComposeDelete",
		       .meaning = "It will be over soon." } },
	.errors = { MHD_HTTP_NOT_FOUND, ERRORS_WRITE },
};
static const struct operation prefetch_compose = {
	prefetch_post,
	.lent = true,
	.id = "prefetchCompose",
	.summary = "Fetch packages of servers before somebody reads them",
	.body = BODY_PACKAGES,
	.replies = { DONE_JSON("Prefetch", "How many there are; they are fetched from now on.") },
	.errors = { MHD_HTTP_NOT_FOUND, ERRORS_WRITE },
};
static const struct operation show_prefetch = {
	prefetch_get,
	.lent = true,
	.id = "showPrefetch",
	.summary = "Packages of servers in a compose that is done, and how many of them are here",
	.replies = { OK_JSON("Prefetch", "How many there are.") },
	.errors = { MHD_HTTP_NOT_FOUND },
};
static const struct operation show_cache = {
	cache_show,
	.id = "showCache",
	.summary = "The cache of packages of servers",
	.replies = { OK_JSON("Cache", "What it holds, and what was counted since the start.") },
};
static const struct operation trim_cache = {
	cache_delete,
	.lent = true,
	.id = "trimCache",
	.summary = "Remove packages of servers that nobody has open",
	.parameters = { cache_parameters },
	.replies = { DONE_JSON("Cache", "What is left.") },
	.errors = { ERRORS_WRITE },
};
static const struct operation show_about = {
	about_get,
	.id = "about",
	.summary = "How this service is set up",
	.replies = { OK_JSON("About", "Version, users, sources.") },
};
static const struct operation show_metrics = {
	metrics_get,
	.lent = true,
	.id = "metrics",
	.summary = "Figures for Prometheus",
	.replies = { { .status = MHD_HTTP_OK,
		       .type = TYPE_METRICS,
		       .meaning = "In its text format.",
		       .cors = true } },
};
static const struct operation follow_events = {
	events_get,
	.id = "events",
	.summary = "A stream of state changes (server-sent events)",
	.parameters = { event_parameters },
	.replies = { { .status = MHD_HTTP_OK,
		       .type = TYPE_EVENTS,
		       .cors = true,
		       .meaning = "One event for each change, its data an object with `event` and "
				  "`compose`. Does not end." } },
	.errors = { MHD_HTTP_SERVICE_UNAVAILABLE },
};
static const struct operation show_document = {
	openapi_get,
	.id = "openapi",
	.summary = "This document",
	.parameters = { document_parameters },
	.replies = { { .status = MHD_HTTP_OK,
		       .type = TYPE_JSON,
		       .meaning = "OpenAPI 3.0.",
		       .cors = true,
		       .header = MHD_HTTP_HEADER_ETAG },
		     { .status = MHD_HTTP_NOT_MODIFIED, .meaning = "The client has it." } },
};

/* ---- in the words of 2017 ------------------------------------------------ */

static const struct operation list_seed = {
	list_get,
	.id = "listComposes2017",
	.summary = "Composes, newest first, in pages",
	.parameters = { filter_parameters, page_parameters },
	.replies = { OK_JSON("ComposeSeedList", "A page of the list.") },
};
static const struct operation submit_seed = {
	compose_post,
	.lent = true,
	.id = "submitCompose2017",
	.summary = "Ask for a compose, or renew one by {\"id\": N}",
	.body = BODY_REQUEST_SEED,
	.replies = { DONE_JSON("ComposeSeed", "Accepted; it will be made.") },
	.errors = { ERRORS_WRITE },
};
static const struct operation show_seed = {
	compose_get,
	.id = "showCompose2017",
	.summary = "One compose",
	.parameters = { wait_parameters },
	.replies = { OK_JSON("ComposeSeed", "The record.") },
	.errors = { MHD_HTTP_NOT_FOUND },
};
static const struct operation renew_seed = {
	compose_patch,
	.lent = true,
	.id = "renewCompose2017",
	.summary = "Let a compose live longer, or make it anew when it failed or is over",
	.body = BODY_RENEWAL,
	.replies = { DONE_JSON("ComposeSeed", "The compose, or the new one.") },
	.errors = { MHD_HTTP_NOT_FOUND, ERRORS_WRITE },
};
static const struct operation delete_seed = {
	compose_delete,
	.lent = true,
	.id = "deleteCompose2017",
	.summary = "Cancel a compose that waits, or end one that is done or failed",
	.replies = { { .status = MHD_HTTP_ACCEPTED,
		       .type = TYPE_JSON,
		       .schema = "ComposeDelete",
		       .meaning = "It will be over soon." } },
	.errors = { MHD_HTTP_NOT_FOUND, ERRORS_WRITE },
};

/* ---- files, and pages for people ----------------------------------------- */

static const struct operation read_files = {
	files_get,
	.id = "readFile",
	.summary = "The trees of the composes: directories as pages, files as bytes",
	.parameters = { file_parameters },
	.replies = { OK_PAGE("A directory."),
		     { .status = MHD_HTTP_OK, .files = true, .meaning = "A file." },
		     { .status = MHD_HTTP_PARTIAL_CONTENT,
		       .files = true,
		       .meaning = "A part of it.",
		       .header = MHD_HTTP_HEADER_CONTENT_RANGE },
		     { .status = MHD_HTTP_MOVED_PERMANENTLY,
		       .type = TYPE_HTML,
		       .meaning = "A directory is spelled with a slash at its end.",
		       .header = MHD_HTTP_HEADER_LOCATION },
		     { .status = MHD_HTTP_NOT_MODIFIED, .meaning = "The client has it." },
		     { .status = MHD_HTTP_PRECONDITION_FAILED,
		       .meaning = "It is not what the client has." },
		     { .status = MHD_HTTP_RANGE_NOT_SATISFIABLE,
		       .meaning = "It is not that long.",
		       .header = MHD_HTTP_HEADER_CONTENT_RANGE } },
	.errors = { MHD_HTTP_NOT_FOUND, MHD_HTTP_BAD_GATEWAY, MHD_HTTP_SERVICE_UNAVAILABLE,
		    MHD_HTTP_GATEWAY_TIMEOUT, MHD_HTTP_INSUFFICIENT_STORAGE },
};
static const struct operation show_home = {
	home_get,
	.lent = true,
	.id = "home",
	.summary = "The page for people: the list of composes",
	.parameters = { filter_parameters, page_parameters },
	.replies = { OK_PAGE("The page.") },
};
static const struct operation show_page = {
	page_compose_get,
	.lent = true,
	.id = "composePage",
	.summary = "One compose as a page",
	.parameters = { package_parameters, page_parameters },
	.replies = { OK_PAGE("The page.") },
	.errors = { MHD_HTTP_NOT_FOUND },
};
static const struct operation show_reference = {
	reference_get,
	.id = "reference",
	.summary = "This list, as a page",
	.replies = { OK_PAGE("The page.") },
};
static const struct operation show_icon = {
	icon_get,
	.id = "icon",
	.summary = "The icon of the pages",
	.replies = { { .status = MHD_HTTP_OK, .type = TYPE_ICON, .meaning = "The icon." } },
};

static const struct route routes[] = {
	{ "/", ROUTE_EXACT, .html = true, .get = &show_home },
	{ "/compose/", ROUTE_ID, .html = true, .get = &show_page },
	{ "/favicon.ico", ROUTE_EXACT, .get = &show_icon },
	{ "/api/1/", ROUTE_PLAIN, .get = &show_reference },
	{ "/api/1/composes/", ROUTE_PLAIN, .get = &list_composes, .post = &submit_compose },
	{ "/api/1/composes/", ROUTE_ID, .get = &show_compose, .patch = &renew_compose,
	  .remove = &delete_compose },
	{ "/api/1/prefetch/", ROUTE_ID, .get = &show_prefetch, .post = &prefetch_compose },
	{ "/api/1/cache/", ROUTE_PLAIN, .get = &show_cache, .remove = &trim_cache },
	{ "/api/1/about/", ROUTE_PLAIN, .get = &show_about },
	{ "/api/1/metrics/", ROUTE_PLAIN, .get = &show_metrics },
	{ "/api/1/events/", ROUTE_EITHER, .get = &follow_events },
	{ "/static/openapispec.json", ROUTE_EXACT, .get = &show_document },
	{ "/odcs/1/composes/", ROUTE_EITHER, .seed = true, .get = &list_seed,
	  .post = &submit_seed },
	{ "/odcs/1/composes/", ROUTE_ID, .seed = true, .get = &show_seed, .patch = &renew_seed,
	  .remove = &delete_seed },
	{ "/composes/", ROUTE_TREE, .get = &read_files },
};

const struct route *route_at(size_t i)
{
	return i < ARRAY_SIZE(routes) ? &routes[i] : NULL;
}

const unsigned int *route_errors(void)
{
	static const unsigned int errors[] = {
		MHD_HTTP_BAD_REQUEST,	    MHD_HTTP_CONTENT_TOO_LARGE,	    MHD_HTTP_URI_TOO_LONG,
		MHD_HTTP_TOO_MANY_REQUESTS, MHD_HTTP_INTERNAL_SERVER_ERROR, 0,
	};

	return errors;
}
