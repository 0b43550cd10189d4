/* SPDX-License-Identifier: MIT */
/* resolver/sources/online.h: repositories by URL, on their way into a load (docs/remote.md). */
#pragma once

#include "resolver/sources/load.h"

struct online;
void online_free(struct online *online);

/**
 * online_find() - what repository->word stands for and its repomd.xml, remembered or asked for
 *
 * Sets base, repomd and online. -EACCES, BLAME_REQUEST: it is not below a place that is allowed */
int online_find(struct load *load, struct repository *repository, struct error *err);
/** online_lock() - one worker at a time fetches the metadata of it; descriptor that holds the lock
 */
int online_lock(const struct repository *repository, struct error *err);
/** online_fetch() - what a snapshot is built from, several files at a time */
int online_fetch(struct load *load, struct repository *repository, struct error *err);
/** online_open() - one of them; descriptor, the caller's */
int online_open(const struct repository *repository, const struct repomd_record *record,
		struct error *err);
/**
 * online_below() - what of an xml:base that is a URL lies below the repository; NULL: it leads
 * elsewhere
 * @ret_normal: malloc'ed or NULL, holds the answer */
const char *online_below(const struct repository *repository, const char *base, char **ret_normal);
/** online_look() - where the file of package @index will be got from; nobody is asked. -EBADMSG,
 * BLAME_SOURCE: its checksum is no SHA-256, or its location none */
int online_look(struct load *load, const struct repository *repository, uint32_t index,
		struct composer_package *row, struct error *err);
