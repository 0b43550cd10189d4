/* SPDX-License-Identifier: MIT */
/* core/model/schema.c: what a request may hold and what a record holds, for the OpenAPI document.
 *
 * Requests come from the tables that judge and read them (members.c, words.c). The members of the
 * record stand in a table here, and a test holds it against compose_to_json(). Where the judge
 * knows more than the language can say (letters of any script are allowed), the schema says less.
 */
#include "core/model/private.h"

/* ---- pieces -------------------------------------------------------------- */

static json_t *described(json_t *schema, const char *meaning)
{
	if (schema && meaning &&
	    json_object_set_new(schema, "description", json_string(meaning)) < 0) {
		json_decref(schema);
		return NULL;
	}
	return schema;
}

static json_t *typed(const char *type)
{
	return json_pack("{s:s}", "type", type);
}

/* ASCII that judges refuse, as a class of characters; what is beyond ASCII they judge themselves.
 */
static json_t *text_schema(int most)
{
	char pattern[256] = "^[^";
	size_t length = strlen(pattern);

	for (int code = 0; code < 0x80; code++) {
		bool letter = (code >= '0' && code <= '9') || (code >= 'a' && code <= 'z') ||
			      (code >= 'A' && code <= 'Z');

		if (letter || (code && strchr(body_signs, code)))
			continue;
		if (code > 0 && code < 0x1f) /* the first of a row stands for it */
			continue;
		length += (size_t)snprintf(pattern + length, sizeof(pattern) - length,
					   !code			  ? "\\x%02x-"
					   : code == 0x1f || code == 0x7f ? "\\x%02x"
					   : strchr("[]\\^-", code)	  ? "\\%c"
									  : "%c",
					   (unsigned int)code);
	}
	(void)snprintf(pattern + length, sizeof(pattern) - length, "]*$");
	return json_pack("{s:s, s:i, s:s}", "type", "string", "maxLength", most, "pattern",
			 pattern);
}

static json_t *bits_schema(const struct named_bit *words)
{
	json_t *list = json_array();

	for (; list && words->name; words++)
		if (json_array_append_new(list, json_string(words->name)) < 0) {
			json_decref(list);
			return NULL;
		}
	return json_pack("{s:s, s:o}", "type", "string", "enum", list);
}

static json_t *type_name_schema(void)
{
	json_t *list = json_array();

	for (int type = SOURCE_TAG; type <= SOURCE_PUNGI_COMPOSE; type++)
		(void)json_array_append_new(list, json_string(source_type_name(type)));
	return json_pack("{s:s, s:o}", "type", "string", "enum", list);
}

static json_t *number_range(int64_t least, int64_t most)
{
	return json_pack("{s:s, s:I, s:I}", "type", "integer", "minimum", (json_int_t)least,
			 "maximum", (json_int_t)most);
}

static json_t *object_schema(json_t *properties, json_t *required, bool closed)
{
	json_t *schema = json_pack("{s:s, s:o}", "type", "object", "properties", properties);

	if (schema && required)
		(void)json_object_set_new(schema, "required", required);
	else
		json_decref(required);
	if (schema && closed)
		(void)json_object_set_new(schema, "additionalProperties", json_false());
	return schema;
}

/* ---- requests ------------------------------------------------------------ */

static json_t *source_schema(const struct spec_rules *rules);

static json_t *target_dir_schema(const struct spec_rules *rules)
{
	json_t *list = json_pack("[s, s]", "", "default");

	for (size_t i = 0; rules->target_dirs && i < rules->target_dirs->count; i++)
		(void)json_array_append_new(list, json_string(rules->target_dirs->item[i]));
	return json_pack("{s:s, s:o}", "type", "string", "enum", list);
}

static json_t *latest_schema(void)
{
	return json_pack("{s:s, s:s, s:i}", "type", "string", "pattern",
			 "^([A-Za-z][A-Za-z0-9_.]*)?$", "maxLength", SPEC_MAX_LATEST);
}

static json_t *list_schema(const struct member *member, const struct spec_rules *rules)
{
	size_t most = member->most ? member->most : SPEC_MAX_WORDS;
	bool packages = !strcmp(member->name, "packages");
	json_t *items = member->words ? bits_schema(member->words)
			: packages
				? json_pack("{s:s, s:i, s:i, s:s}", "type", "string", "minLength",
					    1, "maxLength", SPEC_MAX_STRING, "pattern",
					    "^[^/\\x00-\\x1f\\x7f]*[^ /\\x00-\\x1f\\x7f][^/"
					    "\\x00-\\x1f\\x7f]*$")
				: text_schema(SPEC_MAX_STRING);

	if (packages && rules->maximum_packages && rules->maximum_packages < most)
		most = rules->maximum_packages;
	return json_pack("{s:s, s:o, s:I}", "type", "array", "items", items, "maxItems",
			 (json_int_t)most);
}

