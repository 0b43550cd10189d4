/* SPDX-License-Identifier: MIT */
/* resolver/worker/fetch.c: packages of servers, one after another.
 *
 *   "fetch" ─► mirrors of its base (known for a while) ─► packages/.part-SHA256 ─► size, SHA-256,
 * signature ─► packages/SHA256, "fetched"
 *
 * Beside a part lies packages/.from-SHA256, which says whose it is and where its bytes come from:
 * what another worker needs to go on with it. What it finds there it believes no more than a
 * server.
 *
 * Of a mirror of several that is not there, or does not answer, other workers know by an empty file
 * in a directory that all of them have: its name is the start of a digest, its time is when.
 *
 * Bytes of servers come into this process and nowhere else: the service hashes again what it takes.
 * What is not allowed to be asked for (docs/security.md) is judged here as it is for metadata. */
#include "resolver/worker/fetch.h"

#include "core/model/model.h"
#include "resolver/fetch/mirrors.h"
#include "resolver/header/keys.h"
#include "resolver/koji/hub.h"
#include "resolver/worker/worker.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define COMES_MS 50	      /* between two lines that say how much has come, */
#define COMES_BYTES (1 << 20) /* unless so much has since the last */
#define FROM_MAX 16384
#define CALL_SECONDS 120 /* where the job does not say */
#define CONNECT_SECONDS 30
#define SITES_KEPT 8
#define SITE_MS (300 * 1000) /* so long a list of mirrors is believed */
#define LOST_SECONDS 300     /* and that a mirror was not there */
#define LOST_DIGITS 3	     /* of a digest: so no more than 4096 names */
#define KOJI_TRIES 4
#define KOJI_PAUSE_MS 250
#define KOJI_PAUSE_MAX_MS 16000
#define KOJI_RATE 4096 /* bytes a second that have to come */

/** struct site - mirrors of one base; owns what they were found by */
struct site {
	int lost_dirfd;	       /* borrowed */
	struct fetch_job *job; /* the first that was fetched from there; NULL: free */
	struct transport_places places;
	struct mirrors_network network;
	struct mirrors *mirrors;
	int64_t found_ms, used_ms;
};

struct fetching {
	const struct fetch_worker *worker;
	struct site site[SITES_KEPT];
	struct header_keys *keys;
};

static void site_done(struct site *site)
{
	mirrors_free(site->mirrors);
	fetch_job_free(site->job);
	*site = (struct site){ 0 };
}

static void fetching_done(struct fetching *fetching)
{
	for (size_t i = 0; i < SITES_KEPT; i++)
		site_done(&fetching->site[i]);
	header_keys_free(fetching->keys);
}

/* ---- repositories ------------------------------------------------------ */

static int64_t rate_of(const struct fetch_job *job)
{
	int64_t rate = job->repo.rate;

	return job->rate && (!rate || job->rate < rate) ? job->rate : rate;
}

static int connect_repo(void *data, struct transport **ret, struct error *err)
{
	const struct site *site = data;
	const struct job_repo *repo = &site->job->repo;
	struct transport_network network = {
		.ca = repo->ca,
		.proxy = repo->proxy,
		.proxy_key = "repo.proxy",
		.connect_ms = repo->call_seconds && repo->call_seconds < CONNECT_SECONDS
				      ? repo->call_seconds * 1000
				      : CONNECT_SECONDS * 1000,
		.rate_max = rate_of(site->job),
		.places = &site->places,
	};

	return transport_http(&network, ret, err);
}

/* Two mirrors of one name are both asked last, and that is all. */
static void lost_name(const char *base, char ret[static LOST_DIGITS + 1])
{
	char hex[DIGEST_HEX_SIZE];

	sha256_hex(base, strlen(base), hex);
	(void)snprintf(ret, LOST_DIGITS + 1, "%.*s", LOST_DIGITS, hex);
}

