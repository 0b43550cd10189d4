/* SPDX-License-Identifier: MIT */
/* core/model/spec.c: the text of a request → struct spec.
 *
 * The checks and their order are those of odcs-api.md 2.6; they go on after a problem, so that the
 * tree's `error` file can name all of them, and the first one is what REST answers.
 * Looks at nothing outside: whether a tag or a package exists is found out later. */
#include "core/model/private.h"

/* ---- the source (rules 5 to 9) ----------------------------------------- */

static void read_type(struct reader *reader)
{
	const char *key = reader_is_flat(reader) ? "source_type" : "type";
	const json_t *value = json_object_get(reader->source, key);
	char field[ERROR_FIELD_SIZE];
	const char *name, *nearest = NULL;
	int type;

	reader_field(reader, reader->source, key, field);
	if (!value) {
		_cleanup_(freep) char *repr = judge_repr(&reader->judge, reader->source);

		if (repr)
			judge_say(&reader->judge, -EINVAL, field,
				  "Missing type in source configuration, received: %s", repr);
		return;
	}
	if (!json_is_string(value)) {
		if (!body_said(key, value))
			judge_say(&reader->judge, -EINVAL, field, "%s should be a string", key);
		return;
	}
	name = json_string_value(value);
	type = source_type_parse(name);
	if (type >= 0) {
		reader->spec->source_type = (enum source_type)type;
		return;
	}
	if (reader->rules->strict) {
		const char *known[SOURCE_PUNGI_COMPOSE];

		for (int i = SOURCE_TAG; i <= SOURCE_PUNGI_COMPOSE; i++)
			known[i - 1] = source_type_name(i);
		nearest = nearest_word(name, known, ARRAY_SIZE(known));
	}
	judge_say(&reader->judge, -EINVAL, field, "Unknown source type \"%s\"%s%s%s", name,
		  nearest ? "; did you mean \"" : "", nearest ? nearest : "", nearest ? "\"?" : "");
}

static void check_raw_config(struct reader *reader, const char *field)
{
	const struct strings *words = &reader->spec->source;
	const struct strings *known = reader->rules->raw_configs;
	_cleanup_(freep) char *name = NULL;
	const char *hash;

	if (words->count != 1) {
		judge_say(&reader->judge, -EINVAL, field,
			  "Only single source is allowed for \"raw_config\" source_type");
		return;
	}
	hash = strchr(words->item[0], '#');
	if (!hash || hash == words->item[0] || !hash[1] || strchr(hash + 1, '#')) {
		judge_say(&reader->judge, -EINVAL, field,
			  "Source must be in \"source_name#commit_hash\" format for \"raw_config\" "
			  "source_type.");
		return;
	}
	name = strndup(words->item[0], (size_t)(hash - words->item[0]));
	if (!name)
		judge_oom(&reader->judge);
	else if (!known || !strings_has(known, name))
		judge_say(&reader->judge, -EINVAL, field,
			  "Source \"%s\" does not exist in server configuration.", name);
}

static bool is_base_module(const struct reader *reader, const char *word, size_t length)
{
	const struct strings *names = reader->rules->base_module_names;

	for (size_t i = 0; names && i < names->count; i++)
		if (strlen(names->item[i]) == length && !strncmp(names->item[i], word, length))
			return true;
	return false;
}

/* The seed's form, name-stream[-version]; where its parts end is found out by what modules there
 * are. */
static bool is_dashed(const char *word)
{
	const char *dash = strchr(word + !!*word, '-');

	return dash && dash[1];
}

static void check_modules(struct reader *reader, const char *field)
{
	const struct strings *words = &reader->spec->source;

	for (size_t i = 0; i < words->count; i++) {
		const char *word = words->item[i];
		size_t length = strcspn(word, ":");

		if (!word[length] && is_dashed(word))
			continue;
		if (!word[length])
			judge_say(&reader->judge, -EINVAL, field,
				  "Module definition must be in \"n:s\", \"n:s:v\" or \"n:s:v:c\" "
				  "format, but got %s",
				  word);
		else if (is_base_module(reader, word, length))
			judge_say(&reader->judge, -EINVAL, field,
				  "ODCS currently cannot create compose with base modules, but %s "
				  "was requested.",
				  word);
	}
}

