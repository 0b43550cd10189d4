/* SPDX-License-Identifier: MIT */
/* core/daemon/fetches.h: which packages are wanted, by whom, and what is fetched next.
 *
 *   asked ─► queued ─► running ─► over: told to all who wait; a failure is remembered for a moment
 *               ▲         │
 *               └─────────┘ once more
 *
 * A table and nothing else: no thread, no clock, no file; its owner has a lock (fetcher.c). However
 * many wait, a package is fetched once, by its SHA-256 and size, from whichever source was asked
 * for first; another one that somebody asked for is next when that one fails. Failures are each
 * source's. */
#pragma once

#include "core/tree/tree.h"

#define FETCHES_FAILED_MS                                                                          \
	5000		      /* a package that could not be had is not asked for again so soon    \
			       */
#define FETCHES_PLACE_MS 5000 /* nor is a server that is not there */
#define FETCHES_FULL_MS 1000  /* nor is room where there was none */
#define FETCHES_ROW_MS                                                                             \
	60000 /* a server that nobody asks any more has failed in a row for so long */
#define FETCHES_AGED_MS 5000 /* who has waited so long comes before small packages */
#define FETCHES_AHEAD_TRIES                                                                        \
	60		    /* of what is fetched ahead of time from a server that is not there */
#define FETCHES_LOOKING 4   /* files that are there and looked at, at a time */
#define FETCHES_PARTIES 256 /* buckets */

/** struct fetch_place - a server, by the beginning of the base; lives as long as something is to
 * come from there, or something wrong is known of it
 * @fetches: of the table, in whatever state */
struct fetch_place {
	struct fetch_place *next;
	char *name;
	size_t fetches, running;
	unsigned int failures; /* in a row, of the kind that says something about the server */
	int64_t failed_ms;     /* the last of them */
	int64_t bad_ms;	       /* not before; 0: nothing is wrong with it */
	int code;
	char *words;
};

enum fetch_state { FETCH_QUEUED, FETCH_RUNNING, FETCH_OVER };

struct fetch {
	struct fetch *next;	      /* bucket */
	struct fetch *before, *after; /* of those that wait for @later_ms */
	char sha256[DIGEST_HEX_SIZE];
	uint64_t size;
	char *base, *path;
	char *other_base, *other_path; /* where else somebody knows it; NULL: nowhere */
	struct fetch_place *place;
	bool turned; /* to that other one */
	bool there;  /* a file is there: it is looked at first */
	enum fetch_state state;
	struct fetch_claim *claims; /* by whom it is wanted; none: nobody wants it any more */
	struct fetch_party *payer;  /* running: for whom it counts */
	struct tree_waiter *waiters;
	int64_t asked_ms, started_ms;
	int64_t later_ms;	      /* queued, but not before; 0: at once */
	struct tree_arrival *arrival; /* the owner's; NULL: nothing is handed out early */
	uint64_t came;		      /* bytes that may be */
	int64_t told;		      /* bytes that the worker last told of */
	int64_t full_ms;	      /* since when there is no room for it; 0: there is */
	int64_t alone_ms;	      /* since when nobody wants it; 0: somebody does */
	unsigned int ahead_tries;     /* that found its server not there */
	unsigned int tries;	      /* that ended with the worker's death or without room */
	int64_t forget_ms;	      /* over: the failure is remembered until then */
	int code;
	enum blame blame;
	char *words;
};

struct fetches {
	struct fetch **bucket;
	size_t buckets, count;
	/* fetch_queue.c: who waits, what has to wait, and when the first of that is due */
	struct fetch_party *parties[FETCHES_PARTIES];
	struct fetch *later;
	int64_t due_ms;
	size_t queued, delayed; /* @delayed: of the queued, those that have to wait */
	struct fetch_place *places;
	size_t running, looking, waiting; /* @looking: at what is there */
	int64_t timeout_ms;		  /* of who says nothing else */
	size_t most_of_one;		  /* downloads from one server at a time; 0: any number */
	bool strict;			  /* not one more for a server that has none */
};

int fetches_init(struct fetches *table, int64_t timeout_ms);
void fetches_done(struct fetches *table); /* nobody waits any more */

/**
 * fetches_ask() - @want is wanted by @waiter (NULL: ahead of time) of @party (NULL: nobody in
 * particular) 0; or, with words, what is known to be wrong with it; -ENOMEM */
int fetches_ask(struct fetches *table, const struct tree_want *want, struct tree_waiter *waiter,
		const char *party, int64_t now_ms, struct error *err);
/** fetches_forget() - false: he was taken off already */
bool fetches_forget(struct fetches *table, struct tree_waiter *waiter, int64_t now_ms);

/**
 * fetches_next() - what to start now (fetch_queue.c); NULL: nothing
 * @most: downloads at a time. A server with none under way gets one although there are so many, up
 * to twice as many in all: those that never end do not keep others waiting (not if @strict)
 *
 * Readers before what is ahead of time; then parties in turn, those with the fewest under way
 * first; then servers, in the same way; of one, small packages before large ones. What several
 * parties want is taken in the turn of the first of them, and counts for that one. */
struct fetch *fetches_next(struct fetches *table, size_t most, int64_t now_ms);
void fetches_start(struct fetches *table, struct fetch *fetch, int64_t now_ms);
/** fetches_again() - it runs no more, and is queued once more at @later_ms */
void fetches_again(struct fetches *table, struct fetch *fetch, int64_t later_ms);
/** fetches_delay() - a queued one is not to be started before */
void fetches_delay(struct fetches *table, struct fetch *fetch, int64_t later_ms);
/** fetches_end() - it is here (@failure NULL or its code 0), or cannot be had; running or queued.
 * Who waited is in the list that comes back, taken off; @fetch may be gone. NULL as well where
 * another source is known: it is queued for that one, and they wait on. What is wanted ahead of
 * time as well is queued for later where the server is not there, FETCHES_AHEAD_TRIES times */
struct tree_waiter *fetches_end(struct fetches *table, struct fetch *fetch,
				const struct error *failure, int64_t now_ms);
/** fetches_came() - @came bytes of a running one may be handed out: those for whom that is enough,
 * taken off; who waits on has as long again as at first, if there are more than before */
struct tree_waiter *fetches_came(struct fetches *table, struct fetch *fetch, uint64_t came,
				 int64_t now_ms);
/** fetches_find() - one that is queued or running; NULL: there is none */
struct fetch *fetches_find(struct fetches *table, const struct tree_want *want);
/** fetches_bad_until() - the server of @base is not there, and is not asked before; 0: nothing is
 * wrong with it */
int64_t fetches_bad_until(const struct fetches *table, const char *base, int64_t now_ms);
/** fetches_bad() - a queued one whose server is not there; with words; NULL: none */
struct fetch *fetches_bad(struct fetches *table, int64_t now_ms, struct error *failure);
/** fetches_late() - those whose time is over, taken off */
struct tree_waiter *fetches_late(struct fetches *table, int64_t now_ms);
/** fetches_alone() - has nobody wanted a running one for as long as a reader waits? Who is being
 * handed bytes of it wants it, and so does who asked for it ahead of time */
bool fetches_alone(const struct fetches *table, struct fetch *fetch, int64_t now_ms);
/** fetches_tidy() - forget what is over, what nobody wants, and servers without either */
void fetches_tidy(struct fetches *table, int64_t now_ms);
