/* SPDX-License-Identifier: MIT */
/* tests/unit/header/verify.c: KEYFILE FILE SIGNATURE, or KEYFILE RPM: "good", or what is wrong
 * (keys.py). */
#include "resolver/header/keys.h"

#include <fcntl.h>

int main(int argc, char **argv)
{
	_cleanup_(header_keys_freep) struct header_keys *keys = NULL;
	_cleanup_(freep) char *bytes = NULL, *signature = NULL;
	struct strings files = { .item = argv + 1, .count = 1 };
	size_t length = 0, signature_length = 0;
	struct error err = { 0 };
	int r, fd;

	if (argc < 3)
		return 2;
	r = header_keys_read(&files, &keys, &err);
	if (r == 0 && argc == 4) {
		r = file_read(AT_FDCWD, argv[2], 1 << 24, &bytes, &length);
		if (r == 0)
			r = file_read(AT_FDCWD, argv[3], 1 << 24, &signature, &signature_length);
		if (r == 0)
			r = header_keys_verify(keys, bytes, length, signature, signature_length,
					       &err);
	} else if (r == 0) {
		fd = open(argv[2], O_RDONLY | O_CLOEXEC);
		r = fd < 0 ? -errno : header_keys_package(keys, fd, &err);
		closep(&fd);
	}
	printf("%s\n", r == 0 ? "good" : err.message[0] ? err.message : strerror(-r));
	return 0;
}
