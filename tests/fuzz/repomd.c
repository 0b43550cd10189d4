/* SPDX-License-Identifier: MIT */
/* tests/fuzz/repomd.c: bytes that a repository may offer as its repomd.xml.
 *
 * What is accepted must be usable by whoever believes it: every record named, placed and summed. */
#include "resolver/snapshot/snapshot.h"

#include "core/model/model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(condition)                                                                            \
	do {                                                                                       \
		if (!(condition))                                                                  \
			abort();                                                                   \
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(repomd_freep) struct repomd *repomd = NULL;
	struct error err = { 0 };
	int r = repomd_parse((const char *)data, size, &repomd, &err);

	if (r < 0) {
		MUST(!repomd && err.message[0] && err.blame == BLAME_SOURCE);
		return 0;
	}
	MUST(hex_is_digest(repomd->digest) && repomd->count <= REPOMD_MAX_RECORDS);
	MUST(repomd->revision >= -1 && repomd->timestamp >= 0);
	for (size_t i = 0; i < repomd->count; i++) {
		const struct repomd_record *record = &repomd->record[i];

		MUST(*record->type && repomd_find(repomd, record->type));
		MUST(location_check(record->href, "repomd.xml", &err) == 0);
		MUST(*record->checksum_type && *record->checksum);
		MUST(!record->open_checksum || record->open_checksum_type);
		MUST(record->size >= -1 && record->open_size >= -1 && record->timestamp >= -1);
	}
	return 0;
}
