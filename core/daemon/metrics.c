/* SPDX-License-Identifier: MIT */
/* core/daemon/metrics.c: the service's figures in Prometheus' text format, the same for the tree
 * and HTTP.
 *
 * The first names are upstream's (odcs-api.md 9.2), so that its dashboards go on; ours begin with
 * odcsfs_. Counters begin at 0 with the process. How long a compose took is measured between the
 * news of its states; of one that was accepted before this process began, or long ago, only the
 * record's whole seconds are known. */
#include "core/daemon/daemon.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define STAMPS 4096 /* composes under way whose times are known to the millisecond */

static const double bounds[] = { 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1,	  2.5, 5,
				 10,   30,    60,   120, 300,  600, 1800, 3600 };

struct histogram {
	uint64_t count[ARRAY_SIZE(bounds) + 1];
	double sum;
};

struct stamp {
	int64_t id, submitted_ms, started_ms;
};

struct metrics {
	int64_t time_started;
	pthread_mutex_t lock;
	struct stamp stamp[STAMPS]; /* under lock, as all to the next */
	struct histogram whole[SOURCE_PUNGI_COMPOSE + 1], generating[SOURCE_PUNGI_COMPOSE + 1];
	uint64_t reused;
};

int metrics_new(struct metrics **ret)
{
	struct metrics *metrics = calloc(1, sizeof(*metrics));

	if (!metrics)
		return -ENOMEM;
	(void)pthread_mutex_init(&metrics->lock, NULL);
	metrics->time_started = time_now();
	*ret = metrics;
	return 0;
}

void metrics_free(struct metrics *metrics)
{
	if (!metrics)
		return;
	(void)pthread_mutex_destroy(&metrics->lock);
	free(metrics);
}

/* ---- how long composes take ---------------------------------------------- */

static void observe(struct histogram *histogram, double seconds)
{
	size_t i = 0;

	while (i < ARRAY_SIZE(bounds) && seconds > bounds[i])
		i++;
	histogram->count[i]++;
	histogram->sum += seconds;
}

static double seconds_since(int64_t stamp_ms, int64_t now_ms, int64_t time)
{
	return stamp_ms ? (double)(now_ms - stamp_ms) / 1000 : (double)(time_now() - time);
}

static void compose_done(struct metrics *metrics, const struct stamp *stamp, int64_t now_ms,
			 const struct compose *compose)
{
	int type = compose->spec->source_type;

	observe(&metrics->whole[type],
		seconds_since(stamp->submitted_ms, now_ms, compose->time_submitted));
	observe(&metrics->generating[type],
		seconds_since(stamp->started_ms, now_ms, compose->time_started));
	metrics->reused += compose->reused_id != 0;
}

void metrics_changed(struct metrics *metrics, const struct catalogue_event *event)
{
	const struct compose *compose = event->compose;
	int64_t now_ms = time_monotonic_ms();
	struct stamp *stamp;

	if (event->request_only || event->old_state == compose->state)
		return;
	stamp = &metrics->stamp[(uint64_t)compose->id % STAMPS];
	(void)pthread_mutex_lock(&metrics->lock);
	if (compose->state == STATE_WAIT && event->old_state == STATE_DRAFT)
		*stamp = (struct stamp){ .id = compose->id, .submitted_ms = now_ms };
	else if (compose->state == STATE_GENERATING && stamp->id == compose->id)
		stamp->started_ms = now_ms;
	else if (compose->state == STATE_DONE)
		compose_done(metrics, stamp->id == compose->id ? stamp : &(struct stamp){ 0 },
			     now_ms, compose);
	(void)pthread_mutex_unlock(&metrics->lock);
}

/* ---- printing ------------------------------------------------------------ */

