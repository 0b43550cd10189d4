/* SPDX-License-Identifier: MIT */
/* tests/unit/compose/odd.c: packages that are not as most are, and what cannot be written. */
#include "tests/unit/compose/checked.h"

#include <libdeflate.h>
#include <signal.h>
#include <sys/resource.h>

#define ELEMENT(name, release, type, checksum, href)                                               \
	"<package type=\"rpm\"><name>" name "</name><arch>noarch</arch>"                           \
	"<version epoch=\"0\" ver=\"1\" rel=\"" release "\"/><checksum type=\"" type               \
	"\" pkgid=\"YES\">" checksum "</checksum><summary/><description/><packager/><url/>"        \
	"<time file=\"7\" build=\"6\"/><size package=\"9\" installed=\"1\" archive=\"1\"/>"        \
	"<location href=\"" href "\"/><format><rpm:license/></format></package>\n"
#define HEX_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define HEX_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define SHA1_C "cccccccccccccccccccccccccccccccccccccccc"

/* ---- odd packages ------------------------------------------------------ */

static void test_collisions(struct scene *scene)
{
	struct composition composition = composition_of(&one_arch);
	size_t one = scene_primary(scene, "one",
				   ELEMENT("same", "1", "sha256", HEX_B, "p/same-1-1.noarch.rpm")
					   ELEMENT("twice", "1", "sha256", HEX_A, "p/twice.rpm"),
				   2);
	size_t two = scene_primary(
		scene, "two",
		ELEMENT("same", "1", "sha256", HEX_A, "q/same-1-1.noarch.rpm")
			ELEMENT("twice", "1", "sha256", HEX_A, "q/twice.rpm")
				ELEMENT("twice", "1", "sha256", HEX_A, "q/twice-again.rpm"),
		3);
	const struct manifest_record *record;
	struct work work, turned;
	char *text;

	for (uint32_t i = 0; i < 2; i++)
		(void)scene_take(scene, one, i, 0, COMPOSER_OS);
	for (uint32_t i = 0; i < 3; i++)
		scene_take(scene, two, i, 0, COMPOSER_OS)->ino = 5;
	work = write_checked(scene, &composition);
	CHECK_INT(work.result.packages_count, 3);
	record = work_find(&work, "compose/Temporary/x86_64/os/Packages/s/same-1-1.noarch.rpm");
	CHECK(record && record->digest[0] == 0xaa); /* the lower checksum */
	CHECK_STR(work_detail(&work, record, 2), "sha256:" HEX_A);
	CHECK(work_find(&work, "compose/Temporary/x86_64/os/Packages/t/twice-again.rpm"));
	record = work_find(&work, "compose/Temporary/x86_64/os/Packages/t/twice.rpm");
	CHECK_STR(record ? work_string(&work, record->first) : NULL, "q/twice.rpm"); /* is there */
	text = work_text(&work, "logs/global/depsolve.log");
	CHECK(text && strstr(text, "solved\nx86_64/os: same-1-1.noarch (sha256 " HEX_B) == text);
	CHECK(text && !strstr(text, "twice")); /* equal bytes: nothing is lost */
	free(text);
	scene_shuffle(scene, 5);
	turned = write_checked(scene, &composition);
	CHECK_STR(turned.result.manifest, work.result.manifest);
	work_done(&turned);
	work_done(&work);
	scene_clear(scene);
}

static void test_odd(struct scene *scene)
{
	struct composition composition = composition_of(&one_arch);
	size_t number =
		scene_primary(scene, "odd",
			      ELEMENT("a", "1", "sha1", SHA1_C, "deep/.a &amp; b&lt;c&gt;.rpm")
				      ELEMENT("b", "1", "sha256", HEX_A, "\xc3\xa9t\xc3\xa9.rpm"),
			      2);
	struct composer_package *package = scene_take(scene, number, 0, 0, COMPOSER_OS);
	const struct manifest_record *record;
	struct work work;
	char *text;

	package->reason = "required by x-1-1.noarch: y\n\tz";
	package->sigkey = "a4f1cd23";
	(void)scene_take(scene, number, 1, 0, COMPOSER_OS);
	work = write_checked(scene, &composition);
	record = work_find(&work, "compose/Temporary/x86_64/os/Packages/_/.a & b<c>.rpm");
	CHECK(record && !record->flags); /* no SHA-256 */
	CHECK(work_find(&work, "compose/Temporary/x86_64/os/Packages/_/\xc3\xa9t\xc3\xa9.rpm"));
	CHECK_STR(work_detail(&work, record, 1), "required by x-1-1.noarch: y  z");
	CHECK_STR(work_detail(&work, record, 2), "sha1:" SHA1_C);
	CHECK(strstr(work_detail(&work, record, 3), "/odd/deep/.a%20%26%20b%3Cc%3E.rpm"));
	text = work_text(&work, "compose/metadata/rpms.json");
	CHECK(text && strstr(text, "\"sigkey\": \"a4f1cd23\""));
	free(text);
	work_done(&work);

	/* from far away: only with a SHA-256, since nothing is handed out unverified */
	scene_clear(scene);
	package = scene_take(scene, number, 1, 0, COMPOSER_OS);
	package->base = "http://mirror.example.org/os/";
	package->mtime_ns = 0;
	package->ino = 0;
	work = write_checked(scene, &composition);
	record = work_find(&work, "compose/Temporary/x86_64/os/Packages/_/\xc3\xa9t\xc3\xa9.rpm");
	CHECK(record && record->flags == (MANIFEST_SHA256 | MANIFEST_REMOTE));
	CHECK_STR(work_detail(&work, record, 3), "http://mirror.example.org/os/%C3%A9t%C3%A9.rpm");
	work_done(&work);
	package->index = 0;
	work = scene_write(scene, &composition);
	CHECK_INT(work.r, -EBADMSG);
	CHECK_INT(work.err.blame, BLAME_SOURCE);
	CHECK(strstr(work.err.message, "a-1-1.noarch"));
	work_done(&work);
	scene_clear(scene);
}

