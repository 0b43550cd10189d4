/* SPDX-License-Identifier: MIT */
/* resolver/snapshot/solver.h: the pieces of primary → primary.zst and solv. */
#pragma once

#include "resolver/snapshot/stream.h"

/**
 * solver_run() - take all pieces of @primary, make its frames, let libsolv write @solv
 * @reader: is told how far it got
 * -ECANCELED, without words: the pieces ended because of another trouble */
int solver_run(struct stream *primary, const struct snapshot_reader *reader, FILE *solv,
	       struct error *err);
