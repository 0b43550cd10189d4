/* SPDX-License-Identifier: MIT */
/* resolver/sources/signing.c: which copy of an RPM is taken: the first key of the list whose signed
 * copy is there, the unsigned file last.
 *
 * Only files count: the hub knows signatures whose copies were never written, or are gone again.
 * One look into data/signed/ of a build says which keys are worth a look at all, so that many keys
 * cost little; builds are looked at by several threads, since topdir is mostly far away. */
#include "resolver/sources/tagged.h"

#include <ctype.h>
#include <strings.h>

/* ---- keys -------------------------------------------------------------- */

static int add_key(struct signing *signing, const char *word, struct error *err)
{
	_cleanup_(freep) char *key = strdup(word);

	if (!key)
		return error_oom(err);
	if (!*key) {
		signing->with_unsigned = true;
		return 0;
	}
	if (key[strspn(key, "0123456789abcdefABCDEF")])
		return error_set(err, -EINVAL, BLAME_REQUEST, "sigkeys",
				 "\"%.64s\" is no signing key: those are hexadecimal digits", word);
	for (char *c = key; *c; c++)
		*c = (char)tolower((unsigned char)*c);
	if (strings_has(&signing->keys, key))
		return 0;
	if (signing->keys.count >= SIGNING_MAX_KEYS)
		return error_set(err, -E2BIG, BLAME_REQUEST, "sigkeys", "more than %d signing keys",
				 SIGNING_MAX_KEYS);
	return strings_add(&signing->keys, key) < 0 ? error_oom(err) : 0;
}

int signing_keys(const struct strings *asked, const struct strings *fallback, struct signing *ret,
		 struct error *err)
{
	const struct strings *words = asked->count ? asked : fallback;
	struct signing signing = { .with_unsigned = !words->count };
	int r = 0;

	for (size_t i = 0; i < words->count && r == 0; i++)
		r = add_key(&signing, words->item[i], err);
	if (r < 0) {
		strings_done(&signing.keys);
		return r;
	}
	*ret = signing;
	return 0;
}

/* ---- one RPM ----------------------------------------------------------- */

struct choosing {
	struct load *load;
	struct tagged *tagged;
	size_t *first; /* of each build's candidates, and the end */
	size_t builds;
};

static int set_path(struct candidate *candidate, const char *key, struct error *err)
{
	_cleanup_(text_done) struct text path = { 0 };
	int r = koji_rpm_path(candidate->listing, candidate->rpm, key, &path, err);

	if (r < 0)
		return r;
	free(candidate->path);
	candidate->path = text_steal(&path);
	return candidate->path ? 0 : error_oom(err);
}

/* 1: the copy signed with @key (NULL: the unsigned one) is there, if damaged; its path stays in
 * @candidate */
static int try_copy(const struct tagged *tagged, struct candidate *candidate, const char *key,
		    struct error *err)
{
	struct error failure = { 0 };
	int r = set_path(candidate, key, err);

	if (r < 0)
		return r;
	r = transport_stat(tagged->files, tagged->base, candidate->path, &candidate->file,
			   &failure);
	if (r == -ENOENT || r == -ENOTDIR)
		return 0;
	if (r < 0)
		r = candidate_damage(tagged, candidate, &failure, err);
	return r < 0 ? r : 1;
}

/* The hub tells the size of the file that was imported; a signed copy may have another one. */
static int check_size(const struct tagged *tagged, const struct candidate *candidate,
		      struct error *err)
{
	if (candidate->rpm->size <= 0 || candidate->file.size == (uint64_t)candidate->rpm->size)
		return 0;
	return error_set(err, -EBADMSG, BLAME_SOURCE, NULL,
			 "%s/%s has %" PRIu64 " bytes, the hub says %" PRId64, tagged->base,
			 candidate->path, candidate->file.size, candidate->rpm->size);
}

