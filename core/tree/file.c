/* SPDX-License-Identifier: MIT */
/* core/tree/file.c: from a node to its bytes.
 *
 * A package's bytes are the source's own file, which others may replace at any time. It is opened
 * below its base directory and must still be the file that the worker judged: size, mtime and inode
 * as recorded.
 *
 * The service may read more than those who asked for the compose, so three things are not taken on
 * trust: the base is walked without following any link (it was a real path when it was recorded); a
 * link that leads out of it is followed only to a file that everybody may read, since inode, size
 * and time of a file that one can stat can be imitated on another file system; and what is not a
 * regular file is never opened. Links in the site's own directory, which lead to its other volumes,
 * are nobody's who asks: files behind them need not be for everybody. */
#include "core/tree/private.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdarg.h>
#include <sys/syscall.h>
#include <unistd.h>

static int open_how(int dirfd, const char *path, int flags, uint64_t resolve)
{
	struct open_how how = {
		.flags = (uint64_t)(flags | O_CLOEXEC),
		.resolve = resolve | RESOLVE_NO_MAGICLINKS,
	};
	long fd;

	for (int tries = 0; tries < 8; tries++) {
		fd = syscall(SYS_openat2, dirfd, path, &how, sizeof(how));
		if (fd >= 0 ||
		    (errno != EAGAIN && errno != EINTR)) /* EAGAIN: raced with a rename */
			break;
	}
	return fd < 0 ? -errno : (int)fd;
}

/* ---- packages ---------------------------------------------------------- */

/** struct source - a package's file, for words */
struct source {
	const struct manifest_record *record;
	const char *base, *path;
	const struct strings *sites; /* the store's */
	struct error *err;
};

static _printf_(2, 3) int changed(const struct source *source, const char *format, ...)
{
	char words[256];
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(words, sizeof(words), format, arguments);
	va_end(arguments);
	return error_set(source->err, -EIO, BLAME_SOURCE, NULL, "%s/%s: %s", source->base,
			 source->path, words);
}

static int fail(const struct source *source, int code)
{
	if (code == -EMFILE || code == -ENFILE || code == -ENOMEM)
		return error_errno(source->err, code, "%s/%s", source->base, source->path);
	return changed(source, "%s", strerror(-code));
}

static int judge_source(const struct source *source, int fd, bool outside)
{
	const struct manifest_record *record = source->record;
	struct stat st;
	int64_t mtime_ns;

	if (fstat(fd, &st) < 0)
		return fail(source, -errno);
	if (!S_ISREG(st.st_mode))
		return changed(source, "not a regular file any more");
	if (outside && !(st.st_mode & S_IROTH))
		return changed(source, "a link out of the repository to a file that not "
				       "everybody may read");
	mtime_ns =
		(int64_t)((uint64_t)st.st_mtim.tv_sec * 1000000000 + (uint64_t)st.st_mtim.tv_nsec);
	if ((uint64_t)st.st_size != record->size)
		return changed(source,
			       "changed since the compose was made: %" PRIu64
			       " bytes, now %" PRIu64,
			       record->size, (uint64_t)st.st_size);
	if (mtime_ns != record->source_mtime_ns || (uint64_t)st.st_ino != record->source_ino)
		return changed(source, "replaced since the compose was made (%s differs)",
			       mtime_ns != record->source_mtime_ns ? "mtime" : "inode");
	return 0;
}

static bool is_site(const struct source *source, int base)
{
	struct stat site, st;

	if (fstat(base, &st) < 0)
		return false;
	for (size_t i = 0; i < source->sites->count; i++)
		if (stat(source->sites->item[i], &site) == 0 && st.st_dev == site.st_dev &&
		    st.st_ino == site.st_ino)
			return true;
	return false;
}

/* Nothing but O_PATH until it is known to be the file that was judged: opening a device may do
 * things. */
static int open_outside(const struct source *source, int base)
{
	_cleanup_(closep) int place = open_how(base, source->path, O_PATH, 0);
	char name[40];
	int fd, r;

	if (place < 0)
		return fail(source, place);
	r = judge_source(source, place, !is_site(source, base));
	if (r < 0)
		return r;
	(void)snprintf(name, sizeof(name), "/proc/self/fd/%d", place);
	fd = open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	return fd < 0 ? fail(source, -errno) : fd;
}

static int open_source(const struct source *source)
{
	_cleanup_(closep) int base = -1, fd = -1;
	int r;

	base = open_how(AT_FDCWD, source->base, O_PATH | O_DIRECTORY, RESOLVE_NO_SYMLINKS);
	if (base < 0)
		return fail(source, base);
	fd = open_how(base, source->path, O_RDONLY | O_NONBLOCK | O_NOCTTY, RESOLVE_BENEATH);
	if (fd == -EXDEV)
		return open_outside(source, base);
	if (fd < 0)
		return fail(source, fd);
	r = judge_source(source, fd, false);
	return r < 0 ? r : steal_fd(&fd);
}

