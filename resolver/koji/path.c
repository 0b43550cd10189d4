/* SPDX-License-Identifier: MIT */
/* resolver/koji/path.c: where the file of an RPM lies, from what the hub says: every part is
 * checked before it becomes one of a path. */
#include "resolver/koji/hub.h"

static int add_part(struct text *path, const char *what, const char *part, struct error *err)
{
	bool bad = !*part || !strcmp(part, ".") || !strcmp(part, "..");

	for (const char *c = part; *c; c++)
		bad = bad || *c == '/' || (uint8_t)*c < 0x20 || *c == 0x7f;
	if (bad)
		return error_set(err, -EBADMSG, BLAME_SOURCE, what,
				 "the hub's %s \"%.64s\" cannot be part of a path", what, part);
	return text_adds(path, part) < 0 || text_adds(path, "/") < 0 ? error_oom(err) : 0;
}

int koji_rpm_path(const struct koji_listing *listing, const struct koji_rpm *rpm, const char *key,
		  struct text *ret, struct error *err)
{
	const struct koji_build *build = &listing->build[rpm->build];
	const char *volume = koji_text(listing, build->volume);
	const char *name = koji_text(listing, rpm->name), *arch = koji_text(listing, rpm->arch);
	const char *version = koji_text(listing, rpm->version);
	const char *release = koji_text(listing, rpm->release);
	_cleanup_(text_done) struct text path = { 0 }, file = { 0 };
	int r = 0;

	if (strcmp(volume, "DEFAULT") != 0) {
		(void)text_adds(&path, "vol/");
		r = add_part(&path, "volume", volume, err);
	}
	(void)text_adds(&path, "packages/");
	if (r == 0)
		r = add_part(&path, "package name", koji_text(listing, build->package), err);
	if (r == 0)
		r = add_part(&path, "build version", koji_text(listing, build->version), err);
	if (r == 0)
		r = add_part(&path, "build release", koji_text(listing, build->release), err);
	if (r == 0 && key && *key) {
		(void)text_adds(&path, "data/signed/");
		r = add_part(&path, "signing key", key, err);
	}
	if (r == 0)
		r = add_part(&path, "arch", arch, err);
	/* each for itself: that together they are a name does not say that each is one */
	if (r == 0)
		r = add_part(&file, "RPM name", name, err);
	if (r == 0)
		r = add_part(&file, "RPM version", version, err);
	if (r == 0)
		r = add_part(&file, "RPM release", release, err);
	if (r < 0)
		return r;
	(void)text_addf(&path, "%s-%s-%s.%s.rpm", name, version, release, arch);
	if (path.failed || text_add(ret, path.data, path.length) < 0)
		return error_oom(err);
	return 0;
}

int koji_url(const char *top, const char *path, struct text *ret)
{
	size_t length = strlen(top);

	while (length && top[length - 1] == '/')
		length--;
	(void)text_add(ret, top, length);
	(void)text_adds(ret, "/");
	for (; *path; path++) {
		bool plain = (*path >= 'a' && *path <= 'z') || (*path >= 'A' && *path <= 'Z') ||
			     (*path >= '0' && *path <= '9') || strchr("-._/", *path);

		if (plain)
			(void)text_add(ret, path, 1);
		else
			(void)text_addf(ret, "%%%02X", (uint8_t)*path);
	}
	return ret->failed ? -ENOMEM : 0;
}
