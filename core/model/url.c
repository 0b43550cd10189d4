/* SPDX-License-Identifier: MIT */
/* core/model/url.c: URLs that requests name, and whether they lie below a place that the site
 * allows.
 *
 * Two spellings of one place must not be judged differently, and one that several programs read
 * differently must not be judged at all: what is unusual is refused, what remains is written in one
 * way. Nothing here looks at the network: which address a host has is judged where it is connected
 * to. */
#include "core/model/private.h"

#include <ctype.h>
#include <strings.h>

#define URL_HOST_MAX 255
#define NAMED "repo:"

static const struct {
	const char *prefix;
	enum url_kind kind;
} kinds[] = {
	{ "metalink:", URL_METALINK },
	{ "mirrorlist:", URL_MIRRORLIST },
};

static const struct {
	const char *name, *port;
} schemes[] = { { "http", "80" }, { "https", "443" }, { "ftp", "21" } };

static bool has_scheme(const char *text)
{
	for (size_t i = 0; i < ARRAY_SIZE(schemes); i++) {
		size_t length = strlen(schemes[i].name);

		if (!strncasecmp(text, schemes[i].name, length) &&
		    !strncmp(text + length, "://", 3))
			return true;
	}
	return false;
}

enum url_kind url_kind(const char *word, const char **ret_url)
{
	const char *url = word;
	enum url_kind kind = URL_BASE;

	if (!strncmp(word, NAMED, strlen(NAMED))) {
		if (ret_url)
			*ret_url = word + strlen(NAMED);
		return URL_NAMED;
	}
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (!strncmp(word, kinds[i].prefix, strlen(kinds[i].prefix))) {
			url = word + strlen(kinds[i].prefix);
			kind = kinds[i].kind;
		}
	if (!has_scheme(url))
		return URL_NONE;
	if (ret_url)
		*ret_url = url;
	return kind;
}

bool url_name_check(const char *name)
{
	size_t length = strlen(name);

	return length && length <= 64 && isalnum((unsigned char)*name) &&
	       strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") ==
		       length;
}

const char *url_named(const struct strings *names, const char *name)
{
	size_t length = strlen(name);

	for (size_t i = 0; i < names->count; i++)
		if (!strncmp(names->item[i], name, length) && names->item[i][length] == '=')
			return names->item[i] + length + 1;
	return NULL;
}

/* ---- one spelling ------------------------------------------------------ */

/* A part of what is being read: fault says what is wrong with it. */
struct spelling {
	struct text out;
	const char *fault;
};

static int hex_digit(char c)
{
	return c >= '0' && c <= '9'	    ? c - '0'
	       : isxdigit((unsigned char)c) ? (c | 0x20) - 'a' + 10
					    : -1;
}

static bool is_plain(char c)
{
	return isalnum((unsigned char)c) || strchr("-._~", c);
}

/* [IPv6 address]: what it is is found out by whoever connects */
static size_t bracketed(const char *host)
{
	size_t length = strspn(host + 1, "0123456789abcdefABCDEF:.");

	return length && host[length + 1] == ']' ? length + 2 : 0;
}

static const char *spell_host(struct spelling *spelling, const char *at)
{
	size_t length = *at == '[' ? bracketed(at) : 0;
	char host[URL_HOST_MAX + 1];

	if (!length && *at != '[')
		while (at[length] &&
		       (isalnum((unsigned char)at[length]) || strchr("-._", at[length])))
			length++;
	if (!length || length > URL_HOST_MAX || *at == '.') {
		spelling->fault = "has no host, or a strange one";
		return at;
	}
	for (size_t i = 0; i < length; i++)
		host[i] = (char)tolower((unsigned char)at[i]);
	at += length;
	while (length > 1 && host[length - 1] == '.') /* the root of all names */
		length--;
	(void)text_add(&spelling->out, host, length);
	return at;
}

static const char *spell_port(struct spelling *spelling, const char *at, const char *known)
{
	size_t length;
	long port;

	if (*at != ':')
		return at;
	at++;
	length = strspn(at, "0123456789");
	port = length && length <= 5 ? strtol(at, NULL, 10) : length ? 0 : strtol(known, NULL, 10);
	if (port < 1 || port > 65535)
		spelling->fault = "has a port that is none";
	else if (port != strtol(known, NULL, 10))
		(void)text_addf(&spelling->out, ":%ld", port);
	return at + length;
}

/* "%41" is "A"; what hides a separator or the end of a text is refused. Returns how long it is */
static size_t spell_percent(struct spelling *spelling, const char *at)
{
	int high = hex_digit(at[1]), low = high < 0 ? -1 : hex_digit(at[2]);
	int value = low < 0 ? -1 : high * 16 + low;

	if (value < 0x20 || value == 0x7f || value == '/' || value == '\\') {
		spelling->fault = "has a % where it may not be";
		return 1; /* the text may end behind it */
	}
	if (value < 0x80 && is_plain((char)value))
		(void)text_add(&spelling->out, (char[]){ (char)value }, 1);
	else
		(void)text_addf(&spelling->out, "%%%02X", (unsigned int)value);
	return 3;
}

