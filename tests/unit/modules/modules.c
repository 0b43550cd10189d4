/* SPDX-License-Identifier: MIT */
/* tests/unit/modules/modules.c: words, what they mean among documents, and what is written of it.
 */
#include "resolver/modules/parts.h"
#include "tests/unit/test.h"

#include <fcntl.h>

static struct text log_text;

static void on_log(void *data, const char *text)
{
	(void)data;
	(void)text_addf(&log_text, "%s\n", text);
}
static const struct module_log test_log = { on_log, NULL };

/* ---- words ---- */

static int parse(const char *words, struct module_wishes *ret, struct error *err)
{
	_cleanup_(strings_done) struct strings list = { 0 };

	CHECK_INT(strings_add(&list, words), 0);
	return modules_parse_source(&list, ret, err);
}

/* "n:s:v:c" of each reading, joined by blanks */
static char *readings(const struct module_wish *wish)
{
	struct text text = { 0 };
	char words[200];

	for (size_t i = 0; i < wish->reading_count; i++)
		(void)text_addf(&text, "%s%s", i ? " " : "",
				module_word_print(&wish->reading[i], words, sizeof(words)));
	return text_steal(&text);
}

static void test_words(void)
{
	static const char *const cases[][2] = {
		{ "a:b", "a:b" },
		{ "a:b:1", "a:b:1" },
		{ "a:b:18446744073709551615:c", "a:b:18446744073709551615:c" },
		{ "perl-DBI:1.6-x", "perl-DBI:1.6-x" },
		{ "nodejs-10", "nodejs:10" },
		{ "nodejs-10-2018", "nodejs:10-2018 nodejs:10:2018 nodejs-10:2018" },
		{ "a-b-c", "a:b-c a-b:c" },
	};
	static const char *const bad[] = {
		"a",
		":b",
		"a:",
		"a::1",
		"a:b:",
		"a:b:c",
		"a:b:1:",
		"a:b:-1",
		"a:b:1:c:",
		"a:b:1:c:d",
		"-",
		"a-",
		"-a",
		"a:*",
		"a[b]:1",
		"a:b:18446744073709551616",
		"a/b:1",
		"a:b:1:?",
		"a-a-a-a-a-a-a-a-a-a-a-a-a-a-a-a-a-a-a-a",
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_(module_wishes_done) struct module_wishes wishes = { 0 };
		_cleanup_(freep) char *got = NULL;
		struct error err = { 0 };

		CHECK_INT(parse(cases[i][0], &wishes, &err), 0);
		CHECK_INT(wishes.count, 1);
		got = wishes.count ? readings(&wishes.wish[0]) : NULL;
		CHECK_STR(got, cases[i][1]);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		_cleanup_(module_wishes_done) struct module_wishes wishes = { 0 };
		struct error err = { 0 };

		if (parse(bad[i], &wishes, &err) != -EINVAL)
			CHECK_STR(bad[i], "is refused");
		CHECK_INT(err.blame, BLAME_REQUEST);
		CHECK_STR(err.field, "source.source");
	}
}

static void test_many_words(void)
{
	_cleanup_(module_wishes_done) struct module_wishes wishes = { 0 };
	struct error err = { 0 };

	CHECK_INT(parse(" a:1\tb:2\n a:1  c-3 ", &wishes, &err), 0);
	CHECK_INT(wishes.count, 3);
	CHECK_STR(wishes.wish[2].text, "c-3");
}

static void test_base_versions(void)
{
	CHECK_INT(module_base_version("el8.1.0"), 80100);
	CHECK_INT(module_base_version("f29"), 290000);
	CHECK_INT(module_base_version("el8"), 80000);
	CHECK_INT(module_base_version("el9.10.3.z"), 91003);
	CHECK_INT(module_base_version("eln"), -1);
	CHECK_INT(module_base_version("el2018"), -1);
}

/* ---- pieces ---- */

