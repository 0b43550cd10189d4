/* SPDX-License-Identifier: MIT */
/* resolver/worker/inputs.h: places of the site that a worker may read by itself. */
#pragma once

#include "core/base/base.h"

#define INPUTS_MAX 256

/** struct inputs - descriptors (O_PATH) of directories */
struct inputs {
	int fd[INPUTS_MAX];
	size_t count;
};
void inputs_done(struct inputs *inputs);

/**
 * inputs_find() - open @places, and of each what the links in its vol/ lead to, as far as they are
 * there
 *
 * One on a file server that does not answer must not keep a worker from what lies elsewhere: they
 * are looked at by a process of its own, for a moment. What was not found is left to the opener. To
 * be called before there are threads. BLAME_US */
int inputs_find(const struct strings *places, struct inputs *ret, struct error *err);
