/* SPDX-License-Identifier: MIT */
/* tests/unit/model/spec.c: requests by tables: what is refused with which words, and what the
 * accepted ones come to. The words are those of odcs-api.md 2.6, 2.7 and 3.1.
 *
 * promises = 15, 24 */
#include "tests/unit/model/rules.h"
#include "tests/unit/test.h"

#define TAG(members) "{\"source\":{\"type\":\"tag\",\"source\":\"f26\"}" members "}"
#define SOURCE(type, source, members)                                                              \
	"{\"source\":{\"type\":\"" type "\",\"source\":\"" source "\"" members "}}"
#define BAD_BODY                                                                                   \
	"<p>The browser (or proxy) sent a request that this server could not understand.</p>"
#define BAD_CHARACTERS                                                                             \
	"Only alphanumerical characters and ' -/_.:#+?$~^,' characters are allowed in ODCS input " \
	"variables"
#define BAD_LEASE "lease should be a whole number of seconds, at least 0"
#define BAD_LATEST "latest should be a letter, then letters, digits, _ and dots, at most 64 in all"
#define BAD_NULL(key)                                                                              \
	"Only dict, list, str, unicode, int, float and bool types are allowed in ODCS input "      \
	"variables, but '" key "' has '<class 'NoneType'>' type"

struct refused {
	const char *text;
	const char *field, *message;
};

static void check_refused(const struct site *site, const struct refused *at, int code)
{
	struct error err = { 0 };
	struct spec *spec = NULL;
	int64_t id = -7;

	CHECK_INT(spec_parse(at->text, strlen(at->text), &site->rules, &spec, &id, NULL, &err),
		  code);
	CHECK(!spec && id == -7);
	CHECK_INT(err.code, code);
	CHECK_INT(err.blame, BLAME_REQUEST);
	CHECK_STR(err.field, at->field);
	CHECK_STR(err.message, at->message);
	if (strcmp(err.message, at->message) != 0)
		fprintf(stderr, "  for %s\n", at->text);
	spec_free(spec);
}

/* ---- REST -------------------------------------------------------------- */

