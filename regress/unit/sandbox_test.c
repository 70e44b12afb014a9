/* SPDX-License-Identifier: ISC */
/* sandbox_test.c: what each role may and may not do, in forked children. */
/* LINK: tunneld/sandbox_linux.c tunneld/sandbox_seccomp.c tunneld/log.c tunneld/logfmt.c tunneld/util.c tunneld/reason.c tunneld/stats.c lib/addr.c lib/json.c lib/utf8.c lib/visstr.c compat/shm.c compat/fdstat.c */

#include "compat.h"

#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <linux/sockios.h>

#include <netinet/in.h>
#include <netinet/tcp.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "landlock.h"
#include "fdstat.h"
#include "log.h"
#include "sandbox.h"

#define NOBODY		65534

#ifdef TUNNELD_NO_SECCOMP
#define CONFINED	false	/* the leak run */
#else
#define CONFINED	true
#endif

/* Made before the sandbox, used by the attempts inside it. */
static int listener, udp_port, client, pair[2], epfd, zero_pipe[2];
static struct sockaddr_in listen_addr;
static char jail[] = "/tmp/sandbox_test.XXXXXX";

/* What became of a child. */
struct end {
	int		status;
	bool		words;		/* it wrote a violation record */
	uint32_t	nr;
};

/* An attempt returns 0 when all went as it should, or else a line number. */
typedef int attempt(void);

static struct end
run(enum role role, bool jailed, attempt *fn)
{
	struct msg_hello	 hello = { .role = role };
	struct msg_sandbox	 res;
	struct violation	 v;
	struct end		 end = { 0 };
	pid_t			 pid;
	int			 p[2];

	if (pipe2(p, O_CLOEXEC) == -1)
		fail_msg("pipe: %s", strerror(errno));
	if ((pid = fork()) == -1)
		fail_msg("fork: %s", strerror(errno));
	if (pid == 0) {
		if (p[1] != VIOLATION_FD && dup2(p[1], VIOLATION_FD) == -1)
			_exit(2);
		hello.jail_root = jailed;
		hello.uid = hello.gid = NOBODY;
		strlcpy(hello.chroot, jail, sizeof(hello.chroot));
		sandbox_enter(role, &hello, &res);
		if (jailed && (getuid() != NOBODY || geteuid() != NOBODY ||
		    res.chroot != (role != ROLE_DIALER && CONFINED)))
			_exit(3);
		_exit(fn());
	}
	close(p[1]);
	if (waitpid(pid, &end.status, 0) != pid)
		fail_msg("waitpid: %s", strerror(errno));
	if (read(p[0], &v, sizeof(v)) == sizeof(v) &&
	    v.magic == VIOLATION_MAGIC) {
		end.words = true;
		end.nr = v.nr;
	}
	close(p[0]);
	return end;
}

static void
check_allowed(enum role role, attempt *fn)
{
	struct end	 e;
	int		 jailed;

	for (jailed = 0; jailed <= (geteuid() == 0); jailed++) {
		e = run(role, jailed != 0, fn);
		if (e.words)
			fail_msg("%s: killed by call %u", role_name(role),
			    e.nr);
		if (!WIFEXITED(e.status) || WEXITSTATUS(e.status) != 0)
			fail_msg("%s: status %#x (line %d)", role_name(role),
			    (unsigned)e.status, WEXITSTATUS(e.status));
	}
}

#ifndef TUNNELD_NO_SECCOMP
static void
check_forbidden(const char *what, enum role role, attempt *fn, long nr)
{
	struct end	 e = run(role, false, fn);

	if (!WIFSIGNALED(e.status) || WTERMSIG(e.status) != SIGSYS)
		fail_msg("%s: %s was not killed: status %#x", role_name(role),
		    what, (unsigned)e.status);
	if (nr == -1)
		assert_false(e.words);
	else {
		if (!e.words)
			fail_msg("%s: %s left no record", role_name(role),
			    what);
		assert_int_equal(e.nr, nr);
	}
}
#endif

