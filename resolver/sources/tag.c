/* SPDX-License-Identifier: MIT */
/* resolver/sources/tag.c: source types "tag" and "build": what Koji tagged, or builds by name.
 *
 *   getTag, event ─► resolved? ─► listing, builds ─► copies ─► snapshot ─► as for repositories ─►
 * SHA-256
 *
 * docs/koji.md draws it. The hub does inheritance, blocks and latest; an event pins what it says.
 */
#include "resolver/sources/modular.h"

#define NAMES_SHOWN 8 /* of builds and packages that cannot be taken */

/** struct tagging - a job of one of these types */
struct tagging {
	struct load *load;
	const struct spec *spec;
	struct site site;
	char *tag;		/* NULL: builds only */
	int64_t asked;		/* event that the record shows */
	struct hub_event event; /* that is listed; its time 0: not known yet */
	int64_t newest;		/* build time of named builds */
	struct tagged tagged;
	struct modular modular; /* of modular_koji_tags and scratch_modules, or without a set */
};

static void tagging_done(struct tagging *tagging)
{
	free(tagging->tag);
	modular_done(&tagging->modular);
	site_done(&tagging->site);
	tagged_done(&tagging->tagged);
}

/* ---- what is asked ----------------------------------------------------- */

static int refuse(struct error *err, const char *field, const char *words)
{
	return error_set(err, -EOPNOTSUPP, BLAME_REQUEST, field, "%s", words);
}

static int judge(struct tagging *tagging, struct error *err)
{
	const struct spec *spec = tagging->spec;
	int r = modular_check_scratch(tagging->load, err);

	if (r < 0)
		return r;
	if (!site_exists(tagging->load->context))
		return refuse(err, NULL, SITE_ABSENT);
	if (spec->scratch_build_tasks.count)
		return refuse(err, NULL, "scratch_build_tasks are not supported by this service");
	if (spec->source_type == SOURCE_BUILD && !spec->builds.count)
		return error_set(err, -EINVAL, BLAME_REQUEST, "builds",
				 "source type build needs the names of builds");
	if (spec->source_type == SOURCE_BUILD)
		return 0;
	tagging->tag = strings_join(&spec->source, " ");
	return tagging->tag ? 0 : error_oom(err);
}

/* ---- the event --------------------------------------------------------- */

/* 1: some of modular_koji_tags changed, or is not known */
static int modules_changed(struct tagging *tagging, int64_t since, struct error *err)
{
	const struct strings *tags = &tagging->spec->modular_koji_tags;
	int r = 0;

	for (size_t i = 0; i < tags->count && r == 0; i++) {
		struct hub_tag tag = { 0 };

		r = hub_tag(tagging->site.hub, tags->item[i], HUB_NOW, &tag, err);
		if (r > 0)
			r = hub_tag_changed(tagging->site.hub, &tag, since, err);
		else if (r == 0)
			r = 1;
		hub_tag_done(&tag);
	}
	return r;
}

/* An earlier compose's event will do as long as the tag has not changed: then that compose will do,
 * too. */
static int use_known(struct tagging *tagging, const struct hub_tag *tag, struct error *err)
{
	int64_t known = tagging->load->context->job->known_event;
	bool pinned = tagging->event.id != 0;
	int r;

	if (known < 0 || (pinned && known >= tagging->event.id))
		return 0;
	if (!pinned) {
		r = hub_last_event(tagging->site.hub, &tagging->event, err);
		if (r < 0)
			return r;
		if (known > tagging->event.id) { /* the hub was restored from a backup */
			load_say(tagging->load,
				 "the hub's last event is %" PRId64 ", before event %" PRId64
				 " of an earlier compose, which is not shown again",
				 tagging->event.id, known);
			return 0;
		}
	}
	r = hub_tag_changed(tagging->site.hub, tag, known, err);
	if (r != 0)
		return r < 0 ? r : 0;
	r = modules_changed(tagging, known, err);
	if (r != 0)
		return r < 0 ? r : 0;
	tagging->event = (struct hub_event){ .id = known };
	load_say(tagging->load, "tag %s has not changed since event %" PRId64, tag->name, known);
	return 1;
}

