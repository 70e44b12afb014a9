/* SPDX-License-Identifier: ISC */
/* dialer_test.c: the dialer role as its relays see it, on real channels. */
/* LINK: tunneld/dialer.c tunneld/admit.c tunneld/connect.c tunneld/resolve.c tunneld/hosts.c tunneld/policy.c tunneld/conf.c tunneld/chan.c tunneld/msg.c tunneld/msg_session.c tunneld/log.c tunneld/logfmt.c tunneld/util.c tunneld/sid.c tunneld/stats.c tunneld/reason.c lib/addr.c lib/json.c lib/utf8.c lib/visstr.c compat/imsg.c compat/imsg_buffer.c compat/shm.c compat/sockopt.c -lcares compat/fdstat.c */

#include "compat.h"

#include <sys/types.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <netinet/in.h>

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "admit.h"
#include "chan.h"
#include "child.h"
#include "conf_make.h"
#include "log.h"
#include "stats.h"

#define FILES	1024			/* our limit of descriptors */

/*
 * What child.c would be.
 */
static struct conf	*current;
static struct chan	*peers[RELAYS_MAX];
static unsigned		 ready;
static struct event_base *base;

struct conf *
child_conf(void)
{
	return (current);
}

struct chan *
child_peer(enum role role, unsigned slot)
{
	return (role == ROLE_RELAY && slot < RELAYS_MAX ? peers[slot] : NULL);
}

void
child_ready(void)
{
	ready++;
}

void
child_exit(int code)
{
	fail_msg("child_exit(%d)", code);
	exit(1);
}

/*
 * Two relays, played by us: what each of them was told last.
 */
struct relay {
	struct chan	*near, *far;	/* the dialer's end, ours */
	unsigned	 slot;
	uint32_t	 incarnation;
	unsigned	 n;		/* answers */
	uint32_t	 type[64];
	struct msg_answer m[64];
	int		 fd[64];
};
static struct relay	relay[2];

static void
near_message(struct chan *c, struct imsg *m)
{
	dialer_ops.message(c, m);
}

static void
near_gone(struct chan *c, const char *why)
{
	peers[c->slot] = NULL;
	dialer_ops.peer_down(c);
	chan_free(c);
}

static void
far_message(struct chan *c, struct imsg *m)
{
	struct relay	*r = c->arg;
	unsigned	 i = r->n % nitems(r->m);

	r->type[i] = imsg_get_type(m);
	r->fd[i] = imsg_get_fd(m);
	assert_int_equal(msg_answer_get(m, &r->m[i]), 0);
	r->n++;
}

static void
far_gone(struct chan *c, const char *why)
{
	struct relay	*r = c->arg;

	r->far = NULL;
	chan_free(c);
}

static void
relay_start(struct relay *r, unsigned slot, uint32_t incarnation)
{
	int	 sv[2];

	memset(r, 0, sizeof(*r));
	r->slot = slot;
	r->incarnation = incarnation;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
	r->near = chan_new(sv[0], ROLE_RELAY, slot, incarnation,
	    near_message, near_gone, NULL);
	r->far = chan_new(sv[1], ROLE_DIALER, 0, 1, far_message, far_gone, r);
	peers[slot] = r->near;
	dialer_ops.peer_up(r->near);
}

static void
turns(unsigned ms)
{
	uint64_t	 end = mono_usec() + ms * 1000;

	do
		event_base_loop(base, EVLOOP_NONBLOCK);
	while (mono_usec() < end);
}

