/* SPDX-License-Identifier: MIT */
/* core/tree/arrival.c: a package while it comes, for readers who want bytes before anybody knows
 * whether they are right (cache.verify=stream).
 *
 *   coming ─► good: it is in packages/ ─► read from there
 *      └────► wrong: nobody gets another byte
 *
 * The file is one that a worker writes: how far it goes is what fstat(2) says, never what somebody
 * tells. The last part is never handed out from here, so nobody ever has all of a package that is
 * wrong. An object stands for one beginning: where a download starts anew, so does the object. */
#include "core/tree/private.h"

#include <fcntl.h>
#include <limits.h>
#include <unistd.h>

struct tree_arrival {
	_Atomic unsigned int references;
	uint64_t size;
	pthread_mutex_t lock; /* for the rest; nothing else is locked under it */
	int fd;		      /* -1: nobody reads here any more */
	uint64_t came;
	unsigned int readers; /* in the middle of a read */
	enum tree_arrival_state state;
};

int tree_arrival_open(int work_dirfd, const char *sha256, uint64_t size, struct tree_arrival **ret)
{
	_cleanup_(closep) int dirfd =
		openat(work_dirfd, "packages", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	_cleanup_(closep) int fd = -1;
	char name[FETCH_PART_SIZE];
	struct tree_arrival *arrival;
	struct stat st;

	fetch_part_name(sha256, name);
	if (dirfd >= 0)
		fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || st.st_nlink != 1)
		return -EBADMSG;
	arrival = calloc(1, sizeof(*arrival));
	if (!arrival)
		return -ENOMEM;
	atomic_init(&arrival->references, 1);
	(void)pthread_mutex_init(&arrival->lock, NULL);
	arrival->fd = steal_fd(&fd);
	arrival->size = size;
	*ret = arrival;
	return 0;
}

struct tree_arrival *tree_arrival_ref(struct tree_arrival *arrival)
{
	if (arrival)
		atomic_fetch_add(&arrival->references, 1);
	return arrival;
}

void tree_arrival_unref(struct tree_arrival *arrival)
{
	if (!arrival || atomic_fetch_sub(&arrival->references, 1) != 1)
		return;
	closep(&arrival->fd);
	(void)pthread_mutex_destroy(&arrival->lock);
	free(arrival);
}

bool tree_arrival_is_read(const struct tree_arrival *arrival)
{
	return arrival && atomic_load(&arrival->references) > 1;
}

uint64_t tree_arrival_early(uint64_t size)
{
	return size > TREE_WITHHELD ? size - TREE_WITHHELD : 0;
}

uint64_t tree_arrival_look(struct tree_arrival *arrival)
{
	uint64_t early = tree_arrival_early(arrival->size), came;
	struct stat st;

	(void)pthread_mutex_lock(&arrival->lock);
	if (arrival->fd >= 0 && fstat(arrival->fd, &st) == 0 && st.st_size >= 0)
		arrival->came = (uint64_t)st.st_size < early ? (uint64_t)st.st_size : early;
	came = arrival->came;
	(void)pthread_mutex_unlock(&arrival->lock);
	return came;
}

/* Under the lock: what nobody reads takes up no room on the disk. */
static void close_unread(struct tree_arrival *arrival)
{
	if (arrival->state == ARRIVAL_COMING || arrival->readers)
		return;
	closep(&arrival->fd);
	arrival->fd = -1;
}

void tree_arrival_end(struct tree_arrival *arrival, bool good)
{
	(void)pthread_mutex_lock(&arrival->lock);
	if (arrival->state == ARRIVAL_COMING)
		arrival->state = good ? ARRIVAL_GOOD : ARRIVAL_WRONG;
	close_unread(arrival);
	(void)pthread_mutex_unlock(&arrival->lock);
}

enum tree_arrival_state tree_arrival_state(struct tree_arrival *arrival)
{
	enum tree_arrival_state state;

	(void)pthread_mutex_lock(&arrival->lock);
	state = arrival->state;
	(void)pthread_mutex_unlock(&arrival->lock);
	return state;
}

/* What of @length bytes at @offset may be read now; it must be given back by leave(). */
static ssize_t enter(struct tree_arrival *arrival, size_t length, uint64_t offset)
{
	ssize_t r = -EAGAIN;

	(void)pthread_mutex_lock(&arrival->lock);
	if (arrival->state != ARRIVAL_COMING)
		r = arrival->state == ARRIVAL_GOOD ? -ENODATA : -EIO;
	else if (offset < arrival->came)
		r = (ssize_t)(arrival->came - offset < length ? arrival->came - offset : length);
	if (r > 0)
		arrival->readers++;
	(void)pthread_mutex_unlock(&arrival->lock);
	return r;
}

static bool leave(struct tree_arrival *arrival)
{
	bool wrong;

	(void)pthread_mutex_lock(&arrival->lock);
	arrival->readers--;
	wrong = arrival->state == ARRIVAL_WRONG;
	close_unread(arrival);
	(void)pthread_mutex_unlock(&arrival->lock);
	return wrong;
}

ssize_t tree_arrival_read(struct tree_arrival *arrival, void *buffer, size_t length, size_t least,
			  uint64_t offset)
{
	ssize_t room = enter(arrival, length < SSIZE_MAX ? length : SSIZE_MAX, offset), n;

	if (room <= 0)
		return room;
	n = (size_t)room < least ? -EAGAIN
				 : io_pread(arrival->fd, buffer, (size_t)room, (off_t)offset);
	if (leave(arrival))
		return -EIO;
	if (n < 0)
		return n == -EAGAIN ? n : -EIO;
	return n == room ? n : -EIO; /* it was cut after it had come */
}
