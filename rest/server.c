/* SPDX-License-Identifier: MIT */
/* rest/server.c: libmicrohttpd's life cycle: one exchange from its request line to its end, limits,
 * start and stop.
 *
 * Threads are libmicrohttpd's, each with its own epoll set and its own connections, which it gets
 * from rest/accept.c. What waits for the disk is done elsewhere (rest/work.c), what waits for a
 * worker is parked (rest/wait.c): these threads only answer. */
#include "rest/bring.h"
#include "rest/client.h"
#include "rest/hot.h"
#include "rest/linger.h"
#include "rest/listen.h"
#include "rest/proxies.h"
#include "rest/tls.h"
#include "rest/wait.h"
#include "rest/work.h"

#include <netinet/in.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define CONNECTION_MEMORY ((size_t)32 * 1024)
#define ARGUMENTS_ROOM 400 /* members of a query that surely find room in that memory */
#define STOP_MS 2000
#define LEAVE_MS 5000
#define FRESH_MS 250 /* of these, for the first request of who was let in just now */

/* ---- one exchange ------------------------------------------------------ */

static void exchange_over(struct rest *rest, struct exchange *ex)
{
	wait_forget(ex);
	bring_done(ex);
	exchange_free(ex);
	atomic_fetch_sub(&rest->running, 1);
}

/* What libmicrohttpd never asked us about, and never tells the end of. */
static void forget_unheard(struct rest *rest, struct link *link)
{
	if (link && link->unheard)
		exchange_over(rest, steal(link->unheard));
}

/* The members of a query that are more than libmicrohttpd has room for: it forgets the connection
 * until its time is over. */
static bool is_bursting(const char *uri)
{
	size_t members = 0;

	for (const char *at = uri; *at && members <= ARGUMENTS_ROOM; at++)
		members += *at == '&';
	return members > ARGUMENTS_ROOM;
}

/* It has no room for an answer of ours either, so this one goes past it; over TLS there is none.
 * Nothing is under way before it: answers go out one after another. */
static void refuse_bursting(struct exchange *ex, const struct link *link,
			    struct MHD_Connection *connection)
{
	_cleanup_(text_done) struct text body = { 0 }, answer = { 0 };

	ex->told = true;
	(void)text_addf(&body,
			"{\"error\":\"Bad Request\",\"message\":\"The query has more than %d "
			"members.\",\"status\":400}\n",
			ARGUMENTS_ROOM);
	(void)text_addf(&answer,
			"HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\n"
			"Content-Length: %zu\r\nConnection: close\r\n\r\n%s",
			body.length, body.data ? body.data : "");
	if (!body.failed && !answer.failed &&
	    !MHD_get_connection_info(connection, MHD_CONNECTION_INFO_GNUTLS_SESSION))
		(void)send(link->fd, answer.data, answer.length, MSG_DONTWAIT | MSG_NOSIGNAL);
	(void)shutdown(link->fd, SHUT_RD);
}

/* From now on rest->running knows of it. */
static void link_heard(struct link *link)
{
	if (link && !link->heard)
		atomic_fetch_sub(&link->server->fresh, 1);
	if (link)
		link->heard = true;
}

static void *on_uri(void *data, const char *uri, struct MHD_Connection *connection)
{
	struct rest *rest = data;
	struct exchange *ex = exchange_new(rest, uri);
	struct link *link = connection_link(connection);

	forget_unheard(rest, link);
	if (!ex)
		return NULL;
	atomic_fetch_add(&rest->running, 1);
	link_heard(link);
	if (link) {
		link->unheard = ex;
		if (is_bursting(uri))
			refuse_bursting(ex, link, connection);
	}
	return ex;
}

static void on_connection(void *data, struct MHD_Connection *connection, void **context,
			  enum MHD_ConnectionNotificationCode what)
{
	struct server *server = data;

	if (what == MHD_CONNECTION_NOTIFY_CLOSED) {
		forget_unheard(server->rest, *context);
		link_heard(*context);
		connection_notify(server->rest, connection, context, what);
		atomic_fetch_sub(&server->connections, 1);
		return;
	}
	atomic_fetch_add(&server->connections, 1);
	connection_notify(server->rest, connection, context, what);
	if (*context)
		((struct link *)*context)->server = server;
	else
		atomic_fetch_sub(&server->fresh, 1);
}

