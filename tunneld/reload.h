/* SPDX-License-Identifier: ISC */

/* reload.h: from one configuration to the next, in two phases. */
#ifndef RELOAD_H
#define RELOAD_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "conf.h"
#include "msg.h"

struct worker;

enum reload_kind {
	RELOAD_SIGNAL,		/* SIGHUP */
	RELOAD_CONTROL,		/* tunnelctl reload; id is the request */
	RELOAD_REFRESH		/* hosts or resolv.conf changed */
};

/* Start to look at hosts and resolv.conf now and then. */
void	 reload_init(void);

/*
 * Begin.  Errors are logged and told to who asked.  While one is under way
 * control is refused, the others wait for its end.
 */
void	 reload_start(enum reload_kind, uint64_t id);

/* Start is over: do what was asked for meanwhile. */
void	 reload_pending(void);

/* If it is not decided yet, it is off. */
void	 reload_stop(const char *why);

/* Is it open which configuration a new child is to get? */
bool	 reload_undecided(void);

/* What the children do, for those that have worker.awaited set. */
void	 reload_prepared(struct worker *, const struct msg_result *);
void	 reload_committed(struct worker *);
void	 reload_died(struct worker *);

/*
 * Read the configuration from its source and check it by itself.  Errors (and
 * warnings) go to err.  NULL on error.
 */
struct conf *reload_parse(FILE *err);
/*
 * Make it the successor of old (NULL at start): ids, kept listeners, hosts.
 * Returns 0 or -1.
 */
int	 reload_adopt(struct conf *, const struct conf *old, FILE *err);

#endif /* RELOAD_H */
