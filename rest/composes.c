/* SPDX-License-Identifier: MIT */
/* rest/composes.c: one compose: submit, show, renew or regenerate, cancel or delete.
 *
 * The order of the checks is odcs-api.md 2.6, 2.8, 2.9: clients see the first thing that is wrong.
 * What can be judged from the text alone is judged in core/model. */
#include "rest/exchange.h"
#include "rest/wait.h"

#define NO_COMPOSE "No such compose found."

/* One that does not fit is one that was never given out. */
int path_id(const struct exchange *ex, int64_t *ret)
{
	char digits[24];
	size_t length = strspn(ex->rest_path, "0123456789");

	if (length >= sizeof(digits))
		return -ENOENT;
	memcpy(digits, ex->rest_path, length);
	digits[length] = '\0';
	return parse_int64(digits, ret) < 0 ? -ENOENT : 0;
}

/* ---- GET --------------------------------------------------------------- */

static int show(struct exchange *ex, int64_t id, struct record **ret_record,
		struct compose **ret_compose, struct error *err)
{
	if (ex->route->seed)
		return catalogue_get(ex->rest->options.catalogue, id, ret_compose, err);
	/* who has waited was woken by a change that the cache may not have been told of yet */
	return record_of(ex->rest, id, ex->waited, ret_record, err);
}

const struct parameter wait_parameters[] = {
	{ "wait", PARAMETER_NUMBER, .most = REST_WAIT_MAX,
	  .meaning = "Answer when it is done, failed or removed, at the latest after so many "
		     "seconds." },
	{ NULL },
};

int compose_get(struct exchange *ex)
{
	const char *wait = exchange_argument(ex, wait_parameters[0].name, false);
	_cleanup_(compose_freep) struct compose *compose = NULL;
	_cleanup_(record_unrefp) struct record *record = NULL;
	struct error err = { 0 };
	int64_t id, seconds = 0;
	int r = path_id(ex, &id);

	if (r >= 0)
		r = show(ex, id, &record, &compose, &err);
	if (r == -ENOENT)
		return answer_error(ex, MHD_HTTP_NOT_FOUND, NO_COMPOSE);
	if (r < 0)
		return answer_failure(ex, &err);
	if (wait && !ex->waited && parse_int64(wait, &seconds) >= 0 && seconds > 0 &&
	    !state_is_final(record ? record_state(record) : compose->state)) {
		/* Parked first, then looked again: a change in between is not missed. */
		ex->waited = true;
		r = wait_park(ex, id, seconds);
		if (r < 0)
			return r;
		if (r > 0) {
			_cleanup_(compose_freep) struct compose *now = NULL;

			if (catalogue_get(ex->rest->options.catalogue, id, &now, &err) < 0 ||
			    state_is_final(now->state))
				wait_wake(ex);
			return 0;
		}
	}
	return record ? record_answer(ex, steal(record)) : answer_compose(ex, compose);
}

/* ---- POST -------------------------------------------------------------- */

/* Judge the rights to the source, then commit. @text: what is kept as the request's own words */
static int submit(struct exchange *ex, const struct spec *spec, const char *text, size_t length,
		  const char *respin_of, struct compose **ret, struct error *err)
{
	const struct rest_options *options = &ex->rest->options;
	struct account *account = &ex->account;
	struct submission submission = {
		.owner = account->owner,
		.spec = spec,
		.text = text,
		.text_length = length,
		.respin_of = respin_of,
		.live_limit = account_live_limit(ex),
		.contact = options->contact,
	};
	char client[CLIENT_TEXT_SIZE];
	int64_t id;

	account_locate(ex, account);
	if (account_client(ex, client))
		submission.client = client;
	submission.uid = account->asker.uid;
	submission.gid = account->asker.gid;
	if (options->authorise) {
		int r = options->authorise(options->authorise_data, &account->asker, spec, err);

		if (r < 0)
			return r;
	}
	return catalogue_submit(options->catalogue, &submission, &id, ret, err);
}

static int renew(struct exchange *ex, int64_t id, const json_t *body);

int compose_post(struct exchange *ex)
{
	struct spec_rules rules = *ex->rest->options.rules;
	_cleanup_(spec_freep) struct spec *spec = NULL;
	_cleanup_(compose_freep) struct compose *compose = NULL;
	struct error err = { 0 };
	int64_t renew_id = 0;
	int r;

	rules.accept_id = ex->route->seed;
	r = spec_parse(ex->body.data ? ex->body.data : "", ex->body.length, &rules, &spec,
		       rules.accept_id ? &renew_id : NULL, NULL, &err);
	if (r < 0)
		return err.blame == BLAME_US
			       ? answer_failure(ex, &err)
			       : answer_error(ex, MHD_HTTP_BAD_REQUEST, "%s", err.message);
	if (renew_id > 0) {
		json_auto_t *body = NULL;

		if (body_parse(ex->body.data, ex->body.length, &body, &err) < 0)
			return answer_failure(ex, &err);
		return renew(ex, renew_id, body);
	}
	if (account_limits(ex, spec, NULL, &err) < 0 ||
	    submit(ex, spec, ex->body.data, ex->body.length, NULL, &compose, &err) < 0)
		return answer_failure(ex, &err);
	return answer_compose(ex, compose);
}

