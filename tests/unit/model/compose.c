/* SPDX-License-Identifier: MIT */
/* tests/unit/model/compose.c: the record as JSON, and the texts that carry a compose's id. */
#include "tests/unit/model/rules.h"
#include "tests/unit/test.h"

#define URL "http://localhost:5005/composes"

static struct spec *make_spec(const char *text)
{
	struct error err = { 0 };
	struct spec *spec = NULL;
	struct site site;

	site_init(&site, false);
	CHECK_INT(spec_parse(text, strlen(text), &site.rules, &spec, NULL, NULL, &err), 0);
	if (!spec)
		fprintf(stderr, "%s: %s\n", text, err.message);
	site_done(&site);
	return spec;
}

/* Strings are borrowed: compose_copy() makes one that owns them. */
static struct compose *make_compose(const struct compose *model, const char *text)
{
	struct compose compose = *model, *copy = NULL;

	compose.spec = make_spec(text);
	if (compose.spec)
		CHECK_INT(compose_copy(&compose, &copy, NULL), 0);
	spec_free(compose.spec);
	return copy;
}

static char *line_of(const struct compose *compose, enum json_form form, bool one)
{
	json_auto_t *json = compose_to_json(compose, URL, form, one);

	return json ? json_line(json) : NULL;
}

static const struct compose fresh = {
	.id = 7,
	.request = 3,
	.state = STATE_WAIT,
	.time_submitted = 1495872000,
	.time_to_expire = 1495958400,
	.koji_event = -1,
	.koji_task_id = -1,
};

static const struct compose done = {
	.id = 9,
	.request = 4,
	.owner = (char *)(uintptr_t) "me",
	.source = (char *)(uintptr_t) "a:1:2:3 b:1:2:3",
	.state = STATE_DONE,
	.state_reason = (char *)(uintptr_t) "Compose is generated successfully",
	.time_submitted = 1495872000,
	.time_to_expire = 1495958400,
	.time_started = 1495872001,
	.time_done = 1495872002,
	.koji_event = 77,
	.koji_task_id = 5,
	.pungi_compose_id = (char *)(uintptr_t) "odcs-8-1-20170527.ci.2",
	.respin_of = (char *)(uintptr_t) "odcs-5-1-20170526.t.0",
	.sigkeys = (char *)(uintptr_t) " AA",
	.arches = (char *)(uintptr_t) "s390x x86_64",
	.reused_id = 8,
	.manifest = (char *)(uintptr_t) "00",
};

#define MODULE                                                                                     \
	"{\"source\":{\"type\":\"module\",\"source\":\"a:1\",\"packages\":[],"                     \
	"\"builds\":[\"x-1-1\"],\"scratch_modules\":[],\"base_module_br_stream_version_lte\":3},"  \
	"\"flags\":[\"no_reuse\",\"no_deps\"],\"results\":[\"boot.iso\",\"iso\"],"                 \
	"\"label\":\"RC-1.0\",\"compose_type\":\"ci\"}"
#define TAG_SPEC "{\"source\":{\"type\":\"tag\",\"source\":\"f26\",\"packages\":[\"b\",\"a\"]}}"

