/* SPDX-License-Identifier: MIT */
/* resolver/snapshot/stream.c: a file of the repository → inflated, judged, indexed, and passed on.
 */
#include "resolver/snapshot/stream.h"

static int on_package(void *data, const struct scan_package *package, struct error *err)
{
	struct stream *stream = data;
	int r;

	if (!stream->pieces) {
		r = index_place(stream->index, stream->number, package, err);
		return r < 0 ? r : frames_cut(&stream->frames, package->end, err);
	}
	r = index_add(stream->index, package, err);
	if (r < 0 || package->end - stream->cut < FRAME_TARGET)
		return r;
	stream->cut = package->end;
	return piece_cut(stream->piece, package->end) < 0 ? error_oom(err) : 0;
}

static int on_require(void *data, const char *path, struct error *err)
{
	struct stream *stream = data;

	return index_require(stream->index, path, err);
}

static int on_file(void *data, const struct scan_package *package, const char *path,
		   struct error *err)
{
	struct stream *stream = data;

	return index_own(stream->index, package, path, err);
}

/* The next @length bytes go out; the others, not judged yet, begin the piece that follows. */
static int give(struct stream *stream, size_t length, struct error *err)
{
	struct piece *piece = stream->piece;
	struct piece *rest = piece_new();

	if (!rest ||
	    text_add(&rest->bytes, piece->bytes.data + length, piece->bytes.length - length) < 0) {
		piece_free(rest);
		return error_oom(err);
	}
	piece->bytes.length = length;
	stream->given += length;
	stream->piece = rest;
	return pieces_give(stream->pieces, piece);
}

static int on_bytes(void *data, const char *bytes, size_t length, struct error *err)
{
	struct stream *stream = data;
	uint64_t judged;
	int r;

	if (stream->pieces)
		r = text_add(&stream->piece->bytes, bytes, length) < 0 ? error_oom(err) : 0;
	else
		r = frames_add(&stream->frames, bytes, length, err);
	if (r == 0)
		r = scan_feed(stream->scan, bytes, length, err);
	judged = scan_position(stream->scan);
	if (r == 0 && !stream->pieces)
		r = frames_limit(&stream->frames, judged, err);
	else if (r == 0 && judged > stream->given)
		r = give(stream, (size_t)(judged - stream->given), err);
	return r == 0 && !stream->wanted(stream->wanted_data) ? -ECANCELED : r;
}

static int finish(struct stream *stream, struct error *err)
{
	int r = scan_finish(stream->scan, err);

	if (r < 0)
		return r;
	stream->plain = scan_plain(stream->scan);
	if (!stream->pieces)
		return frames_flush(&stream->frames, true, err);
	r = give(stream, stream->piece->bytes.length, err);
	if (r == 0)
		r = index_close_primary(stream->index, err);
	if (r == 0)
		pieces_end(stream->pieces, false);
	return r;
}

static ssize_t read_more(void *data, void *buffer, size_t length, struct error *err)
{
	const struct stream *stream = data;
	const struct snapshot_reader *reader = stream->reader;

	return reader->read(reader->data, stream->number, buffer, length, err);
}

int stream_read(struct stream *stream, struct error *err)
{
	const struct scan_sink sink = {
		.package = on_package,
		.require = stream->number == SNAPSHOT_PRIMARY ? on_require : NULL,
		.file = stream->number == SNAPSHOT_FILELISTS ? on_file : NULL,
		.data = stream,
	};
	struct repomd_record told = *stream->record;
	const struct inflate_source source = {
		.fd = stream->from,
		.read = stream->from < 0 ? read_more : NULL,
		.read_data = stream,
		.record = &told,
		.field = index_stream_field[stream->number],
		.limit = SNAPSHOT_MAX_OPEN_BYTES,
		.open_differs = &stream->open_differs,
	};
	int r;

	if (stream->pieces) {
		told.open_checksum = NULL; /* whoever takes the pieces has more time for it */
		stream->piece = piece_new();
		r = stream->piece ? 0 : error_oom(err);
	} else {
		r = frames_start(&stream->frames, stream->to, err);
	}
	if (r == 0)
		r = scan_new(stream->number, &sink, &stream->scan, err);
	if (r == 0)
		r = inflate_run(&source, on_bytes, stream, err);
	if (r == 0)
		r = finish(stream, err);
	scan_free(stream->scan);
	piece_free(stream->piece);
	stream->scan = NULL;
	stream->piece = NULL;
	return r;
}

void stream_done(struct stream *stream)
{
	closep(&stream->from);
	closep(&stream->to);
	frames_done(&stream->frames);
}
