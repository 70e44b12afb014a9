/* SPDX-License-Identifier: ISC */

/*
 * conf_xfer.h: a configuration on its way from the parent to a child, object
 * by object.  A role gets only what it needs:
 *
 *	relay	servers, listeners with descriptors, locations without targets,
 *		address blocks, origins, forwards
 *	dialer	servers, locations with targets and "allow", forwards,
 *		resolvers, hosts table
 *	control	servers, listeners, forwards, the printed text (show_text)
 *
 * and everybody the numbers of CONF_GLOBAL.
 */
#ifndef CONF_XFER_H
#define CONF_XFER_H

#include "chan.h"
#include "conf.h"

/*
 * Send c from CONF_BEGIN to PREPARE (with its generation and the number of
 * objects sent).  Listener descriptors are dup'd for relays.  c has ids:
 * conf_adopt().  Returns 0, or -1 when the channel or a dup(2) failed.
 */
int	 conf_send(struct chan *, struct conf *c);

/* Is it a message for conf_receive()?  CONF_BEGIN to PREPARE. */
bool	 conf_is_xfer(uint32_t type);

/*
 * In a child: take one of these messages.  *c is created by CONF_BEGIN (one
 * that was there, never finished, is freed) and grows; descriptors are stored
 * in conf_listen.fd.  PREPARE checks that all has come.  Returns 0, or -1 on
 * any message that is malformed or out of order (*c is freed then, and NULL).
 */
int	 conf_receive(struct conf **c, struct imsg *);

#endif /* CONF_XFER_H */
