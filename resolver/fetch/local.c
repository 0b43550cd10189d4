/* SPDX-License-Identifier: MIT */
/* resolver/fetch/local.c: repositories that are directories of this machine.
 *
 * Who may see what is decided by the kernel, not by looking at modes: for an untrusted job every
 * call that touches a path is made with that user's file-system rights. A trusted job uses the
 * service's, and is held to the allowed prefixes instead. Nothing is decided on a path that could
 * change before it is used: what was checked is opened without following links. */
#include "resolver/fetch/rights.h"
#include "resolver/fetch/transport.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define OPEN_TRIES 16

struct local {
	struct transport transport;
	bool trusted;
	struct strings given;	/* prefixes as configured */
	struct strings allowed; /* and where they really are; empty: anywhere */
	struct rights rights;
};

static struct local *local_of(struct transport *transport)
{
	return (struct local *)transport;
}

/* ---- prefixes ---- */

static bool is_below(const char *path, const char *prefix)
{
	size_t length = strlen(prefix);

	while (length > 1 && prefix[length - 1] == '/')
		length--;
	if (length == 1 && *prefix == '/')
		return *path == '/';
	return strncmp(path, prefix, length) == 0 && (path[length] == '/' || !path[length]);
}

static bool is_below_any(const char *path, const struct strings *prefixes)
{
	for (size_t i = 0; i < prefixes->count; i++)
		if (is_below(path, prefixes->item[i]))
			return true;
	return false;
}

/* Is the path as it was given one of a place that may be talked about? */
static bool is_given(const struct local *local, const char *path)
{
	return !strstr(path, "/..") &&
	       (is_below_any(path, &local->given) || is_below_any(path, &local->allowed));
}

/* May the service's own rights be used on this real path? */
static bool may_use(const struct local *local, const char *path)
{
	return !local->trusted || !local->given.count || is_below_any(path, &local->allowed);
}

/* ---- names of places ---- */

