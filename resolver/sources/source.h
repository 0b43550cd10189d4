/* SPDX-License-Identifier: MIT */
/* resolver/sources/source.h: the door from a request to a package set, by source type. */
#pragma once

#include "resolver/compose/composer.h"
#include "resolver/fetch/fetch.h"
#include "resolver/solve/solve.h"

struct pools; /* the worker's hot pools and open snapshots, bounded by memory; kept between jobs */

int pools_new(int snapshots_dirfd, size_t limit_bytes, struct pools **ret, struct error *err);
void pools_free(struct pools *pools);
DEFINE_FREEP(struct pools, pools_free)

/**
 * struct source_context - what a source may use; borrowed for the call
 * @transport: files that the request names
 * @site: a transport for the site's own places (koji.topdir, module.repos), with the service's
 * rights; the caller's to free. NULL: transport_local()
 * @connect: a transport to servers, as the job's Koji is configured; the caller's to free; any
 *           thread. NULL: none
 * @connect_repo: the same to servers of repositories, judged by @places. NULL: none
 * @origins_dirfd: what servers of repositories said of their repomd.xml
 * @packages_dirfd: packages that were fetched before; new ones are put into packages/ below
 *                  @work_dirfd
 * @resolved: called once, when everything was read that tells what the request means at the moment,
 *            and before anything costly: a source indexes, loads and solves only after it
 *            returned 0. A negative errno (with words) is to be returned as it is. NULL: always
 *            go on */
struct source_context {
	const struct job *job;
	struct transport *transport;
	int (*site)(void *data, struct transport **ret, struct error *err);
	int (*connect)(void *data, struct transport **ret, struct error *err);
	int (*connect_repo)(void *data, struct transport **ret, struct error *err);
	const struct transport_places *places;
	struct pools *pools;
	int snapshots_dirfd, headers_dirfd, packages_dirfd, origins_dirfd, work_dirfd;
	void (*progress)(void *data, int64_t done, int64_t total, const char *phase,
			 const char *text);
	void (*log)(void *data, const char *text);
	int (*resolved)(void *data, const struct resolution *resolution, struct error *err);
	void *data;
};

/** struct package_set - what a source found; owns its strings and references to snapshots */
struct package_set;
void package_set_free(struct package_set *set);
DEFINE_FREEP(struct package_set, package_set_free)

/** package_set_composition() - as input of composer_write(); borrowed from @set */
struct composition *package_set_composition(struct package_set *set);
int64_t package_set_event(const struct package_set *set);	/* -1 none */
const char *package_set_source(const struct package_set *set);	/* NULL: unchanged */
const char *package_set_sigkeys(const struct package_set *set); /* NULL: unchanged */
/** package_set_packages() - digests of packages that were fetched; may be emptied by the caller */
struct strings *package_set_packages(struct package_set *set);
int64_t package_set_bytes_written(const struct package_set *set); /* snapshots, headers */

/** struct source_type - one row of the table in source.c */
struct source_type_driver {
	const char *name;
	enum source_type number;
	int (*load)(const struct source_context *context, struct package_set **ret,
		    struct error *err);
};

/** source_load() - by the type of the job's spec; -EOPNOTSUPP, BLAME_REQUEST names a type without a
 * driver */
int source_load(const struct source_context *context, struct package_set **ret, struct error *err);