static int resolve_tag(struct tagging *tagging, struct error *err)
{
	bool pinned = tagging->spec->koji_event >= 0;
	struct hub_tag tag = { 0 };
	int r = pinned ? site_event(&tagging->site, tagging->spec->koji_event, &tagging->event, err)
		       : 0;

	if (r == 0 && (!pinned || tagging->load->context->job->known_event >= 0)) {
		r = hub_tag(tagging->site.hub, tagging->tag, HUB_NOW, &tag, err);
		if (r == 0 && !pinned)
			r = error_set(err, -ENOENT, BLAME_REQUEST, NULL, "Unknown Koji tag %s.",
				      tagging->tag);
		if (r > 0)
			r = use_known(tagging, &tag, err);
		hub_tag_done(&tag);
		if (r > 0) {
			tagging->asked = pinned ? tagging->spec->koji_event : tagging->event.id;
			return 0;
		}
	}
	if (r == 0 && !tagging->event.id)
		r = hub_last_event(tagging->site.hub, &tagging->event, err);
	tagging->asked = tagging->event.id;
	return r;
}

/* odcs-api.md 6.1: all modules of modular_koji_tags, and scratch_modules, beside what is tagged */
static int find_modules(struct tagging *tagging, struct error *err)
{
	struct modular *modular = &tagging->modular;

	if (!tagging->spec->modular_koji_tags.count && !tagging->spec->scratch_modules.count)
		return 0;
	modular->load = tagging->load;
	modular->site = &tagging->site;
	modular->tagged = &tagging->tagged;
	modular->event = tagging->tag ? tagging->event.id : HUB_NOW;
	return modular_beside(modular, err);
}

static int ask(struct tagging *tagging, struct error *err)
{
	const struct source_context *context = tagging->load->context;
	struct resolution resolution = { .koji_event = tagging->tag ? tagging->asked : -1 };
	_cleanup_(text_done) struct text text = { 0 };
	int r;

	site_identify(&tagging->site, &tagging->tagged, tagging->tag ? tagging->event.id : -1,
		      &text);
	for (size_t i = 0; tagging->modular.set && i < tagging->modular.set->count; i++)
		(void)text_addf(&text, "module %s\n", tagging->modular.set->module[i]->nsvc);
	r = load_identify(tagging->load, &text, err);
	if (r < 0)
		return r;
	sha256_hex(text.data, text.length, resolution.inputs);
	return context->resolved ? context->resolved(context->data, &resolution, err) : 0;
}

/* ---- candidates -------------------------------------------------------- */

static const char *state_word(int32_t state)
{
	static const char *const words[] = { "being built", "complete", "deleted", "failed",
					     "canceled" };

	return state >= 0 && (size_t)state < ARRAY_SIZE(words) ? words[state] : "in no known state";
}

static int check_builds(const struct tagging *tagging, const struct koji_listing *listing,
			const uint32_t *build, struct error *err)
{
	const struct strings *names = &tagging->spec->builds;
	_cleanup_(text_done) struct text words = { 0 };
	size_t bad = 0;

	for (size_t i = 0; i < names->count; i++) {
		bool unknown = build[i] == HUB_NO_BUILD;

		if (!unknown && listing->build[build[i]].state == KOJI_STATE_COMPLETE)
			continue;
		if (bad++ >= NAMES_SHOWN)
			continue;
		(void)text_addf(&words, "%s%s%.256s%s%s%s", bad > 1 ? " " : "",
				unknown ? "Unknown Koji build " : "Koji build ", names->item[i],
				unknown ? "" : " is ",
				unknown ? "" : state_word(listing->build[build[i]].state), ".");
	}
	if (bad > NAMES_SHOWN)
		(void)text_addf(&words, " And %zu more.", bad - NAMES_SHOWN);
	if (words.failed)
		return error_oom(err);
	return bad ? error_set(err, -ENOENT, BLAME_REQUEST, NULL, "%s", words.data) : 0;
}

static int list_builds(struct tagging *tagging, struct koji_listing **ret, struct error *err)
{
	_cleanup_(koji_listing_freep) struct koji_listing *listing = NULL;
	_cleanup_(freep) uint32_t *build = NULL;
	/* on a server each look costs a question: only for keys that the hub knows of */
	bool remote = tagging->tagged.remote && tagging->tagged.signing.keys.count;
	int r = hub_builds(tagging->site.hub, &tagging->spec->builds,
			   remote ? &tagging->site.arches : NULL, &listing, &build, err);

	if (r == 0)
		r = check_builds(tagging, listing, build, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < listing->rpm_count; i++)
		if (listing->rpm[i].buildtime > tagging->newest)
			tagging->newest = listing->rpm[i].buildtime;
	*ret = steal(listing);
	return 0;
}

