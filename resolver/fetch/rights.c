/* SPDX-License-Identifier: MIT */
/* resolver/fetch/rights.c: setfsuid(2), setfsgid(2) and the capabilities that would undo them.
 *
 * All of these act on the calling thread alone. For a process of root the kernel takes the
 * capabilities that overrule permissions out of the effective set while the fsuid is not 0, and
 * puts them back after; for a process with capabilities of its own it does not, so that is done by
 * hand. */
#include "resolver/fetch/rights.h"

#include <grp.h>
#include <linux/capability.h>
#include <sys/fsuid.h>
#include <sys/syscall.h>
#include <unistd.h>

#define OVERRULING ((1u << CAP_DAC_OVERRIDE) | (1u << CAP_DAC_READ_SEARCH) | (1u << CAP_FOWNER))

#define NOBODY UINT32_MAX /* setfsuid(-1) fails and tells the present value */

static int capabilities_get(struct __user_cap_data_struct data[2])
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };

	return syscall(SYS_capget, &header, data) < 0 ? -errno : 0;
}

static int capabilities_set(const struct __user_cap_data_struct data[2])
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };

	return syscall(SYS_capset, &header, data) < 0 ? -errno : 0;
}

static int overruling_drop(void)
{
	struct __user_cap_data_struct data[2];
	int r = capabilities_get(data);

	if (r < 0 || !(data[0].effective & OVERRULING))
		return r;
	data[0].effective &= ~OVERRULING;
	return capabilities_set(data);
}

/* What is permitted becomes effective again: before the switch it was. */
static void overruling_restore(void)
{
	struct __user_cap_data_struct data[2];

	if (capabilities_get(data) < 0)
		return;
	data[0].effective |= data[0].permitted & OVERRULING;
	(void)capabilities_set(data);
}

static int ids_set(uint32_t uid, uint32_t gid)
{
	(void)setfsgid(gid);
	(void)setfsuid(uid);
	return (uint32_t)setfsuid(NOBODY) == uid && (uint32_t)setfsgid(NOBODY) == gid ? 0 : -EPERM;
}

int rights_init(struct rights *rights, uint32_t uid, uint32_t gid, struct error *err)
{
	struct __user_cap_data_struct data[2];
	int r;

	*rights = (struct rights){
		.uid = uid,
		.gid = gid,
		.own_uid = (uint32_t)setfsuid(NOBODY),
		.own_gid = (uint32_t)setfsgid(NOBODY),
	};
	if (uid == rights->own_uid) /* his own service: its rights are his */
		return 0;
	if (uid == NOBODY || gid == NOBODY)
		return error_set(err, -EINVAL, BLAME_US, NULL, "not a user: %" PRIu32 ", %" PRIu32,
				 uid, gid);
	rights->switch_needed = true;
	r = rights_take(rights);
	if (r == 0 && uid != 0) {
		r = capabilities_get(data);
		if (r == 0)
			rights->drop_capabilities = data[0].effective & OVERRULING;
	}
	rights_leave(rights);
	/* the system call itself: glibc's setgroups() would do it to every thread */
	if (r == 0 && getgroups(0, NULL) > 0 && syscall(SYS_setgroups, 0, NULL) < 0)
		r = -errno;
	if (r < 0)
		return error_errno(err, r, "taking the file rights of user %" PRIu32, uid);
	return 0;
}

int rights_take(const struct rights *rights)
{
	int r;

	if (!rights->switch_needed)
		return 0;
	r = ids_set(rights->uid, rights->gid);
	if (r == 0 && rights->drop_capabilities)
		r = overruling_drop();
	if (r < 0)
		rights_leave(rights);
	return r;
}

void rights_leave(const struct rights *rights)
{
	int keep = errno;

	if (rights->switch_needed) {
		(void)ids_set(rights->own_uid, rights->own_gid);
		if (rights->drop_capabilities)
			overruling_restore();
	}
	errno = keep;
}
