/* SPDX-License-Identifier: MIT */
/* tests/unit/koji/hub.c: a hub that answers from recordings, and one that does not behave.
 *
 *   test-koji-hub REPLAYHUB.PY RECORDINGS */
#include "resolver/koji/hub.h"
#include "tests/unit/koji/replay.h"
#include "tests/unit/test.h"

#include <fcntl.h>
#include <sys/resource.h>

static struct replay replay;
static struct transport *transport;
static unsigned int notices;
static char last_notice[512];

static void note(void *data, const char *words)
{
	(void)data;
	notices++;
	(void)snprintf(last_notice, sizeof(last_notice), "%.500s", words);
}

static struct hub *hub_with(int64_t call_ms, int64_t pause_ms)
{
	struct hub_settings settings = { .url = replay.url,
					 .transport = transport,
					 .call_ms = call_ms,
					 .pause_ms = pause_ms,
					 .notice = note };
	struct hub *hub = NULL;
	struct error err = { 0 };

	replay_order(&replay, "{'do': 'clear'}");
	notices = 0;
	CHECK_INT(hub_new(&settings, &hub, &err), 0);
	return hub;
}

static struct hub *plain_hub(void)
{
	return hub_with(20000, 20);
}

static void check_words(const struct error *err, const char *words)
{
	if (!strstr(err->message, words))
		CHECK_STR(err->message, words);
	else
		CHECK(true);
}

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
	CHECK_INT(replay_count(&replay, "getTag"), 5);
	CHECK_INT(replay_count(&replay, "connections"), 1);
	/* types */
	replay_order(&replay, "{'do': 'misbehave', 'what': 'replace', 'old': '<int>3</int>', "
			      "'new': '<string>3</string>'}");
	CHECK_INT(hub_tag(hub, "f26-candidate", HUB_NOW, &tag, &err), -EBADMSG);
	CHECK_STR(err.message, "Koji hub, getTag: id is a text, not a whole number");
	CHECK_STR(err.field, "id");
	replay_order(&replay, "{'do': 'misbehave', 'what': 'replace', 'old': '>arches<', "
			      "'new': '>arch<'}");
	CHECK_INT(hub_tag(hub, "f26-candidate", HUB_NOW, &tag, &err), -EBADMSG);
	CHECK_STR(err.message, "Koji hub, getTag: arches is missing");
	replay_order(&replay, "{'do': 'misbehave', 'what': 'replace', "
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
	replay_order(&replay, "{'do': 'misbehave', 'what': 'replace', 'old': 'parent_id', "
			      "'new': 'parent'}");
	CHECK_INT(hub_tag_changed(hub, &tag, 536, &err), -EBADMSG);
	CHECK_STR(err.message, "Koji hub, getFullInheritance, row 1: parent_id is missing");
	replay_order(&replay, "{'do': 'misbehave', 'what': 'body', 'method': "
			      "'tagChangedSinceEvent', 'body': '<methodResponse><params><param>"
			      "<value>yes</value></param></params></methodResponse>'}");
	CHECK_INT(hub_tag_changed(hub, &tag, 536, &err), -EBADMSG);
	CHECK_STR(err.message, "Koji hub, tagChangedSinceEvent: the answer is not a boolean");
	hub_tag_done(&tag);
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
	CHECK_INT(build->epoch, KOJI_NO_EPOCH);
	CHECK_STR(koji_text(listing, build->package), "httpd");
	CHECK_STR(koji_text(listing, build->nvr), "httpd-2.4.27-3.fc26");
	CHECK_STR(koji_text(listing, build->volume), "DEFAULT");
	CHECK_INT(build->state, KOJI_STATE_COMPLETE);
	CHECK(build->tag_event > 0 && !build->draft && !rpm->draft && !rpm->metadata_only);
	CHECK_INT(strlen(koji_text(listing, rpm->payloadhash)), 32);
	CHECK(has_key(listing, rpm, "7ec1b334") && rpm->key_count == 1);
	rpm = find_rpm(listing, "apr", "x86_64");
	CHECK(rpm && rpm->key_count == 2 && has_key(listing, rpm, "a4f1cd23"));
	rpm = find_rpm(listing, "tzdata", "noarch");
	CHECK(rpm && rpm->key_count == 0);
	CHECK_STR(rpm ? koji_text(listing, listing->build[rpm->build].volume) : "", "archive");
	CHECK_INT(replay_count(&replay, "listTaggedRPMS"), 1);
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
	CHECK_STR(err.message,
		  "Koji hub, listTaggedRPMS: No such tagInfo: 'nosuch-tag' (fault 1000)");
	CHECK_INT(err.blame, BLAME_SOURCE);
	CHECK_INT(notices, 0);
}

