/* SPDX-License-Identifier: MIT */
/* fs/temporaries.c: the files that editors, mv and sed make beside spec.json of a draft
 * (tree.md 2.7).
 *
 * Kept in memory, few and small. Like any unlinked file one stays for those who have it open, also
 * when its draft is accepted or gone. All under drafts.lock. */
#include "fs/internal.h"

static void temporary_free(struct temporary *temporary)
{
	text_done(&temporary->data);
	free(temporary->name);
	free(temporary);
}

/* Free those that nobody can reach any more; under the lock. */
static void sweep(struct drafts *drafts)
{
	struct temporary **link = &drafts->temporaries;

	while (*link) {
		struct temporary *temporary = *link;

		if (temporary->linked || temporary->opens) {
			link = &temporary->next;
			continue;
		}
		*link = temporary->next;
		temporary_free(temporary);
	}
}

void temporaries_unlink(struct drafts *drafts, int64_t request)
{
	for (struct temporary *t = drafts->temporaries; t; t = t->next)
		if (t->request == request)
			t->linked = false;
	sweep(drafts);
}

void temporaries_done(struct drafts *drafts)
{
	while (drafts->temporaries) {
		struct temporary *temporary = drafts->temporaries;

		drafts->temporaries = temporary->next;
		temporary_free(temporary);
	}
}

static struct temporary *by_name(const struct drafts *drafts, int64_t request, const char *name)
{
	struct temporary *t = drafts->temporaries;

	while (t && (t->request != request || !t->linked || strcmp(t->name, name) != 0))
		t = t->next;
	return t;
}

static struct temporary *by_number(const struct drafts *drafts, int64_t request, uint32_t number)
{
	struct temporary *t = drafts->temporaries;

	while (t && (t->request != request || t->number != number))
		t = t->next;
	return t;
}

static void view(const struct temporary *temporary, struct temporary_view *ret)
{
	ret->number = temporary->number;
	ret->mode = temporary->mode;
	ret->size = temporary->data.length;
	ret->mtime = temporary->mtime;
	snprintf(ret->name, sizeof(ret->name), "%s", temporary->name);
}

/* Numbers must not come again after a restart, so the first one follows the clock: 2^18 seconds go
 * into the field, and a draft in which 63 files a second are made is no editor's. */
static uint32_t number_first(void)
{
	return REQUEST_TEMPORARY_FIRST + ((uint32_t)time_now() & 0x3ffff) * 63;
}

int temporary_create(struct fs *fs, int64_t request, const char *name, uint32_t mode,
		     struct temporary **ret)
{
	struct drafts *drafts = &fs->drafts;
	struct temporary *temporary = calloc(1, sizeof(*temporary));
	size_t count = 0;
	int r = 0;

	if (temporary)
		temporary->name = strdup(name);
	if (!temporary || !temporary->name) {
		free(temporary);
		return -ENOMEM;
	}
	temporary->request = request;
	temporary->mode = mode & 0777;
	temporary->mtime = time_now();
	temporary->linked = true;
	temporary->opens = 1;

	pthread_mutex_lock(&drafts->lock);
	struct draft *draft = draft_make(drafts, request);
	for (const struct temporary *t = drafts->temporaries; t; t = t->next)
		count += t->request == request; /* unlinked ones with a descriptor, too */
	if (!draft)
		r = -ENOMEM;
	else if (by_name(drafts, request, name))
		r = -EEXIST;
	else if (count >= DRAFT_TEMPORARIES_MAX)
		r = -EDQUOT;
	if (!r) {
		if (!draft->next_temporary)
			draft->next_temporary = number_first();
		if (draft->next_temporary >= INODE_REQUEST_FILE_MAX)
			r = -EDQUOT;
	}
	if (!r) {
		temporary->number = draft->next_temporary++;
		temporary->next = drafts->temporaries;
		drafts->temporaries = temporary;
		*ret = temporary;
	}
	pthread_mutex_unlock(&drafts->lock);
	if (r < 0)
		temporary_free(temporary);
	return r;
}

int temporary_open(struct fs *fs, int64_t request, uint32_t number, bool truncate,
		   struct temporary **ret)
{
	int r = -ENOENT;

	pthread_mutex_lock(&fs->drafts.lock);
	struct temporary *temporary = by_number(&fs->drafts, request, number);
	if (temporary && temporary->linked) {
		if (truncate)
			text_clear(&temporary->data);
		temporary->opens++;
		*ret = temporary;
		r = 0;
	}
	pthread_mutex_unlock(&fs->drafts.lock);
	return r;
}

void temporary_close(struct fs *fs, struct temporary *temporary)
{
	pthread_mutex_lock(&fs->drafts.lock);
	temporary->opens--;
	sweep(&fs->drafts);
	pthread_mutex_unlock(&fs->drafts.lock);
}

