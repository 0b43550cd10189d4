/* SPDX-License-Identifier: MIT */
/* core/base/error.c: words beside an errno, the log, and clean-up of descriptors.
 *
 * The log level is the only variable here that changes (STYLE 5). */
#include "core/base/base.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <unistd.h>

static _Atomic int log_level = LOG_LEVEL_INFO;

void closep(const int *fd)
{
	if (*fd >= 0) {
		int saved = errno;

		(void)close(*fd);
		errno = saved;
	}
}

void fclosep(FILE *const *file)
{
	if (*file) {
		int saved = errno;

		(void)fclose(*file);
		errno = saved;
	}
}

static _printf_(5, 0) int error_vset(struct error *err, int code, enum blame blame,
				     const char *field, const char *format, va_list arguments)
{
	code = code > 0 ? -code : code;
	if (!err)
		return code;
	err->code = code;
	err->blame = blame;
	(void)snprintf(err->field, sizeof(err->field), "%s", field ? field : "");
	(void)vsnprintf(err->message, sizeof(err->message), format, arguments);
	return code;
}

int error_set(struct error *err, int code, enum blame blame, const char *field, const char *format,
	      ...)
{
	va_list arguments;
	int r;

	va_start(arguments, format);
	r = error_vset(err, code, blame, field, format, arguments);
	va_end(arguments);
	return r;
}

int error_errno(struct error *err, int code, const char *format, ...)
{
	va_list arguments;
	int r;

	va_start(arguments, format);
	r = error_vset(err, code, BLAME_US, NULL, format, arguments);
	va_end(arguments);
	if (err) {
		size_t length = strlen(err->message);

		(void)snprintf(err->message + length, sizeof(err->message) - length, ": %s",
			       strerror(-r));
	}
	return r;
}

int error_prefix(struct error *err, const char *format, ...)
{
	char tail[ERROR_MESSAGE_SIZE];
	va_list arguments;
	size_t length;

	if (!err)
		return -EIO;
	memcpy(tail, err->message, sizeof(tail));
	va_start(arguments, format);
	(void)vsnprintf(err->message, sizeof(err->message), format, arguments);
	va_end(arguments);
	length = strlen(err->message);
	if (length + 3 < sizeof(err->message)) {
		size_t room = sizeof(err->message) - length - 3;
		size_t keep = strnlen(tail, room);

		memcpy(err->message + length, ": ", 2);
		memcpy(err->message + length + 2, tail, keep);
		err->message[length + 2 + keep] = '\0';
	}
	return err->code ? err->code : -EIO;
}

int error_oom(struct error *err)
{
	return error_set(err, -ENOMEM, BLAME_US, NULL, "out of memory");
}

void log_level_set(enum log_level level)
{
	atomic_store(&log_level, (int)level);
}

void log_write(enum log_level level, const char *format, ...)
{
	/* sd-daemon(3): a priority in angle brackets is read by the journal */
	static const char *const prefix[] = { "<3>", "<4>", "<6>", "<7>" };
	char line[ERROR_MESSAGE_SIZE + 256];
	va_list arguments;
	size_t length;

	if ((int)level > atomic_load(&log_level))
		return;
	(void)snprintf(line, sizeof(line),
		       "%sodcsfs: ", getenv("JOURNAL_STREAM") ? prefix[level] : "");
	length = strlen(line);
	va_start(arguments, format);
	(void)vsnprintf(line + length, sizeof(line) - length - 1, format, arguments);
	va_end(arguments);
	/* one message, one line: a stranger's words must not look like another one of ours */
	for (; line[length]; length++)
		if ((unsigned char)line[length] < 0x20 || line[length] == 0x7f)
			line[length] = ' ';
	line[length] = '\n';
	(void)!write(STDERR_FILENO, line, length + 1); /* one write: lines of threads do not mix */
}
