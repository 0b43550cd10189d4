/* SPDX-License-Identifier: MIT */
/* core/daemon/access.c: which repositories a request may name.
 *
 * With prefixes in [repo] allowed a repository must lie below one of them, whoever asks, and is
 * read with the service's rights. Without, the asker must be a user of this machine, and the worker
 * reads with his rights (setfsuid): nobody gets through the service what he could not read himself.
 * Judged by the words of the path here, without a look at the disk; the worker judges the real path
 * again. */
#include "core/daemon/daemon.h"

#include <grp.h>
#include <pwd.h>

/* the path of a word of source.source: what file:// stands for; NULL for anything else */
static const char *local_path(const char *word)
{
	static const char scheme[] = "file://";

	if (word[0] == '/')
		return word;
	if (!strncmp(word, scheme, strlen(scheme)) && word[strlen(scheme)] == '/')
		return word + strlen(scheme);
	return NULL;
}

static bool below(const char *path, const char *prefix)
{
	size_t length = strlen(prefix);

	while (length > 1 && prefix[length - 1] == '/')
		length--;
	if (length == 1)
		return true; /* "/" allows everything */
	return !strncmp(path, prefix, length) && (path[length] == '/' || !path[length]);
}

static bool has_dots(const char *path)
{
	for (const char *at = path; (at = strstr(at, "/.")); at += 2)
		if (at[2] == '/' || !at[2] || (at[2] == '.' && (at[3] == '/' || !at[3])))
			return true;
	return false;
}

static bool allowed(const struct config *config, const char *word)
{
	const char *path = local_path(word);

	if (!path || has_dots(path) || strchr(path, '%'))
		return false;
	for (size_t i = 0; i < config->repo_allowed.count; i++)
		if (below(path, config->repo_allowed.item[i]))
			return true;
	return false;
}

static int check_list(const struct config *config, bool known, const struct strings *words,
		      const char *field, struct error *err)
{
	for (size_t i = 0; i < words->count; i++) {
		if (config->repo_allowed.count ? !allowed(config, words->item[i]) : !known)
			return error_set(err, -EACCES, BLAME_REQUEST, field,
					 "%s: not below a path that [repo] allowed names%s",
					 words->item[i],
					 config->repo_allowed.count
						 ? ""
						 : ", and the client is no user of this machine");
	}
	return 0;
}

int access_repo(const struct config *config, bool known, const struct spec *spec, struct error *err)
{
	int r = 0;

	if (spec->source_type == SOURCE_REPO)
		r = check_list(config, known, &spec->source, "source.source", err);
	if (r == 0)
		r = check_list(config, known, &spec->lookaside_repos, "lookaside_repos", err);
	return r;
}

bool access_trusted(const struct config *config, const struct spec *spec)
{
	if (!config->repo_allowed.count)
		return false;
	for (size_t i = 0; i < spec->source.count && spec->source_type == SOURCE_REPO; i++)
		if (!allowed(config, spec->source.item[i]))
			return false;
	for (size_t i = 0; i < spec->lookaside_repos.count; i++)
		if (!allowed(config, spec->lookaside_repos.item[i]))
			return false;
	return true;
}

/* is the group with this number one of the names? */
static bool group_named(gid_t gid, const struct strings *names)
{
	struct group entry, *found = NULL;
	_cleanup_(freep) char *buffer = malloc(64 * 1024); /* a group may have many members */

	return buffer && getgrgid_r(gid, &entry, buffer, 64 * 1024, &found) == 0 && found &&
	       strings_has(names, found->gr_name);
}

int access_admit(const struct config *config, uint32_t uid, uint32_t gid)
{
	struct passwd entry, *user = NULL;
	gid_t groups[256];
	char buffer[4096];
	int count = ARRAY_SIZE(groups);

	if (!config->allowed_groups.count || uid == 0 || group_named(gid, &config->allowed_groups))
		return 0;
	if (getpwuid_r(uid, &entry, buffer, sizeof(buffer), &user) != 0 || !user)
		return -EACCES;
	if (getgrouplist(user->pw_name, user->pw_gid, groups, &count) < 0)
		count = ARRAY_SIZE(groups); /* the first ones are there all the same */
	for (int i = 0; i < count; i++)
		if (group_named(groups[i], &config->allowed_groups))
			return 0;
	return -EACCES;
}
