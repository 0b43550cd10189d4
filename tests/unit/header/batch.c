/* SPDX-License-Identifier: MIT */
/* tests/unit/header/batch.c: records on disk, and many files by several threads. What stands in the
 * elements is oracle.py's to judge. */
#include "resolver/header/store.h"
#include "tests/unit/test.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <unistd.h>

#define ALL ((1u << HEADER_ELEMENTS) - 1)

/* struct shelf - RPMs of the small universe, keys for them, and a fresh directory for records */
struct shelf {
	struct strings paths, keys;
	struct header_file *file;
	size_t count;
	int top, headers; /* directories */
	char folder[64];
};

static void add_folder(struct shelf *shelf, const char *folder)
{
	DIR *list = opendir(folder);

	for (struct dirent *entry; list && (entry = readdir(list));) {
		char path[4096], key[DIGEST_HEX_SIZE];

		(void)snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
		if (entry->d_name[0] == '.')
			continue;
		if (entry->d_type == DT_DIR) {
			add_folder(shelf, path);
			continue;
		}
		sha256_hex(path, strlen(path), key);
		(void)strings_add(&shelf->paths, path);
		(void)strings_add(&shelf->keys, key);
	}
	if (list)
		(void)closedir(list);
}

static void shelf_init(struct shelf *shelf)
{
	(void)snprintf(shelf->folder, sizeof(shelf->folder), "/tmp/odcsfs-headers-XXXXXX");
	CHECK(mkdtemp(shelf->folder));
	shelf->top = open(shelf->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	shelf->headers = directory_open(shelf->top, "headers");
	add_folder(shelf, SOURCE_ROOT "/tests/data/universe-small/base/Packages");
	shelf->count = shelf->paths.count;
	CHECK_INT(shelf->count, 300);
	shelf->file = calloc(shelf->count, sizeof(*shelf->file));
	for (size_t i = 0; i < shelf->count; i++)
		shelf->file[i] = (struct header_file){ .key = shelf->keys.item[i],
						       .path = shelf->paths.item[i],
						       .href = "x.rpm",
						       .size = HEADER_SIZE_UNKNOWN,
						       .time = HEADER_TIME_UNKNOWN };
}

static void forget_records(struct shelf *shelf)
{
	(void)close(shelf->headers);
	CHECK_INT(directory_remove(shelf->top, "headers"), 0);
	shelf->headers = directory_open(shelf->top, "headers");
}

static void shelf_done(struct shelf *shelf)
{
	(void)close(shelf->headers);
	(void)close(shelf->top);
	CHECK_INT(directory_remove(AT_FDCWD, shelf->folder), 0);
	strings_done(&shelf->paths);
	strings_done(&shelf->keys);
	free(shelf->file);
}

static struct header_batch batch_of(const struct shelf *shelf, unsigned int threads)
{
	return (struct header_batch){
		.file = shelf->file, .count = shelf->count, .threads = threads, .dirfd = AT_FDCWD
	};
}

/* ---- one file ---------------------------------------------------------------- */

static int read_path(const char *path, const struct header_file *about, size_t first,
		     struct header *ret, uint64_t *ret_bytes, struct error *err)
{
	_cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct header_reader reader;

	CHECK_INT(header_reader_fd(fd, &reader, err), 0);
	reader.first = first;
	return header_read(&reader, about, ret, ret_bytes, err);
}

static void test_one(const struct shelf *shelf)
{
	_cleanup_(header_done) struct header one = { 0 };
	_cleanup_(header_done) struct header two = { 0 };
	const struct header_file *file = &shelf->file[0];
	struct error err = { 0 };
	uint64_t bytes = 0;
	struct stat st;

	CHECK_INT(stat(file->path, &st), 0);
	CHECK_INT(read_path(file->path, file, 0, &one, &bytes, &err), 0);
	CHECK_INT(bytes, one.end); /* not a byte behind the header */
	CHECK_INT(one.size, st.st_size);
	CHECK_INT(one.time, st.st_mtim.tv_sec);
	CHECK_INT(strlen(one.md5), 32);
	CHECK_STR(one.sha256, "");
	CHECK(strstr(one.element[HEADER_PRIMARY].data, file->key));
	CHECK(strstr(one.element[HEADER_PRIMARY].data, "<location href=\"x.rpm\"/>"));
	CHECK_INT(read_path(file->path, file, HEADER_FIRST_RANGE, &two, &bytes, &err), 0);
	CHECK_INT(bytes, st.st_size < (off_t)HEADER_FIRST_RANGE ? (uint64_t)st.st_size
								: HEADER_FIRST_RANGE);
	for (size_t i = 0; i < HEADER_ELEMENTS; i++)
		CHECK_STR(two.element[i].data, one.element[i].data);
}

/* What stands for a package that cannot be read, kept and read again */
static void test_stub(const struct shelf *shelf)
{
	const struct nevra nevra = { "a<b", "1", "2.x", "x86_64", 3 };
	const struct nevra source = { "src-of", "1", "2", "nosrc", -1 };
	struct header_file file = shelf->file[0];
	_cleanup_(header_done) struct header made = { 0 };
	_cleanup_(header_done) struct header got = { 0 };
	_cleanup_(header_done) struct header other = { 0 };
	struct error err = { 0 };
	const char *primary;

	file.nevra = &nevra;
	file.size = 7;
	CHECK_INT(header_stub(&file, &made, &err), 0);
	CHECK_INT(header_store_put(shelf->headers, file.key, &made, NULL, &err), 0);
	CHECK_INT(header_store_get(shelf->headers, file.key, ALL, &got, &err), 1);
	CHECK_STR(got.name, "a<b");
	CHECK_STR(got.arch, "x86_64");
	CHECK_INT(got.epoch, 3);
	CHECK_INT(got.size, 7);
	primary = got.element[HEADER_PRIMARY].data;
	CHECK(strstr(primary, "<name>a&lt;b</name>"));
	CHECK(strstr(primary, "<version epoch=\"3\" ver=\"1\" rel=\"2.x\"/>"));
	CHECK(strstr(primary, file.key));
	CHECK(strstr(
		primary,
		"<rpm:entry name=\"a&lt;b\" flags=\"EQ\" epoch=\"3\" ver=\"1\" rel=\"2.x\"/>"));
	CHECK(!strstr(primary, "rpm:requires"));
	CHECK(strstr(got.element[HEADER_FILELISTS].data, "arch=\"x86_64\""));
	CHECK(strstr(got.element[HEADER_OTHER].data, file.key));
	file.nevra = &source;
	CHECK_INT(header_stub(&file, &other, &err), 0);
	CHECK_STR(other.arch, "src");
	CHECK(!strstr(other.element[HEADER_PRIMARY].data, "rpm:provides"));
	CHECK_INT(unlinkat(shelf->headers, file.key, 0), 0);
}

static void expect(const char *path, const struct header_file *about, const char *field,
		   const char *words)
{
	_cleanup_(header_done) struct header header = { 0 };
	struct error err = { 0 };

	CHECK_INT(read_path(path, about, 0, &header, NULL, &err), -EBADMSG);
	CHECK_INT(err.blame, BLAME_SOURCE);
	CHECK_STR(err.field, field);
	CHECK(strstr(err.message, words));
	CHECK(!strncmp(err.message, path, strlen(path)));
	if (!strstr(err.message, words))
		(void)fprintf(stderr, "  %s\n", err.message);
}

static void test_expectations(const struct shelf *shelf)
{
	_cleanup_(header_done) struct header header = { 0 };
	struct header_file file = shelf->file[0];
	struct error err = { 0 };
	struct nevra nevra, right;

	CHECK_INT(read_path(file.path, &file, 0, &header, NULL, &err), 0);
	right = (struct nevra){ header.name, header.version, header.release, header.arch,
				header.epoch };
	file.nevra = &nevra;
	nevra = right;
	file.md5 = header.md5;
	file.size = header.size;
	{
		_cleanup_(header_done) struct header again = { 0 };

		CHECK_INT(read_path(file.path, &file, 0, &again, NULL, &err), 0);
		nevra.epoch = -1;
		header_done(&again);
		CHECK_INT(read_path(file.path, &file, 0, &again, NULL, &err), 0);
	}
	nevra.name = "other";
	expect(file.path, &file, "Name", "», not «other»");
	nevra = right;
	nevra.version = "0";
	expect(file.path, &file, "Version", "», not «0»");
	nevra = right;
	nevra.release = "0";
	expect(file.path, &file, "Release", "», not «0»");
	nevra = right;
	nevra.arch = "nosrc";
	expect(file.path, &file, "Arch", "», not «src»");
	nevra = right;
	nevra.epoch = 77;
	expect(file.path, &file, "Epoch", ", not 77");
	nevra = right;
	file.size = header.size + 1;
	expect(file.path, &file, "size", " bytes, not ");
	file.size = header.size;
	file.md5 = "00000000000000000000000000000000";
	expect(file.path, &file, "signature", "not 00000000000000000000000000000000");
}

/* ---- records ------------------------------------------------------------------ */

static char *record_bytes(const struct shelf *shelf, const char *key, size_t *ret_length)
{
	char *bytes = NULL;

	CHECK_INT(file_read(shelf->headers, key, 1 << 20, &bytes, ret_length), 0);
	return bytes;
}

static void test_record(struct shelf *shelf)
{
	_cleanup_(header_done) struct header made = { 0 };
	_cleanup_(header_done) struct header got = { 0 };
	_cleanup_(header_done) struct header front = { 0 };
	const char *key = shelf->file[1].key;
	const struct timespec old[2] = { { .tv_sec = 1000000000 }, { .tv_sec = 1000000000 } };
	struct error err = { 0 };
	char sha256[DIGEST_HEX_SIZE];
	uint64_t bytes = 0;
	struct stat st;

	CHECK_INT(read_path(shelf->file[1].path, &shelf->file[1], 0, &made, NULL, &err), 0);
	CHECK_INT(header_store_get(shelf->headers, key, ALL, &got, &err), 0);
	sha256_hex("x", 1, sha256);
	CHECK_INT(header_store_digest(shelf->headers, key, sha256, &err), 0);
	CHECK_STR(made.only, ""); /* it is no source package */
	CHECK_STR(made.never, "");
	free(made.only);
	made.only = strdup("x86_64 noarch");
	CHECK_INT(header_store_put(shelf->headers, key, &made, &bytes, &err), 0);
	CHECK_INT(fstatat(shelf->headers, key, &st, 0), 0);
	CHECK_INT(st.st_size, bytes);
	CHECK_INT(header_store_get(shelf->headers, key, ALL, &got, &err), 1);
	CHECK_STR(got.name, made.name);
	CHECK_STR(got.version, made.version);
	CHECK_STR(got.release, made.release);
	CHECK_STR(got.arch, made.arch);
	CHECK_STR(got.sourcerpm, made.sourcerpm);
	CHECK_STR(got.only, "x86_64 noarch");
	CHECK_STR(got.never, "");
	CHECK_STR(got.md5, made.md5);
	CHECK_STR(got.sha256, "");
	CHECK(got.epoch == made.epoch && got.size == made.size && got.start == made.start &&
	      got.end == made.end && got.time == made.time);
	for (size_t i = 0; i < HEADER_ELEMENTS; i++)
		CHECK_STR(got.element[i].data, made.element[i].data);
	CHECK_INT(header_store_digest(shelf->headers, key, sha256, &err), 1);
	CHECK_INT(header_store_get(shelf->headers, key, 1u << HEADER_OTHER, &front, &err), 1);
	CHECK_STR(front.sha256, sha256);
	CHECK(!front.element[HEADER_PRIMARY].data);
	CHECK_STR(front.element[HEADER_OTHER].data, made.element[HEADER_OTHER].data);
	CHECK_INT(header_store_digest(shelf->headers, key, "short", &err), -EINVAL);
	CHECK_INT(header_store_put(shelf->headers, "../x", &made, NULL, &err), -EINVAL);
	/* reading marks it as used, and so does saying so */
	for (int i = 0; i < 2; i++) {
		CHECK_INT(utimensat(shelf->headers, key, old, 0), 0);
		header_done(&front);
		if (i)
			header_store_mark(shelf->headers, key);
		else
			CHECK_INT(header_store_get(shelf->headers, key, 0, &front, &err), 1);
		CHECK_INT(fstatat(shelf->headers, key, &st, 0), 0);
		CHECK(st.st_mtime > time_now() - 60);
	}
	header_store_mark(shelf->headers, shelf->file[2].key); /* is not there */
}

static bool same_elements(const struct header *a, const struct header *b)
{
	for (size_t i = 0; i < HEADER_ELEMENTS; i++)
		if (strcmp(a->element[i].data, b->element[i].data) != 0)
			return false;
	return true;
}

/* One bit turned over anywhere, or the end cut off: there is no such record, and soon no such file.
 * But for the few bits of a zstd frame that mean nothing. */
static void test_damage(struct shelf *shelf)
{
	const char *key = shelf->file[1].key;
	size_t length = 0, gone = 0, same = 0, tries = 0;
	_cleanup_(freep) char *bytes = record_bytes(shelf, key, &length);
	_cleanup_(header_done) struct header made = { 0 };
	struct error err = { 0 };

	CHECK_INT(header_store_get(shelf->headers, key, ALL, &made, &err), 1);
	for (size_t at = 0; at < length; at++, tries++) {
		_cleanup_(header_done) struct header got = { 0 };

		bytes[at] = (char)(bytes[at] ^ 1 << at % 8);
		CHECK_INT(file_publish(shelf->headers, key, bytes, length), 0);
		bytes[at] = (char)(bytes[at] ^ 1 << at % 8);
		if (header_store_get(shelf->headers, key, ALL, &got, &err) == 1)
			same += same_elements(&got, &made);
		else
			gone += !got.name && faccessat(shelf->headers, key, F_OK, 0) < 0;
	}
	CHECK_INT(gone + same, tries);
	CHECK(same < 10);
	for (size_t cut = 0; cut < length; cut += cut / 10 + 1, tries++) {
		_cleanup_(header_done) struct header got = { 0 };

		CHECK_INT(file_publish(shelf->headers, key, bytes, cut), 0);
		gone += header_store_get(shelf->headers, key, ALL, &got, &err) == 0;
	}
	CHECK_INT(gone + same, tries);
	CHECK(tries > 1000);
	/* under another name it is another file's */
	CHECK_INT(file_publish(shelf->headers, shelf->file[2].key, bytes, length), 0);
	{
		_cleanup_(header_done) struct header got = { 0 };

		CHECK_INT(header_store_get(shelf->headers, shelf->file[2].key, ALL, &got, &err), 0);
	}
}

/* ---- many ---------------------------------------------------------------------- */

/* struct watch - what the callbacks were told */
struct watch {
	struct shelf *shelf;
	pthread_t caller;
	size_t failed, told;
	uint64_t files;
	_Atomic size_t opened, closed;
	int answer; /* to failed() */
	uint64_t stop_at;
	_Atomic int in_failed;
	bool wrong_thread, two_at_once;
};

static int on_failed(void *data, size_t index, const struct error *failure, struct error *err)
{
	struct watch *watch = data;

	watch->two_at_once |= atomic_fetch_add(&watch->in_failed, 1) > 0;
	watch->failed++;
	CHECK(!strncmp(failure->message, watch->shelf->file[index].path,
		       strlen(watch->shelf->file[index].path)));
	atomic_fetch_sub(&watch->in_failed, 1);
	return watch->answer ? error_set(err, watch->answer, BLAME_REQUEST, NULL, "enough") : 0;
}

static int on_progress(void *data, const struct header_totals *totals, struct error *err)
{
	struct watch *watch = data;

	watch->told++;
	watch->wrong_thread |= !pthread_equal(pthread_self(), watch->caller);
	CHECK(totals->files >= watch->files);
	watch->files = totals->files;
	return watch->stop_at && totals->files >= watch->stop_at
		       ? error_set(err, -ECANCELED, BLAME_REQUEST, NULL, "cancelled")
		       : 0;
}

static void test_many(struct shelf *shelf)
{
	struct watch watch = { .shelf = shelf, .caller = pthread_self() };
	struct header_batch batch = batch_of(shelf, 0);
	struct header_totals first = { 0 }, second = { 0 };
	struct error err = { 0 };
	uint64_t headers = 0;

	batch.progress = on_progress;
	batch.failed = on_failed;
	batch.data = &watch;
	forget_records(shelf);
	CHECK_INT(header_read_all(shelf->headers, &batch, &first, &err), 0);
	CHECK(watch.told >= 1 && watch.files == shelf->count && !watch.failed &&
	      !watch.wrong_thread);
	CHECK(first.files == shelf->count && first.read == shelf->count && !first.present &&
	      !first.failed);
	for (size_t i = 0; i < shelf->count; i++) {
		_cleanup_(header_done) struct header got = { 0 };

		CHECK_INT(header_store_get(shelf->headers, shelf->file[i].key, 0, &got, &err), 1);
		headers += got.end;
	}
	CHECK_INT(first.bytes_read, headers);
	/* again: nothing is read; one is new: its header is, and no other */
	watch.files = 0; /* counting starts anew */
	CHECK_INT(header_read_all(shelf->headers, &batch, &second, &err), 0);
	CHECK(second.present == shelf->count && !second.read && !second.bytes_read &&
	      !second.bytes_written);
	CHECK_INT(unlinkat(shelf->headers, shelf->file[7].key, 0), 0);
	watch.files = 0;
	CHECK_INT(header_read_all(shelf->headers, &batch, &second, &err), 0);
	CHECK(second.present == shelf->count - 1 && second.read == 1);
	{
		_cleanup_(header_done) struct header got = { 0 };

		CHECK_INT(header_store_get(shelf->headers, shelf->file[7].key, 0, &got, &err), 1);
		CHECK_INT(second.bytes_read, got.end);
	}
	batch.count = 0;
	CHECK_INT(header_read_all(shelf->headers, &batch, &second, &err), 0);
	CHECK_INT(second.files, 0);
}

static int on_open(void *data, size_t index, struct header_reader *ret, struct error *err)
{
	struct watch *watch = data;
	int fd = open(watch->shelf->file[index].path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	int r = fd < 0 ? error_set(err, -errno, BLAME_SOURCE, NULL, "%s", strerror(errno))
		       : header_reader_fd(fd, ret, err);

	if (r < 0)
		closep(&fd);
	else
		atomic_fetch_add(&watch->opened, 1);
	return r;
}

static void on_close(void *data, size_t index, struct header_reader *reader)
{
	struct watch *watch = data;

	(void)close((int)(intptr_t)reader->data);
	atomic_fetch_add(&watch->closed, 1);
}

/* Every third file is none that can be read. */
static void test_bad(struct shelf *shelf)
{
	char pipe[96], missing[96], other[96];
	struct header_file *kept = shelf->file;
	const char *const bad[] = { pipe, missing, other };
	struct error err = { 0 };

	(void)snprintf(pipe, sizeof(pipe), "%s/pipe", shelf->folder);
	(void)snprintf(missing, sizeof(missing), "%s/missing", shelf->folder);
	(void)snprintf(other, sizeof(other), "%s/other", shelf->folder);
	CHECK_INT(mkfifo(pipe, 0600), 0);
	CHECK_INT(file_publish(shelf->top, "other", "not an rpm", 10), 0);
	shelf->file = calloc(shelf->count, sizeof(*shelf->file));
	for (size_t i = 0; i < shelf->count; i++) {
		shelf->file[i] = kept[i];
		if (i % 3 == 0)
			shelf->file[i].path = bad[i / 3 % 3];
	}
	for (unsigned int threads = 1; threads <= HEADER_MAX_THREADS; threads++) {
		struct watch watch = { .shelf = shelf, .caller = pthread_self() };
		struct header_batch batch = batch_of(shelf, threads);
		struct header_totals totals = { 0 };

		forget_records(shelf);
		batch.failed = on_failed;
		batch.data = &watch;
		if (threads % 2) {
			batch.open = on_open;
			batch.close = on_close;
		}
		CHECK_INT(header_read_all(shelf->headers, &batch, &totals, &err), 0);
		CHECK_INT(watch.failed, shelf->count / 3);
		CHECK_INT(totals.failed, shelf->count / 3);
		CHECK_INT(totals.read, shelf->count - shelf->count / 3);
		CHECK(!watch.two_at_once && watch.opened == watch.closed);
		watch.answer = -EUCLEAN; /* the caller has seen enough */
		watch.failed = 0;
		CHECK_INT(header_read_all(shelf->headers, &batch, &totals, &err), -EUCLEAN);
		CHECK_STR(err.message, "enough");
		CHECK_INT(watch.failed, 1);
		batch.failed = NULL; /* the first failure ends it */
		err = (struct error){ 0 };
		CHECK(header_read_all(shelf->headers, &batch, &totals, &err) < 0);
		CHECK(err.blame == BLAME_SOURCE &&
		      !strncmp(err.message, shelf->folder, strlen(shelf->folder)));
		CHECK(totals.failed >= 1 && totals.files < shelf->count);
		CHECK(watch.opened == watch.closed);
	}
	free(shelf->file);
	shelf->file = kept;
}

static void test_cancel(struct shelf *shelf)
{
	struct watch watch = { .shelf = shelf, .caller = pthread_self(), .stop_at = 1 };
	struct header_batch batch = batch_of(shelf, 2);
	struct error err = { 0 };

	batch.progress = on_progress;
	batch.data = &watch;
	forget_records(shelf);
	CHECK_INT(header_read_all(shelf->headers, &batch, NULL, &err), -ECANCELED);
	CHECK_STR(err.message, "cancelled");
	CHECK_INT(watch.told, 1);
}

static void *read_beside(void *data)
{
	struct shelf *shelf = data;
	struct header_batch batch = batch_of(shelf, 3);
	struct error err = { 0 };

	return header_read_all(shelf->headers, &batch, NULL, &err) == 0 ? shelf : NULL;
}

/* Two workers fill one store: what both read is written twice, and whole at any time. */
static void test_two(struct shelf *shelf)
{
	struct header_batch batch = batch_of(shelf, 3);
	struct error err = { 0 };
	void *answer = NULL;
	pthread_t other;

	forget_records(shelf);
	CHECK_INT(pthread_create(&other, NULL, read_beside, shelf), 0);
	CHECK_INT(header_read_all(shelf->headers, &batch, NULL, &err), 0);
	CHECK_INT(pthread_join(other, &answer), 0);
	CHECK(answer);
	for (size_t i = 0; i < shelf->count; i++) {
		_cleanup_(header_done) struct header got = { 0 };

		CHECK_INT(header_store_get(shelf->headers, shelf->file[i].key, ALL, &got, &err), 1);
	}
}

#define TELLS 20000

/* struct telling - one record that is told a SHA-256 over and over */
struct telling {
	const struct shelf *shelf;
	_Atomic bool over;
	size_t told;
};

static void *tell_digests(void *data)
{
	struct telling *telling = data;
	char sha256[DIGEST_HEX_SIZE];
	struct error err = { 0 };

	for (int i = 0; i < TELLS; i++) {
		sha256_hex(&i, sizeof(i), sha256);
		telling->told +=
			header_store_digest(telling->shelf->headers, telling->shelf->file[0].key,
					    sha256, &err) == 1;
	}
	atomic_store(&telling->over, true);
	return NULL;
}

/* A record that learns a SHA-256 is whole for who reads it meanwhile. */
static void test_told(struct shelf *shelf)
{
	struct telling telling = { .shelf = shelf };
	struct error err = { 0 };
	size_t got = 0, tries = 0;
	pthread_t other;

	CHECK_INT(pthread_create(&other, NULL, tell_digests, &telling), 0);
	while (!atomic_load(&telling.over)) {
		_cleanup_(header_done) struct header header = { 0 };

		got += header_store_get(shelf->headers, shelf->file[0].key, tries++ % 5 ? 0 : ALL,
					&header, &err) == 1;
	}
	CHECK_INT(pthread_join(other, NULL), 0);
	CHECK_INT(telling.told, TELLS);
	CHECK_INT(got, tries);
	CHECK(tries > 100);
	forget_records(shelf);
	CHECK(read_beside(shelf)); /* without digests again */
}

static void test_digests(struct shelf *shelf)
{
	char(*sha256)[DIGEST_HEX_SIZE] = calloc(shelf->count, sizeof(*sha256));
	struct header_batch batch = batch_of(shelf, 3);
	struct header_totals totals = { 0 };
	struct error err = { 0 };
	uint64_t bytes = 0;

	CHECK_INT(unlinkat(shelf->headers, shelf->file[5].key, 0),
		  0); /* hashed all the same, but not remembered */
	for (int again = 0; again < 2; again++) {
		CHECK_INT(header_digest_all(shelf->headers, &batch, sha256, &totals, &err), 0);
		for (size_t i = 0; i < shelf->count; i++) {
			_cleanup_(closep) int fd = open(shelf->file[i].path, O_RDONLY | O_CLOEXEC);
			char want[DIGEST_HEX_SIZE] = "";
			uint64_t size = 0;

			CHECK_INT(sha256_file(fd, want, &size), 0);
			CHECK_STR(sha256[i], want);
			bytes += size;
		}
		if (!again)
			CHECK(totals.read == shelf->count && !totals.present &&
			      totals.bytes_read == bytes);
		else
			CHECK(totals.read == 1 && totals.present == shelf->count - 1);
	}
	shelf->file[5].size = 1;
	CHECK_INT(header_digest_all(shelf->headers, &batch, sha256, &totals, &err), -EBADMSG);
	CHECK_STR(err.field, "size");
	CHECK_STR(sha256[5], "");
	shelf->file[5].size = HEADER_SIZE_UNKNOWN;
	free(sha256);
}

int main(void)
{
	struct shelf shelf = { 0 };

	shelf_init(&shelf);
	test_one(&shelf);
	test_stub(&shelf);
	test_expectations(&shelf);
	test_record(&shelf);
	test_damage(&shelf);
	test_many(&shelf);
	test_bad(&shelf);
	test_cancel(&shelf);
	test_two(&shelf);
	test_told(&shelf);
	test_digests(&shelf);
	shelf_done(&shelf);
	TEST_END();
}
