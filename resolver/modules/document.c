/* SPDX-License-Identifier: MIT */
/* resolver/modules/document.c: one document in libmodulemd's hands: read into a struct module,
 * written again. Each gets an index of its own: one index is slow with many versions of a stream.
 */
#include "resolver/modules/objects.h"
#include "resolver/modules/parts.h"

/* ---- libmodulemd's words ---- */

static void drop(const char *domain, GLogLevelFlags level, const char *message, void *data)
{
	(void)domain;
	(void)level;
	(void)message;
	(void)data;
}

/* While it reads and writes, what GLib would say on stderr is dropped: a document may have it say a
 * line for each few of its bytes. Given to loud(), by the end of the block. */
static GLogFunc quiet(void)
{
	return g_log_set_default_handler(drop, NULL);
}

static void loud(const GLogFunc *before)
{
	(void)g_log_set_default_handler(*before, NULL);
}

/* @reason may be none: libmodulemd 2.14 forgets it now and then. */
static int refused(struct error *err, const GError *reason)
{
	int r = error_set(err, -EBADMSG, BLAME_SOURCE, NULL, "libmodulemd: %s",
			  reason ? reason->message : "refused without a reason");

	if (err)
		module_clean(err->message);
	return r;
}

static const GError *reason_of(const GPtrArray *failures, const GError *error)
{
	if (failures && failures->len > 0) {
		const GError *first =
			modulemd_subdocument_info_get_gerror(g_ptr_array_index(failures, 0));

		return first ? first : error;
	}
	return error;
}

static int index_text(ModulemdModuleIndex *index, const char *text, struct error *err)
{
	_cleanup_(loud) _unused_ GLogFunc before = quiet();
	_array_ GPtrArray *failures = NULL;
	_gerror_ GError *error = NULL;

	if (modulemd_module_index_update_from_string(index, text, FALSE, &failures, &error))
		return 0;
	return refused(err, reason_of(failures, error));
}

/* The one stream that is in @text, in form 2; borrowed from @index. */
static int index_stream(ModulemdModuleIndex *index, const char *text, ModulemdModuleStreamV2 **ret,
			struct error *err)
{
	_strv_ char **names = NULL;
	_gerror_ GError *error = NULL;
	ModulemdModule *module;
	GPtrArray *streams;
	int r = index_text(index, text, err);

	if (r < 0)
		return r;
	if (!modulemd_module_index_upgrade_streams(index, MD_MODULESTREAM_VERSION_TWO, &error))
		return refused(err, error);
	names = modulemd_module_index_get_module_names_as_strv(index);
	module = names && names[0] ? modulemd_module_index_get_module(index, names[0]) : NULL;
	streams = module ? modulemd_module_get_all_streams(module) : NULL;
	if (!streams || streams->len != 1 ||
	    !MODULEMD_IS_MODULE_STREAM_V2(g_ptr_array_index(streams, 0)))
		return error_set(err, -EBADMSG, BLAME_SOURCE, NULL, "not a document of a module");
	*ret = MODULEMD_MODULE_STREAM_V2(g_ptr_array_index(streams, 0));
	return 0;
}

/* ---- out of a stream ---- */

static int copy_text(char **to, const char *from, struct error *err)
{
	free(*to);
	*to = NULL;
	if (!from)
		return 0;
	*to = strdup(from);
	return *to ? 0 : error_oom(err);
}

static int copy_strv(struct strings *list, char **from, struct error *err)
{
	for (; from && *from; from++)
		if (strings_add(list, *from) < 0)
			return error_oom(err);
	strings_sort(list);
	return 0;
}

/* What is said of others is looked for and comes into words, too. */
static int check_requirement(const struct module_requirement *need, struct error *err)
{
	bool sound = module_is_part(need->name);

	for (size_t i = 0; i < need->streams.count; i++)
		sound = sound && module_is_part(need->streams.item[i]);
	if (need->streams.count > MODULES_MAX_STREAMS)
		return error_set(err, -EBADMSG, BLAME_SOURCE, NULL,
				 "more than %u streams of one module that it needs",
				 MODULES_MAX_STREAMS);
	if (sound)
		return 0;
	return error_set(err, -EBADMSG, BLAME_SOURCE, NULL,
			 "a module that it needs has characters in its name or stream that none "
			 "may have");
}

