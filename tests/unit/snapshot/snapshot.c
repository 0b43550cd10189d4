/* SPDX-License-Identifier: MIT */
/* tests/unit/snapshot/snapshot.c: real repositories, compared with what a plain search in their XML
 * finds. */
#include "tests/unit/snapshot/repository.h"

#include <fcntl.h>
#include <fnmatch.h>
#include <sys/stat.h>
#include <unistd.h>

/* strstr() for tags; under AddressSanitizer strstr() itself measures the whole document each time.
 */
static const char *find_tag(const char *at, const char *tag)
{
	size_t length = strlen(tag);

	while ((at = strchr(at, '<')) && strncmp(at, tag, length) != 0)
		at++;
	return at;
}

/* The next <package>…</package> at or behind *@at, as createrepo_c writes them; NULL: no more. */
static const char *next_element(const char **at, size_t *ret_length)
{
	const char *start = find_tag(*at, "<package "), *end;

	if (!start)
		return NULL;
	end = find_tag(start, "</package>");
	if (!end)
		return NULL;
	*at = end + strlen("</package>");
	*ret_length = (size_t)(*at - start);
	return start;
}

/* The text between @before and @after, first place in the element; unescaped only for &amp; */
static const char *between(const char *element, const char *before, const char *after)
{
	static char text[4096];
	const char *start = strstr(element, before), *end;
	size_t length = 0;

	if (!start)
		return "";
	start += strlen(before);
	end = strstr(start, after);
	for (; start < end; start++) {
		text[length++] = *start;
		if (strncmp(start, "&amp;", 5) == 0)
			start += 4;
	}
	text[length] = '\0';
	return text;
}

static void compare_facts(const struct snapshot_package *package, const char *element)
{
	char number[32];

	CHECK_STR(package->name, between(element, "<name>", "</name>"));
	CHECK_STR(package->arch, between(element, "<arch>", "</arch>"));
	CHECK_STR(package->version, between(element, " ver=\"", "\""));
	CHECK_STR(package->release, between(element, " rel=\"", "\""));
	(void)snprintf(number, sizeof(number), "%" PRIu32, package->epoch);
	CHECK_STR(number, between(element, " epoch=\"", "\""));
	CHECK_STR(package->href, between(element, "<location href=\"", "\""));
	CHECK_STR(package->checksum_type, between(element, "<checksum type=\"", "\""));
	CHECK_STR(package->checksum, between(element, "pkgid=\"YES\">", "<"));
	CHECK_STR(package->sourcerpm, between(element, "<rpm:sourcerpm>", "<"));
	(void)snprintf(number, sizeof(number), "%" PRIu64, package->size);
	CHECK_STR(number, between(element, "<size package=\"", "\""));
	(void)snprintf(number, sizeof(number), "%" PRId64, package->time_file);
	CHECK_STR(number, between(element, "<time file=\"", "\""));
	CHECK_STR(package->base, "");
	CHECK(package->source == (strcmp(package->arch, "src") == 0));
	CHECK(package->debug == (fnmatch("*-debuginfo", package->name, 0) == 0 ||
				 fnmatch("*-debuginfo-*", package->name, 0) == 0 ||
				 fnmatch("*-debugsource", package->name, 0) == 0));
}

/* All of primary: facts, bytes, and the place of <location>. */
static void compare_primary(struct snapshot *snapshot, const char *document)
{
	const char *at = document, *element;
	struct text text = { 0 };
	struct error err = { 0 };
	size_t length = 0, location[2];
	uint32_t i = 0;

	for (; (element = next_element(&at, &length)); i++) {
		struct snapshot_package package;
		char *copy = strndup(element, length);

		CHECK(i < snapshot_count(snapshot));
		if (i >= snapshot_count(snapshot)) {
			free(copy);
			break;
		}
		snapshot_package_get(snapshot, i, &package);
		compare_facts(&package, copy);
		text_clear(&text);
		(void)text_adds(&text, "before");
		CHECK_INT(snapshot_element(snapshot, SNAPSHOT_PRIMARY, i, &text, location, &err),
			  0);
		CHECK_INT(text.length, length + 6);
		CHECK(text.length == length + 6 && !memcmp(text.data + 6, copy, length));
		CHECK(location[0] + location[1] < length);
		CHECK(!strncmp(copy + location[0], "<location href=\"", 16));
		CHECK(!strncmp(copy + location[0] + location[1] - 2, "/>", 2));
		free(copy);
	}
	CHECK_INT(i, snapshot_count(snapshot));
	text_done(&text);
}

