/* SPDX-License-Identifier: MIT */
/* fs/export.c: bytes of the second mount, whose files are opened without a word to us.
 *
 * A READ names an inode and nothing else. Files that were read lately are kept open, a bounded
 * number, found by inode number; only such as never change, so none has to be taken back. The
 * kernel forgets an inode when nobody has it open: then its file is closed, which is how files of a
 * compose that is over go, while who still has one open may read on.
 *
 * A source file that is changed in place is noticed by its ctime, which nobody can set. One that
 * was changed a moment ago is not kept: the change may have come between the judgement in
 * tree_file_open() and the look at the ctime. */
#include "fs/internal.h"

#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define SETTLED_SECONDS 2

struct export_file {
	struct export_file *next;	   /* bucket */
	struct export_file *newer, *older; /* by use */
	uint64_t ino;
	struct bytes *bytes;
	struct timespec ctime; /* of its descriptor; 0: it has none */
};

void export_files_init(struct export_files *files)
{
	struct rlimit limit;

	pthread_mutex_init(&files->lock, NULL);
	files->limit = EXPORT_FILES_MAX;
	if (!getrlimit(RLIMIT_NOFILE, &limit) && limit.rlim_cur / 4 < files->limit)
		files->limit = limit.rlim_cur / 4;
}

void export_files_done(struct export_files *files)
{
	pthread_mutex_destroy(&files->lock);
}

size_t export_files_count(struct fs *fs)
{
	size_t count;

	pthread_mutex_lock(&fs->export_files.lock);
	count = fs->export_files.count;
	pthread_mutex_unlock(&fs->export_files.lock);
	return count;
}

/* ---- the table, under the lock ------------------------------------------- */

static struct export_file **bucket_of(struct export_files *files, uint64_t ino)
{
	return &files->bucket[(ino * UINT64_C(0x9e3779b97f4a7c15) >> 40) % EXPORT_BUCKETS];
}

static struct export_file *find(struct export_files *files, uint64_t ino)
{
	struct export_file *file = *bucket_of(files, ino);

	while (file && file->ino != ino)
		file = file->next;
	return file;
}

static void use_remove(struct export_files *files, struct export_file *file)
{
	*(file->newer ? &file->newer->older : &files->newest) = file->older;
	*(file->older ? &file->older->newer : &files->oldest) = file->newer;
	file->newer = file->older = NULL;
}

static void use_first(struct export_files *files, struct export_file *file)
{
	file->older = files->newest;
	*(files->newest ? &files->newest->newer : &files->oldest) = file;
	files->newest = file;
}

/* Its bytes, when nobody reads them at the moment: the caller frees them, without the lock. */
static struct bytes *drop(struct export_files *files, struct export_file *file)
{
	struct export_file **link = bucket_of(files, file->ino);
	struct bytes *bytes = file->bytes;

	while (*link != file)
		link = &(*link)->next;
	*link = file->next;
	use_remove(files, file);
	files->count--;
	free(file);
	return --bytes->references ? NULL : bytes;
}

/* ---- files --------------------------------------------------------------- */

static void put(struct export_files *files, struct bytes *bytes)
{
	bool last;

	pthread_mutex_lock(&files->lock);
	last = !--bytes->references;
	pthread_mutex_unlock(&files->lock);
	if (last)
		bytes_free(bytes);
}

/* @bytes NULL: whatever is kept */
static void forget(struct export_files *files, uint64_t ino, const struct bytes *bytes)
{
	struct bytes *unused = NULL;

	pthread_mutex_lock(&files->lock);
	struct export_file *file = find(files, ino);
	if (file && (!bytes || file->bytes == bytes))
		unused = drop(files, file);
	pthread_mutex_unlock(&files->lock);
	if (unused)
		bytes_free(unused);
}

void export_forget(struct fs *fs, uint64_t ino)
{
	forget(&fs->export_files, ino, NULL);
}

static struct timespec changed(const struct bytes *bytes)
{
	struct stat st = { 0 };

	if (bytes->file.fd >= 0 && fstat(bytes->file.fd, &st) < 0)
		st.st_ctim.tv_nsec = -1; /* equals nothing */
	return st.st_ctim;
}

/* A reference to what is kept; NULL: it must be opened. */
static struct bytes *kept(struct export_files *files, uint64_t ino)
{
	struct timespec then = { 0 }, now;
	struct bytes *bytes = NULL;

