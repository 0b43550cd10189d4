/* SPDX-License-Identifier: MIT */
/* core/daemon/shelf.c: descriptors that the keeper holds for its servers, by name. The service
 * manager gets a copy of each, if it keeps any, and gives them back to the keeper that it starts
 * next. */
#include "core/daemon/keeper.h"
#include "fs/fs.h"

#include <fcntl.h>
#include <unistd.h>

#define GIVEN_FD 3 /* the first of the service manager */

static struct shelf_item *find(struct shelf *shelf, const char *name)
{
	for (size_t i = 0; i < KEEPER_ITEMS; i++)
		if (shelf->item[i].fd >= 0 && !strcmp(shelf->item[i].name, name))
			return &shelf->item[i];
	return NULL;
}

static void store_tell(const char *format, const char *name, int fd)
{
	char state[64 + KEEPER_NAME_SIZE];

	if (!systemd_stores())
		return;
	(void)snprintf(state, sizeof(state), "%s\nFDNAME=%s", format, name);
	systemd_tell(state, fd);
}

void shelf_drop(struct shelf *shelf, const char *name)
{
	struct shelf_item *item = find(shelf, name);

	if (!item)
		return;
	store_tell("FDSTOREREMOVE=1", name, -1);
	closep(&item->fd);
	item->fd = -1;
}

void shelf_store(struct shelf *shelf, const char *name, const char *path, int fd)
{
	shelf_drop(shelf, name);
	for (size_t i = 0; i < KEEPER_ITEMS; i++) {
		struct shelf_item *item = &shelf->item[i];

		if (item->fd >= 0)
			continue;
		item->fd = fd;
		(void)snprintf(item->name, sizeof(item->name), "%s", name);
		(void)snprintf(item->path, sizeof(item->path), "%s", path);
		/* FDPOLL=0: a device that is hung up is not for it to judge */
		store_tell("FDSTORE=1\nFDPOLL=0", name, fd);
		return;
	}
	log_error("keeper: no room for %s", name);
	closep(&fd);
}

/* A server that ended cleanly has left nothing here. */
void shelf_end(struct shelf *shelf)
{
	for (size_t i = 0; i < KEEPER_ITEMS; i++) {
		struct shelf_item *item = &shelf->item[i];

		if (item->fd < 0)
			continue;
		if (!strncmp(item->name, KEEPER_MOUNT, strlen(KEEPER_MOUNT)) && item->path[0])
			(void)fs_unmount(item->path);
		shelf_drop(shelf, item->name);
	}
}

void shelf_init(struct shelf *shelf)
{
	const char *names;
	int count = systemd_given(&names);

	for (size_t i = 0; i < KEEPER_ITEMS; i++)
		shelf->item[i].fd = -1;
	for (int i = 0; i < count; i++) {
		int length = (int)strcspn(names, ":");
		int fd = fcntl(GIVEN_FD + i, F_DUPFD_CLOEXEC, FIRST_SAFE_FD);

		(void)close(GIVEN_FD + i);
		if (fd < 0 || i >= KEEPER_ITEMS)
			log_error("keeper: no room for %.*s", length, names);
		if (i < KEEPER_ITEMS) {
			shelf->item[i].fd = fd;
			(void)snprintf(shelf->item[i].name, KEEPER_NAME_SIZE, "%.*s", length,
				       names);
		} else {
			closep(&fd);
		}
		names += length + (names[length] == ':');
	}
	if (count)
		log_info("keeper: %d descriptors taken over from the service manager", count);
}

int shelf_find(struct shelf *shelf, const char *name)
{
	const struct shelf_item *item = find(shelf, name);

	return item ? item->fd : -1;
}

void shelf_hand_over(const struct shelf *shelf, int socket)
{
	for (size_t i = 0; i < KEEPER_ITEMS; i++)
		if (shelf->item[i].fd >= 0)
			(void)keeper_send(socket, KEEPER_HELD, shelf->item[i].name,
					  shelf->item[i].path, shelf->item[i].fd);
	(void)keeper_send(socket, KEEPER_START, NULL, NULL, -1);
}