static void
until(const unsigned *what, unsigned n)
{
	uint64_t	 end = mono_usec() + 10000000;

	while (*what < n && mono_usec() < end)
		event_base_loop(base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
	assert_int_equal(*what, n);
}

static uint64_t
sid(const struct relay *r, uint64_t n)
{
	return (SID_MAKE(r->slot, r->incarnation, n));
}

static void
fill(struct msg_open *o, uint64_t id, uint32_t loc, const char *target,
    const char *source)
{
	memset(o, 0, sizeof(*o));
	o->session = id;
	o->server = 1;
	o->loc = loc;
	o->type = SESSION_GATEWAY;
	strlcpy(o->target, target, sizeof(o->target));
	assert_int_equal(addr_parse(source, 1, &o->source), 0);
}

static void
send_open(struct relay *r, const struct msg_open *o)
{
	struct ibuf	*b = chan_msg(r->far, MSG_OPEN);

	assert_int_equal(msg_open_put(b, o), 0);
	assert_int_equal(chan_send(r->far, b, -1), 0);
}

static void
ask(struct relay *r, uint64_t n, uint32_t loc, const char *target)
{
	struct msg_open	 o;

	fill(&o, sid(r, n), loc, target, "192.0.2.1");
	if (loc == 3)
		o.type = SESSION_ECHO;
	send_open(r, &o);
}

static void
say_closed(struct relay *r, uint64_t id)
{
	struct msg_answer	 m;
	struct ibuf		*b = chan_msg(r->far, MSG_CLOSED);

	memset(&m, 0, sizeof(m));
	m.session = id;
	assert_int_equal(msg_answer_put(b, &m), 0);
	assert_int_equal(chan_send(r->far, b, -1), 0);
}

static void
announce(struct relay *r, const struct msg_open *o, const char *reached,
    bool pending)
{
	struct msg_announce	 a;
	struct ibuf		*b = chan_msg(r->far, MSG_ANNOUNCE);

	memset(&a, 0, sizeof(a));
	a.open = *o;
	strlcpy(a.reached, reached, sizeof(a.reached));
	a.pending = pending;
	assert_int_equal(msg_announce_put(b, &a), 0);
	assert_int_equal(chan_send(r->far, b, -1), 0);
}

/* The n-th answer a relay got (from 0). */
static void
was(struct relay *r, unsigned n, uint32_t type, uint64_t counter,
    enum reason reason)
{
	assert_true(n < r->n);
	assert_string_equal(msg_name(r->type[n]), msg_name(type));
	assert_int_equal(SID_COUNTER(r->m[n].session), counter);
	assert_int_equal(r->m[n].reason, reason);
	assert_int_equal(r->fd[n] != -1, type == MSG_CONNECTED);
}

/*
 * Configurations: location 1 goes to a listener of ours, 2 is a list of it,
 * 3 echoes, 4 goes to an address that never answers, 5 is for 10/8 only.
 */
enum { FIX = 1, LIST, ECHO, HOLE, INSIDE };
static int		 listener, hole[6];
static char		 target[ADDR_TEXT], holetext[ADDR_TEXT];
static unsigned		 generation;

static int
listen_on(const char *text, int backlog, char *out)
{
	struct addr	 a;
	int		 fd;

	assert_int_equal(addr_parse(text, 0, &a), 0);
	fd = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&a.ss, a.len), 0);
	assert_int_equal(listen(fd, backlog), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a.ss, &a.len),
	    0);
	addr_format(&a, out, ADDR_TEXT);
	return (fd);
}

static struct conf *
make_conf(uint64_t max, uint64_t per_source)
{
	struct conf		*c = conf_new();
	struct conf_server	*s = make_server(c, 1);
	struct conf_loc		*l;

	c->generation = ++generation;
	s->max_sessions = max;
	s->max_per_source = per_source;
	make_target(make_location(s, FIX, LOC_FORWARD), target);
	l = make_location(s, LIST, LOC_LIST);
	make_target(l, target);
	make_target(l, "localhost:1");
	make_location(s, ECHO, LOC_ECHO);
	make_target(make_location(s, HOLE, LOC_FORWARD), holetext);
	l = make_location(s, INSIDE, LOC_FORWARD);
	make_target(l, target);
	make_allow(l, "10.0.0.0/8");
	make_forward(c, 7, target);
	return (c);
}

static void
commit(struct conf *c)
{
	struct conf	*old = current;
	char		 err[100];

	assert_int_equal(dialer_ops.prepare(c, err, sizeof(err)), 0);
	current = c;
	dialer_ops.commit(c, old);
	if (old != NULL)
		conf_unref(old);
}

static int
setup(void **state)
{
	relay_start(&relay[0], 0, 5);
	relay_start(&relay[1], 1, 6);
	chan_signal(relay[0].far, MSG_ANNOUNCED);
	chan_signal(relay[1].far, MSG_ANNOUNCED);
	commit(make_conf(OFF, OFF));
	turns(20);
	assert_int_equal(ready, 1);
	memset(stats, 0, sizeof(*stats));
	return (0);
}

static int
teardown(void **state)
{
	unsigned	 i, k;

	for (i = 0; i < 2; i++) {
		for (k = 0; k < relay[i].n && k < nitems(relay[i].fd); k++)
			if (relay[i].fd[k] != -1)
				close(relay[i].fd[k]);
		if (relay[i].far != NULL)
			chan_free(relay[i].far);
	}
	turns(20);
	/* A relay that is gone leaves nothing. */
	assert_null(admit_first(0));
	assert_null(peers[0]);
	return (0);
}

