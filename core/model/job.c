/* SPDX-License-Identifier: MIT */
/* core/model/job.c: the lines of the pipe between server and worker.
 *
 *   {"type":"compose","id":7,"uid":0,"gid":0,"trusted":true,"allowed":[…],"known_event":536,
 *    "repo":{"allowed":["URL",…],"names":["NAME=WORD",…],"gpg_keys":["PATH",…],"gpgcheck":3,"any_mirror":false,"ca":"PATH",
 *    "proxy":"URL","call_seconds":120,"recheck_seconds":60,"rate":0,"connections":3},
 *    "koji":{"hub":"URL","topdir":"/mnt/koji","topurl":"URL","ca":"PATH","proxy":"URL","sigkeys":[…],
 *    "places":["URL",…],"call_seconds":300},"module":{"repos":[…],"base_modules":[…],"mbs":"URL","call_seconds":120},
 *    "before":{"timestamp":1495872000,"manifest":"HEX"},"spec":{normal form}}
 *   {"type":"check","id":7,"manifest":"HEX"}
 *   {"type":"go","id":7}
 *   {"type":"stop","id":7}
 *   {"type":"fetch","id":7,"base":"URL","path":"Packages/f/foo.rpm","sha256":"HEX","size":9000,"repo":{…}}
 *   {"type":"comes","id":7,"done":4096}
 *   {"type":"fetched","id":7,"code":0,"text":""}
 *   {"type":"ready"}
 *   {"type":"progress","id":7,"done":3,"total":7,"phase":"depsolve","text":"…"}
 *   {"type":"log","id":7,"text":"…"}
 *   {"type":"resolved","id":7,"koji_event":1495872000,"inputs":"HEX"}
 *   {"type":"checked","id":7,"sound":false,"text":"…"}
 *   {"type":"files","id":7,"blobs":["HEX",…],"packages":["HEX",…]}
 *   {"type":"result","id":7,"manifest":"HEX","manifest_new":true,…}
 *   {"type":"failed","id":7,"text":"…","blame":"source","field":"…"}
 *
 * A worker meets hostile bytes, so the server believes nothing of a line but its form. */
#include "core/model/private.h"

static const char *const type_names[] = {
	[PIPE_COMPOSE] = "compose", [PIPE_CHECK] = "check",	  [PIPE_GO] = "go",
	[PIPE_STOP] = "stop",	    [PIPE_READY] = "ready",	  [PIPE_PROGRESS] = "progress",
	[PIPE_LOG] = "log",	    [PIPE_RESOLVED] = "resolved", [PIPE_CHECKED] = "checked",
	[PIPE_FILES] = "files",	    [PIPE_RESULT] = "result",	  [PIPE_FAILED] = "failed",
	[PIPE_FETCH] = "fetch",	    [PIPE_FETCHED] = "fetched",	  [PIPE_COMES] = "comes",
};

static const char *const blame_names[] = {
	[BLAME_NONE] = "none",
	[BLAME_REQUEST] = "request",
	[BLAME_SOURCE] = "source",
	[BLAME_US] = "us",
};

static void job_repo_done(struct job_repo *repo)
{
	strings_done(&repo->allowed);
	strings_done(&repo->names);
	strings_done(&repo->gpg_keys);
	free(repo->ca);
	free(repo->proxy);
}

static void job_koji_done(struct job_koji *koji)
{
	free(koji->hub);
	free(koji->topdir);
	free(koji->topurl);
	free(koji->ca);
	free(koji->proxy);
	strings_done(&koji->sigkeys);
	strings_done(&koji->places);
}

void job_free(struct job *job)
{
	if (!job)
		return;
	strings_done(&job->allowed);
	job_repo_done(&job->repo);
	job_koji_done(&job->koji);
	strings_done(&job->module.repos);
	strings_done(&job->module.base_modules);
	free(job->module.mbs);
	spec_free(job->spec);
	free(job);
}

void fetch_part_name(const char *sha256, char ret[static FETCH_PART_SIZE])
{
	(void)snprintf(ret, FETCH_PART_SIZE, ".part-%.*s", DIGEST_HEX_SIZE - 1, sha256);
}

void fetch_from_name(const char *sha256, char ret[static FETCH_PART_SIZE])
{
	(void)snprintf(ret, FETCH_PART_SIZE, ".from-%.*s", DIGEST_HEX_SIZE - 1, sha256);
}

