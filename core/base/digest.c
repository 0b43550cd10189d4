/* SPDX-License-Identifier: MIT */
/* core/base/digest.c: digests by OpenSSL's libcrypto, and hexadecimal text. */
#include "core/base/base.h"

#include <openssl/evp.h>
#include <unistd.h>

struct digest {
	EVP_MD_CTX *context;
};

static const EVP_MD *digest_type(const char *type)
{
	if (!strcmp(type, "sha256"))
		return EVP_sha256();
	if (!strcmp(type, "sha") || !strcmp(type, "sha1"))
		return EVP_sha1();
	if (!strcmp(type, "sha512"))
		return EVP_sha512();
	if (!strcmp(type, "sha384"))
		return EVP_sha384();
	if (!strcmp(type, "sha224"))
		return EVP_sha224();
	if (!strcmp(type, "md5"))
		return EVP_md5();
	return NULL;
}

struct digest *digest_new(const char *type)
{
	const EVP_MD *md = digest_type(type);
	struct digest *digest = md ? calloc(1, sizeof(*digest)) : NULL;

	if (!digest)
		return NULL;
	digest->context = EVP_MD_CTX_new();
	if (!digest->context || !EVP_DigestInit_ex(digest->context, md, NULL)) {
		digest_free(digest);
		return NULL;
	}
	return digest;
}

void digest_add(struct digest *digest, const void *bytes, size_t length)
{
	(void)EVP_DigestUpdate(digest->context, bytes, length);
}

void digest_hex(struct digest *digest, char ret[static DIGEST_MAX_HEX_SIZE])
{
	unsigned char bytes[EVP_MAX_MD_SIZE];
	unsigned int length = 0;

	(void)EVP_DigestFinal_ex(digest->context, bytes, &length);
	hex_print(bytes, length, ret);
}

void digest_free(struct digest *digest)
{
	if (!digest)
		return;
	EVP_MD_CTX_free(digest->context);
	free(digest);
}

void sha256_hex(const void *bytes, size_t length, char ret[static DIGEST_HEX_SIZE])
{
	unsigned char digest[DIGEST_SIZE] = { 0 };

	(void)EVP_Digest(bytes, length, digest, NULL, EVP_sha256(), NULL);
	hex_print(digest, sizeof(digest), ret);
}

int sha256_file(int fd, char ret[static DIGEST_HEX_SIZE], uint64_t *ret_size)
{
	_cleanup_(digest_freep) struct digest *digest = digest_new("sha256");
	_cleanup_(freep) char *buffer = malloc(128 * 1024);
	char hex[DIGEST_MAX_HEX_SIZE];
	off_t offset = 0;

	if (!digest || !buffer)
		return -ENOMEM;
	for (;;) {
		ssize_t n = io_pread(fd, buffer, 128 * 1024, offset);

		if (n < 0)
			return (int)n;
		if (n == 0)
			break;
		digest_add(digest, buffer, (size_t)n);
		offset += n;
	}
	digest_hex(digest, hex);
	memcpy(ret, hex, DIGEST_HEX_SIZE);
	if (ret_size)
		*ret_size = (uint64_t)offset;
	return 0;
}

bool hex_is_digest(const char *text)
{
	return strspn(text, "0123456789abcdef") == DIGEST_HEX_SIZE - 1 &&
	       text[DIGEST_HEX_SIZE - 1] == '\0';
}

void hex_print(const uint8_t *bytes, size_t length, char *ret)
{
	static const char digit[] = "0123456789abcdef";

	for (size_t i = 0; i < length; i++) {
		ret[2 * i] = digit[bytes[i] >> 4];
		ret[2 * i + 1] = digit[bytes[i] & 15];
	}
	ret[2 * length] = '\0';
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

int hex_parse(const char *text, uint8_t *ret, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		int high = hex_digit(text[2 * i]);
		int low = high < 0 ? -1 : hex_digit(text[2 * i + 1]);

		if (low < 0)
			return -EINVAL;
		ret[i] = (uint8_t)(high << 4 | low);
	}
	return text[2 * length] ? -EINVAL : 0;
}
