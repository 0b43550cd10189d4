/* SPDX-License-Identifier: MIT */
/* core/model/members.c: the members of a request: which are known, and how one of each kind is
 * read.
 *
 * A reader says what is wrong with a member once, and then takes it as absent. */
#include "core/model/private.h"

const struct member body_members[] = {
	{ "source", MEMBER_SOURCE, .meaning = "What the packages are taken from." },
	{ "flags", MEMBER_LIST, .words = flag_words },
	{ "results", MEMBER_LIST, .words = result_words,
	  .meaning = "Kinds of results; a repository is always made." },
	{ "arches", MEMBER_LIST, .most = SPEC_MAX_ARCHES,
	  .meaning = "A repository is made for each; default: the site's." },
	{ "multilib_arches", MEMBER_LIST, .most = SPEC_MAX_ARCHES },
	{ "multilib_method", MEMBER_LIST, .words = multilib_words, .everywhere = true },
	{ "lookaside_repos", MEMBER_LIST,
	  .meaning = "Repositories that satisfy requirements without being copied." },
	{ "label", MEMBER_STRING, .everywhere = true, .meaning = "Such as RC-1.0." },
	{ "compose_type", MEMBER_STRING, .everywhere = true,
	  .meaning = "test (default), ci, nightly, production or development." },
	{ "target_dir", MEMBER_STRING, .everywhere = true },
	{ "seconds_to_live", MEMBER_INTEGER, .everywhere = true,
	  .meaning = "Counted from the moment it is done; default and most: the site's." },
	{ "seconds-to-live", MEMBER_SECONDS, .meaning = "The same in the words of 2017." },
	{ "lease", MEMBER_INTEGER,
	  .meaning = "Whoever reads it keeps it for so many seconds more; 0: nobody does; default: "
		     "the site's." },
	{ "latest", MEMBER_STRING,
	  .meaning = "A letter, then letters, digits, _ and dots: latest-OWNER-NAME leads to it as "
		     "soon as it is done, and until the next one of that name is." },
	{ "prefetch", MEMBER_FLAG,
	  .meaning =
		  "Packages of servers are fetched as soon as it is done, not when somebody reads "
		  "them." },
	{ NULL },
};

const struct member source_members[] = {
	{ "type", MEMBER_TYPE, .everywhere = true },
	{ "source", MEMBER_STRING,
	  .meaning = "Words separated by blanks: a tag, modules, repositories; empty for builds." },
	{ "packages", MEMBER_LIST, .everywhere = true, .most = SPEC_MAX_PACKAGES,
	  .meaning = "RPM names, NAME.ARCH or NEVRAs; without them everything." },
	{ "builds", MEMBER_LIST, .everywhere = true, .meaning = "NVRs." },
	{ "sigkeys", MEMBER_LIST, .everywhere = true },
	{ "koji_event", MEMBER_INTEGER, .everywhere = true },
	{ "modular_koji_tags", MEMBER_LIST },
	{ "module_defaults_url", MEMBER_STRING,
	  .meaning = "Together with module_defaults_commit." },
	{ "module_defaults_commit", MEMBER_STRING },
	{ "scratch_modules", MEMBER_LIST, .everywhere = true },
	{ "modules", MEMBER_LIST, .everywhere = true },
	{ "scratch_build_tasks", MEMBER_LIST, .everywhere = true },
	{ "base_module_br_name", MEMBER_STRING, .everywhere = true },
	{ "base_module_br_stream", MEMBER_STRING, .everywhere = true },
	{ "base_module_br_stream_version_lte", MEMBER_INTEGER, .everywhere = true },
	{ "base_module_br_stream_version_gte", MEMBER_INTEGER, .everywhere = true },
	{ NULL },
};

const struct member *member_find(const struct member *members, const char *key)
{
	for (; members->name; members++)
		if (!strcmp(members->name, key))
			return members;
	return NULL;
}

bool reader_is_flat(const struct reader *reader)
{
	return reader->source == reader->body;
}

/* ---- members that nobody knows (tree.md 2.4) --------------------------- */

static size_t add_names(const struct member *members, const char **ret)
{
	size_t count = 0;

	for (; members->name; members++)
		ret[count++] = members->name;
	return count;
}

static bool is_known(const char *key, const char *const *known, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (!strcmp(key, known[i]))
			return true;
	return false;
}

static void refuse_unknown(struct reader *reader, const json_t *object, const char *prefix,
			   const char *const *known, size_t count)
{
	json_t *mutable = (json_t *)(uintptr_t)object; /* jansson's iterators know no const */
	char field[2 * ERROR_FIELD_SIZE];

	for (void *at = json_object_iter(mutable); at; at = json_object_iter_next(mutable, at)) {
		const char *key = json_object_iter_key(at), *nearest;

		if (is_known(key, known, count))
			continue;
		(void)snprintf(field, sizeof(field), "%s%s", prefix, key);
		nearest = nearest_word(key, known, count);
		if (!*prefix && member_find(source_members, key))
			judge_say(&reader->judge, -EINVAL, field,
				  "unknown member here; it belongs into \"source\"");
		else if (*prefix && member_find(body_members, key))
			judge_say(&reader->judge, -EINVAL, field,
				  "unknown member here; it belongs beside \"source\"");
		else if (nearest)
			judge_say(&reader->judge, -EINVAL, field,
				  "unknown member; did you mean \"%s\"?", nearest);
		else
			judge_say(&reader->judge, -EINVAL, field, "unknown member");
	}
}

