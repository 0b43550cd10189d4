/* SPDX-License-Identifier: MIT */
/* core/model/words.c: the words for numbers (ODCS's value sets), and the nearest known word. */
#include "core/model/private.h"

static const char *const source_type_names[] = {
	[SOURCE_TAG] = "tag",
	[SOURCE_MODULE] = "module",
	[SOURCE_REPO] = "repo",
	[SOURCE_PULP] = "pulp",
	[SOURCE_RAW_CONFIG] = "raw_config",
	[SOURCE_BUILD] = "build",
	[SOURCE_PUNGI_COMPOSE] = "pungi_compose",
};

static const char *const state_names[] = {
	[STATE_WAIT] = "wait",	     [STATE_GENERATING] = "generating", [STATE_DONE] = "done",
	[STATE_REMOVED] = "removed", [STATE_FAILED] = "failed",
};

const struct named_bit flag_words[] = {
	{ "no_flags", 0 },
	{ "no_deps", FLAG_NO_DEPS },
	{ "no_inheritance", FLAG_NO_INHERITANCE },
	{ "include_unpublished_pulp_repos", FLAG_INCLUDE_UNPUBLISHED_PULP_REPOS },
	{ "check_deps", FLAG_CHECK_DEPS },
	{ "include_done_modules", FLAG_INCLUDE_DONE_MODULES },
	{ "ignore_absent_pulp_repos", FLAG_IGNORE_ABSENT_PULP_REPOS },
	{ "no_reuse", FLAG_NO_REUSE },
	{ "use_only_compatible_arch", FLAG_USE_ONLY_COMPATIBLE_ARCH },
	{ "no_label", FLAG_NO_LABEL },
	{ NULL, 0 },
};

const struct named_bit result_words[] = {
	{ "repository", RESULT_REPOSITORY }, { "iso", RESULT_ISO }, { "ostree", RESULT_OSTREE },
	{ "boot.iso", RESULT_BOOT_ISO },     { NULL, 0 },
};

const struct named_bit multilib_words[] = {
	{ "none", 0 },
	{ "runtime", MULTILIB_RUNTIME },
	{ "devel", MULTILIB_DEVEL },
	{ "all", MULTILIB_ALL },
	{ NULL, 0 },
};

const char *source_type_name(int type)
{
	if (type < SOURCE_TAG || type > SOURCE_PUNGI_COMPOSE)
		return NULL;
	return source_type_names[type];
}

int source_type_parse(const char *name)
{
	for (int type = SOURCE_TAG; type <= SOURCE_PUNGI_COMPOSE; type++)
		if (!strcmp(name, source_type_names[type]))
			return type;
	return -EINVAL;
}

const char *state_name(int state)
{
	if (state == STATE_DRAFT)
		return "draft";
	if (state < STATE_WAIT || state > STATE_FAILED)
		return NULL;
	return state_names[state];
}

int state_parse(const char *name, enum compose_state *ret)
{
	for (int state = STATE_DRAFT; state <= STATE_FAILED; state++)
		if (!strcmp(name, state_name(state))) {
			*ret = (enum compose_state)state;
			return 0;
		}
	return -EINVAL;
}

const char *flag_name(int bit)
{
	for (const struct named_bit *word = flag_words; word->name; word++)
		if (word->bit && word->bit == bit)
			return word->name;
	return NULL;
}

int named_bit_find(const struct named_bit *words, const char *name)
{
	for (; words->name; words++)
		if (!strcmp(words->name, name))
			return words->bit;
	return -EINVAL;
}

#define NEAREST_MAX_LENGTH 64
#define NEAREST_MAX_DISTANCE 3

static size_t min3(size_t a, size_t b, size_t c)
{
	size_t least = a < b ? a : b;

	return least < c ? least : c;
}

/* How many letters must be put in, left out, replaced, or swapped with their neighbour. */
static size_t edit_distance(const char *a, size_t a_length, const char *b, size_t b_length)
{
	size_t rows[3][NEAREST_MAX_LENGTH + 1];
	size_t *older = rows[0], *old = rows[1], *now = rows[2];

	for (size_t j = 0; j <= b_length; j++)
		old[j] = j;
	for (size_t i = 1; i <= a_length; i++) {
		size_t *spare = older;

		now[0] = i;
		for (size_t j = 1; j <= b_length; j++) {
			now[j] = min3(old[j] + 1, now[j - 1] + 1,
				      old[j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
			    older[j - 2] + 1 < now[j])
				now[j] = older[j - 2] + 1;
		}
		older = old;
		old = now;
		now = spare;
	}
	return old[b_length];
}

const char *limit_suffix(const char *contact, const char *key, int64_t value,
			 char ret[static LIMIT_SUFFIX_SIZE])
{
	ret[0] = '\0';
	if (contact)
		(void)snprintf(ret, LIMIT_SUFFIX_SIZE, " (%s=%" PRId64 "; for more ask %s)", key,
			       value, contact);
	return ret;
}

const char *nearest_word(const char *word, const char *const *known, size_t count)
{
	size_t length = strlen(word), best = NEAREST_MAX_DISTANCE + 1;
	const char *nearest = NULL;

	if (length > NEAREST_MAX_LENGTH)
		return NULL;
	for (size_t i = 0; i < count; i++) {
		size_t other = strlen(known[i]), distance;

		if (other > NEAREST_MAX_LENGTH)
			continue;
		distance = edit_distance(word, length, known[i], other);
		/* a word that shares nothing is not near, however short both are */
		if (distance < best && distance < (length > other ? length : other)) {
			best = distance;
			nearest = known[i];
		}
	}
	return nearest;
}
