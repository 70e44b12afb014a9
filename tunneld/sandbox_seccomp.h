/* SPDX-License-Identifier: ISC */

/*
 * sandbox_seccomp.h: the system-call filter of a role (Linux).
 */
#ifndef SANDBOX_SECCOMP_H
#define SANDBOX_SECCOMP_H

#include <stdbool.h>
#include <stdint.h>

#include "tunneld.h"

/* How one system call is judged; see seccomp_emit(). */
enum sc_op {
	SC_ALLOW,
	SC_ONEOF,		/* argument arg is one of v[0..n) */
	SC_NOBITS,		/* argument arg has none of the bits v[0] */
	SC_PAIRS,		/* arguments arg, arg + 1 are one of n pairs */
	SC_ZERO,		/* argument arg is 0, all 64 bits */
	SC_SELF,		/* argument arg is our process id */
	SC_ERRNO,		/* not done, fails with v[0] */
	SC_KILL			/* no handler, no last words */
};

struct sc_rule {
	int		 nr;
	enum sc_op	 op;
	unsigned	 arg;
	unsigned	 n;
	const uint32_t	*v;
};

/*
 * Load the filter of the role; needs no_new_privs.  From then on a forbidden
 * call writes a struct violation to VIOLATION_FD and kills the process with
 * SIGSYS.  Returns true, false when this build leaves it out
 * (TUNNELD_NO_SECCOMP); failure is fatal.
 */
bool	 seccomp_enter(enum role);

#endif /* SANDBOX_SECCOMP_H */
