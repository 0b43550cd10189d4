/* SPDX-License-Identifier: MIT */
/* tests/system/rest-driver.c: the HTTP room with a catalogue and trees, but without workers: what
 * they would do is done by the commands of player.h.
 *
 * Another command is "drain": the first step of a stop, after which no news of changes come.
 *
 * usage: rest-driver LISTEN [BODY_LIMIT [CONNECTIONS_PER_ADDRESS [WRITERS]]]; prints its URL first.
 */
#include "rest/rest.h"
#include "tests/system/player.h"
#include "tests/unit/tree/writer.h"

#include <pthread.h>
#include <stdatomic.h>

#define TICK_MS 200
#define WRITERS 8

struct driver {
	char folder[64];
	int folder_fd;
	struct catalogue *catalogue;
	struct tree_store *trees;
	_Atomic(struct rest *) rest;
	_Atomic bool drained;
	struct strings arches, base_modules, target_dirs, raw_configs, sigkeys;
	struct spec_rules rules;
	struct rest_options options;
	pthread_t writers[WRITERS];
	int writer_count;
	pthread_t door;
	bool door_open;
};

static void on_change(void *data, const struct catalogue_event *event)
{
	struct driver *driver = data;
	struct rest *rest = atomic_load(&driver->rest);

	if (rest && !atomic_load(&driver->drained))
		rest_changed(rest, event);
}

static int authorise(void *data, const struct asker *asker, const struct spec *spec,
		     struct error *err)
{
	if (spec->source.count && !strcmp(spec->source.item[0], "/forbidden"))
		return error_set(err, -EACCES, BLAME_REQUEST, "source.source",
				 "/forbidden: not allowed");
	if (spec->source.count && !strcmp(spec->source.item[0], "/local") && !asker->local)
		return error_set(err, -EACCES, BLAME_REQUEST, "source.source",
				 "/local: only for users of this machine");
	return 0;
}

static int metrics(void *data, struct text *ret)
{
	return text_adds(ret, "# TYPE odcsfs_driver gauge\nodcsfs_driver 1\n");
}

static int drain(void *data, const char *verb, int64_t value, const char *rest, int64_t *ret,
		 struct error *err)
{
	struct driver *driver = data;

	if (strcmp(verb, "drain") != 0)
		return -EINVAL;
	rest_drain(driver->rest);
	atomic_store(&driver->drained, true);
	return 0;
}

static void tick(void *data)
{
	rest_tick(((struct driver *)data)->rest);
}

/* ---- start ------------------------------------------------------------- */

static void *lend(void *rest)
{
	rest_work(rest);
	return NULL;
}

static void *let_in(void *rest)
{
	rest_accept(rest);
	return NULL;
}

static int start(struct driver *driver, int argc, char **argv, struct error *err)
{
	char path[128], url[128];
	struct rest *rest;
	int r;

	(void)snprintf(path, sizeof(path), "%s/catalogue.sqlite", driver->folder);
	(void)snprintf(url, sizeof(url), "http://%s/composes", argv[1]);
	r = catalogue_open(path, player_now, &driver->catalogue, err);
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
		.limits.client_connections = argc > 3 ? (unsigned int)atoi(argv[3]) : 0,
		.authorise = authorise,
		.metrics = metrics,
	};
	r = rest_start(&driver->options, &rest, err);
	if (r >= 0) {
		atomic_store(&driver->rest, rest);
		rest_tick(rest);
		driver->door_open = !pthread_create(&driver->door, NULL, let_in, rest);
		for (int i = argc > 4 ? atoi(argv[4]) : WRITERS; i > 0 && i <= WRITERS; i--)
			if (!pthread_create(&driver->writers[driver->writer_count], NULL, lend,
					    rest))
				driver->writer_count++;
	}
	return r;
}

static void stop(struct driver *driver)
{
	struct rest *rest = atomic_exchange(&driver->rest, NULL);

	rest_end(rest);
	if (driver->door_open)
		(void)pthread_join(driver->door, NULL);
	for (int i = 0; i < driver->writer_count; i++)
		(void)pthread_join(driver->writers[i], NULL);
	rest_stop(rest);
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
	struct player player;
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
	player = (struct player){ .catalogue = driver.catalogue,
				  .trees = driver.trees,
				  .folder = driver.folder,
				  .folder_fd = driver.folder_fd,
				  .rules = &driver.rules,
				  .other = drain,
				  .idle = tick,
				  .tick_ms = TICK_MS,
				  .data = &driver };
	player_listen(&player);
	stop(&driver);
	return 0;
}
