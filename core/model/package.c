/* SPDX-License-Identifier: MIT */
/* core/model/package.c: names of packages: split, ordered as rpm orders them, told apart; and
 * locations inside a repository. */
#include "core/model/model.h"

#include <ctype.h>

/* ---- NEVRA ------------------------------------------------------------- */

static bool is_arch(const char *text)
{
	if (!*text)
		return false;
	for (; *text; text++)
		if (!isalnum((unsigned char)*text) && *text != '_')
			return false;
	return true;
}

/* "12:rest" → 12, at rest; without a colon -1. -EINVAL when what stands before it is no epoch. */
static int take_epoch(char **at, int64_t *ret)
{
	char *colon = strchr(*at, ':');

	*ret = -1;
	if (!colon)
		return 0;
	*colon = '\0';
	if (parse_int64(*at, ret) < 0 || *ret < 0 || *ret > UINT32_MAX)
		return -EINVAL;
	*at = colon + 1;
	return strchr(*at, ':') ? -EINVAL : 0;
}

static char *cut_last(char *text, char separator)
{
	char *at = strrchr(text, separator);

	if (!at)
		return NULL;
	*at = '\0';
	return at + 1;
}

/* Versions and releases have a digit, which names like java-11-openjdk.x86_64 lack in one place. */
static bool is_component(const char *text)
{
	return text[strcspn(text, "0123456789")];
}

int nevra_parse(const char *text, char *buffer, struct nevra *ret)
{
	char *name = buffer, *version, *release, *arch;
	int64_t epoch, front;

	memcpy(buffer, text, strlen(text) + 1);
	if (text[strcspn(text, " \t\r\n/")])
		return -EINVAL;
	arch = cut_last(name, '.');
	release = arch ? cut_last(name, '-') : NULL;
	version = release ? cut_last(name, '-') : NULL;
	if (!version || take_epoch(&name, &front) < 0 || take_epoch(&version, &epoch) < 0)
		return -EINVAL;
	if ((front >= 0 && epoch >= 0) || strchr(release, ':') || !*name || !is_arch(arch) ||
	    !is_component(version) || !is_component(release))
		return -EINVAL;
	*ret = (struct nevra){ .name = name,
			       .version = version,
			       .release = release,
			       .arch = arch,
			       .epoch = front >= 0 ? front : epoch };
	return 0;
}

/* ---- order ------------------------------------------------------------- */

static bool is_part(char c)
{
	return isalnum((unsigned char)c) || c == '~' || c == '^';
}

/* Both stand on a digit, or both on a letter: compare that run and step over it. */
static int compare_run(const char **a, const char **b, int (*in_run)(int))
{
	const char *a_start, *b_start;
	size_t a_length, b_length;
	int order;

	if (in_run == isdigit) {
		*a += strspn(*a, "0");
		*b += strspn(*b, "0");
	}
	a_start = *a;
	b_start = *b;
	while (in_run((unsigned char)**a))
		(*a)++;
	while (in_run((unsigned char)**b))
		(*b)++;
	a_length = (size_t)(*a - a_start);
	b_length = (size_t)(*b - b_start);
	if (in_run == isdigit && a_length != b_length)
		return a_length < b_length ? -1 : 1;
	order = memcmp(a_start, b_start, a_length < b_length ? a_length : b_length);
	if (!order && a_length != b_length)
		return a_length < b_length ? -1 : 1;
	return order < 0 ? -1 : order > 0;
}

/* '~' sorts before everything, also before the end; '^' before everything but the end. */
static int compare_mark(char a, char b, bool *ret_both)
{
	*ret_both = (a == '~' && b == '~') || (a == '^' && b == '^');
	if (*ret_both)
		return 0;
	if (a == '~' || b == '~')
		return a == '~' ? -1 : 1;
	if (a == '^')
		return b ? -1 : 1;
	if (b == '^')
		return a ? 1 : -1;
	return 0;
}

