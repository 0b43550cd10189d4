/* SPDX-License-Identifier: MIT */
/* core/base/base.h: what every room may use: errors, clean-up, growing text, files, digests, log.
 *
 * Nothing here knows a word of the field. Every function is safe from any thread unless it says
 * otherwise; an object passed in is used by one thread at a time. */
#pragma once

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

/* ---- clean-up ---------------------------------------------------------- */

#define _cleanup_(function) __attribute__((cleanup(function)))
#define _printf_(fmt, first) __attribute__((__format__(__printf__, fmt, first)))
#define _unused_ __attribute__((unused))

/** steal() - take the value out of a _cleanup_ variable, which then frees nothing */
#define steal(pointer)                                                                             \
	({                                                                                         \
		__auto_type steal_from_ = &(pointer);                                              \
		__auto_type steal_value_ = *steal_from_;                                           \
		*steal_from_ = NULL;                                                               \
		steal_value_;                                                                      \
	})

/** steal_fd() - the same for a descriptor: leaves -1 behind */
static inline int steal_fd(int *fd)
{
	int value = *fd;

	*fd = -1;
	return value;
}

/** DEFINE_FREEP() - make NAMEp(struct type **), for _cleanup_, out of NAME(struct type *) */
#define DEFINE_FREEP(type, name)                                                                   \
	static inline _unused_ void name##p(type **pointer)                                        \
	{                                                                                          \
		name(*pointer);                                                                    \
	}

static inline void freep(void *pointer)
{
	void *value;

	memcpy(&value, pointer, sizeof(value));
	free(value);
}

void closep(const int *fd);	/* closes when >= 0, keeps errno */
void fclosep(FILE *const *file); /* closes when not NULL, keeps errno */

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

/* ---- errors ------------------------------------------------------------ */

/** enum blame - who must act: decides between 4xx, "compose failed" and 5xx (STYLE 4) */
enum blame {
	BLAME_NONE = 0,
	BLAME_REQUEST, /* the text of the request: 4xx, or the errno itself */
	BLAME_SOURCE,  /* what a source delivered: the compose fails, may be tried again */
	BLAME_US,      /* the service or its machine: 500, EIO; logged */
};

#define ERROR_FIELD_SIZE 128
#define ERROR_MESSAGE_SIZE 4096

/**
 * struct error - words beside a negative errno
 * @code:    negative errno, 0 while nothing is set
 * @field:   member of the request or file the message is about, "" when there is none
 * @message: one line or more, without a trailing newline, cut at the end when too long
 *
 * Lives on the caller's stack, initialised with { 0 }; owns nothing. */
struct error {
	int code;
	enum blame blame;
	char field[ERROR_FIELD_SIZE];
	char message[ERROR_MESSAGE_SIZE];
};

/**
 * error_set() - fill @err and return @code
 * @err:   may be NULL
 * @code:  negative errno (a positive one is turned round)
 * @field: may be NULL */
int error_set(struct error *err, int code, enum blame blame, const char *field, const char *format,
	      ...) _printf_(5, 6);

/** error_errno() - error_set() with ": strerror(-code)" added to the message; BLAME_US */
int error_errno(struct error *err, int code, const char *format, ...) _printf_(3, 4);

/** error_prefix() - put "PREFIX: " before the message; returns err->code (or -EIO if unset) */
int error_prefix(struct error *err, const char *format, ...) _printf_(2, 3);

/** error_oom() - -ENOMEM, BLAME_US */
int error_oom(struct error *err);

/* ---- growing text ------------------------------------------------------ */

/**
 * struct text - bytes that grow; always followed by a NUL that is not counted
 * @failed: an allocation failed: later additions do nothing, check once at the end
 *
 * Initialise with { 0 }; text_done() frees. Holds any bytes, NUL too. */
struct text {
	char *data;
	size_t length;
	size_t room;
	bool failed;
};

