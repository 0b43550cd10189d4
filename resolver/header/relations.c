/* SPDX-License-Identifier: MIT */
/* resolver/header/relations.c: what a package provides, requires and so on, as createrepo_c tells
 * it.
 *
 * Of requirements are left out: those on rpm itself; files of primary that the package has; what it
 * provides, said in the same words; what the last one of the same name said already; all of
 * libc.so.6 but the highest version, which comes last. One that may be missing becomes a
 * recommendation. Whatever has an epoch that is no number is not told of. */
#include "resolver/header/parts.h"

#include <ctype.h>
#include <rpm/rpmds.h>

#define STRONG (1u << 27) /* of old, it made recommends of suggests, supplements of enhances */
#define PRE (RPMSENSE_PREREQ | RPMSENSE_SCRIPT_PRE | RPMSENSE_SCRIPT_POST)
#define LIBC "libc.so.6"

enum kind {
	PROVIDES,
	REQUIRES,
	CONFLICTS,
	OBSOLETES,
	SUGGESTS,
	ENHANCES,
	RECOMMENDS,
	SUPPLEMENTS,
	KINDS
};
enum { OLD_SUGGESTS = KINDS, OLD_ENHANCES, LISTS };

static const struct {
	const char *element;
	rpmTagVal name, flags, version;
} kinds[LISTS] = {
	[PROVIDES] = { "provides", RPMTAG_PROVIDENAME, RPMTAG_PROVIDEFLAGS, RPMTAG_PROVIDEVERSION },
	[REQUIRES] = { "requires", RPMTAG_REQUIRENAME, RPMTAG_REQUIREFLAGS, RPMTAG_REQUIREVERSION },
	[CONFLICTS] = { "conflicts", RPMTAG_CONFLICTNAME, RPMTAG_CONFLICTFLAGS,
			RPMTAG_CONFLICTVERSION },
	[OBSOLETES] = { "obsoletes", RPMTAG_OBSOLETENAME, RPMTAG_OBSOLETEFLAGS,
			RPMTAG_OBSOLETEVERSION },
	[SUGGESTS] = { "suggests", RPMTAG_SUGGESTNAME, RPMTAG_SUGGESTFLAGS, RPMTAG_SUGGESTVERSION },
	[ENHANCES] = { "enhances", RPMTAG_ENHANCENAME, RPMTAG_ENHANCEFLAGS, RPMTAG_ENHANCEVERSION },
	[RECOMMENDS] = { "recommends", RPMTAG_RECOMMENDNAME, RPMTAG_RECOMMENDFLAGS,
			 RPMTAG_RECOMMENDVERSION },
	[SUPPLEMENTS] = { "supplements", RPMTAG_SUPPLEMENTNAME, RPMTAG_SUPPLEMENTFLAGS,
			  RPMTAG_SUPPLEMENTVERSION },
	[OLD_SUGGESTS] = { NULL, RPMTAG_OLDSUGGESTSNAME, RPMTAG_OLDSUGGESTSFLAGS,
			   RPMTAG_OLDSUGGESTSVERSION },
	[OLD_ENHANCES] = { NULL, RPMTAG_OLDENHANCESNAME, RPMTAG_OLDENHANCESFLAGS,
			   RPMTAG_OLDENHANCESVERSION },
};

/* struct relation - one of a list */
struct relation {
	const char *name, *version;
	const char *compare; /* "EQ" …, or "" */
	uint32_t flags;
	bool pre;
	enum { KEPT, DROPPED, MOVED, LIBC_KEPT } fate;
};

struct list {
	struct tag_values name, flags, version;
	struct relation *relation;
	uint32_t count;
};

struct relations {
	struct list list[LISTS];
	struct names names;
};

/* ---- loading ------------------------------------------------------------ */

static const char *compare_word(uint64_t flags)
{
	switch (flags & 15) {
	case RPMSENSE_LESS:
		return "LT";
	case RPMSENSE_GREATER:
		return "GT";
	case RPMSENSE_EQUAL:
		return "EQ";
	case RPMSENSE_LESS | RPMSENSE_EQUAL:
		return "LE";
	case RPMSENSE_GREATER | RPMSENSE_EQUAL:
		return "GE";
	default:
		return "";
	}
}

