/* SPDX-License-Identifier: ISC */
/* session_test.c: the budget of bytes that wait in a relay; bursts of Pings. */
/* LINK: tunneld/session.c tunneld/pump.c tunneld/wsend.c tunneld/conn.c tunneld/splice.c tunneld/wheel.c tunneld/reason.c lib/ws.c lib/utf8.c compat/sockopt.c */

#include "compat.h"

#include <sys/types.h>
#include <sys/socket.h>

#include <netinet/in.h>

#include <event.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "child.h"
#include "log.h"
#include "session.h"
#include "tunneld.h"

#define THIRD		(SESSION_BUDGET / 3)

static struct stats_page	 page;
struct stats_page		*stats = &page;
static struct msg_hello		 hello;
static struct conf		 conf;
static struct conf_server	 server;
static struct conf_loc		 loc;
static unsigned			 warned, gone;
static char			 state[3];
static enum reason		 reason;
static uint64_t			 now = 1000000000;	/* by our own clock */

/* What session.c is given by the rest of a relay. */
const struct conn_ops		 upgrade_ops;

uint64_t
mono_usec(void)
{
	return now;
}

uint64_t
wall_usec(void)
{
	return 1;
}

const struct msg_hello *
child_hello(void)
{
	return &hello;
}

struct conf *
conf_ref(struct conf *c)
{
	return c;
}

void
conf_unref(struct conf *c)
{
}

void
log_warnx(const char *fmt, ...)
{
	warned++;
}

void
log_verbose(const char *fmt, ...)
{
}

void
log_debug(const char *fmt, ...)
{
}

void
dial_closed(struct session *s)
{
}

void
row_log_open(const struct session *s)
{
}

void
row_log_close(const struct session *s)
{
	memcpy(state, s->state, sizeof(state));
	reason = s->reason;
}

void
relay_session_finished(void)
{
}

void
relay_session_gone(void)
{
	gone++;
}

void
upgrade_free(struct session *s)
{
}

void
upgrade_refuse(struct session *s, enum reason r, const char *why)
{
	fail();
}

/* A TCP pair on loopback whose other end reads nothing. */
static int
pair(int *other)
{
	struct sockaddr_in	 sin;
	socklen_t		 len = sizeof(sin);
	int			 l, a;

	l = socket(AF_INET, SOCK_STREAM, 0);
	memset(&sin, 0, sizeof(sin));
	sin.sin_family = AF_INET;
	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(l, (struct sockaddr *)&sin, len), 0);
	assert_int_equal(listen(l, 1), 0);
	assert_int_equal(getsockname(l, (struct sockaddr *)&sin, &len), 0);
	*other = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(connect(*other, (struct sockaddr *)&sin, len), 0);
	a = accept4(l, NULL, NULL, SOCK_NONBLOCK);
	assert_true(a != -1);
	close(l);
	return a;
}

/* An open session, for whose client about n bytes wait. */
static struct session *
blocked(int *client, int *target, size_t n)
{
	struct session	*s;
	struct addr	 peer;
	uint8_t		*p;

	memset(&peer, 0, sizeof(peer));
	s = session_new(&conf, &server, NULL, NULL, pair(client), &peer);
	assert_non_null(s);
	s->loc = &loc;
	conn_attach(&s->tcp, pair(target), true);
	ws_dec_init(&s->dec, WS_DEC_MASKED, 0);
	session_open(s);
	pump_begin(s);
	assert_non_null(p = calloc(1, n));
	assert_int_equal(conn_send(&s->ws, p, n), 0);
	free(p);
	assert_true(conn_pending(&s->ws) > 0);
	return s;
}

static void
run(void)
{
	struct timeval	 tv = { 0, 50000 };

	event_loopexit(&tv);
	event_dispatch();
}

static int
setup(void **unused)
{
	event_init();
	wheel_init(session_timer);
	conf.t_stall = conf.t_close = 300000000;
	conf.t_idle = conf.ping_every = OFF;
	return 0;
}

/* a is still open, b has said Close and waits to say the rest. */
static void
budget_ends_what_is_ending_too(void **unused)
{
	struct session	*a, *b;
	int		 ca, ta, cb, tb;

	a = blocked(&ca, &ta, THIRD);
	b = blocked(&cb, &tb, 2 * THIRD + THIRD / 2);
	session_why(b, '-', REASON_CLOSED);
	pump_end(&b->ws, END_LINGER);
	pump_end(&b->tcp, END_LINGER);
	session_phase(b, PH_CLOSING);
	assert_true(conn_queued() > SESSION_BUDGET);

	/* Just now everything moved. */
	settle(a);
	assert_int_equal(warned, 0);
	now += 2000000;
	settle(a);
	assert_int_equal(warned, 1);
	assert_int_equal(b->ws.end, END_RESET);
	assert_int_equal(a->phase, PH_OPEN);
	/* A second try takes the next one: this one is on its way out. */
	now += 500000;
	session_budget();
	assert_int_equal(warned, 2);
	assert_int_equal(a->phase, PH_CLOSING);
	now += 2000000;
	run();
	/* What they were given to say it is over. */
	now += 2000000;
	run();
	assert_int_equal(gone, 2);
	assert_int_equal(conn_queued(), 0);
	assert_int_equal(session_count, 0);
	assert_int_equal(state[0], 'P');
	assert_int_equal(reason, REASON_BUDGET);
	close(ca);
	close(ta);
	close(cb);
	close(tb);
}

/*
 * On a socket that keeps packets apart each system call is seen: one read of
 * many Pings makes few writes, in order.
 */
static void
pongs_leave_together(void **unused)
{
	static uint8_t	 in[WS_HDR_MAX * 2000], out[65536];
	struct session	*s;
	struct addr	 peer;
	uint8_t		 mask[4] = { 1, 2, 3, 4 }, n;
	size_t		 len = 0, at;
	ssize_t		 got;
	int		 sv[2], target, i, packets = 0, pongs = 0;

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK,
	    0, sv), 0);
	memset(&peer, 0, sizeof(peer));
	s = session_new(&conf, &server, NULL, NULL, sv[0], &peer);
	assert_non_null(s);
	s->loc = &loc;
	conn_attach(&s->tcp, pair(&target), true);
	ws_dec_init(&s->dec, WS_DEC_MASKED, 0);
	session_open(s);
	pump_begin(s);
	settle(s);
	for (i = 0; i < 2000; i++) {
		n = (uint8_t)i;
		len += ws_control(in + len, WS_OP_PING, &n, 1, mask);
	}
	assert_int_equal(send(sv[1], in, len, 0), len);
	run();
	while ((got = recv(sv[1], out, sizeof(out), 0)) > 0) {
		packets++;
		for (at = 0; at < (size_t)got; at += 3) {
			assert_int_equal(out[at], 0x80 | WS_OP_PONG);
			assert_int_equal(out[at + 1], 1);
			assert_int_equal(out[at + 2], (uint8_t)pongs++);
		}
	}
	assert_int_equal(pongs, 2000);
	assert_in_range(packets, 1, 3);
	session_drop_all();
	close(sv[1]);
	close(target);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(budget_ends_what_is_ending_too),
		cmocka_unit_test(pongs_leave_together),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
