/* SPDX-License-Identifier: ISC */

/* dialer.c: the dialer role: admits sessions and connects their targets. */

#include "compat.h"

#include <sys/types.h>
#include <sys/resource.h>
#include <sys/time.h>

#include <event.h>
#include <imsg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "admit.h"
#include "chan.h"
#include "child.h"
#include "connect.h"
#include "hosts.h"
#include "log.h"
#include "msg.h"
#include "policy.h"
#include "probe.h"
#include "resolve.h"
#include "stats.h"

/*
 * A session here:
 *
 *	OPEN --policy, limits--> REFUSED, forgotten
 *	  | ADMITTED: registered
 *	  +--echo--------------------------------------> admitted
 *	  | dialling --FAILED (stays registered)-------> admitted
 *	  +--------CONNECTED---------------------------> admitted
 *	                                  CLOSED, relay gone | --> forgotten
 *
 * After a start of ours the relays announce what lives; until all of them
 * have, OPENs are parked, because the counts are not complete.
 */
#define PENDING_MAX	512		/* dials, or OPENs parked, of a relay */
#define SHARES		64
#define ANSWERS_MAX	512		/* that a relay has not yet read */
#define SESSIONS_MAX	(512 * 1024)	/* of a relay, whatever its limits */
#define ANNOUNCE_WAIT	3		/* seconds for relays to announce */
#define COUNT_SECONDS	5		/* between counts of descriptors */
#define PREVIOUS_SECONDS 10		/* relays commit within 5, or die */

struct parked {
	TAILQ_ENTRY(parked) entry;
	struct chan	*chan;
	struct msg_open	 open;
};

static struct {
	bool		 announced;
	unsigned	 pending;	/* dials on their way */
	unsigned	 share[SHARES];	/* of them, by location or forward */
	unsigned	 parked;
	unsigned	 sessions;	/* registered */
} relays[RELAYS_MAX];

static TAILQ_HEAD(, parked) parked = TAILQ_HEAD_INITIALIZER(parked);
static struct hosts	*nexthosts;	/* prepared, not yet committed */
static struct conf	*previous;	/* the one before, for a while */
static unsigned		 sessions_max = SESSIONS_MAX;	/* of a relay */
static bool		 committed, ready;
static struct event	 announce_timer, count_timer, previous_timer;

/*
 * Answers.
 */
static void
answer(struct chan *c, uint32_t type, uint64_t session, enum reason reason,
    int error, const char *target, int fd)
{
	struct msg_answer	 m;
	struct ibuf		*b;
	char			 sid[SID_TEXT];

	memset(&m, 0, sizeof(m));
	m.session = session;
	m.reason = reason;
	m.error = error;
	if (target != NULL)
		(void)strlcpy(m.target, target, sizeof(m.target));
	b = chan_msg(c, type);
	if (b != NULL && msg_answer_put(b, &m) == -1) {
		ibuf_free(b);
		b = NULL;
	}
	/* The session then ends by the relay's own deadline. */
	if (chan_send(c, b, fd) == -1)
		log_warnx("relay %u does not read: %s for %s is lost",
		    c->slot, msg_name(type), sid_format(session, sid));
}

static void
refuse(struct chan *c, uint64_t session, enum reason reason)
{
	/* Counted and logged by the relay, as all its refusals. */
	answer(c, MSG_REFUSED, session, reason, 0, NULL, -1);
}

static void
log_failure(const struct admit *a, enum reason reason, const char *detail)
{
	const struct conf_server	*s;
	const struct conf_loc		*l;
	struct addr			 source;
	struct logrec			 r;
	char				 sid[SID_TEXT];

	log_begin(&r, LOG_L_BRIEF, EV_LOG_DIAL_FAILED);
	log_str(&r, LK_SESSION, sid_format(a->id, sid));
	if ((s = conf_server_by_id(child_conf(), a->server)) != NULL)
		log_str(&r, LK_SERVER, s->name);
	if ((l = conf_loc_by_id(child_conf(), a->loc)) != NULL)
		log_str(&r, LK_LOCATION, l->pattern);
	addr_unpack(&a->source, &source);
	if (source.len != 0)
		log_addr(&r, LK_CLIENT, &source);
	if (a->dest != NULL)
		log_str(&r, LK_TARGET, a->dest);
	else if (a->target != NULL)
		log_str(&r, LK_TARGET, a->target);
	log_str(&r, LK_REASON, reason_word(reason));
	if (detail[0] != '\0')
		log_str(&r, LK_MESSAGE, detail);
	log_send(&r);
}

