/* SPDX-License-Identifier: MIT */
/* resolver/header/elements.c: the elements of primary, filelists and other, byte by byte as
 * createrepo_c prints them. */
#include "resolver/header/parts.h"

/* ---- strings that travel on their own ------------------------------------- */

static bool is_word(const char *text)
{
	for (const char *at = text; *at; at++)
		if ((unsigned char)*at <= ' ' || *at == 0x7f || *at == '/')
			return false;
	return true;
}

/* foreign words in a message of ours */
static const char *shown(const char *text, char buffer[static 128])
{
	size_t length = 0;

	for (; text[length] && length < 127; length++)
		buffer[length] = text[length] > ' ' && text[length] < 0x7f ? text[length] : '?';
	buffer[length] = '\0';
	return buffer;
}

static int take_word(const struct tags *tags, rpmTagVal tag, const char *value, char **ret,
		     struct error *err)
{
	char buffer[128];

	if (!*value && tag != RPMTAG_SOURCERPM)
		return error_set(err, -EBADMSG, BLAME_SOURCE, tag_word(tag), "%s: there is none",
				 tag_word(tag));
	if (strlen(value) > HEADER_MAX_WORD || !is_word(value))
		return error_set(err, -EBADMSG, BLAME_SOURCE, tag_word(tag),
				 "%s: «%s» cannot be used", tag_word(tag), shown(value, buffer));
	*ret = strdup(value);
	return *ret ? 0 : error_oom(err);
}

/* Arches of a source package, joined; what is no word is left out, and what is too much. */
static int take_arches(const struct tags *tags, rpmTagVal tag, char **ret, struct error *err)
{
	_cleanup_(tag_values_done) struct tag_values values = { 0 };
	_cleanup_(text_done) struct text text = { 0 };
	int r = 0;

	if (tags_number(tags, RPMTAG_SOURCEPACKAGE))
		r = tags_strings(tags, tag, UINT32_MAX, &values, err);
	for (uint32_t i = 0; r > 0 && i < values.count; i++) {
		const char *arch = tag_string(&values, i);

		if (*arch && is_word(arch) && text.length + strlen(arch) < HEADER_MAX_WORD)
			(void)text_addf(&text, "%s%s", text.length ? " " : "", arch);
	}
	if (r < 0)
		return r;
	*ret = text_steal(&text);
	return *ret ? 0 : error_oom(err);
}

static int take_words(const struct tags *tags, struct header *ret, struct error *err)
{
	bool source = tags_number(tags, RPMTAG_SOURCEPACKAGE) != 0;
	const struct {
		rpmTagVal tag;
		const char *value;
		char **ret;
	} words[] = {
		{ RPMTAG_NAME, tags_string(tags, RPMTAG_NAME), &ret->name },
		{ RPMTAG_VERSION, tags_string(tags, RPMTAG_VERSION), &ret->version },
		{ RPMTAG_RELEASE, tags_string(tags, RPMTAG_RELEASE), &ret->release },
		{ RPMTAG_ARCH, source ? "src" : tags_string(tags, RPMTAG_ARCH), &ret->arch },
		{ RPMTAG_SOURCERPM, tags_string(tags, RPMTAG_SOURCERPM), &ret->sourcerpm },
	};
	uint64_t epoch = tags_number(tags, RPMTAG_EPOCH);
	int r;

	if (epoch > UINT32_MAX)
		return error_set(err, -EBADMSG, BLAME_SOURCE, tag_word(RPMTAG_EPOCH),
				 "%s: %" PRIu64 " is too large", tag_word(RPMTAG_EPOCH), epoch);
	ret->epoch = (uint32_t)epoch;
	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		r = take_word(tags, words[i].tag, words[i].value, words[i].ret, err);

		if (r < 0)
			return r;
	}
	r = take_arches(tags, RPMTAG_EXCLUSIVEARCH, &ret->only, err);
	return r < 0 ? r : take_arches(tags, RPMTAG_EXCLUDEARCH, &ret->never, err);
}

static int check_word(rpmTagVal tag, const char *is, const char *should_be, struct error *err)
{
	char buffer[2][128];

	if (!strcmp(is, should_be))
		return 0;
	return error_set(err, -EBADMSG, BLAME_SOURCE, tag_word(tag),
			 "%s: the header says «%s», not «%s»", tag_word(tag), shown(is, buffer[0]),
			 shown(should_be, buffer[1]));
}

