/* SPDX-License-Identifier: MIT */
/* core/daemon/access.c: who may ask for what: roles, groups, and which repositories a request may
 * name.
 *
 * Roles come from a file (core/model/roles.c); who a uid is, from the machine's user database
 * (people.c). With path prefixes in [repo] allowed a repository of this machine must lie below one
 * of them, whoever asks, and is read with the service's rights. Without, the asker must be a user
 * of this machine, and the worker reads with his rights (setfsuid): nobody gets through the service
 * what he could not read himself. A URL gives nobody rights of his own, so without a prefix that is
 * one no server is asked. Judged by the words here, without a look at disk or network; the worker
 * judges the real path again, and each redirect and mirror. */
#include "core/daemon/daemon.h"
#include "core/daemon/people.h"

#include <fcntl.h>

#define ROLES_MAX_BYTES (4 << 20)

/* ---- repositories ------------------------------------------------------ */

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

static bool has_prefixes(const struct config *config, bool urls)
{
	for (size_t i = 0; i < config->repo_allowed.count; i++)
		if ((config->repo_allowed.item[i][0] != '/') == urls)
			return true;
	return false;
}

static bool allowed(const struct config *config, const char *word)
{
	const char *path = local_path(word);

	if (!path || path_has_dots(path) || strchr(path, '%'))
		return false;
	for (size_t i = 0; i < config->repo_allowed.count; i++)
		if (path_rest(path, config->repo_allowed.item[i]))
			return true;
	return false;
}

static int check_path(const struct config *config, bool known, const char *word, const char *field,
		      struct error *err)
{
	bool listed = has_prefixes(config, false);

	if (listed ? allowed(config, word) : known)
		return 0;
	return error_set(err, -EACCES, BLAME_REQUEST, field,
			 "%s: not below a path that [repo] allowed names%s", word,
			 listed ? "" : ", and the client is no user of this machine");
}

static int check_url(const struct config *config, const char *word, const char *field,
		     struct error *err)
{
	_cleanup_(freep) char *normal = NULL;
	const char *url = word;
	enum url_kind kind = url_kind(word, &url);
	int r;

	if (kind == URL_NAMED)
		return url_named(&config->repo_names, url)
			       ? 0
			       : error_set(err, -EACCES, BLAME_REQUEST, field,
					   "%s: [repo] names does not have it", word);
	r = url_normal(url, kind != URL_BASE, &normal, err);
	if (r < 0) {
		if (err)
			(void)snprintf(err->field, sizeof(err->field), "%s", field);
		return r;
	}
	if (url_below_any(normal, &config->repo_allowed))
		return 0;
	return error_set(err, -EACCES, BLAME_REQUEST, field,
			 has_prefixes(config, true)
				 ? "%s: not below a URL that [repo] allowed names"
				 : "%s: [repo] allowed names no URL, so no server is asked",
			 word);
}

