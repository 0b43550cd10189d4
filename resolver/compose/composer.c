/* SPDX-License-Identifier: MIT */
/* resolver/compose/composer.c: the order of one compose.
 *
 *   packages ─► items by place and NEVRA ─► repodata of each place ─► rpms.json, logs ─► manifest
 *
 * A place is one repository: ARCH/os and ARCH/debug/tree for each arch, then source/tree. All exist
 * in every compose, since a client that follows the .repo file wants an empty repository, not an
 * error; those of an i686 are shown as i386 as well, where dnf and Koji look. Nothing here looks at
 * the clock or at the order in which packages came. Called by resolver/worker. */
#include "resolver/compose/parts.h"

#include <fcntl.h>

#define NEVRA_MAX_SIZE 4096

char file_letter(const char *file)
{
	char c = file[0];

	if (c >= 'A' && c <= 'Z')
		return (char)(c - 'A' + 'a');
	return c == '.' || (unsigned char)c >= 0x80 ? '_' : c;
}

static bool is_control(char c)
{
	return (unsigned char)c < ' ' || c == 0x7f;
}

void line_adds(struct text *text, const char *string)
{
	while (*string) {
		size_t plain = 0;

		while (string[plain] && !is_control(string[plain]))
			plain++;
		(void)text_add(text, string, plain);
		string += plain;
		if (*string) {
			(void)text_add(text, " ", 1);
			string++;
		}
	}
}

void composer_result_done(struct composer_result *result)
{
	strings_done(&result->blobs);
	*result = (struct composer_result){ 0 };
}

/* ---- places ------------------------------------------------------------ */

static int name_place(struct place *place, const char *arch, const char *also, struct error *err)
{
	static const char *const tails[] = {
		[COMPOSER_OS] = "os", [COMPOSER_DEBUG] = "debug/tree"
	};
	const char *const names[] = { arch, also };
	char **const paths[] = { &place->path, &place->also };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (names[i] && asprintf(paths[i], "%s/%s", names[i], tails[place->tree]) < 0) {
			*paths[i] = NULL;
			return error_oom(err);
		}
	return 0;
}

static int make_places(struct composing *composing, struct error *err)
{
	const struct strings *arches = composing->composition->arches;
	size_t count = 2 * arches->count + 1; /* place 2 * i is os of arch i, the next one debug */

	composing->place = calloc(count, sizeof(*composing->place));
	if (!composing->place)
		return error_oom(err);
	for (size_t i = 0; i < arches->count; i++)
		if (strchr(arches->item[i], '/') ||
		    location_check(arches->item[i], "arches", NULL) < 0)
			return error_set(err, -EINVAL, BLAME_REQUEST, "arches",
					 "%s is not the name of an architecture", arches->item[i]);
	for (size_t i = 0; i < count; i++) {
		struct place *place = &composing->place[i];

		composing->place_count++;
		if (i == count - 1) {
			place->tree = COMPOSER_SOURCE;
			place->path = strdup("source/tree");
			return place->path ? 0 : error_oom(err);
		}
		place->tree = i % 2 ? COMPOSER_DEBUG : COMPOSER_OS;
		if (name_place(place, arches->item[i / 2], arch_also(arches, i / 2), err) < 0)
			return -ENOMEM;
	}
	return 0;
}

/* ---- items ------------------------------------------------------------- */

