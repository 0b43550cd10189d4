/* SPDX-License-Identifier: MIT */
/* fs/files.c: the bytes of a compose's files: open, read, close.
 *
 * fi->fh of these files is 0 and means nothing: an open is a count beside the backing descriptor,
 * in a table by inode number; what was opened before a restart is opened again at its first read.
 */
#include "fs/internal.h"

#include <fcntl.h>
#include <unistd.h>

struct backing {
	struct backing *next;
	uint64_t ino;
	int64_t opens;
	struct bytes *bytes;
	bool outdated;		/* the compose has changed: open it again */
	int32_t backing_id;	/* of all its opens; 0: they go by splice */
	struct kept_open *kept; /* the same for the next server; NULL: there is none, or no room */
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

void bytes_free(struct bytes *bytes)
{
	tree_file_done(&bytes->file);
	tree_unref(bytes->tree);
	free(bytes);
}

/* However often it is tried, it is said once. */
void file_failed(struct fs *fs, const struct inode *node, const struct error *err)
{
	if (!tree_failed(fs->options.trees, node->id, node->part, err->message))
		return;
	log_warning("fs: compose %" PRId64 ": %s", node->id, err->message);
}

int bytes_open(struct fs *fs, const struct inode *node, bool opened, struct bytes **ret)
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
		if (r != -ENOENT && r != -EISDIR && r != -EMFILE && r != -ENFILE && r != -EAGAIN)
			file_failed(fs, node, &err);
		return r;
	}
	if (found.package)
		tree_reads_well(fs->options.trees, node->id, node->part);
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

static struct backing *backing_make(struct shown_table *table, uint64_t ino)
{
	struct backing *backing = find(table, ino);

	if (backing)
		return backing;
	backing = calloc(1, sizeof(*backing));
	if (backing) {
		backing->ino = ino;
		backing->next = *bucket_of(table, ino);
		*bucket_of(table, ino) = backing;
	}
	return backing;
}

/* What the next server must know of it; under the lock */
static void note(struct backing *backing)
{
	if (!backing->kept)
		return;
	backing->kept->backing_id = backing->backing_id;
	backing->kept->opens = backing->opens < UINT32_MAX ? (uint32_t)backing->opens : UINT32_MAX;
}

/** struct opening - an open being counted: the first one decides how all of its time are read */
struct opening {
	fuse_req_t req;
	int32_t offered; /* backing id; 0 afterwards when it was taken */
	int32_t used;
};

static int32_t steal_id(int32_t *id)
{
	int32_t taken = *id;

	*id = 0;
	return taken;
}

/* Put @bytes (taken over) behind @ino, unless something as good is there. @opening: count an open;
 * NULL: only to read. A reference comes back in @ret when wanted. */
static int backing_set(struct fs *fs, uint64_t ino, struct bytes *bytes, struct opening *opening,
		       struct bytes **ret)
{
	struct shown_table *table = &fs->shown;
	struct bytes *old = bytes;

	pthread_mutex_lock(&table->lock);
	bool fresh = !find(table, ino); /* else the kernel may have opens from before a restart */
	struct backing *backing = backing_make(table, ino);
	if (backing && !current(backing)) {
		old = backing->bytes;
		backing->bytes = bytes;
		backing->outdated = false;
	}
	if (backing && opening) {
		if (fresh) {
			backing->kept = takeover_open(fs, ino);
			if (!takeover_incomplete(fs))
				backing->backing_id = steal_id(&opening->offered);
		}
		opening->used = backing->backing_id;
		if (!takeover_seen(opening->req))
			backing->opens++;
		note(backing);
	}
	if (backing && ret) {
		backing->bytes->references++;
		*ret = backing->bytes;
	}
	if (!unused(old))
		old = NULL;
	pthread_mutex_unlock(&table->lock);
	if (old)
		bytes_free(old);
	return backing ? 0 : -ENOMEM;
}

static bool is_known(struct fs *fs, uint64_t ino)
{
	bool known;

	pthread_mutex_lock(&fs->shown.lock);
	known = find(&fs->shown, ino);
	pthread_mutex_unlock(&fs->shown.lock);
	return known;
}

/* A reference to what is open behind @ino; NULL when it must be opened. */
static struct bytes *backing_get(struct fs *fs, uint64_t ino)
{
	struct bytes *bytes = NULL;