static int add_requirements(struct module *module, ModulemdDependencies *dependencies,
			    unsigned int set, struct error *err)
{
	_strv_ char **names = modulemd_dependencies_get_runtime_modules_as_strv(dependencies);
	struct module_requirement *list;
	int r = 0;

	list = reallocarray(module->requirement,
			    module->requirement_count + g_strv_length(names) + 1, sizeof(*list));
	if (!list)
		return error_oom(err);
	module->requirement = list;
	for (size_t i = 0; names[i] && r == 0; i++) {
		_strv_ char **streams =
			modulemd_dependencies_get_runtime_streams_as_strv(dependencies, names[i]);
		struct module_requirement *one = &list[module->requirement_count++];

		*one = (struct module_requirement){ .set = set };
		r = copy_text(&one->name, names[i], err);
		if (r == 0)
			r = copy_strv(&one->streams, streams, err);
		if (r == 0)
			r = check_requirement(one, err);
	}
	return r;
}

/* The base module that it is built for: @wanted, else the first build requirement. */
static int read_base(struct module *module, ModulemdDependencies *dependencies, const char *wanted,
		     struct error *err)
{
	_strv_ char **names = modulemd_dependencies_get_buildtime_modules_as_strv(dependencies);
	const char *name = names[0];
	_strv_ char **streams = NULL;
	int r;

	for (size_t i = 0; names[i]; i++)
		if (strcmp(names[i], wanted ? wanted : "platform") == 0)
			name = names[i];
	if (!name || module->base_name)
		return 0;
	streams = modulemd_dependencies_get_buildtime_streams_as_strv(dependencies, name);
	if (!streams || !streams[0] || streams[0][0] == '-')
		return 0;
	r = copy_text(&module->base_name, name, err);
	if (r == 0)
		r = copy_text(&module->base_stream, streams[0], err);
	module->base_version = module_base_version(streams[0]);
	return r;
}

static int read_dependencies(struct module *module, ModulemdModuleStreamV2 *stream,
			     const char *base_name, struct error *err)
{
	GPtrArray *list = modulemd_module_stream_v2_get_dependencies(stream);
	int r = 0;

	for (unsigned int i = 0; list && i < list->len && r == 0; i++) {
		r = add_requirements(module, g_ptr_array_index(list, i), i, err);
		if (r == 0)
			r = read_base(module, g_ptr_array_index(list, i), base_name, err);
	}
	return r;
}

static int write_yaml(ModulemdModuleIndex *index, char **ret, struct error *err)
{
	_cleanup_(loud) _unused_ GLogFunc before = quiet();
	_gerror_ GError *error = NULL;
	_gfree_ char *yaml = modulemd_module_index_dump_to_string(index, &error);

	if (!yaml)
		return refused(err, error);
	return copy_text(ret, yaml, err);
}

static int check_artifacts(const struct strings *artifacts, struct error *err)
{
	for (size_t i = 0; i < artifacts->count; i++) {
		const char *at = artifacts->item[i];

		if (strlen(at) > MODULES_MAX_NEVRA)
			return error_set(err, -EBADMSG, BLAME_SOURCE, NULL,
					 "an artifact of more than %u bytes", MODULES_MAX_NEVRA);
		for (; *at; at++)
			if ((unsigned char)*at <= ' ' || *at == 127)
				return error_set(err, -EBADMSG, BLAME_SOURCE, NULL,
						 "an artifact with a blank or control character");
	}
	return 0;
}

static int read_document(struct module *module, ModulemdModuleIndex *index,
			 ModulemdModuleStreamV2 *stream, const struct module_reading *how,
			 struct error *err)
{
	_strv_ char **artifacts = modulemd_module_stream_v2_get_rpm_artifacts_as_strv(stream);
	_strv_ char **given_up = modulemd_module_stream_v2_get_demodularized_rpms(stream);
	_strv_ char **filtered = modulemd_module_stream_v2_get_rpm_filters_as_strv(stream);
	struct module_document *document = calloc(1, sizeof(*document));
	int r;

	if (!document)
		return error_oom(err);
	module->document = document;
	module->document_count = 1;
	if (!how->keep_arch)
		modulemd_module_stream_v2_set_arch(stream, NULL);
	r = copy_text(&document->arch,
		      modulemd_module_stream_get_arch(MODULEMD_MODULE_STREAM(stream)), err);
	if (r == 0)
		r = copy_strv(&document->artifacts, artifacts, err);
	if (r == 0)
		r = check_artifacts(&document->artifacts, err);
	if (r == 0)
		r = copy_strv(&document->demodularized, given_up, err);
	if (r == 0)
		r = copy_strv(&document->filtered, filtered, err);
	if (r == 0)
		r = copy_text(&document->origin, how->origin, err);
	return r == 0 ? write_yaml(index, &document->yaml, err) : r;
}