static bool is_repository(const char *word)
{
	static const char *const remote[] = { "http://", "https://", "ftp://" };

	if (word[0] == '/' || !strncmp(word, "file:///", 8))
		return true;
	if (url_kind(word, &word) == URL_NAMED) /* else behind metalink: and mirrorlist: */
		return url_name_check(word);
	for (size_t i = 0; i < ARRAY_SIZE(remote); i++) {
		size_t length = strlen(remote[i]);

		if (!strncmp(word, remote[i], length))
			return word[length] && !strchr("/:?#", word[length]);
	}
	return false;
}

static void check_repositories(struct reader *reader, const char *field)
{
	const struct strings *words = &reader->spec->source;

	for (size_t i = 0; i < words->count; i++)
		if (!is_repository(words->item[i]))
			judge_say(&reader->judge, -EINVAL, field,
				  "A repository must be an absolute path or a file, http, https or "
				  "ftp URL, but got %s",
				  words->item[i]);
}

static void read_source(struct reader *reader)
{
	struct collector collector = { .list = &reader->spec->source };
	const enum source_type type = reader->spec->source_type;
	const json_t *scratch = json_object_get(reader->source, "scratch_modules");
	const char *text = read_text(reader, reader->source, "source");
	char field[ERROR_FIELD_SIZE];

	reader_field(reader, reader->source, "source", field);
	if (text)
		collect_words(&collector, text);
	collected(reader, &collector);
	if (!reader->spec->source.count) {
		const json_t *value = json_object_get(reader->source, "source");

		if (type == SOURCE_BUILD || (type == SOURCE_MODULE && json_array_size(scratch)) ||
		    !type || (value && !json_is_string(value)))
			return; /* allowed, or said before */
		if (reader_is_flat(reader) && !value)
			judge_say(&reader->judge, -EINVAL, field, "Missing source");
		else
			judge_say(&reader->judge, -EINVAL, field, "No source provided for %d",
				  (int)type);
	} else if (reader->spec->source.count > SPEC_MAX_WORDS) {
		judge_say(&reader->judge, -EFBIG, field, "More than %d sources", SPEC_MAX_WORDS);
	} else if (type == SOURCE_RAW_CONFIG) {
		check_raw_config(reader, field);
	} else if (type == SOURCE_MODULE) {
		check_modules(reader, field);
	} else if (type == SOURCE_REPO) {
		check_repositories(reader, field);
	}
}

/* ---- packages ---------------------------------------------------------- */

static bool package_allowed(const char *word)
{
	const char *end = word + strlen(word);
	size_t length;

	for (const char *at = word; at < end; at += length) {
		int32_t code = utf8_next(at, end, &length);

		if (code < 0x20 || code == '/' || (code >= 0x7f && code < 0xa0))
			return false;
	}
	return true;
}

static void read_packages(struct reader *reader)
{
	size_t limit = reader->rules->maximum_packages;
	struct collector collector = { .list = &reader->spec->packages };
	char field[ERROR_FIELD_SIZE], suffix[LIMIT_SUFFIX_SIZE];
	const json_t *list;
	json_t *element;
	size_t i;

	if (!limit || limit > SPEC_MAX_PACKAGES)
		limit = SPEC_MAX_PACKAGES;
	list = read_list(reader, reader->source, "packages", limit);
	if (!list)
		return;
	reader_field(reader, reader->source, "packages", field);
	reader->spec->has_packages = true;
	json_array_foreach(list, i, element)
	{
		const char *word = json_string_value(element);

		if (!word[strspn(word, " ")])
			judge_say(&reader->judge, -EINVAL, field, "A package name is empty");
		else if (!package_allowed(word)) {
			_cleanup_(freep) char *repr = judge_repr(&reader->judge, element);

			if (repr)
				judge_say(&reader->judge, -EINVAL, field,
					  "A package name cannot contain \"/\" or control "
					  "characters, but got %s",
					  repr);
		} else {
			collect_words(&collector, word);
		}
	}
	collected(reader, &collector);
	if (reader->spec->packages.count > limit)
		judge_say(&reader->judge, -EFBIG, field,
			  "packages has %zu names, at most %zu are allowed%s",
			  reader->spec->packages.count, limit,
			  list_suffix(reader, "packages", limit, suffix));
	/* upstream accepts it, and the compose fails (odcs-api.md 12) */
	if (reader->spec->source_type == SOURCE_MODULE && json_array_size(list))
		judge_say(&reader->judge, -EINVAL, field, MODULE_PACKAGES);
}