static void on_completed(void *data, struct MHD_Connection *connection, void **closure,
			 enum MHD_RequestTerminationCode how)
{
	struct rest *rest = data;
	struct exchange *ex = *closure;
	struct link *link = connection_link(connection);

	*closure = NULL;
	link_phase(link, PHASE_QUIET);
	if (!ex)
		return;
	if (link) {
		link->unheard = NULL;
		link_cork(link, connection, false);
	}
	if (ex->early && how == MHD_REQUEST_TERMINATED_COMPLETED_OK)
		linger_add(rest->lingers, connection);
	exchange_over(rest, ex);
}

/* libmicrohttpd would decode "%2f" in the path before we see it; request.c does that work. */
static size_t on_unescape(void *data, struct MHD_Connection *connection, char *string)
{
	return strlen(string);
}

static enum method method_parse(const char *word, bool *ret_head)
{
	static const struct {
		const char *word;
		enum method method;
	} methods[] = {
		{ "GET", METHOD_GET },	     { "HEAD", METHOD_GET },
		{ "POST", METHOD_POST },     { "PATCH", METHOD_PATCH },
		{ "DELETE", METHOD_DELETE }, { "OPTIONS", METHOD_OPTIONS },
	};

	*ret_head = !strcmp(word, "HEAD");
	for (size_t i = 0; i < ARRAY_SIZE(methods); i++)
		if (!strcmp(word, methods[i].word))
			return methods[i].method;
	return METHOD_OTHER;
}

static bool writes(const struct exchange *ex)
{
	return (ex->method & (METHOD_POST | METHOD_PATCH | METHOD_DELETE)) && route_operation(ex);
}

/* Who is it, and may he write at all (odcs-api.md 2.6 row 1, 2.9)? false: he may not */
static bool exchange_identify(struct exchange *ex)
{
	struct error err = { 0 };
	int r;

	if (exchange_from_elsewhere(ex)) {
		exchange_refuse(ex, MHD_HTTP_FORBIDDEN,
				"Pages of other sites may not change anything here.");
		return false;
	}
	r = account_of(ex, &ex->account, &err);
	if (r >= 0 && ex->method != METHOD_DELETE)
		r = account_role(ex, ROLE_CLIENT, &err);
	if (r < 0)
		exchange_refuse(ex, failure_status(&err), err.message);
	return r >= 0;
}

static enum MHD_Result count_one(void *data, enum MHD_ValueKind kind, const char *name,
				 const char *value)
{
	if (!strcasecmp(name, MHD_HTTP_HEADER_CONTENT_LENGTH) ||
	    !strcasecmp(name, MHD_HTTP_HEADER_TRANSFER_ENCODING))
		++*(unsigned int *)data;
	return MHD_YES;
}

/* One opinion on where the request ends, and one that we know: else a proxy before us may see
 * another request in these bytes. */
static bool framing_clear(const struct exchange *ex, const char *coding)
{
	unsigned int opinions = 0;

	(void)MHD_get_connection_values(ex->connection, MHD_HEADER_KIND, count_one, &opinions);
	return opinions < 2 && (!coding || !strcasecmp(coding, "chunked"));
}

static void refuse_size(struct exchange *ex)
{
	char words[512], suffix[LIMIT_SUFFIX_SIZE];
	const struct rest *rest = ex->rest;

	(void)snprintf(words, sizeof(words), "The request body is larger than %zu bytes%s.",
		       rest->body_limit,
		       limit_suffix(rest->options.contact, "limits.body", (int64_t)rest->body_limit,
				    suffix));
	exchange_refuse(ex, MHD_HTTP_CONTENT_TOO_LARGE, words);
}