static void test_no_extra(void)
{
	_cleanup_(hub_freep) struct hub *hub = plain_hub();
	struct hub_listing_options options = { .event = 536, .inherit = true, .latest = true };
	struct error err = { 0 };

	replay_order(&replay, "{'do': 'no_extra'}");
	for (int i = 0; i < 2; i++) { /* found out once */
		_cleanup_(koji_listing_freep) struct koji_listing *listing = NULL;

		CHECK_INT(hub_list(hub, "f26-candidate", &options, &listing, &err), 0);
		CHECK_INT(listing ? listing->rpm_count : 0, 51);
		CHECK_INT(replay_count(&replay, "listTaggedRPMS"), 2 + i);
	}
}

/* Of every field: another type, and missing */
static void test_fields(void)
{
	static const struct {
		const char *field, *value, *words;
		bool may_be_missing;
	} cases[] = {
		{ "id", "<string>8</string>", "RPMs, row 1: id is a text, not a whole number", 0 },
		{ "build_id", "<nil/>", "RPMs, row 1: build_id is nil, not a whole number", 0 },
		{ "name", "<int>5</int>", "RPMs, row 1: name is a whole number, not a text", 0 },
		{ "version", "<nil/>", "RPMs, row 1: version is nil, not a text", 0 },
		{ "release", "<boolean>1</boolean>", "RPMs, row 1: release is a boolean, not", 0 },
		{ "epoch", "<string>1</string>", "RPMs, row 1: epoch is a text, not a whole", 0 },
		{ "epoch", "<int>-1</int>", "epoch is -1", 0 },
		{ "epoch", "<i8>2147483648</i8>", "epoch is 2147483648", 0 },
		{ "arch", "<struct></struct>", "RPMs, row 1: arch is a struct, not a text", 0 },
		{ "size", "<double>1.5</double>", "RPMs, row 1: size is a number with a fr", 0 },
		{ "size", "<i8>-5</i8>", "size is -5", 0 },
		{ "buildtime", "<nil/>", "RPMs, row 1: buildtime is nil, not a whole number", 0 },
		{ "payloadhash", "<nil/>", "RPMs, row 1: payloadhash is nil, not a text", 0 },
		{ "sigkey", "<int>5</int>", "RPMs, row 1: sigkey is a whole number, not a text",
		  1 },
		{ "draft", "<int>1</int>", "RPMs, row 1: draft is a whole number, not a bool", 1 },
		{ "metadata_only", "<int>1</int>", "RPMs, row 1: metadata_only is a whole", 1 },
		{ "package_name", "<nil/>", "builds, row 1: package_name is nil, not a text", 0 },
		{ "nvr", "<nil/>", "builds, row 1: nvr is nil, not a text", 0 },
		{ "state", "<nil/>", "builds, row 1: state is nil, not a whole number", 0 },
		{ "volume_name", "<nil/>", "builds, row 1: volume_name is nil, not a text", 0 },
		{ "create_event", "<string/>", "builds, row 1: create_event is a text, not", 1 },
		{ "tag_name", "<int>1</int>", "builds, row 1: tag_name is a whole number, not", 1 },
	};
	_cleanup_(hub_freep) struct hub *hub = plain_hub();
	struct hub_listing_options options = {
		.event = 536, .inherit = true, .latest = true, .signatures = true
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct koji_listing *listing = NULL;
		struct error err = { 0 };
		char order[512];
		int r;

		/* the old value becomes that of a member nobody asked for */
		(void)snprintf(order, sizeof(order),
			       "{'do': 'misbehave', 'what': 'replace', 'old': '<name>%s</name>', "
			       "'new': '<name>%s</name><value>%s</value></member><member><name>x"
			       "</name>'}",
			       cases[i].field, cases[i].field, cases[i].value);
		replay_order(&replay, order);
		CHECK_INT(hub_list(hub, "f26-candidate", &options, &listing, &err), -EBADMSG);
		CHECK(strncmp(err.message, "Koji hub, listTaggedRPMS: ", 26) == 0);
		check_words(&err, cases[i].words);
		CHECK_STR(err.field, cases[i].field);
		CHECK_INT(err.blame, BLAME_SOURCE);
		(void)snprintf(order, sizeof(order),
			       "{'do': 'misbehave', 'what': 'replace', 'old': '<name>%s</name>', "
			       "'new': '<name>x</name>'}",
			       cases[i].field);
		replay_order(&replay, order);
		r = hub_list(hub, "f26-candidate", &options, &listing, &err);
		CHECK_INT(r, cases[i].may_be_missing ? 0 : -EBADMSG);
		if (r < 0)
			check_words(&err, "is missing");
		koji_listing_free(listing);
	}
}

