/* SPDX-License-Identifier: MIT */
/* tests/fuzz/manifest.c: bytes that a worker may hand over as a manifest.
 *
 * What tree_check_bytes() refuses is done with. What it accepts is walked as fs/ and rest/ would:
 * each node by its number, by its name and by its place, with all strings read to their ends; they
 * have to agree. */
#include "core/tree/private.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(condition)                                                                            \
	do {                                                                                       \
		if (!(condition))                                                                  \
			abort();                                                                   \
	} while (0)

/* Attributes as they have to be; files are not opened, there are none. */
static void look_at(const struct tree *tree, const struct tree_node *node)
{
	struct tree_package package;
	struct tree_node again;

	MUST(strlen(node->name) == node->name_length && node->name_length <= MANIFEST_MAX_NAME);
	MUST(!strchr(node->name, '/') && strcmp(node->name, ".") != 0 &&
	     strcmp(node->name, "..") != 0);
	MUST(node->size < UINT64_C(1) << 62 || !node->package);
	MUST(tree_get(tree, node->index, &again) == 0 && again.name == node->name);
	MUST((tree_package_get(tree, node->index, &package) == 0) == node->package);
	if (node->package)
		MUST(strlen(package.nevra) + strlen(package.reason) + strlen(package.checksum) +
			     strlen(package.origin) <
		     SIZE_MAX);
}

/* Returns how many nodes are at @directory and below. */
static uint64_t walk(const struct tree *tree, const struct tree_node *directory, int depth)
{
	uint32_t directories = 0, position = 0;
	struct tree_node node, again;
	uint64_t nodes = 1;

	MUST(depth <= MANIFEST_MAX_DEPTH);
	for (; tree_child(tree, directory->index, position, &node) == 0; position++) {
		look_at(tree, &node);
		MUST(node.parent == directory->index);
		MUST(tree_lookup(tree, directory->index, node.name, node.name_length, &again) ==
			     0 &&
		     again.index == node.index);
		directories += node.directory;
		nodes += node.directory ? walk(tree, &node, depth + 1) : 1;
	}
	MUST(directory->nlink == directories + 2);
	MUST(tree_lookup(tree, directory->index, "\377", 1, &again) != 0 ||
	     again.name[0] == '\377');
	return nodes;
}

static void walk_all(const struct tree *tree, uint32_t records)
{
	struct tree_node root, node;
	uint64_t reached = 0;

	MUST(tree_find(tree, "", &root) == 0 && root.index == TREE_ROOT && root.directory);
	for (uint64_t i = 0; i < (uint64_t)TREE_MANIFEST_FIRST + records + 2; i++)
		reached += tree_get(tree, (uint32_t)i, &node) == 0;
	MUST(walk(tree, &root, 0) == reached);
	(void)tree_find(tree, "compose/Temporary/x86_64/os/Packages", &node);
	(void)tree_find(tree, "logs/global/odcsfs.log/x", &node);
}

/* @bytes: malloc'ed just so long that the sanitiser sees the first byte behind them */
static void one(const void *bytes, size_t size)
{
	char arch[] = "x86_64", type[] = "test", url[] = "http://host/composes",
	     *arches[] = { arch };
	struct spec spec = { .arches = { .item = arches, .count = 1 }, .compose_type = type };
	struct compose compose = { .id = 1, .spec = &spec, .state = STATE_DONE, .koji_event = -1 };
	struct tree_hold *nothing = NULL;
	/* no folder: what is looked up there is just not found */
	struct tree_store store = {
		-1,
		-1,
		-1,
		-1,
		.public_url = url,
		.local_url = url,
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.cache = { .lock = PTHREAD_MUTEX_INITIALIZER, .bucket = &nothing, .buckets = 1 }
	};
	struct manifest *manifest;
	struct tree *tree;

	if (tree_check_bytes(bytes, size, NULL) < 0)
		return;
	manifest = manifest_over(bytes, size);
	MUST(manifest && tree_over(&store, &compose, manifest, &tree, NULL) == 0);
	walk_all(tree, manifest->count);
	tree->manifest = NULL; /* it is not the store's */
	tree_unref(tree);
	manifest_free(manifest);
}

/* A header that fits the length: what a change in the middle would need to get any further. */
static void repair(uint8_t *bytes, size_t size)
{
	struct manifest_header *header = (struct manifest_header *)(void *)bytes;
	uint64_t rest = size - sizeof(*header) - 1;

	memcpy(header->magic, MANIFEST_MAGIC, sizeof(header->magic));
	header->record_size = sizeof(struct manifest_record);
	if (header->record_count > rest / sizeof(struct manifest_record))
		header->record_count = (uint32_t)(rest / sizeof(struct manifest_record));
	header->strings_offset =
		sizeof(*header) + (uint64_t)header->record_count * sizeof(struct manifest_record);
	header->strings_size = size - header->strings_offset;
	header->file_size = size;
	header->reserved[0] = header->reserved[1] = 0;
	bytes[header->strings_offset] = bytes[size - 1] = 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *copy = malloc(size ? size : 1);

	MUST(copy);
	memcpy(copy, data, size);
	one(copy, size);
	if (size > sizeof(struct manifest_header)) {
		repair(copy, size);
		one(copy, size);
	}
	free(copy);
	return 0;
}
