/* SPDX-License-Identifier: ISC */

/*
 * plog.h: the parent's own log records: they go to control like everybody's.
 * While it is away some are kept; what a failed start leaves is written to
 * standard error.
 */
#ifndef PLOG_H
#define PLOG_H

struct chan;

void	 plog_init(void);
/* Control is there (what was kept is sent), or NULL: away. */
void	 plog_control(struct chan *);
/* Write what was kept to standard error. */
void	 plog_dump(void);

#endif /* PLOG_H */
