/* SPDX-License-Identifier: MIT */
/* resolver/header/input.c: the first bytes of a package file.
 *
 *   lead (96 bytes) │ signature, padded to 8 │ header │ payload
 *
 * Three questions for a file, none of which reaches into the payload; mostly one for a range. */
#include "resolver/header/parts.h"

#include <sys/stat.h>
#include <unistd.h>

#define LEAD_BYTES 96
#define LEAD_SIGNATURE 5 /* the only kind of signature since rpm 3 */
#define MD5_BYTES 16

static const unsigned char lead_magic[4] = { 0xed, 0xab, 0xee, 0xdb };

static ssize_t read_fd(void *data, void *buffer, size_t length, uint64_t offset, struct error *err)
{
	ssize_t n = io_pread((int)(intptr_t)data, buffer, length, (off_t)offset);

	if (n < 0)
		return error_set(err, (int)n, BLAME_SOURCE, NULL, "%s", strerror((int)-n));
	return n;
}

int header_reader_fd(int fd, struct header_reader *ret, struct error *err)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return error_set(err, -errno, BLAME_SOURCE, NULL, "%s", strerror(errno));
	if (!S_ISREG(st.st_mode))
		return error_set(err, -EINVAL, BLAME_SOURCE, NULL, "is no regular file");
	*ret = (struct header_reader){ .read = read_fd,
				       .data = (void *)(intptr_t)fd,
				       .size = (uint64_t)st.st_size,
				       .time = st.st_mtim.tv_sec };
	return 0;
}

static int cut_short(const struct input *input, const char *field, struct error *err)
{
	return error_set(err, -EBADMSG, BLAME_SOURCE, field, "%s: the file ends before its end",
			 field);
}

/* Have the first @length bytes of the file in input->front. */
static int need(struct input *input, size_t length, const char *field, struct error *err)
{
	const struct header_reader *reader = input->reader;
	struct text *front = &input->front;
	size_t more = length > reader->first ? length : reader->first;
	ssize_t n;

	if (front->length >= length)
		return 0;
	if (reader->size < length)
		return cut_short(input, field, err);
	if (more > reader->size)
		more = (size_t)reader->size;
	more -= front->length;
	if (text_reserve(front, more) < 0)
		return error_oom(err);
	n = reader->read(reader->data, front->data + front->length, more, front->length, err);
	if (n < 0)
		return (int)n;
	front->length += (size_t)n;
	input->bytes_read += (size_t)n;
	return front->length < length ? cut_short(input, field, err) : 0;
}

static int check_lead(const unsigned char *lead, struct error *err)
{
	if (memcmp(lead, lead_magic, sizeof(lead_magic)) != 0)
		return error_set(err, -EBADMSG, BLAME_SOURCE, "lead", "lead: this is no RPM");
	if (lead[4] < 3 || lead[4] > 4 || lead[78] != 0 || lead[79] != LEAD_SIGNATURE)
		return error_set(err, -EBADMSG, BLAME_SOURCE, "lead",
				 "lead: format %d with signature type %d is not known", lead[4],
				 lead[78] << 8 | lead[79]);
	return 0;
}

/* What the signature says of the rest of the file, beside signing it. */
static int take_signature(struct input *input, const struct blob *blob, struct error *err)
{
	const unsigned char *md5 = blob_bytes(blob, RPMSIGTAG_MD5, MD5_BYTES);
	const struct header_file *file = input->file;
	uint64_t rest = 0, size = input->reader->size;

	if (md5)
		hex_print(md5, MD5_BYTES, input->md5);
	if (file->md5 && strcmp(file->md5, input->md5) != 0)
		return error_set(err, -EBADMSG, BLAME_SOURCE, "signature",
				 "signature: it is of digest %s, not %s",
				 md5 ? input->md5 : "(none)", file->md5);
	if (!blob_number(blob, RPMSIGTAG_LONGARCHIVESIZE, &input->archive_bytes))
		(void)blob_number(blob, RPMSIGTAG_PAYLOADSIZE, &input->archive_bytes);
	if (!blob_number(blob, RPMSIGTAG_LONGSIZE, &rest))
		(void)blob_number(blob, RPMSIGTAG_SIZE, &rest);
	if (size != HEADER_SIZE_UNKNOWN && (size < input->start || size - input->start < rest))
		return error_set(err, -EBADMSG, BLAME_SOURCE, "size",
				 "size: the file is cut short: %" PRIu64
				 " bytes instead of %" PRIu64,
				 size, input->start + rest);
	return 0;
}

