/* SPDX-License-Identifier: MIT */
/* resolver/snapshot/build.c: one repository at one repomd → snapshots/SHA/.
 *
 * Two threads, because libsolv's own reading of primary takes as long as all the rest together:
 *
 *   helper   primary ─► inflate, check, scan, frames ─► primary.zst ─┐      then filelists, other
 *   caller                                      libsolv ◄─ unpacks ──┘─► solv   then what is left
 * of them
 *
 * libsolv reads primary back out of the frames as they appear, so it sees only bytes that the scan
 * has passed (no document type, UTF-8), and no second copy is kept. Each stream is claimed by
 * whoever is free. All callbacks of the reader happen in the caller's thread. */
#include "resolver/snapshot/index.h"
#include "resolver/snapshot/inflate.h"
#include "resolver/solve/solve.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#define SPOOL_IN (128 * 1024)
#define SPOOL_OUT (128 * 1024)
#define PROGRESS_EVERY (UINT64_C(32) << 20)

struct build;

struct stream {
	struct build *build;
	enum snapshot_stream number;
	const struct repomd_record *record; /* NULL: the repository has none */
	int from, to;
	struct frames_writer frames;
	struct scan *scan;
	bool plain, open_differs;
	int r;
	struct error err;
};

struct build {
	const struct repomd *repomd;
	const struct snapshot_reader *reader;
	int dirfd;
	struct stream stream[SNAPSHOT_STREAMS];
	struct index_build index;
	struct index_header header;
	uint32_t without[SNAPSHOT_STREAMS]; /* packages without an element */
	int64_t bytes;			    /* written */

	pthread_mutex_t lock;
	pthread_cond_t changed;
	uint64_t ready; /* under lock: bytes of primary.zst that can be read */
	bool complete;	/* under lock: that is all of them */
	bool failed;	/* under lock: whoever still works may stop */
	int next;	/* under lock: first stream that nobody has claimed */
};

/* ---- one stream: inflate → frames and scan ---- */

static int on_package(void *data, const struct scan_package *package, struct error *err)
{
	struct stream *stream = data;
	struct index_build *index = &stream->build->index;
	int r = stream->number == SNAPSHOT_PRIMARY
			? index_add(index, package, err)
			: index_place(index, stream->number, package, err);

	return r < 0 ? r : frames_cut(&stream->frames, package->end, err);
}

static int on_require(void *data, const char *path, struct error *err)
{
	struct stream *stream = data;

	return index_require(&stream->build->index, path, err);
}

static int on_file(void *data, const struct scan_package *package, const char *path,
		   struct error *err)
{
	struct stream *stream = data;

	return index_own(&stream->build->index, package, path, err);
}

/* Others may read what is in the file now; tells whether there is still somebody who wants it. */
static bool publish(struct stream *stream, bool complete)
{
	struct build *build = stream->build;
	const struct frames_writer *frames = &stream->frames;
	bool failed;

	(void)pthread_mutex_lock(&build->lock);
	if (stream->number == SNAPSHOT_PRIMARY) {
		build->ready = frames->frame[frames->count].at - frames->out.length;
		build->complete = complete;
		(void)pthread_cond_signal(&build->changed);
	}
	failed = build->failed;
	(void)pthread_mutex_unlock(&build->lock);
	return !failed;
}

static int on_bytes(void *data, const char *bytes, size_t length, struct error *err)
{
	struct stream *stream = data;
	int r = frames_add(&stream->frames, bytes, length, err);

	if (r == 0)
		r = scan_feed(stream->scan, bytes, length, err);
	if (r == 0)
		r = frames_limit(&stream->frames, scan_position(stream->scan), err);
	return r == 0 && !publish(stream, false) ? -ECANCELED : r;
}

