/* SPDX-License-Identifier: MIT */
/* resolver/snapshot/index.c: facts of packages, judged and kept, while a snapshot is built.
 *
 * What goes in here is later trusted by everybody behind the snapshot: it becomes file names, lines
 * of logs and keys. So words of a package may hold nothing that ends a line or a path, and a
 * location is checked before anything is made of it. */
#include "resolver/snapshot/index.h"

#include "core/model/model.h"

#include <ctype.h>
#include <strings.h>

void index_done(struct index_build *index)
{
	free(index->package);
	free(index->slot);
	free(index->next_same);
	for (int i = 0; i < SNAPSHOT_STREAMS; i++)
		free(index->unplaced[i]);
	free(index->paths.path);
	free(index->paths.slot);
	free(index->paths.owner);
	text_done(&index->strings);
	text_done(&index->paths.bytes);
}

/* ---- judging ---- */

static int refuse(const struct scan_package *package, struct error *err, const char *what)
{
	return error_set(err, -EBADMSG, BLAME_SOURCE, "primary.xml",
			 "package %" PRIu64 " (%.64s): %s", package->number + 1,
			 package->given[SCAN_NAME] ? package->field[SCAN_NAME].data : "", what);
}

static bool is_unprintable(const char *text)
{
	return has_control(text, strlen(text));
}

