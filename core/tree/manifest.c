/* SPDX-License-Identifier: MIT */
/* core/tree/manifest.c: is a manifest sound, and how a name is found in it.
 *
 * Every byte is taken for hostile until tree_check_bytes() has seen it; what it accepts can be
 * walked without any further bounds check, and no accepted name, path or string leaves its place.
 * The check is one pass, linear in the length of the file. */
#include "core/tree/private.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/mman.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "manifests are little endian");

#define MANIFEST_MAX_STRING (64 * 1024) /* bytes of one NEVRA, reason, checksum or URL */
#define MANIFEST_MAX_SCAN                                                                          \
	(UINT64_C(16) << 30) /* bytes of shared strings looked at in one check                     \
			      */

/** struct check - a check under way, at record @index */
struct check {
	const struct manifest *manifest;
	uint64_t strings_size;
	uint64_t scanned;
	uint64_t base;	     /* offset of the last one seen to be right, */
	uint16_t base_flags; /* of a record with these flags */
	uint32_t index;
	struct error *err;
};

static int bad(const struct check *check, const char *words)
{
	return error_set(check->err, -EBADMSG, BLAME_US, NULL, "manifest: record %" PRIu32 ": %s",
			 check->index, words);
}

static int check_header(const void *bytes, size_t length, struct error *err)
{
	const struct manifest_header *header = bytes;
	const char *words = NULL;

	if (length < sizeof(*header) ||
	    memcmp(header->magic, MANIFEST_MAGIC, sizeof(header->magic)))
		words = "not a manifest";
	else if (header->record_size != sizeof(struct manifest_record))
		words = "records of another size";
	else if (length > MANIFEST_MAX_BYTES || header->file_size != length)
		words = "length is not the one in its header";
	else if (!header->record_count || header->record_count > MANIFEST_MAX_RECORDS)
		words = "number of records out of bounds";
	else if (header->strings_offset !=
		 sizeof(*header) + (uint64_t)header->record_count * sizeof(struct manifest_record))
		words = "strings are not where they belong";
	else if (header->strings_offset >= length ||
		 header->strings_size != length - header->strings_offset)
		words = "strings do not end with the file";
	else if (((const char *)bytes)[header->strings_offset] || ((const char *)bytes)[length - 1])
		words = "strings do not begin and end with NUL";
	else if (header->reserved[0] || header->reserved[1])
		words = "reserved fields in use";
	return words ? error_set(err, -EBADMSG, BLAME_US, NULL, "manifest: %s", words) : 0;
}

static void view(struct manifest *manifest, const void *bytes, size_t length)
{
	manifest->header = bytes;
	manifest->record = (const struct manifest_record *)(manifest->header + 1);
	manifest->strings = (const char *)bytes + manifest->header->strings_offset;
	manifest->count = manifest->header->record_count;
	manifest->length = length;
}

static int check_name(const struct check *check, const struct manifest_record *record)
{
	const char *name = check->manifest->strings + record->name;
	size_t length = record->name_length;

	if ((uint64_t)record->name + length >= check->strings_size || name[length])
		return bad(check, "name outside the strings");
	if (!check->index)
		return length || record->name ? bad(check, "the root has a name") : 0;
	if (!length || length > MANIFEST_MAX_NAME)
		return bad(check, "name empty or too long");
	if (!strcmp(name, ".") || !strcmp(name, ".."))
		return bad(check, "named . or ..");
	if (memchr(name, '/', length) || has_control(name, length))
		return bad(check, "slash or control character in its name");
	return 0;
}

static int compare_names(const char *a, size_t a_length, const char *b, size_t b_length)
{
	int r = memcmp(a, b, a_length < b_length ? a_length : b_length);

	return r ? r : (a_length > b_length) - (a_length < b_length);
}

