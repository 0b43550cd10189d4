/* SPDX-License-Identifier: MIT */
/* core/daemon/reserve.c: room that is kept for freeing room.
 *
 * On a full disk nothing could be written any more, not even that a compose is over, and so nothing
 * freed. The file `reserve` takes up RESERVE_BYTES that nobody else can use; it is given up when a
 * verb that frees needs it, and taken again once there is room. Below LOW_BYTES new requests are
 * refused, so that what is left serves those that end. */
#include "core/daemon/daemon.h"

#include <fcntl.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define RESERVE_BYTES (4 << 20)
#define LOW_BYTES (2 << 20) /* free beside the reserve */
#define NAME "reserve"

static int64_t free_bytes(const struct store *store)
{
	struct statvfs st;

	if (fstatvfs(store->state_dirfd, &st) < 0)
		return INT64_MAX; /* a question that cannot be answered refuses nobody */
	return (int64_t)(st.f_bavail * st.f_frsize);
}

static void take(struct store *store)
{
	_cleanup_(closep) int fd =
		openat(store->state_dirfd, NAME, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd >= 0 && posix_fallocate(fd, 0, RESERVE_BYTES) != 0)
		(void)unlinkat(store->state_dirfd, NAME, 0);
}

bool reserve_check(struct store *store)
{
	bool there = faccessat(store->state_dirfd, NAME, F_OK, 0) == 0;
	int64_t room = free_bytes(store);

	if (!there && room > RESERVE_BYTES + 2 * LOW_BYTES) {
		take(store);
		there = faccessat(store->state_dirfd, NAME, F_OK, 0) == 0;
	}
	return there ? room >= LOW_BYTES : room >= RESERVE_BYTES + LOW_BYTES;
}

bool reserve_give_up(int state_dirfd)
{
	return unlinkat(state_dirfd, NAME, 0) == 0;
}
