/* SPDX-License-Identifier: MIT */
/* tests/unit/koji/hub.c: what is kept of a hub's answers, and the paths that follow from them.
 *
 *   test-koji-hub REPLAYHUB.PY RECORDINGS */
#include "tests/unit/koji/scene.h"
#include "tests/unit/test.h"

#include <fcntl.h>
#include <sys/resource.h>

/* ---- tags and events ---- */

static void test_tags(void)
{
	_cleanup_(hub_freep) struct hub *hub = plain_hub();
	struct hub_tag tag = { 0 };
	struct error err = { 0 };

	CHECK_INT(hub_tag(hub, "f26-candidate", HUB_NOW, &tag, &err), 1);
	CHECK_INT(tag.id, 3);
	CHECK_STR(tag.name, "f26-candidate");
	CHECK_INT(tag.arches.count, 2);
	CHECK(strings_has(&tag.arches, "x86_64") && strings_has(&tag.arches, "aarch64"));
	hub_tag_done(&tag);
	CHECK_INT(hub_tag(hub, "f26-candidate", 354, &tag, &err), 1);
	hub_tag_done(&tag);
	CHECK_INT(hub_tag(hub, "f26-candidate", 1, &tag, &err), 0);
	CHECK_INT(hub_tag(hub, "nosuch-tag", HUB_NOW, &tag, &err), 0);
	CHECK_INT(hub_tag(hub, "f26-noarches", HUB_NOW, &tag, &err), 1);
	CHECK_INT(tag.arches.count, 0);
	hub_tag_done(&tag);
	CHECK_INT(hub_tag(hub, "a\x01", HUB_NOW, &tag, &err), -EINVAL);
	CHECK_INT(err.blame, BLAME_US);
	CHECK_INT(replay_count(&scene.replay, "getTag"), 5);
	CHECK_INT(replay_count(&scene.replay, "connections"), 1);
	/* types */
	replay_order(&scene.replay, "{'do': 'misbehave', 'what': 'replace', 'old': '<int>3</int>', "
				    "'new': '<string>3</string>'}");
	CHECK_INT(hub_tag(hub, "f26-candidate", HUB_NOW, &tag, &err), -EBADMSG);
	CHECK_STR(err.message, "Koji hub, getTag: id is a text, not a whole number");
	CHECK_STR(err.field, "id");
	replay_order(&scene.replay, "{'do': 'misbehave', 'what': 'replace', 'old': '>arches<', "
				    "'new': '>arch<'}");
	CHECK_INT(hub_tag(hub, "f26-candidate", HUB_NOW, &tag, &err), -EBADMSG);
	CHECK_STR(err.message, "Koji hub, getTag: arches is missing");
	replay_order(&scene.replay, "{'do': 'misbehave', 'what': 'replace', "
				    "'old': '<string>x86_64 aarch64</string>', 'new': '<nil/>'}");
	CHECK_INT(hub_tag(hub, "f26-candidate", HUB_NOW, &tag, &err), 1);
	CHECK_INT(tag.arches.count, 0);
	hub_tag_done(&tag);
}

static void test_events(void)
{
	_cleanup_(hub_freep) struct hub *hub = plain_hub();
	struct hub_event event = { 0 };
	struct hub_tag tag = { 0 };
	struct error err = { 0 };

	CHECK_INT(hub_last_event(hub, &event, &err), 0);
	CHECK_INT(event.id, 536);
	CHECK(event.time > 1795415750.9328 && event.time < 1795415750.9329);
	CHECK_INT(hub_event(hub, 354, &event, &err), 1);
	CHECK_INT(event.id, 354);
	CHECK_INT(hub_event(hub, 99999999, &event, &err), 0);
	CHECK_INT(event.id, 354);
	CHECK_INT(hub_tag(hub, "f26-build", HUB_NOW, &tag, &err), 1);
	CHECK_INT(hub_tag_changed(hub, &tag, 354, &err), 1);
	CHECK_INT(hub_tag_changed(hub, &tag, 536, &err), 0);
	replay_order(&scene.replay, "{'do': 'misbehave', 'what': 'replace', 'old': 'parent_id', "
				    "'new': 'parent'}");
	CHECK_INT(hub_tag_changed(hub, &tag, 536, &err), -EBADMSG);
	CHECK_STR(err.message,
		  "Koji hub, getFullInheritance of f26-build, row 1: parent_id is missing");
	replay_order(&scene.replay,
		     "{'do': 'misbehave', 'what': 'body', 'method': "
		     "'tagChangedSinceEvent', 'body': '<methodResponse><params><param>"
		     "<value>yes</value></param></params></methodResponse>'}");
	CHECK_INT(hub_tag_changed(hub, &tag, 536, &err), -EBADMSG);
	CHECK_STR(err.message,
		  "Koji hub, tagChangedSinceEvent of f26-build: the answer is not a boolean");
	hub_tag_done(&tag);
}

