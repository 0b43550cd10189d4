/* SPDX-License-Identifier: MIT */
/* resolver/snapshot/write.c: the packages that were collected → packages.idx. */
#include "resolver/snapshot/index.h"

#include <fcntl.h>
#include <unistd.h>

/* The parts that exist only in the file, made at the end. */
struct parts {
	uint32_t *source;
	struct index_path *path;
	uint32_t *owner;
};

/* ---- source packages by file name ---- */

static void put_source(struct index_build *index, struct index_header *header, uint32_t *source,
		       const char *file, uint32_t package)
{
	uint64_t at = index_hash(index->seed, file, strlen(file));

	while (source[at & (header->source_slots - 1)] != INDEX_NO_PACKAGE)
		at++;
	source[at & (header->source_slots - 1)] = package;
}

/* Under name-version-release.arch.rpm, and under the name that its file really has. */
static int make_sources(struct index_build *index, struct index_header *header, struct parts *parts)
{
	_cleanup_(text_done) struct text file = { 0 };
	uint32_t count = 0, slots = 16;

	for (uint32_t i = 0; i < index->count; i++)
		count += (index->package[i].flags & INDEX_SOURCE) != 0;
	if (!count)
		return 0;
	while (slots < count * 4)
		slots *= 2;
	parts->source = malloc(slots * sizeof(*parts->source));
	if (!parts->source)
		return -ENOMEM;
	memset(parts->source, 0xff, slots * sizeof(*parts->source));
	header->source_slots = slots;
	for (uint32_t i = 0; i < index->count; i++) {
		const struct index_package *package = &index->package[i];
		const char *strings = index->strings.data, *slash;

		if (!(package->flags & INDEX_SOURCE))
			continue;
		text_clear(&file);
		if (text_addf(&file, "%s-%s-%s.%s.rpm", strings + package->name,
			      strings + package->version, strings + package->release,
			      strings + package->arch) < 0)
			return -ENOMEM;
		put_source(index, header, parts->source, file.data, i);
		slash = strrchr(strings + package->href, '/');
		slash = slash ? slash + 1 : strings + package->href;
		if (strcmp(slash, file.data) != 0)
			put_source(index, header, parts->source, slash, i);
	}
	return 0;
}

/* ---- required paths and their owners, sorted ---- */

static int compare_paths(const void *a, const void *b, void *data)
{
	const struct path_set *set = data;
	const char *bytes = set->bytes.data;

	return strcmp(bytes + set->path[*(const uint32_t *)a],
		      bytes + set->path[*(const uint32_t *)b]);
}

static int compare_owners(const void *a, const void *b)
{
	const struct index_owner *x = a, *y = b;

	if (x->path != y->path)
		return x->path < y->path ? -1 : 1;
	return x->package < y->package ? -1 : x->package > y->package;
}

/* Owners get the place of their path in the sorted table instead of its number, then stand in
 * order, each once (an element that is listed twice gives everything twice). */
static void sort_owners(struct path_set *set, const uint32_t *order, uint32_t *place)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < set->count; i++)
		place[order[i]] = i;
	for (uint32_t i = 0; i < set->owner_count; i++)
		set->owner[i].path = place[set->owner[i].path];
	if (set->owner_count)
		qsort(set->owner, set->owner_count, sizeof(*set->owner), compare_owners);
	for (uint32_t i = 0; i < set->owner_count; i++)
		if (!kept || compare_owners(&set->owner[kept - 1], &set->owner[i]) != 0)
			set->owner[kept++] = set->owner[i];
	set->owner_count = kept;
}

