/* SPDX-License-Identifier: MIT */
/* rest/bring.h: GETs of packages that are not here yet. */
#pragma once

#include "rest/exchange.h"

int brings_new(struct brings **ret);
void brings_free(struct brings *brings); /* after the last connection has gone */

/**
 * bring_park() - have the package brought (@need: as of struct tree_waiter) and suspend the
 * connection until it is here; route_run() is then called again 0: parked, or an error was
 * answered: it cannot be had, it was not to be had the last time, or too many wait. Negative errno:
 * the connection is to be closed */
int bring_park(struct exchange *ex, const struct tree *tree, uint32_t index, uint64_t need);
/** bring_stream() - the answer out of a package that is still coming, a part of which may be handed
 * out; NULL: not yet, or there is no memory. @start, @length: of the bytes that are wanted */
struct MHD_Response *bring_stream(struct exchange *ex, struct tree *tree, uint32_t index,
				  uint64_t start, uint64_t length);
void bring_done(struct exchange *ex); /* the exchange is over */

/** bring_tick() - let go of those whose client has gone */
void bring_tick(struct rest *rest);
void bring_end_all(struct rest *rest); /* nobody waits when it returns, or from now on */