static void refuse_client(struct exchange *ex, const char *what, const char *key, int64_t limit)
{
	char words[512], suffix[LIMIT_SUFFIX_SIZE];

	(void)snprintf(words, sizeof(words),
		       "Too many %s of yours are under way, ask again in a moment%s.", what,
		       limit_suffix(ex->rest->options.contact, key, limit, suffix));
	exchange_refuse(ex, MHD_HTTP_TOO_MANY_REQUESTS, words);
}

/* The checks that need no body. Returns true when the answer should not wait for the body: it is
 * far too long, the client asks first (Expect), or may not write at all. */
static bool exchange_admit(struct exchange *ex)
{
	const char *length = exchange_header(ex, MHD_HTTP_HEADER_CONTENT_LENGTH);
	const char *coding = exchange_header(ex, MHD_HTTP_HEADER_TRANSFER_ENCODING);
	size_t limit = ex->rest->body_limit;
	uint64_t bytes = length ? strtoull(length, NULL, 10) : 0;

	exchange_split(ex);
	if (ex->refused)
		return length || coding;
	route_find(ex);
	ex->counted = true;
	if (!client_request(ex->rest, ex->link->client))
		refuse_client(ex, "requests", "limits.client_requests",
			      ex->rest->limits.client_requests);
	if (!framing_clear(ex, coding)) {
		exchange_refuse(
			ex, MHD_HTTP_BAD_REQUEST,
			"It is not clear where the request ends: give one Content-Length, or "
			"the Transfer-Encoding chunked.");
		return true;
	}
	if (!ex->refused && writes(ex) && !exchange_identify(ex))
		return true;
	if (bytes > limit) {
		refuse_size(ex);
		return bytes / REST_DISCARD_FACTOR > limit ||
		       exchange_header(ex, MHD_HTTP_HEADER_EXPECT);
	}
	return false;
}

/* Take a piece of the body; -ECONNABORTED ends a connection that only wants to keep us busy. */
static int exchange_receive(struct exchange *ex, const char *bytes, size_t length)
{
	size_t limit = ex->rest->body_limit;

	if (time_monotonic_ms() - ex->time_begun_ms > REST_REQUEST_SECONDS * INT64_C(1000))
		return -ECONNABORTED;
	ex->body_bytes += length;
	atomic_fetch_add_explicit(&ex->link->received, length, memory_order_relaxed);
	if (ex->body_bytes > limit) {
		if (ex->body_bytes / REST_DISCARD_FACTOR > limit)
			return -ECONNABORTED;
		refuse_size(ex);
	}
	if (!ex->refused && exchange_charge(ex, length) < 0)
		refuse_client(ex, "bytes", "limits.client_memory",
			      (int64_t)ex->rest->limits.client_bytes);
	if (ex->refused)
		text_done(&ex->body);
	else if (text_add(&ex->body, bytes, length) < 0)
		return -ENOMEM;
	return 0;
}

static enum MHD_Result on_request(void *data, struct MHD_Connection *connection, const char *url,
				  const char *method, const char *version, const char *bytes,
				  size_t *length, void **closure)
{
	struct exchange *ex = *closure;
	int r;

	if (!ex)
		return MHD_NO;
	if (!ex->begun) {
		ex->begun = true;
		ex->connection = connection;
		ex->method = method_parse(method, &ex->head);
		ex->interim = !strcmp(version, MHD_HTTP_VERSION_1_1);
		ex->time_begun_ms = time_monotonic_ms();
		ex->link = connection_link(connection);
		if (!ex->link)
			return MHD_NO;
		ex->link->unheard = NULL;
		if (ex->told)
			return MHD_NO;
		link_phase(ex->link, PHASE_BODY);
		ex->early = exchange_admit(ex);
		r = ex->early ? route_run(ex) : 0;
		return r < 0 ? MHD_NO : MHD_YES;
	}
	if (*length) {
		r = exchange_receive(ex, bytes, *length);
		*length = 0;
		return r < 0 ? MHD_NO : MHD_YES;
	}
	return route_run(ex) < 0 ? MHD_NO : MHD_YES;
}

/* ---- start ------------------------------------------------------------- */

