/* SPDX-License-Identifier: ISC */

/*
 * wheel.h: the relay's one coarse timer wheel.  Activity never touches it: an
 * owner sets a time to look again, and decides then whether a deadline is
 * really over.
 */
#ifndef WHEEL_H
#define WHEEL_H

#include <sys/queue.h>

#include <stdint.h>

#define WHEEL_TICK	20000		/* usec */

struct wheel_entry {
	TAILQ_ENTRY(wheel_entry) entry;
	uint64_t	due;		/* mono_usec(); 0: not set */
};

/* fire() is called once per due entry, which is unset by then. */
void	 wheel_init(void (*fire)(struct wheel_entry *));
/* Look again at due; replaces an earlier setting. */
void	 wheel_set(struct wheel_entry *, uint64_t due);
/* The same, but never later than an existing setting. */
void	 wheel_hasten(struct wheel_entry *, uint64_t due);
void	 wheel_del(struct wheel_entry *);

#endif /* WHEEL_H */
