/* SPDX-License-Identifier: MIT */
/* core/daemon/config_check.c: what the table of keys does not say.
 *
 * Words that a value may be, and keys that need or exclude each other. */
#include "core/daemon/config.h"

#include "core/model/model.h"
#include "rest/rest.h"

#define CONTACT_MAX_BYTES 150

#define CACHE_RATE_MIN (16 << 10) /* bytes a second of one package */

/* is the value of a key one of the words it may be? */
static int check_word(const char *key, const char *value, const char *const *words,
		      struct error *err)
{
	_cleanup_(text_done) struct text list = { 0 };

	for (size_t i = 0; words[i]; i++) {
		if (!strcmp(words[i], value))
			return 0;
		(void)text_addf(&list, "%s%s", !i ? "" : words[i + 1] ? ", " : " or ", words[i]);
	}
	return error_set(err, -EINVAL, BLAME_REQUEST, key, "%s must be %s, not \"%s\"", key,
			 list.failed ? "another word" : list.data, value);
}

int config_socket_mode(const struct config *config, uint32_t *ret)
{
	const char *text = config->http_socket_mode;
	size_t length = strspn(text, "01234567");

	if (!length || text[length] || length > 5)
		return -EINVAL;
	*ret = (uint32_t)strtoul(text, NULL, 8);
	return *ret & ~UINT32_C(0777) ? -EINVAL : 0;
}

static int needs(const char *key, const char *other, struct error *err)
{
	char name[ERROR_FIELD_SIZE]; /* without the value that needs it */

	(void)snprintf(name, sizeof(name), "%.*s", (int)strcspn(key, " "), key);
	return error_set(err, -EINVAL, BLAME_REQUEST, name, "%s needs %s", key, other);
}

/* who may come in: keys that need each other */
static int check_access(const struct config *config, struct error *err)
{
	bool cert = config->tls_cert[0], key = config->tls_key[0], ca = config->tls_client_ca[0];
	bool ssl = !strcmp(config->auth_backend, "ssl");
	uint32_t mode;

	if (cert != key)
		return needs(cert ? "http.tls_cert" : "http.tls_key",
			     cert ? "http.tls_key" : "http.tls_cert", err);
	if (ssl && (!cert || !ca))
		return needs("auth.backend ssl",
			     "http.tls_cert, http.tls_key and http.tls_client_ca", err);
	if (ca && !ssl)
		return needs("http.tls_client_ca", "auth.backend ssl", err);
	if (config->auth_crl[0] && !ca)
		return needs("auth.crl", "http.tls_client_ca", err);
	if (config_socket_mode(config, &mode) < 0)
		return error_set(err, -EINVAL, BLAME_REQUEST, "http.socket_mode",
				 "http.socket_mode must be octal and not above 0777, not \"%s\"",
				 config->http_socket_mode);
	return rest_proxies_check(&config->auth_proxies, err);
}

static int check_url(const char *key, const char *value, struct error *err)
{
	const char *host = strstr(value, "://");

	if (!*value)
		return 0;
	if ((strncmp(value, "http://", 7) != 0 && strncmp(value, "https://", 8) != 0) || !host[3] ||
	    strpbrk(value, " \t?#"))
		/* not shown: there may be a password in it */
		return error_set(err, -EINVAL, BLAME_REQUEST, key,
				 "%s must be an http:// or https:// URL without ? and #", key);
	return 0;
}

static int check_module(const struct config *config, struct error *err)
{
	int r = check_url("module.mbs", config->module_mbs, err);

	if (r == 0 && !config->module_base_modules.count)
		r = error_set(err, -EINVAL, BLAME_REQUEST, "module.base_modules",
			      "module.base_modules must name at least one module");
	if (r == 0 && config->module_mbs[0] && !config->koji_hub[0])
		return needs("module.mbs", "koji.hub", err);
	return r;
}

static int check_koji(const struct config *config, struct error *err)
{
	int r = check_url("koji.hub", config->koji_hub, err);

	if (r == 0)
		r = check_url("koji.topurl", config->koji_topurl, err);
	if (r == 0)
		r = check_url("koji.proxy", config->koji_proxy, err);
	for (size_t i = 0; i < config->koji_sigkeys.count && r == 0; i++) {
		const char *key = config->koji_sigkeys.item[i];

		if (strcmp(key, "''") != 0 &&
		    (strlen(key) != 8 || key[strspn(key, "0123456789abcdefABCDEF")]))
			r = error_set(err, -EINVAL, BLAME_REQUEST, "koji.sigkeys",
				      "koji.sigkeys: \"%s\" is neither 8 hexadecimal digits nor ''",
				      key);
	}
	return r;
}

bool config_network(const struct config *config)
{
	for (size_t i = 0; i < config->repo_allowed.count; i++)
		if (config->repo_allowed.item[i][0] != '/')
			return true;
	return config->koji_hub[0] || config->repo_names.count;
}

bool config_streams(const struct config *config)
{
	return !strcmp(config->cache_verify, "stream");
}

static const char *const gpgchecks[] = { [GPGCHECK_NO] = "no",
					 [GPGCHECK_REPOMD] = "repomd",
					 [GPGCHECK_PACKAGES] = "packages",
					 [GPGCHECK_BOTH] = "both",
					 NULL };

enum gpgcheck config_gpgcheck(const struct config *config)
{
	enum gpgcheck check = GPGCHECK_NO;

