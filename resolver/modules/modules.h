/* SPDX-License-Identifier: MIT */
/* resolver/modules/modules.h: the door to modules: which there are, what a request for some of them
 * means, what they need, and the metadata that a repository says of them.
 *
 * The rules are odcs-api.md 6.2; how it goes together is in docs/modules.md. Everything parsed here
 * is foreign: only in a worker. One thread per object.
 *
 *   words ─► modules_parse_source() ─┐
 *   repositories' modules.yaml ──────┤ suppliers                      ┌─► packages: struct module
 *   Koji tags ───────────────────────┼──────────► modules_resolve() ──┤
 *   MBS ─────────────────────────────┘             struct module_set  └─► modules_yaml()
 */
#pragma once

#include "resolver/koji/hub.h"

#define MODULES_MAX_TEXT                                                                           \
	(128u << 20) /* bytes of one repository's documents, or of an answer of MBS */
#define MODULES_MAX_DOCUMENT (8u << 20) /* bytes of one document */
#define MODULES_MAX_DOCUMENTS 100000u	/* of one repository */
#define MODULES_MAX_DEPTH 64u		/* lists and mappings inside each other, in a document */
#define MODULES_MAX_KEYS 10000u		/* in one mapping of a document: libmodulemd's are lists */
#define MODULES_MAX_NODES 100000u	/* keys, values and members of lists of one document */
#define MODULES_MAX_STREAMS 10000u	/* of a module that another needs */
#define MODULES_MAX_CHOSEN 10000u	/* modules of one compose */
#define MODULES_MAX_EXTRAS 1000u	/* documents beside one module, of one supplier */
#define MODULES_MAX_NEVRA 1024u		/* bytes of an artifact */
#define MODULES_MAX_SOURCE 1000000u	/* bytes of module_set.source: it can be asked for again */
#define MODULES_MAX_READINGS 16u	/* of a word in dash form */

/**
 * struct module_config - what the site says of modules ([module] of the configuration); borrowed
 * @repos: module.repos: modular repositories, absolute paths (later URLs); for the caller, who
 * opens them and hands in what they say
 * @mbs: module.mbs: URL of a Module Build Service, without "/1"; NULL: none
 * @base_modules: module.base_modules: never in a compose; NULL: platform and bootstrap
 * @timeout_ms: module.timeout: for one question to MBS with its repetitions; 0: 120 s */
struct module_config {
	const struct strings *repos;
	const char *mbs;
	const struct strings *base_modules;
	int64_t timeout_ms;
};

/* ---- words ------------------------------------------------------------- */

/** struct module_word - one reading; NULL: not said. @version is a decimal number below 2^64 */
struct module_word {
	const char *name, *stream, *version, *context;
};

/**
 * struct module_wish - a word of the request and how it can be read
 * @reading: with ':' there is one. In the seed's form, name-stream[-version], as many as there are
 * places for the dashes; modules_resolve() takes the one that exists, and refuses when several do
 */
struct module_wish {
	char *text;
	struct module_word *reading; /* into @parts */
	size_t reading_count;
	struct strings parts;
};
struct module_wishes {
	struct module_wish *wish;
	size_t count;
};
/**
 * modules_parse_source() - white-space separated words, in each of @words as well; each once
 * -EINVAL (BLAME_REQUEST, "source.source"): a word that is none, a version that is no number */
int modules_parse_source(const struct strings *words, struct module_wishes *ret, struct error *err);
void module_wishes_done(struct module_wishes *wishes);

/* ---- modules ----------------------------------------------------------- */

/**
 * struct module_document - what one document says of a module
 * @arch: "x86_64"; NULL: the document is for all (MBS, Koji)
 * @artifacts: NEVRAs with epoch, also of source packages, sorted; often none in what Koji and MBS
 * say: then the RPMs are those of the module's @koji_tag
 * @demodularized: names of packages that the module gave up, sorted
 * @filtered: names of packages that were built for it and are not of it, sorted
 * @yaml: the document, read and written again by libmodulemd (form 2), with "---"
 * @origin: label of the repository, the Koji tag or the URL of MBS */
struct module_document {
	char *arch;
	struct strings artifacts, demodularized, filtered;
	char *yaml, *origin;
};

