/* SPDX-License-Identifier: MIT */
/* fs/views.c: links: the names of a compose, composes/TYPE/, by-state/, by-owner/, by-source/.
 *
 * Views are made when somebody looks, from the catalogue's brief rows; nothing of them is
 * remembered. The key of an owner's or source's directory is a digest of its name, so that its
 * inode number is the same at any time; to find the name back, the rows are looked through. */
#include "fs/internal.h"

/* ---- types of raw_config composes (odcs-api.md 7.3) ---------------------- */

static const char *const types[] = { "test", "nightly", "production", "development", "ci" };

const char *type_word(int number)
{
	return number >= 0 && (size_t)number < ARRAY_SIZE(types) ? types[number] : NULL;
}

int type_number(const char *word)
{
	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		if (!strcmp(types[i], word))
			return (int)i;
	return -1;
}

uint64_t type_ino(int number)
{
	return VIEW_INO(VIEW_TYPE, number);
}

static struct compose_query type_query(int number)
{
	struct compose_query query = COMPOSE_QUERY_ALL;

	query.source_type = SOURCE_RAW_CONFIG;
	query.state = STATE_DONE;
	query.compose_type = type_word(number);
	query.order = ORDER_ID;
	return query;
}

bool type_shown(struct fs *fs, int number)
{
	struct compose_query query = type_query(number);
	struct error err = { 0 };
	int64_t total = 0;

	query.limit = 0;
	return type_word(number) &&
	       catalogue_query(fs->options.catalogue, &query, NULL, NULL, &total, &err) >= 0 &&
	       total > 0;
}

/** struct latest - the newest compose of each latest-NAME-VERSION, names and ids side by side */
struct latest {
	struct strings names;
	int64_t *ids;
	bool failed;
};

static void latest_done(struct latest *latest)
{
	strings_done(&latest->names);
	free(latest->ids);
}

static bool latest_one(void *data, const struct compose *compose)
{
	struct latest *latest = data;
	const char *id = compose->pungi_compose_id, *end;
	char name[NAME_LENGTH_MAX + 1];
	size_t i;

	end = id ? strchr(id, '-') : NULL;
	end = end ? strchr(end + 1, '-') : NULL;
	if (!end || (size_t)(end - id) > NAME_LENGTH_MAX - strlen("latest-"))
		return false;
	(void)snprintf(name, sizeof(name), "latest-%.*s", (int)(end - id), id);
	for (i = 0; i < latest->names.count && strcmp(latest->names.item[i], name) != 0;)
		i++;
	if (i == latest->names.count) {
		int64_t *ids = reallocarray(latest->ids, i + 1, sizeof(*ids));

		if (ids)
			latest->ids = ids;
		latest->failed = !ids || strings_add(&latest->names, name) < 0;
		if (latest->failed)
			return true;
	}
	latest->ids[i] = compose->id; /* ids ascend: the newest wins */
	return false;
}

static int latest_load(struct fs *fs, int type, struct latest *ret)
{
	struct compose_query query = type_query(type);
	struct error err = { 0 };
	int r = type_word(type) ? catalogue_query(fs->options.catalogue, &query, latest_one, ret,
						  NULL, &err)
				: -ENOENT;

	return r == -ENOENT ? r : r < 0 ? -EIO : ret->failed ? -ENOMEM : 0;
}

/* ---- owners and sources --------------------------------------------------- */

static const char *field_of(uint32_t view, const struct compose_brief *brief)
{
	const char *field = view == VIEW_OWNER ? brief->owner : brief->source;

	return field && *field ? field : NULL;
}

/** struct group - a directory of by-owner/ or by-source/ */
struct group {
	char *name; /* as shown */
	int64_t key;
	int64_t newest; /* time */
};

struct groups {
	uint32_t view;
	const char *wanted; /* only the one of that name; NULL: any */
	int64_t wanted_key; /* only the one of that key; -1: any */
	struct group *item; /* by key, after groups_load() */
	size_t count, room;
	bool failed;
};

static void groups_done(struct groups *groups)
{
	for (size_t i = 0; i < groups->count; i++)
		free(groups->item[i].name);
	free(groups->item);
}

