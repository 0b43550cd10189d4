/* SPDX-License-Identifier: MIT */
/* tests/fuzz/http.c: what a client may put into a request target and into the headers about files.
 *
 * First line: the target; second: Range, third: If-None-Match, fourth: If-Modified-Since. Beside
 * not crashing: what is decoded holds no way out of the tree, what is encoded decodes to the same,
 * and a range lies within its file. */
#include "rest/exchange.h"
#include "rest/words.h"

#define SIZE 1000

#define MUST(condition)                                                                            \
	do {                                                                                       \
		if (!(condition))                                                                  \
			abort();                                                                   \
	} while (0)

static void check_path(const char *raw)
{
	char *path = malloc(strlen(raw) + 1);
	bool slash;

	MUST(path);
	if (path_decode(raw, path, &slash) == 0) {
		char around[4] = "";

		MUST(strlen(path) <= strlen(raw) && path[0] != '/' && !strstr(path, "//"));
		MUST(!strstr(path, "/../") && !strstr(path, "/./"));
		(void)snprintf(around, sizeof(around), "%s", path);
		MUST(strcmp(around, "..") != 0 && strcmp(around, "../") != 0);
	}
	free(path);
}

static void check_word(const char *word)
{
	struct text encoded = { 0 };
	char *back;

	percent_encode(&encoded, word, "!$'()*,/:;?@");
	back = malloc(encoded.length + 1);
	MUST(back && !encoded.failed);
	MUST(percent_decode(encoded.data ? encoded.data : "", encoded.length, true, back) == 0);
	MUST(!strcmp(back, word));
	for (const char *at = encoded.data; at && *at; at++)
		MUST(*at > ' ' && *at != '"' && *at != '\\' && *at != '<' && *at != '&' &&
		     *at != 0x7f);
	text_done(&encoded);
	free(back);
}

static void check_target(const char *target)
{
	struct rest rest = { 0 };
	struct exchange *ex = exchange_new(&rest, target);

	MUST(ex);
	exchange_split(ex);
	if (!ex->refused) {
		route_find(ex);
		if (ex->route && ex->rest_path)
			check_path(ex->rest_path);
		if (exchange_arguments(ex) == 0)
			for (size_t i = 0; i < ex->argument_count; i++) {
				check_word(ex->arguments[i].name);
				check_word(ex->arguments[i].value);
			}
	}
	exchange_free(ex);
}

static void check_range(const char *text)
{
	struct range range = { .length = SIZE };

	range_parse(text, SIZE, &range);
	if (range.partial)
		MUST(range.length && range.start < SIZE && range.length <= SIZE - range.start);
	else
		MUST(!range.start && range.length == SIZE);
	range = (struct range){ 0 };
	range_parse(text, 0, &range);
	MUST(!range.partial);
}

static void check_date(const char *text)
{
	char printed[HTTP_DATE_SIZE];
	int64_t when, again;

	if (!date_parse(text, &when))
		return;
	date_print(when, printed);
	MUST(date_parse(printed, &again) && again == when);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length)
{
	char *text = strndup((const char *)data, length), *line[4] = { 0 }, *rest = text;

	MUST(text);
	for (size_t i = 0; i < ARRAY_SIZE(line); i++)
		line[i] = rest ? strsep(&rest, "\n") : text + strlen(text);
	check_target(line[0]);
	check_path(line[0]);
	check_range(line[1]);
	(void)etag_listed(line[2], "abc", false);
	(void)etag_listed(line[2], "abc", true);
	check_date(line[3]);
	free(text);
	return 0;
}
