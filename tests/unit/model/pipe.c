/* SPDX-License-Identifier: MIT */
/* tests/unit/model/pipe.c: lines between server and worker: there and back, and lines of a liar. */
#include "tests/unit/model/rules.h"
#include "tests/unit/test.h"

#define HEX "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define OTHER "ff112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

static int parse(const char *line, struct message *ret, struct error *err)
{
	return message_parse(line, strlen(line), ret, err);
}

/* A good line, parsed and printed again, is the same line. */
static const char *const good[] = {
	"{\"type\":\"ready\"}",
	"{\"type\":\"progress\",\"id\":7,\"done\":3,\"total\":7,\"phase\":\"solve\",\"text\":\"\"}",
	"{\"type\":\"log\",\"id\":7,\"text\":\"two\\nlines \xc3\xa9\"}",
	"{\"type\":\"failed\",\"id\":7,\"text\":\"Unknown Koji tag x.\",\"blame\":\"source\"}",
	"{\"type\":\"failed\",\"id\":7,\"text\":\"\",\"blame\":\"request\",\"field\":\"packages\"}",
	"{\"type\":\"result\",\"id\":7,\"manifest\":\"" HEX
	"\",\"manifest_new\":true,\"koji_event\":1495872000,\"source\":\"a:1:2:3\",\"arches\":"
	"\"x86_64\","
	"\"sigkeys\":\"\",\"timestamp\":1495872001,\"packages_count\":151,\"size_bytes\":"
	"9223372036854775807,"
	"\"bytes_written\":1}",
	"{\"type\":\"result\",\"id\":7,\"manifest\":\"" HEX "\",\"manifest_new\":false,"
	"\"timestamp\":0,\"packages_count\":0,\"size_bytes\":0,\"bytes_written\":0}",
	"{\"type\":\"resolved\",\"id\":7,\"koji_event\":1495872000,\"inputs\":\"" HEX "\"}",
	"{\"type\":\"resolved\",\"id\":7,\"inputs\":\"" HEX "\"}",
	"{\"type\":\"files\",\"id\":7,\"blobs\":[\"" HEX "\",\"" OTHER "\"],\"packages\":[]}",
	"{\"type\":\"files\",\"id\":7,\"blobs\":[],\"packages\":[\"" OTHER "\"]}",
	"{\"type\":\"check\",\"id\":7,\"manifest\":\"" HEX "\"}",
	"{\"type\":\"checked\",\"id\":7,\"sound\":true,\"text\":\"\"}",
	"{\"type\":\"checked\",\"id\":7,\"sound\":false,\"text\":\"gone\"}",
	"{\"type\":\"go\",\"id\":7}",
	"{\"type\":\"stop\",\"id\":7}",
	"{\"type\":\"fetched\",\"id\":7,\"code\":0,\"text\":\"\"}",
	"{\"type\":\"fetched\",\"id\":7,\"code\":28,\"text\":\"full\"}",
	"{\"type\":\"fetch\",\"id\":7,\"base\":\"mirrorlist:http://h/l\",\"path\":\"p/a.rpm\",\"sha256\":\"" HEX
	"\",\"size\":9000,\"repo\":{\"allowed\":[\"http://h\"],\"names\":[],\"gpg_keys\":[],\"gpgcheck\":0,"
	"\"any_mirror\":false,\"call_seconds\":120,\"recheck_seconds\":60,\"rate\":0,\"connections\":3}}",
	"{\"type\":\"comes\",\"id\":7,\"done\":65536}",
	"{\"type\":\"fetch\",\"id\":7,\"base\":\"http://h/kojifiles\",\"path\":\"p/a.rpm\",\"sha256\":\"" HEX
	"\",\"size\":9000,\"early\":true,\"limit\":4096,\"koji\":{\"hub\":\"http://h/kojihub\",\"topurl\":\"http://u:p@h/kojifiles\","
	"\"sigkeys\":[],\"places\":[],\"call_seconds\":300}}",
	"{\"type\":\"compose\",\"id\":8,\"uid\":1,\"gid\":1,\"trusted\":true,\"allowed\":[],"
	"\"known_event\":536,\"repo\":{\"allowed\":[\"http://h/r\"],\"names\":[\"a=http://h/r\"],"
	"\"gpg_keys\":[\"/etc/key\"],\"gpgcheck\":1,\"any_mirror\":true,\"ca\":\"/etc/ca\","
	"\"proxy\":\"http://p:1\",\"call_seconds\":120,\"recheck_seconds\":60,\"rate\":1000,"
	"\"connections\":3},\"koji\":{\"hub\":\"http://h/kojihub\",\"topdir\":\"/mnt/koji\","
	"\"topurl\":\"http://h/kojifiles\",\"ca\":\"/etc/ca\",\"proxy\":\"http://p:3128\","
	"\"sigkeys\":[\"7ec1b334\",\"\"],\"places\":[\"http://h\"],\"call_seconds\":300},\"module\":{\"repos\":[\"/srv/m\"],"
	"\"base_modules\":[\"platform\"],\"mbs\":\"http://m/\",\"call_seconds\":120},"
	"\"before\":{\"timestamp\":5,"
	"\"manifest\":\"" HEX "\"},\"spec\":{\"source_type\":1,"
	"\"source\":["
	"\"f26\"],\"sigkeys\":[],\"arches\":[\"x86_64\"],\"multilib_arches\":[],\"lookaside_"
	"repos\":[],"
	"\"compose_type\":\"test\",\"target_dir\":\"default\",\"seconds_to_live\":86400,\"flags\":"
	"0,"
	"\"results\":1,\"multilib_method\":0}}",
	"{\"type\":\"compose\",\"id\":7,\"uid\":4294967295,\"gid\":0,\"trusted\":true,\"allowed\":["
	"\"/"
	"srv\"],\"spec\":{\"source_type\":3,\"source\":[\"/srv/r\"],\"packages\":[\"bash\"],"
	"\"sigkeys\":[],\"arches\":[\"x86_64\"],\"multilib_arches\":[],\"lookaside_repos\":[],"
	"\"compose_type\":\"test\",\"target_dir\":\"default\",\"seconds_to_live\":86400,\"flags\":"
	"0,"
	"\"results\":1,\"multilib_method\":0}}",
};