/* The record before is the sibling before, unless this is the first child. */
static int check_order(const struct check *check, const struct manifest_record *record)
{
	const struct manifest_record *before = record - 1;
	const struct manifest *manifest = check->manifest;

	if (!check->index || check->index == manifest->record[record->parent].first)
		return 0;
	if (compare_names(manifest->strings + before->name, before->name_length,
			  manifest->strings + record->name, record->name_length) >= 0)
		return bad(check, "names not sorted, or one twice");
	return 0;
}

/* A NUL-terminated string at *offset of at most @limit bytes; *offset moves behind it. */
static int check_string(struct check *check, uint64_t *offset, size_t limit)
{
	uint64_t rest;
	size_t length;

	if (*offset >= check->strings_size)
		return bad(check, "string outside the strings");
	rest = check->strings_size - *offset;
	length = strnlen(check->manifest->strings + *offset, rest < limit ? rest : limit);
	if (length == limit)
		return bad(check, "string too long");
	check->scanned += length + 1;
	if (check->scanned > MANIFEST_MAX_SCAN)
		return bad(check, "too many long strings");
	*offset += length + 1;
	return 0;
}

/* An absolute path as realpath(3) gives it. */
static bool base_is_path(const char *base)
{
	if (base[0] != '/' || has_control(base, strlen(base)))
		return false;
	for (const char *part = base + 1; base[1];) {
		const char *end = strchrnul(part, '/');
		size_t length = (size_t)(end - part);

		if (!length || (length == 1 && part[0] == '.') ||
		    (length == 2 && part[0] == '.' && part[1] == '.'))
			return false;
		if (!*end)
			break;
		part = end + 1;
	}
	return true;
}

static bool base_is_url(const char *base)
{
	if (url_kind(base, NULL) == URL_NONE || url_kind(base, NULL) == URL_NAMED)
		return false;
	return !strchr(base, ' ') && !has_control(base, strlen(base));
}

/* The packages of one repository have one base, which is one string: looked at once. */
static int check_base(struct check *check, const struct manifest_record *record)
{
	const char *base = check->manifest->strings + record->count;
	uint64_t offset = record->count;
	int r;

	if (record->count == check->base && record->flags == check->base_flags)
		return 0;
	r = check_string(check, &offset, PATH_MAX);
	if (r < 0)
		return r;
	if (record->flags & MANIFEST_REMOTE ? !base_is_url(base) : !base_is_path(base))
		return bad(check, "base is no absolute path, or no URL");
	check->base = record->count;
	check->base_flags = record->flags;
	return 0;
}

static int check_package(struct check *check, const struct manifest_record *record)
{
	const char *strings = check->manifest->strings, *checksum = NULL;
	uint64_t path = record->first, detail = record->detail;
	char hex[DIGEST_HEX_SIZE];
	int r = 0;

	if (record->flags & ~(MANIFEST_SHA256 | MANIFEST_REMOTE))
		return bad(check, "unknown flags");
	if (record->flags == MANIFEST_REMOTE)
		return bad(check, "remote package without SHA-256");
	if ((r = check_string(check, &path, PATH_MAX)) < 0)
		return r;
	if (location_check(strings + record->first, NULL, NULL) < 0)
		return bad(check, "path leads out of its repository");
	r = check_base(check, record);
	for (int i = 0; r == 0 && i < 4; i++) {
		checksum = i == 2 ? strings + detail : checksum;
		r = check_string(check, &detail, MANIFEST_MAX_STRING);
	}
	if (r < 0)
		return r;
	if (record->flags & MANIFEST_SHA256 && !strncmp(checksum, "sha256:", 7)) {
		hex_print(record->digest, DIGEST_SIZE, hex);
		if (strcmp(checksum + 7, hex) != 0)
			return bad(check, "digest and checksum differ");
	}
	return 0;
}

static bool is_zero(const uint8_t *bytes, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if (bytes[i])
			return false;
	return true;
}

