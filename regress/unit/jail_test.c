/* SPDX-License-Identifier: ISC */
/* jail_test.c: what Landlock, limits and users deny where no filter does. */
/* LINK: tunneld/sandbox_linux.c tunneld/log.c tunneld/logfmt.c tunneld/util.c tunneld/stats.c lib/addr.c lib/json.c lib/utf8.c lib/visstr.c compat/shm.c compat/fdstat.c */

#include "compat.h"

#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <netinet/in.h>

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "landlock.h"
#include "sandbox.h"
#include "sandbox_seccomp.h"

#define NOBODY		65534

static char			 dir[] = "/tmp/jail_test.XXXXXX";
static char			 file[64];
static struct sockaddr_in	 target;
static int			 writable;	/* opened before */

/* The layer above: it would hide what lies below. */
bool
seccomp_enter(enum role role)
{
	return (true);
}

/* NULL, or what was not as it should be. */
typedef const char *attempt(void);

#define MUST(x)	do { if (!(x)) return (#x); } while (0)

static void
in_jail(enum role role, attempt *fn)
{
	struct msg_hello	 hello = { .role = role };
	struct msg_sandbox	 res;
	const char		*wrong;		/* a literal: the same in both */
	pid_t			 pid;
	int			 p[2], status;

	assert_int_equal(pipe(p), 0);
	if ((pid = fork()) == 0) {
		/* Not chroot: that is a layer of its own. */
		hello.jail_root = geteuid() == 0;
		hello.uid = hello.gid = NOBODY;
		sandbox_enter(role, &hello, &res);
		wrong = fn();
		_exit(write(p[1], &wrong, sizeof(wrong)) == sizeof(wrong) ?
		    0 : 1);
	}
	assert_true(pid > 0);
	close(p[1]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(read(p[0], &wrong, sizeof(wrong)), sizeof(wrong));
	close(p[0]);
	if (wrong != NULL)
		fail_msg("%s: not so: %s", role_name(role), wrong);
}

/* Unlike anything else it says EACCES where the mode would allow it. */
static const char *
try_files(void)
{
	MUST(open(file, O_RDONLY) == -1 && errno == EACCES);
	MUST(open("/etc/hosts", O_RDONLY) == -1 && errno == EACCES);
	MUST(mkdir("/tmp/jail_test.made", 0700) == -1 && errno == EACCES);
	return (NULL);
}

static const char *
try_connect(void)
{
	int	 fd = socket(AF_INET, SOCK_STREAM, 0);

	MUST(fd != -1);
	MUST(connect(fd, (struct sockaddr *)&target, sizeof(target)) == -1);
	MUST(errno == EACCES);
	return (NULL);
}

static const char *
try_connect_dialer(void)
{
	int	 fd = socket(AF_INET, SOCK_STREAM, 0);

	MUST(fd != -1);
	MUST(connect(fd, (struct sockaddr *)&target, sizeof(target)) == 0);
	return (NULL);
}

static const char *
try_bind(void)
{
	struct sockaddr_in	 sin = { .sin_family = AF_INET };
	int			 fd = socket(AF_INET, SOCK_STREAM, 0);

	MUST(fd != -1);
	MUST(bind(fd, (struct sockaddr *)&sin, sizeof(sin)) == -1);
	MUST(errno == EACCES);
	return (NULL);
}

static const char *
try_limits(void)
{
	pid_t	 pid;

	/* Whose uid it is has no limit otherwise. */
	if ((pid = fork()) == 0)
		_exit(0);
	MUST(pid == -1 && errno == EAGAIN);
#ifndef TUNNELD_ASAN
	MUST(write(writable, "x", 1) == -1 && errno == EFBIG);
#endif
	MUST(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
	MUST(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0);
	return (NULL);
}

static const enum role	 roles[] = { ROLE_CONTROL, ROLE_DIALER, ROLE_RELAY };

static void
test_landlock_files(void **state)
{
	size_t	 i;

	if (landlock_abi() == 0)
		skip();
	for (i = 0; i < nitems(roles); i++)
		in_jail(roles[i], try_files);
}

static void
test_landlock_net(void **state)
{
	if (landlock_abi() < 4)
		skip();
	in_jail(ROLE_RELAY, try_connect);
	in_jail(ROLE_CONTROL, try_connect);
	in_jail(ROLE_DIALER, try_connect_dialer);
	in_jail(ROLE_RELAY, try_bind);
	in_jail(ROLE_DIALER, try_bind);
}

static void
test_limits(void **state)
{
	in_jail(ROLE_RELAY, try_limits);
	in_jail(ROLE_DIALER, try_limits);
}

static int
setup(void **state)
{
	socklen_t	 len = sizeof(target);
	int		 fd;

	target.sin_family = AF_INET;
	target.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (mkdtemp(dir) == NULL || chmod(dir, 0755) == -1 ||
	    (fd = socket(AF_INET, SOCK_STREAM, 0)) == -1 ||
	    bind(fd, (struct sockaddr *)&target, len) == -1 ||
	    listen(fd, 64) == -1 ||
	    getsockname(fd, (struct sockaddr *)&target, &len) == -1)
		return (-1);
	(void)snprintf(file, sizeof(file), "%s/file", dir);
	writable = open(file, O_RDWR | O_CREAT, 0666);
	return (writable == -1 ? -1 : 0);
}

static int
teardown(void **state)
{
	(void)unlink(file);
	return (rmdir(dir));
}

int
main(void)
{
	const struct CMUnitTest	 tests[] = {
		cmocka_unit_test(test_landlock_files),
		cmocka_unit_test(test_landlock_net),
		cmocka_unit_test(test_limits),
	};

	return (cmocka_run_group_tests(tests, setup, teardown));
}