static int order_by_name(const void *a, const void *b)
{
	const struct group *left = a, *right = b;

	return strcmp(left->name, right->name);
}

static int order_by_key(const void *a, const void *b)
{
	const struct group *left = a, *right = b;

	return (left->key > right->key) - (left->key < right->key);
}

static bool group_one(void *data, const struct compose_brief *brief)
{
	struct groups *groups = data;
	const char *field = field_of(groups->view, brief);
	struct text name = { 0 };

	if (!field)
		return false;
	if (groups->count == groups->room) {
		size_t room = groups->room ? groups->room * 2 : 16;
		struct group *item = reallocarray(groups->item, room, sizeof(*item));

		groups->failed = !item;
		if (!item)
			return true;
		groups->item = item;
		groups->room = room;
	}
	groups->failed = name_escape(field, &name) < 0;
	if (!groups->failed && (!groups->wanted || !strcmp(groups->wanted, name.data)))
		groups->item[groups->count++] = (struct group){
			.name = text_steal(&name),
			.newest = brief->time_done ? brief->time_done : brief->time_submitted,
		};
	text_done(&name);
	return groups->failed;
}

/* Equal names become one; then only those of the wanted key stay. */
static void groups_unite(struct groups *groups)
{
	struct group *item = groups->item;
	size_t kept = 0;

	if (groups->count)
		qsort(item, groups->count, sizeof(*item), order_by_name);
	for (size_t i = 0; i < groups->count; i++) {
		if (kept && !strcmp(item[kept - 1].name, item[i].name)) {
			if (item[i].newest > item[kept - 1].newest)
				item[kept - 1].newest = item[i].newest;
			free(item[i].name);
		} else {
			item[kept++] = item[i];
		}
	}
	groups->count = kept;
	kept = 0;
	for (size_t i = 0; i < groups->count; i++) {
		item[i].key = name_key(item[i].name);
		if (groups->wanted_key >= 0 && item[i].key != groups->wanted_key)
			free(item[i].name);
		else
			item[kept++] = item[i];
	}
	groups->count = kept;
	if (kept)
		qsort(item, kept, sizeof(*item), order_by_key);
}

static int groups_load(struct fs *fs, struct groups *groups)
{
	struct error err = { 0 };
	int r = catalogue_briefs(fs->options.catalogue, 0, false, group_one, groups, &err);

	if (r < 0)
		return -EIO;
	if (groups->failed)
		return -ENOMEM;
	groups_unite(groups);
	return 0;
}

/* ---- links ---------------------------------------------------------------- */

static int64_t link_compose(const struct inode *node)
{
	return node->part == VIEW_STATE_LINK ? node->id & ((INT64_C(1) << INODE_STATE_SHIFT) - 1)
					     : node->id;
}

static bool history_over(struct fs *fs, int64_t time_to_expire)
{
	return fs->options.history_ttl > 0 && time_to_expire + fs->options.history_ttl < time_now();
}

/* One of the names that a compose's tree has in composes/: they lead there as long as anybody shows
 * it. */
static bool is_name(uint32_t view)
{
	return view == VIEW_REUSED || view == VIEW_ODCS || view == VIEW_OWNED || view == VIEW_SEED;
}

/* The compose a link stands for, as long as the link does. */
static int link_load(struct fs *fs, const struct inode *node, struct compose **ret)
{
	_cleanup_(compose_freep) struct compose *compose = NULL;
	struct error err = { 0 };
	int r = catalogue_get(fs->options.catalogue, link_compose(node), &compose, &err);

	if (r < 0)
		return r == -ENOENT ? r : -EIO;
	if (node->part == VIEW_STATE_LINK) {
		if (compose->state != (enum compose_state)(node->id >> INODE_STATE_SHIFT) ||
		    (compose->state == STATE_REMOVED && history_over(fs, compose->time_to_expire)))
			return -ENOENT;
	} else if ((is_name(node->part) ? compose_is_gone(compose)
					: compose->state == STATE_REMOVED) ||
		   (node->part == VIEW_REUSED && !compose->reused_id)) {
		return -ENOENT;
	}
	*ret = steal(compose);
	return 0;
}