static void test_pieces(void)
{
	static const char text[] =
		"# before\n%YAML 1.1\n---\na: 1\n...\n# between\n...\n\n---\nb: |\n"
		"  ---\n  text\n--- \nc: 3\n---\n---\nd: 4";
	static const unsigned int lines[] = { 1, 8, 13, 15, 16 };
	struct piece piece = { text, 0, 1 };
	size_t count = 0, total = 0;

	while (piece_next(&piece, text + sizeof(text) - 1)) {
		CHECK(count < ARRAY_SIZE(lines));
		if (count < ARRAY_SIZE(lines))
			CHECK_INT(piece.line, lines[count]);
		total += piece.length;
		count++;
	}
	CHECK_INT(count, ARRAY_SIZE(lines));
	CHECK(total <= sizeof(text) - 1);
	piece = (struct piece){ text, 0, 1 };
	CHECK(!piece_next(&piece, text));
	piece = (struct piece){ "\n# nothing\n...\n", 0, 1 };
	CHECK(!piece_next(&piece, piece.bytes + strlen(piece.bytes)));
}

/* ---- what a request means ---- */

static struct module_supplier *small;

static void open_small(const char *root)
{
	_cleanup_(freep) char *bytes = NULL;
	struct module_text text = { .label = "small" };
	struct error err = { 0 };
	char path[4096];

	(void)snprintf(path, sizeof(path), "%s/tests/data/modules/small.yaml", root);
	if (file_read(AT_FDCWD, path, 1 << 20, &bytes, &text.length) < 0) {
		perror(path);
		exit(1);
	}
	text.bytes = bytes;
	CHECK_INT(modules_from_texts(&text, 1, test_log, &small, &err), 0);
	CHECK_WORDS(log_text.data, "small: modules: document 35 at line ");
	CHECK_WORDS(log_text.data, "is left out: it is of a kind that is not known here\n");
	CHECK_WORDS(log_text.data, "is left out: its line 3: not YAML");
}

static int resolve(const char *words, struct modules_question question, struct module_set **ret,
		   struct error *err)
{
	_cleanup_(module_wishes_done) struct module_wishes wishes = { 0 };
	int r = parse(words, &wishes, err);

	question.wishes = &wishes;
	question.log = test_log;
	text_clear(&log_text);
	return r < 0 ? r : modules_resolve(&question, &small, 1, ret, err);
}

static const struct modules_question plain = { .base_lte = -1, .base_gte = -1 };