/* An admitted session does not get its target. */
static void
fail(struct chan *c, const struct admit *a, enum reason reason, int error,
    const char *detail)
{
	stats->dial_failures[reason]++;
	log_failure(a, reason, detail);
	answer(c, MSG_FAILED, a->id, reason, error,
	    a->dest != NULL ? a->dest : a->target, -1);
}

/*
 * Policy is the newest.  But relays commit after us: a forward that they open
 * meanwhile may have had another server, or be gone by now, and goes where
 * its generation says.
 */
static void
decide(const struct msg_open *o, struct decision *d)
{
	policy_decide(child_conf(), o, d);
	if (o->forward != 0 && d->refuse == REASON_TARGET_NOT_ALLOWED &&
	    previous != NULL)
		policy_decide(previous, o, d);
}

/*
 * Dialling.
 */
static bool
dial_allowed(void *arg, const struct addr *addr)
{
	struct admit	*a = arg;
	struct msg_open	 o;
	struct decision	 d;

	/* A forward's server is our own side's choice. */
	if (a->forward != 0)
		return (true);
	/* By the newest configuration: it may have changed meanwhile. */
	admit_open(a, &o);
	policy_decide(child_conf(), &o, &d);
	return (d.has_dest &&
	    policy_addr_ok(child_conf(), a->loc, &d.dest, addr));
}

static unsigned *
dial_share(const struct admit *a)
{
	uint32_t	 id = a->forward != 0 ? a->forward : a->loc;

	return (&relays[SID_SLOT(a->id)].share[id % SHARES]);
}

static void
dial_count(const struct admit *a, int n)
{
	relays[SID_SLOT(a->id)].pending += (unsigned)n;
	*dial_share(a) += (unsigned)n;
}

/*
 * A target that does not answer must not take the places of all others: each
 * location may have as many dials under way as there are places left.
 */
static bool
dial_has_room(const struct msg_open *o)
{
	struct admit	 a;

	memset(&a, 0, sizeof(a));
	a.id = o->session;
	a.loc = o->loc;
	a.forward = o->forward;
	return (*dial_share(&a) <
	    PENDING_MAX - relays[SID_SLOT(a.id)].pending);
}

static void
dial_done(void *arg, struct connect_result *res)
{
	struct admit	*a = arg;
	struct chan	*c = child_peer(ROLE_RELAY, SID_SLOT(a->id));
	struct msg_open	 o;

	a->dial = NULL;
	dial_count(a, -1);
	if (res->fd == -1) {
		if (c != NULL)
			fail(c, a, res->reason, res->error, res->detail);
		return;
	}
	if (c == NULL) {
		close(res->fd);
		return;
	}
	/* A reload may have taken this address away while we dialled it. */
	admit_open(a, &o);
	if (o.forward == 0 && !policy_still(child_conf(), &o, a->dest,
	    res->reached)) {
		close(res->fd);
		fail(c, a, REASON_TARGET_NOT_ALLOWED, 0,
		    "no longer allowed when it was reached");
		return;
	}
	a->reached = a->dest != NULL && strcmp(a->dest, res->reached) == 0 ?
	    a->dest : strdup(res->reached);
	answer(c, MSG_CONNECTED, a->id, REASON_NONE, 0, res->reached,
	    res->fd);
}

static const struct connect_ops dial_ops = {
	.allowed = dial_allowed,
	.done = dial_done,
};

static void
dial_cancel(struct admit *a)
{
	if (a->dial == NULL)
		return;
	connect_cancel(a->dial);
	a->dial = NULL;
	dial_count(a, -1);
}

static void
forget(struct admit *a)
{
	dial_cancel(a);
	relays[SID_SLOT(a->id)].sessions--;
	admit_remove(a);
}

/*
 * A relay speaks only for its own sessions, and only for those of this
 * incarnation.
 */
