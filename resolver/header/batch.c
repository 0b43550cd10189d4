/* SPDX-License-Identifier: MIT */
/* resolver/header/batch.c: many files by several threads (core/base/together.c).
 *
 *   thread:  record there? else open, read, write ─► count, tell of a failure ─► next
 *   caller:  sleeps ─► progress(), without the lock ─► … until no thread is left
 *
 * Memory is bounded by what the headers under way need together (HEADER_MEMORY). */
#include "resolver/header/parts.h"

#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

#define HASH_BYTES (256 * 1024)
/* times a header's size: its bytes, what librpm makes of them, the longest element */
#define MEMORY_GROWTH (HEADER_GROWTH + 4)

struct self;

struct run {
	const struct header_batch *batch;
	int headers_dirfd;
	int (*work)(struct self *self, size_t index, struct error *err);
	char (*sha256)[DIGEST_HEX_SIZE];
	struct self *self; /* one for each thread */
	pthread_mutex_t lock;
	pthread_cond_t room; /* there is memory again, or an end */
	/* under lock */
	struct header_totals totals;
	uint64_t memory; /* free */
	int r;		 /* negative: everything is to end, with these words */
	struct error error;
};

/* struct self - a thread, and what it counts for the file at hand */
struct self {
	struct run *run;
	struct header_totals totals;
	struct ZSTD_CCtx_s *packer;
};

/* ---- one file --------------------------------------------------------------- */

static int open_path(const struct header_batch *batch, size_t index, struct header_reader *ret,
		     struct error *err)
{
	int fd = openat(batch->dirfd, batch->file[index].path, O_RDONLY | O_CLOEXEC | O_NONBLOCK),
	    r;

	if (fd < 0)
		return error_set(err, -errno, BLAME_SOURCE, NULL, "%s", strerror(errno));
	r = header_reader_fd(fd, ret, err);
	if (r < 0)
		(void)close(fd);
	return r;
}

static int open_reader(const struct header_batch *batch, size_t index, struct header_reader *ret,
		       struct error *err)
{
	if (batch->open)
		return batch->open(batch->data, index, ret, err);
	return open_path(batch, index, ret, err);
}

static void close_reader(const struct header_batch *batch, size_t index,
			 struct header_reader *reader)
{
	if (!batch->open)
		(void)close((int)(intptr_t)reader->data);
	else if (batch->close)
		batch->close(batch->data, index, reader);
}

static void end_all(struct run *run, int r, const struct error *error)
{
	if (run->r == 0) {
		run->r = r;
		run->error = *error;
	}
	(void)pthread_cond_broadcast(&run->room);
}

/* Wait for that much memory; false: everything is to end. */
static bool take_memory(struct run *run, uint64_t bytes)
{
	bool more;

	(void)pthread_mutex_lock(&run->lock);
	while (run->r == 0 && run->memory < bytes)
		(void)pthread_cond_wait(&run->room, &run->lock);
	more = run->r == 0;
	if (more)
		run->memory -= bytes;
	(void)pthread_mutex_unlock(&run->lock);
	return more;
}

static void give_memory(struct run *run, uint64_t bytes)
{
	(void)pthread_mutex_lock(&run->lock);
	run->memory += bytes;
	(void)pthread_cond_broadcast(&run->room);
	(void)pthread_mutex_unlock(&run->lock);
}

static bool is_ended(struct run *run)
{
	bool ended;

	(void)pthread_mutex_lock(&run->lock);
	ended = run->r < 0;
	(void)pthread_mutex_unlock(&run->lock);
	return ended;
}

