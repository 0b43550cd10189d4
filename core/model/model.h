/* SPDX-License-Identifier: MIT */
/* core/model/model.h: the nouns that rooms hand to each other.
 *
 * Request (struct spec), record (struct compose), job and its answers (the lines of the pipe between
 * server and worker), and the texts that are made from a record. No file, no network, no clock.
 * Every function may be called from any thread; objects are used by one thread at a time. */
#pragma once

#include "core/base/base.h"

#include <jansson.h>

/* ---- value sets (numbers and words are ODCS's, odcs-api.md 1.3, 1.4) ---- */

enum source_type {
	SOURCE_TAG = 1,
	SOURCE_MODULE = 2,
	SOURCE_REPO = 3,
	SOURCE_PULP = 4,
	SOURCE_RAW_CONFIG = 5,
	SOURCE_BUILD = 6,
	SOURCE_PUNGI_COMPOSE = 7,
};

enum compose_state {
	STATE_DRAFT = -1, /* only in the tree: no record yet */
	STATE_WAIT = 0,
	STATE_GENERATING = 1,
	STATE_DONE = 2,
	STATE_REMOVED = 3,
	STATE_FAILED = 4,
};

enum compose_flag {
	FLAG_NO_DEPS = 1,
	FLAG_NO_INHERITANCE = 2,
	FLAG_INCLUDE_UNPUBLISHED_PULP_REPOS = 4,
	FLAG_CHECK_DEPS = 8,
	FLAG_INCLUDE_DONE_MODULES = 16,
	FLAG_IGNORE_ABSENT_PULP_REPOS = 32,
	FLAG_NO_REUSE = 64,
	FLAG_USE_ONLY_COMPATIBLE_ARCH = 128,
	FLAG_NO_LABEL = 256,
};

enum compose_result { RESULT_REPOSITORY = 1, RESULT_ISO = 2, RESULT_OSTREE = 4, RESULT_BOOT_ISO = 8 };
enum multilib_method { MULTILIB_RUNTIME = 1, MULTILIB_DEVEL = 2, MULTILIB_ALL = 4 };

/* Words for the numbers; NULL or -EINVAL when unknown. */
const char *source_type_name(int type);
int source_type_parse(const char *name);
const char *state_name(int state); /* "draft" for STATE_DRAFT */
int state_parse(const char *name, enum compose_state *ret);
const char *flag_name(int bit);

/* ---- the request ------------------------------------------------------- */

#define SPEC_MAX_BYTES (1024 * 1024)	/* a longer text: EFBIG / 413 */
#define SPEC_MAX_PACKAGES 50000		/* names in one request */
#define SPEC_MAX_WORDS 10000		/* members of any other list */
#define SPEC_MAX_STRING 4096		/* bytes of any one string, of `source` any one word */
#define SPEC_MAX_ARCHES 64		/* arches of one request: each is a tree of its own */
#define SPEC_MAX_LATEST 64		/* bytes of the name of successive composes */
#define SPEC_MAX_DEPTH 16		/* nesting of the JSON text */
#define SPEC_MAX_PROBLEMS 64		/* lines in `error` */

/**
 * struct spec - a request in normal form
 *
 * Made by spec_parse() or spec_from_json() only. Lists keep the order in which a word was first
 * seen, without duplicates. has_X tells null from an empty list (the record shows both). No word is
 * empty or holds a blank, but sigkeys may hold "" (unsigned allowed). */
