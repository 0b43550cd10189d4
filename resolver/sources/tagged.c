/* SPDX-License-Identifier: MIT */
/* resolver/sources/tagged.c: candidates become a snapshot, as if they were a repository.
 *
 *   files ─► records of their headers ─► three documents, put together as they are read ─► snapshot
 *
 * The snapshot is named by its content: the keys of its packages. So two tags, or one at two
 * events, share it when they hold the same files, and when it is there nothing is read at all. The
 * key of a package stands where the SHA-256 of its file belongs; that is computed for chosen files
 * alone. */
#include "resolver/sources/tagged.h"

#include "resolver/header/store.h"

#include <fcntl.h>
#include <sys/stat.h>

#define SNAPSHOT_FORMAT "odcsfs tagged packages 1\n" /* another one: other snapshots */
#define DAMAGED_SHOWN 8
#define MARK_SECONDS 3600 /* records of a snapshot in use are marked when it is (pools.c) */

#define XML_HEAD "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
#define METADATA "http://linux.duke.edu/metadata/"

/* ---- files ------------------------------------------------------------- */

/** struct files - some of the candidates, as resolver/header wants them */
struct files {
	struct load *load;
	const struct tagged *tagged;
	const uint32_t *which; /* numbers of candidates; NULL: the visible ones */
	size_t count;
	int (*failed)(void *data, uint32_t number, const struct error *failure, struct error *err);
	void *data;
	struct header_file *file;
	struct nevra *nevra;
	const char *what; /* for the progress line */
};

static const struct candidate *candidate_of(const struct files *files, size_t i)
{
	return &files->tagged->item[files->which ? files->which[i] : i];
}

static void files_done(struct files *files)
{
	free(files->file);
	free(files->nevra);
}

/* On a server only the unsigned file's size is known. */
static uint64_t size_of(const struct tagged *tagged, const struct candidate *candidate)
{
	if (!tagged->remote)
		return candidate->file.size;
	return candidate->sigkey || candidate->rpm->size <= 0 ? HEADER_SIZE_UNKNOWN
							      : (uint64_t)candidate->rpm->size;
}

static int fill(struct files *files)
{
	files->file = calloc(files->count + 1, sizeof(*files->file));
	files->nevra = calloc(files->count + 1, sizeof(*files->nevra));
	if (!files->file || !files->nevra)
		return -ENOMEM;
	for (size_t i = 0; i < files->count; i++) {
		const struct candidate *candidate = candidate_of(files, i);
		const struct koji_listing *listing = candidate->listing;
		const struct koji_rpm *rpm = candidate->rpm;
		const char *md5 = koji_text(listing, rpm->payloadhash);

		files->nevra[i] = (struct nevra){
			.name = koji_text(listing, rpm->name),
			.version = koji_text(listing, rpm->version),
			.release = koji_text(listing, rpm->release),
			.arch = koji_text(listing, rpm->arch),
			.epoch = rpm->epoch == KOJI_NO_EPOCH ? 0 : rpm->epoch,
		};
		files->file[i] = (struct header_file){
			.key = candidate->key,
			.path = candidate->path,
			.href = candidate->path,
			.size = size_of(files->tagged, candidate),
			.time = files->tagged->remote ? rpm->buildtime
						      : candidate->file.mtime_ns / 1000000000,
			.nevra = &files->nevra[i],
			.md5 = strlen(md5) == HEADER_MD5_HEX_SIZE - 1 ? md5 : NULL,
		};
	}
	return 0;
}

