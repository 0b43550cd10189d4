/* SPDX-License-Identifier: MIT */
/* tests/fuzz/config.c: any bytes as a configuration file, and as values of -o.
 *
 * What stands before the first byte 1 is the file; each line behind it is one -o. Beyond not
 * crashing: what is refused names file and line, or the option; what was read is printed as a file
 * that means the same.
 *
 * promises = 25 */
#include "core/daemon/config.h"

#define FILE_NAME "odcsfs.conf"
#define OPTIONS 16 /* of one input */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool truth)
{
	if (!truth)
		abort();
}

static void require_words(int r, const struct error *err)
{
	require(r == -EINVAL && err->code == r && err->blame == BLAME_REQUEST && err->message[0]);
}

/* 0 or what config_text() answered */
static int read_text(struct config *config, const char *text, size_t length)
{
	struct error err = { 0 };
	int r = config_text(config, text, length, FILE_NAME, &err);

	if (r < 0) {
		require_words(r, &err);
		require(!strncmp(err.message, FILE_NAME ":", strlen(FILE_NAME) + 1));
	}
	return r;
}

static void check_printed(const struct config *config)
{
	_cleanup_(text_done) struct text first = { 0 }, second = { 0 };
	struct config again;

	require(config_init(&again, NULL) == 0 && config_print(config, &first) == 0);
	require(read_text(&again, first.data, first.length) == 0);
	require(config_check(&again, NULL) == 0 && config_print(&again, &second) == 0);
	require(!strcmp(first.data, second.data));
	config_done(&again);
}

static void read_options(struct config *config, char *lines)
{
	int count = 0;

	for (char *line = lines, *end; *line && count < OPTIONS; line = end, count++) {
		struct error err = { 0 };
		int r;

		end = line + strcspn(line, "\n");
		if (*end)
			*end++ = '\0';
		r = config_option(config, line, &err);
		if (r < 0) {
			require_words(r, &err);
			require(!strncmp(err.message, "-o ", 3));
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *split = size ? memchr(data, 1, size) : NULL;
	size_t length = split ? (size_t)(split - data) : size;
	_cleanup_(freep) char *file = strndup((const char *)data, length), *options = NULL;
	struct config config;
	struct error err = { 0 };
	bool sound;
	int r;

	require(file && config_init(&config, &err) == 0);
	/* as file_read() gives it: NULs count */
	sound = read_text(&config, file, memchr(data, 0, length) ? length : strlen(file)) == 0;
	r = config_check(&config, &err);
	if (r < 0)
		require_words(r, &err);
	else if (sound)
		check_printed(&config);
	if (split) {
		options = strndup((const char *)split + 1, size - length - 1);
		require(options);
		read_options(&config, options);
		err = (struct error){ 0 };
		r = config_check(&config, &err);
		if (r < 0)
			require_words(r, &err);
	}
	config_done(&config);
	return 0;
}
