/* SPDX-License-Identifier: MIT */
/* tests/fuzz/pipe.c: any bytes as a line of the pipe between server and worker.
 *
 * Beyond not crashing: an accepted line, printed, parses again and prints the same. */
#include "core/model/model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool truth)
{
	if (!truth)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct message message = { 0 }, again = { 0 };
	struct text first = { 0 }, second = { 0 };
	struct error err = { 0 };
	int r = message_parse((const char *)data, size, &message, &err);

	if (r < 0) {
		require(r == -EBADMSG && err.code == r && *err.message);
		return 0;
	}
	require(message_print(&message, &first) == 0);
	require(message_parse(first.data, first.length - 1, &again, &err) == 0);
	require(message_print(&again, &second) == 0);
	require(first.length == second.length && !memcmp(first.data, second.data, first.length));
	message_done(&message);
	message_done(&again);
	text_done(&first);
	text_done(&second);
	return 0;
}
