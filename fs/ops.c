/* SPDX-License-Identifier: MIT */
/* fs/ops.c: every operation of the kernel: inode number taken apart, the right file asked, one
 * reply.
 *
 * What the kernel checks before (default_permissions): who may enter, list, read and write by the
 * mode bits shown. What is checked here: everything that root may not do either. */
#include "fs/internal.h"

#include <fcntl.h>
#include <sys/statvfs.h>

#define RENAME_FLAG_NOREPLACE 1 /* of renameat2(2) */
#define AGAIN_SECONDS 60 /* how old a directory is that a request asked again may have made */

static struct mount *mount_of(fuse_req_t req)
{
	return fuse_req_userdata(req);
}

static struct fs *fs_of(fuse_req_t req)
{
	return mount_of(req)->fs;
}

/* ---- the export: composes/ is its root ----------------------------------------- */

static bool exported(const struct inode *node)
{
	switch (node->kind) {
	case INODE_COMPOSE:
		return true;
	case INODE_VIEW:
		return node->part < VIEW_STATE;
	default:
		return false;
	}
}

/* Which node is it, and can it be seen from there? */
static bool node_of(fuse_req_t req, fuse_ino_t ino, struct inode *ret)
{
	if (mount_of(req)->place == FS_TREE)
		return inode_parse(ino, ret);
	if (ino == FUSE_ROOT_ID)
		return inode_parse(FIXED_INO(FIXED_COMPOSES), ret);
	return inode_parse(ino, ret) && exported(ret);
}

static int entry_of(fuse_req_t req, const struct inode *node, struct fuse_entry_param *ret)
{
	int r = node_entry(fs_of(req), node, ret);

	ret->ino = ret->attr.st_ino = ino_there(mount_of(req), ret->ino);
	return r;
}

static struct caller caller_of(fuse_req_t req)
{
	const struct fuse_ctx *context = fuse_req_ctx(req);

	return (struct caller){ context->uid, context->gid };
}

/* Is it one of the files that control.c knows? */
static bool is_control(const struct inode *node)
{
	if (node->kind == INODE_REQUEST)
		return node->part != REQUEST_DIRECTORY && node->part != REQUEST_RESULT;
	return node->kind == INODE_FIXED && node->part > FIXED_ROOT && node->part < FIXED_REQUESTS;
}

/* Below composes/ and by-...: nothing there is ever changed through the mount. */
static bool is_frozen(const struct inode *node)
{
	return node->kind == INODE_COMPOSE || node->kind == INODE_VIEW ||
	       (node->kind == INODE_FIXED && node->part >= FIXED_COMPOSES);
}

static void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	figure_add(&fs_of(req)->figure[FIGURE_LOOKUP]);
	struct fuse_entry_param entry = { 0 };
	struct inode node;
	int r = node_of(req, parent, &node) ? node_lookup(fs_of(req), &node, name, &entry)
					    : -ENOENT;

	entry.ino = entry.attr.st_ino = ino_there(mount_of(req), entry.ino);
	if (!r && mount_of(req)->place == FS_EXPORT)
		export_looked(fs_of(req), &node, name, &entry);
	if (r == -ENOENT && entry.entry_timeout > 0) {
		entry = (struct fuse_entry_param){ .entry_timeout = entry.entry_timeout };
		r = 0;
	}
	if (r < 0)
		fuse_reply_err(req, -r);
	else
		fuse_reply_entry(req, &entry);
}

static void op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi _unused_)
{
	figure_add(&fs_of(req)->figure[FIGURE_GETATTR]);
	struct fuse_entry_param entry = { 0 };
	struct inode node;
	int r = node_of(req, ino, &node) ? entry_of(req, &node, &entry) : -ENOENT;

	if (r < 0)
		fuse_reply_err(req, -r);
	else
		fuse_reply_attr(req, &entry.attr, entry.attr_timeout);
}

static void op_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *want, int valid,
		       struct fuse_file_info *fi)
{
	figure_add(&fs_of(req)->figure[FIGURE_SETATTR]);
	struct fuse_entry_param entry = { 0 };
	struct caller who = caller_of(req);
	struct inode node;
	int r = -ENOENT;