static int check_words(const struct scan_package *package, struct error *err)
{
	static const struct {
		enum scan_field field;
		const char *missing, *bad;
	} words[] = {
		{ SCAN_NAME, "it has no name", "its name is not one" },
		{ SCAN_VERSION, "it has no version", "its version is not one" },
		{ SCAN_RELEASE, "it has no release", "its release is not one" },
		{ SCAN_ARCH, "it has no arch", "its arch is not one" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		const char *text = package->field[words[i].field].data;

		if (!package->given[words[i].field] || !*text)
			return refuse(package, err, words[i].missing);
		if (is_unprintable(text) || strpbrk(text, "/ "))
			return refuse(package, err, words[i].bad);
	}
	if (package->given[SCAN_SOURCERPM] &&
	    (is_unprintable(package->field[SCAN_SOURCERPM].data) ||
	     strchr(package->field[SCAN_SOURCERPM].data, '/')))
		return refuse(package, err, "its sourcerpm is not a file name");
	return 0;
}

/* Digits of the types that rpm knows; what others need is left to libsolv. */
static bool checksum_fits(const char *type, const char *checksum)
{
	static const struct {
		const char *type;
		size_t digits;
	} known[] = { { "md5", 32 },	{ "sha", 40 },	  { "sha1", 40 },   { "sha224", 56 },
		      { "sha256", 64 }, { "sha384", 96 }, { "sha512", 128 } };

	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (strcasecmp(type, known[i].type) == 0)
			return strlen(checksum) == known[i].digits;
	return true;
}

static int check_places(const struct scan_package *package, struct error *err)
{
	const char *checksum = package->field[SCAN_CHECKSUM].data;
	const char *type = package->field[SCAN_CHECKSUM_TYPE].data;

	if (!package->given[SCAN_CHECKSUM] || !*checksum ||
	    strlen(checksum) >= DIGEST_MAX_HEX_SIZE ||
	    checksum[strspn(checksum, "0123456789abcdefABCDEF")])
		return refuse(package, err, "it has no checksum with pkgid=\"YES\"");
	if (!package->given[SCAN_CHECKSUM_TYPE] || !*type || strlen(type) > 16 ||
	    type[strspn(type, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-")])
		return refuse(package, err, "its checksum has no type");
	if (!checksum_fits(type, checksum))
		return refuse(package, err, "its checksum is not one of its type");
	if (!package->given[SCAN_HREF] || !package->location_end)
		return refuse(package, err, "it has no location");
	if (package->given[SCAN_BASE] && is_unprintable(package->field[SCAN_BASE].data))
		return refuse(package, err, "xml:base of its location is not a URL");
	if (location_check(package->field[SCAN_HREF].data, "primary.xml", err) < 0)
		return error_prefix(err, "package %" PRIu64 " (%.64s)", package->number + 1,
				    package->field[SCAN_NAME].data);
	return 0;
}

static int read_number(const struct scan_package *package, enum scan_field field, int64_t least,
		       int64_t most, int64_t *ret)
{
	const char *text = package->field[field].data;

	*ret = 0;
	if (!package->given[field] || !*text)
		return 0;
	return parse_int64(text, ret) < 0 || *ret < least || *ret > most ? -EBADMSG : 0;
}

static int read_numbers(const struct scan_package *package, struct index_package *record,
			struct error *err)
{
	int64_t number;

	if (read_number(package, SCAN_EPOCH, 0, UINT32_MAX, &number) < 0)
		return refuse(package, err, "its epoch is not a number");
	record->epoch = (uint32_t)number;
	if (read_number(package, SCAN_SIZE, 0, SNAPSHOT_MAX_PACKAGE - 1, &number) < 0)
		return refuse(package, err, "its size is no number of bytes that a package has");
	record->size = (uint64_t)number;
	if (read_number(package, SCAN_TIME, 0, INT64_MAX, &number) < 0)
		return refuse(package, err, "its file time is not a time");
	record->time_file = number;
	return 0;
}

/* ---- keeping ---- */

/* Into the strings, unless it is "" or what @before says, too (the previous package's word). */
static uint32_t keep(struct index_build *index, const struct scan_package *package,
		     enum scan_field field, uint32_t before, bool lower)
{
	struct text *strings = &index->strings;
	const struct text *text = &package->field[field];
	uint32_t at = (uint32_t)strings->length;

	if (!package->given[field] || !text->length)
		return 0;
	if (before && strcmp(strings->data + before, text->data) == 0)
		return before;
	if (text_add(strings, text->data, text->length + 1) == 0 && lower)
		for (char *c = strings->data + at; *c; c++)
			*c = (char)tolower((uint8_t)*c);
	return at;
}

static int make_room(struct index_build *index, const struct scan_package *package,
		     struct error *err)
{
	uint32_t room = index->room ? index->room * 2 : 1024;
	struct index_package *grown;

	if (index->count == SNAPSHOT_MAX_PACKAGES)
		return error_set(err, -EBADMSG, BLAME_SOURCE, "primary.xml",
				 "more than %u packages", SNAPSHOT_MAX_PACKAGES);
	if (index->strings.length > SNAPSHOT_MAX_STRINGS)
		return refuse(package, err, "names and locations up to here are too long together");
	if (!index->strings.length && text_add(&index->strings, "", 1) < 0)
		return error_oom(err);
	if (index->count < index->room)
		return 0;
	grown = reallocarray(index->package, room, sizeof(*grown));
	if (!grown)
		return error_oom(err);
	index->package = grown;
	index->room = room;
	return 0;
}

int index_add(struct index_build *index, const struct scan_package *package, struct error *err)
{
	struct index_package record = { 0 }, before = { 0 };
	const char *arch = package->field[SCAN_ARCH].data;
	int r;

	r = check_words(package, err);
	if (r == 0)
		r = check_places(package, err);
	if (r == 0)
		r = read_numbers(package, &record, err);
	if (r == 0)
		r = make_room(index, package, err);
	if (r < 0)
		return r;
	if (index->count)
		before = index->package[index->count - 1];
	for (int i = 0; i < SNAPSHOT_STREAMS; i++)
		record.start[i] = INDEX_NO_PLACE;
	record.start[SNAPSHOT_PRIMARY] = package->start;
	record.length[SNAPSHOT_PRIMARY] = (uint32_t)(package->end - package->start);
	record.location = (uint32_t)(package->location - package->start);
	record.location_length = (uint32_t)(package->location_end - package->location);
	record.name = keep(index, package, SCAN_NAME, before.name, false);
	record.version = keep(index, package, SCAN_VERSION, before.version, false);
	record.release = keep(index, package, SCAN_RELEASE, before.release, false);
	record.arch = keep(index, package, SCAN_ARCH, before.arch, false);
	record.href = keep(index, package, SCAN_HREF, 0, false);
	record.base = keep(index, package, SCAN_BASE, before.base, false);
	record.sourcerpm = keep(index, package, SCAN_SOURCERPM, before.sourcerpm, false);
	record.checksum_type = keep(index, package, SCAN_CHECKSUM_TYPE, before.checksum_type, true);
	record.checksum = keep(index, package, SCAN_CHECKSUM, before.checksum, true);
	if (strcmp(arch, "src") == 0 || strcmp(arch, "nosrc") == 0)
		record.flags |= INDEX_SOURCE;
	if (package_is_debug(package->field[SCAN_NAME].data))
		record.flags |= INDEX_DEBUG;
	if (index->strings.failed)
		return error_oom(err);
	index->package[index->count++] = record;
	return 0;
}

/* ---- packages by checksum ---- */

static const char *checksum_of(const struct index_build *index, uint32_t i)
{
	return index->strings.data + index->package[i].checksum;
}

/* The slot of @checksum: the package in it has that one, or it is free. */
static uint32_t *find_slot(const struct index_build *index, const char *checksum)
{
	uint64_t at = index_hash(index->seed, checksum, strlen(checksum));

	for (;; at++) {
		uint32_t *slot = &index->slot[at & (index->slots - 1)];

		if (*slot == INDEX_NO_PACKAGE || strcmp(checksum_of(index, *slot), checksum) == 0)
			return slot;
	}
}

int index_close_primary(struct index_build *index, struct error *err)
{
	uint32_t slots = 16;

	while (slots < index->count * 2)
		slots *= 2;
	index->slots = slots;
	index->slot = malloc(slots * sizeof(*index->slot));
	index->next_same = malloc((index->count + 1) * sizeof(*index->next_same));
	if (!index->slot || !index->next_same)
		return error_oom(err);
	for (int i = SNAPSHOT_FILELISTS; i < SNAPSHOT_STREAMS; i++) {
		index->unplaced[i] = malloc((index->count + 1) * sizeof(uint32_t));
		if (!index->unplaced[i])
			return error_oom(err);
		for (uint32_t k = 0; k < index->count; k++)
			index->unplaced[i][k] = k;
	}
	memset(index->slot, 0xff, slots * sizeof(*index->slot));
	for (uint32_t i = index->count; i-- > 0;) { /* backwards: chains start with the first */
		uint32_t *slot = find_slot(index, checksum_of(index, i));

		index->duplicates += *slot != INDEX_NO_PACKAGE;
		index->next_same[i] = *slot;
		*slot = i;
	}
	return 0;
}

static uint32_t first_with(const struct index_build *index, const struct scan_package *package)
{
	const struct text *pkgid = &package->field[SCAN_PKGID];
	char checksum[DIGEST_MAX_HEX_SIZE];

	if (!package->given[SCAN_PKGID] || pkgid->length >= sizeof(checksum))
		return INDEX_NO_PACKAGE;
	for (size_t i = 0; i <= pkgid->length; i++)
		checksum[i] = (char)tolower((uint8_t)pkgid->data[i]);
	return *find_slot(index, checksum);
}

int index_place(struct index_build *index, enum snapshot_stream stream,
		const struct scan_package *package, struct error *err)
{
	uint32_t first = first_with(index, package), i;

	if (first == INDEX_NO_PACKAGE) {
		index->unknown[stream]++;
		return 0;
	}
	/* the n-th element with a checksum belongs to the n-th package with it */
	i = index->unplaced[stream][first];
	if (i != INDEX_NO_PACKAGE) {
		index->package[i].start[stream] = package->start;
		index->package[i].length[stream] = (uint32_t)(package->end - package->start);
		index->unplaced[stream][first] = index->next_same[i];
	}
	return 0;
}

uint32_t index_share(struct index_build *index, enum snapshot_stream stream)
{
	uint32_t without = 0;

	for (uint32_t i = 0; i < index->count; i++) {
		const struct index_package *from = &index->package[i];
		struct index_package *to;
		uint32_t same = index->next_same[i];

		without += from->start[stream] == INDEX_NO_PLACE;
		if (same == INDEX_NO_PACKAGE || from->start[stream] == INDEX_NO_PLACE)
			continue;
		to = &index->package[same];
		if (to->start[stream] == INDEX_NO_PLACE) {
			to->start[stream] = from->start[stream];
			to->length[stream] = from->length[stream];
		}
	}
	return without;
}

/* ---- required paths ---- */

static uint32_t *path_slot(const struct index_build *index, const char *path, size_t length)
{
	const struct path_set *set = &index->paths;
	uint64_t at = index_hash(index->seed, path, length);

	for (;; at++) {
		uint32_t *slot = &set->slot[at & (set->slots - 1)];

		if (!*slot || strcmp(set->bytes.data + set->path[*slot - 1], path) == 0)
			return slot;
	}
}

static int path_set_grow(struct index_build *index)
{
	struct path_set *set = &index->paths;
	uint32_t slots = set->slots ? set->slots * 2 : 1024, *slot, *path;

	path = reallocarray(set->path, slots / 2, sizeof(*path));
	if (path)
		set->path = path;
	slot = calloc(slots, sizeof(*slot));
	if (!path || !slot) {
		free(slot);
		return -ENOMEM;
	}
	free(set->slot);
	set->slot = slot;
	set->slots = slots;
	for (uint32_t i = 0; i < set->count; i++) {
		const char *string = set->bytes.data + set->path[i];

		*path_slot(index, string, strlen(string)) = i + 1;
	}
	return 0;
}

int index_require(struct index_build *index, const char *path, struct error *err)
{
	struct path_set *set = &index->paths;
	size_t length = strlen(path);
	uint32_t *slot;

	if (set->count == set->slots / 2 && path_set_grow(index) < 0)
		return error_oom(err);
	slot = path_slot(index, path, length);
	if (*slot)
		return 0;
	if (set->bytes.length + length >= SNAPSHOT_MAX_PATHS) {
		set->full = true;
		return 0;
	}
	set->path[set->count] = (uint32_t)set->bytes.length;
	if (text_add(&set->bytes, path, length + 1) < 0)
		return error_oom(err);
	*slot = ++set->count;
	return 0;
}

static int add_owner(struct path_set *set, uint32_t path, uint32_t package, struct error *err)
{
	struct index_owner *owner;

	if (set->owner_count == SNAPSHOT_MAX_OWNERS) {
		set->full = true;
		return 0;
	}
	if (set->owner_count == set->owner_room) {
		uint32_t room = set->owner_room ? set->owner_room * 2 : 256;

		owner = reallocarray(set->owner, room, sizeof(*owner));
		if (!owner)
			return error_oom(err);
		set->owner = owner;
		set->owner_room = room;
	}
	set->owner[set->owner_count++] = (struct index_owner){ path, package };
	return 0;
}

int index_own(struct index_build *index, const struct scan_package *package, const char *path,
	      struct error *err)
{
	struct path_set *set = &index->paths;
	uint32_t *slot = set->count ? path_slot(index, path, strlen(path)) : NULL;
	int r = 0;

	if (!slot || !*slot)
		return 0;
	for (uint32_t i = first_with(index, package); r == 0 && !set->full && i != INDEX_NO_PACKAGE;
	     i = index->next_same[i])
		r = add_owner(set, *slot - 1, i, err);
	return r;
}