static void test_sources(void)
{
	static const struct {
		const char *words, *source;
		int flags;
	} cases[] = {
		{ "app:1", "app:1:20:aaaa app:1:20:bbbb lib:1:5:cccc lib:2:5:cccc" },
		{ "app:1", "app:1:20:aaaa app:1:20:bbbb", FLAG_NO_DEPS },
		{ "app:1:10", "app:1:10:aaaa lib:1:5:cccc" },
		{ "app:1:20:bbbb", "app:1:20:bbbb lib:2:5:cccc" },
		{ "app:1:20:bbbb app:1:20 app:2", "app:1:20:aaaa app:1:20:bbbb app:2:15:aaaa "
						  "lib:1:5:cccc lib:2:5:cccc" },
		{ "lib:3:4 any:1", "any:1:1:dddd lib:1:5:cccc lib:2:5:cccc lib:3:4:cccc" },
		{ "not:1", "lib:2:5:cccc lib:3:5:cccc not:1:1:dddd" },
		{ "not-1 nor:1", "any:1:1:dddd lib:1:5:cccc lib:2:5:cccc lib:3:5:cccc nor:1:1:dddd "
				 "not:1:1:dddd" },
		{ "loop:1", "loop:1:1:eeee pool:1:1:eeee self:1:1:ffff" },
		{ "self:1", "self:1:1:ffff" },
		{ "sets:1", "lib:3:5:cccc sets:1:1:abcd" },
		{ "dash-one-3", "dash:one-3:7:abcd" },
		{ "app-1-10", "app:1:10:aaaa lib:1:5:cccc" },
		{ "broken:1:6", "broken:1:6:abcd" },
		{ "both:1", "both:1:3:abcd" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_(module_set_freep) struct module_set *set = NULL;
		struct modules_question question = plain;
		struct error err = { 0 };

		question.flags = cases[i].flags;
		CHECK_INT(resolve(cases[i].words, question, &set, &err), 0);
		CHECK_STR(set ? set->source : err.message, cases[i].source);
	}
}

static void test_refused(void)
{
	static const struct {
		const char *words;
		int code;
		enum blame blame;
		const char *message;
	} cases[] = {
		{ "nothing:1", -ENOENT, BLAME_REQUEST,
		  "Failed to find module nothing:1 in small." },
		{ "lib:7", -ENOENT, BLAME_REQUEST,
		  "Failed to find module lib:7 in small; its streams there: 1, 2, 3." },
		{ "lib:1:6", -ENOENT, BLAME_REQUEST,
		  "Failed to find module lib:1:6 in small; its versions there: 5." },
		{ "no-such-word", -ENOENT, BLAME_REQUEST, "Failed to find module no-such-word in" },
		{ "far:1", -ENOENT, BLAME_SOURCE,
		  "Failed to find module gone:1 in small. Of 1 documents there that cannot be read "
		  "the first is small: document 36 at line 1054: its line 3: not YAML: did not "
		  "find expected ',' or ']'. It is needed by lost:1:1:abcd." },
		{ "none:1", -ENOENT, BLAME_SOURCE, "It is needed by none:1:1:dddd." },
		{ "app:1 app:1:10", -EINVAL, BLAME_REQUEST,
		  "app:1:10:aaaa conflicts with app:1:20:aaaa" },
		{ "dash-name-2.0", -EINVAL, BLAME_REQUEST,
		  "dash-name-2.0 can be read as any of dash:name-2.0, dash-name:2.0: write it" },
		{ "platform:f29", -EINVAL, BLAME_REQUEST,
		  "ODCS currently cannot create compose with base modules, but platform:f29 was "
		  "requested." },
		{ "broken:1", -EBADMSG, BLAME_SOURCE, "broken:1:7: its line 11: an alias" },
		{ "refused:1", -EBADMSG, BLAME_SOURCE,
		  "refused:1:2: libmodulemd: Module license is missing" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_(module_set_freep) struct module_set *set = NULL;
		struct error err = { 0 };

		CHECK_INT(resolve(cases[i].words, plain, &set, &err), cases[i].code);
		CHECK(!set);
		CHECK_INT(err.blame, cases[i].blame);
		CHECK_WORDS(err.message, cases[i].message);
	}
}

static void test_reasons(void)
{
	_cleanup_(module_set_freep) struct module_set *set = NULL;
	const struct module *module;
	struct error err = { 0 };

	CHECK_INT(resolve("app-1 old:1", plain, &set, &err), 0);
	module = module_set_find(set, "app:1:20:bbbb");
	CHECK_STR(module->why, "requested");
	CHECK_STR(module->wish, "app-1");
	CHECK_STR(module->base_stream, "f29");
	CHECK_INT(module->base_version, 290000);
	module = module_set_find(set, "lib:1:5:cccc");
	CHECK_STR(module->why, "app:1:20:aaaa");
	CHECK(!module->wish);
	module = module_set_find(set, "old:1:3:abcd");
	CHECK(module && module->requirement_count == 2);
	CHECK(!module_set_find(set, "old:1:3"));
	CHECK_WORDS(log_text.data, "Failed to find module lib:9");
}

static void test_base_limits(void)
{
	static const struct {
		const char *name, *stream;
		int64_t lte, gte;
		const char *source, *word;
	} cases[] = {
		{ "runtime", "r7", 70000, -1, "kept:1:1:abcd", "kept:1" },
		{ NULL, "f29", -1, -1, "kept:1:1:abcd", "kept:1" },
		{ "runtime", "f29", -1, -1, NULL, "kept:1" },
		{ "platform", "f29", -1, -1, "app:2:14:aaaa" },
		{ "platform", "el8.1.0", -1, -1, "app:2:15:aaaa" },
		{ "platform", NULL, 80200, 80000, "app:2:15:aaaa" },
		{ NULL, NULL, -1, 80101, "app:2:14:aaaa" },
		{ "platform", NULL, 80000, 70000, NULL },
		{ "runtime", NULL, -1, -1, NULL },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_(module_set_freep) struct module_set *set = NULL;
		struct modules_question question = {
			.base_name = cases[i].name,
			.base_stream = cases[i].stream,
			.base_lte = cases[i].lte,
			.base_gte = cases[i].gte,
		};
		struct error err = { 0 };

		CHECK_INT(resolve(cases[i].word ? cases[i].word : "app:2", question, &set, &err),
			  cases[i].source ? 0 : -ENOENT);
		CHECK_STR(set ? set->source : NULL, cases[i].source);
		if (!cases[i].source)
			CHECK_WORDS(err.message, ", built for the base module that is wanted, in "
						 "small; its versions there: ");
	}
}

static void test_base_modules(void)
{
	_cleanup_(strings_done) struct strings bases = { 0 };
	_cleanup_(module_set_freep) struct module_set *set = NULL;
	struct modules_question question = plain;
	struct error err = { 0 };

	CHECK(strings_add(&bases, "lib") == 0 && strings_add(&bases, "platform") == 0);
	question.base_modules = &bases;
	CHECK_INT(resolve("app:1", question, &set, &err), 0);
	CHECK_STR(set->source, "app:1:20:aaaa app:1:20:bbbb");
}

/* The first supplier that has something answers; documents of one module out of two texts. */
static void test_two_places(void)
{
	static const char doc[] = "---\ndocument: modulemd\nversion: 2\ndata:\n  name: lib\n"
				  "  stream: \"%s\"\n  version: %d\n  context: cccc\n  arch: %s\n"
				  "  summary: s\n  description: d\n  license:\n    module: [MIT]\n";
	_cleanup_(module_supplier_freep) struct module_supplier *own = NULL;
	_cleanup_(module_wishes_done) struct module_wishes wishes = { 0 };
	_cleanup_(module_set_freep) struct module_set *set = NULL;
	struct module_supplier *both[2];
	struct modules_question question = plain;
	char bytes[2][1000];
	struct module_text text[2] = { { "one", bytes[0], 0 }, { "two", bytes[1], 0 } };
	struct error err = { 0 };
	const struct module *module;

	text[0].length = (size_t)snprintf(bytes[0], 1000, doc, "1", 1, "x86_64");
	text[1].length = (size_t)snprintf(bytes[1], 1000, doc, "1", 1, "aarch64");
	text[1].length += (size_t)snprintf(bytes[1] + text[1].length, 1000 - text[1].length, doc,
					   "1", 1, "x86_64");
	CHECK_INT(modules_from_texts(text, 2, test_log, &own, &err), 0);
	both[0] = own;
	both[1] = small;
	CHECK_INT(parse("lib:1 lib:2", &wishes, &err), 0);
	question.wishes = &wishes;
	CHECK_INT(modules_resolve(&question, both, 2, &set, &err), 0);
	CHECK_STR(set ? set->source : err.message, "lib:1:1:cccc lib:2:5:cccc");
	module = module_set_find(set, "lib:1:1:cccc");
	CHECK_INT(module->supplier, 0);
	CHECK_INT(module->document_count, 2);
	CHECK_STR(module->document[0].arch, "aarch64");
	CHECK_STR(module->document[0].origin, "two");
	CHECK_STR(module->document[1].origin, "one");
	CHECK_INT(module_set_find(set, "lib:2:5:cccc")->supplier, 1);
}

/* What no word of a request could name is a bad document: nobody gets it, and it says nothing in
 * the log but that. */
static void test_bad_names(void)
{
	static const struct {
		const char *stream, *context, *needs, *words, *message;
	} cases[] = {
		{ "1 good:1", "c", "good", "bad:1", "Failed to find module bad:1 in test" },
		{ "a\\nb", "c", "good", "user:1", "Failed to find module bad in test" },
		{ "1:5:x", "c", "good", "bad:1:5:x", "Failed to find module bad:1:5:x in test" },
		{ "../../x", "c", "good", "user:1", "Failed to find module bad in test" },
		{ "\\x9b31m", "c", "good", "user:1", "Failed to find module bad in test" },
		{ "", "c", "good", "user:1", "Failed to find module bad in test" },
		{ "1", "c\\nforged", "good", "bad:1",
		  "test: modules: document 1 at line 1, bad:1:1: its context has characters" },
		{ "1", "c c", "good", "user:1",
		  "test: modules: document 1 at line 1, bad:1:1: its context has characters" },
		{ "1", "c", "x\\ny", "bad:1",
		  "test: modules: document 1 at line 1, bad:1:1: a module that it needs has" },
	};
	static const char doc[] = "---\ndocument: modulemd\nversion: 2\ndata:\n  name: %s\n"
				  "  stream: \"%s\"\n  version: 1\n  context: \"%s\"\n"
				  "  summary: s\n  description: d\n  license:\n    module: [MIT]\n"
				  "  dependencies:\n  - requires:\n      \"%s\": []\n";

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_(module_supplier_freep) struct module_supplier *own = NULL;
		_cleanup_(module_wishes_done) struct module_wishes wishes = { 0 };
		_cleanup_(module_wishes_done) struct module_wishes good = { 0 };
		_cleanup_(module_set_freep) struct module_set *set = NULL;
		struct modules_question question = plain;
		char bytes[2000];
		struct module_text text = { "test", bytes, 0 };
		struct error err = { 0 };
		int length;

		length = snprintf(bytes, sizeof(bytes), doc, "bad", cases[i].stream,
				  cases[i].context, cases[i].needs);
		length += snprintf(bytes + length, sizeof(bytes) - (size_t)length, doc, "user", "1",
				   "u", "bad");
		length += snprintf(bytes + length, sizeof(bytes) - (size_t)length, doc, "good", "1",
				   "g", "good");
		text.length = (size_t)length;
		text_clear(&log_text);
		CHECK_INT(modules_from_texts(&text, 1, test_log, &own, &err), 0);
		if (strcmp(cases[i].stream, "1") != 0)
			CHECK_WORDS(log_text.data, "test: modules: document 1 at line 1 is left "
						   "out: its name or stream has characters");
		CHECK_INT(parse(cases[i].words, &wishes, &err), 0);
		question.wishes = &wishes;
		CHECK(modules_resolve(&question, &own, 1, &set, &err) < 0);
		CHECK_WORDS(err.message, cases[i].message);
		CHECK_INT(strcspn(err.message, "\n\x9b"), strlen(err.message));
		CHECK_INT(parse("good:1", &good, &err), 0);
		question.wishes = &good;
		CHECK_INT(modules_resolve(&question, &own, 1, &set, &err), 0);
		CHECK_STR(set ? set->source : NULL, "good:1:1:g");
	}
}

/* Who asks for what cannot be had learns which document it is. */
static void test_bad_documents(void)
{
	static const char bytes[] =
		"---\ndocument: modulemd\nversion: 2\ndata:\n  name: bad\n  stream: \"1\"\n"
		"  version: 18446744073709551616\n  context: c\n  summary: s\n"
		"---\ndocument: modulemd\nversion: 2\ndata:\n  name: \xff\n  stream: \"1\"\n"
		"---\ndocument: modulemd\nversion: 2\ndata:\n  name: good\n  stream: \"1\"\n"
		"  module: other\n  version: 1\n  context: c\n  summary: s\n  description: d\n"
		"  license:\n    module: [MIT]\n";
	static const char *const cases[][2] = {
		{ "bad:1", "test: modules: document 1 at line 1, bad:1:0: its version is not a" },
		{ "lost:1", "Of 1 documents there that cannot be read the first is test: document "
			    "2 at line 10: its line 1: not YAML" },
		{ "good:1", "" },
	};
	_cleanup_(module_supplier_freep) struct module_supplier *own = NULL;
	const struct module_text text = { "test", bytes, sizeof(bytes) - 1 };
	struct error err = { 0 };

	CHECK_INT(modules_from_texts(&text, 1, test_log, &own, &err), 0);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_(module_wishes_done) struct module_wishes wishes = { 0 };
		_cleanup_(module_set_freep) struct module_set *set = NULL;
		struct modules_question question = plain;

		CHECK_INT(parse(cases[i][0], &wishes, &err), 0);
		question.wishes = &wishes;
		if (modules_resolve(&question, &own, 1, &set, &err) == 0)
			CHECK_STR(set->source, "good:1:1:c");
		else
			CHECK_WORDS(err.message, cases[i][1]);
		CHECK((set != NULL) == (i == 2));
	}
}

