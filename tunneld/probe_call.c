/* SPDX-License-Identifier: ISC */

/*
 * probe_call.c: system calls that a probe build tries inside a role.  Each one
 * succeeds where nothing stops it, and leaves no trace that matters.  SIGURG
 * is ignored by everybody (and SIGCONT may always be sent in a session).
 */

#include "compat.h"

#ifdef TUNNELD_PROBES

#include <sys/types.h>
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
#include <netinet/in.h>

#include <linux/filter.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "log.h"
#include "probe.h"
#include "tunneld.h"

#define SOMEBODY	12345		/* a user id */

/* Made before the sandbox, so that only the call itself is tried. */
static int	listener, fresh, unbound, bound, unixs, abstracts;
static int	pair[2], half[2], fifo[2];
static struct sockaddr_in	loopback;	/* of listener */
static pid_t	starter;		/* the parent */

static int
tcp(struct sockaddr_in *sin)
{
	int	 fd;

	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd == -1 || (sin != NULL &&
	    bind(fd, (struct sockaddr *)sin, sizeof(*sin)) == -1))
		fatal("probe: socket");
	return (fd);
}

void
probe_prepare(void)
{
	struct sockaddr_in	 sin;
	socklen_t		 len = sizeof(loopback);
	int			 client;

	memset(&sin, 0, sizeof(sin));
	sin.sin_family = AF_INET;
	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	listener = tcp(&sin);
	bound = tcp(&sin);
	fresh = tcp(NULL);
	unbound = tcp(NULL);
	client = tcp(NULL);
	if (listen(listener, 5) == -1 || getsockname(listener,
	    (struct sockaddr *)&loopback, &len) == -1 ||
	    (connect(client, (struct sockaddr *)&loopback, len) == -1 &&
	    errno != EINPROGRESS))
		fatal("probe: listener");
	unixs = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	abstracts = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (unixs == -1 || abstracts == -1 ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == -1 ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, half) == -1 ||
	    pipe2(fifo, O_CLOEXEC) == -1 || write(fifo[1], "abc", 3) != 3)
		fatal("probe");
	starter = getppid();
	/* What takes our place is to live until it exits. */
	if (fcntl(CHANNEL_FD, F_SETFD, 0) == -1)
		fatal("probe: channel");
#ifdef PR_SET_PTRACER
	/* Yama is not one of our layers. */
	if (!LAYER(DUMPABLE))
		(void)prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0);
#endif
}

static int
in_dir(const char *name, char *path, size_t size)
{
	const char	*dir = getenv(PROBE_ENV_DIR);
	int		 n;

	n = snprintf(path, size, "%s/%s", dir != NULL ? dir : "", name);
	return (n < 0 || (size_t)n >= size ? -1 : 0);
}

static int
try_file(const char *name, int flags)
{
	char	 path[1024];

	if (in_dir(name, path, sizeof(path)) == -1)
		return (-1);
	return (open(path, flags | O_CLOEXEC, 0600));
}

static int
closed(int fd)
{
	return (fd == -1 ? -1 : close(fd));
}

/*
 * Files.
 */
static int
call_open(const struct probe_arg *arg)
{
	return (closed(open("/etc/passwd", O_RDONLY | O_CLOEXEC)));
}

static int
call_open_shadow(const struct probe_arg *arg)
{
	return (closed(open("/etc/shadow", O_RDONLY | O_CLOEXEC)));
}

static int
call_create(const struct probe_arg *arg)
{
	char	 path[1024];

	if (in_dir("created", path, sizeof(path)) == -1 ||
	    closed(open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC,
	    0600)) == -1)
		return (-1);
	return (unlink(path));
}

static int
call_write_file(const struct probe_arg *arg)
{
	int	 fd;

	if ((fd = try_file("writable", O_WRONLY)) == -1)
		return (-1);
	return (write(fd, "x", 1) == 1 ? close(fd) : -1);
}

static int
call_unlink(const struct probe_arg *arg)
{
	char	 path[1024];

	return (in_dir("unlink", path, sizeof(path)) == -1 ? -1 :
	    unlink(path));
}

static int
call_chmod(const struct probe_arg *arg)
{
	char	 path[1024];

	return (in_dir("chmod", path, sizeof(path)) == -1 ? -1 :
	    chmod(path, 0600));
}

static int
call_stat(const struct probe_arg *arg)
{
	struct stat	 st;

	return (stat("/etc/passwd", &st));
}

/*
 * Sockets.
 */
static int
call_socket(const struct probe_arg *arg)
{
	return (closed(socket(AF_INET, SOCK_STREAM, 0)));
}

static int
call_netlink(const struct probe_arg *arg)
{
	return (closed(socket(AF_NETLINK, SOCK_RAW, 0)));
}

