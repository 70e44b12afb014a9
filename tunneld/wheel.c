/* SPDX-License-Identifier: ISC */

/* wheel.c: one coarse timer wheel on one libevent timer. */

#include "compat.h"

#include <sys/time.h>

#include <event.h>
#include <string.h>

#include "tunneld.h"
#include "wheel.h"

/*
 * 1024 slots of 20 ms: an entry further away than a turn stays in its slot
 * and is passed over until its time has come.
 */
#define SLOTS		1024

TAILQ_HEAD(slot, wheel_entry);

static struct slot	 slots[SLOTS];
static struct event	 timer;
static uint64_t		 done;		/* last tick handled */
static uint64_t		 armed;		/* tick the timer is set for, 0: not */
static unsigned		 count;
static void		(*fire_cb)(struct wheel_entry *);

static void	 tick(int, short, void *);

void
wheel_init(void (*fire)(struct wheel_entry *))
{
	unsigned	 i;

	for (i = 0; i < SLOTS; i++)
		TAILQ_INIT(&slots[i]);
	fire_cb = fire;
	done = mono_usec() / WHEEL_TICK;
	evtimer_set(&timer, tick, NULL);
}

static void
arm(uint64_t when)
{
	struct timeval	 tv;
	uint64_t	 now = mono_usec(), usec;

	if (armed != 0 && armed <= when)
		return;
	usec = when * WHEEL_TICK;
	usec = usec > now ? usec - now : 0;
	tv.tv_sec = (time_t)(usec / 1000000);
	tv.tv_usec = (suseconds_t)(usec % 1000000);
	evtimer_add(&timer, &tv);
	armed = when;
}

void
wheel_set(struct wheel_entry *e, uint64_t due)
{
	uint64_t	 t;

	wheel_del(e);
	/* Round up: never early. */
	t = due / WHEEL_TICK + 1;
	if (t <= done)
		t = done + 1;
	e->due = t * WHEEL_TICK;
	TAILQ_INSERT_TAIL(&slots[t % SLOTS], e, entry);
	count++;
	arm(t);
}

void
wheel_hasten(struct wheel_entry *e, uint64_t due)
{
	if (e->due == 0 || e->due > due + WHEEL_TICK)
		wheel_set(e, due);
}

void
wheel_del(struct wheel_entry *e)
{
	if (e->due == 0)
		return;
	TAILQ_REMOVE(&slots[e->due / WHEEL_TICK % SLOTS], e, entry);
	e->due = 0;
	count--;
}

/* The next tick from t on that has an entry in its slot, at most a turn. */
static uint64_t
next_tick(uint64_t t)
{
	unsigned	 i;

	for (i = 0; i < SLOTS; i++)
		if (!TAILQ_EMPTY(&slots[(t + i) % SLOTS]))
			return t + i;
	return t + SLOTS;
}

static void
tick(int fd, short what, void *arg)
{
	struct slot		 due;
	struct wheel_entry	*e, *next;
	uint64_t		 now, t;

	armed = 0;
	now = mono_usec() / WHEEL_TICK;
	if (now > done + SLOTS)		/* we were stopped: look everywhere */
		done = now - SLOTS;
	TAILQ_INIT(&due);
	for (t = done + 1; t <= now; t++)
		TAILQ_FOREACH_SAFE(e, &slots[t % SLOTS], entry, next)
			if (e->due <= now * WHEEL_TICK) {
				TAILQ_REMOVE(&slots[t % SLOTS], e, entry);
				TAILQ_INSERT_TAIL(&due, e, entry);
			}
	done = now;
	/*
	 * A callback may free entries that wait here; so the list goes back to
	 * the head of a slot first, that of tick `now'.
	 */
	TAILQ_FOREACH(e, &due, entry)
		e->due = now * WHEEL_TICK;
	TAILQ_CONCAT(&due, &slots[now % SLOTS], entry);
	TAILQ_CONCAT(&slots[now % SLOTS], &due, entry);
	while ((e = TAILQ_FIRST(&slots[now % SLOTS])) != NULL &&
	    e->due == now * WHEEL_TICK) {
		wheel_del(e);
		fire_cb(e);
	}
	if (count != 0)
		arm(next_tick(done + 1));
}
