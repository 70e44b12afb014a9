/* SPDX-License-Identifier: ISC */

/*
 * tunneld.h: the few names that all roles share: roles, slots, session ids,
 * limits.  Nothing that belongs to one role.
 */
#ifndef TUNNELD_H
#define TUNNELD_H

#include <stdint.h>

#define TUNNELD_USER		"_tunneld"
#define CHANNEL_FD		3	/* a child's channel to the parent */
#define VIOLATION_FD		4	/* a pipe: last words, see sandbox.h */

enum role {
	ROLE_PARENT,
	ROLE_CONTROL,
	ROLE_DIALER,
	ROLE_RELAY,
	ROLE_MAX
};

#define RELAYS_MAX		32	/* bound of prefork */
#define RELAYS_DEFAULT_MAX	8	/* bound of prefork's default */

/* "parent", "control", "dialer", "relay". */
const char *role_name(enum role);

/*
 * A session id is unique for the life of the parent: slot of the relay, its
 * incarnation (counted by the parent for all roles and slots), a counter.
 * Text form "slot.incarnation.counter" everywhere people meet it.
 */
#define SID_COUNTER_BITS	36
#define SID_INCARNATION_BITS	22
#define SID_MAKE(slot, inc, n)						\
	((uint64_t)(slot) << (SID_COUNTER_BITS + SID_INCARNATION_BITS) |\
	 (uint64_t)(inc) << SID_COUNTER_BITS | (uint64_t)(n))
#define SID_SLOT(id)							\
	((unsigned)((id) >> (SID_COUNTER_BITS + SID_INCARNATION_BITS)))
#define SID_INCARNATION(id)						\
	((uint32_t)((id) >> SID_COUNTER_BITS &				\
	 ((1ULL << SID_INCARNATION_BITS) - 1)))
#define SID_COUNTER(id)		((id) & ((1ULL << SID_COUNTER_BITS) - 1))
#define SID_TEXT		40

/* Format an id; buf holds at least SID_TEXT bytes.  Returns buf. */
const char *sid_format(uint64_t id, char *buf);
/* Parse the text form.  Returns 0 or -1. */
int	 sid_parse(const char *text, uint64_t *id);

/* Monotonic clock in microseconds, and wall clock since the epoch. */
uint64_t mono_usec(void);
uint64_t wall_usec(void);

#endif /* TUNNELD_H */
