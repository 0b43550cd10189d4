/* SPDX-License-Identifier: MIT */
/* core/tree/overlay.c: the files of a compose that carry its id or change while it is made.
 *
 * They are rendered when somebody looks: a tree keeps the few fields they are made from (about 1
 * KiB, in one allocation), not their text, since ten thousand composes may be known at once. */
#include "core/tree/private.h"

#include <fcntl.h>

/* In the order in which a listing shows them: compose/ comes last, so that the positions before it
 * stay when it appears. */
const struct overlay_entry overlay_entries[OVERLAY_COUNT] = {
	[OVERLAY_ROOT] = { "", OVERLAY_ROOT, .directory = true },
	[OVERLAY_STATUS] = { "STATUS", OVERLAY_ROOT },
	[OVERLAY_COMPOSE_ID] = { "COMPOSE_ID", OVERLAY_ROOT },
	[OVERLAY_STDERR] = { "pungi-stderr.log", OVERLAY_ROOT },
	[OVERLAY_LOGS] = { "logs", OVERLAY_ROOT, .directory = true },
	[OVERLAY_GLOBAL] = { "global", OVERLAY_LOGS, .directory = true },
	[OVERLAY_LOG] = { "odcsfs.log", OVERLAY_GLOBAL },
	[OVERLAY_COMPOSE] = { "compose", OVERLAY_ROOT, .directory = true, .done = true },
	[OVERLAY_METADATA] = { "metadata", OVERLAY_COMPOSE, .directory = true, .done = true },
	[OVERLAY_COMPOSEINFO] = { "composeinfo.json", OVERLAY_METADATA, .done = true },
	[OVERLAY_IMAGES] = { "images.json", OVERLAY_METADATA, .done = true },
	[OVERLAY_TEMPORARY] = { "Temporary", OVERLAY_COMPOSE, .directory = true, .done = true },
	[OVERLAY_REPO] = { NULL, OVERLAY_TEMPORARY, .done = true },
	[OVERLAY_LOCAL_REPO] = { NULL, OVERLAY_TEMPORARY, .done = true },
};

bool overlay_visible(const struct tree *tree, uint32_t index)
{
	return index < OVERLAY_COUNT && (!overlay_entries[index].done || tree->manifest);
}

const char *overlay_name(const struct tree *tree, uint32_t index)
{
	if (index == OVERLAY_REPO)
		return tree->repo_name;
	if (index == OVERLAY_LOCAL_REPO)
		return tree->local_repo_name;
	return overlay_entries[index].name;
}

/* ---- the record -------------------------------------------------------- */

/** struct arena - where a packed copy goes; without @base only counts */
struct arena {
	char *base;
	size_t used;
};

static void *arena_take(struct arena *arena, size_t length, size_t alignment)
{
	char *place;

	arena->used = (arena->used + alignment - 1) & ~(alignment - 1);
	place = arena->base ? arena->base + arena->used : NULL;
	arena->used += length;
	return place;
}

static char *keep(struct arena *arena, const char *string)
{
	size_t length = string ? strlen(string) + 1 : 0;
	char *copy = string ? arena_take(arena, length, 1) : NULL;

	return copy ? memcpy(copy, string, length) : NULL;
}

static struct strings keep_list(struct arena *arena, const struct strings *list)
{
	struct strings copy = { .count = list->count };

	copy.item = arena_take(arena, list->count * sizeof(*copy.item), _Alignof(char *));
	for (size_t i = 0; i < list->count; i++) {
		char *item = keep(arena, list->item[i]);

		if (copy.item)
			copy.item[i] = item;
	}
	return copy;
}

/* Members that are not named here stay empty: lists of packages and the like, which no text shows.
 */
