/* SPDX-License-Identifier: MIT */
/* tests/unit/daemon/people.c: what is remembered of the user database, and who waits for it.
 *
 * The C library's questions are answered here: names and groups as the test says, as slowly as it
 * says, by a clock that it sets. */
#include "core/daemon/people.h"
#include "tests/unit/test.h"

#include <grp.h>
#include <pthread.h>
#include <pwd.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define MINUTE_MS 60000
#define SLOW_MS 400
#define ALICE 4001
#define UNNAMED 4002

static _Atomic int asked, answer, slow_ms, second_group = 300;
static _Atomic int64_t clock_ms;

/* ---- the user database ---------------------------------------------------- */

int getpwuid_r(uid_t uid, struct passwd *entry, char *buffer, size_t size, struct passwd **ret)
{
	static char alice[] = "alice";

	atomic_fetch_add(&asked, 1);
	if (slow_ms)
		(void)usleep((useconds_t)slow_ms * 1000);
	*ret = NULL;
	if (answer)
		return answer;
	if (size < 16384)
		return ERANGE; /* a long entry */
	if (uid != ALICE)
		return 0;
	*entry = (struct passwd){ .pw_name = alice, .pw_uid = uid, .pw_gid = 100 };
	*ret = entry;
	return 0;
}

int getgrgid_r(gid_t gid, struct group *entry, char *buffer, size_t size, struct group **ret)
{
	if (size < 64)
		return ERANGE;
	*ret = NULL;
	if (gid == 999)
		return 0; /* a number without a name */
	(void)snprintf(buffer, size, "group%u", gid);
	*entry = (struct group){ .gr_name = buffer, .gr_gid = gid };
	*ret = entry;
	return 0;
}

int getgrouplist(const char *user, gid_t gid, gid_t *groups, int *count)
{
	const gid_t all[] = { gid, (gid_t)second_group, 999 };
	int room = *count;

	*count = 3;
	if (room < 3)
		return -1;
	memcpy(groups, all, sizeof(all));
	return 3;
}

int clock_gettime(clockid_t id, struct timespec *ret)
{
	int r = (int)syscall(SYS_clock_gettime, id, ret);

	ret->tv_sec += clock_ms / 1000;
	return r;
}

/* ---- cases ------------------------------------------------------------------ */

static char *look(struct people *people, uint32_t uid, uint32_t gid)
{
	_cleanup_(person_unrefp) const struct person *person = NULL;
	_cleanup_(freep) char *groups = NULL;
	char *words = NULL;
	int r = people_get(people, uid, gid, &person);

	if (r < 0)
		return asprintf(&words, "error %d", -r) < 0 ? NULL : words;
	groups = strings_join(&person->groups, ",");
	return asprintf(&words, "%s: %s", person->name, groups) < 0 ? NULL : words;
}

#define CHECK_LOOK(uid, gid, want)                                                                 \
	do {                                                                                       \
		_cleanup_(freep) char *words_ = look(people, uid, gid);                            \
		CHECK_STR(words_, want);                                                           \
	} while (0)

static void test_remembered(struct people *people)
{
	CHECK_LOOK(ALICE, 100, "alice: group100,group300");
	CHECK_LOOK(ALICE, 200, "alice: group100,group300,group200"); /* a group by newgrp(1) */
	CHECK_LOOK(ALICE, 999, "alice: group100,group300");
	CHECK_LOOK(UNNAMED, 100, "4002: group100");
	asked = 0;
	CHECK_LOOK(ALICE, 100, "alice: group100,group300");
	CHECK_LOOK(UNNAMED, 100, "4002: group100");
	CHECK_INT(asked, 0);
	second_group = 301;
	clock_ms += MINUTE_MS - 5000;
	CHECK_LOOK(ALICE, 100, "alice: group100,group300");
	clock_ms += 10000;
	CHECK_LOOK(ALICE, 100, "alice: group100,group301");
	CHECK(asked >= 1);
	second_group = 302;
	people_forget(people);
	CHECK_LOOK(ALICE, 100, "alice: group100,group302");
}

static void test_failing(struct people *people)
{
	answer = EIO;
	asked = 0;
	CHECK_LOOK(ALICE, 100, "alice: group100,group302"); /* known still */
	clock_ms += 2 * MINUTE_MS;
	CHECK_LOOK(ALICE, 100, "alice: group100,group302");
	CHECK_INT(asked, 1);
	CHECK_LOOK(ALICE, 100, "alice: group100,group302"); /* and not asked each time */
	CHECK_INT(asked, 1);
	CHECK_LOOK(5000, 5000, "error 5");
	answer = ENOENT; /* some databases say so for "no such user" */
	CHECK_LOOK(5000, 5000, "5000: group5000");
	answer = 0;
	clock_ms += 2 * MINUTE_MS;
	CHECK_LOOK(ALICE, 100, "alice: group100,group302");
}

static void *asker(void *data)
{
	free(look(data, ALICE, 100));
	return NULL;
}

/* One asks anew and waits; who comes meanwhile takes what is known. */
static void test_slow(struct people *people)
{
	pthread_t thread;
	int64_t begin;

	clock_ms += 2 * MINUTE_MS;
	second_group = 303;
	slow_ms = SLOW_MS;
	asked = 0;
	CHECK_INT(pthread_create(&thread, NULL, asker, people), 0);
	while (!asked)
		(void)usleep(1000);
	begin = time_monotonic_ms();
	for (int i = 0; i < 1000; i++)
		CHECK_LOOK(ALICE, 100, "alice: group100,group302");
	CHECK(time_monotonic_ms() - begin < SLOW_MS / 2);
	CHECK_INT(pthread_join(thread, NULL), 0);
	slow_ms = 0;
	CHECK_LOOK(ALICE, 100, "alice: group100,group303");
}

static void *many(void *data)
{
	for (uint32_t i = 0; i < 2000; i++) {
		free(look(data, ALICE, i % 700));
		if (i % 500 == 0)
			people_forget(data);
	}
	return NULL;
}

static void test_threads(struct people *people)
{
	pthread_t thread[4];

	for (size_t i = 0; i < ARRAY_SIZE(thread); i++)
		CHECK_INT(pthread_create(&thread[i], NULL, many, people), 0);
	for (size_t i = 0; i < ARRAY_SIZE(thread); i++)
		CHECK_INT(pthread_join(thread[i], NULL), 0);
	CHECK_LOOK(ALICE, 100, "alice: group100,group303");
}

int main(void)
{
	struct people *people = NULL;

	CHECK_INT(people_new(&people), 0);
	test_remembered(people);
	test_failing(people);
	test_slow(people);
	test_threads(people);
	people_free(people);
	TEST_END();
}
