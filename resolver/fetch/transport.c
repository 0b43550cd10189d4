/* SPDX-License-Identifier: MIT */
/* resolver/fetch/transport.c: the door, before whatever kind of transport stands behind it. */
#include "resolver/fetch/transport.h"

#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#define SIZE_MAX_DEFAULT (INT64_C(1) << 30)

/* ---- files ---- */

static int no_files(struct error *err)
{
	return error_set(err, -EPERM, BLAME_US, NULL, "this transport does not open files");
}

int transport_base(struct transport *transport, const char *source, char **ret_path,
		   struct error *err)
{
	if (!transport->ops->base)
		return no_files(err);
	return transport->ops->base(transport, source, ret_path, err);
}

int transport_open(struct transport *transport, const char *base, const char *path,
		   struct error *err)
{
	if (!transport->ops->open)
		return no_files(err);
	return transport->ops->open(transport, base, path, err);
}

int transport_stat_all(struct transport *transport, const char *base, const char *const *path,
		       size_t count, struct transport_file *ret, size_t *ret_count,
		       struct error *err)
{
	*ret_count = 0;
	if (!transport->ops->stat)
		return no_files(err);
	return transport->ops->stat(transport, base, path, count, ret, ret_count, err);
}

int transport_stat(struct transport *transport, const char *base, const char *path,
		   struct transport_file *ret, struct error *err)
{
	size_t count;

	return transport_stat_all(transport, base, &path, 1, ret, &count, err);
}

int transport_names(struct transport *transport, const char *base, const char *path,
		    struct strings *ret, struct error *err)
{
	if (!transport->ops->names)
		return no_files(err);
	return transport->ops->names(transport, base, path, ret, err);
}

void transport_free(struct transport *transport)
{
	if (transport)
		transport->ops->free(transport);
}

/* ---- many of one kind ---- */

void transports_init(struct transports *transports,
		     int (*connect)(void *data, struct transport **ret, struct error *err),
		     void *data)
{
	*transports = (struct transports){ .connect = connect, .data = data };
	(void)pthread_mutex_init(&transports->lock, NULL);
}

void transports_done(struct transports *transports)
{
	while (transports->count)
		transport_free(transports->idle[--transports->count]);
	(void)pthread_mutex_destroy(&transports->lock);
}

int transports_take(struct transports *transports, struct transport **ret, struct error *err)
{
	struct transport *found = NULL;

	(void)pthread_mutex_lock(&transports->lock);
	if (transports->count)
		found = transports->idle[--transports->count];
	(void)pthread_mutex_unlock(&transports->lock);
	if (!found)
		return transports->connect(transports->data, ret, err);
	*ret = found;
	return 0;
}

void transports_give(struct transports *transports, struct transport *transport)
{
	(void)pthread_mutex_lock(&transports->lock);
	if (transport && transports->count < ARRAY_SIZE(transports->idle)) {
		transports->idle[transports->count++] = transport;
		transport = NULL;
	}
	(void)pthread_mutex_unlock(&transports->lock);
	transport_free(transport);
}

/* ---- servers ---- */

const char *url_shown(const char *url, char ret[static URL_SHOWN_SIZE])
{
	const char *host = strstr(url, "://"), *end;
	size_t scheme, length;

	host = host ? host + 3 : url;
	scheme = (size_t)(host - url);
	for (end = host + strcspn(host, "/?#"); end > host; end--)
		if (end[-1] == '@')
			break;
	length = strcspn(end, "?#");
	(void)snprintf(ret, URL_SHOWN_SIZE, "%.*s%.*s", (int)(scheme < 16 ? scheme : 0), url,
		       (int)(length < URL_SHOWN_SIZE ? length : URL_SHOWN_SIZE), end);
	for (char *c = ret; *c; c++)
		if ((uint8_t)*c < 0x20 || *c == 0x7f)
			*c = '?';
	return ret;
}

static int do_transfer(struct transport *transport, struct transfer *transfer,
		       const struct transport_options *options, struct error *err)
{
	if (!transport->ops->transfer)
		return error_set(err, -EPERM, BLAME_US, NULL,
				 "the network may not be used: none is configured");
	if (options)
		transfer->options = *options;
	if (!transfer->options.size_max)
		transfer->options.size_max = SIZE_MAX_DEFAULT;
	transfer->ret_size = -1;
	return transport->ops->transfer(transport, transfer, err);
}

int transport_post(struct transport *transport, const char *url, const void *body, size_t length,
		   const struct transport_sink *sink, const struct transport_options *options,
		   struct error *err)
{
	struct transfer transfer = { .url = url,
				     .body = body,
				     .body_length = length,
				     .length = -1,
				     .inflate = true,
				     .sink = *sink };

	return do_transfer(transport, &transfer, options, err);
}

int transport_get(struct transport *transport, const char *url, int64_t offset, int64_t length,
		  const struct transport_sink *sink, const struct transport_options *options,
		  int64_t *ret_size, struct error *err)
{
	struct transfer transfer = { .url = url,
				     .offset = offset,
				     .length = length,
				     .inflate = offset == 0 && length < 0,
				     .sink = *sink };
	int r = do_transfer(transport, &transfer, options, err);

	if (r == 0 && ret_size)
		*ret_size = transfer.ret_size;
	return r;
}

