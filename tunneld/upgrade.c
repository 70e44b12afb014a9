/* SPDX-License-Identifier: ISC */

/* upgrade.c: the server's side of a handshake: request, checks, 101. */

#include "compat.h"

#include <imsg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "chan.h"
#include "child.h"
#include "httpreply.h"
#include "log.h"
#include "origin.h"
#include "session.h"
#include "tunneld.h"

#define BODY_MAX	(1024 * 1024)	/* of control's answer */
#define XFF_MAX		512		/* kept for logs */

static void	 head_readable(struct conn *);
static void	 head_writable(struct conn *);

const struct conn_ops upgrade_ops = { head_readable, head_writable };

void
upgrade_begin(struct session *s)
{
	struct http1_limits	 limits;

	if ((s->up = calloc(1, sizeof(*s->up))) == NULL) {
		session_abort(s, 'I', REASON_INTERNAL);
		return;
	}
	limits.line = s->server->max_request_line;
	limits.bytes = s->server->max_header_bytes;
	limits.count = s->server->max_headers;
	http1_init_request(&s->up->http, &limits);
	s->up->minor = 1;
	conn_read_on(&s->ws);
}

void
upgrade_free(struct session *s)
{
	if (s->up == NULL)
		return;
	free(s->up->buf);
	free(s->up->body);
	free(s->up);
	s->up = NULL;
}

void
upgrade_refuse(struct session *s, enum reason reason, const char *why)
{
	int	 status = reason_http(reason);

	if (status == 0)		/* killed, or told to stop */
		status = 503;
	if (why != NULL && strcmp(why, reason_text(reason)) == 0)
		why = NULL;
	stats->refusals[reason]++;
	row_log_refuse(s, reason, status, why);
	session_why(s, reason == REASON_HANDSHAKE_TIMEOUT ? 'D' : 'P', reason);
	conn_read_off(&s->ws);
	httpreply_error(s, status, reason_text(reason), why, NULL);
}

static void
refuse_method(struct session *s, const char *allow)
{
	stats->refusals[REASON_METHOD]++;
	row_log_refuse(s, REASON_METHOD, 405, NULL);
	session_why(s, 'P', REASON_METHOD);
	conn_read_off(&s->ws);
	httpreply_error(s, 405, reason_text(REASON_METHOD), NULL, allow);
}

static enum reason
parse_reason(int status)
{
	switch (status) {
	case 413:
		return REASON_BODY;
	case 414:
		return REASON_LINE_TOO_LONG;
	case 431:
		return REASON_HEADERS_TOO_BIG;
	case 501:
		return REASON_NOT_IMPLEMENTED;
	case 505:
		return REASON_HTTP_VERSION;
	default:
		return REASON_BAD_REQUEST;
	}
}

/* One element of X-Forwarded-For.  Returns true to look further left. */
static bool
believe_element(struct session *s, const char *p, size_t len)
{
	char		 text[ADDR_TEXT], host[ADDR_TEXT];
	struct addr	 a;
	uint16_t	 port;
	bool		 numeric;

	while (len > 0 && (*p == ' ' || *p == '\t')) {
		p++;
		len--;
	}
	while (len > 0 && (p[len - 1] == ' ' || p[len - 1] == '\t'))
		len--;
	if (len == 0)
		return true;
	/* "unknown" and the like: nobody that any list could mean. */
	memset(&s->source, 0, sizeof(s->source));
	if (len >= sizeof(text))
		return false;
	memcpy(text, p, len);
	text[len] = '\0';
	if (addr_parse(text, 0, &a) == -1 && (hostport_parse(text, host,
	    sizeof(host), &port, &numeric) == -1 || !numeric ||
	    addr_parse(host, port, &a) == -1))
		return false;
	addr_unmap(&a);
	addr_pack(&a, &s->source);
	return conf_cidrs_match(&s->server->trusted, &a);
}

