/* SPDX-License-Identifier: MIT */
/* tests/unit/header/dump.c: RPM files in, elements out, for oracle.py and the bench.
 *
 *   dump [-r] [-t THREADS] OUT <LIST      a line of LIST: KEY TAB HREF TAB PATH
 *
 * Records go to OUT/headers; OUT/primary, filelists and other are their elements in the order of
 * LIST. A file that cannot be read is a line of OUT/failed: PATH TAB FIELD TAB words. -r: ask as
 * over a network. Prints what it took. */
#include "resolver/header/store.h"

#include <fcntl.h>
#include <unistd.h>

struct dump {
	struct strings lines;
	struct header_file *file;
	FILE *failed;
};

static int open_range(void *data, size_t index, struct header_reader *ret, struct error *err)
{
	struct dump *dump = data;
	int fd = open(dump->file[index].path, O_RDONLY | O_CLOEXEC);
	int r = fd < 0 ? error_errno(err, -errno, "open") : header_reader_fd(fd, ret, err);

	if (r == 0)
		ret->first = HEADER_FIRST_RANGE;
	return r;
}

static void close_range_reader(void *data, size_t index, struct header_reader *reader)
{
	(void)close((int)(intptr_t)reader->data);
}

static int failed(void *data, size_t index, const struct error *failure, struct error *err)
{
	struct dump *dump = data;

	(void)fprintf(dump->failed, "%s\t%s\t%s\n", dump->file[index].path, failure->field,
		      failure->message);
	return 0;
}

static int read_list(struct dump *dump)
{
	char *line = NULL;
	size_t room = 0;
	ssize_t length;

	while ((length = getline(&line, &room, stdin)) > 0)
		if (strings_addn(&dump->lines, line, (size_t)length - 1) < 0)
			return -ENOMEM;
	free(line);
	dump->file = calloc(dump->lines.count + 1, sizeof(*dump->file));
	for (size_t i = 0; dump->file && i < dump->lines.count; i++) {
		char *key = dump->lines.item[i], *href = strchr(key, '\t'),
		     *path = href ? strchr(href + 1, '\t') : NULL;

		if (!path)
			return -EINVAL;
		*href++ = *path++ = '\0';
		dump->file[i] = (struct header_file){ .key = key,
						      .href = href,
						      .path = path,
						      .size = HEADER_SIZE_UNKNOWN,
						      .time = HEADER_TIME_UNKNOWN };
	}
	return dump->file ? 0 : -ENOMEM;
}

static int write_elements(const struct dump *dump, int out, int headers)
{
	static const char *const name[HEADER_ELEMENTS] = { "primary", "filelists", "other" };

	for (size_t i = 0; i < HEADER_ELEMENTS; i++) {
		int fd = openat(out, name[i], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
		_cleanup_(fclosep) FILE *file = fd < 0 ? NULL : fdopen(fd, "w");

		for (size_t k = 0; file && k < dump->lines.count; k++) {
			_cleanup_(header_done) struct header header = { 0 };
			struct error err = { 0 };

			if (header_store_get(headers, dump->file[k].key, 1u << i, &header, &err) ==
			    1)
				(void)fwrite(header.element[i].data, 1, header.element[i].length,
					     file);
		}
		if (!file)
			return -errno;
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct header_batch batch = { .dirfd = AT_FDCWD, .failed = failed };
	struct header_totals totals = { 0 };
	struct dump dump = { 0 };
	struct error err = { 0 };
	int out, headers, r;
	int64_t started;

	for (int option; (option = getopt(argc, argv, "rt:")) != -1;)
		if (option == 'r') {
			batch.open = open_range;
			batch.close = close_range_reader;
		} else if (option == 't') {
			batch.threads = (unsigned int)atoi(optarg);
		} else {
			return 2;
		}
	if (optind + 1 != argc || read_list(&dump) < 0)
		return 2;
	out = directory_open(AT_FDCWD, argv[optind]);
	headers = out < 0 ? -1 : directory_open(out, "headers");
	dump.failed = headers < 0 ? NULL
				  : fdopen(openat(out, "failed",
						  O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644),
					   "w");
	if (!dump.failed)
		return 2;
	batch.file = dump.file;
	batch.count = dump.lines.count;
	batch.data = &dump;
	started = time_monotonic_ms();
	r = header_read_all(headers, &batch, &totals, &err);
	printf("{\"files\":%" PRIu64 ",\"present\":%" PRIu64 ",\"read\":%" PRIu64
	       ",\"failed\":%" PRIu64 ",\"bytes_read\":%" PRIu64 ",\"bytes_written\":%" PRIu64
	       ",\"ms\":%" PRId64 "}\n",
	       totals.files, totals.present, totals.read, totals.failed, totals.bytes_read,
	       totals.bytes_written, time_monotonic_ms() - started);
	if (r == 0)
		r = write_elements(&dump, out, headers);
	if (r < 0)
		(void)fprintf(stderr, "%s\n", err.message);
	(void)fclose(dump.failed);
	(void)close(headers);
	(void)close(out);
	strings_done(&dump.lines);
	free(dump.file);
	return r < 0;
}
