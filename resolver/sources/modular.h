/* SPDX-License-Identifier: MIT */
/* resolver/sources/modular.h: from modules to rows and to the metadata about them.
 *
 *   module.c      source type "module": words, repositories and services become a set of modules
 *   artifacts.c   the RPMs of its modules become rows
 *   content.c     those that Koji built
 *   streams.c     what the compose says of its modules: YAML, modules.json, reasons */
#pragma once

#include "resolver/modules/modules.h"
#include "resolver/sources/tagged.h"

#define MODULAR_NOBODY SIZE_MAX
#define MODULAR_NAMES_SHOWN 8	  /* of packages that are not there, for each module */
#define MODULAR_NAMES_LOGGED 1000 /* of those, in depsolve.log, for each module or repository */

/** modular_log() - into the compose's log */
struct module_log modular_log(struct load *load);

/**
 * struct modular - the modules of a job
 * @built: RPMs of what that supplier has come from Koji
 * @reason: of each module of @set, in words; owned by the package set
 * @site, @tagged: Koji, if it is asked; borrowed
 * @owner: of each listing of @tagged its module's place in @set, or MODULAR_NOBODY
 * @event: of Koji, for what its tags hold
 * @newest: build time of its RPMs */
struct modular {
	struct load *load;
	struct module_supplier *supplier[2];
	bool built[2];
	size_t supplier_count;
	struct module_set *set;
	const char **reason;
	struct site *site;
	struct tagged *tagged;
	size_t *owner;
	int64_t event;
	int64_t newest;
};
void modular_done(struct modular *modular);

/** modular_explain() - fill @reason, and say which modules there are and why */
int modular_explain(struct modular *modular, struct error *err);
/** modular_document() - is that document about modules of @arch? */
bool modular_document(const struct module_document *document, const char *arch);

/** modular_is_for() - is a package of @package_arch for @arch of the request? With multilib those
 * beside it, too */
bool modular_is_for(const struct modular *modular, const char *package_arch, size_t arch);

/* ---- content.c: after modular_open_built() load->repository[0] is Koji ---- */

/** modular_open_koji() - the next supplier are modular_koji_tags, at @event */
int modular_open_koji(struct modular *modular, struct error *err);
/** modular_open_mbs() - the next supplier is MBS */
int modular_open_mbs(struct modular *modular, struct error *err);
/** modular_check_scratch() - can scratch_modules be had? -EOPNOTSUPP, BLAME_REQUEST: no */
int modular_check_scratch(const struct load *load, struct error *err);
/** modular_beside() - for a tag's compose: all modules of modular_koji_tags, the newest version of
 * each stream, and scratch_modules */
int modular_beside(struct modular *modular, struct error *err);
/** modular_list_built() - add the RPMs of modules that Koji built to the candidates */
int modular_list_built(struct modular *modular, struct error *err);
/** modular_check_built() - after signing_choose(): each of them has a copy that is permitted */
int modular_check_built(const struct modular *modular, struct error *err);
/** modular_open_built() - all of that, and open them; nothing to do: 0 */
int modular_open_built(struct modular *modular, struct error *err);
/** modular_add_built() - those for an arch, as rows */
int modular_add_built(const struct modular *modular, size_t arch, struct error *err);
/** modular_finish_built() - after all rows: SHA-256 of their files */
int modular_finish_built(struct modular *modular, struct error *err);
/** modular_owner() - whose row it is, by what Koji says; NULL: a repository's */
const struct module *modular_owner(const struct modular *modular,
				   const struct composer_package *row);

/** modular_rows() - RPMs of the modules that the open repositories have, with their debug and
 * source packages. -ENOENT, BLAME_REQUEST: a module that was asked for is for none of the arches */
int modular_rows(struct modular *modular, struct error *err);
/** modular_describe() - after all rows: YAML of each arch and modules.json */
int modular_describe(struct modular *modular, struct error *err);