static int check_copy(const struct tagged *tagged, struct candidate *candidate, struct error *err)
{
	struct error failure = { 0 };

	if (candidate->damage || check_size(tagged, candidate, &failure) == 0)
		return 0;
	return candidate_damage(tagged, candidate, &failure, err);
}

static int choose_copy(const struct tagged *tagged, struct candidate *candidate,
		       const struct strings *signed_with, struct error *err)
{
	const struct signing *signing = &tagged->signing;
	int r;

	for (size_t i = 0; i < signing->keys.count; i++) {
		if (!strings_has_sorted(signed_with, signing->keys.item[i]))
			continue;
		r = try_copy(tagged, candidate, signing->keys.item[i], err);
		if (r > 0) {
			candidate->sigkey = signing->keys.item[i];
			candidate->copy = COPY_PERMITTED;
		}
		if (r != 0)
			return r;
	}
	r = try_copy(tagged, candidate, NULL, err);
	if (r <= 0)
		return r;
	candidate->copy = signing->with_unsigned ? COPY_PERMITTED : COPY_REFUSED;
	return check_copy(tagged, candidate, err);
}

/* Names of data/signed/ of the candidate's build */
static int list_keys(const struct tagged *tagged, const struct candidate *candidate,
		     struct strings *ret, struct error *err)
{
	_cleanup_(text_done) struct text path = { 0 };
	int r = koji_rpm_path(candidate->listing, candidate->rpm, NULL, &path, err);

	if (r < 0)
		return r;
	for (int i = 0; i < 2; i++) /* without arch and file name */
		*strrchr(path.data, '/') = '\0';
	path.length = strlen(path.data);
	if (text_adds(&path, "/data/signed") < 0)
		return error_oom(err);
	return transport_names(tagged->files, tagged->base, path.data, ret, err);
}

/* Where they cannot be listed nobody knows whether there is a copy with an earlier key. */
static int damage_build(const struct tagged *tagged, struct candidate *candidate, size_t count,
			const struct error *failure, struct error *err)
{
	int r = 0;

	for (size_t i = 0; i < count && r == 0; i++) {
		r = set_path(&candidate[i], NULL, err);
		if (r == 0)
			r = candidate_damage(tagged, &candidate[i], failure, err);
		candidate[i].copy = COPY_PERMITTED;
	}
	return r;
}

static void add_nevra(const struct candidate *candidate, struct text *text)
{
	const struct koji_listing *listing = candidate->listing;
	const struct koji_rpm *rpm = candidate->rpm;

	(void)text_addf(text, "%s\n%" PRId32 "\n%s\n%s\n%s\n%s\n", koji_text(listing, rpm->name),
			rpm->epoch == KOJI_NO_EPOCH ? 0 : rpm->epoch,
			koji_text(listing, rpm->version), koji_text(listing, rpm->release),
			koji_text(listing, rpm->arch), koji_text(listing, rpm->payloadhash));
}

/* What stands for the file from now on, and for what the hub says of it, which was compared then.
 * Size and payload are the same for all copies of an RPM; path, inode and times tell them apart,
 * also from what is put in their place with a time of old. A link more or other rights cost one
 * more look at the header.
 * @top, @mark: of a server and what it says of the file in place of a time; else NULL */
static int set_key(struct candidate *candidate, const char *top, int64_t size, const char *mark)
{
	_cleanup_(text_done) struct text text = { 0 };

	if (top)
		(void)text_addf(&text, "%s/%s\n%" PRId64 " %s\n", top, candidate->path, size, mark);
	else
		(void)text_addf(&text, "%s\n%" PRIu64 " %" PRIu64 " %" PRId64 " %" PRId64 "\n",
				candidate->path, candidate->file.size, candidate->file.ino,
				candidate->file.mtime_ns, candidate->file.ctime_ns);
	add_nevra(candidate, &text);
	if (text.failed)
		return -ENOMEM;
	sha256_hex(text.data, text.length, candidate->key);
	return 0;
}

/* ---- one build --------------------------------------------------------- */

