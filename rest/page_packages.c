/* SPDX-License-Identifier: MIT */
/* rest/page_packages.c: what is in a compose: a page of its packages with size, arch and the reason
 * why each is there, and how many there are in each repository.
 *
 * The tree is walked as it lies: its order is that of the repositories and then of the file names,
 * so nothing is collected or sorted, and only the rows of the page are made into text. */
#include "rest/filter.h"
#include "rest/page.h"

#define PER_PAGE 50
#define DEPTH_MAX 16
#define REPOSITORIES_MAX 256 /* arches times two, and the source */
#define PACKAGES "/Packages"
#define REQUIRED "required by "

/* One directory with packages: "x86_64/os". */
struct repository {
	char *name;
	int64_t count; /* of all its packages */
	uint64_t bytes;
};

struct walk {
	const struct view *view;
	const char *name, *repository; /* filters, or NULL */
	int64_t page, per_page;
	int64_t found, all;   /* packages that the filters leave, and all */
	int64_t remote, here; /* of servers, and those of them that are in the cache */
	struct repository repositories[REPOSITORIES_MAX];
	size_t count;
	struct text path; /* below compose/Temporary, of the directory at hand */
	struct text rows;
};

static void walk_done(struct walk *walk)
{
	for (size_t i = 0; i < walk->count; i++)
		free(walk->repositories[i].name);
	text_done(&walk->path);
	text_done(&walk->rows);
}

/* ---- one row ----------------------------------------------------------- */

/* "required by NEVRA: WHAT": the NEVRA leads to its own row */
static void reason_print(struct text *ret, const char *reason)
{
	const char *nevra = reason + strlen(REQUIRED), *end;
	_cleanup_(freep) char *whole = NULL, *buffer = NULL;
	struct nevra parts;

	end = strncmp(reason, REQUIRED, strlen(REQUIRED)) != 0 ? NULL : strstr(nevra, ": ");
	whole = end ? strndup(nevra, (size_t)(end - nevra)) : NULL;
	buffer = whole ? malloc(strlen(whole) + 1) : NULL;
	if (!buffer || nevra_parse(whole, buffer, &parts) < 0) {
		html_escape(ret, reason);
		return;
	}
	(void)text_adds(ret, REQUIRED "<a href=\"?name=");
	percent_encode(ret, parts.name, "");
	(void)text_adds(ret, "#packages\">");
	html_escape(ret, whole);
	(void)text_adds(ret, "</a>");
	html_escape(ret, end);
}

/* What user.odcs.error says in the tree */
static void failure_print(const struct view *view, const struct tree_node *node, struct text *ret)
{
	_cleanup_(text_done) struct text words = { 0 };

	if (tree_failure(view->ex->rest->options.trees, compose_tree_id(view->compose), node->index,
			 &words) < 0)
		return;
	(void)text_adds(ret, "<br>Could not be read: ");
	html_escape(ret, words.data);
}

static void package_print(struct walk *walk, const struct tree_node *node,
			  const struct tree_package *package, const struct repository *repository)
{
	_cleanup_(freep) char *buffer = malloc(strlen(package->nevra) + 1);
	struct text *ret = &walk->rows;
	struct nevra parts;
	size_t length;

	if (!buffer) {
		ret->failed = true;
		return;
	}
	(void)text_addf(ret, "<tr><td><a href=\"../composes/odcs-%" PRId64 "/compose/Temporary/",
			walk->view->compose->id);
	percent_encode(ret, walk->path.data, "/");
	(void)text_adds(ret, "/");
	percent_encode(ret, node->name, "+");
	(void)text_adds(ret, "\">");
	if (nevra_parse(package->nevra, buffer, &parts) >= 0 &&
	    !strncmp(package->nevra, parts.name, strlen(parts.name))) {
		length = strlen(parts.name);
		(void)text_adds(ret, "<b>");
		html_escape(ret, parts.name);
		(void)text_adds(ret, "</b>");
		html_escape_n(ret, package->nevra + length,
			      strlen(package->nevra) - length - strlen(parts.arch) - 1);
	} else {
		html_escape(ret, package->nevra);
		parts.arch = "";
	}
	(void)text_adds(ret, "</a></td><td class=\"keep none\">");
	html_escape(ret, parts.arch);
	(void)text_adds(ret, "</td><td class=\"small where\">");
	html_escape(ret, repository->name);
	(void)text_adds(ret, "</td><td class=\"number end\">");
	html_size(ret, (int64_t)node->size);
	if (node->remote && !node->cached)
		(void)text_adds(ret, " <small>not fetched yet</small>");
	(void)text_adds(ret, "</td><td class=\"full small\">");
	reason_print(ret, package->reason);
	failure_print(walk->view, node, ret);
	(void)text_adds(ret, "</td></tr>\n");
}

