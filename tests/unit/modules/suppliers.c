/* SPDX-License-Identifier: MIT */
/* tests/unit/modules/suppliers.c: modules out of MBS and Koji: a stub that knows a few, and what a
 * real hub said. */
#include "resolver/modules/modules.h"
#include "tests/unit/koji/replay.h"
#include "tests/unit/test.h"

static struct replay stub, recorded;
static struct text log_text;

static void on_log(void *data, const char *text)
{
	(void)data;
	(void)text_addf(&log_text, "%s\n", text);
}
static const struct module_log test_log = { on_log, NULL };

static int parse(const char *words, struct module_wishes *ret)
{
	_cleanup_(strings_done) struct strings list = { 0 };
	struct error err = { 0 };

	CHECK_INT(strings_add(&list, words), 0);
	return modules_parse_source(&list, ret, &err);
}

static int resolve(struct module_supplier *supplier, const char *words, const char *scratch,
		   struct modules_question question, struct module_set **ret, struct error *err)
{
	_cleanup_(module_wishes_done) struct module_wishes wishes = { 0 }, trials = { 0 };

	CHECK_INT(parse(words, &wishes), 0);
	CHECK_INT(parse(scratch, &trials), 0);
	question.wishes = &wishes;
	question.scratch = &trials;
	question.log = test_log;
	text_clear(&log_text);
	return modules_resolve(&question, &supplier, 1, ret, err);
}

static const struct modules_question plain = { .base_lte = -1, .base_gte = -1 };

/* ---- MBS ---- */

static struct module_supplier *mbs_of(const char *service, int64_t call_ms)
{
	struct module_supplier *supplier = NULL;
	struct module_mbs settings = {
		.transport = stub.transport, .call_ms = call_ms, .pause_ms = 20, .log = test_log
	};
	struct error err = { 0 };
	char url[400];

	(void)snprintf(url, sizeof(url), "%s/%s", stub.base, service);
	settings.url = url;
	CHECK_INT(modules_from_mbs(&settings, &supplier, &err), 0);
	return supplier;
}

static int take(void *data, const void *bytes, size_t length, struct error *err)
{
	return text_add(data, bytes, length) < 0 ? error_oom(err) : 0;
}

/* What MBS was asked since the last time. */
static char *asked(void)
{
	struct text text = { 0 };
	struct transport_sink sink = { take, &text };
	struct error err = { 0 };
	char url[400];

	(void)snprintf(url, sizeof(url), "%s/asked", stub.base);
	CHECK_INT(transport_get(stub.transport, url, 0, -1, &sink, NULL, NULL, &err), 0);
	return text_steal(&text);
}

#define HEAD "/mbs/1/module-builds/?nsvc="
#define TAIL "&verbose=True&order_desc_by=version"
#define NEAR                                                                                       \
	"&base_module_br_name=platform&base_module_br_stream_version_lte=80100"                    \
	"&base_module_br_stream_version_gte=80000\n"

static void test_mbs(void)
{
	_cleanup_(module_supplier_freep) struct module_supplier *mbs = mbs_of("mbs//", 5000);
	static const struct {
		const char *words, *scratch, *source, *asked;
		int flags;
	} cases[] = {
		{ "web:1", "", "lib:1:8:cccc web:1:20:aaaa web:1:20:bbbb",
		  HEAD "web%3A1&state=5" TAIL "\n" HEAD "lib%3A1&state=5" TAIL NEAR },
		{ "web:1", "", "web:1:20:aaaa web:1:20:bbbb", HEAD "web%3A1&state=5" TAIL "\n",
		  FLAG_NO_DEPS },
		{ "web:1", "", "web:1:30:aaaa", HEAD "web%3A1&state=5&state=3" TAIL "\n",
		  FLAG_NO_DEPS | FLAG_INCLUDE_DONE_MODULES },
		{ "web:1:30:aaaa", "", "web:1:30:aaaa",
		  HEAD "web%3A1%3A30%3Aaaaa&state=5&state=3" TAIL "\n" },
		{ "free:1", "", "free:1:1:dddd lib:1:8:cccc",
		  HEAD "free%3A1&state=5" TAIL "\n" HEAD "lib&state=5" TAIL NEAR },
		{ "lib:1", "", "lib:1:9:cccc", HEAD "lib%3A1&state=5" TAIL "\n" },
		{ "web-devel:1", "",
		  "lib:1:8:cccc web-devel:1:20:aaaa web-devel:1:20:bbbb "
		  "web:1:20:aaaa web:1:20:bbbb",
		  NULL },
		{ "", "trial:1:5:ffff", "",
		  HEAD "trial%3A1%3A5%3Affff&state=5&state=3&scratch=True" TAIL "\n" },
		{ "long:1", "", "long:1:100:eeee", HEAD "long%3A1&state=5" TAIL "\n" },
	};

	free(asked());
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_(module_set_freep) struct module_set *set = NULL;
		_cleanup_(freep) char *questions = NULL;
		struct modules_question question = plain;
		struct error err = { 0 };

		question.flags = cases[i].flags;
		CHECK_INT(resolve(mbs, cases[i].words, cases[i].scratch, question, &set, &err), 0);
		CHECK_STR(set ? set->source : err.message, cases[i].source);
		questions = asked();
		if (cases[i].asked)
			CHECK_STR(questions, cases[i].asked);
		CHECK(set && set->count > 0);
	}
}

