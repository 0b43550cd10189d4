/* SPDX-License-Identifier: MIT */
/* resolver/compose/productmd.c: compose/metadata/rpms.json and modules.json, without their heads.
 *
 * The head names the compose and its date (core/model, compose_text_rpms_head()); what follows,
 * from its member "rpms" to the end of the document, depends on the packages alone and is a blob
 * that equal composes share. Format: odcs-api.md 7.5, indented as the head is, one line per file.
 * In rpms.json an SRPM stands under each arch that has a package built from it; one that nothing
 * here was built from stands under all.
 */
#include "resolver/compose/parts.h"

/* A package of the source tree, found by the name that <rpm:sourcerpm> gives it. */
struct srpm {
	char *file;
	size_t item;
	bool claimed; /* some package of the compose was built from it */
	size_t arch;  /* 1 + the last arch that listed it */
};

struct entry {
	char *srpm, *nevra; /* productmd's long form */
	const struct item *item;
};

struct rpms_writer {
	const struct composing *composing;
	struct srpm *srpm; /* sorted by file */
	size_t srpm_count;
	struct entry *entry;
	size_t count;
	struct text *text;
};

static const char *source_arch(const struct item *item)
{
	return strcmp(item->about.arch, "nosrc") ? "src" : "nosrc";
}

/* NAME-EPOCH:VERSION-RELEASE.ARCH, the epoch always; malloc'ed or NULL */
static char *long_nevra(const char *name, int64_t epoch, const char *version, const char *release,
			const char *arch)
{
	struct text text = { 0 };

	line_adds(&text, name);
	(void)text_addf(&text, "-%" PRId64 ":", epoch);
	line_adds(&text, version);
	(void)text_add(&text, "-", 1);
	line_adds(&text, release);
	(void)text_add(&text, ".", 1);
	line_adds(&text, arch);
	return text_steal(&text);
}

static char *item_nevra(const struct rpms_writer *writer, const struct item *item)
{
	bool source = writer->composing->place[item->place].tree == COMPOSER_SOURCE;

	return long_nevra(item->about.name, item->about.epoch, item->about.version,
			  item->about.release, source ? source_arch(item) : item->about.arch);
}

/* ---- from a package to its SRPM ---------------------------------------- */

static int compare_srpms(const void *a, const void *b)
{
	const struct srpm *sa = a, *sb = b;
	int order = strcmp(sa->file, sb->file);

	return order ? order : sa->item < sb->item ? -1 : sa->item > sb->item;
}

static int collect_srpms(struct rpms_writer *writer)
{
	const struct composing *composing = writer->composing;
	const struct place *place = &composing->place[composing->place_count - 1];

	writer->srpm = calloc(place->count + 1, sizeof(*writer->srpm));
	if (!writer->srpm)
		return -ENOMEM;
	for (size_t i = 0; i < place->count; i++) {
		const struct item *item = &composing->item[place->first + i];
		struct text file = { 0 };

		(void)text_addf(&file, "%s-%s-%s.%s.rpm", item->about.name, item->about.version,
				item->about.release, source_arch(item));
		writer->srpm[i].item = place->first + i;
		writer->srpm[i].file = text_steal(&file);
		if (!writer->srpm[i].file)
			return -ENOMEM;
		writer->srpm_count++;
	}
	qsort(writer->srpm, writer->srpm_count, sizeof(*writer->srpm), compare_srpms);
	return 0;
}

static struct srpm *find_srpm(const struct rpms_writer *writer, const char *file)
{
	size_t low = 0, high = writer->srpm_count;