/**
 * struct module_requirement - modules needed at run time
 * @streams: sorted; any of these; "-STREAM": not that one; empty: any
 * @set: requirements of one number belong together; a module that has several needs the modules of
 * one of them, but gets all that can be had */
struct module_requirement {
	char *name;
	struct strings streams;
	unsigned int set;
};

/**
 * struct module - one n:s:v:c; strings are never NULL unless it says so
 * @context: "" when the document has none
 * @nsvc: "name:stream:version:context"; with "" as context "name:stream:version"
 * @base_name, @base_stream: the base module it was built for, or NULL
 * @base_version: of @base_stream, as MBS counts: el8.1.0 is 80100, f29 is 290000; -1: none
 * @koji_tag: content_koji_tag; NULL: not known
 * @why: "requested", "scratch", or nsvc of the module that needs it
 * @wish: word of the request, for "requested"; else NULL
 * @supplier: its place in the list that was given to modules_resolve() */
struct module {
	char *name, *stream, *context, *nsvc;
	uint64_t version;
	struct module_document *document;
	size_t document_count;
	struct module_requirement *requirement;
	size_t requirement_count;
	char *base_name, *base_stream;
	int64_t base_version;
	char *koji_tag;
	char *why, *wish;
	size_t supplier;
};
void module_free(struct module *module);
DEFINE_FREEP(struct module, module_free)

/** struct module_list - owned modules; initialise with { 0 } */
struct module_list {
	struct module **item;
	size_t count, room;
};
void module_list_done(struct module_list *list);
/** module_list_add() - @module is owned by the list at success */
int module_list_add(struct module_list *list, struct module *module, struct error *err);

/* ---- suppliers --------------------------------------------------------- */

/** struct module_log - where words go that are no error: documents left out, questions repeated */
struct module_log {
	void (*write)(void *data, const char *text); /* may be NULL */
	void *data;
};

/**
 * struct module_query - what to look for; borrowed
 * @word: stream NULL: each stream that there is
 * @done: take also what is done and not ready (MBS)
 * @scratch: among scratch builds (MBS)
 * @base_name, @base_stream: NULL: any
 * @base_lte, @base_gte: -1: any */
struct module_query {
	struct module_word word;
	bool done, scratch;
	const char *base_name, *base_stream;
	int64_t base_lte, base_gte;
};

struct module_supplier;

/**
 * struct module_supplier_ops - one kind of supplier
 * @find: append, for each stream, the newest version that there is, with all its contexts; of a
 * word with a version that one. Newest first. None: 0 and nothing is added. A document of them that
 *        libmodulemd refuses: -EBADMSG (BLAME_SOURCE) with its place and reason
 * @extra: append documents (defaults, obsoletes, translations) about @name, each ended by a
 *         "..." line; NULL: there never are any
 * @lacking: words for "not found", after odcs-api.md 4
 * @expands: requirements are followed also with no_deps, of base modules only platform is left
 *           out, and suppliers behind it are asked for scratch modules only (Koji: odcs-api.md 6.2)
 * @scratch: knows scratch builds (MBS)
 * @same_base: requirements are looked for among what was built for the same major version of the
 * base module (MBS)
 * @devel: "NAME-devel" may be made of NAME (MBS) */
struct module_supplier_ops {
	int (*find)(struct module_supplier *supplier, const struct module_query *query,
		    struct module_list *list, struct error *err);
	int (*extra)(struct module_supplier *supplier, const char *name, struct text *ret,
		     struct error *err);
	void (*lacking)(struct module_supplier *supplier, const struct module_query *query,
			const char *text, struct text *ret);
	void (*free)(struct module_supplier *supplier);
	bool expands, scratch, same_base, devel;
};
/** struct module_supplier - first member of each kind's own struct */
struct module_supplier {
	const struct module_supplier_ops *ops;
};
void module_supplier_free(struct module_supplier *supplier);
DEFINE_FREEP(struct module_supplier, module_supplier_free)

/** struct module_text - all that one repository says of modules (snapshot_modules()); borrowed
 * @label: for words and as module_document.origin */
struct module_text {
	const char *label;
	const char *bytes;
	size_t length;
};
/**
 * modules_from_texts() - what repositories say: the first of them counts for a document that
 * several have
 *
 * Documents that are no YAML, or that nobody can ask for, are left out with a line in the log.
 * Texts are looked through, copied and indexed here; libmodulemd gets a document when it is asked
 * for. -EFBIG, BLAME_SOURCE: beyond a limit above */
