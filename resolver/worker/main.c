/* SPDX-License-Identifier: MIT */
/* resolver/worker/main.c: one job after another: source, package set, files, report.
 *
 *   job line ─► source_load() ─► "resolved" ─┬─ "go" ─► composer_write() ─► "result"
 *                      │                      ├─ "check" ─► "checked" ─┐          │
 *                      │                      │◄──────────────────────┘          │
 *                      │                      └─ "stop": over                    │
 *                      └─────────────────────────────────────────────────────────┴─► "failed", with
 * blame
 *
 * Whatever a source delivers becomes "failed"; only memory that runs out inside libsolv, processor
 * time beyond the job's limit, and bugs, end the process, and then the server says so. Snapshots
 * and solver pools stay for the next job.
 */
#include "resolver/worker/worker.h"

#include "resolver/fetch/asked.h"
#include "resolver/sources/source.h"
#include "resolver/worker/cage.h"
#include "resolver/worker/fetch.h"
#include "resolver/worker/lines.h"
#include "resolver/worker/opener.h"

#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <unistd.h>

#define CONNECT_SECONDS 30

struct worker {
	int state_dirfd, work_dirfd, pipe_fd, snapshots_dirfd, headers_dirfd, packages_dirfd,
		origins_dirfd;
	int64_t memory_limit, pools_limit;
	int64_t cpu_limit;   /* seconds of processor time for one job; 0: none */
	bool network;	     /* may connections be made? */
	bool fetches;	     /* packages, and does nothing else: fetch.c */
	bool opens;	     /* files, and does nothing else: opener.c */
	struct strings read; /* files that it may read */
	struct strings site; /* directories, too */
	struct sandbox_ports ports;
	struct asking asking; /* the opener */
	struct pools *pools;
	struct lines lines; /* from the server */
	/* of the job at hand */
	int64_t id;
	const struct job *job;
	struct transport *transport;
	struct transport_places places, koji_places;
	bool stopped;	 /* the server does not want it made */
	int send_failed; /* negative errno: the server is gone, or does not speak our language */
};

/* ---- the pipe ---------------------------------------------------------- */

static void say(struct worker *worker, struct message *message)
{
	_cleanup_(text_done) struct text line = { 0 };
	int r;

	message->id = worker->id;
	r = message_print(message, &line);
	if (r == 0)
		r = io_write(worker->pipe_fd, line.data, line.length);
	if (r < 0)
		worker->send_failed = r;
}

static void say_progress(void *data, int64_t done, int64_t total, const char *phase,
			 const char *text)
{
	_cleanup_(freep) char *phase_copy = strdup(phase), *text_copy = strdup(text);
	struct message message = { .type = PIPE_PROGRESS,
				   .done = done,
				   .total = total,
				   .phase = phase_copy,
				   .text = text_copy };

	if (phase_copy && text_copy)
		say(data, &message);
}

static void say_log(void *data, const char *text)
{
	_cleanup_(freep) char *copy = strdup(text);
	struct message message = { .type = PIPE_LOG, .text = copy };

	if (copy)
		say(data, &message);
}

static void say_failed(struct worker *worker, struct error *err)
{
	struct message message = { .type = PIPE_FAILED,
				   .text = err->message,
				   .field = err->field[0] ? err->field : NULL,
				   .blame = err->blame };

	say(worker, &message);
}

/* ---- is it to be made? -------------------------------------------------- */

/** struct looking - whose rights count for files of a compose that was made before: below the
 * site's own places, the service's
 * @places: their real paths: topdir and the repositories of modules */
struct looking {
	struct transport *request, *site;
	struct strings places;
};

static void looking_done(struct looking *looking)
{
	transport_free(looking->site);
	strings_done(&looking->places);
}

static int look(void *data, const char *base, const char *const *path, size_t count,
		struct composer_file *ret, struct error *err)
{
	const struct looking *looking = data;
	bool site = strings_has(&looking->places, base);
	struct transport_file file[COMPOSER_LOOK_MAX];
	size_t seen;
	int r = transport_stat_all(site ? looking->site : looking->request, base, path, count, file,
				   &seen, err);

	for (size_t i = 0; i < count && r == 0; i++)
		ret[i] = (struct composer_file){ file[i].size, file[i].ino, file[i].mtime_ns };
	return r;
}

