/* SPDX-License-Identifier: MIT */
/* rest/exchange.h: what the files of this room share; nobody outside includes it.
 *
 * An exchange is one request and its answer. It is made when the request line has come in, belongs
 * to one thread of libmicrohttpd at a time, and is freed when the answer has gone out. A handler
 * queues exactly one answer (answer_…()) or parks the connection, and returns 0; a negative errno
 * closes the connection. */
#pragma once

#include "rest/accept.h"
#include "rest/listen.h"
#include "rest/rest.h"
#include "rest/routes.h"

#include <microhttpd.h>
#include <stdatomic.h>

#define REST_URL_MAX 8192	/* bytes of a request target; longer: 414 */
#define REST_ARGUMENTS_MAX 128	/* members of a query string; more: 400 */
#define REST_IDLE_SECONDS 30	/* without a byte: the connection is closed */
#define REST_REQUEST_SECONDS 60 /* a request must have come in whole by then */
#define REST_DISCARD_FACTOR 8	/* a body that many times too long is not even read */
#define REST_PAGE_MAX 500	/* per_page */
#define REST_PAGE_DEFAULT 10
#define REST_WAIT_MAX 300    /* seconds of a long poll */
#define REST_TICK_MS 5000    /* without a tick for so long nobody is left waiting */
#define REST_WAITERS_MAX 512 /* long polls and followers of events at a time */

enum method {
	METHOD_GET = 1, /* HEAD too */
	METHOD_POST = 2,
	METHOD_PATCH = 4,
	METHOD_DELETE = 8,
	METHOD_OPTIONS = 16,
	METHOD_OTHER = 32,
};

/** struct account - who is asking; account_done() */
struct account {
	const char *owner; /* of what is submitted */
	const char *name;  /* for "removed by" and "canceled by" */
	struct asker asker;
	bool proxied; /* by the word of a proxy, who is the one at the other end */
	char *text;
	struct strings groups;
};

struct argument {
	const char *name, *value; /* decoded */
};

struct exchange {
	struct rest *rest;
	struct MHD_Connection *connection;
	enum method method;
	bool head;
	bool begun;
	bool told; /* was answered before libmicrohttpd asked for one: close it */
	char *path;	    /* as sent, without query, script name removed */
	const char *query;  /* as sent, "" when none */
	const char *script; /* X-Script-Name, "" when none */
	const struct route *route;
	bool bare;	       /* ROUTE_PLAIN, ROUTE_EITHER, ROUTE_TREE: came without the slash;
				* ROUTE_ID: came with one */
	const char *rest_path; /* ROUTE_TREE, ROUTE_ID: what follows route->path, as sent */
	struct link *link;     /* rest/client.h; NULL before the headers are in */
	bool counted;	       /* among the requests that its client has under way */
	size_t charged;	       /* of the bytes that its client may have in memory */
	bool overdrawn;	       /* they were not enough */
	struct text body;
	uint64_t body_bytes; /* that came in, kept or not */
	int64_t time_begun_ms;
	/* set by the checks before the body is read: the answer will be this error */
	unsigned int refused;
	char refused_message[512];
	bool early;   /* it is given before the body has come in */
	bool interim; /* HTTP/1.1: others may come before the answer */
	struct account account;	    /* of those that write; known before the body is read */
	struct argument *arguments; /* after exchange_arguments() */
	size_t argument_count;
	char *argument_text;
	struct waiter *waiter; /* rest/wait.c */
	bool waited;
	struct bring *bring;	/* rest/bring.c; NULL: nothing was waited for */
	struct tree_hold *hold; /* of the package that is being sent */
	/* rest/work.c: while @work is set, an answer is kept here and not queued */
	exchange_handler *work;
	struct exchange *work_next;
	int work_result;
	bool worked;
	unsigned int answer_status;
	struct MHD_Response *answer;
	struct kept *answer_kept; /* what @answer belongs to; NULL: it is our own */
	size_t uri_length; /* REST_URL_MAX + 1 when it was longer */
	char uri[];
};

/* ---- server.c ---------------------------------------------------------- */

/** struct figures - what happened since the start */
struct figures {
	_Atomic uint64_t answers[6]; /* by the first digit of the status */
	_Atomic uint64_t connections, connections_refused, connections_slow;
};

static inline void figure_add(_Atomic uint64_t *figure)
{
	atomic_fetch_add_explicit(figure, 1, memory_order_relaxed);
}

struct rest {
	struct rest_options options;
	struct rest_limits limits; /* with the defaults put in */
	struct figures figures;
	char *url, *public_url;
	struct acceptor *acceptor;
	struct crew crew;  /* of the addresses */
	struct crew plain; /* of the unix socket, if the others speak TLS */
	size_t body_limit;
	_Atomic unsigned int running; /* exchanges under way */
	bool ended;	       /* by rest_end() */
	bool leaving; /* its sockets stay */
	_Atomic bool stopping; /* rest_changed() may not be called any more */
	_Atomic bool watched;	 /* rest_changed() is really called: answers may be kept */
	_Atomic int64_t tick_ms; /* of the last rest_tick() */
	struct cache *records, *items, *pages, *trees, *hots;
	_Atomic uint64_t generation; /* grows with each change that rest_changed() tells */
	struct clients *clients;
	struct waits *waits;
	struct brings *brings;
	struct works *works;
	struct lingers *lingers;
	struct tls *tls;	 /* NULL: none */
	struct proxies *proxies; /* NULL: nobody's headers about users count */
	struct local_socket local;
	struct openapi *openapi;
};