void fetch_job_free(struct fetch_job *fetch)
{
	if (!fetch)
		return;
	job_repo_done(&fetch->repo);
	job_koji_done(&fetch->koji);
	free(fetch->base);
	free(fetch->path);
	free(fetch);
}

void outcome_free(struct outcome *outcome)
{
	if (!outcome)
		return;
	strings_done(&outcome->blobs);
	strings_done(&outcome->packages);
	free(outcome->manifest);
	free(outcome->source);
	free(outcome->arches);
	free(outcome->sigkeys);
	free(outcome);
}

int outcome_part(const struct outcome *outcome, size_t *at, struct outcome **ret)
{
	const struct strings *blobs = &outcome->blobs, *packages = &outcome->packages;
	size_t end = *at + PIPE_FILES_MAX, all = blobs->count + packages->count, i = *at;
	_cleanup_(outcome_freep) struct outcome *part = NULL;
	int r = 0;

	end = end < all ? end : all;
	if (i >= end)
		return 0;
	part = calloc(1, sizeof(*part));
	if (!part)
		return -ENOMEM;
	part->id = outcome->id;
	part->koji_event = -1;
	for (; i < end && r == 0; i++)
		r = i < blobs->count
			    ? strings_add(&part->blobs, blobs->item[i])
			    : strings_add(&part->packages, packages->item[i - blobs->count]);
	if (r < 0)
		return r;
	*at = end;
	*ret = steal(part);
	return 1;
}

static int join(struct strings *list, struct strings *more)
{
	int r = list->count ? strings_copy(list, more) : 0;

	if (r < 0)
		return r;
	if (!list->count) {
		strings_done(list);
		*list = *more;
		*more = (struct strings){ 0 };
	}
	strings_done(more);
	return 0;
}

int outcome_join(struct outcome *outcome, struct outcome *part)
{
	int r;

	if (outcome->blobs.count + outcome->packages.count + part->blobs.count +
		    part->packages.count >
	    OUTCOME_MAX_FILES)
		return -E2BIG;
	r = join(&outcome->blobs, &part->blobs);
	return r < 0 ? r : join(&outcome->packages, &part->packages);
}

void message_done(struct message *message)
{
	job_free(message->job);
	fetch_job_free(message->fetch);
	outcome_free(message->outcome);
	free(message->phase);
	free(message->text);
	free(message->field);
	*message = (struct message){ 0 };
}

/* ---- print ------------------------------------------------------------- */

static int set_text(json_t *json, const char *key, const char *text)
{
	return text ? json_object_set_new(json, key, json_any_text(text)) : 0;
}

static int add_repo(json_t *json, const struct job_repo *repo)
{
	json_t *member = json_object();
	int r = json_object_set_new(json, "repo", member); /* refuses NULL */

	r |= json_object_set_new(member, "allowed", words_to_json(&repo->allowed));
	r |= json_object_set_new(member, "names", words_to_json(&repo->names));
	r |= json_object_set_new(member, "gpg_keys", words_to_json(&repo->gpg_keys));
	r |= json_object_set_new(member, "gpgcheck", json_integer(repo->gpgcheck));
	r |= json_object_set_new(member, "any_mirror", json_boolean(repo->any_mirror));
	r |= set_text(member, "ca", repo->ca);
	r |= set_text(member, "proxy", repo->proxy);
	r |= json_object_set_new(member, "call_seconds", json_integer(repo->call_seconds));
	r |= json_object_set_new(member, "recheck_seconds", json_integer(repo->recheck_seconds));
	r |= json_object_set_new(member, "rate", json_integer(repo->rate));
	return r | json_object_set_new(member, "connections", json_integer(repo->connections));
}

static int add_koji(json_t *json, const struct job_koji *koji)
{
	json_t *member = json_object();
	int r = json_object_set_new(json, "koji", member); /* refuses NULL */

	r |= set_text(member, "hub", koji->hub);
	r |= set_text(member, "topdir", koji->topdir);
	r |= set_text(member, "topurl", koji->topurl);
	r |= set_text(member, "ca", koji->ca);
	r |= set_text(member, "proxy", koji->proxy);
	r |= json_object_set_new(member, "sigkeys", words_to_json(&koji->sigkeys));
	r |= json_object_set_new(member, "places", words_to_json(&koji->places));
	return r | json_object_set_new(member, "call_seconds", json_integer(koji->call_seconds));
}