/* ---- PATCH ------------------------------------------------------------- */

/* What a PATCH body asks to be different. */
struct wishes {
	const char *label; /* NULL: none, or an empty one */
	bool has_sigkeys, has_builds, has_modules;
	struct strings sigkeys, builds, modules;
	int64_t seconds;
};

static void wishes_done(struct wishes *wishes)
{
	strings_done(&wishes->sigkeys);
	strings_done(&wishes->builds);
	strings_done(&wishes->modules);
}

static int wishes_read(const struct exchange *ex, const json_t *body, struct wishes *ret,
		       struct error *err)
{
	const json_t *source = json_object_get(body, "source");
	const struct {
		const json_t *container;
		const char *name;
		struct strings *list;
		bool *has;
		bool keep_empty;
	} lists[] = {
		{ source, "builds", &ret->builds, &ret->has_builds, false },
		{ source, "modules", &ret->modules, &ret->has_modules, false },
		{ body, "sigkeys", &ret->sigkeys, &ret->has_sigkeys, true },
	};

	ret->label = json_string_value(json_object_get(body, "label"));
	if (ret->label && !*ret->label)
		ret->label = NULL;
	for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
		int r = spec_words(lists[i].container, lists[i].name, lists[i].keep_empty,
				   lists[i].list, err);

		if (r < 0)
			return r;
		*lists[i].has = r > 0;
	}
	return spec_seconds_to_live(body, ex->rest->options.rules, &ret->seconds, err);
}

static void strings_swap(struct strings *a, struct strings *b)
{
	struct strings kept = *a;

	*a = *b;
	*b = kept;
}

/* The same question again, with what is wished otherwise, resolved as it was the first time. */
static int spec_again(const struct compose *old, struct wishes *wishes, struct spec **ret,
		      struct error *err)
{
	_cleanup_(spec_freep) struct spec *spec = NULL;
	int r = spec_copy(old->spec, &spec, err);

	if (r < 0)
		return r;
	if (old->source && *old->source) {
		strings_done(&spec->source);
		if (strings_split(&spec->source, old->source, ' ') < 0)
			return error_oom(err);
	}
	spec->koji_event = old->koji_event;
	spec->seconds_to_live = wishes->seconds;
	if (wishes->label) {
		free(spec->label);
		spec->label = strdup(wishes->label);
		if (!spec->label)
			return error_oom(err);
	}
	if (wishes->has_sigkeys)
		strings_swap(&spec->sigkeys, &wishes->sigkeys);
	if (wishes->has_builds) {
		strings_swap(&spec->builds, &wishes->builds);
		spec->has_builds = true;
	}
	if (wishes->has_modules) {
		strings_swap(&spec->modules, &wishes->modules);
		spec->has_modules = true;
	}
	*ret = steal(spec);
	return 0;
}

static bool wants_new(const struct compose *old, const struct wishes *wishes)
{
	_cleanup_(freep) char *sigkeys = NULL;

	if (old->state != STATE_DONE || wishes->has_builds || wishes->has_modules)
		return true;
	if (wishes->label && (!old->spec->label || strcmp(wishes->label, old->spec->label) != 0))
		return true;
	if (!wishes->has_sigkeys)
		return false;
	sigkeys = strings_join(&wishes->sigkeys, " ");
	return !sigkeys || strcmp(sigkeys, old->sigkeys ? old->sigkeys : "") != 0;
}

static int regenerate(struct exchange *ex, const struct compose *old, struct wishes *wishes,
		      struct compose **ret, struct error *err)
{
	_cleanup_(spec_freep) struct spec *spec = NULL;
	_cleanup_(freep) char *text = NULL;
	json_auto_t *json = NULL;
	int r = spec_again(old, wishes, &spec, err);

	if (r < 0)
		return r;
	json = spec_to_json(spec);
	text = json ? json_line(json) : NULL;
	if (!text)
		return error_oom(err);
	return submit(ex, spec, text, strlen(text), old->pungi_compose_id, ret, err);
}

static int renew_compose(struct exchange *ex, int64_t id, const json_t *body, struct compose **ret,
			 struct error *err)
{
	struct catalogue *catalogue = ex->rest->options.catalogue;
	_cleanup_(wishes_done) struct wishes wishes = { 0 };
	_cleanup_(compose_freep) struct compose *old = NULL;
	int64_t expires;
	int r = catalogue_get(catalogue, id, &old, err);

