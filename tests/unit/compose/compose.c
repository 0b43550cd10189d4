/* SPDX-License-Identifier: MIT */
/* tests/unit/compose/compose.c: what composer_write() leaves in the work directory, byte by byte
 * where that matters. Whether others can read the repositories is asked in oracle.py. */
#include "tests/unit/compose/checked.h"

#include <libdeflate.h>
#include <zstd.h>

static struct strings no_names;

/* ---- the repository with everything in it ------------------------------ */

static void check_package(struct scene *scene, const struct work *work, const char *path,
			  const char *source, const char *nevra)
{
	const struct manifest_record *record = work_find(work, path);
	char hex[DIGEST_HEX_SIZE], want[DIGEST_HEX_SIZE];
	struct text file = { 0 };
	const char *detail;
	struct stat st = { 0 };
	uint64_t size = 0;
	int fd;

	CHECK(record && record->type == MANIFEST_PACKAGE);
	if (!record)
		return;
	(void)text_addf(&file, "%s/%s", scene->base[0], source);
	fd = open(file.data, O_RDONLY | O_CLOEXEC);
	CHECK_INT(sha256_file(fd, want, &size), 0);
	CHECK_INT(fstat(fd, &st), 0);
	(void)close(fd);
	hex_print(record->digest, DIGEST_SIZE, hex);
	CHECK_STR(hex, want);
	CHECK_INT(record->flags, MANIFEST_SHA256);
	CHECK_INT(record->size, size);
	CHECK_INT(record->mtime, 1700000000);
	CHECK_INT(record->source_ino, st.st_ino);
	CHECK_INT(record->source_mtime_ns,
		  st.st_mtim.tv_sec * INT64_C(1000000000) + st.st_mtim.tv_nsec);
	CHECK_STR(work_string(work, record->first), source);
	CHECK_STR(work_string(work, record->count), scene->base[0]);

	CHECK_STR(work_detail(work, record, 0), nevra);
	CHECK_STR(work_detail(work, record, 1), "whole repository");
	detail = work_detail(work, record, 2);
	CHECK(!strncmp(detail, "sha256:", 7) && !strcmp(detail + 7, want));
	detail = work_detail(work, record, 3);
	CHECK(!strncmp(detail, "file:///", 8));
	CHECK(!strchr(detail + 8, '+') && !strchr(detail + 8, ' '));
	if (!strncmp(nevra, "Zeta", 4))
		CHECK(strstr(detail, "/rpms/deep/Zeta%2Btools-1~rc1-1.noarch.rpm"));
	text_done(&file);
}

static void check_rpms_json(const struct work *work)
{
	const struct manifest_record *record = work_find(work, "compose/metadata/rpms.json");
	_cleanup_(freep) char *body = work_content(work, record);
	struct text document = { 0 };
	json_auto_t *root = NULL;
	json_t *arch;
	const char *category = NULL, *path = NULL;
	json_error_t where;

	CHECK(record && record->type == MANIFEST_RPMS_JSON);
	CHECK(body && !strncmp(body, "\"rpms\": {", 9));
	(void)text_addf(&document, "{\"payload\": {%s", body ? body : "");
	root = json_loads(document.data, JSON_REJECT_DUPLICATES, &where);
	text_done(&document);
	CHECK(root);
	for (size_t i = 0; i < two_arches.count; i++) {
		CHECK_INT(json_unpack(root, "{s:{s:{s:{s:o}}}}", "payload", "rpms", "Temporary",
				      two_arches.item[i], &arch),
			  0);
		CHECK_INT(json_object_size(arch), 3);
		CHECK_INT(json_object_size(json_object_get(arch, "hello-1:2.0-3.src")), 5);
		CHECK_INT(json_object_size(json_object_get(arch, "lone-0:7-1.src")), 1);
		/* its SRPM is not in the compose, so only its name is known */
		CHECK_INT(json_object_size(json_object_get(arch, "Zeta+tools-0:1~rc1-1.src")), 1);
	}
	CHECK_INT(json_unpack(arch, "{s:{s:{s:s,s:s,s:n}}}", "hello-1:2.0-3.src",
			      "hello-debuginfo-1:2.0-3.x86_64", "category", &category, "path",
			      &path, "sigkey"),
		  0);
	CHECK_STR(category, "debug");
	CHECK_STR(path, "Temporary/x86_64/debug/tree/Packages/h/hello-debuginfo-2.0-3.x86_64.rpm");
	CHECK_INT(json_unpack(arch, "{s:{s:{s:s,s:s,s:n}}}", "hello-1:2.0-3.src",
			      "hello-1:2.0-3.src", "category", &category, "path", &path, "sigkey"),
		  0);
	CHECK_STR(category, "source");
	CHECK_STR(path, "Temporary/source/tree/Packages/h/hello-2.0-3.src.rpm");
}

