/* SPDX-License-Identifier: MIT */
/* tests/unit/snapshot/repository.h: repositories for these tests: read from a folder, or made in
 * memory with whatever a test wants to be wrong about them. */
#pragma once

#include "resolver/snapshot/snapshot.h"
#include "tests/unit/test.h"

#define REPOSITORY_MAX_FILES 1100

struct repository_file {
	char *href, *bytes;
	size_t length;
};

/**
 * struct repository - what the reader below answers from
 * @folder:    a real repository, or NULL: files in memory
 * @snapshots: a folder of its own under /tmp, removed by repository_done()
 * @log:       all lines that the builder said */
struct repository {
	const char *folder;
	struct repository_file file[REPOSITORY_MAX_FILES];
	size_t count;
	struct text repomd, log;
	char path[64];
	int snapshots;
	unsigned int opened, progressed;
};

/** struct lies - what repomd.xml says of a file instead of the truth; 0 or NULL: the truth */
struct lies {
	const char *checksum, *open_checksum, *checksum_type;
	int64_t size, open_size;
	bool silent; /* says nothing of sizes and of what is inside */
};

void repository_start(struct repository *repository, const char *folder);
void repository_done(struct repository *repository);
/** repository_add() - a document under @type; @filter: a command such as "xz -c", or NULL for plain
 */
bool repository_add(struct repository *repository, const char *type, const char *bytes,
		    size_t length, const char *filter, const struct lies *lies);
/** repository_build() - repomd_parse(), snapshot_build(), snapshot_open(); the result of the first
 * that fails */
int repository_build(struct repository *repository, struct snapshot **ret, struct error *err);
/** repository_check_empty() - nothing is left of a build that failed, or of a damaged snapshot */
void repository_check_empty(const struct repository *repository);
/** shared_data() - path of a folder of the shared data, or NULL after saying why the part is
 * skipped */
const char *shared_data(const char *name, char path[static 4096]);
/** repository_inflated() - a record of a real repository, decompressed by the usual tools */
char *repository_inflated(const char *folder, const char *type, size_t *ret_length);
/** filter_bytes() - @bytes through a command; false when it fails */
bool filter_bytes(const char *command, const char *bytes, size_t length, struct text *ret);
