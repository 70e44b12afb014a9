/* SPDX-License-Identifier: ISC */

/* supervise.c: starting, watching and replacing the children. */

#include "compat.h"

#include <sys/time.h>
#include <sys/wait.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "inbox.h"
#include "log.h"
#include "parent.h"
#include "plog.h"
#include "probe.h"
#include "reload.h"
#include "shutdown.h"
#include "spawn.h"
#include "stats.h"
#include "supervise.h"
#include "worker.h"

#define PING_EVERY	2		/* seconds */
#define PINGS_MAX	5		/* unanswered: 10 s of silence */
#define DELAY_MIN	100000		/* usec */
#define DELAY_MAX	30000000
#define ALARM_DEATHS	PROBE_DEATHS(5)	/* more than these ... */
#define ALARM_WINDOW	10000000	/* ... in so many usec */
#define ALARM_DELAY	1000000
#define START_TRIES	3		/* at the first start */
#define NO_NUMBER	UINT32_MAX	/* of a system call: not known */
#define QUEUE_MAX	(1U << 18)	/* a long configuration fits in */

static uint32_t		 last_incarnation;
static struct event	 ping_ev, child_ev;

/* The times of the last deaths of each role, oldest first. */
static struct {
	uint64_t	at[ALARM_DEATHS + 1];
	unsigned	n;
} deaths[ROLE_MAX];

static void	spawn(struct worker *);
static void	try_again(int, short, void *);

/*
 * Life.
 */
/* No zombie yet?  One that is dying closes its descriptors before. */
static bool
lives(pid_t pid)
{
	siginfo_t	 si;

	memset(&si, 0, sizeof(si));
	return (waitid(P_PID, (id_t)pid, &si, WEXITED | WNOHANG | WNOWAIT) ==
	    0 && si.si_pid == 0);
}

/* Its channel ended: if the process is not dead yet, it is of no use. */
static void
end_of(struct worker *w, const char *why)
{
	if (strcmp(why, "closed") != 0 && !w->killed && lives(w->pid))
		log_warnx("channel of %s %u (pid %ld): %s",
		    role_name(w->role), w->slot, (long)w->pid, why);
	else
		log_debug("channel of %s %u (pid %ld): %s",
		    role_name(w->role), w->slot, (long)w->pid, why);
	(void)kill(w->pid, SIGKILL);
}

static void
on_gone(struct chan *c, const char *why)
{
	struct worker	*w = c->arg;

	if (w->role == ROLE_CONTROL)
		plog_control(NULL);
	if (w->pid != 0)
		end_of(w, why);
	/* Last: it sees that and exits, and would pass for dead already. */
	chan_free(c);
	w->chan = NULL;
}

static void
on_message(struct chan *c, struct imsg *m)
{
	struct worker	*w = c->arg;

	w->silent = 0;
	inbox(w, m);
}

static void
again_in(struct worker *w, uint64_t usec)
{
	struct timeval	 tv;

	tv.tv_sec = (time_t)(usec / 1000000);
	tv.tv_usec = (suseconds_t)(usec % 1000000);
	worker_state(w, WORKER_WAITING);
	evtimer_add(&w->again, &tv);
}

static void
back_off(struct worker *w)
{
	w->delay = w->delay == 0 ? DELAY_MIN : w->delay * 2;
	if (w->delay > DELAY_MAX)
		w->delay = DELAY_MAX;
	again_in(w, w->alarm && w->delay < ALARM_DELAY ? ALARM_DELAY :
	    w->delay);
}

/* With errno. */
static void
no_process(struct worker *w, const char *what)
{
	int	 saved = errno;

	log_warn("cannot start %s %u: %s", role_name(w->role), w->slot, what);
	if (parent.phase == PHASE_START && ++w->failures >= START_TRIES)
		parent_fail("%s %u cannot start: %s: %s", role_name(w->role),
		    w->slot, what, strerror(saved));
	back_off(w);
}