static void test_json(void)
{
	struct compose *compose = make_compose(&fresh, TAG_SPEC);
	char *line = line_of(compose, JSON_CURRENT, false);

	CHECK_STR(line,
		  "{\"arches\":\"x86_64\",\"base_module_br_name\":null,"
		  "\"base_module_br_stream\":null,\"base_module_br_stream_version_gte\":null,"
		  "\"base_module_br_stream_version_lte\":null,\"builds\":null,"
		  "\"compose_type\":\"test\",\"flags\":[],\"id\":7,\"koji_event\":null,"
		  "\"koji_task_id\":null,\"label\":null,\"lookaside_repos\":\"\","
		  "\"modular_koji_tags\":null,\"module_defaults_url\":null,\"modules\":null,"
		  "\"multilib_arches\":\"\",\"multilib_method\":0,\"owner\":\"unknown\","
		  "\"packages\":\"b a\",\"parent_pungi_compose_ids\":null,"
		  "\"pungi_compose_id\":null,\"removed_by\":null,\"respin_of\":null,"
		  "\"result_repo\":\"" URL "/odcs-7/compose/Temporary\","
		  "\"result_repofile\":\"" URL "/odcs-7/compose/Temporary/odcs-7.repo\","
		  "\"results\":[\"repository\"],\"scratch_build_tasks\":null,"
		  "\"scratch_modules\":null,\"sigkeys\":\"\",\"source\":\"f26\","
		  "\"source_type\":1,\"state\":0,\"state_name\":\"wait\",\"state_reason\":null,"
		  "\"target_dir\":\"default\",\"time_done\":null,\"time_removed\":null,"
		  "\"time_started\":null,\"time_submitted\":\"2017-05-27T08:00:00Z\","
		  "\"time_to_expire\":\"2017-05-28T08:00:00Z\",\"toplevel_url\":\"" URL
		  "/odcs-7\"}\n");
	free(line);
	compose_free(compose);

	compose = make_compose(&done, MODULE);
	line = line_of(compose, JSON_CURRENT, true);
	CHECK_STR(line,
		  "{\"arches\":\"s390x x86_64\",\"base_module_br_name\":null,"
		  "\"base_module_br_stream\":null,\"base_module_br_stream_version_gte\":null,"
		  "\"base_module_br_stream_version_lte\":3,\"builds\":\"x-1-1\","
		  "\"compose_type\":\"ci\",\"flags\":[\"no_deps\",\"no_reuse\"],\"id\":9,"
		  "\"koji_event\":77,\"koji_task_id\":5,\"label\":\"RC-1.0\","
		  "\"lookaside_repos\":\"\",\"modular_koji_tags\":null,"
		  "\"module_defaults_url\":null,\"modules\":null,\"multilib_arches\":\"\","
		  "\"multilib_method\":0,\"owner\":\"me\",\"packages\":\"\","
		  "\"parent_pungi_compose_ids\":null,"
		  "\"pungi_compose_id\":\"odcs-8-1-20170527.ci.2\",\"pungi_config_dump\":null,"
		  "\"removed_by\":null,\"respin_of\":\"odcs-5-1-20170526.t.0\","
		  "\"result_repo\":\"" URL "/odcs-8/compose/Temporary\","
		  "\"result_repofile\":\"" URL "/odcs-8/compose/Temporary/odcs-8.repo\","
		  "\"results\":[\"repository\",\"iso\",\"boot.iso\"],"
		  "\"scratch_build_tasks\":null,\"scratch_modules\":\"\",\"sigkeys\":\" AA\","
		  "\"source\":\"a:1:2:3 b:1:2:3\",\"source_type\":2,\"state\":2,"
		  "\"state_name\":\"done\","
		  "\"state_reason\":\"Compose is generated successfully\","
		  "\"target_dir\":\"default\",\"time_done\":\"2017-05-27T08:00:02Z\","
		  "\"time_removed\":null,\"time_started\":\"2017-05-27T08:00:01Z\","
		  "\"time_submitted\":\"2017-05-27T08:00:00Z\","
		  "\"time_to_expire\":\"2017-05-28T08:00:00Z\",\"toplevel_url\":\"" URL
		  "/odcs-8\"}\n");
	free(line);
	compose_free(compose);
}

static const char *string_of(const json_t *json, const char *key)
{
	return json_string_value(json_object_get(json, key));
}

/* What differs: the seed's form, other directories, raw_config. */
static void test_json_forms(void)
{
	struct compose *compose = make_compose(&fresh, TAG_SPEC);
	json_t *json = compose_to_json(compose, URL, JSON_SEED, false);

	CHECK_INT(json_object_size(json), 42);
	CHECK_STR(string_of(json, "owner"), "Unknown");
	CHECK(json_is_null(json_object_get(json, "result_repo")));
	json_decref(json);
	compose->state = STATE_DONE;
	json = compose_to_json(compose, URL, JSON_SEED, true);
	CHECK_INT(json_object_size(json), 43);
	CHECK_STR(string_of(json, "result_repo"), URL "/odcs-7/compose/Temporary");
	json_decref(json);
	compose_free(compose);

	compose = make_compose(&fresh, "{\"source\":{\"type\":\"tag\",\"source\":\"f26\","
				       "\"koji_event\":5},\"target_dir\":\"private\"}");
	json = compose_to_json(compose, URL, JSON_CURRENT, false);
	CHECK_STR(string_of(json, "result_repo"), "");
	CHECK_STR(string_of(json, "result_repofile"), "");
	CHECK_STR(string_of(json, "toplevel_url"), "");
	CHECK_STR(string_of(json, "target_dir"), "private");
	CHECK_INT(json_integer_value(json_object_get(json, "koji_event")), 5);
	json_decref(json);
	compose_free(compose);

	/* a name from a certificate need not be UTF-8 */
	compose = make_compose(&fresh, TAG_SPEC);
	compose->owner = strdup("J\xe9r\xc3\xa9");
	json = compose_to_json(compose, URL, JSON_CURRENT, false);
	CHECK_STR(string_of(json, "owner"), "J\xef\xbf\xbdr\xc3\xa9");
	json_decref(json);
	compose_free(compose);

	compose = make_compose(&fresh, "{\"source\":{\"type\":\"raw_config\","
				       "\"source\":\"fedora#main\"}}");
	json = compose_to_json(compose, URL, JSON_CURRENT, false);
	CHECK_STR(string_of(json, "result_repo"), "");
	CHECK_STR(string_of(json, "result_repofile"), "");
	CHECK_STR(string_of(json, "toplevel_url"), URL "/odcs-7");
	json_decref(json);
	compose_free(compose);
}

