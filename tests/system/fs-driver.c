/* SPDX-License-Identifier: MIT */
/* tests/system/fs-driver.c: the mounted tree with a catalogue and trees, but without workers: what
 * they would do is done by commands on stdin, one per line, each answered by one line.
 *
 *   claim | finish ID [FILES] | fail ID WORDS | reuse ID OLD | progress ID DONE TOTAL PHASE TEXT
 *   log ID TEXT | rest TEXT | expire | hold 0|1 | drain 0|1 | reap SECONDS | opens ID
 *   spoil | mend | unmounted | mount | quit
 *
 * usage: fs-driver STATE MOUNTPOINT [KEY=NUMBER]... with drafts, live, aliases, may_expire,
 * draft_ttl, default, maximum. Prints "ready" first. Composes expire by themselves unless held. */
#include "fs/fs.h"
#include "tests/unit/tree/writer.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

#define PACKAGE_BYTES 300007
#define TICK_MS 50
#define SOURCE_FILE "source/f/foo-1.0-1.noarch.rpm"

struct driver {
	int folder_fd;
	char folder[256];
	bool hold;
	struct catalogue *catalogue;
	struct tree_store *trees;
	struct fs *fs;
	pthread_t run, notify;
	bool running;
	bool notifying;
	int64_t refuse; /* this uid makes no requests */
	struct strings arches, base_modules, target_dirs, raw_configs;
	struct spec_rules rules;
	struct fs_options options;
};

static int authorise(void *data, uint32_t uid, uint32_t gid, const struct spec *spec,
		     struct error *err)
{
	if (spec->source.count && !strcmp(spec->source.item[0], "/forbidden"))
		return error_set(err, -EACCES, BLAME_REQUEST, "source.source",
				 "/forbidden: not allowed");
	return 0;
}

static int admit(void *data, uint32_t uid, uint32_t gid)
{
	struct driver *driver = data;

	return uid && uid == driver->refuse ? -EACCES : 0;
}

static int metrics(void *data, struct text *ret)
{
	return text_adds(ret, "# TYPE odcsfs_driver gauge\nodcsfs_driver 1\n");
}

/* ---- a tree by hand -------------------------------------------------------- */

static void put_source(struct driver *driver, unsigned int factor)
{
	static char bytes[PACKAGE_BYTES];

	for (size_t i = 0; i < PACKAGE_BYTES; i++)
		bytes[i] = (char)((i * factor + i / 251) & 0xff);
	put_file(driver->folder_fd, SOURCE_FILE, bytes, sizeof(bytes));
}

static struct entry package_entry(struct driver *driver, const char *path, const char *base)
{
	struct stat st;

	if (fstatat(driver->folder_fd, SOURCE_FILE, &st, 0) < 0)
		put_source(driver, 31);
	if (fstatat(driver->folder_fd, SOURCE_FILE, &st, 0) < 0)
		abort();
	return (struct entry){
		.path = path,
		.type = MANIFEST_PACKAGE,
		.flags = MANIFEST_SHA256,
		.digest = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff",
		.size = (uint64_t)st.st_size,
		.mtime = 1600000000,
		.base = base,
		.source_path = "f/foo-1.0-1.noarch.rpm",
		.nevra = "foo-1.0-1.noarch",
		.reason = "requested",
		.checksum = "sha256:"
			    "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff",
		.origin = "file:///srv/repo/f/foo-1.0-1.noarch.rpm",
		.source_mtime_ns = st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec,
		.source_ino = st.st_ino,
	};
}

static void put_named(struct driver *driver, const char *folder, const void *bytes, size_t length,
		      char ret[static DIGEST_HEX_SIZE])
{
	char path[128];

	sha256_hex(bytes, length, ret);
	(void)snprintf(path, sizeof(path), "%s/%.64s", folder, ret);
	put_file(driver->folder_fd, path, bytes, length);
}

