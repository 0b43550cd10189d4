/* SPDX-License-Identifier: MIT */
/* rest/send.c: one file: conditions, ranges, and its bytes.
 *
 * RFC 9110 sections 13 and 14, with single ranges: to several ranges the whole file is the answer.
 * Files that still grow (logs) have neither ETag nor Last-Modified, but ranges: that is how the
 * stock client follows them. */
#include "rest/bring.h"
#include "rest/client.h"
#include "rest/hot.h"
#include "rest/listing.h"
#include "rest/words.h"

#define BLOCK ((size_t)64 * 1024)
#define SMALL ((size_t)16 * 1024) /* goes out with its header in one piece */

/* ---- types --------------------------------------------------- */

static const struct {
	const char *ending, *type;
} types[] = {
	{ ".repo", "text/plain" },     { ".xml", "application/xml" },
	{ ".json", TYPE_JSON },	       { ".rpm", "application/x-rpm" },
	{ ".log", "text/plain" },      { ".txt", "text/plain" },
	{ ".gz", "application/gzip" }, { ".zst", "application/zstd" },
	{ ".xz", "application/x-xz" }, { ".bz2", "application/x-bzip2" },
	{ ".yaml", "text/plain" },     { "", "application/octet-stream" },
};

const char *file_types(size_t i)
{
	return i < ARRAY_SIZE(types) ? types[i].type : NULL;
}

static const char *content_type(const struct tree_node *node)
{
	const char *dot = strrchr(node->name, '.');

	for (size_t i = 0; dot && i < ARRAY_SIZE(types); i++)
		if (!strcmp(dot, types[i].ending))
			return types[i].type;
	return node->package || dot ? "application/octet-stream" : "text/plain";
}

/* ---- conditions -------------------------------------------------------- */

const struct parameter file_parameters[] = {
	{ MHD_HTTP_HEADER_RANGE, PARAMETER_HEADER, .meaning = "One range of bytes." },
	{ MHD_HTTP_HEADER_IF_RANGE, PARAMETER_HEADER,
	  .meaning = "The range only if the file is this one (ETag or date), else all of it." },
	{ MHD_HTTP_HEADER_IF_NONE_MATCH, PARAMETER_HEADER,
	  .meaning = "304 if it is one of these." },
	{ MHD_HTTP_HEADER_IF_MODIFIED_SINCE, PARAMETER_HEADER, .meaning = "304 if it is not." },
	{ MHD_HTTP_HEADER_IF_MATCH, PARAMETER_HEADER, .meaning = "412 if it is none of these." },
	{ MHD_HTTP_HEADER_IF_UNMODIFIED_SINCE, PARAMETER_HEADER, .meaning = "412 if it is newer." },
	{ NULL },
};

/* 0: send it; else 304 or 412. */
static unsigned int conditions(const struct exchange *ex, const struct tree_node *node,
			       const char *etag)
{
	const char *none = exchange_header(ex, MHD_HTTP_HEADER_IF_NONE_MATCH);
	const char *since = exchange_header(ex, MHD_HTTP_HEADER_IF_MODIFIED_SINCE);
	const char *match = exchange_header(ex, MHD_HTTP_HEADER_IF_MATCH);
	const char *unmodified = exchange_header(ex, MHD_HTTP_HEADER_IF_UNMODIFIED_SINCE);
	int64_t date;

	if (match) {
		if (!etag_listed(match, etag, false))
			return MHD_HTTP_PRECONDITION_FAILED;
	} else if (unmodified && date_parse(unmodified, &date) && node->mtime > date) {
		return MHD_HTTP_PRECONDITION_FAILED;
	}
	if (none)
		return etag_listed(none, etag, true) ? MHD_HTTP_NOT_MODIFIED : 0;
	if (since && !node->live && date_parse(since, &date) && node->mtime <= date)
		return MHD_HTTP_NOT_MODIFIED;
	return 0;
}

/* ---- ranges ------------------------------------------------------------ */

