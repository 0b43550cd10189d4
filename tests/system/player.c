/* SPDX-License-Identifier: MIT */
/* tests/system/player.c: the worker's part, played by a test (player.h). */
#include "tests/system/player.h"

#include "tests/unit/tree/writer.h"

#include <poll.h>
#include <stdatomic.h>

#define PACKAGE_BYTES 300007
#define SOURCE_FILE "source/f/foo-1.0-1.noarch.rpm"
#define SOURCE_SUM "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

static _Atomic int64_t clock_offset, clock_stopped; /* a test program may have a variable */

int64_t player_now(void)
{
	int64_t stopped = atomic_load(&clock_stopped);

	return stopped ? stopped : time_now() + atomic_load(&clock_offset);
}

/* ---- a tree by hand -------------------------------------------------------- */

static void put_source(struct player *player, unsigned int factor)
{
	static char bytes[PACKAGE_BYTES];

	for (size_t i = 0; i < PACKAGE_BYTES; i++)
		bytes[i] = (char)((i * factor + i / 251) & 0xff);
	put_file(player->folder_fd, SOURCE_FILE, bytes, sizeof(bytes));
}

static struct entry package_entry(struct player *player, const char *path, const char *base)
{
	struct stat st;

	if (fstatat(player->folder_fd, SOURCE_FILE, &st, 0) < 0)
		put_source(player, 31);
	if (fstatat(player->folder_fd, SOURCE_FILE, &st, 0) < 0)
		abort();
	return (struct entry){
		.path = path,
		.type = MANIFEST_PACKAGE,
		.flags = MANIFEST_SHA256,
		.digest = SOURCE_SUM,
		.size = (uint64_t)st.st_size,
		.mtime = 1600000000,
		.base = base,
		.source_path = "f/foo-1.0-1.noarch.rpm",
		.nevra = "foo-1.0-1.noarch",
		.reason = "requested",
		.checksum = "sha256:" SOURCE_SUM,
		.origin = "file:///srv/repo/f/foo-1.0-1.noarch.rpm",
		.source_mtime_ns = st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec,
		.source_ino = st.st_ino,
	};
}

static void put_named(struct player *player, const char *folder, const void *bytes, size_t length,
		      char ret[static DIGEST_HEX_SIZE])
{
	char path[128];

	sha256_hex(bytes, length, ret);
	(void)snprintf(path, sizeof(path), "%s/%.64s", folder, ret);
	put_file(player->folder_fd, path, bytes, length);
}

static void manifest_make(struct player *player, size_t files, char ret[static DIGEST_HEX_SIZE])
{
	static const struct {
		const char *path, *bytes;
		uint8_t type;
	} blobs[] = {
		{ "compose/Temporary/x86_64/os/repodata/repomd.xml", "<repomd/>\n", MANIFEST_BLOB },
		{ "compose/Temporary/x86_64/os/repodata/a&b <c>\"d'%41.txt", "odd\n",
		  MANIFEST_BLOB },
		{ "compose/Temporary/x86_64/os/repodata/empty", "", MANIFEST_BLOB },
		{ "compose/metadata/rpms.json", "\"rpms\": {}}}\n", MANIFEST_RPMS_JSON },
	};
	char base[512], digest[ARRAY_SIZE(blobs)][DIGEST_HEX_SIZE], name[128];
	struct entry *entries = calloc(ARRAY_SIZE(blobs) + files, sizeof(*entries));
	struct strings paths = { 0 };
	struct text manifest = { 0 };

	if (!entries)
		abort();
	for (size_t i = 0; i < ARRAY_SIZE(blobs); i++) {
		put_named(player, "blobs", blobs[i].bytes, strlen(blobs[i].bytes), digest[i]);
		entries[i] = (struct entry){ .path = blobs[i].path,
					     .type = blobs[i].type,
					     .size = strlen(blobs[i].bytes),
					     .digest = digest[i] };
	}
	(void)snprintf(base, sizeof(base), "%s/source", player->folder);
	for (size_t i = 0; i < files; i++) {
		(void)snprintf(name, sizeof(name),
			       "compose/Temporary/x86_64/os/Packages/%c/foo%s%zu-1.0-1.noarch.rpm",
			       (int)('a' + (i + 5) % 26), i ? "" : "-first", i);
		if (strings_add(&paths, name) < 0)
			abort();
		entries[ARRAY_SIZE(blobs) + i] =
			package_entry(player, paths.item[paths.count - 1], base);
	}
	write_manifest(entries, ARRAY_SIZE(blobs) + files, &manifest);
	put_named(player, "manifests", manifest.data, manifest.length, ret);
	text_done(&manifest);
	strings_done(&paths);
	free(entries);
}

