/* SPDX-License-Identifier: MIT */
/* core/daemon/serve.c: `odcsfs serve`: the order of start and stop.
 *
 * Start: lock the state directory, catalogue, files, workers, clock, HTTP, mount, "ready". Stop is
 * the reverse; each part is freed only after all that call into it have ended. Unmounting by hand
 * ends nothing but the mount: SIGHUP mounts again.
 *
 * With a keeper (keeper.h) mounts and sockets are those of the server before, if there was one, and
 * a server that leaves (KEEPER_LEAVE) leaves them to the next. A keeper that is gone ends the
 * service. */
#include "core/daemon/check.h"
#include "core/daemon/keeper.h"
#include "core/daemon/places.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#define REST_WRITERS 8 /* threads lent to HTTP requests that write: they share commits */

/* struct daemon - owns every room's context */
struct daemon {
	const struct config *config;
	struct held *held;
	bool leave; /* mounts and sockets are for the next server */
	int lock_fd;
	bool lost; /* the machine was started anew since the last service */
	struct store store;
	struct access *access;
	struct gate gate;
	struct spec_rules tree_rules, rest_rules;
	struct strings none;
	struct fs_options fs_options;
	struct rest_options rest_options;
	struct scheduler_options scheduler_options;
	pthread_mutex_t rooms_lock; /* for the next four: news come from every thread */
	pthread_cond_t rooms_idle;
	unsigned int rooms_callers; /* threads that are in a room with news, holding no lock */
	struct rooms {
		struct scheduler *scheduler;
		struct expiry *expiry;
		struct rest *rest;
		struct fs *fs;
	} rooms;
	char *public_url, *local_path, *readme, *version;
	pthread_t notify_thread, rest_threads[REST_WRITERS], door_thread;
	size_t rest_running;
	bool door_running;
	struct metrics *metrics;
	struct leases *leases;
	struct fetcher *fetcher;
	bool notify_running;
	struct places places;
};

static const char readme_text[] =
	"odcsfs - a repository with just the packages you ask for, for a while\n"
	"\n"
	"  mkdir requests/NAME\n"
	"  echo '{\"source\": {\"type\": \"repo\", \"source\": \"/path/of/repository\",\n"
	"        \"packages\": [\"ed\"]}, \"seconds_to_live\": 3600}' > requests/NAME/spec.json\n"
	"  cat requests/NAME/error       what is wrong with the request; empty when it was "
	"accepted\n"
	"  cat requests/NAME/wait        blocks until done, failed or removed, and says which\n"
	"  ls requests/NAME/result/      the repositories, one folder for each arch\n"
	"  cat requests/NAME/log         what was done; progress says how far it is\n"
	"  echo 7200 > requests/NAME/ttl live on for so many seconds more\n"
	"  rmdir requests/NAME           cancel it, or end it now (rm -r does not work)\n"
	"  getfattr -n user.odcs.error requests   why mkdir is refused (quota, groups), and whom "
	"to ask\n"
	"\n"
	"composes/ID/ is the compose, composes/ID/compose/Temporary/odcs-ID.repo its .repo file.\n"
	"The same over HTTP: /api/1/composes/ and /composes/. Manual: odcsfs(8).\n";

/* ---- the state directory ------------------------------------------------------ */

static bool kept(const struct daemon *daemon)
{
	return held_fd(daemon->held) >= 0;
}

static int lock_state(struct daemon *daemon, struct error *err)
{
	const char *path = daemon->config->state_dir;

	daemon->store.state_dirfd = directory_open(AT_FDCWD, path);
	if (daemon->store.state_dirfd < 0)
		return error_errno(err, daemon->store.state_dirfd, "state directory %s", path);
	return state_lock(daemon->store.state_dirfd, path, kept(daemon) ? getppid() : getpid(),
			  held_again(daemon->held), &daemon->lock_fd, &daemon->lost, err);
}

/* Where `odcsfs reload` finds the keeper. Not a reason to do without the service. */
static void open_control(struct daemon *daemon)
{
	_cleanup_(closep) int fd = -1;

	if (!kept(daemon))
		return;
	fd = held_take(daemon->held, KEEPER_CONTROL);
	if (fd < 0 || !state_control_there(daemon->store.state_dirfd)) {
		closep(&fd);
		fd = state_control(daemon->store.state_dirfd);
	}
	if (fd < 0)
		log_warning("%s: no `odcsfs reload`: %s", daemon->config->state_dir, strerror(-fd));
	else
		held_keep(daemon->held, KEEPER_CONTROL, fd, NULL);
}

