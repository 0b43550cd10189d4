/* SPDX-License-Identifier: MIT */
/* fs/fetched.c: reads of packages that are not here yet.
 *
 *   read ─► bytes_open() says -EAGAIN ─► held, tree_ask() ─► brought ─► the same read again,
 * answered │  └► interrupted: EINTR; too long: ETIMEDOUT; and so on └► the mount ends: EINTR
 *
 * A held read keeps its fuse_req_t and no thread, and counts as a user of its session, which is not
 * destroyed before the last one is answered. It belongs to who takes it off the list; while it is
 * being put there (`arming`) it may only be marked. Who has taken it off but cannot take it back
 * from the bringer (tree_forget()) leaves the answer to read_done().
 *
 * The kernel has a number of requests under way by itself, then no more until one is answered: most
 * reads are among them, those of files that are here as well. So those that are held are fewer, and
 * those of one user a part of these. */
#include "fs/internal.h"

#include <unistd.h>

#define USERS_OF_MACHINE 0xEFFFFFFDU /* inode of the first user namespace */
#define AGAIN_MAX 16		     /* times that a package may be gone again before it was read */
#define LATE_MS 1000
#define PARTY_SIZE 16 /* "uid:4294967295" */

struct held_read {
	struct tree_waiter waiter;	    /* first: the bringer's handle */
	struct held_read *next, **previous; /* while listed */
	struct mount *mount;
	fuse_req_t req;
	struct inode node;
	uint64_t stream; /* 0: it is handed verified bytes only */
	size_t size;
	uint64_t offset;
	unsigned int times;
	uint32_t uid; /* of the user who reads */
	bool listed, arming, interrupted, ready;
	char party[PARTY_SIZE]; /* the same */
	struct error *failure;	/* while arming and ready; NULL: none */
};

/* Who is not root of the machine gets no more from the kernel, whatever he asks for. */
static unsigned int allowed_background(void)
{
	unsigned int limit = 0;
	struct stat st;
	FILE *file;

	if (!geteuid() && !stat("/proc/self/ns/user", &st) && st.st_ino == USERS_OF_MACHINE)
		return BACKGROUND_MAX;
	file = fopen("/sys/module/fuse/parameters/max_user_bgreq", "re");
	if (!file)
		return BACKGROUND_MAX;
	if (fscanf(file, "%u", &limit) != 1)
		limit = 0;
	(void)fclose(file);
	return limit && limit < BACKGROUND_MAX ? limit : BACKGROUND_MAX;
}

void fetched_init(struct fetched *fetched)
{
	pthread_mutex_init(&fetched->lock, NULL);
	fetched->background = allowed_background();
}

unsigned int fetched_background(const struct fs *fs)
{
	return fs->fetched.background;
}

void fetched_done(struct fetched *fetched)
{
	pthread_mutex_destroy(&fetched->lock);
}

static void held_free(struct held_read *held)
{
	free(held->failure);
	free(held);
}

/* under the lock */
static void list_remove(struct held_read *held)
{
	if (!held->listed)
		return;
	*held->previous = held->next;
	if (held->next)
		held->next->previous = held->previous;
	held->mount->fs->fetched.count[held->mount->place]--;
	held->listed = false;
}

/* ---- who was told that it takes too long ---------------------------------- */

/* The kernel reads ahead, and what failed it reads again for the same read(2): that must not take
 * twice the time. */
static void late_add(struct fetched *fetched, uint64_t ino, pid_t pid)
{
	pthread_mutex_lock(&fetched->lock);
	fetched->late[fetched->next_late++ % LATE_KEPT] = (struct late_read){
		.ino = ino, .pid = pid, .until_ms = time_monotonic_ms() + LATE_MS
	};
	pthread_mutex_unlock(&fetched->lock);
}

/* Is it that second one? All that were told of it are forgotten then. */
static bool late_take(struct fetched *fetched, uint64_t ino, pid_t pid)
{
	int64_t now = time_monotonic_ms();
	bool found = false;

	pthread_mutex_lock(&fetched->lock);
	for (size_t i = 0; i < LATE_KEPT; i++) {
		struct late_read *late = &fetched->late[i];

		if (late->ino != ino || late->pid != pid)
			continue;
		found = found || late->until_ms >= now;
		late->ino = 0;
	}
	pthread_mutex_unlock(&fetched->lock);
	return found;
}

