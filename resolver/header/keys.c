/* SPDX-License-Identifier: MIT */
/* resolver/header/keys.c: public keys, and what they have signed.
 *
 * A signature is a packet that names a hash and a key; librpm's keyring finds the key and does the
 * arithmetic. What was hashed is decided here:
 *
 *   a file beside its .asc      all of its bytes
 *   an RPM                      its header (RSA, DSA); the header holds the digest of the payload
 *   an RPM of before 4.14       header and payload (PGP, GPG) */
#include "resolver/header/keys.h"

#include "resolver/header/parts.h"

#include <fcntl.h>
#include <rpm/rpmbase64.h>
#include <rpm/rpmcrypto.h>
#include <rpm/rpmkeyring.h>
#include <rpm/rpmpgp.h>

#define LEAD_BYTES 96
#define READ_BYTES (256 * 1024)
#define SIGNATURE_MAX_BYTES (64u * 1024)
#define TYPE_STRING_ARRAY 8
#define TYPE_BIN 7

static const char begin_key[] = "-----BEGIN PGP PUBLIC KEY BLOCK-----";
static const char end_key[] = "-----END PGP PUBLIC KEY BLOCK-----";

struct header_keys {
	rpmKeyring keyring;
	char digest[DIGEST_HEX_SIZE];
};

/* ---- keys -------------------------------------------------------------- */

/* The number of keys that were taken out of one certificate: the key itself and its subkeys */
static int add_certificate(struct header_keys *keys, const uint8_t *bytes, size_t length)
{
	rpmPubkey key = rpmPubkeyNew(bytes, length), *sub;
	int count = 0, added = 0;

	if (!key)
		return 0;
	added += rpmKeyringAddKey(keys->keyring, key) >= 0;
	sub = rpmGetSubkeys(key, &count);
	for (int i = 0; i < count; i++) {
		added += rpmKeyringAddKey(keys->keyring, sub[i]) >= 0;
		rpmPubkeyFree(sub[i]);
	}
	free(sub);
	rpmPubkeyFree(key);
	return added;
}

static int add_block(struct header_keys *keys, const char *block)
{
	_cleanup_(freep) uint8_t *bytes = NULL;
	size_t length = 0, at = 0, one = 0;
	int added = 0;

	if (pgpParsePkts(block, &bytes, &length) != PGPARMOR_PUBKEY)
		return 0;
	for (; at < length; at += one) {
		if (pgpPubKeyCertLen(bytes + at, length - at, &one) != 0 || !one)
			break;
		added += add_certificate(keys, bytes + at, one);
	}
	return added;
}

static int add_file(struct header_keys *keys, const char *path, struct digest *digest,
		    struct error *err)
{
	_cleanup_(freep) char *text = NULL;
	size_t length = 0;
	int added = 0, r = file_read(AT_FDCWD, path, KEYS_MAX_BYTES, &text, &length);

	if (r < 0)
		return error_errno(err, r, "repo.gpg_keys: %s", path);
	digest_add(digest, text, length);
	for (char *at = text; (at = strstr(at, begin_key));) {
		char *end = strstr(at, end_key);
		_cleanup_(freep) char *block = NULL;

		if (!end)
			break;
		end += strlen(end_key);
		if (asprintf(&block, "%.*s\n", (int)(end - at), at) < 0) {
			block = NULL;
			return error_oom(err);
		}
		added += add_block(keys, block);
		at = end;
	}
	return added ? 0
		     : error_set(err, -EINVAL, BLAME_US, NULL,
				 "repo.gpg_keys: %s holds no ASCII-armored public key that can be "
				 "used",
				 path);
}

int header_keys_read(const struct strings *files, struct header_keys **ret, struct error *err)
{
	_cleanup_(header_keys_freep) struct header_keys *keys = calloc(1, sizeof(*keys));
	_cleanup_(digest_freep) struct digest *digest = digest_new("sha256");
	char hex[DIGEST_MAX_HEX_SIZE];
	int r = 0;

	if (!keys || !digest || rpmInitCrypto() != 0 || !(keys->keyring = rpmKeyringNew()))
		return error_oom(err);
	for (size_t i = 0; i < files->count && r == 0; i++)
		r = add_file(keys, files->item[i], digest, err);
	if (r < 0)
		return r;
	digest_hex(digest, hex);
	memcpy(keys->digest, hex, sizeof(keys->digest));
	*ret = steal(keys);
	return 0;
}

void header_keys_free(struct header_keys *keys)
{
	if (!keys)
		return;
	rpmKeyringFree(keys->keyring);
	free(keys);
}

const char *header_keys_digest(const struct header_keys *keys)
{
	return keys->digest;
}