/* struct evr - pieces of "epoch:version-release", which need not all be there */
struct evr {
	const char *epoch, *version, *release;
	size_t epoch_length, version_length, release_length;
};

static bool evr_split(const char *text, struct evr *ret)
{
	const char *colon = strchr(text, ':'), *number = text, *dash;

	*ret = (struct evr){ 0 };
	if (!*text)
		return true;
	ret->epoch = "0";
	ret->epoch_length = 1;
	if (colon && colon != text) {
		while (isspace((unsigned char)*number))
			number++;
		if (*number == '-' || *number == '+')
			number++;
		if (!isdigit((unsigned char)*number) ||
		    number + strspn(number, "0123456789") != colon)
			return false;
		ret->epoch = text;
		ret->epoch_length = (size_t)(colon - text);
	}
	ret->version = colon ? colon + 1 : text;
	dash = strchr(ret->version, '-');
	ret->version_length = dash ? (size_t)(dash - ret->version) : strlen(ret->version);
	if (dash) {
		ret->release = dash + 1;
		ret->release_length = strlen(dash + 1);
	}
	return true;
}

/* Beyond what resolver/solve takes; it would take none of the repository then. */
static int too_large(unsigned int kind, const char *name, struct error *err)
{
	return error_set(err, -EBADMSG, BLAME_SOURCE, tag_word(kinds[kind].name),
			 "%s: «%.40s…» is too large to be solved", tag_word(kinds[kind].name),
			 name);
}

static int list_load(const struct tags *tags, unsigned int kind, struct list *list,
		     struct error *err)
{
	int r = tags_strings(tags, kinds[kind].name, UINT32_MAX, &list->name, err);

	if (r == 1)
		r = tags_numbers(tags, kinds[kind].flags, list->name.count, &list->flags, err);
	if (r == 1)
		r = tags_strings(tags, kinds[kind].version, list->name.count, &list->version, err);
	if (r <= 0)
		return r;
	list->count = list->name.count;
	list->relation = calloc(list->count, sizeof(*list->relation));
	if (!list->relation)
		return error_oom(err);
	for (uint32_t i = 0; i < list->count; i++) {
		struct relation *relation = &list->relation[i];
		struct evr evr;

		relation->name = tag_string(&list->name, i);
		relation->version = tag_string(&list->version, i);
		relation->flags = (uint32_t)tag_number(&list->flags, i);
		relation->compare = compare_word(relation->flags);
		relation->pre = kind == REQUIRES && relation->flags & PRE;
		relation->fate = evr_split(relation->version, &evr) ? KEPT : DROPPED;
		if (kind != PROVIDES && !boolean_fits(relation->name, kind == CONFLICTS))
			return too_large(kind, relation->name, err);
	}
	return 0;
}