/* One that cannot be found is nobody's. */
static void add_place(struct worker *worker, struct looking *looking, const char *path)
{
	_cleanup_(freep) char *real = NULL;
	struct error err = { 0 };

	if (!looking->site && transport_asked(&worker->asking, true, &looking->site, &err) < 0)
		return;
	if (transport_base(looking->site, path, &real, &err) == 0)
		(void)strings_add(&looking->places, real);
}

static void check(struct worker *worker, const char *manifest)
{
	_cleanup_(looking_done) struct looking looking = { .request = worker->transport };
	const struct composer_look how = { .stat = look, .data = &looking };
	const struct strings *repos = &worker->job->module.repos;
	struct message message = { .type = PIPE_CHECKED };
	struct error err = { 0 };

	if (worker->job->koji.topdir)
		add_place(worker, &looking, worker->job->koji.topdir);
	for (size_t i = 0; i < repos->count && worker->job->spec->source_type == SOURCE_MODULE; i++)
		add_place(worker, &looking, repos->item[i]);
	message.sound = composer_check(worker->state_dirfd, manifest, &how, &err) == 0;
	message.text = err.message;
	say(worker, &message);
}

/* The next line, which must be about the job at hand. */
static int next_word(struct worker *worker, struct message *ret, struct error *err)
{
	const char *line = NULL;
	size_t length = 0;
	int r = lines_next(&worker->lines, &line, &length);

	if (r == 0)
		r = -EPIPE;
	if (r > 0)
		r = message_parse(line, length, ret, err);
	if (r == 0 && (ret->type == PIPE_COMPOSE || ret->id != worker->id)) {
		message_done(ret);
		r = -EBADMSG;
	}
	if (r < 0)
		worker->send_failed = r;
	return r;
}

/* What was asked is resolved: say so, and do what the server says. */
static int ask(void *data, const struct resolution *resolution, struct error *err)
{
	struct worker *worker = data;
	struct message question = { .type = PIPE_RESOLVED, .resolution = *resolution };
	bool answered = false;

	say(worker, &question);
	while (!worker->send_failed && !answered) {
		struct message message = { 0 };

		if (next_word(worker, &message, err) < 0)
			break;
		answered = message.type == PIPE_GO || message.type == PIPE_STOP;
		worker->stopped = message.type == PIPE_STOP;
		if (message.type == PIPE_CHECK)
			check(worker, message.manifest);
		else if (!answered)
			worker->send_failed = -EBADMSG;
		message_done(&message);
	}
	if (worker->send_failed || worker->stopped)
		return error_set(err, -ECANCELED, BLAME_US, NULL, "the compose is not to be made");
	return 0;
}

/* ---- one job ----------------------------------------------------------- */

static int open_site(void *data, struct transport **ret, struct error *err)
{
	struct worker *worker = data;

	return transport_asked(&worker->asking, true, ret, err);
}

static int connect_out(void *data, struct transport **ret, struct error *err)
{
	const struct worker *worker = data;
	struct transport_network network = { .ca = worker->job->koji.ca,
					     .proxy = worker->job->koji.proxy,
					     .proxy_key = "koji.proxy",
					     .places = &worker->koji_places };

	return transport_http(&network, ret, err);
}

/* Of one worker so many connections share the rate; a mirror that is not there costs the time of a
 * file. */
static int connect_repo(void *data, struct transport **ret, struct error *err)
{
	const struct worker *worker = data;
	const struct job_repo *repo = &worker->job->repo;
	int64_t shares = repo->connections > 0 ? repo->connections : 1;
	struct transport_network network = {
		.ca = repo->ca,
		.proxy = repo->proxy,
		.proxy_key = "repo.proxy",
		.connect_ms = repo->call_seconds && repo->call_seconds < CONNECT_SECONDS
				      ? repo->call_seconds * 1000
				      : CONNECT_SECONDS * 1000,
		.rate_max = repo->rate ? (repo->rate + shares - 1) / shares : 0,
		.places = &worker->places,
	};

	return transport_http(&network, ret, err);
}

static bool have_file(struct worker *worker, const char *directory, const char *digest)
{
	char path[32 + DIGEST_HEX_SIZE];

	(void)snprintf(path, sizeof(path), "%s/%s", directory, digest);
	return faccessat(worker->state_dirfd, path, F_OK, 0) == 0;
}

static bool have_blob(void *data, const char *digest)
{
	return have_file(data, "blobs", digest);
}