/* ---- the walk ---------------------------------------------------------- */

/* The repository that the directory at hand belongs to: its path up to /Packages. */
static struct repository *repository_of(struct walk *walk)
{
	const char *end = strstr(walk->path.data, PACKAGES);
	size_t length = end ? (size_t)(end - walk->path.data) : walk->path.length;
	struct repository *last = walk->count ? &walk->repositories[walk->count - 1] : NULL;

	if (last && strlen(last->name) == length && !strncmp(last->name, walk->path.data, length))
		return last;
	if (walk->count == REPOSITORIES_MAX)
		return NULL;
	last = &walk->repositories[walk->count];
	*last = (struct repository){ .name = strndup(walk->path.data, length) };
	if (!last->name)
		return NULL;
	walk->count++;
	return last;
}

static void package_met(struct walk *walk, const struct tree_node *node,
			struct repository *repository)
{
	struct tree_package package;
	int64_t first = (walk->page - 1) * walk->per_page;

	walk->all++;
	walk->remote += node->remote;
	walk->here += node->remote && node->cached;
	repository->count++;
	repository->bytes += node->size;
	if (walk->repository && strcmp(walk->repository, repository->name) != 0)
		return;
	if (walk->name || (walk->found >= first && walk->found < first + walk->per_page)) {
		if (tree_package_get(walk->view->tree, node->index, &package) < 0 ||
		    (walk->name && !strcasestr(package.nevra, walk->name)))
			return;
		if (walk->found >= first && walk->found < first + walk->per_page)
			package_print(walk, node, &package, repository);
	}
	walk->found++;
}

static void directory_walk(struct walk *walk, uint32_t index, int depth)
{
	struct repository *repository = NULL;
	size_t length = walk->path.length;
	struct tree_node node;

	for (uint32_t i = 0; tree_child(walk->view->tree, index, i, &node) >= 0; i++) {
		if (node.directory && depth < DEPTH_MAX) {
			(void)text_addf(&walk->path, "%s%s", length ? "/" : "", node.name);
			directory_walk(walk, node.index, depth + 1);
			if (walk->path.failed)
				return;
			walk->path.length = length;
			walk->path.data[length] = '\0';
		} else if (node.package && walk->path.length) {
			repository = repository ? repository : repository_of(walk);
			if (repository)
				package_met(walk, &node, repository);
		}
	}
}

/* ---- around the rows --------------------------------------------------- */

static void chip_print(struct walk *walk, const char *repository, int64_t count)
{
	struct text *ret = walk->view->body;
	bool current = repository ? walk->repository && !strcmp(walk->repository, repository)
				  : !walk->repository;

	(void)text_adds(ret, "<li><a href=\"?");
	if (walk->name) {
		(void)text_adds(ret, "name=");
		percent_encode(ret, walk->name, "");
		(void)text_adds(ret, repository ? "&amp;" : "");
	}
	if (repository) {
		(void)text_adds(ret, "repository=");
		percent_encode(ret, repository, "/");
	}
	(void)text_addf(ret, "#packages\"%s>", current ? " aria-current=\"true\"" : "");
	html_escape(ret, repository ? repository : "all");
	(void)text_adds(ret, " <b>");
	html_count(ret, count);
	(void)text_adds(ret, "</b></a></li>\n");
}