#define MUST(expr)							\
	do {								\
		if (!(expr))						\
			return (__LINE__ % 200 + 20);			\
	} while (0)

/* What all roles do. */
static int
do_common(void)
{
	struct epoll_event	 ev = { .events = EPOLLIN };
	struct pollfd		 pfd = { .fd = pair[0], .events = POLLOUT };
	struct timespec		 ts;
	struct rlimit		 rl;
	struct stat		 st;
	struct iovec		 iov = { .iov_base = &ts, .iov_len = 1 };
	struct msghdr		 mh = { .msg_iov = &iov, .msg_iovlen = 1 };
	char			*p, buf[8];
	int			 i, on;
	socklen_t		 len = sizeof(on);

	for (i = 0; i < 100; i++) {
		MUST((p = malloc((size_t)i * 10000 + 1)) != NULL);
		memset(p, 1, (size_t)i * 10000 + 1);
		MUST((p = realloc(p, (size_t)i * 20000 + 1)) != NULL);
		free(p);
	}
	MUST(clock_gettime(CLOCK_MONOTONIC, &ts) == 0);
	MUST(poll(&pfd, 1, 0) == 1);
	MUST(write(pair[0], "abc", 3) == 3);
	MUST(read(pair[1], buf, 1) == 1);
	MUST(readv(pair[1], &iov, 1) == 1);
	MUST(recvmsg(pair[1], &mh, MSG_CMSG_CLOEXEC) == 1);
	iov.iov_base = buf;
	MUST(send(pair[1], buf, 1, MSG_NOSIGNAL) == 1);
	MUST(writev(pair[1], &iov, 1) == 1);
	MUST(epoll_ctl(epfd, EPOLL_CTL_ADD, pair[0], &ev) == 0);
	MUST(epoll_wait(epfd, &ev, 1, 0) == 1);
	MUST(epoll_pwait(epfd, &ev, 1, 0, NULL) == 1);
	MUST(epoll_ctl(epfd, EPOLL_CTL_DEL, pair[0], &ev) == 0);
	MUST(getsockopt(pair[0], SOL_SOCKET, SO_TYPE, &on, &len) == 0);
	MUST(fd_stat(pair[0], &st) == 0 && S_ISSOCK(st.st_mode));
	MUST(fd_stat(-1, &st) == -1 && errno == EBADF);
	MUST(getrlimit(RLIMIT_NOFILE, &rl) == 0);
	MUST(arc4random() != arc4random() || arc4random() != 0);
	MUST((fcntl(pair[0], F_GETFL) & O_NONBLOCK) == 0);
	MUST(fcntl(pair[0], F_GETFD) != -1);
	MUST((p = mmap(NULL, 8192, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)) != MAP_FAILED);
	MUST(mprotect(p, 4096, PROT_READ) == 0);
	MUST(munmap(p, 8192) == 0);
	MUST(getpid() > 0);
	log_brief("a line of the log");
	return (0);
}

static int
do_relay(void)
{
	static const int	 on = 1;
	struct linger		 l = { 1, 0 };
	int			 fd, n;

	MUST((fd = accept4(listener, NULL, NULL,
	    SOCK_NONBLOCK | SOCK_CLOEXEC)) != -1);
	MUST(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) == 0);
	MUST(setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on)) == 0);
	MUST(setsockopt(fd, SOL_SOCKET, SO_LINGER, &l, sizeof(l)) == 0);
	MUST(ioctl(fd, SIOCOUTQ, &n) == 0);
	MUST(ioctl(fd, FIONREAD, &n) == 0);
	MUST(send(fd, "y", 1, MSG_NOSIGNAL) == 1);
	MUST(shutdown(fd, SHUT_WR) == 0);
	close(fd);
	return (0);
}

