/* SPDX-License-Identifier: MIT */
/* resolver/modules/koji.c: modules out of Koji: builds in tags, and by name.
 *
 * A module's build is named NAME-STREAM-VERSION.CONTEXT, with '_' for each '-' of the stream: two
 * streams may look alike there, so what counts is what the build says of itself. */
#include "resolver/koji/builds.h"
#include "resolver/modules/parts.h"

#define TRIES_MAX 100 /* versions of a stream looked at, until one is really of it */

/** struct tagged - the modules' builds of one tag; @read: the hub was asked */
struct tagged {
	char *tag;
	struct koji_names names;
	bool read;
};

struct koji {
	struct module_supplier supplier;
	struct module_koji settings;
	struct tagged *tagged;
	size_t count;
};

static void koji_free(struct module_supplier *supplier)
{
	struct koji *koji = (struct koji *)supplier;

	for (size_t i = 0; i < koji->count; i++) {
		free(koji->tagged[i].tag);
		koji_names_done(&koji->tagged[i].names);
	}
	free(koji->tagged);
	free(koji);
}

/* ---- builds that may be meant ---- */

/* struct build - borrowed from the answers of a hub; @context: of its release */
struct build {
	const char *nvr, *stream, *context;
	uint64_t version;
};
struct builds {
	struct build *item;
	size_t count;
};

static void builds_done(struct builds *builds)
{
	free(builds->item);
}

static bool same_in_nvr(const char *stream, const char *version)
{
	for (; *stream && *version; stream++, version++)
		if (*stream != *version && !(*stream == '-' && *version == '_'))
			return false;
	return *stream == *version;
}

/* "VERSION.CONTEXT" */
static bool cut_release(const char *release, struct build *build)
{
	const char *dot = strchr(release, '.');
	char number[24];

	if (!dot || (size_t)(dot - release) >= sizeof(number))
		return false;
	memcpy(number, release, (size_t)(dot - release));
	number[dot - release] = '\0';
	build->context = dot + 1;
	return module_version(number, &build->version) == 0;
}

/* By stream, newest first. */
static int compare_builds(const void *left, const void *right)
{
	const struct build *a = left, *b = right;
	int order = strcmp(a->stream, b->stream);

	if (order == 0 && a->version != b->version)
		order = a->version > b->version ? -1 : 1;
	return order ? order : strcmp(a->context, b->context);
}

/* Builds of the name and stream (NULL: any) in a tag; of each stream those of the tag that comes
 * first. */
static int list_builds(const struct koji_names *names, const struct module_word *word,
		       struct builds *ret, struct error *err)
{
	struct build *item = calloc(names->count + 1, sizeof(*item));
	_cleanup_(freep) const char **top = calloc(names->count + 1, sizeof(*top));
	size_t count = 0;

	ret->item = item;
	if (!item || !top)
		return error_oom(err);
	for (size_t i = 0; i < names->count; i++) {
		const struct koji_name *name = &names->item[i];
		size_t like = 0;

		if (strcmp(name->name, word->name) != 0 ||
		    (word->stream && !same_in_nvr(word->stream, name->version)) ||
		    !cut_release(name->release, &item[count]))
			continue;
		while (like < count && strcmp(item[like].stream, name->version) != 0)
			like++;
		if (like < count && strcmp(top[like], name->tag) != 0)
			continue;
		item[count].nvr = name->nvr;
		item[count].stream = name->version;
		top[count++] = name->tag;
	}
	if (count)
		qsort(item, count, sizeof(*item), compare_builds);
	ret->count = count;
	return 0;
}

/* ---- modules out of builds ---- */

static int copy_text(char **to, const char *from, struct error *err)
{
	*to = from ? strdup(from) : NULL;
	return from && !*to ? error_oom(err) : 0;
}

