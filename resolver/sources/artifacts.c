/* SPDX-License-Identifier: MIT */
/* resolver/sources/artifacts.c: the RPMs of modules, found in the repositories that their documents
 * came from.
 *
 * A document lists NEVRAs. They are looked for in primary of its own repository: what is there, and
 * is for an arch of the request, is in the compose; nothing is solved. A package that the module
 * gave up (demodularized) is left out though it may be listed. Debug and source packages follow
 * what was built with them, as everywhere. */
#include "resolver/sources/modular.h"

/** struct artifact - one that is wanted for an arch
 * @index: in the repository's snapshot, or NOWHERE */
struct artifact {
	const char *nevra;
	size_t module; /* of the set */
	uint32_t index;
};

struct artifacts {
	struct artifact *item;
	size_t count, room;
};

#define NOWHERE UINT32_MAX

static void artifacts_done(struct artifacts *artifacts)
{
	free(artifacts->item);
}

bool modular_document(const struct module_document *document, const char *arch)
{
	return !document->arch || !strcmp(document->arch, arch);
}

/* ---- what is wanted ---------------------------------------------------- */

bool modular_is_for(const struct modular *modular, const char *package_arch, size_t arch)
{
	const char *name = modular->load->set->arches.item[arch];
	const char *beside = multilib_arch(modular->load->context->job->spec, name);

	return solve_arch_takes(name, package_arch) || (beside && !strcmp(beside, package_arch));
}

/* -EINVAL: it is no NEVRA */
static int is_given_up(const struct module_document *document, const char *nevra)
{
	_cleanup_(freep) char *buffer = NULL;
	struct nevra parts;

	if (!document->demodularized.count)
		return 0;
	buffer = malloc(strlen(nevra) + 1);
	if (!buffer)
		return -ENOMEM;
	return nevra_parse(nevra, buffer, &parts) == 0 &&
	       strings_has_sorted(&document->demodularized, parts.name);
}

static int want(struct artifacts *artifacts, const char *nevra, size_t module)
{
	if (artifacts->count == artifacts->room) {
		size_t room = artifacts->room ? artifacts->room * 2 : 256;
		struct artifact *more = reallocarray(artifacts->item, room, sizeof(*more));

		if (!more)
			return -ENOMEM;
		artifacts->item = more;
		artifacts->room = room;
	}
	artifacts->item[artifacts->count++] = (struct artifact){ nevra, module, NOWHERE };
	return 0;
}

static int want_document(const struct modular *modular, const struct module_document *document,
			 size_t module, size_t arch, struct artifacts *ret)
{
	size_t said = 0;

	for (size_t i = 0; i < document->artifacts.count; i++) {
		const char *nevra = document->artifacts.item[i], *dot = strrchr(nevra, '.');
		int given_up;

		if (!dot || !modular_is_for(modular, dot + 1, arch))
			continue;
		given_up = is_given_up(document, nevra);
		if (given_up < 0 || (!given_up && want(ret, nevra, module) < 0))
			return -ENOMEM;
		if (given_up && said++ < MODULAR_NAMES_SHOWN)
			load_say(modular->load, "%s: %s was demodularized",
				 modular->set->module[module]->nsvc, nevra);
	}
	if (said > MODULAR_NAMES_SHOWN)
		load_say(modular->load, "%s: so were %zu more", modular->set->module[module]->nsvc,
			 said - MODULAR_NAMES_SHOWN);
	return 0;
}

static int compare_artifacts(const void *a, const void *b)
{
	const struct artifact *aa = a, *ab = b;
	int r = strcmp(aa->nevra, ab->nevra);

	return r ? r : aa->module < ab->module ? -1 : aa->module > ab->module;
}

/* Of all modules, as far as the documents came from that repository */
static int want_all(const struct modular *modular, const struct repository *repository, size_t arch,
		    struct artifacts *ret)
{
	const char *name = modular->load->set->arches.item[arch];
	size_t kept = 0;

	for (size_t i = 0; i < modular->set->count; i++) {
		const struct module *module = modular->set->module[i];

		for (size_t k = 0; k < module->document_count; k++) {
			const struct module_document *document = &module->document[k];

			if (modular_document(document, name) && document->origin &&
			    !strcmp(document->origin, repository->word) &&
			    want_document(modular, document, i, arch, ret) < 0)
				return -ENOMEM;
		}
	}
	if (ret->count)
		qsort(ret->item, ret->count, sizeof(*ret->item), compare_artifacts);
	/* contexts share packages: the first module has it */
	for (size_t i = 0; i < ret->count; i++)
		if (!kept || strcmp(ret->item[kept - 1].nevra, ret->item[i].nevra) != 0)
			ret->item[kept++] = ret->item[i];
	ret->count = kept;
	return 0;
}

/* ---- where it is ------------------------------------------------------- */

static int compare_nevra(const void *key, const void *item)
{
	return strcmp(key, ((const struct artifact *)item)->nevra);
}

static int match(struct artifacts *artifacts, const struct snapshot *snapshot)
{
	_cleanup_(text_done) struct text nevra = { 0 };

	for (uint32_t i = 0; i < snapshot_count(snapshot); i++) {
		struct snapshot_package package;
		struct artifact *found;

		snapshot_package_get(snapshot, i, &package);
		text_clear(&nevra);
		if (text_addf(&nevra, "%s-%" PRIu32 ":%s-%s.%s", package.name, package.epoch,
			      package.version, package.release, package.arch) < 0)
			return -ENOMEM;
		found = package.source ? NULL
				       : bsearch(nevra.data, artifacts->item, artifacts->count,
						 sizeof(*artifacts->item), compare_nevra);
		if (found && found->index == NOWHERE)
			found->index = i;
	}
	return 0;
}