/* What was written last before a power cut is not there, or empty: rather now than at somebody's
 * read. */
static int recover(struct daemon *daemon, struct error *err)
{
	const struct store *store = &daemon->store;
	int64_t started = time_monotonic_ms();
	int r = check_after_crash(daemon->config, store->state_dirfd, store->catalogue, err);

	if (r >= 0)
		r = state_recovered(daemon->store.state_dirfd, err);
	if (r >= 0)
		log_info("the machine was started anew since the last service: files looked "
			 "through in %" PRId64 " ms",
			 time_monotonic_ms() - started);
	return r;
}

static int open_store(struct daemon *daemon, struct error *err)
{
	const struct config *config = daemon->config;
	_cleanup_(freep) char *catalogue = NULL;
	int64_t count = 0;
	int r;

	r = lock_state(daemon, err);
	if (r < 0)
		return r;
	tree_partials_rescue(daemon->store.state_dirfd);
	r = directory_remove(daemon->store.state_dirfd, "work");
	if (r < 0)
		return error_errno(err, r, "%s/work", config->state_dir);
	if (asprintf(&catalogue, "%s/catalogue.sqlite", config->state_dir) < 0)
		return error_oom(err);
	r = catalogue_open(catalogue, NULL, &daemon->store.catalogue, err);
	if (r == -ENOSPC && reserve_give_up(daemon->store.state_dirfd)) {
		log_warning("%s: started in the reserve", err->message);
		r = catalogue_open(catalogue, NULL, &daemon->store.catalogue, err);
	}
	if (r >= 0)
		r = catalogue_requeue(daemon->store.catalogue, &count, err);
	if (r >= 0)
		r = tree_store_open(daemon->store.state_dirfd, daemon->public_url,
				    daemon->local_path, &daemon->store.trees, err);
	if (r >= 0 && daemon->lost)
		r = recover(daemon, err);
	if (r >= 0 && config->koji_hub[0])
		r = tree_store_site(daemon->store.trees, config->koji_topdir, err);
	for (size_t i = 0; i < config->module_repos.count && r >= 0; i++)
		r = tree_store_site(daemon->store.trees, config->module_repos.item[i], err);
	if (r >= 0 && count)
		log_info("%" PRId64 " composes of the last run are taken up again", count);
	return r;
}

/* ---- what the rooms ask back -------------------------------------------------- */

static int no_room(const struct daemon *daemon, struct error *err)
{
	return error_set(err, -ENOSPC, BLAME_US, NULL,
			 "no room left on the disk of the state directory %s",
			 daemon->config->state_dir);
}

static int authorise(void *data, const struct asker *asker, const struct spec *spec,
		     struct error *err)
{
	struct daemon *daemon = data;

	if (atomic_load(&daemon->store.full))
		return no_room(daemon, err);
	return access_repo(daemon->config, asker->local, spec, err);
}

static int admit(void *data, uint32_t uid, uint32_t gid)
{
	struct daemon *daemon = data;

	return access_admit(daemon->access, uid, gid);
}

/* is there more than one user over REST, so that roles mean something? */
static bool names_users(const struct config *config)
{
	return strcmp(config->auth_backend, "noauth") != 0;
}

static enum fs_read_mode read_mode(const struct config *config)
{
	if (!strcmp(config->read_mode, "splice"))
		return FS_READ_SPLICE;
	if (!strcmp(config->read_mode, "copy"))
		return FS_READ_COPY;
	return !strcmp(config->read_mode, "passthrough") ? FS_READ_PASSTHROUGH : FS_READ_AUTO;
}

/* A room gets news from the moment it is there until it is taken away, before it is freed. No lock
 * is held while it gets them: who takes a room away waits until nobody is in any. */
static struct rooms rooms_enter(struct daemon *daemon)
{
	struct rooms rooms;