int text_add(struct text *text, const void *bytes, size_t length); /* 0 or -ENOMEM */
int text_adds(struct text *text, const char *string);
int text_addf(struct text *text, const char *format, ...) _printf_(2, 3);
int text_reserve(struct text *text, size_t more);
/** text_steal() - hand over the buffer (malloc'ed, NUL-terminated; "" when empty); NULL if failed */
char *text_steal(struct text *text);
void text_clear(struct text *text); /* keeps the buffer */
void text_done(struct text *text);
/** has_control() - a control character (0–31, 127) stands among @length bytes; any other byte is fine */
bool has_control(const char *bytes, size_t length);

/** path_rest() - what comes in @path after @prefix, by whole parts: "" or "/…"; NULL: it is not below it. By words
 * only; slashes at the end of @prefix count for nothing */
const char *path_rest(const char *path, const char *prefix);
/** path_has_dots() - is a part of it that stands behind a '/' "." or ".."? */
bool path_has_dots(const char *path);

/* ---- lists of strings -------------------------------------------------- */

/** struct strings - a list that owns its strings; initialise with { 0 } */
struct strings {
	char **item;
	size_t count;
	size_t room;
};

int strings_add(struct strings *list, const char *string);	     /* 0 or -ENOMEM; copies */
int strings_addn(struct strings *list, const char *string, size_t n);
int strings_copy(struct strings *list, const struct strings *from); /* appends */
bool strings_has(const struct strings *list, const char *string);
/** strings_split() - append the words of @string separated by single @separator, without empty ones */
int strings_split(struct strings *list, const char *string, char separator);
/** strings_join() - malloc'ed, NULL when out of memory; "" for an empty list */
char *strings_join(const struct strings *list, const char *separator);
void strings_sort(struct strings *list); /* by byte value */
/** strings_has_sorted() - as strings_has(), of a list in the order of strings_sort() */
bool strings_has_sorted(const struct strings *sorted, const char *string);
void strings_done(struct strings *list);

/* ---- numbers ----------------------------------------------------------- */

/** parse_int64() - whole decimal string with optional '-'; 0, -EINVAL or -ERANGE */
int parse_int64(const char *string, int64_t *ret);
/** parse_size() - the same, with K, M, G or T (of 1024) behind it or without; also -ENOMEM */
int parse_size(const char *string, int64_t *ret);

/* ---- time -------------------------------------------------------------- */

/**
 * time_now() - seconds since 1970 UTC, by the one clock that the service goes by
 *
 * CLOCK_REALTIME, unless that jumped (against CLOCK_MONOTONIC): then the old clock goes on for a minute, and only a
 * jump that stays is believed (reliability.md 14). Stamps and judgements so never come from different
 * clocks. Keeps what it has seen: beside the log level the only thing here that changes. */
int64_t time_now(void);
int64_t time_monotonic_ms(void); /* milliseconds since some start; never jumps */
#define TIME_ISO_SIZE 32
/** time_iso() - "YYYY-MM-DDTHH:MM:SSZ"; returns @buffer */
const char *time_iso(int64_t time, char buffer[static TIME_ISO_SIZE]);
/** time_date() - "YYYYMMDD" in UTC; returns @buffer */
const char *time_date(int64_t time, char buffer[static TIME_ISO_SIZE]);

/* ---- files ------------------------------------------------------------- */

/** io_read() / io_write() - all of it or an error; io_read returns the bytes got before EOF */
ssize_t io_read(int fd, void *buffer, size_t length);	     /* >= 0, or negative errno */
ssize_t io_pread(int fd, void *buffer, size_t length, off_t offset);
int io_write(int fd, const void *bytes, size_t length);	     /* 0, or negative errno */

/**
 * file_read() - whole file into a malloc'ed, NUL-terminated buffer
 * @dirfd: AT_FDCWD or a directory
 * @limit: -EFBIG beyond that many bytes */
int file_read(int dirfd, const char *path, size_t limit, char **ret, size_t *ret_length);

/**
 * file_publish() - write @bytes under a temporary name in @dirfd and rename it to @name
 *
 * Not synced (DESIGN 4). An existing file is replaced. 0, or negative errno with nothing left. */
int file_publish(int dirfd, const char *name, const void *bytes, size_t length);

/** file_touch() - file or directory @name, no link, was changed now; what is not there is left so.
 * By its descriptor: a worker may set no times by a name */
