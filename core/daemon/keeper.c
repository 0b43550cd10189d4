/* SPDX-License-Identifier: MIT */
/* core/daemon/keeper.c: the keeper: starts the server, starts it again, and holds what must outlive
 * it: the devices of the mounts, the listening sockets.
 *
 *   keeper ═► server: opens, binds, mounts, and stores a copy of each descriptor here
 *     │         killed ─► the next one is started, and is handed all of them
 *     │         told to leave (reload) ─► ends without unmounting ─► the next one
 *     └ SIGTERM ─► the server stops cleanly ─► ends with its exit code
 *
 * One thread; it parses nothing, and what it holds has a fixed size. Its end is the end of its
 * socket to the server, which then stops cleanly, unless the service manager holds the descriptors,
 * too. */
#include "core/daemon/keeper.h"
#include "core/daemon/daemon.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define LINK_FD 3 /* where the server finds its end */
#define LINK_OPTION "--keeper-fd=3"
#define STOP_MS 15000	  /* then a server that was told to end is killed */
#define QUICK_MS 1000	  /* who dies sooner after it was ready is started again more slowly */
#define PAUSE_MS 50	  /* the first time, then twice as long each time */
#define SLOW_MS 5000	  /* at most */
#define ASKERS 8	  /* reloads that are waited for */
#define ARGUMENTS_MAX 256 /* of serve */

struct keeper {
	char program[PATH_MAX];
	char *argv[ARGUMENTS_MAX + 3];
	char option[32];
	int signals, link, words_fd, code;
	pid_t server, checker; /* 0: none */
	struct shelf shelf;
	int asker[ASKERS]; /* connections of those who wait for a reload; -1: free */
	char words[512];   /* what the checker said */
	size_t words_length;
	bool ready, ready_once, ending, leaving, done, again; /* again: too late for this reload */
	unsigned int quick;				      /* servers in a row that died soon */
	int64_t ready_ms;				      /* when it was ready */
	int64_t start_at_ms, kill_at_ms; /* the next one, the one told to end; 0: not at all */
};

static void drop(int *fd)
{
	closep(fd);
	*fd = -1;
}

/* ---- children ----------------------------------------------------------------------- */

/* @fd becomes descriptor @as; -1: there is none, as errno says. */
static pid_t spawn(struct keeper *keeper, const char *option, int fd, int as)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t none, defaults;
	pid_t pid = 0;
	int r = errno;

	(void)snprintf(keeper->option, sizeof(keeper->option), "%s", option);
	(void)sigemptyset(&none);
	(void)sigfillset(&defaults);
	if (posix_spawnattr_init(&attributes) != 0 || posix_spawn_file_actions_init(&actions) != 0)
		return 0;
	(void)posix_spawnattr_setsigmask(&attributes, &none);
	(void)posix_spawnattr_setsigdefault(&attributes, &defaults);
	(void)posix_spawnattr_setpgroup(&attributes, 0); /* Ctrl-C is for the keeper */
	(void)posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
							    POSIX_SPAWN_SETPGROUP);
	r = fd < 0 ? r : posix_spawn_file_actions_adddup2(&actions, fd, as);
	if (r == 0)
		r = posix_spawn(&pid, keeper->program, &actions, &attributes, keeper->argv,
				environ);
	(void)posix_spawn_file_actions_destroy(&actions);
	(void)posix_spawnattr_destroy(&attributes);
	if (r != 0)
		log_error("keeper: cannot start %s: %s", keeper->program, strerror(r));
	return r == 0 ? pid : 0;
}

static void start_later(struct keeper *keeper, bool soon)
{
	int64_t pause = soon ? 0 : PAUSE_MS;

	for (unsigned int i = 1; i < keeper->quick && pause < SLOW_MS; i++)
		pause = 2 * pause < SLOW_MS ? 2 * pause : SLOW_MS;
	keeper->start_at_ms = time_monotonic_ms() + pause;
	if (pause > QUICK_MS)
		log_info("keeper: the next server is started in %" PRId64 " ms", pause);
}

static void server_start(struct keeper *keeper)
{
	int pair[2] = { -1, -1 };
	_cleanup_(closep) int theirs = -1;

	keeper->start_at_ms = keeper->kill_at_ms = 0;
	keeper->ready = keeper->leaving = keeper->again = false;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0) {
		theirs = fcntl(pair[1], F_DUPFD_CLOEXEC, FIRST_SAFE_FD);
		(void)close(pair[1]);
		keeper->link = pair[0];
	}
	keeper->server = spawn(keeper, LINK_OPTION, theirs, LINK_FD);
	if (!keeper->server) {
		drop(&keeper->link);
		keeper->quick++;
		keeper->code = 1;
		keeper->done = !keeper->ready_once;
		start_later(keeper, false);
		return;
	}
	shelf_hand_over(&keeper->shelf, keeper->link);
}

/* ---- reload ------------------------------------------------------------------------ */

