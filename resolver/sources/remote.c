/* SPDX-License-Identifier: MIT */
/* resolver/sources/remote.c: the same as signing.c and the end of tagged.c where topdir is not
 * mounted and its files come from a server (koji.topurl).
 *
 * A look at a file is a HEAD: what is not there is 404, and the next copy is tried. The hub says
 * with which keys it knows an RPM to be signed, so most looks are not in vain; a header that was
 * read once is not asked for again. Chosen packages are fetched whole, since repodata needs their
 * SHA-256; the service keeps them in packages/.
 *
 * Each transfer, with all its repetitions, has the time of one call of the hub (koji.timeout) and
 * what its bytes take at RATE; what comes slower than that for STALL_MS is given up before. */
#include "resolver/sources/tagged.h"

#include "resolver/header/store.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#define TRIES 4	     /* of a transfer that breaks */
#define PAUSE_MS 250 /* before the second one, then growing */
#define PAUSE_MAX_MS 16000
#define CALL_MS (300 * 1000) /* where the job does not say */
#define STALL_MS 60000
#define RATE 4096 /* bytes a second */
#define HASH_BYTES (256 * 1024)

struct remote {
	const struct source_context *context;
	char *url;
	int64_t call_ms;
	struct transports transports;
};

int remote_new(const struct source_context *context, const char *url, struct remote **ret,
	       struct error *err)
{
	struct remote *remote = calloc(1, sizeof(*remote));

	if (!remote || !(remote->url = strdup(url))) {
		free(remote);
		return error_oom(err);
	}
	remote->context = context;
	remote->call_ms =
		context->job->koji.call_seconds ? context->job->koji.call_seconds * 1000 : CALL_MS;
	transports_init(&remote->transports, context->connect, context->data);
	*ret = remote;
	return 0;
}

void remote_free(struct remote *remote)
{
	if (!remote)
		return;
	transports_done(&remote->transports);
	free(remote->url);
	free(remote);
}

/* ---- transfers --------------------------------------------------------- */

/** struct attempts - tries of one transfer */
struct attempts {
	struct transport_tries tries;
	struct transport_options options;
};

static struct attempts attempts_of(const struct remote *remote, int64_t bytes)
{
	int64_t limit_ms = time_monotonic_ms() + remote->call_ms + bytes / RATE * 1000;

	return (struct attempts){
		.tries = { .limit_ms = limit_ms,
			   .pause_ms = PAUSE_MS,
			   .pause_max_ms = PAUSE_MAX_MS,
			   .most = TRIES },
		.options = { .deadline_ms = limit_ms,
			     .stall_ms = remote->call_ms < STALL_MS ? remote->call_ms : STALL_MS,
			     .rate = RATE },
	};
}

/* After a try that gave @r: is there to be another one? Then the pause before it is over. */
static bool again(struct attempts *attempts, int r, struct error *err)
{
	int64_t pause_ms;

	attempts->tries.made++;
	if (r >= 0)
		return false;
	if (transport_may_pass(r, err) && (pause_ms = transport_pause(&attempts->tries)) >= 0 &&
	    transport_rest(&attempts->tries, pause_ms)) {
		if (err)
			*err = (struct error){ 0 };
		return true;
	}
	if (attempts->tries.made > 1)
		(void)error_prefix(err, "tried %u times", attempts->tries.made);
	return false;
}

struct range {
	char *buffer;
	size_t length, got;
};

static int take_range(void *data, const void *bytes, size_t length, struct error *err)
{
	struct range *range = data;

	if (length > range->length - range->got)
		return error_set(err, -EBADMSG, BLAME_SOURCE, NULL, "more came than was asked for");
	memcpy(range->buffer + range->got, bytes, length);
	range->got += length;
	return 0;
}

static ssize_t get_range(const struct remote *remote, struct transport *transport, const char *url,
			 void *buffer, size_t length, uint64_t offset, int64_t *ret_size,
			 struct error *err)
{
	struct attempts attempts = attempts_of(remote, (int64_t)length);
	struct range range = { .buffer = buffer, .length = length };
	const struct transport_sink sink = { .take = take_range, .data = &range };
	int r;