static bool
own_session(const struct chan *c, uint64_t id)
{
	if (!LAYER(OWNER))
		return (true);
	return (SID_SLOT(id) == c->slot && SID_INCARNATION(id) ==
	    (c->incarnation & ((1U << SID_INCARNATION_BITS) - 1)));
}

/* Within the limits?  Registers it then. */
static enum reason
admit_session(const struct msg_open *o, const struct decision *d,
    struct admit **a)
{
	struct admit_limits	 l = { OFF, OFF, OFF };
	enum reason		 r;

	/* What only a relay that lies can reach. */
	if (relays[SID_SLOT(o->session)].sessions >= sessions_max)
		return (REASON_UNAVAILABLE);
	if (d->server != NULL) {
		l.server = d->server->max_sessions;
		l.source = d->server->max_per_source;
		l.loc = d->loc->max_sessions;
	}
	if ((r = admit_add(o, &l, a)) == REASON_NONE)
		relays[SID_SLOT(o->session)].sessions++;
	return (r);
}

static enum reason
dial_start(struct admit *a, const struct dest *d)
{
	char	 text[TARGET_TEXT];

	/* An announced one may have been there before. */
	if (a->reached != a->dest)
		free(a->reached);
	a->reached = NULL;
	free(a->dest);
	a->dest = strdup(dest_format(d, text, sizeof(text)));
	a->dial = connect_start(d, child_conf()->t_connect, &dial_ops, a);
	if (a->dial == NULL)
		return (REASON_INTERNAL);
	dial_count(a, 1);
	return (REASON_NONE);
}

static void
open_session(struct chan *c, const struct msg_open *o)
{
	struct decision	 d;
	struct admit	*a;
	enum reason	 r;
	char		 text[TARGET_TEXT];

	if ((a = admit_find(o->session)) != NULL && !a->reopen) {
		log_warnx("relay %u opened a session twice", c->slot);
		return;
	}
	decide(o, &d);
	r = d.refuse;
	if (r == REASON_NONE && d.has_dest && !dial_has_room(o))
		r = REASON_UNAVAILABLE;
	if (a == NULL) {
		if (r == REASON_NONE)
			r = admit_session(o, &d, &a);
		if (r != REASON_NONE) {
			refuse(c, o->session, r);
			return;
		}
	}
	/* An announced one was admitted before: now it can only fail. */
	a->reopen = false;
	if (r == REASON_NONE)
		r = d.fail;
	/* First, so that a target reached at once is told together with it. */
	if (r == REASON_NONE && d.has_dest)
		r = dial_start(a, &d.dest);
	answer(c, MSG_ADMITTED, a->id, REASON_NONE, 0, d.has_dest ?
	    dest_format(&d.dest, text, sizeof(text)) : NULL, -1);
	if (r != REASON_NONE)
		fail(c, a, r, 0, r == REASON_UNAVAILABLE ?
		    "too many targets are being dialled" :
		    r == REASON_INTERNAL ? "out of memory" : "");
}

/*
 * Start: parked OPENs.
 */
static void
park(struct chan *c, const struct msg_open *o)
{
	struct parked	*p;

	if (relays[c->slot].parked >= PENDING_MAX ||
	    (p = malloc(sizeof(*p))) == NULL) {
		refuse(c, o->session, REASON_UNAVAILABLE);
		return;
	}
	p->chan = c;
	p->open = *o;
	TAILQ_INSERT_TAIL(&parked, p, entry);
	relays[c->slot].parked++;
}

static void
unpark(struct parked *p)
{
	TAILQ_REMOVE(&parked, p, entry);
	relays[p->chan->slot].parked--;
	free(p);
}

static bool
unpark_session(uint64_t session)
{
	struct parked	*p;

	TAILQ_FOREACH(p, &parked, entry)
		if (p->open.session == session) {
			unpark(p);
			return (true);
		}
	return (false);
}

static void
become_ready(void)
{
	struct parked	*p;

	ready = true;
	evtimer_del(&announce_timer);
	child_ready();
	while ((p = TAILQ_FIRST(&parked)) != NULL) {
		open_session(p->chan, &p->open);
		unpark(p);
	}
}

