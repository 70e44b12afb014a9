/* SPDX-License-Identifier: ISC */

/*
 * supervise.h: the children: who they are, who lives, who is started when.
 */
#ifndef SUPERVISE_H
#define SUPERVISE_H

#include <sys/types.h>

#include <event.h>
#include <stdbool.h>
#include <stdint.h>

#include "chan.h"
#include "conf.h"
#include "msg.h"

/* How far a child is with the configuration that was offered to it last. */
enum offer { OFFER_NONE, OFFER_SENT, OFFER_PREPARED };

/*
 *	WAITING --spawn--> STARTING --READY--> READY --DRAIN--> DRAINING
 *	   ^                  |                  |                 |
 *	   +---- 0.1 .. 30 s -+----- at once ----+              GONE (unused)
 */
struct worker {
	enum role	role;
	unsigned	slot;
	bool		used;		/* there is to be such a process */
	bool		retired;	/* its slot goes, or all goes */
	enum worker_state state;
	pid_t		pid;		/* 0: no process */
	uint32_t	incarnation;
	uint32_t	restarts;
	bool		alarm;
	struct msg_sandbox sandbox;
	struct chan	*chan;		/* NULL: no process, or a deaf one */
	int		violation;	/* pipe, or -1 */
	int		stats;		/* page of the slot, or -1 */
	unsigned	silent;		/* pings without any answer */
	unsigned	failures;	/* deaths before READY, in a row */
	uint64_t	delay;		/* before the next try, usec */
	struct event	again;		/* spawn when it fires */
	char		why[512];	/* it gave for not being ready */

	enum offer	offer;
	/* Generations; 0: none. */
	uint32_t	offered;	/* last */
	uint32_t	committing;	/* COMMIT sent, not yet COMMITTED */
	uint32_t	committed;
	unsigned	unanswered;	/* PREPAREs without PREPARED */
	bool		awaited;	/* by reload.c */
	bool		drained;	/* it has no session left */
	bool		stopped;	/* STOP was sent */
	bool		jailed;		/* SANDBOX came */
	bool		killed;		/* by us: not listened to */
	uint64_t	deadline;	/* of the drain or STOP; 0: none */
};

void	 sup_init(void);
/* Set the number of relays; start what is missing, retire what is too much. */
void	 sup_populate(unsigned relays);
/* Those that wait for their next try get it now. */
void	 sup_retry(void);
/* The next one that is used, after w (NULL: the first).  NULL at the end. */
struct worker *sup_next(const struct worker *w);
struct worker *sup_get(enum role, unsigned slot);
/* Has it a process that reads? */
bool	 sup_alive(const struct worker *);
/* Is every used one READY? */
bool	 sup_all_ready(void);

/* Send; a child that does not take it is killed.  fd is taken; -1: none. */
void	 sup_send_num(struct worker *, uint32_t type, uint64_t);
void	 sup_send_fd(struct worker *, uint32_t type, uint64_t, int fd);
void	 sup_signal(struct worker *, uint32_t type);
void	 sup_send_result(struct worker *, uint32_t type,
	    const struct msg_result *);

/*
 * The three steps of a configuration; w must be alive.  sup_offer() returns -1
 * when a child that lives cannot be sent it.
 */
int	 sup_offer(struct worker *, struct conf *);
void	 sup_commit(struct worker *);
void	 sup_abort(struct worker *);
/* To those that have none: parent.conf. */
void	 sup_offer_waiting(void);

/* READY came. */
void	 sup_ready(struct worker *);
/* Give control a log descriptor (taken), or tell it that there is none. */
void	 sup_log_fd(int fd);

/* Tell control of the state of w, or with NULL of the parent itself. */
void	 sup_row(struct worker *);
/* SIGKILL, and a log record why. */
void	 sup_kill(struct worker *, const char *why);
/* Those of the role that have no process now are not to get one. */
void	 sup_give_up(enum role);
/* SIGKILL to all, and wait for them: there is no way back. */
void	 sup_kill_all(void);

#endif /* SUPERVISE_H */