static void test_odd_listings(void)
{
#define ANSWER(value)                                                                              \
	"<methodResponse><params><param><value>" value "</value></param></params></"               \
	"methodResponse>"
#define ARRAY(items) "<array><data>" items "</data></array>"
#define ITEM(value) "<value>" value "</value>"
	static const struct {
		const char *body, *words;
	} cases[] = {
		{ ANSWER("<nil/>"), "not an array of two arrays" },
		{ ANSWER("<struct/>"), "not an array of two arrays" },
		{ ANSWER(ARRAY("")), "not an array of two arrays" },
		{ ANSWER(ARRAY(ITEM(ARRAY("")))), "not an array of two arrays" },
		{ ANSWER(ARRAY(ITEM(ARRAY("")) ITEM("x"))), "not an array of two arrays" },
		{ ANSWER(ARRAY(ITEM(ARRAY("")) ITEM(ARRAY("")) ITEM(ARRAY("")))),
		  "not an array of two arrays" },
		{ ANSWER(ARRAY(ITEM(ARRAY(ITEM("x"))) ITEM(ARRAY("")))),
		  "RPMs, row 1: is a text, not a struct" },
		{ ANSWER(ARRAY(ITEM(ARRAY("")) ITEM(ARRAY(ITEM(ARRAY("")))))),
		  "builds, row 1: is an array, not a struct" },
	};
	_cleanup_(hub_freep) struct hub *hub = plain_hub();
	struct hub_listing_options options = { .event = HUB_NOW };
	struct koji_listing *listing = NULL;
	struct error err = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_(text_done) struct text order = { 0 };

		text_addf(&order, "{'do': 'misbehave', 'what': 'body', 'body': '%s'}",
			  cases[i].body);
		replay_order(&replay, order.data);
		CHECK_INT(hub_list(hub, "f26", &options, &listing, &err), -EBADMSG);
		check_words(&err, cases[i].words);
	}
	/* an RPM of a build that is not there */
	options = (struct hub_listing_options){ .event = 536, .inherit = true, .latest = true };
	replay_order(&replay, "{'do': 'misbehave', 'what': 'replace', 'old': '<int>160</int>', "
			      "'new': '<int>161</int>'}");
	CHECK_INT(hub_list(hub, "f26-candidate", &options, &listing, &err), -EBADMSG);
	check_words(&err, "is of build 161, which is not in the answer");
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
	CHECK_INT(hub_builds(hub, &nvrs, &listing, &place, &err), 0);
	CHECK_STR(err.message, "");
	if (!listing)
		return;
	CHECK_INT(listing->build_count, 2);
	CHECK_INT(place[1], HUB_NO_BUILD);
	CHECK_INT(place[3], HUB_NO_BUILD);
	CHECK_INT(place[0], place[4]);
	CHECK_INT(listing->build[place[0]].id, 160);
	CHECK_STR(koji_text(listing, listing->build[place[2]].nvr), "apr-1.6.3-1.fc26");
	CHECK(find_rpm(listing, "mod_ssl", "x86_64") && find_rpm(listing, "apr-devel", "aarch64"));
	CHECK_INT(listing->rpm_count, 21);
	check_order(listing);
	CHECK_INT(replay_count(&replay, "multiCall"), 2);
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
		char unknown_nvr[32];

		(void)snprintf(unknown_nvr, sizeof(unknown_nvr), "unknown%zu-1-1", i);
		strings_add(&nvrs, i % 2 == 0 && i < 300
					   ? koji_text(listing, listing->build[i / 2].nvr)
					   : unknown_nvr);
	}
	koji_listing_free(steal(listing));
	/* a broken batch is asked again, and nothing of it is there twice */
	replay_order(&replay, "{'do': 'misbehave', 'what': 'break', 'skip': 1}");
	CHECK_INT(hub_builds(hub, &nvrs, &listing, &place, &err), 0);
	CHECK_STR(err.message, "");
	if (!listing)
		return;
	for (size_t i = 0; i < nvrs.count; i++)
		unknown += place[i] == HUB_NO_BUILD;
	CHECK_INT(unknown, 260);
	CHECK_INT(listing->build_count, 150);
	CHECK_INT(listing->rpm_count, 450);
	CHECK_INT(replay_count(&replay, "multiCall"), 3 + 1 + 1);
	CHECK_INT(notices, 1);
	/* none at all */
	koji_listing_free(steal(listing));
	freep(&place);
	place = NULL;
	strings_done(&nvrs);
	nvrs = (struct strings){ 0 };
	CHECK_INT(hub_builds(hub, &nvrs, &listing, &place, &err), 0);
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
	replay_order(&replay, "{'do': 'misbehave', 'what': 'replace', 'old': "
			      "'<name>state</name>\\n<value><int>1', 'new': "
			      "'<name>state</name>\\n<value><int>2'}");
	CHECK_INT(hub_builds(hub, &nvrs, &listing, &place, &err), 0);
	CHECK_INT(listing ? listing->build_count : 0, 1);
	CHECK_INT(listing ? listing->build[0].state : 0, 2);
	CHECK_INT(listing ? listing->rpm_count : 1, 0);
	CHECK_INT(replay_count(&replay, "multiCall"), 1);
}