static int link_target(struct fs *fs, const struct inode *node, const struct compose *compose,
		       struct text *ret)
{
	struct request request = { 0 };
	struct error err = { 0 };
	int r;

	switch (node->part) {
	case VIEW_REUSED:
		return text_addf(ret, "%" PRId64, compose->reused_id);
	case VIEW_ODCS:
	case VIEW_OWNED:
	case VIEW_SEED:
		return text_addf(ret, "%" PRId64, compose->id);
	case VIEW_LATEST:
		return text_addf(ret, "../%" PRId64, compose->id);
	default:
		break;
	}
	if (compose->state == STATE_REMOVED &&
	    !catalogue_request_get(fs->options.catalogue, compose->request, &request, &err))
		r = text_addf(ret, "../../requests/%s", request.name);
	else
		r = text_addf(ret, "../../composes/%" PRId64, compose->id);
	request_done(&request);
	return r;
}

int view_readlink(struct fs *fs, const struct inode *node, struct text *ret)
{
	_cleanup_(compose_freep) struct compose *compose = NULL;
	int r = link_load(fs, node, &compose);

	return r < 0 ? r : link_target(fs, node, compose, ret);
}

/* ---- attributes ------------------------------------------------------------ */

static bool is_directory(uint32_t view)
{
	return view == VIEW_TYPE || view == VIEW_STATE || view == VIEW_OWNER || view == VIEW_SOURCE;
}

static int directory_time(struct fs *fs, const struct inode *node, int64_t *ret)
{
	struct groups groups = { .view = node->part, .wanted_key = node->id };
	int r;

	*ret = fs->composes_count.changed ? fs->composes_count.changed : fs->time_started;
	if (node->part == VIEW_TYPE)
		return type_shown(fs, (int)node->id) ? 0 : -ENOENT;
	if (node->part == VIEW_STATE)
		return node->id >= STATE_WAIT && node->id <= STATE_FAILED ? 0 : -ENOENT;
	r = groups_load(fs, &groups);
	if (!r && !groups.count)
		r = -ENOENT;
	if (!r)
		*ret = groups.item[0].newest;
	groups_done(&groups);
	return r;
}

int view_entry(struct fs *fs, const struct inode *node, struct fuse_entry_param *ret)
{
	_cleanup_(compose_freep) struct compose *compose = NULL;
	uint64_t ino = VIEW_INO(node->part, node->id);
	struct text target = { 0 };
	int64_t time;
	int r;

	if (is_directory(node->part)) {
		r = directory_time(fs, node, &time);
		if (!r)
			entry_set(ret, ino, S_IFDIR | 0555, 0, time);
		return r;
	}
	r = link_load(fs, node, &compose);
	if (!r)
		r = link_target(fs, node, compose, &target);
	if (!r) {
		entry_set(ret, ino, S_IFLNK | 0777, target.length, compose_time_changed(compose));
		if (state_final(compose->state) && !compose_is_gone(compose))
			ret->attr_timeout = TIMEOUT_FOREVER;
	}
	text_done(&target);
	return r;
}

/* ---- lookup ----------------------------------------------------------------- */

static int entry_of(struct fs *fs, uint64_t ino, struct fuse_entry_param *ret)
{
	struct inode node;

	return inode_parse(ino, &node) ? view_entry(fs, &node, ret) : -ENOENT;
}

static int group_lookup(struct fs *fs, uint32_t view, const char *name,
			struct fuse_entry_param *ret)
{
	struct groups groups = { .view = view, .wanted = name, .wanted_key = -1 };
	int r = groups_load(fs, &groups);

	if (!r && !groups.count)
		r = -ENOENT;
	if (!r)
		entry_set(ret, VIEW_INO(view, groups.item[0].key), S_IFDIR | 0555, 0,
			  groups.item[0].newest);
	groups_done(&groups);
	return r;
}

