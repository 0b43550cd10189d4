/* SPDX-License-Identifier: MIT */
/* resolver/sources/online.c: from a URL of the request to repomd.xml and the files that it names.
 *
 *   word ─► origins/KEY: asked a moment ago? ─yes──────────────────► repomd.xml as it was
 *               │ no
 *               └► mirrors ─► another one (ETag, metalink)? ─► right sum, signed? ─► remembered
 *
 *   repomd.xml ─► snapshot there? ─no─► primary, filelists, other, modules: files without a name
 *
 * KEY is over word and keys, so that what was believed without a signature is asked for again with
 * one. Its record is changed under a lock: many composes at once ask once. Packages are not fetched
 * here: who reads one later gets it by base, path, size and SHA-256. */
#include "resolver/sources/online.h"

#include "resolver/fetch/mirrors.h"
#include "resolver/header/keys.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define REPOMD_PATH "repodata/repomd.xml"
#define SIGNATURE_MAX_BYTES (64 * 1024)
#define FILE_MAX_BYTES (INT64_C(2) << 30) /* packed, whatever repomd.xml says */
#define CALL_MS (120 * 1000)		  /* where the job does not say */
#define RECORD_MAX_BYTES (REPOMD_MAX_BYTES + 16 * 1024)
#define RECORD_MAGIC "odcsfs origin 1 "

static const char *const wanted[] = { "primary", "filelists", "other", "modules" };

struct online {
	struct load *load;
	struct mirrors_network network;
	struct mirrors *mirrors; /* NULL: not asked for yet */
	struct header_keys *keys;
	const char *url; /* of a plain one: the base; else NULL */
	char key[DIGEST_HEX_SIZE];
	int fd[ARRAY_SIZE(wanted)];
	pthread_mutex_t lock;
	struct strings said; /* under lock: by threads, for the log */
};

void online_free(struct online *online)
{
	if (!online)
		return;
	mirrors_free(online->mirrors);
	header_keys_free(online->keys);
	for (size_t i = 0; i < ARRAY_SIZE(wanted); i++)
		closep(&online->fd[i]);
	strings_done(&online->said);
	(void)pthread_mutex_destroy(&online->lock);
	free(online);
}

/* ---- what is said in threads ------------------------------------------- */

static void note(void *data, const char *text)
{
	struct online *online = data;

	(void)pthread_mutex_lock(&online->lock);
	(void)strings_add(&online->said, text);
	(void)pthread_mutex_unlock(&online->lock);
}

static void tell(struct online *online)
{
	struct strings said;

	(void)pthread_mutex_lock(&online->lock);
	said = online->said;
	online->said = (struct strings){ 0 };
	(void)pthread_mutex_unlock(&online->lock);
	for (size_t i = 0; i < said.count; i++)
		load_say(online->load, "%s", said.item[i]);
	strings_done(&said);
}

/* ---- what was said before ---------------------------------------------- */

/** struct origin - origins/KEY; its file is locked while it is looked at */
struct origin {
	int64_t checked; /* when repomd.xml was asked for; 0: never */
	char *url;	 /* which mirror's it was */
	struct transport_version version;
	struct text repomd;
};

static void origin_done(struct origin *origin)
{
	free(origin->url);
	text_done(&origin->repomd);
}

