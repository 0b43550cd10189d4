/* SPDX-License-Identifier: MIT */
/* tests/fuzz/url.c: a word that a request may hold in place of a URL, and what a redirect may lead
 * to.
 *
 * What is accepted has one spelling, which is its own; nothing in it hides where it leads. */
#include "core/model/model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(condition)                                                                            \
	do {                                                                                       \
		if (!(condition))                                                                  \
			abort();                                                                   \
	} while (0)

static void one(const char *url, bool query)
{
	_cleanup_(freep) char *normal = NULL, *again = NULL;
	struct error err = { 0 };
	const char *host;

	if (url_normal(url, query, &normal, &err) < 0) {
		MUST(!normal && err.message[0] && err.blame == BLAME_REQUEST);
		return;
	}
	MUST(url_normal(normal, query, &again, &err) == 0 && !strcmp(normal, again));
	MUST(url_below(normal, normal));
	host = strstr(normal, "://") + 3;
	MUST(*host && *host != '/' && *host != ':');
	MUST(!memchr(host, '@', strcspn(host, "/?")) && !strchr(normal, '#'));
	MUST(!strchr(normal, '\\') && (query || !strchr(normal, '?')));
	host += strcspn(host, "/?");
	MUST(strncmp(host, "/../", 4) != 0 && strncmp(host, "/./", 3) != 0);
	for (const char *c = normal; *c; c++)
		MUST(*c > 0x20 && *c < 0x7f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(freep) char *word = strndup((const char *)data, size), *normal = NULL;
	const char *url = NULL;

	MUST(word);
	one(word, false);
	one(word, true);
	if (url_kind(word, &url) == URL_NONE)
		return 0;
	MUST(url >= word && url <= word + strlen(word));
	if (url_word_normal(word, &normal, NULL) == 0)
		MUST(url_kind(normal, NULL) == url_kind(word, NULL));
	return 0;
}
