/* SPDX-License-Identifier: MIT */
/* resolver/sources/source.c: the table of source types, and the package set that they fill.
 *
 * Called by resolver/worker. Sources read what the transport of the job lets them read, and report
 * through the callbacks of the context. */
#include "resolver/sources/set.h"

/* the numbers are ODCS's */
static const struct source_type_driver drivers[] = {
	{ .name = "repo", .number = SOURCE_REPO, .load = repo_load },
	{ .name = "tag", .number = SOURCE_TAG, .load = tag_load },
	{ .name = "build", .number = SOURCE_BUILD, .load = tag_load },
	{ .name = "module", .number = SOURCE_MODULE, .load = module_load },
};

int source_load(const struct source_context *context, struct package_set **ret, struct error *err)
{
	enum source_type type = context->job->spec->source_type;
	const char *name = source_type_name((int)type);

	for (size_t i = 0; i < ARRAY_SIZE(drivers); i++)
		if (drivers[i].number == type)
			return drivers[i].load(context, ret, err);
	return error_set(err, -EOPNOTSUPP, BLAME_REQUEST, NULL,
			 "Source type \"%s\" is not supported by this service",
			 name ? name : "unknown");
}

/* ---- the package set --------------------------------------------------- */

int package_set_new(const struct spec *spec, struct package_set **ret, struct error *err)
{
	_cleanup_(package_set_freep) struct package_set *set = calloc(1, sizeof(*set));

	if (!set || strings_copy(&set->arches, &spec->arches) < 0 ||
	    strings_copy(&set->comps_names, &spec->packages) < 0)
		return error_oom(err);
	set->event = -1;
	set->composition.arches = &set->arches;
	set->composition.comps_names = &set->comps_names;
	*ret = steal(set);
	return 0;
}

void package_set_free(struct package_set *set)
{
	if (!set)
		return;
	for (size_t i = 0; i < set->held_count; i++)
		pools_release(set->held[i]);
	for (size_t i = 0; i < set->answer_count; i++)
		solve_answer_free(set->answer[i]);
	free(set->held);
	free(set->answer);
	free(set->composition.package);
	strings_done(&set->comps_names);
	strings_done(&set->texts);
	strings_done(&set->packages);
	free(set->depsolve_log);
	free(set->modules);
	for (size_t i = 0; set->arch_modules && i < set->arches.count; i++)
		free(set->arch_modules[i]);
	free(set->arch_modules);
	for (size_t i = 0; i < set->module_count; i++)
		strings_done(&set->module_rpms[i]);
	free(set->module_rpms);
	free(set->module);
	free(set->source);
	strings_done(&set->arches);
	free(set->sigkeys);
	free(set);
}

int package_set_hold(struct package_set *set, struct held *held)
{
	struct held **more = realloc(set->held, (set->held_count + 1) * sizeof(struct held *));

	if (!more) {
		pools_release(held);
		return -ENOMEM;
	}
	set->held = more;
	set->held[set->held_count++] = held;
	return 0;
}

int package_set_own(struct package_set *set, struct solve_answer *answer)
{
	struct solve_answer **more =
		realloc(set->answer, (set->answer_count + 1) * sizeof(struct solve_answer *));

	if (!more) {
		solve_answer_free(answer);
		return -ENOMEM;
	}
	set->answer = more;
	set->answer[set->answer_count++] = answer;
	return 0;
}

int package_set_add(struct package_set *set, const struct composer_package *package)
{
	struct composition *composition = &set->composition;

	if (composition->count == set->room) {
		size_t room = set->room ? set->room * 2 : 256;
		struct composer_package *more = realloc(composition->package, room * sizeof(*more));

		if (!more)
			return -ENOMEM;
		composition->package = more;
		set->room = room;
	}
	composition->package[composition->count++] = *package;
	return 0;
}

const char *package_set_text(struct package_set *set, const char *text)
{
	if (strings_add(&set->texts, text) < 0)
		return NULL;
	return set->texts.item[set->texts.count - 1];
}

struct composition *package_set_composition(struct package_set *set)
{
	return &set->composition;
}

int64_t package_set_event(const struct package_set *set)
{
	return set->event;
}

const char *package_set_source(const struct package_set *set)
{
	return set->source;
}

const char *package_set_sigkeys(const struct package_set *set)
{
	return set->sigkeys;
}

struct strings *package_set_packages(struct package_set *set)
{
	return &set->packages;
}

int64_t package_set_bytes_written(const struct package_set *set)
{
	return set->bytes_written;
}