static bool have_manifest(void *data, const char *digest)
{
	return have_file(data, "manifests", digest);
}

static int empty_work(const struct worker *worker, struct error *err)
{
	static const char *const names[] = { "blobs", "manifests" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		_cleanup_(closep) int fd = -1;
		int r = directory_remove(worker->work_dirfd, names[i]);

		if (r == 0)
			fd = r = directory_open(worker->work_dirfd, names[i]);
		if (r < 0)
			return error_errno(err, r, "cannot empty the work directory");
	}
	return 0;
}

/* Who follows latest-OWNER-NAME sees a change in a later timestamp only (koji.md 8). So what is not
 * later by its sources is written as of before, and when that gives other bytes, a second later. */
static int write_files(struct worker *worker, struct composition *composition,
		       struct composer_result *result, struct error *err)
{
	const struct generation *before = &worker->job->before;
	bool follows = before->manifest[0] && composition->timestamp <= before->timestamp;
	int r = empty_work(worker, err);

	if (follows)
		composition->timestamp = before->timestamp;
	if (r == 0)
		r = composer_write(composition, worker->work_dirfd, result, err);
	if (r < 0 || !follows || !strcmp(result->manifest, before->manifest))
		return r;
	say_log(worker,
		"the sources are not later than the compose before: repodata gets a later time");
	composer_result_done(result);
	composition->timestamp += composition->timestamp < INT64_MAX;
	r = empty_work(worker, err);
	return r < 0 ? r : composer_write(composition, worker->work_dirfd, result, err);
}

static int fill_outcome(const struct worker *worker, struct package_set *set,
			struct composer_result *result, struct outcome *outcome, struct error *err)
{
	const char *source = package_set_source(set), *sigkeys = package_set_sigkeys(set);

	outcome->id = worker->id;
	outcome->manifest = strdup(result->manifest);
	outcome->source = source ? strdup(source) : NULL;
	outcome->sigkeys = sigkeys ? strdup(sigkeys) : NULL;
	if (!outcome->manifest || (source && !outcome->source) || (sigkeys && !outcome->sigkeys))
		return error_oom(err);
	outcome->manifest_new = result->manifest_new;
	outcome->blobs = result->blobs;
	result->blobs = (struct strings){ 0 };
	outcome->packages = *package_set_packages(set);
	*package_set_packages(set) = (struct strings){ 0 };
	outcome->koji_event = package_set_event(set);
	outcome->timestamp = package_set_composition(set)->timestamp;
	outcome->packages_count = result->packages_count;
	outcome->size_bytes = result->size_bytes;
	outcome->bytes_written = result->bytes_written + package_set_bytes_written(set);
	return 0;
}

static int say_result(struct worker *worker, struct outcome *outcome, struct error *err)
{
	const size_t count = outcome->blobs.count + outcome->packages.count;
	struct message message = { .type = PIPE_RESULT, .outcome = outcome };
	size_t at = 0;
	int r = 0;

	if (count > OUTCOME_MAX_FILES)
		return error_set(err, -E2BIG, BLAME_REQUEST, NULL,
				 "The compose has %zu new files, more than %u", count,
				 OUTCOME_MAX_FILES);
	while (!worker->send_failed) {
		_cleanup_(outcome_freep) struct outcome *part = NULL;
		struct message files = { .type = PIPE_FILES };

		r = outcome_part(outcome, &at, &part);
		if (r <= 0)
			break;
		files.outcome = part;
		say(worker, &files);
	}
	if (r < 0)
		return error_oom(err);
	say(worker, &message);
	return 0;
}

static int write_compose(struct worker *worker, struct package_set *set, struct error *err)
{
	_cleanup_(composer_result_done) struct composer_result result = { 0 };
	_cleanup_(outcome_freep) struct outcome *outcome = calloc(1, sizeof(*outcome));
	struct composition *composition = package_set_composition(set);
	int r;

	if (!outcome)
		return error_oom(err);
	composition->have_blob = have_blob;
	composition->have_manifest = have_manifest;
	composition->have_data = worker;
	r = write_files(worker, composition, &result, err);
	if (r == 0)
		r = fill_outcome(worker, set, &result, outcome, err);
	return r < 0 ? r : say_result(worker, outcome, err);
}

