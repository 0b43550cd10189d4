/* SPDX-License-Identifier: MIT */
/* core/daemon/fetch_keys.c: which keys packages are held against. */
#include "core/daemon/fetch_keys.h"

#include <fcntl.h>

#define KEYS_MAX_BYTES (1u << 20) /* of one file, as for workers */

/* As a worker makes it, over all files; one that cannot be read he cannot use either. */
static int make_digest(const struct strings *files, char ret[static DIGEST_HEX_SIZE])
{
	_cleanup_(digest_freep) struct digest *digest = digest_new("sha256");
	char hex[DIGEST_MAX_HEX_SIZE];

	if (!digest)
		return -ENOMEM;
	for (size_t i = 0; i < files->count; i++) {
		_cleanup_(freep) char *text = NULL;
		size_t length;

		if (file_read(AT_FDCWD, files->item[i], KEYS_MAX_BYTES, &text, &length) == 0)
			digest_add(digest, text, length);
	}
	digest_hex(digest, hex);
	memcpy(ret, hex, DIGEST_HEX_SIZE);
	return 0;
}

int fetch_keys_init(struct fetch_keys *keys, const struct config *config, struct tree_store *trees,
		    struct error *err)
{
	*keys = (struct fetch_keys){ .config = config, .trees = trees };
	if (!(config_gpgcheck(config) & GPGCHECK_PACKAGES))
		return 0;
	if (url_bare(config->koji_topurl, &keys->own) == -ENOMEM ||
	    make_digest(&config->repo_gpg_keys, keys->digest) < 0)
		return error_oom(err);
	return tree_store_signed(trees, keys->digest, keys->own ? keys->own : "", err);
}

bool fetch_keys_agree(struct fetch_keys *keys, const char *base, const char *used)
{
	struct error ignored = { 0 };
	char now[DIGEST_HEX_SIZE];

	if (!keys->digest[0] || (keys->own && !strcmp(base, keys->own)) ||
	    !strcmp(used, keys->digest))
		return true;
	if (make_digest(&keys->config->repo_gpg_keys, now) < 0 || strcmp(used, now) != 0 ||
	    tree_store_signed(keys->trees, now, keys->own ? keys->own : "", &ignored) < 0)
		return false;
	memcpy(keys->digest, now, sizeof(now));
	return true;
}

void fetch_keys_done(struct fetch_keys *keys)
{
	free(keys->own);
}
