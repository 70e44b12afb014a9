/* SPDX-License-Identifier: ISC */

/* sandbox_linux.c: locking a process into its role on Linux. */

#include "compat.h"

#if HAVE_SECCOMP

#include <sys/types.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include <linux/capability.h>

#include <errno.h>
#include <grp.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "landlock.h"
#include "log.h"
#include "probe.h"
#include "sandbox.h"
#include "sandbox_seccomp.h"

/*
 * The leak run (TUNNELD_NO_SECCOMP): at exit the leak checker starts a thread,
 * which stops the process by ptrace(2) and reads /proc/self.  Only the change
 * of user is left then, and the log says so.
 */
#ifdef TUNNELD_NO_SECCOMP
#define LEAK_RUN	true
#else
#define LEAK_RUN	false
#endif

/*
 * No rule is added to the ruleset: all that is handled is denied, and every
 * right that the running kernel knows is handled.
 */
static int
landlock_enter(enum role role)
{
	struct ll_ruleset_attr	 rs;
	int			 abi, fd;

	if ((abi = landlock_abi()) == 0)
		return (0);
	memset(&rs, 0, sizeof(rs));
	rs.handled_access_fs = landlock_fs_all(abi);
	rs.handled_access_net = landlock_net_all(abi);
	if (role == ROLE_DIALER)
		rs.handled_access_net &= ~LL_NET_CONNECT_TCP;
	rs.scoped = landlock_scope_all(abi);
	if ((fd = landlock_create_ruleset(&rs, sizeof(rs), 0)) == -1)
		fatal("landlock_create_ruleset");
	if (landlock_restrict_self(fd, 0) == -1)
		fatal("landlock_restrict_self");
	close(fd);
	return (abi);
}

static void
enter_chroot(const char *dir)
{
	if (chroot(dir) == -1)
		fatal("chroot %s", dir);
	if (chdir("/") == -1)
		fatal("chdir / in %s", dir);
}

static void
drop_user(uid_t uid, gid_t gid)
{
	if (uid == 0 || gid == 0)
		fatalx("the user to become must not be root");
	if (setgroups(1, &gid) == -1 || setresgid(gid, gid, gid) == -1 ||
	    setresuid(uid, uid, uid) == -1)
		fatal("cannot become user %u", (unsigned)uid);
	if (setuid(0) == 0 || seteuid(0) == 0)
		fatalx("root privileges can be had back");
}

/* What a file capability or systemd's AmbientCapabilities gave the parent. */
static void
drop_capabilities(void)
{
	struct __user_cap_header_struct	 head;
	struct __user_cap_data_struct	 data[2];

	(void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	memset(&head, 0, sizeof(head));
	memset(data, 0, sizeof(data));
	head.version = _LINUX_CAPABILITY_VERSION_3;
	if (syscall(__NR_capset, &head, data) == -1)
		fatal("capset");
}

static void
limit(int resource, const char *name, rlim_t max)
{
	struct rlimit	 rl = { .rlim_cur = max, .rlim_max = max };

	if (setrlimit(resource, &rl) == -1)
		fatal("setrlimit %s", name);
}

static void
drop_limits(enum role role)
{
	limit(RLIMIT_CORE, "core", 0);
	if (!LEAK_RUN)
		limit(RLIMIT_NPROC, "nproc", 0);
#ifndef TUNNELD_ASAN
	/* A report may go to a file that is our stderr. */
	if (role != ROLE_CONTROL)
		limit(RLIMIT_FSIZE, "fsize", 0);
#endif
	if (signal(SIGXFSZ, SIG_IGN) == SIG_ERR)
		fatal("signal");
}

void
sandbox_enter(enum role role, const struct msg_hello *h,
    struct msg_sandbox *res)
{
	struct rlimit	 rl;

	memset(res, 0, sizeof(*res));
	if (h->jail_root) {
		/* The dialer must reach UNIX sockets by their path. */
		if (role != ROLE_DIALER && h->chroot[0] != '\0' &&
		    !LEAK_RUN && LAYER(CHROOT)) {
			enter_chroot(h->chroot);
			res->chroot = true;
		}
		if (LAYER(UID))
			drop_user(h->uid, h->gid);
	}
	if (LAYER(CAPS))
		drop_capabilities();
	/* In case we are too busy to see the channel close. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) == -1)
		fatal("PR_SET_PDEATHSIG");
	if (LAYER(NNP) && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1)
		fatal("PR_SET_NO_NEW_PRIVS");
	if (prctl(PR_SET_DUMPABLE, LEAK_RUN || !LAYER(DUMPABLE), 0, 0, 0) == -1)
		fatal("PR_SET_DUMPABLE");
	if (LAYER(RLIMIT))
		drop_limits(role);
	if (!LEAK_RUN && LAYER(LANDLOCK) &&
	    (res->landlock = landlock_enter(role)) == 0)
		log_warnx("%s: no Landlock on this system", role_name(role));
	res->seccomp = LAYER(SECCOMP) && seccomp_enter(role);
	res->uid = (uint32_t)getuid();
	if (getrlimit(RLIMIT_NOFILE, &rl) == 0)
		res->nofile = rl.rlim_cur > UINT32_MAX ? UINT32_MAX :
		    (uint32_t)rl.rlim_cur;
}

/* The parent opens and binds by a configuration that may change: only this. */
void
sandbox_parent(const struct conf *c)
{
	/* Children that are started later inherit it. */
	if (LAYER(NNP) && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1)
		fatal("PR_SET_NO_NEW_PRIVS");
}

#endif /* HAVE_SECCOMP */
