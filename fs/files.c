/* SPDX-License-Identifier: MIT */
/* fs/files.c: the bytes of a compose's files: open, read, close.
 *
 * fi->fh of these files is 0 and means nothing: an open is a count beside the backing descriptor,
 * in a table by inode number; what was opened before a restart is opened again at its first read.
 */
#include "fs/internal.h"

#include <fcntl.h>
#include <unistd.h>

/** struct bytes - an open file of a tree; counted, so that none is closed under a reader */
struct bytes {
	struct tree_file file;
	struct tree *tree;
	bool live; /* grows: not cut at the size it had */
	unsigned int references;
};

struct backing {
	struct backing *next;
	uint64_t ino;
	int64_t opens;
	struct bytes *bytes;
	bool outdated; /* the compose has changed: open it again */
};

static struct backing **bucket_of(struct shown_table *table, uint64_t ino)
{
	return &table->backing[(ino * UINT64_C(0x9e3779b97f4a7c15) >> 40) % SHOWN_BUCKETS];
}

static struct backing *find(struct shown_table *table, uint64_t ino)
{
	struct backing *backing = *bucket_of(table, ino);

	while (backing && backing->ino != ino)
		backing = backing->next;
	return backing;
}

/* true: the caller frees it, without the lock; under the lock */
static bool unused(struct bytes *bytes)
{
	return bytes && !--bytes->references;
}

static void bytes_free(struct bytes *bytes)
{
	tree_file_done(&bytes->file);
	tree_unref(bytes->tree);
	free(bytes);
}

/* Words for an open that failed: at the file and in the compose's log. */
static void failed(struct fs *fs, const struct inode *node, const struct error *err)
{
	_cleanup_(closep) int fd = -1;
	struct error ignored = { 0 };
	char now[TIME_ISO_SIZE];

	file_error_set(fs, COMPOSE_INO(node->id, node->part), err->message);
	fd = tree_store_log_open(fs->options.trees, node->id, true, &ignored);
	if (fd >= 0)
		(void)dprintf(fd, "%s %s\n", time_iso(time_now(), now), err->message);
	log_warning("fs: compose %" PRId64 ": %s", node->id, err->message);
}

static int bytes_open(struct fs *fs, const struct inode *node, bool opened, struct bytes **ret)
{
	_cleanup_(tree_unrefp) struct tree *tree = NULL;
	struct tree_node found;
	struct error err = { 0 };
	struct bytes *bytes;
	int r = shown_tree(fs, node->id, opened, &tree, NULL);

	if (!r)
		r = tree_get(tree, node->part, &found);
	if (r < 0)
		return r;
	bytes = calloc(1, sizeof(*bytes));
	if (!bytes)
		return -ENOMEM;
	bytes->file.fd = -1;
	r = tree_file_open(tree, node->part, &bytes->file, &err);
	if (r < 0) {
		free(bytes);
		if (r != -ENOENT && r != -EISDIR && r != -EMFILE && r != -ENFILE)
			failed(fs, node, &err);
		return r;
	}
	if (found.package)
		file_error_set(fs, COMPOSE_INO(node->id, node->part), NULL);
	bytes->tree = steal(tree);
	bytes->live = found.live;
	bytes->references = 1;
	*ret = bytes;
	return 0;
}

/* Is what is open still what the next reader must see? A log that did not exist may do so by now.
 */
static bool current(const struct backing *backing)
{
	return backing->bytes && !backing->outdated &&
	       !(backing->bytes->live && backing->bytes->file.fd < 0);
}

/* Put @bytes (taken over) behind @ino, unless somebody did so meanwhile; @open counts an open. A
 * reference comes back in @ret when wanted. */
static int backing_set(struct fs *fs, uint64_t ino, struct bytes *bytes, int opens,
		       struct bytes **ret)
{
	struct shown_table *table = &fs->shown;
	struct bytes *old = NULL;
	int r = 0;

	pthread_mutex_lock(&table->lock);
	struct backing *backing = find(table, ino);
	if (!backing) {
		backing = calloc(1, sizeof(*backing));
		if (backing) {
			backing->ino = ino;
			backing->next = *bucket_of(table, ino);
			*bucket_of(table, ino) = backing;
		} else {
			r = -ENOMEM;
			old = unused(bytes) ? bytes : NULL;
		}
	}
	if (backing) {
		if (current(backing)) {
			old = unused(bytes) ? bytes : NULL;
		} else {
			old = unused(backing->bytes) ? backing->bytes : NULL;
			backing->bytes = bytes;
			backing->outdated = false;
		}
		backing->opens += opens;
		if (ret) {
			backing->bytes->references++;
			*ret = backing->bytes;
		}
	}
	pthread_mutex_unlock(&table->lock);
	if (old)
		bytes_free(old);
	return r;
}

/* A reference to what is open behind @ino; NULL when it must be opened. @opens more are counted. */
static struct bytes *backing_get(struct fs *fs, uint64_t ino, int opens)
{
	struct bytes *bytes = NULL;

	pthread_mutex_lock(&fs->shown.lock);
	struct backing *backing = find(&fs->shown, ino);
	if (backing && current(backing)) {
		bytes = backing->bytes;
		bytes->references++;
		backing->opens += opens;
	}
	pthread_mutex_unlock(&fs->shown.lock);
	return bytes;
}

static void bytes_put(struct fs *fs, struct bytes *bytes)
{
	bool last;

	if (!bytes)
		return;
	pthread_mutex_lock(&fs->shown.lock);
	last = unused(bytes);
	pthread_mutex_unlock(&fs->shown.lock);
	if (last)
		bytes_free(bytes);
}