/* Filelists or other: in createrepo_c's order, which is that of primary. */
static void compare_stream(struct snapshot *snapshot, enum snapshot_stream stream,
			   const char *document)
{
	const char *at = document, *element;
	struct text text = { 0 };
	struct error err = { 0 };
	size_t length = 0;

	for (uint32_t i = 0; i < snapshot_count(snapshot); i++) {
		element = next_element(&at, &length);
		text_clear(&text);
		CHECK_INT(snapshot_element(snapshot, stream, i, &text, NULL, &err), 0);
		CHECK(element && text.length == length && !memcmp(text.data, element, length));
	}
	CHECK(!next_element(&at, &length));
	text_done(&text);
}

static void compare_folder(struct snapshot *snapshot, const char *folder, bool all)
{
	size_t length;
	char *document = repository_inflated(folder, "primary", &length);

	compare_primary(snapshot, document);
	free(document);
	if (!all)
		return;
	document = repository_inflated(folder, "filelists", &length);
	compare_stream(snapshot, SNAPSHOT_FILELISTS, document);
	free(document);
	document = repository_inflated(folder, "other", &length);
	compare_stream(snapshot, SNAPSHOT_OTHER, document);
	free(document);
}

static int count_found(void *data, uint32_t index, const char *path)
{
	struct text *text = data;

	return text_addf(text, "%" PRIu32 " %s\n", index, path);
}

static uint32_t find_name(const struct snapshot *snapshot, const char *name)
{
	struct snapshot_package package;

	for (uint32_t i = 0; i < snapshot_count(snapshot); i++) {
		snapshot_package_get(snapshot, i, &package);
		if (strcmp(package.name, name) == 0)
			return i;
	}
	return UINT32_MAX;
}

static void test_universe(void)
{
	static const char folder[] = SOURCE_ROOT "/tests/data/universe-small/base";
	struct repository repository;
	_cleanup_(snapshot_freep) struct snapshot *snapshot = NULL, *again = NULL;
	struct strings paths = { 0 };
	struct text found = { 0 }, want = { 0 };
	struct error err = { 0 };
	FILE *solv = NULL;
	char magic[4];

	repository_start(&repository, folder);
	CHECK_INT(repository_build(&repository, &snapshot, &err), 0);
	CHECK_STR(err.message, "");
	CHECK_STR(repository.log.data, "");
	CHECK_INT(repository.opened, 3);
	CHECK_INT(snapshot_count(snapshot), 300);
	CHECK_INT(snapshot_revision(snapshot), 1700000000);
	CHECK_INT(snapshot_timestamp(snapshot), 1700000000);
	compare_folder(snapshot, folder, true);

	CHECK_INT(snapshot_solv(snapshot, &solv, &err), 0);
	CHECK(fread(magic, 1, 4, solv) == 4 && !memcmp(magic, "SOLV", 4));
	fclosep(&solv);
	CHECK_INT(snapshot_modules(snapshot, &found, &err), -ENOENT);

	/* known when it was built (somebody here requires it), and found by searching */
	CHECK_INT(strings_add(&paths, "/bin/sh"), 0);
	CHECK_INT(strings_add(&paths, "/nowhere/at/all"), 0);
	CHECK_INT(strings_add(&paths, "/usr/share/man/man8/nginx.8.gz"), 0);
	CHECK_INT(snapshot_find_paths(snapshot, &paths, count_found, &found, &err), 0);
	(void)text_addf(&want, "%" PRIu32 " /bin/sh\n", find_name(snapshot, "dash"));
	CHECK(found.length && strstr(found.data, want.data));
	CHECK(!strstr(found.data, "/nowhere"));
	text_done(&found);
	text_done(&want);
	strings_done(&paths);

	CHECK_INT(snapshot_open(repository.snapshots, snapshot_digest(snapshot), &again, &err), 0);
	CHECK_INT(snapshot_count(again), 300);
	repository_done(&repository);
}