static void
test_answers(void **state)
{
	struct relay	*r = &relay[0];

	ask(r, 1, FIX, "");
	until(&r->n, 2);
	was(r, 0, MSG_ADMITTED, 1, REASON_NONE);
	was(r, 1, MSG_CONNECTED, 1, REASON_NONE);
	assert_string_equal(r->m[1].target, target);
	assert_true(fcntl(r->fd[1], F_GETFL) & O_NONBLOCK);

	ask(r, 2, ECHO, "");
	until(&r->n, 3);
	was(r, 2, MSG_ADMITTED, 2, REASON_NONE);

	ask(r, 3, LIST, "127.0.0.1:1");
	until(&r->n, 5);
	was(r, 3, MSG_ADMITTED, 3, REASON_NONE);
	was(r, 4, MSG_FAILED, 3, REASON_TARGET_NOT_ALLOWED);
	assert_string_equal(r->m[4].target, "127.0.0.1:1");
	assert_int_equal(stats->dial_failures[REASON_TARGET_NOT_ALLOWED], 1);

	ask(r, 4, LIST, "localhost:1");
	until(&r->n, 7);
	was(r, 6, MSG_FAILED, 4, REASON_CONN_REFUSED);
	assert_int_equal(stats->dial_failures[REASON_CONN_REFUSED], 1);

	ask(r, 5, INSIDE, "");
	until(&r->n, 8);
	was(r, 7, MSG_REFUSED, 5, REASON_NOT_ALLOWED);
	ask(r, 6, 99, "");
	until(&r->n, 9);
	was(r, 8, MSG_REFUSED, 6, REASON_TARGET_NOT_ALLOWED);
	/* The refused are forgotten, those that failed count on. */
	assert_int_equal(admit_server_count(1), 4);
	say_closed(r, sid(r, 3));
	say_closed(r, sid(r, 5));
	turns(10);
	assert_int_equal(admit_server_count(1), 3);
}

static void
test_limits(void **state)
{
	struct relay	*a = &relay[0], *b = &relay[1];
	struct msg_open	 o;
	unsigned	 i;

	commit(make_conf(3, 2));
	/* Counted over all relays. */
	ask(a, 1, ECHO, "");
	turns(5);
	ask(b, 1, ECHO, "");
	until(&a->n, 1);
	until(&b->n, 1);
	ask(b, 2, ECHO, "");
	until(&b->n, 2);
	was(b, 1, MSG_REFUSED, 2, REASON_MAX_PER_SOURCE);
	fill(&o, sid(b, 3), ECHO, "", "192.0.2.9");
	o.type = SESSION_ECHO;
	send_open(b, &o);
	until(&b->n, 3);
	was(b, 2, MSG_ADMITTED, 3, REASON_NONE);
	ask(a, 4, ECHO, "");
	until(&a->n, 2);
	was(a, 1, MSG_REFUSED, 4, REASON_MAX_SESSIONS);
	/* A dead relay's share returns. */
	chan_free(b->far);
	b->far = NULL;
	for (i = 0; i < 100 && peers[1] != NULL; i++)
		turns(5);
	ask(a, 5, ECHO, "");
	until(&a->n, 3);
	was(a, 2, MSG_ADMITTED, 5, REASON_NONE);
}

/* A relay speaks for its own sessions only; nonsense is survived. */
static void
test_strangers(void **state)
{
	struct relay	*a = &relay[0], *b = &relay[1];
	struct msg_open	 o;
	struct ibuf	*m;

	ask(a, 1, ECHO, "");
	until(&a->n, 1);
	fill(&o, sid(a, 9), ECHO, "", "192.0.2.1");
	o.type = SESSION_ECHO;
	send_open(b, &o);
	say_closed(b, sid(a, 1));
	announce(b, &o, "", false);
	/* Of an earlier life. */
	o.session = SID_MAKE(b->slot, b->incarnation - 1, 1);
	send_open(b, &o);
	/* Of this life, but not its own. */
	o.session = SID_MAKE(a->slot, b->incarnation, 1);
	send_open(b, &o);
	/* Announced after ANNOUNCED; opened twice; a stump. */
	o.session = sid(b, 1);
	announce(b, &o, "", false);
	ask(a, 1, ECHO, "");
	m = chan_msg(b->far, MSG_OPEN);
	ibuf_add_n64(m, 1);
	chan_send(b->far, m, -1);
	turns(30);
	assert_int_equal(b->n, 0);
	assert_int_equal(a->n, 1);
	assert_int_equal(admit_server_count(1), 1);
	assert_non_null(admit_find(sid(a, 1)));
}

