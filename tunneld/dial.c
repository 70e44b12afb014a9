/* SPDX-License-Identifier: ISC */

/* dial.c: a relay's talk with the dialer: admission, targets, revocation. */

#include "compat.h"

#include <sys/time.h>

#include <event.h>
#include <imsg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "chan.h"
#include "child.h"
#include "log.h"
#include "session.h"
#include "tunneld.h"

/*
 * While there is no dialer, sessions that have asked simply wait: they are
 * bounded by the relay's descriptors and end by their own deadlines.  A new
 * dialer is told of every admitted session, then asked again for the rest.
 * They may be more than a channel takes at once:
 *
 *	down --peer_up--> telling (up to id `told') --ANNOUNCED--> up
 */
static bool	 up;
static uint64_t	 told;
static struct event announce_ev;
static const struct timeval announce_wait = { 0, 5000 };
static uint64_t	*unsaid;		/* sessions whose CLOSED was not sent */
static size_t	 nunsaid;

static void
fill_open(const struct session *s, struct msg_open *m)
{
	memset(m, 0, sizeof(*m));
	m->session = s->id;
	m->type = s->type;
	addr_unpack(&s->source, &m->source);
	if (s->fwd != NULL)
		m->forward = s->fwd->id;
	else {
		m->server = s->server->id;
		m->loc = s->loc->id;
		if (s->loc->kind == LOC_LIST && s->target != NULL)
			(void)strlcpy(m->target, s->target, sizeof(m->target));
	}
}

static void
send_open(struct session *s)
{
	struct chan	*c = child_peer(ROLE_DIALER, 0);
	struct msg_open	 m;
	struct ibuf	*b;

	if (!up || c == NULL)
		return;
	fill_open(s, &m);
	b = chan_msg(c, MSG_OPEN);
	if (b != NULL && msg_open_put(b, &m) == -1) {
		ibuf_free(b);
		b = NULL;
	}
	/*
	 * If this dialer is dying it is asked again when the next one is
	 * there, or else our own deadline ends it.
	 */
	(void)chan_send(c, b, -1);
}

void
dial_ask(struct session *s)
{
	s->asked = true;
	session_phase(s, PH_ADMIT);
	send_open(s);
}

static int
send_closed(struct chan *c, uint64_t session)
{
	struct msg_answer	 m;
	struct ibuf		*b;

	memset(&m, 0, sizeof(m));
	m.session = session;
	b = chan_msg(c, MSG_CLOSED);
	if (b != NULL && msg_answer_put(b, &m) == -1) {
		ibuf_free(b);
		b = NULL;
	}
	return chan_send(c, b, -1);
}

void
dial_closed(struct session *s)
{
	struct chan	*c = child_peer(ROLE_DIALER, 0);
	uint64_t	*p;

	if (!s->asked)
		return;
	s->asked = false;
	/* While we are telling: one that was not told yet never will be. */
	if (c == NULL || (!up && s->id > told) || send_closed(c, s->id) == 0)
		return;
	/*
	 * A dialer that stopped reading is killed after a while, and its
	 * successor is told anew; one that only paused must not count this
	 * session for ever.  There are no more of them than it admitted.
	 */
	if (nunsaid % 1024 == 0) {
		p = reallocarray(unsaid, nunsaid + 1024, sizeof(*p));
		if (p == NULL)
			return;
		unsaid = p;
	}
	unsaid[nunsaid++] = s->id;
}

static void
forget_unsaid(void)
{
	free(unsaid);
	unsaid = NULL;
	nunsaid = 0;
}

void
dial_closed_retry(void)
{
	struct chan	*c = child_peer(ROLE_DIALER, 0);

	if (!up || c == NULL || nunsaid == 0)
		return;
	while (nunsaid > 0 && !chan_busy(c)) {
		if (send_closed(c, unsaid[nunsaid - 1]) == -1)
			return;
		nunsaid--;
	}
	if (nunsaid == 0)
		forget_unsaid();
}

static int
announce(struct chan *c, const struct session *s)
{
	struct msg_announce	 m;
	struct ibuf		*b;

	memset(&m, 0, sizeof(m));
	fill_open(s, &m.open);
	if (session_reached(s) != NULL)
		(void)strlcpy(m.reached, session_reached(s),
		    sizeof(m.reached));
	m.pending = !s->connected && s->type != SESSION_ECHO;
	if ((b = chan_msg(c, MSG_ANNOUNCE)) == NULL)
		return -1;
	if (msg_announce_put(b, &m) == -1) {
		ibuf_free(b);
		return -1;
	}
	return chan_send(c, b, -1);
}

