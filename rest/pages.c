/* SPDX-License-Identifier: MIT */
/* rest/pages.c: the small answers: about, metrics, the icon. */
#include "rest/exchange.h"

int about_get(struct exchange *ex)
{
	const struct rest_options *options = &ex->rest->options;
	json_auto_t *about = NULL;
	json_t *sigkeys = json_array(), *configs = json_object();
	json_t *clients = options->allowed_clients
				  ? options->allowed_clients(options->allowed_clients_data)
				  : json_pack("{s:{}, s:{}}", "groups", "users");
	struct text body = { 0 };
	char *line;

	for (size_t i = 0; options->default_sigkeys && i < options->default_sigkeys->count; i++)
		(void)json_array_append_new(sigkeys,
					    json_string(options->default_sigkeys->item[i]));
	for (size_t i = 0; options->rules->raw_configs && i < options->rules->raw_configs->count;
	     i++)
		(void)json_object_set_new(configs, options->rules->raw_configs->item[i],
					  json_object());
	about = json_pack("{s:o, s:s, s:o, s:o, s:s}", "allowed_clients", clients, "auth_backend",
			  options->auth_backend, "raw_config_urls", configs, "sigkeys", sigkeys,
			  "version", ODCSFS_VERSION);
	line = about ? json_line(about) : NULL;
	if (!line)
		return -ENOMEM;
	body = (struct text){ .data = line, .length = strlen(line), .room = strlen(line) + 1 };
	return answer_text(ex, TYPE_JSON, &body, CORS_ANY);
}

int metrics_get(struct exchange *ex)
{
	const struct rest_options *options = &ex->rest->options;
	struct text body = { 0 };

	if (options->metrics && options->metrics(options->metrics_data, &body) < 0) {
		text_done(&body);
		return answer_error(ex, MHD_HTTP_INTERNAL_SERVER_ERROR,
				    "The metrics cannot be told at the moment.");
	}
	return answer_text(ex, TYPE_METRICS, &body, CORS_ANY);
}

int icon_get(struct exchange *ex)
{
	struct text body = { 0 };

	(void)text_adds(&body,
			"<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 16 16\">"
			"<path d=\"M1 4l7-3 7 3v8l-7 3-7-3z\" fill=\"#3c6eb4\"/>"
			"<path d=\"M1 4l7 3 7-3M8 7v8\" stroke=\"#fff\" fill=\"none\"/></svg>\n");
	return answer_text(ex, TYPE_ICON, &body, CORS_NO);
}