struct spec {
	enum source_type source_type;
	struct strings source; /* words of source.source */
	bool has_packages;
	struct strings packages; /* NAME, NAME.ARCH or a NEVRA */
	bool has_builds;
	struct strings builds; /* NVRs */
	struct strings sigkeys;
	struct strings arches; /* never empty */
	struct strings multilib_arches;
	int multilib_method; /* enum multilib_method, or-ed */
	struct strings lookaside_repos;
	struct strings modular_koji_tags;
	bool has_modular_koji_tags;
	char *module_defaults_url; /* "URL COMMIT" or NULL */
	struct strings scratch_modules, modules, scratch_build_tasks;
	bool has_scratch_modules, has_modules, has_scratch_build_tasks;
	char *label, *compose_type; /* compose_type never NULL */
	char *target_dir;	     /* name; "default" */
	char *base_module_br_name, *base_module_br_stream;	      /* or NULL */
	int64_t base_module_br_stream_version_lte, base_module_br_stream_version_gte; /* -1: none */
	int64_t koji_event;	     /* -1: none */
	int flags;		     /* enum compose_flag, or-ed */
	int results;		     /* enum compose_result, or-ed; RESULT_REPOSITORY always set */
	int64_t seconds_to_live;     /* clamped to the maximum */
	int64_t lease;		     /* seconds, clamped as well; 0: none, -1: the site's */
	char *latest;		     /* name of successive composes of one owner, or NULL */
	int64_t prefetch;	     /* 1: packages of servers are fetched once it is done; -1: when read */
};

/**
 * struct spec_rules - what the site allows; borrowed, constant while the service runs
 * @strict:    the tree's rules (tree.md 2.4): unknown members are refused with the nearest known
 *             name; wrong types are refused. false: REST, unknown members are ignored
 * @accept_id: REST's seed form {"id": N, ...} is reported through spec_parse()'s @ret_renew_id
 */
struct spec_rules {
	bool strict;
	bool accept_id;
	int64_t default_seconds_to_live;
	int64_t maximum_seconds_to_live;
	const struct strings *default_arches;	  /* at least one word */
	const struct strings *base_module_names; /* platform, bootstrap */
	const struct strings *target_dirs;	  /* names beside "default" */
	const struct strings *raw_configs;	  /* names of raw_config sources */
	size_t maximum_packages;		  /* <= SPEC_MAX_PACKAGES */
	const char *contact;			  /* whom to ask for more; NULL: nobody is named */
};

/**
 * spec_parse() - judge the text of a request, without any look outside
 * @text:          need not end in NUL
 * @ret:           owned by the caller, spec_free()
 * @ret_renew_id:  may be NULL; > 0 when the seed's {"id": N} form was met (then *ret is NULL)
 * @problems:      may be NULL; gets every problem, one "FIELD: message\n" per line; the first is in @err
 * @err:           BLAME_REQUEST and -EINVAL (-EFBIG for size limits): message exactly as odcs-api.md
 *                 2.6, 2.7; -EAGAIN when @text is not yet one complete JSON object (a proper prefix,
 *                 or empty): a writer may still be at it
 *
 * Accepts the nested body and the flat one of June 2017 (odcs-api.md 1.1). @ret_renew_id becomes 0 for
 * any other body. FIELD is the member's path ("source.packages", "flags"); a line whose problem is the
 * text as a whole has none. */
int spec_parse(const char *text, size_t length, const struct spec_rules *rules, struct spec **ret,
	       int64_t *ret_renew_id, struct text *problems, struct error *err);

/** spec_seconds_to_live() - odcs-api.md 3.1 for a PATCH or POST body; clamped; @err as above */
int spec_seconds_to_live(const json_t *body, const struct spec_rules *rules, int64_t *ret,
			 struct error *err);
/** spec_words() - list @key of @container, judged by body_parse() before, as spec_parse() reads it: cut at
 * blanks, each word once, "" only with @keep_empty. 1, or 0: absent; -EINVAL, -EFBIG */
int spec_words(const json_t *container, const char *key, bool keep_empty, struct strings *ret,
	       struct error *err);
/** body_parse() - JSON object of a POST/PATCH body with the value rules of odcs-api.md 2.7 applied;
 * errors as spec_parse(); PATCH's empty body is the caller's to see */
int body_parse(const char *text, size_t length, json_t **ret, struct error *err);

