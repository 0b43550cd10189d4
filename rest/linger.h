/* SPDX-License-Identifier: MIT */
/* rest/linger.h: connections that were answered before their body had come in. */
#pragma once

#include "rest/exchange.h"

int lingers_new(struct lingers **ret);
void lingers_free(struct lingers *lingers);
/** linger_add() - the answer is out and libmicrohttpd is about to close: take in what is on its way */
void linger_add(struct lingers *lingers, struct MHD_Connection *connection);
void lingers_tick(struct lingers *lingers, int64_t now_ms); /* about once a second */