/* The hold comes first: what is there then stays. */
static int open_remote(const struct source *source, struct tree_store *store,
		       struct tree_file *file)
{
	const struct manifest_record *record = source->record;
	int fd;

	file->hold = cache_hold(store, record->digest);
	if (!file->hold)
		return error_oom(source->err);
	fd = store_package_open(store, record->digest, record->size, source->err);
	if (fd >= 0 && !store_is_signed(store, source->base, record->digest, fd)) {
		(void)close(fd);
		return -EAGAIN;
	}
	if (fd >= 0)
		cache_used(file->hold, fd, record->size);
	else if (fd != -EAGAIN)
		(void)error_prefix(source->err, "%s/%s", source->base, source->path);
	return fd;
}

static int open_package(const struct tree *tree, const struct manifest_record *record,
			struct tree_file *file, struct error *err)
{
	struct source source = {
		.record = record,
		.base = tree->manifest->strings + record->count,
		.path = tree->manifest->strings + record->first,
		.sites = &tree->store->sites,
		.err = err,
	};

	if (record->flags & MANIFEST_SHA256)
		hex_print(record->digest, DIGEST_SIZE, file->etag);
	else
		(void)snprintf(file->etag, sizeof(file->etag), "%" PRIx64 "-%" PRIx64 "-%" PRIx64,
			       record->size, (uint64_t)record->source_mtime_ns, record->source_ino);
	file->size = record->size;
	file->fd = record->flags & MANIFEST_REMOTE ? open_remote(&source, tree->store, file)
						   : open_source(&source);
	return file->fd < 0 ? file->fd : 0;
}

/* ---- those of servers --------------------------------------------------- */

static void want_of(const struct tree *tree, const struct manifest_record *record,
		    struct tree_want *ret)
{
	const char *strings = tree->manifest->strings;

	*ret = (struct tree_want){ .size = record->size,
				   .base = strings + record->count,
				   .path = strings + record->first,
				   .there = cache_has(tree->store, record->digest, record->size) };
	hex_print(record->digest, DIGEST_SIZE, ret->sha256);
}

int tree_want(const struct tree *tree, uint32_t index, struct tree_want *ret)
{
	uint32_t number = tree_record(tree, index);
	const struct manifest_record *record;

	if (number == MANIFEST_NONE)
		return -ENODATA;
	record = &tree->manifest->record[number];
	if (record->type != MANIFEST_PACKAGE || !(record->flags & MANIFEST_REMOTE))
		return -ENODATA;
	want_of(tree, record, ret);
	return 0;
}

int tree_want_next(const struct tree *tree, uint32_t *position, struct tree_want *ret,
		   uint32_t *ret_index)
{
	const struct manifest *manifest = tree->manifest;

	for (; manifest && *position < manifest->count; ++*position) {
		const struct manifest_record *record = &manifest->record[*position];

		if (record->type != MANIFEST_PACKAGE || !(record->flags & MANIFEST_REMOTE))
			continue;
		want_of(tree, record, ret);
		*ret_index = TREE_MANIFEST_FIRST + (*position)++;
		return 1;
	}
	return 0;
}

struct tree_hold *tree_hold(const struct tree *tree, uint32_t index)
{
	uint32_t number = tree_record(tree, index);
	const struct manifest_record *record;

	if (number == MANIFEST_NONE)
		return NULL;
	record = &tree->manifest->record[number];
	if (record->type != MANIFEST_PACKAGE || !(record->flags & MANIFEST_REMOTE))
		return NULL;
	return cache_hold(tree->store, record->digest);
}

int tree_ask(const struct tree *tree, uint32_t index, struct tree_waiter *waiter, struct error *err)
{
	const struct tree_bringer *bringer = &tree->store->bringer;
	struct tree_want want;
	int r = tree_want(tree, index, &want);

	if (r < 0 || !bringer->ask)
		return error_set(err, -EIO, BLAME_US, NULL, "nobody brings packages");
	return bringer->ask(bringer->data, &want, waiter, err);
}

bool tree_forget(struct tree_store *store, struct tree_waiter *waiter)
{
	return store->bringer.forget(store->bringer.data, waiter);
}

bool tree_streams(const struct tree_store *store)
{
	return store->bringer.arriving != NULL;
}

struct tree_arrival *tree_arriving(const struct tree *tree, uint32_t index)
{
	const struct tree_bringer *bringer = &tree->store->bringer;
	struct tree_want want;

	if (!bringer->arriving || tree_want(tree, index, &want) < 0)
		return NULL;
	return bringer->arriving(bringer->data, &want);
}

/* ---- the other kinds --------------------------------------------------- */

