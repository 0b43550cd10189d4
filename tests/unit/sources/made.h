/* SPDX-License-Identifier: MIT */
/* tests/unit/sources/made.h: small repositories made for one test, in a directory that goes away.
 */
#pragma once

#include "core/base/base.h"

/** struct made - one package; size 0: the file is not made, though the metadata lists it */
struct made {
	const char *name, *version, *arch; /* release is 1, epoch 0 */
	const char *source;		   /* NAME of its source package, or NULL */
	const char *words;		/* "r:X p:X c:X f:/PATH l:/PATH" as in the tests of solve;
					 * l: only in filelists */
	const char *directory;		/* before the file name, or NULL */
	const char *base;		/* xml:base, or NULL */
	const char *checksum;		/* or NULL: made from the file name */
	unsigned int size, listed_size; /* of the file; in the metadata, 0: the same */
};

/**
 * made_repository() - write PATH/repodata and the files of @package
 * @revision: as it stands in repomd.xml
 * @modules: text of the modules record, or NULL */
void made_repository(const char *path, const struct made *package, size_t count,
		     const char *revision, long long timestamp, const char *modules);