static int open_file(void *data, size_t index, struct header_reader *ret, struct error *err)
{
	const struct files *files = data;
	const struct candidate *candidate = candidate_of(files, index);
	_cleanup_(closep) int fd = -1;
	struct stat st;
	int r;

	if (files->tagged->remote)
		return remote_open(files->tagged->remote, candidate->path, ret, err);
	fd = r = transport_open(files->tagged->files, files->tagged->base, candidate->path, err);
	if (fd < 0 || (r = header_reader_fd(fd, ret, err)) < 0)
		return r;
	if (fstat(fd, &st) < 0)
		return error_set(err, -errno, BLAME_SOURCE, NULL, "cannot look at it: %s",
				 strerror(errno));
	if ((uint64_t)st.st_size != candidate->file.size || st.st_ino != candidate->file.ino ||
	    (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec !=
		    candidate->file.mtime_ns ||
	    (int64_t)st.st_ctim.tv_sec * 1000000000 + st.st_ctim.tv_nsec !=
		    candidate->file.ctime_ns)
		return error_set(err, -ESTALE, BLAME_SOURCE, NULL, "it changes while it is read");
	(void)steal_fd(&fd);
	return 0;
}

static void close_file(void *data, size_t index, struct header_reader *reader)
{
	const struct files *files = data;
	int fd = (int)(intptr_t)reader->data;

	(void)index;
	if (files->tagged->remote)
		remote_close(reader);
	else
		closep(&fd);
}

static int on_failed(void *data, size_t index, const struct error *failure, struct error *err)
{
	const struct files *files = data;

	return files->failed(files->data, files->which ? files->which[index] : (uint32_t)index,
			     failure, err);
}

static int tell_progress(void *data, const struct header_totals *totals, struct error *err)
{
	const struct files *files = data;

	(void)err;
	load_progress(files->load, files->what, "%s of %" PRIu64 " of %zu packages", files->what,
		      totals->files, files->count);
	return 0;
}

static struct header_batch batch_of(struct files *files)
{
	return (struct header_batch){ .file = files->file,
				      .count = files->count,
				      .threads = files->tagged->remote ? HEADER_MAX_THREADS : 0,
				      .failed = files->failed ? on_failed : NULL,
				      .open = open_file,
				      .close = close_file,
				      .progress = tell_progress,
				      .data = files };
}

int tagged_read(struct load *load, const struct tagged *tagged, const uint32_t *which, size_t count,
		int (*failed)(void *data, uint32_t number, const struct error *failure,
			      struct error *err),
		void *data, struct error *err)
{
	_cleanup_(files_done) struct files files = { .load = load,
						     .tagged = tagged,
						     .which = which,
						     .count = count,
						     .failed = failed,
						     .data = data,
						     .what = "headers" };
	struct header_totals totals = { 0 };
	int64_t start = time_monotonic_ms();
	struct header_batch batch;
	int r;

	if (fill(&files) < 0)
		return error_oom(err);
	batch = batch_of(&files);
	r = header_read_all(load->context->headers_dirfd, &batch, &totals, err);
	load->set->bytes_written += (int64_t)totals.bytes_written;
	if (r == 0 && totals.read)
		load_say(load,
			 "headers of %" PRIu64 " packages read in %" PRId64 " ms, %" PRIu64
			 " known",
			 totals.read, time_monotonic_ms() - start, totals.present);
	return r;
}

/* ---- files that cannot be read ------------------------------------------ */

static int on_damaged(void *data, uint32_t number, const struct error *failure, struct error *err)
{
	struct tagged *tagged = data;

	return candidate_damage(tagged, &tagged->item[number], failure, err);
}

/* Under a key of its own, which no good file has */
static int make_stub(struct load *load, const struct tagged *tagged, uint32_t number,
		     struct error *err)
{
	struct candidate *candidate = &tagged->item[number];
	_cleanup_(files_done) struct files files = {
		.load = load, .tagged = tagged, .which = &number, .count = 1
	};
	_cleanup_(header_done) struct header header = { 0 };
	char text[sizeof("damaged ") + DIGEST_HEX_SIZE];
	int r;

	(void)snprintf(text, sizeof(text), "damaged %s", candidate->key);
	sha256_hex(text, strlen(text), candidate->key);
	if (fill(&files) < 0)
		return error_oom(err);
	r = header_stub(&files.file[0], &header, err);
	if (r == 0)
		r = header_store_put(load->context->headers_dirfd, candidate->key, &header, NULL,
				     err);
	candidate->stub = r == 0;
	return r;
}

static int make_stubs(struct load *load, const struct tagged *tagged, struct error *err)
{
	size_t told = 0;
	int r = 0;

	for (size_t i = 0; i < tagged->visible && r == 0; i++) {
		const struct candidate *candidate = &tagged->item[i];

		if (!candidate->damage || candidate->stub)
			continue;
		r = make_stub(load, tagged, (uint32_t)i, err);
		if (told++ < DAMAGED_SHOWN)
			load_say(load, "damaged, and missed only if it is wanted: %s",
				 candidate->damage);
	}
	if (told > DAMAGED_SHOWN)
		load_say(load, "damaged are %zu more", told - DAMAGED_SHOWN);
	return r;
}

/* ---- the snapshot ------------------------------------------------------ */

static int name_snapshot(const struct tagged *tagged, struct repomd *repomd, struct error *err)
{
	_cleanup_(digest_freep) struct digest *digest = digest_new("sha256");
	char hex[DIGEST_MAX_HEX_SIZE];

	if (!digest)
		return error_oom(err);
	digest_add(digest, SNAPSHOT_FORMAT, strlen(SNAPSHOT_FORMAT));
	for (size_t i = 0; i < tagged->visible; i++)
		digest_add(digest, tagged->item[i].key, DIGEST_HEX_SIZE); /* with its NUL */
	digest_hex(digest, hex);
	memcpy(repomd->digest, hex, DIGEST_HEX_SIZE);
	return 0;
}

/** struct document - primary, filelists or other while it is put together */
struct document {
	struct text bytes; /* made, of which @at are handed out */
	size_t at;
	size_t next; /* candidate; one more: the end is made, too */
	bool begun;
	struct header_unpacker *unpacker;
};

struct documents {
	const struct load *load;
	const struct tagged *tagged;
	struct document document[SNAPSHOT_STREAMS];
};

static const char *const heads[SNAPSHOT_STREAMS] = {
	[SNAPSHOT_PRIMARY] = "metadata xmlns=\"" METADATA "common\" xmlns:rpm=\"" METADATA "rpm\"",
	[SNAPSHOT_FILELISTS] = "filelists xmlns=\"" METADATA "filelists\"",
	[SNAPSHOT_OTHER] = "otherdata xmlns=\"" METADATA "other\"",
};

static int add_element(const struct documents *documents, enum snapshot_stream stream,
		       const struct candidate *candidate, struct document *document,
		       struct error *err)
{
	_cleanup_(header_done) struct header header = { 0 };
	int r;

	if (!document->unpacker && !(document->unpacker = header_unpacker_new()))
		return error_oom(err);
	r = header_store_read(documents->load->context->headers_dirfd, candidate->key, 1u << stream,
			      document->unpacker, &header, err);
	if (r == 0)
		return error_set(err, -ESTALE, BLAME_US, NULL, "the record of %s is gone",
				 candidate->path);
	if (r < 0)
		return r;
	text_done(&document->bytes);
	document->bytes = header.element[stream];
	header.element[stream] = (struct text){ 0 };
	return 0;
}

/* 1: there are more bytes, 0: there are none */
static int make_more(const struct documents *documents, enum snapshot_stream stream,
		     struct document *document, struct error *err)
{
	const struct tagged *tagged = documents->tagged;
	int length = (int)strcspn(heads[stream], " ");
	int r = 0;

	document->at = 0;
	if (!document->begun) {
		document->begun = true;
		(void)text_addf(&document->bytes, XML_HEAD "<%s packages=\"%zu\">\n", heads[stream],
				tagged->visible);
	} else if (document->next < tagged->visible) {
		r = add_element(documents, stream, &tagged->item[document->next++], document, err);
	} else if (document->next++ == tagged->visible) {
		text_clear(&document->bytes);
		(void)text_addf(&document->bytes, "</%.*s>\n", length, heads[stream]);
	} else {
		text_clear(&document->bytes);
		return 0;
	}
	return r < 0 ? r : document->bytes.failed ? error_oom(err) : 1;
}

static ssize_t read_document(void *data, enum snapshot_stream stream, void *buffer, size_t length,
			     struct error *err)
{
	struct documents *documents = data;
	struct document *document = &documents->document[stream];
	size_t got = 0;

	while (got < length) {
		size_t n = document->bytes.length - document->at;

		if (!n) {
			int r = make_more(documents, stream, document, err);

			if (r < 0)
				return r;
			if (r == 0)
				break;
			continue;
		}
		n = n < length - got ? n : length - got;
		memcpy((char *)buffer + got, document->bytes.data + document->at, n);
		document->at += n;
		got += n;
	}
	return (ssize_t)got;
}

static void on_progress(void *data, const char *text)
{
	const struct documents *documents = data;

	load_progress(documents->load, "metadata", "%s", text);
}

static void on_log(void *data, const char *text)
{
	const struct documents *documents = data;

	load_say(documents->load, "%s", text);
}

static int build_snapshot(struct load *load, const struct tagged *tagged,
			  const struct repomd *repomd, struct error *err)
{
	struct documents documents = { .load = load, .tagged = tagged };
	struct snapshot_reader reader = {
		.read = read_document, .progress = on_progress, .log = on_log, .data = &documents
	};
	int64_t written = 0, start = time_monotonic_ms();
	int r = snapshot_build(load->context->snapshots_dirfd, repomd, &reader, &written, err);

	for (size_t i = 0; i < SNAPSHOT_STREAMS; i++) {
		text_done(&documents.document[i].bytes);
		header_unpacker_free(documents.document[i].unpacker);
	}
	if (r < 0)
		return r;
	load->set->bytes_written += written;
	load_say(load, "metadata of %zu packages indexed in %" PRId64 " ms", tagged->visible,
		 time_monotonic_ms() - start);
	return 0;
}

/* Damage of a record's elements is found out when they are wanted: all such records are removed,
 * and made again. */
static int mend_records(struct load *load, const struct tagged *tagged, struct error *err)
{
	struct header_unpacker *unpacker = header_unpacker_new();
	int r = unpacker ? 0 : error_oom(err);

	for (size_t i = 0; i < tagged->visible && r >= 0; i++) {
		_cleanup_(header_done) struct header header = { 0 };

		r = header_store_read(load->context->headers_dirfd, tagged->item[i].key,
				      (1u << HEADER_ELEMENTS) - 1, unpacker, &header, err);
	}
	header_unpacker_free(unpacker);
	return r < 0 ? r : tagged_read(load, tagged, NULL, tagged->visible, NULL, NULL, err);
}

/* -ESTALE: a record is gone that was there */
static int build_mended(struct load *load, const struct tagged *tagged, const struct repomd *repomd,
			struct error *err)
{
	struct error failure = { 0 };
	int r = build_snapshot(load, tagged, repomd, &failure);

	if (r == -ESTALE) {
		load_say(load, "%s; all are looked at", failure.message);
		r = mend_records(load, tagged, err);
		return r < 0 ? r : build_snapshot(load, tagged, repomd, err);
	}
	if (r < 0 && err)
		*err = failure;
	return r;
}

/* Nobody reads the records while the snapshot is there: said now and then that they are needed */
static void mark_records(const struct load *load, const struct tagged *tagged, const char *digest)
{
	struct stat st;

	if (fstatat(load->context->snapshots_dirfd, digest, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
	    st.st_mtime > time_now() - MARK_SECONDS)
		return;
	for (size_t i = 0; i < tagged->visible; i++)
		header_store_mark(load->context->headers_dirfd, tagged->item[i].key);
}

/* ---- packages of the snapshot ------------------------------------------ */

static int look(struct load *load, const struct repository *repository, uint32_t index,
		struct composer_package *row, struct error *err)
{
	const struct tagged *tagged = repository->look_data;
	const struct candidate *candidate = &tagged->item[index];
	struct snapshot_package package;

	(void)load;
	if (candidate->copy != COPY_PERMITTED || candidate->damage)
		return tagged_refuse(tagged, candidate, err);
	snapshot_package_get(repository->held->snapshot, index, &package);
	if (strcmp(package.href, candidate->path) != 0)
		return error_set(err, -EIO, BLAME_US, NULL, "the index of %s is out of order",
				 repository->word);
	row->index = index;
	row->base = repository->base;
	row->path = package.href;
	row->mtime_ns = candidate->file.mtime_ns;
	row->ino = candidate->file.ino;
	row->sigkey = candidate->sigkey;
	return 0;
}

/* ---- noarch packages that are not for every arch ------------------------ */

static int compare_build_of(const void *a, const void *b, void *data)
{
	const struct tagged *tagged = data;
	const struct candidate *ca = &tagged->item[*(const uint32_t *)a];
	const struct candidate *cb = &tagged->item[*(const uint32_t *)b];

	if (ca->listing != cb->listing)
		return (uintptr_t)ca->listing < (uintptr_t)cb->listing ? -1 : 1;
	return ca->rpm->build < cb->rpm->build ? -1 : ca->rpm->build > cb->rpm->build;
}

/* The noarch packages of the build of source package @number get its limits */
static int limit_build(struct held *held, const struct tagged *tagged, const uint32_t *noarch,
		       size_t count, uint32_t number, const struct header *source)
{
	size_t low = 0, high = count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (compare_build_of(&noarch[middle], &number, (void *)(uintptr_t)tagged) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	for (;
	     low < count && compare_build_of(&noarch[low], &number, (void *)(uintptr_t)tagged) == 0;
	     low++)
		if (held_limit(held, noarch[low], source->only, source->never) < 0)
			return -ENOMEM;
	return 0;
}

static int limit_by(const struct load *load, const struct tagged *tagged, struct held *held,
		    const uint32_t *noarch, size_t count, uint32_t source, struct error *err)
{
	const struct candidate *candidate = &tagged->item[source];
	_cleanup_(header_done) struct header header = { 0 };
	int r = header_store_get(load->context->headers_dirfd, candidate->key, 0, &header, err);

	if (r == 0)
		return error_set(err, -EIO, BLAME_US, NULL, "the record of %s is gone",
				 candidate->path);
	if (r > 0 && (*header.only || *header.never) &&
	    limit_build(held, tagged, noarch, count, source, &header) < 0)
		return error_oom(err);
	return r < 0 ? r : 0;
}

/* A noarch package may be in the arches that its source package was made for (ExclusiveArch,
 * ExcludeArch), as in Pungi's composes. Once for each snapshot: it takes a look at the records of
 * all sources, of which some may be gone although the snapshot is there. */
static int set_limits(struct load *load, const struct tagged *tagged, struct held *held,
		      struct error *err)
{
	_cleanup_(freep) uint32_t *noarch = calloc(tagged->visible + 1, sizeof(*noarch));
	_cleanup_(freep) uint32_t *source = calloc(tagged->visible + 1, sizeof(*source));
	size_t count = 0, sources = 0;
	int r = 0;

	if (!noarch || !source)
		return error_oom(err);
	for (uint32_t i = 0; i < tagged->visible && !held->limits_known; i++) {
		const struct candidate *candidate = &tagged->item[i];
		const char *arch = koji_text(candidate->listing, candidate->rpm->arch);

		if (!strcmp(arch, "noarch"))
			noarch[count++] = i;
		else if (candidate->damage)
			continue; /* what it says of arches is not known */
		else if (!strcmp(arch, "src") || !strcmp(arch, "nosrc"))
			source[sources++] = i;
	}
	if (count)
		r = tagged_read(load, tagged, source, sources, NULL, NULL, err);
	qsort_r(noarch, count, sizeof(*noarch), compare_build_of, (void *)(uintptr_t)tagged);
	for (size_t i = 0; i < sources && count && r == 0; i++)
		r = limit_by(load, tagged, held, noarch, count, source[i], err);
	if (r == 0)
		held->limits_known = true;
	return r;
}

/* -ENOENT: it is to be built */
static int open_named(struct load *load, const struct tagged *tagged, struct repomd *repomd,
		      struct error *err)
{
	int r = name_snapshot(tagged, repomd, err);

	if (r < 0)
		return r;
	mark_records(load, tagged, repomd->digest);
	return pools_open(load->context->pools, repomd->digest, &load->repository[0].held, err);
}

/* The headers of all; what turns out to be damaged gives the snapshot another name. 0: open, 1: it
 * is to be built */
static int read_all(struct load *load, struct tagged *tagged, struct repomd *repomd,
		    struct error *err)
{
	int r = tagged_read(load, tagged, NULL, tagged->visible, on_damaged, tagged, err);

	if (r == 0)
		r = make_stubs(load, tagged, err);
	if (r < 0)
		return r;
	r = open_named(load, tagged, repomd, err);
	return r == -ENOENT ? 1 : r;
}

int tagged_open(struct load *load, struct tagged *tagged, struct error *err)
{
	struct repomd_record record[] = {
		[SNAPSHOT_PRIMARY] = { .type = (char[]){ "primary" },
				       .href = (char[]){ "primary.xml" } },
		[SNAPSHOT_FILELISTS] = { .type = (char[]){ "filelists" },
					 .href = (char[]){ "filelists.xml" } },
		[SNAPSHOT_OTHER] = { .type = (char[]){ "other" }, .href = (char[]){ "other.xml" } },
	};
	struct repomd repomd = { .revision = -1, .record = record, .count = ARRAY_SIZE(record) };
	struct repository *repository = &load->repository[0];
	int r = make_stubs(load, tagged, err);

	for (size_t i = 0; i < ARRAY_SIZE(record); i++)
		record[i].timestamp = record[i].size = record[i].open_size = -1;
	if (r < 0)
		return r;
	r = open_named(load, tagged, &repomd, err);
	if (r == -ENOENT)
		r = tagged->remote ? 1 : read_all(load, tagged, &repomd, err);
	if (r == 1) {
		r = build_mended(load, tagged, &repomd, err);
		if (r == 0)
			r = pools_open(load->context->pools, repomd.digest, &repository->held, err);
		if (r == -ENOENT)
			r = error_set(err, -EIO, BLAME_US, NULL, "the index of %s was lost",
				      repository->word);
	}
	if (r < 0)
		return r;
	repository->base = tagged->base;
	repository->look = look;
	repository->look_data = tagged;
	if (package_set_hold(load->set, repository->held) < 0)
		return error_oom(err);
	if (snapshot_count(repository->held->snapshot) != tagged->visible)
		return error_set(err, -EIO, BLAME_US, NULL, "the index of %s is incomplete",
				 repository->word);
	return set_limits(load, tagged, repository->held, err);
}

/* ---- SHA-256 ----------------------------------------------------------- */

static int compare_numbers(const void *a, const void *b)
{
	uint32_t na = *(const uint32_t *)a, nb = *(const uint32_t *)b;

	return na < nb ? -1 : na > nb;
}

/* Candidates that the rows name, each once, sorted */
static int list_chosen(const struct load *load, uint32_t **ret, size_t *ret_count)
{
	const struct composition *composition = &load->set->composition;
	const struct snapshot *snapshot = load->repository[0].held->snapshot;
	uint32_t *list = calloc(composition->count + 1, sizeof(*list));
	size_t count = 0, kept = 0;

	if (!list)
		return -ENOMEM;
	for (size_t i = 0; i < composition->count; i++)
		if (composition->package[i].snapshot == snapshot)
			list[count++] = composition->package[i].index;
	if (count)
		qsort(list, count, sizeof(*list), compare_numbers);
	for (size_t i = 0; i < count; i++)
		if (!kept || list[kept - 1] != list[i])
			list[kept++] = list[i];
	*ret = list;
	*ret_count = kept;
	return 0;
}

static int set_checksums(struct load *load, const uint32_t *list, size_t count,
			 char (*sha256)[DIGEST_HEX_SIZE])
{
	struct composition *composition = &load->set->composition;
	_cleanup_(freep) const char **text = calloc(count + 1, sizeof(*text));

	if (!text)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++)
		if (!(text[i] = package_set_text(load->set, sha256[i])))
			return -ENOMEM;
	for (size_t i = 0; i < composition->count; i++) {
		struct composer_package *row = &composition->package[i];
		const uint32_t *found = NULL;

		if (row->snapshot == load->repository[0].held->snapshot)
			found = bsearch(&row->index, list, count, sizeof(*list), compare_numbers);
		if (!found)
			continue;
		row->sha256 = text[found - list];
		if (row->sigkey && !(row->sigkey = package_set_text(load->set, row->sigkey)))
			return -ENOMEM;
	}
	return 0;
}

/* Of files that are here */
static int hash(struct load *load, const struct tagged *tagged, const uint32_t *list, size_t count,
		char (*ret)[DIGEST_HEX_SIZE], struct error *err)
{
	_cleanup_(files_done) struct files files = {
		.load = load, .tagged = tagged, .which = list, .count = count, .what = "checksums"
	};
	struct header_totals totals = { 0 };
	int64_t start = time_monotonic_ms();
	struct header_batch batch;
	int r;

	/* mostly there: a record keeps the sum, and without one it would be computed each time */
	r = tagged_read(load, tagged, list, count, NULL, NULL, err);
	if (r < 0)
		return r;
	if (fill(&files) < 0)
		return error_oom(err);
	batch = batch_of(&files);
	r = header_digest_all(load->context->headers_dirfd, &batch, ret, &totals, err);
	if (r == 0 && totals.read)
		load_say(load,
			 "checksums of %" PRIu64 " packages (%" PRIu64 " MiB) computed in %" PRId64
			 " ms, %" PRIu64 " known",
			 totals.read, totals.bytes_read >> 20, time_monotonic_ms() - start,
			 totals.present);
	return r;
}

int tagged_finish(struct load *load, struct tagged *tagged, struct error *err)
{
	_cleanup_(freep) char(*sha256)[DIGEST_HEX_SIZE] = NULL;
	_cleanup_(freep) uint32_t *list = NULL;
	size_t count = 0;
	int r;

	if (list_chosen(load, &list, &count) < 0 || !(sha256 = calloc(count + 1, sizeof(*sha256))))
		return error_oom(err);
	r = tagged->remote ? remote_fetch(load, tagged, list, count, sha256, err)
			   : hash(load, tagged, list, count, sha256, err);
	if (r < 0)
		return r;
	return set_checksums(load, list, count, sha256) < 0 ? error_oom(err) : 0;
}
