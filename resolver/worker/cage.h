/* SPDX-License-Identifier: MIT */
/* resolver/worker/cage.h: what a worker that composes keeps of its rights, by what it was told. */
#pragma once

#include "resolver/worker/sandbox.h"

/* Folders below the state directory; the first three are written */
enum cage_folder {
	CAGE_SNAPSHOTS,
	CAGE_HEADERS,
	CAGE_ORIGINS,
	CAGE_PACKAGES,
	CAGE_MANIFESTS,
	CAGE_BLOBS,
	CAGE_FOLDERS
};

/**
 * struct cage - of worker_main()
 * @state_dirfd: becomes one that only names are looked up by (O_PATH): nothing can be locked, or
 *               unlocked, with it
 * @read, @site: as the options --read= and --site= */
struct cage {
	int state_dirfd, work_dirfd;
	const struct strings *read, *site;
	const struct sandbox_ports *ports;
	uint64_t memory_bytes;
	bool network;
};

/**
 * cage_enter() - open the folders, and enter the sandbox with them
 * @ret_folder: opened before, also when it fails; the caller's */
int cage_enter(const struct cage *cage, int ret_folder[static CAGE_PACKAGES + 1],
	       struct error *err);