	(void)pthread_mutex_lock(&daemon->rooms_lock);
	daemon->rooms_callers++;
	rooms = daemon->rooms;
	(void)pthread_mutex_unlock(&daemon->rooms_lock);
	return rooms;
}

static void rooms_leave(struct daemon *daemon)
{
	(void)pthread_mutex_lock(&daemon->rooms_lock);
	if (!--daemon->rooms_callers)
		(void)pthread_cond_broadcast(&daemon->rooms_idle);
	(void)pthread_mutex_unlock(&daemon->rooms_lock);
}

#define ROOM_SET(daemon, room, value)                                                              \
	do {                                                                                       \
		(void)pthread_mutex_lock(&(daemon)->rooms_lock);                                   \
		(daemon)->rooms.room = (value);                                                    \
		while ((daemon)->rooms_callers)                                                    \
			(void)pthread_cond_wait(&(daemon)->rooms_idle, &(daemon)->rooms_lock);     \
		(void)pthread_mutex_unlock(&(daemon)->rooms_lock);                                 \
	} while (0)

static void on_progress(void *data, int64_t id)
{
	struct daemon *daemon = data;
	struct rooms rooms = rooms_enter(daemon);

	if (rooms.fs)
		fs_progress(rooms.fs, id);
	rooms_leave(daemon);
}

static void on_change(void *data, const struct catalogue_event *event)
{
	struct daemon *daemon = data;
	struct rooms rooms = rooms_enter(daemon);

	if (rooms.fs)
		fs_changed(rooms.fs, event);
	if (rooms.rest)
		rest_changed(rooms.rest, event);
	if (rooms.scheduler)
		scheduler_changed(rooms.scheduler, event);
	if (rooms.expiry)
		expiry_changed(rooms.expiry, event);
	fetcher_changed(daemon->fetcher, event);
	metrics_changed(daemon->metrics, event);
	rooms_leave(daemon);
}

static int64_t on_cache_used(void *data)
{
	struct daemon *daemon = data;
	struct tree_cache_figures figures;

	tree_cache_figures(daemon->store.trees, &figures);
	return (int64_t)figures.bytes;
}

static int on_prefetch(void *data, int64_t id, const struct strings *packages, bool now,
		       struct rest_prefetch *ret, struct error *err)
{
	struct daemon *daemon = data;
	struct prefetch_count count;
	int r = fetcher_prefetch(daemon->fetcher, id, packages, now, &count, err);

	if (r == 0)
		*ret = (struct rest_prefetch){ .packages = count.packages,
					       .cached = count.cached,
					       .bytes = count.bytes };
	return r;
}

static void on_cache(void *data, struct rest_cache *ret)
{
	struct daemon *daemon = data;
	struct tree_cache_figures cache;
	struct fetcher_figures fetcher;

	tree_cache_figures(daemon->store.trees, &cache);
	fetcher_figures(daemon->fetcher, &fetcher);
	*ret = (struct rest_cache){ .limit = (int64_t)cache.limit,
				    .bytes = (int64_t)cache.bytes,
				    .files = (int64_t)cache.files,
				    .hits = (int64_t)cache.hits,
				    .evictions = (int64_t)cache.evictions,
				    .fetched = fetcher.fetched,
				    .fetched_bytes = fetcher.fetched_bytes,
				    .failures = fetcher.failures,
				    .fetching = (int64_t)fetcher.running,
				    .waiting = (int64_t)fetcher.waiting };
}

static int on_metrics(void *data, struct text *ret)
{
	struct daemon *daemon = data;
	struct rooms rooms = rooms_enter(daemon);
	struct metrics_sources sources = { .store = &daemon->store,
					   .fetcher = daemon->fetcher,
					   .scheduler = rooms.scheduler,
					   .rest = rooms.rest,
					   .fs = rooms.fs };
	int r = metrics_print(daemon->metrics, &sources, ret);

	rooms_leave(daemon);
	return r;
}

/* ---- start ---------------------------------------------------------------------- */

