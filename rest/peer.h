/* SPDX-License-Identifier: MIT */
/* rest/peer.h: which user of this machine is at the other end of a loopback connection. */
#pragma once

#include "core/base/base.h"

#include <sys/socket.h>

/**
 * peer_uid() - the user who owns the client's socket
 * @client, @server: both ends as accept(2) and getsockname(2) give them; loopback addresses only
 * @ret_uid: untouched on failure
 * 0; -EREMOTE when the client is not on this machine's loopback; -ESRCH when the kernel knows no
 * such socket. Asks the kernel by sock_diag(7): one datagram each way, no privilege needed. */
int peer_uid(const struct sockaddr *client, const struct sockaddr *server, uint32_t *ret_uid);
