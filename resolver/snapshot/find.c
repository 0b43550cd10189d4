/* SPDX-License-Identifier: MIT */
/* resolver/snapshot/find.c: who owns this file? Answered from the table, else out of filelists.
 *
 * The table knows what packages of this repository require. Another repository's wish means going
 * through all frames; but only elements in which the bytes of a wanted path occur are parsed, which
 * is a tenth of the work. */
#include "resolver/snapshot/open.h"
#include "resolver/snapshot/scan.h"

#define FIND_MAX_NEEDLES 16 /* more, and parsing everything is cheaper */
#define FIND_MIN_NEEDLE 4   /* bytes; shorter ones occur everywhere */
#define FIND_OPENING "<filelists>"

struct place {
	uint64_t start, end;
	uint32_t package;
};

struct find {
	struct snapshot *snapshot;
	const char **path; /* sorted; what the table does not answer */
	size_t count;
	struct place *place; /* elements of filelists, sorted by start */
	size_t places;
	uint64_t shift; /* document offset of what is scanned, minus its offset there; may wrap */
	int (*found)(void *data, uint32_t index, const char *path);
	void *data;
};

/* ---- the table ---- */

/** primary lists these files itself, by the rule that every createrepo follows */
static bool is_primary_file(const char *path)
{
	return strstr(path, "bin/") || strncmp(path, "/etc/", 5) == 0 ||
	       strcmp(path, "/usr/lib/sendmail") == 0;
}

static int tell_owners(const struct snapshot *snapshot, const struct index_path *path,
		       int (*found)(void *data, uint32_t index, const char *path), void *data)
{
	int r = 0;

	for (uint32_t i = 0; r >= 0 && i < path->count; i++)
		r = found(data, snapshot->owner[path->first + i], snapshot->strings + path->path);
	return r < 0 ? r : 0;
}

int snapshot_paths(const struct snapshot *snapshot,
		   int (*found)(void *data, uint32_t index, const char *path), void *data)
{
	int r = 0;

	for (uint32_t i = 0; r == 0 && i < snapshot->header->path_count; i++)
		if (!is_primary_file(snapshot->strings + snapshot->path[i].path))
			r = tell_owners(snapshot, &snapshot->path[i], found, data);
	return r;
}