/* ---- the rest (rules 10 to 15) ----------------------------------------- */

/* Upstream prints a tuple for an unknown flag or result (odcs-api.md 12): REST keeps its text. */
static void say_unknown(struct reader *reader, const char *key, const char *what,
			const json_t *element, const struct named_bit *words)
{
	const char *word = json_string_value(element), *nearest = NULL;
	const char *known[16];
	size_t count = 0;

	if (!reader->rules->strict) {
		_cleanup_(freep) char *repr = judge_repr(&reader->judge, element);

		if (repr)
			judge_say(&reader->judge, -EINVAL, key, "('Unknown %s %%s', %s)", what,
				  repr);
		return;
	}
	for (; words->name && count < ARRAY_SIZE(known); words++)
		known[count++] = words->name;
	nearest = nearest_word(word, known, count);
	judge_say(&reader->judge, -EINVAL, key, "Unknown %s \"%s\"%s%s%s", what, word,
		  nearest ? "; did you mean \"" : "", nearest ? nearest : "", nearest ? "\"?" : "");
}

static int read_bits(struct reader *reader, const char *key, const char *what)
{
	const struct named_bit *words = member_find(body_members, key)->words;
	const json_t *list = read_list(reader, reader->body, key, SPEC_MAX_WORDS);
	json_t *element;
	int bits = 0;
	size_t i;

	json_array_foreach(list, i, element)
	{
		int bit = named_bit_find(words, json_string_value(element));

		if (bit >= 0)
			bits |= bit;
		else if (words == multilib_words)
			judge_say(&reader->judge, -EINVAL, key, "Unknown multilib method \"%s\"",
				  json_string_value(element));
		else
			say_unknown(reader, key, what, element, words);
	}
	return bits;
}

static void read_module_defaults(struct reader *reader)
{
	const char *url = read_text(reader, reader->source, "module_defaults_url");
	const char *commit = read_text(reader, reader->source, "module_defaults_commit");
	char field[ERROR_FIELD_SIZE];

	reader_field(reader, reader->source, "module_defaults_url", field);
	if (!url != !commit)
		judge_say(&reader->judge, -EINVAL, field,
			  "The \"module_defaults_url\" and \"module_defaults_commit\" must be used "
			  "together.");
	else if (url && asprintf(&reader->spec->module_defaults_url, "%s %s", url, commit) < 0) {
		reader->spec->module_defaults_url = NULL;
		judge_oom(&reader->judge);
	}
}

static void read_target_dir(struct reader *reader)
{
	const struct strings *known = reader->rules->target_dirs;
	const char *name = read_text(reader, reader->body, "target_dir");

	if (name && strcmp(name, "default") != 0 && (!known || !strings_has(known, name)))
		judge_say(&reader->judge, -EINVAL, "target_dir", "Unknown \"target_dir\" \"%s\"",
			  name);
	reader->spec->target_dir = strdup(name ? name : "default");
	if (!reader->spec->target_dir)
		judge_oom(&reader->judge);
}

