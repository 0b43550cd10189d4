/* SPDX-License-Identifier: MIT */
/* core/model/normal.c: a judged request at rest: its normal form as JSON, copy, comparison,
 * release.
 *
 * The normal form has the names of struct spec; a member that is null there is absent. */
#include "core/model/private.h"

#define NO_FLAG SIZE_MAX
#define PLACE(member) offsetof(struct spec, member)

static const struct list_row {
	const char *name;
	size_t place, has; /* @has: of the bool that tells null from empty, or NO_FLAG */
} list_rows[] = {
	{ "source", PLACE(source), NO_FLAG },
	{ "packages", PLACE(packages), PLACE(has_packages) },
	{ "builds", PLACE(builds), PLACE(has_builds) },
	{ "sigkeys", PLACE(sigkeys), NO_FLAG },
	{ "arches", PLACE(arches), NO_FLAG },
	{ "multilib_arches", PLACE(multilib_arches), NO_FLAG },
	{ "lookaside_repos", PLACE(lookaside_repos), NO_FLAG },
	{ "modular_koji_tags", PLACE(modular_koji_tags), PLACE(has_modular_koji_tags) },
	{ "scratch_modules", PLACE(scratch_modules), PLACE(has_scratch_modules) },
	{ "modules", PLACE(modules), PLACE(has_modules) },
	{ "scratch_build_tasks", PLACE(scratch_build_tasks), PLACE(has_scratch_build_tasks) },
};

static const struct string_row {
	const char *name;
	size_t place;
	bool needed;
} string_rows[] = {
	{ "module_defaults_url", PLACE(module_defaults_url), false },
	{ "label", PLACE(label), false },
	{ "compose_type", PLACE(compose_type), true },
	{ "target_dir", PLACE(target_dir), true },
	{ "base_module_br_name", PLACE(base_module_br_name), false },
	{ "base_module_br_stream", PLACE(base_module_br_stream), false },
	{ "latest", PLACE(latest), false },
};

/* -1 means none and is left out where @least is -1 */
static const struct number_row {
	const char *name;
	size_t place;
	int64_t least;
} number_rows[] = {
	{ "koji_event", PLACE(koji_event), -1 },
	{ "base_module_br_stream_version_lte", PLACE(base_module_br_stream_version_lte), -1 },
	{ "base_module_br_stream_version_gte", PLACE(base_module_br_stream_version_gte), -1 },
	{ "seconds_to_live", PLACE(seconds_to_live), 0 },
	{ "lease", PLACE(lease), -1 },
	{ "prefetch", PLACE(prefetch), -1 },
};

static const struct bits_row {
	const char *name;
	size_t place;
	int least, most;
} bits_rows[] = {
	{ "flags", PLACE(flags), 0, 2 * FLAG_NO_LABEL - 1 },
	{ "results", PLACE(results), RESULT_REPOSITORY, 2 * RESULT_BOOT_ISO - 1 },
	{ "multilib_method", PLACE(multilib_method), 0, 2 * MULTILIB_ALL - 1 },
};

static void *at_place(struct spec *spec, size_t place)
{
	return (char *)spec + place;
}

static const void *at_const_place(const struct spec *spec, size_t place)
{
	return (const char *)spec + place;
}

static bool is_there(const struct spec *spec, const struct list_row *row)
{
	return row->has == NO_FLAG || *(const bool *)at_const_place(spec, row->has);
}

/* ---- release, copy ----------------------------------------------------- */

void spec_free(struct spec *spec)
{
	if (!spec)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(list_rows); i++)
		strings_done(at_place(spec, list_rows[i].place));
	for (size_t i = 0; i < ARRAY_SIZE(string_rows); i++)
		free(*(char **)at_place(spec, string_rows[i].place));
	free(spec);
}