/* 1: there are drafts in the listing: "A-1-1,draft_3, B-2-1,draft_4" */
static int name_drafts(const struct koji_listing *listing, char **ret, struct error *err)
{
	_cleanup_(text_done) struct text words = { 0 };
	size_t count = 0;

	for (size_t i = 0; i < listing->build_count; i++) {
		const struct koji_build *build = &listing->build[i];

		if (build->draft && count++ < NAMES_SHOWN)
			(void)text_addf(&words, "%s%.128s-%.64s-%.64s", count > 1 ? ", " : "",
					koji_text(listing, build->package),
					koji_text(listing, build->version),
					koji_text(listing, build->release));
	}
	if (count > NAMES_SHOWN)
		(void)text_addf(&words, " and %zu more", count - NAMES_SHOWN);
	if (!count)
		return 0;
	*ret = text_steal(&words);
	return *ret ? 1 : error_oom(err);
}

/* Drafts are not what a tag is asked for: whoever wants one names it. The hub leaves them out,
 * since only it knows which build is the latest then. */
static int list_tag(struct tagging *tagging, const struct hub_listing_options *options,
		    struct koji_listing **ret, struct error *err)
{
	struct hub_listing_options without = *options;
	_cleanup_(koji_listing_freep) struct koji_listing *listing = NULL;
	_cleanup_(freep) char *drafts = NULL, *still = NULL;
	int r = hub_list(tagging->site.hub, tagging->tag, options, &listing, err);

	if (r == 0)
		r = name_drafts(listing, &drafts, err);
	if (r > 0) {
		load_say(tagging->load, "draft builds are left out: %s", drafts);
		koji_listing_free(steal(listing));
		without.no_drafts = true;
		r = hub_list(tagging->site.hub, tagging->tag, &without, &listing, err);
		if (r == 0)
			r = name_drafts(listing, &still, err);
	}
	if (r > 0)
		return error_set(err, -EBADMSG, BLAME_SOURCE, "draft",
				 "Koji hub, listTaggedRPMS: draft builds came that were not asked "
				 "for: %s",
				 still);
	if (r == 0)
		*ret = steal(listing);
	return r;
}

static int list_candidates(struct tagging *tagging, struct error *err)
{
	struct hub_listing_options options = {
		.event = tagging->event.id,
		.inherit = !(tagging->spec->flags & FLAG_NO_INHERITANCE),
		.latest = true,
		.signatures = tagging->tagged.remote && tagging->tagged.signing.keys.count,
		.arches = &tagging->site.arches
	};
	_cleanup_(koji_listing_freep) struct koji_listing *builds = NULL;
	struct koji_listing *listing = NULL;
	struct load *load = tagging->load;
	int64_t start = time_monotonic_ms();
	int r = 0;

	load_progress(load, "koji", "%s", tagging->tag ? tagging->tag : "builds");
	if (tagging->spec->builds.count)
		r = list_builds(tagging, &builds, err);
	if (r == 0 && tagging->tag) {
		r = list_tag(tagging, &options, &listing, err);
		if (r == 0)
			r = tagged_add(&tagging->tagged, listing, &tagging->site.arches, builds,
				       err);
	}
	if (r == 0 && builds)
		r = tagged_add(&tagging->tagged, steal(builds), &tagging->site.arches, NULL, err);
	if (r < 0)
		return r;
	load_say(load, "%zu packages of %zu builds listed in %" PRId64 " ms", tagging->tagged.count,
		 (listing ? listing->build_count : 0) + tagging->spec->builds.count,
		 time_monotonic_ms() - start);
	load->step++;
	return 0;
}

static int add_module_rows(struct load *load, size_t arch, struct error *err)
{
	return modular_add_built(load->more_data, arch, err);
}

static int add_modules(struct tagging *tagging, struct error *err)
{
	struct modular *modular = &tagging->modular;
	int r;

	if (!modular->set)
		return 0;
	r = modular_explain(modular, err);
	tagging->load->more = add_module_rows;
	tagging->load->more_data = modular;
	return r < 0 ? r : modular_list_built(modular, err);
}

/* ---- packages that cannot be had --------------------------------------- */

