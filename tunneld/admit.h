/* SPDX-License-Identifier: ISC */

/*
 * admit.h: the registry of admitted sessions and the counts that limits are
 * held against.  A session counts once for its server, its location and its
 * source, from admission until admit_remove().
 */
#ifndef ADMIT_H
#define ADMIT_H

#include <sys/tree.h>

#include <stdbool.h>
#include <stdint.h>

#include "addr.h"
#include "msg.h"
#include "reason.h"

struct admit_count;
struct connecting;

struct admit {
	RB_ENTRY(admit)	node;
	uint64_t	id;
	uint32_t	server, loc, forward;
	enum session_type type;
	struct addr_packed source;
	char		*target;	/* as asked for; NULL: none */
	char		*dest;		/* as decided (dest_format); or NULL */
	char		*reached;	/* NULL: not connected; may be dest */
	struct connecting *dial;	/* on its way; or NULL */
	bool		reopen;		/* announced, its OPEN comes again */
	bool		revoked;	/* the relay was told */
	struct admit_count *counts[3];
};

/* Most sessions; UINT64_MAX: no limit. */
struct admit_limits {
	uint64_t	server, loc, source;
};

/*
 * Register the session that o opens.  With limits: REASON_MAX_SESSIONS or
 * REASON_MAX_PER_SOURCE when it would be one too many, and nothing is
 * registered; NULL: it lives already and counts in any case.  A source is an
 * IPv4 address or an IPv6 /64; a UNIX client has none.  REASON_INTERNAL: out
 * of memory, or known already.  REASON_NONE: *a is set.
 */
enum reason admit_add(const struct msg_open *o, const struct admit_limits *,
	    struct admit **a);
struct admit *admit_find(uint64_t id);
void	 admit_remove(struct admit *);		/* and free */

/* Walk: the first one with an id of at least from; the one after a. */
struct admit *admit_first(uint64_t from);
struct admit *admit_next(struct admit *a);

/* What was asked, again, for policy. */
void	 admit_open(const struct admit *, struct msg_open *);

/* How many sessions count for a server; for tests and show. */
uint64_t admit_server_count(uint32_t server);

#endif /* ADMIT_H */
