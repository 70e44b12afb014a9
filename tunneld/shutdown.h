/* SPDX-License-Identifier: ISC */

/* shutdown.h: ends in good order: of the daemon, or of one relay. */
#ifndef SHUTDOWN_H
#define SHUTDOWN_H

struct worker;

void	 shutdown_init(void);
/*
 * SIGTERM or SIGINT: drain; a second one stops without waiting for sessions;
 * a third one kills.
 */
void	 shutdown_begin(void);
/* prefork shrank: let this relay end when its sessions have. */
void	 shutdown_retire(struct worker *);
/* DRAINED came. */
void	 shutdown_drained(struct worker *);
/* A child that was to go has gone. */
void	 shutdown_died(void);
/* Became ready while we drain. */
void	 shutdown_newcomer(struct worker *);

#endif /* SHUTDOWN_H */