/*
 * Who is the client, when the connection comes from a trusted proxy: the
 * rightmost address of X-Forwarded-For that is not itself trusted.  Each
 * proxy appends the address it was called from, so what stands further left
 * is the client's own claim: it is cut at every comma, since a quote there
 * must not swallow what the proxy wrote.
 */
static void
believe_forwarded(struct session *s)
{
	struct upgrade			*up = s->up;
	const struct http1_field	*f;
	const char			*value;
	size_t				 from, end, used = 0;
	struct addr			 peer;
	unsigned			 i, n;

	n = http1_field_count(&up->http, up->buf, "X-Forwarded-For");
	addr_unpack(&s->peer, &peer);
	if (n == 0 || !conf_cidrs_match(&s->server->trusted, &peer) ||
	    (s->xff = calloc(1, XFF_MAX)) == NULL)
		return;
	for (i = 0; i < n; i++) {
		f = http1_field(&up->http, up->buf, "X-Forwarded-For", i);
		if (used + f->valuelen + 3 >= XFF_MAX)
			break;
		if (used != 0) {
			memcpy(s->xff + used, ", ", 2);
			used += 2;
		}
		memcpy(s->xff + used, up->buf + f->value, f->valuelen);
		used += f->valuelen;
	}
	while (n-- > 0) {
		f = http1_field(&up->http, up->buf, "X-Forwarded-For", n);
		value = up->buf + f->value;
		for (end = f->valuelen;; end = from - 1) {
			for (from = end; from > 0 && value[from - 1] != ',';)
				from--;
			if (!believe_element(s, value + from, end - from))
				return;
			if (from == 0)
				break;
		}
	}
}

/* Which origin it was is for the log; the page need not be told. */
static void
refuse_origin(struct session *s)
{
	struct upgrade			*up = s->up;
	const struct http1_field	*f;
	char				 text[HOST_MAX + 32];

	f = http1_field(&up->http, up->buf, "Origin", 0);
	(void)snprintf(text, sizeof(text), "Origin: %.*s",
	    (int)(f->valuelen < HOST_MAX ? f->valuelen : HOST_MAX),
	    up->buf + f->value);
	stats->refusals[REASON_ORIGIN]++;
	row_log_refuse(s, REASON_ORIGIN, 403, text);
	session_why(s, 'P', REASON_ORIGIN);
	conn_read_off(&s->ws);
	httpreply_error(s, 403, reason_text(REASON_ORIGIN), NULL, NULL);
}

static bool
check_origin(struct session *s)
{
	struct upgrade			*up = s->up;
	const struct http1_field	*f, *h;
	const struct conf_origins	*list = &s->loc->origins;
	enum origin_mode		 mode = s->loc->origin_mode;

	if (mode == ORIGIN_INHERIT) {
		mode = s->server->origin_mode;
		list = &s->server->origins;
	}
	f = http1_field(&up->http, up->buf, "Origin", 0);
	if (f == NULL)
		return true;		/* not a browser */
	if (http1_field_count(&up->http, up->buf, "Origin") != 1)
		return false;
	h = http1_field(&up->http, up->buf, "Host", 0);
	return origin_allowed(mode, list, up->buf + f->value, f->valuelen,
	    h != NULL ? up->buf + h->value : NULL,
	    h != NULL ? h->valuelen : 0);
}

/*
 * Exactly what was asked for is echoed, or nothing.  Sets s->subprotocol.
 * Returns why the WebSocket will have to be closed again at once: nothing
 * but base64 was offered, or not what a sokken location insists on.
 */