static const struct refused rest_refused[] = {
	/* rule 2 */
	{ "nonsense", "", BAD_BODY },
	{ "-", "", BAD_BODY },
	{ "1.", "", BAD_BODY },
	{ "tru", "", BAD_BODY },
	{ "[1", "", BAD_BODY },
	{ "\"a", "", BAD_BODY },
	{ "{} {}", "", BAD_BODY },
	{ "{\"a\":1,}", "", BAD_BODY },
	{ "{\"a\":NaN}", "", BAD_BODY },
	{ "{\"a\":1,\"a\":1}", "", "line 1, column 10: a member is given twice" },
	{ "{\"a\":\"\\ud800\"}", "", BAD_BODY },
	{ "{\"a\":\"\\u0000\"}", "", "line 1, column 13: a string holds a NUL character" },
	{ "{\"a\":\"\xff\"}", "", BAD_BODY },
	{ "{\"a\":1e999}", "", "line 1, column 10: a number is too large" },
	/* rule 3 */
	{ "{}", "", "No JSON POST data submitted" },
	{ " [] ", "", "No JSON POST data submitted" },
	{ "0", "", "No JSON POST data submitted" },
	{ "\"\"", "", "No JSON POST data submitted" },
	{ "null", "", "No JSON POST data submitted" },
	{ "false", "", "No JSON POST data submitted" },
	/* rule 4: 2.7 a to h */
	{ SOURCE("tag", "x", ",\"packages\":\"bash\""), "source.packages",
	  "packages should be a list" },
	{ SOURCE("tag", "x", ",\"builds\":{}"), "source.builds", "builds should be a list" },
	{ SOURCE("tag", "x", ",\"sigkeys\":1"), "source.sigkeys", "sigkeys should be a list" },
	{ TAG(",\"multilib_method\":7"), "multilib_method", "multilib_method should be a list" },
	{ TAG(",\"label\":null"), "label", "label should be a string" },
	{ TAG(",\"compose_type\":[]"), "compose_type", "compose_type should be a string" },
	{ "{\"source\":{\"type\":3,\"source\":\"x\"}}", "source.type", "type should be a string" },
	{ TAG(",\"seconds_to_live\":\"9\""), "seconds_to_live",
	  "seconds_to_live should be an integer" },
	{ TAG(",\"seconds_to_live\":1.5"), "seconds_to_live",
	  "seconds_to_live should be an integer" },
	{ SOURCE("tag", "x", ",\"koji_event\":\"1\""), "source.koji_event",
	  "koji_event should be an integer" },
	{ TAG(",\"lease\":\"9\""), "lease", BAD_LEASE },
	{ TAG(",\"lease\":-1"), "lease", BAD_LEASE },
	{ TAG(",\"lease\":1.0"), "lease", BAD_LEASE },
	{ TAG(",\"lease\":true"), "lease", BAD_LEASE },
	{ TAG(",\"lease\":[]"), "lease", BAD_LEASE },
	{ TAG(",\"lease\":null"), "lease", BAD_NULL("lease") },
	{ TAG(",\"lease\":{}"), "lease", "Only 'source' key is allowed to contain dict." },
	{ TAG(",\"latest\":7"), "latest", "latest should be a string" },
	{ TAG(",\"latest\":\"7\""), "latest", BAD_LATEST },
	{ TAG(",\"latest\":\"a-b\""), "latest", BAD_LATEST },
	{ TAG(",\"latest\":\"a/b\""), "latest", BAD_LATEST },
	{ TAG(",\"latest\":\".a\""), "latest", BAD_LATEST },
	{ TAG(",\"latest\":\"a12345678901234567890123456789012345678901234567890123456789012345\""),
	  "latest", BAD_LATEST },
	{ TAG(",\"other\":{}"), "other", "Only 'source' key is allowed to contain dict." },
	{ TAG(",\"other\":[{}]"), "other", "Only 'source' key is allowed to contain dict." },
	{ SOURCE("tag", "x", ",\"source\\u0032\":{}"), "source.source2",
	  "Only 'source' key is allowed to contain dict." },
	{ "{\"source\":{\"source\":{}}}", "source.source",
	  "Only 'source' key is allowed to contain dict." },
	{ TAG(",\"flags\":[\"a@b\"]"), "flags", BAD_CHARACTERS },
	{ SOURCE("tag", "a\\nb", ""), "source.source", BAD_CHARACTERS },
	{ SOURCE("repo", "http://x/?a=b", ""), "source.source", BAD_CHARACTERS },
	{ SOURCE("tag", "x", ",\"packages\":[[\"a@b\"]]"), "source.packages", BAD_CHARACTERS },
	{ TAG(",\"unknown\":null"), "unknown", BAD_NULL("unknown") },
	{ SOURCE("tag", "x", ",\"sigkeys\":[\"a\",null]"), "source.sigkeys", BAD_NULL("1") },
	/* rule 5, 6, 7 */
	{ "{\"a\": 1.0, \"b\": [true, \"its\"], \"it's\": -0.0}", "source",
	  "Invalid source configuration provided: {'a': 1.0, 'b': [True, 'its'], \"it's\": -0.0}" },
	{ "{\"source\":\"f26\"}", "source",
	  "Invalid source configuration provided: {'source': 'f26'}" },
	{ "-12", "source", "Invalid source configuration provided: -12" },
	{ "1.5e3\n", "source", "Invalid source configuration provided: 1500.0" },
	{ "99999999999999999999", "source",
	  "Invalid source configuration provided: 9223372036854775807" },
	{ "[1, \"b\"]", "source", "Invalid source configuration provided: [1, 'b']" },
	{ "{\"source\":{}}", "source.type", "Missing type in source configuration, received: {}" },
	{ "{\"source\":{\"source\":\"f26\"},\"a\":1}", "source.type",
	  "Missing type in source configuration, received: {'source': 'f26'}" },
	{ SOURCE("tags", "f26", ""), "source.type", "Unknown source type \"tags\"" },
	/* rule 8 */
	{ SOURCE("tag", "", ""), "source.source", "No source provided for 1" },
	{ SOURCE("repo", "   ", ""), "source.source", "No source provided for 3" },
	{ "{\"source\":{\"type\":\"module\"}}", "source.source", "No source provided for 2" },
	{ SOURCE("module", "", ",\"scratch_modules\":[]"), "source.source",
	  "No source provided for 2" },
	{ "{\"source\":{\"type\":\"tag\",\"source\":5}}", "source.source",
	  "source should be a string" },
	{ "{\"source\":{\"type\":\"tag\",\"source\":[\"f26\"]}}", "source.source",
	  "source should be a string" },
	/* rule 9 */
	{ SOURCE("raw_config", "fedora#a fedora#b", ""), "source.source",
	  "Only single source is allowed for \"raw_config\" source_type" },
	{ SOURCE("raw_config", "fedora", ""), "source.source",
	  "Source must be in \"source_name#commit_hash\" format for \"raw_config\" source_type." },
	{ SOURCE("raw_config", "fedora#", ""), "source.source",
	  "Source must be in \"source_name#commit_hash\" format for \"raw_config\" source_type." },
	{ SOURCE("raw_config", "fedora#a#b", ""), "source.source",
	  "Source must be in \"source_name#commit_hash\" format for \"raw_config\" source_type." },
	{ SOURCE("raw_config", "other#a", ""), "source.source",
	  "Source \"other\" does not exist in server configuration." },
	{ SOURCE("module", "a:b nodejs", ""), "source.source",
	  "Module definition must be in \"n:s\", \"n:s:v\" or \"n:s:v:c\" format, but got "
	  "nodejs" },
	{ SOURCE("module", "-8", ""), "source.source",
	  "Module definition must be in \"n:s\", \"n:s:v\" or \"n:s:v:c\" format, but got -8" },
	{ SOURCE("module", "nodejs-", ""), "source.source",
	  "Module definition must be in \"n:s\", \"n:s:v\" or \"n:s:v:c\" format, but got "
	  "nodejs-" },
	{ SOURCE("module", "a:b", ",\"packages\":[\"x\"]"), "source.packages",
	  "Exact packages cannot be set for MODULE source type." },
	{ SOURCE("module", "platform:f26", ""), "source.source",
	  "ODCS currently cannot create compose with base modules, but platform:f26 was "
	  "requested." },
	{ SOURCE("repo", "relative/path", ""), "source.source",
	  "A repository must be an absolute path or a file, http, https or ftp URL, but got "
	  "relative/path" },
	{ SOURCE("repo", "/a http:///b", ""), "source.source",
	  "A repository must be an absolute path or a file, http, https or ftp URL, but got "
	  "http:///b" },
	{ SOURCE("repo", "file://host/b", ""), "source.source",
	  "A repository must be an absolute path or a file, http, https or ftp URL, but got "
	  "file://host/b" },
	{ SOURCE("repo", "gopher://host/b", ""), "source.source",
	  "A repository must be an absolute path or a file, http, https or ftp URL, but got "
	  "gopher://host/b" },
	/* packages */
	{ SOURCE("tag", "f26", ",\"packages\":[\"\"]"), "source.packages",
	  "A package name is empty" },
	{ SOURCE("tag", "f26", ",\"packages\":[\"a/b\"]"), "source.packages",
	  "A package name cannot contain \"/\" or control characters, but got 'a/b'" },
	{ SOURCE("tag", "f26", ",\"packages\":[\"a\\nb\"]"), "source.packages",
	  "A package name cannot contain \"/\" or control characters, but got 'a\\nb'" },
	{ SOURCE("tag", "f26", ",\"packages\":[\"\\u0085\"]"), "source.packages",
	  "A package name cannot contain \"/\" or control characters, but got '\\x85'" },
	{ SOURCE("tag", "f26", ",\"packages\":[1]"), "source.packages",
	  "packages should be a list of strings" },
	/* rule 10 */
	{ TAG(",\"seconds_to_live\":-1"), "seconds_to_live",
	  "Invalid seconds_to_live specified in request: {'source': {'type': 'tag', 'source': "
	  "'f26'}, 'seconds_to_live': -1}" },
	{ TAG(",\"seconds-to-live\":\"soon\""), "seconds-to-live",
	  "Invalid seconds_to_live specified in request: {'source': {'type': 'tag', 'source': "
	  "'f26'}, 'seconds-to-live': 'soon'}" },
	/* rule 11 to 15 */
	{ TAG(",\"flags\":[\"no_deps\",\"fast\"]"), "flags", "('Unknown flag %s', 'fast')" },
	{ TAG(",\"results\":[\"dvd\"]"), "results", "('Unknown result %s', 'dvd')" },
	{ TAG(",\"multilib_method\":[\"some\"]"), "multilib_method",
	  "Unknown multilib method \"some\"" },
	{ SOURCE("tag", "f26", ",\"module_defaults_url\":\"x\""), "source.module_defaults_url",
	  "The \"module_defaults_url\" and \"module_defaults_commit\" must be used together." },
	{ SOURCE("tag", "f26", ",\"module_defaults_commit\":\"x\""), "source.module_defaults_url",
	  "The \"module_defaults_url\" and \"module_defaults_commit\" must be used together." },
	{ TAG(",\"target_dir\":\"public\""), "target_dir", "Unknown \"target_dir\" \"public\"" },
	/* ours */
	{ TAG(",\"arches\":\"x86_64\""), "arches", "arches should be a list" },
	{ TAG(",\"flags\":\"no_deps\""), "flags", "flags should be a list" },
	{ TAG(",\"flags\":[1]"), "flags", "flags should be a list of strings" },
	{ TAG(",\"arches\":[\"\"]"), "arches", "arches: no arch is named" },
	{ TAG(",\"arches\":[\" \",\"\"]"), "arches", "arches: no arch is named" },
	{ TAG(",\"arches\":[\"../x\"]"), "arches",
	  "The name of an arch has letters, digits and \"_\" only, but got ../x" },
	{ SOURCE("tag", "f26", ",\"koji_event\":-4"), "source.koji_event",
	  "koji_event should not be negative" },
	/* June 2017 */
	{ "{\"source_type\":\"tag\"}", "source", "Missing source" },
	{ "{\"source_type\":\"x\",\"source\":\"y\"}", "source_type", "Unknown source type \"x\"" },
	{ "{\"source_type\":\"tag\",\"source\":\"\"}", "source", "No source provided for 1" },
	{ "{\"source_type\":1,\"source\":\"y\"}", "source_type", "source_type should be a string" },
	{ "{\"id\":0}", "id", "No expired or failed compose with id 0" },
	{ "{\"id\":\"7\"}", "id", "id should be an integer" },
	{ "{\"id\":7,\"seconds-to-live\":-1}", "seconds-to-live",
	  "Invalid seconds_to_live specified in request: {'id': 7, 'seconds-to-live': -1}" },
};

