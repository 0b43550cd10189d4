/* SPDX-License-Identifier: MIT */
/* resolver/koji/decode.c: the answer to an XML-RPC call, read as it comes.
 *
 * Each element that is open is one place on a small stack; what may stand where is decided by the
 * place alone, so nothing but the names of members and the text of one value is ever kept. Bytes go
 * to expat in large pieces: it looks at an unfinished tag again each time some come. */
#include "resolver/koji/xmlrpc.h"

#include <ctype.h>
#include <expat.h>
#include <math.h>
#include <stdarg.h>
#include <strings.h>

#define PIECE (64 * 1024)
#define START_BYTES 1024 /* of the answer, to say what it is when it is no XML-RPC */
#define PLACES_MAX (XMLRPC_MAX_DEPTH * 4 + 8)

/* …_FULL: what may stand there once has been there */
enum place {
	AT_DOCUMENT,
	AT_DOCUMENT_FULL,
	AT_RESPONSE,
	AT_RESPONSE_FULL,
	AT_PARAMS,
	AT_PARAMS_FULL,
	AT_PARAM, /* also <fault> */
	AT_PARAM_FULL,
	AT_VALUE,
	AT_VALUE_FULL,
	AT_SCALAR,
	AT_ARRAY,
	AT_ARRAY_FULL,
	AT_DATA,
	AT_STRUCT,
	AT_MEMBER,
	AT_MEMBER_NAMED,
	AT_MEMBER_FULL,
	AT_NAME,
};

struct xmlrpc_decoder {
	XML_Parser parser;
	struct xmlrpc_handler handler;
	uint8_t places[PLACES_MAX];
	unsigned int open; /* the last one is places[open] */
	enum xmlrpc_type scalar;
	struct text text, member;
	unsigned int depth;
	struct {
		bool is_struct;
		uint64_t index;
	} around[XMLRPC_MAX_DEPTH];
	bool is_fault;
	struct xmlrpc_fault fault;
	uint64_t fed, spaces, end; /* bytes; @end: where </methodResponse> was */
	char start[START_BYTES + 1];
	size_t start_length;
	char piece[PIECE];
	size_t gathered;
	int r;
	struct error error; /* told again when it is fed after an error */
};

const char *xmlrpc_type_name(enum xmlrpc_type type)
{
	static const char *const names[] = {
		[XMLRPC_NIL] = "nil",
		[XMLRPC_BOOLEAN] = "a boolean",
		[XMLRPC_INT] = "a whole number",
		[XMLRPC_DOUBLE] = "a number with a fraction",
		[XMLRPC_TEXT] = "a text",
		[XMLRPC_TIME] = "a time",
		[XMLRPC_BASE64] = "bytes",
		[XMLRPC_ARRAY] = "an array",
		[XMLRPC_STRUCT] = "a struct",
	};

	return names[type];
}

/* ---- words ---- */

/* One line of what may be any bytes: control characters become spaces, several spaces one, a
 * character that does not fit is left out as a whole. */
static void one_line(const char *bytes, size_t length, char *ret, size_t size)
{
	size_t n = 0;

	for (size_t i = 0; i < length && n + 1 < size; i++) {
		bool space = (uint8_t)bytes[i] <= 0x20 || bytes[i] == 0x7f;

		if (!space)
			ret[n++] = bytes[i];
		else if (n && ret[n - 1] != ' ')
			ret[n++] = ' ';
	}
	if (n + 1 == size) /* perhaps in the middle of a character */
		while (n && (ret[n - 1] & 0x80)) {
			n--;
			if ((ret[n] & 0xc0) == 0xc0)
				break;
		}
	while (n && ret[n - 1] == ' ')
		n--;
	ret[n] = '\0';
}

static void stop_with(struct xmlrpc_decoder *decoder, int r)
{
	(void)XML_StopParser(decoder->parser, XML_FALSE);
	if (decoder->r == 0)
		decoder->r = r;
}

