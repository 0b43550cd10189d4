/* SPDX-License-Identifier: MIT */
/* tests/unit/compose/tree.c: a compose as ordinary files, for oracle.py.
 *
 * usage: compose-tree OUT ARCHES gz|zstd TIMESTAMP REPOSITORY...
 * Everything of the repositories goes into the compose; packages are copied from where the manifest
 * says, with the time it says; rpms.json gets the head that the server puts before it. */
#include "tests/unit/compose/scene.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static _Noreturn void give_up(const char *what)
{
	fprintf(stderr, "compose-tree: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void put_file(const struct work *work, const struct manifest_record *record, int dirfd)
{
	const char *name = work_string(work, record->name);
	struct timespec times[2] = { { .tv_sec = record->mtime }, { .tv_sec = record->mtime } };
	struct text path = { 0 }, content = { 0 };
	char *bytes = NULL;
	size_t length = record->size;

	if (record->type == MANIFEST_PACKAGE) {
		(void)text_addf(&path, "%s/%s", work_string(work, record->count),
				work_string(work, record->first));
		if (file_read(AT_FDCWD, path.data, SIZE_MAX / 2, &bytes, &length) < 0)
			give_up(path.data);
	} else {
		bytes = work_content(work, record);
		if (!bytes)
			give_up(name);
	}
	if (record->type == MANIFEST_RPMS_JSON || record->type == MANIFEST_MODULES_JSON) {
		struct spec spec = { .source_type = SOURCE_REPO };
		char type[] = "test";
		struct compose compose = {
			.id = 7,
			.spec = &spec,
			.time_submitted = 1700000000,
			.time_started = 1700000000,
			.time_done = 1700000000,
		};

		spec.compose_type = type;
		compose.pungi_compose_id = compose_id_text(7, 1700000000, type);
		if ((record->type == MANIFEST_RPMS_JSON
			     ? compose_text_rpms_head(&compose, &content)
			     : compose_text_modules_head(&compose, &content)) < 0)
			give_up(name);
		free(compose.pungi_compose_id);
	}
	(void)text_add(&content, bytes, length);
	if (content.failed || file_publish(dirfd, name, content.data, content.length) < 0 ||
	    utimensat(dirfd, name, times, 0) < 0)
		give_up(name);
	text_done(&content);
	text_done(&path);
	free(bytes);
}

static void put_directory(const struct work *work, const struct manifest_record *record, int dirfd)
{
	for (uint32_t i = 0; i < record->count; i++) {
		const struct manifest_record *child = work_record(work, record->first + i);
		int fd;

		if (child->type != MANIFEST_DIRECTORY) {
			put_file(work, child, dirfd);
			continue;
		}
		fd = directory_open(dirfd, work_string(work, child->name));
		if (fd < 0)
			give_up(work_string(work, child->name));
		put_directory(work, child, fd);
		(void)close(fd);
	}
}

int main(int argc, char **argv)
{
	struct strings arches = { 0 }, names = { 0 };
	struct composition composition = { .arches = &arches, .comps_names = &names };
	struct scene scene;
	struct work work;
	int64_t timestamp;
	int fd;

	if (argc < 5 || parse_int64(argv[4], &timestamp) < 0) {
		fprintf(stderr, "usage: compose-tree OUT ARCHES gz|zstd TIMESTAMP REPOSITORY...\n");
		return 2;
	}
	(void)strings_split(&arches, argv[2], ',');
	(void)strings_add(&names, "hello");
	(void)strings_add(&names, "nginx");
	scene_init(&scene);
	for (int i = 5; i < argc; i++)
		scene_take_all(&scene, scene_repository(&scene, argv[i]), &arches);
	composition.revision = composition.timestamp = timestamp;
	composition.modules = "---\ndocument: modulemd\nversion: 2\ndata:\n  name: hello\n"
			      "  stream: 2\n  version: 1\n  context: c0ffee\n  summary: Greeting\n"
			      "  description: Greeting\n  license:\n    module: [MIT]\n...\n";
	composition.compression = strcmp(argv[3], "zstd") ? COMPOSER_GZ : COMPOSER_ZSTD;
	work = scene_write(&scene, &composition);
	if (work.r < 0) {
		fprintf(stderr, "compose-tree: %s\n", work.err.message);
		return 1;
	}
	fd = directory_open(AT_FDCWD, argv[1]);
	if (fd < 0)
		give_up(argv[1]);
	put_directory(&work, work_record(&work, 0), fd);
	(void)close(fd);
	work_done(&work);
	scene_done(&scene);
	strings_done(&arches);
	strings_done(&names);
	return 0;
}
