/* SPDX-License-Identifier: MIT */
/* core/catalogue/catalogue.h: the door to what is remembered: requests, composes, their states.
 *
 * Any thread may call any verb at any time. Reading never waits for writing. Writing is one
 * transaction per verb; callers that write at the same moment share one commit (the first one in
 * does the work of those who queue behind it), so nobody ever sees "database is locked".
 * A verb that says *durable* returns only after the row is on disk (reliability.md 1).
 *
 * Times come from the @now function given at open, so that tests can set the clock.
 * Errors: BLAME_US with -EIO, -ENOSPC, -ENOMEM, and -EUCLEAN when the file or one row of it is damaged
 * (the words name file, or compose and column), unless a verb says more. Verbs that take the id of a
 * compose or the number of a request: -ENOENT (BLAME_REQUEST). Verbs that visit leave damaged rows
 * out and return how many there were (> 0), with the words of the first one in @err. */
#pragma once

#include "core/model/model.h"

struct catalogue;

/**
 * catalogue_open() - open or create @path, migrate it to this version's schema
 * @now: seconds since 1970 UTC; NULL = time_now
 * -EBUSY: a newer odcsfs wrote it; -EUCLEAN: not a catalogue, or damaged (names the file) */
int catalogue_open(const char *path, int64_t (*now)(void), struct catalogue **ret, struct error *err);
/**
 * catalogue_look() - open @path for looking only: nothing is created, brought up or written to it, and a
 * service may be using it meanwhile. Reading verbs alone may be called
 * -ENOENT; -ESTALE: an older odcsfs wrote it, and only catalogue_open() brings it up; else as that */
int catalogue_look(const char *path, struct catalogue **ret, struct error *err);
void catalogue_close(struct catalogue *catalogue);
DEFINE_FREEP(struct catalogue, catalogue_close)

/* ---- news -------------------------------------------------------------- */

/**
 * struct catalogue_event - one committed change
 * @old_state: STATE_DRAFT when the compose was just accepted. A removed compose whose tree was kept for
 *             others is told of once more, removed as before, when the last of them is removed
 * @compose:   as after the change; borrowed for the call
 * @request_only: 1: a request directory was made, renamed or dropped, @compose is NULL */
struct catalogue_event {
	enum compose_state old_state;
	const struct compose *compose;
	int64_t request;
	bool request_only;
};

/**
 * catalogue_watch() - @function is called after each commit that changed a state or an expiry time
 *
 * Called in the thread of the verb, with no lock held, in commit order; other verbs wait for their turn
 * to tell, so it must not block and must not call a writing verb, and a lock that it takes must not
 * be held over a writing verb. Reading verbs see the change. Register before the first verb; at most 8
 * (-E2BIG). */
int catalogue_watch(struct catalogue *catalogue,
		    void (*function)(void *data, const struct catalogue_event *event), void *data);

/* ---- request directories ----------------------------------------------- */

#define REQUEST_NAME_MAX 100

/** struct request - one directory under requests/: plain copy, request_done() */
struct request {
	int64_t number; /* never reused; inode numbers are made from it */
	char *name;
	char *owner;
	uint32_t uid, gid, mode; /* permission bits of the directory */
	int64_t time_created;	 /* or of the last rename or chmod */
	int64_t compose_id;	 /* 0: still a draft */
	char *note;		 /* user.odcs.note, or NULL */
};

void request_done(struct request *request);

/** -EEXIST: name taken (BLAME_REQUEST). Not durable: a draft may be lost by a power cut */
int catalogue_request_new(struct catalogue *catalogue, const char *name, const char *owner,
			  uint32_t uid, uint32_t gid, uint32_t mode, int64_t *ret_number,
			  struct error *err);
int catalogue_request_get(struct catalogue *catalogue, int64_t number, struct request *ret,
			  struct error *err); /* -ENOENT */
int catalogue_request_find(struct catalogue *catalogue, const char *name, struct request *ret,
			   struct error *err); /* -ENOENT */
/** drafts only (-EBUSY else); -EEXIST */
int catalogue_request_rename(struct catalogue *catalogue, int64_t number, const char *name,
			     struct error *err);
int catalogue_request_chmod(struct catalogue *catalogue, int64_t number, uint32_t mode,
			    struct error *err);