/* As words of a request have them: a full name is kept, written down and asked for again. */
static int check_names(const struct module *module, struct error *err)
{
	const char *bad = !module->name[0] || !module_is_part(module->name)	  ? "name"
			  : !module->stream[0] || !module_is_part(module->stream) ? "stream"
			  : !module_is_part(module->context)			  ? "context"
										  : NULL;

	if (bad)
		return error_set(err, -EBADMSG, BLAME_SOURCE, NULL,
				 "its %s has characters that none may have", bad);
	if (strlen(module->nsvc) > SPEC_MAX_STRING)
		return error_set(err, -EBADMSG, BLAME_SOURCE, NULL,
				 "its full name is longer than %d bytes", SPEC_MAX_STRING);
	return 0;
}

static int read_names(struct module *module, ModulemdModuleStream *stream, struct error *err)
{
	const char *context = modulemd_module_stream_get_context(stream);
	int r = copy_text(&module->name, modulemd_module_stream_get_module_name(stream), err);

	module->version = modulemd_module_stream_get_version(stream);
	if (r == 0)
		r = copy_text(&module->stream, modulemd_module_stream_get_stream_name(stream), err);
	if (r == 0)
		r = copy_text(&module->context, context ? context : "", err);
	if (r == 0)
		r = module_name(module, err);
	return r == 0 ? check_names(module, err) : r;
}

/* ---- what it must say ---- */

static int differs(struct error *err, const char *what, const char *got, const char *want)
{
	int r = error_set(err, -EBADMSG, BLAME_SOURCE, NULL, "the document's %s is %s, not %s",
			  what, got, want);

	if (err)
		module_clean(err->message);
	return r;
}

static int check_expected(ModulemdModuleStream *stream, const struct module_word *expected,
			  struct error *err)
{
	const char *name = modulemd_module_stream_get_module_name(stream);
	const char *own = modulemd_module_stream_get_stream_name(stream);
	const char *context = modulemd_module_stream_get_context(stream);
	uint64_t version = 0;
	char number[24];

	if (expected->name && strcmp(expected->name, name) != 0)
		return differs(err, "name", name, expected->name);
	if (expected->stream && strcmp(expected->stream, own) != 0)
		return differs(err, "stream", own, expected->stream);
	if (expected->version && module_version(expected->version, &version) == 0) {
		uint64_t got = modulemd_module_stream_get_version(stream);

		(void)snprintf(number, sizeof(number), "%" PRIu64, got);
		if (got != 0 && got != version)
			return differs(err, "version", number, expected->version);
		modulemd_module_stream_set_version(stream, version);
	}
	if (expected->context && context && strcmp(context, expected->context) != 0)
		return differs(err, "context", context, expected->context);
	if (expected->context && expected->context[0])
		modulemd_module_stream_set_context(stream, expected->context);
	return 0;
}

int document_read(const struct piece *piece, const struct module_word *expected,
		  const struct module_reading *how, struct module **ret, struct error *err)
{
	_cleanup_(freep) char *text = strndup(piece->bytes, piece->length);
	_cleanup_(module_freep) struct module *module = calloc(1, sizeof(*module));
	_object_ ModulemdModuleIndex *index = modulemd_module_index_new();
	ModulemdModuleStreamV2 *stream;
	int r;

	if (!text || !module)
		return error_oom(err);
	module->base_version = -1;
	r = index_stream(index, text, &stream, err);
	if (r == 0 && expected)
		r = check_expected(MODULEMD_MODULE_STREAM(stream), expected, err);
	if (r == 0)
		r = read_names(module, MODULEMD_MODULE_STREAM(stream), err);
	if (r == 0)
		r = read_dependencies(module, stream, how->base_name, err);
	if (r == 0)
		r = read_document(module, index, stream, how, err);
	if (r == 0)
		*ret = steal(module);
	return r;
}

/* ---- under another name ---- */

static int require_old(struct module *module, struct error *err)
{
	struct module_requirement *list =
		reallocarray(module->requirement, module->requirement_count + 1, sizeof(*list));
	struct module_requirement *one;
	int r;

	if (!list)
		return error_oom(err);
	module->requirement = list;
	one = &list[module->requirement_count++];
	*one = (struct module_requirement){ 0 };
	r = copy_text(&one->name, module->name, err);
	if (r == 0 && strings_add(&one->streams, module->stream) < 0)
		r = error_oom(err);
	return r;
}

