/* SPDX-License-Identifier: MIT */
/* core/base/text.c: bytes that grow, and lists of strings. */
#include "core/base/base.h"

#include <ctype.h>
#include <stdarg.h>

int text_reserve(struct text *text, size_t more)
{
	size_t need = text->length + more + 1, room = text->room ? text->room : 64;
	char *data;

	if (text->failed || need < more)
		goto fail;
	if (need <= text->room)
		return 0;
	while (room < need) {
		if (room > SIZE_MAX / 2)
			goto fail;
		room *= 2;
	}
	data = realloc(text->data, room);
	if (!data)
		goto fail;
	if (!text->data)
		data[0] = '\0';
	text->data = data;
	text->room = room;
	return 0;
fail:
	text->failed = true;
	return -ENOMEM;
}

int text_add(struct text *text, const void *bytes, size_t length)
{
	int r = text_reserve(text, length);

	if (r < 0)
		return r;
	if (length)
		memcpy(text->data + text->length, bytes, length);
	text->length += length;
	text->data[text->length] = '\0';
	return 0;
}

int text_adds(struct text *text, const char *string)
{
	return text_add(text, string, strlen(string));
}

int text_addf(struct text *text, const char *format, ...)
{
	va_list arguments;
	int length, r;

	va_start(arguments, format);
	length = vsnprintf(NULL, 0, format, arguments);
	va_end(arguments);
	if (length < 0) {
		text->failed = true;
		return -ENOMEM;
	}
	r = text_reserve(text, (size_t)length);
	if (r < 0)
		return r;
	va_start(arguments, format);
	(void)vsnprintf(text->data + text->length, (size_t)length + 1, format, arguments);
	va_end(arguments);
	text->length += (size_t)length;
	return 0;
}

char *text_steal(struct text *text)
{
	char *data;

	if (text->failed || text_reserve(text, 0) < 0) {
		text_done(text);
		return NULL;
	}
	data = text->data;
	*text = (struct text){ 0 };
	return data;
}

void text_clear(struct text *text)
{
	text->length = 0;
	text->failed = false;
	if (text->data)
		text->data[0] = '\0';
}

void text_done(struct text *text)
{
	free(text->data);
	*text = (struct text){ 0 };
}

int strings_addn(struct strings *list, const char *string, size_t n)
{
	char *copy;

	if (list->count == list->room) {
		size_t room = list->room ? list->room * 2 : 8;
		char **item = reallocarray(list->item, room, sizeof(*item));

		if (!item)
			return -ENOMEM;
		list->item = item;
		list->room = room;
	}
	copy = malloc(n + 1);
	if (!copy)
		return -ENOMEM;
	memcpy(copy, string, n);
	copy[n] = '\0';
	list->item[list->count++] = copy;
	return 0;
}

int strings_add(struct strings *list, const char *string)
{
	return strings_addn(list, string, strlen(string));
}

int strings_copy(struct strings *list, const struct strings *from)
{
	for (size_t i = 0; i < from->count; i++) {
		int r = strings_add(list, from->item[i]);

		if (r < 0)
			return r;
	}
	return 0;
}

bool strings_has(const struct strings *list, const char *string)
{
	for (size_t i = 0; i < list->count; i++)
		if (!strcmp(list->item[i], string))
			return true;
	return false;
}

int strings_split(struct strings *list, const char *string, char separator)
{
	const char *at = string;

	while (*at) {
		const char *end = strchrnul(at, separator);

		if (end > at) {
			int r = strings_addn(list, at, (size_t)(end - at));

			if (r < 0)
				return r;
		}
		at = *end ? end + 1 : end;
	}
	return 0;
}

char *strings_join(const struct strings *list, const char *separator)
{
	struct text text = { 0 };

	for (size_t i = 0; i < list->count; i++) {
		if (i)
			(void)text_adds(&text, separator);
		(void)text_adds(&text, list->item[i]);
	}
	return text_steal(&text);
}

static int compare_strings(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

void strings_sort(struct strings *list)
{
	if (list->count > 1)
		qsort(list->item, list->count, sizeof(*list->item), compare_strings);
}

bool strings_has_sorted(const struct strings *sorted, const char *string)
{
	return sorted->count && bsearch(&string, sorted->item, sorted->count, sizeof(*sorted->item),
					compare_strings);
}

void strings_done(struct strings *list)
{
	for (size_t i = 0; i < list->count; i++)
		free(list->item[i]);
	free(list->item);
	*list = (struct strings){ 0 };
}

int parse_int64(const char *string, int64_t *ret)
{
	long long value;
	char *end;

	if (!isdigit((unsigned char)string[string[0] == '-']))
		return -EINVAL;
	errno = 0;
	value = strtoll(string, &end, 10);
	if (*end)
		return -EINVAL;
	if (errno == ERANGE)
		return -ERANGE;
	*ret = value;
	return 0;
}

int parse_size(const char *string, int64_t *ret)
{
	static const char units[] = "KMGT";
	_cleanup_(freep) char *digits = strdup(string);
	size_t length = strlen(string);
	const char *unit;
	int64_t number;
	int r;

	if (!digits)
		return -ENOMEM;
	unit = length ? strchr(units, toupper((unsigned char)string[length - 1])) : NULL;
	if (unit)
		digits[length - 1] = '\0';
	r = parse_int64(digits, &number);
	if (r < 0)
		return r;
	for (long i = 0; unit && i <= unit - units; i++)
		if (__builtin_mul_overflow(number, 1024, &number))
			return -ERANGE;
	*ret = number;
	return 0;
}

bool has_control(const char *bytes, size_t length)
{
	unsigned int found = 0;

	for (size_t i = 0; i < length; i++) { /* no way out between: many bytes at once */
		unsigned char c = (unsigned char)bytes[i];

		found |= (unsigned int)(c < 0x20) | (unsigned int)(c == 0x7f);
	}
	return found;
}

const char *path_rest(const char *path, const char *prefix)
{
	size_t length = strlen(prefix);

	while (length && prefix[length - 1] == '/')
		length--;
	if (strncmp(path, prefix, length) != 0 || (path[length] && path[length] != '/'))
		return NULL;
	return path + length;
}

bool path_has_dots(const char *path)
{
	for (const char *at = path; (at = strstr(at, "/.")); at += 2)
		if (at[2] == '/' || !at[2] || (at[2] == '.' && (at[3] == '/' || !at[3])))
			return true;
	return false;
}