static int check_list(const struct config *config, bool known, const struct strings *words,
		      const char *field, struct error *err)
{
	int r = 0;

	for (size_t i = 0; i < words->count && r == 0; i++)
		r = url_kind(words->item[i], NULL) == URL_NONE
			    ? check_path(config, known, words->item[i], field, err)
			    : check_url(config, words->item[i], field, err);
	return r;
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

/* One that is a URL names no place of this machine. */
static bool all_trusted(const struct config *config, const struct strings *words)
{
	for (size_t i = 0; i < words->count; i++)
		if (url_kind(words->item[i], NULL) == URL_NONE &&
		    (!has_prefixes(config, false) || !allowed(config, words->item[i])))
			return false;
	return true;
}

bool access_trusted(const struct config *config, const struct spec *spec)
{
	return (spec->source_type != SOURCE_REPO || all_trusted(config, &spec->source)) &&
	       all_trusted(config, &spec->lookaside_repos);
}

/* ---- who it is, and what he may ---------------------------------------- */

struct access {
	const struct config *config;
	struct people *people;
	pthread_rwlock_t lock;
	struct roles *roles; /* under lock; never NULL: without a file nobody has a role */
};

static int roles_read(const struct config *config, struct roles **ret, struct error *err)
{
	const char *path = config->auth_roles;
	_cleanup_(freep) char *text = NULL;
	size_t length = 0;
	int r;

	if (!path[0])
		return roles_parse("{}", 2, "", ret, err);
	r = file_read(AT_FDCWD, path, ROLES_MAX_BYTES, &text, &length);
	if (r < 0)
		return error_set(err, r, BLAME_REQUEST, "auth.roles", "auth.roles: %s: %s", path,
				 strerror(-r));
	r = roles_parse(text, length, path, ret, err);
	return r < 0 ? error_prefix(err, "auth.roles") : 0;
}

int access_new(const struct config *config, struct access **ret, struct error *err)
{
	_cleanup_(access_freep) struct access *access = calloc(1, sizeof(*access));
	int r;

	if (!access)
		return error_oom(err);
	access->config = config;
	(void)pthread_rwlock_init(&access->lock, NULL);
	if (people_new(&access->people) < 0)
		return error_oom(err);
	r = roles_read(config, &access->roles, err);
	if (r < 0)
		return r;
	*ret = steal(access);
	return 0;
}

int access_reload(struct access *access, struct error *err)
{
	struct roles *roles, *old;
	int r;

	people_forget(access->people);
	r = roles_read(access->config, &roles, err);
	if (r < 0)
		return r;
	(void)pthread_rwlock_wrlock(&access->lock);
	old = access->roles;
	access->roles = roles;
	(void)pthread_rwlock_unlock(&access->lock);
	roles_free(old);
	return 0;
}

void access_free(struct access *access)
{
	if (!access)
		return;
	roles_free(access->roles);
	people_free(access->people);
	(void)pthread_rwlock_destroy(&access->lock);
	free(access);
}

json_t *access_clients(void *data)
{
	struct access *access = data;
	json_t *clients;

	(void)pthread_rwlock_rdlock(&access->lock);
	clients = roles_clients(access->roles);
	(void)pthread_rwlock_unlock(&access->lock);
	return clients;
}

static int no_answer(uint32_t uid, int r, struct error *err)
{
	return error_errno(err, r == -ENOMEM ? r : -EIO,
			   "the user database says nothing about uid %" PRIu32, uid);
}

int access_user_name(void *data, uint32_t uid, uint32_t gid, char **ret, struct error *err)
{
	_cleanup_(person_unrefp) const struct person *person = NULL;
	struct access *access = data;
	char *name;
	int r = people_get(access->people, uid, gid, &person);

	if (r < 0)
		return no_answer(uid, r, err);
	name = strdup(person->name);
	if (!name)
		return error_oom(err);
	*ret = name;
	return 0;
}

/* One judgement: @spec and @compose NULL: of the role, else of the limits. */
static int judge(struct access *access, const struct asker *asker, enum role role,
		 const struct spec *spec, const struct compose *compose, struct error *err)
{
	_cleanup_(person_unrefp) const struct person *person = NULL;
	const struct strings *groups = asker->groups;
	const char *name = asker->name;
	int r = 0;

	if (asker->by_uid && asker->uid == 0)
		return 0;
	if (asker->by_uid) {
		r = people_get(access->people, asker->uid, asker->gid, &person);
		if (r < 0)
			return no_answer(asker->uid, r, err);
		name = person->name;
		groups = &person->groups;
	}
	(void)pthread_rwlock_rdlock(&access->lock);
	if (spec || compose)
		r = roles_limits(access->roles, name, groups, spec, compose, err);
	else
		r = roles_check(access->roles, role, name, groups, err);
	(void)pthread_rwlock_unlock(&access->lock);
	return r;
}

static int judge_role(void *data, const struct asker *asker, enum role role, struct error *err)
{
	return judge(data, asker, role, NULL, NULL, err);
}

static int judge_limits(void *data, const struct asker *asker, const struct spec *spec,
			const struct compose *compose, struct error *err)
{
	return judge(data, asker, ROLE_CLIENT, spec, compose, err);
}

struct gate access_gate(struct access *access)
{
	return (struct gate){ .data = access, .role = judge_role, .limits = judge_limits };
}

int access_admit(struct access *access, uint32_t uid, uint32_t gid)
{
	const struct strings *allowed = &access->config->allowed_groups;
	_cleanup_(person_unrefp) const struct person *person = NULL;

	if (!allowed->count || uid == 0)
		return 0;
	if (people_get(access->people, uid, gid, &person) < 0)
		return -EACCES;
	for (size_t i = 0; i < allowed->count; i++)
		if (strings_has(&person->groups, allowed->item[i]))
			return 0;
	return -EACCES;
}
