/* SPDX-License-Identifier: MIT */
/* rest/answer.c: sending: JSON, errors in the one shape, redirects.
 *
 * An error is {"error": reason phrase, "message": words, "status": number} and a newline
 * (odcs-api.md 2.3), for every path of the server; a page of its own (html.c) for those who ask for
 * pages. */
#include "rest/client.h"
#include "rest/html.h"

#include <stdarg.h>

void response_header(struct MHD_Response *response, const char *name, const char *value)
{
	if (response)
		(void)MHD_add_response_header(response, name, value);
}

static int queue(struct exchange *ex, unsigned int status, struct MHD_Response *response)
{
	const char *type = MHD_get_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE);

	if (!route_foresees(ex, status, type))
		log_error("http: the table of paths does not foresee %u %s for %s", status,
			  type ? type : "without a body", ex->path);
	figure_add(&ex->rest->figures.answers[status / 100 % 6]);
	link_phase(ex->link, PHASE_ANSWER);
	return MHD_queue_response(ex->connection, status, response) == MHD_YES ? 0 : -EIO;
}

int answer_queue(struct exchange *ex, unsigned int status, struct MHD_Response *response)
{
	char suffix[LIMIT_SUFFIX_SIZE];
	int r;

	if (!response) {
		if (!ex->overdrawn)
			return -ENOMEM;
		ex->overdrawn = false;
		return answer_error(
			ex, MHD_HTTP_TOO_MANY_REQUESTS,
			"Too many bytes for you are under way, ask again in a moment%s.",
			limit_suffix(ex->rest->options.contact, "limits.client_memory",
				     (int64_t)ex->rest->limits.client_bytes, suffix));
	}
	if (ex->work) {
		ex->answer = response;
		ex->answer_status = status;
		return 0;
	}
	r = queue(ex, status, response);
	MHD_destroy_response(response);
	return r;
}

int answer_kept(struct exchange *ex, unsigned int status, struct MHD_Response *response,
		struct kept *kept)
{
	int r = 0;

	if (ex->work) {
		ex->answer = response;
		ex->answer_kept = kept;
		ex->answer_status = status;
		return 0;
	}
	r = queue(ex, status, response);
	kept_unref(kept);
	return r;
}

struct MHD_Response *answer_bytes(char *bytes, size_t length, const char *type)
{
	struct MHD_Response *response;

	if (!bytes)
		return NULL;
	response = MHD_create_response_from_buffer(length, bytes, MHD_RESPMEM_MUST_FREE);
	if (!response) {
		free(bytes);
		return NULL;
	}
	response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
	return response;
}

struct MHD_Response *answer_charged(struct exchange *ex, char *bytes, size_t length,
				    const char *type)
{
	if (bytes && exchange_charge(ex, length) < 0) {
		free(bytes);
		return NULL;
	}
	return answer_bytes(bytes, length, type);
}

void error_headers(const struct exchange *ex, unsigned int status, struct MHD_Response *response)
{
	char allow[64];

	if (status == MHD_HTTP_TOO_MANY_REQUESTS || status == MHD_HTTP_SERVICE_UNAVAILABLE)
		response_header(response, MHD_HTTP_HEADER_RETRY_AFTER, "1");
	if (status == MHD_HTTP_METHOD_NOT_ALLOWED) {
		route_allow(ex, allow, sizeof(allow));
		response_header(response, MHD_HTTP_HEADER_ALLOW, allow);
	}
}

/* Takes @json. */
static struct MHD_Response *json_response(json_t *json)
{
	json_auto_t *owned = json;
	char *line = owned ? json_line(owned) : NULL;

	return answer_bytes(line, line ? strlen(line) : 0, TYPE_JSON);
}

json_t *error_json(unsigned int status, const char *message)
{
	const char *phrase = MHD_get_reason_phrase_for(status);
	json_t *words = json_string(message);

	if (!words) /* not UTF-8: a name that came in with the request */
		words = json_string(phrase);
	return json_pack("{s:s, s:o, s:i}", "error", phrase, "message", words, "status",
			 (int)status);
}

