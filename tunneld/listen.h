/* SPDX-License-Identifier: ISC */

/* listen.h: the listening sockets of a configuration. */
#ifndef LISTEN_H
#define LISTEN_H

#include <stdio.h>

#include "conf.h"

/*
 * Open what conf_adopt() left without a descriptor; bound is filled in.  Of
 * the pair that "*" makes, a family that this system lacks is taken out of
 * the configuration.  All errors are written to err as "FILE:LINE: ...".
 * Returns 0, or -1 (errno is EADDRINUSE if that was the only trouble).
 */
int	 listen_open(struct conf *, FILE *err);

/* One "listen" record for each that old (or NULL) had not. */
void	 listen_log(const struct conf *, const struct conf *old);

/*
 * Close our descriptors, of forwards or of all: as long as we hold one, the
 * kernel goes on to accept into its queue.
 */
void	 listen_close_forwards(struct conf *);
void	 listen_close_all(struct conf *);

/*
 * Listeners of old that c has not: nobody new gets into their queues, while
 * the relays empty them.  Where the system cannot do this, who comes between
 * a relay's last accept and the last close is lost.
 */
void	 listen_retire(const struct conf *old, const struct conf *c);

/* Remove UNIX sockets that old has made and c does not use. */
void	 listen_unlink(const struct conf *old, const struct conf *c);

#endif /* LISTEN_H */