/** spec_to_json() - normal form: what the catalogue keeps and the pipe carries; new reference or NULL */
json_t *spec_to_json(const struct spec *spec);
int spec_from_json(const json_t *json, struct spec **ret, struct error *err);
int spec_copy(const struct spec *spec, struct spec **ret, struct error *err);
/** spec_same_question() - odcs-api.md 5, the comparison table without the event rules and respin_of */
bool spec_same_question(const struct spec *a, const struct spec *b);
/** spec_question() - SHA-256 in hex over what spec_same_question() compares: the same question, the
 * same digest. 0 or -ENOMEM */
int spec_question(const struct spec *spec, char ret[static DIGEST_HEX_SIZE]);
/** spec_reusable() - may composes of this request show another's tree, or lend theirs (odcs-api.md 5)? */
bool spec_reusable(const struct spec *spec);
/** spec_check_late() - what REST accepts though the compose must fail of it (odcs-api.md 1.4, 2.6): a
 * compose_type or label that productmd does not know. Asked before a worker is; the tree's rules ask at once. -EINVAL, BLAME_REQUEST, in upstream's words */
int spec_check_late(const struct spec *spec, struct error *err);
void spec_free(struct spec *spec);
DEFINE_FREEP(struct spec, spec_free)

#define LIMIT_SUFFIX_SIZE 384
/** limit_suffix() - how words for who has reached a limit end: " (limits.packages=3; for more ask WHOM)"
 * @key: of the configuration; @contact: NULL: "" is made, for rooms that stand alone */
const char *limit_suffix(const char *contact, const char *key, int64_t value,
			 char ret[static LIMIT_SUFFIX_SIZE]);

/** nearest_word() - the known word closest to @word (edit distance <= 3, and not all of it), or NULL */
const char *nearest_word(const char *word, const char *const *known, size_t count);

/* ---- the record -------------------------------------------------------- */

/**
 * struct compose - one row of the catalogue: a copy, owned by who asked for it
 *
 * Times are seconds since 1970 UTC, 0 = never (null in JSON). Strings are NULL where JSON says null. */
struct compose {
	int64_t id;
	int64_t request; /* number of the request directory it came by; always set */
	char *owner;	 /* "unknown" for an anonymous REST client */
	uint32_t uid, gid;
	struct spec *spec;	/* never NULL */
	char *source;		/* as shown: spec words joined, or what resolution replaced it by */
	enum compose_state state;
	char *state_reason;
	int64_t time_submitted, time_to_expire, time_started, time_done, time_removed;
	char *removed_by;
	int64_t koji_event;   /* -1 none; repo: the repomd revision */
	int64_t koji_task_id; /* -1 none */
	char *pungi_compose_id;
	char *respin_of;
	char *sigkeys, *arches;	    /* blank-joined, as shown */
	int64_t reused_id;	    /* 0 none: the compose whose tree this one shows */
	bool tree_kept;		    /* removed, but a done compose shows its tree (catalogue) */
	char *manifest;		    /* SHA-256 in hex, once done */
	int64_t packages_count;	    /* RPMs in the tree, once done */
	int64_t size_bytes;	    /* bytes offered to clients, once done */
};

void compose_free(struct compose *compose);
DEFINE_FREEP(struct compose, compose_free)
int compose_copy(const struct compose *compose, struct compose **ret, struct error *err);

/** compose_tree_id() - the id whose directory holds the files: reused_id or id */
int64_t compose_tree_id(const struct compose *compose);
/** compose_is_gone() - removed, and nobody else shows its tree: its names lead nowhere */
bool compose_is_gone(const struct compose *compose);

enum json_form {
	JSON_CURRENT, /* /api/1: odcs-api.md 1.2 */
	JSON_SEED,    /* /odcs/1: owner "Unknown" when anonymous, result_repo null until done */
};

