/* SPDX-License-Identifier: MIT */
/* resolver/sources/repository.c: from a word of the request to an open snapshot.
 *
 * repomd.xml is read each time; its digest says whether the rest is known already. Finding and
 * opening are two steps: between them the service says whether the compose is to be made at all. */
#include "resolver/sources/online.h"

#include "resolver/fetch/mirrors.h"

#include <fcntl.h>
#include <stdarg.h>
#include <sys/stat.h>

void load_done(struct load *load)
{
	for (size_t i = 0; load->repository && i < load->count; i++) {
		repomd_free(load->repository[i].repomd);
		online_free(load->repository[i].online);
		free(load->repository[i].taken);
	}
	free(load->repository);
	free(load->unseen);
	text_done(&load->log);
	package_set_free(load->set);
}

void load_say(const struct load *load, const char *format, ...)
{
	_cleanup_(freep) char *text = NULL;
	va_list arguments;
	int r;

	va_start(arguments, format);
	r = vasprintf(&text, format, arguments);
	va_end(arguments);
	if (r < 0)
		text = NULL;
	else if (load->context->log)
		load->context->log(load->context->data, text);
}

void load_progress(const struct load *load, const char *phase, const char *format, ...)
{
	_cleanup_(freep) char *text = NULL;
	va_list arguments;
	int r;

	va_start(arguments, format);
	r = vasprintf(&text, format, arguments);
	va_end(arguments);
	if (r < 0)
		text = NULL;
	else if (load->context->progress)
		load->context->progress(load->context->data, load->step, load->steps, phase, text);
}

/* ---- places ------------------------------------------------------------ */

static const char *without_scheme(const char *url)
{
	return strncmp(url, "file://", 7) ? url : url + 7;
}

/* What follows directory @above in absolute path @path, or NULL when it does not lie there */
static const char *below(const char *path, const char *above)
{
	size_t length = strlen(above);

	while (length > 1 && above[length - 1] == '/')
		length--;
	if (strncmp(path, above, length) || (path[length] && path[length] != '/'))
		return NULL;
	return path + length + strspn(path + length, "/");
}

static const char *local_below(const struct repository *repository, const char *base)
{
	const char *absolute = without_scheme(base), *rest;

	if (*absolute != '/')
		return NULL;
	rest = below(absolute, repository->base);
	return rest ? rest : below(absolute, without_scheme(repository->word));
}

int repository_path(const struct repository *repository, const char *base, const char *href,
		    char **ret, struct error *err)
{
	_cleanup_(freep) char *path = NULL, *normal = NULL;
	const char *rest = base ? base : "";
	size_t length;
	int r;

	if (strstr(rest, "://") || *rest == '/')
		rest = repository->online ? online_below(repository, rest, &normal)
					  : local_below(repository, rest);
	if (!rest)
		return error_set(err, -EACCES, BLAME_SOURCE, NULL,
				 "xml:base \"%.256s\" leads out of the repository", base);
	length = strlen(rest);
	while (length && rest[length - 1] == '/')
		length--;
	if (asprintf(&path, "%.*s%s%s", (int)length, rest, length ? "/" : "", href) < 0) {
		path = NULL;
		return error_oom(err);
	}
	r = location_check(path, NULL, err);
	if (r == 0 && repository->online)
		r = mirrors_check_path(path, err);
	if (r < 0)
		return r;
	*ret = steal(path);
	return 0;
}

/* ---- metadata ---------------------------------------------------------- */

int load_site(const struct source_context *context, struct transport **ret, struct error *err)
{
	return context->site ? context->site(context->data, ret, err)
			     : transport_local(NULL, true, 0, 0, ret, err);
}

struct transport *repository_files(const struct load *load, const struct repository *repository)
{
	return repository->files ? repository->files : load->context->transport;
}

struct reading {
	const struct load *load;
	const struct repository *repository;
};

static int open_record(void *data, const struct repomd_record *record, struct error *err)
{
	const struct reading *reading = data;
	_cleanup_(freep) char *path = NULL;
	int r;

	if (reading->repository->online)
		return online_open(reading->repository, record, err);
	r = repository_path(reading->repository, record->base, record->href, &path, err);
	return r < 0 ? r
		     : transport_open(repository_files(reading->load, reading->repository),
				      reading->repository->base, path, err);
}

static void on_progress(void *data, const char *text)
{
	const struct reading *reading = data;

	load_progress(reading->load, "metadata", "%s: %s", reading->repository->word, text);
}

static void on_log(void *data, const char *text)
{
	const struct reading *reading = data;

	load_say(reading->load, "%s: %s", reading->repository->word, text);
}

static int read_repomd(const struct load *load, const struct repository *repository, char **ret,
		       size_t *ret_length, struct error *err)
{
	_cleanup_(freep) char *bytes = NULL;
	_cleanup_(closep) int fd = transport_open(repository_files(load, repository),
						  repository->base, "repodata/repomd.xml", err);
	struct stat st;
	ssize_t got;

	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return error_errno(err, -errno, "repodata/repomd.xml");
	if (st.st_size > REPOMD_MAX_BYTES)
		return error_set(err, -EFBIG, BLAME_SOURCE, NULL,
				 "repodata/repomd.xml has %lld bytes, more than %d",
				 (long long)st.st_size, REPOMD_MAX_BYTES);
	bytes = malloc((size_t)st.st_size + 1);
	if (!bytes)
		return error_oom(err);
	got = io_read(fd, bytes, (size_t)st.st_size);
	if (got < 0)
		return error_errno(err, (int)got, "repodata/repomd.xml");
	bytes[got] = '\0';
	*ret = steal(bytes);
	*ret_length = (size_t)got;
	return 0;
}

