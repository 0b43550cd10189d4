/* SPDX-License-Identifier: MIT */
/* resolver/koji/listing.c: rows about builds and RPMs, kept compactly.
 *
 * A distribution's tag has some hundred thousand rows whose names, versions and arches repeat all
 * the time: each text is kept once, rows hold places. Rows of one RPM (one for each signature) need
 * not be neighbours, so everything is sorted at the end. */
#include "resolver/koji/listing.h"

#include <limits.h>

struct gathered_rpm {
	struct koji_rpm rpm;
	int64_t build_id;
};

struct gathered_key {
	int64_t rpm_id;
	uint32_t key;
};

enum {
	RPM_ID,
	RPM_BUILD_ID,
	RPM_NAME,
	RPM_VERSION,
	RPM_RELEASE,
	RPM_EPOCH,
	RPM_ARCH,
	RPM_SIZE,
	RPM_BUILDTIME,
	RPM_PAYLOADHASH,
	RPM_SIGKEY,
	RPM_METADATA_ONLY,
	RPM_FIELDS
};

/* in the order of the hub's rows */
static const struct row_field rpm_field[RPM_FIELDS] = {
	[RPM_ID] = { "id", XMLRPC_INT },
	[RPM_BUILD_ID] = { "build_id", XMLRPC_INT },
	[RPM_NAME] = { "name", XMLRPC_TEXT },
	[RPM_VERSION] = { "version", XMLRPC_TEXT },
	[RPM_RELEASE] = { "release", XMLRPC_TEXT },
	[RPM_EPOCH] = { "epoch", XMLRPC_INT, .nil = true },
	[RPM_ARCH] = { "arch", XMLRPC_TEXT },
	[RPM_SIZE] = { "size", XMLRPC_INT },
	[RPM_BUILDTIME] = { "buildtime", XMLRPC_INT },
	[RPM_PAYLOADHASH] = { "payloadhash", XMLRPC_TEXT },
	[RPM_SIGKEY] = { "sigkey", XMLRPC_TEXT, .optional = true, .nil = true },
	[RPM_METADATA_ONLY] = { "metadata_only", XMLRPC_BOOLEAN, .optional = true, .nil = true },
};

enum {
	BUILD_ID,
	BUILD_PACKAGE,
	BUILD_VERSION,
	BUILD_RELEASE,
	BUILD_STATE,
	BUILD_VOLUME,
	BUILD_DRAFT,
	BUILD_FIELDS
};

static const struct row_field build_field[BUILD_FIELDS] = {
	[BUILD_ID] = { "id", XMLRPC_INT },
	[BUILD_PACKAGE] = { "package_name", XMLRPC_TEXT },
	[BUILD_VERSION] = { "version", XMLRPC_TEXT },
	[BUILD_RELEASE] = { "release", XMLRPC_TEXT },
	[BUILD_STATE] = { "state", XMLRPC_INT },
	[BUILD_VOLUME] = { "volume_name", XMLRPC_TEXT },
	[BUILD_DRAFT] = { "draft", XMLRPC_BOOLEAN, .optional = true, .nil = true },
};

void gathering_done(struct gathering *gathering)
{
	free(gathering->rpm);
	free(gathering->build);
	free(gathering->key);
	free(gathering->bucket);
	text_done(&gathering->text);
	*gathering = (struct gathering){ 0 };
}

void koji_listing_free(struct koji_listing *listing)
{
	if (!listing)
		return;
	free(listing->build);
	free(listing->rpm);
	free(listing->key);
	free(listing->text);
	free(listing);
}

/* ---- texts ---- */

static int put_text(struct gathering *gathering, const struct text *text, uint32_t *ret,
		    struct error *err)
{
	size_t place = gathering->text.length;

	if (place == 0) { /* "" stands at 0 */
		(void)text_add(&gathering->text, "", 1);
		place = 1;
	}
	if (text->length == 0) {
		*ret = 0;
		return gathering->text.failed ? error_oom(err) : 0;
	}
	if (text->length >= UINT32_MAX - place)
		return error_set(err, -EMSGSIZE, BLAME_SOURCE, NULL, "more than 4 GiB of texts");
	if (text_add(&gathering->text, text->data, text->length + 1) < 0)
		return error_oom(err);
	*ret = (uint32_t)place;
	return 0;
}

