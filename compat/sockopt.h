/* SPDX-License-Identifier: ISC */

/*
 * sockopt.h: what differs between systems about a stream socket.
 */
#ifndef SOCKOPT_H
#define SOCKOPT_H

#include <poll.h>
#include <stdbool.h>

/* Where poll(2) cannot tell a FIN without reading, nobody is told. */
#ifndef POLLRDHUP
#define POLLRDHUP	0
#endif

/*
 * TCP_NODELAY and keepalive (first probe after 60 s, each 15 s, 5 times where
 * the system lets us say so).  Does nothing to a UNIX socket.
 */
void	 sockopt_stream(int fd);

/*
 * close(2), also the one of a process that dies, will send a RST instead of
 * a FIN; or again a FIN behind what is still to be sent.
 */
void	 sockopt_reset_on_close(int fd, bool on);

/*
 * A listening TCP socket lets nobody new into its queue: a SYN is dropped, so
 * that a caller's system tries again a second later.  Handshakes under way
 * go on.  Does nothing where the system cannot.
 */
void	 sockopt_no_callers(int fd);

/*
 * Bytes (and an unacknowledged FIN) the kernel still holds for the peer; 0
 * after a reset, and where it cannot tell.
 */
unsigned sockopt_unacked(int fd);

/*
 * Is data unacknowledged although sent again and again, and has no ACK at
 * all come for ms milliseconds?  A peer that advertises a zero window still acknowledges and is alive.  false
 * where the system cannot tell.
 */
bool	 sockopt_peer_dead(int fd, unsigned ms);

#endif /* SOCKOPT_H */
