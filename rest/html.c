/* SPDX-License-Identifier: MIT */
/* rest/html.c: the frame around each page, and words, numbers and times in it. */
#include "rest/html.h"
#include "page.inc"

#include <ctype.h>

#define LOGO                                                                                       \
	"<svg viewBox=\"0 0 16 16\" aria-hidden=\"true\"><path d=\"M1 4l7-3 7 3v8l-7 3-7-3z\" "    \
	"fill=\"#3c6eb4\"/><path d=\"M1 4l7 3 7-3M8 7v8\" stroke=\"#fff\" fill=\"none\"/></svg>"
#define DAY 86400
#define PAGE_DEPTH_MAX 32 /* slashes in a path; a deeper one is nobody's page */

/* ---- text -------------------------------------------------------------- */

void html_escape_n(struct text *ret, const char *string, size_t length)
{
	const char *plain = string, *end = string + length;

	for (const char *at = string; at < end; at++) {
		unsigned char byte = (unsigned char)*at;
		bool control = (byte < 0x20 && byte != '\t' && byte != '\n') || byte == 0x7f;

		if (!control && !strchr("&<>\"'", byte))
			continue;
		(void)text_add(ret, plain, (size_t)(at - plain));
		plain = at + 1;
		(void)text_addf(ret, "&#%d;", control ? 0xfffd : byte);
	}
	(void)text_add(ret, plain, (size_t)(end - plain));
}

void html_escape(struct text *ret, const char *string)
{
	html_escape_n(ret, string, strlen(string));
}

void html_count(struct text *ret, int64_t count)
{
	char digits[24];
	size_t length;

	(void)snprintf(digits, sizeof(digits), "%" PRId64, count < 0 ? 0 : count);
	length = strlen(digits);
	for (size_t i = 0; i < length; i++) {
		if (i && (length - i) % 3 == 0)
			(void)text_adds(ret, ",");
		(void)text_add(ret, &digits[i], 1);
	}
}