int temporary_find(struct fs *fs, int64_t request, const char *name, struct temporary_view *ret)
{
	pthread_mutex_lock(&fs->drafts.lock);
	const struct temporary *temporary = by_name(&fs->drafts, request, name);
	if (temporary)
		view(temporary, ret);
	pthread_mutex_unlock(&fs->drafts.lock);
	return temporary ? 0 : -ENOENT;
}

int temporary_get(struct fs *fs, int64_t request, uint32_t number, struct temporary_view *ret)
{
	pthread_mutex_lock(&fs->drafts.lock);
	const struct temporary *temporary = by_number(&fs->drafts, request, number);
	if (temporary)
		view(temporary, ret);
	pthread_mutex_unlock(&fs->drafts.lock);
	return temporary ? 0 : -ENOENT;
}

int temporary_next(struct fs *fs, int64_t request, uint32_t number, struct temporary_view *ret)
{
	const struct temporary *best = NULL;

	pthread_mutex_lock(&fs->drafts.lock);
	for (const struct temporary *t = fs->drafts.temporaries; t; t = t->next)
		if (t->request == request && t->linked && t->number >= number &&
		    (!best || t->number < best->number))
			best = t;
	if (best)
		view(best, ret);
	pthread_mutex_unlock(&fs->drafts.lock);
	return best ? 0 : -ENOENT;
}

int temporary_unlink(struct fs *fs, int64_t request, const char *name)
{
	pthread_mutex_lock(&fs->drafts.lock);
	struct temporary *temporary = by_name(&fs->drafts, request, name);
	if (temporary)
		temporary->linked = false;
	sweep(&fs->drafts);
	pthread_mutex_unlock(&fs->drafts.lock);
	return temporary ? 0 : -ENOENT;
}

int temporary_rename(struct fs *fs, int64_t request, const char *name, const char *to, bool replace)
{
	char *copy = strdup(to);
	int r = 0;

	if (!copy)
		return -ENOMEM;
	pthread_mutex_lock(&fs->drafts.lock);
	struct temporary *temporary = by_name(&fs->drafts, request, name);
	struct temporary *there = by_name(&fs->drafts, request, to);
	if (!temporary) {
		r = -ENOENT;
	} else if (there && !replace) {
		r = -EEXIST;
	} else if (there != temporary) {
		if (there)
			there->linked = false;
		free(temporary->name);
		temporary->name = steal(copy);
		sweep(&fs->drafts);
	}
	pthread_mutex_unlock(&fs->drafts.lock);
	free(copy);
	return r;
}

int temporary_read(struct fs *fs, struct temporary *temporary, size_t size, uint64_t offset,
		   struct text *ret)
{
	int r = 0;

	pthread_mutex_lock(&fs->drafts.lock);
	if (offset < temporary->data.length) {
		size_t rest = temporary->data.length - offset;

		r = text_add(ret, temporary->data.data + offset, size < rest ? size : rest);
	}
	pthread_mutex_unlock(&fs->drafts.lock);
	return r;
}

int temporary_write(struct fs *fs, struct temporary *temporary, const char *bytes, size_t length,
		    uint64_t offset, bool append)
{
	int r;

	pthread_mutex_lock(&fs->drafts.lock);
	if (append)
		offset = temporary->data.length;
	r = buffer_write(&temporary->data, bytes, length, offset, SPEC_MAX_BYTES);
	temporary->mtime = time_now();
	pthread_mutex_unlock(&fs->drafts.lock);
	return r;
}

int temporary_change(struct fs *fs, int64_t request, uint32_t number, const struct stat *want,
		     int valid)
{
	int r = 0;

	pthread_mutex_lock(&fs->drafts.lock);
	struct temporary *temporary = by_number(&fs->drafts, request, number);
	if (!temporary)
		r = -ENOENT;
	if (!r && valid & FUSE_SET_ATTR_SIZE)
		r = want->st_size < 0 ? -EINVAL
				      : buffer_truncate(&temporary->data, (uint64_t)want->st_size,
							SPEC_MAX_BYTES);
	if (!r && valid & FUSE_SET_ATTR_MODE)
		temporary->mode = want->st_mode & 0777;
	if (!r && valid & FUSE_SET_ATTR_MTIME_NOW)
		temporary->mtime = time_now();
	else if (!r && valid & FUSE_SET_ATTR_MTIME)
		temporary->mtime = want->st_mtime;
	pthread_mutex_unlock(&fs->drafts.lock);
	return r;
}

int temporary_text(struct fs *fs, int64_t request, const char *name, struct text *ret)
{
	int r = -ENOENT;

	pthread_mutex_lock(&fs->drafts.lock);
	const struct temporary *temporary = by_name(&fs->drafts, request, name);
	if (temporary)
		r = temporary->data.length
			    ? text_add(ret, temporary->data.data, temporary->data.length)
			    : 0;
	pthread_mutex_unlock(&fs->drafts.lock);
	return r;
}