	while (gpgchecks[check + 1] && strcmp(gpgchecks[check], config->repo_gpgcheck) != 0)
		check++;
	return check;
}

static int check_names(const struct config *config, struct error *err)
{
	const struct strings *names = &config->repo_names;

	for (size_t i = 0; i < names->count; i++) {
		_cleanup_(freep) char *name = strdup(names->item[i]), *normal = NULL;
		char *equals = name ? strchr(name, '=') : NULL;
		struct error wrong = { 0 };
		int r;

		if (!name)
			return error_oom(err);
		if (equals)
			*equals = '\0';
		if (!equals || !url_name_check(name))
			return error_set(err, -EINVAL, BLAME_REQUEST, "repo.names",
					 "repo.names: \"%s\" is not NAME=URL", names->item[i]);
		r = url_word_normal(equals + 1, &normal, &wrong);
		if (r < 0)
			return error_set(err, r, BLAME_REQUEST, "repo.names", "repo.names: %s: %s",
					 name, wrong.message);
		if (url_named(names, name) != strchr(names->item[i], '=') + 1)
			return error_set(err, -EINVAL, BLAME_REQUEST, "repo.names",
					 "repo.names: %s is given twice", name);
	}
	return 0;
}

static int check_repo(const struct config *config, struct error *err)
{
	static const char *const mirrors[] = { "listed", "any", NULL };
	int r = check_word("repo.mirrors", config->repo_mirrors, mirrors, err);

	if (r == 0)
		r = check_word("repo.gpgcheck", config->repo_gpgcheck, gpgchecks, err);
	if (r == 0)
		r = check_url("repo.proxy", config->repo_proxy, err);
	if (r == 0)
		r = check_names(config, err);
	if (r == 0 && config_gpgcheck(config) != GPGCHECK_NO && !config->repo_gpg_keys.count)
		return needs("repo.gpgcheck", "repo.gpg_keys", err);
	return r;
}

/* Is @path, without slashes at its end, @above or below it? */
static bool lies_in(const char *path, const char *above)
{
	size_t length = strlen(above);

	while (length && above[length - 1] == '/')
		length--;
	return length && !strncmp(path, above, length) && (path[length] == '/' || !path[length]);
}

static int check_fs(const struct config *config, struct error *err)
{
	static const char *const modes[] = { "auto", "passthrough", "splice", "copy", NULL };
	int r = check_word("fs.read_mode", config->read_mode, modes, err);

	if (r == 0 && config->export[0] &&
	    (lies_in(config->export, config->mountpoint) ||
	     lies_in(config->mountpoint, config->export)))
		return error_set(err, -EINVAL, BLAME_REQUEST, "fs.export",
				 "fs.export must lie beside odcsfs.mountpoint, not in it or around "
				 "it: %s",
				 config->export);
	return r;
}

/* A share has to be more than the least that a server must send. */
static int check_cache(const struct config *config, struct error *err)
{
	if (!config->cache_rate || config->cache_rate / config->cache_fetchers >= CACHE_RATE_MIN)
		return 0;
	return error_set(err, -EINVAL, BLAME_REQUEST, "cache.rate",
			 "cache.rate must be 0 or at least %" PRId64
			 ": %d for each of cache.fetchers",
			 CACHE_RATE_MIN * config->cache_fetchers, CACHE_RATE_MIN);
}

int config_check(const struct config *config, struct error *err)
{
	static const char *const levels[] = { "error", "warning", "info", "debug", NULL };
	static const char *const backends[] = { "noauth", "proxy", "ssl", NULL };
	static const char *const verifies[] = { "whole", "stream", NULL };
	static const char *const cages[] = { "prefer", "require", NULL };
	int r;

	if (config->lifetime_default > config->lifetime_maximum)
		return error_set(err, -EINVAL, BLAME_REQUEST, "lifetime.default",
				 "lifetime.default (%" PRId64
				 ") is larger than lifetime.maximum (%" PRId64 ")",
				 config->lifetime_default, config->lifetime_maximum);
	if (!config->state_dir[0])
		return error_set(err, -EINVAL, BLAME_REQUEST, "odcsfs.state_dir",
				 "odcsfs.state_dir must not be empty");
	if (!config->contact[0] || strlen(config->contact) > CONTACT_MAX_BYTES)
		return error_set(err, -EINVAL, BLAME_REQUEST, "odcsfs.contact",
				 "odcsfs.contact must be a line of 1 to %d bytes",
				 CONTACT_MAX_BYTES);
	if (config->arches.count == 0)
		return error_set(err, -EINVAL, BLAME_REQUEST, "odcsfs.arches",
				 "odcsfs.arches must name at least one arch");
	r = check_word("auth.backend", config->auth_backend, backends, err);
	if (r == 0)
		r = check_access(config, err);
	if (r == 0)
		r = check_repo(config, err);
	if (r == 0)
		r = check_koji(config, err);
	if (r == 0)
		r = check_module(config, err);
	if (r == 0)
		r = check_fs(config, err);
	if (r == 0)
		r = check_cache(config, err);
	if (r == 0)
		r = check_word("cache.verify", config->cache_verify, verifies, err);
	if (r == 0)
		r = check_word("odcsfs.log_level", config->log_level, levels, err);
	if (r == 0)
		r = check_word("odcsfs.cage", config->cage, cages, err);
	if (r == 0)
		r = rest_listen_check(config->listen, err);
	return r;
}
