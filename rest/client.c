/* SPDX-License-Identifier: MIT */
/* rest/client.c: who is at the other end, what he holds, and connections that are too slow.
 *
 * libmicrohttpd counts connections by address and knows one limit of time, which starts again with
 * every byte. Here users of this machine are told apart, and who sends a byte now and then to keep
 * a connection is seen: over each window he must move as much as the slowest honest line would.
 * What the other end has got is counted, not what was put into the kernel's buffers, and those are
 * kept short: else they would take a whole answer, and nobody would be slow. */
#include "rest/client.h"
#include "rest/peer.h"

#include <arpa/inet.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sys/socket.h>

#define BUCKETS 256
#define HEADERS_MS (REST_REQUEST_SECONDS * INT64_C(1000))
#define WINDOW_MS 10000
#define UNSENT_BYTES (256 * 1024) /* of one connection in the kernel's buffer */

struct clients {
	pthread_mutex_t lock;
	struct link *links; /* under lock, as all below */
	unsigned int count;
	struct client *bucket[BUCKETS];
};

int clients_new(struct clients **ret)
{
	struct clients *clients = calloc(1, sizeof(*clients));

	if (!clients)
		return -ENOMEM;
	(void)pthread_mutex_init(&clients->lock, NULL);
	*ret = clients;
	return 0;
}

void clients_free(struct clients *clients)
{
	if (!clients)
		return;
	(void)pthread_mutex_destroy(&clients->lock);
	free(clients);
}

unsigned int clients_connections(struct clients *clients)
{
	unsigned int count;

	(void)pthread_mutex_lock(&clients->lock);
	count = clients->count;
	(void)pthread_mutex_unlock(&clients->lock);
	return count;
}

/* ---- who it is --------------------------------------------------------- */

struct client_key client_address(const struct sockaddr *address)
{
	struct client_key key = { .kind = (uint8_t)address->sa_family };

	if (address->sa_family == AF_INET) {
		const struct sockaddr_in *in = (const void *)address;

		memcpy(key.bytes, &in->sin_addr, sizeof(in->sin_addr));
	} else if (address->sa_family == AF_INET6) {
		const struct in6_addr *in6 =
			&((const struct sockaddr_in6 *)(const void *)address)->sin6_addr;

		if (IN6_IS_ADDR_V4MAPPED(in6)) {
			key.kind = AF_INET;
			memcpy(key.bytes, in6->s6_addr + 12, 4);
		} else {
			memcpy(key.bytes, in6->s6_addr, 8);
		}
	}
	return key;
}

static int local_uid(int fd, const struct sockaddr *client, uint32_t *ret)
{
	struct sockaddr_storage server;
	socklen_t length = sizeof(server);

	if (client->sa_family == AF_UNIX) {
		struct ucred credentials;

		length = sizeof(credentials);
		if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &length) < 0)
			return -errno;
		*ret = credentials.uid;
		return 0;
	}
	if (getsockname(fd, (struct sockaddr *)&server, &length) < 0)
		return -errno;
	return peer_uid(client, (struct sockaddr *)&server, ret);
}

static struct client_key key_of(struct MHD_Connection *connection, int fd)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	struct client_key key = { 0 };
	uint32_t uid;

	if (!info || !info->client_addr)
		return key;
	if (local_uid(fd, info->client_addr, &uid) < 0)
		return client_address(info->client_addr);
	key.kind = AF_UNIX;
	memcpy(key.bytes, &uid, sizeof(uid));
	return key;
}

bool client_uid(const struct client *client, uint32_t *ret)
{
	if (client->key.kind != AF_UNIX)
		return false;
	memcpy(ret, client->key.bytes, sizeof(*ret));
	return true;
}

void client_text(const struct client_key *key, char ret[static CLIENT_TEXT_SIZE])
{
	char address[INET6_ADDRSTRLEN] = "";
	uint32_t uid;

	memcpy(&uid, key->bytes, sizeof(uid));
	if (key->kind == AF_UNIX)
		(void)snprintf(ret, CLIENT_TEXT_SIZE, "uid:%" PRIu32, uid);
	else if (inet_ntop(key->kind, key->bytes, address, sizeof(address)))
		(void)snprintf(ret, CLIENT_TEXT_SIZE, "%s:%s", key->kind == AF_INET ? "in" : "in6",
			       address);
	else
		(void)snprintf(ret, CLIENT_TEXT_SIZE, "unknown");
}

