/* SPDX-License-Identifier: MIT */
/* rest/request.c: reading what was asked: the target, its query, the headers of a proxy.
 *
 * The target is taken as it came over the wire and is percent-decoded here, once, by who knows what
 * a piece of it means: libmicrohttpd's own decoding is switched off, since it would turn "%2e%2e"
 * and "%2f" into something else before anybody looked. */
#include "rest/client.h"
#include "rest/tls.h"

#include <arpa/inet.h>
#include <ctype.h>

struct exchange *exchange_new(struct rest *rest, const char *uri)
{
	size_t length = strnlen(uri, REST_URL_MAX + 1);
	struct exchange *ex = calloc(1, sizeof(*ex) + length + 1);

	if (!ex)
		return NULL;
	ex->rest = rest;
	ex->uri_length = length;
	memcpy(ex->uri, uri, length);
	ex->path = ex->uri;
	ex->query = ex->script = "";
	return ex;
}

void exchange_free(struct exchange *ex)
{
	if (!ex)
		return;
	if (ex->answer_kept)
		kept_unref(ex->answer_kept);
	else if (ex->answer)
		MHD_destroy_response(ex->answer);
	if (ex->charged)
		atomic_fetch_sub(&ex->link->client->bytes, ex->charged);
	exchange_uncount(ex);
	tree_hold_release(ex->hold);
	text_done(&ex->body);
	account_done(&ex->account);
	free(ex->arguments);
	free(ex->argument_text);
	free(ex);
}

void exchange_refuse(struct exchange *ex, unsigned int status, const char *message)
{
	ex->refused = status;
	(void)snprintf(ex->refused_message, sizeof(ex->refused_message), "%s", message);
}

int exchange_charge(struct exchange *ex, size_t bytes)
{
	struct client *client = ex->link->client;

	if (atomic_fetch_add(&client->bytes, bytes) + bytes > ex->rest->limits.client_bytes) {
		atomic_fetch_sub(&client->bytes, bytes);
		ex->overdrawn = true;
		return -EDQUOT;
	}
	ex->charged += bytes;
	return 0;
}

void exchange_uncount(struct exchange *ex)
{
	if (ex->counted)
		client_request_done(ex->link->client);
	ex->counted = false;
}

const char *exchange_header(const struct exchange *ex, const char *name)
{
	return MHD_lookup_connection_value(ex->connection, MHD_HEADER_KIND, name);
}

/* A word from a header that goes back into links: letters, digits and @also, not too long. */
static bool header_word(const char *word, const char *also)
{
	size_t i = 0;

	for (; word[i]; i++)
		if (i > 255 || (!isalnum((unsigned char)word[i]) && !strchr(also, word[i])))
			return false;
	return i > 0;
}

static bool script_name(const char *script)
{
	size_t length = strlen(script);

	return header_word(script, "/._~-") && script[0] == '/' && script[length - 1] != '/' &&
	       !strstr(script, "//") && !strstr(script, "/.");
}

void exchange_split(struct exchange *ex)
{
	const char *script = exchange_header(ex, "X-Script-Name");
	char *authority = NULL, *mark;

	if (ex->uri_length > REST_URL_MAX) {
		exchange_refuse(ex, MHD_HTTP_URI_TOO_LONG, "The requested URL is too long.");
		return;
	}
	if (!strncasecmp(ex->uri, "http://", 7))
		authority = ex->uri + 7;
	else if (!strncasecmp(ex->uri, "https://", 8))
		authority = ex->uri + 8;
	if (authority) { /* the form for proxies: what follows the host counts */
		authority += strcspn(authority, "/?");
		ex->path = authority;
	}
	mark = strchr(ex->path, '?');
	if (mark) {
		*mark = '\0';
		ex->query = mark + 1;
	}
	if (script && script_name(script)) {
		size_t length = strlen(script);

		ex->script = script;
		if (!strncmp(ex->path, script, length) &&
		    (ex->path[length] == '/' || !ex->path[length]))
			ex->path += length;
	}
	if (ex->path[0] != '/' && ex->path[0] && strcmp(ex->path, "*") != 0)
		exchange_refuse(ex, MHD_HTTP_BAD_REQUEST, "The requested URL is not a path.");
}

void exchange_base(const struct exchange *ex, struct text *ret)
{
	const char *scheme = exchange_header(ex, "X-Scheme");
	const char *host = exchange_header(ex, "X-Forwarded-Host");

	if (!host)
		host = exchange_header(ex, MHD_HTTP_HEADER_HOST);
	if (!host || !header_word(host, ".:-_[]")) {
		(void)text_adds(ret, ex->rest->url);
	} else {
		bool tls = scheme ? !strcasecmp(scheme, "https") : tls_connection(ex->connection);

		(void)text_adds(ret, tls ? "https://" : "http://");
		(void)text_adds(ret, host);
	}
	(void)text_adds(ret, ex->script);
}

static const char *authority_of(const char *url)
{
	const char *authority = url ? strstr(url, "://") : NULL;

	return authority ? authority + 3 : "";
}

/* The host in front of a port or a path; an address of IPv6 with its brackets. */
static size_t host_length(const char *authority)
{
	const char *end = authority[0] == '[' ? strchr(authority, ']') : NULL;

	return end ? (size_t)(end + 1 - authority) : strcspn(authority, ":/");
}

