/* SPDX-License-Identifier: MIT */
/* resolver/modules/scan.c: documents in a text: where they are, and by libyaml's events what they
 * are about.
 *
 * What is dangerous in libmodulemd's hands is refused here: aliases, deep nesting, many documents
 * in one, and shapes that it frees something twice over. A line that begins with "---" begins a
 * document whatever stands around it (YAML 1.1, 4.3.1), so one that is broken does not hide the
 * next. */
#include "resolver/modules/parts.h"

#include <yaml.h>

#define PRELUDE_MAX 4096 /* bytes before "---": libyaml compares each directive with all others */
#define NAME_MAX_BYTES 4096

/* ---- pieces ---- */

/* "---" or "...", then white space or the end */
static bool is_marker(const char *line, size_t length, char c)
{
	return length >= 3 && line[0] == c && line[1] == c && line[2] == c &&
	       (length == 3 || strchr(" \t\r\n", line[3]));
}

static size_t line_length(const char *line, const char *end)
{
	const char *newline = memchr(line, '\n', (size_t)(end - line));

	return (size_t)((newline ? newline + 1 : end) - line);
}

static bool is_content(const char *line, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if (!strchr(" \t\r\n", line[i]))
			return line[i] != '#' && !(i == 0 && line[i] == '%');
	return false;
}

static unsigned int count_lines(const char *from, const char *to)
{
	unsigned int lines = 0;

	while ((from = memchr(from, '\n', (size_t)(to - from)))) {
		from++;
		lines++;
	}
	return lines;
}

bool piece_next(struct piece *piece, const char *end)
{
	const char *start = piece->bytes + piece->length, *line = start;
	bool content = false;

	piece->line += count_lines(piece->bytes, start);
	while (line < end) {
		size_t length = line_length(line, end);

		if (is_marker(line, length, '-')) {
			if (content)
				break;
			content = true;
		} else if (is_marker(line, length, '.')) {
			line += length;
			if (content)
				break;
			piece->line += count_lines(start, line);
			start = line; /* nothing but comments before it */
			continue;
		} else if (!content) {
			content = is_content(line, length);
		}
		line += length;
	}
	piece->bytes = start;
	piece->length = (size_t)(line - start);
	return content;
}

/* ---- what it is about ---- */

#define KEYS_DEPTH 4 /* so deep keys are looked at */
#define KEY_SIZE 16

/**
 * struct scan - where in a document we are
 * @mapping: what is open at depth N is a mapping; @key: its next scalar is a key
 * @last: the last key at depth N; "" when it is long
 * @keys: so many of what is open at depth N; @nodes: of the document
 * @module: what "module" says, which is the name of all kinds but streams
 * @list: depth of a list of nothing but scalars that is open, or 0 */
struct scan {
	char *module;
	unsigned int depth, documents, list;
	bool mapping[MODULES_MAX_DEPTH + 1], key[MODULES_MAX_DEPTH + 1];
	uint32_t keys[MODULES_MAX_DEPTH + 1], nodes;
	char last[KEYS_DEPTH + 1][KEY_SIZE];
	struct scanned *found;
};

static int bad(struct error *err, const yaml_mark_t *mark, const char *words)
{
	return error_set(err, -EBADMSG, BLAME_SOURCE, NULL, "its line %zu: %s", mark->line + 1,
			 words);
}

/* ---- shapes ---- */

enum shape {
	SHAPE_MAPPING,
	SHAPE_LIST, /* of scalars, or one of them */
	SHAPE_SCALAR,
};

/* Where libmodulemd 2.14 takes another shape for an error and frees its words twice. */
static const struct {
	const char *path[KEYS_DEPTH];
	enum shape shape;
} shapes[] = {
	{ { "data", "api" }, SHAPE_MAPPING },
	{ { "data", "api", "rpms" }, SHAPE_LIST },
	{ { "data", "filter" }, SHAPE_MAPPING },
	{ { "data", "filter", "rpms" }, SHAPE_LIST },
	{ { "data", "artifacts" }, SHAPE_MAPPING },
	{ { "data", "artifacts", "rpms" }, SHAPE_LIST },
	{ { "data", "demodularized" }, SHAPE_MAPPING },
	{ { "data", "demodularized", "rpms" }, SHAPE_LIST },
	{ { "data", "buildopts" }, SHAPE_MAPPING },
	{ { "data", "buildopts", "arches" }, SHAPE_LIST },
	{ { "data", "buildopts", "rpms" }, SHAPE_MAPPING },
	{ { "data", "buildopts", "rpms", "whitelist" }, SHAPE_LIST },
	{ { "data", "buildopts", "rpms", "macros" }, SHAPE_SCALAR },
};

