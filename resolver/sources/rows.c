/* SPDX-License-Identifier: MIT */
/* resolver/sources/rows.c: chosen packages become rows of the compose, with the source and debug
 * packages that belong to them.
 *
 * A chosen package must be there: its file exists with the size that the metadata gives. Real
 * repositories list packages twice, the second time at a place that does not exist; any place of
 * the same package will do.
 *
 * Files of this machine are looked at in the end, all at once: another process opens them, and a
 * question for each would cost more than the answers. */
#include "resolver/sources/online.h"

/* struct unseen - a row of the set, and the repository it is of */
struct unseen {
	size_t row, number;
};

int rows_begin(struct load *load)
{
	for (size_t i = 0; i < load->sources; i++) {
		struct repository *repository = &load->repository[i];

		free(repository->taken);
		repository->taken = calloc(snapshot_count(repository->held->snapshot) / 8 + 1, 1);
		if (!repository->taken)
			return -ENOMEM;
	}
	return 0;
}

/* ---- one row ----------------------------------------------------------- */

char *package_nevra(const struct snapshot_package *package)
{
	_cleanup_(text_done) struct text text = { 0 };

	text_addf(&text, "%s-", package->name);
	if (package->epoch)
		text_addf(&text, "%" PRIu32 ":", package->epoch);
	text_addf(&text, "%s-%s.%s", package->version, package->release, package->arch);
	return text_steal(&text);
}

static bool same_nevra(const struct snapshot_package *a, const struct snapshot_package *b)
{
	return a->epoch == b->epoch && !strcmp(a->name, b->name) &&
	       !strcmp(a->version, b->version) && !strcmp(a->release, b->release) &&
	       !strcmp(a->arch, b->arch);
}

static bool is_local(const struct repository *repository)
{
	return !repository->look && !repository->online;
}

/* Where the file of package @index lies */
static int place(struct load *load, const struct repository *repository, uint32_t index,
		 struct composer_package *row, struct error *err)
{
	_cleanup_(freep) char *joined = NULL;
	struct snapshot_package package;
	int r;

	snapshot_package_get(repository->held->snapshot, index, &package);
	row->path = package.href;
	if (*package.base) {
		r = repository_path(repository, package.base, package.href, &joined, err);
		if (r < 0)
			return r;
		row->path = package_set_text(load->set, joined);
		if (!row->path)
			return error_oom(err);
	}
	row->base = repository->base;
	row->index = index;
	return 0;
}

/* Is @file what the metadata speaks of? */
static int compare(struct composer_package *row, const struct transport_file *file,
		   struct error *err)
{
	struct snapshot_package package;

	snapshot_package_get(row->snapshot, row->index, &package);
	if (file->size != package.size)
		return error_set(err, -ESTALE, BLAME_SOURCE, NULL,
				 "%s/%s has %" PRIu64 " bytes, not the %" PRIu64
				 " that the metadata gives",
				 row->base, row->path, file->size, package.size);
	row->mtime_ns = file->mtime_ns;
	row->ino = file->ino;
	return 0;
}

/* Is the file of package @index in its place? Fills where it is */
static int look(struct load *load, const struct repository *repository, uint32_t index,
		struct composer_package *row, struct error *err)
{
	struct transport_file file;
	int r;

	if (repository->look)
		return repository->look(load, repository, index, row, err);
	if (repository->online)
		return online_look(load, repository, index, row, err);
	r = place(load, repository, index, row, err);
	if (r == 0)
		r = transport_stat(repository_files(load, repository), row->base, row->path, &file,
				   err);
	return r < 0 ? r : compare(row, &file, err);
}

static int look_for_twin(struct load *load, const struct repository *repository, uint32_t index,
			 struct composer_package *row, struct error *err)
{
	const uint32_t *twin;
	size_t count;
	struct error ignored = { 0 };

	if (held_twins(repository->held, index, &twin, &count) < 0)
		return error_oom(err);
	for (size_t i = 0; i < count; i++)
		if (twin[i] != index && look(load, repository, twin[i], row, &ignored) == 0)
			return 0;
	return -ENOENT;
}

