/* SPDX-License-Identifier: MIT */
/* resolver/worker/lines.c: reading the pipe by lines. */
#include "resolver/worker/lines.h"

#include "core/model/model.h"

#include <unistd.h>

#define LINE_STEP (64 * 1024)

void lines_done(struct lines *lines)
{
	text_done(&lines->in);
}

bool lines_more(const struct lines *lines)
{
	return lines->in.length > lines->done &&
	       memchr(lines->in.data + lines->done, '\n', lines->in.length - lines->done);
}

int lines_next(struct lines *lines, const char **ret, size_t *ret_length)
{
	struct text *in = &lines->in;
	size_t seen;

	if (lines->done) {
		in->length -= lines->done;
		memmove(in->data, in->data + lines->done, in->length + 1);
		lines->done = 0;
	}
	for (seen = 0;;) {
		char *end = in->length ? memchr(in->data + seen, '\n', in->length - seen) : NULL;
		ssize_t n;

		if (end) {
			*ret = in->data;
			*ret_length = (size_t)(end - in->data);
			lines->done = *ret_length + 1;
			return 1;
		}
		seen = in->length;
		if (seen > PIPE_LINE_MAX)
			return -EMSGSIZE;
		if (text_reserve(in, LINE_STEP) < 0)
			return -ENOMEM;
		do
			n = read(lines->fd, in->data + seen, LINE_STEP);
		while (n < 0 && errno == EINTR);
		if (n <= 0)
			return n < 0 ? -errno : 0;
		in->length += (size_t)n;
		in->data[in->length] = '\0';
	}
}