static void check_logs(const struct work *work)
{
	char *text = work_text(work, "logs/global/why");

	CHECK_STR(text, "Zeta+tools-1~rc1-1.noarch\taarch64/os\twhole repository\n"
			"Zeta+tools-1~rc1-1.noarch\tx86_64/os\twhole repository\n"
			"hello-1:2.0-3.aarch64\taarch64/os\twhole repository\n"
			"hello-1:2.0-3.src\tsource/tree\twhole repository\n"
			"hello-1:2.0-3.x86_64\tx86_64/os\twhole repository\n"
			"hello-debuginfo-1:2.0-3.aarch64\taarch64/debug/tree\twhole repository\n"
			"hello-debuginfo-1:2.0-3.x86_64\tx86_64/debug/tree\twhole repository\n"
			"hello-debugsource-1:2.0-3.aarch64\taarch64/debug/tree\twhole repository\n"
			"hello-debugsource-1:2.0-3.x86_64\tx86_64/debug/tree\twhole repository\n"
			"hello-doc-1:2.0-3.noarch\taarch64/os\twhole repository\n"
			"hello-doc-1:2.0-3.noarch\tx86_64/os\twhole repository\n"
			"lone-7-1.src\tsource/tree\twhole repository\n");
	free(text);
	text = work_text(work, "logs/x86_64/packages.log");
	CHECK_STR(text, "Zeta+tools-1~rc1-1.noarch\nhello-1:2.0-3.x86_64\n"
			"hello-debuginfo-1:2.0-3.x86_64\nhello-debugsource-1:2.0-3.x86_64\n"
			"hello-doc-1:2.0-3.noarch\n");
	free(text);
	text = work_text(work, "logs/global/depsolve.log");
	CHECK_STR(text, "solved\n");
	free(text);
}

static void test_everything(struct scene *scene)
{
	struct composition composition = composition_of(&two_arches);
	const char *source = "rpms/hello-2.0-3.x86_64.rpm", *zeta;
	struct work work;
	char *text;

	scene_take_all(scene, 0, &two_arches);
	composition.modules = "---\ndocument: modulemd\n...\n";
	work = write_checked(scene, &composition);
	CHECK_INT(work.result.packages_count, 12);
	check_package(scene, &work, "compose/Temporary/x86_64/os/Packages/h/hello-2.0-3.x86_64.rpm",
		      source, "hello-1:2.0-3.x86_64");
	zeta = "Zeta+tools-1~rc1-1.noarch";
	for (size_t i = 0; i < two_arches.count; i++) {
		struct text path = { 0 };

		(void)text_addf(&path, "compose/Temporary/%s/os/Packages/z/%s.rpm",
				two_arches.item[i], zeta);
		check_package(scene, &work, path.data, "rpms/deep/Zeta+tools-1~rc1-1.noarch.rpm",
			      zeta);
		text_done(&path);
	}
	CHECK(!work_find(&work, "compose/Temporary/x86_64/os/Packages/h/hello-2.0-3.src.rpm"));
	CHECK(work_find(&work, "compose/Temporary/source/tree/Packages/l/lone-7-1.src.rpm"));
	check_rpms_json(&work);
	check_logs(&work);

	text = work_content(&work, work_find_suffix(&work, "compose/Temporary/aarch64/os/repodata",
						    "-comps.xml"));
	CHECK(text && strstr(text, "<packagelist>\n"
				   "      <packagereq type=\"mandatory\">hello</packagereq>\n"
				   "      <packagereq type=\"mandatory\">zip&amp;zap</packagereq>\n"
				   "    </packagelist>"));
	free(text);
	CHECK(work_find_suffix(&work, "compose/Temporary/x86_64/os/repodata", "-modules.yaml.gz"));
	CHECK(!work_find_suffix(&work, "compose/Temporary/source/tree/repodata",
				"-modules.yaml.gz"));
	CHECK(!work_find_suffix(&work, "compose/Temporary/source/tree/repodata", "-comps.xml"));
	work_done(&work);
	scene_clear(scene);
}

/* ---- modules ----------------------------------------------------------- */

