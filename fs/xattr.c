/* SPDX-License-Identifier: MIT */
/* fs/xattr.c: user.odcs.* of request directories, composes and packages (tree.md 7). */
#include "fs/internal.h"

#define PREFIX "user.odcs."

/* ---- what a compose or request says --------------------------------------- */

enum record_name {
	RECORD_ID,
	RECORD_STATE,
	RECORD_OWNER,
	RECORD_SOURCE,
	RECORD_SOURCE_TYPE,
	RECORD_EXPIRES,
	RECORD_SIGKEYS,
	RECORD_ARCHES,
	RECORD_REUSED_ID,
	RECORD_LEASE,
	RECORD_LATEST,
	RECORD_NOTE, /* the last two: of request directories only */
	RECORD_TTL,
	RECORD_NAMES,
};

static const char *const record_names[RECORD_NAMES] = {
	[RECORD_ID] = "id",
	[RECORD_STATE] = "state",
	[RECORD_OWNER] = "owner",
	[RECORD_SOURCE] = "source",
	[RECORD_SOURCE_TYPE] = "source_type",
	[RECORD_EXPIRES] = "expires",
	[RECORD_SIGKEYS] = "sigkeys",
	[RECORD_ARCHES] = "arches",
	[RECORD_REUSED_ID] = "reused_id",
	[RECORD_LEASE] = "lease",
	[RECORD_LATEST] = "latest",
	[RECORD_NOTE] = "note",
	[RECORD_TTL] = "ttl",
};

static int word(struct text *ret, const char *string)
{
	return string && *string ? text_adds(ret, string) : -ENODATA;
}

static int lease_value(const struct fs *fs, const struct compose *compose, struct text *ret)
{
	int64_t lease = compose->spec->lease < 0 ? fs->options.read_lease : compose->spec->lease;

	return lease > 0 ? text_addf(ret, "%" PRId64, lease) : -ENODATA;
}

static int latest_value(const struct compose *compose, struct text *ret)
{
	_cleanup_(freep) char *name = compose_latest_name(compose);

	return word(ret, name);
}

static int record_value(const struct fs *fs, const struct compose *compose, enum record_name name,
			struct text *ret)
{
	char time[TIME_ISO_SIZE];

	switch (name) {
	case RECORD_ID:
		return text_addf(ret, "%" PRId64, compose->id);
	case RECORD_STATE:
		return word(ret, state_name(compose->state));
	case RECORD_OWNER:
		return word(ret, compose->owner);
	case RECORD_SOURCE:
		return word(ret, compose->source);
	case RECORD_SOURCE_TYPE:
		return word(ret, source_type_name(compose->spec->source_type));
	case RECORD_EXPIRES:
		return word(ret, time_iso(compose->time_to_expire, time));
	case RECORD_SIGKEYS:
		return word(ret, compose->sigkeys);
	case RECORD_ARCHES:
		return word(ret, compose->arches);
	case RECORD_REUSED_ID:
		return compose->reused_id ? text_addf(ret, "%" PRId64, compose->reused_id)
					  : -ENODATA;
	case RECORD_LEASE:
		return lease_value(fs, compose, ret);
	case RECORD_LATEST:
		return latest_value(compose, ret);
	default:
		return -ENODATA;
	}
}

static int request_value(struct fs *fs, const struct request_view *view, enum record_name name,
			 struct text *ret)
{
	int r;

	if (name == RECORD_NOTE)
		return word(ret, view->request.note);
	if (name == RECORD_TTL) {
		r = control_content(fs, view, REQUEST_TTL, ret);
		if (!r && ret->length)
			ret->length--; /* its newline */
		return r;
	}
	if (view->compose)
		return record_value(fs, view->compose, name, ret);
	if (name == RECORD_STATE)
		return word(ret, state_name(STATE_DRAFT));
	return name == RECORD_OWNER ? word(ret, view->request.owner) : -ENODATA;
}

static int compose_record(struct fs *fs, int64_t id, struct compose **ret)
{
	struct error err = { 0 };
	int r = catalogue_get(fs->options.catalogue, id, ret, &err);

	return r == -ENOENT || !r ? r : -EIO;
}

/* ---- what a package says ---------------------------------------------------- */

enum package_name {
	PACKAGE_SHA256,
	PACKAGE_NEVRA,
	PACKAGE_ORIGIN,
	PACKAGE_SIGKEY,
	PACKAGE_CACHED,
	PACKAGE_REASON,
	PACKAGE_ERROR,
	PACKAGE_NAMES,
};

static const char *const package_names[PACKAGE_NAMES] = {
	[PACKAGE_SHA256] = "sha256", [PACKAGE_NEVRA] = "nevra",	  [PACKAGE_ORIGIN] = "origin_url",
	[PACKAGE_SIGKEY] = "sigkey", [PACKAGE_CACHED] = "cached", [PACKAGE_REASON] = "reason",
	[PACKAGE_ERROR] = "error",
};

static int package_value(struct fs *fs, const struct inode *node, enum package_name name,
			 struct text *ret)
{
	_cleanup_(tree_unrefp) struct tree *tree = NULL;
	struct tree_package package;
	struct tree_node found;
	int r;

