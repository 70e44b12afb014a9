/* SPDX-License-Identifier: ISC */

/* pump.c: bytes between a WebSocket and a TCP connection, and the echo. */

#include "compat.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "session.h"
#include "tunneld.h"

/*
 * How the two ends of a session end (design, table of section 5).
 *
 *  from the WebSocket				  to the TCP connection
 *	FIN (v1), Close 1000/empty, clean EOF	    SHUT_WR after the data
 *	anything else				    RST after the data
 *  from the TCP connection			  to the WebSocket
 *	FIN, v1					    empty text
 *	FIN, plain server			    Close 1000
 *	FIN, plain client			    Close 1000, now or later
 *	RST					    Close 1011, v1: 4000
 */

/* One read of a relay; sessions own nothing while nothing waits. */
#define HEADROOM	64
static uint8_t	 rbuf[HEADROOM + CONN_READ_MAX];

/*
 * So much in full reads, with none between them that was not, starts splicing;
 * a smaller fill ends it.  Two reads of 64 KiB where all is written at once;
 * more and smaller ones where the other side is the slower one.
 */
#define SPLICE_ENTER	(128 * 1024)
#define SPLICE_LEAVE	(16 * 1024)
/* Messages that must be smaller than this cost more headers than it saves. */
#define SPLICE_FRAME	(16 * 1024)
/* A full pipe that nobody reads is wanted elsewhere after this, usec. */
#define SPLICE_STALL	1000000
/* Header of an unmasked frame that is worth it. */
#define LARGE_HDR	10

/* Frames that leave in one system call. */
#define BATCH		64
static uint8_t		 bhdr[BATCH][WS_HDR_MAX];
static struct iovec	 biov[BATCH * 2];
static int		 bframes, bn;

static void	 ws_readable(struct conn *);
static void	 tcp_readable(struct conn *);
static void	 writable(struct conn *);

static void	 end_readable(struct conn *);

const struct conn_ops pump_ws_ops = { ws_readable, writable };
static const struct conn_ops tcp_ops = { tcp_readable, writable };
static const struct conn_ops end_ops = { end_readable, writable };

static void
batch_flush(struct session *s)
{
	wsend_pongs(s);
	if (bn == 0)
		return;
	(void)conn_sendv(&s->ws, biov, bn);
	bn = bframes = 0;
	s->t_sent = s->t_payload_out = mono_usec();
}

static void
batch_add(struct session *s, enum ws_opcode op, bool fin, uint8_t *data,
    size_t len)
{
	if (bframes == BATCH)
		batch_flush(s);
	biov[bn].iov_base = bhdr[bframes];
	biov[bn++].iov_len = wsend_header(s, bhdr[bframes++], op, fin, data,
	    len);
	if (len != 0) {
		biov[bn].iov_base = data;
		biov[bn++].iov_len = len;
	}
}

static void
count(struct session *s, bool in, size_t n)
{
	uint32_t	 i = s->server != NULL ? s->server->statidx : 0;

	if (i >= STATS_SERVERS)
		i = 0;
	if (in) {
		s->bytes_in += n;
		stats->bytes_in[i] += n;
	} else {
		s->bytes_out += n;
		stats->bytes_out[i] += n;
	}
}

/* The letters of the termination state for the two sockets. */
static char
ws_letter(const struct session *s)
{
	return session_is_client(s) ? 'T' : 'C';
}

/*
 * The WebSocket can take no more: its peer has reset, vanished or broken the
 * protocol.  RST, never FIN, behind what was queued.
 */
static void
ws_broken(struct session *s, char who, enum reason reason)
{
	session_why(s, who, reason);
	s->doomed = true;
	pump_end(&s->ws, END_LINGER);
	pump_end(&s->tcp, END_RESET);
	session_phase(s, PH_CLOSING);
}

static void
ws_fin(struct session *s)
{
	if (s->in_fin)
		return;
	s->in_fin = true;
	if (s->tcp.fd != -1)
		conn_shutdown(&s->tcp);
}

