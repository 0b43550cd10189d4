/* SPDX-License-Identifier: MIT */
/* fs/rights.c: who may do what: owners, root, and who has a role (options.gate).
 *
 * The kernel checks modes before (default_permissions), so what an administrator by role may do has
 * to be open to everybody by its mode; the decision is then made here. May ask the machine's user
 * database: called without a lock. */
#include "fs/internal.h"

#include <pwd.h>

char *owner_name(uint32_t uid)
{
	struct passwd entry, *found = NULL;
	char buffer[16384], *name = NULL;

	if (!getpwuid_r(uid, &entry, buffer, sizeof(buffer), &found) && found)
		return strdup(found->pw_name);
	return asprintf(&name, "%" PRIu32, uid) < 0 ? NULL : name;
}

struct asker asker_of(const struct caller *who)
{
	return (struct asker){ .by_uid = true, .local = true, .uid = who->uid, .gid = who->gid };
}

bool is_admin(struct fs *fs, const struct caller *who)
{
	const struct gate *gate = fs->options.gate;
	struct asker asker = asker_of(who);

	return !who->uid || (gate && gate->role(gate->data, &asker, ROLE_ADMIN, NULL) == 0);
}

/* Requests of people without an account here bear the uid of nobody: they are not his. */
static bool is_owner(const struct request *request, uint32_t uid)
{
	_cleanup_(freep) char *name = NULL;

	if (uid != request->uid)
		return false;
	if (uid != UID_NOBODY)
		return true;
	name = owner_name(uid);
	return name && request->owner && !strcmp(name, request->owner);
}

bool may_command(struct fs *fs, const struct request *request, const struct caller *who)
{
	return is_owner(request, who->uid) || is_admin(fs, who);
}

int64_t live_limit(struct fs *fs, const struct caller *who)
{
	int64_t limit = fs->options.live_composes_per_user;

	return limit > 0 && fs->options.gate && is_admin(fs, who) ? 0 : limit;
}

int submission_check(struct fs *fs, const struct caller *who, const struct spec *spec,
		     struct error *err)
{
	const struct fs_options *options = &fs->options;
	struct asker asker = asker_of(who);
	int r = 0;

	if (options->gate)
		r = options->gate->role(options->gate->data, &asker, ROLE_CLIENT, err);
	if (r >= 0 && options->gate)
		r = options->gate->limits(options->gate->data, &asker, spec, NULL, err);
	if (r >= 0 && options->authorise)
		r = options->authorise(options->authorise_data, &asker, spec, err);
	return r;
}
