/* SPDX-License-Identifier: MIT */
/* tests/unit/model/roles.c: the roles file, and every rule of odcs-api.md 8.3. */
#include "tests/unit/model/rules.h"
#include "tests/unit/test.h"

#define FILE_NAME "/etc/roles.json"

static struct roles *parse(const char *text)
{
	struct roles *roles = NULL;
	struct error err = { 0 };

	CHECK_INT(roles_parse(text, strlen(text), FILE_NAME, &roles, &err), 0);
	CHECK_STR(err.message, "");
	return roles;
}

/* ---- what a file may be ------------------------------------------------- */

static void test_refused(void)
{
	static const struct {
		const char *text, *words;
	} cases[] = {
		{ "", "the text ends before" },
		{ "{", "line 1, column 2: the text ends before" },
		{ "{\n  \"admins\" = {}}", "line 2, column 12: this is not JSON" },
		{ "[]", FILE_NAME ": must be an object" },
		{ "{\"admins\": {}, \"admins\": {}}", "a member is given twice" },
		{ "{\"admin\": {}}", "admin: unknown member \"admin\"; did you mean \"admins\"?" },
		{ "{\"zebra\": {}}", "zebra: unknown member \"zebra\"" },
		{ "{\"admins\": []}", "admins: must be an object" },
		{ "{\"admins\": {\"user\": []}}", "admins.user: unknown member \"user\"; did you "
						  "mean \"users\"?" },
		{ "{\"admins\": {\"users\": {}}}", "admins.users: must be a list" },
		{ "{\"admins\": {\"users\": [1]}}", "admins.users: must be a list of strings" },
		{ "{\"admins\": {\"users\": [\"\"]}}", "admins.users: a name must not be empty" },
		{ "{\"admins\": {\"groups\": [\"a\", null]}}", "admins.groups: must be a list of" },
		{ "{\"allowed_clients\": {\"users\": [\"a\"]}}",
		  "allowed_clients.users: must be an object" },
		{ "{\"allowed_clients\": {\"users\": {\"\": {}}}}",
		  "allowed_clients.users: a name must not be empty" },
		{ "{\"allowed_clients\": {\"users\": {\"a\": []}}}",
		  "allowed_clients.users.a: must be an object" },
		{ "{\"allowed_clients\": {\"users\": {\"a\": {\"source_type\": []}}}}",
		  "allowed_clients.users.a.source_type: unknown member \"source_type\"; did you "
		  "mean \"source_types\"?" },
		{ "{\"allowed_clients\": {\"groups\": {\"g\": {\"sources\": \"f26\"}}}}",
		  "allowed_clients.groups.g.sources: must be a list" },
		{ "{\"allowed_clients\": {\"groups\": {\"g\": {\"flags\": [\"no_dep\"]}}}}",
		  "allowed_clients.groups.g.flags: unknown flag \"no_dep\"; did you mean "
		  "\"no_deps\"?" },
		{ "{\"allowed\": {\"source_types\": [\"tag\", \"repos\"]}}",
		  "allowed.source_types: unknown source type \"repos\"; did you mean \"repo\"?" },
		{ "{\"allowed\": {\"results\": [\"dvd\"]}}",
		  "allowed.results: unknown result \"dvd\"" },
		{ "{\"allowed\": []}", "allowed: must be an object" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct roles *roles = NULL;
		struct error err = { 0 };

		CHECK_INT(
			roles_parse(cases[i].text, strlen(cases[i].text), FILE_NAME, &roles, &err),
			-EINVAL);
		CHECK(!roles);
		CHECK_INT(err.blame, BLAME_REQUEST);
		CHECK(!strncmp(err.message, FILE_NAME ": ", strlen(FILE_NAME) + 2));
		CHECK(strstr(err.message, cases[i].words));
		if (!strstr(err.message, cases[i].words))
			fprintf(stderr, "  %s: «%s»\n", cases[i].text, err.message);
	}
}

static void test_clients_verbatim(void)
{
	static const struct {
		const char *text, *clients;
	} cases[] = {
		{ "{}", "{\"groups\":{},\"users\":{}}\n" },
		{ "{\"allowed_clients\": {\"users\": {\"b\": {\"sources\": [\"\"]}, \"a\": {}}}}",
		  "{\"users\":{\"a\":{},\"b\":{\"sources\":[\"\"]}}}\n" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_(roles_freep) struct roles *roles = parse(cases[i].text);
		json_auto_t *clients = roles_clients(roles);
		_cleanup_(freep) char *line = json_line(clients);

		CHECK_STR(line, cases[i].clients);
	}
}

/* ---- roles --------------------------------------------------------------- */

static struct strings words_of(const char *words)
{
	struct strings list = { 0 };

	CHECK_INT(strings_split(&list, words, ' '), 0);
	return list;
}

static int role(const struct roles *roles, enum role which, const char *user, const char *groups,
		struct error *err)
{
	struct strings list = words_of(groups);
	int r = roles_check(roles, which, user, &list, err);

	strings_done(&list);
	return r;
}

static void test_roles(void)
{
	_cleanup_(roles_freep) struct roles *roles = parse(
		"{\"allowed_clients\": {\"users\": {\"dev\": {}}, \"groups\": {\"devs\": {}}},"
		" \"admins\": {\"users\": [\"boss\"], \"groups\": [\"bosses\"]}}");
	_cleanup_(roles_freep) struct roles *empty = parse("{}");
	struct error err = { 0 };

	CHECK_INT(role(roles, ROLE_CLIENT, "dev", "", NULL), 0);
	CHECK_INT(role(roles, ROLE_CLIENT, "eve", "a devs b", NULL), 0);
	CHECK_INT(role(roles, ROLE_ADMIN, "boss", "", NULL), 0);
	CHECK_INT(role(roles, ROLE_ADMIN, "eve", "bosses", NULL), 0);
	CHECK_INT(roles_check(roles, ROLE_CLIENT, "dev", NULL, NULL), 0);
	/* an administrator is no client by that */
	CHECK_INT(role(roles, ROLE_CLIENT, "boss", "bosses", &err), -EACCES);
	CHECK_STR(err.message, "User boss is not in role allowed_clients.");
	CHECK_INT(err.blame, BLAME_REQUEST);
	CHECK_INT(role(roles, ROLE_ADMIN, "dev", "devs", &err), -EACCES);
	CHECK_STR(err.message, "User dev is not in role admins.");
	/* names of groups are no users, names are not cut or folded */
	CHECK_INT(role(roles, ROLE_CLIENT, "devs", "dev", NULL), -EACCES);
	CHECK_INT(role(roles, ROLE_CLIENT, "Dev", "", NULL), -EACCES);
	CHECK_INT(role(roles, ROLE_CLIENT, "de", "dev", NULL), -EACCES);
	CHECK_INT(role(roles, ROLE_CLIENT, "\xff", "\xfe", NULL), -EACCES);
	/* the name alone makes nobody the superuser */
	CHECK_INT(role(empty, ROLE_CLIENT, "root", "root", NULL), -EACCES);
	CHECK_INT(role(empty, ROLE_ADMIN, "root", "root", NULL), -EACCES);
}

/* ---- limits --------------------------------------------------------------- */

static struct spec *request(const char *text)
{
	struct spec *spec = NULL;
	struct error err = { 0 };
	struct site site;

	site_init(&site, false);
	CHECK_INT(spec_parse(text, strlen(text), &site.rules, &spec, NULL, NULL, &err), 0);
	CHECK_STR(err.message, "");
	site_done(&site);
	return spec;
}

#define TAG "{\"source\": {\"type\": \"tag\", \"source\": \"f26\"}"
#define BUILD "{\"source\": {\"type\": \"build\", \"builds\": [\"a-1-1\"]}}"

/* The words of one limit, by key, and what they make of a request: NULL, or KEY=WORD at fault. */
static void test_each_limit(void)
{
	static const struct {
		const char *limits, *request, *fault, *field;
	} cases[] = {
		/* ODCS's defaults */
		{ "", TAG "}", NULL, NULL },
		{ "", BUILD, NULL, NULL },
		{ "", "{\"source\": {\"type\": \"module\", \"source\": \"a:b\"}}", NULL, NULL },
		{ "", "{\"source\": {\"type\": \"repo\", \"source\": \"/r\"}}", "source_types=repo",
		  "source.type" },
		{ "", "{\"source\": {\"type\": \"pulp\", \"source\": \"r\"}}", "source_types=pulp",
		  "source.type" },
		{ "", TAG ", \"arches\": [\"x86_64\", \"s390x\", \"aarch64\"]}", "arches=s390x",
		  "arches" },
		{ "", TAG ", \"flags\": [\"no_deps\", \"check_deps\"]}", NULL, NULL },
		{ "", TAG ", \"results\": [\"iso\", \"boot.iso\"]}", NULL, NULL },
		{ "", TAG ", \"compose_type\": \"nightly\"}", NULL, NULL },
		{ "", TAG ", \"target_dir\": \"default\"}", NULL, NULL },
		{ "", TAG ", \"target_dir\": \"private\"}", "target_dirs=private", "target_dir" },
		/* types */
		{ "\"source_types\": [\"repo\"]",
		  "{\"source\": {\"type\": \"repo\", \"source\": \"/r\"}}", NULL, NULL },
		{ "\"source_types\": [\"repo\"]", TAG "}", "source_types=tag", "source.type" },
		{ "\"source_types\": [\"\"]",
		  "{\"source\": {\"type\": \"pulp\", \"source\": "
		  "\"r\"}}",
		  NULL, NULL },
		{ "\"source_types\": []", TAG "}", "source_types=tag", "source.type" },
		/* sources: each word; the word of a build is the empty one */
		{ "\"sources\": [\"f26\", \"f27\"]", TAG "}", NULL, NULL },
		{ "\"sources\": [\"f2\"]", TAG "}", "sources=f26", "source.source" },
		{ "\"sources\": []", TAG "}", "sources=f26", "source.source" },
		{ "\"sources\": [\"\"]", TAG "}", NULL, NULL },
		{ "\"sources\": [\"\"]", BUILD, NULL, NULL },
		{ "\"sources\": [\"f26\"]", BUILD, "sources=", "source.source" },
		{ "\"sources\": [\"f26\", \"\"]", BUILD, NULL, NULL },
		{ "\"sources\": [\"a:b\"]",
		  "{\"source\": {\"type\": \"module\", \"source\": \"a:b c:d\"}}", "sources=c:d",
		  "source.source" },
		/* flags: no_flags is in every request */
		{ "\"flags\": [\"no_deps\"]", TAG ", \"flags\": [\"no_deps\"]}", "flags=no_flags",
		  "flags" },
		{ "\"flags\": [\"no_deps\"]", TAG "}", "flags=no_flags", "flags" },
		{ "\"flags\": [\"no_flags\", \"no_deps\"]", TAG ", \"flags\": [\"no_deps\"]}", NULL,
		  NULL },
		{ "\"flags\": [\"no_flags\"]", TAG "}", NULL, NULL },
		{ "\"flags\": [\"no_flags\"]", TAG ", \"flags\": [\"no_reuse\", \"no_deps\"]}",
		  "flags=no_deps", "flags" },
		{ "\"flags\": [\"\"]", TAG ", \"flags\": [\"no_deps\"]}", NULL, NULL },
		{ "\"flags\": []", TAG "}", "flags=no_flags", "flags" },
		/* results: repository is in every request */
		{ "\"results\": [\"repository\"]", TAG "}", NULL, NULL },
		{ "\"results\": [\"iso\"]", TAG ", \"results\": [\"iso\"]}", "results=repository",
		  "results" },
		{ "\"results\": [\"repository\"]", TAG ", \"results\": [\"boot.iso\"]}",
		  "results=boot.iso", "results" },
		/* arches */
		{ "\"arches\": [\"aarch64\"]", TAG "}", "arches=x86_64", "arches" },
		{ "\"arches\": [\"\"]", TAG ", \"arches\": [\"s390x\"]}", NULL, NULL },
		{ "\"arches\": []", TAG "}", "arches=x86_64", "arches" },
		/* the rest */
		{ "\"compose_types\": [\"nightly\"]", TAG "}", "compose_types=test",
		  "compose_type" },
		{ "\"compose_types\": [\"test\"]", TAG "}", NULL, NULL },
		{ "\"target_dirs\": [\"private\"]", TAG ", \"target_dir\": \"private\"}", NULL,
		  NULL },
		{ "\"target_dirs\": []", TAG "}", NULL, NULL },
		{ "\"source_types\": [\"raw_config\"]",
		  "{\"source\": {\"type\": \"raw_config\", \"source\": \"fedora#abc\"}}", NULL,
		  NULL },
		{ "\"source_types\": [\"raw_config\"], \"raw_config_keys\": [\"other\"]",
		  "{\"source\": {\"type\": \"raw_config\", \"source\": \"fedora#abc\"}}",
		  "raw_config_keys=fedora", "source.source" },
		{ "\"source_types\": [\"raw_config\"], \"raw_config_keys\": [\"fedora\"]",
		  "{\"source\": {\"type\": \"raw_config\", \"source\": \"fedora#abc\"}}", NULL,
		  NULL },
		{ "\"raw_config_keys\": []", TAG "}", NULL, NULL },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_(freep) char *text = NULL, *words = NULL;
		_cleanup_(spec_freep) struct spec *spec = request(cases[i].request);
		_cleanup_(roles_freep) struct roles *roles = NULL;
		struct error err = { 0 };
		int r;

		CHECK(asprintf(&text, "{\"allowed_clients\": {\"users\": {\"dev\": {%s}}}}",
			       cases[i].limits) > 0);
		CHECK(asprintf(&words, "User dev not allowed to operate with compose with %s.",
			       cases[i].fault ?: "") > 0);
		roles = parse(text);
		r = roles_limits(roles, "dev", NULL, spec, NULL, &err);
		CHECK_INT(r, cases[i].fault ? -EACCES : 0);
		CHECK_STR(err.message, cases[i].fault ? words : "");
		CHECK_STR(err.field, cases[i].field ?: "");
	}
}

static void test_several_faults(void)
{
	_cleanup_(roles_freep) struct roles *roles = parse(
		"{\"allowed_clients\": {\"users\": {\"dev\": {\"flags\": [\"no_deps\"]}},"
		" \"groups\": {\"one\": {\"sources\": [\"f27\"]}, \"two\": {\"source_types\": []},"
		"              \"all\": {}}}}");
	_cleanup_(spec_freep) struct spec *spec = request(TAG ", \"arches\": [\"s390x\"]}");
	struct strings groups = words_of("one two nine one");
	struct error err = { 0 };

	CHECK_INT(roles_limits(roles, "dev", NULL, spec, NULL, &err), -EACCES);
	CHECK_STR(err.message, "User dev not allowed to operate with compose with flags=no_flags. "
			       "User dev not allowed to operate with compose with arches=s390x.");
	/* of several groups each says what it does not allow, and nothing is said twice */
	CHECK_INT(roles_limits(roles, "eve", &groups, spec, NULL, &err), -EACCES);
	CHECK_STR(err.message,
		  "User eve not allowed to operate with compose with sources=f26. "
		  "User eve not allowed to operate with compose with arches=s390x. "
		  "User eve not allowed to operate with compose with source_types=tag.");
	CHECK_STR(err.field, "source.source");
	strings_done(&groups);
}

static void test_whose_entry(void)
{
	_cleanup_(roles_freep) struct roles *roles = parse(
		"{\"allowed_clients\": {"
		"   \"users\": {\"dev\": {\"sources\": [\"f27\"]}, \"boss\": {\"sources\": []}},"
		"   \"groups\": {\"any\": {}, \"none\": {\"sources\": []},"
		"                \"arch\": {\"arches\": [\"s390x\"]}}},"
		" \"admins\": {\"users\": [\"boss\"], \"groups\": [\"bosses\"]}}");
	_cleanup_(spec_freep) struct spec *spec = request(TAG "}");
	static const struct {
		const char *user, *groups, *fault;
	} cases[] = {
		/* the user's own entry wins, also over a group that would allow it */
		{ "dev", "any", "User dev not allowed to operate with compose with sources=f26." },
		/* one group that allows all of it is enough, wherever it stands */
		{ "eve", "none any", NULL },
		{ "eve", "any none", NULL },
		/* two groups do not add up */
		{ "eve", "none arch",
		  "User eve not allowed to operate with compose with sources=f26. User eve not "
		  "allowed to operate with compose with arches=x86_64." },
		{ "eve", "", "User eve not allowed to operate with any compose." },
		{ "eve", "others", "User eve not allowed to operate with any compose." },
		/* administrators skip the limits */
		{ "boss", "", NULL },
		{ "eve", "none bosses", NULL },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct strings groups = words_of(cases[i].groups);
		struct error err = { 0 };
		int r = roles_limits(roles, cases[i].user, &groups, spec, NULL, &err);

		CHECK_INT(r, cases[i].fault ? -EACCES : 0);
		CHECK_STR(err.message, cases[i].fault ?: "");
		strings_done(&groups);
	}
}

static void test_server_defaults(void)
{
	_cleanup_(roles_freep) struct roles *roles =
		parse("{\"allowed_clients\": {\"users\": {\"dev\": {},"
		      " \"own\": {\"source_types\": [\"tag\"], \"arches\": [\"x86_64\"]}}},"
		      " \"allowed\": {\"source_types\": [\"repo\"], \"arches\": [\"\"]}}");
	_cleanup_(spec_freep) struct spec *tag = request(TAG "}");
	_cleanup_(spec_freep) struct spec *repo =
		request("{\"source\": {\"type\": \"repo\", \"source\": \"/r\"},"
			" \"arches\": [\"s390x\"]}");

	CHECK_INT(roles_limits(roles, "dev", NULL, repo, NULL, NULL), 0);
	CHECK_INT(roles_limits(roles, "dev", NULL, tag, NULL, NULL), -EACCES);
	CHECK_INT(roles_limits(roles, "own", NULL, repo, NULL, NULL), -EACCES);
	CHECK_INT(roles_limits(roles, "own", NULL, tag, NULL, NULL), 0);
}

/* PATCH: what the compose became, but for its directory. */
static void test_old_compose(void)
{
	_cleanup_(roles_freep) struct roles *roles =
		parse("{\"allowed_clients\": {\"users\": {"
		      "   \"dev\": {\"sources\": [\"a:b:1:2\"], \"arches\": [\"s390x\"]}, \"any\": "
		      "{}}}}");
	_cleanup_(spec_freep) struct spec *spec =
		request("{\"source\": {\"type\": \"module\", \"source\": \"a:b\"},"
			" \"target_dir\": \"private\"}");
	char resolved[] = "a:b:1:2", arches[] = "s390x";
	struct compose compose = { .spec = spec };
	struct error err = { 0 };

	CHECK_INT(roles_limits(roles, "any", NULL, spec, NULL, &err), -EACCES);
	CHECK_STR(err.message,
		  "User any not allowed to operate with compose with target_dirs=private.");
	CHECK_INT(roles_limits(roles, "any", NULL, NULL, &compose, NULL), 0);
	CHECK_INT(roles_limits(roles, "dev", NULL, NULL, &compose, &err), -EACCES);
	CHECK_STR(err.message, "User dev not allowed to operate with compose with sources=a:b. "
			       "User dev not allowed to operate with compose with arches=x86_64.");
	compose.source = resolved;
	compose.arches = arches;
	CHECK_INT(roles_limits(roles, "dev", NULL, NULL, &compose, NULL), 0);
	CHECK_INT(roles_limits(roles, "any", NULL, NULL, &compose, NULL), -EACCES);
}

int main(void)
{
	test_refused();
	test_clients_verbatim();
	test_roles();
	test_each_limit();
	test_several_faults();
	test_whose_entry();
	test_server_defaults();
	test_old_compose();
	TEST_END();
}