/* ---- request.c: reading what was asked --------------------------------- */

struct exchange *exchange_new(struct rest *rest, const char *uri);
void exchange_free(struct exchange *ex);
/** exchange_refuse() - the answer will be this error, whatever else comes in */
void exchange_refuse(struct exchange *ex, unsigned int status, const char *message);
/** exchange_charge() - @bytes more are in memory for this client, until the exchange is over;
 * -EDQUOT: too many, the answer will be 429 */
int exchange_charge(struct exchange *ex, size_t bytes);
/** exchange_uncount() - from now on it is no request under way, but something that waits */
void exchange_uncount(struct exchange *ex);
const char *exchange_header(const struct exchange *ex, const char *name); /* NULL when absent */
/** exchange_base() - append "scheme://host/script", as the client knows this server */
void exchange_base(const struct exchange *ex, struct text *ret);
/** exchange_from_elsewhere() - did a browser send this for a page of another site, or of one whose name
 * is not ours although it leads to us? */
bool exchange_from_elsewhere(const struct exchange *ex);
/** exchange_split() - split the target into script, path, query; 400, 414 go to ex->refused */
void exchange_split(struct exchange *ex);
/** exchange_arguments() - decode the query once; -EINVAL: too many, or a NUL in one */
int exchange_arguments(struct exchange *ex);
/** exchange_argument() - the first of that name, or NULL; "" counts as absent when @empty is false
 */
const char *exchange_argument(const struct exchange *ex, const char *name, bool empty);
/** percent_decode() - @length bytes of @from into @to (as long, plus NUL); -EINVAL: malformed, NUL
 */
int percent_decode(const char *from, size_t length, bool plus_is_space, char *to);
/**
 * path_decode() - decode "NAME/a/b/" piece by piece into @to (as long, plus NUL)
 * @ret_slash: it ended in one
 * -EINVAL: malformed, or a NUL; -ENOENT: a piece is "." or "..", or holds a slash, and names
 * nothing. Empty pieces are skipped, as web servers do (base URLs often end in a slash too many) */
int path_decode(const char *raw, char *to, bool *ret_slash);
/** percent_encode() - append @string, all but unreserved characters and those of @safe encoded */
void percent_encode(struct text *ret, const char *string, const char *safe);

/* ---- account.c: who is asking ------------------------------------------ */

/** account_of() - by the unix socket or options.auth_backend; 0, or -EPERM with words: nobody */
int account_of(const struct exchange *ex, struct account *ret, struct error *err);
void account_done(struct account *account);
bool account_backend_known(const char *name);
/** account_locate() - a user of this machine on a loopback connection, speaking for himself: his uid,
 * and @account->asker.local */
void account_locate(const struct exchange *ex, struct account *account);
/* The judgement of options.gate about ex->account; without one everybody may everything. */
int account_role(const struct exchange *ex, enum role role, struct error *err);
int account_limits(const struct exchange *ex, const struct spec *spec,
		   const struct compose *compose, struct error *err);
/** account_client() - where he is, if nothing says who he is: "in:192.0.2.7", "in6:2001:db8::" (64 bits); the
 * word of a proxy counts if options.proxies names it. false: he is somebody */
#define CLIENT_TEXT_SIZE 64
bool account_client(const struct exchange *ex, char ret[static CLIENT_TEXT_SIZE]);
int64_t account_live_limit(const struct exchange *ex); /* 0: none */

/* ---- routes.c ---------------------------------------------------------- */

/** route_find() - set ex->route and what belongs to it; NULL when the path is unknown */
void route_find(struct exchange *ex);
int route_run(struct exchange *ex); /* queue the answer of a complete request */
void route_allow(const struct exchange *ex, char *ret, size_t size); /* text of Allow: */
/** route_operation() - of the path and the method; NULL: there is none */
const struct operation *route_operation(const struct exchange *ex);
/** route_foresees() - does the row of this request name that answer? @type: NULL without a body */
bool route_foresees(const struct exchange *ex, unsigned int status, const char *type);

/* ---- answer.c: sending ------------------------------------------------- */

/** answer_queue() - queue and let go of @response (may be NULL: -ENOMEM); in a lent thread: keep it
 * for work_answer() */
int answer_queue(struct exchange *ex, unsigned int status, struct MHD_Response *response);
/** answer_kept() - the same with a response that a cache shares; takes the reference to @kept */
int answer_kept(struct exchange *ex, unsigned int status, struct MHD_Response *response,
		struct kept *kept);
