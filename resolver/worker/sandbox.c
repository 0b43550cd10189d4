/* SPDX-License-Identifier: MIT */
/* resolver/worker/sandbox.c: limits, paths and system calls of a worker.
 *
 * Looking at a file (stat) cannot be forbidden; opening, changing and connecting are. Where a local
 * source lies its user says, so what is below it comes from the opener (opener.h). */
#include "resolver/worker/sandbox.h"

#include "resolver/worker/worker.h"

#include <fcntl.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define FILE_BYTES_MAX (UINT64_C(16) << 30)
#define FILES_MAX 4096
#define NICE 10		     /* where the kernel does not let it be idle */
#define SOCKET_TYPE_MASK 0xf /* what remains of a socket's type without its flags */

/* younger than the headers of some systems */
#define ACCESS_REFER (UINT64_C(1) << 13)    /* Landlock 2 */
#define ACCESS_TRUNCATE (UINT64_C(1) << 14) /* Landlock 3 */
#define ACCESS_NET_BIND (UINT64_C(1) << 0)  /* Landlock 4, as the next */
#define ACCESS_NET_CONNECT (UINT64_C(1) << 1)
#define RULE_NET_PORT 2
#define ACCESS_IOCTL_DEV (UINT64_C(1) << 15) /* Landlock 5 */
#define SCOPE_UNIX_SOCKET (UINT64_C(1) << 0) /* Landlock 6, as the next */
#define SCOPE_SIGNAL (UINT64_C(1) << 1)
#define PRCTL_SET_VMA 0x53564d41 /* Linux 5.17 */

#ifndef SYS_mount_setattr
#define SYS_mount_setattr 442
#endif
#ifndef SYS_process_mrelease
#define SYS_process_mrelease 448
#endif

/* For name resolution, TLS and librpm; what is not there is left out. No directory that keys are
 * kept in. */
static const char *const system_files[] = {
	"/etc/resolv.conf",
	"/etc/hosts",
	"/etc/host.conf",
	"/etc/nsswitch.conf",
	"/etc/gai.conf",
	"/etc/services",
	"/etc/protocols",
	"/etc/localtime",
	"/etc/ssl/certs",
	"/etc/ssl/cert.pem",
	"/etc/ssl/openssl.cnf",
	"/etc/pki/ca-trust",
	"/etc/pki/tls/certs",
	"/etc/pki/tls/cert.pem",
	"/etc/pki/tls/openssl.cnf",
	"/etc/ca-certificates",
	"/etc/crypto-policies",
	"/etc/rpm",
	"/usr",
	"/lib",
	"/lib64",
	"/run/systemd/resolve",
	"/run/NetworkManager",
	"/sys/devices/system/cpu",
	"/dev/urandom",
	"/dev/null",
	"/proc/self",
};

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
	if (r == 0)
		r = limit(RLIMIT_NOFILE, FILES_MAX, err);
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

/* struct rules - as the kernel wants them; a shorter one is what older versions know */
struct rules {
	uint64_t files, network, scoped;
};

static long landlock_version(void)
{
	return syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
}

static uint64_t writes_of(long version)
{
	return LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR |
	       LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_DIR |
	       LANDLOCK_ACCESS_FS_MAKE_REG | (version >= 2 ? ACCESS_REFER : 0) |
	       (version >= 3 ? ACCESS_TRUNCATE : 0);
}

static int make_ruleset(const struct sandbox *sandbox, long version, struct error *err)
{
	struct rules rules = { .files = writes_of(version) | LANDLOCK_ACCESS_FS_EXECUTE |
					LANDLOCK_ACCESS_FS_MAKE_CHAR |
					LANDLOCK_ACCESS_FS_MAKE_SOCK |
					LANDLOCK_ACCESS_FS_MAKE_FIFO |
					LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_MAKE_SYM,
			       .network = ACCESS_NET_BIND,
			       .scoped = SCOPE_UNIX_SOCKET | SCOPE_SIGNAL };
	size_t size = version >= 6   ? sizeof(rules)
		      : version >= 4 ? offsetof(struct rules, scoped)
				     : offsetof(struct rules, network);
	int fd;

	if (sandbox->readable)
		rules.files |= READS;
	if (version >= 5)
		rules.files |= ACCESS_IOCTL_DEV;
	if (!sandbox->network || (sandbox->ports && sandbox->ports->count))
		rules.network |= ACCESS_NET_CONNECT;
	fd = (int)syscall(SYS_landlock_create_ruleset, &rules, size, 0);
	return fd < 0 ? error_errno(err, -errno, "cannot make a Landlock ruleset") : fd;
}