static int
do_dialer(void)
{
	struct sockaddr_in	 sin = listen_addr;
	struct iovec		 iov = { .iov_base = "q", .iov_len = 1 };
	struct msghdr		 mh = { .msg_iov = &iov, .msg_iovlen = 1 };
	int			 fd, on = 1;

	MUST((fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) != -1);
	MUST(connect(fd, (struct sockaddr *)&sin, sizeof(sin)) == 0);
	MUST(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) == 0);
	MUST(fcntl(fd, F_SETFL, O_NONBLOCK) == 0);
	close(fd);
	/* As c-ares does. */
	MUST((fd = socket(AF_INET6, SOCK_DGRAM, 0)) != -1 ||
	    errno == EAFNOSUPPORT);
	if (fd != -1)
		close(fd);
	MUST((fd = socket(AF_INET, SOCK_DGRAM, 0)) != -1);
	sin.sin_port = htons((uint16_t)udp_port);
	MUST(connect(fd, (struct sockaddr *)&sin, sizeof(sin)) == 0);
	MUST(send(fd, "q", 1, 0) == 1);
	MUST(sendmsg(fd, &mh, MSG_NOSIGNAL) == 1);
	close(fd);
	MUST((fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0)) != -1);
	close(fd);
	return (0);
}

static int
do_control(void)
{
	struct ucred	 cred;
	socklen_t	 len = sizeof(cred);
	int		 fd;

	MUST((fd = accept4(listener, NULL, NULL,
	    SOCK_NONBLOCK | SOCK_CLOEXEC)) != -1);
	close(fd);
	MUST(getsockopt(pair[0], SOL_SOCKET, SO_PEERCRED, &cred, &len) == 0);
	MUST(fcntl(pair[0], F_SETFL, O_NONBLOCK) == 0);
	return (0);
}

static void
test_allowed(void **state)
{
	check_allowed(ROLE_RELAY, do_relay);
	check_allowed(ROLE_DIALER, do_dialer);
	check_allowed(ROLE_CONTROL, do_control);
}

/* Each role in a socketpair of its own: do_common() leaves bytes in it. */
static void
test_common(void **state)
{
	enum role	 role;

	for (role = ROLE_CONTROL; role < ROLE_MAX; role++) {
		if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == -1)
			fail_msg("socketpair");
		check_allowed(role, do_common);
		close(pair[0]);
		close(pair[1]);
	}
}

#ifndef TUNNELD_NO_SECCOMP
#define TRY(name, expr)							\
	static int __attribute__((__unused__)) name(void)		\
	{ return ((expr) == -1 ? 10 : 11); }

TRY(try_socket, socket(AF_INET, SOCK_STREAM, 0))
TRY(try_netlink, socket(AF_NETLINK, SOCK_RAW, 0))
TRY(try_packet, socket(AF_PACKET, SOCK_RAW, 0))
TRY(try_socketpair, socketpair(AF_UNIX, SOCK_STREAM, 0, zero_pipe))
TRY(try_inetpair, socketpair(AF_INET, SOCK_STREAM, 0, zero_pipe))
TRY(try_connect, connect(client, (struct sockaddr *)&listen_addr,
    sizeof(listen_addr)))
TRY(try_bind, bind(client, (struct sockaddr *)&listen_addr,
    sizeof(listen_addr)))
TRY(try_listen, listen(listener, 1))
TRY(try_accept, accept4(listener, NULL, NULL, 0))
TRY(try_open, open("/etc/passwd", O_RDONLY))
TRY(try_dup, fcntl(listener, F_DUPFD_CLOEXEC, 10))
TRY(try_pipe, pipe2((int[2]){ 0, 0 }, O_CLOEXEC))
TRY(try_openat2, syscall(__NR_openat2, AT_FDCWD, "/", NULL, 0))
TRY(try_unlink, unlinkat(AT_FDCWD, "/nonexistent", 0))
TRY(try_stat, fstatat(AT_FDCWD, "/", &(struct stat){ 0 }, 0))
TRY(try_stat_empty, fstatat(AT_FDCWD, "/", &(struct stat){ 0 },
    AT_EMPTY_PATH))
