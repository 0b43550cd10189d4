/* SPDX-License-Identifier: MIT */
/* resolver/solve/pool.c: repositories loaded for one arch, and names looked up in them.
 *
 * Candidates are the packages of the pool's arch and noarch. Where two repositories hold the same
 * NEVRA the first listed wins: the later one is no candidate. Debug packages are candidates, since
 * a named one may need another, but nothing else ever needs them; a request for everything leaves
 * them out. Called by resolver/sources. Never opens, waits or logs. */
#include "resolver/solve/pool.h"

#include "core/model/model.h"

#include <solv/evr.h>
#include <solv/poolarch.h>
#include <solv/repo_solv.h>

/* What rpm builds for: libsolv takes any word for an arch, which would make a compose of noarch
 * packages out of a slip of the pen. */
static const char *const arches[] = {
	"aarch64", "alpha",	"armhfp",    "armv5tel",  "armv6hl",	 "armv7hl",  "armv7hnl",
	"i386",	   "i586",	"i686",	     "ia64",	  "loongarch64", "mips64el", "mipsel",
	"ppc",	   "ppc64",	"ppc64le",   "riscv64",	  "s390",	 "s390x",    "sparc64",
	"x86_64",  "x86_64_v2", "x86_64_v3", "x86_64_v4",
};

/* Arches whose packages come under several names; every other one stands for itself. The last is
 * the one that libsolv knows to run all of them. */
static const char *const families[][7] = {
	{ "i386", "athlon", "i686", "i586", "i486", "i386" },
	{ "i586", "athlon", "i686", "i586", "i486", "i386" },
	{ "i686", "athlon", "i686", "i586", "i486", "i386" },
	{ "armhfp", "armv7hnl", "armv7hl", "armv6hl" },
	{ "armv7hl", "armv7hl", "armv6hl" },
	{ "x86_64_v2", "x86_64_v2", "x86_64" },
	{ "x86_64_v3", "x86_64_v3", "x86_64_v2", "x86_64" },
	{ "x86_64_v4", "x86_64_v4", "x86_64_v3", "x86_64_v2", "x86_64" },
};

/* Arches that run the programs of another one */
static const char *const multilib[][2] = {
	{ "x86_64", "i686" },	 { "x86_64_v2", "i686" }, { "x86_64_v3", "i686" },
	{ "x86_64_v4", "i686" }, { "ppc64", "ppc" },	  { "s390x", "s390" },
};

static int check_known(const char *arch, struct error *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(arches); i++)
		if (!strcmp(arches[i], arch))
			return 0;
	return error_set(err, -EINVAL, BLAME_REQUEST, "arches", "Unknown arch \"%.64s\"", arch);
}

/* the row of @arch, or NULL when it stands for itself */
static const char *const *family_of(const char *arch)
{
	for (size_t i = 0; i < ARRAY_SIZE(families); i++)
		if (!strcmp(families[i][0], arch))
			return families[i] + 1;
	return NULL;
}

bool solve_arch_takes(const char *arch, const char *package_arch)
{
	const char *const *member = family_of(arch);

	if (!strcmp(package_arch, "noarch"))
		return true;
	for (; member && *member; member++)
		if (!strcmp(*member, package_arch))
			return true;
	return !family_of(arch) && !strcmp(arch, package_arch);
}

static int add_once(struct strings *list, const char *word)
{
	return strings_has(list, word) ? 0 : strings_add(list, word);
}

int solve_arch_list(const char *arch, struct strings *ret, struct error *err)
{
	const char *const alone[] = { arch, NULL }, *const *member = family_of(arch);
	int r = check_known(arch, err);

	if (r < 0)
		return r;
	for (member = member ? member : alone; *member; member++)
		if (add_once(ret, *member) < 0)
			return error_oom(err);
	return add_once(ret, "noarch") < 0 ? error_oom(err) : 0;
}

const char *solve_arch_multilib(const char *arch)
{
	for (size_t i = 0; i < ARRAY_SIZE(multilib); i++)
		if (!strcmp(multilib[i][0], arch))
			return multilib[i][1];
	return NULL;
}

