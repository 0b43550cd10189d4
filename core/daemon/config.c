/* SPDX-License-Identifier: MIT */
/* core/daemon/config.c: one table of keys: what they are called, what they may be, what they mean.
 *
 * Reading, printing and the nearest known key of a mistyped one all come from the table; what goes
 * together is config_check.c's. */
#include "core/daemon/config.h"

#include "core/model/model.h"

#include <fcntl.h>
#include <ini.h>
#include <strings.h>

#define KEY_CHARACTERS "abcdefghijklmnopqrstuvwxyz_.0123456789"
#define LINE_MAX_BYTES 190 /* inih cuts lines silently a little beyond this */

enum key_type {
	KEY_STRING,
	KEY_PATH,
	KEY_NUMBER,
	KEY_SIZE,
	KEY_SECONDS,
	KEY_BOOL,
	KEY_WORDS,
	KEY_PATHS,
	KEY_PLACES, /* paths and URLs */
};

struct key {
	const char *name; /* "section.key" */
	enum key_type type;
	size_t offset;
	const char *fallback;
	int64_t minimum, maximum;
	const char *meaning;
};

#define FIELD(member) offsetof(struct config, member)

static const struct key keys[] = {
	{ "odcsfs.mountpoint", KEY_PATH, FIELD(mountpoint), "/odcs", 0, 0,
	  "where the tree is mounted; empty: no mount" },
	{ "odcsfs.state_dir", KEY_PATH, FIELD(state_dir), "/var/lib/odcsfs", 0, 0,
	  "catalogue, snapshots, manifests, blobs, logs" },
	{ "odcsfs.workers", KEY_NUMBER, FIELD(workers), "2", 1, CONFIG_MAX_WORKERS,
	  "processes that make composes, one compose each at a time" },
	{ "odcsfs.cage", KEY_STRING, FIELD(cage), "prefer", 0, 0,
	  "where the kernel cannot keep workers from everything: prefer (say so and go on) or "
	  "require (do not start)" },
	{ "odcsfs.arches", KEY_WORDS, FIELD(arches), "x86_64", 0, 0,
	  "arches of a request that names none" },
	{ "odcsfs.log_level", KEY_STRING, FIELD(log_level), "info", 0, 0,
	  "error, warning, info or debug" },
	{ "odcsfs.contact", KEY_STRING, FIELD(contact), "the administrators of this service", 0, 0,
	  "whom users ask for more than a limit allows: words, a mail address or a URL" },
	{ "http.listen", KEY_STRING, FIELD(listen), "127.0.0.1:5005", 0, 0,
	  "ADDRESS:PORT of the API and the exported tree; port 0 picks one" },
	{ "http.public_url", KEY_STRING, FIELD(public_url), "", 0, 0,
	  "URL under which clients see composes/; empty: made from listen" },
	{ "http.tls_cert", KEY_PATH, FIELD(tls_cert), "", 0, 0,
	  "certificate of listen with its chain, PEM; with tls_key: HTTPS instead of HTTP" },
	{ "http.tls_key", KEY_PATH, FIELD(tls_key), "", 0, 0, "its private key, PEM" },
	{ "http.tls_client_ca", KEY_PATH, FIELD(tls_client_ca), "", 0, 0,
	  "authorities whose certificates of clients are believed, PEM; empty: none is asked for" },
	{ "http.socket", KEY_PATH, FIELD(http_socket), "", 0, 0,
	  "unix socket of the same API, whose clients are known by their uid; empty: none" },
	{ "http.socket_mode", KEY_STRING, FIELD(http_socket_mode), "0666", 0, 0,
	  "permissions of the unix socket: who may write may connect" },
	{ "http.socket_group", KEY_STRING, FIELD(http_socket_group), "", 0, 0,
	  "group of the unix socket; empty: that of the service" },
	{ "lifetime.default", KEY_SECONDS, FIELD(lifetime_default), "86400", 1, INT32_MAX,
	  "seconds to live of a request that says nothing" },
	{ "lifetime.maximum", KEY_SECONDS, FIELD(lifetime_maximum), "259200", 1, INT32_MAX,
	  "more is cut to this" },
	{ "lifetime.read_lease", KEY_SECONDS, FIELD(lifetime_read_lease), "0", 0, INT32_MAX,
	  "each read keeps a compose for so many seconds more, at most lifetime.maximum after it "
	  "was done; 0: reads keep nothing" },
	{ "lifetime.draft", KEY_SECONDS, FIELD(lifetime_draft), "3600", 1, INT32_MAX,
	  "a request directory without an accepted spec goes after this" },
	{ "lifetime.history", KEY_SECONDS, FIELD(lifetime_history), "2592000", 1, INT32_MAX,
	  "the request directory of a removed compose goes after this" },
	{ "lifetime.snapshot", KEY_SECONDS, FIELD(lifetime_snapshot), "604800", 60, INT32_MAX,
	  "the index of a source repository goes when no compose used it for this long" },
	{ "fs.list_aliases", KEY_BOOL, FIELD(list_aliases), "no", 0, 0,
	  "list the latest-… names in composes/ (they can always be opened)" },
	{ "fs.owner_may_expire", KEY_BOOL, FIELD(owner_may_expire), "yes", 0, 0,
	  "may an owner end his own finished compose, or only an administrator" },
	{ "fs.read_mode", KEY_STRING, FIELD(read_mode), "auto", 0, 0,
	  "how the kernel gets packages: passthrough, splice, copy, or auto: passthrough where it "
	  "can, else splice" },
	{ "fs.read_ahead", KEY_SIZE, FIELD(read_ahead), "512K", 0, 64 << 20,
	  "how far the kernel reads ahead in files that it does not read by itself; 0: its own "
	  "value" },
	{ "fs.export", KEY_PATH, FIELD(export), "", 0, 0,
	  "where composes/ alone is mounted a second time, read-only and faster to open, for web "
	  "and file servers; empty: nowhere" },
	{ "fs.allowed_groups", KEY_WORDS, FIELD(allowed_groups), "", 0, 0,
	  "only root and members of these groups may make requests in the tree; empty: everybody" },
	{ "repo.allowed", KEY_PLACES, FIELD(repo_allowed), "", 0, 0,
	  "prefixes that repo sources may lie below: paths, read with the service's rights, and "
	  "URLs; no path: only what the asking local user may read himself; no URL: no server is "
	  "asked" },
	{ "repo.names", KEY_WORDS, FIELD(repo_names), "", 0, 0,
	  "NAME=URL, NAME=mirrorlist:URL or NAME=metalink:URL each: what repo:NAME in a request "
	  "stands for" },
	{ "repo.mirrors", KEY_STRING, FIELD(repo_mirrors), "listed", 0, 0,
	  "where redirects and mirrors may lead: listed (below repo.allowed) or any (public "
	  "addresses, too)" },
	{ "repo.gpgcheck", KEY_STRING, FIELD(repo_gpgcheck), "no", 0, 0,
	  "what a server's repository must have signed: no, repomd, packages or both" },
	{ "repo.gpg_keys", KEY_PATHS, FIELD(repo_gpg_keys), "", 0, 0,
	  "files of the public keys that are believed, ASCII-armored" },
	{ "repo.recheck_seconds", KEY_SECONDS, FIELD(repo_recheck_seconds), "60", 0, INT32_MAX,
	  "so long a server is not asked again whether its repository has changed" },
	{ "repo.timeout", KEY_SECONDS, FIELD(repo_timeout), "120", 1, 86400,
	  "a file that a mirror takes longer for, beside what its bytes take, is asked of the "
	  "next" },
	{ "repo.connections", KEY_NUMBER, FIELD(repo_connections), "3", 1, 8,
	  "to servers, of one worker at a time" },
	{ "repo.rate", KEY_SIZE, FIELD(repo_rate), "0", 0, INT64_MAX,
	  "bytes per second from servers, of one worker; 0: no limit" },
	{ "repo.ca", KEY_PATH, FIELD(repo_ca), "", 0, 0,
	  "file of the certificates to trust; empty: those of the system" },
	{ "repo.proxy", KEY_STRING, FIELD(repo_proxy), "", 0, 0,
	  "URL of an HTTP proxy; empty: none, whatever the environment says" },
	{ "koji.hub", KEY_STRING, FIELD(koji_hub), "", 0, 0,
	  "URL of a Koji hub; workers may open network connections only when it is set, or "
	  "repo.allowed names a URL" },
	{ "koji.topdir", KEY_PATH, FIELD(koji_topdir), "/mnt/koji", 0, 0,
	  "where the files of that Koji are mounted" },
	{ "koji.topurl", KEY_STRING, FIELD(koji_topurl), "", 0, 0,
	  "URL of the same files, where they are not mounted" },
	{ "koji.sigkeys", KEY_WORDS, FIELD(koji_sigkeys), "", 0, 0,
	  "signing keys of a request that names none, the preferred first; '' is unsigned" },
	{ "koji.ca", KEY_PATH, FIELD(koji_ca), "", 0, 0,
	  "file of the certificates to trust; empty: those of the system" },
	{ "koji.proxy", KEY_STRING, FIELD(koji_proxy), "", 0, 0,
	  "URL of an HTTP proxy; empty: none, whatever the environment says" },
	{ "koji.timeout", KEY_SECONDS, FIELD(koji_timeout), "300", 1, 86400,
	  "a call of the hub that takes longer, with its repetitions, fails" },
	{ "module.repos", KEY_PATHS, FIELD(module_repos), "", 0, 0,
	  "paths of the repositories that modules come from, asked in this order and read with the "
	  "service's rights" },
	{ "module.mbs", KEY_STRING, FIELD(module_mbs), "", 0, 0,
	  "URL of a Module Build Service, without /1, for modules that they do not have; its RPMs "
	  "come from koji.hub" },
	{ "module.base_modules", KEY_WORDS, FIELD(module_base_modules), "platform bootstrap", 0, 0,
	  "modules that are never in a compose" },
	{ "module.timeout", KEY_SECONDS, FIELD(module_timeout), "120", 1, 86400,
	  "a question to that service that takes longer, with its repetitions, fails" },
	{ "cache.size", KEY_SIZE, FIELD(cache_size), "20G", 0, INT64_MAX,
	  "bytes that packages of servers may take up; 0: no limit" },
	{ "cache.fetchers", KEY_NUMBER, FIELD(cache_fetchers), "4", 1, CONFIG_MAX_FETCHERS,
	  "packages that are fetched at a time; a server with none under way gets one more" },
	{ "cache.read_timeout", KEY_SECONDS, FIELD(cache_read_timeout), "300", 1, 86400,
	  "who reads a package that has to be fetched waits no longer than this" },
	{ "cache.server_fetchers", KEY_NUMBER, FIELD(cache_server_fetchers), "0", 0,
	  2 * CONFIG_MAX_FETCHERS, "of them from one server; 0: any number" },
	{ "cache.rate", KEY_SIZE, FIELD(cache_rate), "0", 0, INT64_MAX,
	  "bytes per second of all packages together, each of cache.fetchers a share; 0: no "
	  "limit" },
	{ "cache.verify", KEY_STRING, FIELD(cache_verify), "whole", 0, 0,
	  "when bytes of a package are handed out: whole (it is here and its checksum right) or "
	  "stream (as they come, all but the last 64 KiB)" },
	{ "auth.backend", KEY_STRING, FIELD(auth_backend), "noauth", 0, 0,
	  "who REST users are: noauth (nobody in particular), proxy or ssl" },
	{ "auth.roles", KEY_PATH, FIELD(auth_roles), "", 0, 0,
	  "JSON file of who may ask, for what, and who are administrators; for proxy and ssl" },
	{ "auth.proxies", KEY_WORDS, FIELD(auth_proxies), "", 0, 0,
	  "whose headers about users are believed with proxy: addresses, networks, unix:USER" },
	{ "auth.crl", KEY_PATH, FIELD(auth_crl), "", 0, 0,
	  "certificates of clients that http.tls_client_ca's authorities withdrew, PEM; empty: "
	  "none" },
	{ "limits.packages", KEY_NUMBER, FIELD(limit_packages), "10000", 1, SPEC_MAX_PACKAGES,
	  "names in one request" },
	{ "limits.body", KEY_SIZE, FIELD(limit_body), "1M", 1024, SPEC_MAX_BYTES,
	  "bytes of a request" },
	{ "limits.drafts", KEY_NUMBER, FIELD(limit_drafts), "100", 1, 100000,
	  "drafts of one user" },
	{ "limits.live_composes_per_user", KEY_NUMBER, FIELD(limit_live_composes), "0", 0,
	  INT32_MAX, "composes of one user that are not over; 0: no limit" },
	{ "limits.connections", KEY_NUMBER, FIELD(limit_connections), "1024", 16, 65536,
	  "HTTP connections at a time, of all clients" },
	{ "limits.client_connections", KEY_NUMBER, FIELD(client_connections), "256", 1, 65536,
	  "of one client: a local user, or an address; more are closed at once" },
	{ "limits.client_requests", KEY_NUMBER, FIELD(client_requests), "64", 1, 65536,
	  "requests of one client under way at a time; more are answered 429" },
	{ "limits.client_waits", KEY_NUMBER, FIELD(client_waits), "128", 1, 65536,
	  "long polls and followers of events of one client" },
	{ "limits.client_memory", KEY_SIZE, FIELD(client_memory), "64M", 32 << 20, INT64_MAX,
	  "request and answer bytes of one client in memory; beyond it: 429" },
	{ "limits.client_rate", KEY_SIZE, FIELD(client_rate), "1K", 0, INT32_MAX,
	  "bytes per second, over ten; who sends or takes less is dropped; 0: nobody is" },
	{ "limits.worker_memory", KEY_SIZE, FIELD(worker_memory), "2G", 64 << 20, INT64_MAX,
	  "a worker that needs more fails its compose" },
	{ "limits.worker_pools", KEY_SIZE, FIELD(worker_pools), "512M", 0, INT64_MAX,
	  "memory for snapshots that a worker keeps loaded" },
	{ "limits.worker_cpu_seconds", KEY_SECONDS, FIELD(worker_cpu_seconds), "600", 1, INT32_MAX,
	  "a compose that takes more processor time fails" },
	{ "limits.worker_seconds", KEY_SECONDS, FIELD(worker_seconds), "3600", 1, INT32_MAX,
	  "a compose that takes longer fails" },
};