static int make_compose(struct worker *worker, const struct job *job, struct error *err)
{
	_cleanup_(transport_freep) struct transport *transport = NULL;
	_cleanup_(package_set_freep) struct package_set *set = NULL;
	struct source_context context = {
		.job = job,
		.site = open_site,
		.connect = worker->network ? connect_out : NULL,
		.connect_repo = worker->network ? connect_repo : NULL,
		.places = &worker->places,
		.pools = worker->pools,
		.snapshots_dirfd = worker->snapshots_dirfd,
		.headers_dirfd = worker->headers_dirfd,
		.packages_dirfd = worker->packages_dirfd,
		.origins_dirfd = worker->origins_dirfd,
		.work_dirfd = worker->work_dirfd,
		.progress = say_progress,
		.log = say_log,
		.resolved = ask,
		.data = worker,
	};
	int r = worker->cpu_limit ? sandbox_limit_cpu(worker->cpu_limit, err) : 0;

	worker->id = job->id;
	worker->job = job;
	worker->places = (struct transport_places){ .allowed = &job->repo.allowed,
						    .any = job->repo.any_mirror };
	worker->koji_places =
		(struct transport_places){ .allowed = &job->koji.places, .own = true };
	worker->stopped = false;
	worker->asking.id = job->id;
	if (r == 0)
		r = transport_asked(&worker->asking, false, &transport, err);
	context.transport = worker->transport = transport;
	if (r == 0)
		r = source_load(&context, &set, err);
	if (r == 0)
		r = write_compose(worker, set, err);
	if (set && package_set_bytes_written(set))
		(void)malloc_trim(0); /* indexing took far more than what stays */
	worker->transport = NULL;
	worker->job = NULL;
	return worker->stopped || worker->send_failed ? 0 : r;
}

static int serve(struct worker *worker, struct error *err)
{
	struct message ready = { .type = PIPE_READY };

	say(worker, &ready);
	while (!worker->send_failed) {
		struct message message = { 0 };
		struct error failure = { 0 };
		const char *line = NULL;
		size_t length = 0;
		int r = lines_next(&worker->lines, &line, &length);

		if (r <= 0)
			return r < 0 ? error_errno(err, r, "cannot read from the server") : 0;
		r = message_parse(line, length, &message, err);
		if (r == 0 && message.type != PIPE_COMPOSE)
			r = error_set(err, -EBADMSG, BLAME_US, NULL,
				      "the server sent what only a worker says");
		if (r == 0 && make_compose(worker, message.job, &failure) < 0)
			say_failed(worker, &failure);
		message_done(&message);
		if (r < 0)
			return r;
		if (worker->asking.lost)
			return error_set(err, -EPIPE, BLAME_US, NULL,
					 "the process that opens files is gone");
	}
	return worker->send_failed == -EPIPE
		       ? 0
		       : error_errno(err, worker->send_failed, "cannot talk to the server");
}

/* ---- start ------------------------------------------------------------- */

static int read_option(struct worker *worker, const char *argument, struct error *err)
{
	const struct {
		const char *name;
		int *fd;
		int64_t *number;
	} options[] = {
		{ "--pipe-fd=", &worker->pipe_fd, NULL },
		{ "--state-dir-fd=", &worker->state_dirfd, NULL },
		{ "--work-dir-fd=", &worker->work_dirfd, NULL },
		{ "--memory-limit=", NULL, &worker->memory_limit },
		{ "--pools-limit=", NULL, &worker->pools_limit },
		{ "--cpu-limit=", NULL, &worker->cpu_limit },
		{ "--opener-fd=", &worker->asking.fd, NULL },
	};
	int64_t port;

	if (strcmp(argument, "--network") == 0) {
		worker->network = true;
		return 0;
	}
	if (strcmp(argument, "--fetch") == 0) {
		worker->fetches = true;
		return 0;
	}
	if (strcmp(argument, "--open") == 0) {
		worker->opens = true;
		return 0;
	}
	if (strncmp(argument, "--read=", 7) == 0)
		return strings_add(&worker->read, argument + 7) < 0 ? error_oom(err) : 0;
	if (strncmp(argument, "--site=", 7) == 0)
		return strings_add(&worker->site, argument + 7) < 0 ? error_oom(err) : 0;
	if (strncmp(argument, "--port=", 7) == 0 && parse_int64(argument + 7, &port) == 0 &&
	    port > 0 && port <= UINT16_MAX && worker->ports.count < SANDBOX_PORTS_MAX) {
		worker->ports.item[worker->ports.count++] = (uint16_t)port;
		return 0;
	}
	for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
		size_t length = strlen(options[i].name);
		int64_t value;

		if (strncmp(argument, options[i].name, length) != 0)
			continue;
		if (parse_int64(argument + length, &value) < 0 || value < 0 ||
		    ((options[i].fd || options[i].number == &worker->cpu_limit) &&
		     value > INT32_MAX))
			return error_set(err, -EINVAL, BLAME_REQUEST, argument, "not a number");
		if (options[i].fd)
			*options[i].fd = (int)value;
		else
			*options[i].number = value;
		return 0;
	}
	return error_set(err, -EINVAL, BLAME_REQUEST, argument, "no option of the worker");
}