	if (inode_parse(ino, &node))
		r = node.kind == INODE_REQUEST
			    ? request_setattr(fs_of(req), &node, want, valid, &who, fi ? fi->fh : 0)
			    : -EPERM;
	if (!r)
		r = node_entry(fs_of(req), &node, &entry);
	if (r < 0)
		fuse_reply_err(req, -r);
	else
		fuse_reply_attr(req, &entry.attr, entry.attr_timeout);
}

static void op_readlink(fuse_req_t req, fuse_ino_t ino)
{
	figure_add(&fs_of(req)->figure[FIGURE_READLINK]);
	struct text target = { 0 };
	struct inode node;
	int r = -EINVAL;

	if (node_of(req, ino, &node) && node.kind == INODE_VIEW)
		r = view_readlink(fs_of(req), &node, &target);
	else if (node_of(req, ino, &node) && node.kind == INODE_REQUEST)
		r = request_readlink(fs_of(req), &node, &target);
	if (r < 0)
		fuse_reply_err(req, -r);
	else
		fuse_reply_readlink(req, target.data);
	text_done(&target);
}

/* ---- directories ------------------------------------------------------------- */

static void readdir_reply(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, bool plus)
{
	struct listing listing = {
		.req = req, .size = size, .plus = plus, .export = mount_of(req)->place == FS_EXPORT
	};
	struct inode node;
	int r = -ENOENT;

	listing.buffer = malloc(size ? size : 1);
	if (!listing.buffer)
		r = -ENOMEM;
	else if (node_of(req, ino, &node))
		r = node_list(mount_of(req), ino, &node, &listing, offset);
	if (r < 0 && !listing.used)
		fuse_reply_err(req, -r);
	else
		fuse_reply_buf(req, listing.buffer, listing.used);
	free(listing.buffer);
}

static void op_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
		       struct fuse_file_info *fi _unused_)
{
	figure_add(&fs_of(req)->figure[FIGURE_READDIR]);
	readdir_reply(req, ino, size, offset, false);
}

static void op_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
			   struct fuse_file_info *fi _unused_)
{
	figure_add(&fs_of(req)->figure[FIGURE_READDIRPLUS]);
	readdir_reply(req, ino, size, offset, true);
}

static void op_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	figure_add(&fs_of(req)->figure[FIGURE_OPENDIR]);
	struct inode node;
	int r = -ENOENT;
	bool compose = false;

	fi->fh = 0;
	if (inode_parse(ino, &node)) {
		compose = node.kind == INODE_COMPOSE;
		r = compose ? compose_opendir(fs_of(req), &node, fi) : 0;
	}
	if (r < 0)
		fuse_reply_err(req, -r);
	else if (fuse_reply_open(req, fi) == -ENOENT && compose)
		shown_close(fs_of(req), node.id); /* interrupted: no RELEASEDIR will come */
}

static void op_releasedir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi _unused_)
{
	struct inode node;

	if (inode_parse(ino, &node) && node.kind == INODE_COMPOSE)
		shown_close(fs_of(req), node.id);
	fuse_reply_err(req, 0);
}

static void op_fsyncdir(fuse_req_t req, fuse_ino_t ino _unused_, int datasync _unused_,
			struct fuse_file_info *fi _unused_)
{
	fuse_reply_err(req, 0);
}

/* ---- making and removing ------------------------------------------------------- */

/* A server that is gone may have done it without living to say so: then the kernel asks again, and
 * what stands in the way is our own. */
static int mkdir_again(struct fs *fs, const char *name, const struct caller *who,
		       struct fuse_entry_param *ret)
{
	int r = requests_lookup(fs, name, ret);

	if (r < 0)
		return r == -ENOENT ? -EEXIST : r;
	return ret->attr.st_uid == who->uid && ret->attr.st_ctime >= time_now() - AGAIN_SECONDS
		       ? 0
		       : -EEXIST;
}

