/* SPDX-License-Identifier: MIT */
/* tests/fuzz/modules.c: documents of modules as a repository or MBS may have them, and MBS's
 * answers.
 *
 * The first byte says which. Beyond not crashing: pieces are in order and make up the text, an
 * error has words and somebody to blame, what is resolved is sorted and closed under its reasons,
 * and what is written of it can be read again and means the same. */
#include "resolver/fetch/transport.h"
#include "resolver/modules/parts.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(condition)                                                                            \
	do {                                                                                       \
		if (!(condition))                                                                  \
			abort();                                                                   \
	} while (0)

#define WORDS_TRIED 20

static void check_error(int r, const struct error *err)
{
	MUST(r < 0 && err->code == r && err->message[0] && err->blame != BLAME_NONE);
}

/* libmodulemd leaks now and then when it refuses something; that we do not is seen in the unit
 * tests. */
const char *__asan_default_options(void)
{
	return "detect_leaks=0";
}

/* ---- pieces ---- */

static void check_pieces(const char *text, size_t size)
{
	struct piece piece = { text, 0, 1 };
	const char *last = text;

	while (piece_next(&piece, text + size)) {
		_cleanup_(scanned_done) struct scanned about = { 0 };
		struct error err = { 0 };
		int r = document_scan(&piece, &about, &err);

		MUST(piece.length > 0 && piece.bytes >= last);
		MUST(piece.bytes + piece.length <= text + size);
		last = piece.bytes + piece.length;
		if (r < 0)
			check_error(r, &err);
	}
}

/* ---- a request ---- */

static void check_set(const struct module_set *set)
{
	for (size_t i = 0; i < set->count; i++) {
		const struct module *module = set->module[i];

		MUST(i == 0 || strcmp(set->module[i - 1]->nsvc, module->nsvc) < 0);
		MUST(module_set_find(set, module->nsvc) == module);
		MUST(module->document_count > 0 && module->document[0].yaml);
		MUST(strcmp(module->why, "requested") == 0 || module_set_find(set, module->why));
	}
}

static int resolve(struct module_supplier *supplier, struct module_wish *wish, int flags,
		   struct module_set **ret, struct error *err)
{
	struct module_wishes wishes = { wish, 1 };
	struct modules_question question = {
		.wishes = &wishes, .flags = flags, .base_lte = -1, .base_gte = -1
	};

	return modules_resolve(&question, &supplier, 1, ret, err);
}

static struct module_supplier *read_again(const struct text *yaml)
{
	struct module_text text = { "again", yaml->data ? yaml->data : "", yaml->length };
	struct module_supplier *supplier = NULL;

	MUST(modules_from_texts(&text, 1, (struct module_log){ 0 }, &supplier, NULL) == 0);
	return supplier;
}

static void check_written(struct module_supplier *supplier, const struct module_set *set,
			  struct module_wish *wish, int flags)
{
	_cleanup_(module_supplier_freep) struct module_supplier *again = NULL;
	_cleanup_(module_set_freep) struct module_set *same = NULL;
	_cleanup_(text_done) struct text yaml = { 0 };
	struct modules_yaml_options options = { 0 };
	struct error err = { 0 };
	int r = modules_yaml(set, &supplier, 1, &options, &yaml, &err);

	if (r < 0) {
		check_error(r, &err);
		return;
	}
	again = read_again(&yaml);
	MUST(resolve(again, wish, flags, &same, &err) == 0);
	MUST(strcmp(same->source, set->source) == 0);
}

static void check_wish(struct module_supplier *supplier, const struct module_word *word, int flags)
{
	char text[] = "wish";
	struct module_word reading = *word;
	struct module_wish wish = { .text = text, .reading = &reading, .reading_count = 1 };
	_cleanup_(module_set_freep) struct module_set *set = NULL;
	struct error err = { 0 };
	int r = resolve(supplier, &wish, flags, &set, &err);

	if (r < 0) {
		check_error(r, &err);
		MUST(!set);
		return;
	}
	check_set(set);
	check_written(supplier, set, &wish, flags);
}

/* Each stream that the text speaks of. */
static void check_streams(struct module_supplier *supplier, const char *text, size_t size)
{
	struct piece piece = { text, 0, 1 };
	unsigned int tried = 0;

	while (piece_next(&piece, text + size) && tried < WORDS_TRIED) {
		_cleanup_(scanned_done) struct scanned about = { 0 };
		struct error err = { 0 };
		struct module_word word = { 0 };

		if (document_scan(&piece, &about, &err) < 0 || !about.name || !about.stream)
			continue;
		word.name = about.name;
		word.stream = about.stream;
		check_wish(supplier, &word, tried % 3 == 2 ? FLAG_NO_DEPS : 0);
		tried++;
	}
}

static void check_texts(const char *bytes, size_t size)
{
	_cleanup_(module_supplier_freep) struct module_supplier *supplier = NULL;
	struct module_text text = { "fuzz", bytes, size };
	struct error err = { 0 };
	int r = modules_from_texts(&text, 1, (struct module_log){ 0 }, &supplier, &err);

	if (r < 0)
		check_error(r, &err);
	else
		check_streams(supplier, bytes, size);
}

/* ---- MBS ---- */

struct canned {
	struct transport transport;
	const char *bytes;
	size_t size;
};

static int canned_transfer(struct transport *transport, struct transfer *transfer,
			   struct error *err)
{
	struct canned *canned = (struct canned *)transport;

	return transfer->sink.take(transfer->sink.data, canned->bytes, canned->size, err);
}

static void check_mbs(const char *bytes, size_t size)
{
	static const struct transport_ops ops = { .transfer = canned_transfer };
	struct canned canned = { { &ops }, bytes, size };
	struct module_mbs settings = { .url = "http://mbs.example.com",
				       .transport = &canned.transport };
	_cleanup_(module_supplier_freep) struct module_supplier *supplier = NULL;
	static const struct module_word words[] = { { "a", "1" }, { "a", "1", "2", "c" } };

	MUST(modules_from_mbs(&settings, &supplier, NULL) == 0);
	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		struct module_query query = {
			.word = words[i], .base_lte = -1, .base_gte = -1, .done = i > 0
		};
		_cleanup_(module_list_done) struct module_list list = { 0 };
		struct error err = { 0 };
		int r = supplier->ops->find(supplier, &query, &list, &err);

		if (r < 0)
			check_error(r, &err);
		for (size_t j = 0; r == 0 && j < list.count; j++)
			MUST(strcmp(list.item[j]->name, "a") == 0 &&
			     strcmp(list.item[j]->stream, "1") == 0);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(freep) char *bytes = NULL;

	if (size == 0)
		return 0;
	bytes = malloc(size);
	MUST(bytes);
	memcpy(bytes, data + 1, size - 1);
	if (data[0] == 'm') {
		check_mbs(bytes, size - 1);
	} else {
		check_pieces(bytes, size - 1);
		check_texts(bytes, size - 1);
	}
	return 0;
}