/** answer_bytes() - a response with @type out of malloc'ed @bytes, which it takes (NULL: NULL) */
struct MHD_Response *answer_bytes(char *bytes, size_t length, const char *type);
/** answer_charged() - the same, and the client is charged; NULL and ex->overdrawn when he cannot be */
struct MHD_Response *answer_charged(struct exchange *ex, char *bytes, size_t length,
				    const char *type);
int answer_error(struct exchange *ex, unsigned int status, const char *format, ...) _printf_(3, 4);
unsigned int failure_status(const struct error *err); /* for what went wrong below */
/** error_headers() - what an answer with that status must say beside its body */
void error_headers(const struct exchange *ex, unsigned int status, struct MHD_Response *response);
/** answer_waits() - 429: limits.client_waits */
int answer_waits(struct exchange *ex);
/** answer_failure() - what went wrong below; US is logged */
int answer_failure(struct exchange *ex, const struct error *err);
int answer_redirect(struct exchange *ex, unsigned int status, const char *location);
/** answer_compose() - the record as JSON; not from the cache */
int answer_compose(struct exchange *ex, const struct compose *compose);
enum cors { CORS_NO, CORS_ANY };
/** answer_json() - 200; takes @json (NULL: -ENOMEM) */
int answer_json(struct exchange *ex, json_t *json, enum cors cors);
/** error_json() - the body of every error; a new reference, or NULL */
json_t *error_json(unsigned int status, const char *message);
int answer_text(struct exchange *ex, const char *type, struct text *body, enum cors cors); /* 200 */
void response_header(struct MHD_Response *response, const char *name, const char *value);

/* ---- records.c: a compose as JSON, rendered once per change ------------ */

struct record; /* a struct kept: kept_unref() */

/**
 * record_of() - compose @id as GET answers it; -ENOENT
 * @fresh: not from the cache, which lags behind a commit by the time until rest_changed() is called */
int record_of(struct rest *rest, int64_t id, bool fresh, struct record **ret, struct error *err);
/** record_item() - @compose as a member of a list; @seen: rest->generation before it was read;
 * NULL: no memory */
struct record *record_item(struct rest *rest, const struct compose *compose, uint64_t seen);
const char *record_text(const struct record *record, size_t *ret_length);
enum compose_state record_state(const struct record *record);
int record_answer(struct exchange *ex, struct record *record); /* takes the reference */
void record_unref(struct record *record);
DEFINE_FREEP(struct record, record_unref)

/* ---- composes.c, list.c, files.c, pages.c, page_….c, reference.c: handlers */

/** path_id() - the number in the path; -ENOENT */
int path_id(const struct exchange *ex, int64_t *ret);
int compose_get(struct exchange *ex);
int compose_post(struct exchange *ex);
int compose_patch(struct exchange *ex);
int compose_delete(struct exchange *ex);
int list_get(struct exchange *ex);
int files_get(struct exchange *ex);
int home_get(struct exchange *ex);
int page_compose_get(struct exchange *ex);
int reference_get(struct exchange *ex);
int openapi_get(struct exchange *ex);
int icon_get(struct exchange *ex);
int about_get(struct exchange *ex);
int metrics_get(struct exchange *ex);
int cache_show(struct exchange *ex);
int cache_delete(struct exchange *ex);
int prefetch_get(struct exchange *ex);
int prefetch_post(struct exchange *ex);
/** file_send() - send.c; @id: of the compose that has the tree */
int file_send(struct exchange *ex, struct tree *tree, int64_t id, const struct tree_node *node);

/* ---- openapi.c: the document at /static/openapispec.json --------------- */

struct openapi;
int openapi_new(const struct rest *rest, struct openapi **ret);
void openapi_free(struct openapi *openapi);

/* ---- cache.c: rendered answers, kept until something changes ----------- */

/** struct kept - what a cache holds: first member of the object, counted */
struct kept {
	_Atomic int references;
	int64_t key;
	size_t bytes;
	void (*free)(struct kept *kept);
};

struct cache;

int cache_new(size_t slots, size_t most_bytes, struct cache **ret);
void cache_free(struct cache *cache);
/** cache_get() - a reference of the caller's own, or NULL */
struct kept *cache_get(struct cache *cache, const struct rest *rest, int64_t key);
/**
 * cache_put() - keep @kept (one more reference), unless something changed, or nobody would tell
 * @seen: rest->generation before @kept was read from the catalogue */
void cache_put(struct cache *cache, const struct rest *rest, uint64_t seen, struct kept *kept);
void cache_drop(struct cache *cache, int64_t key);
/** cache_sweep() - drop those of which @over says so */
void cache_sweep(struct cache *cache, bool (*over)(const struct kept *kept, int64_t now_ms),
		 int64_t now_ms);
void kept_init(struct kept *kept, int64_t key, size_t bytes, void (*release)(struct kept *kept));
struct kept *kept_ref(struct kept *kept);
void kept_unref(struct kept *kept);
