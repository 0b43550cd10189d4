/* SPDX-License-Identifier: MIT */
/* tests/system/rest-driver.c: the HTTP room with a catalogue and trees, but without workers: what
 * they would do is done by commands on stdin, one per line, each answered by one line.
 *
 *   claim | fail ID WORDS | finish ID | reuse ID OLD | expire | clock SECONDS | log ID TEXT
 *   row TEXT | rows COUNT | quit
 *
 * usage: rest-driver LISTEN [BODY_LIMIT [CONNECTIONS_PER_ADDRESS [WRITERS]]]; prints its URL first.
 */
#include "rest/rest.h"
#include "tests/unit/tree/writer.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>

#define PACKAGE_BYTES 300007
#define TICK_MS 200
#define WRITERS 8

static _Atomic int64_t clock_offset; /* seconds; a test program may have a variable */

static int64_t clock_now(void)
{
	return time_now() + atomic_load(&clock_offset);
}

struct driver {
	char folder[64];
	int folder_fd;
	struct catalogue *catalogue;
	struct tree_store *trees;
	_Atomic(struct rest *) rest;
	struct strings arches, base_modules, target_dirs, raw_configs, sigkeys;
	struct spec_rules rules;
	struct rest_options options;
	pthread_t writers[WRITERS];
	int writer_count;
};

static void on_change(void *data, const struct catalogue_event *event)
{
	struct driver *driver = data;
	struct rest *rest = atomic_load(&driver->rest);

	if (rest)
		rest_changed(rest, event);
}

static int authorise(void *data, const char *owner, bool local, const struct spec *spec,
		     struct error *err)
{
	if (spec->source.count && !strcmp(spec->source.item[0], "/forbidden"))
		return error_set(err, -EACCES, BLAME_REQUEST, "source.source",
				 "/forbidden: not allowed");
	if (spec->source.count && !strcmp(spec->source.item[0], "/local") && !local)
		return error_set(err, -EACCES, BLAME_REQUEST, "source.source",
				 "/local: only for users of this machine");
	return 0;
}

static int metrics(void *data, struct text *ret)
{
	return text_adds(ret, "# TYPE odcsfs_driver gauge\nodcsfs_driver 1\n");
}

/* ---- a tree by hand ---------------------------------------------------- */

static void package_fill(char bytes[static PACKAGE_BYTES])
{
	for (size_t i = 0; i < PACKAGE_BYTES; i++)
		bytes[i] = (char)((i * 31 + i / 251) & 0xff);
}

static void package_entry(struct driver *driver, struct entry *ret, const char *base)
{
	static char bytes[PACKAGE_BYTES];
	struct stat st;

	package_fill(bytes);
	if (fstatat(driver->folder_fd, "source/f/foo-1.0-1.noarch.rpm", &st, 0) < 0)
		put_file(driver->folder_fd, "source/f/foo-1.0-1.noarch.rpm", bytes, sizeof(bytes));
	if (fstatat(driver->folder_fd, "source/f/foo-1.0-1.noarch.rpm", &st, 0) < 0)
		abort();
	*ret = (struct entry){
		.path = "compose/Temporary/x86_64/os/Packages/f/foo-1.0-1.noarch.rpm",
		.type = MANIFEST_PACKAGE,
		.size = (uint64_t)st.st_size,
		.mtime = 1600000000,
		.base = base,
		.source_path = "f/foo-1.0-1.noarch.rpm",
		.nevra = "foo-1.0-1.noarch",
		.reason = "requested",
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

static void manifest_make(struct driver *driver, char ret[static DIGEST_HEX_SIZE])
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
	char base[128], digest[ARRAY_SIZE(blobs)][DIGEST_HEX_SIZE];
	struct entry entries[ARRAY_SIZE(blobs) + 1];
	struct text manifest = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(blobs); i++) {
		put_named(driver, "blobs", blobs[i].bytes, strlen(blobs[i].bytes), digest[i]);
		entries[i] = (struct entry){ .path = blobs[i].path,
					     .type = blobs[i].type,
					     .size = strlen(blobs[i].bytes),
					     .digest = digest[i] };
	}
	(void)snprintf(base, sizeof(base), "%s/source", driver->folder);
	package_entry(driver, &entries[ARRAY_SIZE(blobs)], base);
	write_manifest(entries, ARRAY_SIZE(entries), &manifest);
	put_named(driver, "manifests", manifest.data, manifest.length, ret);
	text_done(&manifest);
}

static int finish(struct driver *driver, int64_t id, struct error *err)
{
	char manifest[DIGEST_HEX_SIZE];
	struct outcome outcome = { .id = id,
				   .manifest = manifest,
				   .koji_event = -1,
				   .packages_count = 1,
				   .size_bytes = PACKAGE_BYTES };

	manifest_make(driver, manifest);
	return catalogue_finish(driver->catalogue, id, &outcome, err);
}

/* ---- commands ---------------------------------------------------------- */

static int submit(struct driver *driver, const char *text, int64_t *ret_id, struct error *err)
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

static int add_rows(struct driver *driver, int64_t count, struct error *err)
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
		r = submit(driver, text, &id, err);
		if (r < 0)
			return r;
	}
	return 0;
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

	return fd < 0 ? fd : io_write(fd, text, strlen(text));
}