static bool is_lost(void *data, const char *base)
{
	const struct site *site = data;
	char name[LOST_DIGITS + 1];
	struct stat st;
	int64_t age;

	lost_name(base, name);
	if (fstatat(site->lost_dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return false;
	age = time(NULL) - st.st_mtime;
	return age >= 0 && age < LOST_SECONDS;
}

/* Where that cannot be kept the next worker finds it out by itself. */
static void lost(void *data, const char *base)
{
	const struct site *site = data;
	_cleanup_(closep) int fd = -1;
	char name[LOST_DIGITS + 1];

	lost_name(base, name);
	fd = openat(site->lost_dirfd, name,
		    O_WRONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
	if (fd >= 0)
		(void)futimens(fd, NULL);
}

/* Where the base of @job lies; takes it when it is a new one. */
static int site_of(struct fetching *fetching, struct fetch_job **job, struct site **ret,
		   struct error *err)
{
	int64_t now = time_monotonic_ms(), seconds = (*job)->repo.call_seconds;
	struct site *site = &fetching->site[0];
	int r;

	for (size_t i = 0; i < SITES_KEPT; i++) {
		struct site *one = &fetching->site[i];

		if (one->job && now - one->found_ms > SITE_MS)
			site_done(one);
		if (one->job && !strcmp(one->job->base, (*job)->base)) {
			one->used_ms = now;
			*ret = one;
			return 0;
		}
		if (one->used_ms < site->used_ms)
			site = one;
	}
	site_done(site);
	site->job = steal(*job);
	site->lost_dirfd = fetching->worker->mirrors_dirfd;
	site->places = (struct transport_places){ .allowed = &site->job->repo.allowed,
						  .any = site->job->repo.any_mirror };
	site->network =
		(struct mirrors_network){ .connect = connect_repo,
					  .is_lost = is_lost,
					  .lost = lost,
					  .data = site,
					  .places = &site->places,
					  .call_ms = (seconds ? seconds : CALL_SECONDS) * 1000 };
	r = mirrors_find(&site->network, site->job->base, &site->mirrors, err);
	if (r < 0) {
		*job = steal(site->job);
		site_done(site);
		return r;
	}
	site->found_ms = site->used_ms = now;
	*ret = site;
	return 0;
}

static int check_signature(struct fetching *fetching, const struct job_repo *repo, int fd,
			   struct error *err)
{
	int r = 0;

	if (!(repo->gpgcheck & GPGCHECK_PACKAGES))
		return 0;
	if (!fetching->keys)
		r = header_keys_read(&repo->gpg_keys, &fetching->keys, err);
	return r < 0 ? r : header_keys_package(fetching->keys, fd, err);
}

/* ---- parts ------------------------------------------------------------- */

/** struct coming - the package at hand
 * @told_ms, @told: of the last line that said how much is there */
struct coming {
	const struct fetching *fetching;
	int dirfd;
	int64_t id, size;
	char *base, *path;
	char sha256[DIGEST_HEX_SIZE];
	bool early;
	int64_t told_ms, told;
	bool pipe_failed;
};

static void tell_came(struct coming *coming, int64_t bytes)
{
	struct message message = { .type = PIPE_COMES, .id = coming->id, .done = bytes };
	_cleanup_(text_done) struct text line = { 0 };

	coming->told = bytes;
	coming->told_ms = time_monotonic_ms();
	if (message_print(&message, &line) < 0 ||
	    io_write(coming->fetching->worker->pipe_fd, line.data, line.length) < 0)
		coming->pipe_failed = true; /* found out at the end */
}

/* Now and then; but at once that what was told of is there no more. */
static void on_came(void *data, int64_t bytes)
{
	struct coming *coming = data;

	if (!coming->early || (!bytes && !coming->told))
		return;
	if (bytes < coming->told || bytes - coming->told >= COMES_BYTES || !coming->told ||
	    time_monotonic_ms() - coming->told_ms >= COMES_MS)
		tell_came(coming, bytes);
}

static int on_begins(void *data, int64_t at, const struct mirrors_origin *origin, struct error *err)
{
	struct coming *coming = data;
	_cleanup_(text_done) struct text text = { 0 };
	char name[FETCH_PART_SIZE];
	int r;

	(void)text_addf(&text, "%s\n%s\n%s\n%" PRId64 "\n%s\n%s\n%s\n", coming->base, coming->path,
			coming->sha256, coming->size, origin->url, origin->version.etag,
			origin->version.modified);
	fetch_from_name(coming->sha256, name);
	r = text.failed ? -ENOMEM : file_publish(coming->dirfd, name, text.data, text.length);
	if (r < 0)
		return error_errno(err, r, "cannot keep where it comes from");
	if (coming->early)
		tell_came(coming, at);
	return 0;
}

/* The next line of @text, ended there; NULL: there is none */
static char *next_line(char **text)
{
	char *line = *text, *end = strchr(line, '\n');

	if (!end)
		return NULL;
	*end = '\0';
	*text = end + 1;
	return line;
}

/* What another worker has left of it, if it can be told where it came from: else nothing has come.
 */
static void read_origin(const struct coming *coming, struct mirrors_origin *ret)
{
	_cleanup_(freep) char *text = NULL;
	char name[FETCH_PART_SIZE], *at, *line[7];
	struct mirrors_origin origin = { 0 };
	int64_t size;

	fetch_from_name(coming->sha256, name);
	if (file_read(coming->dirfd, name, FROM_MAX, &text, NULL) < 0)
		return;
	at = text;
	for (size_t i = 0; i < ARRAY_SIZE(line); i++)
		if (!(line[i] = next_line(&at)))
			return;
	if (strcmp(line[0], coming->base) != 0 || strcmp(line[1], coming->path) != 0 ||
	    strcmp(line[2], coming->sha256) != 0 || parse_int64(line[3], &size) < 0 ||
	    size != coming->size || strlen(line[4]) >= sizeof(origin.url) ||
	    strlen(line[5]) >= sizeof(origin.version.etag) ||
	    strlen(line[6]) >= sizeof(origin.version.modified) || (!*line[5] && !*line[6]))
		return;
	(void)snprintf(origin.url, sizeof(origin.url), "%s", line[4]);
	(void)snprintf(origin.version.etag, sizeof(origin.version.etag), "%s", line[5]);
	(void)snprintf(origin.version.modified, sizeof(origin.version.modified), "%s", line[6]);
	*ret = origin;
}

/* The service has it, and lends it to be held against the keys. */
static bool is_whole(const struct fetch_job *job, int fd)
{
	char hex[DIGEST_HEX_SIZE];
	struct stat st;

	return fstat(fd, &st) == 0 && st.st_size == job->size && sha256_file(fd, hex, NULL) == 0 &&
	       !strcmp(hex, job->sha256);
}

static int fetch_repo(struct fetching *fetching, struct fetch_job **job, struct coming *coming,
		      int fd, struct error *err)
{
	struct mirrors_part part = { .begins = on_begins, .came = on_came, .data = coming };
	_cleanup_(freep) char *path = strdup((*job)->path), *sha256 = strdup((*job)->sha256);
	const struct mirrors_file file = { .path = path,
					   .size = (*job)->size,
					   .checksum_type = "sha256",
					   .checksum = sha256,
					   .part = &part };
	struct site *site = NULL;
	int r;

	if (!path || !sha256)
		return error_oom(err);
	if (is_whole(*job, fd))
		return check_signature(fetching, &(*job)->repo, fd, err);
	read_origin(coming, &part.origin);
	r = site_of(fetching, job, &site, err);
	if (r == 0)
		r = mirrors_fetch(site->mirrors, &file, fd, err);
	return r < 0 ? r : check_signature(fetching, &site->job->repo, fd, err);
}

/* ---- Koji's files ------------------------------------------------------ */

static int fetch_koji(const struct fetch_job *job, int fd, struct error *err)
{
	const struct transport_places places = { .allowed = &job->koji.places, .own = true };
	const struct transport_network network = { .ca = job->koji.ca,
						   .proxy = job->koji.proxy,
						   .proxy_key = "koji.proxy",
						   .rate_max = job->rate,
						   .places = &places };
	const int64_t seconds = job->koji.call_seconds ? job->koji.call_seconds : CALL_SECONDS;
	struct transport_tries tries = { .pause_ms = KOJI_PAUSE_MS,
					 .pause_max_ms = KOJI_PAUSE_MAX_MS,
					 .most = KOJI_TRIES };
	_cleanup_(transport_freep) struct transport *transport = NULL;
	_cleanup_(text_done) struct text url = { 0 };
	struct transport_options options = { .rate = KOJI_RATE };
	char hex[DIGEST_HEX_SIZE];
	int64_t pause_ms;
	int r = transport_http(&network, &transport, err);

	if (r == 0 && koji_url(job->koji.topurl, job->path, &url) < 0)
		r = error_oom(err);
	if (r < 0)
		return r;
	tries.limit_ms = options.deadline_ms =
		time_monotonic_ms() + seconds * 1000 + job->size / KOJI_RATE * 1000;
	for (;;) {
		r = transport_download(transport, url.data, fd, job->size, &options, hex, err);
		tries.made++;
		if (r == 0 || !transport_may_pass(r, err) ||
		    (pause_ms = transport_pause(&tries)) < 0 || !transport_rest(&tries, pause_ms))
			break;
		*err = (struct error){ 0 };
	}
	if (r == 0 && strcmp(hex, job->sha256) != 0)
		r = error_set(err, -EBADMSG, BLAME_SOURCE, NULL,
			      "%s: its sha256 is %s, not %s; it has changed since the compose was "
			      "made",
			      job->path, hex, job->sha256);
	return r;
}

/* ---- one package ------------------------------------------------------- */

/* Closed when it is told of: the service takes nothing that somebody could still write to. */
static int fetch_one(struct fetching *fetching, struct fetch_job **job, struct error *err)
{
	/* the service empties the work directory between two */
	_cleanup_(closep) int dirfd = directory_open(fetching->worker->work_dirfd, "packages");
	_cleanup_(closep) int fd = -1;
	_cleanup_(freep) char *base = strdup((*job)->base), *path = strdup((*job)->path);
	struct coming coming = { .fetching = fetching,
				 .dirfd = dirfd,
				 .id = (*job)->id,
				 .size = (*job)->size,
				 .base = base,
				 .path = path,
				 .early = (*job)->early };
	char part[FETCH_PART_SIZE];
	int r;

	if (!base || !path)
		return error_oom(err);
	memcpy(coming.sha256, (*job)->sha256, sizeof(coming.sha256));
	fetch_part_name(coming.sha256, part);
	if (dirfd >= 0)
		fd = openat(dirfd, part, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (fd < 0)
		return error_errno(err, -errno, "cannot keep what is fetched");
	if (!fetching->worker->network)
		return error_set(err, -EIO, BLAME_US, NULL,
				 "no network is configured (repo.allowed, koji.hub)");
	r = (*job)->koji.hub ? fetch_koji(*job, fd, err)
			     : fetch_repo(fetching, job, &coming, fd, err);
	if (r == 0 && renameat(dirfd, part, dirfd, coming.sha256) < 0)
		r = error_errno(err, -errno, "cannot keep what was fetched");
	if (r == 0 && coming.pipe_failed)
		r = error_set(err, -EPIPE, BLAME_US, NULL, "cannot talk to the server");
	return r;
}

/* @words: why not, or which keys it was held against */
static int answer(const struct fetching *fetching, int64_t id, int code, char *words,
		  struct error *err)
{
	struct message message = { .type = PIPE_FETCHED, .id = id, .code = code, .text = words };
	_cleanup_(text_done) struct text line = { 0 };
	int r = message_print(&message, &line);

	if (r == 0)
		r = io_write(fetching->worker->pipe_fd, line.data, line.length);
	return r < 0 ? error_errno(err, r, "cannot talk to the server") : 0;
}

static int serve_line(struct fetching *fetching, const char *line, size_t length, struct error *err)
{
	struct message message = { 0 };
	struct error failure = { 0 };
	bool checked;
	int64_t id;
	int r = message_parse(line, length, &message, err);

	if (r == 0 && message.type != PIPE_FETCH)
		r = error_set(err, -EBADMSG, BLAME_US, NULL,
			      "the server sent what is not for a worker that fetches");
	if (r == 0 && fetching->worker->cpu_limit)
		r = sandbox_limit_cpu(fetching->worker->cpu_limit, err);
	if (r == 0) {
		id = message.fetch->id;
		checked = !message.fetch->koji.hub &&
			  message.fetch->repo.gpgcheck & GPGCHECK_PACKAGES;
		r = fetch_one(fetching, &message.fetch, &failure);
		if (r == 0 && checked)
			(void)snprintf(failure.message, sizeof(failure.message), "%s",
				       header_keys_digest(fetching->keys));
		r = answer(fetching, id, r, failure.message, err);
	}
	message_done(&message);
	return r;
}

static int enter(const struct fetch_worker *worker, struct error *err)
{
	const int writable[] = { worker->work_dirfd, worker->mirrors_dirfd };
	struct strings readable = { 0 };
	int r = worker_system_files(&readable);

	if (r == 0)
		r = strings_copy(&readable, worker->read);
	r = r < 0 ? error_oom(err)
		  : sandbox_enter(&(const struct sandbox){ .writable = writable,
							   .writable_count = ARRAY_SIZE(writable),
							   .readable = &readable,
							   .ports = worker->ports,
							   .memory_bytes = worker->memory_limit,
							   .network = worker->network },
				  err);
	strings_done(&readable);
	return r;
}

int fetch_serve(const struct fetch_worker *worker, struct error *err)
{
	static const char ready[] = "{\"type\":\"ready\"}\n";
	_cleanup_(fetching_done) struct fetching fetching = { .worker = worker };
	_cleanup_(fclosep) FILE *pipe = fdopen(worker->pipe_fd, "r");
	_cleanup_(freep) char *line = NULL;
	size_t room = 0;
	ssize_t length;
	int r = pipe ? enter(worker, err) : error_errno(err, -errno, "the pipe");

	if (r < 0)
		return r;
	r = io_write(worker->pipe_fd, ready, sizeof(ready) - 1);
	while (r == 0 && (length = getline(&line, &room, pipe)) > 0)
		r = serve_line(&fetching, line, (size_t)length - (line[length - 1] == '\n'), err);
	return r;
}
