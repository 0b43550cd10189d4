/* SPDX-License-Identifier: MIT */
/* resolver/snapshot/inflate.h: one file of a repository, decompressed and checked while it streams.
 */
#pragma once

#include "resolver/snapshot/snapshot.h"

/**
 * struct inflate_source - where the bytes come from and what they must be
 * @fd:     read from its offset to its end; borrowed
 * @read:   NULL, or in place of @fd: the next bytes, 0 at the end, negative errno with words
 * @record: size, checksum, open-size and open-checksum that repomd.xml states; NULL: nothing is
 * known
 * @field:  what messages are about, "primary.xml"
 * @limit:  most decompressed bytes, whatever the record says
 * @open_differs: set when only the open-checksum is wrong: the bytes are those that were published,
 * as the checksum shows, and dnf(8) takes them, too. NULL: then that is an error */
struct inflate_source {
	int fd;
	ssize_t (*read)(void *data, void *buffer, size_t length, struct error *err);
	void *read_data;
	const struct repomd_record *record;
	const char *field;
	uint64_t limit;
	bool *open_differs;
};

typedef int inflate_sink(void *data, const char *bytes, size_t length, struct error *err);

/**
 * inflate_run() - gzip, zstd, xz, bzip2 (known by their first bytes) or plain → @sink, piece by
 * piece
 *
 * Each limit is held at the piece that breaks it, so a bomb costs no more than what the record
 * allows. The checksums are known only at the end: what @sink made of the bytes is void when this
 * fails. -EBADMSG, BLAME_SOURCE: not what the record says, damaged, too large; or what @sink
 * returned */
int inflate_run(const struct inflate_source *source, inflate_sink *sink, void *data,
		struct error *err);
