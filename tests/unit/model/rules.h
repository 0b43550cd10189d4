/* SPDX-License-Identifier: MIT */
/* tests/unit/model/rules.h: the rules of a small site, for the programs of this folder. */
#pragma once

#include "core/model/model.h"

struct site {
	struct strings arches, base_modules, target_dirs, raw_configs;
	struct spec_rules rules;
};

static inline void site_init(struct site *site, bool strict)
{
	*site = (struct site){ 0 };
	(void)strings_add(&site->arches, "x86_64");
	(void)strings_split(&site->base_modules, "platform bootstrap", ' ');
	(void)strings_add(&site->target_dirs, "private");
	(void)strings_add(&site->raw_configs, "fedora");
	site->rules = (struct spec_rules){
		.strict = strict,
		.accept_id = !strict,
		.default_seconds_to_live = 86400,
		.maximum_seconds_to_live = 259200,
		.default_arches = &site->arches,
		.base_module_names = &site->base_modules,
		.target_dirs = &site->target_dirs,
		.raw_configs = &site->raw_configs,
		.maximum_packages = 1000,
	};
}

static inline void site_done(struct site *site)
{
	strings_done(&site->arches);
	strings_done(&site->base_modules);
	strings_done(&site->target_dirs);
	strings_done(&site->raw_configs);
}
