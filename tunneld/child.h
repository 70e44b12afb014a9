/* SPDX-License-Identifier: ISC */

/*
 * child.h: what is common to all children: descriptor 3, HELLO, peers,
 * configuration in two phases, sandbox, READY.  A role is a table of
 * callbacks; all run from the event loop of the child.
 *
 *   exec -> HELLO, STATS -> ops->init -> sandbox -> PEER* CONF_* PREPARE
 *        -> ops->prepare -> COMMIT -> ops->commit -> child_ready() -> loop
 */
#ifndef CHILD_H
#define CHILD_H

#include <stdbool.h>
#include <stdint.h>

#include "chan.h"
#include "conf.h"
#include "msg.h"
#include "tunneld.h"

struct role_ops {
	enum role	role;
	/* Before the sandbox: allocate, open what may never be opened again. */
	void		(*init)(const struct msg_hello *);
	/*
	 * A complete new configuration.  Return 0, or -1 with a text why it
	 * cannot be used; nothing may change yet.  May be NULL.
	 */
	int		(*prepare)(struct conf *, char *err, size_t errlen);
	/*
	 * From now on this is the configuration (child_conf()).  old is NULL
	 * the first time; it is unref'd after the call.  The first commit
	 * ends in child_ready(), now or later.
	 */
	void		(*commit)(struct conf *newconf, struct conf *old);
	/* A channel to a peer came up, or its process went; may be NULL. */
	void		(*peer_up)(struct chan *);
	void		(*peer_down)(struct chan *);
	/* A message from a peer, or one from the parent that child.c has no
	 * use for; its type was checked by msg_allowed(). */
	void		(*message)(struct chan *, struct imsg *);
	/* DRAIN; child_retire() tells which kind.  May be NULL. */
	void		(*drain)(void);
	/* May it end without a loss to anybody?  NULL: at any time. */
	bool		(*idle)(void);
	/* STOP: end everything now; call child_exit() when done. */
	void		(*stop)(void);
};

extern const struct role_ops relay_ops, dialer_ops, control_ops;

/* Run as a child; never returns.  setproctitle_init() has been called. */
void	 child_main(const struct role_ops *) __attribute__((__noreturn__));

void	 child_ready(void);		/* tell the parent, once */
void	 child_exit(int) __attribute__((__noreturn__));

/*
 * For ops->drain() of a relay: this slot alone is to go (prefork shrank, the
 * daemon goes on): its listeners close at once and nobody is refused.
 */
bool	 child_retire(void);

struct conf *child_conf(void);		/* the committed one, or NULL */
const struct msg_hello *child_hello(void);
struct chan *child_parent(void);
struct chan *child_peer(enum role, unsigned slot);	/* NULL: absent */

#endif /* CHILD_H */
