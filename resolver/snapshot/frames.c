/* SPDX-License-Identifier: MIT */
/* resolver/snapshot/frames.c: cutting a document into zstd frames, and reading one of them.
 *
 * A frame ends with a package, so that most elements cost one frame; only an element larger than
 * FRAME_MAX is spread over several. Each frame carries zstd's checksum: after an unclean stop a
 * page that was never written is found when it is read. */
#include "resolver/snapshot/frames.h"

#include <zstd.h>

#define FRAMES_WRITE_AT (256 * 1024)

int frames_start(struct frames_writer *writer, int fd, struct error *err)
{
	*writer = (struct frames_writer){ .fd = fd, .room = 1024 };
	writer->frame = calloc(writer->room, sizeof(*writer->frame));
	writer->context = ZSTD_createCCtx();
	if (!writer->frame || !writer->context)
		return error_oom(err);
	(void)ZSTD_CCtx_setParameter(writer->context, ZSTD_c_compressionLevel, FRAME_LEVEL);
	(void)ZSTD_CCtx_setParameter(writer->context, ZSTD_c_checksumFlag, 1);
	return 0;
}

void frames_done(struct frames_writer *writer)
{
	(void)ZSTD_freeCCtx(writer->context);
	free(writer->frame);
	text_done(&writer->raw);
	text_done(&writer->out);
}

int frames_add(struct frames_writer *writer, const char *bytes, size_t length, struct error *err)
{
	struct text *raw = &writer->raw;

	if (writer->raw_used) {
		raw->length -= writer->raw_used;
		memmove(raw->data, raw->data + writer->raw_used, raw->length);
		writer->raw_used = 0;
	}
	return text_add(raw, bytes, length) < 0 ? error_oom(err) : 0;
}

/* The next @length waiting bytes become a frame. */
static int make_frame(struct frames_writer *writer, size_t length, struct error *err)
{
	struct text *out = &writer->out;
	size_t bound = ZSTD_compressBound(length), n;
	struct index_frame *frame;

	if (writer->count + 1 == writer->room) {
		frame = reallocarray(writer->frame, writer->room * 2, sizeof(*frame));
		if (!frame)
			return error_oom(err);
		writer->frame = frame;
		writer->room *= 2;
	}
	if (text_reserve(out, bound) < 0)
		return error_oom(err);
	n = ZSTD_compress2(writer->context, out->data + out->length, bound,
			   writer->raw.data + writer->raw_used, length);
	if (ZSTD_isError(n))
		return error_set(err, -EIO, BLAME_US, NULL, "zstd: %s", ZSTD_getErrorName(n));
	out->length += n;
	writer->raw_used += length;
	writer->start += length;
	frame = &writer->frame[++writer->count];
	frame->raw = writer->start;
	frame->at = frame[-1].at + n;
	return out->length >= FRAMES_WRITE_AT ? frames_flush(writer, false, err) : 0;
}

int frames_cut(struct frames_writer *writer, uint64_t at, struct error *err)
{
	uint64_t length = at - writer->start;

	if (length < FRAME_TARGET || length > writer->raw.length - writer->raw_used)
		return 0;
	return make_frame(writer, (size_t)length, err);
}

int frames_limit(struct frames_writer *writer, uint64_t judged, struct error *err)
{
	while (judged > writer->start && judged - writer->start > FRAME_MAX) {
		int r = make_frame(writer, FRAME_MAX, err);

		if (r < 0)
			return r;
	}
	return 0;
}

int frames_flush(struct frames_writer *writer, bool all, struct error *err)
{
	size_t left = writer->raw.length - writer->raw_used;
	int r;

	for (; all && left; left = writer->raw.length - writer->raw_used) {
		r = make_frame(writer, left < FRAME_MAX ? left : FRAME_MAX, err);
		if (r < 0)
			return r;
	}
	r = io_write(writer->fd, writer->out.data, writer->out.length);
	if (r < 0)
		return error_errno(err, r, "writing a snapshot");
	text_clear(&writer->out);
	return 0;
}

int frame_read(int fd, const struct index_frame *frame, void *context, struct text *packed,
	       struct text *ret, struct error *err)
{
	size_t packed_length = (size_t)(frame[1].at - frame[0].at);
	size_t length = (size_t)(frame[1].raw - frame[0].raw), n;
	ssize_t got;

	text_clear(packed);
	text_clear(ret);
	if (text_reserve(packed, packed_length) < 0 || text_reserve(ret, length) < 0)
		return error_oom(err);
	got = io_pread(fd, packed->data, packed_length, (off_t)frame->at);
	if (got < 0)
		return error_errno(err, (int)got, "reading a snapshot");
	n = (size_t)got == packed_length
		    ? ZSTD_decompressDCtx(context, ret->data, length, packed->data, packed_length)
		    : 0;
	if (ZSTD_isError(n) || n != length)
		return error_set(
			err, -EIO, BLAME_US, NULL, "a frame of the snapshot is damaged%s%s",
			ZSTD_isError(n) ? ": " : "", ZSTD_isError(n) ? ZSTD_getErrorName(n) : "");
	ret->length = length;
	ret->data[length] = '\0';
	return 0;
}
