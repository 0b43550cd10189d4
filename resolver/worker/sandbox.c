/* SPDX-License-Identifier: MIT */
/* resolver/worker/sandbox.c: limits, paths and system calls of a worker.
 *
 * What one that makes composes may read stays as it is: a local source lies wherever its user says,
 * and the transport opens it with that user's rights. */
#include "resolver/worker/sandbox.h"

#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define FILE_BYTES_MAX (UINT64_C(16) << 30)
#define NICE 10		     /* where the kernel does not let it be idle */
#define SOCKET_TYPE_MASK 0xf /* what remains of a socket's type without its flags */

/* younger than the headers of some systems */
#define ACCESS_REFER (UINT64_C(1) << 13)    /* Landlock 2 */
#define ACCESS_TRUNCATE (UINT64_C(1) << 14) /* Landlock 3 */

/* Sanitizers reserve address space, and look at the process from outside when it ends. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

static int limit(int resource, uint64_t most, struct error *err)
{
	struct rlimit now;

	if (getrlimit((__rlimit_resource_t)resource, &now) < 0)
		return error_errno(err, -errno, "cannot read a limit");
	if (now.rlim_max < most)
		most = now.rlim_max;
	now = (struct rlimit){ .rlim_cur = most, .rlim_max = most };
	if (setrlimit((__rlimit_resource_t)resource, &now) < 0)
		return error_errno(err, -errno, "cannot set a limit");
	return 0;
}

static int limit_all(uint64_t memory_bytes, struct error *err)
{
	int r = limit(RLIMIT_CORE, 0, err);

	if (r == 0)
		r = limit(RLIMIT_FSIZE, FILE_BYTES_MAX, err);
	if (r == 0 && memory_bytes && !SANITIZED)
		r = limit(RLIMIT_DATA, memory_bytes, err);
	return r;
}

int sandbox_limit_cpu(int64_t seconds, struct error *err)
{
	struct rlimit now;
	struct rusage used;
	int64_t used_us;

	if (getrusage(RUSAGE_SELF, &used) < 0 || getrlimit(RLIMIT_CPU, &now) < 0)
		return error_errno(err, -errno, "cannot read the processor time");
	used_us = ((int64_t)used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1000000 +
		  used.ru_utime.tv_usec + used.ru_stime.tv_usec;
	now.rlim_cur =
		(rlim_t)(used_us / 1000000 + 1 + seconds); /* up to a second more, not less */
	if (now.rlim_cur > now.rlim_max)
		now.rlim_cur = now.rlim_max;
	if (setrlimit(RLIMIT_CPU, &now) < 0)
		return error_errno(err, -errno, "cannot limit the processor time");
	return 0;
}

/* ---- paths ------------------------------------------------------------- */

struct landlock_path {
	uint64_t allowed;
	int32_t fd;
} __attribute__((packed));

#define READS (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)

static int allow(int ruleset, int fd, uint64_t accesses, struct error *err)
{
	struct landlock_path path = { .allowed = accesses, .fd = fd };

	if (syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &path, 0) < 0)
		return error_errno(err, -errno, "cannot add a Landlock rule");
	return 0;
}