/* Events that no hub can have, and another one than was asked for. */
static void test_odd_events(void)
{
	static const struct {
		const char *id, *time, *words; /* NULL: it is fine */
	} cases[] = {
		{ "<int>700</int>", "<double>946684800.5</double>", NULL },
		{ "<i8>9007199254740991</i8>", "<int>1795415750</int>", NULL },
		{ "<int>0</int>", "<int>1795415750</int>", "id is 0, which no event has" },
		{ "<int>-1</int>", "<int>1795415750</int>", "id is -1, which no event has" },
		{ "<i8>9007199254740992</i8>", "<int>1795415750</int>",
		  "id is 9007199254740992, which no event has" },
		{ "<int>700</int>", "<int>0</int>", "ts is 0: no time of an event" },
		{ "<int>700</int>", "<double>946684799.0</double>", "ts is 9.46685e+08: " },
		{ "<int>700</int>", "<double>-1e300</double>", "ts is -1e+300: " },
		{ "<int>700</int>", "<double>1e300</double>", "ts is 1e+300: " },
		{ "<int>700</int>", "<double>1e18</double>", "ts is 1e+18: " },
		{ "<int>700</int>", "<i8>9223372036854775807</i8>", "ts is 9.22337e+18: " },
		{ "<int>700</int>", "<int>2147483647</int>", "ts is 2.14748e+09: " },
	};
	_cleanup_(hub_freep) struct hub *hub = plain_hub();

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		for (int pinned = 0; pinned < 2; pinned++) {
			const char *call = pinned ? "getEvent" : "getLastEvent";
			struct hub_event event = { .id = 7 };
			struct error err = { 0 };
			char order[512];
			int r;

			(void)snprintf(
				order, sizeof(order),
				"{'do': 'misbehave', 'what': 'body', 'method': '%s', 'body': "
				"'<methodResponse><params><param><value><struct><member><name>"
				"id</name><value>%s</value></member><member><name>ts</name>"
				"<value>%s</value></member></struct></value></param></params>"
				"</methodResponse>'}",
				call, cases[i].id, cases[i].time);
			replay_order(&scene.replay, order);
			r = pinned ? hub_event(hub, 354, &event, &err)
				   : hub_last_event(hub, &event, &err);
			CHECK_INT(r, cases[i].words || pinned ? -EBADMSG : 0);
			CHECK((event.id == 7) == (r < 0));
			if (r == 0)
				continue;
			CHECK_WORDS(err.message, call);
			CHECK_WORDS(err.message, cases[i].words ? cases[i].words : ", not 354");
			CHECK_INT(err.blame, BLAME_SOURCE);
		}
}

/* ---- listings ---- */

static const struct koji_rpm *find_rpm(const struct koji_listing *listing, const char *name,
				       const char *arch)
{
	for (size_t i = 0; i < listing->rpm_count; i++)
		if (!strcmp(koji_text(listing, listing->rpm[i].name), name) &&
		    !strcmp(koji_text(listing, listing->rpm[i].arch), arch))
			return &listing->rpm[i];
	return NULL;
}

static bool has_key(const struct koji_listing *listing, const struct koji_rpm *rpm, const char *key)
{
	for (uint32_t i = 0; i < rpm->key_count; i++)
		if (!strcmp(koji_text(listing, listing->key[rpm->key + i]), key))
			return true;
	return false;
}