int catalogue_request_note(struct catalogue *catalogue, int64_t number, const char *note,
			   struct error *err);
/** the directory goes, the compose's row stays; the number is not used again */
int catalogue_request_drop(struct catalogue *catalogue, int64_t number, struct error *err);
/**
 * catalogue_request_list() - requests with number > @after, ascending
 * @visit: returns true to stop. Called with no lock held. */
int catalogue_request_list(struct catalogue *catalogue, int64_t after,
			   bool (*visit)(void *data, const struct request *request), void *data,
			   struct error *err);
/** drafts of @uid (for the quota); drafts older than @before are dropped by _reap (count returned) */
int catalogue_request_drafts(struct catalogue *catalogue, uint32_t uid, int64_t *ret_count,
			     struct error *err);
int catalogue_request_reap(struct catalogue *catalogue, int64_t before, int64_t *ret_count,
			   struct error *err);

/* ---- composes ---------------------------------------------------------- */

/**
 * struct submission - an accepted request
 * @request: number of the draft it comes from; 0: make a directory named auto-ID for it
 * @text:    the spec as the user wrote it, kept for spec.json
 * @respin_of, @koji_event: for a regenerated compose (PATCH); NULL / -1
 * @live_limit: 0, or: refuse with -EDQUOT when @owner has that many composes not removed or failed
 * @contact:    whom to ask for more of them, for the words; may be NULL
 * @client:     where it came from, when @owner and @uid say nobody in particular: turns are taken by it
 *              too. Without blanks; NULL: not known. Forgotten once the compose is made */
struct submission {
	int64_t request;
	const char *owner;
	uint32_t uid, gid;
	const struct spec *spec;
	const char *text;
	size_t text_length;
	const char *respin_of;
	int64_t live_limit;
	const char *contact, *client;
};

/** catalogue_submit() - *durable*. -EBUSY: the request was accepted before; -ENOENT: it is gone;
 * -EDQUOT. @ret: may be NULL; the record right after acceptance */
int catalogue_submit(struct catalogue *catalogue, const struct submission *submission,
		     int64_t *ret_id, struct compose **ret, struct error *err);

/** catalogue_claim() - oldest waiting compose of the owner and uid (and client) with the fewest generating,
 * of those of who was served longest ago: wait → generating, "Compose thread started", time_started,
 * pungi_compose_id. 1 = got one, 0 = none */
int catalogue_claim(struct catalogue *catalogue, struct compose **ret, struct error *err);

/** catalogue_finish() - generating → done; *durable*. time_to_expire moves by the time the queue and the
 * build took (odcs-api.md 3.2). -ESTALE: not generating any more (cancelled meanwhile); -EAGAIN: of its
 * @latest another one was done meanwhile whose timestamp is not earlier and whose content is another: it is
 * to be made after that one (catalogue_generation()) */
int catalogue_finish(struct catalogue *catalogue, int64_t id, const struct outcome *outcome,
		     struct error *err);
/**
 * catalogue_resolved() - generating stays generating: "Compose is generating", koji_event; from now on
 * it is a candidate for composes of the same question and inputs. No news but of a change: old_state is
 * generating. -ESTALE: not generating any more
 * @spec: of the compose */
int catalogue_resolved(struct catalogue *catalogue, int64_t id, const struct spec *spec,
		       const struct resolution *resolution, struct error *err);
/**
 * catalogue_candidates() - composes that compose @id of @spec could show the tree of (odcs-api.md 5): the
 * same question, event rules and inputs, a lower id; done ones, newest first, then generating ones that
 * were resolved, oldest first; in time that does not grow with the number of composes
 * @visit: returns true to stop; called with no lock held. 1 when it did, else 0 */
int catalogue_candidates(struct catalogue *catalogue, int64_t id, const struct spec *spec,
			 const struct resolution *resolution,
			 bool (*visit)(void *data, const struct compose *candidate), void *data,
			 struct error *err);
/** catalogue_known_event() - latest Koji event of the composes of the same question that are done, or being
 * made and resolved, not after that of @spec; -1: none. Its content may be that of today: a worker asks */
int catalogue_known_event(struct catalogue *catalogue, const struct spec *spec, int64_t *ret,
			  struct error *err);
/** catalogue_generation() - the newest generation of @owner's composes named @latest that ever was */
int catalogue_generation(struct catalogue *catalogue, const char *owner, const char *latest,
			 struct generation *ret, struct error *err);
