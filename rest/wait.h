/* SPDX-License-Identifier: MIT */
/* rest/wait.h: what waits: parked long polls and followers of events. */
#pragma once

#include "rest/exchange.h"

int waits_new(struct waits **ret);
void waits_free(struct waits *waits); /* after the last connection has gone */
size_t waits_count(struct waits *waits); /* long polls and followers now */

/** wait_park() - suspend the connection until compose @id is final, @seconds are over or the server
 * stops; route_run() is then called again. 1 = parked, 0 = not (too many, stopping), or -ENOMEM */
int wait_park(struct exchange *ex, int64_t id, int64_t seconds);
void wait_wake(struct exchange *ex);   /* no need to wait after all */
void wait_forget(struct exchange *ex); /* the exchange is over */

/** events_get() - handler of /api/1/events: server-sent events, one for each change of a state */
int events_get(struct exchange *ex);

void wait_changed(struct rest *rest, const struct catalogue_event *event);
void wait_tick(struct rest *rest, int64_t now_ms);
void wait_end_all(struct rest *rest);

bool state_is_final(enum compose_state state);