/* Does the request name it? 1, 0, -ENOMEM; @packages: sorted */
static int is_named(const struct strings *packages, const struct candidate *candidate,
		    const char *nevra)
{
	const struct koji_listing *listing = candidate->listing;
	const char *name = koji_text(listing, candidate->rpm->name);
	_cleanup_(text_done) struct text with_arch = { 0 };

	if (text_addf(&with_arch, "%s.%s", name, koji_text(listing, candidate->rpm->arch)) < 0)
		return -ENOMEM;
	return strings_has_sorted(packages, name) || strings_has_sorted(packages, nevra) ||
	       strings_has_sorted(packages, with_arch.data);
}

static bool is_source(const struct candidate *candidate)
{
	const char *arch = koji_text(candidate->listing, candidate->rpm->arch);

	return !strcmp(arch, "src") || !strcmp(arch, "nosrc");
}

/* Not only beside, for multilib? */
static bool is_main(const struct tagging *tagging, const struct candidate *candidate)
{
	const struct strings *arches = &tagging->load->set->arches;
	const char *arch = koji_text(candidate->listing, candidate->rpm->arch);

	for (size_t i = 0; i < arches->count; i++)
		if (solve_arch_takes(arches->item[i], arch))
			return true;
	return is_source(candidate);
}

/* Those without any file: fatal when everything is wanted, or when they are named, for each arch;
 * else told */
static int judge_absent(const struct tagging *tagging, struct error *err)
{
	const struct tagged *tagged = &tagging->tagged;
	_cleanup_(strings_done) struct strings packages = { 0 };
	size_t told = 0;

	if (strings_copy(&packages, &tagging->spec->packages) < 0)
		return error_oom(err);
	strings_sort(&packages);
	for (size_t i = tagged->visible; i < tagged->count; i++) {
		const struct candidate *candidate = &tagged->item[i];
		_cleanup_(freep) char *nevra = candidate_nevra(candidate);
		int wanted = packages.count ? 0 : 1;

		if (!nevra || (!wanted && (wanted = is_named(&packages, candidate, nevra)) < 0))
			return error_oom(err);
		if (wanted && is_main(tagging, candidate))
			return tagged_refuse(tagged, candidate, err);
		if (told++ < NAMES_SHOWN)
			load_say(tagging->load, "%s is nowhere below %s", nevra, tagged->base);
	}
	if (told > NAMES_SHOWN)
		load_say(tagging->load, "nor are %zu more", told - NAMES_SHOWN);
	return 0;
}

static int find_copies(struct tagging *tagging, struct error *err)
{
	struct tagged *tagged = &tagging->tagged;
	struct load *load = tagging->load;
	int64_t start = time_monotonic_ms();
	int r = signing_choose(load, tagged, err);

	if (r == 0)
		r = judge_absent(tagging, err);
	if (r < 0)
		return r;
	load_say(load, "files of %zu packages found in %" PRId64 " ms", tagged->visible,
		 time_monotonic_ms() - start);
	load->step++;
	return 0;
}

/* Of which build, and for which arch; arch 0 ("" is no arch): any */
struct product {
	const struct koji_listing *listing;
	uint32_t build, arch;
};

static int compare_products(const void *a, const void *b)
{
	const struct product *pa = a, *pb = b;

	if (pa->listing != pb->listing)
		return (uintptr_t)pa->listing < (uintptr_t)pb->listing ? -1 : 1;
	if (pa->build != pb->build)
		return pa->build < pb->build ? -1 : 1;
	if (!pa->arch || !pb->arch)
		return 0;
	return pa->arch < pb->arch ? -1 : pa->arch > pb->arch;
}

/* Source and debug packages belong to what was chosen: one that has no file at all, which the
 * solver did not see, or a damaged one, of which it saw the name only, is not left out in silence.
 */
static int check_companions(const struct tagging *tagging, struct error *err)
{
	const struct tagged *tagged = &tagging->tagged;
	const struct composition *composition = &tagging->load->set->composition;
	const struct snapshot *snapshot = tagging->load->repository[0].held->snapshot;
	_cleanup_(freep) struct product *chosen = calloc(composition->count + 1, sizeof(*chosen));
	size_t count = 0;

	if (!chosen)
		return error_oom(err);
	for (size_t i = 0; i < composition->count; i++) {
		const struct composer_package *row = &composition->package[i];
		const struct candidate *candidate;

		if (row->snapshot != snapshot)
			continue;
		candidate = &tagged->item[row->index];
		chosen[count++] = (struct product){ candidate->listing, candidate->rpm->build,
						    candidate->rpm->arch };
	}
	qsort(chosen, count, sizeof(*chosen), compare_products);
	for (size_t i = 0; i < tagged->count; i++) {
		const struct candidate *candidate = &tagged->item[i];
		const char *name = koji_text(candidate->listing, candidate->rpm->name);
		struct product product = { candidate->listing, candidate->rpm->build,
					   candidate->rpm->arch };

		if (i < tagged->visible && !candidate->damage)
			continue;
		if (is_source(candidate))
			product.arch = 0;
		else if (!package_is_debug(name))
			continue;
		if (bsearch(&product, chosen, count, sizeof(*chosen), compare_products))
			return tagged_refuse(tagged, candidate, err);
	}
	return 0;
}

