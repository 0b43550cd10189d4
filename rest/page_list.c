/* SPDX-License-Identifier: MIT */
/* rest/page_list.c: the page at /: the composes, how many there are in each state, and the way to
 * the first one. The query is the API's (rest/filter.h). */
#include "rest/filter.h"
#include "rest/html.h"
#include "rest/wait.h"

#define NAMES_SHOWN 3 /* of what was asked for, in a row */

struct listing {
	struct exchange *ex;
	struct filter filter;
	struct compose_tally tally;
	int64_t now, rows, total;
	struct text body;
};

static const enum compose_state states[] = { STATE_WAIT, STATE_GENERATING, STATE_DONE, STATE_FAILED,
					     STATE_REMOVED };

static int64_t tally_of(const struct listing *listing, enum compose_state state)
{
	int64_t sum = 0;

	for (int type = SOURCE_TAG; type <= SOURCE_PUNGI_COMPOSE; type++)
		sum += listing->tally.count[type][state];
	return sum;
}

/* ---- rows -------------------------------------------------------------- */

static void asked_print(struct text *ret, const struct spec *spec)
{
	const struct strings *names = spec->packages.count ? &spec->packages : &spec->builds;

	for (size_t i = 0; i < names->count && i < NAMES_SHOWN; i++) {
		(void)text_adds(ret, i ? ", " : "");
		html_escape(ret, names->item[i]);
	}
	if (!names->count)
		(void)text_adds(ret, "<span class=\"quiet\">everything</span>");
	if (names->count > NAMES_SHOWN) {
		(void)text_adds(ret, " <span class=\"quiet keep\">and ");
		html_count(ret, (int64_t)names->count - NAMES_SHOWN);
		(void)text_adds(ret, " more</span>");
	}
}

static void left_print(struct text *ret, const struct compose *compose, int64_t now)
{
	if (compose->state == STATE_REMOVED)
		(void)text_adds(ret,
				"<td class=\"keep none\"><span class=\"quiet\">over</span></td>");
	else if (!state_is_final(compose->state))
		(void)text_adds(ret, "<td class=\"keep none\"><span class=\"quiet\">-</span></td>");
	else {
		(void)text_adds(ret, "<td class=\"end last\" data-label=\"ends\">");
		html_age(ret, compose->time_to_expire, now);
		(void)text_adds(ret, "</td>");
	}
}

static void packages_print(struct text *ret, const struct compose *compose)
{
	if (compose->state != STATE_DONE && !compose->packages_count) {
		(void)text_adds(ret,
				"<td class=\"number none\"><span class=\"quiet\">-</span></td>"
				"<td class=\"number none\"><span class=\"quiet\">-</span></td>");
		return;
	}
	(void)text_adds(ret, "<td class=\"number\" data-label=\"packages\">");
	html_count(ret, compose->packages_count);
	(void)text_adds(ret, "</td><td class=\"number none\">");
	html_size(ret, compose->size_bytes);
	(void)text_adds(ret, "</td>");
}

static bool row_print(void *data, const struct compose *compose)
{
	struct listing *listing = data;
	struct text *ret = &listing->body;

	listing->rows++;
	(void)text_addf(ret,
			"<tr><td><a href=\"compose/%" PRId64 "\">odcs-%" PRId64
			"</a></td><td class=\"end\">",
			compose->id, compose->id);
	html_state(ret, compose->state);
	(void)text_adds(ret, "</td><td class=\"full asked\"><span class=\"clamp\">");
	asked_print(ret, compose->spec);
	(void)text_addf(ret,
			"</span></td><td class=\"full small from\" data-label=\"%s\">"
			"<span class=\"clamp\" title=\"",
			source_type_name((int)compose->spec->source_type));
	html_escape(ret, compose->source);
	(void)text_adds(ret, "\">");
	html_escape(ret, compose->source);
	(void)text_addf(
		ret,
		"</span></td><td class=\"none keep\">%s</td><td class=\"by\" data-label=\"by\">",
		source_type_name((int)compose->spec->source_type));
	html_escape(ret, compose->owner);
	(void)text_adds(ret, "</td><td class=\"end\">");
	html_age(ret, compose->time_submitted, listing->now);
	(void)text_adds(ret, "</td>");
	packages_print(ret, compose);
	left_print(ret, compose, listing->now);
	(void)text_adds(ret, "</tr>\n");
	return ret->failed;
}

