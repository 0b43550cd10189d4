/* SPDX-License-Identifier: MIT */
/* resolver/worker/opener.c: opens files of this machine for a worker, which may not.
 *
 *   server ── job ──► opener ◄── "open this below that" ── worker
 *                        └── descriptor ──────────────────────►
 *
 * What may be opened, and with whose rights, the server says: each job comes here as it comes to
 * the worker, and is at hand until the next one comes, also when its compose is done. So a worker
 * that foreign bytes have taken over gets what the user of that compose may read below the
 * repositories that he named, and what is the site's, and nothing else.
 * Nothing of a file is read here, and of what the worker says only places and numbers. */
#include "resolver/worker/opener.h"

#include "core/model/model.h"
#include "resolver/fetch/asked.h"
#include "resolver/worker/lines.h"
#include "resolver/worker/sandbox.h"

#include <linux/capability.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#define MEMORY_BYTES (UINT64_C(256) << 20) /* a job is up to PIPE_LINE_MAX, and its tree more */
#define RIGHTS                                                                                     \
	(UINT64_C(1) << CAP_SETUID | UINT64_C(1) << CAP_SETGID | UINT64_C(1) << CAP_DAC_OVERRIDE | \
	 UINT64_C(1) << CAP_DAC_READ_SEARCH | UINT64_C(1) << CAP_FOWNER)

/**
 * struct half - one of the two kinds of places of a job
 * @words: may be asked for; borrowed
 * @bases: what they led to
 * @looked: the site's words were followed */
struct half {
	struct strings words, bases;
	struct transport *transport;
	struct error failure; /* why there is none */
	bool looked;
};

struct opener {
	struct lines server;
	int ask_fd;
	struct job *job; /* at hand; NULL: none yet */
	struct half request, site;
};

static void half_done(struct half *half)
{
	strings_done(&half->words);
	strings_done(&half->bases);
	transport_free(half->transport);
	*half = (struct half){ 0 };
}

static void forget_job(struct opener *opener)
{
	half_done(&opener->request);
	half_done(&opener->site);
	job_free(steal(opener->job));
}

static void opener_done(struct opener *opener)
{
	forget_job(opener);
	lines_done(&opener->server);
}

/* ---- what the server says ------------------------------------------------ */

static int list_words(struct opener *opener)
{
	const struct job *job = opener->job;
	struct strings *words = &opener->request.words;
	int r = strings_copy(words, &job->spec->lookaside_repos);

	if (r == 0 && job->spec->source_type == SOURCE_REPO)
		r = strings_copy(words, &job->spec->source);
	if (r == 0 && job->koji.topdir)
		r = strings_add(&opener->site.words, job->koji.topdir);
	return r < 0 ? r : strings_copy(&opener->site.words, &job->module.repos);
}

static int take_job(struct opener *opener, const char *line, size_t length, struct error *err)
{
	struct message message = { 0 };
	int r = message_parse(line, length, &message, err);

	if (r == 0 && message.type != PIPE_COMPOSE)
		r = error_set(err, -EBADMSG, BLAME_US, NULL,
			      "the server sent what is not for an opener");
	if (r == 0) {
		forget_job(opener);
		opener->job = steal(message.job);
		if (list_words(opener) < 0)
			r = error_oom(err);
	}
	message_done(&message);
	return r;
}

/* Every line that has come, and at least one: only the last job counts. 0: the server is gone */
static int listen_to_server(struct opener *opener, struct error *err)
{
	const char *line = NULL;
	size_t length = 0;
	int r;

	do {
		r = lines_next(&opener->server, &line, &length);
		if (r < 0)
			return error_errno(err, r, "cannot read from the server");
		if (r > 0)
			r = take_job(opener, line, length, err) < 0 ? err->code : 1;
	} while (r > 0 && lines_more(&opener->server));
	return r;
}

/* ---- what the worker asks ------------------------------------------------ */

/* Is it a place of the site, or below one? What links lead to is the site's business. */
static bool is_site_word(const struct half *half, const char *word)
{
	for (size_t i = 0; i < half->words.count; i++) {
		const char *rest = path_rest(word, half->words.item[i]);

		if (rest && !path_has_dots(rest))
			return true;
	}
	return false;
}

