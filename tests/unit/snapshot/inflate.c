/* SPDX-License-Identifier: MIT */
/* tests/unit/snapshot/inflate.c: every compression, and files that are not what was said of them.
 */
#include "resolver/snapshot/inflate.h"
#include "tests/unit/snapshot/repository.h"

#include <sys/mman.h>
#include <unistd.h>

struct result {
	uint64_t total;
	struct digest *digest;
	char hex[DIGEST_MAX_HEX_SIZE];
};

static int swallow(void *data, const char *bytes, size_t length, struct error *err)
{
	struct result *result = data;

	result->total += length;
	digest_add(result->digest, bytes, length);
	return 0;
}

static int run(const char *bytes, size_t length, const struct repomd_record *record, uint64_t limit,
	       struct result *result, struct error *err)
{
	int fd = memfd_create("file", MFD_CLOEXEC), r;
	const struct inflate_source source = {
		.fd = fd, .record = record, .field = "primary.xml", .limit = limit
	};

	*err = (struct error){ 0 };
	*result = (struct result){ .digest = digest_new("sha256") };
	CHECK(fd >= 0 && io_write(fd, bytes, length) == 0 && lseek(fd, 0, SEEK_SET) == 0);
	r = inflate_run(&source, swallow, result, err);
	digest_hex(result->digest, result->hex);
	digest_free(result->digest);
	(void)close(fd);
	return r;
}

static void fill_text(struct text *text, size_t length)
{
	for (unsigned int i = 0; text->length < length; i++)
		(void)text_addf(text, "<file>/usr/share/doc/%u/%u</file>\n", i * 2654435761u, i);
}

static void test_formats(void)
{
	static const char *const filters[] = { "cat",	"gzip -c", "zstd -qc", "zstd -qc --long=27",
					       "xz -c", "xz -9c",  "bzip2 -c" };
	struct text plain = { 0 };
	char hex[DIGEST_HEX_SIZE];

	fill_text(&plain, 700000);
	sha256_hex(plain.data, plain.length, hex);
	for (size_t i = 0; i < ARRAY_SIZE(filters); i++) {
		struct text packed = { 0 };
		struct result result;
		struct error err;

		if (!filter_bytes(filters[i], plain.data, plain.length, &packed)) {
			printf("skipped: \"%s\" cannot be run here\n", filters[i]);
			continue;
		}
		CHECK_INT(run(packed.data, packed.length, NULL, 1 << 30, &result, &err), 0);
		CHECK_STR(result.hex, hex);
		/* two members in one file are their contents in a row */
		if (i > 0) {
			char *copy = malloc(packed.length);

			memcpy(copy, packed.data, packed.length);
			(void)text_add(&packed, copy, packed.length);
			free(copy);
			CHECK_INT(run(packed.data, packed.length, NULL, 1 << 30, &result, &err), 0);
			CHECK_INT(result.total, plain.length * 2);
			/* one byte is missing, one too many, one is another */
			CHECK_INT(run(packed.data, packed.length - 1, NULL, 1 << 30, &result, &err),
				  -EBADMSG);
			(void)text_add(&packed, "x", 1);
			CHECK_INT(run(packed.data, packed.length, NULL, 1 << 30, &result, &err),
				  -EBADMSG);
			CHECK_INT(err.blame, BLAME_SOURCE);
			packed.length--;
			packed.data[packed.length / 3] ^= 0x10;
			CHECK_INT(run(packed.data, packed.length, NULL, 1 << 30, &result, &err),
				  -EBADMSG);
		}
		text_done(&packed);
	}
	text_done(&plain);
}

static char hex_text[3][DIGEST_MAX_HEX_SIZE];

static char *hex_of(int slot, const char *type, const char *bytes, size_t length)
{
	struct digest *digest = digest_new(type);

	digest_add(digest, bytes, length);
	digest_hex(digest, hex_text[slot]);
	digest_free(digest);
	return hex_text[slot];
}