static void test_rest_refused(void)
{
	struct site site;

	site_init(&site, false);
	for (size_t i = 0; i < ARRAY_SIZE(rest_refused); i++)
		check_refused(&site, &rest_refused[i], -EINVAL);
	check_refused(&site, &(struct refused){ "{\"source\"", "", BAD_BODY }, -EAGAIN);
	check_refused(&site, &(struct refused){ "", "", BAD_BODY }, -EAGAIN);
	check_refused(&site, &(struct refused){ " \n", "", BAD_BODY }, -EAGAIN);
	site_done(&site);
}

struct accepted {
	const char *text, *normal;
};

#define NORMAL(before, after)                                                                      \
	"{\"arches\":[\"x86_64\"]," before                                                         \
	"\"compose_type\":\"test\",\"flags\":0,\"lookaside_repos\":[],\"multilib_arches\":[],"     \
	"\"multilib_method\":0," after "\"target_dir\":\"default\"}\n"
#define NORMAL_TAG(seconds)                                                                        \
	NORMAL("", "\"results\":1,\"seconds_to_live\":" seconds                                    \
		   ",\"sigkeys\":[],\"source\":[\"f26\"],\"source_type\":1,")

#define NORMAL_MORE(more)                                                                          \
	"{\"arches\":[\"x86_64\"],\"compose_type\":\"test\",\"flags\":0," more                     \
	"\"lookaside_repos\":[],\"multilib_arches\":[],\"multilib_method\":0,\"results\":1,"       \
	"\"seconds_to_live\":86400,\"sigkeys\":[],\"source\":[\"f26\"],\"source_type\":1,"         \
	"\"target_dir\":\"default\"}\n"

