/* SPDX-License-Identifier: MIT */
/* rest/bring.h: GETs of packages that are not here yet. */
#pragma once

#include "rest/exchange.h"

int brings_new(struct brings **ret);
void brings_free(struct brings *brings); /* after the last connection has gone */

/**
 * bring_park() - have the package brought and suspend the connection until it is here; route_run() is then
 * called again
 * 0: parked, or an error was answered: it cannot be had, it was not to be had the last time, or too many
 * wait. Negative errno: the connection is to be closed */
int bring_park(struct exchange *ex, const struct tree *tree, uint32_t index);
void bring_done(struct exchange *ex); /* the exchange is over */

/** bring_tick() - let go of those whose client has gone */
void bring_tick(struct rest *rest);
void bring_end_all(struct rest *rest); /* nobody waits when it returns, or from now on */