void relations_free(struct relations *relations)
{
	if (!relations)
		return;
	for (unsigned int kind = 0; kind < LISTS; kind++) {
		tag_values_done(&relations->list[kind].name);
		tag_values_done(&relations->list[kind].flags);
		tag_values_done(&relations->list[kind].version);
		free(relations->list[kind].relation);
	}
	free(relations->names.item);
	free(relations->names.owned);
	free(relations);
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

bool *names_find(const struct names *names, const char *name)
{
	const char **found = names->count ? bsearch(&name, names->item, names->count,
						    sizeof(*names->item), compare_names)
					  : NULL;

	return found ? &names->owned[found - names->item] : NULL;
}

/* Those required names that primary would list as files, sorted, each once. */
static int names_load(const struct list *required, struct names *names, struct error *err)
{
	size_t count = 0;

	if (!required->count)
		return 0;
	names->item = calloc(required->count, sizeof(*names->item));
	names->owned = calloc(required->count, sizeof(*names->owned));
	if (!names->item || !names->owned)
		return error_oom(err);
	for (uint32_t i = 0; i < required->count; i++)
		if (path_is_primary(required->relation[i].name))
			names->item[count++] = required->relation[i].name;
	qsort(names->item, count, sizeof(*names->item), compare_names);
	for (size_t i = 0; i < count; i++)
		if (!i || strcmp(names->item[i], names->item[names->count - 1]) != 0)
			names->item[names->count++] = names->item[i];
	return 0;
}

int relations_load(const struct tags *tags, struct relations **ret, struct error *err)
{
	_cleanup_(relations_freep) struct relations *relations = calloc(1, sizeof(*relations));
	int r = relations ? 0 : error_oom(err);

	for (unsigned int kind = 0; r == 0 && kind < LISTS; kind++)
		r = list_load(tags, kind, &relations->list[kind], err);
	if (r == 0)
		r = names_load(&relations->list[REQUIRES], &relations->names, err);
	if (r == 0)
		*ret = steal(relations);
	return r;
}

struct names *relations_names(struct relations *relations)
{
	return &relations->names;
}

/* ---- which requirements are told of -------------------------------------- */

static int compare_words(const void *a, const void *b)
{
	const struct relation *x = *(struct relation *const *)a, *y = *(struct relation *const *)b;
	int order = strcmp(x->name, y->name);

	order = order ? order : strcmp(x->compare, y->compare);
	return order ? order : strcmp(x->version, y->version);
}

static int compare_places(const void *a, const void *b)
{
	const struct relation *x = *(struct relation *const *)a, *y = *(struct relation *const *)b;
	int order = strcmp(x->name, y->name);

	return order ? order : (x > y) - (x < y);
}

static struct relation **sorted(const struct list *list,
				int (*compare)(const void *a, const void *b))
{
	struct relation **order = calloc(list->count + (size_t)1, sizeof(*order));

	for (uint32_t i = 0; order && i < list->count; i++)
		order[i] = &list->relation[i];
	if (order)
		qsort(order, list->count, sizeof(struct relation *), compare);
	return order;
}

static bool is_owned(const struct names *names, const char *name)
{
	const bool *owned = names_find(names, name);

	return owned && *owned;
}

static int drop_what_it_has(struct relations *relations, struct error *err)
{
	struct list *requires = &relations->list[REQUIRES], *provides = &relations->list[PROVIDES];
	_cleanup_(freep) struct relation **provided = sorted(provides, compare_words);

	if (!provided)
		return error_oom(err);
	for (uint32_t i = 0; i < requires->count; i++) {
		struct relation *relation = &requires->relation[i];

		if (!strncmp(relation->name, "rpmlib(", 7) ||
		    is_owned(&relations->names, relation->name) ||
		    bsearch(&relation, provided, provides->count, sizeof(struct relation *),
			    compare_words))
			relation->fate = DROPPED;
	}
	return 0;
}

static bool says_the_same(const struct relation *a, const struct relation *b)
{
	return !strcmp(a->compare, b->compare) && !strcmp(a->version, b->version) &&
	       a->pre == b->pre;
}

/* What the last one of the same name said is not said again; what may be missing is moved. */
static int drop_what_was_said(struct list *requires, struct error *err)
{
	_cleanup_(freep) struct relation **order = sorted(requires, compare_places);
	const struct relation *last = NULL;

	if (!order)
		return error_oom(err);
	for (uint32_t i = 0; i < requires->count; i++) {
		struct relation *relation = order[i];

		if (last && strcmp(last->name, relation->name) != 0)
			last = NULL;
		if (relation->fate == DROPPED)
			continue;
		if (last && says_the_same(last, relation))
			relation->fate = DROPPED;
		else if (relation->flags & RPMSENSE_MISSINGOK)
			relation->fate = MOVED;
		else if (!strncmp(relation->name, LIBC, strlen(LIBC)))
			relation->fate = LIBC_KEPT;
		else
			last = relation;
	}
	return 0;
}

/* "libc.so.6(GLIBC_2.4)(64bit)" → 4 and "2.4"; what says less has a lower rank */
static int libc_rank(const char *name, char version[64])
{
	const char *open = strchr(name, '('), *close = open ? strchr(open, ')') : NULL, *digit;

	version[0] = '\0';
	if (!close)
		return open ? 1 : 0;
	if (close == open + 1)
		return 2;
	digit = open + 1 + strcspn(open + 1, "0123456789");
	if (digit > close)
		return 3;
	(void)snprintf(version, 64, "%.*s", (int)(close - digit), digit);
	return 4;
}

static const struct relation *highest_libc(const struct list *requires)
{
	const struct relation *highest = NULL;
	char best[64] = "", version[64];
	int best_rank = -1;

	for (uint32_t i = 0; i < requires->count; i++) {
		const struct relation *relation = &requires->relation[i];
		int rank;

		if (relation->fate != LIBC_KEPT)
			continue;
		rank = libc_rank(relation->name, version);
		if (rank > best_rank ||
		    (rank == 4 && best_rank == 4 && version_compare(version, best) > 0)) {
			highest = relation;
			best_rank = rank;
			memcpy(best, version, sizeof(best));
		}
	}
	return highest;
}

/* ---- writing ------------------------------------------------------------ */

static void add_piece(struct sink *sink, const char *name, const char *bytes, size_t length)
{
	if (!length)
		return;
	sink_addf(sink, " %s=\"", name);
	xml_attribute(sink, bytes, length);
	sink_adds(sink, "\"");
}

/* struct writer - an element that begins with its first entry */
struct writer {
	struct sink *sink;
	const char *element;
	bool any, open;
	const struct relation *too_long; /* the last one that is */
};

static void add(struct writer *writer, const struct relation *relation)
{
	struct sink *sink = writer->sink;
	size_t before;
	struct evr evr;

	writer->any = true;
	if (!*relation->name)
		return;
	if (!writer->open)
		sink_addf(sink, "    <rpm:%s>\n", writer->element);
	writer->open = true;
	before = sink->text.length;
	sink_adds(sink, "      <rpm:entry name=\"");
	xml_attribute(sink, relation->name, strlen(relation->name));
	sink_adds(sink, "\"");
	if (*relation->compare && evr_split(relation->version, &evr)) {
		add_piece(sink, "flags", relation->compare, strlen(relation->compare));
		add_piece(sink, "epoch", evr.epoch, evr.epoch_length);
		add_piece(sink, "ver", evr.version, evr.version_length);
		add_piece(sink, "rel", evr.release, evr.release_length);
	}
	sink_adds(sink, relation->pre && writer->element == kinds[REQUIRES].element
				? " pre=\"1\"/>\n"
				: "/>\n");
	if (sink->text.length - before > HEADER_MAX_RELATION)
		writer->too_long = relation;
}

static void add_all(struct writer *writer, const struct list *list, unsigned int fate,
		    uint32_t mask, uint32_t flags)
{
	for (uint32_t i = 0; i < list->count; i++)
		if (list->relation[i].fate == fate && (list->relation[i].flags & mask) == flags)
			add(writer, &list->relation[i]);
}

static int write_kind(const struct relations *relations, enum kind kind, struct sink *sink,
		      struct error *err)
{
	const struct list *list = relations->list;
	struct writer writer = { .sink = sink, .element = kinds[kind].element };
	const struct relation *libc = kind == REQUIRES ? highest_libc(&list[REQUIRES]) : NULL;

	if (kind == RECOMMENDS)
		add_all(&writer, &list[REQUIRES], MOVED, 0, 0);
	add_all(&writer, &list[kind], KEPT, 0, 0);
	if (libc)
		add(&writer, libc);
	if (kind == SUGGESTS || kind == RECOMMENDS)
		add_all(&writer, &list[OLD_SUGGESTS], KEPT, STRONG,
			kind == RECOMMENDS ? STRONG : 0);
	if (kind == ENHANCES || kind == SUPPLEMENTS)
		add_all(&writer, &list[OLD_ENHANCES], KEPT, STRONG,
			kind == SUPPLEMENTS ? STRONG : 0);
	if (writer.open)
		sink_addf(sink, "    </rpm:%s>\n", writer.element);
	else if (writer.any)
		sink_addf(sink, "    <rpm:%s/>\n", writer.element);
	return writer.too_long ? too_large(kind, writer.too_long->name, err) : 0;
}

int relations_write(struct relations *relations, struct sink *primary, struct error *err)
{
	int r = drop_what_it_has(relations, err);

	if (r == 0)
		r = drop_what_was_said(&relations->list[REQUIRES], err);
	for (enum kind kind = 0; r == 0 && kind < KINDS; kind++)
		r = write_kind(relations, kind, primary, err);
	return r;
}