static void test_good(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		struct message message = { 0 };
		struct text text = { 0 };
		struct error err = { 0 };

		CHECK_INT(parse(good[i], &message, &err), 0);
		if (err.code)
			fprintf(stderr, "%s: %s\n", good[i], err.message);
		CHECK_INT(message_print(&message, &text), 0);
		CHECK(text.length && text.data[text.length - 1] == '\n');
		if (text.length)
			text.data[text.length - 1] = '\0';
		CHECK_STR(text.data, good[i]);
		text_done(&text);
		message_done(&message);
	}
}

static void test_members(void)
{
	struct message message = { 0 };
	struct error err = { 0 };

	CHECK_INT(parse(good[5], &message, &err), 0);
	CHECK_INT(message.type, PIPE_RESULT);
	CHECK_INT(message.outcome->id, 7);
	CHECK_INT(message.outcome->koji_event, 1495872000);
	CHECK_INT(message.outcome->size_bytes, INT64_MAX);
	CHECK_INT(message.outcome->timestamp, 1495872001);
	CHECK(message.outcome->manifest_new);
	CHECK_INT(message.outcome->blobs.count, 0);
	message_done(&message);
	CHECK_INT(parse(good[6], &message, &err), 0);
	CHECK_INT(message.outcome->koji_event, -1);
	CHECK(!message.outcome->source && !message.outcome->arches && !message.outcome->sigkeys);
	message_done(&message);
	CHECK_INT(parse(good[7], &message, &err), 0);
	CHECK_INT(message.type, PIPE_RESOLVED);
	CHECK_INT(message.resolution.koji_event, 1495872000);
	CHECK_STR(message.resolution.inputs, HEX);
	message_done(&message);
	CHECK_INT(parse(good[8], &message, &err), 0);
	CHECK_INT(message.resolution.koji_event, -1);
	message_done(&message);
	CHECK_INT(parse(good[9], &message, &err), 0);
	CHECK_INT(message.type, PIPE_FILES);
	CHECK_INT(message.outcome->id, 7);
	CHECK_INT(message.outcome->blobs.count, 2);
	CHECK_STR(message.outcome->blobs.item[1], OTHER);
	CHECK_INT(message.outcome->packages.count, 0);
	message_done(&message);
	CHECK_INT(parse(good[13], &message, &err), 0);
	CHECK(!message.sound);
	CHECK_STR(message.text, "gone");
	message_done(&message);
	CHECK_INT(parse(good[ARRAY_SIZE(good) - 1], &message, &err), 0);
	CHECK_INT(message.job->uid, 4294967295);
	CHECK(message.job->trusted);
	CHECK_STR(message.job->allowed.item[0], "/srv");
	CHECK_STR(message.job->spec->packages.item[0], "bash");
	CHECK_INT(message.job->id, 7);
	CHECK_INT(message.job->known_event, -1);
	CHECK(!message.job->koji.hub && !message.job->repo.allowed.count);
	CHECK(!message.job->before.manifest[0]);
	message_done(&message);
	CHECK_INT(parse(good[ARRAY_SIZE(good) - 2], &message, &err), 0);
	CHECK_INT(message.job->known_event, 536);
	CHECK_STR(message.job->repo.allowed.item[0], "http://h/r");
	CHECK_STR(message.job->repo.names.item[0], "a=http://h/r");
	CHECK_STR(message.job->repo.gpg_keys.item[0], "/etc/key");
	CHECK_INT(message.job->repo.gpgcheck, GPGCHECK_REPOMD);
	CHECK(message.job->repo.any_mirror);
	CHECK_STR(message.job->repo.proxy, "http://p:1");
	CHECK_INT(message.job->repo.recheck_seconds, 60);
	CHECK_INT(message.job->repo.connections, 3);
	CHECK_STR(message.job->koji.hub, "http://h/kojihub");
	CHECK_INT(message.job->koji.sigkeys.count, 2);
	CHECK_STR(message.job->koji.sigkeys.item[1], "");
	CHECK_INT(message.job->koji.call_seconds, 300);
	CHECK_STR(message.job->module.repos.item[0], "/srv/m");
	CHECK_STR(message.job->module.base_modules.item[0], "platform");
	CHECK_STR(message.job->module.mbs, "http://m/");
	CHECK_INT(message.job->module.call_seconds, 120);
	CHECK_INT(message.job->before.timestamp, 5);
	CHECK_STR(message.job->before.manifest, HEX);
	message_done(&message);
	CHECK_INT(parse(good[3], &message, &err), 0);
	CHECK_INT(message.blame, BLAME_SOURCE);
	CHECK_STR(message.field, NULL);
	message_done(&message);
	message_done(&message); /* twice is once */
}

