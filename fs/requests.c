/* SPDX-License-Identifier: MIT */
/* fs/requests.c: requests/ and the directories in it: names, attributes, what makes and ends them.
 *
 * mkdir makes a request with its control files, rmdir ends it; control files cannot be made or
 * removed one by one. Only editors' temporary files come and go (temporaries.c). */
#include "fs/internal.h"

#include <fcntl.h>

struct control_file {
	const char *name;
	uint32_t mode;
};

static const struct control_file files[REQUEST_FILES] = {
	[REQUEST_SPEC] = { "spec.json", S_IFREG | 0644 },
	[REQUEST_STATUS] = { "status", S_IFREG | 0444 },
	[REQUEST_ID] = { "id", S_IFREG | 0444 },
	[REQUEST_COMPOSE_JSON] = { "compose.json", S_IFREG | 0444 },
	[REQUEST_ERROR] = { "error", S_IFREG | 0444 },
	[REQUEST_LOG] = { "log", S_IFREG | 0444 },
	[REQUEST_PROGRESS] = { "progress", S_IFREG | 0444 },
	[REQUEST_WAIT] = { "wait", S_IFREG | 0444 },
	[REQUEST_TTL] = { "ttl", S_IFREG | 0644 },
	[REQUEST_CTL] = { "ctl", S_IFREG | 0200 },
	[REQUEST_RESULT] = { "result", S_IFLNK | 0777 },
};

static uint32_t file_number(const char *name)
{
	for (uint32_t file = REQUEST_SPEC; file < REQUEST_FILES; file++)
		if (!strcmp(files[file].name, name))
			return file;
	return 0;
}

/* Errors of reading the catalogue: gone, or ours. */
static int read_errno(int r)
{
	return r >= 0 || r == -ENOENT ? r : -EIO;
}

/* ---- attributes ------------------------------------------------------------ */

static int result_text(const struct request_view *view, struct text *ret)
{
	if (request_view_state(view) != STATE_DONE)
		return -ENOENT;
	return text_addf(ret, "../../composes/%" PRId64 "/compose/Temporary", view->compose->id);
}

static int temporary_entry(const struct request *request, const struct temporary_view *temporary,
			   struct fuse_entry_param *ret)
{
	entry_set(ret, REQUEST_INO(request->number, temporary->number), S_IFREG | temporary->mode,
		  temporary->size, temporary->mtime);
	ret->attr.st_uid = request->uid;
	ret->attr.st_gid = request->gid;
	return 0;
}

static int file_entry(struct fs *fs, const struct request_view *view, uint32_t file,
		      struct fuse_entry_param *ret)
{
	uint32_t mode = files[file].mode;
	struct text target = { 0 };
	uint64_t size = 0;
	int64_t mtime = view->request.time_created;
	int r;

	if (file == REQUEST_RESULT) {
		r = result_text(view, &target);
		size = target.length;
		text_done(&target);
		if (!r)
			mtime = compose_time_changed(view->compose);
	} else {
		r = control_size(fs, view, file, &size, &mtime);
	}
	if (r < 0)
		return r;
	if (file == REQUEST_SPEC && view->compose)
		mode = S_IFREG | 0444;
	if (fs->options.gate && (file == REQUEST_TTL || file == REQUEST_CTL))
		mode |= 0222; /* administrators by role: control.c asks who it is */
	entry_set(ret, REQUEST_INO(view->request.number, file), mode, size, mtime);
	ret->attr.st_uid = view->request.uid;
	ret->attr.st_gid = view->request.gid;
	return 0;
}

static void directory_entry(const struct request_view *view, struct fuse_entry_param *ret)
{
	int64_t time = view->request.time_created;

	if (view->compose && compose_time_changed(view->compose) > time)
		time = compose_time_changed(view->compose);
	entry_set(ret, REQUEST_INO(view->request.number, REQUEST_DIRECTORY),
		  S_IFDIR | (view->request.mode & 0777), 0, time);
	ret->attr.st_uid = view->request.uid;
	ret->attr.st_gid = view->request.gid;
}

int request_entry(struct fs *fs, const struct inode *node, struct fuse_entry_param *ret)
{
	_cleanup_(request_view_done) struct request_view view = { 0 };
	struct temporary_view temporary;
	int r = request_view_load(fs, node->id, 0, &view);

	if (r < 0)
		return r;
	if (node->part == REQUEST_DIRECTORY)
		directory_entry(&view, ret);
	else if (node->part < REQUEST_FILES)
		return file_entry(fs, &view, node->part, ret);
	else if (!(r = temporary_get(fs, node->id, node->part, &temporary)))
		return temporary_entry(&view.request, &temporary, ret);
	return r;
}

