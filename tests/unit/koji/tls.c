/* SPDX-License-Identifier: MIT */
/* tests/unit/koji/tls.c: a hub behind TLS: only with a certificate that is trusted, for its own
 * name, and no way back to http.
 *
 *   test-koji-tls REPLAYHUB.PY */
#include "resolver/koji/hub.h"
#include "tests/unit/koji/replay.h"
#include "tests/unit/test.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

static struct replay replay;
static char top[] = "/tmp/odcsfs-tls-XXXXXX", cert[64], key[64];

static void make_certificate(void)
{
	int status = -1, null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	pid_t pid;

	CHECK(mkdtemp(top) != NULL);
	(void)snprintf(cert, sizeof(cert), "%s/cert.pem", top);
	(void)snprintf(key, sizeof(key), "%s/key.pem", top);
	pid = fork();
	if (pid == 0) {
		(void)dup2(null, STDERR_FILENO);
		(void)execlp("openssl", "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
			     "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
			     "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout",
			     key, "-out", cert, NULL);
		_exit(127);
	}
	(void)waitpid(pid, &status, 0);
	(void)close(null);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
		(void)directory_remove(AT_FDCWD, top);
		TEST_SKIP("openssl cannot make a certificate here");
	}
}

static int ask(const char *url, const char *ca, struct error *err)
{
	struct transport_network network = { .ca = ca, .connect_ms = 5000 };
	struct hub_settings settings = { .url = url, .call_ms = 5000 };
	_cleanup_(transport_freep) struct transport *transport = NULL;
	_cleanup_(hub_freep) struct hub *hub = NULL;
	struct hub_event event;

	*err = (struct error){ 0 };
	if (transport_http(&network, &transport, err) < 0)
		return -EIO;
	settings.transport = transport;
	if (hub_new(&settings, &hub, err) < 0)
		return -EIO;
	return hub_last_event(hub, &event, err);
}

int main(int argc, char **argv)
{
	const char *options[3] = { "--tls", cert, key };
	struct error err;
	char other[256], order[1024], missing[80];

	if (argc != 2)
		return 2;
	make_certificate();
	replay_start(&replay, argv[1], options, cert);
	CHECK_INT(ask(replay.url, cert, &err), 0);
	CHECK_STR(err.message, "");
	CHECK_INT(ask(replay.url, NULL, &err), -EPROTO); /* the system does not trust it */
	CHECK(strstr(err.message, "TLS: ") != NULL);
	CHECK_INT(err.blame, BLAME_SOURCE);
	/* the certificate is for another name */
	(void)snprintf(other, sizeof(other), "https://127.0.0.1%s", strrchr(replay.url, ':'));
	CHECK_INT(ask(other, cert, &err), -EPROTO);
	(void)snprintf(missing, sizeof(missing), "%s/missing.pem", top);
	CHECK_INT(ask(replay.url, missing, &err), -EPROTO);
	CHECK_INT(err.blame, BLAME_US);
	/* from https to http: not even to itself */
	(void)snprintf(order, sizeof(order),
		       "{'do': 'misbehave', 'what': 'redirect', 'to': 'http%s'}", replay.url + 5);
	replay_order(&replay, order);
	CHECK_INT(ask(replay.url, cert, &err), -EBADMSG);
	CHECK(strstr(err.message, "a redirect to http://localhost") != NULL);
	(void)snprintf(order, sizeof(order), "{'do': 'misbehave', 'what': 'redirect', 'to': '%s'}",
		       replay.url);
	replay_order(&replay, order);
	CHECK_INT(ask(replay.url, cert, &err), 0);
	replay_stop(&replay);
	CHECK_INT(directory_remove(AT_FDCWD, top), 0);
	TEST_END();
}