static void op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
	figure_add(&fs_of(req)->figure[FIGURE_MKDIR]);
	struct fuse_entry_param entry = { 0 };
	struct caller who = caller_of(req);
	int r = parent == FIXED_REQUESTS ? requests_mkdir(fs_of(req), name, mode, &who, &entry)
					 : -EPERM;

	if (r == -EEXIST && takeover_resent(req))
		r = mkdir_again(fs_of(req), name, &who, &entry);
	if (r < 0)
		fuse_reply_err(req, -r);
	else
		fuse_reply_entry(req, &entry);
}

static void op_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	figure_add(&fs_of(req)->figure[FIGURE_RMDIR]);
	struct caller who = caller_of(req);
	struct inode node;
	int r = -EPERM;

	if (parent == FIXED_REQUESTS)
		r = requests_rmdir(fs_of(req), name, &who);
	else if (inode_parse(parent, &node) && is_frozen(&node))
		r = -EROFS;
	if (r == -ENOENT && takeover_resent(req))
		r = 0;
	fuse_reply_err(req, -r);
}

static void op_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	figure_add(&fs_of(req)->figure[FIGURE_UNLINK]);
	struct inode node;
	int r = -EPERM;

	if (inode_parse(parent, &node) && is_frozen(&node))
		r = -EROFS;
	else if (inode_parse(parent, &node) && is_request_directory(&node))
		r = request_unlink(fs_of(req), node.id, name);
	fuse_reply_err(req, -r);
}

static int rename_node(struct fs *fs, const struct inode *from, const char *name,
		       const struct inode *to, const char *new_name, unsigned int flags,
		       const struct caller *who)
{
	bool same = from->kind == to->kind && from->id == to->id && from->part == to->part;
	bool replace = !(flags & RENAME_FLAG_NOREPLACE);

	if (is_frozen(from) || is_frozen(to))
		return -EROFS;
	if (flags & ~(unsigned int)RENAME_FLAG_NOREPLACE)
		return -EINVAL;
	if (!same)
		return -EPERM;
	if (is_request_directory(from))
		return request_file_rename(fs, from->id, name, new_name, replace);
	if (from->kind == INODE_FIXED && from->part == FIXED_REQUESTS)
		return requests_rename(fs, name, new_name, who);
	return -EPERM;
}

static void op_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t new_parent,
		      const char *new_name, unsigned int flags)
{
	figure_add(&fs_of(req)->figure[FIGURE_RENAME]);
	struct fuse_entry_param there = { 0 };
	struct caller who = caller_of(req);
	struct inode from, to;
	int r = inode_parse(parent, &from) && inode_parse(new_parent, &to)
			? rename_node(fs_of(req), &from, name, &to, new_name, flags, &who)
			: -ENOENT;

	if (r == -ENOENT && takeover_resent(req) && parent == FIXED_REQUESTS &&
	    !requests_lookup(fs_of(req), new_name, &there))
		r = 0;
	fuse_reply_err(req, -r);
}

static void op_mknod(fuse_req_t req, fuse_ino_t parent _unused_, const char *name _unused_,
		     mode_t mode _unused_, dev_t device _unused_)
{
	fuse_reply_err(req, EPERM);
}

static void op_symlink(fuse_req_t req, const char *target _unused_, fuse_ino_t parent _unused_,
		       const char *name _unused_)
{
	fuse_reply_err(req, EPERM);
}

static void op_link(fuse_req_t req, fuse_ino_t ino _unused_, fuse_ino_t parent _unused_,
		    const char *name _unused_)
{
	fuse_reply_err(req, EPERM);
}

static void op_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
		      struct fuse_file_info *fi)
{
	figure_add(&fs_of(req)->figure[FIGURE_CREATE]);
	struct fs *fs = fs_of(req);
	struct fuse_entry_param entry = { 0 };
	struct caller who = caller_of(req);
	struct handle *handle = NULL;
	struct inode node;
	int r = -EPERM;

	if (inode_parse(parent, &node) && is_frozen(&node))
		r = -EROFS;
	else if (inode_parse(parent, &node) && is_request_directory(&node))
		r = request_create(fs, node.id, name, mode, &who, fi->flags, &entry, &handle);
	if (r < 0) {
		fuse_reply_err(req, -r);
		return;
	}
	fi->fh = handle->number;
	fi->direct_io = 1;
	if (fuse_reply_create(req, &entry, fi) == -ENOENT)
		handle_drop(fs, handle->number);
	handle_put(fs, handle);
}

