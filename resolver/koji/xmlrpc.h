/* SPDX-License-Identifier: MIT */
/* resolver/koji/xmlrpc.h: calls written, answers read as they come; the words of Koji's dialect are
 * in docs/contract/koji.md. Nothing here knows what a tag is. */
#pragma once

#include "core/base/base.h"

/* ---- calls ------------------------------------------------------------- */

/**
 * struct xmlrpc_call - a call while it is written; initialise with { 0 }, free @text with
 * text_done()
 * @r: what went wrong: -EINVAL for a text with control characters, which XML does not carry, and
 * for what is closed and was not open
 *
 * What is added stands where the writer is: a parameter, an item, or after xmlrpc_member() the
 * value of that member. Texts must be UTF-8. */
struct xmlrpc_call {
	struct text text;
	unsigned int depth;
	uint64_t structs; /* bit N: what is open at depth N + 1 is a struct */
	int r;
};

void xmlrpc_call_start(struct xmlrpc_call *call, const char *method);
void xmlrpc_add_nil(struct xmlrpc_call *call);
void xmlrpc_add_bool(struct xmlrpc_call *call, bool value);
void xmlrpc_add_int(struct xmlrpc_call *call, int64_t value); /* i8 beyond 32 bits */
void xmlrpc_add_double(struct xmlrpc_call *call, double value);
void xmlrpc_add_text(struct xmlrpc_call *call, const char *value);
void xmlrpc_open_array(struct xmlrpc_call *call);
void xmlrpc_close_array(struct xmlrpc_call *call);
void xmlrpc_open_struct(struct xmlrpc_call *call);
void xmlrpc_close_struct(struct xmlrpc_call *call);
void xmlrpc_member(struct xmlrpc_call *call, const char *name); /* then its value */
/** xmlrpc_open_keywords() - the struct of keyword arguments, closed like any other; it comes last
 */
void xmlrpc_open_keywords(struct xmlrpc_call *call);
/** xmlrpc_open_inner() - one call inside the array that multiCall takes; its parameters follow */
void xmlrpc_open_inner(struct xmlrpc_call *call, const char *method);
void xmlrpc_close_inner(struct xmlrpc_call *call);
/** xmlrpc_call_end() - 0: @text is complete; -EINVAL, BLAME_US; -ENOMEM */
int xmlrpc_call_end(struct xmlrpc_call *call, struct error *err);

/* ---- answers ----------------------------------------------------------- */

#define XMLRPC_MAX_DEPTH 64		     /* arrays and structs inside each other */
#define XMLRPC_MAX_TEXT (16u << 20)	     /* bytes of one string or name */
#define XMLRPC_MAX_BYTES (UINT64_C(1) << 30) /* of an answer */
#define XMLRPC_MAX_TOKEN (128u * 1024)	     /* bytes of a tag or comment */
#define XMLRPC_MAX_SPACE (1u << 20)	     /* white space between two tags */

enum xmlrpc_type {
	XMLRPC_NIL,
	XMLRPC_BOOLEAN,
	XMLRPC_INT, /* int, i4, i8 */
	XMLRPC_DOUBLE,
	XMLRPC_TEXT,   /* string, also without a type */
	XMLRPC_TIME,   /* dateTime.iso8601, not looked into */
	XMLRPC_BASE64, /* as it came, not decoded */
	XMLRPC_ARRAY,
	XMLRPC_STRUCT,
};

/** xmlrpc_type_name() - "nil", "a whole number"… for words */
const char *xmlrpc_type_name(enum xmlrpc_type type);

/**
 * struct xmlrpc_event - a value; or an array or struct begins or, with @end, ends
 * @depth:  arrays and structs around it; 0: the result itself
 * @index:  place in the array or struct around it
 * @member: name in the struct around it, else NULL; not set for an end
 * @number: boolean, int
 * @text:   text, time, base64: @length bytes of UTF-8 and a NUL; for the length of the call only */
struct xmlrpc_event {
	enum xmlrpc_type type;
	bool end;
	unsigned int depth;
	uint64_t index;
	const char *member;
	int64_t number;
	double real;
	const char *text;
	size_t length;
};

/** struct xmlrpc_handler - who is told; negative errno with words ends the reading */
struct xmlrpc_handler {
	int (*event)(void *data, const struct xmlrpc_event *event, struct error *err);
	void *data;
};

/** struct xmlrpc_fault - what the hub refused with; @words are one line */
struct xmlrpc_fault {
	int64_t code;
	char words[400];
};

/** xmlrpc_fault_event() - take code and words out of the events of a struct at @depth */
void xmlrpc_fault_event(struct xmlrpc_fault *fault, const struct xmlrpc_event *event,
			unsigned int depth);

struct xmlrpc_decoder;

int xmlrpc_decoder_new(const struct xmlrpc_handler *handler, struct xmlrpc_decoder **ret,
		       struct error *err);
void xmlrpc_decoder_free(struct xmlrpc_decoder *decoder);
DEFINE_FREEP(struct xmlrpc_decoder, xmlrpc_decoder_free)

/** xmlrpc_feed() - the next bytes of the answer. BLAME_SOURCE: -EBADMSG, or -EMSGSIZE beyond a
 * limit above; then feeding again gives the same. Bytes are gathered: an event may come later than
 * them */
int xmlrpc_feed(struct xmlrpc_decoder *decoder, const void *bytes, size_t length,
		struct error *err);
/** xmlrpc_finish() - nothing comes any more
 * -EREMOTEIO: the answer was a fault: @ret_fault is set, and the words of @err are its words */
int xmlrpc_finish(struct xmlrpc_decoder *decoder, struct xmlrpc_fault *ret_fault,
		  struct error *err);

/* ---- small answers as a whole ------------------------------------------ */

/** struct xmlrpc_value - one value; @item are those of an array or struct, the latter with @member
 */
struct xmlrpc_value {
	enum xmlrpc_type type;
	char *member, *text; /* text, time, base64 */
	size_t length;	     /* of @text */
	int64_t number;
	double real;
	struct xmlrpc_value *item;
	size_t count, room;
};

/**
 * struct xmlrpc_tree - an answer being kept; initialise with xmlrpc_tree_init()
 * @value: the result, once the decoder has finished; of two members with one name the later is
 * found */
struct xmlrpc_tree {
	struct xmlrpc_value value;
	struct xmlrpc_value *open[XMLRPC_MAX_DEPTH + 1];
	size_t bytes, bytes_max;
};

void xmlrpc_tree_init(struct xmlrpc_tree *tree, size_t bytes_max);
/** xmlrpc_tree_event() - handler; -EMSGSIZE when it takes more than bytes_max of memory */
int xmlrpc_tree_event(void *tree, const struct xmlrpc_event *event, struct error *err);
void xmlrpc_tree_done(struct xmlrpc_tree *tree);
/** xmlrpc_find() - a member of a struct, or NULL */
const struct xmlrpc_value *xmlrpc_find(const struct xmlrpc_value *value, const char *member);