	if (r == -ENOENT || (r >= 0 && !state_is_final(old->state)))
		return ex->method == METHOD_POST
			       ? error_set(err, -EINVAL, BLAME_REQUEST, "id",
					   "No expired or failed compose with id %" PRId64, id)
			       : error_set(err, -ENOENT, BLAME_REQUEST, "id",
					   "No compose with id %" PRId64 " found", id);
	if (r >= 0)
		r = wishes_read(ex, body, &wishes, err);
	if (r >= 0)
		r = account_limits(ex, NULL, old, err);
	if (r < 0)
		return r;
	r = -ESTALE;
	if (!wants_new(old, &wishes))
		r = catalogue_renew(catalogue, id, wishes.seconds, RENEW_EXTEND, &expires, err);
	if (r >= 0)
		return catalogue_get(catalogue, id, ret, err);
	/* Its time is over, if only since a moment: then it is made anew, like a removed one. */
	return r == -ESTALE ? regenerate(ex, old, &wishes, ret, err) : r;
}

static int renew(struct exchange *ex, int64_t id, const json_t *body)
{
	_cleanup_(compose_freep) struct compose *compose = NULL;
	struct error err = { 0 };

	if (renew_compose(ex, id, body, &compose, &err) < 0)
		return answer_failure(ex, &err);
	return answer_compose(ex, compose);
}

int compose_patch(struct exchange *ex)
{
	json_auto_t *body = NULL;
	struct error err = { 0 };
	int64_t id;

	if (!ex->body.length)
		body = json_object();
	else if (body_parse(ex->body.data, ex->body.length, &body, &err) < 0)
		return err.blame == BLAME_US
			       ? answer_failure(ex, &err)
			       : answer_error(ex, MHD_HTTP_BAD_REQUEST, "%s", err.message);
	if (!body)
		return -ENOMEM;
	if (path_id(ex, &id) < 0)
		return answer_error(ex, MHD_HTTP_NOT_FOUND, "No compose with id %.*s found",
				    (int)strspn(ex->rest_path, "0123456789"), ex->rest_path);
	return renew(ex, id, body);
}

/* ---- DELETE ------------------------------------------------------------ */

static int accepted(struct exchange *ex, const char *what, int64_t id, const char *how)
{
	struct text body = { 0 };
	struct MHD_Response *response;
	size_t length;

	(void)text_addf(&body, "{\"message\":\"%s (id=%" PRId64 ") has been %s\",\"status\":202}\n",
			what, id, how);
	length = body.length;
	response = answer_bytes(text_steal(&body), length, TYPE_JSON);
	return answer_queue(ex, MHD_HTTP_ACCEPTED, response);
}

static int not_removable(struct exchange *ex, int64_t id)
{
	return answer_error(ex, MHD_HTTP_BAD_REQUEST,
			    "Compose (id=%" PRId64 ") can not be removed, its state need to be in "
			    "['done', 'failed'].",
			    id);
}

int compose_delete(struct exchange *ex)
{
	struct catalogue *catalogue = ex->rest->options.catalogue;
	const struct account *account = &ex->account;
	_cleanup_(compose_freep) struct compose *compose = NULL;
	struct error err = { 0 };
	int64_t id;
	int r = path_id(ex, &id);

	if (r >= 0)
		r = catalogue_get(catalogue, id, &compose, &err);
	if (r == -ENOENT)
		return answer_error(ex, MHD_HTTP_NOT_FOUND, NO_COMPOSE);
	if (r < 0)
		return answer_failure(ex, &err);
	if (compose->state == STATE_WAIT) {
		if (strcmp(account->owner, compose->owner) != 0 &&
		    account_role(ex, ROLE_ADMIN, &err) < 0)
			return answer_error(ex, MHD_HTTP_FORBIDDEN,
					    "Compose (id=%" PRId64 ") can not be canceled, it's "
					    "owned by someone else.",
					    id);
		r = catalogue_cancel(catalogue, id, account->name, &err);
		if (r >= 0)
			return accepted(ex, "Compose", id, "canceled");
		return r == -ESTALE ? not_removable(ex, id) : answer_failure(ex, &err);
	}
	if (account_role(ex, ROLE_ADMIN, &err) < 0)
		return answer_failure(ex, &err);
	r = catalogue_delete(catalogue, id, account->name, &err);
	if (r == -ESTALE)
		return not_removable(ex, id);
	if (r < 0)
		return answer_failure(ex, &err);
	return accepted(ex, "The delete request for compose", id,
			"accepted and will be processed by backend later.");
}
