/* SPDX-License-Identifier: MIT */
/* tests/system/player.h: the worker's part, played by a test: commands on stdin, one per line, each
 * answered by one line, "ok NUMBER" or "error ERRNO WORDS".
 *
 *   row SPEC | rows COUNT | claim | progress ID DONE TOTAL PHASE TEXT | log ID LINE
 *   resolve ID EVENT INPUTS | candidate ID EVENT INPUTS | reuse ID OLD | unclaim ID | requeue
 *   finish ID [FILES [EVENT [SOURCE]]] | fail ID WORDS
 *   expire | clock SECONDS | stop SECONDS | spoil | quit
 *
 * The tree of a finished compose is made by hand: FILES packages, which are all the same file.
 * clock moves the time, stop makes it stand still at a second (0: it goes on). INPUTS is any word:
 * what a worker has read; candidate answers the compose whose tree could be shown, or 0. Used by
 * rest-driver.c and fs-driver.c. */
#pragma once

#include "core/catalogue/catalogue.h"
#include "core/tree/tree.h"

/**
 * struct player - what a driver lends; borrowed until player_listen() returns
 * @rules:   of "row", a request that came from elsewhere
 * @changed: a log or a progress grew; may be NULL
 * @other:   "VERB [NUMBER [REST]]" that is none of the above; -EINVAL: not known here either
 * @idle:    called every @tick_ms, commands or not; may be NULL */
struct player {
	struct catalogue *catalogue;
	struct tree_store *trees;
	const char *folder; /* the state directory */
	int folder_fd;
	const struct spec_rules *rules;
	void (*changed)(void *data, int64_t id);
	int (*other)(void *data, const char *verb, int64_t value, const char *rest, int64_t *ret,
		     struct error *err);
	void (*idle)(void *data);
	int tick_ms;
	void *data;
};

/** player_now() - the time that the commands have set: for catalogue_open() */
int64_t player_now(void);
/** player_listen() - obey until "quit" or the end of stdin */
void player_listen(struct player *player);