static int allow_ports(int ruleset, const struct sandbox *sandbox, struct error *err)
{
	const struct sandbox_ports *ports = sandbox->network ? sandbox->ports : NULL;

	for (size_t i = 0; ports && i < ports->count; i++) {
		uint64_t port[] = { ACCESS_NET_CONNECT, ports->item[i] };

		if (syscall(SYS_landlock_add_rule, ruleset, RULE_NET_PORT, port, 0) < 0)
			return error_errno(err, -errno, "cannot add a Landlock rule");
	}
	return 0;
}

static int allow_paths(int ruleset, const struct sandbox *sandbox, uint64_t writes,
		       struct error *err)
{
	int r = 0;

	if (sandbox->readable)
		writes |= READS;
	for (size_t i = 0; i < sandbox->writable_count && r == 0; i++)
		r = allow(ruleset, sandbox->writable[i], writes, err);
	for (size_t i = 0; sandbox->readable && i < sandbox->visible_count && r == 0; i++)
		r = allow(ruleset, sandbox->visible[i], READS, err);
	for (size_t i = 0; sandbox->readable && i < sandbox->readable->count && r == 0; i++)
		r = allow_reading(ruleset, sandbox->readable->item[i], err);
	return r;
}

static int restrict_paths(const struct sandbox *sandbox, struct error *err)
{
	long version = landlock_version();
	_cleanup_(closep) int ruleset = -1;
	int r;

	if (version < 1)
		return 0; /* not in this kernel, or switched off */
	ruleset = r = make_ruleset(sandbox, version, err);
	if (r >= 0)
		r = allow_paths(ruleset, sandbox, writes_of(version), err);
	if (r == 0 && version >= 4)
		r = allow_ports(ruleset, sandbox, err);
	if (r < 0)
		return r;
	if (syscall(SYS_landlock_restrict_self, ruleset, 0) < 0)
		return error_errno(err, -errno, "cannot enter Landlock");
	return 0;
}

int worker_system_files(struct strings *ret)
{
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(system_files) && r == 0; i++)
		r = strings_add(ret, system_files[i]);
	return r;
}

/* ---- capabilities -------------------------------------------------------- */

static int keep_capabilities(uint64_t keep, struct error *err)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];

	if (syscall(SYS_capget, &header, data) < 0)
		return error_errno(err, -errno, "cannot read the capabilities");
	for (size_t i = 0; i < ARRAY_SIZE(data); i++) {
		data[i].permitted &= (uint32_t)(keep >> 32 * i);
		data[i].effective &= data[i].permitted;
		data[i].inheritable = 0;
	}
	if (syscall(SYS_capset, &header, data) < 0)
		return error_errno(err, -errno, "cannot give up capabilities");
	return 0;
}

/* ---- system calls ------------------------------------------------------ */

#if defined(__x86_64__)
#define FILTER_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define FILTER_ARCH AUDIT_ARCH_AARCH64
#endif
/* The last call that the list below was held against (Linux 5.17). What is younger, and the x32
 * forms of all, is not there: libc does without. */
#define CALL_LAST 450

