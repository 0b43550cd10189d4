/* SPDX-License-Identifier: MIT */
/* resolver/modules/words.c: words of a request: name:stream[:version[:context]], or with dashes,
 * which can be read in several ways. */
#include "resolver/modules/parts.h"

#include <ctype.h>

static void wish_done(struct module_wish *wish)
{
	strings_done(&wish->parts);
	free(wish->reading);
	free(wish->text);
}

void module_wishes_done(struct module_wishes *wishes)
{
	for (size_t i = 0; i < wishes->count; i++)
		wish_done(&wishes->wish[i]);
	free(wishes->wish);
	*wishes = (struct module_wishes){ 0 };
}

/* What a reading is made of: a part of the word; an empty one is none. */
static int put(struct module_wish *wish, const char **part, const char *from, size_t length,
	       struct error *err)
{
	if (length == 0)
		return 0;
	if (strings_addn(&wish->parts, from, length) < 0)
		return error_oom(err);
	*part = wish->parts.item[wish->parts.count - 1];
	return 0;
}

static int refuse(struct error *err, const char *word)
{
	return error_set(err, -EINVAL, BLAME_REQUEST, "source.source",
			 "Module definition must be in \"n:s\", \"n:s:v\" or \"n:s:v:c\" format, "
			 "but got %s",
			 word);
}

static int refuse_version(struct error *err, const char *word, const char *version)
{
	return error_set(err, -EINVAL, BLAME_REQUEST, "source.source",
			 "%s: the version of a module is a whole number, not %s", word, version);
}

static int read_colons(struct module_wish *wish, struct error *err)
{
	struct module_word *reading = wish->reading;
	const char **part[] = { &reading->name, &reading->stream, &reading->version,
				&reading->context };
	const char *at = wish->text;
	uint64_t version;
	size_t i = 0;

	wish->reading_count = 1;
	for (;; i++) {
		size_t length = strcspn(at, ":");
		int r;

		if (i == ARRAY_SIZE(part) || length == 0)
			return refuse(err, wish->text);
		r = put(wish, part[i], at, length, err);
		if (r < 0)
			return r;
		if (!at[length])
			break;
		at += length + 1;
	}
	if (!reading->stream)
		return refuse(err, wish->text);
	if (reading->version && module_version(reading->version, &version) < 0)
		return refuse_version(err, wish->text, reading->version);
	return 0;
}

/* "@text" is cut at @first and, for a version, at @second. */
static int add_reading(struct module_wish *wish, size_t first, size_t second, struct error *err)
{
	struct module_word *reading = &wish->reading[wish->reading_count];
	size_t length = strlen(wish->text), end = second ? second : length;
	int r;

	if (wish->reading_count == MODULES_MAX_READINGS)
		return error_set(err, -EINVAL, BLAME_REQUEST, "source.source",
				 "%s can be read in more than %u ways: write name:stream",
				 wish->text, MODULES_MAX_READINGS);
	wish->reading_count++;
	r = put(wish, &reading->name, wish->text, first, err);
	if (r == 0)
		r = put(wish, &reading->stream, wish->text + first + 1, end - first - 1, err);
	if (r == 0 && second)
		r = put(wish, &reading->version, wish->text + second + 1, length - second - 1, err);
	return r;
}

/* name-stream for each dash; when the last part is a number, name-stream-version too. */
static int read_dashes(struct module_wish *wish, struct error *err)
{
	const char *text = wish->text, *last = strrchr(text, '-');
	uint64_t version;
	bool versioned = last && module_version(last + 1, &version) == 0;
	size_t length = strlen(text);
	int r = 0;

	for (size_t i = 1; i + 1 < length && r == 0; i++) {
		if (text[i] != '-')
			continue;
		r = add_reading(wish, i, 0, err);
		if (r == 0 && versioned && text + i + 1 < last)
			r = add_reading(wish, i, (size_t)(last - text), err);
	}
	if (r < 0)
		return r;
	return wish->reading_count ? 0 : refuse(err, text);
}

/* Is it a control character beyond ASCII, U+0080 to U+009F? */
static bool is_late_control(const char *at)
{
	return (unsigned char)at[0] == 0xc2 && (unsigned char)at[1] < 0xa0;
}

/* Characters that would mean something to a hub's glob, to a URL or to YAML have no place in names.
 */
static bool is_plain(const char *word)
{
	for (; *word; word++)
		if ((unsigned char)*word <= ' ' || *word == 127 || is_late_control(word) ||
		    strchr("*?[]\\\"'%&=#/", *word))
			return false;
	return true;
}

bool module_is_part(const char *text)
{
	return is_plain(text) && !strchr(text, ':');
}

void module_clean(char *words)
{
	for (; *words; words++) {
		if ((unsigned char)*words < ' ' || *words == 127)
			*words = ' ';
		else if (is_late_control(words))
			words[0] = words[1] = ' ';
	}
}

static bool is_there(const struct module_wishes *wishes, const char *word, size_t length)
{
	for (size_t i = 0; i < wishes->count; i++)
		if (strlen(wishes->wish[i].text) == length &&
		    memcmp(wishes->wish[i].text, word, length) == 0)
			return true;
	return false;
}

static int add_wish(struct module_wishes *wishes, const char *word, size_t length,
		    struct error *err)
{
	struct module_wish *more, *wish;

	if (is_there(wishes, word, length))
		return 0;
	if (wishes->count == SPEC_MAX_WORDS)
		return error_set(err, -E2BIG, BLAME_REQUEST, "source.source",
				 "more than %u modules", SPEC_MAX_WORDS);
	more = reallocarray(wishes->wish, wishes->count + 1, sizeof(*more));
	if (!more)
		return error_oom(err);
	wishes->wish = more;
	wish = &more[wishes->count++];
	*wish = (struct module_wish){
		.text = strndup(word, length),
		.reading = calloc(MODULES_MAX_READINGS, sizeof(*wish->reading)),
	};
	if (!wish->text || !wish->reading)
		return error_oom(err);
	if (!is_plain(wish->text))
		return refuse(err, wish->text);
	return strchr(wish->text, ':') ? read_colons(wish, err) : read_dashes(wish, err);
}

int modules_parse_source(const struct strings *words, struct module_wishes *ret, struct error *err)
{
	_cleanup_(module_wishes_done) struct module_wishes wishes = { 0 };
	int r = 0;

	for (size_t i = 0; i < words->count && r == 0; i++) {
		const char *at = words->item[i];

		while (*at && r == 0) {
			size_t length = 0;

			while (isspace((unsigned char)*at))
				at++;
			while (at[length] && !isspace((unsigned char)at[length]))
				length++;
			if (length)
				r = add_wish(&wishes, at, length, err);
			at += length;
		}
	}
	if (r < 0)
		return r;
	*ret = wishes;
	wishes = (struct module_wishes){ 0 };
	return 0;
}
