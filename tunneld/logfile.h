/* SPDX-License-Identifier: ISC */

/*
 * logfile.h: where log lines go: opened here, written to by control.
 */
#ifndef LOGFILE_H
#define LOGFILE_H

#include <stdbool.h>
#include <stddef.h>

#include "conf.h"

/* Keep standard error for "log to stderr", before a daemon loses it. */
void	 logfile_init(void);

/* A daemon has started: let go of it, unless c logs to it. */
void	 logfile_detach(const struct conf *c);

/* What "log to" means now: with -d and nothing written it is stderr. */
enum log_dest logfile_dest(const struct conf *);

/*
 * Open the destination.  Returns a descriptor for control (the caller's), or
 * -1 with a text in err.
 */
int	 logfile_open(const struct conf *, char *err, size_t errlen);

/* Do the two need another descriptor? */
bool	 logfile_differs(const struct conf *, const struct conf *);

/*
 * FILE becomes FILE.1 and so on up to FILE.keep; older ones go.  Returns 0 or
 * -1 with errno.
 */
int	 logfile_rotate(const struct conf *);

/* Control gets what logfile_open() returned: its age begins. */
void	 logfile_sent(void);

/* Is the file so large that the next line may not fit in, or so old? */
bool	 logfile_due(const struct conf *);

#endif /* LOGFILE_H */
