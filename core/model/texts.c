/* SPDX-License-Identifier: MIT */
/* core/model/texts.c: the files of a compose that carry its id: .repo (odcs-api.md 7.4) and the
 * productmd documents (7.5). Indented by 4 with sorted members, as productmd prints them. */
#include "core/model/private.h"

#define SHORT_NAME_LENGTH 16 /* Pungi cuts the release's short name there */

/* ---- the compose's own id ---------------------------------------------- */

const char *compose_type_suffix(const char *compose_type)
{
	static const char *const suffixes[][2] = { { "test", ".t" },
						   { "ci", ".ci" },
						   { "nightly", ".n" },
						   { "production", "" },
						   { "development", ".d" } };

	for (size_t i = 0; i < ARRAY_SIZE(suffixes); i++)
		if (!strcmp(compose_type, suffixes[i][0]))
			return suffixes[i][1];
	return NULL;
}

char *compose_id_text(int64_t id, int64_t time_started, const char *compose_type)
{
	const char *suffix = compose_type ? compose_type_suffix(compose_type) : NULL;
	char date[TIME_ISO_SIZE];
	struct text text = { 0 };

	(void)text_addf(&text, "odcs-%" PRId64 "-1-%s%s.0", id, time_date(time_started, date),
			suffix ? suffix : ".t");
	return text_steal(&text);
}

/* "…-YYYYMMDD.t.N": the date and N; false when @text ends otherwise. */
static bool read_compose_id(const char *text, char date[static 9], int64_t *ret_respin)
{
	const char *dash = strrchr(text, '-'), *dot = strrchr(text, '.');

	if (!dash || !dot || strspn(dash + 1, "0123456789") != 8 || dot < dash + 9)
		return false;
	memcpy(date, dash + 1, 8);
	date[8] = '\0';
	return parse_int64(dot + 1, ret_respin) == 0 && *ret_respin >= 0;
}

/* ---- productmd --------------------------------------------------------- */

static json_t *compose_section(const struct compose *compose, bool with_label)
{
	_cleanup_(freep) char *made = NULL;
	const char *id = compose->pungi_compose_id;
	char date[TIME_ISO_SIZE];
	int64_t respin = 0;
	json_t *section;

	if (!id) {
		made = compose_id_text(compose_tree_id(compose), compose->time_started,
				       compose->spec->compose_type);
		id = made;
	}
	if (!id)
		return NULL;
	if (!read_compose_id(id, date, &respin))
		(void)time_date(compose->time_started, date);
	section = json_pack("{s:s, s:s, s:I, s:s}", "id", id, "date", date, "respin",
			    (json_int_t)respin, "type", compose->spec->compose_type);
	if (section && with_label && compose->spec->label &&
	    (json_object_set_new(section, "label", json_string(compose->spec->label)) < 0 ||
	     json_object_set_new(section, "final", json_false()) < 0)) {
		json_decref(section);
		return NULL;
	}
	return section;
}

/* Steals @section and @content; NULL when out of memory. */
static char *document(const char *type, json_t *section, const char *name, json_t *content)
{
	json_auto_t *json =
		json_pack("{s:{s:s, s:s}, s:{s:o, s:o}}", "header", "type", type, "version", "1.2",
			  "payload", "compose", section, name, content);

	return json ? json_dumps(json, JSON_INDENT(4) | JSON_SORT_KEYS | JSON_ENSURE_ASCII) : NULL;
}

static int add_document(struct text *ret, const char *document_text)
{
	if (!document_text)
		return -ENOMEM;
	(void)text_adds(ret, document_text);
	return text_adds(ret, "\n");
}

/* One kind of path for every arch: "x86_64": "Temporary/x86_64/os". */
static json_t *path_section(const struct strings *arches, const char *tail, bool per_arch)
{
	json_auto_t *section = json_object();

	for (size_t i = 0; section && i < arches->count; i++) {
		const char *arch = arches->item[i];
		json_t *path = json_sprintf("Temporary%s%s/%s", per_arch ? "/" : "",
					    per_arch ? arch : "", tail);

		if (json_object_set_new(section, arch, path) < 0)
			return NULL;
	}
	return steal(section);
}

static json_t *variant(const struct strings *arches)
{
	static const struct {
		const char *name, *tail;
		bool per_arch;
	} kinds[] = {
		{ "os_tree", "os", true },
		{ "repository", "os", true },
		{ "packages", "os/Packages", true },
		{ "debug_tree", "debug/tree", true },
		{ "debug_repository", "debug/tree", true },
		{ "debug_packages", "debug/tree/Packages", true },
		{ "source_tree", "source/tree", false },
		{ "source_repository", "source/tree", false },
		{ "source_packages", "source/tree/Packages", false },
	};
	json_auto_t *paths = json_object();
	json_t *list = words_to_json(arches);

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (json_object_set_new(paths, kinds[i].name,
					path_section(arches, kinds[i].tail, kinds[i].per_arch)) <
		    0) {
			json_decref(list);
			return NULL;
		}
	return json_pack("{s:{s:s, s:s, s:s, s:s, s:o, s:O}}", "Temporary", "id", "Temporary",
			 "uid", "Temporary", "name", "Temporary", "type", "variant", "arches", list,
			 "paths", paths);
}

