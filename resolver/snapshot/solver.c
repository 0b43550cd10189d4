/* SPDX-License-Identifier: MIT */
/* resolver/snapshot/solver.c: primary as libsolv reads it, made into frames on the way.
 *
 * Libsolv wants a FILE, so its read function is where this thread gets its work: take the next
 * piece, pack it, hand it over. Libsolv sees no byte that the scan has not passed. */
#include "resolver/snapshot/solver.h"

#include "resolver/solve/solve.h"

#define SOLVER_BUFFER (64 * 1024)
#define PROGRESS_EVERY (UINT64_C(32) << 20)

struct solver {
	struct stream *primary;
	const struct snapshot_reader *reader;
	struct piece *piece;   /* being read */
	size_t at;	       /* in it */
	uint64_t offset;       /* in the document, of its end */
	uint64_t told;	       /* offset at the last progress */
	struct digest *digest; /* of what is inside; NULL: not told */
	int r;		       /* why it ended early */
	struct error *err;
};

static void tell_progress(struct solver *solver)
{
	const struct snapshot_reader *reader = solver->reader;
	int64_t total = solver->primary->record->open_size;
	char words[96];

	if (!reader->progress || solver->offset - solver->told < PROGRESS_EVERY)
		return;
	solver->told = solver->offset;
	(void)snprintf(words, sizeof(words), "reading primary.xml: %" PRIu64 " MiB",
		       solver->offset >> 20);
	if (total > 0)
		(void)snprintf(words, sizeof(words),
			       "reading primary.xml: %" PRIu64 " of %" PRId64 " MiB",
			       solver->offset >> 20, total >> 20);
	reader->progress(reader->data, words);
}

/* 1: there is a piece, 0: that was all, or negative */
static int next_piece(struct solver *solver)
{
	struct frames_writer *frames = &solver->primary->frames;
	struct piece *piece = NULL;
	int r;

	piece_free(solver->piece);
	solver->piece = NULL;
	solver->at = 0;
	r = pieces_take(solver->primary->pieces, &piece);
	if (r <= 0)
		return r;
	solver->piece = piece;
	solver->offset += piece->bytes.length;
	if (solver->digest)
		digest_add(solver->digest, piece->bytes.data, piece->bytes.length);
	r = frames_add(frames, piece->bytes.data, piece->bytes.length, solver->err);
	for (size_t i = 0; r == 0 && i < piece->cuts; i++)
		r = frames_cut(frames, piece->cut[i], solver->err);
	if (r == 0)
		r = frames_limit(frames, solver->offset, solver->err);
	tell_progress(solver);
	return r < 0 ? r : 1;
}

static ssize_t read_pieces(void *cookie, char *bytes, size_t size)
{
	struct solver *solver = cookie;
	size_t n;
	int r = 1;

	while (r > 0 && (!solver->piece || solver->at == solver->piece->bytes.length))
		r = next_piece(solver);
	if (r < 0) {
		solver->r = r;
		errno = EIO;
		return -1;
	}
	if (r == 0)
		return 0;
	n = solver->piece->bytes.length - solver->at;
	n = n < size ? n : size;
	memcpy(bytes, solver->piece->bytes.data + solver->at, n);
	solver->at += n;
	return (ssize_t)n;
}

static int index_pieces(struct solver *solver, FILE *solv, struct error *err)
{
	const cookie_io_functions_t functions = { .read = read_pieces };
	_cleanup_(fclosep) FILE *file = fopencookie(solver, "r", functions);
	struct error trouble = { 0 };
	uint32_t count = 0, want;
	int r;

	if (!file)
		return error_oom(err);
	(void)setvbuf(file, NULL, _IOFBF, SOLVER_BUFFER);
	r = solve_index(file, NULL, 0, solv, &count, &trouble);
	if (solver->r < 0) /* what libsolv says then is only the echo */
		return solver->r;
	if (r < 0 && err)
		*err = trouble;
	if (r < 0)
		return r;
	do /* should libsolv have stopped before the end of the file: the frames need all of it */
		r = next_piece(solver);
	while (r > 0);
	want = solver->primary->index->count;
	if (r == 0 && count != want)
		return error_set(err, -EBADMSG, BLAME_SOURCE, "primary.xml",
				 "%" PRIu32 " packages were counted, the solver sees %" PRIu32,
				 want, count);
	return r;
}

int solver_run(struct stream *primary, const struct snapshot_reader *reader, FILE *solv,
	       struct error *err)
{
	const struct repomd_record *record = primary->record;
	struct solver solver = { .primary = primary, .reader = reader, .err = err };
	char hex[DIGEST_MAX_HEX_SIZE];
	int r = frames_start(&primary->frames, primary->to, err);

	if (record->open_checksum)
		solver.digest = digest_new(record->open_checksum_type);
	if (r == 0)
		r = index_pieces(&solver, solv, err);
	if (r == 0)
		r = frames_flush(&primary->frames, true, err);
	if (r == 0 && record->open_checksum) {
		if (solver.digest)
			digest_hex(solver.digest, hex);
		primary->open_differs = !solver.digest || strcmp(hex, record->open_checksum) != 0;
	}
	piece_free(solver.piece);
	digest_free(solver.digest);
	return r;
}
