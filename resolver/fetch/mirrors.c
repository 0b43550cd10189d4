/* SPDX-License-Identifier: MIT */
/* resolver/fetch/mirrors.c: files of a repository, from whichever of its servers answers rightly.
 *
 *   mirror ─► whole file ─► breaks? ─► go on there, up to TRIES ─► size and checksum right? ─► done
 *                                 in time, and others are left: no more of it
 *                                 no: once more from the start, if it was in parts; then the next
 *
 * Transports are kept between calls: each holds its connection open. */
#include "resolver/fetch/mirrors.h"

#include "resolver/fetch/transport.h"

#include <pthread.h>
#include <stdarg.h>
#include <strings.h>
#include <unistd.h>

#define TRIES 3	     /* of one mirror */
#define PAUSE_MS 250 /* before the second one, then growing */
#define PAUSE_MAX_MS 2000
#define STALL_MS 60000
#define HASH_BYTES (256 * 1024)

struct mirrors {
	const struct mirrors_network *network;
	struct mirrors_list list;
	struct transports transports;
	pthread_mutex_t lock;
	unsigned int failures[MIRRORS_MAX]; /* under lock */
};

static void say(const struct mirrors *mirrors, const char *format, ...) _printf_(2, 3);
static void say(const struct mirrors *mirrors, const char *format, ...)
{
	char words[1024];
	va_list arguments;

	if (!mirrors->network->log)
		return;
	va_start(arguments, format);
	(void)vsnprintf(words, sizeof(words), format, arguments);
	va_end(arguments);
	mirrors->network->log(mirrors->network->data, words);
}

static struct transport_tries tries_until(int64_t limit_ms)
{
	return (struct transport_tries){ .limit_ms = limit_ms,
					 .pause_ms = PAUSE_MS,
					 .pause_max_ms = PAUSE_MAX_MS,
					 .most = TRIES };
}

static struct transport_options options_until(const struct mirrors *mirrors, int64_t limit_ms)
{
	int64_t call_ms = mirrors->network->call_ms;

	return (struct transport_options){ .deadline_ms = limit_ms,
					   .stall_ms = call_ms < STALL_MS ? call_ms : STALL_MS,
					   .rate = MIRRORS_RATE };
}

/* After a try that gave @r: is there to be another one? Then the pause before it is over. */
static bool again(struct transport_tries *tries, int r, struct error *err)
{
	int64_t pause_ms;

	tries->made++;
	if (r >= 0 || !transport_may_pass(r, err) || (pause_ms = transport_pause(tries)) < 0 ||
	    !transport_rest(tries, pause_ms))
		return false;
	if (err)
		*err = (struct error){ 0 };
	return true;
}

/* ---- places ------------------------------------------------------------ */

/* Where RFC 3986 has no use for a character in a path; "%" with two digits stays as it is, as other
 * readers of repositories have it */
static void add_path(struct text *url, const char *path)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				    "0123456789-._~/%";

	while (*path) {
		size_t length = strspn(path, plain);

		(void)text_add(url, path, length);
		path += length;
		if (*path)
			(void)text_addf(url, "%%%02X", (unsigned char)*path++);
	}
}

static int url_of(const char *base, const char *path, char **ret, struct error *err)
{
	_cleanup_(text_done) struct text url = { 0 };
	_cleanup_(freep) char *normal = NULL;
	int r;

	(void)text_addf(&url, "%s/", base);
	add_path(&url, path);
	if (url.failed)
		return error_oom(err);
	r = url_normal(url.data, false, &normal, err);
	if (r == -ENOMEM)
		return r;
	if (r < 0 || !url_below(normal, base))
		return error_set(err, -EACCES, BLAME_SOURCE, NULL,
				 "location \"%.256s\" leads out of the repository", path);
	*ret = steal(normal);
	return 0;
}

int mirrors_check_path(const char *path, struct error *err)
{
	_cleanup_(freep) char *url = NULL;

	return url_of("http://host", path, &url, err);
}

