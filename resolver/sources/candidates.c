/* SPDX-License-Identifier: MIT */
/* resolver/sources/candidates.c: rows of a hub that may end in the compose.
 *
 * What counts is judged by the hub (inheritance, blocks, latest); here only what the request does
 * not want is left out, and builds that it names are put in the place of others. */
#include "resolver/sources/tagged.h"

#define PATHS_SHOWN 6	 /* of those that were looked at in vain */
#define SUSPECTS_SHOWN 3 /* of those that may provide what is missing */

void tagged_done(struct tagged *tagged)
{
	for (size_t i = 0; i < tagged->count; i++) {
		free(tagged->item[i].path);
		free(tagged->item[i].damage);
	}
	free(tagged->item);
	for (size_t i = 0; i < tagged->listing_count; i++)
		koji_listing_free(tagged->listing[i]);
	free(tagged->listing);
	strings_done(&tagged->signing.keys);
	transport_free(tagged->files);
	remote_free(tagged->remote);
}

static int add(struct tagged *tagged, const struct koji_listing *listing,
	       const struct koji_rpm *rpm)
{
	if (tagged->count == tagged->room) {
		size_t room = tagged->room ? tagged->room * 2 : 256;
		struct candidate *more = reallocarray(tagged->item, room, sizeof(*more));

		if (!more)
			return -ENOMEM;
		tagged->item = more;
		tagged->room = room;
	}
	tagged->item[tagged->count++] = (struct candidate){ .listing = listing, .rpm = rpm };
	return 0;
}

static bool is_replaced(const struct koji_listing *listing, const struct koji_rpm *rpm,
			const struct strings *packages)
{
	return strings_has_sorted(packages, koji_text(listing, listing->build[rpm->build].package));
}

static int keep(struct tagged *tagged, struct koji_listing *listing)
{
	struct koji_listing **more =
		reallocarray(tagged->listing, tagged->listing_count + 1, sizeof(listing));

	if (!more) {
		koji_listing_free(listing);
		return -ENOMEM;
	}
	tagged->listing = more;
	tagged->listing[tagged->listing_count++] = listing;
	return 0;
}

int tagged_add(struct tagged *tagged, struct koji_listing *listing, const struct strings *arches,
	       const struct koji_listing *instead, struct error *err)
{
	_cleanup_(strings_done) struct strings packages = { 0 };

	if (keep(tagged, listing) < 0)
		return error_oom(err);
	for (size_t i = 0; instead && i < instead->build_count; i++)
		if (strings_add(&packages, koji_text(instead, instead->build[i].package)) < 0)
			return error_oom(err);
	strings_sort(&packages);
	for (size_t i = 0; i < listing->rpm_count; i++) {
		const struct koji_rpm *rpm = &listing->rpm[i];

		if (rpm->metadata_only || !strings_has(arches, koji_text(listing, rpm->arch)) ||
		    is_replaced(listing, rpm, &packages))
			continue;
		if (add(tagged, listing, rpm) < 0)
			return error_oom(err);
	}
	return 0;
}

/* ---- words ------------------------------------------------------------- */

char *candidate_nevra(const struct candidate *candidate)
{
	const struct koji_listing *listing = candidate->listing;
	const struct koji_rpm *rpm = candidate->rpm;
	_cleanup_(text_done) struct text text = { 0 };

	(void)text_addf(&text, "%s-", koji_text(listing, rpm->name));
	if (rpm->epoch > 0)
		(void)text_addf(&text, "%" PRId32 ":", rpm->epoch);
	(void)text_addf(&text, "%s-%s.%s", koji_text(listing, rpm->version),
			koji_text(listing, rpm->release), koji_text(listing, rpm->arch));
	return text_steal(&text);
}

/* Not what a server may do better the next time; of files that are here whatever concerns the one
 * place, and no link between machines. */
static bool is_damage(const struct tagged *tagged, const struct error *failure)
{
	static const int of_a_place[] = { -EIO,		 -EACCES,  -EPERM,    -EINVAL, -ELOOP,
					  -EISDIR,	 -ESTALE,  -ENXIO,    -ENODEV, -EBUSY,
					  -ENAMETOOLONG, -ETXTBSY, -EOVERFLOW };
	bool is = failure->code == -EBADMSG || failure->code == -EFBIG;

	for (size_t i = 0; i < ARRAY_SIZE(of_a_place) && !tagged->remote; i++)
		is = is || failure->code == of_a_place[i];
	return is && failure->blame == BLAME_SOURCE;
}

int candidate_damage(const struct tagged *tagged, struct candidate *candidate,
		     const struct error *failure, struct error *err)
{
	if (!is_damage(tagged, failure)) {
		if (err && err != failure)
			*err = *failure;
		return failure->code;
	}
	free(candidate->damage);
	candidate->damage = strdup(failure->message);
	if (!candidate->damage)
		return error_oom(err);
	if (err)
		*err = (struct error){ 0 };
	return 0;
}

size_t tagged_damaged(const struct tagged *tagged, struct text *ret)
{
	size_t count = 0;

	for (size_t i = 0; i < tagged->visible; i++)
		if (tagged->item[i].damage && count++ < SUSPECTS_SHOWN)
			(void)text_addf(ret, "%s%.512s", count > 1 ? "; " : "",
					tagged->item[i].damage);
	if (count > SUSPECTS_SHOWN)
		(void)text_addf(ret, "; and %zu more", count - SUSPECTS_SHOWN);
	return count;
}

static void add_tried(const struct candidate *candidate, const char *key, size_t *shown,
		      struct text *words)
{
	_cleanup_(text_done) struct text path = { 0 };

	if ((*shown)++ >= PATHS_SHOWN ||
	    koji_rpm_path(candidate->listing, candidate->rpm, key, &path, NULL) < 0)
		return;
	(void)text_addf(words, "%s %s", *shown > 1 ? "," : "", path.data);
}

int tagged_refuse(const struct tagged *tagged, const struct candidate *candidate, struct error *err)
{
	const struct signing *signing = &tagged->signing;
	_cleanup_(freep) char *nevra = candidate_nevra(candidate);
	_cleanup_(text_done) struct text tried = { 0 };
	size_t shown = 0;

	if (nevra && candidate->copy == COPY_PERMITTED && candidate->damage)
		return error_set(err, -EBADMSG, BLAME_SOURCE, NULL, "%.512s: %s", nevra,
				 candidate->damage);
	for (size_t i = 0; i < signing->keys.count; i++)
		add_tried(candidate, signing->keys.item[i], &shown, &tried);
	if (signing->with_unsigned)
		add_tried(candidate, NULL, &shown, &tried);
	if (shown > PATHS_SHOWN)
		(void)text_addf(&tried, " and %zu more", shown - PATHS_SHOWN);
	if (!nevra || tried.failed)
		return error_oom(err);
	return error_set(err, -ENOKEY, BLAME_SOURCE, NULL,
			 "%.512s: there is no copy that the signing keys permit, below %s:%s",
			 nevra, tagged->base, tried.data ? tried.data : "");
}
