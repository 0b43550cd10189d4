/* SPDX-License-Identifier: MIT */
/* resolver/header/store.c: records on disk.
 *
 *   struct record │ name, version, release, arch, source RPM, … each with its NUL │ zstd frames
 *
 * A SHA-256 that is learned later is written in place, under a lock: a rename over a file makes the
 * disk write at once. Half of it would be a damaged record. The sum covers everything before the
 * frames, lengths of the frames included; each frame has zstd's own. Numbers as this machine keeps
 * them: a record is made again rather than carried to another. */
#include "resolver/header/parts.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#define RECORD_MAGIC UINT64_C(0x33307264682d736f) /* "os-hdr03" on a little-endian machine */
#define RECORD_LEVEL 1
#define RECORD_MAX_BYTES (UINT64_C(4) * HEADER_MAX_ELEMENT)
#define FRONT_BYTES 1024  /* mostly holds everything before the frames */
#define MARK_SECONDS 3600 /* a record in use is marked no more often */
#define WORDS 7
#define MD5_BYTES ((HEADER_MD5_HEX_SIZE - 1) / 2)

struct record {
	uint64_t magic;
	uint64_t bytes;		  /* of the file */
	uint8_t sum[DIGEST_SIZE]; /* of this with zeros here, and the strings */
	uint8_t key[DIGEST_SIZE];
	uint8_t sha256[DIGEST_SIZE]; /* zeros: not known */
	uint8_t front[DIGEST_SIZE];  /* zeros: not known */
	uint8_t md5[MD5_BYTES];	     /* zeros: not known */
	uint64_t size, start, end;
	int64_t time;
	uint32_t epoch, words_bytes;
	uint32_t raw[HEADER_ELEMENTS], packed[HEADER_ELEMENTS];
};

static bool all_zeros(const uint8_t *bytes, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if (bytes[i])
			return false;
	return true;
}

/* hex text of bytes that may be unknown */
static void print_digest(const uint8_t *bytes, size_t length, char *ret)
{
	if (all_zeros(bytes, length))
		ret[0] = '\0';
	else
		hex_print(bytes, length, ret);
}

/* @front: record and strings */
static void sum_of(const char *front, size_t length, uint8_t *ret)
{
	_cleanup_(digest_freep) struct digest *digest = digest_new("sha256");
	static const uint8_t zeros[DIGEST_SIZE];
	const size_t at = offsetof(struct record, sum), behind = at + DIGEST_SIZE;
	char hex[DIGEST_MAX_HEX_SIZE] = "";

	memset(ret, 0, DIGEST_SIZE);
	if (!digest)
		return; /* no record has that sum */
	digest_add(digest, front, at);
	digest_add(digest, zeros, sizeof(zeros));
	digest_add(digest, front + behind, length - behind);
	digest_hex(digest, hex);
	(void)hex_parse(hex, ret, DIGEST_SIZE);
}

/* ---- reading -------------------------------------------------------------- */

/* Is what was read the beginning of this record, as it was written? */
static bool front_is_good(const struct record *record, const struct text *front, uint64_t bytes,
			  const char *key)
{
	uint8_t sum[DIGEST_SIZE], wanted[DIGEST_SIZE];
	size_t length = sizeof(*record) + record->words_bytes;
	const char *words = front->data + sizeof(*record);
	uint64_t total = length;
	unsigned int nuls = 0;

	for (size_t i = 0; i < HEADER_ELEMENTS; i++)
		total += record->packed[i];
	if (total != bytes || length > front->length || !record->words_bytes ||
	    words[record->words_bytes - 1])
		return false;
	for (uint32_t i = 0; i < record->words_bytes; i++)
		nuls += !words[i];
	if (nuls != WORDS || hex_parse(key, wanted, sizeof(wanted)) < 0 ||
	    memcmp(wanted, record->key, sizeof(wanted)) != 0)
		return false;
	sum_of(front->data, length, sum);
	return memcmp(sum, record->sum, sizeof(sum)) == 0 && !all_zeros(sum, sizeof(sum));
}

/* Read on until @length bytes are there: 1, 0 when the file is shorter, or negative errno */
static int read_more(int fd, struct text *front, size_t length)
{
	ssize_t n;

	if (front->length >= length)
		return 1;
	if (text_reserve(front, length - front->length) < 0)
		return -ENOMEM;
	n = io_pread(fd, front->data + front->length, length - front->length, (off_t)front->length);
	if (n < 0)
		return (int)n;
	front->length += (size_t)n;
	return front->length >= length;
}

