/* SPDX-License-Identifier: MIT */
/* cli/packages.c: packages of servers: what the cache holds, what is fetched ahead. */
#include "cli/cli.h"
#include "cli/http.h"

#include <getopt.h>
#include <jansson.h>

static int say_failure(const struct error *err)
{
	(void)fprintf(stderr, "odcsfs: %s\n", err->message);
	return 1;
}

/* NAME VALUE, a line each, as the service named them */
static int print_members(const struct text *answer)
{
	json_auto_t *json = json_loadb(answer->data ? answer->data : "", answer->length, 0, NULL);
	const char *key;
	json_t *value;

	if (!json_is_object(json)) {
		(void)fputs("odcsfs: that is no answer of odcsfs\n", stderr);
		return 1;
	}
	json_object_foreach(json, key, value)
	{
		printf("%-14s %" JSON_INTEGER_FORMAT "\n", key, json_integer_value(value));
	}
	return 0;
}

int cli_cache(int argc, char **argv)
{
	static const struct option options[] = { { "trim", required_argument, NULL, 't' }, { 0 } };
	_cleanup_(text_done) struct text answer = { 0 };
	char path[64] = "/api/1/cache/";
	const char *url = NULL;
	struct error err = { 0 };
	int64_t keep = -1;
	bool wrong = false;
	int option;

	while ((option = getopt_long(argc, argv, "u:", options, NULL)) != -1) {
		if (option == 'u')
			url = optarg;
		else if (option != 't' || parse_size(optarg, &keep) < 0 || keep < 0)
			wrong = true;
	}
	if (wrong || optind != argc) {
		(void)fputs("Usage: odcsfs cache [-u URL] [--trim SIZE]\n", stderr);
		return 2;
	}
	if (keep >= 0)
		(void)snprintf(path, sizeof(path), "/api/1/cache/?keep=%" PRId64, keep);
	if (cli_call(url, keep >= 0 ? "DELETE" : "GET", path, NULL, &answer, &err) < 0)
		return say_failure(&err);
	return print_members(&answer);
}

int cli_prefetch(int argc, char **argv)
{
	_cleanup_(text_done) struct text answer = { 0 };
	json_auto_t *body = NULL;
	_cleanup_(freep) char *text = NULL;
	json_t *packages = json_array();
	const char *url = NULL;
	struct error err = { 0 };
	char path[64];
	int64_t id = 0;
	int option;

	body = json_pack("{s:o}", "packages", packages);
	while ((option = getopt(argc, argv, "u:")) != -1) {
		if (option == 'u')
			url = optarg;
		else
			optind = argc;
	}
	if (argc - optind < 1 || parse_int64(argv[optind], &id) < 0 || id < 1) {
		(void)fputs("Usage: odcsfs prefetch [-u URL] ID [PACKAGE...]\n", stderr);
		return 2;
	}
	for (int i = optind + 1; i < argc; i++)
		(void)json_array_append_new(packages, json_string(argv[i]));
	text = body ? json_dumps(body, 0) : NULL;
	if (!text)
		return 1;
	(void)snprintf(path, sizeof(path), "/api/1/prefetch/%" PRId64, id);
	if (cli_call(url, "POST", path, text, &answer, &err) < 0)
		return say_failure(&err);
	return print_members(&answer);
}
