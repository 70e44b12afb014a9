/* SPDX-License-Identifier: ISC */

/*
 * policy.h: may this session be, and where does it go?  Asked at every OPEN,
 * for resolved addresses, and again for every session after a reload; always
 * answered by the newest configuration.  What a relay claims (server,
 * location, source) can only narrow the answer.
 */
#ifndef POLICY_H
#define POLICY_H

#include <sys/socket.h>
#include <sys/un.h>

#include <stdbool.h>

#include "conf.h"
#include "msg.h"
#include "reason.h"

/* Where a session goes. */
struct dest {
	enum target_kind kind;
	struct addr	addr;			/* TARGET_ADDR */
	char		name[HOST_MAX + 1];	/* TARGET_NAME */
	uint16_t	port;
	char		path[sizeof(((struct sockaddr_un *)0)->sun_path)];
};

struct decision {
	enum reason	refuse;		/* REFUSED with it; NONE: admit */
	enum reason	fail;		/* admitted, but FAILED at once */
	const struct conf_server *server;	/* NULL: a forward */
	const struct conf_loc *loc;
	bool		has_dest;	/* not for echo */
	struct dest	dest;
};

/*
 * Decide by everything but the limits.  d points into c.
 */
void	 policy_decide(const struct conf *c, const struct msg_open *,
	    struct decision *d);

/*
 * May a session of location loc (0: a forward) that goes to d connect to a,
 * one of the addresses its name resolved to?
 */
bool	 policy_addr_ok(const struct conf *, uint32_t loc,
	    const struct dest *d, const struct addr *a);

/*
 * Is a session still allowed that was opened as o says, for the destination
 * dest (as text; NULL: none), and reached (as text; NULL: not yet) an
 * address?
 */
bool	 policy_still(const struct conf *, const struct msg_open *o,
	    const char *dest, const char *reached);

/* "127.0.0.1:22", "name:443", "unix:/path"; always terminated. */
const char *dest_format(const struct dest *, char *, size_t);

#endif /* POLICY_H */