static int take(const struct modular *modular, size_t number, size_t arch,
		const struct artifact *artifact, struct error *err)
{
	struct load *load = modular->load;
	struct snapshot_package package;

	snapshot_package_get(load->repository[number].held->snapshot, artifact->index, &package);
	return rows_add(load, number, artifact->index, arch,
			package.debug ? COMPOSER_DEBUG : COMPOSER_OS,
			modular->reason[artifact->module], err);
}

static bool is_debug(const char *nevra)
{
	_cleanup_(freep) char *buffer = malloc(strlen(nevra) + 1);
	struct nevra parts;

	return buffer && nevra_parse(nevra, buffer, &parts) == 0 && package_is_debug(parts.name);
}

/* Repositories list what they do not have, as when older builds were pruned: named, and no error.
 * Debug packages often have a repository of their own: the log counts them. */
static void tell_absent(const struct modular *modular, const char *arch,
			const struct artifacts *artifacts)
{
	struct load *load = modular->load;
	size_t *told = calloc(modular->set->count + 1, sizeof(*told)), debug = 0, logged = 0;

	for (size_t i = 0; told && i < artifacts->count; i++) {
		const struct artifact *artifact = &artifacts->item[i];
		const struct module *module = modular->set->module[artifact->module];

		if (artifact->index != NOWHERE)
			continue;
		if (logged++ < MODULAR_NAMES_LOGGED)
			(void)text_addf(&load->log, "%s: %s: %s is not in its repository\n", arch,
					module->nsvc, artifact->nevra);
		if (is_debug(artifact->nevra))
			debug++;
		else if (told[artifact->module]++ < MODULAR_NAMES_SHOWN)
			load_say(load, "%s: %s: %s is not in its repository", arch, module->nsvc,
				 artifact->nevra);
	}
	if (logged > MODULAR_NAMES_LOGGED)
		(void)text_addf(&load->log, "%s: nor are %zu more\n", arch,
				logged - MODULAR_NAMES_LOGGED);
	for (size_t i = 0; told && i < modular->set->count; i++)
		if (told[i] > MODULAR_NAMES_SHOWN)
			load_say(load, "%s: %s: nor are %zu more", arch,
				 modular->set->module[i]->nsvc, told[i] - MODULAR_NAMES_SHOWN);
	if (debug)
		load_say(load, "%s: %zu debug packages are not in their repository", arch, debug);
	free(told);
}

static int add_repository(const struct modular *modular, size_t number, size_t arch,
			  struct error *err)
{
	struct load *load = modular->load;
	const struct repository *repository = &load->repository[number];
	_cleanup_(artifacts_done) struct artifacts artifacts = { 0 };
	int r = 0;

	if (want_all(modular, repository, arch, &artifacts) < 0)
		return error_oom(err);
	if (!artifacts.count)
		return 0;
	if (match(&artifacts, repository->held->snapshot) < 0)
		return error_oom(err);
	for (size_t i = 0; i < artifacts.count && r == 0; i++)
		if (artifacts.item[i].index != NOWHERE)
			r = take(modular, number, arch, &artifacts.item[i], err);
	if (r == 0)
		tell_absent(modular, load->set->arches.item[arch], &artifacts);
	return r;
}

/* ---- the whole --------------------------------------------------------- */

static int add_arch(const struct modular *modular, size_t arch, struct error *err)
{
	struct load *load = modular->load;
	const char *name = load->set->arches.item[arch];
	size_t first = load->set->composition.count, count;
	int r = rows_begin(load) < 0 ? error_oom(err) : 0;

	for (size_t i = 0; i < load->sources && r == 0; i++)
		r = add_repository(modular, i, arch, err);
	if (r == 0)
		r = modular_add_built(modular, arch, err);
	count = load->set->composition.count - first;
	if (r == 0)
		r = rows_add_debug(load, arch, first, false, err);
	if (r < 0)
		return r;
	(void)text_addf(&load->log, "%s: %zu packages of modules, %zu with debug\n", name, count,
			load->set->composition.count - first);
	load->step++;
	load_progress(load, "modules", "%s %zu packages", name, count);
	return 0;
}

static bool has_arch(const struct modular *modular, const struct module *module, size_t arch)
{
	for (size_t i = 0; i < module->document_count; i++)
		if (modular_document(&module->document[i], modular->load->set->arches.item[arch]))
			return true;
	return false;
}

/* A repository is for one arch, and so are its documents. */
static int check_arches(const struct modular *modular, struct error *err)
{
	const struct strings *arches = &modular->load->set->arches;

	for (size_t i = 0; i < modular->set->count; i++) {
		const struct module *module = modular->set->module[i];
		size_t have = 0;

		for (size_t arch = 0; arch < arches->count; arch++) {
			if (has_arch(modular, module, arch))
				have++;
			else
				(void)text_addf(&modular->load->log,
						"%s: there is no document of %s\n",
						arches->item[arch], module->nsvc);
		}
		if (!have && !strcmp(module->why, "requested"))
			return error_set(err, -ENOENT, BLAME_REQUEST, "arches",
					 "Module %s is not for any of these arches", module->nsvc);
	}
	return 0;
}

int modular_rows(struct modular *modular, struct error *err)
{
	int r = check_arches(modular, err);

	for (size_t i = 0; i < modular->load->set->arches.count && r == 0; i++)
		r = add_arch(modular, i, err);
	return r < 0 ? r : rows_add_sources(modular->load, false, err);
}
