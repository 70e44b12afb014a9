/* SPDX-License-Identifier: ISC */

/* fdstat.c: fstat(2), and nothing but it. */

#include "compat.h"

#include <sys/types.h>
#include <sys/stat.h>

#ifdef __linux__
#include <sys/syscall.h>
#include <unistd.h>
#endif

#include "fdstat.h"

int
fd_stat(int fd, struct stat *st)
{
#ifdef __linux__
	return (int)syscall(__NR_fstat, fd, st);
#else
	return fstat(fd, st);
#endif
}