int transport_get_newer(struct transport *transport, const char *url,
			const struct transport_sink *sink, const struct transport_options *options,
			struct transport_version *version, struct error *err)
{
	struct transfer transfer = {
		.url = url, .length = -1, .inflate = true, .version = version, .sink = *sink
	};
	int r = do_transfer(transport, &transfer, options, err);

	return r < 0 ? r : transfer.ret_same;
}

int transport_get_part(struct transport *transport, const char *url, int64_t offset,
		       const struct transport_part *part, const struct transport_sink *sink,
		       const struct transport_options *options, struct error *err)
{
	struct transfer transfer = { .url = url,
				     .offset = offset,
				     .length = -1,
				     .inflate = offset == 0,
				     .part = part,
				     .sink = *sink };

	return do_transfer(transport, &transfer, options, err);
}

static int drop(void *data, const void *bytes, size_t length, struct error *err)
{
	(void)data;
	(void)bytes;
	(void)length;
	(void)err;
	return 0;
}

int transport_head(struct transport *transport, const char *url,
		   const struct transport_options *options, int64_t *ret_size,
		   char ret_mark[static TRANSPORT_MARK_SIZE], struct error *err)
{
	struct transfer transfer = {
		.url = url, .head = true, .length = -1, .sink = { .take = drop }
	};
	int r = do_transfer(transport, &transfer, options, err);

	if (r == -EOPNOTSUPP) {
		if (err)
			*err = (struct error){ 0 };
		transfer = (struct transfer){ .url = url, .length = 1, .sink = { .take = drop } };
		r = do_transfer(transport, &transfer, options, err);
	}
	if (r < 0)
		return r;
	*ret_size = transfer.ret_size;
	memcpy(ret_mark, transfer.ret_mark, TRANSPORT_MARK_SIZE);
	return 0;
}

/* ---- into a file ---- */

struct download {
	const char *url;
	int fd;
	struct digest *digest;
	int64_t size, got;
};

static int take_into_file(void *data, const void *bytes, size_t length, struct error *err)
{
	struct download *download = data;
	char shown[URL_SHOWN_SIZE];
	int r;

	if (download->size >= 0 && (int64_t)length > download->size - download->got)
		return error_set(err, -EBADMSG, BLAME_SOURCE, NULL,
				 "%s is larger than the %" PRId64 " bytes it should have",
				 url_shown(download->url, shown), download->size);
	r = io_write(download->fd, bytes, length);
	if (r < 0)
		return error_errno(err, r, "cannot write what was fetched");
	digest_add(download->digest, bytes, length);
	download->got += (int64_t)length;
	return 0;
}

int transport_download(struct transport *transport, const char *url, int fd, int64_t size,
		       const struct transport_options *options, char ret_sha256[DIGEST_HEX_SIZE],
		       struct error *err)
{
	_cleanup_(digest_freep) struct digest *digest = digest_new("sha256");
	struct download download = { .url = url, .fd = fd, .digest = digest, .size = size };
	struct transfer transfer = { .url = url,
				     .length = -1,
				     .sink = { .take = take_into_file, .data = &download } };
	struct transport_options bounds = options ? *options : (struct transport_options){ 0 };
	char hex[DIGEST_MAX_HEX_SIZE], shown[URL_SHOWN_SIZE];
	int r;

	if (!digest)
		return error_oom(err);
	if (lseek(fd, 0, SEEK_SET) < 0 || ftruncate(fd, 0) < 0)
		return error_errno(err, -errno, "cannot empty the file to fetch into");
	if (size >= 0)
		bounds.size_max = INT64_MAX; /* the sink stops it, in better words */
	r = do_transfer(transport, &transfer, &bounds, err);
	if (r < 0)
		return r;
	if (size >= 0 && download.got != size)
		return error_set(err, -EBADMSG, BLAME_SOURCE, NULL,
				 "%s: %" PRId64 " bytes came where %" PRId64 " were expected",
				 url_shown(url, shown), download.got, size);
	digest_hex(digest, hex);
	memcpy(ret_sha256, hex, DIGEST_HEX_SIZE);
	return 0;
}

/* ---- once more ---- */

bool transport_may_pass(int r, const struct error *err)
{
	static const int on_the_way[] = { -ECONNREFUSED, -ECONNRESET, -EHOSTUNREACH,
					  -ETIMEDOUT,	 -EIO,	      -EBUSY };

	for (size_t i = 0; i < ARRAY_SIZE(on_the_way); i++)
		if (r == on_the_way[i])
			return !err || err->blame == BLAME_SOURCE;
	return false;
}

int64_t transport_pause(struct transport_tries *tries)
{
	int64_t pause_ms = tries->pause_ms;
	uint32_t random = 0;

	(void)getrandom(&random, sizeof(random), GRND_NONBLOCK);
	pause_ms = pause_ms / 2 + random % (pause_ms / 2 + 1);
	if ((tries->most && tries->made >= tries->most) ||
	    (tries->limit_ms && pause_ms >= tries->limit_ms - time_monotonic_ms()))
		return -1;
	if (tries->pause_ms < tries->pause_max_ms)
		tries->pause_ms *= 2;
	return pause_ms;
}

bool transport_rest(const struct transport_tries *tries, int64_t pause_ms)
{
	struct timespec pause = { .tv_sec = pause_ms / 1000,
				  .tv_nsec = (pause_ms % 1000) * 1000000 };

	while (nanosleep(&pause, &pause) < 0 && errno == EINTR)
		;
	return !tries->limit_ms || time_monotonic_ms() < tries->limit_ms;
}
