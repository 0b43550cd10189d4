/* SPDX-License-Identifier: MIT */
/* tests/unit/koji/trouble.c: a hub that does not behave: answers that make no sense, and calls that
 * are repeated or not.
 *
 *   test-koji-trouble REPLAYHUB.PY */
#include "tests/unit/koji/scene.h"
#include "tests/unit/test.h"

/* ---- answers that make no sense ---- */

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
		{ "epoch", "<int>-1</int>", "RPMs, row 1: epoch is -1", 0 },
		{ "epoch", "<i8>2147483648</i8>", "epoch is 2147483648", 0 },
		{ "arch", "<struct></struct>", "RPMs, row 1: arch is a struct, not a text", 0 },
		{ "size", "<double>1.5</double>", "RPMs, row 1: size is a number with a fr", 0 },
		{ "size", "<i8>-5</i8>", "size is -5", 0 },
		{ "buildtime", "<nil/>", "RPMs, row 1: buildtime is nil, not a whole number", 0 },
		{ "payloadhash", "<nil/>", "RPMs, row 1: payloadhash is nil, not a text", 0 },
		{ "sigkey", "<int>5</int>", "RPMs, row 1: sigkey is a whole number, not a text",
		  1 },
		{ "metadata_only", "<int>1</int>", "RPMs, row 1: metadata_only is a whole", 1 },
		{ "package_name", "<nil/>", "builds, row 1: package_name is nil, not a text", 0 },
		{ "state", "<nil/>", "builds, row 1: state is nil, not a whole number", 0 },
		{ "volume_name", "<nil/>", "builds, row 1: volume_name is nil, not a text", 0 },
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
		replay_order(&scene.replay, order);
		CHECK_INT(hub_list(hub, "f26-candidate", &options, &listing, &err), -EBADMSG);
		CHECK(strncmp(err.message, "Koji hub, listTaggedRPMS of f26-candidate: ", 43) == 0);
		CHECK_WORDS(err.message, cases[i].words);
		CHECK_STR(err.field, cases[i].field);
		CHECK_INT(err.blame, BLAME_SOURCE);
		(void)snprintf(order, sizeof(order),
			       "{'do': 'misbehave', 'what': 'replace', 'old': '<name>%s</name>', "
			       "'new': '<name>x</name>'}",
			       cases[i].field);
		replay_order(&scene.replay, order);
		r = hub_list(hub, "f26-candidate", &options, &listing, &err);
		CHECK_INT(r, cases[i].may_be_missing ? 0 : -EBADMSG);
		if (r < 0)
			CHECK_WORDS(err.message, "is missing");
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
		replay_order(&scene.replay, order.data);
		CHECK_INT(hub_list(hub, "f26", &options, &listing, &err), -EBADMSG);
		CHECK_WORDS(err.message, cases[i].words);
	}
	/* an RPM of a build that is not there */
	options = (struct hub_listing_options){ .event = 536, .inherit = true, .latest = true };
	replay_order(&scene.replay,
		     "{'do': 'misbehave', 'what': 'replace', 'old': '<int>160</int>', "
		     "'new': '<int>161</int>'}");
	CHECK_INT(hub_list(hub, "f26-candidate", &options, &listing, &err), -EBADMSG);
	CHECK_WORDS(err.message, "is of build 161, which is not in the answer");
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
		replay_order(&scene.replay, order.data);
		CHECK_INT(hub_builds(hub, &nvrs, NULL, &listing, &place, &err), cases[i].r);
		CHECK(strncmp(err.message, "Koji hub, getBuild: ", 20) == 0);
		CHECK_WORDS(err.message, cases[i].words);
		CHECK(!listing && !place);
	}
	/* the hub goes away in the middle of a batch: all of it is asked again */
	replay_order(&scene.replay, "{'do': 'misbehave', 'what': 'body', 'body': '" ANSWER(
					    ARRAY(FAULT("1000") FAULT("1014"))) "'}");
	CHECK_INT(hub_builds(hub, &nvrs, NULL, &listing, &place, &err), 0);
	CHECK_INT(scene.notices, 1);
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
		replay_order(&scene.replay, order);
		CHECK_INT(hub_last_event(hub, &event, &err), 0);
		CHECK_INT(event.id, 536);
		/* libcurl itself asks again, once, when a kept connection turns out to be closed */
		CHECK(replay_count(&scene.replay, "getLastEvent") == 4 || strstr(ways[i], "close"));
		CHECK(scene.notices == 3 || (strstr(ways[i], "close") && scene.notices >= 2));
		CHECK(strncmp(scene.last_notice, "Koji hub, getLastEvent: ", 24) == 0);
		CHECK(strstr(scene.last_notice, "; trying again in 0.") != NULL);
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
		replay_order(&scene.replay, order);
		CHECK_INT(hub_last_event(hub, &event, &err), cases[i].r);
		CHECK(strncmp(err.message, "Koji hub, getLastEvent: ", 24) == 0);
		CHECK_WORDS(err.message, cases[i].words);
		CHECK_INT(replay_count(&scene.replay, "getLastEvent"), 1);
		CHECK_INT(scene.notices, 0);
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
		replay_order(&scene.replay, order);
		CHECK_INT(hub_last_event(hub, &event, &err), cases[i].r);
		took = time_monotonic_ms() - start;
		CHECK(took >= 250 && took < 2000);
		CHECK_INT(event.id, -7);
		CHECK(i >= 2 || (scene.notices >= 4 && scene.notices <= 8));
		CHECK(i >= 2 || strstr(err.message, "(tried "));
	}
	for (int i = 0; i < 2; i++) { /* nobody there; the deadline of all calls counts too */
		struct hub_settings settings = { .url = "http://us3r:s3cret@127.0.0.1:1/kojihub",
						 .transport = scene.transport,
						 .call_ms = i ? 60000 : 300,
						 .deadline_ms = i ? time_monotonic_ms() + 300 : 0,
						 .pause_ms = 20 };
		struct hub_event event;
		struct hub *hub = NULL;
		struct error err = { 0 };
		int64_t start = time_monotonic_ms();

		CHECK_INT(hub_new(&settings, &hub, &err), 0);
		CHECK_INT(hub_last_event(hub, &event, &err), -ECONNREFUSED);
		CHECK_WORDS(err.message,
			    "http://127.0.0.1:1/kojihub: no connection: Connection refused");
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
	struct hub_settings settings = { .url = scene.replay.url };
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

int main(int argc, char **argv)
{
	if (argc != 2)
		return 2;
	scene_start(argv[1]);
	test_fields();
	test_odd_listings();
	test_odd_builds();
	test_repeated();
	test_not_repeated();
	test_deadlines();
	test_no_network();
	scene_stop();
	TEST_END();
}
