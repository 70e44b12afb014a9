/* SPDX-License-Identifier: ISC */

/* url.h: ws:// and wss:// URLs (RFC 6455, 3; RFC 3986). */
#ifndef LIB_URL_H
#define LIB_URL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "addr.h"

#define URL_MAX		2048		/* longest URL text, with NUL */

struct wsurl {
	bool		tls;		/* wss (or https) */
	char		host[HOST_MAX + 1];	/* no brackets */
	bool		numeric;	/* host is an IP address */
	uint16_t	port;		/* with the scheme's default */
	char		path[URL_MAX];	/* path and query, at least "/" */
	char		hostport[HOST_MAX + 10]; /* for the Host field: default
					 * port left out, brackets kept */
};

/*
 * Parse text.  Schemes ws, wss, http, https (any case).  Returns 0, or -1
 * with *why a static text of what is wrong: unknown scheme, user information
 * (not supported yet), empty or bad host, bad port, fragment, a byte that a
 * request target may not hold, too long.
 */
int	 wsurl_parse(const char *text, struct wsurl *, const char **why);

#endif /* LIB_URL_H */