/**
 * compose_to_json() - the API's object: 42 members, 43 with @one (pungi_config_dump)
 * @public_url: of the tree, without trailing slash ("http://localhost:5005/composes")
 *
 * Bytes in the record that are no UTF-8 are shown as U+FFFD. New reference, or NULL when out of memory.
 * Print with json_line(). */
json_t *compose_to_json(const struct compose *compose, const char *public_url, enum json_form form,
			bool one);
/** json_line() - sorted keys, compact, ASCII, newline at the end: malloc'ed; NULL when out of memory */
char *json_line(const json_t *json);

enum schema {
	SCHEMA_REQUEST,	 /* POST, members of the source in "source" */
	SCHEMA_FLAT,	 /* POST, all beside each other, as in June 2017 */
	SCHEMA_RENEW_ID, /* POST in the seed's words: {"id": N} */
	SCHEMA_RENEWAL,	 /* PATCH */
	SCHEMA_COMPOSE,	 /* compose_to_json() */
	SCHEMA_COMPOSE_SEED,
};
/** schema_json() - what is read or shown, in the schema language of OpenAPI 3.0, out of the tables
 * that read it; @rules: for the site's words and limits. New reference, or NULL when out of memory */
json_t *schema_json(enum schema schema, const struct spec_rules *rules);

/* Texts of a compose that carry its id (odcs-api.md 7); appended to @ret; 0 or -ENOMEM. The id is
 * compose_tree_id(): a reused tree names the compose that made it. */

/** compose_text_repo() - the .repo file
 * @base_url: of composes/, as @public_url of compose_to_json(): "http://host/composes" or
 *            "file:///odcs/composes", without trailing slash; "/odcs-ID/compose/Temporary" is added.
 *            The base URLs are relative for an http URL and a target_dir other than "default" */
int compose_text_repo(const struct compose *compose, const char *base_url, struct text *ret);
int compose_text_composeinfo(const struct compose *compose, struct text *ret);
int compose_text_images(const struct compose *compose, struct text *ret);
/**
 * compose_text_rpms_head() - what stands in rpms.json before `"rpms": {`; the rest is a blob that
 * ends the document, so that equal composes share it
 *
 * The head is `{"header": {…}, "payload": {"compose": {…},` and white space, as productmd prints it (indent
 * 4, sorted members), up to and with the 8 blanks before `"rpms"`. The blob starts with `"rpms": {`,
 * closes that object, then payload and document by two more braces, and ends with a newline; its
 * white space is free. */
int compose_text_rpms_head(const struct compose *compose, struct text *ret);
/** compose_text_modules_head() - the same for modules.json, whose blob starts with `"modules": {` */
int compose_text_modules_head(const struct compose *compose, struct text *ret);
const char *compose_status_word(const struct compose *compose); /* STARTED, FINISHED, DOOMED */
/** compose_id_text() - "odcs-ID-1-YYYYMMDD.t.0": pungi_compose_id; malloc'ed or NULL */
char *compose_id_text(int64_t id, int64_t time_started, const char *compose_type);

/* Names under composes/: "12", "odcs-12", "latest-OWNER-12", "latest-odcs-12-1" → 12; else -ENOENT.
 * @ret_owner: may be NULL; points into @name, *ret_owner_length 0 when the form has no owner. An
 * owner matches case-insensitively (the seed wrote Unknown). */
int compose_name_parse(const char *name, int64_t *ret_id, const char **ret_owner,
		       size_t *ret_owner_length);

/** compose_latest_parse() - "latest-OWNER-NAME" with a NAME of struct spec's @latest; else -ENOENT.
 * @ret_owner is malloc'ed, @ret_latest points into @name */
int compose_latest_parse(const char *name, char **ret_owner, const char **ret_latest);
/** compose_latest_name() - that name of a compose, malloc'ed; NULL when it has none: no @latest, an owner who is no
 * part of a file's name, or out of memory */
char *compose_latest_name(const struct compose *compose);

