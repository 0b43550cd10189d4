/* SPDX-License-Identifier: MIT */
/* resolver/worker/sandbox.h: what a worker may still do once foreign bytes come in. */
#pragma once

#include "core/base/base.h"

/**
 * sandbox_enter() - give up what a worker does not need, for good
 * @writable: directories below which files may be made and written
 * @memory_bytes: 0: no limit of its own
 *
 * Dies with its parent, leaves no core, runs no program, opens no socket, writes nowhere else. What
 * the kernel is too old for (Landlock before 5.13) is left out. BLAME_US when the kernel refuses
 * the rest. */
int sandbox_enter(const int *writable, size_t count, uint64_t memory_bytes, struct error *err);
