/* SPDX-License-Identifier: ISC */

/* session.c: a session's life: registry, moving on, deadlines, its end. */

#include "compat.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "child.h"
#include "log.h"
#include "session.h"
#include "tunneld.h"

#define SWEEP		15000000	/* look at paused sockets, usec */
#define WAITING_SWEEP	1000000		/* the same while dialling */
#define DIAL_MARGIN	2000000		/* the dialer's own deadline is first */
#define ACK_POLL	20000		/* look for the last ACK, at first */
#define NO_CLOSE_WAIT	60000000	/* WebSocket gone without Close: as
					 * long as a half-close waits */

#define PAUSED_PONG	5000000		/* half the default ping timeout, since
					 * the peer's is not known */
#define BUDGET_STILL	1000000		/* no progress for this long */

struct sessions	 sessions = RB_INITIALIZER(&sessions);
unsigned	 session_count, session_live, session_farewells;
static uint64_t	 counter;

static int
session_cmp(struct session *a, struct session *b)
{
	return a->id < b->id ? -1 : a->id > b->id;
}

RB_GENERATE(sessions, session, node, session_cmp)

struct session *
session_new(struct conf *conf, struct conf_server *server,
    struct conf_forward *fwd, struct conf_listen *listen, int fd,
    const struct addr *peer)
{
	const struct msg_hello	*me = child_hello();
	struct session		*s;

	if ((s = calloc(1, sizeof(*s))) == NULL) {
		close(fd);
		return NULL;
	}
	s->id = SID_MAKE(me->slot, me->incarnation, ++counter);
	s->conf = conf_ref(conf);
	s->server = server;
	s->fwd = fwd;
	s->listen = listen;
	s->type = fwd != NULL ? SESSION_FORWARD : SESSION_GATEWAY;
	addr_pack(peer, &s->peer);
	s->source = s->peer;
	s->started = wall_usec();
	s->t_start = s->t_phase = s->t_sweep = mono_usec();
	conn_init(&s->ws, &upgrade_ops, s);
	conn_init(&s->tcp, &upgrade_ops, s);
	conn_attach(fwd != NULL ? &s->tcp : &s->ws, fd, false);
	RB_INSERT(sessions, &sessions, s);
	session_count++;
	session_live++;
	stats->connections = session_count;
	wheel_set(&s->timer, s->t_start);
	return s;
}

/*
 * All has been said: to the log, to the dialer, to the counters.  What its
 * sockets still do concerns nobody else.
 */
static void
session_finish(struct session *s)
{
	uint32_t	 i = s->server != NULL ? s->server->statidx : 0;

	if (s->finished)
		return;
	s->finished = true;
	session_live--;
	dial_closed(s);
	if (s->counted) {
		row_log_close(s);
		stats->active[i < STATS_SERVERS ? i : 0][s->type]--;
	}
	relay_session_finished();
}

static void
session_free(struct session *s)
{
	conn_close(&s->ws);
	conn_close(&s->tcp);
	wheel_del(&s->timer);
	session_finish(s);
	RB_REMOVE(sessions, &sessions, s);
	session_count--;
	session_farewells -= s->farewell;
	stats->connections = session_count;
	upgrade_free(s);
	free(s->early);
	free(s->pong);
	free(s->xff);
	free(s->target);
	free(s->reached);
	conf_unref(s->conf);
	free(s);
	relay_session_gone();
}

void
session_drop_all(void)
{
	struct session	*s;

	while ((s = RB_MIN(sessions, &sessions)) != NULL)
		session_free(s);
}

struct session *
session_find(uint64_t id)
{
	struct session	 key;

	key.id = id;
	return RB_FIND(sessions, &sessions, &key);
}

void
session_phase(struct session *s, enum phase phase)
{
	s->phase = phase;
	s->t_phase = mono_usec();
	wheel_hasten(&s->timer, s->t_phase);
}

void
session_open(struct session *s)
{
	uint32_t	 i = s->server != NULL ? s->server->statidx : 0;

	if (s->counted)
		return;
	s->counted = true;
	if (i >= STATS_SERVERS)
		i = 0;
	stats->active[i][s->type]++;
	stats->total[i][s->type]++;
	row_log_open(s);
}