size_t mirrors_count(const struct mirrors *mirrors)
{
	return mirrors->list.url.count;
}

const struct mirrors_list *mirrors_list(const struct mirrors *mirrors)
{
	return &mirrors->list;
}

int mirrors_url(const struct mirrors *mirrors, size_t number, const char *path, char **ret,
		struct error *err)
{
	return url_of(mirrors->list.url.item[number], path, ret, err);
}

void mirrors_failed(struct mirrors *mirrors, size_t number)
{
	(void)pthread_mutex_lock(&mirrors->lock);
	mirrors->failures[number]++;
	(void)pthread_mutex_unlock(&mirrors->lock);
}

/* ---- small files ------------------------------------------------------- */

static int take_text(void *data, const void *bytes, size_t length, struct error *err)
{
	return text_add(data, bytes, length) < 0 ? error_oom(err) : 0;
}

/* @others: there are some to ask in its place */
static int ask_url(struct mirrors *mirrors, const char *url, int64_t size_max, bool others,
		   struct transport_version *version, struct text *ret, struct error *err)
{
	const int64_t limit_ms = time_monotonic_ms() + mirrors->network->call_ms;
	struct transport_options options = options_until(mirrors, limit_ms);
	const struct transport_sink sink = { .take = take_text, .data = ret };
	struct transport_tries tries = tries_until(limit_ms);
	struct transport_version none = { 0 };
	struct transport *transport;
	int r = transports_take(&mirrors->transports, &transport, err);

	if (r < 0)
		return r;
	options.size_max = size_max;
	do {
		text_clear(ret);
		r = transport_get_newer(transport, url, &sink, &options, version ? version : &none,
					err);
	} while (!(others && r == -ETIMEDOUT) && again(&tries, r, err));
	transports_give(&mirrors->transports, transport);
	return r;
}

int mirrors_ask(struct mirrors *mirrors, size_t number, const char *path, int64_t size_max,
		struct transport_version *version, struct text *ret, struct error *err)
{
	_cleanup_(freep) char *url = NULL;
	int r = mirrors_url(mirrors, number, path, &url, err);

	return r < 0 ? r
		     : ask_url(mirrors, url, size_max, mirrors->list.url.count > 1, version, ret,
			       err);
}

/* ---- whole files ------------------------------------------------------- */

/** struct fetching - one file on its way
 * @got: bytes in @fd; @parts: it was gone on with */
struct fetching {
	struct mirrors *mirrors;
	const struct mirrors_file *file;
	int fd;
	int64_t got;
	bool parts;
	struct mirrors_origin origin; /* of the last bytes */
	const char *url;	      /* that is asked */
};

static void say_came(const struct fetching *fetching)
{
	const struct mirrors_part *part = fetching->file->part;

	if (part && part->came)
		part->came(part->data, fetching->got);
}

static int empty(struct fetching *fetching, struct error *err)
{
	fetching->got = 0;
	fetching->parts = false;
	if (ftruncate(fetching->fd, 0) < 0 || lseek(fetching->fd, 0, SEEK_SET) < 0)
		return error_errno(err, -errno, "cannot empty the file to fetch into");
	say_came(fetching);
	return 0;
}

/* What is in the file already, and is not more than all of it */
static int take_part(struct fetching *fetching, struct error *err)
{
	const struct mirrors_file *file = fetching->file;
	off_t end;

	if (!file->part || !file->part->origin.url[0])
		return empty(fetching, err);
	end = lseek(fetching->fd, 0, SEEK_END);
	if (end <= 0 || end >= file->size)
		return empty(fetching, err);
	fetching->origin = file->part->origin;
	fetching->got = end;
	return 0;
}

static int part_begins(void *data, int64_t at, const struct transport_version *version,
		       struct error *err)
{
	struct fetching *fetching = data;
	const struct mirrors_part *part = fetching->file->part;
	int r = at == 0 && fetching->got ? empty(fetching, err) : 0;

