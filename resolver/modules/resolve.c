/* SPDX-License-Identifier: MIT */
/* resolver/modules/resolve.c: what a request means: the modules that it names, then those that they
 * need, then those that these need…
 *
 *   words ─► choose() ─► chosen[0] chosen[1] … ─► expand() each once; what it needs is chosen, if
 * its name and stream are not yet
 *
 * A name and stream is looked for once, and a name without stream once; so it ends. */
#include "resolver/modules/parts.h"

#include <search.h>

#define WORDS_MAX 512
#define LOG_LINES_MAX 20 /* about what one module does without */

/**
 * struct stream - a name and stream that was chosen
 * @first: its first module: all have one version */
struct stream {
	const char *name, *stream;
	const struct module *first;
};

/**
 * struct lookup - what was found for a name, all its streams
 * @stream: of each module found, also when it is chosen and not in @found any more
 * @taken: all of them are chosen */
struct lookup {
	const char *name;
	struct module_list found;
	struct strings stream;
	bool taken;
};

struct resolver {
	const struct modules_question *question;
	struct module_supplier *const *suppliers;
	size_t supplier_count;
	struct module_list chosen;
	void *streams, *lookups; /* trees of struct stream, struct lookup */
};

static int compare_stream(const void *left, const void *right)
{
	const struct stream *a = left, *b = right;
	int order = strcmp(a->name, b->name);

	return order ? order : strcmp(a->stream, b->stream);
}

static int compare_lookup(const void *left, const void *right)
{
	return strcmp(((const struct lookup *)left)->name, ((const struct lookup *)right)->name);
}

static void lookup_free(void *node)
{
	struct lookup *lookup = node;

	module_list_done(&lookup->found);
	strings_done(&lookup->stream);
	free(lookup);
}

static void resolver_done(struct resolver *resolver)
{
	tdestroy(resolver->streams, free);
	tdestroy(resolver->lookups, lookup_free);
	module_list_done(&resolver->chosen);
}

static const struct module *chosen_stream(const struct resolver *resolver, const char *name,
					  const char *stream)
{
	struct stream key = { .name = name, .stream = stream };
	struct stream *const *node = tfind(&key, &resolver->streams, compare_stream);

	return node ? (*node)->first : NULL;
}

/* ---- looking ---- */

/* Is supplier @number asked that? */
static bool is_asked(const struct resolver *resolver, size_t number,
		     const struct module_query *query)
{
	if (query->scratch)
		return resolver->suppliers[number]->ops->scratch;
	for (size_t i = 0; i < number; i++)
		if (resolver->suppliers[i]->ops->expands)
			return false;
	return true;
}

/* The first supplier that finds any. None: nothing is added. */
static int find(struct resolver *resolver, const struct module_query *query,
		struct module_list *list, struct error *err)
{
	int r = 0;

	for (size_t i = 0; i < resolver->supplier_count && list->count == 0 && r == 0; i++) {
		struct module_supplier *supplier = resolver->suppliers[i];

		if (!is_asked(resolver, i, query))
			continue;
		r = supplier->ops->find(supplier, query, list, err);
		for (size_t j = 0; j < list->count; j++)
			list->item[j]->supplier = i;
	}
	return r;
}

/* NAME-devel of NAME: odcs-api.md 6.2. */
static int find_devel(struct resolver *resolver, const struct module_query *query,
		      struct module_list *list, struct error *err)
{
	struct module_query plain = *query;
	size_t length = strlen(query->word.name);
	_cleanup_(freep) char *name = NULL;
	int r = 0;

	if (length <= 6 || strcmp(query->word.name + length - 6, "-devel") != 0)
		return 0;
	name = strndup(query->word.name, length - 6);
	if (!name)
		return error_oom(err);
	plain.word.name = name;
	for (size_t i = 0; i < resolver->supplier_count && list->count == 0 && r == 0; i++) {
		struct module_supplier *supplier = resolver->suppliers[i];

		if (!supplier->ops->devel || !is_asked(resolver, i, query))
			continue;
		r = supplier->ops->find(supplier, &plain, list, err);
		for (size_t j = 0; j < list->count && r == 0; j++) {
			list->item[j]->supplier = i;
			r = document_rename(list->item[j], query->word.name, err);
		}
	}
	return r;
}