static char
phase_letter(enum phase phase)
{
	switch (phase) {
	case PH_HEAD:
	case PH_BODY:
	case PH_ADMIT:
	case PH_UPGRADE:
		return 'H';
	case PH_DIAL:
		return 'Q';
	case PH_OPEN:
		return 'D';
	case PH_CLOSING:
		break;
	}
	return 'L';
}

void
session_why(struct session *s, char who, enum reason reason)
{
	if (s->state[0] != '\0')
		return;
	s->state[0] = who;
	s->state[1] = phase_letter(s->phase);
	s->reason = reason;
}

void
session_abort(struct session *s, char who, enum reason reason)
{
	if (s->phase == PH_CLOSING)
		return;
	if (s->phase <= PH_ADMIT && !session_is_client(s)) {
		upgrade_refuse(s, reason, NULL);
		return;
	}
	session_why(s, who, reason);
	s->doomed = true;
	if (s->phase == PH_OPEN || !session_is_client(s))
		wsend_close(s, reason_close(reason, s->v1),
		    reason_text(reason));
	/* Over the budget only memory counts. */
	pump_end(&s->ws, reason == REASON_BUDGET ? END_RESET : END_LINGER);
	pump_end(&s->tcp, END_RESET);
	session_phase(s, PH_CLOSING);
}

/* A socket broke before there was anything to relay. */
static void
settle_early(struct session *s)
{
	struct conn	*c = session_is_client(s) ? &s->tcp : &s->ws;

	if (s->phase == PH_UPGRADE && s->ws.error != 0)
		session_abort(s, 'T', REASON_RESET_BY_TARGET);
	else if (c->error != 0 || c->werror != 0) {
		session_why(s, 'C', REASON_RESET_BY_CLIENT);
		s->doomed = true;
		conn_close(&s->ws);
		conn_close(&s->tcp);
		session_phase(s, PH_CLOSING);
	}
}

/*
 * Both FINs are here.  Close 1000 says that all was delivered: so it waits
 * for the last ACK, and a RST that comes instead is passed on.
 */
static void
end_v1(struct session *s)
{
	uint64_t	 now;

	if (s->tcp.shut_done && conn_unacked(&s->tcp) == 0) {
		if ((s->tcp.error = conn_sweep(&s->tcp)) == 0 &&
		    s->tcp.werror == 0)
			wsend_close(s, WS_CLOSE_NORMAL, "");
		return;
	}
	if (s->tcp.error != 0 || s->tcp.werror != 0)
		return;
	now = mono_usec();
	wheel_hasten(&s->timer, now + ACK_POLL + (now - s->t_close) / 8);
}

static void
settle_open(struct session *s)
{
	bool	 client = session_is_client(s);

	/* Who says Close and resets does not wait for ours. */
	if (s->close_rcvd && s->ws.werror != 0)
		s->close_sent = true;
	if ((s->ws.error != 0 || (s->ws.werror != 0 && s->ws.eof)) &&
	    !(s->close_sent && s->close_rcvd)) {
		session_why(s, client ? 'T' : 'C', s->ws.error == ETIMEDOUT ?
		    REASON_DEAD_PEER : client ? REASON_RESET_BY_TARGET :
		    REASON_RESET_BY_CLIENT);
		s->doomed = true;
		pump_end(&s->ws, END_RESET);
		pump_end(&s->tcp, END_RESET);
		session_phase(s, PH_CLOSING);
		return;
	}
	if (s->v1 && s->in_fin && s->out_fin && !s->close_sent)
		end_v1(s);
	if (s->tcp.error != 0 || (s->tcp.werror != 0 && s->tcp.eof)) {
		/*
		 * A target that closed while its peer still talks answers
		 * with RST.  A plain WebSocket has been told already, by
		 * Close; under v1 the RST is news.
		 */
		if (!s->close_sent) {
			session_abort(s, client ? 'C' : 'T',
			    s->tcp.error == ETIMEDOUT ? REASON_DEAD_PEER :
			    client ? REASON_RESET_BY_CLIENT :
			    REASON_RESET_BY_TARGET);
			return;
		}
		conn_close(&s->tcp);
		s->tcp.error = s->tcp.werror = 0;
	}
	if (s->ws.eof && s->out_fin)
		wsend_close(s, WS_CLOSE_NORMAL, "");
	if (s->close_sent && (s->close_rcvd || s->ws.eof)) {
		session_why(s, '-', REASON_CLOSED);
		pump_end(&s->ws, END_LINGER);
		pump_end(&s->tcp, END_LINGER);
		session_phase(s, PH_CLOSING);
	}
}

