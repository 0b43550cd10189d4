/* SPDX-License-Identifier: MIT */
/* resolver/koji/builds.h: a second door to a Koji hub: builds of modules. Calls, errors and
 * repetitions as in hub.h. */
#pragma once

#include "resolver/koji/hub.h"

/** struct koji_name - a build; "": not told */
struct koji_name {
	char *nvr, *name, *version, *release, *tag;
};
/** struct koji_names - in the order of the hub's answer; initialise with { 0 } */
struct koji_names {
	struct koji_name *item;
	size_t count, room;
};
void koji_names_done(struct koji_names *names);

/** hub_tagged_modules() - listTagged(type=module): builds of modules in a tag, all of them, the
 * tag's own first */
int hub_tagged_modules(struct hub *hub, const char *tag, int64_t event, bool inherit,
		       struct koji_names *ret, struct error *err);
/** hub_search_builds() - search: builds whose NVR is like the glob @pattern; only @nvr is told */
int hub_search_builds(struct hub *hub, const char *pattern, struct koji_names *ret,
		      struct error *err);

/** struct koji_module - what a build says of its module (extra.typeinfo.module); NULL: not told
 * @nvr: NULL: there is no such build */
struct koji_module {
	char *nvr, *modulemd, *name, *stream, *version, *context, *content_tag;
	int64_t state;
};
void koji_module_done(struct koji_module *module);
/** hub_module_builds() - getBuild of each by multiCall; @ret: @count of { 0 }, to be ended by
 * koji_module_done() also after a failure */
int hub_module_builds(struct hub *hub, const char *const *nvrs, size_t count,
		      struct koji_module *ret, struct error *err);
