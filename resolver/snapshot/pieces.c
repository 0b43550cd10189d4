/* SPDX-License-Identifier: MIT */
/* resolver/snapshot/pieces.c: a bounded queue between two threads. */
#include "resolver/snapshot/pieces.h"

void pieces_init(struct pieces *pieces)
{
	*pieces = (struct pieces){ .last = &pieces->first };
	(void)pthread_mutex_init(&pieces->lock, NULL);
	(void)pthread_cond_init(&pieces->changed, NULL);
}

void pieces_done(struct pieces *pieces)
{
	while (pieces->first) {
		struct piece *piece = pieces->first;

		pieces->first = piece->next;
		piece_free(piece);
	}
	(void)pthread_mutex_destroy(&pieces->lock);
	(void)pthread_cond_destroy(&pieces->changed);
}

struct piece *piece_new(void)
{
	return calloc(1, sizeof(struct piece));
}

void piece_free(struct piece *piece)
{
	if (!piece)
		return;
	text_done(&piece->bytes);
	free(piece->cut);
	free(piece);
}

int piece_cut(struct piece *piece, uint64_t at)
{
	if (piece->cuts == piece->cut_room) {
		size_t room = piece->cut_room ? piece->cut_room * 2 : 32;
		uint64_t *cut = reallocarray(piece->cut, room, sizeof(*cut));

		if (!cut)
			return -ENOMEM;
		piece->cut = cut;
		piece->cut_room = room;
	}
	piece->cut[piece->cuts++] = at;
	return 0;
}

int pieces_give(struct pieces *pieces, struct piece *piece)
{
	bool cancelled;

	(void)pthread_mutex_lock(&pieces->lock);
	while (pieces->bytes > PIECES_MAX_BYTES && !pieces->cancelled)
		(void)pthread_cond_wait(&pieces->changed, &pieces->lock);
	cancelled = pieces->cancelled;
	if (!cancelled) {
		*pieces->last = piece;
		pieces->last = &piece->next;
		pieces->bytes += piece->bytes.length;
		(void)pthread_cond_signal(&pieces->changed);
	}
	(void)pthread_mutex_unlock(&pieces->lock);
	if (cancelled)
		piece_free(piece);
	return cancelled ? -ECANCELED : 0;
}

int pieces_take(struct pieces *pieces, struct piece **ret)
{
	struct piece *piece;
	bool cancelled;

	(void)pthread_mutex_lock(&pieces->lock);
	while (!pieces->first && !pieces->complete && !pieces->cancelled)
		(void)pthread_cond_wait(&pieces->changed, &pieces->lock);
	cancelled = pieces->cancelled;
	piece = cancelled ? NULL : pieces->first;
	if (piece) {
		pieces->first = piece->next;
		if (!pieces->first)
			pieces->last = &pieces->first;
		pieces->bytes -= piece->bytes.length;
		(void)pthread_cond_signal(&pieces->changed);
	}
	(void)pthread_mutex_unlock(&pieces->lock);
	if (cancelled)
		return -ECANCELED;
	*ret = piece;
	return piece != NULL;
}

void pieces_end(struct pieces *pieces, bool cancelled)
{
	(void)pthread_mutex_lock(&pieces->lock);
	pieces->complete = true;
	pieces->cancelled |= cancelled;
	(void)pthread_cond_broadcast(&pieces->changed);
	(void)pthread_mutex_unlock(&pieces->lock);
}
