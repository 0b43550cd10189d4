/* SPDX-License-Identifier: MIT */
/* resolver/fetch/lists.c: the bytes of a mirrorlist or metalink → URLs and checksums.
 *
 * librepo reads them, as it does for dnf(8). It is given what cannot be more than a list: bounded,
 * text, without a document type, so that no entity grows. What it found is judged here. */
#include "resolver/fetch/mirrors.h"

#include "resolver/fetch/transport.h"

#include <librepo/metalink.h>
#include <librepo/mirrorlist.h>
#include <strings.h>
#include <sys/mman.h>
#include <unistd.h>

#define REPOMD_PATH "repodata/repomd.xml"
#define SUMS_MAX 16

void mirrors_list_done(struct mirrors_list *list)
{
	strings_done(&list->url);
	free(list->sum);
	*list = (struct mirrors_list){ 0 };
}

static int refuse(const char *from, const char *words, struct error *err)
{
	char shown[URL_SHOWN_SIZE];

	return error_set(err, -EBADMSG, BLAME_SOURCE, NULL, "%s: %s", url_shown(from, shown),
			 words);
}

/* ---- one mirror -------------------------------------------------------- */

static void cut_end(char *url, const char *end)
{
	size_t length = strlen(url), more = strlen(end);

	if (length >= more && !strcmp(url + length - more, end))
		url[length - more] = '\0';
}

/* 0 also when it is none that counts */
static int add_mirror(struct mirrors_list *list, const char *url, bool safe_only, struct error *err)
{
	_cleanup_(freep) char *copy = strdup(url), *normal = NULL;
	struct error ignored = { 0 };
	int r;

	if (!copy)
		return error_oom(err);
	cut_end(copy, REPOMD_PATH);
	r = url_normal(copy, false, &normal, &ignored);
	if (r == -ENOMEM)
		return error_oom(err);
	if (r < 0 || (safe_only && strncmp(normal, "https:", 6) != 0) ||
	    list->url.count >= MIRRORS_MAX || strings_has(&list->url, normal))
		return 0;
	return strings_add(&list->url, normal) < 0 ? error_oom(err) : 0;
}

/* ---- checksums --------------------------------------------------------- */

static int add_sum(struct mirrors_list *list, const GSList *hashes, int64_t size, struct error *err)
{
	static const char *const strong[] = { "sha512", "sha384", "sha256" };
	struct mirrors_sum *more;

	for (size_t i = 0; i < ARRAY_SIZE(strong); i++) {
		for (const GSList *at = hashes; at; at = at->next) {
			const LrMetalinkHash *hash = at->data;
			size_t length;

			if (!hash->type || !hash->value || strcasecmp(hash->type, strong[i]) != 0)
				continue;
			length = strspn(hash->value, "0123456789abcdefABCDEF");
			if (hash->value[length] || length != strtoul(strong[i] + 3, NULL, 10) / 4)
				continue;
			more = realloc(list->sum, (list->sums + 1) * sizeof(*more));
			if (!more)
				return error_oom(err);
			list->sum = more;
			more += list->sums++;
			*more = (struct mirrors_sum){ .size = size > 0 ? size : -1 };
			(void)snprintf(more->type, sizeof(more->type), "%s", strong[i]);
			for (size_t k = 0; k <= length; k++)
				more->hex[k] = hash->value[k] >= 'A' && hash->value[k] <= 'F'
						       ? (char)(hash->value[k] | 0x20)
						       : hash->value[k];
			return 1;
		}
	}
	return 0;
}

/* ---- the two kinds ------------------------------------------------------ */

static gint by_preference(gconstpointer a, gconstpointer b)
{
	const LrMetalinkUrl *ua = a, *ub = b;

	return ua->preference > ub->preference ? -1 : ua->preference < ub->preference;
}

static int take_metalink(const LrMetalink *metalink, const char *from, struct mirrors_list *list,
			 struct error *err)
{
	GSList *sorted = g_slist_sort(g_slist_copy(metalink->urls), by_preference); /* stable */
	int r = 0;

