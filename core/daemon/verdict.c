/* SPDX-License-Identifier: MIT */
/* core/daemon/verdict.c: that a compose has failed is written down, or owed until there is room for
 * it. */
#include "core/daemon/scheduler.h"

/* 0 when the row says so now, or says something final already */
static int write_failure(struct scheduler *scheduler, int64_t id, const char *reason)
{
	struct error err = { 0 };
	int r = catalogue_fail(scheduler->options->store->catalogue, id, reason, &err);

	if (r >= 0 || r == -ESTALE || r == -ENOENT)
		return 0;
	log_error("compose %" PRId64 ": cannot note its failure: %s", id, err.message);
	return r;
}

/* Until the verdict is written the compose shows it as its progress, which is no file. */
static void owe(struct scheduler *scheduler, int64_t id, const char *reason)
{
	struct owed *owed = calloc(1, sizeof(*owed));
	struct progress now = { .total = 1, .phase = "failed" };

	(void)snprintf(now.text, sizeof(now.text),
		       "cannot be written down, tried again each second: %.200s", reason);
	catalogue_progress_set(scheduler->options->store->catalogue, id, &now);
	progressed(scheduler, id);
	if (!owed)
		return; /* the row is taken up again at the next start */
	owed->id = id;
	owed->reason = strdup(reason);
	owed->next = scheduler->owed;
	scheduler->owed = owed;
	scheduler->owed_ms = time_monotonic_ms() + OWED_MS;
}

void verdict_pay(struct scheduler *scheduler)
{
	struct owed **place = &scheduler->owed;

	if (!*place || time_monotonic_ms() < scheduler->owed_ms)
		return;
	scheduler->owed_ms = time_monotonic_ms() + OWED_MS;
	while (*place) {
		struct owed *owed = *place;

		if (write_failure(scheduler, owed->id,
				  owed->reason ? owed->reason : FAILURE_PREFIX "out of memory") < 0)
			return; /* still no room: the others need not be tried */
		*place = owed->next;
		free(owed->reason);
		free(owed);
	}
}

void fail_compose(struct scheduler *scheduler, int64_t id, const char *reason)
{
	if (write_failure(scheduler, id, reason) < 0)
		owe(scheduler, id, reason);
}

void verdict_free(struct scheduler *scheduler)
{
	while (scheduler->owed) {
		struct owed *owed = scheduler->owed;

		scheduler->owed = owed->next;
		free(owed->reason);
		free(owed);
	}
}