static void test_mbs_module(void)
{
	_cleanup_(module_supplier_freep) struct module_supplier *mbs = mbs_of("mbs", 5000);
	_cleanup_(module_set_freep) struct module_set *set = NULL;
	_cleanup_(text_done) struct text yaml = { 0 };
	struct modules_yaml_options options = { .arch = "ppc64le", .log = test_log };
	struct modules_question question = plain;
	const struct module *module;
	struct error err = { 0 };
	_cleanup_(freep) char *questions = NULL;

	question.base_name = "platform";
	question.base_stream = "el8.1.0";
	question.base_lte = 80150;
	question.base_gte = 80000;
	free(asked());
	CHECK_INT(resolve(mbs, "web-devel:1:20:aaaa", "", question, &set, &err), 0);
	questions = asked();
	CHECK_WORDS(questions, HEAD "web-devel%3A1%3A20%3Aaaaa&state=5&state=3" TAIL
				    "&base_module_br_name=platform&base_module_br_stream=el8.1.0"
				    "&base_module_br_stream_version_lte=80150"
				    "&base_module_br_stream_version_gte=80000\n");
	module = module_set_find(set, "web-devel:1:20:aaaa");
	CHECK(module && module->requirement_count == 3);
	CHECK_STR(module->koji_tag, "module-web-1");
	CHECK_INT(module->base_version, 80100);
	CHECK(!module->document[0].arch);
	module = module_set_find(set, "web:1:20:aaaa");
	CHECK_STR(module->why, "web-devel:1:20:aaaa");
	CHECK_INT(modules_yaml(set, &mbs, 1, &options, &yaml, &err), 0);
	CHECK_WORDS(yaml.data, "  name: web-devel\n");
	CHECK_WORDS(yaml.data, "  arch: ppc64le\n");
	CHECK_WORDS(yaml.data, "      web: [1]\n");
}

static void test_mbs_lacking(void)
{
	_cleanup_(module_supplier_freep) struct module_supplier *mbs = mbs_of("empty", 5000);
	static const struct {
		const char *words, *scratch, *message;
		int flags;
	} cases[] = {
		{ "a:1", "", "Failed to find module a:1 in ready state in the MBS." },
		{ "a:1", "", "Failed to find module a:1 in ready or done state in the MBS.",
		  FLAG_INCLUDE_DONE_MODULES },
		{ "a:1:2:c", "",
		  "Failed to find module a:1:2:c in ready or done state in the MBS." },
		{ "", "a:1:2",
		  "Failed to find scratch module a:1:2 in ready or done state in the MBS." },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct modules_question question = plain;
		struct module_set *set = NULL;
		struct error err = { 0 };

		question.flags = cases[i].flags;
		CHECK_INT(resolve(mbs, cases[i].words, cases[i].scratch, question, &set, &err),
			  -ENOENT);
		CHECK_STR(err.message, cases[i].message);
	}
}