static void check_order(const struct koji_listing *listing)
{
	size_t wrong = 0;

	for (size_t i = 1; i < listing->rpm_count; i++)
		wrong += listing->rpm[i - 1].id >= listing->rpm[i].id;
	for (size_t i = 1; i < listing->build_count; i++)
		wrong += listing->build[i - 1].id >= listing->build[i].id;
	CHECK_INT(wrong, 0);
}

static void test_list(void)
{
	_cleanup_(hub_freep) struct hub *hub = plain_hub();
	_cleanup_(koji_listing_freep) struct koji_listing *listing = NULL;
	struct hub_listing_options options = {
		.event = 536, .inherit = true, .latest = true, .signatures = true
	};
	const struct koji_build *build;
	const struct koji_rpm *rpm;
	struct error err = { 0 };

	CHECK_INT(hub_list(hub, "f26-candidate", &options, &listing, &err), 0);
	CHECK_STR(err.message, "");
	if (!listing)
		return;
	CHECK_INT(listing->rpm_count, 51);
	CHECK_INT(listing->build_count, 9);
	check_order(listing);
	rpm = find_rpm(listing, "mod_ssl", "x86_64");
	CHECK(rpm != NULL);
	if (!rpm)
		return;
	build = &listing->build[rpm->build];
	CHECK_INT(rpm->id, 530);
	CHECK_INT(rpm->epoch, 1);
	CHECK_STR(koji_text(listing, build->package), "httpd");
	CHECK_STR(koji_text(listing, build->version), "2.4.27");
	CHECK_STR(koji_text(listing, build->release), "3.fc26");
	CHECK_STR(koji_text(listing, build->volume), "DEFAULT");
	CHECK_INT(build->state, KOJI_STATE_COMPLETE);
	CHECK(!build->draft && !rpm->metadata_only);
	CHECK_INT(strlen(koji_text(listing, rpm->payloadhash)), 32);
	CHECK(has_key(listing, rpm, "7ec1b334") && rpm->key_count == 1);
	rpm = find_rpm(listing, "apr", "x86_64");
	CHECK(rpm && rpm->key_count == 2 && has_key(listing, rpm, "a4f1cd23"));
	rpm = find_rpm(listing, "tzdata", "noarch");
	CHECK(rpm && rpm->key_count == 0);
	CHECK_STR(rpm ? koji_text(listing, listing->build[rpm->build].volume) : "", "archive");
	CHECK_INT(replay_count(&scene.replay, "listTaggedRPMS"), 1);
}

static void test_list_of_arches(void)
{
	_cleanup_(hub_freep) struct hub *hub = plain_hub();
	_cleanup_(strings_done) struct strings arches = { 0 };
	_cleanup_(koji_listing_freep) struct koji_listing *listing = NULL;
	struct hub_listing_options options = {
		.event = 536, .inherit = true, .latest = true, .arches = &arches
	};
	struct error err = { 0 };

	strings_add(&arches, "x86_64");
	strings_add(&arches, "noarch");
	strings_add(&arches, "src");
	CHECK_INT(hub_list(hub, "f26-candidate", &options, &listing, &err), 0);
	CHECK_INT(listing ? listing->rpm_count : 0, 27);
	CHECK_INT(listing ? listing->key_count : 1, 0);
	CHECK(listing && !find_rpm(listing, "apr", "aarch64"));
	koji_listing_free(steal(listing));
	/* nothing is an answer as well */
	options.arches = NULL;
	options.event = HUB_NOW;
	CHECK_INT(hub_list(hub, "f26-empty", &options, &listing, &err), 0);
	CHECK(listing && !listing->rpm_count && !listing->build_count);
	koji_listing_free(steal(listing));
	CHECK_INT(hub_list(hub, "nosuch-tag", &options, &listing, &err), -EREMOTEIO);
	CHECK_STR(err.message, "Koji hub, listTaggedRPMS of nosuch-tag: No such tagInfo: "
			       "'nosuch-tag' (fault 1000)");
	CHECK_INT(err.blame, BLAME_SOURCE);
	CHECK_INT(scene.notices, 0);
}

