/* SPDX-License-Identifier: MIT */
/* tests/fuzz/roles.c: any bytes as a roles file.
 *
 * Beyond not crashing: what is refused names the file; allowed_clients is shown as it was given;
 * who has an entry is in the role and gets words for what the entry does not allow; a stranger is
 * refused everything. */
#include "core/model/model.h"

#define FILE_NAME "roles.json"
#define STRANGER "\x01stranger" /* no file of ours names him */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool truth)
{
	if (!truth)
		abort();
}

static struct spec *make_spec(void)
{
	static const char text[] = "{\"source\": {\"type\": \"tag\", \"source\": \"f26\"}, "
				   "\"flags\": [\"no_deps\"], \"arches\": [\"x86_64\", \"i686\"]}";
	static const struct strings none;
	const struct spec_rules rules = { .default_seconds_to_live = 1,
					  .maximum_seconds_to_live = 1,
					  .default_arches = &none,
					  .base_module_names = &none,
					  .target_dirs = &none,
					  .raw_configs = &none,
					  .maximum_packages = 1 };
	struct spec *spec = NULL;

	require(spec_parse(text, strlen(text), &rules, &spec, NULL, NULL, NULL) == 0);
	return spec;
}

static void judge(const struct roles *roles, const char *user, const struct strings *groups,
		  const struct spec *spec)
{
	struct compose compose = { .spec = NULL };
	struct error err = { 0 };
	int r = roles_limits(roles, user, groups, spec, NULL, &err);

	require(r == 0 || (r == -EACCES && *err.message && err.blame == BLAME_REQUEST));
	require(spec_copy(spec, &compose.spec, NULL) == 0);
	require(roles_limits(roles, user, groups, NULL, &compose, NULL) ==
		r); /* target_dir: default */
	spec_free(compose.spec);
}

static void judge_all(const struct roles *roles, const struct spec *spec)
{
	json_auto_t *clients = roles_clients(roles);
	json_t *value;
	const char *name;

	require(json_is_object(clients));
	json_object_foreach(json_object_get(clients, "users"), name, value)
	{
		require(roles_check(roles, ROLE_CLIENT, name, NULL, NULL) == 0);
		judge(roles, name, NULL, spec);
	}
	json_object_foreach(json_object_get(clients, "groups"), name, value)
	{
		struct strings groups = { 0 };

		require(strings_add(&groups, name) == 0);
		require(roles_check(roles, ROLE_CLIENT, STRANGER, &groups, NULL) == 0);
		judge(roles, STRANGER, &groups, spec);
		strings_done(&groups);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(roles_freep) struct roles *roles = NULL;
	_cleanup_(spec_freep) struct spec *spec = make_spec();
	struct error err = { 0 };
	int r = roles_parse((const char *)data, size, FILE_NAME, &roles, &err);

	if (r < 0) {
		require(!roles && r == -EINVAL && err.blame == BLAME_REQUEST);
		require(!strncmp(err.message, FILE_NAME ": ", strlen(FILE_NAME) + 2));
		return 0;
	}
	judge_all(roles, spec);
	if (!memmem(data, size, "stranger", strlen("stranger")) && !memchr(data, '\\', size))
		require(roles_limits(roles, STRANGER, NULL, spec, NULL, &err) == -EACCES);
	return 0;
}
