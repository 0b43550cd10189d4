/* SPDX-License-Identifier: MIT */
/* resolver/modules/texts.c: modules out of what repositories say: texts of documents, looked
 * through once.
 *
 * Entries are sorted by name, stream, version (newest first), context, arch and place. Those that
 * are not about a stream stand in a list of their own, by name and place. */
#include "resolver/modules/parts.h"

#define LOG_LINES_MAX 20 /* about documents that are left out */
#define OTHERS_SHOWN 10	 /* streams or versions that there are */

/**
 * struct entry - a document
 * @fault: why it cannot be had, or NULL */
struct entry {
	struct scanned about;
	struct piece piece;
	uint64_t version;
	uint32_t text, number;
	char *fault;
};

struct entries {
	struct entry *item;
	size_t count, room;
};

/**
 * struct texts - all of them
 * @left_out: of the text that is looked through
 * @bad: of all texts, left out and not readable; @first_bad: where the first is, and why */
struct texts {
	struct module_supplier supplier;
	struct module_log log;
	struct strings labels;
	char **text;
	struct entries streams, extras;
	uint64_t left_out, bad;
	char *first_bad;
};

static void entry_done(struct entry *entry)
{
	scanned_done(&entry->about);
	free(entry->fault);
}

static void entries_done(struct entries *entries)
{
	for (size_t i = 0; i < entries->count; i++)
		entry_done(&entries->item[i]);
	free(entries->item);
}

static void texts_free(struct module_supplier *supplier)
{
	struct texts *texts = (struct texts *)supplier;

	for (size_t i = 0; i < texts->labels.count; i++)
		free(texts->text[i]);
	free(texts->text);
	free(texts->first_bad);
	strings_done(&texts->labels);
	entries_done(&texts->streams);
	entries_done(&texts->extras);
	free(texts);
}

/* ---- order ---- */

static int compare_text(const char *a, const char *b)
{
	return strcmp(a ? a : "", b ? b : "");
}

static int compare_place(const struct entry *a, const struct entry *b)
{
	if (a->text != b->text)
		return a->text < b->text ? -1 : 1;
	return a->number < b->number ? -1 : a->number > b->number;
}

static int compare_streams(const void *left, const void *right)
{
	const struct entry *a = left, *b = right;
	int order = strcmp(a->about.name, b->about.name);

	if (order == 0)
		order = strcmp(a->about.stream, b->about.stream);
	if (order == 0 && a->version != b->version)
		order = a->version > b->version ? -1 : 1;
	if (order == 0)
		order = compare_text(a->about.context, b->about.context);
	if (order == 0)
		order = compare_text(a->about.arch, b->about.arch);
	return order ? order : compare_place(a, b);
}

static int compare_extras(const void *left, const void *right)
{
	const struct entry *a = left, *b = right;
	int order = strcmp(a->about.name, b->about.name);

	return order ? order : compare_place(a, b);
}

/* ---- looking through ---- */

static void leave_out(struct texts *texts, const struct entry *entry, const char *why)
{
	if (++texts->left_out <= LOG_LINES_MAX)
		module_say(&texts->log, "%s: modules: document %u at line %u is left out: %s",
			   texts->labels.item[entry->text], entry->number, entry->piece.line, why);
}

/* It may be the one that somebody looks for in vain. */
static int note_bad(struct texts *texts, const struct entry *entry, const char *why,
		    struct error *err)
{
	if (texts->bad++ > 0)
		return 0;
	if (asprintf(&texts->first_bad, "%s: document %u at line %u: %s",
		     texts->labels.item[entry->text], entry->number, entry->piece.line, why) >= 0)
		return 0;
	texts->first_bad = NULL;
	return error_oom(err);
}

static int put_entry(struct entries *entries, struct entry *entry, struct error *err)
{
	if (entries->count == entries->room) {
		size_t room = entries->room ? entries->room * 2 : 64;
		struct entry *item = reallocarray(entries->item, room, sizeof(*item));

		if (!item)
			return error_oom(err);
		entries->item = item;
		entries->room = room;
	}
	entries->item[entries->count++] = *entry;
	*entry = (struct entry){ 0 };
	return 0;
}

