/* SPDX-License-Identifier: MIT */
/* core/model/body.c: what holds for every body that a client sends: the judge that collects
 * problems, the value check of odcs-api.md 2.7, and the lifetime of 3.1. */
#include "core/model/private.h"

#include <stdarg.h>
#include <wctype.h>

#define BAD_BODY                                                                                   \
	"<p>The browser (or proxy) sent a request that this server could not understand.</p>"

/* ---- the judge --------------------------------------------------------- */

void judge_done(struct judge *judge)
{
	if (judge->locale)
		freelocale(judge->locale);
	judge->locale = NULL;
}

/* Plain ASCII stays plain when the machine has no UTF-8 locale: then nothing else is a letter. */
static locale_t judge_locale(struct judge *judge)
{
	if (!judge->locale)
		judge->locale = newlocale(LC_CTYPE_MASK, "C.UTF-8", NULL);
	if (!judge->locale)
		judge->locale = newlocale(LC_CTYPE_MASK, "C", NULL);
	return judge->locale;
}

/* One line per problem, whatever the user's words hold. A text that is wrong as a whole has no
 * member to name: then the line names the file that holds it. */
static void add_line(struct text *problems, const char *field, const char *message)
{
	size_t start = problems->length;

	(void)text_addf(problems, "%s: %s", *field ? field : "spec.json", message);
	if (problems->failed)
		return;
	for (size_t i = start; i < problems->length; i++)
		if ((unsigned char)problems->data[i] < 0x20 || problems->data[i] == 0x7f)
			problems->data[i] = ' ';
	(void)text_adds(problems, "\n");
}

void judge_say(struct judge *judge, int code, const char *field, const char *format, ...)
{
	char message[ERROR_MESSAGE_SIZE + 8], name[ERROR_FIELD_SIZE + 8];
	va_list arguments;

	if (judge->count == SPEC_MAX_PROBLEMS)
		return;
	va_start(arguments, format);
	(void)vsnprintf(message, sizeof(message), format, arguments);
	va_end(arguments);
	(void)snprintf(name, sizeof(name), "%s", field);
	message[utf8_cut(message, ERROR_MESSAGE_SIZE - 1)] = '\0';
	name[utf8_cut(name, ERROR_FIELD_SIZE - 1)] = '\0';
	if (!judge->code) {
		judge->code = code;
		(void)error_set(judge->err, code, BLAME_REQUEST, name, "%s", message);
	}
	judge->count++;
	if (judge->problems)
		add_line(judge->problems, name, message);
}

void judge_oom(struct judge *judge)
{
	judge->code = error_oom(judge->err);
	judge->count = SPEC_MAX_PROBLEMS; /* nothing that follows may replace it */
}

char *judge_repr(struct judge *judge, const json_t *value)
{
	struct text text = { 0 };
	char *repr;

	python_repr(value, judge_locale(judge), &text);
	repr = text_steal(&text);
	if (!repr)
		judge_oom(judge);
	return repr;
}

/* ---- odcs-api.md 2.7 --------------------------------------------------- */

/* NULL when @value has the type that the member's name asks for, or the name asks for none */
static const char *wanted_type(const char *key, const json_t *value)
{
	const struct member *member = member_find(body_members, key);

	if (!member)
		member = member_find(source_members, key);
	if (!member || !member->everywhere)
		return NULL;
	switch (member->kind) {
	case MEMBER_LIST:
		return json_is_array(value) ? NULL : "a list";
	case MEMBER_STRING:
	case MEMBER_TYPE:
		return json_is_string(value) ? NULL : "a string";
	case MEMBER_INTEGER:
		return json_is_integer(value) || json_is_boolean(value) ? NULL : "an integer";
	default:
		return NULL;
	}
}

bool body_said(const char *key, const json_t *value)
{
	return json_is_null(value) || wanted_type(key, value);
}

const char body_signs[] = " -/_.:#+?$~^,";

/* Python's isalnum(), as near as C's locale comes: letters and decimal digits are the same; signs
 * like U+00BD are refused, and the vowel signs of some scripts allowed. */
static bool character_allowed(struct judge *judge, int32_t code)
{
	if (code < 0x80)
		return (code >= '0' && code <= '9') || (code >= 'a' && code <= 'z') ||
		       (code >= 'A' && code <= 'Z') || (code && strchr(body_signs, code));
	return judge_locale(judge) && iswalnum_l((wint_t)code, judge_locale(judge));
}

static bool string_allowed(struct judge *judge, const char *string)
{
	const char *end = string + strlen(string);
	size_t length;

	for (const char *at = string; at < end; at += length) {
		int32_t code = utf8_next(at, end, &length);

		if (code < 0 || !character_allowed(judge, code))
			return false;
	}
	return true;
}

/* A record's source, of many modules, can be asked for again. */
static bool is_too_long(const char *key, const char *text)
{
	if (strcmp(key, "source") != 0)
		return strlen(text) > SPEC_MAX_STRING;
	while (*text) {
		size_t length = strcspn(text, " ");

		if (length > SPEC_MAX_STRING)
			return true;
		text += length;
		text += strspn(text, " ");
	}
	return false;
}

static void judge_list(struct judge *judge, const json_t *list, const char *path, bool packages);
static void judge_object(struct judge *judge, const json_t *object, const char *path);

