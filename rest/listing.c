/* SPDX-License-Identifier: MIT */
/* rest/listing.c: directories as plain HTML, sorted by name, for people and for wget -r. */
#include "rest/listing.h"

#include <stdarg.h>
#include <time.h>

#define LISTING_MAX 100000 /* rows of one page */

static void time_print(int64_t when, struct text *ret)
{
	char iso[TIME_ISO_SIZE];

	(void)time_iso(when, iso);
	iso[10] = ' '; /* the T */
	iso[16] = '\0';
	(void)text_adds(ret, iso);
}

static void row_print(struct text *ret, const char *name, bool directory, int64_t mtime,
		      uint64_t size)
{
	const char *slash = directory ? "/" : "";

	(void)text_adds(ret, "<tr><td><a href=\"./");
	percent_encode(ret, name, "+");
	(void)text_addf(ret, "%s\">", slash);
	html_escape(ret, name);
	(void)text_addf(ret, "%s</a></td><td>", slash);
	time_print(mtime, ret);
	if (directory)
		(void)text_adds(ret, "</td><td>-</td></tr>\n");
	else
		(void)text_addf(ret, "</td><td align=\"right\">%" PRIu64 "</td></tr>\n", size);
}

static void table_open(struct text *ret, const char *title)
{
	html_head(ret, title);
	(void)text_adds(ret, "<table cellpadding=\"3\">\n<tr><th align=\"left\">Name</th>"
			     "<th>Last modified (UTC)</th><th align=\"right\">Size</th></tr>\n"
			     "<tr><td><a href=\"../\">../</a></td><td></td><td></td></tr>\n");
}

static void table_close(struct text *ret, size_t left_out)
{
	(void)text_adds(ret, "</table>\n");
	if (left_out)
		(void)text_addf(ret, "<p>%zu more are not shown.</p>\n", left_out);
}

static int compare_nodes(const void *a, const void *b)
{
	const struct tree_node *left = a, *right = b;

	return strcmp(left->name, right->name);
}

static int children(const struct tree *tree, uint32_t directory, struct tree_node **ret,
		    size_t *ret_count)
{
	_cleanup_(freep) struct tree_node *nodes = NULL;
	size_t count = 0, room = 0;
	struct tree_node node;

	for (uint32_t i = 0; i < LISTING_MAX && tree_child(tree, directory, i, &node) >= 0; i++) {
		if (count == room) {
			struct tree_node *more;

			room = room ? room * 2 : 64;
			more = reallocarray(nodes, room, sizeof(*nodes));
			if (!more)
				return -ENOMEM;
			nodes = more;
		}
		nodes[count++] = node;
	}
	if (count)
		qsort(nodes, count, sizeof(*nodes), compare_nodes);
	*ret = steal(nodes);
	*ret_count = count;
	return 0;
}

int listing_directory(struct exchange *ex, const struct tree *tree, const struct tree_node *node,
		      const char *name, const char *below)
{
	_cleanup_(freep) struct tree_node *nodes = NULL;
	struct text title = { 0 }, body = { 0 };
	struct tree_node beyond;
	size_t count;
	int r = children(tree, node->index, &nodes, &count);

	if (r < 0)
		return r;
	(void)text_addf(&title, "Index of /composes/%s%s%s/", name, *below ? "/" : "", below);
	table_open(&body, title.failed ? "Index" : title.data);
	text_done(&title);
	for (size_t i = 0; i < count; i++)
		row_print(&body, nodes[i].name, nodes[i].directory, nodes[i].mtime, nodes[i].size);
	table_close(&body, tree_child(tree, node->index, (uint32_t)count, &beyond) >= 0);
	return answer_html(ex, MHD_HTTP_OK, &body);
}

/* ---- the composes ------------------------------------------------------ */

struct filling {
	struct text *text;
	size_t count, left_out;
};

static bool fill(void *data, const struct compose_brief *brief)
{
	struct filling *filling = data;
	char name[32];

	if (filling->count++ >= LISTING_MAX) {
		filling->left_out++;
		return false;
	}
	(void)snprintf(name, sizeof(name), "odcs-%" PRId64, brief->id);
	row_print(filling->text, name, true,
		  brief->time_done ? brief->time_done : brief->time_submitted, 0);
	return filling->text->failed;
}

int listing_composes(struct exchange *ex)
{
	struct text body = { 0 };
	struct filling filling = { .text = &body };
	struct error err = { 0 };
	int r;

	table_open(&body, "Index of /composes/");
	r = catalogue_briefs(ex->rest->options.catalogue, 0, false, fill, &filling, &err);
	if (r < 0) {
		text_done(&body);
		return answer_failure(ex, &err);
	}
	table_close(&body, filling.left_out);
	return answer_html(ex, MHD_HTTP_OK, &body);
}
