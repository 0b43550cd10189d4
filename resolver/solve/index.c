/* SPDX-License-Identifier: MIT */
/* resolver/solve/index.c: primary XML → libsolv's own format, once per snapshot.
 *
 * Only what the solver looks at is kept: identity, relations and the files that primary lists.
 * Texts, checksums and places of packages stand in the snapshot's own index, and leaving them out
 * makes the .solv a quarter of the size. Weak dependencies stay: they are never followed, but
 * libsolv lets them decide between equal providers, as dnf does. Called while a snapshot is built.
 * Reads and writes the streams it is handed, nothing else. */
#include "resolver/solve/solve.h"
#include "resolver/solve/strip.h"

#include <solv/pool.h>
#include <solv/repo.h>
#include <solv/repo_rpmmd.h>
#include <solv/repo_write.h>

static void pool_freep(Pool **pool)
{
	if (*pool)
		pool_free(*pool);
}

static int keep_key(Repo *repo, Repokey *key, void *data)
{
	(void)repo;
	(void)data;
	switch (key->name) {
	case SOLVABLE_NAME:
	case SOLVABLE_ARCH:
	case SOLVABLE_EVR:
	case SOLVABLE_PROVIDES:
	case SOLVABLE_OBSOLETES:
	case SOLVABLE_CONFLICTS:
	case SOLVABLE_REQUIRES:
	case SOLVABLE_RECOMMENDS:
	case SOLVABLE_SUGGESTS:
	case SOLVABLE_SUPPLEMENTS:
	case SOLVABLE_ENHANCES:
	case SOLVABLE_FILELIST:
		return KEY_STORAGE_INCORE;
	default:
		return KEY_STORAGE_DROPPED;
	}
}

/* rpmlib(…) is a demand on the installing rpm; createrepo_c leaves it out, other tools may not */
static void drop_rpmlib(Pool *pool, Repo *repo)
{
	for (Id p = repo->start; p < repo->end; p++) {
		Solvable *s = pool_id2solvable(pool, p);
		Id *from, *to;

		if (s->repo != repo || !s->requires)
			continue;
		from = to = repo->idarraydata + s->requires;
		for (; *from; from++)
			if (strncmp(pool_id2str(pool, *from), "rpmlib(", 7) != 0)
				*to++ = *from;
		*to = 0;
	}
}

static int add_paths(Repo *repo, Repodata *data, const struct solve_path *paths, size_t count,
		     struct error *err)
{
	for (size_t i = 0; i < count; i++) {
		const char *path = paths[i].path, *base = strrchr(path, '/');
		char directory[4096];
		size_t length;

		if (!base || path[0] != '/' || paths[i].index >= (uint32_t)repo->nsolvables)
			return error_set(err, -EINVAL, BLAME_US, NULL,
					 "%s cannot be a file of package %" PRIu32, path,
					 paths[i].index);
		length = base == path ? 1 : (size_t)(base - path);
		if (length >= sizeof(directory))
			return error_set(err, -ENAMETOOLONG, BLAME_SOURCE, NULL,
					 "path too long: %.64s...", path);
		memcpy(directory, path, length);
		directory[length] = '\0';
		repodata_add_dirstr(data, repo->start + (Id)paths[i].index, SOLVABLE_FILELIST,
				    repodata_str2dir(data, directory, 1), base + 1);
	}
	return 0;
}

/* packages are named by their place: anything but a solid row of them in @repo is refused */
static int check_row(Pool *pool, Repo *repo, struct error *err)
{
	if (repo->nsolvables && repo->end - repo->start != repo->nsolvables)
		return error_set(err, -EBADMSG, BLAME_SOURCE, "primary",
				 "metadata beside packages is not understood");
	for (Id p = repo->start; p < repo->end; p++) {
		const Solvable *s = pool_id2solvable(pool, p);

		if (s->repo != repo || !s->name || !s->arch || !s->evr)
			return error_set(err, -EBADMSG, BLAME_SOURCE, "primary",
					 "package %d has no name, version or arch",
					 p - repo->start + 1);
	}
	return 0;
}

int solve_index(FILE *primary, const struct solve_path *paths, size_t path_count, FILE *solv,
		uint32_t *ret_count, struct error *err)
{
	_cleanup_(fclosep) FILE *stripped = strip_open(primary);
	_cleanup_(pool_freep) Pool *pool = pool_create();
	Repo *repo = repo_create(pool, "r");
	Repowriter *writer;
	Repodata *data;
	int r;

	if (!stripped)
		return error_oom(err);
	pool_setdisttype(pool, DISTTYPE_RPM);
	if (repo_add_rpmmd(repo, stripped, NULL, REPO_NO_INTERNALIZE) != 0)
		return error_set(err, -EBADMSG, BLAME_SOURCE, "primary", "%s", pool_errstr(pool));
	r = check_row(pool, repo, err);
	if (r < 0)
		return r;
	data = repo_add_repodata(repo, REPO_REUSE_REPODATA);
	r = add_paths(repo, data, paths, path_count, err);
	if (r < 0)
		return r;
	repo_internalize(repo);
	drop_rpmlib(pool, repo);

	writer = repowriter_create(repo);
	repowriter_set_keyfilter(writer, keep_key, NULL);
	r = repowriter_write(writer, solv);
	repowriter_free(writer);
	if (r != 0 || fflush(solv) != 0)
		return error_errno(err, errno ? -errno : -EIO, "cannot write the solver's index");
	*ret_count = (uint32_t)repo->nsolvables;
	return 0;
}
