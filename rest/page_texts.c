/* SPDX-License-Identifier: MIT */
/* rest/page_texts.c: two texts of a compose: the end of its log, and the request as it was written.
 *
 * A request directory that is not open to everybody keeps what was written in it to itself. Once
 * the directory is gone nobody knows whether it was open. */
#include "rest/page.h"

#include <sys/stat.h>

#define LOG_TAIL_BYTES 16384
#define REQUEST_SHOWN_BYTES ((size_t)32 * 1024)
#define REQUEST_OPEN_BYTES ((size_t)1500) /* a longer one is folded */

/* ---- the log ----------------------------------------------------------- */

/* The last lines; *ret_size: of the whole. */
static int log_read(const struct view *view, struct text *ret, int64_t *ret_size)
{
	struct error err = { 0 };
	_cleanup_(closep) int fd =
		tree_store_log_open(view->ex->rest->options.trees, view->compose->id, false, &err);
	off_t start;
	struct stat st;
	ssize_t n;

	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return -errno;
	start = st.st_size > LOG_TAIL_BYTES ? st.st_size - LOG_TAIL_BYTES : 0;
	if (text_reserve(ret, LOG_TAIL_BYTES) < 0)
		return -ENOMEM;
	n = io_pread(fd, ret->data, LOG_TAIL_BYTES, start);
	if (n < 0)
		return (int)n;
	ret->length = (size_t)n;
	ret->data[n] = '\0';
	*ret_size = st.st_size;
	return 0;
}

/* A compose that shows another's files shows that one's log among them. */
static void whole_print(const struct view *view, int64_t size)
{
	const struct compose *compose = view->compose;
	struct text *ret = view->body;

	if (compose->state == STATE_REMOVED && !view->tree)
		return;
	(void)text_addf(ret,
			"<p class=\"small\"><a href=\"../composes/odcs-%" PRId64
			"/pungi-stderr.log\">",
			compose->id);
	if (compose->reused_id) {
		(void)text_addf(ret, "The log of odcs-%" PRId64 "</a>", compose->reused_id);
	} else {
		(void)text_adds(ret, "The whole log</a> <span class=\"quiet\">(");
		html_size(ret, size);
		(void)text_adds(ret, ")</span>");
	}
	(void)text_adds(ret, "</p>\n");
}

void log_print(const struct view *view)
{
	_cleanup_(text_done) struct text log = { 0 };
	struct text *ret = view->body;
	const char *from, *line;
	int64_t size = 0;

	if (log_read(view, &log, &size) < 0)
		return;
	from = log.data;
	line = size > LOG_TAIL_BYTES ? strchr(from, '\n') : NULL;
	if (line)
		from = line + 1;
	(void)text_adds(ret, "<section class=\"card later\"><h2 id=\"log-title\">Log</h2>\n");
	if (!*from) {
		(void)text_adds(ret, "<p class=\"quiet\">Nothing yet.</p></section>\n");
		return;
	}
	if (line)
		(void)text_adds(ret, "<p class=\"quiet small\">The last lines.</p>\n");
	(void)text_adds(ret, "<pre id=\"log\" class=\"command\" tabindex=\"0\" role=\"region\" "
			     "aria-labelledby=\"log-title\">");
	html_escape_n(ret, from, log.length - (size_t)(from - log.data));
	(void)text_adds(ret, "</pre>\n");
	whole_print(view, size);
	(void)text_adds(ret, "</section>\n");
}

/* ---- the request ------------------------------------------------------- */

/* May everybody read it in the tree? */
static bool request_public(const struct view *view)
{
	struct request request = { 0 };
	struct error err = { 0 };
	bool public;

	if (catalogue_request_get(view->ex->rest->options.catalogue, view->compose->request,
				  &request, &err) < 0)
		return false;
	public = (request.mode & (S_IROTH | S_IXOTH)) == (S_IROTH | S_IXOTH);
	request_done(&request);
	return public;
}

void request_print(const struct view *view)
{
	_cleanup_(freep) char *text = NULL;
	struct text *ret = view->body;
	struct error err = { 0 };
	size_t length = 0, shown;

	(void)text_adds(ret, "<section class=\"card later\"><h2>The request</h2>\n");
	if (!request_public(view) || catalogue_text(view->ex->rest->options.catalogue,
						    view->compose->id, &text, &length, &err) < 0) {
		(void)text_adds(ret,
				"<p class=\"quiet\">Its directory is private or gone, and with "
				"it the text as it was written.</p>\n</section>\n");
		return;
	}
	shown = length < REQUEST_SHOWN_BYTES ? length : REQUEST_SHOWN_BYTES;
	while (shown < length && shown && (text[shown] & 0xc0) == 0x80)
		shown--; /* not within a character */
	(void)text_addf(ret, "<details id=\"request\"%s><summary>spec.json as it was written, ",
			length <= REQUEST_OPEN_BYTES ? " open" : "");
	html_size(ret, (int64_t)length);
	(void)text_adds(ret, "</summary>\n<div class=\"copies\"><pre class=\"command\">");
	html_escape_n(ret, text, shown);
	(void)text_adds(ret, "</pre></div>\n");
	if (length > shown) {
		(void)text_adds(ret, "<p class=\"quiet small\">");
		html_count(ret, (int64_t)(length - shown));
		(void)text_adds(ret, " bytes more are not shown.</p>\n");
	}
	(void)text_adds(ret, "</details></section>\n");
}
