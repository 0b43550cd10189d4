/* SPDX-License-Identifier: MIT */
/* rest/reference.c: the page at /api/1/: what there is, out of the table of paths. */
#include "rest/html.h"

static void path_print(struct text *ret, const struct route *route)
{
	(void)text_addf(ret, "<code>%s%s</code>", route->path,
			route->form == ROUTE_ID	    ? "ID"
			: route->form == ROUTE_TREE ? "NAME/…"
						    : "");
}

static void parameters_print(struct text *ret, const struct operation *operation)
{
	bool more = false;

	for (size_t i = 0; i < ARRAY_SIZE(operation->parameters); i++)
		for (const struct parameter *parameter = operation->parameters[i];
		     parameter && parameter->name; parameter++) {
			(void)text_addf(ret, "%s<code>%s</code>", more ? ", " : "",
					parameter->name);
			more = true;
			if (parameter->meaning)
				(void)text_addf(ret, " <span class=\"quiet\">(%s)</span>",
						parameter->meaning);
		}
}

static void answers_print(struct text *ret, const struct operation *operation)
{
	for (const struct reply *reply = operation->replies; reply->status; reply++)
		(void)text_addf(ret, "%s%u", reply > operation->replies ? ", " : "", reply->status);
	for (size_t i = 0; i < ERRORS_MAX && operation->errors[i]; i++)
		(void)text_addf(ret, ", %u", operation->errors[i]);
}

static void operation_print(struct text *ret, const struct route *route, const char *method,
			    const struct operation *operation)
{
	if (!operation)
		return;
	(void)text_addf(ret, "<tr><td class=\"full\"><b>%s</b> ", method);
	path_print(ret, route);
	(void)text_addf(ret, "<br>%s</td><td>", operation->summary);
	parameters_print(ret, operation);
	(void)text_adds(ret, "</td><td class=\"keep\">");
	answers_print(ret, operation);
	(void)text_adds(ret, "</td></tr>\n");
}

int reference_get(struct exchange *ex)
{
	_cleanup_(text_done) struct text root = { 0 };
	struct text body = { 0 };
	const struct route *route;

	page_root(ex, &root);
	page_open(ex, &body, &(struct page){ .title = "API" });
	(void)text_addf(
		&body,
		"<div class=\"headline\"><h1>API</h1></div>\n<p>Version 1 of the API of the "
		"On Demand Compose Service. For programs: <a class=\"nav\" "
		"href=\"%sstatic/openapispec.json\">openapispec.json</a> (OpenAPI), which "
		"also says what requests and answers hold.</p>\n",
		root.failed ? "/" : root.data);
	(void)text_adds(&body,
			"<div class=\"card\"><table class=\"cards\">\n<caption "
			"class=\"unseen\">Paths</caption>\n<thead><tr><th "
			"scope=\"col\">Path</th><th scope=\"col\">Parameters and "
			"headers</th><th scope=\"col\">Answers</th></tr></thead>\n<tbody>\n");
	for (size_t i = 0; (route = route_at(i)); i++) {
		operation_print(&body, route, "GET", route->get);
		operation_print(&body, route, "POST", route->post);
		operation_print(&body, route, "PATCH", route->patch);
		operation_print(&body, route, "DELETE", route->remove);
	}
	(void)text_adds(&body, "</tbody></table></div>\n<p>HEAD is answered like GET without its "
			       "body, OPTIONS by the methods of the path. Every path may also "
			       "answer");
	for (const unsigned int *error = route_errors(); *error; error++)
		(void)text_addf(&body, "%s %u", error > route_errors() ? "," : "", *error);
	(void)text_adds(&body, ".</p>\n");
	return page_answer(ex, MHD_HTTP_OK, &body);
}