/* @key: for a list's element its number; @path: of the member or of the list */
static void judge_value(struct judge *judge, const char *key, const json_t *value, const char *path,
			bool source, bool element, bool package)
{
	const char *wanted = element ? NULL : wanted_type(key, value);

	if (wanted) {
		judge_say(judge, -EINVAL, path, "%s should be %s", key, wanted);
		return;
	}
	switch (json_typeof(value)) {
	case JSON_OBJECT:
		if (source)
			judge_object(judge, value, path);
		else
			judge_say(judge, -EINVAL, path,
				  "Only 'source' key is allowed to contain dict.");
		break;
	case JSON_ARRAY:
		judge_list(judge, value, path, !element && !strcmp(key, "packages"));
		break;
	case JSON_STRING:
		if (is_too_long(key, json_string_value(value)))
			judge_say(judge, -EFBIG, path, "A string of %s is longer than %d bytes",
				  path, SPEC_MAX_STRING);
		else if (!package && !string_allowed(judge, json_string_value(value)))
			judge_say(judge, -EINVAL, path,
				  "Only alphanumerical characters and '%s' characters are allowed "
				  "in ODCS input variables",
				  body_signs);
		break;
	case JSON_NULL:
		judge_say(judge, -EINVAL, path,
			  "Only dict, list, str, unicode, int, float and bool types are allowed in "
			  "ODCS input variables, but '%s' has '<class 'NoneType'>' type",
			  key);
		break;
	default:
		break;
	}
}

static void judge_list(struct judge *judge, const json_t *list, const char *path, bool packages)
{
	json_t *element;
	char key[24];
	size_t i;

	json_array_foreach(list, i, element)
	{
		(void)snprintf(key, sizeof(key), "%zu", i);
		judge_value(judge, key, element, path, false, true, packages);
	}
}

/* @path is "" for the body itself, the only place where "source" may be an object */
static void judge_object(struct judge *judge, const json_t *object, const char *path)
{
	char name[2 * ERROR_FIELD_SIZE];
	json_t *mutable = (json_t *)(uintptr_t)object; /* jansson's iterators know no const */

	for (void *at = json_object_iter(mutable); at; at = json_object_iter_next(mutable, at)) {
		const char *key = json_object_iter_key(at);

		(void)snprintf(name, sizeof(name), "%s%s%s", path, *path ? "." : "", key);
		judge_value(judge, key, json_object_iter_value(at), name,
			    !*path && !strcmp(key, "source"), false, false);
	}
}

void body_judge(struct judge *judge, const json_t *container)
{
	if (json_is_object(container))
		judge_object(judge, container, "");
	else if (json_is_array(container))
		judge_list(judge, container, "", false);
}

/* ---- loading ----------------------------------------------------------- */

int body_load(const char *text, size_t length, bool strict, json_t **ret, struct judge *judge)
{
	char why[JSON_WHY_SIZE];
	int r;

	if (length > SPEC_MAX_BYTES) {
		judge_say(judge, -EFBIG, "", "The request is longer than %d bytes", SPEC_MAX_BYTES);
		return -EFBIG;
	}
	r = json_text_load(text, length, ret, why);
	if (r == -ENOMEM)
		judge_oom(judge);
	else if (r == -ENOTSUP)
		judge_say(judge, -EINVAL, "", "%s", why);
	else if (r < 0)
		judge_say(judge, r, "", "%s", strict ? why : BAD_BODY);
	return r;
}

int body_parse(const char *text, size_t length, json_t **ret, struct error *err)
{
	struct judge judge = { .err = err };
	json_auto_t *body = NULL;

	if (body_load(text, length, false, &body, &judge) == 0) {
		if (json_is_object(body))
			body_judge(&judge, body);
		else
			judge_say(&judge, -EINVAL, "", "The body should be a JSON object");
	}
	judge_done(&judge);
	if (judge.code)
		return judge.code;
	*ret = steal(body);
	return 0;
}

/* ---- odcs-api.md 3.1 --------------------------------------------------- */

static bool is_falsy(const json_t *value)
{
	return !value || json_is_null(value) || json_is_false(value) ||
	       (json_is_integer(value) && !json_integer_value(value)) ||
	       (json_is_real(value) && json_real_value(value) == 0) ||
	       (json_is_string(value) && !json_string_length(value));
}

int64_t lifetime_judge(struct judge *judge, const json_t *body, const struct spec_rules *rules)
{
	const char *field = "seconds_to_live";
	const json_t *value = json_object_get(body, field);
	int64_t seconds = 0;

	if (!value) {
		field = "seconds-to-live";
		value = json_object_get(body, field);
	} else if (body_said(field, value)) {
		return rules->default_seconds_to_live;
	}
	if (!is_falsy(value) && (python_int(value, &seconds) < 0 || seconds < 0)) {
		_cleanup_(freep) char *repr = judge_repr(judge, body);

		if (repr)
			judge_say(judge, -EINVAL, field,
				  "Invalid seconds_to_live specified in request: %s", repr);
		return rules->default_seconds_to_live;
	}
	if (!seconds)
		return rules->default_seconds_to_live;
	return seconds < rules->maximum_seconds_to_live ? seconds : rules->maximum_seconds_to_live;
}

int spec_seconds_to_live(const json_t *body, const struct spec_rules *rules, int64_t *ret,
			 struct error *err)
{
	struct judge judge = { .err = err };
	int64_t seconds = lifetime_judge(&judge, body, rules);

	judge_done(&judge);
	if (!judge.code)
		*ret = seconds;
	return judge.code;
}
