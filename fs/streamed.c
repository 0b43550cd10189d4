/* SPDX-License-Identifier: MIT */
/* fs/streamed.c: opens that are handed a package's bytes as they come (cache.verify=stream).
 *
 *   open: not here ─► a number, direct_io ─► read: come? ─► answered out of the file that grows
 *                                              ├─► not yet: held (fetched.c)
 *                                              ├─► whole and right: compose_read()
 *                                              └─► wrong, or begun anew: EIO until it is closed
 *
 * What such an open was handed may turn out to be wrong, so nothing of it may stay with the kernel:
 * it goes by direct_io, and packages of servers are opened without keep_cache, which drops what
 * a mapping has left behind. fi->fh holds a number, not a place: one of a service before this one
 * finds nothing, and gets EIO, since nobody knows any more what it was handed. */
#include "fs/internal.h"

#include <unistd.h>

struct stream {
	struct stream *next;
	uint64_t number;
	struct tree_arrival
		*arrival; /* that it was handed bytes of; NULL: none, or they were right */
	bool broken;	  /* and those were wrong */
};

void streams_init(struct streams *streams)
{
	pthread_mutex_init(&streams->lock, NULL);
	streams->last = ((uint64_t)time_monotonic_ms() << 8 | (uint64_t)(getpid() & 0xff)) << 20;
}

static struct stream **bucket_of(struct streams *streams, uint64_t number)
{
	return &streams->bucket[number % STREAM_BUCKETS];
}

static struct stream *find(struct streams *streams, uint64_t number)
{
	struct stream *stream = *bucket_of(streams, number);

	while (stream && stream->number != number)
		stream = stream->next;
	return stream;
}

static void stream_free(struct stream *stream)
{
	tree_arrival_unref(stream->arrival);
	free(stream);
}

void streams_done(struct streams *streams)
{
	for (size_t i = 0; i < STREAM_BUCKETS; i++)
		while (streams->bucket[i]) {
			struct stream *stream = streams->bucket[i];

			streams->bucket[i] = stream->next;
			stream_free(stream);
		}
	pthread_mutex_destroy(&streams->lock);
}

int streamed_open(struct fs *fs, const struct inode *node, struct fuse_file_info *fi)
{
	struct streams *streams = &fs->streams;
	_cleanup_(tree_unrefp) struct tree *tree = NULL;
	struct stream *stream;
	struct tree_node found;

	fi->fh = 0;
	if (!tree_streams(fs->options.trees) || shown_tree(fs, node->id, true, &tree, NULL) < 0 ||
	    tree_get(tree, node->part, &found) < 0 || !found.package || !found.remote)
		return 0;
	fi->keep_cache = 0;
	if (found.cached)
		return 0;
	stream = calloc(1, sizeof(*stream));
	if (!stream)
		return -ENOMEM;
	fi->direct_io = 1;
	pthread_mutex_lock(&streams->lock);
	fi->fh = stream->number = ++streams->last;
	stream->next = *bucket_of(streams, stream->number);
	*bucket_of(streams, stream->number) = stream;
	pthread_mutex_unlock(&streams->lock);
	return 0;
}

void streamed_release(struct fs *fs, uint64_t number)
{
	struct streams *streams = &fs->streams;
	struct stream **link, *stream;

	if (!number)
		return;
	pthread_mutex_lock(&streams->lock);
	for (link = bucket_of(streams, number); *link && (*link)->number != number;)
		link = &(*link)->next;
	stream = *link;
	if (stream)
		*link = stream->next;
	pthread_mutex_unlock(&streams->lock);
	if (stream)
		stream_free(stream);
}

/* What it was handed bytes of, counted, or NULL. -EIO: they were wrong, or nobody knows. */
static int arrival_of(struct streams *streams, uint64_t number, struct tree_arrival **ret)
{
	struct tree_arrival *good = NULL;
	struct stream *stream;
	int r = 0;

	pthread_mutex_lock(&streams->lock);
	stream = find(streams, number);
	if (!stream || stream->broken) {
		r = -EIO;
	} else if (stream->arrival) {
		enum tree_arrival_state state = tree_arrival_state(stream->arrival);

		stream->broken = state == ARRIVAL_WRONG;
		if (stream->broken)
			r = -EIO;
		else if (state == ARRIVAL_GOOD)
			good = steal(stream->arrival);
		*ret = tree_arrival_ref(stream->arrival);
	}
	pthread_mutex_unlock(&streams->lock);
	tree_arrival_unref(good);
	return r;
}

/* It is about to be handed bytes of @arrival; false: it has been of another one. */
static bool attach(struct streams *streams, uint64_t number, struct tree_arrival *arrival)
{
	struct stream *stream;
	bool ours;

	pthread_mutex_lock(&streams->lock);
	stream = find(streams, number);
	if (stream && !stream->arrival)
		stream->arrival = tree_arrival_ref(arrival);
	ours = stream && stream->arrival == arrival && !stream->broken;
	pthread_mutex_unlock(&streams->lock);
	return ours;
}

static ssize_t read_arrival(struct fs *fs, uint64_t number, struct tree_arrival *arrival,
			    char **buffer, size_t size, uint64_t offset)
{
	ssize_t n;

	*buffer = malloc(size ? size : 1);
	if (!*buffer)
		return -ENOMEM;
	n = tree_arrival_read(arrival, *buffer, size, size, offset);
	return n > 0 && !attach(&fs->streams, number, arrival) ? -EIO : n;
}

/* Bytes in @ret_buffer; -ENODATA: whatever is here is right; -EAGAIN: to be held */
static ssize_t read_early(struct fs *fs, const struct inode *node, uint64_t number, size_t size,
			  uint64_t offset, char **ret_buffer)
{
	_cleanup_(tree_arrival_unrefp) struct tree_arrival *arrival = NULL;
	_cleanup_(tree_unrefp) struct tree *tree = NULL;
	struct tree_node found;
	ssize_t n = arrival_of(&fs->streams, number, &arrival);

	if (n == 0)
		n = shown_tree(fs, node->id, true, &tree, NULL);
	if (n == 0)
		n = tree_get(tree, node->part, &found);
	if (n < 0)
		return n;
	if (!arrival && (found.cached || offset >= found.size))
		return -ENODATA;
	if (!arrival)
		arrival = tree_arriving(tree, node->part);
	return arrival ? read_arrival(fs, number, arrival, ret_buffer, size, offset) : -EAGAIN;
}

void streamed_read(struct fs *fs, fuse_req_t req, const struct inode *node, uint64_t number,
		   size_t size, uint64_t offset, unsigned int times)
{
	_cleanup_(freep) char *buffer = NULL;
	ssize_t n = number ? read_early(fs, node, number, size, offset, &buffer) : -ENODATA;
	int r;

	if (n == -EAGAIN) {
		r = fetched_hold(&fs->mount[FS_TREE], req, node, number, size, offset, times);
		if (r == HELD)
			return;
		n = r;
	}
	if (n == -ENODATA) {
		compose_read(fs, req, node, size, offset, times);
		return;
	}
	figure_failure(fs, FIGURE_READ, n < 0 ? (int)n : 0);
	if (n == -EINTR) {
		reply_interrupted(fs, req);
		return;
	}
	if (n < 0) {
		fuse_reply_err(req, (int)-n);
		return;
	}
	atomic_fetch_add_explicit(&fs->read_bytes, (uint64_t)n, memory_order_relaxed);
	fuse_reply_buf(req, buffer, (size_t)n);
}