static void test_nowhere(void)
{
	_cleanup_(module_wishes_done) struct module_wishes wishes = { 0 };
	struct modules_question question = plain;
	struct module_set *set = NULL;
	struct error err = { 0 };

	CHECK_INT(parse("lib:1", &wishes, &err), 0);
	question.wishes = &wishes;
	CHECK_INT(modules_resolve(&question, NULL, 0, &set, &err), -ENOENT);
	CHECK_WORDS(err.message, "no place is configured where modules come from");
	question.scratch = &wishes;
	CHECK_INT(modules_resolve(&question, &small, 1, &set, &err), -ENOENT);
	CHECK_WORDS(err.message, "Failed to find scratch module lib:1: no place is configured");
	CHECK_STR(err.field, "source.scratch_modules");
}

/* ---- metadata ---- */

static bool only_binaries(void *data, const struct module *module, const char *nevra)
{
	(void)data;
	(void)module;
	return !strstr(nevra, ".src");
}

static int add_one(void *data, const struct module *module, struct strings *nevras)
{
	char nevra[200];

	(void)data;
	(void)snprintf(nevra, sizeof(nevra), "%s-more-0:1-1.noarch", module->name);
	return strings_add(nevras, nevra);
}

static void test_yaml(void)
{
	_cleanup_(module_set_freep) struct module_set *set = NULL;
	_cleanup_(text_done) struct text first = { 0 }, second = { 0 };
	struct modules_yaml_options options = {
		.arch = "x86_64", .artifact = only_binaries, .add = add_one, .log = test_log
	};
	struct error err = { 0 };

	CHECK_INT(resolve("app:1:20 kept:1 both:1", plain, &set, &err), 0);
	CHECK_INT(modules_yaml(set, &small, 1, &options, &first, &err), 0);
	CHECK_INT(modules_yaml(set, &small, 1, &options, &second, &err), 0);
	CHECK_STR(first.data, second.data);
	CHECK_WORDS(first.data, "eol_date: 2030-01-01T00:00Z");
	CHECK_WORDS(first.data, "summary: Modul app");
	CHECK_WORDS(first.data, "    - app-0:1-1.bbbb.x86_64\n    - app-more-0:1-1.noarch\n");
	CHECK_WORDS(first.data, "demodularized:\n    rpms:\n    - another\n    - gone-package\n");
	CHECK(!strstr(first.data, ".src"));
	CHECK(!strstr(first.data, "aarch64"));
	CHECK(!strstr(first.data, "It is over."));
	CHECK(!strstr(first.data, "unknown"));
	text_clear(&second);
	options = (struct modules_yaml_options){ .arch = "s390x" };
	CHECK_INT(modules_yaml(set, &small, 1, &options, &second, &err), 0);
	CHECK_INT(second.length, 0);
}

int main(int argc, char **argv)
{
	if (argc != 2)
		return 2;
	test_words();
	test_many_words();
	test_base_versions();
	test_pieces();
	open_small(argv[1]);
	test_sources();
	test_refused();
	test_reasons();
	test_base_limits();
	test_base_modules();
	test_two_places();
	test_bad_names();
	test_bad_documents();
	test_nowhere();
	test_yaml();
	module_supplier_free(small);
	text_done(&log_text);
	TEST_END();
}