static int add_module(json_t *json, const struct job_module *module)
{
	json_t *member = json_object();
	int r = json_object_set_new(json, "module", member); /* refuses NULL */

	r |= json_object_set_new(member, "repos", words_to_json(&module->repos));
	r |= json_object_set_new(member, "base_modules", words_to_json(&module->base_modules));
	r |= set_text(member, "mbs", module->mbs);
	return r | json_object_set_new(member, "call_seconds", json_integer(module->call_seconds));
}

static int add_job(json_t *json, const struct job *job)
{
	int r = json_object_set_new(json, "uid", json_integer(job->uid));

	r |= json_object_set_new(json, "gid", json_integer(job->gid));
	r |= json_object_set_new(json, "trusted", json_boolean(job->trusted));
	r |= json_object_set_new(json, "allowed", words_to_json(&job->allowed));
	if (job->known_event >= 0)
		r |= json_object_set_new(json, "known_event", json_integer(job->known_event));
	if (job->repo.allowed.count)
		r |= add_repo(json, &job->repo);
	if (job->koji.hub)
		r |= add_koji(json, &job->koji);
	if (job->module.base_modules.count)
		r |= add_module(json, &job->module);
	if (job->before.manifest[0])
		r |= json_object_set_new(json, "before",
					 json_pack("{s:I, s:s}", "timestamp",
						   (json_int_t)job->before.timestamp, "manifest",
						   job->before.manifest));
	r |= json_object_set_new(json, "spec", spec_to_json(job->spec));
	return r;
}

static int add_fetch(json_t *json, const struct fetch_job *fetch)
{
	int r = set_text(json, "base", fetch->base);

	r |= set_text(json, "path", fetch->path);
	r |= set_text(json, "sha256", fetch->sha256);
	r |= json_object_set_new(json, "size", json_integer(fetch->size));
	if (fetch->early)
		r |= json_object_set_new(json, "early", json_true());
	if (fetch->rate)
		r |= json_object_set_new(json, "limit", json_integer(fetch->rate));
	return r | (fetch->koji.hub ? add_koji(json, &fetch->koji) : add_repo(json, &fetch->repo));
}

static int add_fetched(json_t *json, const struct message *message)
{
	int r = json_object_set_new(json, "code", json_integer(-message->code));

	return r | set_text(json, "text", message->text ? message->text : "");
}

static int add_outcome(json_t *json, const struct outcome *outcome)
{
	int r = set_text(json, "manifest", outcome->manifest);

	r |= json_object_set_new(json, "manifest_new", json_boolean(outcome->manifest_new));
	if (outcome->koji_event >= 0)
		r |= json_object_set_new(json, "koji_event", json_integer(outcome->koji_event));
	r |= set_text(json, "source", outcome->source);
	r |= set_text(json, "arches", outcome->arches);
	r |= set_text(json, "sigkeys", outcome->sigkeys);
	r |= json_object_set_new(json, "timestamp", json_integer(outcome->timestamp));
	r |= json_object_set_new(json, "packages_count", json_integer(outcome->packages_count));
	r |= json_object_set_new(json, "size_bytes", json_integer(outcome->size_bytes));
	r |= json_object_set_new(json, "bytes_written", json_integer(outcome->bytes_written));
	return r;
}

static int add_files(json_t *json, const struct outcome *outcome)
{
	int r = json_object_set_new(json, "blobs", words_to_json(&outcome->blobs));

	return r | json_object_set_new(json, "packages", words_to_json(&outcome->packages));
}

/* Words for people, which may hold what is foreign: never the end of a worker. */
static int set_words(json_t *json, const char *key, const char *words)
{
	size_t length = utf8_cut(words, PIPE_TEXT_MAX);
	_cleanup_(text_done) struct text cut = { 0 };

	if (!words[length])
		return set_text(json, key, words);
	(void)text_add(&cut, words, length);
	(void)text_adds(&cut, "...");
	return cut.failed ? -1 : set_text(json, key, cut.data);
}

static int add_progress(json_t *json, const struct message *message)
{
	int r = json_object_set_new(json, "done", json_integer(message->done));

	r |= json_object_set_new(json, "total", json_integer(message->total));
	r |= set_text(json, "phase", message->phase ? message->phase : "");
	return r | set_words(json, "text", message->text ? message->text : "");
}

