/* SPDX-License-Identifier: ISC */
/* dial_test.c: ends that a relay could not tell the dialer of. */
/* LINK: tunneld/dial.c tunneld/chan.c tunneld/msg.c tunneld/msg_session.c tunneld/log.c tunneld/logfmt.c tunneld/util.c tunneld/sid.c tunneld/stats.c tunneld/reason.c lib/addr.c lib/json.c lib/utf8.c lib/visstr.c compat/imsg.c compat/imsg_buffer.c compat/shm.c compat/fdstat.c */

#include "compat.h"

#include <sys/socket.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "chan.h"
#include "child.h"
#include "log.h"
#include "msg.h"
#include "session.h"

#define MANY	5000		/* more than queue and socket hold */
#define QUEUE	64

/*
 * What the rest of a relay would be.
 */
struct sessions sessions = RB_INITIALIZER(&sessions);
static struct chan *dialer;

static int
session_cmp(struct session *a, struct session *b)
{
	return a->id < b->id ? -1 : a->id > b->id;
}
RB_GENERATE(sessions, session, node, session_cmp)

struct chan *
child_peer(enum role role, unsigned slot)
{
	return role == ROLE_DIALER ? dialer : NULL;
}

struct session *
session_find(uint64_t id)
{
	struct session key = { .id = id };

	return RB_FIND(sessions, &sessions, &key);
}

void
session_phase(struct session *s, enum phase phase)
{
	s->phase = phase;
}

static void
unexpected(void)
{
	fail_msg("not here");
}

void	settle(struct session *s) { }
void	upgrade_accept(struct session *s) { unexpected(); }
void	forward_request(struct session *s) { unexpected(); }
void	pump_begin(struct session *s) { unexpected(); }
void	conn_attach(struct conn *c, int fd, bool d) { unexpected(); }

void
session_abort(struct session *s, char who, enum reason reason)
{
	unexpected();
}

/*
 * The dialer, played by us: it reads only while the loop turns.
 */
static struct chan *far;
static unsigned closed, announced, done;
static bool seen[MANY + 1];

static void
far_message(struct chan *c, struct imsg *m)
{
	struct msg_announce n;
	struct msg_answer a;

	switch (imsg_get_type(m)) {
	case MSG_CLOSED:
		assert_int_equal(msg_answer_get(m, &a), 0);
		assert_in_range(a.session, 1, MANY);
		assert_false(seen[a.session]);
		seen[a.session] = true;
		closed++;
		break;
	case MSG_ANNOUNCE:
		assert_int_equal(msg_announce_get(m, &n), 0);
		announced++;
		break;
	case MSG_ANNOUNCED:
		done++;
		break;
	default:
		fail_msg("%s", msg_name(imsg_get_type(m)));
	}
}

static void
near_message(struct chan *c, struct imsg *m)
{
	unexpected();
}

static void
gone(struct chan *c, const char *why)
{
	if (c == far)
		far = NULL;
	chan_free(c);
}

static void
connect_dialer(void)
{
	int sv[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
	far = chan_new(sv[1], ROLE_RELAY, 0, 1, far_message, gone, NULL);
	dialer = chan_new(sv[0], ROLE_DIALER, 0, 1, near_message, gone, NULL);
	dialer->queue_max = QUEUE;
	closed = announced = done = 0;
	memset(seen, 0, sizeof(seen));
	dial_peer_up(dialer);
}

static void
end_many(unsigned n)
{
	struct session s;
	unsigned i;

	for (i = 1; i <= n; i++) {
		memset(&s, 0, sizeof(s));
		s.id = i;
		s.asked = true;
		dial_closed(&s);
		assert_false(s.asked);
		dial_closed(&s);	/* told once */
	}
}

static void
turn(void)
{
	event_loop(EVLOOP_NONBLOCK);
	dial_closed_retry();		/* by the relay's timer */
}

/* It paused: all is told in the end, once. */
static void
test_paused(void **state)
{
	unsigned i;

	connect_dialer();
	end_many(MANY);
	assert_true(chan_busy(dialer));
	dial_closed_retry();		/* no room yet */
	assert_int_equal(closed, 0);
	for (i = 0; i < 100000 && closed < MANY; i++)
		turn();
	assert_int_equal(closed, MANY);
	for (i = 0; i < 10; i++)
		turn();
	assert_int_equal(closed, MANY);
	assert_int_equal(done, 1);
	chan_free(dialer);
	chan_free(far);
}

/* It died: its successor is told of those that live, and of no other. */
static void
test_replaced(void **state)
{
	struct conf_forward f = { .id = 3 };
	struct session live;
	unsigned i;

	memset(&live, 0, sizeof(live));
	live.id = MANY + 1;
	live.fwd = &f;
	live.asked = live.admitted = live.connected = true;
	live.phase = PH_OPEN;
	RB_INSERT(sessions, &sessions, &live);
	connect_dialer();
	end_many(MANY);
	chan_free(dialer);
	chan_free(far);
	dialer = NULL;
	dial_peer_down();
	end_many(3);			/* while there is none */
	connect_dialer();
	for (i = 0; i < 100; i++)
		turn();
	assert_int_equal(closed, 0);
	assert_int_equal(announced, 1);
	assert_int_equal(done, 1);
	RB_REMOVE(sessions, &sessions, &live);
	chan_free(dialer);
	chan_free(far);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_paused),
		cmocka_unit_test(test_replaced),
	};

	event_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
