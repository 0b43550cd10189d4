/* SPDX-License-Identifier: MIT */
/* resolver/worker/fetch.h: a worker that fetches packages and does nothing else. */
#pragma once

#include "core/base/base.h"
#include "resolver/worker/sandbox.h"

/**
 * struct fetch_worker - what it was started with
 * @read: files beside those of the system that it may read: keys, certificates
 * @mirrors_dirfd: where those that fetch tell each other which mirrors are lost
 * @ports: as of struct sandbox
 * @cpu_limit: seconds of processor time for one package; 0: none */
struct fetch_worker {
	int pipe_fd, work_dirfd, mirrors_dirfd;
	const struct strings *read;
	const struct sandbox_ports *ports;
	uint64_t memory_limit;
	int64_t cpu_limit;
	bool network;
};

/** fetch_serve() - answer each "fetch" with "fetched" until the server closes the pipe
 *
 * Enters a sandbox of its own first: writes below @work_dirfd and @mirrors_dirfd, reads what name
 * resolution and TLS need. */
int fetch_serve(const struct fetch_worker *worker, struct error *err);