static void test_record(void)
{
	char sha512[] = "sha512", sha[] = "sha", href[] = "repodata/p.gz", unknown[] = "crc32",
	     wrong[] = "00";
	struct text plain = { 0 }, packed = { 0 };
	struct repomd_record truth = { .href = href,
				       .checksum_type = sha512,
				       .open_checksum_type = sha },
			     record;
	struct result result;
	struct error err;

	fill_text(&plain, 300000);
	CHECK(filter_bytes("gzip -c", plain.data, plain.length, &packed));
	truth.checksum = hex_of(0, sha512, packed.data, packed.length);
	truth.open_checksum = hex_of(1, sha, plain.data, plain.length);
	truth.size = (int64_t)packed.length;
	truth.open_size = (int64_t)plain.length;
	CHECK_INT(run(packed.data, packed.length, &truth, 1 << 30, &result, &err), 0);

	record = truth;
	record.size--;
	CHECK_INT(run(packed.data, packed.length, &record, 1 << 30, &result, &err), -EBADMSG);
	CHECK(strstr(err.message, "has more than") && strstr(err.message, href));
	CHECK_STR(err.field, "primary.xml");
	record.size += 2;
	CHECK_INT(run(packed.data, packed.length, &record, 1 << 30, &result, &err), -EBADMSG);
	CHECK(strstr(err.message, "repomd.xml says"));
	record = truth;
	record.open_size++;
	CHECK_INT(run(packed.data, packed.length, &record, 1 << 30, &result, &err), -EBADMSG);
	CHECK(strstr(err.message, "decompresses to"));
	record.open_size = 1000;
	CHECK_INT(run(packed.data, packed.length, &record, 1 << 30, &result, &err), -EBADMSG);
	CHECK_INT(result.total, 0); /* the first piece was too much already */
	record = truth;
	record.checksum = wrong;
	CHECK_INT(run(packed.data, packed.length, &record, 1 << 30, &result, &err), -EBADMSG);
	CHECK(strstr(err.message, ": checksum is"));
	record = truth;
	record.open_checksum = wrong;
	CHECK_INT(run(packed.data, packed.length, &record, 1 << 30, &result, &err), -EBADMSG);
	CHECK(strstr(err.message, "open-checksum is"));
	record = truth;
	record.checksum_type = unknown;
	CHECK_INT(run(packed.data, packed.length, &record, 1 << 30, &result, &err), -EBADMSG);
	CHECK(strstr(err.message, "crc32"));
	CHECK_INT(run("", 0, &truth, 1 << 30, &result, &err), -EBADMSG);
	CHECK_INT(run("", 0, NULL, 1 << 30, &result, &err), 0);
	text_done(&plain);
	text_done(&packed);
}

/* 100 MB of zeros in each format: over long before that, whether or not repomd.xml tells the truth.
 */
static void test_bombs(void)
{
	static const char *const filters[] = { "gzip -c", "zstd -qc", "xz -0c", "bzip2 -c" };
	char sha[] = "sha256", href[] = "repodata/bomb", hex[] = "00";

	for (size_t i = 0; i < ARRAY_SIZE(filters); i++) {
		struct repomd_record record = { .href = href,
						.checksum_type = sha,
						.checksum = hex,
						.size = -1,
						.open_size = 5000000 };
		struct text packed = { 0 };
		struct result result;
		struct error err;
		char command[128];

		(void)snprintf(command, sizeof(command), "head -c 100000000 /dev/zero | %s",
			       filters[i]);
		if (!filter_bytes(command, "", 0, &packed) || packed.length < 100) {
			printf("skipped: \"%s\" cannot be run here\n", filters[i]);
			continue;
		}
		CHECK_INT(run(packed.data, packed.length, &record, 1 << 30, &result, &err),
			  -EBADMSG);
		CHECK(strstr(err.message, "more than the 5000000 bytes"));
		CHECK(result.total <= 5000000);
		record.open_size = 100000000;
		CHECK_INT(run(packed.data, packed.length, &record, 1 << 30, &result, &err),
			  -EBADMSG);
		CHECK(strstr(err.message, "times its size"));
		CHECK(result.total <= (64 << 20) + (1 << 20));
		CHECK_INT(run(packed.data, packed.length, NULL, 10 << 20, &result, &err), -EBADMSG);
		CHECK(strstr(err.message, "more than 10485760 bytes"));
		CHECK(result.total <= 10 << 20);
		text_done(&packed);
	}
}

int main(void)
{
	test_formats();
	test_record();
	test_bombs();
	TEST_END();
}
