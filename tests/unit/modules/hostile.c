/* SPDX-License-Identifier: MIT */
/* tests/unit/modules/hostile.c: documents that nobody means well with: very many, very deep, very
 * large, aliases, circles. Each within bounds of time and memory. */
#include "resolver/modules/modules.h"
#include "tests/unit/test.h"

#include <sys/resource.h>

#ifdef __SANITIZE_ADDRESS__
#define SLOWER 6
#else
#define SLOWER 1
#endif

static unsigned int log_lines;
static char last_log[ERROR_MESSAGE_SIZE];

static void on_log(void *data, const char *text)
{
	(void)data;
	log_lines++;
	(void)snprintf(last_log, sizeof(last_log), "%s", text);
}
static const struct module_log test_log = { on_log, NULL };

/* One document, up to where its dependencies may follow. */
static void begin(struct text *text, const char *name, const char *stream, int version, int context)
{
	(void)text_addf(text,
			"---\ndocument: modulemd\nversion: 2\ndata:\n  name: %s\n  stream: \"%s\"\n"
			"  version: %d\n  context: c%d\n  arch: x86_64\n  summary: s\n"
			"  description: d\n  license:\n    module: [MIT]\n",
			name, stream, version, context);
}

static void needs(struct text *text, const char *format, int number)
{
	(void)text_addf(text, "  dependencies:\n  - requires:\n      ");
	(void)text_addf(text, "m%d", number);
	(void)text_adds(text, format);
	(void)text_adds(text, "\n");
}

static struct module_supplier *supplier_of(const struct text *text, int want, struct error *err)
{
	struct module_text one = { "test", text->data, text->length };
	struct module_supplier *supplier = NULL;

	CHECK(!text->failed);
	log_lines = 0;
	last_log[0] = '\0';
	CHECK_INT(modules_from_texts(&one, 1, test_log, &supplier, err), want);
	return supplier;
}

static int resolve(struct module_supplier *supplier, const char *word, struct module_set **ret,
		   struct error *err)
{
	_cleanup_(strings_done) struct strings words = { 0 };
	_cleanup_(module_wishes_done) struct module_wishes wishes = { 0 };
	struct modules_question question = {
		.wishes = &wishes, .base_lte = -1, .base_gte = -1, .log = test_log
	};

	CHECK_INT(strings_add(&words, word), 0);
	CHECK_INT(modules_parse_source(&words, &wishes, err), 0);
	return modules_resolve(&question, &supplier, 1, ret, err);
}

/* What it has taken since @start, in words of a failure. */
static void check_time(const char *what, int64_t start, int64_t limit_ms)
{
	int64_t took = time_monotonic_ms() - start;

	printf("%s: %" PRId64 " ms\n", what, took);
	CHECK(took < limit_ms * SLOWER);
}

/* 10,000 modules, each of which needs the next; the last one the first. */
static void test_circle(void)
{
	_cleanup_(text_done) struct text text = { 0 }, yaml = { 0 };
	_cleanup_(module_supplier_freep) struct module_supplier *supplier = NULL;
	_cleanup_(module_set_freep) struct module_set *set = NULL;
	struct modules_yaml_options options = { .arch = "x86_64" };
	struct error err = { 0 };
	int64_t start = time_monotonic_ms();

	for (int i = 0; i < 10000; i++) {
		char name[16];

		(void)snprintf(name, sizeof(name), "m%d", i);
		begin(&text, name, "1", 1, 1);
		needs(&text, i % 2 ? ": []" : ": [\"1\", \"2\"]", (i + 1) % 10000);
	}
	supplier = supplier_of(&text, 0, &err);
	check_time("10,000 documents looked through", start, 3000);
	CHECK_INT(resolve(supplier, "m5:1", &set, &err), 0);
	CHECK_INT(set ? set->count : 0, 10000);
	check_time("a circle of 10,000", start, 15000);
	if (SLOWER == 1) {
		CHECK_INT(modules_yaml(set, &supplier, 1, &options, &yaml, &err), 0);
		CHECK(yaml.length > text.length);
		check_time("written", start, 30000);
	}
}