static bool is_part(const char *text)
{
	return *text && module_is_part(text);
}

/* Why nobody can ask for it, or NULL. */
static const char *useless(const struct entry *entry, const char *fault)
{
	const struct scanned *about = &entry->about;
	bool stream = about->kind == DOCUMENT_STREAM && about->stream;

	if (about->kind == DOCUMENT_OTHER)
		return fault ? fault : "it is of a kind that is not known here";
	if ((about->name && !is_part(about->name)) || (stream && !is_part(about->stream)))
		return fault ? fault : "its name or stream has characters that none may have";
	if (about->kind != DOCUMENT_STREAM)
		return fault || about->name ? fault : "it does not say which module it is about";
	if (!about->name || !about->stream)
		return fault ? fault : "it does not say module and stream";
	return fault && !about->version ? fault : NULL;
}

/* What else a document's full name is made of; what is wrong is not kept. */
static int check_rest(struct scanned *about, struct error *err)
{
	bool context = about->context && !module_is_part(about->context);
	uint64_t version;

	if (about->version && module_version(about->version, &version) < 0)
		return error_set(err, -EBADMSG, BLAME_SOURCE, NULL,
				 "its version is not a whole number");

	if (!context && (!about->arch || module_is_part(about->arch)))
		return 0;
	freep(context ? &about->context : &about->arch);
	*(context ? &about->context : &about->arch) = NULL;
	return error_set(err, -EBADMSG, BLAME_SOURCE, NULL,
			 "its %s has characters that none may have", context ? "context" : "arch");
}

static int look_at(struct texts *texts, struct entry *entry, struct error *err)
{
	struct error fault = { 0 };
	int r = document_scan(&entry->piece, &entry->about, &fault);
	const char *why;

	if (r < 0 && r != -EBADMSG)
		return error_oom(err);
	why = useless(entry, r < 0 ? fault.message : NULL);
	if (why) {
		leave_out(texts, entry, why);
		return r < 0 || entry->about.kind == DOCUMENT_STREAM
			       ? note_bad(texts, entry, why, err)
			       : 0;
	}
	if (entry->about.version)
		(void)module_version(entry->about.version, &entry->version);
	r = r < 0 ? r : check_rest(&entry->about, &fault);
	if (r < 0) {
		module_clean(fault.message);
		entry->fault = strdup(fault.message);
		if (!entry->fault)
			return error_oom(err);
	}
	return put_entry(entry->about.kind == DOCUMENT_STREAM ? &texts->streams : &texts->extras,
			 entry, err);
}

static int look_through(struct texts *texts, uint32_t number, size_t length, struct error *err)
{
	struct piece piece = { texts->text[number], 0, 1 };
	const char *end = texts->text[number] + length;
	uint32_t count = 0;
	int r = 0;

	texts->left_out = 0;
	while (r == 0 && piece_next(&piece, end)) {
		struct entry entry = { .piece = piece, .text = number, .number = ++count };

		if (count > MODULES_MAX_DOCUMENTS)
			return error_set(err, -EFBIG, BLAME_SOURCE, "modules.yaml",
					 "%s: modules: more than %u documents",
					 texts->labels.item[number], MODULES_MAX_DOCUMENTS);
		r = look_at(texts, &entry, err);
		entry_done(&entry);
	}
	if (texts->left_out > LOG_LINES_MAX)
		module_say(&texts->log, "%s: modules: %" PRIu64 " more documents are left out",
			   texts->labels.item[number], texts->left_out - LOG_LINES_MAX);
	return r;
}

/* ---- finding ---- */

