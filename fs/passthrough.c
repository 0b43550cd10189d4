/* SPDX-License-Identifier: MIT */
/* fs/passthrough.c: reads that the kernel answers from the backing file itself (Linux ≥ 6.9).
 *
 * libfuse from 3.17 on knows it. Before, two messages are made by hand: the answer to INIT, which
 * asks for it, and the answer to OPEN, which names a backing file that the kernel was given before.
 * libfuse is shown the same INIT afterwards; its own answer finds no question any more, which it
 * expects (interrupted).
 *
 * Rule of the kernel: all opens of an inode at one time use one backing id, or none. files.c keeps
 * it. */
#include "fs/internal.h"

#include <linux/fuse.h>
#include <sys/ioctl.h>
#include <sys/utsname.h>
#include <unistd.h>

/* Newer than the kernel headers this is built with (protocol 7.40). */
struct backing_map {
	int32_t fd;
	uint32_t flags;
	uint64_t padding;
};
#define BACKING_OPEN _IOW(229, 1, struct backing_map)
#define BACKING_CLOSE _IOW(229, 2, uint32_t)
#define STACK_DEPTH 1 /* ours alone: an overlay may still be put over the mount */

static bool passthrough_wanted(const struct mount *mount)
{
	enum fs_read_mode mode = mount->fs->options.read_mode;

	return mount->place == FS_TREE && (mode == FS_READ_AUTO || mode == FS_READ_PASSTHROUGH);
}

/* What was found out, said once: the rest is in /version. */
static void decide(struct fs *fs, enum reads_why why, int refused)
{
	bool warn = fs->options.read_mode == FS_READ_PASSTHROUGH;

	fs->reads_refused = refused;
	fs->reads_why = why;
	fs->passthrough = why == WHY_OFFERED;
	if (why == WHY_OFFERED || why == WHY_CONFIGURED)
		return;
	if (warn)
		log_warning("fs: no passthrough: %s; reads go by splice",
			    refused ? strerror(refused) : "the kernel does not offer it");
	else
		log_info("fs: no passthrough: %s; reads go by splice",
			 refused ? strerror(refused) : "the kernel does not offer it");
}

void passthrough_taken(struct mount *mount)
{
	if (passthrough_wanted(mount))
		decide(mount->fs, takeover_passthrough(mount) ? WHY_OFFERED : WHY_NOT_OFFERED, 0);
}

#ifdef HAVE_FUSE_PASSTHROUGH

void passthrough_offer(struct mount *mount _unused_, const struct fuse_buf *init _unused_)
{
}

void passthrough_init(struct mount *mount, struct fuse_conn_info *conn)
{
	if (!passthrough_wanted(mount)) {
		if (mount->place == FS_TREE)
			decide(mount->fs, WHY_CONFIGURED, 0);
		return;
	}
	if (conn->capable & FUSE_CAP_PASSTHROUGH) {
		conn->want |= FUSE_CAP_PASSTHROUGH;
		conn->max_backing_stack_depth = STACK_DEPTH - 1; /* libfuse adds ours */
	}
	decide(mount->fs, conn->want & FUSE_CAP_PASSTHROUGH ? WHY_OFFERED : WHY_NOT_OFFERED, 0);
}

int passthrough_reply_open(fuse_req_t req, struct fuse_file_info *fi, int32_t id)
{
	fi->backing_id = id;
	fi->keep_cache = 0;
	return fuse_reply_open(req, fi);
}

#else

#define OPEN_PASSTHROUGH (1u << 7)
#define OPEN_NOFLUSH (1u << 5)
#define INIT_FLAGS2_PASSTHROUGH (1u << 5) /* bit 37 of both words */
#define MAX_WRITE (1u << 20)

struct open_answer {
	uint64_t fh;
	uint32_t flags;
	int32_t backing_id;
};

/* The INIT that the kernel sent, when it offers passthrough; NULL: it does not. */
static const struct fuse_init_in *offered(const struct fuse_buf *buffer, uint64_t *ret_unique)
{
	const char *bytes = buffer->mem;
	const struct fuse_in_header *header = (const void *)bytes;
	const struct fuse_init_in *init = (const void *)(bytes + sizeof(*header));

	if (buffer->size < sizeof(*header) + sizeof(*init) || header->opcode != FUSE_INIT ||
	    !(init->flags & FUSE_INIT_EXT) || !(init->flags2 & INIT_FLAGS2_PASSTHROUGH))
		return NULL;
	*ret_unique = header->unique;
	return init;
}