static enum reason
choose_subprotocol(struct session *s)
{
	struct upgrade	*up = s->up;
	const char	*elem;
	size_t		 iter = 0, len;
	bool		 v1 = false, binary = false, base64 = false;
	bool		 sokken = false;

#define IS(word) (len == sizeof(word) - 1 && memcmp(elem, word, len) == 0)
	while (http1_next_element(&up->http, up->buf, "Sec-WebSocket-Protocol",
	    &iter, &elem, &len)) {
		v1 = v1 || IS("tunneld.tcp.v1");
		binary = binary || IS("binary");
		base64 = base64 || IS("base64");
		sokken = sokken || IS("sokken");
	}
#undef IS
	if (s->loc->sokken)
		s->subprotocol = sokken ? "sokken" : NULL;
	else if (v1)
		s->subprotocol = "tunneld.tcp.v1";
	else if (binary)
		s->subprotocol = "binary";
	/* To an echo a FIN is a message like any other: it comes back. */
	s->v1 = s->subprotocol != NULL && s->loc->kind != LOC_ECHO &&
	    strcmp(s->subprotocol, "tunneld.tcp.v1") == 0;
	s->sokken = s->loc->sokken;
	if (s->subprotocol != NULL)
		return REASON_NONE;
	if (s->sokken)
		return REASON_SOKKEN_PROTO;
	return base64 ? REASON_DATATYPE : REASON_NONE;
}

/* Returns false when the request was answered already. */
static bool
check_websocket(struct session *s)
{
	struct upgrade			*up = s->up;
	struct http1			*h = &up->http;
	const struct http1_field	*f;

	if (!http1_method_is(h, up->buf, "GET")) {
		refuse_method(s, "GET");
		return false;
	}
	if (h->minor < 1 ||
	    !http1_has_token(h, up->buf, "Connection", "upgrade") ||
	    !http1_has_token(h, up->buf, "Upgrade", "websocket")) {
		upgrade_refuse(s, REASON_NO_UPGRADE, NULL);
		return false;
	}
	f = http1_field(h, up->buf, "Sec-WebSocket-Version", 0);
	if (http1_field_count(h, up->buf, "Sec-WebSocket-Version") > 1) {
		upgrade_refuse(s, REASON_BAD_REQUEST,
		    "several Sec-WebSocket-Version");
		return false;
	}
	if (f == NULL || f->valuelen != 2 ||
	    memcmp(up->buf + f->value, "13", 2) != 0) {
		upgrade_refuse(s, REASON_NO_UPGRADE,
		    "Sec-WebSocket-Version is not 13");
		return false;
	}
	f = http1_field(h, up->buf, "Sec-WebSocket-Key", 0);
	if (f == NULL ||
	    http1_field_count(h, up->buf, "Sec-WebSocket-Key") != 1 ||
	    !ws_key_valid(up->buf + f->value, f->valuelen)) {
		upgrade_refuse(s, REASON_BAD_REQUEST,
		    "missing or malformed Sec-WebSocket-Key");
		return false;
	}
	ws_accept_key(up->buf + f->value, f->valuelen, up->accept);
	if (!check_origin(s)) {
		refuse_origin(s);
		return false;
	}
	return true;
}

static void
ask_body(struct session *s)
{
	struct chan	*c = child_peer(ROLE_CONTROL, 0);
	struct msg_body	 m;
	struct ibuf	*b;

	free(s->up->body);
	s->up->body = NULL;
	s->up->bodylen = 0;
	if (c == NULL)
		return;			/* asked again when it is back */
	m.id = s->id;
	m.kind = s->loc->kind == LOC_HEALTH ? BODY_HEALTH : BODY_METRICS;
	b = chan_msg(c, MSG_BODY);
	if (b != NULL && msg_body_put(b, &m) == -1) {
		ibuf_free(b);
		b = NULL;
	}
	(void)chan_send(c, b, -1);	/* the handshake's deadline decides */
}

void
upgrade_body_retry(void)
{
	struct session	*s;

	RB_FOREACH(s, sessions, &sessions)
		if (s->phase == PH_BODY)
			ask_body(s);
}