/* ---- above the list ---------------------------------------------------- */

static void chip_print(struct listing *listing, const char *href, bool current, const char *class,
		       const char *word, int64_t count)
{
	(void)text_addf(&listing->body, "<li><a href=\"%s\"%s><span class=\"%s\">%s</span> <b>",
			href, current ? " aria-current=\"true\"" : "", class, word);
	html_count(&listing->body, count);
	(void)text_adds(&listing->body, "</b></a></li>\n");
}

static void chips_print(struct listing *listing)
{
	const struct compose_query *query = &listing->filter.query;
	int64_t all = 0;

	for (size_t i = 0; i < ARRAY_SIZE(states); i++)
		all += tally_of(listing, states[i]);
	(void)text_adds(&listing->body,
			"<nav aria-label=\"Composes by state\"><ul class=\"chips\">\n");
	chip_print(listing, "./", query->state == -1, "", "all", all);
	for (size_t i = 0; i < ARRAY_SIZE(states); i++) {
		char href[32], class[32];

		(void)snprintf(href, sizeof(href), "?state=%d", states[i]);
		(void)snprintf(class, sizeof(class), "state %s", state_name(states[i]));
		chip_print(listing, href, query->state == (int64_t)states[i], class,
			   state_name(states[i]), tally_of(listing, states[i]));
	}
	(void)text_adds(&listing->body, "</ul></nav>\n");
}

static void state_options(struct listing *listing)
{
	html_option(&listing->body, "", "any", listing->filter.query.state == -1);
	for (size_t i = 0; i < ARRAY_SIZE(states); i++) {
		char value[12];

		(void)snprintf(value, sizeof(value), "%d", states[i]);
		html_option(&listing->body, value, state_name(states[i]),
			    listing->filter.query.state == (int64_t)states[i]);
	}
}

static void type_options(struct listing *listing)
{
	html_option(&listing->body, "", "any", listing->filter.query.source_type == -1);
	for (int type = SOURCE_TAG; type <= SOURCE_PUNGI_COMPOSE; type++) {
		char value[12];

		(void)snprintf(value, sizeof(value), "%d", type);
		html_option(&listing->body, value, source_type_name(type),
			    listing->filter.query.source_type == type);
	}
}

static void order_options(struct listing *listing)
{
	static const struct {
		const char *value, *words;
	} orders[] = {
		{ "-id", "newest first" },
		{ "id", "oldest first" },
		{ "time_to_expire", "ends first" },
		{ "-time_done", "done last" },
		{ "owner", "owner" },
		{ "state", "state" },
	};
	const char *order = exchange_argument(listing->ex, "order_by", false);
	bool known = !order;

	for (size_t i = 0; i < ARRAY_SIZE(orders); i++) {
		bool chosen = order ? !strcmp(order, orders[i].value) : i == 0;

		known |= chosen;
		html_option(&listing->body, orders[i].value, orders[i].words, chosen);
	}
	if (!known)
		html_option(&listing->body, order, order, true);
}

static void per_page_options(struct listing *listing)
{
	static const int counts[] = { 10, 25, 100, REST_PAGE_MAX };
	int64_t now = listing->filter.per_page;
	char value[24];
	bool known = false;

	for (size_t i = 0; i < ARRAY_SIZE(counts); i++) {
		known |= counts[i] == now;
		(void)snprintf(value, sizeof(value), "%d", counts[i]);
		html_option(&listing->body, value, value, counts[i] == now);
	}
	(void)snprintf(value, sizeof(value), "%" PRId64, now);
	if (!known)
		html_option(&listing->body, value, value, true);
}