static bool is_list(const struct key *key)
{
	return key->type == KEY_WORDS || key->type == KEY_PATHS || key->type == KEY_PLACES;
}

static const struct key *find_key(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if (!strcmp(keys[i].name, name))
			return &keys[i];
	return NULL;
}

static int unknown_key(const char *name, struct error *err)
{
	const char *known[ARRAY_SIZE(keys)], *nearest;

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		known[i] = keys[i].name;
	nearest = nearest_word(name, known, ARRAY_SIZE(keys));
	if (!nearest) /* the right key under the wrong section? */
		for (size_t i = 0; i < ARRAY_SIZE(keys) && !nearest; i++)
			if (strchr(name, '.') &&
			    !strcmp(strchr(keys[i].name, '.'), strrchr(name, '.')))
				nearest = keys[i].name;
	if (nearest)
		return error_set(err, -EINVAL, BLAME_REQUEST, name,
				 "unknown key \"%s\"; did you mean \"%s\"?", name, nearest);
	return error_set(err, -EINVAL, BLAME_REQUEST, name, "unknown key \"%s\"", name);
}

static int unknown_section(const char *name, struct error *err)
{
	char section[ARRAY_SIZE(keys)][32];
	const char *known[ARRAY_SIZE(keys)], *nearest;

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		(void)snprintf(section[i], sizeof(section[i]), "%.*s",
			       (int)strcspn(keys[i].name, "."), keys[i].name);
		known[i] = section[i];
	}
	nearest = nearest_word(name, known, ARRAY_SIZE(keys));
	return error_set(err, -EINVAL, BLAME_REQUEST, name, "unknown section [%s]%s%s%s", name,
			 nearest ? "; did you mean [" : "", nearest ? nearest : "",
			 nearest ? "]?" : "");
}

