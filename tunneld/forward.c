/* SPDX-License-Identifier: ISC */

/* forward.c: the client's side of a handshake, and what a refusal means. */

#include "compat.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "session.h"
#include "tunneld.h"

/* Limits of the server's answer; ours to choose. */
static const struct http1_limits answer_limits = { 8192, 32768, 100 };
#define ANSWER_MAX	(8192 + 32768 + 1024)

static void	 writable(struct conn *);

static const struct conn_ops forward_ops = { forward_readable, writable };

static void
writable(struct conn *c)
{
	settle(c->owner);
}

void
forward_begin(struct session *s)
{
	s->type = SESSION_FORWARD;
	s->sokken = s->fwd->sokken;
	session_open(s);
	dial_ask(s);
}

/*
 * The handshake failed: told in words, since the other side's operator reads
 * another log.  The local peer gets a RST.
 */
static void
refused(struct session *s, int status, const char *why)
{
	struct logrec	 r;
	char		 id[SID_TEXT];

	stats->dial_failures[REASON_HANDSHAKE_REFUSED]++;
	log_begin(&r, LOG_L_BRIEF, EV_LOG_DIAL_FAILED);
	log_str(&r, LK_SESSION, sid_format(s->id, id));
	log_str(&r, LK_TARGET, row_target(s));
	log_str(&r, LK_REASON, reason_word(REASON_HANDSHAKE_REFUSED));
	if (status != 0)
		log_num(&r, LK_STATUS, (uint64_t)status);
	log_str(&r, LK_MESSAGE, why);
	log_send(&r);
	session_abort(s, 'T', REASON_HANDSHAKE_REFUSED);
}

static const char *
hint(int status)
{
	switch (status) {
	case 200:
		return "is this a WebSocket path?";
	case 301: case 302: case 303: case 307: case 308:
		return "a redirect is not followed: use the new URL";
	case 400:
		return "does a proxy in between strip Upgrade?";
	case 401: case 407:
		return "credentials are wanted";
	case 403:
		return "is this address or origin allowed there?";
	case 404:
		return "is the path right?";
	case 405:
		return "is this a WebSocket path?";
	case 426:
		return "does a proxy in between strip Upgrade?";
	case 429:
		return "too many sessions there";
	case 502: case 504:
		return "the server behind the proxy does not answer";
	case 503:
		return "the server is restarting or full";
	default:
		return "not a WebSocket handshake";
	}
}

void
forward_request(struct session *s)
{
	const struct wsurl	*u = &s->fwd->url;
	uint8_t			 nonce[16];
	char			 req[URL_MAX + HOST_MAX + 512];
	int			 n;

	if ((s->up = calloc(1, sizeof(*s->up))) == NULL ||
	    (s->up->buf = malloc(ANSWER_MAX)) == NULL) {
		session_abort(s, 'I', REASON_INTERNAL);
		return;
	}
	s->up->size = ANSWER_MAX;
	http1_init_response(&s->up->http, &answer_limits);
	arc4random_buf(nonce, sizeof(nonce));
	ws_key_text(nonce, s->up->key);
	ws_accept_key(s->up->key, strlen(s->up->key), s->up->accept);
	/*
	 * No blank behind the comma: Debian's websockify splits the list
	 * without trimming it.
	 */
	n = snprintf(req, sizeof(req), "GET %s HTTP/1.1\r\nHost: %s\r\n"
	    "User-Agent: tunneld/" VERSION "\r\n"
	    "Upgrade: websocket\r\nConnection: Upgrade\r\n"
	    "Sec-WebSocket-Key: %s\r\nSec-WebSocket-Version: 13\r\n"
	    "Sec-WebSocket-Protocol: %s\r\n\r\n", u->path, u->hostport,
	    s->up->key, s->sokken ? "sokken" : "tunneld.tcp.v1,binary");
	if (n < 0 || (size_t)n >= sizeof(req))
		fatalx("request of %d bytes", n);
	s->ws.ops = &forward_ops;
	session_phase(s, PH_UPGRADE);
	(void)conn_send(&s->ws, req, (size_t)n);
	conn_read_on(&s->ws);
}

/* One field of this name, with exactly this value; NULL value: any. */
static const struct http1_field *
only_field(const struct upgrade *up, const char *name)
{
	if (http1_field_count(&up->http, up->buf, name) != 1)
		return NULL;
	return http1_field(&up->http, up->buf, name, 0);
}

