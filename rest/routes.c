/* SPDX-License-Identifier: MIT */
/* rest/routes.c: the row of the table that a request means, and what is answered when none fits. */
#include "rest/html.h"
#include "rest/wait.h"
#include "rest/work.h"

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
	const struct route *route;

	for (size_t i = 0; !ex->route && (route = route_at(i)); i++)
		if (route_fits(route, ex))
			ex->route = route;
}

const struct operation *route_operation(const struct exchange *ex)
{
	const struct route *route = ex->route;

	if (!route)
		return NULL;
	switch (ex->method) {
	case METHOD_GET:
		return route->get;
	case METHOD_POST:
		return route->post;
	case METHOD_PATCH:
		return route->patch;
	case METHOD_DELETE:
		return route->remove;
	default:
		return NULL;
	}
}

static bool same_type(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

static bool reply_fits(const struct reply *reply, unsigned int status, const char *type)
{
	const char *file_type;

	if (reply->status != status)
		return false;
	if (!reply->files)
		return same_type(reply->type, type);
	for (size_t i = 0; (file_type = file_types(i)); i++)
		if (same_type(file_type, type))
			return true;
	return false;
}

bool route_foresees(const struct exchange *ex, unsigned int status, const char *type)
{
	const struct operation *operation = route_operation(ex);
	const unsigned int *error = route_errors();
	const char *page = page_wanted(ex) ? TYPE_HTML : TYPE_JSON;

	if (!operation) /* there is no such path or method */
		return true;
	if (status == MHD_HTTP_PERMANENT_REDIRECT)
		return ex->route->form == ROUTE_PLAIN && same_type(type, TYPE_HTML);
	for (const struct reply *reply = operation->replies; reply->status; reply++)
		if (reply_fits(reply, status, type))
			return true;
	while (*error && *error != status)
		error++;
	for (size_t i = 0; !*error && i < ERRORS_MAX; i++)
		if (operation->errors[i] == status)
			error = &operation->errors[i];
	return *error && same_type(type, page);
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
	const struct operation *operation = route_operation(ex);

	if (ex->worked)
		return work_answer(ex);
	if (ex->refused)
		return answer_error(ex, ex->refused, "%s", ex->refused_message);
	if (!ex->route && !(ex->method == METHOD_OPTIONS && !strcmp(ex->path, "*")))
		return answer_error(ex, MHD_HTTP_NOT_FOUND,
				    "The requested URL was not found on the server. If you entered "
				    "the URL manually please check your spelling and try again.");
	if (ex->method == METHOD_OPTIONS)
		return options_answer(ex);
	if (!operation)
		return answer_error(ex, MHD_HTTP_METHOD_NOT_ALLOWED,
				    "The method is not allowed for the requested URL.");
	if (ex->bare && ex->method == METHOD_GET && ex->route->form == ROUTE_PLAIN)
		return slash_answer(ex);
	if (exchange_arguments(ex) < 0)
		return answer_error(ex, MHD_HTTP_BAD_REQUEST,
				    "The query of the requested URL is malformed or has more than "
				    "%d members.",
				    REST_ARGUMENTS_MAX);
	return operation->lent && work_park(ex, operation->run) ? 0 : operation->run(ex);
}