/* What a manifest can show: core/tree refuses anything else, and then without these words. */
static int check_item(const struct item *item, struct error *err)
{
	const struct composer_package *package = item->package;
	int r = location_check(item->file, item->nevra, err);

	if (r == 0)
		r = location_check(package->path, item->nevra, err);
	if (r < 0)
		return r;
	if (strlen(item->file) > MANIFEST_MAX_NAME)
		return error_set(err, -EBADMSG, BLAME_SOURCE, NULL, "%s: file name too long",
				 item->nevra);
	if (strlen(item->nevra) > NEVRA_MAX_SIZE)
		return error_set(err, -EBADMSG, BLAME_SOURCE, NULL, "NEVRA too long: %.256s …",
				 item->nevra);
	if (item->stand_in && (!hex_is_digest(item->stand_in) || !hex_is_digest(package->sha256)))
		return error_set(err, -EBADMSG, BLAME_US, NULL,
				 "%s: no SHA-256, or no place for it", item->nevra);
	if (strstr(package->base, "://") &&
	    (strcmp(item->about.checksum_type, "sha256") || !hex_is_digest(item->about.checksum)))
		return error_set(err, -EBADMSG, BLAME_SOURCE, NULL,
				 "%s: a remote package needs a SHA-256 checksum", item->nevra);
	return 0;
}

static int make_item(struct composing *composing, const struct composer_package *package,
		     struct error *err)
{
	struct item *item = &composing->item[composing->count];
	const struct snapshot_package *about = &item->about;
	struct text nevra = { 0 };
	const char *slash;

	if (package->tree > COMPOSER_SOURCE ||
	    (package->tree != COMPOSER_SOURCE &&
	     package->arch >= composing->composition->arches->count))
		return error_set(err, -EINVAL, BLAME_US, NULL, "a package without a place");
	item->package = package;
	item->place = package->tree == COMPOSER_SOURCE
			      ? composing->place_count - 1
			      : 2 * (size_t)package->arch + (package->tree == COMPOSER_DEBUG);
	item->twin = NO_ITEM;
	snapshot_package_get(package->snapshot, package->index, &item->about);
	if (package->sha256) {
		item->stand_in = item->about.checksum;
		item->about.checksum = package->sha256;
		item->about.checksum_type = "sha256";
	}
	slash = strrchr(about->href, '/');
	item->file = slash ? slash + 1 : about->href;

	line_adds(&nevra, about->name);
	(void)text_add(&nevra, "-", 1);
	if (about->epoch)
		(void)text_addf(&nevra, "%" PRIu32 ":", about->epoch);
	line_adds(&nevra, about->version);
	(void)text_add(&nevra, "-", 1);
	line_adds(&nevra, about->release);
	(void)text_add(&nevra, ".", 1);
	line_adds(&nevra, about->arch);
	item->nevra = text_steal(&nevra);
	if (!item->nevra)
		return error_oom(err);
	composing->count++;
	return check_item(item, err);
}

static int compare_strings(const char *const a[], const char *const b[], size_t count)
{
	int order = 0;

	for (size_t i = 0; i < count && !order; i++)
		order = strcmp(a[i], b[i]);
	return order;
}

/* (place, name, epoch, version, release, arch, checksum); then whatever differs, so that no order
 * depends on the one in which packages came */
static int compare_items(const void *a, const void *b)
{
	const struct item *ia = a, *ib = b;
	const struct snapshot_package *sa = &ia->about, *sb = &ib->about;
	const struct composer_package *pa = ia->package, *pb = ib->package;
	int order;

	if (ia->place != ib->place)
		return ia->place < ib->place ? -1 : 1;
	order = strcmp(sa->name, sb->name);
	if (order)
		return order;
	if (sa->epoch != sb->epoch)
		return sa->epoch < sb->epoch ? -1 : 1;
	order = compare_strings((const char *const[]){ sa->version, sa->release, sa->arch,
						       sa->checksum, sa->checksum_type },
				(const char *const[]){ sb->version, sb->release, sb->arch,
						       sb->checksum, sb->checksum_type },
				5);
	if (order)
		return order;
	/* real repositories name a package again at a place where no file is */
	if (!pa->ino != !pb->ino)
		return pa->ino ? -1 : 1;
	order = compare_strings((const char *const[]){ snapshot_digest(pa->snapshot), pa->base,
						       pa->path, pa->reason ? pa->reason : "" },
				(const char *const[]){ snapshot_digest(pb->snapshot), pb->base,
						       pb->path, pb->reason ? pb->reason : "" },
				4);
	if (!order && pa->index != pb->index)
		order = pa->index < pb->index ? -1 : 1;
	return order;
}