static json_t *member_schema(const struct member *member, const struct spec_rules *rules)
{
	json_t *schema = NULL;

	switch (member->kind) {
	case MEMBER_STRING:
		schema = !strcmp(member->name, "target_dir") ? target_dir_schema(rules)
			 : !strcmp(member->name, "latest")   ? latest_schema()
			 : !strcmp(member->name, "source")   ? text_schema(SPEC_MAX_BYTES)
							     : text_schema(SPEC_MAX_STRING);
		break;
	case MEMBER_TYPE:
		schema = type_name_schema();
		break;
	case MEMBER_INTEGER:
		schema = number_range(0, INT64_MAX);
		break;
	case MEMBER_FLAG:
		schema = json_pack("{s:s}", "type", "boolean");
		break;
	case MEMBER_SECONDS:
		schema = json_pack("{s:[o, {s:s, s:s}]}", "oneOf", number_range(0, INT64_MAX),
				   "type", "string", "pattern", "^[0-9]{0,18}$");
		break;
	case MEMBER_LIST:
		schema = list_schema(member, rules);
		break;
	case MEMBER_SOURCE:
		schema = source_schema(rules);
		break;
	}
	return described(schema, member->meaning);
}

static void add_members(json_t *properties, const struct member *members,
			const struct spec_rules *rules)
{
	for (; members->name; members++)
		(void)json_object_set_new(properties, members->name, member_schema(members, rules));
}

static json_t *source_schema(const struct spec_rules *rules)
{
	json_t *properties = json_object();

	add_members(properties, source_members, rules);
	return object_schema(properties, json_pack("[s]", "type"), false);
}

static json_t *request_schema(const struct spec_rules *rules)
{
	json_t *properties = json_object();

	add_members(properties, body_members, rules);
	return object_schema(properties, json_pack("[s]", "source"), false);
}

static json_t *flat_schema(const struct spec_rules *rules)
{
	json_t *properties = json_object();

	add_members(properties, body_members, rules);
	add_members(properties, source_members, rules); /* "source" is now the string */
	(void)json_object_del(properties, "type");
	(void)json_object_set_new(properties, "source_type", type_name_schema());
	return object_schema(properties, json_pack("[s]", "source_type"), false);
}

/* What a PATCH reads, and "id" before it: everything else is ignored. */
static json_t *renewal_schema(const struct spec_rules *rules, bool with_id)
{
	static const char *const names[] = { "seconds_to_live", "seconds-to-live", "label" };
	static const char *const source_names[] = { "builds", "modules" };
	json_t *properties = json_object(), *source = json_object();

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		(void)json_object_set_new(
			properties, names[i],
			member_schema(member_find(body_members, names[i]), rules));
	for (size_t i = 0; i < ARRAY_SIZE(source_names); i++)
		(void)json_object_set_new(
			source, source_names[i],
			member_schema(member_find(source_members, source_names[i]), rules));
	(void)json_object_set_new(properties, "sigkeys",
				  member_schema(member_find(source_members, "sigkeys"), rules));
	if (with_id) { /* beside a source it would be a request */
		json_decref(source);
		(void)json_object_set_new(properties, "id", number_range(1, INT64_MAX));
		return object_schema(properties, json_pack("[s]", "id"), false);
	}
	(void)json_object_set_new(properties, "source", object_schema(source, NULL, false));
	return object_schema(properties, NULL, false);
}

/* ---- the record ---------------------------------------------------------- */

enum shown {
	SHOWN_TEXT,
	SHOWN_INTEGER,
	SHOWN_TIME,
	SHOWN_STATE,
	SHOWN_STATE_NAME,
	SHOWN_SOURCE_TYPE,
	SHOWN_FLAGS,
	SHOWN_RESULTS,
};

