/* SPDX-License-Identifier: MIT */
/* core/model/compose.c: the record of a compose: its states, its JSON, its names.
 *
 *  wait ─catalogue_claim─► generating ─catalogue_finish─► done ───┐
 *   │                          │                                  ├─catalogue_expire─► removed
 *   └───catalogue_cancel/fail──┴────► failed ─────────────────────┘
 *
 * After a restart catalogue_requeue() puts generating rows back to wait. Nothing leaves removed:
 * regenerating makes a new record. */
#include "core/model/private.h"

/* ---- release, copy ----------------------------------------------------- */

static const size_t string_places[] = {
	offsetof(struct compose, owner),
	offsetof(struct compose, source),
	offsetof(struct compose, state_reason),
	offsetof(struct compose, removed_by),
	offsetof(struct compose, pungi_compose_id),
	offsetof(struct compose, respin_of),
	offsetof(struct compose, sigkeys),
	offsetof(struct compose, arches),
	offsetof(struct compose, manifest),
};

static char **string_at(struct compose *compose, size_t i)
{
	return (char **)(void *)((char *)compose + string_places[i]);
}

void compose_free(struct compose *compose)
{
	if (!compose)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(string_places); i++)
		free(*string_at(compose, i));
	spec_free(compose->spec);
	free(compose);
}

int compose_copy(const struct compose *compose, struct compose **ret, struct error *err)
{
	_cleanup_(compose_freep) struct compose *copy = calloc(1, sizeof(*copy));
	struct compose from = *compose;
	int r;

	if (!copy)
		return error_oom(err);
	*copy = *compose;
	copy->spec = NULL;
	for (size_t i = 0; i < ARRAY_SIZE(string_places); i++)
		*string_at(copy, i) = NULL;
	for (size_t i = 0; i < ARRAY_SIZE(string_places); i++) {
		const char *string = *string_at(&from, i);

		if (string && !(*string_at(copy, i) = strdup(string)))
			return error_oom(err);
	}
	r = spec_copy(compose->spec, &copy->spec, err);
	if (r < 0)
		return r;
	*ret = steal(copy);
	return 0;
}

/* ---- names, URLs ------------------------------------------------------- */

int64_t compose_tree_id(const struct compose *compose)
{
	return compose->reused_id ? compose->reused_id : compose->id;
}

bool compose_is_gone(const struct compose *compose)
{
	return compose->state == STATE_REMOVED && !compose->tree_kept;
}

int compose_arches(const struct compose *compose, struct strings *ret)
{
	return compose->arches ? strings_split(ret, compose->arches, ' ')
			       : strings_copy(ret, &compose->spec->arches);
}

static bool is_default_dir(const struct compose *compose)
{
	return !compose->spec->target_dir || !strcmp(compose->spec->target_dir, "default");
}

char *compose_result_repo(const struct compose *compose, const char *base_url)
{
	struct text text = { 0 };

	/* upstream knows no URL for other directories; a local path has no such gap */
	if (is_default_dir(compose) || !strncmp(base_url, "file:", 5))
		(void)text_addf(&text, "%s/odcs-%" PRId64 "/compose/Temporary", base_url,
				compose_tree_id(compose));
	return text_steal(&text);
}

/* A decimal number as we print it: no sign, no leading zero, at least 1. */
static int read_id(const char *text, size_t length, int64_t *ret)
{
	char digits[20];

	if (!length || length >= sizeof(digits) || *text < '1' || *text > '9')
		return -ENOENT;
	memcpy(digits, text, length);
	digits[length] = '\0';
	return parse_int64(digits, ret) < 0 ? -ENOENT : 0;
}

