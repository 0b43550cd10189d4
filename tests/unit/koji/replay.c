/* SPDX-License-Identifier: MIT */
/* tests/unit/koji/replay.c: tests/system/replayhub.py as a child process. */
#include "tests/unit/koji/replay.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static void die(const char *words)
{
	perror(words);
	exit(1);
}

static int take(void *data, const void *bytes, size_t length, struct error *err)
{
	return text_add(data, bytes, length) < 0 ? error_oom(err) : 0;
}

void replay_start(struct replay *replay, const char *script, const char *const options[3],
		  const char *ca)
{
	struct transport_network network = { .ca = ca, .stall_ms = 5000 };
	int in[2], out[2];
	struct error err = { 0 };
	FILE *said;

	if (pipe(in) < 0 || pipe(out) < 0)
		die("pipe");
	replay->pid = fork();
	if (replay->pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		(void)dup2(in[0], STDIN_FILENO);
		(void)dup2(out[1], STDOUT_FILENO);
		(void)close(in[1]);
		(void)close(out[0]);
		if (options)
			(void)execlp("python3", "python3", script, options[0], options[1],
				     options[2], NULL);
		else
			(void)execlp("python3", "python3", script, NULL);
		_exit(127);
	}
	(void)close(in[0]);
	(void)close(out[1]);
	replay->stdin_fd = in[1];
	said = fdopen(out[0], "r");
	if (!said || fscanf(said, "%255s %255s", replay->url, replay->topurl) != 2)
		die("the replay hub says nothing");
	(void)fclose(said);
	strcpy(replay->base, replay->url);
	*strstr(replay->base, "/kojihub") = '\0';
	if (transport_http(&network, &replay->transport, &err) < 0)
		die(err.message);
}

void replay_stop(struct replay *replay)
{
	transport_free(replay->transport);
	(void)close(replay->stdin_fd);
	(void)waitpid(replay->pid, NULL, 0);
}

void replay_order(struct replay *replay, const char *order)
{
	_cleanup_(freep) char *json = strdup(order);
	_cleanup_(text_done) struct text answer = { 0 };
	struct transport_sink sink = { take, &answer };
	struct error err = { 0 };
	char url[300];

	for (char *c = json; *c; c++)
		if (*c == '\'')
			*c = '"';
	(void)snprintf(url, sizeof(url), "%s/control", replay->base);
	if (transport_post(replay->transport, url, json, strlen(json), &sink, NULL, &err) < 0) {
		fprintf(stderr, "%s: %s\n", order, err.message);
		exit(1);
	}
}

int replay_count(struct replay *replay, const char *method)
{
	_cleanup_(text_done) struct text answer = { 0 };
	struct transport_sink sink = { take, &answer };
	struct error err = { 0 };
	char url[300], name[80];
	const char *at;

	(void)snprintf(url, sizeof(url), "%s/counts", replay->base);
	if (transport_get(replay->transport, url, 0, -1, &sink, NULL, NULL, &err) < 0) {
		fprintf(stderr, "%s\n", err.message);
		exit(1);
	}
	(void)snprintf(name, sizeof(name), "\"%s\": ", method);
	at = strstr(answer.data, name);
	return at ? (int)strtol(at + strlen(name), NULL, 10) : 0;
}
