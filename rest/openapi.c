/* SPDX-License-Identifier: MIT */
/* rest/openapi.c: the document at /static/openapispec.json, out of the table of paths.
 *
 * OpenAPI 3.0. Paths, methods, parameters and answers are the rows of table.c; what a request may
 * hold and what a record holds come from core/model. Made once, at the start. */
#include "rest/exchange.h"
#include "rest/words.h"

#define REF_SCHEMA "#/components/schemas/"
#define REF_RESPONSE "#/components/responses/"

struct openapi {
	struct kept kept;
	struct MHD_Response *response, *unchanged;
	char etag[DIGEST_HEX_SIZE];
};

const struct parameter document_parameters[] = {
	{ MHD_HTTP_HEADER_IF_NONE_MATCH, PARAMETER_HEADER,
	  .meaning = "304 if it is one of these." },
	{ NULL },
};

static json_t *reference(const char *where, const char *name)
{
	return json_pack("{s:o}", "$ref", json_sprintf("%s%s", where, name));
}

/* ---- parameters ---------------------------------------------------------- */

static json_t *named_numbers(int first, int last, const char *(*name)(int), struct text *words)
{
	json_t *list = json_array();

	for (int i = first; i <= last; i++) {
		(void)json_array_append_new(list, json_integer(i));
		(void)text_addf(words, "%s%d %s", i > first ? ", " : "", i, name(i));
	}
	return json_pack("{s:s, s:o}", "type", "integer", "enum", list);
}

static json_t *orders_schema(void)
{
	json_t *list = json_array();
	const char *word;

	for (size_t i = 0; (word = order_word(i)); i++) {
		(void)json_array_append_new(list, json_string(word));
		(void)json_array_append_new(list, json_sprintf("-%s", word));
	}
	return json_pack("{s:s, s:o}", "type", "string", "enum", list);
}

static json_t *parameter_json(const struct parameter *parameter)
{
	bool header = parameter->kind == PARAMETER_HEADER;
	struct text meaning = { 0 };
	json_t *schema, *json;

	(void)text_adds(&meaning, parameter->meaning ? parameter->meaning : "");
	switch (parameter->kind) {
	case PARAMETER_NUMBER:
		schema = json_pack("{s:s, s:i, s:I}", "type", "integer", "minimum", 0, "maximum",
				   (json_int_t)parameter->most);
		break;
	case PARAMETER_STATE:
		schema = named_numbers(STATE_WAIT, STATE_FAILED, state_name, &meaning);
		break;
	case PARAMETER_SOURCE_TYPE:
		schema =
			named_numbers(SOURCE_TAG, SOURCE_PUNGI_COMPOSE, source_type_name, &meaning);
		break;
	case PARAMETER_ORDER:
		schema = orders_schema();
		break;
	default:
		schema = json_pack("{s:s}", "type", "string");
		break;
	}
	json = json_pack("{s:s, s:s, s:o}", "name", parameter->name, "in",
			 header ? "header" : "query", "schema", schema);
	if (json && meaning.length && !meaning.failed)
		(void)json_object_set_new(json, "description", json_string(meaning.data));
	if (json && parameter->required)
		(void)json_object_set_new(json, "required", json_true());
	text_done(&meaning);
	return json;
}

static json_t *path_parameter(enum route_form form)
{
	if (form == ROUTE_ID)
		return json_pack("{s:s, s:s, s:b, s:{s:s, s:s, s:i}}", "name", "id", "in", "path",
				 "required", true, "schema", "type", "integer", "format", "int64",
				 "minimum", 0);
	return json_pack(
		"{s:s, s:s, s:b, s:s, s:{s:s}}", "name", "path", "in", "path", "required", true,
		"description",
		"odcs-ID, ID, or latest-OWNER-ID, and what lies below it; may hold slashes.",
		"schema", "type", "string");
}

static json_t *parameters_json(const struct operation *operation)
{
	json_t *list = json_array();

	for (size_t i = 0; i < ARRAY_SIZE(operation->parameters); i++)
		for (const struct parameter *parameter = operation->parameters[i];
		     parameter && parameter->name; parameter++)
			(void)json_array_append_new(list, parameter_json(parameter));
	return list;
}

/* ---- answers ------------------------------------------------------------- */