static void test_odd_builds(void)
{
#define FAULT(code)                                                                                \
	ITEM("<struct><member><name>faultCode</name><value><int>" code "</int></value></member>"   \
	     "<member><name>faultString</name><value>no luck</value></member><member><name>"       \
	     "traceback</name><value>" ARRAY(ITEM("/usr/share/koji-hub")) "</value></member>"      \
									  "</struct>")
	static const struct {
		const char *body;
		int r;
		const char *words;
	} cases[] = {
		{ ANSWER("<nil/>"), -EBADMSG, "the answer is not an array" },
		{ ANSWER(ARRAY("")), -EBADMSG, "0 answers to 2 calls" },
		{ ANSWER(ARRAY(FAULT("1000"))), -EBADMSG, "1 answers to 2 calls" },
		{ ANSWER(ARRAY(FAULT("1000") FAULT("1000") FAULT("1000"))), -EBADMSG,
		  "answer 3 of 2 was not asked for" },
		{ ANSWER(ARRAY(ITEM("<nil/>") ITEM("<nil/>"))), -EBADMSG,
		  "answer 1 of 2 is neither a value nor a fault" },
		{ ANSWER(ARRAY(FAULT("1000") ITEM(ARRAY("")))), -EBADMSG,
		  "answer 2 of 2 holds no value" },
		{ ANSWER(ARRAY(ITEM(ARRAY(ITEM("<nil/>") ITEM("<nil/>"))))), -EBADMSG,
		  "answer 1 of 2 holds two values" },
		{ ANSWER(ARRAY(ITEM(ARRAY(ITEM("<int>1</int>"))))), -EBADMSG,
		  "builds, row 1: is a whole number, not a struct" },
		{ ANSWER(ARRAY(ITEM(ARRAY(ITEM("<struct/>"))))), -EBADMSG,
		  "builds, row 1: id is missing" },
		{ ANSWER(ARRAY(FAULT("1000") FAULT("1"))), -EREMOTEIO,
		  "apr-1-1: no luck (fault 1)" },
	};
	_cleanup_(hub_freep) struct hub *hub = plain_hub();
	_cleanup_(strings_done) struct strings nvrs = { 0 };
	struct koji_listing *listing = NULL;
	uint32_t *place = NULL;
	struct error err = { 0 };

	strings_add(&nvrs, "a-1-1");
	strings_add(&nvrs, "apr-1-1");
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_(text_done) struct text order = { 0 };

		text_addf(&order, "{'do': 'misbehave', 'what': 'body', 'body': '%s'}",
			  cases[i].body);
		replay_order(&replay, order.data);
		CHECK_INT(hub_builds(hub, &nvrs, &listing, &place, &err), cases[i].r);
		CHECK(strncmp(err.message, "Koji hub, getBuild: ", 20) == 0);
		check_words(&err, cases[i].words);
		CHECK(!listing && !place);
	}
	/* the hub goes away in the middle of a batch: all of it is asked again */
	replay_order(&replay, "{'do': 'misbehave', 'what': 'body', 'body': '" ANSWER(
				      ARRAY(FAULT("1000") FAULT("1014"))) "'}");
	CHECK_INT(hub_builds(hub, &nvrs, &listing, &place, &err), 0);
	CHECK_INT(notices, 1);
	CHECK(place && place[0] == HUB_NO_BUILD && place[1] == HUB_NO_BUILD);
	koji_listing_free(listing);
	free(place);
}