static struct client **bucket_of(struct clients *clients, const struct client_key *key)
{
	uint32_t hash = key->kind;

	for (size_t i = 0; i < sizeof(key->bytes); i++)
		hash = (hash ^ key->bytes[i]) * UINT32_C(16777619);
	return &clients->bucket[(hash >> 8) % BUCKETS];
}

/* Found or made, with one connection more; NULL: no memory. Under lock. */
static struct client *client_take(struct clients *clients, const struct client_key *key)
{
	struct client **bucket = bucket_of(clients, key), *client = *bucket;

	while (client && memcmp(&client->key, key, sizeof(*key)) != 0)
		client = client->next;
	if (!client) {
		client = calloc(1, sizeof(*client));
		if (!client)
			return NULL;
		client->key = *key;
		client->next = *bucket;
		*bucket = client;
	}
	client->connections++;
	return client;
}

static void client_give_back(struct clients *clients, struct client *client) /* under lock */
{
	struct client **place = bucket_of(clients, &client->key);

	if (--client->connections)
		return;
	while (*place != client)
		place = &(*place)->next;
	*place = client->next;
	free(client);
}

/* ---- what he holds ----------------------------------------------------- */

bool client_request(struct rest *rest, struct client *client)
{
	return atomic_fetch_add(&client->requests, 1) < rest->limits.client_requests;
}

void client_request_done(struct client *client)
{
	atomic_fetch_sub(&client->requests, 1);
}

bool client_wait(struct rest *rest, struct client *client)
{
	if (atomic_fetch_add(&client->waits, 1) < rest->limits.client_waits)
		return true;
	client_wait_done(client);
	return false;
}

void client_wait_done(struct client *client)
{
	atomic_fetch_sub(&client->waits, 1);
}

/* ---- connections ------------------------------------------------------- */

struct link *connection_link(struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

	return info ? info->socket_context : NULL;
}

void link_cork(struct link *link, struct MHD_Connection *connection, bool corked)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
	const int on = corked;

	if (link->corked != corked && info &&
	    setsockopt(info->connect_fd, IPPROTO_TCP, TCP_CORK, &on, sizeof(on)) == 0)
		link->corked = corked;
}

void link_phase(struct link *link, enum phase phase)
{
	if (!link)
		return;
	atomic_store_explicit(&link->since_ms, time_monotonic_ms(), memory_order_relaxed);
	atomic_store_explicit(&link->phase, phase, memory_order_relaxed);
}

static bool speaks_tls(const struct rest *rest, int fd)
{
	socklen_t length = sizeof(int);
	int family = AF_UNSPEC;

	(void)getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &length);
	return rest->tls && family != AF_UNIX;
}

/* Closed at once, with words for who looks: as much as the kernel's buffer takes without waiting.
 */
static void link_refuse(const struct rest *rest, int fd, bool own)
{
	const struct rest_limits *limits = &rest->limits;
	_cleanup_(freep) char *message = NULL, *line = NULL, *answer = NULL;
	const char *limit = own ? "limits.client_connections" : "limits.connections";
	char suffix[LIMIT_SUFFIX_SIZE];
	json_auto_t *body = NULL;

	(void)limit_suffix(rest->options.contact, limit,
			   own ? limits->client_connections : limits->connections, suffix);
	if (asprintf(&message, "Too many connections%s are open, ask again in a moment%s.",
		     own ? " of yours" : "", suffix) < 0)
		message = NULL;
	body = message ? error_json(MHD_HTTP_SERVICE_UNAVAILABLE, message) : NULL;
	line = body ? json_line(body) : NULL;
	if (line && !speaks_tls(rest, fd) &&
	    asprintf(&answer,
		     "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 1\r\n"
		     "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
		     strlen(line), line) > 0)
		(void)send(fd, answer, strlen(answer), MSG_DONTWAIT | MSG_NOSIGNAL);
	(void)shutdown(fd, SHUT_RDWR);
}

static struct link *link_add(struct rest *rest, const struct client_key *key, int fd)
{
	struct clients *clients = rest->clients;
	struct link *link = calloc(1, sizeof(*link));
	const int unsent = UNSENT_BYTES;
	bool many = false, own = false;

