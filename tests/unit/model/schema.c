/* SPDX-License-Identifier: MIT */
/* tests/unit/model/schema.c: the schemas against what is really shown and really judged. */
#include "tests/unit/model/rules.h"
#include "tests/unit/test.h"

#define URL "http://localhost:5005/composes"
#define TEXT(string) ((char *)(uintptr_t)(string))

static const char *const requests[] = {
	"{\"source\":{\"type\":\"tag\",\"source\":\"f26\"}}",
	"{\"source\":{\"type\":\"build\",\"builds\":[\"a-1-1\"],\"source\":\"\"},\"flags\":["
	"\"no_deps\",\"no_reuse\"],\"results\":[\"iso\"],\"label\":\"RC-1.0\"}",
	"{\"source\":{\"type\":\"module\",\"source\":\"a:b\",\"modules\":[\"x:y\"],"
	"\"modular_koji_tags\":[\"t\"],\"scratch_modules\":[\"z\"],\"scratch_build_tasks\":[\"1\"],"
	"\"base_module_br_name\":\"platform\",\"base_module_br_stream\":\"s\","
	"\"base_module_br_stream_version_lte\":3,\"base_module_br_stream_version_gte\":1,"
	"\"module_defaults_url\":\"u\",\"module_defaults_commit\":\"c\",\"koji_event\":5}}",
	"{\"source\":{\"type\":\"repo\",\"source\":\"/a /b\",\"packages\":[\"ed\"],\"sigkeys\":["
	"\"x\"]},\"multilib_method\":[\"all\"],\"multilib_arches\":[\"i686\"],"
	"\"lookaside_repos\":[\"/c\"],\"target_dir\":\"private\",\"seconds_to_live\":5,"
	"\"lease\":60,\"latest\":\"f26\",\"prefetch\":true}",
	"{\"source\":{\"type\":\"raw_config\",\"source\":\"fedora#abc\"}}",
};

static const struct compose records[] = {
	{ .id = 7,
	  .time_submitted = 1495872000,
	  .time_to_expire = 1495958400,
	  .koji_event = -1,
	  .koji_task_id = -1 },
	{ .id = 9,
	  .owner = TEXT("me"),
	  .source = TEXT("a:1:2:3 b:1:2:3"),
	  .state = STATE_DONE,
	  .state_reason = TEXT("Compose is generated successfully"),
	  .time_submitted = 1495872000,
	  .time_to_expire = 1495958400,
	  .time_started = 1495872001,
	  .time_done = 1495872002,
	  .koji_event = 4,
	  .koji_task_id = 5,
	  .pungi_compose_id = TEXT("odcs-9-1-20170527.t.0"),
	  .respin_of = TEXT("odcs-8-1-20170527.t.0") },
	{ .id = 10,
	  .state = STATE_REMOVED,
	  .state_reason = TEXT("gone"),
	  .removed_by = TEXT("somebody"),
	  .time_submitted = 1495872000,
	  .time_to_expire = 1495958400,
	  .time_removed = 1495958400,
	  .koji_event = -1,
	  .koji_task_id = -1 },
};

static bool is_listed(const json_t *list, const json_t *value)
{
	const json_t *word;
	size_t i;

	json_array_foreach(list, i, word) if (json_equal(word, value)) return true;
	return false;
}

/* The part of the language that record_schema() uses. */
static bool fits(const json_t *schema, const json_t *value)
{
	const char *type = json_string_value(json_object_get(schema, "type"));
	const json_t *listed = json_object_get(schema, "enum"), *element;
	const char *format = json_string_value(json_object_get(schema, "format"));
	size_t i;

	if (json_is_null(value))
		return json_is_true(json_object_get(schema, "nullable"));
	if (!type || (listed && !is_listed(listed, value)))
		return false;
	if (!strcmp(type, "array")) {
		json_array_foreach(value, i, element) if (!fits(json_object_get(schema, "items"),
								element)) return false;
		return json_is_array(value);
	}
	if (!strcmp(type, "integer"))
		return json_is_integer(value);
	if (format && strcmp(format, "date-time") == 0 &&
	    json_string_length(value) != strlen("2017-05-27T08:00:00Z"))
		return false;
	return !strcmp(type, "string") && json_is_string(value);
}

static void check_record(const json_t *schema, const json_t *record)
{
	const json_t *properties = json_object_get(schema, "properties");
	const json_t *required = json_object_get(schema, "required"), *name;
	json_t *value;
	const char *key;
	size_t i;

	CHECK(json_is_false(json_object_get(schema, "additionalProperties")));
	json_object_foreach((json_t *)(uintptr_t)record, key, value)
	{
		if (!fits(json_object_get(properties, key), value))
			fprintf(stderr, "member %s does not fit\n", key);
		CHECK(fits(json_object_get(properties, key), value));
	}
	json_array_foreach(required, i, name)
		CHECK(json_object_get(record, json_string_value(name)));
	CHECK(json_object_size(properties) - json_array_size(required) <= 1);
}

static struct spec *make_spec(const struct site *site, const char *text)
{
	struct error err = { 0 };
	struct spec *spec = NULL;

	CHECK_INT(spec_parse(text, strlen(text), &site->rules, &spec, NULL, NULL, &err), 0);
	if (!spec)
		fprintf(stderr, "%s: %s\n", text, err.message);
	return spec;
}

