/* SPDX-License-Identifier: MIT */
/* rest/work.h: exchanges that wait for the disk, done by threads that the daemon lends. */
#pragma once

#include "rest/exchange.h"

int works_new(struct works **ret);
void works_free(struct works *works);

/** work_park() - true: @handler will be run by another thread, and route_run() called again when it
 * has; false: there is none, run it here */
bool work_park(struct exchange *ex, exchange_handler *handler);
int work_answer(struct exchange *ex); /* queue what the handler made; ex->worked is true */
/** works_end() - finish what is parked; returns when every rest_work() is about to */
void works_end(struct works *works);