static const char *spell_until(struct spelling *spelling, const char *at, const char *ends)
{
	while (*at && !strchr(ends, *at) && !spelling->fault) {
		unsigned char c = (unsigned char)*at;

		if (c == '%') {
			at += spell_percent(spelling, at);
			continue;
		}
		if (c <= 0x20 || c >= 0x7f || strchr("\\\"<>^`{|}", c))
			spelling->fault = "has a character that must be written as %XX";
		(void)text_add(&spelling->out, at++, 1);
	}
	return at;
}

static bool has_dots(const char *path)
{
	for (const char *part = path; part; part = strchr(part + 1, '/')) {
		size_t length = strcspn(part + 1, "/?");

		if ((length == 1 && part[1] == '.') ||
		    (length == 2 && part[1] == '.' && part[2] == '.'))
			return true;
	}
	return false;
}

static void spell(struct spelling *spelling, const char *url, bool query)
{
	size_t known = 0, length, path;

	while (known < ARRAY_SIZE(schemes) - 1 &&
	       (strncasecmp(url, schemes[known].name, strlen(schemes[known].name)) != 0 ||
		url[strlen(schemes[known].name)] != ':'))
		known++;
	(void)text_addf(&spelling->out, "%s://", schemes[known].name);
	url += strlen(schemes[known].name) + 3;
	length = strcspn(url, "/?#");
	if (memchr(url, '@', length)) {
		spelling->fault = "must not hold a user or a password";
		return;
	}
	url = spell_host(spelling, url);
	if (!spelling->fault)
		url = spell_port(spelling, url, schemes[known].port);
	if (!spelling->fault && *url && !strchr("/?#", *url))
		spelling->fault = "has no host, or a strange one";
	path = spelling->out.length;
	if (*url != '/')
		(void)text_adds(&spelling->out, "/");
	if (!spelling->fault)
		url = spell_until(spelling, url, "?#");
	if (!spelling->fault && !spelling->out.failed && has_dots(spelling->out.data + path))
		spelling->fault = "has \".\" or \"..\" in its path";
	if (!spelling->fault && *url == '?' && query) {
		(void)text_adds(&spelling->out, "?");
		url = spell_until(spelling, url + 1, "#");
	}
	if (!spelling->fault && *url)
		spelling->fault = query ? "must not hold a #" : "must not hold ? or #";
}

/* What of it may stand in words: without what is before an @, and what a query says */
static void show(const char *url, char *ret, size_t size)
{
	const char *host = strstr(url, "://"), *end;
	size_t length;

	host = host ? host + 3 : url;
	for (end = host + strcspn(host, "/?#"); end > host && end[-1] != '@'; end--)
		;
	length = strcspn(end, "?#");
	(void)snprintf(ret, size, "%.*s%.*s%.1s%s", (int)(host - url), url,
		       (int)(length < size ? length : size), end, end + length,
		       end[length] ? "..." : "");
	for (char *c = ret; *c; c++)
		if ((unsigned char)*c < 0x20 || (unsigned char)*c >= 0x7f)
			*c = '?';
}

int url_normal(const char *url, bool query, char **ret, struct error *err)
{
	struct spelling spelling = { 0 };
	char shown[256];

	if (!has_scheme(url))
		spelling.fault = "is no http, https or ftp URL";
	else if (strlen(url) > URL_MAX_LENGTH)
		spelling.fault = "is too long";
	else
		spell(&spelling, url, query);
	if (spelling.fault) {
		text_done(&spelling.out);
		show(url, shown, sizeof(shown));
		return error_set(err, -EINVAL, BLAME_REQUEST, NULL, "%s: a URL that %s", shown,
				 spelling.fault);
	}
	while (!query && spelling.out.length && spelling.out.data[spelling.out.length - 1] == '/')
		spelling.out.data[--spelling.out.length] = '\0';
	*ret = text_steal(&spelling.out);
	return *ret ? 0 : error_oom(err);
}

int url_word_normal(const char *word, char **ret, struct error *err)
{
	_cleanup_(freep) char *normal = NULL;
	const char *url = word;
	enum url_kind kind = url_kind(word, &url);
	int r;

	if (kind == URL_NONE || kind == URL_NAMED)
		return error_set(err, -EINVAL, BLAME_REQUEST, NULL, "%.256s is no URL", word);
	r = url_normal(url, kind != URL_BASE, &normal, err);
	if (r < 0)
		return r;
	if (asprintf(ret, "%.*s%s", (int)(url - word), word, normal) < 0) {
		*ret = NULL;
		return error_oom(err);
	}
	return 0;
}

/* ---- places ------------------------------------------------------------ */

int url_bare(const char *url, char **ret)
{
	const char *host = strstr(url, "://"), *at;
	struct text text = { 0 };

	if (!host)
		return -EINVAL;
	host += 3;
	at = memrchr(host, '@', strcspn(host, "/"));
	(void)text_add(&text, url, (size_t)(host - url));
	(void)text_adds(&text, at ? at + 1 : host);
	while (text.length && text.data[text.length - 1] == '/')
		text.data[--text.length] = '\0';
	*ret = text_steal(&text);
	return *ret ? 0 : -ENOMEM;
}

bool url_below(const char *url, const char *prefix)
{
	size_t length = strlen(prefix);

	return !strncmp(url, prefix, length) &&
	       (!url[length] || url[length] == '/' || url[length] == '?');
}

bool url_below_any(const char *url, const struct strings *prefixes)
{
	for (size_t i = 0; i < prefixes->count; i++)
		if (url_below(url, prefixes->item[i]))
			return true;
	return false;
}
