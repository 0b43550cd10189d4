/* SPDX-License-Identifier: MIT */
/* core/daemon/people.c: users of this machine and their groups, remembered for a minute.
 *
 * The user database may live on another machine and be slow. It is asked without a lock; while one
 * thread asks anew, the others go on with what is known. Only the first question about somebody
 * makes its asker wait. */
#include "core/daemon/people.h"

#include <grp.h>
#include <pthread.h>
#include <pwd.h>
#include <stdatomic.h>
#include <unistd.h>

#define KNOWN_MS 60000
#define SLOTS 256
#define GROUPS_MAX 65536	     /* what the kernel lets a process have */
#define ENTRY_MAX ((size_t)16 << 20) /* bytes of one group with all its members */

/* One whom somebody asked about; the slot has a reference, each borrower another. */
struct known {
	struct person person;
	_Atomic int references;
	int64_t asked_ms;
	bool asking; /* under people->lock: a thread is asking anew */
};

struct people {
	pthread_mutex_t lock;
	struct known *slot[SLOTS]; /* under lock */
};

int people_new(struct people **ret)
{
	struct people *people = calloc(1, sizeof(*people));

	if (!people)
		return -ENOMEM;
	(void)pthread_mutex_init(&people->lock, NULL);
	*ret = people;
	return 0;
}

static void known_unref(struct known *known)
{
	if (!known || atomic_fetch_sub(&known->references, 1) > 1)
		return;
	free(known->person.name);
	strings_done(&known->person.groups);
	free(known);
}

void person_unref(const struct person *person)
{
	known_unref((struct known *)(uintptr_t)person);
}

void people_forget(struct people *people)
{
	for (size_t i = 0; i < SLOTS; i++) {
		struct known *known;

		(void)pthread_mutex_lock(&people->lock);
		known = steal(people->slot[i]);
		(void)pthread_mutex_unlock(&people->lock);
		known_unref(known);
	}
}

void people_free(struct people *people)
{
	if (!people)
		return;
	people_forget(people);
	(void)pthread_mutex_destroy(&people->lock);
	free(people);
}

/* ---- asking ------------------------------------------------------------ */

/* A question to the database with a buffer that may have to grow. @ask fills @data, whose texts are
 * in the buffer: *ret_buffer keeps them. Positive errno, as getpwuid_r(3) */
static int ask_growing(int (*ask)(void *data, uint32_t id, char *buffer, size_t size), void *data,
		       uint32_t id, char **ret_buffer)
{
	size_t size = 4096;
	char *buffer = NULL;
	int r;

	do {
		free(buffer);
		size *= 2;
		buffer = malloc(size);
		r = buffer ? ask(data, id, buffer, size) : ENOMEM;
	} while (r == ERANGE && size < ENTRY_MAX);
	*ret_buffer = buffer;
	return r;
}

struct user_answer {
	struct passwd entry, *found;
};

static int get_user(void *data, uint32_t uid, char *buffer, size_t size)
{
	struct user_answer *answer = data;

	return getpwuid_r(uid, &answer->entry, buffer, size, &answer->found);
}

struct group_answer {
	struct group entry, *found;
};

static int get_group(void *data, uint32_t gid, char *buffer, size_t size)
{
	struct group_answer *answer = data;

	return getgrgid_r(gid, &answer->entry, buffer, size, &answer->found);
}

/* Name and first group; a uid without an entry is named by its number. */
static int ask_user(uint32_t uid, char **ret_name, gid_t *gid)
{
	_cleanup_(freep) char *buffer = NULL;
	struct user_answer answer = { 0 };
	int r = ask_growing(get_user, &answer, uid, &buffer);

	if (r == 0 && answer.found) {
		*gid = answer.found->pw_gid;
		*ret_name = strdup(answer.found->pw_name);
	} else if (r == 0 || r == ENOENT || r == ESRCH) { /* getpwnam(3): both mean "not there" */
		return asprintf(ret_name, "%" PRIu32, uid) < 0 ? -ENOMEM : 0;
	}
	return r ? -r : *ret_name ? 1 : -ENOMEM;
}

