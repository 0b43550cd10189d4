/* SPDX-License-Identifier: MIT */
/* tests/fuzz/opener.c: any bytes as what a worker asks its opener.
 *
 * Beyond not crashing: an accepted request, printed, is the same bytes, and its strings lie in
 * them. */
#include "resolver/fetch/asked.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool truth)
{
	if (!truth)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* of exactly that size, so that a step beyond is seen */
	char *copy = malloc(size ? size : 1);
	const char *end = copy + size;
	struct open_request request;
	struct text again = { 0 };

	require(copy != NULL);
	if (size)
		memcpy(copy, data, size);
	if (open_request_parse(copy, size, &request) == 0) {
		const char *path = request.path;

		require(request.base >= copy && request.base + strlen(request.base) < end);
		for (uint32_t i = 0; i < request.count; i++) {
			require(path > request.base && path < end);
			path += strlen(path) + 1;
		}
		require(path == end || request.count == 0);
		require(open_request_print(&request, &again) == 0);
		require(again.length == size && !memcmp(again.data, copy, size));
	}
	text_done(&again);
	free(copy);
	return 0;
}