static const char *const bad[] = {
	"",
	"{",
	"ready",
	"[]",
	"{}",
	"{\"type\":\"ready\"",
	"{\"type\":\"ready\"}{\"type\":\"ready\"}",
	"{\"type\":\"ready\",\"type\":\"ready\"}",
	"{\"type\":7}",
	"{\"type\":\"stop\"}",
	"{\"type\":\"go\",\"id\":0}",
	"{\"type\":\"resolved\",\"id\":1}",
	"{\"type\":\"resolved\",\"id\":1,\"inputs\":\"abc\"}",
	"{\"type\":\"resolved\",\"id\":1,\"koji_event\":-1,\"inputs\":\"" HEX "\"}",
	"{\"type\":\"resolved\",\"id\":1,\"koji_event\":null,\"inputs\":\"" HEX "\"}",
	"{\"type\":\"check\",\"id\":1,\"manifest\":\"../../etc/passwd\"}",
	"{\"type\":\"fetched\",\"id\":1,\"code\":-5,\"text\":\"\"}",
	"{\"type\":\"fetched\",\"id\":1,\"code\":5}",
	"{\"type\":\"fetch\",\"id\":1,\"base\":\"http://h\",\"path\":\"a\",\"sha256\":\"" HEX "\",\"size\":1}",
	"{\"type\":\"fetch\",\"id\":1,\"base\":\"http://h\",\"path\":\"a\",\"sha256\":\"x\",\"size\":1,\"repo\":{}}",
	"{\"type\":\"checked\",\"id\":1,\"sound\":1,\"text\":\"\"}",
	"{\"type\":\"checked\",\"id\":1,\"sound\":true}",
	"{\"type\":\"log\",\"id\":0,\"text\":\"\"}",
	"{\"type\":\"log\",\"id\":1.0,\"text\":\"\"}",
	"{\"type\":\"log\",\"text\":\"\"}",
	"{\"type\":\"log\",\"id\":1}",
	"{\"type\":\"log\",\"id\":1,\"text\":null}",
	"{\"type\":\"log\",\"id\":1,\"text\":\"\\u0000\"}",
	"{\"type\":\"progress\",\"id\":1,\"done\":-1,\"total\":7,\"phase\":\"\",\"text\":\"\"}",
	"{\"type\":\"progress\",\"id\":1,\"done\":1,\"total\":7,\"text\":\"\"}",
	"{\"type\":\"failed\",\"id\":1,\"text\":\"\"}",
	"{\"type\":\"failed\",\"id\":1,\"text\":\"\",\"blame\":\"you\"}",
	"{\"type\":\"failed\",\"id\":1,\"text\":\"\",\"blame\":\"us\",\"field\":1}",
	"{\"type\":\"result\",\"id\":1,\"manifest\":\"../x\",\"manifest_new\":false,"
	"\"timestamp\":0,\"packages_count\":0,\"size_bytes\":0,\"bytes_written\":0}",
	"{\"type\":\"files\",\"id\":1,\"blobs\":[\"../../etc\"],\"packages\":[]}",
	"{\"type\":\"files\",\"id\":1,\"blobs\":[],\"packages\":[\"../x\"]}",
	"{\"type\":\"files\",\"id\":1,\"blobs\":[],\"packages\":{}}",
	"{\"type\":\"files\",\"id\":1,\"blobs\":[]}",
	"{\"type\":\"files\",\"id\":1,\"packages\":[]}",
	"{\"type\":\"files\",\"id\":0,\"blobs\":[],\"packages\":[]}",
	"{\"type\":\"result\",\"id\":1,\"manifest\":\"" HEX "\",\"manifest_new\":0,"
	"\"timestamp\":0,\"packages_count\":0,\"size_bytes\":0,\"bytes_written\":0}",
	"{\"type\":\"result\",\"id\":1,\"manifest\":\"" HEX "\",\"manifest_new\":false,"
	"\"timestamp\":0,\"packages_count\":0,\"size_bytes\":-1,\"bytes_written\":0}",
	"{\"type\":\"result\",\"id\":1,\"manifest\":\"" HEX "\",\"manifest_new\":true,"
	"\"packages_count\":0,\"size_bytes\":0,\"bytes_written\":0}",
	"{\"type\":\"compose\",\"id\":1,\"uid\":0,\"gid\":0,\"trusted\":true,\"allowed\":[],"
	"\"before\":{\"timestamp\":1},\"spec\":{}}",
	"{\"type\":\"compose\",\"id\":1,\"uid\":-1,\"gid\":0,\"trusted\":true,\"allowed\":[],"
	"\"spec\":{}}",
	"{\"type\":\"compose\",\"id\":1,\"uid\":0,\"gid\":0,\"trusted\":true,\"allowed\":[]}",
	"{\"type\":\"log\",\"id\":1,\"text\":[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]}",
};

