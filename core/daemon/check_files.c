/* SPDX-License-Identifier: MIT */
/* core/daemon/check_files.c: `odcsfs check`: the files below the state directory.
 *
 * A repair removes what nobody wants and what is made again by itself; all else that is wrong is
 * moved to damaged/FOLDER/NAME. */
#include "core/daemon/check.h"
#include "resolver/worker/worker.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define ASIDE "damaged"
/* Beside a service, which may not have said yet whose a file is, or not swept it yet */
#define YOUNG_SECONDS 120
#define HALF_MADE_SECONDS 7500 /* two sweeps */
#define ASIDE_MAX 1000	       /* files of one name there */

/* ---- remedies ---------------------------------------------------------------- */

/* To damaged/@folder/@name, or @name.2 and so on where there is one */
static int move_aside(const struct look *look, const char *folder, const char *name)
{
	_cleanup_(closep) int from = -1, to = -1;
	char path[64], other[NAME_MAX + 1];

	(void)snprintf(path, sizeof(path), ASIDE "/%s", folder);
	to = directory_open(look->state_dirfd, path);
	if (to < 0)
		return to;
	from = openat(look->state_dirfd, folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (from < 0)
		return -errno;
	(void)snprintf(other, sizeof(other), "%s", name);
	for (int i = 2; faccessat(to, other, F_OK, AT_SYMLINK_NOFOLLOW) == 0; i++) {
		if (i > ASIDE_MAX)
			return -EEXIST;
		(void)snprintf(other, sizeof(other), "%.200s.%d", name, i);
	}
	return renameat(from, name, to, other) < 0 ? -errno : 0;
}

static int remove_one(const struct look *look, const char *folder, const char *name)
{
	_cleanup_(closep) int fd =
		openat(look->state_dirfd, folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? -errno : directory_remove(fd, name);
}

static void found(struct look *look, const char *kind, const char *folder, const char *name,
		  const char *words, enum remedy remedy)
{
	char what[NAME_MAX + 64];
	int result = 1;

	(void)snprintf(what, sizeof(what), "%s/%s", folder, name);
	if (look->options->repair && remedy == REMEDY_REMOVE)
		result = remove_one(look, folder, name);
	else if (look->options->repair && remedy == REMEDY_ASIDE)
		result = move_aside(look, folder, name);
	report_add(look->report, kind, what, words, remedy, result);
}

/* ---- manifests, blobs, packages ------------------------------------------------ */

/** struct loss - a manifest that cannot be shown in whole */
struct loss {
	char manifest[DIGEST_HEX_SIZE];
	char words[256];
};

struct losses {
	struct look *look;
	struct loss *item;
	size_t count;
	struct compose_loss {
		int64_t id;
		const struct loss *loss;
	} * compose;
	size_t compose_count;
	bool oom;
};

static void on_file(void *data, const struct tree_finding *finding)
{
	struct losses *losses = data;
	enum remedy remedy = finding->problem == TREE_ORPHAN ? REMEDY_REMOVE : REMEDY_ASIDE;

	found(losses->look, finding->problem == TREE_ORPHAN ? "leftover" : "file", finding->folder,
	      finding->name, finding->words, remedy);
}

static int on_lost(void *data, const char *manifest, const char *words, struct error *err)
{
	struct losses *losses = data;
	struct loss *larger = reallocarray(losses->item, losses->count + 1, sizeof(*losses->item));

	if (!larger)
		return error_oom(err);
	losses->item = larger;
	(void)snprintf(larger[losses->count].manifest, DIGEST_HEX_SIZE, "%s", manifest);
	(void)snprintf(larger[losses->count].words, sizeof(larger->words), "%s", words);
	losses->count++;
	return 0;
}

static bool add_manifest(void *data, const char *manifest)
{
	return strings_add(data, manifest) < 0;
}

static int compare_losses(const void *a, const void *b)
{
	const struct loss *one = a, *other = b;

	return strcmp(one->manifest, other->manifest);
}

/* Manifests were named in ascending order, so the losses are sorted. */
static bool on_compose(void *data, const struct compose *compose)
{
	struct losses *losses = data;
	struct loss key = { 0 };
	struct compose_loss *larger;

	if (!compose->manifest || !losses->count)
		return false;
	memcpy(key.manifest, compose->manifest, DIGEST_HEX_SIZE);
	key.manifest[DIGEST_HEX_SIZE - 1] = '\0';
	larger = reallocarray(losses->compose, losses->compose_count + 1, sizeof(*larger));
	if (!larger) {
		losses->oom = true;
		return true;
	}
	losses->compose = larger;
	larger[losses->compose_count] = (struct compose_loss){
		.id = compose->id,
		.loss = bsearch(&key, losses->item, losses->count, sizeof(key), compare_losses),
	};
	losses->compose_count += larger[losses->compose_count].loss != NULL;
	return false;
}

/* Its row once more: a service may have ended it meanwhile, and its files were swept. */
static bool is_still_done(const struct look *look, int64_t id)
{
	_cleanup_(compose_freep) struct compose *compose = NULL;

	return catalogue_get(look->catalogue, id, &compose, NULL) == 0 &&
	       compose->state == STATE_DONE;
}

static void lose_composes(struct losses *losses)
{
	struct look *look = losses->look;

	for (size_t i = 0; i < losses->compose_count; i++) {
		const struct compose_loss *lost = &losses->compose[i];
		char what[32], reason[320];
		struct error err = { 0 };
		int result = 1;

		if (look->holder[0] && !is_still_done(look, lost->id))
			continue;
		(void)snprintf(what, sizeof(what), "compose %" PRId64, lost->id);
		(void)snprintf(reason, sizeof(reason), "Removed by odcsfs check: %s.",
			       lost->loss->words);
		if (look->options->repair)
			result = catalogue_lose(look->catalogue, lost->id, reason, &err);
		report_add(look->report, "compose", what, lost->loss->words, REMEDY_LOSE, result);
	}
}

int check_trees(struct look *look, struct error *err)
{
	struct compose_query done = COMPOSE_QUERY_ALL;
	struct losses losses = { .look = look };
	struct strings live = { 0 };
	const struct tree_check check = {
		.live = &live,
		.deep = look->options->deep,
		.min_age_seconds = look->holder[0] ? YOUNG_SECONDS : -1,
		.found = on_file,
		.lost = on_lost,
		.data = &losses,
		.ret_files = &look->files,
	};
	int r = catalogue_manifests(look->catalogue, add_manifest, &live, err);

	if (r >= 0)
		r = tree_check(look->state_dirfd, &check, err);
	done.state = STATE_DONE;
	if (r >= 0)
		r = catalogue_query(look->catalogue, &done, on_compose, &losses, &look->composes,
				    err);
	if (r >= 0 && losses.oom)
		r = error_oom(err);
	if (r >= 0)
		lose_composes(&losses);
	free(losses.item);
	free(losses.compose);
	strings_done(&live);
	return r < 0 ? r : 0;
}

/* ---- folders ------------------------------------------------------------------- */

/* The names in @folder, before anything of it is removed; a missing one has none */
static int list_names(const struct look *look, const char *folder, struct strings *ret,
		      struct error *err)
{
	int fd = openat(look->state_dirfd, folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC), r = 0;
	DIR *list = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;

	if (!list) {
		r = fd < 0 && errno == ENOENT ? 0 : error_errno(err, -errno, "%s", folder);
		closep(&fd);
		return r;
	}
	while (r == 0 && (errno = 0, entry = readdir(list)))
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			r = strings_add(ret, entry->d_name);
	if (r == 0 && errno)
		r = -errno;
	(void)closedir(list);
	return r < 0 ? error_errno(err, r, "%s", folder) : 0;
}

int check_logs(struct look *look, struct error *err)
{
	struct strings names = { 0 };
	int r = list_names(look, "logs", &names, err);

	for (size_t i = 0; i < names.count && r == 0; i++) {
		_cleanup_(compose_freep) struct compose *compose = NULL;
		struct error words = { 0 };
		int64_t id;

		if (parse_int64(names.item[i], &id) < 0 || id < 1)
			found(look, "file", "logs", names.item[i],
			      "no file of ours has such a name", REMEDY_ASIDE);
		else if (catalogue_get(look->catalogue, id, &compose, &words) == -ENOENT)
			found(look, "log", "logs", names.item[i], "the log of no compose",
			      REMEDY_REMOVE);
	}
	look->files += (int64_t)names.count;
	strings_done(&names);
	return r;
}

static void on_cache(void *data, const char *folder, const char *name)
{
	found(data, "cache", folder, name, "damaged", REMEDY_REMOVE);
}

int check_caches(struct look *look, struct error *err)
{
	int64_t count = 0;
	const struct worker_caches check = {
		.deep = look->options->deep, .damaged = on_cache, .data = look, .ret_count = &count
	};
	int r = worker_caches_check(look->state_dirfd, &check, err);

	look->files += count;
	return r;
}

/* Beside a service: may somebody still be writing it, or the sweep not have met it? */
static bool is_young(const struct look *look, const char *folder, const char *name)
{
	char path[NAME_MAX + 16];
	struct stat st;

	(void)snprintf(path, sizeof(path), "%s/%s", folder, name);
	return look->holder[0] && (fstatat(look->state_dirfd, path, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
				   st.st_mtime > time_now() - HALF_MADE_SECONDS);
}

static int check_half_made(struct look *look, const char *folder, struct error *err)
{
	struct strings names = { 0 };
	int r = list_names(look, folder, &names, err);

	for (size_t i = 0; i < names.count && r == 0; i++)
		if (names.item[i][0] == '.' && !is_young(look, folder, names.item[i]))
			found(look, "leftover", folder, names.item[i], "half written",
			      REMEDY_REMOVE);
	strings_done(&names);
	return r;
}

/* work/N stays when its worker ends, but emptied; work/mirrors is all of theirs, and stays as it is
 */
static int check_work(struct look *look, struct error *err)
{
	struct strings folders = { 0 };
	int r = list_names(look, "work", &folders, err);

	for (size_t i = 0; i < folders.count && r == 0; i++) {
		struct strings names = { 0 };
		char path[NAME_MAX + 8];

		if (!strcmp(folders.item[i], "mirrors"))
			continue;
		(void)snprintf(path, sizeof(path), "work/%s", folders.item[i]);
		r = list_names(look, path, &names, err);
		if (r == -ENOTDIR || names.count) {
			found(look, "leftover", "work", folders.item[i], "of a worker that is gone",
			      REMEDY_REMOVE);
			r = 0;
		}
		strings_done(&names);
	}
	strings_done(&folders);
	return r;
}

/* Packages that broke off: of no use for long, and halves never */
static int check_partial(struct look *look, struct error *err)
{
	struct strings names = { 0 };
	int r = list_names(look, "partial", &names, err);

	for (size_t i = 0; i < names.count && r == 0; i++) {
		char digest[DIGEST_HEX_SIZE];

		if (!tree_partial_name(names.item[i], digest))
			found(look, "file", "partial", names.item[i],
			      "no file of ours has such a name", REMEDY_ASIDE);
		else if (!tree_partial_whole(look->state_dirfd, digest) &&
			 !is_young(look, "partial", names.item[i]))
			found(look, "leftover", "partial", names.item[i],
			      "half of a package that broke off", REMEDY_REMOVE);
	}
	look->files += (int64_t)names.count;
	strings_done(&names);
	return r;
}

int check_leftovers(struct look *look, struct error *err)
{
	static const char *const folders[] = { "snapshots", "headers", "origins" };
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(folders) && r == 0; i++)
		r = check_half_made(look, folders[i], err);
	if (r == 0)
		r = check_partial(look, err);
	return r == 0 && !look->holder[0] ? check_work(look, err) : r;
}