static void
spawn(struct worker *w)
{
	struct spawned	 s;

	if (w->stats == -1 && (w->stats = stats_create()) == -1) {
		no_process(w, "counters");
		return;
	}
	if (spawn_child(w->role, parent.debug, &s) == -1) {
		no_process(w, "new process");
		return;
	}
	/* 0 stays "none" when the number wraps, after years. */
	last_incarnation = (last_incarnation + 1) &
	    ((1U << SID_INCARNATION_BITS) - 1);
	if (last_incarnation == 0)
		last_incarnation = 1;
	w->incarnation = last_incarnation;
	w->pid = s.pid;
	w->violation = s.violation;
	w->silent = 0;
	w->why[0] = '\0';
	w->offer = OFFER_NONE;
	w->offered = w->committing = w->committed = 0;
	w->unanswered = 0;
	w->drained = w->stopped = w->jailed = w->killed = false;
	w->deadline = 0;
	memset(&w->sandbox, 0, sizeof(w->sandbox));
	w->chan = chan_new(s.channel, w->role, w->slot, w->incarnation,
	    on_message, on_gone, w);
	w->chan->queue_max = QUEUE_MAX;
	worker_hello(w);
	worker_connect(w);
	if (w->role == ROLE_CONTROL)
		worker_equip_control();
	else
		worker_page(w);
	worker_state(w, WORKER_STARTING);
	/* While a reload is undecided nobody knows which one is right. */
	if (sup_alive(w) && !reload_undecided() &&
	    sup_offer(w, parent.conf) == -1)
		sup_kill(w, "cannot be sent the configuration");
}

static void
try_again(int fd, short ev, void *arg)
{
	spawn(arg);
}

/* Count a death; tells whether there were too many. */
static bool
count_death(enum role role)
{
	uint64_t	 now = mono_usec();

	if (deaths[role].n == ALARM_DEATHS + 1)
		memmove(&deaths[role].at[0], &deaths[role].at[1],
		    sizeof(deaths[role].at[0]) * ALARM_DEATHS);
	else
		deaths[role].n++;
	deaths[role].at[deaths[role].n - 1] = now;
	return (deaths[role].n == ALARM_DEATHS + 1 &&
	    now - deaths[role].at[0] < ALARM_WINDOW);
}

static void
set_alarm(enum role role, bool on)
{
	struct worker	*w;
	bool		 changed = false;

	for (w = sup_next(NULL); w != NULL; w = sup_next(w)) {
		if (w->role != role || w->alarm == on)
			continue;
		w->alarm = on;
		changed = true;
		sup_row(w);
	}
	if (changed && on)
		log_error("%s processes die too often: more than %d in %d s",
		    role_name(role), ALARM_DEATHS, ALARM_WINDOW / 1000000);
	else if (changed)
		log_brief("%s processes live again", role_name(role));
}

static void
log_death(const struct worker *w, int status, bool expected, bool violated,
    uint32_t nr)
{
	struct logrec	 r;

	if (violated) {
		log_begin(&r, LOG_L_ERROR, EV_LOG_SANDBOX_VIOLATION);
		log_str(&r, LK_ROLE, role_name(w->role));
		log_num(&r, LK_ID, w->slot);
		log_num(&r, LK_PID, (uint64_t)w->pid);
		if (nr != NO_NUMBER)
			log_num(&r, LK_SYSCALL, nr);
		log_send(&r);
	}
	log_begin(&r, expected ? LOG_L_VERBOSE : LOG_L_WARN,
	    EV_LOG_WORKER_EXIT);
	log_str(&r, LK_ROLE, role_name(w->role));
	log_num(&r, LK_ID, w->slot);
	log_num(&r, LK_PID, (uint64_t)w->pid);
	if (WIFSIGNALED(status))
		log_num(&r, LK_SIGNAL, (uint64_t)WTERMSIG(status));
	else
		log_num(&r, LK_STATUS, (uint64_t)WEXITSTATUS(status));
	log_send(&r);
}

