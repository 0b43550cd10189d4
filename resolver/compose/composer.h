/* SPDX-License-Identifier: MIT */
/* resolver/compose/composer.h: the door from a package set to the files of a compose. */
#pragma once

#include "core/model/model.h"
#include "resolver/snapshot/snapshot.h"

enum composer_tree { COMPOSER_OS, COMPOSER_DEBUG, COMPOSER_SOURCE };

/**
 * struct composer_package - one RPM at one place of the compose
 * @arch: index into composition.arches (COMPOSER_SOURCE: 0)
 * @base, @path: the source file is base/path; @base an absolute directory, or a URL ("http://…"):
 * then the package needs a SHA-256 in its metadata
 * @mtime_ns, @ino: of that file now; 0 with a URL
 * @sigkey: lower case, or NULL
 * @sha256: hex SHA-256 of the file, where the checksum in the snapshot is a stand-in of 64 hex
 * digits (it was indexed before the file was hashed): then this one takes its place everywhere;
 * else NULL All borrowed for the call. */
struct composer_package {
	struct snapshot *snapshot;
	uint32_t index;
	uint32_t arch;
	enum composer_tree tree;
	const char *reason;
	const char *base, *path;
	int64_t mtime_ns;
	uint64_t ino;
	const char *sigkey, *sha256;
};

/**
 * struct composer_module - a module in the os tree of one arch, for compose/metadata/modules.json
 * @uid: NAME:STREAM:VERSION[:CONTEXT]
 * @koji_tag: where Koji keeps its RPMs, or NULL
 * @rpms: those in the tree, "NAME-EPOCH:VERSION-RELEASE.ARCH"
 * @reason: why it is there
 * All borrowed for the call. */
struct composer_module {
	uint32_t arch;
	const char *uid, *name, *stream, *version, *context, *koji_tag;
	const struct strings *rpms;
	const char *reason;
};

enum composer_compression { COMPOSER_GZ, COMPOSER_ZSTD };

/**
 * struct composition - input of composer_write(); order of @package does not matter
 * @arches: each once; every arch gets its trees, also without packages, and shows them under the
 * name of arch_also() as well
 * @comps_names: names of the comps group "odcs-group" (empty or NULL: a group without packages);
 * sorted and made unique here
 * @modules: modules YAML for the os trees, or NULL
 * @arch_modules: NULL, or in place of @modules one for each of @arches; each may be NULL
 * @module: sorted by arch and @uid; none: there is no modules.json
 * @revision: shown in <revision>; @timestamp: every <timestamp>, seconds since 1970 UTC
 * @depsolve_log: text of logs/global/depsolve.log, or NULL ("why" is made from the reasons)
 * @have_blob: does the service have this blob already? Then it is not written again */
struct composition {
	const struct strings *arches;
	struct composer_package *package;
	size_t count;
	const struct strings *comps_names;
	const char *modules, *const *arch_modules;
	const struct composer_module *module;
	size_t module_count;
	int64_t revision, timestamp;
	const char *depsolve_log;
	enum composer_compression compression;
	bool (*have_blob)(void *data, const char *digest);
	bool (*have_manifest)(void *data, const char *digest);
	void *have_data;
};

/**
 * struct composer_result - what was made: file names in the work directory are the digests;
 * blobs in WORK/blobs/, the manifest in WORK/manifests/
 * @manifest_new: it was written; @blobs: those that were written
 * @packages_count: RPMs, those shown under two names counted once; @size_bytes: of all files in the
 * tree;
 * @bytes_written: to the work directory */
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
 * @result: untouched on failure; composer_result_done() when done with it
 * @err: BLAME_US: -ENOSPC, -EIO, -ENOMEM, -EFBIG (more than a manifest holds); BLAME_SOURCE
 * -EBADMSG: an element or file name that cannot be used; BLAME_REQUEST -EINVAL: an arch that is no
 * plain name. The work directory is then half written: remove it
 *
 * Same composition, same bytes (DESIGN 5.4). Two RPMs of one tree with the same file name: the
 * first by (NEVRA, checksum) is taken, the other is named in depsolve.log unless both are the same
 * RPM (then one with an inode goes before one without). Elements as the source wrote them, only
 * <location> is rewritten to Packages/l/FILE (xml:base dropped), and a stand-in for the checksum is
 * replaced. NEVRAs in logs and manifest: NAME-[EPOCH:]VERSION-RELEASE.ARCH, epoch 0 left out. */
int composer_write(struct composition *composition, int work_dirfd, struct composer_result *result,
		   struct error *err);

/**
 * struct composer_look - how composer_check() sees files of packages
 * @stat: fills @count of them, up to COMPOSER_LOOK_MAX, all below @base; negative errno with words:
 * one cannot be read */
#define COMPOSER_LOOK_MAX 256
struct composer_file {
	uint64_t size, ino;
	int64_t mtime_ns;
};
struct composer_look {
	int (*stat)(void *data, const char *base, const char *const *path, size_t count,
		    struct composer_file *ret, struct error *err);
	void *data;
};

/**
 * composer_check() - is a compose that was made before still whole?
 * @state_dirfd: directory with manifests/, blobs/ and packages/; borrowed
 * @manifest: its digest, hex
 *
 * The manifest has the bytes that it had, its blobs and fetched packages are there, and each
 * package that is a file of this machine is still the one (size, time, inode) that it was. 0, or a
 * negative errno whose words say what is not so: -ESTALE for what has changed */
int composer_check(int state_dirfd, const char *manifest, const struct composer_look *look,
		   struct error *err);
