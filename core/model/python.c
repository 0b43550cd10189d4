/* SPDX-License-Identifier: MIT */
/* core/model/python.c: what Python 3 would print for a value, and what its int() makes of one:
 * messages and lifetimes are upstream's, and upstream is written in Python. */
#include "core/model/private.h"

#include <wctype.h>

/* ---- Python's repr ----------------------------------------------------- */

/* What Python writes as an escape though C's locale calls it printable: formats, private use. */
static bool is_hidden(int32_t code)
{
	static const int32_t ranges[][2] = {
		{ 0x0600, 0x0605 },   { 0x061c, 0x061c },    { 0x06dd, 0x06dd },
		{ 0x070f, 0x070f },   { 0x0890, 0x0891 },    { 0x08e2, 0x08e2 },
		{ 0x180e, 0x180e },   { 0x200b, 0x200f },    { 0x2028, 0x202e },
		{ 0x2060, 0x206f },   { 0xe000, 0xf8ff },    { 0xfeff, 0xfeff },
		{ 0xfff9, 0xfffb },   { 0x110bd, 0x110bd },  { 0x110cd, 0x110cd },
		{ 0x13430, 0x1343f }, { 0x1bca0, 0x1bca3 },  { 0x1d173, 0x1d17a },
		{ 0xe0001, 0xe007f }, { 0xf0000, 0x10ffff },
	};

	for (size_t i = 0; i < ARRAY_SIZE(ranges); i++)
		if (code >= ranges[i][0] && code <= ranges[i][1])
			return true;
	return false;
}

static bool is_shown(int32_t code, locale_t locale)
{
	if (code < 0x80)
		return code >= 0x20 && code < 0x7f;
	return code > 0xa0 && code != 0xad && locale && iswprint_l((wint_t)code, locale) &&
	       !iswspace_l((wint_t)code, locale) && !is_hidden(code);
}

static void repr_string(const char *string, locale_t locale, struct text *ret)
{
	const char *end = string + strlen(string);
	char quote = strchr(string, '\'') && !strchr(string, '"') ? '"' : '\'';
	size_t length;

	(void)text_add(ret, &quote, 1);
	for (const char *at = string; at < end; at += length) {
		int32_t code = utf8_next(at, end, &length);

		if (code < 0) { /* not from JSON: shown byte by byte */
			code = (unsigned char)*at;
			length = 1;
			(void)text_addf(ret, "\\x%02" PRIx32, (uint32_t)code);
		} else if (code == quote || code == '\\') {
			(void)text_addf(ret, "\\%c", (int)code);
		} else if (code == '\n' || code == '\r' || code == '\t') {
			(void)text_adds(ret, code == '\n' ? "\\n" : code == '\r' ? "\\r" : "\\t");
		} else if (is_shown(code, locale)) {
			(void)text_add(ret, at, length);
		} else {
			(void)text_addf(ret,
					code < 0x100	 ? "\\x%02" PRIx32
					: code < 0x10000 ? "\\u%04" PRIx32
							 : "\\U%08" PRIx32,
					(uint32_t)code);
		}
	}
	(void)text_add(ret, &quote, 1);
}

/* The shortest digits that give the same number back; an exponent from 1e16 and below 1e-4. */
static void repr_real(double value, struct text *ret)
{
	char digits[40], plain[40];
	int precision, exponent;

	for (precision = 0; precision < 17; precision++) {
		(void)snprintf(digits, sizeof(digits), "%.*e", precision, value);
		if (strtod(digits, NULL) == value)
			break;
	}
	exponent = atoi(strchr(digits, 'e') + 1);
	if (exponent < -4 || exponent >= 16) {
		(void)text_adds(ret, digits);
		return;
	}
	(void)snprintf(plain, sizeof(plain), "%.*f",
		       precision > exponent ? precision - exponent : 1, value);
	(void)text_adds(ret, plain);
}

static void repr_container(const json_t *value, locale_t locale, struct text *ret)
{
	bool first = true;
	const char *key;
	json_t *member;
	size_t i;

	if (json_is_array(value)) {
		(void)text_adds(ret, "[");
		json_array_foreach(value, i, member)
		{
			(void)text_adds(ret, i ? ", " : "");
			python_repr(member, locale, ret);
		}
		(void)text_adds(ret, "]");
		return;
	}
	(void)text_adds(ret, "{");
	for (void *at = json_object_iter((json_t *)(uintptr_t)value); at;
	     at = json_object_iter_next((json_t *)(uintptr_t)value, at)) {
		key = json_object_iter_key(at);
		(void)text_adds(ret, first ? "" : ", ");
		first = false;
		repr_string(key, locale, ret);
		(void)text_adds(ret, ": ");
		python_repr(json_object_iter_value(at), locale, ret);
	}
	(void)text_adds(ret, "}");
}

void python_repr(const json_t *value, locale_t locale, struct text *ret)
{
	switch (json_typeof(value)) {
	case JSON_OBJECT:
	case JSON_ARRAY:
		repr_container(value, locale, ret);
		break;
	case JSON_STRING:
		repr_string(json_string_value(value), locale, ret);
		break;
	case JSON_INTEGER:
		(void)text_addf(ret, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
		break;
	case JSON_REAL:
		repr_real(json_real_value(value), ret);
		break;
	case JSON_TRUE:
		(void)text_adds(ret, "True");
		break;
	case JSON_FALSE:
		(void)text_adds(ret, "False");
		break;
	case JSON_NULL:
		(void)text_adds(ret, "None");
		break;
	}
}

/* ---- Python's int() ---------------------------------------------------- */

/* Blanks around, one sign, digits with single underscores between them. */
static int int_of_string(const char *at, int64_t *ret)
{
	bool negative, digit = false;
	int64_t value = 0;

	at += strspn(at, " \t\r\n\v\f");
	negative = *at == '-';
	if (*at == '-' || *at == '+')
		at++;
	for (; (*at >= '0' && *at <= '9') || (*at == '_' && digit && at[1] != '_'); at++) {
		digit = *at != '_';
		if (!digit)
			continue;
		if (__builtin_mul_overflow(value, 10, &value) ||
		    (negative ? __builtin_sub_overflow(value, *at - '0', &value)
			      : __builtin_add_overflow(value, *at - '0', &value)))
			value = negative ? INT64_MIN : INT64_MAX;
	}
	at += strspn(at, " \t\r\n\v\f");
	if (*at || !digit)
		return -EINVAL;
	*ret = value;
	return 0;
}

int python_int(const json_t *value, int64_t *ret)
{
	double real;

	switch (json_typeof(value)) {
	case JSON_INTEGER:
		*ret = json_integer_value(value);
		return 0;
	case JSON_TRUE:
	case JSON_FALSE:
		*ret = json_is_true(value);
		return 0;
	case JSON_REAL:
		real = json_real_value(value);
		*ret = real >= 0x1p63 ? INT64_MAX : real < -0x1p63 ? INT64_MIN : (int64_t)real;
		return 0;
	case JSON_STRING:
		return int_of_string(json_string_value(value), ret);
	default:
		return -EINVAL;
	}
}