/* ---- roles and limits (odcs-api.md 8.3) -------------------------------- */

enum role {
	ROLE_CLIENT, /* allowed_clients: may make composes */
	ROLE_ADMIN,  /* admins; does not make a client of anybody */
};

struct roles; /* immutable: any number of threads may judge by one */

/**
 * roles_parse() - the text of a roles file (odcsfs(8), ROLES)
 * @file: its name, for messages
 * -EINVAL, BLAME_REQUEST: "FILE: MEMBER: what is wrong"; members and words nobody knows are refused
 * with the nearest known one */
int roles_parse(const char *text, size_t length, const char *file, struct roles **ret,
		struct error *err);
void roles_free(struct roles *roles);
DEFINE_FREEP(struct roles, roles_free)
/** roles_clients() - allowed_clients as the file has it; new reference or NULL */
json_t *roles_clients(const struct roles *roles);
/** roles_check() - is @user, or one of his @groups (may be NULL), in that role? 0, or -EACCES
 * (BLAME_REQUEST) with ODCS's words */
int roles_check(const struct roles *roles, enum role role, const char *user,
		const struct strings *groups, struct error *err);
/**
 * roles_limits() - may this client have a compose like that? Administrators may
 * @spec: of a new request
 * @compose: NULL, or one that is to be renewed: what it became is judged, and its target_dir is not
 * 0, or -EACCES (BLAME_REQUEST) with ODCS's words, the field being the request's first member at fault */
int roles_limits(const struct roles *roles, const char *user, const struct strings *groups,
		 const struct spec *spec, const struct compose *compose, struct error *err);

/**
 * struct asker - who asks, as the room that he came to found out; all borrowed
 * @name, @groups: the account, by what vouches for it; groups may be NULL
 * @by_uid: the kernel vouches for @uid: then the account is that user's, with his groups, and @name
 *          and @groups are not looked at. Uid 0 has every role
 * @local:  @uid and @gid are those of a user of this machine who asks for himself (access to local
 *          repositories) */
#define UID_NOBODY 65534 /* of who has no account on this machine; the kernel's, too, for a foreign uid */
struct asker {
	const char *name;
	const struct strings *groups;
	bool by_uid, local;
	uint32_t uid, gid;
};

/**
 * struct gate - the one judge of roles and limits, lent to every room that lets people in
 *
 * Any thread. 0, or -EACCES (BLAME_REQUEST) with words, or -EIO when the machine's user database does
 * not answer; what that said is remembered for a minute. */
struct gate {
	void *data;
	int (*role)(void *data, const struct asker *asker, enum role role, struct error *err);
	/** @spec, @compose as for roles_limits() */
	int (*limits)(void *data, const struct asker *asker, const struct spec *spec,
		      const struct compose *compose, struct error *err);
};

/* ---- packages ---------------------------------------------------------- */

/** struct nevra - parts point into memory of the caller or of nevra_parse()'s buffer */
struct nevra {
	const char *name, *version, *release, *arch;
	int64_t epoch; /* -1: not given */
};

/**
 * nevra_parse() - split "name-[epoch:]version-release.arch" (also "epoch:name-version-release.arch")
 * @buffer: gets a copy that the parts of @ret point into; at least strlen(text) + 1 bytes
 * 0 or -EINVAL when @text has not that form (then it is a plain name). Version and release must each
 * have a digit, as all real ones do and java-11-openjdk.x86_64 does not; a name like
 * a-1-b2.x86_64 can still be taken for a NEVRA: look for the plain name first */
int nevra_parse(const char *text, char *buffer, struct nevra *ret);
/** evr_compare() - rpm's order of (epoch, version, release); -1, 0, 1; epoch -1 counts as 0 */
int evr_compare(const struct nevra *a, const struct nevra *b);
/** version_compare() - rpm's rpmvercmp order of one component */
int version_compare(const char *a, const char *b);
/** arch_also() - the other name that a compose of @arches shows the trees of arch @index under: the one by
 * which dnf ($basearch) and Koji ($arch) look for it. NULL: none, or asked for itself, or that of another one
 * of @arches (of i586 and i686, i386 is i686) */
