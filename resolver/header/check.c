/* SPDX-License-Identifier: MIT */
/* resolver/header/check.c: the form of a header, before librpm sees it.
 *
 *   magic, reserved │ count │ bytes │ index: count × (tag, type, offset, count) │ data: bytes
 *
 * All numbers are big-endian. Each entry's values must lie inside the data; together they may not
 * be longer than twice the data (rpm lets none overlap, but a region's trailer counts, too), so
 * looking at them all costs no more than reading. */
#include "resolver/header/parts.h"

#include <endian.h>

static const unsigned char magic[4] = { 0x8e, 0xad, 0xe8, 0x01 };

static uint32_t number_at(const unsigned char *bytes)
{
	uint32_t value;

	memcpy(&value, bytes, sizeof(value));
	return be32toh(value);
}

bool blob_intro(const unsigned char *bytes, uint32_t max_tags, uint32_t max_bytes, struct blob *ret)
{
	ret->count = number_at(bytes + 8);
	ret->bytes = number_at(bytes + 12);
	return memcmp(bytes, magic, sizeof(magic)) == 0 && ret->count && ret->count <= max_tags &&
	       ret->bytes && ret->bytes <= max_bytes;
}

struct blob_entry blob_entry(const struct blob *blob, uint32_t index)
{
	const unsigned char *at = blob->index + (size_t)index * ENTRY_BYTES;

	return (struct blob_entry){ number_at(at), number_at(at + 4), number_at(at + 8),
				    number_at(at + 12) };
}

static uint32_t width_of(uint32_t type)
{
	switch (type) {
	case RPM_CHAR_TYPE:
	case RPM_INT8_TYPE:
	case RPM_BIN_TYPE:
		return 1;
	case RPM_INT16_TYPE:
		return 2;
	case RPM_INT32_TYPE:
		return 4;
	case RPM_INT64_TYPE:
		return 8;
	default:
		return 0;
	}
}

/* bytes of an entry's values; 0: they do not fit */
static uint64_t length_of(const struct blob *blob, const struct blob_entry *entry)
{
	uint32_t width = width_of(entry->type);
	const unsigned char *start, *at, *end = blob->data + blob->bytes;

	if (!entry->count || entry->offset >= blob->bytes)
		return 0;
	if (width) {
		uint64_t length = (uint64_t)entry->count * width;

		return entry->offset % width || length > blob->bytes - entry->offset ? 0 : length;
	}
	if (entry->type != RPM_STRING_TYPE && entry->type != RPM_STRING_ARRAY_TYPE &&
	    entry->type != RPM_I18NSTRING_TYPE)
		return 0;
	if (entry->count > (entry->type == RPM_STRING_TYPE ? 1 : HEADER_MAX_COUNT))
		return 0;
	start = at = blob->data + entry->offset;
	for (uint32_t i = 0; i < entry->count; i++, at++) {
		at = at < end ? memchr(at, '\0', (size_t)(end - at)) : NULL;
		if (!at)
			return 0;
	}
	return (uint64_t)(at - start);
}

int blob_check(const struct blob *blob, const char *field, struct error *err)
{
	uint64_t total = 0;

	for (uint32_t i = 0; i < blob->count; i++) {
		struct blob_entry entry = blob_entry(blob, i);
		uint64_t length = length_of(blob, &entry);

		total += length;
		if (!length || total > UINT64_C(2) * blob->bytes)
			return error_set(err, -EBADMSG, BLAME_SOURCE, field,
					 "%s: entry %" PRIu32 " (tag %" PRIu32 ", type %" PRIu32
					 ", %" PRIu32 " values at %" PRIu32
					 ") does not fit into %" PRIu32 " bytes",
					 field, i, entry.tag, entry.type, entry.count, entry.offset,
					 blob->bytes);
	}
	return 0;
}

static const unsigned char *find(const struct blob *blob, uint32_t tag, uint32_t *ret_type,
				 uint32_t *ret_count)
{
	for (uint32_t i = 0; i < blob->count; i++) {
		struct blob_entry entry = blob_entry(blob, i);

		if (entry.tag == tag) {
			*ret_type = entry.type;
			*ret_count = entry.count;
			return blob->data + entry.offset;
		}
	}
	return NULL;
}

bool blob_number(const struct blob *blob, uint32_t tag, uint64_t *ret)
{
	uint32_t type, count;
	const unsigned char *at = find(blob, tag, &type, &count);

	if (!at || count != 1 || (type != RPM_INT32_TYPE && type != RPM_INT64_TYPE))
		return false;
	*ret = number_at(at);
	if (type == RPM_INT64_TYPE)
		*ret = *ret << 32 | number_at(at + 4);
	return true;
}

const unsigned char *blob_bytes(const struct blob *blob, uint32_t tag, uint32_t length)
{
	uint32_t type, count;
	const unsigned char *at = find(blob, tag, &type, &count);

	return at && type == RPM_BIN_TYPE && count == length ? at : NULL;
}
