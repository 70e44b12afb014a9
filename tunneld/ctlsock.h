/* SPDX-License-Identifier: ISC */

/* ctlsock.h: where the control socket is, and its making. */
#ifndef CTLSOCK_H
#define CTLSOCK_H

#include <stddef.h>

struct conf;

/*
 * The path in force for a configuration: what it names, or the default of
 * root or of a user (directory made and checked: ours, nobody else may write).
 * Returns 0 with an empty buf when there is to be no socket, or -1 with a
 * text in err.
 */
int	 ctlsock_path(const struct conf *, char *buf, size_t len, char *err,
	    size_t errlen);

/*
 * Make it and listen.  Returns a descriptor, -1 with *err empty when none is
 * wanted, or -1 with a text in err.
 */
int	 ctlsock_open(const struct conf *, char *err, size_t errlen);

#endif /* CTLSOCK_H */
