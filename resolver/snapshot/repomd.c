/* SPDX-License-Identifier: MIT */
/* resolver/snapshot/repomd.c: the bytes of repomd.xml → struct repomd.
 *
 * Namespaces are resolved by expat, so any prefix will do; a document without one is taken as
 * meant. A document type is refused: nothing here needs entities, and with them a few lines can
 * grow into gigabytes. */
#include "resolver/snapshot/snapshot.h"

#include "core/model/model.h"

#include <ctype.h>
#include <expat.h>
#include <stdarg.h>

#define REPOMD_NAMESPACE "http://linux.duke.edu/metadata/repo"
#define REPOMD_SEPARATOR '|'
#define REPOMD_MAX_TEXT 4096
#define REPOMD_MAX_DEPTH 64
#define REPOMD_MAX_TIME INT64_C(253402300799) /* end of the year 9999 */

struct parse {
	XML_Parser parser;
	struct repomd *repomd;
	struct text text;
	unsigned int depth;
	bool collect, in_data;
	int r;
	struct error *err;
};

static void stop(struct parse *parse, const char *format, ...) _printf_(2, 3);
static void stop(struct parse *parse, const char *format, ...)
{
	char words[512];
	va_list arguments;

	if (parse->r < 0)
		return;
	va_start(arguments, format);
	(void)vsnprintf(words, sizeof(words), format, arguments);
	va_end(arguments);
	parse->r = error_set(parse->err, -EBADMSG, BLAME_SOURCE, "repomd.xml", "line %lu: %s",
			     XML_GetCurrentLineNumber(parse->parser), words);
	(void)XML_StopParser(parse->parser, XML_FALSE);
}

static void stop_oom(struct parse *parse)
{
	if (parse->r == 0)
		parse->r = error_oom(parse->err);
	(void)XML_StopParser(parse->parser, XML_FALSE);
}

/* The name without its namespace, when that is ours or none. */
static const char *local_name(const char *name)
{
	const char *separator = strrchr(name, REPOMD_SEPARATOR);
	size_t length = strlen(REPOMD_NAMESPACE);

	if (!separator)
		return name;
	if ((size_t)(separator - name) == length && !memcmp(name, REPOMD_NAMESPACE, length))
		return separator + 1;
	return "";
}

static const char *attribute(const char **attrs, const char *name)
{
	for (; *attrs; attrs += 2)
		if (strcmp(attrs[0], name) == 0)
			return attrs[1];
	return NULL;
}

static struct repomd_record *record_now(struct parse *parse)
{
	return &parse->repomd->record[parse->repomd->count - 1];
}

static void set_once(struct parse *parse, char **place, const char *value, const char *what)
{
	if (!value || !*value)
		return stop(parse, "a record without %s", what);
	if (strlen(value) > REPOMD_MAX_TEXT)
		return stop(parse, "%s is longer than %d bytes", what, REPOMD_MAX_TEXT);
	if (*place)
		return stop(parse, "%s is given twice", what);
	*place = strdup(value);
	if (!*place)
		stop_oom(parse);
}

static void start_data(struct parse *parse, const char **attrs)
{
	struct repomd *repomd = parse->repomd;
	struct repomd_record *record;

	if (repomd->count == REPOMD_MAX_RECORDS)
		return stop(parse, "more than %d records", REPOMD_MAX_RECORDS);
	record = reallocarray(repomd->record, repomd->count + 1, sizeof(*record));
	if (!record)
		return stop_oom(parse);
	repomd->record = record;
	record += repomd->count++;
	*record = (struct repomd_record){ .timestamp = -1, .size = -1, .open_size = -1 };
	parse->in_data = true;
	set_once(parse, &record->type, attribute(attrs, "type"), "type");
}