/* @arch and, with @beside, the arch that may stand beside it; the preferred ones first */
static int set_arch(struct solve_pool *pool, const char *arch, bool beside, struct error *err)
{
	const char *const archs[] = { arch, beside ? solve_arch_multilib(arch) : NULL };
	char policy[128] = "";
	size_t n = 0;
	int r = check_known(arch, err);

	if (r < 0)
		return r;
	pool->accepted =
		calloc(ARRAY_SIZE(archs) * ARRAY_SIZE(families[0]) + 1, sizeof(*pool->accepted));
	if (!pool->accepted)
		return error_oom(err);
	for (size_t i = 0; i < ARRAY_SIZE(archs) && archs[i]; i++) {
		const char *const alone[] = { archs[i], NULL }, *const *member =
									family_of(archs[i]);

		for (member = member ? member : alone; *member; member++) {
			strcat(strcat(policy, n ? ":" : ""), *member);
			pool->accepted[n++] = pool_str2id(pool->pool, *member, 1);
		}
	}
	pool_setarchpolicy(pool->pool, policy);
	pool->accepted[n] = ARCH_NOARCH;
	return 0;
}

static int new_pool(const char *arch, bool beside, struct solve_pool **ret, struct error *err)
{
	_cleanup_(solve_pool_freep) struct solve_pool *pool = calloc(1, sizeof(*pool));
	int r;

	if (!pool)
		return error_oom(err);
	pool->pool = pool_create();
	pool_setdisttype(pool->pool, DISTTYPE_RPM);
	pool_setdebugmask(pool->pool, 0);
	/* packages of two arches do not replace each other */
	(void)pool_set_flag(pool->pool, POOL_FLAG_IMPLICITOBSOLETEUSESCOLORS, beside);
	r = set_arch(pool, arch, beside, err);
	if (r < 0)
		return r;
	*ret = steal(pool);
	return 0;
}

int solve_pool_new(const char *arch, struct solve_pool **ret, struct error *err)
{
	return new_pool(arch, false, ret, err);
}

int solve_pool_new_beside(const char *arch, struct solve_pool **ret, struct error *err)
{
	return new_pool(arch, true, ret, err);
}

void solve_pool_free(struct solve_pool *pool)
{
	if (!pool)
		return;
	if (pool->pool)
		pool_free(pool->pool);
	for (size_t i = 0; i < pool->repo_count; i++)
		map_free(&pool->repo[i].hidden);
	map_free(&pool->considered);
	free(pool->weak);
	free(pool->broken);
	free(pool->accepted);
	free(pool->repo);
	free(pool);
}

int solve_pool_add(struct solve_pool *pool, FILE *solv, uint32_t count, bool lookaside,
		   struct error *err)
{
	struct solve_repo *repo;

	if (pool->files_added)
		return error_set(err, -EINVAL, BLAME_US, NULL, "the pool is already prepared");
	if (pool->repo_count == pool->repo_room) {
		size_t room = pool->repo_room ? pool->repo_room * 2 : 4;
		struct solve_repo *more = realloc(pool->repo, room * sizeof(*more));

		if (!more)
			return error_oom(err);
		pool->repo = more;
		pool->repo_room = room;
	}
	repo = &pool->repo[pool->repo_count];
	*repo = (struct solve_repo){ .repo = repo_create(pool->pool, "r"), .lookaside = lookaside };
	if (repo_add_solv(repo->repo, solv, 0) != 0) {
		error_set(err, -EBADMSG, BLAME_US, NULL, "damaged solver index: %s",
			  pool_errstr(pool->pool));
	} else if (repo->repo->nsolvables != (int)count ||
		   (count && repo->repo->end - repo->repo->start != (int)count)) {
		error_set(err, -EBADMSG, BLAME_US, NULL,
			  "damaged solver index: %d packages, not %" PRIu32, repo->repo->nsolvables,
			  count);
	} else {
		repo->repo->priority = lookaside;
		pool->repo_count++;
		pool->prepared = false;
		return 0;
	}
	repo_free(repo->repo, 0);
	return -EBADMSG;
}