/* ---- open files ------------------------------------------------------------------ */

static void op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	figure_add(&fs_of(req)->figure[FIGURE_OPEN]);
	struct fs *fs = fs_of(req);
	struct caller who = caller_of(req);
	int32_t backing_id = 0;
	struct inode node;
	int r = -ENOENT;

	if (inode_parse(ino, &node)) {
		if (node.kind == INODE_COMPOSE)
			r = compose_open(fs, req, &node, fi, &backing_id);
		else
			r = is_control(&node) ? control_open(fs, &node, &who, fi) : -ENXIO;
	}
	if (r == 0 && node.kind == INODE_COMPOSE && (r = streamed_open(fs, &node, fi)) < 0)
		compose_release(fs, NULL, &node);
	if (r < 0) {
		figure_failure(fs, FIGURE_OPEN, r);
		fuse_reply_err(req, -r);
		return;
	}
	r = backing_id ? passthrough_reply_open(req, fi, backing_id) : fuse_reply_open(req, fi);
	if (r != -ENOENT)
		return;
	if (node.kind == INODE_COMPOSE) { /* interrupted: no RELEASE will come */
		streamed_release(fs, fi->fh);
		compose_release(fs, NULL, &node);
	} else {
		control_release(fs, &node, fi);
	}
}

static void op_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct inode node;

	if (inode_parse(ino, &node)) {
		if (node.kind == INODE_COMPOSE) {
			streamed_release(fs_of(req), fi->fh);
			compose_release(fs_of(req), req, &node);
		} else {
			control_release(fs_of(req), &node, fi);
		}
	}
	fuse_reply_err(req, 0);
}

static void op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
		    struct fuse_file_info *fi)
{
	figure_add(&fs_of(req)->figure[FIGURE_READ]);
	struct text text = { 0 };
	struct inode node;
	int r = -ENOENT;

	if (inode_parse(ino, &node)) {
		if (node.kind == INODE_COMPOSE) {
			streamed_read(fs_of(req), req, &node, fi->fh, size, (uint64_t)offset, 0);
			return;
		}
		r = is_control(&node) ? control_read(fs_of(req), req, &node, fi, size,
						     (uint64_t)offset, &text)
				      : -ENXIO;
	}
	figure_failure(fs_of(req), FIGURE_READ, r);
	if (r == -EINTR)
		reply_interrupted(fs_of(req), req);
	else if (r < 0)
		fuse_reply_err(req, -r);
	else if (r != HELD)
		fuse_reply_buf(req, text.data, text.length);
	text_done(&text);
}

static void op_write(fuse_req_t req, fuse_ino_t ino, const char *bytes, size_t size, off_t offset,
		     struct fuse_file_info *fi)
{
	figure_add(&fs_of(req)->figure[FIGURE_WRITE]);
	struct caller who = caller_of(req);
	struct inode node;
	int r = -EPERM;

	if (inode_parse(ino, &node) && is_control(&node))
		r = control_write(fs_of(req), &node, &who, fi, bytes, size, (uint64_t)offset);
	figure_failure(fs_of(req), FIGURE_WRITE, r);
	if (r < 0)
		fuse_reply_err(req, -r);
	else
		fuse_reply_write(req, size);
}

static void op_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct inode node;
	int r = 0;

	if (inode_parse(ino, &node) && is_control(&node))
		r = control_flush(fs_of(req), &node, fi);
	fuse_reply_err(req, -r);
}

static void op_fsync(fuse_req_t req, fuse_ino_t ino, int datasync _unused_,
		     struct fuse_file_info *fi)
{
	struct inode node;
	int r = 0;

	if (inode_parse(ino, &node) && is_control(&node))
		r = control_sync(fs_of(req), &node, fi);
	fuse_reply_err(req, -r);
}

static void op_fallocate(fuse_req_t req, fuse_ino_t ino _unused_, int mode _unused_,
			 off_t offset _unused_, off_t length _unused_,
			 struct fuse_file_info *fi _unused_)
{
	fuse_reply_err(req, EOPNOTSUPP);
}

