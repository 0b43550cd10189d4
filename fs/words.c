/* SPDX-License-Identifier: MIT */
/* fs/words.c: the rules for names and for what is written to control files. No state, no file. */
#include "fs/words.h"

#include "fs/inode.h"

static bool is_letter_or_digit(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

int request_name_check(const char *name)
{
	if (!is_letter_or_digit(name[0]))
		return -EINVAL;
	for (const char *c = name; *c; c++)
		if (!is_letter_or_digit(*c) && *c != '.' && *c != '_' && *c != '-')
			return -EINVAL;
	return strlen(name) > REQUEST_NAME_MAX ? -ENAMETOOLONG : 0;
}

static bool ends_in(const char *name, size_t length, const char *tail)
{
	size_t n = strlen(tail);

	return length > n && !strcmp(name + length - n, tail);
}

bool temporary_name(const char *name)
{
	size_t length = strlen(name);

	if (!length || length > NAME_LENGTH_MAX || !strcmp(name, ".") || !strcmp(name, ".."))
		return false;
	if (name[0] == '.' || ends_in(name, length, "~") || ends_in(name, length, ".tmp"))
		return true;
	if (length != strlen("sedXXXXXX") || strncmp(name, "sed", 3))
		return false;
	for (const char *c = name + 3; *c; c++)
		if (!is_letter_or_digit(*c))
			return false;
	return true;
}

bool blank(const char *bytes, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if (!is_blank(bytes[i]))
			return false;
	return true;
}

static void trim(const char **bytes, size_t *length)
{
	while (*length && is_blank((*bytes)[0])) {
		(*bytes)++;
		(*length)--;
	}
	while (*length && is_blank((*bytes)[*length - 1]))
		(*length)--;
}

int ttl_parse(const char *bytes, size_t length, int64_t maximum, int64_t *ret)
{
	int64_t value = 0;

	trim(&bytes, &length);
	if (!length)
		return -EINVAL;
	for (size_t i = 0; i < length; i++)
		if (bytes[i] < '0' || bytes[i] > '9')
			return -EINVAL;
	for (size_t i = 0; i < length; i++) {
		if (__builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, bytes[i] - '0', &value))
			return -ERANGE;
	}
	if (!value)
		return -EINVAL;
	if (value > maximum)
		return -ERANGE;
	*ret = value;
	return 0;
}

int command_parse(const char *bytes, size_t length, int64_t maximum, enum command *ret,
		  int64_t *ret_seconds)
{
	static const char *const words[] = { "cancel", "expire", "renew", "resubmit" };
	int64_t seconds = 0;
	size_t word = 0;

	trim(&bytes, &length);
	while (word < length && !is_blank(bytes[word]))
		word++;
	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		if (word != strlen(words[i]) || memcmp(bytes, words[i], word))
			continue;
		if (word < length) {
			int r = i == COMMAND_RENEW
					? ttl_parse(bytes + word, length - word, maximum, &seconds)
					: -EINVAL;
			if (r < 0)
				return r;
		}
		*ret = (enum command)i;
		*ret_seconds = seconds;
		return 0;
	}
	return -EINVAL;
}

int buffer_truncate(struct text *buffer, uint64_t length, size_t limit)
{
	if (length > limit)
		return -EFBIG;
	if (length > buffer->length) {
		if (text_reserve(buffer, length - buffer->length) < 0)
			return -ENOMEM;
		memset(buffer->data + buffer->length, 0, length - buffer->length + 1);
	}
	buffer->length = length;
	if (buffer->data)
		buffer->data[length] = '\0';
	return 0;
}

int buffer_write(struct text *buffer, const char *bytes, size_t length, uint64_t offset,
		 size_t limit)
{
	if (offset > limit || length > limit - offset)
		return -EFBIG;
	if (!length)
		return 0;
	if (offset + length > buffer->length) {
		int r = buffer_truncate(buffer, offset + length, limit);
		if (r < 0)
			return r;
	}
	memcpy(buffer->data + offset, bytes, length);
	return 0;
}

int name_escape(const char *string, struct text *ret)
{
	struct text name = { 0 };
	bool dots = !strcmp(string, ".") || !strcmp(string, "..");

	for (const char *c = string; *c; c++) {
		if (*c == '/')
			text_adds(&name, "%2F");
		else if (*c == '%')
			text_adds(&name, "%25");
		else if (dots)
			text_adds(&name, "%2E");
		else
			text_add(&name, c, 1);
	}
	if (name.length > NAME_LENGTH_MAX) {
		char hex[DIGEST_HEX_SIZE];

		sha256_hex(string, strlen(string), hex);
		name.length = NAME_LENGTH_MAX - 17;
		text_addf(&name, "~%.16s", hex);
	}
	if (!name.failed && name.length)
		text_add(ret, name.data, name.length);
	if (name.failed || ret->failed) {
		text_done(&name);
		return -ENOMEM;
	}
	text_done(&name);
	return 0;
}

int64_t name_key(const char *name)
{
	char hex[DIGEST_HEX_SIZE];
	uint8_t bytes[8];
	uint64_t key = 0;

	sha256_hex(name, strlen(name), hex);
	hex[2 * sizeof(bytes)] = '\0';
	(void)hex_parse(hex, bytes, sizeof(bytes)); /* our own digits */
	for (size_t i = 0; i < sizeof(bytes); i++)
		key = key << 8 | bytes[i];
	return (int64_t)(key & (uint64_t)(INODE_VIEW_KEY_MAX - 1));
}