/* Filters of the API that the form has no field for stay as they are. */
static void hidden_print(struct listing *listing)
{
	static const char *const kept[] = { "source", "pungi_compose_id", "compose_type", "label",
					    "koji_task_id" };

	for (size_t i = 0; i < ARRAY_SIZE(kept); i++) {
		const char *value = exchange_argument(listing->ex, kept[i], false);

		if (!value)
			continue;
		(void)text_addf(&listing->body, "<input type=\"hidden\" name=\"%s\" value=\"",
				kept[i]);
		html_escape(&listing->body, value);
		(void)text_adds(&listing->body, "\">\n");
	}
}

static void form_print(struct listing *listing)
{
	struct text *ret = &listing->body;
	const char *owner = listing->filter.query.owner;

	(void)text_adds(ret, "<form method=\"get\" action=\"./\" role=\"search\" "
			     "aria-label=\"Composes\">\n<label>State <select name=\"state\">");
	state_options(listing);
	(void)text_adds(ret, "</select></label>\n<label>Source type <select name=\"source_type\">");
	type_options(listing);
	(void)text_adds(ret, "</select></label>\n<label>Owner <input name=\"owner\" size=\"14\" "
			     "autocapitalize=\"none\" value=\"");
	html_escape(ret, owner ? owner : "");
	(void)text_adds(ret,
			"\"></label>\n<label class=\"spare\">Order <select name=\"order_by\">");
	order_options(listing);
	(void)text_adds(
		ret, "</select></label>\n<label class=\"spare\">Rows <select name=\"per_page\">");
	per_page_options(listing);
	(void)text_adds(ret, "</select></label>\n");
	hidden_print(listing);
	(void)text_adds(ret, "<button class=\"primary\">Show</button>\n</form>\n");
}

/* ---- the list ---------------------------------------------------------- */

static bool is_filtered(const struct filter *filter)
{
	const struct compose_query *query = &filter->query;

	return filter->nothing || query->owner || query->source || query->pungi_compose_id ||
	       query->compose_type || query->label || query->state != -1 ||
	       query->source_type != -1 || query->koji_task_id != -1;
}

/* What was found, in words; the table's caption. */
static void found_print(struct listing *listing)
{
	struct text *ret = &listing->body;
	const char *source = listing->filter.query.source;

	html_count(ret, listing->total);
	(void)text_adds(ret, listing->total == 1 ? " compose" : " composes");
	if (source) {
		(void)text_adds(ret, " of ");
		html_escape(ret, source);
	}
	if (is_filtered(&listing->filter))
		(void)text_adds(ret,
				" with this filter (<a class=\"nav\" href=\"./\">show all</a>)");
}

static void table_print(struct listing *listing, struct text *rows)
{
	struct text *ret = &listing->body;

	(void)text_adds(ret, "<div class=\"card\">\n");
	if (!listing->rows) {
		(void)text_adds(ret, "<p>");
		found_print(listing);
		(void)text_adds(ret, listing->total ? ", none of them on this page.</p>\n</div>\n"
						    : ".</p>\n</div>\n");
		return;
	}
	(void)text_adds(ret, "<table class=\"list cards\">\n<caption>");
	found_print(listing);
	(void)text_adds(ret, "</caption>\n<thead><tr><th scope=\"col\">Compose</th>"
			     "<th scope=\"col\">State</th><th scope=\"col\">Asked for</th>"
			     "<th scope=\"col\">Source</th><th scope=\"col\">Type</th>"
			     "<th scope=\"col\">Owner</th><th scope=\"col\">Age</th>"
			     "<th scope=\"col\" class=\"number\">Packages</th>"
			     "<th scope=\"col\" class=\"number\">Size</th>"
			     "<th scope=\"col\">Ends</th></tr></thead>\n<tbody>\n");
	ret->failed |= rows->failed;
	(void)text_add(ret, rows->data, rows->length);
	(void)text_adds(ret, "</tbody></table>\n</div>\n");
}

/* ---- nothing yet ------------------------------------------------------- */

static const char request[] = "{\"source\": {\"type\": \"repo\", \"source\": \"/srv/repos/base\", "
			      "\"packages\": [\"ed\"]}}";