/* The number in a name that is one, as we print it; -1 else. */
static int64_t id_of(const char *name)
{
	char again[32];
	int64_t id;

	if (parse_int64(name, &id) < 0 || id <= 0)
		return -1;
	(void)snprintf(again, sizeof(again), "%" PRId64, id);
	return strcmp(again, name) ? -1 : id;
}

static int member_lookup(struct fs *fs, const struct inode *node, const char *name,
			 struct fuse_entry_param *ret)
{
	_cleanup_(compose_freep) struct compose *compose = NULL;
	struct text group = { 0 };
	struct error err = { 0 };
	int64_t id = id_of(name);
	int r;

	if (id < 0)
		return -ENOENT;
	if (node->part == VIEW_STATE)
		return entry_of(fs, VIEW_INO(VIEW_STATE_LINK, node->id << INODE_STATE_SHIFT | id),
				ret);
	r = catalogue_get(fs->options.catalogue, id, &compose, &err);
	if (r < 0)
		return r == -ENOENT ? r : -EIO;
	const char *field = node->part == VIEW_OWNER ? compose->owner : compose->source;
	r = field && *field ? name_escape(field, &group) : -ENOENT;
	if (!r && name_key(group.data) != node->id)
		r = -ENOENT;
	text_done(&group);
	if (r < 0)
		return r;
	return entry_of(fs,
			VIEW_INO(node->part == VIEW_OWNER ? VIEW_OWNER_LINK : VIEW_SOURCE_LINK, id),
			ret);
}

static int type_member_lookup(struct fs *fs, const struct inode *node, const char *name,
			      struct fuse_entry_param *ret)
{
	struct latest latest = { 0 };
	int r = latest_load(fs, (int)node->id, &latest);
	int64_t id = 0;

	for (size_t i = 0; !r && i < latest.names.count; i++)
		if (!strcmp(latest.names.item[i], name))
			id = latest.ids[i];
	latest_done(&latest);
	if (r < 0)
		return r;
	return id ? entry_of(fs, VIEW_INO(VIEW_LATEST, id), ret) : -ENOENT;
}

int view_lookup(struct fs *fs, const struct inode *node, const char *name,
		struct fuse_entry_param *ret)
{
	enum compose_state state;

	if (node->kind == INODE_VIEW)
		return node->part == VIEW_TYPE ? type_member_lookup(fs, node, name, ret)
					       : member_lookup(fs, node, name, ret);
	if (node->part == FIXED_BY_OWNER)
		return group_lookup(fs, VIEW_OWNER, name, ret);
	if (node->part == FIXED_BY_SOURCE)
		return group_lookup(fs, VIEW_SOURCE, name, ret);
	if (state_parse(name, &state) < 0 || state == STATE_DRAFT)
		return -ENOENT;
	return entry_of(fs, VIEW_INO(VIEW_STATE, (int64_t)state), ret);
}

/* ---- listing ----------------------------------------------------------------- */

struct view_listing {
	struct fs *fs;
	const struct inode *node;
	struct listing *listing;
	off_t offset;
	const char *group; /* of an owner's or source's directory: its name */
};

/* Cookie of compose ID: ID + COOKIE_FIRST, the next one behind it: what comes and goes moves
 * nobody. */
static bool member_one(void *data, const struct compose_brief *brief)
{
	struct view_listing *state = data;
	const struct inode *node = state->node;
	off_t cookie = brief->id + COOKIE_FIRST;
	struct text group = { 0 };
	char name[32];
	bool match;
	uint64_t ino;

	if (cookie < state->offset)
		return false;
	if (node->part == VIEW_STATE) {
		match = brief->state == (enum compose_state)node->id &&
			!(brief->state == STATE_REMOVED &&
			  history_over(state->fs, brief->time_to_expire));
		ino = VIEW_INO(VIEW_STATE_LINK, node->id << INODE_STATE_SHIFT | brief->id);
	} else {
		const char *field = field_of(node->part, brief);

		match = field && !name_escape(field, &group) && !strcmp(group.data, state->group);
		ino = VIEW_INO(node->part == VIEW_OWNER ? VIEW_OWNER_LINK : VIEW_SOURCE_LINK,
			       brief->id);
		text_done(&group);
	}
	if (!match || !ino)
		return false;
	(void)snprintf(name, sizeof(name), "%" PRId64, brief->id);
	return !listing_name(state->listing, name, ino, S_IFLNK, cookie + 1);
}

