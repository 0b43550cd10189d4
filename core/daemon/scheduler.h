/* SPDX-License-Identifier: MIT */
/* core/daemon/scheduler.h: what scheduler.c, order.c and reuse.c share; the thread of the scheduler owns it all
 * but what is _Atomic. */
#pragma once

#include "core/daemon/daemon.h"

#include <stdatomic.h>

#define RENEW_MS 1000	/* between looks at the files of idle workers */
#define OWED_MS 1000	/* between tries to write what could not be written */
#define REFUSED_MAX 8	/* candidates that were looked at in vain; then the compose is made */
#define CORPSES_MAX 3	/* killed workers of one slot that the kernel does not let go; then it rests */
#define OVERTAKEN_MAX 16 /* times that another one of its latest-… name was done first */

/**
 * enum phase - of a job
 * resolve ─► (check ─►)* make; each arrow is an answer to the worker, which may have to await what
 * an older compose does */
enum phase { PHASE_RESOLVE, PHASE_CHECK, PHASE_AWAIT, PHASE_MAKE };

/** struct slot - one worker and its job */
struct slot {
	struct child *child; /* NULL: to be started at respawn_ms */
	struct child *corpse[CORPSES_MAX]; /* each keeps its work directory; NULL: a free place */
	size_t place;			   /* of the child */
	bool resting;			   /* there is no free place */
	bool ready;
	bool more; /* of what it said may be here already */
	_Atomic bool alive;	   /* there is a child: for the metrics */
	_Atomic int64_t job;	   /* id, 0: idle */
	_Atomic int64_t cancelled; /* id of a compose that is not wanted any more */
	bool retried;
	int64_t logged; /* bytes of lines of its worker */
	unsigned int overtaken; /* times: each is a try of its own */
	struct job *work;     /* kept for the next try */
	struct outcome *part; /* files of the result that is to come; NULL: none yet */
	enum phase phase;
	struct resolution resolution; /* from PHASE_CHECK on */
	int64_t await_ms;	      /* not longer: PHASE_AWAIT */
	int64_t candidate;	      /* whose manifest the worker looks at: PHASE_CHECK */
	int64_t refused[REFUSED_MAX]; /* candidates that will not do */
	size_t refused_count;
	char *asked;	  /* source of the job at hand */
	char *source;	  /* of the last job that was made: its snapshots are loaded here */
	int log_fd;
	int64_t started_ms, deadline_ms, respawn_ms, pause_ms;
	char reason[512]; /* why we killed it, or "" */
};

struct joined; /* reuse.c, as the next */
struct loss;

/* struct owed - a verdict that could not be written (no room on the disk): tried again until it is
 */
struct owed {
	struct owed *next;
	int64_t id;
	char *reason;
};

struct scheduler {
	const struct scheduler_options *options;
	pthread_t thread;
	bool running;
	int event_fd;
	_Atomic bool stop, work;
	_Atomic int64_t deaths; /* of workers, for the metrics */
	struct slot *slot;
	size_t slots;
	struct owed *owed;
	int64_t owed_ms;  /* when to try again */
	int64_t renew_ms; /* when to look at idle workers again */
	int64_t claim_ms; /* not before: the last claim could not be written */
	struct joined *joined;
	int64_t joined_ms; /* when to try again to settle them; 0: nothing to try */
	struct loss *losses;
};

/* ---- scheduler.c ----------------------------------------------------------- */

void log_line(struct slot *slot, const char *text);
/** progressed() - compose @id has a new line of its log, or of its progress */
void progressed(struct scheduler *scheduler, int64_t id);
/** is_cancelled() - is the job at hand one that was cancelled? */
bool is_cancelled(struct slot *slot);
/** job_over() - the slot has no job any more, whatever came of it */
void job_over(struct scheduler *scheduler, struct slot *slot);
/** no_longer_wanted() - is it over although nobody here ended it (cancelled)? */
bool no_longer_wanted(struct scheduler *scheduler, int64_t id);

/* ---- verdict.c -------------------------------------------------------------- */

#define FAILURE_PREFIX "Error while generating compose: "
/** fail_compose() - write it down, or owe it */
void fail_compose(struct scheduler *scheduler, int64_t id, const char *reason);
/** verdict_pay() - try again what is owed, when owed_ms has come */
void verdict_pay(struct scheduler *scheduler);
void verdict_free(struct scheduler *scheduler);

/* ---- order.c: what a worker is told ------------------------------------------ */

/** order_make() - a job out of @compose, whose spec it takes; -ENOMEM */
int order_make(struct scheduler *scheduler, struct compose *compose, struct job **ret);
/** order_after() - @job follows what its latest-… name leads to now */
void order_after(struct scheduler *scheduler, const char *owner, struct job *job);

/* ---- reuse.c: another compose that is the same ----------------------------- */

/** reuse_resolved(), reuse_checked() - what the worker says of the job at hand; it is answered, and the
 * job may be over then. -EBADMSG: out of turn; -ENOMEM: it could not be answered */
int reuse_resolved(struct scheduler *scheduler, struct slot *slot,
		   const struct resolution *resolution);
int reuse_checked(struct scheduler *scheduler, struct slot *slot, bool sound, const char *words);
/** reuse_again() - may a job that awaits an older one go on? Then it does; -ENOMEM as above */
int reuse_again(struct scheduler *scheduler, struct slot *slot);

enum ending {
	ENDING_DONE,
	ENDING_FAILED, /* the question has no answer */
	ENDING_LOST,   /* cancelled, or its worker died: says nothing about the question */
};
/**
 * reuse_settle() - the compose at hand has ended (its row says so): so have those that waited for it
 * @reason: of ENDING_FAILED, and of a worker's death; NULL: cancelled */
void reuse_settle(struct scheduler *scheduler, struct slot *slot, enum ending ending,
		  const char *reason);
/** reuse_pay() - try again what could not be written, when joined_ms has come */
void reuse_pay(struct scheduler *scheduler);
void reuse_free(struct scheduler *scheduler);