/* What filelists say by themselves: every file of them is found again, by search and one at a time.
 */
static void test_every_path(void)
{
	static const char folder[] = SOURCE_ROOT "/tests/data/universe-small/updates";
	_cleanup_(snapshot_freep) struct snapshot *snapshot = NULL;
	struct repository repository;
	struct error err = { 0 };
	size_t length = 0, searched = 0;
	char *document = repository_inflated(folder, "filelists", &length);
	const char *at = document, *element;

	repository_start(&repository, folder);
	CHECK_INT(repository_build(&repository, &snapshot, &err), 0);
	for (uint32_t i = 0; (element = next_element(&at, &length)); i++) {
		char *copy = strndup(element, length), *file = copy;

		while ((file = strstr(file, "<file"))) {
			struct strings paths = { 0 };
			struct text found = { 0 }, want = { 0 };

			CHECK_INT(strings_add(&paths, between(file, ">", "<")), 0);
			(void)text_addf(&want, "%" PRIu32 " %s\n", i, paths.item[0]);
			CHECK_INT(snapshot_find_paths(snapshot, &paths, count_found, &found, &err),
				  0);
			CHECK(found.data && strstr(found.data, want.data));
			text_done(&found);
			text_done(&want);
			strings_done(&paths);
			searched++;
			file++;
		}
		free(copy);
	}
	CHECK(searched > 200);
	free(document);
	repository_done(&repository);
}

/* Each package twice, once at a location that is not there; sources, debuginfo, modules. */
static void test_ed(void)
{
	char path[4096], *document;
	const char *folder = shared_data("ed-repo", path);
	_cleanup_(snapshot_freep) struct snapshot *snapshot = NULL;
	struct repository repository;
	struct snapshot_package package;
	struct text text = { 0 };
	struct error err = { 0 };
	uint32_t index = 99;
	size_t length;

	if (!folder)
		return;
	repository_start(&repository, folder);
	CHECK_INT(repository_build(&repository, &snapshot, &err), 0);
	CHECK_INT(snapshot_count(snapshot), 10);
	CHECK_INT(snapshot_timestamp(snapshot), 1496834160); /* that of modules */
	CHECK_STR(repository.log.data, "5 packages are listed again with a checksum seen before\n");
	compare_folder(snapshot, folder, true);
	CHECK_INT(snapshot_find_source(snapshot, "ed-1.14.1-2.module_fd8ca23e.src.rpm", &index), 0);
	snapshot_package_get(snapshot, index, &package);
	CHECK(package.source && !strchr(package.href, '/'));
	CHECK_STR(package.name, "ed");
	CHECK_INT(snapshot_find_source(snapshot, "ed-1.14.1-2.module_fd8ca23e.x86_64.rpm", &index),
		  -ENOENT);
	CHECK_INT(snapshot_find_source(snapshot, "", &index), -ENOENT);
	CHECK_INT(snapshot_modules(snapshot, &text, &err), 0);
	document = repository_inflated(folder, "modules", &length);
	CHECK(text.length == length && !memcmp(text.data, document, length));
	free(document);
	text_done(&text);
	repository_done(&repository);
}