static void start_in_data(struct parse *parse, const char *name, const char **attrs)
{
	struct repomd_record *record = record_now(parse);
	const char *base;

	parse->collect = true;
	if (strcmp(name, "checksum") == 0)
		set_once(parse, &record->checksum_type, attribute(attrs, "type"), "checksum type");
	else if (strcmp(name, "open-checksum") == 0)
		set_once(parse, &record->open_checksum_type, attribute(attrs, "type"),
			 "open-checksum type");
	else if (strcmp(name, "location") == 0) {
		set_once(parse, &record->href, attribute(attrs, "href"), "location");
		base = attribute(attrs, "http://www.w3.org/XML/1998/namespace|base");
		if (base && *base)
			set_once(parse, &record->base, base, "xml:base");
	} else if (strcmp(name, "timestamp") != 0 && strcmp(name, "size") != 0 &&
		   strcmp(name, "open-size") != 0) {
		parse->collect = false;
	}
}

static void XMLCALL start_element(void *data, const XML_Char *full, const XML_Char **attrs)
{
	struct parse *parse = data;
	const char *name = local_name(full);

	if (parse->r < 0)
		return;
	if (parse->collect)
		return stop(parse, "an element inside a text");
	text_clear(&parse->text);
	parse->depth++;
	if (parse->depth > REPOMD_MAX_DEPTH)
		stop(parse, "elements inside each other more than %d deep", REPOMD_MAX_DEPTH);
	else if (parse->depth == 1 && strcmp(name, "repomd") != 0)
		stop(parse, "the root element is not repomd");
	else if (parse->depth == 2 && strcmp(name, "data") == 0)
		start_data(parse, attrs);
	else if (parse->depth == 2 && strcmp(name, "revision") == 0)
		parse->collect = true;
	else if (parse->depth == 3 && parse->in_data)
		start_in_data(parse, name, attrs);
}

static void XMLCALL add_text(void *data, const XML_Char *bytes, int length)
{
	struct parse *parse = data;

	if (parse->r < 0 || !parse->collect)
		return;
	if (parse->text.length + (size_t)length > REPOMD_MAX_TEXT)
		stop(parse, "a text of more than %d bytes", REPOMD_MAX_TEXT);
	else if (text_add(&parse->text, bytes, (size_t)length) < 0)
		stop_oom(parse);
}

/* The collected text without white space around it. */
static char *trimmed(struct parse *parse)
{
	char *start, *end;

	if (text_reserve(&parse->text, 0) < 0) {
		stop_oom(parse);
		return NULL;
	}
	start = parse->text.data;
	end = start + strlen(start);
	while (isspace((unsigned char)*start))
		start++;
	while (end > start && isspace((unsigned char)end[-1]))
		*--end = '\0';
	return start;
}

static void set_checksum(struct parse *parse, char **place, char *value, const char *what)
{
	size_t length = strlen(value);

	if (!length || length >= DIGEST_MAX_HEX_SIZE ||
	    strspn(value, "0123456789abcdefABCDEF") != length)
		return stop(parse, "%s is not a hexadecimal number", what);
	for (char *c = value; *c; c++)
		*c = (char)tolower((unsigned char)*c);
	set_once(parse, place, value, what);
}

static void set_size(struct parse *parse, int64_t *place, const char *value, const char *what)
{
	if (*place >= 0)
		return stop(parse, "%s is given twice", what);
	if (parse_int64(value, place) < 0 || *place < 0)
		stop(parse, "%s is not a number of bytes", what);
}

/* Seconds, with a fraction in repositories of long ago. */
static void set_timestamp(struct parse *parse, int64_t *place, char *value)
{
	int64_t number;

	value[strcspn(value, ".")] = '\0';
	if (parse_int64(value, &number) < 0 || number < 0 || number > REPOMD_MAX_TIME)
		return stop(parse, "timestamp is not a time in seconds");
	*place = number;
}

static void end_in_data(struct parse *parse, const char *name)
{
	struct repomd_record *record = record_now(parse);
	char *value = trimmed(parse);

	if (!value)
		return;
	if (strcmp(name, "checksum") == 0)
		set_checksum(parse, &record->checksum, value, "checksum");
	else if (strcmp(name, "open-checksum") == 0)
		set_checksum(parse, &record->open_checksum, value, "open-checksum");
	else if (strcmp(name, "timestamp") == 0)
		set_timestamp(parse, &record->timestamp, value);
	else if (strcmp(name, "size") == 0)
		set_size(parse, &record->size, value, "size");
	else if (strcmp(name, "open-size") == 0)
		set_size(parse, &record->open_size, value, "open-size");
}

