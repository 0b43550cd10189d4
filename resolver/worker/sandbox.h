/* SPDX-License-Identifier: MIT */
/* resolver/worker/sandbox.h: what a worker may still do once foreign bytes come in. */
#pragma once

#include "core/base/base.h"

/**
 * struct sandbox - what stays allowed
 * @writable: directories below which files may be made and written
 * @readable: files and directories that may be read beside them; NULL: whatever its uid may
 * @memory_bytes: 0: no limit of its own
 * @network: may it connect to others, over IPv4 and IPv6? It listens in no case */
struct sandbox {
	const int *writable;
	size_t writable_count;
	const struct strings *readable;
	uint64_t memory_bytes;
	bool network;
};

/**
 * sandbox_enter() - give up what a worker does not need, for good
 *
 * Dies with its parent, leaves no core, runs no program, opens no other socket, writes nowhere
 * else. What the kernel is too old for (Landlock before 5.13) is left out. BLAME_US when the kernel
 * refuses the rest. */
int sandbox_enter(const struct sandbox *sandbox, struct error *err);

/**
 * sandbox_limit_cpu() - let this process use @seconds of processor time from now on, then die of
 * SIGXCPU
 *
 * Each call starts anew: only the soft limit is set, the hard one stays as it was. BLAME_US when
 * the kernel refuses. */
int sandbox_limit_cpu(int64_t seconds, struct error *err);