int spec_copy(const struct spec *spec, struct spec **ret, struct error *err)
{
	_cleanup_(spec_freep) struct spec *copy = calloc(1, sizeof(*copy));

	if (!copy)
		return error_oom(err);
	*copy = *spec;
	for (size_t i = 0; i < ARRAY_SIZE(list_rows); i++)
		*(struct strings *)at_place(copy, list_rows[i].place) = (struct strings){ 0 };
	for (size_t i = 0; i < ARRAY_SIZE(string_rows); i++)
		*(char **)at_place(copy, string_rows[i].place) = NULL;
	for (size_t i = 0; i < ARRAY_SIZE(list_rows); i++)
		if (strings_copy(at_place(copy, list_rows[i].place),
				 at_const_place(spec, list_rows[i].place)) < 0)
			return error_oom(err);
	for (size_t i = 0; i < ARRAY_SIZE(string_rows); i++) {
		const char *from = *(char *const *)at_const_place(spec, string_rows[i].place);
		char **to = at_place(copy, string_rows[i].place);

		if (from && !(*to = strdup(from)))
			return error_oom(err);
	}
	*ret = steal(copy);
	return 0;
}

/* ---- to JSON ----------------------------------------------------------- */

json_t *words_to_json(const struct strings *words)
{
	json_auto_t *list = json_array();

	for (size_t i = 0; list && i < words->count; i++)
		if (json_array_append_new(list, json_string(words->item[i])) < 0)
			return NULL;
	return steal(list);
}

json_t *spec_to_json(const struct spec *spec)
{
	json_auto_t *json = json_object();
	int r = json_object_set_new(json, "source_type", json_integer(spec->source_type));

	for (size_t i = 0; i < ARRAY_SIZE(list_rows); i++)
		if (is_there(spec, &list_rows[i]))
			r |= json_object_set_new(
				json, list_rows[i].name,
				words_to_json(at_const_place(spec, list_rows[i].place)));
	for (size_t i = 0; i < ARRAY_SIZE(string_rows); i++) {
		const char *string = *(char *const *)at_const_place(spec, string_rows[i].place);

		if (string)
			r |= json_object_set_new(json, string_rows[i].name, json_string(string));
	}
	for (size_t i = 0; i < ARRAY_SIZE(number_rows); i++) {
		int64_t number = *(const int64_t *)at_const_place(spec, number_rows[i].place);

		if (number >= 0)
			r |= json_object_set_new(json, number_rows[i].name, json_integer(number));
	}
	for (size_t i = 0; i < ARRAY_SIZE(bits_rows); i++)
		r |= json_object_set_new(
			json, bits_rows[i].name,
			json_integer(*(const int *)at_const_place(spec, bits_rows[i].place)));
	return r < 0 ? NULL : steal(json);
}

/* ---- from JSON --------------------------------------------------------- */

static int refuse(struct error *err, const char *field, const char *words)
{
	return error_set(err, -EBADMSG, BLAME_US, field, "stored request: %s %s", field, words);
}

int words_from_json(const json_t *list, struct strings *ret)
{
	json_t *element;
	size_t i;

	if (!json_is_array(list))
		return -EBADMSG;
	json_array_foreach(list, i, element)
	{
		if (!json_is_string(element))
			return -EBADMSG;
		if (strings_add(ret, json_string_value(element)) < 0)
			return -ENOMEM;
	}
	return 0;
}

static int load_lists(const json_t *json, struct spec *spec, struct error *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(list_rows); i++) {
		const struct list_row *row = &list_rows[i];
		const json_t *list = json_object_get(json, row->name);
		int r;

		if (row->has != NO_FLAG)
			*(bool *)at_place(spec, row->has) = list;
		else if (!list)
			return refuse(err, row->name, "is missing");
		if (!list)
			continue;
		r = words_from_json(list, at_place(spec, row->place));
		if (r == -ENOMEM)
			return error_oom(err);
		if (r < 0)
			return refuse(err, row->name, "is not a list of strings");
	}
	return spec->arches.count ? 0 : refuse(err, "arches", "is empty");
}