static void op_poll(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi,
		    struct fuse_pollhandle *poll)
{
	figure_add(&fs_of(req)->figure[FIGURE_POLL]);
	struct caller who = caller_of(req);
	unsigned int events = 0;
	struct inode node;
	int r = -ENOENT;

	if (inode_parse(ino, &node))
		r = control_poll(fs_of(req), &node, &who, fi, poll, &events);
	else if (poll)
		fuse_pollhandle_destroy(poll);
	if (r < 0)
		fuse_reply_err(req, -r);
	else
		fuse_reply_poll(req, events);
}

/* ---- the rest ------------------------------------------------------------------------ */

static void op_statfs(fuse_req_t req, fuse_ino_t ino _unused_)
{
	figure_add(&fs_of(req)->figure[FIGURE_STATFS]);
	const struct fs_options *options = &fs_of(req)->options;
	int64_t total = options->cache_size_bytes, used = 0;
	struct statvfs st = { .f_bsize = 4096, .f_frsize = 4096, .f_namemax = NAME_LENGTH_MAX };

	if (options->cache_used)
		used = options->cache_used(options->cache_used_data);
	st.f_blocks = (fsblkcnt_t)(total / 4096);
	st.f_bfree = st.f_bavail = (fsblkcnt_t)(used < total ? (total - used) / 4096 : 0);
	fuse_reply_statfs(req, &st);
}

static void xattr_reply(fuse_req_t req, int r, const struct text *value, size_t size)
{
	if (r < 0)
		fuse_reply_err(req, -r);
	else if (!size)
		fuse_reply_xattr(req, value->length);
	else if (size < value->length)
		fuse_reply_err(req, ERANGE);
	else
		fuse_reply_buf(req, value->data, value->length);
}

static void op_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
	figure_add(&fs_of(req)->figure[FIGURE_GETXATTR]);
	struct caller who = caller_of(req);
	struct text value = { 0 };
	struct inode node;
	int r = node_of(req, ino, &node) ? xattr_get(fs_of(req), &node, &who, name, &value)
					 : -ENOENT;

	xattr_reply(req, r, &value, size);
	text_done(&value);
}

static void op_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size)
{
	figure_add(&fs_of(req)->figure[FIGURE_LISTXATTR]);
	struct caller who = caller_of(req);
	struct text value = { 0 };
	struct inode node;
	int r = node_of(req, ino, &node) ? xattr_list(fs_of(req), &node, &who, &value) : -ENOENT;

	xattr_reply(req, r, &value, size);
	text_done(&value);
}

static void op_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name, const char *value,
			size_t size, int flags _unused_)
{
	figure_add(&fs_of(req)->figure[FIGURE_SETXATTR]);
	struct caller who = caller_of(req);
	struct inode node;
	int r = inode_parse(ino, &node)
			? xattr_set(fs_of(req), &node, &who, name, value ? value : "", size)
			: -ENOENT;

	fuse_reply_err(req, -r);
}

static void op_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name)
{
	struct caller who = caller_of(req);
	struct inode node;
	int r = inode_parse(ino, &node) ? xattr_set(fs_of(req), &node, &who, name, NULL, 0)
					: -ENOENT;

	fuse_reply_err(req, -r);
}

/* ---- the export's own ------------------------------------------------------------------ */

/* Once: from then on the kernel opens and closes files by itself. */
static void op_export_open(fuse_req_t req, fuse_ino_t ino _unused_,
			   struct fuse_file_info *fi _unused_)
{
	figure_add(&fs_of(req)->figure[FIGURE_OPEN]);
	fuse_reply_err(req, ENOSYS);
}

/* Not ENOSYS: the kernel would keep every listing, also of what changes. */
static void op_export_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	figure_add(&fs_of(req)->figure[FIGURE_OPENDIR]);
	_cleanup_(tree_unrefp) struct tree *tree = NULL;
	bool final = false;
	struct inode node;
	int r = node_of(req, ino, &node) ? 0 : -ENOENT;

	if (!r && node.kind == INODE_COMPOSE)
		r = shown_tree(fs_of(req), node.id, false, &tree, &final);
	fi->fh = 0;
	fi->cache_readdir = fi->keep_cache = final;
	if (r < 0)
		fuse_reply_err(req, -r);
	else
		fuse_reply_open(req, fi);
}