static json_t *headers_json(const struct reply *reply)
{
	json_t *headers = json_object();

	if (reply->header)
		(void)json_object_set_new(
			headers, reply->header,
			json_pack("{s:b, s:{s:s}}", "required", true, "schema", "type", "string"));
	if (reply->cors)
		(void)json_object_set_new(headers, MHD_HTTP_HEADER_ACCESS_CONTROL_ALLOW_ORIGIN,
					  json_pack("{s:b, s:{s:s, s:[s]}}", "required", true,
						    "schema", "type", "string", "enum", "*"));
	return headers;
}

static void add_content(json_t *content, const char *type, const char *schema)
{
	json_t *json = schema ? reference(REF_SCHEMA, schema) : NULL;

	if (!schema)
		json = strncmp(type, "application/", 12) != 0 ? json_pack("{s:s}", "type", "string")
		       : !strcmp(type, TYPE_JSON)
			       ? json_object()
			       : json_pack("{s:s, s:s}", "type", "string", "format", "binary");
	(void)json_object_set_new(content, type, json_pack("{s:o}", "schema", json));
}

/* One answer; a status may stand in several rows, one for each type. */
static void add_reply(json_t *responses, const struct reply *reply, bool head)
{
	char status[8];
	const char *type;
	json_t *response, *content;

	(void)snprintf(status, sizeof(status), "%u", reply->status);
	response = json_object_get(responses, status);
	if (!response) {
		response = json_pack("{s:s, s:o}", "description", reply->meaning, "headers",
				     headers_json(reply));
		(void)json_object_set_new(responses, status, response);
	}
	if (head || (!reply->type && !reply->files))
		return;
	content = json_object_get(response, "content");
	if (!content) {
		content = json_object();
		(void)json_object_set_new(response, "content", content);
	}
	if (reply->type)
		add_content(content, reply->type, reply->schema);
	for (size_t i = 0; reply->files && (type = file_types(i)); i++)
		add_content(content, type, NULL);
}

/* Errors are of three kinds: for programs, for people, and where Accept decides. */
static const struct error_kind {
	const char *prefix;
	bool json, html;
} error_kinds[] = {
	{ "Error", true, false },
	{ "Page", false, true },
	{ "Either", true, true },
	{ "Head", false, false },
};

static const struct error_kind *error_kind(const struct route *route, bool head)
{
	if (head)
		return &error_kinds[3];
	if (route->html)
		return &error_kinds[1];
	return !strncmp(route->path, "/api/", 5) || !strncmp(route->path, "/odcs/", 6)
		       ? &error_kinds[0]
		       : &error_kinds[2];
}

static void add_error(json_t *responses, unsigned int status, const struct error_kind *kind,
		      json_t *components)
{
	json_t *shared = json_object_get(components, "responses"), *response, *content;
	bool later = status == MHD_HTTP_TOO_MANY_REQUESTS || status == MHD_HTTP_SERVICE_UNAVAILABLE;
	char name[16], number[8];

	(void)snprintf(number, sizeof(number), "%u", status);
	(void)snprintf(name, sizeof(name), "%s%s", kind->prefix, number);
	(void)json_object_set_new(responses, number, reference(REF_RESPONSE, name));
	if (json_object_get(shared, name))
		return;
	response =
		json_pack("{s:s, s:o}", "description", MHD_get_reason_phrase_for(status), "headers",
			  headers_json(&(struct reply){
				  .header = later ? MHD_HTTP_HEADER_RETRY_AFTER : NULL }));
	(void)json_object_set_new(shared, name, response);
	if (!kind->json && !kind->html)
		return;
	content = json_object();
	if (kind->json)
		add_content(content, TYPE_JSON, "HTTPError");
	if (kind->html)
		add_content(content, TYPE_HTML, NULL);
	(void)json_object_set_new(response, "content", content);
}

static json_t *responses_json(const struct route *route, const struct operation *operation,
			      bool head, json_t *components)
{
	const struct error_kind *kind = error_kind(route, head);
	/* what has no number there is no page, but an unknown path */
	const struct error_kind *missing = kind == &error_kinds[1] ? &error_kinds[2] : kind;
	json_t *responses = json_object();

	for (const struct reply *reply = operation->replies; reply->status; reply++)
		add_reply(responses, reply, head);
	for (const unsigned int *error = route_errors(); *error; error++)
		add_error(responses, *error, kind, components);
	for (size_t i = 0; i < ERRORS_MAX && operation->errors[i]; i++)
		add_error(responses, operation->errors[i],
			  operation->errors[i] == MHD_HTTP_NOT_FOUND ? missing : kind, components);
	return responses;
}

/* ---- operations ---------------------------------------------------------- */

