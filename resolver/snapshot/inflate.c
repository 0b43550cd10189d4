/* SPDX-License-Identifier: MIT */
/* resolver/snapshot/inflate.c: compressed bytes in, plain bytes out, held to what repomd.xml said.
 *
 * The formats differ only in one step ("take these bytes, fill that buffer"), so each is a row of a
 * table; reading, counting, digests and limits stand once around it. Several members in one file
 * follow each other as gunzip and zstd take them. */
#include "resolver/snapshot/inflate.h"

#include <bzlib.h>
#include <lzma.h>
#include <stdarg.h>
#include <strings.h>
#include <zlib.h>
#include <zstd.h>

#define INFLATE_IN (64 * 1024)
#define INFLATE_OUT (128 * 1024)
#define INFLATE_RATIO_FROM (UINT64_C(64) << 20)
#define INFLATE_XZ_MEMORY (UINT64_C(256) << 20)
#define INFLATE_ZSTD_WINDOW 27 /* log2 of bytes: 128 MiB */

/* One step: bytes between the cursors; @ended: a member is complete. */
struct step {
	const uint8_t *in;
	size_t in_left;
	uint8_t *out;
	size_t out_left;
	bool ended;
};

union decoder {
	z_stream zlib;
	ZSTD_DStream *zstd;
	lzma_stream lzma;
	bz_stream bz2;
};

struct format {
	const char *name;
	char magic[7];
	size_t magic_length;
	int (*start)(union decoder *decoder);				/* 0 or -ENOMEM */
	const char *(*step)(union decoder *decoder, struct step *step); /* NULL, or what is wrong */
	void (*end)(union decoder *decoder);
};

static int gzip_start(union decoder *decoder)
{
	decoder->zlib = (z_stream){ 0 };
	return inflateInit2(&decoder->zlib, 16 + MAX_WBITS) == Z_OK ? 0 : -ENOMEM;
}

static const char *gzip_step(union decoder *decoder, struct step *step)
{
	z_stream *z = &decoder->zlib;
	int r;

	z->next_in = (z_const Bytef *)(uintptr_t)step->in;
	z->avail_in = (uInt)step->in_left;
	z->next_out = step->out;
	z->avail_out = (uInt)step->out_left;
	r = inflate(z, Z_NO_FLUSH);
	step->in = z->next_in;
	step->in_left = z->avail_in;
	step->out = z->next_out;
	step->out_left = z->avail_out;
	step->ended = r == Z_STREAM_END;
	if (r == Z_OK || r == Z_STREAM_END || r == Z_BUF_ERROR)
		return NULL;
	return z->msg ? z->msg : "damaged";
}

static void gzip_end(union decoder *decoder)
{
	(void)inflateEnd(&decoder->zlib);
}

static int zstd_start(union decoder *decoder)
{
	decoder->zstd = ZSTD_createDStream();
	if (!decoder->zstd)
		return -ENOMEM;
	(void)ZSTD_DCtx_setParameter(decoder->zstd, ZSTD_d_windowLogMax, INFLATE_ZSTD_WINDOW);
	return 0;
}

static const char *zstd_step(union decoder *decoder, struct step *step)
{
	ZSTD_inBuffer in = { step->in, step->in_left, 0 };
	ZSTD_outBuffer out = { step->out, step->out_left, 0 };
	size_t r = ZSTD_decompressStream(decoder->zstd, &out, &in);

	step->in += in.pos;
	step->in_left -= in.pos;
	step->out += out.pos;
	step->out_left -= out.pos;
	step->ended = r == 0;
	return ZSTD_isError(r) ? ZSTD_getErrorName(r) : NULL;
}

static void zstd_end(union decoder *decoder)
{
	(void)ZSTD_freeDStream(decoder->zstd);
}

static int xz_start(union decoder *decoder)
{
	decoder->lzma = (lzma_stream)LZMA_STREAM_INIT;
	return lzma_stream_decoder(&decoder->lzma, INFLATE_XZ_MEMORY, 0) == LZMA_OK ? 0 : -ENOMEM;
}

static const char *xz_step(union decoder *decoder, struct step *step)
{
	lzma_stream *lzma = &decoder->lzma;
	lzma_ret r;

	lzma->next_in = step->in;
	lzma->avail_in = step->in_left;
	lzma->next_out = step->out;
	lzma->avail_out = step->out_left;
	r = lzma_code(lzma, LZMA_RUN);
	step->in = lzma->next_in;
	step->in_left = lzma->avail_in;
	step->out = lzma->next_out;
	step->out_left = lzma->avail_out;
	step->ended = r == LZMA_STREAM_END;
	if (r == LZMA_OK || r == LZMA_STREAM_END || r == LZMA_BUF_ERROR)
		return NULL;
	return r == LZMA_MEMLIMIT_ERROR ? "its dictionary is too large" : "damaged";
}