/* A file, or -EBADMSG for something else with its name. Nobody is waited for. */
static int open_record(int headers_dirfd, const char *key, int flags)
{
	_cleanup_(closep) int fd =
		openat(headers_dirfd, key, flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	struct stat st;

	if (fd < 0)
		return errno == ELOOP || errno == EISDIR || errno == ENXIO ? -EBADMSG : -errno;
	if (fstat(fd, &st) < 0)
		return -errno;
	return S_ISREG(st.st_mode) ? steal_fd(&fd) : -EBADMSG;
}

static int read_front(int fd, const char *key, bool whole, struct text *front, struct record *ret)
{
	struct stat st;
	uint64_t bytes;
	int r;

	if (fstat(fd, &st) < 0)
		return -errno;
	bytes = (uint64_t)st.st_size;
	if (bytes < sizeof(*ret) || bytes > RECORD_MAX_BYTES)
		return 0;
	r = read_more(fd, front, (size_t)(whole || bytes < FRONT_BYTES ? bytes : FRONT_BYTES));
	if (r <= 0)
		return r;
	memcpy(ret, front->data, sizeof(*ret));
	if (ret->magic != RECORD_MAGIC || ret->bytes != bytes ||
	    ret->words_bytes > WORDS * (HEADER_MAX_WORD + 1))
		return 0;
	r = read_more(fd, front, sizeof(*ret) + ret->words_bytes);
	if (r <= 0)
		return r;
	return front_is_good(ret, front, bytes, key);
}

static void mark_used(int fd)
{
	struct stat st;

	if (fstat(fd, &st) == 0 && st.st_mtime < time_now() - MARK_SECONDS)
		(void)futimens(fd, NULL);
}

/* A record that was read through @fd and is damaged: who reads the RPM again shall not find it. Not
 * one that somebody has put in its place meanwhile. */
static void remove_damaged(int headers_dirfd, const char *key, int fd)
{
	struct stat was, is;

	if (fstat(fd, &was) == 0 && fstatat(headers_dirfd, key, &is, AT_SYMLINK_NOFOLLOW) == 0 &&
	    was.st_dev == is.st_dev && was.st_ino == is.st_ino)
		(void)unlinkat(headers_dirfd, key, 0);
}

/* What looks damaged may be read while header_store_digest() writes into it: the lock tells. */
static int read_record(int fd, const char *key, bool whole, struct text *front, struct record *ret)
{
	int r = read_front(fd, key, whole, front, ret);

	if (r != 0 || flock(fd, LOCK_SH) < 0)
		return r;
	text_clear(front);
	r = read_front(fd, key, whole, front, ret);
	(void)flock(fd, LOCK_UN);
	return r;
}

/* 1, or 0 when a frame is damaged */
static int unpack_frames(const struct record *record, const char *frames, unsigned int elements,
			 ZSTD_DCtx *unpacker, struct header *ret)
{
	for (size_t i = 0; i < HEADER_ELEMENTS; frames += record->packed[i], i++) {
		struct text *text = &ret->element[i];
		size_t n;

		if (!(elements & 1u << i))
			continue;
		if (record->raw[i] > HEADER_MAX_ELEMENT)
			return 0;
		if (text_reserve(text, record->raw[i]) < 0)
			return -ENOMEM;
		n = ZSTD_decompressDCtx(unpacker, text->data, record->raw[i], frames,
					record->packed[i]);
		if (ZSTD_isError(n) || n != record->raw[i])
			return 0;
		text->length = n;
		text->data[n] = '\0';
	}
	return 1;
}

struct header_unpacker {
	ZSTD_DCtx *zstd;
};

struct header_unpacker *header_unpacker_new(void)
{
	struct header_unpacker *unpacker = calloc(1, sizeof(*unpacker));

	if (unpacker && !(unpacker->zstd = ZSTD_createDCtx())) {
		free(unpacker);
		return NULL;
	}
	return unpacker;
}

void header_unpacker_free(struct header_unpacker *unpacker)
{
	if (unpacker)
		(void)ZSTD_freeDCtx(unpacker->zstd);
	free(unpacker);
}

static int fill(const struct record *record, const char *words, struct header *ret)
{
	char **const word[WORDS] = { &ret->name,      &ret->version, &ret->release, &ret->arch,
				     &ret->sourcerpm, &ret->only,    &ret->never };

	for (size_t i = 0; i < WORDS; i++, words += strlen(words) + 1) {
		*word[i] = strdup(words);
		if (!*word[i])
			return -ENOMEM;
	}
	ret->epoch = record->epoch;
	ret->size = record->size;
	ret->start = record->start;
	ret->end = record->end;
	ret->time = record->time;
	print_digest(record->md5, MD5_BYTES, ret->md5);
	print_digest(record->sha256, DIGEST_SIZE, ret->sha256);
	print_digest(record->front, DIGEST_SIZE, ret->front);
	return 1;
}

int header_store_get(int headers_dirfd, const char *key, unsigned int elements, struct header *ret,
		     struct error *err)
{
	struct header_unpacker *unpacker = elements ? header_unpacker_new() : NULL;
	int r = elements && !unpacker
			? error_oom(err)
			: header_store_read(headers_dirfd, key, elements, unpacker, ret, err);

	header_unpacker_free(unpacker);
	return r;
}

int header_store_read(int headers_dirfd, const char *key, unsigned int elements,
		      struct header_unpacker *unpacker, struct header *ret, struct error *err)
{
	_cleanup_(closep) int fd = open_record(headers_dirfd, key, O_RDONLY);
	_cleanup_(header_done) struct header header = { 0 };
	_cleanup_(text_done) struct text front = { 0 };
	struct record record;
	int r;

	if (fd == -EBADMSG)
		(void)directory_remove(headers_dirfd, key);
	if (fd < 0)
		return fd == -ENOENT || fd == -EBADMSG ? 0
						       : error_errno(err, fd, "headers/%s", key);
	r = read_record(fd, key, elements != 0, &front, &record);
	if (r == 1)
		r = fill(&record, front.data + sizeof(record), &header);
	if (r == 1 && elements)
		r = unpack_frames(&record, front.data + sizeof(record) + record.words_bytes,
				  elements, unpacker->zstd, &header);
	if (r < 0)
		return error_errno(err, r, "headers/%s", key);
	if (r == 0) {
		remove_damaged(headers_dirfd, key, fd);
		return 0;
	}
	mark_used(fd);
	*ret = header;
	header = (struct header){ 0 };
	return 1;
}

int header_store_check(int headers_dirfd, const char *key, struct header_unpacker *unpacker,
		       struct error *err)
{
	_cleanup_(closep) int fd = open_record(headers_dirfd, key, O_RDONLY);
	_cleanup_(header_done) struct header header = { 0 };
	_cleanup_(text_done) struct text front = { 0 };
	struct record record;
	int r = fd < 0 ? fd : read_record(fd, key, unpacker, &front, &record);

	if (r == 1 && unpacker)
		r = unpack_frames(&record, front.data + sizeof(record) + record.words_bytes,
				  (1u << HEADER_ELEMENTS) - 1, unpacker->zstd, &header);
	if (r == 0)
		return -EBADMSG;
	if (r < 0)
		return r == -ENOENT || r == -EBADMSG ? r : error_errno(err, r, "headers/%s", key);
	return 0;
}

/* ---- writing -------------------------------------------------------------- */

struct ZSTD_CCtx_s *record_packer(void)
{
	ZSTD_CCtx *packer = ZSTD_createCCtx();

	if (!packer)
		return NULL;
	(void)ZSTD_CCtx_setParameter(packer, ZSTD_c_compressionLevel, RECORD_LEVEL);
	(void)ZSTD_CCtx_setParameter(packer, ZSTD_c_checksumFlag, 1);
	return packer;
}

void record_packer_free(struct ZSTD_CCtx_s *packer)
{
	(void)ZSTD_freeCCtx(packer);
}

static int pack(const struct header *header, ZSTD_CCtx *packer, struct record *record,
		struct text *file, struct error *err)
{
	for (size_t i = 0; i < HEADER_ELEMENTS; i++) {
		const struct text *text = &header->element[i];
		size_t room = ZSTD_compressBound(text->length), n;

		if (text_reserve(file, room) < 0)
			return error_oom(err);
		n = ZSTD_compress2(packer, file->data + file->length, room, text->data,
				   text->length);
		if (ZSTD_isError(n))
			return error_set(err, -EIO, BLAME_US, NULL, "zstd: %s",
					 ZSTD_getErrorName(n));
		file->length += n;
		record->raw[i] = (uint32_t)text->length;
		record->packed[i] = (uint32_t)n;
	}
	return 0;
}

/* @file: record and strings at least */
static void put_front(struct record *record, struct text *file)
{
	memcpy(file->data, record, sizeof(*record));
	sum_of(file->data, sizeof(*record) + record->words_bytes, record->sum);
	memcpy(file->data, record, sizeof(*record));
}

static int publish(int headers_dirfd, const char *key, const struct text *file, struct error *err)
{
	int r = file_publish(headers_dirfd, key, file->data, file->length);

	return r < 0 ? error_errno(err, r, "headers/%s", key) : 0;
}

int record_put(int headers_dirfd, const char *key, const struct header *header,
	       struct ZSTD_CCtx_s *packer, uint64_t *ret_bytes, struct error *err)
{
	const char *const word[WORDS] = { header->name, header->version,   header->release,
					  header->arch, header->sourcerpm, header->only,
					  header->never };
	_cleanup_(text_done) struct text file = { 0 };
	struct record record = { .magic = RECORD_MAGIC,
				 .size = header->size,
				 .start = header->start,
				 .end = header->end,
				 .time = header->time,
				 .epoch = header->epoch };
	int r;

	if (!hex_is_digest(key) || hex_parse(key, record.key, sizeof(record.key)) < 0 ||
	    (header->md5[0] && hex_parse(header->md5, record.md5, sizeof(record.md5)) < 0) ||
	    (header->front[0] &&
	     hex_parse(header->front, record.front, sizeof(record.front)) < 0) ||
	    (header->sha256[0] &&
	     hex_parse(header->sha256, record.sha256, sizeof(record.sha256)) < 0))
		return error_set(err, -EINVAL, BLAME_US, "key", "headers/%s: no digest", key);
	(void)text_add(&file, &record, sizeof(record));
	for (size_t i = 0; i < WORDS; i++)
		(void)text_add(&file, word[i], strlen(word[i]) + 1);
	if (file.failed)
		return error_oom(err);
	record.words_bytes = (uint32_t)(file.length - sizeof(record));
	r = pack(header, packer, &record, &file, err);
	if (r < 0)
		return r;
	record.bytes = file.length;
	put_front(&record, &file);
	r = publish(headers_dirfd, key, &file, err);
	if (r == 0 && ret_bytes)
		*ret_bytes = file.length;
	return r;
}

int header_store_put(int headers_dirfd, const char *key, const struct header *header,
		     uint64_t *ret_bytes, struct error *err)
{
	ZSTD_CCtx *packer = record_packer();
	int r = packer ? record_put(headers_dirfd, key, header, packer, ret_bytes, err)
		       : error_oom(err);

	record_packer_free(packer);
	return r;
}

int header_store_digest(int headers_dirfd, const char *key, const char *sha256, struct error *err)
{
	_cleanup_(closep) int fd = open_record(headers_dirfd, key, O_RDWR);
	_cleanup_(text_done) struct text front = { 0 };
	struct record record;
	ssize_t n;
	int r;

	if (fd < 0)
		return fd == -ENOENT || fd == -EBADMSG ? 0
						       : error_errno(err, fd, "headers/%s", key);
	r = flock(fd, LOCK_EX) < 0 ? -errno : read_front(fd, key, false, &front, &record);
	if (r < 0)
		return error_errno(err, r, "headers/%s", key);
	if (r == 0)
		return 0;
	if (!hex_is_digest(sha256) || hex_parse(sha256, record.sha256, sizeof(record.sha256)) < 0)
		return error_set(err, -EINVAL, BLAME_US, "sha256", "headers/%s: no digest", key);
	put_front(&record, &front);
	n = pwrite(fd, front.data, sizeof(record), 0);
	if (n != (ssize_t)sizeof(record))
		return error_errno(err, n < 0 ? -errno : -EIO, "headers/%s", key);
	return 1;
}

void header_store_mark(int headers_dirfd, const char *key)
{
	struct stat st;

	if (fstatat(headers_dirfd, key, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    st.st_mtime < time_now() - MARK_SECONDS)
		file_touch(headers_dirfd, key);
}