int version_compare(const char *a, const char *b)
{
	while (*a || *b) {
		int (*in_run)(int);
		bool both;
		int order;

		while (*a && !is_part(*a))
			a++;
		while (*b && !is_part(*b))
			b++;
		order = compare_mark(*a, *b, &both);
		if (order)
			return order;
		if (both) {
			a++;
			b++;
			continue;
		}
		if (!*a || !*b)
			break;
		in_run = isdigit((unsigned char)*a) ? isdigit : isalpha;
		if (!in_run((unsigned char)*b)) /* a number is newer than a word */
			return in_run == isdigit ? 1 : -1;
		order = compare_run(&a, &b, in_run);
		if (order)
			return order;
	}
	return *a ? 1 : *b ? -1 : 0;
}

int evr_compare(const struct nevra *a, const struct nevra *b)
{
	int64_t a_epoch = a->epoch < 0 ? 0 : a->epoch, b_epoch = b->epoch < 0 ? 0 : b->epoch;
	int order = a_epoch < b_epoch ? -1 : a_epoch > b_epoch;

	if (!order)
		order = version_compare(a->version, b->version);
	if (!order)
		order = version_compare(a->release, b->release);
	return order;
}

/* ---- kinds, places ----------------------------------------------------- */

static bool ends_with(const char *text, const char *end)
{
	size_t length = strlen(text), end_length = strlen(end);

	return length > end_length && !strcmp(text + length - end_length, end);
}

bool package_is_debug(const char *name)
{
	const char *inside = strstr(name, "-debuginfo-");

	return (inside && inside > name) || ends_with(name, "-debuginfo") ||
	       ends_with(name, "-debugsource");
}

#define LOCATION_MAX 4095

/* "scheme:/…" of an URL; a colon elsewhere may stand in a file's name */
static bool has_scheme(const char *location)
{
	size_t length = 0;

	while (isalnum((unsigned char)location[length]) ||
	       (location[length] && strchr("+-.", location[length])))
		length++;
	return length && location[length] == ':' && location[length + 1] == '/';
}

/* Every package of a manifest passes here when it is mapped. */
static const char *location_fault(const char *location)
{
	size_t length = strlen(location);

	if (length > LOCATION_MAX)
		return "is too long";
	if (*location == '/')
		return "is absolute";
	if (memchr(location, ':', length) && has_scheme(location))
		return "has a scheme";
	if (memchr(location, '\\', length) || has_control(location, length))
		return "holds a control character or backslash";
	for (const char *part = location, *end = location + length;;) {
		const char *slash = memchr(part, '/', (size_t)(end - part));

		length = (size_t)((slash ? slash : end) - part);
		if (!length)
			return *location ? "has an empty part" : "is empty";
		if (length <= 2 && !strncmp(part, "..", length))
			return "has a part \".\" or \"..\"";
		if (!slash)
			return NULL;
		part = slash + 1;
	}
}

int location_check(const char *location, const char *field, struct error *err)
{
	const char *fault = location_fault(location);
	char shown[80];
	size_t length = 0;

	if (!fault)
		return 0;
	for (; location[length] && length < sizeof(shown) - 1; length++)
		shown[length] = (unsigned char)location[length] < 0x20 ||
						(unsigned char)location[length] >= 0x7f
					? '?'
					: location[length];
	shown[length] = '\0';
	return error_set(err, -EINVAL, BLAME_SOURCE, field, "location \"%s\" %s", shown, fault);
}

/* ---- arches ------------------------------------------------------------ */

/* First the name that dnf and Koji have for all that follow, which stand in the order in which they
 * get it */
static const char *const canonical[][4] = {
	{ "i386", "i686", "i586" },
	{ "armhfp", "armv7hl", "armv7hnl", "armv6hl" },
	{ "arm", "armv5tel" },
};

const char *arch_also(const struct strings *arches, size_t index)
{
	for (size_t row = 0; row < ARRAY_SIZE(canonical); row++) {
		const char *const *name = canonical[row];

		if (strings_has(arches, *name))
			continue;
		for (size_t i = 1; i < ARRAY_SIZE(canonical[0]) && name[i]; i++) {
			if (!strcmp(name[i], arches->item[index]))
				return name[0];
			if (strings_has(arches, name[i]))
				break;
		}
	}
	return NULL;
}
