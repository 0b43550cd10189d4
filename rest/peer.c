/* SPDX-License-Identifier: MIT */
/* rest/peer.c: the owner of a loopback client's socket, by sock_diag(7).
 *
 * A loopback connection has both ends on this machine, so the kernel knows who opened the other
 * one. A repository that a local client asks for is then read with that user's rights. */
#include "rest/peer.h"

#include <arpa/inet.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <unistd.h>

struct question {
	struct nlmsghdr header;
	struct inet_diag_req_v2 request;
};

static bool is_loopback(const struct sockaddr *address)
{
	if (address->sa_family == AF_INET) {
		const struct sockaddr_in *in = (const void *)address;

		return ntohl(in->sin_addr.s_addr) >> 24 == 127;
	}
	if (address->sa_family == AF_INET6) {
		const struct in6_addr *in6 =
			&((const struct sockaddr_in6 *)(const void *)address)->sin6_addr;

		return IN6_IS_ADDR_LOOPBACK(in6) ||
		       (IN6_IS_ADDR_V4MAPPED(in6) && in6->s6_addr[12] == 127);
	}
	return false;
}

static void fill_end(const struct sockaddr *address, __be32 host[4], __be16 *port)
{
	if (address->sa_family == AF_INET) {
		const struct sockaddr_in *in = (const void *)address;

		memcpy(host, &in->sin_addr, sizeof(in->sin_addr));
		*port = in->sin_port;
	} else {
		const struct sockaddr_in6 *in6 = (const void *)address;

		memcpy(host, &in6->sin6_addr, sizeof(in6->sin6_addr));
		*port = in6->sin6_port;
	}
}

static int ask(int fd, const struct question *question, uint32_t *ret_uid)
{
	union {
		struct nlmsghdr header;
		char bytes[4096];
	} answer;
	const struct inet_diag_msg *message;
	ssize_t n;

	if (send(fd, question, sizeof(*question), 0) != (ssize_t)sizeof(*question))
		return -EIO;
	do
		n = recv(fd, &answer, sizeof(answer), 0);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	if ((size_t)n < NLMSG_LENGTH(sizeof(*message)) || !NLMSG_OK(&answer.header, (uint32_t)n) ||
	    answer.header.nlmsg_type != SOCK_DIAG_BY_FAMILY)
		return -ESRCH;
	message = NLMSG_DATA(&answer.header);
	if (message->id.idiag_sport != question->request.id.idiag_sport ||
	    message->id.idiag_dport != question->request.id.idiag_dport)
		return -ESRCH; /* the listening socket answers when there is no connection */
	*ret_uid = message->idiag_uid;
	return 0;
}

int peer_uid(const struct sockaddr *client, const struct sockaddr *server, uint32_t *ret_uid)
{
	struct question question = {
		.header = { .nlmsg_len = sizeof(question),
			    .nlmsg_type = SOCK_DIAG_BY_FAMILY,
			    .nlmsg_flags = NLM_F_REQUEST },
		.request = { .sdiag_family = (uint8_t)client->sa_family,
			     .sdiag_protocol = IPPROTO_TCP,
			     .idiag_states = ~0U,
			     .id.idiag_cookie = { INET_DIAG_NOCOOKIE, INET_DIAG_NOCOOKIE } },
	};
	struct timeval limit = { .tv_sec = 1 };
	_cleanup_(closep) int fd = -1;

	if (client->sa_family != server->sa_family || !is_loopback(client) || !is_loopback(server))
		return -EREMOTE;
	fill_end(client, question.request.id.idiag_src, &question.request.id.idiag_sport);
	fill_end(server, question.request.id.idiag_dst, &question.request.id.idiag_dport);
	fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) < 0)
		return -errno;
	return ask(fd, &question, ret_uid);
}