static void check_module(json_t *arch, const char *uid, const char *tag, size_t rpms)
{
	json_t *module = json_object_get(arch, uid), *koji_tag = NULL;
	const char *shown = NULL, *path = NULL;

	CHECK_INT(json_unpack(module, "{s:{s:s,s:o},s:{s:s}}", "metadata", "uid", &shown,
			      "koji_tag", &koji_tag, "modulemd_path", "binary", &path),
		  0);
	CHECK_STR(shown, uid);
	if (tag)
		CHECK_STR(json_string_value(koji_tag), tag);
	else
		CHECK(json_is_null(koji_tag));
	CHECK(path && !strncmp(path, "Temporary/", 10) && strstr(path, "-modules.yaml.gz"));
	CHECK_INT(json_array_size(json_object_get(module, "rpms")), rpms);
}

/* Each arch has documents of its own, and modules.json names the file that they are in. */
static void test_modules(struct scene *scene)
{
	struct composition composition = composition_of(&two_arches);
	char first[] = "hello-1:2.0-3.x86_64", second[] = "a \"quoted\" word";
	char *items[] = { first, second };
	struct strings rpms = { .item = items, .count = 2 }, none = { 0 };
	const char *const documents[] = { "---\ndocument: one\n...\n", NULL };
	const struct composer_module modules[] = {
		{ 0, "hello:1:20:c0ffee", "hello", "1", "20", "c0ffee", "module-hello", &rpms,
		  "requested" },
		{ 0, "hello:2\n:20:c0ffee", "hello", "2\n", "20", "c0ffee", NULL, &none, NULL },
	};
	struct text document = { 0 };
	struct work work;
	json_auto_t *root = NULL;
	json_t *arch = NULL;
	char *text;

	scene_take_all(scene, 0, &two_arches);
	composition.arch_modules = documents;
	work = write_checked(scene, &composition);
	CHECK(!work_find(&work, "compose/metadata/modules.json"));
	work_done(&work);
	composition.module = modules;
	composition.module_count = ARRAY_SIZE(modules);
	work = write_checked(scene, &composition);
	CHECK(work_find_suffix(&work, "compose/Temporary/aarch64/os/repodata", "-modules.yaml.gz"));
	CHECK(!work_find_suffix(&work, "compose/Temporary/x86_64/os/repodata", "-modules.yaml.gz"));
	CHECK_INT(work_find(&work, "compose/metadata/modules.json")->type, MANIFEST_MODULES_JSON);
	text = work_text(&work, "compose/metadata/modules.json");
	(void)text_addf(&document, "{\"payload\": {%s", text ? text : "");
	root = json_loads(document.data, JSON_REJECT_DUPLICATES, NULL);
	CHECK_INT(json_unpack(root, "{s:{s:{s:{s:o}}}}", "payload", "modules", "Temporary",
			      "aarch64", &arch),
		  0);
	CHECK_INT(json_object_size(arch), 2);
	check_module(arch, "hello:1:20:c0ffee", "module-hello", 2);
	check_module(arch, "hello:2 :20:c0ffee", NULL, 0);
	CHECK_INT(json_unpack(root, "{s:{s:{s:{s:o}}}}", "payload", "modules", "Temporary",
			      "x86_64", &arch),
		  0);
	CHECK_INT(json_object_size(arch), 0);
	text_done(&document);
	free(text);
	text = work_text(&work, "logs/global/why");
	CHECK(text && strstr(text, "hello:1:20:c0ffee\taarch64/os/repodata\trequested\n"));
	CHECK(text && strstr(text, "hello:2 :20:c0ffee\taarch64/os/repodata\t\n"));
	free(text);
	work_done(&work);
	scene_clear(scene);
}

