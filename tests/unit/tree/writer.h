/* SPDX-License-Identifier: MIT */
/* tests/unit/tree/writer.h: a manifest writer of the tests' own, from a list of paths, and the
 * composes, folders and files that go with it. Knows core/tree/manifest.h and nothing of
 * resolver/compose. */
#pragma once

#include "core/tree/manifest.h"
#include "core/tree/tree.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

/** struct entry - one file; directories come of themselves, or by type */
struct entry {
	const char *path;
	uint8_t type, flags;
	uint64_t size;
	int64_t mtime;
	const char *digest;		/* hex, or NULL */
	const char *base, *source_path; /* packages */
	const char *nevra, *reason, *checksum, *origin;
	int64_t source_mtime_ns;
	uint64_t source_ino;
};

struct node {
	char name[256];
	size_t parent;
	const struct entry *entry; /* NULL: directory */
	uint32_t number;
};

struct writer {
	struct node *node; /* [0] is the root */
	size_t count, room;
	struct text records, strings;
};

static inline size_t writer_child(struct writer *writer, size_t parent, const char *name,
				  size_t length, const struct entry *entry)
{
	struct node *node;

	/* a directory may be there already; two files of one name are the test's own wish */
	for (size_t i = writer->count; !entry && i-- > 1;)
		if (writer->node[i].parent == parent && strlen(writer->node[i].name) == length &&
		    !memcmp(writer->node[i].name, name, length))
			return i;
	if (writer->count == writer->room) {
		writer->room = writer->room ? writer->room * 2 : 64;
		writer->node = reallocarray(writer->node, writer->room, sizeof(*writer->node));
		if (!writer->node)
			abort();
	}
	node = &writer->node[writer->count];
	*node = (struct node){ .parent = parent, .entry = entry };
	memcpy(node->name, name, length);
	return writer->count++;
}

static inline void writer_add(struct writer *writer, const struct entry *entry)
{
	const char *at = entry->path;
	size_t parent = 0;

	for (const char *slash; (slash = strchr(at, '/')); at = slash + 1)
		parent = writer_child(writer, parent, at, (size_t)(slash - at), NULL);
	(void)writer_child(writer, parent, at, strlen(at),
			   entry->type == MANIFEST_DIRECTORY ? NULL : entry);
}

static inline uint32_t writer_string(struct writer *writer, const char *string)
{
	size_t length = strlen(string) + 1;
	char *there = memmem(writer->strings.data, writer->strings.length, string, length);

	if (there && (there == writer->strings.data || !there[-1]))
		return (uint32_t)(there - writer->strings.data);
	(void)text_add(&writer->strings, string, length);
	return (uint32_t)(writer->strings.length - length);
}

static inline void writer_package(struct writer *writer, const struct entry *entry,
				  struct manifest_record *record)
{
	const char *detail[] = { entry->nevra, entry->reason, entry->checksum, entry->origin };

	record->first = writer_string(writer, entry->source_path);
	record->count = writer_string(writer, entry->base);
	record->detail = (uint32_t)writer->strings.length;
	for (size_t i = 0; i < ARRAY_SIZE(detail); i++) {
		const char *string = detail[i] ? detail[i] : i == 2 ? "sha1:00" : "";

		(void)text_add(&writer->strings, string, strlen(string) + 1);
	}
	record->flags = entry->flags;
	record->mtime = entry->mtime;
	record->source_mtime_ns = entry->source_mtime_ns;
	record->source_ino = entry->source_ino;
}

static inline int writer_compare(const void *a, const void *b)
{
	const struct node *const *one = a, *const *two = b;

	return strcmp((*one)->name, (*two)->name);
}

/* Records breadth first: the children of each node in the order in which the nodes were numbered.
 */
static inline void writer_records(struct writer *writer)
{
	struct node **queue = calloc(writer->count, sizeof(struct node *));
	size_t end = 1;

	if (!queue)
		abort();
	queue[0] = &writer->node[0];
	for (size_t i = 0; i < writer->count; i++) {
		struct node *node = queue[i];
		struct manifest_record record = { .type = MANIFEST_DIRECTORY };

		record.name = writer_string(writer, node->name);
		record.name_length = (uint16_t)strlen(node->name);
		record.parent = writer->node[node->parent].number;
		if (node->entry) {
			record.type = node->entry->type;
			record.size = node->entry->size;
			if (node->entry->digest)
				(void)hex_parse(node->entry->digest, record.digest, DIGEST_SIZE);
			if (record.type == MANIFEST_PACKAGE)
				writer_package(writer, node->entry, &record);
		} else {
			size_t first = end;

			for (size_t k = 1; k < writer->count; k++)
				if (&writer->node[writer->node[k].parent] == node)
					queue[end++] = &writer->node[k];
			qsort(queue + first, end - first, sizeof(*queue), writer_compare);
			for (size_t k = first; k < end; k++)
				queue[k]->number = (uint32_t)k;
			record.first = (uint32_t)first;
			record.count = (uint32_t)(end - first);
		}
		(void)text_add(&writer->records, &record, sizeof(record));
	}
	free(queue);
}

