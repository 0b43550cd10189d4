/* SPDX-License-Identifier: MIT */
/* resolver/snapshot/pieces.h: a document on its way from the thread that scans it to the one that
 * keeps it. */
#pragma once

#include "core/base/base.h"

#include <pthread.h>

/** struct piece - some bytes of the document, all of them judged by the scan
 * @cut: offsets in the document within or at the end of the piece where a frame may end */
struct piece {
	struct piece *next;
	struct text bytes;
	uint64_t *cut;
	size_t cuts, cut_room;
};

/** struct pieces - at most PIECES_MAX_BYTES wait, then the giver does */
struct pieces {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct piece *first, **last; /* under lock, as are the others */
	size_t bytes;
	bool complete, cancelled;
};

#define PIECES_MAX_BYTES (32u << 20)

void pieces_init(struct pieces *pieces);
void pieces_done(struct pieces *pieces);

struct piece *piece_new(void); /* or NULL */
void piece_free(struct piece *piece);
DEFINE_FREEP(struct piece, piece_free)
int piece_cut(struct piece *piece, uint64_t at); /* 0 or -ENOMEM */

/** pieces_give() - waits for room; owns @piece from here. 0, or -ECANCELED: nobody wants it */
int pieces_give(struct pieces *pieces, struct piece *piece);
/** pieces_take() - waits for one. 1, 0: that was all, or -ECANCELED */
int pieces_take(struct pieces *pieces, struct piece **ret);
/** pieces_end() - the giver says that was all; @cancelled: or either side that it gives up */
void pieces_end(struct pieces *pieces, bool cancelled);