static void on_log(void *data, const char *format, va_list arguments)
{
	char line[512];

	(void)data;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral" /* the format is libmicrohttpd's own */
	(void)vsnprintf(line, sizeof(line), format, arguments);
#pragma GCC diagnostic pop
	line[strcspn(line, "\n")] = '\0';
	log_debug("http: %s", line);
}

/* Each connection may have a file open beside its socket: stay clear of the limit of descriptors.
 */
static unsigned int connection_limit(unsigned int limit)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur != RLIM_INFINITY &&
	    files.rlim_cur / 3 < limit)
		limit = (unsigned int)(files.rlim_cur / 3);
	return limit;
}

static void limits_set(struct rest_limits *limits, const struct rest_limits *given)
{
	*limits = *given;
	limits->connections = connection_limit(limits->connections ? limits->connections : 1024);
	if (!limits->client_connections)
		limits->client_connections = 256;
	if (limits->client_connections > limits->connections - limits->connections / 4)
		limits->client_connections = limits->connections - limits->connections / 4;
	if (!limits->client_requests)
		limits->client_requests = 64;
	if (!limits->client_waits)
		limits->client_waits = 128;
	if (!limits->client_bytes)
		limits->client_bytes = (size_t)64 << 20;
	if (!limits->client_rate)
		limits->client_rate = 1024;
}

/* Too many connections are refused with words (rest/client.c) before one server has so many. */
static int server_start(struct rest *rest, struct server *server, bool tls, struct error *err)
{
	const struct MHD_OptionItem *tls_items = tls_options(tls ? rest->tls : NULL);

	server->rest = rest;
	server->daemon = MHD_start_daemon(
		MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_NO_LISTEN_SOCKET | MHD_USE_ITC |
			MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG |
			(tls && rest->tls ? MHD_USE_TLS : 0),
		0, NULL, NULL, on_request, rest, MHD_OPTION_EXTERNAL_LOGGER, on_log, NULL,
		MHD_OPTION_CONNECTION_LIMIT, rest->limits.connections,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, CONNECTION_MEMORY,
		MHD_OPTION_CONNECTION_TIMEOUT, (unsigned int)REST_IDLE_SECONDS,
		MHD_OPTION_URI_LOG_CALLBACK, on_uri, rest, MHD_OPTION_NOTIFY_COMPLETED,
		on_completed, rest, MHD_OPTION_NOTIFY_CONNECTION, on_connection, server,
		MHD_OPTION_UNESCAPE_CALLBACK, on_unescape, NULL, MHD_OPTION_ARRAY, tls_items,
		MHD_OPTION_END);
	if (!server->daemon)
		return error_errno(err, -(errno ? errno : EIO),
				   "cannot start the HTTP server on %s", rest->url);
	return 0;
}

static int crew_start(struct rest *rest, struct crew *crew, bool tls, struct error *err)
{
	int r = 0;

	while (crew->count < SERVERS && r >= 0) {
		r = server_start(rest, &crew->server[crew->count], tls, err);
		crew->count += r >= 0;
	}
	return r;
}

static unsigned int crew_fresh(struct crew *crew)
{
	unsigned int fresh = 0;

	for (unsigned int i = 0; i < crew->count; i++)
		fresh += atomic_load(&crew->server[i].fresh);
	return fresh;
}

static void crew_stop(struct crew *crew)
{
	while (crew->count)
		MHD_stop_daemon(crew->server[--crew->count].daemon);
}

static int caches_start(struct rest *rest, struct error *err)
{
	const size_t mib = (size_t)1024 * 1024;

	if (cache_new(4096, 6 * mib, &rest->records) < 0 ||
	    cache_new(4096, 6 * mib, &rest->items) < 0 ||
	    cache_new(512, 8 * mib, &rest->pages) < 0 || cache_new(64, mib, &rest->trees) < 0 ||
	    hots_new(&rest->hots) < 0 || clients_new(&rest->clients) < 0 ||
	    waits_new(&rest->waits) < 0 || brings_new(&rest->brings) < 0 ||
	    lingers_new(&rest->lingers) < 0 || works_new(&rest->works) < 0 ||
	    acceptor_new(&rest->acceptor) < 0)
		return error_oom(err);
	return 0;
}

