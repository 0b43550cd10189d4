/* SPDX-License-Identifier: MIT */
/* resolver/sources/module.c: source type "module": modules, and those they need, become a package
 * set.
 *
 *   repomd.xml, modules.yaml of the site's repositories, MBS, or Koji's tags ─► which modules ─►
 * resolved? ─► snapshots and artifacts, RPMs in Koji's tags
 *
 * docs/modules.md draws it. modular_koji_tags leave everything to Koji. The repositories are the
 * site's, and read with the service's rights; lookaside_repos have nothing to say where nothing is
 * solved. */
#include "resolver/sources/modular.h"

/** struct choosing - a job of this type */
struct choosing {
	struct load *load;
	const struct spec *spec;
	const struct job_module *site;
	struct transport *files; /* of the service */
	struct text *text;	 /* modulemd documents of each repository */
	size_t text_count;
	struct module_wishes wishes, scratch;
	struct site koji;
	struct tagged tagged;
	struct modular modular;
};

static void choosing_done(struct choosing *choosing)
{
	modular_done(&choosing->modular);
	site_done(&choosing->koji);
	tagged_done(&choosing->tagged);
	module_wishes_done(&choosing->wishes);
	module_wishes_done(&choosing->scratch);
	for (size_t i = 0; i < choosing->text_count; i++)
		text_done(&choosing->text[i]);
	free(choosing->text);
	transport_free(choosing->files);
}

/* Are there modules that Koji built? */
static bool asks_koji(const struct choosing *choosing)
{
	return choosing->spec->modular_koji_tags.count || choosing->site->mbs;
}

static int judge(struct choosing *choosing, struct error *err)
{
	const struct spec *spec = choosing->spec;
	int r = modular_check_scratch(choosing->load, err);

	if (r < 0)
		return r;
	if (asks_koji(choosing) && !site_exists(choosing->load->context))
		return error_set(err, -EOPNOTSUPP, BLAME_REQUEST, NULL, SITE_ABSENT);
	if (!asks_koji(choosing) && !choosing->site->repos.count)
		return error_set(err, -EOPNOTSUPP, BLAME_REQUEST, NULL,
				 "This service knows no modules: neither module.repos nor "
				 "module.mbs is configured");
	if (spec->scratch_build_tasks.count)
		load_say(choosing->load, "scratch_build_tasks: no module has their packages");
	if (spec->lookaside_repos.count)
		load_say(choosing->load, "lookaside_repos: nothing is solved for modules");
	if (spec->sigkeys.count && choosing->site->repos.count && !spec->modular_koji_tags.count)
		load_say(choosing->load, "sigkeys: signatures in repositories are not looked at");
	r = modules_parse_source(&spec->source, &choosing->wishes, err);
	return r < 0 ? r : modules_parse_source(&spec->scratch_modules, &choosing->scratch, err);
}

/* ---- repositories ------------------------------------------------------ */

/* Not what was asked for is wrong, but what the site has. */
static int name_site(struct error *err)
{
	if (err->blame == BLAME_REQUEST)
		err->blame = BLAME_SOURCE;
	err->field[0] = '\0';
	return error_prefix(err, "module.repos");
}

static int find_repositories(struct choosing *choosing, struct error *err)
{
	const struct strings none = { 0 };
	const struct strings *repos =
		choosing->spec->modular_koji_tags.count ? &none : &choosing->site->repos;
	struct load *load = choosing->load;
	int r = load_site(load->context, &choosing->files, err);

	load->repository = calloc(repos->count + 2, sizeof(*load->repository)); /* and Koji */
	choosing->text = calloc(repos->count + 1, sizeof(*choosing->text));
	if (!load->repository || !choosing->text)
		return error_oom(err);
	load->sources = load->count = choosing->text_count = repos->count;
	for (size_t i = 0; i < repos->count && r == 0; i++) {
		struct repository *repository = &load->repository[i];

		repository->word = repos->item[i];
		repository->files = choosing->files;
		load_progress(load, "metadata", "%s", repository->word);
		r = repository_find(load, repository, err);
		if (r == 0)
			r = repository_modules(load, repository, &choosing->text[i], err);
		if (r < 0)
			return name_site(err);
	}
	return r;
}

static int open_texts(struct choosing *choosing, struct error *err)
{
	_cleanup_(freep) struct module_text *texts =
		calloc(choosing->text_count + 1, sizeof(*texts));
	struct modular *modular = &choosing->modular;
	int r;

	if (!texts)
		return error_oom(err);
	for (size_t i = 0; i < choosing->text_count; i++)
		texts[i] = (struct module_text){ .label = choosing->load->repository[i].word,
						 .bytes = choosing->text[i].data,
						 .length = choosing->text[i].length };
	r = modules_from_texts(texts, choosing->text_count, modular_log(choosing->load),
			       &modular->supplier[modular->supplier_count], err);
	if (r == 0)
		modular->supplier_count++;
	return r;
}

/* MBS is behind Koji for scratch modules only. */
static int open_suppliers(struct choosing *choosing, struct error *err)
{
	struct modular *modular = &choosing->modular;
	bool tags = choosing->spec->modular_koji_tags.count > 0;
	struct hub_event event = { 0 };
	int r = 0;

	if (choosing->text_count)
		r = open_texts(choosing, err);
	if (r == 0 && asks_koji(choosing))
		r = site_open(modular->site, modular->tagged, err);
	if (r == 0 && tags && modular->event != HUB_NOW)
		r = site_event(modular->site, modular->event, &event, err);
	if (r == 0 && tags)
		r = modular_open_koji(modular, err);
	if (r == 0 && choosing->site->mbs && (!tags || choosing->scratch.count))
		r = modular_open_mbs(modular, err);
	return r;
}

