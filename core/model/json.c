/* SPDX-License-Identifier: MIT */
/* core/model/json.c: JSON text in, JSON text out.
 *
 * The text is walked once without recursion before jansson sees it: jansson cannot tell a text that
 * is still being written from a wrong one, and it would recurse as deep as the text tells it to. */
#include "core/model/private.h"

/* ---- UTF-8 ------------------------------------------------------------- */

/* -2: the bytes up to @end are the beginning of a character */
static int32_t utf8_decode(const char *at, const char *end, size_t *ret_length)
{
	static const int32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	const unsigned char *byte = (const unsigned char *)at;
	size_t length = byte[0] < 0x80	 ? 1
			: byte[0] < 0xc2 ? 0
			: byte[0] < 0xe0 ? 2
			: byte[0] < 0xf0 ? 3
			: byte[0] < 0xf5 ? 4
					 : 0;
	int32_t code;

	if (!length)
		return -1;
	code = length == 1 ? byte[0] : byte[0] & (0x7f >> length);
	for (size_t i = 1; i < length; i++) {
		if (at + i >= end)
			return -2;
		if ((byte[i] & 0xc0) != 0x80)
			return -1;
		code = code << 6 | (byte[i] & 0x3f);
	}
	if (code < least[length] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
		return -1;
	*ret_length = length;
	return code;
}

int32_t utf8_next(const char *at, const char *end, size_t *ret_length)
{
	int32_t code = utf8_decode(at, end, ret_length);

	return code < 0 ? -1 : code;
}

size_t utf8_cut(const char *text, size_t limit)
{
	size_t length = strnlen(text, limit + 1);

	if (length <= limit)
		return length;
	while (limit && ((unsigned char)text[limit] & 0xc0) == 0x80)
		limit--;
	return limit;
}

/* ---- the walk before jansson's ----------------------------------------- */

#define NOT_JSON "this is not JSON"

enum scan { SCAN_GOOD, SCAN_SHORT, SCAN_BAD, SCAN_DEEP };
enum expect { WANT_VALUE, WANT_VALUE_OR_END, WANT_KEY, WANT_KEY_OR_END, WANT_COLON, WANT_COMMA };

struct scanner {
	char *at;
	char *end; /* *end is NUL */
};

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* The "uXXXX" of an escape. */
static enum scan scan_unit(struct scanner *scanner, unsigned int *ret)
{
	static const char digits[] = "0123456789abcdefABCDEF";

	*ret = 0;
	for (int i = 0; i < 5; i++, scanner->at++) {
		const char *digit = digits;

		if (scanner->at == scanner->end)
			return SCAN_SHORT;
		if (i ? !*scanner->at || !(digit = strchr(digits, *scanner->at))
		      : *scanner->at != 'u')
			return SCAN_BAD;
		*ret = *ret << 4 | (unsigned int)(digit - digits - (digit - digits > 15 ? 6 : 0));
	}
	return SCAN_GOOD;
}

/* What follows a backslash; half a surrogate pair is no character. */
static enum scan scan_escape(struct scanner *scanner)
{
	unsigned int unit;
	enum scan scan;

	if (scanner->at == scanner->end)
		return SCAN_SHORT;
	if (*scanner->at != 'u')
		return *scanner->at && strchr("\"\\/bfnrt", *scanner->at++) ? SCAN_GOOD : SCAN_BAD;
	scan = scan_unit(scanner, &unit);
	if (scan != SCAN_GOOD || unit < 0xd800 || unit > 0xdfff)
		return scan;
	if (unit >= 0xdc00)
		return SCAN_BAD;
	if (scanner->at == scanner->end)
		return SCAN_SHORT;
	if (*scanner->at++ != '\\')
		return SCAN_BAD;
	scan = scan_unit(scanner, &unit);
	return scan == SCAN_GOOD && (unit < 0xdc00 || unit > 0xdfff) ? SCAN_BAD : scan;
}

static enum scan scan_string(struct scanner *scanner)
{
	scanner->at++;
	while (scanner->at < scanner->end) {
		unsigned char byte = (unsigned char)*scanner->at;
		enum scan scan = SCAN_GOOD;
		size_t length = 1;

		if (byte == '"') {
			scanner->at++;
			return SCAN_GOOD;
		}
		if (byte < 0x20)
			return SCAN_BAD;
		if (byte == '\\') {
			scanner->at++;
			scan = scan_escape(scanner);
			length = 0;
		} else if (byte >= 0x80) {
			int32_t code = utf8_decode(scanner->at, scanner->end, &length);

			scan = code == -2 ? SCAN_SHORT : code < 0 ? SCAN_BAD : SCAN_GOOD;
		}
		if (scan != SCAN_GOOD)
			return scan;
		scanner->at += length;
	}
	return SCAN_SHORT;
}

static enum scan scan_digits(struct scanner *scanner)
{
	char *start = scanner->at;

	while (scanner->at < scanner->end && *scanner->at >= '0' && *scanner->at <= '9')
		scanner->at++;
	if (scanner->at == scanner->end)
		return SCAN_SHORT;
	return scanner->at > start ? SCAN_GOOD : SCAN_BAD;
}

/* Python has integers of any size, jansson has 64 bits: put the nearest one in place. White space
 * may follow a number, so the length stays; overflow means there is room. */
static void saturate(char *start, const char *end)
{
	char digits[24];
	int64_t value;
	size_t length;

	errno = 0;
	value = strtoll(start, NULL, 10);
	if (errno != ERANGE)
		return;
	length = (size_t)snprintf(digits, sizeof(digits), "%" PRId64, value);
	memset(start, ' ', (size_t)(end - start));
	memcpy(start, digits, length);
}

static enum scan scan_number(struct scanner *scanner)
{
	char *start = scanner->at;
	bool whole = true;
	enum scan scan;

	if (*scanner->at == '-')
		scanner->at++;
	if (scanner->at < scanner->end && *scanner->at == '0')
		scanner->at++;
	else if ((scan = scan_digits(scanner)) != SCAN_GOOD)
		return scan;
	if (scanner->at < scanner->end && *scanner->at == '.') {
		whole = false;
		scanner->at++;
		scan = scan_digits(scanner);
		if (scan != SCAN_GOOD)
			return scan;
	}
	if (scanner->at < scanner->end && (*scanner->at == 'e' || *scanner->at == 'E')) {
		whole = false;
		scanner->at++;
		if (scanner->at < scanner->end && (*scanner->at == '+' || *scanner->at == '-'))
			scanner->at++;
		scan = scan_digits(scanner);
		if (scan != SCAN_GOOD)
			return scan;
	}
	if (scanner->at == scanner->end)
		return SCAN_SHORT;
	if (whole)
		saturate(start, scanner->at);
	return SCAN_GOOD;
}

static enum scan scan_literal(struct scanner *scanner, const char *word)
{
	for (; *word; word++, scanner->at++) {
		if (scanner->at == scanner->end)
			return SCAN_SHORT;
		if (*scanner->at != *word)
			return SCAN_BAD;
	}
	return SCAN_GOOD;
}

static enum scan scan_scalar(struct scanner *scanner)
{
	switch (*scanner->at) {
	case '"':
		return scan_string(scanner);
	case 't':
		return scan_literal(scanner, "true");
	case 'f':
		return scan_literal(scanner, "false");
	case 'n':
		return scan_literal(scanner, "null");
	case '-':
	case '0' ... '9':
		return scan_number(scanner);
	default:
		return SCAN_BAD;
	}
}

/* What is open around @scanner: objects and lists. */
struct nest {
	bool object[SPEC_MAX_DEPTH];
	int depth;
	enum expect want;
};

static bool closes(const struct nest *nest, char c)
{
	if (nest->want == WANT_KEY_OR_END)
		return c == '}';
	if (nest->want == WANT_VALUE_OR_END)
		return c == ']';
	return nest->want == WANT_COMMA && c == (nest->object[nest->depth - 1] ? '}' : ']');
}

/* One token; a value that ends leaves WANT_COMMA behind. */
static enum scan scan_token(struct scanner *scanner, struct nest *nest)
{
	enum scan scan = SCAN_GOOD;
	char c = *scanner->at;

	if (closes(nest, c)) {
		scanner->at++;
		nest->depth--;
		nest->want = WANT_COMMA;
	} else if (nest->want == WANT_COMMA) {
		if (c != ',')
			return SCAN_BAD;
		scanner->at++;
		nest->want = nest->object[nest->depth - 1] ? WANT_KEY : WANT_VALUE;
	} else if (nest->want == WANT_COLON) {
		if (c != ':')
			return SCAN_BAD;
		scanner->at++;
		nest->want = WANT_VALUE;
	} else if (nest->want == WANT_KEY || nest->want == WANT_KEY_OR_END) {
		scan = c == '"' ? scan_string(scanner) : SCAN_BAD;
		nest->want = WANT_COLON;
	} else if (c == '{' || c == '[') {
		if (nest->depth == SPEC_MAX_DEPTH)
			return SCAN_DEEP;
		scanner->at++;
		nest->object[nest->depth++] = c == '{';
		nest->want = c == '{' ? WANT_KEY_OR_END : WANT_VALUE_OR_END;
	} else {
		scan = scan_scalar(scanner);
		nest->want = WANT_COMMA;
	}
	return scan;
}

/* One value of any type; @scanner ends behind it, or where it went wrong. */
static enum scan scan_value(struct scanner *scanner)
{
	struct nest nest = { .want = WANT_VALUE };

	do {
		enum scan scan;

		while (scanner->at < scanner->end && is_blank(*scanner->at))
			scanner->at++;
		if (scanner->at == scanner->end)
			return SCAN_SHORT;
		scan = scan_token(scanner, &nest);
		if (scan != SCAN_GOOD)
			return scan;
	} while (nest.depth || nest.want != WANT_COMMA);
	return SCAN_GOOD;
}

static void describe(char why[static JSON_WHY_SIZE], const char *text, const char *at,
		     const char *words)
{
	size_t line = 1, column = 1;

	for (; text < at; text++) {
		column = *text == '\n' ? 1 : column + 1;
		line += *text == '\n';
	}
	(void)snprintf(why, JSON_WHY_SIZE, "line %zu, column %zu: %s", line, column, words);
}

/* 0, or -EAGAIN, -EINVAL, -ENOTSUP with words. A blank and a NUL follow the text. */
static int scan_text(char *text, size_t length, char why[static JSON_WHY_SIZE])
{
	struct scanner scanner = { .at = text, .end = text + length };
	size_t start = strspn(text, " \t\r\n");
	bool object = start >= length || text[start] == '{';
	enum scan scan;

	/* only an object is ever unfinished; a bare number ends at the blank */
	scanner.end += !object;
	scan = scan_value(&scanner);
	if (scan == SCAN_SHORT && !object)
		scan = SCAN_BAD;
	if (scan == SCAN_SHORT) {
		describe(why, text, scanner.end, "the text ends before the JSON object does");
		return -EAGAIN;
	}
	if (scan == SCAN_DEEP) {
		_Static_assert(SPEC_MAX_DEPTH == 16, "the words say so");
		describe(why, text, scanner.at, "objects and lists are nested more than 16 deep");
		return -ENOTSUP;
	}
	if (scan == SCAN_GOOD)
		scanner.at += strspn(scanner.at, " \t\r\n");
	if (scan == SCAN_BAD || scanner.at < scanner.end) {
		describe(why, text, scanner.at,
			 scan == SCAN_BAD ? NOT_JSON : "something follows the JSON value");
		return -EINVAL;
	}
	return 0;
}

/* What jansson finds in JSON that is good otherwise; NULL for anything else. */
static const char *decode_fault(enum json_error_code code)
{
	switch (code) {
	case json_error_duplicate_key:
		return "a member is given twice";
	case json_error_numeric_overflow:
		return "a number is too large";
	case json_error_null_character:
	case json_error_null_byte_in_key:
		return "a string holds a NUL character";
	default:
		return NULL;
	}
}

int json_text_load(const char *text, size_t length, json_t **ret,
		   char ret_why[static JSON_WHY_SIZE])
{
	_cleanup_(freep) char *copy = malloc(length + 2);
	json_error_t error;
	json_t *json;
	int r;

	if (!copy)
		return -ENOMEM;
	if (length)
		memcpy(copy, text, length);
	memcpy(copy + length, " ", 2);
	r = scan_text(copy, length, ret_why);
	if (r < 0)
		return r;
	json = json_loadb(copy, length, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
	if (!json) {
		const char *words = decode_fault(json_error_code(&error));

		if (!words) /* the form was found good: jansson, which tells it badly, is out of
			       memory */
			return -ENOMEM;
		(void)snprintf(ret_why, JSON_WHY_SIZE, "line %d, column %d: %s", error.line,
			       error.column, words);
		return -ENOTSUP;
	}
	*ret = json;
	return 0;
}

json_t *json_any_text(const char *text)
{
	const char *end = text + strlen(text);
	json_t *json = json_string(text);
	_cleanup_(freep) char *good = NULL;
	struct text copy = { 0 };
	size_t length;

	if (json)
		return json;
	for (const char *at = text; at < end; at += length) {
		if (utf8_next(at, end, &length) >= 0) {
			(void)text_add(&copy, at, length);
			continue;
		}
		(void)text_adds(&copy, "\xef\xbf\xbd");
		length = 1;
	}
	good = text_steal(&copy);
	return good ? json_string_nocheck(good) : NULL;
}

/* \u00E9 → \u00e9, as Python writes it: whoever compares bytes has Python's in his hands. */
static void lower_escapes(char *text)
{
	for (char *at = text; (at = strchr(at, '\\')); at += 2)
		for (int i = 2; at[1] == 'u' && i < 6; i++)
			if (at[i] >= 'A' && at[i] <= 'F')
				at[i] = (char)(at[i] - 'A' + 'a');
}

int json_print(const json_t *json, struct text *ret)
{
	const size_t flags = JSON_SORT_KEYS | JSON_COMPACT | JSON_ENSURE_ASCII | JSON_ENCODE_ANY;
	_cleanup_(freep) char *text = json_dumps(json, flags);

	if (!text)
		return -ENOMEM;
	lower_escapes(text);
	return text_adds(ret, text);
}

char *json_line(const json_t *json)
{
	struct text text = { 0 };

	if (json_print(json, &text) < 0)
		text.failed = true;
	(void)text_adds(&text, "\n");
	return text_steal(&text);
}
