/* SPDX-License-Identifier: MIT */
/* resolver/compose/blob.c: files named by the SHA-256 of their bytes.
 *
 * The work directory belongs to one worker and is thrown away whole when the compose fails, so
 * files are written under their final names; the server renames them into place after checking
 * them. */
#include "resolver/compose/parts.h"

#include <fcntl.h>
#include <unistd.h>

int blob_file(int dirfd, const char *name, const void *bytes, size_t length, struct error *err)
{
	_cleanup_(closep) int fd =
		openat(dirfd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	int r;

	if (fd < 0)
		return error_errno(err, errno, "making %s in the work directory", name);
	r = io_write(fd, bytes, length);
	/* a full disk may be told as late as at the close */
	if (close(steal_fd(&fd)) < 0 && r == 0)
		r = -errno;
	if (r < 0) {
		(void)unlinkat(dirfd, name, 0);
		return error_errno(err, r, "writing %s to the work directory", name);
	}
	return 0;
}

int blob_put(struct blob_store *store, const void *bytes, size_t length, struct blob *ret,
	     struct error *err)
{
	struct blob blob = { .size = length };
	int r;

	sha256_hex(bytes, length, blob.hex);
	(void)hex_parse(blob.hex, blob.digest, sizeof(blob.digest));
	if (!strings_has(&store->written, blob.hex) &&
	    !(store->have && store->have(store->have_data, blob.hex))) {
		r = blob_file(store->dirfd, blob.hex, bytes, length, err);
		if (r < 0)
			return r;
		if (strings_add(&store->written, blob.hex) < 0)
			return error_oom(err);
		store->bytes_written += (int64_t)length;
	}
	*ret = blob;
	return 0;
}
