/* SPDX-License-Identifier: MIT */
/* core/daemon/keeper.h: between the keeper and its server.
 *
 *   odcsfs serve ── keeper.c ──socket pair──► odcsfs serve --keeper-fd=N ── held.c
 *
 * The keeper may be of another version than the server: what stands here is never changed, only
 * added to. A verb that is not known is passed over. */
#pragma once

#include "core/base/base.h"

#include <limits.h>

#define KEEPER_ITEMS 16 /* descriptors that are kept */
#define KEEPER_NAME_SIZE 28
#define KEEPER_EXIT_LEFT 75	 /* of a server that left its mounts and sockets to the next one */
#define KEEPER_CONTROL "control" /* name of a listening socket: who connects asks for a reload */
#define KEEPER_MOUNT "mount-" /* begins the names of devices of mounts; their path is unmounted */

enum keeper_verb {
	/* to the server */
	KEEPER_HELD = 1, /* with a descriptor that another server stored */
	KEEPER_START,	 /* that was all */
	KEEPER_LEAVE,	 /* end, and leave everything to the next one */
	/* to the keeper */
	KEEPER_STORE = 16, /* with a descriptor, in the place of what had that name */
	KEEPER_DROP,
	KEEPER_READY,
};

struct keeper_message {
	uint32_t verb;
	char name[KEEPER_NAME_SIZE];
	char path[PATH_MAX]; /* of a mount; "" */
};

/** keeper_send() - @fd -1: none. 0 or negative errno */
int keeper_send(int socket, enum keeper_verb verb, const char *name, const char *path, int fd);
/** keeper_receive() - 1 with *ret_fd (-1: none), 0: nothing there (of one that does not wait),
 * -EPIPE: the other end is gone */
int keeper_receive(int socket, bool wait, struct keeper_message *ret, int *ret_fd);

/** keeper() - `odcsfs serve` from its arguments (those of `serve`) to the exit code */
int keeper(int argc, char **argv);

/* ---- program.c: the program on the disk as it is now --------------------------------- */

#define PROGRAM_ARGUMENTS 256 /* of serve */
#define FIRST_SAFE_FD 16      /* above all that a child is given */

struct program {
	char path[PATH_MAX];
	char option[32];
	char *argv[PROGRAM_ARGUMENTS + 3];
};

/** program_find() - this one, with the arguments of `serve` in @argv (borrowed). Says what is wrong
 */
int program_find(struct program *program, int argc, char **argv);
/** program_start() - as `odcsfs serve @option ARGUMENTS`, in a process group of its own. @fd
 * becomes descriptor @as; -1: there is none, as errno says. 0: it cannot be started, which is said
 */
pid_t program_start(struct program *program, const char *option, int fd, int as);

/* ---- reload.c: who asks for a reload, and what the check of the next server says ---- */

#define ASKERS 8 /* that are waited for */

/** struct askers - their connections. Who comes while a check is under way waits for the next one
 */
struct askers {
	struct {
		int fd; /* -1: free */
		bool late;
	} item[ASKERS];
};

void askers_init(struct askers *askers);
/** askers_let_in() - who connected to @listening; true: he is to be answered. One too many is told
 * so */
bool askers_let_in(struct askers *askers, int listening);
/** askers_begin() - nobody is late for the check that begins */
void askers_begin(struct askers *askers);
/** askers_answer() - an exit code and words; with @late those, too, who came after the check began
 */
void askers_answer(struct askers *askers, bool late, int code, const char *words);

/** struct words - the beginning of what a child says */
struct words {
	int fd; /* for poll; -1: nothing more comes */
	size_t length;
	char text[512];
};

void words_init(struct words *words);
/** words_begin() - the descriptor that the child is given, the caller's to close; -1: none is left
 */
int words_begin(struct words *words);
void words_read(struct words *words);
/** words_end() - all that has come, without newlines at its end; good until the next words_begin()
 */
const char *words_end(struct words *words);

/* ---- shelf.c: what the keeper holds ------------------------------------------- */

struct shelf {
	struct shelf_item {
		int fd; /* -1: free */
		char name[KEEPER_NAME_SIZE], path[PATH_MAX];
	} item[KEEPER_ITEMS];
};

/** shelf_init() - with what the service manager gave us */
void shelf_init(struct shelf *shelf);
/** shelf_store() - takes @fd over, in the place of what has that name */
void shelf_store(struct shelf *shelf, const char *name, const char *path, int fd);
void shelf_drop(struct shelf *shelf, const char *name);
int shelf_find(struct shelf *shelf, const char *name); /* -1: not there */
/** shelf_hand_over() - all of it to a server that begins */
void shelf_hand_over(const struct shelf *shelf, int socket);
/** shelf_end() - unmount and drop what is left. A server that ended cleanly has left nothing */
void shelf_end(struct shelf *shelf);

/* ---- held.c: the server's side ------------------------------------------------ */

struct held;

/** held_open() - what the keeper at the other end of @fd (taken over) has; -1: there is no keeper
 */
int held_open(int fd, struct held **ret, struct error *err);
void held_free(struct held *held);
/** held_again() - another server stood here before */
bool held_again(const struct held *held);
/** held_take() - the descriptor of that name, now the caller's; -1: there is none */
int held_take(void *held, const char *name);
/** held_keep() - store a copy of @fd; -1: drop. Any thread; without a keeper nothing is done */
void held_keep(void *held, const char *name, int fd, const char *path);
/** held_rest() - what nobody has taken is dropped */
void held_rest(struct held *held);
void held_ready(struct held *held);
/** held_fd() - for poll; -1: no keeper. Then held_next(): KEEPER_LEAVE, 0: nothing, -EPIPE: the
 * keeper is gone */
int held_fd(const struct held *held);
int held_next(struct held *held);

/* ---- systemd.c: its protocols ---------------------------------------------------- */

/** systemd_tell() - one datagram to NOTIFY_SOCKET, if there is one; @fd -1: none goes with it */
void systemd_tell(const char *state, int fd);
/** systemd_stores() - it keeps descriptors over our death */
bool systemd_stores(void);
/** systemd_given() - how many it gave us, from descriptor 3 on; *ret_names: "a:b:…", borrowed.
 * Forgotten by the environment afterwards */
int systemd_given(const char **ret_names);
