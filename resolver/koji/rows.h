/* SPDX-License-Identifier: MIT */
/* resolver/koji/rows.h: structs of one form out of a stream of events: the fields that are wanted,
 * each of its type. */
#pragma once

#include "resolver/koji/xmlrpc.h"

#define ROW_FIELDS_MAX 16

/**
 * struct row_field - one member
 * @type: XMLRPC_INT, XMLRPC_BOOLEAN or XMLRPC_TEXT
 * @optional: may be missing
 * @nil: may be nil, which is then the same as missing */
struct row_field {
	const char *name;
	enum xmlrpc_type type;
	bool optional, nil;
};

/** struct row_cell - what a row says; @text is never NULL */
struct row_cell {
	bool given;
	int64_t number;
	struct text text;
};

/**
 * struct rows - a reader of such structs; set the first part, the rest to 0; end with rows_done()
 * @what: for words: "rpms"
 * @depth: of the structs themselves
 * @row: told at the end of each; @cell[N] is @field[N]'s */
struct rows {
	const char *what;
	const struct row_field *field;
	size_t field_count;
	unsigned int depth;
	int (*row)(void *data, struct row_cell *cell, struct error *err);
	void *data;

	uint64_t number;
	size_t next; /* the field that comes next, if this row is like the last one */
	uint32_t seen;
	struct row_cell cell[ROW_FIELDS_MAX];
};

/** rows_event() - an event at @depth or deeper; -EBADMSG names row and field */
int rows_event(struct rows *rows, const struct xmlrpc_event *event, struct error *err);
void rows_done(struct rows *rows);
