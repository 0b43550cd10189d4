/* SPDX-License-Identifier: MIT */
/* resolver/snapshot/slice.c: bytes out of an open snapshot: elements, the solver's file, modules.
 *
 * What turns out to be damaged only now loses its packages.idx, so the next snapshot_open() clears
 * it away and it is built again. */
#include "resolver/snapshot/open.h"

#include <fcntl.h>
#include <unistd.h>

static int damaged(const struct snapshot *snapshot, int r, struct error *err)
{
	(void)unlinkat(snapshot->dirfd, "packages.idx", 0);
	(void)error_prefix(err, "snapshot %s (it will be built again)", snapshot->digest);
	return r;
}

uint32_t slice_frame(const struct snapshot *snapshot, enum snapshot_stream stream, uint64_t offset)
{
	const struct index_frame *frame = snapshot->frame[stream];
	uint32_t low = 0, high = snapshot->header->frame_count[stream];

	while (high - low > 1) {
		uint32_t middle = low + (high - low) / 2;

		if (frame[middle].raw <= offset)
			low = middle;
		else
			high = middle;
	}
	return low;
}

int slice_load(struct snapshot *snapshot, enum snapshot_stream stream, uint32_t frame,
	       struct error *err)
{
	int r;

	if (snapshot->cached[stream] == frame)
		return 0;
	snapshot->cached[stream] = FRAME_NONE;
	r = frame_read(snapshot->fd[stream], &snapshot->frame[stream][frame], snapshot->context,
		       &snapshot->packed, &snapshot->raw[stream], err);
	if (r == -EIO)
		return damaged(snapshot, r, err);
	if (r == 0)
		snapshot->cached[stream] = frame;
	return r;
}

int slice_add(struct snapshot *snapshot, enum snapshot_stream stream, uint64_t start,
	      uint64_t length, struct text *ret, struct error *err)
{
	uint32_t frame = slice_frame(snapshot, stream, start);

	for (; length; frame++) {
		const struct index_frame *at = &snapshot->frame[stream][frame];
		uint64_t skip = start - at->raw, have = at[1].raw - start;
		uint64_t n = length < have ? length : have;
		int r = slice_load(snapshot, stream, frame, err);

		if (r < 0)
			return r;
		if (text_add(ret, snapshot->raw[stream].data + skip, n) < 0)
			return error_oom(err);
		start += n;
		length -= n;
	}
	return 0;
}

/* ---- elements ---- */

static void add_escaped(struct text *text, const char *string)
{
	for (; *string; string++)
		if (*string == '&')
			(void)text_adds(text, "&amp;");
		else if (*string == '<')
			(void)text_adds(text, "&lt;");
		else if (*string == '"')
			(void)text_adds(text, "&quot;");
		else
			(void)text_add(text, string, 1);
}

/* What createrepo_c would write for a package without files or changelogs. */
static int add_minimal(const struct snapshot *snapshot, uint32_t index, struct text *ret,
		       struct error *err)
{
	struct snapshot_package package;

	snapshot_package_get(snapshot, index, &package);
	(void)text_addf(ret, "<package pkgid=\"%s\" name=\"", package.checksum);
	add_escaped(ret, package.name);
	(void)text_adds(ret, "\" arch=\"");
	add_escaped(ret, package.arch);
	(void)text_addf(ret, "\">\n  <version epoch=\"%" PRIu32 "\" ver=\"", package.epoch);
	add_escaped(ret, package.version);
	(void)text_adds(ret, "\" rel=\"");
	add_escaped(ret, package.release);
	return text_adds(ret, "\"/>\n</package>") < 0 ? error_oom(err) : 0;
}

int snapshot_element(struct snapshot *snapshot, enum snapshot_stream stream, uint32_t index,
		     struct text *ret, size_t ret_location[2], struct error *err)
{
	const struct index_package *package = &snapshot->package[index];
	int r;

	if (package->start[stream] == INDEX_NO_PLACE)
		return add_minimal(snapshot, index, ret, err);
	r = slice_add(snapshot, stream, package->start[stream], package->length[stream], ret, err);
	if (r == 0 && ret_location && stream == SNAPSHOT_PRIMARY) {
		ret_location[0] = package->location;
		ret_location[1] = package->location_length;
	}
	return r;
}

/* ---- whole files ---- */

/* Opened, after its sum was compared: libsolv believes what it reads. */
static int open_checked(const struct snapshot *snapshot, const char *name, uint64_t bytes,
			uint64_t sum, struct error *err)
{
	_cleanup_(closep) int fd = openat(snapshot->dirfd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	uint64_t got_bytes, got_sum;
	int r = fd < 0 ? -errno : index_file_sum(fd, &got_bytes, &got_sum);

	if (r < 0)
		return error_errno(err, r, "opening %s of snapshot %s", name, snapshot->digest);
	if (got_bytes != bytes || got_sum != sum) {
		r = error_set(err, -EIO, BLAME_US, NULL, "%s is damaged", name);
		return damaged(snapshot, r, err);
	}
	return steal_fd(&fd);
}

int snapshot_solv(const struct snapshot *snapshot, FILE **ret, struct error *err)
{
	int fd = open_checked(snapshot, "solv", snapshot->header->solv_bytes,
			      snapshot->header->solv_sum, err);
	FILE *file;

	if (fd < 0)
		return fd;
	file = fdopen(fd, "re");
	if (!file) {
		closep(&fd);
		return error_oom(err);
	}
	*ret = file;
	return 0;
}

int snapshot_modules(const struct snapshot *snapshot, struct text *ret, struct error *err)
{
	_cleanup_(closep) int fd = -1;
	uint64_t bytes = snapshot->header->modules_bytes;
	ssize_t n;

	if (!(snapshot->header->flags & INDEX_MODULES))
		return -ENOENT;
	fd = open_checked(snapshot, "modules", bytes, snapshot->header->modules_sum, err);
	if (fd < 0)
		return fd;
	if (text_reserve(ret, bytes) < 0)
		return error_oom(err);
	n = io_read(fd, ret->data + ret->length, bytes);
	if (n < 0 || (uint64_t)n != bytes)
		return error_errno(err, n < 0 ? (int)n : -EIO, "reading modules of snapshot %s",
				   snapshot->digest);
	ret->length += bytes;
	ret->data[ret->length] = '\0';
	return 0;
}