static int add_resolution(json_t *json, const struct resolution *resolution)
{
	int r = 0;

	if (resolution->koji_event >= 0)
		r = json_object_set_new(json, "koji_event", json_integer(resolution->koji_event));
	return r | set_text(json, "inputs", resolution->inputs);
}

static int add_members(json_t *json, const struct message *message)
{
	const char *text = message->text ? message->text : "";
	int r;

	switch (message->type) {
	case PIPE_COMPOSE:
		return add_job(json, message->job);
	case PIPE_CHECK:
		return set_text(json, "manifest", message->manifest);
	case PIPE_FETCH:
		return add_fetch(json, message->fetch);
	case PIPE_FETCHED:
		return add_fetched(json, message);
	case PIPE_COMES:
		return json_object_set_new(json, "done", json_integer(message->done));
	case PIPE_PROGRESS:
		return add_progress(json, message);
	case PIPE_LOG:
		return set_words(json, "text", text);
	case PIPE_RESOLVED:
		return add_resolution(json, &message->resolution);
	case PIPE_CHECKED:
		r = json_object_set_new(json, "sound", json_boolean(message->sound));
		return r | set_text(json, "text", text);
	case PIPE_FILES:
		return add_files(json, message->outcome);
	case PIPE_RESULT:
		return add_outcome(json, message->outcome);
	case PIPE_FAILED:
		r = set_text(json, "text", text);
		r |= set_text(json, "blame", blame_names[message->blame]);
		return r | set_text(json, "field", message->field);
	case PIPE_GO:
	case PIPE_STOP:
	case PIPE_READY:
		break;
	}
	return 0;
}

static json_t *message_to_json(const struct message *message)
{
	json_auto_t *json = json_object();
	int r = json_object_set_new(json, "type", json_string(type_names[message->type]));

	if (message->type != PIPE_READY) {
		int64_t id = message->type == PIPE_COMPOSE ? message->job->id
			     : message->type == PIPE_FETCH ? message->fetch->id
			     : message->outcome		   ? message->outcome->id
							   : message->id;

		r |= json_object_set_new(json, "id", json_integer(id));
	}
	r |= add_members(json, message);
	return r < 0 ? NULL : steal(json);
}

int message_print(const struct message *message, struct text *ret)
{
	json_auto_t *json = message_to_json(message);
	_cleanup_(freep) char *line = json ? json_dumps(json, JSON_COMPACT) : NULL;
	int r;

	if (!line)
		return -ENOMEM;
	if (strlen(line) >= PIPE_LINE_MAX)
		return -EMSGSIZE;
	r = text_reserve(ret, strlen(line) + 1);
	if (r < 0)
		return r;
	(void)text_adds(ret, line);
	return text_adds(ret, "\n");
}

/* ---- parse ------------------------------------------------------------- */

static int refuse(struct error *err, const char *words)
{
	return error_set(err, -EBADMSG, BLAME_US, NULL, "line of the pipe: %s", words);
}

/* A string, absent (NULL) unless @needed. */
static int get_text(const json_t *json, const char *key, bool needed, char **ret, struct error *err)
{
	const json_t *value = json_object_get(json, key);

	if (!value && !needed)
		return 0;
	if (!json_is_string(value))
		return error_set(err, -EBADMSG, BLAME_US, key, "line of the pipe: no text \"%s\"",
				 key);
	*ret = strdup(json_string_value(value));
	return *ret ? 0 : error_oom(err);
}

static int get_number(const json_t *json, const char *key, int64_t least, int64_t most,
		      int64_t *ret, struct error *err)
{
	const json_t *value = json_object_get(json, key);

	if (!json_is_integer(value) || json_integer_value(value) < least ||
	    json_integer_value(value) > most)
		return error_set(err, -EBADMSG, BLAME_US, key,
				 "line of the pipe: no good number \"%s\"", key);
	*ret = json_integer_value(value);
	return 0;
}

static int get_flag(const json_t *json, const char *key, bool *ret, struct error *err)
{
	const json_t *value = json_object_get(json, key);

	if (!json_is_boolean(value))
		return error_set(err, -EBADMSG, BLAME_US, key, "line of the pipe: no flag \"%s\"",
				 key);
	*ret = json_is_true(value);
	return 0;
}

