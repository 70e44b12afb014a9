/* SPDX-License-Identifier: ISC */

/* conf_diff.h: what a new configuration takes over from the running one. */
#ifndef CONF_DIFF_H
#define CONF_DIFF_H

#include <stddef.h>

#include "conf.h"

/*
 * Make nc the successor of oc (NULL at start): set its generation; give ids
 * to servers (by name), locations (server and pattern), listeners (owner and
 * address or path) and forwards (by listener), stable against oc; and
 * counter-page indices to servers.  An id never means another thing while the
 * parent lives, also not after a configuration was aborted.  A listener that
 * stays gets a duplicate of its descriptor, and bound; fd -1 is left for
 * those to be opened.  Same address under another owner: new id, same socket.
 * oc is not changed.  Returns 0, or -1 with a text for people when nc differs
 * in what a reload cannot change (user, chroot, control socket), or a
 * descriptor could not be duplicated; nc is good for conf_unref() only then.
 */
int	 conf_adopt(struct conf *nc, const struct conf *oc, char *err,
	    size_t errlen);

#endif /* CONF_DIFF_H */