int compose_name_parse(const char *name, int64_t *ret_id, const char **ret_owner,
		       size_t *ret_owner_length)
{
	const char *owner = name, *id = name, *dash;
	size_t owner_length = 0, id_length, length;
	int64_t number;

	if (!strncmp(name, "odcs-", 5)) {
		id += 5;
	} else if (!strncmp(name, "latest-", 7)) {
		owner = name + 7;
		length = strlen(owner);
		if (!strncmp(owner, "odcs-", 5) && length > 7 &&
		    !strcmp(owner + length - 2, "-1") &&
		    read_id(owner + 5, length - 7, &number) == 0) {
			length = 0;
			goto found;
		}
		dash = strrchr(owner, '-');
		if (!dash || dash == owner)
			return -ENOENT;
		owner_length = (size_t)(dash - owner);
		id = dash + 1;
	}
	id_length = strlen(id);
	if (read_id(id, id_length, &number) < 0)
		return -ENOENT;
found:
	*ret_id = number;
	if (ret_owner) {
		*ret_owner = owner;
		*ret_owner_length = owner_length;
	}
	return 0;
}

int compose_latest_parse(const char *name, char **ret_owner, const char **ret_latest)
{
	const char *owner = name + strlen("latest-"), *dash = strrchr(name, '-');

	if (strncmp(name, "latest-", strlen("latest-")) != 0 || dash <= owner ||
	    !is_latest_name(dash + 1))
		return -ENOENT;
	*ret_owner = strndup(owner, (size_t)(dash - owner));
	if (!*ret_owner)
		return -ENOMEM;
	*ret_latest = dash + 1;
	return 0;
}

char *compose_latest_name(const struct compose *compose)
{
	struct text text = { 0 };

	if (!compose->spec->latest || !compose->owner || !*compose->owner ||
	    strchr(compose->owner, '/'))
		return NULL;
	(void)text_addf(&text, "latest-%s-%s", compose->owner, compose->spec->latest);
	return text_steal(&text);
}

/* ---- JSON -------------------------------------------------------------- */

static json_t *text_or_null(const char *text)
{
	return text ? json_any_text(text) : json_null();
}

static json_t *number_or_null(int64_t number)
{
	return number >= 0 ? json_integer(number) : json_null();
}

static json_t *time_or_null(int64_t time)
{
	char buffer[TIME_ISO_SIZE];

	return time ? json_string(time_iso(time, buffer)) : json_null();
}

static json_t *joined(const struct strings *words)
{
	_cleanup_(freep) char *text = strings_join(words, " ");

	return text ? json_string(text) : NULL;
}

static json_t *joined_or_null(bool has, const struct strings *words)
{
	return has ? joined(words) : json_null();
}

static json_t *shown(const char *text, const struct strings *words)
{
	return text ? json_any_text(text) : joined(words);
}

static json_t *bit_words(int bits, const struct named_bit *words)
{
	json_auto_t *list = json_array();

	for (; list && words->name; words++)
		if ((bits & words->bit) &&
		    json_array_append_new(list, json_string(words->name)) < 0)
			return NULL;
	return steal(list);
}

static int add_record(json_t *json, const struct compose *compose, enum json_form form)
{
	const char *owner = compose->owner ? compose->owner : "unknown";
	int64_t event = compose->koji_event >= 0 ? compose->koji_event : compose->spec->koji_event;
	int r = 0;

	if (form == JSON_SEED && !strcmp(owner, "unknown"))
		owner = "Unknown";
	r |= json_object_set_new(json, "id", json_integer(compose->id));
	r |= json_object_set_new(json, "owner", json_any_text(owner));
	r |= json_object_set_new(json, "source", shown(compose->source, &compose->spec->source));
	r |= json_object_set_new(json, "state", json_integer(compose->state));
	r |= json_object_set_new(json, "state_name", text_or_null(state_name(compose->state)));
	r |= json_object_set_new(json, "state_reason", text_or_null(compose->state_reason));
	r |= json_object_set_new(json, "time_submitted", time_or_null(compose->time_submitted));
	r |= json_object_set_new(json, "time_to_expire", time_or_null(compose->time_to_expire));
	r |= json_object_set_new(json, "time_started", time_or_null(compose->time_started));
	r |= json_object_set_new(json, "time_done", time_or_null(compose->time_done));
	r |= json_object_set_new(json, "time_removed", time_or_null(compose->time_removed));
	r |= json_object_set_new(json, "removed_by", text_or_null(compose->removed_by));
	r |= json_object_set_new(json, "koji_event", number_or_null(event));
	r |= json_object_set_new(json, "koji_task_id", number_or_null(compose->koji_task_id));
	r |= json_object_set_new(json, "pungi_compose_id", text_or_null(compose->pungi_compose_id));
	r |= json_object_set_new(json, "respin_of", text_or_null(compose->respin_of));
	r |= json_object_set_new(json, "sigkeys", shown(compose->sigkeys, &compose->spec->sigkeys));
	r |= json_object_set_new(json, "arches", shown(compose->arches, &compose->spec->arches));
	r |= json_object_set_new(json, "parent_pungi_compose_ids", json_null());
	return r;
}