static int hash(struct self *self, const struct header_reader *reader,
		const struct header_file *file, char ret[DIGEST_MAX_HEX_SIZE], struct error *err)
{
	_cleanup_(digest_freep) struct digest *digest = digest_new("sha256");
	_cleanup_(freep) char *buffer = malloc(HASH_BYTES);
	uint64_t offset = 0;
	ssize_t n;

	if (!digest || !buffer)
		return error_oom(err);
	do {
		if (is_ended(self->run))
			return -ECANCELED;
		n = reader->read(reader->data, buffer, HASH_BYTES, offset, err);
		if (n < 0)
			return (int)n;
		digest_add(digest, buffer, (size_t)n);
		offset += (uint64_t)n;
		self->totals.bytes_read += (uint64_t)n;
	} while (n == HASH_BYTES);
	if (file->size != HEADER_SIZE_UNKNOWN && offset != file->size)
		return error_set(err, -EBADMSG, BLAME_SOURCE, "size",
				 "size: %" PRIu64 " bytes, not %" PRIu64, offset, file->size);
	digest_hex(digest, ret);
	return 0;
}

/* With the header's size known: make the record. */
static int make_record(struct self *self, struct input *input, struct error *err)
{
	_cleanup_(header_done) struct header header = { 0 };
	uint64_t memory = (input->end - input->start) * MEMORY_GROWTH, bytes = 0;
	int r;

	memory = memory < HEADER_MEMORY ? memory : HEADER_MEMORY;
	if (!take_memory(self->run, memory))
		return -ECANCELED;
	r = header_make(input, &header, err);
	if (r == 0)
		r = record_put(self->run->headers_dirfd, input->file->key, &header, self->packer,
			       &bytes, err);
	self->totals.bytes_written += bytes;
	header_done(&header);
	give_memory(self->run, memory);
	return r;
}

static int read_one(struct self *self, size_t index, struct error *err)
{
	const struct header_batch *batch = self->run->batch;
	const struct header_file *file = &batch->file[index];
	int headers_dirfd = self->run->headers_dirfd;
	_cleanup_(header_done) struct header known = { 0 };
	_cleanup_(input_done) struct input input = { .file = file };
	struct header_reader reader;
	int r = header_store_get(headers_dirfd, file->key, 0, &known, err);

	if (r != 0) {
		self->totals.present += r == 1;
		return r < 0 ? r : 0;
	}
	if (!self->packer && !(self->packer = record_packer()))
		return error_oom(err);
	r = open_reader(batch, index, &reader, err);
	if (r < 0)
		return error_prefix(err, "%s", file->path);
	input.reader = &reader;
	r = input_front(&input, err);
	if (r == 0)
		r = make_record(self, &input, err);
	self->totals.bytes_read += input.bytes_read;
	self->totals.read += r == 0;
	close_reader(batch, index, &reader);
	return err->code ? error_prefix(err, "%s", file->path) : r;
}

static int hash_one(struct self *self, size_t index, struct error *err)
{
	const struct header_batch *batch = self->run->batch;
	const struct header_file *file = &batch->file[index];
	int headers_dirfd = self->run->headers_dirfd;
	char *sha256 = self->run->sha256[index];
	_cleanup_(header_done) struct header known = { 0 };
	char hex[DIGEST_MAX_HEX_SIZE];
	struct header_reader reader;
	int r = header_store_get(headers_dirfd, file->key, 0, &known, err);

	if (r < 0)
		return r;
	if (r == 1 && known.sha256[0]) {
		memcpy(sha256, known.sha256, DIGEST_HEX_SIZE);
		self->totals.present++;
		return 0;
	}
	r = open_reader(batch, index, &reader, err);
	if (r == 0) {
		r = hash(self, &reader, file, hex, err);
		close_reader(batch, index, &reader);
	}
	if (r < 0)
		return err->code ? error_prefix(err, "%s", file->path) : r;
	r = header_store_digest(headers_dirfd, file->key, hex, err);
	if (r < 0)
		return r;
	memcpy(sha256, hex, DIGEST_HEX_SIZE);
	self->totals.read++;
	return 0;
}

/* ---- all ---------------------------------------------------------------- */

static void add_totals(struct header_totals *sum, const struct header_totals *one)
{
	sum->files++;
	sum->present += one->present;
	sum->read += one->read;
	sum->failed += one->failed;
	sum->bytes_read += one->bytes_read;
	sum->bytes_written += one->bytes_written;
}

