/* SPDX-License-Identifier: MIT */
/* resolver/snapshot/scan.c: where each <package> stands in a document, and what it says.
 *
 * Elements are later copied byte for byte into documents of ours, so what is not told by their own
 * bytes must be the same in ours: the encoding (UTF-8), the default namespace, the prefix rpm. Any
 * other prefix that the root declares may not be used. A document type is refused, and with it
 * entities. Expat runs without its namespace mode, which would double its time. */
#include "resolver/snapshot/scan.h"

#include <expat.h>
#include <stdarg.h>
#include <strings.h>

#define NAMESPACE_RPM "http://linux.duke.edu/metadata/rpm"

static const struct {
	const char *root, *namespace;
} documents[SNAPSHOT_STREAMS] = {
	[SNAPSHOT_PRIMARY] = { "metadata", "http://linux.duke.edu/metadata/common" },
	[SNAPSHOT_FILELISTS] = { "filelists", "http://linux.duke.edu/metadata/filelists" },
	[SNAPSHOT_OTHER] = { "otherdata", "http://linux.duke.edu/metadata/other" },
};

struct scan {
	XML_Parser parser;
	enum snapshot_stream stream;
	struct scan_sink sink;
	struct scan_package package;
	unsigned int depth;
	bool in_package, in_format, in_requires;
	struct text *collect; /* text of the element that is open, or NULL */
	struct text file;     /* filelists */
	bool foreign;	      /* the root declares prefixes that our documents do not */
	struct text declared; /* " prefix prefix " that the open package declares itself */
	bool odd;	      /* comments and the like */
	uint64_t fed, position;
	int r;
	struct error *err;
};

static void stop(struct scan *scan, const char *format, ...) _printf_(2, 3);
static void stop(struct scan *scan, const char *format, ...)
{
	const struct scan_package *package = &scan->package;
	char words[512], where[128] = "";
	va_list arguments;

	(void)XML_StopParser(scan->parser, XML_FALSE);
	if (scan->r < 0)
		return;
	va_start(arguments, format);
	(void)vsnprintf(words, sizeof(words), format, arguments);
	va_end(arguments);
	if (scan->in_package)
		(void)snprintf(where, sizeof(where), "package %" PRIu64 " (%.64s), ",
			       package->number + 1,
			       package->given[SCAN_NAME]    ? package->field[SCAN_NAME].data
			       : package->given[SCAN_PKGID] ? package->field[SCAN_PKGID].data
							    : "");
	scan->r = error_set(scan->err, -EBADMSG, BLAME_SOURCE, index_stream_field[scan->stream],
			    "%sline %lu: %s", where, XML_GetCurrentLineNumber(scan->parser), words);
}

static void stop_with(struct scan *scan, int r)
{
	(void)XML_StopParser(scan->parser, XML_FALSE);
	if (scan->r == 0)
		scan->r = r;
}

static const char *attribute(const char **attrs, const char *name)
{
	for (; *attrs; attrs += 2)
		if (strcmp(attrs[0], name) == 0)
			return attrs[1];
	return NULL;
}

/* ---- text of fields ---- */

static void XMLCALL add_text(void *data, const XML_Char *bytes, int length)
{
	struct scan *scan = data;

	if (scan->r < 0 || !scan->collect)
		return;
	if (scan->collect->length + (size_t)length > SNAPSHOT_MAX_STRING)
		stop(scan, "a text of more than %u bytes", SNAPSHOT_MAX_STRING);
	else if (text_add(scan->collect, bytes, (size_t)length) < 0)
		stop_with(scan, error_oom(scan->err));
}

static void collect_start(struct scan *scan, struct text *text)
{
	text_clear(text);
	if (text_reserve(text, 0) < 0)
		return stop_with(scan, error_oom(scan->err));
	scan->collect = text;
	XML_SetCharacterDataHandler(scan->parser, add_text);
}

static bool field_new(struct scan *scan, enum scan_field field, const char *tag)
{
	if (scan->package.given[field]) {
		stop(scan, "<%s> is given twice", tag);
		return false;
	}
	scan->package.given[field] = true;
	return true;
}

static void field_collect(struct scan *scan, enum scan_field field, const char *tag)
{
	if (field_new(scan, field, tag))
		collect_start(scan, &scan->package.field[field]);
}