const char *arch_also(const struct strings *arches, size_t index);
/** package_is_debug() - *-debuginfo, *-debuginfo-*, *-debugsource (koji.md 3) */
bool package_is_debug(const char *name);
/** location_check() - a path inside a repository: relative, no "", ".", ".." parts, no NUL, newline,
 * control character or backslash, no scheme; -EINVAL with words, BLAME_SOURCE */
int location_check(const char *location, const char *field, struct error *err);

/* ---- repositories by URL (odcs-api.md 6.3; docs/remote.md) ------------- */

#define URL_MAX_LENGTH 2048

/** enum url_kind - what a word of source.source or lookaside_repos stands for: nothing of the network, the
 * directory above repodata/, "mirrorlist:URL", "metalink:URL", "repo:NAME" */
enum url_kind { URL_NONE, URL_BASE, URL_MIRRORLIST, URL_METALINK, URL_NAMED };
/** @ret_url: may be NULL; into @word, the URL or name, unless URL_NONE */
enum url_kind url_kind(const char *word, const char **ret_url);
/** url_name_check() - can that be the NAME of "repo:NAME"? */
bool url_name_check(const char *name);
/** url_named() - the word that the site gave that name ("NAME=WORD" in @names), or NULL */
const char *url_named(const struct strings *names, const char *name);
/**
 * url_normal() - the one spelling of an http, https or ftp URL, by which places are compared
 * @query: it may have one; without, slashes at the end go, too
 *
 * Scheme and host in lower case, no port that is known, %XX only where it must be. Malloc'ed. -EINVAL,
 * BLAME_REQUEST, with words: a user or password, "." or ".." in the path, %2F, %00, a fragment and what else
 * different programs may read differently */
int url_normal(const char *url, bool query, char **ret, struct error *err);
/** url_word_normal() - the same of a word with a URL, with what is before that */
int url_word_normal(const char *word, char **ret, struct error *err);
/** url_bare() - @url as it is shown and recorded: without user and password, and without a slash at its end.
 * -EINVAL: it has no scheme, -ENOMEM */
int url_bare(const char *url, char **ret);
/** url_below() - is @url @prefix, or below it? Both as url_normal() gives them */
bool url_below(const char *url, const char *prefix);
bool url_below_any(const char *url, const struct strings *prefixes);

/* ---- the pipe between server and worker -------------------------------- */

/* One JSON object per line, at most PIPE_LINE_MAX bytes with its newline.
 * server → worker: "compose" (struct job), then in answer to "resolved" and "checked" one of "check",
 * "go", "stop". worker → server: "ready", "progress", "log", "resolved", "checked", "files", "result",
 * "failed"; after "resolved" and "checked" it says nothing before it is answered, and after "stop" the job
 * is over. What a "result" made is named before it, in as many "files" as it takes.
 * A worker that only fetches packages gets "fetch" (struct fetch_job) and answers each with "fetched",
 * before which "comes" may say how many bytes are there: fewer than the last time when it has begun anew.
 * The worker puts new files into its own work directory; the server checks and publishes. */
#define PIPE_LINE_MAX (4 * 1024 * 1024)
#define PIPE_TEXT_MAX 4096   /* bytes of a line for the log, of progress: the rest is cut off */
#define PIPE_FILES_MAX 16384 /* names in one "files" */

/**
 * struct job_koji - the site's Koji, as configured
 * @hub, @topdir, @topurl, @ca, @proxy: NULL: none
 * @sigkeys: of a request that names none; "" is unsigned
 * @places: prefixes, as url_normal() gives them, that servers other than their own may be redirected to
 * @call_seconds: for one call of the hub with its repetitions; 0: the hub's own default */