static const struct accepted accepted[] = {
	{ TAG(""), NORMAL_TAG("86400") },
	{ " \r\n\t" TAG("") "\n\n", NORMAL_TAG("86400") },
	{ "{\"source_type\":\"tag\",\"source\":\"f26\"}", NORMAL_TAG("86400") },
	/* lifetimes */
	{ TAG(",\"seconds_to_live\":600"), NORMAL_TAG("600") },
	{ TAG(",\"seconds_to_live\":0"), NORMAL_TAG("86400") },
	{ TAG(",\"seconds_to_live\":true"), NORMAL_TAG("1") },
	{ TAG(",\"seconds_to_live\":999999"), NORMAL_TAG("259200") },
	{ TAG(",\"seconds_to_live\":99999999999999999999999999"), NORMAL_TAG("259200") },
	{ TAG(",\"seconds-to-live\":\"600\""), NORMAL_TAG("600") },
	{ TAG(",\"seconds-to-live\":\" 6_00 \""), NORMAL_TAG("600") },
	{ TAG(",\"seconds-to-live\":\"99999999999999999999\""), NORMAL_TAG("259200") },
	{ TAG(",\"seconds-to-live\":\"\""), NORMAL_TAG("86400") },
	{ TAG(",\"seconds-to-live\":\"0\""), NORMAL_TAG("86400") },
	{ TAG(",\"seconds-to-live\":12.7"), NORMAL_TAG("12") },
	{ TAG(",\"seconds-to-live\":1e300"), NORMAL_TAG("259200") },
	{ TAG(",\"seconds-to-live\":false"), NORMAL_TAG("86400") },
	{ TAG(",\"seconds_to_live\":60,\"seconds-to-live\":\"70\""), NORMAL_TAG("60") },
	/* leases, names of successive composes */
	{ TAG(",\"lease\":0"), NORMAL_MORE("\"lease\":0,") },
	{ TAG(",\"lease\":3600,\"latest\":\"Fedora_26.x\""),
	  NORMAL_MORE("\"latest\":\"Fedora_26.x\",\"lease\":3600,") },
	{ TAG(",\"lease\":99999999999999999999"), NORMAL_MORE("\"lease\":259200,") },
	{ TAG(",\"latest\":\"\""), NORMAL_MORE("") },
	/* words: split, unique, first seen first */
	{ SOURCE("repo", "/b  /a /b", ",\"packages\":[\"z\",\"a@=b\",\"z\",\"x y\"]"),
	  NORMAL("", "\"packages\":[\"z\",\"a@=b\",\"x\",\"y\"],\"results\":1,"
		     "\"seconds_to_live\":86400,\"sigkeys\":[],\"source\":[\"/b\",\"/a\"],"
		     "\"source_type\":3,") },
	{ SOURCE("repo", "https://h/p file:///q ftp://h", ",\"packages\":[]"),
	  NORMAL("", "\"packages\":[],\"results\":1,\"seconds_to_live\":86400,\"sigkeys\":[],"
		     "\"source\":[\"https://h/p\",\"file:///q\",\"ftp://h\"],"
		     "\"source_type\":3,") },
	{ SOURCE("build", "", ",\"builds\":[\"x-1-1\"],\"sigkeys\":[\"\",\"AA\"]"),
	  NORMAL("\"builds\":[\"x-1-1\"],",
		 "\"results\":1,\"seconds_to_live\":86400,\"sigkeys\":[\"\",\"AA\"],"
		 "\"source\":[],\"source_type\":6,") },
	{ SOURCE("module", "", ",\"scratch_modules\":[\"a:b\"],\"packages\":[]"),
	  NORMAL("", "\"packages\":[],\"results\":1,\"scratch_modules\":[\"a:b\"],"
		     "\"seconds_to_live\":86400,\"sigkeys\":[],\"source\":[],"
		     "\"source_type\":2,") },
	{ SOURCE("raw_config", "fedora#main", ""),
	  NORMAL("", "\"results\":1,\"seconds_to_live\":86400,\"sigkeys\":[],"
		     "\"source\":[\"fedora#main\"],\"source_type\":5,") },
	/* every member */
	{ "{\"source\":{\"type\":\"tag\",\"source\":\"f26\",\"koji_event\":5,"
	  "\"modular_koji_tags\":[\"m\"],\"module_defaults_url\":\"git://u\","
	  "\"module_defaults_commit\":\"main\",\"modules\":[\"a:b\"],"
	  "\"scratch_build_tasks\":[\"9\"],\"base_module_br_name\":\"platform\","
	  "\"base_module_br_stream\":\"f26\",\"base_module_br_stream_version_lte\":3,"
	  "\"base_module_br_stream_version_gte\":2},\"flags\":[\"no_reuse\",\"no_flags\","
	  "\"no_deps\"],\"results\":[\"boot.iso\"],\"arches\":[\"s390x\",\"x86_64\"],"
	  "\"multilib_arches\":[\"x86_64\"],\"multilib_method\":[\"devel\",\"runtime\"],"
	  "\"lookaside_repos\":[\"http://l\"],\"label\":\"RC-1.0\",\"compose_type\":\"ci\","
	  "\"target_dir\":\"private\",\"ignored\":[1,2.5,[\"x\"]]}",
	  "{\"arches\":[\"s390x\",\"x86_64\"],\"base_module_br_name\":\"platform\","
	  "\"base_module_br_stream\":\"f26\",\"base_module_br_stream_version_gte\":2,"
	  "\"base_module_br_stream_version_lte\":3,\"compose_type\":\"ci\",\"flags\":65,"
	  "\"koji_event\":5,\"label\":\"RC-1.0\",\"lookaside_repos\":[\"http://l\"],"
	  "\"modular_koji_tags\":[\"m\"],\"module_defaults_url\":\"git://u main\","
	  "\"modules\":[\"a:b\"],\"multilib_arches\":[\"x86_64\"],\"multilib_method\":3,"
	  "\"results\":9,\"scratch_build_tasks\":[\"9\"],\"seconds_to_live\":86400,"
	  "\"sigkeys\":[],\"source\":[\"f26\"],\"source_type\":1,\"target_dir\":\"private\"}\n" },
	/* accepted here, failed later */
	{ TAG(",\"compose_type\":\"foo\",\"label\":\"x\""),
	  "{\"arches\":[\"x86_64\"],\"compose_type\":\"foo\",\"flags\":0,\"label\":\"x\","
	  "\"lookaside_repos\":[],\"multilib_arches\":[],\"multilib_method\":0,\"results\":1,"
	  "\"seconds_to_live\":86400,\"sigkeys\":[],\"source\":[\"f26\"],\"source_type\":1,"
	  "\"target_dir\":\"default\"}\n" },
	/* letters of other scripts are letters */
	{ SOURCE("tag", "\xc3\xa9\\u4e2d", ""),
	  NORMAL("", "\"results\":1,\"seconds_to_live\":86400,\"sigkeys\":[],"
		     "\"source\":[\"\\u00e9\\u4e2d\"],\"source_type\":1,") },
	/* the seed's form, and a list that is empty */
	{ SOURCE("module", "a:b nodejs-8 perl-5.26-2018", ",\"packages\":[]"),
	  NORMAL("", "\"packages\":[],\"results\":1,\"seconds_to_live\":86400,\"sigkeys\":[],"
		     "\"source\":[\"a:b\",\"nodejs-8\",\"perl-5.26-2018\"],\"source_type\":2,") },
};

