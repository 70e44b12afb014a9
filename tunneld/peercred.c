/* SPDX-License-Identifier: ISC */
/* peercred.c: who is at the other end of a UNIX socket. */

#include "compat.h"

#include <sys/types.h>
#include <sys/socket.h>

#include <unistd.h>

#include "control.h"

#ifdef SO_PEERGROUPS
#define GROUPS_MAX	65536		/* NGROUPS_MAX of Linux */

/* The supplementary groups the peer had when it connected. */
static bool
peer_in_group(int fd, gid_t group)
{
	static gid_t groups[GROUPS_MAX];
	socklen_t len = sizeof(groups);
	size_t i;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &len) == -1)
		return false;
	for (i = 0; i < len / sizeof(groups[0]); i++) {
		if (groups[i] == group)
			return true;
	}
	return false;
}
#else
/*
 * Here the system tells nothing of them.  The socket's mode lets in its
 * owner and its group, so whoever got in is one of them.
 */
static bool
peer_in_group(int fd, gid_t group)
{
	return true;
}
#endif

int
peercred(int fd, gid_t group, struct peercred *c)
{
	if (getpeereid(fd, &c->uid, &c->gid) == -1)
		return -1;
	c->has_group = c->gid == group || peer_in_group(fd, group);
	return 0;
}