static int read_module(const struct koji_module *build, struct module **ret, struct error *err)
{
	struct module_word expected = { build->name, build->stream, build->version,
					build->context };
	struct piece piece = { .bytes = build->modulemd };
	struct module_reading how = { .origin = "Koji" };
	_cleanup_(scanned_done) struct scanned about = { 0 };
	_cleanup_(module_freep) struct module *module = NULL;
	int r;

	if (!module_is_part(build->nvr) || (build->context && !module_is_part(build->context)))
		return error_set(err, -EBADMSG, BLAME_SOURCE, NULL,
				 "Koji: a build has characters in its name that none may have");
	if (!build->modulemd)
		return error_set(err, -EBADMSG, BLAME_SOURCE, NULL,
				 "Koji: build %s says nothing of a module", build->nvr);
	piece.length = strlen(build->modulemd);
	r = document_scan(&piece, &about, err);
	if (r == 0)
		r = document_read(&piece, &expected, &how, &module, err);
	if (r == -EBADMSG)
		return error_prefix(err, "Koji: the document of build %s", build->nvr);
	if (r == 0)
		r = copy_text(&module->koji_tag, build->content_tag, err);
	if (r == 0)
		*ret = steal(module);
	return r;
}

static bool is_meant(const struct module *module, const struct module_word *word)
{
	uint64_t version = module->version;

	if (word->version)
		(void)module_version(word->version, &version);
	return strcmp(module->name, word->name) == 0 &&
	       (!word->stream || strcmp(module->stream, word->stream) == 0) &&
	       module->version == version &&
	       (!word->context || strcmp(module->context, word->context) == 0);
}

static bool has_stream(const struct module_list *list, size_t from, size_t to, const char *stream)
{
	for (size_t i = from; i < to; i++)
		if (strcmp(list->item[i]->stream, stream) == 0)
			return true;
	return false;
}

/* Those of the builds that are complete and meant, of streams that are not there from @known on. */
static int add_modules(struct koji *koji, const char *const *nvrs, size_t count,
		       const struct module_word *word, struct module_list *list, size_t known,
		       struct error *err)
{
	size_t before = list->count;
	struct koji_module *build;
	int r;

	if (count > MODULES_MAX_CHOSEN)
		return error_set(err, -E2BIG, BLAME_SOURCE, NULL, "more than %u modules",
				 MODULES_MAX_CHOSEN);
	build = calloc(count + 1, sizeof(*build));
	if (!build)
		return error_oom(err);
	r = hub_module_builds(koji->settings.hub, nvrs, count, build, err);
	for (size_t i = 0; i < count && r == 0; i++) {
		_cleanup_(module_freep) struct module *module = NULL;

		if (build[i].state != KOJI_STATE_COMPLETE)
			continue;
		r = build[i].nvr ? read_module(&build[i], &module, err)
				 : error_set(err, -EBADMSG, BLAME_SOURCE, NULL,
					     "Koji: the answer about build %s has no nvr", nvrs[i]);
		if (r == 0 && is_meant(module, word) &&
		    !has_stream(list, known, before, module->stream))
			r = module_list_merge(list, steal(module), err);
	}
	for (size_t i = 0; i < count; i++)
		koji_module_done(&build[i]);
	free(build);
	return r;
}

/* Is it one of several streams, as NVRs spell it? Then each of them may be wanted. */
static bool is_ambiguous(const struct module_word *word, const char *stream)
{
	return !word->stream && strchr(stream, '_');
}

/* Builds @first to @after are of one stream as NVRs spell it: its newest version that is meant; of
 * streams that look alike that of each. */
static int find_newest(struct koji *koji, const struct builds *builds, size_t first, size_t after,
		       const struct module_word *word, struct module_list *list, size_t known,
		       struct error *err)
{
	_cleanup_(freep) const char **nvrs = calloc(after - first + 1, sizeof(*nvrs));
	bool all = is_ambiguous(word, builds->item[first].stream);
	size_t before = list->count;
	int r = 0;

	if (!nvrs)
		return error_oom(err);
	for (size_t tries = 0; first < after && (all || list->count == before) && r == 0; tries++) {
		size_t count = 0;

		if (tries == TRIES_MAX)
			return 0;
		for (size_t i = first; i < after; i++)
			if (builds->item[i].version == builds->item[first].version)
				nvrs[count++] = builds->item[i].nvr;
		r = add_modules(koji, nvrs, count, word, list, known, err);
		first += count;
	}
	return r;
}