static void open_half(struct opener *opener, struct half *half)
{
	const struct job *job = opener->job;
	bool site = half == &opener->site;

	if (half->transport || half->failure.code)
		return;
	(void)transport_local(site ? NULL : &job->allowed, site || job->trusted, job->uid, job->gid,
			      &half->transport, &half->failure);
}

/* What a word leads to may be asked about from then on; the site's also before. */
static bool is_base(struct half *half, bool site, const char *base)
{
	for (size_t i = 0; site && !half->looked && i < half->words.count; i++) {
		_cleanup_(freep) char *real = NULL;

		if (transport_base(half->transport, half->words.item[i], &real, NULL) == 0)
			(void)strings_add(&half->bases, real);
	}
	half->looked = true;
	return strings_has(&half->bases, base);
}

static int refuse(struct error *err, const char *what)
{
	return error_set(err, -EACCES, BLAME_US, NULL,
			 "%.256s: is not among the places of this compose", what);
}

/* 0, or why it is not done */
static int judge(struct half *half, const struct open_request *request, struct error *err)
{
	bool known;

	if (half->failure.code) {
		*err = half->failure;
		return err->code;
	}
	if (request->kind == OPEN_BASE)
		known = request->site ? is_site_word(half, request->base)
				      : strings_has(&half->words, request->base);
	else
		known = is_base(half, request->site, request->base);
	return known ? 0 : refuse(err, request->base);
}

static int answer(struct opener *opener, const struct open_request *request, struct error *err)
{
	struct half *half = request->site ? &opener->site : &opener->request;
	_cleanup_(text_done) struct text packet = { 0 };
	_cleanup_(closep) int fd = -1;
	struct error refused = { 0 };
	const char *real = NULL;
	struct iovec part;
	int r;

	open_half(opener, half);
	r = judge(half, request, &refused);
	if (open_answer(request, half->transport, r < 0 ? &refused : NULL, &packet, &fd) < 0)
		return error_oom(err);
	if (r == 0 && request->kind == OPEN_BASE && (real = open_answer_base(&packet)) &&
	    !strings_has(&half->bases, real) && strings_add(&half->bases, real) < 0)
		return error_oom(err);
	part = (struct iovec){ packet.data, packet.length };
	r = fd_send(opener->ask_fd, &(struct msghdr){ .msg_iov = &part, .msg_iovlen = 1 }, fd);
	return r < 0 ? error_errno(err, r, "cannot answer the worker") : 0;
}

/* 0: the worker is gone */
static int serve_request(struct opener *opener, struct error *err)
{
	char bytes[OPEN_REQUEST_MAX + 1];
	struct open_request request;
	ssize_t n = recv(opener->ask_fd, bytes, sizeof(bytes), 0);
	int r = 1;

	if (n <= 0)
		return n == 0 || errno == ECONNRESET
			       ? 0
			       : error_errno(err, -errno, "cannot hear the worker");
	if (open_request_parse(bytes, (size_t)n, &request) < 0)
		return error_set(err, -EBADMSG, BLAME_US, NULL, "the worker speaks no sense");
	while (r > 0 && (!opener->job || opener->job->id != request.id))
		r = listen_to_server(opener, err); /* the job is on its way */
	if (r > 0 && answer(opener, &request, err) < 0)
		r = err->code;
	return r;
}

int opener_serve(int pipe_fd, int ask_fd, struct error *err)
{
	_cleanup_(opener_done) struct opener opener = { .server = { .fd = pipe_fd },
							.ask_fd = ask_fd };
	struct pollfd polls[] = { { .fd = pipe_fd, .events = POLLIN },
				  { .fd = ask_fd, .events = POLLIN } };
	int r = sandbox_enter(
		&(const struct sandbox){ .memory_bytes = MEMORY_BYTES, .capabilities = RIGHTS },
		err);

	if (r < 0)
		return r;
	for (r = 1; r > 0;) {
		if (poll(polls, ARRAY_SIZE(polls), -1) < 0) {
			if (errno != EINTR)
				return error_errno(err, -errno, "poll");
			continue;
		}
		/* the server first: what it said before the worker asked holds */
		if (polls[0].revents)
			r = listen_to_server(&opener, err);
		else if (polls[1].revents)
			r = serve_request(&opener, err);
	}
	return r;
}
