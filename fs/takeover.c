/* SPDX-License-Identifier: MIT */
/* fs/takeover.c: a mount that outlives its server.
 *
 * Whoever keeps our descriptors (core/daemon/keeper.c) has two of each mount: the device, and
 * memory with what the next server cannot find out by itself: the first request of the session,
 * which agreed on its terms; which files are open, and by which backing file the kernel reads them;
 * who waits in poll(2). Everything else is found again from inode numbers (inode.h).
 *
 *   next server: takes the device ─► RESEND: the kernel queues again what was read and not answered
 *                ─► libfuse is shown the saved first request ─► its loop
 *
 * A kernel without RESEND (before 6.9) loses what was under way, whose callers would hang: then
 * only a mount that was left in order is gone on with, any other is made anew. */
#include "fs/internal.h"

#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define MAGIC "odcsfs1" /* another layout of struct record: another digit */
#define DEVICE_MAJOR 10 /* of /dev/fuse, on every Linux */
#define DEVICE_MINOR 229
#define INIT_MAX 256
#define PLACE_SIZE 4096
#define OPENS_MAX                                                                                  \
	65536 /* inodes that are open at a time; with more, passthrough ends for new ones */
#define SEEN_KEPT 1024 /* counted requests; more than can be between count and answer */
#define POLLS_KEPT 4096
#define RESEND_CODE 7 /* FUSE_NOTIFY_RESEND, newer than the kernel headers this is built with */
#define RESENT (UINT64_C(1) << 63) /* in the number of a request: it is asked again */

struct record {
	char magic[8];
	uint32_t size;
	uint32_t left; /* the last server ended in order: nothing was under way */
	uint32_t resends, passthrough, incomplete;
	uint32_t device_major, device_minor;
	uint32_t init_length;
	unsigned char init[INIT_MAX];
	char path[PLACE_SIZE];
	/* up to here the same in every layout: any server can unmount what another one left */
	int64_t time_told; /* what was news before, the kernel was told of */
	uint32_t next_seen;
	uint64_t seen[SEEN_KEPT];
	uint64_t polls[POLLS_KEPT];
	struct kept_open open[OPENS_MAX]; /* opens 0: free */
};
_Static_assert(offsetof(struct record, device_major) == 28 &&
		       offsetof(struct record, path) == 296 &&
		       offsetof(struct record, time_told) == 296 + PLACE_SIZE,
	       "servers of other layouts read these");

struct legacy {
	struct record *record;
	int fd;
	size_t next; /* where a free one is looked for */
};

static const char *device_name(const struct mount *mount)
{
	return mount->place == FS_TREE ? "mount-tree" : "mount-export";
}

static const char *memory_name(const struct mount *mount)
{
	return mount->place == FS_TREE ? "memory-tree" : "memory-export";
}

static void legacy_free(struct legacy *legacy)
{
	if (!legacy)
		return;
	if (legacy->record)
		(void)munmap(legacy->record, sizeof(*legacy->record));
	closep(&legacy->fd);
	free(legacy);
}
DEFINE_FREEP(struct legacy, legacy_free)

/* Takes @fd over. */
static struct legacy *legacy_map(int fd)
{
	struct legacy *legacy = calloc(1, sizeof(*legacy));
	void *memory = fd < 0 || !legacy ? MAP_FAILED
					 : mmap(NULL, sizeof(struct record), PROT_READ | PROT_WRITE,
						MAP_SHARED, fd, 0);

	if (memory == MAP_FAILED) {
		closep(&fd);
		free(legacy);
		return NULL;
	}
	legacy->record = memory;
	legacy->fd = fd;
	return legacy;
}

static struct legacy *legacy_new(const char *path)
{
	_cleanup_(closep) int fd = memfd_create("odcsfs-mount", MFD_CLOEXEC);
	struct legacy *legacy;

	if (fd < 0 || ftruncate(fd, sizeof(struct record)) < 0)
		return NULL;
	legacy = legacy_map(steal_fd(&fd));
	if (!legacy)
		return NULL;
	memcpy(legacy->record->magic, MAGIC, sizeof(MAGIC));
	legacy->record->size = sizeof(struct record);
	(void)snprintf(legacy->record->path, sizeof(legacy->record->path), "%s", path);
	return legacy;
}

/* Does libfuse begin a session with it? Of one that it refuses, every request would end as EIO. */
static bool is_init(const struct record *record)
{
	struct {
		struct fuse_in_header header;
		uint32_t major, minor; /* how struct fuse_init_in begins */
	} init;

	if (record->init_length < sizeof(init) || record->init_length > INIT_MAX)
		return false;
	memcpy(&init, record->init, sizeof(init));
	return init.header.len == record->init_length && init.header.opcode == FUSE_INIT &&
	       init.major == FUSE_KERNEL_VERSION;
}