/* ---- indexed before the file was hashed ---------------------------------- */

static void check_stand_in(const struct work *work, const char *element, const char *suffix)
{
	const struct manifest_record *record =
		work_find_suffix(work, "compose/Temporary/x86_64/os/repodata", suffix);
	char *packed = record ? work_content(work, record) : NULL;
	struct libdeflate_decompressor *inflate = libdeflate_alloc_decompressor();
	char text[8192] = "";
	size_t length = 0;

	CHECK(packed &&
	      libdeflate_gzip_decompress(inflate, packed, record->size, text, sizeof(text) - 1,
					 &length) == LIBDEFLATE_SUCCESS);
	text[length] = '\0';
	CHECK(strstr(text, element));
	CHECK(!strstr(text, HEX_A));
	libdeflate_free_decompressor(inflate);
	free(packed);
}

static void test_stand_in(struct scene *scene)
{
	struct composition composition = composition_of(&two_arches);
	size_t number =
		scene_primary(scene, "later", ELEMENT("a", "1", "sha256", HEX_A, "a.rpm"), 1);
	struct composer_package *package;
	const struct manifest_record *record;
	struct work work;

	for (uint32_t arch = 0; arch < 2; arch++) {
		package = scene_take(scene, number, 0, arch, COMPOSER_OS);
		package->sha256 = HEX_B;
	}
	work = write_checked(scene, &composition);
	record = work_find(&work, "compose/Temporary/x86_64/os/Packages/a/a.rpm");
	CHECK(record && record->flags == MANIFEST_SHA256);
	CHECK_STR(work_detail(&work, record, 2), "sha256:" HEX_B);
	check_stand_in(&work, ">" HEX_B "</checksum>", "-primary.xml.gz");
	check_stand_in(&work, "pkgid=\"" HEX_B "\"", "-filelists.xml.gz");
	check_stand_in(&work, "pkgid=\"" HEX_B "\"", "-other.xml.gz");
	work_done(&work);
	package->sha256 = "beef";
	work = scene_write(scene, &composition);
	CHECK_INT(work.r, -EBADMSG);
	CHECK_INT(work.err.blame, BLAME_US);
	work_done(&work);
	scene_clear(scene);
}

/* ---- what cannot be done ----------------------------------------------- */

static void test_refused(struct scene *scene)
{
	struct composition composition = composition_of(&one_arch);
	struct strings bad = { 0 };
	struct composer_result result = { .size_bytes = 77 };
	struct error err = { 0 };
	struct text element = { 0 };
	struct work work;
	char name[300];

	(void)strings_add(&bad, "../x");
	composition.arches = &bad;
	work = scene_write(scene, &composition);
	CHECK_INT(work.r, -EINVAL);
	CHECK_STR(work.err.field, "arches");
	work_done(&work);
	strings_done(&bad);

	composition.arches = &one_arch;
	memset(name, 'n', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	(void)text_addf(&element, ELEMENT("long", "1", "sha256", HEX_A, "%s"), name);
	(void)scene_take(scene, scene_primary(scene, "long", element.data, 1), 0, 0, COMPOSER_OS);
	text_done(&element);
	work = scene_write(scene, &composition);
	CHECK_INT(work.r, -EBADMSG);
	CHECK_INT(work.err.blame, BLAME_SOURCE);
	CHECK_INT(work.result.blobs.count, 0);
	work_done(&work);
	scene_clear(scene);

	/* no blobs/ here */
	CHECK_INT(composer_write(&composition, scene->dirfd, &result, &err), -ENOENT);
	CHECK_INT(err.blame, BLAME_US);
	CHECK_INT(result.size_bytes, 77);
}

/* A disk that takes no more: as good as full. */
static void test_no_room(struct scene *scene)
{
	struct composition composition = composition_of(&two_arches);
	struct rlimit limit, small;
	struct work work;

	scene_take_all(scene, 0, &two_arches);
	(void)signal(SIGXFSZ, SIG_IGN);
	CHECK_INT(getrlimit(RLIMIT_FSIZE, &limit), 0);
	for (rlim_t room = 100; room <= 3000; room += 1450) {
		small = limit;
		small.rlim_cur = room;
		CHECK_INT(setrlimit(RLIMIT_FSIZE, &small), 0);
		work = scene_write(scene, &composition);
		CHECK_INT(setrlimit(RLIMIT_FSIZE, &limit), 0);
		CHECK_INT(work.r, -EFBIG);
		CHECK_INT(work.err.blame, BLAME_US);
		CHECK(strstr(work.err.message, "work directory"));
		CHECK(!work.result.manifest[0] && !work.result.blobs.count);
		work_done(&work);
	}
	scene_clear(scene);
}

int main(int argc, char **argv)
{
	struct scene scene;

	begin(&scene, argc, argv, "compose/hello");
	test_collisions(&scene);
	test_odd(&scene);
	test_stand_in(&scene);
	test_refused(&scene);
	test_no_room(&scene);
	finish(&scene);
	TEST_END();
}