static int choose_build(void *data, unsigned int thread, size_t index, struct error *err)
{
	const struct choosing *choosing = data;
	const struct tagged *tagged = choosing->tagged;
	struct candidate *candidate = &tagged->item[choosing->first[index]];
	size_t count = choosing->first[index + 1] - choosing->first[index];
	_cleanup_(strings_done) struct strings names = { 0 };
	struct error failure = { 0 };
	bool listed = true;
	int r = 0;

	(void)thread;
	if (tagged->signing.keys.count)
		listed = list_keys(tagged, candidate, &names, &failure) == 0;
	if (!listed)
		r = damage_build(tagged, candidate, count, &failure, err);
	for (size_t i = 0; i < count && r >= 0; i++) {
		if (listed)
			r = choose_copy(tagged, &candidate[i], &names, err);
		if (r >= 0 && set_key(&candidate[i], NULL, 0, NULL) < 0)
			r = error_oom(err);
	}
	return r < 0 ? r : 0;
}

static void tell_progress(void *data, size_t done)
{
	const struct choosing *choosing = data;

	load_progress(choosing->load, "files", "files of %zu of %zu builds", done,
		      choosing->builds);
}

/* ---- all --------------------------------------------------------------- */

static int compare_builds(const void *a, const void *b)
{
	const struct candidate *ca = a, *cb = b;

	if (ca->listing != cb->listing)
		return (uintptr_t)ca->listing < (uintptr_t)cb->listing ? -1 : 1;
	if (ca->rpm->build != cb->rpm->build)
		return ca->rpm->build < cb->rpm->build ? -1 : 1;
	return ca->rpm->id < cb->rpm->id ? -1 : ca->rpm->id > cb->rpm->id;
}

static int compare_paths(const void *a, const void *b)
{
	const struct candidate *ca = a, *cb = b;

	if ((ca->copy == COPY_ABSENT) != (cb->copy == COPY_ABSENT))
		return ca->copy == COPY_ABSENT ? 1 : -1;
	return strcmp(ca->path, cb->path);
}

static int group_builds(struct choosing *choosing)
{
	struct tagged *tagged = choosing->tagged;
	size_t count = tagged->count;

	choosing->first = calloc(count + 1, sizeof(*choosing->first));
	if (!choosing->first)
		return -ENOMEM;
	if (count)
		qsort(tagged->item, count, sizeof(*tagged->item), compare_builds);
	for (size_t i = 0; i < count; i++)
		if (!i || tagged->item[i].listing != tagged->item[i - 1].listing ||
		    tagged->item[i].rpm->build != tagged->item[i - 1].rpm->build)
			choosing->first[choosing->builds++] = i;
	choosing->first[choosing->builds] = count;
	return 0;
}

/* ---- on a server ------------------------------------------------------- */

/* Does the hub know a signature with that key? What was not listed with signatures may have any. */
static bool may_be_signed(const struct candidate *candidate, const char *key)
{
	const struct koji_listing *listing = candidate->listing;
	const struct koji_rpm *rpm = candidate->rpm;

	for (uint32_t i = 0; i < rpm->key_count; i++)
		if (!strcasecmp(koji_text(listing, listing->key[rpm->key + i]), key))
			return true;
	return !listing->signatures;
}

/* 1: the next copy that may be there stands in @candidate, 0: there is none left */
static int next_copy(const struct tagged *tagged, struct candidate *candidate, struct error *err)
{
	const struct strings *keys = &tagged->signing.keys;
	_cleanup_(text_done) struct text path = { 0 };
	int r;

	while (candidate->tried < keys->count &&
	       !may_be_signed(candidate, keys->item[candidate->tried]))
		candidate->tried++;
	if (candidate->tried > keys->count)
		return 0;
	candidate->sigkey = candidate->tried < keys->count ? keys->item[candidate->tried] : NULL;
	candidate->tried++;
	r = koji_rpm_path(candidate->listing, candidate->rpm, candidate->sigkey, &path, err);
	if (r < 0)
		return r;
	free(candidate->path);
	candidate->path = text_steal(&path);
	candidate->copy =
		candidate->sigkey || tagged->signing.with_unsigned ? COPY_PERMITTED : COPY_REFUSED;
	return candidate->path ? 1 : error_oom(err);
}

