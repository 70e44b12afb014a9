/* SPDX-License-Identifier: ISC */

/* inbox.h: messages from children to the parent. */
#ifndef INBOX_H
#define INBOX_H

#include <stdbool.h>

struct imsg;
struct worker;

/*
 * Handle one message.  A child that sends what its role may not send, or
 * something malformed, is killed.
 */
void	 inbox(struct worker *, struct imsg *);

/*
 * Open the log anew; rotate: after renaming the old files; loud: a failure is
 * worth a record.
 */
void	 inbox_reopen(bool rotate, bool loud);

#endif /* INBOX_H */
