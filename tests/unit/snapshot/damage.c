/* SPDX-License-Identifier: MIT */
/* tests/unit/snapshot/damage.c: snapshots after an unclean stop, and with an index that lies. */
#include "resolver/snapshot/format.h"
#include "tests/unit/snapshot/repository.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static void spoil(const struct repository *repository, const char *digest, const char *file,
		  off_t offset, size_t zeros, off_t cut)
{
	char path[256], nothing[4096] = { 0 };
	int fd;

	(void)snprintf(path, sizeof(path), "%s/%s/%s", repository->path, digest, file);
	fd = open(path, O_RDWR | O_CLOEXEC);
	CHECK(fd >= 0);
	if (zeros)
		CHECK(pwrite(fd, nothing, zeros, offset) == (ssize_t)zeros);
	if (cut >= 0)
		CHECK(ftruncate(fd, cut) == 0);
	(void)close(fd);
}

static void test_damage(void)
{
	static const struct {
		const char *file;
		off_t offset;
		size_t zeros;
		off_t cut;
	} cases[] = {
		{ "packages.idx", 0, 0, 0 },	   { "packages.idx", 0, 0, 100 },
		{ "packages.idx", 0, 8, -1 },	   { "packages.idx", 40, 8, -1 },
		{ "packages.idx", 600, 64, -1 },   { "packages.idx", 4096, 4096, -1 },
		{ "packages.idx", 0, 4096, 8192 }, { "primary.zst", 0, 0, 1000 },
		{ "filelists.zst", 0, 0, 0 },	   { "solv", 0, 0, 99 },
	};
	static const char folder[] = SOURCE_ROOT "/tests/data/universe-small/base";

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct repository repository;
		struct snapshot *snapshot = NULL, *again = NULL;
		struct error err = { 0 };
		char digest[DIGEST_HEX_SIZE];

		repository_start(&repository, folder);
		CHECK_INT(repository_build(&repository, &snapshot, &err), 0);
		memcpy(digest, snapshot_digest(snapshot), sizeof(digest));
		snapshot_free(snapshot);
		spoil(&repository, digest, cases[i].file, cases[i].offset, cases[i].zeros,
		      cases[i].cut);
		CHECK_INT(snapshot_open(repository.snapshots, digest, &again, &err), -ENOENT);
		CHECK(!again);
		repository_check_empty(&repository);
		CHECK_INT(repository_build(&repository, &again, &err), 0);
		snapshot_free(again);
		repository_done(&repository);
	}
}

/* Pages that were never written are met only later: said then, and gone at the next open. */
static void test_late_damage(void)
{
	static const char *const files[] = { "primary.zst", "other.zst", "solv" };
	static const char folder[] = SOURCE_ROOT "/tests/data/universe-small/base";

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		struct repository repository;
		struct snapshot *snapshot = NULL, *again = NULL;
		struct text text = { 0 };
		struct error err = { 0 };
		char digest[DIGEST_HEX_SIZE];
		FILE *solv = NULL;
		int r = 0;

		repository_start(&repository, folder);
		CHECK_INT(repository_build(&repository, &snapshot, &err), 0);
		memcpy(digest, snapshot_digest(snapshot), sizeof(digest));
		spoil(&repository, digest, files[i], 4096, 4096, -1);
		for (uint32_t k = 0; r == 0 && i < 2 && k < snapshot_count(snapshot); k++)
			r = snapshot_element(snapshot, i ? SNAPSHOT_OTHER : SNAPSHOT_PRIMARY, k,
					     &text, NULL, &err);
		if (i == 2)
			r = snapshot_solv(snapshot, &solv, &err);
		CHECK_INT(r, -EIO);
		CHECK_INT(err.blame, BLAME_US);
		CHECK(strstr(err.message, "damaged") && strstr(err.message, digest));
		snapshot_free(snapshot);
		CHECK_INT(snapshot_open(repository.snapshots, digest, &again, &err), -ENOENT);
		repository_check_empty(&repository);
		text_done(&text);
		repository_done(&repository);
	}
}

static void test_twice(void)
{
	static const char folder[] = SOURCE_ROOT "/tests/data/universe-small/updates";
	struct repository repository;
	struct snapshot *first = NULL, *second = NULL;
	struct error err = { 0 };
	char leftover[DIGEST_HEX_SIZE + 32];
	struct stat st;

	repository_start(&repository, folder);
	CHECK_INT(snapshot_open(repository.snapshots, "no digest", &first, &err), -EINVAL);
	CHECK_INT(repository_build(&repository, &first, &err), 0);
	/* what a killed worker with our number left behind does not disturb */
	(void)snprintf(leftover, sizeof(leftover), ".%s.%ld", snapshot_digest(first),
		       (long)getpid());
	CHECK_INT(mkdirat(repository.snapshots, leftover, 0755), 0);
	CHECK_INT(mkdirat(repository.snapshots, "x", 0755), 0);
	CHECK_INT(directory_remove(repository.snapshots, snapshot_digest(first)), 0);
	CHECK_INT(repository_build(&repository, &second, &err), 0);
	CHECK_INT(fstatat(repository.snapshots, leftover, &st, 0), -1);
	snapshot_free(first);
	snapshot_free(second);
	repository_done(&repository);
}