static int take_header_intro(struct input *input, struct error *err)
{
	struct blob *blob = &input->blob;

	if (!blob_intro((unsigned char *)input->front.data + input->start, HEADER_MAX_TAGS,
			HEADER_MAX_BYTES, blob))
		return error_set(err, -EBADMSG, BLAME_SOURCE, "header",
				 "header: there is none at byte %" PRIu64, input->start);
	input->end = input->start + INTRO_BYTES + (uint64_t)blob->count * ENTRY_BYTES + blob->bytes;
	if (input->reader->size < input->end)
		return cut_short(input, "header", err);
	return 0;
}

int input_front(struct input *input, struct error *err)
{
	uint64_t size = input->reader->size;
	struct blob blob;
	int r;

	if (size != HEADER_SIZE_UNKNOWN && input->file->size != HEADER_SIZE_UNKNOWN &&
	    size != input->file->size)
		return error_set(err, -EBADMSG, BLAME_SOURCE, "size",
				 "size: %" PRIu64 " bytes, not %" PRIu64, size, input->file->size);
	r = need(input, LEAD_BYTES + INTRO_BYTES, "lead", err);
	if (r == 0)
		r = check_lead((unsigned char *)input->front.data, err);
	if (r < 0)
		return r;
	if (!blob_intro((unsigned char *)input->front.data + LEAD_BYTES, HEADER_MAX_SIGNATURE_TAGS,
			HEADER_MAX_SIGNATURE, &blob))
		return error_set(err, -EBADMSG, BLAME_SOURCE, "signature",
				 "signature: there is none behind the lead");
	input->start = LEAD_BYTES + INTRO_BYTES + (uint64_t)blob.count * ENTRY_BYTES + blob.bytes;
	input->start = (input->start + 7) & ~UINT64_C(7);
	r = need(input, (size_t)input->start + INTRO_BYTES, "signature", err);
	if (r < 0)
		return r;
	blob.index = (unsigned char *)input->front.data + LEAD_BYTES + INTRO_BYTES;
	blob.data = blob.index + (size_t)blob.count * ENTRY_BYTES;
	r = blob_check(&blob, "signature", err);
	if (r == 0)
		r = take_signature(input, &blob, err);
	return r < 0 ? r : take_header_intro(input, err);
}

/* Who reads by range gets the whole file another time, and wants to know that it is this one. */
static int sum_up(struct input *input, const void *rest, size_t length)
{
	_cleanup_(digest_freep) struct digest *digest = NULL;
	char hex[DIGEST_MAX_HEX_SIZE];

	if (!input->reader->first)
		return 0;
	digest = digest_new("sha256");
	if (!digest)
		return -ENOMEM;
	digest_add(digest, input->front.data, (size_t)(input->end - length));
	digest_add(digest, rest, length);
	digest_hex(digest, hex);
	memcpy(input->sha256, hex, sizeof(input->sha256));
	return 0;
}

int input_header(struct input *input, unsigned char **ret, size_t *ret_length, struct error *err)
{
	const struct header_reader *reader = input->reader;
	uint64_t first = input->start + 8; /* behind the magic */
	size_t length = (size_t)(input->end - first), have = input->front.length - (size_t)first;
	_cleanup_(freep) unsigned char *bytes = malloc(length);
	ssize_t n = 0;
	int r;

	if (!bytes)
		return error_oom(err);
	if (have > length)
		have = length;
	memcpy(bytes, input->front.data + first, have);
	if (have < length)
		n = reader->read(reader->data, bytes + have, length - have, first + have, err);
	if (n < 0)
		return (int)n;
	input->bytes_read += (size_t)n;
	if (have + (size_t)n < length)
		return cut_short(input, "header", err);
	if (sum_up(input, bytes, length) < 0)
		return error_oom(err);
	text_done(&input->front);
	input->blob.index = bytes + 8;
	input->blob.data = input->blob.index + (size_t)input->blob.count * ENTRY_BYTES;
	r = blob_check(&input->blob, "header", err);
	if (r < 0)
		return r;
	*ret = steal(bytes);
	*ret_length = length;
	return 0;
}

void input_done(struct input *input)
{
	text_done(&input->front);
}
