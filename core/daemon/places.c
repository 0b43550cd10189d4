/* SPDX-License-Identifier: MIT */
/* core/daemon/places.c: the mounts: put where they belong, and again when somebody took them away
 * and asks for them (SIGHUP). */
#include "core/daemon/places.h"

static void *run(void *data)
{
	const struct place *place = data;
	struct error err = { 0 };

	if (fs_run(place->all->fs, place->place, &err) < 0)
		log_error("mount: %s", err.message);
	else
		log_info("%s: %s", place->path,
			 place->all->leave ? "left to the next server" : "unmounted");
	return NULL;
}

/* is it where it belongs, or was it taken away while somebody holds a file in it open? Unknown: it
 * is left alone */
static bool is_visible(const struct place *place)
{
	return fs_mounted_at(place->path) != 0;
}

static int mount_place(struct place *place, struct error *err)
{
	struct fs *fs = place->all->fs;
	int r;

	if (place->running) { /* it ended by itself: unmounted by hand */
		(void)pthread_join(place->thread, NULL);
		place->running = false;
	}
	r = fs_mount(fs, place->place, err);
	if (r < 0)
		return r;
	r = pthread_create(&place->thread, NULL, run, place);
	if (r != 0) {
		fs_stop(fs);
		return error_errno(err, -r, "cannot start the mount's thread");
	}
	place->running = true;
	/* taken over, but unmounted by hand and held open: as for SIGHUP */
	place->wanted = place->all->again && !is_visible(place);
	return 0;
}

int places_mount(struct places *places, const struct config *config, struct fs *fs, bool again,
		 struct error *err)
{
	int r = 0;

	places->fs = fs;
	places->again = again;
	places->place[FS_TREE] = (struct place){ places, FS_TREE, config->mountpoint };
	places->place[FS_EXPORT] = (struct place){ places, FS_EXPORT, config->export };
	for (int i = 0; i < FS_PLACES && r >= 0; i++)
		if (places->place[i].path[0])
			r = mount_place(&places->place[i], err);
	return r;
}

/* A tree that was unmounted lazily ends at its last close: then the wish is kept. */
static void mount_again(struct place *place)
{
	const struct fs *fs = place->all->fs;
	struct error err = { 0 };

	if (!place->path[0])
		return;
	place->wanted = fs_mounted(fs, place->place) && !is_visible(place);
	if (place->wanted)
		log_info("%s: mounted again as soon as the last open file of the old mount is "
			 "closed",
			 place->path);
	if (fs_mounted(fs, place->place))
		return;
	if (mount_place(place, &err) < 0)
		log_error("cannot mount again: %s", err.message);
	else
		log_info("mounted again on %s", place->path);
}

void places_look(struct places *places, bool all)
{
	for (int i = 0; i < FS_PLACES && places->fs; i++)
		if (all || (places->place[i].wanted && !fs_mounted(places->fs, i)))
			mount_again(&places->place[i]);
}

void places_end(struct places *places, bool leave)
{
	places->leave = leave;
	if (places->fs && leave)
		fs_leave(places->fs);
	else if (places->fs)
		fs_stop(places->fs);
	for (int i = 0; i < FS_PLACES; i++)
		if (places->place[i].running)
			(void)pthread_join(places->place[i].thread, NULL);
}