/* What @r, of the look at package @index, comes to; 0: there is a twin, or it was fine */
static int judge(struct load *load, const struct repository *repository, uint32_t index, int r,
		 struct composer_package *row, struct error *words, struct error *err)
{
	if (r == -ENOENT || r == -ESTALE || r == -EACCES) {
		if (look_for_twin(load, repository, index, row, words) == 0)
			r = 0;
	}
	if (r < 0) {
		if (words->blame == BLAME_REQUEST)
			words->blame =
				BLAME_SOURCE; /* the name of the file is not in the request */
		*err = *words;
	}
	return r;
}

static int add_unseen(struct load *load, size_t row, size_t number)
{
	if (load->unseen_count == load->unseen_room) {
		size_t room = load->unseen_room ? load->unseen_room * 2 : 256;
		struct unseen *more = reallocarray(load->unseen, room, sizeof(*more));

		if (!more)
			return -ENOMEM;
		load->unseen = more;
		load->unseen_room = room;
	}
	load->unseen[load->unseen_count++] = (struct unseen){ row, number };
	return 0;
}

int rows_add(struct load *load, size_t number, uint32_t index, size_t arch, enum composer_tree tree,
	     const char *reason, struct error *err)
{
	struct repository *repository = &load->repository[number];
	struct composer_package row = { .snapshot = repository->held->snapshot,
					.arch = (uint32_t)arch,
					.tree = tree,
					.reason = reason };
	struct error words = { 0 };
	int r;

	if (repository->taken[index / 8] & 1u << index % 8)
		return 0;
	repository->taken[index / 8] |= (uint8_t)(1u << index % 8);
	r = is_local(repository) ? place(load, repository, index, &row, &words)
				 : look(load, repository, index, &row, &words);
	r = judge(load, repository, index, r, &row, &words, err);
	if (r < 0)
		return r;
	if (is_local(repository) && add_unseen(load, load->set->composition.count, number) < 0)
		return error_oom(err);
	return package_set_add(load->set, &row) < 0 ? error_oom(err) : 0;
}

/* ---- files of this machine --------------------------------------------- */

/* Rows of one repository, from @unseen on: as many as are asked about together. @ret_count: so many
 * are done */
static int look_at_some(struct load *load, const struct unseen *unseen, size_t count,
			size_t *ret_count, struct error *err)
{
	const struct repository *repository = &load->repository[unseen->number];
	struct composer_package *row = load->set->composition.package;
	const char *path[256];
	struct transport_file file[ARRAY_SIZE(path)];
	struct error words = { 0 };
	size_t n = 0, seen, i = 0;
	int r;

	while (n < count && n < ARRAY_SIZE(path) && unseen[n].number == unseen->number) {
		path[n] = row[unseen[n].row].path;
		n++;
	}
	r = transport_stat_all(repository_files(load, repository), repository->base, path, n, file,
			       &seen, &words);
	for (; i < seen; i++) {
		struct composer_package *one = &row[unseen[i].row];
		struct error other = { 0 };
		int one_r = compare(one, &file[i], &other);

		one_r = judge(load, repository, one->index, one_r, one, &other, err);
		if (one_r < 0)
			return one_r;
	}
	if (r < 0) { /* that of the next one */
		struct composer_package *one = &row[unseen[i].row];

		r = judge(load, repository, one->index, r, one, &words, err);
		i++;
	}
	*ret_count = i;
	return r;
}

static int look_at_unseen(struct load *load, struct error *err)
{
	size_t done = 0;
	int r = 0;

	while (done < load->unseen_count && r == 0) {
		size_t count = 0;

		r = look_at_some(load, load->unseen + done, load->unseen_count - done, &count, err);
		done += count;
	}
	return r;
}

/* ---- what belongs to them ---------------------------------------------- */

