/* SPDX-License-Identifier: MIT */
/* resolver/worker/opener.h: the process that opens files of this machine for a worker. */
#pragma once

#include "core/base/base.h"

/**
 * opener_serve() - answer the worker at @ask_fd until it or the server is gone
 * @pipe_fd: from the server: each job as the worker gets it; nothing is said there
 *
 * Enters a sandbox of its own first: it writes nothing and has no network. */
int opener_serve(int pipe_fd, int ask_fd, struct error *err);