/* Is it the package that was asked for? */
static int check_nevra(const struct nevra *nevra, const struct header *header, struct error *err)
{
	const char *arch = !strcmp(nevra->arch, "nosrc") ? "src" : nevra->arch;
	int r = check_word(RPMTAG_NAME, header->name, nevra->name, err);

	if (r == 0)
		r = check_word(RPMTAG_VERSION, header->version, nevra->version, err);
	if (r == 0)
		r = check_word(RPMTAG_RELEASE, header->release, nevra->release, err);
	if (r == 0)
		r = check_word(RPMTAG_ARCH, header->arch, arch, err);
	if (r == 0 && nevra->epoch >= 0 && nevra->epoch != header->epoch)
		r = error_set(err, -EBADMSG, BLAME_SOURCE, tag_word(RPMTAG_EPOCH),
			      "%s: the header says %" PRIu32 ", not %" PRId64,
			      tag_word(RPMTAG_EPOCH), header->epoch, nevra->epoch);
	return r;
}

/* ---- primary --------------------------------------------------------------- */

static void add_content(struct sink *sink, const char *indent, const char *element,
			const char *value)
{
	sink_addf(sink, "%s<%s>", indent, element);
	xml_content(sink, value, strlen(value));
	sink_addf(sink, "</%s>\n", element);
}

static void add_attribute(struct sink *sink, const char *name, const char *value)
{
	sink_addf(sink, " %s=\"", name);
	xml_attribute(sink, value, strlen(value));
	sink_adds(sink, "\"");
}

static void add_version(struct sink *sink, const struct header *header)
{
	sink_addf(sink, "  <version epoch=\"%" PRIu32 "\"", header->epoch);
	add_attribute(sink, "ver", header->version);
	add_attribute(sink, "rel", header->release);
	sink_adds(sink, "/>\n");
}

static uint64_t number_or(const struct tags *tags, rpmTagVal large, rpmTagVal small)
{
	return tags_number(tags, tags_has(tags, large) ? large : small);
}

static void write_head(const struct tags *tags, const struct input *input,
		       const struct header *header, struct sink *sink)
{
	uint64_t archive = input->archive_bytes
				   ? input->archive_bytes
				   : number_or(tags, RPMTAG_LONGARCHIVESIZE, RPMTAG_ARCHIVESIZE);

	sink_adds(sink, "<package type=\"rpm\">\n");
	add_content(sink, "  ", "name", header->name);
	add_content(sink, "  ", "arch", header->arch);
	add_version(sink, header);
	sink_addf(sink, "  <checksum type=\"sha256\" pkgid=\"YES\">%.64s</checksum>\n",
		  input->file->key);
	add_content(sink, "  ", "summary", tags_string(tags, RPMTAG_SUMMARY));
	add_content(sink, "  ", "description", tags_string(tags, RPMTAG_DESCRIPTION));
	add_content(sink, "  ", "packager", tags_string(tags, RPMTAG_PACKAGER));
	add_content(sink, "  ", "url", tags_string(tags, RPMTAG_URL));
	sink_addf(sink, "  <time file=\"%" PRId64 "\" build=\"%" PRIu64 "\"/>\n", header->time,
		  tags_number(tags, RPMTAG_BUILDTIME));
	sink_addf(sink,
		  "  <size package=\"%" PRIu64 "\" installed=\"%" PRIu64 "\" archive=\"%" PRIu64
		  "\"/>\n",
		  header->size, number_or(tags, RPMTAG_LONGSIZE, RPMTAG_SIZE), archive);
	sink_adds(sink, "  <location");
	add_attribute(sink, "href", input->file->href);
	sink_adds(sink, "/>\n  <format>\n");
	add_content(sink, "    ", "rpm:license", tags_string(tags, RPMTAG_LICENSE));
	add_content(sink, "    ", "rpm:vendor", tags_string(tags, RPMTAG_VENDOR));
	add_content(sink, "    ", "rpm:group", tags_string(tags, RPMTAG_GROUP));
	add_content(sink, "    ", "rpm:buildhost", tags_string(tags, RPMTAG_BUILDHOST));
	add_content(sink, "    ", "rpm:sourcerpm", header->sourcerpm);
	sink_addf(sink, "    <rpm:header-range start=\"%" PRIu64 "\" end=\"%" PRIu64 "\"/>\n",
		  header->start, header->end);
}

/* ---- filelists and other ---------------------------------------------------- */