static bool is_unresolved(const struct package_set *set)
{
	for (size_t i = 0; i < set->answer_count; i++)
		if (set->answer[i]->unresolved.count)
			return true;
	return false;
}

/* After load_arches() gave @r: what nothing provides may be what a damaged package did */
static int suspect_damaged(const struct tagging *tagging, int r, struct error *err)
{
	struct load *load = tagging->load;
	_cleanup_(text_done) struct text words = { 0 };

	if ((r != 0 || !is_unresolved(load->set)) && r != -ENOPKG)
		return r;
	if (!tagged_damaged(&tagging->tagged, &words))
		return r;
	if (words.failed)
		return error_oom(err);
	if (r < 0)
		return error_prefix(err, "what damaged packages provide is not known (%s)",
				    words.data);
	text_addf(&load->log, "what damaged packages provide is not known: %s\n", words.data);
	load_say(load, "what damaged packages provide is not known: %s", words.data);
	return 0;
}

/* ---- the whole --------------------------------------------------------- */

static int finish(struct tagging *tagging, struct error *err)
{
	struct package_set *set = tagging->load->set;
	struct composition *composition = &set->composition;
	int64_t time = tagging->newest;
	int r = 0;

	if (tagging->tag && tagging->event.time <= 0)
		r = hub_event(tagging->site.hub, tagging->event.id, &tagging->event, err);
	if (r < 0)
		return r;
	if (tagging->event.time > (double)time && tagging->event.time < (double)INT64_MAX / 2)
		time = (int64_t)tagging->event.time;
	composition->timestamp = composition->revision = time;
	set->event = tagging->tag ? tagging->asked : -1;
	set->depsolve_log = text_steal(&tagging->load->log);
	if (!set->depsolve_log)
		return error_oom(err);
	composition->depsolve_log = set->depsolve_log;
	return 0;
}

static int run(struct tagging *tagging, struct error *err)
{
	struct load *load = tagging->load;
	int r = judge(tagging, err);

	if (r == 0)
		r = site_open(&tagging->site, &tagging->tagged, err);
	if (r == 0)
		r = load_find(load, NULL, err);
	if (r == 0 && tagging->tag)
		r = resolve_tag(tagging, err);
	if (r == 0)
		r = find_modules(tagging, err);
	if (r == 0)
		r = ask(tagging, err);
	if (r == 0)
		r = list_candidates(tagging, err);
	if (r == 0)
		r = add_modules(tagging, err);
	if (r == 0)
		r = find_copies(tagging, err);
	if (r == 0 && tagging->modular.set)
		r = modular_check_built(&tagging->modular, err);
	if (r == 0)
		load->repository[0].word = tagging->tag ? tagging->tag : "builds";
	if (r == 0)
		r = tagged_open(load, &tagging->tagged, err);
	if (r == 0)
		r = load_open(load, err);
	if (r == 0)
		r = suspect_damaged(tagging, load_arches(load, err), err);
	if (r == 0)
		r = check_companions(tagging, err);
	if (r == 0)
		r = tagged_finish(load, &tagging->tagged, err);
	if (r == 0 && tagging->modular.set)
		r = modular_describe(&tagging->modular, err);
	return r < 0 ? r : finish(tagging, err);
}

int tag_load(const struct source_context *context, struct package_set **ret, struct error *err)
{
	const struct spec *spec = context->job->spec;
	_cleanup_(load_done) struct load load = { .context = context };
	_cleanup_(tagging_done) struct tagging tagging = { .load = &load,
							   .spec = spec,
							   .site = { .load = &load } };
	int r = package_set_new(spec, &load.set, err);

	if (r < 0)
		return r;
	load.steps = (int64_t)(spec->lookaside_repos.count + spec->arches.count + 4);
	r = run(&tagging, err);
	if (r < 0)
		return r;
	load_progress(&load, "repodata", "%zu packages", load.set->composition.count);
	*ret = steal(load.set);
	return 0;
}
