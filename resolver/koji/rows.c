/* SPDX-License-Identifier: MIT */
/* resolver/koji/rows.c: structs of one form out of a stream of events. */
#include "resolver/koji/rows.h"

static int bad(const struct rows *rows, const char *field, const char *why, struct error *err)
{
	return error_set(err, -EBADMSG, BLAME_SOURCE, field, "%s, row %" PRIu64 ": %s%s%s",
			 rows->what, rows->number + 1, field ? field : "", field ? " " : "", why);
}

static int start(struct rows *rows, struct error *err)
{
	rows->seen = 0;
	rows->next = 0;
	for (size_t i = 0; i < rows->field_count; i++) {
		struct row_cell *cell = &rows->cell[i];

		cell->given = false;
		cell->number = 0;
		text_clear(&cell->text);
		if (text_reserve(&cell->text, 0) < 0)
			return error_oom(err);
	}
	return 0;
}

static int end(struct rows *rows, struct error *err)
{
	int r;

	for (size_t i = 0; i < rows->field_count; i++)
		if (!(rows->seen >> i & 1) && !rows->field[i].optional)
			return bad(rows, rows->field[i].name, "is missing", err);
	r = rows->row(rows->data, rows->cell, err);
	if (r == -EBADMSG)
		return error_prefix(err, "%s, row %" PRIu64, rows->what, rows->number + 1);
	rows->number++;
	return r;
}

/* Members come in the same order in row after row; NULL: not one that is wanted. */
static const struct row_field *find(struct rows *rows, const char *member)
{
	for (size_t i = 0; i < rows->field_count; i++) {
		size_t at = (rows->next + i) % rows->field_count;

		if (strcmp(rows->field[at].name, member) == 0) {
			rows->next = at + 1;
			return &rows->field[at];
		}
	}
	return NULL;
}

static int set(struct rows *rows, const struct xmlrpc_event *event, struct error *err)
{
	const struct row_field *field = find(rows, event->member);
	struct row_cell *cell;
	char words[96];

	if (!field)
		return 0;
	cell = &rows->cell[field - rows->field];
	if (rows->seen >> (field - rows->field) & 1)
		return bad(rows, field->name, "is given twice", err);
	rows->seen |= 1u << (field - rows->field);
	if (event->type == XMLRPC_NIL && field->nil)
		return 0;
	if (event->type != field->type) {
		(void)snprintf(words, sizeof(words), "is %s, not %s", xmlrpc_type_name(event->type),
			       xmlrpc_type_name(field->type));
		return bad(rows, field->name, words, err);
	}
	cell->given = true;
	cell->number = event->number;
	if (event->text && text_add(&cell->text, event->text, event->length) < 0)
		return error_oom(err);
	return 0;
}

int rows_event(struct rows *rows, const struct xmlrpc_event *event, struct error *err)
{
	char words[96];

	if (event->depth == rows->depth + 1 && !event->end)
		return set(rows, event, err);
	if (event->depth != rows->depth)
		return 0; /* inside a member: nothing that is wanted */
	if (event->type != XMLRPC_STRUCT) {
		(void)snprintf(words, sizeof(words), "is %s, not a struct",
			       xmlrpc_type_name(event->type));
		return bad(rows, NULL, words, err);
	}
	return event->end ? end(rows, err) : start(rows, err);
}

void rows_done(struct rows *rows)
{
	for (size_t i = 0; i < ROW_FIELDS_MAX; i++)
		text_done(&rows->cell[i].text);
}
