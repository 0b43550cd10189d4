/* SPDX-License-Identifier: MIT */
/* tests/unit/tree/tree.c: what a compose's tree shows in each state: names, order, numbers,
 * attributes, the bytes of the files laid over it; and how little memory a tree takes. */
#include "tests/unit/test.h"
#include "tests/unit/tree/writer.h"

#include <malloc.h>
#include <pthread.h>

#define OS "compose/Temporary/x86_64/os/"
#define DEPSOLVE "solved: 2 packages\n"
#define REPOMD "<repomd/>\n"
#define RPMS "\"rpms\": {\"Temporary\": {}}\n    }\n}\n"

/* What composes/7 lists when done, each directory in the order of tree_child(). */
static const char done_listing[] = "STATUS\n"
				   "COMPOSE_ID\n"
				   "pungi-stderr.log\n"
				   "logs/\n"
				   "logs/global/\n"
				   "logs/global/odcsfs.log\n"
				   "logs/global/depsolve.log\n"
				   "logs/x86_64/\n"
				   "logs/x86_64/why\n"
				   "compose/\n"
				   "compose/metadata/\n"
				   "compose/metadata/composeinfo.json\n"
				   "compose/metadata/images.json\n"
				   "compose/metadata/modules.json\n"
				   "compose/metadata/rpms.json\n"
				   "compose/Temporary/\n"
				   "compose/Temporary/odcs-7.repo\n"
				   "compose/Temporary/odcs-7.local.repo\n"
				   "compose/Temporary/source/\n"
				   "compose/Temporary/x86_64/\n"
				   "compose/Temporary/x86_64/os/\n"
				   "compose/Temporary/x86_64/os/Packages/\n"
				   "compose/Temporary/x86_64/os/Packages/b/\n"
				   "compose/Temporary/x86_64/os/Packages/b/bash-5-1.x86_64.rpm\n"
				   "compose/Temporary/x86_64/os/Packages/z/\n"
				   "compose/Temporary/x86_64/os/Packages/z/zsh-5-1.x86_64.rpm\n"
				   "compose/Temporary/x86_64/os/repodata/\n"
				   "compose/Temporary/x86_64/os/repodata/repomd.xml\n"
				   "extra/\n";
static const char early_listing[] = "STATUS\n"
				    "COMPOSE_ID\n"
				    "pungi-stderr.log\n"
				    "logs/\n"
				    "logs/global/\n"
				    "logs/global/odcsfs.log\n";

struct place {
	char path[64];
	int dirfd;
	struct tree_store *store;
	char manifest[DIGEST_HEX_SIZE];
};

static void place_entries(struct place *place, struct text *ret, int64_t variant)
{
	char repomd[DIGEST_HEX_SIZE], rpms[DIGEST_HEX_SIZE], log[DIGEST_HEX_SIZE];

	put_digest(place->dirfd, "blobs", REPOMD, strlen(REPOMD), repomd);
	put_digest(place->dirfd, "blobs", RPMS, strlen(RPMS), rpms);
	put_digest(place->dirfd, "blobs", DEPSOLVE, strlen(DEPSOLVE), log);
	const struct entry entries[] = {
		{ OS "Packages/z/zsh-5-1.x86_64.rpm", MANIFEST_PACKAGE,
		  MANIFEST_REMOTE | MANIFEST_SHA256, strlen(REPOMD), 1600000001, repomd,
		  "https://mirror.example/r", "z/zsh-5-1.x86_64.rpm", "zsh-5-1.x86_64",
		  "required by bash-5-1.x86_64: sh", "sha1:0123",
		  "https://mirror.example/r/z/zsh-5-1.x86_64.rpm", 0, 0 },
		{ OS "Packages/b/bash-5-1.x86_64.rpm", MANIFEST_PACKAGE, MANIFEST_SHA256, 100,
		  1600000000, log, "/srv/repo", "b/bash-5-1.x86_64.rpm", "bash-5-1.x86_64",
		  "requested", NULL, "file:///srv/repo/b/bash-5-1.x86_64.rpm", variant, 42 },
		{ OS "repodata/repomd.xml", MANIFEST_BLOB, .size = strlen(REPOMD),
		  .digest = repomd },
		{ "compose/metadata/rpms.json", MANIFEST_RPMS_JSON, .size = strlen(RPMS),
		  .digest = rpms },
		{ "compose/metadata/modules.json", MANIFEST_MODULES_JSON, .size = strlen(RPMS),
		  .digest = rpms },
		{ "compose/Temporary/source", MANIFEST_DIRECTORY },
		{ "logs/x86_64/why", MANIFEST_BLOB, .size = strlen(DEPSOLVE), .digest = log },
		{ "logs/global/depsolve.log", MANIFEST_BLOB, .size = strlen(DEPSOLVE),
		  .digest = log },
		{ "extra", MANIFEST_DIRECTORY },
	};

	write_manifest(entries, ARRAY_SIZE(entries), ret);
}