static void form_print(struct walk *walk)
{
	struct text *ret = walk->view->body;

	(void)text_adds(ret, "<form method=\"get\" action=\"#packages\" role=\"search\" "
			     "aria-label=\"Packages\">\n<label>Name <input type=\"search\" "
			     "name=\"name\" autocapitalize=\"none\" value=\"");
	html_escape(ret, walk->name ? walk->name : "");
	(void)text_adds(ret, "\"></label>\n");
	if (walk->repository) {
		(void)text_adds(ret, "<input type=\"hidden\" name=\"repository\" value=\"");
		html_escape(ret, walk->repository);
		(void)text_adds(ret, "\">\n");
	}
	(void)text_adds(ret, "<button>Find</button>\n</form>\n");
}

static void table_print(struct walk *walk)
{
	struct text *ret = walk->view->body;

	if (!walk->rows.length) {
		(void)text_addf(ret, "<p class=\"quiet\">%s</p>\n",
				walk->found ? "None on this page." : "No package is like that.");
		return;
	}
	(void)text_addf(ret, "<table class=\"packages cards%s\">\n<caption>",
			walk->count == 1 ? " single" : "");
	html_count(ret, walk->found);
	if (walk->found < walk->all) {
		(void)text_adds(ret, " of ");
		html_count(ret, walk->all);
	}
	(void)text_addf(ret, " %s", walk->all == 1 ? "package" : "packages");
	if (walk->remote) {
		(void)text_adds(ret, ", ");
		html_count(ret, walk->here);
		(void)text_adds(ret, " of ");
		html_count(ret, walk->remote);
		(void)text_adds(ret, " fetched from servers");
	}
	if (walk->found < walk->all)
		(void)text_adds(ret, " (<a class=\"nav\" href=\"?#packages\">show all</a>)");
	(void)text_adds(
		ret, "</caption>\n<thead><tr><th scope=\"col\">Package</th>"
		     "<th scope=\"col\">Arch</th><th scope=\"col\" class=\"where\">Repository</th>"
		     "<th scope=\"col\" class=\"number\">Size</th>"
		     "<th scope=\"col\">Why it is in</th></tr></thead>\n<tbody>\n");
	ret->failed |= walk->rows.failed;
	(void)text_add(ret, walk->rows.data, walk->rows.length);
	(void)text_adds(ret, "</tbody></table>\n");
}

static void section_print(struct walk *walk)
{
	struct text *ret = walk->view->body;
	_cleanup_(text_done) struct text tail = { 0 };
	struct pager pager = { .name = "packages",
			       .part = "packages",
			       .page = walk->page,
			       .per_page = walk->per_page,
			       .pages = (walk->found + walk->per_page - 1) / walk->per_page };

	(void)text_adds(ret, "<section class=\"card later\" id=\"packages\"><h2>Packages</h2>\n");
	if (walk->count > 1) {
		(void)text_adds(ret, "<nav aria-label=\"Repositories\"><ul class=\"chips\">\n");
		chip_print(walk, NULL, walk->all);
		for (size_t i = 0; i < walk->count; i++)
			chip_print(walk, walk->repositories[i].name, walk->repositories[i].count);
		(void)text_adds(ret, "</ul></nav>\n");
	}
	form_print(walk);
	table_print(walk);
	filter_tail(walk->view->ex, &tail);
	ret->failed |= tail.failed;
	pager.tail = tail.data;
	html_pager(ret, &pager);
	(void)text_adds(ret, "</section>\n");
}

const struct parameter package_parameters[] = {
	{ "name", PARAMETER_TEXT, .meaning = "Packages with this in their name." },
	{ "repository", PARAMETER_TEXT, .meaning = "Packages of one repository of the compose." },
	{ NULL },
};

int packages_print(const struct view *view)
{
	_cleanup_(walk_done) struct walk walk = { .view = view, .per_page = PER_PAGE };
	struct tree_node top;
	int r = tree_find(view->tree, "compose/Temporary", &top);

	if (r < 0)
		return r;
	walk.name = exchange_argument(view->ex, package_parameters[0].name, false);
	walk.repository = exchange_argument(view->ex, package_parameters[1].name, false);
	filter_page(view->ex, PER_PAGE, &walk.page, &walk.per_page);
	if (!walk.per_page)
		walk.per_page = PER_PAGE;
	if (walk.page > INT32_MAX)
		walk.page = INT32_MAX;
	directory_walk(&walk, top.index, 0);
	if (walk.path.failed)
		return -ENOMEM;
	section_print(&walk);
	return 0;
}
