/* SPDX-License-Identifier: MIT */
/* tests/unit/modules/speak.c: modules of documents, for tests in other languages.
 *
 *   modules-speak FILE...     then lines on stdin, one answer each:
 *     resolve WORDS           "set NSVC=WHY ...", or "error CODE WORDS"
 *     yaml ARCH WORDS         "yaml BYTES" and those bytes, or "error ..."
 */
#include "resolver/modules/modules.h"

#include <fcntl.h>

static void on_log(void *data, const char *text)
{
	fprintf(data, "%s\n", text);
}

static void say_error(int r, const struct error *err)
{
	printf("error %s %s\n", strerrorname_np(-r), err->message);
}

static int resolve(struct module_supplier *supplier, const char *words, struct module_set **ret,
		   struct error *err)
{
	_cleanup_(strings_done) struct strings list = { 0 };
	_cleanup_(module_wishes_done) struct module_wishes wishes = { 0 };
	struct modules_question question = {
		.wishes = &wishes, .base_lte = -1, .base_gte = -1, .log = { on_log, stderr }
	};
	int r = strings_add(&list, words);

	if (r == 0)
		r = modules_parse_source(&list, &wishes, err);
	return r < 0 ? r : modules_resolve(&question, &supplier, 1, ret, err);
}

static void say_set(struct module_supplier *supplier, const char *words)
{
	_cleanup_(module_set_freep) struct module_set *set = NULL;
	struct error err = { 0 };
	int r = resolve(supplier, words, &set, &err);

	if (r < 0) {
		say_error(r, &err);
		return;
	}
	printf("set");
	for (size_t i = 0; i < set->count; i++)
		printf(" %s=%s", set->module[i]->nsvc, set->module[i]->why);
	printf("\n");
}

static void say_yaml(struct module_supplier *supplier, char *words)
{
	_cleanup_(module_set_freep) struct module_set *set = NULL;
	_cleanup_(text_done) struct text yaml = { 0 };
	struct modules_yaml_options options = { .arch = strsep(&words, " ") };
	struct error err = { 0 };
	int r = resolve(supplier, words ? words : "", &set, &err);

	if (r == 0)
		r = modules_yaml(set, &supplier, 1, &options, &yaml, &err);
	if (r < 0) {
		say_error(r, &err);
		return;
	}
	printf("yaml %zu\n", yaml.length);
	if (yaml.length)
		(void)fwrite(yaml.data, 1, yaml.length, stdout);
}

int main(int argc, char **argv)
{
	_cleanup_(module_supplier_freep) struct module_supplier *supplier = NULL;
	struct module_text text[16] = { 0 };
	char *bytes[16] = { 0 };
	struct error err = { 0 };
	size_t count = 0, room = 0;
	char *line = NULL;

	for (; (int)count + 1 < argc && count < ARRAY_SIZE(text); count++) {
		text[count].label = argv[count + 1];
		if (file_read(AT_FDCWD, argv[count + 1], 64 << 20, &bytes[count],
			      &text[count].length) < 0)
			return 2;
		text[count].bytes = bytes[count];
	}
	if (modules_from_texts(text, count, (struct module_log){ on_log, stderr }, &supplier,
			       &err) < 0) {
		fprintf(stderr, "%s\n", err.message);
		return 1;
	}
	while (count > 0)
		free(bytes[--count]);
	while (getline(&line, &room, stdin) > 0) {
		line[strcspn(line, "\n")] = '\0';
		if (strncmp(line, "resolve ", 8) == 0)
			say_set(supplier, line + 8);
		else if (strncmp(line, "yaml ", 5) == 0)
			say_yaml(supplier, line + 5);
		(void)fflush(stdout);
	}
	free(line);
	return 0;
}
