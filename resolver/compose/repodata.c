/* SPDX-License-Identifier: MIT */
/* resolver/compose/repodata.c: what stands in one tree's repodata/: primary, filelists, other,
 * comps, modules and repomd.xml, in the form that createrepo_c gives them, also when there is no
 * package. */
#include "resolver/compose/parts.h"

static const struct {
	const char *type, *head, *tail;
} streams[SNAPSHOT_STREAMS] = {
	[SNAPSHOT_PRIMARY] = { "primary",
			       "<metadata xmlns=\"http://linux.duke.edu/metadata/common\" "
			       "xmlns:rpm=\"http://linux.duke.edu/metadata/rpm\"",
			       "</metadata>" },
	[SNAPSHOT_FILELISTS] = { "filelists",
				 "<filelists xmlns=\"http://linux.duke.edu/metadata/filelists\"",
				 "</filelists>" },
	[SNAPSHOT_OTHER] = { "other", "<otherdata xmlns=\"http://linux.duke.edu/metadata/other\"",
			     "</otherdata>" },
};

/* Makes files in one repodata/ and the lines about them. */
struct repomd_writer {
	struct composing *composing;
	uint32_t directory[2]; /* nodes that show it: of the place, and where it is shown once more
				*/
	size_t directories;
	struct text xml;
};

static int show(struct repomd_writer *writer, const char *name, const struct blob *blob,
		struct error *err)
{
	int r = 0;

	for (size_t i = 0; i < writer->directories && r == 0; i++)
		r = manifest_writer_blob(writer->composing->manifest, writer->directory[i], name,
					 MANIFEST_BLOB, blob, err);
	return r;
}

/* Each file is named by its digest. @file is "primary.xml"; compressed ones get a suffix.
 * @ret_name: the whole name; may be NULL */
static int add_record(struct repomd_writer *writer, const char *type, const char *file,
		      const struct text *content, bool compressed, char **ret_name,
		      struct error *err)
{
	struct composing *composing = writer->composing;
	const void *bytes = content->data;
	char name[DIGEST_HEX_SIZE + 64], open_hex[DIGEST_HEX_SIZE];
	size_t length = content->length;
	struct blob blob;
	int r = 0;

	if (compressed)
		r = compressor_run(composing->compressor, content->data, content->length, &bytes,
				   &length, err);
	if (r == 0)
		r = blob_put(&composing->blobs, bytes, length, &blob, err);
	if (r < 0)
		return error_prefix(err, "%s", file);
	(void)snprintf(name, sizeof(name), "%s-%s%s", blob.hex, file,
		       compressed ? compressor_suffix(composing->compressor) : "");
	(void)text_addf(&writer->xml,
			"  <data type=\"%s\">\n    <checksum type=\"sha256\">%s</checksum>\n", type,
			blob.hex);
	if (compressed) {
		sha256_hex(content->data, content->length, open_hex);
		(void)text_addf(&writer->xml,
				"    <open-checksum type=\"sha256\">%s</open-checksum>\n",
				open_hex);
	}
	(void)text_addf(&writer->xml,
			"    <location href=\"repodata/%s\"/>\n"
			"    <timestamp>%" PRId64 "</timestamp>\n    <size>%zu</size>\n",
			name, composing->composition->timestamp, length);
	if (compressed)
		(void)text_addf(&writer->xml, "    <open-size>%zu</open-size>\n", content->length);
	(void)text_adds(&writer->xml, "  </data>\n");
	if (ret_name && !(*ret_name = strdup(name)))
		return error_oom(err);
	return show(writer, name, &blob, err);
}

static int add_stream(struct repomd_writer *writer, const struct place *place,
		      enum snapshot_stream stream, struct text *scratch, struct error *err)
{
	struct composing *composing = writer->composing;
	char file[32];
	int r;

	text_clear(scratch);
	(void)text_addf(scratch,
			"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n%s packages=\"%zu\">\n",
			streams[stream].head, place->count);
	for (size_t i = 0; i < place->count; i++) {
		r = element_add(composing, &composing->item[place->first + i], stream, scratch,
				err);
		if (r < 0)
			return r;
	}
	if (text_adds(scratch, streams[stream].tail) < 0)
		return error_oom(err);
	(void)snprintf(file, sizeof(file), "%s.xml", streams[stream].type);
	return add_record(writer, streams[stream].type, file, scratch, true, NULL, err);
}