/* The first entry that does not come before name and stream (NULL: the first stream). */
static size_t first_of(const struct entries *entries, const char *name, const char *stream)
{
	size_t low = 0, high = entries->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct scanned *about = &entries->item[middle].about;
		int order = strcmp(about->name, name);

		if (order == 0 && stream)
			order = strcmp(about->stream, stream);
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool same_stream(const struct entry *a, const struct entry *b)
{
	return strcmp(a->about.name, b->about.name) == 0 &&
	       strcmp(a->about.stream, b->about.stream) == 0;
}

static bool same_module(const struct entry *a, const struct entry *b)
{
	return same_stream(a, b) && a->version == b->version &&
	       compare_text(a->about.context, b->about.context) == 0;
}

static int read_entry(struct texts *texts, const struct entry *entry,
		      const struct module_query *query, struct module **ret, struct error *err)
{
	struct module_word expected = { .name = entry->about.name, .stream = entry->about.stream };
	struct module_reading how = { true, texts->labels.item[entry->text], query->base_name };
	int r = entry->fault ? error_set(err, -EBADMSG, BLAME_SOURCE, NULL, "%s", entry->fault)
			     : document_read(&entry->piece, &expected, &how, ret, err);

	if (r == -EBADMSG)
		return error_prefix(err, "%s: modules: document %u at line %u, %s:%s:%" PRIu64,
				    how.origin, entry->number, entry->piece.line, entry->about.name,
				    entry->about.stream, entry->version);
	return r;
}

/* The modules of one version, from entry @at on: those of @context that fit. */
static int find_version(struct texts *texts, size_t at, size_t end,
			const struct module_query *query, struct module_list *list,
			struct error *err)
{
	const struct entry *item = texts->streams.item;
	const char *context = query->word.context;
	int r = 0;

	for (size_t i = at; i < end && r == 0; i++) {
		_cleanup_(module_freep) struct module *module = NULL;

		if (context && compare_text(item[i].about.context, context) != 0)
			continue;
		if (i > at && same_module(&item[i], &item[i - 1]) &&
		    compare_text(item[i].about.arch, item[i - 1].about.arch) == 0)
			continue; /* of another repository, or once more */
		if (list->count > MODULES_MAX_CHOSEN)
			return error_set(err, -E2BIG, BLAME_SOURCE, NULL, "more than %u modules",
					 MODULES_MAX_CHOSEN);
		r = read_entry(texts, &item[i], query, &module, err);
		if (r == 0 && module_fits(module, query))
			r = module_list_merge(list, steal(module), err);
	}
	return r;
}

/* Of the stream that begins at entry @at the newest version that fits, or the one that is asked
 * for. */
static int find_stream(struct texts *texts, size_t at, size_t end, const struct module_query *query,
		       struct module_list *list, struct error *err)
{
	const struct entry *item = texts->streams.item;
	size_t before = list->count;
	uint64_t version = 0;
	int r = 0;

	if (query->word.version && module_version(query->word.version, &version) < 0)
		return 0;
	while (at < end && r == 0 && list->count == before) {
		size_t next = at;

		while (next < end && item[next].version == item[at].version)
			next++;
		if (!query->word.version || item[at].version == version)
			r = find_version(texts, at, next, query, list, err);
		at = next;
	}
	return r;
}

static int texts_find(struct module_supplier *supplier, const struct module_query *query,
		      struct module_list *list, struct error *err)
{
	struct texts *texts = (struct texts *)supplier;
	const struct entries *streams = &texts->streams;
	size_t at = first_of(streams, query->word.name, query->word.stream);
	int r = 0;

	while (r == 0 && at < streams->count &&
	       strcmp(streams->item[at].about.name, query->word.name) == 0) {
		size_t next = at;

		if (query->word.stream &&
		    strcmp(streams->item[at].about.stream, query->word.stream) != 0)
			break;
		while (next < streams->count &&
		       same_stream(&streams->item[next], &streams->item[at]))
			next++;
		r = find_stream(texts, at, next, query, list, err);
		at = next;
	}
	return r;
}

static int texts_extra(struct module_supplier *supplier, const char *name, struct text *ret,
		       struct error *err)
{
	const struct texts *texts = (const struct texts *)supplier;
	const struct entries *extras = &texts->extras;
	unsigned int count = 0;

	for (size_t i = first_of(extras, name, NULL);
	     i < extras->count && strcmp(extras->item[i].about.name, name) == 0; i++) {
		const struct piece *piece = &extras->item[i].piece;

		if (extras->item[i].fault)
			continue;
		if (count++ == MODULES_MAX_EXTRAS) {
			module_say(
				&texts->log,
				"what is said about module %s beside it: more than %u documents; "
				"the others are left out",
				name, MODULES_MAX_EXTRAS);
			break;
		}
		(void)text_add(ret, piece->bytes, piece->length);
		(void)text_adds(ret, "\n...\n");
	}
	return ret->failed ? error_oom(err) : 0;
}

/* What there is of the name; where the stream is there, its versions */
static void add_others(const struct entries *streams, const struct module_word *word,
		       struct text *ret)
{
	size_t all = first_of(streams, word->name, NULL), said = 0;
	size_t at = word->stream ? first_of(streams, word->name, word->stream) : all;
	bool versions = word->stream && at < streams->count &&
			strcmp(streams->item[at].about.name, word->name) == 0 &&
			strcmp(streams->item[at].about.stream, word->stream) == 0;

	for (size_t i = versions ? at : all; i < streams->count && said < OTHERS_SHOWN &&
					     strcmp(streams->item[i].about.name, word->name) == 0;
	     i++) {
		const struct entry *entry = &streams->item[i];

		if (versions && strcmp(entry->about.stream, word->stream) != 0)
			break;
		if (said && same_stream(entry, entry - 1) &&
		    (!versions || entry->version == entry[-1].version))
			continue;
		(void)text_adds(ret, said++	? ", "
				     : versions ? "; its versions there: "
						: "; its streams there: ");
		if (versions)
			(void)text_addf(ret, "%" PRIu64, entry->version);
		else
			(void)text_adds(ret, entry->about.stream);
	}
}

static void texts_lacking(struct module_supplier *supplier, const struct module_query *query,
			  const char *words, struct text *ret)
{
	const struct texts *texts = (const struct texts *)supplier;
	_cleanup_(freep) char *labels = strings_join(&texts->labels, ", ");

	(void)text_addf(ret, "Failed to find module %s%s in %s", words,
			query->base_name || query->base_stream || query->base_lte >= 0 ||
					query->base_gte >= 0
				? ", built for the base module that is wanted,"
				: "",
			labels ? labels : "");
	add_others(&texts->streams, &query->word, ret);
	(void)text_adds(ret, ".");
	if (texts->first_bad)
		(void)text_addf(
			ret, " Of %" PRIu64 " documents there that cannot be read the first is %s.",
			texts->bad, texts->first_bad);
}

/* ---- the door ---- */

int modules_from_texts(const struct module_text *texts, size_t count, struct module_log log,
		       struct module_supplier **ret, struct error *err)
{
	static const struct module_supplier_ops ops = { .find = texts_find,
							.extra = texts_extra,
							.lacking = texts_lacking,
							.free = texts_free };
	_cleanup_(module_supplier_freep) struct module_supplier *supplier = NULL;
	struct texts *own = calloc(1, sizeof(*own));
	int r = 0;

	if (!own)
		return error_oom(err);
	own->supplier.ops = &ops;
	own->log = log;
	supplier = &own->supplier;
	own->text = calloc(count + 1, sizeof(*own->text));
	if (!own->text)
		return error_oom(err);
	for (size_t i = 0; i < count && r == 0; i++) {
		if (texts[i].length > MODULES_MAX_TEXT)
			return error_set(err, -EFBIG, BLAME_SOURCE, "modules.yaml",
					 "%s: modules: more than %u bytes", texts[i].label,
					 MODULES_MAX_TEXT);
		if (strings_add(&own->labels, texts[i].label) < 0)
			return error_oom(err);
		own->text[i] = malloc(texts[i].length + 1);
		if (!own->text[i])
			return error_oom(err);
		memcpy(own->text[i], texts[i].bytes, texts[i].length);
		r = look_through(own, (uint32_t)i, texts[i].length, err);
	}
	if (r < 0)
		return r;
	if (own->streams.count)
		qsort(own->streams.item, own->streams.count, sizeof(struct entry), compare_streams);
	if (own->extras.count)
		qsort(own->extras.item, own->extras.count, sizeof(struct entry), compare_extras);
	*ret = steal(supplier);
	return 0;
}
