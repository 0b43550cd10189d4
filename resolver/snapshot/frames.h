/* SPDX-License-Identifier: MIT */
/* resolver/snapshot/frames.h: a document as a row of small zstd frames that can be read one by one.
 */
#pragma once

#include "resolver/snapshot/format.h"

/**
 * struct frames_writer - bytes in, frames out
 * @frame: where each begins; frame[count] is where the next one will
 * @start, @raw: bytes that are in no frame yet, and their offset in the document */
struct frames_writer {
	int fd;
	void *context; /* ZSTD_CCtx */
	struct index_frame *frame;
	size_t count, room;
	uint64_t start;
	struct text raw;
	size_t raw_used; /* of @raw, already in frames */
	struct text out; /* frames not written yet */
};

/** frames_start() - @fd: empty file, borrowed */
int frames_start(struct frames_writer *writer, int fd, struct error *err);
void frames_done(struct frames_writer *writer);
/** frames_add() - more of the document */
int frames_add(struct frames_writer *writer, const char *bytes, size_t length, struct error *err);
/** frames_cut() - between two elements: end the frame here if it is large enough; @at: offset in
 * the document */
int frames_cut(struct frames_writer *writer, uint64_t at, struct error *err);
/** frames_limit() - end frames when far too much is waiting; bytes before @judged may go out */
int frames_limit(struct frames_writer *writer, uint64_t judged, struct error *err);
/** frames_flush() - put complete frames into the file; @all: what waits becomes a frame, too */
int frames_flush(struct frames_writer *writer, bool all, struct error *err);

/**
 * frame_read() - one frame, decompressed into @ret (which is cleared before)
 * @context: ZSTD_DCtx
 * @packed: a buffer to be reused
 * -EIO, BLAME_US: damaged */
int frame_read(int fd, const struct index_frame *frame, void *context, struct text *packed,
	       struct text *ret, struct error *err);