/* ---- answers ------------------------------------------------------------- */

static void note_failure(struct fs *fs, const struct inode *node, const struct error *err)
{
	_cleanup_(tree_unrefp) struct tree *tree = NULL;
	struct error words = *err;
	struct tree_node found;

	if (!shown_tree(fs, node->id, true, &tree, NULL) && !tree_get(tree, node->part, &found))
		(void)error_prefix(&words, "%s", found.name);
	file_failed(fs, node, &words);
}

/* @err: code 0: the package is here */
static void answer(struct held_read *held, const struct error *err)
{
	struct mount *mount = held->mount;
	struct fs *fs = mount->fs;

	if (err->code && err->code != -EINTR) {
		note_failure(fs, &held->node, err);
		figure_failure(fs, FIGURE_READ, err->code);
	}
	if (err->code == -ETIMEDOUT)
		late_add(&fs->fetched, COMPOSE_INO(held->node.id, held->node.part),
			 fuse_req_ctx(held->req)->pid);
	if (err->code == -EINTR)
		reply_interrupted(fs, held->req);
	else if (err->code)
		fuse_reply_err(held->req, -err->code);
	else if (mount->place == FS_EXPORT)
		export_read(fs, held->req, &held->node, held->size, held->offset, held->times);
	else
		streamed_read(fs, held->req, &held->node, held->stream, held->size, held->offset,
			      held->times);
	held_free(held);
	session_leave(mount);
}

static void read_done(struct tree_waiter *waiter, const struct error *err)
{
	struct held_read *held = (struct held_read *)waiter;
	struct fetched *fetched = &held->mount->fs->fetched;
	bool ours;

	pthread_mutex_lock(&fetched->lock);
	ours = !held->arming;
	if (ours) {
		list_remove(held);
	} else {
		held->ready = true;
		held->failure = err->code ? malloc(sizeof(*err)) : NULL;
		if (held->failure)
			*held->failure = *err;
		else if (err->code)
			held->interrupted = true; /* no memory for words: EINTR must do */
	}
	pthread_mutex_unlock(&fetched->lock);
	if (ours)
		answer(held, err);
}

static void end_interrupted(struct held_read *held)
{
	const struct error err = { .code = -EINTR };

	answer(held, &err);
}

static void interrupted(fuse_req_t req, void *data)
{
	struct mount *mount = data;
	struct fetched *fetched = &mount->fs->fetched;
	struct held_read *held;
	bool ours = false;

	pthread_mutex_lock(&fetched->lock);
	for (held = fetched->reads; held && held->req != req;)
		held = held->next;
	if (held && held->arming) {
		held->interrupted = true;
	} else if (held) {
		ours = tree_forget(mount->fs->options.trees, &held->waiter);
		if (ours)
			list_remove(held);
	}
	pthread_mutex_unlock(&fetched->lock);
	if (ours)
		end_interrupted(held);
}

/* ---- holding ---------------------------------------------------------------- */

/* How many of this user's are held, no further than it matters; under the lock */
static unsigned int count_of(const struct fetched *fetched, const struct mount *mount, uint32_t uid,
			     unsigned int enough)
{
	unsigned int count = 0;

	if (fetched->count[mount->place] < enough)
		return 0;
	for (const struct held_read *held = fetched->reads; held && count < enough;
	     held = held->next)
		count += held->mount == mount && held->uid == uid;
	return count;
}

static int say_many(const struct fs *fs, unsigned int most, const char *whose, struct error *err)
{
	const char *contact = fs->options.contact;

	return error_set(err, -EIO, BLAME_REQUEST, NULL,
			 "%u reads%s wait for packages, and no more may; read it again later%s%s",
			 most, whose, contact ? ", or ask " : "", contact ? contact : "");
}

