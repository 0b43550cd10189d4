/* SPDX-License-Identifier: MIT */
/* core/model/private.h: what only the files of this room share: JSON text in, Python's repr out,
 * the tables of words, and the judge that collects problems. */
#pragma once

#include "core/model/model.h"

#include <locale.h>

/* ---- words ------------------------------------------------------------- */

/** struct named_bit - one row of a table of words; a NULL name ends the table */
struct named_bit {
	const char *name;
	int bit;
};

extern const struct named_bit flag_words[], result_words[], multilib_words[];
int named_bit_find(const struct named_bit *words, const char *name); /* -EINVAL */

/* ---- JSON text --------------------------------------------------------- */

#define JSON_WHY_SIZE 160

/**
 * json_text_load() - parse one JSON value, of at most SPEC_MAX_DEPTH levels, without recursion
 * first
 * @ret_why: words when it fails, save -ENOMEM ("line 2, column 5: …"), always valid UTF-8
 *
 * 0; -EAGAIN: a proper prefix of an object (or nothing yet); -EINVAL: not JSON; -ENOTSUP: JSON that
 * is too deep, has a member twice, a NUL character or a real number that no double holds; -ENOMEM.
 * An integer outside 64 bits becomes the nearest one inside. */
int json_text_load(const char *text, size_t length, json_t **ret,
		   char ret_why[static JSON_WHY_SIZE]);

/** json_print() - append the compact form (sorted keys, ASCII only); 0 or -ENOMEM */
int json_print(const json_t *json, struct text *ret);

/** json_any_text() - a string of JSON out of any bytes: what is no UTF-8 becomes U+FFFD */
json_t *json_any_text(const char *text);

/** utf8_next() - code point at @at (< @end), its length in @ret_length; -1 when it is no UTF-8 */
int32_t utf8_next(const char *at, const char *end, size_t *ret_length);
/** utf8_cut() - greatest length <= @limit that does not split a character of @text */
size_t utf8_cut(const char *text, size_t limit);

/** python_repr() - as Python 3 prints a value that came from JSON; @locale: for printability */
void python_repr(const json_t *value, locale_t locale, struct text *ret);
/** python_int() - int() of a JSON value: 0, or -EINVAL; saturates at the ends of 64 bits */
int python_int(const json_t *value, int64_t *ret);

#define MODULE_PACKAGES "Exact packages cannot be set for MODULE source type."

/* ---- judging ----------------------------------------------------------- */

/**
 * struct judge - collects what is wrong with one text
 * @problems: borrowed, may be NULL: gets a line per problem
 * @err:      borrowed, may be NULL: gets the first problem
 * @code:     of the first problem; 0 while there is none
 *
 * Checks go on after a problem, so that the user sees all of them at once. */
struct judge {
	struct text *problems;
	struct error *err;
	locale_t locale; /* UTF-8 character classes, made when first needed */
	unsigned int count;
	int code;
};

void judge_done(struct judge *judge);
void judge_say(struct judge *judge, int code, const char *field, const char *format, ...)
	_printf_(4, 5);
void judge_oom(struct judge *judge);
/** judge_repr() - malloc'ed repr of @value, NULL when out of memory (said) */
char *judge_repr(struct judge *judge, const json_t *value);

/** body_judge() - the recursive value check, odcs-api.md 2.7, over the members of @container */
void body_judge(struct judge *judge, const json_t *container);
/** body_said() - did body_judge() already say that member @key has the wrong type? */
bool body_said(const char *key, const json_t *value);
/** body_load() - size limit and json_text_load() with the words of odcs-api.md 2.6 rule 2, or with
 * @strict where the text is broken */
int body_load(const char *text, size_t length, bool strict, json_t **ret, struct judge *judge);
/** lifetime_judge() - odcs-api.md 3.1 */
int64_t lifetime_judge(struct judge *judge, const json_t *body, const struct spec_rules *rules);

/* ---- reading a request ------------------------------------------------- */