static int read_stream(struct stream *stream, struct error *err)
{
	const struct scan_sink sink = {
		.package = on_package,
		.require = stream->number == SNAPSHOT_PRIMARY ? on_require : NULL,
		.file = stream->number == SNAPSHOT_FILELISTS ? on_file : NULL,
		.data = stream,
	};
	const struct inflate_source source = {
		.fd = stream->from,
		.record = stream->record,
		.field = index_stream_field[stream->number],
		.limit = SNAPSHOT_MAX_OPEN_BYTES,
		.open_differs = &stream->open_differs,
	};
	int r = frames_start(&stream->frames, stream->to, err);

	if (r == 0)
		r = scan_new(stream->number, &sink, &stream->scan, err);
	if (r == 0)
		r = inflate_run(&source, on_bytes, stream, err);
	if (r == 0)
		r = scan_finish(stream->scan, err);
	if (r == 0)
		r = frames_flush(&stream->frames, true, err);
	if (r == 0 && stream->number == SNAPSHOT_PRIMARY)
		r = index_close_primary(&stream->build->index, err);
	if (r == 0) {
		stream->plain = scan_plain(stream->scan);
		(void)publish(stream, true);
	}
	return r;
}

static void fail(struct build *build)
{
	(void)pthread_mutex_lock(&build->lock);
	build->failed = true;
	(void)pthread_cond_broadcast(&build->changed);
	(void)pthread_mutex_unlock(&build->lock);
}

/* Streams that nobody has taken yet, until there are none; primary is the first. */
static void work(struct build *build)
{
	for (;;) {
		struct stream *stream = NULL;

		(void)pthread_mutex_lock(&build->lock);
		if (!build->failed && build->next < SNAPSHOT_STREAMS)
			stream = &build->stream[build->next++];
		(void)pthread_mutex_unlock(&build->lock);
		if (!stream)
			return;
		if (!stream->record)
			continue;
		stream->r = read_stream(stream, &stream->err);
		if (stream->r < 0)
			fail(build);
	}
}

static void *helper_main(void *data)
{
	work(data);
	return NULL;
}

/* ---- libsolv's side: primary out of the frames ---- */

struct spool {
	struct build *build;
	ZSTD_DStream *zstd;
	ZSTD_inBuffer in;
	char *buffer;
	uint64_t at;	    /* in primary.zst */
	uint64_t out, told; /* bytes given, and when that was told last */
	bool cancelled;	    /* ended because another stream failed */
};

/* 1: more bytes are in the buffer, 0: no more will come, or negative errno */
static int spool_fill(struct spool *spool)
{
	struct build *build = spool->build;
	uint64_t ready;
	ssize_t n;
	bool failed;

	(void)pthread_mutex_lock(&build->lock);
	while (build->ready == spool->at && !build->complete && !build->failed)
		(void)pthread_cond_wait(&build->changed, &build->lock);
	ready = build->ready;
	failed = build->failed;
	(void)pthread_mutex_unlock(&build->lock);
	if (failed)
		return -ECANCELED;
	if (ready == spool->at)
		return 0;
	n = io_pread(build->stream[SNAPSHOT_PRIMARY].to, spool->buffer,
		     ready - spool->at < SPOOL_IN ? (size_t)(ready - spool->at) : SPOOL_IN,
		     (off_t)spool->at);
	if (n <= 0)
		return n < 0 ? (int)n : -EIO;
	spool->at += (uint64_t)n;
	spool->in = (ZSTD_inBuffer){ spool->buffer, (size_t)n, 0 };
	return 1;
}

static void spool_progress(struct spool *spool)
{
	const struct snapshot_reader *reader = spool->build->reader;
	int64_t total = spool->build->stream[SNAPSHOT_PRIMARY].record->open_size;
	char words[96];

	if (!reader->progress || spool->out - spool->told < PROGRESS_EVERY)
		return;
	spool->told = spool->out;
	if (total > 0)
		(void)snprintf(words, sizeof(words),
			       "reading primary.xml: %" PRIu64 " of %" PRId64 " MiB",
			       spool->out >> 20, total >> 20);
	else
		(void)snprintf(words, sizeof(words), "reading primary.xml: %" PRIu64 " MiB",
			       spool->out >> 20);
	reader->progress(reader->data, words);
}

