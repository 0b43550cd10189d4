/* SPDX-License-Identifier: MIT */
/* core/tree/tree.c: names and attributes: the overlay and the manifest shown as one tree.
 *
 * A directory of the overlay shows its own nodes first, then what the manifest's directory of the
 * same path has (tree_check_bytes() saw to it that the two never meet in a name, but for those
 * directories). Everything below a directory that only the manifest has comes from its records
 * alone. */
#include "core/tree/private.h"

#include <fcntl.h>

static int64_t last_change(const struct compose *compose)
{
	const int64_t times[] = { compose->time_started, compose->time_done,
				  compose->time_removed };
	int64_t last = compose->time_submitted;

	if (compose->state == STATE_DONE)
		return compose->time_done;
	for (size_t i = 0; i < ARRAY_SIZE(times); i++)
		last = times[i] > last ? times[i] : last;
	return last;
}

int tree_over(struct tree_store *store, const struct compose *compose, struct manifest *manifest,
	      struct tree **ret, struct error *err)
{
	struct tree *tree = calloc(1, sizeof(*tree));

	if (!tree || overlay_record(compose, &tree->record) < 0) {
		free(tree);
		return error_oom(err);
	}
	atomic_init(&tree->references, 1);
	tree->store = store;
	tree->manifest = manifest;
	tree->final = compose->state != STATE_WAIT && compose->state != STATE_GENERATING;
	tree->mtime = last_change(compose);
	(void)snprintf(tree->repo_name, sizeof(tree->repo_name), "odcs-%" PRId64 ".repo",
		       compose_tree_id(compose));
	(void)snprintf(tree->local_repo_name, sizeof(tree->local_repo_name),
		       "odcs-%" PRId64 ".local.repo", compose_tree_id(compose));
	*ret = tree;
	return 0;
}

int tree_open(struct tree_store *store, const struct compose *compose, struct tree **ret,
	      struct error *err)
{
	struct compose shown = *compose;
	struct manifest *manifest = NULL;
	int r = 0;

	if (compose->tree_kept)
		shown.state =
			STATE_DONE; /* whoever shows it must not see that its own row is over */
	if (shown.state == STATE_DONE)
		r = store_manifest_get(store, compose->manifest ? compose->manifest : "", &manifest,
				       err);
	if (r == 0) {
		r = tree_over(store, &shown, manifest, ret, err);
		if (r < 0)
			store_manifest_put(store, manifest);
	}
	return r < 0 ? error_prefix(err, "compose %" PRId64, compose->id) : 0;
}

struct tree *tree_ref(struct tree *tree)
{
	atomic_fetch_add_explicit(&tree->references, 1, memory_order_relaxed);
	return tree;
}

void tree_unref(struct tree *tree)
{
	if (!tree || atomic_fetch_sub_explicit(&tree->references, 1, memory_order_acq_rel) != 1)
		return;
	store_manifest_put(tree->store, tree->manifest);
	free(tree->record);
	free(tree);
}

const char *tree_manifest_digest(const struct tree *tree)
{
	return tree->manifest ? tree->manifest->digest : NULL;
}

/* ---- nodes ------------------------------------------------------------- */

static uint32_t index_of(const struct manifest *manifest, uint32_t record)
{
	if (manifest->record[record].type == MANIFEST_DIRECTORY)
		for (uint32_t i = 0; i < OVERLAY_COUNT; i++)
			if (manifest->overlaid[i] == record)
				return i;
	return TREE_MANIFEST_FIRST + record;
}

uint32_t tree_record(const struct tree *tree, uint32_t index)
{
	const struct manifest *manifest = tree->manifest;
	uint32_t record = index - TREE_MANIFEST_FIRST;

	if (index < TREE_MANIFEST_FIRST || !manifest || record >= manifest->count ||
	    index_of(manifest, record) != index)
		return MANIFEST_NONE;
	return record;
}

