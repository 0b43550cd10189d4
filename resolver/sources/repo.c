/* SPDX-License-Identifier: MIT */
/* resolver/sources/repo.c: source type "repo": plain repositories become a package set.
 *
 *   words ─► repomd.xml ─► resolved? ─► snapshots ─► per arch: solver pool ─► choices ─► rows ─►
 * debug packages of them └─────► source packages of all
 *
 * Packages of lookaside_repos satisfy requirements and stay out of the set. Where two repositories
 * have the same NEVRA the first listed wins. Without packages in the request everything is taken.
 */
#include "resolver/sources/load.h"

static void load_done(struct load *load)
{
	for (size_t i = 0; load->repository && i < load->count; i++) {
		repomd_free(load->repository[i].repomd);
		free(load->repository[i].taken);
	}
	free(load->repository);
	text_done(&load->log);
	package_set_free(load->set);
}

static int find_repositories(struct load *load, const struct spec *spec, struct error *err)
{
	int r = 0;

	load->sources = spec->source.count;
	load->count = spec->source.count + spec->lookaside_repos.count;
	load->repository = calloc(load->count + 1, sizeof(*load->repository));
	if (!load->repository)
		return error_oom(err);
	for (size_t i = 0; i < load->count && r == 0; i++) {
		struct repository *repository = &load->repository[i];

		repository->lookaside = i >= load->sources;
		repository->word = repository->lookaside
					   ? spec->lookaside_repos.item[i - load->sources]
					   : spec->source.item[i];
		load_progress(load, "metadata", "%s", repository->word);
		r = repository_find(load, repository, err);
	}
	return r;
}

/* ---- what all of it depends on ------------------------------------------ */

/* A path may hold any character, so each goes with its length. */
static char *identity(const struct repository *repository)
{
	_cleanup_(text_done) struct text text = { 0 };

	(void)text_addf(&text, "%s %s %zu:%s\n", repository->lookaside ? "lookaside" : "source",
			repository->repomd->digest, strlen(repository->base), repository->base);
	return text_steal(&text);
}

/* Where a repository really is belongs to it: packages are read from there as long as the compose
 * lives. Order counts among sources; lookaside ones are a set (odcs-api.md 5). The version: another
 * one may choose otherwise. */
static int resolve(const struct load *load, struct resolution *ret, struct error *err)
{
	_cleanup_(strings_done) struct strings lookaside = { 0 };
	_cleanup_(text_done) struct text text = { 0 };

	(void)text_adds(&text, "odcsfs " ODCSFS_VERSION " repo\n");
	for (size_t i = 0; i < load->count; i++) {
		_cleanup_(freep) char *words = identity(&load->repository[i]);

		if (!words)
			return error_oom(err);
		if (!load->repository[i].lookaside)
			(void)text_adds(&text, words);
		else if (strings_add(&lookaside, words) < 0)
			return error_oom(err);
	}
	strings_sort(&lookaside);
	for (size_t i = 0; i < lookaside.count; i++)
		(void)text_adds(&text, lookaside.item[i]);
	if (text.failed)
		return error_oom(err);
	sha256_hex(text.data, text.length, ret->inputs);
	ret->koji_event = load->repository[0].repomd->revision;
	return 0;
}

static int ask(const struct load *load, struct error *err)
{
	const struct source_context *context = load->context;
	struct resolution resolution;
	int r = resolve(load, &resolution, err);

	return r < 0 || !context->resolved ? r : context->resolved(context->data, &resolution, err);
}

static int open_repositories(struct load *load, struct error *err)
{
	int r = 0;

	for (size_t i = 0; i < load->count && r == 0; i++, load->step++)
		r = repository_open(load, &load->repository[i], err);
	return r;
}

/* What the request asks for and this source type does not do; said, not refused, as upstream does
 */
static void tell_ignored(const struct load *load, const struct spec *spec)
{
	if (spec->sigkeys.count)
		load_say(load, "sigkeys: signatures are not looked at for source type repo");
	if (spec->multilib_arches.count)
		load_say(load, "multilib_arches: no multilib packages for source type repo");
}

/* ---- one arch ---------------------------------------------------------- */