struct job_koji {
	char *hub, *topdir, *topurl, *ca, *proxy;
	struct strings sigkeys, places;
	int64_t call_seconds;
};

/**
 * struct job_module - where the site has modules from, as configured
 * @repos: paths of repositories, read with the service's rights
 * @mbs: NULL: none
 * @base_modules: never in a compose
 * @call_seconds: for one question to MBS with its repetitions; 0: its own default */
struct job_module {
	struct strings repos, base_modules;
	char *mbs;
	int64_t call_seconds;
};

enum gpgcheck { GPGCHECK_NO, GPGCHECK_REPOMD, GPGCHECK_PACKAGES, GPGCHECK_BOTH };

/**
 * struct job_repo - how repositories are read over the network, as configured
 * @allowed: prefixes, as url_normal() gives them; none: no repository is
 * @names: "NAME=WORD": what "repo:NAME" stands for; their URLs are among @allowed
 * @any_mirror: redirects and mirrors may lead beyond them, to public addresses
 * @gpg_keys: files of keys
 * @ca, @proxy: NULL: none
 * @call_seconds: for one file from one mirror, beside what its bytes take; 0: 120
 * @recheck_seconds: so long an answer about repomd.xml counts
 * @rate: bytes a second of one worker; 0: any. @connections: of one worker; 0: one */
struct job_repo {
	struct strings allowed, names, gpg_keys;
	enum gpgcheck gpgcheck;
	bool any_mirror;
	char *ca, *proxy;
	int64_t call_seconds, recheck_seconds, rate, connections;
};

/** struct generation - the newest of the composes that one latest-OWNER-NAME has led to
 * @timestamp: in its repodata, seconds since 1970
 * @manifest: its digest, hex; "": there was none */
struct generation {
	int64_t timestamp;
	char manifest[DIGEST_HEX_SIZE];
};

/** struct job - what a worker needs to make one compose */
struct job {
	int64_t id;
	uint32_t uid, gid;   /* whose rights apply to local sources outside @allowed */
	bool trusted;	     /* true: the service's own rights (source is below an allowed prefix) */
	struct strings allowed; /* paths of [repo] allowed; a real path must stay below one of them when trusted */
	int64_t known_event; /* Koji event of the newest live compose of the same question; -1: none */
	struct job_repo repo; /* only where it has @allowed */
	struct job_koji koji; /* only for sources that ask a hub */
	struct job_module module; /* only for those that have modules */
	struct generation before; /* of the spec's @latest: other content needs a later timestamp */
	struct spec *spec;
};

/**
 * struct resolution - what a request means at the moment, as far as it is known before any work
 * @koji_event: -1 none; repo: revision; tag: the hub's
 * @inputs: SHA-256 in hex over the identity of everything that was read; same question and same
 *          inputs give the same compose */
struct resolution {
	int64_t koji_event;
	char inputs[DIGEST_HEX_SIZE];
};

/**
 * struct outcome - what a worker made
 * @blobs:    SHA-256 of files now in its work directory (new ones only)
 * @packages: the same, of packages that were fetched from a server
 * @manifest: SHA-256; the file is in the work directory when @manifest_new
 *
 * In a "files" line only @id, @blobs and @packages are set, in a "result" line these two are empty: outcome_part()
 * and outcome_join() lead from one to the other. */
#define OUTCOME_MAX_FILES (1u << 20) /* blobs and packages together */
struct outcome {
	int64_t id;
	char *manifest;
	bool manifest_new;
	struct strings blobs, packages;
	int64_t koji_event;	/* -1 none; repo: revision; tag: the hub's */
	char *source;		/* NULL: unchanged */
	char *arches, *sigkeys; /* NULL: unchanged */
	int64_t timestamp;	/* in its repodata, seconds since 1970 */
	int64_t packages_count, size_bytes;
	int64_t bytes_written;	/* by this compose, snapshots included */
};

