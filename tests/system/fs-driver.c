/* SPDX-License-Identifier: MIT */
/* tests/system/fs-driver.c: the mounted tree with a catalogue and trees, but without workers: what
 * they would do is done by the commands of player.h, and by
 *
 *   hold 0|1 | drain 0|1 | reap SECONDS | opens ID | unmounted | mount | late ID
 *
 * usage: fs-driver STATE MOUNTPOINT [KEY=NUMBER]... with drafts, live, aliases, may_expire,
 * draft_ttl, default, maximum. Prints "ready" first. Composes expire by themselves unless held. */
#include "fs/fs.h"
#include "tests/system/player.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>

#define TICK_MS 50

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

static int authorise(void *data, const struct asker *asker, const struct spec *spec,
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

/* ---- commands ----------------------------------------------------------------- */

static void *run_fs(void *data)
{
	struct driver *driver = data;
	struct error err = { 0 };

	if (fs_run(driver->fs, FS_TREE, &err) < 0)
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
	r = fs_mount(driver->fs, FS_TREE, err);
	if (r < 0)
		return r;
	r = -pthread_create(&driver->run, NULL, run_fs, driver);
	driver->running = !r;
	return r;
}

/* The word that it is done comes once more, now that readers have seen it. */
static int told_late(struct driver *driver, int64_t id, struct error *err)
{
	_cleanup_(compose_freep) struct compose *compose = NULL;
	int r = catalogue_get(driver->catalogue, id, &compose, err);

	if (!r)
		fs_changed(driver->fs, &(struct catalogue_event){ STATE_GENERATING, compose,
								  compose->request, false });
	return r;
}

static int other_command(void *data, const char *verb, int64_t value, const char *rest,
			 int64_t *ret, struct error *err)
{
	struct driver *driver = data;

	if (!strcmp(verb, "reap"))
		return catalogue_request_reap(driver->catalogue, time_now() - value, ret, err);
	if (!strcmp(verb, "hold"))
		driver->hold = value;
	else if (!strcmp(verb, "drain"))
		fs_drain(driver->fs, value);
	else if (!strcmp(verb, "opens"))
		*ret = fs_open_files(driver->fs, value);
	else if (!strcmp(verb, "unmounted"))
		*ret = !fs_mounted(driver->fs, FS_TREE);
	else if (!strcmp(verb, "mount"))
		return mount_again(driver, err);
	else if (!strcmp(verb, "late"))
		return told_late(driver, value, err);
	else
		return -EINVAL;
	return 0;
}

static void progress_changed(void *data, int64_t id)
{
	fs_progress(((struct driver *)data)->fs, id);
}

static void expire(void *data)
{
	struct driver *driver = data;
	struct error err = { 0 };
	int64_t count;

	if (!driver->hold)
		(void)catalogue_expire(driver->catalogue, player_now(), &count, &err);
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
	r = catalogue_open(path, player_now, &driver->catalogue, err);
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
	struct player player;
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
	player = (struct player){ .catalogue = driver.catalogue,
				  .trees = driver.trees,
				  .folder = driver.folder,
				  .folder_fd = driver.folder_fd,
				  .rules = &driver.rules,
				  .changed = progress_changed,
				  .other = other_command,
				  .idle = expire,
				  .tick_ms = TICK_MS,
				  .data = &driver };
	player_listen(&player);
	stop(&driver);
	return 0;
}
