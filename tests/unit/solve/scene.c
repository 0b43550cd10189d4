/* SPDX-License-Identifier: MIT */
#include "tests/unit/solve/scene.h"

static void add_relation(struct text *xml, const char *tag, const struct strings *words, char kind)
{
	bool open = false;

	for (size_t i = 5; i < words->count; i++) {
		_cleanup_(freep) char *name = strdup(words->item[i] + 2);
		char *equal;

		if (words->item[i][0] != kind)
			continue;
		for (char *c = name; *c; c++)
			*c = *c == '_' ? ' ' : *c;
		text_addf(xml, "%s<rpm:entry name=\"", open ? "" : tag);
		open = true;
		equal = strchr(name, '=');
		if (equal)
			*equal = '\0';
		text_addf(xml, "%s\"", name);
		if (equal)
			text_addf(xml, " flags=\"EQ\" epoch=\"0\" ver=\"%s\"", equal + 1);
		text_adds(xml, "/>");
	}
	if (open)
		text_addf(xml, "</%s", tag + 1);
}

static void add_package(struct text *xml, const char *line)
{
	_cleanup_(strings_done) struct strings words = { 0 };
	char **w;

	strings_split(&words, line, ' ');
	w = words.item;
	text_addf(xml, "<package type=\"rpm\"><name>%s</name><arch>%s</arch>", w[0], w[4]);
	text_addf(xml, "<version epoch=\"%s\" ver=\"%s\" rel=\"%s\"/>", w[1], w[2], w[3]);
	text_adds(xml, "<location href=\"x.rpm\"/><format>");
	add_relation(xml, "<rpm:provides>", &words, 'p');
	add_relation(xml, "<rpm:requires>", &words, 'r');
	add_relation(xml, "<rpm:conflicts>", &words, 'c');
	add_relation(xml, "<rpm:obsoletes>", &words, 'o');
	add_relation(xml, "<rpm:recommends>", &words, 'm');
	for (size_t i = 5; i < words.count; i++)
		if (words.item[i][0] == 'f')
			text_addf(xml, "<file>%s</file>", words.item[i] + 2);
	text_adds(xml, "</format></package>\n");
}

char *scene_primary(const char *lines)
{
	_cleanup_(text_done) struct text xml = { 0 };
	_cleanup_(strings_done) struct strings list = { 0 };

	strings_split(&list, lines, '\n');
	text_addf(&xml,
		  "<metadata xmlns=\"http://linux.duke.edu/metadata/common\" "
		  "xmlns:rpm=\"http://linux.duke.edu/metadata/rpm\" packages=\"%zu\">",
		  list.count);
	for (size_t i = 0; i < list.count; i++)
		add_package(&xml, list.item[i]);
	text_adds(&xml, "</metadata>");
	return text_steal(&xml);
}

/* What the tests build on must be there: without it no check means anything. */
static void must(int r, const struct error *err)
{
	if (r >= 0)
		return;
	(void)fprintf(stderr, "scene: %s\n", err->message);
	exit(1);
}

void scene_load(struct solve_pool *pool, const char *lines, bool lookaside,
		const struct solve_path *paths, size_t path_count)
{
	_cleanup_(freep) char *xml = scene_primary(lines);
	_cleanup_(fclosep) FILE *primary = fmemopen(xml, strlen(xml), "r");
	_cleanup_(fclosep) FILE *solv = tmpfile();
	struct error err = { 0 };
	uint32_t count = 0;

	must(solve_index(primary, paths, path_count, solv, &count, &err), &err);
	rewind(solv);
	must(solve_pool_add(pool, solv, count, lookaside, &err), &err);
}

struct solve_pool *scene_pool(const char *first, const char *second, const char *lookaside)
{
	struct solve_pool *pool = NULL;
	struct error err = { 0 };

	must(solve_pool_new("x86_64", &pool, &err), &err);
	scene_load(pool, first, false, NULL, 0);
	if (second)
		scene_load(pool, second, false, NULL, 0);
	if (lookaside)
		scene_load(pool, lookaside, true, NULL, 0);
	must(solve_pool_prepare(pool, &err), &err);
	return pool;
}

struct solve_answer *scene_ask(struct solve_pool *pool, const char *names, bool no_deps)
{
	_cleanup_(strings_done) struct strings list = { 0 };
	struct solve_request request = { .names = names ? &list : NULL, .no_deps = no_deps };
	struct solve_answer *answer = NULL;
	struct error err = { 0 };

	strings_split(&list, names ? names : "", ' ');
	must(solve_run(pool, &request, &answer, &err), &err);
	return answer;
}

char *scene_choices(const struct solve_answer *answer)
{
	_cleanup_(text_done) struct text text = { 0 };

	for (size_t i = 0; i < answer->count; i++)
		text_addf(&text, "%s%u:%u", i ? " " : "", answer->choice[i].repository,
			  answer->choice[i].index);
	for (size_t i = 0; i < answer->missing.count; i++)
		text_addf(&text, " -%s", answer->missing.item[i]);
	return text_steal(&text);
}

char *scene_solve(struct solve_pool *pool, const char *names)
{
	_cleanup_(solve_answer_freep) struct solve_answer *answer = scene_ask(pool, names, false);

	return scene_choices(answer);
}