/* "VERB [NUMBER [REST]]" */
static int command(struct driver *driver, char *line, int64_t *ret_number, struct error *err)
{
	char *number = strchr(line, ' '), *rest = NULL;
	int64_t value = 0;

	if (number)
		*number++ = '\0';
	if (!strcmp(line, "row"))
		return submit(driver, number ? number : "", ret_number, err);
	if (number && (rest = strchr(number, ' ')))
		*rest++ = '\0';
	if (number && parse_int64(number, &value) < 0)
		return -EINVAL;
	*ret_number = value;
	if (!strcmp(line, "claim"))
		return claim(driver, ret_number, err);
	if (!strcmp(line, "fail"))
		return catalogue_fail(driver->catalogue, value, rest ? rest : "", err);
	if (!strcmp(line, "finish"))
		return finish(driver, value, err);
	if (!strcmp(line, "reuse"))
		return catalogue_reuse(driver->catalogue, value, rest ? atoll(rest) : 0, err);
	if (!strcmp(line, "expire"))
		return catalogue_expire(driver->catalogue, clock_now(), ret_number, err);
	if (!strcmp(line, "rows"))
		return add_rows(driver, value, err);
	if (!strcmp(line, "log"))
		return add_log(driver, value, rest ? rest : "", err);
	if (!strcmp(line, "clock")) {
		atomic_store(&clock_offset, value);
		return 0;
	}
	return -EINVAL;
}

static void commands(struct driver *driver)
{
	struct pollfd in = { .fd = STDIN_FILENO, .events = POLLIN };
	char line[65536];
	size_t have = 0;

	for (;;) {
		char *end = memchr(line, '\n', have);

		if (end) {
			struct error err = { 0 };
			int64_t number = 0;
			int r;

			*end++ = '\0';
			if (!strcmp(line, "quit"))
				return;
			r = command(driver, line, &number, &err);
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
		} else {
			rest_tick(driver->rest);
		}
	}
}

/* ---- start ------------------------------------------------------------- */

static void *lend(void *rest)
{
	rest_work(rest);
	return NULL;
}

static int start(struct driver *driver, int argc, char **argv, struct error *err)
{
	char path[128], url[128];
	struct rest *rest;
	int r;

	(void)snprintf(path, sizeof(path), "%s/catalogue.sqlite", driver->folder);
	(void)snprintf(url, sizeof(url), "http://%s/composes", argv[1]);
	r = catalogue_open(path, clock_now, &driver->catalogue, err);
	if (r >= 0)
		r = catalogue_watch(driver->catalogue, on_change, driver);
	if (r >= 0)
		r = tree_store_open(driver->folder_fd, url, "/odcs/composes", &driver->trees, err);
	if (r < 0)
		return r;
	(void)strings_add(&driver->arches, "x86_64");
	(void)strings_add(&driver->base_modules, "platform");
	(void)strings_add(&driver->base_modules, "bootstrap");
	(void)strings_add(&driver->target_dirs, "private");
	(void)strings_add(&driver->raw_configs, "pungi_cfg");
	(void)strings_add(&driver->sigkeys, "aabbccdd");
	driver->rules = (struct spec_rules){ .default_seconds_to_live = 86400,
					     .maximum_seconds_to_live = 259200,
					     .default_arches = &driver->arches,
					     .base_module_names = &driver->base_modules,
					     .target_dirs = &driver->target_dirs,
					     .raw_configs = &driver->raw_configs,
					     .maximum_packages = SPEC_MAX_PACKAGES };
	driver->options = (struct rest_options){
		.catalogue = driver->catalogue,
		.trees = driver->trees,
		.rules = &driver->rules,
		.listen = argv[1],
		.auth_backend = "noauth",
		.default_sigkeys = &driver->sigkeys,
		.body_limit = argc > 2 ? (size_t)atoll(argv[2]) : 0,
		.connections_per_address = argc > 3 ? (unsigned int)atoi(argv[3]) : 0,
		.authorise = authorise,
		.metrics = metrics,
	};
	r = rest_start(&driver->options, &rest, err);
	if (r >= 0) {
		atomic_store(&driver->rest, rest);
		rest_tick(rest);
		for (int i = argc > 4 ? atoi(argv[4]) : WRITERS; i > 0 && i <= WRITERS; i--)
			if (!pthread_create(&driver->writers[driver->writer_count], NULL, lend,
					    rest))
				driver->writer_count++;
	}
	return r;
}

static void stop(struct driver *driver)
{
	rest_stop(atomic_exchange(&driver->rest, NULL));
	for (int i = 0; i < driver->writer_count; i++)
		(void)pthread_join(driver->writers[i], NULL);
	tree_store_close(driver->trees);
	catalogue_close(driver->catalogue);
	test_folder_done(driver->folder, driver->folder_fd);
	strings_done(&driver->arches);
	strings_done(&driver->base_modules);
	strings_done(&driver->target_dirs);
	strings_done(&driver->raw_configs);
	strings_done(&driver->sigkeys);
}

int main(int argc, char **argv)
{
	struct driver driver = { 0 };
	struct error err = { 0 };

	if (argc < 2 || argc > 5) {
		fprintf(stderr, "usage: rest-driver LISTEN [BODY_LIMIT [PER_ADDRESS [WRITERS]]]\n");
		return 2;
	}
	driver.folder_fd = test_folder(driver.folder);
	if (start(&driver, argc, argv, &err) < 0) {
		fprintf(stderr, "%s\n", err.message);
		stop(&driver);
		return 1;
	}
	printf("%s\n", rest_url(driver.rest));
	(void)fflush(stdout);
	commands(&driver);
	stop(&driver);
	return 0;
}
