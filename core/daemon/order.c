/* SPDX-License-Identifier: MIT */
/* core/daemon/order.c: what a worker is told: the compose, and what of the configuration it needs.
 */
#include "core/daemon/scheduler.h"

#include <ctype.h>
#include <strings.h>

#define PROXY_PORT 1080 /* libcurl's, of one that names none */
#define PORTS_MAX 64	/* that a worker takes */

/* What its latest-… name has led to: the worker makes what follows that. */
void order_after(struct scheduler *scheduler, const char *owner, struct job *job)
{
	struct error err = { 0 };

	if (job->spec->latest && catalogue_generation(scheduler->options->store->catalogue, owner,
						      job->spec->latest, &job->before, &err) < 0)
		log_warning("compose %" PRId64 ": %s", job->id, err.message);
}

static int copy_key(char **ret, const char *value)
{
	if (!*value)
		return 0;
	*ret = strdup(value);
	return *ret ? 0 : -ENOMEM;
}

/* What of repo.allowed is no path: as it was checked, in its one spelling */
static int add_urls(const struct config *config, struct strings *list)
{
	int r = 0;

	for (size_t i = 0; i < config->repo_allowed.count && r == 0; i++)
		if (config->repo_allowed.item[i][0] != '/')
			r = strings_add(list, config->repo_allowed.item[i]);
	return r;
}

/* '' in the configuration is a word that has no characters */
int order_koji(const struct config *config, struct job_koji *koji)
{
	const struct strings *sigkeys = &config->koji_sigkeys;
	int r = copy_key(&koji->hub, config->koji_hub);

	if (r == 0)
		r = copy_key(&koji->topdir, config->koji_topdir);
	if (r == 0)
		r = copy_key(&koji->topurl, config->koji_topurl);
	if (r == 0)
		r = copy_key(&koji->ca, config->koji_ca);
	if (r == 0)
		r = copy_key(&koji->proxy, config->koji_proxy);
	for (size_t i = 0; i < sigkeys->count && r == 0; i++)
		r = strings_add(&koji->sigkeys,
				strcmp(sigkeys->item[i], "''") ? sigkeys->item[i] : "");
	if (r == 0)
		r = add_urls(config, &koji->places);
	koji->call_seconds = config->koji_timeout;
	return r;
}

int order_repo(const struct config *config, struct job_repo *repo, struct strings *ret_paths)
{
	const struct strings *allowed = &config->repo_allowed;
	int r = strings_copy(&repo->gpg_keys, &config->repo_gpg_keys);

	if (r == 0)
		r = strings_copy(&repo->names, &config->repo_names);
	for (size_t i = 0; i < config->repo_names.count && r == 0; i++) {
		_cleanup_(freep) char *normal = NULL;
		const char *word = strchr(config->repo_names.item[i], '=') + 1, *url = word;
		bool query = url_kind(word, &url) != URL_BASE;

		r = url_normal(url, query, &normal, NULL);
		if (r == 0)
			r = strings_add(&repo->allowed, normal);
	}
	for (size_t i = 0; i < allowed->count && r == 0; i++)
		r = strings_add(allowed->item[i][0] == '/' ? ret_paths : &repo->allowed,
				allowed->item[i]);
	if (r == 0)
		r = copy_key(&repo->ca, config->repo_ca);
	if (r == 0)
		r = copy_key(&repo->proxy, config->repo_proxy);
	repo->gpgcheck = config_gpgcheck(config);
	repo->any_mirror = !strcmp(config->repo_mirrors, "any");
	repo->call_seconds = config->repo_timeout;
	repo->recheck_seconds = config->repo_recheck_seconds;
	repo->rate = config->repo_rate;
	repo->connections = config->repo_connections;
	return r;
}

/* Other sources may have modules, too: by the tags of modular_koji_tags. */
static int add_module(const struct config *config, struct job_module *module)
{
	int r = strings_copy(&module->base_modules, &config->module_base_modules);

	if (r == 0)
		r = strings_copy(&module->repos, &config->module_repos);
	if (r == 0)
		r = copy_key(&module->mbs, config->module_mbs);
	module->call_seconds = config->module_timeout;
	return r;
}