/* A revision that is no number, modules in xz, filelists without packages, no other.xml. */
static void test_centos(void)
{
	char path[4096], *document;
	const char *folder = shared_data("centos-stream-9", path);
	_cleanup_(snapshot_freep) struct snapshot *snapshot = NULL;
	struct repository repository;
	struct snapshot_package package;
	struct text text = { 0 }, want = { 0 };
	struct error err = { 0 };
	size_t length;

	if (!folder)
		return;
	repository_start(&repository, folder);
	CHECK_INT(repository_build(&repository, &snapshot, &err), 0);
	CHECK_STR(err.message, "");
	CHECK_INT(snapshot_count(snapshot), 17649);
	CHECK_INT(repository.progressed, 1); /* every 32 MiB of 49 */
	CHECK_INT(snapshot_revision(snapshot), -1);
	CHECK_INT(snapshot_timestamp(snapshot), 1736761580);
	CHECK(strstr(repository.log.data, "is not there: changelogs stay empty\n"));
	CHECK(strstr(repository.log.data,
		     "-filelists.xml.gz: the open-checksum in repomd.xml is not"));
	CHECK(strstr(repository.log.data,
		     "filelists.xml: 17649 packages of primary.xml have no element\n"));
	compare_folder(snapshot, folder, false);

	snapshot_package_get(snapshot, 7, &package);
	(void)text_addf(&want,
			"<package pkgid=\"%s\" name=\"%s\" arch=\"%s\">\n"
			"  <version epoch=\"%" PRIu32 "\" ver=\"%s\" rel=\"%s\"/>\n</package>",
			package.checksum, package.name, package.arch, package.epoch,
			package.version, package.release);
	CHECK_INT(snapshot_element(snapshot, SNAPSHOT_OTHER, 7, &text, NULL, &err), 0);
	CHECK_STR(text.data, want.data);
	text_clear(&text);
	CHECK_INT(snapshot_element(snapshot, SNAPSHOT_FILELISTS, 7, &text, NULL, &err), 0);
	CHECK_STR(text.data, want.data);
	text_clear(&text);
	CHECK_INT(snapshot_modules(snapshot, &text, &err), 0);
	document = repository_inflated(folder, "modules", &length);
	CHECK(text.length == length && !memcmp(text.data, document, length));
	free(document);
	text_done(&text);
	text_done(&want);
	repository_done(&repository);
}

/* The same repository in every compression gives the same elements. */
static void test_compressions(void)
{
	static const char folder[] = SOURCE_ROOT "/tests/data/universe-small/updates";
	static const char *const filters[] = { NULL, "gzip -c", "zstd -qc", "xz -c", "bzip2 -c" };
	static const char *const types[] = { "primary", "filelists", "other" };

	for (size_t i = 0; i < ARRAY_SIZE(filters); i++) {
		_cleanup_(snapshot_freep) struct snapshot *snapshot = NULL;
		struct repository repository;
		struct error err = { 0 };
		bool fine = true;

		repository_start(&repository, NULL);
		for (size_t k = 0; fine && k < ARRAY_SIZE(types); k++) {
			size_t length;
			char *document = repository_inflated(folder, types[k], &length);

			fine = repository_add(&repository, types[k], document, length, filters[i],
					      NULL);
			free(document);
		}
		if (fine) {
			CHECK_INT(repository_build(&repository, &snapshot, &err), 0);
			CHECK_STR(err.message, "");
			CHECK_INT(snapshot_timestamp(snapshot), 1500000000);
			compare_folder(snapshot, folder, true);
		}
		repository_done(&repository);
	}
}

/* What createrepo_c itself writes with other compressions. */
static void test_createrepo(void)
{
	static const char *const types[] = { "zstd", "xz", "bz2" };
	static const char folder[] = SOURCE_ROOT "/tests/data/universe-small/updates";

	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		_cleanup_(snapshot_freep) struct snapshot *snapshot = NULL;
		struct repository repository;
		char command[1024], output[96];
		struct error err = { 0 };

		repository_start(&repository, output);
		(void)snprintf(output, sizeof(output), "%s/out", repository.path);
		(void)snprintf(command, sizeof(command),
			       "createrepo_c -q --no-database --general-compress-type=%s -o %s %s "
			       ">/dev/null 2>&1",
			       types[i], output, folder);
		CHECK_INT(mkdirat(repository.snapshots, "out", 0755), 0);
		if (system(command) == 0) {
			CHECK_INT(repository_build(&repository, &snapshot, &err), 0);
			CHECK_STR(err.message, "");
			CHECK(snapshot && snapshot_count(snapshot) == 37);
		} else {
			printf("skipped: createrepo_c with %s cannot be run here\n", types[i]);
		}
		repository_done(&repository);
	}
}

