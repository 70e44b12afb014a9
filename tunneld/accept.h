/* SPDX-License-Identifier: ISC */

/*
 * accept.h: the listeners of a relay.  Every relay holds the same sockets;
 * they follow the committed configuration.
 */
#ifndef ACCEPT_H
#define ACCEPT_H

#include <stdbool.h>

#include "conf.h"

/*
 * Serve the listeners of newconf.  Those that newconf no longer has are
 * accepted from until they are empty, then closed.
 */
void	 accept_commit(struct conf *newconf);
/* How many listeners this configuration has. */
unsigned accept_listeners(const struct conf *);
/* Drain: forward listeners close at once; servers only when all is over. */
void	 accept_drain(void);
/* Close every listener. */
void	 accept_stop(void);
/* Descriptors are free again: stop pausing. */
void	 accept_resume(void);

#endif /* ACCEPT_H */
