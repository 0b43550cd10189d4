/* SPDX-License-Identifier: MIT */
/* resolver/header/files.c: lists of files: all of them in filelists, those that others ask for by
 * habit in primary. */
#include "resolver/header/parts.h"

#include <sys/stat.h>

#define FILE_GHOST (1u << 6) /* RPMFILE_GHOST */

bool path_is_primary(const char *path)
{
	return !strncmp(path, "/etc/", 5) || !strcmp(path, "/usr/lib/sendmail") ||
	       strstr(path, "bin/");
}

/* struct file_tags - the same number of values each, but for the folders */
struct file_tags {
	struct tag_values folders, folder, base, flags, mode;
};

static void file_tags_done(struct file_tags *tags)
{
	tag_values_done(&tags->folders);
	tag_values_done(&tags->folder);
	tag_values_done(&tags->base);
	tag_values_done(&tags->flags);
	tag_values_done(&tags->mode);
}

/* 1; 0: there are no files, or nothing that createrepo_c would show */
static int file_tags_load(const struct tags *tags, struct file_tags *ret, struct error *err)
{
	int r = tags_strings(tags, RPMTAG_BASENAMES, UINT32_MAX, &ret->base, err);
	uint32_t count = ret->base.count;

	if (r == 1)
		r = tags_strings(tags, RPMTAG_DIRNAMES, UINT32_MAX, &ret->folders, err);
	if (r == 1)
		r = tags_numbers(tags, RPMTAG_DIRINDEXES, count, &ret->folder, err);
	if (r == 1)
		r = tags_numbers(tags, RPMTAG_FILEFLAGS, count, &ret->flags, err);
	if (r == 1)
		r = tags_numbers(tags, RPMTAG_FILEMODES, count, &ret->mode, err);
	return r;
}

static void write_file(struct sink *sink, const char *indent, const char *type,
		       const struct text *path)
{
	sink_adds(sink, indent);
	sink_adds(sink, type);
	xml_content(sink, path->data, path->length);
	sink_adds(sink, "</file>\n");
}

static const char *tag_of(uint64_t mode, uint64_t flags)
{
	if (S_ISDIR(mode))
		return "<file type=\"dir\">";
	return flags & FILE_GHOST ? "<file type=\"ghost\">" : "<file>";
}

int files_write(const struct tags *tags, struct names *names, struct sink *primary,
		struct sink *filelists, struct error *err)
{
	_cleanup_(file_tags_done) struct file_tags file = { 0 };
	_cleanup_(text_done) struct text path = { 0 };
	int r = file_tags_load(tags, &file, err);

	for (uint32_t i = 0; r == 1 && i < file.base.count && !filelists->over; i++) {
		uint64_t folder = tag_number(&file.folder, i);
		const char *type = tag_of(tag_number(&file.mode, i), tag_number(&file.flags, i));

		if (folder >= file.folders.count)
			return error_set(err, -EBADMSG, BLAME_SOURCE, tag_word(RPMTAG_DIRINDEXES),
					 "%s: there are %" PRIu32
					 " folders, and no number %" PRIu64,
					 tag_word(RPMTAG_DIRINDEXES), file.folders.count, folder);
		text_clear(&path);
		text_adds(&path, tag_string(&file.folders, (uint32_t)folder));
		if (text_adds(&path, tag_string(&file.base, i)) < 0)
			return error_oom(err);
		write_file(filelists, "  ", type, &path);
		if (path_is_primary(path.data)) {
			bool *owned = names_find(names, path.data);

			write_file(primary, "    ", type, &path);
			if (owned)
				*owned = true;
		}
	}
	return r < 0 ? r : 0;
}