static void family(struct text *ret, const char *name, const char *type, const char *help)
{
	(void)text_addf(ret, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void number(struct text *ret, const char *name, const char *type, const char *help,
		   int64_t value)
{
	family(ret, name, type, help);
	(void)text_addf(ret, "%s %" PRId64 "\n", name, value);
}

static void print_histograms(struct text *ret, const char *name, const char *help,
			     const struct histogram *histograms)
{
	family(ret, name, "histogram", help);
	for (int type = SOURCE_TAG; type <= SOURCE_PUNGI_COMPOSE; type++) {
		const struct histogram *histogram = &histograms[type];
		const char *word = source_type_name(type);
		uint64_t count = 0;

		for (size_t i = 0; i < ARRAY_SIZE(bounds); i++) {
			count += histogram->count[i];
			(void)text_addf(ret,
					"%s_bucket{source_type=\"%s\",le=\"%g\"} %" PRIu64 "\n",
					name, word, bounds[i], count);
		}
		count += histogram->count[ARRAY_SIZE(bounds)];
		(void)text_addf(ret, "%s_bucket{source_type=\"%s\",le=\"+Inf\"} %" PRIu64 "\n",
				name, word, count);
		(void)text_addf(ret, "%s_sum{source_type=\"%s\"} %.3f\n", name, word,
				histogram->sum);
		(void)text_addf(ret, "%s_count{source_type=\"%s\"} %" PRIu64 "\n", name, word,
				count);
	}
}

static void print_times(struct metrics *metrics, struct text *ret)
{
	(void)pthread_mutex_lock(&metrics->lock);
	print_histograms(ret, "odcsfs_compose_seconds", "From acceptance to done.", metrics->whole);
	print_histograms(ret, "odcsfs_compose_generating_seconds",
			 "From the start of generating to done.", metrics->generating);
	number(ret, "odcsfs_composes_reused_total", "counter",
	       "Composes that show the tree of an equal one.", (int64_t)metrics->reused);
	(void)pthread_mutex_unlock(&metrics->lock);
}

static int print_composes(struct catalogue *catalogue, struct text *ret, int64_t *ret_waiting,
			  struct error *err)
{
	struct compose_tally tally;
	int64_t waiting = 0, generating = 0;
	int r = catalogue_tally(catalogue, &tally, err);

	if (r < 0)
		return r;
	family(ret, "composes_total", "gauge", "Composes by source type and state.");
	for (int type = SOURCE_TAG; type <= SOURCE_PUNGI_COMPOSE; type++) {
		for (int state = STATE_WAIT; state <= STATE_FAILED; state++)
			(void)text_addf(ret,
					"composes_total{source_type=\"%s\",state=\"%s\"} %" PRId64
					"\n",
					source_type_name(type), state_name(state),
					tally.count[type][state]);
		waiting += tally.count[type][STATE_WAIT];
		generating += tally.count[type][STATE_GENERATING];
	}
	family(ret, "raw_config_composes_count_total", "counter",
	       "Composes of raw_config sources by source.");
	family(ret, "raw_config_composes", "gauge",
	       "Composes of raw_config sources by source and state.");
	number(ret, "odcsfs_queue_length", "gauge", "Composes that wait for a worker.", waiting);
	number(ret, "odcsfs_composes_generating", "gauge",
	       "Composes that are being made, or wait for an equal one that is.", generating);
	*ret_waiting = waiting;
	return 0;
}

/* Upstream's words for the queue and its workers: here one queue, and processes of our own. */
static void print_workers(struct scheduler *scheduler, int64_t waiting, struct text *ret)
{
	struct scheduler_figures figures = { 0 };
	int64_t alive = 0;

	if (scheduler)
		scheduler_figures(scheduler, &figures);
	for (size_t i = 0; i < figures.workers; i++)
		alive += figures.alive[i];
	number(ret, "celery_workers_expected", "gauge", "Workers that there should be.",
	       (int64_t)figures.workers);
	number(ret, "celery_workers_totals", "gauge", "Workers that there are.", alive);
	family(ret, "celery_workers", "gauge", "1 while the worker is there.");
	for (size_t i = 0; i < figures.workers; i++)
		(void)text_addf(ret, "celery_workers{worker_name=\"worker-%zu\"} %d\n", i,
				figures.alive[i]);
	family(ret, "celery_queue_length", "gauge", "Composes that wait in the queue.");
	(void)text_addf(ret, "celery_queue_length{queue_name=\"composes\"} %" PRId64 "\n", waiting);
	family(ret, "celery_queue_worker", "gauge", "Workers that take from the queue.");
	(void)text_addf(ret, "celery_queue_worker{queue_name=\"composes\"} %" PRId64 "\n", alive);
	number(ret, "odcsfs_workers", "gauge", "Worker processes that are ready or at work.",
	       alive);
	number(ret, "odcsfs_workers_busy", "gauge", "Worker processes at work.",
	       (int64_t)figures.busy);
	number(ret, "odcsfs_worker_deaths_total", "counter",
	       "Workers that ended and were replaced.", figures.deaths);
}

/* ---- the disk ------------------------------------------------------------ */

static void print_cache(const struct metrics_sources *sources, struct text *ret)
{
	struct fetcher_figures fetcher;
	struct tree_cache_figures cache;

	tree_cache_figures(sources->store->trees, &cache);
	fetcher_figures(sources->fetcher, &fetcher);
	number(ret, "odcsfs_cache_bytes", "gauge", "Bytes in the package cache.",
	       (int64_t)cache.bytes);
	number(ret, "odcsfs_cache_limit_bytes", "gauge", "Bytes that it may hold; 0: any number.",
	       (int64_t)cache.limit);
	number(ret, "odcsfs_cache_files", "gauge", "Files in the package cache.",
	       (int64_t)cache.files);
	number(ret, "odcsfs_cache_hits_total", "counter", "Opens of packages that were in it.",
	       (int64_t)cache.hits);
	number(ret, "odcsfs_cache_evictions_total", "counter", "Files that had to make room.",
	       (int64_t)cache.evictions);
	number(ret, "odcsfs_cache_evicted_bytes_total", "counter", "Bytes of these.",
	       (int64_t)cache.evicted_bytes);
	number(ret, "odcsfs_fetches_total", "counter", "Packages that were fetched to be read.",
	       fetcher.fetched);
	number(ret, "odcsfs_fetched_bytes_total", "counter", "Bytes of these.",
	       fetcher.fetched_bytes);
	number(ret, "odcsfs_fetch_failures_total", "counter", "Packages that could not be had.",
	       fetcher.failures);
	number(ret, "odcsfs_fetch_worker_deaths_total", "counter",
	       "Workers that ended while they fetched.", fetcher.deaths);
	number(ret, "odcsfs_fetches_running", "gauge", "Packages that are being fetched.",
	       (int64_t)fetcher.running);
	number(ret, "odcsfs_fetch_waiters", "gauge", "Reads that wait for a package.",
	       (int64_t)fetcher.waiting);
}

static void print_disk(const struct store *store, struct text *ret)
{
	static const char *const names[] = { "catalogue.sqlite", "catalogue.sqlite-wal" };
	struct statvfs room;
	struct stat st;
	int64_t bytes = 0;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (fstatat(store->state_dirfd, names[i], &st, 0) == 0)
			bytes += st.st_size;
	number(ret, "odcsfs_catalogue_bytes", "gauge", "Size of the catalogue.", bytes);
	if (fstatvfs(store->state_dirfd, &room) == 0)
		number(ret, "odcsfs_state_free_bytes", "gauge",
		       "Room on the disk of the state directory.",
		       (int64_t)(room.f_bavail * room.f_frsize));
	number(ret, "odcsfs_state_full", "gauge",
	       "1 while new requests are refused for want of room.", atomic_load(&store->full));
}

/* ---- all of it ------------------------------------------------------------- */

int metrics_print(struct metrics *metrics, const struct metrics_sources *sources, struct text *ret)
{
	struct error err = { 0 };
	int64_t waiting;
	int r = print_composes(sources->store->catalogue, ret, &waiting, &err);

	if (r < 0) {
		log_error("metrics: %s", err.message);
		return r;
	}
	print_workers(sources->scheduler, waiting, ret);
	print_times(metrics, ret);
	print_cache(sources, ret);
	print_disk(sources->store, ret);
	family(ret, "odcsfs_info", "gauge", "Version of the service.");
	(void)text_addf(ret, "odcsfs_info{version=\"%s\"} 1\n", ODCSFS_VERSION);
	number(ret, "odcsfs_start_time_seconds", "gauge", "When the process began.",
	       metrics->time_started);
	number(ret, "odcsfs_mounted", "gauge", "1 while the tree is mounted.",
	       sources->fs && fs_mounted(sources->fs, FS_TREE));
	if (sources->fs)
		fs_figures(sources->fs, ret);
	if (sources->rest)
		rest_figures(sources->rest, ret);
	return ret->failed ? -ENOMEM : 0;
}