int answer_error(struct exchange *ex, unsigned int status, const char *format, ...)
{
	char message[ERROR_MESSAGE_SIZE];
	struct MHD_Response *response;
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(message, sizeof(message), format, arguments);
	va_end(arguments);
	if (page_wanted(ex))
		return page_error(ex, status, message);
	response = json_response(error_json(status, message));
	error_headers(ex, status, response);
	return answer_queue(ex, status, response);
}

int answer_waits(struct exchange *ex)
{
	unsigned int limit = ex->rest->limits.client_waits;
	char suffix[LIMIT_SUFFIX_SIZE];

	return answer_error(
		ex, MHD_HTTP_TOO_MANY_REQUESTS,
		"More than %u connections of yours are waiting already%s.", limit,
		limit_suffix(ex->rest->options.contact, "limits.client_waits", limit, suffix));
}

/* What the client did wrong has a status of its own; the same errno for another reason has not. */
static unsigned int request_status(int code)
{
	switch (code) {
	case -EFBIG:
	case -E2BIG:
		return MHD_HTTP_CONTENT_TOO_LARGE;
	case -EPERM:
		return MHD_HTTP_UNAUTHORIZED;
	case -EACCES:
	case -EDQUOT:
		return MHD_HTTP_FORBIDDEN;
	default:
		return MHD_HTTP_BAD_REQUEST;
	}
}

unsigned int failure_status(const struct error *err)
{
	switch (err->code) {
	case -ENOENT:
		return MHD_HTTP_NOT_FOUND;
	case -ENOSPC:
		return MHD_HTTP_INSUFFICIENT_STORAGE;
	case -ETIMEDOUT:
		return MHD_HTTP_GATEWAY_TIMEOUT;
	default:
		break;
	}
	if (err->blame == BLAME_REQUEST)
		return request_status(err->code);
	return err->blame == BLAME_SOURCE ? MHD_HTTP_BAD_GATEWAY : MHD_HTTP_INTERNAL_SERVER_ERROR;
}

int answer_failure(struct exchange *ex, const struct error *err)
{
	unsigned int status = failure_status(err);

	if (status >= MHD_HTTP_INTERNAL_SERVER_ERROR)
		log_error("http: %s: %s", ex->path, err->message);
	return answer_error(ex, status, "%s", err->message);
}

int answer_json(struct exchange *ex, json_t *json, enum cors cors)
{
	struct MHD_Response *response = json_response(json);

	if (cors == CORS_ANY)
		response_header(response, MHD_HTTP_HEADER_ACCESS_CONTROL_ALLOW_ORIGIN, "*");
	return answer_queue(ex, MHD_HTTP_OK, response);
}

int answer_compose(struct exchange *ex, const struct compose *compose)
{
	enum json_form form = ex->route->seed ? JSON_SEED : JSON_CURRENT;

	return answer_json(ex, compose_to_json(compose, ex->rest->public_url, form, false),
			   ex->method == METHOD_GET ? CORS_ANY : CORS_NO);
}

int answer_text(struct exchange *ex, const char *type, struct text *body, enum cors cors)
{
	size_t length = body->length;
	struct MHD_Response *response = answer_charged(ex, text_steal(body), length, type);

	if (cors == CORS_ANY)
		response_header(response, MHD_HTTP_HEADER_ACCESS_CONTROL_ALLOW_ORIGIN, "*");
	return answer_queue(ex, MHD_HTTP_OK, response);
}

int answer_redirect(struct exchange *ex, unsigned int status, const char *location)
{
	struct text body = { 0 };
	struct MHD_Response *response;
	size_t length;

	(void)text_adds(&body,
			"<!DOCTYPE html>\n<html lang=\"en\"><head><title>Moved</title></head>\n"
			"<body><p><a href=\"");
	html_escape(&body, location);
	(void)text_adds(&body, "\">");
	html_escape(&body, location);
	(void)text_adds(&body, "</a></p>\n</body>\n</html>\n");
	length = body.length;
	response = answer_bytes(text_steal(&body), length, TYPE_HTML);
	response_header(response, MHD_HTTP_HEADER_LOCATION, location);
	return answer_queue(ex, status, response);
}