/* ---- one signature ----------------------------------------------------- */

/** struct signed_by - a signature, and the hash that it is of, under way */
struct signed_by {
	pgpDigParams signature;
	DIGEST_CTX hash;
};

static void signed_done(struct signed_by *by)
{
	pgpDigParamsFree(by->signature);
	if (by->hash)
		(void)rpmDigestFinal(by->hash, NULL, NULL, 0);
}

static int bad(struct error *err, const char *words)
{
	return error_set(err, -EBADMSG, BLAME_SOURCE, "signature", "%s", words);
}

static int signed_begin(const uint8_t *packet, size_t length, struct signed_by *ret,
			struct error *err)
{
	unsigned int algorithm;

	if (length > SIGNATURE_MAX_BYTES ||
	    pgpPrtParams(packet, length, PGPTAG_SIGNATURE, &ret->signature) != 0)
		return bad(err, "the signature cannot be read");
	algorithm = pgpDigParamsAlgo(ret->signature, PGPVAL_HASHALGO);
	if (algorithm == PGPHASHALGO_MD5 || algorithm == PGPHASHALGO_SHA1)
		return bad(err, "signed by MD5 or SHA-1, which is not believed");
	ret->hash = rpmDigestInit((int)algorithm, RPMDIGEST_NONE);
	return ret->hash ? 0 : bad(err, "signed by a digest that is not known");
}

static int signed_end(const struct header_keys *keys, struct signed_by *by, struct error *err)
{
	const uint8_t *id = pgpDigParamsSignID(by->signature);
	char hex[17];

	hex_print(id, 8, hex);
	switch (rpmKeyringVerifySig(keys->keyring, by->signature, by->hash)) {
	case RPMRC_OK:
		return 0;
	case RPMRC_NOKEY:
		return error_set(err, -EBADMSG, BLAME_SOURCE, "signature",
				 "signed by key %s, which repo.gpg_keys does not have", hex);
	default:
		return error_set(err, -EBADMSG, BLAME_SOURCE, "signature",
				 "the signature of key %s is not of these bytes", hex);
	}
}

/* The packets within armor, malloc'ed; NULL: there is none. librpm takes the armor of keys off
 * only. The checksum at its end is not looked at: the signature is one of itself. */
static uint8_t *unarmored(const char *text, size_t length, size_t *ret_length)
{
	static const char begin[] = "-----BEGIN PGP SIGNATURE-----";
	_cleanup_(freep) char *armor = strndup(text, length);
	char *at = armor ? strstr(armor, begin) : NULL, *end;
	void *bytes = NULL;

	at = at ? strchr(at, '\n') : NULL;
	end = at ? strstr(at, "-----END") : NULL;
	if (!end)
		return NULL;
	*end = '\0';
	/* its headers end with an empty line */
	while (at && at[1 + strspn(at + 1, " \t\r")] != '\n')
		at = strchr(at + 1, '\n');
	if (!at)
		return NULL;
	end = strstr(at, "\n="); /* the checksum: "=" and four characters in a line of their own */
	if (end && strcspn(end + 1, "\r\n") == 5)
		*end = '\0';
	if (rpmBase64Decode(at, &bytes, ret_length) != 0)
		return NULL;
	return bytes;
}

int header_keys_verify(const struct header_keys *keys, const void *bytes, size_t length,
		       const void *signature, size_t signature_length, struct error *err)
{
	_cleanup_(signed_done) struct signed_by by = { 0 };
	_cleanup_(freep) uint8_t *packet = NULL;
	const uint8_t *first = signature;
	int r;

	if (!signature_length || signature_length > SIGNATURE_MAX_BYTES)
		return bad(err, "the signature cannot be read");
	if (!(*first & 0x80)) { /* no packet begins so */
		first = packet = unarmored(signature, signature_length, &signature_length);
	}
	if (!first || !signature_length)
		return bad(err, "the signature cannot be read");
	r = signed_begin(first, signature_length, &by, err);
	if (r < 0)
		return r;
	if (rpmDigestUpdate(by.hash, bytes, length) != 0)
		return error_oom(err);
	return signed_end(keys, &by, err);
}

/* ---- an RPM ------------------------------------------------------------ */

static int find(const struct blob *blob, uint32_t tag, uint32_t type, struct blob_entry *ret)
{
	for (uint32_t i = 0; i < blob->count; i++) {
		*ret = blob_entry(blob, i);
		if (ret->tag == tag && ret->type == type && ret->count)
			return 1;
	}
	return 0;
}

/* Bytes @from … @to of the file into whichever of the two hashes is there; UINT64_MAX: to its end
 */