static void test_bad(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct message message = { .id = -7 };
		struct error err = { 0 };

		CHECK_INT(parse(bad[i], &message, &err), -EBADMSG);
		CHECK_INT(message.id, -7);
		CHECK(*err.message);
		if (!err.code)
			fprintf(stderr, "  for %s\n", bad[i]);
	}
}

/* A log line from outside may be any bytes; a line that is too long is not begun. */
static void test_print(void)
{
	struct message message = { .type = PIPE_LOG,
				   .id = 1,
				   .text = (char *)(uintptr_t) "a\xff\xc3" };
	struct text text = { 0 };

	CHECK_INT(message_print(&message, &text), 0);
	CHECK_STR(text.data,
		  "{\"type\":\"log\",\"id\":1,\"text\":\"a\xef\xbf\xbd\xef\xbf\xbd\"}\n");
	text_clear(&text);
	message.text = malloc(PIPE_LINE_MAX + 1);
	CHECK(message.text);
	if (message.text) {
		memset(message.text, 'x', PIPE_LINE_MAX);
		message.text[PIPE_LINE_MAX] = '\0';
		CHECK_INT(message_print(&message, &text), 0); /* a line of the log is cut */
		CHECK(text.length > PIPE_TEXT_MAX && text.length < PIPE_TEXT_MAX + 100);
		CHECK_WORDS(text.data, "xxx...\"}\n");
		text_clear(&text);
		message.type = PIPE_FAILED;
		CHECK_INT(message_print(&message, &text), -EMSGSIZE);
		CHECK_INT(text.length, 0);
		message.text[PIPE_LINE_MAX - 100] = '\0';
		CHECK_INT(message_print(&message, &text), 0);
	}
	free(message.text);
	text_done(&text);
}