/* Ready as soon as every relay that is there has announced its sessions. */
static void
check_ready(void)
{
	unsigned	 i;

	if (!committed || ready)
		return;
	for (i = 0; i < RELAYS_MAX; i++)
		if (child_peer(ROLE_RELAY, i) != NULL && !relays[i].announced)
			return;
	become_ready();
}

static void
on_announce_timer(int fd, short what, void *arg)
{
	log_warnx("not all relays have announced their sessions");
	become_ready();
}

/*
 * Messages of relays.
 */
static void
got_open(struct chan *c, struct imsg *m)
{
	struct msg_open	 o;

	if (msg_open_get(m, &o) == -1 || !own_session(c, o.session)) {
		log_warnx("relay %u sent a bad OPEN", c->slot);
		return;
	}
	/* Limits and policy must not see two spellings of one address. */
	addr_unmap(&o.source);
	if (ready)
		open_session(c, &o);
	else
		park(c, &o);
}

static void
got_closed(struct chan *c, struct imsg *m)
{
	struct msg_answer	 n;
	struct admit		*a;

	if (msg_answer_get(m, &n) == -1 || !own_session(c, n.session)) {
		log_warnx("relay %u sent a bad CLOSED", c->slot);
		return;
	}
	if (!ready)
		(void)unpark_session(n.session);
	if ((a = admit_find(n.session)) != NULL)
		forget(a);
}

static void
revoke_session(struct admit *a)
{
	struct chan	*c = child_peer(ROLE_RELAY, SID_SLOT(a->id));

	if (a->revoked)
		return;
	a->revoked = true;
	if (a->dial != NULL) {
		stats->dial_failures[REASON_REVOKED]++;
		log_failure(a, REASON_REVOKED, "");
		dial_cancel(a);
	}
	if (c != NULL)
		answer(c, MSG_REVOKE, a->id, REASON_REVOKED, 0, NULL, -1);
}

/* End it if the committed configuration does not allow it any more. */
static void
reconsider(struct admit *a)
{
	struct msg_open	 o;

	/* A forward's end is up to its own side. */
	if (a->forward != 0)
		return;
	admit_open(a, &o);
	if (!policy_still(child_conf(), &o, a->dest, a->reached))
		revoke_session(a);
}

/*
 * What an announced session was opened for is what the configuration says
 * now: we start with the one that was decided by.  But where the target is
 * an address or a path, the relay knows better, and a reload may have been
 * under way.
 */
static void
announced_dest(struct admit *a)
{
	struct decision	 d;
	struct msg_open	 o;
	char		 text[TARGET_TEXT];

	if (a->dest != NULL)
		return;
	admit_open(a, &o);
	policy_decide(child_conf(), &o, &d);
	if (!d.has_dest)
		return;
	if (a->reached != NULL && d.dest.kind != TARGET_NAME)
		a->dest = strdup(a->reached);
	else
		a->dest = strdup(dest_format(&d.dest, text, sizeof(text)));
}

static void
got_announce(struct chan *c, struct imsg *m)
{
	struct msg_announce	 n;
	struct admit		*a;

	if (msg_announce_get(m, &n) == -1 ||
	    !own_session(c, n.open.session) || relays[c->slot].announced) {
		log_warnx("relay %u sent a bad ANNOUNCE", c->slot);
		return;
	}
	addr_unmap(&n.open.source);
	if (relays[c->slot].sessions >= sessions_max ||
	    admit_add(&n.open, NULL, &a) != REASON_NONE) {
		log_warnx("relay %u announced a session twice", c->slot);
		return;
	}
	relays[c->slot].sessions++;
	a->reopen = n.pending;
	if (n.reached[0] != '\0')
		a->reached = strdup(n.reached);
	if (committed) {
		announced_dest(a);
		reconsider(a);
	}
}

