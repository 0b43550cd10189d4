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
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define LINK_FD 3 /* where the server finds its end */
#define LINK_OPTION "--keeper-fd=3"
#define STOP_MS 15000	 /* then a server that was told to end is killed */
#define QUICK_MS 1000	 /* who dies sooner after it was ready is started again more slowly */
#define PAUSE_MS 50	 /* the first time, then twice as long each time */
#define SLOW_MS 5000	 /* at most */
#define CHECK_SECONDS 10 /* for a check of the configuration */

struct keeper {
	struct program program;
	int signals, link, code;
	pid_t server, checker; /* 0: none */
	struct shelf shelf;
	struct askers askers;				      /* those who wait for a reload */
	struct words words;				      /* the checker's */
	bool ready, ready_once, ending, leaving, done, again; /* again: too late for this reload */
	unsigned int quick;				      /* servers in a row that died soon */
	int64_t ready_ms;				      /* when it was ready */
	/* the next one, the one told to end, a check that hangs; 0: not at all */
	int64_t start_at_ms, kill_at_ms, check_until_ms;
};

static void drop_link(struct keeper *keeper)
{
	closep(&keeper->link);
	keeper->link = -1;
}

/* ---- the server ----------------------------------------------------------------------- */

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
	keeper->server = program_start(&keeper->program, LINK_OPTION, theirs, LINK_FD);
	if (!keeper->server) {
		drop_link(keeper);
		keeper->quick++;
		keeper->code = 1;
		keeper->done = !keeper->ready_once;
		askers_answer(&keeper->askers, true, 1,
			      "the program cannot be started; it is tried again and again");
		start_later(keeper, false);
		return;
	}
	shelf_hand_over(&keeper->shelf, keeper->link);
}

/* ---- reload ------------------------------------------------------------------------ */

static void refuse(struct keeper *keeper, int code, const char *words)
{
	askers_answer(&keeper->askers, false, code, words);
	systemd_tell("READY=1", -1);
}

/* First it is tried whether the program on disk would start with the configuration as it is now. */
static void reload(struct keeper *keeper)
{
	_cleanup_(closep) int out = -1;

	if (keeper->ending)
		askers_answer(&keeper->askers, true, 1, "the service is stopped");
	if (keeper->leaving || keeper->ending)
		return; /* the next server answers this one, too */
	keeper->again = keeper->checker || (keeper->server && !keeper->ready);
	if (keeper->again)
		return;
	if (!keeper->server) {
		server_start(keeper); /* it waits for its time to be started again */
		return;
	}
	systemd_tell("RELOADING=1", -1);
	askers_begin(&keeper->askers);
	out = words_begin(&keeper->words);
	if (out < 0) {
		refuse(keeper, 1, "no descriptor left");
		return;
	}
	keeper->checker = program_start(&keeper->program, "--check", out, STDERR_FILENO);
	if (!keeper->checker) {
		(void)words_end(&keeper->words);
		refuse(keeper, 1, "the program cannot be started");
		return;
	}
	keeper->check_until_ms = time_monotonic_ms() + CHECK_SECONDS * 1000;
}

/* One that hangs in the kernel cannot be ended: it is not waited for. */
static void check_end(struct keeper *keeper)
{
	if (keeper->checker)
		(void)kill(-keeper->checker, SIGKILL); /* and whatever it started */
	keeper->checker = 0;
	keeper->check_until_ms = 0;
	(void)words_end(&keeper->words);
}

/* Who asked after it began has a check of his own. */
static void check_hangs(struct keeper *keeper)
{
	char words[160];

	(void)snprintf(words, sizeof(words),
		       "the check of the new program and its configuration did not end within %d "
		       "seconds: not reloaded, the server stays",
		       CHECK_SECONDS);
	log_error("keeper: %s", words);
	check_end(keeper);
	refuse(keeper, 1, words);
	if (keeper->again)
		reload(keeper);
}

