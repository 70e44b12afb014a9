/* SPDX-License-Identifier: ISC */

/* spawn.c: fork, descriptors, exec. */

#include "compat.h"

#include <sys/socket.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "probe.h"
#include "sandbox.h"
#include "spawn.h"

#define OUT_OF_THE_WAY	10	/* above all numbers a child is given */

extern char	**environ;

/*
 * The children need nothing of our environment, and libraries must not be
 * steered by it.  It is also the room that setproctitle(3) writes to.
 */
static char	*small_environ[] = {
	"PATH=/usr/bin:/bin:/usr/sbin:/sbin", "LC_ALL=C", NULL, NULL, NULL,
	NULL
};

static void
set_environ(void)
{
#if defined(TUNNELD_ASAN) || defined(TUNNELD_PROBES)
	static const char *const keep[] = {
#ifdef TUNNELD_ASAN
	    "ASAN_OPTIONS=", "UBSAN_OPTIONS=", "LSAN_OPTIONS=",
#endif
#ifdef TUNNELD_PROBES
	    PROBE_ENV,
#endif
	};
	size_t	 i, n = 2;
	char	**e;

	for (e = environ; e != NULL && *e != NULL; e++) {
		for (i = 0; i < nitems(keep); i++) {
			if (n < nitems(small_environ) - 1 &&
			    strncmp(*e, keep[i], strlen(keep[i])) == 0)
				small_environ[n++] = *e;
		}
	}
#endif
	environ = small_environ;
}

/* In the child.  Only async-signal-safe calls: nothing is allocated. */
static void
become(enum role role, bool debug, int channel, int violation)
{
	char		*argv[] = { "tunneld", "-R", NULL, NULL };
	static const int ignored[] = { SIGINT, SIGTERM, SIGHUP, SIGUSR1,
			    SIGPIPE };
	sigset_t	 none;
	size_t		 i;
	int		 fd, high;

	argv[2] = (char *)(uintptr_t)role_name(role);
	sigemptyset(&none);
	/* Our handlers would write into the parent's event loop. */
	for (i = 0; i < nitems(ignored); i++)
		(void)signal(ignored[i], SIG_IGN);
	(void)signal(SIGCHLD, SIG_DFL);
	if ((channel = fcntl(channel, F_DUPFD, OUT_OF_THE_WAY)) == -1 ||
	    (violation = fcntl(violation, F_DUPFD, OUT_OF_THE_WAY)) == -1 ||
	    dup2(channel, CHANNEL_FD) == -1 ||
	    dup2(violation, VIOLATION_FD) == -1 ||
	    (fd = open("/dev/null", O_RDWR)) == -1 ||
	    dup2(fd, STDIN_FILENO) == -1)
		_exit(1);
	if (dup2(fd, STDOUT_FILENO) == -1 ||
	    (!debug && dup2(fd, STDERR_FILENO) == -1))
		_exit(1);
	/* All others are close-on-exec, which must not be trusted blindly. */
	high = VIOLATION_FD + 1;
#ifdef CLOSE_RANGE_CLOEXEC
	(void)close_range((unsigned)high, ~0U, CLOSE_RANGE_CLOEXEC);
#else
	for (; high < 1024; high++)
		(void)fcntl(high, F_SETFD, FD_CLOEXEC);
#endif
	set_environ();
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	self_exec(argv);
	_exit(127);
}

int
spawn_child(enum role role, bool debug, struct spawned *s)
{
	sigset_t	 all, old;
	int		 sv[2], p[2], saved;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0,
	    sv) == -1)
		return (-1);
	if (pipe2(p, O_CLOEXEC | O_NONBLOCK) == -1) {
		saved = errno;
		close(sv[0]);
		close(sv[1]);
		errno = saved;
		return (-1);
	}
	sigfillset(&all);
	(void)sigprocmask(SIG_BLOCK, &all, &old);
	switch ((s->pid = fork())) {
	case -1:
		saved = errno;
		(void)sigprocmask(SIG_SETMASK, &old, NULL);
		close(sv[0]);
		close(sv[1]);
		close(p[0]);
		close(p[1]);
		errno = saved;
		return (-1);
	case 0:
		become(role, debug, sv[1], p[1]);
		_exit(1);
	}
	(void)sigprocmask(SIG_SETMASK, &old, NULL);
	close(sv[1]);
	close(p[1]);
	s->channel = sv[0];
	s->violation = p[0];
	return (0);
}

bool
spawn_violation(int fd, uint32_t *nr)
{
	struct violation	 v;
	ssize_t			 n;

	do {
		n = read(fd, &v, sizeof(v));
	} while (n == -1 && errno == EINTR);
	close(fd);
	if (n != sizeof(v) || v.magic != VIOLATION_MAGIC)
		return (false);
	*nr = v.nr;
	return (true);
}
