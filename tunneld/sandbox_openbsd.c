/* SPDX-License-Identifier: ISC */

/* sandbox_openbsd.c: locking a process into its role on OpenBSD. */

#include "compat.h"

#if HAVE_PLEDGE

#include <sys/types.h>
#include <sys/resource.h>

#include <grp.h>
#include <string.h>
#include <unistd.h>

#include "log.h"
#include "sandbox.h"

/*
 * pledge(2) has no promise for accept(2) alone: relays and control have
 * "inet" or "unix", with which they could also create sockets.
 */
static const char *
promises(enum role role)
{
	switch (role) {
	case ROLE_RELAY:
		return ("stdio inet unix recvfd");
	case ROLE_DIALER:
		return ("stdio inet unix sendfd recvfd");
	case ROLE_CONTROL:
		return ("stdio unix recvfd");
	default:
		fatalx("no promises for %s", role_name(role));
	}
}

void
sandbox_enter(enum role role, const struct msg_hello *h,
    struct msg_sandbox *res)
{
	struct rlimit	 rl;
	gid_t		 gid = h->gid;

	memset(res, 0, sizeof(*res));
	if (h->jail_root) {
		/* The dialer must reach UNIX sockets by their path. */
		if (role != ROLE_DIALER && h->chroot[0] != '\0') {
			if (chroot(h->chroot) == -1 || chdir("/") == -1)
				fatal("chroot %s", h->chroot);
			res->chroot = true;
		}
		if (h->uid == 0 || gid == 0)
			fatalx("the user to become must not be root");
		if (setgroups(1, &gid) == -1 ||
		    setresgid(gid, gid, gid) == -1 ||
		    setresuid(h->uid, h->uid, h->uid) == -1)
			fatal("cannot become user %u", h->uid);
	}
	if (getrlimit(RLIMIT_NOFILE, &rl) == 0)
		res->nofile = rl.rlim_cur > UINT32_MAX ? UINT32_MAX :
		    (uint32_t)rl.rlim_cur;
	res->uid = (uint32_t)getuid();
	if (pledge(promises(role), NULL) == -1)
		fatal("pledge");
	/* The same place in show workers: the system-call boundary stands. */
	res->seccomp = true;
}

void
sandbox_parent(const struct conf *c)
{
	/* It forks, executes itself and binds what a reload may name. */
	if (pledge("stdio rpath wpath cpath fattr chown inet unix dns getpw "
	    "recvfd sendfd proc exec", NULL) == -1)
		fatal("pledge");
}

#endif /* HAVE_PLEDGE */