TRY(try_sigsys, signal(SIGSYS, SIG_IGN) == SIG_ERR ? -1 : 0)
TRY(try_sigpipe, signal(SIGPIPE, SIG_DFL) == SIG_ERR ? -1 : 0)
TRY(try_shut_rd, shutdown(listener, SHUT_RD))
TRY(try_shut_rdwr, shutdown(listener, SHUT_RDWR))
TRY(try_shut_wr, shutdown(client, SHUT_WR))
TRY(try_splice, splice(client, NULL, client, NULL, 1, SPLICE_F_NONBLOCK))
TRY(try_gift, splice(client, NULL, client, NULL, 1, SPLICE_F_GIFT))
TRY(try_sendmsg, sendmsg(client, &(struct msghdr){ 0 }, MSG_NOSIGNAL))
TRY(try_setfl, fcntl(listener, F_SETFL, 0))
TRY(try_setown, fcntl(listener, F_SETOWN, getpid()))
TRY(try_fionbio, ioctl(listener, FIONBIO, &(int){ 0 }))
TRY(try_tiocsti, ioctl(0, 0x5412, "x"))
TRY(try_reuseport, setsockopt(listener, SOL_SOCKET, SO_REUSEPORT,
    &(int){ 1 }, sizeof(int)))
TRY(try_congestion, setsockopt(listener, IPPROTO_TCP, TCP_CONGESTION,
    "reno", 4))
TRY(try_cork, setsockopt(client, IPPROTO_TCP, TCP_CORK, &(int){ 1 },
    sizeof(int)))
TRY(try_linger, setsockopt(client, SOL_SOCKET, SO_LINGER,
    &(struct linger){ 1, 600 }, sizeof(struct linger)))
/* The level of one pair with the option of another. */
TRY(try_mixed, setsockopt(listener, SOL_SOCKET, TCP_KEEPIDLE,
    &(int){ 1 }, sizeof(int)))
TRY(try_mmap_exec, mmap(NULL, 4096, PROT_READ | PROT_EXEC,
    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED ? -1 : 0)
TRY(try_mprotect_exec, mprotect(jail, 1, PROT_READ | PROT_EXEC))
TRY(try_kill, kill(getpid(), 0))
TRY(try_tgkill, syscall(__NR_tgkill, 1, 1, 0))
TRY(try_setrlimit, setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 }))
TRY(try_prctl, prctl(PR_SET_DUMPABLE, 1, 0, 0, 0))
TRY(try_chroot, chroot("/"))
TRY(try_pidfd, syscall(434, getpid(), 0))
#ifndef TUNNELD_ASAN
TRY(try_execve, syscall(__NR_execve, "/bin/true", NULL, NULL))
TRY(try_execveat, syscall(__NR_execveat, AT_FDCWD, "/bin/true", NULL, NULL,
    0))
TRY(try_fork, fork())
TRY(try_ptrace, ptrace(PTRACE_TRACEME, 0, NULL, NULL))
#endif
TRY(try_setuid, setuid(0))
#ifdef __x86_64__
/* getpid of the x32 ABI: a second set of numbers for the same calls. */
TRY(try_x32, syscall(0x40000000 | 39))

/* getpid(2) as the i386 calls it.  Without that ABI: a fault by the CPU. */
static int
try_int80(void)
{
	int	 nr = 20;

	__asm__ volatile ("int $0x80" : "+a" (nr) : : "memory");
	return (0);
}
#endif

#define FORBIDDEN(role, fn, nr)	check_forbidden(#fn, role, fn, nr)

