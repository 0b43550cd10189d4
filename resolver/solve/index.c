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

/* ---- boolean relations ------------------------------------------------- */

/* libsolv walks them recursively, keeps a provider list for each part, and multiplies them out into
 * an "and" of "or"s for requirements and an "or" of "and"s for conflicts */
#define BOOLEAN_PARTS_MAX 2048
#define BOOLEAN_CLAUSES_MAX 4096

struct boolean {
	uint32_t parts, ands, ors; /* members of the "and" of "or"s, and of the "or" of "and"s */
};

static uint32_t bounded(uint64_t n)
{
	return n < UINT16_MAX ? (uint32_t)n : UINT16_MAX;
}

static struct boolean boolean_of(const struct boolean *rels, Id dep)
{
	return ISRELDEP(dep) ? rels[GETRELID(dep)] : (struct boolean){ 1, 1, 1 };
}

/* A condition is an "or" with the opposite of its second part, an exception an "and" with it; an
 * "else" joins a second one, of what follows it and of the second part as it is */
static struct boolean measure(const Pool *pool, const struct boolean *rels, const Reldep *rel)
{
	struct boolean a = boolean_of(rels, rel->name), b = boolean_of(rels, rel->evr), c = { 0 };
	const Reldep *other = ISRELDEP(rel->evr) ? GETRELDEP(pool, rel->evr) : NULL;
	uint64_t parts = (uint64_t)a.parts + b.parts, ands = 1, ors = 1;
	bool has_else = other && other->flags == REL_ELSE;

	if (has_else) {
		b = boolean_of(rels, other->name);
		c = boolean_of(rels, other->evr);
	}
	if (rel->flags == REL_AND || rel->flags == REL_ELSE) {
		ands = (uint64_t)a.ands + b.ands;
		ors = (uint64_t)a.ors * b.ors;
	} else if (rel->flags == REL_OR) {
		ands = (uint64_t)a.ands * b.ands;
		ors = (uint64_t)a.ors + b.ors;
	} else if (rel->flags == REL_COND) {
		ands = (uint64_t)a.ands * b.ors + (uint64_t)c.ands * b.ands;
		ors = ((uint64_t)a.ors + b.ands) * (has_else ? (uint64_t)c.ors + b.ors : 1);
	} else if (rel->flags == REL_UNLESS) {
		ands = ((uint64_t)a.ands + b.ors) * (has_else ? (uint64_t)c.ands + b.ands : 1);
		ors = (uint64_t)a.ors * b.ands + (uint64_t)c.ors * b.ors;
	}
	return (struct boolean){ bounded(parts), bounded(ands), bounded(ors) };
}

static int check_list(const Repo *repo, Offset list, bool conflict, const struct boolean *rels)
{
	for (const Id *id = repo->idarraydata + list; list && *id; id++) {
		struct boolean size = boolean_of(rels, *id);

		if (size.parts > BOOLEAN_PARTS_MAX ||
		    (conflict ? size.ors : size.ands) > BOOLEAN_CLAUSES_MAX)
			return -EBADMSG;
	}
	return 0;
}

static int check_booleans(Pool *pool, const Repo *repo, struct error *err)
{
	_cleanup_(freep) struct boolean *rels = calloc((size_t)pool->nrels + 1, sizeof(*rels));

	if (!rels)
		return error_oom(err);
	for (Id id = 1; id < pool->nrels; id++) /* parts come before what they are parts of */
		rels[id] = measure(pool, rels, pool->rels + id);
	for (Id p = repo->start; p < repo->end; p++) {
		const Solvable *s = pool_id2solvable(pool, p);
		const Offset lists[] = { s->conflicts,	 s->requires, s->recommends, s->suggests,
					 s->supplements, s->enhances, s->obsoletes };

		for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
			if (check_list(repo, lists[i], i == 0, rels) < 0)
				return error_set(err, -EBADMSG, BLAME_SOURCE, "primary",
						 "%.512s has a boolean requirement or conflict "
						 "that is too large",
						 pool_solvid2str(pool, p));
	}
	return 0;
}

/* The package at which reading stopped, as far as it got */
static const char *last_name(Pool *pool, const Repo *repo)
{
	const Solvable *s = repo->end > repo->start ? pool_id2solvable(pool, repo->end - 1) : NULL;

	return s && s->name && s->evr && s->arch ? pool_solvid2str(pool, repo->end - 1) : "(none)";
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
	r = repo_add_rpmmd(repo, stripped, NULL, REPO_NO_INTERNALIZE);
	if (ferror(stripped))
		return ferror(primary)
			       ? error_set(err, -EBADMSG, BLAME_SOURCE, "primary", "cannot be read")
			       : error_set(err, -EBADMSG, BLAME_SOURCE, "primary",
					   "a requirement or other relation is too long, of the "
					   "package %.512s or a later one",
					   last_name(pool, repo));
	if (r != 0)
		return error_set(err, -EBADMSG, BLAME_SOURCE, "primary", "%s", pool_errstr(pool));
	r = check_row(pool, repo, err);
	if (r == 0)
		r = check_booleans(pool, repo, err);
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