static void manifest_make(struct driver *driver, size_t files, char ret[static DIGEST_HEX_SIZE])
{
	static const struct {
		const char *path, *bytes;
		uint8_t type;
	} blobs[] = {
		{ "compose/Temporary/x86_64/os/repodata/repomd.xml", "<repomd/>\n", MANIFEST_BLOB },
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
		put_named(driver, "blobs", blobs[i].bytes, strlen(blobs[i].bytes), digest[i]);
		entries[i] = (struct entry){ .path = blobs[i].path,
					     .type = blobs[i].type,
					     .size = strlen(blobs[i].bytes),
					     .digest = digest[i] };
	}
	(void)snprintf(base, sizeof(base), "%s/source", driver->folder);
	for (size_t i = 0; i < files; i++) {
		(void)snprintf(name, sizeof(name),
			       "compose/Temporary/x86_64/os/Packages/%c/foo%s%zu-1.0-1.noarch.rpm",
			       (int)('a' + (i + 5) % 26), i ? "" : "-first", i);
		if (strings_add(&paths, name) < 0)
			abort();
		entries[ARRAY_SIZE(blobs) + i] =
			package_entry(driver, paths.item[paths.count - 1], base);
	}
	write_manifest(entries, ARRAY_SIZE(blobs) + files, &manifest);
	put_named(driver, "manifests", manifest.data, manifest.length, ret);
	text_done(&manifest);
	strings_done(&paths);
	free(entries);
}

static int finish(struct driver *driver, int64_t id, int64_t files, struct error *err)
{
	char manifest[DIGEST_HEX_SIZE];
	struct outcome outcome = { .id = id,
				   .manifest = manifest,
				   .koji_event = -1,
				   .packages_count = files,
				   .size_bytes = PACKAGE_BYTES * files };

	manifest_make(driver, (size_t)files, manifest);
	return catalogue_finish(driver->catalogue, id, &outcome, err);
}

/* ---- commands ----------------------------------------------------------------- */

static int submit_rest(struct driver *driver, const char *text, int64_t *ret_id, struct error *err)
{
	_cleanup_(spec_freep) struct spec *spec = NULL;
	struct submission submission = { .owner = "unknown", .uid = 65534, .gid = 65534 };
	int r = spec_parse(text, strlen(text), &driver->rules, &spec, NULL, NULL, err);

	if (r < 0)
		return r;
	submission.spec = spec;
	submission.text = text;
	submission.text_length = strlen(text);
	return catalogue_submit(driver->catalogue, &submission, ret_id, NULL, err);
}

static int claim(struct driver *driver, int64_t *ret_number, struct error *err)
{
	_cleanup_(compose_freep) struct compose *compose = NULL;
	int r = catalogue_claim(driver->catalogue, &compose, err);

	*ret_number = r > 0 ? compose->id : 0;
	return r;
}

static int add_log(struct driver *driver, int64_t id, const char *text, struct error *err)
{
	_cleanup_(closep) int fd = tree_store_log_open(driver->trees, id, true, err);
	int r = fd < 0 ? fd : dprintf(fd, "%s\n", text);

	fs_progress(driver->fs, id);
	return r < 0 ? r : 0;
}

static int set_progress(struct driver *driver, int64_t id, const char *rest)
{
	struct progress progress = { 0 };

	if (!rest || sscanf(rest, "%" SCNd64 " %" SCNd64 " %31s %255[^\n]", &progress.done,
			    &progress.total, progress.phase, progress.text) < 3)
		return -EINVAL;
	catalogue_progress_set(driver->catalogue, id, &progress);
	fs_progress(driver->fs, id);
	return 0;
}

static void *run_fs(void *data)
{
	struct driver *driver = data;
	struct error err = { 0 };

	if (fs_run(driver->fs, &err) < 0)
		fprintf(stderr, "fs_run: %s\n", err.message);
	return NULL;
}

static void *run_notify(void *data)
{
	fs_notify_run(((struct driver *)data)->fs);
	return NULL;
}

static int mount_again(struct driver *driver, struct error *err)
{
	int r;

	if (driver->running) {
		(void)pthread_join(driver->run, NULL);
		driver->running = false;
	}
	r = fs_mount(driver->fs, err);
	if (r < 0)
		return r;
	r = -pthread_create(&driver->run, NULL, run_fs, driver);
	driver->running = !r;
	return r;
}