static int add_request(json_t *json, const struct spec *spec)
{
	int r = 0;

	r |= json_object_set_new(json, "source_type", json_integer(spec->source_type));
	r |= json_object_set_new(json, "flags", bit_words(spec->flags, flag_words));
	r |= json_object_set_new(json, "results", bit_words(spec->results, result_words));
	r |= json_object_set_new(json, "packages",
				 joined_or_null(spec->has_packages, &spec->packages));
	r |= json_object_set_new(json, "builds", joined_or_null(spec->has_builds, &spec->builds));
	r |= json_object_set_new(json, "multilib_arches", joined(&spec->multilib_arches));
	r |= json_object_set_new(json, "multilib_method", json_integer(spec->multilib_method));
	r |= json_object_set_new(json, "lookaside_repos", joined(&spec->lookaside_repos));
	r |= json_object_set_new(
		json, "modular_koji_tags",
		joined_or_null(spec->has_modular_koji_tags, &spec->modular_koji_tags));
	r |= json_object_set_new(json, "module_defaults_url",
				 text_or_null(spec->module_defaults_url));
	r |= json_object_set_new(json, "label", text_or_null(spec->label));
	r |= json_object_set_new(json, "compose_type", text_or_null(spec->compose_type));
	r |= json_object_set_new(json, "target_dir", text_or_null(spec->target_dir));
	r |= json_object_set_new(json, "scratch_modules",
				 joined_or_null(spec->has_scratch_modules, &spec->scratch_modules));
	r |= json_object_set_new(json, "modules",
				 joined_or_null(spec->has_modules, &spec->modules));
	r |= json_object_set_new(
		json, "scratch_build_tasks",
		joined_or_null(spec->has_scratch_build_tasks, &spec->scratch_build_tasks));
	r |= json_object_set_new(json, "base_module_br_name",
				 text_or_null(spec->base_module_br_name));
	r |= json_object_set_new(json, "base_module_br_stream",
				 text_or_null(spec->base_module_br_stream));
	r |= json_object_set_new(json, "base_module_br_stream_version_lte",
				 number_or_null(spec->base_module_br_stream_version_lte));
	r |= json_object_set_new(json, "base_module_br_stream_version_gte",
				 number_or_null(spec->base_module_br_stream_version_gte));
	return r;
}

static int add_urls(json_t *json, const struct compose *compose, const char *public_url,
		    enum json_form form)
{
	int64_t id = compose_tree_id(compose);
	_cleanup_(freep) char *repo = NULL;
	int r = 0;

	repo = compose->spec->source_type == SOURCE_RAW_CONFIG
		       ? strdup("")
		       : compose_result_repo(compose, public_url);
	if (!repo)
		return -ENOMEM;
	r |= json_object_set_new(json, "result_repo",
				 form == JSON_SEED && compose->state != STATE_DONE
					 ? json_null()
					 : json_string(repo));
	r |= json_object_set_new(json, "result_repofile",
				 *repo ? json_sprintf("%s/odcs-%" PRId64 ".repo", repo, id)
				       : json_string(""));
	r |= json_object_set_new(json, "toplevel_url",
				 is_default_dir(compose)
					 ? json_sprintf("%s/odcs-%" PRId64, public_url, id)
					 : json_string(""));
	return r;
}

json_t *compose_to_json(const struct compose *compose, const char *public_url, enum json_form form,
			bool one)
{
	json_auto_t *json = json_object();

	if (!json || add_record(json, compose, form) < 0 || add_request(json, compose->spec) < 0 ||
	    add_urls(json, compose, public_url, form) < 0)
		return NULL;
	if (one && json_object_set_new(json, "pungi_config_dump", json_null()) < 0)
		return NULL;
	return steal(json);
}