static void
dialer_message(struct chan *c, struct imsg *m)
{
	if (c->peer != ROLE_RELAY && LAYER(PEER)) {
		log_warnx("unexpected %s from %s", msg_name(imsg_get_type(m)),
		    role_name(c->peer));
		return;
	}
	switch (imsg_get_type(m)) {
	case MSG_OPEN:
		got_open(c, m);
		break;
	case MSG_CLOSED:
		got_closed(c, m);
		break;
	case MSG_ANNOUNCE:
		got_announce(c, m);
		break;
	case MSG_ANNOUNCED:
		relays[c->slot].announced = true;
		check_ready();
		break;
	default:
		log_warnx("unexpected %s from relay %u",
		    msg_name(imsg_get_type(m)), c->slot);
		break;
	}
}

static void
dialer_peer_up(struct chan *c)
{
	if (c->peer != ROLE_RELAY)
		return;
	relays[c->slot].announced = false;
	/* Answers carry descriptors, of which we have as many as others. */
	c->window = ANSWERS_MAX;
}

/* A dead relay's sessions are over: its share returns. */
static void
dialer_peer_down(struct chan *c)
{
	struct parked	*p, *tmp;
	struct admit	*a, *next;

	if (c->peer != ROLE_RELAY)
		return;
	TAILQ_FOREACH_SAFE(p, &parked, entry, tmp)
		if (p->chan == c)
			unpark(p);
	a = admit_first(SID_MAKE(c->slot, 0, 0));
	for (; a != NULL && SID_SLOT(a->id) == c->slot; a = next) {
		next = admit_next(a);
		forget(a);
	}
	relays[c->slot].announced = false;
	check_ready();
}

/*
 * Configuration.
 */
static int
dialer_prepare(struct conf *c, char *err, size_t errlen)
{
	/* One that was prepared and then dropped. */
	hosts_free(nexthosts);
	if ((nexthosts = hosts_parse(c->hosts_text)) == NULL) {
		(void)strlcpy(err, "dialer: out of memory for the hosts file",
		    errlen);
		return (-1);
	}
	return (0);
}

static void
dialer_commit(struct conf *newconf, struct conf *old)
{
	struct timeval	 tv = { .tv_sec = ANNOUNCE_WAIT };
	struct timeval	 late = { .tv_sec = PREVIOUS_SECONDS };
	struct admit	*a;

	resolve_configure(nexthosts, newconf);
	nexthosts = NULL;
	conf_unref(previous);
	previous = old != NULL ? conf_ref(old) : NULL;
	if (previous != NULL)
		evtimer_add(&previous_timer, &late);
	for (a = admit_first(0); a != NULL; a = admit_next(a)) {
		announced_dest(a);
		reconsider(a);
	}
	if (committed)
		return;
	committed = true;
	evtimer_add(&announce_timer, &tv);
	check_ready();
}

/*
 * Life.
 */

/* By now every relay has committed, and nobody asks by the old one. */
static void
on_previous_timer(int fd, short what, void *arg)
{
	conf_unref(previous);
	previous = NULL;
}

static void
on_count_timer(int fd, short what, void *arg)
{
	struct timeval	 tv = { .tv_sec = COUNT_SECONDS };

	stats_descriptors();
	evtimer_add(&count_timer, &tv);
}

/*
 * Each session of a relay holds a descriptor, and relays have as many as we.
 * Twice that leaves room for ends that a busy channel has not told yet.
 */
static void
limit_sessions(void)
{
	struct rlimit	 rl;

	if (getrlimit(RLIMIT_NOFILE, &rl) == 0 &&
	    rl.rlim_cur < SESSIONS_MAX / 2)
		sessions_max = (unsigned)rl.rlim_cur * 2;
}

static void
dialer_init(const struct msg_hello *hello)
{
	const char	*why;

	limit_sessions();
	if (resolve_init(&why) == -1)
		fatalx("c-ares: %s", why);
	evtimer_set(&announce_timer, on_announce_timer, NULL);
	evtimer_set(&count_timer, on_count_timer, NULL);
	evtimer_set(&previous_timer, on_previous_timer, NULL);
	on_count_timer(-1, 0, NULL);
}

static void
dialer_stop(void)
{
	child_exit(0);
}

const struct role_ops dialer_ops = {
	.role = ROLE_DIALER,
	.init = dialer_init,
	.prepare = dialer_prepare,
	.commit = dialer_commit,
	.peer_up = dialer_peer_up,
	.peer_down = dialer_peer_down,
	.message = dialer_message,
	.stop = dialer_stop,
};