static int public_url(struct rest *rest, struct error *err)
{
	const char *given = rest->options.public_url;

	if (given)
		rest->public_url = strdup(given);
	else if (asprintf(&rest->public_url, "%s/composes", rest->url) < 0)
		rest->public_url = NULL;
	return rest->public_url ? 0 : error_oom(err);
}

static int access_start(struct rest *rest, struct error *err)
{
	const struct rest_options *options = &rest->options;
	int r = 0;

	if (!strcmp(options->auth_backend, "proxy") ||
	    (options->proxies && options->proxies->count))
		r = proxies_parse(options->proxies, &rest->proxies, err);
	if (r >= 0 && options->tls_cert && *options->tls_cert)
		r = tls_load(options->tls_cert, options->tls_key, options->tls_client_ca,
			     options->tls_client_crl, &rest->tls, err);
	return r;
}

int rest_check(const struct rest_options *options, struct error *err)
{
	struct rest rest = { .options = *options };
	int r = access_start(&rest, err);

	tls_free(rest.tls);
	proxies_free(rest.proxies);
	return r;
}

/* ---- sockets that outlive us ------------------------------------------- */

static const char *const listener_names[LISTENERS_MAX] = { "http-0", "http-1" };
#define LOCAL_NAME "http-local"

static void keep(const struct rest *rest, const char *name, int fd)
{
	if (rest->options.keep)
		rest->options.keep(rest->options.keep_data, name, fd, NULL);
}

static int held(const struct rest *rest, const char *name)
{
	return rest->options.held ? rest->options.held(rest->options.keep_data, name) : -1;
}

static void sockets_drop(const struct rest *rest)
{
	for (size_t i = 0; i < LISTENERS_MAX; i++)
		keep(rest, listener_names[i], -1);
	keep(rest, LOCAL_NAME, -1);
}

/* Those of the service before us that fit are gone on with, the others closed. */
static int sockets_open(struct rest *rest, struct listeners *ret, struct error *err)
{
	struct listeners before = LISTENERS_NONE;
	int r;

	for (size_t i = 0; i < LISTENERS_MAX; i++)
		before.fd[before.count++] = held(rest, listener_names[i]);
	r = listeners_open(rest->options.listen, rest->tls, &before, ret, &rest->url, err);
	listeners_close(&before);
	for (unsigned int i = 0; i < LISTENERS_MAX && r >= 0; i++)
		keep(rest, listener_names[i], i < ret->count ? ret->fd[i] : -1);
	return r;
}

static int local_start(struct rest *rest, struct error *err)
{
	const struct rest_options *options = &rest->options;
	int fd = held(rest, LOCAL_NAME);

	if (!options->socket || !*options->socket) {
		local_forget(fd);
		keep(rest, LOCAL_NAME, -1);
		return 0;
	}
	fd = local_open(options->socket, options->socket_mode, options->socket_group, fd,
			&rest->local, err);
	if (fd < 0)
		return fd;
	keep(rest, LOCAL_NAME, fd);
	acceptor_add(rest->acceptor, fd, rest->tls ? &rest->plain : &rest->crew);
	return rest->tls ? crew_start(rest, &rest->plain, false, err) : 0;
}

int rest_start(const struct rest_options *options, struct rest **ret, struct error *err)
{
	_cleanup_(rest_stopp) struct rest *rest = calloc(1, sizeof(*rest));
	struct listeners listeners = LISTENERS_NONE;
	int r;

	if (!rest)
		return error_oom(err);
	rest->options = *options;
	rest->leaving = options->keep; /* until all is well: the next try finds the same sockets */
	if (!rest->options.auth_backend)
		rest->options.auth_backend = "noauth";
	if (!account_backend_known(rest->options.auth_backend))
		return error_set(err, -EINVAL, BLAME_REQUEST, "auth.backend",
				 "unknown authentication backend \"%s\"", options->auth_backend);
	limits_set(&rest->limits, &options->limits);
	rest->body_limit = options->body_limit ? options->body_limit : SPEC_MAX_BYTES;
	r = caches_start(rest, err);
	if (r < 0)
		return r;
	r = access_start(rest, err);
	if (r < 0)
		return r;
	r = sockets_open(rest, &listeners, err);
	if (r < 0)
		return r;
	r = public_url(rest, err);
	if (r >= 0 && openapi_new(rest, &rest->openapi) < 0)
		r = error_oom(err);
	for (unsigned int i = 0; i < listeners.count; i++)
		acceptor_add(rest->acceptor, steal_fd(&listeners.fd[i]), &rest->crew);
	if (r >= 0)
		r = crew_start(rest, &rest->crew, rest->tls, err);
	if (r >= 0)
		r = local_start(rest, err);
	tls_started(rest->tls);
	if (r < 0)
		return r;
	rest->leaving = false;
	*ret = steal(rest);
	return 0;
}