/**
 * struct reader - one request on its way
 * @body:   the whole of it
 * @source: where the members of `source` are; the body itself in the flat form
 * @prefix: of their names in messages: "source." or "" */
struct reader {
	struct judge judge;
	const struct spec_rules *rules;
	const json_t *body;
	const json_t *source;
	const char *prefix;
	struct spec *spec;
};

/** struct member - what may stand in a request: judged, read and documented by this table
 * @everywhere: odcs-api.md 2.7 a to c: a member of that name has that type at any depth
 * @words:      of a list's elements; NULL: any
 * @most:       elements of a list; 0: SPEC_MAX_WORDS */
struct member {
	const char *name;
	enum member_kind {
		MEMBER_STRING,
		MEMBER_TYPE,	/* a source type's name */
		MEMBER_INTEGER,
		MEMBER_SECONDS, /* whatever Python's int() takes */
		MEMBER_LIST,	/* of strings */
		MEMBER_FLAG,	/* true or false */
		MEMBER_SOURCE,	/* the object with source_members, in the flat form the string */
	} kind;
	bool everywhere;
	const struct named_bit *words;
	size_t most;
	const char *meaning;
};

#define MEMBERS_MAX 32 /* at least as many as there are in both tables, and source_type */
extern const struct member body_members[], source_members[]; /* "type" is the first of these */
const struct member *member_find(const struct member *members, const char *key);

/** body_signs - what a string may hold beside letters and digits */
extern const char body_signs[];

bool reader_is_flat(const struct reader *reader);
/** reader_field() - the name of member @key of @object in messages */
void reader_field(const struct reader *reader, const json_t *object, const char *key,
		  char ret[static ERROR_FIELD_SIZE]);
/** read_known_members() - tree.md 2.4: refuse members that nobody knows */
void read_known_members(struct reader *reader);
/** list_suffix() - what follows "at most N are allowed" where the limit is the site's; else "" */
const char *list_suffix(const struct reader *reader, const char *key, size_t limit,
			char ret[static LIMIT_SUFFIX_SIZE]);
/** read_list() - the list of strings @key; NULL when it is absent or was refused */
const json_t *read_list(struct reader *reader, const json_t *object, const char *key, size_t limit);
/** read_words() - the elements of list @key, cut at blanks since the record joins them by blanks.
 * An empty element means nothing, save with @keep_empty. Returns whether the member is there. */
bool read_words(struct reader *reader, const json_t *object, const char *key, struct strings *ret,
		bool keep_empty);
/** read_text() - the string @key; NULL when it is absent, empty or was refused */
const char *read_text(struct reader *reader, const json_t *object, const char *key);
void read_string(struct reader *reader, const json_t *object, const char *key, char **ret);
/** is_latest_name() - may it be struct spec's @latest? */
bool is_latest_name(const char *name);
#define LATEST_CHARACTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_."
/** read_number() - the integer @key; -1 when it is absent or was refused */
int64_t read_number(struct reader *reader, const json_t *object, const char *key);

/** struct collector - appends words not seen before; { .list = … } before, collected() after. Long
 * lists are compared by hash: a user chooses the length. */
struct collector {
	struct strings *list;
	json_t *seen;
	bool failed;
};

void collect_words(struct collector *collector, const char *string); /* cut at single blanks */
void collected(struct reader *reader, struct collector *collector);

/* ---- lists, names ------------------------------------------------------ */

json_t *words_to_json(const struct strings *words);	      /* new reference or NULL */
int words_from_json(const json_t *list, struct strings *ret); /* appends; -EBADMSG, -ENOMEM */
/** compose_type_suffix() - ".t" for "test" and so on; NULL for what productmd does not know */
const char *compose_type_suffix(const char *compose_type);
/** compose_result_repo() - malloc'ed URL of compose/Temporary, "" where upstream shows none, NULL
 */
char *compose_result_repo(const struct compose *compose, const char *base_url);
/** compose_arches() - words of what the record shows, else of the request; appended; 0 or -ENOMEM
 */
int compose_arches(const struct compose *compose, struct strings *ret);
