/* SPDX-License-Identifier: ISC */

/*
 * resolve.h: names to addresses: the hosts table, then DNS by c-ares, which
 * opens no file after resolve_init().
 */
#ifndef RESOLVE_H
#define RESOLVE_H

#include "addr.h"
#include "conf.h"
#include "hosts.h"

#define RESOLVE_MAX	8	/* addresses of one family that are kept */

enum resolve_status {
	RESOLVE_OK,
	RESOLVE_NONAME,			/* there is no such name */
	RESOLVE_NODATA,			/* it has no address of this family */
	RESOLVE_TIMEOUT,		/* no server answered */
	RESOLVE_FAILED			/* SERVFAIL, no server, ... */
};

struct resolve;
/*
 * addrs have port 0; why is a static text.  Called from the event loop, once,
 * unless cancelled before; r is gone then.
 */
typedef void resolve_cb(struct resolve *r, enum resolve_status,
	    const struct addr *addrs, unsigned n, const char *why, void *arg);

/* Before the sandbox.  Returns 0, or -1 with *why a static text. */
int	 resolve_init(const char **why);
/* The end, for tests: nothing may be on its way. */
void	 resolve_done(void);

/*
 * Use this table (taken over) and these name servers from now on, asking all
 * of them within half of t_connect.  Lookups on their way begin again when the
 * servers, or how long each is waited for, have changed.
 */
void	 resolve_configure(struct hosts *, const struct conf *);

/*
 * What needs no question: the table, and localhost.  Returns how many of both
 * families; 0: ask.
 */
unsigned resolve_local(const char *name, struct addr *out, unsigned max);

/*
 * Ask DNS for the addresses of one family (AF_INET, AF_INET6).  Equal
 * questions are asked once.  NULL: out of memory.
 */
struct resolve *resolve_start(const char *name, int af, resolve_cb *, void *);
void	 resolve_cancel(struct resolve *);	/* NULL is fine */

#endif /* RESOLVE_H */
