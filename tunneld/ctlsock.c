/* SPDX-License-Identifier: ISC */

/* ctlsock.c: the control socket: its place, its directory, its mode. */

#include "compat.h"

#include <sys/stat.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conf.h"
#include "ctlsock.h"
#include "parent.h"
#include "unixsock.h"

#define SOCKET_NAME	"tunneld.sock"
#define ROOT_SOCKET	"/var/run/" SOCKET_NAME

/* A directory of ours where nobody else can put anything. */
static int
private_dir(const char *dir, char *err, size_t errlen)
{
	struct stat	 st;

	if (mkdir(dir, 0700) == -1 && errno != EEXIST) {
		snprintf(err, errlen, "%s: %s", dir, strerror(errno));
		return (-1);
	}
	if (lstat(dir, &st) == -1) {
		snprintf(err, errlen, "%s: %s", dir, strerror(errno));
		return (-1);
	}
	if (!S_ISDIR(st.st_mode) || st.st_uid != geteuid() ||
	    (st.st_mode & 022) != 0) {
		snprintf(err, errlen, "%s: must be a directory of ours that "
		    "nobody else can write to", dir);
		return (-1);
	}
	return (0);
}

int
ctlsock_path(const struct conf *c, char *buf, size_t len, char *err,
    size_t errlen)
{
	const char	*run;
	char		 dir[64];
	int		 n;

	*buf = *err = '\0';
	if (c->control_off || (parent.file == NULL && c->control_path == NULL))
		return (0);
	if (c->control_path != NULL)
		n = snprintf(buf, len, "%s", c->control_path);
	else if (geteuid() == 0)
		n = snprintf(buf, len, "%s", ROOT_SOCKET);
	else if ((run = getenv("XDG_RUNTIME_DIR")) != NULL && *run == '/')
		n = snprintf(buf, len, "%s/%s", run, SOCKET_NAME);
	else {
		snprintf(dir, sizeof(dir), "/tmp/tunneld-%u",
		    (unsigned)geteuid());
		if (private_dir(dir, err, errlen) == -1)
			return (-1);
		n = snprintf(buf, len, "%s/%s", dir, SOCKET_NAME);
	}
	if (n < 0 || (size_t)n >= len) {
		snprintf(err, errlen, "path of the control socket too long");
		return (-1);
	}
	return (0);
}

int
ctlsock_open(const struct conf *c, char *err, size_t errlen)
{
	char	 path[PATH_MAX_LEN], why[PATH_MAX_LEN + 256];
	int	 fd, saved;

	if (ctlsock_path(c, path, sizeof(path), err, errlen) == -1 ||
	    *path == '\0')
		return (-1);
	fd = unixsock_listen(path, (mode_t)c->control_mode,
	    parent.root ? parent.gid : (gid_t)-1, why, sizeof(why));
	if (fd == -1) {
		saved = errno;
		snprintf(err, errlen, "control socket %s%s", why,
		    saved == EADDRINUSE ? " (give this tunneld its own: "
		    "control socket \"/path\", or none: control off)" : "");
		errno = saved;
	}
	return (fd);
}
