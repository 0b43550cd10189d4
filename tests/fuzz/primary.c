/* SPDX-License-Identifier: MIT */
/* tests/fuzz/primary.c: bytes that a repository may offer as primary, filelists or other.
 *
 * The last two bits of the input's length choose the document. The scan gets the bytes in pieces of
 * odd sizes; what it says about places must lie inside the document and fit each other, and what
 * the index accepts must have its own element where the scan saw it. */
#include "resolver/snapshot/index.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(condition)                                                                            \
	do {                                                                                       \
		if (!(condition))                                                                  \
			abort();                                                                   \
	} while (0)

struct run {
	enum snapshot_stream stream;
	const char *bytes;
	size_t size;
	uint64_t last_end;
	struct index_build index;
};

static int on_package(void *data, const struct scan_package *package, struct error *err)
{
	struct run *run = data;

	MUST(package->start >= run->last_end && package->start < package->end);
	MUST(package->end <= run->size);
	MUST(memcmp(run->bytes + package->start, "<package", 8) == 0);
	MUST(run->bytes[package->end - 1] == '>');
	run->last_end = package->end;
	if (package->location_end) {
		MUST(package->location > package->start);
		MUST(package->location_end > package->location);
		MUST(package->location_end < package->end);
		MUST(memcmp(run->bytes + package->location, "<location", 9) == 0);
		MUST(run->bytes[package->location_end - 1] == '>');
	}
	if (run->stream == SNAPSHOT_PRIMARY)
		return index_add(&run->index, package, err);
	return index_place(&run->index, run->stream, package, err);
}

static int on_require(void *data, const char *path, struct error *err)
{
	struct run *run = data;

	MUST(*path == '/');
	return index_require(&run->index, path, err);
}

static int on_file(void *data, const struct scan_package *package, const char *path,
		   struct error *err)
{
	struct run *run = data;

	return index_own(&run->index, package, path, err);
}

static int scan(struct run *run, struct error *err)
{
	const struct scan_sink sink = { on_package, on_require, on_file, run };
	_cleanup_(scan_freep) struct scan *scan = NULL;
	size_t at = 0, step = 1;
	int r = scan_new(run->stream, &sink, &scan, err);

	for (; r == 0 && at < run->size; at += step) {
		step = step * 7 % 61 + 1;
		step = step < run->size - at ? step : run->size - at;
		r = scan_feed(scan, run->bytes + at, step, err);
		MUST(scan_position(scan) <= at + step);
		MUST(r < 0 || scan_position(scan) >= run->last_end);
	}
	return r == 0 ? scan_finish(scan, err) : r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct run run = { .stream = (enum snapshot_stream)(size % 4 % SNAPSHOT_STREAMS),
			   .bytes = (const char *)data,
			   .size = size };
	struct error err = { 0 };
	int r = 0;

	if (run.stream != SNAPSHOT_PRIMARY)
		r = index_close_primary(&run.index, &err);
	if (r == 0)
		r = scan(&run, &err);
	MUST(r == 0 || err.message[0]);
	if (r == 0 && run.stream == SNAPSHOT_PRIMARY)
		MUST(index_close_primary(&run.index, &err) == 0);
	index_done(&run.index);
	return 0;
}