/* The normal form survives a trip through JSON and a copy. */
static void check_round_trip(const struct spec *spec, const char *normal)
{
	_cleanup_(spec_freep) struct spec *back = NULL, *copy = NULL;
	json_auto_t *json = spec_to_json(spec), *again = NULL;
	struct error err = { 0 };

	CHECK_INT(spec_from_json(json, &back, &err), 0);
	CHECK_INT(spec_copy(spec, &copy, &err), 0);
	if (!back || !copy)
		return;
	CHECK(spec_same_question(spec, back) && spec_same_question(copy, spec));
	again = spec_to_json(copy);
	CHECK(json_equal(json, again));
	json_decref(again);
	again = spec_to_json(back);
	_cleanup_(freep) char *line = json_line(again);
	CHECK_STR(line, normal);
}

static void test_accepted(void)
{
	struct site site;

	site_init(&site, false);
	for (size_t i = 0; i < ARRAY_SIZE(accepted); i++) {
		_cleanup_(spec_freep) struct spec *spec = NULL;
		struct text problems = { 0 };
		struct error err = { 0 };
		int64_t id = -7;

		CHECK_INT(spec_parse(accepted[i].text, strlen(accepted[i].text), &site.rules, &spec,
				     &id, &problems, &err),
			  0);
		CHECK_INT(id, 0);
		CHECK_INT(problems.length, 0);
		if (spec)
			check_round_trip(spec, accepted[i].normal);
		else
			fprintf(stderr, "  %s: %s\n", accepted[i].text, err.message);
		text_done(&problems);
	}
	site_done(&site);
}

static void test_renewal(void)
{
	const char *text = "{\"id\":12,\"seconds-to-live\":\"60\"}";
	struct error err = { 0 };
	struct spec *spec = NULL;
	json_t *body = NULL;
	int64_t id = 0, seconds = 0;
	struct site site;

	site_init(&site, false);
	CHECK_INT(spec_parse(text, strlen(text), &site.rules, &spec, &id, NULL, &err), 0);
	CHECK_INT(id, 12);
	CHECK(!spec);
	CHECK_INT(body_parse(text, strlen(text), &body, &err), 0);
	CHECK_INT(spec_seconds_to_live(body, &site.rules, &seconds, &err), 0);
	CHECK_INT(seconds, 60);
	json_decref(body);
	site.rules.accept_id = false;
	CHECK_INT(spec_parse(text, strlen(text), &site.rules, &spec, &id, NULL, &err), -EINVAL);
	CHECK_STR(err.field, "source");
	CHECK_INT(body_parse("[1]", 3, &body, &err), -EINVAL);
	CHECK_STR(err.message, "The body should be a JSON object");
	CHECK_INT(body_parse("{\"a\":null}", 10, &body, &err), -EINVAL);
	CHECK_STR(err.message, BAD_NULL("a"));
	site_done(&site);
}

/* ---- the tree's rules -------------------------------------------------- */

static const struct {
	const char *text, *problems;
} tree_refused[] = {
	{ TAG(",\"flag\":[]"), "flag: unknown member; did you mean \"flags\"?\n" },
	{ TAG(",\"packages\":[\"x\"]"),
	  "packages: unknown member here; it belongs into \"source\"\n" },
	{ SOURCE("tag", "f26", ",\"pacakges\":[\"x\"],\"label\":\"RC-1.0\""),
	  "source.pacakges: unknown member; did you mean \"packages\"?\n"
	  "source.label: unknown member here; it belongs beside \"source\"\n" },
	{ TAG(",\"xyzzy\\n\":1"), "xyzzy : unknown member\n" },
	{ "{\"source\":{\"type\":\"rpo\",\"source\":\"/a\"},\"flags\":[\"no_dep\",\"zzzzz\"]}",
	  "source.type: Unknown source type \"rpo\"; did you mean \"repo\"?\n"
	  "flags: Unknown flag \"no_dep\"; did you mean \"no_deps\"?\n"
	  "flags: Unknown flag \"zzzzz\"\n" },
	{ TAG(",\"compose_type\":\"foo\""), "compose_type: Invalid compose type: foo\n" },
	{ SOURCE("module", "a:b", ",\"packages\":[\"x\"]"),
	  "source.packages: Exact packages cannot be set for MODULE source type.\n" },
	{ TAG(",\"label\":\"RC\""), "label: Label in unknown format: RC\n" },
	{ TAG(",\"label\":\"RC-1.\""), "label: Label in unknown format: RC-1.\n" },
	{ TAG(",\"label\":\"GA-1.0\""), "label: Label in unknown format: GA-1.0\n" },
	{ "{}", "source: Invalid source configuration provided: {}\n" },
	{ "[]", "source: Invalid source configuration provided: []\n" },
	{ "{\"id\":5}", "id: unknown member\n"
			"source: Invalid source configuration provided: {'id': 5}\n" },
	{ "{\"source\":{\"type\":\"repo\",\"source\":\"/a\",\"packages\":[\"a/b\",\"\",null]},"
	  "\"label\":7,\"seconds_to_live\":-5}",
	  "source.packages: " BAD_NULL(
		  "2") "\n"
		       "label: label should be a string\n"
		       "seconds_to_live: Invalid seconds_to_live specified in request: {'source': "
		       "{'type': "
		       "'repo', 'source': '/a', 'packages': ['a/b', '', None]}, 'label': 7, "
		       "'seconds_to_live': -5}\n" },
	{ "{\"a\":1", "spec.json: line 1, column 7: the text ends before the JSON object does\n" },
	{ "{\"a\":1}\n}", "spec.json: line 2, column 1: something follows the JSON value\n" },
	{ "{\"a\":\n  tru}", "spec.json: line 2, column 6: this is not JSON\n" },
	{ "{\"a\":1,\"a\":2}", "spec.json: line 1, column 10: a member is given twice\n" },
	{ "{\"a\":[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]}",
	  "spec.json: line 1, column 21: objects and lists are nested more than 16 deep\n" },
};