static int compare_files(const void *a, const void *b)
{
	const struct item *ia = *(struct item *const *)a, *ib = *(struct item *const *)b;
	int order;

	if (ia->place != ib->place)
		return ia->place < ib->place ? -1 : 1;
	order = strcmp(ia->file, ib->file);
	return order ? order : ia < ib ? -1 : ia > ib;
}

/* @loser has the file name of @winner in the same place. The same bytes twice are not worth a word.
 */
static void leave_out(struct composing *composing, const struct item *winner, struct item *loser)
{
	const struct snapshot_package *kept = &winner->about, *left = &loser->about;

	if (strcmp(kept->checksum, left->checksum) ||
	    strcmp(kept->checksum_type, left->checksum_type))
		(void)text_addf(&composing->log,
				"%s: %s (%s %s, from %s) is left out: %s (%s %s, from %s) has its "
				"file name %s\n",
				composing->place[loser->place].path, loser->nevra,
				left->checksum_type, left->checksum, loser->package->base,
				winner->nevra, kept->checksum_type, kept->checksum,
				winner->package->base, winner->file);
	free(loser->nevra);
	loser->nevra = NULL;
}

static int drop_collisions(struct composing *composing, struct error *err)
{
	_cleanup_(freep) struct item **order = calloc(composing->count + 1, sizeof(struct item *));
	size_t winner = 0, kept = 0;

	if (!order)
		return error_oom(err);
	for (size_t i = 0; i < composing->count; i++)
		order[i] = &composing->item[i];
	if (composing->count)
		qsort(order, composing->count, sizeof(*order), compare_files);
	for (size_t i = 1; i < composing->count; i++) {
		if (order[i]->place == order[winner]->place &&
		    !strcmp(order[i]->file, order[winner]->file))
			leave_out(composing, order[winner], order[i]);
		else
			winner = i;
	}
	for (size_t i = 0; i < composing->count; i++)
		if (composing->item[i].nevra)
			composing->item[kept++] = composing->item[i];
	composing->count = kept;
	return 0;
}

static int make_items(struct composing *composing, struct error *err)
{
	const struct composition *composition = composing->composition;
	int r;

	composing->item = calloc(composition->count + 1, sizeof(*composing->item));
	if (!composing->item)
		return error_oom(err);
	for (size_t i = 0; i < composition->count; i++) {
		r = make_item(composing, &composition->package[i], err);
		if (r < 0)
			return r;
	}
	if (composing->count)
		qsort(composing->item, composing->count, sizeof(*composing->item), compare_items);
	r = drop_collisions(composing, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < composing->count; i++) {
		struct place *place = &composing->place[composing->item[i].place];

		if (!place->count++)
			place->first = i;
	}
	return elements_link(composing, err);
}

/* ---- what is not repodata ---------------------------------------------- */

/* @at: the place's path, or the one where it is shown once more */
static int add_packages(struct composing *composing, const struct place *place, const char *at,
			struct error *err)
{
	uint32_t letters[0x80] = { 0 }; /* nodes; 0: not there yet */
	struct text path = { 0 };
	uint32_t packages;
	int r;

	if (text_addf(&path, "compose/Temporary/%s/Packages", at) < 0)
		return error_oom(err);
	r = manifest_writer_directory(composing->manifest, 0, path.data, &packages, err);
	text_done(&path);
	for (size_t i = 0; i < place->count && r == 0; i++) {
		const struct item *item = &composing->item[place->first + i];
		const char letter[] = { file_letter(item->file), '\0' };
		uint32_t *directory = &letters[(unsigned char)letter[0]];

		if (!*directory)
			r = manifest_writer_directory(composing->manifest, packages, letter,
						      directory, err);
		if (r == 0)
			r = manifest_writer_package(composing->manifest, *directory, item, err);
	}
	return r;
}

