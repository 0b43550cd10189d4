/* SPDX-License-Identifier: MIT */
/* rest/files.c: the tree over HTTP: which node a path means, and a file's bytes.
 *
 * Bytes are sent by the kernel from the file that holds them (sendfile), never through the mount:
 * a server that waits for itself would wait for ever. */
#include "rest/files.h"
#include "rest/listing.h"
#include "rest/work.h"

#define GENERATIONS_MAX 16 /* contents of one latest-… name that files are looked for in */

/* ---- open trees, kept until their compose changes ---------------------- */

struct rest_tree {
	struct kept kept;
	char *owner;
	struct tree *tree;
	int64_t tree_id; /* of the compose whose tree it is */
};

static void shown_free(struct kept *kept)
{
	struct rest_tree *shown = (struct rest_tree *)kept;

	tree_unref(shown->tree);
	free(shown->owner);
	free(shown);
}

void rest_tree_unref(struct rest_tree *shown)
{
	if (shown)
		kept_unref(&shown->kept);
}

const struct tree *rest_tree_of(const struct rest_tree *shown)
{
	return shown->tree;
}

/* The record whose tree @compose shows: its own, or that of the compose it reuses. */
static int tree_record(struct rest *rest, struct compose **compose, struct error *err)
{
	struct compose *base = NULL;
	int64_t id = compose_tree_id(*compose);
	int r;

	if (id == (*compose)->id)
		return 0;
	r = catalogue_get(rest->options.catalogue, id, &base, err);
	if (r < 0)
		return r;
	compose_free(*compose);
	*compose = base;
	return 0;
}

int rest_tree_open(struct rest *rest, int64_t id, struct rest_tree **ret, struct error *err)
{
	_cleanup_(rest_tree_unrefp) struct rest_tree *shown =
		(struct rest_tree *)cache_get(rest->trees, rest, id);
	_cleanup_(compose_freep) struct compose *compose = NULL;
	uint64_t seen = atomic_load(&rest->generation);
	int r;

	if (!shown) {
		r = catalogue_get(rest->options.catalogue, id, &compose, err);
		if (r < 0)
			return r;
		if (compose_is_gone(compose))
			return error_set(err, -ENOENT, BLAME_REQUEST, NULL, "removed");
		shown = calloc(1, sizeof(*shown));
		if (!shown)
			return error_oom(err);
		kept_init(&shown->kept, id, sizeof(*shown), shown_free);
		shown->owner = strdup(compose->owner);
		if (!shown->owner)
			return error_oom(err);
		r = tree_record(rest, &compose, err);
		if (r >= 0)
			r = tree_open(rest->options.trees, compose, &shown->tree, err);
		if (r < 0)
			return r;
		shown->tree_id = compose->id;
		cache_put(rest->trees, rest, seen, &shown->kept);
	}
	*ret = steal(shown);
	return 0;
}

/* ---- paths ------------------------------------------------------------- */

/* Does @below name a file whose name says what is in it? */
static bool is_lasting(const char *below)
{
	const char *file = strrchr(below, '/');

	return file && (strstr(below, "/Packages/") ||
			(strstr(below, "/repodata/") && strcmp(file, "/repomd.xml") != 0));
}

static bool has_file(const struct rest_tree *shown, const char *below)
{
	struct tree_node node;

	return tree_find(shown->tree, below, &node) == 0 && !node.directory;
}

/* The newest compose of that name. Who has read repomd.xml before the name moved on comes for the
 * rest of it now, and for packages days later: these files are found as long as any that it has led
 * to is there. */
static int latest_open(struct exchange *ex, const char *name, const char *below,
		       struct rest_tree **ret, struct error *err)
{
	_cleanup_(rest_tree_unrefp) struct rest_tree *newest = NULL;
	_cleanup_(freep) char *owner = NULL;
	int64_t ids[GENERATIONS_MAX];
	const char *latest;
	int r = compose_latest_parse(name, &owner, &latest), count = r;