static void op_export_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
			   struct fuse_file_info *fi _unused_)
{
	figure_add(&fs_of(req)->figure[FIGURE_READ]);
	struct inode node;

	if (node_of(req, ino, &node) && node.kind == INODE_COMPOSE)
		export_read(fs_of(req), req, &node, size, (uint64_t)offset, 0);
	else
		fuse_reply_err(req, ESTALE);
}

static void op_export_forget(fuse_req_t req, fuse_ino_t ino, uint64_t lookups _unused_)
{
	export_forget(fs_of(req), ino);
	fuse_reply_none(req);
}

static void op_export_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets)
{
	for (size_t i = 0; i < count; i++)
		export_forget(fs_of(req), forgets[i].ino);
	fuse_reply_none(req);
}

static void op_init(void *data, struct fuse_conn_info *conn)
{
	struct mount *mount = data;
	unsigned int want = FUSE_CAP_ASYNC_READ | FUSE_CAP_ATOMIC_O_TRUNC |
			    FUSE_CAP_EXPORT_SUPPORT | FUSE_CAP_SPLICE_WRITE | FUSE_CAP_SPLICE_MOVE |
			    FUSE_CAP_READDIRPLUS | FUSE_CAP_PARALLEL_DIROPS |
			    FUSE_CAP_CACHE_SYMLINKS;

	/* Nothing else: no AUTO (names come with attributes always), no data invalidation by mtime
	 * (what is cached never changes), no splice from the kernel (writes are small). In the
	 * export everything is cached, so there what changes must be seen by its mtime and size. */
	if (mount->place == FS_EXPORT)
		want |= FUSE_CAP_AUTO_INVAL_DATA | FUSE_CAP_NO_OPEN_SUPPORT;
	if (mount->fs->options.read_mode == FS_READ_COPY)
		want &= ~(unsigned int)(FUSE_CAP_SPLICE_WRITE | FUSE_CAP_SPLICE_MOVE);
	conn->want = want & conn->capable;
	conn->max_background = fetched_background(mount->fs);
	conn->congestion_threshold = conn->max_background * 3 / 4;
	conn->max_read = MAX_READ;
	passthrough_init(mount, conn);
}

const struct fuse_lowlevel_ops fs_operations = {
	.init = op_init,
	.lookup = op_lookup,
	.getattr = op_getattr,
	.setattr = op_setattr,
	.readlink = op_readlink,
	.mknod = op_mknod,
	.mkdir = op_mkdir,
	.unlink = op_unlink,
	.rmdir = op_rmdir,
	.symlink = op_symlink,
	.rename = op_rename,
	.link = op_link,
	.open = op_open,
	.read = op_read,
	.write = op_write,
	.flush = op_flush,
	.release = op_release,
	.fsync = op_fsync,
	.opendir = op_opendir,
	.readdir = op_readdir,
	.readdirplus = op_readdirplus,
	.releasedir = op_releasedir,
	.fsyncdir = op_fsyncdir,
	.statfs = op_statfs,
	.setxattr = op_setxattr,
	.getxattr = op_getxattr,
	.listxattr = op_listxattr,
	.removexattr = op_removexattr,
	.create = op_create,
	.poll = op_poll,
	.fallocate = op_fallocate,
};

/* What is not here the kernel does not ask for (read-only), or does not ask for twice (close). */
const struct fuse_lowlevel_ops export_operations = {
	.init = op_init,
	.lookup = op_lookup,
	.forget = op_export_forget,
	.forget_multi = op_export_forget_multi,
	.getattr = op_getattr,
	.readlink = op_readlink,
	.open = op_export_open,
	.read = op_export_read,
	.opendir = op_export_opendir,
	.readdir = op_readdir,
	.readdirplus = op_readdirplus,
	.statfs = op_statfs,
	.getxattr = op_getxattr,
	.listxattr = op_listxattr,
};
