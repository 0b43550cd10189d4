/* SPDX-License-Identifier: MIT */
/* resolver/compose/composer.h: the door from a package set to the files of a compose. */
#pragma once

#include "core/model/model.h"
#include "resolver/snapshot/snapshot.h"

enum composer_tree { COMPOSER_OS, COMPOSER_DEBUG, COMPOSER_SOURCE };

/**
 * struct composer_package - one RPM at one place of the compose
 * @arch: index into composition.arches (COMPOSER_SOURCE: 0)
 * @base, @path: the source file is base/path; @base an absolute directory
 * @mtime_ns, @ino: of that file now
 * @sigkey: lower case, or NULL
 * All borrowed for the call. */
struct composer_package {
	struct snapshot *snapshot;
	uint32_t index;
	uint32_t arch;
	enum composer_tree tree;
	const char *reason;
	const char *base, *path;
	int64_t mtime_ns;
	uint64_t ino;
	const char *sigkey;
};

enum composer_compression { COMPOSER_GZ, COMPOSER_ZSTD };

/**
 * struct composition - input of composer_write(); order of @package does not matter
 * @comps_names: names of the comps group "odcs-group" (empty: a group without packages)
 * @modules: modules YAML for the os trees, or NULL
 * @revision: shown in <revision>; @timestamp: every <timestamp>, seconds since 1970 UTC
 * @missing_log, @depsolve_log: text of logs/global/depsolve.log ("why" is made from the reasons)
 * @have_blob: does the service have this blob already? Then it is not written again */
struct composition {
	const struct strings *arches;
	struct composer_package *package; /* sorted in place */
	size_t count;
	const struct strings *comps_names;
	const char *modules;
	int64_t revision, timestamp;
	const char *depsolve_log;
	enum composer_compression compression;
	bool (*have_blob)(void *data, const char *digest);
	bool (*have_manifest)(void *data, const char *digest);
	void *have_data;
};

/**
 * struct composer_result - what was made: file names in the work directory are the digests;
 * blobs in WORK/blobs/, the manifest in WORK/manifests/ */
struct composer_result {
	char manifest[DIGEST_HEX_SIZE];
	bool manifest_new;
	struct strings blobs;
	int64_t packages_count, size_bytes, bytes_written;
};
void composer_result_done(struct composer_result *result);

/**
 * composer_write() - repodata, productmd files, logs and the manifest of one compose
 * @work_dirfd: empty directory with blobs/ and manifests/ in it; borrowed
 * @err: BLAME_US: -ENOSPC, -EIO, -ENOMEM; BLAME_SOURCE -EBADMSG: an element that cannot be used
 *
 * Same composition, same bytes (DESIGN 5.4). Two RPMs of one tree with the same file name: the first by
 * (NEVRA, checksum) is taken, the other is named in the log.
 * Elements as the source wrote them, only <location> is rewritten to Packages/l/FILE (xml:base dropped). */
int composer_write(struct composition *composition, int work_dirfd, struct composer_result *result,
		   struct error *err);
