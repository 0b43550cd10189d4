/* SPDX-License-Identifier: MIT */
/* resolver/compose/elements.c: <package> elements out of snapshots.
 *
 * An element is passed on as the source wrote it; only its <location> is replaced, and the checksum
 * where a stand-in is. Getting one
 * means unpacking a frame of the snapshot, and a noarch package stands in the tree of every arch,
 * so elements that are needed again are kept, up to a limit. */
#include "resolver/compose/parts.h"

#define KEPT_MAX_BYTES (64u << 20)

static int compare_origin(const void *a, const void *b, void *data)
{
	const struct item *item = data;
	size_t ia = *(const size_t *)a, ib = *(const size_t *)b;
	const struct composer_package *pa = item[ia].package, *pb = item[ib].package;

	/* the order of snapshots does not matter here, only that equal ones meet */
	if (pa->snapshot != pb->snapshot)
		return (uintptr_t)pa->snapshot < (uintptr_t)pb->snapshot ? -1 : 1;
	if (pa->index != pb->index)
		return pa->index < pb->index ? -1 : 1;
	return ia < ib ? -1 : ia > ib;
}

int elements_link(struct composing *composing, struct error *err)
{
	_cleanup_(freep) size_t *order = NULL;
	struct item *item = composing->item;
	size_t first = 0;

	if (composing->composition->arches->count < 2 || !composing->count)
		return 0;
	order = malloc(composing->count * sizeof(*order));
	if (!order)
		return error_oom(err);
	for (size_t i = 0; i < composing->count; i++)
		order[i] = i;
	qsort_r(order, composing->count, sizeof(*order), compare_origin, item);
	for (size_t i = 1; i < composing->count; i++) {
		const struct composer_package *a = item[order[first]].package;
		const struct composer_package *b = item[order[i]].package;

		if (a->snapshot == b->snapshot && a->index == b->index) {
			item[order[i]].twin = order[first];
			item[order[first]].twins = true;
		} else {
			first = i;
		}
	}
	return 0;
}

void xml_adds(struct text *text, const char *string)
{
	for (;;) {
		size_t plain = strcspn(string, "&<>\"");

		(void)text_add(text, string, plain);
		string += plain;
		if (!*string)
			return;
		(void)text_adds(text, *string == '&'   ? "&amp;"
				      : *string == '<' ? "&lt;"
				      : *string == '>' ? "&gt;"
						       : "&quot;");
		string++;
	}
}

/* Put our own <location> where the source's stands: @place is offset and length within @text. */
static int replace_location(struct text *text, const size_t place[2], const char *file)
{
	struct text tag = { 0 };
	const char letter[] = { file_letter(file), '\0' };
	size_t tail = text->length - place[0] - place[1];
	int r = -ENOMEM;

	(void)text_adds(&tag, "<location href=\"Packages/");
	xml_adds(&tag, letter);
	(void)text_add(&tag, "/", 1);
	xml_adds(&tag, file);
	(void)text_adds(&tag, "\"/>");
	if (!tag.failed && text_reserve(text, tag.length) == 0) {
		char *at = text->data + place[0];

		memmove(at + tag.length, at + place[1], tail + 1); /* with the NUL */
		memcpy(at, tag.data, tag.length);
		text->length = place[0] + tag.length + tail;
		r = 0;
	}
	text_done(&tag);
	return r;
}

/* Put the checksum where its stand-in is: once in each element, outside of any text. */
static int replace_checksum(struct text *text, size_t start, const struct item *item)
{
	const size_t length = DIGEST_HEX_SIZE - 1;
	char *at = memmem(text->data + start, text->length - start, item->stand_in, length);

	if (!at)
		return -EBADMSG;
	memcpy(at, item->about.checksum, length);
	return 0;
}

static int element_get(struct item *item, enum snapshot_stream stream, struct text *ret,
		       struct error *err)
{
	size_t start = ret->length, location[2] = { 0, 0 }, length;
	int r = snapshot_element(item->package->snapshot, stream, item->package->index, ret,
				 stream == SNAPSHOT_PRIMARY ? location : NULL, err);

	if (r < 0)
		return error_prefix(err, "%s", item->nevra);
	length = ret->length - start;
	if (!length || location[0] > length || location[1] > length - location[0] ||
	    (stream == SNAPSHOT_PRIMARY && !location[1]) ||
	    (item->stand_in && replace_checksum(ret, start, item) < 0))
		return error_set(err, -EBADMSG, BLAME_SOURCE, NULL,
				 "%s: its metadata element cannot be used", item->nevra);
	location[0] += start;
	if (stream == SNAPSHOT_PRIMARY && replace_location(ret, location, item->file) < 0)
		return error_oom(err);
	if (ret->data[ret->length - 1] != '\n' && text_add(ret, "\n", 1) < 0)
		return error_oom(err);
	return 0;
}

int element_add(struct composing *composing, struct item *item, enum snapshot_stream stream,
		struct text *ret, struct error *err)
{
	struct item *twin = item->twin == NO_ITEM ? NULL : &composing->item[item->twin];
	size_t start = ret->length, length;
	int r;

	if (twin && twin->kept[stream].offset)
		return text_add(ret, composing->elements.data + twin->kept[stream].offset - 1,
				twin->kept[stream].length) < 0
			       ? error_oom(err)
			       : 0;
	r = element_get(item, stream, ret, err);
	if (r < 0)
		return r;
	length = ret->length - start;
	if (item->twins && length <= KEPT_MAX_BYTES - composing->elements.length) {
		item->kept[stream].offset = composing->elements.length + 1;
		item->kept[stream].length = length;
		if (text_add(&composing->elements, ret->data + start, length) < 0)
			return error_oom(err);
	}
	return 0;
}