int rest_reload(struct rest *rest, struct error *err)
{
	return tls_reload(rest->tls, err);
}

const char *rest_url(const struct rest *rest)
{
	return rest->url;
}

void rest_changed(void *data, const struct catalogue_event *event)
{
	struct rest *rest = data;

	if (!event->compose)
		return;
	atomic_fetch_add(&rest->generation, 1);
	atomic_store(&rest->watched, true);
	cache_drop(rest->records, event->compose->id);
	cache_drop(rest->items, event->compose->id);
	cache_drop(rest->trees, event->compose->id);
	wait_changed(rest, event);
}

void rest_watched(struct rest *rest)
{
	atomic_fetch_add(&rest->generation,
			 1); /* what was read until now may have changed unheard */
	atomic_store(&rest->watched, true);
}

void rest_tick(struct rest *rest)
{
	int64_t now_ms = time_monotonic_ms();

	atomic_store(&rest->tick_ms, now_ms);
	wait_tick(rest, now_ms);
	bring_tick(rest);
	hot_tick(rest, now_ms);
	clients_tick(rest, now_ms);
	lingers_tick(rest->lingers, now_ms);
}

void rest_accept(struct rest *rest)
{
	acceptor_run(rest->acceptor);
}

void rest_drain(struct rest *rest)
{
	atomic_store(&rest->stopping, true);
}

void rest_leave(struct rest *rest)
{
	rest->leaving = true;
}

void rest_end(struct rest *rest)
{
	if (!rest || rest->ended)
		return;
	rest->ended = true;
	rest_drain(rest);
	if (!rest->leaving)
		sockets_drop(rest);
	local_close(&rest->local, !rest->leaving);
	if (rest->acceptor)
		acceptor_end(rest->acceptor);
	if (rest->waits)
		wait_end_all(rest);
	if (rest->brings)
		bring_end_all(rest);
	if (rest->works)
		works_end(rest->works);
}

void rest_stop(struct rest *rest)
{
	int64_t begun = time_monotonic_ms(), until, fresh_until;

	if (!rest)
		return;
	until = begun + (rest->leaving ? LEAVE_MS : STOP_MS);
	fresh_until = begun + (rest->leaving ? FRESH_MS : 0);
	rest_end(rest);
	while (time_monotonic_ms() < fresh_until &&
	       crew_fresh(&rest->crew) + crew_fresh(&rest->plain))
		(void)nanosleep(&(struct timespec){ .tv_nsec = 5000000 }, NULL);
	while (atomic_load(&rest->running) && time_monotonic_ms() < until)
		(void)nanosleep(&(struct timespec){ .tv_nsec = 5000000 }, NULL);
	crew_stop(&rest->crew);
	crew_stop(&rest->plain);
	acceptor_free(rest->acceptor);
	cache_free(rest->records);
	cache_free(rest->items);
	cache_free(rest->pages);
	cache_free(rest->trees);
	cache_free(rest->hots);
	openapi_free(rest->openapi);
	clients_free(rest->clients);
	waits_free(rest->waits);
	brings_free(rest->brings);
	lingers_free(rest->lingers);
	works_free(rest->works);
	tls_free(rest->tls);
	proxies_free(rest->proxies);
	free(rest->url);
	free(rest->public_url);
	free(rest);
}