static void stop(struct xmlrpc_decoder *decoder, int code, const char *format, ...) _printf_(3, 4);
static void stop(struct xmlrpc_decoder *decoder, int code, const char *format, ...)
{
	char words[400], line[400];
	va_list arguments;

	if (decoder->r < 0)
		return;
	va_start(arguments, format);
	(void)vsnprintf(words, sizeof(words), format, arguments);
	va_end(arguments);
	one_line(words, strlen(words), line, sizeof(line));
	stop_with(decoder, error_set(&decoder->error, code, BLAME_SOURCE, NULL, "line %lu: %s",
				     XML_GetCurrentLineNumber(decoder->parser), line));
}

/* What stands between the tags of the first bytes, as ASCII. */
static void start_words(const struct xmlrpc_decoder *decoder, char *ret, size_t size)
{
	char plain[START_BYTES];
	size_t n = 0;
	bool tag = false;

	for (size_t i = 0; i < decoder->start_length; i++) {
		char c = decoder->start[i];

		if (c == '<' || c == '>')
			plain[n++] = ' ';
		else if (!tag)
			plain[n++] = (c & 0x80) ? '?' : c;
		tag = c == '<' || (tag && c != '>');
	}
	one_line(plain, n, ret, size);
}

static bool is_html(const struct xmlrpc_decoder *decoder)
{
	static const char *const signs[] = { "<!doctype html", "<html", "<head", "<body" };

	for (size_t i = 0; i < ARRAY_SIZE(signs); i++)
		if (strcasestr(decoder->start, signs[i]))
			return true;
	return false;
}

/* Before <methodResponse>: it is something else altogether. */
static void stop_at_start(struct xmlrpc_decoder *decoder, const char *why)
{
	char words[120];

	if (decoder->r < 0)
		return;
	start_words(decoder, words, sizeof(words));
	if (is_html(decoder))
		stop_with(decoder, error_set(&decoder->error, -EBADMSG, BLAME_SOURCE, NULL,
					     "the hub answered with HTML: %s", words));
	else
		stop_with(decoder, error_set(&decoder->error, -EBADMSG, BLAME_SOURCE, NULL,
					     "the hub's answer is no XML-RPC (%s)%s%s", why,
					     words[0] ? ": " : "", words));
}

/* ---- values ---- */

static void emit(struct xmlrpc_decoder *decoder, struct xmlrpc_event *event)
{
	int r;

	event->depth = decoder->depth;
	if (decoder->depth && !event->end) {
		event->index = decoder->around[decoder->depth - 1].index++;
		if (decoder->around[decoder->depth - 1].is_struct)
			event->member = decoder->member.data;
	}
	if (decoder->is_fault) {
		xmlrpc_fault_event(&decoder->fault, event, 0);
		return;
	}
	r = decoder->handler.event(decoder->handler.data, event, &decoder->error);
	if (r < 0)
		stop_with(decoder, r);
}

static const char *trimmed(struct text *text)
{
	char *start = text->data;

	while (text->length && isspace((unsigned char)text->data[text->length - 1]))
		text->data[--text->length] = '\0';
	while (isspace((unsigned char)*start))
		start++;
	return start;
}

static void emit_scalar(struct xmlrpc_decoder *decoder)
{
	struct xmlrpc_event event = { .type = decoder->scalar };
	const char *text = decoder->text.data;
	char *end = NULL;
	bool good = true;

	switch (decoder->scalar) {
	case XMLRPC_NIL:
		good = !*trimmed(&decoder->text);
		break;
	case XMLRPC_BOOLEAN:
		text = trimmed(&decoder->text);
		good = (*text == '0' || *text == '1') && !text[1];
		event.number = *text == '1';
		break;
	case XMLRPC_INT:
		text = trimmed(&decoder->text);
		good = parse_int64(text, &event.number) == 0;
		break;
	case XMLRPC_DOUBLE:
		text = trimmed(&decoder->text);
		event.real = strtod(text, &end);
		good = *text && !*end && !text[strspn(text, "+-.0123456789eE")] &&
		       isfinite(event.real);
		break;
	default:
		event.text = text;
		event.length = decoder->text.length;
	}
	if (!good)
		stop(decoder, -EBADMSG, "\"%.32s\" is not %s", text,
		     xmlrpc_type_name(decoder->scalar));
	else
		emit(decoder, &event);
}