static int allow_reading(int ruleset, const char *name, struct error *err)
{
	_cleanup_(closep) int fd = open(name, O_PATH | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return 0; /* not there */
	return allow(ruleset, fd, S_ISDIR(st.st_mode) ? READS : LANDLOCK_ACCESS_FS_READ_FILE, err);
}

static int restrict_paths(const struct sandbox *sandbox, struct error *err)
{
	uint64_t writes = LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR |
			  LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_DIR |
			  LANDLOCK_ACCESS_FS_MAKE_REG;
	uint64_t handled = writes | LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_MAKE_CHAR |
			   LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO |
			   LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_MAKE_SYM;
	long version =
		syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	_cleanup_(closep) int ruleset = -1;
	int r = 0;

	if (version < 1)
		return 0; /* not in this kernel, or switched off */
	if (version >= 2)
		writes |= ACCESS_REFER;
	if (version >= 3)
		writes |= ACCESS_TRUNCATE;
	if (sandbox->readable)
		writes |= READS;
	handled |= writes;
	/* the first member is all that every version knows */
	ruleset = (int)syscall(SYS_landlock_create_ruleset, &handled, sizeof(handled), 0);
	if (ruleset < 0)
		return error_errno(err, -errno, "cannot make a Landlock ruleset");
	for (size_t i = 0; i < sandbox->writable_count && r == 0; i++)
		r = allow(ruleset, sandbox->writable[i], writes, err);
	for (size_t i = 0; sandbox->readable && i < sandbox->readable->count && r == 0; i++)
		r = allow_reading(ruleset, sandbox->readable->item[i], err);
	if (r < 0)
		return r;
	if (syscall(SYS_landlock_restrict_self, ruleset, 0) < 0)
		return error_errno(err, -errno, "cannot enter Landlock");
	return 0;
}

/* ---- system calls ------------------------------------------------------ */

#if defined(__x86_64__)
#define FILTER_ARCH AUDIT_ARCH_X86_64
#define FILTER_NUMBER_MAX 0x3fffffff /* above it: the x32 forms of the same calls */
#elif defined(__aarch64__)
#define FILTER_ARCH AUDIT_ARCH_AARCH64
#define FILTER_NUMBER_MAX 0x7fffffff
#endif

#ifdef FILTER_ARCH
static const int denied[] = {
	/* programs and other processes */
	SYS_execve,
	SYS_execveat,
	SYS_ptrace,
	SYS_process_vm_readv,
	SYS_process_vm_writev,
	SYS_kill,
	SYS_pidfd_open,
	SYS_pidfd_send_signal,
	SYS_pidfd_getfd,
	/* the network, less what @network allows; the pipe is open already */
	SYS_socket,
	SYS_socketpair,
	SYS_connect,
	SYS_bind,
	SYS_listen,
	SYS_accept,
	SYS_accept4,
	/* the view of the file system */
	SYS_mount,
	SYS_umount2,
	SYS_pivot_root,
	SYS_chroot,
	SYS_unshare,
	SYS_setns,
	SYS_move_mount,
	SYS_open_tree,
	SYS_fsopen,
	SYS_fsmount,
	SYS_open_by_handle_at,
	/* large parts of the kernel that nothing here needs */
	SYS_bpf,
	SYS_perf_event_open,
	SYS_userfaultfd,
	SYS_io_uring_setup,
	SYS_keyctl,
	SYS_add_key,
	SYS_request_key,
	SYS_init_module,
	SYS_finit_module,
	SYS_delete_module,
	SYS_kexec_load,
	SYS_reboot,
	SYS_swapon,
	SYS_swapoff,
	SYS_settimeofday,
	SYS_clock_settime,
	SYS_sethostname,
};

/* With the network: connections that go out, TCP and what asks name servers. socketpair(2) is how
 * libcurl wakes its own threads. The first instruction has the number of the call loaded. */
static const struct sock_filter network_calls[] = {
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_connect, 0, 1),
	BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_socketpair, 0, 1),
	BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 0, 9), /* else behind the last one */
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_INET, 1, 0),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_INET6, 0, 5),
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[1])),
	BPF_STMT(BPF_ALU | BPF_AND | BPF_K, SOCKET_TYPE_MASK),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SOCK_STREAM, 1, 0),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SOCK_DGRAM, 0, 1),
	BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
};

static int restrict_calls(bool network, struct error *err)
{
	struct sock_filter filter[ARRAY_SIZE(denied) + ARRAY_SIZE(network_calls) + 8];
	struct sock_fprog program = { .filter = filter };
	size_t allowed = network ? ARRAY_SIZE(network_calls) : 0;
	size_t n = 0;

	filter[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
						   offsetof(struct seccomp_data, arch));
	filter[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, FILTER_ARCH, 1, 0);
	filter[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
	filter[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
						   offsetof(struct seccomp_data, nr));
	filter[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, FILTER_NUMBER_MAX,
						   (uint8_t)(allowed + ARRAY_SIZE(denied) + 1), 0);
	memcpy(filter + n, network_calls, allowed * sizeof(*filter));
	n += allowed;
	for (size_t i = 0; i < ARRAY_SIZE(denied); i++)
		filter[n++] =
			(struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)denied[i],
						     (uint8_t)(ARRAY_SIZE(denied) - i), 0);
	filter[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	filter[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM);
	program.len = (unsigned short)n;
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0 && errno != EINVAL)
		return error_errno(err, -errno, "cannot set a filter for system calls");
	return 0;
}
#else
static int restrict_calls(bool network, struct error *err)
{
	(void)network;
	(void)err;
	return 0;
}
#endif

/*
 * Who asks goes before what is made: whoever wakes up takes the processor from an idle-class
 * process at once, from any other only when its slice is over (4 ms at 250 Hz). Idle counts within
 * the service's own control group: another unit's load leaves a worker its share. Not for safety,
 * so it may fail.
 */
static void give_way(void)
{
	const struct sched_param none = { 0 };

	if (sched_setscheduler(0, SCHED_IDLE, &none) < 0)
		(void)setpriority(PRIO_PROCESS, 0, NICE);
}

int sandbox_enter(const struct sandbox *sandbox, struct error *err)
{
	_cleanup_(closep) int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	int r;

	if (null < 0 || dup2(null, STDIN_FILENO) < 0)
		return error_errno(err, -errno, "/dev/null");
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return error_errno(err, -errno, "cannot give up privileges");
	(void)signal(SIGPIPE, SIG_IGN);
	(void)signal(SIGXFSZ, SIG_IGN); /* the write fails instead */
	(void)signal(SIGXCPU, SIG_DFL);
	give_way();
	r = limit_all(sandbox->memory_bytes, err);
	if (r == 0)
		r = restrict_paths(sandbox, err);
	if (r == 0 && !SANITIZED)
		r = restrict_calls(sandbox->network, err);
	return r;
}