/* 10,000 versions, then as many contexts, of one stream; one more is too many. */
static void test_versions(void)
{
	_cleanup_(text_done) struct text text = { 0 };
	_cleanup_(module_supplier_freep) struct module_supplier *supplier = NULL;
	_cleanup_(module_set_freep) struct module_set *set = NULL;
	struct module_set *none = NULL;
	struct error err = { 0 };
	int64_t start = time_monotonic_ms();

	for (int i = 0; i < 10000; i++)
		begin(&text, "m", "1", i, 1);
	for (int i = 0; i < 10002; i++)
		begin(&text, "n", "1", 1, i);
	supplier = supplier_of(&text, 0, &err);
	CHECK_INT(resolve(supplier, "m:1", &set, &err), 0);
	CHECK_STR(set ? set->source : "", "m:1:9999:c1");
	check_time("10,000 versions", start, 5000);
	CHECK_INT(resolve(supplier, "n:1", &none, &err), -E2BIG);
	CHECK_STR(err.message, "more than 10000 modules");
	check_time("10,002 contexts", start, 15000);
}

/* 500 streams of two modules, each of which rules out one of the other's. */
static void test_ruled_out(void)
{
	_cleanup_(text_done) struct text text = { 0 };
	_cleanup_(module_supplier_freep) struct module_supplier *supplier = NULL;
	_cleanup_(module_set_freep) struct module_set *set = NULL;
	struct error err = { 0 };
	int64_t start = time_monotonic_ms();

	begin(&text, "all", "1", 1, 1);
	(void)text_adds(&text, "  dependencies:\n  - requires:\n      m1: []\n");
	for (int i = 0; i < 500; i++) {
		char stream[16], out[32];

		(void)snprintf(stream, sizeof(stream), "s%d", i);
		(void)snprintf(out, sizeof(out), ": [\"-s%d\"]", (i + 7) % 500);
		begin(&text, "m1", stream, 1, 1);
		needs(&text, out, 2);
		begin(&text, "m2", stream, 1, 1);
		needs(&text, out, 1);
	}
	supplier = supplier_of(&text, 0, &err);
	CHECK_INT(resolve(supplier, "all:1", &set, &err), 0);
	CHECK_INT(set ? set->count : 0, 1001);
	check_time("1,000 that rule out", start, 10000);
}