/* A blob at DIRECTORY/NAME; @text is empty afterwards. */
static int add_file(struct composing *composing, const char *directory, const char *name,
		    enum manifest_type type, struct text *text, struct error *err)
{
	struct blob blob;
	uint32_t node;
	int r;

	if (text->failed)
		return error_oom(err);
	r = blob_put(&composing->blobs, text->data ? text->data : "", text->length, &blob, err);
	text_clear(text);
	if (r == 0)
		r = manifest_writer_directory(composing->manifest, 0, directory, &node, err);
	if (r == 0)
		r = manifest_writer_blob(composing->manifest, node, name, type, &blob, err);
	return r;
}

static int add_lines(struct text *text, struct strings *lines)
{
	strings_sort(lines);
	for (size_t i = 0; i < lines->count; i++) {
		(void)text_adds(text, lines->item[i]);
		(void)text_add(text, "\n", 1);
	}
	strings_done(lines);
	return text->failed ? -ENOMEM : 0;
}

/* Modules stand where their documents are. */
static int add_modules_why(const struct composing *composing, struct text *text,
			   struct strings *lines)
{
	const struct composition *composition = composing->composition;
	int r = 0;

	for (size_t i = 0; i < composition->module_count && r == 0; i++) {
		const struct composer_module *module = &composition->module[i];

		text_clear(text);
		line_adds(text, module->uid);
		(void)text_addf(text, "\t%s/repodata\t",
				composing->place[2 * (size_t)module->arch].path);
		line_adds(text, module->reason ? module->reason : "");
		r = text->failed ? -ENOMEM : strings_add(lines, text->data);
	}
	return r;
}

static int add_why(struct composing *composing, struct text *text, struct error *err)
{
	struct strings lines = { 0 };
	int r = add_modules_why(composing, text, &lines);

	for (size_t i = 0; i < composing->count && r == 0; i++) {
		const struct item *item = &composing->item[i];
		const char *reason = item->package->reason;

		text_clear(text);
		(void)text_addf(text, "%s\t%s\t", item->nevra, composing->place[item->place].path);
		line_adds(text, reason ? reason : "");
		r = text->failed ? -ENOMEM : strings_add(&lines, text->data);
	}
	text_clear(text);
	if (add_lines(text, &lines) < 0 || r < 0)
		return error_oom(err);
	return add_file(composing, "logs/global", "why", MANIFEST_BLOB, text, err);
}

static int add_package_log(struct composing *composing, size_t arch, struct text *text,
			   struct error *err)
{
	struct text directory = { 0 };
	struct strings lines = { 0 };
	int r = 0;

	for (size_t p = 2 * arch; p < 2 * arch + 2; p++) {
		const struct place *place = &composing->place[p];

		for (size_t i = 0; i < place->count && r == 0; i++)
			r = strings_add(&lines, composing->item[place->first + i].nevra);
	}
	(void)text_addf(&directory, "logs/%s", composing->composition->arches->item[arch]);
	if (add_lines(text, &lines) < 0 || r < 0 || directory.failed)
		r = error_oom(err);
	else
		r = add_file(composing, directory.data, "packages.log", MANIFEST_BLOB, text, err);
	text_done(&directory);
	return r;
}

static int add_files(struct composing *composing, struct text *text, struct error *err)
{
	int r = productmd_rpms(composing, text, err);

	if (r == 0)
		r = add_file(composing, "compose/metadata", "rpms.json", MANIFEST_RPMS_JSON, text,
			     err);
	if (r == 0 && composing->composition->module_count) {
		r = productmd_modules(composing, text, err);
		if (r == 0)
			r = add_file(composing, "compose/metadata", "modules.json",
				     MANIFEST_MODULES_JSON, text, err);
	}
	if (r == 0)
		r = add_file(composing, "logs/global", "depsolve.log", MANIFEST_BLOB,
			     &composing->log, err);
	if (r == 0)
		r = add_why(composing, text, err);
	for (size_t i = 0; i < composing->composition->arches->count && r == 0; i++)
		r = add_package_log(composing, i, text, err);
	return r;
}