/** catalogue_latest() - done ones of these, newest generation first, one of each content, at most @room ids; their
 * count. 0 also when the newest that ever was is removed: a name never leads back */
int catalogue_latest(struct catalogue *catalogue, const char *owner, const char *latest,
		     int64_t *ret_ids, int room, struct error *err);
/** catalogue_reuse() - generating → done, showing the tree of @reused_id (done, not expired or deleted, a
 * lower id, none that shows another's, no step back for who follows its @latest): its pungi_compose_id,
 * koji_event, source, arches, sigkeys, manifest, timestamp and sizes; both live until the later of their times
 * (odcs-api.md 5, 3.2). *durable*. -ESTALE: one of them is in another state, or that step back */
int catalogue_reuse(struct catalogue *catalogue, int64_t id, int64_t reused_id, struct error *err);
/** catalogue_reuse_many() - the same for @count composes in one commit
 * @results: 0, -ESTALE or -ENOENT of each. A negative errno is returned when none was written */
int catalogue_reuse_many(struct catalogue *catalogue, const int64_t *ids, size_t count,
			 int64_t reused_id, int *results, struct error *err);
/** catalogue_fail() - wait or generating → failed; @reason is shown as it is */
int catalogue_fail(struct catalogue *catalogue, int64_t id, const char *reason, struct error *err);
/** catalogue_requeue() - after a start: every generating row → wait; count returned */
int catalogue_requeue(struct catalogue *catalogue, int64_t *ret_count, struct error *err);
/** catalogue_unclaim() - generating → wait: somebody is to take it up anew; -ESTALE in other states */
int catalogue_unclaim(struct catalogue *catalogue, int64_t id, struct error *err);
/** catalogue_cancel() - wait or generating → failed, "Canceled by WHO"; -ESTALE in other states */
int catalogue_cancel(struct catalogue *catalogue, int64_t id, const char *who, struct error *err);
/** catalogue_delete() - done or failed: time_to_expire = now, removed_by; -ESTALE in other states */
int catalogue_delete(struct catalogue *catalogue, int64_t id, const char *who, struct error *err);

enum renew_rule {
	RENEW_EXTEND, /* REST: max(current, now + seconds) */
	RENEW_SET,    /* tree's ttl: exactly now + seconds */
};
/** catalogue_renew() - done only; *durable*; either the compose stays readable until *ret_expires or
 * -ESTALE (expired or deleted meanwhile, or not done yet). Composes that share its tree by
 * catalogue_reuse() live at least as long */
int catalogue_renew(struct catalogue *catalogue, int64_t id, int64_t seconds, enum renew_rule rule,
		    int64_t *ret_expires, struct error *err);

/** struct lease - a tree was read: of the compose @id, whoever else shows it */
struct lease {
	int64_t id, time_read;
};
/**
 * struct lease_terms - what holds for all
 * @seconds: the lease of those whose request says none; 0: none
 * @most: seconds after time_done that a lease cannot go beyond
 * @expiring: only trees of which one compose expires until then; INT64_MAX: all */
struct lease_terms {
	int64_t seconds, most, expiring;
};
/**
 * catalogue_lease() - those that show one of these trees, and are done and not deleted, live on
 *
 * All that show a tree live until the latest time that one of them is owed: time_read + its lease. None becomes
 * shorter. One commit, without one when nothing changes. Not durable */
int catalogue_lease(struct catalogue *catalogue, const struct lease *leases, size_t count,
		    const struct lease_terms *terms, struct error *err);

/** catalogue_expire() - done or failed rows with time_to_expire <= @now → removed (at most 100 a call);
 * @ret_count: rows changed. Reasons as odcs-api.md 3.4 step 4. tree_kept of a record says whether others
 * show the tree of a removed compose */
int catalogue_expire(struct catalogue *catalogue, int64_t now, int64_t *ret_count,
		     struct error *err);
/** catalogue_lose() - done → removed at once, since its files are lost: @reason is added to its own; -ESTALE in
 * other states */
int catalogue_lose(struct catalogue *catalogue, int64_t id, const char *reason, struct error *err);
/** catalogue_next_expiry() - earliest time_to_expire of done and failed rows; INT64_MAX when none */
int catalogue_next_expiry(struct catalogue *catalogue, int64_t *ret_time, struct error *err);
/** catalogue_history() - removed composes whose time_removed is < @before lose their request directory
 * (rows stay for ever) */
