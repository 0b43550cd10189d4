/* SPDX-License-Identifier: MIT */
/* tests/unit/tree/store.c: taking over what a worker left, or refusing it; and the sweep.
 *
 * promises = 20 */
#include "tests/unit/test.h"
#include "tests/unit/tree/writer.h"

#include <dirent.h>
#include <signal.h>

#define ZERO64 "0000000000000000000000000000000000000000000000000000000000000000"

struct place {
	char path[64];
	int dirfd, work;
	struct tree_store *store;
};

static void place_open(struct place *place)
{
	place->dirfd = test_folder(place->path);
	place->work = directory_open(place->dirfd, "work");
	CHECK(place->work >= 0);
	CHECK_INT(tree_store_open(place->dirfd, "http://host/composes", "/odcs/composes",
				  &place->store, NULL),
		  0);
}

static void place_done(struct place *place)
{
	tree_store_close(place->store);
	(void)close(place->work);
	test_folder_done(place->path, place->dirfd);
}

static bool exists(struct place *place, const char *folder, const char *name)
{
	char path[256];

	(void)snprintf(path, sizeof(path), "%s/%s", folder, name);
	return faccessat(place->dirfd, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* Files and folders in @folder, those with a leading dot too. */
static int count_in(struct place *place, const char *folder)
{
	int fd = openat(place->dirfd, folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC), count = -2;
	DIR *list = fdopendir(fd);

	if (!list)
		abort();
	while (readdir(list))
		count++;
	(void)closedir(list);
	return count;
}

/** struct work - what a worker left: two blobs and a manifest that names them */
struct work {
	char repomd[DIGEST_HEX_SIZE], rpms[DIGEST_HEX_SIZE], manifest[DIGEST_HEX_SIZE];
	char *blobs[2];
	struct outcome outcome;
};

static struct outcome *worked(struct place *place, struct work *work, const char *words)
{
	struct text bytes = { 0 }, repomd = { 0 }, rpms = { 0 };

	(void)text_addf(&repomd, "<repomd>%s</repomd>", words);
	(void)text_addf(&rpms, "\"rpms\": \"%s\"", words);
	*work = (struct work){ 0 };
	put_digest(place->work, "blobs", repomd.data, repomd.length, work->repomd);
	put_digest(place->work, "blobs", rpms.data, rpms.length, work->rpms);
	const struct entry entries[] = {
		{ "compose/Temporary/x86_64/os/repodata/repomd.xml", MANIFEST_BLOB,
		  .size = repomd.length, .digest = work->repomd },
		{ "compose/metadata/rpms.json", MANIFEST_RPMS_JSON, .size = rpms.length,
		  .digest = work->rpms },
	};

	write_manifest(entries, ARRAY_SIZE(entries), &bytes);
	put_digest(place->work, "manifests", bytes.data, bytes.length, work->manifest);
	work->blobs[0] = work->repomd;
	work->blobs[1] = work->rpms;
	work->outcome = (struct outcome){ .id = 1,
					  .manifest = work->manifest,
					  .manifest_new = true,
					  .blobs = { .item = work->blobs, .count = 2 } };
	text_done(&bytes);
	text_done(&repomd);
	text_done(&rpms);
	return &work->outcome;
}

static const char *in_work(const char *folder, const char *name)
{
	static char path[256];

	(void)snprintf(path, sizeof(path), "%s/%s", folder, name);
	return path;
}

static int publish(struct place *place, const struct outcome *outcome, const char *words)
{
	struct error err = { 0 };
	int r = tree_store_publish(place->store, place->work, outcome, &err);

	CHECK_INT(err.code, r);
	if (words && !strstr(err.message, words)) {
		fprintf(stderr, "«%s», want «%s»\n", err.message, words);
		CHECK(!"words");
	}
	return r;
}

/* ---- publish ----------------------------------------------------------- */

static void check_open(struct place *place, const char *manifest, int want)
{
	struct sample memory;
	struct tree *tree = NULL;

	CHECK_INT(tree_open(place->store, sample(&memory, 1, STATE_DONE, manifest), &tree, NULL),
		  want);
	tree_unref(tree);
}

static void test_publish(struct place *place)
{
	struct work work, again;

	CHECK_INT(publish(place, worked(place, &work, "one"), NULL), 0);
	CHECK(exists(place, "blobs", work.repomd) && exists(place, "blobs", work.rpms));
	CHECK(exists(place, "manifests", work.manifest));
	CHECK_INT(count_in(place, "blobs"), 2);
	CHECK_INT(count_in(place, "manifests"), 1);
	check_open(place, work.manifest, 0);

	/* the same once more, found by the worker; and the same made again */
	work.outcome.manifest_new = false;
	work.outcome.blobs.count = 0;
	CHECK_INT(publish(place, &work.outcome, NULL), 0);
	CHECK_INT(publish(place, worked(place, &again, "one"), NULL), 0);
	CHECK_STR(again.manifest, work.manifest);
	CHECK_INT(count_in(place, "blobs"), 2);

	/* "is there already" is not believed */
	(void)snprintf(work.manifest, sizeof(work.manifest), ZERO64);
	CHECK_INT(publish(place, &work.outcome, "is not there"), -EBADMSG);
}

/* Blobs that are not what they are called, or not only the worker's to give. */
static void test_lying_blobs(struct place *place)
{
	char good[256], other[256], name[256];
	struct work work;
	int fd;

	for (int i = 0; i < 8; i++) {
		int before = count_in(place, "blobs");
		const char *words[] = { "holds other bytes", "holds other bytes",
					"is not there",	     "cannot be opened",
					"not a plain file",  "not a plain file",
					"open for writing",  "not named by a digest" };

		(void)snprintf(name, sizeof(name), "lying blob %d", i);
		(void)worked(place, &work, name);
		(void)snprintf(good, sizeof(good), "blobs/%s", work.repomd);
		(void)snprintf(other, sizeof(other), "blobs/%s-other", work.repomd);
		fd = openat(place->work, good, O_WRONLY | O_CLOEXEC);
		CHECK(fd >= 0);
		if (i == 0)
			CHECK_INT(pwrite(fd, "X", 1, 0), 1);
		if (i == 1)
			CHECK_INT(ftruncate(fd, 0), 0);
		if (i != 6) {
			(void)close(fd);
			fd = -1;
		}
		if (i == 3 || i == 5)
			CHECK_INT(renameat(place->work, good, place->work, other), 0);
		if (i == 3)
			CHECK_INT(symlinkat("/etc/passwd", place->work, good), 0);
		if (i == 2)
			CHECK_INT(unlinkat(place->work, good, 0), 0);
		if (i == 4)
			CHECK_INT(linkat(place->work, good, place->work, other, 0), 0);
		if (i == 5)
			CHECK_INT(mkfifoat(place->work, good, 0644), 0);
		if (i == 7)
			work.blobs[0] = strcpy(work.repomd, "../manifests/x");
		CHECK_INT(publish(place, &work.outcome, words[i]), -EBADMSG);
		CHECK_INT(count_in(place, "blobs"), before); /* nothing is left behind */
		CHECK(!exists(place, "manifests", work.manifest));
		closep(&fd);
	}
	(void)worked(place, &work, "closed");
	CHECK_INT(publish(place, &work.outcome, NULL), 0);
}

/* Write @bytes as the manifest of @work, under its digest or another's. */
static void put_manifest(struct place *place, struct work *work, struct text *bytes,
			 const char *name)
{
	put_digest(place->work, "manifests", bytes->data, bytes->length, work->manifest);
	if (name) {
		put_file(place->work, in_work("manifests", name), bytes->data, bytes->length);
		(void)snprintf(work->manifest, sizeof(work->manifest), "%s", name);
	}
	text_done(bytes);
}

static void test_lying_manifests(struct place *place)
{
	struct text bytes = { 0 };
	struct entry entry = { "compose/x", MANIFEST_BLOB, .size = 3, .digest = ZERO64 };
	struct work work;
	int before = count_in(place, "manifests");

	(void)worked(place, &work, "manifest 1");
	write_manifest(&entry, 1, &bytes); /* names a blob that nobody has */
	put_manifest(place, &work, &bytes, NULL);
	CHECK_INT(publish(place, &work.outcome, "is not there"), -EBADMSG);

	(void)worked(place, &work, "manifest 2");
	entry.digest = work.repomd;
	write_manifest(&entry, 1, &bytes);
	put_manifest(place, &work, &bytes, NULL);
	CHECK_INT(publish(place, &work.outcome, "another size"), -EBADMSG);

	(void)worked(place, &work, "manifest 3");
	write_manifest(&entry, 0, &bytes);
	put_manifest(place, &work, &bytes, ZERO64);
	CHECK_INT(publish(place, &work.outcome, "holds other bytes"), -EBADMSG);

	(void)worked(place, &work, "manifest 4");
	write_manifest(&entry, 1, &bytes);
	bytes.data[8]++; /* unsound, but with the right digest */
	put_manifest(place, &work, &bytes, NULL);
	CHECK_INT(publish(place, &work.outcome, "records of another size"), -EBADMSG);

	(void)worked(place, &work, "manifest 5");
	CHECK_INT(unlinkat(place->work, in_work("manifests", work.manifest), 0), 0);
	CHECK_INT(symlinkat("/etc/passwd", place->work, in_work("manifests", work.manifest)), 0);
	CHECK_INT(publish(place, &work.outcome, "cannot be opened"), -EBADMSG);

	(void)worked(place, &work, "manifest 6");
	work.outcome.manifest = (char *)(uintptr_t) "../../etc/passwd";
	CHECK_INT(publish(place, &work.outcome, "not named by a digest"), -EBADMSG);
	work.outcome.manifest = NULL;
	CHECK_INT(publish(place, &work.outcome, "not named by a digest"), -EBADMSG);
	CHECK_INT(count_in(place, "manifests"), before);
}

/* What an unclean stop leaves: told at first use, and made again by the next compose that needs it.
 */
static void test_damaged_blob(struct place *place)
{
	struct tree_file file;
	struct tree_node node;
	struct sample memory;
	struct error err = { 0 };
	struct tree *tree;
	struct work work;

	for (int i = 0; i < 2; i++) {
		struct tree_store *store;

		CHECK_INT(publish(place, worked(place, &work, "damage"), NULL), 0);
		put_text(place->dirfd, in_work("blobs", work.repomd),
			 i ? "<repomd>damagE</repomd>" : "");
		/* another process, as it were: this one has just verified the blob */
		CHECK_INT(tree_store_open(place->dirfd, "", "/", &store, NULL), 0);
		CHECK_INT(tree_open(store, sample(&memory, 1, STATE_DONE, work.manifest), &tree,
				    NULL),
			  0);
		CHECK_INT(tree_find(tree, "compose/Temporary/x86_64/os/repodata/repomd.xml", &node),
			  0);
		CHECK_INT(tree_file_open(tree, node.index, &file, &err), -EIO);
		CHECK(strstr(err.message, "damaged") && strstr(err.message, work.repomd));
		CHECK(!exists(place, "blobs", work.repomd));
		CHECK_INT(tree_file_open(tree, node.index, &file, &err), -EIO);
		CHECK_INT(publish(place, worked(place, &work, "damage"), NULL), 0);
		CHECK_INT(tree_file_open(tree, node.index, &file, NULL), 0);
		tree_file_done(&file);
		tree_unref(tree);
		tree_store_close(store);
	}
	/* cut short, and the worker offers the whole one: taken without anybody reading it */
	put_text(place->dirfd, in_work("blobs", work.repomd), "<repo");
	CHECK_INT(publish(place, worked(place, &work, "damage"), NULL), 0);
}

/* ---- sweep ------------------------------------------------------------- */

static bool log_of_one(void *data, int64_t id)
{
	(*(int *)data)++;
	return id == 1;
}

static void make_old(struct place *place, const char *folder, const char *name)
{
	const struct timespec old[] = { { .tv_sec = time_now() - 1000 },
					{ .tv_sec = time_now() - 1000 } };

	CHECK_INT(utimensat(place->dirfd, in_work(folder, name), old, AT_SYMLINK_NOFOLLOW), 0);
}

static void make_work_old(struct place *place, const struct work *work)
{
	make_old(place, "manifests", work->manifest);
	make_old(place, "blobs", work->repomd);
	make_old(place, "blobs", work->rpms);
}

static int64_t sweep(struct place *place, const char *live, int64_t age)
{
	char *item[] = { (char *)(uintptr_t)live };
	struct strings list = { .item = item, .count = live != NULL };
	int64_t files = -1, bytes = -1;
	struct error err = { 0 };

	CHECK_INT(tree_store_sweep(place->store, &list, NULL, NULL, age, &files, &bytes, &err), 0);
	CHECK(files == 0 ? bytes == 0 : bytes > 0);
	return files;
}

static void test_sweep(struct place *place)
{
	struct work live, dead, held, fresh, back, half;
	struct sample memory;
	struct tree *tree;

	CHECK_INT(publish(place, worked(place, &live, "live"), NULL), 0);
	CHECK_INT(publish(place, worked(place, &dead, "dead"), NULL), 0);
	CHECK_INT(publish(place, worked(place, &held, "held"), NULL), 0);
	CHECK_INT(publish(place, worked(place, &back, "back"), NULL), 0);
	make_work_old(place, &live);
	make_work_old(place, &dead);
	make_work_old(place, &held);
	make_work_old(place, &back);
	CHECK_INT(publish(place, worked(place, &half, "half back"), NULL), 0);
	make_work_old(place, &half);
	CHECK_INT(unlinkat(place->dirfd, in_work("manifests", half.manifest), 0), 0);
	CHECK_INT(publish(place, worked(place, &fresh, "fresh"), NULL), 0);
	/* what is published again without a row to name it is an orphan like any other: the caller
	 * keeps the sweep away until the row is there. Nothing of it is written or touched */
	back.outcome.manifest_new = false;
	back.outcome.blobs.count = 0;
	CHECK_INT(publish(place, &back.outcome, NULL), 0);
	/* nor are blobs that were there already when a new manifest relies on them */
	(void)worked(place, &half, "half back");
	half.outcome.blobs.count = 0;
	CHECK_INT(publish(place, &half.outcome, NULL), 0);
	/* a tree that somebody holds open keeps its files though the compose is gone */
	CHECK_INT(
		tree_open(place->store, sample(&memory, 3, STATE_DONE, held.manifest), &tree, NULL),
		0);
	put_text(place->dirfd, "blobs/.new-left-1", "x");
	put_text(place->dirfd, "manifests/.new-left-2", "x");
	put_text(place->dirfd, "blobs/README", "not ours");
	make_old(place, "blobs", ".new-left-1");
	make_old(place, "manifests", ".new-left-2");
	make_old(place, "blobs", "README");

	CHECK_INT(sweep(place, live.manifest, 2000), 0); /* nothing is that old */
	CHECK_INT(sweep(place, live.manifest, 500),
		  3 + 3 + 2 + 2); /* dead, back, half's blobs, left */
	CHECK(!exists(place, "manifests", back.manifest) && !exists(place, "blobs", half.rpms));
	CHECK(!exists(place, "manifests", dead.manifest) && !exists(place, "blobs", dead.repomd) &&
	      !exists(place, "blobs", dead.rpms));
	CHECK(!exists(place, "blobs", ".new-left-1") && !exists(place, "manifests", ".new-left-2"));
	CHECK(exists(place, "blobs", "README"));
	for (const struct work *const *work = (const struct work *[]){ &live, &held, &fresh, NULL };
	     *work; work++)
		CHECK(exists(place, "manifests", (*work)->manifest) &&
		      exists(place, "blobs", (*work)->repomd) &&
		      exists(place, "blobs", (*work)->rpms));
	CHECK_INT(sweep(place, live.manifest, 500), 0); /* once more finds nothing */
	tree_unref(tree);
	CHECK_INT(sweep(place, live.manifest, 500), 3); /* the held one */
	CHECK(!exists(place, "manifests", held.manifest));
	check_open(place, live.manifest, 0);
}

/* A live manifest that is damaged leads nowhere, and stops no sweep. */
static void test_sweep_damaged(struct place *place)
{
	struct work live;

	(void)sweep(place, NULL, -10);
	CHECK_INT(count_in(place, "manifests"), 0);
	CHECK_INT(count_in(place, "blobs"), 1); /* README */
	CHECK_INT(publish(place, worked(place, &live, "half"), NULL), 0);
	put_text(place->dirfd, in_work("manifests", live.manifest), "short");
	CHECK_INT(sweep(place, live.manifest, -10), 2);
	CHECK(exists(place, "manifests", live.manifest));
}

/* A blob that was cut is removed when a result relies on it, so that the next try writes it again;
 * a sound one stays, whatever a manifest says of its size. */
static void test_cut_blob(struct place *place)
{
	struct work work;

	CHECK_INT(publish(place, worked(place, &work, "damaged"), NULL), 0);
	put_text(place->dirfd, in_work("blobs", work.repomd), "cut");
	(void)worked(place, &work, "damaged");
	work.outcome.manifest_new = false;
	work.outcome.blobs.count = 0;
	CHECK_INT(publish(place, &work.outcome, NULL), -EBADMSG);
	CHECK(!exists(place, "blobs", work.repomd) && exists(place, "blobs", work.rpms));
	CHECK_INT(publish(place, worked(place, &work, "damaged"), NULL), 0);
	CHECK(exists(place, "blobs", work.repomd));
}

static void test_sweep_logs(struct place *place)
{
	const struct strings none = { 0 };
	int64_t files = 0;
	int asked = 0;

	put_text(place->dirfd, "logs/1", "one\n");
	put_text(place->dirfd, "logs/2", "two\n");
	put_text(place->dirfd, "logs/notes", "not a log\n");
	CHECK_INT(
		tree_store_sweep(place->store, &none, log_of_one, &asked, 1000, &files, NULL, NULL),
		0);
	CHECK_INT(files, 1);
	CHECK_INT(asked, 2);
	CHECK(exists(place, "logs", "1") && !exists(place, "logs", "2") &&
	      exists(place, "logs", "notes"));
}

/* ---- packages that were fetched ----------------------------------------- */

/* A compose that shows one; @give: the worker brings it along */
static int publish_package(struct place *place, struct work *work, const char *bytes,
			   const char *digest, bool give, const char *words)
{
	struct text manifest = { 0 };
	char *packages[] = { (char *)(uintptr_t)digest }, checksum[7 + DIGEST_HEX_SIZE];
	const struct entry entry = { "compose/Temporary/x86_64/os/Packages/a/a.rpm",
				     MANIFEST_PACKAGE,
				     MANIFEST_REMOTE | MANIFEST_SHA256,
				     strlen(bytes),
				     1600000001,
				     digest,
				     "http://host/koji",
				     "packages/a.rpm",
				     "a-1-1.x86_64",
				     "requested",
				     checksum,
				     "http://host/koji/packages/a.rpm",
				     0,
				     0 };

	(void)snprintf(checksum, sizeof(checksum), "sha256:%s", digest);
	write_manifest(&entry, 1, &manifest);
	put_digest(place->work, "manifests", manifest.data, manifest.length, work->manifest);
	work->outcome = (struct outcome){ .id = 1,
					  .manifest = work->manifest,
					  .manifest_new = true,
					  .packages = { .item = packages, .count = give } };
	text_done(&manifest);
	return publish(place, &work->outcome, words);
}

static void test_packages(struct place *place)
{
	static const char bytes[] = "an RPM", other[] = "another RPM";
	char digest[DIGEST_HEX_SIZE], second[DIGEST_HEX_SIZE];
	struct work work, again;
	struct sample memory;
	struct tree_file file;
	struct tree_node node;
	struct tree *tree;

	(void)sweep(place, NULL, -10);
	put_digest(place->work, "packages", bytes, strlen(bytes), digest);
	CHECK_INT(publish_package(place, &work, bytes, digest, true, NULL), 0);
	CHECK(exists(place, "packages", digest) && count_in(place, "work/packages") == 0);
	/* it is there already, or still where it comes from, or it is another one */
	CHECK_INT(publish_package(place, &again, bytes, digest, false, NULL), 0);
	sha256_hex(other, strlen(other), second);
	CHECK_INT(publish_package(place, &again, other, second, false, NULL), 0);
	CHECK_INT(publish_package(place, &again, other, second, true, "is not there"), -EBADMSG);
	CHECK_INT(publish_package(place, &again, other, digest, false, "another size"), -EBADMSG);
	CHECK(exists(place, "packages", digest));
	put_file(place->work, in_work("packages", second), bytes, strlen(bytes));
	CHECK_INT(publish_package(place, &again, other, second, true, "another size"), -EBADMSG);
	CHECK(!exists(place, "packages", second));
	/* what it holds is looked at when it is read first */
	put_file(place->work, in_work("packages", second), "anotheR RPM", strlen(other));
	CHECK_INT(publish_package(place, &again, other, second, true, NULL), 0);
	CHECK_INT(tree_open(place->store, sample(&memory, 1, STATE_DONE, again.manifest), &tree,
			    NULL),
		  0);
	CHECK_INT(tree_find(tree, "compose/Temporary/x86_64/os/Packages/a/a.rpm", &node), 0);
	CHECK_INT(tree_file_open(tree, node.index, &file, NULL), -EIO);
	CHECK(!exists(place, "packages", second));
	tree_unref(tree);
	put_digest(place->work, "packages", other, strlen(other), second);
	CHECK_INT(publish_package(place, &again, other, second, true, NULL), 0);
	/* they stay as long as a compose that shows them */
	put_text(place->dirfd, "packages/.new-left", "x");
	CHECK_INT(sweep(place, work.manifest, -10), 3); /* manifest, package, left */
	CHECK(exists(place, "packages", digest) && !exists(place, "packages", second));
	CHECK_INT(sweep(place, NULL, -10), 2);
	CHECK_INT(count_in(place, "packages"), 0);
}

/* Bytes that were held against their name are believed; others in their place are not, whoever put
 * them there: a worker that brings a package does not hash it. */
static void test_verified_once(struct place *place)
{
	static const char good[] = "a good RPM", evil[] = "an EVIL RPM", same[] = "A GOOD RPM";
	char digest[DIGEST_HEX_SIZE];
	struct work work, other;
	struct sample memory;
	struct tree_file file;
	struct tree_node node;
	struct tree *tree, *lie;

	put_digest(place->work, "packages", good, strlen(good), digest);
	CHECK_INT(publish_package(place, &work, good, digest, true, NULL), 0);
	CHECK_INT(
		tree_open(place->store, sample(&memory, 1, STATE_DONE, work.manifest), &tree, NULL),
		0);
	CHECK_INT(tree_find(tree, "compose/Temporary/x86_64/os/Packages/a/a.rpm", &node), 0);
	for (int i = 0; i < 2; i++) { /* it has to go; it is in the way */
		CHECK_INT(tree_file_open(tree, node.index, &file, NULL), 0);
		tree_file_done(&file);
		if (!i)
			tree_cache_trim(place->store, 0);
		CHECK_INT(exists(place, "packages", digest), i);
		put_file(place->work, in_work("packages", digest), i ? evil : same,
			 strlen(i ? evil : same));
		CHECK_INT(publish_package(place, &other, i ? evil : same, digest, true, NULL), 0);
		CHECK_INT(tree_open(place->store, sample(&memory, 2, STATE_DONE, other.manifest),
				    &lie, NULL),
			  0);
		CHECK_INT(tree_file_open(lie, node.index, &file, NULL), -EIO);
		CHECK(!exists(place, "packages", digest));
		tree_unref(lie);
		put_digest(place->work, "packages", good, strlen(good), digest);
		CHECK_INT(publish_package(place, &work, good, digest, true, NULL), 0);
	}
	tree_unref(tree);
	(void)sweep(place, NULL, -10);
}

/* Who may write to a file may have a lease on it, and opening it then waits for him. */
static void test_leases(struct place *place)
{
	struct error err = { 0 };
	struct sample memory;
	struct tree_file file;
	struct tree_node node;
	struct tree *tree = NULL;
	struct work work;
	int fd;

	CHECK_INT(publish(place, worked(place, &work, "leased"), NULL), 0);
	for (int i = 0; i < 2; i++) {
		fd = openat(place->dirfd,
			    i ? in_work("blobs", work.repomd) : in_work("manifests", work.manifest),
			    O_RDONLY | O_CLOEXEC);
		CHECK(!fcntl(fd, F_SETSIG, SIGURG) && !fcntl(fd, F_SETLEASE, F_WRLCK));
		CHECK_INT(tree_open(place->store, sample(&memory, 1, STATE_DONE, work.manifest),
				    &tree, &err),
			  i ? 0 : -EIO);
		if (i) {
			CHECK_INT(tree_find(tree, "compose/Temporary/x86_64/os/repodata/repomd.xml",
					    &node),
				  0);
			CHECK_INT(tree_file_open(tree, node.index, &file, &err), -EIO);
		}
		CHECK(strstr(err.message, "has a lease on it"));
		(void)close(fd);
	}
	CHECK_INT(tree_file_open(tree, node.index, &file, NULL), 0);
	tree_file_done(&file);
	tree_unref(tree);
}

int main(void)
{
	struct place place;

	place_open(&place);
	test_publish(&place);
	test_lying_blobs(&place);
	test_lying_manifests(&place);
	test_damaged_blob(&place);
	test_sweep(&place);
	test_sweep_damaged(&place);
	test_sweep_logs(&place);
	test_packages(&place);
	test_verified_once(&place);
	test_leases(&place);
	test_cut_blob(&place);
	place_done(&place);
	TEST_END();
}
