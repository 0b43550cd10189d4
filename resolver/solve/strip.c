/* SPDX-License-Identifier: MIT */
/* resolver/solve/strip.c: primary XML without what the solver never looks at.
 *
 * Half of the bytes of a primary are summaries, descriptions, checksums, places. libsolv would
 * parse and store them only for solve_index() to leave them out, so these elements are cut out of
 * the stream: the .solv is the same to the byte, in half the time. Only whole elements are cut, and
 * their newlines stay, so that a fault elsewhere is told with its line. Whether what is cut was
 * good XML is the business of the snapshot, which reads all of it.
 *
 * The stream is looked at in windows; what stands at the end of one without its end waits for the
 * next. A tag that is longer than a window ends the cutting: the rest passes as it is. */
#include "resolver/solve/strip.h"

#define STRIP_WINDOW (256 * 1024)
#define ENTRY_MAX (64 * 1024) /* bytes of a relation: libsolv parses boolean ones recursively */
#define LOOK_AHEAD 24	      /* bytes that hold "</", the longest name of @cut, and what ends it */

struct strip {
	FILE *primary;
	char *in, *out;
	size_t in_at, in_end;	/* to be looked at */
	size_t out_at, out_end; /* to be handed on */
	const char *name;	/* of the element that is being cut, or NULL */
	unsigned int depth;	/* of elements of that name */
	const char *until;	/* end of the comment or CDATA section we are in, or NULL */
	bool pass, ended;
	int fault; /* errno of reading, EMSGSIZE for a relation that is too long */
};

static const char *const cut[] = {
	"summary",	 "description",
	"packager",	 "url",
	"time",		 "size",
	"location",	 "checksum",
	"rpm:group",	 "rpm:license",
	"rpm:vendor",	 "rpm:buildhost",
	"rpm:sourcerpm", "rpm:header-range",
};

/* the row of @cut that begins @name, up to the end of a tag's name */
static const char *find_cut(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(cut); i++) {
		size_t length;

		if (cut[i][0] != name[0])
			continue;
		length = strlen(cut[i]);
		if (!strncmp(cut[i], name, length) && name[length] &&
		    strchr(" \t\r\n/>", name[length]))
			return cut[i];
	}
	return NULL;
}

/* Hand on the next @length bytes, or of what is cut the newlines */
static void consume(struct strip *strip, size_t length)
{
	const char *from = strip->in + strip->in_at, *end = from + length;

	strip->in_at += length;
	if (!strip->name) {
		memcpy(strip->out + strip->out_end, from, length);
		strip->out_end += length;
		return;
	}
	while ((from = memchr(from, '\n', (size_t)(end - from)))) {
		strip->out[strip->out_end++] = '\n';
		from++;
	}
}

/* Length of the tag at @tag, a '>' in an attribute value not being its end; 0: it ends elsewhere */
static size_t tag_length(const char *tag, size_t length)
{
	char quote = '\0';

	for (size_t i = 1; i < length; i++) {
		if (quote)
			quote = tag[i] == quote ? '\0' : quote;
		else if (tag[i] == '"' || tag[i] == '\'')
			quote = tag[i];
		else if (tag[i] == '>')
			return i + 1;
	}
	return 0;
}

/* @found: the element, begun or ended by the tag of @length bytes that comes next */
static void take_tag(struct strip *strip, const char *found, bool closing, size_t length)
{
	bool empty = strip->in[strip->in_at + length - 2] == '/';

	if (!strip->name) {
		strip->name = found;
		strip->depth = !empty;
	} else if (closing) {
		strip->depth--;
	} else {
		strip->depth += !empty;
	}
	consume(strip, length);
	if (!strip->depth)
		strip->name = NULL;
}

/* Is the tag at @at, of which @left bytes are here, a relation longer than ENTRY_MAX? -EAGAIN: more
 * of it is needed */
static int judge_entry(const struct strip *strip, const char *at, size_t left)
{
	static const char entry[] = "<rpm:entry";
	size_t length;

	if (strncmp(at, entry, sizeof(entry) - 1) != 0) /* a NUL follows the window */
		return 0;
	length = tag_length(at, left);
	if (!length && left <= ENTRY_MAX)
		return strip->ended ? 0 : -EAGAIN;
	return !length || length > ENTRY_MAX ? -EMSGSIZE : 0;
}

