/* SPDX-License-Identifier: ISC */

/* logfile.c: log file, syslog socket, standard error; rotation by renaming. */

#include "compat.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "log.h"
#include "logfile.h"
#include "parent.h"

#define SYSLOG_SOCKET	"/dev/log"
#define ROTATED_MAX	10000
#define LINE_BYTES	(LOG_LINE_MAX + 64)	/* none is longer */

static int	 saved_stderr = -1;
static uint64_t	 sent_at;	/* when control got the file */

void
logfile_init(void)
{
	/* Out of the way of CHANNEL_FD and VIOLATION_FD. */
	saved_stderr = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 10);
	if (saved_stderr == -1)
		fatal("stderr");
}

void
logfile_detach(const struct conf *c)
{
	if (logfile_dest(c) == LOG_STDERR)
		return;
	/* Somebody may wait for the end of a pipe. */
	close(saved_stderr);
	saved_stderr = -1;
}

enum log_dest
logfile_dest(const struct conf *c)
{
	return (parent.debug && !c->log_set ? LOG_STDERR : c->log_dest);
}

/* The directory of a log file, and its name there. */
static int
open_dir(const char *path, char *base, size_t baselen)
{
	char	 copy[PATH_MAX_LEN];

	if (strlcpy(copy, path, sizeof(copy)) >= sizeof(copy) ||
	    strlcpy(base, basename(copy), baselen) >= baselen) {
		errno = ENAMETOOLONG;
		return (-1);
	}
	/* basename(3) may write to it. */
	(void)strlcpy(copy, path, sizeof(copy));
	return (open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

/*
 * No link is followed at the end: who may write to the directory could lead
 * root's lines into any file.  Nor is a file of others, or one that has a
 * second name.
 */
static int
open_file(const char *path, char *err, size_t errlen)
{
	struct stat	 st;
	const char	*why;
	char		 base[256];
	int		 dir, fd;

	if ((dir = open_dir(path, base, sizeof(base))) == -1) {
		snprintf(err, errlen, "log to \"%s\": directory: %s", path,
		    strerror(errno));
		return (-1);
	}
	fd = openat(dir, base, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW |
	    O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0640);
	if (fd == -1) {
		snprintf(err, errlen, "log to \"%s\": %s", path,
		    errno == ELOOP ? "is a symbolic link" : strerror(errno));
		close(dir);
		return (-1);
	}
	close(dir);
	if (fstat(fd, &st) == -1 ||
	    (!S_ISREG(st.st_mode) && !S_ISCHR(st.st_mode))) {
		snprintf(err, errlen, "log to \"%s\": not a file", path);
		close(fd);
		return (-1);
	}
	why = NULL;
	if (S_ISREG(st.st_mode) && st.st_nlink != 1)
		why = "has another name (hard link)";
	else if (S_ISREG(st.st_mode) && st.st_uid != geteuid())
		why = "belongs to another user";
	if (why != NULL) {
		snprintf(err, errlen, "log to \"%s\": %s", path, why);
		close(fd);
		return (-1);
	}
	return (fd);
}

static int
open_syslog(const char *path, char *err, size_t errlen)
{
	static const int	 types[] = { SOCK_DGRAM, SOCK_STREAM };
	struct sockaddr_un	 sun;
	size_t			 i;
	int			 fd = -1;

	memset(&sun, 0, sizeof(sun));
	sun.sun_family = AF_UNIX;
	if (strlcpy(sun.sun_path, path, sizeof(sun.sun_path)) >=
	    sizeof(sun.sun_path)) {
		snprintf(err, errlen, "log to syslog \"%s\": path too long",
		    path);
		return (-1);
	}
	for (i = 0; i < nitems(types); i++) {
		fd = socket(AF_UNIX, types[i] | SOCK_CLOEXEC | SOCK_NONBLOCK,
		    0);
		if (fd == -1)
			break;
		if (connect(fd, (struct sockaddr *)&sun, sizeof(sun)) == 0)
			return (fd);
		close(fd);
		fd = -1;
		if (errno != EPROTOTYPE)
			break;
	}
	snprintf(err, errlen, "log to syslog: %s: %s (lines are lost until "
	    "it is there; or: log to \"/path\")", path, strerror(errno));
	return (fd);
}

int
logfile_open(const struct conf *c, char *err, size_t errlen)
{
	int	 fd = -1;

	switch (logfile_dest(c)) {
	case LOG_STDERR:
		fd = fcntl(saved_stderr, F_DUPFD_CLOEXEC, 10);
		if (fd == -1)
			snprintf(err, errlen, "log to stderr: %s",
			    saved_stderr == -1 ?
			    "a daemon has none: restart for that" :
			    strerror(errno));
		break;
	case LOG_SYSLOG:
		fd = open_syslog(c->log_path != NULL ? c->log_path :
		    SYSLOG_SOCKET, err, errlen);
		break;
	case LOG_FILE:
		fd = open_file(c->log_path, err, errlen);
		break;
	}
	return (fd);
}

bool
logfile_differs(const struct conf *a, const struct conf *b)
{
	const char	*pa = a->log_path, *pb = b->log_path;

	if (logfile_dest(a) != logfile_dest(b))
		return (true);
	if (pa == NULL || pb == NULL)
		return (pa != pb);
	return (strcmp(pa, pb) != 0);
}

/* FILE.n; n 0 is FILE itself. */
static const char *
numbered(const char *base, unsigned n, char *buf, size_t len)
{
	if (n == 0)
		snprintf(buf, len, "%s", base);
	else
		snprintf(buf, len, "%s.%u", base, n);
	return (buf);
}

void
logfile_sent(void)
{
	sent_at = mono_usec();
}

bool
logfile_due(const struct conf *c)
{
	struct stat	 st;
	char		 base[256];
	int		 dir, r;

	if (logfile_dest(c) != LOG_FILE)
		return (false);
	if (c->log_age != OFF && mono_usec() - sent_at >= c->log_age)
		return (true);
	if (c->log_size == OFF ||
	    (dir = open_dir(c->log_path, base, sizeof(base))) == -1)
		return (false);
	r = fstatat(dir, base, &st, AT_SYMLINK_NOFOLLOW);
	close(dir);
	return (r == 0 && (uint64_t)st.st_size + LINE_BYTES > c->log_size);
}

int
logfile_rotate(const struct conf *c)
{
	struct stat	 st;
	char		 base[256], from[272], to[272];
	unsigned	 n;
	int		 dir;

	if (logfile_dest(c) != LOG_FILE)
		return (0);
	if ((dir = open_dir(c->log_path, base, sizeof(base))) == -1)
		return (-1);
	/* Devices are not ours to rename; an empty file is no loss. */
	if (fstatat(dir, base, &st, AT_SYMLINK_NOFOLLOW) == -1 ||
	    !S_ISREG(st.st_mode) || st.st_size == 0) {
		close(dir);
		return (0);
	}
	/* When keep was lowered, more than one is too many. */
	for (n = c->log_keep > 0 ? c->log_keep : 1; n < ROTATED_MAX; n++) {
		if (unlinkat(dir, numbered(base, n, from, sizeof(from)),
		    0) == -1 && n > c->log_keep)
			break;
	}
	if (c->log_keep == 0)
		(void)unlinkat(dir, base, 0);
	for (n = c->log_keep; n > 0; n--) {
		if (renameat(dir, numbered(base, n - 1, from, sizeof(from)),
		    dir, numbered(base, n, to, sizeof(to))) == -1 &&
		    errno != ENOENT) {
			close(dir);
			return (-1);
		}
	}
	close(dir);
	return (0);
}