static bool
settle_closing(struct session *s)
{
	uint64_t	 now = mono_usec(), flush;
	bool		 gone;

	if (conn_pending(&s->ws) == 0 && conn_pending(&s->tcp) == 0)
		session_finish(s);
	/* None may be left behind without an end, whatever led here. */
	if (s->ws.end == END_NONE)
		pump_end(&s->ws, END_RESET);
	if (s->tcp.end == END_NONE)
		pump_end(&s->tcp, END_RESET);
	/* Patience is for those that end in order. */
	flush = s->doomed ? s->conf->t_close : s->conf->t_stall;
	gone = conn_step(&s->ws, now, flush, s->conf->t_close);
	gone &= conn_step(&s->tcp, now, flush, s->conf->t_close);
	if ((s->ws.cut || s->tcp.cut) && s->state[0] == '-') {
		s->state[0] = 'D';
		s->state[1] = 'L';
		s->reason = REASON_STALL;
	}
	return gone;
}

static void	 set_timer(struct session *);

void
settle(struct session *s)
{
	if (s->phase == PH_OPEN)
		settle_open(s);
	else if (s->phase != PH_CLOSING)
		settle_early(s);
	if (s->phase == PH_CLOSING && settle_closing(s)) {
		session_free(s);
		return;
	}
	pump_interest(s);
	set_timer(s);
	if (conn_queued() > SESSION_BUDGET)
		session_budget();
}

/* Deadlines; each returns when to look again. */

static uint64_t
deadline(uint64_t start, uint64_t limit)
{
	return limit == OFF ? UINT64_MAX : start + limit;
}