/* The thing that begins with '<'; false: not enough of it is in the window. Of tags that are not to
 * be cut only the '<' is taken: there is no other before the next tag. */
static bool take_markup(struct strip *strip)
{
	const char *at = strip->in + strip->in_at, *found;
	size_t left = strip->in_end - strip->in_at, length = 0;
	bool closing;
	int r;

	if (left < LOOK_AHEAD && !strip->ended)
		return false;
	if (left >= 4 && !memcmp(at, "<!--", 4)) {
		strip->until = "-->";
		consume(strip, 4);
		return true;
	}
	if (left >= 9 && !memcmp(at, "<![CDATA[", 9)) {
		strip->until = "]]>";
		consume(strip, 9);
		return true;
	}
	closing = at[1] == '/'; /* a NUL follows the window */
	found = find_cut(at + 1 + closing);
	if (strip->name ? found != strip->name : !found || closing) {
		r = strip->name ? 0 : judge_entry(strip, at, left);
		if (r == -EMSGSIZE)
			strip->fault = EMSGSIZE;
		if (r == 0)
			consume(strip, 1);
		return r == 0;
	}
	length = tag_length(at, left);
	if (length)
		take_tag(strip, found, closing, length);
	return length > 0;
}

static bool take_until(struct strip *strip)
{
	const char *at = strip->in + strip->in_at;
	size_t left = strip->in_end - strip->in_at;
	const char *end = memmem(at, left, strip->until, 3);

	if (end) {
		strip->until = NULL;
		consume(strip, (size_t)(end + 3 - at));
	} else if (left > 2) {
		consume(strip, left - 2); /* the last two may begin the end */
	}
	return end != NULL;
}

static void look(struct strip *strip)
{
	while (strip->in_at < strip->in_end) {
		const char *at = strip->in + strip->in_at;
		size_t left = strip->in_end - strip->in_at;
		const char *markup = strip->until || strip->pass ? NULL : memchr(at, '<', left);

		if (strip->until) {
			if (!take_until(strip))
				return;
		} else if (!markup) {
			consume(strip, left);
		} else if (markup > at) {
			consume(strip, (size_t)(markup - at));
		} else if (!take_markup(strip)) {
			return;
		}
	}
}

/* Fill the outgoing buffer with at least one byte, unless there are no more */
static void fill(struct strip *strip)
{
	strip->out_at = strip->out_end = 0;
	while (!strip->out_end && (!strip->ended || strip->in_at < strip->in_end)) {
		size_t kept = strip->in_end - strip->in_at, got;

		if (strip->ended || kept == STRIP_WINDOW) {
			strip->pass = true; /* something has no end: its reader shall say so */
			strip->name = strip->until = NULL;
		}
		memmove(strip->in, strip->in + strip->in_at, kept);
		strip->in_at = 0;
		got = fread(strip->in + kept, 1, STRIP_WINDOW - kept, strip->primary);
		strip->in_end = kept + got;
		strip->in[strip->in_end] = '\0';
		strip->ended = got < STRIP_WINDOW - kept;
		if (ferror(strip->primary)) {
			strip->fault = errno ? errno : EIO;
			return;
		}
		look(strip);
		if (strip->fault)
			return;
	}
}

static ssize_t on_read(void *cookie, char *buffer, size_t size)
{
	struct strip *strip = cookie;
	size_t length;

	if (strip->out_at == strip->out_end && !strip->fault)
		fill(strip);
	if (strip->out_at == strip->out_end && strip->fault) {
		errno = strip->fault;
		return -1;
	}
	length = strip->out_end - strip->out_at;
	length = length < size ? length : size;
	memcpy(buffer, strip->out + strip->out_at, length);
	strip->out_at += length;
	return (ssize_t)length;
}

static int on_close(void *cookie)
{
	struct strip *strip = cookie;

	free(strip->in);
	free(strip->out);
	free(strip);
	return 0;
}

FILE *strip_open(FILE *primary)
{
	struct strip *strip = calloc(1, sizeof(*strip));
	FILE *stream;

	if (!strip)
		return NULL;
	strip->primary = primary;
	strip->in = malloc(STRIP_WINDOW + 1);
	strip->out = malloc(STRIP_WINDOW + 1);
	stream =
		strip->in && strip->out
			? fopencookie(strip, "r",
				      (cookie_io_functions_t){ .read = on_read, .close = on_close })
			: NULL;
	if (!stream)
		on_close(strip);
	return stream;
}