	pthread_mutex_lock(&files->lock);
	struct export_file *file = find(files, ino);
	if (file) {
		bytes = file->bytes;
		bytes->references++;
		then = file->ctime;
		use_remove(files, file);
		use_first(files, file);
	}
	pthread_mutex_unlock(&files->lock);
	if (!bytes)
		return NULL;
	now = changed(bytes);
	if (now.tv_sec == then.tv_sec && now.tv_nsec == then.tv_nsec)
		return bytes;
	forget(files, ino, bytes);
	put(files, bytes);
	return NULL;
}

/* Keep @bytes, unless another thread was first. Not packages of servers: one that is open takes up
 * room that another one may need. */
static void keep(struct export_files *files, uint64_t ino, struct bytes *bytes)
{
	struct timespec ctime = changed(bytes), now;
	struct export_file *file;
	struct bytes *unused = NULL;

	(void)clock_gettime(CLOCK_REALTIME, &now); /* the one that files are stamped with */
	if (!bytes->file.etag[0] || bytes->file.hold || ctime.tv_nsec < 0 ||
	    (ctime.tv_sec + SETTLED_SECONDS >= now.tv_sec && bytes->file.fd >= 0))
		return;
	file = calloc(1, sizeof(*file));
	if (!file)
		return;
	*file = (struct export_file){ .ino = ino, .bytes = bytes, .ctime = ctime };
	pthread_mutex_lock(&files->lock);
	if (find(files, ino)) {
		free(file);
	} else {
		if (files->count >= files->limit && files->oldest)
			unused = drop(files, files->oldest);
		file->next = *bucket_of(files, ino);
		*bucket_of(files, ino) = file;
		use_first(files, file);
		files->count++;
		bytes->references++;
	}
	pthread_mutex_unlock(&files->lock);
	if (unused)
		bytes_free(unused);
}

void export_files_clear(struct fs *fs)
{
	struct export_files *files = &fs->export_files;

	for (;;) {
		struct bytes *unused = NULL;

		pthread_mutex_lock(&files->lock);
		bool more = files->oldest;
		if (more)
			unused = drop(files, files->oldest);
		pthread_mutex_unlock(&files->lock);
		if (!more)
			return;
		if (unused)
			bytes_free(unused);
	}
}

/* ---- operations ---------------------------------------------------------- */

static void tell(struct fs *fs, const struct inode *node, const struct bytes *bytes)
{
	struct tree_node found;

	shown_read(fs, node->id);
	if (fs->options.read && !tree_get(bytes->tree, node->part, &found) &&
	    tree_is_content(bytes->tree, &found))
		fs->options.read(fs->options.read_data, node->id);
}

void export_read(struct fs *fs, fuse_req_t req, const struct inode *node, size_t size,
		 uint64_t offset, unsigned int times)
{
	struct export_files *files = &fs->export_files;
	uint64_t ino = COMPOSE_INO(node->id, node->part);
	struct bytes *bytes = kept(files, ino);
	int r = 0;

	if (!bytes) {
		r = bytes_open(fs, node, false, &bytes);
		if (!r) {
			figure_add(&files->opened);
			keep(files, ino, bytes);
		}
		if (r == -EAGAIN)
			r = fetched_hold(&fs->mount[FS_EXPORT], req, node, 0, size, offset, times);
		if (r == HELD)
			return;
	}
	figure_failure(fs, FIGURE_READ, r);
	if (r < 0) {
		if (r == -EINTR)
			reply_interrupted(fs, req);
		else
			fuse_reply_err(req, r == -ENOENT ? ESTALE : -r);
		return;
	}
	tell(fs, node, bytes);
	bytes_reply(fs, req, bytes, size, offset, times > 0);
	put(files, bytes);
}

bool export_limit(const struct inode *parent, const char *name, struct fuse_entry_param *entry)
{
	if (parent->kind != INODE_COMPOSE || parent->part != TREE_ROOT || !entry->ino ||
	    strcmp(name, "compose") != 0)
		return false;
	if (entry->entry_timeout > EXPORT_LOOK_SECONDS)
		entry->entry_timeout = EXPORT_LOOK_SECONDS;
	return true;
}

void export_looked(struct fs *fs, const struct inode *parent, const char *name,
		   struct fuse_entry_param *entry)
{
	if (export_limit(parent, name, entry) && fs->options.read)
		fs->options.read(fs->options.read_data, parent->id);
}
