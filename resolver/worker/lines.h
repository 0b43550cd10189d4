/* SPDX-License-Identifier: MIT */
/* resolver/worker/lines.h: the server's lines, one after another. */
#pragma once

#include "core/base/base.h"

/** struct lines - bytes that came, of which the first @done are used up; { .fd = … } */
struct lines {
	int fd;
	struct text in;
	size_t done;
};
void lines_done(struct lines *lines); /* the descriptor is not closed */

/** lines_next() - wait for the next line; without its newline, good until the next call
 * 1: there is one; 0: the server closed the pipe; -EMSGSIZE: longer than PIPE_LINE_MAX */
int lines_next(struct lines *lines, const char **ret, size_t *ret_length);
/** lines_more() - has another whole line come with the last one? */
bool lines_more(const struct lines *lines);
