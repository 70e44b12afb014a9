/* SPDX-License-Identifier: ISC */

/* relay.c: the relay role: its peers, its configuration, drain and stop. */

#include "compat.h"

#include <sys/resource.h>
#include <sys/time.h>

#include <event.h>
#include <imsg.h>
#include <stdlib.h>
#include <string.h>

#include "accept.h"
#include "chan.h"
#include "child.h"
#include "log.h"
#include "session.h"
#include "tunneld.h"

/* Descriptors kept back: channels, listeners, epoll, those being shed. */
#define SPARE		64
/* What Close and error pages get to leave after STOP. */
#define STOP_USEC	1000000
#define NOFILE_MAX	1048576		/* what a limit of "none" counts as */
#define TICK_SECONDS	5
#define COUNT_ALL	256

bool		 relay_draining;
static bool	 leaving, drained_said, stopping;
static uint64_t	 nofile = 1024;
static unsigned	 room;			/* sessions our descriptors allow */
static struct event stop_ev, tick_ev;

/* What is seen of us from outside, now and then. */
static void
on_tick(int fd, short what, void *arg)
{
	static uint64_t	 others;	/* that are no sessions' */
	struct timeval	 tv = { TICK_SECONDS, 0 };

	/* Counting them all is not for a relay that has thousands. */
	if (conn_open() < COUNT_ALL) {
		stats_descriptors();
		others = stats->descriptors - conn_open();
	} else
		stats->descriptors = others + conn_open();
	dial_closed_retry();
	evtimer_add(&tick_ev, &tv);
}

static void
relay_init(const struct msg_hello *hello)
{
	struct rlimit	 rl;

	if (getrlimit(RLIMIT_NOFILE, &rl) == 0)
		nofile = rl.rlim_cur < NOFILE_MAX ? rl.rlim_cur : NOFILE_MAX;
	wheel_init(session_timer);
	pipe_pool(hello->pipes);
	evtimer_set(&tick_ev, on_tick, NULL);
	on_tick(-1, 0, NULL);
}

bool
relay_has_room(void)
{
	return session_count <= room;
}

bool
relay_is_full(void)
{
	return session_count >= room + SPARE / 2;
}

static void
relay_commit(struct conf *newconf, struct conf *old)
{
	uint64_t	 kept;

	/*
	 * Both ends of a session; the second one must never be missing.  And
	 * a reload brings every listener once more before the old ones go.
	 */
	kept = SPARE + 2 * accept_listeners(newconf) + 2 * pipe_count();
	room = nofile > kept + 32 ? (unsigned)(nofile - kept) / 2 : 16;
	accept_commit(newconf);
	if (old == NULL)
		child_ready();
}

static void
check_drained(void)
{
	struct ibuf	*b;

	if (!leaving || drained_said || session_live != 0)
		return;
	drained_said = true;
	b = chan_msg(child_parent(), MSG_DRAINED);
	if (b != NULL && msg_num_put(b, 0) == -1) {
		ibuf_free(b);
		b = NULL;
	}
	(void)chan_send(child_parent(), b, -1);
}

void
relay_session_gone(void)
{
	if (relay_has_room())
		accept_resume();
	if (stopping && session_count == 0)
		child_exit(0);
}

static bool
relay_idle(void)
{
	return session_live == 0;
}

void
relay_session_finished(void)
{
	check_drained();
}

static void
relay_drain(void)
{
	leaving = true;
	if (child_retire())
		accept_stop();		/* the other relays have them too */
	else {
		relay_draining = true;
		accept_drain();
	}
	check_drained();
}

static void
on_stop(int fd, short what, void *arg)
{
	session_drop_all();
	child_exit(0);
}

static void
relay_stop(void)
{
	struct timeval	 tv = { 0, 0 };
	struct session	*s, *next;

	if (stopping)
		return;
	accept_stop();
	RB_FOREACH_SAFE(s, sessions, &sessions, next) {
		session_abort(s, 'K', REASON_RESTART);
		settle(s);
	}
	stopping = true;
	if (session_count == 0)
		child_exit(0);
	tv.tv_sec = STOP_USEC / 1000000;
	evtimer_set(&stop_ev, on_stop, NULL);
	evtimer_add(&stop_ev, &tv);
}