static void place_open(struct place *place)
{
	struct text bytes = { 0 };

	place->dirfd = test_folder(place->path);
	CHECK_INT(tree_store_open(place->dirfd, "http://host:5005/composes/", "/odcs/my composes",
				  &place->store, NULL),
		  0);
	place_entries(place, &bytes, 1);
	put_digest(place->dirfd, "manifests", bytes.data, bytes.length, place->manifest);
	text_done(&bytes);
}

static void place_done(struct place *place)
{
	tree_store_close(place->store);
	test_folder_done(place->path, place->dirfd);
}

static struct tree *open_sample(struct place *place, enum compose_state state)
{
	struct error err = { 0 };
	struct tree *tree = NULL;
	struct sample memory;
	int r = tree_open(place->store, sample(&memory, 7, state, place->manifest), &tree, &err);

	memset(&memory, 0xee, sizeof(memory)); /* nothing of it may be needed any more */
	if (r < 0) {
		fprintf(stderr, "%s\n", err.message);
		abort();
	}
	return tree;
}

/* List @directory and everything below, checking on the way what holds for every node. */
static void walk(const struct tree *tree, const struct tree_node *directory, const char *path,
		 struct text *listing)
{
	uint32_t directories = 0;
	struct tree_node node, again;

	for (uint32_t position = 0; tree_child(tree, directory->index, position, &node) == 0;
	     position++) {
		struct text below = { 0 };

		(void)text_addf(&below, "%s%s", path, node.name);
		(void)text_addf(listing, "%s%s\n", below.data, node.directory ? "/" : "");
		CHECK_INT(node.parent, directory->index);
		CHECK_INT(strlen(node.name), node.name_length);
		CHECK_INT(tree_get(tree, node.index, &again), 0);
		CHECK(again.index == node.index && again.name == node.name &&
		      again.parent == node.parent && again.nlink == node.nlink);
		CHECK_INT(tree_lookup(tree, directory->index, node.name, node.name_length, &again),
			  0);
		CHECK_INT(again.index, node.index);
		CHECK_INT(tree_find(tree, below.data, &again), 0);
		CHECK_INT(again.index, node.index);
		CHECK_INT(tree_is_content(tree, &node),
			  !strcmp(below.data, "compose") || !strncmp(below.data, "compose/", 8));
		CHECK_INT(tree_lookup(tree, directory->index, node.name, node.name_length - 1,
				      &again),
			  -ENOENT);
		CHECK(node.directory || node.nlink == 1);
		directories += node.directory;
		if (node.directory) {
			(void)text_adds(&below, "/");
			walk(tree, &node, below.data, listing);
		}
		text_done(&below);
	}
	CHECK_INT(directory->nlink, 2 + directories);
}

static void check_listing(const struct tree *tree, const char *want)
{
	struct text listing = { 0 };
	struct tree_node root;

	CHECK_INT(tree_find(tree, "", &root), 0);
	CHECK_INT(root.index, TREE_ROOT);
	CHECK_STR(root.name, "");
	walk(tree, &root, "", &listing);
	CHECK_STR(listing.data, want);
	text_done(&listing);
}