/* The requested names as ODCS writes them: one group that is installed by default. */
static int add_comps(struct repomd_writer *writer, struct text *scratch, struct error *err)
{
	const struct strings *names = writer->composing->composition->comps_names;
	struct strings sorted = { 0 };
	int r = 0;

	text_clear(scratch);
	(void)text_adds(
		scratch,
		"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
		"<!DOCTYPE comps PUBLIC \"-//Red Hat, Inc.//DTD Comps info//EN\" \"comps.dtd\">\n"
		"<comps>\n  <group>\n    <id>odcs-group</id>\n    <name>odcs-group</name>\n"
		"    <description>ODCS compose default group</description>\n"
		"    <default>true</default>\n    <uservisible>true</uservisible>\n"
		"    <packagelist>\n");
	if (names)
		r = strings_copy(&sorted, names);
	strings_sort(&sorted);
	for (size_t i = 0; i < sorted.count && r == 0; i++) {
		if (i && !strcmp(sorted.item[i - 1], sorted.item[i]))
			continue;
		(void)text_adds(scratch, "      <packagereq type=\"mandatory\">");
		xml_adds(scratch, sorted.item[i]);
		(void)text_adds(scratch, "</packagereq>\n");
	}
	strings_done(&sorted);
	if (r < 0 || text_adds(scratch, "    </packagelist>\n  </group>\n</comps>\n") < 0)
		return error_oom(err);
	return add_record(writer, "group", "comps.xml", scratch, false, NULL, err);
}

/* modulemd documents of a place; os trees only */
static const char *modules_of(const struct composing *composing, const struct place *place)
{
	const struct composition *composition = composing->composition;

	if (place->tree != COMPOSER_OS || !composition->arch_modules)
		return composition->modules;
	return composition->arch_modules[(size_t)(place - composing->place) / 2];
}

static int add_records(struct repomd_writer *writer, struct place *place, struct text *scratch,
		       struct error *err)
{
	const char *modules = modules_of(writer->composing, place);
	int r = 0;

	for (int stream = 0; stream < SNAPSHOT_STREAMS && r == 0; stream++)
		r = add_stream(writer, place, (enum snapshot_stream)stream, scratch, err);
	if (r < 0 || place->tree != COMPOSER_OS)
		return r;
	r = add_comps(writer, scratch, err);
	if (r < 0 || !modules)
		return r;
	text_clear(scratch);
	if (text_adds(scratch, modules) < 0)
		return error_oom(err);
	return add_record(writer, "modules", "modules.yaml", scratch, true, &place->modules, err);
}

static int add_repomd(struct repomd_writer *writer, struct place *place, struct text *scratch,
		      struct error *err)
{
	struct composing *composing = writer->composing;
	struct blob blob;
	int r;

	(void)text_addf(&writer->xml,
			"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
			"<repomd xmlns=\"http://linux.duke.edu/metadata/repo\" "
			"xmlns:rpm=\"http://linux.duke.edu/metadata/rpm\">\n"
			"  <revision>%" PRId64 "</revision>\n",
			composing->composition->revision);
	r = add_records(writer, place, scratch, err);
	if (r < 0)
		return r;
	if (text_adds(&writer->xml, "</repomd>\n") < 0)
		return error_oom(err);
	r = blob_put(&composing->blobs, writer->xml.data, writer->xml.length, &blob, err);
	if (r < 0)
		return r;
	return show(writer, "repomd.xml", &blob, err);
}

int repodata_write(struct composing *composing, struct place *place, struct error *err)
{
	const char *const paths[] = { place->path, place->also };
	struct repomd_writer writer = { .composing = composing };
	struct text scratch = { 0 };
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(paths) && paths[i] && r == 0; i++) {
		(void)text_addf(&scratch, "compose/Temporary/%s/repodata", paths[i]);
		if (scratch.failed)
			r = error_oom(err);
		else
			r = manifest_writer_directory(composing->manifest, 0, scratch.data,
						      &writer.directory[writer.directories++], err);
		text_clear(&scratch);
	}
	if (r == 0)
		r = add_repomd(&writer, place, &scratch, err);
	text_done(&writer.xml);
	text_done(&scratch);
	return r;
}