static void answer(struct keeper *keeper, int code, const char *words)
{
	for (size_t i = 0; i < ASKERS; i++) {
		if (keeper->asker[i] < 0)
			continue;
		(void)dprintf(keeper->asker[i], "%d%s\n", code, words);
		drop(&keeper->asker[i]);
	}
}

/* First it is tried whether the program on disk would start with the configuration as it is now. */
static void reload(struct keeper *keeper)
{
	_cleanup_(closep) int out = -1;
	int pair[2];

	if (keeper->leaving || keeper->ending)
		return; /* the next server answers this one, too */
	keeper->again = keeper->checker || (keeper->server && !keeper->ready);
	if (keeper->again)
		return;
	if (!keeper->server) {
		server_start(keeper); /* it waits for its time to be started again */
		return;
	}
	keeper->words_length = 0;
	if (pipe2(pair, O_CLOEXEC | O_NONBLOCK) < 0) {
		answer(keeper, 1, "no descriptor left");
		return;
	}
	keeper->words_fd = pair[0];
	out = fcntl(pair[1], F_DUPFD_CLOEXEC, FIRST_SAFE_FD);
	(void)close(pair[1]);
	systemd_tell("RELOADING=1", -1);
	keeper->checker = spawn(keeper, "--check", out, STDERR_FILENO);
	if (!keeper->checker) {
		drop(&keeper->words_fd);
		answer(keeper, 1, "the program cannot be started");
		systemd_tell("READY=1", -1);
	}
}

static void words_read(struct keeper *keeper)
{
	char more[256]; /* than there is room for: read all the same, or its writer dies of it */
	size_t room = sizeof(keeper->words) - 1 - keeper->words_length;
	ssize_t n = read(keeper->words_fd, room ? keeper->words + keeper->words_length : more,
			 room ? room : sizeof(more));

	if (n > 0)
		keeper->words_length += room ? (size_t)n : 0;
	else if (!n || (errno != EAGAIN && errno != EINTR))
		drop(&keeper->words_fd);
}

static void checked(struct keeper *keeper, int status)
{
	char death[DEATH_SIZE];

	keeper->checker = 0;
	while (keeper->words_fd >= 0 && poll(&(struct pollfd){ keeper->words_fd, POLLIN, 0 }, 1, 0))
		words_read(keeper);
	drop(&keeper->words_fd);
	while (keeper->words_length && keeper->words[keeper->words_length - 1] == '\n')
		keeper->words_length--;
	keeper->words[keeper->words_length] = '\0';
	if (keeper->ending)
		return;
	if (keeper->again) {
		reload(keeper);
		return;
	}
	if (WIFEXITED(status) && !WEXITSTATUS(status)) {
		if (!keeper->server || !keeper->ready)
			return; /* it died meanwhile: the next one is new enough */
		log_info("keeper: the server is replaced");
		keeper->leaving = true;
		keeper->kill_at_ms = time_monotonic_ms() + STOP_MS;
		(void)keeper_send(keeper->link, KEEPER_LEAVE, NULL, NULL, -1);
		return;
	}
	death_text(status, death);
	log_error("keeper: not reloaded, the server stays: the check %s%s%s", death,
		  keeper->words_length ? ": " : "", keeper->words);
	answer(keeper, WIFEXITED(status) && WEXITSTATUS(status) == 2 ? 2 : 1,
	       keeper->words_length ? keeper->words : death);
	systemd_tell("READY=1", -1);
}