void file_touch(int dirfd, const char *name);

struct msghdr;

/**
 * fd_send() - sendmsg() of @message with @fd beside it (SCM_RIGHTS), again when a signal came
 * @message: its control part is not looked at
 * @fd:      stays the caller's; -1: none
 *
 * A peer that is gone is -EPIPE, not a signal. 0, or negative errno. */
int fd_send(int socket, const struct msghdr *message, int fd);

/**
 * fd_receive() - recvmsg() of one message, again when a signal came, and the descriptor beside it
 * @message: its control part is not looked at; msg_flags are set as recvmsg() does
 * @flags:   MSG_DONTWAIT and the like
 * @ret_fd:  the caller's to close, closed on exec; -1: none came, always so on failure
 *
 * The bytes got, 0 at the end, or negative errno: -EBADMSG for more than one descriptor, all of
 * which are closed. */
ssize_t fd_receive(int socket, struct msghdr *message, int flags, int *ret_fd);

/** directory_open() - mkdir -p @path (0755) below @dirfd and open it; descriptor or negative errno */
int directory_open(int dirfd, const char *path);

/** directory_remove() - rm -r of @name below @dirfd, not following links; 0 when already absent */
int directory_remove(int dirfd, const char *name);

/* ---- many things in several threads ------------------------------------ */

#define TOGETHER_THREADS_MAX 8u

/**
 * struct together - many things of one kind, several at a time
 * @threads: 0: TOGETHER_THREADS_MAX; what waits for servers and disks is worth more threads than
 *           there are processors
 * @one: does number @index, in thread number @thread; a negative answer (with words) ends
 *       everything
 * @progress: may be NULL; called by the caller's thread now and then and at the end, with how many
 *            are done */
struct together {
	size_t count;
	unsigned int threads;
	int (*one)(void *data, unsigned int thread, size_t index, struct error *err);
	void (*progress)(void *data, size_t done);
	void *data;
};
/** together() - all of them; the failure of the lowest number that failed is the answer */
int together(const struct together *work, struct error *err);

/* ---- digests ----------------------------------------------------------- */

#define DIGEST_SIZE 32		/* bytes of a SHA-256 */
#define DIGEST_HEX_SIZE 65	/* its hexadecimal text with NUL */
#define DIGEST_MAX_SIZE 64	/* bytes of the longest digest (SHA-512) */
#define DIGEST_MAX_HEX_SIZE 129

struct digest; /* a running digest */

/** digest_new() - @type: "sha256", "sha", "sha1", "sha224", "sha384", "sha512", "md5"; NULL if unknown */
struct digest *digest_new(const char *type);
void digest_add(struct digest *digest, const void *bytes, size_t length);
/** digest_hex() - finish; lower-case hex into @ret; the object can then only be freed */
void digest_hex(struct digest *digest, char ret[static DIGEST_MAX_HEX_SIZE]);
void digest_free(struct digest *digest);
DEFINE_FREEP(struct digest, digest_free)

/** sha256_hex() - of one buffer */
void sha256_hex(const void *bytes, size_t length, char ret[static DIGEST_HEX_SIZE]);
/** sha256_file() - of what @fd holds from offset 0 (pread; offset kept); 0 or negative errno */
int sha256_file(int fd, char ret[static DIGEST_HEX_SIZE], uint64_t *ret_size);
/** hex_is_digest() - exactly 64 lower-case hexadecimal digits */
bool hex_is_digest(const char *text);
void hex_print(const uint8_t *bytes, size_t length, char *ret); /* 2 * length + NUL */
int hex_parse(const char *text, uint8_t *ret, size_t length);	/* 0 or -EINVAL; exact length */

/* ---- log --------------------------------------------------------------- */

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/** log_level_set() - what goes to stderr; default INFO. The one global that changes, with the
 * signal flag (STYLE 5) */
void log_level_set(enum log_level level);
void log_write(enum log_level level, const char *format, ...) _printf_(2, 3);
#define log_error(...) log_write(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_write(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...) log_write(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_write(LOG_LEVEL_DEBUG, __VA_ARGS__)