#ifdef FILTER_ARCH
static const int denied[] = {
	/* programs and other processes */
	SYS_execve,
	SYS_execveat,
	SYS_ptrace,
	SYS_process_vm_readv,
	SYS_process_vm_writev,
	SYS_process_madvise,
	SYS_process_mrelease,
	SYS_kcmp,
	SYS_kill,
	SYS_tkill,
	SYS_rt_sigqueueinfo,
	SYS_rt_tgsigqueueinfo,
	SYS_pidfd_open,
	SYS_pidfd_send_signal,
	SYS_pidfd_getfd,
	SYS_sched_setscheduler,
	SYS_sched_setparam,
	SYS_sched_setattr,
	SYS_sched_setaffinity,
	SYS_setpriority,
	SYS_ioprio_set,
	SYS_migrate_pages,
	SYS_move_pages,
	SYS_shmget,
	SYS_shmat,
	SYS_msgget,
	SYS_semget,
	SYS_mq_open,
	/* the network, less what @network allows; the pipe is open already */
	SYS_socket,
	SYS_socketpair,
	SYS_connect,
	SYS_bind,
	SYS_listen,
	SYS_accept,
	SYS_accept4,
	/* files of the same owner: Landlock knows nothing of these */
	SYS_fchmod,
	SYS_fchmodat,
	SYS_fchown,
	SYS_fchownat,
	SYS_setxattr,
	SYS_lsetxattr,
	SYS_fsetxattr,
	SYS_removexattr,
	SYS_lremovexattr,
	SYS_fremovexattr,
#ifdef SYS_chmod
	SYS_chmod,
	SYS_chown,
	SYS_lchown,
	SYS_utime,
	SYS_utimes,
	SYS_futimesat,
#endif
	SYS_inotify_add_watch,
	SYS_fanotify_mark,
	SYS_sync,
	SYS_syncfs,
	/* the view of the file system */
	SYS_mount,
	SYS_umount2,
	SYS_pivot_root,
	SYS_chroot,
	SYS_unshare,
	SYS_setns,
	SYS_move_mount,
	SYS_mount_setattr,
	SYS_open_tree,
	SYS_fsopen,
	SYS_fsconfig,
	SYS_fsmount,
	SYS_fspick,
	SYS_open_by_handle_at,
	SYS_quotactl,
	SYS_fanotify_init,
	/* large parts of the kernel that nothing here needs */
	SYS_bpf,
	SYS_perf_event_open,
	SYS_userfaultfd,
	SYS_io_uring_setup,
	SYS_io_uring_enter,
	SYS_io_uring_register,
	SYS_keyctl,
	SYS_add_key,
	SYS_request_key,
	SYS_init_module,
	SYS_finit_module,
	SYS_delete_module,
	SYS_kexec_load,
	SYS_kexec_file_load,
	SYS_reboot,
	SYS_swapon,
	SYS_swapoff,
	SYS_acct,
	SYS_syslog,
	SYS_settimeofday,
	SYS_clock_settime,
	SYS_adjtimex,
	SYS_clock_adjtime,
	SYS_sethostname,
	SYS_setdomainname,
#ifdef SYS_fork
	SYS_fork,
	SYS_vfork,
#endif
#ifdef SYS_iopl
	SYS_iopl,
	SYS_ioperm,
#endif
};

#define LOAD(member) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, member))
#define LOAD_HIGH(member) /* the upper half: both architectures are little-endian */               \
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, member) + sizeof(uint32_t))
#define EQUAL(value, yes, no) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (value), (yes), (no))
#define ANSWER(code) BPF_STMT(BPF_RET | BPF_K, (code))

/* Threads, but no processes; and no signals and limits but its own. The first instruction has the
 * number of the call loaded, and so has the one behind the last. clone3(2) hides its flags from
 * us: libc takes the older one when it is not there. */
static const struct sock_filter own_calls[] = {
	EQUAL(SYS_clone3, 0, 1),
	ANSWER(SECCOMP_RET_ERRNO | ENOSYS),
	EQUAL(SYS_clone, 0, 4),
	LOAD(args[0]),
	BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, CLONE_THREAD, 0, 1),
	ANSWER(SECCOMP_RET_ALLOW),
	ANSWER(SECCOMP_RET_ERRNO | EPERM),
	EQUAL(SYS_tgkill, 1, 0),
	EQUAL(SYS_prlimit64, 0, 5),
	LOAD(args[0]),
	EQUAL(0 /* the pid */, 2, 0),
	EQUAL(0, 1, 0), /* for prlimit: this process */
	ANSWER(SECCOMP_RET_ERRNO | EPERM),
	ANSWER(SECCOMP_RET_ALLOW),
};
#define OWN_PID 10 /* of these, the one that knows the pid */

