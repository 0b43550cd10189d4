/* SPDX-License-Identifier: MIT */
/* rest/html.h: what pages are made of: the frame around each, and words, numbers and times in it.
 *
 * Every page is whole by itself: style and script stand in it, and a policy lets nothing else run
 * or load. Links are relative to where the page is, since a proxy may have put us anywhere. Nothing
 * on a page needs the script: it only follows changes without a reload, and copies commands. */
#pragma once

#include "rest/exchange.h"

#define PAGE_REFRESH_SECONDS 5 /* without script, while something on the page will change */

/** struct page - the frame */
struct page {
	const char *title;
	const char *events; /* path below the root of the service that tells of changes (script), or
			       NULL: nothing here will change, so the page stays as it is */
	const char *said;   /* read aloud when it has changed; NULL: nothing */
};

/** page_open() - begin a page, up to its heading, which is the caller's */
void page_open(const struct exchange *ex, struct text *ret, const struct page *page);
/** page_answer() - end the page and send it; takes @body */
int page_answer(struct exchange *ex, unsigned int status, struct text *body);
/** page_wanted() - is this error for somebody who looks at pages, and not for a program? */
bool page_wanted(const struct exchange *ex);
int page_error(struct exchange *ex, unsigned int status, const char *message);
/** page_root() - append the way from this page to the root of the service: "./", "../../" */
void page_root(const struct exchange *ex, struct text *ret);

/** page_identity() - below commands that write, where curl alone is not enough: who asks must show
 * it */
void page_identity(const struct exchange *ex, struct text *ret);

/** html_escape() - for text and for quoted attributes; control characters become U+FFFD */
void html_escape(struct text *ret, const char *string);
void html_escape_n(struct text *ret, const char *string, size_t length);
/** html_count() - 12,345 */
void html_count(struct text *ret, int64_t count);
/** html_size() - 11.8 MiB, the exact number as title */
void html_size(struct text *ret, int64_t bytes);
/** html_span() - "5 min", at most two days in hours; never negative */
void html_span(struct text *ret, int64_t seconds);
/** html_age() - "5 min ago" or "in 5 min", the time in UTC as title */
void html_age(struct text *ret, int64_t when, int64_t now);
/** html_time() - the time in UTC, and its age */
void html_time(struct text *ret, int64_t when, int64_t now);
void html_state(struct text *ret, enum compose_state state);
/** html_command() - a block of text to copy */
void html_command(struct text *ret, const char *text);
/** html_pager() - links to the other pages of a list; @tail: of filter_tail(), or NULL; @part: the
 * id of what the link jumps to, or NULL */
struct pager {
	const char *name; /* of what is paged, for those who hear it */
	const char *tail, *part;
	int64_t page, pages, per_page;
};
void html_pager(struct text *ret, const struct pager *pager);
/** html_option() - of a select */
void html_option(struct text *ret, const char *value, const char *words, bool chosen);
/** shell_word() - append @word so that a shell takes it as one word */
void shell_word(struct text *ret, const char *word);
