/* SPDX-License-Identifier: ISC */

/* wsend.c: WebSocket frames a relay makes itself: control frames and FIN. */

#include "compat.h"

#include <stdlib.h>
#include <string.h>

#include "session.h"
#include "tunneld.h"

/*
 * Masking keys must be fresh and unpredictable (RFC 6455, 10.3).  They are
 * drawn many at a time: a system call for each small frame would cost more
 * than the frame.
 */
static uint8_t	 keys[1024];
static size_t	 keys_left;

static const uint8_t *
fresh_mask(const struct session *s, uint8_t mask[4])
{
	if (!session_is_client(s))
		return NULL;
	if (keys_left == 0) {
		arc4random_buf(keys, sizeof(keys));
		keys_left = sizeof(keys);
	}
	keys_left -= 4;
	memcpy(mask, keys + keys_left, 4);
	explicit_bzero(keys + keys_left, 4);
	return mask;
}

static bool
may_send(const struct session *s)
{
	return s->ws.fd != -1 && s->ws.werror == 0 && !s->close_sent &&
	    s->ws.end == END_NONE;
}

size_t
wsend_header(struct session *s, uint8_t *hdr, enum ws_opcode op, bool fin,
    uint8_t *payload, size_t len)
{
	uint8_t		 buf[4];
	const uint8_t	*mask = fresh_mask(s, buf);

	if (mask != NULL)
		ws_mask(payload, len, mask, 0);
	return ws_header(hdr, op, fin, len, mask);
}

static void
control(struct session *s, enum ws_opcode op, const void *data, size_t len)
{
	uint8_t	 buf[WS_HDR_MAX + WS_CTL_MAX], mask[4];

	(void)conn_send(&s->ws, buf,
	    ws_control(buf, op, data, len, fresh_mask(s, mask)));
	s->t_sent = mono_usec();
}

void
wsend_fin(struct session *s)
{
	uint8_t	 hdr[WS_HDR_MAX];

	if (!may_send(s))
		return;
	(void)conn_send(&s->ws, hdr,
	    wsend_header(s, hdr, WS_OP_TEXT, true, NULL, 0));
	s->t_sent = mono_usec();
}

void
wsend_close(struct session *s, uint16_t code, const char *reason)
{
	uint8_t	 buf[WS_HDR_MAX + WS_CTL_MAX], mask[4];
	size_t	 len;

	if (!may_send(s))
		return;
	len = ws_control_close(buf, code, reason, fresh_mask(s, mask));
	/* The answer to a Close is followed by our FIN at once. */
	if (s->close_rcvd)
		(void)conn_send_last(&s->ws, buf, len);
	else
		(void)conn_send(&s->ws, buf, len);
	s->close_sent = true;
	s->t_sent = s->t_close = mono_usec();
	if (s->code == 0)
		s->code = code;
	free(s->pong);
	s->pong = NULL;
}

void
wsend_ping(struct session *s)
{
	if (!may_send(s) || conn_pending(&s->ws) != 0)
		return;
	control(s, WS_OP_PING, NULL, 0);
	s->ping_waits = true;
	s->t_ping = s->t_sent;
}

/*
 * Pongs of one read leave together: Pings are six bytes, and a system call for
 * each of the thousands that fit into a read would make others wait.
 */
static uint8_t	 pongs[4096];
static size_t	 npongs;

void
wsend_pongs(struct session *s)
{
	size_t	 n = npongs;

	npongs = 0;
	if (n == 0 || !may_send(s))
		return;
	(void)conn_send(&s->ws, pongs, n);
	s->t_sent = mono_usec();
}

/*
 * Only the newest Ping needs an answer (5.5.3): while data waits one Pong is
 * kept, so that a peer that pings and does not read costs 126 bytes.
 */
void
wsend_pong(struct session *s, const uint8_t *data, size_t len)
{
	uint8_t	 mask[4];

	if (!may_send(s))
		return;
	if (npongs + WS_HDR_MAX + WS_CTL_MAX > sizeof(pongs))
		wsend_pongs(s);
	if (conn_pending(&s->ws) == 0) {
		npongs += ws_control(pongs + npongs, WS_OP_PONG, data, len,
		    fresh_mask(s, mask));
		return;
	}
	if (s->pong == NULL && (s->pong = malloc(1 + WS_CTL_MAX)) == NULL)
		return;
	s->pong[0] = (uint8_t)len;
	memcpy(s->pong + 1, data, len);
}

void
wsend_pending(struct session *s)
{
	uint8_t	*p = s->pong;

	if (p == NULL || conn_pending(&s->ws) != 0)
		return;
	s->pong = NULL;
	if (may_send(s))
		control(s, WS_OP_PONG, p + 1, p[0]);
	free(p);
}