static void test_mbs_wrong(void)
{
	static const struct {
		const char *service;
		int code;
		const char *message;
	} cases[] = {
		{ "broken", -EIO, "MBS (tried " },
		{ "slow", -ETIMEDOUT, "MBS: http://127.0.0.1" },
		{ "missing", -ENOENT, "MBS: http://127.0.0.1" },
		{ "html", -EBADMSG, "MBS: the answer makes no sense: it is not JSON" },
		{ "garbage", -EBADMSG, "it is not JSON" },
		{ "nothing", -EBADMSG, "it is not JSON" },
		{ "deep", -EBADMSG, "it is not JSON" },
		{ "listed", -EBADMSG, "it has no \"items\"" },
		{ "odd", -EBADMSG, "it has no \"items\"" },
		{ "nulls", -EBADMSG, "a build without name" },
		{ "other", -EBADMSG, "a module that was not asked for: other:1:1:a" },
		{ "failed", -EBADMSG, "a build in a state that was not asked for: web" },
		{ "unequal", -EBADMSG,
		  "MBS: the document of web:1:1:a: the document's stream is 2, not 1" },
		{ "alias", -EBADMSG, "an alias" },
		{ "number", -EBADMSG, "a version that is no number: soon" },
		{ "elsewhere", -EACCES, "a redirect to another server, http://localhost:1/1/" },
		{ "contextless", -EBADMSG, "a build without name, stream, version, context" },
		{ "forged", -EBADMSG,
		  "a build with characters in its name that none may have: web" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_(module_supplier_freep) struct module_supplier *mbs =
			mbs_of(cases[i].service, 300);
		struct module_set *set = NULL;
		struct error err = { 0 };
		int64_t start = time_monotonic_ms();

		CHECK_INT(resolve(mbs, "web:1", "", plain, &set, &err), cases[i].code);
		CHECK_WORDS(err.message, cases[i].message);
		CHECK_INT(err.blame, BLAME_SOURCE);
		CHECK(time_monotonic_ms() - start < 3000);
	}
}

/* A redirect that stays with the server is followed. */
static void test_mbs_moved(void)
{
	_cleanup_(module_supplier_freep) struct module_supplier *mbs = mbs_of("moved", 5000);
	_cleanup_(module_set_freep) struct module_set *set = NULL;
	struct error err = { 0 };

	CHECK_INT(resolve(mbs, "lib:1", "", plain, &set, &err), 0);
	CHECK_STR(set ? set->source : err.message, "lib:1:9:cccc");
}

static void test_mbs_once_more(void)
{
	_cleanup_(module_supplier_freep) struct module_supplier *mbs = mbs_of("once", 5000);
	_cleanup_(module_set_freep) struct module_set *set = NULL;
	struct error err = { 0 };

	CHECK_INT(resolve(mbs, "lib:1", "", plain, &set, &err), 0);
	CHECK_STR(set ? set->source : err.message, "lib:1:9:cccc");
	CHECK_WORDS(log_text.data, "trying again in 0.0 s");
}

/* ---- Koji ---- */

static struct hub *hub_of(const struct replay *replay)
{
	struct hub_settings settings = {
		.url = replay->url, .transport = replay->transport, .call_ms = 5000, .pause_ms = 20
	};
	struct hub *hub = NULL;
	struct error err = { 0 };

	CHECK_INT(hub_new(&settings, &hub, &err), 0);
	return hub;
}

static struct module_supplier *koji_of(struct hub *hub, const char *tags)
{
	_cleanup_(strings_done) struct strings list = { 0 };
	struct module_koji settings = {
		.hub = hub, .tags = &list, .event = HUB_NOW, .inherit = true, .log = test_log
	};
	struct module_supplier *supplier = NULL;
	struct error err = { 0 };

	CHECK_INT(strings_split(&list, tags, ' '), 0);
	CHECK_INT(modules_from_koji(&settings, &supplier, &err), 0);
	return supplier;
}

static void test_koji(void)
{
	_cleanup_(hub_freep) struct hub *hub = hub_of(&stub);
	_cleanup_(module_supplier_freep) struct module_supplier *koji =
		koji_of(hub, "mod-top mod-other");
	static const struct {
		const char *words;
		int code;
		const char *source;
	} cases[] = {
		/* the tag that is first wins, not the higher version; no_deps does not count */
		{ "web:1", 0, "web:1:5:aaaa" },
		{ "web:2", 0, "my-lib:a-b:2:cccc web:2:4:aaaa web:2:4:bbbb" },
		{ "web:3", 0, "web:3:1:aaaa" },
		{ "web:2:99", 0, "my-lib:a-b:2:cccc web:2:99:aaaa" },
		{ "web:2:4:bbbb", 0, "my-lib:a-b:2:cccc web:2:4:bbbb" },
		{ "all:1", 0, "all:1:1:aaaa my-lib:a-b:2:cccc my-lib:a_b:3:cccc" },
		{ "my-lib:a_b", 0, "my-lib:a_b:3:cccc" },
		{ "web:4", -ENOENT,
		  "Failed to find module web:4 in Koji, tag mod-top, mod-other." },
		{ "web:1:7", -ENOENT, "Failed to find module web:1:7 in Koji." },
		{ "gone:1", -ENOENT,
		  "Failed to find module gone:1 in Koji, tag mod-top, mod-other." },
		{ "empty:1", -EBADMSG, "Koji: build empty-1-1.aaaa says nothing of a module" },
		{ "liar:1", -EBADMSG,
		  "Koji: the document of build liar-1-1.aaaa: the document's version is 2, not 1" },
		{ "forged:1", -EBADMSG,
		  "Koji: the document of build forged-1-1.aaaa: the document's stream is 1, not 1 "
		  "x" },
		{ "nameless:1", -EBADMSG,
		  "Koji: the answer about build nameless-1-1.aaaa has no nvr" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_(module_set_freep) struct module_set *set = NULL;
		struct modules_question question = plain;
		struct error err = { 0 };

		question.flags = FLAG_NO_DEPS;
		CHECK_INT(resolve(koji, cases[i].words, "", question, &set, &err), cases[i].code);
		CHECK_STR(set ? set->source : err.message, cases[i].source);
	}
}

/* Behind Koji MBS is asked for scratch modules only. */
static void test_both(void)
{
	_cleanup_(hub_freep) struct hub *hub = hub_of(&stub);
	_cleanup_(module_supplier_freep) struct module_supplier *koji = koji_of(hub, "mod-top");
	_cleanup_(module_supplier_freep) struct module_supplier *mbs = mbs_of("mbs", 5000);
	_cleanup_(module_wishes_done) struct module_wishes there = { 0 }, lacks = { 0 },
							   trial = { 0 };
	_cleanup_(module_set_freep) struct module_set *set = NULL;
	struct module_supplier *both[] = { koji, mbs };
	struct modules_question question = plain;
	struct error err = { 0 };

	CHECK_INT(parse("web:1", &there), 0);
	CHECK_INT(parse("free:1", &lacks), 0);
	CHECK_INT(parse("trial:1:5:ffff", &trial), 0);
	question.wishes = &lacks;
	CHECK_INT(modules_resolve(&question, both, 2, &set, &err), -ENOENT);
	CHECK_STR(err.message, "Failed to find module free:1 in Koji, tag mod-top.");
	question.wishes = &there;
	question.scratch = &trial;
	CHECK_INT(modules_resolve(&question, both, 2, &set, &err), 0);
	CHECK_STR(set ? set->source : err.message, "web:1:5:aaaa");
	CHECK(set && set->count == 2);
	CHECK_STR(set ? set->module[0]->why : NULL, "scratch");
	CHECK_INT(set ? set->module[0]->supplier : 0, 1);
}

static void test_no_such_tag(void)
{
	_cleanup_(hub_freep) struct hub *hub = hub_of(&stub);
	_cleanup_(module_supplier_freep) struct module_supplier *koji = koji_of(hub, "no-tag");
	struct module_set *set = NULL;
	struct error err = { 0 };

	CHECK_INT(resolve(koji, "web:1", "", plain, &set, &err), -EREMOTEIO);
	CHECK_WORDS(err.message, "Koji hub, listTagged of no-tag: No such tagInfo: 'no-tag'");
}

static void test_recorded(void)
{
	_cleanup_(hub_freep) struct hub *hub = hub_of(&recorded);
	_cleanup_(module_supplier_freep) struct module_supplier *koji = koji_of(hub, "f26-modular");
	_cleanup_(module_set_freep) struct module_set *set = NULL;
	const struct module *module;
	struct error err = { 0 };

	CHECK_INT(resolve(koji, "nginx:1.12", "", plain, &set, &err), 0);
	CHECK_STR(set ? set->source : err.message, "nginx:1.12:20170901123456:c0ffee42");
	if (!set)
		return;
	module = set->module[0];
	CHECK_STR(module->koji_tag, "module-nginx-1.12");
	CHECK_INT(module->document_count, 1);
	CHECK(!module->document[0].arch);
	CHECK_INT(module->document[0].artifacts.count, 3);
	CHECK_STR(module->document[0].artifacts.item[0], "nginx-0:1.12.1-1.module_f2a1b3c4.src");
	module_set_free(steal(set));
	CHECK_INT(resolve(koji, "nginx:1.13", "", plain, &set, &err), -ENOENT);
}

int main(int argc, char **argv)
{
	if (argc != 3)
		return 2;
	replay_start(&stub, argv[1], NULL, NULL);
	replay_start(&recorded, argv[2], NULL, NULL);
	test_mbs();
	test_mbs_module();
	test_mbs_lacking();
	test_mbs_wrong();
	test_mbs_moved();
	test_mbs_once_more();
	test_koji();
	test_both();
	test_no_such_tag();
	test_recorded();
	replay_stop(&recorded); /* it holds the stub's stdin open too */
	replay_stop(&stub);
	text_done(&log_text);
	TEST_END();
}