void
upgrade_body(struct session *s, const struct msg_chunk *m)
{
	struct upgrade	*up = s->up;
	char		*p;

	if (s->phase != PH_BODY || up == NULL)
		return;
	if (up->bodylen + m->len > BODY_MAX ||
	    (p = realloc(up->body, up->bodylen + m->len + 1)) == NULL) {
		upgrade_refuse(s, REASON_UNAVAILABLE, NULL);
		return;
	}
	up->body = p;
	memcpy(up->body + up->bodylen, m->data, m->len);
	up->bodylen += m->len;
	if (!m->last)
		return;
	httpreply_send(s, m->status, s->loc->kind == LOC_HEALTH ?
	    "application/json" : "text/plain; version=0.0.4; charset=utf-8",
	    m->status == 503 ? "Retry-After: 5\r\n" : "", up->body,
	    up->bodylen);
}

/* What the URL names behind the "*" of a list location. */
static bool
take_target(struct session *s, const char *path)
{
	size_t	 n = strlen(s->loc->pattern) - 1;

	if (s->loc->kind != LOC_LIST)
		return true;
	s->target = strndup(path + n, TARGET_TEXT - 1);
	return s->target != NULL;
}

static void
handle_request(struct session *s)
{
	struct upgrade			*up = s->up;
	struct http1			*h = &up->http;
	const struct http1_field	*host;
	const char			*query;
	struct addr			 source;
	char				 path[PATH_MAX_LEN];
	size_t				 querylen;
	enum reason			 reason;
	bool				 page;

	conn_read_off(&s->ws);
	up->head = http1_method_is(h, up->buf, "HEAD");
	up->minor = h->minor;
	host = http1_field(h, up->buf, "Host", 0);
	/* Their targets are no paths (RFC 9112, 3.2.3 and 3.2.4). */
	if (http1_method_is(h, up->buf, "CONNECT") ||
	    (http1_method_is(h, up->buf, "OPTIONS") && h->targetlen == 1 &&
	    up->buf[h->target] == '*')) {
		refuse_method(s, "GET, HEAD");
		return;
	}
	if (http1_path(up->buf + h->target, h->targetlen,
	    host != NULL ? up->buf + host->value : NULL,
	    host != NULL ? host->valuelen : 0, path, sizeof(path), &query,
	    &querylen) == -1) {
		upgrade_refuse(s, REASON_BAD_REQUEST, "bad request target");
		return;
	}
	believe_forwarded(s);
	s->loc = conf_loc_match(s->server, path);
	page = s->loc != NULL &&
	    (s->loc->kind == LOC_HEALTH || s->loc->kind == LOC_METRICS);
	if (relay_draining && !(page && s->loc->kind == LOC_HEALTH)) {
		upgrade_refuse(s, REASON_DRAINING, NULL);
		return;
	}
	if (s->loc == NULL) {
		upgrade_refuse(s, REASON_NO_LOCATION, NULL);
		return;
	}
	addr_unpack(&s->source, &source);
	if (!TAILQ_EMPTY(&s->loc->allow) &&
	    !conf_cidrs_match(&s->loc->allow, &source)) {
		upgrade_refuse(s, REASON_NOT_ALLOWED, NULL);
		return;
	}
	if (page) {
		if (!up->head && !http1_method_is(h, up->buf, "GET")) {
			refuse_method(s, "GET, HEAD");
			return;
		}
		session_phase(s, PH_BODY);
		ask_body(s);
		return;
	}
	if (!check_websocket(s))
		return;
	if (!take_target(s, path)) {
		session_abort(s, 'I', REASON_INTERNAL);
		return;
	}
	s->type = s->loc->kind == LOC_ECHO ? SESSION_ECHO : SESSION_GATEWAY;
	reason = choose_subprotocol(s);
	if (reason == REASON_NONE) {
		dial_ask(s);
		return;
	}
	/*
	 * The Close can only be said on a WebSocket; no target is touched.
	 * The dialer is not asked either: no limit would hold for these.
	 */
	if (session_farewells >= FAREWELLS_MAX) {
		upgrade_refuse(s, REASON_UNAVAILABLE, NULL);
		return;
	}
	s->farewell = true;
	session_farewells++;
	upgrade_accept(s);
	session_abort(s, 'P', reason);
}

