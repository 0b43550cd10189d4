/* SPDX-License-Identifier: MIT */
/* tests/unit/compose/checked.h: what holds for every compose, looked at for each that a test
 * writes. Included by programs, not by parts of one. */
#pragma once

#include "tests/unit/compose/scene.h"
#include "tests/unit/test.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#ifdef HAVE_TREE
#include "core/tree/tree.h"
#endif

static struct strings two_arches, one_arch, names;

static void lists_init(void)
{
	(void)strings_add(&two_arches, "aarch64");
	(void)strings_add(&two_arches, "x86_64");
	(void)strings_add(&one_arch, "x86_64");
	(void)strings_add(&names, "zip&zap");
	(void)strings_add(&names, "hello");
	(void)strings_add(&names, "hello");
}

/* @repository: the first one, below the folder that is the one argument */
static void begin(struct scene *scene, int argc, char **argv, const char *repository)
{
	struct text path = { 0 };

	if (argc != 2) {
		fprintf(stderr, "usage: %s TESTS-DATA\n", argv[0]);
		exit(2);
	}
	lists_init();
	scene_init(scene);
	(void)text_addf(&path, "%s/%s", argv[1], repository);
	(void)scene_repository(scene, path.data);
	text_done(&path);
}

static void finish(struct scene *scene)
{
	scene_done(scene);
	strings_done(&two_arches);
	strings_done(&one_arch);
	strings_done(&names);
}

static struct composition composition_of(const struct strings *arches)
{
	return (struct composition){
		.arches = arches,
		.comps_names = &names,
		.revision = 1700000000,
		.timestamp = 1700000001,
		.depsolve_log = "solved",
	};
}

/* ---- every compose ----------------------------------------------------- */

static uint64_t size_of(int dirfd, const char *directory, const char *name)
{
	struct text path = { 0 };
	struct stat st = { .st_size = -1 };

	(void)text_addf(&path, "%s/%s", directory, name);
	(void)fstatat(dirfd, path.data, &st, 0);
	text_done(&path);
	return (uint64_t)st.st_size;
}

static void check_blob_files(const struct work *work)
{
	int64_t bytes = work->result.manifest_new ? (int64_t)work->length : 0;
	int fd = openat(work->dirfd, "blobs", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *list = fdopendir(fd);
	struct dirent *entry;
	size_t count = 0;

	while ((entry = readdir(list))) {
		char hex[DIGEST_HEX_SIZE];
		uint64_t size;
		int file;

		if (entry->d_name[0] == '.')
			continue;
		file = openat(dirfd(list), entry->d_name, O_RDONLY | O_CLOEXEC);
		CHECK_INT(sha256_file(file, hex, &size), 0);
		(void)close(file);
		CHECK_STR(entry->d_name, hex);
		CHECK(strings_has(&work->result.blobs, hex));
		bytes += (int64_t)size;
		count++;
	}
	(void)closedir(list);
	CHECK_INT(count, work->result.blobs.count);
	CHECK_INT(bytes, work->result.bytes_written);
}

/* The rules of manifest.h, read again with other eyes than the writer's. */
static void check_manifest(const struct work *work, int64_t twice)
{
	const struct manifest_header *header = (const struct manifest_header *)work->manifest;
	int64_t size = 0, packages = 0;
	uint32_t next = 1;
	char hex[DIGEST_HEX_SIZE];

	CHECK(!memcmp(header->magic, MANIFEST_MAGIC, 8));
	CHECK_INT(header->file_size, work->length);
	CHECK_INT(header->strings_offset + header->strings_size, work->length);
	CHECK_INT(header->time_source, 1700000001);
	sha256_hex(work->manifest, work->length, hex);
	CHECK_STR(hex, work->result.manifest);
	for (uint32_t i = 0; i < header->record_count; i++) {
		const struct manifest_record *record = work_record(work, i);
		const char *name = work_string(work, record->name);

		CHECK_INT(strlen(name), record->name_length);
		size += (int64_t)record->size;
		packages += record->type == MANIFEST_PACKAGE;
		if (i && record->parent == record[-1].parent)
			CHECK(strcmp(work_string(work, record[-1].name), name) < 0);
		if (i)
			CHECK(i >= work_record(work, record->parent)->first &&
			      i < work_record(work, record->parent)->first +
					      work_record(work, record->parent)->count);
		if (record->type == MANIFEST_DIRECTORY && record->count) {
			CHECK_INT(record->first, next);
			next += record->count;
		}
		if (record->type >= MANIFEST_BLOB) {
			hex_print(record->digest, DIGEST_SIZE, hex);
			CHECK_INT(size_of(work->dirfd, "blobs", hex), record->size);
		}
	}
	CHECK_INT(next, header->record_count);
	CHECK_INT(size, work->result.size_bytes);
	CHECK_INT(packages, work->result.packages_count + twice);
#ifdef HAVE_TREE
	struct error err = { 0 };

	CHECK_INT(tree_check_bytes(work->manifest, work->length, &err), 0);
	CHECK_STR(err.message, "");
#endif
}

/* @twice: so many packages are shown under two names */
static struct work write_checked_but(struct scene *scene, struct composition *composition,
				     int64_t twice)
{
	struct work work = scene_write(scene, composition);

	CHECK_INT(work.r, 0);
	CHECK_STR(work.err.message, "");
	CHECK(work.manifest);
	if (work.r < 0 || !work.manifest)
		exit(1);
	check_blob_files(&work);
	check_manifest(&work, twice);
	return work;
}

static struct work write_checked(struct scene *scene, struct composition *composition)
{
	return write_checked_but(scene, composition, 0);
}
