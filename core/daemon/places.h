/* SPDX-License-Identifier: MIT */
/* core/daemon/places.h: where the tree is mounted, each place with the thread that answers its
 * kernel. All calls come from one thread. */
#pragma once

#include "core/daemon/daemon.h"

#include <stdatomic.h>

/** struct places - initialise with { 0 }: nothing is mounted, nor will be */
struct places {
	struct fs *fs;
	bool again;	   /* mounts may be those of a server before us */
	atomic_bool leave; /* they are for the next server */
	struct place {
		struct places *all;
		enum fs_place place;
		const char *path; /* "": not to be mounted */
		pthread_t thread;
		bool running;
		bool wanted; /* SIGHUP came while it, unmounted, was still held open */
	} place[FS_PLACES];
};

/** places_mount() - what @config names; @fs and @config are borrowed until places_end() */
int places_mount(struct places *places, const struct config *config, struct fs *fs, bool again,
		 struct error *err);
/** places_look() - about once a second: mount again what was waited for; @all (SIGHUP): whatever is
 * not mounted */
void places_look(struct places *places, bool all);
/** places_end() - unmount, or @leave the mounts to the next server; nobody answers when it returns */
void places_end(struct places *places, bool leave);
