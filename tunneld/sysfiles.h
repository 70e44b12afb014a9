/* SPDX-License-Identifier: ISC */

/*
 * sysfiles.h: the hosts file and resolv.conf, which the parent reads for the
 * dialer.
 */
#ifndef SYSFILES_H
#define SYSFILES_H

#include <stdbool.h>
#include <stdio.h>

struct conf;

/*
 * Put the content of the hosts file into c and, when it names no resolver,
 * the name servers of resolv.conf.  A missing default file is an empty one; a
 * missing one that the configuration names is an error, written to err as
 * "NAME: ...".  What is beyond CONF_HOSTS_MAX bytes is cut off, with a warning.
 * Returns 0 or -1.
 */
int	 sysfiles_read(struct conf *c, FILE *err);

/*
 * Has one of the files changed since c got them?  Costs two stat(2).  Tells
 * of each change once.
 */
bool	 sysfiles_changed(const struct conf *c);

/* What was read is not in force: the next look is to see a change. */
void	 sysfiles_forget(void);

#endif /* SYSFILES_H */