/* The source package that a row was built from, and of which arch the row is */
struct built {
	const char *sourcerpm, *arch;
	size_t row; /* its number: adding rows moves them */
};

struct builts {
	struct built *item;
	size_t count;
};

static void builts_done(struct builts *builts)
{
	free(builts->item);
}

static int compare_builts(const void *a, const void *b)
{
	const struct built *ba = a, *bb = b;
	int r = strcmp(ba->sourcerpm, bb->sourcerpm);

	if (!r)
		r = strcmp(ba->arch, bb->arch);
	return r ? r : ba->row < bb->row ? -1 : ba->row > bb->row;
}

/* Of the rows from @first on, one for each source package (and arch, with @by_arch) */
static int list_builts(const struct load *load, size_t first, bool by_arch, struct builts *ret)
{
	const struct composition *composition = &load->set->composition;
	size_t kept = 0;

	ret->item = calloc(composition->count - first + 1, sizeof(*ret->item));
	if (!ret->item)
		return -ENOMEM;
	for (size_t i = first; i < composition->count; i++) {
		const struct composer_package *row = &composition->package[i];
		struct snapshot_package package;

		snapshot_package_get(row->snapshot, row->index, &package);
		if (package.sourcerpm && *package.sourcerpm)
			ret->item[ret->count++] =
				(struct built){ package.sourcerpm, by_arch ? package.arch : "", i };
	}
	qsort(ret->item, ret->count, sizeof(*ret->item), compare_builts);
	for (size_t i = 0; i < ret->count; i++)
		if (!kept || strcmp(ret->item[kept - 1].sourcerpm, ret->item[i].sourcerpm) != 0 ||
		    strcmp(ret->item[kept - 1].arch, ret->item[i].arch) != 0)
			ret->item[kept++] = ret->item[i];
	ret->count = kept;
	return 0;
}

static const char *reason_text(struct load *load, const char *words, const char *what)
{
	_cleanup_(text_done) struct text text = { 0 };

	text_addf(&text, "%s %s", words, what);
	return text.failed ? NULL : package_set_text(load->set, text.data);
}

/* Does an earlier repository, or an earlier place of this one, hold the NEVRA of debug package @at?
 */
static int is_first_debug(struct load *load, size_t number, size_t at)
{
	struct snapshot_package mine, other;
	struct held *held = load->repository[number].held;

	snapshot_package_get(held->snapshot, held->debug[at], &mine);
	for (size_t i = 0; i <= number; i++) {
		size_t first, count;
		struct held *theirs = load->repository[i].held;

		if (held_debug(theirs, mine.sourcerpm, &first, &count) < 0)
			return -ENOMEM;
		for (size_t k = first; k < first + count && (i < number || k < at); k++) {
			snapshot_package_get(theirs->snapshot, theirs->debug[k], &other);
			if (same_nevra(&mine, &other))
				return 0;
		}
	}
	return 1;
}

/* Debug packages @first … of repository @number whose arch @takes, into the debug tree of @arch */
static int add_debug_range(struct load *load, size_t number, size_t first, size_t count,
			   const char *want_arch, size_t arch, const char *reason,
			   struct error *err)
{
	struct held *held = load->repository[number].held;
	int r = 0;

	for (size_t k = first; k < first + count && r >= 0; k++) {
		struct snapshot_package package;

		snapshot_package_get(held->snapshot, held->debug[k], &package);
		if (want_arch ? strcmp(package.arch, want_arch) != 0
			      : !solve_arch_takes(load->set->arches.item[arch], package.arch))
			continue;
		r = is_first_debug(load, number, k);
		if (r > 0)
			r = rows_add(load, number, held->debug[k], arch, COMPOSER_DEBUG, reason,
				     err);
		else if (r < 0)
			return error_oom(err);
	}
	return r;
}

static int add_debug_of(struct load *load, const struct built *built, size_t arch,
			struct error *err)
{
	const char *reason = NULL;

