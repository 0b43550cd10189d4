/* SPDX-License-Identifier: MIT */
/* resolver/solve/solve.h: the door to libsolv: which package needs which.
 *
 * Pure: reads and writes the FILE streams it is handed, opens nothing, knows no clock and no
 * network. One thread per object. A package is named by (repository number, index), the index being
 * its place in primary. */
#pragma once

#include "core/base/base.h"

/**
 * solve_index() - primary XML → .solv
 * @primary: decompressed primary.xml
 * @paths: may be NULL: file paths, not in primary, which some package of this repository requires
 * and filelists answered; path @paths[i] belongs to package @owners[i]
 * @solv: gets libsolv's own format
 * @ret_count: packages, in the order of primary
 * -EBADMSG, BLAME_SOURCE: not the XML it should be */
struct solve_path {
	uint32_t index;
	const char *path;
};
int solve_index(FILE *primary, const struct solve_path *paths, size_t path_count, FILE *solv,
		uint32_t *ret_count, struct error *err);

/** solve_arch_takes() - are packages of @package_arch candidates for a compose of @arch? */
bool solve_arch_takes(const char *arch, const char *package_arch);
/** solve_arch_list() - append the arches that solve_arch_takes() takes for @arch, each once, noarch
 * too; -EINVAL, BLAME_REQUEST when libsolv does not know @arch */
int solve_arch_list(const char *arch, struct strings *ret, struct error *err);
/** solve_arch_multilib() - the arch whose packages may stand beside those of @arch ("i686" for
 * "x86_64"); NULL: there is none */
const char *solve_arch_multilib(const char *arch);

struct solve_pool; /* loaded repositories for one arch; kept between composes ("hot pool") */

/** solve_pool_new() - @arch: rpm arch such as "x86_64"; -EINVAL, BLAME_REQUEST when libsolv does
 * not know it */
int solve_pool_new(const char *arch, struct solve_pool **ret, struct error *err);
/** solve_pool_new_beside() - the same for solve_beside(): packages of solve_arch_multilib() are
 * candidates, too */
int solve_pool_new_beside(const char *arch, struct solve_pool **ret, struct error *err);
void solve_pool_free(struct solve_pool *pool);
DEFINE_FREEP(struct solve_pool, solve_pool_free)

/**
 * solve_pool_add() - load one repository; numbers count from 0 in the order of calls
 * @solv: from solve_index()
 * @count: packages it must hold (else -EBADMSG)
 * @lookaside: may satisfy requirements, preferred over the others, never part of the answer */
int solve_pool_add(struct solve_pool *pool, FILE *solv, uint32_t count, bool lookaside,
		   struct error *err);
/** solve_pool_hide() - package @index is no candidate here, whatever its arch; before
 * solve_pool_prepare() */
int solve_pool_hide(struct solve_pool *pool, uint32_t repository, uint32_t index,
		    struct error *err);
/** solve_pool_prepare() - after the last add (and after solve_pool_add_path()): make it ready to
 * solve */
int solve_pool_prepare(struct solve_pool *pool, struct error *err);
/** solve_pool_open_paths() - required file paths that nothing in the pool provides (after prepare),
 * sorted */
int solve_pool_open_paths(struct solve_pool *pool, struct strings *ret, struct error *err);
/** solve_pool_add_path() - package owns @path after all; call solve_pool_prepare() again when done
 */
int solve_pool_add_path(struct solve_pool *pool, uint32_t repository, uint32_t index,
			const char *path, struct error *err);
/** solve_pool_memory() - rough bytes, for the bound on hot pools */
size_t solve_pool_memory(const struct solve_pool *pool);

/**
 * struct solve_request - what is wanted from the not-lookaside repositories
 * @names: NAME (newest, per arch of the request), NAME.ARCH, or a NEVRA (that one). NULL:
 * everything
 * @no_deps: exactly the named packages
 * @check_deps: an unsatisfied requirement is an error instead of a line in unresolved
 * Candidates are binary packages of the pool's arch and noarch that are not debug packages
 * (debuginfo and source are picked by the caller); a debug package that is named is taken too. */
struct solve_request {
	const struct strings *names;
	bool no_deps;
	bool check_deps;
};

struct solve_choice {
	uint32_t repository, index;
	char *reason; /* "requested", "whole repository", or "required by NEVRA: REQUIREMENT" */
};

/**
 * struct solve_answer - sorted by repository and index, each package once
 * @missing: names of the request that match nothing
 * @unresolved: "NEVRA requires REQUIREMENT: nothing provides it" …, sorted
 * @conflicts: words on names that had to be solved apart */
struct solve_answer {
	struct solve_choice *choice;
	size_t count;
	struct strings missing, unresolved, conflicts;
};
void solve_answer_free(struct solve_answer *answer);
DEFINE_FREEP(struct solve_answer, solve_answer_free)

/**
 * solve_run() - the closure (DESIGN 5.3)
 * All names in one run of the solver without weak dependencies; names that conflict are solved
 * apart and the answers united. An unresolvable requirement is left out and reported, unless
 * @check_deps: then -ENOPKG, BLAME_SOURCE, with every one in words. The same input gives the same
 * answer. */
int solve_run(struct solve_pool *pool, const struct solve_request *request,
	      struct solve_answer **ret, struct error *err);

/** struct solve_place - a package of a pool */
struct solve_place {
	uint32_t repository, index;
};

/**
 * struct solve_beside_request - what goes beside a set that was chosen
 * @set: it; what it holds satisfies requirements, and is not part of the answer
 * @wanted: packages to be added, with what they require beyond the set
 * @no_deps, @check_deps: as for solve_run() */
struct solve_beside_request {
	const struct solve_place *set, *wanted;
	size_t set_count, wanted_count;
	bool no_deps, check_deps;
};

/** solve_beside() - packages of another arch beside a set, in a pool of solve_pool_new_beside();
 * the reason of a wanted one is "requested" */
int solve_beside(struct solve_pool *pool, const struct solve_beside_request *request,
		 struct solve_answer **ret, struct error *err);