	do {
		range.got = 0;
		r = transport_get(transport, url, (int64_t)offset, (int64_t)length, &sink,
				  &attempts.options, ret_size, err);
	} while (again(&attempts, r, err));
	return r < 0 ? r : (ssize_t)range.got;
}

static int url_of(const struct remote *remote, const char *path, struct text *ret,
		  struct error *err)
{
	return koji_url(remote->url, path, ret) < 0 ? error_oom(err) : 0;
}

int remote_look(struct remote *remote, const char *path, int64_t *ret_size,
		char ret_mark[static TRANSPORT_MARK_SIZE], struct error *err)
{
	struct attempts attempts = attempts_of(remote, 0);
	_cleanup_(text_done) struct text url = { 0 };
	struct transport *transport = NULL;
	int r = url_of(remote, path, &url, err);

	if (r == 0)
		r = transports_take(&remote->transports, &transport, err);
	if (r < 0)
		return r;
	do
		r = transport_head(transport, url.data, &attempts.options, ret_size, ret_mark, err);
	while (again(&attempts, r, err));
	transports_give(&remote->transports, transport);
	return r;
}

/* ---- a file as resolver/header reads it -------------------------------- */

struct remote_file {
	struct remote *remote;
	struct transport *transport;
	struct text url;
	char front[HEADER_FIRST_RANGE];
	size_t front_length;
};

static ssize_t read_file(void *data, void *buffer, size_t length, uint64_t offset,
			 struct error *err)
{
	struct remote_file *file = data;
	size_t have;
	ssize_t more;

	if (offset > file->front_length)
		return get_range(file->remote, file->transport, file->url.data, buffer, length,
				 offset, NULL, err);
	have = file->front_length - (size_t)offset;
	have = have < length ? have : length;
	memcpy(buffer, file->front + offset, have);
	if (have == length || file->front_length < sizeof(file->front))
		return (ssize_t)have;
	more = get_range(file->remote, file->transport, file->url.data, (char *)buffer + have,
			 length - have, offset + have, NULL, err);
	return more < 0 ? more : (ssize_t)have + more;
}

static void free_file(struct remote_file *file)
{
	if (file->transport)
		transports_give(&file->remote->transports, file->transport);
	text_done(&file->url);
	free(file);
}
DEFINE_FREEP(struct remote_file, free_file)

int remote_open(struct remote *remote, const char *path, struct header_reader *ret,
		struct error *err)
{
	struct remote_file *opened = calloc(1, sizeof(*opened));
	int64_t size = -1;
	ssize_t n;
	int r;

	if (!opened)
		return error_oom(err);
	opened->remote = remote;
	r = url_of(remote, path, &opened->url, err);
	if (r == 0)
		r = transports_take(&remote->transports, &opened->transport, err);
	if (r == 0) {
		n = get_range(remote, opened->transport, opened->url.data, opened->front,
			      sizeof(opened->front), 0, &size, err);
		r = n < 0 ? (int)n : 0;
		opened->front_length = n < 0 ? 0 : (size_t)n;
	}
	if (r == -ERANGE) /* an empty file has no first byte */
		r = error_set(err, -EBADMSG, BLAME_SOURCE, NULL, "the file is empty");
	if (r < 0) {
		free_file(opened);
		return r;
	}
	if (size < 0 && opened->front_length < sizeof(opened->front))
		size = (int64_t)opened->front_length;
	*ret = (struct header_reader){ .read = read_file,
				       .data = opened,
				       .first = HEADER_FIRST_RANGE,
				       .size = size < 0 ? HEADER_SIZE_UNKNOWN : (uint64_t)size,
				       .time = HEADER_TIME_UNKNOWN };
	return 0;
}

void remote_close(struct header_reader *reader)
{
	free_file(reader->data);
}