void html_size(struct text *ret, int64_t bytes)
{
	static const char *const units[] = { "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
	double size = (double)bytes;
	size_t unit = 0;

	if (bytes < 1024) {
		(void)text_addf(ret, "%" PRId64 " %s", bytes, bytes == 1 ? "byte" : "bytes");
		return;
	}
	for (size /= 1024; size >= 1023.5 && unit + 1 < ARRAY_SIZE(units); unit++)
		size /= 1024;
	(void)text_adds(ret, "<span title=\"");
	html_count(ret, bytes);
	(void)text_addf(ret, " bytes\">%.*f %s</span>", size < 99.95 ? 1 : 0, size, units[unit]);
}

void html_span(struct text *ret, int64_t seconds)
{
	if (seconds < 0)
		seconds = 0;
	if (seconds < 120)
		(void)text_addf(ret, "%" PRId64 " s", seconds);
	else if (seconds < 7200)
		(void)text_addf(ret, "%" PRId64 " min", seconds / 60);
	else if (seconds < 2 * DAY)
		(void)text_addf(ret, "%" PRId64 " h", seconds / 3600);
	else
		(void)text_addf(ret, "%" PRId64 " d", seconds / DAY);
}

static void relative(struct text *ret, int64_t when, int64_t now)
{
	if (when > now) {
		(void)text_adds(ret, "in ");
		html_span(ret, when - now);
	} else if (when == now) {
		(void)text_adds(ret, "now");
	} else {
		html_span(ret, now - when);
		(void)text_adds(ret, " ago");
	}
}

/* "2026-11-23 17:53:43 UTC" out of its ISO form */
static void utc(struct text *ret, const char *iso)
{
	(void)text_addf(ret, "%.10s %.8s UTC", iso, iso + 11);
}

void html_age(struct text *ret, int64_t when, int64_t now)
{
	char iso[TIME_ISO_SIZE];

	(void)text_addf(ret, "<time datetime=\"%s\" title=\"", time_iso(when, iso));
	utc(ret, iso);
	(void)text_adds(ret, "\">");
	relative(ret, when, now);
	(void)text_adds(ret, "</time>");
}

void html_time(struct text *ret, int64_t when, int64_t now)
{
	char iso[TIME_ISO_SIZE];

	(void)text_addf(ret, "<time datetime=\"%s\">", time_iso(when, iso));
	utc(ret, iso);
	(void)text_adds(ret, "</time> <span class=\"quiet keep\">(");
	relative(ret, when, now);
	(void)text_adds(ret, ")</span>");
}

void html_state(struct text *ret, enum compose_state state)
{
	const char *word = state_name(state);

	(void)text_addf(ret, "<span class=\"state %s\">%s</span>", word, word);
}

void html_command(struct text *ret, const char *text)
{
	(void)text_adds(ret, "<div class=\"copies\"><pre class=\"command\">");
	html_escape(ret, text);
	(void)text_adds(ret, "</pre></div>\n");
}

void html_option(struct text *ret, const char *value, const char *words, bool chosen)
{
	(void)text_adds(ret, "<option value=\"");
	html_escape(ret, value);
	(void)text_addf(ret, "\"%s>", chosen ? " selected" : "");
	html_escape(ret, words);
	(void)text_adds(ret, "</option>");
}

void shell_word(struct text *ret, const char *word)
{
	bool plain = *word;

	for (const char *at = word; *at; at++)
		plain = plain && (isalnum((unsigned char)*at) || strchr("@%+=:,./_-", *at));
	if (plain) {
		(void)text_adds(ret, word);
		return;
	}
	(void)text_adds(ret, "'");
	for (const char *at = word; *at; at++)
		(void)text_add(ret, *at == '\'' ? "'\\''" : at, *at == '\'' ? 4 : 1);
	(void)text_adds(ret, "'");
}

/* ---- pages of a list --------------------------------------------------- */

static void pager_link(struct text *ret, const struct pager *pager, int64_t page, const char *rel,
		       const char *words)
{
	(void)text_addf(ret, "<a %shref=\"?page=%" PRId64 "&amp;per_page=%" PRId64, rel, page,
			pager->per_page);
	if (pager->tail)
		html_escape(ret, pager->tail);
	(void)text_addf(ret, "%s%s\">%s</a>\n", pager->part ? "#" : "",
			pager->part ? pager->part : "", words);
}

void html_pager(struct text *ret, const struct pager *pager)
{
	if (pager->pages < 2 && pager->page == 1)
		return;
	(void)text_addf(ret, "<nav class=\"pager\" aria-label=\"Pages of %s\">\n", pager->name);
	if (pager->page > 2)
		pager_link(ret, pager, 1, "", "First");
	if (pager->page > 1)
		pager_link(ret, pager,
			   pager->page - 1 < pager->pages ? pager->page - 1 : pager->pages,
			   "rel=\"prev\" ", "Previous");
	(void)text_adds(ret, "<span class=\"quiet\">page ");
	html_count(ret, pager->page);
	(void)text_adds(ret, " of ");
	html_count(ret, pager->pages);
	(void)text_adds(ret, "</span>\n");
	if (pager->page < pager->pages)
		pager_link(ret, pager, pager->page + 1, "rel=\"next\" ", "Next");
	if (pager->page < pager->pages - 1)
		pager_link(ret, pager, pager->pages, "", "Last");
	(void)text_adds(ret, "</nav>\n");
}

/* ---- the frame --------------------------------------------------------- */

void page_root(const struct exchange *ex, struct text *ret)
{
	unsigned int depth = 0;

	for (const char *at = ex->path; *at; at++)
		depth += *at == '/';
	if (depth > PAGE_DEPTH_MAX)
		(void)text_addf(ret, "%s/", ex->script);
	else if (depth < 2)
		(void)text_adds(ret, "./");
	for (; depth > 1 && depth <= PAGE_DEPTH_MAX; depth--)
		(void)text_adds(ret, "../");
}

void page_open(const struct exchange *ex, struct text *ret, const struct page *page)
{
	_cleanup_(text_done) struct text root = { 0 };

	page_root(ex, &root);
	ret->failed |= root.failed;
	(void)text_adds(ret,
			"<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
			"<meta name=\"viewport\" content=\"width=device-width, "
			"initial-scale=1\">\n<title>");
	html_escape(ret, page->title);
	(void)text_addf(ret,
			" - odcsfs</title>\n<link rel=\"icon\" type=\"image/svg+xml\" "
			"href=\"%sfavicon.ico\">\n<style>",
			root.data);
	(void)text_adds(ret, PAGE_CSS "</style>\n");
	if (page->events)
		(void)text_addf(
			ret, "<noscript><meta http-equiv=\"refresh\" content=\"%d\"></noscript>\n",
			PAGE_REFRESH_SECONDS);
	(void)text_addf(
		ret,
		"</head>\n<body>\n<a class=\"skip\" href=\"#main\">Skip to the content</a>\n"
		"<header class=\"bar\"><div class=\"top\"><a class=\"brand\" href=\"%s\">" LOGO
		"odcsfs</a>\n<nav aria-label=\"Service\"><a class=\"nav\" href=\"%s\">Composes</a> "
		"<a class=\"nav\" href=\"%scomposes/\">Trees</a> "
		"<a class=\"nav\" href=\"%sapi/1/\">API</a></nav></div></header>\n"
		"<main id=\"main\" tabindex=\"-1\"",
		root.data, root.data, root.data, root.data);
	if (page->events) {
		(void)text_addf(ret, " data-events=\"%s", root.data);
		html_escape(ret, page->events);
		(void)text_adds(ret, "\"");
	}
	(void)text_adds(ret, " data-said=\"");
	html_escape(ret, page->said ? page->said : "");
	(void)text_adds(ret, "\">\n");
}

int page_answer(struct exchange *ex, unsigned int status, struct text *body)
{
	static const char type[] = TYPE_HTML;
	struct MHD_Response *response;
	char iso[TIME_ISO_SIZE];
	size_t length;

	(void)text_addf(body,
			"</main>\n<footer>odcsfs " ODCSFS_VERSION ", as of <time datetime=\"%s\">",
			time_iso(time_now(), iso));
	utc(body, iso);
	(void)text_adds(body,
			"</time></footer>\n<p id=\"said\" class=\"unseen\" "
			"role=\"status\"></p>\n<script>" PAGE_JS "</script>\n</body>\n</html>\n");
	length = body->length;
	/* an error is small and must come through: it may say that the client has too much already
	 */
	response = status == MHD_HTTP_OK ? answer_charged(ex, text_steal(body), length, type)
					 : answer_bytes(text_steal(body), length, type);
	error_headers(ex, status, response);
	response_header(response, "Content-Security-Policy", PAGE_POLICY);
	response_header(response, "X-Content-Type-Options", "nosniff");
	response_header(response, "Referrer-Policy", "same-origin");
	response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-cache");
	if (ex->route && !ex->route->html)
		response_header(response, MHD_HTTP_HEADER_VARY, "Accept");
	return answer_queue(ex, status, response);
}

void page_identity(const struct exchange *ex, struct text *ret)
{
	const char *backend = ex->rest->options.auth_backend;

	if (strcmp(backend, "noauth") != 0)
		(void)text_addf(ret,
				"<p class=\"quiet small\">This service asks who you are (%s): "
				"give curl what shows it.</p>\n",
				backend);
}

/* ---- errors ------------------------------------------------------------ */

/* does the client list text/html? A program says nothing or everything: asterisks do not count */
static bool accepts_html(const struct exchange *ex)
{
	const char *accept = exchange_header(ex, MHD_HTTP_HEADER_ACCEPT);

	return accept && strstr(accept, "text/html");
}

bool page_wanted(const struct exchange *ex)
{
	if (ex->route && ex->route->html)
		return ex->method == METHOD_GET;
	return strncmp(ex->path, "/api/", 5) != 0 && strncmp(ex->path, "/odcs/", 6) != 0 &&
	       accepts_html(ex);
}

int page_error(struct exchange *ex, unsigned int status, const char *message)
{
	const char *reason = MHD_get_reason_phrase_for(status);
	_cleanup_(text_done) struct text root = { 0 };
	struct text body = { 0 };

	page_root(ex, &root);
	page_open(ex, &body, &(struct page){ .title = reason });
	(void)text_addf(&body,
			"<div class=\"headline\"><h1>%s</h1></div>\n<div class=\"card note "
			"bad\">\n<p class=\"foreign\">",
			reason);
	html_escape(&body, message);
	(void)text_addf(
		&body,
		"</p>\n<p class=\"quiet small\">The answer of the service was %u.</p>\n</div>\n"
		"<p><a href=\"%s\">All composes</a></p>\n",
		status, root.data ? root.data : "/");
	return page_answer(ex, status, &body);
}
