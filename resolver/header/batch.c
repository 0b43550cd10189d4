/* SPDX-License-Identifier: MIT */
/* resolver/header/batch.c: many files by several threads.
 *
 *   threads: next index ─► record there? else open, read, write ─► count, list failures ─► next
 *   caller:  sleeps ─► progress(), failed(), without the lock ─► … until no thread is left
 *
 * Memory is bounded twice: what the headers under way need together (HEADER_MEMORY), and how many
 * failures may wait. */
#include "resolver/header/parts.h"

#include <fcntl.h>
#include <pthread.h>
#include <time.h>
#include <unistd.h>

#define STACK_BYTES (1u << 20) /* counts against the worker's memory; struct error lies on it */
#define PROGRESS_MS 100
#define FAILURES_WAITING 16
#define HASH_BYTES (256 * 1024)
/* times a header's size: its bytes, what librpm makes of them, the longest element */
#define MEMORY_GROWTH (HEADER_GROWTH + 4)

struct failure {
	struct failure *next;
	size_t index;
	struct error error;
};

struct self;

struct run {
	const struct header_batch *batch;
	int headers_dirfd;
	int (*work)(struct self *self, size_t index, struct error *err);
	char (*sha256)[DIGEST_HEX_SIZE];
	pthread_mutex_t lock;
	pthread_cond_t news; /* for the caller */
	pthread_cond_t room; /* for the threads: memory, or place in the list of failures */
	/* under lock */
	size_t next;
	unsigned int running, waiting; /* threads; failures */
	bool stop;
	struct header_totals totals;
	struct failure *failures; /* the last one first */
	uint64_t memory;	  /* free */
	bool out_of_memory;	  /* a failure could not be kept */
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

/* Wait for that much memory; false: everything is to end. */
static bool take_memory(struct run *run, uint64_t bytes)
{
	bool stop;

	(void)pthread_mutex_lock(&run->lock);
	while (!run->stop && run->memory < bytes)
		(void)pthread_cond_wait(&run->room, &run->lock);
	stop = run->stop;
	if (!stop)
		run->memory -= bytes;
	(void)pthread_mutex_unlock(&run->lock);
	return !stop;
}

static void give_memory(struct run *run, uint64_t bytes)
{
	(void)pthread_mutex_lock(&run->lock);
	run->memory += bytes;
	(void)pthread_cond_broadcast(&run->room);
	(void)pthread_mutex_unlock(&run->lock);
}

static bool is_stopped(struct run *run)
{
	bool stop;

	(void)pthread_mutex_lock(&run->lock);
	stop = run->stop;
	(void)pthread_mutex_unlock(&run->lock);
	return stop;
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
		if (is_stopped(self->run))
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
	char sha256[DIGEST_MAX_HEX_SIZE];
	int r;

	memory = memory < HEADER_MEMORY ? memory : HEADER_MEMORY;
	if (!take_memory(self->run, memory))
		return -ECANCELED;
	r = header_make(input, &header, err);
	if (r == 0 && self->run->batch->whole) {
		r = hash(self, input->reader, input->file, sha256, err);
		if (r == 0)
			memcpy(header.sha256, sha256, sizeof(header.sha256));
	}
	if (r == 0)
		r = record_put(self->run->headers_dirfd, input->file->key, &header, self->packer,
			       &bytes, err);
	self->totals.bytes_written += bytes;
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

/* ---- threads ---------------------------------------------------------------- */

static void add_totals(struct header_totals *sum, const struct header_totals *one)
{
	sum->files++;
	sum->present += one->present;
	sum->read += one->read;
	sum->failed += one->failed;
	sum->bytes_read += one->bytes_read;
	sum->bytes_written += one->bytes_written;
}

/* Under lock: hand a failure to the caller, who may be behind. */
static void report(struct run *run, size_t index, const struct error *error)
{
	struct failure *failure = malloc(sizeof(*failure));

	if (!failure) {
		run->out_of_memory = run->stop = true;
		return;
	}
	*failure = (struct failure){ .next = run->failures, .index = index, .error = *error };
	run->failures = failure;
	run->waiting++;
	if (!run->batch->failed)
		run->stop = true;
	(void)pthread_cond_signal(&run->news);
	while (!run->stop && run->waiting >= FAILURES_WAITING)
		(void)pthread_cond_wait(&run->room, &run->lock);
}

static void *thread_main(void *data)
{
	struct run *run = data;
	struct self self = { .run = run, .packer = record_packer() };

	(void)pthread_mutex_lock(&run->lock);
	run->out_of_memory |= !self.packer;
	run->stop |= !self.packer;
	while (!run->stop && run->next < run->batch->count) {
		struct error error = { 0 };
		size_t index = run->next++;
		int r;

		(void)pthread_mutex_unlock(&run->lock);
		self.totals = (struct header_totals){ 0 };
		r = run->work(&self, index, &error);
		(void)pthread_mutex_lock(&run->lock);
		if (r < 0 && !error.code)
			break; /* stopped on the way */
		self.totals.failed += r < 0;
		add_totals(&run->totals, &self.totals);
		if (r < 0)
			report(run, index, &error);
	}
	run->running--;
	(void)pthread_cond_signal(&run->news);
	(void)pthread_mutex_unlock(&run->lock);
	record_packer_free(self.packer);
	return NULL;
}

static unsigned int thread_count(const struct header_batch *batch)
{
	long processors = sysconf(_SC_NPROCESSORS_ONLN);
	unsigned int count = batch->threads   ? batch->threads
			     : processors > 0 ? (unsigned int)processors
					      : 1;

	count = count < HEADER_MAX_THREADS ? count : HEADER_MAX_THREADS;
	return count < batch->count ? count : (unsigned int)batch->count;
}

static unsigned int start_threads(struct run *run, pthread_t thread[HEADER_MAX_THREADS],
				  int *ret_error)
{
	unsigned int wanted = thread_count(run->batch), started = 0;
	pthread_attr_t attributes;

	*ret_error = pthread_attr_init(&attributes);
	if (*ret_error)
		return 0;
	(void)pthread_attr_setstacksize(&attributes, STACK_BYTES);
	(void)pthread_mutex_lock(&run->lock);
	while (started < wanted) {
		*ret_error = pthread_create(&thread[started], &attributes, thread_main, run);
		if (*ret_error)
			break; /* fewer do it as well */
		started++;
		run->running++;
	}
	(void)pthread_mutex_unlock(&run->lock);
	(void)pthread_attr_destroy(&attributes);
	return started;
}

/* ---- the caller ------------------------------------------------------------- */

static struct failure *reversed(struct failure *list)
{
	struct failure *done = NULL;

	while (list) {
		struct failure *next = list->next;

		list->next = done;
		done = list;
		list = next;
	}
	return done;
}

/* What becomes of failures, the oldest first: the first answer that is negative counts, and the
 * rest are dropped. */
static int settle(const struct header_batch *batch, struct failure *list, int r, struct error *err)
{
	for (list = reversed(list); list;) {
		struct failure *next = list->next;

		if (r == 0 && batch->failed) {
			r = batch->failed(batch->data, list->index, &list->error, err);
		} else if (r == 0) {
			r = list->error.code;
			if (err)
				*err = list->error;
		}
		free(list);
		list = next;
	}
	return r;
}

static void wait_for_news(struct run *run)
{
	struct timespec until;

	(void)clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += PROGRESS_MS * 1000000L;
	until.tv_sec += until.tv_nsec / 1000000000L;
	until.tv_nsec %= 1000000000L;
	while (run->running && !run->failures)
		if (pthread_cond_timedwait(&run->news, &run->lock, &until) == ETIMEDOUT)
			return;
}

/* Until the threads are done: pass on what they say. */
static int attend(struct run *run, struct error *err)
{
	const struct header_batch *batch = run->batch;
	int r = 0;

	(void)pthread_mutex_lock(&run->lock);
	while (run->running || run->failures) {
		struct header_totals totals;
		struct failure *failures;

		wait_for_news(run);
		failures = run->failures;
		run->failures = NULL;
		run->waiting = 0;
		totals = run->totals;
		(void)pthread_cond_broadcast(&run->room);
		(void)pthread_mutex_unlock(&run->lock);
		r = settle(batch, failures, r, err);
		if (r == 0 && batch->progress)
			r = batch->progress(batch->data, &totals, err);
		(void)pthread_mutex_lock(&run->lock);
		if (r < 0)
			run->stop = true;
		(void)pthread_cond_broadcast(&run->room);
	}
	(void)pthread_mutex_unlock(&run->lock);
	return r == 0 && run->out_of_memory ? error_oom(err) : r;
}

static int run_batch(struct run *run, struct header_totals *ret, struct error *err)
{
	pthread_t thread[HEADER_MAX_THREADS];
	pthread_condattr_t clock;
	unsigned int started;
	int r = 0, failure = 0;

	run->memory = HEADER_MEMORY;
	(void)pthread_mutex_init(&run->lock, NULL);
	(void)pthread_cond_init(&run->room, NULL);
	(void)pthread_condattr_init(&clock);
	(void)pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&run->news, &clock);
	(void)pthread_condattr_destroy(&clock);
	started = start_threads(run, thread, &failure);
	if (!started && run->batch->count)
		r = error_errno(err, -failure, "cannot start a thread");
	else
		r = attend(run, err);
	for (unsigned int i = 0; i < started; i++)
		(void)pthread_join(thread[i], NULL);
	(void)pthread_cond_destroy(&run->news);
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