/** write_manifest() - the bytes of a manifest of @entries */
static inline void write_manifest(const struct entry *entries, size_t count, struct text *ret)
{
	struct manifest_header header = { .record_size = sizeof(struct manifest_record) };
	struct writer writer = { 0 };

	memcpy(header.magic, MANIFEST_MAGIC, sizeof(header.magic));
	(void)text_add(&writer.strings, "", 1);
	(void)writer_child(&writer, 0, "", 0, NULL);
	for (size_t i = 0; i < count; i++)
		writer_add(&writer, &entries[i]);
	writer_records(&writer);
	header.record_count = (uint32_t)writer.count;
	header.strings_offset = sizeof(header) + writer.records.length;
	header.strings_size = writer.strings.length;
	header.file_size = header.strings_offset + header.strings_size;
	header.time_source = 1700000000;
	(void)text_add(ret, &header, sizeof(header));
	(void)text_add(ret, writer.records.data, writer.records.length);
	if (text_add(ret, writer.strings.data, writer.strings.length) < 0)
		abort();
	text_done(&writer.records);
	text_done(&writer.strings);
	free(writer.node);
}

/* ---- folders, files, composes ------------------------------------------ */

/** test_folder() - a new folder below TMPDIR; removed by test_folder_done() */
static inline int test_folder(char path[static 64])
{
	const char *parent = getenv("TMPDIR");

	if (snprintf(path, 64, "%s/tree-test-XXXXXX", parent && *parent ? parent : "/tmp") >= 64 ||
	    !mkdtemp(path))
		abort();
	return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static inline void test_folder_done(const char *path, int dirfd)
{
	(void)close(dirfd);
	(void)directory_remove(AT_FDCWD, path);
}

/** put_file() - write @bytes to @path below @dirfd, with its folders; by a fresh file */
static inline void put_file(int dirfd, const char *path, const void *bytes, size_t length)
{
	char folder[512];
	char *slash;
	int fd = dirfd;

	(void)snprintf(folder, sizeof(folder), "%s", path);
	slash = strrchr(folder, '/');
	if (slash) {
		*slash = '\0';
		fd = directory_open(dirfd, folder);
	}
	if (fd < 0 || file_publish(fd, slash ? slash + 1 : folder, bytes, length) < 0) {
		perror(path);
		abort();
	}
	if (slash)
		(void)close(fd);
}

static inline void put_text(int dirfd, const char *path, const char *text)
{
	put_file(dirfd, path, text, strlen(text));
}

/** put_digest() - write @bytes to FOLDER/SHA-256; its name into @ret */
static inline void put_digest(int dirfd, const char *folder, const void *bytes, size_t length,
			      char ret[static DIGEST_HEX_SIZE])
{
	char path[128];

	sha256_hex(bytes, length, ret);
	(void)snprintf(path, sizeof(path), "%s/%s", folder, ret);
	put_file(dirfd, path, bytes, length);
}

/** struct sample - a compose on the stack; sample() fills it */
struct sample {
	struct compose compose;
	struct spec spec;
	char *arches[2];
};

static inline struct compose *sample(struct sample *sample, int64_t id, enum compose_state state,
				     const char *manifest)
{
	*sample = (struct sample){ .arches = { (char *)(uintptr_t) "x86_64",
					       (char *)(uintptr_t) "s390x" } };
	sample->spec = (struct spec){ .source_type = SOURCE_REPO,
				      .arches = { .item = sample->arches, .count = 2 },
				      .compose_type = (char *)(uintptr_t) "test",
				      .target_dir = (char *)(uintptr_t) "default",
				      .koji_event = -1,
				      .results = RESULT_REPOSITORY };
	sample->compose = (struct compose){ .id = id,
					    .request = id,
					    .owner = (char *)(uintptr_t) "unknown",
					    .spec = &sample->spec,
					    .source = (char *)(uintptr_t) "/srv/repo",
					    .state = state,
					    .time_submitted = 1700000100,
					    .koji_event = -1,
					    .koji_task_id = -1,
					    .arches = (char *)(uintptr_t) "x86_64 s390x",
					    .manifest = (char *)(uintptr_t)manifest };
	if (state != STATE_WAIT) {
		sample->compose.time_started = 1700000200;
		sample->compose.pungi_compose_id = (char *)(uintptr_t) "odcs-7-1-20231114.t.0";
	}
	if (state == STATE_DONE)
		sample->compose.time_done = 1700000300;
	return &sample->compose;
}
