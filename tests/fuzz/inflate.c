/* SPDX-License-Identifier: MIT */
/* tests/fuzz/inflate.c: bytes that a repository may offer as a compressed file.
 *
 * Whatever they are, no more comes out than the limit, and less than the limit only with all of it.
 */
#include "resolver/snapshot/inflate.h"

#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(condition)                                                                            \
	do {                                                                                       \
		if (!(condition))                                                                  \
			abort();                                                                   \
	} while (0)

#define LIMIT (UINT64_C(1) << 20)

static int count(void *data, const char *bytes, size_t length, struct error *err)
{
	uint64_t *total = data;

	*total += length;
	MUST(*total <= LIMIT);
	MUST(length > 0 && bytes);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int fd = memfd_create("input", MFD_CLOEXEC);
	struct inflate_source source = { .fd = fd, .field = "primary.xml", .limit = LIMIT };
	struct error err = { 0 };
	uint64_t total = 0;
	int r;

	MUST(fd >= 0 && io_write(fd, data, size) == 0 && lseek(fd, 0, SEEK_SET) == 0);
	r = inflate_run(&source, count, &total, &err);
	MUST(r == 0 || err.message[0]);
	(void)close(fd);
	return 0;
}