/* Where the children of a directory are: record of the manifest's directory, or MANIFEST_NONE. */
static int directory_record(const struct tree *tree, uint32_t index, uint32_t *ret)
{
	if (index < TREE_MANIFEST_FIRST) {
		if (!overlay_visible(tree, index))
			return -ENOENT;
		if (!overlay_entries[index].directory)
			return -ENOTDIR;
		*ret = tree->manifest ? tree->manifest->overlaid[index] : MANIFEST_NONE;
		return 0;
	}
	*ret = tree_record(tree, index);
	if (*ret == MANIFEST_NONE)
		return -ENOENT;
	return tree->manifest->record[*ret].type == MANIFEST_DIRECTORY ? 0 : -ENOTDIR;
}

static uint32_t overlay_subdirectories(const struct tree *tree, uint32_t index)
{
	const struct manifest *manifest = tree->manifest;
	uint32_t count = 0;

	for (uint32_t i = OVERLAY_ROOT + 1; i < OVERLAY_COUNT; i++)
		if (overlay_entries[i].parent == index && overlay_entries[i].directory &&
		    overlay_visible(tree, i))
			count += !manifest || manifest->overlaid[i] == MANIFEST_NONE;
	if (manifest && manifest->overlaid[index] != MANIFEST_NONE)
		count += manifest_subdirectories(manifest, manifest->overlaid[index]);
	return count;
}

static int overlay_node(const struct tree *tree, uint32_t index, struct tree_node *ret)
{
	struct tree_node node = {
		.index = index,
		.parent = overlay_entries[index].parent,
		.name = overlay_name(tree, index),
		.directory = overlay_entries[index].directory,
		.nlink = 1,
		.mtime = tree->mtime,
		.cached = true,
	};
	struct stat st;
	int r = 0;

	node.name_length = strlen(node.name);
	if (node.directory) {
		node.nlink = 2 + overlay_subdirectories(tree, index);
	} else if (overlay_is_log(index)) {
		node.live = true;
		if (overlay_log_stat(tree, &st)) {
			node.size = (uint64_t)st.st_size;
			node.mtime = st.st_mtim.tv_sec;
		}
	} else {
		node.live = !tree->final;
		r = overlay_length(tree, index, &node.size);
	}
	if (r == 0)
		*ret = node;
	return r;
}

static int record_node(const struct tree *tree, uint32_t number, struct tree_node *ret)
{
	const struct manifest *manifest = tree->manifest;
	const struct manifest_record *record = &manifest->record[number];
	struct tree_node node = {
		.index = TREE_MANIFEST_FIRST + number,
		.parent = index_of(manifest, record->parent),
		.name = manifest_name(manifest, number),
		.name_length = record->name_length,
		.directory = record->type == MANIFEST_DIRECTORY,
		.package = record->type == MANIFEST_PACKAGE,
		.nlink = 1,
		.size = record->size,
		.mtime = record->type == MANIFEST_PACKAGE ? record->mtime : tree->mtime,
		.remote = record->flags & MANIFEST_REMOTE,
		.cached = !(record->flags & MANIFEST_REMOTE) ||
			  cache_has(tree->store, record->digest, record->size),
	};
	uint64_t head = 0;
	int r = 0;

	if (node.directory)
		node.nlink = 2 + manifest_subdirectories(manifest, number);
	if (overlay_head(record) != OVERLAY_TEXTS)
		r = overlay_length(tree, overlay_head(record), &head);
	node.size += head;
	if (r == 0)
		*ret = node;
	return r;
}

int tree_get(const struct tree *tree, uint32_t index, struct tree_node *ret)
{
	uint32_t record;

	if (index < TREE_MANIFEST_FIRST)
		return overlay_visible(tree, index) ? overlay_node(tree, index, ret) : -ENOENT;
	record = tree_record(tree, index);
	return record == MANIFEST_NONE ? -ENOENT : record_node(tree, record, ret);
}

int tree_lookup(const struct tree *tree, uint32_t directory, const char *name, size_t length,
		struct tree_node *ret)
{
	uint32_t record;
	int r = directory_record(tree, directory, &record);