	if (r >= 0)
		r = count = catalogue_latest(ex->rest->options.catalogue, owner, latest, ids,
					     GENERATIONS_MAX, err);
	if (r == 0)
		return -ENOENT;
	if (r > 0)
		r = rest_tree_open(ex->rest, ids[0], &newest, err);
	if (r < 0)
		return r;
	for (int i = 1; i < count && is_lasting(below) && !has_file(newest, below); i++) {
		_cleanup_(rest_tree_unrefp) struct rest_tree *older = NULL;
		struct error ignored = { 0 };

		if (rest_tree_open(ex->rest, ids[i], &older, &ignored) == 0 &&
		    has_file(older, below)) {
			*ret = steal(older);
			return 0;
		}
	}
	*ret = steal(newest);
	return 0;
}

static int name_open(struct exchange *ex, const char *name, const char *below,
		     struct rest_tree **ret, struct error *err)
{
	const char *owner = NULL;
	size_t length = 0;
	int64_t id;
	int r = compose_name_parse(name, &id, &owner, &length);

	if (r == -ENOENT)
		return latest_open(ex, name, below, ret, err);
	if (r >= 0)
		r = rest_tree_open(ex->rest, id, ret, err);
	if (r >= 0 && length &&
	    (strlen((*ret)->owner) != length || strncasecmp((*ret)->owner, owner, length) != 0)) {
		rest_tree_unref(*ret);
		*ret = NULL;
		return -ENOENT;
	}
	return r;
}

/* To the spelling with a slash, told relative to where the client is: a proxy may have put us
 * anywhere. */
static int directory_redirect(struct exchange *ex, const char *path)
{
	const char *last = strrchr(path, '/');
	struct text location = { 0 };
	int r;

	(void)text_adds(&location, "./");
	percent_encode(&location, last ? last + 1 : path, "");
	(void)text_adds(&location, "/");
	if (*ex->query)
		(void)text_addf(&location, "?%s", ex->query);
	r = location.failed ? -ENOMEM
			    : answer_redirect(ex, MHD_HTTP_MOVED_PERMANENTLY, location.data);
	text_done(&location);
	return r;
}

static int not_found(struct exchange *ex)
{
	return answer_error(ex, MHD_HTTP_NOT_FOUND, "There is no such file or directory.");
}

static int failed(struct exchange *ex, int r, const struct error *err)
{
	if (r == -ENOENT || r == -ENOTDIR || r == -ENAMETOOLONG)
		return not_found(ex);
	return err->code ? answer_failure(ex, err) : r;
}

static int node_answer(struct exchange *ex, struct rest_tree *shown, const char *name,
		       const char *below, bool slash)
{
	const struct rest_options *options = &ex->rest->options;
	struct tree_node node;
	struct error err = { 0 };
	int r = tree_find(shown->tree, below, &node);

	if (r < 0)
		return failed(ex, r, &err);
	if (!node.directory && slash)
		return not_found(ex);
	if (!node.directory) {
		if (options->read && !ex->head && tree_is_content(shown->tree, &node))
			options->read(options->read_data, shown->tree_id);
		return file_send(ex, shown->tree, shown->tree_id, &node);
	}
	if (!slash)
		return directory_redirect(ex, *below ? below : name);
	if (!ex->work && work_park(ex, files_get)) /* a listing may be long */
		return 0;
	return listing_directory(ex, shown->tree, &node, name, below);
}

int files_get(struct exchange *ex)
{
	_cleanup_(freep) char *path = malloc(strlen(ex->rest_path) + 1);
	_cleanup_(rest_tree_unrefp) struct rest_tree *shown = NULL;
	struct error err = { 0 };
	char *below;
	bool slash;
	int r;

	if (!path)
		return -ENOMEM;
	if (ex->bare)
		return directory_redirect(ex, "composes");
	r = path_decode(ex->rest_path, path, &slash);
	if (r == -EINVAL)
		return answer_error(ex, MHD_HTTP_BAD_REQUEST, "The requested URL is malformed.");
	if (r < 0)
		return not_found(ex);
	if (!*path)
		return !ex->work && work_park(ex, files_get) ? 0 : listing_composes(ex);
	below = strchrnul(path, '/');
	if (*below)
		*below++ = '\0';
	if (*below && slash)
		below[strlen(below) - 1] = '\0';
	r = name_open(ex, path, below, &shown, &err);
	return r < 0 ? failed(ex, r, &err) : node_answer(ex, shown, path, below, slash);
}