/* ---- the whole --------------------------------------------------------- */

static int add_manifest(struct composing *composing, int work_dirfd, struct text *text,
			struct composer_result *result, struct error *err)
{
	const struct composition *composition = composing->composition;
	_cleanup_(closep) int dirfd = -1;
	int r = manifest_writer_finish(composing->manifest, composition->timestamp, text,
				       &result->size_bytes, err);

	if (r < 0)
		return r;
	sha256_hex(text->data, text->length, result->manifest);
	if (composition->have_manifest &&
	    composition->have_manifest(composition->have_data, result->manifest))
		return 0;
	dirfd = openat(work_dirfd, "manifests", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dirfd < 0)
		return error_errno(err, errno, "opening manifests/ of the work directory");
	r = blob_file(dirfd, result->manifest, text->data, text->length, err);
	if (r < 0)
		return r;
	result->manifest_new = true;
	result->bytes_written = (int64_t)text->length;
	return 0;
}

static int compose(struct composing *composing, int work_dirfd, struct composer_result *result,
		   struct error *err)
{
	const char *log = composing->composition->depsolve_log;
	struct text text = { 0 };
	size_t length = log ? strlen(log) : 0;
	int r;

	(void)text_add(&composing->log, log, length);
	if (length && log[length - 1] != '\n')
		(void)text_add(&composing->log, "\n",
			       1); /* what is left out gets lines of its own */
	r = make_places(composing, err);
	if (r == 0)
		r = make_items(composing, err);
	if (r == 0)
		r = compressor_new(composing->composition->compression, &composing->compressor,
				   err);
	if (r == 0)
		r = manifest_writer_new(&composing->manifest, err);
	for (size_t i = 0; i < composing->place_count && r == 0; i++) {
		struct place *place = &composing->place[i];

		r = repodata_write(composing, place, err);
		if (r == 0)
			r = add_packages(composing, place, place->path, err);
		if (r == 0 && place->also)
			r = add_packages(composing, place, place->also, err);
	}
	if (r == 0)
		r = add_files(composing, &text, err);
	if (r == 0)
		r = add_manifest(composing, work_dirfd, &text, result, err);
	text_done(&text);
	return r;
}

static void composing_done(struct composing *composing)
{
	for (size_t i = 0; i < composing->place_count; i++) {
		free(composing->place[i].path);
		free(composing->place[i].also);
		free(composing->place[i].modules);
	}
	free(composing->place);
	for (size_t i = 0; i < composing->count; i++)
		free(composing->item[i].nevra);
	free(composing->item);
	text_done(&composing->elements);
	text_done(&composing->log);
	strings_done(&composing->blobs.written);
	compressor_free(composing->compressor);
	manifest_writer_free(composing->manifest);
}

int composer_write(struct composition *composition, int work_dirfd, struct composer_result *result,
		   struct error *err)
{
	_cleanup_(closep) int dirfd =
		openat(work_dirfd, "blobs", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_(composing_done) struct composing composing = {
		.composition = composition,
		.blobs = { .dirfd = dirfd,
			   .have = composition->have_blob,
			   .have_data = composition->have_data },
	};
	struct composer_result made = { 0 };
	int r;

	if (dirfd < 0)
		return error_errno(err, errno, "opening blobs/ of the work directory");
	r = compose(&composing, work_dirfd, &made, err);
	if (r < 0)
		return r;
	made.packages_count = (int64_t)composing.count;
	made.bytes_written += composing.blobs.bytes_written;
	made.blobs = composing.blobs.written;
	composing.blobs.written = (struct strings){ 0 };
	*result = made;
	return 0;
}