static bool is_at(const struct scan *scan, const char *const path[KEYS_DEPTH])
{
	for (unsigned int i = 0; i < KEYS_DEPTH; i++) {
		if (i >= scan->depth || !path[i])
			return i >= scan->depth && !path[i];
		if (!scan->mapping[i + 1] || strcmp(scan->last[i + 1], path[i]) != 0)
			return false;
	}
	return scan->depth == KEYS_DEPTH;
}

/* The value of a key begins. */
static int check_shape(struct scan *scan, const yaml_event_t *event, struct error *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(shapes) && scan->depth <= KEYS_DEPTH; i++) {
		if (!is_at(scan, shapes[i].path))
			continue;
		if (shapes[i].shape == SHAPE_MAPPING && event->type != YAML_MAPPING_START_EVENT)
			return bad(err, &event->start_mark, "not a mapping");
		if (shapes[i].shape == SHAPE_SCALAR && event->type != YAML_SCALAR_EVENT)
			return bad(err, &event->start_mark, "not a text");
		if (shapes[i].shape == SHAPE_LIST && event->type == YAML_MAPPING_START_EVENT)
			return bad(err, &event->start_mark, "not a list");
		if (shapes[i].shape == SHAPE_LIST && event->type == YAML_SEQUENCE_START_EVENT)
			scan->list = scan->depth + 1;
	}
	return 0;
}

/* ---- names ---- */

static void put_key(char key[static KEY_SIZE], const yaml_event_t *event)
{
	size_t length = event->data.scalar.length;

	key[0] = '\0';
	if (length < KEY_SIZE) {
		memcpy(key, event->data.scalar.value, length);
		key[length] = '\0';
	}
}

static int put_text(char **part, const yaml_event_t *event, struct error *err)
{
	size_t length = event->data.scalar.length;

	if (length > NAME_MAX_BYTES)
		return bad(err, &event->start_mark, "a name of more than 4096 bytes");
	free(*part);
	*part = strndup((const char *)event->data.scalar.value, length);
	return *part ? 0 : error_oom(err);
}

static enum document_kind kind_of(const yaml_event_t *event)
{
	static const struct {
		const char *name;
		enum document_kind kind;
	} known[] = {
		{ "modulemd", DOCUMENT_STREAM },
		{ "modulemd-stream", DOCUMENT_STREAM },
		{ "modulemd-defaults", DOCUMENT_DEFAULTS },
		{ "modulemd-obsoletes", DOCUMENT_OBSOLETES },
		{ "modulemd-translations", DOCUMENT_TRANSLATIONS },
	};

	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (strcmp((const char *)event->data.scalar.value, known[i].name) == 0)
			return known[i].kind;
	return DOCUMENT_OTHER;
}

static int take_value(struct scan *scan, const yaml_event_t *event, struct error *err)
{
	struct scanned *found = scan->found;
	struct {
		const char *key;
		char **part;
	} parts[] = {
		{ "name", &found->name },	{ "module", &scan->module },
		{ "stream", &found->stream },	{ "version", &found->version },
		{ "context", &found->context }, { "arch", &found->arch },
	};

	if (scan->depth == 1 && strcmp(scan->last[1], "document") == 0)
		found->kind = kind_of(event);
	if (scan->depth != 2 || strcmp(scan->last[1], "data") != 0)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
		if (strcmp(scan->last[2], parts[i].key) == 0)
			return put_text(parts[i].part, event, err);
	return 0;
}

static int count_key(struct scan *scan, const yaml_event_t *event, struct error *err)
{
	if (++scan->keys[scan->depth] > MODULES_MAX_KEYS)
		return bad(err, &event->start_mark, "more than 10000 keys of one mapping");
	return 0;
}

static int on_scalar(struct scan *scan, const yaml_event_t *event, struct error *err)
{
	if (scan->depth == 0 || !scan->mapping[scan->depth])
		return 0;
	if (!scan->key[scan->depth]) {
		int r = check_shape(scan, event, err);

		scan->key[scan->depth] = true;
		return r < 0 ? r : take_value(scan, event, err);
	}
	scan->key[scan->depth] = false;
	if (scan->depth <= KEYS_DEPTH)
		put_key(scan->last[scan->depth], event);
	return count_key(scan, event, err);
}