static struct range range_read(const struct exchange *ex, const struct tree_node *node,
			       const struct tree_file *file)
{
	const char *text = exchange_header(ex, MHD_HTTP_HEADER_RANGE);
	const char *condition = exchange_header(ex, MHD_HTTP_HEADER_IF_RANGE);
	struct range range = { .length = file->size };
	int64_t date;

	if (!text || ex->head)
		return range;
	if (condition &&
	    (date_parse(condition, &date)
		     ? node->live || date != node->mtime
		     : *condition == '*' || !etag_listed(condition, file->etag, false)))
		return range;
	range_parse(text, file->size, &range);
	return range;
}

/* ---- bytes ------------------------------------------------------------- */

/* A file that is partly in memory, while it is being sent. */
struct sending {
	struct tree_file file;
	uint64_t start;
};

static ssize_t sending_read(void *data, uint64_t position, char *to, size_t room)
{
	struct sending *sending = data;
	ssize_t n = tree_file_read(&sending->file, to, room, sending->start + position);

	return n > 0 ? n : MHD_CONTENT_READER_END_WITH_ERROR;
}

static void sending_free(void *data)
{
	struct sending *sending = data;

	tree_file_done(&sending->file);
	free(sending);
}

/* NULL: no memory, or the file does not have what it should. */
static struct MHD_Response *small_response(const struct tree_file *file, const struct range *range)
{
	char *bytes = malloc((size_t)range->length);
	struct MHD_Response *response = NULL;

	if (bytes && tree_file_read(file, bytes, (size_t)range->length, range->start) ==
			     (ssize_t)range->length)
		response = MHD_create_response_from_buffer((size_t)range->length, bytes,
							   MHD_RESPMEM_MUST_FREE);
	if (!response)
		free(bytes);
	return response;
}

/* Of HEAD nothing is read. */
static ssize_t nothing_read(void *data, uint64_t position, char *to, size_t room)
{
	return MHD_CONTENT_READER_END_WITH_ERROR;
}

/* Takes what it uses out of @file. */
static struct MHD_Response *bytes_response(struct tree_file *file, const struct range *range,
					   bool head)
{
	struct MHD_Response *response;
	struct sending *sending;

	if (!range->length)
		return MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
	if (range->length <= SMALL && file->fd >= 0 && !head)
		return small_response(file, range);
	if (file->fd >= 0 && !file->head_length) {
		response = MHD_create_response_from_fd_at_offset64(range->length, file->fd,
								   range->start);
		if (response)
			file->fd = -1;
		return response;
	}
	if (file->fd < 0 && !file->head) /* not here yet */
		return MHD_create_response_from_callback(range->length, BLOCK, nothing_read, NULL,
							 NULL);
	if (file->fd < 0)
		return MHD_create_response_from_buffer(range->length, file->head + range->start,
						       MHD_RESPMEM_MUST_COPY);
	sending = calloc(1, sizeof(*sending));
	if (!sending)
		return NULL;
	sending->file = *file;
	sending->start = range->start;
	response = MHD_create_response_from_callback(range->length, BLOCK, sending_read, sending,
						     sending_free);
	if (!response) {
		free(sending);
		return NULL;
	}
	*file = (struct tree_file){ .fd = -1 };
	return response;
}

static void add_headers(struct MHD_Response *response, const struct tree_node *node,
			const struct tree_file *file, const char *etag)
{
	char date[HTTP_DATE_SIZE], quoted[sizeof(file->etag) + 2];

	response_header(response, MHD_HTTP_HEADER_ACCEPT_RANGES, "bytes");
	response_header(response, "X-Content-Type-Options", "nosniff");
	/* what a source delivered must not act as a page of ours */
	response_header(response, "Content-Security-Policy", "default-src 'none'; sandbox");
	if (node->live) {
		response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
		return;
	}
	if (*etag) {
		(void)snprintf(quoted, sizeof(quoted), "\"%s\"", etag);
		response_header(response, MHD_HTTP_HEADER_ETAG, quoted);
	}
	date_print(node->mtime, date);
	if (*date)
		response_header(response, MHD_HTTP_HEADER_LAST_MODIFIED, date);
}