	if (r < 0)
		return r;
	fetching->origin.version = *version;
	(void)snprintf(fetching->origin.url, sizeof(fetching->origin.url), "%s", fetching->url);
	return part && part->begins ? part->begins(part->data, at, &fetching->origin, err) : 0;
}

static int take_bytes(void *data, const void *bytes, size_t length, struct error *err)
{
	struct fetching *fetching = data;
	const struct mirrors_file *file = fetching->file;
	int r;

	if (file->size >= 0 && (int64_t)length > file->size - fetching->got)
		return error_set(err, -EBADMSG, BLAME_SOURCE, NULL,
				 "larger than the %" PRId64 " bytes it should have", file->size);
	r = io_write(fetching->fd, bytes, length);
	if (r < 0)
		return error_errno(err, r, "cannot write what was fetched");
	fetching->got += (int64_t)length;
	say_came(fetching);
	return 0;
}

static int judge_bytes(const struct fetching *fetching, const char *url, struct error *err)
{
	const struct mirrors_file *file = fetching->file;
	_cleanup_(digest_freep) struct digest *digest = NULL;
	_cleanup_(freep) char *buffer = NULL;
	char hex[DIGEST_MAX_HEX_SIZE], shown[URL_SHOWN_SIZE];
	off_t offset = 0;
	ssize_t n;

	(void)url_shown(url, shown);
	if (file->size >= 0 && fetching->got != file->size)
		return error_set(err, -EBADMSG, BLAME_SOURCE, NULL,
				 "%s: %" PRId64 " bytes came where %" PRId64 " were expected",
				 shown, fetching->got, file->size);
	if (!file->checksum)
		return 0;
	digest = digest_new(file->checksum_type);
	if (!digest)
		return error_set(err, -EBADMSG, BLAME_SOURCE, NULL, "%s: checksum of type %s",
				 shown, file->checksum_type);
	buffer = malloc(HASH_BYTES);
	if (!buffer)
		return error_oom(err);
	while ((n = io_pread(fetching->fd, buffer, HASH_BYTES, offset)) > 0) {
		digest_add(digest, buffer, (size_t)n);
		offset += n;
	}
	if (n < 0)
		return error_errno(err, (int)n, "cannot read what was fetched");
	digest_hex(digest, hex);
	if (!strcasecmp(hex, file->checksum))
		return 0;
	return error_set(err, -EBADMSG, BLAME_SOURCE, NULL, "%s: its %s is %s, not %s", shown,
			 file->checksum_type, hex, file->checksum);
}

/* One transfer: from the start, or on from what is there. */
static int one_try(struct fetching *fetching, struct transport *transport, const char *url,
		   const struct transport_options *options, struct error *err)
{
	const struct transport_sink sink = { .take = take_bytes, .data = fetching };
	bool same = !strcmp(fetching->origin.url, url);
	const struct transport_version version = fetching->origin.version;
	const struct transport_part part = { .version = same ? &version : NULL,
					     .begins = part_begins,
					     .data = fetching };
	int64_t before = fetching->got;

	if (fetching->file->size >= 0 && before == fetching->file->size)
		return 0; /* it broke behind the last byte */
	fetching->url = url;
	fetching->parts = before > 0;
	return transport_get_part(transport, url, before, &part, &sink, options, err);
}

/* What is wrong with bytes that were asked for whole is not right the second time. One that does
 * not answer in time has had its turn when there are @others. */
