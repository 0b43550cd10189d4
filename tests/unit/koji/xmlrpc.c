/* SPDX-License-Identifier: MIT */
/* tests/unit/koji/xmlrpc.c: answers that are right in other ways, wrong ones, and what calls look
 * like. What a hub really says is looked at in recordings.py. */
#include "resolver/koji/xmlrpc.h"
#include "tests/unit/test.h"

#include <sys/resource.h>

/* struct seen - events as text: ( ) array, { } struct, name= member */
struct seen {
	struct text text;
	uint64_t events, text_bytes;
	uint64_t refuse_at; /* this event is refused; 0: none */
};

static int see(void *data, const struct xmlrpc_event *event, struct error *err)
{
	static const char *const open[] = { [XMLRPC_ARRAY] = "(", [XMLRPC_STRUCT] = "{" };
	static const char *const close[] = { [XMLRPC_ARRAY] = ")", [XMLRPC_STRUCT] = "}" };
	struct seen *seen = data;
	struct text *text = &seen->text;

	if (++seen->events == seen->refuse_at)
		return error_set(err, -ENOMSG, BLAME_SOURCE, NULL, "not wanted");
	seen->text_bytes += event->length;
	if (text->length > 100000)
		return 0;
	if (event->member)
		text_addf(text, "%s=", event->member);
	if (event->end)
		text_adds(text, close[event->type]);
	else if (event->type >= XMLRPC_ARRAY)
		text_adds(text, open[event->type]);
	else if (event->type == XMLRPC_NIL)
		text_adds(text, "nil ");
	else if (event->type == XMLRPC_DOUBLE)
		text_addf(text, "%.17g ", event->real);
	else if (event->text)
		text_addf(text, "%s'%s' ",
			  event->type == XMLRPC_TIME	 ? "t"
			  : event->type == XMLRPC_BASE64 ? "b"
							 : "",
			  event->text);
	else
		text_addf(text, "%s%" PRId64 " ", event->type == XMLRPC_BOOLEAN ? "?" : "",
			  event->number);
	return 0;
}

/* Feed in steps; 0 means at once. */
static int decode(const char *bytes, size_t length, size_t step, struct seen *seen,
		  struct xmlrpc_fault *fault, struct error *err)
{
	_cleanup_(xmlrpc_decoder_freep) struct xmlrpc_decoder *decoder = NULL;
	struct xmlrpc_handler handler = { see, seen };
	int r = xmlrpc_decoder_new(&handler, &decoder, err);

	for (size_t at = 0; r == 0 && at < length; at += step ? step : length) {
		size_t n = step && step < length - at ? step : length - at;

		r = xmlrpc_feed(decoder, bytes + at, n, err);
	}
	if (r == 0)
		return xmlrpc_finish(decoder, fault, err);
	CHECK_INT(xmlrpc_feed(decoder, "x", 1, err), r); /* stays so */
	CHECK_INT(xmlrpc_finish(decoder, fault, err), r);
	return r;
}

#define HEAD "<?xml version='1.0'?>\n<methodResponse><params><param>"
#define TAIL "</param></params></methodResponse>\n"
#define VALUE(text) HEAD "<value>" text "</value>" TAIL