static void keep_all(struct arena *arena, const struct compose *compose)
{
	struct compose *to = arena_take(arena, sizeof(*to), _Alignof(struct compose));
	struct spec *spec = arena_take(arena, sizeof(*spec), _Alignof(struct spec));
	struct compose copy = {
		.id = compose->id,
		.request = compose->request,
		.owner = keep(arena, compose->owner),
		.uid = compose->uid,
		.gid = compose->gid,
		.spec = spec,
		.state = compose->state,
		.time_submitted = compose->time_submitted,
		.time_to_expire = compose->time_to_expire,
		.time_started = compose->time_started,
		.time_done = compose->time_done,
		.time_removed = compose->time_removed,
		.koji_event = compose->koji_event,
		.koji_task_id = compose->koji_task_id,
		.pungi_compose_id = keep(arena, compose->pungi_compose_id),
		.respin_of = keep(arena, compose->respin_of),
		.sigkeys = keep(arena, compose->sigkeys),
		.arches = keep(arena, compose->arches),
		.reused_id = compose->reused_id,
		.packages_count = compose->packages_count,
		.size_bytes = compose->size_bytes,
	};
	struct spec from = {
		.source_type = compose->spec->source_type,
		.sigkeys = keep_list(arena, &compose->spec->sigkeys),
		.arches = keep_list(arena, &compose->spec->arches),
		.multilib_arches = keep_list(arena, &compose->spec->multilib_arches),
		.multilib_method = compose->spec->multilib_method,
		.label = keep(arena, compose->spec->label),
		.compose_type = keep(arena, compose->spec->compose_type),
		.target_dir = keep(arena, compose->spec->target_dir),
		.koji_event = compose->spec->koji_event,
		.flags = compose->spec->flags,
		.results = compose->spec->results,
		.base_module_br_stream_version_lte = -1,
		.base_module_br_stream_version_gte = -1,
		.seconds_to_live = compose->spec->seconds_to_live,
	};

	if (to) {
		*to = copy;
		*spec = from;
	}
}

int overlay_record(const struct compose *compose, struct compose **ret)
{
	struct arena arena = { 0 };

	keep_all(&arena, compose);
	arena.base = malloc(arena.used);
	if (!arena.base)
		return -ENOMEM;
	arena.used = 0;
	keep_all(&arena, compose);
	*ret = (struct compose *)(void *)arena.base;
	return 0;
}

/* ---- texts ------------------------------------------------------------- */

int overlay_text(const struct tree *tree, uint32_t index, struct text *ret)
{
	const struct compose *record = tree->record;

	switch (index) {
	case OVERLAY_STATUS:
		return text_addf(ret, "%s\n", compose_status_word(record));
	case OVERLAY_COMPOSE_ID: /* as pungi writes it: without a newline */
		return text_adds(ret, record->pungi_compose_id ? record->pungi_compose_id : "");
	case OVERLAY_COMPOSEINFO:
		return compose_text_composeinfo(record, ret);
	case OVERLAY_IMAGES:
		return compose_text_images(record, ret);
	case OVERLAY_REPO:
		return compose_text_repo(record, tree->store->public_url, ret);
	case OVERLAY_LOCAL_REPO:
		return compose_text_repo(record, tree->store->local_url, ret);
	case OVERLAY_RPMS_HEAD:
		return compose_text_rpms_head(record, ret);
	case OVERLAY_MODULES_HEAD:
		return compose_text_modules_head(record, ret);
	default:
		return -EINVAL;
	}
}

int overlay_length(const struct tree *tree, uint32_t index, uint64_t *ret)
{
	/* a cache of what never changes: the tree is immutable to whoever looks */
	_Atomic uint32_t *cache = (_Atomic uint32_t *)(uintptr_t)&tree->text_length[index];
	uint32_t known = atomic_load_explicit(cache, memory_order_relaxed);
	struct text text = { 0 };
	int r;

	if (!known) {
		r = overlay_text(tree, index, &text);
		known = (uint32_t)text.length + 1;
		text_done(&text);
		if (r < 0)
			return r;
		atomic_store_explicit(cache, known, memory_order_relaxed);
	}
	*ret = known - 1;
	return 0;
}

bool overlay_log_stat(const struct tree *tree, struct stat *ret)
{
	char name[24];

	(void)snprintf(name, sizeof(name), "%" PRId64, compose_tree_id(tree->record));
	return fstatat(tree->store->logs, name, ret, AT_SYMLINK_NOFOLLOW) == 0 &&
	       S_ISREG(ret->st_mode);
}