static size_t hash(const char *text)
{
	uint64_t hash = UINT64_C(14695981039346656037);

	for (; *text; text++)
		hash = (hash ^ (uint8_t)*text) * UINT64_C(1099511628211);
	return (size_t)(hash ^ hash >> 32);
}

/* The bucket with this text, or the free one where it belongs. */
static uint32_t *bucket_of(const struct gathering *gathering, const char *text)
{
	size_t mask = gathering->bucket_count - 1, i = hash(text) & mask;

	while (gathering->bucket[i] &&
	       strcmp(gathering->text.data + gathering->bucket[i], text) != 0)
		i = (i + 1) & mask;
	return &gathering->bucket[i];
}

static int buckets_grow(struct gathering *gathering)
{
	size_t old_count = gathering->bucket_count;
	uint32_t *old = gathering->bucket;

	if (gathering->bucket_used * 2 < old_count)
		return 0;
	gathering->bucket = calloc(old_count ? old_count * 2 : 1024, sizeof(*old));
	if (!gathering->bucket) {
		gathering->bucket = old;
		return -ENOMEM;
	}
	gathering->bucket_count = old_count ? old_count * 2 : 1024;
	for (size_t i = 0; i < old_count; i++)
		if (old[i])
			*bucket_of(gathering, gathering->text.data + old[i]) = old[i];
	free(old);
	return 0;
}

/* The same place for the same text. */
static int share_text(struct gathering *gathering, const struct text *text, uint32_t *ret,
		      struct error *err)
{
	uint32_t *bucket;
	int r;

	if (text->length == 0)
		return put_text(gathering, text, ret, err);
	if (buckets_grow(gathering) < 0)
		return error_oom(err);
	bucket = bucket_of(gathering, text->data);
	if (!*bucket) {
		r = put_text(gathering, text, bucket, err);
		if (r < 0)
			return r;
		gathering->bucket_used++;
	}
	*ret = *bucket;
	return 0;
}

/* ---- rows ---- */

static int grow(void *array, size_t count, size_t *room, size_t size, struct error *err)
{
	void *old, *new;

	if (count < *room)
		return 0;
	memcpy(&old, array, sizeof(old));
	new = reallocarray(old, *room ? *room * 2 : 256, size);
	if (!new)
		return error_oom(err);
	memcpy(array, &new, sizeof(new));
	*room = *room ? *room * 2 : 256;
	return 0;
}

static int check_range(const struct row_field *field, const struct row_cell *cell, size_t i,
		       int64_t most, struct error *err)
{
	if (cell[i].number >= 0 && cell[i].number <= most)
		return 0;
	return error_set(err, -EBADMSG, BLAME_SOURCE, field[i].name, "%s is %" PRId64,
			 field[i].name, cell[i].number);
}

/* @small: the one that is kept in 32 bits */
static int check_numbers(const struct row_field *field, const struct row_cell *cell, size_t count,
			 size_t small, struct error *err)
{
	int r = 0;

	for (size_t i = 0; i < count && r == 0; i++)
		if (field[i].type == XMLRPC_INT)
			r = check_range(field, cell, i, i == small ? INT32_MAX : INT64_MAX, err);
	return r;
}

static int32_t epoch_of(const struct row_cell *cell)
{
	return cell->given ? (int32_t)cell->number : KOJI_NO_EPOCH;
}

int gathering_key(struct gathering *gathering, int64_t rpm_id, const struct text *word,
		  struct error *err)
{
	struct gathered_key key = { .rpm_id = rpm_id };
	int r;

	if (!word->length) /* the unsigned header, or none: no signature */
		return 0;
	r = grow(&gathering->key, gathering->key_count, &gathering->key_room, sizeof(key), err);
	if (r == 0)
		r = share_text(gathering, word, &key.key, err);
	if (r == 0)
		gathering->key[gathering->key_count++] = key;
	return r;
}