/* ---- an index with right sums and wrong numbers ---- */

static void sign(char *bytes)
{
	struct index_header header;
	struct index_layout layout;
	uint64_t sum = 0;

	memcpy(&header, bytes, sizeof(header));
	header.header_sum = 0;
	if (index_layout(&header, &layout) && layout.bytes == header.bytes) {
		sum = index_sum(sum, bytes + layout.packages,
				header.package_count * sizeof(struct index_package));
		for (int i = 0; i < SNAPSHOT_STREAMS; i++)
			sum = index_sum(sum, bytes + layout.frames[i],
					(header.frame_count[i] + (size_t)1) *
						sizeof(struct index_frame));
		sum = index_sum(sum, bytes + layout.sources,
				header.source_slots * sizeof(uint32_t));
		sum = index_sum(sum, bytes + layout.paths,
				header.path_count * sizeof(struct index_path));
		sum = index_sum(sum, bytes + layout.owners, header.owner_count * sizeof(uint32_t));
		header.body_sum = index_sum(sum, bytes + layout.strings, header.string_bytes);
	}
	header.header_sum = index_sum(0, &header, sizeof(header));
	memcpy(bytes, &header, sizeof(header));
}

static int ignore_found(void *data, uint32_t index, const char *path)
{
	unsigned int *count = data;

	*count += index < UINT32_MAX && *path;
	return 0;
}

/* Whatever was accepted must be harmless to use. */
static void use_all(struct snapshot *snapshot)
{
	struct strings paths = { 0 };
	struct text text = { 0 };
	struct error err = { 0 };
	unsigned int count = 0;
	uint32_t index;

	for (uint32_t i = 0; i < snapshot_count(snapshot); i++) {
		struct snapshot_package package;
		size_t location[2];

		snapshot_package_get(snapshot, i, &package);
		(void)snapshot_find_source(snapshot, package.sourcerpm, &index);
		for (int k = 0; k < SNAPSHOT_STREAMS; k++) {
			text_clear(&text);
			if (snapshot_element(snapshot, (enum snapshot_stream)k, i, &text, location,
					     &err) == 0 &&
			    k == SNAPSHOT_PRIMARY)
				CHECK(location[0] + location[1] <= text.length);
		}
	}
	(void)snapshot_paths(snapshot, ignore_found, &count);
	CHECK_INT(strings_add(&paths, "/bin/sh"), 0);
	CHECK_INT(strings_add(&paths, "/nowhere"), 0);
	(void)snapshot_find_paths(snapshot, &paths, ignore_found, &count, &err);
	strings_done(&paths);
	text_done(&text);
}

static void test_forged(void)
{
	static const char folder[] = SOURCE_ROOT "/tests/data/universe-small/updates";
	static const uint32_t values[] = { 0, 1, 0x7fffffff, 0x80000000, 0xffffffff };
	struct repository repository;
	struct snapshot *snapshot = NULL;
	struct error err = { 0 };
	char digest[DIGEST_HEX_SIZE], name[96], *bytes = NULL;
	size_t length = 0, opened = 0, refused = 0;

	repository_start(&repository, folder);
	CHECK_INT(repository_build(&repository, &snapshot, &err), 0);
	memcpy(digest, snapshot_digest(snapshot), sizeof(digest));
	snapshot_free(snapshot);
	(void)snprintf(name, sizeof(name), "%s/packages.idx", digest);
	CHECK_INT(file_read(repository.snapshots, name, 1 << 24, &bytes, &length), 0);
	for (size_t at = 8; at + 4 <= length; at += 4 + at / 256 * 4) {
		char *copy = malloc(length);
		int folder_fd;

		memcpy(copy, bytes, length);
		memcpy(copy + at, &values[at / 4 % ARRAY_SIZE(values)], 4);
		sign(copy);
		folder_fd =
			openat(repository.snapshots, digest, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (folder_fd < 0) { /* the last one was refused, so it is gone */
			CHECK_INT(repository_build(&repository, &snapshot, &err), 0);
			snapshot_free(snapshot);
			folder_fd = openat(repository.snapshots, digest,
					   O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		}
		CHECK_INT(file_publish(folder_fd, "packages.idx", copy, length), 0);
		(void)close(folder_fd);
		free(copy);
		snapshot = NULL;
		if (snapshot_open(repository.snapshots, digest, &snapshot, &err) == 0) {
			use_all(snapshot);
			opened++;
		} else {
			CHECK(!snapshot);
			refused++;
		}
		snapshot_free(snapshot);
	}
	CHECK(opened > 20 && refused > 50);
	free(bytes);
	repository_done(&repository);
}

int main(void)
{
	test_damage();
	test_late_damage();
	test_twice();
	test_forged();
	TEST_END();
}