static void
test_closed_while_dialling(void **state)
{
	struct relay	*r = &relay[0];
	unsigned	 i, fds, now;

	ask(r, 1, ECHO, "");
	until(&r->n, 1);
	for (fds = 0, i = 0; i < 256; i++)
		fds += fcntl((int)i, F_GETFD) != -1;
	for (i = 2; i < 20; i++)
		ask(r, i, HOLE, "");
	until(&r->n, 19);
	for (i = 2; i < 20; i++)
		say_closed(r, sid(r, i));
	turns(50);
	for (now = 0, i = 0; i < 256; i++)
		now += fcntl((int)i, F_GETFD) != -1;
	assert_int_equal(now, fds);
	assert_int_equal(admit_server_count(1), 1);
	assert_int_equal(r->n, 19);
	/* Closed in the same breath, when the connection may be there. */
	for (i = 20; i < 40; i++) {
		ask(r, i, FIX, "");
		say_closed(r, sid(r, i));
	}
	turns(50);
	assert_int_equal(admit_server_count(1), 1);
}

static void
test_pending_bound(void **state)
{
	struct relay	*r = &relay[0];
	unsigned	 i, n;

	r->n = 0;
	/* One location may have as many as are left to the others. */
	for (i = 0; i < 256; i++)
		ask(r, 1 + i, HOLE, "");
	until(&r->n, 256);
	n = r->n;
	ask(r, 1000, HOLE, "");
	until(&r->n, n + 1);
	was(r, n % nitems(r->m), MSG_REFUSED, 1000, REASON_UNAVAILABLE);
	ask(r, 1003, FIX, "");
	until(&r->n, n + 3);
	assert_int_equal(r->type[(n + 1) % nitems(r->m)], MSG_ADMITTED);
	assert_int_equal(r->type[(n + 2) % nitems(r->m)], MSG_CONNECTED);
	n += 2;
	/* What needs no target, and other relays, do not feel it. */
	ask(r, 1001, ECHO, "");
	until(&r->n, n + 2);
	assert_int_equal(r->type[(n + 1) % nitems(r->m)], MSG_ADMITTED);
	ask(&relay[1], 1, FIX, "");
	until(&relay[1].n, 2);
	say_closed(r, sid(r, 1));
	ask(r, 1002, HOLE, "");
	until(&r->n, n + 3);
	assert_int_equal(r->type[(n + 2) % nitems(r->m)], MSG_ADMITTED);
	memset(r->fd, 0xff, sizeof(r->fd));
}

/* A relay that lies cannot fill our memory; others do not feel it. */
static void
test_sessions_bound(void **state)
{
	struct relay	*r = &relay[0];
	unsigned	 i;

	for (i = 1; i <= FILES * 2; i++) {
		ask(r, i, ECHO, "");
		until(&r->n, i);
		assert_int_equal(r->type[(i - 1) % nitems(r->m)],
		    MSG_ADMITTED);
	}
	ask(r, i, ECHO, "");
	until(&r->n, i);
	was(r, (i - 1) % nitems(r->m), MSG_REFUSED, i, REASON_UNAVAILABLE);
	ask(&relay[1], 1, ECHO, "");
	until(&relay[1].n, 1);
	was(&relay[1], 0, MSG_ADMITTED, 1, REASON_NONE);
	say_closed(r, sid(r, 1));
	ask(r, i + 1, ECHO, "");
	until(&r->n, i + 1);
	was(r, i % nitems(r->m), MSG_ADMITTED, i + 1, REASON_NONE);
}

/*
 * A name whose address is taken off the list while it is being connected to:
 * the connection is not handed out.
 */
static void
test_forbidden_meanwhile(void **state)
{
	struct relay	*r = &relay[0];
	struct conf	*c;
	struct conf_loc	*l;
	char		 name[64];
	unsigned	 i;
	int		 fd;

	snprintf(name, sizeof(name), "n.test%s", strrchr(holetext, ':'));
	for (i = 0; i < 2; i++) {
		c = make_conf(OFF, OFF);
		free(c->hosts_text);
		c->hosts_text = strdup("127.0.0.1 n.test\n");
		l = conf_loc_by_id(c, LIST);
		make_target(l, name);
		if (i == 0)
			make_target(l, holetext);
		commit(c);
		if (i == 0) {
			ask(r, 1, LIST, name);
			turns(50);
			assert_int_equal(r->n, 1);
			was(r, 0, MSG_ADMITTED, 1, REASON_NONE);
		}
	}
	/* Nothing is known of the address yet; now there is room in it. */
	turns(20);
	assert_int_equal(r->n, 1);
	assert_int_equal(fcntl(hole[0], F_SETFL, O_NONBLOCK), 0);
	while (r->n < 2) {
		if ((fd = accept(hole[0], NULL, NULL)) != -1)
			close(fd);
		turns(20);
	}
	was(r, 1, MSG_FAILED, 1, REASON_TARGET_NOT_ALLOWED);
}