static const struct record_member {
	const char *name;
	enum shown shown;
	bool nullable;
	const char *meaning;
} record_members[] = {
	{ "arches", SHOWN_TEXT, false, "Joined by blanks." },
	{ "base_module_br_name", SHOWN_TEXT, true, NULL },
	{ "base_module_br_stream", SHOWN_TEXT, true, NULL },
	{ "base_module_br_stream_version_gte", SHOWN_INTEGER, true, NULL },
	{ "base_module_br_stream_version_lte", SHOWN_INTEGER, true, NULL },
	{ "builds", SHOWN_TEXT, true, "NVRs, joined by blanks." },
	{ "compose_type", SHOWN_TEXT, false, NULL },
	{ "flags", SHOWN_FLAGS, false, NULL },
	{ "id", SHOWN_INTEGER, false, NULL },
	{ "koji_event", SHOWN_INTEGER, true, "Of a repo source: the revision of its repomd.xml." },
	{ "koji_task_id", SHOWN_INTEGER, true, NULL },
	{ "label", SHOWN_TEXT, true, NULL },
	{ "lookaside_repos", SHOWN_TEXT, false, "Joined by blanks." },
	{ "modular_koji_tags", SHOWN_TEXT, true, "Joined by blanks." },
	{ "module_defaults_url", SHOWN_TEXT, true, "URL and commit." },
	{ "modules", SHOWN_TEXT, true, "Joined by blanks." },
	{ "multilib_arches", SHOWN_TEXT, false, "Joined by blanks." },
	{ "multilib_method", SHOWN_INTEGER, false, "Sum of 1 runtime, 2 devel, 4 all." },
	{ "owner", SHOWN_TEXT, false, NULL },
	{ "packages", SHOWN_TEXT, true, "Joined by blanks." },
	{ "parent_pungi_compose_ids", SHOWN_TEXT, true, NULL },
	{ "pungi_compose_id", SHOWN_TEXT, true, "Since it is being made." },
	{ "pungi_config_dump", SHOWN_TEXT, true, "Only where one compose is asked for." },
	{ "removed_by", SHOWN_TEXT, true, NULL },
	{ "respin_of", SHOWN_TEXT, true, "pungi_compose_id of the one it was made anew from." },
	{ "result_repo", SHOWN_TEXT, false,
	  "URL of the repositories, one below it for each arch." },
	{ "result_repofile", SHOWN_TEXT, false, "URL of the .repo file." },
	{ "results", SHOWN_RESULTS, false, NULL },
	{ "scratch_build_tasks", SHOWN_TEXT, true, "Joined by blanks." },
	{ "scratch_modules", SHOWN_TEXT, true, "Joined by blanks." },
	{ "sigkeys", SHOWN_TEXT, false, "Joined by blanks." },
	{ "source", SHOWN_TEXT, false, "Joined by blanks." },
	{ "source_type", SHOWN_SOURCE_TYPE, false, NULL },
	{ "state", SHOWN_STATE, false, NULL },
	{ "state_name", SHOWN_STATE_NAME, false, NULL },
	{ "state_reason", SHOWN_TEXT, true, "Why it failed, for one." },
	{ "target_dir", SHOWN_TEXT, false, NULL },
	{ "time_done", SHOWN_TIME, true, NULL },
	{ "time_removed", SHOWN_TIME, true, NULL },
	{ "time_started", SHOWN_TIME, true, NULL },
	{ "time_submitted", SHOWN_TIME, false, NULL },
	{ "time_to_expire", SHOWN_TIME, false, NULL },
	{ "toplevel_url", SHOWN_TEXT, false, "URL of the compose's tree." },
};

static json_t *numbers_named(int first, int last, const char *(*name)(int), bool names)
{
	json_t *list = json_array();
	struct text words = { 0 };
	json_t *schema;

	for (int i = first; i <= last; i++) {
		(void)json_array_append_new(list, names ? json_string(name(i)) : json_integer(i));
		(void)text_addf(&words, "%s%d %s", i > first ? ", " : "", i, name(i));
	}
	schema = json_pack("{s:s, s:o}", "type", names ? "string" : "integer", "enum", list);
	schema = described(schema, names || words.failed ? NULL : words.data);
	text_done(&words);
	return schema;
}

static json_t *words_shown(const struct named_bit *words)
{
	while (words->name && !words->bit) /* "no_flags" is never shown */
		words++;
	return json_pack("{s:s, s:o}", "type", "array", "items", bits_schema(words));
}

static json_t *shown_schema(enum shown shown)
{
	switch (shown) {
	case SHOWN_INTEGER:
		return typed("integer");
	case SHOWN_TIME:
		return json_pack("{s:s, s:s}", "type", "string", "format", "date-time");
	case SHOWN_STATE:
		return numbers_named(STATE_WAIT, STATE_FAILED, state_name, false);
	case SHOWN_STATE_NAME:
		return numbers_named(STATE_WAIT, STATE_FAILED, state_name, true);
	case SHOWN_SOURCE_TYPE:
		return numbers_named(SOURCE_TAG, SOURCE_PUNGI_COMPOSE, source_type_name, false);
	case SHOWN_FLAGS:
		return words_shown(flag_words);
	case SHOWN_RESULTS:
		return words_shown(result_words);
	default:
		return typed("string");
	}
}

static json_t *record_schema(bool seed)
{
	json_t *properties = json_object(), *required = json_array();

	for (size_t i = 0; i < ARRAY_SIZE(record_members); i++) {
		const struct record_member *member = &record_members[i];
		bool repo = seed && !strcmp(member->name, "result_repo"); /* null until done */
		bool once = !strcmp(member->name, "pungi_config_dump");
		json_t *schema = described(shown_schema(member->shown), member->meaning);

		if (seed && once) {
			json_decref(schema);
			continue;
		}
		if (schema && (member->nullable || repo))
			(void)json_object_set_new(schema, "nullable", json_true());
		(void)json_object_set_new(properties, member->name, schema);
		if (!once)
			(void)json_array_append_new(required, json_string(member->name));
	}
	return object_schema(properties, required, true);
}

json_t *schema_json(enum schema schema, const struct spec_rules *rules)
{
	switch (schema) {
	case SCHEMA_REQUEST:
		return request_schema(rules);
	case SCHEMA_FLAT:
		return flat_schema(rules);
	case SCHEMA_RENEW_ID:
	case SCHEMA_RENEWAL:
		return renewal_schema(rules, schema == SCHEMA_RENEW_ID);
	case SCHEMA_COMPOSE:
	case SCHEMA_COMPOSE_SEED:
		break;
	}
	return record_schema(schema == SCHEMA_COMPOSE_SEED);
}