static int look(struct resolver *resolver, const struct module_query *query,
		struct module_list *list, struct error *err)
{
	int r = find(resolver, query, list, err);

	return r == 0 && list->count == 0 ? find_devel(resolver, query, list, err) : r;
}

/* Words for what nobody has; the last supplier is the one that upstream would have asked. */
static int lacking(struct resolver *resolver, const struct module_query *query, const char *words,
		   const struct module *needed_by, struct error *err)
{
	_cleanup_(text_done) struct text text = { 0 };

	for (size_t i = 0; i < resolver->supplier_count; i++) {
		struct module_supplier *supplier = resolver->suppliers[i];

		if (!is_asked(resolver, i, query))
			continue;
		if (text.length)
			(void)text_adds(&text, " ");
		supplier->ops->lacking(supplier, query, words, &text);
	}
	if (text.length == 0)
		(void)text_addf(&text, "Failed to find %smodule %s: no place is configured %s",
				query->scratch ? "scratch " : "", words,
				query->scratch ? "where scratch modules come from (module.mbs)."
					       : "where modules come from.");
	if (needed_by)
		(void)text_addf(&text, " It is needed by %s.", needed_by->nsvc);
	if (text.failed)
		return error_oom(err);
	return error_set(err, -ENOENT, needed_by ? BLAME_SOURCE : BLAME_REQUEST,
			 needed_by	  ? NULL
			 : query->scratch ? "source.scratch_modules"
					  : "source.source",
			 "%s", text.data);
}

/* ---- choosing ---- */

static int note_stream(struct resolver *resolver, const struct module *module, struct error *err)
{
	struct stream *stream = malloc(sizeof(*stream));

	if (!stream)
		return error_oom(err);
	*stream = (struct stream){ module->name, module->stream, module };
	if (tsearch(stream, &resolver->streams, compare_stream))
		return 0;
	free(stream);
	return error_oom(err);
}

static bool is_chosen(const struct resolver *resolver, const char *nsvc)
{
	for (size_t i = 0; i < resolver->chosen.count; i++)
		if (strcmp(resolver->chosen.item[i]->nsvc, nsvc) == 0)
			return true;
	return false;
}

/* Takes @module. @stands: its name and stream are in the set, with this module first. */
static int put(struct resolver *resolver, struct module *module, const struct module *stands,
	       const char *why, const char *wish, struct error *err)
{
	_cleanup_(module_freep) struct module *owned = module;
	int r = 0;

	if (resolver->chosen.count == MODULES_MAX_CHOSEN)
		return error_set(err, -E2BIG, BLAME_SOURCE, NULL, "more than %u modules",
				 MODULES_MAX_CHOSEN);
	module->why = strdup(why);
	module->wish = wish ? strdup(wish) : NULL;
	if (!module->why || (wish && !module->wish))
		return error_oom(err);
	if (!stands)
		r = note_stream(resolver, module, err);
	if (r == 0)
		r = module_list_add(&resolver->chosen, module, err);
	if (r == 0)
		(void)steal(owned);
	return r;
}

/* What a word of the request found: another version of a stream that is there is a conflict. */
static int choose_wished(struct resolver *resolver, struct module_list *list, bool scratch,
			 const char *wish, struct error *err)
{
	int r = 0;

	for (size_t i = 0; i < list->count && r == 0; i++) {
		struct module *module = list->item[i];
		const struct module *stands = chosen_stream(resolver, module->name, module->stream);

		if (stands && !scratch && stands->version != module->version)
			return error_set(err, -EINVAL, BLAME_REQUEST, "source.source",
					 "%s conflicts with %s", module->nsvc, stands->nsvc);
		if (stands && is_chosen(resolver, module->nsvc))
			continue;
		r = put(resolver, steal(list->item[i]), stands, scratch ? "scratch" : "requested",
			scratch ? NULL : wish, err);
	}
	return r;
}

/* What something needs, one stream of it; all of one version. */
static int choose_needed(struct resolver *resolver, struct module **item, size_t count,
			 const struct module *needed_by, struct error *err)
{
	const struct module *stands = NULL;
	int r = 0;

	for (size_t i = 0; i < count && r == 0; i++) {
		struct module *module = item[i];

		item[i] = NULL;
		r = put(resolver, module, stands, needed_by->nsvc, NULL, err);
		stands = module;
	}
	return r;
}

/* ---- words of the request ---- */

