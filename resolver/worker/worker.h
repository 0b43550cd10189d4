/* SPDX-License-Identifier: MIT */
/* resolver/worker/worker.h: the door to the worker process: one job after another from a pipe. */
#pragma once

#include "core/base/base.h"

/**
 * worker_main() - `odcsfs worker`, started by the server only
 * @argv: options after the verb, all required but the last three:
 *        --pipe-fd=N         socket to the server, lines of core/model
 *        --state-dir-fd=N    state directory: snapshots/ and headers/ are written, blobs/ and
 * manifests/ are looked into
 *        --work-dir-fd=N     directory for new files, emptied before each job
 *        --memory-limit=BYTES  of private memory; beyond it allocations fail
 *        --pools-limit=BYTES   of solver pools kept between jobs (default: a quarter of
 * memory-limit)
 *        --cpu-limit=SECONDS   of processor time for one job, all threads together; a job that
 * takes more dies of SIGXCPU, at most a second later (default: 0, no limit)
 *        --network           connections to other machines may be made (default: none)
 *        --fetch             packages are fetched, and nothing else is done (fetch.h)
 *        --open              files are opened for a worker, and nothing else is done (opener.h);
 *                            takes --pipe-fd and --opener-fd only
 *        --opener-fd=N       socket between worker and opener; all but --fetch
 *        --read=PATH         a file that may be read, as often as it takes
 *        --site=PATH         the same for a directory of the site: koji.topdir, module.repos
 *        --port=N            a TCP port that may be connected to; none: any
 *
 * Says "ready", then answers each job with one "result" or "failed". Returns the exit code: 0 when
 * the server closed the pipe, 1 when it spoke no sense or the worker cannot go on, 2 for wrong
 * options. */
int worker_main(int argc, char **argv);

/** worker_system_files() - append what workers may read for name resolution, TLS and librpm: files as
 * they are when a worker starts, and what is below directories. 0 or -ENOMEM */
int worker_system_files(struct strings *ret);
/** worker_missing() - append what this kernel, or this build, cannot keep workers from, in words
 * with ", " between; nothing: it can all. 0 or -ENOMEM */
int worker_missing(struct text *ret);

/**
 * struct worker_caches - of worker_caches_check()
 * @deep: what is packed in records of headers is unpacked, too
 * @damaged: entry @name of @folder ("snapshots", "headers"); it may be removed meanwhile
 * @ret_count: may be NULL; entries that were looked at */
struct worker_caches {
	bool deep;
	void (*damaged)(void *data, const char *folder, const char *name);
	void *data;
	int64_t *ret_count;
};
/** worker_caches_check() - look through what workers keep below the state directory, by its own
 * sums; nothing is made, changed or removed. Names that begin with a dot are left out */
int worker_caches_check(int state_dirfd, const struct worker_caches *check, struct error *err);