static uint64_t
min(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t
max3(uint64_t a, uint64_t b, uint64_t c)
{
	if (b > a)
		a = b;
	return c > a ? c : a;
}

/*
 * Nothing is read from a client whose target is still being dialled.  A FIN
 * may stand behind frames that count; a Ping tells whether anybody is there:
 * a closed socket answers it with a RST.
 */
static uint64_t
check_waiting(struct session *s, uint64_t now)
{
	if (now < s->t_sweep + WAITING_SWEEP)
		return s->t_sweep + WAITING_SWEEP;
	s->t_sweep = now;
	s->ws.error = conn_sweep(&s->ws);
	s->tcp.error = conn_sweep(&s->tcp);
	if (s->ws.fin_waits && !session_is_client(s))
		wsend_ping(s);
	return now + WAITING_SWEEP;
}

/* Before the session is open. */
static uint64_t
check_early(struct session *s, uint64_t now)
{
	uint64_t	 at;

	switch (s->phase) {
	case PH_HEAD:
		at = deadline(s->t_start, s->conf->t_handshake);
		if (now >= at)
			session_abort(s, 'D', REASON_HANDSHAKE_TIMEOUT);
		return at;
	case PH_BODY:
		at = deadline(s->t_phase, s->conf->t_handshake);
		if (now >= at)
			session_abort(s, 'D', REASON_UNAVAILABLE);
		return at;
	case PH_ADMIT:
		at = deadline(s->t_phase, s->conf->t_connect);
		if (now >= at)
			session_abort(s, 'D', REASON_UNAVAILABLE);
		return at;
	case PH_DIAL:
		at = deadline(s->t_phase, s->conf->t_connect);
		if (at != UINT64_MAX)
			at += DIAL_MARGIN;
		if (now >= at)
			session_abort(s, 'D', REASON_TIMED_OUT);
		else
			at = min(at, check_waiting(s, now));
		return at;
	case PH_UPGRADE:
		at = deadline(s->t_phase, s->conf->t_handshake);
		if (now >= at)
			session_abort(s, 'D', REASON_HANDSHAKE_TIMEOUT);
		return at;
	default:
		return UINT64_MAX;
	}
}

/*
 * While we do not read, the peer's Pings lie unread too: a Pong that nobody
 * asked for must come to it within the time that it gives an answer, which is
 * shorter than the one between its Pings.  UINT64_MAX: never, since nobody
 * pings here.
 */
static uint64_t
paused_pong(const struct session *s)
{
	const struct conf	*c = s->conf;

	if (s->ws.reading || s->close_sent ||
	    (c->ping_every == OFF && !s->pinged))
		return UINT64_MAX;
	return min(PAUSED_PONG, min(c->ping_every, c->ping_timeout == OFF ?
	    UINT64_MAX : c->ping_timeout / 2));
}

/*
 * Design, section 3, "liveness": any byte is life; an unanswered Ping counts
 * only when the answer could have been seen.
 */
static uint64_t
check_ping(struct session *s, uint64_t now)
{
	uint64_t	 at, quiet, pong = paused_pong(s);

	if (pong != UINT64_MAX) {
		if (now < s->t_sent + pong)
			return s->t_sent + pong;
		/* We cannot see Pongs: show life without asking for it. */
		if (conn_pending(&s->ws) == 0) {
			wsend_pong(s, NULL, 0);
			wsend_pongs(s);
		}
		return now + pong;
	}
	if (s->conf->ping_every == OFF || s->close_sent)
		return UINT64_MAX;
	if (s->ping_waits && s->pong_ever && s->conf->ping_timeout != OFF &&
	    conn_pending(&s->ws) == 0 && s->t_payload_out <= s->t_ping &&
	    s->ws.t_in <= s->t_ping) {
		at = max3(s->t_ping, s->ws.t_on, 0) + s->conf->ping_timeout;
		if (now < at)
			return at;
		if (conn_unacked(&s->ws) == 0) {
			session_abort(s, 'D', REASON_PING_TIMEOUT);
			return UINT64_MAX;
		}
		return now + s->conf->ping_timeout;
	}
	quiet = s->t_sent < s->ws.t_in ? s->t_sent : s->ws.t_in;
	at = max3(quiet, s->ping_waits ? s->t_ping : 0, 0) +
	    s->conf->ping_every;
	if (now < at)
		return at;
	wsend_ping(s);
	return now + (s->conf->ping_timeout < s->conf->ping_every ?
	    s->conf->ping_timeout : s->conf->ping_every);
}

static uint64_t
check_stall(struct session *s, struct conn *c, uint64_t now)
{
	uint64_t	 at;

	if (c->fd == -1 || conn_pending(c) == 0)
		return UINT64_MAX;
	at = deadline(c->t_out, s->conf->t_stall);
	if (now >= at)
		session_abort(s, 'D', REASON_STALL);
	return at;
}

/* One side has ended; the other must make progress or end too. */
static uint64_t
check_half(struct session *s, uint64_t now)
{
	uint64_t	 at, since;

	/* Pings and Pongs are life, but no progress. */
	since = max3(s->t_close, s->t_data, 0);
	if (s->close_sent && !s->close_rcvd) {
		if (conn_pending(&s->ws) != 0 || conn_pending(&s->tcp) != 0)
			return now + 250000;	/* t_stall watches */
		at = deadline(max3(since, s->ws.t_out, s->tcp.t_out),
		    s->conf->t_close);
		if (now < at)
			return at;
		if (conn_unacked(&s->ws) != 0 && now < deadline(
		    max3(since, s->ws.t_out, 0), s->conf->t_stall))
			return now + 250000;
		session_abort(s, 'D', REASON_CLOSE_TIMEOUT);
		return UINT64_MAX;
	}
	if (s->v1 && s->in_fin && s->out_fin) {
		at = deadline(max3(s->t_close, s->tcp.t_out, 0),
		    s->conf->t_stall);
		if (now >= at)
			session_abort(s, 'D', REASON_STALL);
		return at;
	}
	if (s->out_fin && !s->v1 && session_is_client(s)) {
		at = deadline(since, s->fwd->half_close_wait);
		if (now >= at)
			wsend_close(s, WS_CLOSE_NORMAL, "");
		return at;
	}
	if (s->ws.eof) {
		at = since + NO_CLOSE_WAIT;
		if (now >= at)
			session_abort(s, 'D', REASON_CLOSE_TIMEOUT);
		return at;
	}
	return UINT64_MAX;
}

/*
 * After a RST what came before it is read to its end first, as soon as the
 * other side can take it.  From a peer that is just gone nothing comes.
 */
static void
sweep_one(struct conn *c)
{
	int	 error = conn_sweep(c);

	if (error != 0 && (c->werror == 0 || c->eof))
		c->error = error;
}

static uint64_t
check_sweep(struct session *s, uint64_t now)
{
	if (now < s->t_sweep + SWEEP)
		return s->t_sweep + SWEEP;
	s->t_sweep = now;
	sweep_one(&s->ws);
	sweep_one(&s->tcp);
	return now + SWEEP;
}

static uint64_t
check_open(struct session *s, uint64_t now)
{
	uint64_t	 next, at;

	next = check_sweep(s, now);
	next = min(next, pump_unsplice(s, now));
	next = min(next, check_stall(s, &s->ws, now));
	if (s->phase == PH_OPEN)
		next = min(next, check_stall(s, &s->tcp, now));
	if (s->phase == PH_OPEN)
		next = min(next, check_half(s, now));
	if (s->phase == PH_OPEN)
		next = min(next, check_ping(s, now));
	if (s->phase == PH_OPEN) {
		at = deadline(s->t_data, s->conf->t_idle);
		if (now >= at)
			session_abort(s, 'D', REASON_IDLE);
		next = min(next, at);
	}
	return next;
}

/*
 * What just happened may bring a deadline nearer than the timer is set for;
 * that it is nearer already is the common, cheap case.
 */
static void
set_timer(struct session *s)
{
	uint64_t	 now, a, b;

	if (s->phase == PH_OPEN) {
		a = pump_unsplice(s, 0);
		if (conn_pending(&s->ws) != 0)
			a = deadline(s->ws.t_out, s->conf->t_stall);
		if (conn_pending(&s->tcp) != 0)
			a = min(a, deadline(s->tcp.t_out, s->conf->t_stall));
		if (s->close_sent)
			a = min(a, deadline(s->t_close, s->conf->t_close));
		else if (s->out_fin && session_is_client(s) && !s->v1)
			a = min(a, deadline(s->t_close,
			    s->fwd->half_close_wait));
		if ((b = paused_pong(s)) != UINT64_MAX)
			a = min(a, mono_usec() + b);
		/* One that is over was put off by progress: see check_open() */
		if (a != UINT64_MAX && a > mono_usec())
			wheel_hasten(&s->timer, a);
		return;
	}
	if (s->phase != PH_CLOSING)
		return;
	now = mono_usec();
	a = conn_next(&s->ws, now, s->conf->t_close);
	b = conn_next(&s->tcp, now, s->conf->t_close);
	if (a == 0 || (b != 0 && b < a))
		a = b;
	wheel_hasten(&s->timer, a != 0 ? a : now);
}

void
session_timer(struct wheel_entry *e)
{
	struct session	*s;
	uint64_t	 now = mono_usec(), next;

	s = (struct session *)((char *)e - offsetof(struct session, timer));
	if (s->phase == PH_OPEN)
		next = check_open(s, now);
	else
		next = check_early(s, now);
	if (s->phase != PH_CLOSING && next != UINT64_MAX)
		wheel_hasten(&s->timer, next);
	settle(s);
}

/* What one side still holds; of one that is being reset that is for a second. */
static uint64_t
held_still(const struct conn *c, uint64_t now)
{
	if (c->end == END_RESET || c->t_out + BUDGET_STILL >= now)
		return 0;
	return conn_pending(c);
}

static void
budget_end(struct session *s)
{
	if (s->phase != PH_CLOSING) {
		session_abort(s, 'P', REASON_BUDGET);
		return;
	}
	/* It has said its last word, but nobody fetches it. */
	if (s->state[0] == '-') {
		s->state[0] = 'P';
		s->state[1] = 'L';
		s->reason = REASON_BUDGET;
	}
	pump_end(&s->ws, END_RESET);
	pump_end(&s->tcp, END_RESET);
}

/*
 * Over the budget: end the session that holds most and has not moved for a
 * while, also one that is ending.  At most once per BUDGET_STILL / 10.
 */
void
session_budget(void)
{
	static uint64_t	 last;
	struct session	*s, *worst = NULL;
	uint64_t	 now = mono_usec(), most = 0, n;

	if (now < last + BUDGET_STILL / 10)
		return;
	last = now;
	RB_FOREACH(s, sessions, &sessions) {
		n = held_still(&s->ws, now) + held_still(&s->tcp, now);
		if (n > most) {
			most = n;
			worst = s;
		}
	}
	if (worst == NULL)
		return;
	log_warnx("%llu bytes wait in this relay: ending the session that "
	    "holds most", (unsigned long long)conn_queued());
	budget_end(worst);
	/* Its timer moves it on: a caller may be in the middle of it. */
	wheel_hasten(&worst->timer, now);
}