static void test_tree_refused(void)
{
	struct site site;

	site_init(&site, true);
	for (size_t i = 0; i < ARRAY_SIZE(tree_refused); i++) {
		const char *text = tree_refused[i].text;
		struct text problems = { 0 };
		struct error err = { 0 };
		struct spec *spec = NULL;
		int r = spec_parse(text, strlen(text), &site.rules, &spec, NULL, &problems, &err);

		CHECK_INT(r, strstr(tree_refused[i].problems, "the text ends") ? -EAGAIN : -EINVAL);
		CHECK(!spec);
		CHECK_STR(problems.data, tree_refused[i].problems);
		CHECK(problems.data && *err.message && strstr(problems.data, err.message));
		spec_free(spec);
		text_done(&problems);
	}
	site_done(&site);
}

/* tree.md 2: a proper prefix is never accepted and never called wrong. */
static void test_prefixes(void)
{
	static const char text[] =
		" {\"source\" : {\"type\":\"repo\",\"source\":\"/\xc3\xa9\\u00e9\","
		"\"packages\":[\"a\\n\", \"b\"]}, \"n\":[-12.5e+3, 0, true, false]}\n";
	struct site site;

	site_init(&site, true);
	for (size_t length = 0; length < sizeof(text) - 2; length++) {
		struct error err = { 0 };
		struct spec *spec = NULL;

		CHECK_INT(spec_parse(text, length, &site.rules, &spec, NULL, NULL, &err), -EAGAIN);
		CHECK(*err.message);
	}
	CHECK_INT(spec_parse(text, sizeof(text) - 2, &site.rules, &(struct spec *){ NULL }, NULL,
			     NULL, NULL),
		  -EINVAL); /* complete, and then judged */
	CHECK_INT(
		spec_parse("{\"a\":\0", 6, &site.rules, &(struct spec *){ NULL }, NULL, NULL, NULL),
		-EINVAL);
	site_done(&site);
}

/* ---- sizes ------------------------------------------------------------- */

static int parse(const struct site *site, const struct text *text, struct error *err)
{
	_cleanup_(spec_freep) struct spec *spec = NULL;

	return spec_parse(text->data, text->length, &site->rules, &spec, NULL, NULL, err);
}

static void many(struct text *text, const char *before, size_t count, bool different)
{
	text_clear(text);
	(void)text_adds(text, before);
	for (size_t i = 0; i < count; i++)
		(void)text_addf(text, "%s\"p%zu\"", i ? "," : "", different ? i : 0);
}

static void test_sizes(void)
{
	const char *packages = "{\"source\":{\"type\":\"tag\",\"source\":\"f\",\"packages\":[";
	struct text text = { 0 };
	struct error err = { 0 };
	struct site site;

	site_init(&site, false);
	many(&text, packages, 1000, true);
	(void)text_adds(&text, "]}}");
	CHECK_INT(parse(&site, &text, &err), 0);
	many(&text, packages, 1001, true);
	(void)text_adds(&text, "]}}");
	CHECK_INT(parse(&site, &text, &err), -EFBIG);
	CHECK_STR(err.message, "packages has 1001 members, at most 1000 are allowed");
	site.rules.maximum_packages = 10 * SPEC_MAX_PACKAGES;
	many(&text, packages, SPEC_MAX_PACKAGES, true);
	(void)text_adds(&text, "]}}");
	CHECK_INT(parse(&site, &text, &err), 0);
	many(&text, packages, SPEC_MAX_PACKAGES + 1, true);
	(void)text_adds(&text, "]}}");
	CHECK_INT(parse(&site, &text, &err), -EFBIG);
	many(&text, "{\"source\":{\"type\":\"tag\",\"source\":\"f\"},\"arches\":[",
	     SPEC_MAX_ARCHES + 1, true);
	(void)text_adds(&text, "]}");
	CHECK_INT(parse(&site, &text, &err), -EFBIG);
	CHECK_STR(err.field, "arches");
	many(&text, "{\"source\":{\"type\":\"tag\",\"source\":\"f\"},\"flags\":[",
	     SPEC_MAX_WORDS + 1, false);
	(void)text_adds(&text, "]}");
	CHECK_INT(parse(&site, &text, &err), -EFBIG);
	text_clear(&text);
	(void)text_addf(&text, "{\"source\":{\"type\":\"tag\",\"source\":\"%0*d\"}}",
			SPEC_MAX_STRING + 1, 0);
	CHECK_INT(parse(&site, &text, &err), -EFBIG);
	CHECK_STR(err.message, "A string of source.source is longer than 4096 bytes");
	text_clear(&text);
	(void)text_adds(&text, "{\"source\":{\"type\":\"module\",\"source\":\"");
	for (int i = 0; i < 9000; i++)
		(void)text_addf(&text, "module%d:%0*d:1:c ", i, i ? 60 : SPEC_MAX_STRING - 12, 1);
	(void)text_adds(&text, "\"}}");
	CHECK_INT(parse(&site, &text, &err), 0);
	text_clear(&text);
	(void)text_addf(&text, "{\"source\":{}}%*s", SPEC_MAX_BYTES, "");
	CHECK_INT(parse(&site, &text, &err), -EFBIG);
	text_done(&text);
	site_done(&site);
}