	if (name == PACKAGE_ERROR)
		return tree_failure(fs->options.trees, node->id, node->part, ret);
	r = shown_tree(fs, node->id, true, &tree, NULL);
	if (!r)
		r = tree_get(tree, node->part, &found);
	if (!r)
		r = tree_package_get(tree, node->part, &package);
	if (r < 0)
		return r;
	switch (name) {
	case PACKAGE_SHA256:
		return word(ret, package.sha256);
	case PACKAGE_NEVRA:
		return word(ret, package.nevra);
	case PACKAGE_ORIGIN:
		return word(ret, package.origin);
	case PACKAGE_CACHED:
		return word(ret, found.cached ? "1" : "0");
	case PACKAGE_REASON:
		return word(ret, package.reason);
	default:
		return -ENODATA; /* which key signed a file of a plain repository is not known */
	}
}

/* ---- dispatch ------------------------------------------------------------------ */

static bool is_record(const struct inode *node)
{
	return (node->kind == INODE_REQUEST && node->part == REQUEST_DIRECTORY) ||
	       (node->kind == INODE_COMPOSE && node->part == TREE_ROOT);
}

static int name_find(const char *const *names, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (!strcmp(names[i], name))
			return (int)i;
	return -ENODATA;
}

static int record_get(struct fs *fs, const struct inode *node, int name, struct text *ret)
{
	int r;

	if (node->kind == INODE_REQUEST) {
		_cleanup_(request_view_done) struct request_view view = { 0 };

		r = request_view_load(fs, node->id, 0, &view);
		return r < 0 ? r : request_value(fs, &view, (enum record_name)name, ret);
	}
	_cleanup_(compose_freep) struct compose *compose = NULL;
	r = compose_record(fs, node->id, &compose);
	return r < 0 ? r : record_value(fs, compose, (enum record_name)name, ret);
}

static bool is_requests(const struct inode *node)
{
	return node->kind == INODE_FIXED && node->part == FIXED_REQUESTS;
}

int xattr_get(struct fs *fs, const struct inode *node, const struct caller *who, const char *name,
	      struct text *ret)
{
	int number;

	if (strncmp(name, "user.", 5) != 0)
		return -EOPNOTSUPP;
	if (strncmp(name, PREFIX, strlen(PREFIX)) != 0)
		return -ENODATA;
	name += strlen(PREFIX);
	if (is_record(node)) {
		number = name_find(record_names, RECORD_NAMES, name);
		return number < 0 ? number : record_get(fs, node, number, ret);
	}
	if (is_requests(node)) /* what mkdir cannot say */
		return strcmp(name, "error") != 0 ? -ENODATA : requests_obstacle(fs, who, ret);
	if (node->kind != INODE_COMPOSE)
		return -ENODATA;
	number = name_find(package_names, PACKAGE_NAMES, name);
	return number < 0 ? number : package_value(fs, node, (enum package_name)number, ret);
}

/* Names that have a value now, each with its NUL. */
int xattr_list(struct fs *fs, const struct inode *node, const struct caller *who, struct text *ret)
{
	bool record = is_record(node);
	const char *const *names = record ? record_names : package_names;
	size_t count = record ? RECORD_NAMES : PACKAGE_NAMES;

	if (is_requests(node)) {
		struct text words = { 0 };
		int r = requests_obstacle(fs, who, &words);

		text_done(&words);
		return r == 0	       ? text_add(ret, PREFIX "error", sizeof(PREFIX "error"))
		       : r == -ENODATA ? 0
				       : r;
	}
	if (!record && node->kind != INODE_COMPOSE)
		return 0;
	for (size_t i = 0; i < count; i++) {
		struct text value = { 0 };
		int r = record ? record_get(fs, node, (int)i, &value)
			       : package_value(fs, node, (enum package_name)i, &value);

		text_done(&value);
		if (r == -ENODATA)
			continue;
		if (r < 0)
			return r;
		text_adds(ret, PREFIX);
		text_add(ret, names[i], strlen(names[i]) + 1);
	}
	return ret->failed ? -ENOMEM : 0;
}

/* ---- writing --------------------------------------------------------------------- */

static int note_set(struct fs *fs, const struct request_view *view, const char *value, size_t size)
{
	_cleanup_(freep) char *note = NULL;
	struct error err = { 0 };
	int r;

	if (!value && !view->request.note)
		return -ENODATA;
	if (size > NOTE_MAX)
		return -E2BIG;
	if (value && memchr(value, '\0', size))
		return -EINVAL;
	note = value ? strndup(value, size) : NULL;
	if (value && !note)
		return -ENOMEM;
	r = catalogue_request_note(fs->options.catalogue, view->request.number, note, &err);
	return r >= 0 ? 0 : r == -ENOENT || r == -ENOSPC ? r : -EIO;
}

int xattr_set(struct fs *fs, const struct inode *node, const struct caller *who, const char *name,
	      const char *value, size_t size)
{
	_cleanup_(request_view_done) struct request_view view = { 0 };
	int r;

	if (strncmp(name, "user.", 5) != 0)
		return -EOPNOTSUPP;
	if (node->kind != INODE_REQUEST || node->part != REQUEST_DIRECTORY)
		return -EPERM;
	bool ttl = !strcmp(name, PREFIX "ttl");
	if (!ttl && strcmp(name, PREFIX "note") != 0)
		return -EPERM;
	r = request_view_load(fs, node->id, 0, &view);
	if (r < 0)
		return r;
	if (!may_command(fs, &view.request, who))
		return -EPERM;
	if (ttl)
		return value ? request_ttl_write(fs, &view, value, size) : -EPERM;
	return note_set(fs, &view, value, size);
}