/* the URL of the tree as configured; "" until rest knows its port */
static int make_texts(struct daemon *daemon, struct error *err)
{
	const struct config *config = daemon->config;
	_cleanup_(text_done) struct text version = { 0 };
	int r;

	(void)text_adds(&version, "odcsfs " ODCSFS_VERSION "\n");
	r = cage_describe(config, &version, err);
	if (r < 0)
		return r;
	daemon->version = text_steal(&version);
	daemon->public_url = strdup(config->public_url);
	for (size_t n = daemon->public_url ? strlen(daemon->public_url) : 0;
	     n && daemon->public_url[n - 1] == '/'; n--)
		daemon->public_url[n - 1] = '\0';
	if (!daemon->public_url ||
	    asprintf(&daemon->local_path, "%s%s",
		     config->mountpoint[0] ? config->mountpoint : config->export,
		     config->mountpoint[0] || !config->export[0] ? "/composes" : "") < 0 ||
	    !daemon->version)
		return error_oom(err);
	daemon->tree_rules = (struct spec_rules){
		.strict = true,
		.default_seconds_to_live = config->lifetime_default,
		.maximum_seconds_to_live = config->lifetime_maximum,
		.default_arches = &config->arches,
		.base_module_names = &config->module_base_modules,
		.target_dirs = &daemon->none,
		.raw_configs = &daemon->none,
		.maximum_packages = (size_t)config->limit_packages,
		.contact = config->contact,
	};
	daemon->rest_rules = daemon->tree_rules;
	daemon->rest_rules.strict = false;
	return 0;
}

static int start_workers(struct daemon *daemon, struct error *err)
{
	struct scheduler *scheduler;
	int r;

	daemon->scheduler_options = (struct scheduler_options){
		.config = daemon->config,
		.store = &daemon->store,
		.progressed = on_progress,
		.progressed_data = daemon,
	};
	r = scheduler_new(&daemon->scheduler_options, &scheduler, err);
	if (r >= 0)
		ROOM_SET(daemon, scheduler, scheduler);
	return r;
}

static int start_clock(struct daemon *daemon, struct error *err)
{
	struct expiry *expiry;
	int r = expiry_start(daemon->config, &daemon->store, daemon->leases, &expiry, err);

	if (r >= 0)
		ROOM_SET(daemon, expiry, expiry);
	return r;
}

static void *run_rest(void *data)
{
	rest_work(data);
	return NULL;
}

static void *run_door(void *data)
{
	rest_accept(data);
	return NULL;
}

/* The threads that HTTP is lent: the writers, and last the one that lets people in. */
static int lend_threads(struct daemon *daemon, struct error *err)
{
	int r;

	while (daemon->rest_running < REST_WRITERS) {
		r = pthread_create(&daemon->rest_threads[daemon->rest_running], NULL, run_rest,
				   daemon->rooms.rest);
		if (r != 0)
			return error_errno(err, -r, "cannot start the threads of HTTP");
		daemon->rest_running++;
	}
	r = pthread_create(&daemon->door_thread, NULL, run_door, daemon->rooms.rest);
	if (r != 0)
		return error_errno(err, -r, "cannot start the threads of HTTP");
	daemon->door_running = true;
	return 0;
}

/* How clients prove who they are */
static void set_proof(const struct config *config, struct rest_options *options)
{
	options->auth_backend = config->auth_backend;
	options->proxies = &config->auth_proxies;
	options->tls_cert = config->tls_cert;
	options->tls_key = config->tls_key;
	options->tls_client_ca = config->tls_client_ca;
	options->tls_client_crl = config->auth_crl;
}