static const char *
death_text(int status, bool violated, uint32_t nr, char *buf, size_t len)
{
	if (violated && nr == NO_NUMBER)
		snprintf(buf, len, "made a forbidden system call");
	else if (violated)
		snprintf(buf, len, "made the forbidden system call %u", nr);
	else if (WIFSIGNALED(status))
		snprintf(buf, len, "died of signal %d", WTERMSIG(status));
	else
		snprintf(buf, len, "exited with %d", WEXITSTATUS(status));
	return (buf);
}

static void
unuse(struct worker *w)
{
	evtimer_del(&w->again);
	worker_state(w, WORKER_GONE);
	w->used = false;
}

/* Those that wait for their next try will not get it. */
void
sup_give_up(enum role role)
{
	struct worker	*w;

	for (w = sup_next(NULL); w != NULL; w = sup_next(w)) {
		if (w->role == role && w->pid == 0)
			unuse(w);
	}
}

static void
died(struct worker *w, int status)
{
	bool		 ready = w->state == WORKER_READY;
	bool		 expected = w->retired || parent.phase == PHASE_STOP;
	bool		 violated;
	uint32_t	 nr = NO_NUMBER;
	char		 text[128];

	/* Its own death is told to its successor. */
	if (w->role == ROLE_CONTROL)
		plog_control(NULL);
	/* Some calls, as execve(2), are not worth last words. */
	violated = spawn_violation(w->violation, &nr) ||
	    (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS);
	log_death(w, status, expected, violated, nr);
	w->violation = -1;
	w->pid = 0;
	chan_free(w->chan);
	w->chan = NULL;
	worker_tell_gone(w);
	reload_died(w);
	/* That may have ended a reload, which retired or started it. */
	if (!w->used || w->pid != 0 || w->state == WORKER_WAITING)
		return;
	expected = w->retired || parent.phase == PHASE_STOP;
	if (expected || (parent.phase == PHASE_DRAIN &&
	    w->role == ROLE_RELAY)) {
		unuse(w);
		shutdown_died();
		/* A slot that was to go may be wanted again by now. */
		if (parent.phase == PHASE_RUN)
			sup_populate(conf_prefork(parent.conf));
		return;
	}
	w->restarts++;
	if (parent.phase == PHASE_START && ++w->failures >= START_TRIES)
		parent_fail("%s %u cannot start: it %s%s%s",
		    role_name(w->role), w->slot, death_text(status, violated,
		    nr, text, sizeof(text)), w->why[0] != '\0' ? ": " : "",
		    w->why);
	if (count_death(w->role))
		set_alarm(w->role, true);
	if (!ready)
		back_off(w);
	else if (w->alarm)
		again_in(w, ALARM_DELAY);
	else
		spawn(w);
}

static struct worker *
by_pid(pid_t pid)
{
	struct worker	*w;

	for (w = sup_next(NULL); w != NULL; w = sup_next(w)) {
		if (w->pid == pid)
			return (w);
	}
	return (NULL);
}

static void
on_child(int sig, short ev, void *arg)
{
	struct worker	*w;
	pid_t		 pid;
	int		 status;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if ((w = by_pid(pid)) != NULL)
			died(w, status);
	}
}

static bool
all_ready(enum role role)
{
	struct worker	*w;

	for (w = sup_next(NULL); w != NULL; w = sup_next(w)) {
		if (w->role == role && !w->retired &&
		    w->state != WORKER_READY)
			return (false);
	}
	return (true);
}

static void
calm_down(void)
{
	uint64_t	 now = mono_usec();
	enum role	 role;

	for (role = ROLE_CONTROL; role < ROLE_MAX; role++) {
		if (deaths[role].n > 0 &&
		    now - deaths[role].at[deaths[role].n - 1] > ALARM_WINDOW &&
		    all_ready(role))
			set_alarm(role, false);
	}
}

