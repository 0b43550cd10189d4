/* SPDX-License-Identifier: MIT */
/* resolver/fetch/asked.c: the worker's end of the opener: a transport that asks. */
#include "resolver/fetch/asked.h"

#include "resolver/fetch/answer.h"
#include "resolver/fetch/transport.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAMES_BYTES_MAX ((TRANSPORT_NAMES_MAX + 1) * 256)

struct asked {
	struct transport transport;
	struct asking *asking;
	struct transport *own; /* of the site's: tried first; NULL: none */
};

/* struct reply - one answer; @bytes: behind the head */
struct reply {
	struct open_reply head;
	char bytes[OPEN_REPLY_MAX];
	size_t length;
	int fd; /* -1: none */
};

static struct asked *asked_of(struct transport *transport)
{
	return (struct asked *)transport;
}

/* ---- one question -------------------------------------------------------- */

static int receive(int fd, struct reply *reply)
{
	struct iovec parts[] = { { &reply->head, sizeof(reply->head) },
				 { reply->bytes, sizeof(reply->bytes) - 1 } };
	struct msghdr message = { .msg_iov = parts, .msg_iovlen = ARRAY_SIZE(parts) };
	ssize_t n = fd_receive(fd, &message, 0, &reply->fd);

	if (n < (ssize_t)sizeof(reply->head) || (message.msg_flags & MSG_TRUNC)) {
		closep(&reply->fd);
		reply->fd = -1;
		return n < 0 ? (int)n : -EPIPE;
	}
	reply->length = (size_t)n - sizeof(reply->head);
	reply->bytes[reply->length] = '\0';
	return 0;
}

/* What the opener says of a failure becomes ours. */
static int take_words(const struct reply *reply, size_t at, struct error *err)
{
	const char *field = reply->bytes + at, *message = field;

	if (at > reply->length)
		return error_set(err, -EPIPE, BLAME_US, NULL, "the opener speaks no sense");
	message += strnlen(field, reply->length - at);
	message += message < reply->bytes + reply->length;
	return error_set(err, reply->head.result, (enum blame)reply->head.blame,
			 *field ? field : NULL, "%s", message);
}

static int ask(struct asked *asked, struct open_request *request, struct reply *reply,
	       struct error *err)
{
	struct asking *asking = asked->asking;
	_cleanup_(text_done) struct text packet = { 0 };
	int r;

	request->id = asking->id;
	request->site = asked->own != NULL;
	r = open_request_print(request, &packet);
	if (r < 0)
		return r == -ENOMEM ? error_oom(err)
				    : error_set(err, r, BLAME_SOURCE, NULL, "%.256s: is too long",
						request->base);
	reply->fd = -1;
	(void)pthread_mutex_lock(&asking->lock);
	if (asking->lost || send(asking->fd, packet.data, packet.length, MSG_NOSIGNAL) < 0)
		r = -EPIPE;
	if (r == 0)
		r = receive(asking->fd, reply);
	if (r < 0)
		asking->lost = true;
	(void)pthread_mutex_unlock(&asking->lock);
	return r < 0 ? error_set(err, r, BLAME_US, NULL, "the process that opens files is gone")
		     : 0;
}

/* ---- the door ------------------------------------------------------------ */

/* May the opener be able to what this process is not? Else @r, with its words, is the answer. */
static bool is_shut(const struct asked *asked, int r, const struct error *failure,
		    struct error *err)
{
	if (!asked->own || r == -EACCES || r == -EPERM)
		return true;
	if (r < 0 && err)
		*err = *failure;
	return false;
}

static int asked_base(struct transport *transport, const char *source, char **ret_path,
		      struct error *err)
{
	struct asked *asked = asked_of(transport);
	struct open_request request = { .kind = OPEN_BASE, .base = source };
	struct reply reply;
	struct error failure = { 0 };
	int r = asked->own ? transport_base(asked->own, source, ret_path, &failure) : 0;

	if (!is_shut(asked, r, &failure, err))
		return r;
	r = ask(asked, &request, &reply, err);
	closep(&reply.fd);
	if (r < 0 || reply.head.result < 0)
		return r < 0 ? r : take_words(&reply, 0, err);
	*ret_path = strdup(reply.bytes);
	return *ret_path ? 0 : error_oom(err);
}

static int asked_fd(struct asked *asked, enum open_kind kind, const char *base, const char *path,
		    struct error *err)
{
	struct open_request request = { .kind = kind, .base = base, .path = path, .count = 1 };
	struct reply reply;
	int r = ask(asked, &request, &reply, err);

