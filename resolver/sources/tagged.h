/* SPDX-License-Identifier: MIT */
/* resolver/sources/tagged.h: from what a hub lists to a repository that can be solved over.
 *
 *   candidates.c  rows of the hub that may end in the compose
 *   signing.c     for each the copy that the signing keys of the request permit
 *   tagged.c      their headers, remembered; the snapshot made of them; SHA-256 of what is chosen
 *   remote.c      their files on a server
 *   site.c        the hub and its files, opened
 *   tag.c         source types "tag" and "build", which use all of it */
#pragma once

#include "resolver/header/header.h"
#include "resolver/koji/hub.h"
#include "resolver/sources/load.h"

#define SIGNING_MAX_KEYS 100 /* of one request */

/** struct signing - copies that may be in the compose, by preference; the unsigned one last */
struct signing {
	struct strings keys; /* lower case, each once */
	bool with_unsigned;
};
/** signing_keys() - @asked, or @fallback when nothing is asked; neither: unsigned only. -EINVAL,
 * -E2BIG, BLAME_REQUEST */
int signing_keys(const struct strings *asked, const struct strings *fallback, struct signing *ret,
		 struct error *err);

enum copy {
	COPY_ABSENT,  /* there is no file of it that we may look for */
	COPY_REFUSED, /* only one that may not be in the compose: the solver sees it, nobody else */
	COPY_PERMITTED,
};

/**
 * struct candidate - an RPM that may end in the compose
 * @path: below the top, of the copy that was found; COPY_ABSENT: of the unsigned one, which is not
 *        there
 * @file: as it was then
 * @sigkey: of COPY_PERMITTED; NULL: unsigned
 * @damage: NULL, or what is wrong with that file: the solver sees a package that has but its name
 * @key: of its record below headers/
 * @tried: on a server, so many copies were looked for */
struct candidate {
	const struct koji_listing *listing;
	const struct koji_rpm *rpm;
	char *path;
	struct transport_file file;
	const char *sigkey;
	enum copy copy;
	char *damage;
	bool stub; /* the record is there, of what is damaged */
	char key[DIGEST_HEX_SIZE];
	uint32_t tried;
};

/**
 * struct tagged - all of them
 * @visible: so many are not absent; they come first, in the order of their paths: candidate i is
 *           package i of the snapshot
 * @base: real path of topdir, or topurl without user and password
 * @files: opens files below @base with the service's rights; NULL: @remote fetches them */
struct tagged {
	struct koji_listing **listing; /* of the tag, of builds that are named, of modules */
	size_t listing_count;
	struct candidate *item;
	size_t count, room, visible;
	struct signing signing;
	const char *base;
	struct transport *files;
	struct remote *remote;
};
void tagged_done(struct tagged *tagged);

/**
 * tagged_add() - the RPMs of @listing whose arch is one of @arches; @listing is owned from then on
 * @instead: NULL, or builds that take the place of the listing's builds of the same packages */
int tagged_add(struct tagged *tagged, struct koji_listing *listing, const struct strings *arches,
	       const struct koji_listing *instead, struct error *err);
/** tagged_refuse() - words for a candidate that has no permitted copy, -ENOKEY, or a damaged one,
 * -EBADMSG; BLAME_SOURCE */
int tagged_refuse(const struct tagged *tagged, const struct candidate *candidate,
		  struct error *err);
/** candidate_damage() - note that the file cannot be read, with the words of @failure, if that is
 * what they mean: else they are the answer */
int candidate_damage(const struct tagged *tagged, struct candidate *candidate,
		     const struct error *failure, struct error *err);
/** tagged_damaged() - append those that are, a few with what is wrong with them; their number */
size_t tagged_damaged(const struct tagged *tagged, struct text *ret);
/** candidate_nevra() - "name-[epoch:]version-release.arch"; malloc'ed or NULL */
char *candidate_nevra(const struct candidate *candidate);

/** signing_choose() - find the copy of each candidate, and sort them; of remote ones the headers
 * are read then. A file that cannot be the one that the hub speaks of is damaged */
int signing_choose(struct load *load, struct tagged *tagged, struct error *err);

/**
 * tagged_read() - see to it that there are records of the headers of candidates
 * @which: their numbers
 * @failed: NULL, or as in struct header_batch, with the number of the candidate */
int tagged_read(struct load *load, const struct tagged *tagged, const uint32_t *which, size_t count,
		int (*failed)(void *data, uint32_t number, const struct error *failure,
			      struct error *err),
		void *data, struct error *err);

/** tagged_open() - the snapshot of the visible ones, opened or built, as load->repository[0] */
int tagged_open(struct load *load, struct tagged *tagged, struct error *err);
/** tagged_finish() - SHA-256 of the files of the set's rows */
int tagged_finish(struct load *load, struct tagged *tagged, struct error *err);

/* ---- site.c ---- */

/**
 * struct site - the site's Koji, opened for a job
 * @arches: of RPMs that may be candidates */
struct site {
	struct load *load;
	struct transport *transport;
	struct hub *hub;
	struct strings arches;
};
#define SITE_ABSENT "This service knows no Koji: koji.hub is not configured"
/** site_exists() - may a hub be asked? */
bool site_exists(const struct source_context *context);
/** site_open() - the hub, and of @tagged what is known before there are candidates: keys, base, and
 * what opens its files */
int site_open(struct site *site, struct tagged *tagged, struct error *err);
void site_done(struct site *site);
/** site_event() - one that the request names. -ENOENT, BLAME_REQUEST: there is none */
int site_event(const struct site *site, int64_t id, struct hub_event *ret, struct error *err);
/** site_identify() - add what an answer depends on; @event: that is listed, or -1 */
void site_identify(const struct site *site, const struct tagged *tagged, int64_t event,
		   struct text *ret);

/* ---- remote.c ---- */

int remote_new(const struct source_context *context, const char *url, struct remote **ret,
	       struct error *err);
void remote_free(struct remote *remote);
/** remote_look() - is a file there? As transport_head(); any thread. -ENOENT: it is not */
int remote_look(struct remote *remote, const char *path, int64_t *ret_size,
		char ret_mark[static TRANSPORT_MARK_SIZE], struct error *err);
/** remote_open() - a file for reading its header; any thread. -ENOENT: it is not there */
int remote_open(struct remote *remote, const char *path, struct header_reader *ret,
		struct error *err);
void remote_close(struct header_reader *reader);
/** remote_fetch() - have packages/ hold candidates @list, whose headers were read
 * @ret_sha256: @count of them */
int remote_fetch(struct load *load, const struct tagged *tagged, const uint32_t *list, size_t count,
		 char (*ret_sha256)[DIGEST_HEX_SIZE], struct error *err);
