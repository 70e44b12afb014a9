/* SPDX-License-Identifier: ISC */

/*
 * probe_msg.c: messages that a role may not send, malformed ones, and what a
 * relay may not ask for.  What the receiver does then is seen from outside.
 */

#include "compat.h"

#ifdef TUNNELD_PROBES

#include <sys/types.h>
#include <sys/socket.h>

#include <imsg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "chan.h"
#include "child.h"
#include "conf.h"
#include "log.h"
#include "msg.h"
#include "probe.h"

#define NO_SUCH_TYPE	9999
#define FORGED_SLOT	(RELAYS_MAX - 1)
#define FORGED_RESTARTS	4242
#define MANY		100

static int
send_num(struct chan *c, uint32_t type, uint64_t num)
{
	struct ibuf	*b;

	if (c == NULL || (b = chan_msg(c, type)) == NULL ||
	    msg_num_put(b, num) == -1)
		return (-1);
	return (chan_send(c, b, -1));
}

static int
send_zeros(struct chan *c, uint32_t type, size_t len)
{
	struct ibuf	*b;

	if (c == NULL || (b = chan_msg(c, type)) == NULL ||
	    ibuf_add_zero(b, len) == -1)
		return (-1);
	return (chan_send(c, b, -1));
}

/* Behind the back of imsg: bytes as they are. */
static int
send_raw(struct chan *c, const void *p, size_t len)
{
	if (c == NULL)
		return (-1);
	chan_flush(c, 1000);
	return (write(c->fd, p, len) == (ssize_t)len ? 0 : -1);
}

static int
send_header(struct chan *c, uint32_t type, uint32_t claimed, size_t behind)
{
	static union {
		struct imsg_hdr	 hdr;
		char		 bytes[2 * CHAN_MAXSIZE];
	}		 u;

	memset(&u, 0, sizeof(u));
	u.hdr.type = type;
	u.hdr.len = claimed;
	return (send_raw(c, &u, IMSG_HEADER_SIZE + behind));
}

static int
each_peer(int (*fn)(struct chan *))
{
	enum role	 role;
	unsigned	 slot;
	struct chan	*c;
	int		 n = 0;

	for (role = ROLE_CONTROL; role < ROLE_MAX; role++) {
		for (slot = 0; slot < RELAYS_MAX; slot++) {
			if ((c = child_peer(role, slot)) == NULL)
				continue;
			if (fn(c) == -1)
				return (-1);
			n++;
		}
	}
	return (n > 0 ? 0 : -1);
}

/*
 * What a role may not send.
 */
static int
send_level_parent(void)
{
	return (send_num(child_parent(), MSG_SET_LOG_LEVEL, LOG_L_DEBUG));
}

static int
send_reload_parent(void)
{
	return (send_num(child_parent(), MSG_RELOAD, 0));
}

static int
send_worker_control(void)
{
	struct chan		*c = child_peer(ROLE_CONTROL, 0);
	struct msg_worker	 w;
	struct ibuf		*b;

	memset(&w, 0, sizeof(w));
	w.role = ROLE_RELAY;
	w.slot = FORGED_SLOT;
	w.state = WORKER_READY;
	w.restarts = FORGED_RESTARTS;
	if (c == NULL || (b = chan_msg(c, MSG_WORKER)) == NULL ||
	    msg_worker_put(b, &w) == -1)
		return (-1);
	return (chan_send(c, b, -1));
}

static int
send_revoke_relay(void)
{
	struct chan		*c = child_peer(ROLE_RELAY, 0);
	struct msg_answer	 a;
	struct ibuf		*b;
	unsigned		 n;

	memset(&a, 0, sizeof(a));
	a.reason = REASON_REVOKED;
	for (n = 0; n < MANY; n++) {
		if (c == NULL)
			return (-1);
		a.session = SID_MAKE(c->slot, c->incarnation, n);
		if ((b = chan_msg(c, MSG_REVOKE)) == NULL ||
		    msg_answer_put(b, &a) == -1 ||
		    chan_send(c, b, -1) == -1)
			return (n > 0 ? 0 : -1);	/* cut off */
	}
	return (0);
}

/*
 * Malformed ones.
 */
static int
send_unknown_type(void)
{
	return (chan_signal(child_parent(), NO_SUCH_TYPE));
}

static int
send_short_payload(void)
{
	return (send_zeros(child_parent(), MSG_DRAINED, 3));
}

static int
send_long_payload(void)
{
	return (send_zeros(child_parent(), MSG_ALIVE_OK, 5));
}

static int
send_bad_value(void)
{
	return (send_num(child_parent(), MSG_SET_LOG_LEVEL, 999));
}

static int
send_oversized(void)
{
	return (send_header(child_parent(), MSG_ALIVE_OK,
	    CHAN_MAXSIZE + 1000, CHAN_MAXSIZE + 1000 - IMSG_HEADER_SIZE));
}

