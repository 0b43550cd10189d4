/* SPDX-License-Identifier: MIT */
/* tests/unit/compose/scene.c: see scene.h. A helper that cannot do its work ends the program: a
 * test that could not be set up has not passed. */
#include "tests/unit/compose/scene.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static _Noreturn void give_up(const char *what, const struct error *err)
{
	fprintf(stderr, "%s: %s\n", what, err ? err->message : strerror(errno));
	exit(1);
}

void scene_init(struct scene *scene)
{
	*scene = (struct scene){ .directory = "/tmp/odcsfs-compose-XXXXXX" };
	if (!mkdtemp(scene->directory))
		give_up("mkdtemp", NULL);
	scene->dirfd = open(scene->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	scene->snapshots_dirfd = directory_open(scene->dirfd, "snapshots");
	if (scene->dirfd < 0 || scene->snapshots_dirfd < 0)
		give_up("snapshots", NULL);
}

void scene_done(struct scene *scene)
{
	for (size_t i = 0; i < scene->repositories; i++) {
		snapshot_free(scene->snapshot[i]);
		free(scene->base[i]);
	}
	free(scene->package);
	(void)close(scene->snapshots_dirfd);
	(void)close(scene->dirfd);
	(void)directory_remove(AT_FDCWD, scene->directory);
}

/* ---- repositories ------------------------------------------------------ */

static int open_record(void *data, const struct repomd_record *record, struct error *err)
{
	struct text path = { 0 };
	int fd;

	(void)text_addf(&path, "%s/%s", (const char *)data, record->href);
	fd = open(path.data, O_RDONLY | O_CLOEXEC);
	text_done(&path);
	return fd < 0 ? error_errno(err, -errno, "%s", record->href) : fd;
}

size_t scene_repository(struct scene *scene, const char *path)
{
	struct snapshot_reader reader = { .open = open_record };
	struct repomd *repomd = NULL;
	struct text name = { 0 };
	struct error err = { 0 };
	char *bytes = NULL;
	size_t length = 0, number = scene->repositories;
	int r;

	if (number == SCENE_REPOSITORIES || !(scene->base[number] = realpath(path, NULL)))
		give_up(path, NULL);
	(void)text_addf(&name, "%s/repodata/repomd.xml", scene->base[number]);
	if (file_read(AT_FDCWD, name.data, REPOMD_MAX_BYTES, &bytes, &length) < 0)
		give_up(name.data, NULL);
	text_done(&name);
	reader.data = scene->base[number];
	r = repomd_parse(bytes, length, &repomd, &err);
	free(bytes);
	if (r == 0)
		r = snapshot_build(scene->snapshots_dirfd, repomd, &reader, NULL, &err);
	if (r == 0)
		r = snapshot_open(scene->snapshots_dirfd, repomd->digest, &scene->snapshot[number],
				  &err);
	repomd_free(repomd);
	if (r < 0)
		give_up(path, &err);
	scene->repositories++;
	return number;
}

static void write_file(int dirfd, const char *name, struct text *text)
{
	if (text->failed || file_publish(dirfd, name, text->data, text->length) < 0)
		give_up(name, NULL);
	text_done(text);
}

size_t scene_primary(struct scene *scene, const char *name, const char *elements, size_t packages)
{
	struct text primary = { 0 }, repomd = { 0 }, path = { 0 };
	char hex[DIGEST_HEX_SIZE];
	size_t number;
	int dirfd;

	(void)text_addf(&path, "%s/repodata", name);
	dirfd = directory_open(scene->dirfd, path.data);
	text_clear(&path);
	(void)text_addf(&primary,
			"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
			"<metadata xmlns=\"http://linux.duke.edu/metadata/common\" "
			"xmlns:rpm=\"http://linux.duke.edu/metadata/rpm\" packages=\"%zu\">\n%s"
			"</metadata>\n",
			packages, elements);
	sha256_hex(primary.data, primary.length, hex);
	(void)text_addf(&repomd,
			"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
			"<repomd xmlns=\"http://linux.duke.edu/metadata/repo\">\n"
			"<revision>5</revision>\n<data type=\"primary\">"
			"<checksum type=\"sha256\">%s</checksum>"
			"<location href=\"repodata/primary.xml\"/><timestamp>5</timestamp>"
			"<size>%zu</size></data>\n</repomd>\n",
			hex, primary.length);
	write_file(dirfd, "primary.xml", &primary);
	write_file(dirfd, "repomd.xml", &repomd);
	(void)close(dirfd);
	(void)text_addf(&path, "%s/%s", scene->directory, name);
	number = scene_repository(scene, path.data);
	text_done(&path);
	return number;
}

/* ---- package sets ------------------------------------------------------ */

struct composer_package *scene_take(struct scene *scene, size_t repository, uint32_t index,
				    uint32_t arch, enum composer_tree tree)
{
	struct composer_package *package;
	struct snapshot_package about;
	struct text path = { 0 };
	struct stat st = { 0 };

	if (scene->count == scene->room) {
		scene->room = scene->room ? scene->room * 2 : 64;
		scene->package = reallocarray(scene->package, scene->room, sizeof(*scene->package));
		if (!scene->package)
			give_up("package set", NULL);
	}
	snapshot_package_get(scene->snapshot[repository], index, &about);
	(void)text_addf(&path, "%s/%s", scene->base[repository], about.href);
	(void)stat(path.data, &st); /* some repositories of the tests have no files */
	text_done(&path);
	package = &scene->package[scene->count++];
	*package = (struct composer_package){
		.snapshot = scene->snapshot[repository],
		.index = index,
		.arch = arch,
		.tree = tree,
		.reason = "whole repository",
		.base = scene->base[repository],
		.path = about.href,
		.mtime_ns = st.st_mtim.tv_sec * INT64_C(1000000000) + st.st_mtim.tv_nsec,
		.ino = st.st_ino,
	};
	return package;
}

void scene_take_all(struct scene *scene, size_t repository, const struct strings *arches)
{
	uint32_t count = snapshot_count(scene->snapshot[repository]);

	for (uint32_t i = 0; i < count; i++) {
		struct snapshot_package about;

		snapshot_package_get(scene->snapshot[repository], i, &about);
		if (about.source) {
			(void)scene_take(scene, repository, i, 0, COMPOSER_SOURCE);
			continue;
		}
		for (uint32_t arch = 0; arch < arches->count; arch++)
			if (!strcmp(about.arch, "noarch") ||
			    !strcmp(about.arch, arches->item[arch]))
				(void)scene_take(scene, repository, i, arch,
						 about.debug ? COMPOSER_DEBUG : COMPOSER_OS);
	}
}

void scene_clear(struct scene *scene)
{
	scene->count = 0;
}

void scene_shuffle(struct scene *scene, unsigned int seed)
{
	for (size_t i = scene->count; i > 1; i--) {
		size_t other = (size_t)rand_r(&seed) % i;
		struct composer_package swap = scene->package[i - 1];

		scene->package[i - 1] = scene->package[other];
		scene->package[other] = swap;
	}
}

/* ---- composes ---------------------------------------------------------- */

struct work scene_write(struct scene *scene, struct composition *composition)
{
	struct work work = { 0 };
	struct text name = { 0 };
	int fd;

	(void)snprintf(work.path, sizeof(work.path), "%s/work-%u", scene->directory,
		       scene->works++);
	work.dirfd = directory_open(AT_FDCWD, work.path);
	fd = directory_open(work.dirfd, "blobs");
	(void)close(fd);
	fd = directory_open(work.dirfd, "manifests");
	(void)close(fd);
	composition->package = scene->package;
	composition->count = scene->count;
	work.r = composer_write(composition, work.dirfd, &work.result, &work.err);
	(void)text_addf(&name, "manifests/%s", work.result.manifest);
	if (work.r == 0 && work.result.manifest_new &&
	    file_read(work.dirfd, name.data, MANIFEST_MAX_BYTES, &work.manifest, &work.length) < 0)
		give_up(name.data, NULL);
	text_done(&name);
	return work;
}

void work_done(struct work *work)
{
	composer_result_done(&work->result);
	free(work->manifest);
	(void)close(work->dirfd);
	(void)directory_remove(AT_FDCWD, work->path);
}

const struct manifest_record *work_record(const struct work *work, uint32_t index)
{
	return (const struct manifest_record *)(work->manifest + sizeof(struct manifest_header)) +
	       index;
}

const char *work_string(const struct work *work, uint32_t offset)
{
	const struct manifest_header *header = (const struct manifest_header *)work->manifest;

	return work->manifest + header->strings_offset + offset;
}

const char *work_detail(const struct work *work, const struct manifest_record *record, int number)
{
	const char *detail;

	if (!record || record->type != MANIFEST_PACKAGE)
		return "";
	detail = work_string(work, record->detail);
	while (number-- > 0)
		detail += strlen(detail) + 1;
	return detail;
}

static const struct manifest_record *find_child(const struct work *work,
						const struct manifest_record *directory,
						const char *name, size_t length, bool suffix)
{
	for (uint32_t i = 0; i < directory->count; i++) {
		const struct manifest_record *child = work_record(work, directory->first + i);
		const char *tail = work_string(work, child->name);

		if (child->name_length < length || (!suffix && child->name_length != length))
			continue;
		if (!memcmp(tail + child->name_length - length, name, length))
			return child;
	}
	return NULL;
}

const struct manifest_record *work_find(const struct work *work, const char *path)
{
	const struct manifest_record *record = work_record(work, 0);

	while (record && *path) {
		const char *end = strchrnul(path, '/');

		if (record->type != MANIFEST_DIRECTORY)
			return NULL;
		record = find_child(work, record, path, (size_t)(end - path), false);
		path = *end ? end + 1 : end;
	}
	return record;
}

const struct manifest_record *work_find_suffix(const struct work *work, const char *directory,
					       const char *suffix)
{
	const struct manifest_record *record = work_find(work, directory);

	return record ? find_child(work, record, suffix, strlen(suffix), true) : NULL;
}

char *work_content(const struct work *work, const struct manifest_record *record)
{
	char name[DIGEST_HEX_SIZE + 8] = "blobs/", *content = NULL;
	size_t length = 0;

	if (!record || record->type < MANIFEST_BLOB)
		return NULL;
	hex_print(record->digest, DIGEST_SIZE, name + 6);
	if (file_read(work->dirfd, name, SIZE_MAX / 2, &content, &length) < 0)
		return NULL;
	if (length == record->size)
		return content;
	free(content);
	return NULL;
}

char *work_text(const struct work *work, const char *path)
{
	return work_content(work, work_find(work, path));
}
