/* SPDX-License-Identifier: MIT */
/* rest/proxies.h: whose headers about users are believed: addresses, networks, local users. */
#pragma once

#include "core/base/base.h"

#include <sys/socket.h>

struct proxies;

/**
 * proxies_parse() - "10.0.0.1", "10.0.0.0/8", "::1", "fd00::/8", "unix:USER" (name or uid)
 * -EINVAL, BLAME_REQUEST: which word, and what is wrong with it */
int proxies_parse(const struct strings *words, struct proxies **ret, struct error *err);
void proxies_free(struct proxies *proxies);
DEFINE_FREEP(struct proxies, proxies_free)
bool proxies_have_address(const struct proxies *proxies, const struct sockaddr *address);
bool proxies_have_uid(const struct proxies *proxies, uint32_t uid);