static json_t *body_json(enum body body)
{
	json_t *schema;

	if (body == BODY_RENEWAL || body == BODY_PACKAGES)
		schema = reference(REF_SCHEMA,
				   body == BODY_RENEWAL ? "ComposeRenewal" : "PrefetchRequest");
	else
		schema = json_pack("{s:[o, o]}", "anyOf", reference(REF_SCHEMA, "ComposeRequest"),
				   reference(REF_SCHEMA, "ComposeRequestFlat"));
	if (body == BODY_REQUEST_SEED)
		(void)json_array_append_new(json_object_get(schema, "anyOf"),
					    reference(REF_SCHEMA, "ComposeRenewalById"));
	return json_pack("{s:b, s:{s:{s:o}}}", "required",
			 body != BODY_RENEWAL && body != BODY_PACKAGES, "content", TYPE_JSON,
			 "schema", schema);
}

/* @spelling: makes the id of the same operation at another spelling of the path a different one */
static json_t *operation_json(const struct route *route, const struct operation *operation,
			      const char *method, const char *spelling, json_t *components)
{
	bool head = !strcmp(method, "head");
	json_t *json =
		json_pack("{s:s, s:o, s:o, s:o}", "summary", operation->summary, "operationId",
			  json_sprintf("%s%s%s", head ? "head_" : "", operation->id, spelling),
			  "parameters", parameters_json(operation), "responses",
			  responses_json(route, operation, head, components));

	if (json && operation->body != BODY_NONE)
		(void)json_object_set_new(json, "requestBody", body_json(operation->body));
	return json;
}

static json_t *options_json(const struct route *route, const char *spelling, json_t *components)
{
	static const struct reply reply = { .status = MHD_HTTP_OK,
					    .meaning = "Which methods there are.",
					    .header = MHD_HTTP_HEADER_ALLOW };
	json_t *responses = json_object();

	add_reply(responses, &reply, false);
	for (const unsigned int *error = route_errors(); *error; error++)
		add_error(responses, *error, &error_kinds[2], components);
	if (route->form == ROUTE_ID) /* what has no number there is another path */
		add_error(responses, MHD_HTTP_NOT_FOUND, &error_kinds[2], components);
	return json_pack("{s:s, s:o, s:o}", "summary", "The methods of this path", "operationId",
			 json_sprintf("options_%s%s", route->get->id, spelling), "responses",
			 responses);
}

/* GET of a path that lacks its slash. */
static json_t *redirect_json(const struct operation *operation, const char *method,
			     json_t *components)
{
	bool head = !strcmp(method, "head");
	const struct reply reply = { .status = MHD_HTTP_PERMANENT_REDIRECT,
				     .type = TYPE_HTML,
				     .meaning = "To the spelling with the slash.",
				     .header = MHD_HTTP_HEADER_LOCATION };
	json_t *responses = json_object();

	add_reply(responses, &reply, head);
	for (const unsigned int *error = route_errors(); *error; error++)
		add_error(responses, *error, &error_kinds[head ? 3 : 0], components);
	return json_pack("{s:s, s:o, s:o}", "summary", "The spelling without its slash",
			 "operationId", json_sprintf("%s_%s_bare", method, operation->id),
			 "responses", responses);
}

/* ---- paths --------------------------------------------------------------- */

static void add_reads(json_t *item, const struct route *route, const char *spelling, bool redirect,
		      json_t *components)
{
	static const char *const methods[] = { "get", "head" };

	for (size_t i = 0; i < ARRAY_SIZE(methods); i++)
		(void)json_object_set_new(
			item, methods[i],
			redirect ? redirect_json(route->get, methods[i], components)
				 : operation_json(route, route->get, methods[i], spelling,
						  components));
}

static void add_writes(json_t *item, const struct route *route, const char *spelling,
		       json_t *components)
{
	const struct {
		const char *method;
		const struct operation *operation;
	} writes[] = { { "post", route->post },
		       { "patch", route->patch },
		       { "delete", route->remove } };

	for (size_t i = 0; i < ARRAY_SIZE(writes); i++)
		if (writes[i].operation)
			(void)json_object_set_new(item, writes[i].method,
						  operation_json(route, writes[i].operation,
								 writes[i].method, spelling,
								 components));
}

enum spelling {
	SPELLED_WELL,
	SPELLED_BARE,	/* without its slash */
	SPELLED_BELOW,	/* ROUTE_TREE, ROUTE_ID: with what follows */
	SPELLED_BEHIND, /* ROUTE_ID: with a slash behind, for those that write */
};

