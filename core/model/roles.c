/* SPDX-License-Identifier: MIT */
/* core/model/roles.c: who may ask, and for what: the roles file, and the judgement by it.
 *
 *   {"allowed_clients": {"users": {NAME: {KEY: [WORD, …], …}, …}, "groups": {…}},
 *    "admins": {"users": [NAME, …], "groups": [NAME, …]},
 *    "allowed": {KEY: [WORD, …], …}}
 *
 * The rules are ODCS's (odcs-api.md 8.3), with what looks like a trap in them: the flag no_flags is
 * in every request, and a build compose has the empty word as its source. Lists become sets, since
 * users choose how many words are looked up in them; null stands for [""]: anything. */
#include "core/model/private.h"

#define FILE_MAX_BYTES (4 * 1024 * 1024)

enum limit {
	LIMIT_SOURCE_TYPES,
	LIMIT_SOURCES,
	LIMIT_RESULTS,
	LIMIT_FLAGS,
	LIMIT_ARCHES,
	LIMIT_COMPOSE_TYPES,
	LIMIT_TARGET_DIRS,
	LIMIT_RAW_CONFIG_KEYS,
	LIMITS,
};

/* @fallback: words by blanks where the file has no such list; NULL: anything.
 * @field: the member of a request that it judges */
static const struct {
	const char *key, *fallback, *field;
} limits[LIMITS] = {
	[LIMIT_SOURCE_TYPES] = { "source_types", "tag module build", "source.type" },
	[LIMIT_SOURCES] = { "sources", NULL, "source.source" },
	[LIMIT_RESULTS] = { "results", NULL, "results" },
	[LIMIT_FLAGS] = { "flags", NULL, "flags" },
	[LIMIT_ARCHES] = { "arches", "x86_64", "arches" },
	[LIMIT_COMPOSE_TYPES] = { "compose_types", NULL, "compose_type" },
	[LIMIT_TARGET_DIRS] = { "target_dirs", "", "target_dir" },
	[LIMIT_RAW_CONFIG_KEYS] = { "raw_config_keys", NULL, "source.source" },
};

static const char *const role_names[] = {
	[ROLE_CLIENT] = "allowed_clients",
	[ROLE_ADMIN] = "admins",
};

/* @users, @groups: by role, sets of names; of ROLE_CLIENT each name has its limits: key → set */
struct roles {
	json_t *clients; /* allowed_clients as the file has it */
	json_t *users[ARRAY_SIZE(role_names)], *groups[ARRAY_SIZE(role_names)];
	json_t *defaults;
};

void roles_free(struct roles *roles)
{
	if (!roles)
		return;
	json_decref(roles->clients);
	for (size_t i = 0; i < ARRAY_SIZE(role_names); i++) {
		json_decref(roles->users[i]);
		json_decref(roles->groups[i]);
	}
	json_decref(roles->defaults);
	free(roles);
}

/* ---- reading the file -------------------------------------------------- */

/* struct walk - where in the file we are; each level prints its own member behind its parent's */
struct walk {
	const struct walk *parent;
	const char *member;
	const char *file;
	struct error *err;
};

static void walk_print(const struct walk *at, struct text *ret)
{
	if (!at->parent)
		return;
	walk_print(at->parent, ret);
	(void)text_addf(ret, "%s%s", ret->length ? "." : "", at->member);
}

static int wrong(const struct walk *at, const char *member, const char *format, ...) _printf_(3, 4);

static int wrong(const struct walk *at, const char *member, const char *format, ...)
{
	struct text path = { 0 }, words = { 0 };
	char line[ERROR_MESSAGE_SIZE];
	va_list arguments;
	int r;

	walk_print(at, &path);
	if (member)
		(void)text_addf(&path, "%s%s", path.length ? "." : "", member);
	va_start(arguments, format);
	(void)vsnprintf(line, sizeof(line), format, arguments);
	va_end(arguments);
	(void)text_addf(&words, "%s: %s%s%s", at->file, path.length ? path.data : "",
			path.length ? ": " : "", line);
	r = path.failed || words.failed
		    ? error_oom(at->err)
		    : error_set(at->err, -EINVAL, BLAME_REQUEST, path.data, "%s", words.data);
	text_done(&path);
	text_done(&words);
	return r;
}

static struct walk step(const struct walk *parent, const char *member)
{
	return (struct walk){ parent, member, parent->file, parent->err };
}

static int want_object(const struct walk *at, const json_t *json)
{
	return json_is_object(json) ? 0 : wrong(at, NULL, "must be an object");
}