/* What op_init() asks of libfuse, said by hand. */
static int answer_init(int device, uint64_t unique, const struct fuse_init_in *init,
		       unsigned int background)
{
	const uint32_t want = FUSE_ASYNC_READ | FUSE_ATOMIC_O_TRUNC | FUSE_EXPORT_SUPPORT |
			      FUSE_BIG_WRITES | FUSE_DO_READDIRPLUS | FUSE_PARALLEL_DIROPS |
			      FUSE_MAX_PAGES | FUSE_CACHE_SYMLINKS | FUSE_INIT_EXT;
	struct {
		struct fuse_out_header header;
		struct fuse_init_out init;
	} answer = {
		.header = { .len = sizeof(answer), .unique = unique },
		.init = {
			.major = FUSE_KERNEL_VERSION,
			.minor = init->minor < FUSE_KERNEL_MINOR_VERSION
					 ? init->minor
					 : FUSE_KERNEL_MINOR_VERSION,
			.max_readahead = init->max_readahead,
			.flags = want & init->flags,
			.max_background = (uint16_t)background,
			.congestion_threshold = (uint16_t)(background * 3 / 4),
			.max_write = MAX_WRITE,
			.time_gran = 1,
			.max_pages = (uint16_t)(MAX_WRITE / (size_t)getpagesize()),
			.flags2 = INIT_FLAGS2_PASSTHROUGH,
			.unused = { STACK_DEPTH },
		},
	};

	return write(device, &answer, sizeof(answer)) == sizeof(answer) ? 0 : -errno;
}

void passthrough_offer(struct mount *mount, const struct fuse_buf *buffer)
{
	const struct fuse_init_in *init;
	uint64_t unique;

	if (!passthrough_wanted(mount))
		return;
	init = offered(buffer, &unique);
	if (init && init->major == FUSE_KERNEL_VERSION &&
	    !answer_init(fuse_session_fd(mount->session), unique, init,
			 fetched_background(mount->fs)))
		decide(mount->fs, WHY_OFFERED, 0);
	else
		decide(mount->fs, WHY_NOT_OFFERED, 0);
}

void passthrough_init(struct mount *mount, struct fuse_conn_info *conn _unused_)
{
	if (mount->place == FS_TREE && !passthrough_wanted(mount))
		decide(mount->fs, WHY_CONFIGURED, 0);
}

int passthrough_reply_open(fuse_req_t req, struct fuse_file_info *fi _unused_, int32_t id)
{
	const struct open_answer answer = { .flags = OPEN_PASSTHROUGH | OPEN_NOFLUSH,
					    .backing_id = id };

	return fuse_reply_buf(req, (const char *)&answer, sizeof(answer));
}

#endif

int32_t passthrough_open(struct fs *fs, int fd)
{
	struct backing_map map = { .fd = fd };
	int id;

	if (!fs->passthrough)
		return 0;
	id = ioctl(fuse_session_fd(fs->mount[FS_TREE].session), BACKING_OPEN, &map);
	if (id > 0)
		fs->backing_ids++;
	else if (errno == EPERM || errno == ENOTTY || errno == EOPNOTSUPP)
		decide(fs, WHY_REFUSED, errno); /* it will not be allowed the next time either */
	return id > 0 ? id : 0; /* this file is refused (its file system is stacked): splice */
}

void passthrough_close(struct fs *fs, int32_t id)
{
	uint32_t backing_id = (uint32_t)id;

	if (id <= 0)
		return;
	fs->backing_ids--;
	(void)ioctl(fuse_session_fd(fs->mount[FS_TREE].session), BACKING_CLOSE, &backing_id);
}

/* ---- words ----------------------------------------------------------------- */

static void tree_text(struct fs *fs, struct text *ret)
{
	const char *how = fs->options.read_mode == FS_READ_COPY ? "copy" : "splice";
	struct utsname kernel = { 0 };

	(void)uname(&kernel);
	switch (atomic_load(&fs->reads_why)) {
	case WHY_NOT_MOUNTED:
		break;
	case WHY_CONFIGURED:
		(void)text_addf(ret, "reads: %s (fs.read_mode)\n", how);
		break;
	case WHY_OFFERED:
		(void)text_addf(ret, "reads: passthrough (offered by Linux %s)\n", kernel.release);
		break;
	case WHY_NOT_OFFERED:
		(void)text_addf(ret, "reads: splice (Linux %s offers no passthrough)\n",
				kernel.release);
		break;
	case WHY_REFUSED:
		(void)text_addf(ret, "reads: splice (passthrough was refused: %s)\n",
				strerror(fs->reads_refused));
		break;
	}
}

static void ahead_text(const struct mount *mount, const char *name, struct text *ret)
{
	int64_t ahead = mount->read_ahead;

	if (ahead > 0)
		(void)text_addf(ret, "%s: %" PRId64 " KiB\n", name, ahead >> 10);
	else
		(void)text_addf(ret, "%s: the kernel's own%s%s%s\n", name, ahead ? " (" : "",
				ahead ? strerror((int)-ahead) : "", ahead ? ")" : "");
}

void reads_text(struct fs *fs, struct text *ret)
{
	const struct mount *export = &fs->mount[FS_EXPORT];

	(void)text_addf(ret, "libfuse: %s\n", fuse_pkgversion());
	takeover_text(fs, ret);
	tree_text(fs, ret);
	if (fs->mount[FS_TREE].mounted)
		ahead_text(&fs->mount[FS_TREE], "read-ahead", ret);
	if (!export->mounted)
		return;
	(void)text_addf(ret, "export: %s\nexport reads: %s (files are opened unseen)\n",
			export->path, fs->options.read_mode == FS_READ_COPY ? "copy" : "splice");
	ahead_text(export, "export read-ahead", ret);
}