static void test_repo(void)
{
	struct compose *compose = make_compose(&fresh, TAG_SPEC);
	struct text text = { 0 };

	CHECK_INT(compose_text_repo(compose, URL, &text), 0);
	CHECK_STR(text.data, "[odcs-7]\n"
			     "name=ODCS repository for compose odcs-7\n"
			     "baseurl=" URL "/odcs-7/compose/Temporary/$basearch/os\n"
			     "type=rpm-md\n"
			     "skip_if_unavailable=False\n"
			     "gpgcheck=0\n"
			     "repo_gpgcheck=0\n"
			     "enabled=1\n"
			     "enabled_metadata=1\n"
			     "\n"
			     "[odcs-7-debuginfo]\n"
			     "name=ODCS repository for compose odcs-7-debuginfo\n"
			     "baseurl=" URL "/odcs-7/compose/Temporary/$basearch/debug/tree\n"
			     "type=rpm-md\n"
			     "skip_if_unavailable=False\n"
			     "gpgcheck=0\n"
			     "repo_gpgcheck=0\n"
			     "enabled=0\n"
			     "enabled_metadata=1\n"
			     "\n"
			     "[odcs-7-source]\n"
			     "name=ODCS repository for compose odcs-7-source\n"
			     "baseurl=" URL "/odcs-7/compose/Temporary/source/tree\n"
			     "type=rpm-md\n"
			     "skip_if_unavailable=False\n"
			     "gpgcheck=0\n"
			     "repo_gpgcheck=0\n"
			     "enabled=0\n"
			     "enabled_metadata=1\n");
	compose_free(compose);

	compose = make_compose(&done, "{\"source\":{\"type\":\"tag\",\"source\":\"f26\"},"
				      "\"target_dir\":\"private\"}");
	text_clear(&text);
	CHECK_INT(compose_text_repo(compose, URL, &text), 0);
	CHECK(text.data && strstr(text.data, "[odcs-8]\n"));
	CHECK(text.data && strstr(text.data, "\nbaseurl=$basearch/os\n"));
	CHECK(text.data && strstr(text.data, "\nbaseurl=source/tree\n"));
	text_clear(&text);
	CHECK_INT(compose_text_repo(compose, "file:///odcs/composes", &text), 0);
	CHECK(text.data &&
	      strstr(text.data, "\nbaseurl=file:///odcs/composes/odcs-8/compose/Temporary/"
				"$basearch/os\n"));
	text_done(&text);
	compose_free(compose);
}

static void test_composeinfo(void)
{
	struct compose *compose = make_compose(&done, MODULE);
	json_auto_t *json = NULL;
	struct text text = { 0 };
	const char *name = NULL, *path = NULL, *first = NULL, *label = NULL, *type = NULL;
	int respin = 0, final = 1;

	CHECK_INT(compose_text_composeinfo(compose, &text), 0);
	CHECK(text.length && text.data[text.length - 1] == '\n');
	json = json_loadb(text.data, text.length, 0, NULL);
	CHECK_INT(json_unpack(json,
			      "{s:{s:s,s:s}, s:{s:{s:s,s:i,s:b,s:s}, s:{s:s,s:s}, s:{s:{s:[s,s!], "
			      "s:{s:{s:s}, s:{s:s}}}}}}",
			      "header", "type", &type, "version", &name, "payload", "compose",
			      "label", &label, "respin", &respin, "final", &final, "date", &name,
			      "release", "name", &name, "short", &name, "variants", "Temporary",
			      "arches", &first, &path, "paths", "debug_tree", "s390x", &path,
			      "source_packages", "x86_64", &name),
		  0);
	CHECK_STR(type, "productmd.composeinfo");
	CHECK_STR(label, "RC-1.0");
	CHECK_INT(respin, 2);
	CHECK_INT(final, 0);
	CHECK_STR(first, "s390x");
	CHECK_STR(path, "Temporary/s390x/debug/tree");
	CHECK_STR(name, "Temporary/source/tree/Packages");
	text_done(&text);
	compose_free(compose);
}