int catalogue_history(struct catalogue *catalogue, int64_t before, int64_t *ret_count,
		      struct error *err);

int catalogue_get(struct catalogue *catalogue, int64_t id, struct compose **ret,
		  struct error *err); /* -ENOENT */
/** catalogue_text() - the spec as written; malloc'ed; -ENOENT */
int catalogue_text(struct catalogue *catalogue, int64_t id, char **ret, size_t *ret_length,
		   struct error *err);

enum compose_order {
	ORDER_ID, ORDER_OWNER, ORDER_KOJI_EVENT, ORDER_STATE, ORDER_TIME_TO_EXPIRE,
	ORDER_TIME_SUBMITTED, ORDER_TIME_DONE, ORDER_TIME_REMOVED,
};

/** struct compose_query - NULL / -1 members are not compared; all others must be equal */
struct compose_query {
	const char *owner, *source, *pungi_compose_id, *compose_type, *label;
	int64_t state, source_type, koji_task_id;
	int64_t after_id;  /* only ids greater than this; 0 for all */
	int64_t reused_id; /* only those that show the tree of that one; 0 for all */
	enum compose_order order;
	bool descending;
	int64_t offset, limit; /* limit -1: no limit */
};
#define COMPOSE_QUERY_ALL                                                                          \
	((struct compose_query){ .state = -1, .source_type = -1, .koji_task_id = -1, .limit = -1 })

/**
 * catalogue_query() - visit composes in order
 * @ret_total: may be NULL; rows that match, without offset and limit
 * @visit: may be NULL (count only); returns true to stop; called with no lock held */
int catalogue_query(struct catalogue *catalogue, const struct compose_query *query,
		    bool (*visit)(void *data, const struct compose *compose), void *data,
		    int64_t *ret_total, struct error *err);

/** struct compose_tally - composes by kind; [0] of source types is not used */
struct compose_tally {
	int64_t count[SOURCE_PUNGI_COMPOSE + 1][STATE_FAILED + 1]; /* [source type][state] */
};
/** catalogue_tally() - how many there are of each kind, in time that does not grow with their number */
int catalogue_tally(struct catalogue *catalogue, struct compose_tally *ret, struct error *err);

/** catalogue_ids() - cheap listing for readdir: ids ascending with state, expiry, tree id */
struct compose_brief {
	int64_t id, reused_id, time_done, time_to_expire, time_submitted;
	enum compose_state state;
	enum source_type source_type;
	uint32_t uid;
	const char *owner, *source; /* borrowed for the visit */
};
int catalogue_briefs(struct catalogue *catalogue, int64_t after_id, bool with_removed,
		     bool (*visit)(void *data, const struct compose_brief *brief), void *data,
		     struct error *err);

/** catalogue_manifests() - every manifest digest that a not removed compose refers to, ascending; visit
 * once per digest. -EUCLEAN after the visits when a digest cannot be read: then nothing may be
 * cleaned up */
int catalogue_manifests(struct catalogue *catalogue,
			bool (*visit)(void *data, const char *manifest), void *data,
			struct error *err);

/* ---- progress: kept in memory, lost at restart ------------------------- */

struct progress {
	int64_t done, total;
	char phase[32];
	char text[256];
	int64_t serial; /* grows with each change, for poll */
};
void catalogue_progress_set(struct catalogue *catalogue, int64_t id,
			    const struct progress *progress); /* serial is ours */
void catalogue_progress_get(struct catalogue *catalogue, int64_t id, struct progress *ret);

/**
 * catalogue_examine() - everything that must not be in the file: what SQLite finds, what our rules forbid, rows
 * that cannot be read
 * @found: @row is "" (the file as a whole) or names one: "compose 12", "request 3"
 * How many were found; -EUCLEAN when the file itself is damaged (told as well): then no verb can be trusted */
int catalogue_examine(struct catalogue *catalogue,
		      void (*found)(void *data, const char *row, const char *words), void *data,
		      struct error *err);
/** catalogue_integrity() - the same in short: 0, or -EUCLEAN with the words of the first */
int catalogue_integrity(struct catalogue *catalogue, struct error *err);
