/* SPDX-License-Identifier: MIT */
/* tests/unit/compose/scene.h: repositories as snapshots, package sets out of them, composes into
 * temporary work directories, and the files of a manifest: what the tests of resolver/compose
 * share. */
#pragma once

#include "core/tree/manifest.h"
#include "resolver/compose/composer.h"

#define SCENE_REPOSITORIES 8

/** struct scene - everything below @directory, removed by scene_done() */
struct scene {
	char directory[64];
	int dirfd, snapshots_dirfd;
	struct snapshot *snapshot[SCENE_REPOSITORIES];
	char *base[SCENE_REPOSITORIES];
	size_t repositories;
	struct composer_package *package;
	size_t count, room;
	unsigned int works;
};

void scene_init(struct scene *scene);
void scene_done(struct scene *scene);
/** scene_repository() - number of the repository at @path */
size_t scene_repository(struct scene *scene, const char *path);
/** scene_primary() - of one made of these <package> elements, without filelists and other, and
 * without files */
size_t scene_primary(struct scene *scene, const char *name, const char *elements, size_t packages);
/** scene_take() - add a package of a repository to the set */
struct composer_package *scene_take(struct scene *scene, size_t repository, uint32_t index,
				    uint32_t arch, enum composer_tree tree);
/** scene_take_all() - each package where it belongs: source, debug, os; noarch under every arch */
void scene_take_all(struct scene *scene, size_t repository, const struct strings *arches);
void scene_clear(struct scene *scene);
void scene_shuffle(struct scene *scene, unsigned int seed);

/** struct work - one compose: its work directory and its manifest */
struct work {
	int r;
	struct error err;
	int dirfd;
	char path[96];
	struct composer_result result;
	char *manifest; /* bytes; NULL when none was written */
	size_t length;
};
/** scene_write() - composer_write() of the set into a new work directory */
struct work scene_write(struct scene *scene, struct composition *composition);
void work_done(struct work *work);

const struct manifest_record *work_record(const struct work *work, uint32_t index);
const char *work_string(const struct work *work, uint32_t offset);
/** work_detail() - string @number (0 NEVRA, 1 reason, 2 checksum, 3 origin) of a package; "" for
 * NULL */
const char *work_detail(const struct work *work, const struct manifest_record *record, int number);
/** work_find() - by path below the compose, or NULL; with @prefix the last part need only begin so
 * and end in @suffix (repodata file names begin with their digest) */
const struct manifest_record *work_find(const struct work *work, const char *path);
const struct manifest_record *work_find_suffix(const struct work *work, const char *directory,
					       const char *suffix);
/** work_content() - text of a blob; malloc'ed; NULL when not there */
char *work_content(const struct work *work, const struct manifest_record *record);
char *work_text(const struct work *work, const char *path);