/* Of another version, or damaged: NULL. Takes @fd over. */
static struct legacy *legacy_load(int fd)
{
	_cleanup_(legacy_freep) struct legacy *legacy = NULL;
	off_t size = fd < 0 ? 0 : lseek(fd, 0, SEEK_END);

	if (size != sizeof(struct record)) {
		closep(&fd);
		return NULL;
	}
	legacy = legacy_map(fd);
	if (!legacy || memcmp(legacy->record->magic, MAGIC, sizeof(MAGIC)) != 0 ||
	    legacy->record->size != sizeof(struct record) || !is_init(legacy->record) ||
	    !memchr(legacy->record->path, '\0', sizeof(legacy->record->path)))
		return NULL;
	return steal(legacy);
}

/* ---- the device ------------------------------------------------------------------ */

/* Is it a device that is mounted still, somewhere? */
static bool alive(int device)
{
	struct pollfd what = { .fd = device };
	struct stat st;

	return !fstat(device, &st) && S_ISCHR(st.st_mode) &&
	       st.st_rdev == makedev(DEVICE_MAJOR, DEVICE_MINOR) && poll(&what, 1, 0) >= 0 &&
	       !(what.revents & (POLLERR | POLLNVAL));
}

static bool resend(int device)
{
	const struct fuse_out_header ask = { .len = sizeof(ask), .error = RESEND_CODE };

	return write(device, &ask, sizeof(ask)) == sizeof(ask);
}

static void forget(struct mount *mount)
{
	const struct fs_options *options = &mount->fs->options;

	options->keep(options->keep_data, device_name(mount), -1, NULL);
	options->keep(options->keep_data, memory_name(mount), -1, NULL);
}

/* Where it is, as far as that is the same in every layout */
struct whereabouts {
	char path[PLACE_SIZE]; /* "": unknown */
	uint32_t device[2];
};

static void whereabouts_of(int memory, struct whereabouts *ret)
{
	char magic[sizeof(MAGIC)];

	*ret = (struct whereabouts){ 0 };
	if (pread(memory, magic, sizeof(magic), 0) != sizeof(magic) ||
	    memcmp(magic, MAGIC, sizeof(MAGIC) - 2) != 0 ||
	    pread(memory, ret->device, sizeof(ret->device),
		  offsetof(struct record, device_major)) != sizeof(ret->device) ||
	    pread(memory, ret->path, sizeof(ret->path) - 1, offsetof(struct record, path)) < 0)
		ret->path[0] = '\0';
}

/* Does the path lead to it, and to no other that came over it? Attributes the kernel would ask of
 * us, and nobody answers. */
static bool is_there(const char *path, uint32_t major, uint32_t minor)
{
	struct statx st;

	return !statx(AT_FDCWD, path, AT_STATX_DONT_SYNC, 0, &st) && st.stx_dev_major == major &&
	       st.stx_dev_minor == minor;
}

/* It is not gone on with: away with it, before somebody reads what nobody answers. */
static void clear_away(struct mount *mount, const struct whereabouts *where, int device)
{
	const char *path = where->path[0] ? where->path : mount->path;
	int r = 0;

	if (!alive(device)) /* unmounted by hand; or the kernel ended it */
		r = path[0] ? place_clear(path) : 0;
	else if (!path[0])
		r = -ENOENT;
	else if (!where->device[1] || is_there(path, where->device[0], where->device[1]))
		r = fs_unmount(path);
	if (r < 0)
		log_warning("%s: a mount of the last server stays, unmount it by hand: %s",
			    path[0] ? path : device_name(mount), strerror(-r));
	forget(mount);
}

static bool usable(const struct mount *mount, const struct legacy *legacy, int device)
{
	if (!alive(device))
		return false;
	if (!legacy) {
		log_warning("%s: what the last server left is not understood: %s",
			    mount->path[0] ? mount->path : device_name(mount),
			    mount->path[0] ? "mounted anew" : "unmounted");
		return false;
	}
	if (strcmp(legacy->record->path, mount->path) != 0)
		return false;
	if (resend(device) || legacy->record->left)
		return true;
	log_warning(
		"%s: this kernel does not ask again what the last server did not answer: mounted "
		"anew",
		mount->path);
	return false;
}

static void inherit(struct mount *mount)
{
	struct record *record = mount->legacy->record;

	for (size_t i = 0; mount->place == FS_TREE && i < OPENS_MAX; i++)
		if (record->open[i].opens)
			backing_inherit(mount->fs, &record->open[i]);
}