/* The numbers are inode numbers: written out, since a change would break open mounts. */
static void test_numbers(const struct tree *early, const struct tree *done)
{
	static const struct {
		const char *path;
		uint32_t index;
		bool always;
	} fixed[] = {
		{ "", 0, true },
		{ "STATUS", 1, true },
		{ "COMPOSE_ID", 2, true },
		{ "pungi-stderr.log", 3, true },
		{ "logs", 4, true },
		{ "logs/global", 5, true },
		{ "logs/global/odcsfs.log", 6, true },
		{ "compose", 7, false },
		{ "compose/metadata", 8, false },
		{ "compose/metadata/composeinfo.json", 9, false },
		{ "compose/metadata/images.json", 10, false },
		{ "compose/Temporary", 11, false },
		{ "compose/Temporary/odcs-7.repo", 12, false },
		{ "compose/Temporary/odcs-7.local.repo", 13, false },
		{ "extra", TREE_MANIFEST_FIRST + 2, false },
	};
	struct tree_node node;

	for (size_t i = 0; i < ARRAY_SIZE(fixed); i++) {
		CHECK_INT(tree_find(done, fixed[i].path, &node), 0);
		CHECK_INT(node.index, fixed[i].index);
		CHECK_INT(tree_find(early, fixed[i].path, &node), fixed[i].always ? 0 : -ENOENT);
		CHECK_INT(tree_get(early, fixed[i].index, &node), fixed[i].always ? 0 : -ENOENT);
	}
	/* a directory of the manifest that the overlay shows has no second number */
	CHECK_INT(tree_get(done, TREE_MANIFEST_FIRST, &node), -ENOENT);
	CHECK_INT(tree_get(done, TREE_MANIFEST_FIRST + 1, &node), -ENOENT); /* compose */
	CHECK_INT(tree_get(done, TREE_MANIFEST_FIRST + 3, &node), -ENOENT); /* logs */
	CHECK_INT(tree_get(done, 14, &node), -ENOENT);
	CHECK_INT(tree_get(done, 63, &node), -ENOENT);
	CHECK_INT(tree_get(done, TREE_MANIFEST_FIRST + 1000, &node), -ENOENT);
	CHECK_INT(tree_get(done, UINT32_MAX, &node), -ENOENT);
	CHECK_INT(tree_child(done, TREE_ROOT, UINT32_MAX, &node), -ENOENT);
	CHECK_INT(tree_child(done, UINT32_MAX, 0, &node), -ENOENT);
	CHECK_INT(tree_child(done, 1, 0, &node), -ENOTDIR);
	CHECK_INT(tree_lookup(done, 1, "x", 1, &node), -ENOTDIR);
	CHECK_INT(tree_lookup(early, 7, "metadata", 8, &node), -ENOENT);
}

static void test_paths(const struct tree *tree)
{
	static const struct {
		const char *path;
		int r;
	} cases[] = { { "/", -ENOENT },
		      { "/STATUS", -ENOENT },
		      { "logs/", -ENOENT },
		      { "logs//global", -ENOENT },
		      { "STATUS/x", -ENOTDIR },
		      { OS "repodata/repomd.xml/", -ENOENT },
		      { OS "repodata/repomd.xml/x", -ENOTDIR },
		      { OS "Packages/b/bash-5-1.x86_64.rp", -ENOENT },
		      { OS "Packages/b/bash-5-1.x86_64.rpm", 0 },
		      { "..", -ENOENT },
		      { ".", -ENOENT },
		      { "compose/..", -ENOENT } };
	struct tree_node node;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		CHECK_INT(tree_find(tree, cases[i].path, &node), cases[i].r);
}

/* The whole of a file, read in steps of @step; checked against node and door. */
static char *contents(const struct tree *tree, const char *path, size_t step, char etag[96])
{
	struct text text = { 0 };
	struct error err = { 0 };
	struct tree_file file;
	struct tree_node node;
	char buffer[256];
	ssize_t n;

	if (tree_find(tree, path, &node) < 0 || tree_file_open(tree, node.index, &file, &err) < 0) {
		fprintf(stderr, "%s: %s\n", path, err.message);
		return NULL;
	}
	CHECK_INT(node.size, file.size);
	CHECK_INT(node.live, !file.etag[0]);
	while ((n = tree_file_read(&file, buffer, step, text.length)) > 0)
		(void)text_add(&text, buffer, (size_t)n);
	CHECK_INT(n, 0);
	CHECK_INT(text.length, file.size);
	(void)snprintf(etag, 96, "%s", file.etag);
	tree_file_done(&file);
	tree_file_done(&file); /* twice does no harm */
	return text_steal(&text);
}

