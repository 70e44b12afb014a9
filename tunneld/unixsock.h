/* SPDX-License-Identifier: ISC */

/*
 * unixsock.h: listening UNIX sockets: live ones of others are respected,
 * stale ones are removed, and at the end only what is our own.
 */
#ifndef UNIXSOCK_H
#define UNIXSOCK_H

#include <sys/types.h>

#include <stddef.h>

/*
 * Listen at path with mode and, when gid is not -1, that group.  A socket
 * there that nobody answers is replaced if it is ours (root: anybody's); one
 * that is answered, and any other kind of file, is an error.  Returns a
 * non-blocking, close-on-exec descriptor, or -1 with a text in err and errno,
 * EADDRINUSE when it is answered.
 */
int	 unixsock_listen(const char *path, mode_t mode, gid_t gid, char *err,
	    size_t errlen);

/* Remove it, unless something else is at path by now. */
void	 unixsock_unlink(const char *path);
void	 unixsock_unlink_all(void);

#endif /* UNIXSOCK_H */
