/* SPDX-License-Identifier: MIT */
/* resolver/sources/arches.c: from open repositories to rows: for each arch a solver pool, choices
 * and their debug packages, then the source packages of all. The same for every source type. */
#include "resolver/sources/load.h"

void load_log(struct load *load, const char *arch, const char *what, const struct strings *lines)
{
	for (size_t i = 0; i < lines->count; i++) {
		text_addf(&load->log, "%s: %s%s\n", arch, what, lines->item[i]);
		load_say(load, "%s: %s%s", arch, what, lines->item[i]);
	}
}

static int take_choices(struct load *load, size_t arch, const struct solve_answer *answer,
			struct error *err)
{
	for (size_t i = 0; i < answer->count; i++) {
		const struct solve_choice *choice = &answer->choice[i];
		struct snapshot_package package;
		int r;

		snapshot_package_get(load->repository[choice->repository].held->snapshot,
				     choice->index, &package);
		r = rows_add(load, choice->repository, choice->index, arch,
			     package.debug ? COMPOSER_DEBUG : COMPOSER_OS, choice->reason, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int solve_arch(struct load *load, const char *arch, struct solve_answer **ret,
		      struct error *err)
{
	const struct spec *spec = load->context->job->spec;
	struct solve_request request = {
		.names = spec->packages.count ? &spec->packages : NULL,
		.no_deps = spec->flags & FLAG_NO_DEPS,
		.check_deps = spec->flags & FLAG_CHECK_DEPS,
	};
	int64_t start = time_monotonic_ms(), ready;
	struct solve_pool *pool;
	bool loaded;
	int r;

	load_progress(load, "depsolve", "%s", arch);
	r = pools_solver(load->context->pools, arch, false, load->set->held, load->count,
			 load->count - load->sources, &pool, &loaded, err);
	if (r < 0)
		return r;
	ready = time_monotonic_ms();
	r = solve_run(pool, &request, ret, err);
	if (r < 0)
		return error_prefix(err, "%s", arch);
	load_say(load, "%s: %zu packages, %zu requested; %s, solved in %" PRId64 " ms", arch,
		 (*ret)->count, spec->packages.count,
		 loaded ? "metadata loaded" : "metadata was in memory",
		 time_monotonic_ms() - ready);
	if (loaded)
		load_say(load, "%s: loading took %" PRId64 " ms", arch, ready - start);
	load->step++;
	load_progress(load, "depsolve", "%s %zu packages", arch, (*ret)->count);
	return 0;
}

static int load_arch(struct load *load, size_t arch, struct strings *missing, struct error *err)
{
	const char *name = load->set->arches.item[arch];
	const struct spec *spec = load->context->job->spec;
	size_t first = load->set->composition.count, beside;
	_cleanup_(strings_done) struct strings still = { 0 };
	struct solve_answer *answer = NULL;
	int r = solve_arch(load, name, &answer, err);

	if (r < 0)
		return r;
	if (package_set_own(load->set, answer) < 0 || rows_begin(load) < 0)
		return error_oom(err);
	r = take_choices(load, arch, answer, err);
	if (r == 0 && load->more)
		r = load->more(load, arch, err);
	beside = load->set->composition.count;
	if (r == 0)
		r = multilib_add(load, arch, answer, err);
	if (r == 0)
		r = rows_add_debug(load, arch, spec->packages.count ? first : beside, false, err);
	if (r == 0 && !spec->packages.count)
		r = rows_add_debug(load, arch, first, true, err);
	if (r < 0)
		return r;
	text_addf(&load->log, "%s: %zu names requested, %zu packages chosen, %zu with debug\n",
		  name, spec->packages.count, answer->count, load->set->composition.count - first);
	load_log(load, name, "missing: ", &answer->missing);
	load_log(load, name, "unresolved: ", &answer->unresolved);
	load_log(load, name, "", &answer->conflicts);
	/* a name must be found for one arch */
	for (size_t i = 0; i < answer->missing.count; i++)
		if ((arch == 0 || strings_has(missing, answer->missing.item[i])) &&
		    strings_add(&still, answer->missing.item[i]) < 0)
			return error_oom(err);
	strings_done(missing);
	*missing = still;
	still = (struct strings){ 0 };
	return 0;
}

static int fail_missing(const struct strings *missing, struct error *err)
{
	_cleanup_(freep) char *names = strings_join(missing, " ");

	if (!names)
		return error_oom(err);
	return error_set(err, -ENOENT, BLAME_REQUEST, NULL,
			 "The following requested packages are not present in the generated "
			 "compose: %s.",
			 names);
}

int load_arches(struct load *load, struct error *err)
{
	_cleanup_(strings_done) struct strings missing = { 0 };
	int r = 0;

	for (size_t i = 0; i < load->set->arches.count && r == 0; i++)
		r = load_arch(load, i, &missing, err);
	if (r == 0 && missing.count)
		r = fail_missing(&missing, err);
	return r < 0 ? r : rows_add_sources(load, !load->context->job->spec->packages.count, err);
}