/* struct looking - are the files of these candidates there? */
struct looking {
	struct load *load;
	struct tagged *tagged;
	uint32_t *list;
	size_t count;
};

static int look_one(void *data, unsigned int thread, size_t index, struct error *err)
{
	const struct looking *looking = data;
	const struct tagged *tagged = looking->tagged;
	struct candidate *candidate = &tagged->item[looking->list[index]];
	char mark[TRANSPORT_MARK_SIZE];
	int64_t size = -1;
	int r = remote_look(tagged->remote, candidate->path, &size, mark, err);

	(void)thread;
	if (r == -ENOENT) {
		candidate->copy = COPY_ABSENT;
		return 0;
	}
	if (r == 0 && set_key(candidate, tagged->base, size, mark) < 0)
		r = error_oom(err);
	return r;
}

static void tell_looking(void *data, size_t done)
{
	const struct looking *looking = data;

	load_progress(looking->load, "files", "%zu of %zu files looked for", done, looking->count);
}

/* Those that are there stay in the list. */
static int look(struct looking *looking, struct error *err)
{
	const struct together work = {
		.count = looking->count, .one = look_one, .progress = tell_looking, .data = looking
	};
	size_t count = 0;
	int r = together(&work, err);

	for (size_t i = 0; i < looking->count && r == 0; i++)
		if (looking->tagged->item[looking->list[i]].copy != COPY_ABSENT)
			looking->list[count++] = looking->list[i];
	looking->count = count;
	return r;
}

static int on_absent(void *data, uint32_t number, const struct error *failure, struct error *err)
{
	struct tagged *tagged = data;

	if (failure->code != -ENOENT)
		return candidate_damage(tagged, &tagged->item[number], failure, err);
	tagged->item[number].copy = COPY_ABSENT;
	return 0;
}

/* All that may be there by preference are looked for together, then the next ones of those that are
 * not, and so on; one that goes between the look and its header is one more that is not. */
static int choose_remote(struct load *load, struct tagged *tagged, struct error *err)
{
	_cleanup_(freep) uint32_t *list = calloc(tagged->count + 1, sizeof(*list));
	int r = list ? 0 : error_oom(err);

	while (r == 0) {
		struct looking looking = { .load = load, .tagged = tagged, .list = list };

		for (size_t i = 0; i < tagged->count && r >= 0; i++) {
			if (tagged->item[i].copy != COPY_ABSENT)
				continue;
			r = next_copy(tagged, &tagged->item[i], err);
			if (r > 0)
				list[looking.count++] = (uint32_t)i;
		}
		if (r < 0 || !looking.count)
			return r < 0 ? r : 0;
		r = look(&looking, err);
		if (r == 0)
			r = tagged_read(load, tagged, list, looking.count, on_absent, tagged, err);
	}
	return r;
}

/* ---- where they lie ---------------------------------------------------- */

static int choose_local(struct load *load, struct tagged *tagged, struct error *err)
{
	struct choosing choosing = { .load = load, .tagged = tagged };
	struct together work = { .one = choose_build,
				 .progress = tell_progress,
				 .data = &choosing };
	int r = group_builds(&choosing);

	work.count = choosing.builds;
	r = r < 0 ? error_oom(err) : together(&work, err);
	free(choosing.first);
	return r;
}

int signing_choose(struct load *load, struct tagged *tagged, struct error *err)
{
	int r = tagged->remote ? choose_remote(load, tagged, err) : choose_local(load, tagged, err);

	if (r < 0)
		return r;
	if (tagged->count)
		qsort(tagged->item, tagged->count, sizeof(*tagged->item), compare_paths);
	while (tagged->visible < tagged->count && tagged->item[tagged->visible].copy != COPY_ABSENT)
		tagged->visible++;
	return 0;
}