static int start(struct worker *worker, struct error *err)
{
	const struct cage cage = { .state_dirfd = worker->state_dirfd,
				   .work_dirfd = worker->work_dirfd,
				   .read = &worker->read,
				   .site = &worker->site,
				   .ports = &worker->ports,
				   .memory_bytes = (uint64_t)worker->memory_limit,
				   .network = worker->network };
	int folder[CAGE_PACKAGES + 1];
	int r = cage_enter(&cage, folder, err);

	worker->snapshots_dirfd = folder[CAGE_SNAPSHOTS];
	worker->headers_dirfd = folder[CAGE_HEADERS];
	worker->origins_dirfd = folder[CAGE_ORIGINS];
	worker->packages_dirfd = folder[CAGE_PACKAGES];
	if (r < 0)
		return r;
	if (worker->pools_limit < 0)
		worker->pools_limit = worker->memory_limit / 4;
	return pools_new(worker->snapshots_dirfd, (size_t)worker->pools_limit, &worker->pools, err);
}

static int serve_fetches(const struct worker *worker, struct error *err)
{
	const struct fetch_worker fetches = { .pipe_fd = worker->pipe_fd,
					      .work_dirfd = worker->work_dirfd,
					      .mirrors_dirfd = worker->state_dirfd,
					      .read = &worker->read,
					      .ports = &worker->ports,
					      .memory_limit = (uint64_t)worker->memory_limit,
					      .cpu_limit = worker->cpu_limit,
					      .network = worker->network };

	return fetch_serve(&fetches, err);
}

static void worker_done(struct worker *worker)
{
	strings_done(&worker->read);
	strings_done(&worker->site);
	pools_free(worker->pools);
	lines_done(&worker->lines);
	closep(&worker->snapshots_dirfd);
	closep(&worker->headers_dirfd);
	closep(&worker->packages_dirfd);
	closep(&worker->origins_dirfd);
}

/* Is there what it needs for what it is to be? */
static bool is_complete(const struct worker *worker)
{
	if (worker->pipe_fd < 0 || (!worker->fetches && worker->asking.fd < 0))
		return false;
	return worker->opens ||
	       (worker->state_dirfd >= 0 && worker->work_dirfd >= 0 && worker->memory_limit >= 0);
}

int worker_main(int argc, char **argv)
{
	_cleanup_(worker_done) struct worker worker = {
		.state_dirfd = -1,
		.work_dirfd = -1,
		.pipe_fd = -1,
		.snapshots_dirfd = -1,
		.headers_dirfd = -1,
		.packages_dirfd = -1,
		.origins_dirfd = -1,
		.memory_limit = -1,
		.pools_limit = -1,
		.asking = { .fd = -1, .lock = PTHREAD_MUTEX_INITIALIZER }
	};
	struct error err = { 0 };
	int r = 0;

	for (int i = 1; i < argc && r == 0; i++)
		r = read_option(&worker, argv[i], &err);
	if (r == 0 && !is_complete(&worker))
		r = error_set(&err, -EINVAL, BLAME_REQUEST, "worker",
			      "is started by the server, with --pipe-fd, --state-dir-fd, "
			      "--work-dir-fd, --memory-limit and --opener-fd");
	if (r < 0) {
		log_error("%s: %s", err.field, err.message);
		return 2;
	}
	worker.lines.fd = worker.pipe_fd;
	if (worker.opens)
		r = opener_serve(worker.pipe_fd, worker.asking.fd, &err);
	else
		r = worker.fetches ? serve_fetches(&worker, &err) : start(&worker, &err);
	if (r == 0 && !worker.fetches && !worker.opens)
		r = serve(&worker, &err);
	if (r < 0)
		log_error("worker: %s", err.message);
	return r < 0;
}