static int unknown(const struct walk *at, const char *what, const char *member,
		   const char *const *known, size_t count, bool inside)
{
	const char *nearest = nearest_word(member, known, count);

	return wrong(at, inside ? member : NULL, "unknown %s \"%s\"%s%s%s", what, member,
		     nearest ? "; did you mean \"" : "", nearest ? nearest : "",
		     nearest ? "\"?" : "");
}

/* every member of @json is one of @known */
static int check_members(const struct walk *at, json_t *json, const char *const *known,
			 size_t count)
{
	const char *member;
	json_t *value;
	int r = want_object(at, json);

	json_object_foreach(json, member, value)
	{
		size_t i = 0;

		while (i < count && strcmp(known[i], member) != 0)
			i++;
		if (r == 0 && i == count)
			r = unknown(at, "member", member, known, count, true);
	}
	return r;
}

/* a word of a list that has to be one of few */
static int check_word(const struct walk *at, size_t limit, const char *word)
{
	const struct named_bit *bits = limit == LIMIT_FLAGS	? flag_words
				       : limit == LIMIT_RESULTS ? result_words
								: NULL;
	const char *known[16];
	size_t count = 0;

	if (limit == LIMIT_SOURCE_TYPES) {
		if (source_type_parse(word) >= 0)
			return 0;
		for (int type = SOURCE_TAG; type <= SOURCE_PUNGI_COMPOSE; type++)
			known[count++] = source_type_name(type);
		return unknown(at, "source type", word, known, count, false);
	}
	if (!bits || named_bit_find(bits, word) >= 0)
		return 0;
	for (; bits->name && count < ARRAY_SIZE(known); bits++)
		known[count++] = bits->name;
	return unknown(at, limit == LIMIT_FLAGS ? "flag" : "result", word, known, count, false);
}

/* The list as a set, or null for [""]. @limit: whose words; LIMITS for names of people */
static int read_list_of(const struct walk *at, const json_t *list, size_t limit, json_t **ret)
{
	json_auto_t *set = json_object();
	const json_t *item;
	size_t i;
	int r = 0;

	if (!json_is_array(list))
		return wrong(at, NULL, "must be a list");
	item = json_array_get(list, 0);
	if (limit < LIMITS && json_array_size(list) == 1 && json_is_string(item) &&
	    !json_string_length(item)) {
		*ret = json_null();
		return 0;
	}
	json_array_foreach(list, i, item)
	{
		const char *word = json_string_value(item);

		if (!word)
			return wrong(at, NULL, "must be a list of strings");
		if (limit == LIMITS && !*word)
			return wrong(at, NULL, "a name must not be empty");
		r = *word ? check_word(at, limit, word) : 0;
		if (r < 0)
			return r;
		if (json_object_set_new(set, word, json_true()) < 0)
			return error_oom(at->err);
	}
	*ret = steal(set);
	return 0;
}

/* {KEY: [WORD, …], …} with sets for lists */
static int read_limits(const struct walk *at, json_t *json, json_t **ret)
{
	json_auto_t *result = json_object();
	const char *keys[LIMITS];
	int r;

	for (size_t i = 0; i < LIMITS; i++)
		keys[i] = limits[i].key;
	r = check_members(at, json, keys, LIMITS);
	for (size_t i = 0; i < LIMITS && r == 0; i++) {
		const json_t *list = json_object_get(json, keys[i]);
		struct walk here = step(at, keys[i]);
		json_t *set = NULL;

		if (!list)
			continue;
		r = read_list_of(&here, list, i, &set);
		if (r == 0 && json_object_set_new(result, keys[i], set) < 0)
			r = error_oom(at->err);
	}
	if (r == 0)
		*ret = steal(result);
	return r;
}

/* {NAME: {limits}, …} */
static int read_clients(const struct walk *at, json_t *json, json_t **ret)
{
	json_auto_t *result = json_object();
	const char *name;
	json_t *value;
	int r = want_object(at, json);

	if (r < 0)
		return r;
	json_object_foreach(json, name, value)
	{
		struct walk here = step(at, name);
		json_t *entry = NULL;

		r = *name ? read_limits(&here, value, &entry)
			  : wrong(at, NULL, "a name must not be empty");
		if (r < 0)
			return r;
		if (json_object_set_new(result, name, entry) < 0)
			return error_oom(at->err);
	}
	*ret = steal(result);
	return 0;
}