/* ---- repetitions ---- */

static void test_repeated(void)
{
	static const char *const ways[] = {
		"'what': 'status', 'code': 503",
		"'what': 'status', 'code': 500",
		"'what': 'status', 'code': 408",
		"'what': 'close'",
		"'what': 'break'",
		"'what': 'fault', 'code': 1014, 'words': 'out'",
	};
	struct hub_event event = { 0 };
	struct error err = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
		_cleanup_(hub_freep) struct hub *hub = plain_hub();
		char order[256];

		(void)snprintf(order, sizeof(order), "{'do': 'misbehave', 'times': 3, %s}",
			       ways[i]);
		replay_order(&replay, order);
		CHECK_INT(hub_last_event(hub, &event, &err), 0);
		CHECK_INT(event.id, 536);
		/* libcurl itself asks again, once, when a kept connection turns out to be closed */
		CHECK(replay_count(&replay, "getLastEvent") == 4 || strstr(ways[i], "close"));
		CHECK(notices == 3 || (strstr(ways[i], "close") && notices >= 2));
		CHECK(strncmp(last_notice, "Koji hub, getLastEvent: ", 24) == 0);
		CHECK(strstr(last_notice, "; trying again in 0.") != NULL);
	}
}

static void test_not_repeated(void)
{
	static const struct {
		const char *way;
		int r;
		const char *words;
	} cases[] = {
		{ "'what': 'fault', 'code': 1, 'words': 'a\\nb'", -EREMOTEIO, "b (fault 1)" },
		{ "'what': 'fault', 'code': 1000", -EREMOTEIO, "no (fault 1000)" },
		{ "'what': 'fault', 'code': 1019", -EREMOTEIO, "no (fault 1019)" },
		{ "'what': 'status', 'code': 404", -ENOENT, "the server answered 404" },
		{ "'what': 'status', 'code': 400", -EBADMSG, "the server answered 400" },
		{ "'what': 'status', 'code': 403", -EACCES, "the server answered 403" },
		{ "'what': 'html'", -EBADMSG,
		  "the hub answered with HTML: Log in first Dear user" },
		{ "'what': 'half'", -EBADMSG, "the hub's answer ends in the middle" },
		{ "'what': 'body', 'body': ''", -EBADMSG, "the hub's answer is empty" },
		{ "'what': 'body', 'body': 'no luck'", -EBADMSG,
		  "no XML-RPC (syntax error): no luck" },
		{ "'what': 'redirect', 'to': 'file:///etc/passwd'", -EBADMSG, "is not followed" },
		{ "'what': 'spaces', 'where': 'front'", -EBADMSG, "it does not begin" },
		{ "'what': 'spaces', 'where': 'inside'", -EMSGSIZE, "white space" },
	};
	struct hub_event event = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_(hub_freep) struct hub *hub = plain_hub();
		struct error err = { 0 };
		char order[256];

		(void)snprintf(order, sizeof(order), "{'do': 'misbehave', 'times': -1, %s}",
			       cases[i].way);
		replay_order(&replay, order);
		CHECK_INT(hub_last_event(hub, &event, &err), cases[i].r);
		CHECK(strncmp(err.message, "Koji hub, getLastEvent: ", 24) == 0);
		check_words(&err, cases[i].words);
		CHECK_INT(replay_count(&replay, "getLastEvent"), 1);
		CHECK_INT(notices, 0);
	}
}