static void checked(struct keeper *keeper, int status)
{
	const char *words = words_end(&keeper->words);
	char death[DEATH_SIZE];

	keeper->checker = 0;
	keeper->check_until_ms = 0;
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
		  words[0] ? ": " : "", words);
	refuse(keeper, WIFEXITED(status) && WEXITSTATUS(status) == 2 ? 2 : 1,
	       words[0] ? words : death);
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
				askers_answer(&keeper->askers, true, 0, "reloaded");
		}
		closep(&fd);
	}
	if (r < 0)
		drop_link(keeper);
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
	drop_link(keeper);
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
		if (!keeper->ready) {
			char words[DEATH_SIZE + 128];

			(void)snprintf(words, sizeof(words),
				       "the new server %s before it was ready; it is started "
				       "again and again, the log says why",
				       death);
			askers_answer(&keeper->askers, true, 1, words);
		}
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
	check_end(keeper);
	askers_answer(&keeper->askers, true, 1, "the service is stopped");
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

/* -1: never */
static int left_until(int64_t at_ms)
{
	int64_t left = at_ms - time_monotonic_ms();

	if (!at_ms)
		return -1;
	return left < 0 ? 0 : (int)left;
}

static int timeout_of(const struct keeper *keeper)
{
	int server = left_until(keeper->server ? keeper->kill_at_ms : keeper->start_at_ms);
	int check = left_until(keeper->check_until_ms);

	return server < 0 || (check >= 0 && check < server) ? check : server;
}

static void server_due(struct keeper *keeper)
{
	if (!keeper->server) {
		server_start(keeper);
		return;
	}
	log_error("keeper: the server does not end; it is killed");
	(void)kill(keeper->server, SIGKILL);
	keeper->kill_at_ms = time_monotonic_ms() + STOP_MS;
}

static void look(struct keeper *keeper)
{
	struct pollfd what[] = { { keeper->signals, POLLIN, 0 },
				 { keeper->link, POLLIN, 0 },
				 { keeper->words.fd, POLLIN, 0 },
				 { shelf_find(&keeper->shelf, KEEPER_CONTROL), POLLIN, 0 } };

	if (poll(what, ARRAY_SIZE(what), timeout_of(keeper)) < 0)
		return;
	if (what[1].revents)
		heard(keeper);
	if (what[2].revents)
		words_read(&keeper->words);
	if (what[3].revents && /* it may be another one by now */
	    askers_let_in(&keeper->askers, shelf_find(&keeper->shelf, KEEPER_CONTROL)))
		reload(keeper);
	if (what[0].revents)
		signalled(keeper);
	if (!keeper->done && left_until(keeper->check_until_ms) == 0)
		check_hangs(keeper);
	if (!keeper->done &&
	    left_until(keeper->server ? keeper->kill_at_ms : keeper->start_at_ms) == 0)
		server_due(keeper);
}

int keeper(int argc, char **argv)
{
	struct keeper keeper = { .link = -1 };
	static const int numbers[] = { SIGTERM, SIGINT, SIGHUP, SIGCHLD };
	sigset_t signals;

	(void)sigemptyset(&signals);
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
		(void)sigaddset(&signals, numbers[i]);
	(void)sigprocmask(SIG_BLOCK, &signals, NULL);
	(void)signal(SIGPIPE, SIG_IGN);
	keeper.signals = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
	askers_init(&keeper.askers);
	words_init(&keeper.words);
	if (keeper.signals < 0) {
		log_error("keeper: cannot start: signals: %s", strerror(errno));
		return 1;
	}
	if (program_find(&keeper.program, argc, argv) < 0)
		return 1;
	shelf_init(&keeper.shelf);
	server_start(&keeper);
	while (!keeper.done)
		look(&keeper);
	/* what a service manager keeps is for the next try */
	if (keeper.ready_once || !systemd_stores())
		shelf_end(&keeper.shelf);
	return keeper.code;
}