static void check_contents(const struct tree *tree, const char *path, const char *want)
{
	char etag[96], other[96];
	char *got = contents(tree, path, 256, etag), *small = contents(tree, path, 3, other);

	CHECK_STR(got, want);
	CHECK_STR(small, want);
	CHECK_STR(etag, other);
	free(got);
	free(small);
}

static void test_texts(struct place *place, const struct tree *done, const struct tree *early)
{
	char etag[96], other[96], digest[DIGEST_HEX_SIZE];
	char *got;
	json_t *json;

	check_contents(done, "STATUS", "FINISHED\n");
	check_contents(early, "STATUS", "STARTED\n");
	check_contents(done, "COMPOSE_ID", "odcs-7-1-20231114.t.0");
	check_contents(done, "logs/global/depsolve.log", DEPSOLVE);
	check_contents(done, OS "repodata/repomd.xml", REPOMD);
	got = contents(done, "compose/Temporary/odcs-7.repo", 256, etag);
	CHECK(got && strstr(got, "[odcs-7]\n") &&
	      strstr(got, "\nbaseurl=http://host:5005/composes/odcs-7/compose/Temporary/$basearch/"
			  "os\n"));
	free(got);
	got = contents(done, "compose/Temporary/odcs-7.local.repo", 256, etag);
	CHECK(got && strstr(got, "\nbaseurl=file:///odcs/my%20composes/odcs-7/compose/Temporary/"
				 "$basearch/os\n"));
	free(got);
	got = contents(done, "compose/metadata/composeinfo.json", 256, etag);
	json = got ? json_loads(got, 0, NULL) : NULL;
	CHECK_INT(json_array_size(json_object_get(
			  json_object_get(
				  json_object_get(json_object_get(json, "payload"), "variants"),
				  "Temporary"),
			  "arches")),
		  2);
	json_decref(json);
	free(got);
	got = contents(done, "compose/metadata/rpms.json", 7, etag);
	json = got ? json_loads(got, JSON_REJECT_DUPLICATES, NULL) : NULL;
	CHECK_STR(json_string_value(json_object_get(
			  json_object_get(json_object_get(json, "payload"), "compose"), "id")),
		  "odcs-7-1-20231114.t.0");
	json_decref(json);
	free(got);
	/* the tag is of the blob and of what stands before it */
	sha256_hex(RPMS, strlen(RPMS), digest);
	CHECK(!strncmp(etag, digest, 64) && strlen(etag) == 64 + 17);
	got = contents(done, "compose/metadata/modules.json", 7, other);
	json = got ? json_loads(got, JSON_REJECT_DUPLICATES, NULL) : NULL;
	CHECK_STR(json_string_value(json_object_get(json_object_get(json, "header"), "type")),
		  "productmd.modules");
	CHECK(!strncmp(other, digest, 64) && strcmp(other, etag) != 0);
	json_decref(json);
	free(got);
	got = contents(done, "compose/metadata/images.json", 256, other);
	CHECK(got && strstr(got, "productmd.images"));
	free(got);
	CHECK_INT(strlen(other), 64);
	check_contents(early, "logs/global/odcsfs.log", "");
	put_text(place->dirfd, "logs/7", "one\n");
	check_contents(early, "logs/global/odcsfs.log", "one\n");
	check_contents(done, "pungi-stderr.log", "one\n");
}

/* A log grows under an open reader, and says so in its attributes. */
static void test_log(struct place *place, const struct tree *tree)
{
	struct tree_node node;
	struct tree_file file;
	char buffer[64];
	int fd;

	CHECK_INT(tree_file_open(tree, 6, &file, NULL), 0);
	CHECK_INT(tree_file_read(&file, buffer, sizeof(buffer), 4), 0);
	fd = tree_store_log_open(place->store, 7, true, NULL);
	CHECK(fd >= 0 && io_write(fd, "two\n", 4) == 0);
	(void)close(fd);
	CHECK_INT(tree_file_read(&file, buffer, sizeof(buffer), 4), 4);
	CHECK(!memcmp(buffer, "two\n", 4));
	CHECK_INT(tree_file_read(&file, buffer, sizeof(buffer), UINT64_MAX), 0);
	tree_file_done(&file);
	CHECK_INT(tree_get(tree, 3, &node), 0);
	CHECK(node.live && node.size == 8 && node.mtime > 1700000300);
	CHECK_INT(tree_store_log_open(place->store, 8, false, NULL), -ENOENT);
	CHECK_INT(tree_file_open(tree, TREE_ROOT, &file, NULL), -EISDIR);
	CHECK_INT(tree_file_open(tree, 14, &file, NULL), -ENOENT);
	CHECK_INT(tree_file_open(tree, UINT32_MAX, &file, NULL), -ENOENT);
}

