/* SPDX-License-Identifier: MIT */
/* resolver/sources/modular.h: from modules to rows and to the metadata about them.
 *
 *   module.c      source type "module": words, repositories and services become a set of modules
 *   artifacts.c   the RPMs of its modules become rows
 *   streams.c     what the compose says of its modules: YAML, modules.json, reasons */
#pragma once

#include "resolver/modules/modules.h"
#include "resolver/sources/load.h"

#define MODULAR_NAMES_SHOWN 8 /* of packages that are not there, for each module */

/**
 * struct modular - the modules of a job
 * @reason: of each module of @set, in words; owned by the package set */
struct modular {
	struct load *load;
	struct module_supplier *supplier[2];
	size_t supplier_count;
	struct module_set *set;
	const char **reason;
};
void modular_done(struct modular *modular);

/** modular_explain() - fill @reason, and say which modules there are and why */
int modular_explain(struct modular *modular, struct error *err);
/** modular_document() - is that document about modules of @arch? */
bool modular_document(const struct module_document *document, const char *arch);

/** modular_rows() - RPMs of the modules that the open repositories have, with their debug and source
 * packages. -ENOENT, BLAME_REQUEST: a module that was asked for is for none of the arches */
int modular_rows(struct modular *modular, struct error *err);
/** modular_describe() - after all rows: YAML of each arch and modules.json */
int modular_describe(struct modular *modular, struct error *err);