/* trees that are shown under two names are there under both */
static void test_composeinfo_also(void)
{
	struct compose *compose = make_compose(&done, MODULE);
	const char *first = NULL, *second = NULL, *third = NULL, *path = NULL, *own = NULL;
	json_auto_t *json = NULL;
	struct text text = { 0 };

	free(compose->arches);
	compose->arches = strdup("x86_64 i686");
	CHECK_INT(compose_text_composeinfo(compose, &text), 0);
	json = json_loadb(text.data, text.length, 0, NULL);
	CHECK_INT(json_unpack(json, "{s:{s:{s:{s:[s,s,s!], s:{s:{s:s,s:s}}}}}}", "payload",
			      "variants", "Temporary", "arches", &first, &second, &third, "paths",
			      "repository", "i386", &path, "i686", &own),
		  0);
	CHECK_STR(first, "i386");
	CHECK_STR(second, "i686");
	CHECK_STR(third, "x86_64");
	CHECK_STR(path, "Temporary/i386/os");
	CHECK_STR(own, "Temporary/i686/os");
	text_done(&text);
	compose_free(compose);
}

#define SECTION                                                                                    \
	"        \"compose\": {\n"                                                                 \
	"            \"date\": \"20170527\",\n"                                                    \
	"            \"id\": \"odcs-8-1-20170527.ci.2\",\n"                                        \
	"            \"respin\": 2,\n"                                                             \
	"            \"type\": \"ci\"\n"                                                           \
	"        },\n"

static void test_productmd(void)
{
	struct compose *compose = make_compose(&done, MODULE);
	struct text text = { 0 };
	json_t *json;

	CHECK_INT(compose_text_images(compose, &text), 0);
	CHECK_STR(text.data, "{\n"
			     "    \"header\": {\n"
			     "        \"type\": \"productmd.images\",\n"
			     "        \"version\": \"1.2\"\n"
			     "    },\n"
			     "    \"payload\": {\n" SECTION "        \"images\": {}\n"
			     "    }\n"
			     "}\n");
	text_clear(&text);
	CHECK_INT(compose_text_rpms_head(compose, &text), 0);
	CHECK_STR(text.data, "{\n"
			     "    \"header\": {\n"
			     "        \"type\": \"productmd.rpms\",\n"
			     "        \"version\": \"1.2\"\n"
			     "    },\n"
			     "    \"payload\": {\n" SECTION "        ");
	CHECK_INT(text_adds(&text, "\"rpms\": {\"Temporary\": {}}}}\n"), 0);
	json = json_loadb(text.data, text.length, 0, NULL);
	CHECK(json);
	json_decref(json);
	text_clear(&text);
	CHECK_INT(compose_text_modules_head(compose, &text), 0);
	CHECK_STR(text.data, "{\n"
			     "    \"header\": {\n"
			     "        \"type\": \"productmd.modules\",\n"
			     "        \"version\": \"1.2\"\n"
			     "    },\n"
			     "    \"payload\": {\n" SECTION "        ");
	text_done(&text);
	compose_free(compose);

	compose = make_compose(&fresh, TAG_SPEC); /* no id of its own yet */
	compose->time_started = 1495872001;
	CHECK_INT(compose_text_images(compose, &text), 0);
	CHECK(text.data && strstr(text.data, "\"id\": \"odcs-7-1-20170527.t.0\""));
	CHECK(text.data && strstr(text.data, "\"date\": \"20170527\""));
	text_done(&text);
	compose_free(compose);
}