static void test_attributes(struct place *place, const struct tree *done, const struct tree *early)
{
	struct tree_package package;
	struct tree_node node;
	char digest[DIGEST_HEX_SIZE];

	CHECK_INT(tree_find(early, "STATUS", &node), 0);
	CHECK(node.live && node.mtime == 1700000200); /* started */
	CHECK_INT(tree_find(done, "STATUS", &node), 0);
	CHECK(!node.live && node.mtime == 1700000300);
	CHECK_INT(tree_find(done, OS, &node), -ENOENT);
	CHECK_INT(tree_find(done, OS "repodata", &node), 0);
	CHECK(node.directory && node.mtime == 1700000300 && !node.package);
	CHECK_INT(tree_package_get(done, node.index, &package), -ENODATA);
	CHECK_INT(tree_package_get(done, 1, &package), -ENODATA);
	CHECK_INT(tree_package_get(early, TREE_MANIFEST_FIRST + 5, &package), -ENODATA);
	CHECK_INT(tree_find(done, OS "Packages/b/bash-5-1.x86_64.rpm", &node), 0);
	CHECK(node.package && node.mtime == 1600000000 && node.size == 100 && node.cached);
	CHECK_INT(tree_package_get(done, node.index, &package), 0);
	CHECK_STR(package.nevra, "bash-5-1.x86_64");
	CHECK_STR(package.reason, "requested");
	CHECK_STR(package.checksum, "sha1:00");
	CHECK_STR(package.origin, "file:///srv/repo/b/bash-5-1.x86_64.rpm");
	CHECK(!package.sha256);
	CHECK_STR(tree_manifest_digest(done), place->manifest);
	CHECK(!tree_manifest_digest(early));

	/* a remote package is cached once its bytes are in packages/ */
	CHECK_INT(tree_find(done, OS "Packages/z/zsh-5-1.x86_64.rpm", &node), 0);
	CHECK(!node.cached);
	put_digest(place->dirfd, "packages", REPOMD, strlen(REPOMD), digest);
	check_contents(done, OS "Packages/z/zsh-5-1.x86_64.rpm", REPOMD);
	CHECK_INT(tree_get(done, node.index, &node), 0);
	CHECK(node.cached);
}

static void test_states(struct place *place)
{
	static const struct {
		enum compose_state state;
		const char *status;
	} states[] = { { STATE_WAIT, "STARTED\n" },
		       { STATE_GENERATING, "STARTED\n" },
		       { STATE_FAILED, "DOOMED\n" },
		       { STATE_REMOVED, "DOOMED\n" } };

	for (size_t i = 0; i < ARRAY_SIZE(states); i++) {
		struct tree *tree = open_sample(place, states[i].state);

		check_listing(tree, early_listing);
		check_contents(tree, "STATUS", states[i].status);
		check_contents(tree, "COMPOSE_ID",
			       states[i].state == STATE_WAIT ? "" : "odcs-7-1-20231114.t.0");
		tree_unref(tree);
	}
}

/* The manifest is mapped once for all, and a tree outlives the files it came from. */
static void test_sharing(struct place *place)
{
	struct tree *one = open_sample(place, STATE_DONE), *two = open_sample(place, STATE_DONE);
	struct sample memory;
	struct error err = { 0 };
	struct tree *tree;

	CHECK(tree_manifest_digest(one) == tree_manifest_digest(two));
	CHECK(tree_ref(one) == one);
	tree_unref(one);
	tree_unref(two);
	CHECK_INT(renameat(place->dirfd, "manifests", place->dirfd, "gone"), 0);
	check_listing(one, done_listing);
	CHECK_INT(renameat(place->dirfd, "gone", place->dirfd, "manifests"), 0);
	tree_unref(one);

	CHECK_INT(tree_open(place->store, sample(&memory, 9, STATE_DONE, NULL), &tree, &err), -EIO);
	CHECK_STR(err.message, "compose 9: no manifest is recorded");
	CHECK_INT(tree_open(place->store, sample(&memory, 9, STATE_DONE, "../../etc/passwd"), &tree,
			    NULL),
		  -EIO);
	CHECK_INT(tree_open(place->store,
			    sample(&memory, 9, STATE_DONE,
				   "00000000000000000000000000000000"
				   "00000000000000000000000000000000"),
			    &tree, &err),
		  -EIO);
	CHECK(strstr(err.message, "missing"));
}