/* dnf and Koji look for an i686 below i386, and for an armv7hl below armhfp */
static void test_other_names(struct scene *scene)
{
	static const char *const trees[][2] = {
		{ "i686/os", "i386/os" },
		{ "i686/debug/tree", "i386/debug/tree" },
		{ "armv7hl/os", "armhfp/os" },
		{ "armv7hl/debug/tree", "armhfp/debug/tree" },
	};
	struct strings arches = { 0 };
	struct composition composition = composition_of(&arches);
	const char *path = NULL;
	json_auto_t *root = NULL;
	struct text text = { 0 };
	struct work work;
	char *body;

	(void)strings_split(&arches, "i686 x86_64 armv7hl i586", ' ');
	scene_take_all(scene, 0, &arches);
	work = write_checked_but(scene, &composition, 4); /* two noarch ones each */
	for (size_t i = 0; i < ARRAY_SIZE(trees); i++) {
		const struct manifest_record *record[2];

		for (size_t k = 0; k < 2; k++) {
			text_clear(&text);
			(void)text_addf(&text, "compose/Temporary/%s/repodata/repomd.xml",
					trees[i][k]);
			record[k] = work_find(&work, text.data);
			CHECK(record[k]);
		}
		CHECK(record[0] && record[1] &&
		      !memcmp(record[0]->digest, record[1]->digest, DIGEST_SIZE));
	}
	check_package(scene, &work,
		      "compose/Temporary/i386/os/Packages/z/Zeta+tools-1~rc1-1.noarch.rpm",
		      "rpms/deep/Zeta+tools-1~rc1-1.noarch.rpm", "Zeta+tools-1~rc1-1.noarch");
	CHECK(work_find_suffix(&work, "compose/Temporary/armhfp/os/repodata", "-primary.xml.gz"));
	CHECK(!work_find(&work, "logs/i386/packages.log"));
	body = work_content(&work, work_find(&work, "compose/metadata/rpms.json"));
	text_clear(&text);
	(void)text_addf(&text, "{\"payload\": {%s", body ? body : "");
	root = json_loads(text.data, JSON_REJECT_DUPLICATES, NULL);
	CHECK_INT(json_unpack(root, "{s:{s:{s:{s:{s:{s:{s:s}}}}}}}", "payload", "rpms", "Temporary",
			      "i386", "Zeta+tools-0:1~rc1-1.src", "Zeta+tools-0:1~rc1-1.noarch",
			      "path", &path),
		  0);
	CHECK_STR(path, "Temporary/i386/os/Packages/z/Zeta+tools-1~rc1-1.noarch.rpm");
	free(body);
	work_done(&work);

	/* asked for by itself: then it is what was solved for it */
	strings_done(&arches);
	(void)strings_split(&arches, "i686 i386", ' ');
	scene_clear(scene);
	scene_take_all(scene, 0, &arches);
	work = write_checked(scene, &composition);
	CHECK(work_find(&work, "compose/Temporary/i386/os/repodata/repomd.xml"));
	work_done(&work);
	strings_done(&arches);
	text_done(&text);
	scene_clear(scene);
}

/* ---- the same bytes ---------------------------------------------------- */

static bool have_all(void *data, const char *digest)
{
	(*(size_t *)data)++;
	return hex_is_digest(digest);
}

static bool have_listed(void *data, const char *digest)
{
	return strings_has(data, digest);
}

static void test_same_bytes(struct scene *scene)
{
	struct composition composition = composition_of(&two_arches);
	struct strings backwards = { 0 };
	struct work first, again;
	size_t asked = 0;

	for (size_t i = names.count; i-- > 0;)
		(void)strings_add(&backwards, names.item[i]);
	for (size_t i = 0; i < scene->repositories; i++)
		scene_take_all(scene, i, &two_arches);
	first = write_checked(scene, &composition);
	strings_sort(&first.result.blobs);
	for (unsigned int seed = 1; seed <= 3; seed++) {
		char *before, *after;

		scene_shuffle(scene, seed);
		composition.comps_names = seed == 2 ? &backwards : &names;
		again = write_checked(scene, &composition);
		CHECK_STR(again.result.manifest, first.result.manifest);
		strings_sort(&again.result.blobs);
		before = strings_join(&first.result.blobs, " ");
		after = strings_join(&again.result.blobs, " ");
		CHECK_STR(after, before);
		free(before);
		free(after);
		work_done(&again);
	}
	/* what the service has is not written again */
	composition.have_blob = composition.have_manifest = have_all;
	composition.have_data = &asked;
	again = scene_write(scene, &composition);
	CHECK_INT(again.r, 0);
	CHECK(asked > 10);
	CHECK_STR(again.result.manifest, first.result.manifest);
	CHECK(!again.result.manifest_new);
	CHECK_INT(again.result.bytes_written, 0);
	CHECK_INT(again.result.packages_count, first.result.packages_count);
	CHECK_INT(again.result.size_bytes, first.result.size_bytes);
	check_blob_files(&again);
	work_done(&again);
	/* another timestamp: new repomd.xml files and a new manifest, nothing else */
	composition.have_blob = composition.have_manifest = have_listed;
	composition.have_data = &first.result.blobs;
	composition.timestamp++;
	again = scene_write(scene, &composition);
	CHECK_INT(again.r, 0);
	CHECK_INT(again.result.blobs.count, 5);
	CHECK(strcmp(again.result.manifest, first.result.manifest));
	check_blob_files(&again);
	work_done(&again);
	work_done(&first);
	strings_done(&backwards);
	scene_clear(scene);
}