static void xz_end(union decoder *decoder)
{
	lzma_end(&decoder->lzma);
}

static int bzip2_start(union decoder *decoder)
{
	decoder->bz2 = (bz_stream){ 0 };
	return BZ2_bzDecompressInit(&decoder->bz2, 0, 0) == BZ_OK ? 0 : -ENOMEM;
}

static const char *bzip2_step(union decoder *decoder, struct step *step)
{
	bz_stream *bz2 = &decoder->bz2;
	int r;

	bz2->next_in = (char *)(uintptr_t)step->in;
	bz2->avail_in = (unsigned int)step->in_left;
	bz2->next_out = (char *)step->out;
	bz2->avail_out = (unsigned int)step->out_left;
	r = BZ2_bzDecompress(bz2);
	step->in = (const uint8_t *)bz2->next_in;
	step->in_left = bz2->avail_in;
	step->out = (uint8_t *)bz2->next_out;
	step->out_left = bz2->avail_out;
	step->ended = r == BZ_STREAM_END;
	return r == BZ_OK || r == BZ_STREAM_END ? NULL : "damaged";
}

static void bzip2_end(union decoder *decoder)
{
	(void)BZ2_bzDecompressEnd(&decoder->bz2);
}

static int plain_start(union decoder *decoder)
{
	(void)decoder;
	return 0;
}

static const char *plain_step(union decoder *decoder, struct step *step)
{
	size_t n = step->in_left < step->out_left ? step->in_left : step->out_left;

	(void)decoder;
	memcpy(step->out, step->in, n);
	step->in += n;
	step->in_left -= n;
	step->out += n;
	step->out_left -= n;
	step->ended = true; /* may end after any byte */
	return NULL;
}

static void plain_end(union decoder *decoder)
{
	(void)decoder;
}

static const struct format formats[] = {
	{ "gzip", "\x1f\x8b", 2, gzip_start, gzip_step, gzip_end },
	{ "zstd", "\x28\xb5\x2f\xfd", 4, zstd_start, zstd_step, zstd_end },
	{ "xz",
	  "\xfd"
	  "7zXZ",
	  6, xz_start, xz_step, xz_end }, /* the sixth byte is NUL */
	{ "bzip2", "BZh", 3, bzip2_start, bzip2_step, bzip2_end },
	{ "plain", "", 0, plain_start, plain_step, plain_end },
};

struct inflating {
	const struct inflate_source *source;
	inflate_sink *sink;
	void *sink_data;
	struct digest *sum, *open_sum; /* NULL: not asked for */
	uint64_t read, used, made;     /* bytes: from the file, by the decoder, out of it */
	char *in, *out;
};

static int refuse(const struct inflating *run, struct error *err, const char *format, ...)
	_printf_(3, 4);

static int refuse(const struct inflating *run, struct error *err, const char *format, ...)
{
	const struct repomd_record *record = run->source->record;
	char words[512];
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(words, sizeof(words), format, arguments);
	va_end(arguments);
	return error_set(err, -EBADMSG, BLAME_SOURCE, run->source->field, "%s%s%s",
			 record ? record->href : "", record ? ": " : "", words);
}

static int digest_start(struct inflating *run, const char *type, struct digest **ret,
			struct error *err)
{
	if (!type)
		return 0;
	*ret = digest_new(type);
	return *ret ? 0 : refuse(run, err, "checksum type \"%.32s\" is not known", type);
}

static int digest_check(struct inflating *run, struct digest *digest, const char *want,
			const char *what, struct error *err)
{
	char got[DIGEST_MAX_HEX_SIZE];

	if (!digest)
		return 0;
	digest_hex(digest, got);
	if (strcasecmp(got, want) == 0)
		return 0;
	return refuse(run, err, "%s is %s, repomd.xml says %.128s", what, got, want);
}

/* What came out of a step: counted, held to the limits, then handed on. */
static int deliver(struct inflating *run, size_t length, struct error *err)
{
	const struct repomd_record *record = run->source->record;
	int64_t want = record ? record->open_size : -1;

	run->made += length;
	if (want >= 0 && run->made > (uint64_t)want)
		return refuse(run, err,
			      "decompresses to more than the %" PRId64
			      " bytes that repomd.xml says",
			      want);
	if (run->made > run->source->limit)
		return refuse(run, err, "decompresses to more than %" PRIu64 " bytes",
			      run->source->limit);
	if (run->made > INFLATE_RATIO_FROM && run->made / SNAPSHOT_MAX_RATIO > run->used)
		return refuse(run, err, "decompresses to more than %d times its size",
			      SNAPSHOT_MAX_RATIO);
	if (run->open_sum)
		digest_add(run->open_sum, run->out, length);
	return run->sink(run->sink_data, run->out, length, err);
}