/* A payload run came out of the decoder. */
static void
take_data(struct session *s, const struct ws_out *o)
{
	bool	 fin = o->event == WS_EV_MESSAGE;

	if (s->type == SESSION_ECHO) {
		if (o->datalen == 0 && !fin)
			return;
		batch_add(s, s->in_msg ? WS_OP_CONT :
		    (enum ws_opcode)o->msgop, fin, o->data, o->datalen);
		s->in_msg = !fin;
		s->t_data = s->ws.t_in;
		count(s, true, o->datalen);
		count(s, false, o->datalen);
		return;
	}
	if (o->datalen == 0 || s->close_rcvd)
		return;
	if (s->in_fin) {		/* v1: data behind its own FIN */
		session_abort(s, 'E', REASON_PROTOCOL);
		return;
	}
	s->t_data = s->ws.t_in;
	count(s, !session_is_client(s), o->datalen);
	(void)conn_send(&s->tcp, o->data, o->datalen);
}

/* tunneld.tcp.v1 peers say by code what our own dialer says by reason. */
static enum reason
close_reason(uint16_t code)
{
	switch (code) {
	case WS_CLOSE_REFUSED:
		return REASON_CONN_REFUSED;
	case WS_CLOSE_UNREACHABLE:
		return REASON_UNREACHABLE;
	case WS_CLOSE_TIMEDOUT:
		return REASON_TIMED_OUT;
	case WS_CLOSE_NONAME:
		return REASON_NO_NAME;
	case WS_CLOSE_NOTALLOWED:
		return REASON_TARGET_NOT_ALLOWED;
	default:
		return REASON_PEER_CLOSE;
	}
}

static void
got_close(struct session *s, uint16_t code, const char *reason, size_t len)
{
	bool	 fin, ours = s->close_sent;
	char	 text[WS_CTL_MAX + 1];

	if (s->close_rcvd)
		return;
	s->close_rcvd = true;
	s->t_close = mono_usec();
	fin = code == WS_CLOSE_NONE || code == WS_CLOSE_NORMAL ||
	    (code == WS_CLOSE_AWAY &&
	    (!session_is_client(s) || s->sokken || ours));
	if (!ours || s->code == 0)
		s->code = code;
	wsend_close(s, code, "");
	if (fin) {
		ws_fin(s);
		return;
	}
	s->code = code;
	memcpy(text, reason, len);
	text[len] = '\0';
	log_debug("peer closed with %u \"%s\"", code, text);
	if (s->v1 && code == WS_CLOSE_RESET)
		ws_broken(s, ws_letter(s), session_is_client(s) ?
		    REASON_RESET_BY_TARGET : REASON_RESET_BY_CLIENT);
	else
		ws_broken(s, ws_letter(s), close_reason(code));
}

static void
got_error(struct session *s, const struct ws_out *o)
{
	enum reason	 reason;

	/*
	 * An illegal code in the answer to our own Close changes nothing: all
	 * data was there (Debian's websockify answers with 1005).
	 */
	if (s->close_sent && s->dec.op == WS_OP_CLOSE) {
		s->close_rcvd = true;
		ws_fin(s);
		return;
	}
	switch (o->code) {
	case WS_CLOSE_DATATYPE:
		reason = REASON_DATATYPE;
		break;
	case WS_CLOSE_UTF8:
		reason = REASON_UTF8;
		break;
	case WS_CLOSE_TOOBIG:
		reason = REASON_TOO_BIG;
		break;
	default:
		reason = REASON_PROTOCOL;
		break;
	}
	log_verbose("WebSocket %s: %s", o->code == WS_CLOSE_PROTOCOL ?
	    "protocol error" : "data refused", o->why);
	session_abort(s, 'E', reason);
}

static void
feed(struct session *s, uint8_t *buf, size_t len)
{
	struct ws_out	 o;
	size_t		 pos = 0;

	while (pos < len && !s->doomed && !s->close_rcvd) {
		ws_decode(&s->dec, buf + pos, len - pos, &o);
		pos += o.consumed;
		take_data(s, &o);
		if (s->doomed)
			break;
		switch (o.event) {
		case WS_EV_NONE:
		case WS_EV_MESSAGE:
			break;
		case WS_EV_EMPTY_TEXT:
			ws_fin(s);
			break;
		case WS_EV_PING:
			s->pinged = true;
			wsend_pong(s, o.ctl, o.ctllen);
			break;
		case WS_EV_PONG:
			if (s->ping_waits)
				s->pong_ever = true;
			s->ping_waits = false;
			break;
		case WS_EV_CLOSE:
			batch_flush(s);
			got_close(s, o.code, (const char *)o.ctl, o.ctllen);
			break;
		case WS_EV_ERROR:
			batch_flush(s);
			got_error(s, &o);
			break;
		}
	}
	batch_flush(s);
}