static int members_list(struct fs *fs, const struct inode *node, struct listing *listing,
			off_t offset)
{
	struct groups groups = { .view = node->part, .wanted_key = node->id };
	struct view_listing state = { fs, node, listing, offset, NULL };
	bool removed = node->part == VIEW_STATE && node->id == STATE_REMOVED;
	int64_t after = offset - COOKIE_FIRST - 1;
	struct error err = { 0 };
	int r = node->part == VIEW_STATE ? 0 : groups_load(fs, &groups);

	if (!r && groups.count)
		state.group = groups.item[0].name;
	if (!r && (state.group || node->part == VIEW_STATE))
		r = catalogue_briefs(fs->options.catalogue, after > 0 ? after : 0, removed,
				     member_one, &state, &err) < 0
			    ? -EIO
			    : 0;
	groups_done(&groups);
	return r;
}

static int latest_list(struct fs *fs, const struct inode *node, struct listing *listing,
		       off_t offset)
{
	struct latest latest = { 0 };
	int r = latest_load(fs, (int)node->id, &latest);

	for (size_t done = 0; !r && done < latest.names.count; done++) {
		size_t next = latest.names.count; /* smallest id not before the offset */

		for (size_t i = 0; i < latest.names.count; i++)
			if (latest.ids[i] + COOKIE_FIRST >= offset &&
			    (next == latest.names.count || latest.ids[i] < latest.ids[next]))
				next = i;
		if (next == latest.names.count)
			break;
		offset = latest.ids[next] + COOKIE_FIRST + 1;
		if (!listing_name(listing, latest.names.item[next],
				  VIEW_INO(VIEW_LATEST, latest.ids[next]), S_IFLNK, offset))
			break;
	}
	latest_done(&latest);
	return r;
}

/* Groups are listed by key, which is their cookie as well (52 bits). */
static int groups_list(struct fs *fs, uint32_t view, struct listing *listing, off_t offset)
{
	struct groups groups = { .view = view, .wanted_key = -1 };
	int r = groups_load(fs, &groups);

	for (size_t i = 0; !r && i < groups.count; i++) {
		off_t cookie = groups.item[i].key + COOKIE_FIRST;

		if (cookie >= offset &&
		    !listing_name(listing, groups.item[i].name, VIEW_INO(view, groups.item[i].key),
				  S_IFDIR, cookie + 1))
			break;
	}
	groups_done(&groups);
	return r;
}

static int states_list(struct listing *listing, off_t offset)
{
	for (int64_t state = STATE_WAIT; state <= STATE_FAILED; state++)
		if (state + COOKIE_FIRST >= offset &&
		    !listing_name(listing, state_name((int)state), VIEW_INO(VIEW_STATE, state),
				  S_IFDIR, state + COOKIE_FIRST + 1))
			break;
	return 0;
}

int view_list(struct fs *fs, const struct inode *node, struct listing *listing, off_t offset)
{
	if (node->kind == INODE_VIEW)
		return node->part == VIEW_TYPE ? latest_list(fs, node, listing, offset)
					       : members_list(fs, node, listing, offset);
	if (node->part == FIXED_BY_STATE)
		return states_list(listing, offset);
	return groups_list(fs, node->part == FIXED_BY_OWNER ? VIEW_OWNER : VIEW_SOURCE, listing,
			   offset);
}

int64_t view_count(struct fs *fs, uint32_t part)
{
	struct groups groups = { .view = part == FIXED_BY_OWNER ? VIEW_OWNER : VIEW_SOURCE,
				 .wanted_key = -1 };
	int64_t count;

	if (part == FIXED_BY_STATE)
		return STATE_FAILED + 1;
	(void)groups_load(fs, &groups);
	count = (int64_t)groups.count;
	groups_done(&groups);
	return count;
}