int request_lookup(struct fs *fs, int64_t request, const char *name, struct fuse_entry_param *ret)
{
	_cleanup_(request_view_done) struct request_view view = { 0 };
	struct temporary_view temporary;
	uint32_t file = file_number(name);
	int r = request_view_load(fs, request, 0, &view);

	if (r < 0)
		return r;
	if (file)
		return file_entry(fs, &view, file, ret);
	r = temporary_find(fs, request, name, &temporary);
	return r < 0 ? r : temporary_entry(&view.request, &temporary, ret);
}

int request_readlink(struct fs *fs, const struct inode *node, struct text *ret)
{
	_cleanup_(request_view_done) struct request_view view = { 0 };
	int r;

	if (node->part != REQUEST_RESULT)
		return -EINVAL;
	r = request_view_load(fs, node->id, 0, &view);
	return r < 0 ? r : result_text(&view, ret);
}

/* Cookies: COOKIE_FIRST + file for both kinds; temporaries have larger numbers. */
int request_list(struct fs *fs, int64_t request, struct listing *listing, off_t offset)
{
	_cleanup_(request_view_done) struct request_view view = { 0 };
	struct temporary_view temporary;
	uint32_t file = (uint32_t)(offset - COOKIE_FIRST);
	int r = request_view_load(fs, request, 0, &view);

	if (r < 0)
		return r;
	for (file = file ? file : REQUEST_SPEC; file < REQUEST_FILES; file++) {
		if (file == REQUEST_RESULT && request_view_state(&view) != STATE_DONE)
			continue;
		if (!listing_name(listing, files[file].name, REQUEST_INO(request, file),
				  files[file].mode, (off_t)file + COOKIE_FIRST + 1))
			return 0;
	}
	while (!temporary_next(fs, request, file, &temporary)) {
		file = temporary.number + 1;
		if (!listing_name(listing, temporary.name, REQUEST_INO(request, temporary.number),
				  S_IFREG, (off_t)file + COOKIE_FIRST))
			return 0;
	}
	return 0;
}

/* ---- requests/ --------------------------------------------------------------- */

int requests_lookup(struct fs *fs, const char *name, struct fuse_entry_param *ret)
{
	_cleanup_(request_done) struct request request = { 0 };
	_cleanup_(request_view_done) struct request_view view = { 0 };
	struct error err = { 0 };
	int r;

	if (request_name_check(name) < 0)
		return -ENOENT;
	r = read_errno(catalogue_request_find(fs->options.catalogue, name, &request, &err));
	if (r >= 0)
		r = request_view_load(fs, request.number, 0, &view);
	if (r < 0)
		return r;
	directory_entry(&view, ret);
	return 0;
}

static bool list_one(void *data, const struct request *request)
{
	struct listing *listing = data;
	uint64_t ino = REQUEST_INO(request->number, REQUEST_DIRECTORY);

	return ino && !listing_name(listing, request->name, ino, S_IFDIR,
				    request->number + COOKIE_FIRST + 1);
}

int requests_list(struct fs *fs, struct listing *listing, off_t offset)
{
	struct error err = { 0 };
	int64_t after = offset - COOKIE_FIRST - 1;

	return catalogue_request_list(fs->options.catalogue, after > 0 ? after : 0, list_one,
				      listing, &err) < 0
		       ? -EIO
		       : 0;
}

static bool count_one(void *data, const struct request *request _unused_)
{
	(*(int64_t *)data)++;
	return false;
}

int64_t requests_count(struct fs *fs)
{
	struct error err = { 0 };
	int64_t count = 0;

	(void)catalogue_request_list(fs->options.catalogue, 0, count_one, &count, &err);
	return count;
}

static int live_composes(struct fs *fs, const char *owner, int64_t *ret)
{
	static const enum compose_state states[] = { STATE_WAIT, STATE_GENERATING, STATE_DONE };
	struct compose_query query = COMPOSE_QUERY_ALL;
	struct error err = { 0 };

	query.owner = owner;
	query.limit = 0;
	*ret = 0;
	for (size_t i = 0; i < ARRAY_SIZE(states); i++) {
		int64_t total = 0;

		query.state = states[i];
		if (catalogue_query(fs->options.catalogue, &query, NULL, NULL, &total, &err) < 0)
			return -EIO;
		*ret += total;
	}
	return 0;
}

/* @words may be NULL */
static int beyond(struct fs *fs, int64_t count, int64_t limit, const char *what, const char *key,
		  struct text *words)
{
	char suffix[LIMIT_SUFFIX_SIZE];

	if (limit <= 0 || count < limit)
		return 0;
	if (words)
		(void)text_addf(words, "%s, you have %" PRId64 "%s\n", what, count,
				limit_suffix(fs->options.contact, key, limit, suffix));
	return -EDQUOT;
}

