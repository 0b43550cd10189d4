/* SPDX-License-Identifier: MIT */
/* resolver/header/tags.c: values of tags, by librpm (which keys.c asks about signatures).
 *
 * A header that was checked is imported as it is, then gets what rpm itself adds to old ones when
 * it reads a package: is it a source package, lists of files and provides in today's form. Values
 * are taken raw: translations, and everything else that depends on the environment or on rpm's
 * configuration, stay out. */
#include "resolver/header/parts.h"

#include <rpm/rpmds.h>

#define RAW (HEADERGET_MINMEM | HEADERGET_RAW)

/* Before there was a tag that says so: files without a folder are those of a source package. */
static bool looks_like_source(const struct tags *tags)
{
	_cleanup_(tag_values_done) struct tag_values folders = { 0 };

	return tags_strings(tags, RPMTAG_DIRNAMES, 1, &folders, NULL) == 1 &&
	       !*tag_string(&folders, 0);
}

static int add_number(struct tags *tags, rpmTagVal tag, uint32_t value)
{
	return headerPutUint32(tags->header, tag, &value, 1) ? 0 : -ENOMEM;
}

static int retrofit(struct tags *tags, struct error *err)
{
	int r = 0;

	if (!tags_has(tags, RPMTAG_SOURCERPM) && !tags_has(tags, RPMTAG_SOURCEPACKAGE)) {
		if (looks_like_source(tags))
			r = add_number(tags, RPMTAG_SOURCEPACKAGE, 1);
		else if (!headerPutString(tags->header, RPMTAG_SOURCERPM, "(none)"))
			r = -ENOMEM;
	}
	if (r == 0 && !tags_has(tags, RPMTAG_HEADERIMMUTABLE) &&
	    !headerConvert(tags->header, HEADERCONV_RETROFIT_V3))
		r = -ENOMEM;
	return r < 0 ? error_oom(err) : 0;
}

int tags_open(unsigned char *bytes, size_t length, struct tags *ret, struct error *err)
{
	struct tags tags = { .header = headerImport(bytes, (unsigned int)length, 0) };
	int r;

	if (!tags.header) {
		free(bytes);
		return error_set(err, -EBADMSG, BLAME_SOURCE, "header",
				 "header: rpm finds it damaged");
	}
	r = retrofit(&tags, err);
	if (r < 0)
		tags_close(&tags);
	else
		*ret = tags;
	return r;
}

int tags_make(const struct nevra *nevra, struct tags *ret, struct error *err)
{
	bool source = !strcmp(nevra->arch, "src") || !strcmp(nevra->arch, "nosrc");
	uint32_t epoch = nevra->epoch > 0 ? (uint32_t)nevra->epoch : 0, equal = RPMSENSE_EQUAL;
	_cleanup_(text_done) struct text evr = { 0 };
	struct tags tags = { .header = headerNew() };
	bool done;

	(void)text_addf(&evr, "%" PRIu32 ":%s-%s", epoch, nevra->version, nevra->release);
	done = tags.header && !evr.failed &&
	       headerPutString(tags.header, RPMTAG_NAME, nevra->name) &&
	       headerPutString(tags.header, RPMTAG_VERSION, nevra->version) &&
	       headerPutString(tags.header, RPMTAG_RELEASE, nevra->release) &&
	       headerPutString(tags.header, RPMTAG_ARCH, nevra->arch) &&
	       headerPutUint32(tags.header, RPMTAG_EPOCH, &epoch, 1);
	if (done && source)
		done = add_number(&tags, RPMTAG_SOURCEPACKAGE, 1) == 0;
	else if (done)
		done = headerPutString(tags.header, RPMTAG_PROVIDENAME, nevra->name) &&
		       headerPutString(tags.header, RPMTAG_PROVIDEVERSION, evr.data) &&
		       headerPutUint32(tags.header, RPMTAG_PROVIDEFLAGS, &equal, 1);
	if (!done) {
		tags_close(&tags);
		return error_oom(err);
	}
	*ret = tags;
	return 0;
}

void tags_close(struct tags *tags)
{
	tags->header = headerFree(tags->header);
}

bool tags_has(const struct tags *tags, rpmTagVal tag)
{
	return headerIsEntry(tags->header, tag);
}

const char *tag_word(rpmTagVal tag)
{
	return rpmTagGetName(tag);
}

/* ---- values ------------------------------------------------------------- */

static bool is_text(rpmTagType type)
{
	return type == RPM_STRING_TYPE || type == RPM_STRING_ARRAY_TYPE ||
	       type == RPM_I18NSTRING_TYPE;
}

static bool is_number(rpmTagType type)
{
	return type == RPM_INT8_TYPE || type == RPM_INT16_TYPE || type == RPM_INT32_TYPE ||
	       type == RPM_INT64_TYPE;
}

static int values_of(const struct tags *tags, rpmTagVal tag, uint32_t count,
		     bool (*fits)(rpmTagType type), struct tag_values *ret, struct error *err)
{
	if (!headerGet(tags->header, tag, &ret->td, RAW))
		return 0;
	ret->count = rpmtdCount(&ret->td);
	if (!fits(ret->td.type) || !ret->td.data)
		return error_set(err, -EBADMSG, BLAME_SOURCE, tag_word(tag),
				 "%s: of the wrong type", tag_word(tag));
	if (count != UINT32_MAX && ret->count != count)
		return error_set(err, -EBADMSG, BLAME_SOURCE, tag_word(tag),
				 "%s: %" PRIu32 " values where %" PRIu32 " belong", tag_word(tag),
				 ret->count, count);
	return 1;
}

int tags_strings(const struct tags *tags, rpmTagVal tag, uint32_t count, struct tag_values *ret,
		 struct error *err)
{
	return values_of(tags, tag, count, is_text, ret, err);
}

int tags_numbers(const struct tags *tags, rpmTagVal tag, uint32_t count, struct tag_values *ret,
		 struct error *err)
{
	return values_of(tags, tag, count, is_number, ret, err);
}

void tag_values_done(struct tag_values *values)
{
	rpmtdFreeData(&values->td);
}

const char *tag_string(const struct tag_values *values, uint32_t index)
{
	if (values->td.type == RPM_STRING_TYPE)
		return values->td.data;
	return ((char *const *)values->td.data)[index];
}

uint64_t tag_number(const struct tag_values *values, uint32_t index)
{
	switch (values->td.type) {
	case RPM_INT8_TYPE:
		return ((const uint8_t *)values->td.data)[index];
	case RPM_INT16_TYPE:
		return ((const uint16_t *)values->td.data)[index];
	case RPM_INT32_TYPE:
		return ((const uint32_t *)values->td.data)[index];
	default:
		return ((const uint64_t *)values->td.data)[index];
	}
}

const char *tags_string(const struct tags *tags, rpmTagVal tag)
{
	_cleanup_(tag_values_done) struct tag_values values = { 0 };

	/* the strings lie in the header, so they outlive what points to them; of translations the
	 * first has none */
	if (tags_strings(tags, tag, UINT32_MAX, &values, NULL) != 1 ||
	    (values.count != 1 && values.td.type != RPM_I18NSTRING_TYPE))
		return "";
	return tag_string(&values, 0);
}

uint64_t tags_number(const struct tags *tags, rpmTagVal tag)
{
	_cleanup_(tag_values_done) struct tag_values values = { 0 };

	return tags_numbers(tags, tag, 1, &values, NULL) == 1 ? tag_number(&values, 0) : 0;
}