/* Take the subprotocol of the answer.  Returns NULL, or what is wrong. */
static const char *
take_subprotocol(struct session *s)
{
	static const char		*offered[] = { "tunneld.tcp.v1",
					    "binary" };
	struct upgrade			*up = s->up;
	const struct http1_field	*f;
	size_t				 i;

	if (http1_field_count(&up->http, up->buf,
	    "Sec-WebSocket-Protocol") == 0)
		return NULL;		/* sokken peers may leave it out */
	if ((f = only_field(up, "Sec-WebSocket-Protocol")) == NULL)
		return "server chose several subprotocols";
	if (s->sokken) {
		if (f->valuelen != 6 ||
		    memcmp(up->buf + f->value, "sokken", 6) != 0)
			return "server chose a subprotocol not offered";
		s->subprotocol = "sokken";
		return NULL;
	}
	for (i = 0; i < nitems(offered); i++)
		if (strlen(offered[i]) == f->valuelen &&
		    memcmp(up->buf + f->value, offered[i], f->valuelen) == 0) {
			s->subprotocol = offered[i];
			s->v1 = i == 0;
			return NULL;
		}
	return "server chose a subprotocol not offered";
}

/* RFC 6455, 4.1: what the client must check.  NULL: all is well. */
static const char *
check_answer(struct session *s)
{
	struct upgrade			*up = s->up;
	const struct http1_field	*f;

	if (!http1_has_token(&up->http, up->buf, "Upgrade", "websocket"))
		return "101 without Upgrade: websocket";
	if (!http1_has_token(&up->http, up->buf, "Connection", "upgrade"))
		return "101 without Connection: Upgrade";
	f = only_field(up, "Sec-WebSocket-Accept");
	if (f == NULL || f->valuelen != strlen(up->accept) ||
	    memcmp(up->buf + f->value, up->accept, f->valuelen) != 0)
		return "101 with a wrong Sec-WebSocket-Accept";
	if (http1_field_count(&up->http, up->buf,
	    "Sec-WebSocket-Extensions") != 0)
		return "server uses an extension that was not offered";
	return take_subprotocol(s);
}

static void
established(struct session *s)
{
	struct upgrade	*up = s->up;
	size_t		 n = up->len - up->http.headlen;

	if (n != 0) {
		if ((s->early = malloc(n)) == NULL) {
			session_abort(s, 'I', REASON_INTERNAL);
			return;
		}
		memcpy(s->early, up->buf + up->http.headlen, n);
		s->earlylen = n;
	}
	ws_dec_init(&s->dec, (s->sokken ? WS_DEC_NO_TEXT : 0) |
	    (s->v1 ? WS_DEC_EMPTY_TEXT : 0), s->sokken ? 32768 : 0);
	upgrade_free(s);
	pump_begin(s);
}

static void
answered(struct session *s)
{
	char		 text[256];
	const char	*why;
	int		 code = s->up->http.code;

	if (code != 101) {
		(void)snprintf(text, sizeof(text), "server answered %d: %s",
		    code, hint(code));
		refused(s, code, text);
	} else if ((why = check_answer(s)) != NULL)
		refused(s, code, why);
	else
		established(s);
}

void
forward_readable(struct conn *c)
{
	struct session	*s = c->owner;
	struct upgrade	*up = s->up;
	char		 text[256];
	ssize_t		 n;

	if (s->phase != PH_UPGRADE || up == NULL) {
		conn_read_off(c);
		settle(s);
		return;
	}
	n = conn_read(c, up->buf + up->len, up->size - up->len);
	if (n > 0) {
		up->len += (size_t)n;
		switch (http1_feed(&up->http, up->buf, up->len)) {
		case HTTP1_MORE:
			if (up->len == up->size)
				refused(s, 0, "server's answer is too long");
			break;
		case HTTP1_DONE:
			answered(s);
			break;
		case HTTP1_ERROR:
			(void)snprintf(text, sizeof(text), "server's answer: "
			    "%s", up->http.why);
			refused(s, 0, text);
			break;
		}
	} else if (n == 0)
		refused(s, 0, "server closed without an answer: is a "
		    "WebSocket server there?");
	else if (c->error != 0)
		refused(s, 0, "server reset the connection without an answer");
	settle(s);
}