/* Under lock: what becomes of a failure */
static void settle(struct run *run, size_t index, const struct error *failure)
{
	const struct header_batch *batch = run->batch;
	struct error error = { 0 };
	int r;

	if (run->r < 0)
		return;
	if (!batch->failed) {
		end_all(run, failure->code, failure);
		return;
	}
	r = batch->failed(batch->data, index, failure, &error);
	if (r < 0)
		end_all(run, r, &error);
}

static int do_one(void *data, unsigned int thread, size_t index, struct error *err)
{
	struct run *run = data;
	struct self *self = &run->self[thread];
	int r;

	self->run = run;
	self->totals = (struct header_totals){ 0 };
	r = is_ended(run) ? -ECANCELED : run->work(self, index, err);
	if (r < 0 && !err->code)
		return r; /* ended on the way */
	(void)pthread_mutex_lock(&run->lock);
	self->totals.failed += r < 0;
	add_totals(&run->totals, &self->totals);
	if (r < 0)
		settle(run, index, err);
	r = run->r;
	(void)pthread_mutex_unlock(&run->lock);
	return r;
}

static void tell(void *data, size_t done)
{
	struct run *run = data;
	const struct header_batch *batch = run->batch;
	struct header_totals totals;
	struct error error = { 0 };
	bool ended;
	int r;

	(void)done;
	(void)pthread_mutex_lock(&run->lock);
	totals = run->totals;
	ended = run->r < 0;
	(void)pthread_mutex_unlock(&run->lock);
	if (ended || !batch->progress)
		return;
	r = batch->progress(batch->data, &totals, &error);
	if (r >= 0)
		return;
	(void)pthread_mutex_lock(&run->lock);
	end_all(run, r, &error);
	(void)pthread_mutex_unlock(&run->lock);
}

static unsigned int thread_count(const struct header_batch *batch)
{
	long processors = sysconf(_SC_NPROCESSORS_ONLN);
	unsigned int count = batch->threads   ? batch->threads
			     : processors > 0 ? (unsigned int)processors
					      : 1;

	return count < TOGETHER_THREADS_MAX ? count : TOGETHER_THREADS_MAX;
}

static int run_batch(struct run *run, struct header_totals *ret, struct error *err)
{
	struct self self[TOGETHER_THREADS_MAX] = { 0 };
	const struct together work = { .count = run->batch->count,
				       .threads = thread_count(run->batch),
				       .one = do_one,
				       .progress = tell,
				       .data = run };
	int r;

	run->self = self;
	run->memory = HEADER_MEMORY;
	(void)pthread_mutex_init(&run->lock, NULL);
	(void)pthread_cond_init(&run->room, NULL);
	r = together(&work, err);
	if (run->r < 0) { /* why the threads came to an end */
		r = run->r;
		if (err)
			*err = run->error;
	}
	for (size_t i = 0; i < ARRAY_SIZE(self); i++)
		record_packer_free(self[i].packer);
	(void)pthread_cond_destroy(&run->room);
	(void)pthread_mutex_destroy(&run->lock);
	if (ret)
		*ret = run->totals;
	return r;
}

int header_read_all(int headers_dirfd, const struct header_batch *batch, struct header_totals *ret,
		    struct error *err)
{
	struct run run = { .batch = batch, .headers_dirfd = headers_dirfd, .work = read_one };

	return run_batch(&run, ret, err);
}

int header_digest_all(int headers_dirfd, const struct header_batch *batch,
		      char (*ret_sha256)[DIGEST_HEX_SIZE], struct header_totals *ret,
		      struct error *err)
{
	struct run run = { .batch = batch,
			   .headers_dirfd = headers_dirfd,
			   .work = hash_one,
			   .sha256 = ret_sha256 };

	for (size_t i = 0; i < batch->count; i++)
		ret_sha256[i][0] = '\0';
	return run_batch(&run, ret, err);
}
