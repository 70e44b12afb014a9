/* SPDX-License-Identifier: ISC */

/* row.c: how a session looks in `show sessions' and in the log. */

#include "compat.h"

#include <stdio.h>
#include <string.h>

#include <sys/socket.h>

#include "log.h"
#include "session.h"
#include "tunneld.h"

const char *
row_target(const struct session *s)
{
	if (s->fwd != NULL)
		return s->fwd->urltext;
	return s->target != NULL ? s->target : "";
}

static const char *
listener_name(const struct session *s, char *buf, size_t len)
{
	if (s->listen == NULL)
		return "";
	if (s->listen->path != NULL)
		(void)snprintf(buf, len, "unix:%s", s->listen->path);
	else
		(void)addr_format(&s->listen->bound, buf, len);
	return buf;
}

static void
keys(const struct session *s, struct logrec *r)
{
	struct addr	 source, peer;
	char		 buf[128];

	log_str(r, LK_SESSION, sid_format(s->id, buf));
	if (s->server != NULL)
		log_str(r, LK_SERVER, s->server->name);
	if (s->loc != NULL)
		log_str(r, LK_LOCATION, s->loc->pattern);
	log_str(r, LK_LISTENER, listener_name(s, buf, sizeof(buf)));
	addr_unpack(&s->source, &source);
	addr_unpack(&s->peer, &peer);
	if (source.len != 0)
		log_addr(r, LK_CLIENT, &source);
	else		/* a trusted proxy did not tell */
		log_str(r, LK_CLIENT, "unknown");
	if (!addr_equal(&source, &peer, true))
		log_addr(r, LK_PEER, &peer);
	if (s->xff != NULL)
		log_str(r, LK_XFF, s->xff);
	if (row_target(s)[0] != '\0')
		log_str(r, LK_TARGET, row_target(s));
	/* A name, or a forward's URL: which address it was in the end. */
	if (session_reached(s) != NULL &&
	    strcmp(session_reached(s), row_target(s)) != 0)
		log_str(r, LK_ADDRESS, session_reached(s));
	if (s->subprotocol != NULL)
		log_str(r, LK_SUBPROTOCOL, s->subprotocol);
}

void
row_log_open(const struct session *s)
{
	struct logrec	 r;

	log_begin(&r, LOG_L_BRIEF, EV_LOG_OPEN);
	keys(s, &r);
	log_send(&r);
}

void
row_log_close(const struct session *s)
{
	struct logrec	 r;

	log_begin(&r, LOG_L_BRIEF, EV_LOG_CLOSE);
	keys(s, &r);
	log_num(&r, LK_BYTES_IN, s->bytes_in);
	log_num(&r, LK_BYTES_OUT, s->bytes_out);
	log_num(&r, LK_DURATION, mono_usec() - s->t_start);
	log_str(&r, LK_STATE, s->state[0] != '\0' ? s->state : "--");
	log_str(&r, LK_REASON, reason_word(s->reason));
	if (s->code != 0)
		log_num(&r, LK_CODE, s->code);
	log_send(&r);
}

void
row_log_refuse(const struct session *s, enum reason reason, int status,
    const char *why)
{
	struct logrec	 r;

	log_begin(&r, LOG_L_BRIEF, EV_LOG_REFUSE);
	keys(s, &r);
	log_str(&r, LK_REASON, reason_word(reason));
	log_num(&r, LK_STATUS, (uint64_t)status);
	if (why != NULL)
		log_str(&r, LK_MESSAGE, why);
	log_send(&r);
}

static enum session_state
state_of(const struct session *s)
{
	switch (s->phase) {
	case PH_HEAD:
	case PH_BODY:
	case PH_ADMIT:
	case PH_UPGRADE:
		return SS_HANDSHAKE;
	case PH_DIAL:
		return SS_DIALING;
	case PH_OPEN:
		return s->close_sent || s->close_rcvd ? SS_CLOSING : SS_OPEN;
	case PH_CLOSING:
		break;
	}
	return SS_CLOSING;
}

void
row_fill(const struct session *s, struct msg_session *m)
{
	socklen_t	 len = sizeof(m->peer.ss);
	uint64_t	 now = mono_usec(), last;

	memset(m, 0, sizeof(*m));
	m->id = s->id;
	m->type = s->type;
	m->state = state_of(s);
	if (s->server != NULL)
		(void)strlcpy(m->server, s->server->name, sizeof(m->server));
	if (s->loc != NULL)
		(void)strlcpy(m->location, s->loc->pattern,
		    sizeof(m->location));
	(void)strlcpy(m->listener, "", sizeof(m->listener));
	(void)listener_name(s, m->listener, sizeof(m->listener));
	addr_unpack(&s->source, &m->client);
	addr_unpack(&s->peer, &m->peer);
	/* A forward's peer is the server it was connected to. */
	if (s->fwd != NULL && (s->ws.fd == -1 ||
	    getpeername(s->ws.fd, (struct sockaddr *)&m->peer.ss, &len) == -1))
		m->peer.len = 0;
	else if (s->fwd != NULL)
		m->peer.len = len;
	if (s->xff != NULL)
		(void)strlcpy(m->xff, s->xff, sizeof(m->xff));
	(void)strlcpy(m->target, row_target(s), sizeof(m->target));
	if (s->subprotocol != NULL)
		(void)strlcpy(m->subprotocol, s->subprotocol,
		    sizeof(m->subprotocol));
	m->started = s->started;
	m->duration = now - s->t_start;
	last = s->t_data > s->t_start ? s->t_data : s->t_start;
	m->idle = now - last;
	m->in = s->bytes_in;
	m->out = s->bytes_out;
	m->generation = s->conf->generation;
}
