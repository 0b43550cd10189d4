/* SPDX-License-Identifier: MIT */
/* tests/fuzz/mirrors.c: bytes that a server may offer as its list of mirrors; the first one says
 * which kind.
 *
 * What is accepted can be asked for: URLs in their one spelling, checksums of full length. */
#include "resolver/fetch/mirrors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(condition)                                                                            \
	do {                                                                                       \
		if (!(condition))                                                                  \
			abort();                                                                   \
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mirrors_list list = { 0 };
	struct error err = { 0 };
	bool metalink = size && data[0] == '<';
	int r = mirrors_parse((const char *)data, size, metalink ? URL_METALINK : URL_MIRRORLIST,
			      "https://host/list", &list, &err);

	if (r < 0) {
		MUST(!list.url.count && !list.sums && err.message[0]);
		return 0;
	}
	MUST(list.url.count && list.url.count <= MIRRORS_MAX && metalink == !!list.sums);
	for (size_t i = 0; i < list.url.count; i++) {
		_cleanup_(freep) char *normal = NULL;

		MUST(url_normal(list.url.item[i], false, &normal, &err) == 0);
		MUST(!strcmp(normal, list.url.item[i]));
		MUST(metalink || !strncmp(normal, "https:", 6));
	}
	for (size_t i = 0; i < list.sums; i++)
		MUST(strlen(list.sum[i].hex) >= 64 &&
		     strspn(list.sum[i].hex, "0123456789abcdef") == strlen(list.sum[i].hex));
	mirrors_list_done(&list);
	return 0;
}