static void backing_remove(struct shown_table *table, struct backing *backing)
{
	struct backing **link = bucket_of(table, backing->ino);

	while (*link != backing)
		link = &(*link)->next;
	*link = backing->next;
	free(backing);
}

int compose_open(struct fs *fs, const struct inode *node, struct fuse_file_info *fi)
{
	_cleanup_(tree_unrefp) struct tree *tree = NULL;
	uint64_t ino = COMPOSE_INO(node->id, node->part);
	struct tree_node found;
	bool final;
	int r;

	if ((fi->flags & O_ACCMODE) != O_RDONLY)
		return -EROFS;
	r = shown_tree(fs, node->id, false, &tree, &final);
	if (!r)
		r = tree_get(tree, node->part, &found);
	if (r < 0)
		return r;
	r = shown_open(fs, node->id);
	if (r < 0)
		return r;
	struct bytes *bytes = backing_get(fs, ino, 1);
	if (!bytes) {
		r = bytes_open(fs, node, true, &bytes);
		if (!r)
			r = backing_set(fs, ino, bytes, 1, NULL);
		if (r < 0) {
			shown_close(fs, node->id);
			return r;
		}
	} else {
		bytes_put(fs, bytes);
	}
	fi->fh = 0;
	fi->noflush = 1;
	fi->keep_cache = final && !found.live;
	fi->direct_io = !final || found.live;
	return 0;
}

void compose_release(struct fs *fs, const struct inode *node)
{
	struct shown_table *table = &fs->shown;
	struct bytes *bytes = NULL;

	pthread_mutex_lock(&table->lock);
	struct backing *backing = find(table, COMPOSE_INO(node->id, node->part));
	if (backing && backing->opens)
		backing->opens--;
	if (backing && !backing->opens) {
		bytes = unused(backing->bytes) ? backing->bytes : NULL;
		backing_remove(table, backing);
	}
	pthread_mutex_unlock(&table->lock);
	if (bytes)
		bytes_free(bytes);
	shown_close(fs, node->id);
}

int compose_opendir(struct fs *fs, const struct inode *node, struct fuse_file_info *fi)
{
	_cleanup_(tree_unrefp) struct tree *tree = NULL;
	bool final;
	int r = shown_tree(fs, node->id, false, &tree, &final);

	if (!r)
		r = shown_open(fs, node->id);
	fi->fh = 0;
	fi->cache_readdir = fi->keep_cache = final;
	return r;
}

/* From memory, or with a part from memory. */
static void reply_copy(fuse_req_t req, const struct tree_file *file, size_t size, uint64_t offset)
{
	char *buffer = malloc(size ? size : 1);
	ssize_t n = buffer ? tree_file_read(file, buffer, size, offset) : -ENOMEM;

	if (n < 0)
		fuse_reply_err(req, n == -ENOMEM ? ENOMEM : EIO);
	else
		fuse_reply_buf(req, buffer, (size_t)n);
	free(buffer);
}

static void reply(fuse_req_t req, const struct bytes *bytes, size_t size, uint64_t offset)
{
	const struct tree_file *file = &bytes->file;

	if (!bytes->live || file->fd < 0) {
		if (offset >= file->size)
			size = 0;
		else if (size > file->size - offset)
			size = (size_t)(file->size - offset);
	}
	if (file->fd < 0 || offset < file->head_length || !size) {
		reply_copy(req, file, size, offset);
		return;
	}

	struct fuse_bufvec vector = FUSE_BUFVEC_INIT(size);
	vector.buf[0].flags = FUSE_BUF_IS_FD | FUSE_BUF_FD_SEEK;
	vector.buf[0].fd = file->fd;
	vector.buf[0].pos = (off_t)(offset - file->head_length);
	fuse_reply_data(req, &vector, FUSE_BUF_SPLICE_MOVE);
}

void compose_read(struct fs *fs, fuse_req_t req, const struct inode *node, size_t size,
		  uint64_t offset)
{
	uint64_t ino = COMPOSE_INO(node->id, node->part);
	struct bytes *bytes = backing_get(fs, ino, 0);
	int r = 0;

	if (!bytes) {
		struct bytes *fresh;

		r = bytes_open(fs, node, true, &fresh);
		if (!r)
			r = backing_set(fs, ino, fresh, 0, &bytes);
	}
	if (r < 0)
		fuse_reply_err(req, -r);
	else
		reply(req, bytes, size, offset);
	bytes_put(fs, bytes);
}

void backing_outdate(struct fs *fs, int64_t compose)
{
	struct shown_table *table = &fs->shown;

	pthread_mutex_lock(&table->lock);
	/* Only what the overlay makes can differ, and few of those are ever open. */
	for (uint32_t index = 0; index < TREE_MANIFEST_FIRST; index++) {
		struct backing *backing = find(table, COMPOSE_INO(compose, index));

		if (backing)
			backing->outdated = true;
	}
	pthread_mutex_unlock(&table->lock);
}

void backing_clear(struct fs *fs)
{
	struct shown_table *table = &fs->shown;

	for (size_t i = 0; i < SHOWN_BUCKETS; i++)
		while (table->backing[i]) {
			struct backing *backing = table->backing[i];

			table->backing[i] = backing->next;
			if (unused(backing->bytes))
				bytes_free(backing->bytes);
			free(backing);
		}
}