/* ---- nothing in it ----------------------------------------------------- */

static void test_empty(struct scene *scene)
{
	static const char *const trees[] = { "x86_64/os", "x86_64/debug/tree", "source/tree" };
	struct composition composition = composition_of(&one_arch);
	struct work work;
	char *text;

	composition.comps_names = &no_names;
	composition.depsolve_log = NULL;
	work = write_checked(scene, &composition);
	CHECK_INT(work.result.packages_count, 0);
	for (size_t i = 0; i < ARRAY_SIZE(trees); i++) {
		struct text path = { 0 };
		const struct manifest_record *record;

		(void)text_addf(&path, "compose/Temporary/%s/Packages", trees[i]);
		record = work_find(&work, path.data);
		CHECK(record && record->type == MANIFEST_DIRECTORY && !record->count);
		text_clear(&path);
		(void)text_addf(&path, "compose/Temporary/%s/repodata", trees[i]);
		record = work_find(&work, path.data);
		CHECK(record);
		CHECK_INT(record ? record->count : 0, i ? 4 : 5);
		text_done(&path);
	}
	text = work_text(&work, "compose/metadata/rpms.json");
	CHECK_STR(text, "\"rpms\": {\n            \"Temporary\": {\n"
			"                \"x86_64\": {}\n            }\n        }\n    }\n}");
	free(text);
	text = work_text(&work, "logs/global/why");
	CHECK_STR(text, "");
	free(text);
	text = work_content(&work, work_find_suffix(&work, "compose/Temporary/x86_64/os/repodata",
						    "-comps.xml"));
	CHECK(text && strstr(text, "<packagelist>\n    </packagelist>"));
	free(text);
	work_done(&work);
}

/* ---- compression ------------------------------------------------------- */

static void test_compression(struct scene *scene)
{
	static const char directory[] = "compose/Temporary/x86_64/os/repodata";
	struct composition composition = composition_of(&one_arch);
	const struct manifest_record *gz, *zst;
	struct work work[2];
	char *bytes[2], *plain[2];
	struct libdeflate_decompressor *decompressor = libdeflate_alloc_decompressor();
	unsigned long long length;
	size_t got = 0;

	scene_take_all(scene, 0, &one_arch);
	work[0] = write_checked(scene, &composition);
	composition.compression = COMPOSER_ZSTD;
	work[1] = write_checked(scene, &composition);
	gz = work_find_suffix(&work[0], directory, "-primary.xml.gz");
	zst = work_find_suffix(&work[1], directory, "-primary.xml.zst");
	bytes[0] = work_content(&work[0], gz);
	bytes[1] = work_content(&work[1], zst);
	CHECK(bytes[0] && bytes[1]);
	/* RFC 1952: no flags (no name), time 0 */
	CHECK(!memcmp(bytes[0], "\x1f\x8b\x08\0\0\0\0\0", 8));
	length = ZSTD_getFrameContentSize(bytes[1], zst->size);
	CHECK(length > 1000 && length < 100000);
	plain[0] = calloc(1, length + 1);
	plain[1] = calloc(1, length + 1);
	CHECK_INT(libdeflate_gzip_decompress(decompressor, bytes[0], gz->size, plain[0], length,
					     &got),
		  LIBDEFLATE_SUCCESS);
	CHECK_INT(got, length);
	CHECK_INT(ZSTD_decompress(plain[1], length, bytes[1], zst->size), length);
	CHECK_STR(plain[1], plain[0]);
	CHECK(strstr(plain[0], "<location href=\"Packages/z/Zeta+tools-1~rc1-1.noarch.rpm\"/>"));
	CHECK(!strstr(plain[0], "rpms/"));
	libdeflate_free_decompressor(decompressor);
	for (size_t i = 0; i < 2; i++) {
		free(plain[i]);
		free(bytes[i]);
		work_done(&work[i]);
	}
	scene_clear(scene);
}

int main(int argc, char **argv)
{
	struct text path = { 0 };
	struct scene scene;

	begin(&scene, argc, argv, "compose/hello");
	test_everything(&scene);
	test_modules(&scene);
	test_other_names(&scene);
	test_empty(&scene);
	test_compression(&scene);
	(void)text_addf(&path, "%s/universe-small/base", argv[1]);
	(void)scene_repository(&scene, path.data);
	text_clear(&path);
	(void)text_addf(&path, "%s/universe-small/updates", argv[1]);
	(void)scene_repository(&scene, path.data);
	text_done(&path);
	test_same_bytes(&scene);
	finish(&scene);
	TEST_END();
}