int takeover_find(struct mount *mount, int *ret_fd)
{
	const struct fs_options *options = &mount->fs->options;
	_cleanup_(legacy_freep) struct legacy *legacy = NULL;
	_cleanup_(closep) int device = -1;
	struct whereabouts where;
	int memory;

	if (!options->held)
		return 0;
	device = options->held(options->keep_data, device_name(mount));
	memory = options->held(options->keep_data, memory_name(mount));
	whereabouts_of(memory, &where);
	legacy = legacy_load(memory);
	if (device < 0 && memory < 0)
		return 0;
	if (!usable(mount, legacy, device)) {
		clear_away(mount, &where, device);
		return 0;
	}
	legacy->record->left = 0;
	pthread_mutex_lock(&mount->fs->shown.lock);
	mount->legacy = steal(legacy);
	pthread_mutex_unlock(&mount->fs->shown.lock);
	inherit(mount);
	/* its path is not known to one that got it from a service manager */
	options->keep(options->keep_data, device_name(mount), device, mount->path);
	*ret_fd = steal_fd(&device);
	return 1;
}

size_t takeover_init(const struct mount *mount, void *ret, size_t size)
{
	const struct record *record = mount->legacy->record;
	size_t length = record->init_length < size ? record->init_length : size;

	memcpy(ret, record->init, length);
	return length;
}

void takeover_keep(struct mount *mount, const void *init, size_t length)
{
	const struct fs_options *options = &mount->fs->options;
	int device = fuse_session_fd(mount->session);
	struct legacy *legacy;
	struct statx st;

	if (!options->keep || length > INIT_MAX)
		return;
	legacy = legacy_new(mount->path);
	if (!legacy) {
		log_warning("%s: no memory for the next server: the mount ends with this one",
			    mount->path);
		return;
	}
	memcpy(legacy->record->init, init, length);
	legacy->record->init_length = (uint32_t)length;
	legacy->record->passthrough = mount->place == FS_TREE && mount->fs->passthrough;
	legacy->record->resends =
		resend(device); /* nothing is under way: only to see whether it can */
	legacy->record->time_told = time_now();
	if (!statx(AT_FDCWD, mount->path, AT_STATX_DONT_SYNC, 0, &st)) {
		legacy->record->device_major = st.stx_dev_major;
		legacy->record->device_minor = st.stx_dev_minor;
	}
	pthread_mutex_lock(&mount->fs->shown.lock);
	mount->legacy = legacy;
	pthread_mutex_unlock(&mount->fs->shown.lock);
	options->keep(options->keep_data, memory_name(mount), legacy->fd, NULL);
	options->keep(options->keep_data, device_name(mount), device, mount->path);
}

static void put_away(struct mount *mount)
{
	struct legacy *legacy = mount->legacy;

	pthread_mutex_lock(&mount->fs->shown.lock);
	mount->legacy = NULL;
	pthread_mutex_unlock(&mount->fs->shown.lock);
	legacy_free(legacy);
}

void takeover_drop(struct mount *mount)
{
	if (!mount->legacy)
		return;
	forget(mount);
	put_away(mount);
}

void takeover_leave(struct mount *mount)
{
	mount->legacy->record->left = 1;
	put_away(mount);
}

bool takeover_visible(const struct mount *mount, int device)
{
	const struct record *record = mount->legacy ? mount->legacy->record : NULL;

	return record && alive(device) &&
	       is_there(mount->path, record->device_major, record->device_minor);
}

bool takeover_resends(const struct mount *mount)
{
	return mount->legacy && mount->legacy->record->resends;
}

bool takeover_passthrough(const struct mount *mount)
{
	return mount->legacy->record->passthrough;
}

/* ---- numbers of requests -------------------------------------------------------------- */

/* How libfuse begins its private struct fuse_req, since 2.6. It is believed only where the session
 * stands in its place. */
struct request_head {
	struct fuse_session *session;
	uint64_t number;
};

static uint64_t number_of(const struct mount *mount, fuse_req_t req)
{
	struct request_head head;

	memcpy(&head, (const void *)req, sizeof(head));
	return head.session == mount->session ? head.number : 0;
}

bool takeover_resent(fuse_req_t req)
{
	return number_of(fuse_req_userdata(req), req) & RESENT;
}

/* Was it counted by a server that did not live to answer it? And remember that it is now. Under
 * shown.lock */
bool takeover_seen(fuse_req_t req)
{
	const struct mount *mount = fuse_req_userdata(req);
	struct record *record = mount->legacy ? mount->legacy->record : NULL;
	uint64_t number = number_of(mount, req);

	if (!record || !number)
		return false;
	for (size_t i = 0; number & RESENT && i < SEEN_KEPT; i++)
		if (record->seen[i] == (number & ~RESENT))
			return true;
	record->seen[record->next_seen++ % SEEN_KEPT] = number & ~RESENT;
	return false;
}

/* ---- open files ------------------------------------------------------------------------ */

struct kept_open *takeover_open(struct fs *fs, uint64_t ino)
{
	struct legacy *legacy = fs->mount[FS_TREE].legacy;