static int load_strings(const json_t *json, struct spec *spec, struct error *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(string_rows); i++) {
		const struct string_row *row = &string_rows[i];
		const json_t *string = json_object_get(json, row->name);
		char **to = at_place(spec, row->place);

		if (!string && !row->needed)
			continue;
		if (!json_is_string(string))
			return refuse(err, row->name, "is not a string");
		*to = strdup(json_string_value(string));
		if (!*to)
			return error_oom(err);
	}
	return 0;
}

static int load_numbers(const json_t *json, struct spec *spec, struct error *err)
{
	const json_t *type = json_object_get(json, "source_type");

	if (!json_is_integer(type) || json_integer_value(type) < SOURCE_TAG ||
	    json_integer_value(type) > SOURCE_PUNGI_COMPOSE)
		return refuse(err, "source_type", "is not known");
	spec->source_type = (enum source_type)json_integer_value(type);
	for (size_t i = 0; i < ARRAY_SIZE(number_rows); i++) {
		const struct number_row *row = &number_rows[i];
		const json_t *number = json_object_get(json, row->name);
		int64_t value = json_is_integer(number) ? json_integer_value(number) : -1;

		if ((number && !json_is_integer(number)) || value < row->least)
			return refuse(err, row->name, "is not a number");
		*(int64_t *)at_place(spec, row->place) = value;
	}
	for (size_t i = 0; i < ARRAY_SIZE(bits_rows); i++) {
		const struct bits_row *row = &bits_rows[i];
		const json_t *number = json_object_get(json, row->name);

		if (!json_is_integer(number) || json_integer_value(number) < row->least ||
		    json_integer_value(number) > row->most)
			return refuse(err, row->name, "is not a set of bits");
		*(int *)at_place(spec, row->place) = (int)json_integer_value(number);
	}
	return 0;
}

int spec_from_json(const json_t *json, struct spec **ret, struct error *err)
{
	_cleanup_(spec_freep) struct spec *spec = calloc(1, sizeof(*spec));
	int r;

	if (!spec)
		return error_oom(err);
	if (!json_is_object(json))
		return error_set(err, -EBADMSG, BLAME_US, NULL, "stored request: not an object");
	r = load_lists(json, spec, err);
	if (r == 0)
		r = load_strings(json, spec, err);
	if (r == 0)
		r = load_numbers(json, spec, err);
	if (r < 0)
		return r;
	*ret = steal(spec);
	return 0;
}

/* ---- the same question? (odcs-api.md 5) -------------------------------- */

/* Equal words in equal order: the usual case, without sorting. */
static bool same_words(const struct strings *a, const struct strings *b)
{
	if (a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i++)
		if (strcmp(a->item[i], b->item[i]) != 0)
			return false;
	return true;
}