static void test_no_extra(void)
{
	_cleanup_(hub_freep) struct hub *hub = plain_hub();
	struct hub_listing_options options = { .event = 536, .inherit = true, .latest = true };
	struct error err = { 0 };

	replay_order(&scene.replay, "{'do': 'no_extra'}");
	for (int i = 0; i < 2; i++) { /* found out once */
		_cleanup_(koji_listing_freep) struct koji_listing *listing = NULL;

		CHECK_INT(hub_list(hub, "f26-candidate", &options, &listing, &err), 0);
		CHECK_INT(listing ? listing->rpm_count : 0, 51);
		CHECK_INT(replay_count(&scene.replay, "listTaggedRPMS"), 2 + i);
	}
}

/* ---- builds ---- */

static void test_builds(void)
{
	_cleanup_(hub_freep) struct hub *hub = plain_hub();
	_cleanup_(strings_done) struct strings nvrs = { 0 };
	_cleanup_(koji_listing_freep) struct koji_listing *listing = NULL;
	_cleanup_(freep) uint32_t *place = NULL;
	struct error err = { 0 };

	strings_add(&nvrs, "httpd-2.4.27-3.fc26");
	strings_add(&nvrs, "nosuch-1-1");
	strings_add(&nvrs, "apr-1.6.3-1.fc26");
	strings_add(&nvrs, "notannvr");
	strings_add(&nvrs, "httpd-2.4.27-3.fc26"); /* once more */
	CHECK_INT(hub_builds(hub, &nvrs, NULL, &listing, &place, &err), 0);
	CHECK_STR(err.message, "");
	if (!listing)
		return;
	CHECK_INT(listing->build_count, 2);
	CHECK_INT(place[1], HUB_NO_BUILD);
	CHECK_INT(place[3], HUB_NO_BUILD);
	CHECK_INT(place[0], place[4]);
	CHECK_INT(listing->build[place[0]].id, 160);
	CHECK_STR(koji_text(listing, listing->build[place[2]].package), "apr");
	CHECK_STR(koji_text(listing, listing->build[place[2]].version), "1.6.3");
	CHECK(!listing->signatures && !listing->key_count);
	CHECK(find_rpm(listing, "mod_ssl", "x86_64") && find_rpm(listing, "apr-devel", "aarch64"));
	CHECK_INT(listing->rpm_count, 21);
	check_order(listing);
	CHECK_INT(replay_count(&scene.replay, "multiCall"), 2);
}

static void test_many_builds(void)
{
	_cleanup_(hub_freep) struct hub *hub = plain_hub();
	_cleanup_(strings_done) struct strings nvrs = { 0 };
	_cleanup_(koji_listing_freep) struct koji_listing *listing = NULL;
	_cleanup_(freep) uint32_t *place = NULL;
	struct error err = { 0 };
	size_t unknown = 0;

	struct hub_listing_options options = {
		.event = 536, .inherit = true, .latest = true, .signatures = true
	};

	CHECK_INT(hub_list(hub, "f26-bulk", &options, &listing, &err), 0);
	CHECK_INT(listing ? listing->build_count : 0, 150);
	for (size_t i = 0; listing && i < 410; i++) { /* three batches, most of them unknown */
		const struct koji_build *build = &listing->build[i < 300 ? i / 2 : 0];
		char nvr[256];

		(void)snprintf(nvr, sizeof(nvr), "unknown%zu-1-1", i);
		if (i % 2 == 0 && i < 300)
			(void)snprintf(nvr, sizeof(nvr), "%s-%s-%s",
				       koji_text(listing, build->package),
				       koji_text(listing, build->version),
				       koji_text(listing, build->release));
		strings_add(&nvrs, nvr);
	}
	koji_listing_free(steal(listing));
	/* a broken batch is asked again, and nothing of it is there twice */
	replay_order(&scene.replay, "{'do': 'misbehave', 'what': 'break', 'skip': 1}");
	CHECK_INT(hub_builds(hub, &nvrs, NULL, &listing, &place, &err), 0);
	CHECK_STR(err.message, "");
	if (!listing)
		return;
	for (size_t i = 0; i < nvrs.count; i++)
		unknown += place[i] == HUB_NO_BUILD;
	CHECK_INT(unknown, 260);
	CHECK_INT(listing->build_count, 150);
	CHECK_INT(listing->rpm_count, 450);
	CHECK_INT(replay_count(&scene.replay, "multiCall"), 3 + 1 + 1);
	CHECK_INT(scene.notices, 1);
	/* none at all */
	koji_listing_free(steal(listing));
	freep(&place);
	place = NULL;
	strings_done(&nvrs);
	nvrs = (struct strings){ 0 };
	CHECK_INT(hub_builds(hub, &nvrs, NULL, &listing, &place, &err), 0);
	CHECK(listing && place && !listing->build_count);
}

