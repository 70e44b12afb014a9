/* SPDX-License-Identifier: ISC */

/*
 * sandbox_null.c: a system that has no sandbox we know: its user and its
 * empty directory are all that keeps a process in, and the log says so.
 */

#include "compat.h"

#if !HAVE_SECCOMP && !HAVE_PLEDGE

#include <sys/types.h>
#include <sys/resource.h>

#include <grp.h>
#include <string.h>
#include <unistd.h>

#include "log.h"
#include "sandbox.h"

void
sandbox_enter(enum role role, const struct msg_hello *h,
    struct msg_sandbox *res)
{
	struct rlimit	 rl;
	gid_t		 gid = h->gid;

	memset(res, 0, sizeof(*res));
	if (h->jail_root) {
		if (role != ROLE_DIALER && h->chroot[0] != '\0') {
			if (chroot(h->chroot) == -1 || chdir("/") == -1)
				fatal("chroot %s", h->chroot);
			res->chroot = true;
		}
		if (h->uid == 0 || gid == 0)
			fatalx("the user to become must not be root");
		if (setgroups(1, &gid) == -1 || setgid(gid) == -1 ||
		    setuid(h->uid) == -1)
			fatal("cannot become user %u", h->uid);
	}
	if (getrlimit(RLIMIT_NOFILE, &rl) == 0)
		res->nofile = rl.rlim_cur > UINT32_MAX ? UINT32_MAX :
		    (uint32_t)rl.rlim_cur;
	res->uid = (uint32_t)getuid();
	log_warnx("%s: no sandbox on this system", role_name(role));
}

void
sandbox_parent(const struct conf *c)
{
}

#endif /* !HAVE_SECCOMP && !HAVE_PLEDGE */