static int lock_record(const struct online *online, struct error *err)
{
	const int dirfd = online->load->context->origins_dirfd;
	int fd = openat(dirfd, online->key, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	int r;

	if (fd < 0)
		return error_errno(err, -errno, "origins/%s", online->key);
	do
		r = flock(fd, LOCK_EX);
	while (r < 0 && errno == EINTR);
	if (r < 0) {
		r = error_errno(err, -errno, "origins/%s", online->key);
		(void)close(fd);
		return r;
	}
	return fd;
}

/* The next line of @at, which is moved behind it; NULL: there is none */
static char *take_line(char **at)
{
	char *line = *at, *end = line ? strchr(line, '\n') : NULL;

	if (!end)
		return NULL;
	*end = '\0';
	*at = end + 1;
	return line;
}

/* What is damaged was never there. */
static int read_record(int fd, struct origin *ret, struct error *err)
{
	const size_t head = strlen(RECORD_MAGIC) + DIGEST_HEX_SIZE;
	_cleanup_(freep) char *bytes = malloc(RECORD_MAX_BYTES + 1);
	char hex[DIGEST_HEX_SIZE], *at, *checked, *url, *etag, *modified;
	ssize_t length;

	if (!bytes)
		return error_oom(err);
	length = io_pread(fd, bytes, RECORD_MAX_BYTES, 0);
	if (length < (ssize_t)head || memcmp(bytes, RECORD_MAGIC, strlen(RECORD_MAGIC)) != 0)
		return 0;
	bytes[length] = '\0';
	sha256_hex(bytes + head, (size_t)length - head, hex);
	if (memcmp(bytes + strlen(RECORD_MAGIC), hex, DIGEST_HEX_SIZE - 1) != 0)
		return 0;
	at = bytes + head;
	if (!(checked = take_line(&at)) || !(url = take_line(&at)) || !(etag = take_line(&at)) ||
	    !(modified = take_line(&at)) || parse_int64(checked, &ret->checked) < 0)
		return 0;
	ret->url = strdup(url);
	(void)snprintf(ret->version.etag, sizeof(ret->version.etag), "%s", etag);
	(void)snprintf(ret->version.modified, sizeof(ret->version.modified), "%s", modified);
	(void)text_add(&ret->repomd, at, (size_t)(bytes + length - at));
	return !ret->url || ret->repomd.failed ? error_oom(err) : 0;
}

static int write_record(int fd, const struct origin *origin, struct error *err)
{
	_cleanup_(text_done) struct text text = { 0 };
	char hex[DIGEST_HEX_SIZE], head[sizeof(RECORD_MAGIC) + DIGEST_HEX_SIZE];
	size_t length;
	int r;

	(void)text_addf(&text, "%" PRId64 "\n%s\n%s\n%s\n", origin->checked, origin->url,
			origin->version.etag, origin->version.modified);
	(void)text_add(&text, origin->repomd.data, origin->repomd.length);
	if (text.failed)
		return error_oom(err);
	sha256_hex(text.data, text.length, hex);
	length = (size_t)snprintf(head, sizeof(head), RECORD_MAGIC "%s\n", hex);
	if (ftruncate(fd, 0) < 0 || lseek(fd, 0, SEEK_SET) < 0)
		return error_errno(err, -errno, "origins");
	r = io_write(fd, head, length);
	if (r == 0)
		r = io_write(fd, text.data, text.length);
	return r < 0 ? error_errno(err, r, "origins") : 0;
}

static bool is_fresh(const struct online *online, const struct origin *origin)
{
	int64_t age = time_now() - origin->checked;

	return origin->checked && age >= 0 &&
	       age < online->load->context->job->repo.recheck_seconds;
}

/* ---- asking for repomd.xml --------------------------------------------- */

static int find_mirrors(struct online *online, const char *base, struct error *err)
{
	int r = online->mirrors ? 0 : mirrors_find(&online->network, base, &online->mirrors, err);

	tell(online);
	return r;
}

static bool same_bytes(const struct text *a, const struct text *b)
{
	return a->length == b->length && a->length && !memcmp(a->data, b->data, a->length);
}

/* Which of a metalink's sums these bytes have: 0 the newest; -EBADMSG: none. Without sums 0 */
static int which_sum(const struct online *online, const struct text *bytes, struct error *err)
{
	const struct mirrors_list *list = mirrors_list(online->mirrors);

	for (size_t i = 0; i < list->sums; i++) {
		_cleanup_(digest_freep) struct digest *digest = digest_new(list->sum[i].type);
		char hex[DIGEST_MAX_HEX_SIZE];

		if (!digest)
			continue;
		digest_add(digest, bytes->data, bytes->length);
		digest_hex(digest, hex);
		if (!strcmp(hex, list->sum[i].hex) &&
		    (list->sum[i].size < 0 || list->sum[i].size == (int64_t)bytes->length))
			return (int)i;
	}
	return list->sums ? error_set(err, -EBADMSG, BLAME_SOURCE, NULL,
				      "repomd.xml is none of those that the metalink names")
			  : 0;
}

static int check_signature(struct online *online, size_t mirror, const struct text *bytes,
			   struct error *err)
{
	_cleanup_(text_done) struct text signature = { 0 };
	int r;

	if (!(online->load->context->job->repo.gpgcheck & GPGCHECK_REPOMD))
		return 0;
	r = mirrors_ask(online->mirrors, mirror, REPOMD_PATH ".asc", SIGNATURE_MAX_BYTES, NULL,
			&signature, err);
	if (r >= 0)
		r = header_keys_verify(online->keys, bytes->data, bytes->length,
				       signature.data ? signature.data : "", signature.length, err);
	return r < 0 ? error_prefix(err, "repomd.xml.asc") : 0;
}

/* One mirror's: the number of its sum, with @now filled */
static int ask_one(struct online *online, size_t mirror, const struct origin *before,
		   struct origin *now, struct error *err)
{
	_cleanup_(repomd_freep) struct repomd *repomd = NULL;
	char *url = NULL;
	int r = mirrors_url(online->mirrors, mirror, REPOMD_PATH, &url, err), sum;

	free(now->url);
	now->url = url;
	now->version = (struct transport_version){ 0 };
	if (r < 0)
		return r;
	if (before->url && !strcmp(before->url, url))
		now->version = before->version;
	r = mirrors_ask(online->mirrors, mirror, REPOMD_PATH, REPOMD_MAX_BYTES, &now->version,
			&now->repomd, err);
	if (r < 0)
		return r;
	if (r == 1) {
		text_clear(&now->repomd);
		if (text_add(&now->repomd, before->repomd.data, before->repomd.length) < 0)
			return error_oom(err);
	}
	sum = which_sum(online, &now->repomd, err);
	r = sum < 0 ? sum
		    : repomd_parse(now->repomd.data ? now->repomd.data : "", now->repomd.length,
				   &repomd, err);
	if (r == 0 && !same_bytes(&now->repomd, &before->repomd))
		r = check_signature(online, mirror, &now->repomd, err);
	if (r < 0) /* an answer that was wrong is not to be taken for right by a 304 */
		now->version = (struct transport_version){ 0 };
	return r < 0 ? error_prefix(err, "%s", url) : sum;
}

static void origin_swap(struct origin *a, struct origin *b)
{
	struct origin kept = *a;

	*a = *b;
	*b = kept;
}

/* The newest that a mirror has: of a metalink the one that it names first, else an older one that
 * it names, too */
static int ask_mirrors(struct online *online, const struct origin *before, struct origin *now,
		       struct error *err)
{
	_cleanup_(origin_done) struct origin tried = { 0 };
	_cleanup_(text_done) struct text words = { 0 };
	size_t count = mirrors_count(online->mirrors), asked = 0;
	int best = -ENOENT, code = 0;

	for (; asked < count && asked < MIRRORS_TRIED_MAX && best != 0; asked++) {
		struct error failure = { 0 };
		int r = ask_one(online, asked, before, &tried, &failure);

		if (r < 0 && failure.blame == BLAME_US) {
			*err = failure;
			return r;
		}
		if (r != 0)
			mirrors_failed(online->mirrors, asked);
		if (r >= 0 && (best < 0 || r < best)) {
			origin_swap(now, &tried);
			best = r;
		}
		if (r >= 0)
			continue;
		if (count > 1)
			load_say(online->load, "%s", failure.message);
		code = code ? code : r;
		(void)text_addf(&words, "%s%s", words.length ? "; " : "", failure.message);
	}
	if (best >= 0) {
		if (best > 0)
			load_say(online->load, "no mirror has the newest repomd.xml: an older one "
					       "is taken that the metalink names, too");
		return 0;
	}
	return error_set(err, code ? code : -ENOENT, BLAME_SOURCE, NULL, "%s%s",
			 asked > 1 ? "no mirror has repomd.xml: " : "",
			 words.length ? words.data : "out of memory");
}

static int ask_again(struct online *online, const char *base, struct origin *origin,
		     struct error *err)
{
	_cleanup_(origin_done) struct origin now = { 0 };
	struct error ignored = { 0 };
	int r = find_mirrors(online, base, err);

	if (r < 0)
		return r;
	if (mirrors_list(online->mirrors)->sums && origin->repomd.length &&
	    which_sum(online, &origin->repomd, &ignored) == 0) {
		origin->checked = time_now(); /* the metalink says all that a mirror could */
		return 0;
	}
	r = ask_mirrors(online, origin, &now, err);
	tell(online);
	if (r < 0)
		return r;
	now.checked = time_now();
	origin_swap(origin, &now);
	return 0;
}

static int load_repomd(struct online *online, struct repository *repository, struct error *err)
{
	_cleanup_(origin_done) struct origin origin = { 0 };
	_cleanup_(closep) int fd = lock_record(online, err);
	int r = fd;

	if (r >= 0)
		r = read_record(fd, &origin, err);
	if (r >= 0 && !is_fresh(online, &origin)) {
		r = ask_again(online, repository->base, &origin, err);
		if (r == 0)
			r = write_record(fd, &origin, err);
	} else if (r >= 0) {
		(void)futimens(fd, NULL); /* in use: not to be swept */
	}
	return r < 0 ? r
		     : repomd_parse(origin.repomd.data ? origin.repomd.data : "",
				    origin.repomd.length, &repository->repomd, err);
}

/* ---- the word ---------------------------------------------------------- */

static int connect_repo(void *data, struct transport **ret, struct error *err)
{
	const struct source_context *context = ((struct online *)data)->load->context;

	return context->connect_repo(context->data, ret, err);
}

/* What may be asked for is the configuration's to say: it counts here as it did when the request
 * came. */
static int judge_word(const struct load *load, const char *base, struct error *err)
{
	const struct source_context *context = load->context;
	_cleanup_(freep) char *normal = NULL;
	const char *url = base;
	enum url_kind kind = url_kind(base, &url);
	int r = url_normal(url, kind != URL_BASE, &normal, err);

	if (r < 0)
		return r;
	if (!context->connect_repo || !context->places ||
	    !url_below_any(normal, context->places->allowed))
		return error_set(err, -EACCES, BLAME_REQUEST, NULL,
				 "%s: not below a URL that [repo] allowed names", base);
	return 0;
}

static int make_key(struct online *online, const char *base, struct error *err)
{
	const struct job_repo *repo = &online->load->context->job->repo;
	_cleanup_(text_done) struct text text = { 0 };
	int r = 0;

	if (repo->gpgcheck & GPGCHECK_REPOMD)
		r = header_keys_read(&repo->gpg_keys, &online->keys, err);
	if (r < 0)
		return r;
	(void)text_addf(&text, "%s\n%s\n", base,
			online->keys ? header_keys_digest(online->keys) : "unsigned");
	if (text.failed)
		return error_oom(err);
	sha256_hex(text.data, text.length, online->key);
	return 0;
}

static struct online *online_new(struct load *load)
{
	const int64_t call_seconds = load->context->job->repo.call_seconds;
	struct online *online = calloc(1, sizeof(*online));

	if (!online)
		return NULL;
	online->load = load;
	online->network =
		(struct mirrors_network){ .connect = connect_repo,
					  .log = note,
					  .data = online,
					  .places = load->context->places,
					  .call_ms = call_seconds ? call_seconds * 1000 : CALL_MS };
	for (size_t i = 0; i < ARRAY_SIZE(wanted); i++)
		online->fd[i] = -1;
	(void)pthread_mutex_init(&online->lock, NULL);
	return online;
}

int online_find(struct load *load, struct repository *repository, struct error *err)
{
	_cleanup_(freep) char *base = NULL;
	const char *word = repository->word, *name = NULL;
	struct online *online;
	int r;

	if (url_kind(word, &name) == URL_NAMED)
		word = url_named(&load->context->job->repo.names, name);
	if (!word)
		return error_set(err, -EACCES, BLAME_REQUEST, NULL,
				 "%s: [repo] names does not have it", repository->word);
	r = url_word_normal(word, &base, err);
	if (r == 0)
		r = judge_word(load, base, err);
	if (r < 0)
		return r;
	repository->base = package_set_text(load->set, base);
	repository->online = online = online_new(load);
	if (!repository->base || !online)
		return error_oom(err);
	online->url = url_kind(repository->base, NULL) == URL_BASE ? repository->base : NULL;
	r = make_key(online, repository->base, err);
	if (r == 0)
		r = load_repomd(online, repository, err);
	return r;
}

/* ---- the files --------------------------------------------------------- */

const char *online_below(const struct repository *repository, const char *base, char **ret_normal)
{
	const char *own = repository->online->url, *rest;

	if (!own || url_normal(base, false, ret_normal, NULL) < 0 || !url_below(*ret_normal, own))
		return NULL;
	rest = *ret_normal + strlen(own);
	return rest + (*rest == '/');
}

/* A file without a name: it is gone with whoever has it open. */
static int unnamed_file(const struct online *online, const char *name, struct error *err)
{
	const int dirfd = online->load->context->work_dirfd;
	int fd;

	(void)unlinkat(dirfd, name, 0);
	fd = openat(dirfd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0 || unlinkat(dirfd, name, 0) < 0) {
		int r = error_errno(err, -errno, "cannot keep what is fetched");

		closep(&fd);
		return r;
	}
	return fd;
}

static int fetch_record(const struct repository *repository, const struct repomd_record *record,
			const char *name, struct error *err)
{
	const struct online *online = repository->online;
	struct mirrors_file file = { .size = record->size,
				     .size_max = FILE_MAX_BYTES,
				     .checksum_type = record->checksum_type,
				     .checksum = record->checksum };
	_cleanup_(freep) char *path = NULL;
	_cleanup_(closep) int fd = -1;
	int r = repository_path(repository, record->base, record->href, &path, err);

	if (r < 0)
		return r;
	if (record->size > FILE_MAX_BYTES)
		return error_set(err, -EFBIG, BLAME_SOURCE, "repomd.xml",
				 "%s has %" PRId64 " bytes, more than %" PRId64, record->href,
				 record->size, FILE_MAX_BYTES);
	file.path = path;
	fd = unnamed_file(online, name, err);
	r = fd < 0 ? fd : mirrors_fetch(online->mirrors, &file, fd, err);
	return r < 0 ? r : steal_fd(&fd);
}

/** struct several - records that are fetched together; @r is each one's own, judged when it is
 * opened */
struct several {
	struct load *load;
	struct repository *repository;
	size_t number[ARRAY_SIZE(wanted)];
};

static int fetch_one(void *data, unsigned int thread, size_t index, struct error *err)
{
	const struct several *several = data;
	struct online *online = several->repository->online;
	const struct repomd_record *record =
		repomd_find(several->repository->repomd, wanted[several->number[index]]);
	char name[64];
	int fd;

	(void)thread;
	(void)snprintf(name, sizeof(name), "metadata-%zu", several->number[index]);
	fd = fetch_record(several->repository, record, name, err);
	/* changelogs may be missing (resolver/snapshot says so) */
	if (fd == -ENOENT && !strcmp(wanted[several->number[index]], "other"))
		return 0;
	online->fd[several->number[index]] = fd;
	return fd < 0 ? fd : 0;
}

static void on_progress(void *data, size_t done)
{
	struct several *several = data;

	tell(several->repository->online);
	load_progress(several->load, "metadata", "%s: %zu files fetched", several->repository->word,
		      done);
}

int online_lock(const struct repository *repository, struct error *err)
{
	return lock_record(repository->online, err);
}

int online_fetch(struct load *load, struct repository *repository, struct error *err)
{
	const int64_t connections = load->context->job->repo.connections;
	struct several several = { .load = load, .repository = repository };
	struct together work = { .threads = connections > 0 ? (unsigned int)connections : 1,
				 .one = fetch_one,
				 .progress = on_progress,
				 .data = &several };
	int64_t start = time_monotonic_ms();
	int r = find_mirrors(repository->online, repository->base, err);

	if (r < 0)
		return r;
	for (size_t i = 0; i < ARRAY_SIZE(wanted); i++)
		if (repomd_find(repository->repomd, wanted[i]))
			several.number[work.count++] = i;
	r = together(&work, err);
	tell(repository->online);
	if (r == 0)
		load_say(load, "%s: metadata fetched in %" PRId64 " ms", repository->word,
			 time_monotonic_ms() - start);
	return r;
}

int online_open(const struct repository *repository, const struct repomd_record *record,
		struct error *err)
{
	const struct online *online = repository->online;
	int fd;

	for (size_t i = 0; i < ARRAY_SIZE(wanted); i++) {
		if (strcmp(record->type, wanted[i]) != 0)
			continue;
		if (online->fd[i] < 0)
			return error_set(err, -ENOENT, BLAME_SOURCE, NULL, "%s is not there",
					 record->href);
		fd = fcntl(online->fd[i], F_DUPFD_CLOEXEC, 0);
		if (fd < 0 || lseek(fd, 0, SEEK_SET) < 0) {
			int r = error_errno(err, -errno, "%s", record->href);

			closep(&fd);
			return r;
		}
		return fd;
	}
	return error_set(err, -EIO, BLAME_US, NULL, "%s was not fetched", record->type);
}

/* ---- packages ---------------------------------------------------------- */

int online_look(struct load *load, const struct repository *repository, uint32_t index,
		struct composer_package *row, struct error *err)
{
	_cleanup_(freep) char *path = NULL;
	struct snapshot_package package;
	int r;

	snapshot_package_get(repository->held->snapshot, index, &package);
	if (strcmp(package.checksum_type, "sha256") != 0)
		return error_set(err, -EBADMSG, BLAME_SOURCE, NULL,
				 "%s: the metadata has its %s only, and packages of a server are "
				 "told by their SHA-256 (createrepo_c --checksum sha256)",
				 package.href, package.checksum_type);
	r = repository_path(repository, package.base, package.href, &path, err);
	if (r < 0)
		return r;
	row->path = strcmp(path, package.href) ? package_set_text(load->set, path) : package.href;
	if (!row->path)
		return error_oom(err);
	row->base = repository->base;
	row->index = index;
	row->mtime_ns = 0;
	row->ino = 0;
	return 0;
}
