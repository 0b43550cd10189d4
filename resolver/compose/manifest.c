/* SPDX-License-Identifier: MIT */
/* resolver/compose/manifest.c: writes the bytes described in core/tree/manifest.h.
 *
 * Nodes are added in any order below directories that exist; numbering them breadth first comes
 * last. The layout of the strings follows the order of additions, which the caller keeps the same
 * for equal composes. Each string is stored once. */
#include "resolver/compose/parts.h"

#define REASON_MAX_SIZE (16 * 1024) /* bytes of a reason that are kept */

/* A node is its future record; until manifest_writer_finish(), parent is the node's number here. */
struct manifest_writer {
	struct manifest_record *node;
	size_t count, room;
	struct text strings;
	struct slot {
		uint32_t offset; /* into strings; 0: free */
		uint32_t hash;
	} * slot; /* a power of two of them, at most half full */
	size_t slot_count, slot_used;
	uint64_t bytes;
	struct text scratch;
};

static int out_of_room(struct error *err)
{
	return error_set(err, -EFBIG, BLAME_US, NULL,
			 "the compose has more files than a tree can hold");
}

/* ---- strings ----------------------------------------------------------- */

static uint32_t hash_bytes(const char *bytes, size_t length)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325); /* FNV-1a */

	for (size_t i = 0; i < length; i++)
		hash = (hash ^ (uint8_t)bytes[i]) * UINT64_C(0x100000001b3);
	return (uint32_t)(hash ^ hash >> 32);
}

static int slots_grow(struct manifest_writer *writer)
{
	size_t count = writer->slot_count ? writer->slot_count * 2 : 1024;
	struct slot *slot = calloc(count, sizeof(*slot));

	if (!slot)
		return -ENOMEM;
	for (size_t i = 0; i < writer->slot_count; i++) {
		size_t at = writer->slot[i].hash & (count - 1);

		if (!writer->slot[i].offset)
			continue;
		while (slot[at].offset)
			at = (at + 1) & (count - 1);
		slot[at] = writer->slot[i];
	}
	free(writer->slot);
	writer->slot = slot;
	writer->slot_count = count;
	return 0;
}

/* Offset of @length bytes and a NUL; the bytes may hold NULs themselves (strings in a row). */
static int put_string(struct manifest_writer *writer, const char *bytes, size_t length,
		      uint32_t *ret, struct error *err)
{
	struct text *strings = &writer->strings;
	uint32_t hash;
	size_t at;

	if (!length) {
		*ret = 0;
		return 0;
	}
	if (writer->slot_used * 2 >= writer->slot_count && slots_grow(writer) < 0)
		return error_oom(err);
	hash = hash_bytes(bytes, length);
	for (at = hash & (writer->slot_count - 1); writer->slot[at].offset;
	     at = (at + 1) & (writer->slot_count - 1)) {
		const struct slot *slot = &writer->slot[at];

		if (slot->hash == hash && strings->length - slot->offset > length &&
		    !memcmp(strings->data + slot->offset, bytes, length) &&
		    !strings->data[slot->offset + length]) {
			*ret = slot->offset;
			return 0;
		}
	}
	if (length >= UINT32_MAX - strings->length)
		return out_of_room(err);
	writer->slot[at] = (struct slot){ .offset = (uint32_t)strings->length, .hash = hash };
	writer->slot_used++;
	*ret = (uint32_t)strings->length;
	if (text_add(strings, bytes, length) < 0 || text_add(strings, "", 1) < 0)
		return error_oom(err);
	return 0;
}

/* ---- nodes ------------------------------------------------------------- */

static int add_node(struct manifest_writer *writer, const struct manifest_record *record,
		    uint32_t *ret, struct error *err)
{
	if (writer->count >= MANIFEST_MAX_RECORDS)
		return out_of_room(err);
	if (writer->count == writer->room) {
		size_t room = writer->room ? writer->room * 2 : 512;
		struct manifest_record *node = reallocarray(writer->node, room, sizeof(*node));

		if (!node)
			return error_oom(err);
		writer->node = node;
		writer->room = room;
	}
	if (ret)
		*ret = (uint32_t)writer->count;
	writer->node[writer->count++] = *record;
	writer->bytes += record->size;
	return 0;
}

static int put_name(struct manifest_writer *writer, struct manifest_record *record,
		    const char *name, size_t length, struct error *err)
{
	if (!length || length > MANIFEST_MAX_NAME)
		return error_set(err, -EBADMSG, BLAME_SOURCE, NULL,
				 "a file name of %zu bytes cannot be shown: %.64s", length, name);
	record->name_length = (uint16_t)length;
	return put_string(writer, name, length, &record->name, err);
}

