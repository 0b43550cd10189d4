/* SPDX-License-Identifier: MIT */
/* resolver/fetch/fetch.h: the door to what lies outside: opening a repository's files, by path
 * today.
 *
 * Sources get their bytes through a struct transport handed in by the worker, so tests can hand in
 * others. */
#pragma once

#include "core/model/model.h"

struct transport;

/**
 * transport_local() - files of this machine
 * @allowed: prefixes that a trusted job may read below; NULL or empty: anywhere
 * @trusted: false: opens happen with the file-system rights of @uid and @gid (setfsuid(2), this
 *           thread), so nobody reads through the service what he could not read himself. Of his
 *           groups only @gid counts; this thread gives up its own supplementary groups for good
 *
 * -EPERM, BLAME_US: this process may not take those rights (CAP_SETUID and CAP_SETGID are needed)
 */
int transport_local(const struct strings *allowed, bool trusted, uint32_t uid, uint32_t gid,
		    struct transport **ret, struct error *err);
void transport_free(struct transport *transport);
DEFINE_FREEP(struct transport, transport_free)

/**
 * transport_base() - resolve the place of a repository: absolute path or file:// URL → real path
 * -EACCES (BLAME_REQUEST): not below an allowed prefix; -ENOENT, -ENOTDIR: words name the path as
 * given */
int transport_base(struct transport *transport, const char *source, char **ret_path,
		   struct error *err);
/** transport_open() - @path below @base, which it must not leave: links that lead out are followed
 * only to an allowed prefix or, for an untrusted job, to what its user may read. Regular files
 * only; descriptor */
int transport_open(struct transport *transport, const char *base, const char *path,
		   struct error *err);

/** struct transport_file - identity of a package file, as recorded in the manifest */
struct transport_file {
	uint64_t size, ino;
	int64_t mtime_ns;
};
int transport_stat(struct transport *transport, const char *base, const char *path,
		   struct transport_file *ret, struct error *err);