static int bad_source(struct error *err, const char *source, const char *why)
{
	return error_set(err, -EINVAL, BLAME_REQUEST, "source", "%.256s: %s", source, why);
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)tolower((unsigned char)c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The path of a file:// URL; %XX decoded, so that "a%20b" is "a b". */
static int url_path(const char *source, struct text *ret, struct error *err)
{
	const char *at = source + strlen("file://");

	if (strncmp(at, "localhost/", 10) == 0)
		at += strlen("localhost");
	if (*at != '/')
		return bad_source(err, source, "a file URL names no host (file:///PATH)");
	for (; *at; at++) {
		char c = *at;

		if (c == '?' || c == '#')
			return bad_source(err, source, "a file URL has no query and no fragment");
		if (c == '%') {
			int high = hex_digit(at[1]), low = high < 0 ? -1 : hex_digit(at[2]);

			if (low < 0 || !(high || low))
				return bad_source(err, source, "% is not followed by a byte");
			c = (char)(high << 4 | low);
			at += 2;
		}
		(void)text_add(ret, &c, 1);
	}
	return ret->failed ? error_oom(err) : 0;
}

static int source_path(const char *source, struct text *ret, struct error *err)
{
	int r = 0;

	if (strncmp(source, "file://", 7) == 0)
		r = url_path(source, ret, err);
	else if (*source == '/')
		r = text_adds(ret, source) < 0 ? error_oom(err) : 0;
	else
		return bad_source(err, source, "must be an absolute path or a file:// URL");
	if (r < 0)
		return r;
	for (const char *c = ret->data; *c; c++)
		if ((uint8_t)*c < 0x20 || *c == 0x7f)
			return bad_source(err, source, "holds a control character");
	if (ret->length >= PATH_MAX)
		return bad_source(err, source, "is too long");
	return 0;
}

/* ---- opening without surprises ---- */

static int open_how(int dirfd, const char *path, uint64_t flags, uint64_t resolve)
{
	struct open_how how = { .flags = flags | O_CLOEXEC, .resolve = resolve };
	long fd;

	/* EAGAIN: somebody renames what is walked through, so the kernel could not be sure */
	for (int i = 0; i < OPEN_TRIES; i++) {
		fd = syscall(SYS_openat2, dirfd, path, &how, sizeof(how));
		if (fd >= 0 || (errno != EINTR && errno != EAGAIN))
			break;
	}
	return fd < 0 ? -errno : (int)fd;
}

/* A directory by its real path: a link that somebody has put into it since is not followed. */
static int open_base(const char *base)
{
	if (*base != '/')
		return -EINVAL;
	return open_how(AT_FDCWD, base, O_PATH | O_DIRECTORY,
			RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS);
}

/* A path that leads out of @base through a link: opened where it really is, when that may be; else
 * -EXDEV. */
static int open_outside(const struct local *local, const char *base, const char *path,
			uint64_t flags)
{
	_cleanup_(text_done) struct text full = { 0 };
	_cleanup_(freep) char *real = NULL;

	if (text_addf(&full, "%s/%s", base, path) < 0)
		return -ENOMEM;
	real = realpath(full.data, NULL);
	if (!real)
		return -errno;
	if (!may_use(local, real))
		return -EXDEV;
	return open_how(AT_FDCWD, real, flags, RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS);
}

static int open_path(const struct local *local, const char *base, const char *path, uint64_t flags)
{
	_cleanup_(closep) int dirfd = open_base(base);
	int fd;

	if (dirfd < 0)
		return dirfd;
	fd = open_how(dirfd, path, flags, RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS);
	return fd == -EXDEV ? open_outside(local, base, path, flags) : fd;
}

/* With the rights that count; @ret_fd: a descriptor or what stood in its way */
static int open_rightly(const struct local *local, const char *base, const char *path,
			uint64_t flags, int *ret_fd, struct error *err)
{
	int r = location_check(path, NULL, err);

	if (r < 0)
		return r;
	r = rights_take(&local->rights);
	if (r < 0)
		return error_errno(err, r, "taking the file rights of user %" PRIu32,
				   local->rights.uid);
	*ret_fd = open_path(local, base, path, flags);
	rights_leave(&local->rights);
	return 0;
}

static int cannot_open(const char *base, const char *path, int r, struct error *err)
{
	return error_set(err, r == -EXDEV ? -EACCES : r,
			 r == -ENOMEM || r == -EMFILE || r == -ENFILE ? BLAME_US : BLAME_SOURCE,
			 NULL, "%s/%s: %s", base, path,
			 r == -EXDEV ? "leads to a place that is not allowed" : strerror(-r));
}

/* Regular files only; ENXIO is what a socket in place of one says. O_NONBLOCK: a FIFO in place of a
 * file must not hold us up; it is found out by fstat() then. */
static int open_regular(const struct local *local, const char *base, const char *path,
			struct stat *ret_st, struct error *err)
{
	_cleanup_(closep) int fd = -1;
	int r = open_rightly(local, base, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, &fd, err);

	if (r < 0)
		return r;
	if (fd < 0 && fd != -ENXIO)
		return cannot_open(base, path, fd, err);
	if (fd >= 0 && fstat(fd, ret_st) < 0)
		return cannot_open(base, path, -errno, err);
	if (fd < 0 || !S_ISREG(ret_st->st_mode))
		return error_set(err, -EINVAL, BLAME_SOURCE, NULL, "%s/%s is not a regular file",
				 base, path);
	if (fcntl(fd, F_SETFL, 0) < 0)
		return error_errno(err, -errno, "%s/%s", base, path);
	return steal_fd(&fd);
}

/* ---- the door ---- */

static int local_open(struct transport *transport, const char *base, const char *path,
		      struct error *err)
{
	struct stat st;

	return open_regular(local_of(transport), base, path, &st, err);
}

static int stat_one(const struct local *local, const char *base, const char *path,
		    struct transport_file *ret, struct error *err)
{
	struct stat st;
	/* opened, not only looked at: its bytes will be handed to whoever asked */
	int fd = open_regular(local, base, path, &st, err);

	if (fd < 0)
		return fd;
	closep(&fd);
	*ret = (struct transport_file){
		.size = (uint64_t)st.st_size,
		.ino = st.st_ino,
		.mtime_ns = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec,
		.ctime_ns = (int64_t)st.st_ctim.tv_sec * 1000000000 + st.st_ctim.tv_nsec,
	};
	return 0;
}

static int local_stat(struct transport *transport, const char *base, const char *const *path,
		      size_t count, struct transport_file *ret, size_t *ret_count,
		      struct error *err)
{
	int r = 0;

	while (*ret_count < count && r == 0) {
		r = stat_one(local_of(transport), base, path[*ret_count], &ret[*ret_count], err);
		*ret_count += r == 0;
	}
	return r;
}

static int local_names(struct transport *transport, const char *base, const char *path,
		       struct strings *ret, struct error *err)
{
	struct local *local = local_of(transport);
	int fd = -1, r = open_rightly(local, base, path, O_RDONLY | O_DIRECTORY, &fd, err);
	struct dirent *entry;
	DIR *list;

	if (r < 0)
		return r;
	if (fd == -ENOENT || fd == -ENOTDIR)
		return 0;
	list = fd < 0 ? NULL : fdopendir(fd);
	if (!list) {
		r = fd < 0 ? fd : -errno;
		closep(&fd);
		return cannot_open(base, path, r, err);
	}
	while (r == 0 && (errno = 0, entry = readdir(list))) {
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		if (ret->count >= TRANSPORT_NAMES_MAX)
			r = error_set(err, -EFBIG, BLAME_SOURCE, NULL,
				      "%s/%s holds more than %d names", base, path,
				      TRANSPORT_NAMES_MAX);
		else if (strings_add(ret, entry->d_name) < 0)
			r = error_oom(err);
	}
	if (r == 0 && errno)
		r = cannot_open(base, path, -errno, err);
	(void)closedir(list);
	strings_sort(ret);
	return r;
}

/* The real path of a directory, or negative errno. */
static int resolve_directory(const struct local *local, const char *path, char **ret)
{
	_cleanup_(freep) char *real = NULL;
	int fd, r = rights_take(&local->rights);

	if (r < 0)
		return r;
	real = realpath(path, NULL);
	fd = real ? open_base(real) : -errno;
	if (fd >= 0) { /* one that must not be entered is told now, not file by file */
		r = open_how(fd, ".", O_PATH | O_DIRECTORY, RESOLVE_BENEATH);
		closep(&fd);
		fd = r;
	}
	rights_leave(&local->rights);
	if (fd < 0)
		return fd;
	closep(&fd);
	*ret = steal(real);
	return 0;
}

static int local_base(struct transport *transport, const char *source, char **ret_path,
		      struct error *err)
{
	struct local *local = local_of(transport);
	_cleanup_(text_done) struct text path = { 0 };
	_cleanup_(freep) char *real = NULL;
	int r = source_path(source, &path, err);

	if (r < 0)
		return r;
	r = resolve_directory(local, path.data, &real);
	/* what lies elsewhere is refused in the same words whether it is there or not */
	if (r == 0 ? !may_use(local, real)
		   : local->trusted && local->given.count && !is_given(local, path.data))
		return error_set(err, -EACCES, BLAME_REQUEST, "source",
				 "%.1024s: not below a place that repositories are allowed from",
				 source);
	if (r == -ENOMEM || r == -EMFILE || r == -ENFILE || r == -EPERM)
		return error_errno(err, r, "%.1024s", source);
	if (r < 0)
		return error_set(err, r, BLAME_REQUEST, "source", "%.1024s: %s", source,
				 strerror(-r));
	*ret_path = steal(real);
	return 0;
}

static void local_free(struct transport *transport)
{
	struct local *local = local_of(transport);

	strings_done(&local->given);
	strings_done(&local->allowed);
	free(local);
}

static const struct transport_ops local_ops = {
	.base = local_base,
	.open = local_open,
	.stat = local_stat,
	.names = local_names,
	.free = local_free,
};

/* Prefixes of other kinds ("http://…") are none of ours; one that is not there yet allows nothing.
 */
static int add_prefix(struct local *local, const char *prefix)
{
	_cleanup_(text_done) struct text path = { 0 };
	_cleanup_(freep) char *real = NULL;

	if (strings_add(&local->given, prefix) < 0)
		return -ENOMEM;
	if (source_path(prefix, &path, NULL) < 0)
		return 0;
	if (strcmp(path.data, prefix) != 0 && strings_add(&local->given, path.data) < 0)
		return -ENOMEM;
	real = realpath(path.data, NULL);
	return real ? strings_add(&local->allowed, real) : 0;
}

int transport_local(const struct strings *allowed, bool trusted, uint32_t uid, uint32_t gid,
		    struct transport **ret, struct error *err)
{
	struct local *local = calloc(1, sizeof(*local));
	int r = 0;

	if (!local)
		return error_oom(err);
	local->transport.ops = &local_ops;
	local->trusted = trusted;
	for (size_t i = 0; r == 0 && allowed && i < allowed->count; i++)
		if (add_prefix(local, allowed->item[i]) < 0)
			r = error_oom(err);
	if (r == 0 && !trusted)
		r = rights_init(&local->rights, uid, gid, err);
	if (r < 0) {
		local_free(&local->transport);
		return r;
	}
	*ret = &local->transport;
	return 0;
}