static int rename_document(struct module_document *document, const struct module *module,
			   const char *name, struct error *err)
{
	_object_ ModulemdModuleIndex *index = modulemd_module_index_new();
	_object_ ModulemdModuleIndex *renamed = modulemd_module_index_new();
	_object_ ModulemdModuleStream *copy = NULL;
	_gerror_ GError *error = NULL;
	ModulemdModuleStreamV2 *stream;
	GPtrArray *list;
	int r = index_stream(index, document->yaml, &stream, err);

	if (r < 0)
		return r;
	copy = modulemd_module_stream_copy(MODULEMD_MODULE_STREAM(stream), name, NULL);
	list = modulemd_module_stream_v2_get_dependencies(MODULEMD_MODULE_STREAM_V2(copy));
	for (unsigned int i = 0; list && i < list->len; i++)
		modulemd_dependencies_add_runtime_stream(g_ptr_array_index(list, i), module->name,
							 module->stream);
	if (!list || list->len == 0) {
		_object_ ModulemdDependencies *one = modulemd_dependencies_new();

		modulemd_dependencies_add_runtime_stream(one, module->name, module->stream);
		modulemd_module_stream_v2_add_dependencies(MODULEMD_MODULE_STREAM_V2(copy), one);
	}
	if (!modulemd_module_index_add_module_stream(renamed, copy, &error))
		return refused(err, error);
	return write_yaml(renamed, &document->yaml, err);
}

int document_rename(struct module *module, const char *name, struct error *err)
{
	int r = 0;

	for (size_t i = 0; i < module->document_count && r == 0; i++)
		r = rename_document(&module->document[i], module, name, err);
	if (r == 0)
		r = require_old(module, err);
	if (r == 0)
		r = copy_text(&module->name, name, err);
	return r == 0 ? module_name(module, err) : r;
}

/* ---- written again ---- */

static int set_artifacts(ModulemdModuleStreamV2 *stream, const struct module *module,
			 const struct module_document *document,
			 const struct modules_yaml_options *options, struct error *err)
{
	_cleanup_(strings_done) struct strings more = { 0 };

	if (options->add && options->add(options->data, module, &more) < 0)
		return error_oom(err);
	for (size_t i = 0; options->artifact && i < document->artifacts.count; i++)
		if (!options->artifact(options->data, module, document->artifacts.item[i]))
			modulemd_module_stream_v2_remove_rpm_artifact(stream,
								      document->artifacts.item[i]);
	for (size_t i = 0; i < more.count; i++)
		modulemd_module_stream_v2_add_rpm_artifact(stream, more.item[i]);
	return 0;
}

int document_write(const struct module *module, const struct module_document *document,
		   const struct modules_yaml_options *options, struct text *ret, struct error *err)
{
	_object_ ModulemdModuleIndex *index = modulemd_module_index_new();
	_cleanup_(freep) char *yaml = NULL;
	ModulemdModuleStreamV2 *stream;
	int r;

	if (options->arch && document->arch && strcmp(options->arch, document->arch) != 0)
		return 0;
	r = index_stream(index, document->yaml, &stream, err);
	if (r == 0)
		r = set_artifacts(stream, module, document, options, err);
	if (r < 0)
		return r;
	if (options->arch)
		modulemd_module_stream_v2_set_arch(stream, options->arch);
	r = write_yaml(index, &yaml, err);
	if (r == 0 && text_adds(ret, yaml) < 0)
		r = error_oom(err);
	return r;
}

/* ---- documents that are no modules ---- */

int document_join(const struct text *documents,
		  int (*refuse)(void *data, const char *reason, struct error *err), void *data,
		  struct text *ret, struct error *err)
{
	_object_ ModulemdModuleIndex *index = modulemd_module_index_new();
	struct piece piece = { documents->data, 0, 1 };
	const char *end = documents->data + documents->length;
	_cleanup_(freep) char *yaml = NULL;
	bool any = false;
	int r = 0;

	while (r == 0 && piece_next(&piece, end)) {
		_cleanup_(freep) char *text = strndup(piece.bytes, piece.length);
		struct error why = { 0 };

		if (!text)
			return error_oom(err);
		if (index_text(index, text, &why) == 0)
			any = true;
		else
			r = refuse(data, why.message, err);
	}
	if (r == 0 && any) {
		struct error why = { 0 };

		r = write_yaml(index, &yaml, &why);
		if (r < 0)
			r = r == -EBADMSG ? refuse(data, why.message, err) : error_oom(err);
	}
	if (r == 0 && yaml && text_adds(ret, yaml) < 0)
		r = error_oom(err);
	return r;
}
