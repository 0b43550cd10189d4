/* SPDX-License-Identifier: MIT */
/* tests/unit/koji/speak.c: what the decoder makes of answers and the encoder of calls, for
 * recordings.py.
 *
 *   speak decode FILE...   for each file one line of JSON: {"value": …} as a tree, {"fault": […]}
 * or {"error": "…"} speak calls            calls, each as XML after a line "LENGTH" */
#include "resolver/koji/xmlrpc.h"

#include <fcntl.h>

/* ---- JSON ---- */

static void put_text(const char *text, size_t length)
{
	putchar('"');
	for (size_t i = 0; i < length; i++) {
		if ((uint8_t)text[i] < 0x20)
			printf("\\u%04x", text[i]);
		else if (strchr("\"\\", text[i]))
			printf("\\%c", text[i]);
		else
			putchar(text[i]);
	}
	putchar('"');
}

static void put_value(const struct xmlrpc_value *value)
{
	switch (value->type) {
	case XMLRPC_NIL:
		printf("null");
		break;
	case XMLRPC_BOOLEAN:
		printf(value->number ? "true" : "false");
		break;
	case XMLRPC_INT:
		printf("%" PRId64, value->number);
		break;
	case XMLRPC_DOUBLE:
		/* a fraction always, so that it is read as one */
		printf(value->real == (double)(int64_t)value->real ? "%.1f" : "%.17g", value->real);
		break;
	case XMLRPC_TEXT:
	case XMLRPC_TIME:
	case XMLRPC_BASE64:
		put_text(value->text, value->length);
		break;
	case XMLRPC_ARRAY:
	case XMLRPC_STRUCT:
		putchar(value->type == XMLRPC_ARRAY ? '[' : '{');
		for (size_t i = 0; i < value->count; i++) {
			if (i)
				putchar(',');
			if (value->type == XMLRPC_STRUCT) {
				put_text(value->item[i].member, strlen(value->item[i].member));
				putchar(':');
			}
			put_value(&value->item[i]);
		}
		putchar(value->type == XMLRPC_ARRAY ? ']' : '}');
	}
}

/* ---- answers ---- */

static int decode(const char *path, struct xmlrpc_tree *tree, struct xmlrpc_fault *fault,
		  struct error *err)
{
	_cleanup_(xmlrpc_decoder_freep) struct xmlrpc_decoder *decoder = NULL;
	struct xmlrpc_handler handler = { xmlrpc_tree_event, tree };
	_cleanup_(freep) char *bytes = NULL;
	size_t length = 0;
	int r = file_read(AT_FDCWD, path, 1 << 28, &bytes, &length);

	if (r < 0)
		return error_errno(err, r, "%s", path);
	r = xmlrpc_decoder_new(&handler, &decoder, err);
	for (size_t at = 0; r == 0 && at < length; at += 16000)
		r = xmlrpc_feed(decoder, bytes + at, length - at < 16000 ? length - at : 16000,
				err);
	return r == 0 ? xmlrpc_finish(decoder, fault, err) : r;
}

static void show(const char *path)
{
	struct xmlrpc_fault fault = { 0 };
	struct error err = { 0 };
	struct xmlrpc_tree tree;
	int r;

	xmlrpc_tree_init(&tree, 1 << 28);
	r = decode(path, &tree, &fault, &err);
	if (r == 0) {
		printf("{\"value\":");
		put_value(&tree.value);
	} else if (r == -EREMOTEIO) {
		printf("{\"fault\":[%" PRId64 ",", fault.code);
		put_text(fault.words, strlen(fault.words));
		putchar(']');
	} else {
		printf("{\"error\":");
		put_text(err.message, strlen(err.message));
	}
	printf("}\n");
	xmlrpc_tree_done(&tree);
}

/* ---- calls ---- */

static void plain(struct xmlrpc_call *call)
{
	xmlrpc_call_start(call, "getLastEvent");
}

static void every_kind(struct xmlrpc_call *call)
{
	xmlrpc_call_start(call, "kinds");
	xmlrpc_add_nil(call);
	xmlrpc_add_bool(call, true);
	xmlrpc_add_bool(call, false);
	xmlrpc_add_int(call, INT32_MIN);
	xmlrpc_add_int(call, INT64_C(2147483648));
	xmlrpc_add_int(call, INT64_MIN);
	xmlrpc_add_double(call, 1795415750.2776272);
	xmlrpc_add_double(call, 0.1);
	xmlrpc_add_text(call, "");
	xmlrpc_add_text(call, " <a>&\"'\t\r\n\xc3\xa9\xf0\x9f\x93\xa6 ");
	xmlrpc_open_array(call);
	xmlrpc_close_array(call);
	xmlrpc_open_struct(call);
	xmlrpc_member(call, "a&b");
	xmlrpc_open_array(call);
	xmlrpc_open_struct(call);
	xmlrpc_close_struct(call);
	xmlrpc_add_nil(call);
	xmlrpc_close_array(call);
	xmlrpc_member(call, "c");
	xmlrpc_add_text(call, "d");
	xmlrpc_close_struct(call);
}

static void keywords(struct xmlrpc_call *call)
{
	xmlrpc_call_start(call, "listTaggedRPMS");
	xmlrpc_add_text(call, "f26-candidate");
	xmlrpc_open_keywords(call);
	xmlrpc_member(call, "event");
	xmlrpc_add_int(call, 536);
	xmlrpc_member(call, "arch");
	xmlrpc_open_array(call);
	xmlrpc_add_text(call, "x86_64");
	xmlrpc_add_text(call, "noarch");
	xmlrpc_close_array(call);
	xmlrpc_close_struct(call);
}

static void several(struct xmlrpc_call *call)
{
	xmlrpc_call_start(call, "multiCall");
	xmlrpc_open_array(call);
	xmlrpc_open_inner(call, "getBuild");
	xmlrpc_add_text(call, "a-1-1");
	xmlrpc_close_inner(call);
	xmlrpc_open_inner(call, "getTag");
	xmlrpc_add_int(call, 7);
	xmlrpc_open_keywords(call);
	xmlrpc_member(call, "strict");
	xmlrpc_add_bool(call, true);
	xmlrpc_close_struct(call);
	xmlrpc_close_inner(call);
	xmlrpc_open_inner(call, "getAPIVersion");
	xmlrpc_close_inner(call);
	xmlrpc_close_array(call);
}

static int show_calls(void)
{
	static void (*const makers[])(struct xmlrpc_call *) = { plain, every_kind, keywords,
								several };

	for (size_t i = 0; i < ARRAY_SIZE(makers); i++) {
		struct xmlrpc_call call = { 0 };
		struct error err = { 0 };

		makers[i](&call);
		if (xmlrpc_call_end(&call, &err) < 0)
			return 1;
		printf("%zu\n", call.text.length);
		(void)fwrite(call.text.data, 1, call.text.length, stdout);
		text_done(&call.text);
	}
	return 0;
}

int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "calls") == 0)
		return show_calls();
	for (int i = 2; i < argc; i++)
		show(argv[i]);
	return argc < 3;
}
