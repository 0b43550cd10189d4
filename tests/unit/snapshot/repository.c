/* SPDX-License-Identifier: MIT */
/* tests/unit/snapshot/repository.c: see repository.h. */
#include "tests/unit/snapshot/repository.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

void repository_start(struct repository *repository, const char *folder)
{
	*repository = (struct repository){ .folder = folder };
	(void)snprintf(repository->path, sizeof(repository->path), "/tmp/odcsfs-test-XXXXXX");
	CHECK(mkdtemp(repository->path));
	repository->snapshots = open(repository->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CHECK(repository->snapshots >= 0);
	(void)text_reserve(&repository->log, 0);
}

void repository_done(struct repository *repository)
{
	for (size_t i = 0; i < repository->count; i++) {
		free(repository->file[i].href);
		free(repository->file[i].bytes);
	}
	text_done(&repository->repomd);
	text_done(&repository->log);
	closep(&repository->snapshots);
	CHECK_INT(directory_remove(AT_FDCWD, repository->path), 0);
}

void repository_check_empty(const struct repository *repository)
{
	DIR *list = opendir(repository->path);
	struct dirent *entry;

	CHECK(list);
	while (list && (entry = readdir(list)))
		CHECK(!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."));
	if (list)
		(void)closedir(list);
}

bool filter_bytes(const char *command, const char *bytes, size_t length, struct text *ret)
{
	char name[] = "/tmp/odcsfs-test-XXXXXX", line[256], piece[65536];
	int fd = mkstemp(name);
	bool fine = fd >= 0 && io_write(fd, bytes, length) == 0;
	FILE *pipe;
	size_t n;

	(void)snprintf(line, sizeof(line), "(%s) < %s 2>/dev/null", command, name);
	pipe = popen(line, "re");
	while (pipe && (n = fread(piece, 1, sizeof(piece), pipe)) > 0)
		fine = text_add(ret, piece, n) == 0 && fine;
	fine = pipe && pclose(pipe) == 0 && fine;
	(void)close(fd);
	(void)unlink(name);
	return fine;
}

static void add_checksum(struct text *repomd, const char *tag, const char *type, const char *lie,
			 const char *bytes, size_t length)
{
	struct digest *digest = digest_new(type ? type : "sha256");
	char hex[DIGEST_MAX_HEX_SIZE] = "00";

	if (digest) {
		digest_add(digest, bytes, length);
		digest_hex(digest, hex);
		digest_free(digest);
	}
	(void)text_addf(repomd, "<%s type=\"%s\">%s</%s>", tag, type ? type : "sha256",
			lie ? lie : hex, tag);
}

bool repository_add(struct repository *repository, const char *type, const char *bytes,
		    size_t length, const char *filter, const struct lies *lies)
{
	static const struct lies truth;
	struct text packed = { 0 };
	struct text *repomd = &repository->repomd;
	struct repository_file *file = &repository->file[repository->count];
	char href[64];

	lies = lies ? lies : &truth;
	if (filter ? !filter_bytes(filter, bytes, length, &packed)
		   : text_add(&packed, bytes, length) < 0) {
		printf("skipped: \"%s\" cannot be run here\n", filter);
		text_done(&packed);
		return false;
	}
	(void)snprintf(href, sizeof(href), "repodata/%s-%zu", type, repository->count);
	(void)text_addf(repomd, "<data type=\"%s\"><location href=\"%s\"/>", type, href);
	add_checksum(repomd, "checksum", lies->checksum_type, lies->checksum, packed.data,
		     packed.length);
	if (!lies->silent) {
		add_checksum(repomd, "open-checksum", lies->checksum_type, lies->open_checksum,
			     bytes, length);
		(void)text_addf(repomd,
				"<size>%" PRId64 "</size><open-size>%" PRId64 "</open-size>",
				lies->size ? lies->size : (int64_t)packed.length,
				lies->open_size ? lies->open_size : (int64_t)length);
	}
	(void)text_adds(repomd, "<timestamp>1500000000</timestamp></data>\n");
	repository->count++;
	file->href = strdup(href);
	file->length = packed.length;
	file->bytes = text_steal(&packed);
	return true;
}

static int open_in_folder(const struct repository *repository, const struct repomd_record *record,
			  struct error *err)
{
	char path[4096];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/%s", repository->folder, record->href);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? error_errno(err, -errno, "%s", path) : fd;
}

static int reader_open(void *data, const struct repomd_record *record, struct error *err)
{
	struct repository *repository = data;

	repository->opened++;
	if (repository->folder)
		return open_in_folder(repository, record, err);
	for (size_t i = 0; i < repository->count; i++) {
		const struct repository_file *file = &repository->file[i];
		int fd;

		if (strcmp(file->href, record->href) != 0)
			continue;
		fd = memfd_create("file", MFD_CLOEXEC);
		CHECK_INT(io_write(fd, file->bytes, file->length), 0);
		CHECK_INT(lseek(fd, 0, SEEK_SET), 0);
		return fd;
	}
	return error_set(err, -ENOENT, BLAME_SOURCE, NULL, "%s is not there", record->href);
}

static void reader_log(void *data, const char *text)
{
	struct repository *repository = data;

	(void)text_addf(&repository->log, "%s\n", text);
}

static void reader_progress(void *data, const char *text)
{
	struct repository *repository = data;

	repository->progressed++;
	CHECK(strncmp(text, "reading primary.xml: ", 21) == 0);
}

static int read_repomd(struct repository *repository, struct repomd **ret, struct error *err)
{
	struct text text = { 0 };
	char path[4096], *bytes = NULL;
	size_t length = 0;
	int r;

	if (repository->folder) {
		(void)snprintf(path, sizeof(path), "%s/repodata/repomd.xml", repository->folder);
		CHECK_INT(file_read(AT_FDCWD, path, REPOMD_MAX_BYTES, &bytes, &length), 0);
		r = repomd_parse(bytes, length, ret, err);
		free(bytes);
		return r;
	}
	(void)text_addf(&text,
			"<repomd xmlns=\"http://linux.duke.edu/metadata/repo\">"
			"<revision>1500000001</revision>%s</repomd>\n",
			repository->repomd.length ? repository->repomd.data : "");
	r = repomd_parse(text.data, text.length, ret, err);
	text_done(&text);
	return r;
}

int repository_build(struct repository *repository, struct snapshot **ret, struct error *err)
{
	const struct snapshot_reader reader = { .open = reader_open,
						.log = reader_log,
						.progress = reader_progress,
						.data = repository };
	_cleanup_(repomd_freep) struct repomd *repomd = NULL;
	int64_t bytes = 0;
	int r = read_repomd(repository, &repomd, err);

	if (r == 0)
		r = snapshot_build(repository->snapshots, repomd, &reader, &bytes, err);
	if (r < 0)
		return r;
	CHECK(bytes > 0);
	return snapshot_open(repository->snapshots, repomd->digest, ret, err);
}

const char *shared_data(const char *name, char path[static 4096])
{
	const char *shared = getenv("ODCSFS_SHARED");

	if (shared)
		(void)snprintf(path, 4096, "%s/data/%s", shared, name);
	else
		(void)snprintf(path, 4096, "%s/../shared/data/%s", SOURCE_ROOT, name);
	if (access(path, R_OK) == 0)
		return path;
	printf("skipped: %s: no such data on this machine\n", name);
	return NULL;
}

char *repository_inflated(const char *folder, const char *type, size_t *ret_length)
{
	char command[4200], piece[65536];
	struct text text = { 0 };
	FILE *pipe;
	size_t n;

	(void)snprintf(command, sizeof(command),
		       "for f in %s/repodata/*-%s.[xy]*ml.*; do case $f in *.gz) gzip -dc $f;; "
		       "*.xz) xz -dc $f;; *) false;; esac; done",
		       folder, type);
	pipe = popen(command, "re");
	while (pipe && (n = fread(piece, 1, sizeof(piece), pipe)) > 0)
		(void)text_add(&text, piece, n);
	CHECK(pipe && pclose(pipe) == 0);
	*ret_length = text.length;
	return text_steal(&text);
}
