/* SPDX-License-Identifier: MIT */
/* rest/routes.c: table of routes, and what is answered when nothing in it fits. */
#include "rest/exchange.h"
#include "rest/wait.h"
#include "rest/work.h"

static const struct route routes[] = {
	{ "/", ROUTE_EXACT, .html = true, .get = home_get },
	{ "/compose/", ROUTE_ID, .html = true, .get = page_compose_get },
	{ "/favicon.ico", ROUTE_EXACT, .get = icon_get },
	{ "/api/1/", ROUTE_PLAIN, .get = api_get },
	{ "/api/1/composes/", ROUTE_PLAIN, .get = list_get, .post = compose_post },
	{ "/api/1/composes/", ROUTE_ID, .get = compose_get, .patch = compose_patch,
	  .remove = compose_delete },
	{ "/api/1/about/", ROUTE_PLAIN, .get = about_get },
	{ "/api/1/metrics/", ROUTE_PLAIN, .get = metrics_get },
	{ "/api/1/events/", ROUTE_EITHER, .get = events_get },
	{ "/odcs/1/composes/", ROUTE_EITHER, .seed = true, .get = list_get, .post = compose_post },
	{ "/odcs/1/composes/", ROUTE_ID, .seed = true, .get = compose_get, .patch = compose_patch,
	  .remove = compose_delete },
	{ "/composes/", ROUTE_TREE, .get = files_get },
};

static bool route_fits(const struct route *route, struct exchange *ex)
{
	size_t length = strlen(route->path), path_length = strlen(ex->path);
	const char *after = ex->path + length;

	if (strncmp(ex->path, route->path, length - 1) != 0)
		return false;
	ex->bare = false;
	if (path_length == length - 1) { /* the path without its slash */
		ex->bare = true;
		ex->rest_path = "";
		return route->form == ROUTE_PLAIN || route->form == ROUTE_EITHER ||
		       route->form == ROUTE_TREE;
	}
	if (ex->path[length - 1] != route->path[length - 1])
		return false;
	ex->rest_path = after;
	if (route->form == ROUTE_TREE || !*after)
		return route->form != ROUTE_ID;
	if (route->form != ROUTE_ID)
		return false;
	after += strspn(after, "0123456789");
	if (after == ex->rest_path)
		return false;
	/* A slash behind the number is a spelling for those that write; nothing to read lives
	 * there. */
	ex->bare = !strcmp(after, "/");
	return !*after || (ex->bare && (ex->method & (METHOD_PATCH | METHOD_DELETE)));
}

void route_find(struct exchange *ex)
{
	for (size_t i = 0; i < ARRAY_SIZE(routes) && !ex->route; i++)
		if (route_fits(&routes[i], ex))
			ex->route = &routes[i];
}

void route_allow(const struct exchange *ex, char *ret, size_t size)
{
	const struct route *route = ex->route;

	(void)snprintf(
		ret, size, "%sGET, HEAD, OPTIONS%s%s", route && route->remove ? "DELETE, " : "",
		route && route->patch ? ", PATCH" : "", route && route->post ? ", POST" : "");
}

static int options_answer(struct exchange *ex)
{
	struct MHD_Response *response =
		MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
	char allow[64];

	route_allow(ex, allow, sizeof(allow));
	response_header(response, MHD_HTTP_HEADER_ALLOW, allow);
	return answer_queue(ex, MHD_HTTP_OK, response);
}

/* 308 to the spelling with the slash; absolute, since clients of 2017 wanted it so. */
static int slash_answer(struct exchange *ex)
{
	struct text location = { 0 };
	int r;

	exchange_base(ex, &location);
	(void)text_adds(&location, ex->route->path);
	if (*ex->query)
		(void)text_addf(&location, "?%s", ex->query);
	r = location.failed ? -ENOMEM
			    : answer_redirect(ex, MHD_HTTP_PERMANENT_REDIRECT, location.data);
	text_done(&location);
	return r;
}

int route_run(struct exchange *ex)
{
	const struct route *route = ex->route;
	exchange_handler *handler = NULL;

	if (ex->worked)
		return work_answer(ex);
	if (ex->refused)
		return answer_error(ex, ex->refused, "%s", ex->refused_message);
	if (!route && !(ex->method == METHOD_OPTIONS && !strcmp(ex->path, "*")))
		return answer_error(ex, MHD_HTTP_NOT_FOUND,
				    "The requested URL was not found on the server. If you entered "
				    "the URL manually please check your spelling and try again.");
	if (ex->method == METHOD_OPTIONS)
		return options_answer(ex);
	if (ex->method == METHOD_GET)
		handler = route->get;
	else if (ex->method == METHOD_POST)
		handler = route->post;
	else if (ex->method == METHOD_PATCH)
		handler = route->patch;
	else if (ex->method == METHOD_DELETE)
		handler = route->remove;
	if (!handler)
		return answer_error(ex, MHD_HTTP_METHOD_NOT_ALLOWED,
				    "The method is not allowed for the requested URL.");
	if (ex->bare && ex->method == METHOD_GET && route->form == ROUTE_PLAIN)
		return slash_answer(ex);
	if (exchange_arguments(ex) < 0)
		return answer_error(ex, MHD_HTTP_BAD_REQUEST,
				    "The query of the requested URL is malformed or has more than "
				    "%d members.",
				    REST_ARGUMENTS_MAX);
	if (ex->method != METHOD_GET && work_park(ex, handler))
		return 0;
	return handler(ex);
}
