/* SPDX-License-Identifier: MIT */
/* rest/routes.h: one row for each path: who answers, and what may be asked and answered there.
 *
 * The same rows dispatch a request, make the OpenAPI document and the page at /api/1/, and judge
 * each answer that goes out: one that its row does not name is written into the log as our fault.
 */
#pragma once

#include "core/base/base.h"

#define TYPE_JSON "application/json"
#define TYPE_HTML "text/html; charset=utf-8"
#define TYPE_METRICS "text/plain; version=0.0.4; charset=utf-8"
#define TYPE_EVENTS "text/event-stream"
#define TYPE_ICON "image/svg+xml"

struct exchange;
typedef int exchange_handler(struct exchange *ex);

/** struct parameter - what a handler reads from the query or from a header; a NULL name ends a list
 */
struct parameter {
	const char *name;
	enum parameter_kind {
		PARAMETER_TEXT,
		PARAMETER_NUMBER,      /* from 0 to @most */
		PARAMETER_STATE,       /* by number */
		PARAMETER_SOURCE_TYPE, /* by number */
		PARAMETER_ORDER,       /* order_word(), with or without "-" */
		PARAMETER_HEADER,
	} kind;
	int64_t most;
	size_t place; /* filter.c: in struct compose_query */
	bool required;
	const char *meaning;
};

/** struct reply - an answer that is no error */
struct reply {
	unsigned int status; /* 0 ends the list */
	const char *type;    /* NULL: no body */
	const char *schema;  /* of the body, in openapi.c; NULL: any */
	const char *meaning;
	bool files; /* instead of @type those of file_types() */
	bool cors;
	const char *header; /* that always comes with it, or NULL */
};

#define REPLIES_MAX 8
#define ERRORS_MAX 6

/** struct operation - one method of one path */
struct operation {
	exchange_handler *run;
	bool lent;	/* run in a lent thread (rest/work.h) */
	const char *id; /* in the document */
	const char *summary;
	enum body { BODY_NONE, BODY_REQUEST, BODY_REQUEST_SEED, BODY_RENEWAL, BODY_PACKAGES } body;
	const struct parameter *parameters[3]; /* lists */
	struct reply replies[REPLIES_MAX];
	/* beside those that every operation may answer */
	unsigned int errors[ERRORS_MAX];
};

/** struct route - one row of the table */
struct route {
	const char *path; /* with its trailing slash */
	enum route_form {
		ROUTE_PLAIN,  /* the path itself; GET without the slash: 308 */
		ROUTE_EITHER, /* the path itself, with and without the slash */
		ROUTE_EXACT,  /* the path itself, nothing else */
		ROUTE_ID,     /* path + digits */
		ROUTE_TREE,   /* path + anything; without the slash: 301 */
	} form;
	bool seed; /* answers in JSON_SEED, {"id": N} renews */
	bool html; /* a page: GET is answered with HTML, also when something is wrong */
	const struct operation *get, *post, *patch, *remove;
};

/** route_at() - row @i of the table (table.c), NULL behind the last one */
const struct route *route_at(size_t i);
/** route_errors() - the statuses of errors that every operation may answer; ended by 0 */
const unsigned int *route_errors(void);

/* Lists of parameters, where they are read. */
extern const struct parameter filter_parameters[], page_parameters[]; /* filter.c */
extern const struct parameter wait_parameters[];		      /* composes.c */
extern const struct parameter event_parameters[];		      /* wait.c */
extern const struct parameter package_parameters[];		      /* page_packages.c */
extern const struct parameter file_parameters[];		      /* send.c */
extern const struct parameter cache_parameters[];		      /* packages.c */
extern const struct parameter document_parameters[];		      /* openapi.c */

const char *order_word(size_t i); /* filter.c; NULL behind the last one */
const char *file_types(size_t i); /* send.c; NULL behind the last one */