int64_t gathering_rpm(const struct gathering *gathering, size_t i, const char **ret_arch)
{
	*ret_arch = gathering->text.data + gathering->rpm[i].rpm.arch;
	return gathering->rpm[i].rpm.id;
}

static int put_rpm(void *data, struct row_cell *cell, struct error *err)
{
	struct gathering *gathering = data;
	struct gathered_rpm new = { .build_id = cell[RPM_BUILD_ID].number };
	struct koji_rpm *rpm = &new.rpm;
	uint32_t *const shared[] = { &rpm->name, &rpm->version, &rpm->release };
	int r = check_numbers(rpm_field, cell, RPM_FIELDS, RPM_EPOCH, err);

	rpm->id = cell[RPM_ID].number;
	rpm->size = cell[RPM_SIZE].number;
	rpm->buildtime = cell[RPM_BUILDTIME].number;
	rpm->epoch = epoch_of(&cell[RPM_EPOCH]);
	rpm->metadata_only = cell[RPM_METADATA_ONLY].number != 0;
	if (r == 0)
		r = gathering_key(gathering, rpm->id, &cell[RPM_SIGKEY].text, err);
	/* mostly the rows of one RPM are neighbours: then nothing is new but the key */
	if (r < 0 ||
	    (gathering->rpm_count && gathering->rpm[gathering->rpm_count - 1].rpm.id == rpm->id))
		return r;
	r = grow(&gathering->rpm, gathering->rpm_count, &gathering->rpm_room, sizeof(new), err);
	for (size_t i = 0; i < ARRAY_SIZE(shared) && r == 0; i++)
		r = share_text(gathering, &cell[RPM_NAME + i].text, shared[i], err);
	if (r == 0)
		r = share_text(gathering, &cell[RPM_ARCH].text, &rpm->arch, err);
	if (r == 0)
		r = put_text(gathering, &cell[RPM_PAYLOADHASH].text, &rpm->payloadhash, err);
	if (r == 0)
		gathering->rpm[gathering->rpm_count++] = new;
	return r;
}

static int put_build(void *data, struct row_cell *cell, struct error *err)
{
	struct gathering *gathering = data;
	struct koji_build build = { .id = cell[BUILD_ID].number,
				    .draft = cell[BUILD_DRAFT].number != 0 };
	const struct {
		size_t cell;
		uint32_t *place;
	} shared[] = {
		{ BUILD_PACKAGE, &build.package },
		{ BUILD_VERSION, &build.version },
		{ BUILD_RELEASE, &build.release },
		{ BUILD_VOLUME, &build.volume },
	};
	int r = check_numbers(build_field, cell, BUILD_FIELDS, BUILD_STATE, err);

	build.state = (int32_t)cell[BUILD_STATE].number;
	if (r == 0)
		r = grow(&gathering->build, gathering->build_count, &gathering->build_room,
			 sizeof(build), err);
	for (size_t i = 0; i < ARRAY_SIZE(shared) && r == 0; i++)
		r = share_text(gathering, &cell[shared[i].cell].text, shared[i].place, err);
	build.order = (uint32_t)gathering->build_count;
	if (r == 0)
		gathering->build[gathering->build_count++] = build;
	return r;
}

struct rows gathering_rpms(struct gathering *gathering, unsigned int depth)
{
	return (struct rows){ .what = "RPMs",
			      .field = rpm_field,
			      .field_count = RPM_FIELDS,
			      .depth = depth,
			      .row = put_rpm,
			      .data = gathering };
}

struct rows gathering_builds(struct gathering *gathering, unsigned int depth)
{
	return (struct rows){ .what = "builds",
			      .field = build_field,
			      .field_count = BUILD_FIELDS,
			      .depth = depth,
			      .row = put_build,
			      .data = gathering };
}

/* ---- the end ---- */

static int compare_numbers(int64_t a, int64_t b)
{
	return (a > b) - (a < b);
}

static int compare_rpms(const void *a, const void *b)
{
	const struct gathered_rpm *one = a, *other = b;

	return compare_numbers(one->rpm.id, other->rpm.id);
}