static int hash_range(int fd, uint64_t from, uint64_t to, DIGEST_CTX by, struct digest *digest,
		      struct error *err)
{
	_cleanup_(freep) char *buffer = malloc(READ_BYTES);

	if (!buffer)
		return error_oom(err);
	while (from < to) {
		size_t length = to - from < READ_BYTES ? (size_t)(to - from) : READ_BYTES;
		ssize_t n = io_pread(fd, buffer, length, (off_t)from);

		if (n < 0)
			return error_errno(err, (int)n, "cannot read the package");
		if (n == 0)
			break;
		if (by && rpmDigestUpdate(by, buffer, (size_t)n) != 0)
			return error_oom(err);
		if (digest)
			digest_add(digest, buffer, (size_t)n);
		from += (uint64_t)n;
	}
	return 0;
}

static int check_signed(const struct header_keys *keys, int fd, const struct blob *signatures,
			const uint32_t *tags, uint64_t from, uint64_t to, struct error *err)
{
	_cleanup_(signed_done) struct signed_by by = { 0 };
	struct blob_entry entry;
	int r;

	if (!find(signatures, tags[0], TYPE_BIN, &entry) &&
	    !find(signatures, tags[1], TYPE_BIN, &entry))
		return bad(err, "the package is not signed");
	r = signed_begin(signatures->data + entry.offset, entry.count, &by, err);
	if (r == 0)
		r = hash_range(fd, from, to, by.hash, NULL, err);
	return r < 0 ? r : signed_end(keys, &by, err);
}

static int check_payload(int fd, const struct blob *header, const struct blob_entry *entry,
			 uint64_t from, struct error *err)
{
	static const char *const known[] = { [PGPHASHALGO_SHA256] = "sha256",
					     [PGPHASHALGO_SHA384] = "sha384",
					     [PGPHASHALGO_SHA512] = "sha512",
					     [PGPHASHALGO_SHA224] = "sha224" };
	_cleanup_(digest_freep) struct digest *digest = NULL;
	uint64_t algorithm = PGPHASHALGO_SHA256;
	char hex[DIGEST_MAX_HEX_SIZE];
	int r;

	(void)blob_number(header, RPMTAG_PAYLOADDIGESTALGO, &algorithm);
	if (algorithm < ARRAY_SIZE(known) && known[algorithm])
		digest = digest_new(known[algorithm]);
	if (!digest)
		return bad(err, "the payload has a digest that is not known");
	r = hash_range(fd, from, UINT64_MAX, NULL, digest, err);
	if (r < 0)
		return r;
	digest_hex(digest, hex);
	return strcmp(hex, (const char *)header->data + entry->offset) != 0
		       ? bad(err, "the payload is not the one that was signed")
		       : 0;
}

int header_keys_package(const struct header_keys *keys, int fd, struct error *err)
{
	static const uint32_t of_header[] = { RPMSIGTAG_RSA, RPMSIGTAG_DSA };
	static const uint32_t of_all[] = { RPMSIGTAG_PGP, RPMSIGTAG_GPG };
	const struct header_file file = { .path = "package", .size = HEADER_SIZE_UNKNOWN };
	_cleanup_(freep) unsigned char *bytes = NULL, *front = NULL;
	struct header_reader reader;
	_cleanup_(input_done) struct input input = { .reader = &reader, .file = &file };
	struct blob_entry payload;
	struct blob signatures;
	size_t length;
	int r = header_reader_fd(fd, &reader, err);

	if (r == 0)
		r = input_front(&input, err);
	if (r < 0)
		return r;
	/* what input_front() has checked, kept beyond input_header() */
	front = malloc((size_t)input.start);
	if (!front)
		return error_oom(err);
	memcpy(front, input.front.data, (size_t)input.start);
	if (!blob_intro(front + LEAD_BYTES, HEADER_MAX_SIGNATURE_TAGS, HEADER_MAX_SIGNATURE,
			&signatures))
		return bad(err, "the package is not signed");
	signatures.index = front + LEAD_BYTES + INTRO_BYTES;
	signatures.data = signatures.index + (size_t)signatures.count * ENTRY_BYTES;
	r = input_header(&input, &bytes, &length, err);
	if (r < 0)
		return r;
	if (!find(&input.blob, RPMTAG_PAYLOADDIGEST, TYPE_STRING_ARRAY, &payload))
		return check_signed(keys, fd, &signatures, of_all, input.start, UINT64_MAX, err);
	r = check_signed(keys, fd, &signatures, of_header, input.start, input.end, err);
	return r < 0 ? r : check_payload(fd, &input.blob, &payload, input.end, err);
}
