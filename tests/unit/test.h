/* SPDX-License-Identifier: MIT */
/* tests/unit/test.h: the smallest frame for a test program: checks that say where and what, a
 * count, and an exit code (0 pass, 1 fail, 77 skip with a reason). */
#pragma once

#include "core/base/base.h"

#include <unistd.h>

static unsigned int test_checks, test_failures;

#define CHECK(condition)                                                                           \
	do {                                                                                       \
		test_checks++;                                                                     \
		if (!(condition)) {                                                                \
			test_failures++;                                                           \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);            \
		}                                                                                  \
	} while (0)

#define CHECK_INT(got, want)                                                                       \
	do {                                                                                       \
		long long got_ = (long long)(got), want_ = (long long)(want);                      \
		test_checks++;                                                                     \
		if (got_ != want_) {                                                               \
			test_failures++;                                                           \
			fprintf(stderr, "%s:%d: %s is %lld, want %lld\n", __FILE__, __LINE__,      \
				#got, got_, want_);                                                \
		}                                                                                  \
	} while (0)

#define CHECK_STR(got, want)                                                                       \
	do {                                                                                       \
		const char *got_ = (got), *want_ = (want);                                         \
		test_checks++;                                                                     \
		if (!got_ || !want_ ? got_ != want_ : strcmp(got_, want_) != 0) {                  \
			test_failures++;                                                           \
			fprintf(stderr, "%s:%d: %s is «%s», want «%s»\n", __FILE__, __LINE__,      \
				#got, got_ ? got_ : "(null)", want_ ? want_ : "(null)");           \
		}                                                                                  \
	} while (0)

/* CHECK_WORDS() - does @got hold @want? */
#define CHECK_WORDS(got, want)                                                                     \
	do {                                                                                       \
		const char *text_ = (got);                                                         \
		if (text_ && strstr(text_, (want)))                                                \
			CHECK(true);                                                               \
		else                                                                               \
			CHECK_STR(text_, (want));                                                  \
	} while (0)

/* MUST() - in a child that has rights no more: a failed check ends it with 1 */
#define MUST(condition)                                                                            \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			fprintf(stderr, "%s:%d: %s (errno %d)\n", __FILE__, __LINE__, #condition,  \
				errno);                                                            \
			_exit(1);                                                                  \
		}                                                                                  \
	} while (0)

/* SANITIZED - memory and address space are not those of the program; the sandbox has no filter of
 * system calls */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED true
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED true
#endif
#endif
#ifndef SANITIZED
#define SANITIZED false
#endif

/* TEST_END() - last statement of main(): says the count; a program that checked nothing fails */
#define TEST_END()                                                                                 \
	do {                                                                                       \
		printf("%u checks, %u failed\n", test_checks, test_failures);                      \
		return test_failures || !test_checks;                                              \
	} while (0)

#define TEST_SKIP(...)                                                                             \
	do {                                                                                       \
		printf("skipped: ");                                                               \
		printf(__VA_ARGS__);                                                               \
		printf("\n");                                                                      \
		exit(77);                                                                          \
	} while (0)
