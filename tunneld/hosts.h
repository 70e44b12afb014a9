/* SPDX-License-Identifier: ISC */

/* hosts.h: the content of a hosts(5) file as a table; nothing is opened. */
#ifndef HOSTS_H
#define HOSTS_H

#include "addr.h"

struct hosts;

/*
 * Make a table of text (NULL: an empty one).  Lines that are not understood
 * are skipped, as everybody does.  Returns NULL only when out of memory.
 */
struct hosts *hosts_parse(const char *text);
void	 hosts_free(struct hosts *);		/* NULL is fine */

/*
 * The addresses of name (any case) in the order of the file, without
 * duplicates, port 0, at most max.  Returns how many.  h may be NULL.
 */
unsigned hosts_lookup(struct hosts *h, const char *name, struct addr *out,
	    unsigned max);

#endif /* HOSTS_H */
