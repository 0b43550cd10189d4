/* SPDX-License-Identifier: MIT */
/* resolver/fetch/answer.c: the opener's end: requests of a worker, which may be anybody's, and the
 * answers to them. */
#include "resolver/fetch/answer.h"

#include <sys/mman.h>
#include <unistd.h>

/* struct head - of a request */
struct head {
	int64_t id;
	uint32_t kind, site, count, unused;
};

_Static_assert(OPEN_PATHS_MAX * sizeof(struct transport_file) + ERROR_FIELD_SIZE +
			       ERROR_MESSAGE_SIZE <
		       OPEN_REPLY_MAX,
	       "an answer has room");

int open_request_print(const struct open_request *request, struct text *ret)
{
	const struct head head = { .id = request->id,
				   .kind = request->kind,
				   .site = request->site,
				   .count = request->count };
	const char *path = request->path;

	(void)text_add(ret, &head, sizeof(head));
	(void)text_add(ret, request->base, strlen(request->base) + 1);
	for (uint32_t i = 0; i < request->count; i++) {
		size_t length = strlen(path) + 1;

		(void)text_add(ret, path, length);
		path += length;
	}
	if (ret->failed)
		return -ENOMEM;
	return ret->length > OPEN_REQUEST_MAX ? -EMSGSIZE : 0;
}

int open_request_parse(const void *bytes, size_t length, struct open_request *ret)
{
	const char *at = bytes, *end = at + length;
	struct head head;
	uint32_t strings = 0;

	if (length <= sizeof(head) || length > OPEN_REQUEST_MAX || end[-1] != '\0')
		return -EBADMSG;
	memcpy(&head, bytes, sizeof(head));
	at += sizeof(head);
	*ret = (struct open_request){ .id = head.id,
				      .kind = (enum open_kind)head.kind,
				      .site = head.site == 1,
				      .base = at,
				      .path = at + strlen(at) + 1,
				      .count = head.count };
	for (; at < end; at += strlen(at) + 1)
		strings++;
	if (head.kind > OPEN_STAT || head.site > 1 || head.unused || head.count > OPEN_PATHS_MAX ||
	    strings != head.count + 1)
		return -EBADMSG;
	if (head.kind == OPEN_BASE ? head.count != 0
				   : head.count == 0 || (head.kind != OPEN_STAT && head.count > 1))
		return -EBADMSG;
	return 0;
}

/* ---- doing it ------------------------------------------------------------ */

static int answer_names(struct transport *transport, const struct open_request *request,
			int *ret_fd, struct error *err)
{
	_cleanup_(strings_done) struct strings names = { 0 };
	_cleanup_(closep) int fd = -1;
	int r = transport_names(transport, request->base, request->path, &names, err);

	if (r < 0)
		return r;
	fd = memfd_create("names", MFD_CLOEXEC);
	if (fd < 0)
		return error_errno(err, -errno, "names in a directory");
	for (size_t i = 0; i < names.count && r == 0; i++)
		r = io_write(fd, names.item[i], strlen(names.item[i]) + 1);
	if (r < 0)
		return error_errno(err, r, "names in a directory");
	*ret_fd = steal_fd(&fd);
	return 0;
}

static int answer_stat(struct transport *transport, const struct open_request *request,
		       struct text *ret, uint32_t *ret_count, struct error *err)
{
	const char *path = request->path;

	for (uint32_t i = 0; i < request->count; i++) {
		struct transport_file file;
		int r = transport_stat(transport, request->base, path, &file, err);

		if (r < 0)
			return r;
		if (text_add(ret, &file, sizeof(file)) < 0)
			return error_oom(err);
		*ret_count = i + 1;
		path += strlen(path) + 1;
	}
	return 0;
}

static int answer_base(struct transport *transport, const struct open_request *request,
		       struct text *ret, struct error *err)
{
	_cleanup_(freep) char *path = NULL;
	int r = transport_base(transport, request->base, &path, err);

	if (r == 0 && text_add(ret, path, strlen(path) + 1) < 0)
		r = error_oom(err);
	return r;
}

int open_answer(const struct open_request *request, struct transport *transport,
		const struct error *refused, struct text *ret, int *ret_fd)
{
	struct open_reply head = { 0 };
	_cleanup_(text_done) struct text body = { 0 };
	struct error err = refused ? *refused : (struct error){ 0 };
	int r = refused ? refused->code : 0;

	*ret_fd = -1;
	if (r < 0)
		;
	else if (request->kind == OPEN_BASE)
		r = answer_base(transport, request, &body, &err);
	else if (request->kind == OPEN_STAT)
		r = answer_stat(transport, request, &body, &head.count, &err);
	else if (request->kind == OPEN_NAMES)
		r = answer_names(transport, request, ret_fd, &err);
	else
		*ret_fd = r = transport_open(transport, request->base, request->path, &err);
	head.result = r < 0 ? r : 0;
	head.blame = err.blame;
	if (r < 0) {
		(void)text_add(&body, err.field, strlen(err.field) + 1);
		(void)text_add(&body, err.message, strlen(err.message) + 1);
	}
	(void)text_add(ret, &head, sizeof(head));
	(void)text_add(ret, body.data, body.length);
	if (!body.failed && !ret->failed)
		return 0;
	closep(ret_fd);
	*ret_fd = -1;
	return -ENOMEM;
}

const char *open_answer_base(const struct text *answer)
{
	struct open_reply head;

	memcpy(&head, answer->data, sizeof(head));
	return head.result < 0 ? NULL : answer->data + sizeof(head);
}