static void open_container(struct xmlrpc_decoder *decoder, bool is_struct)
{
	struct xmlrpc_event event = { .type = is_struct ? XMLRPC_STRUCT : XMLRPC_ARRAY };

	if (decoder->depth == XMLRPC_MAX_DEPTH)
		return stop(decoder, -EMSGSIZE, "values inside each other more than %d deep",
			    XMLRPC_MAX_DEPTH);
	emit(decoder, &event);
	decoder->around[decoder->depth].is_struct = is_struct;
	decoder->around[decoder->depth].index = 0;
	decoder->depth++;
}

static void close_container(struct xmlrpc_decoder *decoder)
{
	struct xmlrpc_event event = { .end = true };

	decoder->depth--;
	event.type = decoder->around[decoder->depth].is_struct ? XMLRPC_STRUCT : XMLRPC_ARRAY;
	emit(decoder, &event);
}

/* ---- elements ---- */

static void push(struct xmlrpc_decoder *decoder, enum place place)
{
	if (decoder->open + 1 == PLACES_MAX) /* cannot be: depth is bounded before */
		return stop(decoder, -EMSGSIZE, "elements inside each other too deep");
	decoder->places[++decoder->open] = (uint8_t)place;
}

/* An element that may stand here once: the place becomes @full. */
static void push_once(struct xmlrpc_decoder *decoder, enum place full, enum place place)
{
	decoder->places[decoder->open] = (uint8_t)full;
	push(decoder, place);
}

static bool is_blank(const struct text *text)
{
	return strspn(text->data, " \t\r\n") == text->length;
}

static void start_typed(struct xmlrpc_decoder *decoder, const char *name)
{
	static const struct {
		const char *name;
		enum xmlrpc_type type;
	} types[] = {
		{ "string", XMLRPC_TEXT },   { "int", XMLRPC_INT },
		{ "nil", XMLRPC_NIL },	     { "boolean", XMLRPC_BOOLEAN },
		{ "struct", XMLRPC_STRUCT }, { "array", XMLRPC_ARRAY },
		{ "i8", XMLRPC_INT },	     { "i4", XMLRPC_INT },
		{ "double", XMLRPC_DOUBLE }, { "dateTime.iso8601", XMLRPC_TIME },
		{ "base64", XMLRPC_BASE64 },
	};
	size_t i = 0;

	while (i < ARRAY_SIZE(types) && strcmp(types[i].name, name) != 0)
		i++;
	if (i == ARRAY_SIZE(types))
		return stop(decoder, -EBADMSG, "<%.64s> is no type of a value", name);
	if (!is_blank(&decoder->text))
		return stop(decoder, -EBADMSG, "text before <%.64s>", name);
	text_clear(&decoder->text);
	decoder->scalar = types[i].type;
	if (types[i].type == XMLRPC_STRUCT || types[i].type == XMLRPC_ARRAY)
		open_container(decoder, types[i].type == XMLRPC_STRUCT);
	push_once(decoder, AT_VALUE_FULL,
		  types[i].type == XMLRPC_STRUCT  ? AT_STRUCT
		  : types[i].type == XMLRPC_ARRAY ? AT_ARRAY
						  : AT_SCALAR);
}

static void start_value(struct xmlrpc_decoder *decoder, enum place full)
{
	text_clear(&decoder->text);
	push_once(decoder, full, AT_VALUE);
}

static void start_in_response(struct xmlrpc_decoder *decoder, const char *name)
{
	decoder->is_fault = strcmp(name, "fault") == 0;
	push_once(decoder, AT_RESPONSE_FULL, decoder->is_fault ? AT_PARAM : AT_PARAMS);
}