void read_known_members(struct reader *reader)
{
	const char *known[MEMBERS_MAX];
	size_t count;

	if (reader_is_flat(reader)) {
		count = add_names(body_members, known);
		count += add_names(source_members + 1, known + count); /* without "type" */
		known[count++] = "source_type";
		refuse_unknown(reader, reader->body, "", known, count);
		return;
	}
	if (json_is_object(reader->source)) {
		count = add_names(source_members, known);
		refuse_unknown(reader, reader->source, "source.", known, count);
	}
	count = add_names(body_members, known);
	refuse_unknown(reader, reader->body, "", known, count);
}

/* ---- reading members --------------------------------------------------- */

#define FEW_WORDS 32

static void collect(struct collector *collector, const char *word, size_t length)
{
	struct strings *list = collector->list;
	char *added;

	if (strings_addn(list, word, length) < 0) {
		collector->failed = true;
		return;
	}
	added = list->item[list->count - 1];
	if (list->count <= FEW_WORDS) {
		for (size_t i = 0; i + 1 < list->count; i++)
			if (!strcmp(list->item[i], added))
				goto again;
		return;
	}
	if (!collector->seen) {
		collector->seen = json_object();
		for (size_t i = 0; i + 1 < list->count; i++)
			if (json_object_set_new_nocheck(collector->seen, list->item[i],
							json_true()) < 0)
				collector->failed = true;
	}
	if (json_object_get(collector->seen, added))
		goto again;
	if (json_object_set_new_nocheck(collector->seen, added, json_true()) < 0)
		collector->failed = true;
	return;
again:
	free(list->item[--list->count]);
}

void collect_words(struct collector *collector, const char *string)
{
	for (const char *at = string; *at;) {
		const char *end = strchrnul(at, ' ');

		if (end > at)
			collect(collector, at, (size_t)(end - at));
		at = *end ? end + 1 : end;
	}
}

void collected(struct reader *reader, struct collector *collector)
{
	json_decref(collector->seen);
	if (collector->failed)
		judge_oom(&reader->judge);
}

void reader_field(const struct reader *reader, const json_t *object, const char *key,
		  char ret[static ERROR_FIELD_SIZE])
{
	(void)snprintf(ret, ERROR_FIELD_SIZE, "%s%s",
		       object == reader->source ? reader->prefix : "", key);
}

/* The list @key of strings, or NULL when it is absent or was refused. */
const char *list_suffix(const struct reader *reader, const char *key, size_t limit,
			char ret[static LIMIT_SUFFIX_SIZE])
{
	bool ours = !strcmp(key, "packages") && limit == reader->rules->maximum_packages;

	return ours ? limit_suffix(reader->rules->contact, "limits.packages", (int64_t)limit, ret)
		    : "";
}

const json_t *read_list(struct reader *reader, const json_t *object, const char *key, size_t limit)
{
	const json_t *list = json_object_get(object, key);
	char field[ERROR_FIELD_SIZE], suffix[LIMIT_SUFFIX_SIZE];
	json_t *element;
	size_t i;

	if (!list || body_said(key, list))
		return NULL;
	reader_field(reader, object, key, field);
	if (!json_is_array(list)) {
		judge_say(&reader->judge, -EINVAL, field, "%s should be a list", key);
		return NULL;
	}
	if (json_array_size(list) > limit) {
		judge_say(&reader->judge, -EFBIG, field,
			  "%s has %zu members, at most %zu are allowed%s", key,
			  json_array_size(list), limit, list_suffix(reader, key, limit, suffix));
		return NULL;
	}
	json_array_foreach(list, i, element)
	{
		if (json_is_string(element))
			continue;
		if (!json_is_null(element) && !json_is_object(element)) /* those were said */
			judge_say(&reader->judge, -EINVAL, field, "%s should be a list of strings",
				  key);
		return NULL;
	}
	return list;
}

/* Words of @key: the elements, cut at blanks since the record joins them by blanks. An empty
 * element means nothing, save with @keep_empty. Returns whether the member is there. */
bool read_words(struct reader *reader, const json_t *object, const char *key, struct strings *ret,
		bool keep_empty)
{
	const json_t *list = read_list(reader, object, key, SPEC_MAX_WORDS);
	struct collector collector = { .list = ret };
	json_t *element;
	size_t i;

	if (!list)
		return false;
	json_array_foreach(list, i, element)
	{
		if (keep_empty && !json_string_length(element))
			collect(&collector, "", 0);
		else
			collect_words(&collector, json_string_value(element));
	}
	collected(reader, &collector);
	return true;
}

int spec_words(const json_t *container, const char *key, bool keep_empty, struct strings *ret,
	       struct error *err)
{
	struct reader reader = { .judge = { .err = err }, .prefix = "" };
	bool there = read_words(&reader, container, key, ret, keep_empty);

	judge_done(&reader.judge);
	return reader.judge.code ? reader.judge.code : there;
}

/* The string @key, or NULL when it is absent, empty or refused. */
const char *read_text(struct reader *reader, const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);
	char field[ERROR_FIELD_SIZE];

	if (!value || body_said(key, value))
		return NULL;
	if (!json_is_string(value)) {
		if (!json_is_object(value)) {
			reader_field(reader, object, key, field);
			judge_say(&reader->judge, -EINVAL, field, "%s should be a string", key);
		}
		return NULL;
	}
	return json_string_length(value) ? json_string_value(value) : NULL;
}

void read_string(struct reader *reader, const json_t *object, const char *key, char **ret)
{
	const char *text = read_text(reader, object, key);

	if (text && !(*ret = strdup(text)))
		judge_oom(&reader->judge);
}

int64_t read_number(struct reader *reader, const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);
	char field[ERROR_FIELD_SIZE];
	int64_t number;

	if (!value || body_said(key, value) || python_int(value, &number) < 0)
		return -1;
	if (number < 0) {
		reader_field(reader, object, key, field);
		judge_say(&reader->judge, -EINVAL, field, "%s should not be negative", key);
		return -1;
	}
	return number;
}
