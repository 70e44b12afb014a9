/* SPDX-License-Identifier: ISC */

/* httpreply.h: the answers a relay gives by HTTP instead of a 101. */
#ifndef HTTPREPLY_H
#define HTTPREPLY_H

#include "session.h"

/*
 * Send a complete response with Connection: close and begin a lingering end
 * of s->ws.  extra: further header lines, each with CRLF, or "".  The body is
 * left out for a HEAD request.
 */
void	 httpreply_send(struct session *, int status, const char *type,
	    const char *extra, const char *body, size_t bodylen);

/*
 * The short readable page of an error, with the fields its status asks for
 * (RFC 9110: Allow, Upgrade, Retry-After).  detail may be NULL.
 */
void	 httpreply_error(struct session *, int status, const char *text,
	    const char *detail, const char *allow);

#endif /* HTTPREPLY_H */
