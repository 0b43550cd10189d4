/* SPDX-License-Identifier: MIT */
/* resolver/modules/metadata.c: the file "modules" of a repository.
 *
 * Module by module, in the order of their names: first what is said about it, then its documents.
 */
#include "resolver/modules/parts.h"

#define LOG_LINES_MAX 20 /* about what is left out */

struct writer {
	const struct module_set *set;
	struct module_supplier *const *suppliers;
	size_t supplier_count;
	const struct modules_yaml_options *options;
	size_t first, after; /* of the module that is being written */
	uint64_t refused;    /* of what is said beside all of them */
};

static bool has_stream(const struct writer *writer, const struct scanned *about)
{
	for (size_t i = writer->first; i < writer->after; i++) {
		const struct module *module = writer->set->module[i];

		if (about->stream && strcmp(module->stream, about->stream) != 0)
			continue;
		if (!about->context || strcmp(module->context, about->context) == 0)
			return true;
	}
	return false;
}

/* Defaults are about all streams, even where they name one of them. */
static bool is_wanted(const struct writer *writer, const struct scanned *about)
{
	switch (about->kind) {
	case DOCUMENT_DEFAULTS:
		return true;
	case DOCUMENT_OBSOLETES:
	case DOCUMENT_TRANSLATIONS:
		return has_stream(writer, about);
	default:
		return false;
	}
}

/* What is said beside a module is not worth to fail for. */
static int on_refused(void *data, const char *reason, struct error *err)
{
	struct writer *writer = data;

	(void)err;
	if (writer->refused++ < LOG_LINES_MAX)
		module_say(&writer->options->log,
			   "what is said about module %s beside it is left out: %s",
			   writer->set->module[writer->first]->name, reason);
	return 0;
}

static int choose(struct writer *writer, const struct text *all, struct text *ret,
		  struct error *err)
{
	struct piece piece = { all->data, 0, 1 };

	while (piece_next(&piece, all->data + all->length)) {
		_cleanup_(scanned_done) struct scanned about = { 0 };
		struct error why = { 0 };
		int r = document_scan(&piece, &about, &why);

		if (r == -EBADMSG)
			r = on_refused(writer, why.message, err);
		else if (r == 0 && is_wanted(writer, &about))
			(void)text_add(ret, piece.bytes, piece.length);
		if (r < 0)
			return error_oom(err);
	}
	return ret->failed ? error_oom(err) : 0;
}

static int write_extras(struct writer *writer, struct text *ret, struct error *err)
{
	_cleanup_(text_done) struct text all = { 0 }, wanted = { 0 };
	int r = 0;

	for (size_t i = 0; i < writer->supplier_count && r == 0; i++)
		if (writer->suppliers[i]->ops->extra)
			r = writer->suppliers[i]->ops->extra(
				writer->suppliers[i], writer->set->module[writer->first]->name,
				&all, err);
	if (r == 0 && all.length)
		r = choose(writer, &all, &wanted, err);
	if (r == 0 && wanted.length)
		r = document_join(&wanted, on_refused, writer, ret, err);
	return r;
}

static int write_module(struct writer *writer, struct text *ret, struct error *err)
{
	_cleanup_(text_done) struct text streams = { 0 };
	int r = 0;

	for (size_t i = writer->first; i < writer->after; i++) {
		const struct module *module = writer->set->module[i];

		for (size_t j = 0; j < module->document_count && r == 0; j++)
			r = document_write(module, &module->document[j], writer->options, &streams,
					   err);
		if (r < 0)
			return error_prefix(err, "%s", module->nsvc);
	}
	if (streams.length == 0)
		return 0;
	r = write_extras(writer, ret, err);
	if (r == 0 && text_add(ret, streams.data, streams.length) < 0)
		r = error_oom(err);
	return r;
}

int modules_yaml(const struct module_set *set, struct module_supplier *const *suppliers,
		 size_t supplier_count, const struct modules_yaml_options *options,
		 struct text *ret, struct error *err)
{
	struct writer writer = { set, suppliers, supplier_count, options, 0, 0, 0 };
	_cleanup_(text_done) struct text text = { 0 };
	int r = 0;

	while (writer.first < set->count && r == 0) {
		const char *name = set->module[writer.first]->name;

		writer.after = writer.first + 1;
		while (writer.after < set->count &&
		       strcmp(set->module[writer.after]->name, name) == 0)
			writer.after++;
		r = write_module(&writer, &text, err);
		writer.first = writer.after;
	}
	if (writer.refused > LOG_LINES_MAX)
		module_say(&options->log, "%" PRIu64 " more are left out",
			   writer.refused - LOG_LINES_MAX);
	if (r == 0 && text.length && text_add(ret, text.data, text.length) < 0)
		r = error_oom(err);
	return r;
}
