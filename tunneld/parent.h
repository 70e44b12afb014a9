/* SPDX-License-Identifier: ISC */

/*
 * parent.h: what the files of the parent share.  Children never see it.
 */
#ifndef PARENT_H
#define PARENT_H

#include <sys/types.h>

#include <stdbool.h>
#include <stdint.h>

#include "conf.h"
#include "msg.h"

/*
 *	START --all READY--> RUN --SIGTERM--> DRAIN --no session--> STOP
 *	  |                                     |  or grace           |
 *	  +--a child cannot be started          +--SIGTERM again      |
 *	     v                                  v                     v
 *	   exit 1                             exit 0                exit 0
 */
enum phase { PHASE_START, PHASE_RUN, PHASE_DRAIN, PHASE_STOP };

struct parent {
	enum phase	phase;
	/* What is in force, or decided: what a new child gets. */
	struct conf	*conf;

	/* Where a configuration comes from. */
	const char	*file;		/* NULL: text */
	const char	*text;		/* -e */
	char		**macros;	/* NULL-terminated, or NULL */
	bool		debug;		/* -d */
	bool		verbose;	/* -v */

	bool		root;		/* children are jailed */
	uid_t		uid;		/* theirs */
	gid_t		gid;
	char		chroot[PATH_MAX_MSG];	/* empty: none */
	uint64_t	started;	/* mono_usec() */
	int		control_fd;	/* control socket, or -1 */
};

extern struct parent parent;

/*
 * Start-up failed: say why on stderr ("tunneld: ..."), end the children,
 * remove our sockets, exit 1.
 */
void	 parent_fail(const char *, ...)
	    __attribute__((__noreturn__, __format__(printf, 1, 2)));

/* All children are ready for the first time. */
void	 parent_ready(void);

/* Everything has ended: remove our sockets, exit. */
void	 parent_exit(int) __attribute__((__noreturn__));

#endif /* PARENT_H */