int modules_from_texts(const struct module_text *texts, size_t count, struct module_log log,
		       struct module_supplier **ret, struct error *err);

/**
 * struct module_koji - where a hub is asked
 * @hub: borrowed, must live as long as the supplier
 * @tags: in order: the first that has a stream wins. Borrowed for the call
 * @event: HUB_NOW, or one that exists
 * @inherit: false with no_inheritance */
struct module_koji {
	struct hub *hub;
	const struct strings *tags;
	int64_t event;
	bool inherit;
	struct module_log log;
};
/** modules_from_koji() - asks nothing yet */
int modules_from_koji(const struct module_koji *koji, struct module_supplier **ret,
		      struct error *err);

/**
 * struct module_mbs - how MBS is spoken to
 * @url: without "/1"; copied
 * @transport: transport_http(); not owned
 * @call_ms: for one question with its repetitions; 0: 120 s
 * @deadline_ms: time_monotonic_ms() when everything must be over; 0: none
 * @pause_ms: before the first repetition, then growing; 0: 500 ms */
struct module_mbs {
	const char *url;
	struct transport *transport;
	int64_t call_ms, deadline_ms, pause_ms;
	struct module_log log;
};
/** modules_from_mbs() - asks nothing yet. Of each answer the first page is read, as upstream does
 */
int modules_from_mbs(const struct module_mbs *mbs, struct module_supplier **ret, struct error *err);

/* ---- what a request means ---------------------------------------------- */

/**
 * struct modules_question - a request; borrowed
 * @scratch: scratch_modules; needs a supplier that knows scratch builds (MBS). NULL: none
 * @base_modules: NULL: platform and bootstrap
 * @flags: enum compose_flag; FLAG_NO_DEPS, FLAG_INCLUDE_DONE_MODULES count
 * @base_name…: base_module_br_*; NULL and -1: any */
struct modules_question {
	const struct module_wishes *wishes;
	const struct module_wishes *scratch;
	const struct strings *base_modules;
	int flags;
	const char *base_name, *base_stream;
	int64_t base_lte, base_gte;
	struct module_log log;
};

/** struct module_set - what is in a compose; sorted by nsvc
 * @source: the record's source: sorted full words joined by blanks, scratch modules not among them
 */
struct module_set {
	struct module **module;
	size_t count;
	char *source;
};

/**
 * modules_resolve() - the modules asked for and, recursively, those they need
 * @suppliers: in order; for each word and each requirement the first that finds any answers
 *
 * -ENOENT, BLAME_REQUEST: no such module; BLAME_SOURCE: one that another needs, named in the words.
 * -EINVAL, BLAME_REQUEST: "A conflicts with B"; a word with several readings, which are listed.
 * -E2BIG: more than MODULES_MAX_CHOSEN, a longer source than MODULES_MAX_SOURCE. And what suppliers return. */
int modules_resolve(const struct modules_question *question,
		    struct module_supplier *const *suppliers, size_t supplier_count,
		    struct module_set **ret, struct error *err);
void module_set_free(struct module_set *set);
DEFINE_FREEP(struct module_set, module_set_free)

/** module_set_find() - by its full nsvc; NULL */
const struct module *module_set_find(const struct module_set *set, const char *nsvc);

/**
 * modules_yaml() - the metadata file "modules" of a repository: documents, defaults, obsoletes and
 * translations of the set, written by libmodulemd; same set, same bytes
 * @arch: documents of other arches are left out; NULL: none is
 * @artifact: may be NULL; whether a NEVRA is in the repository: artifacts that are not are left
 * out. With what Koji and MBS say, artifacts may also be given with @add
 * @add: may be NULL; called once for each document, appends NEVRAs that its module has
 *
 * The text is "" for a set without modules of that arch. */
struct modules_yaml_options {
	const char *arch;
	bool (*artifact)(void *data, const struct module *module, const char *nevra);
	int (*add)(void *data, const struct module *module, struct strings *nevras);
	void *data;
	struct module_log log;
};
int modules_yaml(const struct module_set *set, struct module_supplier *const *suppliers,
		 size_t supplier_count, const struct modules_yaml_options *options,
		 struct text *ret, struct error *err);