/* Bytes that are a sound manifest, but not the one of that name: removed, to be made again. */
static void test_damaged_manifest(struct place *place)
{
	struct text bytes = { 0 };
	char path[128], digest[DIGEST_HEX_SIZE];
	struct sample memory;
	struct error err = { 0 };
	struct tree *tree;

	place_entries(place, &bytes, 77);
	sha256_hex(bytes.data, bytes.length, digest);
	(void)snprintf(path, sizeof(path), "manifests/%s", digest);
	for (int i = 0; i < 2; i++) {
		bytes.data[bytes.length - 2 - 300 * (size_t)i]++;
		put_file(place->dirfd, path, bytes.data, i ? 100 : bytes.length);
		CHECK_INT(tree_open(place->store, sample(&memory, 9, STATE_DONE, digest), &tree,
				    &err),
			  -EIO);
		CHECK(strstr(err.message, "damaged, removed"));
		CHECK_INT(faccessat(place->dirfd, path, F_OK, 0), -1);
	}
	text_done(&bytes);
}

static void *hammer(void *data)
{
	struct place *place = data;
	struct tree_node node;

	for (int i = 0; i < 300; i++) {
		struct tree *tree = open_sample(place, STATE_DONE);

		if (tree_find(tree, "compose/metadata/rpms.json", &node) < 0)
			abort();
		tree_unref(tree);
	}
	return NULL;
}

static void test_threads(struct place *place)
{
	pthread_t thread[4];

	for (size_t i = 0; i < ARRAY_SIZE(thread); i++)
		if (pthread_create(&thread[i], NULL, hammer, place) != 0)
			abort();
	for (size_t i = 0; i < ARRAY_SIZE(thread); i++)
		CHECK_INT(pthread_join(thread[i], NULL), 0);
}

/* 64 MB for 10,000 composes, in all (DESIGN 8): a fifth of that here, however long the list of
 * names. */
static void test_memory(struct place *place)
{
	enum { TREES = 500 };
	struct tree *tree[TREES];
	struct sample memory;
	struct strings packages = { 0 };
	size_t before, used;

	if (SANITIZED)
		return;
	for (int i = 0; i < 200; i++)
		if (strings_add(&packages, "some-package-name.x86_64") < 0)
			abort();
	before = mallinfo2().uordblks;
	for (int i = 0; i < TREES; i++) {
		struct text bytes = { 0 };
		char digest[DIGEST_HEX_SIZE];
		struct tree_node node;

		place_entries(place, &bytes, 1000 + i);
		put_digest(place->dirfd, "manifests", bytes.data, bytes.length, digest);
		text_done(&bytes);
		(void)sample(&memory, 7, STATE_DONE, digest);
		memory.spec.packages = packages;
		if (tree_open(place->store, &memory.compose, &tree[i], NULL) < 0 ||
		    tree_find(tree[i], "compose/metadata/rpms.json", &node) < 0)
			abort();
	}
	used = (mallinfo2().uordblks - before) / TREES;
	printf("private memory of one tree with its manifest: %zu bytes\n", used);
	CHECK(used > 0 && used <= 2048);
	for (int i = 0; i < TREES; i++)
		tree_unref(tree[i]);
	strings_done(&packages);
}

int main(void)
{
	struct tree *done, *early;
	struct place place;

	place_open(&place);
	done = open_sample(&place, STATE_DONE);
	early = open_sample(&place, STATE_GENERATING);
	check_listing(done, done_listing);
	check_listing(early, early_listing);
	test_numbers(early, done);
	test_paths(done);
	test_texts(&place, done, early);
	test_log(&place, done);
	test_attributes(&place, done, early);
	tree_unref(done);
	tree_unref(early);
	test_states(&place);
	test_sharing(&place);
	test_damaged_manifest(&place);
	test_threads(&place);
	test_memory(&place);
	place_done(&place);
	TEST_END();
}
