/* SPDX-License-Identifier: MIT */
/* resolver/snapshot/build.c: one repository at one repomd → snapshots/SHA/.
 *
 * Two threads, because libsolv's own reading of primary takes almost as long as all the rest:
 *
 *   helper   primary: inflate, check, scan ──pieces──┐                 then filelists, other
 *   caller                                           └─► primary.zst, libsolv ─► solv   then these
 *
 * Each stream is claimed by whoever is free. All callbacks of the reader but read() happen in the
 * caller's thread. */
#include "resolver/snapshot/solver.h"

#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <unistd.h>

struct build {
	const struct repomd *repomd;
	const struct snapshot_reader *reader;
	int dirfd;
	struct stream stream[SNAPSHOT_STREAMS];
	struct pieces pieces; /* of primary */
	struct index_build index;
	struct index_header header;
	uint32_t without[SNAPSHOT_STREAMS]; /* packages without an element */
	int64_t bytes;			    /* written */

	pthread_mutex_t lock;
	bool failed; /* under lock: whoever still works may stop */
	int next;    /* under lock: first stream that nobody has claimed */
};

/* ---- two threads ---- */

static bool is_wanted(void *data)
{
	struct build *build = data;
	bool failed;

	(void)pthread_mutex_lock(&build->lock);
	failed = build->failed;
	(void)pthread_mutex_unlock(&build->lock);
	return !failed;
}

static void fail(struct build *build)
{
	(void)pthread_mutex_lock(&build->lock);
	build->failed = true;
	(void)pthread_mutex_unlock(&build->lock);
	pieces_end(&build->pieces, true);
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
		stream->r = stream_read(stream, &stream->err);
		if (stream->r < 0)
			fail(build);
	}
}

static void *helper_main(void *data)
{
	work(data);
	return NULL;
}

static int make_solv(struct build *build, struct error *err)
{
	int fd = openat(build->dirfd, "solv", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644), r;
	_cleanup_(fclosep) FILE *solv = fd < 0 ? NULL : fdopen(fd, "w+e");

	if (!solv) {
		r = -errno;
		closep(&fd);
		return error_errno(err, r, "creating solv");
	}
	r = solver_run(&build->stream[SNAPSHOT_PRIMARY], build->reader, solv, err);
	if (r < 0)
		return r;
	if (fflush(solv) != 0)
		return error_errno(err, -errno, "writing solv");
	r = index_file_sum(fd, &build->header.solv_bytes, &build->header.solv_sum);
	return r < 0 ? error_errno(err, r, "reading solv") : 0;
}

static int start_helper(struct build *build, pthread_t *helper)
{
	sigset_t all, before;
	int r;

	(void)sigfillset(&all); /* signals are for the caller */
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	r = pthread_create(helper, NULL, helper_main, build);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	return -r;
}

static int run_threads(struct build *build, struct error *err)
{
	pthread_t helper;
	int r = start_helper(build, &helper);

	if (r < 0)
		return error_errno(err, r, "starting a thread");
	r = make_solv(build, err);
	if (r < 0)
		fail(build);
	work(build);
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
	if (!stream->record && number == SNAPSHOT_PRIMARY &&
	    repomd_find(build->repomd, "primary_db"))
		return error_set(err, -EBADMSG, BLAME_SOURCE, "repomd.xml",
				 "the repository has its metadata as databases for yum alone "
				 "(primary_db); a record \"primary\" is needed");
	if (!stream->record && number == SNAPSHOT_PRIMARY)
		return error_set(err, -EBADMSG, BLAME_SOURCE, "repomd.xml",
				 "there is no record \"primary\"");
	if (!stream->record) {
		say(build, "the repository has no %s", index_stream_field[number]);
		return 0;
	}
	stream->reader = reader;
	if (!reader->read)
		stream->from = reader->open(reader->data, stream->record, &trouble);
	if (stream->from == -ENOENT && number == SNAPSHOT_OTHER) {
		say(build, "%s is named by repomd.xml but is not there: changelogs stay empty",
		    stream->record->href);
		stream->record = NULL;
		return 0;
	}
	if (stream->from < 0 && !reader->read) {
		if (err)
			*err = trouble;
		return stream->from;
	}
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

static int add_bytes(void *data, const char *bytes, size_t length, struct error *err)
{
	return text_add(data, bytes, length) < 0 ? error_oom(err) : 0;
}

static int inflate_modules(const struct repomd_record *record, const struct snapshot_reader *reader,
			   bool *ret_differs, inflate_sink *sink, void *data, struct error *err)
{
	_cleanup_(closep) int from = reader->open(reader->data, record, err);
	const struct inflate_source source = { .fd = from,
					       .record = record,
					       .field = "modules.yaml",
					       .limit = SNAPSHOT_MAX_MODULES,
					       .open_differs = ret_differs };

	return from < 0 ? from : inflate_run(&source, sink, data, err);
}

int repomd_modules(const struct repomd *repomd, const struct snapshot_reader *reader,
		   struct text *ret, struct error *err)
{
	const struct repomd_record *record = repomd_find(repomd, "modules");
	bool differs;

	return record ? inflate_modules(record, reader, &differs, add_bytes, ret, err) : -ENOENT;
}

/* The modules record is kept as plain text: small, and already checked here. */
static int keep_modules(struct build *build, struct error *err)
{
	const struct repomd_record *record = repomd_find(build->repomd, "modules");
	_cleanup_(closep) int to = -1;
	bool differs = false;
	int r;

	if (!record)
		return 0;
	to = openat(build->dirfd, "modules", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (to < 0)
		return error_errno(err, -errno, "creating modules");
	r = inflate_modules(record, build->reader, &differs, write_bytes, &to, err);
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
	for (int i = 0; i < SNAPSHOT_STREAMS; i++)
		stream_done(&build->stream[i]);
	index_done(&build->index);
	pieces_done(&build->pieces);
	(void)pthread_mutex_destroy(&build->lock);
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
	pieces_init(&build->pieces);
	for (int i = 0; i < SNAPSHOT_STREAMS; i++)
		build->stream[i] = (struct stream){
			.number = (enum snapshot_stream)i,
			.from = -1,
			.to = -1,
			.index = &build->index,
			.pieces = i == SNAPSHOT_PRIMARY ? &build->pieces : NULL,
			.wanted = is_wanted,
			.wanted_data = build,
		};
	r = hex_parse(repomd->digest, build->header.repomd, DIGEST_SIZE);
	if (r < 0)
		r = error_set(err, r, BLAME_US, NULL, "a repomd without a digest");
	build->index.seed = index_seed(build->header.repomd);
	if (r == 0)
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