/* A page that came under a name of its maker's choice, which now leads to us (DNS rebinding), has
 * that name as its origin and as its host: only names that are ours count, and addresses. */
static bool authority_is_ours(const struct rest *rest, const char *authority)
{
	const char *const ours[] = { "localhost", authority_of(rest->url),
				     authority_of(rest->public_url) };
	size_t length = host_length(authority);
	char host[INET_ADDRSTRLEN] = "";
	struct in_addr address;

	for (size_t i = 0; i < ARRAY_SIZE(ours); i++)
		if (length && host_length(ours[i]) == length &&
		    !strncasecmp(ours[i], authority, length))
			return true;
	if (length < sizeof(host))
		memcpy(host, authority, length);
	return authority[0] == '[' || inet_pton(AF_INET, host, &address) == 1;
}

bool exchange_from_elsewhere(const struct exchange *ex)
{
	const char *origin = exchange_header(ex, "Origin");
	const char *host = exchange_header(ex, "X-Forwarded-Host");
	const char *authority = authority_of(origin);

	if (!origin)
		return false;
	if (!host)
		host = exchange_header(ex, MHD_HTTP_HEADER_HOST);
	return !*authority || !host || strcasecmp(authority, host) != 0 ||
	       !authority_is_ours(ex->rest, authority);
}

/* ---- percent encoding -------------------------------------------------- */

static int hex_digit(char digit)
{
	if (digit >= '0' && digit <= '9')
		return digit - '0';
	digit = (char)tolower((unsigned char)digit);
	return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

int percent_decode(const char *from, size_t length, bool plus_is_space, char *to)
{
	for (size_t i = 0; i < length; i++) {
		char byte = from[i];

		if (byte == '%') {
			int high = i + 1 < length ? hex_digit(from[i + 1]) : -1;
			int low = i + 2 < length ? hex_digit(from[i + 2]) : -1;

			if (high < 0 || low < 0 || (!high && !low))
				return -EINVAL;
			byte = (char)(high << 4 | low);
			i += 2;
		} else if (byte == '+' && plus_is_space) {
			byte = ' ';
		}
		*to++ = byte;
	}
	*to = '\0';
	return 0;
}

void percent_encode(struct text *ret, const char *string, const char *safe)
{
	static const char digits[] = "0123456789ABCDEF";

	for (const char *at = string; *at; at++) {
		unsigned char byte = (unsigned char)*at;

		if ((byte < 0x80 && isalnum(byte)) || strchr("-._~", byte) || strchr(safe, byte)) {
			(void)text_add(ret, at, 1);
		} else {
			char code[3] = { '%', digits[byte >> 4], digits[byte & 15] };

			(void)text_add(ret, code, sizeof(code));
		}
	}
}

/* ---- paths of the tree ------------------------------------------------- */

int path_decode(const char *raw, char *to, bool *ret_slash)
{
	*ret_slash = true;
	for (const char *at = raw, *end; *at; at = *end ? end + 1 : end) {
		end = strchrnul(at, '/');
		*ret_slash = *end == '/';
		if (end == at)
			continue;
		if (percent_decode(at, (size_t)(end - at), false, to) < 0)
			return -EINVAL;
		if (strchr(to, '/') || !strcmp(to, ".") || !strcmp(to, ".."))
			return -ENOENT;
		to += strlen(to);
		if (*end)
			*to++ = '/';
	}
	*to = '\0';
	return 0;
}

/* ---- the query --------------------------------------------------------- */

/* One "name=value" of the query, decoded to @to; the bytes used, or -EINVAL. */
static ssize_t argument_decode(const char *from, size_t length, char *to, struct argument *ret)
{
	const char *equals = memchr(from, '=', length);
	size_t name_length = equals ? (size_t)(equals - from) : length;
	size_t value_length = equals ? length - name_length - 1 : 0;
	char *value = to + name_length + 1;

	if (percent_decode(from, name_length, true, to) < 0)
		return -EINVAL;
	value[0] = '\0';
	if (equals && percent_decode(equals + 1, value_length, true, value) < 0)
		return -EINVAL;
	ret->name = to;
	ret->value = value;
	return (ssize_t)(name_length + value_length + 2);
}

int exchange_arguments(struct exchange *ex)
{
	size_t length = strlen(ex->query), count = 1, used = 0;

	if (!length || ex->arguments)
		return 0;
	for (const char *at = ex->query; *at; at++)
		count += *at == '&';
	if (count > REST_ARGUMENTS_MAX)
		return -EINVAL;
	ex->argument_text = malloc(length + 2 * count + 2);
	ex->arguments = calloc(count, sizeof(*ex->arguments));
	if (!ex->argument_text || !ex->arguments)
		return -ENOMEM;
	for (const char *at = ex->query, *end; *at; at = *end ? end + 1 : end) {
		ssize_t n;

		end = strchrnul(at, '&');
		if (end == at)
			continue;
		n = argument_decode(at, (size_t)(end - at), ex->argument_text + used,
				    &ex->arguments[ex->argument_count]);
		if (n < 0)
			return (int)n;
		used += (size_t)n;
		ex->argument_count++;
	}
	return 0;
}

const char *exchange_argument(const struct exchange *ex, const char *name, bool empty)
{
	for (size_t i = 0; i < ex->argument_count; i++)
		if (!strcmp(ex->arguments[i].name, name))
			return empty || ex->arguments[i].value[0] ? ex->arguments[i].value : NULL;
	return NULL;
}