static int open_log(const struct tree *tree, struct tree_file *file, struct error *err)
{
	struct stat st;

	file->fd = tree_store_log_open(tree->store, compose_tree_id(tree->record), false, err);
	if (file->fd == -ENOENT) {
		file->fd = -1; /* nothing was logged yet */
		return 0;
	}
	if (file->fd < 0)
		return file->fd;
	if (fstat(file->fd, &st) < 0)
		return error_errno(err, -errno, "log");
	file->size = (uint64_t)st.st_size;
	return 0;
}

static int render_head(const struct tree *tree, uint32_t index, struct tree_file *file,
		       struct error *err)
{
	struct text text = { 0 };

	(void)overlay_text(tree, index, &text);
	file->head_length = text.length;
	file->head = text_steal(&text);
	return file->head ? 0 : error_oom(err);
}

static int open_overlay(const struct tree *tree, uint32_t index, struct tree_file *file,
			struct error *err)
{
	int r;

	if (overlay_is_log(index))
		return open_log(tree, file, err);
	r = render_head(tree, index, file, err);
	if (r < 0)
		return r;
	file->size = file->head_length;
	if (tree->final)
		sha256_hex(file->head, file->head_length, file->etag);
	return 0;
}

/* The head depends on the compose, the rest does not: the tag is of both. */
static int open_blob(const struct tree *tree, const struct manifest_record *record,
		     struct tree_file *file, struct error *err)
{
	char hex[DIGEST_HEX_SIZE];
	int r = 0;

	hex_print(record->digest, DIGEST_SIZE, file->etag);
	if (overlay_head(record) != OVERLAY_TEXTS)
		r = render_head(tree, overlay_head(record), file, err);
	if (r < 0)
		return r;
	if (file->head) {
		sha256_hex(file->head, file->head_length, hex);
		(void)snprintf(file->etag + DIGEST_HEX_SIZE - 1,
			       sizeof(file->etag) - DIGEST_HEX_SIZE + 1, "-%.16s", hex);
	}
	file->size = file->head_length + record->size;
	file->fd =
		store_blob_open(tree->store, tree->store->blobs, record->digest, record->size, err);
	return file->fd < 0 ? file->fd : 0;
}

int tree_file_open(const struct tree *tree, uint32_t index, struct tree_file *ret,
		   struct error *err)
{
	_cleanup_(tree_file_done) struct tree_file file = { .fd = -1 };
	uint32_t number = tree_record(tree, index);
	const struct manifest_record *record;
	bool overlay = overlay_visible(tree, index);
	int r;

	if (!overlay && number == MANIFEST_NONE)
		return error_set(err, -ENOENT, BLAME_REQUEST, NULL, "no such file");
	record = overlay ? NULL : &tree->manifest->record[number];
	if (overlay ? overlay_entries[index].directory : record->type == MANIFEST_DIRECTORY)
		return error_set(err, -EISDIR, BLAME_REQUEST, NULL, "is a directory");
	if (overlay)
		r = open_overlay(tree, index, &file, err);
	else if (record->type == MANIFEST_PACKAGE)
		r = open_package(tree, record, &file, err);
	else
		r = open_blob(tree, record, &file, err);
	if (r == -EAGAIN) { /* what is known without its bytes */
		*ret = (struct tree_file){ .fd = -1, .size = file.size };
		memcpy(ret->etag, file.etag, sizeof(ret->etag));
	}
	if (r < 0)
		return r;
	*ret = file;
	file = (struct tree_file){ .fd = -1 };
	return 0;
}

void tree_file_done(struct tree_file *file)
{
	closep(&file->fd);
	tree_hold_release(file->hold);
	free(file->head);
	*file = (struct tree_file){ .fd = -1 };
}

ssize_t tree_file_read(const struct tree_file *file, void *buffer, size_t length, uint64_t offset)
{
	bool live = !file->etag[0] && file->fd >= 0; /* a log: whatever there is by now */
	size_t from_head = 0;
	ssize_t n;

	if (!live && offset >= file->size)
		return 0;
	if (!live && length > file->size - offset)
		length = (size_t)(file->size - offset);
	if (length > SSIZE_MAX)
		length = SSIZE_MAX;
	if (offset < file->head_length) {
		from_head =
			file->head_length - offset < length ? file->head_length - offset : length;
		memcpy(buffer, file->head + offset, from_head);
	}
	if (from_head == length || file->fd < 0)
		return (ssize_t)from_head;
	offset = offset > file->head_length ? offset - file->head_length : 0;
	if (offset > INT64_MAX)
		return (ssize_t)from_head;
	n = io_pread(file->fd, (char *)buffer + from_head, length - from_head, (off_t)offset);
	if (n < 0)
		return n;
	if (!live && (size_t)n < length - from_head)
		return -EIO; /* the file was cut after it was opened */
	return (ssize_t)from_head + n;
}
