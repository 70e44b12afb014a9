/* SPDX-License-Identifier: ISC */

/*
 * worker.h: what supervise.c needs of worker.c beyond supervise.h.
 */
#ifndef WORKER_H
#define WORKER_H

#include "msg.h"

struct worker;

/* Empty table; again() is the callback of worker.again. */
void	 worker_init(void (*again)(int, short, void *));
/* Change the state and tell control. */
void	 worker_state(struct worker *, enum worker_state);
/* HELLO and STATS. */
void	 worker_hello(struct worker *);
/* New channels to all living peers; PEER_GONE to them. */
void	 worker_connect(struct worker *);
void	 worker_tell_gone(struct worker *);
/* Give control the counters of a slot. */
void	 worker_page(struct worker *);
/* All that a new control wants to have. */
void	 worker_equip_control(void);

#endif /* WORKER_H */