static void log_lines(struct load *load, const char *arch, const char *what,
		      const struct strings *lines)
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
	r = pools_solver(load->context->pools, arch, load->set->held, load->count,
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
	size_t first = load->set->composition.count;
	_cleanup_(strings_done) struct strings still = { 0 };
	struct solve_answer *answer = NULL;
	int r = solve_arch(load, name, &answer, err);

	if (r < 0)
		return r;
	if (package_set_own(load->set, answer) < 0 || rows_begin(load) < 0)
		return error_oom(err);
	r = take_choices(load, arch, answer, err);
	if (r == 0)
		r = rows_add_debug(load, arch, first, !spec->packages.count, err);
	if (r < 0)
		return r;
	text_addf(&load->log, "%s: %zu names requested, %zu packages chosen, %zu with debug\n",
		  name, spec->packages.count, answer->count, load->set->composition.count - first);
	log_lines(load, name, "missing: ", &answer->missing);
	log_lines(load, name, "unresolved: ", &answer->unresolved);
	log_lines(load, name, "", &answer->conflicts);
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

static int load_arches(struct load *load, struct error *err)
{
	_cleanup_(strings_done) struct strings missing = { 0 };
	_cleanup_(freep) char *names = NULL;
	int r = 0;

	for (size_t i = 0; i < load->set->arches.count && r == 0; i++)
		r = load_arch(load, i, &missing, err);
	if (r < 0 || !missing.count)
		return r;
	names = strings_join(&missing, " ");
	if (!names)
		return error_oom(err);
	return error_set(err, -ENOENT, BLAME_REQUEST, NULL,
			 "The following requested packages are not present in the generated "
			 "compose: %s.",
			 names);
}

/* ---- the whole --------------------------------------------------------- */

/* modulemd documents of all repositories, one after another: each begins with its own "---" */
static int add_modules(struct load *load, struct error *err)
{
	_cleanup_(text_done) struct text modules = { 0 };

	for (size_t i = 0; i < load->sources; i++) {
		size_t before = modules.length;
		int r = snapshot_modules(load->repository[i].held->snapshot, &modules, err);

		if (r < 0 && r != -ENOENT)
			return r;
		if (modules.length > before && modules.data[modules.length - 1] != '\n')
			text_adds(&modules, "\n");
	}
	if (modules.failed)
		return error_oom(err);
	if (!modules.length)
		return 0;
	load->set->modules = text_steal(&modules);
	load->set->composition.modules = load->set->modules;
	return 0;
}

static int finish(struct load *load, struct error *err)
{
	struct package_set *set = load->set;
	struct composition *composition = &set->composition;
	int64_t timestamp = 0;
	int r = add_modules(load, err);

	if (r < 0)
		return r;
	for (size_t i = 0; i < load->sources; i++) {
		int64_t one = snapshot_timestamp(load->repository[i].held->snapshot);

		timestamp = one > timestamp ? one : timestamp;
	}
	composition->timestamp = composition->revision = timestamp;
	set->event = snapshot_revision(load->repository[0].held->snapshot);
	set->depsolve_log = text_steal(&load->log);
	if (!set->depsolve_log)
		return error_oom(err);
	composition->depsolve_log = set->depsolve_log;
	return 0;
}

int repo_load(const struct source_context *context, struct package_set **ret, struct error *err)
{
	const struct spec *spec = context->job->spec;
	_cleanup_(load_done) struct load load = { .context = context };
	int r = package_set_new(spec, &load.set, err);

	if (r < 0)
		return r;
	load.steps = (int64_t)(spec->source.count + spec->lookaside_repos.count +
			       spec->arches.count + 1);
	r = find_repositories(&load, spec, err);
	if (r == 0)
		r = ask(&load, err);
	if (r < 0)
		return r;
	tell_ignored(&load, spec);
	r = open_repositories(&load, err);
	if (r == 0)
		r = load_arches(&load, err);
	if (r == 0)
		r = rows_add_sources(&load, !spec->packages.count, err);
	if (r == 0)
		r = finish(&load, err);
	if (r < 0)
		return r;
	load_progress(&load, "repodata", "%zu packages", load.set->composition.count);
	*ret = steal(load.set);
	return 0;
}