static int start_http(struct daemon *daemon, struct error *err)
{
	const struct config *config = daemon->config;
	struct rest *rest;
	int r;

	daemon->rest_options = (struct rest_options){
		.catalogue = daemon->store.catalogue,
		.trees = daemon->store.trees,
		.rules = &daemon->rest_rules,
		.listen = config->listen,
		.public_url = daemon->public_url[0] ? daemon->public_url : NULL,
		.mountpoint = config->mountpoint,
		.socket = config->http_socket,
		.socket_group = config->http_socket_group,
		.user_name = access_user_name,
		.user_name_data = daemon->access,
		.gate = names_users(config) ? &daemon->gate : NULL,
		.allowed_clients = access_clients,
		.allowed_clients_data = daemon->access,
		.default_sigkeys = &daemon->none,
		.body_limit = (size_t)config->limit_body,
		.live_composes_per_user = config->limit_live_composes,
		.contact = config->contact,
		.authorise = authorise,
		.authorise_data = daemon,
		.metrics = on_metrics,
		.metrics_data = daemon,
		.read = leases_read,
		.read_data = daemon->leases,
		.held = kept(daemon) ? held_take : NULL,
		.keep = kept(daemon) ? held_keep : NULL,
		.keep_data = daemon->held,
		.prefetch = on_prefetch,
		.cache = on_cache,
		.cache_data = daemon,
		.limits = {
			.connections = (unsigned int)config->limit_connections,
			.client_connections = (unsigned int)config->client_connections,
			.client_requests = (unsigned int)config->client_requests,
			.client_waits = (unsigned int)config->client_waits,
			.client_bytes = (size_t)config->client_memory,
			.client_rate = config->client_rate ? config->client_rate : -1,
		},
	};
	set_proof(config, &daemon->rest_options);
	(void)config_socket_mode(config, &daemon->rest_options.socket_mode);
	r = rest_start(&daemon->rest_options, &rest, err);
	if (r < 0)
		return r;
	ROOM_SET(daemon, rest, rest);
	rest_watched(rest);
	rest_tick(rest); /* without a tick nobody is left waiting */
	r = lend_threads(daemon, err);
	if (r < 0 || daemon->public_url[0])
		return r;
	free(steal(daemon->public_url));
	if (asprintf(&daemon->public_url, "%s/composes", rest_url(daemon->rooms.rest)) < 0) {
		daemon->public_url = NULL;
		return error_oom(err);
	}
	return tree_store_public_url(daemon->store.trees, daemon->public_url, err);
}

static void *run_notify(void *data)
{
	fs_notify_run(data);
	return NULL;
}

static int start_tree(struct daemon *daemon, struct error *err)
{
	const struct config *config = daemon->config;
	struct fs *fs;
	int r;

	if (!config->mountpoint[0] && !config->export[0] && !held_again(daemon->held))
		return 0;
	daemon->fs_options = (struct fs_options){
		.catalogue = daemon->store.catalogue,
		.trees = daemon->store.trees,
		.rules = &daemon->tree_rules,
		.mountpoint = config->mountpoint,
		.export_path = config->export,
		.public_url = daemon->public_url,
		.readme = readme_text,
		.version = daemon->version,
		.draft_ttl = config->lifetime_draft,
		.history_ttl = config->lifetime_history,
		.drafts_per_user = config->limit_drafts,
		.contact = config->contact,
		.live_composes_per_user = config->limit_live_composes,
		.cache_size_bytes = config->cache_size,
		.cache_used = on_cache_used,
		.cache_used_data = daemon,
		.read_lease = config->lifetime_read_lease,
		.list_aliases = config->list_aliases,
		.owner_may_expire = config->owner_may_expire,
		.read_mode = read_mode(config),
		.read_ahead_bytes = config->read_ahead,
		.gate = names_users(config) && config->auth_roles[0] ? &daemon->gate : NULL,
		.admit = admit,
		.admit_data = daemon,
		.authorise = authorise,
		.authorise_data = daemon,
		.metrics = on_metrics,
		.metrics_data = daemon,
		.read = leases_read,
		.read_data = daemon->leases,
		.held = kept(daemon) ? held_take : NULL,
		.keep = kept(daemon) ? held_keep : NULL,
		.keep_data = daemon->held,
	};
	r = fs_new(&daemon->fs_options, &fs, err);
	if (r < 0)
		return r;
	ROOM_SET(daemon, fs, fs);
	r = pthread_create(&daemon->notify_thread, NULL, run_notify, daemon->rooms.fs);
	if (r != 0)
		return error_errno(err, -r, "cannot start the notification thread");
	daemon->notify_running = true;
	return places_mount(&daemon->places, config, fs, held_again(daemon->held), err);
}

static int access_start(struct daemon *daemon, struct error *err)
{
	const struct config *config = daemon->config;
	int r = access_new(config, &daemon->access, err);

	if (r < 0)
		return r;
	daemon->gate = access_gate(daemon->access);
	if (names_users(config) && !config->auth_roles[0])
		log_warning("auth.roles is empty: over REST nobody but root may make composes");
	return 0;
}