int solve_pool_hide(struct solve_pool *pool, uint32_t repository, uint32_t index, struct error *err)
{
	struct solve_repo *repo = repository < pool->repo_count ? &pool->repo[repository] : NULL;

	if (!repo || pool->files_added || index >= (uint32_t)repo->repo->nsolvables)
		return error_set(err, -EINVAL, BLAME_US, NULL, "a package of no repository");
	if (!repo->hidden.size)
		map_init(&repo->hidden, repo->repo->nsolvables);
	MAPSET(&repo->hidden, index);
	return 0;
}

static bool is_hidden(const struct solve_repo *repo, Id p)
{
	return repo->hidden.size && MAPTST(&repo->hidden, p - repo->repo->start);
}

static bool is_accepted(const struct solve_pool *pool, Id arch)
{
	for (const Id *accepted = pool->accepted; *accepted; accepted++)
		if (*accepted == arch)
			return true;
	return false;
}

static bool same_nevra(const Solvable *a, const Solvable *b)
{
	return a->name == b->name && a->evr == b->evr && a->arch == b->arch;
}

/* Put @p in the table of NEVRAs; false when an earlier package has the same. Strings are unique in
 * a pool, so their numbers are compared. */
static bool first_of_nevra(const struct solve_pool *pool, Id *table, size_t mask, Id p)
{
	const Solvable *s = pool_id2solvable(pool->pool, p);
	size_t slot = (size_t)s->name * 0x9E3779B97F4A7C15u ^ (size_t)s->evr * 0xC2B2AE3D27D4EB4Fu ^
		      (size_t)s->arch;

	for (slot ^= slot >> 32; table[slot & mask]; slot++)
		if (same_nevra(pool_id2solvable(pool->pool, table[slot & mask]), s))
			return false;
	table[slot & mask] = p;
	return true;
}

static int consider(struct solve_pool *pool, struct error *err)
{
	_cleanup_(freep) Id *table = NULL;
	size_t room = 16;

	while (room < 2 * (size_t)pool->pool->nsolvables)
		room *= 2;
	table = calloc(room, sizeof(*table));
	if (!table)
		return error_oom(err);
	map_free(&pool->considered);
	map_init(&pool->considered, pool->pool->nsolvables);
	for (size_t i = 0; i < pool->repo_count; i++) {
		const Repo *repo = pool->repo[i].repo;

		for (Id p = repo->start; p < repo->end; p++) {
			const Solvable *s = pool_id2solvable(pool->pool, p);

			if (s->repo == repo && is_accepted(pool, s->arch) &&
			    !is_hidden(&pool->repo[i], p) &&
			    (pool->repo[i].lookaside || first_of_nevra(pool, table, room - 1, p)))
				MAPSET(&pool->considered, p);
		}
	}
	pool->pool->considered = &pool->considered;
	return 0;
}

int solve_pool_prepare(struct solve_pool *pool, struct error *err)
{
	int r;

	if (!pool->files_added) {
		r = consider(pool, err);
		if (r < 0)
			return r;
		r = solve_weak_hide(pool, err);
		if (r < 0)
			return r;
		pool_addfileprovides(pool->pool);
		pool->files_added = true;
	}
	free(pool->broken);
	pool->broken = NULL;
	pool_createwhatprovides(pool->pool);
	pool->provides_base = pool->pool->whatprovidesdataoff;
	pool->prepared = true;
	return 0;
}

const Id *solve_requires(const struct solve_pool *pool, Id p)
{
	const Solvable *s = pool_id2solvable(pool->pool, p);
	static const Id none;

	return s->requires ? s->repo->idarraydata + s->requires : &none;
}

