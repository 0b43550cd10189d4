/* SPDX-License-Identifier: MIT */
/* resolver/header/xml.c: foreign bytes become XML that every reader takes, in the form that libxml2
 * gives it.
 *
 * In content only what has a meaning there is escaped; in attributes all that is not ASCII is, and
 * white space. */
#include "resolver/header/parts.h"

#include <stdarg.h>

enum form { FORM_UTF8, FORM_LATIN };

void sink_add(struct sink *sink, const char *bytes, size_t length)
{
	if (sink->over || length > sink->limit - sink->text.length)
		sink->over = true;
	else
		(void)text_add(&sink->text, bytes, length);
}

void sink_adds(struct sink *sink, const char *string)
{
	sink_add(sink, string, strlen(string));
}

void sink_addf(struct sink *sink, const char *format, ...)
{
	char buffer[256]; /* numbers and words of ours: never longer */
	va_list list;
	int length;

	va_start(list, format);
	length = vsnprintf(buffer, sizeof(buffer), format, list);
	va_end(list);
	sink_add(sink, buffer, (size_t)length);
}

/* The code point at @at and its length; 0: this is not UTF-8. */
static size_t utf8_point(const unsigned char *at, size_t left, uint32_t *ret)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t length = *at < 0xc0 ? 0 : *at < 0xe0 ? 2 : *at < 0xf0 ? 3 : *at < 0xf8 ? 4 : 0;
	uint32_t point = *at;

	if (*at < 0x80) {
		*ret = *at;
		return 1;
	}
	if (!length || length > left)
		return 0;
	point &= 0x7fu >> length;
	for (size_t i = 1; i < length; i++) {
		if ((at[i] & 0xc0) != 0x80)
			return 0;
		point = point << 6 | (at[i] & 0x3f);
	}
	if (point < least[length] || point > 0x10ffff || (point >= 0xd800 && point < 0xe000))
		return 0;
	*ret = point;
	return length;
}

static enum form form_of(const unsigned char *bytes, size_t length)
{
	uint32_t point;

	for (size_t i = 0, n; i < length; i += n) {
		n = utf8_point(bytes + i, length - i, &point);
		if (!n)
			return FORM_LATIN;
	}
	return FORM_UTF8;
}

static bool has_no_form(uint32_t point)
{
	return (point < 0x20 && point != '\t' && point != '\n' && point != '\r') ||
	       point == 0xfffe || point == 0xffff;
}

static const char *escape_of(uint32_t point, bool attribute)
{
	switch (point) {
	case '<':
		return "&lt;";
	case '>':
		return "&gt;";
	case '&':
		return "&amp;";
	case '\r':
		return "&#13;";
	case '"':
		return attribute ? "&quot;" : NULL;
	case '\n':
		return attribute ? "&#10;" : NULL;
	case '\t':
		return attribute ? "&#9;" : NULL;
	default:
		return NULL;
	}
}

static bool is_plain(unsigned char byte)
{
	return byte >= 0x20 && byte < 0x80 && byte != '<' && byte != '>' && byte != '&' &&
	       byte != '"';
}

static void add_point(struct sink *sink, uint32_t point, const char *bytes, size_t length,
		      bool attribute)
{
	const char *escape = escape_of(point, attribute);

	if (has_no_form(point))
		return;
	if (escape)
		sink_adds(sink, escape);
	else if (point >= 0x80 && attribute)
		sink_addf(sink, "&#x%" PRIX32 ";", point);
	else if (point >= 0x80 &&
		 length == 1) /* Latin-1: all letters lie between U+00C0 and U+00FF */
		sink_add(sink, (const char[]){ (char)0xc3, (char)(0x80 | (point & 0x3f)) }, 2);
	else
		sink_add(sink, bytes, length);
}

static void write_text(struct sink *sink, const char *text, size_t length, bool attribute)
{
	const unsigned char *bytes = (const unsigned char *)text;
	enum form form = form_of(bytes, length);
	size_t run;

	for (size_t i = 0, n = 1; i < length && !sink->over; i += n) {
		uint32_t point = bytes[i];

		for (run = i; run < length && is_plain(bytes[run]);)
			run++;
		n = run - i;
		if (n) {
			sink_add(sink, text + i, n);
			continue;
		}
		n = form == FORM_UTF8 ? utf8_point(bytes + i, length - i, &point) : 1;
		if (form == FORM_UTF8 || point < 0x80 || point >= 0xc0)
			add_point(sink, point, text + i, n, attribute);
	}
}

void xml_content(struct sink *sink, const char *bytes, size_t length)
{
	write_text(sink, bytes, length, false);
}

void xml_attribute(struct sink *sink, const char *bytes, size_t length)
{
	write_text(sink, bytes, length, true);
}