/**
 * struct fetch_job - a package that a worker is to fetch as packages/SHA256 in its work directory
 * @id: for the answer
 * @base: a word of a request with a URL or, where @koji has a topurl, that
 * @path: below it
 * @size: bytes that it has
 * @early: "comes" is to say how many bytes are there, again and again
 * @rate: bytes a second, no more; 0: as @repo has it */
struct fetch_job {
	int64_t id;
	char *base, *path;
	char sha256[DIGEST_HEX_SIZE];
	int64_t size, rate;
	bool early;
	struct job_repo repo; /* one of these two is set */
	struct job_koji koji;
};

#define FETCH_PART_SIZE (DIGEST_HEX_SIZE + 8)
/** fetch_part_name() - under which a worker writes a package, in packages/ of its work directory, until it has all of
 * it; fetch_from_name() - of the file beside it in which it says where the bytes come from */
void fetch_part_name(const char *sha256, char ret[static FETCH_PART_SIZE]);
void fetch_from_name(const char *sha256, char ret[static FETCH_PART_SIZE]);

enum pipe_type {
	PIPE_COMPOSE, PIPE_CHECK, PIPE_GO, PIPE_STOP, PIPE_FETCH,
	PIPE_READY, PIPE_PROGRESS, PIPE_LOG, PIPE_RESOLVED, PIPE_CHECKED, PIPE_FILES, PIPE_RESULT,
	PIPE_FAILED, PIPE_FETCHED, PIPE_COMES,
};

/** struct message - any line of the pipe; only the members of its type are set */
struct message {
	enum pipe_type type;
	int64_t id;
	struct job *job;	 /* PIPE_COMPOSE */
	struct outcome *outcome; /* PIPE_FILES, PIPE_RESULT */
	int64_t done, total;	 /* PIPE_PROGRESS; done also: PIPE_COMES */
	char *phase, *text;	 /* PIPE_PROGRESS; text also: PIPE_LOG, PIPE_FAILED, PIPE_CHECKED,
				  * PIPE_FETCHED */
	struct fetch_job *fetch; /* PIPE_FETCH */
	int code;		 /* PIPE_FETCHED: 0: it is there, else -errno and @text; 0 and
				  * @text: by the keys of that digest */
	struct resolution resolution; /* PIPE_RESOLVED */
	char manifest[DIGEST_HEX_SIZE]; /* PIPE_CHECK */
	bool sound;		 /* PIPE_CHECKED; else @text says why not */
	enum blame blame;	 /* PIPE_FAILED */
	char *field;		 /* PIPE_FAILED, may be NULL */
};

void job_free(struct job *job);
DEFINE_FREEP(struct job, job_free)
void fetch_job_free(struct fetch_job *fetch);
DEFINE_FREEP(struct fetch_job, fetch_job_free)
void outcome_free(struct outcome *outcome);
DEFINE_FREEP(struct outcome, outcome_free)
/**
 * outcome_part() - the next up to PIPE_FILES_MAX names of @outcome's files, for one line
 * @at: of them, so many were told before; 0 at first. Moved on
 * 1: @ret, which is to be freed, has some; 0: there are no more; -ENOMEM */
int outcome_part(const struct outcome *outcome, size_t *at, struct outcome **ret);
/** outcome_join() - @outcome gets the names of @part, which has none then; 0, -ENOMEM, or -E2BIG when there
 * would be more than OUTCOME_MAX_FILES */
int outcome_join(struct outcome *outcome, struct outcome *part);
void message_done(struct message *message);
/** message_print() - append one line with its newline; 0, -ENOMEM, or -EMSGSIZE with nothing added
 * when it would be longer than PIPE_LINE_MAX */
int message_print(const struct message *message, struct text *ret);
/** message_parse() - one line without newline; -EBADMSG with words when it is none of ours */
int message_parse(const char *line, size_t length, struct message *ret, struct error *err);