	if (r < 0)
		return r;
	if (reply.head.result < 0) {
		closep(&reply.fd);
		return take_words(&reply, 0, err);
	}
	return reply.fd >= 0 ? reply.fd
			     : error_set(err, -EMFILE, BLAME_US, NULL, "%s/%s: no descriptor came",
					 base, path);
}

static int asked_open(struct transport *transport, const char *base, const char *path,
		      struct error *err)
{
	struct asked *asked = asked_of(transport);
	struct error failure = { 0 };
	int r = asked->own ? transport_open(asked->own, base, path, &failure) : 0;

	return is_shut(asked, r, &failure, err) ? asked_fd(asked, OPEN_FILE, base, path, err) : r;
}

static int read_names(int fd, struct strings *ret, struct error *err)
{
	_cleanup_(freep) char *bytes = malloc(NAMES_BYTES_MAX);
	ssize_t length;

	if (!bytes)
		return error_oom(err);
	length = io_pread(fd, bytes, NAMES_BYTES_MAX, 0);
	if (length < 0)
		return error_errno(err, (int)length, "names in a directory");
	for (char *at = bytes, *end = bytes + length; at < end;) {
		char *nul = memchr(at, '\0', (size_t)(end - at));

		if (!nul)
			break;
		if (strings_add(ret, at) < 0)
			return error_oom(err);
		at = nul + 1;
	}
	return 0;
}

static int asked_names(struct transport *transport, const char *base, const char *path,
		       struct strings *ret, struct error *err)
{
	struct asked *asked = asked_of(transport);
	_cleanup_(closep) int fd = -1;
	struct error failure = { 0 };
	int r = asked->own ? transport_names(asked->own, base, path, ret, &failure) : 0;

	if (!is_shut(asked, r, &failure, err))
		return r;
	fd = r = asked_fd(asked, OPEN_NAMES, base, path, err);
	return r < 0 ? r : read_names(fd, ret, err);
}

/* One request of as many as go into one: @ret_count more are there. */
static int stat_some(struct asked *asked, const char *base, const char *const *path, size_t count,
		     struct transport_file *ret, size_t *ret_count, struct error *err)
{
	_cleanup_(text_done) struct text paths = { 0 };
	struct open_request request = { .kind = OPEN_STAT, .base = base };
	struct reply reply;
	size_t bytes;
	int r;

	while (request.count < count && request.count < OPEN_PATHS_MAX) {
		const char *one = path[request.count];

		if (request.count && paths.length + strlen(one) > OPEN_REQUEST_MAX / 2)
			break;
		if (text_add(&paths, one, strlen(one) + 1) < 0)
			return error_oom(err);
		request.count++;
	}
	request.path = paths.data;
	r = ask(asked, &request, &reply, err);
	if (r < 0)
		return r;
	closep(&reply.fd);
	bytes = (size_t)reply.head.count * sizeof(*ret);
	if (reply.head.count > request.count || bytes > reply.length ||
	    (reply.head.result == 0 && reply.head.count != request.count))
		return error_set(err, -EPIPE, BLAME_US, NULL, "the opener speaks no sense");
	memcpy(ret, reply.bytes, bytes);
	*ret_count = reply.head.count;
	return reply.head.result < 0 ? take_words(&reply, bytes, err) : 0;
}

static int asked_stat(struct transport *transport, const char *base, const char *const *path,
		      size_t count, struct transport_file *ret, size_t *ret_count,
		      struct error *err)
{
	struct asked *asked = asked_of(transport);
	int r = 0;

	while (*ret_count < count && r == 0) {
		struct error failure = { 0 };
		size_t one = 0;

		if (asked->own)
			r = transport_stat(asked->own, base, path[*ret_count], &ret[*ret_count],
					   &failure);
		if (!is_shut(asked, r, &failure, err)) {
			*ret_count += r == 0;
			continue;
		}
		r = stat_some(asked, base, path + *ret_count, count - *ret_count, ret + *ret_count,
			      &one, err);
		*ret_count += one;
	}
	return r;
}

static void asked_free(struct transport *transport)
{
	transport_free(asked_of(transport)->own);
	free(transport);
}

static const struct transport_ops asked_ops = {
	.base = asked_base,
	.open = asked_open,
	.stat = asked_stat,
	.names = asked_names,
	.free = asked_free,
};

int transport_asked(struct asking *asking, bool site, struct transport **ret, struct error *err)
{
	_cleanup_(transport_freep) struct transport *own = NULL;
	struct asked *asked;
	int r = site ? transport_local(NULL, true, 0, 0, &own, err) : 0;

	if (r < 0)
		return r;
	asked = calloc(1, sizeof(*asked));
	if (!asked)
		return error_oom(err);
	*asked = (struct asked){ { &asked_ops }, asking, steal(own) };
	*ret = &asked->transport;
	return 0;
}