static void field_set(struct scan *scan, enum scan_field field, const char *tag, const char *value)
{
	struct text *text = &scan->package.field[field];

	if (!value || !field_new(scan, field, tag))
		return;
	if (strlen(value) > SNAPSHOT_MAX_STRING)
		return stop(scan, "an attribute of <%s> has more than %u bytes", tag,
			    SNAPSHOT_MAX_STRING);
	text_clear(text);
	if (text_adds(text, value) < 0)
		stop_with(scan, error_oom(scan->err));
}

/* ---- namespaces ---- */

static void start_root(struct scan *scan, const char *name, const char **attrs)
{
	const char *want = documents[scan->stream].namespace;

	if (strcmp(name, documents[scan->stream].root) != 0)
		return stop(scan, "the root element is <%.64s>, <%s> is wanted (without a prefix)",
			    name, documents[scan->stream].root);
	for (; *attrs; attrs += 2) {
		if (strcmp(attrs[0], "xmlns") == 0 && strcmp(attrs[1], want) != 0)
			return stop(scan, "the default namespace is %.128s, not %s", attrs[1],
				    want);
		if (strcmp(attrs[0], "xml:base") == 0)
			return stop(scan, "xml:base on the root element is not understood");
		if (strncmp(attrs[0], "xmlns:", 6) != 0)
			continue;
		if (scan->stream != SNAPSHOT_PRIMARY || strcmp(attrs[0], "xmlns:rpm") != 0)
			scan->foreign = true;
		else if (strcmp(attrs[1], NAMESPACE_RPM) != 0)
			return stop(scan, "the prefix rpm means %.128s, not " NAMESPACE_RPM,
				    attrs[1]);
	}
}

static void check_prefix(struct scan *scan, const char *name)
{
	const char *colon = strchr(name, ':');
	char word[80];

	if (!colon || !strncmp(name, "xml:", 4) || !strncmp(name, "xmlns:", 6) ||
	    (scan->stream == SNAPSHOT_PRIMARY && !strncmp(name, "rpm:", 4)))
		return;
	if (colon - name < 64) {
		(void)snprintf(word, sizeof(word), " %.*s ", (int)(colon - name), name);
		if (scan->declared.data && strstr(scan->declared.data, word))
			return;
	}
	stop(scan, "the namespace prefix of %.64s is declared outside the package", name);
}

static void check_prefixes(struct scan *scan, const char *name, const char **attrs)
{
	for (const char **a = attrs; *a; a += 2)
		if (!strncmp(*a, "xmlns:", 6) && text_addf(&scan->declared, " %s ", *a + 6) < 0)
			return stop_with(scan, error_oom(scan->err));
	check_prefix(scan, name);
	for (; *attrs; attrs += 2)
		check_prefix(scan, attrs[0]);
}

/* ---- elements ---- */

static void start_package(struct scan *scan, const char *name, const char **attrs)
{
	struct scan_package *package = &scan->package;

	if (strcmp(name, "package") != 0)
		return;
	memset(package->given, 0, sizeof(package->given));
	package->start = (uint64_t)XML_GetCurrentByteIndex(scan->parser);
	package->location = package->location_end = 0;
	scan->in_package = true;
	text_clear(&scan->declared);
	if (attribute(attrs, "xml:base"))
		stop(scan, "xml:base on <package> is not understood");
	if (scan->stream != SNAPSHOT_PRIMARY)
		field_set(scan, SCAN_PKGID, "package", attribute(attrs, "pkgid"));
}

static void start_in_primary(struct scan *scan, const char *name, const char **attrs)
{
	const char *pkgid;

	if (strcmp(name, "format") == 0) {
		scan->in_format = true;
	} else if (strcmp(name, "name") == 0) {
		field_collect(scan, SCAN_NAME, name);
	} else if (strcmp(name, "arch") == 0) {
		field_collect(scan, SCAN_ARCH, name);
	} else if (strcmp(name, "version") == 0) {
		field_set(scan, SCAN_EPOCH, name, attribute(attrs, "epoch"));
		field_set(scan, SCAN_VERSION, name, attribute(attrs, "ver"));
		field_set(scan, SCAN_RELEASE, name, attribute(attrs, "rel"));
	} else if (strcmp(name, "checksum") == 0) {
		pkgid = attribute(attrs, "pkgid");
		if (!pkgid || strcasecmp(pkgid, "YES") != 0)
			return;
		field_set(scan, SCAN_CHECKSUM_TYPE, name, attribute(attrs, "type"));
		field_collect(scan, SCAN_CHECKSUM, name);
	} else if (strcmp(name, "time") == 0) {
		field_set(scan, SCAN_TIME, name, attribute(attrs, "file"));
	} else if (strcmp(name, "size") == 0) {
		field_set(scan, SCAN_SIZE, name, attribute(attrs, "package"));
	} else if (strcmp(name, "location") == 0) {
		field_set(scan, SCAN_HREF, name, attribute(attrs, "href"));
		field_set(scan, SCAN_BASE, name, attribute(attrs, "xml:base"));
		if (!scan->package.given[SCAN_HREF])
			stop(scan, "<location> without href");
		scan->package.location = (uint64_t)XML_GetCurrentByteIndex(scan->parser);
	}
}