/* Bombs among good documents: a line in the log each, and an error for who wants them. */
static void test_bombs(void)
{
	_cleanup_(text_done) struct text text = { 0 };
	_cleanup_(module_supplier_freep) struct module_supplier *supplier = NULL;
	_cleanup_(module_set_freep) struct module_set *set = NULL;
	struct module_set *none = NULL;
	struct error err = { 0 };
	int64_t start = time_monotonic_ms();

	begin(&text, "laughs", "1", 1, 1);
	(void)text_adds(&text, "  xmd:\n    a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
	for (int i = 1; i < 10; i++)
		(void)text_addf(&text, "    a%d: &a%d [*a%d, *a%d, *a%d, *a%d, *a%d, *a%d]\n", i, i,
				i - 1, i - 1, i - 1, i - 1, i - 1, i - 1);
	begin(&text, "deep", "1", 1, 1);
	(void)text_adds(&text, "  xmd: ");
	for (int i = 0; i < 100000; i++)
		(void)text_adds(&text, "[");
	(void)text_adds(&text, "\n");
	begin(&text, "stairs", "1", 1, 1);
	(void)text_adds(&text, "  xmd: \n    - ");
	for (int i = 0; i < 100000; i++)
		(void)text_adds(&text, "- ");
	(void)text_adds(&text, "x\n");
	begin(&text, "good", "1", 1, 1);
	(void)text_adds(&text, "...\n");
	for (int i = 0; i < 1000; i++)
		(void)text_addf(&text, "%%TAG !t%d! tag:example.com,2000:\n", i);
	(void)text_adds(&text, "---\na: 1\n---\na: [\n---\n\xff\xfe\n---\n[]\n---\nx\n");
	(void)text_add(&text, "---\n\0\n", 6);
	begin(&text, "last", "1", 1, 1);
	supplier = supplier_of(&text, 0, &err);
	CHECK_INT(log_lines, 6);
	CHECK_INT(resolve(supplier, "good:1 last:1", &set, &err), 0);
	CHECK_INT(resolve(supplier, "laughs:1", &none, &err), -EBADMSG);
	CHECK_WORDS(err.message, "an alias");
	CHECK_INT(resolve(supplier, "deep:1", &none, &err), -EBADMSG);
	CHECK_WORDS(err.message, "nested deeper than 64");
	CHECK_INT(resolve(supplier, "stairs:1", &none, &err), -EBADMSG);
	CHECK_WORDS(err.message, "nested deeper than 64");
	check_time("bombs", start, 1000);
}

/* 600 streams with long names, whose full names nobody could ask for again. */
static void test_long_source(void)
{
	_cleanup_(text_done) struct text text = { 0 };
	_cleanup_(module_supplier_freep) struct module_supplier *supplier = NULL;
	struct module_set *set = NULL;
	struct error err = { 0 };

	begin(&text, "all", "1", 1, 1);
	(void)text_adds(&text, "  dependencies:\n  - requires:\n      m: []\n");
	for (int i = 0; i < 600; i++) {
		char stream[2000];

		(void)snprintf(stream, sizeof(stream), "%01800d", i);
		begin(&text, "m", stream, 1, 1);
	}
	supplier = supplier_of(&text, 0, &err);
	CHECK_INT(resolve(supplier, "all:1", &set, &err), -E2BIG);
	CHECK_STR(err.message, "the names of the 601 modules have more than 1000000 bytes");
}

/* Mappings and lists for which libmodulemd, or we, would take the square of their length. */
static void test_wide(void)
{
	_cleanup_(text_done) struct text text = { 0 };
	_cleanup_(module_supplier_freep) struct module_supplier *supplier = NULL;
	struct module_set *set = NULL;
	struct error err = { 0 };
	int64_t start = time_monotonic_ms();

	begin(&text, "keys", "1", 1, 1);
	(void)text_adds(&text, "  xmd:\n");
	for (int i = 0; i < 300000; i++)
		(void)text_addf(&text, "    k%d: v\n", i);
	begin(&text, "many", "1", 1, 1);
	(void)text_adds(&text, "  xmd:\n");
	for (int i = 0; i < 100000; i++)
		(void)text_addf(&text, "%s      k%d: v\n", i % 5000 ? "" : "    m:\n", i);
	begin(&text, "streams", "1", 1, 1);
	(void)text_adds(&text, "  dependencies:\n  - requires:\n      good: [s");
	for (int i = 0; i < 20000; i++)
		(void)text_addf(&text, ", \"%d\"", i);
	(void)text_adds(&text, "]\n");
	supplier = supplier_of(&text, 0, &err);
	CHECK_INT(resolve(supplier, "keys:1", &set, &err), -EBADMSG);
	CHECK_WORDS(err.message, "more than 10000 keys of one mapping");
	CHECK_INT(resolve(supplier, "many:1", &set, &err), -EBADMSG);
	CHECK_WORDS(err.message, "more than 100000 keys and values");
	CHECK_INT(resolve(supplier, "streams:1", &set, &err), -EBADMSG);
	CHECK_WORDS(err.message, "more than 10000 streams of one module that it needs");
	check_time("wide ones", start, 5000);
}

static void repeat(struct text *text, const char *piece, size_t count)
{
	for (size_t i = 0; i < count; i++)
		(void)text_adds(text, piece);
}

/* Strings of megabytes: of a value they are taken, of a name not, nor a document that is too large.
 */
static void test_giants(void)
{
	_cleanup_(text_done) struct text text = { 0 };
	_cleanup_(module_supplier_freep) struct module_supplier *supplier = NULL;
	_cleanup_(module_set_freep) struct module_set *set = NULL;
	struct module_set *none = NULL;
	struct error err = { 0 };
	int64_t start = time_monotonic_ms();

	begin(&text, "value", "1", 1, 1);
	(void)text_adds(&text, "  xmd:\n    k: ");
	repeat(&text, "0123456789abcdef", 3 << 16);
	(void)text_adds(&text, "\n");
	begin(&text, "whole", "1", 1, 1);
	(void)text_adds(&text, "  xmd:\n    k: ");
	repeat(&text, "0123456789abcdef", 9 << 16);
	(void)text_adds(&text, "\n---\ndocument: modulemd\nversion: 2\ndata:\n  name: ");
	repeat(&text, "n", 5000);
	(void)text_adds(&text, "\n  stream: s\n");
	begin(&text, "artifact", "1", 1, 1);
	(void)text_adds(&text, "  artifacts:\n    rpms:\n    - ");
	repeat(&text, "0123456789abcdef", 5 << 10);
	(void)text_adds(&text, "-0:1-1.x86_64\n");
	supplier = supplier_of(&text, 0, &err);
	CHECK_INT(log_lines, 2);
	CHECK_INT(resolve(supplier, "value:1", &set, &err), 0);
	CHECK_INT(resolve(supplier, "artifact:1", &none, &err), -EBADMSG);
	CHECK_WORDS(err.message, "an artifact of more than 1024 bytes");
	CHECK_INT(resolve(supplier, "whole:1", &none, &err), -ENOENT);
	CHECK_WORDS(last_log, "a name of more than 4096 bytes");
	check_time("giants", start, 5000);
}

/* What is said beside a good module, and is too long with its end, is left out. */
static void test_extras(void)
{
	static const char head[] = "---\ndocument: modulemd-defaults\nversion: 1\ndata:\n"
				   "  module: good\n  stream: ";
	_cleanup_(text_done) struct text text = { 0 }, yaml = { 0 };
	_cleanup_(module_supplier_freep) struct module_supplier *supplier = NULL;
	_cleanup_(module_set_freep) struct module_set *set = NULL;
	struct modules_yaml_options options = { .arch = "x86_64", .log = test_log };
	struct error err = { 0 };

	(void)text_adds(&text, head);
	repeat(&text, "#", MODULES_MAX_DOCUMENT - sizeof(head));
	(void)text_adds(&text, "\n");
	begin(&text, "good", "1", 1, 1);
	supplier = supplier_of(&text, 0, &err);
	CHECK_INT(log_lines, 0);
	CHECK_INT(resolve(supplier, "good:1", &set, &err), 0);
	CHECK_INT(modules_yaml(set, &supplier, 1, &options, &yaml, &err), 0);
	CHECK_WORDS(last_log, "what is said about module good beside it is left out: more than");
	CHECK_WORDS(yaml.data, "name: good");
}

/* More than the limit, and a flood of bad ones, which is not a flood in the log. */
static void test_many(void)
{
	_cleanup_(text_done) struct text text = { 0 };
	_cleanup_(module_supplier_freep) struct module_supplier *supplier = NULL;
	struct error err = { 0 };
	int64_t start = time_monotonic_ms();

	repeat(&text, "---\n- a\n", 20000);
	supplier = supplier_of(&text, 0, &err);
	CHECK_INT(log_lines, 21);
	CHECK_STR(last_log, "test: modules: 19980 more documents are left out");
	repeat(&text, "---\n- a\n", 80001);
	CHECK(!supplier_of(&text, -EFBIG, &err));
	CHECK_STR(err.message, "test: modules: more than 100000 documents");
	check_time("120,000 bad ones", start, 15000);
}

int main(void)
{
	struct rusage usage;

	test_circle();
	test_versions();
	test_ruled_out();
	test_bombs();
	test_giants();
	test_long_source();
	test_wide();
	test_extras();
	test_many();
	CHECK_INT(getrusage(RUSAGE_SELF, &usage), 0);
	printf("memory: %ld MiB\n", usage.ru_maxrss >> 10);
	CHECK(usage.ru_maxrss >> 10 < 400 * SLOWER);
	TEST_END();
}
