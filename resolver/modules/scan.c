/* SPDX-License-Identifier: MIT */
/* resolver/modules/scan.c: documents in a text: where they are, and by libyaml's events what they
 * are about.
 *
 * What is dangerous in libmodulemd's hands is refused here: aliases, deep nesting, many documents
 * in one. A line that begins with "---" begins a document whatever stands around it
 * (YAML 1.1, 4.3.1), so one that is broken does not hide the next. */
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

/**
 * struct scan - where in a document we are
 * @mapping: what is open at depth N is a mapping; @key: its next scalar is a key
 * @root, @data: the last key at depth 1, and at depth 2 below "data"; "" when it is long */
struct scan {
	unsigned int depth, documents;
	bool mapping[MODULES_MAX_DEPTH + 1], key[MODULES_MAX_DEPTH + 1];
	char root[16], data[16];
	struct scanned *found;
};

static int bad(struct error *err, const yaml_mark_t *mark, const char *words)
{
	return error_set(err, -EBADMSG, BLAME_SOURCE, NULL, "its line %zu: %s", mark->line + 1,
			 words);
}

static void put_key(char key[static 16], const yaml_event_t *event)
{
	size_t length = event->data.scalar.length;

	key[0] = '\0';
	if (length < 16) {
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
		{ "name", &found->name },	{ "module", &found->name },
		{ "stream", &found->stream },	{ "version", &found->version },
		{ "context", &found->context }, { "arch", &found->arch },
	};

	if (scan->depth == 1 && strcmp(scan->root, "document") == 0)
		found->kind = kind_of(event);
	if (scan->depth != 2 || strcmp(scan->root, "data") != 0)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
		if (strcmp(scan->data, parts[i].key) == 0)
			return put_text(parts[i].part, event, err);
	return 0;
}

static int on_scalar(struct scan *scan, const yaml_event_t *event, struct error *err)
{
	if (scan->depth == 0 || !scan->mapping[scan->depth])
		return 0;
	if (!scan->key[scan->depth]) {
		scan->key[scan->depth] = true;
		return take_value(scan, event, err);
	}
	scan->key[scan->depth] = false;
	if (scan->depth == 1)
		put_key(scan->root, event);
	else if (scan->depth == 2)
		put_key(scan->data, event);
	return 0;
}

static int on_open(struct scan *scan, const yaml_event_t *event, struct error *err)
{
	bool mapping = event->type == YAML_MAPPING_START_EVENT;

	if (scan->depth > 0 && scan->mapping[scan->depth]) {
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
	if (scan->depth == 2)
		scan->data[0] = '\0';
	return 0;
}

static int on_event(struct scan *scan, const yaml_event_t *event, struct error *err)
{
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