/* The arches of the record and the names that their trees have beside (arch_also()). */
static int shown_arches(const struct compose *compose, struct strings *ret)
{
	int r = compose_arches(compose, ret);
	size_t count = ret->count;

	for (size_t i = 0; i < count && r == 0; i++) {
		const char *also = arch_also(ret, i);

		r = also ? strings_add(ret, also) : 0;
	}
	strings_sort(ret); /* productmd has a set of them */
	return r;
}

int compose_text_composeinfo(const struct compose *compose, struct text *ret)
{
	_cleanup_(freep) char *text = NULL;
	json_auto_t *json = NULL;
	struct strings arches = { 0 };
	char name[32];

	(void)snprintf(name, sizeof(name), "odcs-%" PRId64, compose_tree_id(compose));
	if (shown_arches(compose, &arches) == 0) {
		json = json_pack("{s:{s:s, s:s}, s:{s:o, s:{s:b, s:s, s:s%, s:s, s:s}, s:o}}",
				 "header", "type", "productmd.composeinfo", "version", "1.2",
				 "payload", "compose", compose_section(compose, true), "release",
				 "internal", 0, "name", name, "short", name,
				 strnlen(name, SHORT_NAME_LENGTH), "type", "ga", "version", "1",
				 "variants", variant(&arches));
	}
	strings_done(&arches);
	if (json)
		text = json_dumps(json, JSON_INDENT(4) | JSON_SORT_KEYS | JSON_ENSURE_ASCII);
	return add_document(ret, text);
}

int compose_text_images(const struct compose *compose, struct text *ret)
{
	_cleanup_(freep) char *text = document("productmd.images", compose_section(compose, false),
					       "images", json_object());

	return add_document(ret, text);
}

/* A document that ends with its member @name, which sorts after "compose", up to that member. */
static int add_head(const struct compose *compose, const char *type, const char *name,
		    struct text *ret)
{
	static const char rest[] = "\"\": {}\n    }\n}";
	_cleanup_(freep) char *text =
		document(type, compose_section(compose, false), name, json_object());

	if (!text)
		return -ENOMEM;
	return text_add(ret, text, strlen(text) - strlen(name) - (sizeof(rest) - 1));
}

int compose_text_rpms_head(const struct compose *compose, struct text *ret)
{
	return add_head(compose, "productmd.rpms", "rpms", ret);
}

int compose_text_modules_head(const struct compose *compose, struct text *ret)
{
	return add_head(compose, "productmd.modules", "modules", ret);
}

/* ---- .repo ------------------------------------------------------------- */

static int add_section(struct text *ret, const char *name, const char *base_url, const char *tail,
		       bool enabled)
{
	return text_addf(ret,
			 "[%s]\n"
			 "name=ODCS repository for compose %s\n"
			 "baseurl=%s%s%s\n"
			 "type=rpm-md\n"
			 "skip_if_unavailable=False\n"
			 "gpgcheck=0\n"
			 "repo_gpgcheck=0\n"
			 "enabled=%d\n"
			 "enabled_metadata=1\n",
			 name, name, base_url, *base_url ? "/" : "", tail, enabled);
}

int compose_text_repo(const struct compose *compose, const char *base_url, struct text *ret)
{
	static const struct {
		const char *suffix, *tail;
		bool enabled;
	} sections[] = { { "", "$basearch/os", true },
			 { "-debuginfo", "$basearch/debug/tree", false },
			 { "-source", "source/tree", false } };
	_cleanup_(freep) char *url = compose_result_repo(compose, base_url);
	char name[48];

	if (!url)
		return -ENOMEM;
	for (size_t i = 0; i < ARRAY_SIZE(sections); i++) {
		if (i)
			(void)text_adds(ret, "\n");
		(void)snprintf(name, sizeof(name), "odcs-%" PRId64 "%s", compose_tree_id(compose),
			       sections[i].suffix);
		(void)add_section(ret, name, url, sections[i].tail, sections[i].enabled);
	}
	return ret->failed ? -ENOMEM : 0;
}

const char *compose_status_word(const struct compose *compose)
{
	switch (compose->state) {
	case STATE_DONE:
		return "FINISHED";
	case STATE_FAILED:
		return "DOOMED";
	case STATE_REMOVED:
		return compose->time_done ? "FINISHED" : "DOOMED";
	default:
		return "STARTED";
	}
}