static int get_words(const json_t *json, const char *key, struct strings *ret, struct error *err)
{
	int r = words_from_json(json_object_get(json, key), ret);

	if (r == -ENOMEM)
		return error_oom(err);
	if (r < 0)
		return error_set(err, r, BLAME_US, key, "line of the pipe: no list \"%s\"", key);
	return 0;
}

static int get_repo(const json_t *json, struct job_repo *repo, struct error *err)
{
	int64_t gpgcheck = GPGCHECK_NO;
	int r;

	if ((r = get_words(json, "allowed", &repo->allowed, err)) < 0 ||
	    (r = get_words(json, "names", &repo->names, err)) < 0 ||
	    (r = get_words(json, "gpg_keys", &repo->gpg_keys, err)) < 0 ||
	    (r = get_number(json, "gpgcheck", 0, GPGCHECK_BOTH, &gpgcheck, err)) < 0 ||
	    (r = get_flag(json, "any_mirror", &repo->any_mirror, err)) < 0 ||
	    (r = get_text(json, "ca", false, &repo->ca, err)) < 0 ||
	    (r = get_text(json, "proxy", false, &repo->proxy, err)) < 0 ||
	    (r = get_number(json, "call_seconds", 0, INT32_MAX, &repo->call_seconds, err)) < 0 ||
	    (r = get_number(json, "recheck_seconds", 0, INT32_MAX, &repo->recheck_seconds, err)) <
		    0 ||
	    (r = get_number(json, "rate", 0, INT64_MAX, &repo->rate, err)) < 0)
		return r;
	repo->gpgcheck = (enum gpgcheck)gpgcheck;
	return get_number(json, "connections", 0, INT32_MAX, &repo->connections, err);
}

static int get_koji(const json_t *json, struct job_koji *koji, struct error *err)
{
	int r;

	if ((r = get_text(json, "hub", true, &koji->hub, err)) < 0 ||
	    (r = get_text(json, "topdir", false, &koji->topdir, err)) < 0 ||
	    (r = get_text(json, "topurl", false, &koji->topurl, err)) < 0 ||
	    (r = get_text(json, "ca", false, &koji->ca, err)) < 0 ||
	    (r = get_text(json, "proxy", false, &koji->proxy, err)) < 0 ||
	    (r = get_words(json, "sigkeys", &koji->sigkeys, err)) < 0 ||
	    (r = get_words(json, "places", &koji->places, err)) < 0)
		return r;
	return get_number(json, "call_seconds", 0, INT32_MAX, &koji->call_seconds, err);
}

static int get_module(const json_t *json, struct job_module *module, struct error *err)
{
	int r;

	if ((r = get_words(json, "repos", &module->repos, err)) < 0 ||
	    (r = get_words(json, "base_modules", &module->base_modules, err)) < 0 ||
	    (r = get_text(json, "mbs", false, &module->mbs, err)) < 0)
		return r;
	return get_number(json, "call_seconds", 0, INT32_MAX, &module->call_seconds, err);
}

static int get_digest(const json_t *json, const char *key, char ret[static DIGEST_HEX_SIZE],
		      struct error *err)
{
	const char *text = json_string_value(json_object_get(json, key));

	if (!text || !hex_is_digest(text))
		return error_set(err, -EBADMSG, BLAME_US, key, "line of the pipe: no digest \"%s\"",
				 key);
	memcpy(ret, text, DIGEST_HEX_SIZE);
	return 0;
}

static int get_before(const json_t *json, struct generation *before, struct error *err)
{
	const json_t *member = json_object_get(json, "before");
	int r;

	if (!member)
		return 0;
	r = get_number(member, "timestamp", 0, INT64_MAX, &before->timestamp, err);
	return r < 0 ? r : get_digest(member, "manifest", before->manifest, err);
}