static int one_mirror(struct fetching *fetching, struct transport *transport, const char *url,
		      bool others, struct error *err)
{
	const struct mirrors_file *file = fetching->file;
	const int64_t bytes = file->size > 0 ? file->size : 0;
	const int64_t limit_ms = time_monotonic_ms() + fetching->mirrors->network->call_ms +
				 bytes / MIRRORS_RATE * 1000;
	struct transport_options options = options_until(fetching->mirrors, limit_ms);
	struct transport_tries tries = tries_until(limit_ms);
	int r;

	options.size_max = file->size >= 0 ? INT64_MAX : file->size_max;
	for (;;) {
		r = one_try(fetching, transport, url, &options, err);
		if (r == 0)
			r = judge_bytes(fetching, url, err);
		if (r == 0)
			return 0;
		if ((r == -EBADMSG || r == -ERANGE) && fetching->got && fetching->parts) {
			*err = (struct error){ 0 }; /* the parts were of two files */
			r = empty(fetching, err);
			if (r == 0)
				continue;
			return r;
		}
		if (!transport_may_pass(r, err)) {
			(void)empty(fetching, NULL);
			return r;
		}
		if ((others && r == -ETIMEDOUT) || !again(&tries, r, err))
			return r;
	}
}

/* The one that a part came from knows whether it still has that file. */
static size_t part_mirror(struct mirrors *mirrors, const struct fetching *fetching)
{
	size_t count = mirrors->list.url.count;

	for (size_t i = 0; i < count; i++) {
		_cleanup_(freep) char *url = NULL;

		if (mirrors_url(mirrors, i, fetching->file->path, &url, NULL) == 0 &&
		    !strcmp(url, fetching->origin.url))
			return i;
	}
	return count;
}

/* Under lock */
static unsigned int failures(const struct mirrors *mirrors, size_t number)
{
	const struct mirrors_network *network = mirrors->network;

	if (mirrors->failures[number] || mirrors->list.url.count == 1 || !network->is_lost)
		return mirrors->failures[number];
	return network->is_lost(network->data, mirrors->list.url.item[number]);
}

static size_t best_mirror(struct mirrors *mirrors, const struct fetching *fetching,
			  const bool *tried)
{
	size_t origin = fetching->got ? part_mirror(mirrors, fetching) : 0;
	size_t count = mirrors->list.url.count, best = count;

	if (fetching->got && origin < count && !tried[origin])
		return origin;
	(void)pthread_mutex_lock(&mirrors->lock);
	for (size_t i = 0; i < count; i++)
		if (!tried[i] && (best == count || failures(mirrors, i) < failures(mirrors, best)))
			best = i;
	(void)pthread_mutex_unlock(&mirrors->lock);
	return best;
}

/* It is not there, or does not answer. */
static bool is_silence(int r)
{
	return r == -ECONNREFUSED || r == -EHOSTUNREACH || r == -ETIMEDOUT;
}

/* Such mirrors say so of the whole only when all of them are. */
static int one_code(size_t asked, int code, int r)
{
	if (!asked || code == r)
		return r;
	if (is_silence(code) || is_silence(r))
		return -EIO;
	return code == -ENOENT ? r : code;
}

static void say_failed(struct mirrors *mirrors, size_t number, int r, const char *words)
{
	const struct mirrors_network *network = mirrors->network;

	mirrors_failed(mirrors, number);
	if (mirrors->list.url.count == 1)
		return;
	say(mirrors, "%s", words);
	if (is_silence(r) && network->lost)
		network->lost(network->data, mirrors->list.url.item[number]);
}

/* Words of all that were asked, and what it comes to */
static int all_failed(const struct text *words, size_t asked, int code, struct error *err)
{
	return error_set(err, code, BLAME_SOURCE, NULL, "%s%s",
			 asked > 1 ? "no mirror has it: " : "",
			 words->failed || !words->length ? "out of memory" : words->data);
}

int mirrors_fetch(struct mirrors *mirrors, const struct mirrors_file *file, int fd,
		  struct error *err)
{
	struct fetching fetching = { .mirrors = mirrors, .file = file, .fd = fd };
	_cleanup_(text_done) struct text words = { 0 };
	struct transport *transport = NULL;
	bool tried[MIRRORS_MAX] = { 0 };
	struct error failure = { 0 };
	int code = -ENOENT, r = take_part(&fetching, err);
	size_t asked = 0;