/* Of these calls what one argument says, nothing else */
static const struct choice {
	int call, argument, error;
	uint32_t values[8];
	size_t count;
} choices[] = {
	/* no leases, no signals, no seals, no locks */
	{ SYS_fcntl,
	  1,
	  EPERM,
	  { F_DUPFD, F_DUPFD_CLOEXEC, F_GETFD, F_SETFD, F_GETFL, F_SETFL },
	  6 },
	/* what name servers are read with, and whether something is a terminal */
	{ SYS_ioctl, 1, ENOTTY, { FIONREAD, FIONBIO, TCGETS }, 3 },
	/* names of threads and of memory */
	{ SYS_prctl, 0, EPERM, { PR_SET_NAME, PR_GET_NAME, PRCTL_SET_VMA, PR_CAPBSET_READ }, 4 },
};
#define CHOICE_LENGTH (ARRAY_SIZE(choices[0].values) + 4)

/* Flags of a file but the one that has signals sent, and of times only "now" of what is open. The
 * first instruction has the number of the call loaded, and so has the one behind the last. */
static const struct sock_filter file_calls[] = {
	EQUAL(SYS_fcntl, 0, 7),
	LOAD(args[1]),
	EQUAL(F_SETFL, 0, 4),
	LOAD(args[2]),
	BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, O_ASYNC, 0, 1),
	ANSWER(SECCOMP_RET_ERRNO | EPERM),
	ANSWER(SECCOMP_RET_ALLOW),
	LOAD(nr),
	EQUAL(SYS_utimensat, 0, 10),
	LOAD(args[1]), /* the path */
	EQUAL(0, 0, 6),
	LOAD_HIGH(args[1]),
	EQUAL(0, 0, 4),
	LOAD(args[2]), /* the times */
	EQUAL(0, 0, 2),
	LOAD_HIGH(args[2]),
	EQUAL(0, 1, 0),
	ANSWER(SECCOMP_RET_ERRNO | EPERM),
	ANSWER(SECCOMP_RET_ALLOW),
};

/* With the network: connections that go out, TCP and what asks name servers. socketpair(2) is how
 * libcurl wakes its own threads; a pair of datagrams could be sent to anybody's socket. The first
 * instruction has the number of the call loaded. */
static const struct sock_filter network_calls[] = {
	EQUAL(SYS_connect, 0, 1),
	ANSWER(SECCOMP_RET_ALLOW),
	EQUAL(SYS_socketpair, 0, 7),
	LOAD(args[0]),
	EQUAL(AF_UNIX, 0, 3),
	LOAD(args[1]),
	BPF_STMT(BPF_ALU | BPF_AND | BPF_K, SOCKET_TYPE_MASK),
	EQUAL(SOCK_STREAM, 1, 0),
	ANSWER(SECCOMP_RET_ERRNO | EPERM),
	ANSWER(SECCOMP_RET_ALLOW),
	EQUAL(SYS_socket, 0, 13), /* else behind the last one */
	LOAD(args[0]),
	EQUAL(AF_INET, 1, 0),
	EQUAL(AF_INET6, 0, 9),
	LOAD(args[1]),
	BPF_STMT(BPF_ALU | BPF_AND | BPF_K, SOCKET_TYPE_MASK),
	EQUAL(SOCK_STREAM, 1, 0),
	EQUAL(SOCK_DGRAM, 0, 5),
	LOAD(args[2]),
	EQUAL(0, 2, 0),
	EQUAL(IPPROTO_TCP, 1, 0),
	EQUAL(IPPROTO_UDP, 0, 1),
	ANSWER(SECCOMP_RET_ALLOW),
	ANSWER(SECCOMP_RET_ERRNO | EPERM),
};