static int
call_connect(const struct probe_arg *arg)
{
	if (connect(fresh, (struct sockaddr *)&loopback,
	    sizeof(loopback)) == -1 && errno != EINPROGRESS)
		return (-1);
	return (0);
}

static int
connect_unix(int fd, const char *name, bool abstract)
{
	struct sockaddr_un	 sun;
	char			*path = sun.sun_path;
	size_t			 size = sizeof(sun.sun_path);

	memset(&sun, 0, sizeof(sun));
	sun.sun_family = AF_UNIX;
	if (in_dir(name, path + abstract, size - abstract) == -1)
		return (-1);
	return (connect(fd, (struct sockaddr *)&sun,
	    (socklen_t)(offsetof(struct sockaddr_un, sun_path) + abstract +
	    strlen(path + abstract))));
}

static int
call_unix_connect(const struct probe_arg *arg)
{
	return (connect_unix(unixs, "sock", false));
}

static int
call_abstract(const struct probe_arg *arg)
{
	return (connect_unix(abstracts, "abstract", true));
}

static int
call_bind(const struct probe_arg *arg)
{
	struct sockaddr_in	 sin = loopback;

	sin.sin_port = 0;
	return (bind(unbound, (struct sockaddr *)&sin, sizeof(sin)));
}

static int
call_listen(const struct probe_arg *arg)
{
	return (listen(bound, 1));
}

static int
call_accept(const struct probe_arg *arg)
{
	return (closed(accept4(listener, NULL, NULL, SOCK_CLOEXEC)));
}

static int
call_shut_rd(const struct probe_arg *arg)
{
	return (shutdown(listener, SHUT_RD));
}

static int
call_shut_wr(const struct probe_arg *arg)
{
	return (shutdown(half[0], SHUT_WR));
}

static int
call_setfl(const struct probe_arg *arg)
{
	return (fcntl(listener, F_SETFL, 0));
}

static int
call_fionbio(const struct probe_arg *arg)
{
	int	 off = 0;

	return (ioctl(listener, FIONBIO, &off));
}

static int
call_dup(const struct probe_arg *arg)
{
	return (closed(fcntl(listener, F_DUPFD_CLOEXEC, 10)));
}

static int
call_filter(const struct probe_arg *arg)
{
	struct sock_filter	 insn = { BPF_RET | BPF_K, 0, 0, 0xffff };
	struct sock_fprog	 prog = { 1, &insn };

	return (setsockopt(listener, SOL_SOCKET, SO_ATTACH_FILTER, &prog,
	    sizeof(prog)));
}

static int
call_reuseport(const struct probe_arg *arg)
{
	int	 on = 1;

	return (setsockopt(listener, SOL_SOCKET, SO_REUSEPORT, &on,
	    sizeof(on)));
}

static int
call_linger(const struct probe_arg *arg)
{
	struct linger	 l = { 1, 600 };

	return (setsockopt(listener, SOL_SOCKET, SO_LINGER, &l, sizeof(l)));
}

static int
call_pass(const struct probe_arg *arg)
{
	union {
		struct cmsghdr	 hdr;
		char		 buf[CMSG_SPACE(sizeof(int))];
	}			 cmsg;
	struct iovec		 iov = { .iov_base = "x", .iov_len = 1 };
	struct msghdr		 mh = { .msg_iov = &iov, .msg_iovlen = 1,
				    .msg_control = &cmsg,
				    .msg_controllen = sizeof(cmsg) };

	memset(&cmsg, 0, sizeof(cmsg));
	cmsg.hdr.cmsg_len = CMSG_LEN(sizeof(int));
	cmsg.hdr.cmsg_level = SOL_SOCKET;
	cmsg.hdr.cmsg_type = SCM_RIGHTS;
	memcpy(CMSG_DATA(&cmsg.hdr), &listener, sizeof(int));
	return (sendmsg(pair[0], &mh, MSG_NOSIGNAL) == 1 ? 0 : -1);
}

static int
call_pipe(const struct probe_arg *arg)
{
	int	 p[2];

	if (pipe2(p, O_CLOEXEC) == -1)
		return (-1);
	return (close(p[0]) | close(p[1]));
}

static int
call_socketpair(const struct probe_arg *arg)
{
	int	 sv[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) == -1)
		return (-1);
	return (close(sv[0]) | close(sv[1]));
}

/* Flags that the data path has no use for. */
static int
call_splice(const struct probe_arg *arg)
{
	return (splice(fifo[0], NULL, pair[0], NULL, 1,
	    SPLICE_F_GIFT) == 1 ? 0 : -1);
}

static int
call_vmsplice(const struct probe_arg *arg)
{
	struct iovec	 iov = { .iov_base = "x", .iov_len = 1 };

	return (vmsplice(fifo[1], &iov, 1, 0) == 1 ? 0 : -1);
}