static int empty_answer(struct exchange *ex, unsigned int status, const struct tree_node *node,
			const struct tree_file *file)
{
	struct MHD_Response *response =
		MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
	char range[48];

	add_headers(response, node, file, file->etag);
	if (status == MHD_HTTP_RANGE_NOT_SATISFIABLE) {
		(void)snprintf(range, sizeof(range), "bytes */%" PRIu64, file->size);
		response_header(response, MHD_HTTP_HEADER_CONTENT_RANGE, range);
	}
	return answer_queue(ex, status, response);
}

/* Does it stay what it is, and is it open as a whole? */
static bool is_lasting(const struct tree_node *node, const struct tree_file *file)
{
	return node->index >= TREE_MANIFEST_FIRST && file->etag[0] && file->fd >= 0 && file->size &&
	       !file->head_length && !file->hold;
}

/* @response: NULL: out of @file */
static int bytes_answer(struct exchange *ex, int64_t id, const struct tree_node *node,
			struct tree_file *file, const struct range *range,
			struct MHD_Response *response)
{
	struct hot_file hot = {
		.id = id, .index = node->index, .length = file->size, .fd = file->fd
	};
	bool keep = !ex->head && !range->partial && is_lasting(node, file);
	char etag[sizeof(file->etag)], text[80];
	uint64_t size = file->size;

	memcpy(etag, file->etag, sizeof(etag));
	if (!response && !ex->head && range->length > SMALL)
		link_cork(ex->link, ex->connection, true);
	if (file->hold) { /* as long as bytes go out */
		tree_hold_release(ex->hold);
		ex->hold = steal(file->hold);
	}
	if (!response)
		response = bytes_response(file, range, ex->head);
	add_headers(response, node, file, etag);
	response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, content_type(node));
	hot.own_fd = keep && file->fd >= 0;
	if (hot.own_fd)
		file->fd = -1;
	if (keep)
		return hot_keep(ex, &hot, response);
	if (!range->partial)
		return answer_queue(ex, MHD_HTTP_OK, response);
	(void)snprintf(text, sizeof(text), "bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64, range->start,
		       range->start + range->length - 1, size);
	response_header(response, MHD_HTTP_HEADER_CONTENT_RANGE, text);
	return answer_queue(ex, MHD_HTTP_PARTIAL_CONTENT, response);
}

/* What is not here yet: as it comes, where that may be and some of it is wanted that is not held
 * back; else when it is whole. */
static int coming_answer(struct exchange *ex, struct tree *tree, int64_t id,
			 const struct tree_node *node, struct tree_file *file,
			 const struct range *range)
{
	bool early = tree_streams(ex->rest->options.trees) &&
		     range->start < tree_arrival_early(file->size);
	struct MHD_Response *response =
		early ? bring_stream(ex, tree, node->index, range->start, range->length) : NULL;

	return response ? bytes_answer(ex, id, node, file, range, response)
			: bring_park(ex, tree, node->index, early ? range->start + 1 : 0);
}

int file_send(struct exchange *ex, struct tree *tree, int64_t id, const struct tree_node *node)
{
	_cleanup_(tree_file_done) struct tree_file file = { .fd = -1 };
	struct kept *hot = hot_get(ex, id, node->index);
	struct error err = { 0 };
	struct range range;
	unsigned int status;
	int r;

	if (hot)
		return hot_answer(ex, hot);
	r = tree_file_open(tree, node->index, &file, &err);

	if (r < 0 && r != -EAGAIN) {
		if (r == -ENOENT) /* the name is there, its bytes are not */
			err.code = -EIO;
		if (!err.code)
			(void)error_errno(&err, r, "%s", node->name);
		if (r != -ENOENT && r != -EMFILE && r != -ENFILE)
			(void)tree_failed(ex->rest->options.trees, id, node->index, err.message);
		return answer_failure(ex, &err);
	}
	if (r == 0 && node->package)
		tree_reads_well(ex->rest->options.trees, id, node->index);
	status = conditions(ex, node, file.etag);
	if (status)
		return empty_answer(ex, status, node, &file);
	range = range_read(ex, node, &file);
	if (range.beyond)
		return empty_answer(ex, MHD_HTTP_RANGE_NOT_SATISFIABLE, node, &file);
	if (r == -EAGAIN && !ex->head)
		return coming_answer(ex, tree, id, node, &file, &range);
	return bytes_answer(ex, id, node, &file, &range, NULL);
}