/* "VERB [NUMBER [REST]]"; catalogue words first, then those of the driver itself */
static int other_command(struct driver *driver, const char *verb, int64_t value, int64_t *ret,
			 struct error *err)
{
	if (!strcmp(verb, "expire"))
		return catalogue_expire(driver->catalogue, time_now(), ret, err);
	if (!strcmp(verb, "reap"))
		return catalogue_request_reap(driver->catalogue, time_now() - value, ret, err);
	if (!strcmp(verb, "hold"))
		driver->hold = value;
	else if (!strcmp(verb, "drain"))
		fs_drain(driver->fs, value);
	else if (!strcmp(verb, "opens"))
		*ret = fs_open_files(driver->fs, value);
	else if (!strcmp(verb, "spoil"))
		put_source(driver, 37);
	else if (!strcmp(verb, "unmounted"))
		*ret = !fs_mounted(driver->fs);
	else if (!strcmp(verb, "mount"))
		return mount_again(driver, err);
	else
		return -EINVAL;
	return 0;
}

static int command(struct driver *driver, char *line, int64_t *ret, struct error *err)
{
	char *number = strchr(line, ' '), *rest = NULL;
	int64_t value = 0;

	if (number)
		*number++ = '\0';
	if (!strcmp(line, "rest"))
		return submit_rest(driver, number ? number : "", ret, err);
	if (number && (rest = strchr(number, ' ')))
		*rest++ = '\0';
	if (number && parse_int64(number, &value) < 0)
		return -EINVAL;
	*ret = value;
	if (!strcmp(line, "claim"))
		return claim(driver, ret, err);
	if (!strcmp(line, "fail"))
		return catalogue_fail(driver->catalogue, value, rest ? rest : "", err);
	if (!strcmp(line, "finish"))
		return finish(driver, value, rest ? atoll(rest) : 1, err);
	if (!strcmp(line, "reuse"))
		return catalogue_reuse(driver->catalogue, value, rest ? atoll(rest) : 0, err);
	if (!strcmp(line, "progress"))
		return set_progress(driver, value, rest);
	if (!strcmp(line, "log"))
		return add_log(driver, value, rest ? rest : "", err);
	return other_command(driver, line, value, ret, err);
}

static void commands(struct driver *driver)
{
	struct pollfd in = { .fd = STDIN_FILENO, .events = POLLIN };
	char line[65536];
	size_t have = 0;

	for (;;) {
		struct error err = { 0 };
		char *end = memchr(line, '\n', have);
		int64_t number = 0;

		if (end) {
			*end++ = '\0';
			if (!strcmp(line, "quit"))
				return;
			int r = command(driver, line, &number, &err);
			if (r < 0)
				printf("error %d %s\n", r, err.message);
			else
				printf("ok %" PRId64 "\n", number);
			(void)fflush(stdout);
			have -= (size_t)(end - line);
			memmove(line, end, have);
		} else if (poll(&in, 1, TICK_MS) > 0) {
			ssize_t n = read(STDIN_FILENO, line + have, sizeof(line) - have);

			if (n <= 0)
				return;
			have += (size_t)n;
		} else if (!driver->hold) {
			(void)catalogue_expire(driver->catalogue, time_now(), &number, &err);
		}
	}
}

/* ---- start ------------------------------------------------------------------------ */

static void on_change(void *data, const struct catalogue_event *event)
{
	struct driver *driver = data;

	if (driver->fs)
		fs_changed(driver->fs, event);
}

static void set_option(struct driver *driver, const char *word)
{
	struct fs_options *options = &driver->options;
	const char *equals = strchr(word, '=');
	int64_t value = equals ? atoll(equals + 1) : 0;
	size_t length = equals ? (size_t)(equals - word) : 0;
	const struct {
		const char *name;
		int64_t *place;
	} numbers[] = {
		{ "drafts", &options->drafts_per_user },
		{ "live", &options->live_composes_per_user },
		{ "refuse", &driver->refuse },
		{ "draft_ttl", &options->draft_ttl },
		{ "default", &driver->rules.default_seconds_to_live },
		{ "maximum", &driver->rules.maximum_seconds_to_live },
	};

	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
		if (strlen(numbers[i].name) == length && !strncmp(word, numbers[i].name, length))
			*numbers[i].place = value;
	if (!strncmp(word, "aliases=", 8))
		options->list_aliases = value;
	if (!strncmp(word, "threads=", 8))
		options->threads = (unsigned int)value;
	if (!strncmp(word, "read_mode=", 10))
		options->read_mode = (enum fs_read_mode)value;
	if (!strncmp(word, "may_expire=", 11))
		options->owner_may_expire = value;
}