static int get_job(const json_t *json, struct message *message, struct error *err)
{
	struct job *job = calloc(1, sizeof(*job));
	int64_t uid = 0, gid = 0;
	int r;

	message->job = job;
	if (!job)
		return error_oom(err);
	job->id = message->id;
	if ((r = get_number(json, "uid", 0, UINT32_MAX, &uid, err)) < 0 ||
	    (r = get_number(json, "gid", 0, UINT32_MAX, &gid, err)) < 0 ||
	    (r = get_flag(json, "trusted", &job->trusted, err)) < 0 ||
	    (r = get_words(json, "allowed", &job->allowed, err)) < 0)
		return r;
	job->uid = (uint32_t)uid;
	job->gid = (uint32_t)gid;
	job->known_event = -1;
	if (json_object_get(json, "known_event"))
		r = get_number(json, "known_event", 0, INT64_MAX, &job->known_event, err);
	if (r == 0 && json_object_get(json, "repo"))
		r = get_repo(json_object_get(json, "repo"), &job->repo, err);
	if (r == 0 && json_object_get(json, "koji"))
		r = get_koji(json_object_get(json, "koji"), &job->koji, err);
	if (r == 0 && json_object_get(json, "module"))
		r = get_module(json_object_get(json, "module"), &job->module, err);
	if (r == 0)
		r = get_before(json, &job->before, err);
	if (r < 0)
		return r;
	return spec_from_json(json_object_get(json, "spec"), &job->spec, err);
}

static int get_fetch(const json_t *json, struct message *message, struct error *err)
{
	struct fetch_job *fetch = calloc(1, sizeof(*fetch));
	int r;

	message->fetch = fetch;
	if (!fetch)
		return error_oom(err);
	fetch->id = message->id;
	if ((r = get_text(json, "base", true, &fetch->base, err)) < 0 ||
	    (r = get_text(json, "path", true, &fetch->path, err)) < 0 ||
	    (r = get_digest(json, "sha256", fetch->sha256, err)) < 0 ||
	    (r = get_number(json, "size", 0, INT64_MAX, &fetch->size, err)) < 0 ||
	    (json_object_get(json, "limit") &&
	     (r = get_number(json, "limit", 1, INT64_MAX, &fetch->rate, err)) < 0))
		return r;
	fetch->early = json_is_true(json_object_get(json, "early"));
	if (json_object_get(json, "koji"))
		return get_koji(json_object_get(json, "koji"), &fetch->koji, err);
	return get_repo(json_object_get(json, "repo"), &fetch->repo, err);
}

static int get_fetched(const json_t *json, struct message *message, struct error *err)
{
	int64_t code = 0;
	int r = get_number(json, "code", 0, 4095, &code, err);

	message->code = -(int)code;
	return r < 0 ? r : get_text(json, "text", true, &message->text, err);
}

/* Names of files: nothing but digests */
static int get_digests(const json_t *json, const char *key, struct strings *ret, struct error *err)
{
	int r = get_words(json, key, ret, err);

	for (size_t i = 0; r == 0 && i < ret->count; i++)
		if (!hex_is_digest(ret->item[i]))
			r = error_set(err, -EBADMSG, BLAME_US, key,
				      "line of the pipe: \"%s\" holds what is no digest", key);
	return r;
}

static int new_outcome(struct message *message, struct error *err)
{
	message->outcome = calloc(1, sizeof(*message->outcome));
	if (!message->outcome)
		return error_oom(err);
	message->outcome->id = message->id;
	message->outcome->koji_event = -1;
	return 0;
}

static int get_files(const json_t *json, struct message *message, struct error *err)
{
	int r = new_outcome(message, err);

	if (r == 0)
		r = get_digests(json, "blobs", &message->outcome->blobs, err);
	return r < 0 ? r : get_digests(json, "packages", &message->outcome->packages, err);
}

static int get_outcome(const json_t *json, struct message *message, struct error *err)
{
	struct outcome *outcome;
	int r = new_outcome(message, err);

	if (r < 0)
		return r;
	outcome = message->outcome;
	if ((r = get_text(json, "manifest", true, &outcome->manifest, err)) < 0 ||
	    (r = get_flag(json, "manifest_new", &outcome->manifest_new, err)) < 0 ||
	    (r = get_text(json, "source", false, &outcome->source, err)) < 0 ||
	    (r = get_text(json, "arches", false, &outcome->arches, err)) < 0 ||
	    (r = get_text(json, "sigkeys", false, &outcome->sigkeys, err)) < 0 ||
	    (r = get_number(json, "timestamp", 0, INT64_MAX, &outcome->timestamp, err)) < 0 ||
	    (r = get_number(json, "packages_count", 0, INT64_MAX, &outcome->packages_count, err)) <
		    0 ||
	    (r = get_number(json, "size_bytes", 0, INT64_MAX, &outcome->size_bytes, err)) < 0 ||
	    (r = get_number(json, "bytes_written", 0, INT64_MAX, &outcome->bytes_written, err)) < 0)
		return r;
	if (json_object_get(json, "koji_event"))
		r = get_number(json, "koji_event", 0, INT64_MAX, &outcome->koji_event, err);
	if (r == 0 && !hex_is_digest(outcome->manifest))
		r = refuse(err, "\"manifest\" is no digest");
	return r;
}