static int set_number(struct config *config, const struct key *key, const char *value,
		      struct error *err)
{
	int64_t *field = (int64_t *)(void *)((char *)config + key->offset), number = 0;
	int r = key->type == KEY_SIZE ? parse_size(value, &number) : parse_int64(value, &number);

	if (r == -EINVAL)
		return error_set(err, -EINVAL, BLAME_REQUEST, key->name,
				 "%s must be a whole number%s, not \"%s\"", key->name,
				 key->type == KEY_SIZE	    ? " with K, M, G or T"
				 : key->type == KEY_SECONDS ? " of seconds"
							    : "",
				 value);
	if (r < 0 || number < key->minimum || number > key->maximum)
		return error_set(err, -EINVAL, BLAME_REQUEST, key->name,
				 "%s must lie between %" PRId64 " and %" PRId64 ", not %s",
				 key->name, key->minimum, key->maximum, value);
	*field = number;
	return 0;
}

static int set_bool(struct config *config, const struct key *key, const char *value,
		    struct error *err)
{
	static const char *const words[] = { "no", "yes", "false", "true", "0", "1", "off", "on" };
	bool *field = (bool *)((char *)config + key->offset);

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (!strcasecmp(value, words[i])) {
			*field = i & 1;
			return 0;
		}
	return error_set(err, -EINVAL, BLAME_REQUEST, key->name, "%s must be yes or no, not \"%s\"",
			 key->name, value);
}