/* ---- whole packages ---------------------------------------------------- */

struct fetching {
	struct load *load;
	const struct tagged *tagged;
	const uint32_t *list;
	size_t count;
	char (*sha256)[DIGEST_HEX_SIZE];
	int dirfd; /* packages/ in the work directory */
	pthread_mutex_t lock;
	size_t fetched; /* under lock, like what follows */
	uint64_t bytes;
};

/* From byte @offset to @end, or to the end of the file */
static int digest_of(int fd, struct digest *digest, uint64_t offset, uint64_t end,
		     char ret[DIGEST_MAX_HEX_SIZE], struct error *err)
{
	_cleanup_(freep) char *buffer = malloc(HASH_BYTES);
	ssize_t n = 1;

	if (!buffer)
		return error_oom(err);
	while (n > 0 && offset < end) {
		uint64_t most = end - offset < HASH_BYTES ? end - offset : HASH_BYTES;

		n = io_pread(fd, buffer, (size_t)most, (off_t)offset);
		if (n < 0)
			return error_errno(err, (int)n, "cannot read what was fetched");
		digest_add(digest, buffer, (size_t)n);
		offset += (uint64_t)n;
	}
	digest_hex(digest, ret);
	return 0;
}

/* Is what was fetched the file whose header was read, lead and signature included; and has it the
 * digest of its signature (SIGMD5: over header and payload)? */
static int check_fetched(int fd, const struct header *header, struct error *err)
{
	_cleanup_(digest_freep) struct digest *sha256 = digest_new("sha256");
	_cleanup_(digest_freep) struct digest *md5 = digest_new("md5");
	char hex[DIGEST_MAX_HEX_SIZE];
	int r;

	if (!sha256)
		return error_oom(err);
	if (header->front[0]) {
		r = digest_of(fd, sha256, 0, header->end, hex, err);
		if (r < 0)
			return r;
		if (strcmp(hex, header->front) != 0)
			return error_set(err, -EBADMSG, BLAME_SOURCE, NULL,
					 "what was fetched is not the file whose header was read");
	}
	if (!header->md5[0] || !md5) /* there are systems without MD5 */
		return 0;
	r = digest_of(fd, md5, header->start, UINT64_MAX, hex, err);
	if (r < 0 || !strcmp(hex, header->md5))
		return r;
	return error_set(err, -EBADMSG, BLAME_SOURCE, NULL,
			 "what was fetched has digest %s, its signature says %s", hex, header->md5);
}

static int download(const struct fetching *fetching, const char *path, const struct header *header,
		    int fd, char ret_sha256[DIGEST_HEX_SIZE], struct error *err)
{
	struct remote *remote = fetching->tagged->remote;
	struct transport *transport = NULL;
	_cleanup_(text_done) struct text url = { 0 };
	int64_t size = header->size ? (int64_t)header->size : -1;
	struct attempts attempts = attempts_of(remote, size);
	int r = url_of(remote, path, &url, err);

	if (r == 0)
		r = transports_take(&remote->transports, &transport, err);
	if (r < 0)
		return r;
	do
		r = transport_download(transport, url.data, fd, size, &attempts.options, ret_sha256,
				       err);
	while (again(&attempts, r, err));
	transports_give(&remote->transports, transport);
	return r;
}

