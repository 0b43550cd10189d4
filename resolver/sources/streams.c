/* SPDX-License-Identifier: MIT */
/* resolver/sources/streams.c: what a compose says of its modules: the YAML of each arch's repodata,
 * compose/metadata/modules.json, and why each of them is there.
 *
 * A document lists as artifacts what is in the compose and nothing else. */
#include "resolver/sources/modular.h"

void modular_done(struct modular *modular)
{
	module_set_free(modular->set);
	for (size_t i = 0; i < modular->supplier_count; i++)
		module_supplier_free(modular->supplier[i]);
	free(modular->reason);
	free(modular->owner);
}

static void on_log(void *data, const char *text)
{
	load_say(data, "%s", text);
}

struct module_log modular_log(struct load *load)
{
	return (struct module_log){ .write = on_log, .data = load };
}

/* ---- why --------------------------------------------------------------- */

#define REASON_HEAD "module " /* of packages; what follows is the module's own reason */

static const char *explain(const struct modular *modular, const struct module *module)
{
	_cleanup_(text_done) struct text text = { 0 };
	bool asked = !strcmp(module->why, "requested");

	(void)text_addf(&text, REASON_HEAD "%s: ", module->nsvc);
	if (asked && module->wish && strcmp(module->wish, module->nsvc) != 0)
		(void)text_addf(&text, "requested as %s", module->wish);
	else if (asked || !strcmp(module->why, "scratch"))
		(void)text_adds(&text, asked ? "requested" : "requested as scratch module");
	else
		(void)text_addf(&text, "required by module %s", module->why);
	return text.failed ? NULL : package_set_text(modular->load->set, text.data);
}

/* What the request says and this service cannot heed */
static void tell_ignored(const struct load *load)
{
	const struct spec *spec = load->context->job->spec;

	if (spec->module_defaults_url)
		load_say(load,
			 "module_defaults_url: nothing is fetched from %s; the defaults of "
			 "modules are those of module.repos",
			 spec->module_defaults_url);
}

int modular_explain(struct modular *modular, struct error *err)
{
	const struct module_set *set = modular->set;

	tell_ignored(modular->load);
	modular->reason = calloc(set->count + 1, sizeof(*modular->reason));
	if (!modular->reason)
		return error_oom(err);
	for (size_t i = 0; i < set->count; i++) {
		const char *words = explain(modular, set->module[i]);

		if (!words)
			return error_oom(err);
		modular->reason[i] = words;
		(void)text_addf(&modular->load->log, "%s\n", words);
		load_say(modular->load, "%s", words);
	}
	return 0;
}

/* ---- what is in the compose -------------------------------------------- */

/** struct built - a row of what Koji built */
struct built {
	const struct module *owner;
	const struct composer_package *row;
};

/** struct listed - NEVRAs of the rows, with epoch, each list sorted
 * @main, @debug: of one arch
 * @source: of all
 * @built: of that arch and of sources, by their modules */
struct listed {
	const struct modular *modular;
	size_t arch;
	struct strings main, debug, source;
	struct built *built;
	size_t built_count;
};

static void listed_done(struct listed *listed)
{
	strings_done(&listed->main);
	strings_done(&listed->debug);
	strings_done(&listed->source);
	free(listed->built);
}

static int row_nevra(const struct composer_package *row, struct text *ret)
{
	struct snapshot_package package;

	snapshot_package_get(row->snapshot, row->index, &package);
	return text_addf(ret, "%s-%" PRIu32 ":%s-%s.%s", package.name, package.epoch,
			 package.version, package.release,
			 package.source && strcmp(package.arch, "nosrc") ? "src" : package.arch);
}

static int compare_built(const void *a, const void *b)
{
	const struct built *ba = a, *bb = b;

	if (ba->owner != bb->owner)
		return (uintptr_t)ba->owner < (uintptr_t)bb->owner ? -1 : 1;
	return ba->row < bb->row ? -1 : ba->row > bb->row;
}

static int list_rows(const struct composition *composition, size_t arch, struct listed *ret)
{
	struct strings *const lists[] = { [COMPOSER_OS] = &ret->main,
					  [COMPOSER_DEBUG] = &ret->debug,
					  [COMPOSER_SOURCE] = &ret->source };

	ret->built = calloc(composition->count + 1, sizeof(*ret->built));
	if (!ret->built)
		return -ENOMEM;
	for (size_t i = 0; i < composition->count; i++) {
		const struct composer_package *row = &composition->package[i];
		const struct module *owner;
		_cleanup_(text_done) struct text nevra = { 0 };

		if (row->tree != COMPOSER_SOURCE && row->arch != arch)
			continue;
		if (row_nevra(row, &nevra) < 0 || strings_add(lists[row->tree], nevra.data) < 0)
			return -ENOMEM;
		owner = modular_owner(ret->modular, row);
		if (owner)
			ret->built[ret->built_count++] = (struct built){ owner, row };
	}
	for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
		strings_sort(lists[i]);
	qsort(ret->built, ret->built_count, sizeof(*ret->built), compare_built);
	return 0;
}

static bool is_listed(void *data, const struct module *module, const char *nevra)
{
	const struct listed *listed = data;

	(void)module;
	return strings_has_sorted(&listed->main, nevra) ||
	       strings_has_sorted(&listed->debug, nevra) ||
	       strings_has_sorted(&listed->source, nevra);
}