static int start(struct daemon *daemon, struct error *err)
{
	int r;

	if (metrics_new(&daemon->metrics) < 0)
		return error_oom(err);
	r = make_texts(daemon, err);
	if (r >= 0)
		r = open_store(daemon, err);
	if (r >= 0)
		r = catalogue_watch(daemon->store.catalogue, on_change, daemon);
	if (r >= 0 && leases_new(daemon->config, daemon->store.catalogue, &daemon->leases) < 0)
		r = error_oom(err);
	if (r >= 0)
		r = fetcher_new(daemon->config, &daemon->store, &daemon->fetcher, err);
	if (r >= 0)
		r = fetcher_start(daemon->fetcher, err);
	if (r >= 0)
		r = start_workers(daemon, err);
	if (r >= 0)
		r = start_clock(daemon, err);
	if (r >= 0)
		r = start_http(daemon, err);
	if (r >= 0)
		r = start_tree(daemon, err);
	if (r >= 0) /* last: their news find every room there */
		r = scheduler_start(daemon->rooms.scheduler, err);
	if (r >= 0) {
		open_control(daemon);
		held_rest(daemon->held);
	}
	return r;
}

/* ---- stop ------------------------------------------------------------------------- */

static void stop(struct daemon *daemon)
{
	struct rest *rest = daemon->rooms.rest;
	struct scheduler *scheduler = daemon->rooms.scheduler;
	struct expiry *expiry = daemon->rooms.expiry;
	struct fs *fs = daemon->rooms.fs;

	if (fs && !daemon->leave)
		fs_drain(fs, true);
	if (rest && daemon->leave)
		rest_leave(rest);
	if (rest)
		rest_drain(rest);
	ROOM_SET(daemon, rest, NULL);
	rest_end(rest);
	if (daemon->door_running)
		(void)pthread_join(daemon->door_thread, NULL);
	while (daemon->rest_running)
		(void)pthread_join(daemon->rest_threads[--daemon->rest_running], NULL);
	rest_stop(rest);
	if (fs)
		places_end(&daemon->places, daemon->leave);
	ROOM_SET(daemon, scheduler, NULL);
	scheduler_free(scheduler);
	ROOM_SET(daemon, expiry, NULL);
	expiry_free(expiry);
	if (daemon->leases)
		leases_write(daemon->leases, LEASE_ROUND_LAST, time_now());
	ROOM_SET(daemon, fs, NULL);
	if (daemon->notify_running) {
		fs_notify_stop(fs);
		(void)pthread_join(daemon->notify_thread, NULL);
	}
	fs_free(fs);
	fetcher_free(daemon->fetcher);
	leases_free(daemon->leases);
	tree_store_close(daemon->store.trees);
	catalogue_close(daemon->store.catalogue);
	if (kept(daemon) && !daemon->leave && daemon->lock_fd >= 0) {
		state_control_remove(daemon->store.state_dirfd);
		held_keep(daemon->held, KEEPER_CONTROL, -1, NULL);
	}
	closep(&daemon->store.state_dirfd);
	closep(&daemon->lock_fd);
	metrics_free(daemon->metrics);
	access_free(daemon->access);
	free(daemon->public_url);
	free(daemon->local_path);
	free(daemon->version);
}

/* SIGHUP: read the roles and the revocation lists again. */
static void reload_access(struct daemon *daemon)
{
	struct error err = { 0 };

	if (rest_reload(daemon->rooms.rest, &err) < 0)
		log_error("%s; what was withdrawn stays as it was", err.message);
	else if (daemon->config->auth_crl[0])
		log_info("revocation lists read again from %s", daemon->config->auth_crl);
	if (access_reload(daemon->access, &err) < 0)
		log_error("%s; the roles stay as they were", err.message);
	else if (daemon->config->auth_roles[0])
		log_info("roles read again from %s", daemon->config->auth_roles);
}

/* The keeper has said something, or is gone. true: the server ends */
static bool on_keeper(struct daemon *daemon)
{
	int r = held_next(daemon->held);

	if (r == 0)
		return false;
	daemon->leave = r == KEEPER_LEAVE || systemd_stores();
	if (r < 0)
		log_error("the keeper is gone: %s", daemon->leave
							    ? "the service manager has the mounts"
							    : "the service ends");
	return true;
}

