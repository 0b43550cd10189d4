/* SPDX-License-Identifier: MIT */
/* tests/fuzz/replay.c: main() of a fuzz target in ordinary runs: every file of the folders named by the
 * arguments is given to it once. Not finding a single file is a failure.
 *
 * promises = 16 */
#include "core/base/base.h"

#include <dirent.h>
#include <fcntl.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned int replay(const char *folder)
{
	unsigned int count = 0;
	struct dirent *entry;
	DIR *list = opendir(folder);

	if (!list) {
		(void)fprintf(stderr, "%s: %s\n", folder, strerror(errno));
		return 0;
	}
	while ((entry = readdir(list))) {
		_cleanup_(freep) char *bytes = NULL;
		size_t length;

		if (entry->d_name[0] == '.' ||
		    file_read(dirfd(list), entry->d_name, 64 << 20, &bytes, &length) < 0)
			continue;
		(void)LLVMFuzzerTestOneInput((const uint8_t *)bytes, length);
		count++;
	}
	(void)closedir(list);
	return count;
}

int main(int argc, char **argv)
{
	unsigned int count = 0;

	for (int i = 1; i < argc; i++)
		count += replay(argv[i]);
	printf("%u inputs replayed\n", count);
	return count == 0;
}