	while (low < high) { /* the first one when several epochs share a name */
		size_t middle = low + (high - low) / 2;

		if (strcmp(writer->srpm[middle].file, file) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low < writer->srpm_count && !strcmp(writer->srpm[low].file, file)
		       ? &writer->srpm[low]
		       : NULL;
}

/* An SRPM that is not in the compose: <rpm:sourcerpm> has no epoch, so ask the snapshot, else take
 * the package's own, as most packages share it. Without a sourcerpm the package's own name must do.
 */
static char *absent_srpm_nevra(const struct item *item)
{
	const struct snapshot_package *about = &item->about;
	size_t length = strlen(about->sourcerpm);
	_cleanup_(freep) char *text = NULL, *buffer = malloc(length + 1);
	struct snapshot_package source;
	struct nevra nevra;
	uint32_t index;

	if (length < 4 || strcmp(about->sourcerpm + length - 4, ".rpm"))
		return long_nevra(about->name, about->epoch, about->version, about->release, "src");
	text = strndup(about->sourcerpm, length - 4);
	if (!text || !buffer)
		return NULL;
	if (nevra_parse(text, buffer, &nevra) < 0)
		return long_nevra(about->name, about->epoch, about->version, about->release, "src");
	nevra.epoch = about->epoch;
	if (snapshot_find_source(item->package->snapshot, about->sourcerpm, &index) == 0) {
		snapshot_package_get(item->package->snapshot, index, &source);
		nevra.epoch = source.epoch;
	}
	return long_nevra(nevra.name, nevra.epoch, nevra.version, nevra.release, nevra.arch);
}

static void claim_srpms(struct rpms_writer *writer)
{
	const struct composing *composing = writer->composing;

	for (size_t p = 0; p + 1 < composing->place_count; p++)
		for (size_t i = 0; i < composing->place[p].count; i++) {
			const struct item *item = &composing->item[composing->place[p].first + i];
			struct srpm *srpm = find_srpm(writer, item->about.sourcerpm);

			if (srpm)
				srpm->claimed = true;
		}
}

/* ---- the members of one arch ------------------------------------------- */

static int compare_entries(const void *a, const void *b)
{
	const struct entry *ea = a, *eb = b;
	int order = strcmp(ea->srpm, eb->srpm);

	if (!order)
		order = strcmp(ea->nevra, eb->nevra);
	return order ? order : ea->item < eb->item ? -1 : ea->item > eb->item;
}

static int add_entry(struct rpms_writer *writer, const struct item *item, char *srpm)
{
	struct entry entry = { .srpm = srpm, .item = item, .nevra = item_nevra(writer, item) };

	if (!entry.srpm || !entry.nevra) {
		free(entry.srpm);
		free(entry.nevra);
		return -ENOMEM;
	}
	writer->entry[writer->count++] = entry;
	return 0;
}

static void clear_entries(struct rpms_writer *writer)
{
	for (size_t i = 0; i < writer->count; i++) {
		free(writer->entry[i].srpm);
		free(writer->entry[i].nevra);
	}
	writer->count = 0;
}

static int collect_arch(struct rpms_writer *writer, size_t arch)
{
	const struct composing *composing = writer->composing;

	for (size_t p = 2 * arch; p < 2 * arch + 2; p++)
		for (size_t i = 0; i < composing->place[p].count; i++) {
			const struct item *item = &composing->item[composing->place[p].first + i];
			struct srpm *srpm = find_srpm(writer, item->about.sourcerpm);

			if (srpm)
				srpm->arch = arch + 1;
			if (add_entry(writer, item,
				      srpm ? item_nevra(writer, &composing->item[srpm->item])
					   : absent_srpm_nevra(item)) < 0)
				return -ENOMEM;
		}
	for (size_t i = 0; i < writer->srpm_count; i++) {
		const struct srpm *srpm = &writer->srpm[i];
		const struct item *item = &composing->item[srpm->item];

		if (srpm->claimed && srpm->arch != arch + 1)
			continue;
		if (add_entry(writer, item, item_nevra(writer, item)) < 0)
			return -ENOMEM;
	}
	if (writer->count)
		qsort(writer->entry, writer->count, sizeof(*writer->entry), compare_entries);
	return 0;
}

/* ---- JSON -------------------------------------------------------------- */

/* Strings come out of XML, hence are UTF-8, and control characters were taken out by line_adds().
 */
static void add_string(struct text *text, const char *string)
{
	(void)text_add(text, "\"", 1);
	for (;;) {
		size_t plain = strcspn(string, "\"\\");

		(void)text_add(text, string, plain);
		string += plain;
		if (!*string)
			break;
		(void)text_addf(text, "\\%c", *string++);
	}
	(void)text_add(text, "\"", 1);
}

/* @also: under its other name, those places that have one */
static void add_member(struct rpms_writer *writer, const struct entry *entry, bool also)
{
	static const char *const category[] = {
		[COMPOSER_OS] = "binary",
		[COMPOSER_DEBUG] = "debug",
		[COMPOSER_SOURCE] = "source",
	};
	const struct item *item = entry->item;
	const struct place *place = &writer->composing->place[item->place];
	struct text path = { 0 };

	(void)text_addf(&path, "Temporary/%s/Packages/%c/",
			also && place->also ? place->also : place->path, file_letter(item->file));
	line_adds(&path, item->file);
	(void)text_adds(writer->text, "\n                        ");
	add_string(writer->text, entry->nevra);
	(void)text_addf(writer->text, ": {\"category\": \"%s\", \"path\": ", category[place->tree]);
	add_string(writer->text, path.data ? path.data : "");
	(void)text_adds(writer->text, ", \"sigkey\": ");
	if (item->package->sigkey)
		add_string(writer->text, item->package->sigkey);
	else
		(void)text_adds(writer->text, "null");
	(void)text_add(writer->text, "}", 1);
	writer->text->failed |= path.failed;
	text_done(&path);
}

static void add_arch(struct rpms_writer *writer, const char *arch, bool also)
{
	const struct entry *last = NULL;

	(void)text_adds(writer->text, "\n                ");
	add_string(writer->text, arch);
	(void)text_adds(writer->text, ": {");
	for (size_t i = 0; i < writer->count; i++) {
		const struct entry *entry = &writer->entry[i];
		bool same = last && !strcmp(last->srpm, entry->srpm);

		if (same && !strcmp(last->nevra, entry->nevra))
			continue; /* one NEVRA in two files: the first is named, as no key may be
				     twice */
		if (!same) {
			(void)text_adds(writer->text,
					last ? "\n                    },\n                    "
					     : "\n                    ");
			add_string(writer->text, entry->srpm);
			(void)text_adds(writer->text, ": {");
		} else {
			(void)text_add(writer->text, ",", 1);
		}
		add_member(writer, entry, also);
		last = entry;
	}
	(void)text_adds(writer->text, last ? "\n                    }\n                }" : "}");
}

static int add_arches(struct rpms_writer *writer)
{
	const struct strings *arches = writer->composing->composition->arches;

	(void)text_adds(writer->text, "\"rpms\": {\n            \"Temporary\": {");
	for (size_t arch = 0; arch < arches->count; arch++) {
		if (arch)
			(void)text_add(writer->text, ",", 1);
		if (collect_arch(writer, arch) < 0)
			return -ENOMEM;
		add_arch(writer, arches->item[arch], false);
		if (arch_also(arches, arch)) {
			(void)text_add(writer->text, ",", 1);
			add_arch(writer, arch_also(arches, arch), true);
		}
		clear_entries(writer);
	}
	return text_adds(writer->text, "\n            }\n        }\n    }\n}");
}

int productmd_rpms(const struct composing *composing, struct text *ret, struct error *err)
{
	struct rpms_writer writer = { .composing = composing, .text = ret };
	int r;

	writer.entry = calloc(composing->count + 1, sizeof(*writer.entry));
	r = writer.entry ? collect_srpms(&writer) : -ENOMEM;
	if (r == 0) {
		claim_srpms(&writer);
		r = add_arches(&writer);
	}
	clear_entries(&writer);
	for (size_t i = 0; i < writer.srpm_count; i++)
		free(writer.srpm[i].file);
	free(writer.srpm);
	free(writer.entry);
	return r < 0 ? error_oom(err) : 0;
}

/* ---- modules.json ------------------------------------------------------ */

/* Words out of YAML may hold control characters. */
static void add_word(struct text *text, const char *word)
{
	struct text clean = { 0 };

	line_adds(&clean, word);
	add_string(text, clean.data ? clean.data : "");
	text->failed |= clean.failed;
	text_done(&clean);
}

static void add_member_of(struct text *text, const char *name, const char *word, const char *after)
{
	(void)text_addf(text, "\"%s\": ", name);
	if (word)
		add_word(text, word);
	else
		(void)text_adds(text, "null");
	(void)text_adds(text, after);
}

static void add_module(struct text *text, const struct composer_module *module,
		       const struct place *place, bool also)
{
	_cleanup_(text_done) struct text path = { 0 };

	(void)text_addf(&path, "Temporary/%s/repodata/%s",
			also && place->also ? place->also : place->path, place->modules);
	(void)text_adds(text, "\n                    ");
	add_word(text, module->uid);
	(void)text_adds(text, ": {\n                        \"metadata\": {");
	add_member_of(text, "context", module->context, ", ");
	add_member_of(text, "koji_tag", module->koji_tag, ", ");
	add_member_of(text, "name", module->name, ", ");
	add_member_of(text, "stream", module->stream, ", ");
	add_member_of(text, "uid", module->uid, ", ");
	add_member_of(text, "version", module->version, "},\n                        ");
	(void)text_adds(text, "\"modulemd_path\": {");
	add_member_of(text, "binary", place->modules ? path.data : NULL, "},\n");
	(void)text_adds(text, "                        \"rpms\": [");
	for (size_t i = 0; i < module->rpms->count; i++) {
		(void)text_adds(text, i ? ", " : "");
		add_word(text, module->rpms->item[i]);
	}
	(void)text_adds(text, "]\n                    }");
	text->failed |= path.failed;
}

static void add_modules(const struct composing *composing, const char *arch_name, size_t arch,
			bool also, struct text *text)
{
	const struct composition *composition = composing->composition;
	size_t count = 0;

	(void)text_adds(text, "\n                ");
	add_string(text, arch_name);
	(void)text_adds(text, ": {");
	for (size_t i = 0; i < composition->module_count; i++) {
		if (composition->module[i].arch != arch)
			continue;
		(void)text_adds(text, count++ ? "," : "");
		add_module(text, &composition->module[i], &composing->place[2 * arch], also);
	}
	(void)text_adds(text, count ? "\n                }" : "}");
}

int productmd_modules(const struct composing *composing, struct text *ret, struct error *err)
{
	const struct strings *arches = composing->composition->arches;

	(void)text_adds(ret, "\"modules\": {\n            \"Temporary\": {");
	for (size_t arch = 0; arch < arches->count; arch++) {
		const char *other = arch_also(arches, arch);

		(void)text_adds(ret, arch ? "," : "");
		add_modules(composing, arches->item[arch], arch, false, ret);
		if (!other)
			continue;
		(void)text_adds(ret, ",");
		add_modules(composing, other, arch, true, ret);
	}
	return text_adds(ret, "\n            }\n        }\n    }\n}") < 0 ? error_oom(err) : 0;
}