static int check_path(const struct key *key, const char *value, struct error *err)
{
	if (value[0] && value[0] != '/')
		return error_set(err, -EINVAL, BLAME_REQUEST, key->name,
				 "%s must be an absolute path%s, not \"%s\"", key->name,
				 key->type == KEY_PLACES ? ", or a URL" : "", value);
	return 0;
}

/* A prefix as it is compared: a path without slashes at its end, a URL in its one spelling */
static int normal_place(const struct key *key, char **word, struct error *err)
{
	char *normal = NULL;
	int r;

	if (key->type == KEY_WORDS)
		return 0;
	if (key->type == KEY_PLACES && url_kind(*word, NULL) == URL_BASE) {
		r = url_normal(*word, false, &normal, err);
		if (r < 0)
			return error_prefix(err, "%s", key->name);
		free(*word);
		*word = normal;
		return 0;
	}
	r = check_path(key, *word, err);
	/* words of requests, which are compared with it, have none */
	if (r == 0 && key->type == KEY_PLACES && path_has_dots(*word))
		r = error_set(err, -EINVAL, BLAME_REQUEST, key->name,
			      "%s: %s: a path must not have . or .. in it", key->name, *word);
	for (size_t n = strlen(*word); n > 1 && (*word)[n - 1] == '/'; n--)
		(*word)[n - 1] = '\0';
	return r;
}