static bool has_file(int dirfd, const struct header *header)
{
	struct stat st;

	return fstatat(dirfd, header->sha256, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	       S_ISREG(st.st_mode) && (!header->size || (uint64_t)st.st_size == header->size);
}

/* Is it here already, by what is remembered? One in packages/ may belong to no compose any more:
 * from now on it is young, and a sweep that is under way spares it. (One that comes when this job
 * has taken longer than young files are spared is found out when the result is taken over: then the
 * job is made once more, and fetches it.) */
static bool is_here(const struct fetching *fetching, const struct header *header)
{
	const int packages = fetching->load->context->packages_dirfd;

	if (!header->sha256[0])
		return false;
	file_touch(packages, header->sha256);
	return has_file(packages, header) || has_file(fetching->dirfd, header);
}

static int keep(struct fetching *fetching, const char *name, const char *sha256, const char *key,
		const struct header *header, struct error *err)
{
	struct package_set *set = fetching->load->set;
	int r = renameat(fetching->dirfd, name, fetching->dirfd, sha256) < 0
			? error_errno(err, -errno, "packages/%s", sha256)
			: header_store_digest(fetching->load->context->headers_dirfd, key, sha256,
					      err);

	(void)pthread_mutex_lock(&fetching->lock);
	if (r >= 0)
		r = strings_add(&set->packages, sha256) < 0 ? error_oom(err) : 0;
	set->bytes_written += (int64_t)header->size;
	fetching->fetched++;
	fetching->bytes += header->size;
	(void)pthread_mutex_unlock(&fetching->lock);
	return r;
}

static int fetch_one(void *data, unsigned int thread, size_t index, struct error *err)
{
	struct fetching *fetching = data;
	const struct candidate *candidate = &fetching->tagged->item[fetching->list[index]];
	_cleanup_(header_done) struct header header = { 0 };
	_cleanup_(closep) int fd = -1;
	char name[32], *sha256 = fetching->sha256[index];
	bool other = false;
	const int headers = fetching->load->context->headers_dirfd;
	int r = header_store_get(headers, candidate->key, 0, &header, err);

	(void)thread;
	if (r == 0)
		return error_set(err, -EIO, BLAME_US, NULL, "the record of %s is gone",
				 candidate->path);
	if (r < 0)
		return r;
	if (is_here(fetching, &header)) {
		memcpy(sha256, header.sha256, DIGEST_HEX_SIZE);
		return 0;
	}
	(void)snprintf(name, sizeof(name), ".%zu", index);
	fd = openat(fetching->dirfd, name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0)
		return error_errno(err, -errno, "cannot keep what is fetched");
	r = download(fetching, candidate->path, &header, fd, sha256, err);
	if (r == 0) {
		r = check_fetched(fd, &header, err);
		other = r == -EBADMSG;
		if (r < 0)
			(void)error_prefix(err, "%s/%s", fetching->tagged->base, candidate->path);
	}
	if (r == -ENOENT || other) /* the next time look again, or for another copy */
		(void)unlinkat(headers, candidate->key, 0);
	return r < 0 ? r : keep(fetching, name, sha256, candidate->key, &header, err);
}

static void tell_progress(void *data, size_t done)
{
	const struct fetching *fetching = data;

	load_progress(fetching->load, "packages", "%zu of %zu packages", done, fetching->count);
}

int remote_fetch(struct load *load, const struct tagged *tagged, const uint32_t *list, size_t count,
		 char (*ret_sha256)[DIGEST_HEX_SIZE], struct error *err)
{
	struct fetching fetching = {
		.load = load, .tagged = tagged, .list = list, .count = count, .sha256 = ret_sha256
	};
	const struct together work = {
		.count = count, .one = fetch_one, .progress = tell_progress, .data = &fetching
	};
	const int dirfd = load->context->work_dirfd;
	int64_t start = time_monotonic_ms();
	int r = directory_remove(dirfd, "packages");

	if (r == 0)
		fetching.dirfd = r = directory_open(dirfd, "packages");
	if (r < 0)
		return error_errno(err, r, "cannot empty the work directory");
	(void)pthread_mutex_init(&fetching.lock, NULL);
	r = together(&work, err);
	(void)pthread_mutex_destroy(&fetching.lock);
	(void)close(fetching.dirfd);
	if (r == 0 && fetching.fetched)
		load_say(load,
			 "%zu packages (%" PRIu64 " MiB) fetched in %" PRId64 " ms, %zu were here",
			 fetching.fetched, fetching.bytes >> 20, time_monotonic_ms() - start,
			 count - fetching.fetched);
	return r;
}