static int add_group(gid_t gid, struct strings *ret)
{
	_cleanup_(freep) char *buffer = NULL;
	struct group_answer answer = { 0 };
	int r = ask_growing(get_group, &answer, gid, &buffer);

	if (r == 0 && answer.found && !strings_has(ret, answer.found->gr_name))
		return strings_add(ret, answer.found->gr_name);
	return r == ENOMEM ? -ENOMEM : 0; /* a group without a name gives no rights */
}

static int ask_groups(const char *name, gid_t gid, struct strings *ret)
{
	int room = 64, count, r = 0;
	_cleanup_(freep) gid_t *list = NULL;

	do {
		room *= 4;
		count = room;
		free(steal(list));
		list = calloc((size_t)room, sizeof(*list));
		if (!list)
			return -ENOMEM;
	} while (getgrouplist(name, gid, list, &count) < 0 && room < GROUPS_MAX);
	for (int i = 0; i < count && i < room && r == 0; i++)
		r = add_group(list[i], ret);
	return r;
}

static int ask(uint32_t uid, uint32_t gid, struct known **ret)
{
	struct known *known = calloc(1, sizeof(*known));
	gid_t first = gid;
	int r;

	if (!known)
		return -ENOMEM;
	atomic_init(&known->references, 1);
	known->person.uid = uid;
	known->person.gid = gid;
	r = ask_user(uid, &known->person.name, &first);
	if (r > 0)
		r = ask_groups(known->person.name, first, &known->person.groups);
	if (r >= 0) /* the group that the process has now may be none of those */
		r = add_group(gid, &known->person.groups);
	known->asked_ms = time_monotonic_ms();
	if (r < 0) {
		known_unref(known);
		return r;
	}
	*ret = known;
	return 0;
}

/* ---- remembering ------------------------------------------------------- */

static struct known **slot_of(struct people *people, uint32_t uid, uint32_t gid)
{
	return &people->slot[(uid * UINT32_C(2654435761) + gid * UINT32_C(2246822519)) >> 24];
}

/* What is known, with a reference; @ret_ask: it is on the caller to ask anew. */
static struct known *look(struct people *people, uint32_t uid, uint32_t gid, bool *ret_ask)
{
	struct known *known;

	(void)pthread_mutex_lock(&people->lock);
	known = *slot_of(people, uid, gid);
	if (known && (known->person.uid != uid || known->person.gid != gid))
		known = NULL;
	*ret_ask = !known || (!known->asking && time_monotonic_ms() - known->asked_ms > KNOWN_MS);
	if (known) {
		known->asking |= *ret_ask;
		atomic_fetch_add(&known->references, 1);
	}
	(void)pthread_mutex_unlock(&people->lock);
	return known;
}

/* @known takes the place of whoever stands there */
static void keep(struct people *people, struct known *known)
{
	struct known **slot = slot_of(people, known->person.uid, known->person.gid), *old;

	atomic_fetch_add(&known->references, 1);
	(void)pthread_mutex_lock(&people->lock);
	old = *slot;
	*slot = known;
	(void)pthread_mutex_unlock(&people->lock);
	known_unref(old);
}

/* The database does not answer: what is known holds for another minute. */
static void keep_old(struct people *people, struct known *known)
{
	(void)pthread_mutex_lock(&people->lock);
	known->asked_ms = time_monotonic_ms();
	known->asking = false;
	(void)pthread_mutex_unlock(&people->lock);
}

int people_get(struct people *people, uint32_t uid, uint32_t gid, const struct person **ret)
{
	struct known *fresh = NULL, *old;
	bool wanted;
	int r;

	old = look(people, uid, gid, &wanted);
	if (wanted) {
		r = ask(uid, gid, &fresh);
		if (r < 0 && !old)
			return r;
		if (r < 0) {
			keep_old(people, old);
		} else {
			keep(people, fresh);
			known_unref(old);
			old = fresh;
		}
	}
	*ret = &old->person;
	return 0;
}
