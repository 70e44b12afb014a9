/* SPDX-License-Identifier: ISC */

/* msg_session.c: messages about sessions: relays, dialer and control. */

#include "compat.h"

#include <sys/types.h>

#include <stdlib.h>
#include <string.h>

#include "chan.h"
#include "msg.h"

const char *
session_state_word(enum session_state s)
{
	static const char *const words[SS_MAX] = {
		[SS_HANDSHAKE] = "handshake",
		[SS_DIALING] = "dialing",
		[SS_OPEN] = "open",
		[SS_CLOSING] = "closing"
	};

	return ((unsigned)s < SS_MAX ? words[s] : "?");
}

static int
get_type(struct ibuf *b, enum session_type *type)
{
	unsigned	 v;

	if (get_enum(b, SESSION_TYPE_MAX, &v) == -1)
		return (-1);
	*type = (enum session_type)v;
	return (0);
}

static int
get_reason(struct ibuf *b, enum reason *reason)
{
	unsigned	 v;

	if (get_enum(b, REASON_MAX, &v) == -1)
		return (-1);
	*reason = (enum reason)v;
	return (0);
}

static int
open_put(struct ibuf *b, const struct msg_open *o)
{
	if (o->ticketlen > TICKET_MAX || ibuf_add_n64(b, o->session) == -1 ||
	    ibuf_add_n32(b, o->server) == -1 ||
	    ibuf_add_n32(b, o->loc) == -1 ||
	    ibuf_add_n32(b, o->forward) == -1 ||
	    ibuf_add_n8(b, o->type) == -1 ||
	    put_addr(b, &o->source) == -1 ||
	    put_str(b, o->target) == -1 ||
	    put_strn(b, o->ticket, o->ticketlen) == -1)
		return (-1);
	return (0);
}

static int
open_get(struct ibuf *b, struct msg_open *o)
{
	if (ibuf_get_n64(b, &o->session) == -1 ||
	    ibuf_get_n32(b, &o->server) == -1 ||
	    ibuf_get_n32(b, &o->loc) == -1 ||
	    ibuf_get_n32(b, &o->forward) == -1 ||
	    get_type(b, &o->type) == -1 ||
	    get_addr(b, &o->source) == -1 ||
	    get_str(b, o->target, sizeof(o->target)) == -1 ||
	    ibuf_get_n16(b, &o->ticketlen) == -1 ||
	    o->ticketlen > TICKET_MAX)
		return (-1);
	if (o->ticketlen > 0 &&
	    ibuf_get(b, o->ticket, o->ticketlen) == -1)
		return (-1);
	return (0);
}

int
msg_open_put(struct ibuf *b, const struct msg_open *o)
{
	return (b == NULL ? -1 : open_put(b, o));
}

int
msg_open_get(struct imsg *m, struct msg_open *o)
{
	struct ibuf	 b;

	memset(o, 0, sizeof(*o));
	if (imsg_get_ibuf(m, &b) == -1 || open_get(&b, o) == -1 ||
	    ibuf_size(&b) != 0)
		return (-1);
	return (0);
}

int
msg_answer_put(struct ibuf *b, const struct msg_answer *a)
{
	if (b == NULL || ibuf_add_n64(b, a->session) == -1 ||
	    ibuf_add_n8(b, a->reason) == -1 ||
	    ibuf_add_n32(b, (uint32_t)a->error) == -1 ||
	    put_str(b, a->target) == -1)
		return (-1);
	return (0);
}

int
msg_answer_get(struct imsg *m, struct msg_answer *a)
{
	struct ibuf	 b;
	uint32_t	 error;

	memset(a, 0, sizeof(*a));
	if (imsg_get_ibuf(m, &b) == -1 ||
	    ibuf_get_n64(&b, &a->session) == -1 ||
	    get_reason(&b, &a->reason) == -1 ||
	    ibuf_get_n32(&b, &error) == -1 || error > INT32_MAX ||
	    get_str(&b, a->target, sizeof(a->target)) == -1 ||
	    ibuf_size(&b) != 0)
		return (-1);
	a->error = (int32_t)error;
	return (0);
}