static void test_good(void)
{
	static const struct {
		const char *xml, *want;
	} cases[] = {
		{ VALUE("plain <![CDATA[<b>]]> text"), "'plain <b> text' " },
		{ VALUE(" kept "), "' kept ' " },
		{ VALUE(""), "'' " },
		{ HEAD "<value/>" TAIL, "'' " },
		{ VALUE("<string/>"), "'' " },
		{ VALUE("<string>\xc3\xa9 &amp;&#x20ac;&lt;&gt;</string>"),
		  "'\xc3\xa9 &\xe2\x82\xac<>' " },
		{ VALUE(" \n<int>5</int>\t"), "5 " },
		{ VALUE("<i4>-2147483648</i4>"), "-2147483648 " },
		{ VALUE("<i8>9223372036854775807</i8>"), "9223372036854775807 " },
		{ VALUE("<int> 7\n</int>"), "7 " },
		{ VALUE("<int>9999999999</int>"), "9999999999 " },
		{ VALUE("<boolean>1</boolean>"), "?1 " },
		{ VALUE("<double>-1.5e3</double>"), "-1500 " },
		{ VALUE("<nil/>"), "nil " },
		{ VALUE("<nil></nil>"), "nil " },
		{ VALUE("<dateTime.iso8601>19980717T14:08:55</dateTime.iso8601>"),
		  "t'19980717T14:08:55' " },
		{ VALUE("<base64>aGVsbG8=</base64>"), "b'aGVsbG8=' " },
		{ VALUE("<array><data/></array>"), "()" },
		{ VALUE("<struct/>"), "{}" },
		{ VALUE("<array> <data> <value>a</value> <!-- no --> <value><struct>"
			"<member><name>x</name><value><array><data><value><int>1</int></value>"
			"</data></array></value></member><member><name>y</name><value/></member>"
			"</struct></value> </data> </array>"),
		  "('a' {x=(1 )y='' })" },
		{ "<?xml version=\"1.0\" encoding=\"us-ascii\"?><methodResponse><params><param>"
		  "<value>a</value>" TAIL "<!-- the end -->\n\n",
		  "'a' " },
		{ "<?xml version='1.0' encoding='utf-8'?><?pi x?><methodResponse><params><param>"
		  "<value>a</value>" TAIL,
		  "'a' " },
		{ "\xef\xbb\xbf" VALUE("a"), "'a' " },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		for (size_t step = 0; step < 4; step++) {
			struct seen seen = { 0 };
			struct xmlrpc_fault fault;
			struct error err = { 0 };

			text_reserve(&seen.text, 0);
			CHECK_INT(decode(cases[i].xml, strlen(cases[i].xml), step, &seen, &fault,
					 &err),
				  0);
			CHECK_STR(seen.text.data, cases[i].want);
			CHECK_STR(err.message, "");
			text_done(&seen.text);
		}
}

static void test_bad(void)
{
	static const struct {
		const char *xml, *words;
		int r;
	} cases[] = {
		{ "", "the hub's answer is empty", 0 },
		{ "  \n ", "is no XML-RPC", 0 },
		{ "Invalid request: Empty request", "no XML-RPC (syntax error): Invalid request",
		  0 },
		{ "<!DOCTYPE html>\n<html><head><title>Log in &amp; go</title>",
		  "the hub answered with HTML: Log in &amp; go", 0 },
		{ "\n\n<HTML><BODY><h1>502 Bad\nGateway</h1>",
		  "the hub answered with HTML: 502 Bad Gateway", 0 },
		{ "<html><head/><body>well formed</body></html>",
		  "the hub answered with HTML: well formed", 0 },
		{ "<a>x</a>", "no XML-RPC (another document): x", 0 },
		{ "<methodCall/>", "no XML-RPC (another document)", 0 },
		{ "<!DOCTYPE x [<!ENTITY a 'b'>]>" VALUE("&a;"), "a document type is not accepted",
		  0 },
		{ "<!DOCTYPE x SYSTEM 'file:///etc/passwd'>" VALUE("x"),
		  "a document type is not accepted", 0 },
		{ VALUE("&a;"), "undefined entity", 0 },
		{ "<?xml version='1.0' encoding='latin1'?><methodResponse/>",
		  "its encoding is latin1", 0 },
		{ "<?xml version='1.0' encoding='UTF-16'?><methodResponse/>",
		  "its encoding is UTF-16", 0 },
		{ VALUE("\xe9"), "not well-formed", 0 },
		{ VALUE("a\x01"), "not well-formed", 0 },
		{ VALUE("a") "x", "something behind the end", 0 },
		{ VALUE("a") VALUE("b"), "", 0 },
		{ VALUE("a") "<a/>", "something behind the end", 0 },
		{ HEAD "<value>a</value>", "ends in the middle", 0 },
		{ HEAD "<val", "ends in the middle", 0 },
		{ HEAD "<value>\xc3", "ends in the middle", 0 },
		{ "<?xml version='1.0'?>", "no XML-RPC", 0 },
		{ "<methodResponse/>", "nothing in <methodResponse>", 0 },
		{ "<methodResponse><params/></methodResponse>", "nothing in <params>", 0 },
		{ HEAD TAIL, "nothing in <param>", 0 },
		{ "<methodResponse><fault/></methodResponse>", "nothing in <fault>", 0 },
		{ HEAD "<value>a</value></param><param><value>b</value>" TAIL,
		  "<param> where it may not stand", 0 },
		{ HEAD "<value>a</value><value>b</value>" TAIL, "<value> where it may not stand",
		  0 },
		{ HEAD "<int>5</int>" TAIL, "<int> where it may not stand", 0 },
		{ VALUE("a<int>5</int>"), "text before <int>", 0 },
		{ VALUE("<int>5</int>a"), "text where none may stand", 0 },
		{ VALUE("<int>5</int><int>6</int>"), "<int> where it may not stand", 0 },
		{ VALUE("<int>5<b/></int>"), "<b> where it may not stand", 0 },
		{ VALUE("<int></int>"), "\"\" is not a whole number", 0 },
		{ VALUE("<int>5x</int>"), "\"5x\" is not a whole number", 0 },
		{ VALUE("<i8>9223372036854775808</i8>"), "is not a whole number", 0 },
		{ VALUE("<boolean>2</boolean>"), "\"2\" is not a boolean", 0 },
		{ VALUE("<boolean>true</boolean>"), "is not a boolean", 0 },
		{ VALUE("<double>nan</double>"), "is not a number with a fraction", 0 },
		{ VALUE("<double>0x10</double>"), "is not a number with a fraction", 0 },
		{ VALUE("<double>1e999</double>"), "is not a number with a fraction", 0 },
		{ VALUE("<double></double>"), "is not a number with a fraction", 0 },
		{ VALUE("<nil>x</nil>"), "is not nil", 0 },
		{ VALUE("<float>1</float>"), "<float> is no type of a value", 0 },
		{ VALUE("<x:nil/>"), "<x:nil> is no type of a value", 0 },
		{ VALUE("<array/>"), "nothing in <array>", 0 },
		{ VALUE("<array><data/><data/></array>"), "<data> where it may not stand", 0 },
		{ VALUE("<array><value>a</value></array>"), "<value> where it may not stand", 0 },
		{ VALUE("<array><data>a</data></array>"), "text where none may stand", 0 },
		{ VALUE("<struct><member/></struct>"), "nothing in <member>", 0 },
		{ VALUE("<struct><member><name>a</name></member></struct>"), "nothing in <member>",
		  0 },
		{ VALUE("<struct><member><value>a</value><name>a</name></member></struct>"),
		  "<value> where it may not stand", 0 },
		{ VALUE("<struct><member><name>a</name><value/><value/></member></struct>"),
		  "<value> where it may not stand", 0 },
		{ VALUE("<struct><value>a</value></struct>"), "<value> where it may not stand", 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		for (size_t step = 0; step < 3; step++) {
			struct seen seen = { 0 };
			struct xmlrpc_fault fault;
			struct error err = { 0 };
			int r = decode(cases[i].xml, strlen(cases[i].xml), step, &seen, &fault,
				       &err);

			CHECK_INT(r, -EBADMSG);
			CHECK_INT(err.code, r);
			CHECK_INT(err.blame, BLAME_SOURCE);
			if (!strstr(err.message, cases[i].words))
				CHECK_STR(err.message, cases[i].words);
			text_done(&seen.text);
		}
}

static void test_utf16(void)
{
	static const char wide[] = "\xff\xfe<\0m\0e\0t\0", plain[] = "<\0m\0e\0t\0";
	struct seen seen = { 0 };
	struct xmlrpc_fault fault;
	struct error err = { 0 };

	CHECK_INT(decode(wide, sizeof(wide), 0, &seen, &fault, &err), -EBADMSG);
	CHECK(strstr(err.message, "encoding is not UTF-8") != NULL);
	CHECK_INT(decode(plain, sizeof(plain), 1, &seen, &fault, &err), -EBADMSG);
	CHECK(strstr(err.message, "encoding is not UTF-8") != NULL);
}

/* ---- faults ---- */

static void test_faults(void)
{
	static const struct {
		const char *string, *words;
	} cases[] = {
		{ "No such tagInfo: 'a'", "No such tagInfo: 'a'" },
		{ "first\nsecond\n\n  \n", "second" },
		{ "&lt;class 'x'&gt;: syntax error\nLINE 5:  WHERE (tag_id IN ())\n          ^\n",
		  "<class 'x'>: syntax error" },
		{ "Traceback (most recent call last):\n  File "
		  "\"/usr/share/koji-hub/kojixmlrpc.py\", "
		  "line 366, in f\n    result = self.dispatch()\n             ^^^^^\n"
		  "koji.GenericError: No such tag\n",
		  "koji.GenericError: No such tag" },
		{ "Traceback (most recent call last):\n  File "
		  "\"/usr/share/koji-hub/kojixmlrpc.py\", "
		  "line 366, in f\n    result = self.dispatch()\n",
		  "" },
		{ "  File \"/usr/share/koji-hub/kojixmlrpc.py\", line 366, in f", "" },
		{ "a\tb\r\n", "a b" },
		{ "", "" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_(text_done) struct text xml = { 0 }, want = { 0 };
		struct seen seen = { 0 };
		struct xmlrpc_fault fault = { .code = -7 };
		struct error err = { 0 };

		text_addf(&xml,
			  "<methodResponse><fault><value><struct><member><name>faultCode</"
			  "name><value>"
			  "<int>1000</int></value></member><member><name>faultString</name><value>"
			  "<string>%s</string></value></member></struct></value></fault>"
			  "</methodResponse>",
			  cases[i].string);
		CHECK_INT(decode(xml.data, xml.length, 0, &seen, &fault, &err), -EREMOTEIO);
		CHECK_INT(fault.code, 1000);
		CHECK_STR(fault.words, cases[i].words);
		text_addf(&want, "%s (fault 1000)", *cases[i].words ? cases[i].words : "no words");
		CHECK_STR(err.message, want.data);
		CHECK_INT(seen.events, 0);
	}
}

/* A fault that is no struct, or says nothing, is one all the same */
static void test_odd_faults(void)
{
	static const char *const values[] = { "<int>5</int>", "<struct/>", "x",
					      "<array><data/></array>" };

	for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
		_cleanup_(text_done) struct text xml = { 0 };
		struct seen seen = { 0 };
		struct xmlrpc_fault fault = { 0 };
		struct error err = { 0 };

		text_addf(&xml, "<methodResponse><fault><value>%s</value></fault></methodResponse>",
			  values[i]);
		CHECK_INT(decode(xml.data, xml.length, 0, &seen, &fault, &err), -EREMOTEIO);
		CHECK_STR(err.message, "no words (fault 0)");
		CHECK_INT(seen.events, 0);
	}
}

static void test_long_fault(void)
{
	_cleanup_(text_done) struct text xml = { 0 };
	struct seen seen = { 0 };
	struct xmlrpc_fault fault = { 0 };
	struct error err = { 0 };

	text_adds(&xml, "<methodResponse><fault><value><struct><member><name>faultString</name>"
			"<value>x");
	for (int i = 0; i < 5000; i++)
		text_adds(&xml, "\xc3\xa9"); /* never cut in the middle */
	text_adds(&xml, "</value></member></struct></value></fault></methodResponse>");
	CHECK_INT(decode(xml.data, xml.length, 0, &seen, &fault, &err), -EREMOTEIO);
	CHECK(strlen(fault.words) % 2 == 1 && strlen(fault.words) > 350);
}

/* ---- bounds ---- */

/* struct part - of an answer that is not held as a whole */
struct part {
	const char *text;
	uint64_t times;
};

static int decode_parts(const struct part *parts, size_t count, struct seen *seen,
			struct error *err)
{
	_cleanup_(xmlrpc_decoder_freep) struct xmlrpc_decoder *decoder = NULL;
	_cleanup_(text_done) struct text block = { 0 };
	struct xmlrpc_handler handler = { see, seen };
	struct xmlrpc_fault fault;
	int r = xmlrpc_decoder_new(&handler, &decoder, err);

	for (size_t i = 0; r == 0 && i < count; i++) {
		size_t length = strlen(parts[i].text);
		uint64_t in_block = parts[i].times < 65536 ? parts[i].times : 65536;

		text_clear(&block);
		for (uint64_t j = 0; j < in_block; j++)
			text_add(&block, parts[i].text, length);
		for (uint64_t done = 0; r == 0 && done < parts[i].times; done += in_block)
			r = xmlrpc_feed(decoder, block.data, block.length, err);
	}
	return r < 0 ? r : xmlrpc_finish(decoder, &fault, err);
}

static void check_bound(const struct part *parts, size_t count, int want, const char *words)
{
	struct seen seen = { 0 };
	struct error err = { 0 };
	int64_t start = time_monotonic_ms();

	CHECK_INT(decode_parts(parts, count, &seen, &err), want);
	if (!strstr(err.message, words))
		CHECK_STR(err.message, words);
	CHECK(time_monotonic_ms() - start < 20000);
	text_done(&seen.text);
}

#define GIB (UINT64_C(1) << 30)
#define BOUND(want, words, ...)                                                                    \
	do {                                                                                       \
		const struct part parts_[] = { __VA_ARGS__ };                                      \
		check_bound(parts_, ARRAY_SIZE(parts_), want, words);                              \
	} while (0)

static void test_bounds(void)
{
	static const char begin[] = HEAD "<value>", end[] = "</value>" TAIL;
	static const char array[] = "<array><data><value>", close[] = "</value></data></array>";
	struct rusage usage;

	/* a GiB of white space wherever it could stand */
	BOUND(-EBADMSG, "it does not begin", { " ", GIB }, { begin, 1 });
	BOUND(-EMSGSIZE, "white space", { "<methodResponse>", 1 }, { "\n", GIB });
	BOUND(-EMSGSIZE, "a text of more than", { begin, 1 }, { " ", GIB }, { end, 1 });
	BOUND(-EMSGSIZE, "a text of more than", { begin, 1 }, { "<int>", 1 }, { " ", GIB });
	BOUND(-EMSGSIZE, "white space", { begin, 1 }, { "<int>5</int>", 1 }, { " ", GIB });
	BOUND(-EMSGSIZE, "behind the end", { begin, 1 }, { end, 1 }, { " ", GIB });
	/* a tag, a comment, a name without end */
	BOUND(-EMSGSIZE, "a tag of more than", { "<", 1 }, { "a", GIB });
	BOUND(-EMSGSIZE, "a tag of more than", { begin, 1 }, { "<", 1 }, { "a", GIB });
	BOUND(-EMSGSIZE, "a tag of more than", { begin, 1 }, { "<!--", 1 }, { "a ", GIB });
	BOUND(-EMSGSIZE, "a tag of more than", { begin, 1 }, { "<int a='", 1 }, { "b", GIB });
	BOUND(-EMSGSIZE, "a text of more than", { begin, 1 }, { "<struct><member><name>", 1 },
	      { "a", GIB });
	/* strings at the limit and beyond it */
	BOUND(0, "", { begin, 1 }, { "a", XMLRPC_MAX_TEXT }, { end, 1 });
	BOUND(-EMSGSIZE, "a text of more than", { begin, 1 }, { "a", XMLRPC_MAX_TEXT },
	      { "<![CDATA[b]]>", 1 }, { end, 1 });
	/* as deep as may be, and one more */
	BOUND(0, "", { begin, 1 }, { array, 64 }, { close, 64 }, { end, 1 });
	BOUND(-EMSGSIZE, "more than 64 deep", { begin, 1 }, { array, 65 }, { close, 65 },
	      { end, 1 });
	(void)getrusage(RUSAGE_SELF, &usage);
	printf("peak %ld KiB\n", usage.ru_maxrss);
#if !defined(__SANITIZE_ADDRESS__)
	CHECK(usage.ru_maxrss < 100 * 1024);
#endif
}

/* Everything well formed and small, but without end: the whole is bounded too */
static void test_total(void)
{
	BOUND(-EMSGSIZE, "more than 1 GiB", { HEAD "<value><array><data>", 1 },
	      { "<value>0123456789012345678901234567890123456789012345678901234567890123456789"
		"0123456789012345678901234567890123456789012345678901234567890123456789</value>",
		GIB / 100 });
}

static void test_refusal(void)
{
	static const char xml[] = VALUE("<array><data><value>a</value></data></array>");

	for (uint64_t i = 1; i <= 3; i++) {
		struct seen seen = { .refuse_at = i };
		struct xmlrpc_fault fault;
		struct error err = { 0 };

		CHECK_INT(decode(xml, strlen(xml), 0, &seen, &fault, &err), -ENOMSG);
		CHECK_STR(err.message, "not wanted");
		CHECK_INT(seen.events, i);
		text_done(&seen.text);
	}
}

/* ---- trees ---- */

static int decode_tree(struct xmlrpc_tree *tree, const char *xml, struct error *err)
{
	_cleanup_(xmlrpc_decoder_freep) struct xmlrpc_decoder *decoder = NULL;
	struct xmlrpc_handler handler = { xmlrpc_tree_event, tree };
	struct xmlrpc_fault fault;
	int r = xmlrpc_decoder_new(&handler, &decoder, err);

	if (r == 0)
		r = xmlrpc_feed(decoder, xml, strlen(xml), err);
	return r == 0 ? xmlrpc_finish(decoder, &fault, err) : r;
}

static void test_tree(void)
{
	static const char xml[] = VALUE("<struct><member><name>a</name><value><int>1</int></value>"
					"</member><member><name>b</name><value>x</value></member>"
					"<member><name>a</name><value><int>2</int></value></member>"
					"</struct>");
	_cleanup_(text_done) struct text wide = { 0 };
	struct xmlrpc_tree tree;
	const struct xmlrpc_value *value;
	struct error err = { 0 };

	xmlrpc_tree_init(&tree, 4096);
	CHECK_INT(decode_tree(&tree, xml, &err), 0);
	CHECK_INT(tree.value.count, 3);
	value = xmlrpc_find(&tree.value, "a"); /* the later of two */
	CHECK(value && value->type == XMLRPC_INT && value->number == 2);
	value = xmlrpc_find(&tree.value, "b");
	CHECK(value && value->type == XMLRPC_TEXT && !strcmp(value->text, "x"));
	CHECK(!xmlrpc_find(&tree.value, "c") && !xmlrpc_find(value, "a"));
	xmlrpc_tree_done(&tree);
	for (int i = 0; i < 2; i++) {
		text_clear(&wide);
		text_adds(&wide, HEAD "<value><array><data>");
		for (int j = 0; j < 1000; j++)
			text_adds(&wide, i ? "<value/>" : "<value><array><data>");
		xmlrpc_tree_init(&tree, 4096);
		CHECK_INT(decode_tree(&tree, wide.data, &err), -EMSGSIZE);
		xmlrpc_tree_done(&tree);
	}
}

/* ---- calls ---- */

static void test_calls(void)
{
	struct xmlrpc_call call = { 0 };
	struct error err = { 0 };

	xmlrpc_call_start(&call, "f");
	xmlrpc_add_text(&call, "a<&>\t\xc3\xa9");
	xmlrpc_open_array(&call);
	xmlrpc_add_int(&call, 5);
	xmlrpc_close_array(&call);
	xmlrpc_open_keywords(&call);
	xmlrpc_member(&call, "k");
	xmlrpc_add_int(&call, 5000000000);
	xmlrpc_close_struct(&call);
	CHECK_INT(xmlrpc_call_end(&call, &err), 0);
	CHECK_STR(call.text.data,
		  "<?xml version='1.0'?>\n<methodCall><methodName>f</methodName><params>"
		  "<param><value><string>a&lt;&amp;&gt;&#9;\xc3\xa9</string></value></param>\n"
		  "<param><value><array><data><value><int>5</int></value></data></array></value>"
		  "</param>\n<param><value><struct><member><name>__starstar</name><value>"
		  "<boolean>1</boolean></value></member><member><name>k</name><value>"
		  "<i8>5000000000</i8></value></member></struct></value></param>\n"
		  "</params></methodCall>\n");
	text_done(&call.text);
	for (int i = 0; i < 4; i++) {
		call = (struct xmlrpc_call){ 0 };
		xmlrpc_call_start(&call, "f");
		if (i == 0)
			xmlrpc_add_text(&call, "a\x01");
		if (i == 1)
			xmlrpc_open_array(&call);
		if (i == 2)
			xmlrpc_close_array(&call);
		if (i == 3) {
			xmlrpc_open_struct(&call);
			xmlrpc_close_array(&call);
		}
		CHECK_INT(xmlrpc_call_end(&call, &err), -EINVAL);
		text_done(&call.text);
	}
}

int main(void)
{
	test_good();
	test_bad();
	test_utf16();
	test_faults();
	test_odd_faults();
	test_long_fault();
	test_bounds();
	test_total();
	test_refusal();
	test_tree();
	test_calls();
	TEST_END();
}