/* Forbidden to everybody. */
static void
test_forbidden_all(void **state)
{
	enum role	 r;

	for (r = ROLE_CONTROL; r < ROLE_MAX; r++) {
		FORBIDDEN(r, try_netlink, __NR_socket);
		FORBIDDEN(r, try_packet, __NR_socket);
		FORBIDDEN(r, try_inetpair, __NR_socketpair);
		FORBIDDEN(r, try_bind, __NR_bind);
		FORBIDDEN(r, try_listen, __NR_listen);
		FORBIDDEN(r, try_openat2, __NR_openat2);
		FORBIDDEN(r, try_unlink, __NR_unlinkat);
		FORBIDDEN(r, try_tiocsti, __NR_ioctl);
		FORBIDDEN(r, try_reuseport, __NR_setsockopt);
		FORBIDDEN(r, try_cork, __NR_setsockopt);
		FORBIDDEN(r, try_sigsys, __NR_rt_sigaction);
		FORBIDDEN(r, try_sigpipe, __NR_rt_sigaction);
		FORBIDDEN(r, try_mmap_exec, __NR_mmap);
		FORBIDDEN(r, try_mprotect_exec, __NR_mprotect);
		FORBIDDEN(r, try_kill, __NR_kill);
		FORBIDDEN(r, try_tgkill, __NR_tgkill);
		FORBIDDEN(r, try_chroot, __NR_chroot);
		FORBIDDEN(r, try_pidfd, 434);
		FORBIDDEN(r, try_setuid, -1);
#ifndef TUNNELD_ASAN
		FORBIDDEN(r, try_stat, __NR_newfstatat);
		FORBIDDEN(r, try_stat_empty, __NR_newfstatat);
		FORBIDDEN(r, try_setrlimit, __NR_prlimit64);
		FORBIDDEN(r, try_prctl, __NR_prctl);
		FORBIDDEN(r, try_execve, -1);
		FORBIDDEN(r, try_execveat, -1);
		FORBIDDEN(r, try_fork, -1);
		FORBIDDEN(r, try_ptrace, -1);
#endif
#ifdef __x86_64__
		FORBIDDEN(r, try_x32, -1);
		if (!WIFSIGNALED(run(r, false, try_int80).status))
			fail_msg("%s: try_int80 was not killed",
			    role_name(r));
#endif
	}
}

static void
test_forbidden_relay(void **state)
{
	FORBIDDEN(ROLE_RELAY, try_socket, __NR_socket);
	FORBIDDEN(ROLE_RELAY, try_socketpair, __NR_socketpair);
	FORBIDDEN(ROLE_RELAY, try_connect, __NR_connect);
	FORBIDDEN(ROLE_RELAY, try_sendmsg, __NR_sendmsg);
	FORBIDDEN(ROLE_RELAY, try_shut_rd, __NR_shutdown);
	FORBIDDEN(ROLE_RELAY, try_shut_rdwr, __NR_shutdown);
	FORBIDDEN(ROLE_RELAY, try_gift, __NR_splice);
	FORBIDDEN(ROLE_RELAY, try_setfl, __NR_fcntl);
	FORBIDDEN(ROLE_RELAY, try_setown, __NR_fcntl);
	FORBIDDEN(ROLE_RELAY, try_fionbio, __NR_ioctl);
	FORBIDDEN(ROLE_RELAY, try_dup, __NR_fcntl);
	FORBIDDEN(ROLE_RELAY, try_congestion, __NR_setsockopt);
	FORBIDDEN(ROLE_RELAY, try_mixed, __NR_setsockopt);
#ifndef TUNNELD_ASAN
	FORBIDDEN(ROLE_RELAY, try_open, __NR_openat);
	FORBIDDEN(ROLE_RELAY, try_pipe, __NR_pipe2);
#endif
}

static void
test_forbidden_others(void **state)
{
	FORBIDDEN(ROLE_DIALER, try_accept, __NR_accept4);
	FORBIDDEN(ROLE_DIALER, try_socketpair, __NR_socketpair);
	FORBIDDEN(ROLE_DIALER, try_shut_wr, __NR_shutdown);
	FORBIDDEN(ROLE_DIALER, try_splice, __NR_splice);
	FORBIDDEN(ROLE_DIALER, try_linger, __NR_setsockopt);
	FORBIDDEN(ROLE_CONTROL, try_sendmsg, __NR_sendmsg);
	FORBIDDEN(ROLE_CONTROL, try_shut_wr, __NR_shutdown);
	FORBIDDEN(ROLE_CONTROL, try_splice, __NR_splice);
	FORBIDDEN(ROLE_CONTROL, try_socket, __NR_socket);
	FORBIDDEN(ROLE_CONTROL, try_socketpair, __NR_socketpair);
	FORBIDDEN(ROLE_CONTROL, try_connect, __NR_connect);
#ifndef TUNNELD_ASAN
	FORBIDDEN(ROLE_CONTROL, try_open, __NR_openat);
	FORBIDDEN(ROLE_DIALER, try_open, __NR_openat);
#endif
}
#endif /* !TUNNELD_NO_SECCOMP */

