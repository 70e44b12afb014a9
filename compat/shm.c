/* SPDX-License-Identifier: ISC */

/* shm.c: anonymous shared memory that nobody can resize. */

#include "compat.h"

#include <sys/mman.h>
#include <sys/types.h>

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#if HAVE_MEMFD_CREATE
static int
shm_open_anon(void)
{
	return memfd_create("tunneld", MFD_CLOEXEC | MFD_ALLOW_SEALING);
}

static int
shm_seal(int fd)
{
	return fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW |
	    F_SEAL_SEAL);
}
#else
static int
shm_open_anon(void)
{
	char	 name[] = "/tunneld.XXXXXXXXXX";
	int	 fd;

	if ((fd = shm_mkstemp(name)) == -1)
		return -1;
	if (shm_unlink(name) == -1 || fcntl(fd, F_SETFD, FD_CLOEXEC) == -1) {
		close(fd);
		return -1;
	}
	return fd;
}

static int
shm_seal(int fd)
{
	return 0;
}
#endif

int
shm_anon(size_t size)
{
	int	 fd, saved;

	if ((fd = shm_open_anon()) == -1)
		return -1;
	if (ftruncate(fd, (off_t)size) == -1 || shm_seal(fd) == -1) {
		saved = errno;
		close(fd);
		errno = saved;
		return -1;
	}
	return fd;
}
