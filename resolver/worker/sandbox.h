/* SPDX-License-Identifier: MIT */
/* resolver/worker/sandbox.h: what a worker may still do once foreign bytes come in. */
#pragma once

#include "core/base/base.h"

#define SANDBOX_PORTS_MAX 64

/** struct sandbox_ports - TCP ports that may be connected to; none: any */
struct sandbox_ports {
	uint16_t item[SANDBOX_PORTS_MAX];
	size_t count;
};

/**
 * struct sandbox - what stays allowed
 * @writable: directories below which files may be made, written and read
 * @visible: descriptors (O_PATH will do) of what may be read beside them, and below
 * @readable: the same by path, what is there. NULL: nothing is hidden from it
 * @memory_bytes: 0: no limit of its own
 * @capabilities: a bit for each that is kept if it is there
 * @network: may it connect to others, over IPv4 and IPv6? It listens in no case
 * @ports: NULL: any */
struct sandbox {
	const int *writable;
	size_t writable_count;
	const int *visible;
	size_t visible_count;
	const struct strings *readable;
	uint64_t memory_bytes, capabilities;
	bool network;
	const struct sandbox_ports *ports;
};

/**
 * sandbox_enter() - give up what a worker does not need, for good
 *
 * Dies with its parent, leaves no core, runs no program and no other process, opens no other
 * socket, writes nowhere else. What the kernel is too old for (worker_missing()) is left out.
 * BLAME_US when the kernel refuses the rest. */
int sandbox_enter(const struct sandbox *sandbox, struct error *err);

/**
 * sandbox_limit_cpu() - let this process use @seconds of processor time from now on, then die of
 * SIGXCPU
 *
 * Each call starts anew: only the soft limit is set, the hard one stays as it was. BLAME_US when
 * the kernel refuses. */
int sandbox_limit_cpu(int64_t seconds, struct error *err);
