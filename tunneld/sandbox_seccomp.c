/* SPDX-License-Identifier: ISC */

/* sandbox_seccomp.c: which system calls a role may make (Linux). */

#include "compat.h"

#if HAVE_SECCOMP

#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <linux/sockios.h>

#include <netinet/in.h>
#include <netinet/tcp.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "log.h"
#include "sandbox.h"
#include "sandbox_seccomp.h"

#if defined(__x86_64__)
#define SECCOMP_ARCH	AUDIT_ARCH_X86_64
#define X32_BIT		0x40000000U	/* calls of the x32 ABI */
#elif defined(__aarch64__)
#define SECCOMP_ARCH	AUDIT_ARCH_AARCH64
#else
#error "sandbox_seccomp.c knows x86_64 and aarch64 only"
#endif

/* The leak checker of sanitizer builds does not survive a filter. */
#ifdef TUNNELD_NO_SECCOMP
#define LEFT_OUT	true
#else
#define LEFT_OUT	false
#endif

#define INSNS_MAX	1024

/*
 * The tables.  A call that stands in none of them, or whose argument is not
 * as its row says, ends the process.  A row may stand in several tables: the
 * first one decides.
 */
#define ALLOW(call)	{ __NR_##call, SC_ALLOW, 0, 0, NULL }
#define LIST(call, op, arg, list)					\
	{ __NR_##call, op, arg, nitems(list), list }
#define KILL(call)	{ __NR_##call, SC_KILL, 0, 0, NULL }

static const uint32_t prot_exec[] = { PROT_EXEC };
static const uint32_t sigabrt[] = { SIGABRT };

/* What every event makes, first: the filter is walked from its top. */
static const struct sc_rule sc_hot[] = {
#ifdef __NR_epoll_wait
	ALLOW(epoll_wait),
#endif
	ALLOW(epoll_pwait),
	ALLOW(read),
	ALLOW(readv),
	ALLOW(write),
	ALLOW(writev),
	ALLOW(recvmsg),
	ALLOW(recvfrom),
	ALLOW(epoll_ctl),
	ALLOW(close),
	ALLOW(clock_gettime),
};

static const struct sc_rule sc_common[] = {
	ALLOW(brk),
	LIST(mmap, SC_NOBITS, 2, prot_exec),
	LIST(mprotect, SC_NOBITS, 2, prot_exec),
	ALLOW(mremap),
	ALLOW(munmap),
	ALLOW(madvise),
	ALLOW(getpid),
	ALLOW(gettid),
	ALLOW(getuid),
	ALLOW(geteuid),
	ALLOW(getgid),
	ALLOW(getegid),
	ALLOW(getrandom),
	ALLOW(futex),
	ALLOW(gettimeofday),
	ALLOW(getsockopt),
	ALLOW(getsockname),
	ALLOW(getpeername),
	ALLOW(fstat),
#ifdef __NR_poll
	ALLOW(poll),
#endif
	ALLOW(ppoll),
#ifdef __NR_epoll_pwait2
	ALLOW(epoll_pwait2),
#endif
	ALLOW(rt_sigprocmask),
	LIST(rt_sigaction, SC_ONEOF, 0, sigabrt),	/* abort(3) */
	ALLOW(rt_sigreturn),
	ALLOW(restart_syscall),
	{ __NR_tgkill, SC_SELF, 0, 0, NULL },		/* abort(3) */
	{ __NR_prlimit64, SC_ZERO, 2, 0, NULL },	/* getrlimit(2) */
	ALLOW(exit),
	ALLOW(exit_group),
	/* The worst are not worth a handler. */
	KILL(execve),
	KILL(execveat),
	KILL(clone),
#ifdef __NR_clone3
	KILL(clone3),
#endif
#ifdef __NR_fork
	KILL(fork),
	KILL(vfork),
#endif
	KILL(ptrace),
	KILL(process_vm_readv),
	KILL(process_vm_writev),
	KILL(setuid),
	KILL(setresuid),
	KILL(bpf),
	KILL(userfaultfd),
	KILL(perf_event_open),
#ifdef __NR_io_uring_setup
	KILL(io_uring_setup),
#endif
};

/*
 * Options of connected sockets.  SO_REUSEPORT, SO_ATTACH_FILTER and the like
 * would act on a listener that all relays share.
 */
#define STREAM_OPTIONS							\
	SOL_SOCKET, SO_KEEPALIVE,					\
	IPPROTO_TCP, TCP_NODELAY,					\
	IPPROTO_TCP, TCP_KEEPIDLE,					\
	IPPROTO_TCP, TCP_KEEPINTVL,					\
	IPPROTO_TCP, TCP_KEEPCNT
#define PAIRS(call, arg, list)						\
	{ __NR_##call, SC_PAIRS, arg, nitems(list) / 2, list }

static const uint32_t queue_sizes[] = { FIONREAD, SIOCOUTQ };

/*
 * No sendmsg(2) but for the dialer, whose work is to pass sockets: close(2)
 * of a descriptor that somebody passed us may block as long as SO_LINGER
 * says, which the dialer in turn cannot set.
 */

/*
 * Relay.  F_SETFL and other shutdowns than SHUT_WR are not there because a
 * shared listener would feel them.
 */
static const uint32_t relay_fcntl[] = { F_GETFL, F_GETFD };
static const uint32_t shut_wr[] = { SHUT_WR };
/* All bits but those of splice.c: no gift of pages (SPLICE_F_GIFT). */
static const uint32_t splice_others[] = { ~(uint32_t)(SPLICE_F_MOVE |
	SPLICE_F_NONBLOCK | SPLICE_F_MORE) };
static const uint32_t relay_options[] = { STREAM_OPTIONS,
	SOL_SOCKET, SO_LINGER };
static const struct sc_rule sc_relay[] = {
	ALLOW(accept4),
	ALLOW(sendto),
	LIST(splice, SC_NOBITS, 5, splice_others),
	LIST(shutdown, SC_ONEOF, 1, shut_wr),
	PAIRS(setsockopt, 1, relay_options),
	LIST(ioctl, SC_ONEOF, 1, queue_sizes),
	LIST(fcntl, SC_ONEOF, 1, relay_fcntl),
};

/*
 * Dialer.  c-ares was told all it may know before this: it opens no file any
 * more, and an attempt to is a violation like any other.
 */
static const uint32_t dialer_fcntl[] = { F_GETFL, F_GETFD, F_SETFL, F_SETFD };
static const uint32_t dialer_families[] = { AF_INET, AF_INET6, AF_UNIX };
static const uint32_t dialer_options[] = { STREAM_OPTIONS };
static const uint32_t nonblock[] = { FIONREAD, SIOCOUTQ, FIONBIO };
static const struct sc_rule sc_dialer[] = {
	LIST(socket, SC_ONEOF, 0, dialer_families),
	ALLOW(connect),
	ALLOW(sendto),
	ALLOW(sendmsg),
	PAIRS(setsockopt, 1, dialer_options),
	LIST(ioctl, SC_ONEOF, 1, nonblock),
	LIST(fcntl, SC_ONEOF, 1, dialer_fcntl),
};

/* Control: its socket's clients, and writing to files it was given. */
static const uint32_t control_fcntl[] = { F_GETFL, F_GETFD, F_SETFL,
	F_SETFD };
static const struct sc_rule sc_control[] = {
	ALLOW(accept4),
	ALLOW(sendto),
	ALLOW(lseek),
	LIST(ioctl, SC_ONEOF, 1, queue_sizes),
	LIST(fcntl, SC_ONEOF, 1, control_fcntl),
};

#ifdef TUNNELD_ASAN
#include "sandbox_asan.h"
#endif

struct program {
	struct sock_filter	 insn[INSNS_MAX];
	unsigned short		 len;
};

static void
put(struct program *p, uint16_t code, uint32_t k, unsigned jt, unsigned jf)
{
	if (p->len == INSNS_MAX || jt > UINT8_MAX || jf > UINT8_MAX)
		fatalx("seccomp: filter too long");
	p->insn[p->len].code = code;
	p->insn[p->len].jt = (uint8_t)jt;
	p->insn[p->len].jf = (uint8_t)jf;
	p->insn[p->len].k = k;
	p->len++;
}

#define LOAD		(BPF_LD | BPF_W | BPF_ABS)
#define IF_EQUAL	(BPF_JMP | BPF_JEQ | BPF_K)
#define IF_BITS		(BPF_JMP | BPF_JSET | BPF_K)
#define RETURN		(BPF_RET | BPF_K)
#define FIELD(f)	((uint32_t)offsetof(struct seccomp_data, f))
/* Both machines are little-endian: the low half comes first. */
#define ARG_LOW(n)	(FIELD(args) + 8 * (n))
#define ARG_HIGH(n)	(ARG_LOW(n) + 4)

/*
 * The test of a rule's argument: falls through when it fails, jumps over one
 * instruction when it holds.
 */
static void
emit_test(struct program *p, const struct sc_rule *r)
{
	unsigned	 i;

	switch (r->op) {
	case SC_ONEOF:
		put(p, LOAD, ARG_LOW(r->arg), 0, 0);
		for (i = 0; i < r->n; i++)
			put(p, IF_EQUAL, r->v[i], r->n - i, 0);
		break;
	case SC_NOBITS:
		put(p, LOAD, ARG_LOW(r->arg), 0, 0);
		put(p, IF_BITS, r->v[0], 0, 1);
		break;
	case SC_PAIRS:
		for (i = 0; i < r->n; i++) {
			put(p, LOAD, ARG_LOW(r->arg), 0, 0);
			put(p, IF_EQUAL, r->v[2 * i], 0, 2);
			put(p, LOAD, ARG_LOW(r->arg + 1), 0, 0);
			put(p, IF_EQUAL, r->v[2 * i + 1],
			    4 * (r->n - i - 1) + 1, 0);
		}
		break;
	case SC_ZERO:
		put(p, LOAD, ARG_HIGH(r->arg), 0, 0);
		put(p, IF_EQUAL, 0, 0, 2);
		put(p, LOAD, ARG_LOW(r->arg), 0, 0);
		put(p, IF_EQUAL, 0, 1, 0);
		break;
	case SC_SELF:
		put(p, LOAD, ARG_LOW(r->arg), 0, 0);
		put(p, IF_EQUAL, (uint32_t)getpid(), 1, 0);
		break;
	default:
		fatalx("seccomp: no such test");
	}
}

/*
 * One row: the accumulator holds the number of the call before and, when the
 * row is not about this call, after it.
 */
static void
emit_rule(struct program *p, const struct sc_rule *r)
{
	unsigned short	 jump = p->len;

	put(p, IF_EQUAL, (uint32_t)r->nr, 0, 0);
	switch (r->op) {
	case SC_ALLOW:
		put(p, RETURN, SECCOMP_RET_ALLOW, 0, 0);
		break;
	case SC_KILL:
		put(p, RETURN, SECCOMP_RET_KILL_PROCESS, 0, 0);
		break;
	case SC_ERRNO:
		put(p, RETURN, SECCOMP_RET_ERRNO |
		    (r->v[0] & SECCOMP_RET_DATA), 0, 0);
		break;
	default:
		emit_test(p, r);
		put(p, RETURN, SECCOMP_RET_TRAP, 0, 0);
		put(p, RETURN, SECCOMP_RET_ALLOW, 0, 0);
		break;
	}
	if (p->len - jump - 1 > UINT8_MAX)
		fatalx("seccomp: rule too long");
	p->insn[jump].jf = (uint8_t)(p->len - jump - 1);
}

static void
emit_rules(struct program *p, const struct sc_rule *r, size_t n)
{
	size_t	 i;

	for (i = 0; i < n; i++)
		emit_rule(p, &r[i]);
}

static void
emit_role(struct program *p, enum role role)
{
	switch (role) {
	case ROLE_RELAY:
		emit_rules(p, sc_relay, nitems(sc_relay));
		break;
	case ROLE_DIALER:
		emit_rules(p, sc_dialer, nitems(sc_dialer));
		break;
	case ROLE_CONTROL:
		emit_rules(p, sc_control, nitems(sc_control));
		break;
	default:
		fatalx("seccomp: no filter for %s", role_name(role));
	}
}

/*
 * The last words: only calls that are async-signal-safe and in sc_hot or
 * sc_common.  Then the death that the kernel would have given us: by
 * SA_RESETHAND the signal has its default action again.
 */
static void
violation(int sig, siginfo_t *si, void *context)
{
	struct violation	 v;

	v.magic = VIOLATION_MAGIC;
	v.nr = (uint32_t)si->si_syscall;
	if (write(VIOLATION_FD, &v, sizeof(v)) == -1)
		v.nr = 0;	/* the parent sees the signal still */
	(void)syscall(__NR_tgkill, getpid(), (int)syscall(__NR_gettid),
	    SIGSYS);
	_exit(1);
}

static void
emit_all(struct program *p, enum role role)
{
	put(p, LOAD, FIELD(arch), 0, 0);
	put(p, IF_EQUAL, SECCOMP_ARCH, 1, 0);
	put(p, RETURN, SECCOMP_RET_KILL_PROCESS, 0, 0);
	put(p, LOAD, FIELD(nr), 0, 0);
#ifdef X32_BIT
	put(p, BPF_JMP | BPF_JGE | BPF_K, X32_BIT, 0, 1);
	put(p, RETURN, SECCOMP_RET_KILL_PROCESS, 0, 0);
#endif
	emit_rules(p, sc_hot, nitems(sc_hot));
	emit_role(p, role);
#ifdef TUNNELD_ASAN
	emit_rules(p, sc_asan, nitems(sc_asan));
#endif
	emit_rules(p, sc_common, nitems(sc_common));
	put(p, RETURN, SECCOMP_RET_TRAP, 0, 0);
}

#ifdef TUNNELD_ASAN
static int	 entered;

/*
 * Asked by the sanitizers' library at exit.  The search for leaks needs
 * clone(2) and ptrace(2): it is made in a run without a filter.
 */
int		 __lsan_is_turned_off(void);
int
__lsan_is_turned_off(void)
{
	return (entered);
}
#endif

bool
seccomp_enter(enum role role)
{
	static struct program	 p;
	struct sock_fprog	 prog;
	struct sigaction	 sa;

	if (LEFT_OUT) {
		log_warnx("built without a sandbox: the %s is not confined",
		    role_name(role));
		return (false);
	}
	memset(&sa, 0, sizeof(sa));
	sigemptyset(&sa.sa_mask);
	sa.sa_sigaction = violation;
	sa.sa_flags = SA_SIGINFO | SA_NODEFER | SA_RESETHAND;
	if (sigaction(SIGSYS, &sa, NULL) == -1)
		fatal("seccomp: sigaction");

	p.len = 0;
	emit_all(&p, role);
	prog.len = p.len;
	prog.filter = p.insn;
	if (syscall(__NR_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog) == -1)
		fatal("seccomp");
#ifdef TUNNELD_ASAN
	entered = 1;
#endif
	return (true);
}

#endif /* HAVE_SECCOMP */