static int on_open(struct scan *scan, const yaml_event_t *event, struct error *err)
{
	bool mapping = event->type == YAML_MAPPING_START_EVENT;

	if (scan->list)
		return bad(err, &event->start_mark, "a list of something else than texts");
	if (scan->depth > 0 && scan->mapping[scan->depth]) {
		int r = check_shape(scan, event, err);

		if (r < 0)
			return r;
		if (scan->key[scan->depth])
			return bad(err, &event->start_mark, "a key that is a list or a mapping");
		scan->key[scan->depth] = true;
	}
	if (scan->depth == 0 && !mapping)
		return bad(err, &event->start_mark, "not a mapping");
	if (scan->depth == MODULES_MAX_DEPTH)
		return bad(err, &event->start_mark, "nested deeper than 64");
	scan->depth++;
	scan->mapping[scan->depth] = mapping;
	scan->key[scan->depth] = mapping;
	scan->keys[scan->depth] = 0;
	if (scan->depth <= KEYS_DEPTH)
		scan->last[scan->depth][0] = '\0';
	return 0;
}

static int on_event(struct scan *scan, const yaml_event_t *event, struct error *err)
{
	if (++scan->nodes > MODULES_MAX_NODES)
		return bad(err, &event->start_mark, "more than 100000 keys and values");
	switch (event->type) {
	case YAML_DOCUMENT_START_EVENT:
		if (scan->documents++ > 0)
			return bad(err, &event->start_mark, "a second document");
		return 0;
	case YAML_ALIAS_EVENT:
		return bad(err, &event->start_mark, "an alias: these documents may have none");
	case YAML_SCALAR_EVENT:
		if (scan->depth == 0)
			return bad(err, &event->start_mark, "not a mapping");
		return on_scalar(scan, event, err);
	case YAML_MAPPING_START_EVENT:
	case YAML_SEQUENCE_START_EVENT:
		return on_open(scan, event, err);
	case YAML_MAPPING_END_EVENT:
	case YAML_SEQUENCE_END_EVENT:
		if (scan->list == scan->depth)
			scan->list = 0;
		scan->depth--;
		return 0;
	default:
		return 0;
	}
}

static int fail_yaml(const yaml_parser_t *parser, struct error *err)
{
	if (parser->error == YAML_MEMORY_ERROR)
		return error_oom(err);
	return error_set(err, -EBADMSG, BLAME_SOURCE, NULL, "its line %zu: not YAML: %s",
			 parser->problem_mark.line + 1,
			 parser->problem ? parser->problem : "it cannot be read");
}

static int scan_events(yaml_parser_t *parser, struct scan *scan, struct error *err)
{
	bool over = false;
	int r = 0;

	while (!over && r == 0) {
		yaml_event_t event;

		if (!yaml_parser_parse(parser, &event))
			return fail_yaml(parser, err);
		over = event.type == YAML_STREAM_END_EVENT;
		r = on_event(scan, &event, err);
		yaml_event_delete(&event);
	}
	if (r == 0 && scan->documents == 0)
		return error_set(err, -EBADMSG, BLAME_SOURCE, NULL, "there is no document");
	return r;
}

static bool has_long_prelude(const struct piece *piece)
{
	const char *end = piece->bytes + piece->length;

	for (const char *line = piece->bytes; line < end; line += line_length(line, end)) {
		if (line - piece->bytes > PRELUDE_MAX)
			return true;
		if (*line != '%' && is_content(line, line_length(line, end)))
			return false;
	}
	return false;
}

int document_scan(const struct piece *piece, struct scanned *ret, struct error *err)
{
	struct scan scan = { .found = ret };
	yaml_parser_t parser;
	int r;

	*ret = (struct scanned){ 0 };
	if (piece->length > MODULES_MAX_DOCUMENT)
		return error_set(err, -EBADMSG, BLAME_SOURCE, NULL, "more than %u bytes",
				 MODULES_MAX_DOCUMENT);
	if (has_long_prelude(piece))
		return error_set(err, -EBADMSG, BLAME_SOURCE, NULL,
				 "more than %d bytes of directives and comments before it",
				 PRELUDE_MAX);
	if (!yaml_parser_initialize(&parser))
		return error_oom(err);
	yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&parser, (const unsigned char *)piece->bytes, piece->length);
	r = scan_events(&parser, &scan, err);
	yaml_parser_delete(&parser);
	if (ret->kind != DOCUMENT_STREAM) {
		free(ret->name);
		ret->name = steal(scan.module);
	}
	free(scan.module);
	return r;
}

void scanned_done(struct scanned *scanned)
{
	free(scanned->name);
	free(scanned->stream);
	free(scanned->version);
	free(scanned->context);
	free(scanned->arch);
	*scanned = (struct scanned){ 0 };
}
