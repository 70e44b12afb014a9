/* SPDX-License-Identifier: ISC */

/* shutdown.c: drain, then stop: relays, the dialer, control, ourselves. */

#include "compat.h"

#include <sys/time.h>

#include <event.h>
#include <string.h>

#include "listen.h"
#include "log.h"
#include "notify.h"
#include "parent.h"
#include "reload.h"
#include "shutdown.h"
#include "supervise.h"

#define SWEEP_USEC	100000	/* how exact deadlines are */
#define STOP_USEC	3000000	/* a child has to be gone by then: relays let
				 * their Close go out for 1 s */

static struct event	 sweep_ev;
static bool		 said_stop;

static void
sweep_soon(void)
{
	struct timeval	 tv = { .tv_usec = SWEEP_USEC };

	evtimer_add(&sweep_ev, &tv);
}

static void
stop_worker(struct worker *w)
{
	if (w->stopped || w->pid == 0)
		return;
	w->stopped = true;
	w->retired = true;
	w->deadline = mono_usec() + STOP_USEC;
	sup_send_num(w, MSG_STOP, 0);
	sweep_soon();
}

static void
drain_worker(struct worker *w, uint64_t payload)
{
	if (parent.conf->grace != OFF)
		w->deadline = mono_usec() + parent.conf->grace;
	sup_send_num(w, MSG_DRAIN, payload);
	sweep_soon();
}

static void
drain_relay(struct worker *w)
{
	w->state = WORKER_DRAINING;
	sup_row(w);
	drain_worker(w, parent.conf->grace);
}

/* Relays first, so that their last records reach control. */
static void
next_step(void)
{
	struct worker	*w;
	struct logrec	 r;

	for (w = sup_next(NULL); w != NULL; w = sup_next(w)) {
		if (w->role == ROLE_RELAY)
			return;
	}
	w = sup_get(ROLE_DIALER, 0);
	if (w->pid != 0) {
		stop_worker(w);
		return;
	}
	if (!said_stop) {
		said_stop = true;
		log_begin(&r, LOG_L_BRIEF, EV_LOG_STOP);
		log_send(&r);
	}
	w = sup_get(ROLE_CONTROL, 0);
	if (w->pid != 0) {
		stop_worker(w);
		return;
	}
	parent_exit(0);
}

static void
stop_all(void)
{
	struct worker	*w;
	enum role	 role;

	parent.phase = PHASE_STOP;
	listen_close_all(parent.conf);
	for (role = ROLE_CONTROL; role < ROLE_MAX; role++)
		sup_give_up(role);
	for (w = sup_next(NULL); w != NULL; w = sup_next(w)) {
		if (w->role == ROLE_RELAY)
			stop_worker(w);
	}
	next_step();
}

static void
check_drained(void)
{
	struct worker	*w;

	if (parent.phase != PHASE_DRAIN)
		return;
	for (w = sup_next(NULL); w != NULL; w = sup_next(w)) {
		if (w->role == ROLE_RELAY && !w->drained)
			return;
	}
	stop_all();
}

static void
on_sweep(int fd, short ev, void *arg)
{
	uint64_t	 now = mono_usec();
	struct worker	*w;
	bool		 more = false, over = false;

	for (w = sup_next(NULL); w != NULL; w = sup_next(w)) {
		if (w->pid == 0 || w->deadline == 0)
			continue;
		more = true;
		if (now < w->deadline)
			continue;
		if (w->stopped) {
			w->deadline = 0;
			sup_kill(w, "did not stop in time");
		} else if (parent.phase == PHASE_DRAIN)
			over = true;
		else
			stop_worker(w);
	}
	if (over)
		stop_all();
	if (more)
		sweep_soon();
}

void
shutdown_begin(void)
{
	struct worker	*w;
	struct logrec	 r;

	switch (parent.phase) {
	case PHASE_RUN:
		break;
	case PHASE_DRAIN:
		stop_all();	/* 1012 to what is left, a second at most */
		return;
	default:
		sup_kill_all();
		parent_exit(0);
	}
	parent.phase = PHASE_DRAIN;
	reload_stop("tunneld is about to stop");
	notify_stopping();
	log_begin(&r, LOG_L_BRIEF, EV_LOG_DRAIN);
	if (parent.conf->grace != OFF)
		log_num(&r, LK_DURATION, parent.conf->grace);
	log_str(&r, LK_MESSAGE, "a second signal ends the sessions at once");
	log_send(&r);
	sup_row(NULL);
	listen_close_forwards(parent.conf);
	/* Nobody needs a new relay now; control and dialer are needed. */
	sup_give_up(ROLE_RELAY);
	for (w = sup_next(NULL); w != NULL; w = sup_next(w)) {
		if (!sup_alive(w) || w->role == ROLE_DIALER)
			continue;
		if (w->role == ROLE_CONTROL)
			sup_send_num(w, MSG_DRAIN, parent.conf->grace);
		else if (w->state != WORKER_STARTING)
			drain_relay(w);
		else if (parent.conf->grace != OFF)
			w->deadline = mono_usec() + parent.conf->grace;
	}
	sweep_soon();
	check_drained();
}

void
shutdown_retire(struct worker *w)
{
	drain_worker(w, DRAIN_RETIRE);
}

void
shutdown_drained(struct worker *w)
{
	if (parent.phase == PHASE_DRAIN)
		check_drained();
	else if (w->retired)
		stop_worker(w);
}

void
shutdown_died(void)
{
	if (parent.phase == PHASE_DRAIN)
		check_drained();
	else if (parent.phase == PHASE_STOP)
		next_step();
}

void
shutdown_newcomer(struct worker *w)
{
	if (w->role == ROLE_CONTROL)
		sup_send_num(w, MSG_DRAIN, parent.conf->grace);
	else if (w->role == ROLE_RELAY)
		drain_relay(w);
}

void
shutdown_init(void)
{
	evtimer_set(&sweep_ev, on_sweep, NULL);
}