/* The rest is made of what comes next: the first bytes of the last one. */
static int
send_cut(void)
{
	unsigned	 i;

	if (send_header(child_parent(), MSG_ALIVE_OK,
	    4 * IMSG_HEADER_SIZE, 5) == -1)
		return (-1);
	for (i = 0; i < 6; i++) {
		if (chan_signal(child_parent(), MSG_ALIVE_OK) == -1)
			return (-1);
	}
	return (0);
}

static int
send_no_length(void)
{
	return (send_header(child_parent(), MSG_ALIVE_OK, 4, 0));
}

static int
garbage_to(struct chan *c)
{
	char	 buf[4096];

	memset(buf, 'A', sizeof(buf));
	return (send_raw(c, buf, sizeof(buf)));
}

static int
send_garbage(void)
{
	return (garbage_to(child_parent()));
}

static int
send_garbage_peers(void)
{
	return (each_peer(garbage_to));
}

/* Of a type that the role may send, with three bytes inside. */
static int
bad_to(struct chan *c)
{
	static const uint32_t	 types[ROLE_MAX][ROLE_MAX] = {
		[ROLE_RELAY][ROLE_DIALER] = MSG_OPEN,
		[ROLE_RELAY][ROLE_CONTROL] = MSG_BODY,
		[ROLE_DIALER][ROLE_RELAY] = MSG_ADMITTED,
		[ROLE_DIALER][ROLE_CONTROL] = MSG_LOG,
		[ROLE_CONTROL][ROLE_RELAY] = MSG_SHOW_SESSIONS,
	};
	uint32_t		 type = types[child_hello()->role][c->peer];

	return (type == MSG_NONE ? 0 : send_zeros(c, type, 3));
}

static int
send_bad_peers(void)
{
	return (each_peer(bad_to));
}

/* Descriptors that nobody asked for. */
static int
send_descriptors(void)
{
	struct ibuf	*b;
	int		 fd, i;

	for (i = 0; i < MANY; i++) {
		if ((fd = socket(AF_INET, SOCK_STREAM, 0)) == -1)
			return (-1);
		b = chan_msg(child_parent(), MSG_ALIVE_OK);
		if (chan_send(child_parent(), b, fd) == -1)
			return (-1);
	}
	return (0);
}

/*
 * What a relay may not ask for.
 */
static const struct conf_loc *
location(enum loc_kind kind)
{
	const struct conf_server	*s;
	const struct conf_loc		*l;

	TAILQ_FOREACH(s, &child_conf()->servers, entry) {
		TAILQ_FOREACH(l, &s->locs, entry) {
			if (l->kind == kind)
				return (l);
		}
	}
	return (NULL);
}

static int
send_open(struct msg_open *o, unsigned slot)
{
	struct chan	*c = child_peer(ROLE_DIALER, 0);
	struct ibuf	*b;

	o->session = SID_MAKE(slot, child_hello()->incarnation, 1 << 30);
	if (c == NULL || addr_parse("127.0.0.1", 1, &o->source) == -1 ||
	    (b = chan_msg(c, MSG_OPEN)) == NULL || msg_open_put(b, o) == -1)
		return (-1);
	return (chan_send(c, b, -1));
}

static int
open_location(enum loc_kind kind, unsigned slot, const char *target)
{
	const struct conf_loc	*l = location(kind);
	struct msg_open		 o;

	if (l == NULL)
		return (-1);
	memset(&o, 0, sizeof(o));
	o.server = l->server->id;
	o.loc = l->id;
	o.type = SESSION_GATEWAY;
	(void)strlcpy(o.target, target, sizeof(o.target));
	return (send_open(&o, slot));
}

/* As a relay would, but we are none; control knows forwards only. */
static int
send_open_dialer(void)
{
	const struct conf_forward	*f;
	struct msg_open			 o;

	if ((f = TAILQ_FIRST(&child_conf()->forwards)) == NULL)
		return (-1);
	memset(&o, 0, sizeof(o));
	o.forward = f->id;
	o.type = SESSION_FORWARD;
	return (send_open(&o, child_hello()->slot));
}

static int
send_open_target(void)
{
	const char	*target = getenv(PROBE_ENV_TARGET);

	return (open_location(LOC_LIST, child_hello()->slot,
	    target != NULL ? target : ""));
}

static int
send_open_owner(void)
{
	return (open_location(LOC_FORWARD, child_hello()->slot + 1, ""));
}

const char *
probe_send(enum probe p)
{
	static int (*const	 sends[])(void) = {
#define PROBE_ROW(fn, name) [PROBE_##fn] = send_##fn,
		PROBE_SENDS(PROBE_ROW)
#undef PROBE_ROW
	};

	return (sends[p]() == 0 ? "ok" : "not sent");
}

#endif /* TUNNELD_PROBES */