static void
test_reload(void **state)
{
	struct relay		*r = &relay[0];
	struct conf		*c;
	struct conf_loc		*l;
	struct conf_target	*t;
	struct msg_open		 o;
	unsigned		 i;

	ask(r, 1, FIX, "");
	until(&r->n, 2);
	ask(r, 2, LIST, target);
	until(&r->n, 4);
	ask(r, 3, ECHO, "");
	until(&r->n, 5);
	ask(r, 4, HOLE, "");
	until(&r->n, 6);
	fill(&o, sid(r, 5), 0, "", "192.0.2.1");
	o.server = 0;
	o.forward = 7;
	o.type = SESSION_FORWARD;
	send_open(r, &o);
	until(&r->n, 8);
	was(r, 7, MSG_CONNECTED, 5, REASON_NONE);

	/* Nothing of it changed: nothing happens. */
	commit(make_conf(OFF, OFF));
	turns(20);
	assert_int_equal(r->n, 8);

	/* The list is emptied, the hole is gone, the forward too. */
	c = make_conf(OFF, OFF);
	l = conf_loc_by_id(c, LIST);
	while ((t = TAILQ_FIRST(&l->targets)) != NULL) {
		TAILQ_REMOVE(&l->targets, t, entry);
		free(t->name);
		free(t);
	}
	conf_loc_by_id(c, HOLE)->id = 44;
	TAILQ_FIRST(&c->forwards)->id = 77;
	commit(c);
	until(&r->n, 10);
	for (i = 8; i < 10; i++)
		was(r, i, MSG_REVOKE, i == 8 ? 2 : 4, REASON_REVOKED);
	assert_int_equal(stats->dial_failures[REASON_REVOKED], 1);

	/*
	 * Relays commit after us: their forward is opened where it led, but
	 * not after a further reload.
	 */
	fill(&o, sid(r, 6), 0, "", "192.0.2.1");
	o.server = 0;
	o.forward = 7;
	o.type = SESSION_FORWARD;
	send_open(r, &o);
	until(&r->n, 12);
	was(r, 11, MSG_CONNECTED, 6, REASON_NONE);
	assert_string_equal(r->m[11].target, target);
	say_closed(r, sid(r, 6));
	r->n = 10;
	close(r->fd[11]);
	r->fd[11] = -1;

	/* A fixed target that moved; a source that is no longer allowed. */
	for (i = 0; i < 2; i++) {
		c = make_conf(OFF, OFF);
		addr_set_port(
		    &TAILQ_FIRST(&conf_loc_by_id(c, FIX)->targets)->addr, 1);
		make_allow(conf_loc_by_id(c, ECHO), "10.0.0.0/8");
		commit(c);
		turns(20);
		/* Told once. */
		assert_int_equal(r->n, 12);
	}
	was(r, 10, MSG_REVOKE, 1, REASON_REVOKED);
	was(r, 11, MSG_REVOKE, 3, REASON_REVOKED);
	/* They are counted until the relay has closed them. */
	assert_int_equal(admit_server_count(1), 4);
	o.forward = 77;
	o.session = sid(r, 7);
	send_open(r, &o);
	until(&r->n, 13);
	was(r, 12, MSG_REFUSED, 7, REASON_TARGET_NOT_ALLOWED);
}

/* What only the configuration before allowed is not allowed for long. */
static void
test_previous_is_forgotten(void **state)
{
	struct relay	*r = &relay[0];
	struct conf	*c = make_conf(OFF, OFF);
	struct msg_open	 o;

	TAILQ_FIRST(&c->forwards)->id = 77;
	commit(c);
	fill(&o, sid(r, 1), 0, "", "192.0.2.1");
	o.server = 0;
	o.forward = 7;
	o.type = SESSION_FORWARD;
	send_open(r, &o);
	until(&r->n, 2);
	was(r, 1, MSG_CONNECTED, 1, REASON_NONE);
	turns(10500);
	o.session = sid(r, 2);
	send_open(r, &o);
	until(&r->n, 3);
	was(r, 2, MSG_REFUSED, 2, REASON_TARGET_NOT_ALLOWED);
}

