/* SPDX-License-Identifier: MIT */
/* tests/unit/catalogue/common.h: a catalogue in a folder of its own, a clock to turn, and requests.
 */
#pragma once

#include "core/catalogue/catalogue.h"
#include "tests/unit/test.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <unistd.h>

#define TEST_START 1700000000 /* 2023-11-14 */
#define TEST_DIGEST "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

static _Atomic int64_t test_clock = TEST_START;
static char test_folder[64];

static inline int64_t test_now(void)
{
	return atomic_load(&test_clock);
}

static inline void test_advance(int64_t seconds)
{
	atomic_fetch_add(&test_clock, seconds);
}

static inline void test_begin(void)
{
	(void)snprintf(test_folder, sizeof(test_folder), "/tmp/odcsfs-catalogue-XXXXXX");
	if (!mkdtemp(test_folder)) {
		perror(test_folder);
		exit(1);
	}
}

static inline void test_finish(void)
{
	CHECK_INT(directory_remove(AT_FDCWD, test_folder), 0);
}

static inline const char *test_path(const char *name)
{
	static _Thread_local char path[128];

	(void)snprintf(path, sizeof(path), "%s/%s", test_folder, name);
	return path;
}

/* Open or give up: nothing else can be tested. */
static inline struct catalogue *test_open(const char *path)
{
	struct catalogue *catalogue = NULL;
	struct error err = { 0 };

	if (catalogue_open(path, test_now, &catalogue, &err) < 0) {
		fprintf(stderr, "%s\n", err.message);
		exit(1);
	}
	return catalogue;
}

#define TEST_TEXT                                                                                  \
	"{\"source\":{\"type\":\"tag\",\"source\":\"f26\",\"packages\":[\"httpd\"]},"              \
	"\"seconds_to_live\":1000}"

static inline struct spec *test_spec(const char *text)
{
	struct strings arches = { 0 }, none = { 0 };
	struct spec_rules rules = {
		.default_seconds_to_live = 86400,
		.maximum_seconds_to_live = 259200,
		.default_arches = &arches,
		.base_module_names = &none,
		.target_dirs = &none,
		.raw_configs = &none,
		.maximum_packages = SPEC_MAX_PACKAGES,
	};
	struct error err = { 0 };
	struct spec *spec = NULL;

	if (strings_add(&arches, "x86_64") < 0 ||
	    spec_parse(text, strlen(text), &rules, &spec, NULL, NULL, &err) < 0) {
		fprintf(stderr, "%s: %s\n", text, err.message);
		exit(1);
	}
	strings_done(&arches);
	return spec;
}

/* The id, or a negative errno. */
static inline int64_t test_submit_text(struct catalogue *catalogue, const char *owner,
				       const char *text, struct error *err)
{
	_cleanup_(spec_freep) struct spec *spec = test_spec(text);
	struct submission submission = {
		.owner = owner,
		.uid = 1000,
		.gid = 1000,
		.spec = spec,
		.text = text,
		.text_length = strlen(text),
	};
	int64_t id = 0;
	int r = catalogue_submit(catalogue, &submission, &id, NULL, err);

	return r < 0 ? r : id;
}

static inline int64_t test_submit(struct catalogue *catalogue, const char *owner)
{
	return test_submit_text(catalogue, owner, TEST_TEXT, NULL);
}

/* The id claimed, 0 when there was none, or a negative errno. */
static inline int64_t test_claim(struct catalogue *catalogue)
{
	_cleanup_(compose_freep) struct compose *compose = NULL;
	int r = catalogue_claim(catalogue, &compose, NULL);

	return r > 0 ? compose->id : r;
}

static inline int test_finish_compose(struct catalogue *catalogue, int64_t id, struct error *err)
{
	char digest[] = TEST_DIGEST;
	struct outcome outcome = {
		.id = id,
		.manifest = digest,
		.koji_event = -1,
		.packages_count = 151,
		.size_bytes = 1 << 20,
	};

	return catalogue_finish(catalogue, id, &outcome, err);
}

static inline struct compose *test_get(struct catalogue *catalogue, int64_t id)
{
	struct compose *compose = NULL;
	struct error err = { 0 };

	if (catalogue_get(catalogue, id, &compose, &err) < 0) {
		fprintf(stderr, "compose %" PRId64 ": %s\n", id, err.message);
		exit(1);
	}
	return compose;
}

static inline bool test_count(void *data, const struct compose *compose _unused_)
{
	(*(int64_t *)data)++;
	return false;
}
