/* SPDX-License-Identifier: ISC */

/*
 * connect.h: one connection to a destination: name lookups, addresses tried
 * in parallel as RFC 8305 says, one deadline for all of it.
 */
#ifndef CONNECT_H
#define CONNECT_H

#include <stdbool.h>
#include <stdint.h>

#include "msg.h"
#include "policy.h"

struct connecting;

struct connect_result {
	int		fd;		/* the callee's; -1: failed */
	enum reason	reason;
	int		error;		/* errno behind it, or 0 */
	char		reached[TARGET_TEXT];	/* the address, or empty */
	char		detail[160];	/* for the log: what failed */
};

struct connect_ops {
	/* May this resolved address be tried? */
	bool		(*allowed)(void *arg, const struct addr *);
	/* The end, from the event loop, unless cancelled; k is gone then. */
	void		(*done)(void *arg, struct connect_result *);
};

/*
 * Begin.  usec: the whole time until connected; OFF: as long as the system
 * tries.  Returns NULL when out of memory.
 */
struct connecting *connect_start(const struct dest *, uint64_t usec,
	    const struct connect_ops *, void *arg);
void	 connect_cancel(struct connecting *);	/* NULL is fine */

/* What an errno of socket(2) or connect(2) means for the session. */
enum reason connect_reason(int error);

#endif /* CONNECT_H */