static void end_data(struct parse *parse)
{
	const struct repomd_record *record = record_now(parse);

	parse->in_data = false;
	if (!record->href || !record->checksum)
		return stop(parse, "record \"%.64s\" has no %s", record->type ? record->type : "",
			    record->href ? "checksum" : "location");
	parse->r = location_check(record->href, "repomd.xml", parse->err);
	if (parse->r < 0)
		(void)XML_StopParser(parse->parser, XML_FALSE);
}

static void XMLCALL end_element(void *data, const XML_Char *full)
{
	struct parse *parse = data;
	const char *name = local_name(full);
	int64_t revision;
	char *value;

	if (parse->r < 0)
		return;
	if (parse->depth == 3 && parse->in_data) {
		end_in_data(parse, name);
	} else if (parse->depth == 2 && parse->in_data) {
		end_data(parse);
	} else if (parse->depth == 2 && parse->collect) {
		value = trimmed(parse);
		if (value && parse_int64(value, &revision) == 0 && revision >= 0)
			parse->repomd->revision = revision;
	}
	parse->collect = false;
	parse->depth--;
}

static void XMLCALL start_doctype(void *data, const XML_Char *name, const XML_Char *system_id,
				  const XML_Char *public_id, int has_internal)
{
	stop(data, "a document type is not accepted");
}

static int parse_bytes(struct parse *parse, const char *bytes, size_t length)
{
	XML_SetUserData(parse->parser, parse);
	XML_SetElementHandler(parse->parser, start_element, end_element);
	XML_SetCharacterDataHandler(parse->parser, add_text);
	XML_SetStartDoctypeDeclHandler(parse->parser, start_doctype);
	if (XML_Parse(parse->parser, bytes, (int)length, XML_TRUE) != XML_STATUS_OK) {
		enum XML_Error code = XML_GetErrorCode(parse->parser);

		if (code == XML_ERROR_NO_MEMORY)
			stop_oom(parse);
		stop(parse, "%s", XML_ErrorString(code));
	}
	return parse->r;
}

static int64_t newest_timestamp(const struct repomd *repomd)
{
	int64_t newest = -1;

	for (size_t i = 0; i < repomd->count; i++)
		if (repomd->record[i].timestamp > newest)
			newest = repomd->record[i].timestamp;
	if (newest < 0)
		newest = repomd->revision <= REPOMD_MAX_TIME ? repomd->revision : -1;
	return newest < 0 ? 0 : newest;
}

int repomd_parse(const char *bytes, size_t length, struct repomd **ret, struct error *err)
{
	_cleanup_(repomd_freep) struct repomd *repomd = calloc(1, sizeof(*repomd));
	struct parse parse = { .repomd = repomd, .err = err };
	int r;

	if (!repomd)
		return error_oom(err);
	if (length > REPOMD_MAX_BYTES)
		return error_set(err, -EBADMSG, BLAME_SOURCE, "repomd.xml", "larger than %d bytes",
				 REPOMD_MAX_BYTES);
	repomd->revision = -1;
	sha256_hex(bytes, length, repomd->digest);
	parse.parser = XML_ParserCreateNS(NULL, REPOMD_SEPARATOR);
	if (!parse.parser)
		return error_oom(err);
	r = parse_bytes(&parse, bytes, length);
	XML_ParserFree(parse.parser);
	text_done(&parse.text);
	if (r < 0)
		return r;
	repomd->timestamp = newest_timestamp(repomd);
	*ret = steal(repomd);
	return 0;
}

const struct repomd_record *repomd_find(const struct repomd *repomd, const char *type)
{
	for (size_t i = 0; i < repomd->count; i++)
		if (strcmp(repomd->record[i].type, type) == 0)
			return &repomd->record[i];
	return NULL;
}

void repomd_free(struct repomd *repomd)
{
	if (!repomd)
		return;
	for (size_t i = 0; i < repomd->count; i++) {
		struct repomd_record *record = &repomd->record[i];

		free(record->type);
		free(record->href);
		free(record->base);
		free(record->checksum_type);
		free(record->checksum);
		free(record->open_checksum_type);
		free(record->open_checksum);
	}
	free(repomd->record);
	free(repomd);
}
