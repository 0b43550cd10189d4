/* SPDX-License-Identifier: MIT */
/* rest/listing.c: directories as pages, sorted by name, for people and for wget -r. */
#include "rest/listing.h"
#include "rest/html.h"

#define LISTING_MAX 100000 /* rows of one page */

static void name_print(struct text *ret, const char *name, bool directory, int64_t mtime)
{
	const char *slash = directory ? "/" : "";
	char iso[TIME_ISO_SIZE];

	(void)text_adds(ret, "<tr><td class=\"full\"><a href=\"./");
	percent_encode(ret, name, "+");
	(void)text_addf(ret, "%s\">", slash);
	html_escape(ret, name);
	(void)text_addf(ret, "%s</a></td><td class=\"keep quiet small\"><time datetime=\"%s\">",
			slash, time_iso(mtime, iso));
	(void)text_addf(ret, "%.10s %.5s</time></td>", iso, iso + 11);
}

/* @trail: links to the directories above, or NULL */
static void table_open(const struct exchange *ex, struct text *ret, const char *title,
		       const struct text *trail, const char *last_column)
{
	page_open(ex, ret, &(struct page){ .title = title });
	if (trail && !trail->failed)
		(void)text_addf(ret, "<p class=\"crumbs\">%s</p>\n", trail->data);
	(void)text_adds(ret, "<div class=\"headline\"><h1>");
	html_escape(ret, title);
	(void)text_addf(
		ret,
		"</h1></div>\n<div class=\"card\"><table class=\"files cards\">\n<caption "
		"class=\"unseen\">What there is</caption>\n"
		"<thead><tr><th scope=\"col\">Name</th>"
		"<th scope=\"col\">Last modified (UTC)</th>"
		"<th scope=\"col\" class=\"number\">%s</th></tr></thead>\n<tbody>\n"
		"<tr><td class=\"full\"><a href=\"../\">../</a></td><td></td><td></td></tr>\n",
		last_column);
}

static void table_close(struct text *ret, size_t left_out)
{
	(void)text_adds(ret, "</tbody></table></div>\n");
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

/* The way down to @below, each part a link relative to the page: "composes / odcs-1 / compose /".
 */
static void trail_print(const char *name, const char *below, struct text *ret)
{
	int64_t id;
	size_t depth = *below != '\0';

	for (const char *at = below; *at; at++)
		depth += *at == '/';
	if (compose_name_parse(name, &id, NULL, NULL) >= 0) {
		(void)text_adds(ret, "<a class=\"nav\" href=\"");
		for (size_t i = 0; i < depth + 2; i++)
			(void)text_adds(ret, "../");
		(void)text_addf(ret, "compose/%" PRId64 "\">Compose %" PRId64 "</a>: ", id, id);
	}
	for (const char *at = name, *end; depth > 0; at = end + 1, depth--) {
		end = strchrnul(at, '/');
		(void)text_adds(ret, "<a class=\"nav\" href=\"");
		for (size_t i = 0; i < depth; i++)
			(void)text_adds(ret, "../");
		(void)text_adds(ret, "\">");
		html_escape_n(ret, at, (size_t)(end - at));
		(void)text_adds(ret, "</a> / ");
		if (at == name)
			end = below - 1;
	}
}

int listing_directory(struct exchange *ex, const struct tree *tree, const struct tree_node *node,
		      const char *name, const char *below)
{
	_cleanup_(freep) struct tree_node *nodes = NULL;
	_cleanup_(text_done) struct text title = { 0 }, trail = { 0 };
	const char *last = strrchr(below, '/');
	struct text body = { 0 };
	struct tree_node beyond;
	size_t count;
	int r = children(tree, node->index, &nodes, &count);

	if (r < 0)
		return r;
	(void)text_addf(&title, "%s/", last ? last + 1 : *below ? below : name);
	trail_print(name, below, &trail);
	table_open(ex, &body, title.failed ? "Files" : title.data, &trail, "Size");
	for (size_t i = 0; i < count; i++) {
		name_print(&body, nodes[i].name, nodes[i].directory, nodes[i].mtime);
		(void)text_adds(&body, "<td class=\"number end\">");
		if (nodes[i].directory)
			(void)text_adds(&body, "<span class=\"quiet\">-</span>");
		else
			html_size(&body, (int64_t)nodes[i].size);
		(void)text_adds(&body, "</td></tr>\n");
	}
	table_close(&body, tree_child(tree, node->index, (uint32_t)count, &beyond) >= 0);
	return page_answer(ex, MHD_HTTP_OK, &body);
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
	name_print(filling->text, name, true,
		   brief->time_done ? brief->time_done : brief->time_submitted);
	(void)text_adds(filling->text, "<td class=\"number end\">");
	html_state(filling->text, brief->state);
	(void)text_adds(filling->text, "</td></tr>\n");
	return filling->text->failed;
}

int listing_composes(struct exchange *ex)
{
	struct text body = { 0 };
	struct filling filling = { .text = &body };
	struct error err = { 0 };
	int r;

	table_open(ex, &body, "Trees of the live composes", NULL, "State");
	r = catalogue_briefs(ex->rest->options.catalogue, 0, false, fill, &filling, &err);
	if (r < 0) {
		text_done(&body);
		return answer_failure(ex, &err);
	}
	table_close(&body, filling.left_out);
	return page_answer(ex, MHD_HTTP_OK, &body);
}
