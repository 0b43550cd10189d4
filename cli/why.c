/* SPDX-License-Identifier: MIT */
/* cli/why.c: why a package or a module is in a compose, out of the compose's own logs/global/why.
 */
#include "cli/cli.h"
#include "cli/http.h"
#include "core/model/model.h"

#include <getopt.h>

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
	_cleanup_(text_done) struct text answer = { 0 };
	const char *url = NULL;
	struct error err = { 0 };
	char path[64];
	int64_t id = 0;
	int option, r;

	while ((option = getopt(argc, argv, "u:")) != -1) {
		if (option != 'u')
			return 2;
		url = optarg;
	}
	if (argc - optind != 2 || parse_int64(argv[optind], &id) < 0 || id < 1) {
		(void)fputs("Usage: odcsfs why [-u URL] ID PACKAGE\n", stderr);
		return 2;
	}
	(void)snprintf(path, sizeof(path), "/composes/%" PRId64 "/logs/global/why", id);
	r = cli_call(url, "GET", path, NULL, &answer, &err);
	if (r < 0) {
		(void)fprintf(stderr, "odcsfs: compose %" PRId64 ": %s\n", id,
			      r == -ENOENT ? "there is no such compose, or it is not done"
					   : err.message);
		return 1;
	}
	if (!answer.length || !print_lines(answer.data, argv[optind + 1])) {
		(void)fprintf(stderr, "odcsfs: %s is not in compose %" PRId64 "\n",
			      argv[optind + 1], id);
		return 1;
	}
	return 0;
}