static int start(struct driver *driver, const char *mountpoint, struct error *err)
{
	static char local[512];
	char path[512];
	int r;

	(void)snprintf(path, sizeof(path), "%s/catalogue.sqlite", driver->folder);
	(void)snprintf(local, sizeof(local), "%s/composes", mountpoint);
	r = catalogue_open(path, NULL, &driver->catalogue, err);
	if (r >= 0)
		r = catalogue_watch(driver->catalogue, on_change, driver);
	if (r >= 0)
		r = tree_store_open(driver->folder_fd, "http://localhost/composes", local,
				    &driver->trees, err);
	if (r < 0)
		return r;
	driver->options.catalogue = driver->catalogue;
	driver->options.trees = driver->trees;
	r = fs_new(&driver->options, &driver->fs, err);
	if (!r)
		r = -pthread_create(&driver->notify, NULL, run_notify, driver);
	driver->notifying = !r;
	return r ? r : mount_again(driver, err);
}

static void stop(struct driver *driver)
{
	if (driver->fs)
		fs_stop(driver->fs);
	if (driver->running)
		(void)pthread_join(driver->run, NULL);
	if (driver->notifying) {
		fs_notify_stop(driver->fs);
		(void)pthread_join(driver->notify, NULL);
	}
	fs_free(steal(driver->fs));
	catalogue_close(driver->catalogue);
	tree_store_close(driver->trees);
	strings_done(&driver->arches);
	strings_done(&driver->base_modules);
	strings_done(&driver->target_dirs);
	strings_done(&driver->raw_configs);
	closep(&driver->folder_fd);
}

int main(int argc, char **argv)
{
	struct driver driver = { 0 };
	struct error err = { 0 };

	if (argc < 3) {
		fprintf(stderr, "usage: fs-driver STATE MOUNTPOINT [KEY=NUMBER]...\n");
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	(void)snprintf(driver.folder, sizeof(driver.folder), "%s", argv[1]);
	driver.folder_fd = directory_open(AT_FDCWD, argv[1]);
	(void)strings_add(&driver.arches, "x86_64");
	(void)strings_add(&driver.base_modules, "platform");
	(void)strings_add(&driver.target_dirs, "private");
	(void)strings_add(&driver.raw_configs, "pungi_cfg");
	driver.rules = (struct spec_rules){ .strict = true,
					    .default_seconds_to_live = 86400,
					    .maximum_seconds_to_live = 259200,
					    .default_arches = &driver.arches,
					    .base_module_names = &driver.base_modules,
					    .target_dirs = &driver.target_dirs,
					    .raw_configs = &driver.raw_configs,
					    .maximum_packages = SPEC_MAX_PACKAGES };
	driver.options = (struct fs_options){ .rules = &driver.rules,
					      .mountpoint = argv[2],
					      .public_url = "http://localhost/composes",
					      .readme = "Help: mkdir requests/NAME; use rmdir.\n",
					      .version = "odcsfs " ODCSFS_VERSION " driver\n",
					      .draft_ttl = 3600,
					      .drafts_per_user = 50,
					      .cache_size_bytes = INT64_C(20) << 30,
					      .owner_may_expire = true,
					      .authorise = authorise,
					      .admit = admit,
					      .admit_data = &driver,
					      .metrics = metrics };
	for (int i = 3; i < argc; i++)
		set_option(&driver, argv[i]);
	if (driver.folder_fd < 0 || start(&driver, argv[2], &err) < 0) {
		fprintf(stderr, "fs-driver: %s\n", err.message);
		stop(&driver);
		return 1;
	}
	printf("ready\n");
	(void)fflush(stdout);
	commands(&driver);
	stop(&driver);
	return 0;
}
