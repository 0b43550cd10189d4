/* SPDX-License-Identifier: MIT */
/* resolver/snapshot/open.h: an open snapshot, as this room sees it. */
#pragma once

#include "resolver/snapshot/frames.h"

struct snapshot {
	int dirfd;
	char digest[DIGEST_HEX_SIZE];
	void *map;
	size_t map_bytes;
	/* borrowed from the map, bounds checked */
	const struct index_header *header;
	const struct index_package *package;
	const struct index_frame *frame[SNAPSHOT_STREAMS];
	const uint32_t *source;
	const struct index_path *path;
	const uint32_t *owner;
	const char *strings;
	/* the frame read last in each stream; neighbours often share one */
	int fd[SNAPSHOT_STREAMS];
	uint32_t cached[SNAPSHOT_STREAMS];
	struct text raw[SNAPSHOT_STREAMS];
	struct text packed;
	void *context; /* ZSTD_DCtx */
};

#define FRAME_NONE UINT32_MAX

/** slice_frame() - number of the frame that holds byte @offset of the document */
uint32_t slice_frame(const struct snapshot *snapshot, enum snapshot_stream stream, uint64_t offset);
/** slice_load() - that frame into snapshot->raw[stream] */
int slice_load(struct snapshot *snapshot, enum snapshot_stream stream, uint32_t frame,
	       struct error *err);
/** slice_add() - append bytes of a document */
int slice_add(struct snapshot *snapshot, enum snapshot_stream stream, uint64_t start,
	      uint64_t length, struct text *ret, struct error *err);
