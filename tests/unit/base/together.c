/* SPDX-License-Identifier: MIT */
/* tests/unit/base/together.c: many small things in several threads: all are done, the first
 * failure is the answer. */
#include "tests/unit/test.h"

#include <stdatomic.h>
#include <unistd.h>

#define COUNT 2000

struct counted {
	_Atomic unsigned int done[COUNT], threads, under_way, most;
	size_t fail_at, fail_too; /* SIZE_MAX: none */
	int64_t wait_us;
	unsigned int told;
	size_t last_told;
};

static int one(void *data, unsigned int thread, size_t index, struct error *err)
{
	struct counted *counted = data;
	unsigned int now = atomic_fetch_add(&counted->under_way, 1) + 1;
	unsigned int most = atomic_load(&counted->most);

	while (now > most && !atomic_compare_exchange_weak(&counted->most, &most, now))
		;
	atomic_fetch_or(&counted->threads, 1u << thread);
	atomic_fetch_add(&counted->done[index], 1);
	if (counted->wait_us)
		(void)usleep((useconds_t)counted->wait_us);
	atomic_fetch_sub(&counted->under_way, 1);
	if (index == counted->fail_at || index == counted->fail_too)
		return error_set(err, -ENOKEY, BLAME_SOURCE, NULL, "number %zu", index);
	return 0;
}

static void on_progress(void *data, size_t done)
{
	struct counted *counted = data;

	CHECK(done >= counted->last_told && done <= COUNT);
	counted->last_told = done;
	counted->told++;
}

static void test_all(void)
{
	static struct counted counted;
	struct together work = { .one = one, .progress = on_progress, .data = &counted };
	struct error err = { 0 };

	counted.fail_at = counted.fail_too = SIZE_MAX;
	CHECK_INT(together(&work, &err), 0); /* nothing to do */
	CHECK_INT(counted.threads, 0);
	work.count = 1;
	CHECK_INT(together(&work, &err), 0);
	CHECK_INT(counted.threads, 1);
	work.count = COUNT;
	counted.wait_us = 500;
	CHECK_INT(together(&work, &err), 0);
	CHECK_INT(counted.done[0], 2);
	for (size_t i = 1; i < COUNT; i++)
		CHECK_INT(counted.done[i], 1);
	CHECK_INT(counted.threads, (1u << TOGETHER_THREADS_MAX) - 1);
	CHECK(counted.most > 1 && counted.most <= TOGETHER_THREADS_MAX);
	CHECK(counted.told > 0);
	CHECK_INT(counted.last_told, COUNT); /* the end is told */
	CHECK_INT(err.code, 0);
	counted.threads = counted.most = 0;
	counted.last_told = 0;
	work.threads = 2;
	CHECK_INT(together(&work, &err), 0);
	CHECK_INT(counted.threads, 3);
	CHECK(counted.most <= 2);
}

static void test_failure(void)
{
	static struct counted counted;
	struct together work = { .count = COUNT, .one = one, .data = &counted };
	struct error err = { 0 };
	size_t begun = 0;

	counted.fail_at = 5;
	counted.fail_too = 3;
	counted.wait_us = 2000;
	CHECK_INT(together(&work, &err), -ENOKEY);
	CHECK_STR(err.message, "number 3");
	CHECK_INT(err.blame, BLAME_SOURCE);
	for (size_t i = 0; i < COUNT; i++)
		begun += counted.done[i];
	CHECK(begun <= 3u * TOGETHER_THREADS_MAX); /* the rest is not begun */
	CHECK_INT(together(&work, NULL), -ENOKEY);
}

int main(void)
{
	test_all();
	test_failure();
	TEST_END();
}