static int make_paths(struct index_build *index, struct index_header *header, struct parts *parts)
{
	struct path_set *set = &index->paths;
	_cleanup_(freep) uint32_t *order = calloc(set->count + 1, sizeof(*order));
	_cleanup_(freep) uint32_t *place = calloc(set->count + 1, sizeof(*place));
	uint32_t base = (uint32_t)index->strings.length, at = 0;

	parts->path = calloc(set->count + 1, sizeof(*parts->path));
	parts->owner = calloc(set->owner_count + 1, sizeof(*parts->owner));
	if (!order || !place || !parts->path || !parts->owner ||
	    text_add(&index->strings, set->bytes.data, set->bytes.length) < 0)
		return -ENOMEM;
	for (uint32_t i = 0; i < set->count; i++)
		order[i] = i;
	qsort_r(order, set->count, sizeof(*order), compare_paths, set);
	sort_owners(set, order, place);
	for (uint32_t i = 0; i < set->count; i++) {
		struct index_path *path = &parts->path[i];

		path->path = base + set->path[order[i]];
		for (path->first = at; at < set->owner_count && set->owner[at].path == i; at++)
			parts->owner[at] = set->owner[at].package;
		path->count = at - path->first;
	}
	header->path_count = set->count;
	header->owner_count = set->owner_count;
	if (!set->full)
		header->flags |= INDEX_PATHS_COMPLETE;
	return 0;
}

/* ---- the file ---- */

struct output {
	int fd;
	uint64_t sum;
	int r;
};

static void put(struct output *output, const void *bytes, size_t length)
{
	static const uint8_t padding[8];
	size_t pad = -length & 7;

	if (output->r < 0)
		return;
	output->sum = index_sum(output->sum, bytes, length);
	output->r = io_write(output->fd, bytes, length);
	if (output->r == 0)
		output->r = io_write(output->fd, padding, pad);
}

static int write_file(const struct index_build *index, struct index_header *header,
		      const struct frames_writer *writer, const struct parts *parts, int fd)
{
	static const struct index_frame no_frame;
	struct output output = { .fd = fd };

	if (lseek(fd, (off_t)((sizeof(*header) + 7) & ~7u), SEEK_SET) < 0)
		return -errno;
	put(&output, index->package, index->count * sizeof(*index->package));
	for (int i = 0; i < SNAPSHOT_STREAMS; i++)
		put(&output, writer[i].frame ? writer[i].frame : &no_frame,
		    (writer[i].count + 1) * sizeof(struct index_frame));
	put(&output, parts->source, header->source_slots * sizeof(uint32_t));
	put(&output, parts->path, header->path_count * sizeof(*parts->path));
	put(&output, parts->owner, header->owner_count * sizeof(uint32_t));
	put(&output, index->strings.data, index->strings.length);
	if (output.r < 0)
		return output.r;
	header->body_sum = output.sum;
	header->header_sum = index_sum(0, header, sizeof(*header));
	if (lseek(fd, 0, SEEK_SET) < 0)
		return -errno;
	return io_write(fd, header, sizeof(*header));
}

int index_write(struct index_build *index, const struct index_header *from,
		const struct frames_writer *writer, int dirfd, int64_t *ret_bytes,
		struct error *err)
{
	struct index_header header = *from;
	struct index_layout layout;
	struct parts parts = { 0 };
	_cleanup_(closep) int fd = -1;
	int r;

	if (!index->strings.length && text_add(&index->strings, "", 1) < 0)
		return error_oom(err);
	r = make_sources(index, &header, &parts);
	if (r == 0)
		r = make_paths(index, &header, &parts);
	header.magic = INDEX_MAGIC;
	header.header_sum = 0;
	header.package_count = index->count;
	header.string_bytes = index->strings.length;
	for (int i = 0; i < SNAPSHOT_STREAMS; i++)
		header.frame_count[i] = (uint32_t)writer[i].count;
	if (r == 0 && !index_layout(&header, &layout))
		r = -EFBIG;
	if (r == 0) {
		header.bytes = layout.bytes;
		fd = openat(dirfd, "packages.idx", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
		r = fd < 0 ? -errno : write_file(index, &header, writer, &parts, fd);
	}
	free(parts.source);
	free(parts.path);
	free(parts.owner);
	if (r < 0)
		return error_errno(err, r, "writing packages.idx");
	*ret_bytes = (int64_t)layout.bytes;
	return 0;
}
