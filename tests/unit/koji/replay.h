/* SPDX-License-Identifier: MIT */
/* tests/unit/koji/replay.h: tests/system/replayhub.py as a child process. */
#pragma once

#include "resolver/fetch/fetch.h"

/** struct replay - @url of the hub, @topurl of its files, @base of both */
struct replay {
	pid_t pid;
	int stdin_fd;
	char url[256], topurl[256], base[256];
	struct transport *transport; /* for orders and counts */
};

/** replay_start() - @options: NULL, or three words after the script's name; @ca: to trust, or NULL.
 * Exits when it fails */
void replay_start(struct replay *replay, const char *script, const char *const options[3],
		  const char *ca);
void replay_stop(struct replay *replay);
/** replay_order() - JSON to /control, e.g. {'do': 'misbehave', 'what': 'half'} with ' in place of "
 */
void replay_order(struct replay *replay, const char *order);
/** replay_count() - calls of a method since it was last cleared; "connections" too */
int replay_count(struct replay *replay, const char *method);