/*
 * Processes.  What is executed takes our place: it exits with 42.
 */
static int
call_execve(const struct probe_arg *arg)
{
	return (execl("/bin/sh", "sh", "-c", "exit 42", (char *)NULL));
}

/* The file "suid" is root's id(1) with mode 4755: does it become root? */
static int
call_suid(const struct probe_arg *arg)
{
	char	 path[1024], out[16] = "";
	pid_t	 pid;
	int	 p[2], status;

	if (in_dir("suid", path, sizeof(path)) == -1 ||
	    pipe2(p, O_CLOEXEC) == -1 || (pid = fork()) == -1)
		return (-1);
	if (pid == 0) {
		(void)dup2(p[1], STDOUT_FILENO);
		(void)execl(path, "id", "-u", (char *)NULL);
		_exit(1);
	}
	(void)close(p[1]);
	if (read(p[0], out, sizeof(out) - 1) <= 0)
		out[0] = '\0';
	(void)close(p[0]);
	if (waitpid(pid, &status, 0) != pid)
		return (-1);
	errno = status == 0 ? EPERM : ECHILD;
	return (getuid() != 0 && strcmp(out, "0\n") == 0 ? 0 : -1);
}

static int
call_fork(const struct probe_arg *arg)
{
	pid_t	 pid;
	int	 status;

	if ((pid = fork()) == 0)
		_exit(0);
	if (pid == -1)
		return (-1);
	return (waitpid(pid, &status, 0) == pid ? 0 : -1);
}

static int
call_ptrace(const struct probe_arg *arg)
{
	int	 status;

	if (ptrace(PTRACE_ATTACH, arg->other, NULL, NULL) == -1)
		return (-1);
	if (waitpid(arg->other, &status, __WALL) != arg->other)
		return (-1);
	return ((int)ptrace(PTRACE_DETACH, arg->other, NULL, NULL));
}

static int
call_kill(const struct probe_arg *arg)
{
	return (kill(arg->other, SIGURG));
}

static int
call_kill_parent(const struct probe_arg *arg)
{
	return (kill(starter, SIGURG));
}

static int
call_mem(const struct probe_arg *arg)
{
	char	 path[64];

	(void)snprintf(path, sizeof(path), "/proc/%d/mem", arg->other);
	return (closed(open(path, O_RDONLY | O_CLOEXEC)));
}

static int
call_mmap_exec(const struct probe_arg *arg)
{
	void	*p;

	p = mmap(NULL, 4096, PROT_READ | PROT_EXEC,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return (p == MAP_FAILED ? -1 : munmap(p, 4096));
}

static int
call_mprotect_exec(const struct probe_arg *arg)
{
	void	*p;

	p = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED || mprotect(p, 4096, PROT_READ | PROT_EXEC) == -1)
		return (-1);
	return (munmap(p, 4096));
}

static int
call_io_uring(const struct probe_arg *arg)
{
	uint32_t	 params[32];

	memset(params, 0, sizeof(params));
#ifdef __NR_io_uring_setup
	return (closed((int)syscall(__NR_io_uring_setup, 1, params)));
#else
	errno = ENOSYS;
	return (-1);
#endif
}

static int
call_setuid(const struct probe_arg *arg)
{
	return (setresuid(SOMEBODY, SOMEBODY, SOMEBODY));
}

static int
call_chroot(const struct probe_arg *arg)
{
	return (chroot("/"));
}

static int
call_rlimit(const struct probe_arg *arg)
{
	struct rlimit	 rl = { 0, 0 };

	return (setrlimit(RLIMIT_CORE, &rl));
}

static int
call_prctl(const struct probe_arg *arg)
{
	return (prctl(PR_SET_TIMERSLACK, 0, 0, 0, 0));
}

static int
call_sigaction(const struct probe_arg *arg)
{
	return (signal(SIGPIPE, SIG_IGN) == SIG_ERR ? -1 : 0);
}

static int
call_epoll_create(const struct probe_arg *arg)
{
	return (closed(epoll_create1(EPOLL_CLOEXEC)));
}

static int (*const calls[])(const struct probe_arg *) = {
#define PROBE_ROW(fn, name) [PROBE_##fn] = call_##fn,
	PROBE_CALLS(PROBE_ROW)
#undef PROBE_ROW
};

const char *
probe_call(enum probe p, const struct probe_arg *arg)
{
	static char	 text[64];
	const char	*name = NULL;
	int		 error;

	if (calls[p](arg) == 0)
		return ("ok");
	error = errno;
#ifdef __GLIBC__
	name = strerrorname_np(error);
#endif
	if (name != NULL)
		(void)snprintf(text, sizeof(text), "errno %s", name);
	else
		(void)snprintf(text, sizeof(text), "errno %d", error);
	return (text);
}

#endif /* TUNNELD_PROBES */