static void first_print(struct listing *listing)
{
	const char *mountpoint = listing->ex->rest->options.mountpoint;
	_cleanup_(text_done) struct text mount = { 0 }, base = { 0 }, lines = { 0 };
	struct text *ret = &listing->body;

	(void)text_adds(ret,
			"<section class=\"card\">\n<h2>No composes yet</h2>\n"
			"<p>A compose is a temporary RPM repository with just the packages that "
			"are asked for and what they require. The place of the source and the "
			"names are yours to fill in.</p>\n");
	if (mountpoint && *mountpoint) {
		shell_word(&mount, mountpoint);
		(void)text_adds(ret, "<h3>Make one with a directory and a file</h3>\n");
		(void)text_addf(&lines,
				"mkdir %s/requests/first\necho '%s' > %s/requests/first/spec.json\n"
				"cat %s/requests/first/wait %s/requests/first/error",
				mount.data, request, mount.data, mount.data, mount.data);
		html_command(ret, lines.failed ? "" : lines.data);
		text_clear(&lines);
	}
	exchange_base(listing->ex, &base);
	(void)text_adds(ret, "<h3>Make one over HTTP</h3>\n");
	(void)text_addf(&lines, "curl -d '%s' %s/api/1/composes/", request, base.data);
	html_command(ret, lines.failed ? "" : lines.data);
	page_identity(listing->ex, ret);
	(void)text_adds(ret, "<p class=\"quiet\">It appears here once it is asked for, and says "
			     "what to do with it.</p>\n</section>\n");
	ret->failed |= mount.failed || base.failed || lines.failed;
}

/* ---- the page ---------------------------------------------------------- */

/* What the script says aloud when it has changed. */
static void said_print(const struct listing *listing, char *ret, size_t size)
{
	(void)snprintf(ret, size, "%" PRId64 " waiting, %" PRId64 " generating",
		       tally_of(listing, STATE_WAIT), tally_of(listing, STATE_GENERATING));
}

static void listing_print(struct listing *listing, struct text *rows)
{
	struct filter *filter = &listing->filter;
	bool live = tally_of(listing, STATE_WAIT) || tally_of(listing, STATE_GENERATING);
	_cleanup_(text_done) struct text tail = { 0 };
	struct pager pager = { .name = "composes",
			       .page = filter->page,
			       .per_page = filter->per_page,
			       .pages = filter->per_page ? (listing->total + filter->per_page - 1) /
								   filter->per_page
							 : 0 };
	char said[64];

	said_print(listing, said, sizeof(said));
	page_open(listing->ex, &listing->body,
		  &(struct page){ .title = "Composes",
				  .events = live ? "api/1/events" : NULL,
				  .said = said });
	(void)text_adds(&listing->body, "<div class=\"headline\"><h1>Composes</h1></div>\n");
	if (!listing->total && !is_filtered(filter)) {
		first_print(listing);
		return;
	}
	chips_print(listing);
	form_print(listing);
	table_print(listing, rows);
	filter_tail(listing->ex, &tail);
	listing->body.failed |= tail.failed;
	pager.tail = tail.data;
	html_pager(&listing->body, &pager);
}

int home_get(struct exchange *ex)
{
	struct catalogue *catalogue = ex->rest->options.catalogue;
	struct listing listing = { .ex = ex, .now = time_now() };
	struct text rows = { 0 };
	struct error err = { 0 };
	int r;

	if (filter_read(ex, &listing.filter) < 0)
		return answer_error(ex, MHD_HTTP_BAD_REQUEST,
				    "There is no such order of the list.");
	r = catalogue_tally(catalogue, &listing.tally, &err);
	if (r >= 0 && !listing.filter.nothing)
		r = catalogue_query(catalogue, &listing.filter.query,
				    listing.filter.query.limit ? row_print : NULL, &listing,
				    &listing.total, &err);
	if (r < 0) {
		text_done(&listing.body);
		return answer_failure(ex, &err);
	}
	/* the rows were made first: how many there are stands above them */
	rows = listing.body;
	listing.body = (struct text){ 0 };
	listing_print(&listing, &rows);
	text_done(&rows);
	return page_answer(ex, MHD_HTTP_OK, &listing.body);
}