/* All has been announced: the dialer may be asked. */
static void
announced(struct chan *c)
{
	struct session	*s, *next;

	up = true;
	RB_FOREACH_SAFE(s, sessions, &sessions, next)
		if (s->asked && (s->phase == PH_ADMIT || s->phase == PH_DIAL)) {
			send_open(s);
			settle(s);
		}
}

/* Go on, as far as the channel takes it. */
static void
announce_some(struct chan *c)
{
	struct session	*s, key;

	key.id = told + 1;
	for (s = RB_NFIND(sessions, &sessions, &key); s != NULL;
	    s = RB_NEXT(sessions, &sessions, s)) {
		if (chan_busy(c))
			break;
		if (s->admitted && s->asked && announce(c, s) == -1)
			break;
		told = s->id;
	}
	if (s == NULL && chan_signal(c, MSG_ANNOUNCED) == 0)
		announced(c);
	else
		evtimer_add(&announce_ev, &announce_wait);
}

static void
on_announce(int fd, short what, void *arg)
{
	struct chan	*c = child_peer(ROLE_DIALER, 0);

	if (c != NULL)
		announce_some(c);
}

void
dial_peer_up(struct chan *c)
{
	told = 0;
	evtimer_set(&announce_ev, on_announce, NULL);
	announce_some(c);
}

void
dial_peer_down(void)
{
	evtimer_del(&announce_ev);
	up = false;
	forget_unsaid();
}

static void
connected(struct session *s, const struct msg_answer *m, int fd)
{
	if (s->phase != PH_DIAL || s->connected) {
		close(fd);
		return;
	}
	s->connected = true;
	if (s->target == NULL || strcmp(s->target, m->target) != 0)
		s->reached = strdup(m->target);
	if (session_is_client(s)) {
		conn_attach(&s->ws, fd, true);
		forward_request(s);
	} else {
		conn_attach(&s->tcp, fd, true);
		pump_begin(s);
	}
}

static void
answer(uint32_t type, struct session *s, const struct msg_answer *m, int fd)
{
	switch (type) {
	case MSG_ADMITTED:
		if (s->phase != PH_ADMIT)
			break;		/* asked again by a new dialer */
		s->admitted = true;
		if (s->target == NULL && m->target[0] != '\0')
			s->target = strdup(m->target);
		if (session_is_client(s))
			session_phase(s, PH_DIAL);
		else
			upgrade_accept(s);
		break;
	case MSG_REFUSED:
		if (s->phase != PH_ADMIT && s->phase != PH_DIAL)
			break;
		/* The dialer has forgotten it already. */
		if (!s->admitted)
			s->asked = false;
		if (session_is_client(s))
			stats->refusals[m->reason]++;
		session_abort(s, 'P', m->reason);
		break;
	case MSG_CONNECTED:
		if (fd == -1) {
			session_abort(s, 'I', REASON_NO_DESCRIPTORS);
			break;
		}
		connected(s, m, fd);
		break;
	case MSG_FAILED:
		if (s->phase != PH_DIAL)
			break;
		if (m->target[0] != '\0' && s->reached == NULL)
			s->reached = strdup(m->target);
		session_abort(s, m->reason == REASON_TARGET_NOT_ALLOWED ||
		    m->reason == REASON_SOKKEN_TARGET ? 'P' : 'T', m->reason);
		break;
	case MSG_REVOKE:
		session_abort(s, 'P', m->reason);
		break;
	}
	settle(s);
}

void
dial_message(struct imsg *imsg)
{
	struct msg_answer	 m;
	struct session		*s;
	int			 fd;

	fd = imsg_get_fd(imsg);
	if (msg_answer_get(imsg, &m) == -1)
		fatalx("malformed %s from the dialer",
		    msg_name(imsg_get_type(imsg)));
	/* It may have ended while the answer was on its way. */
	if ((s = session_find(m.session)) == NULL) {
		if (fd != -1)
			close(fd);
		return;
	}
	if (fd != -1 && imsg_get_type(imsg) != MSG_CONNECTED) {
		close(fd);
		fd = -1;
	}
	answer(imsg_get_type(imsg), s, &m, fd);
}