static void XMLCALL on_start(void *data, const XML_Char *name, const XML_Char **attributes)
{
	struct xmlrpc_decoder *decoder = data;
	enum place place = (enum place)decoder->places[decoder->open];
	bool is_value = strcmp(name, "value") == 0;

	(void)attributes;
	if (decoder->r < 0)
		return;
	decoder->spaces = 0;
	if (place == AT_VALUE)
		start_typed(decoder, name);
	else if (place == AT_DATA && is_value)
		start_value(decoder, AT_DATA);
	else if (place == AT_MEMBER_NAMED && is_value)
		start_value(decoder, AT_MEMBER_FULL);
	else if (place == AT_STRUCT && strcmp(name, "member") == 0)
		push(decoder, AT_MEMBER);
	else if (place == AT_MEMBER && strcmp(name, "name") == 0) {
		text_clear(&decoder->text);
		push_once(decoder, AT_MEMBER_NAMED, AT_NAME);
	} else if (place == AT_ARRAY && strcmp(name, "data") == 0)
		push_once(decoder, AT_ARRAY_FULL, AT_DATA);
	else if (place == AT_DOCUMENT && strcmp(name, "methodResponse") == 0)
		push_once(decoder, AT_DOCUMENT_FULL, AT_RESPONSE);
	else if (place == AT_DOCUMENT)
		stop_at_start(decoder, "another document");
	else if (place == AT_RESPONSE && (!strcmp(name, "params") || !strcmp(name, "fault")))
		start_in_response(decoder, name);
	else if (place == AT_PARAMS && strcmp(name, "param") == 0)
		push_once(decoder, AT_PARAMS_FULL, AT_PARAM);
	else if (place == AT_PARAM && is_value)
		start_value(decoder, AT_PARAM_FULL);
	else
		stop(decoder, -EBADMSG, "<%.64s> where it may not stand", name);
}

static void XMLCALL on_end(void *data, const XML_Char *name)
{
	struct xmlrpc_decoder *decoder = data;
	struct text swap;

	if (decoder->r < 0)
		return;
	decoder->spaces = 0;
	switch ((enum place)decoder->places[decoder->open--]) {
	case AT_VALUE: /* without a type */
		decoder->scalar = XMLRPC_TEXT;
		emit_scalar(decoder);
		break;
	case AT_SCALAR:
		emit_scalar(decoder);
		break;
	case AT_NAME:
		swap = decoder->member;
		decoder->member = decoder->text;
		decoder->text = swap;
		break;
	case AT_STRUCT:
	case AT_ARRAY_FULL:
		close_container(decoder);
		break;
	case AT_RESPONSE_FULL:
		decoder->end = (uint64_t)XML_GetCurrentByteIndex(decoder->parser);
		break;
	case AT_PARAMS_FULL:
	case AT_PARAM_FULL:
	case AT_VALUE_FULL:
	case AT_DATA:
	case AT_MEMBER_FULL:
		break;
	default:
		stop(decoder, -EBADMSG, "nothing in <%.64s>", name);
	}
}

static void XMLCALL on_text(void *data, const XML_Char *bytes, int length)
{
	struct xmlrpc_decoder *decoder = data;
	enum place place = (enum place)decoder->places[decoder->open];

	if (decoder->r < 0)
		return;
	if (place == AT_VALUE || place == AT_SCALAR || place == AT_NAME) {
		if (decoder->text.length + (size_t)length > XMLRPC_MAX_TEXT)
			stop(decoder, -EMSGSIZE, "a text of more than %u bytes", XMLRPC_MAX_TEXT);
		else if (text_add(&decoder->text, bytes, (size_t)length) < 0)
			stop_with(decoder, error_oom(&decoder->error));
		return;
	}
	for (int i = 0; i < length; i++)
		if (bytes[i] != ' ' && bytes[i] != '\n' && bytes[i] != '\r' && bytes[i] != '\t')
			return stop(decoder, -EBADMSG, "text where none may stand");
	decoder->spaces += (uint64_t)length;
	if (decoder->spaces > XMLRPC_MAX_SPACE)
		stop(decoder, -EMSGSIZE, "more than %u bytes of white space", XMLRPC_MAX_SPACE);
}

