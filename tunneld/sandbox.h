/* SPDX-License-Identifier: ISC */

/*
 * sandbox.h: one interface, one file per system.  After sandbox_enter() the
 * process can do what its role's row in design section 2 says, no more.
 */
#ifndef SANDBOX_H
#define SANDBOX_H

#include <stdbool.h>
#include <stdint.h>

#include "conf.h"
#include "msg.h"
#include "tunneld.h"

/*
 * Lock the calling process into its role: chroot (not the dialer) and
 * setres[ug]id when h->jail_root, no_new_privs, dumpable 0, rlimits,
 * Landlock, seccomp with SIGSYS reporting on VIOLATION_FD; pledge and unveil
 * on OpenBSD.  Fills *res.  A missing boundary is fatal, a missing Landlock a
 * warning and res->landlock 0.
 */
void	 sandbox_enter(enum role, const struct msg_hello *h,
	    struct msg_sandbox *res);

/*
 * What a child writes to VIOLATION_FD before it dies of a forbidden system
 * call.  A pipe of its own, not the channel: there a message may be half
 * written at that moment.  The parent reads it when it reaps the child; a
 * child can lie about the number and gains nothing.
 */
#define VIOLATION_MAGIC	0x544e5356U	/* "TNSV" */
struct violation {
	uint32_t	magic;
	uint32_t	nr;		/* of the call, on this machine */
};

/*
 * For the parent on systems that can: narrow it as far as its work allows.
 * Called once after start-up.
 */
void	 sandbox_parent(const struct conf *);

#endif /* SANDBOX_H */