/* A requirement on a file, or a rich one with such a part: "(/usr/bin/a or b)". */
static void start_entry(struct scan *scan, const char **attrs)
{
	const char *name = attribute(attrs, "name");
	char path[SNAPSHOT_MAX_STRING];
	int r = 0;

	if (!name || !scan->sink.require || (*name != '/' && *name != '('))
		return;
	if (*name == '/' && strlen(name) < sizeof(path)) {
		r = scan->sink.require(scan->sink.data, name, scan->err);
	} else if (*name == '(') {
		while (r == 0 && *(name += strspn(name, "( )"))) {
			size_t length = strcspn(name, " )");

			if (*name == '/' && length < sizeof(path)) {
				memcpy(path, name, length);
				path[length] = '\0';
				r = scan->sink.require(scan->sink.data, path, scan->err);
			}
			name += length;
		}
	}
	if (r < 0)
		stop_with(scan, r);
}

static void XMLCALL start_element(void *data, const XML_Char *name, const XML_Char **attrs)
{
	struct scan *scan = data;

	if (scan->r < 0)
		return;
	scan->depth++;
	if (scan->depth > SCAN_MAX_DEPTH)
		return stop(scan, "elements inside each other more than %d deep", SCAN_MAX_DEPTH);
	if (scan->collect)
		return stop(scan, "<%.64s> inside a text", name);
	if (scan->depth == 1)
		return start_root(scan, name, attrs);
	if (scan->depth == 2)
		start_package(scan, name, attrs);
	else if (strcmp(name, "package") == 0)
		return stop(scan, "<package> inside another element");
	if (!scan->in_package || scan->r < 0)
		return;
	if (scan->foreign)
		check_prefixes(scan, name, attrs);
	if (scan->stream == SNAPSHOT_PRIMARY) {
		if (scan->depth == 3)
			start_in_primary(scan, name, attrs);
		else if (scan->depth == 5 && scan->in_requires && strcmp(name, "rpm:entry") == 0)
			start_entry(scan, attrs);
		else if (scan->depth == 4 && scan->in_format && strcmp(name, "rpm:requires") == 0)
			scan->in_requires = true;
		else if (scan->depth == 4 && scan->in_format && strcmp(name, "rpm:sourcerpm") == 0)
			field_collect(scan, SCAN_SOURCERPM, name);
	} else if (scan->depth == 3 && scan->sink.file && strcmp(name, "file") == 0) {
		collect_start(scan, &scan->file);
	}
}

static uint64_t tag_end(const struct scan *scan)
{
	return (uint64_t)XML_GetCurrentByteIndex(scan->parser) +
	       (uint64_t)XML_GetCurrentByteCount(scan->parser);
}

static void end_package(struct scan *scan)
{
	int r;

	scan->package.end = tag_end(scan);
	if (scan->package.end - scan->package.start > SNAPSHOT_MAX_ELEMENT)
		return stop(scan, "its element is larger than %d bytes", SNAPSHOT_MAX_ELEMENT);
	r = scan->sink.package(scan->sink.data, &scan->package, scan->err);
	if (r < 0)
		stop_with(scan, r);
	scan->in_package = false;
	scan->package.number++;
}

static void XMLCALL end_element(void *data, const XML_Char *name)
{
	struct scan *scan = data;
	int r = 0;

	if (scan->r < 0)
		return;
	if (scan->collect) {
		XML_SetCharacterDataHandler(scan->parser, NULL);
		if (scan->collect == &scan->file)
			r = scan->sink.file(scan->sink.data, &scan->package, scan->file.data,
					    scan->err);
		scan->collect = NULL;
		if (r < 0)
			return stop_with(scan, r);
	} else if (scan->depth == 4) {
		scan->in_requires = false;
	} else if (scan->depth == 3) {
		scan->in_format = false;
		if (scan->in_package && scan->package.location && !scan->package.location_end &&
		    strcmp(name, "location") == 0)
			scan->package.location_end = tag_end(scan);
	} else if (scan->depth == 2 && scan->in_package) {
		end_package(scan);
	}
	scan->depth--;
}

