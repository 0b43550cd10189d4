/* SPDX-License-Identifier: MIT */
/* tests/unit/sources/network.c: what a worker may do on the network: nothing, or connect when it
 * was told so; in no case listen. */
#include "resolver/fetch/fetch.h"
#include "resolver/worker/sandbox.h"
#include "tests/unit/fetch/origin.h"
#include "tests/unit/test.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static struct origin origin;
static char top[] = "/tmp/odcsfs-network-XXXXXX";

static bool refused(int r)
{
	return r < 0 && errno == EPERM;
}

static int take(void *data, const void *bytes, size_t length, struct error *err)
{
	return text_add(data, bytes, length) < 0 ? error_oom(err) : 0;
}

static int fetch(struct transport *transport, const char *host, struct text *ret, struct error *err)
{
	struct transport_sink sink = { take, ret };
	char url[128];

	text_clear(ret);
	(void)snprintf(url, sizeof(url), "http://%s:%d/ok", host, origin.port);
	return transport_get(transport, url, 0, -1, &sink, NULL, NULL, err);
}

static void enter(bool network)
{
	int dirfd = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct error err = { 0 };

	MUST(dirfd >= 0);
	MUST(sandbox_enter(&(const struct sandbox){ .writable = &dirfd,
						    .writable_count = 1,
						    .memory_bytes = UINT64_C(1) << 30,
						    .network = network },
			   &err) == 0);
}

/* What a worker never may */
static void check_never(int fd, int other)
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	char *const argv[] = { (char[]){ "false" }, NULL };
	int pair[2];

	MUST(refused(socket(AF_UNIX, SOCK_STREAM, 0)));
	MUST(refused(socket(AF_NETLINK, SOCK_RAW, 0)));
	MUST(refused(socket(AF_PACKET, SOCK_RAW, 0)));
	MUST(refused(socket(AF_INET, SOCK_RAW, IPPROTO_ICMP)));
	MUST(refused(socket(AF_INET6, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMPV6)));
	MUST(refused(socket(AF_INET, SOCK_SEQPACKET, 0)));
	MUST(refused((int)syscall(SYS_socket, 0x10000 + AF_UNIX, SOCK_STREAM, 0)));
	MUST(refused(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair)));
	MUST(refused(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair)));
	MUST(refused(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair)));
	MUST(refused(socketpair(AF_INET, SOCK_STREAM, 0, pair)));
	MUST(refused(bind(fd, (struct sockaddr *)&address, sizeof(address))));
	MUST(refused(listen(other, 5)));
	MUST(refused(accept(other, NULL, NULL)));
	MUST(refused(accept4(other, NULL, NULL, 0)));
	MUST(refused(kill(getppid(), 0)));
	MUST(refused(execv("/bin/false", argv)));
}

static void without(struct transport *transport, int fd)
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	struct text text = { 0 };
	struct error err = { 0 };
	int pair[2];

	enter(false);
	check_never(fd, fd);
	MUST(refused(socket(AF_INET, SOCK_STREAM, 0)));
	MUST(refused(socket(AF_INET6, SOCK_STREAM, 0)));
	MUST(refused(socket(AF_INET, SOCK_DGRAM, 0)));
	MUST(refused(socketpair(AF_UNIX, SOCK_STREAM, 0, pair)));
	MUST(refused(connect(fd, (struct sockaddr *)&address, sizeof(address))));

	MUST(fetch(transport, "127.0.0.1", &text, &err) == -EPERM);
	MUST(err.blame == BLAME_US && strstr(err.message, "may not use the network"));
	MUST(fetch(transport, "localhost", &text, &err) < 0);
	_exit(0);
}

static void with(struct transport *transport, int fd)
{
	struct text text = { 0 };
	struct error err = { 0 };

	enter(true);
	check_never(fd, fd);
	/* several times, by number and by name; the name server is asked in a thread */
	for (int i = 0; i < 3; i++) {
		MUST(fetch(transport, "127.0.0.1", &text, &err) == 0);
		MUST(strcmp(text.data, "hello") == 0);
		if (fetch(transport, "localhost", &text, &err) < 0) {
			fprintf(stderr, "%s\n", err.message);
			_exit(2);
		}
		MUST(strcmp(text.data, "hello") == 0);
	}
	MUST(fetch(transport, "nowhere.invalid", &text, &err) == -EHOSTUNREACH);
	_exit(0);
}

static void run(void (*child)(struct transport *, int))
{
	pid_t pid = fork();
	int status = -1;

	if (pid == 0) {
		struct transport_network network = { .connect_ms = 5000 };
		struct transport *transport = NULL;
		struct error err = { 0 };
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

		MUST(transport_http(&network, &transport, &err) == 0);
		child(transport, fd);
	}
	CHECK_INT(waitpid(pid, &status, 0), pid);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

int main(void)
{
	if (SANITIZED)
		TEST_SKIP("a build with sanitizers leaves the filter for system calls out");
	CHECK(mkdtemp(top) != NULL);
	origin_start(&origin);
	run(without);
	run(with);
	origin_stop(&origin);
	CHECK_INT(directory_remove(AT_FDCWD, top), 0);
	TEST_END();
}