static void open_package(const struct input *input, const struct header *header, struct sink *sink)
{
	sink_addf(sink, "<package pkgid=\"%.64s\"", input->file->key);
	add_attribute(sink, "name", header->name);
	add_attribute(sink, "arch", header->arch);
	sink_adds(sink, ">\n");
	add_version(sink, header);
}

/* An entry of a newer one's time, or of the same, is put one second behind the one told before it,
 * so that sorting by time keeps the order. */
static void write_changes(const struct tag_values *time, const struct tag_values *author,
			  const struct tag_values *words, struct sink *sink)
{
	uint32_t count = author->count < HEADER_CHANGES ? author->count : HEADER_CHANGES;
	uint64_t before = 0, before_said = 0;

	for (uint32_t i = count; i-- > 0;) {
		const char *name = tag_string(author, i), *text = tag_string(words, i);
		uint64_t own = tag_number(time, i), said = own;
		size_t length = strlen(name);

		if (i + 1 < count && before <= own && own <= before_said)
			said = before_said + 1;
		before = own;
		before_said = said;
		while (length && name[length - 1] == ' ')
			length--;
		sink_adds(sink, "  <changelog author=\"");
		xml_attribute(sink, name, length);
		sink_addf(sink, "\" date=\"%" PRIu64 "\">", said);
		xml_content(sink, text, strlen(text));
		sink_adds(sink, "</changelog>\n");
	}
}

static int write_other(const struct tags *tags, struct sink *sink, struct error *err)
{
	_cleanup_(tag_values_done) struct tag_values time = { 0 };
	_cleanup_(tag_values_done) struct tag_values author = { 0 };
	_cleanup_(tag_values_done) struct tag_values words = { 0 };
	int r = tags_strings(tags, RPMTAG_CHANGELOGNAME, UINT32_MAX, &author, err);

	if (r == 1)
		r = tags_numbers(tags, RPMTAG_CHANGELOGTIME, author.count, &time, err);
	if (r == 1)
		r = tags_strings(tags, RPMTAG_CHANGELOGTEXT, author.count, &words, err);
	if (r == 1)
		write_changes(&time, &author, &words, sink);
	return r < 0 ? r : 0;
}

/* ---- all three --------------------------------------------------------------- */

static int write_all(const struct tags *tags, const struct input *input,
		     const struct header *header, struct sink sink[HEADER_ELEMENTS],
		     struct sink *files, struct error *err)
{
	_cleanup_(relations_freep) struct relations *relations = NULL;
	int r = relations_load(tags, &relations, err);

	if (r < 0)
		return r;
	open_package(input, header, &sink[HEADER_FILELISTS]);
	r = files_write(tags, relations_names(relations), files, &sink[HEADER_FILELISTS], err);
	if (r < 0)
		return r;
	write_head(tags, input, header, &sink[HEADER_PRIMARY]);
	r = relations_write(relations, &sink[HEADER_PRIMARY], err);
	if (r < 0)
		return r;
	sink_add(&sink[HEADER_PRIMARY], files->text.data ? files->text.data : "",
		 files->text.length);
	sink_adds(&sink[HEADER_PRIMARY], "  </format>\n");
	open_package(input, header, &sink[HEADER_OTHER]);
	return write_other(tags, &sink[HEADER_OTHER], err);
}

int elements_write(const struct tags *tags, const struct input *input, size_t limit,
		   struct header *ret, struct error *err)
{
	static const char *const words[HEADER_ELEMENTS] = { "primary", "filelists", "other" };
	struct sink sink[HEADER_ELEMENTS] = { { .limit = limit },
					      { .limit = limit },
					      { .limit = limit } };
	struct sink files = { .limit = limit };
	int r = take_words(tags, ret, err);

	if (r == 0 && input->file->nevra)
		r = check_nevra(input->file->nevra, ret, err);
	if (r == 0)
		r = write_all(tags, input, ret, sink, &files, err);
	for (size_t i = 0; i < HEADER_ELEMENTS; i++) {
		sink_adds(&sink[i], "</package>\n");
		if (r == 0 && (sink[i].over || files.over))
			r = error_set(err, -EFBIG, BLAME_SOURCE, words[i],
				      "%s: its element would be longer than %zu bytes", words[i],
				      limit);
		if (r == 0 && (sink[i].text.failed || files.text.failed))
			r = error_oom(err);
		ret->element[i] = sink[i].text;
	}
	text_done(&files.text);
	return r;
}