/* A hub that stays away: until the time is up, with pauses that grow */
static void test_deadlines(void)
{
	static const struct {
		const char *way;
		int r;
	} cases[] = {
		{ "'what': 'status', 'code': 503", -EIO },
		{ "'what': 'fault', 'code': 1014", -EREMOTEIO },
		{ "'what': 'delay', 'seconds': 3", -ETIMEDOUT },
		{ "'what': 'drip', 'seconds': 0.1", -ETIMEDOUT },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_(hub_freep) struct hub *hub = hub_with(700, 20);
		struct hub_event event = { .id = -7 };
		struct error err = { 0 };
		int64_t start = time_monotonic_ms(), took;
		char order[256];

		(void)snprintf(order, sizeof(order), "{'do': 'misbehave', 'times': -1, %s}",
			       cases[i].way);
		replay_order(&replay, order);
		CHECK_INT(hub_last_event(hub, &event, &err), cases[i].r);
		took = time_monotonic_ms() - start;
		CHECK(took >= 250 && took < 2000);
		CHECK_INT(event.id, -7);
		CHECK(i >= 2 || (notices >= 4 && notices <= 8));
		CHECK(i >= 2 || strstr(err.message, "(tried "));
	}
	for (int i = 0; i < 2; i++) { /* nobody there; the deadline of all calls counts too */
		struct hub_settings settings = { .url = "http://us3r:s3cret@127.0.0.1:1/kojihub",
						 .transport = transport,
						 .call_ms = i ? 60000 : 300,
						 .deadline_ms = i ? time_monotonic_ms() + 300 : 0,
						 .pause_ms = 20 };
		struct hub_event event;
		struct hub *hub = NULL;
		struct error err = { 0 };
		int64_t start = time_monotonic_ms();

		CHECK_INT(hub_new(&settings, &hub, &err), 0);
		CHECK_INT(hub_last_event(hub, &event, &err), -ECONNREFUSED);
		check_words(&err, "http://127.0.0.1:1/kojihub: no connection: Connection refused");
		CHECK(!strstr(err.message, "s3cret") && !strstr(err.message, "us3r"));
		CHECK(time_monotonic_ms() - start < 2000);
		if (i) { /* no time left at all */
			while (time_monotonic_ms() < settings.deadline_ms)
				;
			CHECK_INT(hub_last_event(hub, &event, &err), -ETIMEDOUT);
		}
		hub_free(hub);
	}
}

static void test_no_network(void)
{
	struct transport *local = NULL;
	struct hub_settings settings = { .url = replay.url };
	struct hub_event event;
	struct hub *hub = NULL;
	struct error err = { 0 };

	CHECK_INT(transport_local(NULL, true, 0, 0, &local, &err), 0);
	settings.transport = local;
	CHECK_INT(hub_new(&settings, &hub, &err), 0);
	CHECK_INT(hub_last_event(hub, &event, &err), -EPERM);
	CHECK_STR(err.message,
		  "Koji hub, getLastEvent: the network may not be used: none is configured");
	CHECK_INT(err.blame, BLAME_US);
	hub_free(hub);
	transport_free(local);
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

	replay_order(&replay, "{'do': 'add_tag', 'name': 'big', 'builds': 4000}");
	replay_order(&replay, "{'do': 'misbehave', 'what': 'gzip'}");
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
	struct error err = { 0 };

	if (argc != 3)
		return 2;
	replay_start(&replay, argv[1], NULL, NULL);
	CHECK_INT(
		transport_http(&(struct transport_network){ .connect_ms = 5000 }, &transport, &err),
		0);
	test_tags();
	test_events();
	test_list();
	test_list_of_arches();
	test_no_extra();
	test_fields();
	test_odd_listings();
	test_builds();
	test_many_builds();
	test_incomplete_builds();
	test_odd_builds();
	test_repeated();
	test_not_repeated();
	test_deadlines();
	test_no_network();
	test_big();
	test_paths(argv[2]);
	test_bad_paths();
	transport_free(transport);
	replay_stop(&replay);
	TEST_END();
}