/* What Koji has of a module whose documents list nothing; with @everything in all trees. A NEVRA
 * may come twice. */
static int list_built(const struct listed *listed, const struct module *module, bool everything,
		      struct strings *ret)
{
	const struct built *built = listed->built;
	size_t low = 0, high = listed->built_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if ((uintptr_t)built[middle].owner < (uintptr_t)module)
			low = middle + 1;
		else
			high = middle;
	}
	for (; low < listed->built_count && built[low].owner == module; low++) {
		_cleanup_(text_done) struct text nevra = { 0 };

		if (!everything && built[low].row->tree != COMPOSER_OS)
			continue;
		if (row_nevra(built[low].row, &nevra) < 0 || strings_add(ret, nevra.data) < 0)
			return -ENOMEM;
	}
	return 0;
}

static int add_built(void *data, const struct module *module, struct strings *nevras)
{
	return list_built(data, module, true, nevras);
}

/* ---- modules.json ------------------------------------------------------ */

/* Sorted, each once */
static void sort_out(struct strings *list)
{
	size_t kept = 0;

	strings_sort(list);
	for (size_t i = 0; i < list->count; i++)
		if (kept && !strcmp(list->item[kept - 1], list->item[i]))
			free(list->item[i]);
		else
			list->item[kept++] = list->item[i];
	list->count = kept;
}

static int list_rpms(const struct module *module, const char *arch, const struct listed *listed,
		     struct strings *ret)
{
	if (list_built(listed, module, false, ret) < 0)
		return -ENOMEM;
	for (size_t i = 0; i < module->document_count; i++) {
		const struct module_document *document = &module->document[i];

		if (!modular_document(document, arch))
			continue;
		for (size_t k = 0; k < document->artifacts.count; k++) {
			const char *nevra = document->artifacts.item[k];

			if (strings_has_sorted(&listed->main, nevra) && strings_add(ret, nevra) < 0)
				return -ENOMEM;
		}
	}
	sort_out(ret);
	return 0;
}

static bool is_in_arch(const struct module *module, const char *arch)
{
	for (size_t i = 0; i < module->document_count; i++)
		if (modular_document(&module->document[i], arch))
			return true;
	return false;
}

/* The next entry, of module @number in @arch */
static int add_entry(const struct modular *modular, size_t number, size_t arch,
		     const struct listed *listed)
{
	struct package_set *set = modular->load->set;
	const struct module *module = modular->set->module[number];
	struct strings *rpms = &set->module_rpms[set->module_count];
	char version[24];

	(void)snprintf(version, sizeof(version), "%" PRIu64, module->version);
	set->module[set->module_count++] = (struct composer_module){
		.arch = (uint32_t)arch,
		.uid = package_set_text(set, module->nsvc),
		.name = package_set_text(set, module->name),
		.stream = package_set_text(set, module->stream),
		.version = package_set_text(set, version),
		.context = package_set_text(set, module->context),
		.koji_tag = module->koji_tag ? package_set_text(set, module->koji_tag) : NULL,
		.rpms = rpms,
		.reason = modular->reason[number] + sizeof(REASON_HEAD) + 1 + strlen(module->nsvc),
	};
	const struct composer_module *entry = &set->module[set->module_count - 1];

	if (!entry->uid || !entry->name || !entry->stream || !entry->version || !entry->context ||
	    (module->koji_tag && !entry->koji_tag))
		return -ENOMEM;
	return list_rpms(module, set->arches.item[arch], listed, rpms);
}

/* ---- the whole --------------------------------------------------------- */

static int describe_arch(const struct modular *modular, size_t arch, struct error *err)
{
	struct package_set *set = modular->load->set;
	_cleanup_(listed_done) struct listed listed = { .modular = modular, .arch = arch };
	_cleanup_(text_done) struct text yaml = { 0 };
	const struct modules_yaml_options options = {
		.arch = set->arches.item[arch],
		.artifact = is_listed,
		.add = add_built,
		.data = &listed,
		.log = modular_log(modular->load),
	};
	int r = list_rows(&set->composition, arch, &listed) < 0 ? error_oom(err) : 0;

	if (r == 0)
		r = modules_yaml(modular->set, modular->supplier, modular->supplier_count, &options,
				 &yaml, err);
	for (size_t i = 0; i < modular->set->count && r == 0; i++)
		if (is_in_arch(modular->set->module[i], set->arches.item[arch]) &&
		    add_entry(modular, i, arch, &listed) < 0)
			r = error_oom(err);
	if (r == 0 && yaml.length)
		set->arch_modules[arch] = text_steal(&yaml);
	return r;
}

int modular_describe(struct modular *modular, struct error *err)
{
	struct package_set *set = modular->load->set;
	size_t most = modular->set->count * set->arches.count;
	int r = 0;

	set->arch_modules = calloc(set->arches.count, sizeof(*set->arch_modules));
	set->module = calloc(most + 1, sizeof(*set->module));
	set->module_rpms = calloc(most + 1, sizeof(*set->module_rpms));
	if (!set->arch_modules || !set->module || !set->module_rpms)
		return error_oom(err);
	for (size_t i = 0; i < set->arches.count && r == 0; i++)
		r = describe_arch(modular, i, err);
	set->composition.arch_modules = (const char *const *)set->arch_modules;
	set->composition.module = set->module;
	set->composition.module_count = set->module_count;
	return r;
}