static int set_words(struct config *config, const struct key *key, const char *value, bool append,
		     struct error *err)
{
	struct strings *field = (struct strings *)(void *)((char *)config + key->offset);
	struct strings words = { 0 };
	int r = strings_split(&words, value, ' ');

	for (size_t i = 0; i < words.count && r == 0; i++)
		r = normal_place(key, &words.item[i], err);
	if (r == 0 && append)
		r = strings_copy(field, &words);
	if (r == 0 && !append) {
		struct strings old = *field;

		*field = words;
		words = old;
	}
	strings_done(&words);
	return r == -ENOMEM ? error_oom(err) : r;
}

static int set_string(struct config *config, const struct key *key, const char *value,
		      struct error *err)
{
	char **field = (char **)(void *)((char *)config + key->offset), *copy;
	int r = key->type == KEY_PATH ? check_path(key, value, err) : 0;

	if (r < 0)
		return r;
	copy = strdup(value);
	if (!copy)
		return error_oom(err);
	free(*field);
	*field = copy;
	return 0;
}

static bool has_controls(const char *text)
{
	for (const char *at = text; *at; at++)
		if ((unsigned char)*at < 0x20 || *at == 0x7f)
			return true;
	return false;
}

static int set_key(struct config *config, const struct key *key, const char *value, bool append,
		   struct error *err)
{
	/* beside blanks, inih takes some for the end of a line and keeps some */
	if (has_controls(value))
		return error_set(err, -EINVAL, BLAME_REQUEST, key->name,
				 "%s: there is a control character in its value", key->name);
	switch (key->type) {
	case KEY_NUMBER:
	case KEY_SIZE:
	case KEY_SECONDS:
		return set_number(config, key, value, err);
	case KEY_BOOL:
		return set_bool(config, key, value, err);
	case KEY_WORDS:
	case KEY_PATHS:
	case KEY_PLACES:
		return set_words(config, key, value, append, err);
	case KEY_STRING:
	case KEY_PATH:
		break;
	}
	return set_string(config, key, value, err);
}