static int refuse_readings(const struct module_wish *wish, const struct strings *found,
			   struct error *err)
{
	_cleanup_(freep) char *list = strings_join(found, ", ");

	if (!list)
		return error_oom(err);
	return error_set(err, -EINVAL, BLAME_REQUEST, "source.source",
			 "%s can be read as any of %s: write it with colons", wish->text, list);
}

static int resolve_wish(struct resolver *resolver, const struct module_wish *wish, bool scratch,
			struct error *err)
{
	const struct modules_question *question = resolver->question;
	struct module_query query = {
		.scratch = scratch,
		.base_name = question->base_name,
		.base_stream = question->base_stream,
		.base_lte = question->base_lte,
		.base_gte = question->base_gte,
	};
	_cleanup_(module_list_done) struct module_list found = { 0 };
	_cleanup_(strings_done) struct strings readings = { 0 };
	char words[WORDS_MAX];
	int r = 0;

	for (size_t i = 0; i < wish->reading_count && r == 0; i++) {
		_cleanup_(module_list_done) struct module_list list = { 0 };

		query.word = wish->reading[i];
		query.done = (question->flags & FLAG_INCLUDE_DONE_MODULES) || query.word.context;
		if (module_is_base(question->base_modules, query.word.name))
			return error_set(err, -EINVAL, BLAME_REQUEST, "source.source",
					 "ODCS currently cannot create compose with base modules, "
					 "but %s was requested.",
					 wish->text);
		r = look(resolver, &query, &list, err);
		if (r < 0 || list.count == 0)
			continue;
		module_word_print(&query.word, words, sizeof(words));
		if (strings_add(&readings, words) < 0)
			return error_oom(err);
		if (readings.count == 1) {
			found = list;
			list = (struct module_list){ 0 };
		}
	}
	if (r < 0)
		return r;
	if (readings.count > 1)
		return refuse_readings(wish, &readings, err);
	if (readings.count == 0)
		return lacking(resolver, &query, wish->text, NULL, err);
	return choose_wished(resolver, &found, scratch, wish->text, err);
}

static int resolve_wishes(struct resolver *resolver, const struct module_wishes *wishes,
			  bool scratch, struct error *err)
{
	int r = 0;

	for (size_t i = 0; wishes && i < wishes->count && r == 0; i++)
		r = resolve_wish(resolver, &wishes->wish[i], scratch, err);
	return r;
}

/* ---- what they need ---- */

static struct module_query query_for(const struct resolver *resolver, const struct module *module,
				     const char *name, const char *stream)
{
	const struct module_supplier *supplier = resolver->suppliers[module->supplier];
	struct module_query query = {
		.word = { .name = name, .stream = stream },
		.base_lte = -1,
		.base_gte = -1,
		.done = resolver->question->flags & FLAG_INCLUDE_DONE_MODULES,
	};

	if (supplier->ops->same_base && module->base_name && module->base_version >= 0) {
		query.base_name = module->base_name;
		query.base_lte = module->base_version;
		query.base_gte = module->base_version / 10000 * 10000;
	}
	return query;
}

/* 1: there, and chosen; 0: nobody has it */
static int need_stream(struct resolver *resolver, const struct module *module, const char *name,
		       const char *stream, struct error *err)
{
	_cleanup_(module_list_done) struct module_list list = { 0 };
	struct module_query query;
	int r;

	if (chosen_stream(resolver, name, stream))
		return 1;
	query = query_for(resolver, module, name, stream);
	r = look(resolver, &query, &list, err);
	if (r < 0)
		return r;
	if (list.count == 0)
		return 0;
	r = choose_needed(resolver, list.item, list.count, module, err);
	return r < 0 ? r : 1;
}

static int look_up(struct resolver *resolver, const struct module *module, const char *name,
		   struct lookup **ret, struct error *err)
{
	struct lookup key = { .name = name };
	struct lookup *const *node = tfind(&key, &resolver->lookups, compare_lookup);
	struct module_query query = query_for(resolver, module, name, NULL);
	struct lookup *lookup;
	int r;