	if (!legacy)
		return NULL;
	for (size_t i = 0; i < OPENS_MAX; i++) {
		struct kept_open *open = &legacy->record->open[(legacy->next + i) % OPENS_MAX];

		if (open->opens)
			continue;
		legacy->next = (legacy->next + i + 1) % OPENS_MAX;
		open->backing_id = 0;
		open->ino = ino;
		return open;
	}
	legacy->record->incomplete = 1;
	return NULL;
}

bool takeover_incomplete(struct fs *fs)
{
	const struct legacy *legacy = fs->mount[FS_TREE].legacy;

	return legacy && legacy->record->incomplete && fs->mount[FS_TREE].taken;
}

/* ---- who waits in poll(2) ----------------------------------------------------------------- */

/* The private struct fuse_pollhandle, believed under the same condition. */
struct poll_head {
	uint64_t number;
	struct fuse_session *session;
};

static uint64_t *poll_slot(struct fs *fs, const struct fuse_pollhandle *poll, uint64_t *ret_number)
{
	struct mount *mount = &fs->mount[FS_TREE];
	struct poll_head head;

	memcpy(&head, (const void *)poll, sizeof(head));
	if (!mount->legacy || head.session != mount->session)
		return NULL;
	*ret_number = head.number;
	return &mount->legacy->record->polls[head.number % POLLS_KEPT];
}

void takeover_polls(struct fs *fs, const struct fuse_pollhandle *poll)
{
	uint64_t number, *slot;

	pthread_mutex_lock(&fs->shown.lock);
	slot = poll_slot(fs, poll, &number);
	if (slot)
		*slot = number;
	pthread_mutex_unlock(&fs->shown.lock);
}

void takeover_polled(struct fs *fs, const struct fuse_pollhandle *poll)
{
	uint64_t number, *slot;

	pthread_mutex_lock(&fs->shown.lock);
	slot = poll_slot(fs, poll, &number);
	if (slot && *slot == number)
		*slot = 0;
	pthread_mutex_unlock(&fs->shown.lock);
}

/* ---- news that came while nobody told the kernel -------------------------------------------- */

static void polls_wake(struct mount *mount)
{
	struct fuse_session *session = session_enter(mount, true);
	struct {
		struct fuse_out_header header;
		struct fuse_notify_poll_wakeup_out wakeup;
	} news = { .header = { .len = sizeof(news), .error = FUSE_NOTIFY_POLL } };

	for (size_t i = 0; session && i < POLLS_KEPT; i++) {
		pthread_mutex_lock(&mount->fs->shown.lock);
		news.wakeup.kh = mount->legacy ? mount->legacy->record->polls[i] : 0;
		if (news.wakeup.kh)
			mount->legacy->record->polls[i] = 0;
		pthread_mutex_unlock(&mount->fs->shown.lock);
		/* who is gone by now is no error */
		if (news.wakeup.kh && write(fuse_session_fd(session), &news, sizeof(news)) < 0 &&
		    errno == ENODEV)
			break;
	}
	if (session)
		session_leave(mount);
}

void takeover_catch_up(struct fs *fs)
{
	int64_t since = INT64_MAX;

	pthread_mutex_lock(&fs->shown.lock);
	for (int place = 0; place < FS_PLACES; place++) {
		const struct mount *mount = &fs->mount[place];

		if (mount->taken && mount->legacy && mount->legacy->record->time_told < since)
			since = mount->legacy->record->time_told;
	}
	pthread_mutex_unlock(&fs->shown.lock);
	if (since == INT64_MAX)
		return;
	news_missed(fs, since);
	if (fs->mount[FS_TREE].taken)
		polls_wake(&fs->mount[FS_TREE]);
}

void takeover_told(struct fs *fs, int64_t time)
{
	pthread_mutex_lock(&fs->shown.lock);
	for (int place = 0; place < FS_PLACES; place++)
		if (fs->mount[place].legacy)
			fs->mount[place].legacy->record->time_told = time;
	pthread_mutex_unlock(&fs->shown.lock);
}

void takeover_text(struct fs *fs, struct text *ret)
{
	const struct mount *mount = &fs->mount[FS_TREE];
	bool kept, resends;

	pthread_mutex_lock(&fs->shown.lock);
	if (!mount->legacy)
		mount = &fs->mount[FS_EXPORT];
	kept = mount->legacy;
	resends = takeover_resends(mount);
	pthread_mutex_unlock(&fs->shown.lock);
	if (!kept)
		(void)text_adds(ret, "takeover: no: the mount ends with its server\n");
	else if (resends)
		(void)text_adds(ret, "takeover: yes: what was under way is asked again\n");
	else
		(void)text_adds(ret, "takeover: by reload; after a crash mounted anew (the kernel "
				     "asks nothing again before Linux 6.9)\n");
}
