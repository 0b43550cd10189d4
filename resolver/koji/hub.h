/* SPDX-License-Identifier: MIT */
/* resolver/koji/hub.h: the door to a Koji hub: what it is asked, what is kept of its answers, and
 * where the files it speaks of lie.
 *
 * What the calls mean is in docs/contract/koji.md. Every call is anonymous and changes nothing, so
 * it is repeated when it fails on the way: connection errors, time-outs, 408, 429, 5xx and fault
 * 1014, with growing pauses; other faults never.
 *
 * Errors: those of transport_post() (BLAME_SOURCE); -EREMOTEIO a fault, in the hub's words;
 * -EBADMSG and -EMSGSIZE an answer that makes no sense, with call, row and field; -EINVAL
 * (BLAME_US) an argument that XML cannot carry. Messages begin with "Koji hub, CALL: ", or "Koji
 * hub, CALL of TAG: " where one tag is asked about. Outputs are untouched on failure. */
#pragma once

#include "resolver/fetch/fetch.h"

/**
 * struct hub_settings - how a hub is spoken to
 * @url: of the XML-RPC service; copied
 * @transport: not owned; must live as long as the hub
 * @call_ms: for one call with its repetitions; 0: 300 s
 * @deadline_ms: time_monotonic_ms() when all calls must be over; 0: none
 * @pause_ms: before the first repetition, then growing up to 32 times that; 0: 500 ms
 * @notice: told about each repetition, in words; may be NULL */
struct hub_settings {
	const char *url;
	struct transport *transport;
	int64_t call_ms, deadline_ms, pause_ms;
	void (*notice)(void *data, const char *words);
	void *data;
};

struct hub;

int hub_new(const struct hub_settings *settings, struct hub **ret, struct error *err);
void hub_free(struct hub *hub);
DEFINE_FREEP(struct hub, hub_free)

/* ---- tags and events --------------------------------------------------- */

#define HUB_NOW INT64_C(-1) /* in place of an event: no event is sent */

struct hub_tag {
	int64_t id;
	char *name;
	struct strings arches; /* may be empty */
};
void hub_tag_done(struct hub_tag *tag);

struct hub_event {
	int64_t id;
	double time; /* seconds since 1970 UTC */
};

/** hub_tag() - getTag; 1: found, 0: there is no such tag (at that event) */
int hub_tag(struct hub *hub, const char *name, int64_t event, struct hub_tag *ret,
	    struct error *err);
/** hub_last_event() - getLastEvent. As of hub_event(): an event that no hub can have (its number, its
 * time: before 2000, or more than a day ahead of our clock) is -EBADMSG */
int hub_last_event(struct hub *hub, struct hub_event *ret, struct error *err);
/** hub_event() - getEvent; 1: found, 0: there is no such event */
int hub_event(struct hub *hub, int64_t id, struct hub_event *ret, struct error *err);
/** hub_tag_changed() - getFullInheritance of @tag, tagChangedSinceEvent of it and its parents; 1:
 * changed, 0: not. Signatures and external repositories do not count */
int hub_tag_changed(struct hub *hub, const struct hub_tag *tag, int64_t since, struct error *err);

/* ---- what is tagged ---------------------------------------------------- */

#define KOJI_STATE_COMPLETE 1
#define KOJI_NO_EPOCH (-1)

/**
 * struct koji_build - texts are places in the listing's: koji_text()
 * @release: ends with ",draft_ID" for a @draft
 * @order: of its row in the answer */
struct koji_build {
	int64_t id;
	uint32_t package, version, release, volume, order;
	int32_t state;
	bool draft;
};

/**
 * struct koji_rpm - one RPM, whatever its signatures
 * @build: place in the listing's builds
 * @payloadhash: SIGMD5 in hex, the same for signed and unsigned copies
 * @key, @key_count: keys with which the hub knows it signed, in the listing's key[]; none unless
 * asked for
 * @metadata_only: there is no file */
struct koji_rpm {
	int64_t id, size, buildtime;
	uint32_t build, name, version, release, arch, payloadhash;
	uint32_t key, key_count;
	int32_t epoch;
	bool metadata_only;
};

/** struct koji_listing - builds and their RPMs, each sorted by id and once; key[] are places of
 * texts
 * @signatures: they were asked for: an RPM without keys is signed with none */
struct koji_listing {
	struct koji_build *build;
	size_t build_count;
	struct koji_rpm *rpm;
	size_t rpm_count;
	uint32_t *key;
	size_t key_count;
	bool signatures;
	char *text;
	size_t text_bytes;
};

static inline const char *koji_text(const struct koji_listing *listing, uint32_t place)
{
	return listing->text + place;
}
/** koji_find_build() - by its id; NULL when it is not in the listing */
const struct koji_build *koji_find_build(const struct koji_listing *listing, int64_t id);
void koji_listing_free(struct koji_listing *listing);
DEFINE_FREEP(struct koji_listing, koji_listing_free)

/**
 * struct hub_listing_options - what of a tag is wanted
 * @event: HUB_NOW, or one that exists: the hub does not check it
 * @arches: exact names ("x86_64", "noarch", "src"); NULL or empty: all
 * @signatures: with the keys that the hub knows of; twice the bytes
 * @no_drafts: as if draft builds were not tagged. A hub older than these does not know the argument
 * and has none */
struct hub_listing_options {
	int64_t event;
	bool inherit, latest, signatures, no_drafts;
	const struct strings *arches;
};

/** hub_list() - listTaggedRPMS; an unknown tag is a fault */
int hub_list(struct hub *hub, const char *tag, const struct hub_listing_options *options,
	     struct koji_listing **ret, struct error *err);

#define HUB_NO_BUILD UINT32_MAX

/**
 * hub_builds() - getBuild of each NVR, listBuildRPMs of those that are complete, by multiCall
 * @signed_arches: NULL, or RPMs of these are listed with signatures (queryRPMSigs), if the hub
 * answers that: a fault is told by @notice, and then it is as if nothing had been asked
 * @ret_build: for each of @nvrs its build's place, or HUB_NO_BUILD when the hub knows none; free()
 * it
 *
 * A build that is not complete is in the listing, with its state and without RPMs. */
int hub_builds(struct hub *hub, const struct strings *nvrs, const struct strings *signed_arches,
	       struct koji_listing **ret, uint32_t **ret_build, struct error *err);

/* ---- files ------------------------------------------------------------- */

/**
 * koji_rpm_path() - add the path below topdir or topurl:
 * [vol/V/]packages/N/V/R/[data/signed/KEY/]ARCH/FILE
 * @key: of the signed copy; NULL or "": the unsigned file
 *
 * -EBADMSG (BLAME_SOURCE): a part of it is empty, ".", "..", or has a '/' or a control character */
int koji_rpm_path(const struct koji_listing *listing, const struct koji_rpm *rpm, const char *key,
		  struct text *ret, struct error *err);
/** koji_url() - add "@top/@path", the path quoted (all but letters, digits, "-._/") */
int koji_url(const char *top, const char *path, struct text *ret);
