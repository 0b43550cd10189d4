/* SPDX-License-Identifier: MIT */
/* resolver/header/read.c: one file: bytes, tags, elements. */
#include "resolver/header/parts.h"

void header_done(struct header *header)
{
	free(header->name);
	free(header->version);
	free(header->release);
	free(header->arch);
	free(header->sourcerpm);
	free(header->only);
	free(header->never);
	for (size_t i = 0; i < HEADER_ELEMENTS; i++)
		text_done(&header->element[i]);
	*header = (struct header){ 0 };
}

static size_t element_limit(const struct input *input)
{
	uint64_t limit = (1u << 20) + HEADER_GROWTH * (input->end - input->start);

	return limit < HEADER_MAX_ELEMENT ? (size_t)limit : HEADER_MAX_ELEMENT;
}

int header_make(struct input *input, struct header *ret, struct error *err)
{
	_cleanup_(header_done) struct header header = { .start = input->start, .end = input->end };
	const struct header_reader *reader = input->reader;
	const struct header_file *file = input->file;
	unsigned char *bytes = NULL;
	struct tags tags;
	size_t length;
	int r = input_header(input, &bytes, &length, err);

	if (r == 0)
		r = tags_open(bytes, length, &tags, err);
	if (r < 0)
		return r;
	memcpy(header.md5, input->md5, sizeof(header.md5));
	memcpy(header.front, input->sha256, sizeof(header.front));
	header.size = reader->size != HEADER_SIZE_UNKNOWN ? reader->size
		      : file->size != HEADER_SIZE_UNKNOWN ? file->size
							  : 0;
	header.time = file->time != HEADER_TIME_UNKNOWN	    ? file->time
		      : reader->time != HEADER_TIME_UNKNOWN ? reader->time
							    : 0;
	r = elements_write(&tags, input, element_limit(input), &header, err);
	tags_close(&tags);
	if (r < 0)
		return r;
	*ret = header;
	header = (struct header){ 0 };
	return 0;
}

int header_stub(const struct header_file *file, struct header *ret, struct error *err)
{
	_cleanup_(header_done) struct header header = { 0 };
	struct input input = { .file = file };
	struct tags tags;
	int r = tags_make(file->nevra, &tags, err);

	if (r < 0)
		return r;
	header.size = file->size != HEADER_SIZE_UNKNOWN ? file->size : 0;
	header.time = file->time != HEADER_TIME_UNKNOWN ? file->time : 0;
	r = elements_write(&tags, &input, element_limit(&input), &header, err);
	tags_close(&tags);
	if (r < 0)
		return r;
	*ret = header;
	header = (struct header){ 0 };
	return 0;
}

int header_read(const struct header_reader *reader, const struct header_file *file,
		struct header *ret, uint64_t *ret_bytes_read, struct error *err)
{
	_cleanup_(input_done) struct input input = { .reader = reader, .file = file };
	int r = input_front(&input, err);

	if (r == 0)
		r = header_make(&input, ret, err);
	if (ret_bytes_read)
		*ret_bytes_read = input.bytes_read;
	return r < 0 ? error_prefix(err, "%s", file->path) : 0;
}
