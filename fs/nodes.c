/* SPDX-License-Identifier: MIT */
/* fs/nodes.c: from an inode number to the file that knows that kind of node: attributes, the
 * parent, names, lists. */
#include "fs/internal.h"

uint64_t ino_there(const struct mount *mount, uint64_t ino)
{
	return mount->place == FS_EXPORT && ino == FIXED_INO(FIXED_COMPOSES) ? FUSE_ROOT_ID : ino;
}

int node_entry(struct fs *fs, const struct inode *node, struct fuse_entry_param *ret)
{
	switch (node->kind) {
	case INODE_FIXED:
		return fixed_entry(fs, node, ret);
	case INODE_REQUEST:
		return request_entry(fs, node, ret);
	case INODE_COMPOSE:
		return compose_entry(fs, node, ret);
	case INODE_VIEW:
		return view_entry(fs, node, ret);
	}
	return -ENOENT;
}

int node_parent(struct fs *fs, const struct inode *node, uint64_t *ret)
{
	_cleanup_(tree_unrefp) struct tree *tree = NULL;
	struct tree_node found;
	int r;

	switch (node->kind) {
	case INODE_FIXED:
		*ret = FIXED_INO(FIXED_ROOT);
		return 0;
	case INODE_REQUEST:
		*ret = node->part ? REQUEST_INO(node->id, REQUEST_DIRECTORY)
				  : FIXED_INO(FIXED_REQUESTS);
		return 0;
	case INODE_VIEW:
		*ret = FIXED_INO(node->part == VIEW_STATE    ? FIXED_BY_STATE
				 : node->part == VIEW_OWNER  ? FIXED_BY_OWNER
				 : node->part == VIEW_SOURCE ? FIXED_BY_SOURCE
							     : FIXED_COMPOSES);
		return 0;
	case INODE_COMPOSE:
		if (node->part == TREE_ROOT) {
			*ret = FIXED_INO(FIXED_COMPOSES);
			return 0;
		}
		r = shown_tree(fs, node->id, true, &tree, NULL);
		if (!r)
			r = tree_get(tree, node->part, &found);
		if (!r)
			*ret = COMPOSE_INO(node->id, found.parent);
		return r;
	}
	return -ENOENT;
}

int node_lookup(struct fs *fs, const struct inode *parent, const char *name,
		struct fuse_entry_param *ret)
{
	_cleanup_(tree_unrefp) struct tree *tree = NULL;
	struct inode node = *parent;
	uint64_t above;
	int r;

	/* Asked by number when a file handle (NFS, open_by_handle_at) is resolved. Who has one does
	 * not have the file open: a compose that is over is over for him. */
	if (!strcmp(name, ".")) {
		r = node.kind == INODE_COMPOSE ? shown_tree(fs, node.id, false, &tree, NULL) : 0;
		return r < 0 ? r : node_entry(fs, &node, ret);
	}
	if (!strcmp(name, "..")) {
		r = node_parent(fs, &node, &above);
		if (!r)
			r = inode_parse(above, &node) ? node_entry(fs, &node, ret) : -ENOENT;
		return r;
	}
	if (parent->kind == INODE_COMPOSE)
		return compose_lookup(fs, parent, name, ret);
	if (parent->kind == INODE_VIEW)
		return view_lookup(fs, parent, name, ret);
	if (is_request_directory(parent))
		return request_lookup(fs, parent->id, name, ret);
	switch (parent->kind == INODE_FIXED ? parent->part : 0) {
	case FIXED_ROOT:
		return fixed_lookup(fs, name, ret);
	case FIXED_REQUESTS:
		return requests_lookup(fs, name, ret);
	case FIXED_COMPOSES:
		return composes_lookup(fs, name, ret);
	case FIXED_BY_STATE:
	case FIXED_BY_OWNER:
	case FIXED_BY_SOURCE:
		return view_lookup(fs, parent, name, ret);
	default:
		return -ENOTDIR;
	}
}

/* ---- lists -------------------------------------------------------------- */

bool listing_add(struct listing *listing, const char *name, const struct fuse_entry_param *entry,
		 off_t next)
{
	char *place = listing->buffer + listing->used;
	size_t room = listing->size - listing->used, need;

	need = listing->plus
		       ? fuse_add_direntry_plus(listing->req, place, room, name, entry, next)
		       : fuse_add_direntry(listing->req, place, room, name, &entry->attr, next);
	if (need > room)
		return false;
	listing->used += need;
	return true;
}

bool listing_name(struct listing *listing, const char *name, uint64_t ino, uint32_t mode,
		  off_t next)
{
	struct fuse_entry_param entry = { 0 };

	entry.attr.st_ino = ino;
	entry.attr.st_mode = mode;
	return listing_add(listing, name, &entry, next);
}

int node_list(const struct mount *mount, uint64_t ino, const struct inode *node,
	      struct listing *listing, off_t offset)
{
	struct fs *fs = mount->fs;
	uint64_t above = ino;

	if (ino != FUSE_ROOT_ID)
		(void)node_parent(fs, node, &above);
	if (offset < 1 && !listing_name(listing, ".", ino, S_IFDIR, 1))
		return 0;
	above = ino_there(mount, above);
	if (offset < 2 && !listing_name(listing, "..", above, S_IFDIR, 2))
		return 0;
	if (offset < COOKIE_FIRST)
		offset = COOKIE_FIRST;
	if (node->kind == INODE_COMPOSE)
		return compose_list(fs, node, listing, offset);
	if (node->kind == INODE_VIEW)
		return view_list(fs, node, listing, offset);
	if (is_request_directory(node))
		return request_list(fs, node->id, listing, offset);
	switch (node->kind == INODE_FIXED ? node->part : 0) {
	case FIXED_ROOT:
		return fixed_list(fs, listing, offset);
	case FIXED_REQUESTS:
		return requests_list(fs, listing, offset);
	case FIXED_COMPOSES:
		return composes_list(fs, listing, offset);
	case FIXED_BY_STATE:
	case FIXED_BY_OWNER:
	case FIXED_BY_SOURCE:
		return view_list(fs, node, listing, offset);
	default:
		return -ENOTDIR;
	}
}
