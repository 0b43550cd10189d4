/* SPDX-License-Identifier: MIT */
/* resolver/sources/content.c: the RPMs of modules that Koji built: those of the tag that its build
 * names (content_koji_tag), with the copies that the signing keys permit.
 *
 * What was built for the module and filtered out of it is in that tag, too, and left out here;
 * where a document lists artifacts, they are all there is. */
#include "resolver/koji/builds.h"
#include "resolver/sources/modular.h"

#define WORD "Koji builds" /* in messages */

static bool is_built(const struct modular *modular, const struct module *module)
{
	return modular->built[module->supplier];
}

static size_t owner_of(const struct modular *modular, const struct candidate *candidate)
{
	const struct tagged *tagged = modular->tagged;

	for (size_t i = 0; i < tagged->listing_count; i++)
		if (tagged->listing[i] == candidate->listing)
			return modular->owner[i];
	return MODULAR_NOBODY;
}

const struct module *modular_owner(const struct modular *modular,
				   const struct composer_package *row)
{
	size_t owner;

	if (!modular->tagged->visible ||
	    row->snapshot != modular->load->repository[0].held->snapshot)
		return NULL;
	owner = owner_of(modular, &modular->tagged->item[row->index]);
	return owner == MODULAR_NOBODY ? NULL : modular->set->module[owner];
}

/* ---- what of it is the module's ---------------------------------------- */

static bool is_source(const struct candidate *candidate)
{
	const char *arch = koji_text(candidate->listing, candidate->rpm->arch);

	return !strcmp(arch, "src") || !strcmp(arch, "nosrc");
}

static int add_nevra(struct text *ret, const struct candidate *candidate)
{
	const struct koji_rpm *rpm = candidate->rpm;
	const struct koji_listing *listing = candidate->listing;

	return text_addf(ret, "%s-%" PRId32 ":%s-%s.%s", koji_text(listing, rpm->name),
			 rpm->epoch > 0 ? rpm->epoch : 0, koji_text(listing, rpm->version),
			 koji_text(listing, rpm->release), koji_text(listing, rpm->arch));
}

/* 1: it is; or -ENOMEM */
static int is_content(const struct module *module, const struct candidate *candidate,
		      const char *arch)
{
	const char *name = koji_text(candidate->listing, candidate->rpm->name);
	_cleanup_(text_done) struct text nevra = { 0 };
	bool listed = false, found = false;

	if (add_nevra(&nevra, candidate) < 0)
		return -ENOMEM;
	for (size_t i = 0; i < module->document_count; i++) {
		const struct module_document *document = &module->document[i];

		if (!modular_document(document, arch))
			continue;
		if (strings_has_sorted(&document->filtered, name) ||
		    strings_has_sorted(&document->demodularized, name))
			return 0;
		listed |= document->artifacts.count > 0;
		found |= strings_has_sorted(&document->artifacts, nevra.data);
	}
	return !listed || found;
}

/* What no arch wants is no candidate at all: else the solver of a tag's compose would see it. */
static int drop_filtered(const struct modular *modular, const struct module *module, size_t before,
			 struct error *err)
{
	struct tagged *tagged = modular->tagged;
	size_t kept = before;

	for (size_t i = before; i < tagged->count; i++) {
		const struct candidate *candidate = &tagged->item[i];
		int wanted = is_source(candidate);

		for (size_t arch = 0; arch < modular->load->set->arches.count && !wanted; arch++)
			wanted = is_content(module, candidate,
					    modular->load->set->arches.item[arch]);
		if (wanted < 0)
			return error_oom(err);
		if (wanted)
			tagged->item[kept++] = *candidate;
	}
	tagged->count = kept;
	return 0;
}

/* ---- what is not there ------------------------------------------------- */

/* Is it to be in the compose, of some arch? 1, 0, or -ENOMEM. Debug and source packages are for
 * those who built them. */
static int is_listed(const struct modular *modular, const struct module_document *document,
		     const char *nevra)
{
	const struct strings *arches = &modular->load->set->arches;
	_cleanup_(freep) char *buffer = malloc(strlen(nevra) + 1);
	struct nevra parts;

	if (!buffer)
		return -ENOMEM;
	if (nevra_parse(nevra, buffer, &parts) < 0 || package_is_debug(parts.name) ||
	    strings_has_sorted(&document->filtered, parts.name) ||
	    strings_has_sorted(&document->demodularized, parts.name))
		return 0;
	for (size_t arch = 0; arch < arches->count; arch++)
		if (modular_document(document, arches->item[arch]) &&
		    modular_is_for(modular, parts.arch, arch))
			return 1;
	return 0;
}

