/* SPDX-License-Identifier: MIT */
/* rest/figures.c: what HTTP counted, for the metrics. */
#include "rest/client.h"
#include "rest/wait.h"

static void figure(struct text *ret, const char *name, const char *type, const char *help,
		   uint64_t value)
{
	(void)text_addf(ret, "# HELP %s %s\n# TYPE %s %s\n%s %" PRIu64 "\n", name, help, name, type,
			name, value);
}

void rest_figures(struct rest *rest, struct text *ret)
{
	static const char requests[] = "odcsfs_http_requests_total";
	struct figures *figures = &rest->figures;

	(void)text_addf(ret,
			"# HELP %s Requests answered, by class of the status.\n"
			"# TYPE %s counter\n",
			requests, requests);
	for (unsigned int i = 2; i < ARRAY_SIZE(figures->answers); i++)
		(void)text_addf(ret, "%s{code=\"%uxx\"} %" PRIu64 "\n", requests, i,
				(uint64_t)atomic_load(&figures->answers[i]));
	figure(ret, "odcsfs_http_connections", "gauge", "Connections that are open.",
	       clients_connections(rest->clients));
	figure(ret, "odcsfs_http_connections_total", "counter", "Connections that came in.",
	       atomic_load(&figures->connections));
	figure(ret, "odcsfs_http_connections_refused_total", "counter",
	       "Connections closed at once, since their client or all had too many.",
	       atomic_load(&figures->connections_refused));
	figure(ret, "odcsfs_http_connections_slow_total", "counter",
	       "Connections ended, since their client sent or took too little.",
	       atomic_load(&figures->connections_slow));
	figure(ret, "odcsfs_http_waiting", "gauge", "Long polls and followers of events.",
	       waits_count(rest->waits));
}
