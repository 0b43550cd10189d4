/* SPDX-License-Identifier: MIT */
/* resolver/koji/encode.c: an XML-RPC call as text. */
#include "resolver/koji/xmlrpc.h"

static void put(struct xmlrpc_call *call, const char *words)
{
	(void)text_adds(&call->text, words);
}

static void put_escaped(struct xmlrpc_call *call, const char *value)
{
	while (*value) {
		size_t plain = 0;

		while ((uint8_t)value[plain] >= 0x20 && !strchr("&<>", value[plain]))
			plain++;
		(void)text_add(&call->text, value, plain);
		value += plain;
		if (!*value)
			break;
		if (*value == '&')
			put(call, "&amp;");
		else if (*value == '<')
			put(call, "&lt;");
		else if (*value == '>')
			put(call, "&gt;");
		else if (*value == '\t' || *value == '\n' || *value == '\r')
			(void)text_addf(&call->text, "&#%d;", *value);
		else
			call->r = -EINVAL;
		value++;
	}
}

void xmlrpc_call_start(struct xmlrpc_call *call, const char *method)
{
	put(call, "<?xml version='1.0'?>\n<methodCall><methodName>");
	put_escaped(call, method);
	put(call, "</methodName><params>");
}

static void open_value(struct xmlrpc_call *call)
{
	put(call, call->depth ? "<value>" : "<param><value>");
}

static bool in_struct(const struct xmlrpc_call *call)
{
	return call->depth && (call->structs >> (call->depth - 1) & 1);
}

static void close_value(struct xmlrpc_call *call)
{
	put(call, "</value>");
	if (!call->depth)
		put(call, "</param>\n");
	else if (in_struct(call))
		put(call, "</member>");
}

void xmlrpc_add_nil(struct xmlrpc_call *call)
{
	open_value(call);
	put(call, "<nil/>");
	close_value(call);
}

void xmlrpc_add_bool(struct xmlrpc_call *call, bool value)
{
	open_value(call);
	put(call, value ? "<boolean>1</boolean>" : "<boolean>0</boolean>");
	close_value(call);
}

void xmlrpc_add_int(struct xmlrpc_call *call, int64_t value)
{
	bool wide = value < INT32_MIN || value > INT32_MAX;

	open_value(call);
	(void)text_addf(&call->text, wide ? "<i8>%" PRId64 "</i8>" : "<int>%" PRId64 "</int>",
			value);
	close_value(call);
}

void xmlrpc_add_double(struct xmlrpc_call *call, double value)
{
	open_value(call);
	(void)text_addf(&call->text, "<double>%.17g</double>", value);
	close_value(call);
}

void xmlrpc_add_text(struct xmlrpc_call *call, const char *value)
{
	open_value(call);
	put(call, "<string>");
	put_escaped(call, value);
	put(call, "</string>");
	close_value(call);
}

/* ---- what holds others ---- */

static void open_in(struct xmlrpc_call *call, const char *tag, bool is_struct)
{
	open_value(call);
	put(call, tag);
	if (call->depth == XMLRPC_MAX_DEPTH) {
		call->r = -EINVAL;
		return;
	}
	call->structs &= ~(UINT64_C(1) << call->depth);
	call->structs |= (uint64_t)is_struct << call->depth;
	call->depth++;
}

static void close_in(struct xmlrpc_call *call, const char *tag, bool is_struct)
{
	if (!call->depth || in_struct(call) != is_struct) {
		call->r = -EINVAL;
		return;
	}
	call->depth--;
	put(call, tag);
	close_value(call);
}

void xmlrpc_open_array(struct xmlrpc_call *call)
{
	open_in(call, "<array><data>", false);
}

void xmlrpc_close_array(struct xmlrpc_call *call)
{
	close_in(call, "</data></array>", false);
}

void xmlrpc_open_struct(struct xmlrpc_call *call)
{
	open_in(call, "<struct>", true);
}

void xmlrpc_close_struct(struct xmlrpc_call *call)
{
	close_in(call, "</struct>", true);
}

void xmlrpc_member(struct xmlrpc_call *call, const char *name)
{
	put(call, "<member><name>");
	put_escaped(call, name);
	put(call, "</name>");
}

void xmlrpc_open_keywords(struct xmlrpc_call *call)
{
	xmlrpc_open_struct(call);
	xmlrpc_member(call, "__starstar");
	xmlrpc_add_bool(call, true);
}

void xmlrpc_open_inner(struct xmlrpc_call *call, const char *method)
{
	xmlrpc_open_struct(call);
	xmlrpc_member(call, "methodName");
	xmlrpc_add_text(call, method);
	xmlrpc_member(call, "params");
	xmlrpc_open_array(call);
}

void xmlrpc_close_inner(struct xmlrpc_call *call)
{
	xmlrpc_close_array(call);
	xmlrpc_close_struct(call);
}

int xmlrpc_call_end(struct xmlrpc_call *call, struct error *err)
{
	put(call, "</params></methodCall>\n");
	if (call->text.failed)
		return error_oom(err);
	if (call->r < 0 || call->depth)
		return error_set(err, -EINVAL, BLAME_US, NULL, "a call that XML-RPC cannot carry");
	return 0;
}