static int quota_check(struct fs *fs, const struct caller *who, const char *owner,
		       struct text *words)
{
	int64_t count, limit = fs->options.drafts_per_user;
	struct error err = { 0 };
	int r;

	if (limit > 0) {
		r = catalogue_request_drafts(fs->options.catalogue, who->uid, &count, &err);
		if (r >= 0)
			r = beyond(fs, count, limit, "too many drafts", "limits.drafts", words);
		if (r < 0)
			return r == -EDQUOT ? r : -EIO;
	}
	limit = live_limit(fs, who);
	if (limit <= 0)
		return 0;
	r = live_composes(fs, owner, &count);
	return r < 0 ? r
		     : beyond(fs, count, limit, "too many composes that are not removed or failed",
			      "limits.live_composes_per_user", words);
}

int requests_obstacle(struct fs *fs, const struct caller *who, struct text *ret)
{
	const struct inode conversation = { .kind = INODE_FIXED, .part = FIXED_NEW };
	_cleanup_(freep) char *owner = owner_name(who->uid);
	int r;

	if (!owner)
		return -ENOMEM;
	if (fs->draining)
		return text_adds(ret, "the service takes no requests at the moment\n");
	if (fs->options.admit && fs->options.admit(fs->options.admit_data, who->uid, who->gid) < 0)
		return text_addf(ret,
				 "you are in none of the groups that may make requests "
				 "(fs.allowed_groups)%s%s\n",
				 fs->options.contact ? "; ask " : "",
				 fs->options.contact ? fs->options.contact : "");
	r = quota_check(fs, who, owner, ret);
	if (r == 0)
		r = beyond(fs, (int64_t)handles_count(fs, who->uid, &conversation),
			   fs->options.drafts_per_user, "too many opens of `new`", "limits.drafts",
			   ret);
	return r == 0 ? -ENODATA : r == -EDQUOT ? 0 : r;
}

int requests_mkdir(struct fs *fs, const char *name, uint32_t mode, const struct caller *who,
		   struct fuse_entry_param *ret)
{
	_cleanup_(freep) char *owner = NULL;
	_cleanup_(request_view_done) struct request_view view = { 0 };
	struct error err = { 0 };
	int64_t number;
	int r = request_name_check(name);

	if (r < 0)
		return r;
	if (fs->draining)
		return -EROFS;
	if (fs->options.admit && fs->options.admit(fs->options.admit_data, who->uid, who->gid) < 0)
		return -EACCES;
	owner = owner_name(who->uid);
	if (!owner)
		return -ENOMEM;
	r = quota_check(fs, who, owner, NULL);
	if (r < 0)
		return r;
	/* Others never write; the owner always may. */
	r = catalogue_request_new(fs->options.catalogue, name, owner, who->uid, who->gid,
				  (mode & 0555) | 0700, &number, &err);
	if (r < 0)
		return r == -EEXIST || r == -ENOSPC || r == -ENOMEM ? r : -EIO;
	if (!REQUEST_INO(number, REQUEST_DIRECTORY))
		return -EOVERFLOW;
	r = request_view_load(fs, number, 0, &view);
	if (r < 0)
		return r;
	directory_entry(&view, ret);
	return 0;
}

int requests_rmdir(struct fs *fs, const char *name, const struct caller *who)
{
	_cleanup_(request_done) struct request request = { 0 };
	_cleanup_(request_view_done) struct request_view view = { 0 };
	struct error err = { 0 };
	int r = read_errno(catalogue_request_find(fs->options.catalogue, name, &request, &err));

	if (r >= 0)
		r = request_view_load(fs, request.number, 0, &view);
	if (r < 0)
		return r;
	if (!may_command(fs, &view.request, who))
		return -EPERM;
	r = request_end(fs, &view, who);
	if (r < 0)
		return r;
	r = read_errno(catalogue_request_drop(fs->options.catalogue, request.number, &err));
	if (r >= 0)
		draft_drop(fs, request.number);
	return r < 0 ? r : 0;
}

int requests_rename(struct fs *fs, const char *name, const char *to, const struct caller *who)
{
	_cleanup_(request_done) struct request request = { 0 };
	struct error err = { 0 };
	int r = read_errno(catalogue_request_find(fs->options.catalogue, name, &request, &err));

	if (r < 0)
		return r;
	if (!may_command(fs, &request, who))
		return -EPERM;
	if (request.compose_id)
		return -EBUSY;
	r = request_name_check(to);
	if (r < 0)
		return r;
	r = catalogue_request_rename(fs->options.catalogue, request.number, to, &err);
	return r == -EEXIST || r == -EBUSY ? r : read_errno(r);
}

/* ---- temporaries ---------------------------------------------------------------- */