	pthread_mutex_lock(&fs->shown.lock);
	struct backing *backing = find(&fs->shown, ino);
	if (backing && current(backing)) {
		bytes = backing->bytes;
		bytes->references++;
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

/* Open the bytes behind @ino, judged anew at each open, and count it. */
static int bytes_count(struct fs *fs, fuse_req_t req, const struct inode *node, bool final,
		       int32_t *ret_backing_id, bool *ret_here)
{
	uint64_t ino = COMPOSE_INO(node->id, node->part);
	struct opening opening = { .req = req };
	struct bytes *bytes = NULL;
	int r = bytes_open(fs, node, true, &bytes);

	if (r < 0 && r != -EAGAIN) /* what is not here is brought when it is read */
		return r;
	if (bytes && final && !bytes->live && bytes->file.fd >= 0 && !bytes->file.head_length &&
	    !is_known(fs, ino))
		opening.offered = passthrough_open(fs, bytes->file.fd);
	*ret_here = bytes;
	r = backing_set(fs, ino, bytes, &opening, NULL);
	passthrough_close(fs, opening.offered);
	*ret_backing_id = opening.used;
	return r;
}

int compose_open(struct fs *fs, fuse_req_t req, const struct inode *node, struct fuse_file_info *fi,
		 int32_t *ret_backing_id)
{
	_cleanup_(tree_unrefp) struct tree *tree = NULL;
	struct tree_node found;
	bool final, here = false;
	int r;

	if ((fi->flags & O_ACCMODE) != O_RDONLY)
		return -EROFS;
	r = shown_tree(fs, node->id, false, &tree, &final);
	if (!r)
		r = tree_get(tree, node->part, &found);
	if (!r)
		r = shown_open(fs, node->id);
	if (r < 0)
		return r;
	r = bytes_count(fs, req, node, final, ret_backing_id, &here);
	if (r < 0) {
		shown_close(fs, node->id);
		return r;
	}
	if (fs->options.read && tree_is_content(tree, &found))
		fs->options.read(fs->options.read_data, node->id);
	fi->fh = 0;
	fi->noflush = 1;
	/* what it has from before may be what nobody held against the keys */
	fi->keep_cache = final && !found.live && (here || !tree_store_checks(fs->options.trees));
	fi->direct_io = !final || found.live;
	return 0;
}

void compose_release(struct fs *fs, fuse_req_t req, const struct inode *node)
{
	struct shown_table *table = &fs->shown;
	struct bytes *bytes = NULL;
	int32_t backing_id = 0;

	pthread_mutex_lock(&table->lock);
	struct backing *backing = find(table, COMPOSE_INO(node->id, node->part));
	if (backing && backing->opens && !(req && takeover_seen(req)))
		backing->opens--;
	if (backing)
		note(backing);
	if (backing && !backing->opens) {
		bytes = unused(backing->bytes) ? backing->bytes : NULL;
		backing_id = backing->backing_id;
		backing_remove(table, backing);
	}
	pthread_mutex_unlock(&table->lock);
	passthrough_close(fs, backing_id);
	if (bytes)
		bytes_free(bytes);
	shown_close(fs, node->id);
}

int compose_opendir(struct fs *fs, const struct inode *node, struct fuse_file_info *fi)
{
	_cleanup_(tree_unrefp) struct tree *tree = NULL;
	bool final = false;
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

void bytes_reply(struct fs *fs, fuse_req_t req, const struct bytes *bytes, size_t size,
		 uint64_t offset, bool copied)
{
	const struct tree_file *file = &bytes->file;

	if (!bytes->live || file->fd < 0) {
		if (offset >= file->size)
			size = 0;
		else if (size > file->size - offset)
			size = (size_t)(file->size - offset);
	}
	atomic_fetch_add_explicit(&fs->read_bytes, size, memory_order_relaxed);
	if (copied || file->fd < 0 || offset < file->head_length || !size) {
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
		  uint64_t offset, unsigned int times)
{
	uint64_t ino = COMPOSE_INO(node->id, node->part);
	struct bytes *bytes = backing_get(fs, ino);
	int r = 0;

	if (!bytes) {
		struct bytes *fresh;

		r = bytes_open(fs, node, true, &fresh);
		if (!r)
			r = backing_set(fs, ino, fresh, NULL, &bytes);
		if (r == -EAGAIN)
			r = fetched_hold(&fs->mount[FS_TREE], req, node, 0, size, offset, times);
		if (r == HELD)
			return;
	}
	figure_failure(fs, FIGURE_READ, r);
	if (r == -EINTR)
		reply_interrupted(fs, req);
	else if (r < 0)
		fuse_reply_err(req, -r);
	else
		bytes_reply(fs, req, bytes, size, offset, times > 0);
	bytes_put(fs, bytes);
}

void backing_inherit(struct fs *fs, struct kept_open *kept)
{
	struct shown_table *table = &fs->shown;
	_cleanup_(tree_unrefp) struct tree *tree = NULL;
	struct backing *backing;
	struct inode node;

	if (!inode_parse(kept->ino, &node) || node.kind != INODE_COMPOSE)
		return;
	pthread_mutex_lock(&table->lock);
	backing = backing_make(table, kept->ino);
	if (backing) {
		backing->opens = kept->opens;
		backing->backing_id = kept->backing_id;
		backing->kept = kept;
		if (kept->backing_id)
			fs->backing_ids++;
	}
	pthread_mutex_unlock(&table->lock);
	for (uint32_t i = 0; i < kept->opens && !shown_open(fs, node.id); i++)
		;
	/* kept from now on, so that it can be read when the compose is removed while it is open */
	(void)shown_tree(fs, node.id, true, &tree, NULL);
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
