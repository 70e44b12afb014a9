/* SPDX-License-Identifier: ISC */

/* origin.h: may a page of this origin open a WebSocket here? */
#ifndef ORIGIN_H
#define ORIGIN_H

#include <stdbool.h>
#include <stddef.h>

#include "conf.h"

/*
 * origin: the field's value as the browser sent it (RFC 6454), host: the Host
 * field.  Same host means same host and port; a default port may be written
 * or not.  "null" is only let through by ORIGIN_ANY.
 */
bool	 origin_allowed(enum origin_mode, const struct conf_origins *,
	    const char *origin, size_t originlen, const char *host,
	    size_t hostlen);

#endif /* ORIGIN_H */