int manifest_writer_new(struct manifest_writer **ret, struct error *err)
{
	_cleanup_(manifest_writer_freep) struct manifest_writer *writer =
		calloc(1, sizeof(*writer));
	struct manifest_record root = { .type = MANIFEST_DIRECTORY };

	if (!writer || text_add(&writer->strings, "", 1) < 0)
		return error_oom(err);
	if (add_node(writer, &root, NULL, err) < 0)
		return -ENOMEM;
	*ret = steal(writer);
	return 0;
}

void manifest_writer_free(struct manifest_writer *writer)
{
	if (!writer)
		return;
	free(writer->node);
	free(writer->slot);
	text_done(&writer->strings);
	text_done(&writer->scratch);
	free(writer);
}

static int one_directory(struct manifest_writer *writer, uint32_t parent, const char *name,
			 size_t length, uint32_t *ret, struct error *err)
{
	struct manifest_record record = { .type = MANIFEST_DIRECTORY, .parent = parent };
	int r = put_name(writer, &record, name, length, err);

	if (r < 0)
		return r;
	/* from the end: a directory is mostly asked for while it is being filled */
	for (size_t i = writer->count; i-- > 1;) {
		const struct manifest_record *node = &writer->node[i];

		if (node->parent == parent && node->name == record.name &&
		    node->type == MANIFEST_DIRECTORY) {
			*ret = (uint32_t)i;
			return 0;
		}
	}
	return add_node(writer, &record, ret, err);
}

int manifest_writer_directory(struct manifest_writer *writer, uint32_t parent, const char *path,
			      uint32_t *ret, struct error *err)
{
	for (;;) {
		const char *end = strchrnul(path, '/');
		int r = one_directory(writer, parent, path, (size_t)(end - path), &parent, err);

		if (r < 0)
			return r;
		if (!*end)
			break;
		path = end + 1;
	}
	*ret = parent;
	return 0;
}

int manifest_writer_blob(struct manifest_writer *writer, uint32_t directory, const char *name,
			 enum manifest_type type, const struct blob *blob, struct error *err)
{
	struct manifest_record record = {
		.parent = directory,
		.size = blob->size,
		.type = (uint8_t)type,
	};
	int r = put_name(writer, &record, name, strlen(name), err);

	if (r < 0)
		return r;
	memcpy(record.digest, blob->digest, sizeof(record.digest));
	return add_node(writer, &record, NULL, err);
}

/* ---- packages ---------------------------------------------------------- */

/* RFC 3986's unreserved characters and "/" stay; "+" is among the others since many read it as a
 * blank */
static void add_percent(struct text *text, const char *path)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				    "0123456789-._~/";

	while (*path) {
		size_t length = strspn(path, plain);

		(void)text_add(text, path, length);
		path += length;
		if (*path)
			(void)text_addf(text, "%%%02X", (unsigned char)*path++);
	}
}

/* Of a list of mirrors it is the list's own, with the path as a fragment; what a query says, which
 * may be a secret, stands nowhere where it is read by all. */
static void add_origin(struct text *text, const char *base, const char *path)
{
	enum url_kind kind = url_kind(base, &base);

	(void)text_add(text, base, strcspn(base, "?"));
	if (kind == URL_BASE && text->length && text->data[text->length - 1] != '/')
		(void)text_adds(text, "/");
	if (kind != URL_BASE)
		(void)text_adds(text, "#");
	add_percent(text, path);
}

/* NEVRA, reason, "TYPE:HEX" and URL, one after the other. */
static int put_detail(struct manifest_writer *writer, const struct item *item,
		      struct manifest_record *record, struct error *err)
{
	const struct composer_package *package = item->package;
	struct text *text = &writer->scratch;
	char hex[DIGEST_HEX_SIZE];
	size_t reason;

	text_clear(text);
	(void)text_adds(text, item->nevra);
	(void)text_add(text, "", 1);
	reason = text->length;
	line_adds(text, package->reason ? package->reason : "");
	if (text->length > reason + REASON_MAX_SIZE)
		text->length = reason + REASON_MAX_SIZE;
	(void)text_add(text, "", 1);
	hex_print(record->digest, sizeof(record->digest), hex);
	(void)text_addf(text, "%s:%s", item->about.checksum_type,
			record->flags & MANIFEST_SHA256 ? hex : item->about.checksum);
	(void)text_add(text, "", 1);
	if (record->flags & MANIFEST_REMOTE) {
		add_origin(text, package->base, package->path);
	} else {
		(void)text_adds(text, "file://");
		add_percent(text, package->base);
		if (text->data && text->data[text->length - 1] != '/')
			(void)text_adds(text, "/");
		add_percent(text, package->path);
	}
	if (text->failed)
		return error_oom(err);
	return put_string(writer, text->data, text->length, &record->detail, err);
}

