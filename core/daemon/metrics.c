/* SPDX-License-Identifier: MIT */
/* core/daemon/metrics.c: the service's figures in Prometheus' text format, the same for the tree
 * and HTTP.
 *
 * composes_total is upstream's (odcs-api.md 9.2); ours begin with odcsfs_. */
#include "core/daemon/daemon.h"

static void gauge(struct text *ret, const char *name, const char *help)
{
	(void)text_addf(ret, "# HELP %s %s\n# TYPE %s gauge\n", name, help, name);
}

static void counter(struct text *ret, const char *name, const char *help)
{
	(void)text_addf(ret, "# HELP %s %s\n# TYPE %s counter\n", name, help, name);
}

static int add_composes(struct catalogue *catalogue, struct text *ret, struct error *err)
{
	struct compose_tally tally;
	int64_t waiting = 0, generating = 0;
	int r = catalogue_tally(catalogue, &tally, err);

	if (r < 0)
		return r;
	gauge(ret, "composes_total", "Composes by source type and state.");
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
	gauge(ret, "odcsfs_queue_length", "Composes that wait for a worker.");
	(void)text_addf(ret, "odcsfs_queue_length %" PRId64 "\n", waiting);
	gauge(ret, "odcsfs_composes_generating", "Composes that a worker is making.");
	(void)text_addf(ret, "odcsfs_composes_generating %" PRId64 "\n", generating);
	return 0;
}

int metrics_print(const struct metrics_sources *sources, struct text *ret)
{
	struct scheduler_figures workers = { 0 };
	struct error err = { 0 };
	int r = add_composes(sources->catalogue, ret, &err);

	if (r < 0) {
		log_error("metrics: %s", err.message);
		return r;
	}
	if (sources->scheduler)
		scheduler_figures(sources->scheduler, &workers);
	gauge(ret, "odcsfs_workers", "Worker processes that are ready or at work.");
	(void)text_addf(ret, "odcsfs_workers %" PRId64 "\n", workers.alive);
	counter(ret, "odcsfs_worker_deaths_total", "Workers that ended and were replaced.");
	(void)text_addf(ret, "odcsfs_worker_deaths_total %" PRId64 "\n", workers.deaths);
	gauge(ret, "odcsfs_mounted", "1 while the tree is mounted.");
	(void)text_addf(ret, "odcsfs_mounted %d\n", sources->fs && fs_mounted(sources->fs));
	if (sources->fs)
		fs_figures(sources->fs, ret);
	return ret->failed ? -ENOMEM : 0;
}