static int get_resolution(const json_t *json, struct resolution *resolution, struct error *err)
{
	int r = get_digest(json, "inputs", resolution->inputs, err);

	resolution->koji_event = -1;
	if (r == 0 && json_object_get(json, "koji_event"))
		r = get_number(json, "koji_event", 0, INT64_MAX, &resolution->koji_event, err);
	return r;
}

static int get_checked(const json_t *json, struct message *message, struct error *err)
{
	int r = get_flag(json, "sound", &message->sound, err);

	return r < 0 ? r : get_text(json, "text", true, &message->text, err);
}

static int get_progress(const json_t *json, struct message *message, struct error *err)
{
	int r;

	if ((r = get_number(json, "done", 0, INT64_MAX, &message->done, err)) < 0 ||
	    (r = get_number(json, "total", 0, INT64_MAX, &message->total, err)) < 0 ||
	    (r = get_text(json, "phase", true, &message->phase, err)) < 0)
		return r;
	return get_text(json, "text", true, &message->text, err);
}

static int get_failure(const json_t *json, struct message *message, struct error *err)
{
	const char *blame = json_string_value(json_object_get(json, "blame"));
	int r;

	if ((r = get_text(json, "text", true, &message->text, err)) < 0 ||
	    (r = get_text(json, "field", false, &message->field, err)) < 0)
		return r;
	for (size_t i = 0; blame && i < ARRAY_SIZE(blame_names); i++)
		if (!strcmp(blame, blame_names[i])) {
			message->blame = (enum blame)i;
			return 0;
		}
	return refuse(err, "no \"blame\"");
}

static int get_message(const json_t *json, struct message *message, struct error *err)
{
	const char *type = json_string_value(json_object_get(json, "type"));
	size_t i = 0;
	int r;

	while (type && i < ARRAY_SIZE(type_names) && strcmp(type, type_names[i]) != 0)
		i++;
	if (!type || i == ARRAY_SIZE(type_names))
		return refuse(err, "no known \"type\"");
	message->type = (enum pipe_type)i;
	if (message->type == PIPE_READY)
		return 0;
	r = get_number(json, "id", 1, INT64_MAX, &message->id, err);
	if (r < 0)
		return r;
	switch (message->type) {
	case PIPE_COMPOSE:
		return get_job(json, message, err);
	case PIPE_CHECK:
		return get_digest(json, "manifest", message->manifest, err);
	case PIPE_FETCH:
		return get_fetch(json, message, err);
	case PIPE_FETCHED:
		return get_fetched(json, message, err);
	case PIPE_COMES:
		return get_number(json, "done", 0, INT64_MAX, &message->done, err);
	case PIPE_PROGRESS:
		return get_progress(json, message, err);
	case PIPE_LOG:
		return get_text(json, "text", true, &message->text, err);
	case PIPE_RESOLVED:
		return get_resolution(json, &message->resolution, err);
	case PIPE_CHECKED:
		return get_checked(json, message, err);
	case PIPE_FILES:
		return get_files(json, message, err);
	case PIPE_RESULT:
		return get_outcome(json, message, err);
	case PIPE_FAILED:
		return get_failure(json, message, err);
	case PIPE_GO:
	case PIPE_STOP:
	case PIPE_READY:
		break;
	}
	return 0;
}

int message_parse(const char *line, size_t length, struct message *ret, struct error *err)
{
	struct message message = { 0 };
	json_auto_t *json = NULL;
	char why[JSON_WHY_SIZE];
	int r;

	if (length >= PIPE_LINE_MAX)
		return refuse(err, "too long");
	r = json_text_load(line, length, &json, why);
	if (r == -ENOMEM)
		return error_oom(err);
	if (r < 0)
		return refuse(err, why);
	r = get_message(json, &message, err);
	if (r < 0) {
		message_done(&message);
		return r;
	}
	*ret = message;
	return 0;
}