static int compare_words(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The list's pointers in order; [""] joins to the same text as no word at all. */
static bool sorted_words(const struct strings *list, char ***ret, size_t *ret_count)
{
	*ret_count = list->count == 1 && !*list->item[0] ? 0 : list->count;
	*ret = calloc(*ret_count + 1, sizeof(**ret));
	if (!*ret)
		return false;
	if (*ret_count) {
		memcpy(*ret, list->item, *ret_count * sizeof(**ret));
		qsort(*ret, *ret_count, sizeof(**ret), compare_words);
	}
	return true;
}

/* As sets; words are unique within a list. False when out of memory: then nothing is reused. */
static bool same_set(const struct strings *a, const struct strings *b)
{
	char **a_words = NULL, **b_words = NULL;
	size_t a_count = 0, b_count = 0;
	bool same = false;

	if (same_words(a, b))
		return true;
	if (sorted_words(a, &a_words, &a_count) && sorted_words(b, &b_words, &b_count) &&
	    a_count == b_count) {
		same = true;
		for (size_t i = 0; same && i < a_count; i++)
			same = !strcmp(a_words[i], b_words[i]);
	}
	free(a_words);
	free(b_words);
	return same;
}

static bool same_string(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

bool spec_same_question(const struct spec *a, const struct spec *b)
{
	if (a->source_type != b->source_type || a->flags != b->flags || a->results != b->results ||
	    a->multilib_method != b->multilib_method || !same_words(&a->source, &b->source) ||
	    !same_string(a->module_defaults_url, b->module_defaults_url) ||
	    !same_string(a->target_dir, b->target_dir))
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(list_rows); i++)
		if (list_rows[i].place != PLACE(source) &&
		    !same_set(at_const_place(a, list_rows[i].place),
			      at_const_place(b, list_rows[i].place)))
			return false;
	return true;
}

bool spec_reusable(const struct spec *spec)
{
	return !(spec->flags & FLAG_NO_REUSE) && spec->source_type != SOURCE_RAW_CONFIG &&
	       spec->source_type != SOURCE_PULP;
}

/* Each with its length before it, so that no two lists give the same bytes. */
static void add_word(struct text *text, const char *word)
{
	if (word)
		(void)text_addf(text, " %zu:%s", strlen(word), word);
	else
		(void)text_adds(text, " -");
}

static int add_set(struct text *text, const struct list_row *row, const struct spec *spec)
{
	char **words = NULL;
	size_t count = 0;

	if (!sorted_words(at_const_place(spec, row->place), &words, &count))
		return -ENOMEM;
	(void)text_addf(text, "\n%s %zu", row->name, count);
	for (size_t i = 0; i < count; i++)
		add_word(text, words[i]);
	free(words);
	return 0;
}

/* Kept with the rows of the catalogue: other bytes here need another number in the first line. */
int spec_question(const struct spec *spec, char ret[static DIGEST_HEX_SIZE])
{
	_cleanup_(text_done) struct text text = { 0 };

	(void)text_addf(&text, "question 1\ntype %d flags %d results %d multilib %d\nsource %zu",
			(int)spec->source_type, spec->flags, spec->results, spec->multilib_method,
			spec->source.count);
	for (size_t i = 0; i < spec->source.count; i++)
		add_word(&text, spec->source.item[i]);
	add_word(&text, spec->module_defaults_url);
	add_word(&text, spec->target_dir);
	for (size_t i = 0; i < ARRAY_SIZE(list_rows); i++)
		if (list_rows[i].place != PLACE(source) && add_set(&text, &list_rows[i], spec) < 0)
			return -ENOMEM;
	if (text.failed)
		return -ENOMEM;
	sha256_hex(text.data, text.length, ret);
	return 0;
}

/* ---- what upstream refuses later -------------------------------------- */

static bool is_label(const char *label)
{
	static const char *const milestones[] = { "EA",
						  "DevelPhaseExit",
						  "InternalAlpha",
						  "Alpha",
						  "InternalSnapshot",
						  "Beta",
						  "Snapshot",
						  "RC",
						  "Update",
						  "SecurityFix" };
	const char *digits = strchr(label, '-');
	bool known = false;
	size_t length;

	for (size_t i = 0; digits && i < ARRAY_SIZE(milestones); i++)
		known |= strlen(milestones[i]) == (size_t)(digits - label) &&
			 !strncmp(label, milestones[i], (size_t)(digits - label));
	if (!known)
		return false;
	length = strspn(++digits, "0123456789");
	if (!length || digits[length] != '.')
		return false;
	digits += length + 1;
	length = strspn(digits, "0123456789");
	return length && !digits[length];
}

int spec_check_late(const struct spec *spec, struct error *err)
{
	if (!compose_type_suffix(spec->compose_type))
		return error_set(err, -EINVAL, BLAME_REQUEST, "compose_type",
				 "Invalid compose type: %s", spec->compose_type);
	if (spec->label && !is_label(spec->label))
		return error_set(err, -EINVAL, BLAME_REQUEST, "label",
				 "Label in unknown format: %s", spec->label);
	return 0;
}
