/* SPDX-License-Identifier: MIT */
/* tests/unit/rest/peer.c: the owner of the other end of real loopback connections. */
#include "rest/peer.h"
#include "tests/unit/test.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/wait.h>
#include <unistd.h>

#define SOMEBODY 54321

/* a child connects as @uid; the parent asks who it is */
static void test_connection(int family, uint32_t uid)
{
	union {
		struct sockaddr any;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
	} server = { .any.sa_family = (sa_family_t)family }, client;
	socklen_t length = family == AF_INET ? sizeof(server.in) : sizeof(server.in6);
	int listener = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0), connection;
	uint32_t seen = 99;
	pid_t child;

	if (family == AF_INET)
		server.in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	else
		server.in6.sin6_addr = in6addr_loopback;
	if (listener < 0 || bind(listener, &server.any, length) < 0) {
		printf("no address family %d here\n", family);
		return;
	}
	CHECK_INT(listen(listener, 1), 0);
	CHECK_INT(getsockname(listener, &server.any, &length), 0);
	child = fork();
	if (child == 0) {
		int fd = (setuid(uid), socket(family, SOCK_STREAM, 0));

		_exit(connect(fd, &server.any, length) < 0 || read(fd, &seen, 1) != 0);
	}
	connection = accept(listener, &client.any, &length);
	CHECK(connection >= 0);
	CHECK_INT(peer_uid(&client.any, &server.any, &seen), 0);
	CHECK_INT(seen, uid);
	(void)close(connection);
	CHECK_INT(waitpid(child, NULL, 0), child);
	if (family == AF_INET)
		client.in.sin_port = htons(1);
	else
		client.in6.sin6_port = htons(1);
	CHECK_INT(peer_uid(&client.any, &server.any, &seen), -ESRCH);
	(void)close(listener);
}

int main(void)
{
	struct sockaddr_in far = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(0xc0000201) };
	uint32_t uid = geteuid() ? geteuid() : SOMEBODY, seen = 99;

	test_connection(AF_INET, uid);
	test_connection(AF_INET6, uid);
	CHECK_INT(peer_uid((struct sockaddr *)&far, (struct sockaddr *)&far, &seen), -EREMOTE);
	CHECK_INT(seen, 99);
	TEST_END();
}