/* What a document lists and its tag has not is named, as where repositories have it. */
static int tell_absent(const struct modular *modular, const struct module *module,
		       const struct strings *there, size_t *ret_listed, size_t *ret_absent)
{
	struct load *load = modular->load;

	for (size_t i = 0; i < module->document_count; i++)
		for (size_t k = 0; k < module->document[i].artifacts.count; k++) {
			const char *nevra = module->document[i].artifacts.item[k];
			int listed = is_listed(modular, &module->document[i], nevra);

			if (listed < 0)
				return -ENOMEM;
			*ret_listed += (size_t)listed;
			if (!listed || strings_has_sorted(there, nevra))
				continue;
			if (*ret_absent < MODULAR_NAMES_LOGGED)
				(void)text_addf(&load->log, "%s: %s is not in tag %s\n",
						module->nsvc, nevra, module->koji_tag);
			if ((*ret_absent)++ < MODULAR_NAMES_SHOWN)
				load_say(load, "%s: %s is not in tag %s", module->nsvc, nevra,
					 module->koji_tag);
		}
	return 0;
}

static int check_content(const struct modular *modular, const struct module *module, size_t before,
			 struct error *err)
{
	const struct tagged *tagged = modular->tagged;
	_cleanup_(strings_done) struct strings there = { 0 };
	size_t listed = 0, absent = 0;

	for (size_t i = before; i < tagged->count; i++) {
		_cleanup_(text_done) struct text nevra = { 0 };

		if (add_nevra(&nevra, &tagged->item[i]) < 0 || strings_add(&there, nevra.data) < 0)
			return error_oom(err);
	}
	strings_sort(&there);
	if (tell_absent(modular, module, &there, &listed, &absent) < 0)
		return error_oom(err);
	if (absent > MODULAR_NAMES_SHOWN)
		load_say(modular->load, "%s: nor are %zu more", module->nsvc,
			 absent - MODULAR_NAMES_SHOWN);
	if (listed == 0 || absent < listed)
		return 0;
	return error_set(err, -ENOENT, BLAME_SOURCE, NULL,
			 "None of the %zu packages of module %s is in its tag %s", listed,
			 module->nsvc, module->koji_tag);
}

/* ---- what is in the tags ----------------------------------------------- */

static int list_module(struct modular *modular, size_t number, struct error *err)
{
	const struct module *module = modular->set->module[number];
	struct tagged *tagged = modular->tagged;
	const struct hub_listing_options options = { .event = HUB_NOW,
						     .latest = true,
						     .signatures = tagged->remote &&
								   tagged->signing.keys.count,
						     .arches = &modular->site->arches };
	struct koji_listing *listing = NULL;
	size_t before;
	int r;

	if (!module->koji_tag)
		return error_set(err, -ENOENT, BLAME_SOURCE, NULL,
				 "Koji does not say where the packages of module %s are",
				 module->nsvc);
	load_progress(modular->load, "koji", "%s", module->koji_tag);
	r = hub_list(modular->site->hub, module->koji_tag, &options, &listing, err);
	if (r < 0)
		return error_prefix(err, "module %s", module->nsvc);
	for (size_t i = 0; i < listing->rpm_count; i++)
		if (listing->rpm[i].buildtime > modular->newest)
			modular->newest = listing->rpm[i].buildtime;
	modular->owner[tagged->listing_count] = number;
	before = tagged->count;
	r = tagged_add(tagged, listing, &modular->site->arches, NULL, err);
	if (r == 0)
		r = drop_filtered(modular, module, before, err);
	return r < 0 ? r : check_content(modular, module, before, err);
}

/* Is it wanted for an arch? 1, 0, or -ENOMEM. Debug and source packages follow what is. */
static int is_wanted(const struct modular *modular, const struct candidate *candidate, size_t arch)
{
	const struct koji_listing *listing = candidate->listing;
	size_t owner = owner_of(modular, candidate);

	if (owner == MODULAR_NOBODY ||
	    !modular_is_for(modular, koji_text(listing, candidate->rpm->arch), arch) ||
	    package_is_debug(koji_text(listing, candidate->rpm->name)))
		return 0;
	return is_content(modular->set->module[owner], candidate,
			  modular->load->set->arches.item[arch]);
}