/* FIN on the WebSocket's socket and no Close before it. */
static void
ws_eof(struct session *s)
{
	bool	 strict = session_is_client(s) ? s->fwd->strict_close :
		    s->loc->strict_close;

	if (s->close_rcvd)
		return;
	if (!ws_dec_at_frame_boundary(&s->dec)) {
		s->code = WS_CLOSE_ABNORMAL;
		ws_broken(s, ws_letter(s), REASON_TRUNCATED);
	} else if (s->close_sent) {
		/* It did not bother to answer our Close; nothing is lost. */
		s->close_rcvd = true;
		ws_fin(s);
	} else if (s->v1 || strict) {
		s->code = WS_CLOSE_ABNORMAL;
		ws_broken(s, ws_letter(s), REASON_NO_CLOSE);
	} else {
		s->code = WS_CLOSE_ABNORMAL;
		session_why(s, '-', REASON_NO_CLOSE);
		s->t_close = mono_usec();
		ws_fin(s);
		if (s->type == SESSION_ECHO)
			s->out_fin = true;	/* nobody else will end it */
	}
}

/* The TCP side sends no more. */
static void
tcp_fin(struct session *s)
{
	s->out_fin = true;
	s->t_close = mono_usec();
	if (s->v1)
		wsend_fin(s);
	else if (!session_is_client(s) ||
	    s->fwd->half_close == HALF_CLOSE_CLOSE)
		wsend_close(s, WS_CLOSE_NORMAL, "");
}

/* How much to read now: less while many sessions have bytes waiting. */
static size_t
read_size(const struct conn *c)
{
	if (conn_queued() > SESSION_BUDGET / 4 * 3)
		return CONN_READ_MIN;
	return c->rsize;
}

static void
adapt(struct conn *src, const struct conn *dst, size_t n)
{
	if (conn_pending(dst) != 0) {
		if (src->rsize > CONN_READ_MIN)
			src->rsize /= 2;
	} else if (n == src->rsize && src->rsize < CONN_READ_MAX)
		src->rsize *= 2;
}

/*
 * Bulk that needs neither masking nor decoding goes by a pipe: what a gateway
 * reads from its target, and the inside of large frames that a forward reads
 * from its server.  It begins after full reads in a row, and ends with a
 * fill that is not worth its system calls.
 */
static void
splice_begin(struct session *s, const struct conn *src, size_t n)
{
	if (n != src->rsize || s->message_max < SPLICE_FRAME) {
		s->full = 0;
		return;
	}
	s->full += (uint8_t)(n / CONN_READ_MIN);
	if (s->full >= SPLICE_ENTER / CONN_READ_MIN)
		s->splicing = true;
}

static void
splice_end(struct session *s)
{
	s->splicing = false;
	s->full = 0;
}

/*
 * Read by a pipe.  Returns false when nothing was done: then it must be read
 * the other way.
 */
static bool
splice_some(struct session *s, struct conn *dst, struct conn *src, size_t max)
{
	bool	 client = session_is_client(s);
	ssize_t	 n;

	if (conn_pending(dst) != 0 || dst->werror != 0 ||
	    conn_queued() > SESSION_BUDGET / 4 * 3)
		return false;
	if (max > PIPE_BYTES)
		max = PIPE_BYTES;
	n = conn_splice(dst, src, max, client ? 0 : s->message_max);
	if (n == -1 && (errno == ENOBUFS || errno == EINVAL)) {
		if (errno == EINVAL)
			splice_end(s);
		return false;
	}
	if (n == -1)
		return true;
	s->t_data = src->t_in;
	count(s, false, (size_t)n);
	stats->spliced += (uint64_t)n;
	if (client)
		ws_dec_skip(&s->dec, (uint64_t)n);
	else
		s->t_sent = s->t_payload_out = src->t_in;
	if ((size_t)n < SPLICE_LEAVE && (size_t)n < max)
		splice_end(s);
	return true;
}

uint64_t
pump_unsplice(struct session *s, uint64_t now)
{
	struct conn	*c = s->ws.pipe != NULL ? &s->ws : &s->tcp;

	if (c->pipe == NULL)
		return UINT64_MAX;
	if (now < c->t_out + SPLICE_STALL)
		return c->t_out + SPLICE_STALL;
	conn_unsplice(c);
	return UINT64_MAX;
}

/* An ending socket: what still comes is thrown away (conn.h). */
static void
end_readable(struct conn *c)
{
	ssize_t	 n;

	if ((n = conn_read(c, rbuf, sizeof(rbuf))) > 0)
		c->discarded += (uint32_t)n;
	settle(c->owner);
}

