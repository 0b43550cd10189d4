/* SPDX-License-Identifier: MIT */
/* core/base/time.c: reading the clock and printing what it says. */
#include "core/base/base.h"

#include <pthread.h>
#include <time.h>

#define JUMP_SECONDS 5 /* a smaller difference is slewing, not a jump */
#define HOLD_MS 60000  /* a jump that is taken back within this time changes nothing */

/* The believed clock: real_base + (monotonic - monotonic_base). */
static struct {
	pthread_mutex_t lock;
	bool known;
	int64_t real_base, monotonic_base_ms;
	int64_t jump_since_ms; /* 0: no jump under watch */
} believed = { .lock = PTHREAD_MUTEX_INITIALIZER };

/* under the lock */
static int64_t believe(int64_t real, int64_t monotonic)
{
	int64_t expected = believed.real_base + (monotonic - believed.monotonic_base_ms) / 1000;
	int64_t drift = real - expected;

	if (believed.known && (drift <= -JUMP_SECONDS || drift >= JUMP_SECONDS)) {
		if (!believed.jump_since_ms) {
			believed.jump_since_ms = monotonic;
			log_warning("the clock jumped by %" PRId64
				    " s; believed in %d s if it stays so",
				    drift, HOLD_MS / 1000);
		}
		if (monotonic - believed.jump_since_ms < HOLD_MS)
			return expected;
	}
	believed.known = true;
	believed.jump_since_ms = 0;
	believed.real_base = real;
	believed.monotonic_base_ms = monotonic;
	return real;
}

int64_t time_now(void)
{
	int64_t now;

	(void)pthread_mutex_lock(&believed.lock);
	now = believe((int64_t)time(NULL), time_monotonic_ms());
	(void)pthread_mutex_unlock(&believed.lock);
	return now;
}

int64_t time_monotonic_ms(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void split_utc(int64_t seconds, struct tm *ret)
{
	time_t at = (time_t)seconds;

	if (!gmtime_r(&at, ret) || ret->tm_year > 9999 - 1900) /* no year that ISO 8601 can print */
		*ret = (struct tm){ .tm_year = 9999 - 1900, .tm_mon = 11, .tm_mday = 31 };
}

const char *time_iso(int64_t time, char buffer[static TIME_ISO_SIZE])
{
	struct tm parts;

	split_utc(time, &parts);
	if (!strftime(buffer, TIME_ISO_SIZE, "%Y-%m-%dT%H:%M:%SZ", &parts))
		buffer[0] = '\0';
	return buffer;
}

const char *time_date(int64_t time, char buffer[static TIME_ISO_SIZE])
{
	struct tm parts;

	split_utc(time, &parts);
	if (!strftime(buffer, TIME_ISO_SIZE, "%Y%m%d", &parts))
		buffer[0] = '\0';
	return buffer;
}