	for (size_t i = 0; i < load->sources; i++) {
		size_t first, count;
		int r;

		if (held_debug(load->repository[i].held, built->sourcerpm, &first, &count) < 0)
			return error_oom(err);
		if (!count)
			continue;
		if (!reason && !(reason = reason_text(load, "debug package of", built->sourcerpm)))
			return error_oom(err);
		r = add_debug_range(load, i, first, count, built->arch, arch, reason, err);
		if (r < 0)
			return r;
	}
	return 0;
}

int rows_add_debug(struct load *load, size_t arch, size_t first, bool everything, struct error *err)
{
	_cleanup_(builts_done) struct builts builts = { 0 };
	int r = 0;

	for (size_t i = 0; everything && i < load->sources && r >= 0; i++) {
		struct held *held = load->repository[i].held;

		if (held_debug_all(held) < 0)
			return error_oom(err);
		r = add_debug_range(load, i, 0, held->debug_count, NULL, arch, "whole repository",
				    err);
	}
	if (r < 0 || everything)
		return r;
	if (list_builts(load, first, true, &builts) < 0)
		return error_oom(err);
	for (size_t i = 0; i < builts.count && r >= 0; i++)
		r = add_debug_of(load, &builts.item[i], arch, err);
	return r;
}

/* ---- source packages --------------------------------------------------- */

static int add_source_of(struct load *load, const struct built *built, size_t *missing,
			 struct error *err)
{
	for (size_t i = 0; i < load->sources; i++) {
		const struct composer_package *row = &load->set->composition.package[built->row];
		_cleanup_(freep) char *nevra = NULL;
		struct snapshot_package package;
		const char *reason;
		uint32_t index;

		if (snapshot_find_source(load->repository[i].held->snapshot, built->sourcerpm,
					 &index) < 0)
			continue;
		snapshot_package_get(row->snapshot, row->index, &package);
		nevra = package_nevra(&package);
		reason = nevra ? reason_text(load, "source of", nevra) : NULL;
		if (!reason)
			return error_oom(err);
		return rows_add(load, i, index, 0, COMPOSER_SOURCE, reason, err);
	}
	(*missing)++;
	return 0;
}

/* Is package @index the first of its file name in the repositories up to @number? */
static bool is_first_source(const struct load *load, size_t number, uint32_t index,
			    const char *file)
{
	uint32_t found;

	for (size_t i = 0; i <= number; i++)
		if (snapshot_find_source(load->repository[i].held->snapshot, file, &found) == 0)
			return i == number && found == index;
	return true;
}

static int add_all_sources(struct load *load, size_t number, struct error *err)
{
	const struct snapshot *snapshot = load->repository[number].held->snapshot;

	for (uint32_t i = 0; i < snapshot_count(snapshot); i++) {
		_cleanup_(text_done) struct text file = { 0 };
		struct snapshot_package package;
		int r;

		snapshot_package_get(snapshot, i, &package);
		if (!package.source)
			continue;
		text_addf(&file, "%s-%s-%s.%s.rpm", package.name, package.version, package.release,
			  package.arch);
		if (file.failed)
			return error_oom(err);
		if (!is_first_source(load, number, i, file.data))
			continue;
		r = rows_add(load, number, i, 0, COMPOSER_SOURCE, "whole repository", err);
		if (r < 0)
			return r;
	}
	return 0;
}

int rows_add_sources(struct load *load, bool everything, struct error *err)
{
	_cleanup_(builts_done) struct builts builts = { 0 };
	size_t missing = 0;
	int r = 0;

	if (list_builts(load, 0, false, &builts) < 0 || rows_begin(load) < 0)
		return error_oom(err);
	for (size_t i = 0; everything && i < load->sources && r >= 0; i++)
		r = add_all_sources(load, i, err);
	for (size_t i = 0; !everything && i < builts.count && r >= 0; i++)
		r = add_source_of(load, &builts.item[i], &missing, err);
	if (r >= 0 && missing)
		text_addf(&load->log, "source: %zu source packages are in no repository\n",
			  missing);
	return r < 0 ? r : look_at_unseen(load, err);
}