static void test_incomplete_builds(void)
{
	_cleanup_(hub_freep) struct hub *hub = plain_hub();
	_cleanup_(strings_done) struct strings nvrs = { 0 };
	_cleanup_(koji_listing_freep) struct koji_listing *listing = NULL;
	_cleanup_(freep) uint32_t *place = NULL;
	struct error err = { 0 };

	strings_add(&nvrs, "apr-1.6.3-1.fc26");
	replay_order(&scene.replay, "{'do': 'misbehave', 'what': 'replace', 'old': "
				    "'<name>state</name>\\n<value><int>1', 'new': "
				    "'<name>state</name>\\n<value><int>2'}");
	CHECK_INT(hub_builds(hub, &nvrs, NULL, &listing, &place, &err), 0);
	CHECK_INT(listing ? listing->build_count : 0, 1);
	CHECK_INT(listing ? listing->build[0].state : 0, 2);
	CHECK_INT(listing ? listing->rpm_count : 1, 0);
	CHECK_INT(replay_count(&scene.replay, "multiCall"), 1);
}

/* What copies there may be of builds that are named: asked in few calls, for the arches that count
 */
static void test_signatures(void)
{
	_cleanup_(hub_freep) struct hub *hub = plain_hub();
	_cleanup_(strings_done) struct strings nvrs = { 0 }, arches = { 0 };
	_cleanup_(koji_listing_freep) struct koji_listing *listing = NULL;
	_cleanup_(freep) uint32_t *place = NULL;
	struct error err = { 0 };
	const struct koji_rpm *rpm;

	strings_split(&nvrs, "apr-1.6.3-1.fc26 httpd-2.4.27-3.fc26 tzdata-2017b-1.fc26", ' ');
	strings_split(&arches, "x86_64 noarch src", ' ');
	/* the third one is asked again, and counts once */
	replay_order(&scene.replay, "{'do': 'misbehave', 'what': 'break', 'skip': 2}");
	CHECK_INT(hub_builds(hub, &nvrs, &arches, &listing, &place, &err), 0);
	CHECK_STR(err.message, "");
	CHECK_INT(replay_count(&scene.replay, "multiCall"), 4);
	CHECK_INT(replay_count(&scene.replay, "queryRPMSigs"), 0);
	if (!listing)
		return;
	CHECK(listing->signatures);
	rpm = find_rpm(listing, "apr", "x86_64");
	CHECK(rpm && rpm->key_count == 2 && has_key(listing, rpm, "a4f1cd23") &&
	      has_key(listing, rpm, "7ec1b334"));
	rpm = find_rpm(listing, "mod_ssl", "x86_64");
	CHECK(rpm && rpm->key_count == 1 && has_key(listing, rpm, "7ec1b334"));
	rpm = find_rpm(listing, "tzdata", "noarch");
	CHECK(rpm && !rpm->key_count);
	rpm = find_rpm(listing, "apr", "aarch64");
	CHECK(rpm && !rpm->key_count);
}