static void test_ids(void)
{
	static const struct {
		const char *type, *id;
	} cases[] = {
		{ "test", "odcs-12-1-20170527.t.0" },
		{ "ci", "odcs-12-1-20170527.ci.0" },
		{ "nightly", "odcs-12-1-20170527.n.0" },
		{ "production", "odcs-12-1-20170527.0" },
		{ "development", "odcs-12-1-20170527.d.0" },
	};
	struct compose compose = fresh;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char *id = compose_id_text(12, 1495872000, cases[i].type);

		CHECK_STR(id, cases[i].id);
		free(id);
	}
	CHECK_STR(compose_status_word(&compose), "STARTED");
	compose.state = STATE_GENERATING;
	CHECK_STR(compose_status_word(&compose), "STARTED");
	compose.state = STATE_REMOVED;
	CHECK_STR(compose_status_word(&compose), "DOOMED");
	compose.time_done = 1;
	CHECK_STR(compose_status_word(&compose), "FINISHED");
	compose.state = STATE_DONE;
	CHECK_STR(compose_status_word(&compose), "FINISHED");
	compose.state = STATE_FAILED;
	CHECK_STR(compose_status_word(&compose), "DOOMED");
	CHECK_INT(compose_tree_id(&compose), 7);
	compose.reused_id = 3;
	CHECK_INT(compose_tree_id(&compose), 3);
}

static void test_latest(void)
{
	static const struct {
		const char *name, *owner, *latest;
	} cases[] = {
		{ "latest-jo-f26", "jo", "f26" },
		{ "latest-jo-ann-f26.x_1", "jo-ann", "f26.x_1" },
		{ "latest-CN=jo,O=x y-f", "CN=jo,O=x y", "f" },
		{ "latest-odcs-12-x", "odcs-12", "x" },
		{ "latest-jo-12", NULL, NULL }, /* a compose's number */
		{ "latest-jo-_x", NULL, NULL },
		{ "latest-jo-", NULL, NULL },
		{ "latest--f26", NULL, NULL },
		{ "latest-f26", NULL, NULL },
		{ "latest-", NULL, NULL },
		{ "lates-jo-f26", NULL, NULL },
		{ "", NULL, NULL },
	};
	struct compose *compose = make_compose(&done, MODULE);
	char *name;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *latest = NULL;
		char *owner = NULL;

		CHECK_INT(compose_latest_parse(cases[i].name, &owner, &latest),
			  cases[i].owner ? 0 : -ENOENT);
		CHECK_STR(owner, cases[i].owner);
		CHECK_STR(latest, cases[i].latest);
		free(owner);
	}
	CHECK(!compose_latest_name(compose));
	compose->spec->latest = strdup("f26");
	name = compose_latest_name(compose);
	CHECK(name && !strncmp(name, "latest-", 7) && strstr(name, compose->owner));
	free(name);
	free(compose->owner);
	compose->owner = strdup("HTTP/host");
	CHECK(!compose_latest_name(compose));
	compose_free(compose);
}

static void test_names(void)
{
	static const struct {
		const char *name;
		int64_t id;
		const char *owner;
	} cases[] = {
		{ "12", 12, "" },
		{ "odcs-12", 12, "" },
		{ "latest-odcs-12-1", 12, "" },
		{ "latest-Unknown-12", 12, "Unknown" },
		{ "latest-jo-ann-12", 12, "jo-ann" },
		{ "latest-odcs-12", 12, "odcs" },
		{ "latest-odcs-x-1", 1, "odcs-x" },
		{ "9223372036854775807", INT64_MAX, "" },
		{ "9223372036854775808", 0, NULL },
		{ "99999999999999999999999", 0, NULL },
		{ "", 0, NULL },
		{ "0", 0, NULL },
		{ "012", 0, NULL },
		{ "-12", 0, NULL },
		{ "+12", 0, NULL },
		{ "12a", 0, NULL },
		{ "12 ", 0, NULL },
		{ "odcs-", 0, NULL },
		{ "odcs-12.bak", 0, NULL },
		{ "foo-12", 0, NULL },
		{ "latest-12", 0, NULL },
		{ "latest--12", 0, NULL },
		{ "latest-", 0, NULL },
		{ "latest-a-", 0, NULL },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *owner = NULL;
		size_t length = 99;
		int64_t id = -7;
		int r = compose_name_parse(cases[i].name, &id, &owner, &length);

		CHECK_INT(r, cases[i].owner ? 0 : -ENOENT);
		CHECK_INT(id, cases[i].owner ? cases[i].id : -7);
		if (r == 0 && cases[i].owner) {
			CHECK_INT(length, strlen(cases[i].owner));
			CHECK(!memcmp(owner, cases[i].owner, strlen(cases[i].owner)));
			CHECK_INT(compose_name_parse(cases[i].name, &id, NULL, NULL), 0);
		}
	}
}

int main(void)
{
	test_json();
	test_json_forms();
	test_repo();
	test_composeinfo();
	test_composeinfo_also();
	test_productmd();
	test_ids();
	test_names();
	test_latest();
	TEST_END();
}