/* "users" and "groups" of one role */
static int read_role(const struct walk *root, const json_t *json, enum role role,
		     struct roles *roles)
{
	static const char *const members[] = { "users", "groups" };
	json_t **rets[] = { &roles->users[role], &roles->groups[role] };
	json_t *both = json_object_get(json, role_names[role]);
	struct walk at = step(root, role_names[role]);
	int r = both ? check_members(&at, both, members, ARRAY_SIZE(members)) : 0;

	for (size_t i = 0; i < ARRAY_SIZE(members) && r == 0; i++) {
		json_t *value = json_object_get(both, members[i]);
		struct walk here = step(&at, members[i]);

		if (!value)
			*rets[i] = json_object();
		else if (role == ROLE_CLIENT)
			r = read_clients(&here, value, rets[i]);
		else
			r = read_list_of(&here, value, LIMITS, rets[i]);
	}
	return r;
}

/* what holds where neither the entry nor the file says something */
static int fill_defaults(struct roles *roles)
{
	int r = 0;

	for (size_t i = 0; i < LIMITS; i++) {
		struct strings words = { 0 };
		json_t *set;

		if (json_object_get(roles->defaults, limits[i].key))
			continue;
		set = limits[i].fallback ? json_object() : json_null();
		if (limits[i].fallback)
			r |= strings_split(&words, limits[i].fallback, ' ');
		for (size_t n = 0; n < words.count; n++)
			r |= json_object_set_new(set, words.item[n], json_true());
		strings_done(&words);
		r |= json_object_set_new(roles->defaults, limits[i].key, set);
	}
	return r ? -ENOMEM : 0;
}

int roles_parse(const char *text, size_t length, const char *file, struct roles **ret,
		struct error *err)
{
	static const char *const members[] = { "allowed_clients", "admins", "allowed" };
	_cleanup_(roles_freep) struct roles *roles = calloc(1, sizeof(*roles));
	const struct walk root = { .file = file, .err = err };
	struct walk allowed = step(&root, "allowed");
	char why[JSON_WHY_SIZE];
	json_auto_t *json = NULL;
	json_t *value;
	int r;

	if (!roles)
		return error_oom(err);
	if (length > FILE_MAX_BYTES)
		return wrong(&root, NULL, "longer than %d bytes", FILE_MAX_BYTES);
	r = json_text_load(text, length, &json, why);
	if (r == -ENOMEM)
		return error_oom(err);
	if (r < 0)
		return wrong(&root, NULL, "%s", why);
	r = check_members(&root, json, members, ARRAY_SIZE(members));
	for (size_t i = 0; i < ARRAY_SIZE(role_names) && r == 0; i++)
		r = read_role(&root, json, (enum role)i, roles);
	if (r < 0)
		return r;
	value = json_object_get(json, "allowed");
	if (value)
		r = read_limits(&allowed, value, &roles->defaults);
	else
		roles->defaults = json_object();
	if (r < 0)
		return r;
	value = json_object_get(json, role_names[ROLE_CLIENT]);
	roles->clients =
		value ? json_deep_copy(value) : json_pack("{s:{}, s:{}}", "groups", "users");
	if (!roles->clients || fill_defaults(roles) < 0)
		return error_oom(err);
	*ret = steal(roles);
	return 0;
}

json_t *roles_clients(const struct roles *roles)
{
	return json_deep_copy(roles->clients);
}

/* ---- roles ------------------------------------------------------------- */

int roles_check(const struct roles *roles, enum role role, const char *user,
		const struct strings *groups, struct error *err)
{
	if (json_object_get(roles->users[role], user))
		return 0;
	for (size_t i = 0; groups && i < groups->count; i++)
		if (json_object_get(roles->groups[role], groups->item[i]))
			return 0;
	return error_set(err, -EACCES, BLAME_REQUEST, NULL, "User %s is not in role %s.", user,
			 role_names[role]);
}

/* ---- limits ------------------------------------------------------------ */

/* struct subject - what a compose has of each kind that can be limited */
struct subject {
	struct strings words[LIMITS];
};

static void subject_done(struct subject *subject)
{
	for (size_t i = 0; i < LIMITS; i++)
		strings_done(&subject->words[i]);
}

static int add_bits(struct strings *list, const struct named_bit *words, int bits)
{
	int r = 0;

	for (; words->name && r == 0; words++)
		if ((bits & words->bit) == words->bit) /* no_flags is in everything */
			r = strings_add(list, words->name);
	return r;
}

