/* SPDX-License-Identifier: MIT */
/* resolver/koji/listing.h: builds and RPMs gathered row by row into a struct koji_listing. */
#pragma once

#include "resolver/koji/hub.h"
#include "resolver/koji/rows.h"

/** struct gathering - initialise with { 0 }; what a row says is copied, equal texts once */
struct gathering {
	struct gathered_rpm *rpm;
	struct koji_build *build;
	struct gathered_key *key;
	size_t rpm_count, rpm_room, build_count, build_room, key_count, key_room;
	struct text text;
	uint32_t *bucket; /* places of texts that may be met again; 0: free */
	size_t bucket_count, bucket_used;
};

void gathering_done(struct gathering *gathering); /* leaves it as new */

/** gathering_rpms() / gathering_builds() - a reader of such rows at @depth that puts them in here
 */
struct rows gathering_rpms(struct gathering *gathering, unsigned int depth);
struct rows gathering_builds(struct gathering *gathering, unsigned int depth);

/** gathering_rpm() - id and arch of the RPM of row @i, of those that were kept so far */
int64_t gathering_rpm(const struct gathering *gathering, size_t i, const char **ret_arch);
/** gathering_key() - a key with which such an RPM is signed; "" is none */
int gathering_key(struct gathering *gathering, int64_t rpm_id, const struct text *word,
		  struct error *err);

/** gathering_finish() - sorted, each once (of two builds with one id the first), signatures and
 * builds found; -EBADMSG: an RPM of a build that did not come. @gathering is empty after */
int gathering_finish(struct gathering *gathering, struct koji_listing **ret, struct error *err);
