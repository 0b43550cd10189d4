/* SPDX-License-Identifier: MIT */
/* core/daemon/program.c: the program on the disk as it is now, which the keeper starts: as its
 * server, and to check whether that one would start. */
#include "core/daemon/keeper.h"

#include <signal.h>
#include <spawn.h>
#include <unistd.h>

int program_find(struct program *program, int argc, char **argv)
{
	static char name[] = "odcsfs", verb[] = "serve";
	static const char gone[] = " (deleted)";
	ssize_t n = readlink("/proc/self/exe", program->path, sizeof(program->path) - 1);
	size_t length = n > 0 ? (size_t)n : 0, tail = sizeof(gone) - 1;
	int r = n < 0 ? -errno : argc > PROGRAM_ARGUMENTS ? -E2BIG : 0;

	if (r < 0) {
		log_error("keeper: cannot start: %s", strerror(-r));
		return r;
	}
	program->path[length] = '\0';
	/* one that was replaced on the disk is called so; the new one is at its path */
	if (length > tail && !strcmp(program->path + length - tail, gone))
		program->path[length - tail] = '\0';
	program->argv[0] = name;
	program->argv[1] = verb;
	program->argv[2] = program->option;
	for (int i = 1; i < argc; i++)
		program->argv[i + 2] = argv[i];
	return 0;
}

pid_t program_start(struct program *program, const char *option, int fd, int as)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t none, defaults;
	pid_t pid = 0;
	int r = errno;

	(void)snprintf(program->option, sizeof(program->option), "%s", option);
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
		r = posix_spawn(&pid, program->path, &actions, &attributes, program->argv, environ);
	(void)posix_spawn_file_actions_destroy(&actions);
	(void)posix_spawnattr_destroy(&attributes);
	if (r != 0)
		log_error("keeper: cannot start %s: %s", program->path, strerror(r));
	return r == 0 ? pid : 0;
}
