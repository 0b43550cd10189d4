/* SPDX-License-Identifier: MIT */
/* resolver/snapshot/open.c: mapping packages.idx, after every number in it was checked.
 *
 * Snapshots are not synced when they are written, so after an unclean stop one may hold anything.
 * Sums tell; then each offset is checked once, here, and the getters need no further checks. A
 * damaged snapshot is removed: whoever wanted it builds it again. */
#include "resolver/snapshot/open.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

/* ---- checks; false: damaged ---- */

static bool check_sums(const struct snapshot *snapshot, const struct index_layout *layout)
{
	struct index_header header = *snapshot->header;
	const uint8_t *map = snapshot->map;
	uint64_t sum = 0;

	header.header_sum = 0;
	if (index_sum(0, &header, sizeof(header)) != snapshot->header->header_sum)
		return false;
	sum = index_sum(sum, map + layout->packages,
			header.package_count * sizeof(struct index_package));
	for (int i = 0; i < SNAPSHOT_STREAMS; i++)
		sum = index_sum(sum, map + layout->frames[i],
				((size_t)header.frame_count[i] + 1) * sizeof(struct index_frame));
	sum = index_sum(sum, map + layout->sources, header.source_slots * sizeof(uint32_t));
	sum = index_sum(sum, map + layout->paths, header.path_count * sizeof(struct index_path));
	sum = index_sum(sum, map + layout->owners, header.owner_count * sizeof(uint32_t));
	sum = index_sum(sum, map + layout->strings, header.string_bytes);
	return sum == header.body_sum;
}

static bool check_frames(const struct snapshot *snapshot)
{
	for (int i = 0; i < SNAPSHOT_STREAMS; i++) {
		const struct index_frame *frame = snapshot->frame[i];
		uint32_t count = snapshot->header->frame_count[i];

		if (frame[0].raw || frame[0].at)
			return false;
		for (uint32_t k = 0; k < count; k++)
			if (frame[k + 1].raw <= frame[k].raw || frame[k + 1].at <= frame[k].at ||
			    frame[k + 1].raw - frame[k].raw > 2 * FRAME_MAX ||
			    frame[k + 1].at - frame[k].at > 3 * FRAME_MAX)
				return false;
	}
	return snapshot->header->frame_count[SNAPSHOT_PRIMARY] > 0;
}

static bool check_package(const struct snapshot *snapshot, const struct index_package *package)
{
	const struct index_header *header = snapshot->header;
	const uint32_t strings[] = { package->name, package->version,	    package->release,
				     package->arch, package->href,	    package->sourcerpm,
				     package->base, package->checksum_type, package->checksum };

	for (size_t i = 0; i < ARRAY_SIZE(strings); i++)
		if (strings[i] >= header->string_bytes)
			return false;
	for (int i = 0; i < SNAPSHOT_STREAMS; i++) {
		uint64_t end = snapshot->frame[i][header->frame_count[i]].raw;

		if (package->start[i] == INDEX_NO_PLACE && i != SNAPSHOT_PRIMARY)
			continue;
		if (package->start[i] > end || package->length[i] > end - package->start[i] ||
		    !package->length[i] || package->length[i] > SNAPSHOT_MAX_ELEMENT)
			return false;
	}
	return package->location < package->length[SNAPSHOT_PRIMARY] &&
	       package->location_length <= package->length[SNAPSHOT_PRIMARY] - package->location;
}

static bool check_tables(const struct snapshot *snapshot)
{
	const struct index_header *header = snapshot->header;

	if (header->source_slots & (header->source_slots - 1))
		return false;
	for (uint32_t i = 0; i < header->source_slots; i++)
		if (snapshot->source[i] != INDEX_NO_PACKAGE &&
		    snapshot->source[i] >= header->package_count)
			return false;
	for (uint32_t i = 0; i < header->path_count; i++) {
		const struct index_path *path = &snapshot->path[i];

		if (path->path >= header->string_bytes || path->first > header->owner_count ||
		    path->count > header->owner_count - path->first)
			return false;
	}
	for (uint32_t i = 0; i < header->owner_count; i++)
		if (snapshot->owner[i] >= header->package_count)
			return false;
	return header->string_bytes > 0 && !snapshot->strings[0] &&
	       !snapshot->strings[header->string_bytes - 1];
}