static int build(struct load *load, struct repository *repository, struct error *err)
{
	struct reading reading = { .load = load, .repository = repository };
	struct snapshot_reader reader = {
		.open = open_record, .progress = on_progress, .log = on_log, .data = &reading
	};
	_cleanup_(closep) int lock = repository->online ? online_lock(repository, err) : -1;
	int64_t written = 0, start;
	int r = repository->online && lock < 0 ? lock : -ENOENT;

	/* another worker may have been faster */
	if (lock >= 0)
		r = pools_open(load->context->pools, repository->repomd->digest, &repository->held,
			       err);
	if (r != -ENOENT)
		return r;
	r = repository->online ? online_fetch(load, repository, err) : 0;
	if (r < 0)
		return r;
	start = time_monotonic_ms();
	r = snapshot_build(load->context->snapshots_dirfd, repository->repomd, &reader, &written,
			   err);
	if (r < 0)
		return r;
	load->set->bytes_written += written;
	load_say(load, "%s: metadata indexed in %" PRId64 " ms", repository->word,
		 time_monotonic_ms() - start);
	r = pools_open(load->context->pools, repository->repomd->digest, &repository->held, err);
	return r == -ENOENT ? error_set(err, -EIO, BLAME_US, NULL, "the index of %s was lost",
					repository->word)
			    : r;
}

/* words of the transport name the whole path already */
static int name_it(const struct repository *repository, int r, struct error *err)
{
	return strstr(err->message, repository->base) ? r
						      : error_prefix(err, "%s", repository->word);
}

int repository_find(struct load *load, struct repository *repository, struct error *err)
{
	_cleanup_(freep) char *base = NULL, *bytes = NULL;
	size_t length = 0;
	int r;

	if (url_kind(repository->word, NULL) != URL_NONE) {
		r = online_find(load, repository, err);
		return r < 0 && repository->base ? name_it(repository, r, err) : r;
	}
	r = transport_base(repository_files(load, repository), repository->word, &base, err);
	if (r < 0)
		return r;
	repository->base = package_set_text(load->set, base);
	if (!repository->base)
		return error_oom(err);
	r = read_repomd(load, repository, &bytes, &length, err);
	if (r == 0)
		r = repomd_parse(bytes, length, &repository->repomd, err);
	return r < 0 ? name_it(repository, r, err) : 0;
}

int repository_open(struct load *load, struct repository *repository, struct error *err)
{
	int r = pools_open(load->context->pools, repository->repomd->digest, &repository->held,
			   err);

	if (r == -ENOENT)
		r = build(load, repository, err);
	if (r < 0)
		return name_it(repository, r, err);
	if (package_set_hold(load->set, repository->held) < 0)
		return error_oom(err);
	load_say(load, "%s: %" PRIu32 " packages, repomd revision %" PRId64 "%s", repository->word,
		 snapshot_count(repository->held->snapshot),
		 snapshot_revision(repository->held->snapshot),
		 repository->lookaside ? ", lookaside" : "");
	return 0;
}

int repository_modules(const struct load *load, const struct repository *repository,
		       struct text *ret, struct error *err)
{
	struct reading reading = { .load = load, .repository = repository };
	const struct snapshot_reader reader = { .open = open_record, .data = &reading };
	int r = repomd_modules(repository->repomd, &reader, ret, err);

	if (r == -ENOENT && !err->code)
		return 0;
	return r < 0 ? name_it(repository, r, err) : 0;
}

/* ---- all of a job ------------------------------------------------------ */

int load_find(struct load *load, const struct strings *words, struct error *err)
{
	const struct strings *lookaside = &load->context->job->spec->lookaside_repos;
	int r = 0;

	load->sources = words ? words->count : 1;
	load->count = load->sources + lookaside->count;
	load->repository = calloc(load->count + 1, sizeof(*load->repository));
	if (!load->repository)
		return error_oom(err);
	for (size_t i = words ? 0 : 1; i < load->count && r == 0; i++) {
		struct repository *repository = &load->repository[i];

		repository->lookaside = i >= load->sources;
		repository->word =
			repository->lookaside ? lookaside->item[i - load->sources] : words->item[i];
		load_progress(load, "metadata", "%s", repository->word);
		r = repository_find(load, repository, err);
	}
	return r;
}

int load_open(struct load *load, struct error *err)
{
	int r = 0;

	for (size_t i = 0; i < load->count && r == 0; i++) {
		if (load->repository[i].held)
			continue;
		r = repository_open(load, &load->repository[i], err);
		load->step++;
	}
	return r;
}

/* A path may hold any character, so each goes with its length. */
static char *identity(const struct repository *repository)
{
	_cleanup_(text_done) struct text text = { 0 };

	(void)text_addf(&text, "%s %s %zu:%s\n", repository->lookaside ? "lookaside" : "source",
			repository->repomd->digest, strlen(repository->base), repository->base);
	return text_steal(&text);
}

int load_identify(const struct load *load, struct text *ret, struct error *err)
{
	_cleanup_(strings_done) struct strings lookaside = { 0 };

	for (size_t i = 0; i < load->count; i++) {
		_cleanup_(freep) char *words = NULL;

		if (!load->repository[i].repomd)
			continue;
		words = identity(&load->repository[i]);
		if (!words)
			return error_oom(err);
		if (!load->repository[i].lookaside)
			(void)text_adds(ret, words);
		else if (strings_add(&lookaside, words) < 0)
			return error_oom(err);
	}
	strings_sort(&lookaside);
	for (size_t i = 0; i < lookaside.count; i++)
		(void)text_adds(ret, lookaside.item[i]);
	return ret->failed ? error_oom(err) : 0;
}
