/* SPDX-License-Identifier: MIT */
/* resolver/sources/set.h: what the files of this room share: the package set while it is made, and
 * the worker's open snapshots. */
#pragma once

#include "resolver/sources/source.h"

/**
 * struct held - an open snapshot, kept between jobs and counted
 * @debug: debug packages, sorted by (sourcerpm, index); NULL until held_debug()
 * @twin:  all packages, sorted by (checksum, index); NULL until held_twins() */
struct held {
	struct snapshot *snapshot;
	unsigned int users;
	uint64_t used; /* stamp of the last use */
	uint32_t *debug, *twin;
	size_t debug_count;
	bool limits_known; /* held_limit() was told of all */
	struct limit *limit;
	size_t limit_count;
};

/** struct limit - a noarch package that its source package keeps from some arches; the words are
 * joined by blanks, "" says nothing */
struct limit {
	uint32_t index;
	char *only, *never;
};
/** held_limit() - note one; pools that are loaded later heed it */
int held_limit(struct held *held, uint32_t index, const char *only, const char *never);
/** held_limits() - 1: package @index may not be in composes of @arch */
int held_limits(const struct held *held, uint32_t index, const char *arch, struct error *err);

/** pools_open() - the snapshot of that digest, out of memory or off the disk; -ENOENT as
 * snapshot_open(). Given back with pools_release() */
int pools_open(struct pools *pools, const char *digest, struct held **ret, struct error *err);
void pools_release(struct held *held);

/**
 * pools_solver() - a prepared solver pool over @held, of which the last @lookaside only satisfy
 * @beside: for solve_beside()
 * @ret_loaded: it was not in memory
 * Borrowed until the next call. */
int pools_solver(struct pools *pools, const char *arch, bool beside, struct held *const *held,
		 size_t count, size_t lookaside, struct solve_pool **ret, bool *ret_loaded,
		 struct error *err);

/** held_debug() - the debug packages that were built from @sourcerpm: a range of held->debug */
int held_debug(struct held *held, const char *sourcerpm, size_t *ret_first, size_t *ret_count);
int held_debug_all(struct held *held); /* make held->debug; 0 or -ENOMEM */
/** held_twins() - packages with the checksum of package @index, itself among them, in order */
int held_twins(struct held *held, uint32_t index, const uint32_t **ret, size_t *ret_count);

struct package_set {
	struct composition composition;
	struct strings arches, comps_names;
	struct strings texts;	 /* strings that rows point to */
	struct strings packages; /* fetched: their digests */
	char *depsolve_log, *modules, *sigkeys, *source;
	char **arch_modules; /* one for each of arches, or NULL */
	struct composer_module *module;
	struct strings *module_rpms; /* of each of them */
	size_t module_count;
	int64_t event, bytes_written;
	size_t room; /* rows allocated */
	struct held **held;
	size_t held_count;
	struct solve_answer **answer; /* their reasons are pointed to */
	size_t answer_count;
};

int package_set_new(const struct spec *spec, struct package_set **ret, struct error *err);
/** package_set_hold() - take over a reference of pools_open(); -ENOMEM: released */
int package_set_hold(struct package_set *set, struct held *held);
int package_set_own(struct package_set *set, struct solve_answer *answer); /* freed on -ENOMEM */
int package_set_add(struct package_set *set, const struct composer_package *package);
const char *package_set_text(struct package_set *set, const char *text); /* NULL: out of memory */

/* ---- one file per source type ---- */
int module_load(const struct source_context *context, struct package_set **ret, struct error *err);
int repo_load(const struct source_context *context, struct package_set **ret, struct error *err);
int tag_load(const struct source_context *context, struct package_set **ret, struct error *err);