/* of the request, or where @compose is there, of what it became */
static int subject_make(const struct spec *spec, const struct compose *compose, struct subject *ret)
{
	struct strings *words = ret->words, *sources = &words[LIMIT_SOURCES];
	int r = strings_add(&words[LIMIT_SOURCE_TYPES], source_type_name(spec->source_type));

	if (r == 0)
		r = compose && compose->source ? strings_split(sources, compose->source, ' ')
					       : strings_copy(sources, &spec->source);
	if (r == 0 && !sources->count)
		r = strings_add(sources, "");
	if (r == 0)
		r = add_bits(&words[LIMIT_RESULTS], result_words, spec->results);
	if (r == 0)
		r = add_bits(&words[LIMIT_FLAGS], flag_words, spec->flags);
	if (r == 0)
		r = compose ? compose_arches(compose, &words[LIMIT_ARCHES])
			    : strings_copy(&words[LIMIT_ARCHES], &spec->arches);
	if (r == 0)
		r = strings_split(&words[LIMIT_COMPOSE_TYPES], spec->compose_type, ' ');
	if (r == 0 && !compose && strcmp(spec->target_dir, "default") != 0)
		r = strings_add(&words[LIMIT_TARGET_DIRS], spec->target_dir);
	if (r == 0 && spec->source_type == SOURCE_RAW_CONFIG)
		r = strings_addn(&words[LIMIT_RAW_CONFIG_KEYS], sources->item[0],
				 strcspn(sources->item[0], "#"));
	return r;
}

/* struct refusals - what was said, each line once */
struct refusals {
	struct strings lines;
	const char *field; /* of the first */
	bool failed;
};

static void refuse(struct refusals *refusals, const char *user, size_t limit, const char *word)
{
	_cleanup_(freep) char *line = NULL;

	if (asprintf(&line, "User %s not allowed to operate with compose with %s=%s.", user,
		     limits[limit].key, word) < 0) {
		line = NULL;
		refusals->failed = true;
		return;
	}
	if (!refusals->field)
		refusals->field = limits[limit].field;
	if (!strings_has(&refusals->lines, line) && strings_add(&refusals->lines, line) < 0)
		refusals->failed = true;
}

/* does one entry allow all of it? Says the first word of each kind that it does not */
static bool entry_allows(const struct roles *roles, const json_t *entry, const char *user,
			 const struct subject *subject, struct refusals *refusals)
{
	bool good = true;

	for (size_t i = 0; i < LIMITS; i++) {
		const struct strings *words = &subject->words[i];
		const json_t *set = json_object_get(entry, limits[i].key);

		if (!set)
			set = json_object_get(roles->defaults, limits[i].key);
		for (size_t n = 0; n < words->count && !json_is_null(set); n++)
			if (!json_object_get(set, words->item[n])) {
				refuse(refusals, user, i, words->item[n]);
				good = false;
				break;
			}
	}
	return good;
}

static int limits_judge(const struct roles *roles, const char *user, const struct strings *groups,
			const struct subject *subject, struct refusals *refusals, struct error *err)
{
	const json_t *entry = json_object_get(roles->users[ROLE_CLIENT], user);
	_cleanup_(freep) char *words = NULL;

	if (entry) {
		if (entry_allows(roles, entry, user, subject, refusals))
			return 0;
	} else {
		for (size_t i = 0; groups && i < groups->count; i++) {
			entry = json_object_get(roles->groups[ROLE_CLIENT], groups->item[i]);
			if (entry && entry_allows(roles, entry, user, subject, refusals))
				return 0;
		}
	}
	words = strings_join(&refusals->lines, " ");
	if (refusals->failed || !words)
		return error_oom(err);
	if (!*words)
		return error_set(err, -EACCES, BLAME_REQUEST, NULL,
				 "User %s not allowed to operate with any compose.", user);
	return error_set(err, -EACCES, BLAME_REQUEST, refusals->field, "%s", words);
}

int roles_limits(const struct roles *roles, const char *user, const struct strings *groups,
		 const struct spec *spec, const struct compose *compose, struct error *err)
{
	_cleanup_(subject_done) struct subject subject = { 0 };
	struct refusals refusals = { 0 };
	int r;

	if (roles_check(roles, ROLE_ADMIN, user, groups, NULL) == 0)
		return 0;
	if (subject_make(compose ? compose->spec : spec, compose, &subject) < 0)
		return error_oom(err);
	r = limits_judge(roles, user, groups, &subject, &refusals, err);
	strings_done(&refusals.lines);
	return r;
}