/* ---- streams instead of files ------------------------------------------- */

/** struct fed - documents handed out by read(), a few bytes at a time */
struct fed {
	char *bytes[SNAPSHOT_STREAMS];
	size_t length[SNAPSHOT_STREAMS], at[SNAPSHOT_STREAMS], step;
	enum snapshot_stream fail;
	size_t fail_at; /* SIZE_MAX: nowhere */
};

static ssize_t feed(void *data, enum snapshot_stream stream, void *buffer, size_t length,
		    struct error *err)
{
	struct fed *fed = data;
	size_t left = fed->length[stream] - fed->at[stream];
	size_t n = length < fed->step ? length : fed->step;

	if (stream == fed->fail && fed->at[stream] >= fed->fail_at)
		return error_set(err, -ESTALE, BLAME_SOURCE, NULL, "a file changes");
	n = n < left ? n : left;
	memcpy(buffer, fed->bytes[stream] + fed->at[stream], n);
	fed->at[stream] += n;
	return (ssize_t)n;
}

static int build_fed(struct repository *repository, struct fed *fed, struct snapshot **ret,
		     struct error *err)
{
	static const char *const types[] = { "primary", "filelists", "other" };
	struct snapshot_reader reader = { .read = feed, .data = fed };
	struct repomd_record record[SNAPSHOT_STREAMS];
	struct repomd repomd = { .revision = -1, .record = record, .count = SNAPSHOT_STREAMS };
	int r;

	memset(repomd.digest, 'a', DIGEST_HEX_SIZE - 1);
	for (int i = 0; i < SNAPSHOT_STREAMS; i++) {
		record[i] = (struct repomd_record){ .type = (char *)(uintptr_t)types[i],
						    .href = (char *)(uintptr_t)types[i],
						    .timestamp = -1,
						    .size = -1,
						    .open_size = -1 };
		fed->at[i] = 0;
	}
	r = snapshot_build(repository->snapshots, &repomd, &reader, NULL, err);
	return r < 0 ? r : snapshot_open(repository->snapshots, repomd.digest, ret, err);
}

static void test_fed(void)
{
	static const char *const types[] = { "primary", "filelists", "other" };
	struct fed fed = { .step = 4000, .fail_at = SIZE_MAX };
	struct snapshot *snapshot = NULL;
	struct repository repository;
	struct error err = { 0 };

	repository_start(&repository, NULL);
	for (int i = 0; i < SNAPSHOT_STREAMS; i++)
		fed.bytes[i] = repository_inflated(SOURCE_ROOT "/tests/data/universe-small/updates",
						   types[i], &fed.length[i]);
	CHECK_INT(build_fed(&repository, &fed, &snapshot, &err), 0);
	CHECK_STR(err.message, "");
	if (snapshot) {
		CHECK(snapshot_count(snapshot) > 0);
		CHECK_INT(snapshot_revision(snapshot), -1);
		compare_primary(snapshot, fed.bytes[SNAPSHOT_PRIMARY]);
		for (int i = 0; i < SNAPSHOT_STREAMS; i++)
			CHECK_INT(fed.at[i], fed.length[i]);
	}
	snapshot_free(snapshot);
	for (int i = 0; i < SNAPSHOT_STREAMS; i++) {
		char digest[DIGEST_HEX_SIZE] = "";

		memset(digest, 'a', DIGEST_HEX_SIZE - 1);
		CHECK_INT(directory_remove(repository.snapshots, digest), 0);
		fed.fail = (enum snapshot_stream)i;
		fed.fail_at = 4000;
		CHECK_INT(build_fed(&repository, &fed, &snapshot, &err), -ESTALE);
		CHECK_STR(err.message, "a file changes");
		repository_check_empty(&repository);
	}
	for (int i = 0; i < SNAPSHOT_STREAMS; i++)
		free(fed.bytes[i]);
	repository_done(&repository);
}

int main(void)
{
	test_fed();
	test_universe();
	test_every_path();
	test_ed();
	test_centos();
	test_compressions();
	test_createrepo();
	TEST_END();
}