static void test_records(const struct site *site)
{
	json_auto_t *current = schema_json(SCHEMA_COMPOSE, &site->rules);
	json_auto_t *seed = schema_json(SCHEMA_COMPOSE_SEED, &site->rules);

	CHECK_INT(json_object_size(json_object_get(current, "properties")), 43);
	CHECK_INT(json_array_size(json_object_get(current, "required")), 42);
	CHECK_INT(json_object_size(json_object_get(seed, "properties")), 42);
	for (size_t i = 0; i < ARRAY_SIZE(records); i++)
		for (size_t j = 0; j < ARRAY_SIZE(requests); j++) {
			_cleanup_(spec_freep) struct spec *spec = make_spec(site, requests[j]);
			struct compose compose = records[i];
			json_auto_t *one = NULL, *item = NULL, *old = NULL;

			compose.spec = spec;
			if (!spec)
				continue;
			one = compose_to_json(&compose, URL, JSON_CURRENT, true);
			item = compose_to_json(&compose, URL, JSON_CURRENT, false);
			old = compose_to_json(&compose, URL, JSON_SEED, false);
			check_record(current, one);
			check_record(current, item);
			check_record(seed, old);
			CHECK_INT(json_object_size(one), 43);
		}
}

/* ---- requests ------------------------------------------------------------ */

/* The first value of a kind that is right, or one that is wrong. */
static json_t *sample(const json_t *schema, bool good)
{
	const char *type = json_string_value(json_object_get(schema, "type"));
	const json_t *listed = json_object_get(schema, "enum");

	if (!type) /* seconds-to-live */
		return good ? json_string("60") : json_string("soon");
	if (!strcmp(type, "array")) {
		json_t *element = sample(json_object_get(schema, "items"), true);

		return good ? json_pack("[o]", element) : (json_decref(element), json_integer(3));
	}
	if (!strcmp(type, "integer"))
		return good ? json_integer(5) : json_string("5");
	if (!strcmp(type, "boolean"))
		return good ? json_true() : json_string("true");
	if (!strcmp(type, "object"))
		return good ? json_pack("{s:s, s:s}", "type", "tag", "source", "f26")
			    : json_string("f26");
	if (listed)
		return good ? json_incref(json_array_get(listed, json_array_size(listed) - 1))
			    : json_string("no such word");
	return good ? json_string("word") : json_integer(3);
}

static int judge(const struct site *site, const json_t *body)
{
	_cleanup_(spec_freep) struct spec *spec = NULL;
	_cleanup_(freep) char *line = json_line(body);
	struct error err = { 0 };
	int r = spec_parse(line, strlen(line), &site->rules, &spec, NULL, NULL, &err);

	if (r < 0 && err.code != -EINVAL)
		fprintf(stderr, "%s: %s\n", line, err.message);
	return r;
}

/* Each member alone beside a good request: taken when it is as the schema says, else refused. The
 * site is strict: a member that the schema invents would be refused as unknown. */
static void check_members(const struct site *site, const json_t *properties, const json_t *body,
			  const char *inside)
{
	json_t *schema;
	const char *key;

	json_object_foreach((json_t *)(uintptr_t)properties, key, schema)
	{
		/* the rest of the request decides whether these are good */
		bool partner = strstr(key, "module_defaults") || !strcmp(key, "label") ||
			       !strcmp(key, "compose_type") || !strcmp(key, "type") ||
			       !strcmp(key, "source_type");

		for (int good = partner ? 0 : 1; good >= 0; good--) {
			json_auto_t *copy = json_deep_copy(body);
			json_t *object = inside ? json_object_get(copy, inside) : copy;

			(void)json_object_set_new(object, key, sample(schema, good));
			if ((judge(site, copy) < 0) == good)
				fprintf(stderr, "member %s, %s\n", key, good ? "good" : "bad");
			CHECK_INT(judge(site, copy), good ? 0 : -EINVAL);
		}
	}
}

static void test_requests(const struct site *site)
{
	json_auto_t *nested = schema_json(SCHEMA_REQUEST, &site->rules);
	json_auto_t *flat = schema_json(SCHEMA_FLAT, &site->rules);
	json_auto_t *body = json_pack("{s:{s:s, s:s}}", "source", "type", "tag", "source", "f26");
	json_auto_t *old = json_pack("{s:s, s:s}", "source_type", "tag", "source", "f26");
	const json_t *properties = json_object_get(nested, "properties");
	const json_t *source = json_object_get(json_object_get(properties, "source"), "properties");

	check_members(site, properties, body, NULL);
	check_members(site, source, body, "source");
	check_members(site, json_object_get(flat, "properties"), old, NULL);
	CHECK_INT(json_object_size(properties), 15);
	CHECK_INT(json_object_size(source), 16);
	CHECK_INT(json_object_size(json_object_get(flat, "properties")), 30);
	CHECK_INT(json_integer_value(
			  json_object_get(json_object_get(source, "packages"), "maxItems")),
		  1000);
	CHECK_STR(json_string_value(json_object_get(json_object_get(source, "source"), "pattern")),
		  "^[^\\x00-\\x1f!\"%&'()*;<=>@\\[\\\\\\]`{|}\\x7f]*$");
}

static void test_renewals(const struct site *site)
{
	json_auto_t *renewal = schema_json(SCHEMA_RENEWAL, &site->rules);
	json_auto_t *with_id = schema_json(SCHEMA_RENEW_ID, &site->rules);

	CHECK_INT(json_object_size(json_object_get(renewal, "properties")), 5);
	CHECK_INT(json_object_size(json_object_get(with_id, "properties")), 5);
	CHECK(json_object_get(json_object_get(with_id, "properties"), "id"));
}

int main(void)
{
	struct site site, strict;

	site_init(&site, false);
	site_init(&strict, true);
	test_records(&site);
	test_requests(&strict);
	test_renewals(&site);
	site_done(&site);
	site_done(&strict);
	TEST_END();
}