/* ---- commands ----------------------------------------------------------------- */

static int submit(struct player *player, const char *text, int64_t *ret_id, struct error *err)
{
	_cleanup_(spec_freep) struct spec *spec = NULL;
	struct submission submission = { .owner = "unknown", .uid = 65534, .gid = 65534 };
	int r = spec_parse(text, strlen(text), player->rules, &spec, NULL, NULL, err);

	if (r < 0)
		return r;
	submission.spec = spec;
	submission.text = text;
	submission.text_length = strlen(text);
	return catalogue_submit(player->catalogue, &submission, ret_id, NULL, err);
}

static int add_rows(struct player *player, int64_t count, struct error *err)
{
	for (int64_t i = 0; i < count; i++) {
		char text[256];
		int64_t id;
		int r;

		(void)snprintf(text, sizeof(text),
			       "{\"source\":{\"type\":\"tag\",\"source\":\"f%d\",\"packages\":"
			       "[\"httpd\",\"nginx\",\"bash\"],\"sigkeys\":[\"aabbccdd\"]},"
			       "\"arches\":[\"x86_64\",\"s390x\"],\"seconds_to_live\":%d}",
			       (int)(i % 40), 4000 + (int)(i % 1000));
		r = submit(player, text, &id, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int claim(struct player *player, int64_t *ret, struct error *err)
{
	_cleanup_(compose_freep) struct compose *compose = NULL;
	int r = catalogue_claim(player->catalogue, &compose, err);

	*ret = r > 0 ? compose->id : 0;
	return r;
}

/* @rest: "[FILES [EVENT [SOURCE]]]" */
static int finish(struct player *player, int64_t id, const char *rest, struct error *err)
{
	char manifest[DIGEST_HEX_SIZE], source[256] = "";
	int64_t files = 1, event = -1;
	struct outcome outcome = { .id = id, .manifest = manifest };

	if (rest)
		(void)sscanf(rest, "%" SCNd64 " %" SCNd64 " %255[^\n]", &files, &event, source);
	manifest_make(player, (size_t)files, manifest);
	outcome.koji_event = event;
	outcome.source = *source ? source : NULL;
	outcome.packages_count = files;
	outcome.size_bytes = PACKAGE_BYTES * files;
	return catalogue_finish(player->catalogue, id, &outcome, err);
}

/* @rest: "EVENT INPUTS" */
static int resolution_read(const char *rest, struct resolution *ret)
{
	char inputs[64];

	if (!rest || sscanf(rest, "%" SCNd64 " %63s", &ret->koji_event, inputs) != 2)
		return -EINVAL;
	sha256_hex(inputs, strlen(inputs), ret->inputs);
	return 0;
}

static bool take_first(void *data, const struct compose *candidate)
{
	*(int64_t *)data = candidate->id;
	return true;
}

/* "resolve", and with @ret_candidate "candidate" */
static int resolve(struct player *player, int64_t id, const char *rest, int64_t *ret_candidate,
		   struct error *err)
{
	_cleanup_(compose_freep) struct compose *compose = NULL;
	struct resolution resolution = { 0 };
	int r = resolution_read(rest, &resolution);

	if (r >= 0)
		r = catalogue_get(player->catalogue, id, &compose, err);
	if (r < 0)
		return r;
	if (!ret_candidate)
		return catalogue_resolved(player->catalogue, id, compose->spec, &resolution, err);
	*ret_candidate = 0;
	return catalogue_candidates(player->catalogue, id, compose->spec, &resolution, take_first,
				    ret_candidate, err);
}

static void tell_changed(struct player *player, int64_t id)
{
	if (player->changed)
		player->changed(player->data, id);
}

static int add_log(struct player *player, int64_t id, const char *line, struct error *err)
{
	_cleanup_(closep) int fd = tree_store_log_open(player->trees, id, true, err);
	int r = fd < 0 ? fd : dprintf(fd, "%s\n", line);

	tell_changed(player, id);
	return r < 0 ? r : 0;
}

static int set_progress(struct player *player, int64_t id, const char *rest)
{
	struct progress progress = { 0 };

	if (sscanf(rest, "%" SCNd64 " %" SCNd64 " %31s %255[^\n]", &progress.done, &progress.total,
		   progress.phase, progress.text) < 3)
		return -EINVAL;
	catalogue_progress_set(player->catalogue, id, &progress);
	tell_changed(player, id);
	return 0;
}

static int obey_clock(struct player *player, const char *verb, int64_t value, const char *rest,
		      int64_t *ret, struct error *err)
{
	if (!strcmp(verb, "expire"))
		return catalogue_expire(player->catalogue, player_now(), ret, err);
	if (!strcmp(verb, "clock"))
		atomic_store(&clock_offset, value);
	else if (!strcmp(verb, "stop"))
		atomic_store(&clock_stopped, value);
	else
		return -EINVAL;
	return 0;
}

static int obey_reuse(struct player *player, const char *verb, int64_t value, const char *rest,
		      int64_t *ret, struct error *err)
{
	if (!strcmp(verb, "resolve"))
		return resolve(player, value, rest, NULL, err);
	if (!strcmp(verb, "candidate"))
		return resolve(player, value, rest, ret, err);
	if (!strcmp(verb, "reuse"))
		return catalogue_reuse(player->catalogue, value, rest ? atoll(rest) : 0, err);
	if (!strcmp(verb, "unclaim"))
		return catalogue_unclaim(player->catalogue, value, err);
	return -EINVAL;
}

static int obey(struct player *player, const char *verb, int64_t value, const char *rest,
		int64_t *ret, struct error *err)
{
	int (*const more[])(struct player *, const char *, int64_t, const char *, int64_t *,
			    struct error *) = { obey_reuse, obey_clock };
	int r = -EINVAL;

	*ret = value;
	if (!strcmp(verb, "claim"))
		return claim(player, ret, err);
	if (!strcmp(verb, "finish"))
		return finish(player, value, rest, err);
	if (!strcmp(verb, "fail"))
		return catalogue_fail(player->catalogue, value, rest ? rest : "", err);
	if (!strcmp(verb, "requeue"))
		return catalogue_requeue(player->catalogue, ret, err);
	if (!strcmp(verb, "progress"))
		return set_progress(player, value, rest ? rest : "");
	if (!strcmp(verb, "log"))
		return add_log(player, value, rest ? rest : "", err);
	if (!strcmp(verb, "rows"))
		return add_rows(player, value, err);
	if (!strcmp(verb, "spoil")) {
		put_source(player, 37);
		return 0;
	}
	for (size_t i = 0; i < ARRAY_SIZE(more) && r == -EINVAL; i++)
		r = more[i](player, verb, value, rest, ret, err);
	return r == -EINVAL && player->other
		       ? player->other(player->data, verb, value, rest, ret, err)
		       : r;
}

/* "VERB [NUMBER [REST]]", or "row SPEC" */
static int obey_line(struct player *player, char *line, int64_t *ret, struct error *err)
{
	char *number = strchr(line, ' '), *rest = NULL;
	int64_t value = 0;

	if (number)
		*number++ = '\0';
	if (!strcmp(line, "row"))
		return submit(player, number ? number : "", ret, err);
	if (number && (rest = strchr(number, ' ')))
		*rest++ = '\0';
	if (number && parse_int64(number, &value) < 0)
		return -EINVAL;
	return obey(player, line, value, rest, ret, err);
}

/* false: "quit" */
static bool answer_line(struct player *player, char *line)
{
	struct error err = { 0 };
	int64_t number = 0;
	int r;

	if (!strcmp(line, "quit"))
		return false;
	r = obey_line(player, line, &number, &err);
	if (r < 0)
		printf("error %d %s\n", r, err.message);
	else
		printf("ok %" PRId64 "\n", number);
	(void)fflush(stdout);
	return true;
}

void player_listen(struct player *player)
{
	struct pollfd in = { .fd = STDIN_FILENO, .events = POLLIN };
	int64_t ticked = time_monotonic_ms();
	char line[65536];
	size_t have = 0;

	for (;;) {
		char *end = memchr(line, '\n', have);

		if (player->idle && time_monotonic_ms() - ticked >= player->tick_ms) {
			player->idle(player->data);
			ticked = time_monotonic_ms();
		}
		if (end) {
			*end++ = '\0';
			if (!answer_line(player, line))
				return;
			have -= (size_t)(end - line);
			memmove(line, end, have);
		} else if (poll(&in, 1, player->tick_ms) > 0) {
			ssize_t n = read(STDIN_FILENO, line + have, sizeof(line) - have);

			if (n <= 0)
				return;
			have += (size_t)n;
		}
	}
}