static void ask(struct keeper *keeper, int listening)
{
	int fd = accept4(listening, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	for (size_t i = 0; i < ASKERS && fd >= 0; i++)
		if (keeper->asker[i] < 0) {
			keeper->asker[i] = steal_fd(&fd);
			reload(keeper);
		}
	closep(&fd);
}

/* ---- what happens ------------------------------------------------------------------- */

static void heard(struct keeper *keeper)
{
	struct keeper_message message;
	int fd, r;

	while ((r = keeper_receive(keeper->link, false, &message, &fd)) > 0) {
		if (message.verb == KEEPER_STORE && fd >= 0) {
			shelf_store(&keeper->shelf, message.name, message.path, steal_fd(&fd));
		} else if (message.verb == KEEPER_DROP) {
			shelf_drop(&keeper->shelf, message.name);
		} else if (message.verb == KEEPER_READY) {
			keeper->ready = keeper->ready_once = true;
			keeper->ready_ms = time_monotonic_ms();
			systemd_tell("READY=1", -1);
			if (keeper->again)
				reload(keeper);
			else
				answer(keeper, 0, "reloaded");
		}
		closep(&fd);
	}
	if (r < 0)
		drop(&keeper->link);
}

static void server_ended(struct keeper *keeper, int status)
{
	bool left = WIFEXITED(status) && WEXITSTATUS(status) == KEEPER_EXIT_LEFT;
	/* our signal, before it took signals itself: it had begun nothing */
	bool early = keeper->ending && !keeper->ready_once && WIFSIGNALED(status) &&
		     WTERMSIG(status) == SIGTERM;
	char death[DEATH_SIZE];

	if (keeper->link >= 0)
		heard(keeper); /* what it said before */
	drop(&keeper->link);
	keeper->server = 0;
	keeper->kill_at_ms = 0;
	death_text(status, death);
	if (keeper->ending || !keeper->ready_once || (WIFEXITED(status) && !WEXITSTATUS(status))) {
		if (WIFSIGNALED(status) && !early)
			log_error("keeper: the server %s", death);
		keeper->code = WIFEXITED(status) && !left ? WEXITSTATUS(status) : !early;
		keeper->done = true;
		return;
	}
	if (!left) {
		log_error("keeper: the server %s; it is started again", death);
		if (!keeper->ready)
			answer(keeper, 1, "the new server did not start; it is tried again");
	}
	if (left || (keeper->ready && time_monotonic_ms() - keeper->ready_ms > QUICK_MS))
		keeper->quick = 0;
	else
		keeper->quick++;
	start_later(keeper, left || !keeper->quick);
}

static void end(struct keeper *keeper)
{
	if (!keeper->ending)
		systemd_tell("STOPPING=1", -1);
	keeper->ending = true;
	answer(keeper, 1, "the service is stopped");
	keeper->start_at_ms = 0;
	keeper->kill_at_ms = time_monotonic_ms() + STOP_MS;
	keeper->done = !keeper->server;
	if (keeper->server)
		(void)kill(keeper->server, SIGTERM);
}

static void signalled(struct keeper *keeper)
{
	struct signalfd_siginfo info;
	int status;
	pid_t pid;

	if (read(keeper->signals, &info, sizeof(info)) != sizeof(info))
		return;
	if (info.ssi_signo == SIGHUP)
		reload(keeper);
	else if (info.ssi_signo != SIGCHLD)
		end(keeper);
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid == keeper->server)
			server_ended(keeper, status);
		else if (pid == keeper->checker)
			checked(keeper, status);
	}
}

static int timeout_of(const struct keeper *keeper)
{
	int64_t at = keeper->server ? keeper->kill_at_ms : keeper->start_at_ms;
	int64_t left = at - time_monotonic_ms();

	if (!at)
		return -1;
	return left < 0 ? 0 : (int)left;
}

static void look(struct keeper *keeper)
{
	struct pollfd what[] = { { keeper->signals, POLLIN, 0 },
				 { keeper->link, POLLIN, 0 },
				 { keeper->words_fd, POLLIN, 0 },
				 { shelf_find(&keeper->shelf, KEEPER_CONTROL), POLLIN, 0 } };

	if (poll(what, ARRAY_SIZE(what), timeout_of(keeper)) < 0)
		return;
	if (what[1].revents)
		heard(keeper);
	if (what[2].revents)
		words_read(keeper);
	if (what[3].revents) /* it may be another one by now */
		ask(keeper, shelf_find(&keeper->shelf, KEEPER_CONTROL));
	if (what[0].revents)
		signalled(keeper);
	if (timeout_of(keeper) != 0 || keeper->done)
		return;
	if (!keeper->server) {
		server_start(keeper);
		return;
	}
	log_error("keeper: the server does not end; it is killed");
	(void)kill(keeper->server, SIGKILL);
	keeper->kill_at_ms = time_monotonic_ms() + STOP_MS;
}

/* A program that was replaced on the disk is called "PATH (deleted)"; the new one is at PATH. */
static bool program_find(struct keeper *keeper)
{
	static const char gone[] = " (deleted)";
	ssize_t n = readlink("/proc/self/exe", keeper->program, sizeof(keeper->program) - 1);
	size_t length = n > 0 ? (size_t)n : 0, tail = sizeof(gone) - 1;

	keeper->program[length] = '\0';
	if (length > tail && !strcmp(keeper->program + length - tail, gone))
		keeper->program[length - tail] = '\0';
	return length;
}

int keeper(int argc, char **argv)
{
	char name[] = "odcsfs", verb[] = "serve";
	struct keeper keeper = { .argv = { name, verb, keeper.option },
				 .link = -1,
				 .words_fd = -1 };
	static const int numbers[] = { SIGTERM, SIGINT, SIGHUP, SIGCHLD };
	sigset_t signals;

	(void)sigemptyset(&signals);
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
		(void)sigaddset(&signals, numbers[i]);
	(void)sigprocmask(SIG_BLOCK, &signals, NULL);
	(void)signal(SIGPIPE, SIG_IGN);
	keeper.signals = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
	for (size_t i = 0; i < ASKERS; i++)
		keeper.asker[i] = -1;
	if (keeper.signals < 0 || !program_find(&keeper) || argc > ARGUMENTS_MAX) {
		log_error("keeper: cannot start: %s",
			  argc > ARGUMENTS_MAX ? "too many arguments" : strerror(errno));
		return 1;
	}
	for (int i = 1; i < argc; i++)
		keeper.argv[i + 2] = argv[i];
	shelf_init(&keeper.shelf);
	server_start(&keeper);
	while (!keeper.done)
		look(&keeper);
	/* what a service manager keeps is for the next try */
	if (keeper.ready_once || !systemd_stores())
		shelf_end(&keeper.shelf);
	return keeper.code;
}
