/* SPDX-License-Identifier: MIT */
/* rest/listen.c: the sockets this server listens on.
 *
 * They are made here and not by libmicrohttpd, whose own "address reuse" also sets SO_REUSEPORT:
 * two services could then share one port without a word. */
#include "rest/listen.h"
#include "rest/rest.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#define PORT_TRIES 16

struct place {
	char host[256];
	uint16_t port;
	bool v6, both; /* both: localhost */
};

static int place_parse(const char *listen, struct place *ret, struct error *err)
{
	const char *colon = listen ? strrchr(listen, ':') : NULL;
	size_t length = colon ? (size_t)(colon - listen) : 0;
	unsigned char bytes[sizeof(struct in6_addr)];
	int64_t port;

	*ret = (struct place){ 0 };
	if (!colon || !length || length >= sizeof(ret->host) || parse_int64(colon + 1, &port) < 0 ||
	    port < 0 || port > UINT16_MAX)
		goto bad;
	ret->port = (uint16_t)port;
	if (listen[0] == '[' && listen[length - 1] == ']') {
		memcpy(ret->host, listen + 1, length - 2);
		ret->v6 = true;
		if (inet_pton(AF_INET6, ret->host, bytes) != 1)
			goto bad;
		return 0;
	}
	memcpy(ret->host, listen, length);
	ret->both = !strcasecmp(ret->host, "localhost");
	if (ret->both)
		(void)snprintf(ret->host, sizeof(ret->host), "127.0.0.1");
	if (inet_pton(AF_INET, ret->host, bytes) != 1)
		goto bad;
	return 0;
bad:
	return error_set(err, -EINVAL, BLAME_REQUEST, "http.listen",
			 "http.listen: \"%s\" is not ADDRESS:PORT, [ADDRESS]:PORT or "
			 "localhost:PORT",
			 listen ? listen : "");
}

int rest_listen_check(const char *listen, struct error *err)
{
	struct place place;

	return place_parse(listen, &place, err);
}

/* One of @before that listens there; -1: none */
static int socket_before(struct listeners *before, const struct sockaddr_storage *address,
			 socklen_t length, uint16_t *port)
{
	const struct sockaddr_in *wanted = (const void *)address;

	for (unsigned int i = 0; i < before->count; i++) {
		struct sockaddr_storage there = { 0 };
		struct sockaddr_in *in4 = (void *)&there;
		socklen_t size = sizeof(there);
		uint16_t number;

		if (before->fd[i] < 0 ||
		    getsockname(before->fd[i], (struct sockaddr *)&there, &size) < 0 ||
		    there.ss_family != address->ss_family || size != length)
			continue;
		number = ntohs(in4->sin_port);
		in4->sin_port = wanted->sin_port;
		if ((*port && *port != number) || memcmp(&there, address, length) != 0)
			continue;
		*port = number;
		return steal_fd(&before->fd[i]);
	}
	return -1;
}

static int socket_listen(const char *host, bool v6, struct listeners *before, uint16_t *port)
{
	int fd _cleanup_(closep) = -1, one = 1;
	struct sockaddr_storage address = { 0 };
	socklen_t length = v6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
	struct sockaddr_in6 *in6 = (void *)&address;
	struct sockaddr_in *in4 = (void *)&address;

	address.ss_family = v6 ? AF_INET6 : AF_INET;
	in4->sin_port = htons(*port); /* the same place in both */
	if (inet_pton(address.ss_family, host, v6 ? (void *)&in6->sin6_addr : &in4->sin_addr) != 1)
		return -EINVAL;
	fd = socket_before(before, &address, length, port);
	if (fd >= 0)
		return steal_fd(&fd);
	fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (v6)
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&address, length) < 0 || listen(fd, SOMAXCONN) < 0 ||
	    getsockname(fd, (struct sockaddr *)&address, &length) < 0)
		return -errno;
	*port = ntohs(in4->sin_port);
	return steal_fd(&fd);
}

/* Both loopback addresses under one port. With port 0 the second may find the number taken: then
 * another one is picked for both. A machine without IPv6 is content with the first. */
static int localhost_listen(struct place *place, struct listeners *before, struct listeners *ret)
{
	for (int try = 0;; try++) {
		uint16_t port = place->port;
		int first = socket_listen("127.0.0.1", false, before, &port), second;

		if (first < 0)
			return first;
		second = socket_listen("::1", true, before, &port);
		if (second == -EADDRINUSE && (place->port || try < PORT_TRIES)) {
			(void)close(first);
			if (place->port)
				return second;
			continue;
		}
		place->port = port;
		ret->fd[ret->count++] = first;
		if (second >= 0)
			ret->fd[ret->count++] = second;
		return 0;
	}
}

/* The host part of our own URL: of an address that means "all" the name of this machine. */
static int url_print(const struct place *place, const char *scheme, char **ret)
{
	char name[256] = "localhost";
	int r;

	if (!strcmp(place->host, "0.0.0.0") || !strcmp(place->host, "::")) {
		(void)gethostname(name, sizeof(name) - 1);
		name[sizeof(name) - 1] = '\0';
		r = asprintf(ret, "%s://%s:%u", scheme, name, place->port);
	} else if (place->both) {
		r = asprintf(ret, "%s://localhost:%u", scheme, place->port);
	} else {
		r = asprintf(ret, place->v6 ? "%s://[%s]:%u" : "%s://%s:%u", scheme, place->host,
			     place->port);
	}
	return r < 0 ? -ENOMEM : 0;
}

int listeners_open(const char *listen, bool tls, struct listeners *before, struct listeners *ret,
		   char **ret_url, struct error *err)
{
	struct listeners opened = LISTENERS_NONE;
	struct place place;
	char *url = NULL;
	int r = place_parse(listen, &place, err);

	if (r < 0)
		return r;
	if (place.both) {
		r = localhost_listen(&place, before, &opened);
	} else {
		r = socket_listen(place.host, place.v6, before, &place.port);
		if (r >= 0)
			opened.fd[opened.count++] = r;
	}
	if (r < 0)
		return error_errno(err, r, "cannot listen on %s", listen);
	if (url_print(&place, tls ? "https" : "http", &url) < 0) {
		listeners_close(&opened);
		return error_oom(err);
	}
	*ret = opened;
	*ret_url = url;
	return 0;
}

void listeners_close(struct listeners *listeners)
{
	for (unsigned int i = 0; i < listeners->count; i++)
		closep(&listeners->fd[i]);
	*listeners = LISTENERS_NONE;
}
