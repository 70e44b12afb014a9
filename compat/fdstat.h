/* SPDX-License-Identifier: ISC */

/* fdstat.h: fstat(2), and nothing but it. */
#ifndef FDSTAT_H
#define FDSTAT_H

struct stat;

/*
 * As fstat(2).  glibc's may be newfstatat(2), which with a path is stat(2)
 * and would have to be allowed in the sandbox.
 */
int	 fd_stat(int fd, struct stat *);

#endif /* FDSTAT_H */
