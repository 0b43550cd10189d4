/* SPDX-License-Identifier: MIT */
/* fs/shown.c: composes as the kernel sees them: their trees, who has something open, when it was
 * read.
 *
 * A tree is mapped at the first look and kept for a while. News of a compose (shown_changed) takes
 * its tree away, so that the next look opens it as it is then; a removed compose keeps its tree for
 * those who have something open, and for nobody else: so while something is open a tree is outdated
 * by news, not taken away, as the next news may be the removal. A tree that was being opened while
 * news came is not kept: `changes` tells. */
#include "fs/internal.h"

struct shown {
	struct shown *next;	     /* bucket */
	struct shown *newer, *older; /* while it holds a tree */
	int64_t id;
	struct tree *tree; /* NULL: open it again */
	bool outdated;	   /* the same, unless the compose is gone by then */
	bool final;
	bool removed;
	int64_t opens;
	int64_t time_read;
};

void shown_init(struct shown_table *table)
{
	pthread_mutex_init(&table->lock, NULL);
}

static size_t bucket_of(int64_t id)
{
	return (uint64_t)id % SHOWN_BUCKETS;
}

static struct shown *find(const struct shown_table *table, int64_t id)
{
	struct shown *shown = table->bucket[bucket_of(id)];

	while (shown && shown->id != id)
		shown = shown->next;
	return shown;
}

/* ---- the order of use, under the lock ------------------------------------ */

static void use_remove(struct shown_table *table, struct shown *shown)
{
	*(shown->newer ? &shown->newer->older : &table->newest) = shown->older;
	*(shown->older ? &shown->older->newer : &table->oldest) = shown->newer;
	shown->newer = shown->older = NULL;
	table->trees--;
}

static void use_first(struct shown_table *table, struct shown *shown)
{
	shown->older = table->newest;
	*(table->newest ? &table->newest->newer : &table->oldest) = shown;
	table->newest = shown;
	table->trees++;
}

static void tree_set(struct shown_table *table, struct shown *shown, struct tree *tree)
{
	if (shown->tree) {
		use_remove(table, shown);
		tree_unref(shown->tree);
	}
	shown->tree = tree;
	shown->outdated = false;
	if (tree)
		use_first(table, shown);
}

static void forget(struct shown_table *table, struct shown *shown)
{
	struct shown **link = &table->bucket[bucket_of(shown->id)];

	while (*link != shown)
		link = &(*link)->next;
	*link = shown->next;
	tree_set(table, shown, NULL);
	free(shown);
}

/* Unmap what was not used for long and has nothing open. */
static void shrink(struct shown_table *table)
{
	struct shown *shown = table->oldest;

	while (shown && table->trees > TREES_KEPT) {
		struct shown *newer = shown->newer;

		if (!shown->opens && shown->time_read)
			tree_set(table, shown, NULL); /* its atime stays */
		else if (!shown->opens)
			forget(table, shown);
		shown = newer;
	}
}

static struct shown *make(struct shown_table *table, int64_t id)
{
	struct shown *shown = find(table, id);

	if (shown)
		return shown;
	shown = calloc(1, sizeof(*shown));
	if (!shown)
		return NULL;
	shown->id = id;
	shown->next = table->bucket[bucket_of(id)];
	table->bucket[bucket_of(id)] = shown;
	return shown;
}

/* ---- looking ------------------------------------------------------------- */

static int load(struct fs *fs, int64_t id, struct tree **ret, bool *ret_final)
{
	_cleanup_(compose_freep) struct compose *compose = NULL, *files = NULL;
	struct error err = { 0 };
	int r = catalogue_get(fs->options.catalogue, id, &compose, &err);

	if (r < 0)
		return r == -ENOENT ? r : -EIO;
	if (compose_is_gone(compose))
		return -ENOENT;
	*ret_final = state_final(compose->state);
	if (compose->reused_id) {
		r = catalogue_get(fs->options.catalogue, compose->reused_id, &files, &err);
		if (r < 0)
			return r == -ENOENT ? r : -EIO;
	}
	r = tree_open(fs->options.trees, files ? files : compose, ret, &err);
	if (r < 0)
		log_error("fs: compose %" PRId64 ": %s", id, err.message);
	return r;
}

/* What is known: 1 with the tree, 0 not known, -ENOENT. */
static int cached(struct fs *fs, int64_t id, bool opened, struct tree **ret, bool *ret_final,
		  uint32_t *ret_changes)
{
	struct shown_table *table = &fs->shown;
	int r = 0;

	pthread_mutex_lock(&table->lock);
	struct shown *shown = find(table, id);
	*ret_changes = table->changes[bucket_of(id)];
	if (shown && shown->removed && !(opened && shown->opens && shown->tree)) {
		r = -ENOENT;
	} else if (shown && shown->tree && (shown->removed || !shown->outdated)) {
		*ret = tree_ref(shown->tree);
		*ret_final = shown->final && !shown->removed;
		use_remove(table, shown);
		use_first(table, shown);
		r = 1;
	}
	pthread_mutex_unlock(&table->lock);
	return r;
}

