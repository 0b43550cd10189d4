/* SPDX-License-Identifier: MIT */
/* core/daemon/fetch_slots.c: the workers that fetch packages: started, told what to fetch, ended.
 */
#include "core/daemon/fetch_slots.h"

#define END_MS 1000 /* from SIGKILL to its end; else it is taken to hang in the kernel */

bool fetch_slot_kill(struct fetch_slot *slot)
{
	child_kill(slot->child);
	return child_ended(slot->child, time_monotonic_ms() + END_MS);
}

void fetch_slot_leave(struct fetch_slot *slot, bool ended)
{
	if (ended)
		child_free(slot->child);
	else
		slot->corpse = slot->child;
	slot->child = NULL;
}

void fetch_slot_end(struct fetch_slot *slot)
{
	fetch_slot_leave(slot, fetch_slot_kill(slot));
}

struct fetch_slot *fetch_slots_take(struct fetch_slots *slots, struct error *err)
{
	struct fetch_slot *none = NULL;
	int64_t now = time_monotonic_ms();

	for (size_t i = 0; i < FETCH_SLOTS; i++) {
		struct fetch_slot *slot = &slots->slot[i];

		if (slot->corpse && child_ended(slot->corpse, 0))
			child_free(steal(slot->corpse));
		if (slot->child && !slot->fetch)
			return slot;
		if (!slot->child && !slot->corpse && !none)
			none = slot;
	}
	if (!none) {
		(void)error_set(err, -EAGAIN, BLAME_US, NULL, "too many downloads");
		return NULL;
	}
	if (child_start(slots->config, CHILD_FETCHES, slots->state_dirfd,
			(unsigned int)(none - slots->slot), &none->child, err) < 0)
		return NULL;
	none->ready = false;
	none->started_ms = none->idle_ms = now;
	return none;
}

static int make_job(const struct config *config, const struct fetch *fetch, int64_t number,
		    struct fetch_job **ret)
{
	_cleanup_(fetch_job_freep) struct fetch_job *job = calloc(1, sizeof(*job));
	_cleanup_(freep) char *topurl = NULL;
	struct strings paths = { 0 };
	int r = url_bare(config->koji_topurl, &topurl);

	if (!job || r == -ENOMEM)
		return -ENOMEM;
	job->id = number;
	job->base = strdup(fetch->base);
	job->path = strdup(fetch->path);
	memcpy(job->sha256, fetch->sha256, sizeof(job->sha256));
	job->size = (int64_t)fetch->size;
	job->early = config_streams(config);
	/* each of those that may run at a time has a share, so all together keep to it */
	job->rate = config->cache_rate / config->cache_fetchers;
	if (r == 0 && !strcmp(fetch->base, topurl)) /* a file of the site's Koji */
		r = order_koji(config, &job->koji);
	else
		r = order_repo(config, &job->repo, &paths);
	strings_done(&paths);
	if (r < 0 || !job->base || !job->path)
		return -ENOMEM;
	*ret = steal(job);
	return 0;
}

int fetch_slot_send(struct fetch_slots *slots, struct fetch_slot *slot, struct fetch *fetch,
		    struct error *err)
{
	_cleanup_(fetch_job_freep) struct fetch_job *job = NULL;
	struct message message = { .type = PIPE_FETCH };
	int r = make_job(slots->config, fetch, ++slots->number, &job);

	message.fetch = job;
	if (r == 0)
		r = child_send(slot->child, &message);
	if (r < 0)
		return error_oom(err);
	slot->fetch = fetch;
	slot->number = slots->number;
	slot->reserved = fetch->size;
	return 0;
}

void fetch_slots_done(struct fetch_slots *slots)
{
	for (size_t i = 0; i < FETCH_SLOTS; i++) {
		if (slots->slot[i].child)
			fetch_slot_end(&slots->slot[i]);
		child_free(slots->slot[i].corpse);
	}
}