	if (node) {
		*ret = *node;
		return 0;
	}
	lookup = calloc(1, sizeof(*lookup));
	if (!lookup)
		return error_oom(err);
	lookup->name = name; /* of a requirement, which lives as long as the resolver */
	r = look(resolver, &query, &lookup->found, err);
	for (size_t i = 0; i < lookup->found.count && r == 0; i++)
		if (strings_add(&lookup->stream, lookup->found.item[i]->stream) < 0)
			r = error_oom(err);
	if (r == 0 && !tsearch(lookup, &resolver->lookups, compare_lookup))
		r = error_oom(err);
	if (r < 0) {
		lookup_free(lookup);
		return r;
	}
	*ret = lookup;
	return 0;
}

/* @streams are sorted, so what is ruled out stands together; those after it are asked for. */
static bool is_ruled_out(const struct strings *streams, const char *stream)
{
	size_t low = 0, high = streams->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const char *item = streams->item[middle];
		int order = item[0] - '-';

		if (order == 0)
			order = strcmp(item + 1, stream);
		if (order == 0)
			return true;
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return false;
}

/* Each stream that there is and is not ruled out; 1: there is one */
static int need_any(struct resolver *resolver, const struct module *module,
		    const struct module_requirement *need, struct error *err)
{
	struct lookup *lookup = NULL;
	bool any = false, left = false;
	int r = look_up(resolver, module, need->name, &lookup, err);

	if (r < 0 || lookup->found.count == 0)
		return r;
	if (lookup->taken && need->streams.count == 0)
		return 1;
	for (size_t i = 0, next; i < lookup->stream.count && r == 0; i = next) {
		const char *stream = lookup->stream.item[i];

		for (next = i + 1;
		     next < lookup->stream.count && strcmp(lookup->stream.item[next], stream) == 0;)
			next++;
		if (is_ruled_out(&need->streams, stream)) {
			left = true;
			continue;
		}
		any = true;
		if (!chosen_stream(resolver, need->name, stream))
			r = choose_needed(resolver, lookup->found.item + i, next - i, module, err);
	}
	lookup->taken = r == 0 && !left;
	return r < 0 ? r : any;
}

static bool is_explicit(const struct strings *streams)
{
	for (size_t i = 0; i < streams->count; i++)
		if (streams->item[i][0] != '-')
			return true;
	return false;
}

/* 1: it is in the set; 0: nobody has it, with words in @why */
static int need(struct resolver *resolver, const struct module *module,
		const struct module_requirement *need, struct error *why, struct error *err)
{
	struct module_query query = query_for(resolver, module, need->name, NULL);
	char words[WORDS_MAX];
	bool any = false;
	int r;

	if (!is_explicit(&need->streams)) {
		r = need_any(resolver, module, need, err);
		if (r == 0)
			(void)lacking(resolver, &query, need->name, module, why);
		return r;
	}
	for (size_t i = 0; i < need->streams.count; i++) {
		const char *stream = need->streams.item[i];

		if (stream[0] == '-' || is_ruled_out(&need->streams, stream))
			continue;
		r = need_stream(resolver, module, need->name, stream, err);
		if (r < 0)
			return r;
		any = any || r;
		if (r == 0) {
			query = query_for(resolver, module, need->name, stream);
			module_word_print(&query.word, words, sizeof(words));
			(void)lacking(resolver, &query, words, module, why);
		}
	}
	return any;
}

static bool is_left_out(const struct resolver *resolver, const struct module *module,
			const char *name)
{
	if (resolver->suppliers[module->supplier]->ops->expands)
		return strcmp(name, "platform") == 0;
	return module_is_base(resolver->question->base_modules, name);
}

/**
 * struct lack - what a module needs and nobody has
 * @first: the first words of it, for the failure
 * @words: the first of all, for the log when it can do without; @count: of all */
struct lack {
	size_t count;
	struct error first;
	struct strings words;
};

static void lack_done(struct lack *lack)
{
	strings_done(&lack->words);
}

static void note_lack(struct lack *lack, const struct error *why, bool decides)
{
	if (decides && !lack->first.message[0])
		lack->first = *why;
	if (lack->count++ < LOG_LINES_MAX)
		(void)strings_add(&lack->words, why->message);
}

static void say_lack(const struct resolver *resolver, const struct module *module,
		     const struct lack *lack)
{
	const struct module_log *log = &resolver->question->log;

	for (size_t i = 0; i < lack->words.count; i++)
		module_say(log, "%s", lack->words.item[i]);
	if (lack->count > LOG_LINES_MAX)
		module_say(log, "%s does without %zu more", module->nsvc,
			   lack->count - LOG_LINES_MAX);
}

