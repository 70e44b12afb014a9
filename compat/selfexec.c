/* SPDX-License-Identifier: ISC */

/*
 * selfexec.c: execute ourselves again.  By descriptor where the system can,
 * so that a replaced file never mixes two versions; else by absolute path.
 */

#include "compat.h"

#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#if HAVE_PROC_SELF_EXE

static int	 self_fd = -1;

int
self_exec_init(const char *argv0)
{
	if (self_fd == -1)
		self_fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	return self_fd == -1 ? -1 : 0;
}

int
self_exec(char *const argv[])
{
	extern char	**environ;

	return fexecve(self_fd, argv, environ);
}

int
self_exec_fd(void)
{
	if (self_fd == -1)
		return open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	return fcntl(self_fd, F_DUPFD_CLOEXEC, 0);
}

#else

static char	 self_path[PATH_MAX];

/* An executable file?  Its absolute path goes to self_path. */
static int
try_path(const char *path)
{
	struct stat	 st;

	if (stat(path, &st) == -1)
		return -1;
	if (!S_ISREG(st.st_mode)) {
		errno = EACCES;
		return -1;
	}
	if (access(path, X_OK) == -1)
		return -1;
	return realpath(path, self_path) == NULL ? -1 : 0;
}

int
self_exec_init(const char *argv0)
{
	const char	*dir, *end;
	char		 path[PATH_MAX];
	int		 n;

	if (strchr(argv0, '/') != NULL)
		return try_path(argv0);
	/* As execvp(3) found it. */
	if ((dir = getenv("PATH")) == NULL)
		dir = "/usr/bin:/bin:/usr/sbin:/sbin";
	for (; ; dir = end + 1) {
		end = dir + strcspn(dir, ":");
		n = snprintf(path, sizeof(path), "%.*s/%s", (int)(end - dir),
		    end == dir ? "." : dir, argv0);
		if (end == dir)
			n = snprintf(path, sizeof(path), "./%s", argv0);
		if (n > 0 && (size_t)n < sizeof(path) && try_path(path) == 0)
			return 0;
		if (*end == '\0')
			break;
	}
	errno = ENOENT;
	return -1;
}

int
self_exec(char *const argv[])
{
	return execv(self_path, argv);
}

int
self_exec_fd(void)
{
	return open(self_path, O_RDONLY | O_CLOEXEC);
}

#endif