static ssize_t spool_read(void *cookie, char *bytes, size_t size)
{
	struct spool *spool = cookie;
	ZSTD_outBuffer out = { bytes, size, 0 };

	for (;;) {
		size_t r = ZSTD_decompressStream(spool->zstd, &out, &spool->in);
		int filled;

		if (ZSTD_isError(r)) {
			errno = EIO;
			return -1;
		}
		if (out.pos > 0)
			break;
		if (spool->in.pos < spool->in.size)
			continue;
		filled = spool_fill(spool);
		if (filled < 0) {
			spool->cancelled = filled == -ECANCELED;
			errno = -filled;
			return -1;
		}
		if (filled == 0)
			return 0;
	}
	spool->out += out.pos;
	spool_progress(spool);
	return (ssize_t)out.pos;
}

static int solve_from_spool(struct spool *spool, FILE *solv, struct error *err)
{
	const cookie_io_functions_t functions = { .read = spool_read };
	_cleanup_(fclosep) FILE *primary = fopencookie(spool, "r", functions);
	struct build *build = spool->build;
	uint32_t count = 0;
	int r;

	if (!primary)
		return error_oom(err);
	(void)setvbuf(primary, NULL, _IOFBF, SPOOL_OUT);
	r = solve_index(primary, NULL, 0, solv, &count, err);
	if (spool->cancelled)
		return -ECANCELED;
	if (r < 0)
		return r;
	if (ferror(primary))
		return error_errno(err, -EIO, "reading primary.zst back");
	if (count != build->index.count)
		return error_set(err, -EBADMSG, BLAME_SOURCE, "primary.xml",
				 "%" PRIu32 " packages were counted, the solver sees %" PRIu32,
				 build->index.count, count);
	return 0;
}

static int make_solv(struct build *build, struct error *err)
{
	struct spool spool = { .build = build };
	int fd = openat(build->dirfd, "solv", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644), r;
	_cleanup_(fclosep) FILE *solv = fd < 0 ? NULL : fdopen(fd, "w+e");

	if (!solv) {
		r = -errno;
		closep(&fd);
		return error_errno(err, r, "creating solv");
	}
	spool.zstd = ZSTD_createDStream();
	spool.buffer = malloc(SPOOL_IN);
	r = spool.zstd && spool.buffer ? solve_from_spool(&spool, solv, err) : error_oom(err);
	(void)ZSTD_freeDStream(spool.zstd);
	free(spool.buffer);
	if (r < 0)
		return r;
	if (fflush(solv) != 0)
		return error_errno(err, -errno, "writing solv");
	r = index_file_sum(fd, &build->header.solv_bytes, &build->header.solv_sum);
	if (r < 0)
		return error_errno(err, r, "reading solv");
	return 0;
}

/* ---- both together ---- */

static int run_threads(struct build *build, struct error *err)
{
	sigset_t all, before;
	pthread_t helper;
	bool started;
	int r;

	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	started = pthread_create(&helper, NULL, helper_main, build) == 0;
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (!started) /* one after the other then: nothing in work() waits for libsolv */
		work(build);
	r = make_solv(build, err);
	if (r < 0)
		fail(build);
	work(build);
	if (started)
		(void)pthread_join(helper, NULL);

	if (r < 0 && r != -ECANCELED)
		return r;
	for (int i = 0; i < SNAPSHOT_STREAMS; i++) {
		const struct stream *stream = &build->stream[i];

		if (stream->r < 0 && stream->r != -ECANCELED) {
			if (err)
				*err = stream->err;
			return stream->r;
		}
	}
	return r;
}

/* ---- opening what the repository has ---- */

static void say(const struct build *build, const char *format, ...) _printf_(2, 3);
static void say(const struct build *build, const char *format, ...)
{
	char words[512];
	va_list arguments;

	if (!build->reader->log)
		return;
	va_start(arguments, format);
	(void)vsnprintf(words, sizeof(words), format, arguments);
	va_end(arguments);
	build->reader->log(build->reader->data, words);
}

static void say_open_differs(const struct build *build, const struct repomd_record *record)
{
	say(build, "%s: the open-checksum in repomd.xml is not that of its content", record->href);
}