/* The number of the call is loaded before and behind it. How many instructions */
static size_t put_choice(struct sock_filter *filter, const struct choice *choice)
{
	uint8_t count = (uint8_t)choice->count;
	size_t n = 0;

	filter[n++] = (struct sock_filter)EQUAL((uint32_t)choice->call, 0, (uint8_t)(count + 3));
	filter[n] = (struct sock_filter)LOAD(args[0]);
	filter[n++].k += (uint32_t)(choice->argument * (int)sizeof(uint64_t));
	for (uint8_t i = 0; i < count; i++)
		filter[n++] = (struct sock_filter)EQUAL(choice->values[i], (uint8_t)(count - i), 0);
	filter[n++] = (struct sock_filter)ANSWER(SECCOMP_RET_ERRNO | (uint32_t)choice->error);
	filter[n++] = (struct sock_filter)ANSWER(SECCOMP_RET_ALLOW);
	return n;
}

static int restrict_calls(bool network, struct error *err)
{
	struct sock_filter filter[ARRAY_SIZE(denied) + ARRAY_SIZE(own_calls) +
				  ARRAY_SIZE(file_calls) + ARRAY_SIZE(choices) * CHOICE_LENGTH +
				  ARRAY_SIZE(network_calls) + 8];
	struct sock_fprog program = { .filter = filter };
	size_t allowed = network ? ARRAY_SIZE(network_calls) : 0;
	size_t n = 0;

	filter[n++] = (struct sock_filter)LOAD(arch);
	filter[n++] = (struct sock_filter)EQUAL(FILTER_ARCH, 1, 0);
	filter[n++] = (struct sock_filter)ANSWER(SECCOMP_RET_KILL_PROCESS);
	filter[n++] = (struct sock_filter)LOAD(nr);
	filter[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, CALL_LAST, 0, 1);
	filter[n++] = (struct sock_filter)ANSWER(SECCOMP_RET_ERRNO | ENOSYS);
	memcpy(filter + n, own_calls, sizeof(own_calls));
	filter[n + OWN_PID].k = (uint32_t)getpid();
	n += ARRAY_SIZE(own_calls);
	memcpy(filter + n, file_calls, sizeof(file_calls));
	n += ARRAY_SIZE(file_calls);
	for (size_t i = 0; i < ARRAY_SIZE(choices); i++)
		n += put_choice(filter + n, &choices[i]);
	memcpy(filter + n, network_calls, allowed * sizeof(*filter));
	n += allowed;
	for (size_t i = 0; i < ARRAY_SIZE(denied); i++)
		filter[n++] = (struct sock_filter)EQUAL((uint32_t)denied[i],
							(uint8_t)(ARRAY_SIZE(denied) - i), 0);
	filter[n++] = (struct sock_filter)ANSWER(SECCOMP_RET_ALLOW);
	filter[n++] = (struct sock_filter)ANSWER(SECCOMP_RET_ERRNO | EPERM);
	program.len = (unsigned short)n;
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0 && errno != EINVAL)
		return error_errno(err, -errno, "cannot set a filter for system calls");
	return 0;
}

static bool can_restrict_calls(void)
{
	return prctl(PR_GET_SECCOMP) >= 0;
}
#else
static int restrict_calls(bool network, struct error *err)
{
	(void)network;
	(void)err;
	return 0;
}

static bool can_restrict_calls(void)
{
	return false;
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
		r = keep_capabilities(sandbox->capabilities, err);
	if (r == 0)
		r = restrict_paths(sandbox, err);
	if (r == 0 && !SANITIZED)
		r = restrict_calls(sandbox->network, err);
	return r;
}

int worker_missing(struct text *ret)
{
	static const struct {
		long version;
		const char *words;
	} parts[] = {
		{ 1, "opening and changing files that are not theirs (Landlock)" },
		{ 3, "truncating files (Landlock 3)" },
		{ 4, "connecting to any TCP port (Landlock 4)" },
	};
	long version = landlock_version();

	for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
		if (version < parts[i].version)
			(void)text_addf(ret, "%s%s", ret->length ? ", " : "", parts[i].words);
	if (SANITIZED || !can_restrict_calls())
		(void)text_addf(ret, "%ssystem calls (%s)", ret->length ? ", " : "",
				SANITIZED ? "a build with sanitizers" : "seccomp");
	return ret->failed ? -ENOMEM : 0;
}
