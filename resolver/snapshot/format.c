/* SPDX-License-Identifier: MIT */
/* resolver/snapshot/format.c: sums and the order of the parts of packages.idx, for writer and
 * reader. */
#include "resolver/snapshot/format.h"

#include <sys/mman.h>
#include <sys/stat.h>

const char *const index_stream_file[SNAPSHOT_STREAMS] = { "primary.zst", "filelists.zst",
							  "other.zst" };
const char *const index_stream_field[SNAPSHOT_STREAMS] = { "primary.xml", "filelists.xml",
							   "other.xml" };

#define SUM_PRIME UINT64_C(0x9e3779b97f4a7c15)

static uint64_t mix(uint64_t sum, uint64_t word)
{
	sum = (sum ^ word) * SUM_PRIME;
	return sum ^ sum >> 29;
}

uint64_t index_sum(uint64_t seed, const void *bytes, size_t length)
{
	const uint8_t *at = bytes;
	uint64_t lane[4] = { seed, ~seed, seed + SUM_PRIME, seed - SUM_PRIME };
	uint64_t word[4], sum = length;
	size_t left = length;

	/* four lanes that do not wait for each other */
	for (; left >= sizeof(word); left -= sizeof(word), at += sizeof(word)) {
		memcpy(word, at, sizeof(word));
		for (size_t i = 0; i < 4; i++)
			lane[i] = mix(lane[i], word[i]);
	}
	memset(word, 0, sizeof(word));
	if (left)
		memcpy(word, at, left);
	for (size_t i = 0; i < 4; i++)
		sum = mix(sum, mix(lane[i], word[i]));
	return sum;
}

int index_file_sum(int fd, uint64_t *ret_bytes, uint64_t *ret_sum)
{
	struct stat st;
	void *map;

	if (fstat(fd, &st) < 0)
		return -errno;
	*ret_bytes = (uint64_t)st.st_size;
	if (st.st_size == 0) {
		*ret_sum = index_sum(0, NULL, 0);
		return 0;
	}
	map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
	if (map == MAP_FAILED)
		return -errno;
	*ret_sum = index_sum(0, map, (size_t)st.st_size);
	(void)munmap(map, (size_t)st.st_size);
	return 0;
}

uint64_t index_hash(uint64_t seed, const char *bytes, size_t length)
{
	return index_sum(seed, bytes, length);
}

uint64_t index_seed(const uint8_t repomd[DIGEST_SIZE])
{
	uint64_t seed;

	memcpy(&seed, repomd, sizeof(seed));
	return seed;
}

static bool add_part(uint64_t *end, uint64_t count, uint64_t size, uint64_t *ret)
{
	*ret = *end;
	if (count > (UINT64_MAX / 2 - *end) / size)
		return false;
	*end = (*end + count * size + 7) & ~UINT64_C(7);
	return true;
}

bool index_layout(const struct index_header *header, struct index_layout *ret)
{
	uint64_t end = (sizeof(*header) + 7) & ~UINT64_C(7);

	if (!add_part(&end, header->package_count, sizeof(struct index_package), &ret->packages))
		return false;
	for (int i = 0; i < SNAPSHOT_STREAMS; i++)
		if (!add_part(&end, (uint64_t)header->frame_count[i] + 1,
			      sizeof(struct index_frame), &ret->frames[i]))
			return false;
	return add_part(&end, header->source_slots, sizeof(uint32_t), &ret->sources) &&
	       add_part(&end, header->path_count, sizeof(struct index_path), &ret->paths) &&
	       add_part(&end, header->owner_count, sizeof(uint32_t), &ret->owners) &&
	       add_part(&end, header->string_bytes, 1, &ret->strings) && ((ret->bytes = end), true);
}