/* A message is cut between characters, and the list of problems ends. */
static void test_long_messages(void)
{
	struct text text = { 0 }, problems = { 0 };
	struct error err = { 0 };
	struct spec *spec = NULL;
	json_t *message;
	size_t lines = 0;
	struct site site;

	site_init(&site, true);
	(void)text_adds(&text, "{");
	for (size_t i = 0; i < 3000; i++)
		(void)text_addf(&text, "\"\xe4\xb8\xad%zu\":1,", i);
	(void)text_adds(&text, "\"z\":1}");
	CHECK_INT(spec_parse(text.data, text.length, &site.rules, &spec, NULL, &problems, &err),
		  -EINVAL);
	for (size_t i = 0; i < problems.length; i++)
		lines += problems.data[i] == '\n';
	CHECK_INT(lines, SPEC_MAX_PROBLEMS);
	site.rules.strict = false;
	CHECK_INT(spec_parse(text.data, text.length, &site.rules, &spec, NULL, NULL, &err),
		  -EINVAL);
	CHECK(strlen(err.message) > ERROR_MESSAGE_SIZE - 8);
	message = json_string(err.message);
	CHECK(message);
	json_decref(message);
	text_done(&text);
	text_done(&problems);
	site_done(&site);
}

/* ---- the same question ------------------------------------------------- */

static const struct {
	const char *a, *b;
	bool same;
} questions[] = {
	{ TAG(""), TAG(""), true },
	{ TAG(",\"label\":\"RC-1.0\",\"compose_type\":\"ci\",\"seconds_to_live\":5"), TAG(""),
	  true },
	{ TAG(",\"lease\":7,\"latest\":\"a\""), TAG(",\"lease\":0,\"latest\":\"b\""), true },
	{ TAG(",\"flags\":[\"no_deps\"]"), TAG(""), false },
	{ TAG(",\"results\":[\"iso\"]"), TAG(""), false },
	{ TAG(",\"results\":[\"repository\"]"), TAG(""), true },
	{ TAG(",\"target_dir\":\"private\""), TAG(""), false },
	{ TAG(",\"target_dir\":\"default\""), TAG(""), true },
	{ TAG(",\"multilib_method\":[\"all\"]"), TAG(""), false },
	{ TAG(",\"arches\":[\"a\",\"b\"]"), TAG(",\"arches\":[\"b\",\"a\"]"), true },
	{ TAG(",\"arches\":[\"a\",\"b\"]"), TAG(",\"arches\":[\"a\"]"), false },
	{ SOURCE("tag", "f", ",\"packages\":[]"), SOURCE("tag", "f", ""), true },
	{ SOURCE("tag", "f", ",\"packages\":[\"a\",\"b\"]"),
	  SOURCE("tag", "f", ",\"packages\":[\"b\",\"a\",\"b\"]"), true },
	{ SOURCE("tag", "f", ",\"packages\":[\"a\",\"b\"]"),
	  SOURCE("tag", "f", ",\"packages\":[\"a\"]"), false },
	{ SOURCE("tag", "f", ",\"sigkeys\":[\"\"]"), SOURCE("tag", "f", ""), true },
	{ SOURCE("tag", "f", ",\"sigkeys\":[\"\",\"A\"]"),
	  SOURCE("tag", "f", ",\"sigkeys\":[\"A\"]"), false },
	{ SOURCE("repo", "/a /b", ""), SOURCE("repo", "/b /a", ""), false },
	{ SOURCE("tag", "a", ""), SOURCE("pulp", "a", ""), false },
	{ SOURCE("tag", "a", ",\"base_module_br_name\":\"x\""), SOURCE("tag", "a", ""), true },
	{ SOURCE("tag", "a", ",\"module_defaults_url\":\"u\",\"module_defaults_commit\":\"c\""),
	  SOURCE("tag", "a", ""), false },
	{ SOURCE("tag", "a", ",\"koji_event\":7"), SOURCE("tag", "a", ""), true },
	{ SOURCE("tag", "a", ",\"builds\":[\"x-1-1\",\"y-1-1\"]"),
	  SOURCE("tag", "a", ",\"builds\":[\"y-1-1\",\"x-1-1\"]"), true },
	{ SOURCE("tag", "a", ",\"builds\":[\"x-1-1\"]"), SOURCE("tag", "a", ""), false },
	{ SOURCE("tag", "a", ",\"builds\":[\"x\"]"), SOURCE("tag", "a", ",\"packages\":[\"x\"]"),
	  false },
	{ SOURCE("tag", "a", ",\"modular_koji_tags\":[\"x\"]"), SOURCE("tag", "a", ""), false },
	{ SOURCE("tag", "a", ",\"modules\":[\"x:1\"]"), SOURCE("tag", "a", ""), false },
	{ SOURCE("tag", "a", ",\"scratch_modules\":[\"x:1\"]"), SOURCE("tag", "a", ""), false },
	{ SOURCE("tag", "a", ",\"scratch_build_tasks\":[\"1\"]"), SOURCE("tag", "a", ""), false },
	{ TAG(",\"lookaside_repos\":[\"/x\",\"/y\"]"), TAG(",\"lookaside_repos\":[\"/y\",\"/x\"]"),
	  true },
	{ TAG(",\"lookaside_repos\":[\"/x\"]"), TAG(""), false },
	{ TAG(",\"multilib_arches\":[\"x86_64\"]"), TAG(""), false },
};

