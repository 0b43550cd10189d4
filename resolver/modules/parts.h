/* SPDX-License-Identifier: MIT */
/* resolver/modules/parts.h: what the files of this room share.
 *
 *   words.c     words of a request
 *   scan.c      documents in a text: where they are, what they are about (libyaml)
 *   document.c  one document in libmodulemd's hands
 *   module.c    struct module and lists of them
 *   texts.c koji.c mbs.c   the suppliers
 *   resolve.c   what a request means
 *   metadata.c  the file "modules" of a repository */
#pragma once

#include "resolver/modules/modules.h"

/* ---- scan.c ---- */

enum document_kind {
	DOCUMENT_OTHER,
	DOCUMENT_STREAM,
	DOCUMENT_DEFAULTS,
	DOCUMENT_OBSOLETES,
	DOCUMENT_TRANSLATIONS,
};

/** struct piece - a document's place in a text; @line: of its first byte, from 1 */
struct piece {
	const char *bytes;
	size_t length;
	unsigned int line;
};
/** piece_next() - the document that begins at @piece's end; start with { text, 0, 1 } */
bool piece_next(struct piece *piece, const char *end);

/** struct scanned - what a document is about; NULL: it does not say */
struct scanned {
	enum document_kind kind;
	char *name, *stream, *version, *context, *arch;
};
/** document_scan() - -EBADMSG, BLAME_SOURCE: refused; what was read till then is in @ret */
int document_scan(const struct piece *piece, struct scanned *ret, struct error *err);
void scanned_done(struct scanned *scanned);

/* ---- words.c ---- */

/** module_is_part() - could a word of a request name it: no blanks, no control characters, no sign
 * that means something elsewhere */
bool module_is_part(const char *text);
/** module_clean() - control characters become blanks: for words out of foreign texts */
void module_clean(char *words);

/* ---- document.c ---- */

/**
 * struct module_reading - how a document is read
 * @keep_arch: false: the document is for all arches
 * @origin: where it is from, for module_document.origin
 * @base_name: the base module to look for among build requirements; NULL: platform */
struct module_reading {
	bool keep_arch;
	const char *origin, *base_name;
};
/**
 * document_read() - a module out of one document of it
 * @expected: what it must say, where this is not NULL; a version or context that it does not say is
 * set
 *
 * -EBADMSG, BLAME_SOURCE: libmodulemd's reason */
int document_read(const struct piece *piece, const struct module_word *expected,
		  const struct module_reading *how, struct module **ret, struct error *err);
/** document_rename() - make it the module @name, which needs what it was */
int document_rename(struct module *module, const char *name, struct error *err);
/** document_write() - append it, as options of modules_yaml() say; nothing when it is for another
 * arch */
int document_write(const struct module *module, const struct module_document *document,
		   const struct modules_yaml_options *options, struct text *ret, struct error *err);
/** document_join() - append documents that are no modules, as libmodulemd writes them together
 * @refused: called for each that it refuses */
int document_join(const struct text *documents,
		  int (*refused)(void *data, const char *reason, struct error *err), void *data,
		  struct text *ret, struct error *err);

/* ---- module.c ---- */

/** module_list_merge() - as module_list_add(), but documents of one that is there go to it; of one
 * arch the first counts. Takes @module */
int module_list_merge(struct module_list *list, struct module *module, struct error *err);
void module_documents_done(struct module *module);
/** module_name() - nsvc of @module's parts into it */
int module_name(struct module *module, struct error *err);
/** module_version() - decimal below 2^64, without sign; -EINVAL */
int module_version(const char *text, uint64_t *ret);
/** module_base_version() - of a base module's stream, as MBS counts; -1: none */
int64_t module_base_version(const char *stream);
/** module_fits() - was it built for the base module that the query says? */
bool module_fits(const struct module *module, const struct module_query *query);
bool module_is_base(const struct strings *bases, const char *name);
/** module_koji_nvr() - "name-stream-version.context" with '_' for each '-' of the stream; malloc'ed
 */
char *module_koji_nvr(const struct module_word *word);
/** module_word_print() - "n:s[:v[:c]]" into words */
const char *module_word_print(const struct module_word *word, char *buffer, size_t size);
void module_say(const struct module_log *log, const char *format, ...) _printf_(2, 3);
