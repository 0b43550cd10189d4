/* SPDX-License-Identifier: MIT */
/* core/daemon/reload.c: those who ask the keeper for a reload, and the words of the check that
 * comes before it.
 *
 * Connecting is the question; the answer is a digit, the exit code of `odcsfs reload`, and words.
 * Nothing is read from who asks. */
#include "core/daemon/keeper.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

void askers_init(struct askers *askers)
{
	for (size_t i = 0; i < ASKERS; i++)
		askers->item[i].fd = -1;
}

static void say(int *fd, int code, const char *words)
{
	(void)dprintf(*fd, "%d%s\n", code, words);
	closep(fd);
	*fd = -1;
}

static bool is_gone(int fd)
{
	struct pollfd what = { .fd = fd, .events = POLLIN };

	return poll(&what, 1, 0) > 0 && what.revents & (POLLHUP | POLLERR);
}

bool askers_let_in(struct askers *askers, int listening)
{
	_cleanup_(closep) int fd = accept4(listening, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	char words[64];

	for (size_t i = 0; i < ASKERS && fd >= 0; i++) {
		if (askers->item[i].fd >= 0 && is_gone(askers->item[i].fd)) {
			closep(&askers->item[i].fd);
			askers->item[i].fd = -1;
		}
		if (askers->item[i].fd < 0) {
			askers->item[i].fd = steal_fd(&fd);
			askers->item[i].late = true;
			return true;
		}
	}
	(void)snprintf(words, sizeof(words), "%d wait for a reload already: ask again later",
		       ASKERS);
	if (fd >= 0)
		say(&fd, 1, words);
	return false;
}

void askers_begin(struct askers *askers)
{
	for (size_t i = 0; i < ASKERS; i++)
		askers->item[i].late = false;
}

void askers_answer(struct askers *askers, bool late, int code, const char *words)
{
	for (size_t i = 0; i < ASKERS; i++)
		if (askers->item[i].fd >= 0 && (late || !askers->item[i].late))
			say(&askers->item[i].fd, code, words);
}

/* ---- words --------------------------------------------------------------------------- */

void words_init(struct words *words)
{
	*words = (struct words){ .fd = -1 };
}

int words_begin(struct words *words)
{
	int pair[2], out;

	words_init(words);
	if (pipe2(pair, O_CLOEXEC | O_NONBLOCK) < 0)
		return -1;
	words->fd = pair[0];
	out = fcntl(pair[1], F_DUPFD_CLOEXEC, FIRST_SAFE_FD);
	(void)close(pair[1]);
	if (out < 0)
		(void)words_end(words);
	return out;
}

void words_read(struct words *words)
{
	char more[256]; /* than there is room for: read all the same, or its writer dies of it */
	size_t room = sizeof(words->text) - 1 - words->length;
	ssize_t n = read(words->fd, room ? words->text + words->length : more,
			 room ? room : sizeof(more));

	if (n > 0) {
		words->length += room ? (size_t)n : 0;
	} else if (!n || (errno != EAGAIN && errno != EINTR)) {
		closep(&words->fd);
		words->fd = -1;
	}
}

const char *words_end(struct words *words)
{
	while (words->fd >= 0 && words->length < sizeof(words->text) - 1 &&
	       poll(&(struct pollfd){ words->fd, POLLIN, 0 }, 1, 0) > 0)
		words_read(words);
	closep(&words->fd);
	words->fd = -1;
	while (words->length && words->text[words->length - 1] == '\n')
		words->length--;
	words->text[words->length] = '\0';
	return words->text;
}