	if (!link)
		return NULL;
	link->fd = fd;
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent, sizeof(unsent));
	link_phase(link, PHASE_QUIET);
	(void)pthread_mutex_lock(&clients->lock);
	link->client = client_take(clients, key);
	if (link->client) {
		clients->count++;
		own = link->client->connections > rest->limits.client_connections;
		many = own || clients->count > rest->limits.connections;
		link->next = clients->links;
		link->previous = &clients->links;
		if (link->next)
			link->next->previous = &link->next;
		clients->links = link;
	}
	(void)pthread_mutex_unlock(&clients->lock);
	if (!link->client) {
		free(link);
		return NULL;
	}
	if (many) {
		link_refuse(rest, fd, own);
		figure_add(&rest->figures.connections_refused);
	}
	return link;
}

static void link_remove(struct clients *clients, struct link *link)
{
	(void)pthread_mutex_lock(&clients->lock);
	*link->previous = link->next;
	if (link->next)
		link->next->previous = link->previous;
	clients->count--;
	client_give_back(clients, link->client);
	(void)pthread_mutex_unlock(&clients->lock);
	free(link);
}

void connection_notify(void *data, struct MHD_Connection *connection, void **context,
		       enum MHD_ConnectionNotificationCode what)
{
	struct rest *rest = data;

	if (what == MHD_CONNECTION_NOTIFY_STARTED) {
		const union MHD_ConnectionInfo *info =
			MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
		int fd = info ? info->connect_fd : -1;
		struct client_key key = key_of(connection, fd);

		figure_add(&rest->figures.connections);
		*context = link_add(rest, &key, fd);
		if (!*context)
			(void)shutdown(fd, SHUT_RDWR);
	} else if (*context) {
		link_remove(rest->clients, *context);
		*context = NULL;
	}
}

/* ---- who is too slow --------------------------------------------------- */

/* Bytes that were moved in this phase's direction since the connection began; false: the kernel
 * does not count them for this kind of socket. */
static bool link_moved(const struct link *link, enum phase phase, uint64_t *ret)
{
	struct tcp_info info = { 0 };
	socklen_t length = sizeof(info);

	if (phase == PHASE_BODY) {
		*ret = atomic_load(&link->received);
		return true;
	}
	if (getsockopt(link->fd, IPPROTO_TCP, TCP_INFO, &info, &length) < 0 ||
	    length < offsetof(struct tcp_info, tcpi_bytes_acked) + sizeof(info.tcpi_bytes_acked))
		return false;
	*ret = info.tcpi_bytes_acked;
	return true;
}

static bool link_too_slow(struct link *link, int64_t rate, int64_t now_ms)
{
	enum phase phase = atomic_load(&link->phase);
	int64_t since = atomic_load(&link->since_ms);
	uint64_t moved;
	bool slow;

	if (phase == PHASE_QUIET)
		return now_ms - since > HEADERS_MS;
	if (phase == PHASE_HELD || rate < 0 || !link_moved(link, phase, &moved))
		return false;
	if (link->window_since_ms != since) { /* the first look at this phase */
		link->window_since_ms = since;
		link->window_ms = now_ms;
		link->window_bytes = moved;
		return false;
	}
	if (now_ms - link->window_ms < WINDOW_MS)
		return false;
	slow = moved - link->window_bytes <
	       (uint64_t)rate * (uint64_t)(now_ms - link->window_ms) / 1000;
	link->window_ms = now_ms;
	link->window_bytes = moved;
	return slow;
}

/* libmicrohttpd sees the end and closes; what the kernel still holds for the client goes then, too.
 */
static void link_end(struct link *link)
{
	static const struct linger at_once = { .l_onoff = 1 };

	(void)setsockopt(link->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
	(void)shutdown(link->fd, SHUT_RDWR);
	link->fd = -1;
}

void clients_tick(struct rest *rest, int64_t now_ms)
{
	struct clients *clients = rest->clients;

	(void)pthread_mutex_lock(&clients->lock);
	for (struct link *link = clients->links; link; link = link->next) {
		if (link->fd < 0 || !link_too_slow(link, rest->limits.client_rate, now_ms))
			continue;
		link_end(link);
		figure_add(&rest->figures.connections_slow);
	}
	(void)pthread_mutex_unlock(&clients->lock);
}
