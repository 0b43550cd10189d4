/* SPDX-License-Identifier: MIT */
/* tests/unit/tree/file.c: package files: the bytes of the source as the worker saw it, or an error
 * in words (reliability.md 7). Real files, changed behind the service's back in every way we know.
 *
 * promises = 7 */
#include "tests/unit/test.h"
#include "tests/unit/tree/writer.h"

#define RPM "an RPM, as it were: lead, signature, header, payload"
#define PATH "Packages/b/bash-5-1.x86_64.rpm"

struct place {
	char path[64];
	int dirfd;
	struct tree_store *store;
	char base[160];
	struct tree *tree;
	uint32_t index;
};

/* One package, recorded as the file at @path below base/ is now. */
static void record(struct place *place, const char *path)
{
	char name[256], digest[DIGEST_HEX_SIZE];
	struct text bytes = { 0 };
	struct tree_node node;
	struct sample memory;
	struct stat st;

	(void)snprintf(name, sizeof(name), "base/%s", path);
	CHECK_INT(fstatat(place->dirfd, name, &st, 0), 0);
	const struct entry entry = { "compose/Temporary/x86_64/os/Packages/b/b.rpm",
				     MANIFEST_PACKAGE,
				     .size = (uint64_t)st.st_size,
				     .mtime = 1600000000,
				     .base = place->base,
				     .source_path = path,
				     .nevra = "bash-5-1.x86_64",
				     .source_mtime_ns =
					     (int64_t)((uint64_t)st.st_mtim.tv_sec * 1000000000 +
						       (uint64_t)st.st_mtim.tv_nsec),
				     .source_ino = st.st_ino };

	tree_unref(place->tree);
	write_manifest(&entry, 1, &bytes);
	put_digest(place->dirfd, "manifests", bytes.data, bytes.length, digest);
	text_done(&bytes);
	CHECK_INT(
		tree_open(place->store, sample(&memory, 1, STATE_DONE, digest), &place->tree, NULL),
		0);
	CHECK_INT(tree_find(place->tree, "compose/Temporary/x86_64/os/Packages/b/b.rpm", &node), 0);
	place->index = node.index;
}

static void place_open(struct place *place)
{
	_cleanup_(freep) char *real = NULL;

	*place = (struct place){ 0 };
	place->dirfd = test_folder(place->path);
	CHECK_INT(tree_store_open(place->dirfd, "http://host/composes", "/odcs/composes",
				  &place->store, NULL),
		  0);
	real = realpath(place->path, NULL); /* what a worker records */
	if (!real)
		abort();
	(void)snprintf(place->base, sizeof(place->base), "%s/base", real);
}

static void place_done(struct place *place)
{
	tree_unref(place->tree);
	tree_store_close(place->store);
	test_folder_done(place->path, place->dirfd);
}

/* The package's whole content, or that it is refused with @words. */
static void check_open(struct place *place, const char *words)
{
	struct error err = { 0 };
	struct tree_file file;
	char buffer[256];
	int r = tree_file_open(place->tree, place->index, &file, &err);

	CHECK_INT(r, words ? -EIO : 0);
	if (words && (!strstr(err.message, words) || !strstr(err.message, ".rpm") ||
		      err.blame != BLAME_SOURCE)) {
		fprintf(stderr, "«%s», want «%s»\n", err.message, words);
		CHECK(!"words");
	}
	if (r < 0) {
		if (!words)
			fprintf(stderr, "%s\n", err.message);
		return;
	}
	CHECK_INT(tree_file_read(&file, buffer, sizeof(buffer), 0), strlen(RPM));
	CHECK(!memcmp(buffer, RPM, strlen(RPM)));
	CHECK_INT(tree_file_read(&file, buffer, 5, 3), 5);
	CHECK(!memcmp(buffer, &RPM[3], 5));
	CHECK_INT(tree_file_read(&file, buffer, 5, strlen(RPM)), 0);
	CHECK(strchr(file.etag, '-') && file.size == strlen(RPM));
	tree_file_done(&file);
}

static void append(struct place *place, const char *path, const char *bytes)
{
	int fd = openat(place->dirfd, path, O_WRONLY | O_APPEND | O_CLOEXEC);

	CHECK(fd >= 0 && io_write(fd, bytes, strlen(bytes)) == 0);
	(void)close(fd);
}

