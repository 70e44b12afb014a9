/* SPDX-License-Identifier: ISC */

/* unixsock.c: listening UNIX sockets of the parent. */

#include "compat.h"

#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "log.h"
#include "unixsock.h"

/* What we have made, by its inode: another daemon may follow us at a path. */
struct made {
	TAILQ_ENTRY(made) entry;
	char		*path;
	dev_t		 dev;
	ino_t		 ino;
};
static TAILQ_HEAD(, made) all = TAILQ_HEAD_INITIALIZER(all);

static void
remember(const char *path, const struct stat *st)
{
	struct made	*m;

	if ((m = calloc(1, sizeof(*m))) == NULL ||
	    (m->path = strdup(path)) == NULL)
		fatal("unixsock");
	m->dev = st->st_dev;
	m->ino = st->st_ino;
	TAILQ_INSERT_TAIL(&all, m, entry);
}

static void
forget(struct made *m)
{
	struct stat	 st;

	if (lstat(m->path, &st) == 0 && st.st_dev == m->dev &&
	    st.st_ino == m->ino && unlink(m->path) == -1)
		log_warn("cannot remove %s", m->path);
	TAILQ_REMOVE(&all, m, entry);
	free(m->path);
	free(m);
}

void
unixsock_unlink(const char *path)
{
	struct made	*m, *next;

	TAILQ_FOREACH_SAFE(m, &all, entry, next) {
		if (strcmp(m->path, path) == 0)
			forget(m);
	}
}

void
unixsock_unlink_all(void)
{
	struct made	*m;

	while ((m = TAILQ_FIRST(&all)) != NULL)
		forget(m);
}

/* Does a process accept there? */
static int
answers(const struct sockaddr_un *sun)
{
	int	 fd, r, saved;

	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd == -1)
		return (-1);
	r = connect(fd, (const struct sockaddr *)sun, sizeof(*sun));
	saved = errno;
	close(fd);
	if (r == 0 || saved == EAGAIN || saved == EINPROGRESS)
		return (1);		/* EAGAIN: its backlog is full */
	if (saved == ECONNREFUSED || saved == ENOENT)
		return (0);
	errno = saved;
	return (-1);
}

static int
make_room(const struct sockaddr_un *sun, char *err, size_t errlen)
{
	const char	*path = sun->sun_path;
	struct stat	 st;

	if (lstat(path, &st) == -1) {
		if (errno == ENOENT)
			return (0);
		snprintf(err, errlen, "%s: %s", path, strerror(errno));
		return (-1);
	}
	if (!S_ISSOCK(st.st_mode)) {
		snprintf(err, errlen, "%s: exists and is no socket", path);
		errno = EEXIST;
		return (-1);
	}
	switch (answers(sun)) {
	case 0:
		break;
	case 1:
		snprintf(err, errlen, "%s: in use by another process", path);
		errno = EADDRINUSE;
		return (-1);
	default:
		snprintf(err, errlen, "%s: %s", path, strerror(errno));
		return (-1);
	}
	if (geteuid() != 0 && st.st_uid != geteuid()) {
		snprintf(err, errlen, "%s: belongs to another user", path);
		errno = EPERM;
		return (-1);
	}
	if (unlink(path) == -1 && errno != ENOENT) {
		snprintf(err, errlen, "%s: cannot remove the stale socket: %s",
		    path, strerror(errno));
		return (-1);
	}
	return (0);
}

int
unixsock_listen(const char *path, mode_t mode, gid_t gid, char *err,
    size_t errlen)
{
	struct sockaddr_un	 sun;
	struct stat		 st;
	mode_t			 old;
	int			 fd, r;

	memset(&sun, 0, sizeof(sun));
	sun.sun_family = AF_UNIX;
	if (strlcpy(sun.sun_path, path, sizeof(sun.sun_path)) >=
	    sizeof(sun.sun_path)) {
		snprintf(err, errlen, "%s: path too long for a socket", path);
		return (-1);
	}
	if (make_room(&sun, err, errlen) == -1)
		return (-1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd == -1) {
		snprintf(err, errlen, "%s: socket: %s", path, strerror(errno));
		return (-1);
	}
	/* Never for a moment more open than asked for. */
	old = umask(0777 & ~mode);
	r = bind(fd, (struct sockaddr *)&sun, sizeof(sun));
	umask(old);
	if (r == -1) {
		snprintf(err, errlen, "%s: bind: %s", path, strerror(errno));
		close(fd);
		return (-1);
	}
	if (lstat(path, &st) == -1 ||
	    (gid != (gid_t)-1 && lchown(path, (uid_t)-1, gid) == -1) ||
	    listen(fd, SOMAXCONN) == -1) {
		snprintf(err, errlen, "%s: %s", path, strerror(errno));
		(void)unlink(path);
		close(fd);
		return (-1);
	}
	remember(path, &st);
	return (fd);
}