/* Give each file path below @dep that has no provider to @ret, once */
static void open_paths_of(const struct solve_pool *pool, Id dep, Map *seen, Queue *ret)
{
	if (ISRELDEP(dep)) {
		const Reldep *rel = GETRELDEP(pool->pool, dep);

		if (rel->flags < 8 || rel->flags == REL_NAMESPACE)
			return;
		open_paths_of(pool, rel->name, seen, ret);
		open_paths_of(pool, rel->evr, seen, ret);
	} else if (pool_id2str(pool->pool, dep)[0] == '/' && !MAPTST(seen, dep)) {
		MAPSET(seen, dep);
		if (!*pool_whatprovides_ptr(pool->pool, dep))
			queue_push(ret, dep);
	}
}

int solve_pool_open_paths(struct solve_pool *pool, struct strings *ret, struct error *err)
{
	_cleanup_(queue_done) Queue paths;
	_cleanup_(map_done) Map seen;
	_cleanup_(strings_done) struct strings list = { 0 };

	if (!pool->prepared)
		return error_set(err, -EINVAL, BLAME_US, NULL, "the pool is not prepared");
	queue_init(&paths);
	map_init(&seen, pool->pool->ss.nstrings);
	for (Id p = 1; p < pool->pool->nsolvables; p++) {
		const Id *requires;
		Id dep;

		if (!MAPTST(&pool->considered, p))
			continue;
		requires = solve_requires(pool, p);
		while ((dep = next_requirement(&requires)))
			open_paths_of(pool, dep, &seen, &paths);
	}
	for (int i = 0; i < paths.count; i++)
		if (strings_add(&list, pool_id2str(pool->pool, paths.elements[i])) < 0)
			return error_oom(err);
	strings_sort(&list);
	return strings_copy(ret, &list) < 0 ? error_oom(err) : 0;
}

int solve_pool_add_path(struct solve_pool *pool, uint32_t repository, uint32_t index,
			const char *path, struct error *err)
{
	Repo *repo;
	Solvable *s;

	if (repository >= pool->repo_count ||
	    index >= (uint32_t)pool->repo[repository].repo->nsolvables || path[0] != '/')
		return error_set(err, -EINVAL, BLAME_US, NULL, "no package for path %s", path);
	repo = pool->repo[repository].repo;
	s = pool_id2solvable(pool->pool, repo->start + (Id)index);
	s->provides = repo_addid_dep(repo, s->provides, pool_str2id(pool->pool, path, 1),
				     SOLVABLE_FILEMARKER);
	pool->prepared = false;
	return 0;
}

size_t solve_pool_memory(const struct solve_pool *pool)
{
	const Pool *p = pool->pool;
	size_t bytes = sizeof(*pool);

	bytes += (size_t)p->ss.sstrings + (size_t)p->ss.nstrings * 3 * sizeof(Id);
	bytes += (size_t)p->nrels * (sizeof(Reldep) + 3 * sizeof(Id));
	bytes += (size_t)p->nsolvables *
		 (sizeof(Solvable) + sizeof(*pool->weak) + sizeof(*pool->broken));
	bytes +=
		((size_t)p->whatprovidesdataoff * 2 + (size_t)p->whatprovidesdataleft) * sizeof(Id);
	for (size_t i = 0; i < pool->repo_count; i++) {
		Repo *repo = pool->repo[i].repo;

		bytes += (size_t)repo->idarraysize * sizeof(Id);
		for (int k = 1; k < repo->nrepodata; k++)
			bytes += repodata_memused(repo_id2repodata(repo, k));
	}
	return bytes;
}

struct solve_repo *solve_repo_of(const struct solve_pool *pool, Id p)
{
	size_t i = 0;

	while (p >= pool->repo[i].repo->end) /* they follow one another */
		i++;
	return &pool->repo[i];
}

bool solve_is_lookaside(const struct solve_pool *pool, Id p)
{
	const Repo *repo = pool_id2solvable(pool->pool, p)->repo;

	return repo && repo->priority; /* the system's own solvable has none */
}

const char *solve_nevra(const struct solve_pool *pool, Id p)
{
	return pool_solvid2str(pool->pool, p);
}

