/* SPDX-License-Identifier: MIT */
/* resolver/koji/tree.c: a small answer kept as a whole, within a bound of memory. */
#include "resolver/koji/xmlrpc.h"

void xmlrpc_tree_init(struct xmlrpc_tree *tree, size_t bytes_max)
{
	*tree = (struct xmlrpc_tree){ .bytes_max = bytes_max };
}

static void value_done(struct xmlrpc_value *value)
{
	for (size_t i = 0; i < value->count; i++)
		value_done(&value->item[i]); /* not deeper than XMLRPC_MAX_DEPTH */
	free(value->item);
	free(value->member);
	free(value->text);
}

void xmlrpc_tree_done(struct xmlrpc_tree *tree)
{
	value_done(&tree->value);
	tree->value = (struct xmlrpc_value){ 0 };
}

static int spend(struct xmlrpc_tree *tree, size_t bytes, struct error *err)
{
	if (bytes > tree->bytes_max - tree->bytes)
		return error_set(err, -EMSGSIZE, BLAME_SOURCE, NULL,
				 "an answer that takes more than %zu bytes", tree->bytes_max);
	tree->bytes += bytes;
	return 0;
}

/* Room for one item more; those that are open inside it are none yet, so it may move. */
static int item_new(struct xmlrpc_tree *tree, struct xmlrpc_value *parent,
		    struct xmlrpc_value **ret, struct error *err)
{
	if (parent->count == parent->room) {
		size_t room = parent->room ? parent->room * 2 : 4;
		int r = spend(tree, (room - parent->room) * sizeof(*parent), err);
		struct xmlrpc_value *item;

		if (r < 0)
			return r;
		item = reallocarray(parent->item, room, sizeof(*item));
		if (!item)
			return error_oom(err);
		parent->item = item;
		parent->room = room;
	}
	*ret = &parent->item[parent->count++];
	**ret = (struct xmlrpc_value){ 0 };
	return 0;
}

static int copy_text(struct xmlrpc_tree *tree, const char *text, size_t length, char **ret,
		     struct error *err)
{
	int r = spend(tree, length + 1, err);

	if (r < 0)
		return r;
	*ret = strndup(text, length);
	return *ret ? 0 : error_oom(err);
}

int xmlrpc_tree_event(void *data, const struct xmlrpc_event *event, struct error *err)
{
	struct xmlrpc_tree *tree = data;
	struct xmlrpc_value *value = &tree->value;
	int r = 0;

	if (event->end)
		return 0;
	if (event->depth > 0)
		r = item_new(tree, tree->open[event->depth - 1], &value, err);
	if (r < 0)
		return r;
	value->type = event->type;
	value->number = event->number;
	value->real = event->real;
	value->length = event->length;
	tree->open[event->depth] = value;
	if (event->member)
		r = copy_text(tree, event->member, strlen(event->member), &value->member, err);
	if (r == 0 && event->text)
		r = copy_text(tree, event->text, event->length, &value->text, err);
	return r;
}

const struct xmlrpc_value *xmlrpc_find(const struct xmlrpc_value *value, const char *member)
{
	for (size_t i = value->type == XMLRPC_STRUCT ? value->count : 0; i > 0; i--)
		if (strcmp(value->item[i - 1].member, member) == 0)
			return &value->item[i - 1];
	return NULL;
}
