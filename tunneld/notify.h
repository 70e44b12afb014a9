/* SPDX-License-Identifier: ISC */

/*
 * notify.h: telling those who started us: the service manager by
 * NOTIFY_SOCKET (sd_notify(3)), and the foreground process of a daemon.
 */
#ifndef NOTIFY_H
#define NOTIFY_H

/* Remember NOTIFY_SOCKET and take it out of the environment. */
void	 notify_init(void);
void	 notify_ready(void);		/* READY=1 */
void	 notify_reloading(void);	/* RELOADING=1; then READY=1 again */
void	 notify_stopping(void);		/* STOPPING=1 */
/* One line for people in "systemctl status". */
void	 notify_status(const char *);

/*
 * Become a daemon.  Returns in the new process; the old one waits until
 * daemon_started() and exits 0, or 1 when the new one ends before.  Standard
 * error stays open until then.
 */
void	 daemon_fork(void);
/* All is well: let the foreground process go, and leave the terminal. */
void	 daemon_started(void);

#endif /* NOTIFY_H */