static int check_record(struct check *check, const struct manifest_record *record)
{
	bool package = record->type == MANIFEST_PACKAGE;
	int r;

	if (record->type < MANIFEST_DIRECTORY || record->type > MANIFEST_MODULES_JSON)
		return bad(check, "unknown type");
	if (record->size >= MANIFEST_MAX_SIZE)
		return bad(check, "size out of bounds");
	if (!package && (record->flags || record->mtime || record->detail ||
			 record->source_mtime_ns || record->source_ino))
		return bad(check, "fields of a package in use");
	if (record->type == MANIFEST_DIRECTORY && record->size)
		return bad(check, "directory with a size");
	if ((record->type == MANIFEST_DIRECTORY ||
	     (package && !(record->flags & MANIFEST_SHA256))) &&
	    !is_zero(record->digest, sizeof(record->digest)))
		return bad(check, "digest where none belongs");
	r = check_name(check, record);
	if (r == 0)
		r = check_order(check, record);
	return r == 0 && package ? check_package(check, record) : r;
}

/* Children lie where the ones of the directory before ended, and all call it their parent. */
static int check_children(const struct check *check, const struct manifest_record *record,
			  uint32_t *next)
{
	const struct manifest *manifest = check->manifest;

	if (!record->count)
		return 0;
	if (record->first != *next || record->count > manifest->count - *next)
		return bad(check, "children are not where they belong");
	for (uint32_t i = *next; i < *next + record->count; i++)
		if (manifest->record[i].parent != check->index)
			return bad(check, "a child has another parent");
	*next += record->count;
	return 0;
}

static void find_overlaid(struct manifest *manifest)
{
	manifest->overlaid[OVERLAY_ROOT] = 0;
	for (uint32_t i = OVERLAY_ROOT + 1; i < OVERLAY_COUNT; i++) {
		uint32_t parent = manifest->overlaid[overlay_entries[i].parent];
		uint32_t record = MANIFEST_NONE;

		if (overlay_entries[i].directory && parent != MANIFEST_NONE)
			record = manifest_find(manifest, parent, overlay_entries[i].name,
					       strlen(overlay_entries[i].name));
		if (record != MANIFEST_NONE && manifest->record[record].type != MANIFEST_DIRECTORY)
			record = MANIFEST_NONE;
		manifest->overlaid[i] = record;
	}
}

/* Where the overlay has a name of its own the manifest may have the same directory, but nothing
 * else: so no node is ever hidden, and the children of both only need to be added up. */
static int check_overlay(struct check *check, struct manifest *manifest)
{
	uint32_t temporary;

	find_overlaid(manifest);
	for (uint32_t i = OVERLAY_ROOT + 1; i < OVERLAY_COUNT; i++) {
		uint32_t parent = manifest->overlaid[overlay_entries[i].parent];
		const char *name = overlay_entries[i].name;

		if (parent == MANIFEST_NONE || !name)
			continue;
		check->index = manifest_find(manifest, parent, name, strlen(name));
		if (check->index != MANIFEST_NONE && check->index != manifest->overlaid[i])
			return bad(check, "a name that the service uses itself");
	}
	temporary = manifest->overlaid[OVERLAY_TEMPORARY];
	for (uint32_t i = 0; temporary != MANIFEST_NONE && i < manifest->record[temporary].count;
	     i++) {
		const char *name;
		size_t length;

		check->index = manifest->record[temporary].first + i;
		name = manifest_name(manifest, check->index);
		length = manifest->record[check->index].name_length;
		if (!strncmp(name, "odcs-", 5) && length > 5 && !strcmp(name + length - 5, ".repo"))
			return bad(check, "a name that the service uses itself");
	}
	return 0;
}

static int check_aligned(const void *bytes, size_t length, struct error *err)
{
	struct manifest manifest = { 0 };
	struct check check = { .manifest = &manifest, .base = UINT64_MAX, .err = err };
	uint32_t next = 1, level_end = 1, depth = 0;
	int r = check_header(bytes, length, err);

	if (r < 0)
		return r;
	view(&manifest, bytes, length);
	check.strings_size = manifest.header->strings_size;
	for (uint32_t i = 0; i < manifest.count; i++) {
		const struct manifest_record *record = &manifest.record[i];

		check.index = i;
		if (i == level_end) {
			depth++;
			level_end = next;
		}
		if (i >= next)
			return bad(&check, "in no directory");
		if (depth > MANIFEST_MAX_DEPTH)
			return bad(&check, "too deep");
		if (!i && (record->type != MANIFEST_DIRECTORY || record->parent))
			return bad(&check, "the root is no root");
		r = check_record(&check, record);
		if (r == 0 && record->type == MANIFEST_DIRECTORY)
			r = check_children(&check, record, &next);
		if (r < 0)
			return r;
	}
	return check_overlay(&check, &manifest);
}