/* What those have who have something open of a compose that is gone, or -ENOENT */
static int last(struct fs *fs, int64_t id, struct tree **ret)
{
	struct shown_table *table = &fs->shown;
	int r = -ENOENT;

	pthread_mutex_lock(&table->lock);
	struct shown *shown = find(table, id);
	if (shown && shown->opens && shown->tree) {
		*ret = tree_ref(shown->tree);
		r = 0;
	}
	pthread_mutex_unlock(&table->lock);
	return r;
}

/* Keep a tree that was just opened; false when news came meanwhile. */
static bool keep(struct fs *fs, int64_t id, struct tree *tree, bool final, uint32_t changes)
{
	struct shown_table *table = &fs->shown;
	bool same;

	pthread_mutex_lock(&table->lock);
	same = changes == table->changes[bucket_of(id)];
	struct shown *shown = same ? make(table, id) : NULL;
	if (shown && !shown->removed) {
		tree_set(table, shown, tree_ref(tree));
		shown->final = final;
		shrink(table);
	}
	pthread_mutex_unlock(&table->lock);
	return same;
}

int shown_tree(struct fs *fs, int64_t id, bool opened, struct tree **ret, bool *ret_final)
{
	for (;;) {
		struct tree *tree = NULL;
		bool final = false;
		uint32_t changes;
		int r = cached(fs, id, opened, &tree, &final, &changes);

		if (!r) {
			r = load(fs, id, &tree, &final);
			if (!r && !keep(fs, id, tree, final, changes)) {
				tree_unref(tree);
				continue;
			}
			if (r == -ENOENT && opened) /* its row says so, the news is on its way */
				r = last(fs, id, &tree);
		}
		if (r < 0)
			return r;
		*ret = tree;
		if (ret_final)
			*ret_final = final;
		return 0;
	}
}

int shown_open(struct fs *fs, int64_t id)
{
	struct shown_table *table = &fs->shown;
	int r = 0;

	pthread_mutex_lock(&table->lock);
	struct shown *shown = make(table, id);
	if (!shown) {
		r = -ENOMEM;
	} else if (shown->removed) {
		r = -ENOENT;
	} else {
		shown->opens++;
		shown->time_read = time_now();
	}
	pthread_mutex_unlock(&table->lock);
	return r;
}

void shown_close(struct fs *fs, int64_t id)
{
	struct shown_table *table = &fs->shown;

	pthread_mutex_lock(&table->lock);
	struct shown *shown = find(table, id);
	if (shown && shown->opens) /* 0: opened before a restart */
		shown->opens--;
	if (shown && !shown->opens && shown->removed)
		forget(table, shown);
	else if (shown && !shown->opens && shown->outdated)
		tree_set(table, shown, NULL);
	pthread_mutex_unlock(&table->lock);
}

void shown_read(struct fs *fs, int64_t id)
{
	pthread_mutex_lock(&fs->shown.lock);
	struct shown *shown = find(&fs->shown, id);
	if (shown)
		shown->time_read = time_now();
	pthread_mutex_unlock(&fs->shown.lock);
}

int64_t shown_time_read(struct fs *fs, int64_t id)
{
	int64_t time = 0;

	pthread_mutex_lock(&fs->shown.lock);
	const struct shown *shown = find(&fs->shown, id);
	if (shown)
		time = shown->time_read;
	pthread_mutex_unlock(&fs->shown.lock);
	return time;
}

void shown_changed(struct fs *fs, int64_t id, bool removed)
{
	struct shown_table *table = &fs->shown;

	pthread_mutex_lock(&table->lock);
	struct shown *shown = find(table, id);
	table->changes[bucket_of(id)]++;
	if (shown && removed && shown->opens)
		shown->removed = true;
	else if (shown && removed)
		forget(table, shown);
	else if (shown && shown->opens && shown->tree)
		shown->outdated = true;
	else if (shown)
		tree_set(table, shown, NULL);
	pthread_mutex_unlock(&table->lock);
	if (!removed)
		backing_outdate(fs, id);
}

int64_t fs_open_files(struct fs *fs, int64_t id)
{
	int64_t opens = 0;

	pthread_mutex_lock(&fs->shown.lock);
	const struct shown *shown = find(&fs->shown, id);
	if (shown)
		opens = shown->opens;
	pthread_mutex_unlock(&fs->shown.lock);
	return opens;
}

void shown_clear(struct fs *fs)
{
	struct shown_table *table = &fs->shown;

	backing_clear(fs);
	pthread_mutex_lock(&table->lock);
	for (size_t i = 0; i < SHOWN_BUCKETS; i++)
		while (table->bucket[i])
			forget(table, table->bucket[i]);
	pthread_mutex_unlock(&table->lock);
}

void shown_done(struct shown_table *table)
{
	pthread_mutex_destroy(&table->lock);
}