static int compare_builds(const void *a, const void *b)
{
	const struct koji_build *one = a, *other = b;
	int r = compare_numbers(one->id, other->id);

	return r ? r : compare_numbers(one->order, other->order);
}

static int compare_keys(const void *a, const void *b)
{
	const struct gathered_key *one = a, *other = b;
	int r = compare_numbers(one->rpm_id, other->rpm_id);

	return r ? r : compare_numbers(one->key, other->key);
}

static void sort(void *array, size_t count, size_t size, int (*compare)(const void *, const void *))
{
	if (count)
		qsort(array, count, size, compare);
}

const struct koji_build *koji_find_build(const struct koji_listing *listing, int64_t id)
{
	size_t low = 0, high = listing->build_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (listing->build[middle].id < id)
			low = middle + 1;
		else
			high = middle;
	}
	return low < listing->build_count && listing->build[low].id == id ? &listing->build[low]
									  : NULL;
}

static void finish_builds(struct gathering *gathering, struct koji_listing *listing)
{
	struct koji_build *build = gathering->build;
	size_t n = 0;

	sort(build, gathering->build_count, sizeof(*build), compare_builds);
	for (size_t i = 0; i < gathering->build_count; i++)
		if (!n || build[n - 1].id != build[i].id)
			build[n++] = build[i];
	listing->build = steal(gathering->build);
	listing->build_count = n;
}

static int finish_rpms(struct gathering *gathering, struct koji_listing *listing, struct error *err)
{
	const struct gathered_rpm *from = gathering->rpm;
	size_t n = 0;

	sort(gathering->rpm, gathering->rpm_count, sizeof(*from), compare_rpms);
	listing->rpm = calloc(gathering->rpm_count + 1, sizeof(*listing->rpm));
	if (!listing->rpm)
		return error_oom(err);
	for (size_t i = 0; i < gathering->rpm_count; i++) {
		const struct koji_build *build;

		if (n && listing->rpm[n - 1].id == from[i].rpm.id)
			continue;
		build = koji_find_build(listing, from[i].build_id);
		if (!build)
			return error_set(err, -EBADMSG, BLAME_SOURCE, "build_id",
					 "RPM %" PRId64 " is of build %" PRId64
					 ", which is not in the answer",
					 from[i].rpm.id, from[i].build_id);
		listing->rpm[n] = from[i].rpm;
		listing->rpm[n++].build = (uint32_t)(build - listing->build);
	}
	listing->rpm_count = n;
	return 0;
}

static int finish_keys(struct gathering *gathering, struct koji_listing *listing, struct error *err)
{
	const struct gathered_key *from = gathering->key;
	size_t n = 0;

	sort(gathering->key, gathering->key_count, sizeof(*from), compare_keys);
	listing->key = calloc(gathering->key_count + 1, sizeof(*listing->key));
	if (!listing->key)
		return error_oom(err);
	for (size_t i = 0, j = 0; i < listing->rpm_count; i++) {
		listing->rpm[i].key = (uint32_t)n;
		for (; j < gathering->key_count && from[j].rpm_id == listing->rpm[i].id; j++)
			if (n == listing->rpm[i].key || listing->key[n - 1] != from[j].key)
				listing->key[n++] = from[j].key;
		listing->rpm[i].key_count = (uint32_t)(n - listing->rpm[i].key);
	}
	listing->key_count = n;
	return 0;
}

int gathering_finish(struct gathering *gathering, struct koji_listing **ret, struct error *err)
{
	_cleanup_(koji_listing_freep) struct koji_listing *listing = calloc(1, sizeof(*listing));
	int r;

	if (!listing)
		return error_oom(err);
	finish_builds(gathering, listing);
	r = finish_rpms(gathering, listing, err);
	if (r == 0)
		r = finish_keys(gathering, listing, err);
	if (r < 0)
		return r;
	listing->text_bytes = gathering->text.length;
	listing->text = text_steal(&gathering->text);
	if (!listing->text)
		return error_oom(err);
	gathering_done(gathering);
	*ret = steal(listing);
	return 0;
}