bool solve_can_provide(const struct solve_pool *solve_pool, Id dep, const Map *set)
{
	Pool *pool = solve_pool->pool; /* FOR_PROVIDES() wants this name */
	Id p, pp;

	if (ISRELDEP(dep)) {
		const Reldep *rel = GETRELDEP(pool, dep);
		Id name = rel->name, evr = rel->evr;

		if (rel->flags == REL_AND)
			return solve_can_provide(solve_pool, name, set) &&
			       solve_can_provide(solve_pool, evr, set);
		if (rel->flags == REL_OR)
			return solve_can_provide(solve_pool, name, set) ||
			       solve_can_provide(solve_pool, evr, set);
		if (rel->flags == REL_COND || rel->flags == REL_UNLESS)
			return true; /* it holds while its condition is not installed */
	}
	FOR_PROVIDES(p, pp, dep)
	{
		if (!set || MAPTST(set, p) || solve_is_lookaside(solve_pool, p))
			return true;
	}
	return false;
}

/* ---- names ------------------------------------------------------------- */

static int compare_matches(const void *a, const void *b, void *data)
{
	Pool *pool = data;
	Id pa = *(const Id *)a, pb = *(const Id *)b;
	const Solvable *sa = pool_id2solvable(pool, pa), *sb = pool_id2solvable(pool, pb);
	int r = sa->evr == sb->evr ? 0 : pool_evrcmp(pool, sb->evr, sa->evr, EVRCMP_COMPARE);

	if (r)
		return r;
	if ((sa->arch == ARCH_NOARCH) != (sb->arch == ARCH_NOARCH))
		return sa->arch == ARCH_NOARCH ? 1 : -1;
	return pa < pb ? -1 : pa > pb;
}

static bool evr_fits(const char *evr, const struct nevra *want)
{
	const char *colon = strchr(evr, ':');
	int64_t epoch = 0;
	size_t length = strlen(want->version);

	if (colon) {
		char *end;

		epoch = strtoll(evr, &end, 10);
		if (end == colon)
			evr = colon + 1;
		else
			epoch = 0;
	}
	return (want->epoch < 0 || want->epoch == epoch) && !strncmp(evr, want->version, length) &&
	       evr[length] == '-' && !strcmp(evr + length + 1, want->release);
}

/* candidates called @name, of @arch and with the EVR of @want when those are given */
static void match_name(const struct solve_pool *solve_pool, Id name, Id arch,
		       const struct nevra *want, Queue *ret)
{
	Pool *pool = solve_pool->pool;
	Id p, pp;

	if (!name)
		return;
	FOR_PROVIDES(p, pp, name)
	{
		const Solvable *s = pool_id2solvable(pool, p);

		if (s->name == name && !solve_is_lookaside(solve_pool, p) &&
		    (!arch || s->arch == arch) &&
		    (!want || evr_fits(pool_id2str(pool, s->evr), want)))
			queue_push(ret, p);
	}
}

void solve_match(const struct solve_pool *solve_pool, const char *name, Queue *ret)
{
	Pool *pool = solve_pool->pool;
	const char *dot = strrchr(name, '.');
	Id arch = dot ? pool_str2id(pool, dot + 1, 0) : 0;

	queue_empty(ret);
	match_name(solve_pool, pool_str2id(pool, name, 0), 0, NULL, ret);
	if (!ret->count && arch) {
		_cleanup_(freep) char *buffer = malloc(strlen(name) + 1);
		struct nevra want;

		if (buffer && nevra_parse(name, buffer, &want) == 0)
			match_name(solve_pool, pool_str2id(pool, want.name, 0), arch, &want, ret);
		if (!ret->count)
			match_name(solve_pool,
				   pool_strn2id(pool, name, (unsigned int)(dot - name), 0), arch,
				   NULL, ret);
	}
	if (ret->count > 1)
		qsort_r(ret->elements, (size_t)ret->count, sizeof(Id), compare_matches, pool);
}
