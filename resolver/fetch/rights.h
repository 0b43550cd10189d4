/* SPDX-License-Identifier: MIT */
/* resolver/fetch/rights.h: looking at files as somebody else, for the length of one call. */
#pragma once

#include "core/base/base.h"

/**
 * struct rights - whose file-system rights count
 * @switch_needed: false: those of the process are the right ones already
 * @drop_capabilities: the process may read past permissions even with another fsuid */
struct rights {
	bool switch_needed, drop_capabilities;
	uint32_t uid, gid;
	uint32_t own_uid, own_gid;
};

/**
 * rights_init() - find out whether and how the rights of @uid and @gid can be taken
 *
 * Where they are another's, this thread gives up its supplementary groups for good: they are not
 * that user's, and whoever may switch users needs none for himself. Groups of that user other than
 * @gid do not count. -EPERM, BLAME_US: this process may not */
int rights_init(struct rights *rights, uint32_t uid, uint32_t gid, struct error *err);
/** rights_take() - from here on, in this thread only; 0 or negative errno (then nothing was taken)
 */
int rights_take(const struct rights *rights);
/** rights_leave() - back to the process's own; keeps errno */
void rights_leave(const struct rights *rights);