static int open_stream(struct build *build, enum snapshot_stream number, const char *type,
		       struct error *err)
{
	struct stream *stream = &build->stream[number];
	const struct snapshot_reader *reader = build->reader;
	struct error trouble = { 0 };

	stream->record = repomd_find(build->repomd, type);
	if (!stream->record && number == SNAPSHOT_PRIMARY)
		return error_set(err, -EBADMSG, BLAME_SOURCE, "repomd.xml",
				 "there is no record \"primary\"");
	if (!stream->record) {
		say(build, "the repository has no %s", index_stream_field[number]);
		return 0;
	}
	stream->from = reader->open(reader->data, stream->record, &trouble);
	if (stream->from == -ENOENT && number == SNAPSHOT_OTHER) {
		say(build, "%s is named by repomd.xml but is not there: changelogs stay empty",
		    stream->record->href);
		stream->record = NULL;
		return 0;
	}
	if (stream->from < 0 && err)
		*err = trouble;
	if (stream->from < 0)
		return stream->from;
	stream->to = openat(build->dirfd, index_stream_file[number],
			    O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (stream->to < 0)
		return error_errno(err, -errno, "creating %s", index_stream_file[number]);
	return 0;
}

static int write_bytes(void *data, const char *bytes, size_t length, struct error *err)
{
	int r = io_write(*(const int *)data, bytes, length);

	return r < 0 ? error_errno(err, r, "writing modules") : 0;
}

/* The modules record is kept as plain text: small, and already checked here. */
static int keep_modules(struct build *build, struct error *err)
{
	const struct repomd_record *record = repomd_find(build->repomd, "modules");
	_cleanup_(closep) int from = -1;
	_cleanup_(closep) int to = -1;
	bool differs = false;
	struct inflate_source source = { .record = record,
					 .field = "modules.yaml",
					 .limit = SNAPSHOT_MAX_MODULES,
					 .open_differs = &differs };
	int r;

	if (!record)
		return 0;
	from = build->reader->open(build->reader->data, record, err);
	if (from < 0)
		return from;
	to = openat(build->dirfd, "modules", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (to < 0)
		return error_errno(err, -errno, "creating modules");
	source.fd = from;
	r = inflate_run(&source, write_bytes, &to, err);
	if (r < 0)
		return r;
	if (differs)
		say_open_differs(build, record);
	r = index_file_sum(to, &build->header.modules_bytes, &build->header.modules_sum);
	if (r < 0)
		return error_errno(err, r, "reading modules");
	build->header.flags |= INDEX_MODULES;
	return 0;
}

/* ---- the whole ---- */

static void say_findings(struct build *build)
{
	if (build->index.duplicates)
		say(build, "%" PRIu32 " packages are listed again with a checksum seen before",
		    build->index.duplicates);
	for (int i = SNAPSHOT_FILELISTS; i < SNAPSHOT_STREAMS; i++) {
		if (build->index.unknown[i])
			say(build, "%s: %" PRIu64 " elements belong to no package of primary.xml",
			    index_stream_field[i], build->index.unknown[i]);
		if (build->stream[i].record && build->without[i])
			say(build, "%s: %" PRIu32 " packages of primary.xml have no element",
			    index_stream_field[i], build->without[i]);
	}
	for (int i = 0; i < SNAPSHOT_STREAMS; i++)
		if (build->stream[i].open_differs)
			say_open_differs(build, build->stream[i].record);
	if (build->index.paths.full)
		say(build, "too many required file paths: filelists are searched when needed");
}

static int write_index(struct build *build, struct error *err)
{
	struct frames_writer writer[SNAPSHOT_STREAMS];
	struct index_header *header = &build->header;
	int64_t bytes = 0;
	int r;

	for (int i = 0; i < SNAPSHOT_STREAMS; i++) {
		const struct stream *stream = &build->stream[i];

		writer[i] = stream->frames;
		if (i != SNAPSHOT_PRIMARY)
			build->without[i] = index_share(&build->index, (enum snapshot_stream)i);
		if (stream->record)
			build->bytes += (int64_t)stream->frames.frame[stream->frames.count].at;
	}
	r = hex_parse(build->repomd->digest, header->repomd, DIGEST_SIZE);
	if (r < 0)
		return error_set(err, r, BLAME_US, NULL, "a repomd without a digest");
	header->revision = build->repomd->revision;
	header->timestamp = build->repomd->timestamp;
	if (build->stream[SNAPSHOT_FILELISTS].plain)
		header->flags |= INDEX_PLAIN_FILES;
	r = index_write(&build->index, header, writer, build->dirfd, &bytes, err);
	build->bytes += bytes + (int64_t)(header->solv_bytes + header->modules_bytes);
	return r;
}

static int build_run(struct build *build, struct error *err)
{
	int r = open_stream(build, SNAPSHOT_PRIMARY, "primary", err);

	if (r == 0)
		r = open_stream(build, SNAPSHOT_FILELISTS, "filelists", err);
	if (r == 0)
		r = open_stream(build, SNAPSHOT_OTHER, "other", err);
	if (r == 0)
		r = keep_modules(build, err);
	if (r == 0)
		r = run_threads(build, err);
	if (r == 0)
		r = write_index(build, err);
	if (r == 0)
		say_findings(build);
	return r;
}

static void build_done(struct build *build)
{
	for (int i = 0; i < SNAPSHOT_STREAMS; i++) {
		struct stream *stream = &build->stream[i];

		closep(&stream->from);
		closep(&stream->to);
		scan_free(stream->scan);
		frames_done(&stream->frames);
	}
	index_done(&build->index);
	(void)pthread_mutex_destroy(&build->lock);
	(void)pthread_cond_destroy(&build->changed);
	free(build);
}

static int build_at(int dirfd, const struct repomd *repomd, const struct snapshot_reader *reader,
		    int64_t *ret_bytes, struct error *err)
{
	struct build *build = calloc(1, sizeof(*build));
	int r;

	if (!build)
		return error_oom(err);
	build->repomd = repomd;
	build->reader = reader;
	build->dirfd = dirfd;
	(void)pthread_mutex_init(&build->lock, NULL);
	(void)pthread_cond_init(&build->changed, NULL);
	for (int i = 0; i < SNAPSHOT_STREAMS; i++) {
		build->stream[i].build = build;
		build->stream[i].number = (enum snapshot_stream)i;
		build->stream[i].from = build->stream[i].to = -1;
	}
	r = build_run(build, err);
	*ret_bytes = build->bytes;
	build_done(build);
	return r;
}

int snapshot_build(int snapshots_dirfd, const struct repomd *repomd,
		   const struct snapshot_reader *reader, int64_t *ret_bytes_written,
		   struct error *err)
{
	_cleanup_(closep) int dirfd = -1;
	char temporary[DIGEST_HEX_SIZE + 32];
	int64_t bytes = 0;
	int r;

	/* its name begins with a dot: what a killed worker leaves behind is known by it */
	(void)snprintf(temporary, sizeof(temporary), ".%s.%ld", repomd->digest, (long)getpid());
	r = directory_remove(snapshots_dirfd, temporary);
	if (r == 0 && mkdirat(snapshots_dirfd, temporary, 0755) < 0)
		r = -errno;
	if (r == 0)
		dirfd = openat(snapshots_dirfd, temporary, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (r == 0 && dirfd < 0)
		r = -errno;
	if (r < 0)
		return error_errno(err, r, "creating a snapshot");
	r = build_at(dirfd, repomd, reader, &bytes, err);
	if (r == 0 && renameat(snapshots_dirfd, temporary, snapshots_dirfd, repomd->digest) < 0) {
		/* another worker was faster: the same bytes in, the same snapshot out */
		if (errno == EEXIST || errno == ENOTEMPTY)
			bytes = 0;
		else
			r = error_errno(err, -errno, "publishing a snapshot");
		(void)directory_remove(snapshots_dirfd, temporary);
	} else if (r < 0) {
		(void)directory_remove(snapshots_dirfd, temporary);
	}
	if (r == 0 && ret_bytes_written)
		*ret_bytes_written = bytes;
	return r;
}