/* A hub that does not answer that, as a whole or for one RPM: then any signature may be there */
static void test_no_signatures(void)
{
	static const char *const ways[] = {
		"'what': 'fault', 'code': 1000, 'words': 'Invalid method: queryRPMSigs'",
		"'what': 'body', 'body': '<methodResponse><params><param><value><array><data>"
		"<value><struct><member><name>faultCode</name><value><int>1000</int></value>"
		"</member><member><name>faultString</name><value>no luck</value></member></struct>"
		"</value></data></array></value></param></params></methodResponse>'",
		"'what': 'replace', 'old': '<name>sigkey</name>', 'new': '<name>key</name>'",
	};
	struct error err = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
		_cleanup_(hub_freep) struct hub *hub = plain_hub();
		_cleanup_(strings_done) struct strings nvrs = { 0 }, arches = { 0 };
		struct koji_listing *listing = NULL;
		uint32_t *place = NULL;
		char order[512];
		int r;

		strings_add(&nvrs, "ed-1.14.2-1.fc26");
		strings_add(&arches, "src");
		(void)snprintf(order, sizeof(order), "{'do': 'misbehave', 'skip': 2, %s}", ways[i]);
		replay_order(&scene.replay, order);
		r = hub_builds(hub, &nvrs, &arches, &listing, &place, &err);
		if (i == 2) { /* no refusal but nonsense */
			CHECK_INT(r, -EBADMSG);
			CHECK_STR(err.message,
				  "Koji hub, queryRPMSigs: signatures, row 1: sigkey is missing");
			continue;
		}
		CHECK_INT(r, 0);
		CHECK(listing && !listing->signatures && !listing->key_count);
		CHECK_INT(scene.notices, 1);
		CHECK_WORDS(scene.last_notice, "Koji hub, queryRPMSigs: ");
		CHECK_WORDS(scene.last_notice, "; each key is looked for");
		koji_listing_free(listing);
		free(place);
	}
}

static void test_drafts(void)
{
	_cleanup_(hub_freep) struct hub *hub = plain_hub();
	struct hub_listing_options options = { .event = 536, .inherit = true, .latest = true };
	struct error err = { 0 };

	for (int i = 0; i < 2; i++) {
		_cleanup_(koji_listing_freep) struct koji_listing *listing = NULL;
		size_t drafts = 0;

		replay_order(&scene.replay, "{'do': 'draft', 'nvr': 'ed-1.14.2-1.fc26'}");
		options.no_drafts = i == 1;
		CHECK_INT(hub_list(hub, "f26-candidate", &options, &listing, &err), 0);
		for (size_t k = 0; listing && k < listing->build_count; k++)
			drafts += listing->build[k].draft;
		CHECK_INT(drafts, i ? 0 : 1);
		CHECK(listing && !find_rpm(listing, "ed", "x86_64") == (i == 1));
	}
}

/* ---- size ---- */

static void test_big(void)
{
	_cleanup_(hub_freep) struct hub *hub = hub_with(60000, 20);
	_cleanup_(koji_listing_freep) struct koji_listing *listing = NULL;
	struct hub_listing_options options = {
		.event = HUB_NOW, .inherit = true, .latest = true, .signatures = true
	};
	struct error err = { 0 };
	struct rusage before, after;

	replay_order(&scene.replay, "{'do': 'add_tag', 'name': 'big', 'builds': 4000}");
	replay_order(&scene.replay, "{'do': 'misbehave', 'what': 'gzip'}");
	(void)getrusage(RUSAGE_SELF, &before);
	CHECK_INT(hub_list(hub, "big", &options, &listing, &err), 0);
	(void)getrusage(RUSAGE_SELF, &after);
	CHECK_STR(err.message, "");
	CHECK_INT(listing ? listing->rpm_count : 0, 24000);
	CHECK_INT(listing ? listing->build_count : 0, 4000);
	CHECK_INT(listing ? listing->key_count : 0, 24000);
	printf("48,000 rows: memory grew by %ld KiB\n", after.ru_maxrss - before.ru_maxrss);
#if !defined(__SANITIZE_ADDRESS__)
	CHECK(after.ru_maxrss - before.ru_maxrss < 24 * 1024); /* of 61 MB of XML */
#endif
}

/* ---- paths ---- */