static bool check_file(const struct snapshot *snapshot, const char *name, uint64_t bytes)
{
	struct stat st;

	return fstatat(snapshot->dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	       S_ISREG(st.st_mode) && (uint64_t)st.st_size == bytes;
}

static bool check_files(const struct snapshot *snapshot)
{
	const struct index_header *header = snapshot->header;

	for (int i = 0; i < SNAPSHOT_STREAMS; i++)
		if (header->frame_count[i] &&
		    !check_file(snapshot, index_stream_file[i],
				snapshot->frame[i][header->frame_count[i]].at))
			return false;
	return check_file(snapshot, "solv", header->solv_bytes) &&
	       (!(header->flags & INDEX_MODULES) ||
		check_file(snapshot, "modules", header->modules_bytes));
}

static bool check_all(struct snapshot *snapshot)
{
	const struct index_header *header = snapshot->map;
	uint8_t *map = snapshot->map;
	struct index_layout layout;
	char digest[DIGEST_HEX_SIZE];

	if (snapshot->map_bytes < sizeof(*header) || header->magic != INDEX_MAGIC ||
	    header->bytes != snapshot->map_bytes || !index_layout(header, &layout) ||
	    layout.bytes != snapshot->map_bytes)
		return false;
	snapshot->header = header;
	hex_print(header->repomd, DIGEST_SIZE, digest);
	if (strcmp(digest, snapshot->digest) != 0 || !check_sums(snapshot, &layout))
		return false;
	snapshot->package = (const void *)(map + layout.packages);
	for (int i = 0; i < SNAPSHOT_STREAMS; i++)
		snapshot->frame[i] = (const void *)(map + layout.frames[i]);
	snapshot->source = (const void *)(map + layout.sources);
	snapshot->path = (const void *)(map + layout.paths);
	snapshot->owner = (const void *)(map + layout.owners);
	snapshot->strings = (const char *)(map + layout.strings);
	if (!check_frames(snapshot) || !check_tables(snapshot) || !check_files(snapshot))
		return false;
	for (uint32_t i = 0; i < header->package_count; i++)
		if (!check_package(snapshot, &snapshot->package[i]))
			return false;
	return true;
}

/* ---- opening ---- */

/* 0 or negative errno; -ENOENT: not mapped, because it is not there or empty */
static int map_index(struct snapshot *snapshot)
{
	_cleanup_(closep) int fd =
		openat(snapshot->dirfd, "packages.idx", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	struct stat st;
	void *map;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (st.st_size == 0)
		return -ENOENT;
	map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED | MAP_POPULATE, fd, 0);
	if (map == MAP_FAILED)
		return -errno;
	snapshot->map = map;
	snapshot->map_bytes = (size_t)st.st_size;
	return 0;
}

static int open_streams(struct snapshot *snapshot)
{
	for (int i = 0; i < SNAPSHOT_STREAMS; i++) {
		if (!snapshot->header->frame_count[i])
			continue;
		snapshot->fd[i] = openat(snapshot->dirfd, index_stream_file[i],
					 O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
		if (snapshot->fd[i] < 0)
			return -errno;
	}
	return 0;
}

/* 0: its index is mapped and sound; -ENOENT: it is not there (no words); -EBADMSG: damaged (no
 * words) */
static int look(int snapshots_dirfd, const char *digest, struct snapshot **ret, struct error *err)
{
	_cleanup_(snapshot_freep) struct snapshot *snapshot = calloc(1, sizeof(*snapshot));
	int r;

	if (!snapshot)
		return error_oom(err);
	for (int i = 0; i < SNAPSHOT_STREAMS; i++) {
		snapshot->fd[i] = -1;
		snapshot->cached[i] = FRAME_NONE;
	}
	snapshot->dirfd = -1;
	if (!hex_is_digest(digest))
		return error_set(err, -EINVAL, BLAME_US, NULL, "a snapshot is named by a digest");
	memcpy(snapshot->digest, digest, DIGEST_HEX_SIZE);
	snapshot->dirfd =
		openat(snapshots_dirfd, digest, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (snapshot->dirfd < 0 && errno == ENOENT)
		return -ENOENT;
	if (snapshot->dirfd < 0)
		return error_errno(err, -errno, "opening snapshot %s", digest);
	r = map_index(snapshot);
	if (r < 0 && r != -ENOENT)
		return error_errno(err, r, "opening snapshot %s", digest);
	if (r < 0 || !check_all(snapshot))
		return -EBADMSG;
	*ret = steal(snapshot);
	return 0;
}

int snapshot_check(int snapshots_dirfd, const char *digest, struct error *err)
{
	_cleanup_(snapshot_freep) struct snapshot *snapshot = NULL;

	return look(snapshots_dirfd, digest, &snapshot, err);
}

int snapshot_open(int snapshots_dirfd, const char *digest, struct snapshot **ret, struct error *err)
{
	_cleanup_(snapshot_freep) struct snapshot *snapshot = NULL;
	int r = look(snapshots_dirfd, digest, &snapshot, err);

	if (r == -EBADMSG) {
		r = directory_remove(snapshots_dirfd, digest);
		return r < 0 ? error_errno(err, r, "removing damaged snapshot %s", digest)
			     : -ENOENT;
	}
	if (r < 0)
		return r;
	r = open_streams(snapshot);
	if (r < 0)
		return error_errno(err, r, "opening snapshot %s", digest);
	snapshot->context = ZSTD_createDCtx();
	if (!snapshot->context)
		return error_oom(err);
	*ret = steal(snapshot);
	return 0;
}

void snapshot_free(struct snapshot *snapshot)
{
	if (!snapshot)
		return;
	if (snapshot->map)
		(void)munmap(snapshot->map, snapshot->map_bytes);
	for (int i = 0; i < SNAPSHOT_STREAMS; i++) {
		closep(&snapshot->fd[i]);
		text_done(&snapshot->raw[i]);
	}
	text_done(&snapshot->packed);
	(void)ZSTD_freeDCtx(snapshot->context);
	closep(&snapshot->dirfd);
	free(snapshot);
}

/* ---- facts ---- */

uint32_t snapshot_count(const struct snapshot *snapshot)
{
	return snapshot->header->package_count;
}

const char *snapshot_digest(const struct snapshot *snapshot)
{
	return snapshot->digest;
}

int64_t snapshot_revision(const struct snapshot *snapshot)
{
	return snapshot->header->revision;
}

int64_t snapshot_timestamp(const struct snapshot *snapshot)
{
	return snapshot->header->timestamp;
}

void snapshot_package_get(const struct snapshot *snapshot, uint32_t index,
			  struct snapshot_package *ret)
{
	const struct index_package *package = &snapshot->package[index];
	const char *strings = snapshot->strings;

	*ret = (struct snapshot_package){
		.name = strings + package->name,
		.version = strings + package->version,
		.release = strings + package->release,
		.arch = strings + package->arch,
		.href = strings + package->href,
		.sourcerpm = strings + package->sourcerpm,
		.base = strings + package->base,
		.epoch = package->epoch,
		.source = package->flags & INDEX_SOURCE,
		.debug = package->flags & INDEX_DEBUG,
		.checksum_type = strings + package->checksum_type,
		.checksum = strings + package->checksum,
		.size = package->size,
		.time_file = package->time_file,
	};
}

/* Is @file the name of the file of this source package, by its NEVRA or as it lies there? */
static bool is_source_file(const struct snapshot *snapshot, uint32_t index, const char *file)
{
	struct snapshot_package package;
	const char *parts[7], *slash;

	snapshot_package_get(snapshot, index, &package);
	slash = strrchr(package.href, '/');
	if (strcmp(slash ? slash + 1 : package.href, file) == 0)
		return true;
	memcpy(parts,
	       (const char *[]){ package.name, "-", package.version, "-", package.release, ".",
				 package.arch },
	       sizeof(parts));
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		size_t length = strlen(parts[i]);

		if (strncmp(file, parts[i], length) != 0)
			return false;
		file += length;
	}
	return strcmp(file, ".rpm") == 0;
}

int snapshot_find_source(const struct snapshot *snapshot, const char *sourcerpm,
			 uint32_t *ret_index)
{
	uint32_t slots = snapshot->header->source_slots;
	uint64_t at =
		index_hash(index_seed(snapshot->header->repomd), sourcerpm, strlen(sourcerpm));

	for (uint32_t i = 0; i < slots; i++) {
		uint32_t index = snapshot->source[(at + i) & (slots - 1)];

		if (index == INDEX_NO_PACKAGE)
			break;
		if (is_source_file(snapshot, index, sourcerpm)) {
			*ret_index = index;
			return 0;
		}
	}
	return -ENOENT;
}