/* What tags before this one have begins at @first of @list. */
static int find_in_tag(struct koji *koji, struct tagged *tagged, const struct module_word *word,
		       struct module_list *list, size_t first, struct error *err)
{
	_cleanup_(builds_done) struct builds builds = { 0 };
	int r = 0;

	if (!tagged->read)
		r = hub_tagged_modules(koji->settings.hub, tagged->tag, koji->settings.event,
				       koji->settings.inherit, &tagged->names, err);
	if (r < 0)
		return r;
	tagged->read = true;
	r = list_builds(&tagged->names, word, &builds, err);
	for (size_t i = 0, next; i < builds.count && r == 0; i = next) {
		bool known = false, all = is_ambiguous(word, builds.item[i].stream);

		for (next = i + 1; next < builds.count &&
				   strcmp(builds.item[next].stream, builds.item[i].stream) == 0;)
			next++;
		for (size_t j = first; j < list->count && !all; j++)
			known = known || same_in_nvr(list->item[j]->stream, builds.item[i].stream);
		if (!known)
			r = find_newest(koji, &builds, i, next, word, list, first, err);
	}
	return r;
}

/* A word with a version is looked for wherever it is: odcs-api.md 6.2. */
static int find_by_name(struct koji *koji, const struct module_word *word, struct module_list *list,
			struct error *err)
{
	struct module_word like = *word;
	_cleanup_(koji_names_done) struct koji_names names = { 0 };
	_cleanup_(freep) const char **nvrs = NULL;
	_cleanup_(freep) char *pattern = NULL;
	int r;

	if (!like.context)
		like.context = "*";
	pattern = module_koji_nvr(&like);
	if (!pattern)
		return error_oom(err);
	r = hub_search_builds(koji->settings.hub, pattern, &names, err);
	if (r < 0)
		return r;
	nvrs = calloc(names.count + 1, sizeof(*nvrs));
	if (!nvrs)
		return error_oom(err);
	for (size_t i = 0; i < names.count; i++)
		nvrs[i] = names.item[i].nvr;
	return add_modules(koji, nvrs, names.count, word, list, list->count, err);
}

static int koji_find(struct module_supplier *supplier, const struct module_query *query,
		     struct module_list *list, struct error *err)
{
	struct koji *koji = (struct koji *)supplier;
	size_t first = list->count;
	int r = 0;

	if (query->word.version)
		return find_by_name(koji, &query->word, list, err);
	for (size_t i = 0; i < koji->count && r == 0; i++)
		r = find_in_tag(koji, &koji->tagged[i], &query->word, list, first, err);
	return r;
}

static void koji_lacking(struct module_supplier *supplier, const struct module_query *query,
			 const char *words, struct text *ret)
{
	const struct koji *koji = (const struct koji *)supplier;

	(void)text_addf(ret, "Failed to find module %s in Koji", words);
	for (size_t i = 0; !query->word.version && i < koji->count; i++)
		(void)text_addf(ret, "%s%s", i ? ", " : ", tag ", koji->tagged[i].tag);
	(void)text_adds(ret, ".");
}

int modules_from_koji(const struct module_koji *settings, struct module_supplier **ret,
		      struct error *err)
{
	static const struct module_supplier_ops ops = {
		.find = koji_find, .lacking = koji_lacking, .free = koji_free, .expands = true
	};
	_cleanup_(module_supplier_freep) struct module_supplier *supplier = NULL;
	struct koji *koji = calloc(1, sizeof(*koji));

	if (!koji)
		return error_oom(err);
	koji->supplier.ops = &ops;
	koji->settings = *settings;
	supplier = &koji->supplier;
	koji->tagged = calloc(settings->tags->count + 1, sizeof(*koji->tagged));
	if (!koji->tagged)
		return error_oom(err);
	for (; koji->count < settings->tags->count; koji->count++) {
		koji->tagged[koji->count].tag = strdup(settings->tags->item[koji->count]);
		if (!koji->tagged[koji->count].tag)
			return error_oom(err);
	}
	*ret = steal(supplier);
	return 0;
}