int config_init(struct config *config, struct error *err)
{
	*config = (struct config){ 0 };
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		int r = set_key(config, &keys[i], keys[i].fallback, false, err);

		if (r < 0) {
			config_done(config);
			return r;
		}
	}
	return 0;
}

void config_done(struct config *config)
{
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		void *field = (char *)config + keys[i].offset;

		if (keys[i].type == KEY_STRING || keys[i].type == KEY_PATH)
			free(*(char **)field);
		else if (is_list(&keys[i]))
			strings_done(field);
	}
	*config = (struct config){ 0 };
}

/* struct reading - one file being read; inih goes on after an error, we keep the first */
struct reading {
	struct config *config;
	const struct key *last; /* for a value that goes on in the next line */
	bool seen[ARRAY_SIZE(keys)];
	struct error *err;
	int r;
};

static int on_entry(void *data, const char *section, const char *name, const char *value)
{
	struct reading *reading = data;
	const struct key *key;
	char full[256];
	bool more;

	if (reading->r < 0)
		return 1;
	(void)snprintf(full, sizeof(full), "%s.%s", section, name);
	key = find_key(full);
	more = key && key == reading->last;
	reading->last = key;
	if (!key)
		reading->r = unknown_key(full, reading->err);
	else if (reading->seen[key - keys] && !(more && is_list(key)))
		reading->r = error_set(reading->err, -EINVAL, BLAME_REQUEST, full,
				       "%s is given twice", full);
	else
		reading->r = set_key(reading->config, key, value, more, reading->err);
	if (key)
		reading->seen[key - keys] = true;
	return reading->r == 0;
}

static int check_lines(const char *text, const char *path, struct error *err)
{
	int line = 1;

	for (const char *at = text; *at; line++) {
		size_t length = strcspn(at, "\n");

		if (length > LINE_MAX_BYTES)
			return error_set(err, -EINVAL, BLAME_REQUEST, path,
					 "%s:%d: line longer than %d bytes; go on in the next line "
					 "after a blank",
					 path, line, LINE_MAX_BYTES);
		at += length + (at[length] == '\n');
	}
	return 0;
}

static bool is_section(const char *name, size_t length)
{
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if (!strncmp(keys[i].name, name, length) && keys[i].name[length] == '.')
			return true;
	return false;
}

/* The line of a section, "[NAME]": sections without a key and what follows the name are read over
 * by the parser. */
static int check_section(const char *line, size_t length, struct error *err)
{
	const char *end = memchr(line, ']', length);
	_cleanup_(freep) char *name = NULL;

	if (!end)
		return 0; /* it has told that */
	name = strndup(line + 1, (size_t)(end - line - 1));
	if (!name)
		return error_oom(err);
	if (!is_section(name, strlen(name)))
		return unknown_section(name, err);
	end += 1 + strspn(end + 1, " \t\r");
	if (end < line + length && *end != ';')
		return error_set(err, -EINVAL, BLAME_REQUEST, name,
				 "nothing may follow [%s] in its line", name);
	return 0;
}