/*
 * The first commit of a process comes once: this test is run first, before
 * the others' setup.
 */
static void
test_start(void **state)
{
	struct relay	*a = &relay[0], *b = &relay[1];
	struct msg_open	 o;
	unsigned	 i;

	relay_start(a, 0, 5);
	relay_start(b, 1, 6);
	/* Living sessions; one is still waiting for its target. */
	fill(&o, sid(a, 1), FIX, "", "192.0.2.1");
	announce(a, &o, target, false);
	fill(&o, sid(a, 2), HOLE, "", "192.0.2.1");
	announce(a, &o, "", true);
	fill(&o, sid(a, 3), FIX, "", "192.0.2.1");
	announce(a, &o, "127.0.0.1:9", false);	/* led elsewhere before */
	chan_signal(a->far, MSG_ANNOUNCED);
	turns(10);
	commit(make_conf(4, OFF));
	ask(a, 4, ECHO, "");
	ask(a, 5, ECHO, "");
	send_open(a, &(struct msg_open){ .session = sid(a, 2), .server = 1,
	    .loc = HOLE, .type = SESSION_GATEWAY });
	ask(a, 6, ECHO, "");
	say_closed(a, sid(a, 6));
	turns(50);
	/* The other relay has not announced: nobody is answered. */
	assert_int_equal(ready, 0);
	assert_int_equal(a->n, 1);
	was(a, 0, MSG_REVOKE, 3, REASON_REVOKED);
	/* Three wait; one too many is refused at once. */
	for (i = 0; i < 512 - 3; i++)
		ask(a, 1000 + i, ECHO, "");
	turns(50);
	assert_int_equal(a->n, 1);
	ask(a, 2000, ECHO, "");
	until(&a->n, 2);
	was(a, 1, MSG_REFUSED, 2000, REASON_UNAVAILABLE);
	for (i = 0; i < 512 - 3; i++)
		say_closed(a, sid(a, 1000 + i));
	turns(50);
	fill(&o, sid(b, 1), ECHO, "", "192.0.2.1");
	o.type = SESSION_ECHO;
	announce(b, &o, "", false);
	chan_signal(b->far, MSG_ANNOUNCED);
	until(&ready, 1);
	until(&a->n, 5);
	/* Four announced: that is the limit; what waited is dialled. */
	was(a, 2, MSG_REFUSED, 4, REASON_MAX_SESSIONS);
	was(a, 3, MSG_REFUSED, 5, REASON_MAX_SESSIONS);
	was(a, 4, MSG_ADMITTED, 2, REASON_NONE);
	turns(20);
	assert_int_equal(a->n, 5);
	assert_int_equal(admit_server_count(1), 4);
	chan_free(a->far);
	chan_free(b->far);
	a->far = b->far = NULL;
	turns(20);
	assert_null(admit_first(0));
}

static int
quiet(const struct logrec *r, void *arg)
{
	return (0);
}

int
main(void)
{
#define T(f)	cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest	 tests[] = {
		cmocka_unit_test(test_start),
		T(test_answers),
		T(test_limits),
		T(test_strangers),
		T(test_closed_while_dialling),
		T(test_pending_bound),
		T(test_sessions_bound),
		T(test_reload),
		T(test_previous_is_forgotten),
		T(test_forbidden_meanwhile),
	};
	struct rlimit	 rl;
	struct addr	 a;
	size_t		 i;
	int		 r;

	rl.rlim_cur = rl.rlim_max = FILES;
	(void)setrlimit(RLIMIT_NOFILE, &rl);
	base = event_init();
	log_to(quiet, NULL);
	dialer_ops.init(NULL);
	listener = listen_on("127.0.0.1", 128, target);
	/* A listener that is full answers no SYN. */
	hole[0] = listen_on("127.0.0.1", 0, holetext);
	a.len = sizeof(a.ss);
	(void)getsockname(hole[0], (struct sockaddr *)&a.ss, &a.len);
	for (i = 1; i < nitems(hole); i++) {
		hole[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		(void)connect(hole[i], (struct sockaddr *)&a.ss, a.len);
	}
	r = cmocka_run_group_tests(tests, NULL, NULL);
	conf_unref(current);
	return (r);
}