/* All of a module is in its compose, or there is none. */
int modular_check_built(const struct modular *modular, struct error *err)
{
	const struct tagged *tagged = modular->tagged;

	for (size_t i = tagged->visible; i < tagged->count; i++)
		for (size_t arch = 0; arch < modular->load->set->arches.count; arch++) {
			int wanted = is_wanted(modular, &tagged->item[i], arch);

			if (wanted)
				return wanted < 0 ? error_oom(err)
						  : tagged_refuse(tagged, &tagged->item[i], err);
		}
	return 0;
}

/* ---- opened ------------------------------------------------------------ */

static void insert_repository(struct load *load)
{
	memmove(&load->repository[1], &load->repository[0],
		load->count * sizeof(*load->repository));
	load->repository[0] = (struct repository){ .word = WORD };
	load->count++;
	load->sources++;
}

int modular_list_built(struct modular *modular, struct error *err)
{
	const struct module_set *set = modular->set;
	size_t others = modular->tagged->listing_count, before = modular->tagged->count;
	int64_t start = time_monotonic_ms();
	int r = 0;

	modular->owner = calloc(others + set->count + 1, sizeof(*modular->owner));
	if (!modular->owner)
		return error_oom(err);
	for (size_t i = 0; i < others; i++)
		modular->owner[i] = MODULAR_NOBODY;
	for (size_t i = 0; i < set->count && r == 0; i++)
		if (is_built(modular, set->module[i]))
			r = list_module(modular, i, err);
	if (r == 0 && modular->tagged->listing_count > others)
		load_say(modular->load, "%zu packages of %zu modules listed in %" PRId64 " ms",
			 modular->tagged->count - before, modular->tagged->listing_count - others,
			 time_monotonic_ms() - start);
	return r;
}

int modular_open_built(struct modular *modular, struct error *err)
{
	struct load *load = modular->load;
	int r = modular_list_built(modular, err);

	if (r < 0 || !modular->tagged->count)
		return r;
	r = signing_choose(load, modular->tagged, err);
	if (r == 0)
		r = modular_check_built(modular, err);
	if (r < 0 || !modular->tagged->visible)
		return r;
	insert_repository(load);
	return tagged_open(load, modular->tagged, err);
}

int modular_add_built(const struct modular *modular, size_t arch, struct error *err)
{
	const struct tagged *tagged = modular->tagged;
	struct load *load = modular->load;
	int r = 0;

	for (uint32_t i = 0; i < tagged->visible && r >= 0; i++) {
		const struct candidate *candidate = &tagged->item[i];

		r = is_wanted(modular, candidate, arch);
		if (r < 0)
			return error_oom(err);
		if (!r)
			continue;
		r = held_limits(load->repository[0].held, i, load->set->arches.item[arch], err);
		if (r == 0)
			r = rows_add(load, 0, i, arch, COMPOSER_OS,
				     modular->reason[owner_of(modular, candidate)], err);
	}
	return r < 0 ? r : 0;
}

int modular_finish_built(struct modular *modular, struct error *err)
{
	return modular->tagged->visible ? tagged_finish(modular->load, modular->tagged, err) : 0;
}

/* ---- suppliers of what Koji built -------------------------------------- */

int modular_open_koji(struct modular *modular, struct error *err)
{
	const struct spec *spec = modular->load->context->job->spec;
	const struct module_koji koji = { .hub = modular->site->hub,
					  .tags = &spec->modular_koji_tags,
					  .event = modular->event,
					  .inherit = !(spec->flags & FLAG_NO_INHERITANCE),
					  .log = modular_log(modular->load) };
	int r = modules_from_koji(&koji, &modular->supplier[modular->supplier_count], err);

	if (r == 0)
		modular->built[modular->supplier_count++] = true;
	return r;
}

int modular_open_mbs(struct modular *modular, struct error *err)
{
	const struct job_module *site = &modular->load->context->job->module;
	const struct module_mbs mbs = { .url = site->mbs,
					.transport = modular->site->transport,
					.call_ms = site->call_seconds * 1000,
					.log = modular_log(modular->load) };
	int r = modules_from_mbs(&mbs, &modular->supplier[modular->supplier_count], err);

	if (r == 0)
		modular->built[modular->supplier_count++] = true;
	return r;
}