int tree_check_bytes(const void *bytes, size_t length, struct error *err)
{
	_cleanup_(freep) void *copy = NULL;

	if ((uintptr_t)bytes % _Alignof(struct manifest_header)) {
		copy = malloc(length ? length : 1);
		if (!copy)
			return error_oom(err);
		memcpy(copy, bytes, length);
		bytes = copy;
	}
	return check_aligned(bytes, length, err);
}

struct manifest *manifest_over(const void *bytes, size_t length)
{
	_cleanup_(manifest_freep) struct manifest *manifest = calloc(1, sizeof(*manifest));

	if (!manifest)
		return NULL;
	view(manifest, bytes, length);
	manifest->directories = calloc((manifest->count + 63) / 64, sizeof(*manifest->directories));
	if (!manifest->directories)
		return NULL;
	for (uint32_t i = 0; i < manifest->count; i++)
		if (manifest->record[i].type == MANIFEST_DIRECTORY)
			manifest->directories[i / 64] |= UINT64_C(1) << i % 64;
	find_overlaid(manifest);
	return steal(manifest);
}

int manifest_map(int fd, struct manifest **ret, struct error *err)
{
	struct manifest *manifest;
	struct stat st;
	void *bytes;
	int r;

	if (fstat(fd, &st) < 0)
		return error_errno(err, -errno, "manifest");
	if (!S_ISREG(st.st_mode) || st.st_size < (off_t)sizeof(struct manifest_header) ||
	    (uint64_t)st.st_size > MANIFEST_MAX_BYTES)
		return error_set(err, -EBADMSG, BLAME_US, NULL, "manifest: not a manifest");
	bytes = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
	if (bytes == MAP_FAILED)
		return error_errno(err, -errno, "manifest");
	r = check_aligned(bytes, (size_t)st.st_size, err);
	manifest = r == 0 ? manifest_over(bytes, (size_t)st.st_size) : NULL;
	if (!manifest) {
		(void)munmap(bytes, (size_t)st.st_size);
		return r < 0 ? r : error_oom(err);
	}
	manifest->mapped = true;
	*ret = manifest;
	return 0;
}

void manifest_free(struct manifest *manifest)
{
	if (!manifest)
		return;
	if (manifest->mapped)
		(void)munmap((void *)(uintptr_t)manifest->header, manifest->length);
	free(manifest->directories);
	free(manifest);
}

uint32_t manifest_find(const struct manifest *manifest, uint32_t directory, const char *name,
		       size_t length)
{
	uint32_t low = manifest->record[directory].first;
	uint32_t high = low + manifest->record[directory].count;

	if (!manifest->record[directory].count)
		return MANIFEST_NONE;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		const struct manifest_record *record = &manifest->record[middle];
		int r = compare_names(name, length, manifest->strings + record->name,
				      record->name_length);

		if (r == 0)
			return middle;
		if (r < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return MANIFEST_NONE;
}

uint32_t manifest_subdirectories(const struct manifest *manifest, uint32_t directory)
{
	uint32_t at = manifest->record[directory].first, count = 0;
	uint32_t end = at + manifest->record[directory].count;

	while (at < end) {
		uint32_t bits = 64 - at % 64 < end - at ? 64 - at % 64 : end - at;
		uint64_t word = manifest->directories[at / 64] >> at % 64;

		if (bits < 64)
			word &= (UINT64_C(1) << bits) - 1;
		count += (uint32_t)__builtin_popcountll(word);
		at += bits;
	}
	return count;
}
