/* SPDX-License-Identifier: MIT */
/* core/daemon/config.h: what the site decided: the configuration file and -o, checked. */
#pragma once

#include "core/model/model.h"

#define CONFIG_DEFAULT_FILE "/etc/odcsfs/odcsfs.conf"
#define CONFIG_MAX_WORKERS 64
#define CONFIG_MAX_FETCHERS 32

/** struct config - every key of odcsfs(8), with its default when nobody set it. Owned strings */
struct config {
	/* [odcsfs] */
	char *mountpoint; /* "": serve without a mount */
	char *state_dir;
	char *log_level;
	char *cage;    /* prefer or require */
	char *contact; /* whom to ask */
	int64_t workers;
	struct strings arches; /* of a request that names none */
	/* [http] */
	char *listen;
	char *public_url;					  /* "": made from listen */
	char *tls_cert, *tls_key, *tls_client_ca;		  /* files; "": none */
	char *http_socket, *http_socket_mode, *http_socket_group; /* "": none */
	/* [lifetime] seconds */
	int64_t lifetime_default, lifetime_maximum, lifetime_read_lease, lifetime_draft,
		lifetime_history, lifetime_snapshot;
	/* [fs] */
	bool list_aliases, owner_may_expire;
	char *read_mode;	       /* auto, passthrough, splice or copy */
	char *export;		       /* where composes/ is mounted a second time; "": nowhere */
	int64_t read_ahead;	       /* bytes; 0: as the kernel has it */
	struct strings allowed_groups; /* who may make requests in the tree; empty: everybody */
	/* [repo] */
	struct strings
		repo_allowed; /* prefixes without trailing slash: paths, URLs of url_normal() */
	struct strings repo_names; /* "NAME=WORD" */
	char *repo_mirrors, *repo_gpgcheck;
	struct strings repo_gpg_keys;		    /* files */
	int64_t repo_recheck_seconds, repo_timeout; /* seconds */
	int64_t repo_connections, repo_rate;	    /* of one worker; bytes per second, 0: any */
	char *repo_ca, *repo_proxy;
	/* [koji] */
	char *koji_hub; /* "": none */
	char *koji_topdir, *koji_topurl, *koji_ca, *koji_proxy;
	struct strings koji_sigkeys; /* eight hexadecimal digits, or '' for unsigned */
	int64_t koji_timeout;	     /* seconds of one call */
	/* [module] */
	struct strings module_repos; /* paths of modular repositories, no trailing slash */
	char *module_mbs;	     /* "": none; else workers may use the network */
	struct strings module_base_modules;
	int64_t module_timeout; /* seconds of one question */
	/* [cache] */
	int64_t cache_size; /* bytes; 0: no limit */
	int64_t cache_fetchers, cache_server_fetchers, cache_read_timeout;
	int64_t cache_rate; /* bytes per second; 0: any */
	char *cache_verify; /* whole or stream */
	/* [auth] */
	char *auth_backend;
	char *auth_roles, *auth_crl; /* files; "": none */
	struct strings auth_proxies; /* peers whose word about users is taken */
	/* [limits] */
	int64_t limit_packages, limit_body, limit_drafts, limit_live_composes;
	int64_t limit_connections, client_connections, client_requests, client_waits;
	int64_t client_memory, client_rate; /* bytes; bytes per second, 0: none */
	int64_t worker_memory;		    /* bytes */
	int64_t worker_pools;		    /* bytes of hot pools in each worker */
	int64_t worker_cpu_seconds;	    /* of processor time for one compose */
	int64_t worker_seconds;		    /* wall clock of one compose */
};

/** config_init() - every key at its default; -ENOMEM */
int config_init(struct config *config, struct error *err);
void config_done(struct config *config);

/** config_file() - read @path; a missing file is -ENOENT. -EINVAL (BLAME_REQUEST): message is
 * "FILE:LINE: what is wrong", with the nearest known key for an unknown one (reliability.md 25) */
int config_file(struct config *config, const char *path, struct error *err);
/** config_text() - the same of a file's bytes, followed by a NUL; @path: its name, for messages */
int config_text(struct config *config, const char *text, size_t length, const char *path,
		struct error *err);
/** config_option() - one "section.key=value" of the command line */
int config_option(struct config *config, const char *option, struct error *err);
/** config_check() - rules between keys, after file and options */
int config_check(const struct config *config, struct error *err);
/** config_socket_mode() - http.socket_mode as a number; -EINVAL (config_check() has found out) */
int config_socket_mode(const struct config *config, uint32_t *ret);
/** config_network() - may workers use the network? */
bool config_network(const struct config *config);
/** config_streams() - are packages handed out while they come? */
bool config_streams(const struct config *config);
enum gpgcheck config_gpgcheck(const struct config *config);
/** config_print() - every key with its value and meaning, as a configuration file */
int config_print(const struct config *config, struct text *ret);