/* ---- beside a tag ------------------------------------------------------ */

int modular_check_scratch(const struct load *load, struct error *err)
{
	const struct job *job = load->context->job;

	if (job->spec->scratch_modules.count && !job->module.mbs)
		return error_set(
			err, -EOPNOTSUPP, BLAME_REQUEST, NULL,
			"scratch_modules: module.mbs, which knows them, is not configured");
	return 0;
}

/* Of one name all streams, once */
static int add_name(struct modular *modular, const char *name, struct strings *seen,
		    struct module_list *list, struct error *err)
{
	struct module_supplier *supplier = modular->supplier[0];
	const struct module_query query = { .word = { .name = name },
					    .base_lte = -1,
					    .base_gte = -1 };

	if (strings_has(seen, name))
		return 0;
	if (strings_add(seen, name) < 0)
		return error_oom(err);
	return supplier->ops->find(supplier, &query, list, err);
}

static int list_tags(struct modular *modular, struct module_list *list, struct error *err)
{
	const struct spec *spec = modular->load->context->job->spec;
	const struct strings *tags = &spec->modular_koji_tags;
	_cleanup_(strings_done) struct strings seen = { 0 };
	int r = tags->count ? modular_open_koji(modular, err) : 0;

	for (size_t i = 0; i < tags->count && r == 0; i++) {
		_cleanup_(koji_names_done) struct koji_names names = { 0 };

		r = hub_tagged_modules(modular->site->hub, tags->item[i], modular->event,
				       !(spec->flags & FLAG_NO_INHERITANCE), &names, err);
		for (size_t k = 0; k < names.count && r == 0; k++)
			r = add_name(modular, names.item[k].name, &seen, list, err);
	}
	for (size_t i = 0; i < list->count && r == 0; i++) {
		list->item[i]->supplier = 0;
		list->item[i]->why = strdup("requested");
		if (!list->item[i]->why)
			r = error_oom(err);
	}
	return r;
}

static bool is_there(const struct module_list *list, const char *nsvc)
{
	for (size_t i = 0; i < list->count; i++)
		if (!strcmp(list->item[i]->nsvc, nsvc))
			return true;
	return false;
}

static int list_scratch(struct modular *modular, struct module_list *list, struct error *err)
{
	const struct job *job = modular->load->context->job;
	_cleanup_(module_wishes_done) struct module_wishes wishes = { 0 };
	_cleanup_(module_set_freep) struct module_set *set = NULL;
	const struct modules_question question = { .scratch = &wishes,
						   .base_modules = &job->module.base_modules,
						   .base_lte = -1,
						   .base_gte = -1,
						   .log = modular_log(modular->load) };
	size_t number = modular->supplier_count;
	int r;

	if (!job->spec->scratch_modules.count)
		return 0;
	r = modules_parse_source(&job->spec->scratch_modules, &wishes, err);
	if (r == 0)
		r = modular_open_mbs(modular, err);
	if (r == 0)
		r = modules_resolve(&question, &modular->supplier[number], 1, &set, err);
	for (size_t i = 0; r == 0 && i < set->count; i++) {
		if (is_there(list, set->module[i]->nsvc))
			continue;
		set->module[i]->supplier = number;
		r = module_list_add(list, set->module[i], err);
		if (r == 0)
			set->module[i] = NULL;
	}
	return r;
}

static int compare_modules(const void *a, const void *b)
{
	return strcmp((*(struct module *const *)a)->nsvc, (*(struct module *const *)b)->nsvc);
}

int modular_beside(struct modular *modular, struct error *err)
{
	_cleanup_(module_list_done) struct module_list list = { 0 };
	struct module_set *set;
	int r = list_tags(modular, &list, err);

	if (r == 0)
		r = list_scratch(modular, &list, err);
	if (r < 0)
		return r;
	set = calloc(1, sizeof(*set));
	if (!set)
		return error_oom(err);
	modular->set = set;
	set->module = list.item;
	set->count = list.count;
	list = (struct module_list){ 0 };
	if (set->count)
		qsort(set->module, set->count, sizeof(*set->module), compare_modules);
	return 0;
}