static void wait_for_end(struct daemon *daemon, int signals)
{
	for (;;) {
		struct pollfd what[] = { { signals, POLLIN, 0 },
					 { held_fd(daemon->held), POLLIN, 0 } };
		int ready = poll(what, ARRAY_SIZE(what), 1000);
		struct signalfd_siginfo info = { 0 };

		if (what[0].revents && read(signals, &info, sizeof(info)) != sizeof(info))
			info.ssi_signo = 0;
		if (info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT)
			return;
		if (ready > 0 && what[1].revents && on_keeper(daemon))
			return;
		if (info.ssi_signo == SIGHUP)
			reload_access(daemon);
		places_look(&daemon->places, info.ssi_signo == SIGHUP);
		if (ready == 0)
			rest_tick(daemon->rooms.rest);
	}
}

int serve_check(const struct config *config)
{
	_cleanup_(access_freep) struct access *access = NULL;
	struct rest_options options = { 0 };
	struct error err = { 0 };

	set_proof(config, &options);
	if (access_new(config, &access, &err) == 0 && rest_check(&options, &err) == 0)
		return 0;
	(void)fprintf(stderr, "odcsfs: %s\n", err.message);
	return err.blame == BLAME_REQUEST ? 2 : 1;
}

static void say_ready(const struct daemon *daemon)
{
	const struct config *config = daemon->config;

	if (!held_again(daemon->held))
		printf("ready mount=%s http=%s\n", config->mountpoint[0] ? config->mountpoint : "-",
		       rest_url(daemon->rooms.rest));
	(void)fflush(stdout);
	if (held_again(daemon->held) && config->auth_roles[0])
		log_info("roles read again from %s", config->auth_roles);
	if (held_again(daemon->held) && config->auth_crl[0])
		log_info("revocation lists read again from %s", config->auth_crl);
	held_ready(daemon->held);
	if (!kept(daemon))
		systemd_tell("READY=1", -1);
}

int serve(const struct config *config, int keeper_fd)
{
	struct daemon daemon = { .config = config, .lock_fd = -1, .store.state_dirfd = -1 };
	_cleanup_(closep) int signal_fd = -1;
	struct error err = { 0 };
	bool wrong = false; /* in the configuration */
	sigset_t signals;
	int r;

	(void)sigemptyset(&signals);
	(void)sigaddset(&signals, SIGTERM);
	(void)sigaddset(&signals, SIGINT);
	(void)sigaddset(&signals, SIGHUP);
	(void)pthread_sigmask(SIG_BLOCK, &signals, NULL); /* inherited by every thread */
	(void)signal(SIGPIPE, SIG_IGN);
	(void)umask(022);
	(void)pthread_mutex_init(&daemon.store.lock, NULL);
	(void)pthread_mutex_init(&daemon.rooms_lock, NULL);
	(void)pthread_cond_init(&daemon.rooms_idle, NULL);
	daemon.store.history_seconds = config->lifetime_history;
	daemon.store.snapshot_seconds = config->lifetime_snapshot;
	r = held_open(keeper_fd, &daemon.held, &err);
	if (r < 0) {
		log_error("%s", err.message);
		return 1;
	}
	signal_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
	if (signal_fd < 0)
		r = error_errno(&err, -errno, "signals");
	if (r >= 0) {
		r = access_start(&daemon, &err);
		wrong = r < 0 && err.blame == BLAME_REQUEST;
	}
	if (r >= 0)
		r = start(&daemon, &err);
	if (r < 0) {
		log_error("%s", err.message);
		daemon.leave = held_again(daemon.held); /* the next try finds them */
	} else {
		say_ready(&daemon);
		wait_for_end(&daemon, signal_fd);
		if (!kept(&daemon))
			systemd_tell("STOPPING=1", -1);
	}
	stop(&daemon);
	held_free(daemon.held);
	(void)pthread_mutex_destroy(&daemon.store.lock);
	strings_done(&daemon.store.in_flight);
	(void)pthread_mutex_destroy(&daemon.rooms_lock);
	(void)pthread_cond_destroy(&daemon.rooms_idle);
	if (r < 0)
		return wrong ? 2 : 1;
	return daemon.leave ? KEEPER_EXIT_LEFT : 0;
}