static int
do_abort(void)
{
	abort();
}

/* A failed assertion must look like one, not like an attack. */
static void
test_abort(void **state)
{
	struct end	 e = run(ROLE_RELAY, false, do_abort);

	assert_true(WIFSIGNALED(e.status));
	assert_int_equal(WTERMSIG(e.status), SIGABRT);
	assert_false(e.words);
}

/* What the sandbox says about itself, and what only it can know. */
static int
do_report(void)
{
	struct msg_hello	 h = { .role = ROLE_RELAY };
	struct msg_sandbox	 res;
	int			 abi;

	abi = CONFINED ? landlock_abi() : 0;
	sandbox_enter(ROLE_RELAY, &h, &res);
	MUST(res.landlock == abi);
	MUST(!res.chroot);
	MUST(res.uid == getuid());
	MUST(res.nofile > 0);
	MUST(res.seccomp == CONFINED);
	return (0);
}

static void
test_report(void **state)
{
	pid_t	 pid;
	int	 status;

	if ((pid = fork()) == 0)
		_exit(do_report());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static int
setup(void **state)
{
	socklen_t		 len = sizeof(listen_addr);
	struct sockaddr_in	 sin;
	int			 i, fd;

	log_setlevel(LOG_L_ERROR);
	/* Descriptors below 10 stay free for what tunneld gives a child. */
	while ((fd = open("/dev/null", O_RDWR)) < 10 && fd != -1)
		;
	listen_addr.sin_family = AF_INET;
	listen_addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if ((listener = socket(AF_INET, SOCK_STREAM, 0)) == -1 ||
	    bind(listener, (struct sockaddr *)&listen_addr, len) == -1 ||
	    listen(listener, 16) == -1 ||
	    getsockname(listener, (struct sockaddr *)&listen_addr,
	    &len) == -1)
		return (-1);
	/* Connections that wait for those who may accept. */
	for (i = 0; i < 4; i++) {
		if ((client = socket(AF_INET, SOCK_STREAM, 0)) == -1 ||
		    connect(client, (struct sockaddr *)&listen_addr,
		    sizeof(listen_addr)) == -1)
			return (-1);
	}
	sin = listen_addr;
	sin.sin_port = 0;
	if ((fd = socket(AF_INET, SOCK_DGRAM, 0)) == -1 ||
	    bind(fd, (struct sockaddr *)&sin, sizeof(sin)) == -1 ||
	    getsockname(fd, (struct sockaddr *)&sin, &len) == -1)
		return (-1);
	udp_port = ntohs(sin.sin_port);
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == -1 ||
	    pipe2(zero_pipe, O_CLOEXEC) == -1 ||
	    (epfd = epoll_create1(EPOLL_CLOEXEC)) == -1 ||
	    mkdtemp(jail) == NULL || chmod(jail, 0755) == -1)
		return (-1);
	return (0);
}

static int
teardown(void **state)
{
	return (rmdir(jail));
}

int
main(void)
{
	const struct CMUnitTest	 tests[] = {
		cmocka_unit_test(test_allowed),
		cmocka_unit_test(test_common),
#ifndef TUNNELD_NO_SECCOMP
		cmocka_unit_test(test_forbidden_all),
		cmocka_unit_test(test_forbidden_relay),
		cmocka_unit_test(test_forbidden_others),
#endif
		cmocka_unit_test(test_abort),
		cmocka_unit_test(test_report),
	};

	return (cmocka_run_group_tests(tests, setup, teardown));
}
