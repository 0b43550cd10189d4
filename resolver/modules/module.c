/* SPDX-License-Identifier: MIT */
/* resolver/modules/module.c: struct module, lists of them, suppliers as such. */
#include "resolver/modules/parts.h"

#include <stdarg.h>

static void document_done(struct module_document *document)
{
	free(document->arch);
	strings_done(&document->artifacts);
	strings_done(&document->demodularized);
	strings_done(&document->filtered);
	free(document->yaml);
	free(document->origin);
}

void module_documents_done(struct module *module)
{
	for (size_t i = 0; i < module->document_count; i++)
		document_done(&module->document[i]);
	free(module->document);
	module->document = NULL;
	module->document_count = 0;
}

void module_free(struct module *module)
{
	if (!module)
		return;
	module_documents_done(module);
	for (size_t i = 0; i < module->requirement_count; i++) {
		free(module->requirement[i].name);
		strings_done(&module->requirement[i].streams);
	}
	free(module->requirement);
	free(module->name);
	free(module->stream);
	free(module->context);
	free(module->nsvc);
	free(module->base_name);
	free(module->base_stream);
	free(module->koji_tag);
	free(module->why);
	free(module->wish);
	free(module);
}

void module_list_done(struct module_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		module_free(list->item[i]);
	free(list->item);
	*list = (struct module_list){ 0 };
}

int module_list_add(struct module_list *list, struct module *module, struct error *err)
{
	if (list->count == list->room) {
		size_t room = list->room ? list->room * 2 : 8;
		struct module **item = reallocarray(list->item, room, sizeof(struct module *));

		if (!item)
			return error_oom(err);
		list->item = item;
		list->room = room;
	}
	list->item[list->count++] = module;
	return 0;
}

static bool same_text(const char *a, const char *b)
{
	return !a || !b ? a == b : strcmp(a, b) == 0;
}

static bool has_arch(const struct module *module, const char *arch)
{
	for (size_t i = 0; i < module->document_count; i++)
		if (same_text(module->document[i].arch, arch))
			return true;
	return false;
}

static int take_documents(struct module *module, struct module *from, struct error *err)
{
	size_t count = module->document_count + from->document_count;
	struct module_document *document;

	if (count > SPEC_MAX_ARCHES)
		return error_set(err, -E2BIG, BLAME_SOURCE, NULL,
				 "module %s has more than %d documents", module->nsvc,
				 SPEC_MAX_ARCHES);
	document = reallocarray(module->document, count, sizeof(*document));
	if (!document)
		return error_oom(err);
	module->document = document;
	for (size_t i = 0; i < from->document_count; i++)
		if (has_arch(module, from->document[i].arch))
			document_done(&from->document[i]);
		else
			document[module->document_count++] = from->document[i];
	from->document_count = 0;
	return 0;
}

int module_list_merge(struct module_list *list, struct module *module, struct error *err)
{
	_cleanup_(module_freep) struct module *owned = module;
	struct module *last = list->count ? list->item[list->count - 1] : NULL;
	int r;

	if (last && strcmp(last->nsvc, module->nsvc) == 0)
		return take_documents(last, module, err);
	r = module_list_add(list, module, err);
	if (r == 0)
		(void)steal(owned);
	return r;
}

int module_name(struct module *module, struct error *err)
{
	free(module->nsvc);
	if (asprintf(&module->nsvc, "%s:%s:%" PRIu64 "%s%s", module->name, module->stream,
		     module->version, module->context[0] ? ":" : "", module->context) < 0) {
		module->nsvc = NULL;
		return error_oom(err);
	}
	return 0;
}

int module_version(const char *text, uint64_t *ret)
{
	size_t digits = strspn(text, "0123456789");
	uint64_t version;

	if (digits == 0 || text[digits])
		return -EINVAL;
	errno = 0;
	version = strtoull(text, NULL, 10);
	if (errno)
		return -EINVAL;
	*ret = version;
	return 0;
}

/* Up to three numbers of up to two digits each; what is not there is 00. */
int64_t module_base_version(const char *stream)
{
	const char *at = stream + strcspn(stream, "0123456789");
	int64_t version = 0;

	if (!*at)
		return -1;
	for (size_t i = 0; i < 3; i++) {
		size_t digits = strspn(at, "0123456789");

		if (digits > 2 || (digits == 0 && i == 0))
			return -1;
		version = version * 100 + (digits ? strtol(at, NULL, 10) : 0);
		at += digits;
		at += *at == '.';
	}
	return version;
}

bool module_fits(const struct module *module, const struct module_query *query)
{
	if (query->base_name && !same_text(module->base_name, query->base_name))
		return false;
	if (query->base_stream && !same_text(module->base_stream, query->base_stream))
		return false;
	if (query->base_lte >= 0 &&
	    (module->base_version < 0 || module->base_version > query->base_lte))
		return false;
	return query->base_gte < 0 || module->base_version >= query->base_gte;
}

bool module_is_base(const struct strings *bases, const char *name)
{
	if (bases)
		return strings_has(bases, name);
	return strcmp(name, "platform") == 0 || strcmp(name, "bootstrap") == 0;
}

char *module_koji_nvr(const struct module_word *word)
{
	size_t name = strlen(word->name);
	char *nvr;

	if (asprintf(&nvr, "%s-%s-%s.%s", word->name, word->stream, word->version, word->context) <
	    0)
		return NULL;
	for (size_t i = 0; i < strlen(word->stream); i++)
		if (nvr[name + 1 + i] == '-')
			nvr[name + 1 + i] = '_';
	return nvr;
}

const char *module_word_print(const struct module_word *word, char *buffer, size_t size)
{
	(void)snprintf(buffer, size, "%s%s%s%s%s%s%s", word->name, word->stream ? ":" : "",
		       word->stream ? word->stream : "", word->version ? ":" : "",
		       word->version ? word->version : "", word->context ? ":" : "",
		       word->context ? word->context : "");
	return buffer;
}

void module_say(const struct module_log *log, const char *format, ...)
{
	char words[ERROR_MESSAGE_SIZE];
	va_list list;

	if (!log->write)
		return;
	va_start(list, format);
	(void)vsnprintf(words, sizeof(words), format, list);
	va_end(list);
	module_clean(words);
	log->write(log->data, words);
}

void module_supplier_free(struct module_supplier *supplier)
{
	if (supplier)
		supplier->ops->free(supplier);
}
