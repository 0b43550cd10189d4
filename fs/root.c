/* SPDX-License-Identifier: MIT */
/* fs/root.c: the root and the fixed names in it. */
#include "fs/internal.h"

struct fixed {
	const char *name;
	uint32_t mode;
};

static const struct fixed fixed[] = {
	[FIXED_README] = { "README", S_IFREG | 0444 },
	[FIXED_VERSION] = { "version", S_IFREG | 0444 },
	[FIXED_NEW] = { "new", S_IFREG | 0666 },
	[FIXED_EVENTS] = { "events", S_IFREG | 0444 },
	[FIXED_METRICS] = { "metrics", S_IFREG | 0444 },
	[FIXED_REQUESTS] = { "requests", S_IFDIR | 01777 },
	[FIXED_COMPOSES] = { "composes", S_IFDIR | 0555 },
	[FIXED_BY_STATE] = { "by-state", S_IFDIR | 0555 },
	[FIXED_BY_OWNER] = { "by-owner", S_IFDIR | 0555 },
	[FIXED_BY_SOURCE] = { "by-source", S_IFDIR | 0555 },
};
#define FIXED_DIRECTORIES 5  /* in the root */
#define COMPOSES_SECONDS 1.0 /* taken back when they change: every path asks for them */

void entry_set(struct fuse_entry_param *ret, uint64_t ino, uint32_t mode, uint64_t size,
	       int64_t time)
{
	*ret = (struct fuse_entry_param){ .ino = ino };
	ret->attr.st_ino = ino;
	ret->attr.st_mode = mode;
	ret->attr.st_nlink = S_ISDIR(mode) ? 2 : 1;
	ret->attr.st_size = (off_t)size;
	ret->attr.st_blocks = S_ISREG(mode) ? (blkcnt_t)((size + 511) / 512) : 0;
	ret->attr.st_blksize = BLOCK_SIZE;
	ret->attr.st_mtime = ret->attr.st_ctime = ret->attr.st_atime = time;
}

/* ---- numbers of entries --------------------------------------------------- */

static int64_t views_count_owners(struct fs *fs)
{
	return view_count(fs, FIXED_BY_OWNER);
}

static int64_t views_count_sources(struct fs *fs)
{
	return view_count(fs, FIXED_BY_SOURCE);
}

/* Counted again only after news, since each count looks through all rows. */
static int64_t count_get(struct fs *fs, struct count *count, int64_t (*again)(struct fs *fs))
{
	uint64_t generation = count->generation + 1; /* 0: never counted */
	int64_t value;
	bool known;

	pthread_mutex_lock(&fs->lock);
	known = count->counted_at == generation;
	value = count->value;
	pthread_mutex_unlock(&fs->lock);
	if (known)
		return value;
	value = again(fs);
	pthread_mutex_lock(&fs->lock);
	count->value = value;
	count->counted_at = generation;
	pthread_mutex_unlock(&fs->lock);
	return value;
}

static void count_changed(struct count *count)
{
	count->generation++;
	count->changed = time_now();
}

void counts_changed(struct fs *fs, bool requests)
{
	if (requests) {
		count_changed(&fs->requests_count);
		return;
	}
	count_changed(&fs->composes_count);
	count_changed(&fs->owners_count);
	count_changed(&fs->sources_count);
}

/* ---- nodes ------------------------------------------------------------------ */

static int directory_entry(struct fs *fs, uint32_t part, struct fuse_entry_param *ret)
{
	const struct count *count = &fs->composes_count;
	int64_t subdirectories = FIXED_DIRECTORIES, time = fs->time_started;
	uint32_t mode = part == FIXED_ROOT ? S_IFDIR | 0555 : fixed[part].mode;

	switch (part) {
	case FIXED_REQUESTS:
		count = &fs->requests_count;
		subdirectories = count_get(fs, &fs->requests_count, requests_count);
		break;
	case FIXED_COMPOSES:
		subdirectories = count_get(fs, &fs->composes_count, composes_count);
		break;
	case FIXED_BY_STATE:
		subdirectories = view_count(fs, part);
		break;
	case FIXED_BY_OWNER:
		subdirectories = count_get(fs, &fs->owners_count, views_count_owners);
		break;
	case FIXED_BY_SOURCE:
		subdirectories = count_get(fs, &fs->sources_count, views_count_sources);
		break;
	default:
		break;
	}
	if (part != FIXED_ROOT && count->changed > time)
		time = count->changed;
	if (part == FIXED_REQUESTS && fs->options.gate)
		mode &= ~(uint32_t)S_ISVTX; /* administrators by role: requests.c asks who it is */
	entry_set(ret, FIXED_INO(part), mode, 0, time);
	ret->attr.st_nlink = (nlink_t)(2 + subdirectories);
	ret->entry_timeout = TIMEOUT_FOREVER;
	ret->attr_timeout = part == FIXED_ROOT	     ? TIMEOUT_FOREVER
			    : part == FIXED_COMPOSES ? COMPOSES_SECONDS
						     : 0;
	return 0;
}

int fixed_entry(struct fs *fs, const struct inode *node, struct fuse_entry_param *ret)
{
	struct text text = { 0 };
	int r;

	if (node->part == FIXED_ROOT)
		return directory_entry(fs, node->part, ret);
	if (node->part >= ARRAY_SIZE(fixed) || !fixed[node->part].name)
		return -ENOENT;
	if (S_ISDIR(fixed[node->part].mode))
		return directory_entry(fs, node->part, ret);
	r = fixed_content(fs, node->part, &text);
	if (r < 0)
		return r;
	entry_set(ret, FIXED_INO(node->part), fixed[node->part].mode, text.length,
		  node->part == FIXED_README || node->part == FIXED_VERSION ? fs->time_started
									    : time_now());
	ret->entry_timeout = TIMEOUT_FOREVER;
	text_done(&text);
	return 0;
}

int fixed_lookup(struct fs *fs, const char *name, struct fuse_entry_param *ret)
{
	for (uint32_t part = FIXED_README; part < ARRAY_SIZE(fixed); part++)
		if (!strcmp(fixed[part].name, name)) {
			struct inode node = { .kind = INODE_FIXED, .part = part };

			return fixed_entry(fs, &node, ret);
		}
	ret->entry_timeout = TIMEOUT_FOREVER; /* nothing else will ever be there */
	return -ENOENT;
}

int fixed_list(struct fs *fs _unused_, struct listing *listing, off_t offset)
{
	for (uint32_t part = FIXED_README; part < ARRAY_SIZE(fixed); part++) {
		off_t cookie = (off_t)part - FIXED_README + COOKIE_FIRST;

		if (cookie >= offset && !listing_name(listing, fixed[part].name, FIXED_INO(part),
						      fixed[part].mode, cookie + 1))
			break;
	}
	return 0;
}