/* The requirements of one set, from number @at on; 1: all are there, 0: not all. */
static int need_set(struct resolver *resolver, const struct module *module, size_t at,
		    struct lack *lack, struct error *err)
{
	const struct module_requirement *list = module->requirement;
	bool all = true;

	for (size_t i = at; i < module->requirement_count && list[i].set == list[at].set; i++) {
		struct error why = { 0 };
		int r;

		if (is_left_out(resolver, module, list[i].name))
			continue;
		r = need(resolver, module, &list[i], &why, err);
		if (r < 0)
			return r;
		all = all && r;
		if (why.message[0])
			note_lack(lack, &why, r == 0);
	}
	return all;
}

/* All sets of requirements; one must be whole, and of what the others lack the log tells. */
static int expand(struct resolver *resolver, const struct module *module, struct error *err)
{
	_cleanup_(lack_done) struct lack lack = { 0 };
	bool whole = module->requirement_count == 0;
	int r;

	for (size_t i = 0; i < module->requirement_count; i++) {
		if (i > 0 && module->requirement[i].set == module->requirement[i - 1].set)
			continue;
		r = need_set(resolver, module, i, &lack, err);
		if (r < 0)
			return r;
		whole = whole || r;
	}
	if (whole) {
		say_lack(resolver, module, &lack);
		return 0;
	}
	if (err)
		*err = lack.first;
	return lack.first.code;
}

static int expand_all(struct resolver *resolver, struct error *err)
{
	bool no_deps = resolver->question->flags & FLAG_NO_DEPS;
	int r = 0;

	for (size_t i = 0; i < resolver->chosen.count && r == 0; i++) {
		const struct module *module = resolver->chosen.item[i];

		if (strcmp(module->why, "scratch") == 0)
			continue;
		if (!no_deps || resolver->suppliers[module->supplier]->ops->expands)
			r = expand(resolver, module, err);
	}
	return r;
}

/* ---- the set ---- */

static int compare_modules(const void *left, const void *right)
{
	const struct module *const *a = left, *const *b = right;

	return strcmp((*a)->nsvc, (*b)->nsvc);
}

static int make_source(struct module_set *set, struct error *err)
{
	struct text text = { 0 };

	for (size_t i = 0; i < set->count; i++)
		if (strcmp(set->module[i]->why, "scratch") != 0)
			(void)text_addf(&text, "%s%s", text.length ? " " : "",
					set->module[i]->nsvc);
	if (text.length > MODULES_MAX_SOURCE) {
		text_done(&text);
		return error_set(err, -E2BIG, BLAME_SOURCE, NULL,
				 "the names of the %zu modules have more than %u bytes", set->count,
				 MODULES_MAX_SOURCE);
	}
	set->source = text_steal(&text);
	return set->source ? 0 : error_oom(err);
}

int modules_resolve(const struct modules_question *question,
		    struct module_supplier *const *suppliers, size_t supplier_count,
		    struct module_set **ret, struct error *err)
{
	_cleanup_(resolver_done) struct resolver resolver = {
		.question = question,
		.suppliers = suppliers,
		.supplier_count = supplier_count,
	};
	_cleanup_(module_set_freep) struct module_set *set = NULL;
	int r = resolve_wishes(&resolver, question->wishes, false, err);

	if (r == 0)
		r = resolve_wishes(&resolver, question->scratch, true, err);
	if (r == 0)
		r = expand_all(&resolver, err);
	if (r < 0)
		return r;
	set = calloc(1, sizeof(*set));
	if (!set)
		return error_oom(err);
	set->module = resolver.chosen.item;
	set->count = resolver.chosen.count;
	resolver.chosen = (struct module_list){ 0 };
	if (set->count)
		qsort(set->module, set->count, sizeof(struct module *), compare_modules);
	r = make_source(set, err);
	if (r == 0)
		*ret = steal(set);
	return r;
}

void module_set_free(struct module_set *set)
{
	if (!set)
		return;
	for (size_t i = 0; i < set->count; i++)
		module_free(set->module[i]);
	free(set->module);
	free(set->source);
	free(set);
}

const struct module *module_set_find(const struct module_set *set, const char *nsvc)
{
	size_t low = 0, high = set->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = strcmp(set->module[middle]->nsvc, nsvc);

		if (order == 0)
			return set->module[middle];
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}
