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

/* ---- what all of it depends on ------------------------------------------ */

/* The version: another one may choose otherwise. */
static int resolve(const struct load *load, struct resolution *ret, struct error *err)
{
	_cleanup_(text_done) struct text text = { 0 };
	int r;

	(void)text_adds(&text, "odcsfs " ODCSFS_VERSION " repo\n");
	r = load_identify(load, &text, err);
	if (r < 0)
		return r;
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

/* What the request asks for and this source type does not do; said, not refused, as upstream does
 */
static void tell_ignored(const struct load *load, const struct spec *spec)
{
	if (spec->sigkeys.count)
		load_say(load, "sigkeys: signatures are not looked at for source type repo");
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
	r = load_find(&load, &spec->source, err);
	if (r == 0)
		r = ask(&load, err);
	if (r < 0)
		return r;
	tell_ignored(&load, spec);
	r = load_open(&load, err);
	if (r == 0)
		r = load_arches(&load, err);
	if (r == 0)
		r = finish(&load, err);
	if (r < 0)
		return r;
	load_progress(&load, "repodata", "%zu packages", load.set->composition.count);
	*ret = steal(load.set);
	return 0;
}