static void add_path(json_t *paths, const struct route *route, enum spelling spelling,
		     json_t *components)
{
	static const char *const suffixes[] = { "", "_bare", "_below", "_behind" };
	const char *suffix =
		route->form == ROUTE_ID && spelling == SPELLED_BELOW ? "" : suffixes[spelling];
	_cleanup_(freep) char *path = NULL;
	json_t *item;

	if (asprintf(&path, "%.*s%s%s", (int)strlen(route->path) - (spelling == SPELLED_BARE),
		     route->path,
		     spelling < SPELLED_BELOW  ? ""
		     : route->form == ROUTE_ID ? "{id}"
					       : "{path}",
		     spelling == SPELLED_BEHIND ? "/" : "") < 0) {
		path = NULL;
		return;
	}
	item = json_object();
	if (spelling >= SPELLED_BELOW)
		(void)json_object_set_new(item, "parameters",
					  json_pack("[o]", path_parameter(route->form)));
	if (spelling != SPELLED_BEHIND)
		add_reads(item, route, suffix,
			  spelling == SPELLED_BARE && route->form == ROUTE_PLAIN, components);
	add_writes(item, route, suffix, components);
	if (spelling != SPELLED_BEHIND)
		(void)json_object_set_new(item, "options", options_json(route, suffix, components));
	(void)json_object_set_new(paths, path, item);
}

static json_t *paths_json(json_t *components)
{
	json_t *paths = json_object();
	const struct route *route;

	for (size_t i = 0; (route = route_at(i)); i++) {
		if (route->form != ROUTE_ID)
			add_path(paths, route, SPELLED_WELL, components);
		if (route->form != ROUTE_ID && route->form != ROUTE_EXACT)
			add_path(paths, route, SPELLED_BARE, components);
		if (route->form == ROUTE_ID || route->form == ROUTE_TREE)
			add_path(paths, route, SPELLED_BELOW, components);
		if (route->form == ROUTE_ID && (route->patch || route->remove))
			add_path(paths, route, SPELLED_BEHIND, components);
	}
	return paths;
}

/* ---- schemas ------------------------------------------------------------- */

static json_t *closed_object(json_t *properties)
{
	json_t *required = json_array();
	const char *key;
	json_t *value;

	json_object_foreach(properties, key, value)
	{
		(void)json_array_append_new(required, json_string(key));
	}
	return json_pack("{s:s, s:o, s:o, s:b}", "type", "object", "properties", properties,
			 "required", required, "additionalProperties", 0);
}

static json_t *integer(void)
{
	return json_pack("{s:s}", "type", "integer");
}

static json_t *string(void)
{
	return json_pack("{s:s}", "type", "string");
}

static json_t *list_json(const char *schema)
{
	return closed_object(json_pack("{s:{s:s, s:o}, s:o}", "items", "type", "array", "items",
				       reference(REF_SCHEMA, schema), "meta",
				       reference(REF_SCHEMA, "Meta")));
}

static json_t *link_or_null(void)
{
	return json_pack("{s:s, s:b}", "type", "string", "nullable", 1);
}

static json_t *about_json(void)
{
	json_t *people = json_pack("{s:s}", "type", "object");
	json_t *clients = closed_object(json_pack("{s:O, s:O}", "groups", people, "users", people));

	return closed_object(json_pack("{s:o, s:o, s:o, s:{s:s, s:o}, s:o}", "allowed_clients",
				       clients, "auth_backend", string(), "raw_config_urls", people,
				       "sigkeys", "type", "array", "items", string(), "version",
				       string()));
}

static json_t *integers(const char *const *names)
{
	json_t *properties = json_object();

	for (; *names; names++)
		(void)json_object_set_new(properties, *names, integer());
	return closed_object(properties);
}

/* Packages of servers: packages.c */
static void add_packages(json_t *schemas)
{
	static const char *const cache[] = { "limit",	      "bytes",	   "files",
					     "hits",	      "evictions", "fetched",
					     "fetched_bytes", "failures",  "fetching",
					     "waiting",	      NULL };
	static const char *const prefetch[] = { "id", "packages", "cached", "bytes", NULL };

	(void)json_object_set_new(schemas, "Cache", integers(cache));
	(void)json_object_set_new(schemas, "Prefetch", integers(prefetch));
	(void)json_object_set_new(
		schemas, "PrefetchRequest",
		json_pack("{s:s, s:{s:{s:s, s:s, s:o}}}", "type", "object", "properties",
			  "packages", "type", "array", "description",
			  "Names or NEVRAs; without them all packages.", "items", string()));
}