static void test_changed(struct place *place)
{
	const struct timespec later[] = { { .tv_sec = 1700000000, .tv_nsec = 1 },
					  { .tv_sec = 1700000000, .tv_nsec = 1 } };
	struct tree_file file;
	struct stat st;
	char buffer[64];
	int fd;

	put_text(place->dirfd, "base/" PATH, RPM);
	record(place, PATH);
	check_open(place, NULL);

	append(place, "base/" PATH, "more");
	check_open(place, "changed since the compose was made: 52 bytes, now 56");

	put_text(place->dirfd, "base/" PATH, RPM); /* same bytes, another file, another time */
	check_open(place, "replaced since the compose was made");

	record(place, PATH);
	check_open(place, NULL);
	CHECK_INT(utimensat(place->dirfd, "base/" PATH, later, 0), 0);
	check_open(place, "replaced since the compose was made (mtime differs)");

	/* overwritten in place with as many bytes, and even the time put back: only the inode tells
	 */
	record(place, PATH);
	CHECK_INT(fstatat(place->dirfd, "base/" PATH, &st, 0), 0);
	CHECK_INT(renameat(place->dirfd, "base/" PATH, place->dirfd, "base/old"), 0);
	put_text(place->dirfd, "base/" PATH, RPM);
	CHECK_INT(utimensat(place->dirfd, "base/" PATH,
			    (const struct timespec[]){ st.st_atim, st.st_mtim }, 0),
		  0);
	check_open(place, "replaced since the compose was made (inode differs)");
	CHECK_INT(renameat(place->dirfd, "base/old", place->dirfd, "base/" PATH), 0);
	check_open(place, NULL);

	/* cut while it is open: an error, not a short file */
	CHECK_INT(tree_file_open(place->tree, place->index, &file, NULL), 0);
	fd = openat(place->dirfd, "base/" PATH, O_WRONLY | O_CLOEXEC);
	CHECK_INT(ftruncate(fd, 10), 0);
	(void)close(fd);
	CHECK_INT(tree_file_read(&file, buffer, 10, 0), 10);
	CHECK_INT(tree_file_read(&file, buffer, 11, 0), -EIO);
	CHECK_INT(tree_file_read(&file, buffer, 5, 20), -EIO);
	tree_file_done(&file);

	CHECK_INT(unlinkat(place->dirfd, "base/" PATH, 0), 0);
	check_open(place, "No such file");
	CHECK_INT(mkfifoat(place->dirfd, "base/" PATH, 0644), 0);
	check_open(place, "not a regular file"); /* and does not hang */
	CHECK_INT(unlinkat(place->dirfd, "base/" PATH, 0), 0);
}

/* Links inside the repository, out of it, and in the way to it. */
static void test_links(struct place *place)
{
	char target[160];

	put_text(place->dirfd, "base/pool/bash.rpm", RPM);
	CHECK_INT(symlinkat("../../pool/bash.rpm", place->dirfd, "base/" PATH), 0);
	record(place, PATH);
	check_open(place, NULL);

	CHECK_INT(unlinkat(place->dirfd, "base/" PATH, 0), 0);
	put_text(place->dirfd, "outside.rpm", RPM);
	CHECK_INT(fchmodat(place->dirfd, "outside.rpm", 0644, 0), 0);
	(void)snprintf(target, sizeof(target), "%s/outside.rpm", place->path);
	for (int i = 0; i < 2; i++) { /* absolute, then by .. */
		CHECK_INT(
			symlinkat(i ? "../../../outside.rpm" : target, place->dirfd, "base/" PATH),
			0);
		record(place, PATH);
		check_open(place, NULL);
		CHECK_INT(unlinkat(place->dirfd, "base/" PATH, 0), 0);
	}
	/* the same link, turned to something else after the compose was made */
	put_text(place->dirfd, "other.rpm", RPM);
	(void)snprintf(target, sizeof(target), "%s/other.rpm", place->path);
	CHECK_INT(symlinkat(target, place->dirfd, "base/" PATH), 0);
	check_open(place, "replaced since the compose was made");
	CHECK_INT(unlinkat(place->dirfd, "base/" PATH, 0), 0);
	CHECK_INT(symlinkat("/dev/zero", place->dirfd, "base/" PATH), 0);
	check_open(place, "not a regular file");
	CHECK_INT(unlinkat(place->dirfd, "base/" PATH, 0), 0);
	/* to a file that not everybody may read: its identity is no proof */
	(void)snprintf(target, sizeof(target), "%s/outside.rpm", place->path);
	CHECK_INT(symlinkat(target, place->dirfd, "base/" PATH), 0);
	record(place, PATH);
	CHECK_INT(fchmodat(place->dirfd, "outside.rpm", 0640, 0), 0);
	check_open(place, "not everybody may read");
	/* but where the base is one of the site's own, under whatever name */
	CHECK_INT(symlinkat("base", place->dirfd, "site"), 0);
	for (int i = 0; i < 3; i++) {
		static const char *const sites[] = { "elsewhere", ".", "site" };

		(void)snprintf(target, sizeof(target), "%s/%s", place->path, sites[i]);
		CHECK_INT(tree_store_site(place->store, target, NULL), 0);
		check_open(place, i < 2 ? "not everybody may read" : NULL);
	}
	CHECK_INT(unlinkat(place->dirfd, "site", 0), 0);
	CHECK_INT(fchmodat(place->dirfd, "outside.rpm", 0644, 0), 0);
	check_open(place, NULL);

	/* the base itself replaced by a link, even to where the files went */
	CHECK_INT(unlinkat(place->dirfd, "base/" PATH, 0), 0);
	put_text(place->dirfd, "base/" PATH, RPM);
	record(place, PATH);
	check_open(place, NULL);
	CHECK_INT(renameat(place->dirfd, "base", place->dirfd, "moved"), 0);
	check_open(place, "No such file");
	CHECK_INT(symlinkat("moved", place->dirfd, "base"), 0);
	check_open(place, "symbolic links");
	CHECK_INT(unlinkat(place->dirfd, "base", 0), 0);
	CHECK_INT(renameat(place->dirfd, "moved", place->dirfd, "base"), 0);
	check_open(place, NULL);
}

/* A time beyond what nanoseconds in 64 bits can count. */
static void test_far_future(struct place *place)
{
	const struct timespec far[] = { { .tv_sec = 1 }, { .tv_sec = 15000000000 } };

	put_text(place->dirfd, "base/" PATH, RPM);
	CHECK_INT(utimensat(place->dirfd, "base/" PATH, far, 0), 0);
	record(place, PATH);
	check_open(place, NULL);
}

int main(void)
{
	struct place place;

	place_open(&place);
	test_changed(&place);
	test_links(&place);
	test_far_future(&place);
	place_done(&place);
	TEST_END();
}