static int fill(struct inflating *run, struct step *step, struct error *err)
{
	const struct inflate_source *source = run->source;
	const struct repomd_record *record = source->record;
	ssize_t n = source->read ? source->read(source->read_data, run->in, INFLATE_IN, err)
				 : io_read(source->fd, run->in, INFLATE_IN);

	if (n < 0 && source->read)
		return (int)n;
	if (n < 0)
		return error_errno(err, (int)n, "reading %s", record ? record->href : "a file");
	run->read += (size_t)n;
	if (record && record->size >= 0 && run->read > (uint64_t)record->size)
		return refuse(run, err, "has more than the %" PRId64 " bytes that repomd.xml says",
			      record->size);
	if (run->sum)
		digest_add(run->sum, run->in, (size_t)n);
	step->in = (const uint8_t *)run->in;
	step->in_left = (size_t)n;
	return n > 0;
}

static const struct format *format_find(const struct step *step)
{
	const struct format *format = formats;

	while (step->in_left < format->magic_length ||
	       memcmp(step->in, format->magic, format->magic_length) != 0)
		format++;
	return format;
}

/* One member of the file after another; ends at the end of the file, which must be between two. */
static int decode(struct inflating *run, const struct format *format, union decoder *decoder,
		  struct step *step, struct error *err)
{
	for (;;) {
		size_t before = step->in_left;
		const char *wrong;
		int r = 0;

		step->out = (uint8_t *)run->out;
		step->out_left = INFLATE_OUT;
		wrong = format->step(decoder, step);
		run->used += before - step->in_left;
		if (step->out_left < INFLATE_OUT)
			r = deliver(run, INFLATE_OUT - step->out_left, err);
		if (r < 0)
			return r;
		if (wrong)
			return refuse(run, err, "%s: %s", format->name, wrong);
		if (step->in_left > 0 && before == step->in_left && step->out_left == INFLATE_OUT)
			return refuse(run, err, "%s: damaged", format->name);
		if (step->in_left == 0 && (step->ended || step->out_left > 0)) {
			r = fill(run, step, err);
			if (r < 0)
				return r;
			if (r == 0 && step->ended)
				return 0;
			if (r == 0)
				return refuse(run, err, "%s: truncated", format->name);
		}
		if (step->ended && step->in_left > 0 && format->magic_length) {
			format->end(decoder);
			if (format->start(decoder) < 0)
				return error_oom(err);
		}
	}
}

static int run_all(struct inflating *run, struct error *err)
{
	const struct repomd_record *record = run->source->record;
	struct step step = { 0 };
	const struct format *format;
	union decoder decoder;
	int r;

	r = fill(run, &step, err);
	if (r < 0)
		return r;
	if (r > 0) {
		format = format_find(&step);
		if (format->start(&decoder) < 0)
			return error_oom(err);
		r = decode(run, format, &decoder, &step, err);
		format->end(&decoder);
		if (r < 0)
			return r;
	}
	if (!record)
		return 0;
	if (record->size >= 0 && run->read != (uint64_t)record->size)
		return refuse(run, err, "has %" PRIu64 " bytes, repomd.xml says %" PRId64,
			      run->read, record->size);
	r = digest_check(run, run->sum, record->checksum, "checksum", err);
	if (r < 0)
		return r;
	if (record->open_size >= 0 && run->made != (uint64_t)record->open_size)
		return refuse(run, err,
			      "decompresses to %" PRIu64 " bytes, repomd.xml says %" PRId64,
			      run->made, record->open_size);
	if (!run->source->open_differs)
		return digest_check(run, run->open_sum, record->open_checksum, "open-checksum",
				    err);
	*run->source->open_differs =
		digest_check(run, run->open_sum, record->open_checksum, "", NULL) < 0;
	return 0;
}

int inflate_run(const struct inflate_source *source, inflate_sink *sink, void *data,
		struct error *err)
{
	const struct repomd_record *record = source->record;
	struct inflating run = { .source = source, .sink = sink, .sink_data = data };
	int r = 0;

	run.in = malloc(INFLATE_IN);
	run.out = malloc(INFLATE_OUT);
	if (!run.in || !run.out)
		r = error_oom(err);
	if (r == 0 && record)
		r = digest_start(&run, record->checksum_type, &run.sum, err);
	if (r == 0 && record && record->open_checksum)
		r = digest_start(&run, record->open_checksum_type, &run.open_sum, err);
	if (r == 0)
		r = run_all(&run, err);
	digest_free(run.sum);
	digest_free(run.open_sum);
	free(run.in);
	free(run.out);
	return r;
}
