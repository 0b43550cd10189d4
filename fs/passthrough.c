/* SPDX-License-Identifier: MIT */
/* fs/passthrough.c: reads that the kernel answers from the backing file itself (Linux ≥ 6.9).
 *
 * libfuse 3.14 does not know it, so two messages are made by hand: the answer to INIT, which asks
 * for it, and the answer to OPEN, which names a backing file that the kernel was given before.
 * libfuse is shown the same INIT afterwards; its own answer finds no question any more, which it
 * expects (interrupted).
 *
 * Rule of the kernel: all opens of an inode at one time use one backing id, or none. files.c keeps
 * it. */
#include "fs/internal.h"

#include <linux/fuse.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* Newer than the kernel headers this is built with (protocol 7.40). */
struct backing_map {
	int32_t fd;
	uint32_t flags;
	uint64_t padding;
};
#define BACKING_OPEN _IOW(229, 1, struct backing_map)
#define BACKING_CLOSE _IOW(229, 2, uint32_t)
#define OPEN_PASSTHROUGH (1u << 7)
#define OPEN_NOFLUSH (1u << 5)
#define INIT_FLAGS2_PASSTHROUGH (1u << 5) /* bit 37 of both words */
#define STACK_DEPTH 1			  /* the backing file lies on an ordinary file system */
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
static int answer_init(int device, uint64_t unique, const struct fuse_init_in *init)
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
			.max_background = BACKGROUND_MAX,
			.congestion_threshold = BACKGROUND_MAX * 3 / 4,
			.max_write = MAX_WRITE,
			.time_gran = 1,
			.max_pages = (uint16_t)(MAX_WRITE / (size_t)getpagesize()),
			.flags2 = INIT_FLAGS2_PASSTHROUGH,
			.unused = { STACK_DEPTH },
		},
	};

	return write(device, &answer, sizeof(answer)) == sizeof(answer) ? 0 : -errno;
}

int passthrough_start(struct fs *fs, struct fuse_session *session)
{
	struct fuse_buf buffer = { 0 };
	const struct fuse_init_in *init;
	uint64_t unique;
	int r;

	fs->passthrough = false;
	if (fs->options.read_mode == FS_READ_SPLICE)
		return 0;
	do
		r = fuse_session_receive_buf(session, &buffer);
	while (r == -EINTR);
	if (r > 0) {
		init = offered(&buffer, &unique);
		if (init && init->major == FUSE_KERNEL_VERSION &&
		    !answer_init(fuse_session_fd(session), unique, init))
			fs->passthrough = true;
		fuse_session_process_buf(session, &buffer);
		r = 0;
	}
	free(buffer.mem);
	return r;
}

int32_t passthrough_open(struct fs *fs, int fd)
{
	struct backing_map map = { .fd = fd };
	int id;

	if (!fs->passthrough)
		return 0;
	id = ioctl(fuse_session_fd(fs->session), BACKING_OPEN, &map);
	if (id < 0 && (errno == EPERM || errno == ENOTTY || errno == EOPNOTSUPP)) {
		fs->passthrough = false; /* it will not be allowed the next time either */
		log_info("fs: no passthrough: %s; reads go by splice", strerror(errno));
	}
	return id > 0 ? id : 0; /* this file is refused (its file system is stacked): splice */
}

void passthrough_close(struct fs *fs, int32_t id)
{
	uint32_t backing_id = (uint32_t)id;

	if (id > 0)
		(void)ioctl(fuse_session_fd(fs->session), BACKING_CLOSE, &backing_id);
}

int passthrough_reply_open(fuse_req_t req, int32_t id)
{
	const struct open_answer answer = { .flags = OPEN_PASSTHROUGH | OPEN_NOFLUSH,
					    .backing_id = id };

	return fuse_reply_buf(req, (const char *)&answer, sizeof(answer));
}