static int list_add(struct held_read *held, struct error *err)
{
	struct fs *fs = held->mount->fs;
	struct fetched *fetched = &fs->fetched;
	const unsigned int most = fetched->background / HELD_PART;
	const unsigned int most_of_user = fetched->background / HELD_USER_PART;
	int r = 0;

	pthread_mutex_lock(&fetched->lock);
	if (fetched->closed[held->mount->place]) {
		r = -EINTR;
	} else if (fetched->count[held->mount->place] >= most) {
		r = say_many(fs, most, "", err);
	} else if (count_of(fetched, held->mount, held->uid, most_of_user) >= most_of_user) {
		r = say_many(fs, most_of_user, " of one user", err);
	} else {
		held->arming = held->listed = true;
		held->next = fetched->reads;
		held->previous = &fetched->reads;
		if (held->next)
			held->next->previous = &held->next;
		fetched->reads = held;
		fetched->count[held->mount->place]++;
	}
	pthread_mutex_unlock(&fetched->lock);
	return r;
}

/* The bringer knows it. Now it may be answered by whoever comes first, and that may be us. */
static void arm(struct held_read *held)
{
	struct fs *fs = held->mount->fs;
	struct fetched *fetched = &fs->fetched;
	const struct error none = { 0 };
	bool ready, ours = false;

	pthread_mutex_lock(&fetched->lock);
	held->arming = false;
	ready = held->ready;
	if (ready)
		ours = true;
	else if (held->interrupted || fetched->closed[held->mount->place])
		ours = tree_forget(fs->options.trees, &held->waiter);
	if (ours)
		list_remove(held);
	pthread_mutex_unlock(&fetched->lock);
	if (!ours)
		return;
	if (ready && (held->failure || !held->interrupted)) {
		struct error err = held->failure ? *held->failure : none;

		answer(held, &err);
	} else {
		end_interrupted(held);
	}
}

int fetched_hold(struct mount *mount, fuse_req_t req, const struct inode *node, uint64_t stream,
		 size_t size, uint64_t offset, unsigned int times)
{
	_cleanup_(tree_unrefp) struct tree *tree = NULL;
	struct fs *fs = mount->fs;
	struct error err = { 0 };
	struct held_read *held;
	int r = shown_tree(fs, node->id, true, &tree, NULL);

	if (r < 0)
		return r;
	if (times >= AGAIN_MAX)
		return -EIO;
	if (late_take(&fs->fetched, COMPOSE_INO(node->id, node->part), fuse_req_ctx(req)->pid))
		return -ETIMEDOUT;
	held = calloc(1, sizeof(*held));
	if (!held)
		return -ENOMEM;
	*held = (struct held_read){ .waiter.done = read_done,
				    .mount = mount,
				    .req = req,
				    .node = *node,
				    .stream = stream,
				    .size = size,
				    .offset = offset,
				    .times = times + 1,
				    .uid = fuse_req_ctx(req)->uid };
	if (stream)
		held->waiter.need = offset + size;
	(void)snprintf(held->party, sizeof(held->party), "uid:%" PRIu32, held->uid);
	held->waiter.party = held->party;
	if (!session_enter(mount, false)) {
		free(held);
		return -EINTR;
	}
	r = list_add(held, &err);
	if (r == 0) {
		fuse_req_interrupt_func(req, interrupted, mount);
		r = tree_ask(tree, node->part, &held->waiter, &err);
		if (r == 0) {
			arm(held);
			return HELD;
		}
	}
	pthread_mutex_lock(&fs->fetched.lock);
	list_remove(held);
	pthread_mutex_unlock(&fs->fetched.lock);
	held_free(held);
	session_leave(mount);
	if (r != -EINTR)
		note_failure(fs, node, &err);
	return r == -ETIMEDOUT || r == -ENOSPC || r == -EINTR || r == -ENOMEM ? r : -EIO;
}

void fetched_open(struct mount *mount)
{
	pthread_mutex_lock(&mount->fs->fetched.lock);
	mount->fs->fetched.closed[mount->place] = false;
	pthread_mutex_unlock(&mount->fs->fetched.lock);
}

void fetched_close(struct mount *mount)
{
	struct fetched *fetched = &mount->fs->fetched;
	struct held_read *mine = NULL;

	pthread_mutex_lock(&fetched->lock);
	fetched->closed[mount->place] = true;
	for (struct held_read *held = fetched->reads, *next; held; held = next) {
		next = held->next;
		if (held->mount != mount || held->arming ||
		    !tree_forget(mount->fs->options.trees, &held->waiter))
			continue;
		list_remove(held);
		held->next = mine;
		mine = held;
	}
	pthread_mutex_unlock(&fetched->lock);
	while (mine) {
		struct held_read *held = mine;

		mine = held->next;
		end_interrupted(held);
	}
}
