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
 * @before:  listening already; those at that place (of port 0: at that address) are taken out and used
 * @ret_url: "http://HOST:PORT", with @tls https, malloc'ed
 * @err:     -EADDRINUSE and the like name the address; -EINVAL (BLAME_REQUEST) when @listen has not
 *           that form */
int listeners_open(const char *listen, bool tls, struct listeners *before, struct listeners *ret,
		   char **ret_url, struct error *err);
void listeners_close(struct listeners *listeners);

/** struct local_socket - a unix socket; its file goes with it, unless another one took its place */
struct local_socket {
	char *path;
	uint64_t device, inode;
};

/**
 * local_open() - bind and listen on @path; a missing folder is made
 * @group: NULL or "": that of the service
 * @before: listens already, taken over; used if it is on that path. -1: none
 * @ret: local_close()
 * The descriptor, or: -EADDRINUSE when somebody listens there, -EEXIST when something else than a
 * socket is there. What a dead service left is replaced */
int local_open(const char *path, uint32_t mode, const char *group, int before,
	       struct local_socket *ret, struct error *err);
/** local_close() - @remove: its file too; the descriptor is its owner's */
void local_close(struct local_socket *socket, bool remove);
/** local_forget() - close one that nobody wants any more, and remove its file */
void local_forget(int fd);