static void add_names(struct strings *list, size_t count, const char *salt)
{
	for (size_t i = 0; i < count; i++) {
		char word[32], name[DIGEST_HEX_SIZE];

		(void)snprintf(word, sizeof(word), "%s %zu", salt, i);
		sha256_hex(word, strlen(word), name);
		CHECK_INT(strings_add(list, name), 0);
	}
}

/* Each line fits, and all of them are the whole */
static void test_files(size_t blobs, size_t packages)
{
	struct outcome made = { .id = 7 }, got = { .id = 7 };
	struct outcome *part = NULL;
	struct error err = { 0 };
	size_t at = 0, lines = 0;

	add_names(&made.blobs, blobs, "blob");
	add_names(&made.packages, packages, "package");
	while (outcome_part(&made, &at, &part) == 1) {
		struct message sent = { .type = PIPE_FILES, .outcome = part }, heard = { 0 };
		struct text line = { 0 };

		CHECK_INT(message_print(&sent, &line), 0);
		CHECK(line.length < PIPE_LINE_MAX);
		CHECK_INT(message_parse(line.data, line.length - 1, &heard, &err), 0);
		CHECK_INT(outcome_join(&got, heard.outcome), 0);
		CHECK_INT(heard.outcome->blobs.count + heard.outcome->packages.count, 0);
		lines++;
		text_done(&line);
		message_done(&heard);
		message_done(&sent);
	}
	CHECK_INT(lines, (blobs + packages + PIPE_FILES_MAX - 1) / PIPE_FILES_MAX);
	CHECK_INT(got.blobs.count, blobs);
	CHECK_INT(got.packages.count, packages);
	for (size_t i = 0; i < got.blobs.count; i++)
		CHECK_STR(got.blobs.item[i], made.blobs.item[i]);
	for (size_t i = 0; i < got.packages.count; i++)
		CHECK_STR(got.packages.item[i], made.packages.item[i]);
	strings_done(&made.blobs);
	strings_done(&made.packages);
	strings_done(&got.blobs);
	strings_done(&got.packages);
}

/* Who never comes to an end is not listened to for ever */
static void test_endless(void)
{
	struct outcome got = { 0 };
	size_t parts = 0;
	int r;

	do {
		struct outcome part = { 0 };

		add_names(&part.blobs, parts % 2 ? PIPE_FILES_MAX : 0, "b");
		add_names(&part.packages, parts % 2 ? 0 : PIPE_FILES_MAX, "p");
		r = outcome_join(&got, &part);
		strings_done(&part.blobs);
		strings_done(&part.packages);
	} while (r == 0 && ++parts < 1000);
	CHECK_INT(r, -E2BIG);
	CHECK_INT(parts, OUTCOME_MAX_FILES / PIPE_FILES_MAX);
	strings_done(&got.blobs);
	strings_done(&got.packages);
}

int main(void)
{
	test_good();
	test_members();
	test_bad();
	test_print();
	test_files(0, 0);
	test_files(1, 0);
	test_files(5, PIPE_FILES_MAX - 5);
	test_files(PIPE_FILES_MAX + 1, 0);
	test_files(30, 100000); /* in one line that was too much */
	test_endless();
	TEST_END();
}
