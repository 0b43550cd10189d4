/* SPDX-License-Identifier: MIT */
/* resolver/snapshot/stream.h: primary, filelists or other while it is read. */
#pragma once

#include "resolver/snapshot/index.h"
#include "resolver/snapshot/inflate.h"
#include "resolver/snapshot/pieces.h"

/**
 * struct stream - one document on its way into the snapshot
 * @record: NULL: the repository has none
 * @from:   the repository's file, or -1: @reader reads it; @to: ours, for frames
 * @pieces: primary: its bytes go there, and whoever takes them makes the frames; the others make
 *          their own
 * @plain, @open_differs: known when it was read */
struct stream {
	enum snapshot_stream number;
	const struct repomd_record *record;
	int from, to;
	const struct snapshot_reader *reader;
	struct index_build *index;
	struct pieces *pieces;
	struct frames_writer frames;
	bool plain, open_differs;
	int r;
	struct error err;
	/* while it is read */
	struct scan *scan;
	struct piece *piece;	    /* not given yet: what it holds starts at @given */
	uint64_t given, cut;	    /* offsets: of the next byte to give, of the last cut */
	bool (*wanted)(void *data); /* asked now and then; false: -ECANCELED */
	void *wanted_data;
};

int stream_read(struct stream *stream, struct error *err);
void stream_done(struct stream *stream);