static void XMLCALL start_doctype(void *data, const XML_Char *name, const XML_Char *system_id,
				  const XML_Char *public_id, int has_internal)
{
	stop(data, "a document type is not accepted");
}

static void XMLCALL xml_declaration(void *data, const XML_Char *version, const XML_Char *encoding,
				    int standalone)
{
	if (encoding && strcasecmp(encoding, "UTF-8") != 0 && strcasecmp(encoding, "US-ASCII") != 0)
		stop(data, "its encoding is %.32s, only UTF-8 is accepted", encoding);
}

static void XMLCALL odd_comment(void *data, const XML_Char *text)
{
	((struct scan *)data)->odd = true;
}

static void XMLCALL odd_instruction(void *data, const XML_Char *target, const XML_Char *text)
{
	((struct scan *)data)->odd = true;
}

static void XMLCALL odd_cdata(void *data)
{
	((struct scan *)data)->odd = true;
}

/* ---- the door ---- */

int scan_new(enum snapshot_stream stream, const struct scan_sink *sink, struct scan **ret,
	     struct error *err)
{
	_cleanup_(scan_freep) struct scan *scan = calloc(1, sizeof(*scan));

	if (!scan)
		return error_oom(err);
	scan->stream = stream;
	scan->sink = *sink;
	scan->parser = XML_ParserCreate("UTF-8");
	if (!scan->parser)
		return error_oom(err);
	for (size_t i = 0; i < SCAN_FIELDS; i++)
		if (text_reserve(&scan->package.field[i], 0) < 0) /* "" rather than NULL */
			return error_oom(err);
	XML_SetUserData(scan->parser, scan);
	XML_SetElementHandler(scan->parser, start_element, end_element);
	XML_SetStartDoctypeDeclHandler(scan->parser, start_doctype);
	XML_SetXmlDeclHandler(scan->parser, xml_declaration);
	XML_SetCommentHandler(scan->parser, odd_comment);
	XML_SetProcessingInstructionHandler(scan->parser, odd_instruction);
	XML_SetStartCdataSectionHandler(scan->parser, odd_cdata);
	*ret = steal(scan);
	return 0;
}

void scan_free(struct scan *scan)
{
	if (!scan)
		return;
	if (scan->parser)
		XML_ParserFree(scan->parser);
	for (size_t i = 0; i < SCAN_FIELDS; i++)
		text_done(&scan->package.field[i]);
	text_done(&scan->file);
	text_done(&scan->declared);
	free(scan);
}

static int parse(struct scan *scan, const char *bytes, size_t length, bool last, struct error *err)
{
	enum XML_Status status;
	long index;

	scan->err = err;
	status = XML_Parse(scan->parser, bytes, (int)length, last);
	if (status != XML_STATUS_OK && scan->r == 0) {
		enum XML_Error code = XML_GetErrorCode(scan->parser);

		if (code == XML_ERROR_NO_MEMORY)
			stop_with(scan, error_oom(err));
		stop(scan, "%s", XML_ErrorString(code));
	}
	scan->fed += length;
	index = XML_GetCurrentByteIndex(scan->parser);
	if (index >= 0)
		scan->position = (uint64_t)index;
	if (scan->fed - scan->position > SCAN_MAX_TOKEN)
		stop(scan, "a tag of more than %u bytes", SCAN_MAX_TOKEN);
	return scan->r;
}

/* Expat looks for UTF-16 even when told UTF-8; its first two characters give it away. */
static bool is_wide(const struct scan *scan, const char *bytes, size_t length)
{
	for (size_t i = 0; i < length && scan->fed + i < 2; i++)
		if (!bytes[i] || (uint8_t)bytes[i] >= 0xfe)
			return true;
	return false;
}

int scan_feed(struct scan *scan, const char *bytes, size_t length, struct error *err)
{
	while (length > 0 && scan->r == 0) {
		size_t step = length < SCAN_MAX_TOKEN ? length : SCAN_MAX_TOKEN;

		scan->err = err;
		if (is_wide(scan, bytes, step)) {
			stop(scan, "its encoding is not UTF-8");
			break;
		}
		(void)parse(scan, bytes, step, false, err);
		bytes += step;
		length -= step;
	}
	return scan->r;
}

int scan_finish(struct scan *scan, struct error *err)
{
	return scan->r < 0 ? scan->r : parse(scan, "", 0, true, err);
}

uint64_t scan_position(const struct scan *scan)
{
	return scan->position;
}

bool scan_plain(const struct scan *scan)
{
	return !scan->odd;
}
