/* SPDX-License-Identifier: ISC */

/* spawn.h: a child process: our executable once more, with two descriptors. */
#ifndef SPAWN_H
#define SPAWN_H

#include <sys/types.h>

#include <stdbool.h>
#include <stdint.h>

#include "tunneld.h"

struct spawned {
	pid_t	pid;
	int	channel;	/* our end; non-blocking */
	int	violation;	/* to read from when it has died */
};

/*
 * Start a child.  It has CHANNEL_FD, VIOLATION_FD and 0-2 (2 is our standard
 * error when debug, else /dev/null), nothing else; almost no environment.
 * Returns 0, or -1 with errno.
 */
int	 spawn_child(enum role, bool debug, struct spawned *);

/*
 * Read a violation record from a dead child's pipe and close it.  Returns
 * true and the number of the system call when there is one.
 */
bool	 spawn_violation(int fd, uint32_t *nr);

#endif /* SPAWN_H */
