/* SPDX-License-Identifier: MIT */
/* fs/composes.c: composes/ and the trees below it: names, attributes, listings.
 *
 * Before a compose is done nothing is remembered by the kernel; afterwards everything is, for an
 * hour, and taken back when the compose is removed (notify.c). */
#include "fs/internal.h"

#include <strings.h>

#define ALIASES                                                                                    \
	4 /* names per compose in a listing: ID, odcs-ID, latest-OWNER-ID, latest-odcs-ID-1 */
#define COOKIE_SHIFT 4

/* ---- names --------------------------------------------------------------- */

static const enum view alias_views[ALIASES] = { 0, VIEW_ODCS, VIEW_OWNED, VIEW_SEED };

/* 0; -ENOENT when there is no such name (an owner that is no file name). */
static int alias_name(int64_t id, const char *owner, size_t alias, char *buffer, size_t size)
{
	switch (alias) {
	case 0:
		(void)snprintf(buffer, size, "%" PRId64, id);
		return 0;
	case 1:
		(void)snprintf(buffer, size, "odcs-%" PRId64, id);
		return 0;
	case 2:
		if (!owner || !*owner || strchr(owner, '/') || strlen(owner) > NAME_LENGTH_MAX - 32)
			return -ENOENT;
		(void)snprintf(buffer, size, "latest-%s-%" PRId64, owner, id);
		return 0;
	default:
		(void)snprintf(buffer, size, "latest-odcs-%" PRId64 "-1", id);
		return 0;
	}
}

int compose_names(const struct compose *compose, struct strings *ret)
{
	char name[NAME_LENGTH_MAX + 1];

	for (size_t i = 0; i < ALIASES; i++)
		if (!alias_name(compose->id, compose->owner, i, name, sizeof(name)) &&
		    strings_add(ret, name) < 0)
			return -ENOMEM;
	return 0;
}

/* Which of the names is it? -1: another spelling, resolved but not remembered by the kernel. */
static int alias_of(const struct compose *compose, const char *name)
{
	char alias[NAME_LENGTH_MAX + 1];

	for (int i = 0; i < ALIASES; i++)
		if (!alias_name(compose->id, compose->owner, (size_t)i, alias, sizeof(alias)) &&
		    !strcmp(alias, name))
			return i;
	return -1;
}

static int owner_matches(const struct compose *compose, const char *owner, size_t length)
{
	return compose->owner && strlen(compose->owner) == length &&
	       !strncasecmp(compose->owner, owner, length);
}

static int type_lookup(struct fs *fs, const char *name, struct fuse_entry_param *ret)
{
	struct inode node;
	int type = type_number(name);

	if (type < 0 || !type_shown(fs, type) || !inode_parse(type_ino(type), &node))
		return -ENOENT;
	return view_entry(fs, &node, ret);
}

/* Where a name leads that moves on from compose to compose: asked anew each time. */
static int latest_lookup(struct fs *fs, const char *name, struct fuse_entry_param *ret)
{
	_cleanup_(freep) char *owner = NULL;
	struct error err = { 0 };
	const char *latest;
	struct inode node;
	int64_t id = 0;
	int r = compose_latest_parse(name, &owner, &latest);

	if (r < 0)
		return r;
	r = catalogue_latest(fs->options.catalogue, owner, latest, &id, 1, &err);
	if (r <= 0)
		return r < 0 ? -EIO : -ENOENT;
	if (!inode_parse(VIEW_INO(VIEW_OWNED, id), &node))
		return -EOVERFLOW;
	r = node_entry(fs, &node, ret);
	ret->entry_timeout = 0;
	return r;
}

int composes_lookup(struct fs *fs, const char *name, struct fuse_entry_param *ret)
{
	_cleanup_(compose_freep) struct compose *compose = NULL;
	const char *owner = NULL;
	size_t owner_length = 0;
	struct error err = { 0 };
	struct inode node;
	int64_t id;
	uint64_t ino;
	int r;

	if (compose_name_parse(name, &id, &owner, &owner_length) < 0) {
		r = latest_lookup(fs, name, ret);
		return r == -ENOENT ? type_lookup(fs, name, ret) : r;
	}
	r = catalogue_get(fs->options.catalogue, id, &compose, &err);
	if (r < 0)
		return r == -ENOENT ? r : -EIO;
	if (compose_is_gone(compose) ||
	    (owner_length && !owner_matches(compose, owner, owner_length)))
		return -ENOENT;

	int alias = alias_of(compose, name);
	if (alias == 0)
		ino = compose->reused_id ? VIEW_INO(VIEW_REUSED, id) : COMPOSE_INO(id, TREE_ROOT);
	else
		ino = VIEW_INO(alias > 0 ? alias_views[alias] : VIEW_OWNED, id);
	if (!inode_parse(ino, &node))
		return -EOVERFLOW;
	r = node_entry(fs, &node, ret);
	ret->entry_timeout = !r && alias >= 0 && state_final(compose->state) ? TIMEOUT_FOREVER : 0;
	return r;
}

/* ---- listing composes/ --------------------------------------------------- */

struct compose_listing {
	struct fs *fs;
	struct listing *listing;
	off_t offset;
	bool full;
};