static void
relay_peer_up(struct chan *c)
{
	if (c->peer == ROLE_DIALER)
		dial_peer_up(c);
	else if (c->peer == ROLE_CONTROL)
		upgrade_body_retry();
}

static void
relay_peer_down(struct chan *c)
{
	if (c->peer == ROLE_DIALER)
		dial_peer_down();
}

static void
show_sessions(struct chan *c, struct imsg *imsg)
{
	struct msg_session	 row;
	struct msg_show		 show;
	struct msg_end		 end;
	struct session		*s, key;
	struct ibuf		*b;
	uint32_t		 n = 0;

	if (msg_show_get(imsg, &show) == -1)
		fatalx("malformed SHOW_SESSIONS");
	key.id = show.after + 1;
	for (s = RB_NFIND(sessions, &sessions, &key); s != NULL && n < show.max;
	    s = RB_NEXT(sessions, &sessions, s)) {
		if (s->finished)
			continue;
		n++;
		row_fill(s, &row);
		row.request = show.id;
		if ((b = chan_msg(c, MSG_SESSION_ROW)) == NULL)
			return;
		if (msg_session_put(b, &row) == -1) {
			ibuf_free(b);
			return;
		}
		if (chan_send(c, b, -1) == -1)
			return;
	}
	end.id = show.id;
	end.more = s != NULL;
	b = chan_msg(c, MSG_SESSIONS_END);
	if (b != NULL && msg_end_put(b, &end) == -1) {
		ibuf_free(b);
		b = NULL;
	}
	(void)chan_send(c, b, -1);
}

static void
kill_session(struct chan *c, struct imsg *imsg)
{
	struct msg_result	 r;
	struct msg_kill		 k;
	struct session		*s;
	struct ibuf		*b;
	char			 id[SID_TEXT];

	if (msg_kill_get(imsg, &k) == -1)
		fatalx("malformed KILL_SESSION");
	memset(&r, 0, sizeof(r));
	r.id = k.id;
	if ((s = session_find(k.session)) != NULL && !s->finished) {
		session_abort(s, 'K', REASON_KILLED);
		settle(s);
		r.ok = true;
	} else
		(void)snprintf(r.text, sizeof(r.text), "no session %s",
		    sid_format(k.session, id));
	b = chan_msg(c, MSG_KILL_RESULT);
	if (b != NULL && msg_result_put(b, &r) == -1) {
		ibuf_free(b);
		b = NULL;
	}
	(void)chan_send(c, b, -1);
}

static void
body_reply(struct imsg *imsg)
{
	struct msg_chunk	 m;
	struct session		*s;

	if (msg_chunk_get(imsg, &m) == -1)
		fatalx("malformed BODY_REPLY");
	if ((s = session_find(m.id)) == NULL)
		return;
	upgrade_body(s, &m);
	settle(s);
}

static void
relay_message(struct chan *c, struct imsg *imsg)
{
	switch (imsg_get_type(imsg)) {
	case MSG_ADMITTED:
	case MSG_REFUSED:
	case MSG_CONNECTED:
	case MSG_FAILED:
	case MSG_REVOKE:
		dial_message(imsg);
		break;
	case MSG_BODY_REPLY:
		body_reply(imsg);
		break;
	case MSG_SHOW_SESSIONS:
		show_sessions(c, imsg);
		break;
	case MSG_KILL_SESSION:
		kill_session(c, imsg);
		break;
	default:
		fatalx("unexpected %s from %s", msg_name(imsg_get_type(imsg)),
		    role_name(c->peer));
	}
}

const struct role_ops relay_ops = {
	.role = ROLE_RELAY,
	.init = relay_init,
	.commit = relay_commit,
	.peer_up = relay_peer_up,
	.peer_down = relay_peer_down,
	.message = relay_message,
	.drain = relay_drain,
	.idle = relay_idle,
	.stop = relay_stop,
};