static int check_sections(const char *text, const char *path, struct error *err)
{
	int line = 1;

	for (const char *at = text; *at; line++) {
		size_t length = strcspn(at, "\n");

		if (*at == '[' && check_section(at, length, err) < 0)
			return error_prefix(err, "%s:%d", path, line);
		at += length + (at[length] == '\n');
	}
	return 0;
}

int config_text(struct config *config, const char *text, size_t length, const char *path,
		struct error *err)
{
	struct reading reading = { .config = config, .err = err };
	int r, line;

	if (strlen(text) != length) {
		line = 1;
		for (const char *at = strchr(text, '\n'); at; at = strchr(at + 1, '\n'))
			line++;
		return error_set(err, -EINVAL, BLAME_REQUEST, path,
				 "%s:%d: not a text file (a zero byte)", path, line);
	}
	r = check_lines(text, path, err);
	if (r < 0)
		return r;
	line = ini_parse_string(text, on_entry, &reading);
	if (reading.r < 0)
		return error_prefix(err, "%s:%d", path, line);
	if (line != 0)
		return error_set(err, -EINVAL, BLAME_REQUEST, path,
				 "%s:%d: neither a [section] nor KEY=VALUE", path, line);
	return check_sections(text, path, err);
}

int config_file(struct config *config, const char *path, struct error *err)
{
	_cleanup_(freep) char *text = NULL;
	size_t length;
	int r = file_read(AT_FDCWD, path, 1 << 20, &text, &length);

	if (r < 0)
		return error_set(err, r, BLAME_REQUEST, path, "%s: %s", path, strerror(-r));
	return config_text(config, text, length, path, err);
}

int config_option(struct config *config, const char *option, struct error *err)
{
	const char *equals = strchr(option, '=');
	_cleanup_(freep) char *name = equals ? strndup(option, (size_t)(equals - option)) : NULL;
	const struct key *key;

	if (!equals)
		return error_set(err, -EINVAL, BLAME_REQUEST, option,
				 "-o %.*s: want SECTION.KEY=VALUE",
				 (int)strspn(option, KEY_CHARACTERS), option);
	if (!name)
		return error_oom(err);
	key = find_key(name);
	if (!key)
		(void)unknown_key(name, err);
	if (!key || set_key(config, key, equals + 1, false, err) < 0)
		return error_prefix(err, "-o %.100s", name); /* the value may hold a password */
	return 0;
}

/* Several lines where one would be too long to be read again; a blank begins the next. */
static void print_words(const struct strings *words, const struct key *key, struct text *ret)
{
	size_t width = strlen(key->name);

	for (size_t i = 0; i < words->count; i++) {
		size_t length = strlen(words->item[i]);
		bool next = i && width + 1 + length > LINE_MAX_BYTES / 2;

		(void)text_addf(ret, "%s%s", next ? "\n " : i ? " " : "", words->item[i]);
		width = (next ? 0 : width) + 1 + length;
	}
}

static void print_value(const struct config *config, const struct key *key, struct text *ret)
{
	const void *field = (const char *)config + key->offset;

	if (key->type == KEY_STRING || key->type == KEY_PATH) {
		(void)text_adds(ret, *(char *const *)field);
	} else if (key->type == KEY_BOOL) {
		(void)text_adds(ret, *(const bool *)field ? "yes" : "no");
	} else if (is_list(key)) {
		print_words(field, key, ret);
	} else {
		(void)text_addf(ret, "%" PRId64, *(const int64_t *)field);
	}
}

int config_print(const struct config *config, struct text *ret)
{
	size_t section = 0;

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		const char *dot = strchr(keys[i].name, '.');
		size_t length = (size_t)(dot - keys[i].name);

		if (!i || length != section || strncmp(keys[i].name, keys[i - 1].name, length) != 0)
			(void)text_addf(ret, "%s[%.*s]\n", i ? "\n" : "", (int)length,
					keys[i].name);
		section = length;
		(void)text_addf(ret, "; %s\n%s=", keys[i].meaning, dot + 1);
		print_value(config, &keys[i], ret);
		(void)text_adds(ret, "\n");
	}
	return ret->failed ? -ENOMEM : 0;
}