static json_t *schemas_json(const struct spec_rules *rules)
{
	static const struct {
		const char *name;
		enum schema schema;
	} models[] = {
		{ "Compose", SCHEMA_COMPOSE },	      { "ComposeSeed", SCHEMA_COMPOSE_SEED },
		{ "ComposeRequest", SCHEMA_REQUEST }, { "ComposeRequestFlat", SCHEMA_FLAT },
		{ "ComposeRenewal", SCHEMA_RENEWAL }, { "ComposeRenewalById", SCHEMA_RENEW_ID },
	};
	json_t *schemas = json_pack(
		"{s:o, s:o, s:o, s:o, s:o, s:o}", "HTTPError",
		closed_object(json_pack("{s:o, s:o, s:o}", "error", string(), "message", string(),
					"status", integer())),
		"Meta",
		closed_object(json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "first",
					string(), "last", string(), "next", link_or_null(), "prev",
					link_or_null(), "page", integer(), "pages", integer(),
					"per_page", integer(), "total", integer())),
		"ComposeList", list_json("Compose"), "ComposeSeedList", list_json("ComposeSeed"),
		"ComposeDelete",
		closed_object(json_pack("{s:o, s:o}", "message", string(), "status", integer())),
		"About", about_json());

	add_packages(schemas);
	for (size_t i = 0; i < ARRAY_SIZE(models); i++)
		(void)json_object_set_new(schemas, models[i].name,
					  schema_json(models[i].schema, rules));
	return schemas;
}

static json_t *document_json(const struct spec_rules *rules)
{
	json_t *components = json_pack("{s:o, s:{}}", "schemas", schemas_json(rules), "responses");
	json_t *paths = paths_json(components);

	return json_pack("{s:s, s:{s:s, s:s, s:s}, s:[{s:s}], s:o, s:o}", "openapi", "3.0.3",
			 "info", "title", "On Demand Compose Service (ODCS)", "version", "v1",
			 "description", "Served by odcsfs " ODCSFS_VERSION ".", "servers", "url",
			 "..", "paths", paths, "components", components);
}

/* ---- serving it ---------------------------------------------------------- */

static void openapi_release(struct kept *kept)
{
	struct openapi *openapi = (struct openapi *)kept;

	if (openapi->response)
		MHD_destroy_response(openapi->response);
	if (openapi->unchanged)
		MHD_destroy_response(openapi->unchanged);
	free(openapi);
}

void openapi_free(struct openapi *openapi)
{
	if (openapi)
		kept_unref(&openapi->kept);
}
DEFINE_FREEP(struct openapi, openapi_free)

static void add_headers(struct MHD_Response *response, const char *etag)
{
	char quoted[DIGEST_HEX_SIZE + 2];

	(void)snprintf(quoted, sizeof(quoted), "\"%s\"", etag);
	response_header(response, MHD_HTTP_HEADER_ETAG, quoted);
	response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-cache");
	response_header(response, MHD_HTTP_HEADER_ACCESS_CONTROL_ALLOW_ORIGIN, "*");
}

int openapi_new(const struct rest *rest, struct openapi **ret)
{
	_cleanup_(openapi_freep) struct openapi *openapi = calloc(1, sizeof(*openapi));
	json_auto_t *json = document_json(rest->options.rules);
	char *text = json ? json_line(json) : NULL;
	size_t length = text ? strlen(text) : 0;

	if (openapi)
		kept_init(&openapi->kept, 0, length, openapi_release);
	if (!openapi || !text) {
		free(text);
		return -ENOMEM;
	}
	sha256_hex(text, length, openapi->etag);
	openapi->etag[16] = '\0';
	openapi->response = answer_bytes(text, length, TYPE_JSON);
	openapi->unchanged = MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
	if (!openapi->response || !openapi->unchanged)
		return -ENOMEM;
	add_headers(openapi->response, openapi->etag);
	add_headers(openapi->unchanged, openapi->etag);
	*ret = steal(openapi);
	return 0;
}

int openapi_get(struct exchange *ex)
{
	struct openapi *openapi = ex->rest->openapi;
	const char *have = exchange_header(ex, document_parameters[0].name);
	bool same = have && etag_listed(have, openapi->etag, true);

	return answer_kept(ex, same ? MHD_HTTP_NOT_MODIFIED : MHD_HTTP_OK,
			   same ? openapi->unchanged : openapi->response, kept_ref(&openapi->kept));
}
