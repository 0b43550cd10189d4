/* SPDX-License-Identifier: MIT */
/* tests/fuzz/rpmheader.c: bytes that a place outside may offer as an RPM.
 *
 * Whatever is taken gives three elements of well-formed XML, reads no byte behind the header, and says the same when it is
 * read in large pieces. The last bit of the input's length decides whether the reader knows the size of the file. */
#include "resolver/header/header.h"

#include <expat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(condition)                                                                            \
	do {                                                                                       \
		if (!(condition))                                                                  \
			abort();                                                                   \
	} while (0)

#define KEY "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

struct bytes {
	const uint8_t *data;
	size_t size;
};

static ssize_t read_bytes(void *data, void *buffer, size_t length, uint64_t offset,
			  struct error *err)
{
	const struct bytes *bytes = data;
	size_t left = offset < bytes->size ? bytes->size - (size_t)offset : 0;

	length = length < left ? length : left;
	if (length)
		memcpy(buffer, bytes->data + offset, length);
	return (ssize_t)length;
}

static void check_element(const struct text *element)
{
	static const char head[] = "<m xmlns:rpm=\"rpm\">";
	XML_Parser parser = XML_ParserCreate("UTF-8");

	MUST(parser && element->data && element->length == strlen(element->data));
	MUST(!strncmp(element->data, "<package ", 9));
	MUST(element->length > 11 && !strcmp(element->data + element->length - 11, "</package>\n"));
	MUST(XML_Parse(parser, head, sizeof(head) - 1, 0) == XML_STATUS_OK);
	MUST(XML_Parse(parser, element->data, (int)element->length, 0) == XML_STATUS_OK);
	MUST(XML_Parse(parser, "</m>", 4, 1) == XML_STATUS_OK);
	XML_ParserFree(parser);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes bytes = { data, size };
	struct header_reader reader = { .read = read_bytes,
					.data = &bytes,
					.size = size & 1 ? size : HEADER_SIZE_UNKNOWN,
					.time = 1 };
	const struct header_file file = { .key = KEY,
					  .path = "x.rpm",
					  .href = "x.rpm",
					  .size = HEADER_SIZE_UNKNOWN,
					  .time = HEADER_TIME_UNKNOWN };
	struct header one = { 0 }, two = { 0 };
	struct error err = { 0 };
	uint64_t read = 0;
	int r = header_read(&reader, &file, &one, &read, &err);

	MUST(read <= size);
	MUST(r == 0 || (err.code == r && !strncmp(err.message, "x.rpm: ", 7)));
	reader.first = HEADER_FIRST_RANGE;
	MUST(header_read(&reader, &file, &two, NULL, &err) == r);
	if (r == 0) {
		MUST(read == one.end && one.start < one.end && one.end <= size);
		MUST(*one.name && *one.version && *one.release && *one.arch);
		for (size_t i = 0; i < HEADER_ELEMENTS; i++) {
			check_element(&one.element[i]);
			MUST(!strcmp(one.element[i].data, two.element[i].data));
		}
	}
	header_done(&one);
	header_done(&two);
	return 0;
}