static void
head_readable(struct conn *c)
{
	struct session	*s = c->owner;
	struct upgrade	*up = s->up;
	size_t		 cap, size;
	ssize_t		 n;
	char		*p;

	cap = (size_t)s->server->max_request_line +
	    s->server->max_header_bytes + 1024;
	if (up->len == up->size && up->size < cap) {
		size = up->size == 0 ? 1024 : up->size * 2;
		if (size > cap)
			size = cap;
		if ((p = realloc(up->buf, size)) == NULL) {
			session_abort(s, 'I', REASON_INTERNAL);
			settle(s);
			return;
		}
		up->buf = p;
		up->size = size;
	}
	if (up->len == up->size) {
		upgrade_refuse(s, REASON_HEADERS_TOO_BIG, NULL);
		settle(s);
		return;
	}
	n = conn_read(c, up->buf + up->len, up->size - up->len);
	if (n > 0) {
		up->len += (size_t)n;
		switch (http1_feed(&up->http, up->buf, up->len)) {
		case HTTP1_MORE:
			break;
		case HTTP1_DONE:
			handle_request(s);
			break;
		case HTTP1_ERROR:
			upgrade_refuse(s, parse_reason(up->http.status),
			    up->http.why);
			break;
		}
	} else if (n == 0) {
		session_why(s, 'C', REASON_CLOSED);
		session_phase(s, PH_CLOSING);
		pump_end(c, END_LINGER);
	}
	settle(s);
}

static void
head_writable(struct conn *c)
{
	settle(c->owner);
}

/* Keep the frames that came right behind the request. */
static int
take_early(struct session *s)
{
	struct upgrade	*up = s->up;
	size_t		 n = up->len - up->http.headlen;

	if (n == 0)
		return 0;
	if ((s->early = malloc(n)) == NULL)
		return -1;
	memcpy(s->early, up->buf + up->http.headlen, n);
	s->earlylen = n;
	return 0;
}

void
upgrade_accept(struct session *s)
{
	char		 head[512];
	const char	*sub = s->subprotocol;
	int		 n;

	if (take_early(s) == -1) {
		session_abort(s, 'I', REASON_INTERNAL);
		return;
	}
	n = snprintf(head, sizeof(head), "HTTP/1.1 101 Switching Protocols\r\n"
	    "Upgrade: websocket\r\nConnection: Upgrade\r\n"
	    "Sec-WebSocket-Accept: %s\r\n%s%s%s\r\n", s->up->accept,
	    sub != NULL ? "Sec-WebSocket-Protocol: " : "",
	    sub != NULL ? sub : "", sub != NULL ? "\r\n" : "");
	if (n < 0 || (size_t)n >= sizeof(head))
		fatalx("101 of %d bytes", n);
	upgrade_free(s);
	(void)conn_send(&s->ws, head, (size_t)n);
	s->ws.ops = &pump_ws_ops;
	ws_dec_init(&s->dec, WS_DEC_MASKED |
	    (s->loc->kind == LOC_ECHO ? WS_DEC_MESSAGES : 0) |
	    (s->loc->text_any ? WS_DEC_TEXT_ANY : 0) |
	    (s->sokken ? WS_DEC_NO_TEXT : 0) |
	    (s->v1 ? WS_DEC_EMPTY_TEXT : 0), s->sokken ? 32768 : 0);
	session_phase(s, s->loc->kind == LOC_ECHO ? PH_OPEN : PH_DIAL);
	session_open(s);
	if (s->loc->kind == LOC_ECHO)
		pump_begin(s);
}
