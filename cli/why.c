/* SPDX-License-Identifier: MIT */
/* cli/why.c: why a package or a module is in a compose, out of the compose's own logs/global/why.
 */
#include "cli/cli.h"
#include "core/model/model.h"

#include <curl/curl.h>
#include <getopt.h>

#define TIMEOUT_SECONDS 60
#define ANSWER_MAX_BYTES (256 * 1024 * 1024)

static size_t on_bytes(char *bytes, size_t size, size_t count, void *data)
{
	struct text *text = data;

	if (text->length + size * count > ANSWER_MAX_BYTES ||
	    text_add(text, bytes, size * count) < 0)
		return 0;
	return size * count;
}

static int fetch(const char *url, struct text *ret, struct error *err)
{
	char words[CURL_ERROR_SIZE] = "";
	CURL *curl = curl_easy_init();
	long status = 0;
	CURLcode code;

	if (!curl)
		return error_oom(err);
	(void)curl_easy_setopt(curl, CURLOPT_URL, url);
	(void)curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
	(void)curl_easy_setopt(curl, CURLOPT_TIMEOUT, (long)TIMEOUT_SECONDS);
	(void)curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, words);
	(void)curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_bytes);
	(void)curl_easy_setopt(curl, CURLOPT_WRITEDATA, ret);
	code = curl_easy_perform(curl);
	(void)curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_cleanup(curl);
	if (code != CURLE_OK)
		return error_set(err, -EIO, BLAME_SOURCE, url, "%s: %s", url,
				 words[0] ? words : curl_easy_strerror(code));
	if (status == 404)
		return error_set(err, -ENOENT, BLAME_REQUEST, url,
				 "there is no such compose, or it is not done");
	if (status != 200)
		return error_set(err, -EIO, BLAME_SOURCE, url, "%s answers %ld", url, status);
	return 0;
}

/* are these words of NAME:STREAM:VERSION:CONTEXT, from its begin on? */
static bool begins_module(const char *module, const char *words)
{
	size_t length = strlen(words);

	return !strncmp(module, words, length) && module[length] == ':';
}

/* a line is NEVRA, tab, tree, tab, reason; @package is the NEVRA or the name in it. Of a module it
 * is NAME:STREAM:VERSION:CONTEXT, tab, TREE/repodata, tab, reason */
static bool line_is_about(const char *line, const char *package)
{
	static const char documents[] = "/repodata";
	size_t first = strcspn(line, "\t"), last = sizeof(documents) - 1;
	const char *tree = line + first + (line[first] == '\t');
	_cleanup_(freep) char *nevra = strndup(line, first), *buffer = NULL;
	size_t length = strcspn(tree, "\t");
	struct nevra parts;

	if (!nevra)
		return false;
	if (!strcmp(nevra, package))
		return true;
	if (length > last && !strncmp(tree + length - last, documents, last))
		return begins_module(nevra, package);
	buffer = malloc(strlen(nevra) + 1);
	return buffer && nevra_parse(nevra, buffer, &parts) == 0 && !strcmp(parts.name, package);
}

static unsigned int print_lines(char *text, const char *package)
{
	unsigned int found = 0;
	char *rest = NULL;

	for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
		if (line_is_about(line, package)) {
			(void)puts(line);
			found++;
		}
	return found;
}

int cli_why(int argc, char **argv)
{
	const char *url = getenv("ODCSFS_URL") ? getenv("ODCSFS_URL") : "http://localhost:5005";
	_cleanup_(text_done) struct text answer = { 0 };
	_cleanup_(freep) char *full = NULL;
	struct error err = { 0 };
	int64_t id = 0;
	int option;

	while ((option = getopt(argc, argv, "u:")) != -1) {
		if (option != 'u')
			return 2;
		url = optarg;
	}
	if (argc - optind != 2 || parse_int64(argv[optind], &id) < 0 || id < 1) {
		(void)fputs("Usage: odcsfs why [-u URL] ID PACKAGE\n", stderr);
		return 2;
	}
	if (asprintf(&full, "%s/composes/%" PRId64 "/logs/global/why", url, id) < 0)
		return 1;
	if (fetch(full, &answer, &err) < 0) {
		(void)fprintf(stderr, "odcsfs: compose %" PRId64 ": %s\n", id, err.message);
		return 1;
	}
	if (!answer.length || !print_lines(answer.data, argv[optind + 1])) {
		(void)fprintf(stderr, "odcsfs: %s is not in compose %" PRId64 "\n",
			      argv[optind + 1], id);
		return 1;
	}
	return 0;
}