int manifest_writer_package(struct manifest_writer *writer, uint32_t directory,
			    const struct item *item, struct error *err)
{
	const struct composer_package *package = item->package;
	struct manifest_record record = {
		.parent = directory,
		.size = item->about.size,
		.mtime = item->about.time_file,
		.type = MANIFEST_PACKAGE,
		.flags = strstr(package->base, "://") ? MANIFEST_REMOTE : 0,
		.source_mtime_ns = package->mtime_ns,
		.source_ino = package->ino,
	};
	int r = put_string(writer, package->path, strlen(package->path), &record.first, err);

	if (!strcmp(item->about.checksum_type, "sha256") &&
	    strlen(item->about.checksum) == DIGEST_HEX_SIZE - 1 &&
	    hex_parse(item->about.checksum, record.digest, sizeof(record.digest)) == 0)
		record.flags |= MANIFEST_SHA256;
	if (r == 0)
		r = put_string(writer, package->base, strlen(package->base), &record.count, err);
	if (r == 0)
		r = put_detail(writer, item, &record, err);
	if (r == 0)
		r = put_name(writer, &record, item->file, strlen(item->file), err);
	return r < 0 ? r : add_node(writer, &record, NULL, err);
}

/* ---- numbering --------------------------------------------------------- */

static int compare_names(const void *a, const void *b, void *data)
{
	const struct manifest_writer *writer = data;
	const struct manifest_record *na = &writer->node[*(const uint32_t *)a];
	const struct manifest_record *nb = &writer->node[*(const uint32_t *)b];

	return strcmp(writer->strings.data + na->name, writer->strings.data + nb->name);
}

/* The nodes' numbers grouped by parent: children of p are @ret[start[p]] to @ret[start[p + 1] - 1].
 */
static void group_children(const struct manifest_writer *writer, uint32_t *start, uint32_t *ret)
{
	/* node 0 is nobody's child; filling moves each start up to its end, hence one place aside
	 */
	for (size_t i = 1; i < writer->count; i++)
		start[writer->node[i].parent + 2]++;
	for (size_t i = 2; i < writer->count + 2; i++)
		start[i] += start[i - 1];
	for (size_t i = 1; i < writer->count; i++)
		ret[start[writer->node[i].parent + 1]++] = (uint32_t)i;
}

/* Records in the order of the file; @queue names the node of each. */
static int number_nodes(struct manifest_writer *writer, const uint32_t *start, uint32_t *children,
			uint32_t *queue, struct manifest_record *ret, struct error *err)
{
	uint32_t tail = 1;

	queue[0] = 0;
	ret[0] = writer->node[0];
	for (uint32_t at = 0; at < writer->count; at++) {
		uint32_t node = queue[at], count = start[node + 1] - start[node];
		uint32_t *child = children + start[node];

		if (ret[at].type != MANIFEST_DIRECTORY)
			continue;
		qsort_r(child, count, sizeof(*child), compare_names, writer);
		ret[at].first = count ? tail : 0;
		ret[at].count = count;
		for (uint32_t i = 0; i < count; i++, tail++) {
			if (i && writer->node[child[i]].name == writer->node[child[i - 1]].name)
				return error_set(err, -EEXIST, BLAME_US, NULL,
						 "two entries with the name %s",
						 writer->strings.data +
							 writer->node[child[i]].name);
			queue[tail] = child[i];
			ret[tail] = writer->node[child[i]];
			ret[tail].parent = at;
		}
	}
	return 0;
}

int manifest_writer_finish(struct manifest_writer *writer, int64_t time_source, struct text *ret,
			   int64_t *ret_bytes, struct error *err)
{
	size_t count = writer->count, records_size = count * sizeof(struct manifest_record);
	_cleanup_(freep) uint32_t *start = calloc(count + 2, sizeof(*start));
	_cleanup_(freep) uint32_t *children = calloc(count, sizeof(*children));
	_cleanup_(freep) uint32_t *queue = calloc(count, sizeof(*queue));
	_cleanup_(freep) struct manifest_record *record = calloc(count, sizeof(*record));
	struct manifest_header header = {
		.record_size = sizeof(struct manifest_record),
		.record_count = (uint32_t)count,
		.strings_offset = sizeof(header) + records_size,
		.strings_size = writer->strings.length,
		.file_size = sizeof(header) + records_size + writer->strings.length,
		.time_source = time_source,
	};
	int r;

	if (!start || !children || !queue || !record)
		return error_oom(err);
	if (header.file_size > MANIFEST_MAX_BYTES)
		return out_of_room(err);
	group_children(writer, start, children);
	r = number_nodes(writer, start, children, queue, record, err);
	if (r < 0)
		return r;
	memcpy(header.magic, MANIFEST_MAGIC, sizeof(header.magic));
	(void)text_reserve(ret, header.file_size);
	(void)text_add(ret, &header, sizeof(header));
	(void)text_add(ret, record, records_size);
	if (text_add(ret, writer->strings.data, writer->strings.length) < 0)
		return error_oom(err);
	*ret_bytes = (int64_t)writer->bytes;
	return 0;
}