static void check_question(const struct spec *a, const struct spec *b, bool same)
{
	char of_a[DIGEST_HEX_SIZE] = "", of_b[DIGEST_HEX_SIZE] = "";

	CHECK_INT(spec_same_question(a, b), same);
	CHECK_INT(spec_same_question(b, a), same);
	CHECK_INT(spec_question(a, of_a), 0);
	CHECK_INT(spec_question(b, of_b), 0);
	CHECK(hex_is_digest(of_a));
	CHECK_INT(!strcmp(of_a, of_b), same);
}

/* Digests are kept in catalogues: this is the one of this and all later versions. */
static void test_kept_question(const struct spec *spec)
{
	char digest[DIGEST_HEX_SIZE];

	CHECK_INT(spec_question(spec, digest), 0);
	CHECK_STR(digest, "02bf56bf01384b790e25ccb05d3d66f390bfe1bf22a4a6ea33d47146047174b6");
}

static void test_reusable(void)
{
	static const struct {
		const char *text;
		bool reusable;
	} cases[] = {
		{ TAG(""), true },
		{ TAG(",\"flags\":[\"no_deps\"]"), true },
		{ TAG(",\"flags\":[\"no_deps\",\"no_reuse\"]"), false },
		{ SOURCE("repo", "/a", ""), true },
		{ SOURCE("build", "", ",\"builds\":[\"a-1-1\"]"), true },
		{ SOURCE("pulp", "a", ""), false },
		{ SOURCE("raw_config", "fedora#main", ""), false },
	};
	struct site site;

	site_init(&site, false);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_(spec_freep) struct spec *spec = NULL;

		CHECK_INT(spec_parse(cases[i].text, strlen(cases[i].text), &site.rules, &spec, NULL,
				     NULL, NULL),
			  0);
		if (spec)
			CHECK_INT(spec_reusable(spec), cases[i].reusable);
		if (spec && i == 0)
			test_kept_question(spec);
	}
	site_done(&site);
}

static void test_questions(void)
{
	struct site site;

	site_init(&site, false);
	for (size_t i = 0; i < ARRAY_SIZE(questions); i++) {
		_cleanup_(spec_freep) struct spec *a = NULL, *b = NULL;

		CHECK_INT(spec_parse(questions[i].a, strlen(questions[i].a), &site.rules, &a, NULL,
				     NULL, NULL),
			  0);
		CHECK_INT(spec_parse(questions[i].b, strlen(questions[i].b), &site.rules, &b, NULL,
				     NULL, NULL),
			  0);
		if (a && b)
			check_question(a, b, questions[i].same);
	}
	site_done(&site);
}

/* What the catalogue hands back may be damaged: each needed member is missed by name. */
static void test_damaged(void)
{
	static const char *const broken[] = {
		"{\"source\":5}",	    "{\"arches\":[]}",
		"{\"arches\":[1]}",	    "{\"compose_type\":1}",
		"{\"source_type\":8}",	    "{\"source_type\":0}",
		"{\"flags\":512}",	    "{\"flags\":-1}",
		"{\"results\":0}",	    "{\"multilib_method\":8}",
		"{\"seconds_to_live\":-1}", "{\"koji_event\":\"1\"}",
		"{\"packages\":{}}",	    "{\"label\":[]}",
		"{\"target_dir\":false}",   "{\"seconds_to_live\":1.5}",
	};
	struct site site;
	struct spec *spec = NULL;
	struct error err = { 0 };
	json_t *good;

	site_init(&site, false);
	CHECK_INT(spec_parse(TAG(""), strlen(TAG("")), &site.rules, &spec, NULL, NULL, &err), 0);
	good = spec_to_json(spec);
	for (size_t i = 0; i < ARRAY_SIZE(broken); i++) {
		json_auto_t *bad = json_deep_copy(good), *change = json_loads(broken[i], 0, NULL);
		struct spec *back = NULL;

		CHECK_INT(json_object_update(bad, change), 0);
		CHECK_INT(spec_from_json(bad, &back, &err), -EBADMSG);
		CHECK(!back);
		CHECK_STR(err.field, json_object_iter_key(json_object_iter(change)));
	}
	CHECK_INT(spec_from_json(NULL, &spec, &err), -EBADMSG);
	json_decref(good);
	spec_free(spec);
	site_done(&site);
}

static void test_words(void)
{
	static const char *const known[] = { "packages", "sigkeys", "id" };
	enum compose_state state = STATE_WAIT;

	CHECK_STR(nearest_word("pakages", known, 3), "packages");
	CHECK_STR(nearest_word("package", known, 3), "packages");
	CHECK_STR(nearest_word("sgikeys", known, 3), "sigkeys");
	CHECK_STR(nearest_word("Id", known, 3), "id");
	CHECK_STR(nearest_word("xy", known, 3), NULL);
	CHECK_STR(nearest_word("", known, 3), NULL);
	CHECK_STR(nearest_word("arches", known, 0), NULL);
	for (int type = 1; type <= 7; type++)
		CHECK_INT(source_type_parse(source_type_name(type)), type);
	CHECK_INT(source_type_parse("tags"), -EINVAL);
	CHECK_STR(source_type_name(0), NULL);
	CHECK_STR(source_type_name(8), NULL);
	for (int i = -1; i <= 4; i++) {
		CHECK_INT(state_parse(state_name(i), &state), 0);
		CHECK_INT(state, i);
	}
	CHECK_STR(state_name(-1), "draft");
	CHECK_STR(state_name(3), "removed");
	CHECK_INT(state_parse("gone", &state), -EINVAL);
	CHECK_STR(state_name(5), NULL);
	CHECK_STR(flag_name(256), "no_label");
	CHECK_STR(flag_name(0), NULL);
	CHECK_STR(flag_name(3), NULL);
}

int main(void)
{
	test_rest_refused();
	test_accepted();
	test_renewal();
	test_tree_refused();
	test_prefixes();
	test_sizes();
	test_long_messages();
	test_questions();
	test_reusable();
	test_damaged();
	test_words();
	TEST_END();
}