static void XMLCALL on_doctype(void *data, const XML_Char *name, const XML_Char *system_id,
			       const XML_Char *public_id, int has_internal)
{
	(void)name;
	(void)system_id;
	(void)public_id;
	(void)has_internal;
	stop_at_start(data, "a document type is not accepted");
}

static void XMLCALL on_declaration(void *data, const XML_Char *version, const XML_Char *encoding,
				   int standalone)
{
	(void)version;
	(void)standalone;
	if (encoding && strcasecmp(encoding, "UTF-8") != 0 && strcasecmp(encoding, "US-ASCII") != 0)
		stop(data, -EBADMSG, "its encoding is %.32s, only UTF-8 is accepted", encoding);
}

/* ---- the door ---- */

int xmlrpc_decoder_new(const struct xmlrpc_handler *handler, struct xmlrpc_decoder **ret,
		       struct error *err)
{
	_cleanup_(xmlrpc_decoder_freep) struct xmlrpc_decoder *decoder =
		calloc(1, sizeof(*decoder));

	if (!decoder)
		return error_oom(err);
	decoder->handler = *handler;
	decoder->parser = XML_ParserCreate("UTF-8");
	if (!decoder->parser || text_reserve(&decoder->text, 0) < 0 ||
	    text_reserve(&decoder->member, 0) < 0)
		return error_oom(err);
	XML_SetUserData(decoder->parser, decoder);
	XML_SetElementHandler(decoder->parser, on_start, on_end);
	XML_SetCharacterDataHandler(decoder->parser, on_text);
	XML_SetStartDoctypeDeclHandler(decoder->parser, on_doctype);
	XML_SetXmlDeclHandler(decoder->parser, on_declaration);
	*ret = steal(decoder);
	return 0;
}

void xmlrpc_decoder_free(struct xmlrpc_decoder *decoder)
{
	if (!decoder)
		return;
	if (decoder->parser)
		XML_ParserFree(decoder->parser);
	text_done(&decoder->text);
	text_done(&decoder->member);
	free(decoder);
}

static void stop_at_error(struct xmlrpc_decoder *decoder, bool last)
{
	enum XML_Error code = XML_GetErrorCode(decoder->parser);

	if (code == XML_ERROR_NO_MEMORY)
		stop_with(decoder, error_oom(&decoder->error));
	else if (last && decoder->fed == 0)
		stop(decoder, -EBADMSG, "the hub's answer is empty");
	else if (decoder->places[0] == AT_DOCUMENT)
		stop_at_start(decoder, XML_ErrorString(code));
	else if (decoder->open == 0)
		stop(decoder, -EBADMSG, "something behind the end of the hub's answer");
	else if (code == XML_ERROR_NO_ELEMENTS || code == XML_ERROR_UNCLOSED_TOKEN ||
		 code == XML_ERROR_PARTIAL_CHAR)
		stop(decoder, -EBADMSG, "the hub's answer ends in the middle");
	else
		stop(decoder, -EBADMSG, "%s", XML_ErrorString(code));
}

static void parse(struct xmlrpc_decoder *decoder, const char *bytes, size_t length, bool last)
{
	enum XML_Status status = XML_Parse(decoder->parser, bytes, (int)length, last);
	XML_Index index;

	decoder->fed += length;
	if (status != XML_STATUS_OK && decoder->r == 0)
		stop_at_error(decoder, last);
	index = XML_GetCurrentByteIndex(decoder->parser);
	if (decoder->r < 0 || index < 0)
		return;
	if (decoder->fed > XMLRPC_MAX_BYTES)
		stop(decoder, -EMSGSIZE, "an answer of more than 1 GiB");
	else if (decoder->fed - (uint64_t)index > XMLRPC_MAX_TOKEN)
		stop(decoder, -EMSGSIZE, "a tag of more than %u bytes", XMLRPC_MAX_TOKEN);
	else if (decoder->places[0] == AT_DOCUMENT && decoder->fed > XMLRPC_MAX_SPACE)
		stop_at_start(decoder, "it does not begin");
	else if (decoder->end && decoder->fed - decoder->end > XMLRPC_MAX_SPACE)
		stop(decoder, -EMSGSIZE, "more than %u bytes behind the end of the hub's answer",
		     XMLRPC_MAX_SPACE);
}