int request_create(struct fs *fs, int64_t request, const char *name, uint32_t mode,
		   const struct caller *who, int flags, struct fuse_entry_param *ret,
		   struct handle **ret_handle)
{
	_cleanup_(request_view_done) struct request_view view = { 0 };
	struct temporary_view made;
	struct temporary *temporary;
	int r = request_view_load(fs, request, 0, &view);

	if (r < 0)
		return r;
	if (view.compose || file_number(name) || !temporary_name(name))
		return -EPERM;
	r = temporary_create(fs, request, name, mode, &temporary);
	if (r < 0)
		return r;
	struct inode node = { INODE_REQUEST, request, temporary->number };
	request_view_done(&view);
	/* Accepted or dropped meanwhile: the file would belong to nothing. */
	r = request_view_load(fs, request, 0, &view);
	if (!r && view.compose)
		r = -EPERM;
	if (r < 0)
		draft_drop(fs, request);
	if (!r)
		r = temporary_get(fs, request, node.part, &made);
	if (!r)
		r = handle_new(fs, &node, who, flags, ret_handle);
	if (r < 0) {
		temporary_close(fs, temporary);
		return r;
	}
	(*ret_handle)->temporary = temporary;
	return temporary_entry(&view.request, &made, ret);
}

int request_unlink(struct fs *fs, int64_t request, const char *name)
{
	return file_number(name) ? -EPERM : temporary_unlink(fs, request, name);
}

int request_file_rename(struct fs *fs, int64_t request, const char *name, const char *to,
			bool replace)
{
	_cleanup_(request_view_done) struct request_view view = { 0 };
	uint32_t from = file_number(name), onto = file_number(to);
	int r;

	if (from)
		return from == REQUEST_SPEC ? -EBUSY : -EPERM;
	if (onto && onto != REQUEST_SPEC)
		return -EPERM;
	r = request_view_load(fs, request, 0, &view);
	if (r < 0)
		return r;
	if (view.compose)
		return -EBUSY;
	if (onto)
		return replace ? submit_renamed(fs, request, name) : -EEXIST;
	if (!temporary_name(to))
		return -EPERM;
	return temporary_rename(fs, request, name, to, replace);
}

/* ---- setattr ------------------------------------------------------------------------ */

#define SET_OWNER (FUSE_SET_ATTR_UID | FUSE_SET_ATTR_GID)
#define SET_TIMES                                                                                  \
	(FUSE_SET_ATTR_ATIME | FUSE_SET_ATTR_MTIME | FUSE_SET_ATTR_ATIME_NOW |                     \
	 FUSE_SET_ATTR_MTIME_NOW)

static int temporary_setattr(struct fs *fs, const struct inode *node,
			     const struct request_view *view, const struct stat *want, int valid)
{
	if ((valid & FUSE_SET_ATTR_UID && want->st_uid != view->request.uid) ||
	    (valid & FUSE_SET_ATTR_GID && want->st_gid != view->request.gid))
		return -EPERM;
	return temporary_change(fs, node->id, node->part, want, valid);
}

/* A private request is one that others may neither read nor enter. */
static int directory_chmod(struct fs *fs, const struct request_view *view, uint32_t mode,
			   const struct caller *who)
{
	struct error err = { 0 };
	int r;

	if (!may_command(fs, &view->request, who) || (mode & 07222) != (view->request.mode & 0222))
		return -EPERM;
	r = catalogue_request_chmod(fs->options.catalogue, view->request.number, mode & 0777, &err);
	return r == -ENOSPC ? r : read_errno(r);
}

static int renew_by_touch(struct fs *fs, const struct request_view *view, const struct caller *who)
{
	return may_command(fs, &view->request, who) ? request_renew(fs, view, 0) : -EPERM;
}

int request_setattr(struct fs *fs, const struct inode *node, const struct stat *want, int valid,
		    const struct caller *who, uint64_t writer)
{
	_cleanup_(request_view_done) struct request_view view = { 0 };
	int r = request_view_load(fs, node->id, 0, &view);

	if (r < 0)
		return r;
	if (node->part >= REQUEST_TEMPORARY_FIRST)
		return temporary_setattr(fs, node, &view, want, valid);
	if (valid & SET_OWNER)
		return -EPERM;
	if (valid & FUSE_SET_ATTR_SIZE) {
		if (node->part != REQUEST_SPEC || view.compose)
			return -EPERM;
		return want->st_size < 0
			       ? -EINVAL
			       : draft_truncate(fs, node->id, writer, (uint64_t)want->st_size);
	}
	if (valid & FUSE_SET_ATTR_MODE)
		return node->part == REQUEST_DIRECTORY
			       ? directory_chmod(fs, &view, want->st_mode, who)
			       : -EPERM;
	if (valid & SET_TIMES)
		return node->part == REQUEST_DIRECTORY || node->part == REQUEST_TTL
			       ? renew_by_touch(fs, &view, who)
			       : -EPERM;
	return 0;
}