/* Repositories without a document of the set need not be opened. */
static bool is_needed(const struct module_set *set, const struct repository *repository)
{
	for (size_t i = 0; i < set->count; i++)
		for (size_t k = 0; k < set->module[i]->document_count; k++)
			if (!strcmp(set->module[i]->document[k].origin, repository->word))
				return true;
	return false;
}

static void drop_unneeded(struct load *load, const struct module_set *set)
{
	size_t kept = 0;

	for (size_t i = 0; i < load->count; i++) {
		if (is_needed(set, &load->repository[i]))
			load->repository[kept++] = load->repository[i];
		else
			repomd_free(load->repository[i].repomd);
	}
	load->sources = load->count = kept;
}

/* ---- which modules ----------------------------------------------------- */

static int resolve(struct choosing *choosing, struct error *err)
{
	const struct spec *spec = choosing->spec;
	const struct modules_question question = {
		.wishes = &choosing->wishes,
		.scratch = choosing->scratch.count ? &choosing->scratch : NULL,
		.base_modules = &choosing->site->base_modules,
		.flags = spec->flags,
		.base_name = spec->base_module_br_name,
		.base_stream = spec->base_module_br_stream,
		.base_lte = spec->base_module_br_stream_version_lte,
		.base_gte = spec->base_module_br_stream_version_gte,
		.log = modular_log(choosing->load),
	};
	struct modular *modular = &choosing->modular;
	int64_t start = time_monotonic_ms();
	int r = modules_resolve(&question, modular->supplier, modular->supplier_count,
				&modular->set, err);

	if (r < 0) {
		err->field[0] = '\0'; /* as upstream says it */
		return r;
	}
	load_say(choosing->load, "%zu modules found in %" PRId64 " ms", modular->set->count,
		 time_monotonic_ms() - start);
	choosing->load->set->source = strdup(modular->set->source);
	return choosing->load->set->source ? 0 : error_oom(err);
}

/* All repositories count: any of them may say something of a module that another one has. */
static int ask(struct choosing *choosing, struct error *err)
{
	const struct source_context *context = choosing->load->context;
	const struct module_set *set = choosing->modular.set;
	struct resolution resolution = { .koji_event = -1 };
	_cleanup_(text_done) struct text text = { 0 };
	int r;

	(void)text_adds(&text, "odcsfs " ODCSFS_VERSION " module\n");
	if (asks_koji(choosing))
		site_identify(&choosing->koji, &choosing->tagged, -1, &text);
	for (size_t i = 0; i < set->count; i++)
		(void)text_addf(&text, "%zu:%s %zu:%s\n", strlen(set->module[i]->nsvc),
				set->module[i]->nsvc, strlen(set->module[i]->why),
				set->module[i]->why);
	r = load_identify(choosing->load, &text, err);
	if (r < 0)
		return r;
	sha256_hex(text.data, text.length, resolution.inputs);
	return context->resolved ? context->resolved(context->data, &resolution, err) : 0;
}

/* ---- the whole --------------------------------------------------------- */

static int finish(struct choosing *choosing, struct error *err)
{
	const struct load *load = choosing->load;
	struct composition *composition = &load->set->composition;
	int64_t timestamp = choosing->modular.newest;

	for (size_t i = choosing->tagged.visible ? 1 : 0; i < load->sources; i++) {
		int64_t one = snapshot_timestamp(load->repository[i].held->snapshot);

		timestamp = one > timestamp ? one : timestamp;
	}
	composition->timestamp = composition->revision = timestamp;
	load->set->depsolve_log = text_steal(&choosing->load->log);
	if (!load->set->depsolve_log)
		return error_oom(err);
	composition->depsolve_log = load->set->depsolve_log;
	return 0;
}

static int run(struct choosing *choosing, struct error *err)
{
	struct load *load = choosing->load;
	int r = judge(choosing, err);

	if (r == 0)
		r = find_repositories(choosing, err);
	if (r == 0)
		r = open_suppliers(choosing, err);
	if (r == 0)
		r = resolve(choosing, err);
	if (r == 0)
		r = ask(choosing, err);
	if (r == 0)
		r = modular_explain(&choosing->modular, err);
	if (r < 0)
		return r;
	drop_unneeded(load, choosing->modular.set);
	load->steps = (int64_t)(load->count + load->set->arches.count + 2);
	r = modular_open_built(&choosing->modular, err);
	load->step++;
	if (r == 0)
		r = load_open(load, err);
	if (r == 0)
		r = modular_rows(&choosing->modular, err);
	if (r == 0)
		r = modular_finish_built(&choosing->modular, err);
	if (r == 0)
		r = modular_describe(&choosing->modular, err);
	return r < 0 ? r : finish(choosing, err);
}

int module_load(const struct source_context *context, struct package_set **ret, struct error *err)
{
	const struct spec *spec = context->job->spec;
	_cleanup_(load_done) struct load load = { .context = context };
	_cleanup_(choosing_done) struct choosing choosing = { .load = &load,
							      .spec = spec,
							      .site = &context->job->module };
	int r = package_set_new(spec, &load.set, err);

	if (r < 0)
		return r;
	choosing.koji.load = &load;
	choosing.modular = (struct modular){
		.load = &load,
		.site = &choosing.koji,
		.tagged = &choosing.tagged,
		.event = spec->koji_event >= 0 ? spec->koji_event : HUB_NOW,
	};
	load.steps = (int64_t)(choosing.site->repos.count + load.set->arches.count + 2);
	r = run(&choosing, err);
	if (r < 0)
		return r;
	load_progress(&load, "repodata", "%zu packages", load.set->composition.count);
	*ret = steal(load.set);
	return 0;
}