	for (const GSList *at = sorted; at && r == 0; at = at->next)
		r = add_mirror(list, ((const LrMetalinkUrl *)at->data)->url, false, err);
	g_slist_free(sorted);
	if (r < 0)
		return r;
	r = add_sum(list, metalink->hashes, metalink->size, err);
	if (r == 0)
		return refuse(from, "the metalink has no SHA-256 of repomd.xml", err);
	for (const GSList *at = metalink->alternates; at && r >= 0 && list->sums < SUMS_MAX;
	     at = at->next) {
		const LrMetalinkAlternate *alternate = at->data;

		r = add_sum(list, alternate->hashes, alternate->size, err);
	}
	return r < 0 ? r : 0;
}

static int no_warning(LrXmlParserWarningType type, char *words, void *data, GError **failure)
{
	(void)type;
	(void)words;
	(void)data;
	(void)failure;
	return LR_CB_RET_OK;
}

static int read_metalink(int fd, const char *from, struct mirrors_list *list, struct error *err)
{
	LrMetalink *metalink = lr_metalink_init();
	GError *failure = NULL;
	int r;

	if (lr_metalink_parse_file(metalink, fd, "repomd.xml", no_warning, NULL, &failure))
		r = take_metalink(metalink, from, list, err);
	else
		r = refuse(from, "is no metalink for repomd.xml", err);
	g_clear_error(&failure);
	lr_metalink_free(metalink);
	return r;
}

static int read_mirrorlist(int fd, const char *from, struct mirrors_list *list, struct error *err)
{
	LrMirrorlist *mirrorlist = lr_mirrorlist_init();
	GError *failure = NULL;
	int r = 0;

	if (!lr_mirrorlist_parse_file(mirrorlist, fd, &failure))
		r = refuse(from, "is no mirrorlist", err);
	for (const GSList *at = mirrorlist->urls; at && r == 0; at = at->next)
		r = add_mirror(list, at->data, !strncmp(from, "https:", 6), err);
	g_clear_error(&failure);
	lr_mirrorlist_free(mirrorlist);
	return r;
}

/* Text in an encoding of which this file can see what it says: librepo would follow another one */
static bool is_plain(const char *text, size_t length, enum url_kind kind)
{
	const char *encoding = strcasestr(text, "encoding");

	if (strlen(text) != length || strcasestr(text, "<!DOCTYPE") || strcasestr(text, "<!ENTITY"))
		return false;
	if (kind != URL_METALINK)
		return true;
	if (!strncmp(text, "\xef\xbb\xbf", 3))
		text += 3;
	return text[strspn(text, " \t\r\n")] == '<' &&
	       (!encoding || !strncasecmp(encoding + 8, "=\"utf-8\"", 8) ||
		!strncasecmp(encoding + 8, "='utf-8'", 8));
}

int mirrors_parse(const char *bytes, size_t length, enum url_kind kind, const char *from,
		  struct mirrors_list *ret, struct error *err)
{
	_cleanup_(mirrors_list_done) struct mirrors_list list = { 0 };
	_cleanup_(freep) char *text = NULL;
	_cleanup_(closep) int fd = -1;
	int r;

	if (!length || length > MIRRORS_LIST_BYTES)
		return refuse(from, length ? "the list is too long" : "the list is empty", err);
	text = strndup(bytes, length);
	if (!text)
		return error_oom(err);
	if (!is_plain(text, length, kind))
		return refuse(from, "the list holds what no list needs", err);
	fd = memfd_create("list", MFD_CLOEXEC);
	if (fd < 0)
		return error_errno(err, -errno, "memory for a list");
	r = io_write(fd, bytes, length);
	if (r == 0 && lseek(fd, 0, SEEK_SET) < 0)
		r = -errno;
	if (r < 0)
		return error_errno(err, r, "memory for a list");
	r = kind == URL_METALINK ? read_metalink(fd, from, &list, err)
				 : read_mirrorlist(fd, from, &list, err);
	if (r == 0 && !list.url.count)
		r = refuse(from, "the list names no mirror that can be used", err);
	if (r < 0)
		return r;
	*ret = list;
	list = (struct mirrors_list){ 0 };
	return 0;
}