/* ---- TCP ports ------------------------------------------------------------- */

/* Of a URL; @known: where it names none, 0: by its scheme. 0: nobody knows */
static int64_t port_of(const char *url, int64_t known)
{
	const char *host = strstr(url, "://");
	char digits[8] = "";
	int64_t port = known;
	size_t length, first;

	if (!known && !strncasecmp(url, "http://", 7))
		port = 80;
	else if (!known && !strncasecmp(url, "https://", 8))
		port = 443;
	else if (!known) /* ftp: its files come from another one */
		return 0;
	host = host ? host + 3 : url;
	length = strcspn(host, "/?#");
	for (first = length; first && isdigit((unsigned char)host[first - 1]); first--)
		;
	if (!first || host[first - 1] != ':' || first == length)
		return port;
	if (length - first < sizeof(digits))
		memcpy(digits, host + first, length - first);
	return parse_int64(digits, &port) < 0 || port > UINT16_MAX ? 0 : port;
}

static int add_port(struct strings *list, const char *url, int64_t known, bool *ret_unknown)
{
	int64_t port = *url ? port_of(url, known) : -1;
	char digits[24];

	if (port < 0)
		return 0;
	(void)snprintf(digits, sizeof(digits), "%" PRId64, port);
	*ret_unknown |= port == 0;
	return strings_has(list, digits) ? 0 : strings_add(list, digits);
}

int order_ports(const struct config *config, struct strings *ret)
{
	/* name servers are asked by TCP when an answer is long */
	bool unknown = !strcmp(config->repo_mirrors, "any");
	int r = strings_add(ret, "53");

	r |= add_port(ret, config->koji_hub, 0, &unknown);
	r |= add_port(ret, config->koji_topurl, 0, &unknown);
	r |= add_port(ret, config->koji_proxy, PROXY_PORT, &unknown);
	r |= add_port(ret, config->module_mbs, 0, &unknown);
	r |= add_port(ret, config->repo_proxy, PROXY_PORT, &unknown);
	for (size_t i = 0; i < config->repo_names.count; i++) {
		const char *word = strchr(config->repo_names.item[i], '=') + 1, *url = word;

		(void)url_kind(word, &url);
		r |= add_port(ret, url, 0, &unknown);
	}
	for (size_t i = 0; i < config->repo_allowed.count; i++)
		if (config->repo_allowed.item[i][0] != '/')
			r |= add_port(ret, config->repo_allowed.item[i], 0, &unknown);
	if (unknown || ret->count > PORTS_MAX)
		strings_done(ret);
	return r < 0 ? -ENOMEM : 0;
}

int order_make(struct scheduler *scheduler, struct compose *compose, struct job **ret)
{
	const struct config *config = scheduler->options->config;
	_cleanup_(job_freep) struct job *job = calloc(1, sizeof(*job));
	struct error err = { 0 };

	if (!job)
		return -ENOMEM;
	job->id = compose->id;
	job->uid = compose->uid;
	job->gid = compose->gid;
	job->trusted = access_trusted(config, compose->spec);
	job->known_event = -1;
	if (order_repo(config, &job->repo, &job->allowed) < 0)
		return -ENOMEM;
	if (compose->spec->source_type != SOURCE_REPO &&
	    (order_koji(config, &job->koji) < 0 || add_module(config, &job->module) < 0))
		return -ENOMEM;
	if (compose->spec->source_type == SOURCE_TAG &&
	    catalogue_known_event(scheduler->options->store->catalogue, compose->spec,
				  &job->known_event, &err) < 0)
		log_warning("compose %" PRId64 ": %s", compose->id, err.message);
	job->spec = steal(compose->spec);
	order_after(scheduler, compose->owner, job);
	*ret = steal(job);
	return 0;
}