int
msg_announce_put(struct ibuf *b, const struct msg_announce *a)
{
	if (b == NULL || open_put(b, &a->open) == -1 ||
	    put_str(b, a->reached) == -1 ||
	    put_bool(b, a->pending) == -1)
		return (-1);
	return (0);
}

int
msg_announce_get(struct imsg *m, struct msg_announce *a)
{
	struct ibuf	 b;

	memset(a, 0, sizeof(*a));
	if (imsg_get_ibuf(m, &b) == -1 || open_get(&b, &a->open) == -1 ||
	    get_str(&b, a->reached, sizeof(a->reached)) == -1 ||
	    get_bool(&b, &a->pending) == -1 ||
	    ibuf_size(&b) != 0)
		return (-1);
	return (0);
}

int
msg_body_put(struct ibuf *b, const struct msg_body *r)
{
	if (b == NULL || ibuf_add_n64(b, r->id) == -1 ||
	    ibuf_add_n8(b, r->kind) == -1)
		return (-1);
	return (0);
}

int
msg_body_get(struct imsg *m, struct msg_body *r)
{
	struct ibuf	 b;
	unsigned	 kind;

	memset(r, 0, sizeof(*r));
	if (imsg_get_ibuf(m, &b) == -1 ||
	    ibuf_get_n64(&b, &r->id) == -1 ||
	    get_enum(&b, BODY_METRICS + 1, &kind) == -1 ||
	    ibuf_size(&b) != 0)
		return (-1);
	r->kind = (enum body_kind)kind;
	return (0);
}

int
msg_chunk_put(struct ibuf *b, const struct msg_chunk *c)
{
	if (b == NULL || c->len > CHUNK_MAX ||
	    ibuf_add_n64(b, c->id) == -1 ||
	    ibuf_add_n16(b, c->status) == -1 ||
	    put_bool(b, c->last) == -1 ||
	    put_strn(b, c->data, c->len) == -1)
		return (-1);
	return (0);
}

int
msg_chunk_get(struct imsg *m, struct msg_chunk *c)
{
	struct ibuf	 b;
	uint16_t	 len;

	memset(c, 0, sizeof(*c));
	if (imsg_get_ibuf(m, &b) == -1 ||
	    ibuf_get_n64(&b, &c->id) == -1 ||
	    ibuf_get_n16(&b, &c->status) == -1 ||
	    get_bool(&b, &c->last) == -1 ||
	    ibuf_get_n16(&b, &len) == -1 || len > CHUNK_MAX ||
	    ibuf_size(&b) != len)
		return (-1);
	c->data = ibuf_data(&b);
	c->len = len;
	return (0);
}

int
msg_show_put(struct ibuf *b, const struct msg_show *s)
{
	if (b == NULL || ibuf_add_n64(b, s->id) == -1 ||
	    ibuf_add_n64(b, s->after) == -1 ||
	    ibuf_add_n32(b, s->max) == -1)
		return (-1);
	return (0);
}

int
msg_show_get(struct imsg *m, struct msg_show *s)
{
	struct ibuf	 b;

	memset(s, 0, sizeof(*s));
	if (imsg_get_ibuf(m, &b) == -1 ||
	    ibuf_get_n64(&b, &s->id) == -1 ||
	    ibuf_get_n64(&b, &s->after) == -1 ||
	    ibuf_get_n32(&b, &s->max) == -1 ||
	    ibuf_size(&b) != 0)
		return (-1);
	return (0);
}

int
msg_end_put(struct ibuf *b, const struct msg_end *e)
{
	if (b == NULL || ibuf_add_n64(b, e->id) == -1 ||
	    put_bool(b, e->more) == -1)
		return (-1);
	return (0);
}