/* An arch becomes the name of a directory. */
static void check_arches(struct reader *reader, const char *key, const struct strings *arches)
{
	static const char letters[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";

	if (arches->count > SPEC_MAX_ARCHES)
		judge_say(&reader->judge, -EFBIG, key, "%s has %zu members, at most %d are allowed",
			  key, arches->count, SPEC_MAX_ARCHES);
	for (size_t i = 0; i < arches->count; i++)
		if (arches->item[i][strspn(arches->item[i], letters)])
			judge_say(&reader->judge, -EINVAL, key,
				  "The name of an arch has letters, digits and \"_\" only, but got "
				  "%s",
				  arches->item[i]);
}

static void read_arches(struct reader *reader)
{
	struct spec *spec = reader->spec;

	(void)read_words(reader, reader->body, "arches", &spec->arches, false);
	check_arches(reader, "arches", &spec->arches);
	if (!spec->arches.count && json_array_size(json_object_get(reader->body, "arches")))
		judge_say(&reader->judge, -EINVAL, "arches", "arches: no arch is named");
	if (!spec->arches.count && strings_copy(&spec->arches, reader->rules->default_arches) < 0)
		judge_oom(&reader->judge);
	(void)read_words(reader, reader->body, "multilib_arches", &spec->multilib_arches, false);
	check_arches(reader, "multilib_arches", &spec->multilib_arches);
}

static void read_source_members(struct reader *reader)
{
	struct spec *spec = reader->spec;
	const json_t *source = reader->source;

	spec->has_builds = read_words(reader, source, "builds", &spec->builds, false);
	(void)read_words(reader, source, "sigkeys", &spec->sigkeys, true);
	spec->koji_event = read_number(reader, source, "koji_event");
	spec->has_modular_koji_tags =
		read_words(reader, source, "modular_koji_tags", &spec->modular_koji_tags, false);
	spec->has_scratch_modules =
		read_words(reader, source, "scratch_modules", &spec->scratch_modules, false);
	spec->has_modules = read_words(reader, source, "modules", &spec->modules, false);
	spec->has_scratch_build_tasks = read_words(reader, source, "scratch_build_tasks",
						   &spec->scratch_build_tasks, false);
	read_string(reader, source, "base_module_br_name", &spec->base_module_br_name);
	read_string(reader, source, "base_module_br_stream", &spec->base_module_br_stream);
	spec->base_module_br_stream_version_lte =
		read_number(reader, source, "base_module_br_stream_version_lte");
	spec->base_module_br_stream_version_gte =
		read_number(reader, source, "base_module_br_stream_version_gte");
}

static void read_lease(struct reader *reader)
{
	const json_t *value = json_object_get(reader->body, "lease");
	int64_t most = reader->rules->maximum_seconds_to_live, seconds = -1;

	if (value && json_is_integer(value) && json_integer_value(value) >= 0)
		seconds = json_integer_value(value) < most ? json_integer_value(value) : most;
	else if (value && !body_said("lease", value) && !json_is_object(value))
		judge_say(&reader->judge, -EINVAL, "lease",
			  "lease should be a whole number of seconds, at least 0");
	reader->spec->lease = seconds;
}

/* It ends a file's name behind a dash, where a number would be a compose's. */
bool is_latest_name(const char *name)
{
	size_t length = strspn(name, LATEST_CHARACTERS);

	return length && length <= SPEC_MAX_LATEST && !name[length] &&
	       !strchr("0123456789_.", *name);
}

static void read_latest(struct reader *reader)
{
	struct spec *spec = reader->spec;

	read_string(reader, reader->body, "latest", &spec->latest);
	if (spec->latest && !is_latest_name(spec->latest))
		judge_say(&reader->judge, -EINVAL, "latest",
			  "latest should be a letter, then letters, digits, _ and dots, at most %d "
			  "in all",
			  SPEC_MAX_LATEST);
}

static void read_prefetch(struct reader *reader)
{
	const json_t *value = json_object_get(reader->body, "prefetch");

	if (value && !json_is_boolean(value) && !body_said("prefetch", value) &&
	    !json_is_object(value))
		judge_say(&reader->judge, -EINVAL, "prefetch", "prefetch should be true or false");
	reader->spec->prefetch = json_is_true(value) ? 1 : -1;
}

static void read_body_members(struct reader *reader)
{
	struct spec *spec = reader->spec;

	(void)read_words(reader, reader->body, "lookaside_repos", &spec->lookaside_repos, false);
	read_lease(reader);
	read_latest(reader);
	read_prefetch(reader);
	read_string(reader, reader->body, "label", &spec->label);
	read_string(reader, reader->body, "compose_type", &spec->compose_type);
	if (!spec->compose_type && !(spec->compose_type = strdup("test")))
		judge_oom(&reader->judge);
	if (reader->rules->strict && !reader->judge.code) {
		struct error late = { 0 };

		if (spec_check_late(spec, &late) < 0)
			judge_say(&reader->judge, late.code, late.field, "%s", late.message);
	}
}

static void read_request(struct reader *reader)
{
	struct spec *spec = reader->spec;

	if (reader->rules->strict)
		read_known_members(reader);
	body_judge(&reader->judge, reader->body); /* rule 4 */
	if (!json_is_object(reader->source)) {
		_cleanup_(freep) char *repr = judge_repr(&reader->judge, reader->body);

		if (repr)
			judge_say(&reader->judge, -EINVAL, "source",
				  "Invalid source configuration provided: %s", repr);
		return;
	}
	read_type(reader);
	read_source(reader);
	read_packages(reader);
	spec->seconds_to_live = lifetime_judge(&reader->judge, reader->body, reader->rules);
	spec->flags = read_bits(reader, "flags", "flag");
	spec->results = read_bits(reader, "results", "result") | RESULT_REPOSITORY;
	spec->multilib_method = read_bits(reader, "multilib_method", "multilib method");
	read_module_defaults(reader);
	read_target_dir(reader);
	read_arches(reader);
	read_source_members(reader);
	read_body_members(reader);
}

/* The seed's {"id": N}: 1 when it is that, whether or not N is good. */
static bool read_renewal(struct reader *reader, int64_t *ret)
{
	const json_t *id = json_object_get(reader->body, "id");

	if (!reader->rules->accept_id || !id || json_object_get(reader->body, "source") ||
	    json_object_get(reader->body, "source_type"))
		return false;
	body_judge(&reader->judge, reader->body);
	if (!json_is_integer(id)) {
		judge_say(&reader->judge, -EINVAL, "id", "id should be an integer");
	} else if (json_integer_value(id) <= 0) {
		judge_say(&reader->judge, -EINVAL, "id",
			  "No expired or failed compose with id %" JSON_INTEGER_FORMAT,
			  json_integer_value(id));
	} else if (!reader->judge.code) {
		(void)lifetime_judge(&reader->judge, reader->body, reader->rules);
		*ret = json_integer_value(id);
	}
	return true;
}

static bool is_nothing(const json_t *body)
{
	return json_is_null(body) || json_is_false(body) ||
	       (json_is_object(body) && !json_object_size(body)) ||
	       (json_is_array(body) && !json_array_size(body)) ||
	       (json_is_string(body) && !json_string_length(body)) ||
	       (json_is_number(body) && json_number_value(body) == 0);
}

static void read_body(struct reader *reader, const json_t *body, int64_t *ret_renew_id)
{
	const json_t *source = json_object_get(body, "source");

	reader->body = body;
	reader->source = source;
	reader->prefix = "source.";
	if (!reader->rules->strict && is_nothing(body)) {
		judge_say(&reader->judge, -EINVAL, "", "No JSON POST data submitted");
		return;
	}
	if (json_object_get(body, "source_type") && !json_is_object(source)) {
		reader->source = body;
		reader->prefix = "";
	}
	if (!ret_renew_id || !read_renewal(reader, ret_renew_id))
		read_request(reader);
}

int spec_parse(const char *text, size_t length, const struct spec_rules *rules, struct spec **ret,
	       int64_t *ret_renew_id, struct text *problems, struct error *err)
{
	_cleanup_(spec_freep) struct spec *spec = calloc(1, sizeof(*spec));
	struct reader reader = { .judge = { .problems = problems, .err = err },
				 .rules = rules,
				 .spec = spec };
	json_auto_t *body = NULL;
	int64_t renew_id = 0;

	if (!spec)
		return error_oom(err);
	if (body_load(text, length, rules->strict, &body, &reader.judge) == 0)
		read_body(&reader, body, ret_renew_id ? &renew_id : NULL);
	judge_done(&reader.judge);
	if (reader.judge.code)
		return reader.judge.code;
	if (ret_renew_id)
		*ret_renew_id = renew_id;
	*ret = renew_id ? NULL : steal(spec);
	return 0;
}