	if (r < 0)
		return r;
	for (uint32_t i = OVERLAY_ROOT + 1; directory < OVERLAY_COUNT && i < OVERLAY_COUNT; i++) {
		const char *own = overlay_name(tree, i);

		if (overlay_entries[i].parent == directory && overlay_visible(tree, i) &&
		    strlen(own) == length && !memcmp(own, name, length))
			return overlay_node(tree, i, ret);
	}
	if (record != MANIFEST_NONE)
		record = manifest_find(tree->manifest, record, name, length);
	return record == MANIFEST_NONE ? -ENOENT : record_node(tree, record, ret);
}

/* The @position-th child in the manifest that the overlay does not show as its own. */
static uint64_t skip_overlaid(const struct manifest *manifest, uint32_t directory, uint32_t first,
			      uint32_t position)
{
	uint64_t skipped = 0, before;

	do {
		before = skipped;
		skipped = 0;
		for (uint32_t i = OVERLAY_ROOT + 1; i < OVERLAY_COUNT; i++)
			if (overlay_entries[i].parent == directory &&
			    manifest->overlaid[i] != MANIFEST_NONE &&
			    manifest->overlaid[i] - first <= position + before)
				skipped++;
	} while (skipped != before);
	return position + skipped;
}

int tree_child(const struct tree *tree, uint32_t directory, uint32_t position,
	       struct tree_node *ret)
{
	const struct manifest *manifest = tree->manifest;
	uint32_t record, first;
	uint64_t at = position;
	int r = directory_record(tree, directory, &record);

	if (r < 0)
		return r;
	for (uint32_t i = OVERLAY_ROOT + 1; directory < OVERLAY_COUNT && i < OVERLAY_COUNT; i++)
		if (overlay_entries[i].parent == directory && overlay_visible(tree, i) && !at--)
			return overlay_node(tree, i, ret);
	if (record == MANIFEST_NONE)
		return -ENOENT;
	first = manifest->record[record].first;
	if (directory < OVERLAY_COUNT)
		at = skip_overlaid(manifest, directory, first, (uint32_t)at);
	return at < manifest->record[record].count ? record_node(tree, first + (uint32_t)at, ret)
						   : -ENOENT;
}

int tree_find(const struct tree *tree, const char *path, struct tree_node *ret)
{
	struct tree_node node;
	int r = tree_get(tree, TREE_ROOT, &node);

	while (r == 0 && *path) {
		const char *end = strchrnul(path, '/');

		r = tree_lookup(tree, node.index, path, (size_t)(end - path), &node);
		if (*end && !end[1])
			r = r < 0 ? r : -ENOENT; /* a name is missing after the last slash */
		path = *end ? end + 1 : end;
	}
	if (r == 0)
		*ret = node;
	return r;
}

bool tree_is_content(const struct tree *tree, const struct tree_node *node)
{
	struct tree_node at = *node;

	while (at.index != TREE_ROOT && at.parent != TREE_ROOT)
		if (tree_get(tree, at.parent, &at) < 0)
			return false;
	return at.index != TREE_ROOT && !strcmp(at.name, "compose");
}

int tree_package_get(const struct tree *tree, uint32_t index, struct tree_package *ret)
{
	uint32_t number = tree_record(tree, index);
	const struct manifest_record *record;
	const char *at;

	if (number == MANIFEST_NONE || tree->manifest->record[number].type != MANIFEST_PACKAGE)
		return -ENODATA;
	record = &tree->manifest->record[number];
	at = tree->manifest->strings + record->detail;
	ret->nevra = at;
	ret->reason = at += strlen(at) + 1;
	ret->checksum = at += strlen(at) + 1;
	ret->origin = at + strlen(at) + 1;
	ret->sha256 = NULL;
	if (!strncmp(ret->checksum, "sha256:", 7) && hex_is_digest(ret->checksum + 7))
		ret->sha256 = ret->checksum + 7;
	return 0;
}