int
msg_end_get(struct imsg *m, struct msg_end *e)
{
	struct ibuf	 b;

	memset(e, 0, sizeof(*e));
	if (imsg_get_ibuf(m, &b) == -1 ||
	    ibuf_get_n64(&b, &e->id) == -1 ||
	    get_bool(&b, &e->more) == -1 ||
	    ibuf_size(&b) != 0)
		return (-1);
	return (0);
}

int
msg_session_put(struct ibuf *b, const struct msg_session *s)
{
	if (b == NULL || ibuf_add_n64(b, s->request) == -1 ||
	    ibuf_add_n64(b, s->id) == -1 ||
	    ibuf_add_n8(b, s->type) == -1 ||
	    ibuf_add_n8(b, s->state) == -1 ||
	    put_str(b, s->server) == -1 ||
	    put_str(b, s->location) == -1 ||
	    put_str(b, s->listener) == -1 ||
	    put_addr(b, &s->client) == -1 ||
	    put_addr(b, &s->peer) == -1 ||
	    put_str(b, s->xff) == -1 ||
	    put_str(b, s->target) == -1 ||
	    put_str(b, s->subprotocol) == -1 ||
	    ibuf_add_n64(b, s->started) == -1 ||
	    ibuf_add_n64(b, s->duration) == -1 ||
	    ibuf_add_n64(b, s->idle) == -1 ||
	    ibuf_add_n64(b, s->in) == -1 ||
	    ibuf_add_n64(b, s->out) == -1 ||
	    ibuf_add_n32(b, s->generation) == -1)
		return (-1);
	return (0);
}

int
msg_session_get(struct imsg *m, struct msg_session *s)
{
	struct ibuf	 b;
	unsigned	 state;

	memset(s, 0, sizeof(*s));
	if (imsg_get_ibuf(m, &b) == -1 ||
	    ibuf_get_n64(&b, &s->request) == -1 ||
	    ibuf_get_n64(&b, &s->id) == -1 ||
	    get_type(&b, &s->type) == -1 ||
	    get_enum(&b, SS_MAX, &state) == -1 ||
	    get_str(&b, s->server, sizeof(s->server)) == -1 ||
	    get_str(&b, s->location, sizeof(s->location)) == -1 ||
	    get_str(&b, s->listener, sizeof(s->listener)) == -1 ||
	    get_addr(&b, &s->client) == -1 ||
	    get_addr(&b, &s->peer) == -1 ||
	    get_str(&b, s->xff, sizeof(s->xff)) == -1 ||
	    get_str(&b, s->target, sizeof(s->target)) == -1 ||
	    get_str(&b, s->subprotocol, sizeof(s->subprotocol)) == -1 ||
	    ibuf_get_n64(&b, &s->started) == -1 ||
	    ibuf_get_n64(&b, &s->duration) == -1 ||
	    ibuf_get_n64(&b, &s->idle) == -1 ||
	    ibuf_get_n64(&b, &s->in) == -1 ||
	    ibuf_get_n64(&b, &s->out) == -1 ||
	    ibuf_get_n32(&b, &s->generation) == -1 ||
	    ibuf_size(&b) != 0)
		return (-1);
	s->state = (enum session_state)state;
	return (0);
}

int
msg_kill_put(struct ibuf *b, const struct msg_kill *k)
{
	if (b == NULL || ibuf_add_n64(b, k->id) == -1 ||
	    ibuf_add_n64(b, k->session) == -1)
		return (-1);
	return (0);
}

int
msg_kill_get(struct imsg *m, struct msg_kill *k)
{
	struct ibuf	 b;

	memset(k, 0, sizeof(*k));
	if (imsg_get_ibuf(m, &b) == -1 ||
	    ibuf_get_n64(&b, &k->id) == -1 ||
	    ibuf_get_n64(&b, &k->session) == -1 ||
	    ibuf_size(&b) != 0)
		return (-1);
	return (0);
}