static const struct index_path *table_find(const struct snapshot *snapshot, const char *path)
{
	uint32_t low = 0, high = snapshot->header->path_count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		int order = strcmp(snapshot->strings + snapshot->path[middle].path, path);

		if (order == 0)
			return &snapshot->path[middle];
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

/* ---- filelists ---- */

static int compare_places(const void *a, const void *b)
{
	const struct place *x = a, *y = b;

	if (x->start != y->start)
		return x->start < y->start ? -1 : 1;
	return x->package < y->package ? -1 : x->package > y->package;
}

static int make_places(struct find *find)
{
	const struct snapshot *snapshot = find->snapshot;
	uint32_t count = snapshot->header->package_count;

	find->place = calloc((size_t)count + 1, sizeof(*find->place));
	if (!find->place)
		return -ENOMEM;
	for (uint32_t i = 0; i < count; i++) {
		uint64_t start = snapshot->package[i].start[SNAPSHOT_FILELISTS];

		if (start != INDEX_NO_PLACE)
			find->place[find->places++] = (struct place){
				start, start + snapshot->package[i].length[SNAPSHOT_FILELISTS], i
			};
	}
	qsort(find->place, find->places, sizeof(*find->place), compare_places);
	return 0;
}

/* The first place that ends behind @offset, or find->places. */
static size_t place_at(const struct find *find, uint64_t offset)
{
	size_t low = 0, high = find->places;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (find->place[middle].end <= offset)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static int compare_strings(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int on_file(void *data, const struct scan_package *package, const char *path,
		   struct error *err)
{
	struct find *find = data;
	uint64_t start = package->start + find->shift;
	int r = 0;

	if (!bsearch(&path, find->path, find->count, sizeof(*find->path), compare_strings))
		return 0;
	for (size_t i = place_at(find, start);
	     r >= 0 && i < find->places && find->place[i].start == start; i++)
		r = find->found(find->data, find->place[i].package, path);
	return r < 0 ? r : 0;
}

static int on_package(void *data, const struct scan_package *package, struct error *err)
{
	return 0;
}

static const struct scan_sink *sink_of(struct find *find, struct scan_sink *sink)
{
	*sink = (struct scan_sink){ .package = on_package, .file = on_file, .data = find };
	return sink;
}

static int scan_everything(struct find *find, struct error *err)
{
	_cleanup_(scan_freep) struct scan *scan = NULL;
	struct snapshot *snapshot = find->snapshot;
	struct scan_sink sink;
	int r = scan_new(SNAPSHOT_FILELISTS, sink_of(find, &sink), &scan, err);

	find->shift = 0;
	for (uint32_t i = 0; r == 0 && i < snapshot->header->frame_count[SNAPSHOT_FILELISTS]; i++) {
		const struct text *raw = &snapshot->raw[SNAPSHOT_FILELISTS];

		r = slice_load(snapshot, SNAPSHOT_FILELISTS, i, err);
		if (r == 0)
			r = scan_feed(scan, raw->data, raw->length, err);
	}
	return r;
}

static int scan_place(struct find *find, const struct place *place, struct error *err)
{
	_cleanup_(scan_freep) struct scan *scan = NULL;
	_cleanup_(text_done) struct text element = { 0 };
	struct scan_sink sink;
	int r = scan_new(SNAPSHOT_FILELISTS, sink_of(find, &sink), &scan, err);

	find->shift = place->start - strlen(FIND_OPENING);
	if (r == 0)
		r = slice_add(find->snapshot, SNAPSHOT_FILELISTS, place->start,
			      place->end - place->start, &element, err);
	if (r == 0)
		r = scan_feed(scan, FIND_OPENING, strlen(FIND_OPENING), err);
	if (r == 0)
		r = scan_feed(scan, element.data, element.length, err);
	return r;
}

/* ---- which elements are worth parsing ---- */

/* The longest part of a path that XML writes as it is. */
static size_t needle_of(const char *path, const char **ret)
{
	size_t longest = 0;

	while (*path) {
		size_t length = strcspn(path, "&<>\"'");

		if (length > longest) {
			longest = length;
			*ret = path;
		}
		path += length;
		path += strspn(path, "&<>\"'");
	}
	return longest;
}

static bool needles_will_do(const struct find *find)
{
	const char *part;

	if (!(find->snapshot->header->flags & INDEX_PLAIN_FILES) || find->count > FIND_MAX_NEEDLES)
		return false;
	for (size_t i = 0; i < find->count; i++)
		if (needle_of(find->path[i], &part) < FIND_MIN_NEEDLE)
			return false;
	return true;
}

static void mark_hits(const struct find *find, const struct text *raw, uint64_t base,
		      const char *needle, size_t length, bool *wanted)
{
	const char *at = raw->data, *end = raw->data + raw->length;

	while ((at = memmem(at, (size_t)(end - at), needle, length))) {
		uint64_t offset = base + (uint64_t)(at - raw->data);
		size_t place = place_at(find, offset);

		if (place < find->places && find->place[place].start <= offset)
			wanted[place] = true;
		at++;
	}
}

static int mark_elements(struct find *find, bool *wanted, struct error *err)
{
	struct snapshot *snapshot = find->snapshot;
	const struct index_frame *frame = snapshot->frame[SNAPSHOT_FILELISTS];
	const struct text *raw = &snapshot->raw[SNAPSHOT_FILELISTS];
	const char *part = NULL;

	for (uint32_t i = 0; i < snapshot->header->frame_count[SNAPSHOT_FILELISTS]; i++) {
		int r = slice_load(snapshot, SNAPSHOT_FILELISTS, i, err);

		if (r < 0)
			return r;
		for (size_t k = 0; k < find->count; k++) {
			size_t length = needle_of(find->path[k], &part);

			mark_hits(find, raw, frame[i].raw, part, length, wanted);
		}
		/* a character written as a number may be any part of a path */
		if (memchr(raw->data, '&', raw->length))
			mark_hits(find, raw, frame[i].raw, "&#", 2, wanted);
	}
	for (size_t i = 0; i < find->places; i++) /* a needle may lie across two frames */
		if ((i == 0 || find->place[i].start != find->place[i - 1].start) &&
		    slice_frame(snapshot, SNAPSHOT_FILELISTS, find->place[i].start) !=
			    slice_frame(snapshot, SNAPSHOT_FILELISTS, find->place[i].end - 1))
			wanted[i] = true;
	return 0;
}

static int search(struct find *find, struct error *err)
{
	_cleanup_(freep) bool *wanted = NULL;
	int r;

	if (make_places(find) < 0)
		return error_oom(err);
	if (!needles_will_do(find))
		return scan_everything(find, err);
	wanted = calloc(find->places + 1, sizeof(*wanted));
	if (!wanted)
		return error_oom(err);
	r = mark_elements(find, wanted, err);
	for (size_t i = 0; r == 0 && i < find->places; i++)
		if (wanted[i])
			r = scan_place(find, &find->place[i], err);
	return r;
}

int snapshot_find_paths(struct snapshot *snapshot, const struct strings *paths,
			int (*found)(void *data, uint32_t index, const char *path), void *data,
			struct error *err)
{
	_cleanup_(freep) const char **path = calloc(paths->count + 1, sizeof(*path));
	struct find find = { .snapshot = snapshot, .path = path, .found = found, .data = data };
	bool complete = snapshot->header->flags & INDEX_PATHS_COMPLETE;
	int r = 0;

	if (!path)
		return error_oom(err);
	for (size_t i = 0; r == 0 && i < paths->count; i++) {
		const struct index_path *known =
			complete ? table_find(snapshot, paths->item[i]) : NULL;

		if (known)
			r = tell_owners(snapshot, known, found, data);
		else
			path[find.count++] = paths->item[i];
	}
	if (r == 0 && find.count && snapshot->header->frame_count[SNAPSHOT_FILELISTS])
		r = search(&find, err);
	free(find.place);
	return r;
}
