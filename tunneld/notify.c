/* SPDX-License-Identifier: ISC */

/* notify.c: readiness, told to the service manager and to the shell. */

#include "compat.h"

#include <sys/socket.h>
#include <sys/types.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "log.h"
#include "notify.h"

static struct sockaddr_un	 manager;
static socklen_t		 manager_len;	/* 0: none */
static int			 start_pipe = -1;

void
notify_init(void)
{
	const char	*path = getenv("NOTIFY_SOCKET");
	size_t		 len;

	if (path == NULL || (*path != '/' && *path != '@'))
		return;
	len = strlen(path);
	/* A pathname wants its NUL; an abstract name is as long as it is. */
	if (len >= sizeof(manager.sun_path)) {
		log_warnx("NOTIFY_SOCKET is too long: ignored");
		return;
	}
	manager.sun_family = AF_UNIX;
	memcpy(manager.sun_path, path, len);
	manager_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) +
	    len);
	if (*path == '@')
		manager.sun_path[0] = '\0';
	else
		manager_len++;
	(void)unsetenv("NOTIFY_SOCKET");
}

static void
notify(const char *text)
{
	int	 fd;

	if (manager_len == 0)
		return;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd == -1) {
		log_warn("NOTIFY_SOCKET: socket");
		return;
	}
	if (sendto(fd, text, strlen(text), MSG_NOSIGNAL,
	    (struct sockaddr *)&manager, manager_len) == -1)
		log_warn("NOTIFY_SOCKET: send");
	close(fd);
}

void
notify_ready(void)
{
	char	 text[64];

	snprintf(text, sizeof(text), "READY=1\nMAINPID=%ld", (long)getpid());
	notify(text);
}

void
notify_reloading(void)
{
	char	 text[64];

	/* Type=notify-reload wants to know since when. */
	snprintf(text, sizeof(text), "RELOADING=1\nMONOTONIC_USEC=%llu",
	    (unsigned long long)mono_usec());
	notify(text);
}

void
notify_stopping(void)
{
	notify("STOPPING=1");
}

void
notify_status(const char *status)
{
	char	 text[256];

	snprintf(text, sizeof(text), "STATUS=%s", status);
	notify(text);
}

void
daemon_fork(void)
{
	char	 c = 0;
	int	 p[2];

	if (pipe2(p, O_CLOEXEC) == -1)
		fatal("pipe");
	switch (fork()) {
	case -1:
		fatal("fork");
	case 0:
		close(p[0]);
		start_pipe = p[1];
		break;
	default:
		close(p[1]);
		/* EOF without a byte: it has said why on our stderr. */
		while (read(p[0], &c, 1) == -1) {
			if (errno != EINTR)
				_exit(1);
		}
		if (c == 'R')
			_exit(0);
		_exit(1);
	}
	if (setsid() == -1)
		fatal("setsid");
	/* Not a session leader: no terminal can become ours. */
	switch (fork()) {
	case -1:
		fatal("fork");
	case 0:
		break;
	default:
		_exit(0);
	}
	if (chdir("/") == -1)
		fatal("chdir /");
}

void
daemon_started(void)
{
	int	 fd;

	if (start_pipe == -1)
		return;
	if ((fd = open("/dev/null", O_RDWR | O_CLOEXEC)) == -1)
		fatal("/dev/null");
	if (dup2(fd, STDIN_FILENO) == -1 || dup2(fd, STDOUT_FILENO) == -1 ||
	    dup2(fd, STDERR_FILENO) == -1)
		fatal("dup2");
	close(fd);
	if (write(start_pipe, "R", 1) != 1)
		log_debug("nobody waited for the start");
	close(start_pipe);
	start_pipe = -1;
}