/* The paths that the recorded hub's files have, for each list of keys: the first that is there */
static void test_paths(const char *recordings)
{
	_cleanup_(hub_freep) struct hub *hub = plain_hub();
	_cleanup_(koji_listing_freep) struct koji_listing *listing = NULL;
	struct hub_listing_options options = { .event = 536, .inherit = true, .latest = true };
	_cleanup_(freep) char *table = NULL, *path = NULL;
	struct error err = { 0 };
	size_t seen = 0;
	char *line, *rest;

	CHECK_INT(hub_list(hub, "f26-candidate", &options, &listing, &err), 0);
	CHECK(asprintf(&path, "%s/EXPECTED_paths.f26-candidate.tsv", recordings) > 0);
	CHECK_INT(file_read(AT_FDCWD, path, 1 << 20, &table, NULL), 0);
	for (rest = table; table && (line = strsep(&rest, "\n"));) {
		char *name = strchr(line, '\t'), *want = name ? strchr(name + 1, '\t') : NULL;
		bool found = false;

		if (*line == '#' || !want || !strncmp(line, "sigkeys", 7) ||
		    !strcmp(want, "\tMISSING"))
			continue;
		*name++ = *want++ = '\0';
		for (size_t i = 0; i < listing->rpm_count && !found; i++) {
			static const char *const keys[] = { "7ec1b334", "a4f1cd23", "" };

			for (size_t k = 0; k < ARRAY_SIZE(keys) && !found; k++) {
				_cleanup_(text_done) struct text made = { 0 };

				CHECK_INT(koji_rpm_path(listing, &listing->rpm[i], keys[k], &made,
							&err),
					  0);
				found = !strcmp(made.data, want);
			}
		}
		CHECK(found);
		seen += found;
	}
	CHECK_INT(seen, 121);
}

static void test_bad_paths(void)
{
	static const char *const bad[] = { "", ".", "..", "a/b", "/", "a\nb", "../..", "a\x7f" };
	static const char text[] = "\0good\0DEFAULT\0" /* 1, 6 */;
	struct koji_build build = { .package = 1, .version = 1, .release = 1, .volume = 6 };
	struct koji_rpm rpm = { .name = 1, .version = 1, .release = 1, .arch = 1 };
	uint32_t *const places[] = { &build.package, &build.version, &build.release, &build.volume,
				     &rpm.name,	     &rpm.version,   &rpm.release,   &rpm.arch };
	_cleanup_(text_done) struct text made = { 0 };
	struct koji_listing listing = {
		.build = &build, .build_count = 1, .rpm = &rpm, .rpm_count = 1
	};
	struct error err = { 0 };
	char all[256];

	listing.text = all;
	memcpy(all, text, sizeof(text));
	CHECK_INT(koji_rpm_path(&listing, &rpm, NULL, &made, &err), 0);
	CHECK_STR(made.data, "packages/good/good/good/good/good-good-good.good.rpm");
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		strcpy(all + sizeof(text), bad[i]);
		for (size_t k = 0; k < ARRAY_SIZE(places); k++) {
			uint32_t old = *places[k];

			*places[k] = sizeof(text);
			CHECK_INT(koji_rpm_path(&listing, &rpm, "k", &made, &err), -EBADMSG);
			CHECK_INT(err.blame, BLAME_SOURCE);
			*places[k] = old;
		}
		CHECK_INT(koji_rpm_path(&listing, &rpm, bad[i], &made, &err),
			  *bad[i] ? -EBADMSG : 0);
	}
	text_clear(&made);
	CHECK_INT(koji_url("http://k.example.com/files//", "a+b~c^d,e/f g%h-1.2_3.rpm", &made), 0);
	CHECK_STR(made.data, "http://k.example.com/files/a%2Bb%7Ec%5Ed%2Ce/f%20g%25h-1.2_3.rpm");
}

int main(int argc, char **argv)
{
	if (argc != 3)
		return 2;
	scene_start(argv[1]);
	test_tags();
	test_events();
	test_odd_events();
	test_list();
	test_list_of_arches();
	test_no_extra();
	test_builds();
	test_many_builds();
	test_incomplete_builds();
	test_signatures();
	test_no_signatures();
	test_drafts();
	test_big();
	test_paths(argv[2]);
	test_bad_paths();
	scene_stop();
	TEST_END();
}