	if (r == 0)
		r = transports_take(&mirrors->transports, &transport, err);
	if (r < 0)
		return r;
	for (r = -ENOENT; r < 0 && asked < MIRRORS_TRIED_MAX; asked++) {
		_cleanup_(freep) char *url = NULL;
		size_t number = best_mirror(mirrors, &fetching, tried);

		if (number == mirrors->list.url.count)
			break;
		tried[number] = true;
		failure = (struct error){ 0 };
		r = mirrors_url(mirrors, number, file->path, &url, &failure);
		if (r == 0)
			r = one_mirror(&fetching, transport, url,
				       asked + 1 < mirrors->list.url.count &&
					       asked + 1 < MIRRORS_TRIED_MAX,
				       &failure);
		if (r == 0 || failure.blame == BLAME_US)
			break;
		say_failed(mirrors, number, r, failure.message);
		(void)text_addf(&words, "%s%s", words.length ? "; " : "", failure.message);
		code = one_code(asked, code, r);
	}
	transports_give(&mirrors->transports, transport);
	if (r < 0 && failure.blame == BLAME_US && err)
		*err = failure;
	return r == 0 || failure.blame == BLAME_US ? r : all_failed(&words, asked, code, err);
}

/* ---- found ------------------------------------------------------------- */

/* Those that may be asked, in their order */
static int judge_list(struct mirrors *mirrors, const char *from, struct error *err)
{
	struct strings kept = { 0 }, all = mirrors->list.url;
	char shown[URL_SHOWN_SIZE];
	struct error why = { 0 };
	bool listed;
	int r = 0;

	for (size_t i = 0; i < all.count && r == 0; i++) {
		struct error ignored = { 0 };

		if (places_judge(mirrors->network->places, all.item[i], &listed, &ignored) < 0)
			why = ignored;
		else
			r = strings_add(&kept, all.item[i]);
	}
	if (r == 0 && kept.count < all.count && kept.count)
		say(mirrors, "%zu of %zu mirrors are left out: [repo] allowed does not name them",
		    all.count - kept.count, all.count);
	mirrors->list.url = kept;
	strings_done(&all);
	if (r < 0)
		return error_oom(err);
	if (kept.count)
		return 0;
	if (err)
		*err = why;
	return error_prefix(err,
			    "%s names no mirror that may be asked (repo.allowed, "
			    "repo.mirrors)",
			    url_shown(from, shown));
}

static int fetch_list(struct mirrors *mirrors, enum url_kind kind, const char *url,
		      struct error *err)
{
	_cleanup_(text_done) struct text bytes = { 0 };
	int r = ask_url(mirrors, url, MIRRORS_LIST_BYTES, false, NULL, &bytes, err);

	if (r < 0)
		return r;
	r = mirrors_parse(bytes.data ? bytes.data : "", bytes.length, kind, url, &mirrors->list,
			  err);
	return r < 0 ? r : judge_list(mirrors, url, err);
}

int mirrors_find(const struct mirrors_network *network, const char *word, struct mirrors **ret,
		 struct error *err)
{
	_cleanup_(mirrors_freep) struct mirrors *mirrors = calloc(1, sizeof(*mirrors));
	const char *url = word;
	enum url_kind kind = url_kind(word, &url);
	int r;

	if (!mirrors)
		return error_oom(err);
	mirrors->network = network;
	transports_init(&mirrors->transports, network->connect, network->data);
	(void)pthread_mutex_init(&mirrors->lock, NULL);
	if (kind == URL_BASE)
		r = strings_add(&mirrors->list.url, url) < 0 ? error_oom(err) : 0;
	else
		r = fetch_list(mirrors, kind, url, err);
	if (r < 0)
		return r;
	*ret = steal(mirrors);
	return 0;
}

void mirrors_free(struct mirrors *mirrors)
{
	if (!mirrors)
		return;
	transports_done(&mirrors->transports);
	(void)pthread_mutex_destroy(&mirrors->lock);
	mirrors_list_done(&mirrors->list);
	free(mirrors);
}