/*
 * Ping by counting, not by the clock: if we ourselves were stopped for a
 * while, nobody is to blame for it.
 */
static void
on_ping(int fd, short ev, void *arg)
{
	struct timeval	 tv = { .tv_sec = PING_EVERY };
	struct worker	*w;

	for (w = sup_next(NULL); w != NULL; w = sup_next(w)) {
		if (!sup_alive(w))
			continue;
		if (w->silent++ >= PINGS_MAX)
			sup_kill(w, "is silent for 10 s");
		else
			sup_signal(w, MSG_ALIVE);
	}
	calm_down();
	evtimer_add(&ping_ev, &tv);
}

void
sup_ready(struct worker *w)
{
	struct logrec	 r;

	if (w->retired)
		return;		/* DRAIN crossed it */
	if (w->state != WORKER_STARTING ||
	    (w->committing == 0 && w->committed == 0)) {
		sup_kill(w, "said READY at the wrong time");
		return;
	}
	w->failures = 0;
	w->delay = 0;
	worker_state(w, WORKER_READY);
	if (w->role == ROLE_CONTROL)
		plog_control(w->chan);
	log_begin(&r, w->restarts > 0 ? LOG_L_BRIEF : LOG_L_VERBOSE,
	    EV_LOG_WORKER_READY);
	log_str(&r, LK_ROLE, role_name(w->role));
	log_num(&r, LK_ID, w->slot);
	log_num(&r, LK_PID, (uint64_t)w->pid);
	log_send(&r);
	if (parent.phase == PHASE_START && sup_all_ready())
		parent_ready();
	if (parent.phase == PHASE_DRAIN)
		shutdown_newcomer(w);
}

static void
use(struct worker *w)
{
	if (w->used && !w->retired)
		return;
	if (w->pid != 0)
		return;		/* still leaving: died() comes back to it */
	w->used = true;
	w->retired = false;
	w->failures = 0;
	w->delay = 0;
	spawn(w);
}

static void
retire(struct worker *w)
{
	if (!w->used || w->retired)
		return;
	w->retired = true;
	if (w->pid == 0) {
		unuse(w);
		return;
	}
	worker_state(w, WORKER_DRAINING);
	shutdown_retire(w);
}

void
sup_populate(unsigned n)
{
	unsigned	 i;

	use(sup_get(ROLE_CONTROL, 0));
	use(sup_get(ROLE_DIALER, 0));
	for (i = 0; i < RELAYS_MAX; i++) {
		if (i < n)
			use(sup_get(ROLE_RELAY, i));
		else
			retire(sup_get(ROLE_RELAY, i));
	}
}

void
sup_retry(void)
{
	struct worker	*w;

	for (w = sup_next(NULL); w != NULL; w = sup_next(w)) {
		if (w->pid != 0 || w->state != WORKER_WAITING)
			continue;
		evtimer_del(&w->again);
		w->delay = 0;
		spawn(w);
	}
}

void
sup_kill_all(void)
{
	struct worker	*w;
	int		 status;

	for (w = sup_next(NULL); w != NULL; w = sup_next(w)) {
		if (w->pid != 0)
			(void)kill(w->pid, SIGKILL);
	}
	for (w = sup_next(NULL); w != NULL; w = sup_next(w)) {
		while (w->pid != 0 && waitpid(w->pid, &status, 0) == -1 &&
		    errno == EINTR)
			;
		w->pid = 0;
	}
}

void
sup_init(void)
{
	struct timeval	 tv = { .tv_sec = PING_EVERY };

	worker_init(try_again);
	signal_set(&child_ev, SIGCHLD, on_child, NULL);
	if (signal_add(&child_ev, NULL) == -1)
		fatal("SIGCHLD");
	evtimer_set(&ping_ev, on_ping, NULL);
	evtimer_add(&ping_ev, &tv);
}
