/* SPDX-License-Identifier: MIT */
/* core/daemon/check.h: `odcsfs check`: what the files of it share, and its door for main.c. */
#pragma once

#include "core/daemon/daemon.h"

struct check_options {
	bool repair, deep, json;
};

#define CHECK_CLEAN 0
#define CHECK_FOUND 1	   /* also when all of it was repaired */
#define CHECK_IMPOSSIBLE 2 /* wrong usage, or it cannot be looked at */

/** check() - look through the state directory, print what is found; one of the above */
int check(const struct config *config, const struct check_options *options);

/** check_after_crash() - look through manifests, blobs and packages and repair them, at a start;
 * what is found is logged */
int check_after_crash(const struct config *config, int state_dirfd, struct catalogue *catalogue,
		      struct error *err);

/** enum remedy - what --repair does about it */
enum remedy {
	REMEDY_NONE,   /* nothing: the words say what a person can do */
	REMEDY_REMOVE, /* nobody wants it, or it is made again */
	REMEDY_ASIDE,  /* to damaged/, where a person may look at it */
	REMEDY_LOSE,   /* a compose: removed, with a reason */
	REMEDY_OPEN,   /* the catalogue is brought up */
};

struct report;

/**
 * report_add() - one thing that was found
 * @kind: a word for programs: catalogue, row, compose, file, leftover, cache, log, configuration
 * @what: the file below the state directory, or the row
 * @result: of the remedy: > 0: not tried, 0: done, else negative errno */
void report_add(struct report *report, const char *kind, const char *what, const char *words,
		enum remedy remedy, int result);
/** report_note() - what is no finding, but should be known */
void report_note(struct report *report, const char *words);

/** struct look - the state directory that is looked at
 * @holder: process that uses it; "": nobody
 * @catalogue: NULL: it cannot be read */
struct look {
	const struct config *config;
	const struct check_options *options;
	struct report *report;
	int state_dirfd;
	char holder[32];
	struct catalogue *catalogue;
	int64_t files, composes; /* looked at */
};

/* ---- check_files.c --------------------------------------------------------- */

/** check_trees() - what composes name is there, and nobody else's; composes that lost theirs */
int check_trees(struct look *look, struct error *err);
int check_logs(struct look *look, struct error *err);
/** check_caches() - snapshots/ and headers/ */
int check_caches(struct look *look, struct error *err);
/** check_leftovers() - half-written files of workers that are gone */
int check_leftovers(struct look *look, struct error *err);