static bool list_one(void *data, const struct compose_brief *brief)
{
	struct compose_listing *state = data;
	size_t names = state->fs->options.list_aliases ? ALIASES : 2;
	char name[NAME_LENGTH_MAX + 1];

	for (size_t i = 0; i < names; i++) {
		off_t cookie = brief->id << COOKIE_SHIFT | (off_t)i;
		bool link = i || brief->reused_id;
		uint64_t ino = i		  ? VIEW_INO(alias_views[i], brief->id)
			       : brief->reused_id ? VIEW_INO(VIEW_REUSED, brief->id)
						  : COMPOSE_INO(brief->id, TREE_ROOT);

		if (cookie < state->offset || !ino ||
		    alias_name(brief->id, brief->owner, i, name, sizeof(name)) < 0)
			continue;
		if (!listing_name(state->listing, name, ino, link ? S_IFLNK : S_IFDIR,
				  cookie + 1)) {
			state->full = true;
			return true;
		}
	}
	return false;
}

int composes_list(struct fs *fs, struct listing *listing, off_t offset)
{
	struct compose_listing state = { .fs = fs, .listing = listing, .offset = offset };
	struct error err = { 0 };

	for (int type = 0; type_word(type); type++) {
		if (offset > COOKIE_FIRST + type || !type_shown(fs, type))
			continue;
		if (!listing_name(listing, type_word(type), type_ino(type), S_IFDIR,
				  COOKIE_FIRST + type + 1))
			return 0;
	}
	int64_t first = offset >> COOKIE_SHIFT;
	int r = catalogue_briefs(fs->options.catalogue, first > 0 ? first - 1 : 0, false, list_one,
				 &state, &err);
	return r < 0 ? -EIO : 0;
}

static bool count_one(void *data, const struct compose_brief *brief)
{
	*(int64_t *)data += !brief->reused_id;
	return false;
}

int64_t composes_count(struct fs *fs)
{
	int64_t count = 0;
	struct error err = { 0 };

	(void)catalogue_briefs(fs->options.catalogue, 0, false, count_one, &count, &err);
	for (int type = 0; type_word(type); type++)
		count += type_shown(fs, type);
	return count;
}

/* ---- inside a compose ---------------------------------------------------- */

static void entry_fill(struct fs *fs, const struct inode *node, const struct tree_node *found,
		       bool final, struct fuse_entry_param *ret)
{
	uint64_t ino = COMPOSE_INO(node->id, found->index);
	bool stays = final && !found->live;

	entry_set(ret, ino, found->directory ? S_IFDIR | 0555 : S_IFREG | 0444,
		  found->directory ? 0 : found->size, found->mtime);
	ret->attr.st_nlink = found->nlink;
	if (found->package && !found->cached)
		ret->attr.st_blocks = 0;
	ret->entry_timeout = ret->attr_timeout = stays ? TIMEOUT_FOREVER : 0;
	if (found->remote && stays)
		ret->attr_timeout = REMOTE_SECONDS;
	if (found->index == TREE_ROOT) {
		int64_t read = shown_time_read(fs, node->id);

		if (read)
			ret->attr.st_atime = read;
		ret->attr_timeout = stays ? 1.0 : 0; /* its atime moves */
	}
}

int compose_entry(struct fs *fs, const struct inode *node, struct fuse_entry_param *ret)
{
	_cleanup_(tree_unrefp) struct tree *tree = NULL;
	struct tree_node found;
	bool final;
	int r = shown_tree(fs, node->id, true, &tree, &final);

	if (!r)
		r = tree_get(tree, node->part, &found);
	if (!r)
		entry_fill(fs, node, &found, final, ret);
	return r;
}

int compose_lookup(struct fs *fs, const struct inode *node, const char *name,
		   struct fuse_entry_param *ret)
{
	_cleanup_(tree_unrefp) struct tree *tree = NULL;
	struct tree_node found;
	bool final;
	int r = shown_tree(fs, node->id, false, &tree, &final);

	if (r < 0)
		return r;
	r = tree_lookup(tree, node->part, name, strlen(name), &found);
	if (!r)
		entry_fill(fs, node, &found, final, ret);
	else if (r == -ENOENT && final)
		ret->entry_timeout = TIMEOUT_FOREVER; /* and it never will be there */
	return r;
}

int compose_list(struct fs *fs, const struct inode *node, struct listing *listing, off_t offset)
{
	_cleanup_(tree_unrefp) struct tree *tree = NULL;
	struct tree_node found;
	bool final;
	int r = shown_tree(fs, node->id, true, &tree, &final);

	if (r < 0)
		return r;
	for (uint32_t position = (uint32_t)(offset - COOKIE_FIRST);; position++) {
		off_t next = (off_t)position + COOKIE_FIRST + 1;
		struct fuse_entry_param entry = { 0 };

		r = tree_child(tree, node->part, position, &found);
		if (r < 0)
			return r == -ENOENT ? 0 : r;
		if (final)
			entry_fill(fs, node, &found, true, &entry);
		if (listing->export)
			export_limit(node, found.name, &entry);
		if (final ? !listing_add(listing, found.name, &entry, next)
			  : !listing_name(listing, found.name, COMPOSE_INO(node->id, found.index),
					  found.directory ? S_IFDIR : S_IFREG, next))
			return 0;
	}
}
