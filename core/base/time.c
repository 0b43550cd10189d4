/* SPDX-License-Identifier: MIT */
/* core/base/time.c: reading the clock and printing what it says. */
#include "core/base/base.h"

#include <time.h>

int64_t time_now(void)
{
	return (int64_t)time(NULL);
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