void
pump_end(struct conn *c, enum conn_end how)
{
	c->ops = &end_ops;
	conn_end(c, how);
}

/*
 * A forward with large frames: their payload goes by pipe; the end of one and
 * the next one's header are read together.  Returns false when nothing was
 * done.
 */
static bool
ws_spliced(struct session *s)
{
	size_t	 left = (size_t)ws_dec_raw(&s->dec), max;
	ssize_t	 n;

	if (left < SPLICE_LEAVE) {
		max = left + LARGE_HDR;
		n = conn_read(&s->ws, rbuf, max);
		if (n == 0)
			ws_eof(s);
		if (n <= 0)
			return true;
		feed(s, rbuf, (size_t)n);
		left = (size_t)ws_dec_raw(&s->dec);
		if (left < SPLICE_LEAVE && (size_t)n == max)
			splice_end(s);		/* a small frame */
		if (left < SPLICE_LEAVE || s->phase != PH_OPEN)
			return true;
		(void)splice_some(s, &s->tcp, &s->ws, left);
		return true;
	}
	return splice_some(s, &s->tcp, &s->ws, left);
}

static void
ws_readable(struct conn *c)
{
	struct session	*s = c->owner;
	ssize_t		 n;

	if (session_is_client(s) && s->splicing && ws_spliced(s)) {
		settle(s);
		return;
	}
	n = conn_read(c, rbuf + HEADROOM, read_size(c));
	if (n > 0) {
		feed(s, rbuf + HEADROOM, (size_t)n);
		if (session_is_client(s))
			splice_begin(s, c, (size_t)n);
		adapt(c, s->type == SESSION_ECHO ? &s->ws : &s->tcp,
		    (size_t)n);
	} else if (n == 0)
		ws_eof(s);
	settle(s);
}

static void
tcp_readable(struct conn *c)
{
	struct session	*s = c->owner;
	uint8_t		*p = rbuf + HEADROOM;
	size_t		 want, len, chunk;
	ssize_t		 n;

	if (!session_is_client(s) && s->splicing &&
	    splice_some(s, &s->ws, c, PIPE_BYTES)) {
		settle(s);
		return;
	}
	want = read_size(c);
	if (want > (size_t)BATCH * s->message_max)
		want = (size_t)BATCH * s->message_max;
	n = conn_read(c, p, want);
	if (n > 0) {
		s->t_data = c->t_in;
		count(s, session_is_client(s), (size_t)n);
		for (len = (size_t)n; len != 0; len -= chunk, p += chunk) {
			chunk = len < s->message_max ? len : s->message_max;
			batch_add(s, WS_OP_BINARY, true, p, chunk);
		}
		batch_flush(s);
		if (!session_is_client(s))
			splice_begin(s, c, (size_t)n);
		adapt(c, &s->ws, (size_t)n);
	} else if (n == 0)
		tcp_fin(s);
	settle(s);
}

static void
writable(struct conn *c)
{
	struct session	*s = c->owner;

	if (c == &s->ws)
		wsend_pending(s);
	settle(s);
}

void
pump_interest(struct session *s)
{
	if (s->phase != PH_OPEN)
		return;
	if (s->close_rcvd || conn_pending(s->type == SESSION_ECHO ?
	    &s->ws : &s->tcp) != 0)
		conn_read_off(&s->ws);
	else
		conn_read_on(&s->ws);
	if (s->out_fin || s->close_sent || conn_pending(&s->ws) != 0 ||
	    s->ws.werror != 0)
		conn_read_off(&s->tcp);
	else
		conn_read_on(&s->tcp);
}

void
pump_begin(struct session *s)
{
	uint8_t	*early = s->early;
	uint64_t max;

	s->ws.ops = &pump_ws_ops;
	s->tcp.ops = &tcp_ops;
	max = s->fwd != NULL ? s->fwd->message_max : s->loc->message_max;
	if (max == 0)
		max = s->v1 ? 256 * 1024 : 32 * 1024;
	if (s->sokken && max > 32768)
		max = 32768;
	if (max > PIPE_BYTES)
		max = PIPE_BYTES;
	s->message_max = (uint32_t)max;
	session_phase(s, PH_OPEN);
	s->t_data = s->t_sent = mono_usec();
	if (early != NULL) {
		s->early = NULL;
		feed(s, early, s->earlylen);
		free(early);
	}
}