static int told(const struct xmlrpc_decoder *decoder, struct error *err)
{
	if (decoder->r < 0 && err)
		*err = decoder->error;
	return decoder->r;
}

/* Expat looks for UTF-16 even when told UTF-8; its first two characters give it away. */
static void keep_start(struct xmlrpc_decoder *decoder, const char *bytes, size_t length)
{
	size_t room = START_BYTES - decoder->start_length;

	if (length > room)
		length = room;
	memcpy(decoder->start + decoder->start_length, bytes, length);
	decoder->start_length += length;
	for (size_t i = 0; i < decoder->start_length && i < 2; i++)
		if (!decoder->start[i] || (uint8_t)decoder->start[i] >= 0xfe)
			stop(decoder, -EBADMSG, "its encoding is not UTF-8");
}

int xmlrpc_feed(struct xmlrpc_decoder *decoder, const void *bytes, size_t length, struct error *err)
{
	const char *at = bytes;

	if (decoder->start_length < START_BYTES && length)
		keep_start(decoder, at, length);
	while (length > 0 && decoder->r == 0) {
		size_t room = PIECE - decoder->gathered, step = length < room ? length : room;

		memcpy(decoder->piece + decoder->gathered, at, step);
		decoder->gathered += step;
		at += step;
		length -= step;
		if (decoder->gathered == PIECE) {
			parse(decoder, decoder->piece, PIECE, false);
			decoder->gathered = 0;
		}
	}
	return told(decoder, err);
}

int xmlrpc_finish(struct xmlrpc_decoder *decoder, struct xmlrpc_fault *ret_fault, struct error *err)
{
	const struct xmlrpc_fault *fault = &decoder->fault;

	if (decoder->r == 0)
		parse(decoder, decoder->piece, decoder->gathered, true);
	decoder->gathered = 0;
	if (decoder->r < 0 || !decoder->is_fault)
		return told(decoder, err);
	*ret_fault = *fault;
	return error_set(err, -EREMOTEIO, BLAME_SOURCE, NULL, "%s (fault %" PRId64 ")",
			 fault->words[0] ? fault->words : "no words", fault->code);
}

/* ---- faults ---- */

/* May this line be shown? Not when it is one of a traceback, which tells paths of the server, or
 * how a database points at a place in its query. */
static bool is_shown(const char *line, size_t length, bool traceback)
{
	size_t blank = strspn(line, " \t"), dots = 0;

	if (blank >= length || (traceback && blank > 0))
		return false;
	line += blank;
	length -= blank;
	while (dots < length && strchr("^~ \r", line[dots]))
		dots++;
	return dots < length && strncmp(line, "File \"", 6) != 0 &&
	       strncmp(line, "LINE ", 5) != 0 && strncmp(line, "Traceback (most", 15) != 0;
}

static void fault_words(struct xmlrpc_fault *fault, const char *text)
{
	bool traceback = strstr(text, "Traceback (most recent call last)") != NULL;
	const char *shown = text;
	size_t shown_length = 0, length;

	for (const char *line = text; *line; line += length + (line[length] == '\n')) {
		length = strcspn(line, "\n");
		if (is_shown(line, length, traceback)) {
			shown = line;
			shown_length = length;
		}
	}
	one_line(shown, shown_length, fault->words, sizeof(fault->words));
}

void xmlrpc_fault_event(struct xmlrpc_fault *fault, const struct xmlrpc_event *event,
			unsigned int depth)
{
	if (event->depth != depth + 1 || event->end || !event->member)
		return;
	if (strcmp(event->member, "faultCode") == 0 && event->type == XMLRPC_INT)
		fault->code = event->number;
	else if (strcmp(event->member, "faultString") == 0 && event->type == XMLRPC_TEXT)
		fault_words(fault, event->text);
}
