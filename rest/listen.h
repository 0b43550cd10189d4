/* SPDX-License-Identifier: MIT */
/* rest/listen.h: the sockets this server listens on. */
#pragma once

#include "core/base/base.h"

#define LISTENERS_MAX 2

struct listeners {
	int fd[LISTENERS_MAX]; /* -1: given away */
	unsigned int count;
};

#define LISTENERS_NONE ((struct listeners){ .fd = { -1, -1 } })

/**
 * listeners_open() - bind and listen
 * @listen:  "127.0.0.1:5005", "[::1]:0", "localhost:0"; localhost is both loopback addresses where
 * the machine has both, under one port number
 * @ret_url: "http://HOST:PORT", malloc'ed
 * @err:     -EADDRINUSE and the like name the address; -EINVAL (BLAME_REQUEST) when @listen has not
 *           that form */
int listeners_open(const char *listen, struct listeners *ret, char **ret_url, struct error *err);
void listeners_close(struct listeners *listeners);
